//! Recordings of a leg, from the first sample to the closed file.
//!
//! **Invariant: a recording leaves the list once: closed, failed, or given up.** Only then is its
//! leg forgotten; a `<Dial>` that names its recording waits for that too. Each is recorded in the
//! store before it begins, so that the file of one given up or cut off is found again. `live` is what the
//! API does to them.

mod live;

use model::record::{Callback, Recording, RecordingKind, StartedRecording, recording_seconds};
use model::{Direction, RecordingSid, RecordingSource, Timestamp, error};
use rcml::{RecordingEvent, Sides};

use crate::callback::{CallbackTarget, LegRecording};
use crate::command::MediaCommand;
use crate::context::Context;
use crate::fact::Fact;
use crate::farewell::{RecordingFarewell, RecordingOutcome};
use crate::leg::Leg;
use crate::params::Params;
use crate::recording_request::Pause;

/// What is recorded, and who learns of it.
#[derive(Clone, Debug)]
pub(crate) struct RecordingTerms {
    /// What makes it.
    pub(crate) source: RecordingSource,
    /// Name by which the document stops it.
    pub(crate) name: Option<String>,
    /// Who is in it.
    pub(crate) sides: Sides,
    /// Whether silence at both ends is left out, so that nothing may remain.
    pub(crate) trim: bool,
    /// Receives these events.
    pub(crate) callback: Option<(CallbackTarget, Vec<RecordingEvent>)>,
}

impl Default for RecordingTerms {
    fn default() -> Self {
        Self {
            source: RecordingSource::DialVerb,
            name: None,
            sides: Sides::Mixed,
            trim: false,
            callback: None,
        }
    }
}

impl RecordingTerms {
    /// The command that starts it, unless it is one of what a person says.
    pub(crate) const fn command(&self, recording: RecordingSid) -> MediaCommand {
        MediaCommand::Record {
            recording,
            sides: self.sides,
            trim: self.trim,
        }
    }

    const fn kind(&self) -> RecordingKind {
        RecordingKind {
            source: self.source,
            channels: self.sides.channels(),
        }
    }
}

/// A recording that the media side has not yet closed.
#[derive(Debug)]
struct OpenRecording {
    started: StartedRecording,
    /// Name by which the document stops it.
    name: Option<String>,
    /// It will not turn out empty.
    is_certain: bool,
    /// The callback about its end.
    farewell: Option<RecordingFarewell>,
    /// The current pause.
    paused: Option<Pause>,
    /// Its start, moved forward by the pauses that it leaves out.
    since: Timestamp,
    /// Its length when it was paused last, if it leaves out the pause.
    length_ms: i64,
    /// It is being closed, and given up at this time.
    until: Option<Timestamp>,
}

/// News of a recording, for the verb that requested it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RecordingNews {
    /// It has started.
    Started,
    /// The remote party has been silent for the time after which the verb ends it.
    Silent,
    /// It is closed, or has failed.
    Over {
        /// Its length in milliseconds if it is stored and can be heard.
        stored_ms: Option<i64>,
    },
}

/// The recordings of a leg that are not yet closed.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    /// In the order in which they started.
    open: Vec<OpenRecording>,
    /// Those that the API has ended.
    stopped: Vec<RecordingSid>,
    /// What the last `<Record>` has recorded, with its length in milliseconds, if it can be heard.
    spoken: Option<(RecordingSid, i64)>,
}

