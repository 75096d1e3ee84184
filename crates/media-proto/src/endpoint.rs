//! One leg: what was negotiated, what it accepts, what it sends.
//!
//! **Invariant: what is accepted comes from the one permitted source and has an agreed payload
//! type; what is sent keeps to the direction agreed on.** On hold everything continues, but is not
//! sent. Left to others: what it is joined to, and when timers fire ([`crate::engine`]).

mod link;
mod mixed;
mod playing;
mod recoding;

pub(crate) use playing::{Frame, Playing, Plays};

use self::link::Link;
use crate::control::{Local, Sink, SocketId};
use crate::datagram::{Datagram, TAIL};
use crate::ears::Ears;
use crate::gate::Gate;
use crate::outgoing::OutStream;
use crate::random::Random;
use crate::recorder::Part;
use crate::report::{EndpointId, PlayId, Report, Stats};
use crate::rtcp::{self, WallClock};
use crate::sound::{Feed, Hearing, MAX_FRAME, Sound, Voice};
use crate::source::Source;
use audio::codec::OctetMap;
use rtp_proto::dtmf::{DtmfReceiver, Event};
use rtp_proto::stats::{Arrival, ReceiverStats};
use rtp_proto::{HEADER_LEN, Header, Packet};
use sdp_proto::{Codec, LocalMedia, Negotiated, OfferAnswer, SdpError};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) local: Local,
    link: Link,
    exchange: OfferAnswer,
    agreed: Option<Negotiated>,
    source: Source,
    heard: ReceiverStats,
    /// When a packet was last accepted, or began to be expected.
    pub(crate) heard_at: Instant,
    /// Silence was reported, and nothing has arrived since.
    pub(crate) silent: bool,
    hearing: Hearing,
    dtmf: DtmfReceiver,
    pub(crate) out: OutStream,
    /// Present once there is an agreement.
    voice: Option<Voice>,
    /// The audio of a bridged leg with another codec; created on its first packet.
    feed: Option<Box<Feed>>,
    cname: String,
    /// Source address of the remote party's RTCP.
    rtcp_from: Option<SocketAddr>,
    pub(crate) joined: Joined,
    pub(crate) plays: Plays,
    /// Whether to report keys found in its audio.
    pub(crate) listening: bool,
    /// Present while its audio is searched for keys.
    ears: Option<Box<Ears>>,
    pub(crate) taps: Vec<Tap>,
    /// Limits the keys it reports.
    gate: Gate,
    /// When its timers are due, if armed.
    pub(crate) play_due: Option<Instant>,
    pub(crate) rtcp_due: Option<Instant>,
    pub(crate) silence_due: Option<Instant>,
    stats: Stats,
}

/// What an endpoint is joined to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    Nothing,
    /// Slot of the bridged endpoint.
    Peer(usize),
    /// It is a member of a mix.
    Mix {
        /// Slot of the mix.
        mix: usize,
        /// The member's number in the mix.
        member: usize,
    },
}

/// A recording that listens here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Slot of the recording.
    pub(crate) recording: usize,
    /// What the recording takes.
    pub(crate) part: Part,
}

/// An accepted RTP packet.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) header: Header,
    pub(crate) content: Content,
    /// Position of the payload.
    pub(crate) payload: Range<usize>,
    /// It does not continue the packets before it.
    restarted: bool,
    /// It is the first packet of the leg.
    pub(crate) first: bool,
    /// It ends a reported silence.
    pub(crate) ends_silence: bool,
}

/// What the payload type of a packet means.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Audio(Codec),
    /// A telephone-event packet.
    Event,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    Audio(Codec),
    /// A telephone-event packet.
    Event(EventKey),
}

/// The content of a telephone-event packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventKey {
    /// The key, if this is the first packet of a press.
    pub(crate) pressed: Option<char>,
    /// The key of the last press is still down.
    pub(crate) down: bool,
}

impl Endpoint {
    pub(crate) fn new(
        id: EndpointId,
        local: Local,
        source: Source,
        random: &mut Random,
        now: Instant,
    ) -> Self {
        // 32 bits: some old phones read no more of a session id.
        let media = LocalMedia::new(
            local.address.ip(),
            local.address.port(),
            random.next_u32().into(),
        );
        Self {
            id,
            local,
            link: Link::Plain,
            exchange: OfferAnswer::new(media),
            agreed: None,
            source,
            heard: ReceiverStats::new(audio::RATE),
            heard_at: now,
            silent: false,
            hearing: Hearing::default(),
            dtmf: DtmfReceiver::new(),
            out: OutStream::new(random.next_u32(), random.next_u16(), random.next_u32(), now),
            voice: None,
            feed: None,
            cname: format!("{:016x}", random.next()),
            rtcp_from: None,
            joined: Joined::Nothing,
            plays: Plays::default(),
            listening: false,
            ears: None,
            taps: Vec::new(),
            gate: Gate::new(now),
            play_due: None,
            rtcp_due: None,
            silence_due: None,
            stats: Stats::default(),
        }
    }

