//! Applies operations in order, as SQL, inside a transaction of the writer.

mod statement;

use std::collections::BTreeSet;
use std::time::Duration;

use model::record::{Callback, Recording, Refusal};
use model::usage::{Amount, Used};
use model::{
    AccountSid, CallSid, Direction, EventSid, InstanceSid, Lane, MessageDirection, MessageStatus,
    RecordingStatus, Timestamp,
};

use crate::administer;
use crate::conferences;
use crate::connection::{Connection, Failure};
use crate::counts::Counts;
use crate::deliveries;
use crate::emails;
use crate::forwarding;
use crate::masking;
use crate::operation::{Context, Operation};
use crate::opt_outs;
use crate::queues;
use crate::row::Row;
use crate::rows;
use crate::scheduled;
use crate::sql::{ROWS_AT_ONCE, Sql, args};
use crate::transcriptions;
use crate::{Change, Committed, KeptPhones};

use statement::statement;

/// How long delivered and dead callbacks are kept.
const OUTBOX_MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the missing file of a recording is searched for.
const STARTED_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the expired registrations of a server that never starts again are kept.
const REGISTRATION_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How long refusals are kept.
const REFUSAL_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How long after its submission a receipt is matched with a message.
const PARTS_MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Lanes and events of this commit that another server has ended: their callbacks are dropped.
#[derive(Default)]
struct Lost {
    lanes: BTreeSet<Lane>,
    events: BTreeSet<EventSid>,
    /// Those among the lanes that this server believes to be live.
    live: BTreeSet<Lane>,
}

impl Lost {
    fn contains(&self, callback: &Callback) -> bool {
        self.lanes.contains(&callback.lane) || self.events.contains(&callback.event)
    }

    fn has_named(&self, lane: &str) -> bool {
        self.lanes.iter().any(|lost| lost.to_string() == lane)
    }
}

/// Applies one commit; what it adds to the counters is only collected.
pub(crate) async fn operations(
    db: &mut Connection,
    context: Context,
    counts: &mut Counts,
    operations: &[Operation],
) -> Result<Committed, Failure> {
    let mut applied = Vec::with_capacity(operations.len());
    let mut lost = Lost::default();
    let mut leaves_old_rows = false;
    for operation in operations {
        applied.push(match operation {
            Operation::Admin(admin) => administer::apply(db, context, counts, admin).await?,
            Operation::Change(change) => {
                self::change(db, context, counts, change, &mut lost).await?
            }
        });
        if let Operation::Change(Change::Alive { at, .. }) = operation {
            leaves_old_rows |= delete_old(db, *at).await?;
        }
    }
    Ok(Committed {
        applied,
        lost: lost.live,
        leaves_old_rows,
    })
}

