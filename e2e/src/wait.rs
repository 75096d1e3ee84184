//! Waiting for something to become true, with a deadline.
//!
//! **Invariant: no wait exceeds its limit**, and a time-out names the awaited condition.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is checked.
const STEP: Duration = Duration::from_millis(10);

/// Waits until `probe` returns a value.
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
