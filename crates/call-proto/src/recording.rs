//! Recordings of a leg, from the first sample to the closed file.
//!
//! **Invariant: a recording leaves the list once: closed, failed, or given up.** Only then is its
//! leg forgotten; a `<Dial>` that names its recording waits for that too. Each is recorded in the
//! store before it begins, so that the file of one given up or cut off is found again.

use model::record::{Recording, StartedRecording};
use model::{Direction, RecordingSid, Timestamp, error};

use crate::callback::LegRecording;
use crate::context::Context;
use crate::fact::Fact;
use crate::leg::Leg;

/// A recording that the media side has not yet closed.
#[derive(Debug)]
struct OpenRecording {
    sid: RecordingSid,
    started: Timestamp,
    /// It is being closed, and given up at this time.
    until: Option<Timestamp>,
}

/// News of a recording, for the verb that requested it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RecordingNews {
    /// It has started.
    Started,
    /// It is closed, or has failed.
    Over {
        /// Whether it is stored and can be heard.
        stored: bool,
    },
}

/// The recordings of a leg that are not yet closed.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    open: Vec<OpenRecording>,
}

impl Recordings {
    /// The media side starts recording.
    pub(crate) fn start(&mut self, sid: RecordingSid, leg: &mut Leg, cx: &mut Context) {
        let profile = &leg.profile;
        cx.fact(Fact::RecordingStarted(StartedRecording {
            sid,
            account: profile.account,
            call: Some(profile.sid),
            conference: None,
            created: cx.now,
        }));
        if profile.direction == Direction::OutboundApi {
            leg.reporter.recorded = Some(LegRecording {
                sid,
                url: (cx.settings.recording_address.0)(&profile.dialect, profile.account, sid),
                started: cx.now,
                length_s: None,
            });
        }
        self.open.push(OpenRecording {
            sid,
            started: cx.now,
            until: None,
        });
    }

    /// The media side was asked to close the recording.
    pub(crate) fn stop(&mut self, sid: RecordingSid, cx: &Context) {
        let until = cx.now + cx.settings.recording_wait;
        if let Some(open) = self.open.iter_mut().find(|open| open.sid == sid) {
            open.until = Some(until);
        }
    }

    pub(crate) fn is_open(&self, sid: RecordingSid) -> bool {
        self.open.iter().any(|open| open.sid == sid)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When the first of them is given up.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.iter().filter_map(|open| open.until).min()
    }

    /// Those that were not closed in time.
    pub(crate) fn late(&self, now: Timestamp) -> Vec<RecordingSid> {
        let late = |open: &&OpenRecording| open.until.is_some_and(|until| until <= now);
        self.open.iter().filter(late).map(|open| open.sid).collect()
    }

    /// A recording is closed and readable. `None` if it is not open.
    pub(crate) fn closed(
        &mut self,
        sid: RecordingSid,
        duration_ms: i64,
        size_bytes: i64,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<RecordingNews> {
        let open = self.take(sid)?;
        // Nothing was recorded, so nothing is stored.
        let stored = duration_ms > 0;
        let last = &mut leg.reporter.recorded;
        if let Some(recorded) = last.take_if(|recorded| recorded.sid == sid)
            && stored
        {
            *last = Some(LegRecording {
                length_s: Some(duration_ms / 1_000),
                ..recorded
            });
        }
        if stored {
            cx.fact(Fact::Recorded(Recording {
                sid,
                account: leg.profile.account,
                call: Some(leg.profile.sid),
                conference: None,
                duration_ms,
                size_bytes,
                created: open.started,
                updated: cx.now,
            }));
        }
        Some(RecordingNews::Over { stored })
    }

    /// A recording failed. `None` if it is not open.
    pub(crate) fn fail(
        &mut self,
        sid: RecordingSid,
        reason: &str,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<RecordingNews> {
        self.take(sid)?;
        // No callback may name a recording that does not exist.
        let last = &mut leg.reporter.recorded;
        last.take_if(|recorded| recorded.sid == sid);
        let text = format!("{sid}: {reason}");
        cx.notify(leg.profile.about(None), error::RECORD_FAILED, &text);
        Some(RecordingNews::Over { stored: false })
    }

    fn take(&mut self, sid: RecordingSid) -> Option<OpenRecording> {
        let at = self.open.iter().position(|open| open.sid == sid)?;
        Some(self.open.remove(at))
    }
}
