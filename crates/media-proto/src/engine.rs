//! Finds the endpoint that a datagram, control or timer is for, and joins endpoints.
//!
//! Datagrams come with the socket they arrived on; only the table here knows which endpoint a
//! socket belongs to. Ticks of plays and recordings are aligned to 5 ms, so that one wake-up serves
//! many. **Invariant: a slot is in use from its creation to exactly one `Closed`**, and all its
//! sockets, its play, its bridge and its recordings end with it. Left to others: the
//! content of packets (`endpoint`), and where it goes (`paths`).

mod answering;
mod joins;
mod keys;
mod moving;
mod paths;

pub use moving::Parcel;

use crate::control::{Control, Local, Opening, RecordingEnd, Sink, SocketId};
use crate::datagram::Datagram;
use crate::endpoint::{Endpoint, Frame, Playing, Tap};
use crate::keys::Keys;
use crate::live::Live;
use crate::mix::{Mix, Role};
use crate::player::Player;
use crate::random::Random;
use crate::recorder::{self, Object, Part, Recording, Terms};
use crate::report::{EndpointId, MixId, PlayId, RecordingId, Report};
use crate::rtcp::{self, WallClock};
use crate::slots::Slots;
use crate::sound::MAX_FRAME;
use crate::source::Source;
use crate::timers::{Timer, Timers};
use rtp_proto::{Kind, classify};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Ticks are aligned to multiples of this.
const GRID: Duration = Duration::from_millis(5);
/// Longest payload that is decoded, in samples; longer ones are cut.
const MAX_SAMPLES: usize = 4096;
/// Maximum recordings and taps of one endpoint: more than the streams, the recognitions, the verbs and the
/// API of a call can have at once.
const MAX_TAPS: usize = 24;

