//! A script: a document's verbs, run one after the other on one leg.
//!
//! A script yields commands and performs nothing. **Invariant: a script always waits for exactly
//! one thing, its [`Current`], or it is finished.** After the leg has ended, the rest of the
//! document still runs: verbs that need the leg are skipped, messages are sent, and a `<Dial>`'s
//! action is still requested.

use model::{CallStatus, ConferenceSid, HangupBy, QueueSid, RecordingSid, Timestamp, error};
use rcml::Verb;

use super::companion::{Companion, CompanionEnd, Plays};
use super::fetching::{Answer, Fetching, Problem};
use super::kinds::{lets_keys_wait, must_answer_for, outlives_leg};
use super::refer::ReferNews;
use super::run::Run;
use super::sounding::Sounding;
use super::verb::{Host, Running, Site, Step};
use super::{
    connect, dial, echo, email, enqueue, gather, hangup, joining, leave, pause, play, record,
    redirect, refer, reject, say, sms,
};
use crate::command::Sound;
use crate::context::Context;
use crate::event::{
    AudioFailure, Clip, Document, FetchFailure, Fetched, ParticipantChange, PlayId, Req, Route,
    SpeechNews, Unreachable,
};
use crate::fact::Reason;
use crate::leg::verdict;
use crate::letter::{Ended, ForkId, ForkNews, Role};
use crate::membership::RoomEvent;
use crate::queueing::{QueueEvent, Rendezvous};
use crate::recording::RecordingNews;
use crate::relay_news::RelayNews;
use crate::streams::StreamEnd;
use crate::trace::Lane;

/// An input to a script.
#[derive(Debug)]
pub(crate) enum Input {
    /// The script starts.
    Start,
    /// Time has passed.
    Timeout,
    /// A request to an application was answered.
    Fetched(Req, Result<Fetched, FetchFailure>),
    /// A sound or spoken text is ready, or failed.
    Audio(Req, Result<Clip, AudioFailure>),
    /// A recognizer has news.
    Speech(Req, SpeechNews),
    /// A play-out has reached its end.
    Played(PlayId),
    /// The remote party pressed a key.
    Key(char),
    /// A text message has been sent, or failed.
    MessageLeft(Req),
    /// Targets were looked up.
    Routes(Req, Vec<Result<Vec<Route>, Unreachable>>),
    /// News of a REFER that was sent on the leg.
    Refer(ReferNews),
    /// A fork has ended.
    Fork(ForkId, ForkNews),
    /// The bridge of the leg has ended.
    BridgeOver(Ended),
    /// A room's report.
    Room(Req, RoomEvent),
    /// A queue's report.
    Queue(Req, QueueEvent),
    /// A stream of the leg has begun, with this play-out.
    StreamBegan(Req, PlayId),
    /// A stream of the leg has ended.
    StreamOver(Req, StreamEnd),
    /// News of the connection of a conversation.
    Relay(Req, RelayNews),
    /// The API changes the leg's part in a conference.
    Participant(Box<ParticipantChange>),
    /// The companion of the verb has ended by itself.
    CompanionOver(Req, CompanionEnd),
    /// News of a recording of the leg.
    Recording(RecordingSid, RecordingNews),
    /// A sound of the API interrupts what the leg hears, or has ended.
    Interrupted(bool),
    /// The leg is up.
    LegUp,
    /// The leg has ended.
    LegOver(Reason),
}

impl Input {
    /// Whether the input is for one script only: the top one, which controls the leg, or the one below
    /// it if the top one does not use the input.
    pub(super) const fn is_for_top(&self) -> bool {
        matches!(self, Self::Key(_) | Self::LegUp)
    }
}

/// A script.
pub(crate) struct Script {
    run: Run,
    current: Current,
    source: Source,
    /// For the companion of a verb: its number.
    companion: Option<Req>,
}

