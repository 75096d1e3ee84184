//! The counters of the running server, as the API shows them.

use model::census::Figures;

/// Knows what the server has handled since it started.
pub trait Monitor: Send + Sync {
    /// The counters now. Returns immediately.
    fn figures(&self) -> Figures;
}
