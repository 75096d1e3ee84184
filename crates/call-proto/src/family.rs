//! All machines that descend from one root call, and the letters between them.
//!
//! One task owns a family. Inputs are handled one at a time; letters between the machines are
//! delivered before the next input is looked at, so their order is fixed. **Invariant: a family
//! is finished exactly when every leg has its final record and no answer is pending.**

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{AccountSid, CallSid, Direction, NumberSid, Timestamp};
use rcml::Verb;
use serde::{Deserialize, Serialize};

use crate::bridge::Bridge;
use crate::call::Call;
use crate::callback::{CallbackTarget, LegCallback};
use crate::command::{Addressed, Invite, MediaCommand, Target};
use crate::context::{Context, Letter, Settings};
use crate::dialect::Dialect;
use crate::event::{Document, Event, Headers, MediaEvent, PlayId, Redirect, Route};
use crate::fact::Reason;
use crate::fork::Fork;
use crate::interpreter;
use crate::leg::Leg;
use crate::letter::{
    BranchSpec, BridgeId, Common, Dialled, Ended, ForkId, ForkNews, Plan, user_part,
};
use crate::profile::Profile;
use crate::request::ModifyError;
use crate::trace;

/// An inbound call that was admitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inbound {
    /// Account it runs under.
    pub account: AccountSid,
    /// Caller's user part.
    pub from: String,
    /// Called user part.
    pub to: String,
    /// Caller's display name.
    pub caller_name: Option<String>,
    /// User part of the Diversion header.
    pub forwarded_from: Option<String>,
    /// `X-` headers and Diversion of the INVITE, exact names, in order.
    pub headers: Headers,
    /// SIP Call-ID.
    pub sip_call_id: String,
    /// Number that was called.
    pub number: Option<NumberSid>,
    /// Offer of the INVITE; `None` if it had none.
    pub sdp: Option<String>,
    /// Max-Forwards of the INVITE; legs that this call dials get one less.
    pub max_forwards: u8,
    /// What runs on the leg.
    pub script: Script,
    /// Told each status of the leg.
    pub status_callback: Option<CallbackTarget>,
    /// Dialect of the run.
    #[serde(with = "crate::journal::serde_as::dialect")]
    pub dialect: Dialect,
}

/// What runs on a leg.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Script {
    /// A document of the application.
    Document(Document),
    /// Verbs made up by routing.
    Verbs {
        /// The verbs.
        #[serde(with = "crate::journal::serde_as::verbs")]
        verbs: Vec<Verb>,
        /// Answer the caller only when a `<Dial>` connects.
        answer_on_bridge: bool,
    },
}

/// A call made by the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutboundApi {
    /// Account it runs under.
    pub account: AccountSid,
    /// Whom the callee sees: a number, a name, or a whole SIP address.
    pub from: String,
    /// What was asked for.
    pub target: Target,
    /// Ways to reach it; one leg each.
    pub routes: Vec<Route>,
    /// Headers for the INVITE.
    pub headers: Headers,
    /// User name and password for 401 and 407.
    pub credentials: Option<(String, String)>,
    /// Runs on the leg that answers.
    pub document: Document,
    /// Told of the events of each leg.
    pub callback: Option<LegCallback>,
    /// How long it may ring.
    pub timeout: Duration,
    /// Dialect of the run.
    #[serde(with = "crate::journal::serde_as::dialect")]
    pub dialect: Dialect,
}

/// Max-Forwards of a leg that no other call led to (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// The machines of one root call.
pub struct Family {
    cx: Context,
    root: CallSid,
    calls: BTreeMap<CallSid, Call>,
    forks: BTreeMap<ForkId, Fork>,
    bridges: BTreeMap<BridgeId, Bridge>,
}

