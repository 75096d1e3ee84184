//! Transcriptions of a leg (`<Start><Transcription>`), from the first word to the last.
//!
//! Each track has a recognition of its own, which begins anew after each utterance. **Invariant: a
//! transcription that has started reports its end once**, after all its text. What was understood of an utterance that its end cuts
//! off counts as that utterance.

use std::time::Duration;

use model::record::Callback;
use model::{LiveTranscriptionSid, Timestamp, error};
use rcml::{Track, Transcription};

use crate::callback::CallbackTarget;
use crate::command::{Command, ListenRequest};
use crate::context::{About, Context};
use crate::event::{Confidence, Req, SpeechNews};
use crate::fact::Fact;
use crate::leg::Leg;
use crate::params::Params;
use crate::trace::Lane;

/// Maximum transcriptions of a leg at once.
const MAX_OPEN: usize = 2;
/// Maximum duration of an utterance, from its first word.
const LONGEST_SPEECH: Duration = Duration::from_secs(60);
/// How long a recognizer may take for its result after that.
const LONGEST_THOUGHT: Duration = Duration::from_secs(5);
/// How long a recognizer that has failed, or heard nothing, is left alone.
const RESTS: Duration = Duration::from_secs(1);
/// So many failures in a row end the transcription.
const MAX_FAILURES: u32 = 3;
/// Partial results of a track are at least this far apart, since each is stored until it is delivered.
const BETWEEN_PARTIALS: Duration = Duration::from_millis(500);

/// A transcription in progress.
#[derive(Debug)]
struct OpenTranscription {
    sid: LiveTranscriptionSid,
    terms: Transcription,
    target: CallbackTarget,
    /// Number of its last callback.
    sequence: u32,
    ears: Vec<Ear>,
}

/// The recognition of one track.
#[derive(Debug)]
struct Ear {
    track: Track,
    state: State,
    /// Failures in a row.
    failures: u32,
    /// When a partial result was sent last.
    told_at: Option<Timestamp>,
}

#[derive(Debug)]
enum State {
    Listens {
        req: Req,
        /// When the utterance is ended, or given up if `is_ending`; `None` before any speech.
        until: Option<Timestamp>,
        is_ending: bool,
        so_far: String,
    },
    /// Listens again at this time.
    Rests(Timestamp),
}

/// The transcriptions of a leg.
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    open: Vec<OpenTranscription>,
}

