//! Refuses a client or number that another account could claim, in the transaction that adds it.
//!
//! [`model::naming`] decides which rows collide; they are read here. **Invariant: whatever is
//! requested at the same time, in whatever processes, a name or number gets one owner.**

use model::naming::{Claimant, LoginRule, Owner, collide, is_taken, login_rule};
use model::record::{Client, Number};
use model::{OrganizationSid, number};

use crate::connection::{Connection, Failure};
use crate::open;
use crate::row::Row;
use crate::sql::{Arg, Sql};

/// A row that is about to be added.
pub(crate) struct Claim {
    what: Claimant,
    text: String,
    owner: Owner,
}

impl Claim {
    pub(crate) fn of_client(client: &Client) -> Self {
        Self {
            what: Claimant::Client,
            text: client.login.clone(),
            owner: client.owner(),
        }
    }

    pub(crate) fn of_number(number: &Number) -> Self {
        Self::of_number_text(&number.phone_number, number.owner())
    }

    /// - `text`: the number as it is stored
    pub(crate) fn of_number_text(text: &str, owner: Owner) -> Self {
        Self {
            what: Claimant::Number,
            text: text.to_owned(),
            owner,
        }
    }

    pub(crate) fn new(what: Claimant, text: String, owner: Owner) -> Self {
        Self { what, text, owner }
    }

    /// Fails with [`Failure::Taken`] if another account has it, with [`Failure::AccountClosed`] if its
    /// own account is closed.
    pub(crate) async fn check(&self, db: &mut Connection) -> Result<(), Failure> {
        open::check_account(db, self.owner.account).await?;
        let own = (self.text.as_str(), self.owner);
        let spellings = number::candidates(&self.text);
        let numbers = numbers(&spellings);
        let of_another = match self.what {
            Claimant::Client => any(db, &numbers, |other| collide(own, other)).await?,
            Claimant::Number => any(db, &numbers, |other| is_taken(own, other)).await?,
        };
        if of_another {
            return Err(Failure::Taken(Claimant::Number));
        }
        if self.what == Claimant::Client && !self.has_its_number(db, &numbers).await? {
            return Err(Failure::Taken(Claimant::Number));
        }
        let clients = match self.what {
            // A login that exists already violates the unique index.
            Claimant::Client => return Ok(()),
            Claimant::Number => clients(self.owner.organization, &spellings),
        };
        if any(db, &clients, |client| collide(client, own)).await? {
            return Err(Failure::Taken(Claimant::Client));
        }
        Ok(())
    }

    /// Whether the account has the number that a login is, if it is one; the first account of an organization need not. The
    /// API refuses it with more words, but only here is it certain that the number is not being deleted.
    async fn has_its_number(&self, db: &mut Connection, numbers: &Sql) -> Result<bool, Failure> {
        if !matches!(login_rule(&self.text), LoginRule::OwnNumber(_))
            || any(db, numbers, |(_, owner)| {
                owner.account == self.owner.account
            })
            .await?
        {
            return Ok(true);
        }
        let mut sql = Sql::default();
        sql.text("SELECT sid AS account, organization, '' AS name FROM accounts")
            .with(" WHERE sid = ?", self.owner.account)
            .text(" AND (parent IS NULL OR sid = (SELECT sid FROM accounts")
            .with(" WHERE organization = ?", self.owner.organization)
            .text(" ORDER BY created, sid LIMIT 1))");
        any(db, &sql, |_| true).await
    }
}

/// Fails with [`Failure::Taken`] if a client of its account has this number as login: the client may have it only as long
/// as the account has the number, or calls to a number without an owner would reach it.
pub(crate) async fn check_removal(db: &mut Connection, number: &str) -> Result<(), Failure> {
    let mut sql = Sql::default();
    sql.text("SELECT account, organization, phone_number AS name FROM numbers")
        .with(" WHERE sid = ?", number);
    for row in db.all(&sql).await? {
        let (name, owner) = read(&row).map_err(|error| Failure::Unreadable(error.to_string()))?;
        // The account may have its clients in another organization than the number.
        let mut named = Sql::default();
        named
            .text("SELECT account, organization, login AS name FROM clients")
            .with(" WHERE account = ?", owner.account)
            .text(" AND login");
        one_of(&mut named, &number::candidates(&name));
        let needs = |(login, _): (&str, Owner)| {
            let rule = login_rule(login);
            matches!(rule, LoginRule::OwnNumber(spellings) if spellings.contains(&name))
        };
        if any(db, &named, needs).await? {
            return Err(Failure::Taken(Claimant::Client));
        }
    }
    Ok(())
}

fn numbers(spellings: &[String]) -> Sql {
    let mut sql = Sql::default();
    sql.text("SELECT account, organization, phone_number AS name FROM numbers WHERE phone_number");
    one_of(&mut sql, spellings);
    sql
}

fn clients(organization: OrganizationSid, spellings: &[String]) -> Sql {
    let mut sql = Sql::default();
    sql.text("SELECT account, organization, login AS name FROM clients")
        .with(" WHERE organization = ?", organization)
        .text(" AND login");
    one_of(&mut sql, spellings);
    sql
}

fn one_of(sql: &mut Sql, texts: &[String]) {
    for (at, text) in texts.iter().enumerate() {
        let before = if at == 0 { " IN (?" } else { ", ?" };
        sql.with(before, Arg::from(text.as_str()));
    }
    sql.text(")");
}

async fn any(
    db: &mut Connection,
    sql: &Sql,
    collides: impl Fn((&str, Owner)) -> bool,
) -> Result<bool, Failure> {
    for row in db.all(sql).await? {
        let (name, owner) = read(&row).map_err(|error| Failure::Unreadable(error.to_string()))?;
        if collides((&name, owner)) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn read(row: &Row) -> crate::Result<(String, Owner)> {
    let owner = Owner {
        account: row.word("account")?,
        organization: row.word("organization")?,
    };
    Ok((row.text("name")?, owner))
}
