//! Waiting for something to become true, with a deadline.
//!
//! **Invariant: nobody waits longer than they said**, and a time-out says what was waited for.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `probe` gives a value.
///
/// # Errors
/// After `limit`, naming `what`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {} ms", limit.as_millis());
        }
        sleep(STEP);
    }
}
