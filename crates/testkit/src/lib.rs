//! Shared by the tests of several crates; only ever a dev-dependency.
//!
//! **Invariant: the same seed and the same inputs give the same run.**

pub mod network;
pub mod random;
pub mod records;
