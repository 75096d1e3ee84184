//! A minimal SIP user agent for load: it calls a number, and answers what the server dials.
//!
//! One UDP socket, which the server trusts as a trunk, so nothing is challenged. **Invariant: a
//! call that does not complete as planned is always counted, with its reason**.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use socket2::SockRef;

use super::rtp::{KEYS, LegStats, Rtp};

/// First retransmission interval (T1 of RFC 3261).
const T1: Duration = Duration::from_millis(500);
/// Maximum retransmissions of a request before the call fails.
const RETRIES: u32 = 5;

/// The outcome of the calls so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls placed.
    pub placed: usize,
    /// Calls of ours that were answered.
    pub answered: usize,
    /// Our calls that ended after an answer, whichever side ended them.
    pub ended: usize,
    /// Calls of ours that failed, by reason.
    pub failed: BTreeMap<String, usize>,
    /// Media of every closed leg.
    pub legs: Vec<LegStats>,
    /// Time from INVITE to 200, in ms.
    pub setup_ms: Vec<u64>,
    /// The same, unrounded.
    pub setup: Vec<Duration>,
}

impl Tally {
    /// Number of failed calls.
    pub fn failures(&self) -> usize {
        self.failed.values().sum()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Our INVITE waits for its final response.
    Calling,
    /// Answered; for an incoming call, until BYE.
    Talking,
    /// Our BYE waits for its response.
    Leaving,
}

struct Call {
    state: State,
    ours: bool,
    leg: u64,
    /// Request-URI, From and To of requests in this dialog.
    target: String,
    from: String,
    to: String,
    placed: Instant,
    /// When it was answered; before that, when it was placed.
    answered: Instant,
    /// The message to retransmit until a response arrives: the message, when, how often so far.
    pending: Option<(String, Instant, u32)>,
    /// CSeq number of the INVITE, if the server sent it.
    remote_seq: u32,
}

impl Call {
    /// Whether a request of the server belongs to this dialog: its tags match, and its CSeq number
    /// is new (RFC 3261 §12.2.2).
    fn takes(&self, text: &str) -> bool {
        let tag_of = |name: &str| header(text, name).and_then(tag).map(str::to_owned);
        let seq = header(text, "CSeq").and_then(|value| value.split(' ').next()?.parse().ok());
        tag_of("From").as_deref() == tag(&self.to)
            && tag_of("To").as_deref() == tag(&self.from)
            && seq.is_some_and(|seq: u32| seq > self.remote_seq)
    }
}

fn tag(address: &str) -> Option<&str> {
    let (_, tag) = address.split_once(";tag=")?;
    tag.split(';').next()
}

/// The user agent.
pub struct Ua {
    socket: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
    rtp: Rtp,
    calls: BTreeMap<String, Call>,
    next: u64,
    tally: Tally,
    /// Called user part that rings without answering.
    silent: Option<String>,
}

impl Ua {
    /// Binds the socket; [`Ua::connect`] sets the address of the server.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bind() -> anyhow::Result<Self> {
        Self::bind_to("127.0.0.1")
    }

