//! What applications are told while a call goes on: the number's status callback and the leg's.

use model::record::Callback;
use model::{AccountSid, CallStatus, HttpMethod, RecordingSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::fact::Fact;
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
    /// From its samples, once it is closed; before, the clock tells.
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
    /// Adds what `completed` tells.
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
fn add_status(event_names: bool, event: rcml::LegEvent, status: CallStatus, params: &mut Params) {
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

fn add_source(
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

impl Call {
    /// Tells the number's owner that the running leg has a new status.
    pub(crate) fn tell_number(&mut self, cx: &mut Context) {
        let Some(target) = self.number_callback.clone() else {
            return;
        };
        let final_only = !self.dialect.each_number_status;
        if (final_only && !self.status.is_final()) || self.told_status == Some(self.status) {
            return;
        }
        self.told_status = Some(self.status);
        let params = self.voice_params(cx);
        self.queue(target, params, cx);
    }

    /// Tells whoever created this leg what happened to it.
    pub(crate) fn tell_leg(&mut self, event: rcml::LegEvent, cx: &mut Context) {
        let Some(callback) = self.leg_callback.clone() else {
            return;
        };
        if !wanted(&callback, self.dialect, event) {
            return;
        }
        let event_names = self.dialect.leg_event_names;
        let mut params = self.leg_params(cx);
        if event == rcml::LegEvent::Completed {
            let end = LegEnd {
                status: self.status,
                at: cx.now,
                talk_s: self.talk_seconds(cx.now),
                sip_status: self.sip_status,
                recording: self.recorded.as_ref(),
            };
            end.describe(event_names, self.callbacks_queued, &mut params);
        } else {
            add_status(event_names, event, self.status, &mut params);
            add_source(
                event_names,
                event,
                cx.now,
                self.callbacks_queued,
                &mut params,
            );
        }
        self.queue(callback.target, params, cx);
    }

    fn queue(&mut self, target: CallbackTarget, params: Vec<(String, String)>, cx: &mut Context) {
        let callback = Callback {
            event: cx.event_sid(),
            account: self.info.account,
            author: target.author,
            call: self.sid,
            sequence: self.callbacks_queued,
            url: target.url,
            method: target.method,
            params,
            created: cx.now,
        };
        self.callbacks_queued += 1;
        cx.fact(Fact::Callback(callback));
    }
}

impl Call {
    pub(crate) fn set_status(&mut self, status: CallStatus, cx: &mut Context) {
        self.status = status;
        self.tell_number(cx);
    }
}
