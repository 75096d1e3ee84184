//! Where requests within a dialog go: routes, strict routers, NAT, new targets, restored dialogs.

use crate::bench::{Bench, config, spec, start};
use sip_proto::DialogSnapshot;
use sip_proto::message::{HeaderName, Message, Request};
use sip_proto::ua::{Core, FlowId, LegCommand, LegEvent, Output, Peer, Transport};

/// Answers our INVITE with these lines and returns the BYE and its destination.
fn bye_after(peer: Peer, lines: &str) -> (Request, Peer) {
    let mut bench = Bench::with(config(), peer.transport);
    bench.peer = peer;
    let now = bench.now();
    let invite = LegCommand::Invite(Box::new(spec(peer)));
    bench.core.handle_command(bench.leg, invite, now);
    bench.drain();
    let headers = &bench.request_of("INVITE").headers;
    let header = |name: HeaderName| headers.get(name).unwrap().to_owned();
    let answer = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=a\r\nCall-ID: {}\r\n\
         CSeq: 1 INVITE\r\n{lines}Content-Length: 0\r\n\r\n",
        header(HeaderName::Via),
        header(HeaderName::From),
        header(HeaderName::To),
        header(HeaderName::CallId),
    );
    bench.receive(answer);
    bench.play("0 bye");
    let (to, Message::Request(bye)) = bench.sent.last().unwrap().clone() else {
        panic!("no BYE");
    };
    (bye, to)
}

#[test]
fn follows_the_routes_of_the_answer() {
    // Lines of the 2xx, then Request-URI, Routes and address of the BYE. The peer is
    // 192.0.2.1:5070.
    let contact = "Contact: <sip:x@198.51.100.7:5080>\r\n";
    let table: &[(String, &str, &[&str], &str)] = &[
        (
            contact.to_owned(),
            "sip:x@198.51.100.7:5080",
            &[],
            "198.51.100.7:5080",
        ),
        (
            format!(
                "Record-Route: <sip:203.0.113.2;lr>, <sip:203.0.113.3:5061;lr>\r\n\
                 Record-Route: <sip:203.0.113.4;lr>\r\n{contact}"
            ),
            "sip:x@198.51.100.7:5080",
            &[
                "<sip:203.0.113.4;lr>",
                "<sip:203.0.113.3:5061;lr>",
                "<sip:203.0.113.2;lr>",
            ],
            "203.0.113.4:5060",
        ),
        // A strict router takes the place of the target.
        (
            format!("Record-Route: <sip:203.0.113.2;lr>, <sip:203.0.113.3>\r\n{contact}"),
            "sip:203.0.113.3",
            &["<sip:203.0.113.2;lr>", "<sip:x@198.51.100.7:5080>"],
            "203.0.113.3:5060",
        ),
        // A named router: the request goes to where the answer came from.
        (
            format!("Record-Route: <sip:proxy.example.com;lr>\r\n{contact}"),
            "sip:x@198.51.100.7:5080",
            &["<sip:proxy.example.com;lr>"],
            "192.0.2.1:5070",
        ),
        // A phone behind NAT knows only its private address.
        (
            "Contact: <sip:x@10.0.0.7>\r\n".to_owned(),
            "sip:x@10.0.0.7",
            &[],
            "192.0.2.1:5070",
        ),
        (
            "Contact: <sip:x@phone.local>\r\n".to_owned(),
            "sip:x@phone.local",
            &[],
            "192.0.2.1:5070",
        ),
        // The same address with another port is another process.
        (
            "Contact: <sip:x@192.0.2.1:6000>\r\n".to_owned(),
            "sip:x@192.0.2.1:6000",
            &[],
            "192.0.2.1:6000",
        ),
        // Without Contact: the URI that was called.
        (
            String::new(),
            "sip:callee@192.0.2.1:5070",
            &[],
            "192.0.2.1:5070",
        ),
    ];
    for (lines, uri, routes, address) in table {
        let (bye, to) = bye_after(crate::bench::peer(Transport::Udp), lines);
        assert_eq!(bye.uri.to_string(), *uri, "{lines}");
        let seen: Vec<&str> = bye.headers.all(HeaderName::Route).collect();
        assert_eq!(seen, *routes, "{lines}");
        assert_eq!(to.remote.to_string(), *address, "{lines}");
    }
}

#[test]
fn stays_on_the_connection() {
    let peer = Peer {
        flow: Some(FlowId(9)),
        ..crate::bench::peer(Transport::Tcp)
    };
    let table = [
        (
            "Contact: <sip:x@192.0.2.1:5070;transport=tcp>\r\n",
            Some(FlowId(9)),
            Transport::Tcp,
        ),
        (
            "Contact: <sip:x@10.0.0.1;transport=tcp>\r\n",
            Some(FlowId(9)),
            Transport::Tcp,
        ),
        (
            "Contact: <sip:x@198.51.100.1;transport=tcp>\r\n",
            None,
            Transport::Tcp,
        ),
        ("Contact: <sip:x@198.51.100.1>\r\n", None, Transport::Udp),
    ];
    for (lines, flow, transport) in table {
        let (_, to) = bye_after(peer, lines);
        assert_eq!((to.flow, to.transport), (flow, transport), "{lines}");
    }
}

