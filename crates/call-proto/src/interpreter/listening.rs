//! Speech recognition in a `<Gather>`: the results, and its end.
//!
//! It listens from the first prompt on, so that a word interrupts as a key does. **Invariant: a
//! recognition ends once: with its last news, with [`Command::StopListening`], or, some time after
//! [`Command::EndOfSpeech`], with either.** The first key ends it: keys take precedence over
//! speech.
//!
//! The recognizer detects the end of the utterance; the silence that the document allows, and
//! [`LONGEST_SPEECH`], end it in any case. Partial results are sent one at a time: while a request
//! is pending only the newest one waits.

use std::time::Duration;

use model::{HttpMethod, Timestamp, error};
use rcml::{Speech, SpeechTimeout};

use super::gather::{Gathering, Phase};
use super::verb::{Running, Site, Step};
use crate::command::{Command, FetchRequest, ListenRequest};
use crate::context::Context;
use crate::event::{Confidence, Req, SpeechNews};

/// Maximum duration of speech, from its first word.
const LONGEST_SPEECH: Duration = Duration::from_secs(60);
/// How long a recognizer may take for its result.
const LONGEST_THOUGHT: Duration = Duration::from_secs(5);

/// A recognition in progress.
pub(super) struct Listening {
    req: Req,
    /// What was understood so far; `None` before any speech.
    so_far: Option<String>,
    /// When speech began.
    since: Timestamp,
    partial: Option<PartialResults>,
}

/// The destination of partial results.
struct PartialResults {
    url: String,
    method: HttpMethod,
    /// The pending request.
    asked: Option<Req>,
    /// The result to send after it.
    next: Option<String>,
}

/// A recognised utterance.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) confidence: Option<Confidence>,
}

impl Gathering {
    /// How long a silence ends the utterance; `None`: the recognizer decides.
    fn end_silence(&self, speech: &Speech) -> Option<Duration> {
        match speech.timeout {
            Some(SpeechTimeout::Auto) => None,
            Some(SpeechTimeout::Seconds(seconds)) => Some(Duration::from_secs(seconds.into())),
            None => Some(self.timeout()),
        }
    }

    /// Whether no more input is possible.
    pub(super) fn is_deaf(&self) -> bool {
        !self.gather.keys && self.listening.is_none()
    }
}

impl Gathering {
    /// Starts listening if the verb takes speech.
    pub(super) fn listen(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        let Some(speech) = &self.gather.speech else {
            return;
        };
        let written = speech.partial_result_callback.as_deref();
        let partial = written
            .and_then(|written| site.address(written, cx))
            .map(|url| PartialResults {
                url,
                method: speech.partial_result_callback_method,
                asked: None,
                next: None,
            });
        let request = ListenRequest {
            language: speech.language.clone(),
            hints: speech.hints.clone(),
            end_silence: self.end_silence(speech),
        };
        let req = cx.req();
        cx.command(site.leg.profile.sid, Command::Listen { req, request });
        self.listening = Some(Listening {
            req,
            so_far: None,
            since: cx.now,
            partial,
        });
    }

    /// Ends the recognition, if one is running; its result is discarded.
    pub(super) fn stop_listening(&mut self, site: &Site<'_>, cx: &mut Context) {
        if let Some(Listening { req, .. }) = self.listening.take() {
            cx.command(site.leg.profile.sid, Command::StopListening { req });
        }
    }

    /// Reports the end of the utterance; false if no recognition is running.
    pub(super) fn speech_ends(&mut self, site: &Site<'_>, cx: &mut Context) -> bool {
        let Some(Listening { req, .. }) = self.listening else {
            return false;
        };
        cx.command(site.leg.profile.sid, Command::EndOfSpeech { req });
        self.phase = Phase::Concluding {
            until: cx.now + LONGEST_THOUGHT,
        };
        true
    }

    /// Handles news from the recognizer.
    pub(super) fn speech_news(
        &mut self,
        of: Req,
        news: &SpeechNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        match &self.listening {
            Some(listening) if listening.req == of => {}
            Some(_) | None => return Step::Wait,
        }
        match news {
            SpeechNews::Partial(text) => {
                self.understood_so_far(text.trim(), site, cx);
                Step::Wait
            }
            SpeechNews::Final { text, confidence } => {
                self.listening = None;
                let text = text.trim().to_owned();
                if text.is_empty() {
                    return self.ends("nothing was understood", None, site, cx);
                }
                let confidence = *confidence;
                let said = Said { text, confidence };
                self.ends("speech", Some(said), site, cx)
            }
            SpeechNews::Unavailable => self.no_recognizer(site, cx),
            SpeechNews::Failed { reason } => {
                self.listening = None;
                self.recognizer_failed(reason, site, cx);
                self.goes_on_deaf(site, cx)
            }
        }
    }

