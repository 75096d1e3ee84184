//! A leg: the SIP and media side of a call with its final status, from INVITE to BYE, in both
//! directions.
//!
//! **Invariants: after [`State::Over`] nothing is sent on the leg; [`Leg::finish_by`] runs once**,
//! is the only place that sets a final status, and notifies everything that depends on the leg
//! (fork, bridge, scripts). `events` handles the reports of SIP and media.

mod events;
mod head;

use std::collections::VecDeque;

use model::record::CallRecord;
use model::{CallStatus, HangupBy, Timestamp};

use crate::command::{Command, Invite, LegCommand, MediaCommand};
use crate::context::{Context, Letter};
use crate::event::Headers;
use crate::fact::{CallEnd, Fact, Reason};
use crate::letter::{BridgeId, Ended, ForkId, LastResponse, LegOver};
use crate::params::Params;
use crate::profile::Profile;
use crate::queueing::Meeting;
use crate::reporter::Reporter;
use crate::trace::{Entry, Lane, Way};
use crate::type_ahead::TypeAhead;

/// The state of a leg.
#[derive(Debug)]
pub(crate) enum State {
    /// Inbound: 180 was sent. Holds the offer; `None` if the INVITE had none.
    Alerting { offer: Option<String> },
    /// Inbound: media is being opened, 200 follows.
    Answering { late_offer: bool },
    /// Inbound: 200 was sent.
    AwaitingAck { late_offer: bool },
    /// Outbound: it has the record of the branches of this fork, which ring. `called`: an INVITE has been sent.
    Heading { fork: ForkId, called: bool },
    /// Outbound: media is being opened, the INVITE follows.
    Opening(Box<Invite>),
    /// Outbound: INVITE was sent.
    Calling,
    /// Both: talking.
    Up,
    /// Both: nothing more is sent.
    Over,
}

/// News of a leg for its scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// It is up.
    Up,
    /// It has ended.
    Over(Reason),
}

/// One leg of a call.
pub(crate) struct Leg {
    pub(crate) profile: Profile,
    pub(crate) reporter: Reporter,
    /// The bridge it is in.
    pub(crate) bridge: Option<BridgeId>,
    /// Its connection to a leg of another family.
    pub(crate) meeting: Option<Meeting>,
    /// The fork that rings it.
    fork: Option<ForkId>,
    /// While it is being screened: what its end would mean for the fork.
    screened: Option<CallStatus>,
    state: State,
    answered: Option<Timestamp>,
    ended: Option<CallEnd>,
    /// Media was opened and is not yet closed.
    media_open: bool,
    /// The remote party has answered an offer that it requested with a re-INVITE: from then on,
    /// refusing a description concerns a change of the session, not its beginning.
    revised: bool,
    /// The answer to our offer, kept for the head that takes over this branch.
    answer: Option<String>,
    sip_call_id: Option<String>,
    last_response: Option<LastResponse>,
    sip_status: Option<u16>,
    /// The remote party's reason for the end.
    sip_reason: Option<String>,
    /// Parameters about what has answered, if the document waited for them.
    pub(crate) answerer: Params,
    /// How many verbs need the remote party's keys.
    key_listeners: u32,
    /// Keys for the next `<Gather>`.
    type_ahead: TypeAhead,
    /// Whether its remote party was transferred elsewhere with a REFER, and is expected to hang up.
    is_referred: bool,
    /// News for the scripts, passed on after the leg has finished its step.
    news: VecDeque<News>,
}

impl Leg {
    /// An inbound leg.
    pub(crate) fn inbound(profile: Profile, sip_call_id: String, offer: Option<String>) -> Self {
        let mut leg = Self::new(profile, State::Alerting { offer }, CallStatus::Ringing);
        leg.sip_call_id = Some(sip_call_id);
        leg
    }

    /// A leg rung by a fork.
    pub(crate) fn outbound(profile: Profile, invite: Invite, fork: ForkId) -> Self {
        let state = State::Opening(Box::new(invite));
        let mut leg = Self::new(profile, state, CallStatus::Queued);
        leg.fork = Some(fork);
        leg
    }