    /// The same on another loopback address, `127.…`. Its media stays on `127.0.0.1`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bind_to(address: &str) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((address, 0)).context("a SIP socket")?;
        SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        let local = socket.local_addr()?;
        let rtp = Rtp::start()?;
        Ok(Self {
            socket,
            server: local,
            local,
            rtp,
            calls: BTreeMap::new(),
            next: 1,
            tally: Tally::default(),
            silent: None,
        })
    }

    /// Our address, for the server's trunk.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sets where the server receives SIP over UDP.
    pub fn connect(&mut self, server: SocketAddr) {
        self.server = server;
    }

    /// Makes calls to this user part ring without an answer.
    pub fn only_ring(&mut self, user: &str) {
        self.silent = Some(user.to_owned());
    }

    /// Answered calls in both directions that have not ended.
    pub fn open_dialogs(&self) -> usize {
        self.dialogs_on_record(Instant::now())
    }

    /// Those of them answered before `since`, and all that we placed: these are recorded before
    /// they are answered.
    pub fn dialogs_on_record(&self, since: Instant) -> usize {
        let kept =
            |call: &&Call| call.state == State::Talking && (call.ours || call.answered <= since);
        self.calls.values().filter(kept).count()
    }

    /// Forgets the unanswered calls: the server they were sent to is gone.
    pub fn forget_unanswered(&mut self) {
        self.calls.retain(|_, call| call.state == State::Talking);
    }

    /// The outcome of the calls so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The media of all legs.
    pub fn rtp(&self) -> &Rtp {
        &self.rtp
    }

    /// Calls in both directions that have not ended.
    pub fn live(&self) -> usize {
        self.calls.len()
    }

    /// Our calls that are answered and have not ended.
    pub fn talking(&self) -> usize {
        self.calls
            .values()
            .filter(|call| call.ours && call.state == State::Talking)
            .count()
    }

    /// Calls `number`.
    ///
    /// # Errors
    /// If no port is free for its media.
    pub fn call(&mut self, number: &str) -> anyhow::Result<()> {
        let leg = self.next;
        self.next += 1;
        let port = self.rtp.open(leg)?;
        let id = format!("load-{leg}-{}", self.local.port());
        let now = Instant::now();
        let target = format!("sip:{number}@{}", self.server);
        let (from, to) = (
            format!("<sip:+1999@{}>;tag=o{leg}", self.local),
            format!("<{target}>"),
        );
        let mut call = Call {
            state: State::Calling,
            ours: true,
            leg,
            target,
            from,
            to,
            placed: now,
            answered: now,
            pending: None,
            remote_seq: 0,
        };
        let invite = self.request(&call, &id, "INVITE", 1, Some(&sdp(port)));
        self.send(&invite);
        call.pending = Some((invite, now + T1, 0));
        self.calls.insert(id, call);
        self.tally.placed += 1;
        Ok(())
    }

    /// Places `calls` calls to `number`, `rate` per second, and waits until each is answered.
    ///
    /// # Errors
    /// If one fails.
    pub fn build_up(&mut self, number: &str, calls: usize, rate: f64) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.tally.answered + self.tally.failures() < calls {
            let due = ((start.elapsed().as_secs_f64() * rate) as usize + 1).min(calls);
            while self.tally.placed < due {
                self.call(number)?;
            }
            self.pump(Duration::from_millis(2))?;
        }
        ensure!(self.tally.failed.is_empty(), "{:?}", self.tally.failed);
        Ok(())
    }

    /// Ends every answered call of ours whose INVITE is older than `age`.
    pub fn hang_up_older(&mut self, age: Duration) {
        let now = Instant::now();
        self.hang_up(|call| now - call.placed >= age);
    }

    /// Ends the answered calls of ours among these legs at once.
    pub fn hang_up_legs(&mut self, legs: &RangeInclusive<u64>) {
        self.hang_up(|call| legs.contains(&call.leg));
    }

    fn hang_up(&mut self, due: impl Fn(&Call) -> bool) {
        let now = Instant::now();
        let ids: Vec<String> = self
            .calls
            .iter()
            .filter(|(_, call)| call.ours && call.state == State::Talking && due(call))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let Some(call) = self.calls.get(&id) else {
                continue;
            };
            let bye = self.request(call, &id, "BYE", 2, None);
            self.send(&bye);
            if let Some(call) = self.calls.get_mut(&id) {
                call.state = State::Leaving;
                call.pending = Some((bye, now + T1, 0));
            }
        }
    }

    /// Handles incoming messages for about `time`.
    ///
    /// # Errors
    /// If the media thread is gone.
    pub fn pump(&mut self, time: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + time;
        let mut buffer = [0; 8192];
        loop {
            if let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.receive(&text)?;
            }
            self.send_again()?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, text: &str) -> anyhow::Result<()> {
        let id = header(text, "Call-ID").unwrap_or_default().to_owned();
        let mut words = text.split([' ', '\r']);
        match words.next().unwrap_or_default() {
            "SIP/2.0" => {
                let status = words.next().and_then(|code| code.parse().ok()).unwrap_or(0);
                self.response(text, &id, status)
            }
            "INVITE" => self.invited(text, &id),
            "ACK" => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.pending = None;
                }
                Ok(())
            }
            "BYE" if self.calls.get(&id).is_some_and(|call| !call.takes(text)) => {
                self.send(&reply(text, "481 Call Does Not Exist", "", None));
                Ok(())
            }
            "BYE" => {
                self.send(&reply(text, "200 OK", "", None));
                match self.calls.remove(&id) {
                    Some(call) => self.over(&call, None),
                    None => Ok(()), // Retransmitted: our 200 crossed it.
                }
            }
            _ => {
                self.send(&reply(text, "200 OK", "", None));
                Ok(())
            }
        }
    }

    fn response(&mut self, text: &str, id: &str, status: u16) -> anyhow::Result<()> {
        let invite = header(text, "CSeq").is_some_and(|value| value.ends_with("INVITE"));
        let Some(call) = self.calls.get_mut(id) else {
            return Ok(());
        };
        match (call.state, status) {
            (_, 0..=199) => {
                call.pending = None;
                Ok(())
            }
            (State::Calling, 200..=299) if invite => self.answered(text, id),
            (State::Talking, 200..=299) if invite => {
                self.acknowledge(id); // Our ACK was lost.
                Ok(())
            }
            (State::Calling, _) if invite => {
                let ack = text_ack(
                    call,
                    id,
                    self.local,
                    &format!("i{}", call.leg),
                    header(text, "To"),
                );
                self.send(&ack);
                match self.calls.remove(id) {
                    Some(call) => self.over(&call, Some(format!("{status}"))),
                    None => Ok(()),
                }
            }
            (State::Leaving, _) if !invite => match self.calls.remove(id) {
                Some(call) => self.over(&call, None),
                None => Ok(()),
            },
            (State::Calling | State::Talking | State::Leaving, _) => Ok(()),
        }
    }

    fn answered(&mut self, text: &str, id: &str) -> anyhow::Result<()> {
        let remote = remote(text);
        let Some(call) = self.calls.get_mut(id) else {
            return Ok(());
        };
        call.state = State::Talking;
        call.answered = Instant::now();
        call.pending = None;
        call.to = header(text, "To").unwrap_or_default().to_owned();
        if let Some(contact) = header(text, "Contact") {
            call.target = contact
                .split(['<', '>'])
                .nth(1)
                .unwrap_or(contact)
                .to_owned();
        }
        let leg = call.leg;
        self.tally.answered += 1;
        let setup = call.placed.elapsed();
        self.tally.setup_ms.push(setup.as_millis() as u64);
        self.tally.setup.push(setup);
        self.acknowledge(id);
        match remote {
            Some(remote) => self.rtp.send(leg, remote),
            None => Ok(()),
        }
    }

    fn acknowledge(&self, id: &str) {
        if let Some(call) = self.calls.get(id) {
            self.send(&self.request(call, id, "ACK", 1, None));
        }
    }

    fn invited(&mut self, text: &str, id: &str) -> anyhow::Result<()> {
        if self.calls.contains_key(id) {
            return Ok(()); // Retransmitted; so is our 200, until its ACK arrives.
        }
        if let Some(silent) = &self.silent
            && text.starts_with(&format!("INVITE sip:{silent}@"))
        {
            self.send(&reply(text, "180 Ringing", ";tag=r", None));
            return Ok(());
        }
        let leg = self.next;
        self.next += 1;
        let port = self.rtp.open(leg)?;
        if let Some(remote) = remote(text) {
            self.rtp.send(leg, remote)?;
        }
        let tag = format!(";tag=t{leg}");
        let contact = format!("Contact: <sip:load@{}>\r\n", self.local);
        let answer = reply(text, "200 OK", &tag, Some((&contact, &sdp(port))));
        self.send(&answer);
        let now = Instant::now();
        let call = Call {
            state: State::Talking,
            ours: false,
            leg,
            target: String::new(),
            from: header(text, "To").unwrap_or_default().to_owned() + &tag,
            to: header(text, "From").unwrap_or_default().to_owned(),
            placed: now,
            answered: now,
            pending: Some((answer, now + T1, 0)),
            remote_seq: header(text, "CSeq")
                .and_then(|value| value.split(' ').next()?.parse().ok())
                .unwrap_or(0),
        };
        self.calls.insert(id.to_owned(), call);
        Ok(())
    }

    /// Counts a call that was removed from the table.
    fn over(&mut self, call: &Call, reason: Option<String>) -> anyhow::Result<()> {
        let stats = self.rtp.close(call.leg)?;
        match reason {
            Some(reason) => *self.tally.failed.entry(reason).or_default() += 1,
            None => {
                self.tally.legs.push(stats);
                self.tally.ended += usize::from(call.ours);
            }
        }
        Ok(())
    }

    fn send_again(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let mut lost = Vec::new();
        for (id, call) in &mut self.calls {
            if let Some((message, at, tries)) = &mut call.pending
                && *at <= now
            {
                if *tries >= RETRIES {
                    lost.push(id.clone());
                    continue;
                }
                let _ = self.socket.send_to(message.as_bytes(), self.server);
                *tries += 1;
                *at = now + T1 * 2_u32.pow(*tries);
            }
        }
        for id in lost {
            if let Some(call) = self.calls.remove(&id) {
                self.over(&call, Some(format!("no answer while {:?}", call.state)))?;
            }
        }
        Ok(())
    }

    /// UDP may lose it; important messages are retransmitted.
    fn send(&self, message: &str) {
        let _ = self.socket.send_to(message.as_bytes(), self.server);
    }

    fn request(
        &self,
        call: &Call,
        id: &str,
        method: &str,
        cseq: u32,
        body: Option<&str>,
    ) -> String {
        let branch = format!(
            "{}{}",
            method.chars().next().unwrap_or('X').to_ascii_lowercase(),
            call.leg
        );
        text_request(call, id, self.local, method, cseq, &branch, body)
    }
}

