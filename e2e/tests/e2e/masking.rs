//! Number masking on the wire: two parties behind one carrier call and text each other, and nothing that one of them receives has
//! the number of the other.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::server::Options;
use e2e::{App, Reply, Rest, Server, ports, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(8);
const ANN: &str = "+49170000000101";
const BEN: &str = "+49170000000202";
const MASKS: [&str; 2] = ["+4930000001", "+4930000002"];

/// The carrier of both parties: one UDP socket, which the server trusts as a trunk. It answers every call and text, and keeps all
/// that it receives.
struct Carrier {
    socket: UdpSocket,
    server: SocketAddr,
    seen: Vec<String>,
    sent: u32,
    /// Whether it refuses calls, naming the called party.
    is_busy: bool,
}

impl Carrier {
    fn bind() -> anyhow::Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(socket)
    }

    fn header<'m>(message: &'m str, name: &str) -> &'m str {
        let start = format!("{name}:");
        let line = message.lines().find(|line| line.starts_with(&start));
        line.map_or("", |line| line[start.len()..].trim())
    }

    /// Sends a request of a party with all the headers that could give its number away; returns its Call-ID.
    fn request(
        &mut self,
        method: &str,
        (from, to): (&str, &str),
        body: (&str, &str),
    ) -> anyhow::Result<String> {
        self.sent += 1;
        let (n, own) = (self.sent, self.socket.local_addr()?);
        let call_id = format!("call-{n}-of-carrier");
        let (kind, text) = body;
        let request = format!(
            "{method} sip:{to}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"{from}\" <sip:{from}@{own}>;tag=f{n}\r\nTo: <sip:{to}@{server}>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:{from}@{own}>\r\n\
             P-Asserted-Identity: \"{from}\" <sip:{from}@{own}>\r\nRemote-Party-ID: <sip:{from}@{own}>;party=calling\r\n\
             Diversion: <sip:{from}@{own}>;reason=unconditional\r\nX-Caller: {from}\r\nSubject: {from}\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{text}",
            server = self.server,
            length = text.len(),
        );
        self.socket.send_to(request.as_bytes(), self.server)?;
        Ok(call_id)
    }

    fn invite(&mut self, from: &str, to: &str) -> anyhow::Result<String> {
        let offer = format!(
            "v=0\r\no={from} 1 1 IN IP4 127.0.0.1\r\ns={from}\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        );
        self.request("INVITE", (from, to), ("application/sdp", &offer))
    }

    /// Ends a call that it has placed.
    fn bye(&mut self, call_id: &str) -> anyhow::Result<()> {
        self.within(call_id, (2, "BYE"), "")
    }

    /// Sends a request in a call that it has placed.
    fn within(
        &mut self,
        call_id: &str,
        (number, method): (u32, &str),
        keys: &str,
    ) -> anyhow::Result<()> {
        let mut mine = self.of(call_id).into_iter();
        let answer = mine.find(|one| one.starts_with("SIP/2.0 200"));
        let answer = answer.context("the call was not answered")?.to_owned();
        let own = self.socket.local_addr()?;
        let contact = Self::header(&answer, "Contact").trim_start_matches('<');
        let target = contact.split('>').next().unwrap_or_default();
        let request = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK-{number}-{call_id};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
             Content-Type: application/dtmf-relay\r\nContent-Length: {length}\r\n\r\n{keys}",
            from = Self::header(&answer, "From"),
            to = Self::header(&answer, "To"),
            length = keys.len(),
        );
        self.socket.send_to(request.as_bytes(), self.server)?;
        Ok(())
    }

    /// Receives one message, and answers it as a carrier does.
    fn step(&mut self) -> anyhow::Result<()> {
        let mut bytes = [0; 8_192];
        let Ok((length, _)) = self.socket.recv_from(&mut bytes) else {
            return Ok(());
        };
        let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if message.starts_with("SIP/2.0") {
            self.confirm(&message)?;
        } else if !message.starts_with("ACK ") {
            self.answer(&message)?;
        }
        self.seen.push(message);
        Ok(())
    }

    /// Confirms a final response to an INVITE.
    fn confirm(&self, response: &str) -> anyhow::Result<()> {
        let is_final = !response.starts_with("SIP/2.0 1");
        if !is_final || !Self::header(response, "CSeq").ends_with("INVITE") {
            return Ok(());
        }
        let own = self.socket.local_addr()?;
        let call_id = Self::header(response, "Call-ID");
        let via = if response.starts_with("SIP/2.0 2") {
            format!("SIP/2.0/UDP {own};branch=z9hG4bK-ack-{call_id}")
        } else {
            Self::header(response, "Via").to_owned()
        };
        let ack = format!(
            "ACK sip:{server} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            server = self.server,
            from = Self::header(response, "From"),
            to = Self::header(response, "To"),
        );
        self.socket.send_to(ack.as_bytes(), self.server)?;
        Ok(())
    }

    fn answer(&self, request: &str) -> anyhow::Result<()> {
        let own = self.socket.local_addr()?;
        let (mut body, mut kind) = (String::new(), "");
        if request.starts_with("INVITE ") {
            kind = "Content-Type: application/sdp\r\n";
            body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                    m=audio 40002 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
                .to_owned();
        }
        let vias: Vec<&str> = request
            .lines()
            .filter(|line| line.starts_with("Via:"))
            .collect();
        let to = Self::header(request, "To");
        let tag = if to.contains(";tag=") {
            ""
        } else {
            ";tag=carrier"
        };
        let is_invite = request.starts_with("INVITE ");
        let status = match is_invite && self.is_busy {
            true => {
                format!("486 {to} is busy\r\nReason: Q.850;cause=17;text=\"{to}\"\r\nX-Party: {to}")
            }
            false => "200 OK".to_owned(),
        };
        let response = format!(
            "SIP/2.0 {status}\r\n{vias}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Contact: <sip:{own}>\r\n{kind}Content-Length: {length}\r\n\r\n{body}",
            vias = vias.join("\r\n"),
            from = Self::header(request, "From"),
            call_id = Self::header(request, "Call-ID"),
            cseq = Self::header(request, "CSeq"),
            length = body.len(),
        );
        self.socket.send_to(response.as_bytes(), self.server)?;
        Ok(())
    }

    /// All messages with a Call-ID.
    fn of(&self, call_id: &str) -> Vec<&str> {
        let mine = self.seen.iter().map(String::as_str);
        mine.filter(|message| Self::header(message, "Call-ID") == call_id)
            .collect()
    }

    /// Receives until there is a message that fits, and returns it.
    fn until(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(found) = self.seen.iter().find(|message| fits(message)) {
                return Ok(found.clone());
            }
            ensure!(Instant::now() < deadline, "{what}: {:#?}", self.seen);
            self.step()?;
        }
    }

    /// The request with which the server calls or texts a party; its user part of From is what that party sees.
    fn reached(&mut self, method: &str, party: &str) -> anyhow::Result<(String, String)> {
        let start = format!("{method} sip:{party}@");
        let request = self.until(&format!("{method} to {party}"), |message| {
            message.starts_with(&start)
        })?;
        let from = Self::header(&request, "From").to_owned();
        let user = from
            .split("sip:")
            .nth(1)
            .and_then(|rest| rest.split('@').next());
        let user = user.context("From has no user part")?.to_owned();
        Ok((Self::header(&request, "Call-ID").to_owned(), user))
    }
}

