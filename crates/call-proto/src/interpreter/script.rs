//! A script: a document's verbs, run one after the other on one leg.
//!
//! A script yields commands and performs nothing. **Invariant: a script always waits for exactly
//! one thing, its [`Current`], or it is finished.** After the leg is over the rest of the document is
//! walked: verbs that need the leg are skipped, messages are sent, the request of a `<Dial>`'s action
//! is still made.

use model::{CallStatus, HangupBy, RecordingSid, Timestamp, error};
use rcml::Verb;

use super::fetching::{Answer, Fetching, Problem};
use super::run::Run;
use super::verb::{Host, Running, Site, Step};
use super::{dial, gather, hangup, pause, play, redirect, reject, say, sms};
use crate::context::Context;
use crate::event::{AudioFailure, Clip, Document, FetchFailure, Fetched, PlayId, Req, SpeechNews};
use crate::fact::Reason;
use crate::leg::verdict;
use crate::letter::{Ended, ForkId, ForkNews, Role};
use crate::membership::RoomEvent;
use crate::recording::RecordingNews;
use crate::trace::Lane;

/// What a script hears.
#[derive(Debug)]
pub(crate) enum Input {
    /// It starts.
    Start,
    /// Time has passed.
    Timeout,
    /// A request to an application was answered.
    Fetched(Req, Result<Fetched, FetchFailure>),
    /// A sound or a spoken text is there, or never will be.
    Audio(Req, Result<Clip, AudioFailure>),
    /// A recognizer has news.
    Speech(Req, SpeechNews),
    /// What was played has been heard to its end.
    Played(PlayId),
    /// The remote party pressed a key.
    Key(char),
    /// A text message has left, or never will.
    MessageLeft(Req),
    /// A fork has ended.
    Fork(ForkId, ForkNews),
    /// The bridge of the leg has ended.
    BridgeOver(Ended),
    /// A room reports.
    Room(Req, RoomEvent),
    /// Something became of a recording of the leg.
    Recording(RecordingSid, RecordingNews),
    /// The leg is up.
    LegUp,
    /// The leg is over.
    LegOver(Reason),
}

impl Input {
    /// Whether only the script on top is concerned: it is the one that has the leg.
    pub(super) const fn is_for_top(&self) -> bool {
        matches!(self, Self::Key(_) | Self::LegUp)
    }
}

/// A script.
pub(crate) struct Script {
    role: Role,
    run: Run,
    current: Current,
    /// Its first document, which is asked for when no verb is left.
    first: Option<Document>,
}

/// What a script waits for.
enum Current {
    /// For nothing: the next verb can start.
    Nothing,
    /// For a document.
    Fetching(Fetching),
    /// For the leg to be up; then this verb runs.
    Answering(Box<Verb>),
    /// For a verb that runs.
    Running(Box<dyn Running>),
    /// For nothing more: the script is over.
    Finished,
}

impl Script {
    /// Starts with a document that is to be fetched.
    pub(crate) fn of_document(document: Document, now: Timestamp) -> Self {
        Self {
            role: Role::Main,
            run: Run::new(document.author, [].into(), now),
            current: Current::Nothing,
            first: Some(document),
        }
    }

    /// Asks a dialled party with a document whether it takes the call.
    ///
    /// - `digits`: keys that are pressed before.
    pub(crate) fn of_screening(document: Document, digits: Option<String>, now: Timestamp) -> Self {
        let mut script = Self::of_document(document, now);
        script.role = Role::Screening;
        let press = |digits| {
            Verb::Play(rcml::Play {
                digits: Some(digits),
                ..rcml::Play::default()
            })
        };
        script.run.verbs.extend(digits.map(press));
        script
    }

    /// Starts with verbs that routing made up.
    ///
    /// - `answer_on_bridge`: answer the caller only when a `<Dial>` connects.
    pub(crate) fn of_verbs(
        author: model::AccountSid,
        verbs: Vec<Verb>,
        answer_on_bridge: bool,
        now: Timestamp,
    ) -> Self {
        let mut run = Run::new(author, verbs.into(), now);
        run.answer_on_bridge = answer_on_bridge;
        run.implicit = true;
        Self {
            role: Role::Main,
            run,
            current: Current::Nothing,
            first: None,
        }
    }

