//! Attacks by strangers on a server that also handles honest calls. Every load is bounded, in count
//! and time, and stays on this machine.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::load::ua::Ua;
use e2e::phone::Setup;
use e2e::rest::Rest;
use e2e::server::{Options, program};
use e2e::{App, Pitch, Reply, Server, http, setting, wait};

/// How long an honest call lasts.
const TALK: Duration = Duration::from_millis(300);
/// Interval between honest calls of each kind.
const PACE: Duration = Duration::from_millis(200);

/// An honest caller with its own address.
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

    /// Ends its calls; all of them must have been set up. Returns the 95th percentile of the set-up
    /// time.
    fn finish(mut self, who: &str) -> anyhow::Result<Duration> {
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
        let mut times = tally.setup.clone();
        times.sort();
        Ok(times[times.len() * 95 / 100])
    }
}

/// INVITEs without credentials whose answers are never acknowledged.
struct Flood {
    socket: UdpSocket,
    server: SocketAddr,
    sent: u32,
}

impl Flood {
    fn new(server: &Server) -> anyhow::Result<Self> {
        Self::from(server, "127.0.0.1")
    }

    fn from(server: &Server, address: &str) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((address, 0)).context("a socket")?;
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

/// 150 pairs of RTP ports, and several times as many INVITEs to a public number and to the name of
/// an unregistered client. Calls of a trunk continue, and so do strangers' calls from another
/// address.
#[test]
fn unconfirmed_calls_of_strangers_leave_ports_to_others() -> anyhow::Result<()> {
    let seconds = setting("PATCHCORD_ATTACK_SECONDS", 3);
    let server = Options::default().config(&few_ports()).start()?;
    let app = App::start()?;
    app.on("/v", Reply::document("<Play>/s.wav</Play>"));
    app.on("/s.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    rest.client("bob", "good-Secret-1")?;
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    rest.client("ann", "good-Secret-1")?;
    let ann = Setup::new("ann").registers("good-Secret-1");
    let ann = ann.start(&server, Pitch::of(500.0))?;
    let mut trunk = Honest::new("127.0.0.2", "1000")?;
    let mut stranger = Honest::new("127.0.0.3", "1000")?;
    for honest in [&mut trunk, &mut stranger] {
        honest.ua.connect(server.sip_udp()?);
    }
    let mut flood = Flood::new(&server)?;
    let start = Instant::now();
    let mut is_dialled = false;
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        if !is_dialled && start.elapsed() > Duration::from_secs(1) {
            ann.dial("1000")?;
            is_dialled = true;
        }
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
    stranger.finish("a stranger elsewhere")?;
    // A client that has logged in, from the address of the flood.
    ann.wait_for("CALL_ESTABLISHED")?;
    Ok(())
}

/// Settings with 150 pairs of RTP ports and a trunk at 127.0.0.2.
fn few_ports() -> String {
    // Below the system's ephemeral ports; pairs in use are skipped.
    let first = 2 * rand::random_range(10_500..15_800);
    format!(
        "[media]\nports = '{first}-{}'\n[sip]\nmax_unconfirmed_per_source = 50\n\
         [[trunk]]\nname = 'carrier'\nuri = 'sip:127.0.0.2:5999'\naddresses = ['127.0.0.2']\n",
        first + 299
    )
}

/// Strangers at twenty addresses call a number whose document rings ten phones before it answers. Each address stays
/// below its limits, but with the phones their calls would take several times the 150 pairs of ports. Calls of a trunk
/// continue.
#[test]
fn strangers_who_ring_many_phones_leave_ports_to_others() -> anyhow::Result<()> {
    let seconds = setting("PATCHCORD_ATTACK_SECONDS", 3);
    let server = Options::default().config(&few_ports()).start()?;
    let app = App::start()?;
    // Phones that ring without an answer.
    let silent = UdpSocket::bind("127.0.0.5:0")?;
    let phone = |n| format!("<Sip>sip:phone{n}@{}</Sip>", silent.local_addr().unwrap());
    let phones: String = (0..10).map(phone).collect();
    app.on(
        "/ring",
        Reply::document(&format!("<Dial answerOnBridge='true'>{phones}</Dial>")),
    );
    app.on("/v", Reply::document("<Play>/s.wav</Play>"));
    app.on("/s.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
    rest.public_number("2000", &app.url("/ring"), &app.url("/cb"))?;
    let mut floods = Vec::new();
    for last in 21..41 {
        floods.push(Flood::from(&server, &format!("127.0.0.{last}"))?);
    }
    let mut trunk = Honest::new("127.0.0.2", "1000")?;
    trunk.ua.connect(server.sip_udp()?);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        let due = (start.elapsed().as_secs_f64() * 10.0) as u32;
        for flood in &mut floods {
            while flood.sent < due {
                flood.invite("2000")?;
            }
            flood.drain();
        }
        trunk.step()?;
    }
    let open = server.metric("patchcord_media_endpoints")?;
    ensure!(open > 50.0, "only {open} ports were taken");
    trunk.finish("the trunk")?;
    Ok(())
}

/// A stranger that confirms its calls keeps a limited number of them; other sources and trunks are
/// not affected, and `patchcord doctor phones` lists the refusals.
#[test]
fn confirmed_calls_of_a_stranger_are_limited() -> anyhow::Result<()> {
    let house =
        House::with(Options::default().variable("PATCHCORD_SIP__MAX_CALLS_PER_SOURCE", "3"))?;
    let mut greedy = Ua::bind_to("127.0.0.3")?;
    greedy.connect(house.server.sip_udp()?);
    greedy.build_up("1000", 3, 50.0)?;
    for _ in 0..2 {
        greedy.call("1000")?;
    }
    let give_up = Instant::now() + Duration::from_secs(5);
    while greedy.live() > 3 && Instant::now() < give_up {
        greedy.pump(Duration::from_millis(5))?;
    }
    let failed = &greedy.tally().failed;
    ensure!(
        failed.len() == 1 && failed.get("503") == Some(&2),
        "{failed:?}"
    );
    let mut other = Ua::bind_to("127.0.0.4")?;
    other.connect(house.server.sip_udp()?);
    other.build_up("1000", 1, 50.0)?;
    house.honest_calls(2)?;
    let listed = || {
        let listed = program()
            .args(["doctor", "phones", "--data"])
            .arg(house.server.data())
            .output()
            .ok()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        listed
            .contains("2× from 127.0.0.3  `1000`: too many calls")
            .then_some(())
    };
    wait::until("the refusals are listed", Duration::from_secs(15), listed)?;
    Ok(())
}

/// A server with a public number whose application is on this machine, and a trunk that calls from
/// another address.
struct House {
    server: Server,
    // Answers until it is dropped.
    _app: App,
    rest: Rest,
}

impl House {
    fn start() -> anyhow::Result<Self> {
        Self::with(Options::default())
    }

    fn with(options: Options) -> anyhow::Result<Self> {
        let config = "[[trunk]]\nname = 'carrier'\nuri = 'sip:127.0.0.2:5999'\n\
                      addresses = ['127.0.0.2']\n";
        let server = options
            .config(config)
            .variable("PATCHCORD_LOG__LEVEL", "warn")
            .start()?;
        let app = App::start()?;
        app.on("/v", Reply::document("<Play>/s.wav</Play>"));
        app.on("/s.wav", Reply::wav(audio::wav::encode(&[0; 80_000])));
        app.on("/cb", Reply::status(200));
        let rest = server.rest();
        rest.public_number("1000", &app.url("/v"), &app.url("/cb"))?;
        Ok(Self {
            server,
            _app: app,
            rest,
        })
    }

    /// Makes honest calls for some seconds: all are set up. Returns the 95th percentile of the
    /// set-up time.
    fn honest_calls(&self, seconds: u32) -> anyhow::Result<Duration> {
        let mut trunk = Honest::new("127.0.0.2", "1000")?;
        trunk.ua.connect(self.server.sip_udp()?);
        let end = Instant::now() + Duration::from_secs(seconds.into());
        while Instant::now() < end {
            trunk.step()?;
        }
        trunk.finish("the trunk")
    }

    /// Calls without and during the attack: all are set up, and the 95th percentile is not much
    /// slower.
    fn withstands(&self, name: &str, attack: impl Fn(&AtomicBool) + Sync) -> anyhow::Result<()> {
        let seconds = setting("PATCHCORD_ATTACK_SECONDS", 3);
        self.honest_calls(2)?; // Warms up.
        let quiet = self.honest_calls(seconds)?;
        let over = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            scope.spawn(|| attack(&over));
            let beside = self.honest_calls(seconds);
            over.store(true, Ordering::Relaxed);
            beside
        });
        let beside = beside.with_context(|| name.to_owned())?;
        // A floor, since a few milliseconds are within the noise of the machine.
        let most = quiet.max(Duration::from_millis(10)) * 3;
        ensure!(
            beside <= most,
            "{name}: p95 {beside:?}, without it {quiet:?}"
        );
        Ok(())
    }
}

