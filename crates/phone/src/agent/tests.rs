//! Agents against each other and against a scripted registrar, in virtual time.

use std::time::Duration;

use sip_proto::message::HeaderName;

use super::*;

/// Two agents, alice and bob, and the wire between them.
struct Pair {
    agents: [Agent; 2],
    start: Instant,
    now: Instant,
    /// Decides which messages are lost, by their number on the wire.
    lose: fn(usize) -> bool,
    messages: usize,
    /// `ms who what`: messages and events.
    seen: Vec<String>,
}

const NAMES: [&str; 2] = ["alice", "bob"];

fn address(who: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, who as u8 + 1], 5060))
}

impl Pair {
    fn new(lose: fn(usize) -> bool) -> Self {
        let agent = |who: usize| {
            let account = Account {
                user: NAMES[who].to_owned(),
                password: "secret".to_owned(),
                domain: "example.org".to_owned(),
                server: address(1 - who),
                contact: address(who),
            };
            Agent::new(account, who as u64)
        };
        let start = Instant::now();
        Self {
            agents: [agent(0), agent(1)],
            start,
            now: start,
            lose,
            messages: 0,
            seen: Vec::new(),
        }
    }

    /// Carries messages until nothing is left to do at this time.
    fn flow(&mut self) {
        loop {
            let next = (0..2).find_map(|who| Some((who, self.agents[who].poll_output()?)));
            match next {
                Some((who, Output::Transmit { to, bytes })) => self.carry(who, to, &bytes),
                Some((who, Output::Call(_, event))) => {
                    let name = format!("{event:?}");
                    let word = name.split([' ', '{']).next().unwrap_or_default();
                    self.note(who, word);
                    self.react(who, &event);
                }
                Some((_, Output::Registered { .. } | Output::NotRegistered { .. })) => {}
                None => return,
            }
        }
    }

    fn carry(&mut self, who: usize, to: SocketAddr, bytes: &[u8]) {
        assert_eq!(to, address(1 - who));
        self.messages += 1;
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().next().unwrap_or_default();
        let mut words = line.split(' ');
        let word = match words.next() {
            Some("SIP/2.0") => words.next(),
            method => method,
        };
        let lost = (self.lose)(self.messages);
        let mark = if lost { "!" } else { "" };
        self.note(who, &format!("{}{mark}", word.unwrap_or_default()));
        if !lost {
            let now = self.now;
            self.agents[1 - who].handle_datagram(bytes, address(who), now);
        }
    }

    /// Bob rings when called.
    fn react(&mut self, who: usize, event: &CallEvent) {
        if let CallEvent::Incoming { sdp, .. } = event {
            assert_eq!((who, sdp.as_deref()), (1, Some("offer")));
            self.agents[1].ring(CallNo(1), 180, None, self.now);
        }
    }

    fn note(&mut self, who: usize, what: &str) {
        let ms = self.now.duration_since(self.start).as_millis();
        self.seen.push(format!("{ms} {} {what}", &NAMES[who][..1]));
    }

    /// Advances time.
    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.flow();
        loop {
            let due = self.agents.iter().filter_map(Agent::poll_timeout).min();
            let Some(at) = due.filter(|at| *at <= end) else {
                break;
            };
            self.now = at;
            for agent in &mut self.agents {
                agent.handle_timeout(at);
            }
            self.flow();
        }
        self.now = end;
    }
}

/// Plays a call: `steps` are the actions, each followed by 100 ms; then a minute passes.
fn play(steps: &str, lose: fn(usize) -> bool) -> String {
    let mut pair = Pair::new(lose);
    for step in steps.split(' ') {
        let (now, call) = (pair.now, CallNo(1));
        match step {
            "call" => drop(pair.agents[0].call("bob", "offer", &[], now)),
            "answer" => pair.agents[1].answer(call, "answer", now),
            "refuse" => pair.agents[1].refuse(call, 486, now),
            "alice-off" => pair.agents[0].hang_up(call, now),
            "bob-off" => pair.agents[1].hang_up(call, now),
            other => panic!("{other}"),
        }
        pair.pass(100);
    }
    pair.pass(60_000);
    for agent in &pair.agents {
        assert_eq!(agent.calls(), 0, "{steps}: {}", pair.seen.join(", "));
    }
    pair.seen.join(", ")
}

