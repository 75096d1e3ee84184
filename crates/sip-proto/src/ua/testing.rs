//! What the tests of several modules share.

use std::time::Instant;

/// A start of virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}