    fn new(profile: Profile, state: State, status: CallStatus) -> Self {
        Self {
            profile,
            reporter: Reporter::new(status),
            bridge: None,
            meeting: None,
            fork: None,
            screened: None,
            state,
            answered: None,
            ended: None,
            media_open: false,
            revised: false,
            answer: None,
            sip_call_id: None,
            last_response: None,
            sip_status: None,
            sip_reason: None,
            answerer: Params::new(),
            key_listeners: 0,
            type_ahead: TypeAhead::default(),
            is_referred: false,
            news: VecDeque::new(),
        }
    }

    /// Announces an inbound call.
    pub(crate) fn start_inbound(&mut self, cx: &mut Context) {
        let record = self.record(cx);
        cx.fact(Fact::Created(Box::new(record)));
        let entry = Entry {
            at: cx.now,
            owner: self.profile.sid.into(),
            lane: Lane::Sip,
            way: Way::In,
            what: "INVITE".to_owned(),
            detail: format!("{} calls {}", self.profile.from, self.profile.to),
        };
        cx.trace_entry(self.profile.sid, entry);
        let headers = self.identity_headers();
        cx.leg(self.profile.sid, LegCommand::Headers(headers));
        cx.leg(self.profile.sid, LegCommand::Ring);
        self.reporter.tell_number(&self.profile, cx);
    }

    /// Starts an outbound call.
    pub(crate) fn start_outbound(&mut self, cx: &mut Context) {
        match self.profile.head {
            Some(head) => {
                let branch = self.profile.sid;
                cx.command(head, Command::OpenBranch { branch });
            }
            None => {
                let record = self.record(cx);
                cx.fact(Fact::Created(Box::new(record)));
            }
        }
        let headers = self.identity_headers();
        cx.leg(self.profile.sid, LegCommand::Headers(headers));
        self.media_open = true;
        let towards = match &self.state {
            State::Opening(invite) => Some(invite.route.via.clone()),
            _ => None,
        };
        let offer = None;
        cx.media(self.profile.sid, MediaCommand::Open { offer, towards });
    }

    /// Answers an inbound call; the script continues once the leg is up.
    pub(crate) fn answer(&mut self, cx: &mut Context) {
        if let State::Alerting { offer } = &mut self.state {
            let offer = offer.take();
            self.state = State::Answering {
                late_offer: offer.is_none(),
            };
            self.media_open = true;
            let towards = None;
            cx.media(self.profile.sid, MediaCommand::Open { offer, towards });
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.state, State::Alerting { .. })
    }

    /// Whether it is being answered.
    pub(crate) fn is_being_answered(&self) -> bool {
        matches!(
            self.state,
            State::Answering { .. } | State::AwaitingAck { .. }
        )
    }

