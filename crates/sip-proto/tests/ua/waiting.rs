//! Message waiting indication, to phones that subscribe and to those that do not.

use std::collections::BTreeMap;
use std::time::Duration;

use model::waiting::Waiting;
use sip_proto::digest::{Client, Secret};
use sip_proto::message::{HeaderName, Message, Method, Request, Response};
use sip_proto::registrar::BindingSnapshot;
use sip_proto::ua::{Counted, FlowId, Transport};

use crate::bench::{Bench, PASSWORD, REALM, config};

/// The credential of `kim` in the directory of the bench.
const PRESENT: &str = "c1";

/// A phone that answers challenges, and a store with messages.
struct Phone {
    bench: Bench,
    client: Client,
    /// Of its requests.
    seq: u32,
    now: u64,
    call_id: &'static str,
    /// Value of To in its subscription.
    to: String,
    contact: &'static str,
}

/// A NOTIFY in short: Call-ID, number, state and `new/old`, or `-` without a body.
type Notified = (String, String, String, String);

impl Phone {
    fn new() -> Self {
        Self::with(Transport::Udp)
    }

    fn with(transport: Transport) -> Self {
        let mut config = config();
        config.keepalive = Duration::ZERO;
        Self {
            bench: Bench::with(config, transport),
            client: Client::new("kim", Secret::Password(PASSWORD.to_owned())),
            seq: 0,
            now: 0,
            call_id: "s1",
            to: format!("<sip:kim@{REALM}>"),
            contact: "<sip:kim@192.0.2.1:5070;ob>",
        }
    }

    /// Lets the timers run until a time in ms.
    fn at(&mut self, ms: u64) {
        self.now = ms;
        self.bench.play(&format!("{ms} end"));
    }

    /// Sends a request, and once more with the answer to a challenge; returns the first response to the last one.
    fn send(
        &mut self,
        method: &Method,
        uri: &str,
        (call_id, to): (&str, &str),
        lines: &str,
    ) -> Response {
        let response = self.send_once(method, uri, (call_id, to), lines);
        if response.status.0 != 401 {
            return response;
        }
        self.client.learn(&response).unwrap();
        self.send_once(method, uri, (call_id, to), lines)
    }

