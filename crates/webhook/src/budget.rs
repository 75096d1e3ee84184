//! Memory for the sound files that are fetched and decoded at the moment.
//!
//! **Invariant: at most so many bytes are reserved, in total and by one customer.** A file that
//! needs more than a customer may have gets all that it may have, so it is alone. A request waits
//! for at most ten seconds, and may be overtaken by others that fit for half of that time; the order
//! is in `ledger`. Files that grow may wait for each other; the one that has waited longest gives
//! up, and the others get its memory. Left to others: which accounts are one customer.

mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::AccountSid;
use tokio::sync::oneshot;

use ledger::{FileId, Ledger, RequestId};

/// How long a file waits for memory: a caller hears nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of one unit.
const UNIT: usize = 1024;

/// A number of bytes that is shared out. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    per_customer: u32,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// Those who wait for a request.
    waiters: BTreeMap<RequestId, oneshot::Sender<()>>,
}

/// Bytes that are reserved until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    file: FileId,
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
        let whole_units = |bytes: u64| {
            u32::try_from(bytes / UNIT as u64)
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let total = whole_units(total);
        let per_customer = whole_units(per_customer).min(total);
        let state = State {
            ledger: Ledger::new(total, per_customer, patience / 2),
            waiters: BTreeMap::new(),
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            per_customer,
            patience,
        }))
    }

    /// Reserves bytes, or what the customer may have at most.
    ///
    /// - `customer`: whose share they are of: an account that stands for its sub-accounts
    ///
    /// # Errors
    /// [`NoRoom`] if others need them for too long.
    pub async fn reserve(&self, customer: AccountSid, bytes: usize) -> Result<Reserved, NoRoom> {
        let reserved = Reserved {
            budget: self.clone(),
            file: self.state().ledger.open(customer),
        };
        reserved.take(bytes.max(1)).await?;
        Ok(reserved)
    }

    /// Changes the ledger, and wakes those that this serves.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        for request in state.ledger.serve(Instant::now()) {
            if let Some(waiter) = state.waiters.remove(&request) {
                let _ = waiter.send(());
            }
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// Takes what is missing up to these bytes, or to what the customer may have at most. Takes at
    /// least as much as there is already, so that a file that arrives in small pieces does so
    /// seldom.
    ///
    /// - `most`: bytes that will never be exceeded
    ///
    /// # Errors
    /// [`NoRoom`] if others need them for too long.
    pub(crate) async fn grow(&self, bytes: usize, most: usize) -> Result<(), NoRoom> {
        let held = self.bytes();
        if bytes <= held {
            return Ok(());
        }
        self.take(bytes.max(2 * held).min(most)).await
    }

    /// Gives back what is more than these bytes.
    pub(crate) fn shrink(&self, bytes: usize) {
        let units = units(bytes).max(1);
        self.budget
            .change(|state| state.ledger.shrink(self.file, units));
    }

    /// How many there are.
    pub(crate) fn bytes(&self) -> usize {
        self.budget.state().ledger.held(self.file) as usize * UNIT
    }

    /// Whether the customer may not have more.
    pub(crate) fn is_whole_share(&self) -> bool {
        self.budget.state().ledger.held(self.file) >= self.budget.0.per_customer
    }

    async fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let (served, waiter) = oneshot::channel();
        let request = self.budget.change(|state| {
            let now = Instant::now();
            let request = state.ledger.request(self.file, units(bytes), now)?;
            state.waiters.insert(request, served);
            Some(request)
        });
        let Some(request) = request else {
            return Ok(());
        };
        let waiting = Waiting {
            budget: &self.budget,
            request,
        };
        match tokio::time::timeout(self.budget.0.patience, waiter).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => waiting.give_up(),
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.change(|state| state.ledger.close(self.file));
    }
}

/// A request that is withdrawn if its caller goes away.
struct Waiting<'a> {
    budget: &'a Budget,
    request: RequestId,
}

impl Waiting<'_> {
    /// It may have been served at the last moment.
    fn give_up(&self) -> Result<(), NoRoom> {
        self.budget.change(|state| {
            state.waiters.remove(&self.request);
            match state.ledger.withdraw(self.request) {
                true => Err(NoRoom),
                false => Ok(()),
            }
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.give_up();
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
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
        let third = fits(&budget, 3, 1000 * KIB).await.unwrap();
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
        let file = budget.reserve(customer(1), 10 * KIB).await.unwrap();
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
    async fn small_requests_are_served_beside_a_large_one() {
        let budget = Budget::new(100 * KIB as u64, 60 * KIB as u64);
        let _held = fits(&budget, 1, 50 * KIB).await.unwrap();
        let mut large = std::pin::pin!(fits(&budget, 2, 60 * KIB));
        assert!(tokio::time::timeout(SOON, &mut large).await.is_err());
        let small = tokio::time::timeout(SOON, fits(&budget, 3, 10 * KIB));
        assert!(small.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_request_whose_caller_goes_away_is_withdrawn() {
        let budget = budget();
        let held = fits(&budget, 1, 60 * KIB).await.unwrap();
        let growing = fits(&budget, 2, 30 * KIB).await.unwrap();
        let grown = tokio::time::timeout(SOON / 10, growing.grow(50 * KIB, 50 * KIB));
        assert!(grown.await.is_err());
        let asked = tokio::time::timeout(SOON / 10, budget.reserve(customer(2), 30 * KIB));
        assert!(asked.await.is_err());
        drop(held);
        assert_eq!(growing.bytes(), 30 * KIB);
        assert!(budget.state().waiters.is_empty());
        assert!(fits(&budget, 2, 30 * KIB).await.is_some());
    }

    #[tokio::test]
    async fn of_files_that_wait_for_each_other_one_gives_up() {
        let budget = budget();
        let grow = |after: Duration| {
            let budget = budget.clone();
            async move {
                let file = budget.reserve(customer(1), 30 * KIB).await.unwrap();
                tokio::time::sleep(after).await;
                file.grow(40 * KIB, 40 * KIB).await.is_ok()
            }
        };
        let both = tokio::join!(grow(Duration::ZERO), grow(SOON / 2));
        assert_eq!(both, (false, true));
    }
}
