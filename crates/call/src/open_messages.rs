//! How many text messages that no call sends are on their way, and the signal that ends them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Messages on their way at once; more are refused.
const MAX_OPEN: usize = 10_000;

/// The messages of this process that are on their way.
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
    /// Counts one more, which must [`leave`](Self::leave); false if there are too many.
    pub(crate) fn enter(&self) -> bool {
        let one_more = |count| (count < MAX_OPEN).then_some(count + 1);
        let count = &self.count;
        let entered = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.is_ok()
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
