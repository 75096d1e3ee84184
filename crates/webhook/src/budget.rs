//! Memory for the sound files that are fetched and decoded at the moment.
//!
//! **Invariant: at most so many bytes are reserved, in total and by one customer.** A file that needs more than a
//! customer may have gets all that it may have, so it is alone. Requests are served in order, the customer's own
//! limit first, so that a customer that waits for itself takes nothing from others. Files that grow may wait for
//! each other; the one that has waited longest gives up, and the others get its memory. Left to others: which
//! accounts are one customer.

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
    per_customer: u32,
    patience: Duration,
    customers: Mutex<BTreeMap<AccountSid, Weak<Semaphore>>>,
}

/// Bytes that are reserved until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    own: OwnedSemaphorePermit,
    total: OwnedSemaphorePermit,
}

/// There was no room in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

impl Budget {
    /// - `total`, `per_customer`: bytes.
    #[must_use]
    pub fn new(total: u64, per_customer: u64) -> Self {
        Self::with_patience(total, per_customer, PATIENCE)
    }

    fn with_patience(total: u64, per_customer: u64, patience: Duration) -> Self {
        let units = |bytes: u64| {
            u32::try_from(bytes / UNIT as u64)
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let total = units(total);
        Self(Arc::new(Inner {
            total: Arc::new(Semaphore::new(total as usize)),
            per_customer: units(per_customer).min(total),
            patience,
            customers: Mutex::default(),
        }))
    }

    /// Reserves bytes, or what the customer may have at most.
    ///
    /// - `customer`: whose share they are of: an account that stands for its sub-accounts
    ///
    /// # Errors
    /// [`NoRoom`] if others need them for too long.
    pub async fn reserve(&self, customer: AccountSid, bytes: usize) -> Result<Reserved, NoRoom> {
        let (own, total) = self.take(self.of(customer), self.units(bytes)).await?;
        Ok(Reserved {
            budget: self.clone(),
            own,
            total,
        })
    }

    async fn take(
        &self,
        own: Arc<Semaphore>,
        units: u32,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), NoRoom> {
        let total = Arc::clone(&self.0.total);
        let both = async {
            let own = own.acquire_many_owned(units).await.ok()?;
            let total = total.acquire_many_owned(units).await.ok()?;
            Some((own, total))
        };
        match tokio::time::timeout(self.0.patience, both).await {
            Ok(Some(both)) => Ok(both),
            Ok(None) | Err(_) => Err(NoRoom),
        }
    }

    fn units(&self, bytes: usize) -> u32 {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        units.clamp(1, self.0.per_customer)
    }

    fn of(&self, customer: AccountSid) -> Arc<Semaphore> {
        let mut customers = self
            .0
            .customers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = customers.get(&customer).and_then(Weak::upgrade) {
            return own;
        }
        customers.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.0.per_customer as usize));
        customers.insert(customer, Arc::downgrade(&own));
        own
    }
}

impl Reserved {
    /// Takes what is missing up to these bytes, or to what the customer may have at most. Takes at least as much as
    /// there is already, so that a file that arrives in small pieces does so seldom.
    ///
    /// - `most`: bytes that will never be exceeded
    ///
    /// # Errors
    /// [`NoRoom`] if others need them for too long.
    pub(crate) async fn grow(&mut self, bytes: usize, most: usize) -> Result<(), NoRoom> {
        let held = self.own.num_permits();
        if bytes <= held * UNIT {
            return Ok(());
        }
        let units = self.budget.units(bytes.max(2 * held * UNIT).min(most));
        let missing = (units as usize).saturating_sub(held);
        let Some(missing) = u32::try_from(missing).ok().filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let own = Arc::clone(self.own.semaphore());
        let (own, total) = self.budget.take(own, missing).await?;
        self.own.merge(own);
        self.total.merge(total);
        Ok(())
    }

    /// Gives back what is more than these bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let keep = bytes.div_ceil(UNIT).max(1);
        for permit in [&mut self.own, &mut self.total] {
            let surplus = permit.num_permits().saturating_sub(keep);
            drop(permit.split(surplus));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn customer(number: u8) -> AccountSid {
        AccountSid::from_bytes([number; 16])
    }

    const SOON: Duration = Duration::from_millis(100);

    fn budget() -> Budget {
        Budget::with_patience(100 * KIB as u64, 60 * KIB as u64, SOON)
    }

    /// Whether there is room soon.
    async fn fits(budget: &Budget, number: u8, bytes: usize) -> Option<Reserved> {
        budget.reserve(customer(number), bytes).await.ok()
    }

    #[tokio::test]
    async fn no_customer_takes_more_than_its_share() {
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
        let held = budget.reserve(customer(1), 60 * KIB).await.unwrap();
        assert_eq!(budget.reserve(customer(1), 1).await.err(), Some(NoRoom));
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(customer(1), 60 * KIB).await.is_ok() }
        });
        tokio::time::sleep(SOON / 5).await;
        drop(held);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_file_takes_memory_as_it_grows() {
        let budget = budget();
        let mut file = budget.reserve(customer(1), 10 * KIB).await.unwrap();
        let most = 1000 * KIB;
        assert_eq!(file.grow(11 * KIB, most).await, Ok(()));
        assert!(
            fits(&budget, 1, 41 * KIB).await.is_none(),
            "20 KiB are held"
        );
        assert!(fits(&budget, 1, 40 * KIB).await.is_some());
        assert_eq!(file.grow(21 * KIB, 25 * KIB).await, Ok(()));
        assert!(fits(&budget, 1, 35 * KIB).await.is_some(), "25 are enough");
        let other = budget.reserve(customer(1), 30 * KIB).await.unwrap();
        assert_eq!(file.grow(31 * KIB, most).await, Err(NoRoom));
        drop(other);
        assert_eq!(file.grow(31 * KIB, most).await, Ok(()));
        assert_eq!(file.grow(500 * KIB, most).await, Ok(()), "all it may have");
        assert_eq!(file.grow(501 * KIB, most).await, Ok(()));
        assert!(fits(&budget, 2, 40 * KIB).await.is_some());
    }

    #[tokio::test]
    async fn of_files_that_wait_for_each_other_one_gives_up() {
        let budget = budget();
        let grow = |after: Duration| {
            let budget = budget.clone();
            async move {
                let mut file = budget.reserve(customer(1), 30 * KIB).await.unwrap();
                tokio::time::sleep(after).await;
                file.grow(40 * KIB, 40 * KIB).await.is_ok()
            }
        };
        let both = tokio::join!(grow(Duration::ZERO), grow(SOON / 2));
        assert_eq!(both, (false, true));
    }
}
