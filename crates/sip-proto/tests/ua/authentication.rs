//! Digest in both directions: we challenge phones, providers challenge us.

use crate::bench::{Bench, PASSWORD, REALM, assert_table, config};
use sip_proto::digest::{Client, Secret};
use sip_proto::message::{HeaderName, Message, Method, Response};
use sip_proto::ua::{LegCommand, Transport, TrunkSource};

/// A phone that answers challenges.
struct Phone {
    bench: Bench,
    client: Client,
    seq: u32,
    method: Method,
    /// In From, and in To of a REGISTER.
    domain: &'static str,
}

impl Phone {
    fn new(bench: Bench, method: Method, password: &str) -> Self {
        let secret = Secret::Password(password.to_owned());
        Self {
            bench,
            client: Client::new("kim", secret),
            seq: 0,
            method,
            domain: REALM,
        }
    }

    /// Sends a request, with an answer to the last challenge if there was one, and returns the
    /// final or last response.
    fn send(&mut self, at: u64, user: &str, lines: &str) -> Response {
        self.ask(at, user, lines).expect("a response")
    }

    /// As [`Self::send`]; `None` if there is no response yet.
    fn ask(&mut self, at: u64, user: &str, lines: &str) -> Option<Response> {
        self.seq += 1;
        let (seq, method) = (self.seq, self.method.as_str());
        let domain = self.domain;
        let (own, bob) = (format!("sip:{domain}"), "sip:bob@example.com".to_owned());
        let uri = if method == "REGISTER" { &own } else { &bob };
        let to = if method == "REGISTER" { user } else { "bob" };
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{seq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{domain}>;tag=1\r\nTo: <sip:{to}@{domain}>\r\n\
             Call-ID: c\r\nCSeq: {seq} {method}\r\nContact: <sip:kim@10.0.0.1;ob>\r\n{lines}"
        );
        for (name, value) in self.client.authorize(&self.method, uri, "cnonce") {
            text += &format!("{name}: {value}\r\n");
        }
        self.bench.play(&format!("{at} end"));
        let sent = self.bench.sent.len();
        self.bench.receive(text + "Content-Length: 0\r\n\r\n");
        self.client.begin();
        let Some((_, Message::Response(response))) = self.bench.sent.get(sent..)?.last() else {
            return None;
        };
        let response = response.clone();
        if matches!(response.status.0, 401 | 407) {
            self.client
                .learn(&response)
                .expect("a challenge we can answer");
        }
        Some(response)
    }
}

fn phone(method: Method, password: &str) -> Phone {
    Phone::new(Bench::new(), method, password)
}

#[test]
fn registers_who_knows_the_password() {
    let mut phone = phone(Method::Register, PASSWORD);
    let challenge = phone.send(0, "kim", "");
    assert_eq!(challenge.status.0, 401);
    let text = challenge
        .headers
        .get(HeaderName::WwwAuthenticate)
        .expect("a challenge");
    assert!(
        text.starts_with("Digest ") && text.contains("realm=\"example.com\""),
        "{text}"
    );
    assert!(
        text.contains("algorithm=MD5") && !text.contains("stale=true"),
        "{text}"
    );
    assert!(!challenge.headers.contains(HeaderName::ProxyAuthenticate));
    let ok = phone.send(0, "kim", "Expires: 600\r\n");
    assert_eq!(ok.status.0, 200);
    let contact = "<sip:kim@10.0.0.1;ob>;expires=600";
    assert_eq!(ok.headers.get(HeaderName::Contact), Some(contact));
    assert_eq!(
        phone.bench.play("0 end"),
        "0 > 200 REGISTER, 0 ! Bindings kim 1"
    );
    // The same nonce remains valid until it is too old.
    assert_eq!(phone.send(30_000, "kim", "Expires: 600\r\n").status.0, 200);
    let stale = phone.send(61_000, "kim", "Expires: 600\r\n");
    assert_eq!(stale.status.0, 401);
    assert!(
        stale
            .headers
            .get(HeaderName::WwwAuthenticate)
            .unwrap()
            .contains("stale=true")
    );
    assert_eq!(phone.send(61_000, "kim", "Expires: 600\r\n").status.0, 200);
    // The binding ends when it expires.
    let log = phone.bench.play("661000 end; 661100 end");
    assert_eq!(log.rsplit(", ").next(), Some("661000 ! Bindings kim 0"));
}

