//! Calls and texts between participants.
//!
//! **Invariant: an interaction is recorded in the transaction that records the call or text which arrived, and ends once**, with
//! the callback that reports it: from the records of its calls or messages, so it ends also if a server died. If a service limits
//! the interactions of a session, each is counted before it begins ([`Store::take_mask_turn`]), so that those which arrive at the
//! same moment are never more than the limit.

use std::time::Duration;

use ::masking::{Interaction, Session, State};
use model::record::Callback;
use model::{InteractionSid, MaskSessionSid, MessageSid, Timestamp};

use super::rows::{INTERACTIONS, SERVICES, interaction_args, read_interaction, read_service};
use crate::admin::Admin;
use crate::connection::{Connection, Failure};
use crate::filter::{Rows, Scope, Window};
use crate::query::Conditions;
use crate::row::Row;
use crate::sql::{Sql, args};
use crate::{Result, Store};

/// Interactions that are read together.
const AT_ONCE: i64 = 200;
/// How long after a text arrived there must be a message to the other participant.
const PATIENCE: Duration = Duration::from_secs(120);

/// The time when a session ends, as a column, after an interaction at `$2`.
const NEXT_END: &str = "CASE WHEN expiry IS NOT NULL THEN expiry \
    WHEN ttl_s > 0 THEN CAST($2 AS BIGINT) + ttl_s * 1000000 END";

/// An interaction whose calls or messages are over, with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended(pub Interaction);

/// Adds an interaction, unless it is there.
pub(crate) fn insert_interaction(one: &Interaction) -> Sql {
    INTERACTIONS.insert_once(interaction_args(one))
}

/// Records an interaction, and that its session is in progress. It is counted, unless it has been already.
pub(crate) async fn add_interaction(
    db: &mut Connection,
    one: &Interaction,
) -> std::result::Result<bool, Failure> {
    if db.execute(insert_interaction(one)).await? == 0 {
        return Ok(false);
    }
    let mut service: Sql = SERVICES.select();
    service.with(" WHERE sid = ?", one.service);
    let service = db.all(&service).await?;
    let service = service.first().map(read_service).transpose();
    let service = service.map_err(|error| Failure::Unreadable(error.to_string()))?;
    let is_counted = service.is_some_and(|service| service.settings.max_interactions > 0);
    let more = i64::from(!is_counted);
    let text = format!(
        "UPDATE mask_sessions SET interactions = interactions + {more}, status = 'in-progress', \
         started = COALESCE(started, $2), last = $2, expires = {NEXT_END}, \
         updated = CASE WHEN updated >= $2 THEN updated + 1 ELSE $2 END \
         WHERE sid = $1 AND status <> 'closed'"
    );
    db.execute(Sql::new(text, args![one.session, one.created]))
        .await?;
    Ok(true)
}

/// The message to the other participant is stored.
pub(crate) fn name_outbound(sid: InteractionSid, message: MessageSid, at: Timestamp) -> Sql {
    Sql::new(
        "UPDATE mask_interactions SET outbound = $2, updated = $3 WHERE sid = $1 AND ended IS NULL",
        args![sid, message, at],
    )
}

