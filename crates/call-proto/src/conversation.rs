//! A conversation between the remote party, who speaks and hears, and a server, which reads and writes
//! (`<ConversationRelay>`): what is spoken next, what has been spoken, and what interrupts it.
//!
//! Texts arrive in pieces. They are divided into sentences, and while one is played the next ones are
//! prepared. **Invariant: everything that the server says is played once and in order, unless an
//! interruption, or a later text, drops it; and an interruption is reported with the words that were
//! played by then**, never with those that only waited.
//!
//! Left to others: synthesis, playing and recognition, and the connection (`interpreter::relay`).

mod sentences;

use std::collections::VecDeque;
use std::time::Duration;

use model::Timestamp;
use rcml::{ConversationRelay, Inputs, RelayEvents, Voice};

use crate::event::Clip;
use crate::relay_news::{AgentManner, AgentText, Speaker, ToAgent};
use sentences::{spoken, take_sentence};

/// How many pieces are prepared, including the one that is played.
const PREPARED: usize = 3;
/// How many may be prepared at once, counting those that have been dropped meanwhile: preparing cannot be stopped.
const MOST_ASKED: usize = 6;
/// Without a further piece of text for so long, an incomplete sentence is spoken.
const STALLED: Duration = Duration::from_millis(700);
/// More of an interrupted answer that arrives within this time was on its way, and is dropped.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// Maximum characters that wait to be spoken.
const MAX_WAITING: usize = 50_000;
/// Maximum pieces that wait.
const MAX_PIECES: usize = 500;

/// Number of something to play.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PieceId(u64);

/// What the conversation wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Synthesise a text → [`Conversation::ready`] or [`Conversation::failed`].
    Speak {
        piece: PieceId,
        text: String,
        language: String,
        voice: Voice,
    },
    /// Load a sound → [`Conversation::ready`] or [`Conversation::failed`].
    Load { piece: PieceId, url: String },
    /// Play a clip → [`Conversation::played`].
    Play {
        piece: PieceId,
        clip: Clip,
        times: Option<u32>,
    },
    /// Press keys → [`Conversation::played`].
    Press { piece: PieceId, digits: String },
    /// Stop what is playing; no answer follows.
    Silence,
    /// Send a message to the server.
    Send(ToAgent),
}

/// More waits to be spoken than is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overflow;

/// A conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    terms: Terms,
    /// What is to be played, in order. The first is playing if `playing` is set.
    pieces: VecDeque<Piece>,
    /// When the first piece began.
    playing: Option<Timestamp>,
    /// How many pieces are being prepared.
    asked: usize,
    /// Since when another sound interrupts it.
    halted: Option<Timestamp>,
    /// Text that is not yet a sentence.
    gathered: Option<Gathered>,
    /// Number of the current answer of the server.
    turn: u64,
    /// Whether more text of it follows.
    is_open: bool,
    /// It was interrupted: until this time, more text of it is dropped.
    drops_until: Option<Timestamp>,
    heard: Heard,
    /// Whether something of the server is audible, or the next piece of it follows.
    agent_speaks: bool,
    /// Whether the remote party is speaking.
    client_speaks: bool,
    next: u64,
    outputs: VecDeque<Output>,
}

/// What the document wants.
#[derive(Debug)]
struct Terms {
    interruptible: Inputs,
    preemptible: bool,
    reported: Inputs,
    keys: bool,
    partial: bool,
    events: RelayEvents,
    tts_language: String,
    transcription_language: String,
    voice: Voice,
    voices: Vec<(String, Voice)>,
}

#[derive(Debug)]
struct Piece {
    id: PieceId,
    turn: u64,
    manner: Manner,
    what: What,
    state: State,
}

/// How a piece can be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Manner {
    interruptible: Inputs,
    preemptible: bool,
}

