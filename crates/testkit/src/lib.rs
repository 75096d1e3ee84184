//! What tests of the pure machines share. A dev-dependency only.
//!
//! **Invariant: the same seed and the same inputs give the same run.**

pub mod network;
