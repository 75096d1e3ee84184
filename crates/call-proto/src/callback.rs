//! The callbacks of a leg: destinations, requested events, and parameters.

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
    /// Account that set the address: its rights apply to the request.
    pub author: AccountSid,
}

/// The callbacks of a leg that we create.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LegCallback {
    /// Destination.
    pub target: CallbackTarget,
    /// Requested events; `None` means the dialect's default.
    pub events: Option<Vec<rcml::LegEvent>>,
}

/// An event of a leg: its number in the fixed sequence and its name.
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

/// The last recording of a leg created through the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LegRecording {
    pub(crate) sid: RecordingSid,
    pub(crate) url: String,
    pub(crate) started: Timestamp,
    /// By its samples once closed; before that, by the clock.
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
    /// Adds the parameters of `completed`.
    ///
    /// - `sequence`: of this event among those reported to the creator of the leg, from 0.
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

/// The event: its name, or the real status, depending on the dialect.
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
