//! Speech recognition: it understands what the script says that it understands.

use std::collections::BTreeMap;

use call_proto::{Event, ListenRequest, Req, SpeechNews};
use model::CallSid;

use super::Act;
use super::random::Random;
use super::stage::{Due, Stage};

/// What stands behind `<Gather input="speech">`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recognizer {
    /// It gives the final result as soon as it is asked for.
    Works,
    /// The same, and the party speaks now and then, by chance.
    Hears,
    /// It never gives one by itself.
    Dreams,
    /// There is none.
    Missing,
}

/// What is listened to, with what was understood so far.
#[derive(Default)]
pub(super) struct Listenings(BTreeMap<CallSid, (Req, String)>);

/// Whether nothing follows on a piece of news.
pub(super) fn is_last(news: &SpeechNews) -> bool {
    !matches!(news, SpeechNews::Partial(_))
}

/// Any news.
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

impl Stage {
    pub(super) fn listen(&mut self, call: CallSid, req: Req, request: ListenRequest) {
        self.run.listened.push(request);
        if self.recognizer() == Recognizer::Missing {
            let news = SpeechNews::Unavailable;
            self.tell_in(0, call, Event::Speech { req, news });
        } else {
            self.listenings.0.insert(call, (req, String::new()));
        }
        if self.recognizer() == Recognizer::Hears {
            self.chatter(call);
        }
    }

    /// Up to three pieces of news in the next seconds.
    fn chatter(&mut self, call: CallSid) {
        let name = self.name(call);
        for _ in 0..self.random.below(4) {
            let news = random_news(&mut self.random);
            let at = self.random.below(6_000);
            self.later(at, Due::Act(Act::Understood(name.clone(), news)));
        }
    }

    pub(super) fn end_of_speech(&mut self, call: CallSid, of: Req) {
        if self.recognizer() == Recognizer::Dreams {
            return;
        }
        if let Some((_, text)) = self
            .listenings
            .0
            .remove(&call)
            .filter(|(req, _)| *req == of)
        {
            let confidence = None;
            let news = SpeechNews::Final { text, confidence };
            self.tell_in(0, call, Event::Speech { req: of, news });
        }
    }

    pub(super) fn stop_listening(&mut self, call: CallSid, of: Req) {
        if self
            .listenings
            .0
            .get(&call)
            .is_some_and(|(req, _)| *req == of)
        {
            self.listenings.0.remove(&call);
        }
    }

    /// The recognizer understands something, if it listens.
    pub(super) fn understands(&mut self, call: CallSid, news: SpeechNews) {
        let Some((req, so_far)) = self.listenings.0.get_mut(&call) else {
            return;
        };
        let req = *req;
        if let SpeechNews::Partial(text) = &news {
            so_far.clone_from(text);
        } else {
            self.listenings.0.remove(&call);
        }
        self.tell_in(0, call, Event::Speech { req, news });
    }
}
