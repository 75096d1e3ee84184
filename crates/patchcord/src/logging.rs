//! The log: `tracing` to standard error, for people or as JSON.
//!
//! **Invariant: standard output stays free for answers.** Fields and levels are described in
//! `docs/logging.md`; a line inside a call carries `call.sid` because the call's span does.

use std::io;

use crate::config::{Log, LogFormat};

/// Starts the log of the process.
pub(crate) fn start(settings: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(settings.level.filter())
        .with_writer(io::stderr)
        // It would tell them on standard error too, and panic when that fails: a full disk below
        // the log must not end calls.
        .log_internal_errors(false)
        .with_ansi(crate::colours(&io::stderr()));
    match settings.format {
        LogFormat::Human => builder.init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .init(),
    }
}
