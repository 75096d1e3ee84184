//! Finds out what has answered at an endpoint: a recording of what it says whose samples go to a detector.
//!
//! So the detector has the clock, the jitter buffer and the moves of a recording. **Invariant: no samples of it
//! reach the sink**, and a packet costs as much as for a recording; without it, it costs nothing. Left to
//! others: telling people from machines (`audio::answerer`), and when to stop.

use super::Engine;
use crate::control::Sink;
use crate::recorder::{Object, Part, Terms};
use crate::report::{EndpointId, RecordingId, Report};
use crate::timers::Timer;
use audio::answerer::{Detector, Timing};
use std::time::Instant;

impl Engine {
    pub(super) fn detect_answerer(
        &mut self,
        endpoint: EndpointId,
        name: RecordingId,
        timing: Timing,
        now: Instant,
    ) {
        let Ok(leg) = self.may_record(name, endpoint) else {
            return;
        };
        let terms = Terms {
            part: Part::Heard,
            ..Terms::default()
        };
        self.begin_recording(name, leg, terms, now);
        let slot = self.recording_names.get(&name).copied();
        if let Some(recording) = slot.and_then(|slot| self.recordings.get_mut(slot)) {
            recording.answerer = Some(Box::new(Detector::new(timing)));
        }
    }

    /// Makes the frame due at `at` for the detector.
    pub(super) fn hear_answerer(&mut self, slot: usize, at: Instant, out: &mut impl Sink) {
        let Some(recording) = self.recordings.get_mut(slot) else {
            return;
        };
        let Some(mut detector) = recording.answerer.take() else {
            return;
        };
        let of = recording.of;
        recording.frame(at, |samples| {
            detector.push(samples, |heard| {
                if let Object::Endpoint(endpoint) = of {
                    out.report(endpoint, Report::Answerer { heard });
                }
            });
        });
        recording.answerer = Some(detector);
        self.timers.arm(recording.next_at, Timer::Record(slot));
    }
}
