//! Tables of REGISTER requests and the bindings they leave.

use super::*;
use crate::message::Message;
use crate::parse::parse_datagram;
use crate::ua::Transport;
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
        // Neither expires nor Expires; the URI equals the one before (§19.1.4 ignores `ob`).
        (
            1,
            "a",
            3,
            "Contact: sip:kim@1.1.1.1\r\n",
            200,
            "sip:kim@1.1.1.1 3600, sip:kim@3.3.3.3 3600 q700, sip:kim@2.2.2.2 300 q500",
        ),
        // Older than the REGISTER that made the binding, and the same again.
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
        // Expired on its own.
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
        match registrar.register(("kim", "c1"), &request, peer(5070), now) {
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
    // Same q: newest first means latest expiry; the table sorts by text within a preference.
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
        registrar.register(("kim", "c1"), &too_many, peer(5070), now),
        Err(RegisterError::TooMany)
    );
    let refusal = RegisterError::TooMany.response(&too_many);
    assert_eq!(refusal.status.0, 403, "the same request can never succeed");
    let enough = request("a", 2, &contacts(MAX_BINDINGS));
    assert_eq!(
        registrar.register(("kim", "c1"), &enough, peer(5070), now),
        Ok(())
    );
    assert_eq!(registrar.bindings("kim", now).len(), MAX_BINDINGS);
}

/// Registers one Contact of a phone that changes its port, at that second.
fn register_port(registrar: &mut Registrar, second: u64, port: u16, params: &str, t0: Instant) {
    let line = format!("Contact: <sip:kim@192.0.2.7:{port};ob>{params}\r\n");
    let request = request(&format!("c{port}"), 1, &line);
    let now = t0 + Duration::from_secs(second);
    assert_eq!(
        registrar.register(("kim", "c1"), &request, peer(port), now),
        Ok(())
    );
}

/// The ports of the bindings, in ascending order.
fn ports(registrar: &Registrar, now: Instant) -> Vec<u16> {
    let mut ports: Vec<u16> = registrar
        .bindings("kim", now)
        .iter()
        .filter_map(|binding| binding.contact.port)
        .collect();
    ports.sort_unstable();
    ports
}

const PHONE: &str = ";+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-000000000001>\"";

#[test]
fn a_phone_replaces_its_own_binding() {
    let t0 = start();
    let with = |rest: &str| format!("{rest}{PHONE}");
    // Parameters of two registrations from different ports, then the remaining ports.
    let table: &[(&str, &str, &[u16])] = &[
        (&with(";reg-id=1"), &with(";reg-id=1"), &[2]),
        (&with(";reg-id=1"), &with(";reg-id=2"), &[1, 2]),
        (&with(";reg-id=1"), ";reg-id=1", &[1, 2]),
        // Without `reg-id`, two addresses of one phone may be meant.
        (PHONE, PHONE, &[1, 2]),
        ("", "", &[1, 2]),
    ];
    for (first, second, left) in table {
        let mut registrar = Registrar::new();
        register_port(&mut registrar, 0, 1, first, t0);
        register_port(&mut registrar, 1, 2, second, t0);
        let now = t0 + Duration::from_secs(1);
        assert_eq!(ports(&registrar, now), *left, "{first} {second}");
    }
    // As often as it likes; also after a restart of the server.
    let mut registrar = Registrar::new();
    for port in 1..50 {
        register_port(&mut registrar, port.into(), port, &with(";reg-id=1"), t0);
        let (now, unix) = (
            t0 + Duration::from_secs(port.into()),
            Duration::from_secs(9),
        );
        assert_eq!(ports(&registrar, now), [port]);
        let kept = registrar.bindings("kim", now)[0].snapshot(now, unix);
        let restored = kept.restore(now, unix).expect("it lives");
        registrar = Registrar::new();
        registrar.restore("kim", vec![restored]);
    }
}

#[test]
fn a_clock_that_is_set_back_prolongs_no_registration_beyond_the_longest() {
    let t0 = start();
    let mut registrar = Registrar::new();
    register_port(&mut registrar, 0, 1, "", t0);
    let day = Duration::from_secs(86_400);
    let kept = registrar.bindings("kim", t0)[0].snapshot(t0, 2 * day);
    let restored = kept.restore(t0, day).expect("it lives");
    let longest = Duration::from_secs(MAX_EXPIRES.into());
    assert_eq!(restored.expires_at, t0 + longest);
    assert_eq!(kept.restore(t0, 3 * day), None, "set forward: expired");
}

