//! Endpoints that move from one engine to another.
//!
//! Everything in progress moves too: the sequence numbers and timestamps of both directions, a
//! play, keys, timers and recordings. **Invariant: nothing is lost on the
//! way**: packets accepted before stay counted, those that arrive meanwhile wait in the sockets,
//! and timers due meanwhile fire late. Left to others: the sockets, and controls that come in
//! between (crate `media`).

use super::Engine;
use crate::control::{Local, Sink, SocketId};
use crate::endpoint::{Endpoint, Tap};
use crate::recorder::Recording;
use crate::report::{EndpointId, RecordingId};
use crate::timers::Timer;
use std::time::Instant;

/// An endpoint between engines, with its recordings.
#[derive(Debug)]
pub struct Parcel {
    endpoint: Box<Endpoint>,
    /// Each with the endpoint's tap.
    recordings: Vec<(Recording, Tap)>,
}

impl Parcel {
    /// The endpoint's identifier.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint.id
    }

    /// Its sockets, numbered as in the engine it left.
    pub fn local(&self) -> Local {
        self.endpoint.local
    }

    /// Recordings and taps that move with it.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingId> + '_ {
        self.recordings.iter().map(|(recording, _)| recording.id)
    }
}

impl Engine {
    /// Removes an endpoint so that it can be given to another engine; `None` if it does not exist.
    ///
    /// It leaves what it was joined to. Its sockets return to the shell.
    pub fn extract(&mut self, endpoint: EndpointId) -> Option<Parcel> {
        let slot = self.slot(endpoint)?;
        let mut endpoint = self.remove(slot)?;
        let mut recordings = Vec::new();
        for tap in std::mem::take(&mut endpoint.taps) {
            if let Some(recording) = self.recordings.remove(tap.recording) {
                self.recording_names.remove(&recording.id);
                recordings.push((recording, tap));
            }
        }
        Some(Parcel {
            endpoint,
            recordings,
        })
    }

    /// Adopts an endpoint that another engine extracted. Both engines must have been made with the
    /// same clock ([`super::EngineConfig`]).
    ///
    /// - `rtp`, `rtcp`: its sockets, numbered as in this engine.
    pub fn adopt(
        &mut self,
        parcel: Parcel,
        (rtp, rtcp): (SocketId, SocketId),
        now: Instant,
        out: &mut impl Sink,
    ) {
        let Parcel {
            mut endpoint,
            recordings,
        } = parcel;
        // Names are unique, so this finds none; but of two endpoints with one name, one could never
        // be closed.
        let namesake = self.slot(endpoint.id);
        self.close(namesake, now, out);
        endpoint.local.rtp = rtp;
        endpoint.local.rtcp = rtcp;
        let due = [endpoint.play_due, endpoint.rtcp_due, endpoint.silence_due];
        let slot = self.insert(endpoint);
        let timers = [Timer::Play(slot), Timer::Rtcp(slot), Timer::Silence(slot)];
        for (at, timer) in due.into_iter().zip(timers) {
            if let Some(at) = at {
                self.timers.arm(at, timer);
            }
        }
        for (recording, tap) in recordings {
            let (id, at) = (recording.id, recording.next_at);
            let recording = self.recordings.insert(recording);
            self.recording_names.insert(id, recording);
            self.timers.arm(at, Timer::Record(recording));
            if let Some(endpoint) = self.endpoints.get_mut(slot) {
                endpoint.taps.push(Tap { recording, ..tap });
            }
        }
    }
}
