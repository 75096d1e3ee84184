//! `<Gather>`: collect keys or speech, with prompts that either interrupts.
//!
//! All prompts are made before the first is heard. The time for a key or a word runs from the end of the
//! last prompt, and anew from each key; speech is in `listening`. **Invariant: a `<Gather>` ends once: with the request of its
//! action, or with the next verb, or with the leg.** Keys are never traced: they may be a PIN.

use std::collections::VecDeque;
use std::time::Duration;

use model::Timestamp;
use rcml::Prompt;

use super::document::Purpose;
use super::listening::{Listening, Said};
use super::{Next, Run, State};
use crate::call::Call;
use crate::command::{Command, MediaCommand, Sound};
use crate::context::Context;
use crate::event::{AudioFailure, Clip, PlayId, Req};
use crate::fact::Reason;
use crate::trace::Lane;

/// A `<Gather>` that runs.
pub(super) struct Gathering {
    pub(super) gather: rcml::Gather,
    keys: String,
    pub(super) phase: Phase,
    /// There as long as speech is listened to.
    pub(super) listening: Option<Listening>,
}

pub(super) enum Phase {
    /// Prompts are being made.
    Preparing(VecDeque<Part>),
    /// One is heard; these follow.
    Playing { play: PlayId, rest: VecDeque<Part> },
    /// Silence; these follow.
    Pausing {
        until: Timestamp,
        rest: VecDeque<Part>,
    },
    /// For a key or a word.
    Waiting { until: Timestamp },
    /// Somebody speaks; then it is over.
    Speaking { until: Timestamp },
    /// What was said is over; for the result.
    Concluding { until: Timestamp },
}

/// One prompt.
pub(super) enum Part {
    /// Asked for.
    Asked {
        req: Req,
        verb: &'static str,
        times: Option<u32>,
    },
    /// Ready to be heard.
    Ready {
        clip: Clip,
        times: Option<u32>,
    },
    Silence(Duration),
}

impl Gathering {
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Pausing { until, .. }
            | Phase::Waiting { until }
            | Phase::Speaking { until }
            | Phase::Concluding { until } => Some(*until),
            Phase::Preparing(_) | Phase::Playing { .. } => None,
        }
    }

    pub(super) fn playing(&self) -> Option<PlayId> {
        match &self.phase {
            Phase::Playing { play, .. } => Some(*play),
            Phase::Preparing(_)
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => None,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.gather.timeout_s))
    }
}

impl Call {
    pub(super) fn gather(&mut self, gather: rcml::Gather, cx: &mut Context) -> Next {
        let mut parts = VecDeque::new();
        for prompt in &gather.prompts {
            match self.prompt(prompt, cx) {
                Ok(part) => parts.extend(part),
                Err(()) => return self.bad_address(cx),
            }
        }
        if gather.keys {
            cx.media(self.sid, MediaCommand::ListenDigits { on: true });
        }
        let mut gathering = Gathering {
            gather,
            keys: String::new(),
            phase: Phase::Preparing(parts),
            listening: None,
        };
        self.prompt_if_ready(&mut gathering, cx);
        Next::Wait(State::Gathering(Box::new(gathering)))
    }

    /// Asks for a prompt; nothing for one without words.
    fn prompt(&self, prompt: &Prompt, cx: &mut Context) -> Result<Option<Part>, ()> {
        let (command, verb, times): (Box<dyn FnOnce(Req) -> Command>, _, _) = match prompt {
            Prompt::Say(say) if say.text.is_empty() => return Ok(None),
            Prompt::Say(say) => {
                let (text, voice, language) = (say.text.clone(), say.voice, say.language.clone());
                let speak = move |req| Command::Speak {
                    req,
                    text,
                    voice,
                    language,
                };
                (Box::new(speak), "Say", say.looping)
            }
            Prompt::Play(play) => {
                let url = self.address(&play.url, cx).ok_or(())?;
                let author = self.author();
                (
                    Box::new(move |req| Command::Load { req, url, author }),
                    "Play",
                    play.looping,
                )
            }
            Prompt::Pause(pause) => {
                let length = Duration::from_secs(u64::from(pause.seconds));
                return Ok(Some(Part::Silence(length)));
            }
        };
        let req = cx.req();
        cx.command(self.sid, command(req));
        Ok(Some(Part::Asked { req, verb, times }))
    }