/// Each organization has its realm, and its own clients whatever their logins.
#[test]
fn the_domain_in_from_chooses_the_organization() {
    let mut config = config();
    config.ours.more_domains = vec!["two.example".to_owned()];
    let mut phone = Phone::new(
        Bench::with(config, Transport::Udp),
        Method::Register,
        PASSWORD,
    );
    for (at, domain, realm, known_as) in [
        (0, "example.com", "example.com", "kim"),
        (1_000, "Two.Example", "two.example", "kim@two.example"),
        // An address of this server, or a name that is no domain.
        (2_000, "192.0.2.9", "example.com", "kim"),
    ] {
        phone.domain = domain;
        phone.client = Client::new("kim", Secret::Password(PASSWORD.to_owned()));
        let challenge = phone.send(at, "kim", "");
        assert_eq!(challenge.status.0, 401, "{domain}");
        let text = challenge.headers.get(HeaderName::WwwAuthenticate).unwrap();
        assert!(text.contains(&format!("realm=\"{realm}\"")), "{text}");
        assert_eq!(phone.send(at, "kim", "").status.0, 200, "{domain}");
        let log = phone.bench.play(&format!("{at} end"));
        assert!(log.ends_with(&format!("Bindings {known_as} 1")), "{log}");
    }
    // Once the domain is not served any more, it is another server's.
    phone.bench.core.set_more_domains(Vec::new());
    phone.domain = "two.example";
    assert_eq!(phone.send(3_000, "kim", "").status.0, 404);
}

#[test]
fn refuses_registration() {
    // Password, user in From and To, lines, and the status after the challenge.
    let table = [
        ("wrong", "kim", "", 403),
        (PASSWORD, "sam", "", 403),
        (PASSWORD, "kim", "Expires: 1\r\n", 200),
    ];
    for (password, user, lines, status) in table {
        let mut phone = phone(Method::Register, password);
        assert_eq!(phone.send(0, user, lines).status.0, 401);
        let answer = phone.send(0, user, lines);
        assert_eq!(answer.status.0, status, "{password} {user} {lines}");
    }
    for (login, status) in [("nobody", 403), ("broken", 500)] {
        let mut phone = phone(Method::Register, PASSWORD);
        phone.client = Client::new(login, Secret::Password(PASSWORD.to_owned()));
        phone.send(0, login, "");
        assert_eq!(phone.send(0, login, "").status.0, status, "{login}");
    }
}

/// A forged source cannot answer, so it neither guesses nor makes others wait.
#[test]
fn a_challenge_is_valid_only_where_it_was_sent() {
    let mut phone = phone(Method::Register, "wrong");
    phone.send(0, "kim", "");
    for last in [77, 78, 79, 80, 81, 82] {
        phone.bench.peer.remote = ([192, 0, 2, last], 5070).into();
        let again = phone.send(0, "kim", "");
        let challenge = again.headers.get(HeaderName::WwwAuthenticate);
        assert!(challenge.is_some_and(|text| text.contains("stale=true")));
    }
    phone.client = Client::new("kim", Secret::Password(PASSWORD.to_owned()));
    assert_eq!(phone.send(0, "kim", "").status.0, 401);
    assert_eq!(phone.send(0, "kim", "").status.0, 200);
}

#[test]
fn a_source_that_guesses_has_to_wait() {
    let mut phone = phone(Method::Register, PASSWORD);
    let register = |phone: &mut Phone, at, login: &str, password: &str| {
        phone.client = Client::new(login, Secret::Password(password.to_owned()));
        phone.send(at, login, "");
        phone.send(at, login, "").status.0
    };
    // Whether a phone is registered from there, and what it gets after 20 guesses at made-up logins.
    for (is_at_home, start, expected) in [(false, 0, 403), (true, 2_000, 200)] {
        for n in 0..20 {
            let login = format!("guess{start}-{n}");
            assert_eq!(register(&mut phone, start, &login, "x"), 403);
        }
        let status = register(&mut phone, start, "kim", PASSWORD);
        assert_eq!(status, expected, "registered: {is_at_home}");
        let later = register(&mut phone, start + 1_000, "kim", PASSWORD);
        assert_eq!(later, 200, "after the wait");
    }
    // Its own wrong passwords count, and so does a login longer than any client has.
    for _ in 0..5 {
        assert_eq!(register(&mut phone, 4_000, "kim", "x"), 403);
    }
    assert_eq!(register(&mut phone, 4_000, "kim", PASSWORD), 403);
    assert_eq!(register(&mut phone, 4_000, &"k".repeat(65), PASSWORD), 403);
}