async fn change(
    db: &mut Connection,
    context: Context,
    counts: &mut Counts,
    change: &Change,
    lost: &mut Lost,
) -> Result<bool, Failure> {
    match change {
        Change::CallCreated(call) => {
            inserted(db, context, counts, change, (call.account, "calls")).await
        }
        Change::Notification(row) => {
            inserted(db, context, counts, change, (row.account, "notifications")).await
        }
        Change::Recording(row) => recording(db, context, counts, change, row).await,
        Change::Alive { .. } => {
            db.execute(statement(context, change)).await?;
            Ok(true) // It is recorded, or a later one is.
        }
        Change::CallbackQueued(callback) if lost.contains(callback) => Ok(false),
        Change::CallbackQueued(_) => {
            db.execute(statement(context, change)).await?;
            Ok(true) // It is queued, by this attempt or an earlier one.
        }
        Change::CallEnded {
            sid,
            at,
            duration_s,
            ..
        } => {
            // The first attempt may have written the end, and counted it.
            let counted = context.repeated && is_ended(db, *sid).await?;
            let mut sql = statement(context, change);
            sql.text(" RETURNING account, direction");
            let ended = db.all(&sql).await?;
            if ended.is_empty() {
                lost.lanes.insert((*sid).into());
            }
            for row in ended.iter().filter(|_| !counted) {
                let (account, direction) = leg_of(row)?;
                let amount = Amount::one(duration_s.unwrap_or(0));
                counts.add_used(account, *at, Used::of_call(direction), amount);
            }
            Ok(!ended.is_empty())
        }
        Change::OrphanClosed(call) => {
            let first = db.execute(statement(context, change)).await? > 0;
            if first {
                let amount = Amount::one(call.duration_s.unwrap_or(0));
                let at = call.ended.unwrap_or(call.updated);
                counts.add_used(call.account, at, Used::of_call(call.direction), amount);
                take_over(db, context, call.sid.into(), call.instance).await?;
            } else {
                lost.lanes.insert(call.sid.into());
            }
            Ok(first)
        }
        Change::MessageCreated { message, .. } => {
            let (account, at) = (message.account, message.created);
            let new = inserted(db, context, counts, change, (account, "messages")).await?;
            if !new && !context.repeated {
                lost.live.insert(message.lane());
                lost.lanes.insert(message.lane());
            }
            // One that is sent later may be canceled.
            if new && message.status != MessageStatus::Scheduled {
                let used = Used::of_message(message.direction);
                counts.add_used(account, at, used, Amount::one(0));
            }
            Ok(new)
        }
        Change::MessageReleased { message, .. } => {
            // The first attempt may have released it, and counted it.
            let counted = context.repeated && !is_scheduled(db, message.sid).await?;
            let first = db.execute(statement(context, change)).await? > 0;
            if first && !counted {
                let used = Used::of_message(message.direction);
                counts.add_used(message.account, message.updated, used, Amount::one(0));
            }
            if !first {
                lost.lanes.insert(message.lane());
                lost.live.insert(message.lane());
            }
            Ok(first)
        }
        Change::MessageEnded { message, tells } => {
            let first = db.execute(statement(context, change)).await? > 0;
            if !first {
                lost.events.extend(tells);
                if message.direction == MessageDirection::Inbound {
                    lost.live.insert(message.lane());
                }
            } else if message.instance != context.instance {
                take_over(db, context, message.lane(), message.instance).await?;
            }
            Ok(first)
        }
        Change::MessageMoved { tells, .. } => {
            let first = db.execute(statement(context, change)).await? > 0;
            if !first {
                lost.events.extend(tells);
            }
            Ok(first)
        }
        Change::RecordingClosed { tells, .. } | Change::RecordingReported { tells, .. } => {
            let first = db.execute(statement(context, change)).await? > 0;
            // If the first attempt has closed it, this one queues the same callback again.
            if !first && !context.repeated {
                lost.events.extend(tells);
            }
            Ok(first)
        }
        Change::CallRinging { sid, .. }
        | Change::CallAnswered { sid, .. }
        | Change::CallFarewell { sid, .. } => live(db, context, change, *sid, lost).await,
        Change::CallUpdated(update) => live(db, context, change, update.sid, lost).await,
        Change::CallbackDone { given_up, .. } => {
            let first = db.execute(statement(context, change)).await? > 0;
            if let Some(row) = given_up.as_ref().filter(|_| first) {
                let told = Change::Notification(row.clone());
                inserted(db, context, counts, &told, (row.account, "notifications")).await?;
            }
            Ok(first || context.repeated)
        }
        Change::EmailEnded { notification, .. } => {
            let first = db.execute(statement(context, change)).await? > 0;
            if let Some(row) = notification.as_ref().filter(|_| first) {
                let told = Change::Notification(row.clone());
                inserted(db, context, counts, &told, (row.account, "notifications")).await?;
            }
            Ok(first || context.repeated)
        }
        Change::ConferenceEnded { sid, .. } => {
            let first = db.execute(statement(context, change)).await? > 0;
            if !first {
                lost.lanes.insert((*sid).into());
            }
            Ok(first)
        }
        Change::ConferenceClosed(record) => {
            let first = db.execute(statement(context, change)).await? > 0;
            if first && record.instance != context.instance {
                take_over(db, context, record.sid.into(), record.instance).await?;
            } else if !first {
                lost.lanes.insert(record.sid.into());
            }
            Ok(first)
        }
        // The text that it began with was recorded before, with its interaction.
        Change::Interacted(interaction) if lost.has_named(&interaction.inbound) => Ok(false),
        Change::Interacted(interaction) => masking::add_interaction(db, interaction).await,
        Change::ConferenceCreated(_)
        | Change::InteractionSent { .. }
        | Change::ConferenceStarted { .. }
        | Change::ConferenceFarewell { .. }
        | Change::ConferenceJoined { .. }
        | Change::ConferenceLeft { .. }
        | Change::QueueEntered { .. }
        | Change::QueueLeft { .. }
        | Change::OptedOut(_)
        | Change::OptedIn(_)
        | Change::MessagePlanned { .. }
        | Change::MessageUnsent { .. }
        | Change::MessagePart { .. }
        | Change::MessagePartDone { .. }
        | Change::TextClaimed { .. }
        | Change::CallMedia { .. }
        | Change::RecordingStarted { .. }
        | Change::RecordingChanged { .. }
        | Change::Transcription(_)
        | Change::EmailQueued(_)
        | Change::CallbackRetry { .. }
        | Change::Registered { .. }
        | Change::RegistrationsAdopted { .. }
        | Change::Refused(_)
        | Change::CallbacksReplayed { .. }
        | Change::CallbackClaimed { .. }
        | Change::Trace { .. } => Ok(db.execute(statement(context, change)).await? > 0),
    }
}

