//! The servers behind the streams and conversations of a recorded call.
//!
//! **Invariant: each stream or conversation of the script ends as that of the call did, and as late.** Left out: what was
//! sent, which a trace does not hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use call_proto::Entry;

use super::quoted;
use crate::expected::seconds;

/// The entries of a stream or conversation.
struct Entries {
    /// It is opened: its identifier and address.
    opened: &'static str,
    began: &'static str,
    /// It ends: its identifier and the reason.
    ended: &'static str,
}

const ENTRIES: [Entries; 2] = [
    Entries {
        opened: "open stream",
        began: "begin stream",
        ended: "stream ended",
    },
    Entries {
        opened: "open conversation",
        began: "begin conversation",
        ended: "conversation ended",
    },
];

/// Reasons of ends that the server did not cause.
const STOPPED: [&str; 5] = [
    "stopped by",
    "the call was",
    "the call ended",
    "no speech recognizer",
    "speech was not recognized",
];

/// Whether something is opened.
pub(super) fn is_opening(entry: &Entry) -> bool {
    ENTRIES.iter().any(|kind| kind.opened == entry.what)
}

/// Writes what each server does: nothing but closing the stream, if it did that.
pub(super) fn write(trace: &[Entry], out: &mut String) {
    let mut agents = BTreeMap::new();
    for (at, opened) in trace.iter().enumerate() {
        let kind = ENTRIES.iter().find(|kind| kind.opened == opened.what);
        let (Some(kind), Some((sid, url))) = (kind, opened.detail.split_once(' ')) else {
            continue;
        };
        let url = url.split('?').next().unwrap_or_default();
        let later = || {
            trace[at..]
                .iter()
                .filter(|entry| entry.owner == opened.owner)
        };
        let ended = later().find(|entry| entry.what == kind.ended && entry.detail.starts_with(sid));
        let began = later().find(|entry| entry.what == kind.began);
        let does = match (ended, began) {
            (Some(ended), Some(began)) if began.at <= ended.at => {
                let why = ended.detail[sid.len()..].trim_start();
                let how = match why {
                    _ if STOPPED.iter().any(|stop| why.starts_with(stop)) => None,
                    _ if why.starts_with("ended by") => Some("end"),
                    _ if why.starts_with("closed by") => Some("close"),
                    _ if why.starts_with("the server closed the connection;") => Some("close"),
                    _ => Some("break"),
                };
                let wait = seconds(ended.at.since(began.at));
                how.map_or("[]".to_owned(), |how| format!("[{{wait: {wait}}}, {how}]"))
            }
            (Some(_), _) => "unreachable".to_owned(),
            (None, _) => "[]".to_owned(),
        };
        agents.entry(url).or_insert(does);
    }
    if !agents.is_empty() {
        out.push_str("agents:\n");
    }
    for (url, does) in agents {
        let _ = writeln!(out, "  {}: {does}", quoted(url));
    }
}