impl Recordings {
    /// The media side starts recording.
    pub(crate) fn start(
        &mut self,
        sid: RecordingSid,
        terms: RecordingTerms,
        leg: &mut Leg,
        cx: &mut Context,
    ) {
        let profile = &leg.profile;
        let started = StartedRecording {
            sid,
            account: profile.account,
            call: Some(profile.sid),
            conference: None,
            kind: terms.kind(),
            created: cx.now,
        };
        if let RecordingSource::RecordVerb = terms.source {
            self.spoken = None;
        }
        let track = terms.sides.track();
        let farewell = terms
            .callback
            .and_then(|callback| report_start(&started, track, callback, leg, cx));
        cx.fact(Fact::RecordingStarted {
            started: started.clone(),
            farewell: farewell.clone().map(Box::new),
        });
        // One that may turn out empty is named only once it is stored.
        let is_certain = match terms.source {
            RecordingSource::DialVerb | RecordingSource::OutboundApi => !terms.trim,
            RecordingSource::RecordVerb
            | RecordingSource::StartCallRecordingApi
            | RecordingSource::StartCallRecordingTwiml
            | RecordingSource::Conference => false,
        };
        let is_named = is_certain && !self.has_whole_call();
        if is_named && leg.profile.direction == Direction::OutboundApi {
            leg.reporter.recorded = Some(LegRecording {
                sid,
                url: address(sid, leg, cx),
                started: cx.now,
                length_s: None,
            });
        }
        self.open.push(OpenRecording {
            started,
            name: terms.name,
            is_certain,
            farewell,
            paused: None,
            since: cx.now,
            length_ms: 0,
            until: None,
        });
    }

    /// Has the media side close a recording, unless the API has done so.
    pub(crate) fn stop(&mut self, sid: RecordingSid, leg: &Leg, cx: &mut Context) {
        if self.stopped.contains(&sid) {
            return;
        }
        cx.media(leg.profile.sid, MediaCommand::StopRecord { recording: sid });
        let until = cx.now + cx.settings.recording_wait;
        if let Some(open) = self.open.iter_mut().find(|open| open.started.sid == sid) {
            open.until = Some(until);
        }
    }

    /// What the last `<Record>` has recorded, with its length in milliseconds; `None` if that is nothing.
    pub(crate) const fn spoken(&self) -> Option<(RecordingSid, i64)> {
        self.spoken
    }

    pub(crate) fn is_open(&self, sid: RecordingSid) -> bool {
        self.open.iter().any(|open| open.started.sid == sid)
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
        let late = self.open.iter().filter(late);
        late.map(|open| open.started.sid).collect()
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
        let open = self.take(sid, leg, cx)?;
        // Nothing was recorded, so nothing is stored.
        let stored = duration_ms > 0;
        let last = &mut leg.reporter.recorded;
        let named = last.take_if(|recorded| recorded.sid == sid).is_some();
        // One that a request or a document added is not the recording of the call.
        let is_additional = matches!(
            open.started.kind.source,
            RecordingSource::StartCallRecordingApi | RecordingSource::StartCallRecordingTwiml
        );
        let is_new = !open.is_certain && leg.profile.direction == Direction::OutboundApi;
        let names = named || is_new && !is_additional && !self.has_whole_call();
        if stored && names {
            leg.reporter.recorded = Some(LegRecording {
                sid,
                url: address(sid, leg, cx),
                started: open.started.created,
                length_s: Some(recording_seconds(duration_ms)),
            });
        }
        let end = if stored {
            RecordingOutcome::Completed(duration_ms)
        } else {
            RecordingOutcome::Absent
        };
        let told = open.close(end, leg, cx);
        if stored && open.started.kind.source == RecordingSource::RecordVerb {
            self.spoken = Some((sid, duration_ms));
        }
        if stored {
            cx.fact(Fact::Recorded(Recording {
                sid,
                account: open.started.account,
                call: open.started.call,
                conference: open.started.conference,
                kind: open.started.kind,
                duration_ms,
                size_bytes,
                created: open.started.created,
                updated: cx.now,
            }));
        }
        told.into_iter().for_each(|callback| cx.fact(callback));
        let stored_ms = stored.then_some(duration_ms);
        Some(RecordingNews::Over { stored_ms })
    }

