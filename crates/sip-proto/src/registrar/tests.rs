//! Tables of REGISTER requests and the bindings they leave.

use super::*;
use crate::message::Message;
use crate::parse::parse_datagram;
use crate::ua::testing::start;
use std::net::SocketAddr;

fn peer(port: u16) -> Peer {
    Peer {
        transport: Transport::Udp,
        remote: SocketAddr::from(([192, 0, 2, 1], port)),
        local: SocketAddr::from(([192, 0, 2, 9], 5060)),
        flow: None,
    }
}

fn request(call_id: &str, seq: u32, lines: &str) -> Request {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call_id}{seq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:kim@example.com>;tag=1\r\nTo: <sip:kim@example.com>\r\n\
         Call-ID: {call_id}\r\nCSeq: {seq} REGISTER\r\n{lines}\r\n"
    );
    match parse_datagram(text.as_bytes()) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

#[test]
fn follows_the_contacts() {
    // Second, Call-ID, CSeq, lines, then the status and all bindings with their remaining time.
    let table: &[(u64, &str, u32, &str, u16, &str)] = &[
        (0, "a", 1, "", 200, ""),
        (
            0,
            "a",
            2,
            "Contact: <sip:kim@1.1.1.1;ob>;expires=100\r\n",
            200,
            "sip:kim@1.1.1.1;ob 100",
        ),
        // A Contact without its own time takes that of Expires, and a capped one 3600.
        (
            1,
            "b",
            1,
            "Contact: <sip:kim@2.2.2.2>;q=0.5, <sip:kim@3.3.3.3>;expires=9999;q=0.7\r\n\
             Expires: 300\r\n",
            200,
            "sip:kim@1.1.1.1;ob 99, sip:kim@3.3.3.3 3600 q700, sip:kim@2.2.2.2 300 q500",
        ),
        // Neither expires nor Expires; the URI equals the one before (§19.1.4 passes over `ob`).
        (
            1,
            "a",
            3,
            "Contact: sip:kim@1.1.1.1\r\n",
            200,
            "sip:kim@1.1.1.1 3600, sip:kim@3.3.3.3 3600 q700, sip:kim@2.2.2.2 300 q500",
        ),
        // Older than what made the binding, and the same again.
        (2, "b", 1, "Contact: <sip:kim@2.2.2.2>\r\n", 500, ""),
        (
            2,
            "b",
            0,
            "Contact: <sip:kim@2.2.2.2>;expires=0\r\n",
            500,
            "",
        ),
        // All or nothing: the second Contact is too brief.
        (
            2,
            "c",
            1,
            "Contact: <sip:kim@2.2.2.2>;expires=0\r\nContact: <tel:+1999>;expires=59\r\n",
            400,
            "",
        ),
        (2, "c", 2, "Contact: <mailto:kim@example.com>\r\n", 400, ""),
        (2, "c", 3, "Contact: *\r\n", 400, ""),
        (2, "c", 4, "Contact: *\r\nExpires: 60\r\n", 400, ""),
        (
            2,
            "c",
            5,
            "Contact: <sip:kim@2.2.2.2>;expires=0, <sip:kim@1.1.1.1>;expires=0\r\n",
            200,
            "sip:kim@3.3.3.3 3599 q700",
        ),
        (
            3,
            "d",
            1,
            "Contact: <sip:kim@4.4.4.4>;expires=60\r\n",
            200,
            "sip:kim@4.4.4.4 60, sip:kim@3.3.3.3 3598 q700",
        ),
        // Expired by itself.
        (63, "d", 2, "", 200, "sip:kim@3.3.3.3 3538 q700"),
        (101, "b", 1, "Contact: *\r\nExpires: 0\r\n", 500, ""),
        (101, "b", 2, "Contact: *\r\nExpires: 0\r\n", 200, ""),
    ];
    let t0 = start();
    let mut registrar = Registrar::new();
    for (at, call_id, seq, lines, status, expected) in table {
        let now = t0 + Duration::from_secs(*at);
        let before = registrar.bindings("kim", now);
        let request = request(call_id, *seq, lines);
        match registrar.register("kim", &request, peer(5070), now) {
            Ok(()) => {
                assert_eq!(*status, 200, "{lines}");
                assert_eq!(
                    shown(&registrar.bindings("kim", now), now),
                    *expected,
                    "{lines}"
                );
            }
            Err(error) => {
                assert_eq!(error.response(&request).status.0, *status, "{lines}");
                assert_eq!(registrar.bindings("kim", now), before, "{lines}");
            }
        }
    }
}

