//! Keys: detected, pressed, and converted between legs that send them in different ways.
//!
//! A leg that agreed on telephone-event sends its keys as events; any other sends them as tones,
//! which are searched for only on request or if the bridged leg takes events. **Invariant: each key
//! is reported once, and reaches the bridged leg by the one way that leg takes.** Left to others:
//! how one key is distinguished from the next, and frames.

use super::{Engine, MAX_SAMPLES};
use crate::control::Sink;
use crate::endpoint::{Content, EventKey, Incoming, Playing};
use crate::keys::{Key, Keys};
use crate::report::{DigitWay, EndpointId, Report};
use crate::sound::Sound;
use audio::dtmf::Change;
use rtp_proto::dtmf;
use std::time::Instant;

/// A key takes at least 25 ms to go down, and at most one goes up with it.
const MAX_CHANGES: usize = 2 * (MAX_SAMPLES / 200 + 1);

impl Engine {
    /// Reports the keys in an accepted packet, and converts them if the bridged leg takes them in
    /// another way.
    pub(super) fn handle_keys(
        &mut self,
        slot: usize,
        incoming: &Incoming,
        sound: Option<&Sound<'_>>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        match incoming.content {
            Content::Event(key) => {
                let Some(key) = self.report_digit(slot, key, now, out) else {
                    return;
                };
                let peer = self.peer(slot);
                let peer = peer.filter(|peer| !self.forwards_events(slot, *peer));
                if let Some(peer) = peer {
                    self.pass_on_event(peer, key, now);
                }
            }
            Content::Audio(_) => {
                let Some(sound) = sound else { return };
                let peer = self.peer(slot).filter(|peer| self.takes_events(*peer));
                let Some(endpoint) = self.endpoints.get_mut(slot) else {
                    return;
                };
                let Some(ears) = endpoint.ears(peer.is_some()) else {
                    return;
                };
                let mut changes = [None; MAX_CHANGES];
                let mut free = changes.iter_mut();
                ears.hear(sound, |change| {
                    if let Some(place) = free.next() {
                        *place = Some(change);
                    }
                });
                let held = ears.is_down().then_some(Key::Held);
                let listening = endpoint.listening;
                let id = endpoint.id;
                let keys = changes.into_iter().flatten().map(|change| match change {
                    Change::Down(digit) => Key::Down(digit),
                    Change::Up => Key::Up,
                });
                for key in keys.chain(held) {
                    // Tones need no gate: a key takes 25 ms to be recognized.
                    if let (Key::Down(digit), true) = (key, listening) {
                        let way = DigitWay::Tone;
                        out.report(id, Report::Digit { digit, way });
                    }
                    if let Some(peer) = peer {
                        self.pass_on(peer, key, now);
                    }
                }
            }
        }
    }

    /// Starts or stops searching for tones.
    pub(super) fn listen_digits(&mut self, endpoint: EndpointId, on: bool) {
        let slot = self.slot(endpoint);
        if let Some(endpoint) = self.endpoint(slot) {
            endpoint.listening = on;
        }
    }

    /// Passes on a key that the bridged leg signalled outside its media.
    pub(super) fn pass_key(&mut self, endpoint: EndpointId, key: char, now: Instant) {
        if let (Some(slot), Some(_)) = (self.slot(endpoint), dtmf::code_of(key)) {
            self.pass_on(slot, Key::Down(key), now);
            self.pass_on(slot, Key::Up, now);
        }
    }

    /// Reports a key if this is the first packet of a press; returns the part to pass on.
    fn report_digit(
        &mut self,
        slot: usize,
        key: EventKey,
        now: Instant,
        out: &mut impl Sink,
    ) -> Option<EventKey> {
        if let (Some(digit), Some(endpoint)) = (key.pressed, self.endpoints.get_mut(slot)) {
            if !endpoint.admits_key(now) {
                return None;
            }
            let way = DigitWay::Event;
            endpoint.report(out, Report::Digit { digit, way });
        }
        Some(key)
    }

    /// True if event packets from one leg go to the other as they are. A leg whose audio is
    /// generated on its own clock also gets its keys generated on that clock.
    fn forwards_events(&self, from: usize, to: usize) -> bool {
        self.takes_events(to) && !self.recodes(from, to)
    }

    pub(super) fn takes_events(&self, slot: usize) -> bool {
        self.endpoints
            .get(slot)
            .is_some_and(|endpoint| endpoint.sends_events())
    }

    fn pass_on_event(&mut self, peer: usize, key: EventKey, now: Instant) {
        let pressed = key.pressed.map(Key::Down);
        let after = if key.down { Key::Held } else { Key::Up };
        for key in pressed.into_iter().chain([after]) {
            self.pass_on(peer, key, now);
        }
    }

    /// Presses a key towards a leg, as an event or a tone. Keys are lost while something is played
    /// there, as the sound of the other leg is.
    fn pass_on(&mut self, slot: usize, key: Key, now: Instant) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        match (endpoint.plays.current_mut(), key) {
            (Some(Playing::Keys(keys)), key) if keys.play.is_none() => keys.relay_key(key, now),
            (None, Key::Down(_)) => {
                let mut keys = Keys::relay();
                keys.relay_key(key, now);
                endpoint.plays.begin(Playing::Keys(keys), false);
                self.begin_frames(slot, now);
            }
            (Some(_), _) | (None, Key::Held | Key::Up) => {}
        }
    }
}
