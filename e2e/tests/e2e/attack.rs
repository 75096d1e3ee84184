//! What strangers can do to a server, with honest calls beside it. Every load is bounded, in count and
//! time, and stays on this machine.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::load::ua::Ua;
use e2e::server::Options;
use e2e::{App, Reply, Server, ports, setting};

/// How long an honest call lasts.
const TALK: Duration = Duration::from_millis(300);
/// Honest calls of each kind a second.
const PACE: Duration = Duration::from_millis(200);

/// One who calls honestly, from an address of its own.
struct Honest {
    ua: Ua,
    number: &'static str,
    next: Instant,
}

impl Honest {
    fn new(address: &str, number: &'static str) -> anyhow::Result<Self> {
        Ok(Self {
            ua: Ua::bind_to(address)?,
            number,
            next: Instant::now(),
        })
    }

    fn step(&mut self) -> anyhow::Result<()> {
        if self.next <= Instant::now() {
            self.next += PACE;
            self.ua.call(self.number)?;
        }
        self.ua.hang_up_older(TALK);
        self.ua.pump(Duration::from_millis(1))
    }

    /// Ends its calls; all of them must have been set up.
    fn finish(mut self, who: &str) -> anyhow::Result<()> {
        let give_up = Instant::now() + Duration::from_secs(8);
        while self.ua.live() > 0 && Instant::now() < give_up {
            self.ua.hang_up_older(TALK);
            self.ua.pump(Duration::from_millis(2))?;
        }
        let tally = self.ua.tally();
        ensure!(
            tally.failures() == 0 && tally.ended == tally.placed && tally.placed > 5,
            "{who}: {} of {} calls, {:?}",
            tally.ended,
            tally.placed,
            tally.failed
        );
        Ok(())
    }
}

/// INVITEs without credentials whose answers are never confirmed.
struct Flood {
    socket: UdpSocket,
    server: SocketAddr,
    sent: u32,
}

impl Flood {
    fn new(server: &Server) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket")?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            server: server.sip_udp()?,
            sent: 0,
        })
    }

    fn invite(&mut self, called: &str) -> anyhow::Result<()> {
        let (n, from, server) = (self.sent, self.socket.local_addr()?, self.server);
        self.sent += 1;
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0\r\n",
            from.port()
        );
        let invite = format!(
            "INVITE sip:{called}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKf{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@elsewhere.example>;tag={n}\r\n\
             To: <sip:{called}@{server}>\r\nCall-ID: flood-{n}-{}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:x@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            from.port(),
            sdp.len()
        );
        // A full buffer loses it, as a network would.
        let _ = self.socket.send_to(invite.as_bytes(), server);
        Ok(())
    }

    fn drain(&self) {
        while self.socket.recv(&mut [0; 2048]).is_ok() {}
    }
}

/// 150 pairs of RTP ports, and several times as many INVITEs to a public number and to the name of a client
/// that is not registered. Calls of a trunk go on, and so do strangers' calls from another address.
#[test]
fn unconfirmed_calls_of_strangers_leave_ports_to_others() -> anyhow::Result<()> {
    let seconds = setting("PATCHCORD_ATTACK_SECONDS", 3);
    let first = ports::block(300)?;
    let config = format!(
        "[media]\nports = '{first}-{}'\n[sip]\nmax_unconfirmed_per_source = 50\n\
         [[trunk]]\nname = 'carrier'\nuri = 'sip:127.0.0.2:5999'\naddresses = ['127.0.0.2']\n",
        first + 299
    );
    let server = Options::default().config(&config).start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/s.wav</Play>"));
    app.on("/s.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    rest.client("bob", "good-Secret-1")?;
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    let mut trunk = Honest::new("127.0.0.2", "1000")?;
    let mut stranger = Honest::new("127.0.0.3", "1000")?;
    for honest in [&mut trunk, &mut stranger] {
        honest.ua.connect(server.sip_udp()?);
    }
    let mut flood = Flood::new(&server)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        let due = (start.elapsed().as_secs_f64() * 400.0) as u32;
        while flood.sent < due {
            flood.invite(if flood.sent % 2 == 0 { "1000" } else { "bob" })?;
        }
        flood.drain();
        trunk.step()?;
        stranger.step()?;
    }
    ensure!(flood.sent > 400 * (seconds - 1), "{} INVITEs", flood.sent);
    let refused = server.metric("patchcord_calls_refused_total")?;
    ensure!(refused > f64::from(flood.sent) / 2.0, "{refused} refused");
    trunk.finish("the trunk")?;
    stranger.finish("a stranger elsewhere")
}
