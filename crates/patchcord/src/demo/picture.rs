//! The part below the ladder: sound at each end, records, parameters of the action.

use std::fmt::Write as _;

use phone::{Heard, Phone};

use super::NAMES;
use super::app::Request;
use super::rest::CallRow;

/// Parameters of the action that are about the dialled call.
const ACTION_PARAMS: [&str; 5] = [
    "CallSid",
    "CallStatus",
    "DialCallStatus",
    "DialCallSid",
    "DialCallDuration",
];

/// Levels below this are not reported.
const FLOOR_DBFS: f64 = -80.0;

/// A line for each end: packets, the other's tone, its own tone.
pub(super) fn sound(phones: &[Phone; 2], heard: &[Heard; 2]) -> String {
    let mut text = String::from(
        "\nsound      packets sent  received   other's tone     heard     level   own tone (echo)\n",
    );
    for (
        at,
        Heard {
            sent,
            received,
            tones,
            ..
        },
    ) in heard.iter().enumerate()
    {
        let peer = &phones[1 - at];
        let _ = writeln!(
            text,
            "  {:<9}{sent:>12}{received:>10}{:>12} Hz{:>10}{:>7} dBFS{:>12} dBFS",
            NAMES[at],
            peer.tone_hz(),
            format!("{:.1} %", tones.share * 100.0),
            level(tones.peer_dbfs),
            level(tones.own_dbfs),
        );
    }
    text
}

fn level(dbfs: f64) -> String {
    if dbfs > FLOOR_DBFS {
        format!("{dbfs:.0}")
    } else {
        format!("< {FLOOR_DBFS}")
    }
}

/// A line for each record.
pub(super) fn records(calls: &[CallRow]) -> String {
    let mut text = String::from("\nrecords\n");
    for call in calls {
        let duration = match &call.duration {
            serde_json::Value::String(seconds) => seconds.clone(),
            other => other.to_string(),
        };
        let CallRow {
            sid,
            from,
            to,
            direction,
            status,
            reason,
            ..
        } = call;
        let why = if reason.is_empty() {
            String::new()
        } else {
            format!(" ({reason})")
        };
        let _ = writeln!(
            text,
            "  {sid}  {direction:<13}  {from} -> {to:<5}  {status}, {duration} s{why}"
        );
    }
    text
}

/// The parameters sent to the application at the end of the dialled call.
pub(super) fn action(requests: &[Request]) -> String {
    let Some(action) = requests.iter().find(|request| request.path == "/after") else {
        return "\naction was not requested\n".to_owned();
    };
    let mut text = format!("\naction {}\n", action.path);
    for name in ACTION_PARAMS {
        if let Some(value) = action.param(name) {
            let _ = writeln!(text, "  {name:<17}{value}");
        }
    }
    text
}
