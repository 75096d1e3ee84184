//! E-mails: their records, which are also the outbox that they are sent from.
//!
//! The row of a mail whose text has a secret (`Email::recorded_as`) holds what its record shows, and the text itself sealed
//! until its end. Only [`Store::claim_emails`] opens it. A row of an earlier version holds both as they are.
//!
//! A mail is claimed for one attempt at a time, with a number; `due` then says when it counts as abandoned. **Invariant:
//! the outcome of an attempt is stored only while no later one has begun, so a mail ends once.**

use std::sync::OnceLock;
use std::time::Duration;

use model::email::Email;
use model::record::Notification;
use model::{EmailSid, ServerSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Scope, Window};
use crate::row::{Row, corrupt};
use crate::secret::SecretKey;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Change, Result, Store};

pub(crate) static EMAILS: Table = Table {
    name: "emails",
    counted: false,
    columns: &[
        "sid",
        "account",
        "call",
        "sender",
        "recipient",
        "cc",
        "bcc",
        "subject",
        "body",
        "recorded_as",
        "html",
        "recordings",
        "status",
        "error_code",
        "reason",
        "created",
        "updated",
        "sent",
        "due",
        "attempts",
        "unsent",
    ],
    insert_once: OnceLock::new(),
};

/// Separates the parts of a list, which hold no control characters.
const SEPARATOR: &str = "\n";

/// A mail with the number of the attempt that it is claimed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedEmail {
    /// The mail.
    pub email: Email,
    /// Attempts begun, this one included.
    pub attempt: i64,
}

/// Who claims mails, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct EmailClaim {
    /// The server.
    pub holder: ServerSid,
    /// An attempt that takes longer was abandoned, and the mail may be claimed again.
    pub lease: Duration,
    /// The longest wait that can have been planned: a later time was written by a clock that was wrong.
    pub longest_wait: Duration,
    /// Maximum number of mails.
    pub limit: usize,
}

/// Selects e-mails.
#[derive(Debug, Clone)]
pub struct EmailFilter {
    /// The owners.
    pub scope: Scope,
    /// Whole sender.
    pub from: Option<String>,
    /// Whole recipient.
    pub to: Option<String>,
    /// Status word.
    pub status: Option<String>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Part of the list.
    pub window: Window,
}

impl EmailFilter {
    /// All e-mails of an account, newest first.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            from: None,
            to: None,
            status: None,
            created_from: None,
            created_until: None,
            window: Window::default(),
        }
    }
}

/// The values of a new row.
///
/// - `unsent`: the sealed text, if the record must not show it
pub(crate) fn args_of(email: &Email, unsent: Option<Vec<u8>>) -> Vec<Arg> {
    let recordings: Vec<String> = email.recordings.iter().map(ToString::to_string).collect();
    let (body, recorded_as) = match (&unsent, &email.recorded_as) {
        (Some(_), Some(shown)) => (shown.as_str(), None),
        _ => (email.body.as_str(), email.recorded_as.clone()),
    };
    args![
        email.sid,
        email.account,
        email.call,
        email.from.as_str(),
        email.to.as_str(),
        email.cc.join(SEPARATOR),
        email.bcc.join(SEPARATOR),
        email.subject.as_str(),
        body,
        recorded_as,
        email.html,
        recordings.join(SEPARATOR),
        email.status,
        email.error_code,
        email.reason.clone(),
        email.created,
        email.updated,
        email.sent,
        Some(email.created),
        0,
        unsent,
    ]
}

/// A mail as it is sent.
fn unsealed(row: &Row, key: &SecretKey) -> Result<Email> {
    let mut email = read(row)?;
    if let Some(sealed) = row.opt_blob("unsent")? {
        let text = String::from_utf8(key.open(&sealed, email.sid.as_bytes())?)
            .map_err(|error| corrupt("unsent", error))?;
        email.recorded_as = Some(std::mem::replace(&mut email.body, text));
    }
    Ok(email)
}

/// A mail as its record shows it.
pub(crate) fn read(row: &Row) -> Result<Email> {
    let list = |column| -> Result<Vec<String>> {
        let text = row.text(column)?;
        let parts = text.split(SEPARATOR).filter(|part| !part.is_empty());
        Ok(parts.map(str::to_owned).collect())
    };
    let recordings = list("recordings")?;
    Ok(Email {
        sid: row.word("sid")?,
        account: row.word("account")?,
        call: row.opt_word("call")?,
        from: row.text("sender")?,
        to: row.text("recipient")?,
        cc: list("cc")?,
        bcc: list("bcc")?,
        subject: row.text("subject")?,
        body: row.text("body")?,
        recorded_as: row.opt_text("recorded_as")?,
        html: row.flag("html")?,
        // Only identifiers were stored.
        recordings: recordings
            .iter()
            .filter_map(|sid| sid.parse().ok())
            .collect(),
        status: row.word("status")?,
        error_code: row.opt_small("error_code")?,
        reason: row.opt_text("reason")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        sent: row.opt_time("sent")?,
    })
}

