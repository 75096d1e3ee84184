//! The bin: what was deleted rests here, and can be restored, until it is deleted for good.
//!
//! A row moves from its table to the bin and back in one transaction, with the rows that belong to it, as JSON. So
//! **nothing that reads the tables sees what is in the bin**: a number there receives no calls and its name is free, and a recording
//! there is not served. What rests outside the database stays as it is: a bought number remains with its account at the carrier
//! ([`Kind::Number`] is released when it leaves the bin for good), the file of a recording in its folder.
//!
//! A kind of row is added to the bin by a variant of [`Kind`]; the rest follows from its table. Left to others: files.

use std::sync::OnceLock;

use model::naming::Owner;
use model::{AccountSid, OrganizationSid, RecordingSid, Timestamp};
use serde_json::{Map, Value as Json};

use crate::accounts;
use crate::admin::Admin;
use crate::connection::{Connection, Failure};
use crate::counts::Counts;
use crate::filter::{Rows, Scope, Window};
use crate::inspect::Inspect;
use crate::naming::{self, Claim};
use crate::query::{Conditions, Order, TREE};
use crate::row::{Row, Value};
use crate::sql::{Arg, ROWS_AT_ONCE, Sql, Table, args};
use crate::{Result, Store, credentials, orders, organizations, rows};

static BIN: Table = Table {
    name: "bin",
    counted: false,
    columns: &["sid", "account", "kind", "name", "content", "created"],
    insert_once: OnceLock::new(),
};

/// What can be in the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An incoming phone number.
    Number,
    /// A complete recording, with its transcriptions.
    Recording,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Number, Self::Recording];

    /// The word for it in the database, the API and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Recording => "recording",
        }
    }

    /// The kind whose SIDs begin like this one.
    #[must_use]
    pub fn of_sid(sid: &str) -> Option<Self> {
        match sid.get(..2)? {
            "PN" => Some(Self::Number),
            "RE" => Some(Self::Recording),
            _ => None,
        }
    }

    const fn table(self) -> &'static Table {
        match self {
            Self::Number => &rows::NUMBERS,
            Self::Recording => &rows::RECORDINGS,
        }
    }

    /// The column with what its users call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Number => "phone_number",
            Self::Recording => "sid",
        }
    }

    /// Tables with rows that go with it, and their columns with its SID.
    const fn parts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Number => &[],
            Self::Recording => &[("transcriptions", "recording")],
        }
    }
}

/// What is in the bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// Its SID, which it keeps.
    pub sid: String,
    /// Account that it belonged to.
    pub account: AccountSid,
    /// What it is.
    pub kind: Kind,
    /// What its users call it: the number, or the SID of a recording.
    pub name: String,
    /// When it was deleted.
    pub deleted: Timestamp,
}

fn read(row: &Row) -> Result<Discarded> {
    let kind = row.text("kind")?;
    let known = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(Discarded {
        sid: row.text("sid")?,
        account: row.word("account")?,
        kind: known.ok_or_else(|| crate::row::corrupt("kind", "it is unknown"))?,
        name: row.text("name")?,
        deleted: row.time("created")?,
    })
}

/// A write of the bin, for [`Admin::Bin`].
pub(crate) enum Move {
    /// Moves a row to the bin.
    Discard(Kind, String, Timestamp),
    /// Moves it back.
    Restore(String),
    /// Deletes a row for good.
    Forget(String),
}

/// Carries out a move; `false` if there is no such row.
pub(crate) async fn apply(
    db: &mut Connection,
    counts: &mut Counts,
    repeated: bool,
    change: &Move,
) -> std::result::Result<bool, Failure> {
    let done = match change {
        Move::Discard(kind, sid, at) => discard(db, counts, *kind, (sid, *at)).await?,
        Move::Restore(sid) => restore(db, counts, sid).await?,
        // It may have been restored meanwhile: then the carrier must not take the number back.
        Move::Forget(sid) => {
            let is_gone = db.execute(BIN.delete(sid.as_str())).await? > 0;
            if is_gone {
                db.execute(orders::release(sid)).await?;
            }
            is_gone
        }
    };
    Ok(done || repeated)
}

async fn discard(
    db: &mut Connection,
    counts: &mut Counts,
    kind: Kind,
    (sid, at): (&str, Timestamp),
) -> std::result::Result<bool, Failure> {
    let table = kind.table();
    let Some(row) = select(db, table.name, "sid", sid).await?.pop() else {
        return Ok(false);
    };
    if kind == Kind::Number {
        naming::check_removal(db, sid).await?;
    }
    let (account, name) = (word(&row, "account")?, text(&row, kind.name())?);
    let mut content = Map::from_iter([(table.name.to_owned(), json_of([row]))]);
    for (part, column) in kind.parts() {
        let found = select(db, part, column, sid).await?;
        content.insert((*part).to_owned(), json_of(found));
        db.execute(delete(part, column, sid)).await?;
    }
    let content = Json::Object(content).to_string();
    let kept = BIN.insert(args![sid, account, kind.as_str(), name, content, at]);
    db.execute(kept).await?;
    db.execute(delete(table.name, "sid", sid)).await?;
    if table.counted {
        counts.add(account, table.name, -1);
    }
    Ok(true)
}

