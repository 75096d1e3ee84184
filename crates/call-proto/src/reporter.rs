//! Reports to applications about a leg: its status, its events, and the stored callbacks in case
//! this server dies before it can report the end.
//!
//! **Invariant: each status is reported once, and the callbacks of a leg are numbered without a gap.**

use model::record::Callback;
use model::{CallSid, CallStatus};

use crate::callback::{
    CallbackTarget, LegCallback, LegEnd, LegRecording, add_source, add_status, wanted,
};
use crate::context::Context;
use crate::event::Headers;
use crate::fact::Fact;
use crate::farewell::Farewell;
use crate::params::{Params, sip_headers};
use crate::profile::Profile;

/// Reports one leg.
pub(crate) struct Reporter {
    status: CallStatus,
    /// Reports to the owner of the number.
    pub(crate) number: Option<CallbackTarget>,
    /// Reports to the creator of the leg.
    pub(crate) leg: Option<LegCallback>,
    /// The last recording of a leg created through the API.
    pub(crate) recorded: Option<LegRecording>,
    /// The leg last connected by this one's script.
    pub(crate) outbound_child: Option<CallSid>,
    /// Headers of the last response to our INVITE.
    pub(crate) last_headers: Option<Headers>,
    /// Parameters about the transfer to which the current document belongs.
    pub(crate) transfer: Params,
    /// Callbacks made so far, those of recordings, messages and streams included.
    queued: i64,
    /// Events reported to the creator of the leg so far.
    leg_events: i64,
    /// The last status sent to the owner of the number.
    told: Option<CallStatus>,
    /// The basis of the stored farewell.
    farewell: Option<Basis>,
}

/// Everything about a leg that its farewell depends on and that may change: comparing it costs less
/// than rebuilding the farewell at each step.
#[derive(Debug)]
struct Basis {
    sequence: i64,
    child: Option<CallSid>,
    headers: Option<Headers>,
    recorded: Option<LegRecording>,
    number: Option<CallbackTarget>,
    leg: Option<LegCallback>,
    transfer: Params,
}

impl Basis {
    fn is_of(&self, reporter: &Reporter) -> bool {
        self.sequence == reporter.queued
            && self.child == reporter.outbound_child
            && self.headers == reporter.last_headers
            && self.recorded == reporter.recorded
            && self.number == reporter.number
            && self.leg == reporter.leg
            && self.transfer == reporter.transfer
    }
}

impl Reporter {
    /// For a leg that has just begun.
    pub(crate) fn new(status: CallStatus) -> Self {
        Self {
            status,
            number: None,
            leg: None,
            recorded: None,
            outbound_child: None,
            last_headers: None,
            transfer: Params::new(),
            queued: 0,
            leg_events: 0,
            told: None,
            farewell: None,
        }
    }

    /// The status of the leg.
    pub(crate) const fn status(&self) -> CallStatus {
        self.status
    }

    /// Sets a new status of the leg.
    pub(crate) fn set_status(&mut self, status: CallStatus, profile: &Profile, cx: &mut Context) {
        self.status = status;
        self.tell_number(profile, cx);
    }

    /// Reports the status to the number's owner, unless already reported.
    pub(crate) fn tell_number(&mut self, profile: &Profile, cx: &mut Context) {
        let Some(target) = self.number.clone() else {
            return;
        };
        let final_only = !profile.dialect.each_number_status;
        if (final_only && !self.status.is_final()) || self.told == Some(self.status) {
            return;
        }
        self.told = Some(self.status);
        let params = self.voice_params(profile, cx);
        self.queue(target, params, profile, cx);
    }

    /// Changes the address for statuses, from the next one on.
    pub(crate) fn retarget(&mut self, number: Option<CallbackTarget>) {
        self.number = number;
        self.told = Some(self.status);
    }

    /// Stops all reports of this leg.
    pub(crate) fn silence(&mut self) {
        (self.number, self.leg) = (None, None);
    }

    /// Reports an event of the leg to its creator.
    pub(crate) fn tell_leg(&mut self, event: rcml::LegEvent, profile: &Profile, cx: &mut Context) {
        let Some(target) = self.leg_target(event, profile) else {
            return;
        };
        let event_names = profile.dialect.leg_event_names;
        let mut params = leg_params(profile, cx);
        add_status(event_names, event, self.status, &mut params);
        add_source(event_names, event, cx.now, self.leg_events, &mut params);
        self.leg_events += 1;
        self.queue(target, params, profile, cx);
    }

    /// Reports the end of the leg to its creator.
    pub(crate) fn tell_end(
        &mut self,
        talk_s: i64,
        sip_status: Option<u16>,
        profile: &Profile,
        cx: &mut Context,
    ) {
        let Some(target) = self.leg_target(rcml::LegEvent::Completed, profile) else {
            return;
        };
        let mut params = leg_params(profile, cx);
        let end = LegEnd {
            status: self.status,
            at: cx.now,
            talk_s,
            sip_status,
            recording: self.recorded.as_ref(),
        };
        end.describe(
            profile.dialect.leg_event_names,
            self.leg_events,
            &mut params,
        );
        self.leg_events += 1;
        self.queue(target, params, profile, cx);
    }