#[test]
fn whole_calls() {
    let ring = "0 a INVITE, 0 b Incoming, 0 b 180, 0 a Ringing, ";
    let talk = "100 b 200, 100 a ACK, 100 b Established, 100 a Answered, ";
    let table = [
        (
            "call answer alice-off",
            [
                ring,
                talk,
                "200 a BYE, 200 b 200, 200 a Ended, 200 b HungUp",
            ]
            .concat(),
        ),
        (
            "call answer bob-off",
            [
                ring,
                talk,
                "200 b BYE, 200 a 200, 200 a HungUp, 200 b Ended",
            ]
            .concat(),
        ),
        (
            "call refuse",
            [ring, "100 b 486, 100 a ACK, 100 a Refused, 100 b Canceled"].concat(),
        ),
        (
            "call bob-off",
            [ring, "100 b 603, 100 a ACK, 100 a Refused, 100 b Canceled"].concat(),
        ),
        (
            "call alice-off",
            [
                ring,
                "100 a CANCEL, 100 b 200, 100 b 487, 100 a ACK, 100 a Refused, 100 b Canceled",
            ]
            .concat(),
        ),
    ];
    for (steps, expected) in table {
        assert_eq!(
            sorted(&play(steps, |_| false)),
            sorted(&expected),
            "{steps}"
        );
    }
}

/// Within one instant the order of the two sides does not matter.
fn sorted(seen: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = seen.split(", ").collect();
    lines.sort_unstable();
    lines
}

#[test]
fn lost_messages_are_repeated() {
    type Lose = fn(usize) -> bool;
    let table: &[(&str, Lose, &[&str])] = &[
        (
            "INVITE",
            |n| n == 1,
            &["0 a INVITE!", "500 a INVITE", "500 b Incoming"],
        ),
        (
            "200",
            |n| n == 3,
            &["100 b 200!", "600 b 200", "600 a Answered"],
        ),
        (
            "ACK",
            |n| n == 4,
            &["100 a ACK!", "600 b 200", "600 a ACK", "600 b Established"],
        ),
        (
            "BYE",
            |n| n == 5,
            &["200 a BYE!", "700 a BYE", "700 b HungUp", "700 a Ended"],
        ),
        (
            "200 to BYE",
            |n| n == 6,
            &["200 b 200!", "700 a BYE", "700 b 200", "700 a Ended"],
        ),
        (
            "all after the answer",
            |n| n > 5,
            &["200 b HungUp", "32200 a Ended"],
        ),
        (
            "everything",
            |_| true,
            &["31500 a INVITE!", "32000 a Refused"],
        ),
    ];
    for (name, lose, expected) in table {
        let steps = match *name {
            "INVITE" | "everything" => "call",
            "200" | "ACK" => "call answer",
            _ => "call answer alice-off",
        };
        let mut pair = Pair::new(*lose);
        for step in steps.split(' ') {
            let (now, call) = (pair.now, CallNo(1));
            match step {
                "call" => drop(pair.agents[0].call("bob", "offer", &[], now)),
                "answer" => pair.agents[1].answer(call, "answer", now),
                _ => pair.agents[0].hang_up(call, now),
            }
            pair.pass(100);
        }
        pair.pass(60_000);
        for line in *expected {
            assert!(
                pair.seen.iter().any(|seen| seen == line),
                "{name}: {line} in {:?}",
                pair.seen
            );
        }
    }
}

#[test]
fn hanging_up_crosses_the_answer() {
    let mut pair = Pair::new(|_| false);
    let start = pair.now;
    let call = pair.agents[0].call("bob", "offer", &[], start);
    // Too early for CANCEL: no response has arrived yet.
    pair.agents[0].hang_up(call, start);
    let Some(Output::Transmit { bytes, .. }) = pair.agents[0].poll_output() else {
        panic!("no INVITE");
    };
    assert_eq!(pair.agents[0].poll_output(), None);
    pair.agents[1].handle_datagram(&bytes, address(0), start);
    pair.agents[1].answer(CallNo(1), "answer", start);
    pair.pass(100);
    let seen = pair.seen.join(", ");
    assert!(seen.contains("a BYE"), "{seen}");
    assert!(seen.contains("a Ended"), "{seen}");
    assert!(!seen.contains("Answered"), "{seen}");
}

/// Answers a request of an agent as a server would.
fn reply(bytes: &[u8], status: u16, headers: &[(&str, &str)]) -> (Request, Bytes) {
    let Ok(Message::Request(request)) = parse_datagram(bytes) else {
        panic!("no request: {}", String::from_utf8_lossy(bytes));
    };
    let mut response = Response::for_request(&request, status);
    response.set_to_tag("server");
    for (name, value) in headers {
        assert!(response.headers.push_custom(name, value));
    }
    (request, response.to_bytes())
}

