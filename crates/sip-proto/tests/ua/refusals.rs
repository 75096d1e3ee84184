//! Requests that are refused without asking the engine.

use crate::bench::{Bench, SDP, assert_table, config, ordered, peer};
use sip_proto::message::{HeaderName, Message, Response};
use sip_proto::ua::{Output, Transport};

fn response(bench: &Bench) -> &Response {
    match bench.last_sent() {
        Message::Response(response) => response,
        Message::Request(request) => panic!("not a response: {request:?}"),
    }
}

#[test]
fn outside_dialogs() {
    assert_table(&[
        ("0 < OPTIONS", "0 > 200 OPTIONS"),
        ("0 < OPTIONS | Max-Forwards: 0", "0 > 200 OPTIONS"),
        ("0 < OPTIONS | Require: timer", "0 > 420 OPTIONS"),
        ("0 < MESSAGE | Max-Forwards: 0", "0 > 483 MESSAGE"),
        ("0 < MESSAGE | Require: timer", "0 > 420 MESSAGE"),
        ("0 < SUBSCRIBE", "0 > 489 SUBSCRIBE"),
        ("0 < SUBSCRIBE | Event: presence", "0 > 489 SUBSCRIBE"),
        (
            "0 < SUBSCRIBE | Event: message-summary",
            "0 > 401 SUBSCRIBE",
        ),
        ("0 < SUBSCRIBE tag=gone", "0 > 481 SUBSCRIBE"),
        ("0 < NOTIFY", "0 > 481 NOTIFY"),
        ("0 < PUBLISH", "0 > 405 PUBLISH"),
        ("0 < REFER", "0 > 404 REFER"),
        ("0 < REFER tag=gone", "0 > 404 REFER"),
        ("0 < UPDATE", "0 > 405 UPDATE"),
        ("0 < PRACK", "0 > 405 PRACK"),
        ("0 < FROBNICATE", "0 > 501 FROBNICATE"),
        ("0 < BYE", "0 > 481 BYE"),
        ("0 < INFO", "0 > 481 INFO"),
        ("0 < BYE tag=gone", "0 > 481 BYE"),
        ("0 < INVITE sdp tag=gone", "0 > 481 INVITE"),
        ("0 < ACK tag=gone", ""),
        ("0 < ACK", ""),
        ("0 < INVITE sdp | Max-Forwards: 0", "0 > 483 INVITE"),
        ("0 < INVITE sdp | Require: 100rel", "0 > 420 INVITE"),
        ("0 < INVITE sdp | Content-Encoding: gzip", "0 > 415 INVITE"),
        ("0 < INVITE sdp | Accept: text/plain", "0 > 406 INVITE"),
        // A supported but not required extension is fine, and so is one for proxies.
        (
            "0 < INVITE sdp | Supported: 100rel, timer",
            "0 ! Incoming Unknown",
        ),
        (
            "0 < INVITE sdp | Proxy-Require: foo",
            "0 ! Incoming Unknown",
        ),
        // The same request by another path (§8.2.2.2); with another CSeq number it is a different
        // one.
        (
            "0 < INVITE sdp; 10 < INVITE sdp seq=1 branch=z9hG4bKother new; 20 < INVITE sdp seq=2 new",
            "0 ! Incoming Unknown, 10 > 482 INVITE, \
             20 ! Incoming Unknown",
        ),
    ]);
}

#[test]
fn answers_list_the_supported_methods() {
    let mut bench = Bench::new();
    bench.play("0 < PUBLISH");
    let allow =
        "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, REFER, NOTIFY, REGISTER, SUBSCRIBE";
    assert_eq!(response(&bench).headers.get(HeaderName::Allow), Some(allow));
    bench.play("1 < OPTIONS");
    assert_eq!(response(&bench).headers.get(HeaderName::Allow), Some(allow));
    assert_eq!(
        response(&bench).headers.get(HeaderName::Server),
        Some("Patchcord/test")
    );
    bench.play("2 < INVITE sdp | Require: 100rel, timer");
    assert_eq!(
        response(&bench).headers.get(HeaderName::Unsupported),
        Some("100rel, timer")
    );
    bench.play("3 < INVITE sdp new | Content-Encoding: gzip");
    assert_eq!(
        response(&bench).headers.get(HeaderName::AcceptEncoding),
        Some("identity")
    );
}