/// Parameters of an engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Some moment in the past or the present, the origin of its clock. Engines that exchange
    /// endpoints share it.
    pub started: Instant,
    /// Time since the Unix epoch at `started`, for sender reports.
    pub unix_time: Duration,
    /// Seed for numbers that must not be easy to guess.
    pub seed: u64,
    /// How long without packets until `Silence` is reported.
    pub silence_timeout: Duration,
    /// Maximum open endpoints; more are refused.
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
    names: BTreeMap<EndpointId, usize>,
    /// The endpoint of each socket.
    sockets: Vec<Option<usize>>,
    recordings: Slots<Recording>,
    recording_names: BTreeMap<RecordingId, usize>,
    mixes: Slots<Box<Mix>>,
    mix_names: BTreeMap<MixId, usize>,
    timers: Timers,
    /// Scratch space for the samples of a packet.
    samples: Box<[i16]>,
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
            mixes: Slots::default(),
            mix_names: BTreeMap::new(),
            timers: Timers::default(),
            samples: vec![0; MAX_SAMPLES].into_boxed_slice(),
        }
    }

    /// Opens an endpoint → `Opened` or `Refused`.
    pub fn open(&mut self, opening: Opening, now: Instant, out: &mut impl Sink) {
        let (id, local) = (opening.endpoint, opening.local);
        let source = Source::new(opening.signalling, opening.proved);
        let mut endpoint = Endpoint::new(id, local, source, &mut self.random, now);
        let opened = if self.names.contains_key(&id) {
            Err((500, "the endpoint exists already".to_owned()))
        } else if self.names.len() >= self.max_endpoints {
            Err((503, "too many endpoints".to_owned()))
        } else {
            match opening.offer {
                Some(offer) => endpoint.answer(&offer, now),
                None => {
                    let like = opening.like.and_then(|like| self.slot(like));
                    if let Some(like) = self.endpoint(like) {
                        endpoint.prefer_codec_of(like);
                    }
                    Ok(endpoint.offer())
                }
            }
        };
        match opened {
            Ok(sdp) => {
                let slot = self.insert(Box::new(endpoint));
                out.report(id, Report::Opened { sdp });
                self.watch(slot, now);
            }
            Err((status, reason)) => {
                close_sockets(&local, out);
                out.report(id, Report::Refused { status, reason });
            }
        }
    }

    /// Starts recording an endpoint → [`Sink::record`], [`Sink::end_recording`]. Ends with it at the
    /// latest.
    pub fn record(
        &mut self,
        recording: RecordingId,
        endpoint: EndpointId,
        terms: Terms,
        now: Instant,
        out: &mut impl Sink,
    ) {
        match self.may_record(recording, endpoint) {
            Ok(slot) => self.begin_recording(recording, slot, terms, now),
            Err(reason) => out.end_recording(recording, RecordingEnd::Refused { reason }),
        }
    }

    /// Starts recording what all members of a mix say → [`Sink::record`], [`Sink::end_recording`]. Opens
    /// the mix if needed, and keeps it open. Ends only on request.
    pub fn record_mix(
        &mut self,
        recording: RecordingId,
        mix: MixId,
        trim: bool,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let place = self.mix_or_new(mix, now);
        let taken = self.mixes.get(place).is_none_or(|mix| mix.is_recorded());
        if taken || self.recording_names.contains_key(&recording) {
            let reason = "the recording exists already";
            out.end_recording(recording, RecordingEnd::Refused { reason });
            return self.close_unused_mix(place);
        }
        let terms = Terms {
            part: Part::Sent,
            silence: None,
            trim,
        };
        let slot = self.insert_recording(recording, Object::Mix(mix), terms, now);
        if let Some(mix) = self.mixes.get_mut(place) {
            mix.recording = Some(slot);
        }
        self.wake(place, now);
    }

    /// Starts handing out the audio from an endpoint, without what is played to it →
    /// [`Sink::record`], [`Sink::end_recording`]. Ends as a recording does.
    pub fn listen(
        &mut self,
        recording: RecordingId,
        endpoint: EndpointId,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let terms = Terms {
            part: Part::Heard,
            ..Terms::default()
        };
        self.record(recording, endpoint, terms, now, out);
    }

    /// Starts handing out what an endpoint hears: what is played to it, and its bridge or mix →
    /// [`Sink::record`], [`Sink::end_recording`]. Ends as a recording does.
    pub fn overhear(
        &mut self,
        recording: RecordingId,
        endpoint: EndpointId,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let terms = Terms {
            part: Part::Sent,
            ..Terms::default()
        };
        self.record(recording, endpoint, terms, now, out);
    }

    /// Carries out a request. If it names an endpoint that does not exist it is ignored, unless a
    /// reply is due.
    pub fn handle_control(&mut self, control: Control, now: Instant, out: &mut impl Sink) {
        match control {
            Control::Remote { endpoint, sdp } => self.remote(endpoint, &sdp, now, out),
            Control::Renegotiate {
                endpoint,
                req,
                offer,
            } => {
                let sdp = self.renegotiate(endpoint, offer, now);
                out.report(endpoint, Report::Renegotiated { req, sdp });
            }
            Control::Play {
                endpoint,
                play,
                audio,
                times,
                interrupts,
            } => {
                let player = Player::new(play, audio, times).map(Playing::Prompt);
                self.play((endpoint, interrupts), play, player, now, out);
            }
            Control::PlayLive { endpoint, play } => {
                let live = Playing::Live(Live::new(play));
                self.play((endpoint, false), play, Some(live), now, out);
            }
            Control::Feed {
                endpoint,
                play,
                audio,
            } => {
                let dropped = self.live(endpoint, play).map_or(0, |live| live.push(audio));
                if dropped > 0 {
                    let samples = dropped;
                    out.report(endpoint, Report::Overflow { play, samples });
                }
            }
            Control::Mark {
                endpoint,
                play,
                mark,
            } => {
                // One mark too many is passed early, so that its sender does not wait for ever.
                if self
                    .live(endpoint, play)
                    .is_some_and(|live| !live.mark(mark))
                {
                    out.report(endpoint, Report::Marked { play, mark });
                }
            }
            Control::ClearLive { endpoint, play } => {
                if let Some(live) = self.live(endpoint, play) {
                    live.clear();
                }
            }
            Control::SendDigits {
                endpoint,
                play,
                digits,
                interrupts,
            } => {
                let keys = Keys::new(play, &digits).map(Playing::Keys);
                self.play((endpoint, interrupts), play, keys, now, out);
            }
            Control::PassKey { endpoint, key } => self.pass_key(endpoint, key, now),
            Control::ListenDigits { endpoint, on } => self.listen_digits(endpoint, on),
            Control::StopPlay { endpoint, play } => {
                let slot = self.slot(endpoint);
                self.stop_play(slot, play, out);
            }
            Control::Bridge { a, b } => self.bridge(a, b, out),
            Control::Unbridge { a, b } => self.unbridge(a, b),
            Control::Join {
                endpoint,
                mix,
                talk,
                hear,
                coaches,
            } => {
                let role = Role {
                    talk,
                    hear,
                    coaches,
                };
                self.join(endpoint, mix, role, now);
            }
            Control::Leave { endpoint } => {
                let slot = self.slot(endpoint);
                self.unjoin(slot);
            }
            Control::PauseRecord { recording, pause } => {
                let slot = self.recording_names.get(&recording);
                let recording = slot.and_then(|slot| self.recordings.get_mut(*slot));
                if let Some(recording) = recording {
                    recording.pause(pause, now);
                }
            }
            Control::DetectAnswerer {
                endpoint,
                recording,
                timing,
            } => self.detect_answerer(endpoint, recording, timing, now),
            Control::StopRecord { recording } => {
                let slot = self.recording_names.get(&recording).copied();
                self.end_recording(slot, now, out);
            }
            Control::Close { endpoint } => {
                let slot = self.slot(endpoint);
                self.close(slot, now, out);
            }
        }
    }

    /// Processes a datagram; it is rewritten in place if it is forwarded.
    pub fn handle_datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        mut datagram: Datagram<'_>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let Some(slot) = self.sockets.get(socket.0).copied().flatten() else {
            return;
        };
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        match classify(datagram.bytes()) {
            Kind::Rtp if endpoint.local.rtp == socket => {
                if let Some(incoming) = endpoint.receive(from, &mut datagram, now) {
                    self.handle_rtp(slot, &incoming, &mut datagram, now, out);
                }
            }
            Kind::Rtcp => {
                if endpoint.receive_rtcp(from, &mut datagram, &self.clock, now) {
                    self.watch_silence(slot);
                }
            }
            Kind::Rtp | Kind::Stun | Kind::Dtls | Kind::Unknown => endpoint.count_strange(from),
        }
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Sink) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Play(slot) => self.play_frame(slot, at, now, out),
                Timer::Record(slot) => self.record_frame(slot, at, out),
                Timer::Mix(slot) => self.mix_frame(slot, at, now, out),
                Timer::Rtcp(slot) => self.send_rtcp(slot, at, now, out),
                Timer::Silence(slot) => self.check_silence(slot, at, now, out),
            }
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// Number of open endpoints.
    pub fn endpoints(&self) -> usize {
        self.names.len()
    }

    fn slot(&self, endpoint: EndpointId) -> Option<usize> {
        self.names.get(&endpoint).copied()
    }

    fn endpoint(&mut self, slot: Option<usize>) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(slot?).map(Box::as_mut)
    }

    fn insert(&mut self, endpoint: Box<Endpoint>) -> usize {
        let (id, local) = (endpoint.id, endpoint.local);
        let slot = self.endpoints.insert(endpoint);
        self.names.insert(id, slot);
        for SocketId(socket) in [local.rtp, local.rtcp] {
            if socket >= self.sockets.len() {
                self.sockets.resize(socket + 1, None);
            }
            self.sockets[socket] = Some(slot);
        }
        slot
    }

    fn close(&mut self, slot: Option<usize>, now: Instant, out: &mut impl Sink) {
        self.end_play(slot, true, out);
        self.end_play(slot, false, out);
        let Some(endpoint) = slot.and_then(|slot| self.remove(slot)) else {
            return;
        };
        for tap in &endpoint.taps {
            self.end_recording(Some(tap.recording), now, out);
        }
        close_sockets(&endpoint.local, out);
        let stats = endpoint.stats();
        endpoint.report(out, Report::Closed { stats });
    }

    /// Removes an endpoint from all tables except that of its recordings.
    fn remove(&mut self, slot: usize) -> Option<Box<Endpoint>> {
        self.unjoin(Some(slot));
        let endpoint = self.endpoints.remove(slot)?;
        self.names.remove(&endpoint.id);
        for SocketId(socket) in [endpoint.local.rtp, endpoint.local.rtcp] {
            if let Some(entry) = self.sockets.get_mut(socket) {
                *entry = None;
            }
        }
        Some(endpoint)
    }

    fn remote(&mut self, id: EndpointId, sdp: &str, now: Instant, out: &mut impl Sink) {
        let slot = self.slot(id);
        let accepted = match self.endpoint(slot) {
            Some(endpoint) => endpoint.accept(sdp, now),
            None => Err((481, NO_ENDPOINT.to_owned())),
        };
        let report = match accepted {
            Ok(()) => Report::RemoteSet,
            Err((status, reason)) => Report::Refused { status, reason },
        };
        out.report(id, report);
        slot.into_iter().for_each(|slot| self.watch(slot, now));
    }

    fn renegotiate(
        &mut self,
        id: EndpointId,
        offer: Option<String>,
        now: Instant,
    ) -> Result<String, String> {
        let slot = self.slot(id).ok_or(NO_ENDPOINT)?;
        let endpoint = self.endpoint(Some(slot)).ok_or(NO_ENDPOINT)?;
        let sdp = match offer {
            Some(offer) => endpoint.answer(&offer, now).map_err(|(_, reason)| reason)?,
            None => endpoint.offer(),
        };
        self.watch(slot, now);
        Ok(sdp)
    }

    /// Replaces the current play; with `None`, the new play ends at once.
    ///
    /// - `interrupts`: replaces only a play that interrupts, too; the other one waits.
    fn play(
        &mut self,
        (id, interrupts): (EndpointId, bool),
        play: PlayId,
        playing: Option<Playing>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let slot = self.slot(id);
        self.end_play(slot, interrupts, out);
        let Some((slot, endpoint)) = slot.zip(self.endpoint(slot)) else {
            let stopped = true;
            out.report(id, Report::PlayDone { play, stopped });
            return;
        };
        let Some(playing) = playing else {
            let stopped = false;
            out.report(id, Report::PlayDone { play, stopped });
            return;
        };
        endpoint.plays.begin(playing, interrupts);
        self.begin_frames(slot, now);
    }

    /// A live play in progress.
    fn live(&mut self, endpoint: EndpointId, play: PlayId) -> Option<&mut Live> {
        let slot = self.slot(endpoint);
        match self.endpoint(slot)?.plays.main_mut() {
            Some(Playing::Live(live)) if live.play == play => Some(live),
            Some(Playing::Live(_) | Playing::Prompt(_) | Playing::Keys(_)) | None => None,
        }
    }

    fn begin_frames(&mut self, slot: usize, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        // The new play keeps the tick of the one just stopped, so frames do not overlap.
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

    /// Ends the play that interrupts, or the other one.
    fn end_play(&mut self, slot: Option<usize>, interrupts: bool, out: &mut impl Sink) {
        if let Some(endpoint) = self.endpoint(slot)
            && let Some(playing) = endpoint.plays.end(interrupts)
        {
            endpoint.out.interrupt();
            endpoint.report_done(playing.play(), true, out);
        }
    }

    /// Ends the named play if it is in progress or waits.
    fn stop_play(&mut self, slot: Option<usize>, play: PlayId, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoint(slot) else {
            return;
        };
        if let Some(playing) = endpoint.plays.end_named(play) {
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
        let play = endpoint.plays.current().and_then(Playing::play);
        let mut samples = [0; MAX_FRAME];
        match endpoint.play_frame(&mut samples, at, now, out) {
            Frame::Ended => {
                endpoint.plays.end_current();
                endpoint.out.interrupt();
                endpoint.report_done(play, false, out);
                if endpoint.is_fed() || !endpoint.plays.are_over() {
                    self.begin_frames(slot, now);
                }
            }
            Frame::Played { next_at, sent } => {
                if let Some(header) = sent {
                    let samples = &samples[..endpoint.frame_samples()];
                    let header = recorder::played_header(&header, at, self.clock.started);
                    for tap in &endpoint.taps {
                        if let Some(recording) = self.recordings.get_mut(tap.recording) {
                            recording.play(&header, samples, now);
                        }
                    }
                }
                self.arm_play(slot, next_at);
            }
        }
    }

    /// - `leg`: slot of its endpoint
    fn begin_recording(&mut self, name: RecordingId, leg: usize, terms: Terms, now: Instant) {
        let Some(id) = self.endpoints.get(leg).map(|endpoint| endpoint.id) else {
            return;
        };
        let recording = self.insert_recording(name, Object::Endpoint(id), terms, now);
        if let Some(endpoint) = self.endpoints.get_mut(leg) {
            let part = terms.part;
            endpoint.taps.push(Tap { recording, part });
        }
    }

    fn insert_recording(
        &mut self,
        name: RecordingId,
        of: Object,
        terms: Terms,
        now: Instant,
    ) -> usize {
        let next_at = self.align(now + recorder::BEHIND);
        let recording = Recording::new(name, of, terms, now, next_at);
        let slot = self.recordings.insert(recording);
        self.recording_names.insert(name, slot);
        self.timers.arm(next_at, Timer::Record(slot));
        slot
    }

    /// The slot of an endpoint that can be recorded under this name.
    fn may_record(&self, name: RecordingId, id: EndpointId) -> Result<usize, &'static str> {
        if self.recording_names.contains_key(&name) {
            return Err("the recording exists already");
        }
        let slot = self.slot(id).ok_or(NO_ENDPOINT)?;
        let endpoint = self.endpoints.get(slot).ok_or(NO_ENDPOINT)?;
        if endpoint.taps.len() >= MAX_TAPS {
            return Err("too many recordings");
        }
        Ok(slot)
    }

    fn record_frame(&mut self, slot: usize, at: Instant, out: &mut impl Sink) {
        let due = self
            .recordings
            .get_mut(slot)
            .filter(|recording| recording.next_at == at);
        let Some(recording) = due else { return };
        if recording.answerer.is_some() {
            return self.hear_answerer(slot, at, out);
        }
        let id = recording.id;
        let silent = recording.frame(at, |samples| out.record(id, samples));
        if let (true, Object::Endpoint(endpoint)) = (silent, recording.of) {
            out.report(endpoint, Report::RecordSilence { recording: id });
        }
        self.timers.arm(recording.next_at, Timer::Record(slot));
    }

    fn end_recording(&mut self, slot: Option<usize>, now: Instant, out: &mut impl Sink) {
        let Some(slot) = slot else { return };
        let Some(mut recording) = self.recordings.remove(slot) else {
            return;
        };
        let id = recording.id;
        self.recording_names.remove(&id);
        match recording.of {
            Object::Endpoint(endpoint) => {
                let leg = self.slot(endpoint);
                if let Some(endpoint) = self.endpoint(leg) {
                    endpoint.taps.retain(|tap| tap.recording != slot);
                }
            }
            Object::Mix(mix) => self.forget_recording(mix),
        }
        if recording.answerer.is_some() {
            return;
        }
        let (samples, keep) = recording.finish(now, |samples| out.record(id, samples));
        out.end_recording(id, RecordingEnd::Finished { samples, keep });
    }

    /// Arms the timers that an agreement requires.
    fn watch(&mut self, slot: usize, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if endpoint.is_agreed() && endpoint.rtcp_due.is_none() {
            // The first report comes after half the interval (RFC 3550 §6.2).
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
