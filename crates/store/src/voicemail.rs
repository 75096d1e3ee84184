//! Voicemail boxes and their messages.
//!
//! **Invariant: a message is delivered once**: the statement that makes it new also stores its callback, and has an effect only while
//! it is pending. What follows, an e-mail and a transcript, is marked in its row until it is done, so it is done also if a server
//! died.

use std::sync::OnceLock;

use ::voicemail::{Settings, State, Voicemail, VoicemailBox};
use model::record::Callback;
use model::{AccountSid, EmailSid, Timestamp, VoicemailBoxSid, VoicemailSid};

use crate::admin::Admin;
use crate::erasure::Person;
use crate::filter::{Rows, Scope, Window};
use crate::query::{Conditions, TREE};
use crate::row::{Row, corrupt};
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

/// Messages that are read together.
const AT_ONCE: i64 = 200;

static BOXES: Table = Table {
    name: "voicemail_boxes",
    counted: false,
    columns: &[
        "sid", "account", "name", "client", "pin", "settings", "created", "updated",
    ],
    insert_once: OnceLock::new(),
};

static MESSAGES: Table = Table {
    name: "voicemail_messages",
    counted: false,
    columns: &[
        "sid",
        "account",
        "mailbox",
        "call",
        "recording",
        "source",
        "target",
        "reason",
        "state",
        "ready",
        "duration_s",
        "transcript",
        "to_transcribe",
        "mail_due",
        "email",
        "delete_after_mail",
        "created",
        "updated",
        "heard",
    ],
    insert_once: OnceLock::new(),
};

/// Selects messages of a box.
#[derive(Debug, Clone)]
pub struct VoicemailFilter<'a> {
    /// The box.
    pub mailbox: &'a VoicemailBox,
    /// Only those with this status; otherwise those that its owner can hear.
    pub state: Option<State>,
    /// Whole caller.
    pub from: Option<String>,
    /// Left then or later.
    pub created_from: Option<Timestamp>,
    /// Left then or earlier.
    pub created_until: Option<Timestamp>,
    /// Part of the list.
    pub window: Window,
}

fn box_args(one: &VoicemailBox) -> Vec<Arg> {
    // It has no map whose keys are not texts, so it can always be written.
    let settings = serde_json::to_string(&one.settings).unwrap_or_default();
    args![
        one.sid,
        one.account,
        one.name.as_str(),
        one.client.clone(),
        one.pin.clone(),
        settings,
        one.created,
        one.updated
    ]
}

