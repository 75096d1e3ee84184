//! `<Siprec>`: a recording server that challenges, hears both tracks, and puts one on hold.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::server::{ADMIN_SID, Options};
use e2e::tone::Heard;
use e2e::{Reply, Request, ports, wait};

use super::{SOON, Scene};

/// How long a socket is read before the others get their turn.
const GLANCE: Duration = Duration::from_millis(2);

/// Packets of the first line after which it is put on hold.
const HELD_AFTER: usize = 75;

/// A recording server on a UDP port, for one session.
struct Recorder {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    stopping: Arc<AtomicBool>,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What it has received.
#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    /// RTP packets of each line.
    packets: [Vec<Vec<u8>>; 2],
    reports: [usize; 2],
    /// How many packets of the first line had come when it was put on hold.
    held_at: Option<usize>,
}

/// What runs in its thread.
struct Server {
    sip: UdpSocket,
    lines: [[UdpSocket; 2]; 2],
    seen: Arc<Mutex<Seen>>,
    /// Where the client is, and its INVITE.
    peer: Option<(SocketAddr, String)>,
    has_held: bool,
}

impl Recorder {
    fn start() -> anyhow::Result<Self> {
        let sip = UdpSocket::bind(("127.0.0.1", 0))?;
        let port = sip.local_addr()?.port();
        sip.set_read_timeout(Some(GLANCE))?;
        let first = ports::block(4)?;
        let line = |at: u16| -> anyhow::Result<[UdpSocket; 2]> {
            let open = |port: u16| -> anyhow::Result<UdpSocket> {
                let socket = UdpSocket::bind(("127.0.0.1", port))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            };
            Ok([open(first + 2 * at)?, open(first + 2 * at + 1)?])
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut server = Server {
            sip,
            lines: [line(0)?, line(1)?],
            seen: Arc::clone(&seen),
            peer: None,
            has_held: false,
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let running = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                server.turn()?;
            }
            Ok(())
        });
        Ok(Self {
            port,
            seen,
            stopping,
            running: Some(running),
        })
    }

    fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The requests with this method.
    fn requests(&self, method: &str) -> Vec<String> {
        let start = format!("{method} ");
        self.seen(|seen| {
            let all = seen.requests.iter();
            all.filter(|it| it.starts_with(&start)).cloned().collect()
        })
    }

    /// The sound of a line, without the last 200 ms.
    fn heard(&self, line: usize) -> Heard {
        let samples = self.seen(|seen| {
            let packets = seen.packets[line].iter();
            let octets = packets.flat_map(|packet| packet[12..].to_vec());
            octets.map(audio::g711::ulaw_decode).collect::<Vec<i16>>()
        });
        let used = samples.len().saturating_sub(1_600);
        Heard::new(samples[..used].to_vec())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.stopping.store(true, Ordering::Relaxed);
        let running = self.running.take().context("it runs")?;
        running.join().map_err(|_| anyhow::anyhow!("it panicked"))?
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// The value of a header field.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| *found == name).map(|(_, it)| it)
}

