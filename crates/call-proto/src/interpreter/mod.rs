//! The interpreter: runs a document's verbs one after the other on one leg.
//!
//! A run yields commands and performs nothing. **Invariant: a run always waits for exactly one
//! thing, named by its state, or it is finished and gone.** After the leg is over the rest of the
//! run is walked: verbs that need the leg are skipped, messages are sent, the request of a `<Dial>`'s
//! action is still made. One file per verb; fetching is in `document`.

mod dial;
mod document;
mod findings;
mod gather;
mod hangup;
mod listening;
mod pause;
mod play;
mod redirect;
mod reject;
mod say;
mod sms;

use std::collections::VecDeque;

use model::{AccountSid, CallStatus, Timestamp};
use rcml::Verb;

use crate::call::Call;
use crate::command::{MediaCommand, Sound};
use crate::context::Context;
use crate::event::{AudioFailure, Clip, Document, PlayId, Req};
use crate::fact::Reason;
use crate::letter::Ended;
use crate::trace::Lane;

use dial::Dialing;
use document::Purpose;
use gather::Gathering;

pub(crate) use findings::Told;

/// A running script.
pub(crate) struct Run {
    /// Account that wrote the document's address: its rights count for every address that the
    /// document holds or leads to.
    author: AccountSid,
    /// Address of the document that runs: the base of relative addresses.
    base: Option<url::Url>,
    verbs: VecDeque<Verb>,
    state: State,
    /// A `<Dial>` on an unanswered leg answers it only when connected.
    answer_on_bridge: bool,
    /// Its verbs were made up by routing: no application decides.
    implicit: bool,
    /// How many documents in a row took no time, and since when the last one runs.
    redirects: u32,
    document_since: Timestamp,
    /// Final SIP status for a caller that was not answered while a `<Dial>` tried and failed.
    failure_status: Option<u16>,
    /// The document's first verb was reached.
    began: bool,
}

/// What a run waits for.
enum State {
    /// For nothing: the next verb can start.
    Ready,
    /// For a document.
    Fetching {
        req: Req,
        url: String,
        purpose: Purpose,
    },
    /// For the leg to be up; then this verb runs.
    Answering(Box<Verb>),
    /// For a pause to be over.
    Pausing { until: Timestamp },
    /// For audio; then it is played.
    Preparing {
        req: Req,
        times: Option<u32>,
        verb: &'static str,
    },
    /// For a play-out to end.
    Playing { play: PlayId },
    /// For a text message to leave; then its action is asked.
    Sending {
        req: Req,
        action: Option<sms::Action>,
    },
    /// For keys or speech.
    Gathering(Box<Gathering>),
    /// For a `<Dial>`.
    Dialing(Box<Dialing>),
    /// For nothing more: the run is over.
    Finished,
}

/// What the end of a verb means.
enum Next {
    /// The next verb can start.
    Verb,
    /// The verb waits.
    Wait(State),
    /// The run is over.
    End,
}

impl Run {
    fn new(author: AccountSid, verbs: Vec<Verb>, answer_on_bridge: bool, now: Timestamp) -> Self {
        Self {
            author,
            base: None,
            verbs: verbs.into(),
            state: State::Ready,
            answer_on_bridge,
            implicit: false,
            redirects: 0,
            document_since: now,
            failure_status: None,
            began: false,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Pausing { until } => Some(*until),
            State::Gathering(gathering) => gathering.poll_timeout(),
            State::Ready
            | State::Fetching { .. }
            | State::Answering(_)
            | State::Preparing { .. }
            | State::Playing { .. }
            | State::Sending { .. }
            | State::Dialing(_)
            | State::Finished => None,
        }
    }

    /// Address of the document that runs.
    pub(crate) fn url(&self) -> Option<&str> {
        self.base.as_ref().map(url::Url::as_str)
    }

    /// The leg ends for a reason that the script has no say in.
    pub(crate) fn abandon(&mut self) {
        self.verbs.clear();
    }
}

impl Call {
    /// Starts a script that is a document to be fetched.
    pub(crate) fn start_document(&mut self, document: Document, cx: &mut Context) {
        self.run = Some(Run::new(document.author, Vec::new(), false, cx.now));
        self.fetch_first(document, cx);
    }

    /// Starts a script whose verbs are known.
    pub(crate) fn start_verbs(
        &mut self,
        verbs: Vec<Verb>,
        answer_on_bridge: bool,
        cx: &mut Context,
    ) {
        let mut run = Run::new(self.info.account, verbs, answer_on_bridge, cx.now);
        run.implicit = true;
        self.run = Some(run);
        self.advance(cx);
    }

    /// Runs verbs until one waits or the document ends.
    fn advance(&mut self, cx: &mut Context) {
        loop {
            let Some(run) = &mut self.run else { return };
            let State::Ready = run.state else { break };
            let next = match run.verbs.pop_front() {
                Some(verb) => {
                    run.began = true;
                    self.begin(verb, cx)
                }
                None => {
                    self.document_ends(cx);
                    Next::End
                }
            };
            let Some(run) = &mut self.run else { return };
            match next {
                Next::Verb => {}
                Next::Wait(state) => run.state = state,
                Next::End => run.state = State::Finished,
            }
        }
        self.drop_finished_run();
    }