/// What a script does when no verb is left.
enum Source {
    /// It ends.
    Nothing,
    /// Requests its first document.
    First(Document),
    /// Requests its first document, every time.
    Again(Document),
    /// Plays a built-in sound, endlessly.
    Built(Sound),
    /// Meets another call, and ends with it.
    Meets(Rendezvous),
}

/// What a script waits for.
enum Current {
    /// Nothing: the next verb can start.
    Nothing,
    /// A document.
    Fetching(Fetching),
    /// The leg to be up; then this verb runs.
    Answering(Box<Verb>),
    /// A running verb.
    Running(Box<dyn Running>),
    /// Nothing more: the script has ended.
    Finished,
}

impl Script {
    /// Starts with a document to be fetched.
    pub(crate) fn of_document(document: Document, now: Timestamp) -> Self {
        let author = document.author;
        let source = Source::First(document);
        Self::new(Role::Main, author, Vec::new(), source, now)
    }

    /// Starts with a document that was fetched from this address.
    pub(crate) fn of_fetched(
        author: model::AccountSid,
        url: &str,
        verbs: Vec<Verb>,
        now: Timestamp,
    ) -> Self {
        let mut script = Self::new(Role::Main, author, Vec::new(), Source::Nothing, now);
        script.run.replace(url, verbs, now);
        script
    }

    fn new(
        role: Role,
        author: model::AccountSid,
        verbs: Vec<Verb>,
        source: Source,
        now: Timestamp,
    ) -> Self {
        Self {
            run: Run::new(role, author, verbs.into(), now),
            current: Current::Nothing,
            source,
            companion: None,
        }
    }

    /// Runs beside a verb of this script.
    pub(super) fn beside(&self, companion: &Companion, now: Timestamp) -> Self {
        let mut verbs = Vec::new();
        let once = !companion.role.repeats();
        let (author, source) = match companion.plays.clone() {
            Plays::Built(sound) => (self.run.author, Source::Built(sound)),
            Plays::Sound(Document { url, author, .. }) => {
                let looping = once.then_some(1);
                let play = rcml::Play {
                    url,
                    looping,
                    ..rcml::Play::default()
                };
                verbs.push(Verb::Play(play));
                (author, Source::Nothing)
            }
            Plays::Document(document) if once => (document.author, Source::First(document)),
            Plays::Document(document) => (document.author, Source::Again(document)),
        };
        let mut script = Self::new(companion.role, author, verbs, source, now);
        script.companion = Some(companion.id);
        script.run.params.clone_from(&companion.params);
        script.run.queue = companion.queue;
        script
    }

    /// Screens a dialled party with a document.
    pub(crate) fn of_screening(document: Document, now: Timestamp) -> Self {
        let mut script = Self::of_document(document, now);
        script.run.role = Role::Screening;
        script
    }

    /// The same, after pressing these keys.
    pub(crate) fn pressing(mut self, digits: Option<String>) -> Self {
        let press = |digits| {
            Verb::Play(rcml::Play {
                digits: Some(digits),
                ..rcml::Play::default()
            })
        };
        self.run.verbs.extend(digits.map(press));
        self
    }

    /// Starts with verbs generated by routing.
    ///
    /// - `answer_on_bridge`: answer the caller only when a `<Dial>` connects.
    pub(crate) fn of_verbs(
        author: model::AccountSid,
        verbs: Vec<Verb>,
        answer_on_bridge: bool,
        now: Timestamp,
    ) -> Self {
        let mut script = Self::new(Role::Main, author, verbs, Source::Nothing, now);
        script.run.answer_on_bridge = answer_on_bridge;
        script.run.implicit = true;
        script
    }

