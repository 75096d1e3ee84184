//! The remote party asks to be transferred (RFC 3515).

use crate::bench::{Bench, assert_table, ordered};
use sip_proto::message::{HeaderName, Message, Request};
use sip_proto::ua::LegEvent;

const UP: &str = "0 < INVITE sdp; 10 answer; 20 < ACK; ";
const UP_LOG: &str = "0 ! Incoming Unknown, 10 > 200 INVITE, 20 ! Acked";
const TO_ANN: &str = "< REFER | Refer-To: <sip:ann@example.com>";

fn assert_in_session(table: &[(&str, &str)]) {
    for (script, expected) in table {
        let script = script.replace("REFER ann", &TO_ANN[2..]);
        let log = Bench::new().play(&format!("{UP}{script}"));
        let rest = log.strip_prefix(UP_LOG).expect("the call is up");
        assert_eq!(rest.trim_start_matches(", "), ordered(expected), "{script}");
    }
}

#[test]
fn an_accepted_one_is_reported_to_its_end() {
    assert_in_session(&[
        (
            "100 < REFER ann; 110 transfer; 120 < 200 NOTIFY; 200 transferred 200; \
             210 < 200 NOTIFY; 220 bye; 230 < 200 BYE",
            "100 ! Refer ann, 110 > 202 REFER, 110 > NOTIFY, 200 > NOTIFY, 220 > BYE, \
             230 ! ByeDone 200",
        ),
        // The call continues after a transfer that failed, and the next one may succeed.
        (
            "100 < REFER ann; 110 transfer; 120 < 200 NOTIFY; 200 transferred 500; \
             210 < 200 NOTIFY; 300 < REFER ann; 310 transfer",
            "100 ! Refer ann, 110 > 202 REFER, 110 > NOTIFY, 200 > NOTIFY, \
             300 ! Refer ann, 310 > 202 REFER, 310 > NOTIFY",
        ),
        // A refused NOTIFY ends the subscription, not the call.
        (
            "100 < REFER ann; 110 transfer; 120 < 481 NOTIFY; 200 transferred 200; 300 < BYE",
            "100 ! Refer ann, 110 > 202 REFER, 110 > NOTIFY, 300 > 200 BYE, 300 ! Bye",
        ),
        // The remote party does not wait for the outcome.
        (
            "100 < REFER ann; 110 transfer; 120 < 200 NOTIFY; 130 < BYE; 200 transferred 200",
            "100 ! Refer ann, 110 > 202 REFER, 110 > NOTIFY, 130 > 200 BYE, 130 ! Bye",
        ),
        // Nor for the answer.
        (
            "100 < REFER ann; 110 < BYE; 120 transfer",
            "100 ! Refer ann, 110 > 487 REFER, 110 > 200 BYE, 110 ! Bye",
        ),
        (
            "100 < REFER ann; 110 bye; 120 < 200 BYE",
            "100 ! Refer ann, 110 > 487 REFER, 110 > BYE, 120 ! ByeDone 200",
        ),
    ]);
}

#[test]
fn one_is_refused() {
    assert_in_session(&[
        (
            "100 < REFER ann; 110 no-transfer 404; 200 < BYE",
            "100 ! Refer ann, 110 > 404 REFER, 200 > 200 BYE, 200 ! Bye",
        ),
        // There must be exactly one target (RFC 3515 §2.4.2), and one that can be called.
        ("100 < REFER", "100 > 400 REFER"),
        (
            "100 < REFER | Refer-To: <sip:ann@h>, <sip:fay@h>",
            "100 > 400 REFER",
        ),
        ("100 < REFER | Refer-To: nobody", "100 > 400 REFER"),
        ("100 < REFER | Refer-To: <mailto:ann@h>", "100 > 416 REFER"),
        (
            "100 < REFER | Refer-To: <sip:ann@h;method=BYE>",
            "100 > 501 REFER",
        ),
        ("100 < REFER | Require: replaces", "100 > 420 REFER"),
        // One at a time.
        (
            "100 < REFER ann; 110 < REFER ann; 120 transfer; 130 < REFER ann",
            "100 ! Refer ann, 110 > 491 REFER, 120 > 202 REFER, 120 > NOTIFY, 130 > 491 REFER",
        ),
        // The engine has hung up.
        ("100 bye; 110 < REFER ann", "100 > BYE, 110 > 481 REFER"),
    ]);
    assert_table(&[
        // Neither an early dialog nor an unanswered call can be transferred.
        (
            "0 invite; 10 < 180 INVITE a; 20 < REFER tag=a",
            "0 > INVITE, 10 ! Progress 180, 20 > 404 REFER",
        ),
    ]);
}

