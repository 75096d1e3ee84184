//! The fork of one `<Dial>` (or of one API call to a client with several phones): rings every
//! branch in parallel until one answers; a branch with a screening document must accept, too. In
//! turn, only the phones of one party ring at a time, and the next is called when they all failed.
//!
//! **Invariant: a fork of a `<Dial>` ends with exactly one of `ForkWon` and `ForkLost`, unless it
//! was abandoned; every branch it started ends or wins.** A fork of the API whose call has one record has a *head*, the
//! call itself, which takes over the winner, or ends as the branches did. Left to others: the winner's further course.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use model::profile::Traffic;
use model::{AccountSid, CallSid, CallStatus, Timestamp, error};

use crate::command::Command;
use crate::context::{About, Context, Letter};
use crate::event::{Document, Planned, Req, Route, Unreachable};
use crate::fact::Reason;
use crate::letter::{BranchSpec, Common, Dialled, ForkId, ForkResult, LegOver, Order, Role};

/// Maximum legs of one fork, so that a document cannot make the server call everyone at once.
const MAX_BRANCHES: usize = 50;

/// How long a party may take to decide whether to accept the call.
const SCREENING: Duration = Duration::from_secs(60);

/// The origin of a fork.
pub(crate) enum Origin {
    /// The `<Dial>` of this call, which is notified of the outcome.
    Dial(CallSid),
    /// The API: the branch that answers runs this.
    Api {
        planned: Planned,
        /// The call that takes over that branch, if the branches have no records.
        head: Option<CallSid>,
    },
}

pub(crate) struct Fork {
    id: ForkId,
    origin: Origin,
    common: Common,
    /// Of each party, if they are called in turn.
    timeout: Duration,
    order: Order,
    /// Parties to be called later, with at least one route each.
    waiting: VecDeque<(Dialled, Vec<Route>)>,
    state: State,
    /// Branches being ended.
    leaving: BTreeSet<CallSid>,
    over: Vec<LegOver>,
}

enum State {
    /// Routes are being resolved.
    Resolving {
        req: Req,
        dialled: Vec<Dialled>,
        until: Timestamp,
    },
    /// Branches ring.
    Ringing {
        until: Timestamp,
        branches: BTreeMap<CallSid, Branch>,
    },
    /// Decided, with some branches still being ended.
    Decided,
}

/// The state of a branch.
enum Branch {
    /// It rings; this document runs on it once it answers.
    Rings { screening: Option<Document> },
    /// It answered after this many seconds, and is being screened.
    Screened { ring_s: i64, until: Timestamp },
}

impl Branch {
    /// Its own deadline, if it does not share that of the fork.
    const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Rings { .. } => None,
            Self::Screened { until, .. } => Some(*until),
        }
    }
}

impl Fork {
    /// Starts looking up the routes for the `<Dial>` of a call.
    ///
    /// - `author`: of the document
    pub(crate) fn resolve(
        id: ForkId,
        (asker, author): (CallSid, AccountSid),
        common: Common,
        (dialled, order): (Vec<Dialled>, Order),
        timeout: Duration,
        cx: &mut Context,
    ) -> Self {
        let req = cx.req();
        let targets = dialled.iter().map(|d| d.target.clone()).collect();
        cx.command(
            asker,
            Command::Resolve {
                req,
                author,
                account: common.account,
                traffic: Traffic::OutboundCalls,
                from: None,
                targets,
            },
        );
        let until = cx.now + timeout;
        let state = State::Resolving {
            req,
            dialled,
            until,
        };
        let origin = Origin::Dial(asker);
        Self {
            order,
            ..Self::new(id, origin, common, timeout, state)
        }
    }

