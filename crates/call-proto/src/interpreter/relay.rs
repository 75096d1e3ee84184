//! `<ConversationRelay>` inside `<Connect>`: carries out what a [`Conversation`] decides: connects it to
//! its server, to speech synthesis and the player, and to the recognizer, which listens all the time.
//!
//! **Invariant: a conversation ends once, with one entry in the trace: by the server, with the leg, by a
//! failure, or because another document takes over**; its connection, play-out and recognition end with
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::address::redacted;
use model::{HttpMethod, SessionSid, Timestamp, error};
use rcml::{ConversationRelay, Speech};

use super::verb::{Running, Site, Step};
use crate::command::{Command, ListenRequest, MediaCommand, Sound};
use crate::context::Context;
use crate::conversation::{Conversation, Output, Overflow, PieceId};
use crate::event::{AudioFailure, Clip, PlayId, Req, SpeechNews};
use crate::fact::Reason;
use crate::params::Params;
use crate::relay_news::{FromAgent, RelayNews, RelayRequest, RelaySetup, ToAgent};
use crate::trace::Lane;

/// Maximum duration of speech, from its first word.
const LONGEST_SPEECH: Duration = Duration::from_secs(60);
/// How long a recognizer may take for its result after that.
const LONGEST_THOUGHT: Duration = Duration::from_secs(5);
/// How long a recognizer that has failed, or heard nothing, is left alone.
const RESTS: Duration = Duration::from_secs(1);
/// So many failures in a row end the conversation.
const MAX_FAILURES: u32 = 3;

/// Maximum texts and sounds that cannot be played of which the owner of the account is notified; the server
/// learns of each.
const MAX_NOTIFIED: u32 = 10;

/// A running conversation.
struct Relaying {
    relay: ConversationRelay,
    sid: SessionSid,
    req: Req,
    /// When the server accepted the connection.
    since: Option<Timestamp>,
    conversation: Conversation,
    /// The texts and sounds that are being prepared.
    asked: BTreeMap<Req, Asked>,
    playing: Option<(PlayId, PieceId)>,
    ear: Ear,
    /// Texts that could not be spoken, since one was; `None`: none has been spoken yet.
    unspoken: Option<u32>,
    counts: Counts,
    action: Option<(String, HttpMethod)>,
}

/// A request for audio.
#[derive(Clone, Copy)]
struct Asked {
    piece: PieceId,
    is_text: bool,
}

/// The recognition.
enum Ear {
    /// Not yet, or not for now: until this time.
    Rests(Option<Timestamp>),
    Listens {
        req: Req,
        /// When it must end: set by the first word.
        latest: Option<Timestamp>,
        /// When it ends unless more is said; never after `latest`.
        until: Option<Timestamp>,
        /// Whether its end was requested.
        is_ending: bool,
        so_far: String,
    },
}

#[derive(Default)]
struct Counts {
    prompts: u32,
    interrupts: u32,
    /// Failures of the recognizer in a row.
    deaf: u32,
    strange: u32,
    first_strange: Option<String>,
    dropped: u32,
    notified: u32,
}

/// How a conversation ends.
enum End {
    /// The server ended it, with this for the action.
    Ended(Option<String>),
    /// The leg ended.
    Completed,
    /// Another document takes over.
    Moved,
    /// For this reason.
    Failed(u16, String),
}

/// Begins a conversation.
///
/// - `action`: requested at its end.
pub(super) fn start(
    relay: ConversationRelay,
    action: Option<(String, HttpMethod)>,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let sid = cx.session_sid();
    let Some(url) = site.stream_address(&relay.url, cx) else {
        let text = "the address of the conversation is not valid".to_owned();
        let failed = End::Failed(error::BAD_URI, text);
        return follow(action, &failed, (sid, 0), site, cx);
    };
    let author = site.author();
    let request = RelayRequest {
        session: sid,
        author,
        url,
    };
    let req = site.relays.open(request, site.leg.profile.sid, cx);
    if relay.keys {
        site.leg.listen_to_keys(true, cx);
    }
    Step::Run(Box::new(Relaying {
        conversation: Conversation::new(&relay),
        relay,
        sid,
        req,
        since: None,
        asked: BTreeMap::new(),
        playing: None,
        ear: Ear::Rests(None),
        unspoken: None,
        counts: Counts::default(),
        action,
    }))
}

