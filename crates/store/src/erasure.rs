//! Erasure of a person's number from the records of an account and all below it.
//!
//! **Invariant: a record keeps the number until everything that belongs to it is gone**, so an erasure that was interrupted finds
//! it again. What is not over is left as it is, and counted. Left to others: the files of recordings, and the receipt.

use model::{AccountSid, CallSid, ConferenceSid, EmailSid, MessageSid, Timestamp};

use crate::admin::Admin;
use crate::query::TREE;
use crate::row::Row;
use crate::sql::{Sql, args};
use crate::{Reason, Result, Store};

/// Records that are read together.
const AT_ONCE: i64 = 200;

/// The person, and who asks.
#[derive(Debug, Clone)]
pub struct Person {
    /// Account whose records are searched, with all below it.
    pub account: AccountSid,
    /// The spellings of the number.
    pub spellings: Vec<String>,
    /// What the records have instead of the number afterwards.
    pub pseudonym: String,
}

/// A call, message or e-mail of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Its SID.
    pub sid: String,
    /// The lanes under which its traces, callbacks and notifications are filed.
    pub lanes: Vec<String>,
    /// The conference that a call was in.
    pub conference: Option<ConferenceSid>,
    /// Whether it is over, with the calls of its family and the e-mails that it sent.
    pub is_over: bool,
}

/// What names the person in the text of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A call: its lanes, and whether it is over.
    Call {
        /// The lanes under which its traces, callbacks and notifications are filed.
        lanes: Vec<String>,
        /// Whether it is over, with the calls of its family.
        is_over: bool,
    },
    /// A notification of no call.
    Alone(String),
}

/// The columns that name a party.
const CALL_PARTIES: [&str; 4] = ["from_user", "to_user", "answered_by", "forwarded_from"];
const MESSAGE_PARTIES: [&str; 2] = ["from_user", "to_user"];
/// The columns of an e-mail that may hold a number.
const EMAIL_TEXTS: [&str; 6] = ["sender", "recipient", "cc", "bcc", "subject", "body"];

impl Person {
    /// Appends that a column names the person: the number itself, or a SIP address of it.
    fn is(&self, sql: &mut Sql, column: &str) {
        sql.text("(");
        for (at, spelling) in self.spellings.iter().enumerate() {
            let or = if at == 0 { "" } else { " OR " };
            sql.with(&format!("{or}{column} = ?"), spelling.as_str());
            for scheme in ["", "sip:", "sips:", "tel:"] {
                for end in ["@%", ";%"] {
                    let pattern = format!("{scheme}{spelling}{end}");
                    sql.with(&format!(" OR {column} LIKE ?"), pattern);
                }
            }
            sql.with(&format!(" OR {column} = ?"), format!("tel:{spelling}"));
        }
        sql.text(")");
    }

    /// Whether a text holds the number, and not as part of a longer one.
    fn is_named_in(&self, text: &str) -> bool {
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        self.spellings.iter().any(|spelling| {
            text.match_indices(spelling.as_str()).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = text[at + spelling.len()..].chars().next();
                !is_digit(before) && !is_digit(after)
            })
        })
    }

    fn is_any(&self, sql: &mut Sql, columns: &[&str]) {
        sql.text("(");
        for (at, column) in columns.iter().enumerate() {
            sql.text(if at == 0 { "" } else { " OR " });
            self.is(sql, column);
        }
        sql.text(")");
    }

    /// Appends that these columns have the pseudonym if they name the person.
    fn replace(&self, sql: &mut Sql, columns: &[&str]) {
        for (at, column) in columns.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            sql.text(&format!("{comma}{column} = CASE WHEN "));
            self.is(sql, column);
            sql.with(" THEN ?", self.pseudonym.as_str())
                .text(&format!(" ELSE {column} END"));
        }
    }
}

