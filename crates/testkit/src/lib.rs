//! What tests of the pure machines share. For tests only: no crate may use it outside of them.

pub mod network;
