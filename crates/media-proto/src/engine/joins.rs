//! Joins endpoints: two of them, or many in a mix.
//!
//! **Invariant: an endpoint is joined to one other, to one mix or to nothing**, and both sides know
//! it: peers name each other, and a mix lists the member that names it. Left to others: relaying a
//! packet (`endpoint`), and who is heard in a mix (`mix`).

use super::Engine;
use crate::control::Sink;
use crate::endpoint::Joined;
use crate::mix::{self, Mix, Role};
use crate::recorder;
use crate::report::{EndpointId, MixId};
use crate::sound::Sound;
use crate::timers::{TOO_LATE, Timer};
use std::time::Instant;

impl Engine {
    pub(super) fn bridge(&mut self, a: EndpointId, b: EndpointId, out: &mut impl Sink) {
        let (a, b) = (self.slot(a), self.slot(b));
        let (Some(a), Some(b)) = (a, b) else {
            // The one that exists still leaves what it was joined to.
            self.unjoin(a.or(b));
            return;
        };
        for (slot, peer) in [(a, b), (b, a)] {
            self.end_play(Some(slot), false, out);
            self.unjoin(Some(slot).filter(|_| self.peer(slot) != Some(peer)));
        }
        for (slot, peer) in [(a, b), (b, a)] {
            if let Some(endpoint) = self.endpoints.get_mut(slot) {
                endpoint.joined = Joined::Peer(peer);
            }
        }
    }

    pub(super) fn unbridge(&mut self, a: EndpointId, b: EndpointId) {
        let (a, b) = (self.slot(a), self.slot(b));
        if b.is_some() && a.and_then(|slot| self.peer(slot)) == b {
            self.unjoin(a);
        }
    }

    pub(super) fn join(&mut self, endpoint: EndpointId, id: MixId, role: Role, now: Instant) {
        let Some(slot) = self.slot(endpoint) else {
            return;
        };
        let known = self.mix_names.get(&id).copied();
        if let (Some(known), Some(Joined::Mix { mix, member })) = (known, self.joined(slot))
            && known == mix
        {
            if let Some(mix) = self.mixes.get_mut(mix) {
                mix.change(member, role);
            }
            return self.wake(mix, now);
        }
        self.unjoin(Some(slot));
        let place = self.mix_or_new(id, now);
        self.wake(place, now);
        let Some(mix) = self.mixes.get_mut(place) else {
            return;
        };
        let member = mix.add(endpoint, slot, role);
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.joined = Joined::Mix { mix: place, member };
            if endpoint.plays.are_over() {
                endpoint.out.interrupt();
            }
        }
    }

    /// Detaches an endpoint from what it is joined to, on both sides.
    pub(super) fn unjoin(&mut self, slot: Option<usize>) {
        let Some(slot) = slot else { return };
        match self.joined(slot) {
            Some(Joined::Peer(peer)) => {
                self.part(slot);
                self.part(peer);
            }
            Some(Joined::Mix { mix, member }) => {
                self.part(slot);
                if let Some(mix) = self.mixes.get_mut(mix) {
                    mix.take(member);
                }
                self.close_unused_mix(mix);
            }
            Some(Joined::Nothing) | None => {}
        }
    }

    pub(super) fn peer(&self, slot: usize) -> Option<usize> {
        match self.joined(slot)? {
            Joined::Peer(peer) => Some(peer),
            Joined::Nothing | Joined::Mix { .. } => None,
        }
    }

    /// Adds a mix member's packet.
    pub(super) fn hear_member(
        &mut self,
        (mix, member): (usize, usize),
        sound: &Sound<'_>,
        now: Instant,
    ) {
        let place = self.mixes.get_mut(mix);
        if place.is_some_and(|mix| mix.hear(member, sound, now)) {
            self.wake(mix, now);
        }
    }

    /// Ends the rest of a mix. Its next frames are a new talk spurt for each member.
    pub(super) fn wake(&mut self, slot: usize, now: Instant) {
        let at = self.align(now);
        let Some(mix) = self.mixes.get_mut(slot) else {
            return;
        };
        if !mix.wake(at) {
            return;
        }
        self.timers.arm(mix.next_at, Timer::Mix(slot));
        for (listener, _) in mix.listeners() {
            if let Some(endpoint) = self.endpoints.get_mut(listener)
                && endpoint.plays.are_over()
            {
                endpoint.out.interrupt();
            }
        }
    }

    /// Mixes the frame due at `at`, and sends it to all members that hear the mix.
    pub(super) fn mix_frame(
        &mut self,
        slot: usize,
        at: Instant,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let late = now.saturating_duration_since(at) > TOO_LATE;
        let resume_at = self.align(now);
        let mix = self.mixes.get_mut(slot).filter(|mix| mix.next_at == at);
        let Some(mix) = mix else { return };
        if late {
            mix.next_at = resume_at;
        } else {
            let rested = mix.rests();
            mix.frame(at);
            let recording = mix.recording.and_then(|slot| self.recordings.get_mut(slot));
            if let Some(recording) = recording {
                let mut samples = [0; mix::FRAME];
                mix.heard_by(None, &mut samples);
                let header = recorder::played_header(&mix.header(), at, self.clock.started);
                recording.play(&header, &samples, now);
            }
            let mut encoded = std::mem::take(&mut mix.encoded);
            encoded.begin_frame();
            for (listener, place) in mix.listeners() {
                let Some(endpoint) = self.endpoints.get_mut(listener) else {
                    continue;
                };
                if rested {
                    endpoint.skip_rest(at);
                }
                let sent = endpoint.send_mix(mix, place, &mut encoded, at, now, out);
                if let (Some(header), true) = (sent, endpoint.is_overheard()) {
                    let mut samples = [0; mix::FRAME];
                    mix.heard_by(place.apart(), &mut samples);
                    let header = recorder::played_header(&header, at, self.clock.started);
                    for tap in &endpoint.taps {
                        if let Some(recording) = self.recordings.get_mut(tap.recording) {
                            recording.play(&header, &samples, now);
                        }
                    }
                }
            }
            mix.encoded = encoded;
        }
        self.timers.arm(mix.next_at, Timer::Mix(slot));
    }

    /// The mix of this name, opened if it does not exist.
    pub(super) fn mix_or_new(&mut self, id: MixId, now: Instant) -> usize {
        if let Some(known) = self.mix_names.get(&id) {
            return *known;
        }
        let at = self.align(now);
        let slot = self.mixes.insert(Box::new(Mix::new(id, at)));
        self.mix_names.insert(id, slot);
        self.timers.arm(at, Timer::Mix(slot));
        slot
    }

    /// Closes a mix that has neither members nor a recording.
    pub(super) fn close_unused_mix(&mut self, slot: usize) {
        if self.mixes.get(slot).is_some_and(|mix| mix.is_unused())
            && let Some(mix) = self.mixes.remove(slot)
        {
            self.mix_names.remove(&mix.id);
        }
    }

    /// The recording of a mix has ended.
    pub(super) fn forget_recording(&mut self, id: MixId) {
        let Some(slot) = self.mix_names.get(&id).copied() else {
            return;
        };
        if let Some(mix) = self.mixes.get_mut(slot) {
            mix.recording = None;
        }
        self.close_unused_mix(slot);
    }

    fn joined(&self, slot: usize) -> Option<Joined> {
        self.endpoints.get(slot).map(|endpoint| endpoint.joined)
    }

    fn part(&mut self, slot: usize) {
        if let Some(endpoint) = self.endpoints.get_mut(slot) {
            endpoint.joined = Joined::Nothing;
            endpoint.end_feed();
            endpoint.out.interrupt();
        }
    }
}
