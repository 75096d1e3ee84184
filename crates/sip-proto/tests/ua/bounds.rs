//! Limits on the state and output that one peer can cause.

use crate::bench::{Bench, REALM, config, peer};
use sip_proto::ua::{Output, Peer, Transport, TrunkSource};

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
    assert_eq!(bench.core.poll_timeout(), None, "nothing is remembered");
    // Repeated requests get the same tag.
    let now = bench.now();
    let mut answer = |n: u32| {
        let core = &mut bench.core;
        core.handle_datagram(options(n).into(), peer(Transport::Udp), now);
        match core.poll_output() {
            Some(Output::Transmit { bytes, .. }) => bytes,
            _ => panic!("no answer"),
        }
    };
    let first = answer(1);
    assert!(first.starts_with(b"SIP/2.0 200 "));
    assert_eq!(first, answer(1));
    assert_ne!(first, answer(2));
}

/// The status of the answer to an INVITE, or 0 if it reaches the engine.
fn invited(bench: &mut Bench, from: &str, n: u32, peer: Peer, more: &str) -> u16 {
    let invite = format!(
        "INVITE sip:b@192.0.2.9 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{from}>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {n}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@192.0.2.1>\r\n{more}\r\n"
    );
    let now = bench.now();
    bench.core.handle_datagram(invite.into(), peer, now);
    let mut status = None;
    while let Some(output) = bench.core.poll_output() {
        match output {
            Output::Transmit { bytes, .. } => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let word = text.split(' ').nth(1).and_then(|word| word.parse().ok());
                status = word.filter(|status| *status > 100).or(status);
            }
            Output::Incoming(_) => status = Some(0),
            _ => {}
        }
    }
    status.expect("an answer")
}

/// Trunks and clients keep what strangers cannot use: a trunk gets through, and one that claims to be a client may prove it.
#[test]
fn a_flood_of_strangers_leaves_room_for_others() {
    let mut config = config();
    let trunk = Peer {
        remote: ([192, 0, 2, 7], 5060).into(),
        ..peer(Transport::Udp)
    };
    config.trunks = vec![TrunkSource {
        name: "carrier".to_owned(),
        addresses: vec!["192.0.2.7".parse().unwrap()],
    }];
    let (max, setup) = (12_500, config.max_setup as u32);
    let stranger = peer(Transport::Udp);
    // Transactions of INVITEs that are refused at once, and remembered for their ACK.
    let mut bench = Bench::with(config.clone(), Transport::Udp);
    let refused = "Accept: text/plain\r\n";
    for n in 0..max {
        assert_eq!(invited(&mut bench, "x", n, stranger, refused), 406);
    }
    assert_eq!(invited(&mut bench, "x", max, stranger, ""), 503);
    assert_eq!(invited(&mut bench, REALM, max + 1, stranger, ""), 407);
    assert_eq!(invited(&mut bench, "x", max + 2, trunk, ""), 0);
    bench.play("40000 end");
    assert_eq!(invited(&mut bench, "x", max + 3, stranger, ""), 0);
    // Calls in set-up.
    let mut bench = Bench::with(config, Transport::Udp);
    for n in 0..setup / 2 {
        assert_eq!(invited(&mut bench, "x", n, stranger, ""), 0);
    }
    assert_eq!(invited(&mut bench, "x", 100, stranger, ""), 503);
    assert_eq!(invited(&mut bench, REALM, 101, stranger, ""), 407);
    for n in 0..setup / 2 {
        assert_eq!(invited(&mut bench, "x", 200 + n, trunk, ""), 0);
    }
    assert_eq!(invited(&mut bench, "x", 300, trunk, ""), 503);
}

#[test]
fn what_is_repeated_in_an_answer_is_limited() {
    let mut bench = Bench::with(config(), Transport::Udp);
    let long = |length| format!("Record-Route: <sip:{}@d;lr>\r\n", "a".repeat(length));
    let stranger = peer(Transport::Udp);
    assert_eq!(invited(&mut bench, "x", 1, stranger, &long(7_000)), 0);
    assert_eq!(invited(&mut bench, "x", 2, stranger, &long(9_000)), 513);
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

/// Anyone can get a nonce, so credentials that are not verified prove nothing.
#[test]
fn a_flood_of_wrong_credentials_leaves_room_for_others() {
    let mut config = config();
    let trunk = Peer {
        remote: ([192, 0, 2, 7], 5060).into(),
        ..peer(Transport::Udp)
    };
    config.trunks = vec![TrunkSource {
        name: "carrier".to_owned(),
        addresses: vec!["192.0.2.7".parse().unwrap()],
    }];
    let mut bench = Bench::with(config, Transport::Udp);
    let stranger = peer(Transport::Udp);
    let register = format!(
        "REGISTER sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKr\r\n\
         Max-Forwards: 70\r\nFrom: <sip:z@{REALM}>;tag=1\r\nTo: <sip:z@{REALM}>\r\nCall-ID: r\r\n\
         CSeq: 1 REGISTER\r\n\r\n"
    );
    let now = bench.now();
    bench.core.handle_datagram(register.into(), stranger, now);
    let Some(Output::Transmit { bytes, .. }) = bench.core.poll_output() else {
        panic!("no answer");
    };
    let challenge = String::from_utf8_lossy(&bytes).into_owned();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap();
    let nonce = nonce.split('"').next().unwrap();
    let given = format!(
        "Authorization: Digest username=\"z\", realm=\"{REALM}\", nonce=\"{nonce}\", \
         uri=\"sip:b\", response=\"0\"\r\nAccept: text/plain\r\n"
    );
    for n in 0..1_000 {
        assert_eq!(invited(&mut bench, "x", n, stranger, &given), 406, "{n}");
    }
    assert_eq!(invited(&mut bench, "x", 1_000, stranger, &given), 503);
    // Its address has used up what it may hold; others have not.
    let other = Peer {
        remote: ([192, 0, 2, 3], 5060).into(),
        ..stranger
    };
    assert_eq!(invited(&mut bench, "x", 1_001, other, ""), 0);
    assert_eq!(invited(&mut bench, "x", 1_002, trunk, ""), 0);
}

#[test]
fn a_flood_within_a_dialog_leaves_room_for_others_and_for_its_end() {
    let mut bench = Bench::with(config(), Transport::Udp);
    bench.play("0 < INVITE sdp; 10 answer; 20 < ACK");
    let to = match &bench.sent[0].1 {
        sip_proto::message::Message::Response(ok) => ok.headers.get("To").unwrap().to_owned(),
        sip_proto::message::Message::Request(_) => panic!("not a response"),
    };
    let within = |method: &str, n: u32| {
        format!(
            "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKd{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:kim@example.com>;tag=p\r\nTo: {to}\r\nCall-ID: call-1\r\n\
             CSeq: {} {method}\r\nContent-Length: 0\r\n\r\n",
            n + 100
        )
    };
    let now = bench.now();
    let mut status = |method: &str, n: u32| {
        let core = &mut bench.core;
        core.handle_datagram(within(method, n).into(), peer(Transport::Udp), now);
        let mut found = String::new();
        while let Some(output) = core.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                found = text.split(' ').nth(1).unwrap_or_default().to_owned();
            }
        }
        found
    };
    for n in 0..1_000 {
        assert_eq!(status("OPTIONS", n), "200", "{n}");
    }
    assert_eq!(status("OPTIONS", 1_000), "503");
    assert_eq!(status("BYE", 1_001), "200");
}