    /// Meets another call, after an attended transfer.
    pub(crate) fn of_rendezvous(
        account: model::AccountSid,
        rendezvous: Rendezvous,
        now: Timestamp,
    ) -> Self {
        let source = Source::Meets(rendezvous);
        let mut script = Self::new(Role::Main, account, Vec::new(), source, now);
        script.run.implicit = true;
        script
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

    /// What is to run beside its verb.
    pub(super) fn wants_companion(&self) -> Option<&Companion> {
        self.verb().and_then(Running::companion)
    }

    /// The conference that it is in.
    pub(crate) fn conference(&self) -> Option<ConferenceSid> {
        self.verb().and_then(Running::conference)
    }

    /// The queue in which it waits.
    pub(crate) fn queue(&self) -> Option<QueueSid> {
        self.verb().and_then(Running::waits_in)
    }

    /// How it ended, if it is the companion of a verb.
    pub(super) const fn companion_end(&self) -> CompanionEnd {
        match (self.run.left, self.run.failed) {
            (true, _) => CompanionEnd::Left,
            (false, true) => CompanionEnd::Failed,
            (false, false) => CompanionEnd::Done,
        }
    }

    /// Its number, if it is the companion of a verb.
    pub(super) const fn companion(&self) -> Option<Req> {
        self.companion
    }

    /// Whether the input that is for the top goes no further.
    pub(super) fn keeps(&self, input: &Input) -> bool {
        let is_key = matches!(input, Input::Key(_));
        self.companion.is_none() || (is_key && self.verb().is_some_and(Running::takes_keys))
    }

    /// Whether an unanswered caller hears ringing because of its verb.
    pub(crate) fn lets_it_ring(&self) -> bool {
        self.verb().is_some_and(Running::lets_it_ring)
    }

    /// The leg ends for a reason beyond the script's control.
    pub(crate) fn abandon(&mut self) {
        self.run.abandon();
        self.source = Source::Nothing;
    }

    /// The caller waited for a `<Dial>` that failed with this final SIP status.
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

    /// Handles an input; [`proceed`](Self::proceed) continues.
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
    }