/// The end of a mail: its record after this attempt.
pub(crate) fn end(email: &Email, attempt: i64) -> Sql {
    Sql::new(
        "UPDATE emails SET status = $3, error_code = $4, reason = $5, updated = $6, sent = $7, due = NULL, \
         body = COALESCE(recorded_as, body), recorded_as = NULL, unsent = NULL \
         WHERE sid = $1 AND attempts = $2 AND due IS NOT NULL",
        args![
            email.sid,
            attempt,
            email.status,
            email.error_code,
            email.reason.clone(),
            email.updated,
            email.sent
        ],
    )
}

impl Store {
    /// Stores an e-mail to be sent.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`] if the account is closed; otherwise as reported by the database.
    pub async fn insert_email(&self, email: &Email) -> Result<()> {
        let seal = |_: &String| self.key().seal(email.body.as_bytes(), email.sid.as_bytes());
        let unsent = email.recorded_as.as_ref().map(seal);
        let insert = Admin::InsertOwned(email.account, &EMAILS, args_of(email, unsent));
        self.administer(insert).await.map(drop)
    }

    /// Claims mails that are due, the ones due first coming first.
    ///
    /// # Errors
    /// As reported by the database; mails claimed before count as abandoned after the lease.
    pub async fn claim_emails(
        &self,
        claim: &EmailClaim,
        now: Timestamp,
    ) -> Result<Vec<ClaimedEmail>> {
        let longest = claim.longest_wait.max(claim.lease);
        let mut sql = EMAILS.select();
        sql.with(" WHERE due IS NOT NULL AND (due <= ?", now)
            .with(" OR due > ?", now + longest)
            .with(
                ") ORDER BY due LIMIT ?",
                i64::try_from(claim.limit).unwrap_or(i64::MAX),
            );
        let due = |row: &Row| {
            Ok((
                unsealed(row, self.key())?,
                row.time("due")?,
                row.int("attempts")?,
            ))
        };
        let mut claimed = Vec::new();
        for (email, due, attempts) in self.many(sql, due).await? {
            let (attempt, until) = (attempts + 1, now + claim.lease);
            let write = Sql::new(
                "UPDATE emails SET due = $4, attempts = attempts + 1, holder = $5 \
                 WHERE sid = $1 AND due = $2 AND attempts = $3",
                args![email.sid, due, attempts, until, claim.holder],
            );
            let done = Sql::new(
                "SELECT sid FROM emails WHERE sid = $1 AND attempts = $2 AND due = $3 AND holder = $4",
                args![email.sid, attempt, until, claim.holder],
            );
            if self.administer(Admin::Once { done, write }).await? {
                claimed.push(ClaimedEmail { email, attempt });
            }
        }
        Ok(claimed)
    }

    /// A mail is to be tried again.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn retry_email(&self, failed: &ClaimedEmail, due: Timestamp) -> Result<()> {
        let email = &failed.email;
        let sql = Sql::new(
            "UPDATE emails SET due = $3, error_code = $4, reason = $5, updated = $6 \
             WHERE sid = $1 AND attempts = $2 AND due IS NOT NULL",
            args![
                email.sid,
                failed.attempt,
                due,
                email.error_code,
                email.reason.clone(),
                email.updated
            ],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// A mail has ended: sent, or failed with this notification.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn end_email(
        &self,
        ended: &ClaimedEmail,
        notification: Option<Notification>,
    ) -> Result<bool> {
        let change = Change::EmailEnded {
            email: Box::new(ended.email.clone()),
            attempt: ended.attempt,
            notification: notification.map(Box::new),
        };
        Ok(self.commit(vec![change]).await?.all_applied())
    }

    /// The attempts of an earlier run of this server will report nothing any more: their mails are due again.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn release_emails(&self, holder: ServerSid, now: Timestamp) -> Result<()> {
        let sql = Sql::new(
            "UPDATE emails SET due = $2, holder = NULL WHERE holder = $1 AND due > $2",
            args![holder, now],
        );
        self.administer(Admin::Change(sql)).await.map(drop)
    }

    /// How many mails are not sent yet.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn unsent_emails(&self) -> Result<i64> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM emails WHERE due IS NOT NULL",
            Vec::new(),
        );
        Ok(self.first(sql, |row| row.int("n")).await?.unwrap_or(0))
    }

    /// An e-mail.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn email(&self, sid: EmailSid) -> Result<Option<Email>> {
        self.one(&EMAILS, sid, read).await
    }
}