    /// Whether we are calling and have no answer yet.
    pub(crate) fn is_calling(&self) -> bool {
        matches!(
            self.state,
            State::Heading { .. } | State::Opening(_) | State::Calling
        )
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether the API can still cancel it, because it is unanswered.
    pub(crate) fn can_be_canceled(&self) -> bool {
        match self.state {
            State::Alerting { .. }
            | State::Answering { .. }
            | State::Heading { .. }
            | State::Opening(_)
            | State::Calling => true,
            State::AwaitingAck { .. } | State::Up | State::Over => false,
        }
    }

    /// The next news for the scripts.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// The fork that rings it, or the branches whose record it has.
    pub(crate) const fn fork(&self) -> Option<ForkId> {
        match self.state {
            State::Heading { fork, .. } => Some(fork),
            _ => self.fork,
        }
    }

    /// Parameters of every document request.
    pub(crate) fn voice_params(&self, cx: &Context) -> Params {
        let mut params = self.reporter.voice_params(&self.profile, cx);
        params.extend(self.answerer.iter().cloned());
        if self.screened.is_none() {
            return params;
        }
        let sip_call_id = self.sip_call_id.as_deref();
        screening_params(params, sip_call_id.filter(|_| self.profile.dialled_sip))
    }

    /// A script starts screening the dialled party.
    pub(crate) fn screen(&mut self) {
        self.screened = Some(CallStatus::NoAnswer);
    }

    /// Whether a script is screening the dialled party.
    pub(crate) const fn is_screened(&self) -> bool {
        self.screened.is_some()
    }

    /// While the leg is screened, its end means this to the fork.
    pub(crate) fn decline_as(&mut self, status: CallStatus) {
        if let Some(screened) = &mut self.screened {
            *screened = status;
        }
    }

    /// The dialled party accepts the call.
    pub(crate) fn accept(&mut self, cx: &mut Context) {
        if let (Some(_), Some(fork)) = (self.screened.take(), self.fork) {
            cx.letter(Letter::BranchAccepted(fork, self.profile.sid));
        }
    }

    /// The leg leaves the fork that screens it, which has lost it.
    pub(crate) fn leave_screening(&mut self, cx: &mut Context) {
        if self.screened.is_some() {
            self.tell_fork(CallStatus::Completed, Reason::Api, cx);
            self.screened = None;
        }
    }

    /// A verb needs the remote party's keys, or no longer does: they are detected in its audio as
    /// long as any verb needs them.
    pub(crate) fn listen_to_keys(&mut self, on: bool, cx: &mut Context) {
        let before = self.key_listeners;
        self.key_listeners = if on {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        if (before == 0) != (self.key_listeners == 0) {
            cx.media(self.profile.sid, MediaCommand::ListenDigits { on });
        }
    }

    /// A key was pressed that no verb takes: it is kept for the next `<Gather>`.
    pub(crate) fn keep_key(&mut self, key: char, cx: &mut Context) {
        // Journals from before that replay as they were.
        if !cx.settings.type_ahead {
            return;
        }
        let what = if self.type_ahead.keep(key) {
            "key kept"
        } else {
            "key dropped"
        };
        cx.trace(self.profile.sid, Lane::Rcml, what, "no verb takes it");
    }

    /// The kept keys, for a `<Gather>`.
    pub(crate) fn take_kept_keys(&mut self) -> VecDeque<char> {
        self.type_ahead.take()
    }

    /// Keeps the keys that a `<Gather>` did not need.
    pub(crate) fn put_back_keys(&mut self, keys: VecDeque<char>) {
        self.type_ahead.put_back(keys);
    }

    /// The kept keys no longer count.
    pub(crate) fn drop_kept_keys(&mut self, cx: &mut Context) {
        if self.type_ahead.drop_all() {
            let why = "they were pressed too early";
            cx.trace(self.profile.sid, Lane::Rcml, "kept keys dropped", why);
        }
    }

    /// The remote party has called another address because of a REFER.
    pub(crate) fn referred(&mut self) {
        self.is_referred = true;
    }

    /// It has something else to do by now.
    pub(crate) fn no_longer_referred(&mut self) {
        self.is_referred = false;
    }

    /// At the end of a step: stores the farewell, and closes the media of an ended leg.
    pub(crate) fn settle(&mut self, cx: &mut Context) {
        if self.ended.is_none() {
            self.reporter.keep_farewell(&self.profile, cx);
        } else if self.media_open {
            self.media_open = false;
            cx.media(self.profile.sid, MediaCommand::Close);
        }
    }

    /// Headers that name the call on every SIP message of the leg.
    fn identity_headers(&self) -> Headers {
        vec![
            (
                "X-RestComm-ApiVersion".to_owned(),
                self.profile.dialect.api_version.to_owned(),
            ),
            (
                "X-RestComm-AccountSid".to_owned(),
                self.profile.account.to_string(),
            ),
            (
                "X-RestComm-CallSid".to_owned(),
                self.profile.head.unwrap_or(self.profile.sid).to_string(),
            ),
        ]
    }

    /// A fact about the leg, unless it has no record.
    fn put_on_record(&self, fact: Fact, cx: &mut Context) {
        if self.profile.head.is_none() {
            cx.fact(fact);
        }
    }

    fn record(&self, cx: &Context) -> CallRecord {
        let profile = &self.profile;
        CallRecord {
            sid: profile.sid,
            instance: cx.settings.instance,
            parent: profile.parent,
            account: profile.account,
            to: profile.to.clone(),
            from: profile.from.clone(),
            number: profile.number,
            status: self.reporter.status(),
            direction: profile.direction,
            created: profile.created,
            updated: cx.now,
            started: Some(profile.created),
            answered: None,
            ended: None,
            duration_s: None,
            ring_duration_s: None,
            answered_by: None,
            forwarded_from: profile.forwarded_from.clone(),
            caller_name: profile.caller_name.clone(),
            reason: None,
            hangup_by: None,
            sip_status: None,
            sip_reason: None,
            sip_call_id: self.sip_call_id.clone(),
            muted: false,
            media: None,
        }
    }

    fn talk_seconds(&self, until: Timestamp) -> i64 {
        self.answered
            .map_or(0, |answered| until.seconds_since(answered))
    }

    fn ring_seconds(&self, until: Timestamp) -> i64 {
        self.answered
            .unwrap_or(until)
            .seconds_since(self.profile.created)
    }

    /// The leg was answered, by us or by the remote party.
    fn mark_answered(&mut self, answered_by: Option<String>, cx: &mut Context) {
        self.answered = Some(cx.now);
        let sip_call_id = self.sip_call_id.clone();
        cx.fact(Fact::Answered {
            call: self.profile.sid,
            at: cx.now,
            answered_by,
            sip_call_id,
        });
        self.reporter
            .set_status(CallStatus::InProgress, &self.profile, cx);
    }

    /// Ends the leg. SIP messages were decided before.
    pub(crate) fn finish(&mut self, status: CallStatus, reason: Reason, cx: &mut Context) {
        self.finish_by(status, reason, reason.by(self.profile.direction), cx);
    }

    /// As [`Leg::finish`], if the reason alone does not determine who ended it.
    pub(crate) fn finish_by(
        &mut self,
        status: CallStatus,
        reason: Reason,
        by: HangupBy,
        cx: &mut Context,
    ) {
        if self.ended.is_some() {
            return;
        }
        self.abandon_branches(reason, cx);
        self.state = State::Over;
        let ring = self
            .profile
            .is_outbound()
            .then(|| self.ring_seconds(cx.now));
        let end = CallEnd {
            status,
            at: cx.now,
            duration_s: self.talk_seconds(cx.now),
            ring_duration_s: ring,
            reason,
            by,
            sip_status: self.sip_status,
            sip_reason: self.sip_reason.take(),
        };
        let fact = Fact::Ended {
            call: self.profile.sid,
            end: end.clone(),
        };
        self.put_on_record(fact, cx);
        self.ended = Some(end);
        self.reporter.set_status(status, &self.profile, cx);
        let talk_s = self.talk_seconds(cx.now);
        self.reporter
            .tell_end(talk_s, self.sip_status, &self.profile, cx);
        self.tell_dependents(status, reason, cx);
        self.news.push_back(News::Over(reason));
    }

    /// Whether the leg ended because of a failure.
    pub(crate) fn has_failed(&self) -> bool {
        let failed = |end: &CallEnd| end.status == CallStatus::Failed;
        self.ended.as_ref().is_some_and(failed)
    }

    fn tell_dependents(&mut self, status: CallStatus, reason: Reason, cx: &mut Context) {
        if let Some(bridge) = self.bridge {
            let ended = Ended::of_leg(self.profile.sid, self.has_failed());
            cx.letter(Letter::BridgeLegOver(bridge, ended));
        }
        self.tell_fork(status, reason, cx);
    }

    fn tell_fork(&mut self, status: CallStatus, reason: Reason, cx: &mut Context) {
        if let Some(fork) = self.fork.take() {
            let over = LegOver {
                call: self.profile.sid,
                status: self.screened.unwrap_or(status),
                reason,
                sip_status: self.screened.map_or(self.sip_status, declined_with),
                sip_reason: self.ended.as_ref().and_then(|end| end.sip_reason.clone()),
                screened: self.screened.is_some(),
                ring_s: self.ring_seconds(cx.now),
                response: self
                    .last_response
                    .clone()
                    .filter(|_| self.profile.dialled_sip),
            };
            cx.letter(Letter::BranchOver(fork, Box::new(over)));
        }
    }

    /// Sends a final refusal on an inbound leg; the caller of this function finishes the call.
    pub(crate) fn reject(&mut self, status: u16, reason: Option<String>, cx: &mut Context) {
        self.sip_status = Some(status);
        cx.leg(self.profile.sid, LegCommand::Reject { status, reason });
    }

    /// Ends the leg from our side, in any state.
    pub(crate) fn end(&mut self, reason: Reason, cx: &mut Context) {
        match self.state {
            State::Over => return,
            State::Alerting { .. } | State::Answering { .. } => {
                let stops = reason == Reason::Shutdown;
                self.reject(if stops { 503 } else { 500 }, None, cx);
            }
            State::AwaitingAck { .. } | State::Up => cx.leg(self.profile.sid, bye(None)),
            State::Heading { .. } | State::Opening(_) => self.sip_status = Some(487),
            State::Calling => {
                self.sip_status = Some(487);
                cx.leg(self.profile.sid, LegCommand::Cancel);
            }
        }
        self.finish(self.status_of_end(reason), reason, cx);
    }

    /// Ends the leg because its script cannot continue, with a text for the remote party. For a
    /// fork, a failed screening is a failed call.
    pub(crate) fn fail(&mut self, sip_status: u16, text: &str, reason: Reason, cx: &mut Context) {
        self.decline_as(CallStatus::Failed);
        match self.state {
            State::Over => return,
            State::Alerting { .. } | State::Answering { .. } => {
                self.reject(sip_status, Some(text.to_owned()), cx);
            }
            State::AwaitingAck { .. } | State::Up => cx.leg(self.profile.sid, bye(Some(text))),
            State::Calling => cx.leg(self.profile.sid, LegCommand::Cancel),
            State::Heading { .. } | State::Opening(_) => {}
        }
        self.finish(CallStatus::Failed, reason, cx);
    }

    /// Status of a leg that we end.
    fn status_of_end(&self, reason: Reason) -> CallStatus {
        match self.state {
            State::AwaitingAck { .. } | State::Up => CallStatus::Completed,
            State::Alerting { .. } | State::Answering { .. } => match reason {
                Reason::Api => CallStatus::Canceled,
                _ => CallStatus::Failed,
            },
            State::Heading { .. } | State::Opening(_) | State::Calling | State::Over => {
                match reason {
                    Reason::NoAnswer => CallStatus::NoAnswer,
                    _ => CallStatus::Canceled,
                }
            }
        }
    }

    fn status_of_loss(&self) -> CallStatus {
        match self.state {
            State::Up | State::AwaitingAck { .. } => CallStatus::Completed,
            State::Alerting { .. }
            | State::Answering { .. }
            | State::Heading { .. }
            | State::Opening(_)
            | State::Calling
            | State::Over => CallStatus::Failed,
        }
    }

    /// Cancels or ends the leg for the API.
    pub(crate) fn end_by_api(&mut self, cx: &mut Context) {
        if let State::Alerting { .. } | State::Answering { .. } = self.state {
            self.reject(487, None, cx);
            self.finish(CallStatus::Canceled, Reason::Api, cx);
        } else {
            self.end(Reason::Api, cx);
        }
    }

    /// The leg could not be recorded: neither the caller, the callee nor an application may learn
    /// of it. False if it has already progressed further.
    pub(crate) fn not_recorded(&mut self, cx: &mut Context) -> bool {
        match self.state {
            State::Alerting { .. } => self.reject(503, None, cx),
            State::Heading { .. } | State::Opening(_) => self.sip_status = Some(503),
            // It continued, so its record was stored.
            State::Answering { .. }
            | State::AwaitingAck { .. }
            | State::Calling
            | State::Up
            | State::Over => return false,
        }
        self.reporter.silence();
        self.finish(CallStatus::Failed, Reason::NotRecorded, cx);
        true
    }
}

fn bye(reason: Option<&str>) -> LegCommand {
    LegCommand::Bye {
        reason: reason.map(str::to_owned),
    }
}

/// The SIP status equivalent to a party that declines while being screened.
const fn declined_with(status: CallStatus) -> Option<u16> {
    match status {
        CallStatus::Busy => Some(486),
        CallStatus::NoAnswer => Some(480),
        _ => Some(500),
    }
}

/// The parameters of a leg being screened: for the application it has not begun.
fn screening_params(params: Params, sip_call_id: Option<&str>) -> Params {
    let is_sip = sip_call_id.is_some();
    let kept = |(name, _): &(String, String)| match name.as_str() {
        "InstanceId" | "CallTimestamp" => false,
        name => is_sip || !name.starts_with("SipHeader_"),
    };
    let call_id = sip_call_id.map(|id| ("SipCallId".to_owned(), id.to_owned()));
    params.into_iter().filter(kept).chain(call_id).collect()
}

/// The meaning of a final refusal of our INVITE for the leg.
pub(crate) const fn verdict(sip_status: u16) -> (CallStatus, Reason) {
    match sip_status {
        486 | 600 | 603 => (CallStatus::Busy, Reason::Busy),
        487 => (CallStatus::Canceled, Reason::Refused),
        _ => (CallStatus::Failed, Reason::Refused),
    }
}
