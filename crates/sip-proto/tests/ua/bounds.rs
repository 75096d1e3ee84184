//! Limits on the state and output that one peer can cause.

use crate::bench::{Bench, config, peer};
use sip_proto::ua::{Output, Transport};

/// Feeds `count` requests and returns the number of outputs of each kind.
fn flood(bench: &mut Bench, count: u32, text: impl Fn(u32) -> String) -> (usize, usize) {
    let (mut answers, mut events) = (0, 0);
    let now = bench.now();
    for n in 0..count {
        bench
            .core
            .handle_datagram(text(n).into(), peer(Transport::Udp), now);
        while let Some(output) = bench.core.poll_output() {
            match output {
                Output::Transmit { .. } => answers += 1,
                Output::Event(..) => events += 1,
                _ => {}
            }
        }
    }
    (answers, events)
}

#[test]
fn a_flood_of_info_reaches_the_engine_in_drops() {
    let mut bench = Bench::new();
    bench.play("0 < INVITE sdp; 10 answer; 20 < ACK");
    let to = match &bench.sent[0].1 {
        sip_proto::message::Message::Response(ok) => ok.headers.get("To").unwrap().to_owned(),
        sip_proto::message::Message::Request(_) => panic!("not a response"),
    };
    let (answers, events) = flood(&mut bench, 1000, |n| {
        format!(
            "INFO sip:bob@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKf{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:kim@example.com>;tag=p\r\nTo: {to}\r\nCall-ID: call-1\r\n\
             CSeq: {} INFO\r\nContent-Length: 0\r\n\r\n",
            n + 100
        )
    });
    assert_eq!(
        (answers, events),
        (1000, 64),
        "all are answered, a few are handed up"
    );
}

/// It sends from two ports in turn, or offers a new session again and again.
#[test]
fn a_party_that_keeps_moving_or_offering_reaches_the_engine_in_drops() {
    for method in ["OPTIONS", "INVITE"] {
        let mut bench = Bench::new();
        bench.play("0 < INVITE sdp; 10 answer; 20 < ACK");
        let to = match &bench.sent[0].1 {
            sip_proto::message::Message::Response(ok) => ok.headers.get("To").unwrap().to_owned(),
            sip_proto::message::Message::Request(_) => panic!("not a response"),
        };
        let (mut events, known) = (0, bench.dialogs.len());
        for n in 0..1_000_u32 {
            if method == "OPTIONS" {
                bench
                    .peer
                    .remote
                    .set_port(5070 + u16::try_from(n % 2).unwrap());
            }
            bench.receive(format!(
                "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
                 Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKm{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:kim@example.com>;tag=p\r\nTo: {to}\r\nCall-ID: call-1\r\n\
                 CSeq: {} {method}\r\nContact: <sip:kim@10.0.0.1>\r\nContent-Length: 0\r\n\r\n",
                n + 100
            ));
            let log = bench.play("20 refuse 488; 20 end");
            events += log.matches('!').count();
        }
        let moves = bench.dialogs.len() - known;
        assert_eq!(events + moves, 64, "{method}");
        // Where it is now is reported as soon as there is room, and then nothing more.
        bench.play("5000 end");
        let last = bench.dialogs.len() - known - moves;
        assert_eq!(last, usize::from(method == "OPTIONS"), "{method}");
    }
}

#[test]
fn a_flood_of_forks_stops_being_answered() {
    let mut bench = Bench::new();
    bench.play("0 invite; 10 < 200 INVITE first sdp");
    let before = bench.sent.len();
    for n in 0..100 {
        bench.play(&format!("20 < 200 INVITE fork{n} sdp"));
    }
    let sent = bench.sent.len() - before;
    assert_eq!(sent, 2 * 15, "ACK and BYE to each of 15 further far ends");
}

#[test]
fn a_flood_of_provisional_responses_reaches_the_engine_in_drops() {
    let mut bench = Bench::new();
    bench.play("0 invite");
    let mut told = 0;
    for n in 0..500 {
        told += bench
            .play(&format!("10 < 180 INVITE t{n}"))
            .matches("Progress")
            .count();
    }
    assert_eq!(told, 64);
}

#[test]
fn a_flood_of_requests_is_refused_without_being_kept() {
    let mut bench = Bench::with(config(), Transport::Udp);
    let options = |n: u32| {
        format!(
            "OPTIONS sip:b@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {n}\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
    };
    let (answers, _) = flood(&mut bench, 50_010, options);
    assert_eq!(answers, 50_010);
    let now = bench.now();
    bench
        .core
        .handle_datagram(options(60_000).into(), peer(Transport::Udp), now);
    let Some(Output::Transmit { bytes, .. }) = bench.core.poll_output() else {
        panic!("no answer");
    };
    assert!(
        bytes.starts_with(b"SIP/2.0 503 "),
        "{:?}",
        String::from_utf8_lossy(&bytes)
    );
    // Half a minute later everything has recovered.
    bench.play("40000 end");
    assert_eq!(bench.core.poll_timeout(), None, "nothing is remembered");
    bench.receive(options(60_001));
    assert_eq!(bench.play("40000 end"), "40000 > 200 OPTIONS");
}

#[test]
fn nothing_is_left_of_calls_that_are_over() {
    for script in [
        "0 invite; 10 < 180 INVITE a; 20 < 200 INVITE a sdp; 30 bye; 40 < 200 BYE",
        "0 invite; 10 < 180 INVITE a; 20 cancel; 30 < 200 CANCEL a; 40 < 487 INVITE a",
        "0 < INVITE sdp; 10 answer; 20 < ACK; 30 < BYE",
        "0 < INVITE sdp; 10 reject 486; 20 < ACK same",
        "0 < INVITE sdp; 10 < CANCEL; 20 < ACK same",
        "0 < INVITE sdp; 10 answer",
        "0 invite",
    ] {
        let mut bench = Bench::new();
        bench.play(script);
        bench.play("200000 end");
        assert_eq!(bench.core.legs(), 0, "{script}");
        assert_eq!(bench.core.poll_timeout(), None, "{script}");
    }
}