    pub(crate) const fn is_finished(&self) -> bool {
        matches!(self.current, Current::Finished)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.verb().and_then(Running::poll_timeout)
    }

    /// The fork whose end its verb waits for.
    pub(crate) fn awaited_fork(&self) -> Option<ForkId> {
        self.verb().and_then(Running::awaited_fork)
    }

    /// Whether an unanswered caller hears it ring because of its verb.
    pub(crate) fn lets_it_ring(&self) -> bool {
        self.verb().is_some_and(Running::lets_it_ring)
    }

    /// The leg ends for a reason that the script has no say in.
    pub(crate) fn abandon(&mut self) {
        self.run.abandon();
        self.first = None;
    }

    /// The caller waited for a `<Dial>` that came to nothing with this final SIP status.
    pub(crate) fn caller_waited_for(&mut self, status: u16) {
        self.run.failure_status = Some(status);
    }

    fn verb(&self) -> Option<&dyn Running> {
        match &self.current {
            Current::Running(verb) => Some(&**verb),
            Current::Nothing | Current::Fetching(_) | Current::Answering(_) | Current::Finished => {
                None
            }
        }
    }

    /// Takes an input, and continues until it has to wait.
    pub(crate) fn handle(&mut self, input: &Input, mut host: Host<'_>, cx: &mut Context) {
        let site = &mut host.site(&mut self.run);
        let current = std::mem::replace(&mut self.current, Current::Nothing);
        self.current = match current {
            Current::Fetching(fetching) => fetched(fetching, input, site, cx),
            Current::Answering(verb) => answering(verb, input, site),
            Current::Running(mut verb) => {
                let step = tell(&mut *verb, input, site, cx);
                after(step, Some(verb), site)
            }
            Current::Nothing => Current::Nothing,
            Current::Finished => Current::Finished,
        };
        while matches!(self.current, Current::Nothing) {
            self.current = match site.run.verbs.pop_front() {
                Some(Verb::Dial(_)) if self.role == Role::Screening => {
                    dials_in_screening(site, cx);
                    Current::Nothing
                }
                Some(verb) => begin(verb, site, cx),
                None => match self.first.take() {
                    Some(document) if !site.leg.is_over() => begin_with(document, site, cx),
                    _ => {
                        document_ends(self.role, site, cx);
                        Current::Finished
                    }
                },
            };
        }
    }

    /// Leaves the leg without ending it: another script takes over.
    pub(crate) fn detach(mut self, mut host: Host<'_>, cx: &mut Context) {
        let site = &mut host.site(&mut self.run);
        if let Current::Running(verb) = &mut self.current {
            site.stop(verb.playing(), cx);
            verb.detach(site, cx);
        }
    }
}

/// Asks for the first document.
fn begin_with(document: Document, site: &Site<'_>, cx: &mut Context) -> Current {
    let params = site.leg.voice_params(cx);
    let who = site.leg.profile.about(None);
    Current::Fetching(Fetching::first(document, params, who, cx))
}

/// A party that is being asked whether it takes a call cannot call somebody else.
fn dials_in_screening(site: &mut Site<'_>, cx: &mut Context) {
    site.run.abandon();
    if site.leg.is_over() {
        return;
    }
    let about = site.leg.profile.about(site.run.url());
    let text = "the screening document has a `Dial`; the call is not connected";
    cx.notify(about, error::SCREENING_DIAL, text);
    let why = Reason::ScreeningFailed;
    site.leg.fail(500, "Dial in a screening document", why, cx);
}

fn answering(verb: Box<Verb>, input: &Input, site: &mut Site<'_>) -> Current {
    match input {
        Input::LegUp => {
            site.run.verbs.push_front(*verb);
            Current::Nothing
        }
        Input::LegOver(_) => Current::Nothing,
        _ => Current::Answering(verb),
    }
}

