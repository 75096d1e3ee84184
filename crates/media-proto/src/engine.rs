//! Finds the endpoint that a datagram, control or timer is for, and joins endpoints.
//!
//! Datagrams come with the socket they arrived on; that a socket belongs to one endpoint is known
//! only to the table here. Ticks of plays and recordings are aligned to 5 ms, so that one wake-up
//! serves many. **Invariant: a slot is taken from its creation to exactly one `Closed`**, and all
//! its sockets, its play, its bridge and its tracks in recordings end with it.
//! Left to others: the content of packets (`endpoint`).

mod keys;

use crate::control::{Control, Local, RecordingEnd, Sink, SocketId};
use crate::endpoint::{Content, Endpoint, Frame, Incoming, MAX_FRAME, Playing, Tap};
use crate::keys::Keys;
use crate::player::Player;
use crate::random::Random;
use crate::recorder::{self, Part, Recording};
use crate::report::{EndpointId, PlayId, RecordingId, Report, SessionId};
use crate::rtcp::{self, WallClock};
use crate::slots::Slots;
use crate::timers::{Timer, Timers};
use crate::transcode;
use rtp_proto::{Kind, classify};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Ticks fall on multiples of this.
const GRID: Duration = Duration::from_millis(5);
/// Longest payload that is decoded, in samples; longer ones are cut.
const MAX_PAYLOAD: usize = 2048;
/// Recordings that may listen to one endpoint.
const MAX_TAPS: usize = 8;
/// Legs of one recording.
const MAX_LEGS: usize = 64;

/// How an engine runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The present.
    pub started: Instant,
    /// Time since the Unix epoch, for sender reports.
    pub unix_time: Duration,
    /// For numbers that others shall not guess easily.
    pub seed: u64,
    /// How long nothing may come before `Silence` is reported.
    pub silence_timeout: Duration,
    /// More endpoints than this are refused.
    pub max_endpoints: usize,
}

/// The media engine of one worker.
#[derive(Debug)]
pub struct Engine {
    clock: WallClock,
    silence_timeout: Duration,
    max_endpoints: usize,
    random: Random,
    endpoints: Slots<Box<Endpoint>>,
    names: BTreeMap<(SessionId, EndpointId), usize>,
    /// The endpoint of each socket.
    sockets: Vec<Option<usize>>,
    recordings: Slots<Recording>,
    recording_names: BTreeMap<(SessionId, RecordingId), usize>,
    timers: Timers,
    samples: Box<[i16; MAX_PAYLOAD]>,
}

impl Engine {
    /// An engine without endpoints.
    pub fn new(config: EngineConfig) -> Self {
        Self {
            clock: WallClock {
                started: config.started,
                unix_time: config.unix_time,
            },
            silence_timeout: config.silence_timeout,
            max_endpoints: config.max_endpoints,
            random: Random::new(config.seed),
            endpoints: Slots::default(),
            names: BTreeMap::new(),
            sockets: Vec::new(),
            recordings: Slots::default(),
            recording_names: BTreeMap::new(),
            timers: Timers::default(),
            samples: Box::new([0; MAX_PAYLOAD]),
        }
    }