impl Family {
    /// A family whose root is an inbound call.
    ///
    /// `seed` must not be predictable: identifiers are made from it.
    #[must_use]
    pub fn inbound(
        settings: Arc<Settings>,
        inbound: Inbound,
        seed: u64,
        now: Timestamp,
    ) -> (Self, CallSid) {
        let mut cx = Context::new(settings, seed, now);
        let sid = cx.call_sid();
        let profile = Profile {
            sid,
            dialect: inbound.dialect,
            account: inbound.account,
            parent: None,
            direction: Direction::Inbound,
            from: inbound.from,
            to: inbound.to,
            caller_name: inbound.caller_name,
            forwarded_from: inbound.forwarded_from,
            number: inbound.number,
            headers: inbound.headers,
            created: now,
            dialled_sip: false,
            max_forwards: inbound.max_forwards,
        };
        let mut leg = Leg::inbound(profile, inbound.sip_call_id, inbound.sdp);
        leg.reporter.number = inbound.status_callback;
        leg.start_inbound(&mut cx);
        let mut call = Call::new(leg);
        let script = match inbound.script {
            Script::Document(document) => interpreter::Script::of_document(document, now),
            Script::Verbs {
                verbs,
                answer_on_bridge,
            } => {
                let account = inbound.account;
                interpreter::Script::of_verbs(account, verbs, answer_on_bridge, now)
            }
        };
        call.start(script, &mut cx);
        let mut family = Self::new(cx, sid);
        family.calls.insert(sid, call);
        family.deliver();
        (family, sid)
    }

    /// A family whose roots are the legs of a call made by the API, one for each route.
    #[must_use]
    pub fn outbound_api(
        settings: Arc<Settings>,
        outbound: OutboundApi,
        seed: u64,
        now: Timestamp,
    ) -> (Self, Vec<CallSid>) {
        let mut cx = Context::new(settings, seed, now);
        let common = Common {
            account: outbound.account,
            direction: Direction::OutboundApi,
            from: outbound.from,
            from_display: None,
            forwarded_from: None,
            dialect: outbound.dialect,
            max_forwards: MAX_FORWARDS,
        };
        let dialled = Dialled {
            target: outbound.target,
            headers: outbound.headers,
            credentials: outbound.credentials,
            callback: outbound.callback,
            screening: None,
            send_digits: None,
        };
        let id = cx.fork_id();
        let (fork, legs) = Fork::ring(
            id,
            outbound.document,
            common,
            (&dialled, outbound.routes),
            outbound.timeout,
            &mut cx,
        );
        let root = legs.first().copied().unwrap_or_else(|| cx.call_sid());
        let mut family = Self::new(cx, root);
        family.forks.insert(id, fork);
        family.deliver();
        (family, legs)
    }

    fn new(cx: Context, root: CallSid) -> Self {
        Self {
            cx,
            root,
            calls: BTreeMap::new(),
            forks: BTreeMap::new(),
            bridges: BTreeMap::new(),
        }
    }