/// A document is on its way.
fn fetched(fetching: Fetching, input: &Input, site: &mut Site<'_>, cx: &mut Context) -> Current {
    let result = match input {
        Input::Fetched(req, result) if fetching.waits_for(*req) => result,
        // A first document is of no use any more; one that follows may still hold verbs that
        // outlive the leg.
        Input::LegOver(_) if fetching.is_first() => return Current::Finished,
        _ => return Current::Fetching(fetching),
    };
    let who = site.leg.profile.about(None);
    let params = |cx: &Context| site.leg.voice_params(cx);
    match fetching.handle_answer(result, site.told, params, who, cx) {
        Answer::Document { url, document } => {
            site.run.replace(&url, document.verbs, cx.now);
        }
        // The old document is discarded.
        Answer::Nothing => site.run.abandon(),
        Answer::FallBack(fetching) => {
            site.run.author = fetching.author();
            return Current::Fetching(fetching);
        }
        Answer::Failed(problem) => document_failed(&problem, site, cx),
    }
    Current::Nothing
}

/// Tells a verb what happened.
fn tell(verb: &mut dyn Running, input: &Input, site: &mut Site<'_>, cx: &mut Context) -> Step {
    match input {
        Input::Start => Step::Wait,
        Input::Timeout => verb.handle_timeout(site, cx),
        Input::Fetched(req, _) => verb.answered(*req, site, cx),
        Input::Audio(req, result) => verb.audio(*req, result, site, cx),
        Input::Speech(req, news) => verb.speech(*req, news, site, cx),
        Input::Played(play) => verb.played(*play, site, cx),
        Input::Key(key) => verb.key(*key, site, cx),
        Input::MessageLeft(req) => verb.message_left(*req, site, cx),
        Input::Fork(fork, news) if verb.awaited_fork() == Some(*fork) => verb.fork(news, site, cx),
        Input::Fork(..) => Step::Wait,
        Input::BridgeOver(ended) => verb.bridge_over(*ended, site, cx),
        Input::Room(req, event) => verb.room(*req, *event, site, cx),
        Input::Recording(sid, news) => verb.recording(*sid, *news, site, cx),
        Input::LegUp => verb.leg_is_up(site, cx),
        Input::LegOver(reason) => {
            site.stop(verb.playing(), cx);
            verb.leg_is_over(*reason, site, cx)
        }
    }
}

/// What is waited for after a step of a verb.
fn after(step: Step, verb: Option<Box<dyn Running>>, site: &mut Site<'_>) -> Current {
    match step {
        Step::Wait => verb.map_or(Current::Nothing, Current::Running),
        Step::Run(verb) => Current::Running(verb),
        Step::Next => Current::Nothing,
        Step::Fetch(fetching) => {
            site.run.author = fetching.author();
            Current::Fetching(fetching)
        }
        Step::End => Current::Finished,
    }
}

fn begin(verb: Verb, site: &mut Site<'_>, cx: &mut Context) -> Current {
    site.run.began = true;
    let leg = site.leg.profile.sid;
    if site.leg.is_over() && !outlives_leg(&verb) {
        return Current::Nothing;
    }
    if let Verb::Unsupported(verb) = &verb {
        let name = format!("<{}>", verb.name);
        cx.trace(leg, Lane::Rcml, &name, "not built; skipped");
        return Current::Nothing;
    }
    if must_answer_for(&verb, site) {
        site.leg.answer(cx);
        return Current::Answering(Box::new(verb));
    }
    // Another script had it answered and was replaced meanwhile.
    if site.leg.is_being_answered() {
        return Current::Answering(Box::new(verb));
    }
    let name = format!("<{}>", verb.name());
    cx.trace(leg, Lane::Rcml, &name, &place(&verb));
    let step = match verb {
        Verb::Say(say) => say::start(say, site, cx),
        Verb::Play(play) => play::start(&play, site, cx),
        Verb::Pause(pause) => pause::start(&pause, cx),
        Verb::Hangup(_) => hangup::start(site, cx),
        Verb::Reject(reject) => reject::start(&reject, site, cx),
        Verb::Redirect(redirect) => redirect::start(&redirect, site, cx),
        Verb::Dial(dial) => dial::start(*dial, site, cx),
        Verb::Gather(gather) => gather::start(*gather, site, cx),
        Verb::Sms(sms) => sms::start(&sms, site, cx),
        Verb::Unsupported(_) => Step::Next,
    };
    after(step, None, site)
}