    /// Carries out a request. One that names an endpoint which does not exist is ignored, unless a
    /// reply is due.
    pub fn handle_control(
        &mut self,
        session: SessionId,
        control: Control,
        now: Instant,
        out: &mut impl Sink,
    ) {
        match control {
            Control::Open {
                endpoint,
                local,
                offer,
                signalling,
            } => {
                self.open((session, endpoint), local, offer, signalling, now, out);
            }
            Control::Remote { endpoint, sdp } => self.remote((session, endpoint), &sdp, now, out),
            Control::Renegotiate {
                endpoint,
                req,
                offer,
            } => {
                let sdp = self.renegotiate((session, endpoint), offer, now);
                out.report(session, endpoint, Report::Renegotiated { req, sdp });
            }
            Control::Play {
                endpoint,
                play,
                audio,
                times,
            } => {
                let player = Player::new(play, audio, times).map(Playing::Prompt);
                self.play((session, endpoint), play, player, now, out);
            }
            Control::SendDigits {
                endpoint,
                play,
                digits,
            } => {
                let keys = Keys::new(play, &digits).map(Playing::Keys);
                self.play((session, endpoint), play, keys, now, out);
            }
            Control::PassKey { endpoint, key } => self.pass_key(session, endpoint, key, now),
            Control::ListenDigits { endpoint, on } => self.listen(session, endpoint, on),
            Control::StopPlay { endpoint, play } => {
                let slot = self.slot(session, endpoint);
                self.stop_play(slot, Some(play), out);
            }
            Control::Bridge { a, b } => self.bridge(session, a, b, out),
            Control::Unbridge { a, b } => self.unbridge(session, a, b),
            Control::Record { recording, legs } => {
                self.record((session, recording), &legs, Part::All, now, out);
            }
            Control::Listen {
                recording,
                endpoint,
            } => {
                self.record((session, recording), &[endpoint], Part::Heard, now, out);
            }
            Control::StopRecord { recording } => {
                let slot = self.recording_names.get(&(session, recording)).copied();
                self.end_recording(slot, now, out);
            }
            Control::Close { endpoint } => {
                let slot = self.slot(session, endpoint);
                self.close(slot, now, out);
            }
        }
    }

    /// Closes all endpoints of a session; its recordings end with them.
    pub fn end_session(&mut self, session: SessionId, now: Instant, out: &mut impl Sink) {
        let all = (session, EndpointId(0))..=(session, EndpointId(u64::MAX));
        while let Some((_, slot)) = self.names.range(all.clone()).next() {
            self.close(Some(*slot), now, out);
        }
    }