/// A server with a pool of two numbers and the session of ann and ben.
struct Scene {
    server: Server,
    carrier: Carrier,
    app: App,
    session: String,
}

impl Scene {
    fn new() -> anyhow::Result<Self> {
        let socket = Carrier::bind()?;
        let own = socket.local_addr()?;
        let config =
            format!("[[trunk]]\nname = 'carrier'\nuri = 'sip:{own}'\naddresses = ['127.0.0.1']\n");
        let address = || Ok::<_, anyhow::Error>(format!("127.0.0.1:{}", ports::lasting()?));
        let options = Options::default()
            .config(&config)
            .flag("--http", &address()?)
            .flag("--sip", &address()?);
        let server = options.start()?;
        let app = App::start()?;
        app.on("/told", Reply::status(200));
        let rest = server.rest();
        let callback = app.url("/told");
        let service = create(
            &rest,
            "/v1/Services",
            &[("UniqueName", "rides"), ("CallbackUrl", &callback)],
        )?;
        let service = format!("/v1/Services/{}", text(&service, "sid"));
        for mask in MASKS {
            // What the number itself says does not count while it is a mask.
            rest.number(mask, &app.url("/own"))?;
            create(
                &rest,
                &format!("{service}/PhoneNumbers"),
                &[("PhoneNumber", mask)],
            )?;
        }
        let both =
            format!("[{{\"Identifier\":\"{ANN}\",\"Pin\":\"4711\"}},{{\"Identifier\":\"{BEN}\"}}]");
        let form = [("Participants", both.as_str())];
        let made = create(&rest, &format!("{service}/Sessions"), &form)?;
        let session = format!("{service}/Sessions/{}", text(&made, "sid"));
        let carrier = Carrier {
            socket,
            server: server.sip_udp()?,
            seen: Vec::new(),
            sent: 0,
            is_busy: false,
        };
        Ok(Self {
            server,
            carrier,
            app,
            session,
        })
    }

