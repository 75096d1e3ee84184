//! Conversations step by step: what is prepared, played and reported, and when.

use super::*;

/// A conversation whose every character takes 10 ms, and what it wanted so far.
struct Stage {
    conversation: Conversation,
    now: Timestamp,
    playing: Option<PieceId>,
    log: Vec<String>,
}

impl Stage {
    fn new(change: impl FnOnce(&mut ConversationRelay)) -> Self {
        let mut relay = ConversationRelay::new("ws://app");
        change(&mut relay);
        Self {
            conversation: Conversation::new(&relay),
            now: Timestamp::from_millis(0),
            playing: None,
            log: Vec::new(),
        }
    }

    /// Carries out what the conversation wants; synthesis takes no time.
    fn carry_out(&mut self) -> String {
        while let Some(output) = self.conversation.poll_output() {
            match output {
                Output::Speak {
                    piece,
                    text,
                    language,
                    voice,
                } => {
                    let length = Duration::from_millis(10 * text.len() as u64);
                    let voice = voice.as_str();
                    self.log.push(format!("speak {text} ({language} {voice})"));
                    let clip = Clip { id: 0, length };
                    self.conversation.ready(piece, clip, self.now);
                }
                Output::Load { piece, url } => {
                    self.log.push(format!("load {url}"));
                    self.conversation.failed(piece, self.now);
                }
                Output::Play { piece, clip, .. } => {
                    self.playing = Some(piece);
                    self.log.push(format!("play {}", clip.length.as_millis()));
                }
                Output::Press { piece, digits } => {
                    self.playing = Some(piece);
                    self.log.push(format!("press {digits}"));
                }
                Output::Silence => self.log.push("silence".to_owned()),
                Output::Send(ToAgent::Interrupt { utterance, after }) => {
                    let after = after.as_millis();
                    self.log.push(format!("interrupt [{utterance}] {after}"));
                }
                Output::Send(ToAgent::Prompt { text, last, .. }) => {
                    self.log.push(format!("prompt {text} {last}"));
                }
                Output::Send(ToAgent::Dtmf { digit }) => self.log.push(format!("key {digit}")),
                Output::Send(ToAgent::Speaking { who, on, .. }) => {
                    self.log.push(format!("{who:?} {on}"));
                }
                Output::Send(ToAgent::Played { text }) => self.log.push(format!("played {text}")),
                Output::Send(other) => panic!("{other:?}"),
            }
        }
        std::mem::take(&mut self.log).join(", ")
    }

    fn text(&mut self, token: &str, last: bool) -> String {
        let text = AgentText {
            token: token.to_owned(),
            last,
            ..AgentText::default()
        };
        self.conversation.say(text, self.now).expect("room");
        self.carry_out()
    }

    /// Time passes, and what plays does not end.
    fn pass(&mut self, ms: u64) -> String {
        self.now = self.now + Duration::from_millis(ms);
        self.conversation.handle_timeout(self.now);
        self.carry_out()
    }

    /// Time passes, and what plays ends.
    fn end(&mut self, ms: u64) -> String {
        self.now = self.now + Duration::from_millis(ms);
        let piece = self.playing.take().expect("something plays");
        self.conversation.played(piece, self.now);
        self.carry_out()
    }

    fn hear(&mut self, text: &str, last: bool) -> String {
        self.conversation.understood(text, last, self.now);
        self.carry_out()
    }

    fn key(&mut self, key: char) -> String {
        self.conversation.key(key, self.now);
        self.carry_out()
    }
}

#[test]
fn sentences_are_prepared_while_the_first_one_plays() {
    let mut stage = Stage::new(|_| ());
    assert_eq!(stage.text("Hello th", false), "");
    assert_eq!(
        stage.text("ere. How ", false),
        "speak Hello there. (en-US man), play 120"
    );
    assert_eq!(
        stage.text("are you? I am fine. You are too. Yes.", true),
        "speak How are you? (en-US man), speak I am fine. (en-US man)"
    );
    assert_eq!(stage.end(120), "speak You are too. (en-US man), play 120");
    assert_eq!(stage.end(120), "speak Yes. (en-US man), play 100");
    assert_eq!(stage.end(100), "play 120");
    assert_eq!(stage.end(120), "play 40");
    assert_eq!(stage.end(40), "");
}

