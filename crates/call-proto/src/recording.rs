//! Recordings of a leg, from the first sample to the closed file.
//!
//! **Invariant: a recording leaves the list once: closed, failed, or given up.** A leg is not
//! forgotten before; a `<Dial>` that names its recording waits for that. Each is on record before it
//! begins, so that the file of one that was given up or cut off is found again.

use model::record::{Recording, StartedRecording};
use model::{Direction, RecordingSid, Timestamp, error};

use crate::call::Call;
use crate::callback::LegRecording;
use crate::context::Context;
use crate::fact::Fact;

/// A recording that the media side has not closed yet.
#[derive(Debug)]
pub(crate) struct OpenRecording {
    sid: RecordingSid,
    started: Timestamp,
    /// It is being closed, and given up then.
    until: Option<Timestamp>,
}

impl Call {
    /// The media side records from now on.
    pub(crate) fn recording_starts(&mut self, sid: RecordingSid, cx: &mut Context) {
        cx.fact(Fact::RecordingStarted(StartedRecording {
            sid,
            account: self.info.account,
            call: self.sid,
            created: cx.now,
        }));
        if self.info.direction == Direction::OutboundApi {
            self.recorded = Some(LegRecording {
                sid,
                url: (cx.settings.recording_address.0)(self.info.account, sid),
                started: cx.now,
                length_s: None,
            });
        }
        self.recordings.push(OpenRecording {
            sid,
            started: cx.now,
            until: None,
        });
        self.dial_is_recorded(sid);
    }

    /// The media side was told to close the recording.
    pub(crate) fn recording_stops(&mut self, sid: RecordingSid, cx: &Context) {
        let until = cx.now + cx.settings.recording_wait;
        if let Some(open) = self.recordings.iter_mut().find(|open| open.sid == sid) {
            open.until = Some(until);
        }
    }

    pub(crate) fn is_recording(&self, sid: RecordingSid) -> bool {
        self.recordings.iter().any(|open| open.sid == sid)
    }

    /// When the first of them is given up.
    pub(crate) fn recordings_timeout(&self) -> Option<Timestamp> {
        self.recordings.iter().filter_map(|open| open.until).min()
    }

    pub(crate) fn give_up_recordings(&mut self, cx: &mut Context) {
        let due = |open: &OpenRecording| open.until.is_some_and(|until| until <= cx.now);
        let late: Vec<_> = self
            .recordings
            .iter()
            .filter(|open| due(open))
            .map(|open| open.sid)
            .collect();
        for sid in late {
            self.record_failed(sid, "it was not closed in time", cx);
        }
    }

    /// Closed and readable.
    pub(crate) fn recorded(
        &mut self,
        sid: RecordingSid,
        duration_ms: i64,
        size_bytes: i64,
        cx: &mut Context,
    ) {
        let Some(open) = self.take_recording(sid) else {
            return;
        };
        // Nothing was recorded: nothing is stored.
        let stored = duration_ms > 0;
        if let Some(recorded) = self.recorded.take_if(|recorded| recorded.sid == sid)
            && stored
        {
            self.recorded = Some(LegRecording {
                length_s: Some(duration_ms / 1_000),
                ..recorded
            });
        }
        if stored {
            cx.fact(Fact::Recorded(Recording {
                sid,
                account: self.info.account,
                call: self.sid,
                duration_ms,
                size_bytes,
                created: open.started,
                updated: cx.now,
            }));
        }
        self.dial_recording_over(sid, stored, cx);
    }

    pub(crate) fn record_failed(&mut self, sid: RecordingSid, reason: &str, cx: &mut Context) {
        if self.take_recording(sid).is_none() {
            return;
        }
        // No callback may name what does not exist.
        self.recorded.take_if(|recorded| recorded.sid == sid);
        let text = format!("{sid}: {reason}");
        cx.notify(self.about(None), error::RECORD_FAILED, &text);
        self.dial_recording_over(sid, false, cx);
    }

    fn take_recording(&mut self, sid: RecordingSid) -> Option<OpenRecording> {
        let at = self.recordings.iter().position(|open| open.sid == sid)?;
        Some(self.recordings.remove(at))
    }
}
