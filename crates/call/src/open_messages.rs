//! Counts the pending text messages outside of calls, and signals them to end.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Maximum pending messages; more are refused.
const MAX_OPEN: usize = 10_000;

/// The pending messages of this process.
pub(crate) struct OpenMessages {
    count: AtomicUsize,
    stop: watch::Sender<bool>,
}

impl Default for OpenMessages {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            stop: watch::Sender::new(false),
        }
    }
}

impl OpenMessages {
    /// Counts one more, which must call [`leave`](Self::leave); false if there are too many.
    pub(crate) fn enter(&self) -> bool {
        let one_more = |count| (count < MAX_OPEN).then_some(count + 1);
        let count = &self.count;
        let entered = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.is_ok()
    }

    /// Counts one more in any case.
    pub(crate) fn enter_anyway(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends each of them.
    pub(crate) fn shut_down(&self) {
        self.stop.send_replace(true);
    }

    /// For [`stopped`].
    pub(crate) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

/// Waits for [`OpenMessages::shut_down`].
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender lives as long as the engine.
    let _ = stop.wait_for(|stop| *stop).await;
}