/// Applies a change of a live call, unless another server has ended it: after a long silence, this
/// one was taken for dead.
async fn live(
    db: &mut Connection,
    context: Context,
    change: &Change,
    sid: CallSid,
    lost: &mut Lost,
) -> Result<bool, Failure> {
    if db.execute(statement(context, change)).await? > 0 {
        return Ok(true);
    }
    let mut sql = Sql::default();
    sql.with("SELECT sid FROM calls WHERE sid = ?", sid);
    rows::ended_elsewhere(&mut sql);
    if !db.all(&sql).await?.is_empty() {
        lost.lanes.insert(sid.into());
        lost.live.insert(sid.into());
    }
    Ok(false)
}

/// Whether a message still waits for its time.
async fn is_scheduled(db: &mut Connection, sid: model::MessageSid) -> Result<bool, Failure> {
    let sql = Sql::new(
        "SELECT sid FROM messages WHERE sid = $1 AND status = 'scheduled'",
        args![sid],
    );
    Ok(!db.all(&sql).await?.is_empty())
}

/// Whether the record of a leg has its end.
async fn is_ended(db: &mut Connection, sid: CallSid) -> Result<bool, Failure> {
    let sql = Sql::new(
        "SELECT sid FROM calls WHERE sid = $1 AND ended IS NOT NULL",
        args![sid],
    );
    Ok(!db.all(&sql).await?.is_empty())
}

/// The account and direction of a leg.
fn leg_of(row: &Row) -> Result<(AccountSid, Direction), Failure> {
    let unreadable = |error: crate::StoreError| Failure::Unreadable(error.to_string());
    let account = row.word("account").map_err(unreadable)?;
    Ok((account, row.word("direction").map_err(unreadable)?))
}

/// One server delivers all callbacks of a lane, so they stay in order: those of a dead server go to
/// the server that closes its calls and messages.
async fn take_over(
    db: &mut Connection,
    context: Context,
    lane: Lane,
    from: InstanceSid,
) -> Result<(), Failure> {
    db.execute(deliveries::take_over(lane, from, context.instance))
        .await?;
    Ok(())
}