fn transmitted(agent: &mut Agent) -> Bytes {
    match agent.poll_output() {
        Some(Output::Transmit { bytes, .. }) => bytes,
        other => panic!("{other:?}"),
    }
}

const CHALLENGE: &str = r#"Digest realm="example.org", nonce="n1", qop="auth", algorithm=MD5"#;

#[test]
fn registration() {
    // The registrar's answer to each REGISTER, and the phone's reaction.
    let challenge = (401, ("WWW-Authenticate", CHALLENGE));
    let ok = (200, ("Expires", "60"));
    let forbidden = (403, ("Server", "x"));
    type Answer = (u16, (&'static str, &'static str));
    let table: &[(&[Answer], Output)] = &[
        (&[ok], Output::Registered { expires_s: 60 }),
        (&[challenge, ok], Output::Registered { expires_s: 60 }),
        (
            &[challenge, challenge],
            Output::NotRegistered { status: 401 },
        ),
        (
            &[challenge, forbidden],
            Output::NotRegistered { status: 403 },
        ),
    ];
    for (answers, expected) in table {
        let mut agent = Pair::new(|_| false).agents.into_iter().next().unwrap();
        let now = Instant::now();
        agent.register(3600, now);
        for (at, (status, header)) in answers.iter().enumerate() {
            let (request, response) = reply(&transmitted(&mut agent), *status, &[*header]);
            assert_eq!(request.headers.cseq().unwrap().seq as usize, at + 1);
            let answers_challenge = request.headers.contains(HeaderName::Authorization);
            assert_eq!(answers_challenge, at > 0, "{expected:?}");
            agent.handle_datagram(&response, address(1), now);
        }
        assert_eq!(agent.poll_output().as_ref(), Some(expected));
        let refreshed = matches!(expected, Output::Registered { .. });
        let later = refreshed.then(|| now + Duration::from_secs(48));
        assert_eq!(agent.poll_timeout(), later);
        if let Some(later) = later {
            agent.handle_timeout(later);
            let (request, _) = reply(&transmitted(&mut agent), 200, &[]);
            assert_eq!(request.method, Method::Register);
        }
    }
}

#[test]
fn a_challenged_invite_is_sent_again_with_proof() {
    let mut agent = Pair::new(|_| false).agents.into_iter().next().unwrap();
    let now = Instant::now();
    agent.call("+1000", "offer", &[("X-Test", "1")], now);
    let challenge = [("Proxy-Authenticate", CHALLENGE)];
    let (first, response) = reply(&transmitted(&mut agent), 407, &challenge);
    agent.handle_datagram(&response, address(1), now);
    let (ack, _) = reply(&transmitted(&mut agent), 200, &[]);
    assert_eq!(ack.method, Method::Ack);
    let via = |request: &Request| request.headers.via().unwrap().to_string();
    assert_eq!(via(&ack), via(&first));
    let (second, response) = reply(&transmitted(&mut agent), 407, &challenge);
    assert_ne!(via(&second), via(&first));
    assert_eq!(second.headers.get("X-Test"), Some("1"));
    assert_eq!(second.headers.cseq().unwrap().seq, 2);
    let proof = second.headers.get(HeaderName::ProxyAuthorization).unwrap();
    assert!(proof.contains(r#"username="alice""#), "{proof}");
    assert!(proof.contains(r#"uri="sip:+1000@example.org""#), "{proof}");
    // The same challenge again means that the password is wrong.
    agent.handle_datagram(&response, address(1), now);
    let (ack, _) = reply(&transmitted(&mut agent), 200, &[]);
    assert_eq!(ack.method, Method::Ack);
    let refused = agent.poll_output();
    assert!(
        matches!(
            refused,
            Some(Output::Call(_, CallEvent::Refused { status: 407, .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn strangers_get_the_answer_they_should() {
    let table = [
        ("OPTIONS", Some("200")),
        ("BYE", Some("481")),
        ("ACK", None),
    ];
    for (method, expected) in table {
        let mut agent = Pair::new(|_| false).agents.into_iter().next().unwrap();
        let text = format!(
            "{method} sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n\
             From: <sip:x@y>;tag=1\r\nTo: <sip:alice@10.0.0.1>;tag=2\r\nCall-ID: c\r\n\
             CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        agent.handle_datagram(text.as_bytes(), address(1), Instant::now());
        let status = agent.poll_output().map(|output| match output {
            Output::Transmit { bytes, .. } => String::from_utf8_lossy(&bytes[8..11]).into_owned(),
            other => panic!("{other:?}"),
        });
        assert_eq!(status.as_deref(), expected, "{method}");
    }
}
