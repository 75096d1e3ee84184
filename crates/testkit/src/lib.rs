//! What tests of several crates share. A dev-dependency only.
//!
//! **Invariant: the same seed and the same inputs give the same run.**

pub mod network;
pub mod random;
pub mod records;