#[test]
fn registers_at_our_names_only() {
    let register = |uri: &str, to: &str| {
        let mut bench = Bench::new();
        bench.receive(format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1\r\n\
             Max-Forwards: 70\r\nFrom: <{to}>;tag=1\r\nTo: <{to}>\r\nCall-ID: c\r\n\
             CSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        ));
        match bench.last_sent() {
            Message::Response(response) => response.status.0,
            Message::Request(_) => panic!("not a response"),
        }
    };
    let table = [
        ("sip:example.com", "sip:kim@EXAMPLE.com", 401),
        ("sip:192.0.2.9", "sip:kim@192.0.2.9:5060", 401),
        ("sip:localhost", "sip:kim@localhost", 401),
        ("sip:elsewhere.net", "sip:kim@example.com", 404),
        ("sip:example.com", "sip:kim@elsewhere.net", 404),
        ("sip:192.0.2.10", "sip:kim@192.0.2.10", 404),
        ("tel:+12025550123", "sip:kim@example.com", 404),
    ];
    for (uri, to, status) in table {
        assert_eq!(register(uri, to), status, "{uri} {to}");
    }
}

#[test]
fn reports_who_calls() {
    let last = |log: String| log.rsplit(", ").next().unwrap_or_default().to_owned();
    let mut good = phone(Method::Invite, PASSWORD);
    good.ask(0, "kim", "");
    assert_eq!(last(good.bench.play("1 challenge")), "1 > 407 INVITE");
    let Message::Response(challenge) = good.bench.last_sent().clone() else {
        panic!("none")
    };
    assert!(challenge.headers.contains(HeaderName::ProxyAuthenticate));
    good.client.learn(&challenge).unwrap();
    good.ask(1, "kim", "");
    assert_eq!(last(good.bench.play("1 end")), "1 ! Incoming kim");

    // An old nonce is challenged again without involving the engine.
    good.bench.play("2 reject 480");
    let stale = good.send(90_000, "kim", "");
    assert_eq!(stale.status.0, 407);
    assert!(
        stale
            .headers
            .get(HeaderName::ProxyAuthenticate)
            .unwrap()
            .contains("stale=true")
    );
    assert!(!good.bench.play("90000 end").contains("Incoming"));
    good.ask(90_000, "kim", "");
    assert_eq!(last(good.bench.play("90000 end")), "90000 ! Incoming kim");

    let mut bad = phone(Method::Invite, "wrong");
    bad.ask(0, "kim", "");
    bad.bench.play("1 challenge");
    let Message::Response(challenge) = bad.bench.last_sent().clone() else {
        panic!("none")
    };
    bad.client.learn(&challenge).unwrap();
    bad.ask(1, "kim", "");
    assert_eq!(last(bad.bench.play("1 end")), "1 ! Incoming BadCredentials");
}

#[test]
fn knows_trunks_by_their_address() {
    let table = [
        ("192.0.2.1", "carrier"),
        ("192.0.2.1:5070", "carrier"),
        ("192.0.2.1:5060", "Unknown"),
        ("192.0.2.2", "Unknown"),
    ];
    for (address, expected) in table {
        let mut config = config();
        let addresses = vec![address.parse().unwrap()];
        config.trunks = vec![TrunkSource {
            name: "carrier".to_owned(),
            addresses,
        }];
        let mut bench = Bench::with(config, Transport::Udp);
        let log = bench.play("0 < INVITE sdp");
        // An unknown caller waits for its 100.
        let trying = if expected == "Unknown" {
            ""
        } else {
            "0 > 100 INVITE, "
        };
        assert_eq!(log, format!("{trying}0 ! Incoming {expected}"), "{address}");
    }
}

#[test]
fn can_offer_sha_256_as_well() {
    let mut config = config();
    config.sha256 = true;
    let mut phone = Phone::new(
        Bench::with(config, Transport::Udp),
        Method::Register,
        PASSWORD,
    );
    let challenge = phone.send(0, "kim", "");
    let algorithms: Vec<bool> = challenge
        .headers
        .lines(HeaderName::WwwAuthenticate)
        .map(|line| String::from_utf8_lossy(line).contains("algorithm=SHA-256"))
        .collect();
    assert_eq!(algorithms, [true, false], "strongest first");
    assert_eq!(phone.send(0, "kim", "").status.0, 200);
}

