//! `<Gather>`: collects keys or speech, with prompts that either one interrupts.
//!
//! Keys that were pressed before it count as its first ones (`type_ahead`). All prompts are prepared before the first is played. The time for a key or a word runs from the
//! end of the last prompt, and again from each key; speech is in `listening`. **Invariant: a
//! `<Gather>` ends once: with the request of its action, or with the next verb, or with the leg.**
//! Keys are never traced: they may be a PIN.

use std::collections::VecDeque;
use std::time::Duration;

use model::Timestamp;
use rcml::Prompt;

use super::listening::{Listening, Said};
use super::verb::{Running, Site, Step};
use crate::command::{Command, Sound};
use crate::context::Context;
use crate::event::{AudioFailure, Clip, PlayId, Req, SpeechNews};
use crate::fact::Reason;
use crate::trace::Lane;

/// A running `<Gather>`.
pub(super) struct Gathering {
    pub(super) gather: rcml::Gather,
    keys: String,
    pub(super) phase: Phase,
    /// Whether the remote party hears a sound of the API, and so cannot be expected to react.
    is_interrupted: bool,
    /// Present while speech is recognised.
    pub(super) listening: Option<Listening>,
}

pub(super) enum Phase {
    /// Prompts are being prepared.
    Preparing(VecDeque<Part>),
    /// One prompt is playing; these follow.
    Playing { play: PlayId, rest: VecDeque<Part> },
    /// A pause; these follow.
    Pausing {
        until: Timestamp,
        rest: VecDeque<Part>,
    },
    /// Waiting for a key or a word.
    Waiting { until: Timestamp },
    /// The remote party is speaking; the verb ends afterwards.
    Speaking { until: Timestamp },
    /// The utterance has ended; waiting for the result.
    Concluding { until: Timestamp },
}

/// One prompt.
pub(super) enum Part {
    /// Requested.
    Asked {
        req: Req,
        verb: &'static str,
        times: Option<u32>,
    },
    /// Ready to play.
    Ready {
        clip: Clip,
        times: Option<u32>,
    },
    Silence(Duration),
}

pub(super) fn start(gather: Box<rcml::Gather>, site: &mut Site<'_>, cx: &mut Context) -> Step {
    match typed_ahead(gather, site, cx) {
        Ok(step) => step,
        Err(gather) => prompt(*gather, site, cx),
    }
}

