//! An engine in virtual time, and phones that talk to it.

use audio::Codec;
use audio::codec::{Decoder, Encoder};
use audio::tone::Tone;
use media_proto::{
    Control, Datagram, EndpointId, Engine, EngineConfig, Local, MixId, Opening, PlayId,
    RecordingEnd, RecordingId, Report, Sink, SocketId, Terms,
};
use rtp_proto::dtmf::Event;
use rtp_proto::{HEADER_LEN, Header, Packet};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const FRAME: usize = 160;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A datagram the engine sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) socket: SocketId,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self) -> Header {
        Packet::parse(&self.bytes).expect("RTP").header()
    }
}

/// All output of the engine.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) reports: Vec<(Instant, EndpointId, Report)>,
    pub(crate) recorded: BTreeMap<RecordingId, Vec<i16>>,
    pub(crate) ended: Vec<(RecordingId, RecordingEnd)>,
    pub(crate) closed: Vec<SocketId>,
}

impl Sink for Log {
    fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: &[u8]) {
        self.sent.push(Sent {
            at: self.now,
            socket,
            to,
            bytes: bytes.to_vec(),
        });
    }
    fn report(&mut self, endpoint: EndpointId, report: Report) {
        self.reports.push((self.now, endpoint, report));
    }
    fn record(&mut self, recording: RecordingId, samples: &[i16]) {
        assert!(samples.len() <= 2 * FRAME);
        self.recorded.entry(recording).or_default().extend(samples);
    }
    fn end_recording(&mut self, recording: RecordingId, end: RecordingEnd) {
        self.ended.push((recording, end));
    }
    fn close(&mut self, socket: SocketId) {
        assert!(!self.closed.contains(&socket), "{socket:?} is closed twice");
        self.closed.push(socket);
    }
}

/// The engine, its clock and its log.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) log: Log,
    pub(crate) started: Instant,
}

