//! The final callbacks that are still due when the server that runs a leg dies.
//!
//! A leg with callbacks stores its farewell and keeps it up to date. The process that closes the
//! leg after a crash completes it with the final record. **Invariant: the callbacks of a farewell
//! are those that the leg itself would have made for the same end.** The same holds for messages.

use model::record::{
    CallRecord, Callback, Conference, Message, StartedRecording, recording_seconds,
};
use model::{AccountSid, CallSid, ConferenceSid, EventSid, RecordingSid, Timestamp, error};
use serde::{Deserialize, Serialize};

use crate::callback::{CallbackTarget, LegEnd, LegRecording};
use crate::params::Params;

/// The final callbacks of a leg, without the values known only at its end. Stored in serialized
/// form with the record of the leg.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Farewell {
    /// Callbacks made so far.
    sequence: i64,
    last: Vec<Last>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Last {
    target: CallbackTarget,
    /// For the number's owner, `CallStatus` is empty but in its place.
    params: Params,
    about: About,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum About {
    Number,
    Leg {
        event_names: bool,
        recording: Option<LegRecording>,
        /// How many of the callbacks so far are not events of the leg, and do not count in their numbers.
        #[serde(default)]
        others: i64,
    },
}

impl Farewell {
    /// A farewell without callbacks yet.
    ///
    /// - `sequence`: the number of callbacks that the leg has made.
    pub(crate) const fn new(sequence: i64) -> Self {
        Self {
            sequence,
            last: Vec::new(),
        }
    }

    /// Adds the callback to the number's owner.
    pub(crate) fn tell_number(&mut self, target: CallbackTarget, mut params: Params) {
        for (name, value) in &mut params {
            if name == "CallStatus" {
                value.clear();
            }
        }
        self.last.push(Last {
            target,
            params,
            about: About::Number,
        });
    }

    /// Adds the callback to the creator of the leg.
    ///
    /// - `events`: the number of events that were reported to the creator.
    pub(crate) fn tell_leg(
        &mut self,
        target: CallbackTarget,
        params: Params,
        event_names: bool,
        events: i64,
        recording: Option<LegRecording>,
    ) {
        self.last.push(Last {
            target,
            params,
            about: About::Leg {
                event_names,
                recording,
                others: self.sequence - events,
            },
        });
    }

    /// Whether it holds addresses of recordings, with which anyone can hear them.
    pub(crate) fn has_recordings(&self) -> bool {
        let told = |last: &Last| {
            matches!(
                &last.about,
                About::Leg {
                    recording: Some(_),
                    ..
                }
            )
        };
        self.last.iter().any(told)
    }

    /// Replaces these addresses with something else.
    pub(crate) fn hide_recordings(&mut self, instead: &str) {
        for last in &mut self.last {
            if let About::Leg {
                recording: Some(recording),
                ..
            } = &mut last.about
            {
                instead.clone_into(&mut recording.url);
            }
        }
    }

    /// The recordings named in these callbacks.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingSid> {
        self.last.iter().filter_map(|last| match &last.about {
            About::Number => None,
            About::Leg { recording, .. } => recording.as_ref().map(|recording| recording.sid),
        })
    }

    /// Completes these recordings: one without a length does not exist and is not named.
    ///
    /// - `length_s`: the length of a recording, in whole seconds.
    pub fn settle_recordings(&mut self, length_s: impl Fn(RecordingSid) -> Option<i64>) {
        for last in &mut self.last {
            if let About::Leg { recording, .. } = &mut last.about {
                *recording = recording.take().and_then(|recording| {
                    Some(LegRecording {
                        length_s: Some(length_s(recording.sid)?),
                        ..recording
                    })
                });
            }
        }
    }

    /// Numbers these callbacks after all those that the leg has made: the next free number is this.
    pub fn follow(&mut self, sequence: i64) {
        let more = (sequence - self.sequence).max(0);
        self.sequence += more;
        for last in &mut self.last {
            if let About::Leg { others, .. } = &mut last.about {
                *others += more;
            }
        }
    }

    /// The callbacks for the end in `record`, made at `now`: their age counts from then, however
    /// long ago the end was.
    pub fn callbacks(
        self,
        record: &CallRecord,
        now: Timestamp,
        mut event: impl FnMut() -> EventSid,
    ) -> Vec<Callback> {
        let at = record.ended.unwrap_or(record.updated);
        let made = self.sequence;
        let complete = |(sequence, last): (i64, Last)| {
            let mut params = last.params;
            match last.about {
                About::Number => {
                    for (name, value) in &mut params {
                        if name == "CallStatus" {
                            record.status.as_str().clone_into(value);
                        }
                    }
                }
                About::Leg {
                    event_names,
                    recording,
                    others,
                } => LegEnd {
                    status: record.status,
                    at,
                    talk_s: talk_seconds(record, at),
                    sip_status: record.sip_status,
                    recording: recording.as_ref(),
                }
                .describe(event_names, made - others, &mut params),
            }
            Callback {
                event: event(),
                account: record.account,
                author: last.target.author,
                lane: record.sid.into(),
                call: Some(record.sid),
                sequence,
                url: last.target.url,
                method: last.target.method,
                params,
                created: now,
            }
        };
        (self.sequence..).zip(self.last).map(complete).collect()
    }
}

