//! What applications are told while a call goes on: the number's status callback and the leg's.

use model::record::Callback;
use model::{AccountSid, CallStatus, HttpMethod};

use crate::call::Call;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::fact::Fact;

/// Where callbacks go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallbackTarget {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Account that wrote the address: its rights count when the address is asked.
    pub author: AccountSid,
}

/// The callbacks of a leg that we create.
#[derive(Clone, PartialEq, Eq, Debug)]
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

fn wanted(callback: &LegCallback, dialect: Dialect, event: rcml::LegEvent) -> bool {
    match &callback.events {
        Some(events) => events.contains(&event),
        None => dialect.all_leg_events || event == rcml::LegEvent::Completed,
    }
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
        let (number, name) = describe(event);
        let mut params = self.leg_params(cx);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        if self.dialect.leg_event_names {
            add("CallStatus", name.to_owned());
            add("CallbackEvent", name.to_owned());
            add("CallResult", self.status.as_str().to_owned());
        } else {
            let status = match event {
                rcml::LegEvent::Initiated => name,
                rcml::LegEvent::Ringing | rcml::LegEvent::Answered | rcml::LegEvent::Completed => {
                    self.status.as_str()
                }
            };
            add("CallStatus", status.to_owned());
        }
        if event == rcml::LegEvent::Completed {
            add("CallDuration", self.talk_seconds(cx.now).to_string());
            if let Some(status) = self.sip_status {
                add("SipResponseCode", status.to_string());
            }
        }
        add("Timestamp", cx.now.rfc2822());
        add("CallbackSource", "call-progress-events".to_owned());
        let sequence = if self.dialect.leg_event_names {
            number
        } else {
            self.callbacks_queued
        };
        add("SequenceNumber", sequence.to_string());
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