#[test]
fn takes_the_target_of_an_accepted_reinvite_only() {
    let up = "0 < INVITE sdp | Record-Route: <sip:192.0.2.1:5070;lr>; 10 answer; 20 < ACK; ";
    for (answer, uri) in [
        ("accept", "sip:kim@192.0.2.77"),
        ("refuse 488", "sip:kim@192.0.2.1:5070"),
    ] {
        let mut bench = Bench::new();
        bench.play(up);
        bench.play("25 end");
        // The bench writes one Contact; this re-INVITE has another.
        let to = match &bench.sent[0].1 {
            Message::Response(ok) => ok.headers.get(HeaderName::To).unwrap().to_owned(),
            Message::Request(_) => panic!("not a response"),
        };
        bench.receive(format!(
            "INVITE sip:bob@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKmove\r\nMax-Forwards: 70\r\n\
             From: <sip:kim@example.com>;tag=p\r\nTo: {to}\r\nCall-ID: call-1\r\n\
             CSeq: 50 INVITE\r\nContact: <sip:kim@192.0.2.77>\r\nContent-Length: 0\r\n\r\n"
        ));
        bench.play(&format!("30 {answer}; 40 bye"));
        let bye = bench.request_of("BYE");
        assert_eq!(bye.uri.to_string(), uri, "{answer}");
        let routes: Vec<&str> = bye.headers.all(HeaderName::Route).collect();
        assert_eq!(
            routes,
            ["<sip:192.0.2.1:5070;lr>"],
            "the route set never changes"
        );
    }
}

#[test]
fn hangs_up_a_call_of_an_earlier_process() {
    let mut bench = Bench::new();
    let now = bench.now();
    bench.core.handle_command(
        bench.leg,
        LegCommand::Invite(Box::new(spec(bench.peer))),
        now,
    );
    bench.drain();
    let invite = bench.request_of("INVITE").clone();
    let mut answer = sip_proto::message::Response::for_request(&invite, 200);
    answer.set_to_tag("a");
    answer
        .headers
        .push(HeaderName::Contact, "<sip:x@192.0.2.1:6000>");
    answer
        .headers
        .push(HeaderName::RecordRoute, "<sip:192.0.2.1:5070;lr>");
    bench
        .core
        .handle_datagram(answer.to_bytes(), bench.peer, now);
    let outputs: Vec<Output> = std::iter::from_fn(|| bench.core.poll_output()).collect();
    let snapshot = outputs.iter().find_map(|output| match output {
        Output::Event(_, LegEvent::Dialog(snapshot)) => Some((**snapshot).clone()),
        _ => None,
    });
    let snapshot: DialogSnapshot = snapshot.expect("a confirmed dialog");

    let (bye, peer) = orphan_bye(&snapshot);
    assert_eq!(bye.uri.to_string(), "sip:x@192.0.2.1:6000");
    assert_eq!(
        bye.headers.get(HeaderName::Route),
        Some("<sip:192.0.2.1:5070;lr>")
    );
    assert_eq!(bye.headers.call_id(), invite.headers.call_id());
    assert_eq!(
        bye.headers.get(HeaderName::From),
        invite.headers.get(HeaderName::From)
    );
    assert_eq!(bye.headers.to().unwrap().tag(), Some("a"));
    assert!(bye.headers.cseq().unwrap().seq > 1);
    assert_eq!(peer.remote.to_string(), "192.0.2.1:5070");
    let garbage = DialogSnapshot {
        remote: "nobody".to_owned(),
        ..snapshot
    };
    let mut other = Core::new(config(), Box::new(crate::bench::Seeded(9)), start());
    other.hang_up(&garbage, start());
    assert_eq!(
        other.poll_output(),
        None,
        "what cannot be read is left alone"
    );
}

/// The remote party's latest address is used.
#[test]
fn hangs_up_a_call_whose_remote_party_has_moved() {
    let answered = "0 invite; 100 < 200 INVITE a sdp";
    // After a re-INVITE with another Contact, once accepted; after one of ours.
    for (moves, target) in [
        ("", "sip:callee@192.0.2.1:5070"),
        ("; 200 < INVITE sdp", "sip:callee@192.0.2.1:5070"),
        (
            "; 200 < INVITE sdp; 300 refuse 488",
            "sip:callee@192.0.2.1:5070",
        ),
        ("; 200 < INVITE sdp; 300 accept", "sip:kim@192.0.2.1:5070"),
    ] {
        let mut bench = Bench::new();
        bench.play(&format!("{answered}{moves}"));
        let moved = target.contains("kim");
        assert_eq!(bench.dialogs.len(), if moved { 2 } else { 1 }, "{moves}");
        let last = bench.dialogs.last().expect("a dialog");
        assert_eq!(orphan_bye(last).0.uri.to_string(), target, "{moves}");
    }
    // Behind a NAT that assigned another address.
    let mut bench = Bench::new();
    bench.play(answered);
    bench.peer.remote.set_port(5999);
    bench.play("200 < INFO");
    let last = bench.dialogs.last().expect("a dialog");
    assert_eq!(last.remote_address.port(), 5999);
    assert_eq!(bench.dialogs.len(), 2);
}

/// The BYE of a later process, and its destination.
fn orphan_bye(dialog: &DialogSnapshot) -> (sip_proto::message::Request, sip_proto::ua::Peer) {
    let mut other = Core::new(config(), Box::new(crate::bench::Seeded(9)), start());
    other.hang_up(dialog, start());
    let Some(Output::Transmit { peer, bytes }) = other.poll_output() else {
        panic!("no BYE")
    };
    match sip_proto::parse::parse_bytes(bytes) {
        Ok(Message::Request(bye)) => (bye, peer),
        other => panic!("{other:?}"),
    }
}
