//! The members of a mix: which of them are heard in a frame, and what each of them hears.
//!
//! Each talker has a jitter buffer with loss concealment. Every 20 ms one frame of each is taken, the
//! loudest few are summed once, and each of them hears the sum without its own frame; all
//! others hear the same sum, so that it is encoded once per codec. A codec with memory needs more: a
//! phone's decoder can follow only one encoder, so each member that may talk keeps its own encoder.
//!
//! A coach is heard by one member only: its samples are not in the sum, but added to what that member
//! hears, which therefore has its own encoding; it costs nobody else anything.
//!
//! Once nothing has been audible for a second, an unrecorded mix *rests*: it makes one frame of silence
//! a second, which keeps NATs and the timeouts of the phones from expiring, until somebody is heard.
//! **Invariant: no member hears itself, and a frame allocates nothing.** Left to others: packets
//! (`endpoint`), when a frame is due ([`crate::engine`]).

use crate::report::{EndpointId, MixId};
use crate::slots::Slots;
use crate::sound::{Feed, Sound, Voice};
use audio::Codec;
use rtp_proto::Header;
use rtp_proto::jitter::{Delay, Played};
use std::time::{Duration, Instant};

/// Samples per second of a mix; audio for its members is converted from this rate.
pub(crate) const RATE: u32 = audio::RATE;
/// Samples mixed at a time: 20 ms.
pub(crate) const FRAME: usize = RATE as usize / 50;
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Frames without sound before a mix rests: one second.
const FRAMES_BEFORE_REST: u8 = 50;
/// Time between the frames of a mix that rests.
const REST_TIME: Duration = Duration::from_secs(1);
/// The largest sample of a packet that says nothing: A-law has no smaller one.
const INAUDIBLE: u16 = 8;
/// Maximum talkers in the sum; more would only be noise.
const LOUDEST: usize = 8;
/// How long a talker's packets wait for late ones: minimum and maximum.
const DELAY: Delay = Delay::Adaptive {
    min: Duration::from_millis(20),
    max: Duration::from_millis(200),
};
/// Above this level the sum is compressed towards the limit, so that it never clips hard.
const KNEE: i32 = 24_000;

/// Whether a member talks, hears, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) talk: bool,
    pub(crate) hear: bool,
    /// The only member that hears it; `None`: all do.
    pub(crate) coaches: Option<EndpointId>,
}

/// How a member takes part in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It only listens.
    Listener,
    /// It may talk, but hears the whole sum.
    Talker,
    /// It hears something of its own: its samples are in the sum, or it may have a coach. The value is
    /// its member number.
    Apart(usize),
}

