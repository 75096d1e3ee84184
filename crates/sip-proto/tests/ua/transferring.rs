//! We ask the remote party to call another address (RFC 3515).

use crate::bench::{Bench, ordered};
use sip_proto::message::HeaderName;

const UP: &str = "0 < INVITE sdp; 10 answer; 20 < ACK; ";
const UP_LOG: &str = "0 ! Incoming Unknown, 10 > 200 INVITE, 20 ! Acked";
const TO_ANN: &str = "refer sip:ann@example.com";

/// Plays what follows the beginning of a call. `REPORT N` is a NOTIFY about the transfer, `LAST N`
/// the last one.
fn assert_in_session(table: &[(&str, &str)]) {
    for (script, expected) in table {
        let script: Vec<String> = script.split("; ").map(step).collect();
        let script = script.join("; ");
        let log = Bench::new().play(&format!("{UP}{script}"));
        let rest = log.strip_prefix(UP_LOG).expect("the call is up");
        assert_eq!(rest.trim_start_matches(", "), ordered(expected), "{script}");
    }
}

fn step(step: &str) -> String {
    let notify = |at: &str, status: &str, state: &str| {
        format!("{at} < NOTIFY frag={status} | Event: refer\r\nSubscription-State: {state}")
    };
    match step.split(' ').collect::<Vec<_>>()[..] {
        [at, "refer"] => format!("{at} {TO_ANN}"),
        [at, "REPORT", status] => notify(at, status, "active;expires=60"),
        [at, "LAST", status] => notify(at, status, "terminated;reason=noresource"),
        _ => step.to_owned(),
    }
}

#[test]
fn one_is_accepted_and_reported() {
    assert_in_session(&[
        (
            "100 refer; 110 < 202 REFER; 120 REPORT 100; 130 REPORT 180; 140 LAST 200; 150 < BYE",
            "100 > REFER, 110 ! ReferAnswered 202, 120 > 200 NOTIFY, 120 ! ReferReported 100, \
             130 > 200 NOTIFY, 130 ! ReferReported 180, 140 > 200 NOTIFY, \
             140 ! ReferReported 200 last, 150 > 200 BYE, 150 ! Bye",
        ),
        // A final status is the last one, whatever the state says; later reports belong to nothing.
        (
            "100 refer; 110 < 200 REFER; 120 REPORT 486; 130 LAST 486",
            "100 > REFER, 110 ! ReferAnswered 200, 120 > 200 NOTIFY, \
             120 ! ReferReported 486 last, 130 > 481 NOTIFY",
        ),
        // A report that overtakes the response says that the REFER was accepted.
        (
            "100 refer; 110 REPORT 100; 120 < 202 REFER; 130 LAST 200",
            "100 > REFER, 110 > 200 NOTIFY, 110 ! ReferAnswered 202, 110 ! ReferReported 100, \
             130 > 200 NOTIFY, 130 ! ReferReported 200 last",
        ),
        // The phone gives up its reports, or sends one that cannot be read.
        (
            "100 refer; 110 < 202 REFER; 120 LAST 180",
            "100 > REFER, 110 ! ReferAnswered 202, 120 > 200 NOTIFY, \
             120 ! ReferReported 180 last",
        ),
        (
            "100 refer; 110 < 202 REFER; 120 < NOTIFY text | Event: refer; \
             130 < NOTIFY | Event: refer\r\nSubscription-State: terminated",
            "100 > REFER, 110 ! ReferAnswered 202, 120 > 200 NOTIFY, 130 > 200 NOTIFY, \
             130 ! ReferReported ? last",
        ),
        (
            "100 refer; 110 < 202 REFER; 120 REPORT 99; 130 REPORT 700; 140 REPORT x",
            "100 > REFER, 110 ! ReferAnswered 202, 120 > 200 NOTIFY, 130 > 200 NOTIFY, \
             140 > 200 NOTIFY",
        ),
    ]);
}