/// Begins with the keys pressed before.
///
/// # Errors
/// The verb, if none of them begins the input.
fn typed_ahead(
    gather: Box<rcml::Gather>,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Result<Step, Box<rcml::Gather>> {
    // While a call waits, keys are for what it waits in.
    if site.run.role.is_companion() {
        return Err(gather);
    }
    let mut typed = site.leg.take_kept_keys();
    if !gather.keys || !gather.type_ahead || typed.is_empty() {
        return Err(gather);
    }
    site.leg.listen_to_keys(true, cx);
    let mut gathering = Gathering {
        gather: *gather,
        keys: String::new(),
        is_interrupted: false,
        phase: Phase::Preparing(VecDeque::new()),
        listening: None,
    };
    while let Some(key) = typed.pop_front() {
        // It ended an input that was complete before.
        if gathering.keys.is_empty() && gathering.gather.finish_on_key.contains(key) {
            continue;
        }
        match gathering.key(key, site, cx) {
            Step::Wait => {}
            step => {
                site.leg.put_back_keys(typed);
                return Ok(step);
            }
        }
    }
    if gathering.keys.is_empty() {
        gathering.listen_to_keys_no_more(site, cx);
        return Err(Box::new(gathering.gather));
    }
    Ok(Step::Run(Box::new(gathering)))
}

/// Prepares the prompts.
fn prompt(gather: rcml::Gather, site: &mut Site<'_>, cx: &mut Context) -> Step {
    let mut parts = VecDeque::new();
    for prompt in &gather.prompts {
        match ask(prompt, site, cx) {
            Ok(part) => parts.extend(part),
            Err(()) => return site.bad_address(cx),
        }
    }
    if gather.keys {
        site.leg.listen_to_keys(true, cx);
    }
    let mut gathering = Gathering {
        gather,
        keys: String::new(),
        is_interrupted: false,
        phase: Phase::Preparing(parts),
        listening: None,
    };
    gathering.prompt_if_ready(site, cx);
    Step::Run(Box::new(gathering))
}

/// Requests a prompt; nothing for one without words.
fn ask(prompt: &Prompt, site: &mut Site<'_>, cx: &mut Context) -> Result<Option<Part>, ()> {
    let (command, verb, times): (Box<dyn FnOnce(Req) -> Command>, _, _) = match prompt {
        Prompt::Say(say) if say.text.is_empty() => return Ok(None),
        Prompt::Say(say) => {
            let (text, parts) = (say.text.clone(), say.parts.clone());
            let (voice, language) = (say.voice, say.language.clone());
            let speak = move |req| Command::Speak {
                req,
                text,
                parts,
                voice,
                language,
            };
            (Box::new(speak), "Say", say.looping)
        }
        Prompt::Play(play) => {
            let url = site.address(&play.url, cx).ok_or(())?;
            let author = site.author();
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
    cx.command(site.leg.profile.sid, command(req));
    Ok(Some(Part::Asked { req, verb, times }))
}

impl Running for Gathering {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Waiting { .. } if self.is_interrupted => None,
            Phase::Pausing { until, .. }
            | Phase::Waiting { until }
            | Phase::Speaking { until }
            | Phase::Concluding { until } => Some(*until),
            Phase::Preparing(_) | Phase::Playing { .. } => None,
        }
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match &mut self.phase {
            Phase::Pausing { until, rest } if *until <= cx.now => {
                let rest = std::mem::take(rest);
                self.next_prompt(rest, site, cx)
            }
            Phase::Waiting { .. } if self.is_interrupted => Step::Wait,
            Phase::Waiting { until } | Phase::Speaking { until } if *until <= cx.now => {
                // The last word may be recognised a little later than it was said.
                if self.speech_ends(site, cx) {
                    return Step::Wait;
                }
                self.ends("time is up", None, site, cx)
            }
            Phase::Concluding { until } if *until <= cx.now => self.thinks_too_long(site, cx),
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => Step::Wait,
        }
    }

    fn audio(
        &mut self,
        answered: Req,
        result: &Result<Clip, AudioFailure>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        // Otherwise a key came first.
        let Phase::Preparing(parts) = &mut self.phase else {
            return Step::Wait;
        };
        let asked = parts.iter().position(|part| match part {
            Part::Asked { req, .. } => *req == answered,
            Part::Ready { .. } | Part::Silence(_) => false,
        });
        let Some(at) = asked else {
            return Step::Wait;
        };
        let Some(Part::Asked { verb, times, .. }) = parts.remove(at) else {
            return Step::Wait;
        };
        match result {
            Ok(clip) => {
                let clip = *clip;
                parts.insert(at, Part::Ready { clip, times });
            }
            Err(failure) => {
                if let Err(end) = site.no_audio(Some(self.gather.line), verb, failure, cx) {
                    return end;
                }
            }
        }
        self.prompt_if_ready(site, cx);
        Step::Wait
    }

    fn answered(&mut self, req: Req, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.partial_told(req, site, cx);
        Step::Wait
    }

    fn played(&mut self, done: PlayId, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match &mut self.phase {
            Phase::Playing { play, rest } if *play == done => {
                let rest = std::mem::take(rest);
                self.next_prompt(rest, site, cx)
            }
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => Step::Wait,
        }
    }

    fn key(&mut self, key: char, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let leg = site.leg.profile.sid;
        if !self.gather.keys {
            cx.trace(leg, Lane::Rcml, "key ignored", "only speech is input");
            return Step::Wait;
        }
        if self.gather.finish_on_key.contains(key) {
            return self.finishing_key(site, cx);
        }
        let may_start = match &self.gather.start_input_key {
            Some(keys) => keys.contains(key),
            None => true,
        };
        if self.keys.is_empty() && !may_start {
            cx.trace(
                leg,
                Lane::Rcml,
                "key ignored",
                "it does not start the input",
            );
            return Step::Wait;
        }
        self.stop_listening(site, cx);
        self.keys.push(key);
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        if self.gather.num_digits.is_some_and(|all| count >= all) {
            return self.ends("all keys", None, site, cx);
        }
        site.stop(self.playing(), cx);
        self.phase = Phase::Waiting {
            until: cx.now + self.timeout(),
        };
        Step::Wait
    }

    fn speech(
        &mut self,
        of: Req,
        news: &SpeechNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        self.speech_news(of, news, site, cx)
    }

    fn interrupted(&mut self, on: bool, cx: &mut Context) -> Step {
        self.is_interrupted = on;
        let until = cx.now + self.timeout();
        if let Phase::Waiting { until: before } = &mut self.phase {
            *before = until;
        }
        Step::Wait
    }

    fn leg_is_over(&mut self, _reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.stop_listening(site, cx);
        Step::Next
    }

    fn takes_keys(&self) -> bool {
        self.gather.keys
    }

    fn playing(&self) -> Option<PlayId> {
        match &self.phase {
            Phase::Playing { play, .. } => Some(*play),
            Phase::Preparing(_)
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. }
            | Phase::Concluding { .. } => None,
        }
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.stop_listening(site, cx);
        self.listen_to_keys_no_more(site, cx);
    }
}