    /// Continues until it has to wait.
    pub(crate) fn proceed(&mut self, mut host: Host<'_>, cx: &mut Context) {
        let site = &mut host.site(&mut self.run);
        while matches!(self.current, Current::Nothing) {
            self.current = match site.run.verbs.pop_front() {
                Some(verb) if may_run(&verb, site, cx) => begin(verb, site, cx),
                Some(_) => Current::Nothing,
                None => next_document(&mut self.source, site, cx),
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

/// Requests the first document, unless its text is known.
fn begin_with(document: Document, site: &mut Site<'_>, cx: &mut Context) -> Current {
    if let Some(text) = &document.text {
        begin_at_once(text, site, cx);
        return Current::Nothing;
    }
    let params = (site.voice_params(cx), site.run.queue);
    let who = site.leg.profile.about(None);
    Current::Fetching(Fetching::first(document, params, who, cx))
}

/// Runs the document with this text.
fn begin_at_once(text: &str, site: &mut Site<'_>, cx: &mut Context) {
    let who = site.leg.profile.about(None);
    match rcml::Document::parse(text) {
        Ok(document) => {
            site.told.tell("", &document, who, cx);
            site.run.replace("", document.verbs, cx.now);
        }
        Err(error) => {
            let problem = Problem::no_document(&error.into());
            problem.tell(None, who, cx);
            document_failed(&problem, site, cx);
        }
    }
}

/// No verb is left: what the script does then.
fn next_document(source: &mut Source, site: &mut Site<'_>, cx: &mut Context) -> Current {
    if site.leg.is_over() && site.run.role.is_companion() {
        return Current::Finished;
    }
    match std::mem::replace(source, Source::Nothing) {
        Source::First(document) if !site.leg.is_over() => begin_with(document, site, cx),
        Source::Again(document) => {
            if site.count_redirect(cx) {
                site.redirect_loop(&document.url, cx);
                return Current::Finished;
            }
            *source = Source::Again(document.clone());
            begin_with(document, site, cx)
        }
        Source::Built(sound) => {
            let play = site.play(sound, None, cx);
            Current::Running(Box::new(Sounding::Playing(play)))
        }
        Source::Meets(rendezvous) if !site.leg.is_over() => {
            Current::Running(joining::start(rendezvous, site, cx))
        }
        Source::First(_) | Source::Meets(_) | Source::Nothing => {
            document_ends(site, cx);
            Current::Finished
        }
    }
}

/// Whether the script's role allows a verb; if not, the account's owner is notified.
fn may_run(verb: &Verb, site: &mut Site<'_>, cx: &mut Context) -> bool {
    match site.run.role {
        Role::Main => true,
        Role::Screening => {
            let is_dial = matches!(verb, Verb::Dial(_) | Verb::Enqueue(_) | Verb::Refer(_));
            if is_dial {
                dials_in_screening(verb, site, cx);
            }
            !is_dial
        }
        Role::Waiting | Role::Queueing | Role::Announcing => may_wait(verb, site, cx),
    }
}

/// Whether a waiting party can have this verb.
fn may_wait(verb: &Verb, site: &mut Site<'_>, cx: &mut Context) -> bool {
    match verb {
        Verb::Say(_) | Verb::Play(_) | Verb::Pause(_) | Verb::Gather(_) | Verb::Redirect(_) => true,
        Verb::Hangup(_) | Verb::Leave(_) if site.run.role == Role::Queueing => true,
        Verb::Hangup(_)
        | Verb::Leave(_)
        | Verb::Enqueue(_)
        | Verb::Reject(_)
        | Verb::Dial(_)
        | Verb::Sms(_)
        | Verb::Email(_)
        | Verb::Record(_)
        | Verb::Connect(_)
        | Verb::Start(_)
        | Verb::Stop(_)
        | Verb::Refer(_)
        | Verb::Echo(_) => {
            let name = verb.name();
            let text = format!("`{name}` cannot run while the call waits; it was skipped");
            let place = format!("{:?} {} {name}", site.run.url(), verb.line());
            if !site.leg.is_over() && site.told.is_first(&place) {
                cx.notify(site.about_line(verb.line()), error::WAIT_VERB, &text);
            }
            false
        }
        // There is a finding for it.
        Verb::Unsupported(_) => true,
    }
}

/// A party being screened cannot meet another party.
fn dials_in_screening(verb: &Verb, site: &mut Site<'_>, cx: &mut Context) {
    site.run.abandon();
    if site.leg.is_over() {
        return;
    }
    let about = site.leg.profile.about(site.run.url());
    let name = verb.name();
    let text = format!("the screening document has `{name}`; the call is not connected");
    cx.notify(about, error::SCREENING_DIAL, &text);
    let why = Reason::ScreeningFailed;
    let text = format!("{name} in a screening document");
    site.leg.fail(500, &text, why, cx);
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

/// Handles an input while a document is being fetched.
fn fetched(fetching: Fetching, input: &Input, site: &mut Site<'_>, cx: &mut Context) -> Current {
    let result = match input {
        Input::Fetched(req, result) if fetching.waits_for(*req) => result,
        // In a document that a waiting call hears, keys are for what it waits in.
        Input::Key(key) if !site.run.role.is_companion() => {
            site.leg.keep_key(*key, cx);
            return Current::Fetching(fetching);
        }
        // A first document is no longer needed; a later one may still hold verbs that outlive the
        // leg.
        Input::LegOver(_) if fetching.is_first() => return Current::Finished,
        _ => return Current::Fetching(fetching),
    };
    let who = site.leg.profile.about(None);
    let more = site.run.params.clone();
    let leg = &*site.leg;
    let params = |cx: &Context| {
        let mut params = leg.voice_params(cx);
        params.extend(more);
        params
    };
    match fetching.handle_answer(result, site.told, params, who, cx) {
        Answer::Document { url, document } => {
            let mut verbs = document.verbs;
            if site.run.role.is_companion() && verbs.is_empty() {
                return Current::Finished;
            }
            if site.run.role.repeats() {
                play_for_ever(&mut verbs);
            }
            site.run.replace(&url, verbs, cx.now);
        }
        // The old document is discarded.
        Answer::Nothing => site.run.abandon(),
        Answer::FallBack(fetching) => {
            site.run.author = fetching.author();
            return Current::Fetching(fetching);
        }
        // The call goes on without it.
        Answer::Failed(_) if site.run.role.is_companion() => {
            site.run.failed = true;
            return Current::Finished;
        }
        Answer::Failed(problem) => document_failed(&problem, site, cx),
    }
    Current::Nothing
}

/// A sound in place of a document repeats without being fetched again.
fn play_for_ever(verbs: &mut [Verb]) {
    if let [Verb::Play(play)] = verbs
        && play.line == 0
    {
        play.looping = None;
    }
}

/// Passes an input to a verb.
fn tell(verb: &mut dyn Running, input: &Input, site: &mut Site<'_>, cx: &mut Context) -> Step {
    match input {
        Input::Start => Step::Wait,
        Input::Timeout => verb.handle_timeout(site, cx),
        Input::Fetched(req, _) => verb.answered(*req, site, cx),
        Input::Audio(req, result) => verb.audio(*req, result, site, cx),
        Input::Speech(req, news) => verb.speech(*req, news, site, cx),
        Input::Played(play) => verb.played(*play, site, cx),
        Input::Key(key) if verb.keeps_keys() => {
            site.leg.keep_key(*key, cx);
            Step::Wait
        }
        Input::Key(key) => {
            site.leg.drop_kept_keys(cx);
            verb.key(*key, site, cx)
        }
        Input::MessageLeft(req) => verb.message_left(*req, site, cx),
        Input::Routes(req, found) => verb.routes(*req, found, site, cx),
        Input::Refer(news) => verb.referral(*news, site, cx),
        Input::Fork(fork, news) if verb.awaited_fork() == Some(*fork) => verb.fork(news, site, cx),
        Input::Fork(..) => Step::Wait,
        Input::BridgeOver(ended) => verb.bridge_over(*ended, site, cx),
        Input::Room(req, event) => verb.room(*req, *event, site, cx),
        Input::Queue(req, event) => verb.queue(*req, event, site, cx),
        Input::StreamBegan(req, play) => {
            verb.stream_began(*req, *play, site, cx);
            Step::Wait
        }
        Input::StreamOver(req, end) => verb.stream_over(*req, end, site, cx),
        Input::Relay(req, news) => verb.relay_news(*req, news, site, cx),
        Input::Participant(change) => verb.change_participant(change, site, cx),
        Input::CompanionOver(id, end) => verb.companion_over(*id, *end, site, cx),
        Input::Recording(sid, news) => verb.recording(*sid, *news, site, cx),
        Input::Interrupted(on) => verb.interrupted(*on, cx),
        Input::LegUp => verb.leg_is_up(site, cx),
        Input::LegOver(reason) => {
            site.stop(verb.playing(), cx);
            verb.leg_is_over(*reason, site, cx)
        }
    }
}

/// What the script waits for after a step of a verb.
fn after(step: Step, verb: Option<Box<dyn Running>>, site: &mut Site<'_>) -> Current {
    match step {
        Step::Wait => verb.map_or(Current::Nothing, Current::Running),
        Step::Run(verb) => Current::Running(verb),
        Step::Next => Current::Nothing,
        Step::Fetch(fetching) => {
            site.run.author = fetching.author();
            Current::Fetching(*fetching)
        }
        Step::End => Current::Finished,
    }
}

fn begin(verb: Verb, site: &mut Site<'_>, cx: &mut Context) -> Current {
    site.run.began = true;
    site.run.ran = true;
    let leg = site.leg.profile.sid;
    if site.leg.is_over() && !outlives_leg(&verb) {
        return Current::Nothing;
    }
    if let Verb::Unsupported(verb) = &verb {
        let name = format!("<{}>", verb.name);
        cx.trace(leg, Lane::Rcml, &name, "not supported; skipped");
        return Current::Nothing;
    }
    if must_answer_for(&verb, site) {
        site.leg.answer(cx);
        return Current::Answering(Box::new(verb));
    }
    // Another script had answered the leg and was replaced meanwhile.
    if site.leg.is_being_answered() {
        return Current::Answering(Box::new(verb));
    }
    let name = format!("<{}>", verb.name());
    cx.trace(leg, Lane::Rcml, &name, &place(&verb));
    if !lets_keys_wait(&verb) {
        site.leg.drop_kept_keys(cx);
    }
    let step = match verb {
        Verb::Say(say) => say::start(say, site, cx),
        Verb::Play(play) => play::start(&play, site, cx),
        Verb::Pause(pause) => pause::start(&pause, cx),
        Verb::Hangup(_) => hangup::start(site, cx),
        Verb::Reject(reject) => reject::start(&reject, site, cx),
        Verb::Redirect(redirect) => redirect::start(&redirect, site, cx),
        Verb::Dial(dial) => dial::start(*dial, site, cx),
        Verb::Gather(gather) => gather::start(gather, site, cx),
        Verb::Record(record) => record::start(*record, site, cx),
        Verb::Sms(sms) => sms::start(&sms, site, cx),
        Verb::Email(verb) => email::start(&verb, site, cx),
        Verb::Connect(verb) => connect::connect(*verb, site, cx),
        Verb::Start(start) => connect::start(start, site, cx),
        Verb::Stop(stop) => connect::stop(&stop, site, cx),
        Verb::Enqueue(enqueue) => enqueue::start(*enqueue, site, cx),
        Verb::Leave(verb) => leave::start(&verb, site, cx),
        Verb::Refer(refer) => refer::start(refer, site, cx),
        Verb::Echo(_) => echo::start(site, cx),
        Verb::Unsupported(_) => Step::Next,
    };
    after(step, None, site)
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
fn document_ends(site: &mut Site<'_>, cx: &mut Context) {
    let leg = &mut *site.leg;
    if leg.is_over() || site.run.role.is_companion() {
        return;
    }
    cx.trace(leg.profile.sid, Lane::Rcml, "end of document", "");
    if site.run.role == Role::Screening {
        leg.accept(cx);
        return;
    }
    if !leg.is_unanswered() {
        if !site.run.ran {
            tell_nothing_ran("there is no verb: the call ended at once", site, cx);
        }
        site.leg.end(Reason::DocumentEnd, cx);
        return;
    }
    let was_empty = !site.run.began;
    match site.run.failure_status {
        // The caller waited for a failed `<Dial>`, and gets its reason.
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
            tell_nothing_ran("there is no verb: the call was refused with 603", site, cx);
            site.leg.reject(603, None, cx);
            let leg = &mut *site.leg;
            leg.finish(CallStatus::Completed, Reason::DocumentEnd, cx);
        }
        None => {
            let text = "no verb answered the call: it was refused with 500";
            tell_nothing_ran(text, site, cx);
            let text = "Document_has_no_verb_that_answers";
            site.leg.fail(500, text, Reason::DocumentEnd, cx);
        }
    }
}

/// The owner of the account hears of a document that did nothing, which no other problem explains.
fn tell_nothing_ran(text: &str, site: &Site<'_>, cx: &mut Context) {
    if !site.run.implicit {
        let about = site.leg.profile.about(site.run.url());
        cx.notify(about, error::EMPTY_DOCUMENT, text);
    }
}

fn place(verb: &Verb) -> String {
    match verb.line() {
        0 => String::new(),
        line => format!("line {line}"),
    }
}