    /// Takes a datagram; it is rewritten in place if it is passed on.
    pub fn handle_datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Instant,
        out: &mut impl Sink,
    ) {
        let Some(slot) = self.sockets.get(socket.0).copied().flatten() else {
            return;
        };
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        match classify(bytes) {
            Kind::Rtp if endpoint.local.rtp == socket => {
                if let Some(incoming) = endpoint.receive(from, bytes, now) {
                    self.handle_rtp(slot, &incoming, bytes, now, out);
                }
            }
            Kind::Rtcp => {
                if endpoint.receive_rtcp(from, bytes, &self.clock, now) {
                    self.watch_silence(slot);
                }
            }
            Kind::Rtp | Kind::Stun | Kind::Dtls | Kind::Unknown => endpoint.count_strange(from),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Sink) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Play(slot) => self.play_frame(slot, at, now, out),
                Timer::Record(slot) => self.record_frame(slot, at, out),
                Timer::Rtcp(slot) => self.send_rtcp(slot, at, now, out),
                Timer::Silence(slot) => self.check_silence(slot, at, now, out),
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// Endpoints that are open.
    pub fn endpoints(&self) -> usize {
        self.names.len()
    }

    fn slot(&self, session: SessionId, endpoint: EndpointId) -> Option<usize> {
        self.names.get(&(session, endpoint)).copied()
    }

    fn endpoint(&mut self, slot: Option<usize>) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(slot?).map(Box::as_mut)
    }

    fn open(
        &mut self,
        name: (SessionId, EndpointId),
        local: Local,
        offer: Option<String>,
        signalling: Option<IpAddr>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let mut endpoint = Endpoint::new(name.0, name.1, local, signalling, &mut self.random, now);
        let opened = if self.names.contains_key(&name) {
            Err((500, "the endpoint exists already".to_owned()))
        } else if self.names.len() >= self.max_endpoints {
            Err((503, "too many endpoints".to_owned()))
        } else {
            match offer {
                Some(offer) => endpoint.answer(&offer, now),
                None => Ok(endpoint.offer()),
            }
        };
        match opened {
            Ok(sdp) => {
                let slot = self.insert(name, endpoint);
                out.report(name.0, name.1, Report::Opened { sdp });
                self.watch(slot, now);
            }
            Err((status, reason)) => {
                close_sockets(&local, out);
                out.report(name.0, name.1, Report::Refused { status, reason });
            }
        }
    }

    fn insert(&mut self, name: (SessionId, EndpointId), endpoint: Endpoint) -> usize {
        let local = endpoint.local;
        let slot = self.endpoints.insert(Box::new(endpoint));
        self.names.insert(name, slot);
        for SocketId(socket) in [local.rtp, local.rtcp] {
            if socket >= self.sockets.len() {
                self.sockets.resize(socket + 1, None);
            }
            self.sockets[socket] = Some(slot);
        }
        slot
    }

    fn close(&mut self, slot: Option<usize>, now: Instant, out: &mut impl Sink) {
        self.stop_play(slot, None, out);
        self.unlink(slot);
        let Some(slot) = slot else { return };
        let Some(endpoint) = self.endpoints.remove(slot) else {
            return;
        };
        self.names.remove(&(endpoint.session, endpoint.id));
        for tap in &endpoint.taps {
            let recording = self.recordings.get_mut(tap.recording);
            if recording.is_some_and(|recording| !recording.close_leg(endpoint.id)) {
                self.end_recording(Some(tap.recording), now, out);
            }
        }
        for SocketId(socket) in [endpoint.local.rtp, endpoint.local.rtcp] {
            self.sockets[socket] = None;
        }
        close_sockets(&endpoint.local, out);
        endpoint.report(
            out,
            Report::Closed {
                stats: endpoint.stats(),
            },
        );
    }

    fn remote(
        &mut self,
        (session, id): (SessionId, EndpointId),
        sdp: &str,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let slot = self.slot(session, id);
        let accepted = match self.endpoint(slot) {
            Some(endpoint) => endpoint.accept(sdp, now),
            None => Err((481, NO_ENDPOINT.to_owned())),
        };
        let report = match accepted {
            Ok(()) => Report::RemoteSet,
            Err((status, reason)) => Report::Refused { status, reason },
        };
        out.report(session, id, report);
        slot.into_iter().for_each(|slot| self.watch(slot, now));
    }

    fn renegotiate(
        &mut self,
        (session, id): (SessionId, EndpointId),
        offer: Option<String>,
        now: Instant,
    ) -> Result<String, String> {
        let slot = self.slot(session, id).ok_or(NO_ENDPOINT)?;
        let endpoint = self.endpoint(Some(slot)).ok_or(NO_ENDPOINT)?;
        let sdp = match offer {
            Some(offer) => endpoint.answer(&offer, now).map_err(|(_, reason)| reason)?,
            None => endpoint.offer(),
        };
        self.watch(slot, now);
        Ok(sdp)
    }

    fn bridge(&mut self, session: SessionId, a: EndpointId, b: EndpointId, out: &mut impl Sink) {
        let (Some(a), Some(b)) = (self.slot(session, a), self.slot(session, b)) else {
            return;
        };
        for (slot, peer) in [(a, b), (b, a)] {
            self.stop_play(Some(slot), None, out);
            self.unlink(Some(slot).filter(|_| self.peer(slot) != Some(peer)));
        }
        for (slot, peer) in [(a, b), (b, a)] {
            if let Some(endpoint) = self.endpoints.get_mut(slot) {
                endpoint.peer = Some(peer);
            }
        }
    }

    fn unbridge(&mut self, session: SessionId, a: EndpointId, b: EndpointId) {
        let (a, b) = (self.slot(session, a), self.slot(session, b));
        if b.is_some() && a.and_then(|slot| self.peer(slot)) == b {
            self.unlink(a);
        }
    }

    fn peer(&self, slot: usize) -> Option<usize> {
        self.endpoints.get(slot).and_then(|endpoint| endpoint.peer)
    }

    /// Ends the bridge of an endpoint, on both sides.
    fn unlink(&mut self, slot: Option<usize>) {
        let Some(peer) = slot.and_then(|slot| self.peer(slot)) else {
            return;
        };
        for side in [slot, Some(peer)] {
            if let Some(endpoint) = self.endpoint(side) {
                endpoint.peer = None;
                endpoint.out.interrupt();
            }
        }
    }

    fn handle_rtp(
        &mut self,
        slot: usize,
        incoming: &Incoming,
        bytes: &mut [u8],
        now: Instant,
        out: &mut impl Sink,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if incoming.first {
            endpoint.report(out, Report::Heard);
        }
        let peer = endpoint.peer;
        if let Content::Audio(codec) = incoming.content
            && !endpoint.taps.is_empty()
        {
            let payload = bytes.get(incoming.payload.clone()).unwrap_or_default();
            let samples = transcode::decode(codec, payload, self.samples.as_mut_slice());
            for tap in &endpoint.taps {
                if let Some(recording) = self.recordings.get_mut(tap.recording) {
                    recording.hear(tap.track, &incoming.header, samples, now);
                }
            }
        }
        self.handle_keys(slot, incoming, bytes, now, out);
        if incoming.ends_silence {
            self.watch_silence(slot);
        }
        if let Some(peer) = self.endpoint(peer) {
            peer.relay(bytes, incoming, now, out);
        }
    }

    /// Plays something in place of what plays now; `None`: it is over at once.
    fn play(
        &mut self,
        (session, id): (SessionId, EndpointId),
        play: PlayId,
        playing: Option<Playing>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let slot = self.slot(session, id);
        self.stop_play(slot, None, out);
        let Some((slot, endpoint)) = slot.zip(self.endpoint(slot)) else {
            let stopped = true;
            out.report(session, id, Report::PlayDone { play, stopped });
            return;
        };
        if playing.is_none() {
            let stopped = false;
            out.report(session, id, Report::PlayDone { play, stopped });
            return;
        }
        endpoint.playing = playing;
        self.begin_frames(slot, now);
    }

    fn begin_frames(&mut self, slot: usize, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        // The tick of a play that has just been stopped serves the new one: frames do not overlap.
        if endpoint.play_due.is_none() {
            endpoint.out.interrupt();
            let at = self.align(now);
            self.arm_play(slot, at);
        }
    }

    fn arm_play(&mut self, slot: usize, at: Instant) {
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.play_due = Some(at);
            self.timers.arm(at, Timer::Play(slot));
        }
    }

    /// Ends the play in progress, if it is the one named.
    fn stop_play(&mut self, slot: Option<usize>, play: Option<PlayId>, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoint(slot) else {
            return;
        };
        let named = |playing: &mut Playing| play.is_none() || playing.play() == play;
        if let Some(playing) = endpoint.playing.take_if(named) {
            endpoint.out.interrupt();
            endpoint.report_done(playing.play(), true, out);
        }
    }

    fn play_frame(&mut self, slot: usize, at: Instant, now: Instant, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.play_due.take_if(|due| *due == at).is_none() {
            return;
        }
        let Some(play) = endpoint.playing.as_ref().map(Playing::play) else {
            return;
        };
        let mut samples = [0; MAX_FRAME];
        match endpoint.play_frame(&mut samples, at, now, out) {
            Frame::Ended => {
                endpoint.playing = None;
                endpoint.out.interrupt();
                endpoint.report_done(play, false, out);
            }
            Frame::Played { next_at, sent } => {
                if let Some(header) = sent {
                    let samples = &samples[..endpoint.frame_samples()];
                    let header = recorder::played_header(&header, at, self.clock.started);
                    for tap in &endpoint.taps {
                        if let Some(recording) = self.recordings.get_mut(tap.recording) {
                            recording.play(tap.track, &header, samples, now);
                        }
                    }
                }
                self.arm_play(slot, next_at);
            }
        }
    }

    fn record(
        &mut self,
        name: (SessionId, RecordingId),
        legs: &[EndpointId],
        part: Part,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let mut legs: Vec<EndpointId> = legs
            .iter()
            .copied()
            .filter(|leg| self.slot(name.0, *leg).is_some())
            .collect();
        legs.sort_unstable();
        legs.dedup();
        if let Err(reason) = self.may_record(name, &legs) {
            out.end_recording(name.0, name.1, RecordingEnd::Refused { reason });
            return;
        }
        let next_at = self.align(now + recorder::BEHIND);
        let slot = self
            .recordings
            .insert(Recording::new(name.0, name.1, &legs, part, now, next_at));
        self.recording_names.insert(name, slot);
        for (track, leg) in legs.iter().enumerate() {
            let leg = self.slot(name.0, *leg);
            if let Some(endpoint) = self.endpoint(leg) {
                endpoint.taps.push(Tap {
                    recording: slot,
                    track,
                });
            }
        }
        self.timers.arm(next_at, Timer::Record(slot));
    }

    fn may_record(
        &mut self,
        name: (SessionId, RecordingId),
        legs: &[EndpointId],
    ) -> Result<(), &'static str> {
        if self.recording_names.contains_key(&name) {
            return Err("the recording exists already");
        }
        if legs.is_empty() {
            return Err(NO_ENDPOINT);
        }
        let slots: Vec<_> = legs.iter().map(|leg| self.slot(name.0, *leg)).collect();
        let mut taps = slots
            .into_iter()
            .filter_map(|slot| Some(self.endpoint(slot)?.taps.len()));
        if legs.len() > MAX_LEGS || taps.any(|taps| taps >= MAX_TAPS) {
            return Err("too many recordings");
        }
        Ok(())
    }

    fn record_frame(&mut self, slot: usize, at: Instant, out: &mut impl Sink) {
        let due = self
            .recordings
            .get_mut(slot)
            .filter(|recording| recording.next_at == at);
        let Some(recording) = due else { return };
        let mut samples = [0; recorder::FRAME];
        recording.frame(&mut samples, at);
        out.record(recording.session, recording.id, &samples);
        self.timers.arm(recording.next_at, Timer::Record(slot));
    }

    fn end_recording(&mut self, slot: Option<usize>, now: Instant, out: &mut impl Sink) {
        let Some(slot) = slot else { return };
        let Some(mut recording) = self.recordings.remove(slot) else {
            return;
        };
        let (session, id) = (recording.session, recording.id);
        self.recording_names.remove(&(session, id));
        let legs: Vec<_> = recording
            .legs()
            .map(|leg| self.slot(session, leg))
            .collect();
        for leg in legs {
            if let Some(endpoint) = self.endpoint(leg) {
                endpoint.taps.retain(|tap| tap.recording != slot);
            }
        }
        let mut samples = [0; recorder::FRAME];
        while let Some(samples) = recording.finish(&mut samples, now) {
            out.record(session, id, samples);
        }
        out.end_recording(
            session,
            id,
            RecordingEnd::Finished {
                samples: recording.made(),
            },
        );
    }

    /// Arms what an agreement makes necessary.
    fn watch(&mut self, slot: usize, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.is_agreed() && endpoint.rtcp_due.is_none() {
            // The first report comes in half the time (RFC 3550 §6.2).
            let at = now + rtcp::interval(self.random.next_u32()) / 2;
            endpoint.rtcp_due = Some(at);
            self.timers.arm(at, Timer::Rtcp(slot));
        }
        self.watch_silence(slot);
    }

    fn watch_silence(&mut self, slot: usize) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        let wanted = endpoint.expects_packets() && !endpoint.silent;
        if wanted && endpoint.silence_due.is_none() {
            let at = endpoint.heard_at + self.silence_timeout;
            endpoint.silence_due = Some(at);
            self.timers.arm(at, Timer::Silence(slot));
        }
    }

    fn check_silence(&mut self, slot: usize, at: Instant, now: Instant, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.silence_due.take_if(|due| *due == at).is_none() {
            return;
        }
        let elapsed = now.saturating_duration_since(endpoint.heard_at);
        if endpoint.expects_packets() && elapsed >= self.silence_timeout {
            endpoint.silent = true;
            endpoint.report(out, Report::Silence);
        }
        self.watch_silence(slot);
    }

    fn send_rtcp(&mut self, slot: usize, at: Instant, now: Instant, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.rtcp_due != Some(at) {
            return;
        }
        endpoint.send_rtcp(&self.clock, now, out);
        let at = now + rtcp::interval(self.random.next_u32());
        endpoint.rtcp_due = Some(at);
        self.timers.arm(at, Timer::Rtcp(slot));
    }

    /// The next moment on the grid, `now` included.
    fn align(&self, now: Instant) -> Instant {
        let since = now
            .saturating_duration_since(self.clock.started)
            .as_micros();
        let steps = since.div_ceil(GRID.as_micros());
        let micros = u64::try_from(steps * GRID.as_micros()).unwrap_or(u64::MAX);
        self.clock.started + Duration::from_micros(micros)
    }
}

const NO_ENDPOINT: &str = "there is no such endpoint";

fn close_sockets(local: &Local, out: &mut impl Sink) {
    out.close(local.rtp);
    out.close(local.rtcp);
}
