//! The WebSocket servers behind streams and conversations: what they notice, and when their audio is heard.
//!
//! A leg hears the audio of a server as the sound `play` with the stream's address. **Invariant: audio
//! is played in order, each piece once, and a mark is returned after what was sent before it.**

use std::collections::VecDeque;
use std::time::Duration;

use call_proto::{
    Event, PlayId, RelayCommand, RelayNews, Req, Speaker, StreamCommand, StreamCounts, StreamNews,
    StreamOver, StreamRequest, StreamTarget, ToAgent,
};
use model::{CallSid, Timestamp, error};

use super::{Due, START, Stage};
use crate::expected::seconds;
use crate::heard::{Heard, Sense};
use crate::scene::Weather;
use crate::script::{Agent, AgentAction, AgentKind, AgentStep, Awaited, Noticed, SIPREC};

/// All streams and conversations of the run.
#[derive(Default)]
pub(super) struct Agents(Vec<Stream>);

/// The server at the end of one stream or conversation.
struct Stream {
    kind: AgentKind,
    call: CallSid,
    req: Req,
    url: String,
    play: Option<PlayId>,
    has_begun: bool,
    is_over: bool,
    steps: VecDeque<AgentStep>,
    noticed: Vec<(Timestamp, Noticed)>,
    /// Everything noticed before this is used up.
    cursor: usize,
    ready_at: Timestamp,
    deadline: Option<Timestamp>,
    /// When everything that was sent has been played.
    played_at: Timestamp,
    /// Number of clearings: pieces of earlier ones are not played.
    cleared: usize,
    /// Marks not yet returned.
    marks: VecDeque<String>,
    /// Its piece that is being played: index among what the leg hears.
    playing: Option<usize>,
    counts: StreamCounts,
}

/// Something due at a server.
pub(super) struct AgentDue {
    stream: usize,
    cleared: usize,
    what: What,
}

enum What {
    Begins,
    Ends,
    Mark,
}

impl Stream {
    fn new(
        kind: AgentKind,
        (call, req): (CallSid, Req),
        url: String,
        steps: VecDeque<AgentStep>,
        now: Timestamp,
    ) -> Self {
        Self {
            kind,
            call,
            req,
            url,
            play: None,
            has_begun: false,
            is_over: false,
            steps,
            noticed: Vec::new(),
            cursor: 0,
            ready_at: now,
            deadline: None,
            played_at: now,
            cleared: 0,
            marks: VecDeque::new(),
            playing: None,
            counts: StreamCounts::default(),
        }
    }
}

/// What a message means to a server.
fn noticed(message: ToAgent) -> Noticed {
    match message {
        ToAgent::Setup(_) => Noticed::Setup,
        ToAgent::Prompt { text, last, .. } if last => Noticed::Prompt(text),
        ToAgent::Prompt { text, .. } => Noticed::Partial(text),
        ToAgent::Dtmf { digit } => Noticed::Key(digit),
        ToAgent::Interrupt { utterance, .. } => Noticed::Interrupt(utterance),
        ToAgent::Speaking { who, on, .. } => {
            let who = match who {
                Speaker::Agent => "agentSpeaking",
                Speaker::Client => "clientSpeaking",
            };
            Noticed::Info(format!("{who} {}", if on { "on" } else { "off" }))
        }
        ToAgent::Played { text } => Noticed::Info(format!("tokensPlayed {text}")),
        ToAgent::Error { description } => Noticed::Error(description),
    }
}