impl Store {
    /// Counts an interaction of a session that may have only so many; `false` if it has had them all, or is closed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn take_mask_turn(
        &self,
        session: MaskSessionSid,
        limit: i64,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = Sql::new(
            "UPDATE mask_sessions SET interactions = interactions + 1, \
             updated = CASE WHEN updated >= $2 THEN updated + 1 ELSE $2 END \
             WHERE sid = $1 AND status <> 'closed' AND interactions < $3",
            args![session, now, limit],
        );
        self.administer(Admin::Change(sql)).await
    }

    /// The interactions of a session, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_interactions(
        &self,
        session: &Session,
        window: &Window,
    ) -> Result<Rows<Interaction>> {
        let scope = Some(Scope::Own(session.account));
        let fill = |conditions: &mut Conditions| {
            conditions.add(" AND session = ?", session.sid);
        };
        self.newest(&INTERACTIONS, scope, window, fill, read_interaction)
            .await
    }

    /// An interaction.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn mask_interaction(&self, sid: InteractionSid) -> Result<Option<Interaction>> {
        self.one(&INTERACTIONS, sid, read_interaction).await
    }

    /// Deletes an interaction that has ended; `false` if it has not.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_mask_interaction(&self, sid: InteractionSid) -> Result<bool> {
        let mut sql = INTERACTIONS.delete(sid);
        sql.text(" AND ended IS NOT NULL");
        self.administer(Admin::Change(sql)).await
    }

    /// Some interactions whose calls or messages are over, with their ends, which are not stored yet.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn interactions_to_end(&self, now: Timestamp) -> Result<Vec<Ended>> {
        let of_calls = Sql::new(
            format!(
                "SELECT {own}, c.status AS status_in, o.sid AS sid_out, o.status AS status_out, \
                 o.duration_s AS talk FROM mask_interactions i \
                 LEFT JOIN calls c ON c.sid = i.inbound \
                 LEFT JOIN calls o ON o.sid = (SELECT MAX(sid) FROM calls WHERE parent = i.inbound) \
                 WHERE i.ended IS NULL AND i.kind = 'voice' AND (c.sid IS NULL OR c.ended IS NOT NULL) \
                 AND (o.sid IS NULL OR o.ended IS NOT NULL) ORDER BY i.created, i.sid LIMIT {AT_ONCE}",
                own = own_columns(),
            ),
            Vec::new(),
        );
        let of_messages = Sql::new(
            format!(
                "SELECT {own}, m.status AS status_in, o.sid AS sid_out, o.status AS status_out, \
                 CAST(NULL AS BIGINT) AS talk FROM mask_interactions i \
                 LEFT JOIN messages m ON m.sid = i.inbound \
                 LEFT JOIN messages o ON o.sid = i.outbound \
                 WHERE i.ended IS NULL AND i.kind = 'message' AND (o.ended IS NOT NULL \
                 OR i.outbound IS NOT NULL AND o.sid IS NULL \
                 OR i.outbound IS NULL AND i.created < $1 AND (m.sid IS NULL OR m.ended IS NOT NULL)) \
                 ORDER BY i.created, i.sid LIMIT {AT_ONCE}",
                own = own_columns(),
            ),
            args![now - PATIENCE],
        );
        let mut ended = self.many(of_calls, |row| read_ended(row, now)).await?;
        ended.extend(self.many(of_messages, |row| read_ended(row, now)).await?);
        Ok(ended)
    }

    /// Stores the end of an interaction with the callback about it; `false` if another server has stored it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn end_interaction(
        &self,
        ended: &Ended,
        callback: Option<&Callback>,
    ) -> Result<bool> {
        let one = &ended.0;
        let update = Sql::new(
            "UPDATE mask_interactions SET inbound_status = $2, outbound = $3, outbound_status = $4, \
             state = $5, duration_s = $6, updated = $7, ended = $7 WHERE sid = $1 AND ended IS NULL",
            args![
                one.sid,
                one.inbound_status.clone(),
                one.outbound.clone(),
                one.outbound_status.clone(),
                one.state.as_str(),
                one.duration_s,
                one.updated
            ],
        );
        let touch = Sql::new(
            format!(
                "UPDATE mask_sessions SET last = $2, expires = {NEXT_END}, \
                 updated = CASE WHEN updated >= $2 THEN updated + 1 ELSE $2 END \
                 WHERE sid = $1 AND status <> 'closed'"
            ),
            args![one.session, one.updated],
        );
        let update = match callback {
            Some(callback) => Admin::Fire(update, Box::new(callback.clone())),
            None => Admin::Change(update),
        };
        let ended = self.administer(update).await?;
        if ended {
            self.administer(Admin::Execute(touch)).await?;
        }
        Ok(ended)
    }
}

/// The columns of an interaction, of the table `i`.
fn own_columns() -> String {
    let named: Vec<String> = INTERACTIONS
        .columns
        .iter()
        .map(|column| format!("i.{column}"))
        .collect();
    named.join(", ")
}

fn read_ended(row: &Row, now: Timestamp) -> Result<Ended> {
    let mut one = read_interaction(row)?;
    one.inbound_status = row.opt_text("status_in")?;
    if let Some(outbound) = row.opt_text("sid_out")? {
        one.outbound = Some(outbound);
    }
    one.outbound_status = row.opt_text("status_out")?;
    let was_reached = matches!(
        one.outbound_status.as_deref(),
        Some("completed" | "sent" | "delivered")
    );
    one.state = if was_reached {
        State::Completed
    } else {
        State::Failed
    };
    one.duration_s = row.opt_int("talk")?.filter(|_| was_reached);
    one.updated = now;
    one.ended = Some(now);
    Ok(Ended(one))
}
