//! Speech in a `<Gather>`: what is understood, and when it is over.
//!
//! It listens from the first prompt on, so that a word interrupts as a key does. **Invariant: a
//! listening ends once: with its last news, with [`Command::StopListening`], or, some time after
//! [`Command::EndOfSpeech`], with either.** The first key ends it: what is typed wins over what is said.
//!
//! The recognizer finds the end of what is said; the silence that the document allows, and
//! [`LONGEST_SPEECH`], end it in any case. Partial results are told one at a time: while a request is on
//! its way only the newest one waits.

use std::time::Duration;

use model::{HttpMethod, Timestamp, error};
use rcml::{Speech, SpeechTimeout};

use super::gather::{Gathering, Phase};
use crate::call::Call;
use crate::command::{Command, FetchRequest, ListenRequest};
use crate::context::Context;
use crate::event::{Confidence, Req, SpeechNews};

/// From the first word on, speech is listened to for so long.
const LONGEST_SPEECH: Duration = Duration::from_secs(60);
/// How long a recognizer may think about what it heard.
const LONGEST_THOUGHT: Duration = Duration::from_secs(5);

/// A listening that goes on.
pub(super) struct Listening {
    req: Req,
    /// What was understood so far; `None` while nobody has spoken.
    so_far: Option<String>,
    /// Since when somebody speaks.
    since: Timestamp,
    partial: Option<PartialResults>,
}

/// Where partial results go.
struct PartialResults {
    url: String,
    method: HttpMethod,
    /// The request that is on its way.
    asked: Option<Req>,
    /// To be told after it.
    next: Option<String>,
}

/// What somebody said.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) confidence: Option<Confidence>,
}

impl Gathering {
    /// The silence that ends what is said; `None`: the recognizer decides.
    fn end_silence(&self, speech: &Speech) -> Option<Duration> {
        match speech.timeout {
            Some(SpeechTimeout::Auto) => None,
            Some(SpeechTimeout::Seconds(seconds)) => Some(Duration::from_secs(seconds.into())),
            None => Some(self.timeout()),
        }
    }

    /// Whether nothing can come in any more.
    pub(super) fn is_deaf(&self) -> bool {
        !self.gather.keys && self.listening.is_none()
    }
}

impl Call {
    /// Begins to listen, if the verb wants speech.
    pub(super) fn listen(&self, gathering: &mut Gathering, cx: &mut Context) {
        let Some(speech) = &gathering.gather.speech else {
            return;
        };
        let written = speech.partial_result_callback.as_deref();
        let partial = written
            .and_then(|written| self.address(written, cx))
            .map(|url| PartialResults {
                url,
                method: speech.partial_result_callback_method,
                asked: None,
                next: None,
            });
        let request = ListenRequest {
            language: speech.language.clone(),
            hints: speech.hints.clone(),
            end_silence: gathering.end_silence(speech),
        };
        let req = cx.req();
        cx.command(self.sid, Command::Listen { req, request });
        gathering.listening = Some(Listening {
            req,
            so_far: None,
            since: cx.now,
            partial,
        });
    }

    /// Ends the listening, if it goes on: nothing of it is wanted.
    pub(super) fn stop_listening(&self, gathering: &mut Gathering, cx: &mut Context) {
        if let Some(Listening { req, .. }) = gathering.listening.take() {
            cx.command(self.sid, Command::StopListening { req });
        }
    }

    /// Says that what was said is over; false if nothing listens.
    pub(super) fn speech_ends(&self, gathering: &mut Gathering, cx: &mut Context) -> bool {
        let Some(Listening { req, .. }) = gathering.listening else {
            return false;
        };
        cx.command(self.sid, Command::EndOfSpeech { req });
        gathering.phase = Phase::Concluding {
            until: cx.now + LONGEST_THOUGHT,
        };
        true
    }

