//! Distributes an accepted packet: to recordings, to the key detector, and to what its endpoint is
//! joined to.
//!
//! **Invariant: a packet is decoded at most once, and only if its samples are needed.** Left to others: what
//! is accepted (`endpoint`), and the frames made from the audio (`sound`, `mix`).

use super::Engine;
use crate::control::Sink;
use crate::datagram::Datagram;
use crate::endpoint::{Content, Incoming, Joined};
use crate::report::Report;
use crate::sound::{Path, Sound};
use audio::codec::OctetMap;
use std::time::Instant;

impl Engine {
    pub(super) fn handle_rtp(
        &mut self,
        slot: usize,
        incoming: &Incoming,
        datagram: &mut Datagram<'_>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(slot) else {
            return;
        };
        if incoming.first {
            endpoint.report(out, Report::Heard);
        }
        let joined = endpoint.joined;
        let path = self.path(slot, joined, incoming.content);
        // Taken out while a sound borrows it.
        let mut samples = std::mem::take(&mut self.samples);
        let sound = self.decode(slot, path, incoming, datagram.bytes(), &mut samples);
        if let (Some(sound), Some(endpoint)) = (&sound, self.endpoints.get(slot)) {
            for tap in &endpoint.taps {
                if let Some(recording) = self.recordings.get_mut(tap.recording) {
                    recording.hear(sound, now);
                }
            }
        }
        if let (Some(sound), Joined::Peer(peer)) = (&sound, joined) {
            self.overhear_bridge(peer, sound, now);
        }
        self.handle_keys(slot, incoming, sound.as_ref(), now, out);
        if incoming.ends_silence {
            self.watch_silence(slot);
        }
        match (joined, path) {
            (Joined::Peer(peer), Some(Path::Recode)) => self.recode(peer, sound.as_ref(), now),
            (Joined::Peer(peer), Some(Path::Forward)) => {
                self.forward(peer, datagram, incoming, None, now, out);
            }
            (Joined::Peer(peer), Some(Path::Map(map))) => {
                self.forward(peer, datagram, incoming, Some(map), now, out);
            }
            (Joined::Mix { mix, member }, _) => {
                if let Some(sound) = &sound {
                    self.hear_member((mix, member), sound, now);
                }
            }
            (Joined::Peer(_) | Joined::Nothing, _) => {}
        }
        self.samples = samples;
    }

    /// How a packet of an endpoint reaches its peer; `None` if it does not.
    fn path(&self, slot: usize, joined: Joined, content: Content) -> Option<Path> {
        let Joined::Peer(peer) = joined else {
            return None;
        };
        match content {
            Content::Audio(codec) => self.endpoints.get(peer)?.path_from(codec),
            // Keys that are not forwarded are generated anew; see `keys`.
            Content::Event(_) => (!self.recodes(slot, peer)).then_some(Path::Forward),
        }
    }

    pub(super) fn recodes(&self, from: usize, to: usize) -> bool {
        match (self.endpoints.get(from), self.endpoints.get(to)) {
            (Some(from), Some(to)) => to.recodes(from),
            (_, _) => false,
        }
    }

    /// Decodes a packet if its samples are needed.
    fn decode<'a>(
        &mut self,
        slot: usize,
        path: Option<Path>,
        incoming: &Incoming,
        bytes: &[u8],
        samples: &'a mut [i16],
    ) -> Option<Sound<'a>> {
        let Content::Audio(codec) = incoming.content else {
            return None;
        };
        let peer = self.peer(slot);
        let events = peer.is_some_and(|peer| self.takes_events(peer));
        let peer = peer.and_then(|peer| self.endpoints.get(peer));
        let overheard = peer.is_some_and(|peer| peer.is_overheard());
        let endpoint = self.endpoints.get_mut(slot)?;
        let recodes = matches!(path, Some(Path::Recode));
        let mixed = match endpoint.joined {
            // A member that does not talk costs no decoding.
            Joined::Mix { mix, member } => self.mixes.get(mix).is_some_and(|mix| mix.talks(member)),
            Joined::Peer(_) | Joined::Nothing => false,
        };
        let tapped = overheard || endpoint.is_tapped();
        let needed = recodes || mixed || tapped || endpoint.searches(events);
        needed.then(|| endpoint.decode(incoming, codec, bytes, samples))
    }

    /// Hands out a packet that an endpoint hears of its bridge.
    fn overhear_bridge(&mut self, peer: usize, sound: &Sound<'_>, now: Instant) {
        let Some(endpoint) = self.endpoints.get(peer) else {
            return;
        };
        if endpoint.is_overheard() {
            for tap in &endpoint.taps {
                if let Some(recording) = self.recordings.get_mut(tap.recording) {
                    recording.hear_bridged(sound, now);
                }
            }
        }
    }

    fn recode(&mut self, peer: usize, sound: Option<&Sound<'_>>, now: Instant) {
        if let (Some(sound), Some(endpoint)) = (sound, self.endpoints.get_mut(peer)) {
            endpoint.feed(sound, now);
            self.begin_frames(peer, now);
        }
    }

    fn forward(
        &mut self,
        peer: usize,
        datagram: &mut Datagram<'_>,
        incoming: &Incoming,
        map: Option<&OctetMap>,
        now: Instant,
        out: &mut impl Sink,
    ) {
        if let Some(peer) = self.endpoints.get_mut(peer) {
            peer.rest_feed();
            peer.relay(datagram, incoming, map, now, out);
        }
    }
}