#[derive(Debug)]
enum What {
    Sentence { text: String, language: String },
    Sound { url: String, times: Option<u32> },
    Keys(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Preparing,
    Ready(Clip),
}

#[derive(Debug)]
struct Gathered {
    text: String,
    language: String,
    manner: Manner,
    /// When its latest piece arrived.
    at: Timestamp,
}

/// What the remote party has heard of an answer.
#[derive(Debug, Default)]
struct Heard {
    turn: u64,
    text: String,
    length: Duration,
}

/// A kind of input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    Speech,
    Key,
}

impl Input {
    const fn is_in(self, inputs: Inputs) -> bool {
        match self {
            Self::Speech => inputs.has_speech(),
            Self::Key => inputs.has_keys(),
        }
    }
}

impl Conversation {
    pub(crate) fn new(relay: &ConversationRelay) -> Self {
        let terms = Terms {
            interruptible: relay.interruptible,
            preemptible: relay.preemptible,
            reported: relay.reported,
            keys: relay.keys,
            partial: relay.partial_prompts,
            events: relay.events,
            tts_language: relay.tts_language.clone(),
            transcription_language: relay.transcription_language.clone(),
            voice: relay.voice,
            voices: relay.languages.clone(),
        };
        Self {
            terms,
            pieces: VecDeque::new(),
            playing: None,
            asked: 0,
            halted: None,
            gathered: None,
            turn: 0,
            is_open: false,
            drops_until: None,
            heard: Heard::default(),
            agent_speaks: false,
            client_speaks: false,
            next: 0,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// An incomplete sentence is spoken if no more of it comes, and nothing else is left to say.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let gathered = self.gathered.as_ref()?;
        self.pieces.is_empty().then(|| gathered.at + STALLED)
    }

    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.flush();
            self.proceed(now);
        }
    }

    /// Speaks a greeting.
    pub(crate) fn greet(&mut self, text: String, interruptible: Inputs, now: Timestamp) {
        self.turn += 1;
        let manner = Manner {
            interruptible,
            preemptible: self.terms.preemptible,
        };
        let language = self.terms.tts_language.clone();
        let mut rest = text;
        while let Some(sentence) = take_sentence(&mut rest) {
            self.add_sentence((sentence, language.clone(), manner));
        }
        self.add_sentence((rest, language, manner));
        self.proceed(now);
    }

    /// Speaks a text of the server.
    ///
    /// # Errors
    /// [`Overflow`] if too much is waiting; the text is dropped.
    pub(crate) fn say(&mut self, said: AgentText, now: Timestamp) -> Result<(), Overflow> {
        if self.waiting() + said.token.chars().count() > MAX_WAITING
            || self.pieces.len() >= MAX_PIECES
        {
            return Err(Overflow);
        }
        if self.is_on_its_way(now) {
            self.is_open = !said.last;
            return Ok(());
        }
        if !self.is_open {
            if said.token.trim().is_empty() {
                return Ok(()); // The end of nothing.
            }
            self.begin_turn();
        }
        self.is_open = !said.last;
        let manner = self.manner(said.manner);
        let language = said
            .language
            .unwrap_or_else(|| self.terms.tts_language.clone());
        let fits = |had: &Gathered| had.language == language && had.manner == manner;
        if !self.gathered.as_ref().is_some_and(fits) {
            self.flush();
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered {
            text: String::new(),
            language,
            manner,
            at: now,
        });
        gathered.at = now;
        gathered.text.push_str(&said.token);
        while let Some(sentence) = self.gathered.as_mut().and_then(Gathered::take) {
            self.add_sentence(sentence);
        }
        self.gathered
            .take_if(|gathered| gathered.text.trim().is_empty());
        if said.last {
            self.flush();
        }
        self.proceed(now);
        Ok(())
    }

    /// Plays a sound.
    ///
    /// # Errors
    /// [`Overflow`] if too much is waiting; it is dropped.
    pub(crate) fn play(
        &mut self,
        (url, times): (String, Option<u32>),
        manner: AgentManner,
        now: Timestamp,
    ) -> Result<(), Overflow> {
        self.in_between(What::Sound { url, times }, self.manner(manner), now)
    }

    /// Presses keys.
    ///
    /// # Errors
    /// [`Overflow`] if too much is waiting; they are dropped.
    pub(crate) fn press(&mut self, digits: String, now: Timestamp) -> Result<(), Overflow> {
        let manner = Manner {
            interruptible: Inputs::None,
            preemptible: false,
        };
        self.in_between(What::Keys(digits), manner, now)
    }

    /// Uses these languages from now on.
    pub(crate) fn speak_in(
        &mut self,
        tts: Option<String>,
        transcription: Option<String>,
        now: Timestamp,
    ) {
        self.flush();
        if let Some(tts) = tts {
            self.terms.tts_language = tts;
        }
        if let Some(transcription) = transcription {
            self.terms.transcription_language = transcription;
        }
        self.proceed(now);
    }

    /// Another sound interrupts what is playing, or has ended.
    pub(crate) fn halts(&mut self, is_halted: bool, now: Timestamp) {
        let since = self.halted.take();
        if let (Some(since), Some(playing)) = (since, &mut self.playing) {
            *playing = *playing + now.since(since.max(*playing));
        }
        self.halted = is_halted.then_some(now);
    }

    /// The language that the remote party speaks.
    pub(crate) fn transcription_language(&self) -> &str {
        &self.terms.transcription_language
    }

    /// A piece is prepared.
    pub(crate) fn ready(&mut self, id: PieceId, clip: Clip, now: Timestamp) {
        self.asked = self.asked.saturating_sub(1);
        if let Some(piece) = self.pieces.iter_mut().find(|piece| piece.id == id) {
            piece.state = State::Ready(clip);
        }
        self.proceed(now);
    }

    /// A piece cannot be played: it is left out.
    pub(crate) fn failed(&mut self, id: PieceId, now: Timestamp) {
        self.asked = self.asked.saturating_sub(1);
        self.pieces.retain(|piece| piece.id != id);
        self.proceed(now);
    }

    /// A piece has been played to its end.
    pub(crate) fn played(&mut self, id: PieceId, now: Timestamp) {
        if self.playing.is_none() || self.pieces.front().is_none_or(|first| first.id != id) {
            return;
        }
        self.playing = None;
        if let Some(Piece { what, state, .. }) = self.pieces.pop_front() {
            if let What::Sentence { text, .. } = what {
                self.heard.text.push_str(&text);
                self.was_played(text.trim());
            }
            if let State::Ready(clip) = state {
                self.heard.length += clip.length;
            }
        }
        self.proceed(now);
    }

    /// The remote party speaks.
    ///
    /// - `text`: what was understood so far, or of the whole utterance; may be empty
    pub(crate) fn understood(&mut self, text: &str, last: bool, now: Timestamp) {
        self.client_is_speaking(true, now);
        self.interrupt(Input::Speech, now);
        if last {
            self.client_is_speaking(false, now);
        }
        let is_wanted = !text.is_empty() && (last || self.terms.partial);
        if is_wanted && self.reports(Input::Speech) {
            if last {
                self.drops_until = None;
            }
            self.outputs.push_back(Output::Send(ToAgent::Prompt {
                text: text.to_owned(),
                language: self.terms.transcription_language.clone(),
                last,
            }));
        }
        self.proceed(now);
    }

    /// The remote party does not speak, or no longer.
    pub(crate) fn is_quiet(&mut self, now: Timestamp) {
        self.client_is_speaking(false, now);
    }

    /// The remote party pressed a key.
    pub(crate) fn key(&mut self, digit: char, now: Timestamp) {
        if !self.terms.keys {
            return;
        }
        self.interrupt(Input::Key, now);
        if self.reports(Input::Key) {
            self.drops_until = None;
            let message = ToAgent::Dtmf { digit };
            self.outputs.push_back(Output::Send(message));
        }
        self.proceed(now);
    }
}