#[test]
fn an_interruption_counts_the_words_that_were_played() {
    let mut stage = Stage::new(|_| ());
    stage.text("One two three. Four five six. Seven.", true);
    stage.end(140);
    assert_eq!(stage.pass(100), "");
    // Of the second sentence, which lasts 140 ms, ten characters: two words.
    assert_eq!(
        stage.hear("hm", false),
        "silence, interrupt [One two three. Four five] 240"
    );
    assert_eq!(stage.hear("hm", false), "");
    assert_eq!(stage.hear("hm hm", true), "prompt hm hm true");
    // What belongs to the next answer is counted anew.
    stage.text("Eight nine.", true);
    stage.pass(50);
    assert_eq!(stage.hear("", false), "silence, interrupt [Eight] 50");
    // If nothing of an answer was heard, it is empty.
    stage.text("Ten.", true);
    assert_eq!(stage.hear("", false), "silence, interrupt [] 0");
    assert_eq!(stage.hear("x", false), "");
}

#[test]
fn what_was_on_its_way_at_an_interruption_is_dropped() {
    let interrupted = || {
        let mut stage = Stage::new(|relay| relay.keys = true);
        stage.text("One two three. Fo", false);
        stage.pass(30);
        assert_eq!(stage.hear("", false), "silence, interrupt [One] 30");
        stage
    };
    // Until the end of the answer.
    let mut stage = interrupted();
    assert_eq!(stage.text("ur five six. Se", false), "");
    assert_eq!(stage.text("ven.", true), "");
    assert_eq!(stage.text("Yes?", true), "speak Yes? (en-US man), play 40");
    // Until the server was asked something.
    let mut stage = interrupted();
    assert_eq!(stage.hear("no", true), "prompt no true");
    assert_eq!(stage.text("Yes?", true), "speak Yes? (en-US man), play 40");
    let mut stage = interrupted();
    assert_eq!(stage.key('1'), "key 1");
    assert_eq!(stage.text("Yes?", true), "speak Yes? (en-US man), play 40");
    // Not for long; what comes then is heard as another answer.
    let mut stage = interrupted();
    stage.pass(500);
    assert_eq!(stage.text("Yes?", true), "speak Yes? (en-US man), play 40");
    stage.pass(40);
    assert_eq!(stage.hear("", false), "silence, interrupt [Yes?] 40");
    // Another end of a complete answer means nothing.
    let mut stage = Stage::new(|relay| relay.preemptible = true);
    stage.text("One two three.", true);
    assert_eq!(stage.text("", true), "");
}

#[test]
fn what_interrupts_and_what_is_reported() {
    let all = [Inputs::None, Inputs::Dtmf, Inputs::Speech, Inputs::Any];
    for interruptible in all {
        for reported in all {
            let mut stage = Stage::new(|relay| {
                relay.interruptible = interruptible;
                relay.reported = reported;
                relay.keys = true;
            });
            let what = format!("{interruptible:?} {reported:?}");
            stage.text("One two three.", true);
            let expected = match (interruptible.has_speech(), reported.has_speech()) {
                (true, _) => "silence, interrupt [] 0, prompt a true",
                (false, true) => "prompt a true",
                (false, false) => "",
            };
            assert_eq!(stage.hear("a", true), expected, "{what}");
            let mut stage = Stage::new(|relay| {
                relay.interruptible = interruptible;
                relay.reported = reported;
                relay.keys = true;
            });
            stage.text("One two three.", true);
            let expected = match (interruptible.has_keys(), reported.has_keys()) {
                (true, _) => "silence, interrupt [] 0, key 1",
                (false, true) => "key 1",
                (false, false) => "",
            };
            assert_eq!(stage.key('1'), expected, "{what}");
        }
    }
    let mut stage = Stage::new(|_| ());
    stage.text("One two three.", true);
    assert_eq!(stage.key('1'), "", "keys are not wanted");
}

#[test]
fn what_cannot_be_interrupted_stays() {
    let mut stage = Stage::new(|relay| relay.partial_prompts = true);
    stage.text("One two three.", true);
    let must = AgentText {
        token: "This must be heard.".to_owned(),
        last: true,
        manner: AgentManner {
            interruptible: Some(Inputs::None),
            preemptible: None,
        },
        ..AgentText::default()
    };
    stage.conversation.say(must, stage.now).expect("room");
    stage.carry_out();
    stage.pass(40);
    assert_eq!(
        stage.hear("a", false),
        "silence, interrupt [One] 40, play 190"
    );
    assert_eq!(stage.hear("a b", false), "");
    stage.end(190);
    assert_eq!(stage.hear("c", false), "prompt c false");
}

#[test]
fn a_later_answer_replaces_what_may_be_replaced() {
    let mut stage = Stage::new(|relay| relay.preemptible = true);
    stage.text("One two three. Four five six.", true);
    assert_eq!(
        stage.text("Other text.", true),
        "silence, speak Other text. (en-US man), play 110"
    );
    // More of the same answer replaces nothing.
    let mut stage = Stage::new(|relay| relay.preemptible = true);
    stage.text("One two three. Fo", false);
    assert_eq!(stage.text("ur.", true), "speak Four. (en-US man)");
}

