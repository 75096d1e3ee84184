//! The recording of a conference: what all its members say, from its start to its end or until the API ends it.
//!
//! The first member that asks for one determines its terms; if the conference is already running, it
//! begins at once. **Invariant: a conference makes at most one recording. It is on record before its
//! first sample, and leaves once: closed, failed, or given up.** Left to others: the samples, and
//! what a dead server leaves behind ([`RecordingFarewell`]).

use model::record::{Callback, Notification, Recording, RecordingKind, StartedRecording};
use model::{
    NotificationSid, RecordingEvent, RecordingSid, RecordingSource, RecordingStatus, Timestamp,
    error,
};

use super::report::Reporter;
use super::{RoomCommand, RoomOpening};
use crate::context::Settings;
use crate::fact::Fact;
use crate::farewell::{RecordingFarewell, RecordingOutcome, RoomRecordingAddress};
use crate::membership::RoomRecording;
use crate::params::Params;
use crate::recording_request::{RecordingChange, RecordingRefusal, Turn};

/// The recording of one conference.
pub(super) struct Recorder {
    settings: Settings,
    state: State,
    /// Where it can be fetched, from its start, unless it turned out not to exist.
    address: Option<RoomRecordingAddress>,
}

enum State {
    /// Nobody has asked for one.
    Unasked,
    /// It begins when the conference starts.
    Asked(Box<RoomRecording>),
    /// The media side records.
    Running(Box<Open>),
    /// The media side closes it; at this time it is given up.
    Closing(Box<Open>, Timestamp),
    Done,
}

/// A recording that the media side has not yet closed.
struct Open {
    started: StartedRecording,
    /// The callback about its end.
    farewell: Option<RecordingFarewell>,
    is_paused: bool,
}

impl Recorder {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            state: State::Unasked,
            address: None,
        }
    }

    /// A member asks for a recording.
    pub(super) fn ask(&mut self, wanted: Box<RoomRecording>) {
        if matches!(self.state, State::Unasked) {
            self.state = State::Asked(wanted);
        }
    }

    /// The conference is running: begins the recording, if one was asked for. Returns the facts, and the
    /// command that follows them.
    pub(super) fn begin(
        &mut self,
        opening: &RoomOpening,
        reporter: &mut Reporter,
        now: Timestamp,
    ) -> Option<(Vec<Fact>, RoomCommand)> {
        let State::Asked(wanted) = &self.state else {
            return None;
        };
        let wanted = (**wanted).clone();
        let sid = RecordingSid::new(now, reporter.ids.bytes());
        let started = StartedRecording {
            sid,
            account: opening.account,
            call: None,
            conference: Some(opening.sid),
            kind: RecordingKind {
                source: RecordingSource::Conference,
                channels: 1,
            },
            created: now,
        };
        let url = (self.settings.recording_address.0)(&wanted.dialect, opening.account, sid);
        let (told, farewell) = report_start(&started, &url, &wanted, reporter, now);
        let mut facts = vec![Fact::RecordingStarted {
            started: started.clone(),
            farewell: farewell.clone().map(Box::new),
        }];
        facts.extend(told);
        self.address = Some(RoomRecordingAddress { sid, url });
        self.state = State::Running(Box::new(Open {
            started,
            farewell,
            is_paused: false,
        }));
        let trim = wanted.trim;
        let recording = sid;
        Some((facts, RoomCommand::Record { recording, trim }))
    }

    /// Pauses, continues or ends it for the API. Returns its identifier, the fact, and the command that
    /// follows it.
    pub(super) fn change(
        &mut self,
        change: RecordingChange,
        now: Timestamp,
    ) -> Result<(RecordingSid, Fact, RoomCommand), RecordingRefusal> {
        let (open, is_running) = match &mut self.state {
            State::Running(open) => (open, true),
            State::Closing(open, _) => (open, false),
            State::Unasked | State::Asked(_) | State::Done => {
                return Err(match change.recording {
                    Some(_) => RecordingRefusal::Unknown,
                    None => RecordingRefusal::NothingToChange,
                });
            }
        };
        let recording = open.started.sid;
        match change.recording {
            Some(named) if named != recording => return Err(RecordingRefusal::Unknown),
            None if !is_running => return Err(RecordingRefusal::NothingToChange),
            Some(_) if !is_running => return Err(RecordingRefusal::Over),
            Some(_) | None => {}
        }
        let (status, pause) = match change.turn {
            Turn::Pause(_) if open.is_paused => return Err(RecordingRefusal::AlreadyPaused),
            Turn::Resume if !open.is_paused => return Err(RecordingRefusal::NotPaused),
            Turn::Pause(pause) => (RecordingStatus::Paused, Some(pause)),
            Turn::Resume => (RecordingStatus::InProgress, None),
            Turn::Stop => (RecordingStatus::Stopped, None),
        };
        open.is_paused = pause.is_some();
        let fact = Fact::RecordingChanged {
            recording,
            status,
            at: now,
        };
        let ended = match change.turn {
            Turn::Stop => self.stop(now),
            Turn::Pause(_) | Turn::Resume => None,
        };
        let command = ended.unwrap_or(RoomCommand::PauseRecord { recording, pause });
        Ok((recording, fact, command))
    }

    /// The conference has ended, or the API has ended the recording: the media side is to close the file.
    pub(super) fn stop(&mut self, now: Timestamp) -> Option<RoomCommand> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Running(open) => {
                let recording = open.started.sid;
                self.state = State::Closing(open, now + self.settings.recording_wait);
                Some(RoomCommand::StopRecord { recording })
            }
            State::Unasked | State::Asked(_) | State::Done => None,
            closing @ State::Closing(..) => {
                self.state = closing;
                None
            }
        }
    }

    /// The room is not on record, and so neither is the recording: it has not begun.
    pub(super) fn forget(&mut self) {
        (self.state, self.address) = (State::Done, None);
    }

    /// Where it can be fetched, if it has begun and is not known not to exist.
    pub(super) const fn address(&self) -> Option<&RoomRecordingAddress> {
        self.address.as_ref()
    }

    /// Whether the media side has not yet closed it.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Closing(..))
    }

    /// When it is given up.
    pub(super) const fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Closing(_, until) => Some(until),
            State::Unasked | State::Asked(_) | State::Running(_) | State::Done => None,
        }
    }

    /// It is closed and readable; a length of 0 means that nothing was recorded, so nothing is stored.
    pub(super) fn closed(
        &mut self,
        sid: RecordingSid,
        (duration_ms, size_bytes): (i64, i64),
        reporter: &mut Reporter,
        now: Timestamp,
    ) -> Vec<Fact> {
        let Some(open) = self.take(Some(sid)) else {
            return Vec::new();
        };
        let stored = duration_ms > 0;
        let end = if stored {
            RecordingOutcome::Completed(duration_ms)
        } else {
            self.address = None;
            RecordingOutcome::Absent
        };
        let told = open.report(end, reporter, now);
        let mut facts = vec![Fact::RecordingClosed {
            recording: sid,
            tells: told.as_ref().map(|callback| callback.event),
        }];
        if stored {
            facts.push(Fact::Recorded(Recording {
                sid,
                account: open.started.account,
                call: None,
                conference: open.started.conference,
                kind: open.started.kind,
                duration_ms,
                size_bytes,
                created: open.started.created,
                updated: now,
            }));
        }
        facts.extend(told.map(Fact::Callback));
        facts
    }

    /// It failed, or was not closed in time. What there is of its file is found by a later start.
    ///
    /// - `sid`: `None` for whichever is open.
    pub(super) fn failed(
        &mut self,
        sid: Option<RecordingSid>,
        why: &str,
        opening: &RoomOpening,
        reporter: &mut Reporter,
        now: Timestamp,
    ) -> Vec<Fact> {
        let Some(open) = self.take(sid) else {
            return Vec::new();
        };
        self.address = None;
        let recording = open.started.sid;
        let told = open.report(RecordingOutcome::Failed, reporter, now);
        let tells = told.as_ref().map(|callback| callback.event);
        let mut facts = vec![Fact::RecordingReported { recording, tells }];
        facts.extend(told.map(Fact::Callback));
        let notification = NotificationSid::new(now, reporter.ids.bytes());
        let text = format!("{recording}: {why}");
        let (account, code) = (opening.account, error::RECORD_FAILED);
        facts.push(Fact::Notified(Notification {
            lane: opening.sid.into(),
            ..Notification::of_account(notification, account, code, text, now)
        }));
        facts
    }

    fn take(&mut self, sid: Option<RecordingSid>) -> Option<Open> {
        let is_it = |open: &Open| sid.is_none_or(|sid| open.started.sid == sid);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Running(open) | State::Closing(open, _) if is_it(&open) => Some(*open),
            other => {
                self.state = other;
                None
            }
        }
    }
}

