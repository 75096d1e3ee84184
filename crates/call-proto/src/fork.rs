//! The fork of one `<Dial>` (or of one API call to a client with several phones): rings every
//! branch in parallel until one answers.
//!
//! **Invariant: a fork of a `<Dial>` ends with exactly one of `ForkWon` and `ForkLost`, unless it was
//! abandoned; every branch it started ends or wins.** Left to others: what the winner does.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{CallSid, CallStatus, Timestamp, error};

use crate::command::Command;
use crate::context::{About, Context, Letter};
use crate::event::{Document, Req, Route, Unreachable};
use crate::fact::Reason;
use crate::letter::{BranchSpec, Common, Dialled, ForkId, ForkResult, LegOver};

/// Legs of one fork, so that a document cannot make the server call the whole world at once.
const MAX_BRANCHES: usize = 50;

/// Who started a fork.
pub(crate) enum Origin {
    /// The `<Dial>` of this call, which is told how it ended.
    Dial(CallSid),
    /// The API: the branch that answers runs this document.
    Api(Document),
}

pub(crate) struct Fork {
    id: ForkId,
    origin: Origin,
    common: Common,
    timeout: Duration,
    state: State,
    /// Branches that are being ended.
    leaving: BTreeSet<CallSid>,
    over: Vec<LegOver>,
}

enum State {
    /// Routes are being looked up.
    Resolving {
        req: Req,
        dialled: Vec<Dialled>,
        until: Timestamp,
    },
    /// Branches ring.
    Ringing {
        until: Timestamp,
        branches: BTreeSet<CallSid>,
    },
    /// Over, but for the branches that are being ended.
    Decided,
}

impl Fork {
    /// Starts looking up the routes for the `<Dial>` of a call.
    pub(crate) fn resolve(
        id: ForkId,
        asker: CallSid,
        common: Common,
        dialled: Vec<Dialled>,
        timeout: Duration,
        cx: &mut Context,
    ) -> Self {
        let req = cx.req();
        let targets = dialled.iter().map(|d| d.target.clone()).collect();
        cx.command(asker, Command::Resolve { req, targets });
        let until = cx.now + timeout;
        let state = State::Resolving {
            req,
            dialled,
            until,
        };
        Self::new(id, Origin::Dial(asker), common, timeout, state)
    }

    /// Starts ringing for the API: the routes are known already. Returns the legs.
    ///
    /// - `document`: runs on the branch that answers.
    pub(crate) fn ring(
        id: ForkId,
        document: Document,
        common: Common,
        (dialled, routes): (&Dialled, Vec<Route>),
        timeout: Duration,
        cx: &mut Context,
    ) -> (Self, Vec<CallSid>) {
        let origin = Origin::Api(document);
        let mut fork = Self::new(id, origin, common, timeout, State::Decided);
        let branches: BTreeSet<_> = routes
            .into_iter()
            .map(|route| fork.spawn(dialled, route, cx))
            .collect();
        let legs = branches.iter().copied().collect();
        let until = cx.now + timeout;
        fork.start_ringing(branches, until, cx);
        (fork, legs)
    }

    const fn new(
        id: ForkId,
        origin: Origin,
        common: Common,
        timeout: Duration,
        state: State,
    ) -> Self {
        Self {
            id,
            origin,
            common,
            timeout,
            state,
            leaving: BTreeSet::new(),
            over: Vec::new(),
        }
    }

    /// The call whose `<Dial>` started the fork.
    const fn parent(&self) -> Option<CallSid> {
        match self.origin {
            Origin::Dial(parent) => Some(parent),
            Origin::Api(_) => None,
        }
    }

    /// The branch that answers is to run another document than the API named before.
    pub(crate) fn redirect(&mut self, document: Document) {
        if let Origin::Api(planned) = &mut self.origin {
            *planned = document;
        }
    }

    /// Whether this fork asked that question.
    pub(crate) fn asked(&self, answered: Req) -> bool {
        match &self.state {
            State::Resolving { req, .. } => *req == answered,
            State::Ringing { .. } | State::Decided => false,
        }
    }

    pub(crate) fn handle_resolved(
        &mut self,
        routes: Vec<Result<Vec<Route>, Unreachable>>,
        cx: &mut Context,
    ) {
        let (dialled, until) = match &mut self.state {
            State::Resolving { dialled, until, .. } => (std::mem::take(dialled), *until),
            State::Ringing { .. } | State::Decided => return,
        };
        let mut branches = BTreeSet::new();
        let mut surplus = false;
        for (dialled, found) in dialled.iter().zip(routes) {
            match found {
                Ok(routes) => {
                    for route in routes {
                        if branches.len() < MAX_BRANCHES {
                            branches.insert(self.spawn(dialled, route, cx));
                        } else {
                            surplus = true;
                        }
                    }
                }
                Err(unreachable) => self.tell(unreachable.code, &unreachable.text, cx),
            }
        }
        if surplus {
            let text = format!("only {MAX_BRANCHES} phones are rung");
            self.tell(error::DIAL_TOO_MANY, &text, cx);
        }
        self.start_ringing(branches, until, cx);
    }

    /// A branch that is not created is dropped; the owner of the document is told.
    fn tell(&self, code: u16, text: &str, cx: &mut Context) {
        if let Some(parent) = self.parent() {
            let about = About {
                account: self.common.account,
                call: parent,
                url: None,
                line: None,
                column: None,
            };
            cx.notify(about, code, text);
        }
    }