impl Running for Relaying {
    fn poll_timeout(&self) -> Option<Timestamp> {
        let ear = match &self.ear {
            Ear::Rests(until) => *until,
            Ear::Listens { until, .. } => *until,
        };
        let timeouts = [ear, self.conversation.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.conversation.handle_timeout(cx.now);
        self.ear_is_due(site, cx);
        self.carry_out(site, cx)
    }

    fn audio(
        &mut self,
        answered: Req,
        result: &Result<Clip, AudioFailure>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let Some(Asked { piece, is_text }) = self.asked.remove(&answered) else {
            return Step::Wait;
        };
        match result {
            Ok(clip) => {
                if is_text {
                    self.unspoken = Some(0);
                }
                self.conversation.ready(piece, *clip, cx.now);
            }
            Err(failure) => {
                self.conversation.failed(piece, cx.now);
                if is_text {
                    let count = self.unspoken.map_or(MAX_FAILURES, |count| count + 1);
                    if count >= MAX_FAILURES {
                        let (code, text) = (failure.code, failure.text.clone());
                        return self.ends(&End::Failed(code, text), site, cx);
                    }
                    self.unspoken = Some(count);
                }
                self.cannot_play(failure.code, failure.text.clone(), site, cx);
            }
        }
        self.carry_out(site, cx)
    }

    fn played(&mut self, done: PlayId, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if let Some((_, piece)) = self.playing.take_if(|(play, _)| *play == done) {
            self.conversation.played(piece, cx.now);
        }
        self.carry_out(site, cx)
    }

    fn key(&mut self, key: char, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.since.is_some() {
            self.conversation.key(key, cx.now);
        }
        self.carry_out(site, cx)
    }

    fn speech(
        &mut self,
        of: Req,
        news: &SpeechNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let silence = self.end_silence();
        let Ear::Listens {
            req,
            latest,
            until,
            is_ending,
            so_far,
        } = &mut self.ear
        else {
            return Step::Wait;
        };
        if *req != of {
            return Step::Wait;
        }
        match news {
            SpeechNews::Partial(text) => {
                let latest = *latest.get_or_insert(cx.now + LONGEST_SPEECH);
                if !*is_ending {
                    *until = Some(silence.map_or(latest, |silence| latest.min(cx.now + silence)));
                }
                text.trim().clone_into(so_far);
                self.conversation.understood(text.trim(), false, cx.now);
            }
            SpeechNews::Final { text, .. } => self.concludes(text.trim(), site, cx),
            SpeechNews::Unavailable => {
                self.ear = Ear::Rests(None);
                let text = "no speech recognizer is configured".to_owned();
                let failed = End::Failed(error::RELAY_NO_RECOGNIZER, text);
                return self.ends(&failed, site, cx);
            }
            SpeechNews::Failed { reason } => {
                self.ear = Ear::Rests(Some(cx.now + RESTS));
                self.conversation.is_quiet(cx.now);
                let text = format!("speech was not recognized: {reason}");
                self.counts.deaf += 1;
                if self.counts.deaf >= MAX_FAILURES {
                    let failed = End::Failed(error::RELAY_SPEECH_FAILED, text);
                    return self.ends(&failed, site, cx);
                }
                self.complain(text, site, cx);
            }
        }
        self.carry_out(site, cx)
    }

    fn relay_news(
        &mut self,
        of: Req,
        news: &RelayNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if of != self.req {
            return Step::Wait;
        }
        match news {
            RelayNews::Connected => self.begins(site, cx),
            RelayNews::Message(FromAgent::End { handoff }) => {
                return self.ends(&End::Ended(handoff.clone()), site, cx);
            }
            RelayNews::Message(message) => self.told(message.clone(), site, cx),
            RelayNews::Strange(fault) => self.strange(fault, site, cx),
            RelayNews::Over(why) => {
                let why = why.clone();
                let text = why.unwrap_or_else(|| "the server closed the connection".to_owned());
                let code = match self.since {
                    Some(_) => error::RELAY_LOST,
                    None => error::RELAY_UNREACHABLE,
                };
                return self.ends(&End::Failed(code, text), site, cx);
            }
        }
        self.carry_out(site, cx)
    }

    fn interrupted(&mut self, on: bool, cx: &mut Context) -> Step {
        self.conversation.halts(on, cx.now);
        Step::Wait
    }

    fn leg_is_over(&mut self, _reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.playing = None;
        self.ends(&End::Completed, site, cx)
    }

    fn playing(&self) -> Option<PlayId> {
        self.playing.map(|(play, _)| play)
    }

    fn takes_keys(&self) -> bool {
        self.relay.keys
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.playing = None;
        self.leaves(&End::Moved, site, cx);
    }
}

impl Relaying {
    /// The server has accepted the connection.
    fn begins(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.since = Some(cx.now);
        let setup = self.setup(site, cx);
        self.send(ToAgent::Setup(Box::new(setup)), site, cx);
        if let Some(text) = self.relay.greeting.take() {
            let inputs = self.relay.greeting_interruptible;
            self.conversation.greet(text, inputs, cx.now);
        }
        self.listen(site, cx);
    }