#[test]
fn one_is_refused_or_ignored() {
    assert_in_session(&[
        (
            "100 refer; 110 < 403 REFER; 120 LAST 200; 130 < BYE",
            "100 > REFER, 110 ! ReferAnswered 403, 120 > 481 NOTIFY, 130 > 200 BYE, 130 ! Bye",
        ),
        // It no longer knows the call.
        (
            "100 refer; 110 < 481 REFER; 120 < 200 BYE",
            "100 > REFER, 110 > BYE, 110 ! ReferAnswered 481, 110 ! Lost",
        ),
        // No response within 64 × T1; the call continues.
        (
            "100 refer; 40000 < BYE",
            "100 > REFER, 600 > REFER, 1600 > REFER, 3600 > REFER, 7600 > REFER, 11600 > REFER, \
             15600 > REFER, 19600 > REFER, 23600 > REFER, 27600 > REFER, 31600 > REFER, \
             32100 ! ReferAnswered 408, 40000 > 200 BYE, 40000 ! Bye",
        ),
        ("100 refer no uri", "100 ! ReferAnswered 400"),
        // We hang up before.
        (
            "100 refer; 110 bye; 120 < 202 REFER; 130 LAST 200; 140 < 200 BYE",
            "100 > REFER, 110 > BYE, 130 > 481 NOTIFY, 140 ! ByeDone 200",
        ),
    ]);
}

#[test]
fn the_last_one_counts() {
    assert_in_session(&[(
        "100 refer; 110 < 202 REFER; 200 refer; 210 < NOTIFY frag=486 | Event: refer;id=1; \
         220 < 202 REFER; 230 < NOTIFY frag=200 | Event: refer;ID = 2",
        "100 > REFER, 110 ! ReferAnswered 202, 200 > REFER, 210 > 481 NOTIFY, \
         220 ! ReferAnswered 202, 230 > 200 NOTIFY, 230 ! ReferReported 200 last",
    )]);
}

#[test]
fn reports_that_nobody_awaits_are_refused() {
    assert_in_session(&[
        ("100 LAST 200", "100 > 481 NOTIFY"),
        ("100 < NOTIFY | Event: keep-alive", "100 > 489 NOTIFY"),
        (
            "100 < NOTIFY | Event: refer\r\nRequire: eventlist",
            "100 > 420 NOTIFY",
        ),
        ("100 bye; 110 LAST 200", "100 > BYE, 110 > 481 NOTIFY"),
    ]);
}

#[test]
fn the_request_is_as_the_rfc_says() {
    let mut bench = Bench::new();
    bench.play(UP);
    bench.play("100 refer sip:ann@example.com;x=y?X-A=1%26&User-to-User=5%3Bencoding%3Dhex");
    let refer = bench.request_of("REFER");
    let header = |name| refer.headers.get(name);
    assert_eq!(
        header(HeaderName::ReferTo),
        Some("<sip:ann@example.com;x=y?X-A=1%26&User-to-User=5%3Bencoding%3Dhex>")
    );
    assert_eq!(refer.uri.to_string(), "sip:kim@192.0.2.1:5070");
    assert!(refer.headers.contains(&HeaderName::Contact));
    assert!(refer.body.is_empty());
}

/// A called phone or trunk may ask for the credentials of the INVITE.
#[test]
fn challenges_are_answered() {
    let mut bench = Bench::new();
    bench.play("0 invite auth; 10 < 200 INVITE a sdp");
    let challenge = "< 407 REFER | Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"";
    let log = bench.play(&format!(
        "100 refer sip:ann@example.com; 110 {challenge}; 120 < 202 REFER"
    ));
    assert_eq!(log, "100 > REFER, 110 > REFER, 120 ! ReferAnswered 202");
    let refer = bench.request_of("REFER");
    assert!(refer.headers.contains(&HeaderName::ProxyAuthorization));
}
