//! The harness of the end-to-end tests: start the real server, phones and an application, and
//! inspect what each of them saw.
//!
//! Everything listens on free ports of 127.0.0.1 and keeps its files in a temporary folder.
//! **Invariant: every process that a test started is ended, by its id, when the test ends, passed
//! or failed**. Tests wait for events with a deadline, never for a fixed time.

#![forbid(unsafe_code)]

pub mod app;
pub mod cost;
pub mod http;
pub mod load;
pub mod mail;
pub mod phone;
pub mod ports;
pub mod process;
pub mod rest;
pub mod server;
pub mod sipp;
pub mod tone;
pub mod wait;

pub use app::{App, ClosedApp, Reply, Request};
pub use mail::MailServer;
pub use phone::Phone;
pub use rest::Rest;
pub use server::Server;
pub use tone::Pitch;

/// A duration or count for a long run: a number in the environment, else `default`.
pub fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
