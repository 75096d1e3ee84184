//! Keeps in memory what is costly to read from the database, for some time: longer if it was costlier.
//!
//! **Invariant: what is used is at most 40 times as old as it took to read it, or 10 s, and never older than a minute;**
//! requests at the same time read it once. A request waits no longer than its own time limit; what it waited for is read all the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tracing::{debug, warn};

use crate::connection::Recent;
use crate::{Result, StoreError};

/// Values that are kept; the one that was not used for longest is forgotten.
const MAX_KEPT: usize = 100;
/// Values that are read at the same time; other reads are more urgent.
const READ_AT_ONCE: usize = 2;
/// How long a value is used without reading it again, at least.
const FRESH: Duration = Duration::from_secs(5);
/// The same, as a multiple of the time that it took to read it.
const FRESH_PER_COST: u32 = 20;
/// How long it is used without reading it again, at most. After twice that time, it is not used while it is read, either.
const MAX_FRESH: Duration = Duration::from_secs(30);

/// Values by a key.
pub(crate) struct Memory<T> {
    kept: Mutex<Recent<Arc<Slot<T>>>>,
    readers: Arc<Semaphore>,
}

/// A value, if there is one, and the right to read it.
struct Slot<T> {
    value: Mutex<Option<Value<T>>>,
    reading: Arc<tokio::sync::Mutex<()>>,
}

struct Value<T> {
    value: Arc<T>,
    read: Instant,
    /// Until when it is used without reading it again.
    fresh: Duration,
}

impl<T> Slot<T> {
    fn current(&self) -> MutexGuard<'_, Option<Value<T>>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value if it can be used, and whether it is fresh.
    fn usable(&self) -> Option<(Arc<T>, bool)> {
        let current = self.current();
        let value = current.as_ref()?;
        let age = value.read.elapsed();
        (age < value.fresh * 2).then(|| (Arc::clone(&value.value), age < value.fresh))
    }
}

impl<T: Send + Sync + 'static> Memory<T> {
    pub(crate) fn new() -> Self {
        Self {
            kept: Mutex::new(Recent::new(MAX_KEPT)),
            readers: Arc::new(Semaphore::new(READ_AT_ONCE)),
        }
    }

    /// The value of a key; `read` reads it.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] if it is not known at the time `until`; a later request may find it.
    pub(crate) async fn of<F>(
        &self,
        key: &str,
        until: tokio::time::Instant,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<T>>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let slot = self.slot(key);
        if let Some((value, is_fresh)) = slot.usable() {
            if !is_fresh && let Ok(right) = Arc::clone(&slot.reading).try_lock_owned() {
                let (readers, reading) = (Arc::clone(&self.readers), read());
                tokio::spawn(async move {
                    if let Err(error) = keep(&slot, &readers, reading).await {
                        warn!(%error, "failed to read again what is known of a long list");
                    }
                    drop(right);
                });
            }
            return Ok(value);
        }
        let right = Arc::clone(&slot.reading).lock_owned();
        let Ok(right) = timeout_at(until, right).await else {
            return Err(StoreError::TooLong);
        };
        // Another request may have read it meanwhile.
        if let Some((value, _)) = slot.usable() {
            return Ok(value);
        }
        let (readers, reading) = (Arc::clone(&self.readers), read());
        let kept = tokio::spawn(async move {
            let kept = keep(&slot, &readers, reading).await;
            drop(right);
            kept
        });
        match timeout_at(until, kept).await {
            Ok(Ok(kept)) => kept,
            // The runtime ends, or reading panicked.
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::TooLong),
        }
    }

    fn slot(&self, key: &str) -> Arc<Slot<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.get(key) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            value: Mutex::new(None),
            reading: Arc::default(),
        });
        kept.keep(key, Arc::clone(&slot));
        slot
    }
}

async fn keep<T>(
    slot: &Slot<T>,
    readers: &Semaphore,
    reading: impl Future<Output = Result<T>>,
) -> Result<Arc<T>> {
    let _place = readers.acquire().await.map_err(|_| StoreError::Closed)?;
    let read = Instant::now();
    let value = Arc::new(reading.await?);
    let cost = read.elapsed();
    debug!(?cost, "read what is known of a long list");
    let kept = Arc::clone(&value);
    *slot.current() = Some(Value {
        value: kept,
        read,
        fresh: (cost * FRESH_PER_COST).clamp(FRESH, MAX_FRESH),
    });
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn later() -> tokio::time::Instant {
        tokio::time::Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn requests_at_the_same_time_read_a_value_once() {
        let memory = Memory::new();
        let count = Arc::new(AtomicUsize::new(0));
        let read = || {
            let count = Arc::clone(&count);
            async move {
                tokio::task::yield_now().await;
                Ok(count.fetch_add(1, Ordering::Relaxed))
            }
        };
        let (a, b) = tokio::join!(
            memory.of("key", later(), read),
            memory.of("key", later(), read)
        );
        assert_eq!((*a.unwrap(), *b.unwrap()), (0, 0));
        assert_eq!(*memory.of("key", later(), read).await.unwrap(), 0);
        assert_eq!(*memory.of("other", later(), read).await.unwrap(), 1);
        let failed = memory.of("third", later(), || async { Err(StoreError::Closed) });
        assert!(failed.await.is_err());
        assert_eq!(*memory.of("third", later(), read).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_value_that_is_not_fresh_is_used_while_it_is_read_again() {
        let memory = Memory::new();
        let read = |value: u8| move || async move { Ok(value) };
        assert_eq!(*memory.of("key", later(), read(1)).await.unwrap(), 1);
        if let Some(value) = memory.slot("key").current().as_mut() {
            value.read -= Duration::from_secs(3);
            value.fresh = Duration::from_secs(2);
        }
        assert_eq!(*memory.of("key", later(), read(2)).await.unwrap(), 1);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*memory.of("key", later(), read(3)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_request_does_not_wait_longer_than_it_may() {
        let memory = Memory::new();
        let read = || async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(7)
        };
        let soon = || tokio::time::Instant::now() + Duration::from_millis(20);
        for _ in 0..2 {
            let late = memory.of("key", soon(), read).await;
            assert!(matches!(late, Err(StoreError::TooLong)), "{late:?}");
        }
        // The reading that was begun is finished.
        let other = || async { Ok(8) };
        assert_eq!(*memory.of("key", later(), other).await.unwrap(), 7);
    }
}