#[test]
#[ignore = "compares times: just attack"]
fn honest_calls_continue_during_huge_forms() -> anyhow::Result<()> {
    let house = House::start()?;
    let form = "a=&".repeat(3_000_000);
    let path = house.rest.path("Clients");
    house.withstands("forms", |over| {
        while !over.load(Ordering::Relaxed) {
            // Refused with 413, or the connection is closed before it is read.
            let _ = house.rest.send("POST", &path, Some(&form));
        }
    })
}

#[test]
#[ignore = "compares times: just attack"]
fn honest_calls_continue_during_password_guessing() -> anyhow::Result<()> {
    let house = House::start()?;
    let base = house.server.ready()["http"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let guess = Rest::new(&base, "administrator@localhost", "wrong-Secret-1");
    let path = guess.path("Calls");
    house.withstands("guesses", |over| {
        while !over.load(Ordering::Relaxed) {
            let _ = guess.send("GET", &path, None);
        }
    })?;
    let answer = guess.send("GET", &path, None)?;
    ensure!(answer.status() == 429, "{}", answer.start);
    ensure!(house.rest.get("Calls").is_ok(), "a token is not refused");
    Ok(())
}

/// With few descriptors, connections to the API that send half a request leave enough of them for calls.
#[test]
fn idle_connections_leave_descriptors_to_calls() -> anyhow::Result<()> {
    let house = House::with(Options::default().descriptors(320))?;
    let base = house.server.ready()["http"].as_str().unwrap_or_default();
    let api = base.trim_start_matches("http://");
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut connection = TcpStream::connect(api)?;
        // The server may have closed it by then.
        let _ = connection.write_all(b"GET / HTTP/1.1\r\n");
        held.push(connection);
    }
    house.honest_calls(2)?;
    let log = house.server.log();
    ensure!(log.contains("HTTP connections are refused"), "{log}");
    drop(held);
    let answers = || house.rest.get("Calls").ok();
    wait::until("the API answers again", Duration::from_secs(8), answers)?;
    Ok(())
}