impl Place {
    /// The member that hears something of its own.
    pub(crate) const fn apart(self) -> Option<usize> {
        match self {
            Self::Apart(member) => Some(member),
            Self::Listener | Self::Talker => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Mix {
    pub(crate) id: MixId,
    /// When the next frame is due.
    pub(crate) next_at: Instant,
    members: Slots<Member>,
    sum: [i32; FRAME],
    /// Frames made; wraps.
    frames: u16,
    /// Slot of its recording.
    pub(crate) recording: Option<usize>,
    pub(crate) encoded: Encoded,
    /// Frames without sound since the last one with sound.
    quiet: u8,
}

#[derive(Debug)]
struct Member {
    endpoint: EndpointId,
    /// Slot of its endpoint.
    slot: usize,
    hears: bool,
    /// The only member that hears it.
    coaches: Option<EndpointId>,
    /// Another member coaches it.
    is_coached: bool,
    /// Present while it talks.
    talker: Option<Box<Talker>>,
}

#[derive(Debug)]
struct Talker {
    heard: Feed,
    /// Its part of the current frame.
    samples: [i16; FRAME],
    /// Its recent loudness; falls slowly, so that a pause between words changes nothing.
    level: u32,
    /// `samples` is audible.
    is_audible: bool,
    /// `samples` is in the sum.
    is_summed: bool,
}

/// The whole sum as one stream for each codec, shared by all members that do not need their own: a
/// frame is encoded at most once per codec.
#[derive(Debug, Default)]
pub(crate) struct Encoded([Option<Stream>; Codec::COUNT]);

#[derive(Debug)]
struct Stream {
    voice: Voice,
    payload: Option<Payload>,
}

impl Encoded {
    /// Discards the encoded frames, since the sum has changed.
    pub(crate) fn begin_frame(&mut self) {
        for stream in self.0.iter_mut().flatten() {
            stream.payload = None;
        }
    }

    /// The current frame, encoded in a codec.
    pub(crate) fn payload(&mut self, codec: Codec, mix: &Mix) -> Option<&Payload> {
        let stream = self
            .0
            .get_mut(codec.index())?
            .get_or_insert_with(|| Stream {
                voice: Voice::new(codec),
                payload: None,
            });
        let Stream { voice, payload } = stream;
        Some(payload.get_or_insert_with(|| Payload::new(voice, mix, None)))
    }
}

/// An encoded frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload {
    octets: [u8; FRAME],
    len: usize,
}

impl Payload {
    /// Encodes the current frame as a member hears it; `None`: the whole sum.
    pub(crate) fn new(voice: &mut Voice, mix: &Mix, member: Option<usize>) -> Self {
        let (mut samples, mut octets) = ([0; FRAME], [0; FRAME]);
        mix.heard_by(member, &mut samples);
        let len = voice.encode(&samples, RATE, &mut octets);
        Self { octets, len }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

impl Mix {
    /// A mix without members.
    pub(crate) fn new(id: MixId, next_at: Instant) -> Self {
        Self {
            id,
            next_at,
            members: Slots::default(),
            sum: [0; FRAME],
            frames: 0,
            recording: None,
            encoded: Encoded::default(),
            quiet: 0,
        }
    }

    /// A new member; returns its number.
    pub(crate) fn add(&mut self, endpoint: EndpointId, slot: usize, role: Role) -> usize {
        let member = self.members.insert(Member {
            endpoint,
            slot,
            hears: role.hear,
            coaches: None,
            is_coached: false,
            talker: None,
        });
        self.change(member, role);
        member
    }

    /// Changes whether a member talks or hears.
    pub(crate) fn change(&mut self, member: usize, role: Role) {
        if let Some(member) = self.members.get_mut(member) {
            member.hears = role.hear;
            member.coaches = role.coaches;
            if !role.talk {
                member.talker = None;
            } else if member.talker.is_none() {
                member.talker = Some(Box::new(Talker::new()));
            }
        }
        self.match_coaches();
    }

    /// Removes a member.
    pub(crate) fn take(&mut self, member: usize) {
        self.members.remove(member);
        self.match_coaches();
    }

    /// Notes which members have a coach.
    fn match_coaches(&mut self) {
        let talkers = self.members.iter().filter(|(_, it)| it.talker.is_some());
        let coached: Vec<EndpointId> = talkers.filter_map(|(_, it)| it.coaches).collect();
        for (_, member) in self.members.iter_mut() {
            member.is_coached = coached.contains(&member.endpoint);
        }
    }

    pub(crate) const fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Whether it has neither members nor a recording.
    pub(crate) fn is_unused(&self) -> bool {
        !self.is_recorded() && self.members.iter().next().is_none()
    }

    /// Numbers the current frame for its recording; the time is left out.
    pub(crate) const fn header(&self) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence: self.frames,
            timestamp: 0,
            ssrc: 0,
        }
    }

    pub(crate) fn talks(&self, member: usize) -> bool {
        let member = self.members.get(member);
        member.is_some_and(|member| member.talker.is_some())
    }

    /// Adds a member's packet, if it talks. True if the mix rests and must be woken: the packet is
    /// audible.
    pub(crate) fn hear(&mut self, member: usize, sound: &Sound<'_>, now: Instant) -> bool {
        let rests = self.rests();
        let member = self.members.get_mut(member);
        let Some(talker) = member.and_then(|member| member.talker.as_mut()) else {
            return false;
        };
        // No frame would take an inaudible packet out of the buffer.
        let is_kept = !rests || is_audible(sound.samples);
        if is_kept {
            talker.heard.push(sound, now);
        }
        rests && is_kept
    }

    /// Whether it makes only one frame a second.
    pub(crate) const fn rests(&self) -> bool {
        self.quiet >= FRAMES_BEFORE_REST
    }

    /// Ends its rest, so that its next frame is due at `at`, or 20 ms after its last one if that is later.
    /// False if it does not rest.
    pub(crate) fn wake(&mut self, at: Instant) -> bool {
        let rested = self.rests();
        self.quiet = 0;
        if rested {
            self.next_at = at.max(self.next_at - (REST_TIME - FRAME_TIME));
        }
        rested
    }

    /// Makes the frame due at `at`.
    pub(crate) fn frame(&mut self, at: Instant) {
        self.frames = self.frames.wrapping_add(1);
        if !self.rests() {
            self.sum_frame(at);
        }
        self.next_at += if self.rests() { REST_TIME } else { FRAME_TIME };
    }

    fn sum_frame(&mut self, at: Instant) {
        let mut loudest = Loudest::default();
        let mut is_quiet = !self.is_recorded();
        for (number, member) in self.members.iter_mut() {
            if let Some(talker) = &mut member.talker {
                talker.is_summed = false;
                talker.is_audible = talker.next_frame(at);
                is_quiet &= !(talker.is_audible && is_audible(&talker.samples));
                if talker.is_audible && member.coaches.is_none() {
                    loudest.offer(talker.level, number);
                }
            }
        }
        self.sum = [0; FRAME];
        for number in loudest.numbers() {
            let member = self.members.get_mut(number);
            if let Some(talker) = member.and_then(|member| member.talker.as_mut()) {
                talker.is_summed = true;
                audio::mix::add(&mut self.sum, &talker.samples);
            }
        }
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        if self.rests() {
            self.fall_silent();
        }
    }

    /// Empties what the frames of a rest are made from.
    fn fall_silent(&mut self) {
        self.sum = [0; FRAME];
        for talker in self
            .members
            .iter_mut()
            .filter_map(|(_, it)| it.talker.as_mut())
        {
            talker.heard.clear();
            talker.level = 0;
            talker.is_audible = false;
            talker.is_summed = false;
        }
    }

    /// The members that hear the mix: the slot of each one's endpoint, and how it takes part.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (usize, Place)> + '_ {
        let hear = self.members.iter().filter(|(_, member)| member.hears);
        hear.map(|(number, member)| {
            let place = match &member.talker {
                Some(talker) if talker.is_summed => Place::Apart(number),
                _ if member.is_coached => Place::Apart(number),
                Some(_) => Place::Talker,
                None => Place::Listener,
            };
            (member.slot, place)
        })
    }

    /// The current frame as a member hears it: without its own samples, with those of its coaches.
    /// `None`: the whole sum.
    pub(crate) fn heard_by(&self, member: Option<usize>, out: &mut [i16; FRAME]) {
        let mut sum = self.sum;
        if let Some(member) = member.and_then(|member| self.members.get(member)) {
            let own = member.talker.as_ref().filter(|talker| talker.is_summed);
            if let Some(talker) = own {
                audio::mix::subtract(&mut sum, &talker.samples);
            }
            if member.is_coached {
                self.add_coaches(member.endpoint, &mut sum);
            }
        }
        limit(&sum, out);
    }

    fn add_coaches(&self, of: EndpointId, sum: &mut [i32; FRAME]) {
        let is_coach = |it: &Member| it.coaches == Some(of) && it.endpoint != of;
        let coaches = self.members.iter().filter(|(_, it)| is_coach(it));
        for talker in coaches.filter_map(|(_, coach)| coach.talker.as_ref()) {
            if talker.is_audible {
                audio::mix::add(sum, &talker.samples);
            }
        }
    }
}

impl Talker {
    fn new() -> Self {
        Self {
            heard: Feed::new(DELAY, RATE),
            samples: [0; FRAME],
            level: 0,
            is_audible: false,
            is_summed: false,
        }
    }

