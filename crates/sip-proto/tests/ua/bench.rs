//! One core, a scripted call engine and a scripted peer, on a virtual clock.
//!
//! A script is a list of steps, `time in ms` and words, separated by `;`. The engine's steps:
//! `invite`, `invite late` (no offer), `invite auth`, `cancel`, `bye`, `ring`, `answer`, `reject
//! N`, `taken N` (a text), `challenge`, `reinvite`, `accept`, `refuse N`, `ack`, `info`,
//! `transfer` (accept a REFER), `no-transfer N`, `transferred N`, `refer URI`. The peer's steps start with
//! `<`: `< 180 INVITE a` answers our last INVITE with To tag `a` (`sdp` adds a description), `<
//! BYE` sends a request; `| Name: value` adds a header field, `sdp` a description, `text` a body of
//! another type, `frag=200` a report about a transfer, `again` repeats the last message, `seq=`, `tag=` and `branch=` overwrite, `new`
//! leaves the To tag out. `end` lets the timers run until then.
//!
//! The log has what the core sends (`>`) and reports to the engine (`!`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::DialogSnapshot;
use sip_proto::digest::{ha1_md5, ha1_sha256};
use sip_proto::message::{HeaderName, Message, Method, Request, Response};
use sip_proto::parse::parse_bytes;
use sip_proto::ua::{
    Caller, Core, CoreConfig, Counted, Credentials, Entropy, Found, Ha1, InviteSpec, LegCommand,
    LegEvent, LegId, MessageSpec, OurNames, Output, Peer, RegisterSpec, TextBody, Transport,
};

pub(crate) const SDP: &str = "v=0\r\n";
pub(crate) const REALM: &str = "example.com";
pub(crate) const PASSWORD: &str = "secret";

/// SplitMix64: the same words for the same seed.
pub(crate) struct Seeded(pub(crate) u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had in no other way"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn config() -> CoreConfig {
    CoreConfig {
        ours: OurNames {
            domain: REALM.to_owned(),
            ..OurNames::default()
        },
        user_agent: "Patchcord/test".to_owned(),
        sha256: false,
        nonce_lifetime: Duration::from_secs(60),
        keepalive: Duration::from_secs(60),
        max_setup: 10,
        trunks: Vec::new(),
    }
}

/// The path to the peer: 192.0.2.1:5070 seen from 192.0.2.9:5060.
pub(crate) fn peer(transport: Transport) -> Peer {
    Peer {
        transport,
        remote: SocketAddr::from(([192, 0, 2, 1], 5070)),
        local: SocketAddr::from(([192, 0, 2, 9], 5060)),
        flow: None,
    }
}