fn text_request(
    call: &Call,
    id: &str,
    local: SocketAddr,
    method: &str,
    cseq: u32,
    branch: &str,
    body: Option<&str>,
) -> String {
    let kind = if body.is_some() {
        "Content-Type: application/sdp\r\n"
    } else {
        ""
    };
    let body = body.unwrap_or_default();
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:load@{local}>\r\n\
         {kind}Content-Length: {length}\r\n\r\n{body}",
        target = call.target,
        from = call.from,
        to = call.to,
        length = body.len(),
    )
}

/// The ACK of a refusal: the INVITE's own branch, the To of the response (RFC 3261 §17.1.1.3).
fn text_ack(call: &Call, id: &str, local: SocketAddr, branch: &str, to: Option<&str>) -> String {
    let text = text_request(call, id, local, "ACK", 1, branch, None);
    match to {
        Some(to) => text.replace(&format!("To: {}\r\n", call.to), &format!("To: {to}\r\n")),
        None => text,
    }
}

/// A response: the headers that must be copied, a To tag, and possibly further headers and a body.
fn reply(request: &str, status: &str, tag: &str, answer: Option<(&str, &str)>) -> String {
    let (headers, body) = answer.unwrap_or_default();
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty())
    {
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match name.as_str() {
            "via" | "v" | "from" | "f" | "call-id" | "i" | "cseq" | "record-route" => {
                text += &format!("{line}\r\n")
            }
            "to" | "t" => text += &format!("{line}{tag}\r\n"),
            _ => {}
        }
    }
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    text += &format!(
        "{headers}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text
}

fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split("\r\n")
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known
                .trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
}

fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 {KEYS}\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:{KEYS} telephone-event/8000\r\na=fmtp:{KEYS} 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Where the remote party expects RTP: the audio port at the first connection address.
fn remote(text: &str) -> Option<SocketAddr> {
    let line = |start: &str| text.split("\r\n").find_map(|line| line.strip_prefix(start));
    let address = line("c=IN IP4 ")?.trim().parse().ok()?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_call_each_other() {
        let (mut caller, mut callee) = (Ua::bind().unwrap(), Ua::bind().unwrap());
        caller.connect(callee.local());
        callee.connect(caller.local());
        caller.call("1000").unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while caller.tally().ended == 0 && Instant::now() < deadline {
            caller.pump(Duration::from_millis(5)).unwrap();
            callee.pump(Duration::from_millis(5)).unwrap();
            caller.hang_up_older(Duration::from_millis(300));
        }
        assert_eq!(
            (caller.tally().answered, caller.tally().ended),
            (1, 1),
            "{:?}",
            caller.tally()
        );
        assert_eq!((caller.live(), callee.live()), (0, 0));
        let legs = [caller.tally().legs[0], callee.tally().legs[0]];
        assert!(legs.iter().all(|leg| leg.received >= 5), "{legs:?}");
    }

    #[test]
    fn a_refusal_is_counted() {
        let (mut caller, deaf) = (Ua::bind().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        caller.connect(deaf.local_addr().unwrap());
        caller.call("1000").unwrap();
        let mut buffer = [0; 2048];
        let (length, from) = deaf.recv_from(&mut buffer).unwrap();
        let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
        deaf.send_to(
            reply(&invite, "486 Busy Here", ";tag=b", None).as_bytes(),
            from,
        )
        .unwrap();
        caller.pump(Duration::from_millis(50)).unwrap();
        assert_eq!(
            caller.tally().failed,
            BTreeMap::from([("486".to_owned(), 1)])
        );
        let (length, _) = deaf.recv_from(&mut buffer).unwrap();
        let ack = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(
            ack.starts_with("ACK ") && ack.contains(";tag=b\r\n"),
            "{ack}"
        );
        assert_eq!(header(&ack, "Via"), header(&invite, "Via"));
    }
}