#[test]
fn an_incomplete_sentence_is_spoken_if_no_more_comes() {
    let mut stage = Stage::new(|_| ());
    assert_eq!(stage.text("One two", false), "");
    assert_eq!(stage.conversation.poll_timeout(), Some(stage.now + STALLED));
    assert_eq!(stage.pass(699), "");
    assert_eq!(stage.pass(1), "speak One two (en-US man), play 70");
    // Not while something else is left to say.
    stage.text(" three", false);
    assert_eq!(stage.conversation.poll_timeout(), None);
    assert_eq!(stage.end(70), "");
    assert_eq!(stage.pass(700), "speak three (en-US man), play 50");
}

#[test]
fn languages_voices_sounds_and_keys_are_in_order() {
    let mut stage = Stage::new(|relay| {
        relay.languages = vec![("de-DE".to_owned(), Voice::Woman)];
    });
    let now = stage.now;
    stage.text("Press", false);
    stage
        .conversation
        .press("12".to_owned(), now)
        .expect("room");
    let sound = ("http://app/a".to_owned(), None);
    let manner = AgentManner::default();
    stage.conversation.play(sound, manner, now).expect("room");
    stage
        .conversation
        .speak_in(Some("de-DE".to_owned()), None, stage.now);
    stage.text("Danke", true);
    stage.log.insert(0, "-".to_owned());
    assert_eq!(stage.end(50), "-, press 12");
    // The sound could not be loaded.
    assert_eq!(stage.end(400), "play 50");
    assert_eq!(stage.end(50), "");
    // The words for the log, in the order in which they were prepared.
    let mut stage = Stage::new(|relay| {
        relay.languages = vec![("de-DE".to_owned(), Voice::Woman)];
    });
    stage
        .conversation
        .speak_in(Some("de-DE".to_owned()), None, stage.now);
    assert_eq!(
        stage.text("Danke", true),
        "speak Danke (de-DE woman), play 50"
    );
    let text = AgentText {
        token: "Merci".to_owned(),
        last: true,
        language: Some("fr-FR".to_owned()),
        ..AgentText::default()
    };
    stage.conversation.say(text, stage.now).expect("room");
    assert_eq!(stage.carry_out(), "speak Merci (fr-FR man)");
}

#[test]
fn the_server_learns_who_speaks_and_what_was_played() {
    let mut stage = Stage::new(|relay| {
        relay.events.speakers = true;
        relay.events.tokens = true;
        relay.keys = true;
    });
    assert_eq!(
        stage.text("One two. Three four.", true),
        "speak One two. (en-US man), speak Three four. (en-US man), play 80, Agent true"
    );
    assert_eq!(stage.end(80), "played One two., play 110");
    assert_eq!(stage.end(110), "played Three four., Agent false");
    assert_eq!(stage.hear("a", false), "Client true");
    assert_eq!(stage.hear("a b", true), "Client false, prompt a b true");
    // Of what is interrupted, the words that were heard; keys are not heard as speech.
    let now = stage.now;
    let pressed = stage.conversation.press("12".to_owned(), now);
    assert_eq!(
        (pressed, stage.carry_out()),
        (Ok(()), "press 12".to_owned())
    );
    assert_eq!(stage.end(400), "");
    stage.text("Five six.", true);
    stage.pass(50);
    assert_eq!(
        stage.hear("no", false),
        "Client true, played Five, silence, interrupt [Five] 50, Agent false"
    );
    stage.conversation.is_quiet(stage.now);
    assert_eq!(stage.carry_out(), "Client false");
    // None of it is sent unasked.
    let mut stage = Stage::new(|_| ());
    assert_eq!(stage.text("One.", true), "speak One. (en-US man), play 40");
    assert_eq!((stage.end(40), stage.hear("a", false)), Default::default());
}

#[test]
fn not_too_much_waits() {
    let mut stage = Stage::new(|_| ());
    let text = |token: &str| AgentText {
        token: token.to_owned(),
        last: true,
        ..AgentText::default()
    };
    let long = text(&"word ".repeat(MAX_WAITING / 5));
    assert_eq!(stage.conversation.say(long, stage.now), Ok(()));
    let more = text("more");
    assert_eq!(
        stage.conversation.say(more.clone(), stage.now),
        Err(Overflow)
    );
    stage.carry_out();
    stage.end(4_000);
    assert_eq!(stage.conversation.say(more, stage.now), Ok(()));
    let mut stage = Stage::new(|_| ());
    for _ in 0..MAX_PIECES {
        let pressed = stage.conversation.press("1".to_owned(), stage.now);
        assert_eq!(pressed, Ok(()));
    }
    let pressed = stage.conversation.press("1".to_owned(), stage.now);
    assert_eq!(pressed, Err(Overflow));
}