    fn setup(&self, site: &Site<'_>, cx: &Context) -> RelaySetup {
        let params = site.voice_params(cx);
        let param = |name: &str| {
            let found = params.iter().find(|(known, _)| known == name);
            found.map_or_else(String::new, |(_, value)| value.clone())
        };
        let profile = &site.leg.profile;
        RelaySetup {
            session: self.sid,
            account: profile.account,
            call: profile.sid,
            parent: profile.parent,
            from: profile.from.clone(),
            to: profile.to.clone(),
            forwarded_from: profile.forwarded_from.clone(),
            caller_name: profile.caller_name.clone(),
            direction: param("Direction"),
            status: param("CallStatus"),
            parameters: self.relay.parameters.clone(),
        }
    }

    /// Handles a message of the server.
    fn told(&mut self, message: FromAgent, site: &mut Site<'_>, cx: &mut Context) {
        let message = match with_tags(message) {
            Ok(message) => message,
            Err(fault) => return self.strange(&fault, site, cx),
        };
        let now = cx.now;
        let done = match message {
            FromAgent::Text(text) => self.conversation.say(text, now),
            FromAgent::Play {
                source,
                times,
                manner,
            } => match site.run.resolve(&source) {
                Some(url) => self.conversation.play((url, times), manner, now),
                None => {
                    let source = redacted(&source);
                    let text =
                        format!("the source `{source}` of `play` is not a valid http address");
                    return self.cannot_play(error::BAD_URI, text, site, cx);
                }
            },
            FromAgent::SendDigits { digits } => self.conversation.press(digits, now),
            FromAgent::Language { tts, transcription } => {
                let relistens = transcription.is_some();
                self.conversation.speak_in(tts, transcription, cx.now);
                if relistens {
                    self.stop_listening(site, cx);
                    self.conversation.is_quiet(cx.now);
                    self.listen(site, cx);
                }
                Ok(())
            }
            // It was handled before.
            FromAgent::End { .. } => Ok(()),
        };
        if done == Err(Overflow) {
            self.counts.dropped += 1;
            if self.counts.dropped == 1 {
                let text = "too much waits to be spoken; the message was dropped".to_owned();
                self.complain(text, site, cx);
            }
        }
    }

    /// A text cannot be spoken, or a sound cannot be played.
    fn cannot_play(&mut self, code: u16, text: String, site: &Site<'_>, cx: &mut Context) {
        self.counts.notified += 1;
        if self.counts.notified <= MAX_NOTIFIED {
            let text = format!("ConversationRelay: {text}");
            cx.notify(site.about_line(self.relay.line), code, &text);
        }
        self.complain(text, site, cx);
    }

    fn strange(&mut self, fault: &str, site: &mut Site<'_>, cx: &mut Context) {
        self.counts.strange += 1;
        self.counts
            .first_strange
            .get_or_insert_with(|| fault.to_owned());
        let text = format!("Invalid message received: {fault}");
        self.complain(text, site, cx);
    }

    /// Sends an error to the server.
    fn complain(&self, description: String, site: &Site<'_>, cx: &mut Context) {
        self.send(ToAgent::Error { description }, site, cx);
    }