fn shown(bindings: &[Binding], now: Instant) -> String {
    let one = |binding: &Binding| {
        let left = binding.expires_at.duration_since(now).as_secs();
        let q = if binding.q < 1000 {
            format!(" q{}", binding.q)
        } else {
            String::new()
        };
        format!("{} {left}{q}", binding.contact)
    };
    let mut all: Vec<String> = bindings.iter().map(one).collect();
    // Same q: newest first is by expiry; the table lists by text within a preference.
    all.sort_by_key(|text| {
        let q = text
            .rsplit_once(" q")
            .map_or(1000, |(_, q)| q.parse::<u16>().unwrap_or(1000));
        (std::cmp::Reverse(q), text.clone())
    });
    all.join(", ")
}

#[test]
fn limits_the_bindings_of_a_client() {
    let now = start();
    let mut registrar = Registrar::new();
    let contacts = |n: usize| -> String {
        (0..n)
            .map(|i| format!("Contact: <sip:kim@10.0.0.{i}>\r\n"))
            .collect()
    };
    let too_many = request("a", 1, &contacts(MAX_BINDINGS + 1));
    assert_eq!(
        registrar.register("kim", &too_many, peer(5070), now),
        Err(RegisterError::TooMany)
    );
    let enough = request("a", 2, &contacts(MAX_BINDINGS));
    assert_eq!(registrar.register("kim", &enough, peer(5070), now), Ok(()));
    assert_eq!(registrar.bindings("kim", now).len(), MAX_BINDINGS);
}

#[test]
fn wakes_for_each_expiry_and_forgets() {
    let t0 = start();
    let mut registrar = Registrar::new();
    let lines = "Contact: <sip:kim@1.1.1.1>;expires=60, <sip:kim@2.2.2.2>;expires=90\r\n";
    let register = request("a", 1, lines);
    assert_eq!(registrar.register("kim", &register, peer(5070), t0), Ok(()));
    let mut wakes = Vec::new();
    while let Some(at) = registrar.poll_timeout() {
        assert_eq!(registrar.handle_timeout(at), ["kim"]);
        wakes.push((
            at.duration_since(t0).as_secs(),
            registrar.bindings("kim", at).len(),
        ));
    }
    assert_eq!(wakes, [(60, 1), (90, 0)]);
    assert!(registrar.clients.is_empty());
}

#[test]
fn reaches_a_client_anew_when_its_connection_is_gone() {
    let now = start();
    let mut registrar = Registrar::new();
    let flow = Peer {
        transport: Transport::Tcp,
        flow: Some(FlowId(7)),
        ..peer(40_000)
    };
    let lines = "Contact: <sip:kim@10.0.0.1:5062;transport=tcp>, <sip:kim@phone.invalid>\r\n";
    let register = request("a", 1, lines);
    assert_eq!(registrar.register("kim", &register, flow, now), Ok(()));
    assert!(registrar.handle_flow_closed(FlowId(8)).is_empty());
    assert_eq!(registrar.handle_flow_closed(FlowId(7)), ["kim"]);
    let left = registrar.bindings("kim", now);
    assert_eq!(left.len(), 1, "a name cannot be connected to");
    assert_eq!(left[0].peer.remote, SocketAddr::from(([10, 0, 0, 1], 5062)));
    assert_eq!(left[0].peer.flow, None);
}

#[test]
fn lists_the_remaining_time_rounded_up() {
    let now = start();
    let mut registrar = Registrar::new();
    let register = request(
        "a",
        1,
        "Contact: <sip:kim@1.1.1.1;ob>;q=0.25;expires=60\r\n",
    );
    assert_eq!(
        registrar.register("kim", &register, peer(5070), now),
        Ok(())
    );
    let binding = &registrar.bindings("kim", now)[0];
    // ms after the REGISTER, then what is listed.
    for (ms, seconds) in [(0, 60), (1, 60), (1000, 59), (59_999, 1)] {
        assert_eq!(
            binding.listed(now + Duration::from_millis(ms)),
            format!("<sip:kim@1.1.1.1;ob>;q=0.250;expires={seconds}"),
        );
    }
}