/// Within one instant, sent messages are listed before reports: their order does not matter.
pub(crate) fn ordered(log: &str) -> String {
    let mut lines: Vec<&str> = log.split(", ").collect();
    lines.sort_by_key(|line| {
        let (ms, what) = line.split_once(' ').unwrap_or_default();
        (ms.parse::<u64>().unwrap_or(0), what.starts_with('!'))
    });
    lines.join(", ")
}

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) peer: Peer,
    pub(crate) leg: LegId,
    t0: Instant,
    now: Instant,
    log: Vec<String>,
    /// Everything sent, in order.
    pub(crate) sent: Vec<(Peer, Message)>,
    /// The dialog snapshots stored for a later process, in order.
    pub(crate) dialogs: Vec<DialogSnapshot>,
    /// Our last request of each method.
    requests: BTreeMap<String, Request>,
    /// Our last response to the peer's INVITE with a To tag: holds our tag.
    our_to: Option<String>,
    last: Option<Bytes>,
    inbound: bool,
    peer_tag: String,
    seq: u32,
    invite: (u32, String),
    messages: u32,
    /// What the store answers when it counts messages: `None` within if it fails; `None` if the test answers itself.
    pub(crate) counts: Option<Option<BTreeMap<String, Counted>>>,
    /// Questions that the test answers.
    pub(crate) asked: Vec<Vec<String>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(config(), Transport::Udp)
    }

    pub(crate) fn with(config: CoreConfig, transport: Transport) -> Self {
        let t0 = start();
        Self {
            core: Core::new(config, Box::new(Seeded(1)), t0),
            peer: peer(transport),
            leg: LegId(2),
            t0,
            now: t0,
            log: Vec::new(),
            sent: Vec::new(),
            dialogs: Vec::new(),
            requests: BTreeMap::new(),
            our_to: None,
            last: None,
            inbound: false,
            peer_tag: "p".to_owned(),
            seq: 0,
            invite: (0, String::new()),
            messages: 0,
            counts: Some(Some(BTreeMap::new())),
            asked: Vec::new(),
        }
    }

    /// Plays a script and returns the log.
    pub(crate) fn play(&mut self, script: &str) -> String {
        self.drain();
        for step in script
            .split("; ")
            .map(str::trim)
            .filter(|step| !step.is_empty())
        {
            let (ms, what) = step.split_once(' ').expect("time and words");
            self.run_until(self.t0 + Duration::from_millis(ms.parse().expect("ms")));
            self.step(what);
            self.drain();
        }
        ordered(&std::mem::take(&mut self.log).join(", "))
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    fn run_until(&mut self, end: Instant) {
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn step(&mut self, what: &str) {
        if let Some(message) = what.strip_prefix("< ") {
            return self.peer_sends(message);
        }
        if what == "end" {
            return;
        }
        let (verb, argument) = what.split_once(' ').unwrap_or((what, ""));
        let command = command(verb, argument, self.peer);
        self.core.handle_command(self.leg, command, self.now);
    }

    /// Feeds a message as text.
    pub(crate) fn receive(&mut self, text: impl Into<Bytes>) {
        let bytes = text.into();
        self.last = Some(bytes.clone());
        self.core.handle_datagram(bytes, self.peer, self.now);
        self.drain();
    }

    fn peer_sends(&mut self, what: &str) {
        let (words, header) = what.split_once(" | ").unwrap_or((what, ""));
        let words: Vec<&str> = words.split(' ').collect();
        let bytes = match words[0] {
            "again" => self.last.clone().expect("a message to repeat"),
            status if status.parse::<u16>().is_ok() => self.response(&words, header),
            _ => self.request(&words, header),
        };
        self.receive(bytes);
    }

    fn response(&mut self, words: &[&str], header: &str) -> Bytes {
        let status: u16 = words[0].parse().expect("a status");
        let request = self.requests.get(words[1]).expect("a request to answer");
        let mut response = Response::for_request(request, status);
        if let Some(tag) = words.get(2).filter(|word| **word != "sdp") {
            response.set_to_tag(tag);
            if words[1] == "INVITE" && status < 300 {
                (*tag).clone_into(&mut self.peer_tag);
            }
        }
        if words[1] == "INVITE" {
            response
                .headers
                .push(HeaderName::Contact, "<sip:callee@192.0.2.1:5070>");
        }
        push(&mut response.headers, header);
        if words.contains(&"sdp") {
            response.set_body("application/sdp", SDP);
        }
        response.to_bytes()
    }

    fn request(&mut self, words: &[&str], header: &str) -> Bytes {
        let method = words[0];
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        self.messages += 1;
        let fresh = format!("z9hG4bKp{}", self.messages);
        let (seq, branch) = match method {
            "ACK" if words.contains(&"same") => self.invite.clone(),
            "ACK" => (self.invite.0, fresh),
            "CANCEL" => self.invite.clone(),
            _ => {
                self.seq += 1;
                (self.seq, fresh)
            }
        };
        let seq = value("seq=").map_or(seq, |seq| seq.parse().expect("a number"));
        let branch = value("branch=").map_or(branch, str::to_owned);
        if method == "INVITE" {
            self.invite = (seq, branch.clone());
            if self.requests.is_empty() && self.our_to.is_none() {
                self.inbound = true;
            }
        }
        let (from, mut to, call_id) = self.dialog_headers();
        if method == "CANCEL" || words.contains(&"new") {
            to = to.split(";tag=").next().unwrap().to_owned();
        }
        if let Some(tag) = value("tag=") {
            to = format!("{};tag={tag}", to.split(";tag=").next().unwrap());
        }
        let transport = self.peer.transport.via();
        let mut request = format!(
            "{method} sip:bob@192.0.2.9 SIP/2.0\r\n\
             Via: SIP/2.0/{transport} 192.0.2.1:5070;branch={branch}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {seq} {method}\r\n\
             Contact: <sip:kim@192.0.2.1:5070>\r\n"
        );
        if !header.starts_with("Max-Forwards") {
            request += "Max-Forwards: 70\r\n";
        }
        if !header.is_empty() {
            request += &format!("{header}\r\n");
        }
        if words.contains(&"sdp") {
            request += &format!(
                "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
                SDP.len()
            );
        } else if let Some(status) = value("frag=") {
            let body = format!("SIP/2.0 {status} Words\r\n");
            request += &format!(
                "Content-Type: message/sipfrag;version=2.0\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        } else if words.contains(&"text") {
            request += "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
        } else {
            request += "Content-Length: 0\r\n\r\n";
        }
        request.into()
    }

    /// From, To and Call-ID as the peer writes them.
    fn dialog_headers(&self) -> (String, String, String) {
        if self.inbound || self.requests.is_empty() {
            let to = self
                .our_to
                .clone()
                .unwrap_or_else(|| "<sip:bob@example.com>".to_owned());
            return (
                "<sip:kim@example.com>;tag=p".to_owned(),
                to,
                "call-1".to_owned(),
            );
        }
        let ours = &self.requests["INVITE"].headers;
        let from = format!(
            "{};tag={}",
            ours.get(HeaderName::To).unwrap(),
            self.peer_tag
        );
        let to = ours.get(HeaderName::From).unwrap().to_owned();
        (from, to, ours.get(HeaderName::CallId).unwrap().to_owned())
    }

    fn say(&mut self, what: &str) {
        let ms = self.now.duration_since(self.t0).as_millis();
        self.log.push(format!("{ms} {what}"));
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { peer, bytes } => self.note_sent(peer, bytes),
                Output::Text(text) => {
                    self.leg = text.leg;
                    let body = match text.body {
                        TextBody::Text(text) => format!("`{text}`"),
                        other => format!("{other:?}"),
                    };
                    self.say(&format!("! Text {} {body}", caller(&text.caller)));
                }
                Output::Incoming(invite) => {
                    self.leg = invite.leg;
                    self.say(&format!("! Incoming {}", caller(&invite.caller)));
                }
                Output::Event(_, LegEvent::Dialog(dialog)) => self.dialogs.push(*dialog),
                Output::Over(_) => {}
                Output::Event(_, event) => self.say(&format!("! {}", name(&event))),
                Output::Lookup { id, login, domain } => {
                    let found = directory(&login, &domain);
                    self.core.handle_lookup(id, &found, self.now);
                }
                Output::Refused { login, .. } => self.say(&format!("! Refused {login}")),
                Output::Count { clients } => self.count(clients),
                Output::Bindings { login, bindings } => {
                    self.say(&format!("! Bindings {login} {}", bindings.len()));
                }
            }
        }
    }

    /// Answers a question about messages, unless the test does.
    fn count(&mut self, clients: Vec<String>) {
        match &self.counts {
            Some(counts) => {
                let counts = counts.clone();
                self.core.handle_counts(counts.as_ref(), self.now);
            }
            None => self.asked.push(clients),
        }
    }

    fn note_sent(&mut self, peer: Peer, bytes: Bytes) {
        let message = parse_bytes(bytes).expect("the core sends what can be read");
        let text = match &message {
            Message::Request(request) => {
                self.requests
                    .insert(request.method.to_string(), request.clone());
                request.method.to_string()
            }
            Message::Response(response) => {
                if response.headers.to().unwrap().tag().is_some()
                    && response.method() == Some(Method::Invite)
                {
                    self.our_to = response.headers.get(HeaderName::To).map(str::to_owned);
                }
                format!("{} {}", response.status, response.method().unwrap())
            }
        };
        self.say(&format!("> {text}"));
        self.sent.push((peer, message));
    }

    /// The last request of that method.
    pub(crate) fn request_of(&self, method: &str) -> &Request {
        &self.requests[method]
    }

    /// The last message sent.
    pub(crate) fn last_sent(&self) -> &Message {
        &self.sent.last().expect("something was sent").1
    }
}