#[test]
fn malformed_requests_get_their_status_and_others_silence() {
    let via = "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1\r\n";
    let rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n";
    let table: &[(String, &str)] = &[
        (
            format!("OPTIONS sip:c@d SIP/2.0\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "0 > 400 INVITE",
        ),
        (
            format!("INVITE sip:c@d SIP/7.0\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "0 > 505 INVITE",
        ),
        (
            format!("INVITE soap:c SIP/2.0\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "0 > 416 INVITE",
        ),
        (
            format!("ACK sip:c@d SIP/2.0\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "",
        ),
        (
            format!("SIP/2.0 99 Odd\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "",
        ),
        (
            format!("SIP/2.0 200 OK\r\n{via}{rest}CSeq: 1 INVITE\r\n\r\n"),
            "",
        ),
        ("\r\n\r\n".to_owned(), ""),
        ("\0".to_owned(), ""),
        (String::new(), ""),
    ];
    for (text, expected) in table {
        let mut bench = Bench::new();
        bench.receive(text.clone());
        assert_eq!(bench.play("0 end"), *expected, "{text}");
    }
}

#[test]
fn too_many_calls_in_set_up() {
    let mut config = config();
    // Strangers may have half of them.
    config.max_setup = 4;
    let mut bench = Bench::with(config, Transport::Udp);
    let invite = |n: u32| {
        format!(
            "INVITE sip:b@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b>;tag={n}\r\nTo: <sip:c@d>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@192.0.2.1>\r\nContent-Type: application/sdp\r\n\r\n{SDP}"
        )
    };
    for n in 0..3 {
        bench.receive(invite(n));
    }
    let refused = "0 > 503 INVITE";
    let taken = "0 ! Incoming Unknown";
    assert_eq!(
        bench.play("0 end"),
        ordered(&format!("{taken}, {taken}, {refused}"))
    );
    assert_eq!(
        response(&bench).headers.get(HeaderName::RetryAfter),
        Some("5")
    );
    let first = response(&bench).clone();
    // Nothing is kept of a refused call; its retransmission gets the same response.
    bench.receive(invite(2));
    assert_eq!(bench.play("0 end"), refused);
    assert_eq!(*response(&bench), first);
    // An answered call makes room.
    bench.play("0 answer");
    bench.receive(invite(3));
    assert_eq!(bench.play("0 end"), taken);
    bench.core.drain();
    bench.play("0 answer; 1 end");
    bench.receive(invite(4));
    assert_eq!(bench.play("1 end"), "1 > 503 INVITE");
    assert_eq!(bench.play("2 < OPTIONS new"), "2 > 503 OPTIONS");
}

#[test]
fn answers_where_the_request_came_from() {
    let mut bench = Bench::new();
    let mut from = peer(Transport::Udp);
    from.remote.set_port(40_000);
    let text = "OPTIONS sip:b@192.0.2.9 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.2\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n\
        CSeq: 1 OPTIONS\r\n\r\n";
    let now = bench.now();
    bench.core.handle_datagram(text.into(), from, now);
    let Some(Output::Transmit { peer, bytes }) = bench.core.poll_output() else {
        panic!("no answer");
    };
    assert_eq!(peer.remote, from.remote);
    let answer = String::from_utf8(bytes.to_vec()).unwrap();
    let via = "Via: SIP/2.0/UDP 10.0.0.1:5070;rport=40000;branch=z9hG4bK1;received=192.0.2.1, \
               SIP/2.0/UDP 10.0.0.2\r\n";
    assert!(answer.contains(via), "{answer}");
}