    fn drop_finished_run(&mut self) {
        if matches!(
            self.run,
            Some(Run {
                state: State::Finished,
                ..
            })
        ) {
            self.run = None;
        }
    }

    fn begin(&mut self, verb: Verb, cx: &mut Context) -> Next {
        if self.ended.is_some() && !outlives_leg(&verb) {
            return Next::Verb;
        }
        if let Verb::Unsupported(verb) = &verb {
            cx.trace(
                self.sid,
                Lane::Rcml,
                &format!("<{}>", verb.name),
                "not built; skipped",
            );
            return Next::Verb;
        }
        if self.must_answer_for(&verb) {
            self.answer(cx);
            return Next::Wait(State::Answering(Box::new(verb)));
        }
        // Another script had it answered and was replaced meanwhile.
        if self.is_being_answered() {
            return Next::Wait(State::Answering(Box::new(verb)));
        }
        cx.trace(
            self.sid,
            Lane::Rcml,
            &format!("<{}>", verb.name()),
            &place(&verb),
        );
        match verb {
            Verb::Say(say) => self.say(say, cx),
            Verb::Play(play) => self.play(&play, cx),
            Verb::Pause(pause) => Self::pause(&pause, cx),
            Verb::Hangup(_) => self.hangup_verb(cx),
            Verb::Reject(reject) => self.reject_verb(&reject, cx),
            Verb::Redirect(redirect) => self.redirect_verb(&redirect, cx),
            Verb::Dial(dial) => self.dial(*dial, cx),
            Verb::Gather(gather) => self.gather(*gather, cx),
            Verb::Sms(sms) => self.sms_verb(&sms, cx),
            Verb::Unsupported(_) => Next::Verb,
        }
    }