#[test]
fn a_dialog_has_a_limited_number_of_them() {
    let mut bench = Bench::new();
    bench.play(UP);
    for n in 0..20 {
        let at = 100 * (n + 1);
        let log = bench.play(&format!("{at} {TO_ANN}; {at} no-transfer 404"));
        assert_eq!(log, format!("{at} > 404 REFER, {at} ! Refer ann"));
    }
    let log = bench.play(&format!("5000 {TO_ANN}; 5100 < BYE"));
    assert_eq!(log, "5000 > 503 REFER, 5100 > 200 BYE, 5100 ! Bye");
}

#[test]
fn the_engine_learns_who_asks_for_what() {
    let mut bench = Bench::new();
    bench.play(UP);
    let refer = "REFER sip:bob@192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKr1\r\n\
         From: <sip:kim@example.com>;tag=p\r\nTo: TO\r\nCall-ID: call-1\r\nCSeq: 9 REFER\r\n\
         Contact: <sip:kim%20k@192.0.2.1:5070>\r\nMax-Forwards: 70\r\n\
         r: \"Ann\" <sip:+1555;phone-context=x@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>;q=1\r\n\
         Content-Length: 0\r\n\r\n";
    let answer = bench
        .sent
        .iter()
        .rev()
        .find_map(|(_, message)| match message {
            Message::Response(response) => response.headers.get(HeaderName::To),
            Message::Request(_) => None,
        });
    let refer = refer.replace("TO", answer.expect("we answered"));
    bench
        .core
        .handle_datagram(refer.into(), bench.peer, bench.now());
    let event = std::iter::from_fn(|| bench.core.poll_output()).find_map(|output| match output {
        sip_proto::ua::Output::Event(_, LegEvent::Refer(refer)) => Some(refer),
        _ => None,
    });
    let refer = event.expect("it is reported");
    assert_eq!(
        refer.target,
        "sip:+1555;phone-context=x@h?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc"
    );
    let users = [&refer.target_user, &refer.contact_user, &refer.to_user];
    assert_eq!(users, ["+1555", "kim k", "bob"]);
}

/// Its event, state and body.
fn parts(notify: &Request) -> [&str; 3] {
    let header = |name| notify.headers.get(name).unwrap_or_default();
    [
        header(HeaderName::Event),
        header(HeaderName::SubscriptionState),
        std::str::from_utf8(&notify.body).expect("it is text"),
    ]
}

#[test]
fn reports_are_as_the_rfc_says() {
    let mut bench = Bench::new();
    bench.play(UP);
    bench.play(&format!("100 {TO_ANN}; 110 transfer"));
    let active = "active;expires=60";
    let (trying, ok) = ("SIP/2.0 100 Trying\r\n", "SIP/2.0 200 OK\r\n");
    let notify = bench.request_of("NOTIFY");
    assert_eq!(parts(notify), ["refer", active, trying]);
    let kind = notify.headers.get(HeaderName::ContentType);
    assert_eq!(kind, Some("message/sipfrag;version=2.0"));
    assert!(notify.headers.contains(&HeaderName::Contact));
    bench.play("120 < 200 NOTIFY; 200 transferred 200; 210 < 200 NOTIFY");
    let terminated = "terminated;reason=noresource";
    assert_eq!(parts(bench.request_of("NOTIFY")), ["refer", terminated, ok]);
    // The second in a dialog is told apart by its number (RFC 3515 §2.4.6).
    bench.play(&format!(
        "300 {}; 310 transfer",
        TO_ANN.replace("REFER", "REFER seq=77")
    ));
    assert_eq!(
        parts(bench.request_of("NOTIFY")),
        ["refer;id=77", active, trying]
    );
}