    /// Offers the codec of another endpoint first, if we can.
    pub(crate) fn prefer_codec_of(&mut self, other: &Self) {
        if let Some(agreed) = &other.agreed {
            let codecs = &mut self.exchange.local_mut().codecs;
            codecs.sort_by_key(|codec| *codec != agreed.codec);
        }
    }

    /// Our offer.
    pub(crate) fn offer(&mut self) -> String {
        self.exchange.offer()
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// Status and reason; the earlier agreement stays in force.
    pub(crate) fn answer(&mut self, offer: &str, now: Instant) -> Result<String, (u16, String)> {
        let mut exchange = self.exchange.clone();
        let (answer, agreed) = exchange.answer(offer).map_err(refusal)?;
        self.agree(exchange, agreed, now)?;
        Ok(answer)
    }

    /// Takes the remote party's answer.
    ///
    /// # Errors
    /// Status and reason; the earlier agreement stays in force.
    pub(crate) fn accept(&mut self, answer: &str, now: Instant) -> Result<(), (u16, String)> {
        let mut exchange = self.exchange.clone();
        let agreed = exchange.accept_answer(answer).map_err(refusal)?;
        self.agree(exchange, agreed, now)
    }

    fn agree(
        &mut self,
        exchange: OfferAnswer,
        agreed: Negotiated,
        now: Instant,
    ) -> Result<(), (u16, String)> {
        // A zero address only means hold, in either version.
        if !agreed.remote.ip().is_unspecified() {
            if agreed.remote.is_ipv4() != self.local.address.is_ipv4() {
                return Err((488, "the address is of the other IP version".to_owned()));
            }
            let before = self.source.target();
            self.source.announce(agreed.remote);
            if self.source.target() != before {
                self.rtcp_from = None;
            }
        }
        let expected_before = self.expects_packets();
        let codec = agreed.codec;
        if self
            .voice
            .as_ref()
            .is_none_or(|voice| voice.codec() != codec)
        {
            self.voice = Some(Voice::new(codec));
            self.heard.set_clock_rate(codec.clock_rate());
            self.out.set_clock_rate(codec.clock_rate(), now);
        }
        self.exchange = exchange;
        self.agreed = Some(agreed);
        if self.expects_packets() && !expected_before {
            self.heard_at = now;
            self.silent = false;
        }
        Ok(())
    }

    /// True if there is an agreement.
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// True if the remote party should be sending.
    pub(crate) fn expects_packets(&self) -> bool {
        self.agreed
            .as_ref()
            .is_some_and(|agreed| agreed.direction.receives() && !agreed.on_hold)
    }

    /// The endpoint's counters.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            lost: self.heard.lost(),
            jitter: self.heard.jitter(),
            ..self.stats
        }
    }

    /// Processes a datagram that looks like RTP; `None` if it is rejected or a duplicate.
    pub(crate) fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &mut Datagram<'_>,
        now: Instant,
    ) -> Option<Incoming> {
        if !self.source.allows(from, now) {
            self.stats.wrong_source += 1;
            return None;
        }
        let received = datagram.bytes().len() as u64;
        if !self.link.open(datagram) {
            self.stats.malformed += 1;
            return None;
        }
        let Ok(packet) = Packet::parse(datagram.bytes()) else {
            self.stats.malformed += 1;
            return None;
        };
        let header = packet.header();
        let Some(kind) = self.kind(header.payload_type) else {
            self.stats.unexpected += 1;
            return None;
        };
        self.source.lock(from);
        let first = self.heard.ssrc().is_none();
        let sampled = match kind {
            Kind::Audio(_) => header,
            Kind::Event => sampled(header, packet.payload()),
        };
        let arrival = self.heard.handle_packet(&sampled, now);
        if arrival == Arrival::Stray {
            self.stats.unexpected += 1;
            return None;
        }
        self.stats.packets_in += 1;
        self.stats.bytes_in += received;
        if arrival == Arrival::Duplicate {
            return None;
        }
        let content = match kind {
            Kind::Audio(codec) => Content::Audio(codec),
            Kind::Event => Content::Event(self.event_key(&header, packet.payload(), now)),
        };
        Some(Incoming {
            header,
            content,
            payload: payload_range(&packet),
            restarted: arrival == Arrival::Restarted,
            first,
            ends_silence: self.hear(now),
        })
    }

    /// Processes a datagram that looks like RTCP; true if it ends a reported silence.
    pub(crate) fn receive_rtcp(
        &mut self,
        from: SocketAddr,
        datagram: &mut Datagram<'_>,
        clock: &WallClock,
        now: Instant,
    ) -> bool {
        if !self.source.allows_host(from.ip()) {
            self.stats.wrong_source += 1;
            return false;
        }
        if !self.link.open_rtcp(datagram) {
            self.stats.malformed += 1;
            return false;
        }
        match rtcp::read(
            datagram.bytes(),
            self.out.ssrc(),
            &mut self.heard,
            clock,
            now,
        ) {
            Ok(round_trip) => {
                self.stats.round_trip = round_trip.or(self.stats.round_trip);
                self.rtcp_from = Some(from);
                self.hear(now)
            }
            Err(_) => {
                self.stats.malformed += 1;
                false
            }
        }
    }

    /// Counts a datagram that is neither RTP nor RTCP.
    pub(crate) fn count_strange(&mut self, from: SocketAddr) {
        if self.source.allows_host(from.ip()) {
            self.stats.malformed += 1;
        } else {
            self.stats.wrong_source += 1;
        }
    }

    /// Forwards a packet that another endpoint accepted, rewritten in place, octet by octet if
    /// there is a `map`. Dropped while something is played here.
    pub(crate) fn relay(
        &mut self,
        datagram: &mut Datagram<'_>,
        incoming: &Incoming,
        map: Option<&OctetMap>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        if !self.plays.are_over() {
            return;
        }
        let Some((agreed, to)) = self.may_send() else {
            self.out.interrupt();
            return;
        };
        let (payload_type, ticks) = match incoming.content {
            Content::Audio(codec) => {
                let samples = codec.samples(incoming.payload.len());
                (Some(agreed.payload_type), codec.ticks(samples))
            }
            Content::Event(_) => (agreed.telephone_event, 0),
        };
        let Some(payload_type) = payload_type else {
            return;
        };
        let mapped = self.out.forward(
            &incoming.header,
            payload_type,
            ticks,
            incoming.restarted,
            now,
        );
        let Some(header) = mapped else { return };
        let bytes = datagram.bytes_mut();
        let Some(payload) = bytes.get_mut(incoming.payload.clone()) else {
            return;
        };
        if let Some(map) = map {
            for code in payload {
                *code = map[usize::from(*code)];
            }
            self.stats.transcoded += 1;
        }
        if header.rewrite(bytes).is_ok() {
            self.transmit(&header, incoming.payload.len(), datagram, to, now, out);
        }
    }

    /// Decodes an accepted payload; call once per packet.
    pub(crate) fn decode<'a>(
        &mut self,
        incoming: &Incoming,
        codec: Codec,
        bytes: &[u8],
        out: &'a mut [i16],
    ) -> Sound<'a> {
        let payload = bytes.get(incoming.payload.clone()).unwrap_or_default();
        self.hearing.decode(&incoming.header, codec, payload, out)
    }

    /// Whether the audio from it is recorded or handed out.
    pub(crate) fn is_tapped(&self) -> bool {
        self.taps.iter().any(|tap| tap.part.has_heard())
    }

    /// Whether what it hears of its bridge or mix is handed out; not while something is played.
    pub(crate) fn is_overheard(&self) -> bool {
        self.plays.are_over() && self.taps.iter().any(|tap| tap.part.has_sent())
    }

    /// Samples of one frame of a play, at [`audio::RATE`].
    pub(crate) fn frame_samples(&self) -> usize {
        frame_len(self.frame_ms(), audio::RATE)
    }

    /// Sends the RTCP report that is due.
    pub(crate) fn send_rtcp(&mut self, clock: &WallClock, now: Instant, out: &mut impl Sink) {
        let Some((socket, to)) = self.rtcp_target() else {
            return;
        };
        let sent = self.out.sender_info(clock.ntp(now), rtcp::RECENTLY, now);
        let mut packet = [0; rtcp::MAX_LEN + TAIL];
        let written = rtcp::write(
            &mut packet[..rtcp::MAX_LEN],
            self.out.ssrc(),
            &self.cname,
            sent,
            &mut self.heard,
            now,
        );
        let Ok(len) = written else { return };
        let mut datagram = Datagram::new(&mut packet, len);
        if self.link.seal_rtcp(&mut datagram) {
            out.send(socket, to, datagram.bytes());
            self.source.sent(to);
        }
    }

    /// Reports on this endpoint.
    pub(crate) fn report(&self, out: &mut impl Sink, report: Report) {
        out.report(self.id, report);
    }

    /// Reports the end of a play, if there was one.
    pub(crate) fn report_done(&self, play: Option<PlayId>, stopped: bool, out: &mut impl Sink) {
        if let Some(play) = play {
            self.report(out, Report::PlayDone { play, stopped });
        }
    }

    /// Whether to count a key press: not if more come than a person can press.
    pub(crate) fn admits_key(&mut self, now: Instant) -> bool {
        let admitted = self.gate.pass(now);
        self.stats.digits_dropped += u64::from(!admitted);
        admitted
    }

    /// True if keys are sent to the remote party as events.
    pub(crate) fn sends_events(&self) -> bool {
        let agreed = self.agreed.as_ref();
        agreed.is_some_and(|agreed| agreed.telephone_event.is_some())
    }

    /// True if its audio is searched for keys, because that is `wanted` elsewhere or enabled here;
    /// never if the remote party agreed to send them as events.
    pub(crate) fn searches(&self, wanted: bool) -> bool {
        let agreed = self.agreed.as_ref();
        let events = agreed.is_some_and(|agreed| agreed.receive_telephone_event.is_some());
        !events && (wanted || self.listening)
    }

    /// The key detector, while the audio is searched for keys.
    pub(crate) fn ears(&mut self, wanted: bool) -> Option<&mut Ears> {
        if !self.searches(wanted) {
            self.ears = None;
            return None;
        }
        Some(self.ears.get_or_insert_default())
    }

    /// Records that something was accepted; true if it ends a reported silence.
    fn hear(&mut self, now: Instant) -> bool {
        self.heard_at = now;
        std::mem::take(&mut self.silent)
    }

    /// What a payload type means; `None` if it was not agreed. A static number keeps its meaning
    /// even if another codec was chosen: some phones switch between the codecs we offered.
    fn kind(&self, payload_type: u8) -> Option<Kind> {
        let agreed = self.agreed.as_ref()?;
        if agreed.receive_telephone_event == Some(payload_type) {
            return Some(Kind::Event);
        }
        if agreed.receive_payload_type == payload_type {
            return Some(Kind::Audio(agreed.codec));
        }
        Codec::of_static_payload_type(payload_type).map(Kind::Audio)
    }

    /// The keys in an event packet. Only packets that count are considered: the first one after a
    /// jump of the sequence numbers does not, so the packet that confirms it begins the press.
    fn event_key(&mut self, header: &Header, payload: &[u8], now: Instant) -> EventKey {
        let pressed = self.dtmf.handle_packet(header, payload, now);
        let down = self.dtmf.is_down();
        EventKey { pressed, down }
    }

    /// The agreement and the destination address, if we may send.
    fn may_send(&self) -> Option<(&Negotiated, SocketAddr)> {
        let agreed = self
            .agreed
            .as_ref()
            .filter(|agreed| agreed.direction.sends())?;
        Some((agreed, self.source.target()?))
    }

    fn rtcp_target(&self) -> Option<(SocketId, SocketAddr)> {
        let agreed = self.agreed.as_ref()?;
        let target = self.source.target()?;
        if agreed.rtcp_mux {
            return Some((self.local.rtp, target));
        }
        let to = if let Some(from) = self.rtcp_from {
            from
        } else if self.source.is_learnt() {
            SocketAddr::new(target.ip(), target.port().checked_add(1)?)
        } else {
            let is_named = |to: &SocketAddr| !to.ip().is_unspecified();
            let to = agreed.rtcp.filter(is_named)?;
            self.source.may_name(to.ip(), target).then_some(to)?
        };
        Some((self.local.rtcp, to))
    }

    fn frame_ms(&self) -> u32 {
        self.agreed.as_ref().map_or(20, |agreed| agreed.ptime_ms)
    }

    fn transmit(
        &mut self,
        header: &Header,
        payload_len: usize,
        datagram: &mut Datagram<'_>,
        to: SocketAddr,
        now: Instant,
        out: &mut impl Sink,
    ) {
        if !self.link.seal(datagram) {
            return;
        }
        let bytes = datagram.bytes();
        self.out.count(header, payload_len, now);
        self.stats.packets_out += 1;
        self.stats.bytes_out += bytes.len() as u64;
        self.source.sent(to);
        out.send(self.local.rtp, to, bytes);
    }
}

fn refusal(error: SdpError) -> (u16, String) {
    (error.status(), error.to_string())
}

fn frame_len(frame_ms: u32, rate: u32) -> usize {
    ((frame_ms * (rate / 1000)) as usize).min(MAX_FRAME)
}

/// The header of an event packet, with a timestamp that says when it was sent. All packets of a
/// press carry the time of its start, which would look like jitter.
fn sampled(header: Header, payload: &[u8]) -> Header {
    let duration = Event::parse(payload).map_or(0, |event| event.duration);
    Header {
        timestamp: header.timestamp.wrapping_add(duration.into()),
        ..header
    }
}

fn payload_range(packet: &Packet<'_>) -> Range<usize> {
    let csrcs = packet.csrcs().count() * 4;
    let extension = packet
        .extension()
        .map_or(0, |(_, content)| 4 + content.len());
    let start = HEADER_LEN + csrcs + extension;
    start..start + packet.payload().len()
}
