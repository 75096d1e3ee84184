//! Endpoints that move from one engine to another.
//!
//! All that is in progress goes along: the stream numbers of both directions, a play, keys, timers,
//! and recordings that have no other leg. **Invariant: nothing is lost on the way**: what was
//! accepted before is counted, what comes meanwhile waits in the sockets, and what is due meanwhile
//! is done late. Left to others: the sockets, and controls that come in between (crate `media`).

use super::Engine;
use crate::control::{Local, Sink, SocketId};
use crate::endpoint::{Endpoint, Tap};
use crate::recorder::Recording;
use crate::report::{EndpointId, RecordingId};
use crate::timers::Timer;
use std::time::Instant;

/// An endpoint in no engine, with its recordings.
#[derive(Debug)]
pub struct Parcel {
    endpoint: Box<Endpoint>,
    /// Each with the track that the endpoint is.
    recordings: Vec<(Recording, usize)>,
}

impl Parcel {
    /// Which endpoint this is.
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint.id
    }

    /// Its sockets, by the numbers they had in the engine it left.
    pub fn local(&self) -> Local {
        self.endpoint.local
    }

    /// Recordings and listenings that move with it.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingId> + '_ {
        self.recordings.iter().map(|(recording, _)| recording.id)
    }
}

impl Engine {
    /// Takes an endpoint out, to be given to another engine; `None` if there is no such endpoint.
    ///
    /// It leaves whatever it was joined with. A recording that has other legs stays with these, as if
    /// this leg had been closed. Its sockets are the shell's again.
    pub fn extract(&mut self, endpoint: EndpointId) -> Option<Parcel> {
        let slot = self.slot(endpoint)?;
        let mut endpoint = self.remove(slot)?;
        let mut recordings = Vec::new();
        for tap in std::mem::take(&mut endpoint.taps) {
            let Some(recording) = self.recordings.get_mut(tap.recording) else {
                continue;
            };
            if recording.legs().all(|leg| leg == endpoint.id) {
                self.recording_names.remove(&recording.id);
                let recording = self.recordings.remove(tap.recording);
                recordings.extend(recording.map(|recording| (recording, tap.track)));
            } else {
                recording.close_leg(endpoint.id);
            }
        }
        Some(Parcel {
            endpoint,
            recordings,
        })
    }

    /// Takes an endpoint in that another engine gave up. Both engines must have been made with the
    /// same clock ([`super::EngineConfig`]).
    ///
    /// - `rtp`, `rtcp`: its sockets, by the numbers they have here.
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
        // Names are unique, so that there is none; but two under one name could never be closed.
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
        for (recording, track) in recordings {
            let (id, at) = (recording.id, recording.next_at);
            let recording = self.recordings.insert(recording);
            self.recording_names.insert(id, recording);
            self.timers.arm(at, Timer::Record(recording));
            if let Some(endpoint) = self.endpoints.get_mut(slot) {
                endpoint.taps.push(Tap { recording, track });
            }
        }
    }
}
