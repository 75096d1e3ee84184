//! Shared by the tests of several modules.

use std::time::Instant;

/// The origin of virtual time.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}