fn talk_seconds(record: &CallRecord, until: Timestamp) -> i64 {
    record
        .answered
        .map_or(0, |answered| until.seconds_since(answered))
}

/// How a recording ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordingOutcome {
    /// It can be fetched, and has this length in milliseconds.
    Completed(i64),
    /// Nothing was recorded.
    Absent,
    /// It could not be written.
    Failed,
}

/// The last callback of a recording, without the values known only at its end. Stored in serialized
/// form with the recording, so that any server can complete it after a crash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordingFarewell {
    /// Callbacks of the lane made so far.
    sequence: i64,
    target: CallbackTarget,
    /// Whether a recording that exists, or could not be written, is reported.
    completed: bool,
    /// Whether an empty one is reported.
    absent: bool,
    /// Where the recording can be fetched.
    url: String,
    params: Params,
}

impl RecordingFarewell {
    /// - `sequence`: the number of callbacks that the lane has made.
    /// - `url`: where the recording can be fetched.
    /// - `params`: those that do not depend on its end.
    ///
    /// `None` if its end is not reported.
    pub(crate) fn new(
        sequence: i64,
        target: CallbackTarget,
        events: &[rcml::RecordingEvent],
        url: String,
        params: Params,
    ) -> Option<Self> {
        let completed = events.contains(&rcml::RecordingEvent::Completed);
        let absent = events.contains(&rcml::RecordingEvent::Absent);
        (completed || absent).then_some(Self {
            sequence,
            target,
            completed,
            absent,
            url,
            params,
        })
    }

    /// Replaces the address of the recording, with which anyone can hear it, with something else.
    pub(crate) fn hide_address(&mut self, instead: &str) {
        instead.clone_into(&mut self.url);
    }

    /// Numbers the callback after all those that the lane has made: the next free number is this.
    pub fn follow(&mut self, sequence: i64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// Whether this end is reported. A failure is, unless nothing but the start was asked for.
    #[must_use]
    pub fn reports(&self, end: RecordingOutcome) -> bool {
        match end {
            RecordingOutcome::Completed(_) => self.completed,
            RecordingOutcome::Absent => self.absent,
            RecordingOutcome::Failed => true,
        }
    }

    /// The callback that reports the end of `started`, made at `now`.
    #[must_use]
    pub fn callback(
        self,
        started: &StartedRecording,
        end: RecordingOutcome,
        event: EventSid,
        now: Timestamp,
    ) -> Callback {
        let mut params = self.params;
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        match end {
            RecordingOutcome::Completed(duration_ms) => {
                add("RecordingStatus", "completed".to_owned());
                add("RecordingUrl", self.url);
                add(
                    "RecordingDuration",
                    recording_seconds(duration_ms).to_string(),
                );
            }
            RecordingOutcome::Absent => {
                add("RecordingStatus", "absent".to_owned());
                add("RecordingDuration", "0".to_owned());
            }
            RecordingOutcome::Failed => {
                add("RecordingStatus", "failed".to_owned());
                add("ErrorCode", error::RECORD_FAILED.to_string());
            }
        }
        Callback {
            event,
            account: started.account,
            author: self.target.author,
            lane: started.lane(),
            call: started.call,
            sequence: self.sequence,
            url: self.target.url,
            method: self.target.method,
            params,
            created: now,
        }
    }
}

/// The callback of a message, without the values added by its status. Stored in serialized form
/// with the record of the message, so that any server can complete it after a crash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageFarewell {
    /// Callbacks of the lane made so far.
    sequence: i64,
    target: CallbackTarget,
    params: Params,
}

