//! Erasure of a person's number from the records of an account and all below it.
//!
//! **Invariant: a record keeps the number until everything that belongs to it is gone**, so an erasure that was interrupted finds
//! it again. What is not over is left as it is, and counted. Left to others: the files of recordings, and the receipt.

use model::{AccountSid, CallSid, ConferenceSid, MessageSid};

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

/// A call or message of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Its SID.
    pub sid: String,
    /// The lanes under which its traces, callbacks and notifications are filed.
    pub lanes: Vec<String>,
    /// The conference that a call was in.
    pub conference: Option<ConferenceSid>,
    /// Whether it is over, with the calls of its family.
    pub is_over: bool,
}

/// The columns that name a party.
const CALL_PARTIES: [&str; 4] = ["from_user", "to_user", "answered_by", "forwarded_from"];
const MESSAGE_PARTIES: [&str; 2] = ["from_user", "to_user"];

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
            let (root, is_over) = self.root_of(sid).await?;
            let conference: Option<ConferenceSid> = conference;
            let mut lanes = vec![root, sid.to_string()];
            lanes.extend(conference.map(|conference| conference.to_string()));
            lanes.dedup();
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
        self.many(sql, |row| {
            let sid: MessageSid = row.word("sid")?;
            Ok(Trail {
                sid: sid.to_string(),
                lanes: vec![sid.to_string()],
                conference: None,
                is_over: row.opt_int("ended")?.is_some(),
            })
        })
        .await
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