impl Open {
    /// The callback about its end, if that is reported.
    fn report(
        &self,
        end: RecordingOutcome,
        reporter: &mut Reporter,
        now: Timestamp,
    ) -> Option<Callback> {
        let mut farewell = self.farewell.clone().filter(|it| it.reports(end))?;
        farewell.follow(reporter.next_number());
        Some(farewell.callback(&self.started, end, reporter.ids.event(now), now))
    }
}

/// The callback about the start of a recording, and the one about its end.
fn report_start(
    started: &StartedRecording,
    url: &str,
    wanted: &RoomRecording,
    reporter: &mut Reporter,
    now: Timestamp,
) -> (Option<Fact>, Option<RecordingFarewell>) {
    let Some((target, events)) = &wanted.callback else {
        return (None, None);
    };
    let params = params(started);
    let told = events.contains(&RecordingEvent::InProgress).then(|| {
        let mut params = params.clone();
        params.push(("RecordingStatus".to_owned(), "in-progress".to_owned()));
        Fact::Callback(Callback {
            event: reporter.ids.event(now),
            account: started.account,
            author: target.author,
            lane: started.lane(),
            call: None,
            sequence: reporter.next_number(),
            url: target.url.clone(),
            method: target.method,
            params,
            created: now,
        })
    });
    let farewell = RecordingFarewell::new(
        reporter.numbered(),
        target.clone(),
        events,
        url.to_owned(),
        params,
    );
    (told, farewell)
}

/// The parameters of every callback about a recording.
fn params(started: &StartedRecording) -> Params {
    let mut params = Params::with_capacity(10);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    let RecordingKind { source, channels } = started.kind;
    add("AccountSid", started.account.to_string());
    let conference = started.conference.map(|sid| sid.to_string());
    add("ConferenceSid", conference.unwrap_or_default());
    add("RecordingSid", started.sid.to_string());
    add("RecordingSource", source.as_str().to_owned());
    add("RecordingChannels", channels.to_string());
    add("RecordingStartTime", started.created.rfc2822());
    params
}