impl Conversation {
    /// Whether something is being said or about to be.
    fn is_speaking(&self) -> bool {
        !self.pieces.is_empty() || self.gathered.is_some()
    }

    fn reports(&self, input: Input) -> bool {
        !self.is_speaking() || input.is_in(self.terms.reported)
    }

    /// Whether text that arrives now belongs to an answer that has been interrupted, and was sent before the
    /// server could know.
    fn is_on_its_way(&self, now: Timestamp) -> bool {
        self.is_open && self.drops_until.is_some_and(|until| now < until)
    }

    /// Characters that wait.
    fn waiting(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| match &piece.what {
            What::Sentence { text, .. } => text.chars().count(),
            What::Sound { .. } | What::Keys(_) => 0,
        });
        let gathered = self.gathered.iter().map(|it| it.text.chars().count());
        pieces.chain(gathered).sum()
    }

    fn manner(&self, manner: AgentManner) -> Manner {
        Manner {
            interruptible: manner.interruptible.unwrap_or(self.terms.interruptible),
            preemptible: manner.preemptible.unwrap_or(self.terms.preemptible),
        }
    }

    /// Drops what an earlier answer left to say, as far as that may be replaced.
    fn begin_turn(&mut self) {
        self.flush();
        self.turn += 1;
        self.drop_pieces(|piece| piece.manner.preemptible);
    }

    /// Adds something that is not text.
    fn in_between(&mut self, what: What, manner: Manner, now: Timestamp) -> Result<(), Overflow> {
        if self.pieces.len() >= MAX_PIECES {
            return Err(Overflow);
        }
        self.flush();
        self.turn += 1;
        self.add(what, manner);
        self.turn += 1;
        self.proceed(now);
        Ok(())
    }

    fn flush(&mut self) {
        if let Some(gathered) = self.gathered.take() {
            self.add_sentence((gathered.text, gathered.language, gathered.manner));
        }
    }

    fn add_sentence(&mut self, (text, language, manner): (String, String, Manner)) {
        if !text.trim().is_empty() {
            self.add(What::Sentence { text, language }, manner);
        }
    }

    fn add(&mut self, what: What, manner: Manner) {
        self.next += 1;
        self.pieces.push_back(Piece {
            id: PieceId(self.next),
            turn: self.turn,
            manner,
            what,
            state: State::Waiting,
        });
    }

    /// Removes the pieces that satisfy a test, and stops the one that is playing if it is among them.
    fn drop_pieces(&mut self, test: impl Fn(&Piece) -> bool) {
        if self.playing.is_some() && self.pieces.front().is_some_and(&test) {
            self.playing = None;
            self.outputs.push_back(Output::Silence);
        }
        self.pieces.retain(|piece| !test(piece));
    }

    /// Drops what this input may interrupt, and reports it, if what is being said may be interrupted.
    fn interrupt(&mut self, by: Input, now: Timestamp) {
        let first = self.pieces.front().map(|piece| piece.manner);
        let first = first.or(self.gathered.as_ref().map(|gathered| gathered.manner));
        let allows = |manner: Manner| by.is_in(manner.interruptible);
        if !first.is_some_and(allows) {
            return;
        }
        let (message, words) = self.interruption(now);
        self.was_played(words.trim());
        self.drop_pieces(|piece| allows(piece.manner));
        self.gathered.take_if(|gathered| allows(gathered.manner));
        // More of the same answer is heard as another one.
        self.turn += 1;
        self.drops_until = self.is_open.then(|| now + ON_ITS_WAY);
        self.outputs.push_back(Output::Send(message));
    }

    /// What was heard of the current answer, and of its current sentence.
    fn interruption(&self, now: Timestamp) -> (ToAgent, String) {
        let turn = self.pieces.front().map_or(self.turn, |piece| piece.turn);
        let is_same = self.heard.turn == turn;
        let mut text = if is_same {
            self.heard.text.as_str()
        } else {
            ""
        }
        .to_owned();
        let mut length = if is_same {
            self.heard.length
        } else {
            Duration::ZERO
        };
        let mut current = String::new();
        if let (Some(since), Some(piece)) = (self.playing, self.pieces.front()) {
            let played = self.halted.map_or(now, |at| at.max(since)).since(since);
            length += played;
            if let (What::Sentence { text: words, .. }, State::Ready(clip)) =
                (&piece.what, piece.state)
            {
                current.push_str(spoken(words, millis(played), millis(clip.length)));
                text.push_str(&current);
            }
        }
        let message = ToAgent::Interrupt {
            utterance: text.trim().to_owned(),
            after: length,
        };
        (message, current)
    }

    /// Prepares the next pieces, plays the first if nothing is playing, and reports whether the server speaks.
    fn proceed(&mut self, now: Timestamp) {
        self.play_next(now);
        let is_audible = |piece: &Piece| !matches!(piece.what, What::Keys(_));
        let begins = self.playing.is_some() && self.pieces.front().is_some_and(is_audible);
        let speaks = begins || (self.agent_speaks && !self.pieces.is_empty());
        if std::mem::replace(&mut self.agent_speaks, speaks) != speaks {
            self.reports_speaker(Speaker::Agent, speaks, now);
        }
    }

    fn client_is_speaking(&mut self, on: bool, now: Timestamp) {
        if std::mem::replace(&mut self.client_speaks, on) != on {
            self.reports_speaker(Speaker::Client, on, now);
        }
    }

    fn reports_speaker(&mut self, who: Speaker, on: bool, at: Timestamp) {
        if self.terms.events.speakers {
            let message = ToAgent::Speaking { who, on, at };
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn was_played(&mut self, text: &str) {
        if self.terms.events.tokens && !text.is_empty() {
            let text = text.to_owned();
            self.outputs
                .push_back(Output::Send(ToAgent::Played { text }));
        }
    }

    fn play_next(&mut self, now: Timestamp) {
        for piece in self.pieces.iter_mut().take(PREPARED) {
            if piece.state == State::Waiting && self.asked < MOST_ASKED {
                let output = piece.prepare(&self.terms);
                self.asked += usize::from(output.is_some());
                self.outputs.extend(output);
            }
        }
        if self.playing.is_some() {
            return;
        }
        let Some(first) = self.pieces.front() else {
            return;
        };
        let piece = first.id;
        let output = match (&first.what, first.state) {
            (What::Keys(digits), _) => Output::Press {
                piece,
                digits: digits.clone(),
            },
            (What::Sentence { .. }, State::Ready(clip)) => Output::Play {
                piece,
                clip,
                times: Some(1),
            },
            (What::Sound { times, .. }, State::Ready(clip)) => Output::Play {
                piece,
                clip,
                times: *times,
            },
            (_, State::Waiting | State::Preparing) => return,
        };
        if self.heard.turn != first.turn {
            self.heard = Heard {
                turn: first.turn,
                ..Heard::default()
            };
        }
        self.playing = Some(now);
        self.outputs.push_back(output);
    }
}

impl Gathered {
    /// Removes its first complete sentence.
    fn take(&mut self) -> Option<(String, String, Manner)> {
        let sentence = take_sentence(&mut self.text)?;
        Some((sentence, self.language.clone(), self.manner))
    }
}

impl Piece {
    fn prepare(&mut self, terms: &Terms) -> Option<Output> {
        self.state = State::Preparing;
        let piece = self.id;
        match &self.what {
            What::Sentence { text, language } => Some(Output::Speak {
                piece,
                text: text.trim().to_owned(),
                language: language.clone(),
                voice: terms.voice_for(language),
            }),
            What::Sound { url, .. } => Some(Output::Load {
                piece,
                url: url.clone(),
            }),
            What::Keys(_) => None,
        }
    }
}

impl Terms {
    fn voice_for(&self, language: &str) -> Voice {
        let known = self.voices.iter().find(|(code, _)| code == language);
        known.map_or(self.voice, |(_, voice)| *voice)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