impl Stage<'_> {
    pub(super) fn stream_command(&mut self, call: CallSid, command: StreamCommand) {
        if self.scene.faults.stuck_streams {
            return;
        }
        match command {
            StreamCommand::Open { req, request } => self.opens_stream(call, req, *request),
            StreamCommand::Begin { req, play } => {
                if let Some(at) = self.stream(call, req) {
                    if play.is_some() {
                        self.sound_ends(call, true);
                    }
                    self.agents.0[at].play = play;
                    self.agent_begins(at);
                    self.agent_notices(at, Noticed::Start);
                }
            }
            StreamCommand::Key { req, key } => {
                if let Some(at) = self.stream(call, req) {
                    self.agent_notices(at, Noticed::Key(key));
                }
            }
            StreamCommand::Close { req } => {
                if let Some(at) = self.stream(call, req) {
                    self.agent_notices(at, Noticed::Stop);
                    self.stream_over(at, None);
                }
            }
        }
    }

    pub(super) fn relay_command(&mut self, call: CallSid, command: RelayCommand) {
        if self.scene.faults.stuck_streams {
            return;
        }
        match command {
            RelayCommand::Open { req, request } => match self.accepts(&request.url) {
                Ok((url, steps)) => {
                    self.agents.0.push(Stream::new(
                        AgentKind::Relay,
                        (call, req),
                        url,
                        steps,
                        self.now,
                    ));
                    let news = RelayNews::Connected;
                    self.tell_soon(call, Event::Relay { req, news });
                }
                Err(text) => {
                    let news = RelayNews::Over(Some(text));
                    self.tell_soon(call, Event::Relay { req, news });
                }
            },
            RelayCommand::Send { req, message } => {
                if let Some(at) = self.stream(call, req) {
                    self.agent_begins(at);
                    self.agent_notices(at, noticed(message));
                }
            }
            RelayCommand::Close { req } => {
                if let Some(at) = self.stream(call, req) {
                    self.agent_notices(at, Noticed::Stop);
                    self.stream_over(at, None);
                }
            }
        }
    }

    /// The bare address and the steps of the server at an address.
    fn accepts(&self, url: &str) -> Result<(String, VecDeque<AgentStep>), String> {
        let agents = &self.scene.agents;
        let bare = url.split('?').next().unwrap_or_default();
        match agents.get(url).or_else(|| agents.get(bare)) {
            Some(Agent::Accepts(steps)) => Ok((bare.to_owned(), steps.iter().cloned().collect())),
            Some(Agent::Unreachable) => Err(format!("{bare} could not be reached")),
            None => Err(format!("{bare} is not among the agents of the script")),
        }
    }

    fn opens_stream(&mut self, call: CallSid, req: Req, request: StreamRequest) {
        let (server, refused) = match request.target {
            StreamTarget::Socket(url) => (url, error::STREAM_REFUSED),
            StreamTarget::Recorder(recorder) => {
                let server = format!("{SIPREC}{}", recorder.connector);
                let is_known = self.scene.agents.contains_key(&server);
                let unknown = error::SIPREC_CONNECTOR;
                (
                    server,
                    if is_known {
                        error::SIPREC_REFUSED
                    } else {
                        unknown
                    },
                )
            }
        };
        match self.accepts(&server) {
            Ok((url, steps)) => {
                self.agents.0.push(Stream::new(
                    AgentKind::Stream,
                    (call, req),
                    url,
                    steps,
                    self.now,
                ));
            }
            Err(text) => {
                let news = StreamNews::Over(Box::new(StreamOver {
                    failure: Some((refused, text)),
                    counts: StreamCounts::default(),
                }));
                return self.tell_soon(call, Event::Stream { req, news });
            }
        }
        let news = StreamNews::Connected;
        self.tell_soon(call, Event::Stream { req, news });
    }

    fn stream(&self, call: CallSid, req: Req) -> Option<usize> {
        let streams = &self.agents.0;
        streams
            .iter()
            .position(|stream| stream.call == call && stream.req == req && !stream.is_over)
    }

    /// From now on it may send. Steps that its kind of connection does not have are reported at once, and end the connection:
    /// waiting for them could take as long as a call may last.
    fn agent_begins(&mut self, at: usize) {
        let stream = &mut self.agents.0[at];
        if std::mem::replace(&mut stream.has_begun, true) {
            return;
        }
        let kind = stream.kind;
        let foreign = stream.steps.iter().find(|step| {
            let needed = step.action.kind();
            needed.is_some_and(|needed| needed != kind)
        });
        if let Some(line) = foreign.map(|step| step.line) {
            let text = match kind {
                AgentKind::Stream => {
                    "this step is for a <ConversationRelay>, but the document connected a <Stream>"
                }
                AgentKind::Relay => {
                    "this step is for a <Stream>, but the document connected a <ConversationRelay>"
                }
            };
            self.agent_fails(at, line, text.to_owned());
            self.stream_over(at, None);
        }
    }

    fn agent_notices(&mut self, at: usize, noticed: Noticed) {
        let now = self.now;
        self.agents.0[at].noticed.push((now, noticed));
    }

    /// The connection ends.
    fn stream_over(&mut self, at: usize, failure: Option<(u16, String)>) {
        self.agent_falls_silent(at);
        let stream = &mut self.agents.0[at];
        stream.is_over = true;
        let (call, req) = (stream.call, stream.req);
        let event = match stream.kind {
            AgentKind::Stream => {
                let counts = std::mem::take(&mut stream.counts);
                let news = StreamNews::Over(Box::new(StreamOver { failure, counts }));
                Event::Stream { req, news }
            }
            AgentKind::Relay => {
                let news = RelayNews::Over(failure.map(|(_, text)| text));
                Event::Relay { req, news }
            }
        };
        self.tell_soon(call, event);
    }

    /// The leg hears something else: what comes from a server from then on is not heard.
    pub(super) fn silences_agents(&mut self, call: CallSid, play: Option<PlayId>) {
        for at in 0..self.agents.0.len() {
            let stream = &self.agents.0[at];
            let is_this = stream.call == call && stream.play.is_some();
            if is_this && (play.is_none() || stream.play == play) {
                if play.is_some() && stream.playing.is_some() {
                    self.on_line(call, "stop");
                }
                self.agent_falls_silent(at);
                self.agents.0[at].play = None;
            }
        }
    }

    /// What waits to be played is dropped, and marks are returned at once.
    fn agent_clears(&mut self, at: usize) {
        let now = self.now;
        let stream = &mut self.agents.0[at];
        for mark in std::mem::take(&mut stream.marks) {
            stream.noticed.push((now, Noticed::Mark(mark)));
        }
        self.agent_falls_silent(at);
    }

    /// What waits to be played is dropped.
    fn agent_falls_silent(&mut self, at: usize) {
        let now = self.now;
        let stream = &mut self.agents.0[at];
        stream.cleared += 1;
        stream.played_at = now;
        let (call, playing) = (stream.call, stream.playing.take());
        self.piece_ends(call, playing, true);
    }

    fn piece_ends(&mut self, call: CallSid, place: Option<usize>, cut: bool) {
        if let Some(place) = place
            && let Some(heard) = self.heard.get_mut(&call).and_then(|all| all.get_mut(place))
        {
            heard.ends(self.now, cut);
        }
    }

    pub(super) fn agent_due(&mut self, due: AgentDue) {
        let at = due.stream;
        let stream = &mut self.agents.0[at];
        if stream.cleared != due.cleared || stream.is_over {
            return;
        }
        let (call, url) = (stream.call, stream.url.clone());
        match due.what {
            What::Begins => {
                let place = self.heard.get(&call).map_or(0, Vec::len);
                self.agents.0[at].playing = Some(place);
                self.on_line(call, &format!("play {url}"));
                self.hears(call, Heard::begins(Sense::Play(url), self.now));
            }
            What::Ends => {
                let playing = stream.playing.take();
                self.piece_ends(call, playing, false);
            }
            What::Mark => {
                if let Some(mark) = stream.marks.pop_front() {
                    self.agent_notices(at, Noticed::Mark(mark));
                }
            }
        }
    }

    /// Each server does what is possible now.
    pub(super) fn agents_act(&mut self) {
        for at in 0..self.agents.0.len() {
            while self.agent_step(at) {}
        }
    }

    /// Whether a step was done.
    fn agent_step(&mut self, at: usize) -> bool {
        let stream = &self.agents.0[at];
        let Some(AgentStep { line, action }) = stream.steps.front().cloned() else {
            return false;
        };
        // What it sends before the stream begins waits in the connection.
        if self.now < stream.ready_at || !(stream.has_begun || stream.is_over) {
            return false;
        }
        match action {
            AgentAction::Expect(wanted, within) => {
                let mut rest = stream.noticed.iter().skip(stream.cursor);
                match rest.position(|(_, noticed)| wanted.is(noticed)) {
                    Some(found) => {
                        let stream = &mut self.agents.0[at];
                        stream.cursor += found + 1;
                        stream.deadline = None;
                    }
                    None => return self.agent_waits(at, line, &wanted, within),
                }
            }
            AgentAction::Wait(length) => {
                self.agents.0[at].ready_at = self.now + length;
                self.later(length, Due::Wake);
            }
            // Nothing can be sent any more.
            _ if stream.is_over => {}
            AgentAction::Tell(message) => self.agent_tells(at, RelayNews::Message(message)),
            AgentAction::Strange(fault) => self.agent_tells(at, RelayNews::Strange(fault)),
            AgentAction::Send(length) => self.agent_sends(at, length),
            AgentAction::Mark(name) => {
                let after = stream.played_at.max(self.now).since(self.now);
                self.agents.0[at].marks.push_back(name);
                self.agent_later(at, after, What::Mark);
            }
            AgentAction::Clear => self.agent_clears(at),
            AgentAction::Close if stream.url.starts_with(SIPREC) => {
                let text = "the recording server ended the session".to_owned();
                self.stream_over(at, Some((error::SIPREC_LOST, text)));
            }
            AgentAction::Close => self.stream_over(at, None),
            AgentAction::Break => {
                let (code, text) = if stream.url.starts_with(SIPREC) {
                    (error::SIPREC_LOST, "the recording server is gone")
                } else {
                    (error::STREAM_LOST, "the connection broke")
                };
                self.stream_over(at, Some((code, text.to_owned())));
            }
        }
        self.agents.0[at].steps.pop_front();
        true
    }

    fn agent_tells(&mut self, at: usize, news: RelayNews) {
        let (call, req) = (self.agents.0[at].call, self.agents.0[at].req);
        self.tell_soon(call, Event::Relay { req, news });
    }

    fn agent_sends(&mut self, at: usize, length: Duration) {
        let stream = &mut self.agents.0[at];
        stream.counts.received_ms += u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        if stream.play.is_none() {
            return; // The leg cannot hear it.
        }
        let begins = stream.played_at.max(self.now);
        stream.played_at = begins + length;
        let after = begins.since(self.now);
        self.agent_later(at, after, What::Begins);
        self.agent_later(at, after + length, What::Ends);
    }

    fn agent_later(&mut self, stream: usize, after: Duration, what: What) {
        let cleared = self.agents.0[stream].cleared;
        let due = AgentDue {
            stream,
            cleared,
            what,
        };
        self.later(after, Due::Agent(due));
    }

    /// What a server waits for has not happened.
    fn agent_waits(
        &mut self,
        at: usize,
        line: usize,
        wanted: &Awaited,
        within: Option<Duration>,
    ) -> bool {
        let stream = &self.agents.0[at];
        let is_late = stream.deadline.is_some_and(|deadline| self.now > deadline);
        if stream.is_over || is_late {
            let there_was: Vec<String> = stream.noticed[stream.cursor..]
                .iter()
                .map(|(at, noticed)| format!("{noticed} at {}", seconds(at.since(START))))
                .collect();
            let there_was = match there_was.as_slice() {
                [] => "nothing".to_owned(),
                some => some.join(", "),
            };
            let is_key = matches!(wanted, Awaited::Exactly(Noticed::Key(_)));
            let hint = if is_key && stream.kind == AgentKind::Relay {
                "; a conversation reports keys only with dtmfDetection=\"true\""
            } else {
                ""
            };
            let text = format!("expected {wanted}, but there was {there_was}{hint}");
            return self.agent_fails(at, line, text);
        }
        if let (Some(within), None) = (within, stream.deadline) {
            self.agents.0[at].deadline = Some(self.now + within);
            // An event at the last moment is not late.
            self.later(within + Duration::from_millis(1), Due::Wake);
        }
        false
    }

    fn agent_fails(&mut self, at: usize, line: usize, text: String) -> bool {
        self.agents.0[at].steps.clear();
        self.run.fails(line, text);
        false
    }

    /// At the end: reports steps that were not reached, and agents that no stream reached.
    pub(super) fn settle_agents(&mut self) {
        for at in 0..self.agents.0.len() {
            self.agents.0[at].ready_at = self.now;
            while self.agent_step(at) {
                self.agents.0[at].ready_at = self.now;
            }
            let stream = &self.agents.0[at];
            // A storm invents ends that no server learns of.
            if !stream.is_over && self.scene.weather != Weather::Stormy {
                let open = format!("the stream to {} was left open", stream.url);
                self.run.left.push(open);
            }
        }
        let mut missed = Vec::new();
        for (url, agent) in &self.scene.agents {
            let Agent::Accepts(steps) = agent else {
                continue;
            };
            let expects = |step: &&AgentStep| matches!(step.action, AgentAction::Expect(..));
            let was_reached = self.agents.0.iter().any(|stream| stream.url == *url);
            if let (Some(step), false) = (steps.iter().find(expects), was_reached) {
                missed.push((step.line, format!("no stream was opened to `{url}`")));
            }
        }
        for (line, text) in missed {
            self.run.fails(line, text);
        }
    }
}