#[test]
fn no_reports_if_none_are_wanted() {
    for wish in ["Refer-Sub: false", "refer-sub:  FALSE ;x"] {
        let mut bench = Bench::new();
        bench.play(UP);
        let refer = TO_ANN.replace(" | ", &format!(" | {wish}\r\n"));
        let log = bench.play(&format!("100 {refer}; 110 transfer; 200 transferred 200"));
        assert_eq!(log, "100 ! Refer ann, 110 > 202 REFER", "{wish}");
        let Message::Response(accepted) = bench.last_sent() else {
            panic!("not a response");
        };
        let name = HeaderName::ReferSub;
        assert_eq!(accepted.headers.get(name), Some("false"));
        assert_eq!(accepted.headers.get(HeaderName::Event), Some("refer"));
    }
    // It may insist (RFC 4488 §4).
    assert_in_session(&[(
        "100 < REFER | Refer-To: <sip:ann@h>\r\nRefer-Sub: false\r\nRequire: norefersub",
        "100 ! Refer ann",
    )]);
}

#[test]
fn a_stray_one_is_told_why() {
    let mut bench = Bench::new();
    bench.play(&format!("0 {TO_ANN}"));
    let Message::Response(refusal) = bench.last_sent() else {
        panic!("not a response");
    };
    assert_eq!(refusal.status.0, 404);
    let reason = refusal.headers.get(HeaderName::Reason);
    let text = "SIP;cause=404;text=\"REFER must be sent within the dialog of an established call\"";
    assert_eq!(reason, Some(text));
    assert_eq!(refusal.headers.get(HeaderName::Event), Some("refer"));
}

/// A request in a second dialog of the same peer.
fn second(method: &str, seq: u32, to: &str, rest: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKs{method}{seq}\r\n\
         From: <sip:kim@example.com>;tag=q\r\nTo: {to}\r\nCall-ID: call-2\r\nCSeq: {seq} {method}\r\n\
         Contact: <sip:kim@192.0.2.1:5070>\r\nMax-Forwards: 70\r\n{rest}"
    )
}

/// The To of our answers so far, each with our tag; the last one first.
fn ours(bench: &Bench) -> Vec<String> {
    let answers = bench.sent.iter().rev();
    let tos = answers.filter_map(|(_, message)| match message {
        Message::Response(response) => response.headers.get(HeaderName::To).map(str::to_owned),
        Message::Request(_) => None,
    });
    tos.filter(|to| to.contains("tag=")).collect()
}

#[test]
fn the_replaced_dialog_is_found_by_its_tags() {
    let empty = "Content-Length: 0\r\n\r\n";
    let table = [
        ("call-1%3Bto-tag%3DTAG%3Bfrom-tag%3Dp", true),
        ("call-1%3Bfrom-tag%3Dp%3BTo-Tag%3DTAG%3Bearly-only", true),
        ("call-1%3Bto-tag%3DTAG%3Bfrom-tag%3Dx", false),
        ("call-1%3Bto-tag%3Dp%3Bfrom-tag%3DTAG", false),
        ("call-1%3Bto-tag%3DTAG", false),
        ("call-3%3Bto-tag%3DTAG%3Bfrom-tag%3Dp", false),
        // The dialog of the REFER itself.
        ("call-2%3Bto-tag%3DOWN%3Bfrom-tag%3Dq", false),
    ];
    for (replaces, is_found) in table {
        let mut bench = Bench::new();
        bench.play(UP);
        let first = bench.leg;
        let tag = |to: &str| to.split("tag=").nth(1).unwrap_or_default().to_owned();
        let first_tag = tag(&ours(&bench)[0]);
        let sdp = "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
        bench.receive(second("INVITE", 1, "<sip:bob@example.com>", sdp));
        bench.play("30 answer");
        let to = ours(&bench)[0].clone();
        bench.receive(second("ACK", 1, &to, empty));
        assert_ne!(bench.leg, first);

        let replaces = replaces
            .replace("TAG", &first_tag)
            .replace("OWN", &tag(&to));
        let refer_to = format!("Refer-To: <sip:ann@h?Replaces={replaces}>\r\n{empty}");
        let refer = second("REFER", 2, &to, &refer_to);
        bench
            .core
            .handle_datagram(refer.into(), bench.peer, bench.now());
        let outputs = std::iter::from_fn(|| bench.core.poll_output());
        let found = outputs.filter_map(|output| match output {
            sip_proto::ua::Output::Event(_, LegEvent::Refer(refer)) => Some(refer.replaces),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        assert_eq!(found, [is_found.then_some(first)], "{replaces}");
    }
}