    /// Takes its next frame; false if the frame is inaudible.
    fn next_frame(&mut self, at: Instant) -> bool {
        let played = self.heard.pull(&mut self.samples, at);
        let level = match played {
            Played::Silence => 0,
            Played::Audio | Played::Concealed => level(&self.samples),
        };
        self.level = level.max(self.level - self.level / 8);
        played != Played::Silence && level > 0
    }
}

/// The loudest talkers of a frame, loudest first; equally loud ones in order of joining.
#[derive(Debug, Default)]
struct Loudest {
    places: [(u32, usize); LOUDEST],
    taken: usize,
}

impl Loudest {
    fn offer(&mut self, level: u32, number: usize) {
        let taken = &self.places[..self.taken];
        let place = taken.partition_point(|(louder, _)| *louder >= level);
        if place == LOUDEST {
            return;
        }
        self.taken = LOUDEST.min(self.taken + 1);
        self.places[place..self.taken].rotate_right(1);
        self.places[place] = (level, number);
    }

    fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        self.places[..self.taken].iter().map(|(_, number)| *number)
    }
}

/// Whether samples are more than the silence that some phones send all the time.
fn is_audible(samples: &[i16]) -> bool {
    samples
        .iter()
        .any(|sample| sample.unsigned_abs() > INAUDIBLE)
}