    fn prompt_if_ready(&self, gathering: &mut Gathering, cx: &mut Context) {
        let Phase::Preparing(parts) = &mut gathering.phase else {
            return;
        };
        let waits = parts.iter().any(|part| matches!(part, Part::Asked { .. }));
        if !waits {
            let parts = std::mem::take(parts);
            self.listen(gathering, cx);
            gathering.phase = self.next_part(parts, gathering.timeout(), cx);
        }
    }

    fn next_part(&self, mut rest: VecDeque<Part>, timeout: Duration, cx: &mut Context) -> Phase {
        match rest.pop_front() {
            Some(Part::Ready { clip, times }) => {
                let play = cx.play_id();
                let sound = Sound::Clip(clip);
                cx.media(self.sid, MediaCommand::Play { play, sound, times });
                Phase::Playing { play, rest }
            }
            Some(Part::Silence(length)) => Phase::Pausing {
                until: cx.now + length,
                rest,
            },
            // All were there before the first was heard.
            Some(Part::Asked { .. }) | None => Phase::Waiting {
                until: cx.now + timeout,
            },
        }
    }

    /// A prompt is there, or never will be.
    pub(super) fn gather_audio(
        &mut self,
        answered: Req,
        result: Result<Clip, AudioFailure>,
        cx: &mut Context,
    ) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        let Phase::Preparing(parts) = &mut gathering.phase else {
            return self.put_gathering(gathering); // A key came first.
        };
        let asked = parts.iter().position(|part| match part {
            Part::Asked { req, .. } => *req == answered,
            Part::Ready { .. } | Part::Silence(_) => false,
        });
        let Some(at) = asked else {
            return self.put_gathering(gathering);
        };
        let Some(Part::Asked { verb, times, .. }) = parts.remove(at) else {
            return self.put_gathering(gathering);
        };
        match result {
            Ok(clip) => parts.insert(at, Part::Ready { clip, times }),
            Err(failure) => {
                let text = format!("{verb}: {}", failure.text);
                cx.notify(self.about_line(gathering.gather.line), failure.code, &text);
                if self.dialect.play_failure_ends_call {
                    if let Some(run) = &mut self.run {
                        run.abandon();
                    }
                    self.fail(500, &format!("{verb} failed"), Reason::AudioFailed, cx);
                    return self.advance(cx);
                }
            }
        }
        self.prompt_if_ready(&mut gathering, cx);
        self.put_gathering(gathering);
    }

    /// A prompt was heard to its end.
    pub(super) fn gather_heard(&mut self, done: PlayId, cx: &mut Context) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        match &mut gathering.phase {
            Phase::Playing { play, rest } if *play == done => {
                let rest = std::mem::take(rest);
                return self.next_prompt(gathering, rest, cx);
            }
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => {}
        }
        self.put_gathering(gathering);
    }

    /// A prompt is over. After the last one nothing is waited for that cannot come.
    fn next_prompt(
        &mut self,
        mut gathering: Box<Gathering>,
        rest: VecDeque<Part>,
        cx: &mut Context,
    ) {
        gathering.phase = self.next_part(rest, gathering.timeout(), cx);
        if matches!(gathering.phase, Phase::Waiting { .. }) && gathering.is_deaf() {
            return self.gather_ends(*gathering, "nothing listens", None, cx);
        }
        self.put_gathering(gathering);
    }

    pub(super) fn gather_timeout(&mut self, cx: &mut Context) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        match &mut gathering.phase {
            Phase::Pausing { until, rest } if *until <= cx.now => {
                let rest = std::mem::take(rest);
                return self.next_prompt(gathering, rest, cx);
            }
            Phase::Waiting { until } | Phase::Speaking { until } if *until <= cx.now => {
                // The last word may be understood a little later than it was said.
                if !self.speech_ends(&mut gathering, cx) {
                    return self.gather_ends(*gathering, "time is up", None, cx);
                }
            }
            Phase::Concluding { until } if *until <= cx.now => {
                return self.thinks_too_long(gathering, cx);
            }
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => {}
        }
        self.put_gathering(gathering);
    }

    /// The caller pressed a key.
    pub(super) fn gather_key(&mut self, key: char, cx: &mut Context) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        if !gathering.gather.keys {
            cx.trace(self.sid, Lane::Rcml, "key ignored", "only speech is input");
            return self.put_gathering(gathering);
        }
        if gathering.gather.finish_on_key.contains(key) {
            return self.finishing_key(gathering, cx);
        }
        let may_start = match &gathering.gather.start_input_key {
            Some(keys) => keys.contains(key),
            None => true,
        };
        if gathering.keys.is_empty() && !may_start {
            cx.trace(self.sid, Lane::Rcml, "key ignored", "it starts no input");
            return self.put_gathering(gathering);
        }
        self.stop_listening(&mut gathering, cx);
        gathering.keys.push(key);
        let count = u32::try_from(gathering.keys.len()).unwrap_or(u32::MAX);
        if gathering.gather.num_digits.is_some_and(|all| count >= all) {
            return self.gather_ends(*gathering, "all keys", None, cx);
        }
        self.stop_prompt(&gathering, cx);
        gathering.phase = Phase::Waiting {
            until: cx.now + gathering.timeout(),
        };
        self.put_gathering(gathering);
    }

    /// It also ends what is being said.
    fn finishing_key(&mut self, mut gathering: Box<Gathering>, cx: &mut Context) {
        match gathering.phase {
            Phase::Speaking { .. } => {
                self.speech_ends(&mut gathering, cx);
            }
            // It thinks about what was said.
            Phase::Concluding { .. } => {}
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. } => {
                return self.gather_ends(*gathering, "finishing key", None, cx);
            }
        }
        self.put_gathering(gathering);
    }

    pub(super) fn stop_prompt(&self, gathering: &Gathering, cx: &mut Context) {
        if let Some(play) = gathering.playing() {
            cx.media(self.sid, MediaCommand::StopPlay { play });
        }
    }

    /// Requests the action, or goes on with the next verb.
    pub(super) fn gather_ends(
        &mut self,
        mut gathering: Gathering,
        why: &str,
        said: Option<Said>,
        cx: &mut Context,
    ) {
        self.stop_prompt(&gathering, cx);
        self.stop_listening(&mut gathering, cx);
        if gathering.gather.keys {
            cx.media(self.sid, MediaCommand::ListenDigits { on: false });
        }
        let Gathering { gather, keys, .. } = gathering;
        let detail = format!("{why}; {} keys", keys.len());
        cx.trace(self.sid, Lane::Rcml, "<Gather> ended", &detail);
        if !keys.is_empty() || said.is_some() || gather.action_on_empty_result {
            self.gather_action(&gather, keys, said, cx);
        }
        self.advance(cx);
    }

    fn gather_action(
        &mut self,
        gather: &rcml::Gather,
        keys: String,
        said: Option<Said>,
        cx: &mut Context,
    ) {
        let url = match &gather.action {
            Some(written) => self.address(written, cx),
            // Verbs that no document holds have nowhere to go on.
            None => match self.run.as_ref().and_then(Run::url) {
                Some(url) => Some(url.to_owned()),
                None => return,
            },
        };
        let state = match url {
            Some(url) if self.count_redirect(cx) => {
                self.redirect_loop(&url, cx);
                State::Finished
            }
            Some(url) => {
                let mut params = self.voice_params(cx);
                params.push(("Digits".to_owned(), keys));
                let confidence = said.as_ref().and_then(|said| said.confidence);
                let words = said.map_or_else(String::new, |said| said.text);
                params.push(("SpeechResult".to_owned(), words));
                if let Some(confidence) = confidence {
                    params.push(("Confidence".to_owned(), confidence.to_string()));
                }
                self.fetch(url, gather.method, params, Purpose::FollowUp, cx)
            }
            None => {
                self.bad_address(cx);
                State::Finished
            }
        };
        if let Some(run) = &mut self.run {
            run.state = state;
        }
    }

    /// Takes the verb out of the run, which is ready for the next one without it.
    pub(super) fn take_gathering(&mut self) -> Option<Box<Gathering>> {
        let run = self.run.as_mut()?;
        match std::mem::replace(&mut run.state, State::Ready) {
            State::Gathering(gathering) => Some(gathering),
            other => {
                run.state = other;
                None
            }
        }
    }

    pub(super) fn put_gathering(&mut self, gathering: Box<Gathering>) {
        if let Some(run) = &mut self.run {
            run.state = State::Gathering(gathering);
        }
    }
}