    /// The mask of a party.
    fn mask(&self, party: &str) -> anyhow::Result<String> {
        let list = read(
            &self.server.rest(),
            &format!("{}/Participants", self.session),
        )?;
        let all = list["participants"].as_array().cloned().unwrap_or_default();
        let own = all.iter().find(|one| one["identifier"] == party);
        Ok(text(
            own.with_context(|| format!("{list}"))?,
            "proxy_identifier",
        ))
    }

    /// Waits until the session has as many interactions, all of which have ended.
    fn interactions(&self, count: usize) -> anyhow::Result<Vec<Value>> {
        let rest = self.server.rest();
        let path = format!("{}/Interactions", self.session);
        wait::until("interactions that have ended", SOON, || {
            let list = read(&rest, &path).ok()?;
            let all = list["interactions"].as_array()?.clone();
            let over = all.iter().all(|one| one["status"] != "in-progress");
            (all.len() == count && over).then_some(all)
        })
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn create(rest: &Rest, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
    let answer = rest.send("POST", path, Some(&e2e::http::form(form)))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(
        answer.start.contains(" 201 "),
        "{path}: {} {text}",
        answer.start
    );
    Ok(serde_json::from_str(&text)?)
}

fn read(rest: &Rest, path: &str) -> anyhow::Result<Value> {
    let answer = rest.send("GET", path, None)?;
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Nothing that a party received has this number: not in From, Contact, P-Asserted-Identity, a body, nor anywhere else.
fn hides(messages: &[&str], number: &str) -> anyhow::Result<()> {
    let digits = number.trim_start_matches('+');
    ensure!(!messages.is_empty(), "nothing was received");
    for message in messages {
        ensure!(!message.contains(digits), "{number} is in:\n{message}");
    }
    Ok(())
}

/// One calls the other at its own mask, and hangs up; returns the number that the called one saw.
fn talk(scene: &mut Scene, (caller, called): (&str, &str), mask: &str) -> anyhow::Result<String> {
    scene.carrier.seen.clear();
    let out = scene.carrier.invite(caller, mask)?;
    let (called_id, shown) = scene.carrier.reached("INVITE", called)?;
    scene.carrier.until("200 for the caller", |message| {
        message.starts_with("SIP/2.0 200") && Carrier::header(message, "Call-ID") == out
    })?;
    scene.carrier.bye(&out)?;
    scene.carrier.until("BYE for the called one", |message| {
        message.starts_with("BYE ") && Carrier::header(message, "Call-ID") == called_id
    })?;
    scene.carrier.until("200 for BYE", |message| {
        message.starts_with("SIP/2.0 200")
            && Carrier::header(message, "CSeq") == "2 BYE"
            && Carrier::header(message, "Call-ID") == out
    })?;
    hides(&scene.carrier.of(&called_id), caller)?;
    hides(&scene.carrier.of(&out), called)?;
    Ok(shown)
}

/// One texts the other; returns the number that the other one saw.
fn say(scene: &mut Scene, (sender, other): (&str, &str), mask: &str) -> anyhow::Result<String> {
    scene.carrier.seen.clear();
    let words = "I am <here> & waiting";
    let out = scene
        .carrier
        .request("MESSAGE", (sender, mask), ("text/plain", words))?;
    let (other_id, shown) = scene.carrier.reached("MESSAGE", other)?;
    scene.carrier.until("202 for the sender", |message| {
        message.starts_with("SIP/2.0 202") && Carrier::header(message, "Call-ID") == out
    })?;
    let received = scene.carrier.of(&other_id);
    ensure!(received[0].ends_with(words), "{}", received[0]);
    hides(&received, sender)?;
    hides(&scene.carrier.of(&out), other)?;
    Ok(shown)
}

/// Calls and texts that arrive together, before any of them is on record.
#[test]
fn a_session_has_no_more_interactions_than_allowed_however_many_arrive_at_once()
-> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    let service = scene.session.split("/Sessions").next().unwrap_or_default();
    let form = e2e::http::form(&[("MaxInteractions", "3")]);
    let rest = scene.server.rest();
    let set = rest.send("POST", service, Some(&form))?;
    ensure!(set.status() == 200, "{}", set.start);
    let mask = scene.mask(ANN)?;
    let mut sent = Vec::new();
    for n in 0..10 {
        let out = match n % 2 {
            0 => scene.carrier.invite(ANN, &mask)?,
            _ => {
                let text = ("text/plain", "hello");
                scene.carrier.request("MESSAGE", (ANN, &mask), text)?
            }
        };
        sent.push(out);
    }
    for out in &sent {
        scene.carrier.until("a final answer", |message| {
            Carrier::header(message, "Call-ID") == out
                && message.starts_with("SIP/2.0 ")
                && !message.starts_with("SIP/2.0 1")
        })?;
    }
    for out in &sent {
        let is_answered = scene.carrier.of(out).iter().any(|message| {
            message.starts_with("SIP/2.0 200")
                && Carrier::header(message, "CSeq").ends_with("INVITE")
        });
        if is_answered {
            scene.carrier.bye(out)?;
        }
    }
    // The other participant gets a call or text for each that counts; the carrier reads on meanwhile.
    let start = [format!("INVITE sip:{BEN}@"), format!("MESSAGE sip:{BEN}@")];
    let deadline = Instant::now() + SOON;
    let path = format!("{}/Interactions", scene.session);
    loop {
        scene.carrier.step()?;
        let list = read(&rest, &path)?;
        let all = list["interactions"].as_array().cloned().unwrap_or_default();
        if all.len() == 3 && all.iter().all(|one| one["status"] == "completed") {
            break;
        }
        ensure!(Instant::now() < deadline, "{list}");
    }
    let reached: std::collections::BTreeSet<&str> = scene
        .carrier
        .seen
        .iter()
        .filter(|message| start.iter().any(|start| message.starts_with(start)))
        .map(|message| Carrier::header(message, "Call-ID"))
        .collect();
    ensure!(reached.len() == 3, "{reached:?}");
    let session = read(&rest, &scene.session)?;
    ensure!(session["status"] == "in-progress", "{session}");
    Ok(())
}

#[test]
fn neither_party_learns_the_number_of_the_other() -> anyhow::Result<()> {
    ensure!(
        hides(&["Contact: <sip:49170000000101@127.0.0.1>"], ANN).is_err(),
        "a leak would be seen"
    );
    let mut scene = Scene::new()?;
    let (anns, bens) = (scene.mask(ANN)?, scene.mask(BEN)?);
    let shown = talk(&mut scene, (ANN, BEN), &anns)?;
    ensure!(shown == bens, "ben saw {shown}, not {bens}");
    // Ben calls back the number that he saw.
    let shown = talk(&mut scene, (BEN, ANN), &shown)?;
    ensure!(shown == anns, "ann saw {shown}, not {anns}");
    let shown = say(&mut scene, (ANN, BEN), &anns)?;
    ensure!(shown == bens, "ben saw {shown}, not {bens}");
    let shown = say(&mut scene, (BEN, ANN), &shown)?;
    ensure!(shown == anns, "ann saw {shown}, not {anns}");

    let all = scene.interactions(4)?;
    ensure!(
        all.iter().all(|one| one["status"] == "completed"),
        "{all:#?}"
    );
    let told = scene.app.wait_for("/told", 4, SOON)?;
    ensure!(told.len() == 4, "{told:#?}");
    for asked in &told {
        ensure!(
            asked.param("interactionStatus") == Some("completed"),
            "{asked:?}"
        );
        let shown = format!("{asked:?}");
        for number in [ANN, BEN] {
            ensure!(!shown.contains(number.trim_start_matches('+')), "{shown}");
        }
    }
    ensure!(
        scene.app.requests("/own").is_empty(),
        "the number's own address was asked"
    );

    // Ben's phone is busy, and its provider says whose it is.
    scene.carrier.seen.clear();
    scene.carrier.is_busy = true;
    let out = scene.carrier.invite(ANN, &anns)?;
    scene.carrier.until("a refusal", |message| {
        Carrier::header(message, "Call-ID") == out && message.starts_with("SIP/2.0 486")
    })?;
    hides(&scene.carrier.of(&out), BEN)?;
    let all = scene.interactions(5)?;
    ensure!(all[0]["status"] == "failed", "{all:#?}");

    // A stranger is rejected, and learns nothing.
    scene.carrier.seen.clear();
    let out = scene.carrier.invite("+49170000000303", &anns)?;
    let refused = scene.carrier.until("a refusal", |message| {
        let is_refusal = message.starts_with("SIP/2.0 6") || message.starts_with("SIP/2.0 4");
        Carrier::header(message, "Call-ID") == out && is_refusal
    })?;
    hides(&[&refused], ANN)?;
    hides(&[&refused], BEN)?;
    Ok(())
}

/// What was going on when the server was killed ends once, and a session ends in time although no server ran.
#[test]
fn a_killed_server_leaves_no_interaction_open() -> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    let anns = scene.mask(ANN)?;
    scene.carrier.invite(ANN, &anns)?;
    scene.carrier.reached("INVITE", BEN)?;
    let rest = scene.server.rest();
    let path = scene.session.clone();
    let close = [("Ttl", "1")];
    let answer = rest.send("POST", &path, Some(&e2e::http::form(&close)))?;
    ensure!(answer.start.contains(" 200 "), "{}", answer.start);
    scene.server.kill()?;
    scene.server.start_again()?;
    let all = scene.interactions(1)?;
    ensure!(all[0]["date_ended"].is_string(), "{all:#?}");
    let told = scene.app.wait_for("/told", 1, SOON)?;
    ensure!(told.len() == 1, "{told:#?}");
    let rest = scene.server.rest();
    let over = wait::until("the end of the session", SOON, || {
        let session = read(&rest, &path).ok()?;
        (session["status"] == "closed").then_some(session)
    })?;
    ensure!(over["closed_reason"] == "ttl", "{over}");
    Ok(())
}

/// Ann calls from another phone, and enters her PIN: ben's phone rings, and shows his mask.
#[test]
fn a_pin_lets_a_participant_call_from_another_phone() -> anyhow::Result<()> {
    let mut scene = Scene::new()?;
    let (anns, bens) = (scene.mask(ANN)?, scene.mask(BEN)?);
    let service = scene.session.split("/Sessions").next().unwrap_or_default();
    let form = e2e::http::form(&[("UnknownCallers", "pin")]);
    let rest = scene.server.rest();
    let answer = rest.send("POST", service, Some(&form))?;
    ensure!(answer.start.contains(" 200 "), "{}", answer.start);
    let out = scene.carrier.invite("+49170000000303", &anns)?;
    let is_answer = |message: &str, of: u32, method: &str| {
        message.starts_with("SIP/2.0 200")
            && Carrier::header(message, "CSeq") == format!("{of} {method}")
    };
    scene.carrier.until("200 for the caller", |message| {
        is_answer(message, 1, "INVITE")
    })?;
    for (number, key) in (2..).zip("4711#".chars()) {
        let keys = format!("Signal={key}\r\nDuration=100\r\n");
        scene.carrier.within(&out, (number, "INFO"), &keys)?;
        scene.carrier.until("200 for a key", |message| {
            is_answer(message, number, "INFO")
        })?;
    }
    let (called, shown) = scene.carrier.reached("INVITE", BEN)?;
    ensure!(shown == bens, "ben saw {shown}, not {bens}");
    scene.carrier.within(&out, (7, "BYE"), "")?;
    scene
        .carrier
        .until("200 for BYE", |message| is_answer(message, 7, "BYE"))?;
    for number in [ANN, "+49170000000303"] {
        hides(&scene.carrier.of(&called), number)?;
    }
    hides(&scene.carrier.of(&out), BEN)?;
    scene.interactions(1)?;
    Ok(())
}
