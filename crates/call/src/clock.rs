//! The clock of one family, message or conference.
//!
//! It starts at the wall time and then counts the time that passes. **Invariant: setting the wall
//! clock changes no timer and no duration of what is already live**, and everything that its owner
//! records, traces and journals is on this one clock. Owners live at most about a day, so their
//! records differ from the wall clock only if it is set meanwhile, and by that step.

use model::{SteadyClock, Timestamp};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(SteadyClock);

impl Clock {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(SteadyClock::new(crate::now(), Instant::now().into_std()))
    }

    pub(crate) fn now(self) -> Timestamp {
        self.0.at(Instant::now().into_std())
    }

    /// Waits until a time of this clock, or forever.
    pub(crate) async fn sleep_until(self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep(at.since(self.now())).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// As if the wall clock had been set back by ten minutes after the start.
    #[tokio::test]
    async fn time_passes_whatever_the_wall_clock_shows() {
        let ahead = Duration::from_secs(600);
        let clock = Clock(SteadyClock::new(
            crate::now() + ahead,
            Instant::now().into_std(),
        ));
        let start = clock.now();
        assert!(start.since(crate::now()) > ahead - Duration::from_secs(60));
        let due = start + Duration::from_millis(30);
        clock.sleep_until(Some(due)).await;
        assert!(clock.now() >= due);
        assert!(clock.now().since(due) < Duration::from_secs(60));
    }
}
