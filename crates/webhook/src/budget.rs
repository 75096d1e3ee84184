//! Memory for the sound files that are fetched and decoded at the moment.
//!
//! **Invariant: at most so many bytes are reserved, in total and by one account.** A file that needs more than an
//! account may have gets all that it may have, so it is alone. Who waits is served in order, the account's own
//! limit first, so that an account that waits for itself takes nothing from others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use model::AccountSid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a file waits for memory: a caller hears nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of one permit.
const UNIT: usize = 1024;

/// A number of bytes that is shared out. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: Arc<Semaphore>,
    per_account: u32,
    patience: Duration,
    accounts: Mutex<BTreeMap<AccountSid, Weak<Semaphore>>>,
}

/// Bytes that are reserved until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    account: OwnedSemaphorePermit,
    total: OwnedSemaphorePermit,
}

/// There was no room in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

impl Budget {
    /// - `total`, `per_account`: bytes.
    #[must_use]
    pub fn new(total: u64, per_account: u64) -> Self {
        Self::with_patience(total, per_account, PATIENCE)
    }

    fn with_patience(total: u64, per_account: u64, patience: Duration) -> Self {
        let units = |bytes: u64| {
            u32::try_from(bytes / UNIT as u64)
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let total = units(total);
        Self(Arc::new(Inner {
            total: Arc::new(Semaphore::new(total as usize)),
            per_account: units(per_account).min(total),
            patience,
            accounts: Mutex::default(),
        }))
    }

    /// Reserves bytes, or what the account may have at most.
    ///
    /// # Errors
    /// [`NoRoom`] if others need them for too long.
    pub async fn reserve(&self, account: AccountSid, bytes: usize) -> Result<Reserved, NoRoom> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.0.per_account);
        let own = self.of(account);
        let total = Arc::clone(&self.0.total);
        let both = async {
            let account = own.acquire_many_owned(units).await.ok()?;
            let total = total.acquire_many_owned(units).await.ok()?;
            Some(Reserved { account, total })
        };
        match tokio::time::timeout(self.0.patience, both).await {
            Ok(Some(reserved)) => Ok(reserved),
            Ok(None) | Err(_) => Err(NoRoom),
        }
    }

    fn of(&self, account: AccountSid) -> Arc<Semaphore> {
        let mut accounts = self
            .0
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = accounts.get(&account).and_then(Weak::upgrade) {
            return own;
        }
        accounts.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.0.per_account as usize));
        accounts.insert(account, Arc::downgrade(&own));
        own
    }
}

impl Reserved {
    /// Gives back what is more than these bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT).max(1);
        for permit in [&mut self.account, &mut self.total] {
            let surplus = permit.num_permits().saturating_sub(keep);
            drop(permit.split(surplus));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn account(number: u8) -> AccountSid {
        AccountSid::from_bytes([number; 16])
    }

    const SOON: Duration = Duration::from_millis(100);

    fn budget() -> Budget {
        Budget::with_patience(100 * KIB as u64, 60 * KIB as u64, SOON)
    }

    /// Whether there is room soon.
    async fn fits(budget: &Budget, number: u8, bytes: usize) -> Option<Reserved> {
        budget.reserve(account(number), bytes).await.ok()
    }

    #[tokio::test]
    async fn no_account_takes_more_than_its_share() {
        let budget = budget();
        let first = fits(&budget, 1, 50 * KIB).await.unwrap();
        assert!(fits(&budget, 1, 11 * KIB).await.is_none(), "its own limit");
        let second = fits(&budget, 2, 50 * KIB).await.unwrap();
        assert!(fits(&budget, 3, 1).await.is_none(), "all is taken");
        drop(first);
        assert!(
            fits(&budget, 3, 1000 * KIB).await.is_none(),
            "60 are not free"
        );
        drop(second);
        let mut third = fits(&budget, 3, 1000 * KIB).await.unwrap();
        assert!(
            fits(&budget, 3, 1).await.is_none(),
            "it has all it may have"
        );
        third.shrink(10 * KIB);
        assert!(fits(&budget, 3, 50 * KIB).await.is_some());
        assert!(fits(&budget, 1, 60 * KIB).await.is_some());
    }

    #[tokio::test]
    async fn waiting_ends() {
        let budget = budget();
        let held = budget.reserve(account(1), 60 * KIB).await.unwrap();
        assert_eq!(budget.reserve(account(1), 1).await.err(), Some(NoRoom));
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(account(1), 60 * KIB).await.is_ok() }
        });
        tokio::time::sleep(SOON / 5).await;
        drop(held);
        assert!(waiting.await.unwrap());
    }
}