    /// A recording failed. `None` if it is not open.
    pub(crate) fn fail(
        &mut self,
        sid: RecordingSid,
        reason: &str,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<RecordingNews> {
        let open = self.take(sid, leg, cx)?;
        let told = open.close(RecordingOutcome::Failed, leg, cx);
        told.into_iter().for_each(|callback| cx.fact(callback));
        // No callback may name a recording that does not exist.
        let last = &mut leg.reporter.recorded;
        last.take_if(|recorded| recorded.sid == sid);
        let text = format!("{sid}: {reason}");
        cx.notify(leg.profile.about(None), error::RECORD_FAILED, &text);
        Some(RecordingNews::Over { stored_ms: None })
    }

    /// Whether the request that made the call has it recorded: then its callbacks name that recording.
    fn has_whole_call(&self) -> bool {
        let of_request =
            |open: &OpenRecording| open.started.kind.source == RecordingSource::OutboundApi;
        self.open.iter().any(of_request)
    }

    /// Takes a recording that has ended off the list.
    fn take(&mut self, sid: RecordingSid, leg: &Leg, cx: &mut Context) -> Option<OpenRecording> {
        let at = self.open.iter().position(|open| open.started.sid == sid)?;
        let open = self.open.remove(at);
        if open.until.is_none() && open.is_of_leg() {
            // The media side closed it before it was asked to; a verb or bridge sees to that itself.
            cx.media(leg.profile.sid, MediaCommand::StopRecord { recording: sid });
        }
        Some(open)
    }
}

impl OpenRecording {
    /// Makes its end a fact; returns the callback about it, to follow the facts of the recording
    /// itself.
    fn close(&self, end: RecordingOutcome, leg: &mut Leg, cx: &mut Context) -> Option<Fact> {
        let farewell = self.farewell.clone().filter(|it| it.reports(end));
        let callback = farewell.map(|mut farewell| {
            farewell.follow(leg.reporter.next_number());
            farewell.callback(&self.started, end, cx.event_sid(), cx.now)
        });
        let recording = self.started.sid;
        let tells = callback.as_ref().map(|callback| callback.event);
        match end {
            // The file may still be there: a later start finds it.
            RecordingOutcome::Failed => cx.fact(Fact::RecordingReported { recording, tells }),
            RecordingOutcome::Completed(_) if tells.is_none() => {}
            RecordingOutcome::Completed(_) | RecordingOutcome::Absent => {
                cx.fact(Fact::RecordingClosed { recording, tells });
            }
        }
        callback.map(Fact::Callback)
    }
}

/// Reports the start of a recording, and returns the callback about its end.
fn report_start(
    started: &StartedRecording,
    track: &str,
    (target, events): (CallbackTarget, Vec<RecordingEvent>),
    leg: &mut Leg,
    cx: &mut Context,
) -> Option<RecordingFarewell> {
    let params = params(started, track, leg);
    if events.contains(&RecordingEvent::InProgress) {
        let mut params = params.clone();
        params.push(("RecordingStatus".to_owned(), "in-progress".to_owned()));
        let callback = Callback {
            event: cx.event_sid(),
            account: started.account,
            author: target.author,
            lane: started.lane(),
            call: started.call,
            sequence: leg.reporter.next_number(),
            url: target.url.clone(),
            method: target.method,
            params,
            created: cx.now,
        };
        cx.fact(Fact::Callback(callback));
    }
    let (sequence, url) = (leg.reporter.queued(), address(started.sid, leg, cx));
    RecordingFarewell::new(sequence, target, &events, url, params)
}

/// The parameters of every callback about a recording.
fn params(started: &StartedRecording, track: &str, leg: &Leg) -> Params {
    let mut params = Params::with_capacity(12);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    let RecordingKind { source, channels } = started.kind;
    add("AccountSid", started.account.to_string());
    add("CallSid", leg.profile.sid.to_string());
    add("ApiVersion", leg.profile.dialect.api_version.to_owned());
    add("RecordingSid", started.sid.to_string());
    add("RecordingSource", source.as_str().to_owned());
    add("RecordingTrack", track.to_owned());
    add("RecordingChannels", channels.to_string());
    add("RecordingStartTime", started.created.rfc2822());
    params
}

/// Where a recording of a leg can be fetched without credentials.
pub(crate) fn address(sid: RecordingSid, leg: &Leg, cx: &Context) -> String {
    (cx.settings.recording_address.0)(&leg.profile.dialect, leg.profile.account, sid)
}
