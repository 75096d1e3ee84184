//! Opt-outs of recipients, and what accounts do with keywords.
//!
//! **Invariant: an opt-out outlives the erasure of the person's data**: the recipient is then known by a signature of the number
//! only, with which every number that is looked up is compared.

use std::sync::OnceLock;

use model::opt_out::{OptOut, OptOutSettings, Replies, party};
use model::{AccountSid, OptOutSid, Timestamp};

use crate::admin::Admin;
use crate::filter::{Rows, Scope, Window};
use crate::query::Conditions;
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};
use crate::{Result, Store};

static OPT_OUTS: Table = Table {
    name: "opt_outs",
    counted: false,
    columns: &[
        "sid",
        "account",
        "number",
        "recipient",
        "keyword",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

static SETTINGS: Table = Table {
    name: "opt_out_settings",
    counted: false,
    columns: &[
        "account",
        "keywords",
        "stop_reply",
        "start_reply",
        "help_reply",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args_of(opt_out: &OptOut) -> Vec<Arg> {
    args![
        opt_out.sid,
        opt_out.account,
        opt_out.number.as_str(),
        opt_out.recipient.as_str(),
        opt_out.keyword.clone(),
        opt_out.created,
        opt_out.updated
    ]
}

fn read(row: &Row) -> Result<OptOut> {
    Ok(OptOut {
        sid: row.word("sid")?,
        account: row.word("account")?,
        number: row.text("number")?,
        recipient: row.text("recipient")?,
        keyword: row.opt_text("keyword")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn read_settings(row: &Row) -> Result<OptOutSettings> {
    Ok(OptOutSettings {
        keywords: row.opt_int("keywords")?.map(|flag| flag != 0),
        replies: Replies {
            stop: row.opt_text("stop_reply")?,
            start: row.opt_text("start_reply")?,
            help: row.opt_text("help_reply")?,
        },
    })
}

/// Selects opt-outs of an account.
#[derive(Debug, Clone)]
pub struct OptOutFilter {
    /// The owner.
    pub account: AccountSid,
    /// Exactly this number.
    pub number: Option<String>,
    /// Exactly this recipient.
    pub recipient: Option<String>,
    /// Part of the list.
    pub window: Window,
}

/// The statement of [`crate::Change::OptedOut`].
pub(crate) fn insert(opt_out: &OptOut) -> Sql {
    let mut sql = OPT_OUTS.insert(args_of(opt_out));
    sql.text(" ON CONFLICT (account, number, recipient) DO NOTHING");
    sql
}

/// The statement of [`crate::Change::OptedIn`].
pub(crate) fn remove(sids: &[OptOutSid]) -> Sql {
    let mut sql = Sql::default();
    sql.text("DELETE FROM opt_outs WHERE sid").among(sids);
    sql
}

impl Store {
    /// A recipient as opt-outs name it: in the clear, and after its data was erased.
    ///
    /// - `recipient`: in any spelling
    #[must_use]
    pub fn opt_out_names(&self, recipient: &str) -> [String; 2] {
        let recipient = party(recipient);
        let erased = self.key().sign("opt-out", &recipient);
        [recipient, format!("erased:{erased}")]
    }

    /// The opt-outs of a recipient from a number: one, or two if the data of the person was erased before the last STOP.
    ///
    /// - `number`, `recipient`: in any spelling
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn opt_outs_between(
        &self,
        account: AccountSid,
        number: &str,
        recipient: &str,
    ) -> Result<Vec<OptOutSid>> {
        let mut sql = Sql::default();
        sql.with("SELECT sid FROM opt_outs WHERE account = ?", account)
            .with(" AND number = ?", party(number))
            .text(" AND recipient");
        crate::retention::among(&mut sql, &self.opt_out_names(recipient));
        self.many(sql, |row| row.word("sid")).await
    }

    /// Whether a recipient wants no texts from a number.
    ///
    /// - `number`, `recipient`: in any spelling
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn is_opted_out(
        &self,
        account: AccountSid,
        number: &str,
        recipient: &str,
    ) -> Result<bool> {
        let found = self.opt_outs_between(account, number, recipient).await?;
        Ok(!found.is_empty())
    }

    /// Opt-outs that a filter matches, newest first.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn opt_outs(&self, filter: &OptOutFilter) -> Result<Rows<OptOut>> {
        let names = filter
            .recipient
            .as_ref()
            .map(|text| self.opt_out_names(text));
        let fill = |conditions: &mut Conditions| {
            if let Some(number) = &filter.number {
                conditions.add(" AND number = ?", party(number));
            }
            if let Some(names) = &names {
                let [plain, erased] = names;
                conditions.add(" AND (recipient = ?", plain.as_str());
                conditions.add(" OR recipient = ?)", erased.as_str());
            }
        };
        let scope = Some(Scope::Own(filter.account));
        self.newest(&OPT_OUTS, scope, &filter.window, fill, read)
            .await
    }

    /// An opt-out.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn opt_out(&self, sid: OptOutSid) -> Result<Option<OptOut>> {
        self.one(&OPT_OUTS, sid, read).await
    }

    /// Adds an opt-out.
    ///
    /// # Errors
    /// [`crate::StoreError::Duplicate`] if there is one of this pair,
    /// [`crate::StoreError::AccountClosed`] if its account is closed.
    pub async fn insert_opt_out(&self, opt_out: &OptOut) -> Result<()> {
        let insert = Admin::InsertOwned(opt_out.account, &OPT_OUTS, args_of(opt_out));
        self.administer(insert).await.map(drop)
    }

    /// Deletes an opt-out; `false` if it did not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_opt_out(&self, sid: OptOutSid) -> Result<bool> {
        self.administer(Admin::Change(OPT_OUTS.delete(sid))).await
    }

    /// What an account does with keywords.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn opt_out_settings(&self, account: AccountSid) -> Result<OptOutSettings> {
        let found = self.one(&SETTINGS, account, read_settings).await?;
        Ok(found.unwrap_or_default())
    }

    /// Sets what an account does with keywords.
    ///
    /// # Errors
    /// [`crate::StoreError::AccountClosed`], or as reported by the database.
    pub async fn set_opt_out_settings(
        &self,
        account: AccountSid,
        settings: &OptOutSettings,
        at: Timestamp,
    ) -> Result<()> {
        let replies = &settings.replies;
        let mut sql = SETTINGS.insert(args![
            account,
            settings.keywords.map(i64::from),
            replies.stop.clone(),
            replies.start.clone(),
            replies.help.clone(),
            at
        ]);
        let sets: Vec<_> = SETTINGS.columns[1..]
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        sql.text(" ON CONFLICT (account) DO UPDATE SET ")
            .text(&sets.join(", "));
        let write = Admin::InsertInto(account, sql);
        self.administer(write).await.map(drop)
    }

    /// Hides a person in the opt-outs of an account and those below it, which still hold. Returns how many there were.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn erase_opt_outs(&self, person: &crate::Person) -> Result<u64> {
        let mut names: Vec<String> = person.spellings.iter().map(|text| party(text)).collect();
        names.sort_unstable();
        names.dedup();
        let mut count = 0;
        for name in names {
            let [_, erased] = self.opt_out_names(&name);
            let mut sql = Sql::default();
            sql.text("SELECT sid AS name FROM opt_outs WHERE account")
                .with(crate::query::TREE, person.account)
                .with(" AND recipient = ?", name.as_str());
            let found = self.many(sql, |row| row.text("name")).await?;
            count += found.len() as u64;
            // One that was erased before makes way.
            let mut double = Sql::default();
            double
                .with("DELETE FROM opt_outs WHERE recipient = ?", erased.as_str())
                .text(" AND EXISTS (SELECT 1 FROM opt_outs o WHERE o.account = opt_outs.account AND o.number = opt_outs.number")
                .with(" AND o.recipient = ?)", name.as_str());
            self.administer(Admin::Execute(double)).await?;
            let mut sql = Sql::default();
            sql.with("UPDATE opt_outs SET recipient = ?", erased)
                .text(" WHERE sid");
            self.execute_among(sql, &found).await?;
        }
        Ok(count)
    }
}