    /// Starts ringing for the API: the routes are already known. Returns the legs, in the order of their routes.
    ///
    /// - `planned`: runs on the branch that answers.
    /// - `head`: the call that has the record, if the branches have none.
    /// - `linked`: whether the first leg is the parent of the others.
    pub(crate) fn ring(
        id: ForkId,
        (planned, head): (Planned, Option<CallSid>),
        common: Common,
        (dialled, routes, linked): (&Dialled, Vec<Route>, bool),
        timeout: Duration,
        cx: &mut Context,
    ) -> (Self, Vec<CallSid>) {
        let origin = Origin::Api { planned, head };
        let mut fork = Self::new(id, origin, common, timeout, State::Decided);
        let (mut branches, mut legs) = (BTreeMap::new(), Vec::new());
        for route in routes {
            let first = legs.first().copied().filter(|_| linked);
            let (call, branch) = fork.spawn(dialled, route, first, cx);
            branches.insert(call, branch);
            legs.push(call);
        }
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
            order: Order::Together,
            waiting: VecDeque::new(),
            state,
            leaving: BTreeSet::new(),
            over: Vec::new(),
        }
    }

    /// The call whose `<Dial>` started the fork.
    pub(crate) const fn parent(&self) -> Option<CallSid> {
        match self.origin {
            Origin::Dial(parent) => Some(parent),
            Origin::Api { .. } => None,
        }
    }

    /// The call that has the record of branches without one.
    pub(crate) const fn head(&self) -> Option<CallSid> {
        match self.origin {
            Origin::Dial(_) => None,
            Origin::Api { head, .. } => head,
        }
    }

    /// The branch that answers is to run a document other than the API named before.
    pub(crate) fn redirect(&mut self, document: Document) {
        if let Origin::Api { planned, .. } = &mut self.origin {
            *planned = document.into();
        }
    }

    /// Whether this request came from the fork.
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
        let mut branches = BTreeMap::new();
        let (mut room, mut surplus) = (MAX_BRANCHES, false);
        for (dialled, found) in dialled.into_iter().zip(routes) {
            match found {
                Ok(mut routes) => {
                    surplus |= routes.len() > room;
                    routes.truncate(room);
                    room -= routes.len();
                    match self.order {
                        Order::Together => branches.extend(self.spawn_all(&dialled, routes, cx)),
                        Order::InTurn if routes.is_empty() => {}
                        Order::InTurn => self.waiting.push_back((dialled, routes)),
                    }
                }
                Err(unreachable) => self.tell(unreachable.code, &unreachable.text, cx),
            }
        }
        if surplus {
            let text = format!("only the first {MAX_BRANCHES} phones are called");
            self.tell(error::DIAL_TOO_MANY, &text, cx);
        }
        self.start_ringing(branches, until, cx);
    }

    /// Drops a branch that was not created; the owner of the document is notified.
    fn tell(&self, code: u16, text: &str, cx: &mut Context) {
        if let Some(parent) = self.parent() {
            let about = About {
                account: self.common.account,
                owner: parent.into(),
                url: None,
                line: None,
                column: None,
            };
            cx.notify(about, code, text);
        }
    }

    pub(crate) fn handle_answered(&mut self, call: CallSid, ring_s: i64, cx: &mut Context) {
        let branch = match &mut self.state {
            State::Ringing { branches, .. } => branches.remove(&call),
            State::Decided => None,
            State::Resolving { .. } => return,
        };
        match branch {
            Some(Branch::Rings { screening: None }) => self.win(call, ring_s, cx),
            Some(Branch::Rings {
                screening: Some(document),
            }) => self.screen(call, ring_s, document, cx),
            // Too late: another branch has won, or the fork was abandoned.
            Some(Branch::Screened { .. }) | None => {
                self.leaving.remove(&call);
                cx.letter(Letter::Hangup {
                    call,
                    reason: Reason::LostRace,
                });
            }
        }
    }

    /// A branch that answered hears a document before it is connected.
    fn screen(&mut self, call: CallSid, ring_s: i64, document: Document, cx: &mut Context) {
        let State::Ringing { branches, .. } = &mut self.state else {
            return;
        };
        if !self.common.dialect.screening_is_race {
            for (other, _) in std::mem::take(branches) {
                cx.letter(Letter::Hangup {
                    call: other,
                    reason: Reason::LostRace,
                });
                self.leaving.insert(other);
            }
        }
        let until = cx.now + SCREENING;
        branches.insert(call, Branch::Screened { ring_s, until });
        cx.letter(Letter::Run {
            call,
            document: Box::new(document),
            role: Role::Screening,
        });
    }

    /// A screened branch accepts the call.
    pub(crate) fn handle_accepted(&mut self, call: CallSid, cx: &mut Context) {
        if let State::Ringing { branches, .. } = &mut self.state
            && let Some(Branch::Screened { ring_s, .. }) = branches.remove(&call)
        {
            self.win(call, ring_s, cx);
        }
    }

    fn win(&mut self, call: CallSid, ring_s: i64, cx: &mut Context) {
        self.end_branches(Reason::LostRace, cx);
        let branch = call;
        let call = self.head().unwrap_or(branch);
        if let Some(head) = self.head() {
            cx.letter(Letter::TakeOver { head, branch });
        }
        cx.letter(match &self.origin {
            Origin::Dial(parent) => Letter::ForkWon {
                parent: *parent,
                fork: self.id,
                child: call,
                ring_s,
            },
            Origin::Api {
                planned: Planned::Document(document),
                ..
            } => Letter::Run {
                call,
                document: Box::new(document.clone()),
                role: Role::Main,
            },
            Origin::Api {
                planned: Planned::Verbs { author, verbs },
                ..
            } => Letter::RunVerbs {
                call,
                author: *author,
                verbs: verbs.clone(),
            },
        });
    }

    pub(crate) fn handle_over(&mut self, over: LegOver, cx: &mut Context) {
        if self.leaving.remove(&over.call) {
            return;
        }
        if let State::Ringing { branches, .. } = &mut self.state {
            branches.remove(&over.call);
            self.over.push(over);
            self.lose_if_alone(cx);
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context) {
        if let State::Resolving { until, .. } = &self.state
            && *until <= cx.now
        {
            let text = "looking up whom to call took longer than the timeout of the `Dial`";
            self.tell(error::UNREACHABLE_TARGET, text, cx);
            self.lose(cx);
            return;
        }
        self.give_up_screening(cx);
        self.give_up_ringing(cx);
    }

    /// Ends the branches that take too long to decide.
    fn give_up_screening(&mut self, cx: &mut Context) {
        let State::Ringing { branches, .. } = &mut self.state else {
            return;
        };
        let late = |branch: &Branch| branch.until().is_some_and(|until| until <= cx.now);
        let late = branches.extract_if(.., |_, branch| late(branch));
        let late: Vec<_> = late.map(|(call, _)| call).collect();
        if late.is_empty() {
            return;
        }
        for call in late {
            let text = "a dialled party did not decide in time whether to take the call";
            self.tell(error::SCREENING_TOO_LONG, text, cx);
            self.end_unanswered(call, true, cx);
        }
        self.lose_if_alone(cx);
    }

    /// Ends the branches that are still ringing when their time is up.
    fn give_up_ringing(&mut self, cx: &mut Context) {
        let State::Ringing { until, branches } = &mut self.state else {
            return;
        };
        if *until > cx.now {
            return;
        }
        let ringing = branches.extract_if(.., |_, branch| branch.until().is_none());
        let mut ringing: Vec<_> = ringing.map(|(call, _)| call).collect();
        let Some(last) = ringing.pop() else {
            return;
        };
        for call in ringing {
            self.end_branch(call, Reason::NoAnswer, cx);
        }
        self.end_unanswered(last, false, cx);
        self.lose_if_alone(cx);
    }

    /// Ends an unanswered branch, which may be the one to explain why no party was connected.
    fn end_unanswered(&mut self, call: CallSid, screened: bool, cx: &mut Context) {
        self.end_branch(call, Reason::NoAnswer, cx);
        let ring_s = i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX);
        self.over.push(LegOver {
            call,
            status: CallStatus::NoAnswer,
            reason: Reason::NoAnswer,
            sip_status: Some(408),
            sip_reason: None,
            ring_s,
            response: None,
            screened,
        });
    }

    fn end_branch(&mut self, call: CallSid, reason: Reason, cx: &mut Context) {
        cx.letter(Letter::Hangup { call, reason });
        self.leaving.insert(call);
    }

    /// If no branch is left that could win: calls the next party, or ends the fork as lost.
    fn lose_if_alone(&mut self, cx: &mut Context) {
        if let State::Ringing { branches, .. } = &self.state
            && branches.is_empty()
        {
            self.call_next(cx);
        }
    }

    fn call_next(&mut self, cx: &mut Context) {
        let Some((dialled, routes)) = self.waiting.pop_front() else {
            return self.lose(cx);
        };
        let branches = self.spawn_all(&dialled, routes, cx);
        let until = cx.now + self.timeout;
        self.state = State::Ringing { until, branches };
    }

    /// The parent no longer needs a winner: ends every branch. Returns the parent and the state of
    /// the fork.
    pub(crate) fn abandon(
        &mut self,
        reason: Reason,
        cx: &mut Context,
    ) -> (Option<CallSid>, ForkResult) {
        let mut last = self.over.last().cloned();
        if let State::Ringing { until, branches } = &self.state {
            let ring_s = cx.now.seconds_since(*until - self.timeout);
            if let Some((&call, _)) = branches.last_key_value() {
                last = Some(LegOver {
                    call,
                    status: CallStatus::Canceled,
                    reason,
                    sip_status: Some(487),
                    sip_reason: None,
                    ring_s,
                    response: None,
                    screened: false,
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
            State::Resolving { until, .. } => Some(*until),
            State::Ringing { until, branches } => {
                let until = |branch: &Branch| branch.until().unwrap_or(*until);
                branches.values().map(until).min()
            }
            State::Decided => None,
        }
    }

    /// Whether there is nothing left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        match &self.state {
            State::Decided => self.leaving.is_empty(),
            State::Resolving { .. } | State::Ringing { .. } => false,
        }
    }

    /// Starts a branch for each phone of a party.
    fn spawn_all(
        &self,
        dialled: &Dialled,
        routes: Vec<Route>,
        cx: &mut Context,
    ) -> BTreeMap<CallSid, Branch> {
        let routes = routes.into_iter();
        let parent = self.parent();
        routes
            .map(|route| self.spawn(dialled, route, parent, cx))
            .collect()
    }

    fn spawn(
        &self,
        dialled: &Dialled,
        route: Route,
        parent: Option<CallSid>,
        cx: &mut Context,
    ) -> (CallSid, Branch) {
        let call = cx.call_sid();
        let spec = BranchSpec {
            call,
            fork: self.id,
            parent,
            head: self.head(),
            common: self.common.clone(),
            dialled: dialled.clone(),
            route,
        };
        cx.letter(Letter::Spawn(Box::new(spec)));
        let screening = dialled.screening.clone();
        (call, Branch::Rings { screening })
    }

    fn start_ringing(
        &mut self,
        branches: BTreeMap<CallSid, Branch>,
        until: Timestamp,
        cx: &mut Context,
    ) {
        if branches.is_empty() {
            self.call_next(cx);
        } else {
            self.state = State::Ringing { until, branches };
        }
    }

    /// Decides the fork: ends the remaining branches, and calls no further party.
    fn end_branches(&mut self, reason: Reason, cx: &mut Context) {
        self.waiting.clear();
        if let State::Ringing { branches, .. } = &mut self.state {
            for (call, _) in std::mem::take(branches) {
                self.end_branch(call, reason, cx);
            }
        }
        self.state = State::Decided;
    }

    fn lose(&mut self, cx: &mut Context) {
        self.state = State::Decided;
        if let Some(head) = self.head() {
            let decided = verdict(&self.over);
            let mut over = self.over.iter().rev();
            let last = over.find(|leg| leg.status == decided).cloned();
            let last = last.map(Box::new);
            return cx.letter(Letter::BranchesFailed { head, last });
        }
        let result = ForkResult {
            status: match self.order {
                Order::Together => verdict(&self.over),
                Order::InTurn => self
                    .over
                    .last()
                    .map_or(CallStatus::Failed, |leg| leg.status),
            },
            last: self.over.last().cloned(),
            sip_status: self.over.iter().rev().find_map(failure),
        };
        let Some(parent) = self.parent() else {
            return;
        };
        let declined = self.over.iter().any(|leg| leg.screened);
        if declined && cx.settings.screening_releases_both {
            // Its `<Dial>` then abandons the fork, and receives its state.
            cx.letter(Letter::Hangup {
                call: parent,
                reason: Reason::PartnerHungUp,
            });
        } else {
            let result = Box::new(result);
            cx.letter(Letter::ForkLost {
                parent,
                fork: self.id,
                result,
            });
        }
    }
}

/// The remote party's final status; a canceled leg has none.
fn failure(over: &LegOver) -> Option<u16> {
    over.sip_status
        .filter(|_| over.status != CallStatus::Canceled)
}

/// Status of a fork whose branches rang together and all failed: the most informative about the
/// called parties.
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