#[test]
fn answers_challenges() {
    let basic = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"";
    let stale =
        "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n2\", qop=\"auth\", stale=true";
    let www = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=SHA-256";
    let unknown = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=FOO";
    let table = [
        (
            format!("0 invite auth; 10 < 407 INVITE a | {basic}; 20 < 200 INVITE b sdp"),
            "0 > INVITE, 10 > ACK, 10 > INVITE, 20 > ACK, 20 ! Answered sdp",
        ),
        (
            format!("0 invite auth; 10 < 401 INVITE a | {www}; 20 < 486 INVITE b"),
            "0 > INVITE, 10 > ACK, 10 > INVITE, 20 > ACK, 20 ! Rejected 486",
        ),
        // Challenged again: the password is wrong.
        (
            format!("0 invite auth; 10 < 407 INVITE a | {basic}; 20 < 407 INVITE b | {basic}"),
            "0 > INVITE, 10 > ACK, 10 > INVITE, 20 > ACK, 20 ! Rejected 407",
        ),
        // Only the nonce was too old.
        (
            format!(
                "0 invite auth; 10 < 407 INVITE a | {basic}; 20 < 407 INVITE b | {stale}; \
                 30 < 200 INVITE c sdp"
            ),
            "0 > INVITE, 10 > ACK, 10 > INVITE, 20 > ACK, 20 > INVITE, 30 > ACK, \
             30 ! Answered sdp",
        ),
        (
            format!("0 invite; 10 < 407 INVITE a | {basic}"),
            "0 > INVITE, 10 > ACK, 10 ! Rejected 407",
        ),
        (
            format!("0 invite auth; 10 < 407 INVITE a | {unknown}"),
            "0 > INVITE, 10 > ACK, 10 ! Rejected 407",
        ),
    ];
    for (script, expected) in &table {
        assert_table(&[(script, expected)]);
    }
}

#[test]
fn a_remote_party_that_challenges_forever_is_given_up() {
    let mut bench = Bench::new();
    bench.play("0 invite auth");
    let mut asked = 1;
    for n in 1..20 {
        let log = bench.play(&format!(
            "{n}0 < 407 INVITE a | Proxy-Authenticate: Digest realm=\"r{n}\", nonce=\"n{n}\""
        ));
        if log.contains("Rejected 407") {
            break;
        }
        asked += 1;
    }
    assert_eq!(asked, 5, "the INVITE and four more");
}

#[test]
fn requests_within_the_dialog_are_authenticated_too() {
    let challenge = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"";
    let fresh = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n2\", qop=\"auth\"";
    let mut bench = Bench::new();
    bench.play(&format!(
        "0 invite auth; 10 < 407 INVITE a | {challenge}; 20 < 200 INVITE b sdp"
    ));
    // The ACK of the 2xx repeats the credentials of its INVITE; the re-INVITE carries its own from
    // the start.
    let ack = bench.request_of("ACK");
    assert!(ack.headers.contains(HeaderName::ProxyAuthorization));
    let log = bench.play(&format!("100 reinvite; 110 < 407 INVITE b | {fresh}"));
    // Not stale: the credentials are wrong.
    assert_eq!(log, "100 > INVITE, 110 > ACK, 110 ! ReinviteDone 407");
    let seq = bench.request_of("INVITE").headers.cseq().unwrap().seq;
    bench.play(&format!(
        "120 < 200 INVITE b sdp; 200 bye; 210 < 407 BYE b | {fresh}; 220 < 200 BYE b"
    ));
    let bye = bench.request_of("BYE");
    assert!(bye.headers.contains(HeaderName::ProxyAuthorization));
    assert!(bye.headers.cseq().unwrap().seq > seq);
}

#[test]
fn a_challenge_is_only_for_calls_not_yet_answered() {
    let mut bench = Bench::new();
    bench.play("0 < INVITE sdp; 10 answer; 20 < ACK");
    let now = bench.now();
    bench
        .core
        .handle_command(bench.leg, LegCommand::Challenge { stale: true }, now);
    assert_eq!(bench.play("30 end"), "");
    assert_eq!(REALM, config().ours.domain);
}