impl Transcripts {
    /// Starts one. False if the leg has too many.
    pub(crate) fn begin(
        &mut self,
        terms: Transcription,
        target: CallbackTarget,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> bool {
        if self.open.len() >= MAX_OPEN {
            return false;
        }
        let tracks: &[Track] = match terms.track {
            Track::Inbound => &[Track::Inbound],
            Track::Outbound => &[Track::Outbound],
            Track::Both => &[Track::Inbound, Track::Outbound],
        };
        let mut open = OpenTranscription {
            sid: cx.transcription_sid(),
            target,
            sequence: 0,
            ears: tracks
                .iter()
                .map(|track| Ear::new(*track, cx.now))
                .collect(),
            terms,
        };
        let params = open.terms_as_params();
        open.report("transcription-started", params, leg, cx);
        for ear in &mut open.ears {
            ear.listen(&open.terms, leg, cx);
        }
        self.open.push(open);
        true
    }

    /// Takes news of a recognition; false if it is not one of these.
    pub(crate) fn speech(
        &mut self,
        of: Req,
        news: &SpeechNews,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> bool {
        let has_it = |open: &OpenTranscription| open.ears.iter().any(|ear| ear.is(of));
        let Some(at) = self.open.iter().position(has_it) else {
            return false;
        };
        if let Some(open) = self.open.get_mut(at)
            && let Some((code, text)) = open.hears(of, news, leg, cx)
        {
            let mut open = self.open.remove(at);
            open.fails(code, &text, leg, cx);
        }
        true
    }

    /// When one of them has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let ears = self.open.iter().flat_map(|open| &open.ears);
        ears.filter_map(Ear::due).min()
    }

    pub(crate) fn handle_timeout(&mut self, leg: &mut Leg, cx: &mut Context) {
        for open in &mut self.open {
            open.handle_timeout(leg, cx);
        }
    }

    /// Ends those with this name; false if there is none.
    pub(crate) fn stop_named(&mut self, name: &str, leg: &mut Leg, cx: &mut Context) -> bool {
        let is_named = |open: &mut OpenTranscription| open.terms.name.as_deref() == Some(name);
        let named: Vec<_> = self.open.extract_if(.., is_named).collect();
        let found = !named.is_empty();
        for mut open in named {
            open.stops(leg, cx);
        }
        found
    }

    /// Ends all: the call has ended.
    pub(crate) fn stop_all(&mut self, leg: &mut Leg, cx: &mut Context) {
        for mut open in std::mem::take(&mut self.open) {
            open.stops(leg, cx);
        }
    }
}

impl OpenTranscription {
    /// Takes news of one of its recognitions; returns why the transcription cannot continue.
    fn hears(
        &mut self,
        of: Req,
        news: &SpeechNews,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<(u16, String)> {
        let ear = self.ears.iter_mut().find(|ear| ear.is(of))?;
        let State::Listens { until, so_far, .. } = &mut ear.state else {
            return None;
        };
        match news {
            SpeechNews::Partial(text) => {
                until.get_or_insert(cx.now + LONGEST_SPEECH);
                let text = text.trim();
                if *so_far == text {
                    return None;
                }
                text.clone_into(so_far);
                let is_soon = |at: Timestamp| cx.now < at + BETWEEN_PARTIALS;
                if self.terms.partial_results && !ear.told_at.is_some_and(is_soon) {
                    ear.told_at = Some(cx.now);
                    let (track, text) = (ear.track, text.to_owned());
                    self.understood(track, &text, None, false, leg, cx);
                }
                None
            }
            SpeechNews::Final { text, confidence } => {
                ear.failures = 0;
                let (track, text) = (ear.track, text.trim().to_owned());
                if text.is_empty() {
                    // A recognizer that ends by itself without speech may do so at once, again and again.
                    ear.state = State::Rests(cx.now + RESTS);
                    return None;
                }
                ear.listen(&self.terms, leg, cx);
                self.understood(track, &text, *confidence, true, leg, cx);
                None
            }
            SpeechNews::Unavailable => {
                ear.state = State::Rests(cx.now + RESTS);
                let text = "no speech recognizer is configured".to_owned();
                Some((error::TRANSCRIPTION_NO_RECOGNIZER, text))
            }
            SpeechNews::Failed { reason } => {
                ear.state = State::Rests(cx.now + RESTS);
                ear.failures += 1;
                let text = format!("speech was not recognized: {reason}");
                (ear.failures >= MAX_FAILURES).then_some((error::TRANSCRIPTION_FAILED, text))
            }
        }
    }

    fn handle_timeout(&mut self, leg: &mut Leg, cx: &mut Context) {
        for at in 0..self.ears.len() {
            let Some(ear) = self.ears.get_mut(at) else {
                continue;
            };
            if ear.due().is_none_or(|due| due > cx.now) {
                continue;
            }
            let cut_off = match &mut ear.state {
                State::Rests(_) => None,
                State::Listens {
                    req,
                    until,
                    is_ending: is_ending @ false,
                    ..
                } => {
                    *is_ending = true;
                    *until = Some(cx.now + LONGEST_THOUGHT);
                    let req = *req;
                    cx.command(leg.profile.sid, Command::EndOfSpeech { req });
                    continue;
                }
                State::Listens { .. } => ear.stop(leg, cx),
            };
            let track = ear.track;
            ear.listen(&self.terms, leg, cx);
            if let Some(text) = cut_off {
                self.understood(track, &text, None, true, leg, cx);
            }
        }
    }

    fn stops(&mut self, leg: &mut Leg, cx: &mut Context) {
        self.fall_silent(leg, cx);
        self.report("transcription-stopped", Params::new(), leg, cx);
    }

    fn fails(&mut self, code: u16, text: &str, leg: &mut Leg, cx: &mut Context) {
        self.fall_silent(leg, cx);
        let about = About {
            line: (self.terms.line > 0).then_some(self.terms.line),
            ..leg.profile.about(None)
        };
        cx.notify(about, code, text);
        let params = vec![
            ("TranscriptionErrorCode".to_owned(), code.to_string()),
            ("TranscriptionError".to_owned(), text.to_owned()),
        ];
        self.report("transcription-error", params, leg, cx);
    }

    /// Ends its recognitions, and reports what they have understood so far.
    fn fall_silent(&mut self, leg: &mut Leg, cx: &mut Context) {
        for mut ear in std::mem::take(&mut self.ears) {
            if let Some(text) = ear.stop(leg, cx) {
                self.understood(ear.track, &text, None, true, leg, cx);
            }
        }
    }

    fn understood(
        &mut self,
        track: Track,
        text: &str,
        confidence: Option<Confidence>,
        is_final: bool,
        leg: &mut Leg,
        cx: &mut Context,
    ) {
        let mut data = format!("{{\"transcript\":{}", serde_json::Value::from(text));
        if let Some(confidence) = confidence {
            data.push_str(&format!(",\"confidence\":{confidence}"));
        }
        data.push('}');
        let params = [
            ("LanguageCode", self.terms.language.clone()),
            ("Track", track.as_str().to_owned()),
            ("TranscriptionData", data),
            ("Final", is_final.to_string()),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value));
        self.report("transcription-content", params.into(), leg, cx);
    }