    fn send(&self, message: ToAgent, site: &Site<'_>, cx: &mut Context) {
        site.relays
            .send(self.req, message, site.leg.profile.sid, cx);
    }

    /// Carries out what the conversation decided.
    fn carry_out(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let leg = site.leg.profile.sid;
        while let Some(output) = self.conversation.poll_output() {
            match output {
                Output::Speak {
                    piece,
                    text,
                    language,
                    voice,
                } => {
                    let req = self.asks(piece, true, cx);
                    let speak = Command::Speak {
                        req,
                        text,
                        parts: Vec::new(),
                        voice,
                        language,
                    };
                    cx.command(leg, speak);
                }
                Output::Load { piece, url } => {
                    let req = self.asks(piece, false, cx);
                    let author = site.author();
                    cx.command(leg, Command::Load { req, url, author });
                }
                Output::Play { piece, clip, times } => {
                    let play = site.play(Sound::Clip(clip), times, cx);
                    self.playing = Some((play, piece));
                }
                Output::Press { piece, digits } => {
                    let play = cx.play_id();
                    cx.media(leg, MediaCommand::SendDigits { play, digits });
                    self.playing = Some((play, piece));
                }
                Output::Silence => {
                    let playing = self.playing.take();
                    site.stop(playing.map(|(play, _)| play), cx);
                }
                Output::Send(message) => {
                    match &message {
                        ToAgent::Prompt { last: true, .. } => self.counts.prompts += 1,
                        ToAgent::Interrupt { .. } => self.counts.interrupts += 1,
                        _ => {}
                    }
                    self.send(message, site, cx);
                }
            }
        }
        Step::Wait
    }

    fn asks(&mut self, piece: PieceId, is_text: bool, cx: &mut Context) -> Req {
        let req = cx.req();
        self.asked.insert(req, Asked { piece, is_text });
        req
    }
}

impl Relaying {
    fn listen(&mut self, site: &Site<'_>, cx: &mut Context) {
        let req = cx.req();
        let request = ListenRequest {
            language: self.conversation.transcription_language().to_owned(),
            hints: self.relay.hints.clone(),
            end_silence: self.end_silence(),
        };
        cx.command(site.leg.profile.sid, Command::Listen { req, request });
        self.ear = Ear::Listens {
            req,
            latest: None,
            until: None,
            is_ending: false,
            so_far: String::new(),
        };
    }

    /// How long a silence ends an utterance; `None`: the recognizer decides.
    fn end_silence(&self) -> Option<Duration> {
        let ms = self.relay.speech_timeout_ms?;
        Some(Duration::from_millis(ms.into()))
    }

    fn stop_listening(&mut self, site: &Site<'_>, cx: &mut Context) {
        if let Ear::Listens { req, .. } = self.ear {
            cx.command(site.leg.profile.sid, Command::StopListening { req });
        }
        self.ear = Ear::Rests(None);
    }

    /// An utterance is complete; listens to the next one.
    fn concludes(&mut self, text: &str, site: &Site<'_>, cx: &mut Context) {
        self.counts.deaf = 0;
        if text.is_empty() {
            // A recognizer that ends by itself without speech may do so at once, again and again.
            self.ear = Ear::Rests(Some(cx.now + RESTS));
            self.conversation.is_quiet(cx.now);
            return;
        }
        self.conversation.understood(text, true, cx.now);
        self.listen(site, cx);
    }

    fn ear_is_due(&mut self, site: &Site<'_>, cx: &mut Context) {
        match &mut self.ear {
            Ear::Rests(Some(until)) if *until <= cx.now => self.listen(site, cx),
            Ear::Listens {
                req,
                until: Some(until),
                is_ending,
                so_far,
                ..
            } if *until <= cx.now => {
                if *is_ending {
                    // What was understood so far counts.
                    let text = std::mem::take(so_far);
                    self.stop_listening(site, cx);
                    self.concludes(&text, site, cx);
                } else {
                    *is_ending = true;
                    *until = cx.now + LONGEST_THOUGHT;
                    let req = *req;
                    cx.command(site.leg.profile.sid, Command::EndOfSpeech { req });
                }
            }
            Ear::Rests(_) | Ear::Listens { .. } => {}
        }
    }