    /// `<Reject>` and `<Pause>` run unanswered, and so does a `<Dial>` that answers on bridge.
    fn must_answer_for(&self, verb: &Verb) -> bool {
        if !self.is_unanswered() {
            return false;
        }
        let (waiting, failed) = self.run.as_ref().map_or((false, false), |run| {
            (run.answer_on_bridge, run.failure_status.is_some())
        });
        match verb {
            Verb::Reject(_) | Verb::Pause(_) => false,
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

    /// The leg that a verb waited for is up.
    pub(crate) fn leg_is_up(&mut self, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        match std::mem::replace(&mut run.state, State::Ready) {
            State::Answering(verb) => {
                run.verbs.push_front(*verb);
                self.advance(cx);
            }
            State::Dialing(dialing) => {
                run.state = State::Dialing(dialing);
                self.dial_leg_is_up(cx);
            }
            other @ (State::Ready
            | State::Fetching { .. }
            | State::Pausing { .. }
            | State::Preparing { .. }
            | State::Playing { .. }
            | State::Sending { .. }
            | State::Gathering(_)
            | State::Finished) => run.state = other,
        }
    }

    /// The leg is over: what waited for it goes on without it.
    pub(crate) fn leg_is_over(&mut self, reason: Reason, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        match &mut run.state {
            State::Answering(_)
            | State::Pausing { .. }
            | State::Preparing { .. }
            | State::Playing { .. } => {
                run.state = State::Ready;
                self.advance(cx);
            }
            State::Gathering(_) => {
                if let Some(mut gathering) = self.take_gathering() {
                    self.stop_listening(&mut gathering, cx);
                }
                self.advance(cx);
            }
            State::Dialing(_) => self.dial_leg_is_over(reason, cx),
            // A first document that was asked for is of no use any more; a follow-up may still
            // hold verbs that outlive the leg.
            State::Fetching { purpose, .. } => {
                if purpose.is_first() {
                    self.run = None;
                }
            }
            State::Ready | State::Sending { .. } | State::Finished => {}
        }
    }

    pub(crate) fn run_timeout(&mut self, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        match &run.state {
            State::Pausing { until } if *until <= cx.now => {
                run.state = State::Ready;
                self.advance(cx);
            }
            State::Gathering(_) => self.gather_timeout(cx),
            State::Ready
            | State::Fetching { .. }
            | State::Answering(_)
            | State::Pausing { .. }
            | State::Preparing { .. }
            | State::Playing { .. }
            | State::Sending { .. }
            | State::Dialing(_)
            | State::Finished => {}
        }
    }

    pub(crate) fn handle_audio(
        &mut self,
        answered: Req,
        result: Result<Clip, AudioFailure>,
        cx: &mut Context,
    ) {
        let Some(run) = &mut self.run else { return };
        match &run.state {
            State::Preparing { req, times, verb } if *req == answered => {
                let (times, verb) = (*times, *verb);
                match result {
                    Ok(clip) => self.start_playing(Sound::Clip(clip), times, cx),
                    Err(failure) => self.audio_failed(verb, &failure, cx),
                }
            }
            State::Dialing(_) => self.dial_music_ready(answered, result, cx),
            State::Gathering(_) => self.gather_audio(answered, result, cx),
            State::Ready
            | State::Fetching { .. }
            | State::Answering(_)
            | State::Pausing { .. }
            | State::Preparing { .. }
            | State::Playing { .. }
            | State::Sending { .. }
            | State::Finished => {}
        }
    }

    fn start_playing(&mut self, sound: Sound, times: Option<u32>, cx: &mut Context) {
        let play = cx.play_id();
        cx.media(self.sid, MediaCommand::Play { play, sound, times });
        if let Some(run) = &mut self.run {
            run.state = State::Playing { play };
        }
    }

    fn audio_failed(&mut self, verb: &str, failure: &AudioFailure, cx: &mut Context) {
        let text = format!("{verb}: {}", failure.text);
        let about = self.about(None);
        cx.notify(about, failure.code, &text);
        if let Some(run) = &mut self.run {
            run.state = State::Ready;
            if self.dialect.play_failure_ends_call {
                run.abandon();
                self.fail(500, &format!("{verb} failed"), Reason::AudioFailed, cx);
            }
        }
        self.advance(cx);
    }

    pub(crate) fn play_done(&mut self, done: PlayId, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        match &run.state {
            State::Playing { play } if *play == done => {
                run.state = State::Ready;
                self.advance(cx);
            }
            State::Gathering(_) => self.gather_heard(done, cx),
            _ => {}
        }
    }

    /// The far side pressed a key.
    pub(crate) fn run_key(&mut self, key: char, cx: &mut Context) {
        match self.run.as_ref().map(|run| &run.state) {
            Some(State::Gathering(_)) => self.gather_key(key, cx),
            Some(State::Dialing(_)) => self.dial_key(key, cx),
            _ => {}
        }
    }

    /// Nothing is heard from this leg any more.
    pub(crate) fn stop_sounds(&mut self, cx: &mut Context) {
        let play = match self.run.as_ref().map(|run| &run.state) {
            Some(State::Playing { play }) => Some(*play),
            Some(State::Gathering(gathering)) => gathering.playing(),
            _ => None,
        };
        if let Some(play) = play {
            cx.media(self.sid, MediaCommand::StopPlay { play });
        }
    }

    /// No verb is left.
    fn document_ends(&mut self, cx: &mut Context) {
        if self.ended.is_some() {
            return;
        }
        cx.trace(self.sid, Lane::Rcml, "end of document", "");
        if !self.is_unanswered() {
            self.end_leg(Reason::DocumentEnd, cx);
            return;
        }
        let Some(run) = &self.run else { return };
        let was_empty = !run.began;
        match run.failure_status {
            // The caller waited for a `<Dial>` that failed: it hears why.
            Some(status) if run.implicit => {
                let (verdict, reason) = match status {
                    408 => (CallStatus::NoAnswer, Reason::NoAnswer),
                    other => crate::leg::verdict(other),
                };
                self.reject(status, None, cx);
                self.finish(verdict, reason, cx);
            }
            Some(status) => {
                self.reject(status, None, cx);
                self.finish(CallStatus::Completed, Reason::DocumentEnd, cx);
            }
            None if was_empty && !self.dialect.empty_document_refused => {
                self.reject(603, None, cx);
                self.finish(CallStatus::Completed, Reason::DocumentEnd, cx);
            }
            None => {
                let text = "Document_has_no_verb_that_answers";
                self.fail(500, text, Reason::DocumentEnd, cx);
            }
        }
    }

    /// Leaves the script that runs, without ending the leg: another one takes over.
    pub(crate) fn detach_run(&mut self, cx: &mut Context) {
        self.stop_sounds(cx);
        match self.run.take().map(|run| run.state) {
            Some(State::Dialing(dialing)) => dialing.detach(self.sid, cx),
            Some(State::Gathering(mut gathering)) => {
                self.stop_listening(&mut gathering, cx);
                if gathering.gather.keys {
                    cx.media(self.sid, MediaCommand::ListenDigits { on: false });
                }
            }
            _ => {}
        }
    }

    /// Whether the caller hears it ring until a `<Dial>` connects.
    pub(crate) fn waits_for_dial(&self) -> bool {
        self.is_unanswered() && self.dialing().is_some()
    }

    /// A `<Dial>` that the caller waited for came to nothing.
    /// `None` if nobody could be called at all.
    pub(crate) fn dial_came_to_nothing(&mut self, sip_status: Option<u16>) {
        if let Some(run) = &mut self.run {
            let nobody = if run.implicit { 404 } else { 500 };
            run.failure_status = Some(sip_status.unwrap_or(nobody));
        }
    }

    pub(crate) fn bridge_over(&mut self, ended: Ended, cx: &mut Context) {
        self.bridge = None;
        if let Some(Run {
            state: State::Dialing(_),
            ..
        }) = &self.run
        {
            self.dial_bridge_over(ended, cx);
            return;
        }
        if self.run.is_some() || self.ended.is_some() {
            return;
        }
        // The dialled party has no script of its own.
        self.end_leg(ended.reason(), cx);
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