    pub(crate) fn handle_answered(&mut self, call: CallSid, ring_s: i64, cx: &mut Context) {
        match &mut self.state {
            State::Ringing { branches, .. } => {
                branches.remove(&call);
                self.end_branches(Reason::LostRace, cx);
                cx.letter(match &self.origin {
                    Origin::Dial(parent) => Letter::ForkWon {
                        parent: *parent,
                        fork: self.id,
                        child: call,
                        ring_s,
                    },
                    Origin::Api(document) => Letter::Run {
                        call,
                        document: Box::new(document.clone()),
                    },
                });
            }
            // Too late: another branch has won, or the fork was abandoned.
            State::Decided => {
                self.leaving.remove(&call);
                cx.letter(Letter::Hangup {
                    call,
                    reason: Reason::LostRace,
                });
            }
            State::Resolving { .. } => {}
        }
    }

    pub(crate) fn handle_over(&mut self, over: LegOver, cx: &mut Context) {
        if self.leaving.remove(&over.call) {
            return;
        }
        if let State::Ringing { branches, .. } = &mut self.state {
            branches.remove(&over.call);
            let none_left = branches.is_empty();
            self.over.push(over);
            if none_left {
                self.lose(None, cx);
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context) {
        if let State::Resolving { until, .. } = &self.state
            && *until <= cx.now
        {
            let text = "looking up whom to call took longer than the timeout of the `Dial`";
            self.tell(error::UNREACHABLE_TARGET, text, cx);
            self.lose(None, cx);
            return;
        }
        if let State::Ringing { until, branches } = &mut self.state
            && *until <= cx.now
        {
            let last = branches.last().copied();
            let ring_s = i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX);
            self.end_branches(Reason::NoAnswer, cx);
            if let Some(call) = last {
                self.over.push(LegOver {
                    call,
                    status: CallStatus::NoAnswer,
                    sip_status: Some(408),
                    ring_s,
                    response: None,
                });
            }
            self.lose(Some(CallStatus::NoAnswer), cx);
        }
    }

    /// The parent has no use for a winner any more: ends every branch. Returns the parent and how
    /// the fork stood.
    pub(crate) fn abandon(
        &mut self,
        reason: Reason,
        cx: &mut Context,
    ) -> (Option<CallSid>, ForkResult) {
        let mut last = self.over.last().cloned();
        if let State::Ringing { until, branches } = &self.state {
            let ring_s = cx.now.seconds_since(*until - self.timeout);
            if let Some(call) = branches.last().copied() {
                last = Some(LegOver {
                    call,
                    status: CallStatus::Canceled,
                    sip_status: Some(487),
                    ring_s,
                    response: None,
                });
            }
        }
        self.end_branches(reason, cx);
        let sip_status = Some(487);
        let result = ForkResult {
            status: CallStatus::Canceled,
            last,
            sip_status,
        };
        (self.parent(), result)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Resolving { until, .. } | State::Ringing { until, .. } => Some(*until),
            State::Decided => None,
        }
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        match &self.state {
            State::Decided => self.leaving.is_empty(),
            State::Resolving { .. } | State::Ringing { .. } => false,
        }
    }

    fn spawn(&self, dialled: &Dialled, route: Route, cx: &mut Context) -> CallSid {
        let call = cx.call_sid();
        let spec = BranchSpec {
            call,
            fork: self.id,
            parent: self.parent(),
            common: self.common.clone(),
            dialled: dialled.clone(),
            route,
        };
        cx.letter(Letter::Spawn(Box::new(spec)));
        call
    }

    fn start_ringing(&mut self, branches: BTreeSet<CallSid>, until: Timestamp, cx: &mut Context) {
        if branches.is_empty() {
            self.lose(None, cx);
        } else {
            self.state = State::Ringing { until, branches };
        }
    }

    /// Decides the fork: ends the branches that are left.
    fn end_branches(&mut self, reason: Reason, cx: &mut Context) {
        if let State::Ringing { branches, .. } = &mut self.state {
            for call in std::mem::take(branches) {
                cx.letter(Letter::Hangup { call, reason });
                self.leaving.insert(call);
            }
        }
        self.state = State::Decided;
    }

    fn lose(&mut self, status: Option<CallStatus>, cx: &mut Context) {
        self.state = State::Decided;
        let result = ForkResult {
            status: status.unwrap_or_else(|| verdict(&self.over)),
            last: self.over.last().cloned(),
            sip_status: self.over.iter().rev().find_map(failure),
        };
        if let Some(parent) = self.parent() {
            let result = Box::new(result);
            cx.letter(Letter::ForkLost {
                parent,
                fork: self.id,
                result,
            });
        }
    }
}

/// What the far side refused with; a leg that was withdrawn says nothing.
fn failure(over: &LegOver) -> Option<u16> {
    over.sip_status
        .filter(|_| over.status != CallStatus::Canceled)
}

/// Status of a fork whose branches all failed: what says most about the people called wins.
fn verdict(over: &[LegOver]) -> CallStatus {
    let order = [
        CallStatus::Busy,
        CallStatus::NoAnswer,
        CallStatus::Failed,
        CallStatus::Canceled,
    ];
    let seen = |status: &CallStatus| over.iter().any(|leg| leg.status == *status);
    order.into_iter().find(seen).unwrap_or(CallStatus::Failed)
}