/// Sum of the magnitudes of a frame.
fn level(samples: &[i16; FRAME]) -> u32 {
    let magnitudes = samples.iter().map(|sample| sample.unsigned_abs());
    magnitudes.map(u32::from).sum()
}

/// Reduces a sum to 16 bits. Below the knee it is unchanged; above it the excess approaches the
/// remaining range up to full scale without ever reaching it, starting with slope one.
fn limit(sum: &[i32; FRAME], out: &mut [i16; FRAME]) {
    const ROOM: i64 = i16::MAX as i64 - KNEE as i64;
    let peak = sum.iter().map(|sample| sample.unsigned_abs()).max();
    if peak.is_some_and(|peak| peak > KNEE.unsigned_abs()) {
        for (out, sample) in out.iter_mut().zip(sum) {
            let over = i64::from(sample.abs() - KNEE).max(0);
            let kept = i64::from(sample.abs().min(KNEE)) + over * ROOM / (over + ROOM);
            *out = (i64::from(sample.signum()) * kept) as i16;
        }
    } else {
        audio::mix::saturate(sum, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_are_found() {
        let found = |levels: &[u32]| {
            let mut loudest = Loudest::default();
            for (number, level) in levels.iter().enumerate() {
                loudest.offer(*level, number);
            }
            loudest.numbers().collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), [0; 0]);
        assert_eq!(found(&[5, 9, 5]), [1, 0, 2]);
        assert_eq!(
            found(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 1]),
            [8, 9, 7, 6, 5, 4, 3, 2]
        );
    }

    #[test]
    fn loud_sums_are_bent_and_not_clipped() {
        let limited = |sample| {
            let (mut sum, mut out) = ([0; FRAME], [0; FRAME]);
            (sum[0], sum[1]) = (sample, 7);
            limit(&sum, &mut out);
            assert_eq!(out[1], 7);
            i32::from(out[0])
        };
        for same in [0, 1, -1, KNEE, -KNEE] {
            assert_eq!(limited(same), same);
        }
        let mut before = KNEE;
        for loud in [25_000, 32_767, 65_534, 8 * 32_767] {
            let bent = limited(loud);
            assert!(bent > before && bent < 32_767, "{loud} {bent}");
            assert_eq!(limited(-loud), -bent);
            before = bent;
        }
    }
}