    fn ends(&mut self, end: &End, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let seconds = self.leaves(end, site, cx);
        follow(self.action.take(), end, (self.sid, seconds), site, cx)
    }

    /// Ends everything that belongs to the conversation. Returns its duration in seconds.
    fn leaves(&mut self, end: &End, site: &mut Site<'_>, cx: &mut Context) -> u64 {
        let leg = site.leg.profile.sid;
        let playing = self.playing.take();
        site.stop(playing.map(|(play, _)| play), cx);
        self.stop_listening(site, cx);
        if self.relay.keys && !site.leg.is_over() {
            site.leg.listen_to_keys(false, cx);
        }
        site.relays.close(self.req, leg, cx);
        let seconds = self.since.map_or(0, |since| cx.now.since(since).as_secs());
        let detail = format!("{} {}; {}", self.sid, end.words(), self.counts.words());
        cx.trace(leg, Lane::Media, "conversation ended", &detail);
        for (code, text) in self.problems(end) {
            cx.notify(site.about_line(self.relay.line), code, &text);
        }
        seconds
    }

    /// What the owner of the account is notified of.
    fn problems(&self, end: &End) -> Vec<(u16, String)> {
        let mut problems = Vec::new();
        let Counts {
            strange, dropped, ..
        } = self.counts;
        if let End::Failed(code, text) = end {
            problems.push((*code, text.clone()));
        }
        if let Some(first) = &self.counts.first_strange {
            let text = match strange {
                1 => format!("a message was not understood: {first}"),
                _ => format!("{strange} messages were not understood; the first: {first}"),
            };
            problems.push((error::RELAY_MESSAGE, text));
        }
        if dropped > 0 {
            let text = format!("{dropped} messages were dropped: too much waited to be spoken");
            problems.push((error::RELAY_OVERFLOW, text));
        }
        problems
    }
}

/// A message with the BCP-47 tags of its languages.
fn with_tags(mut message: FromAgent) -> Result<FromAgent, String> {
    let languages = match &mut message {
        FromAgent::Text(text) => [text.language.as_mut(), None],
        FromAgent::Language { tts, transcription } => [tts.as_mut(), transcription.as_mut()],
        FromAgent::Play { .. } | FromAgent::SendDigits { .. } | FromAgent::End { .. } => {
            [None, None]
        }
    };
    for language in languages.into_iter().flatten() {
        let Some(tag) = Speech::language_tag(language) else {
            let written: String = language.chars().take(20).collect();
            return Err(format!("the language `{written}`"));
        };
        *language = tag;
    }
    Ok(message)
}

impl End {
    /// For the trace.
    fn words(&self) -> &str {
        match self {
            Self::Ended(_) => "ended by the server",
            Self::Completed => "the call ended",
            Self::Moved => "the call was redirected",
            Self::Failed(_, text) => text,
        }
    }

    const fn status(&self) -> &'static str {
        match self {
            Self::Ended(_) => "ended",
            Self::Completed | Self::Moved => "completed",
            Self::Failed(..) => "failed",
        }
    }
}

impl Counts {
    /// For the trace.
    fn words(&self) -> String {
        let Self {
            prompts,
            interrupts,
            ..
        } = self;
        let mut text = format!("{prompts} prompts, {interrupts} interruptions");
        let rest = [
            (self.strange, " messages not understood"),
            (self.dropped, " messages dropped"),
        ];
        for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!(", {count}{what}"));
        }
        text
    }
}

/// Requests the action, or continues with the next verb.
fn follow(
    action: Option<(String, HttpMethod)>,
    end: &End,
    (sid, seconds): (SessionSid, u64),
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let Some((url, method)) = action else {
        return Step::Next;
    };
    let mut more = Params::new();
    let mut add = |name: &str, value: String| more.push((name.to_owned(), value));
    add("SessionId", sid.to_string());
    add("SessionStatus", end.status().to_owned());
    add("SessionDuration", seconds.to_string());
    match end {
        End::Ended(Some(handoff)) => add("HandoffData", handoff.clone()),
        End::Failed(code, text) => {
            add("ErrorCode", code.to_string());
            add("ErrorMessage", text.clone());
        }
        End::Ended(None) | End::Completed | End::Moved => {}
    }
    site.act(url, method, more, cx)
}