    fn understood_so_far(&mut self, text: &str, site: &Site<'_>, cx: &mut Context) {
        site.stop(self.playing(), cx);
        let silence = self.gather.speech.as_ref();
        let silence = silence.and_then(|speech| self.end_silence(speech));
        let Some(listening) = &mut self.listening else {
            return;
        };
        if listening.so_far.is_none() {
            listening.since = cx.now;
        }
        let latest = listening.since + LONGEST_SPEECH;
        let until = silence.map_or(latest, |silence| latest.min(cx.now + silence));
        match self.phase {
            // The end has already been reported.
            Phase::Concluding { .. } => {}
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. } => self.phase = Phase::Speaking { until },
        }
        if text.is_empty() {
            listening.so_far.get_or_insert_default();
            return;
        }
        listening.so_far = Some(text.to_owned());
        listening.tell_partial(text.to_owned(), site, cx);
    }

    /// The application received a partial result; its response is ignored.
    pub(super) fn partial_told(&mut self, answered: Req, site: &Site<'_>, cx: &mut Context) {
        if let Some(listening) = &mut self.listening
            && let Some(partial) = &mut listening.partial
            && partial.asked == Some(answered)
        {
            partial.asked = None;
            if let Some(text) = partial.next.take() {
                listening.tell_partial(text, site, cx);
            }
        }
    }

    fn no_recognizer(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.listening = None;
        let (code, text) = if self.gather.keys {
            let text = "no speech recognizer is configured; only keys are collected";
            (error::GATHER_KEYS_ONLY, text)
        } else {
            let text = "no speech recognizer is configured; there is no input";
            (error::GATHER_NO_RECOGNIZER, text)
        };
        cx.notify(site.about_line(self.gather.line), code, text);
        self.goes_on_deaf(site, cx)
    }

    fn recognizer_failed(&self, reason: &str, site: &Site<'_>, cx: &mut Context) {
        let text = format!("speech was not recognized: {reason}");
        let about = site.about_line(self.gather.line);
        cx.notify(about, error::GATHER_SPEECH_FAILED, &text);
    }

    /// The recognition has ended: the prompts play to their end, and keys are awaited if the verb
    /// takes them.
    fn goes_on_deaf(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.phase {
            Phase::Preparing(_) | Phase::Playing { .. } | Phase::Pausing { .. } => Step::Wait,
            Phase::Waiting { .. } if self.gather.keys => Step::Wait,
            Phase::Speaking { .. } if self.gather.keys => {
                self.phase = Phase::Waiting {
                    until: cx.now + self.timeout(),
                };
                Step::Wait
            }
            Phase::Waiting { .. } | Phase::Speaking { .. } | Phase::Concluding { .. } => {
                self.ends("no recognizer is listening", None, site, cx)
            }
        }
    }

    /// The recognizer takes too long: the partial result so far counts.
    pub(super) fn thinks_too_long(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let so_far = self.listening.as_mut().and_then(|it| it.so_far.take());
        self.stop_listening(site, cx);
        let said = so_far.filter(|text| !text.is_empty()).map(|text| Said {
            text,
            confidence: None,
        });
        if said.is_none() {
            self.recognizer_failed("no result came in time", site, cx);
        }
        self.ends("no final result came", said, site, cx)
    }
}

impl Listening {
    fn tell_partial(&mut self, text: String, site: &Site<'_>, cx: &mut Context) {
        let Some(partial) = &mut self.partial else {
            return;
        };
        if partial.asked.is_some() {
            partial.next = Some(text);
            return;
        }
        let mut params = site.voice_params(cx);
        params.push(("UnstableSpeechResult".to_owned(), text));
        let req = cx.req();
        partial.asked = Some(req);
        let request = FetchRequest {
            url: partial.url.clone(),
            method: partial.method,
            params,
            author: site.author(),
            queue: site.run.queue,
        };
        cx.command(site.leg.profile.sid, Command::Fetch { req, request });
    }
}