async fn restore(
    db: &mut Connection,
    counts: &mut Counts,
    sid: &str,
) -> std::result::Result<bool, Failure> {
    let Some(row) = select(db, BIN.name, "sid", sid).await?.pop() else {
        return Ok(false);
    };
    let found = read(&row).map_err(unreadable)?;
    let content: Json = serde_json::from_str(&text(&row, "content")?)
        .map_err(|error| Failure::Unreadable(error.to_string()))?;
    let table = found.kind.table();
    for (name, rows) in content.as_object().into_iter().flatten() {
        for row in rows.as_array().into_iter().flatten() {
            if found.kind == Kind::Number && name == table.name {
                let owner = owner(&found, row)?;
                organizations::check_open(db, owner.organization).await?;
                Claim::of_number_text(&found.name, owner).check(db).await?;
            } else {
                accounts::check_open(db, found.account).await?;
            }
            db.execute(insert(name, row)?).await?;
        }
    }
    if table.counted {
        counts.add(found.account, table.name, 1);
    }
    Ok(db.execute(BIN.delete(sid)).await? > 0)
}

/// Who has a number that returns.
fn owner(found: &Discarded, row: &Json) -> std::result::Result<Owner, Failure> {
    let organization = row["organization"].as_str().unwrap_or_default();
    let organization = organization
        .parse()
        .map_err(|_| Failure::Unreadable("a number in the bin has no organization".to_owned()))?;
    Ok(Owner {
        account: found.account,
        organization,
    })
}

/// Moves the numbers in the bins of an account, and of all below it, to an organization: they return to that one.
pub(crate) async fn move_numbers(
    db: &mut Connection,
    of: AccountSid,
    to: OrganizationSid,
) -> std::result::Result<(), Failure> {
    let mut sql = Sql::default();
    sql.with(
        "SELECT sid, content FROM bin WHERE kind = ?",
        Kind::Number.as_str(),
    )
    .text(" AND account")
    .with(TREE, of);
    for row in db.all(&sql).await? {
        let mut content: Json = serde_json::from_str(&text(&row, "content")?)
            .map_err(|error| Failure::Unreadable(error.to_string()))?;
        let numbers = content.get_mut(Kind::Number.table().name);
        for number in numbers.and_then(Json::as_array_mut).into_iter().flatten() {
            number["organization"] = to.to_string().into();
        }
        let mut update = Sql::default();
        update
            .with("UPDATE bin SET content = ?", content.to_string())
            .with(" WHERE sid = ?", text(&row, "sid")?);
        db.execute(update).await?;
    }
    Ok(())
}

async fn select(
    db: &mut Connection,
    table: &str,
    column: &str,
    sid: &str,
) -> std::result::Result<Vec<Row>, Failure> {
    let text = format!("SELECT * FROM {table} WHERE {column} = $1");
    db.all(&Sql::new(text, args![sid])).await
}

fn delete(table: &str, column: &str, sid: &str) -> Sql {
    Sql::new(
        format!("DELETE FROM {table} WHERE {column} = $1"),
        args![sid],
    )
}

fn text(row: &Row, column: &'static str) -> std::result::Result<String, Failure> {
    row.text(column).map_err(unreadable)
}

fn word(row: &Row, column: &'static str) -> std::result::Result<AccountSid, Failure> {
    row.word(column).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::Unreadable(error.to_string())
}

fn json_of(rows: impl IntoIterator<Item = Row>) -> Json {
    let object = |row: Row| {
        let values = row.into_named().map(|(name, value)| {
            let value = match value {
                Value::Null => Json::Null,
                Value::Int(number) => number.into(),
                Value::Text(text) => text.into(),
                Value::Blob(bytes) => Json::Array(vec![credentials::hex(&bytes).into()]),
            };
            (name, value)
        });
        Json::Object(values.collect())
    };
    rows.into_iter().map(object).collect()
}

/// Inserts a row as it was; columns that were added since then get their defaults.
fn insert(table: &str, row: &Json) -> std::result::Result<Sql, Failure> {
    let bad = || Failure::Unreadable("the bin holds a row that cannot be read".to_owned());
    let (mut columns, mut places, mut args) = (String::new(), String::new(), Vec::new());
    for (column, value) in row.as_object().ok_or_else(bad)? {
        let arg: Arg = match value {
            // A column keeps its default, which is null where there is no other.
            Json::Null => continue,
            Json::Number(number) => number.as_i64().ok_or_else(bad)?.into(),
            Json::String(text) => text.as_str().into(),
            Json::Array(hex) => {
                let text = hex.first().and_then(Json::as_str).ok_or_else(bad)?;
                crate::secret::bytes_of_hex(text).ok_or_else(bad)?.into()
            }
            Json::Bool(_) | Json::Object(_) => return Err(bad()),
        };
        args.push(arg);
        let comma = if args.len() == 1 { "" } else { ", " };
        columns += &format!("{comma}\"{column}\"");
        places += &format!("{comma}${}", args.len());
    }
    Ok(Sql::new(
        format!("INSERT INTO {table} ({columns}) VALUES ({places})"),
        args,
    ))
}