impl MessageFarewell {
    /// - `sequence`: the number of callbacks that the lane has made.
    pub(crate) const fn new(sequence: i64, target: CallbackTarget, params: Params) -> Self {
        Self {
            sequence,
            target,
            params,
        }
    }

    /// Numbers the callback after all those that the lane has made: the next free number is this.
    pub fn follow(&mut self, sequence: i64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// The callback that reports the status of `message`.
    pub fn callback(self, message: &Message, event: EventSid) -> Callback {
        let mut params = self.params;
        let named = |name: &str| params.iter().position(|(known, _)| known == name);
        if named("Body").is_none() {
            let at = named("To").map_or(params.len(), |to| to + 1);
            params.insert(at, ("Body".to_owned(), message.body.clone()));
        }
        let mut add = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
        add("MessageStatus", message.status.as_str());
        add("SmsStatus", message.status.as_str());
        if let Some(code) = message.error_code {
            add("ErrorCode", &code.to_string());
        }
        Callback {
            event,
            account: message.account,
            author: self.target.author,
            lane: message.lane(),
            call: message.call,
            sequence: self.sequence,
            url: self.target.url,
            method: self.target.method,
            params,
            created: message.updated,
        }
    }
}

/// Name of the event that ends a conference.
pub(crate) const CONFERENCE_END: &str = "conference-end";

/// The last callback of a conference. Stored in serialized form with its record, so that any server
/// can make it after a crash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomFarewell {
    target: CallbackTarget,
    /// The recording that it names.
    #[serde(default)]
    recording: Option<RoomRecordingAddress>,
}

/// Where the recording of a conference can be fetched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RoomRecordingAddress {
    pub(crate) sid: RecordingSid,
    pub(crate) url: String,
}

impl RoomFarewell {
    pub(crate) const fn new(
        target: CallbackTarget,
        recording: Option<RoomRecordingAddress>,
    ) -> Self {
        Self { target, recording }
    }

    /// Replaces the address of the recording, with which anyone can hear it, with something else.
    pub(crate) fn hide_address(&mut self, instead: &str) {
        if let Some(recording) = &mut self.recording {
            instead.clone_into(&mut recording.url);
        }
    }

    /// The recording that it names.
    #[must_use]
    pub fn recording(&self) -> Option<RecordingSid> {
        self.recording.as_ref().map(|recording| recording.sid)
    }

    /// The recording does not exist, and is not named.
    pub fn without_recording(&mut self) {
        self.recording = None;
    }

    /// The callback for the end in `record`, made at `now`.
    ///
    /// - `sequence`: the next free number among the callbacks of the conference.
    pub fn callback(
        self,
        record: &Conference,
        sequence: i64,
        event: EventSid,
        now: Timestamp,
    ) -> Callback {
        let about = (record.sid, record.account, record.name.as_str());
        let at = record.ended.unwrap_or(record.updated);
        let mut params = conference_params(about, CONFERENCE_END, sequence, at);
        let reason = record.reason.as_deref().unwrap_or_default();
        params.extend(conference_end(reason, None, self.recording.as_ref()));
        Callback {
            event,
            account: record.account,
            author: self.target.author,
            lane: record.sid.into(),
            call: None,
            sequence,
            url: self.target.url,
            method: self.target.method,
            params,
            created: now,
        }
    }
}

/// Parameters of every callback about a conference.
///
/// - `sequence`: of the callback among those of the conference, from 0.
pub(crate) fn conference_params(
    (sid, account, name): (ConferenceSid, AccountSid, &str),
    event: &str,
    sequence: i64,
    at: Timestamp,
) -> Params {
    let mut params = Params::with_capacity(16);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("ConferenceSid", sid.to_string());
    add("FriendlyName", name.to_owned());
    add("AccountSid", account.to_string());
    add("SequenceNumber", (sequence + 1).to_string());
    add("Timestamp", at.rfc2822());
    add("StatusCallbackEvent", event.to_owned());
    params
}

/// Parameters of the end of a conference.
///
/// - `by`: the call that ended it by leaving.
/// - `recording`: its recording, if there is one.
pub(crate) fn conference_end(
    reason: &str,
    by: Option<CallSid>,
    recording: Option<&RoomRecordingAddress>,
) -> Params {
    let mut params = vec![("ReasonConferenceEnded".to_owned(), reason.to_owned())];
    params.extend(by.map(|call| ("CallSidEndingConference".to_owned(), call.to_string())));
    params.extend(recording.map(|it| ("RecordingUrl".to_owned(), it.url.clone())));
    params
}