impl Server {
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 20_000];
        if let Ok((len, from)) = self.sip.recv_from(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
            self.take(&message, from)?;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (line, [rtp, rtcp]) in self.lines.iter().enumerate() {
            while let Ok(len) = rtp.recv(&mut buffer) {
                seen.packets[line].push(buffer[..len].to_vec());
            }
            while rtcp.recv(&mut buffer).is_ok() {
                seen.reports[line] += 1;
            }
        }
        let is_heard = seen.packets[0].len() >= HELD_AFTER;
        drop(seen);
        if is_heard && !std::mem::replace(&mut self.has_held, true) {
            self.hold()?;
        }
        Ok(())
    }

    fn take(&mut self, message: &str, from: SocketAddr) -> anyhow::Result<()> {
        if message.starts_with("SIP/2.0 ") {
            return self.accepted(message, from);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.requests.push(message.to_owned());
        drop(seen);
        let answer = match message.split(' ').next() {
            Some("INVITE") if field(message, "Authorization").is_none() => {
                let challenge = "WWW-Authenticate: Digest realm=\"srs\", nonce=\"n1\"\r\n";
                response(message, "401 Unauthorized", challenge, "")?
            }
            Some("INVITE") => {
                self.peer = Some((from, message.to_owned()));
                let contact = format!("Contact: <sip:srs@{}>\r\n", self.sip.local_addr()?);
                let lines = message.matches("m=audio").count();
                let sdp = self.sdp(&["recvonly"; 2][..lines.min(2)])?;
                response(message, "200 OK", &contact, &sdp)?
            }
            Some("ACK") => return Ok(()),
            _ => response(message, "200 OK", "", "")?,
        };
        self.sip.send_to(answer.as_bytes(), from)?;
        Ok(())
    }

    /// Puts the first line on hold.
    fn hold(&mut self) -> anyhow::Result<()> {
        let (peer, invite) = self.peer.clone().context("there is a session")?;
        let sdp = self.sdp(&["inactive", "recvonly"])?;
        let wanted = |name: &str| field(&invite, name).with_context(|| name.to_owned());
        let contact = wanted("Contact")?;
        let uri = contact.split(['<', '>']).nth(1).context("an address")?;
        let local = self.sip.local_addr()?;
        let request = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKhold\r\nMax-Forwards: 70\r\n\
             From: {};tag=srs\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\nContact: <sip:srs@{local}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            wanted("To")?,
            wanted("From")?,
            wanted("Call-ID")?,
            sdp.len()
        );
        self.sip.send_to(request.as_bytes(), peer)?;
        Ok(())
    }

    /// A response of the client: that to the hold is acknowledged.
    fn accepted(&mut self, message: &str, from: SocketAddr) -> anyhow::Result<()> {
        if !message.starts_with("SIP/2.0 200") {
            return Ok(());
        }
        let wanted = |name: &str| field(message, name).with_context(|| name.to_owned());
        let contact = wanted("Contact")?;
        let uri = contact.split(['<', '>']).nth(1).context("an address")?;
        let local = self.sip.local_addr()?;
        let ack = format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKack\r\nMax-Forwards: 70\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
            wanted("From")?,
            wanted("To")?,
            wanted("Call-ID")?
        );
        self.sip.send_to(ack.as_bytes(), from)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.requests.push(message.to_owned());
        let held = seen.packets[0].len();
        seen.held_at.get_or_insert(held);
        Ok(())
    }

    fn sdp(&self, directions: &[&str]) -> anyhow::Result<String> {
        let mut sdp = "v=0\r\no=srs 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            .to_owned();
        for ([rtp, _], direction) in self.lines.iter().zip(directions) {
            let port = rtp.local_addr()?.port();
            sdp += &format!("m=audio {port} RTP/AVP 0\r\na={direction}\r\n");
        }
        Ok(sdp)
    }
}

fn response(request: &str, status: &str, more: &str, sdp: &str) -> anyhow::Result<String> {
    let wanted = |name: &str| field(request, name).with_context(|| name.to_owned());
    let to = wanted("To")?;
    let tag = if to.contains(";tag=") { "" } else { ";tag=srs" };
    let kind = if sdp.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    Ok(format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}{kind}\
         Content-Length: {}\r\n\r\n{sdp}",
        wanted("Via")?,
        wanted("From")?,
        wanted("Call-ID")?,
        wanted("CSeq")?,
        sdp.len()
    ))
}

/// The callbacks about this event.
fn events(scene: &Scene, event: &str) -> anyhow::Result<Request> {
    wait::until(event, SOON, || {
        let mut requests = scene.app.requests("/siprec").into_iter();
        requests.rfind(|request| request.param("SiprecEvent") == Some(event))
    })
}

fn config(recorder: &Recorder, dead: u16) -> String {
    let port = recorder.port;
    format!(
        "[[siprec]]\nname = 'main'\nuri = 'sip:srs@127.0.0.1:{port}'\nusername = 'u'\npassword = 'p'\n\
         [[siprec]]\nname = 'dead'\nuri = 'sip:127.0.0.1:{dead};transport=tcp'\n"
    )
}