impl Store {
    /// Some calls of a person with SIDs after this one, in order; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn calls_of_person(
        &self,
        person: &Person,
        after: Option<&str>,
    ) -> Result<Vec<Trail>> {
        let mut sql = Sql::default();
        sql.text("SELECT sid, conference FROM calls WHERE account")
            .with(TREE, person.account)
            .with(" AND sid > ?", after.unwrap_or_default())
            .text(" AND ");
        person.is_any(&mut sql, &CALL_PARTIES);
        sql.with(" ORDER BY sid LIMIT ?", AT_ONCE);
        let read = |row: &Row| Ok((row.word::<CallSid>("sid")?, row.opt_word("conference")?));
        let mut trails = Vec::new();
        for (sid, conference) in self.many(sql, read).await? {
            let (mut lanes, has_ended) = self.lanes_of_call(sid).await?;
            let is_over = has_ended && !self.has_waiting_emails(sid).await?;
            let conference: Option<ConferenceSid> = conference;
            lanes.extend(conference.map(|conference| conference.to_string()));
            trails.push(Trail {
                sid: sid.to_string(),
                lanes,
                conference,
                is_over,
            });
        }
        Ok(trails)
    }

    /// The root of a call's family, and whether all calls between them are over.
    async fn root_of(&self, call: CallSid) -> Result<(String, bool)> {
        let sql = Sql::new(
            "WITH RECURSIVE up (sid, parent, ended, n) AS \
             (SELECT sid, parent, ended, CAST(0 AS BIGINT) FROM calls WHERE sid = $1 \
             UNION SELECT c.sid, c.parent, c.ended, up.n + 1 FROM calls c JOIN up ON c.sid = up.parent \
             WHERE up.n < 1000) \
             SELECT sid, ended FROM up ORDER BY n DESC",
            args![call],
        );
        let read = |row: &Row| Ok((row.text("sid")?, row.opt_int("ended")?));
        let up = self.many(sql, read).await?;
        let is_over = up.iter().all(|(_, ended)| ended.is_some());
        let root = up.into_iter().next().map(|(sid, _)| sid);
        Ok((root.unwrap_or_else(|| call.to_string()), is_over))
    }

    /// Some messages of a person, or of these calls, as [`Store::calls_of_person`].
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn messages_of_person(
        &self,
        person: &Person,
        after: Option<&str>,
    ) -> Result<Vec<Trail>> {
        let mut sql = Sql::default();
        sql.text("SELECT sid, call, ended FROM messages WHERE account")
            .with(TREE, person.account)
            .with(" AND sid > ?", after.unwrap_or_default())
            .text(" AND ");
        person.is_any(&mut sql, &MESSAGE_PARTIES);
        sql.with(" ORDER BY sid LIMIT ?", AT_ONCE);
        let read = |row: &Row| {
            let sid: MessageSid = row.word("sid")?;
            let call: Option<CallSid> = row.opt_word("call")?;
            Ok((sid, call, row.opt_int("ended")?.is_some()))
        };
        let mut trails = Vec::new();
        for (sid, call, has_ended) in self.many(sql, read).await? {
            // What a call's document sent is also in its trace and callbacks.
            let (mut lanes, is_over) = match call {
                Some(call) => self.lanes_of_call(call).await?,
                None => (Vec::new(), true),
            };
            lanes.push(sid.to_string());
            trails.push(Trail {
                sid: sid.to_string(),
                lanes,
                conference: None,
                is_over: is_over && has_ended,
            });
        }
        Ok(trails)
    }

    /// A call and the root of its family, and whether all calls between them are over.
    async fn lanes_of_call(&self, call: CallSid) -> Result<(Vec<String>, bool)> {
        let (root, is_over) = self.root_of(call).await?;
        let mut lanes = vec![root, call.to_string()];
        lanes.dedup();
        Ok((lanes, is_over))
    }

    /// What some notifications with the number in their text belong to, after one of them: a call that tried to reach it, or the
    /// notification alone. With the last SID that was searched; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn notifications_of_person(
        &self,
        person: &Person,
        after: Option<&str>,
    ) -> Result<(Vec<Named>, Option<String>)> {
        let mut sql = Sql::default();
        sql.text("SELECT sid, call, message FROM notifications WHERE account")
            .with(TREE, person.account)
            .with(" AND sid > ?", after.unwrap_or_default())
            .text(" AND (1 = 0");
        for spelling in &person.spellings {
            sql.with(" OR message LIKE ?", format!("%{spelling}%"));
        }
        sql.with(") ORDER BY sid LIMIT ?", AT_ONCE);
        let read = |row: &Row| {
            let is_named = person.is_named_in(&row.text("message")?);
            Ok((row.text("sid")?, row.opt_word("call")?, is_named))
        };
        let found: Vec<(String, Option<CallSid>, bool)> = self.many(sql, read).await?;
        let last = found.last().map(|(sid, ..)| sid.clone());
        let mut named = Vec::new();
        for (sid, call, _) in found.into_iter().filter(|(.., is_named)| *is_named) {
            named.push(match call {
                Some(call) => {
                    let (lanes, is_over) = self.lanes_of_call(call).await?;
                    Named::Call { lanes, is_over }
                }
                None => Named::Alone(sid),
            });
        }
        Ok((named, last))
    }

    async fn has_waiting_emails(&self, call: CallSid) -> Result<bool> {
        let sql = Sql::new(
            "SELECT sid FROM emails WHERE call = $1 AND due IS NOT NULL LIMIT 1",
            args![call],
        );
        Ok(self.first(sql, |row| row.text("sid")).await?.is_some())
    }

    /// E-mails that a call sent.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn emails_of_trail(&self, trail: &Trail) -> Result<Vec<String>> {
        let sql = Sql::new(
            "SELECT sid AS name FROM emails WHERE call = $1 AND gone IS NULL AND due IS NULL",
            args![trail.sid.as_str()],
        );
        self.many(sql, |row| row.text("name")).await
    }

    /// Some e-mails with the number in an address or in the text, with SIDs after this one, and the last SID that was
    /// searched; none after the last.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn emails_of_person(
        &self,
        person: &Person,
        after: Option<&str>,
    ) -> Result<(Vec<Trail>, Option<String>)> {
        let mut sql = Sql::default();
        sql.text(&format!(
            "SELECT sid, due, {} FROM emails WHERE account",
            EMAIL_TEXTS.join(", ")
        ))
        .with(TREE, person.account)
        .with(" AND sid > ?", after.unwrap_or_default())
        .text(" AND gone IS NULL AND (1 = 0");
        for column in EMAIL_TEXTS {
            for spelling in &person.spellings {
                sql.with(&format!(" OR {column} LIKE ?"), format!("%{spelling}%"));
            }
        }
        sql.with(") ORDER BY sid LIMIT ?", AT_ONCE);
        let read = |row: &Row| {
            let mut is_named = false;
            for column in EMAIL_TEXTS {
                is_named |= person.is_named_in(&row.text(column)?);
            }
            let sid: EmailSid = row.word("sid")?;
            let trail = Trail {
                sid: sid.to_string(),
                lanes: vec![sid.to_string()],
                conference: None,
                is_over: row.opt_time("due")?.is_none(),
            };
            Ok((trail, is_named))
        };
        let found = self.many(sql, read).await?;
        let last = found.last().map(|(trail, _)| trail.sid.clone());
        let named = found.into_iter().filter(|(_, is_named)| *is_named);
        Ok((named.map(|(trail, _)| trail).collect(), last))
    }

    /// Deletes the notifications that e-mails failed, which name their recipients; returns how many.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_failures_of_emails(&self, sids: &[String]) -> Result<u64> {
        let mut sql = Sql::default();
        sql.text(
            "SELECT n.sid AS name FROM emails e JOIN notifications n ON n.account = e.account \
             AND n.created >= e.created AND n.message LIKE '%' || e.sid || '%' \
             WHERE e.error_code IS NOT NULL AND e.sid",
        );
        crate::retention::among(&mut sql, sids);
        let found = self.many(sql, |row| row.text("name")).await?;
        self.delete_notifications(&found).await?;
        Ok(found.len() as u64)
    }

    /// Writes the pseudonym into verifications of the number and the codes that were sent, and deletes the number from the lists
    /// of safe ones. Returns how many verifications and entries of such lists there were, and how many verifications are
    /// pending, which stay.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_verifications(&self, person: &Person, now: Timestamp) -> Result<[u64; 3]> {
        let pending = |sql: &mut Sql| {
            sql.with("open IS NOT NULL AND expires > ?", now);
        };
        let of_person = |table: &str, column: &str| {
            let mut sql = Sql::default();
            sql.text(&format!("SELECT sid AS name FROM {table} WHERE account"))
                .with(TREE, person.account)
                .text(&format!(" AND {column}"));
            crate::retention::among(&mut sql, &person.spellings);
            sql
        };
        let mut waiting = of_person("verifications", "recipient");
        pending(waiting.text(" AND "));
        let waiting = self.many(waiting, |row| row.text("name")).await?;
        let mut over = of_person("verifications", "recipient");
        pending(over.text(" AND NOT ("));
        over.text(")");
        let over = self.many(over, |row| row.text("name")).await?;

        let pseudonym = person.pseudonym.as_str();
        let mut sql = Sql::default();
        sql.with("UPDATE verify_attempts SET recipient = ?", pseudonym)
            .text(" WHERE verification");
        self.execute_among(sql, &over).await?;
        let mut sql = Sql::default();
        sql.with("UPDATE verifications SET recipient = ?", pseudonym)
            .text(
                ", open = NULL, status = CASE status WHEN 'pending' THEN 'expired' ELSE status END",
            )
            .text(" WHERE sid");
        self.execute_among(sql, &over).await?;
        let safe = of_person("verify_safe", "phone_number");
        let safe = self.many(safe, |row| row.text("name")).await?;
        let delete = Sql::new("DELETE FROM verify_safe WHERE sid", Vec::new());
        self.execute_among(delete, &safe).await?;
        Ok([over.len() as u64, safe.len() as u64, waiting.len() as u64])
    }

    /// Writes the pseudonym into participants of closed sessions that mask numbers, with what names them. Returns how many there
    /// were, and how many are in sessions that are open, which stay. Interactions hold no numbers.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_participants(&self, person: &Person, now: Timestamp) -> Result<[u64; 2]> {
        self.close_expired_sessions(now).await?;
        let of_person = |condition: &str| {
            let mut sql = Sql::default();
            sql.text("SELECT sid AS name FROM mask_participants WHERE account")
                .with(TREE, person.account)
                .text(" AND phone_number");
            crate::retention::among(&mut sql, &person.spellings);
            sql.text(condition);
            sql
        };
        let open = of_person(" AND pair IS NOT NULL");
        let open = self.many(open, |row| row.text("name")).await?;
        let over = of_person(" AND pair IS NULL");
        let over = self.many(over, |row| row.text("name")).await?;
        let mut sql = Sql::default();
        sql.with(
            "UPDATE mask_participants SET phone_number = ?",
            person.pseudonym.as_str(),
        )
        .text(", name = '', pin = '' WHERE sid");
        self.execute_among(sql, &over).await?;
        Ok([over.len() as u64, open.len() as u64])
    }

    /// SIDs of the recordings of a call, and of the conference that it was in: those whose files are here, and those in a bin.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn recordings_of_trail(&self, trail: &Trail) -> Result<(Vec<String>, Vec<String>)> {
        let conference = trail.conference.map(|conference| conference.to_string());
        let conference = conference.unwrap_or_default();
        let kept = Sql::new(
            "SELECT sid AS name FROM recordings WHERE gone IS NULL AND call = $1 \
             UNION SELECT sid FROM recordings WHERE gone IS NULL AND conference = $2",
            args![trail.sid.as_str(), conference.as_str()],
        );
        let kept = self.many(kept, |row| row.text("name")).await?;
        let mut resting = Sql::default();
        resting
            .text("SELECT sid AS name FROM bin WHERE kind = 'recording'")
            .with(" AND (content LIKE ?", format!("%{}%", trail.sid));
        if conference.is_empty() {
            resting.text(")");
        } else {
            resting.with(" OR content LIKE ?)", format!("%{conference}%"));
        }
        let resting = self.many(resting, |row| row.text("name")).await?;
        Ok((kept, resting))
    }

    /// Texts of messages that a call sent, besides those to or from the person.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn messages_of_trail(&self, trail: &Trail) -> Result<Vec<String>> {
        let sql = Sql::new(
            "SELECT sid AS name FROM messages WHERE call = $1 AND gone IS NULL AND ended IS NOT NULL",
            args![trail.sid.as_str()],
        );
        self.many(sql, |row| row.text("name")).await
    }

    /// Deletes the traces, notifications and ended callbacks of lanes; returns how many of each. The last number is that of callbacks which
    /// are still to be delivered, and stay.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_lanes(&self, lanes: &[String]) -> Result<[u64; 4]> {
        let mut counts = [0; 4];
        let found = [
            ("lane", "traces", "lane", ""),
            ("sid", "notifications", "lane", ""),
            ("event", "outbox", "lane", " AND state <> 'pending'"),
            ("event", "outbox", "lane", " AND state = 'pending'"),
        ];
        for (at, (key, table, column, condition)) in found.into_iter().enumerate() {
            let mut sql = Sql::default();
            sql.text(&format!("SELECT {key} AS name FROM {table} WHERE {column}"));
            crate::retention::among(&mut sql, lanes);
            sql.text(condition);
            let mut names = self.many(sql, |row| row.text("name")).await?;
            if table == "notifications" {
                let mut sql = Sql::default();
                sql.text("SELECT sid AS name FROM notifications WHERE call");
                crate::retention::among(&mut sql, lanes);
                names.extend(self.many(sql, |row| row.text("name")).await?);
                names.sort();
                names.dedup();
            }
            counts[at] = names.len() as u64;
            match at {
                0 => self.delete_traces(&names).await?,
                1 => self.delete_notifications(&names).await?,
                2 => self.delete_callbacks(&names).await?,
                _ => {}
            }
        }
        Ok(counts)
    }

    /// Writes the pseudonym into calls that are over.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_calls(&self, person: &Person, sids: &[String]) -> Result<()> {
        let mut sql = Sql::default();
        sql.text("UPDATE calls SET caller_name = CASE WHEN ");
        person.is(&mut sql, "from_user");
        sql.text(" THEN NULL ELSE caller_name END, ");
        person.replace(&mut sql, &CALL_PARTIES);
        sql.text(
            ", dialog = NULL, farewell = NULL, sip_call_id = NULL WHERE ended IS NOT NULL AND sid",
        );
        self.execute_among(sql, sids).await
    }

    /// Writes the pseudonym into messages that are over.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_messages(&self, person: &Person, sids: &[String]) -> Result<()> {
        self.remove_bodies(sids, Reason::Erasure).await?;
        let mut sql = Sql::default();
        sql.text("UPDATE messages SET ");
        person.replace(&mut sql, &MESSAGE_PARTIES);
        // Why it failed may name whom it was for. The longest first: the others are parts of it.
        let mut spellings = person.spellings.clone();
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        let opened = "REPLACE(".repeat(spellings.len());
        sql.text(&format!(", reason = {opened}reason"));
        for spelling in spellings {
            sql.with(", ?", spelling)
                .with(", ?)", person.pseudonym.as_str());
        }
        sql.text(" WHERE ended IS NOT NULL AND sid");
        self.execute_among(sql, sids).await
    }

    /// Erases the number where it is not part of a call or message: caller ids, the audit log, kept answers to requests, and the list of
    /// what was turned away. Returns how many caller ids and entries of the audit log there were.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_elsewhere(&self, person: &Person) -> Result<[u64; 2]> {
        let mut sql = Sql::default();
        sql.text("SELECT sid AS name FROM caller_ids WHERE account")
            .with(TREE, person.account)
            .text(" AND phone_number");
        crate::retention::among(&mut sql, &person.spellings);
        let caller_ids = self.many(sql, |row| row.text("name")).await?;
        let delete = Sql::new("DELETE FROM caller_ids WHERE sid", Vec::new());
        self.execute_among(delete, &caller_ids).await?;

        let texts = ["path", "before", "after"];
        let mut entries = 0;
        // The longest first: the others are parts of it.
        let mut spellings = person.spellings.clone();
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        for spelling in &spellings {
            let mut sql = Sql::default();
            sql.text("SELECT sid AS name FROM audit WHERE account")
                .with(TREE, person.account)
                .text(" AND (");
            for (at, text) in texts.iter().enumerate() {
                let or = if at == 0 { "" } else { " OR " };
                sql.with(&format!("{or}{text} LIKE ?"), format!("%{spelling}%"));
            }
            sql.text(")");
            let found = self.many(sql, |row| row.text("name")).await?;
            entries += found.len() as u64;
            let mut sql = Sql::default();
            sql.text("UPDATE audit SET ");
            for (at, text) in texts.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                sql.with(
                    &format!("{comma}{text} = REPLACE({text}, ?"),
                    spelling.as_str(),
                )
                .with(", ?)", person.pseudonym.as_str());
            }
            sql.text(" WHERE sid");
            self.execute_among(sql, &found).await?;
        }
        let mut replies = Sql::default();
        replies
            .text("DELETE FROM replies WHERE account")
            .with(TREE, person.account)
            .text(" AND reply IS NOT NULL");
        self.administer(Admin::Execute(replies)).await?;
        let mut refusals = Sql::default();
        refusals.text("DELETE FROM refusals WHERE name");
        crate::retention::among(&mut refusals, &person.spellings);
        self.administer(Admin::Execute(refusals)).await?;
        Ok([caller_ids.len() as u64, entries])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_found_in_a_longer_one() {
        let person = Person {
            account: AccountSid::from_bytes([1; 16]),
            spellings: vec!["+49301".to_owned(), "49301".to_owned()],
            pseudonym: String::new(),
        };
        for (text, expected) in [
            ("Call from +49301.", true),
            ("49301@fax.example", true),
            ("+493012", false),
            ("0049301", false),
            ("+493012, or +49301", true),
            ("", false),
        ] {
            assert_eq!(person.is_named_in(text), expected, "{text}");
        }
    }
}
