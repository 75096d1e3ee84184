//! Dialogs (RFC 3261 §12).

mod await_ack;
mod snapshot;

pub use snapshot::DialogSnapshot;
