//! The registrar of RFC 3261 §10.3 over a table in memory.

mod binding;

pub use binding::Binding;