/// Inserts a row and counts it; `false` if it already existed.
async fn inserted(
    db: &mut Connection,
    context: Context,
    counts: &mut Counts,
    change: &Change,
    (account, kind): (AccountSid, &'static str),
) -> Result<bool, Failure> {
    let new = db.execute(statement(context, change)).await? > 0;
    if new {
        counts.add(account, kind, 1);
    }
    Ok(new)
}

/// Inserts or replaces a recording; it is complete, so nothing is left to repair.
async fn recording(
    db: &mut Connection,
    context: Context,
    counts: &mut Counts,
    change: &Change,
    recording: &Recording,
) -> Result<bool, Failure> {
    let counted = (recording.account, "recordings");
    if inserted(db, context, counts, change, counted).await? {
        let amount = Amount::one(recording.duration_ms / 1_000);
        let at = recording.created;
        counts.add_used(recording.account, at, Used::Recordings, amount);
    } else {
        db.execute(rows::RECORDINGS.update(rows::recording_args(recording)))
            .await?;
    }
    db.execute(rows::STARTED_RECORDINGS.delete(recording.sid))
        .await?;
    Ok(true)
}

/// Deletes old callbacks, recordings without files, registrations and refusals, a limited number at each heartbeat;
/// returns whether some may be left.
async fn delete_old(db: &mut Connection, at: Timestamp) -> Result<bool, Failure> {
    let mut leaves_some = false;
    let ended = "state <> 'pending' AND created";
    for (table, key, time, memory) in [
        ("outbox", "event", ended, OUTBOX_MEMORY),
        ("started_recordings", "sid", "created", STARTED_MEMORY),
        (
            "registrations",
            "organization, login, server",
            "expires",
            REGISTRATION_MEMORY,
        ),
        (
            "refusals",
            "source, reason, name",
            "last_at",
            REFUSAL_MEMORY,
        ),
        (
            "message_parts",
            "message, part, route, provider_id",
            "created",
            PARTS_MEMORY,
        ),
    ] {
        let old = format!("{time} < $1");
        let text = format!(
            "DELETE FROM {table} WHERE {old} AND ({key}) IN \
             (SELECT {key} FROM {table} WHERE {old} LIMIT $2)"
        );
        let sql = Sql::new(text, args![at - memory, ROWS_AT_ONCE]);
        leaves_some |= db.execute(sql).await? >= ROWS_AT_ONCE.unsigned_abs();
    }
    Ok(leaves_some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeliveryFilter;
    use crate::admin::Admin;

    /// Whether an operation had an effect, and how many rows then match a condition.
    async fn applied(
        (db, context): (&mut Connection, Context),
        operation: Operation,
        rows: &str,
    ) -> (bool, i64) {
        let mut counts = Counts::default();
        let done = operations(db, context, &mut counts, &[operation]).await;
        counts.write(db).await.unwrap();
        let count = Sql::new(format!("SELECT COUNT(*) AS n FROM {rows}"), args![]);
        let count = db.all(&count).await.unwrap()[0].int("n").unwrap();
        (done.unwrap().all_applied(), count)
    }

    /// The confirmation of a commit was lost: what it counted is not counted again.
    #[tokio::test]
    async fn a_released_message_is_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let mut opened = crate::connect::open(&url).await.unwrap();
        let (db, dialect) = (&mut opened.connection, opened.dialect);
        crate::migrate::migrate(db, dialect, Timestamp(0))
            .await
            .unwrap();
        let instance = InstanceSid::from_bytes([1; 16]);
        let context = |repeated| Context {
            dialect,
            instance,
            repeated,
        };
        let account = AccountSid::from_bytes([1; 16]);
        let call = CallSid::from_bytes([1; 16]);
        let sid = model::MessageSid::from_bytes([1; 16]);
        let sending = testkit::records::message(sid, instance, account, call, Timestamp(1));
        let scheduled = model::record::Message {
            status: MessageStatus::Scheduled,
            ..sending.clone()
        };
        let created = Operation::Change(Change::MessageCreated {
            message: Box::new(scheduled),
            farewell: None,
        });
        let used = "usage_days";
        assert_eq!(
            applied((&mut *db, context(false)), created, used).await,
            (true, 0)
        );
        for repeated in [false, true] {
            let released = Operation::Change(Change::MessageReleased {
                message: Box::new(sending.clone()),
                farewell: None,
            });
            let done = applied((&mut *db, context(repeated)), released, used).await;
            assert!(done.0, "{repeated}");
        }
        let text = "SELECT CAST(SUM(n) AS BIGINT) AS n FROM usage_days";
        let sum = db.all(&Sql::new(text, args![])).await.unwrap();
        assert_eq!(sum[0].int("n").unwrap(), 1);
    }

    #[tokio::test]
    async fn a_transaction_changes_a_limited_number_of_rows() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("p.db").display());
        let mut opened = crate::connect::open(&url).await.unwrap();
        let (db, dialect) = (&mut opened.connection, opened.dialect);
        crate::migrate::migrate(db, dialect, Timestamp(0))
            .await
            .unwrap();
        let instance = InstanceSid::from_bytes([1; 16]);
        let context = Context {
            dialect,
            instance,
            repeated: false,
        };
        let of = AccountSid::from_bytes([1; 16]);
        let numbers = format!(
            "WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c \
             WHERE n < {ROWS_AT_ONCE}) SELECT n"
        );
        let filled = format!(
            "INSERT INTO outbox (event, owner, account, lane, sequence, url, method, params, \
             created, state, attempts) {numbers}, '', '{of}', n / 5, n, '', '', '', 1, 'dead', 1 \
             FROM c; \
             INSERT INTO accounts (sid, organization, friendly_name, email, status, role, \
             auth_token, created, updated) VALUES ('{of}', '', '', '', '', '', '', 1, 1); \
             INSERT INTO notifications (sid, account, lane, level, code, message, created) \
             {numbers}, '{of}', '', 0, 0, '', 1 FROM c; \
             INSERT INTO counters (account, kind, n) \
             VALUES ('{of}', 'notifications', {ROWS_AT_ONCE} + 1)"
        );
        db.run(&filled).await.unwrap();
        let replay = || {
            Operation::Change(Change::CallbacksReplayed {
                filter: Box::new(DeliveryFilter::default()),
                at: Timestamp(2),
            })
        };
        let dead = "outbox WHERE state = 'dead'";
        assert_eq!(applied((db, context), replay(), dead).await, (true, 1));
        // What has ended again meanwhile is not replayed twice.
        db.run("UPDATE outbox SET state = 'delivered' WHERE event = '0'")
            .await
            .unwrap();
        assert_eq!(applied((db, context), replay(), dead).await, (true, 0));
        assert_eq!(applied((db, context), replay(), dead).await, (false, 0));

        // Whole lanes, of five callbacks.
        let gone_since = Timestamp(1);
        let adopt = || {
            let from = String::new();
            Operation::Admin(Box::new(Admin::AdoptCallbacks { from, gone_since }))
        };
        let abandoned = "(SELECT DISTINCT lane FROM outbox \
                         WHERE state = 'pending' AND owner = '')";
        for left in [(true, 1_001), (true, 1), (true, 0), (false, 0)] {
            let (adopted, rest) = applied((db, context), adopt(), abandoned).await;
            assert_eq!((adopted, rest), left);
        }

        // Only the rows of that owner are read.
        let sql = deliveries::adopt(gone_since, "", instance);
        let plan = format!("EXPLAIN QUERY PLAN {}", sql.as_text());
        let steps = db.all(&Sql::new(plan, sql.args().to_vec())).await.unwrap();
        let steps = steps.iter().map(|step| step.text("detail").unwrap());
        let reading: Vec<String> = steps.filter(|step| step.contains("outbox")).collect();
        let by_owner =
            |step: &String| step.starts_with("SEARCH") && step.contains(" outbox_pending (owner=?");
        assert!(
            reading.len() >= 2 && reading.iter().all(by_owner),
            "{reading:?}"
        );

        let delete = || Operation::Admin(Box::new(Admin::DeleteNotifications(Some(of))));
        let (some, none) = ("notifications", "counters WHERE n = 0");
        assert_eq!(applied((db, context), delete(), some).await, (true, 1));
        assert_eq!(applied((db, context), delete(), none).await, (true, 1));
        assert_eq!(applied((db, context), delete(), some).await, (false, 0));

        db.run("UPDATE outbox SET state = 'delivered'")
            .await
            .unwrap();
        let at = Timestamp(2) + OUTBOX_MEMORY;
        for left in [true, false] {
            let alive = [Operation::Change(Change::Alive { instance, at })];
            let done = operations(db, context, &mut Counts::default(), &alive).await;
            assert_eq!(done.unwrap().leaves_old_rows, left);
            let rows = Sql::new("SELECT event FROM outbox", args![]);
            assert_eq!(db.all(&rows).await.unwrap().len(), usize::from(left));
        }
    }
}
