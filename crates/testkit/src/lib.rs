//! Shared by the tests of several crates; only ever a dev-dependency.
//!
//! **Invariant: the same seed and the same inputs give the same run**, except for [`postgres`], which starts a real server.

pub mod network;
pub mod postgres;
pub mod random;
pub mod records;
pub mod statements;