fn read_box(row: &Row) -> Result<VoicemailBox> {
    let settings: Settings =
        serde_json::from_str(&row.text("settings")?).map_err(|error| corrupt("settings", error))?;
    Ok(VoicemailBox {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        client: row.opt_text("client")?,
        pin: row.opt_text("pin")?,
        settings,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn message_args(one: &Voicemail) -> Vec<Arg> {
    args![
        one.sid,
        one.account,
        one.mailbox,
        one.call,
        one.recording,
        one.from.as_str(),
        one.to.as_str(),
        one.case.as_str(),
        one.state.as_str(),
        one.ready,
        one.duration_s,
        one.transcript.clone(),
        one.to_transcribe,
        one.mail_due,
        one.email,
        one.delete_after_mail,
        one.created,
        one.updated,
        one.heard
    ]
}

fn read_message(row: &Row) -> Result<Voicemail> {
    Ok(Voicemail {
        sid: row.word("sid")?,
        account: row.word("account")?,
        mailbox: row.word("mailbox")?,
        call: row.opt_word("call")?,
        recording: row.opt_word("recording")?,
        from: row.text("source")?,
        to: row.text("target")?,
        case: row.word("reason")?,
        state: row.word("state")?,
        ready: row.flag("ready")?,
        duration_s: row.int("duration_s")?,
        transcript: row.opt_text("transcript")?,
        to_transcribe: row.flag("to_transcribe")?,
        mail_due: row.opt_time("mail_due")?,
        email: row.opt_word("email")?,
        delete_after_mail: row.flag("delete_after_mail")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        heard: row.opt_time("heard")?,
    })
}

/// The messages that a condition matches, the oldest first, some at a time.
fn some(condition: &str) -> Sql {
    let mut sql = MESSAGES.select();
    sql.text(" WHERE ").text(condition);
    sql
}

fn oldest(mut sql: Sql) -> Sql {
    sql.with(" ORDER BY created, sid LIMIT ?", AT_ONCE);
    sql
}

/// A write that a callback may go with.
fn with_callback(write: Sql, callback: Option<&Callback>) -> Admin {
    match callback {
        Some(callback) => Admin::Fire(write, Box::new(callback.clone())),
        None => Admin::Change(write),
    }
}

impl Store {
    /// Boxes of an account, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemail_boxes(
        &self,
        account: AccountSid,
        window: &Window,
    ) -> Result<Rows<VoicemailBox>> {
        let scope = Some(Scope::Own(account));
        self.newest(&BOXES, scope, window, |_| {}, read_box).await
    }

    /// A box.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemail_box(&self, sid: VoicemailBoxSid) -> Result<Option<VoicemailBox>> {
        self.one(&BOXES, sid, read_box).await
    }

    /// Some boxes after this one, in the order of their identifiers; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn all_voicemail_boxes(
        &self,
        after: Option<VoicemailBoxSid>,
    ) -> Result<Vec<VoicemailBox>> {
        let after = after.map_or_else(String::new, |sid| sid.to_string());
        let mut sql = BOXES.select();
        sql.with(" WHERE sid > ?", after)
            .with(" ORDER BY sid LIMIT ?", AT_ONCE);
        self.many(sql, read_box).await
    }

    /// Adds a box.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the account has one of that name, and
    /// [`crate::StoreError::AccountClosed`] if it is closed.
    pub async fn insert_voicemail_box(&self, one: &VoicemailBox) -> Result<()> {
        let insert = Admin::InsertOwned(one.account, &BOXES, box_args(one));
        self.administer(insert).await.map(drop)
    }

    /// Replaces a box; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if the account has another one of that name.
    pub async fn update_voicemail_box(&self, one: &VoicemailBox, read: Timestamp) -> Result<bool> {
        let update = Admin::UpdateOwned(&BOXES, box_args(one), read);
        self.administer(update).await
    }

    /// Deletes a box; its messages are left to the caller.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_voicemail_box(&self, sid: VoicemailBoxSid) -> Result<()> {
        self.administer(Admin::Change(BOXES.delete(sid)))
            .await
            .map(drop)
    }

    /// Some messages of a box, whatever their status.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_of(&self, mailbox: &VoicemailBox) -> Result<Vec<Voicemail>> {
        let mut sql = MESSAGES.select();
        sql.with(" WHERE account = ?", mailbox.account)
            .with(" AND mailbox = ?", mailbox.sid);
        self.many(oldest(sql), read_message).await
    }

    /// Some messages whose boxes do not exist any more.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn stray_voicemails(&self) -> Result<Vec<Voicemail>> {
        let sql = some(
            "NOT EXISTS (SELECT 1 FROM voicemail_boxes b WHERE b.sid = voicemail_messages.mailbox)",
        );
        self.many(oldest(sql), read_message).await
    }

    /// Messages about which no e-mail was sent in the end are not deleted on account of it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn keep_unmailed_voicemails(&self) -> Result<()> {
        let sql = Sql::new(
            "UPDATE voicemail_messages SET delete_after_mail = 0 WHERE delete_after_mail = 1 \
             AND email IS NOT NULL AND NOT EXISTS (SELECT 1 FROM emails e \
             WHERE e.sid = voicemail_messages.email AND e.status <> 'failed')",
            Vec::new(),
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// How many messages of each box are new, and how many were heard; boxes without any are left out.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemail_counts(
        &self,
        boxes: &[VoicemailBoxSid],
    ) -> Result<Vec<(VoicemailBoxSid, State, i64)>> {
        let names: Vec<String> = boxes.iter().map(ToString::to_string).collect();
        let mut sql = Sql::default();
        sql.text("SELECT mailbox, state, COUNT(*) AS n FROM voicemail_messages WHERE mailbox");
        crate::retention::among(&mut sql, &names);
        sql.text(" AND state IN ('new', 'heard') GROUP BY mailbox, state");
        let read = |row: &Row| Ok((row.word("mailbox")?, row.word("state")?, row.int("n")?));
        self.many(sql, read).await
    }

    /// Messages that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails(&self, filter: &VoicemailFilter<'_>) -> Result<Rows<Voicemail>> {
        let scope = Some(Scope::Own(filter.mailbox.account));
        let fill = |conditions: &mut Conditions| {
            conditions.add(" AND mailbox = ?", filter.mailbox.sid);
            match filter.state {
                Some(state) => conditions.add(" AND state = ?", state.as_str()),
                None => {
                    conditions.add(" AND (state = ?", State::New.as_str());
                    conditions.add(" OR state = ?)", State::Heard.as_str());
                }
            }
            if let Some(from) = &filter.from {
                conditions.add(" AND source = ?", from.as_str());
            }
            conditions.created(filter.created_from, filter.created_until);
        };
        self.newest(&MESSAGES, scope, &filter.window, fill, read_message)
            .await
    }

    /// A message.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemail(&self, sid: VoicemailSid) -> Result<Option<Voicemail>> {
        self.one(&MESSAGES, sid, read_message).await
    }

    /// The oldest message of a box with a status, or the next one after another message.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn next_voicemail(
        &self,
        mailbox: VoicemailBoxSid,
        state: State,
        after: Option<&Voicemail>,
    ) -> Result<Option<Voicemail>> {
        let mut sql = MESSAGES.select();
        sql.with(" WHERE mailbox = ?", mailbox)
            .with(" AND state = ?", state.as_str());
        if let Some(after) = after {
            sql.with(" AND (created, sid) > (?", after.created)
                .with(", ?)", after.sid);
        }
        sql.text(" ORDER BY created, sid LIMIT 1");
        self.first(sql, read_message).await
    }

    /// Adds a message, unless it is there; returns whether it was added.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn keep_voicemail(&self, one: &Voicemail) -> Result<bool> {
        let insert = MESSAGES.insert_once(message_args(one));
        self.administer(Admin::InsertInto(one.account, insert))
            .await
    }

    /// Changes the box and status of a message; `false` if it does not exist, or has changed since it was read.
    ///
    /// - `read`: its `updated` as read; the new one must be another
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn update_voicemail(&self, one: &Voicemail, read: Timestamp) -> Result<bool> {
        // Not the rest: what is done about the message meanwhile is noted there.
        let update = Sql::new(
            "UPDATE voicemail_messages SET mailbox = $2, state = $3, heard = $4, updated = $5 \
             WHERE sid = $1 AND updated = $6",
            args![
                one.sid,
                one.mailbox,
                one.state.as_str(),
                one.heard,
                one.updated,
                read
            ],
        );
        self.administer(Admin::Change(update)).await
    }

    /// Gives a pending message to its owner, with the callback about it; `false` if it is not pending.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn deliver_voicemail(
        &self,
        one: &Voicemail,
        callback: Option<&Callback>,
    ) -> Result<bool> {
        let mut update = MESSAGES.update(message_args(one));
        update.text(" AND state = 'pending'");
        self.administer(with_callback(update, callback)).await
    }

    /// Deletes a message; `false` if it does not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_voicemail(&self, sid: VoicemailSid) -> Result<bool> {
        self.administer(Admin::Change(MESSAGES.delete(sid))).await
    }

    /// A pending message can be delivered now, or is replaced by another one.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn settle_voicemail(&self, sid: VoicemailSid, replaced: bool) -> Result<()> {
        let set = if replaced {
            "state = 'replaced'"
        } else {
            "ready = 1"
        };
        let sql = Sql::new(
            format!("UPDATE voicemail_messages SET {set} WHERE sid = $1 AND state = 'pending'"),
            args![sid],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// Some pending messages that can be delivered: the caller has chosen so, or the call is over.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_to_deliver(&self) -> Result<Vec<Voicemail>> {
        let sql = some(
            "state = 'pending' AND (ready = 1 OR NOT EXISTS (SELECT 1 FROM calls c \
             WHERE c.sid = voicemail_messages.call AND c.ended IS NULL))",
        );
        self.many(oldest(sql), read_message).await
    }

    /// Some messages whose e-mails are due.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_to_mail(&self, now: Timestamp) -> Result<Vec<Voicemail>> {
        let mut sql = some("mail_due IS NOT NULL");
        sql.with(" AND mail_due <= ?", now)
            .with(" ORDER BY mail_due LIMIT ?", AT_ONCE);
        self.many(sql, read_message).await
    }

    /// The e-mail about a message is in the outbox, or there is none.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemail_is_mailed(
        &self,
        sid: VoicemailSid,
        email: Option<EmailSid>,
    ) -> Result<()> {
        let sql = Sql::new(
            "UPDATE voicemail_messages SET mail_due = NULL, email = $2, \
             delete_after_mail = CASE WHEN $2 IS NULL THEN 0 ELSE delete_after_mail END WHERE sid = $1",
            args![sid, email],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// Some messages that are to be transcribed.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_to_transcribe(&self) -> Result<Vec<Voicemail>> {
        let sql = oldest(some("to_transcribe = 1"));
        self.many(sql, read_message).await
    }

    /// What was said in a message, or that it was not understood; an e-mail that waited for it is due. `false` if another server
    /// has stored it.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn transcribe_voicemail(
        &self,
        sid: VoicemailSid,
        transcript: Option<&str>,
        callback: Option<&Callback>,
        now: Timestamp,
    ) -> Result<bool> {
        let sql = Sql::new(
            "UPDATE voicemail_messages SET transcript = $2, to_transcribe = 0, \
             mail_due = CASE WHEN mail_due IS NULL THEN NULL ELSE $3 END, \
             updated = CASE WHEN updated >= $3 THEN updated + 1 ELSE $3 END \
             WHERE sid = $1 AND to_transcribe = 1",
            args![sid, transcript.map(str::to_owned), now],
        );
        self.administer(with_callback(sql, callback)).await
    }

    /// Some messages that are to be deleted, because the mail server has accepted the e-mails about them.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_to_delete(&self) -> Result<Vec<Voicemail>> {
        let sql = some(
            "delete_after_mail = 1 AND EXISTS (SELECT 1 FROM emails e \
             WHERE e.sid = voicemail_messages.email AND e.status = 'sent')",
        );
        self.many(oldest(sql), read_message).await
    }

    /// Some empty or replaced messages whose recordings are still there.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_to_clear(&self) -> Result<Vec<Voicemail>> {
        let sql = oldest(some(
            "state IN ('empty', 'replaced') AND recording IS NOT NULL",
        ));
        self.many(sql, read_message).await
    }

    /// The recording of a message is deleted.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn clear_voicemail(&self, sid: VoicemailSid) -> Result<()> {
        let sql = Sql::new(
            "UPDATE voicemail_messages SET recording = NULL WHERE sid = $1",
            args![sid],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// Some messages of a box that were left before a time, the oldest first, except pending ones.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn voicemails_before(
        &self,
        mailbox: &VoicemailBox,
        before: Timestamp,
    ) -> Result<Vec<Voicemail>> {
        let mut sql = MESSAGES.select();
        sql.with(" WHERE account = ?", mailbox.account)
            .with(" AND mailbox = ?", mailbox.sid)
            .with(" AND created < ?", before)
            .text(" AND state <> 'pending'");
        self.many(oldest(sql), read_message).await
    }

    /// Writes the pseudonym into messages of a person, without their transcripts. Returns how many there were, and how many are
    /// not delivered or mailed yet, which stay.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_voicemails(&self, person: &Person) -> Result<[u64; 2]> {
        let of_person = |condition: &str| {
            let mut sql = Sql::default();
            sql.text("SELECT sid AS name FROM voicemail_messages WHERE account")
                .with(TREE, person.account)
                .text(" AND source");
            crate::retention::among(&mut sql, &person.spellings);
            sql.text(condition);
            sql
        };
        let waiting = of_person(" AND (state = 'pending' OR mail_due IS NOT NULL)");
        let waiting = self.many(waiting, |row| row.text("name")).await?;
        let over = of_person(" AND state <> 'pending' AND mail_due IS NULL");
        let over = self.many(over, |row| row.text("name")).await?;
        let mut sql = Sql::default();
        sql.with(
            "UPDATE voicemail_messages SET source = ?",
            person.pseudonym.as_str(),
        )
        .text(", transcript = NULL, to_transcribe = 0 WHERE sid");
        self.execute_among(sql, &over).await?;
        Ok([over.len() as u64, waiting.len() as u64])
    }
}