fn push(headers: &mut sip_proto::message::Headers, line: &str) {
    if let Some((name, value)) = line.split_once(": ") {
        headers.push(HeaderName::parse(name).unwrap(), value);
    }
}

/// Knows `kim` of each organization; fails for `broken`.
fn directory(login: &str, domain: &str) -> Found {
    match login {
        "kim" => Found::Client(Ha1 {
            md5: ha1_md5("kim", domain, PASSWORD),
            sha256: ha1_sha256("kim", domain, PASSWORD),
            credential: "c1".to_owned(),
        }),
        "broken" => Found::Failed,
        _ => Found::Nobody,
    }
}

pub(crate) fn spec(route: Peer) -> InviteSpec {
    InviteSpec {
        sdp: SDP.to_owned(),
        ..InviteSpec::new("sip:callee@192.0.2.1:5070", "sip:100@example.com", route)
    }
}

fn credentials(argument: &str) -> Option<Credentials> {
    let (username, password) = ("kim".to_owned(), PASSWORD.to_owned());
    (argument == "auth").then_some(Credentials { username, password })
}

fn caller(caller: &Caller) -> &str {
    match caller {
        Caller::Client { login } => login.as_str(),
        Caller::Trunk { name } => name.as_str(),
        Caller::BadCredentials { .. } => "BadCredentials",
        Caller::Unknown => "Unknown",
    }
}