/// Many guesses at once are refused, are in the log with their source, and cost little memory.
#[test]
fn guesses_are_refused_and_reported_and_cost_little_memory() -> anyhow::Result<()> {
    const MEMORY: &str = "process_resident_memory_bytes";
    let house = House::start()?;
    let base = house.server.ready()["http"].as_str().unwrap_or_default();
    let before = house.server.metric(MEMORY)?;
    let guess = |n: usize| -> anyhow::Result<u16> {
        let login = format!("nobody-{n}@example.org");
        let guess = Rest::new(base, &login, "wrong-Secret-1");
        Ok(guess.send("GET", &guess.path("Calls"), None)?.status())
    };
    let statuses = std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..30).map(|n| scope.spawn(move || guess(n))).collect();
        let joined = guessers.into_iter().map(|guesser| guesser.join());
        joined.collect::<Result<Vec<_>, _>>()
    });
    let statuses = statuses.map_err(|_| anyhow::anyhow!("a guesser panicked"))?;
    let statuses = statuses.into_iter().collect::<anyhow::Result<Vec<u16>>>()?;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    // An address may err 20 times before it has to wait.
    ensure!(count(401) == 20 && count(429) == 10, "{statuses:?}");
    let log = house.server.log();
    let reported = |line: &&str| {
        line.contains("WARN") && line.contains("wrong passwords") && line.contains("127.0.0.1")
    };
    ensure!(log.lines().any(|line| reported(&line)), "{log}");
    // One computation takes 19 MiB.
    let grown = house.server.metric(MEMORY)? - before;
    ensure!(grown < 64e6, "{grown} bytes more");
    Ok(())
}

