//! `patchcord doctor calls`: the open calls, the servers that run them, and what will happen to
//! them.
//!
//! Reads the database next to the server. **Invariant: the report depends only on the records and
//! the clock**, so it works without a running server.

pub(crate) mod phones;

use std::time::Duration;

use anyhow::Result;
use model::text::one_line;
use model::{CallSid, CallStatus, Timestamp};
use serde_json::{Value, json};
use store::OpenCall;

use crate::calls::open;
use crate::config::Config;
use crate::screen;

/// A leg rings or waits at most this long: the longest time-out is ten minutes.
const LONG_SETUP: Duration = Duration::from_secs(11 * 60);
/// Longer calls are rare: `timeLimit` of a Dial is four hours by default.
const LONG_CALL: Duration = Duration::from_secs(5 * 3_600);
/// A server sends a heartbeat every ten seconds.
const LONG_SILENCE: Duration = Duration::from_secs(30);

/// The report on one open leg.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Whether something is wrong.
    suspicious: bool,
    /// The server that runs it.
    server: String,
    /// What it waits for.
    waits_for: String,
    /// What will happen next.
    next: String,
}

/// The open legs, and whether something is wrong with any of them.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn calls(config: &Config, as_json: bool) -> Result<(String, bool)> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    let now = Timestamp::from_unix(since);
    let calls = open(config).await?.open_calls(now).await?;
    let findings: Vec<(&OpenCall, Finding)> = calls
        .iter()
        .map(|call| (call, explain(call, &calls, now)))
        .collect();
    let suspicious = findings.iter().any(|(_, finding)| finding.suspicious);
    let text = if as_json {
        let items: Vec<Value> = findings
            .iter()
            .map(|(call, found)| json_of(call, found))
            .collect();
        format!("{}\n", serde_json::to_string_pretty(&items)?)
    } else if findings.is_empty() {
        "no call is open\n".to_owned()
    } else {
        let texts = findings.iter();
        let text: String = texts
            .map(|(call, found)| text_of(call, found, now))
            .collect();
        screen::list(&text)
    };
    Ok((text, suspicious))
}

fn explain(call: &OpenCall, all: &[OpenCall], now: Timestamp) -> Finding {
    let waits_for = waits_for(call, all);
    let silence = call.last_alive.map(|at| now.since(at));
    let seen = silence.map_or_else(
        || "no heartbeat yet".to_owned(),
        |silence| format!("last heartbeat {} ago", span(silence)),
    );
    if !call.server_runs {
        return Finding {
            suspicious: true,
            server: format!("gone; {seen}"),
            waits_for: "the next start of a server on this database".to_owned(),
            next: closing(call),
        };
    }
    let record = &call.record;
    let age = now.since(record.updated);
    let (limit, next) = match record.status {
        CallStatus::InProgress => (
            LONG_CALL,
            "it ends when a party hangs up or its document ends",
        ),
        _ => (
            LONG_SETUP,
            "it is answered or refused, or ends when its timeout expires",
        ),
    };
    let mute = silence.is_none_or(|silence| silence > LONG_SILENCE);
    let next = if mute {
        "the server holds the database but writes nothing: check its disk and its log".to_owned()
    } else if age > limit {
        format!(
            "open for an unusually long time; end it with `Status=completed` through the API, then look at \
             `patchcord calls show {}`",
            record.sid
        )
    } else {
        next.to_owned()
    };
    Finding {
        suspicious: mute || age > limit,
        server: format!("runs; {seen}"),
        waits_for,
        next,
    }
}

/// What the next start does with a leg whose server is dead.
fn closing(call: &OpenCall) -> String {
    let (status, remote) = match call.record.answered {
        Some(_) if call.has_dialog => (
            "completed, ending at the last heartbeat",
            "; its remote party gets BYE",
        ),
        Some(_) => ("completed, ending at the last heartbeat", ""),
        // The transaction of an unfinished INVITE is lost with the server.
        None => (
            "failed",
            "; a phone that is ringing continues until it gives up",
        ),
    };
    format!("it becomes {status}, reason `node-lost`{remote}; callbacks follow")
}

/// The legs that it dialled, or itself.
fn waits_for(call: &OpenCall, all: &[OpenCall]) -> String {
    let own = &call.record;
    let children: Vec<String> = all
        .iter()
        .filter(|other| other.record.parent == Some(own.sid))
        .map(|other| format!("{} ({})", other.record.sid, other.record.status))
        .collect();
    if !children.is_empty() {
        return format!("the legs it dialled: {}", children.join(", "));
    }
    match own.status {
        CallStatus::Queued => "the first response of the called phone",
        CallStatus::Ringing if own.parent.is_none() => "its document, or the answer",
        CallStatus::Ringing => "the answer of the called phone",
        _ => "its document, or the other party",
    }
    .to_owned()
}

