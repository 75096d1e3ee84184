//! Speech of the parties, and a recognizer that understands every word.
//!
//! A text takes as long as `<Say>` takes for it. Each word is recognised when it ends; an utterance
//! is complete when the silence after it is as long as the verb specifies, which the call itself
//! watches. **Invariant: speech that no verb listens to fails the test.**

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::{Confidence, Event, ListenRequest, Req, SpeechNews};
use model::CallSid;

use super::weather::Random;
use super::{Due, START, Stage};
use crate::expected::seconds;
use crate::scene::{Act, Does, Recognizer};

/// The silence that ends an utterance if the verb leaves that to the recognizer.
const AUTO_SILENCE: Duration = Duration::from_millis(500);

/// The recognitions running on legs.
#[derive(Default)]
pub(super) struct Ears(BTreeMap<CallSid, Vec<Ear>>);

pub(super) struct Ear {
    req: Req,
    /// Whether the recognizer finds the end of the utterance.
    finds_end: bool,
    heard: Vec<String>,
}

/// A word being spoken.
pub(super) struct Word {
    pub(super) call: CallSid,
    /// Who says it: index of the person, and line of the step.
    actor: usize,
    line: usize,
    text: String,
    length: Duration,
    is_first: bool,
}

impl Stage<'_> {
    /// A person says a text; the step ends with its last word.
    pub(super) fn say_aloud(&mut self, actor: usize, call: CallSid, line: usize, text: &str) {
        let mut characters = 0;
        let mut is_first = true;
        for word in text.split_whitespace() {
            // Counts the space before it.
            let before = characters;
            characters += word.chars().count() as u64 + u64::from(!is_first);
            let after = self.speaking_time(characters);
            let since = if is_first {
                Duration::ZERO
            } else {
                self.speaking_time(before)
            };
            let word = Word {
                call,
                actor,
                line,
                text: word.to_owned(),
                length: after.saturating_sub(since),
                is_first,
            };
            self.later(after, Due::Said(word));
            is_first = false;
        }
        self.pauses(actor, self.speaking_time(characters));
    }

    /// How long that many characters take to say.
    pub(super) fn speaking_time(&self, characters: u64) -> Duration {
        let pace = self.scene.pace;
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        pace.fixed
            .saturating_add(pace.per_character.saturating_mul(characters))
    }

    /// A word was said.
    pub(super) fn said(&mut self, word: Word) {
        let recorded = self.records_word(word.call, word.length);
        let Some(ears) = self.ears.0.get_mut(&word.call) else {
            if word.is_first && !recorded {
                let text = format!(
                    "speech went unheard at {}: no <Record>, <ConversationRelay>, <Transcription> or <Gather> with `speech` in its `input` was waiting",
                    seconds(self.now.since(START))
                );
                self.actor_fails(word.actor, word.line, text);
            }
            return;
        };
        let heard = ears.iter_mut().map(|ear| {
            ear.heard.push(word.text.clone());
            let so_far = SpeechNews::Partial(ear.heard.join(" "));
            (ear.req, ear.finds_end, ear.heard.len(), so_far)
        });
        for (req, finds_end, count, news) in heard.collect::<Vec<_>>() {
            if finds_end {
                self.later(AUTO_SILENCE, Due::Hushed(word.call, req, count));
            }
            self.tell_soon(word.call, Event::Speech { req, news });
        }
    }

    /// There has been silence for a while, unless more words came.
    pub(super) fn hushed(&mut self, call: CallSid, req: Req, count: usize) {
        let mut ears = self.ears.0.get(&call).into_iter().flatten();
        if ears.any(|ear| ear.req == req && ear.heard.len() == count) {
            self.end_of_speech(call, req);
        }
    }

    pub(super) fn listen(&mut self, call: CallSid, req: Req, request: &ListenRequest) {
        if self.scene.recognizer == Recognizer::Missing {
            let news = SpeechNews::Unavailable;
            self.tell_soon(call, Event::Speech { req, news });
            return;
        }
        let ear = Ear {
            req,
            finds_end: request.end_silence.is_none(),
            heard: Vec::new(),
        };
        self.ears.0.entry(call).or_default().push(ear);
        if self.scene.recognizer == Recognizer::Hears {
            self.chatters(call);
        }
    }

    /// What the party hears is not recognised; a missing recognizer reports that all the same.
    pub(super) fn overhear(&mut self, call: CallSid, req: Req) {
        if self.scene.recognizer == Recognizer::Missing {
            let news = SpeechNews::Unavailable;
            self.tell_soon(call, Event::Speech { req, news });
        }
    }

    /// Up to three reports in the next seconds.
    fn chatters(&mut self, call: CallSid) {
        let party = self.party(call).to_owned();
        for _ in 0..self.random.below(4) {
            let news = random_news(&mut self.random);
            let after = Duration::from_millis(self.random.below(6_000));
            let does = Does::Understood(news);
            self.later(after, Due::Chance(Act::new(after, &party, does)));
        }
    }

    /// The recognizer reports a word, if it listens.
    pub(super) fn understands(&mut self, call: CallSid, news: SpeechNews) {
        // The one that began last.
        let Some(ear) = self.ears.0.get_mut(&call).and_then(|ears| ears.last_mut()) else {
            return;
        };
        let req = ear.req;
        if let SpeechNews::Partial(so_far) = &news {
            ear.heard = vec![so_far.clone()];
        } else {
            self.stop_listening(call, req);
        }
        self.tell_soon(call, Event::Speech { req, news });
    }

    /// The final result is requested.
    pub(super) fn end_of_speech(&mut self, call: CallSid, req: Req) {
        if self.scene.recognizer == Recognizer::Dreams {
            return;
        }
        let Some(ear) = self.stop_listening(call, req) else {
            return;
        };
        let confidence = match self.scene.recognizer {
            Recognizer::Works(confidence) if !ear.heard.is_empty() => confidence,
            Recognizer::Works(_) | Recognizer::Hears | Recognizer::Dreams | Recognizer::Missing => {
                None
            }
        };
        let news = SpeechNews::Final {
            confidence: confidence.map(Confidence::new),
            text: ear.heard.join(" "),
        };
        self.tell_soon(call, Event::Speech { req, news });
    }

    /// Ends a recognition, returning its listener.
    pub(super) fn stop_listening(&mut self, call: CallSid, req: Req) -> Option<Ear> {
        let ears = self.ears.0.get_mut(&call)?;
        let at = ears.iter().position(|ear| ear.req == req)?;
        let ear = ears.remove(at);
        if ears.is_empty() {
            self.ears.0.remove(&call);
        }
        Some(ear)
    }
}

/// Random recognizer news.
fn random_news(random: &mut Random) -> SpeechNews {
    match random.below(8) {
        0 => SpeechNews::Failed {
            reason: "no voice".to_owned(),
        },
        1 => SpeechNews::Partial(String::new()),
        2 | 3 => SpeechNews::Final {
            text: (*random.pick(&["", "yes", "my number"])).to_owned(),
            confidence: None,
        },
        _ => SpeechNews::Partial((*random.pick(&["y", "yes", "my"])).to_owned()),
    }
}
