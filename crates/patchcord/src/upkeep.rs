//! Changes of stored data by the command line: `patchcord bin` and `patchcord erase`.
//!
//! **Invariant: a server never serves from its look-up caches what such a change has made wrong.** So while a server uses the
//! embedded database, that server carries the order out (`live`); otherwise it is carried out here. Servers that share
//! a database forget look-ups within seconds.

use std::path::PathBuf;

use anyhow::Result;
use model::AccountSid;
use store::{DiscardedKind, Inspect, SecretKey, Store, StoreError};

use crate::calls;
use crate::config::Config;
use crate::live;
use crate::usage::WrongUsage;

/// Carries out orders.
#[derive(Clone)]
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    /// Folder of recordings.
    pub(crate) recordings: PathBuf,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Restores what is in the bin.
    Restore(String),
    /// Deletes for good what is in the bin.
    Delete(String),
    /// Erases a number from the records of an account and all below it.
    Erase(AccountSid, String),
}

impl Order {
    /// As one line, which [`Order::of_line`] reads.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Restore(sid) => format!("restore {sid}"),
            Self::Delete(sid) => format!("delete {sid}"),
            Self::Erase(account, number) => format!("erase {account} {number}"),
        }
    }

    /// An order; `None` if the line is not one.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ')?;
        match verb {
            "restore" => Some(Self::Restore(rest.to_owned())),
            "delete" => Some(Self::Delete(rest.to_owned())),
            "erase" => {
                let (account, number) = rest.split_once(' ')?;
                Some(Self::Erase(account.parse().ok()?, number.to_owned()))
            }
            _ => None,
        }
    }
}

impl Upkeep {
    /// Carries out an order; returns what to print.
    ///
    /// # Errors
    /// [`WrongUsage`] if it cannot be carried out as things are; otherwise as the database reports.
    pub(crate) async fn carry_out(&self, order: &Order) -> Result<String> {
        match order {
            Order::Restore(sid) => self.restore(sid).await,
            Order::Delete(sid) => self.delete(sid).await,
            Order::Erase(account, number) => self.erase(*account, number).await,
        }
    }

    async fn restore(&self, sid: &str) -> Result<String> {
        let refused =
            |why: &str| Err(WrongUsage(format!("{sid} cannot be restored: {why}")).into());
        match self.store.restore(sid).await {
            Ok(true) => Ok(format!("{sid} is restored\n")),
            Ok(false) => Err(not_there(sid).into()),
            Err(StoreError::Taken(_) | StoreError::Duplicate(_)) => refused(
                "the number has been added again in the meantime, by this or another account",
            ),
            Err(StoreError::AccountClosed) => refused("its account is closed"),
            Err(error) => Err(error.into()),
        }
    }

    async fn erase(&self, account: AccountSid, number: &str) -> Result<String> {
        let found = self.store.account(account).await?;
        let found = found.ok_or_else(|| WrongUsage(format!("there is no account {account}")))?;
        let erasing = api::erase(&self.store, &self.recordings, &found, number, crate::now());
        let erased = match erasing.await {
            Ok(erased) => erased,
            Err(api::ErasureError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(WrongUsage(error.to_string()).into()),
        };
        let entry = api::note_erasure(&self.store, &erased).await?;
        let mut text = format!(
            "receipt  {entry}, in the audit log of {account}\npseudonym  {}\n",
            erased.pseudonym
        );
        for (kind, count) in &erased.counts {
            text += &format!("{}  {count}\n", kind.replace('_', " "));
        }
        if erased.count("not_over") > 0 {
            text += "Some calls, messages, e-mails, verifications or sessions with masked numbers are not over: repeat the command later.\n";
        }
        Ok(text)
    }

    async fn delete(&self, sid: &str) -> Result<String> {
        let found = self.store.discarded(sid).await?;
        let found = found.ok_or_else(|| not_there(sid))?;
        match api::delete_discarded(&self.store, &self.recordings, &found).await? {
            api::Gone::Deleted => Ok(format!("{sid} is permanently deleted\n")),
            api::Gone::NotThere => Err(not_there(sid).into()),
            api::Gone::Kept(error) => Err(WrongUsage(format!(
                "the file of {sid} cannot be removed from {}: {error}",
                self.recordings.display()
            ))
            .into()),
        }
    }
}

fn not_there(sid: &str) -> WrongUsage {
    WrongUsage(format!(
        "{sid} is not in the bin; `patchcord bin list` shows what is"
    ))
}

/// Has an order carried out, by the server that uses the database or here.
///
/// # Errors
/// As [`Upkeep::carry_out`].
pub(crate) async fn run(config: &Config, order: &Order) -> Result<String> {
    let inspect = calls::open(config).await?;
    if inspect.is_in_use() {
        return live::order(&config.server.data, order).await;
    }
    drop(inspect);
    let key = match &config.server.secret_key {
        Some(key) => SecretKey::from_hex(key.expose())?,
        None => SecretKey::load_or_create(&config.server.data)?,
    };
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!(
            "sqlite:{}",
            config.server.data.join("patchcord.db").display()
        ),
    };
    let store = Store::open(&url, key).await?;
    let upkeep = Upkeep {
        store: store.clone(),
        recordings: config.server.data.join(crate::archive::RECORDINGS),
    };
    let done = upkeep.carry_out(order).await;
    store.close().await;
    done
}

/// Lists the latest in the bins of all accounts, or of one.
///
/// # Errors
/// As the database reports.
pub(crate) async fn list(
    config: &Config,
    account: Option<AccountSid>,
    limit: i64,
) -> Result<String> {
    let inspect: Inspect = calls::open(config).await?;
    let found = inspect.bin(account, limit).await?;
    if found.is_empty() {
        return Ok("the bin is empty\n".to_owned());
    }
    let lifetime = std::time::Duration::from_secs(u64::from(config.retention.bin_days) * 86_400);
    let line = |item: &store::Discarded| {
        let name = match item.kind {
            DiscardedKind::Number | DiscardedKind::Gateway => item.name.as_str(),
            DiscardedKind::Recording => "",
        };
        format!(
            "{}  {:9}  {}  deleted {}  until {}  {name}\n",
            item.sid,
            item.kind.as_str(),
            item.account,
            item.deleted.iso8601(),
            (item.deleted + lifetime).iso8601()
        )
    };
    Ok(found.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_lines() {
        for order in [
            Order::Restore("PN1".to_owned()),
            Order::Delete("RE1".to_owned()),
            Order::Erase(AccountSid::from_bytes([1; 16]), "+49 30 1".to_owned()),
        ] {
            assert_eq!(Order::of_line(&order.line()), Some(order));
        }
        for other in ["CA0123", "", "show CA1"] {
            assert_eq!(Order::of_line(other), None, "{other}");
        }
    }
}