    fn send_once(
        &mut self,
        method: &Method,
        uri: &str,
        (call_id, to): (&str, &str),
        lines: &str,
    ) -> Response {
        self.seq += 1;
        let (seq, via) = (self.seq, self.bench.peer.transport.via());
        let contact = match lines.contains("Contact:") {
            true => String::new(),
            false => format!("Contact: {}\r\n", self.contact),
        };
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{via} 192.0.2.1:5070;branch=z9hG4bK{seq}\r\nMax-Forwards: 70\r\n\
             From: <sip:kim@{REALM}>;tag=1\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {seq} {method}\r\n{contact}{lines}"
        );
        for (name, value) in self.client.authorize(method, uri, "cnonce") {
            text += &format!("{name}: {value}\r\n");
        }
        let sent = self.bench.sent.len();
        self.bench.receive(text + "Content-Length: 0\r\n\r\n");
        self.client.begin();
        let mut responses = self.bench.sent[sent..].iter();
        let found = responses.find_map(|(_, message)| match message {
            Message::Response(response) => Some(response.clone()),
            Message::Request(_) => None,
        });
        found.expect("a response")
    }

    fn register(&mut self, call_id: &str, lines: &str) {
        let own = (call_id, format!("<sip:kim@{REALM}>"));
        let uri = format!("sip:{REALM}");
        let response = self.send(&Method::Register, &uri, (own.0, &own.1), lines);
        assert_eq!(response.status.0, 200);
    }

    /// Sends a SUBSCRIBE, the first one or one in the dialog that it made.
    fn subscribe(&mut self, lines: &str) -> Response {
        let lines = match lines.contains("Event:") {
            true => lines.to_owned(),
            false => format!("Event: message-summary\r\n{lines}"),
        };
        let (to, uri) = (self.to.clone(), format!("sip:kim@{REALM}"));
        let dialog = (self.call_id, to.as_str());
        let response = self.send(&Method::Subscribe, &uri, dialog, &lines);
        if response.status.is_success() {
            self.to = response.headers.get(HeaderName::To).unwrap().to_owned();
        }
        response
    }

    /// The store has so many messages for `kim`.
    fn store(&mut self, new: u32, old: u32) {
        let waiting = Waiting { new, old };
        let credential = PRESENT.to_owned();
        let counted = Counted {
            waiting,
            credential,
        };
        self.bench.counts = Some(Some(BTreeMap::from([("kim".to_owned(), counted)])));
    }

    /// The same, and the change is reported.
    fn change(&mut self, new: u32, old: u32) {
        self.store(new, old);
        self.bench.core.waiting_changed("kim", self.bench.now());
        self.bench.drain();
    }

    /// The last NOTIFY.
    fn notify(&self) -> Request {
        self.bench.request_of("NOTIFY").clone()
    }

    /// Answers the last NOTIFY.
    fn answer(&mut self, status: u16, lines: &[(HeaderName, &str)]) {
        let mut response = Response::for_request(&self.notify(), status);
        for (name, value) in lines {
            response.headers.push(name.clone(), *value);
        }
        self.bench.receive(response.to_bytes());
    }

    /// The NOTIFYs so far without retransmissions.
    fn notified(&self) -> Vec<Notified> {
        let mut all = Vec::new();
        for (_, message) in &self.bench.sent {
            let Message::Request(request) = message else {
                continue;
            };
            if request.method == Method::Notify {
                let one = short(request);
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        all
    }

    /// State and count of each NOTIFY so far.
    fn states(&self) -> Vec<String> {
        let all = self.notified().into_iter();
        all.map(|(_, _, state, count)| format!("{state} {count}"))
            .collect()
    }
}

fn short(notify: &Request) -> Notified {
    let header = |name| notify.headers.get(name).unwrap_or_default().to_owned();
    let body = String::from_utf8(notify.body.to_vec()).unwrap();
    let count = body
        .lines()
        .find_map(|line| line.strip_prefix("Voice-Message: "));
    let count = count.map_or("-", |count| count.trim_end_matches(" (0/0)"));
    (
        header(HeaderName::CallId),
        header(HeaderName::CSeq),
        header(HeaderName::SubscriptionState),
        count.to_owned(),
    )
}

#[test]
fn a_subscription_is_confirmed_and_followed_by_a_notify() {
    let mut phone = Phone::new();
    phone.store(2, 8);
    let response = phone.subscribe("Expires: 600\r\nRecord-Route: <sip:192.0.2.1;lr>\r\n");
    assert_eq!(response.status.0, 200);
    let header = |name| response.headers.get(name);
    assert_eq!(header(HeaderName::Expires), Some("600"));
    assert_eq!(
        header(HeaderName::Contact),
        Some("<sip:kim@192.0.2.9:5060>")
    );
    assert_eq!(header(HeaderName::RecordRoute), Some("<sip:192.0.2.1;lr>"));
    let to = response.headers.to().unwrap();
    let notify = phone.notify();
    let table = [
        (HeaderName::CallId, "s1".to_owned()),
        (HeaderName::CSeq, "1 NOTIFY".to_owned()),
        (
            HeaderName::From,
            response.headers.get(HeaderName::To).unwrap().to_owned(),
        ),
        (HeaderName::To, format!("<sip:kim@{REALM}>;tag=1")),
        (HeaderName::Contact, "<sip:kim@192.0.2.9:5060>".to_owned()),
        (HeaderName::Event, "message-summary".to_owned()),
        (
            HeaderName::SubscriptionState,
            "active;expires=600".to_owned(),
        ),
        (
            HeaderName::ContentType,
            "application/simple-message-summary".to_owned(),
        ),
        (HeaderName::Route, "<sip:192.0.2.1;lr>".to_owned()),
    ];
    assert!(to.tag().is_some_and(|tag| tag.len() == 16));
    for (name, value) in table {
        assert_eq!(notify.headers.get(&name), Some(value.as_str()), "{name}");
    }
    assert_eq!(notify.uri.to_string(), "sip:kim@192.0.2.1:5070;ob");
    let body = "Messages-Waiting: yes\r\nMessage-Account: sip:kim@example.com\r\nVoice-Message: 2/8 (0/0)\r\n";
    assert_eq!(notify.body, body.as_bytes());
}

#[test]
fn each_change_is_notified_once() {
    let mut phone = Phone::new();
    phone.subscribe("Expires: 600\r\n");
    phone.answer(200, &[]);
    phone.at(1_000);
    phone.change(1, 0);
    phone.answer(200, &[]);
    // No change, and one that was reported too late.
    phone.change(1, 0);
    phone.at(2_500);
    phone.change(0, 1);
    // What changes while the phone has not answered follows as one.
    phone.change(3, 1);
    phone.change(4, 1);
    assert_eq!(phone.states().len(), 3);
    phone.answer(200, &[]);
    phone.answer(200, &[]);
    let expected = [
        "active;expires=600 0/0",
        "active;expires=599 1/0",
        "active;expires=598 0/1",
        "active;expires=598 4/1",
    ];
    assert_eq!(phone.states(), expected);
    let numbers: Vec<_> = phone.notified().into_iter().map(|one| one.1).collect();
    assert_eq!(numbers, ["1 NOTIFY", "2 NOTIFY", "3 NOTIFY", "4 NOTIFY"]);
}

/// A change through another server with the same database is not reported here.
#[test]
fn the_counts_are_read_every_half_minute_while_a_phone_is_here() {
    let mut phone = Phone::new();
    assert_eq!(phone.bench.core.poll_timeout(), None);
    phone.subscribe("Expires: 100\r\n");
    phone.answer(200, &[]);
    phone.store(1, 0);
    phone.at(29_000);
    assert_eq!(phone.states(), ["active;expires=100 0/0"]);
    phone.at(30_000);
    phone.answer(200, &[]);
    let states = phone.states();
    assert_eq!(states[1..], ["active;expires=70 1/0"]);
    // The last phone is gone: there is nothing left to do.
    phone.subscribe("Expires: 0\r\n");
    phone.answer(200, &[]);
    phone.at(200_000);
    assert_eq!(phone.bench.core.poll_timeout(), None);
}

#[test]
fn what_is_wrong_with_a_subscribe_is_said_before_anything_is_remembered() {
    let table: &[(&str, u16, HeaderName, &str)] = &[
        (
            "Event: presence\r\n",
            489,
            HeaderName::AllowEvents,
            "message-summary",
        ),
        (
            "Event: \r\n",
            489,
            HeaderName::AllowEvents,
            "message-summary",
        ),
        ("Expires: 59\r\n", 423, HeaderName::MinExpires, "60"),
        (
            "Accept: application/pidf+xml\r\n",
            406,
            HeaderName::Accept,
            "application/simple-message-summary",
        ),
        (
            "Require: eventlist\r\n",
            420,
            HeaderName::Unsupported,
            "eventlist",
        ),
        ("Contact: *\r\n", 400, HeaderName::Server, "Patchcord/test"),
        (
            "Contact: <tel:+15550100>\r\n",
            400,
            HeaderName::Server,
            "Patchcord/test",
        ),
    ];
    for (lines, status, name, value) in table {
        let mut phone = Phone::new();
        let response = phone.subscribe(lines);
        assert_eq!(response.status.0, *status, "{lines}");
        assert_eq!(response.headers.get(name), Some(*value), "{lines}");
        assert_eq!(phone.notified(), []);
        assert_eq!(phone.bench.core.poll_timeout(), None, "{lines}");
    }
    let mut phone = Phone::new();
    let fine = "Accept: text/plain, application/simple-message-summary\r\nExpires: 99999\r\n";
    let response = phone.subscribe(fine);
    assert_eq!(response.status.0, 200);
    assert_eq!(response.headers.get(HeaderName::Expires), Some("3600"));
}

#[test]
fn a_client_subscribes_only_to_itself() {
    // Request-URI, To, response.
    let table = [
        ("sip:kim@example.com", "<sip:kim@example.com>", 200),
        ("sip:example.com", "<sip:kim@example.com>", 200),
        ("sip:ann@example.com", "<sip:kim@example.com>", 403),
        ("sip:kim@example.com", "<sip:ann@example.com>", 403),
        ("sip:ann@example.com", "<sip:ann@example.com>", 403),
        ("sip:kim@elsewhere.example", "<sip:kim@example.com>", 404),
        (
            "sip:kim@example.com",
            "<sip:kim@example.com>;tag=unknown",
            481,
        ),
    ];
    for (uri, to, status) in table {
        let mut phone = Phone::new();
        let event = "Event: message-summary\r\n";
        let response = phone.send(&Method::Subscribe, uri, ("s1", to), event);
        assert_eq!(response.status.0, status, "{uri} {to}");
        assert_eq!(phone.notified().len(), usize::from(status == 200));
    }
    let mut guesser = Phone::new();
    guesser.client = Client::new("kim", Secret::Password("guess".to_owned()));
    assert_eq!(guesser.subscribe("").status.0, 403);
    assert!(guesser.bench.play("0 end").contains("! Refused kim"));
    let mut broken = Phone::new();
    broken.client = Client::new("broken", Secret::Password(PASSWORD.to_owned()));
    assert_eq!(broken.subscribe("").status.0, 500);
}

#[test]
fn a_subscription_is_refreshed_in_its_dialog() {
    let mut phone = Phone::new();
    phone.subscribe("Event: message-summary;id=7\r\nExpires: 100\r\n");
    phone.answer(200, &[]);
    phone.at(25_000);
    let wrong = [
        ("Event: message-summary;id=8\r\n", 481),
        ("Event: message-summary\r\n", 481),
        ("Event: message-summary;id=7\r\nExpires: 5\r\n", 423),
        ("Event: dialog;id=7\r\n", 489),
    ];
    for (lines, status) in wrong {
        assert_eq!(phone.subscribe(lines).status.0, status, "{lines}");
    }
    phone.contact = "<sip:kim@192.0.2.1:5099>";
    let response = phone.subscribe("Event: message-summary;id=7\r\nExpires: 200\r\n");
    assert_eq!(response.status.0, 200);
    assert_eq!(response.headers.get(HeaderName::Expires), Some("200"));
    // It is notified again although nothing has changed, where it is now.
    let notify = phone.notify();
    assert_eq!(notify.uri.to_string(), "sip:kim@192.0.2.1:5099");
    let event = notify.headers.get(HeaderName::Event);
    assert_eq!(event, Some("message-summary;id=7"));
    phone.answer(200, &[]);
    let seq = std::mem::replace(&mut phone.seq, 0);
    phone.client.begin();
    let old = phone.subscribe("Event: message-summary;id=7\r\n");
    assert_eq!(
        old.status.0, 500,
        "its number is lower than that of the last one"
    );
    phone.seq = seq;
    phone.at(224_000);
    assert_eq!(
        phone.states(),
        ["active;expires=100 0/0", "active;expires=200 0/0"]
    );
    phone.at(225_000);
    assert_eq!(phone.states()[2..], ["terminated;reason=timeout 0/0"]);
    assert_eq!(
        phone.subscribe("Event: message-summary;id=7\r\n").status.0,
        481
    );
}

#[test]
fn a_phone_ends_its_subscription_or_only_asks_once() {
    let mut phone = Phone::new();
    phone.store(1, 1);
    phone.subscribe("Expires: 600\r\n");
    // It does not wait for the answer to the first NOTIFY.
    phone.store(0, 1);
    let response = phone.subscribe("Expires: 0\r\n");
    assert_eq!(response.headers.get(HeaderName::Expires), Some("0"));
    assert_eq!(phone.states(), ["active;expires=600 1/1"]);
    phone.answer(200, &[]);
    let expected = ["active;expires=600 1/1", "terminated;reason=timeout 0/1"];
    assert_eq!(phone.states(), expected);
    phone.answer(200, &[]);
    phone.change(5, 0);
    assert_eq!(phone.states(), expected);
    assert_eq!(phone.subscribe("Expires: 0\r\n").status.0, 481);

    let mut once = Phone::new();
    once.store(4, 0);
    assert_eq!(once.subscribe("Expires: 0\r\n").status.0, 200);
    assert_eq!(once.states(), ["terminated;reason=timeout 4/0"]);
    once.change(5, 0);
    assert_eq!(once.states().len(), 1);
}

#[test]
fn a_phone_that_refuses_a_notify_or_is_silent_has_no_subscription() {
    let end = |phone: &mut Phone| {
        phone.at(40_000);
        phone.change(1, 0);
        assert_eq!(phone.states(), ["active;expires=600 0/0"]);
        assert_eq!(phone.subscribe("Expires: 600\r\n").status.0, 481);
    };
    for status in [481, 489, 500, 401] {
        let mut phone = Phone::new();
        phone.subscribe("Expires: 600\r\n");
        phone.answer(status, &[]);
        end(&mut phone);
    }
    let mut silent = Phone::new();
    silent.subscribe("Expires: 600\r\n");
    end(&mut silent);
    // One that asks for a later attempt gets it when the messages are counted again.
    let mut busy = Phone::new();
    busy.subscribe("Expires: 600\r\n");
    busy.answer(503, &[(HeaderName::RetryAfter, "5")]);
    busy.at(30_000);
    assert_eq!(
        busy.states(),
        ["active;expires=600 0/0", "active;expires=570 0/0"]
    );
}

#[test]
fn the_count_is_sent_once_it_is_known() {
    let mut phone = Phone::new();
    phone.bench.counts = None;
    phone.subscribe("Expires: 600\r\n");
    assert_eq!(phone.notified(), []);
    assert_eq!(phone.bench.asked, [["kim"]]);
    // A change that is reported meanwhile is asked about afterwards.
    phone.bench.core.waiting_changed("kim", phone.bench.now());
    phone.bench.drain();
    assert_eq!(phone.bench.asked.len(), 1);
    let now = phone.bench.now();
    phone.bench.core.handle_counts(Some(&BTreeMap::new()), now);
    phone.bench.drain();
    assert_eq!(phone.states(), ["active;expires=600 0/0"]);
    assert_eq!(phone.bench.asked.len(), 2);
    // A database that fails: the phone is notified of what is known, which may be nothing (RFC 6665 §4.2.2).
    let mut unlucky = Phone::new();
    unlucky.bench.counts = Some(None);
    unlucky.subscribe("Expires: 600\r\n");
    unlucky.answer(200, &[]);
    assert_eq!(unlucky.states(), ["active;expires=600 -"]);
    unlucky.store(2, 0);
    unlucky.at(30_000);
    assert_eq!(unlucky.states()[1..], ["active;expires=570 2/0"]);
}

#[test]
fn a_phone_with_a_former_password_learns_nothing_more() {
    let mut phone = Phone::new();
    phone.store(1, 0);
    phone.register(
        "r1",
        "Expires: 600\r\nContact: <sip:other@192.0.2.1:5070>\r\n",
    );
    phone.answer(200, &[]);
    phone.subscribe("Expires: 600\r\n");
    phone.answer(200, &[]);
    let before = phone.states();
    let waiting = Waiting { new: 2, old: 0 };
    let counted = Counted {
        waiting,
        credential: "c2".to_owned(),
    };
    phone.bench.counts = Some(Some(BTreeMap::from([("kim".to_owned(), counted)])));
    phone.at(30_000);
    assert_eq!(
        phone.states()[before.len()..],
        ["terminated;reason=rejected -"]
    );
}

#[test]
fn the_oldest_subscription_of_a_client_makes_room() {
    let mut phone = Phone::new();
    let calls = [
        "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
    ];
    for call_id in &calls[..10] {
        phone.call_id = call_id;
        phone.to = format!("<sip:kim@{REALM}>");
        assert_eq!(phone.subscribe("").status.0, 200);
        if *call_id != "s1" {
            phone.answer(200, &[]);
        }
    }
    // The first one has not answered yet, the second one has.
    phone.call_id = "s11";
    phone.to = format!("<sip:kim@{REALM}>");
    assert_eq!(phone.subscribe("").status.0, 200);
    let ended: Vec<_> = phone
        .notified()
        .into_iter()
        .filter(|one| one.2.starts_with("term"))
        .collect();
    let (call_id, _, state, _) = &ended[0];
    assert_eq!((ended.len(), call_id.as_str()), (1, "s2"));
    assert_eq!(state, "terminated;reason=probation;retry-after=600");
    // While none has answered, there is no room for a new one.
    let mut silent = Phone::new();
    for call_id in calls {
        silent.call_id = call_id;
        silent.to = format!("<sip:kim@{REALM}>");
        let response = silent.subscribe("");
        let is_last = call_id == "s11";
        assert_eq!(response.status.0, if is_last { 503 } else { 200 });
        assert_eq!(response.headers.contains(HeaderName::RetryAfter), is_last);
    }
}

#[test]
fn a_phone_that_never_subscribes_is_notified_at_its_binding() {
    let mut phone = Phone::new();
    phone.store(1, 2);
    phone.register("r1", "Expires: 600\r\n");
    let notify = phone.notify();
    let table = [
        (HeaderName::CSeq, "1 NOTIFY"),
        (HeaderName::To, "<sip:kim@example.com>"),
        (HeaderName::Contact, "<sip:kim@192.0.2.9:5060>"),
        (HeaderName::Event, "message-summary"),
        (HeaderName::SubscriptionState, "active"),
        (
            HeaderName::ContentType,
            "application/simple-message-summary",
        ),
    ];
    for (name, value) in table {
        assert_eq!(notify.headers.get(&name), Some(value), "{name}");
    }
    let from = notify.headers.from().unwrap();
    assert_eq!(from.uri.to_string(), "sip:kim@example.com");
    assert!(from.tag().is_some());
    assert_eq!(notify.uri.to_string(), "sip:kim@192.0.2.1:5070;ob");
    let body = "Messages-Waiting: yes\r\nMessage-Account: sip:kim@example.com\r\nVoice-Message: 1/2 (0/0)\r\n";
    assert_eq!(notify.body, body.as_bytes());
    phone.answer(200, &[]);
    phone.change(0, 3);
    // Changes before its answer follow as one, unless it is the same again.
    phone.change(5, 3);
    phone.change(0, 3);
    phone.answer(200, &[]);
    phone.change(1, 3);
    phone.change(2, 3);
    phone.answer(200, &[]);
    phone.answer(200, &[]);
    let expected = ["active 1/2", "active 0/3", "active 1/3", "active 2/3"];
    assert_eq!(phone.states(), expected);
    // Renewing its registration changes nothing, but switching it on anew does.
    phone.register("r1", "Expires: 600\r\n");
    assert_eq!(phone.states(), expected);
    phone.register("r2", "Expires: 600\r\n");
    assert_eq!(phone.states()[4..], ["active 2/3"]);
    phone.answer(200, &[]);
    phone.register("r2", "Expires: 0\r\n");
    phone.change(7, 7);
    assert_eq!(phone.states().len(), 5);
}

#[test]
fn a_phone_for_which_nothing_waits_is_not_bothered_when_it_registers() {
    let mut phone = Phone::new();
    phone.store(0, 0);
    phone.register("r1", "Expires: 600\r\n");
    assert_eq!(phone.notified(), []);
    phone.change(0, 1);
    assert_eq!(phone.states(), ["active 0/1"]);
}

#[test]
fn a_phone_that_refuses_is_not_notified_until_it_registers_anew() {
    for status in [405, 481, 489] {
        let mut phone = Phone::new();
        phone.store(1, 0);
        phone.register("r1", "Expires: 600\r\n");
        phone.answer(status, &[]);
        phone.change(2, 0);
        phone.register("r1", "Expires: 600\r\n");
        assert_eq!(phone.states(), ["active 1/0"], "{status}");
        phone.register("r2", "Expires: 600\r\n");
        assert_eq!(phone.states(), ["active 1/0", "active 2/0"], "{status}");
    }
    // One that is silent is notified of the next change, not of the same count again.
    let mut silent = Phone::new();
    silent.store(1, 0);
    silent.register("r1", "Expires: 600\r\n");
    silent.at(100_000);
    assert_eq!(silent.states(), ["active 1/0"]);
    silent.change(2, 0);
    assert_eq!(silent.states(), ["active 1/0", "active 2/0"]);
    // The refusal of a NOTIFY from before it registered anew does not count.
    let mut early = Phone::new();
    early.store(1, 0);
    early.register("r1", "Expires: 600\r\n");
    let first = Response::for_request(&early.notify(), 481);
    early.register("r2", "Expires: 600\r\n");
    early.bench.receive(first.to_bytes());
    early.answer(200, &[]);
    early.change(2, 0);
    assert_eq!(early.states(), ["active 1/0", "active 1/0", "active 2/0"]);
}

#[test]
fn a_subscribed_phone_gets_only_the_notify_of_its_subscription() {
    let mut phone = Phone::new();
    phone.register("r1", "Expires: 3600\r\n");
    phone.subscribe("Expires: 600\r\nContact: <sip:kim@192.0.2.1:5070>\r\n");
    phone.answer(200, &[]);
    // Another phone of the same client, which does not subscribe.
    phone.register(
        "r9",
        "Expires: 3600\r\nContact: <sip:kim@192.0.2.1:5072>\r\n",
    );
    phone.change(1, 0);
    let of = |phone: &Phone, uri: &str| {
        let sent = phone.bench.sent.iter().filter(|(_, message)| {
            matches!(message, Message::Request(request)
                if request.method == Method::Notify && request.uri.to_string() == uri)
        });
        sent.count()
    };
    assert_eq!(of(&phone, "sip:kim@192.0.2.1:5070"), 2);
    assert_eq!(of(&phone, "sip:kim@192.0.2.1:5072"), 1);
    assert_eq!(of(&phone, "sip:kim@192.0.2.1:5070;ob"), 0);
}

/// What the earlier process has notified a phone of is not known, so it is notified even if nothing waits now.
#[test]
fn restored_bindings_are_notified_of_their_boxes() {
    for (has_box, expected) in [(true, vec!["active 0/0".to_owned()]), (false, Vec::new())] {
        let mut phone = Phone::new();
        if has_box {
            phone.store(0, 0);
        }
        let binding = BindingSnapshot {
            contact: "sip:kim@192.0.2.1:5070".to_owned(),
            transport: "udp".to_owned(),
            remote_address: "192.0.2.1:5070".parse().unwrap(),
            local_address: "192.0.2.9:5060".parse().unwrap(),
            q: 1000,
            expires_at: 1_000,
            call_id: "r1".to_owned(),
            seq: 1,
            instance: None,
            answers: true,
            credential: PRESENT.to_owned(),
        };
        let now = phone.bench.now();
        let binding = binding.restore(now, Duration::from_secs(100)).unwrap();
        phone.bench.core.restore_bindings("kim", vec![binding], now);
        phone.bench.drain();
        assert_eq!(phone.states(), expected);
    }
}

/// A subscription by TCP is reached over its connection, and at its Contact once that is closed.
#[test]
fn a_closed_connection_is_not_used_any_more() {
    let mut phone = Phone::with(Transport::Tcp);
    phone.bench.peer.flow = Some(FlowId(3));
    phone.subscribe("Expires: 600\r\nContact: <sip:kim@192.0.2.1:5070;transport=tcp>\r\n");
    phone.answer(200, &[]);
    assert_eq!(phone.bench.core.paths().count(), 1);
    let now = phone.bench.now();
    phone.bench.core.handle_flow_closed(FlowId(3), now);
    phone.change(1, 0);
    let (peer, _) = phone.bench.sent.last().unwrap();
    assert_eq!((peer.flow, peer.remote.port()), (None, 5070));
    // It cannot be reached there either.
    let peer = *peer;
    phone.bench.core.handle_transport_error(peer, now);
    assert_eq!(phone.bench.core.paths().count(), 0);
}