#[test]
fn a_new_binding_takes_the_place_of_another() {
    let t0 = start();
    let now = t0 + Duration::from_secs(100);
    let full = || {
        let mut registrar = Registrar::new();
        for port in 1..=10 {
            register_port(&mut registrar, port.into(), port, "", t0);
        }
        registrar
    };
    // Registered longest ago.
    let mut registrar = full();
    register_port(&mut registrar, 50, 11, "", t0);
    assert_eq!(ports(&registrar, now), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    // Refreshing makes a binding the newest.
    let mut registrar = full();
    let again = request("c1", 2, "Contact: <sip:kim@192.0.2.7:1;ob>\r\n");
    assert_eq!(
        registrar.register(("kim", "c1"), &again, peer(1), now),
        Ok(())
    );
    register_port(&mut registrar, 50, 11, "", t0);
    assert_eq!(ports(&registrar, now), [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    // A phone that does not answer goes first, unless it has answered since.
    let mut registrar = full();
    for (port, answers) in [(3, false), (7, false), (3, true)] {
        let bindings = registrar.bindings("kim", now);
        let found = bindings.iter().find(|b| b.contact.port == Some(port));
        let contact = &found.expect("it is bound").contact;
        registrar.note_answer("kim", contact, answers);
    }
    register_port(&mut registrar, 50, 11, "", t0);
    assert_eq!(ports(&registrar, now), [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]);
    // So does a phone whose connection has closed.
    let mut registrar = full();
    let flow = Peer {
        transport: Transport::Tcp,
        flow: Some(FlowId(7)),
        ..peer(40_000)
    };
    let refresh = request("c5", 2, "Contact: <sip:kim@192.0.2.7:5;ob>\r\n");
    assert_eq!(
        registrar.register(("kim", "c1"), &refresh, flow, now),
        Ok(())
    );
    assert_eq!(registrar.handle_flow_closed(FlowId(7)), ["kim"]);
    register_port(&mut registrar, 50, 11, "", t0);
    assert_eq!(ports(&registrar, now), [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    // And one of the same phone, which names no flow.
    let mut registrar = full();
    let refresh = format!("Contact: <sip:kim@192.0.2.7:6;ob>{PHONE}\r\n");
    let refresh = request("c6", 2, &refresh);
    assert_eq!(
        registrar.register(("kim", "c1"), &refresh, peer(6), now),
        Ok(())
    );
    register_port(&mut registrar, 50, 11, PHONE, t0);
    assert_eq!(ports(&registrar, now), [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
}

#[test]
fn refuses_what_is_too_long_to_keep() {
    let now = start();
    let mut registrar = Registrar::new();
    let long = "x".repeat(50_000);
    let long_id = "x".repeat(3_000);
    for (call_id, line) in [
        ("a", format!("Contact: <sip:{long}@192.0.2.7>\r\n")),
        ("a", format!("Contact: <sip:kim@192.0.2.7;{long}>\r\n")),
        (
            "a",
            format!("Contact: <sip:kim@192.0.2.7>;+sip.instance=\"{long}\"\r\n"),
        ),
        (
            long_id.as_str(),
            "Contact: <sip:kim@192.0.2.7>\r\n".to_owned(),
        ),
    ] {
        let request = request(call_id, 1, &line);
        let error = registrar.register(("kim", "c1"), &request, peer(5070), now);
        let response = error.expect_err("too long").response(&request);
        assert_eq!(response.status.0, 400);
        assert_eq!(registrar.bindings("kim", now).len(), 0);
    }
}

#[test]
fn wakes_for_each_expiry_and_forgets() {
    let t0 = start();
    let mut registrar = Registrar::new();
    let lines = "Contact: <sip:kim@1.1.1.1>;expires=60, <sip:kim@2.2.2.2>;expires=90\r\n";
    let register = request("a", 1, lines);
    assert_eq!(
        registrar.register(("kim", "c1"), &register, peer(5070), t0),
        Ok(())
    );
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
    let lines = "Contact: <sip:kim@203.0.113.9:5062;transport=tcp>, <sip:kim@phone.invalid>,\
                 <sip:kim@10.0.0.1:6379;transport=tcp>,<sip:kim@127.0.0.1:6379;transport=tcp>\r\n";
    let register = request("a", 1, lines);
    assert_eq!(
        registrar.register(("kim", "c1"), &register, flow, now),
        Ok(())
    );
    assert!(registrar.handle_flow_closed(FlowId(8)).is_empty());
    assert_eq!(registrar.handle_flow_closed(FlowId(7)), ["kim"]);
    let left = registrar.bindings("kim", now);
    assert_eq!(
        left.len(),
        1,
        "neither a name nor a network that the phone is not in"
    );
    let remote = SocketAddr::from(([203, 0, 113, 9], 5062));
    assert_eq!(left[0].peer.remote, remote);
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
        registrar.register(("kim", "c1"), &register, peer(5070), now),
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

#[test]
fn a_binding_ends_when_its_login_registers_with_another_credential() {
    let (mut registrar, now) = (Registrar::new(), start());
    let contact = "Contact: <sip:kim@1.1.1.1>\r\n";
    for (credential, seq, lines, left) in [
        ("c1", 1, contact, 1),
        ("c1", 2, "", 1),
        ("c2", 1, "", 0),
        ("c2", 2, contact, 1),
    ] {
        let request = request(credential, seq, lines);
        let done = registrar.register(("kim", credential), &request, peer(5070), now);
        assert_eq!(done, Ok(()));
        let bindings = registrar.bindings("kim", now);
        assert_eq!(bindings.len(), left, "{credential} {seq}");
        let unix = Duration::from_secs(1);
        for binding in bindings {
            assert_eq!(binding.credential, credential);
            let kept = binding.snapshot(now, unix).restore(now, unix);
            assert_eq!(kept.as_ref(), Some(&binding));
        }
    }
}