/// Calls that play different large files at once share the memory of the setting: the files are
/// fetched and decoded one after the other.
#[test]
fn large_sounds_share_a_limited_amount_of_memory() -> anyhow::Result<()> {
    const CALLS: i16 = 10;
    let config =
        "[fetch]\nmedia_memory_bytes = 33554432\nmedia_memory_per_account_bytes = 33554432\n";
    let mut server = Options::default().config(config).start()?;
    let app = App::start()?;
    app.on("/cb", Reply::status(200));
    let rest = server.rest();
    let mut caller = Ua::bind_to("127.0.0.3")?;
    caller.connect(server.sip_udp()?);
    for n in 0..CALLS {
        // 16 MB, but only 83 seconds: what plays takes little memory. No two files are the same.
        let mut samples = vec![0; 8_000_000];
        samples[0] = n;
        let (sound, document, number) = (format!("/{n}.wav"), format!("/v{n}"), format!("200{n}"));
        let file = audio::wav::encode_at(&samples, 96_000);
        app.on(&sound, Reply::wav(file));
        app.on(&document, Reply::document(&format!("<Play>{sound}</Play>")));
        rest.public_number(&number, &app.url(&document), &app.url("/cb"))?;
        caller.call(&number)?;
    }
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        caller.pump(Duration::from_millis(50))?;
    }
    for n in 0..CALLS {
        let asked = app.requests(&format!("/{n}.wav"));
        ensure!(asked.len() == 1, "{} requests for sound {n}", asked.len());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.split_whitespace().next());
    let peak_kib: u64 = peak.context("VmHWM")?.parse()?;
    ensure!(peak_kib < 150_000, "{peak_kib} KiB at the peak");
    Ok(())
}

#[test]
#[ignore = "compares times: just attack"]
fn honest_calls_continue_during_idle_connections() -> anyhow::Result<()> {
    let house = House::start()?;
    let base = house.server.ready()["http"].as_str().unwrap_or_default();
    let api = base.trim_start_matches("http://").to_owned();
    let sip = house.server.sip_tcp()?;
    house.withstands("connections", |over| {
        let mut held = Vec::new();
        while !over.load(Ordering::Relaxed) {
            if held.len() < 3_000 {
                held.extend(TcpStream::connect(&api));
                held.extend(TcpStream::connect(sip));
            } else {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    })
}

#[test]
#[ignore = "compares times: just attack"]
fn honest_calls_continue_during_udp_floods() -> anyhow::Result<()> {
    let house = House::start()?;
    let server = house.server.sip_udp()?;
    house.withstands("floods", |over| {
        let Ok(mut flood) = Flood::new(&house.server) else {
            return;
        };
        let start = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * 500.0) as u32;
            while flood.sent < due {
                let _ = flood.invite("1000");
                for method in ["OPTIONS", "REGISTER"] {
                    let n = flood.sent;
                    let request = format!(
                        "{method} sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{method}{n}\r\n\
                         Max-Forwards: 70\r\nFrom: <sip:x@{server}>;tag={n}\r\nTo: <sip:x@{server}>\r\n\
                         Call-ID: {method}-{n}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
                    );
                    let _ = flood.socket.send_to(request.as_bytes(), server);
                }
            }
            flood.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

/// A tenant's client requests the number of another account as its login: this is refused, and the
/// calls stay with the number.
#[test]
fn no_login_hijacks_a_number() -> anyhow::Result<()> {
    let house = House::start()?;
    let form = [
        ("EmailAddress", "tenant@example.org"),
        ("Password", "tenant-Secret-1"),
    ];
    let accounts = "/restcomm/2012-04-24/Accounts.json";
    let made = house
        .rest
        .send("POST", accounts, Some(&http::form(&form)))?;
    let made: serde_json::Value = serde_json::from_slice(&made.body)?;
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    let tenant = house.server.rest_as(&text("sid"), &text("auth_token"));
    let refused = tenant.client("1000", "tenant-Secret-1");
    ensure!(refused.is_err(), "{refused:?}");
    house.honest_calls(2)?;
    ensure!(tenant.calls()?.is_empty(), "a call went to the tenant");
    Ok(())
}
