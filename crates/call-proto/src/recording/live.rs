//! What the API does to the recordings of a live call: starts, pauses, continues and ends them. `<Start>` and `<Stop>` do the same.
//!
//! A recording that either starts belongs to the leg, whatever runs on it, and ends with the leg at the
//! latest; one of a `<Dial>` can be changed too, and its verb or bridge does not notice. **Invariant:
//! each request makes its change, or is refused and changes nothing.**

use model::record::recording_seconds;
use model::{RecordingSid, RecordingSource, RecordingStatus, Timestamp};

use super::{OpenRecording, RecordingTerms, Recordings};
use crate::call::Call;
use crate::command::MediaCommand;
use crate::context::Context;
use crate::fact::Fact;
use crate::leg::Leg;
use crate::recording_request::{NewRecording, Pause, RecordingChange, RecordingRefusal, Turn};

/// Maximum recordings in progress that the API and `<Start>` have started on one leg.
const MAX_STARTED: usize = 4;
/// A recording of this length is not empty, whatever the media side makes of the moment of a pause.
const SURELY_HEARD_MS: i64 = 100;

impl Call {
    /// Starts a recording for the API.
    pub(crate) fn record(
        &mut self,
        new: NewRecording,
        source: RecordingSource,
        cx: &mut Context,
    ) -> Result<RecordingSid, RecordingRefusal> {
        let terms = RecordingTerms {
            source,
            name: None,
            sides: new.sides,
            trim: new.trim,
            callback: new.callback,
        };
        self.recordings.begin(terms, &mut self.leg, cx)
    }

    /// Pauses, continues or ends a recording for the API.
    pub(crate) fn change_recording(
        &mut self,
        change: RecordingChange,
        cx: &mut Context,
    ) -> Result<RecordingSid, RecordingRefusal> {
        self.recordings.change(change, &mut self.leg, cx)
    }
}

impl Recordings {
    /// Starts a recording that belongs to the leg.
    pub(crate) fn begin(
        &mut self,
        terms: RecordingTerms,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Result<RecordingSid, RecordingRefusal> {
        if !leg.is_up() {
            return Err(RecordingRefusal::NotAnswered);
        }
        if self.of_leg().count() >= MAX_STARTED {
            return Err(RecordingRefusal::TooMany);
        }
        let sid = cx.recording_sid();
        let command = terms.command(sid);
        self.start(sid, terms, leg, cx);
        cx.media(leg.profile.sid, command);
        Ok(sid)
    }

    /// Ends those with this name; false if there is none.
    pub(crate) fn stop_named(&mut self, name: &str, leg: &mut Leg, cx: &mut Context) -> bool {
        let named = self
            .of_leg()
            .filter(|open| open.name.as_deref() == Some(name));
        let found: Vec<RecordingSid> = named.map(|open| open.started.sid).collect();
        for recording in &found {
            let recording = Some(*recording);
            let turn = Turn::Stop;
            // It is in progress, so this is not refused.
            let _ = self.change(RecordingChange { recording, turn }, leg, cx);
        }
        !found.is_empty()
    }

    /// Those in progress that belong to the leg.
    fn of_leg(&self) -> impl Iterator<Item = &OpenRecording> {
        let running = self.open.iter().filter(|open| open.until.is_none());
        running.filter(|open| open.is_of_leg())
    }

    fn change(
        &mut self,
        RecordingChange { recording, turn }: RecordingChange,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Result<RecordingSid, RecordingRefusal> {
        let found = match recording {
            Some(sid) => {
                let named = self.open.iter_mut().find(|open| open.started.sid == sid);
                named.ok_or(RecordingRefusal::Unknown)?
            }
            None => {
                let mut newest_first = self.open.iter_mut().rev();
                let newest = newest_first.find(|open| open.until.is_none() && !open.is_of_verb());
                newest.ok_or(RecordingRefusal::NothingToChange)?
            }
        };
        if found.is_of_verb() {
            return Err(RecordingRefusal::OfVerb);
        }
        if found.until.is_some() {
            return Err(RecordingRefusal::Over);
        }
        let recording = found.started.sid;
        let (status, command) = match (turn, found.paused) {
            (Turn::Pause(_), Some(_)) => return Err(RecordingRefusal::AlreadyPaused),
            (Turn::Resume, None) => return Err(RecordingRefusal::NotPaused),
            (Turn::Pause(pause), None) => {
                found.pause(pause, leg, cx);
                let pause = Some(pause);
                let command = MediaCommand::PauseRecord { recording, pause };
                (RecordingStatus::Paused, command)
            }
            (Turn::Resume, Some(pause)) => {
                found.resume(pause, leg, cx);
                let pause = None;
                let command = MediaCommand::PauseRecord { recording, pause };
                (RecordingStatus::InProgress, command)
            }
            (Turn::Stop, _) => {
                found.until = Some(cx.now + cx.settings.recording_wait);
                self.stopped.push(recording);
                let command = MediaCommand::StopRecord { recording };
                (RecordingStatus::Stopped, command)
            }
        };
        let at = cx.now;
        cx.fact(Fact::RecordingChanged {
            recording,
            status,
            at,
        });
        cx.media(leg.profile.sid, command);
        Ok(recording)
    }

    /// The leg has ended: so do the recordings that belong to it.
    pub(crate) fn stop_all(&mut self, leg: &Leg, cx: &mut Context) {
        let until = cx.now + cx.settings.recording_wait;
        for open in &mut self.open {
            if open.is_of_leg() && open.until.is_none() {
                open.until = Some(until);
                let recording = open.started.sid;
                cx.media(leg.profile.sid, MediaCommand::StopRecord { recording });
            }
        }
    }
}

impl OpenRecording {
    /// Whether it belongs to the leg, rather than to a verb or a bridge.
    pub(super) const fn is_of_leg(&self) -> bool {
        match self.started.kind.source {
            RecordingSource::OutboundApi
            | RecordingSource::StartCallRecordingApi
            | RecordingSource::StartCallRecordingTwiml => true,
            RecordingSource::DialVerb
            | RecordingSource::RecordVerb
            | RecordingSource::Conference => false,
        }
    }

    /// Whether its verb waits for it.
    const fn is_of_verb(&self) -> bool {
        matches!(self.started.kind.source, RecordingSource::RecordVerb)
    }

    fn pause(&mut self, pause: Pause, leg: &mut Leg, cx: &Context) {
        self.paused = Some(pause);
        if let Pause::Skip = pause {
            self.length_ms = cx.now.as_millis() - self.since.as_millis();
            if self.length_ms < SURELY_HEARD_MS {
                // It may stay empty, and no callback may name a recording that does not exist.
                self.is_certain = false;
                let last = &mut leg.reporter.recorded;
                last.take_if(|last| last.sid == self.started.sid);
            }
            let last = leg.reporter.recorded.as_mut();
            if let Some(named) = last.filter(|last| last.sid == self.started.sid) {
                named.length_s = Some(recording_seconds(self.length_ms));
            }
        }
    }

    fn resume(&mut self, pause: Pause, leg: &mut Leg, cx: &Context) {
        self.paused = None;
        if let Pause::Skip = pause {
            // As if it had begun later, without the pause.
            self.since = Timestamp::from_millis(cx.now.as_millis() - self.length_ms);
            let last = leg.reporter.recorded.as_mut();
            if let Some(named) = last.filter(|last| last.sid == self.started.sid) {
                (named.started, named.length_s) = (self.since, None);
            }
        }
    }
}
