//! The log: `tracing` to standard error, for people or as JSON.
//!
//! **Invariant: standard output stays free for answers.** Fields and levels are described in
//! `docs/logging.md`; a line inside a call carries `call.sid` because the call's span does.

use std::io;

use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Starts the log of the process.
pub(crate) fn start(settings: &Log) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        // It would report them on standard error too, and panic when that fails: a full disk below
        // the log must not end calls.
        .log_internal_errors(false)
        .with_ansi(crate::colours(&io::stderr()));
    let lines = match settings.format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(settings.level.filter())
        .with(lines)
        .init();
}