    fn terms_as_params(&self) -> Params {
        let terms = &self.terms;
        let mut params = vec![
            ("Track".to_owned(), terms.track.as_str().to_owned()),
            ("LanguageCode".to_owned(), terms.language.clone()),
            (
                "PartialResults".to_owned(),
                terms.partial_results.to_string(),
            ),
        ];
        let labels = [
            ("InboundTrackLabel", &terms.labels.0),
            ("OutboundTrackLabel", &terms.labels.1),
        ];
        let given = labels
            .into_iter()
            .filter_map(|(name, label)| Some((name.to_owned(), label.clone()?)));
        params.extend(given);
        params
    }

    fn report(&mut self, event: &str, params: Params, leg: &mut Leg, cx: &mut Context) {
        self.sequence += 1;
        let detail = format!("{} {event}", self.sid);
        cx.trace(leg.profile.sid, Lane::Media, "transcription", &detail);
        let profile = &leg.profile;
        let mut all = vec![
            ("AccountSid".to_owned(), profile.account.to_string()),
            ("CallSid".to_owned(), profile.sid.to_string()),
            ("TranscriptionSid".to_owned(), self.sid.to_string()),
        ];
        let name = self.terms.name.clone();
        all.extend(name.map(|name| ("Name".to_owned(), name)));
        all.push(("TranscriptionEvent".to_owned(), event.to_owned()));
        all.push(("SequenceId".to_owned(), self.sequence.to_string()));
        all.push(("Timestamp".to_owned(), cx.now.iso8601()));
        all.extend(params);
        let callback = Callback {
            event: cx.event_sid(),
            account: profile.account,
            author: self.target.author,
            lane: profile.sid.into(),
            call: Some(profile.sid),
            sequence: leg.reporter.next_number(),
            url: self.target.url.clone(),
            method: self.target.method,
            params: all,
            created: cx.now,
        };
        cx.fact(Fact::Callback(callback));
    }
}

impl Ear {
    fn new(track: Track, now: Timestamp) -> Self {
        Self {
            track,
            state: State::Rests(now),
            failures: 0,
            told_at: None,
        }
    }

    /// Whether it is this recognition.
    fn is(&self, of: Req) -> bool {
        matches!(self.state, State::Listens { req, .. } if req == of)
    }

    const fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Listens { until, .. } => until,
            State::Rests(until) => Some(until),
        }
    }

    /// Listens to the next utterance.
    fn listen(&mut self, terms: &Transcription, leg: &Leg, cx: &mut Context) {
        let req = cx.req();
        let request = ListenRequest {
            language: terms.language.clone(),
            hints: terms.hints.clone(),
            end_silence: None,
        };
        let command = match self.track {
            Track::Outbound => Command::Overhear { req, request },
            Track::Inbound | Track::Both => Command::Listen { req, request },
        };
        cx.command(leg.profile.sid, command);
        self.state = State::Listens {
            req,
            until: None,
            is_ending: false,
            so_far: String::new(),
        };
    }

    /// Stops listening; returns what was understood of an utterance that this cuts off.
    fn stop(&mut self, leg: &Leg, cx: &mut Context) -> Option<String> {
        let state = std::mem::replace(&mut self.state, State::Rests(cx.now + RESTS));
        let State::Listens { req, so_far, .. } = state else {
            return None;
        };
        cx.command(leg.profile.sid, Command::StopListening { req });
        Some(so_far).filter(|text| !text.is_empty())
    }
}