    fn leg_target(&self, event: rcml::LegEvent, profile: &Profile) -> Option<CallbackTarget> {
        let callback = self.leg.as_ref()?;
        wanted(callback, profile.dialect, event).then(|| callback.target.clone())
    }

    fn queue(
        &mut self,
        target: CallbackTarget,
        params: Params,
        profile: &Profile,
        cx: &mut Context,
    ) {
        let callback = Callback {
            event: cx.event_sid(),
            account: profile.account,
            author: target.author,
            lane: profile.sid.into(),
            call: Some(profile.sid),
            sequence: self.next_number(),
            url: target.url,
            method: target.method,
            params,
            created: cx.now,
        };
        cx.fact(Fact::Callback(callback));
    }

    /// Callbacks made so far.
    pub(crate) const fn queued(&self) -> i64 {
        self.queued
    }

    /// The number for the next callback.
    pub(crate) fn next_number(&mut self) -> i64 {
        let number = self.queued;
        self.queued += 1;
        number
    }

    /// At the end of a step: stores the farewell if it has changed.
    pub(crate) fn keep_farewell(&mut self, profile: &Profile, cx: &mut Context) {
        let nobody = self.number.is_none() && self.leg.is_none();
        if nobody && self.farewell.is_none() {
            return;
        }
        if self
            .farewell
            .as_ref()
            .is_some_and(|basis| basis.is_of(self))
        {
            return;
        }
        self.farewell = Some(Basis {
            sequence: self.queued,
            child: self.outbound_child,
            headers: self.last_headers.clone(),
            recorded: self.recorded.clone(),
            number: self.number.clone(),
            leg: self.leg.clone(),
            transfer: self.transfer.clone(),
        });
        let farewell = Box::new(self.make_farewell(profile, cx));
        let call = profile.sid;
        cx.fact(Fact::Farewell { call, farewell });
    }

    fn make_farewell(&self, profile: &Profile, cx: &Context) -> Farewell {
        let mut farewell = Farewell::new(self.queued);
        if let Some(target) = self.number.clone() {
            farewell.tell_number(target, self.voice_params(profile, cx));
        }
        if let Some(target) = self.leg_target(rcml::LegEvent::Completed, profile) {
            farewell.tell_leg(
                target,
                leg_params(profile, cx),
                profile.dialect.leg_event_names,
                self.leg_events,
                self.recorded.clone(),
            );
        }
        farewell
    }

    /// Parameters of every document request of this leg, and of its number-level callbacks.
    pub(crate) fn voice_params(&self, profile: &Profile, cx: &Context) -> Params {
        let or_unknown = |value: &Option<String>| match value {
            Some(value) => value.clone(),
            None if cx.settings.null_strings => "null".to_owned(),
            None => String::new(),
        };
        let mut params = Params::with_capacity(20);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        add("CallSid", profile.sid.to_string());
        add("InstanceId", cx.settings.instance.to_string());
        if let Some(child) = self.outbound_child {
            add("OutboundCallSid", child.to_string());
        }
        add("AccountSid", profile.account.to_string());
        add("From", profile.from.clone());
        add("To", profile.to.clone());
        add("CallStatus", self.status.as_str().to_owned());
        add("ApiVersion", profile.dialect.api_version.to_owned());
        add("Direction", profile.direction.as_str().to_owned());
        add("CallerName", or_unknown(&profile.caller_name));
        add("ForwardedFrom", or_unknown(&profile.forwarded_from));
        add("CallTimestamp", profile.created.iso8601());
        let headers = self.last_headers.as_ref().unwrap_or(&profile.headers);
        for (name, value) in sip_headers(headers) {
            add(&format!("SipHeader_{name}"), value.clone());
        }
        params.extend(self.transfer.iter().cloned());
        params
    }
}

/// Parameters of callbacks about a leg that we created.
fn leg_params(profile: &Profile, cx: &Context) -> Params {
    let mut params = Params::with_capacity(20);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("InstanceId", cx.settings.instance.to_string());
    add("AccountSid", profile.account.to_string());
    add("CallSid", profile.sid.to_string());
    add("From", profile.from.clone());
    add("To", profile.to.clone());
    add("ApiVersion", profile.dialect.api_version.to_owned());
    add("Direction", profile.direction.as_str().to_owned());
    add("CallerName", profile.from.clone());
    if let Some(forwarded) = &profile.forwarded_from {
        add("ForwardedFrom", forwarded.clone());
    }
    if let Some(parent) = profile.parent {
        add("ParentCallSid", parent.to_string());
    }
    params
}