fn text_of(call: &OpenCall, found: &Finding, now: Timestamp) -> String {
    let record = &call.record;
    let mark = if found.suspicious { "!" } else { " " };
    format!(
        "{mark} {}  {} -> {}  {}  {} since {} ({})\n    server {} {}\n    waits for {}\n    next: {}\n",
        record.sid,
        one_line(&record.from),
        one_line(&record.to),
        record.direction,
        record.status,
        record.updated.iso8601(),
        span(now.since(record.updated)),
        record.instance,
        found.server,
        found.waits_for,
        found.next,
    )
}

fn json_of(call: &OpenCall, found: &Finding) -> Value {
    let record = &call.record;
    json!({
        "call": record.sid,
        "parent": record.parent.map(|sid: CallSid| sid.to_string()),
        "from": record.from,
        "to": record.to,
        "direction": record.direction,
        "status": record.status,
        "since": record.updated.iso8601(),
        "instance": record.instance,
        "server_runs": call.server_runs,
        "last_alive": call.last_alive.map(|at| at.iso8601()),
        "waits_for": found.waits_for,
        "next": found.next,
        "suspicious": found.suspicious,
    })
}

/// A duration in its largest units.
fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use model::record::CallRecord;
    use model::{AccountSid, Direction, InstanceSid};

    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000_000_000);

    fn leg(n: u8, parent: Option<u8>, status: CallStatus) -> OpenCall {
        let sid = |n: u8| CallSid::from_bytes([n; 16]);
        let answered = (status == CallStatus::InProgress).then_some(START);
        let instance = InstanceSid::from_bytes([9; 16]);
        let account = AccountSid::from_bytes([1; 16]);
        OpenCall {
            record: CallRecord {
                parent: parent.map(sid),
                status,
                direction: Direction::Inbound,
                answered,
                ..testkit::records::call(sid(n), instance, account, START)
            },
            server_runs: true,
            last_alive: None,
            has_dialog: answered.is_some(),
        }
    }

    #[test]
    fn each_open_leg_is_explained() {
        let s = Duration::from_secs;
        // Status, whether its server runs, age of the leg and of the last heartbeat; the report.
        let table = [
            (
                CallStatus::InProgress,
                true,
                s(60),
                s(5),
                "fine: it ends when",
            ),
            (
                CallStatus::Ringing,
                true,
                s(60),
                s(5),
                "fine: it is answered",
            ),
            (
                CallStatus::Ringing,
                true,
                s(900),
                s(5),
                "wrong: open for an unusually",
            ),
            (
                CallStatus::Queued,
                true,
                s(900),
                s(5),
                "wrong: open for an unusually",
            ),
            (
                CallStatus::InProgress,
                true,
                s(7_200),
                s(5),
                "fine: it ends when",
            ),
            (
                CallStatus::InProgress,
                true,
                s(20_000),
                s(5),
                "wrong: open for an unusually",
            ),
            (
                CallStatus::InProgress,
                true,
                s(60),
                s(45),
                "wrong: the server holds",
            ),
            (
                CallStatus::InProgress,
                false,
                s(60),
                s(45),
                "wrong: it becomes completed",
            ),
            (
                CallStatus::Ringing,
                false,
                s(60),
                s(1),
                "wrong: it becomes failed",
            ),
        ];
        for (status, runs, age, silence, said) in table {
            let now = START + age;
            let mut call = leg(1, None, status);
            (call.server_runs, call.last_alive) = (runs, Some(now - silence));
            // An unanswered inbound call has one, too.
            call.has_dialog = true;
            let found = explain(&call, &[], now);
            let mark = if found.suspicious { "wrong" } else { "fine" };
            let text = format!("{mark}: {}", found.next);
            assert!(text.starts_with(said), "{status} {runs} {age:?}: {text}");
            assert_eq!(
                text.contains("gets BYE"),
                !runs && call.record.answered.is_some(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_leg_waits_for_what_it_dialled() {
        let caller = leg(1, None, CallStatus::InProgress);
        let callee = leg(2, Some(1), CallStatus::Ringing);
        let all = [caller, callee];
        let waits = all.each_ref().map(|call| waits_for(call, &all));
        assert!(
            waits[0].contains(&all[1].record.sid.to_string()),
            "{}",
            waits[0]
        );
        assert!(waits[0].contains("(ringing)"), "{}", waits[0]);
        assert_eq!(waits[1], "the answer of the called phone");
    }

    #[test]
    fn spans_have_two_units() {
        let table = [(5, "5 s"), (125, "2 min 5 s"), (7_260, "2 h 1 min")];
        for (seconds, text) in table {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
