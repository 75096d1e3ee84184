//! Phones and calls for the tests of the media plane.

use audio::g711;
use audio::tone::Tone;
use media::{Control, EndpointId, EngineControl, MediaConfig, MediaPlane, Report, Session, Stats};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A phone with its own tone.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) tone: Tone,
    pub(crate) sequence: u16,
    pub(crate) heard: Vec<i16>,
}

impl Phone {
    pub(crate) fn new(ip: &str, hz: f64) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let to = socket.local_addr().expect("an address");
        Self {
            socket,
            to,
            tone: Tone::new(hz, -10.0),
            sequence: 0,
            heard: Vec::new(),
        }
    }

    pub(crate) fn sdp(&self) -> String {
        let address = self.socket.local_addr().expect("an address");
        let (ip, port) = (address.ip(), address.port());
        let version = if ip.is_ipv4() { 4 } else { 6 };
        format!(
            "v=0\r\no=- 1 1 IN IP{version} {ip}\r\ns=-\r\nc=IN IP{version} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\n"
        )
    }

    /// Sends 20 ms and receives the packets that have arrived.
    pub(crate) fn talk(&mut self) {
        let samples = self.tone.samples(20);
        self.say(&samples);
        self.listen();
    }

    /// Sends 20 ms of these samples.
    pub(crate) fn say(&mut self, samples: &[i16]) {
        let mut packet = [0; 172];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet[11] = 7;
        g711::ulaw_encode_slice(samples, &mut packet[12..]);
        self.sequence += 1;
        self.socket.send_to(&packet, self.to).expect("sent");
    }

    pub(crate) fn listen(&mut self) {
        let mut packet = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut packet) {
            if from == self.to && packet[1] & 0x7F == 0 {
                let mut samples = vec![0; len - 12];
                g711::ulaw_decode_slice(&packet[12..len], &mut samples);
                self.heard.extend(samples);
            }
        }
    }

    /// True if it heard the tone in the last fifth of a second.
    pub(crate) fn has(&self, hz: f64) -> bool {
        let last = &self.heard[self.heard.len().saturating_sub(1600)..];
        last.len() == 1600 && audio::measure::tone_dbfs(last, hz) > -20.0
    }

    pub(crate) fn hears(&self, hz: f64) -> bool {
        let last = &self.heard[self.heard.len().saturating_sub(1600)..];
        last.len() == 1600 && audio::measure::hears(last, hz)
    }
}

/// A session and its reports.
pub(crate) struct Call {
    pub(crate) session: Session,
    pub(crate) reports: UnboundedReceiver<(EndpointId, Report)>,
}

impl Call {
    pub(crate) fn new(plane: &MediaPlane) -> Self {
        let (sender, reports) = unbounded_channel();
        Self {
            session: plane.session(sender),
            reports,
        }
    }

    pub(crate) fn next(&mut self) -> (u64, Report) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok((endpoint, report)) = self.reports.try_recv() {
                return (endpoint.0, report);
            }
            assert!(Instant::now() < deadline, "no report");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next report other than `Heard`.
    pub(crate) fn news(&mut self) -> (u64, Report) {
        loop {
            match self.next() {
                (_, Report::Heard) => {}
                news => return news,
            }
        }
    }

    pub(crate) fn open(&mut self, endpoint: u64, phone: &mut Phone) {
        self.session.control(Control::Open {
            endpoint: EndpointId(endpoint),
            offer: Some(phone.sdp()),
            signalling: Some(phone.to.ip()),
            proved: true,
            like: None,
        });
        let (id, Report::Opened { sdp }) = self.news() else {
            panic!("not opened")
        };
        assert_eq!(id, endpoint);
        phone.to = address(&sdp);
    }

    pub(crate) fn close(&mut self, endpoint: u64) -> Stats {
        self.session.control(EngineControl::Close {
            endpoint: EndpointId(endpoint),
        });
        let (id, Report::Closed { stats }) = self.news() else {
            panic!("not closed")
        };
        assert_eq!(id, endpoint);
        stats
    }
}

/// The address in an SDP.
pub(crate) fn address(sdp: &str) -> SocketAddr {
    let line = |start| {
        sdp.lines()
            .find_map(|line| line.strip_prefix(start))
            .unwrap()
    };
    let ip: IpAddr = line("c=IN IP")
        .split(' ')
        .nth(1)
        .and_then(|ip| ip.parse().ok())
        .expect("an IP");
    let port = line("m=audio ")
        .split(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    SocketAddr::new(ip, port)
}

pub(crate) fn plane(workers: usize) -> MediaPlane {
    MediaPlane::start(MediaConfig {
        workers,
        ..MediaConfig::default()
    })
    .unwrap()
}

pub(crate) fn talk(phones: &mut [&mut Phone], frames: u32) {
    let mut due = Instant::now();
    for _ in 0..frames {
        phones.iter_mut().for_each(|phone| phone.talk());
        due += Duration::from_millis(20);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    phones.iter_mut().for_each(|phone| phone.listen());
}