/// Registers kim and returns the phone.
fn registered() -> Phone {
    let mut phone = phone(Method::Register, PASSWORD);
    phone.send(0, "kim", "");
    assert_eq!(phone.send(0, "kim", "").status.0, 200);
    phone.bench.play("0 end");
    phone
}

#[test]
fn asks_a_registered_phone_whether_it_is_there() {
    let mut phone = registered();
    assert_eq!(phone.bench.play("59999 end; 60000 end"), "60000 > OPTIONS");
    let options = phone.bench.request_of("OPTIONS");
    assert_eq!(options.uri.to_string(), "sip:kim@10.0.0.1;ob");
    assert_eq!(phone.bench.sent.last().unwrap().0, phone.bench.peer);
    // Any answer will do; after that, silence counts, also for the next process.
    assert_eq!(
        phone.bench.play("60010 < 404 OPTIONS p"),
        "60010 ! Bindings kim 1"
    );
    let log = phone.bench.play("151999 end; 152000 end");
    assert!(
        log.starts_with("120000 > OPTIONS, 120500 > OPTIONS"),
        "{log}"
    );
    assert!(log.ends_with("152000 ! Bindings kim 0"), "{log}");
    assert_eq!(phone.bench.play("500000 end"), "", "it is asked no more");
}

#[test]
fn a_phone_that_never_answers_options_stays_registered() {
    let mut phone = registered();
    let log = phone.bench.play("3500000 end");
    assert!(!log.contains("Bindings"), "{log}");
    assert!(
        phone
            .bench
            .play("3600000 end")
            .ends_with("3600000 ! Bindings kim 0")
    );
}

#[test]
fn a_phone_that_never_answers_keeps_its_binding_but_makes_room_first() {
    let mut phone = registered();
    // Second of each check, and whether the binding is doubtful then.
    let mut looks = |script: &str| {
        phone.bench.play(script);
        let bindings = phone.bench.core.bindings_of("kim", phone.bench.now());
        bindings.iter().map(|b| b.doubtful).collect::<Vec<_>>()
    };
    assert_eq!(looks("60000 end"), [false]);
    assert_eq!(looks("92000 end"), [true]);
    assert_eq!(looks("120000 end; 120010 < 200 OPTIONS p"), [false]);
}

#[test]
fn calls_end_with_the_registration_of_their_phone() {
    let mut phone = registered();
    phone
        .bench
        .play("60000 end; 60010 < 200 OPTIONS p; 61000 invite; 61010 < 200 INVITE a sdp");
    let log = phone.bench.play("152000 end");
    assert!(
        log.contains("152000 ! Bindings kim 0, 152000 ! Lost"),
        "{log}"
    );
    assert!(log.contains("152000 > BYE"), "{log}");
}

#[test]
fn restored_phones_are_probed_soon() {
    let phone = registered();
    let kept = phone.bench.core.bindings_of("kim", phone.bench.now());
    let now = phone.bench.now();
    let unix = std::time::Duration::from_secs(1_000);
    let kept: Vec<_> = kept
        .iter()
        .map(|binding| binding.snapshot(now, unix))
        .collect();
    let json = serde_json::to_string(&kept).unwrap();
    let mut next = Bench::new();
    let read: Vec<sip_proto::registrar::BindingSnapshot> = serde_json::from_str(&json).unwrap();
    let later = unix + std::time::Duration::from_secs(600);
    let restored = read
        .iter()
        .filter_map(|kept| kept.restore(next.now(), later))
        .collect();
    let now = next.now();
    next.core.restore_bindings("kim", restored, now);
    assert_eq!(
        next.play("0 end; 5000 end"),
        "0 ! Bindings kim 1, 5000 > OPTIONS"
    );
    assert!(
        next.play("3000000 end")
            .contains("3000000 ! Bindings kim 0")
    );
    // One that has answered before, and does not now, is gone.
    let mut phone = registered();
    phone.bench.play("60000 end; 60010 < 200 OPTIONS p");
    let now = phone.bench.now();
    let answered = phone.bench.core.bindings_of("kim", now)[0].snapshot(now, unix);
    let mut next = Bench::new();
    let now = next.now();
    let restored = answered.restore(now, unix).into_iter().collect();
    next.core.restore_bindings("kim", restored, now);
    let log = next.play("37000 end");
    assert!(log.ends_with("37000 ! Bindings kim 0"), "{log}");
    let expired = unix + std::time::Duration::from_secs(3_601);
    assert_eq!(read[0].restore(now, expired), None);
}