    /// Tells a call of the family what happened. Events for calls that are forgotten are ignored.
    pub fn handle(&mut self, call: CallSid, event: Event, now: Timestamp) {
        self.cx.now = now;
        if let Some(entry) = trace::of_event(now, call, &event) {
            self.cx.trace_entry(call, entry);
        }
        if let Event::Media(MediaEvent::PlayDone { play }) = &event {
            self.keys_pressed(*play);
        }
        match event {
            Event::Resolved { req, routes } => {
                if let Some(fork) = self.forks.values_mut().find(|fork| fork.asked(req)) {
                    fork.handle_resolved(routes, &mut self.cx);
                } else if let Some(call) = self.calls.get_mut(&call) {
                    call.handle(Event::Resolved { req, routes }, &mut self.cx);
                }
            }
            event @ (Event::Fetched { .. }
            | Event::Audio { .. }
            | Event::Speech { .. }
            | Event::MessageAnswered { .. }
            | Event::Room { .. }
            | Event::Leg(_)
            | Event::Media(_)
            | Event::Ask { .. }
            | Event::Modify(_)
            | Event::NotRecorded
            | Event::Shutdown) => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.handle(event, &mut self.cx);
                } else if let Event::Ask { ask, .. } = event {
                    self.cx.reply(call, ask, Err(ModifyError::NotLive));
                }
            }
        }
        self.deliver();
    }

    /// Tells every machine whose time has come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.cx.now = now;
        for call in self.calls.values_mut() {
            call.handle_timeout(&mut self.cx);
        }
        for fork in self.forks.values_mut() {
            fork.handle_timeout(&mut self.cx);
        }
        let due: Vec<_> = self
            .bridges
            .iter()
            .filter(|(_, bridge)| bridge.poll_timeout() <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.end_bridge(id, Ended::TimeLimit);
        }
        self.deliver();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let calls = self.calls.values().filter_map(Call::poll_timeout);
        let forks = self.forks.values().filter_map(Fork::poll_timeout);
        let bridges = self.bridges.values().map(Bridge::poll_timeout);
        calls.chain(forks).chain(bridges).min()
    }

    /// What is to be done, in order; empty if there is nothing to do.
    pub fn poll_commands(&mut self) -> Vec<Addressed> {
        self.cx.drain(self.root)
    }

    /// Whether every leg is over and no answer is pending.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.calls.is_empty() && self.forks.is_empty() && self.bridges.is_empty()
    }

    /// The legs that are not forgotten yet.
    pub fn legs(&self) -> impl Iterator<Item = CallSid> {
        self.calls.keys().copied()
    }

    fn deliver(&mut self) {
        while let Some(letter) = self.cx.letters.pop_front() {
            self.deliver_one(letter);
        }
        let cx = &mut self.cx;
        for call in self.calls.values_mut() {
            call.settle(cx);
        }
        self.calls.retain(|_, call| !call.is_over());
        self.forks.retain(|_, fork| !fork.is_over());
    }

    fn deliver_one(&mut self, letter: Letter) {
        let cx = &mut self.cx;
        match letter {
            Letter::Spawn(spec) => self.spawn(*spec),
            Letter::StartFork {
                fork,
                asker,
                author,
                common,
                dialled,
                timeout,
            } => {
                let asker = (asker, author);
                let machine = Fork::resolve(fork, asker, *common, dialled, timeout, cx);
                self.forks.insert(fork, machine);
            }
            Letter::AbandonFork(fork, reason) => self.abandon(fork, reason),
            Letter::BranchAnswered(fork, call, ring_s) => {
                if let Some(fork) = self.forks.get_mut(&fork) {
                    fork.handle_answered(call, ring_s, cx);
                }
            }
            Letter::BranchOver(fork, over) => {
                if let Some(fork) = self.forks.get_mut(&fork) {
                    fork.handle_over(*over, cx);
                }
            }
            Letter::ForkWon {
                parent,
                fork,
                child,
                ring_s,
            } => {
                if let Some(parent) = self.calls.get_mut(&parent) {
                    parent.fork_over(fork, ForkNews::Won { child, ring_s }, cx);
                } else {
                    cx.letter(Letter::Hangup {
                        call: child,
                        reason: Reason::ParentGone,
                    });
                }
            }
            Letter::ForkLost {
                parent,
                fork,
                result,
            } => {
                if let Some(parent) = self.calls.get_mut(&parent) {
                    parent.fork_over(fork, ForkNews::Lost(result), cx);
                }
            }
            Letter::Run {
                call,
                document,
                role,
            } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.start_document(*document, role, cx);
                }
            }
            Letter::BranchAccepted(fork, call) => {
                if let Some(fork) = self.forks.get_mut(&fork) {
                    fork.handle_accepted(call, cx);
                }
            }
            Letter::Redirect { fork, document } => {
                if let Some(fork) = self.forks.get_mut(&fork) {
                    fork.redirect(*document);
                }
            }
            Letter::PassKey { bridge, from, key } => {
                let bridge = self.bridges.get(&bridge);
                if let Some(bridge) = bridge.filter(|bridge| bridge.is_joined()) {
                    cx.media(bridge.partner(from), MediaCommand::PassKey { key });
                }
            }
            Letter::Hangup { call, reason } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.end_leg(reason, cx);
                }
            }
            Letter::Bridge { bridge, plan } => self.join(bridge, *plan),
            Letter::BridgeLegOver(bridge, ended) => self.end_bridge(bridge, ended),
            Letter::Dissolve {
                bridge,
                left,
                moved,
            } => self.dissolve(bridge, left, moved),
            Letter::BridgeOver {
                call,
                bridge,
                ended,
            } => {
                if let Some(call) = self.calls.get_mut(&call)
                    && call.leg.bridge == Some(bridge)
                {
                    call.bridge_over(ended, cx);
                }
            }
        }
    }

    fn spawn(&mut self, spec: BranchSpec) {
        let BranchSpec {
            call: sid,
            fork,
            parent,
            common,
            dialled,
            route,
        } = spec;
        let dialled_sip = matches!(dialled.target, Target::Sip(_));
        let profile = Profile {
            sid,
            dialect: common.dialect,
            account: common.account,
            parent,
            direction: common.direction,
            from: user_part(&common.from).to_owned(),
            to: shown(&dialled.target),
            caller_name: common.from_display.clone(),
            forwarded_from: common.forwarded_from,
            number: None,
            headers: Headers::new(),
            created: self.cx.now,
            dialled_sip,
            max_forwards: common.max_forwards,
        };
        let mut route = route;
        if dialled.credentials.is_some() {
            route.credentials = dialled.credentials;
        }
        let invite = Invite {
            route,
            from: model::target::caller(&common.from).to_owned(),
            from_display: common.from_display,
            headers: dialled.headers,
            sdp: String::new(),
            max_forwards: common.max_forwards,
        };
        let mut leg = Leg::outbound(profile, invite, fork);
        leg.reporter.leg = dialled.callback;
        leg.start_outbound(&mut self.cx);
        let mut call = Call::new(leg);
        call.send_digits = dialled.send_digits;
        self.calls.insert(sid, call);
    }

    fn abandon(&mut self, id: ForkId, reason: Reason) {
        let Some(fork) = self.forks.get_mut(&id) else {
            return;
        };
        let (parent, result) = fork.abandon(reason, &mut self.cx);
        if let Some(parent) = parent.and_then(|parent| self.calls.get_mut(&parent)) {
            let news = ForkNews::Abandoned(Box::new(result));
            parent.fork_over(id, news, &mut self.cx);
        }
    }

    fn join(&mut self, id: BridgeId, plan: Plan) {
        let (caller, callee) = (plan.caller, plan.callee);
        for sid in [caller, callee] {
            match self.calls.get_mut(&sid) {
                Some(call) if call.leg.is_up() => call.leg.bridge = Some(id),
                // It ended while the other was being answered.
                Some(_) | None => {
                    let failed = self.calls.get(&sid).is_some_and(|it| it.leg.has_failed());
                    let ended = Ended::of_leg(sid, failed);
                    if let Some(caller) = self.calls.get_mut(&caller) {
                        caller.leg.bridge = Some(id);
                    }
                    for call in [caller, callee] {
                        self.cx.letter(Letter::BridgeOver {
                            call,
                            bridge: id,
                            ended,
                        });
                    }
                    return;
                }
            }
        }
        let keys = self.calls.get_mut(&callee);
        let digits = keys.and_then(|call| call.send_digits.take());
        if digits.is_none() {
            self.recording_starts(&plan);
        }
        let bridge = Bridge::new(id, plan, digits, &mut self.cx);
        self.bridges.insert(id, bridge);
    }

    fn recording_starts(&mut self, plan: &Plan) {
        if let (Some(sid), Some(caller)) = (plan.recording, self.calls.get_mut(&plan.caller)) {
            caller.recording_starts(sid, &mut self.cx);
        }
    }

    /// The keys that a callee gets first may be pressed now.
    fn keys_pressed(&mut self, done: PlayId) {
        let waiting = self
            .bridges
            .iter_mut()
            .find(|(_, bridge)| bridge.waits_for(done));
        let Some((_, bridge)) = waiting else { return };
        let plan = bridge.plan().clone();
        self.recording_starts(&plan);
        if let Some(bridge) = self
            .bridges
            .values_mut()
            .find(|bridge| bridge.waits_for(done))
        {
            bridge.played(&mut self.cx);
        }
    }

    fn end_bridge(&mut self, id: BridgeId, ended: Ended) {
        if let Some(bridge) = self.bridges.remove(&id) {
            self.stop_recording(&bridge);
            bridge.end(ended, &mut self.cx);
        }
    }

    fn dissolve(&mut self, id: BridgeId, left: CallSid, moved: Option<Box<Redirect>>) {
        let Some(bridge) = self.bridges.remove(&id) else {
            return;
        };
        let partner = bridge.partner(left);
        self.stop_recording(&bridge);
        bridge.dissolve(&mut self.cx);
        if let Some(call) = self.calls.get_mut(&left) {
            call.leg.bridge = None;
        }
        if let Some(call) = self.calls.get_mut(&partner) {
            call.partner_redirected(left, moved, &mut self.cx);
        }
    }

    fn stop_recording(&mut self, bridge: &Bridge) {
        if let Some((caller, sid)) = bridge.recording()
            && let Some(caller) = self.calls.get_mut(&caller)
        {
            caller.recording_stops(sid, &self.cx);
        }
    }
}

/// The target as records show it.
fn shown(target: &Target) -> String {
    match target {
        Target::Client(login) => login.clone(),
        Target::Number(number) | Target::Named(number) => number.clone(),
        // Never its password.
        Target::Sip(uri) => {
            let user = user_part(uri).split(':').next().unwrap_or_default();
            user.to_owned()
        }
    }
}
