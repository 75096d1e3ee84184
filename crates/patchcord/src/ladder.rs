//! A call's trace as a picture: one column per leg, time going down.

use std::fmt::Write;

use call_proto::{Entry, Lane, Way};
use model::CallSid;

/// Width of one column, in characters.
const COLUMN: usize = 26;

/// Draws the trace. Legs are in the order in which they appear; SIP and media of a leg go into
/// its column, requests to applications and verbs into the last.
pub(crate) fn draw(entries: &[Entry], name_of: impl Fn(CallSid) -> String) -> String {
    let legs = legs(entries);
    let mut out = String::new();
    let Some(start) = entries.first().map(|entry| entry.at) else {
        return out;
    };
    let mut heading = format!("{:>9}  ", "seconds");
    for leg in &legs {
        let _ = write!(heading, "{:<COLUMN$}", cut(&name_of(*leg)));
    }
    heading.push_str("application");
    let _ = writeln!(out, "{}", heading.trim_end());
    for entry in entries.iter().filter(|entry| entry.lane != Lane::Fact) {
        let micros = entry.at.since(start).as_micros();
        let _ = write!(
            out,
            "{:>5}.{:03}  ",
            micros / 1_000_000,
            micros / 1_000 % 1_000
        );
        let at = legs
            .iter()
            .position(|leg| Some(*leg) == entry.owner.call())
            .unwrap_or(0);
        let column = match entry.lane {
            Lane::Sip | Lane::Media | Lane::Room => at,
            Lane::Http | Lane::Rcml | Lane::Api | Lane::Fact => legs.len(),
        };
        for _ in 0..column {
            let _ = write!(out, "{:<COLUMN$}", "|");
        }
        let _ = writeln!(out, "{}", said(entry).trim_end());
    }
    out
}

fn legs(entries: &[Entry]) -> Vec<CallSid> {
    let mut legs = Vec::new();
    for entry in entries {
        if let Some(call) = entry.owner.call()
            && !legs.contains(&call)
        {
            legs.push(call);
        }
    }
    legs
}

fn said(entry: &Entry) -> String {
    let arrow = match entry.way {
        Way::In => "<-",
        Way::Out => "->",
        Way::Here => "--",
    };
    let text = format!("{arrow} {}", entry.what);
    if entry.detail.is_empty() {
        text
    } else {
        format!("{text}  {}", entry.detail)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(COLUMN - 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn each_leg_has_its_column() {
        let leg = |n: u8| CallSid::from_bytes([n; 16]);
        let entry = |at, call: CallSid, lane, way, what: &str, detail: &str| Entry {
            at: Timestamp(at),
            owner: call.into(),
            lane,
            way,
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        let entries = [
            entry(1_000_000, leg(1), Lane::Sip, Way::Out, "180", ""),
            entry(
                1_020_000,
                leg(1),
                Lane::Http,
                Way::Out,
                "POST http://app/v",
                "",
            ),
            entry(
                1_500_000,
                leg(2),
                Lane::Sip,
                Way::Out,
                "INVITE",
                "sip:bob@x",
            ),
        ];
        let drawn = draw(&entries, |sid| format!("leg {}", sid.as_bytes()[0]));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(
            lines[0],
            format!(
                "{:>9}  {:<26}{:<26}application",
                "seconds", "leg 1", "leg 2"
            )
        );
        assert_eq!(lines[1], "    0.000  -> 180");
        assert_eq!(
            lines[2],
            format!("    0.020  {:<26}{:<26}-> POST http://app/v", "|", "|")
        );
        assert_eq!(
            lines[3],
            format!("    0.500  {:<26}-> INVITE  sip:bob@x", "|")
        );
    }
}