    /// The recognizer has news.
    pub(crate) fn speech_news(&mut self, of: Req, news: SpeechNews, cx: &mut Context) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        match &gathering.listening {
            Some(listening) if listening.req == of => {}
            Some(_) | None => return self.put_gathering(gathering),
        }
        match news {
            SpeechNews::Partial(text) => {
                self.understood_so_far(&mut gathering, text.trim(), cx);
                self.put_gathering(gathering);
            }
            SpeechNews::Final { text, confidence } => {
                gathering.listening = None;
                let text = text.trim().to_owned();
                if text.is_empty() {
                    return self.gather_ends(*gathering, "nothing was understood", None, cx);
                }
                let said = Said { text, confidence };
                self.gather_ends(*gathering, "speech", Some(said), cx);
            }
            SpeechNews::Unavailable => self.no_recognizer(gathering, cx),
            SpeechNews::Failed { reason } => {
                gathering.listening = None;
                self.recognizer_failed(&gathering, &reason, cx);
                self.goes_on_deaf(gathering, cx);
            }
        }
    }

    fn understood_so_far(&self, gathering: &mut Gathering, text: &str, cx: &mut Context) {
        self.stop_prompt(gathering, cx);
        let silence = gathering.gather.speech.as_ref();
        let silence = silence.and_then(|speech| gathering.end_silence(speech));
        let Some(listening) = &mut gathering.listening else {
            return;
        };
        if listening.so_far.is_none() {
            listening.since = cx.now;
        }
        let latest = listening.since + LONGEST_SPEECH;
        let until = silence.map_or(latest, |silence| latest.min(cx.now + silence));
        match gathering.phase {
            // The end was told before.
            Phase::Concluding { .. } => {}
            Phase::Preparing(_)
            | Phase::Playing { .. }
            | Phase::Pausing { .. }
            | Phase::Waiting { .. }
            | Phase::Speaking { .. } => gathering.phase = Phase::Speaking { until },
        }
        if text.is_empty() {
            listening.so_far.get_or_insert_default();
            return;
        }
        listening.so_far = Some(text.to_owned());
        self.tell_partial(listening, text.to_owned(), cx);
    }

    fn tell_partial(&self, listening: &mut Listening, text: String, cx: &mut Context) {
        let Some(partial) = &mut listening.partial else {
            return;
        };
        if partial.asked.is_some() {
            partial.next = Some(text);
            return;
        }
        let mut params = self.voice_params(cx);
        params.push(("UnstableSpeechResult".to_owned(), text));
        let req = cx.req();
        partial.asked = Some(req);
        let request = FetchRequest {
            url: partial.url.clone(),
            method: partial.method,
            params,
            author: self.author(),
        };
        cx.command(self.sid, Command::Fetch { req, request });
    }

    /// The application was told a partial result; what it said to that means nothing.
    pub(super) fn partial_told(&mut self, answered: Req, cx: &mut Context) {
        let Some(mut gathering) = self.take_gathering() else {
            return;
        };
        if let Some(listening) = &mut gathering.listening
            && let Some(partial) = &mut listening.partial
            && partial.asked == Some(answered)
        {
            partial.asked = None;
            if let Some(text) = partial.next.take() {
                self.tell_partial(listening, text, cx);
            }
        }
        self.put_gathering(gathering);
    }

    fn no_recognizer(&mut self, mut gathering: Box<Gathering>, cx: &mut Context) {
        gathering.listening = None;
        let (code, text) = if gathering.gather.keys {
            let text = "no speech recognizer is configured; only keys are collected";
            (error::GATHER_KEYS_ONLY, text)
        } else {
            let text = "no speech recognizer is configured; there is no input";
            (error::GATHER_NO_RECOGNIZER, text)
        };
        cx.notify(self.about_line(gathering.gather.line), code, text);
        self.goes_on_deaf(gathering, cx);
    }

    fn recognizer_failed(&self, gathering: &Gathering, reason: &str, cx: &mut Context) {
        let text = format!("speech was not recognised: {reason}");
        let about = self.about_line(gathering.gather.line);
        cx.notify(about, error::GATHER_SPEECH_FAILED, &text);
    }

    /// Nothing listens any more: the prompts are heard to their end, and keys are waited for, if there
    /// are to be any.
    fn goes_on_deaf(&mut self, mut gathering: Box<Gathering>, cx: &mut Context) {
        match gathering.phase {
            Phase::Preparing(_) | Phase::Playing { .. } | Phase::Pausing { .. } => {}
            Phase::Waiting { .. } if gathering.gather.keys => {}
            Phase::Speaking { .. } if gathering.gather.keys => {
                gathering.phase = Phase::Waiting {
                    until: cx.now + gathering.timeout(),
                };
            }
            Phase::Waiting { .. } | Phase::Speaking { .. } | Phase::Concluding { .. } => {
                return self.gather_ends(*gathering, "nothing listens", None, cx);
            }
        }
        self.put_gathering(gathering);
    }

    /// The recognizer thinks for too long: what was understood so far counts.
    pub(super) fn thinks_too_long(&mut self, mut gathering: Box<Gathering>, cx: &mut Context) {
        let so_far = gathering.listening.as_mut().and_then(|it| it.so_far.take());
        self.stop_listening(&mut gathering, cx);
        let said = so_far.filter(|text| !text.is_empty()).map(|text| Said {
            text,
            confidence: None,
        });
        if said.is_none() {
            self.recognizer_failed(&gathering, "no result came in time", cx);
        }
        self.gather_ends(*gathering, "no final result came", said, cx);
    }
}