impl Store {
    /// Moves a row to the bin; `false` if there is none.
    ///
    /// # Errors
    /// [`crate::StoreError::Taken`] for a number that a client of its account is named after; otherwise as reported by the
    /// database.
    pub async fn discard(&self, kind: Kind, sid: &str, at: Timestamp) -> Result<bool> {
        self.move_in_bin(Move::Discard(kind, sid.to_owned(), at))
            .await
    }

    /// Moves a row back from the bin; `false` if it is not there.
    ///
    /// # Errors
    /// [`crate::StoreError::Taken`] or [`crate::StoreError::Duplicate`] if a number has another owner by now, and
    /// [`crate::StoreError::AccountClosed`]; otherwise as reported by the database.
    pub async fn restore(&self, sid: &str) -> Result<bool> {
        self.move_in_bin(Move::Restore(sid.to_owned())).await
    }

    /// Deletes a row from the bin for good; a bought number is released at the carrier. `false` if it is not there: perhaps it was
    /// restored, so the file of a recording must not be gone before.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget_discarded(&self, sid: &str) -> Result<bool> {
        self.move_in_bin(Move::Forget(sid.to_owned())).await
    }

    async fn move_in_bin(&self, change: Move) -> Result<bool> {
        self.administer(Admin::Bin(change)).await
    }

    /// Part of what is in the bin, the latest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn bin(&self, scope: Scope, window: &Window) -> Result<Rows<Discarded>> {
        self.newest(&BIN, Some(scope), window, |_| {}, read).await
    }

    /// Something in the bin.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn discarded(&self, sid: &str) -> Result<Option<Discarded>> {
        let mut sql = BIN.select();
        sql.with(" WHERE sid = ?", sid);
        self.first(sql, read).await
    }

    /// The number of this spelling in the bin of an account, the latest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn discarded_number(
        &self,
        account: AccountSid,
        number: &str,
    ) -> Result<Option<Discarded>> {
        let mut sql = BIN.select();
        sql.with(" WHERE name = ?", number)
            .with(" AND kind = ?", Kind::Number.as_str())
            .with(" AND account = ?", account)
            .text(" ORDER BY created DESC LIMIT 1");
        self.first(sql, read).await
    }

    /// Whether a number that is for sale rests in a bin, in this spelling or another.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn is_reserved(&self, number: &str) -> Result<bool> {
        let plain = number.trim_start_matches('+');
        let sql = Sql::new(
            "SELECT b.sid FROM bin b JOIN inventory i ON i.phone_number = $1 \
             WHERE b.kind = 'number' AND b.name IN ($1, $2) LIMIT 1",
            args![format!("+{plain}"), plain],
        );
        Ok(self.first(sql, |row| row.text("sid")).await?.is_some())
    }

    /// What was deleted before this time, the oldest first, of all accounts.
    ///
    /// - `after`: the last one of the page before
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn discarded_before(
        &self,
        kind: Kind,
        before: Timestamp,
        after: Option<&Discarded>,
    ) -> Result<Vec<Discarded>> {
        let mut sql = BIN.select();
        sql.with(" WHERE kind = ?", kind.as_str())
            .with(" AND created < ?", before);
        if let Some(after) = after {
            sql.with(" AND (created, sid) > (?", after.deleted)
                .with(", ?)", after.sid.as_str());
        }
        sql.with(" ORDER BY created, sid LIMIT ?", ROWS_AT_ONCE / 10);
        self.many(sql, read).await
    }

    /// Recordings in the bins of closed accounts, with SIDs after this one.
    ///
    /// - `of`: only those of this account and of all below it
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn discarded_recordings_of_closed_accounts(
        &self,
        of: Option<AccountSid>,
        after: Option<RecordingSid>,
        limit: i64,
    ) -> Result<Vec<RecordingSid>> {
        let mut sql = Sql::new(
            "SELECT b.sid FROM accounts a JOIN bin b ON b.account = a.sid \
             WHERE a.status = 'closed'",
            Vec::new(),
        );
        sql.with(" AND b.kind = ?", Kind::Recording.as_str());
        if let Some(of) = of {
            sql.text(" AND a.sid").with(TREE, of);
        }
        if let Some(after) = after {
            sql.with(" AND b.sid > ?", after);
        }
        sql.with(" ORDER BY b.sid LIMIT ?", limit);
        self.many(sql, |row| row.word("sid")).await
    }
}

impl Inspect {
    /// The latest in the bins of all accounts, or of one.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn bin(&self, account: Option<AccountSid>, limit: i64) -> Result<Vec<Discarded>> {
        let scope = account.map(Scope::Own);
        let selecting = Conditions::of(BIN.select(), scope).window(Order::NEWEST, 0, limit);
        self.readers.many(selecting, read).await
    }
}