fn command(verb: &str, argument: &str, route: Peer) -> LegCommand {
    let headers = Vec::new();
    let sdp = SDP.to_owned();
    let status = || argument.parse().expect("a status");
    match verb {
        "invite" => {
            let mut spec = spec(route);
            if argument == "late" {
                spec.sdp.clear();
            }
            spec.credentials = credentials(argument);
            LegCommand::Invite(Box::new(spec))
        }
        "message" => LegCommand::Message(Box::new(MessageSpec {
            target: match argument {
                "nowhere" => "no uri".to_owned(),
                _ => "sip:callee@192.0.2.1:5070".to_owned(),
            },
            to: None,
            from: "sip:100@example.com".to_owned(),
            route,
            text: "Grüße".repeat(if argument == "long" { 300 } else { 1 }),
            headers: vec![("X-Id".to_owned(), "7".to_owned())],
            credentials: credentials(argument),
        })),
        "register" => LegCommand::Register(Box::new(RegisterSpec {
            registrar: match argument {
                "nowhere" => "no uri".to_owned(),
                _ => "sip:carrier.example".to_owned(),
            },
            address: "sip:kim@carrier.example".to_owned(),
            contact_user: "kim".to_owned(),
            route,
            expires: 600,
            call_id: "r1@here".to_owned(),
            seq: 17,
            credentials: credentials(argument),
        })),
        "cancel" => LegCommand::Cancel,
        "bye" => LegCommand::Bye { headers },
        "ring" => LegCommand::Progress {
            status: 180,
            headers,
        },
        "answer" => LegCommand::Answer { sdp, headers },
        "reject" => LegCommand::Reject {
            status: status(),
            reason: None,
            headers,
        },
        "taken" => LegCommand::AnswerText {
            status: status(),
            reason: None,
        },
        "challenge" => LegCommand::Challenge { stale: false },
        "reinvite" => LegCommand::Reinvite { sdp },
        "accept" => LegCommand::AnswerReinvite { sdp, headers },
        "refuse" => LegCommand::RejectReinvite { status: status() },
        "ack" => LegCommand::AckSdp { sdp },
        "transfer" => LegCommand::AcceptRefer,
        "no-transfer" => LegCommand::RejectRefer {
            status: status(),
            headers: vec![("Reason".to_owned(), "why".to_owned())],
        },
        "transferred" => LegCommand::ReferDone { status: status() },
        "refer" => LegCommand::Refer {
            target: argument.to_owned(),
        },
        "info" => LegCommand::Info {
            content_type: "text/plain".to_owned(),
            body: b"hi".to_vec(),
        },
        other => panic!("no verb `{other}`"),
    }
}

/// An event in a word or two.
pub(crate) fn name(event: &LegEvent) -> String {
    let with = |word: &str, sdp: &Option<String>| match sdp {
        Some(_) => format!("{word} sdp"),
        None => word.to_owned(),
    };
    match event {
        LegEvent::Progress { status, sdp, .. } => with(&format!("Progress {status}"), sdp),
        LegEvent::Answered { sdp, .. } => with("Answered", sdp),
        LegEvent::Rejected { status, .. } => format!("Rejected {status}"),
        LegEvent::Canceled => "Canceled".to_owned(),
        LegEvent::Acked { sdp } => with("Acked", sdp),
        LegEvent::NoAck => "NoAck".to_owned(),
        LegEvent::Bye { .. } => "Bye".to_owned(),
        LegEvent::ByeDone { status, .. } => format!("ByeDone {status}"),
        LegEvent::Lost => "Lost".to_owned(),
        LegEvent::Reinvite { sdp } => with("Reinvite", sdp),
        LegEvent::ReinviteAcked { sdp } => with("ReinviteAcked", sdp),
        LegEvent::ReinviteDone { status, sdp } => with(&format!("ReinviteDone {status}"), sdp),
        LegEvent::Refer(refer) => format!("Refer {}", refer.target_user),
        LegEvent::ReferAnswered { status } => format!("ReferAnswered {status}"),
        LegEvent::ReferReported { status, is_last } => {
            let status = status.map_or_else(|| "?".to_owned(), |status| status.to_string());
            format!(
                "ReferReported {status}{}",
                if *is_last { " last" } else { "" }
            )
        }
        LegEvent::Info { .. } => "Info".to_owned(),
        LegEvent::InfoDone { status } => format!("InfoDone {status}"),
        LegEvent::MessageDone { status, .. } => format!("MessageDone {status}"),
        LegEvent::RegisterDone { status, seconds } => {
            let seconds = seconds.map_or_else(String::new, |seconds| format!(" {seconds}"));
            format!("RegisterDone {status}{seconds}")
        }
        LegEvent::Dialog(_) => "Dialog".to_owned(),
        LegEvent::HeaderRefused { name } => format!("HeaderRefused {name}"),
    }
}

/// Plays each script on a new bench.
pub(crate) fn assert_table(table: &[(&str, &str)]) {
    for (script, expected) in table {
        assert_eq!(Bench::new().play(script), ordered(expected), "{script}");
    }
}