impl Gathering {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.gather.timeout_s))
    }

    fn prompt_if_ready(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        let Phase::Preparing(parts) = &mut self.phase else {
            return;
        };
        let waits = parts.iter().any(|part| matches!(part, Part::Asked { .. }));
        if !waits {
            let parts = std::mem::take(parts);
            self.listen(site, cx);
            self.phase = self.next_part(parts, site, cx);
        }
    }

    fn next_part(&self, mut rest: VecDeque<Part>, site: &Site<'_>, cx: &mut Context) -> Phase {
        match rest.pop_front() {
            Some(Part::Ready { clip, times }) => Phase::Playing {
                play: site.play(Sound::Clip(clip), times, cx),
                rest,
            },
            Some(Part::Silence(length)) => Phase::Pausing {
                until: cx.now + length,
                rest,
            },
            // All were ready before the first was played.
            Some(Part::Asked { .. }) | None => Phase::Waiting {
                until: cx.now + self.timeout(),
            },
        }
    }

    /// A prompt has ended. After the last one, does not wait for input that cannot come.
    fn next_prompt(&mut self, rest: VecDeque<Part>, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.phase = self.next_part(rest, site, cx);
        if matches!(self.phase, Phase::Waiting { .. }) && self.is_deaf() {
            return self.ends("no recognizer is listening", None, site, cx);
        }
        Step::Wait
    }

    /// It also ends the current utterance.
    fn finishing_key(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.phase {
            Phase::Speaking { .. } => {
                self.speech_ends(site, cx);
                Step::Wait
            }
            // The recognizer is working on the result.
            Phase::Concluding { .. } => Step::Wait,
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. } => self.ends("finishing key", None, site, cx),
        }
    }

    fn listen_to_keys_no_more(&self, site: &mut Site<'_>, cx: &mut Context) {
        if self.gather.keys {
            site.leg.listen_to_keys(false, cx);
        }
    }

    /// Requests the action, or continues with the next verb.
    pub(super) fn ends(
        &mut self,
        why: &str,
        said: Option<Said>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        site.stop(self.playing(), cx);
        self.stop_listening(site, cx);
        self.listen_to_keys_no_more(site, cx);
        let detail = format!("{why}; {} keys", self.keys.len());
        cx.trace(site.leg.profile.sid, Lane::Rcml, "<Gather> ended", &detail);
        if self.keys.is_empty() && said.is_none() && !self.gather.action_on_empty_result {
            return Step::Next;
        }
        self.action(said, site, cx)
    }

    fn action(&self, said: Option<Said>, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let url = match &self.gather.action {
            Some(written) => site.address(written, cx),
            // Verbs that are not from a document have no document to continue with.
            None => match site.run.url() {
                Some(url) => Some(url.to_owned()),
                None => return Step::Next,
            },
        };
        let Some(url) = url else {
            return site.bad_address(cx);
        };
        if site.count_redirect(cx) {
            return site.redirect_loop(&url, cx);
        }
        let mut params = site.voice_params(cx);
        params.push(("Digits".to_owned(), self.keys.clone()));
        let confidence = said.as_ref().and_then(|said| said.confidence);
        let words = said.map_or_else(String::new, |said| said.text);
        params.push(("SpeechResult".to_owned(), words));
        if let Some(confidence) = confidence {
            params.push(("Confidence".to_owned(), confidence.to_string()));
        }
        site.fetch(url, self.gather.method, params, cx)
    }
}