impl World {
    pub(crate) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a test has to begin somewhere")]
        let started = Instant::now();
        Self::of(started, 42)
    }

    /// A second engine with the clock of this one.
    pub(crate) fn sibling(&self) -> Self {
        let mut world = Self::of(self.started, 43);
        world.log.now = self.log.now;
        world
    }

    fn of(started: Instant, seed: u64) -> Self {
        let engine = Engine::new(EngineConfig {
            started,
            unix_time: Duration::from_secs(1_800_000_000),
            seed,
            silence_timeout: Duration::from_secs(60),
            max_endpoints: 1000,
        });
        let log = Log {
            now: started,
            sent: Vec::new(),
            reports: Vec::new(),
            recorded: BTreeMap::new(),
            ended: Vec::new(),
            closed: Vec::new(),
        };
        Self {
            engine,
            log,
            started,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.log.now
    }

    pub(crate) fn control(&mut self, control: Control) {
        self.engine
            .handle_control(control, self.log.now, &mut self.log);
    }

    pub(crate) fn datagram(&mut self, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        let datagram = Datagram::new(&mut bytes, len);
        self.engine
            .handle_datagram(socket, from, datagram, self.log.now, &mut self.log);
    }

    /// Advances time; timers fire exactly when due.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.log.now + span;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.log.now = self.log.now.max(at);
            self.engine.handle_timeout(self.log.now, &mut self.log);
        }
        self.log.now = end;
    }

    /// Reports of one endpoint so far, without their times.
    pub(crate) fn reports(&self, endpoint: u64) -> Vec<Report> {
        let of_it = self
            .log
            .reports
            .iter()
            .filter(|(_, id, _)| *id == EndpointId(endpoint));
        of_it.map(|(_, _, report)| report.clone()).collect()
    }

    pub(crate) fn last_report(&self, endpoint: u64) -> Report {
        self.reports(endpoint).pop().expect("a report")
    }

    /// RTP packets sent to an address, taken out of the log.
    pub(crate) fn take_rtp(&mut self, to: SocketAddr) -> Vec<Sent> {
        let is_rtp = |sent: &Sent| rtp_proto::classify(&sent.bytes) == rtp_proto::Kind::Rtp;
        self.log
            .sent
            .extract_if(.., |sent| sent.to == to && is_rtp(sent))
            .collect()
    }

    pub(crate) fn play(
        &mut self,
        endpoint: u64,
        play: u64,
        audio: &[Vec<i16>],
        times: Option<u32>,
    ) {
        let audio = audio
            .iter()
            .map(|clip| Arc::from(clip.as_slice()))
            .collect();
        let (endpoint, play) = (EndpointId(endpoint), PlayId(play));
        self.control(Control::Play {
            endpoint,
            play,
            audio,
            times,
            interrupts: false,
        });
    }

    /// Plays something once instead of what is played, which waits.
    pub(crate) fn interrupt(&mut self, endpoint: u64, play: u64, audio: &[i16]) {
        self.control(Control::Play {
            endpoint: EndpointId(endpoint),
            play: PlayId(play),
            audio: vec![Arc::from(audio)],
            times: Some(1),
            interrupts: true,
        });
    }

    pub(crate) fn bridge(&mut self, a: u64, b: u64) {
        self.control(Control::Bridge {
            a: EndpointId(a),
            b: EndpointId(b),
        });
    }

    pub(crate) fn record(&mut self, recording: u64, endpoint: u64) {
        self.record_on(recording, endpoint, Terms::default());
    }

    pub(crate) fn record_on(&mut self, recording: u64, endpoint: u64, terms: Terms) {
        let (recording, endpoint, now) =
            (RecordingId(recording), EndpointId(endpoint), self.log.now);
        self.engine
            .record(recording, endpoint, terms, now, &mut self.log);
    }

    pub(crate) fn record_mix(&mut self, recording: u64, mix: u64, trim: bool) {
        let (recording, mix, now) = (RecordingId(recording), MixId(mix), self.log.now);
        self.engine
            .record_mix(recording, mix, trim, now, &mut self.log);
    }

    pub(crate) fn hear(&mut self, recording: u64, endpoint: u64) {
        let (recording, endpoint) = (RecordingId(recording), EndpointId(endpoint));
        self.engine
            .listen(recording, endpoint, self.log.now, &mut self.log);
    }

    /// Makes an endpoint a member of a mix that talks, hears, or both.
    pub(crate) fn join(&mut self, endpoint: u64, mix: u64, (talk, hear): (bool, bool)) {
        self.control(Control::Join {
            endpoint: EndpointId(endpoint),
            mix: MixId(mix),
            talk,
            hear,
            coaches: None,
        });
    }

    /// Makes an endpoint a member of a mix that only one other hears.
    pub(crate) fn coach(&mut self, endpoint: u64, mix: u64, whom: u64) {
        self.control(Control::Join {
            endpoint: EndpointId(endpoint),
            mix: MixId(mix),
            talk: true,
            hear: true,
            coaches: Some(EndpointId(whom)),
        });
    }

    /// Opens an endpoint for a phone, answering its offer.
    pub(crate) fn open(&mut self, phone: &Phone) {
        self.open_with(phone, Some(phone.sdp("sendrecv")));
        assert!(matches!(
            self.last_report(phone.endpoint),
            Report::Opened { .. }
        ));
    }

    pub(crate) fn open_with(&mut self, phone: &Phone, offer: Option<String>) {
        self.open_endpoint(Opening {
            endpoint: EndpointId(phone.endpoint),
            local: phone.local(),
            offer,
            signalling: Some(phone.signalling.ip()),
            proved: true,
            like: None,
        });
    }

    pub(crate) fn open_endpoint(&mut self, opening: Opening) {
        self.engine.open(opening, self.log.now, &mut self.log);
    }

    pub(crate) fn renegotiate(&mut self, phone: &Phone, offer: String) {
        let endpoint = EndpointId(phone.endpoint);
        self.control(Control::Renegotiate {
            endpoint,
            req: 5,
            offer: Some(offer),
        });
        let report = self.last_report(phone.endpoint);
        assert!(
            matches!(report, Report::Renegotiated { req: 5, sdp: Ok(_) }),
            "{report:?}"
        );
    }

    /// The phones talk for a while, a packet every 20 ms; each keeps what it hears.
    pub(crate) fn talk(&mut self, phones: &mut [&mut Phone], span: Duration) {
        let frames = span.as_millis() / 20;
        for _ in 0..frames {
            for phone in phones.iter_mut() {
                phone.talk(self);
            }
            self.pass(ms(20));
            for phone in phones.iter_mut() {
                phone.listen(self);
            }
        }
    }
}

/// A phone with its own tone.
pub(crate) struct Phone {
    pub(crate) endpoint: u64,
    /// Source address of its RTP.
    pub(crate) media: SocketAddr,
    pub(crate) signalling: SocketAddr,
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    /// Whether it supports telephone-event.
    pub(crate) events: bool,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    tone: Tone,
    /// Samples heard, in order of arrival.
    pub(crate) heard: Vec<i16>,
    pub(crate) received: Vec<Header>,
    /// The event packets received.
    pub(crate) keys: Vec<(Instant, Header, Event)>,
}

