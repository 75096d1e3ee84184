//! Changed registrations on their way to the directory.
//!
//! **Invariant: the directory is notified of the latest bindings of each client, and what waits is bounded by the number of
//! clients.** One that registers faster than its bindings can be stored only replaces its own, and the others still take
//! their turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sip_proto::registrar::Binding;
use tokio::sync::mpsc;
use tracing::warn;

use crate::Directory;

type Latest = Arc<Mutex<BTreeMap<String, Vec<Binding>>>>;

/// What the directory has not been notified of.
pub(crate) struct Changes {
    latest: Latest,
    wake: mpsc::Sender<()>,
}

impl Changes {
    /// Starts to notify the directory, of one client after the other.
    pub(crate) fn follow(directory: Arc<dyn Directory>) -> Self {
        let (wake, mut woken) = mpsc::channel(1);
        let latest = Latest::default();
        let changed = Arc::clone(&latest);
        tokio::spawn(async move {
            while woken.recv().await.is_some() {
                for (login, bindings) in take(&changed) {
                    let (now, unix) = (Instant::now(), since_1970());
                    let kept = bindings.iter().map(|b| b.snapshot(now, unix)).collect();
                    if let Err(error) = directory.bindings_changed(&login, kept).await {
                        warn!(%error, "failed to keep a registration for a restart");
                    }
                }
            }
        });
        Self { latest, wake }
    }

    /// These are the bindings of a client now.
    pub(crate) fn note(&self, login: String, bindings: Vec<Binding>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.insert(login, bindings);
        drop(latest);
        // If it is full, the task is about to look anyway.
        let _ = self.wake.try_send(());
    }
}

fn take(latest: &Latest) -> BTreeMap<String, Vec<Binding>> {
    std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The wall time, since 1970.
pub(crate) fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use sip_proto::registrar::BindingSnapshot;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{DirectoryError, Secret};

    /// Stores one change for each permit.
    struct Slow {
        permits: Semaphore,
        stored: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Directory for Slow {
        async fn credentials(&self, _: &str, _: &str) -> Result<Option<Secret>, DirectoryError> {
            Ok(None)
        }

        async fn bindings_changed(
            &self,
            login: &str,
            _: Vec<BindingSnapshot>,
        ) -> Result<(), DirectoryError> {
            self.permits.acquire().await.unwrap().forget();
            self.stored.lock().unwrap().push(login.to_owned());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_client_that_registers_all_the_time_delays_no_other() {
        let slow = Arc::new(Slow {
            permits: Semaphore::new(0),
            stored: Mutex::default(),
        });
        let changes = Changes::follow(slow.clone());
        for round in 0..100 {
            for _ in 0..50 {
                changes.note("kim".to_owned(), Vec::new());
            }
            if round == 10 {
                changes.note("ann".to_owned(), Vec::new());
            }
            slow.permits.add_permits(1);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        let stored = slow.stored.lock().unwrap().clone();
        let place = stored.iter().position(|login| login == "ann");
        assert!(place.is_some_and(|place| place < 15), "{stored:?}");
        assert!(stored.len() > 90, "{stored:?}");
    }
}