#[test]
fn a_recording_server_hears_both_parties_until_one_hangs_up() -> anyhow::Result<()> {
    let recorder = Recorder::start()?;
    let options = Options::default().config(&config(&recorder, ports::free()?));
    let scene = Scene::on(options.start()?, |kim| kim)?;
    scene.app.on("/siprec", Reply::status(200));
    scene.app.on(
        "/v",
        Reply::document(
            "<Start><Siprec name=\"all\" connectorName=\"main\" statusCallback=\"/siprec\">\
             <Parameter name=\"case\" value=\"4&amp;7\"/></Siprec></Start><Dial><Client>ann</Client></Dial>",
        ),
    );
    let ann = scene.ann(|ann| ann.answers().alaw())?;
    scene.kim.dial("1000")?;
    ann.wait_for("CALL_ESTABLISHED")?;
    let held = wait::until("the hold", SOON, || recorder.seen(|seen| seen.held_at))?;
    super::talk(1.5);
    scene.kim.hangup()?;
    wait::until("BYE", SOON, || recorder.requests("BYE").pop())?;

    // The first INVITE was challenged.
    let invites = recorder.requests("INVITE");
    ensure!(invites.len() == 2, "{invites:#?}");
    let invite = &invites[1];
    let has = |text: &str| ensure_has(invite, text);
    has("Require: siprec\r\n")?;
    has(";+sip.src\r\n")?;
    has("Content-Type: multipart/mixed;boundary=")?;
    has("Content-Type: application/rs-metadata+xml\r\n")?;
    has("a=sendonly\r\na=label:1\r\n")?;
    has("a=sendonly\r\na=label:2\r\n")?;
    has("<label>2</label>")?;
    has("<nameID aor=\"sip:kim@e2e.test\">")?;
    has("<Name>case</Name>\r\n<Value>4&amp;7</Value>")?;
    has(&format!("<Value>{ADMIN_SID}</Value>"))?;
    let calls = scene.server.rest().finished_calls(2, SOON)?;
    let parent = calls.iter().find(|call| call["direction"] == "inbound");
    let sid = parent.context("no inbound call")?["sid"].as_str();
    has(&format!("<Value>{}</Value>", sid.unwrap_or_default()))?;

    // What kim says is in the first track until that is on hold, what ann says in the second one to the end.
    let kims = recorder.heard(0);
    ensure!(kims.share(scene.kims) > 0.9, "kim is not heard");
    ensure!(kims.share(scene.anns) < 0.05, "ann is in kim's track");
    let anns = recorder.heard(1).span_of(scene.anns);
    ensure!(anns.seconds() > 1.8, "{} s of ann", anns.seconds());
    ensure!(anns.share(scene.anns) > 0.95 && anns.share(scene.kims) < 0.05);
    let (first, second, reports) =
        recorder.seen(|seen| (seen.packets[0].len(), seen.packets[1].len(), seen.reports));
    ensure!(first <= held + 3, "{first} packets, {held} before the hold");
    ensure!(
        second > first + 40,
        "{second} packets, {first} of the held line"
    );
    ensure!(reports.iter().all(|count| *count > 0), "{reports:?}");
    let held = recorder.seen(|seen| {
        let mut all = seen.requests.iter();
        all.find(|it| it.starts_with("SIP/2.0 200")).cloned()
    });
    ensure_has(
        &held.context("no answer to the hold")?,
        "a=inactive\r\na=label:1\r\n",
    )?;

    let started = events(&scene, "siprec-started")?;
    let stopped = events(&scene, "siprec-stopped")?;
    ensure!(stopped.param("SiprecName") == Some("all"));
    ensure!(started.param("SiprecSid") == stopped.param("SiprecSid"));
    ensure!(
        started
            .param("SiprecSid")
            .is_some_and(|sid| sid.starts_with("SR"))
    );
    recorder.stop()
}

#[test]
fn a_dead_recording_server_does_not_disturb_the_call_and_a_session_can_be_stopped()
-> anyhow::Result<()> {
    let recorder = Recorder::start()?;
    let options = Options::default().config(&config(&recorder, ports::free()?));
    let scene = Scene::on(options.start()?, |kim| kim)?;
    scene.app.on("/siprec", Reply::status(200));
    scene.app.on("/music.wav", Reply::wav(scene.music.wav(1)));
    scene.app.on(
        "/v",
        Reply::document(
            "<Start><Siprec connectorName=\"dead\" statusCallback=\"/siprec\"/>\
             <Siprec connectorName=\"none\"/>\
             <Siprec name=\"a\" connectorName=\"main\" track=\"outbound_track\"/></Start>\
             <Play>/music.wav</Play><Stop><Siprec name=\"a\"/></Stop><Play>/music.wav</Play>",
        ),
    );
    scene.kim.dial("1000")?;
    let failed = events(&scene, "siprec-error")?;
    ensure!(
        failed.param("SiprecErrorCode") == Some("31996"),
        "{failed:?}"
    );
    scene.kim.wait_for("CALL_CLOSED")?;
    wait::until("BYE", SOON, || recorder.requests("BYE").pop())?;
    let heard = scene.kim.heard()?;
    let length = heard.share(scene.music) * heard.seconds();
    ensure!((1.7..2.2).contains(&length), "{length} s of music");
    // One line, with what kim heard until the session was stopped.
    let invites = recorder.requests("INVITE");
    let invite = invites.last().context("no INVITE")?;
    ensure!(invite.matches("m=audio").count() == 1, "{invite}");
    let notifications = scene.server.rest().all("Notifications", "notifications")?;
    let codes: Vec<i64> = notifications
        .iter()
        .filter_map(|it| it["error_code"].as_i64())
        .collect();
    for code in [31_995, 31_996] {
        ensure!(codes.contains(&code), "{codes:?}");
    }
    Ok(())
}

fn ensure_has(text: &str, part: &str) -> anyhow::Result<()> {
    ensure!(text.contains(part), "no `{part}` in {text}");
    Ok(())
}