impl Phone {
    pub(crate) fn new(endpoint: u64, hz: f64) -> Self {
        Self {
            endpoint,
            media: address(&format!("192.0.2.{endpoint}:{}", 4000 + 2 * endpoint)),
            signalling: address(&format!("192.0.2.{endpoint}:5060")),
            codec: Codec::PCMU,
            encoder: Codec::PCMU.encoder(),
            decoder: Codec::PCMU.decoder(),
            events: true,
            ssrc: 0x1000 + endpoint as u32,
            sequence: 65_500,
            timestamp: u32::MAX - 1000,
            tone: Tone::new(hz, -10.0),
            heard: Vec::new(),
            received: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// From now on it says another tone.
    pub(crate) fn says(&mut self, hz: f64) {
        self.tone = Tone::new(hz, -10.0);
    }

    pub(crate) fn without_events(self) -> Self {
        Self {
            events: false,
            ..self
        }
    }

    pub(crate) fn alaw(self) -> Self {
        self.speaking(Codec::PCMA, 0.0)
    }

    /// A-law or µ-law.
    pub(crate) fn laws(self, alaw: bool) -> Self {
        if alaw { self.alaw() } else { self }
    }

    /// Speaks the given codec; if that has another sample rate, the tone is `hz`.
    pub(crate) fn speaking(self, codec: Codec, hz: f64) -> Self {
        let rate = codec.sample_rate();
        let tone = if rate == audio::RATE {
            self.tone
        } else {
            Tone::at_rate(hz, -10.0, rate)
        };
        Self {
            codec,
            encoder: codec.encoder(),
            decoder: codec.decoder(),
            tone,
            ..self
        }
    }

    pub(crate) fn local(&self) -> Local {
        let port = 20_000 + 2 * self.endpoint as u16;
        Local {
            rtp: self.socket(),
            rtcp: SocketId(self.endpoint as usize * 2 + 1),
            address: SocketAddr::new([198, 51, 100, 1].into(), port),
        }
    }

    pub(crate) fn socket(&self) -> SocketId {
        SocketId(self.endpoint as usize * 2)
    }

    pub(crate) fn payload_type(&self) -> u8 {
        self.codec.static_payload_type().expect("a static one")
    }

    /// Its description, for offers and answers alike.
    pub(crate) fn sdp(&self, direction: &str) -> String {
        let (ip, port, codec) = (self.media.ip(), self.media.port(), self.payload_type());
        let (number, events) = match self.events {
            true => (" 96", "a=rtpmap:96 telephone-event/8000\r\n"),
            false => ("", ""),
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {codec}{number}\r\n{events}a={direction}\r\n"
        )
    }

    pub(crate) fn talk(&mut self, world: &mut World) {
        let packet = self.packet();
        world.datagram(self.socket(), self.media, &packet);
    }

    /// Its next packet of 20 ms.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let samples = self.tone.samples(20);
        self.packet_of(&samples)
    }

    /// A 20 ms packet of these samples.
    pub(crate) fn packet_of(&mut self, samples: &[i16]) -> Vec<u8> {
        let mut payload = [0; FRAME];
        self.encoder.encode(samples, &mut payload);
        let packet = packet(self.header(), &payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        packet
    }

    pub(crate) fn header(&self) -> Header {
        Header {
            marker: false,
            payload_type: self.payload_type(),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        }
    }

    /// One packet of a key press.
    pub(crate) fn press(&mut self, world: &mut World, code: u8, duration: u16, end: bool) {
        let event = Event {
            code,
            end,
            volume: 10,
            duration,
        };
        let header = Header {
            payload_type: 96,
            marker: duration == 160,
            ..self.header()
        };
        world.datagram(self.socket(), self.media, &packet(header, &event.encode()));
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Takes the packets sent to it.
    pub(crate) fn listen(&mut self, world: &mut World) {
        for sent in world.take_rtp(self.media) {
            assert_eq!(sent.socket, self.socket());
            let packet = Packet::parse(&sent.bytes).expect("RTP");
            self.received.push(packet.header());
            if packet.header().payload_type != self.payload_type() {
                let event = Event::parse(packet.payload()).expect("an event");
                self.keys.push((sent.at, packet.header(), event));
                continue;
            }
            let mut samples = vec![0; self.codec.samples(packet.payload().len())];
            self.decoder.decode(packet.payload(), &mut samples);
            self.heard.extend(samples);
        }
    }

    /// True if it heard the tone in the last half second, and not its own.
    pub(crate) fn hears(&self, hz: f64) -> bool {
        let rate = self.codec.sample_rate();
        let half = rate as usize / 2;
        let last = &self.heard[self.heard.len().saturating_sub(half)..];
        last.len() == half && audio::measure::hears_at(last, hz, rate)
    }
}

pub(crate) fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN + payload.len()];
    header.write_packet(payload, &mut bytes).expect("room");
    bytes
}

/// A tone as samples.
pub(crate) fn tone(hz: f64, ms: u32) -> Vec<i16> {
    Tone::new(hz, -10.0).samples(ms)
}

/// The end of a recording from which nothing is trimmed.
pub(crate) fn whole(samples: u64) -> RecordingEnd {
    RecordingEnd::Finished {
        samples,
        keep: samples,
    }
}
