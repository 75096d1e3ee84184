//! The callbacks of a leg: where they go, which are requested, and what each contains.

use model::{AccountSid, CallStatus, HttpMethod, RecordingSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::params::Params;

/// Where callbacks go.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallbackTarget {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Account that wrote the address: its rights count when the address is asked.
    pub author: AccountSid,
}

/// The callbacks of a leg that we create.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LegCallback {
    /// Where to.
    pub target: CallbackTarget,
    /// Which events; `None` is the dialect's default.
    pub events: Option<Vec<rcml::LegEvent>>,
}

/// Which of a leg's events: its number in the fixed sequence and its name.
const fn describe(event: rcml::LegEvent) -> (i64, &'static str) {
    match event {
        rcml::LegEvent::Initiated => (0, "initiated"),
        rcml::LegEvent::Ringing => (1, "ringing"),
        rcml::LegEvent::Answered => (2, "answered"),
        rcml::LegEvent::Completed => (3, "completed"),
    }
}

pub(crate) fn wanted(callback: &LegCallback, dialect: Dialect, event: rcml::LegEvent) -> bool {
    match &callback.events {
        Some(events) => events.contains(&event),
        None => dialect.all_leg_events || event == rcml::LegEvent::Completed,
    }
}

/// The last recording of a leg that the API made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LegRecording {
    pub(crate) sid: RecordingSid,
    pub(crate) url: String,
    pub(crate) started: Timestamp,
    /// From its samples once it is closed; by the clock before.
    pub(crate) length_s: Option<i64>,
}

/// How a leg ended, for its last callback.
pub(crate) struct LegEnd<'a> {
    pub(crate) status: CallStatus,
    pub(crate) at: Timestamp,
    pub(crate) talk_s: i64,
    pub(crate) sip_status: Option<u16>,
    pub(crate) recording: Option<&'a LegRecording>,
}

impl LegEnd<'_> {
    /// Adds what `completed` reports.
    pub(crate) fn describe(&self, event_names: bool, sequence: i64, params: &mut Params) {
        let event = rcml::LegEvent::Completed;
        add_status(event_names, event, self.status, params);
        params.push(("CallDuration".to_owned(), self.talk_s.to_string()));
        if let Some(status) = self.sip_status {
            params.push(("SipResponseCode".to_owned(), status.to_string()));
        }
        if let Some(recording) = self.recording {
            let length_s = recording
                .length_s
                .unwrap_or_else(|| self.at.seconds_since(recording.started));
            let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
            add("RecordingUrl", recording.url.clone());
            add("RecordingSid", recording.sid.to_string());
            add("RecordingDuration", length_s.to_string());
        }
        add_source(event_names, event, self.at, sequence, params);
    }
}

/// What happened to the leg: the event's name or the real status, as the dialect has it.
pub(crate) fn add_status(
    event_names: bool,
    event: rcml::LegEvent,
    status: CallStatus,
    params: &mut Params,
) {
    let (_, name) = describe(event);
    let mut add = |name: &str, value: &str| params.push((name.to_owned(), value.to_owned()));
    if event_names {
        add("CallStatus", name);
        add("CallbackEvent", name);
        add("CallResult", status.as_str());
        return;
    }
    let told = match event {
        rcml::LegEvent::Initiated => name,
        rcml::LegEvent::Ringing | rcml::LegEvent::Answered | rcml::LegEvent::Completed => {
            status.as_str()
        }
    };
    add("CallStatus", told);
}

pub(crate) fn add_source(
    event_names: bool,
    event: rcml::LegEvent,
    at: Timestamp,
    sequence: i64,
    params: &mut Params,
) {
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("Timestamp", at.rfc2822());
    add("CallbackSource", "call-progress-events".to_owned());
    let fixed = describe(event).0;
    let number = if event_names { fixed } else { sequence };
    add("SequenceNumber", number.to_string());
}