/// `<Reject>` and `<Pause>` run unanswered, and so does a `<Dial>` that answers on bridge.
fn must_answer_for(verb: &Verb, site: &Site<'_>) -> bool {
    if !site.leg.is_unanswered() {
        return false;
    }
    let (waiting, failed) = (site.run.answer_on_bridge, site.run.failure_status.is_some());
    match verb {
        Verb::Reject(_) | Verb::Pause(_) => false,
        Verb::Dial(dial) if dial.conference().is_some() => true,
        Verb::Dial(dial) => !dial.answer_on_bridge.unwrap_or(waiting) && !dial.nouns.is_empty(),
        Verb::Hangup(_) => !waiting && !failed,
        Verb::Gather(_) => true,
        Verb::Sms(sms) => sms.is_sendable(),
        Verb::Play(play) => !play.url.is_empty() || play.digits.is_some(),
        Verb::Say(say) => !say.text.is_empty(),
        Verb::Redirect(redirect) => !redirect.url.is_empty(),
        Verb::Unsupported(_) => false,
    }
}

fn document_failed(problem: &Problem, site: &mut Site<'_>, cx: &mut Context) {
    site.run.abandon();
    let leg = &mut *site.leg;
    let (status, words) = (problem.sip_status, &problem.sip_reason);
    if leg.is_unanswered() {
        leg.reject(status, Some(words.clone()), cx);
        leg.finish(problem.status, problem.reason, cx);
    } else {
        leg.fail(status, words, problem.reason, cx);
    }
}

/// No verb is left.
fn document_ends(role: Role, site: &mut Site<'_>, cx: &mut Context) {
    let leg = &mut *site.leg;
    if leg.is_over() {
        return;
    }
    cx.trace(leg.profile.sid, Lane::Rcml, "end of document", "");
    if role == Role::Screening {
        leg.accept(cx);
        return;
    }
    if !leg.is_unanswered() {
        leg.end(Reason::DocumentEnd, cx);
        return;
    }
    let was_empty = !site.run.began;
    match site.run.failure_status {
        // The caller waited for a `<Dial>` that failed: it hears why.
        Some(status) if site.run.implicit => {
            let (verdict, reason) = match status {
                408 => (CallStatus::NoAnswer, Reason::NoAnswer),
                other => verdict(other),
            };
            leg.reject(status, None, cx);
            if site.run.unreachable {
                leg.finish_by(verdict, reason, HangupBy::Platform, cx);
            } else {
                leg.finish(verdict, reason, cx);
            }
        }
        Some(status) => {
            leg.reject(status, None, cx);
            leg.finish(CallStatus::Completed, Reason::DocumentEnd, cx);
        }
        None if was_empty && !leg.profile.dialect.empty_document_refused => {
            leg.reject(603, None, cx);
            leg.finish(CallStatus::Completed, Reason::DocumentEnd, cx);
        }
        None => {
            let text = "Document_has_no_verb_that_answers";
            leg.fail(500, text, Reason::DocumentEnd, cx);
        }
    }
}

/// Verbs that are carried out although the leg is over.
const fn outlives_leg(verb: &Verb) -> bool {
    match verb {
        Verb::Say(_)
        | Verb::Play(_)
        | Verb::Pause(_)
        | Verb::Hangup(_)
        | Verb::Reject(_)
        | Verb::Redirect(_)
        | Verb::Dial(_)
        | Verb::Gather(_) => false,
        Verb::Sms(_) | Verb::Unsupported(_) => true,
    }
}

fn place(verb: &Verb) -> String {
    match verb.line() {
        0 => String::new(),
        line => format!("line {line}"),
    }
}
