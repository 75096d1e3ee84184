//! The servers behind `<Stream>`, `<ConversationRelay>` and `<Siprec>`: what each does, step by step.
//!
//! **Invariant: a step begins when the previous one has ended.**

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use call_proto::{AgentManner, AgentText, FromAgent, Inputs};
use url::Url;

use crate::Problem;
use crate::expected::Expected;
use crate::read::{self, Map};
use crate::yaml::{self, Key, Node, Value};

/// Stands before the name of a connector.
pub(crate) const SIPREC: &str = "siprec:";

/// A server that streams and conversations connect to.
#[derive(Clone, Debug)]
pub(crate) enum Agent {
    /// It cannot be reached.
    Unreachable,
    /// It accepts the connection, and does this.
    Accepts(Vec<AgentStep>),
}

#[derive(Clone, Debug)]
pub(crate) struct AgentStep {
    pub(crate) line: usize,
    pub(crate) action: AgentAction,
}

#[derive(Clone, Debug)]
pub(crate) enum AgentAction {
    /// Wait for this, possibly with a time limit.
    Expect(Awaited, Option<Duration>),
    /// Send audio of this length.
    Send(Duration),
    /// Send a mark.
    Mark(String),
    /// Drop the audio that is waiting to be played.
    Clear,
    /// Send a message of a conversation.
    Tell(FromAgent),
    /// Send something that is not understood, for this reason.
    Strange(String),
    Wait(Duration),
    /// Close the connection.
    Close,
    /// Break the connection.
    Break,
}

/// What a document connects a server with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AgentKind {
    /// `<Stream>` or `<Siprec>`
    Stream,
    /// `<ConversationRelay>`
    Relay,
}

impl AgentAction {
    /// The only kind of connection in which this can happen; `None` if it can in both.
    pub(crate) const fn kind(&self) -> Option<AgentKind> {
        match self {
            Self::Send(_) | Self::Mark(_) | Self::Clear => Some(AgentKind::Stream),
            Self::Tell(_) | Self::Strange(_) => Some(AgentKind::Relay),
            Self::Expect(Awaited::Exactly(noticed), _) => match noticed {
                Noticed::Start | Noticed::Mark(_) => Some(AgentKind::Stream),
                Noticed::Setup
                | Noticed::Prompt(_)
                | Noticed::Partial(_)
                | Noticed::Interrupt(_)
                | Noticed::Info(_)
                | Noticed::Error(_) => Some(AgentKind::Relay),
                Noticed::Stop | Noticed::Key(_) => None,
            },
            Self::Expect(..) => Some(AgentKind::Relay),
            Self::Wait(_) | Self::Close | Self::Break => None,
        }
    }
}

/// What a server notices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Noticed {
    /// The stream began.
    Start,
    /// The conversation began.
    Setup,
    /// The caller said this.
    Prompt(String),
    /// The caller has said this so far.
    Partial(String),
    /// The caller interrupted, after having heard this.
    Interrupt(String),
    /// Who speaks, or what was played.
    Info(String),
    /// An error was reported.
    Error(String),
    /// The stream was stopped, or the conversation ended.
    Stop,
    Key(char),
    /// This mark was returned.
    Mark(String),
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Setup => f.write_str("setup"),
            Self::Prompt(text) => write!(f, "prompt `{text}`"),
            Self::Partial(text) => write!(f, "partial `{text}`"),
            Self::Interrupt(text) => write!(f, "interrupt `{text}`"),
            Self::Info(text) => write!(f, "info `{text}`"),
            Self::Error(text) => write!(f, "error `{text}`"),
            Self::Stop => f.write_str("stop"),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Mark(name) => write!(f, "mark `{name}`"),
        }
    }
}

/// What a server waits for.
#[derive(Clone, Debug)]
pub(crate) enum Awaited {
    Exactly(Noticed),
    Prompt(Expected),
    Partial(Expected),
    Interrupt(Expected),
    Info(Expected),
    Error(Expected),
}

impl Awaited {
    pub(crate) fn is(&self, noticed: &Noticed) -> bool {
        match (self, noticed) {
            (Self::Exactly(wanted), noticed) => wanted == noticed,
            (Self::Prompt(wanted), Noticed::Prompt(text))
            | (Self::Partial(wanted), Noticed::Partial(text))
            | (Self::Interrupt(wanted), Noticed::Interrupt(text))
            | (Self::Info(wanted), Noticed::Info(text))
            | (Self::Error(wanted), Noticed::Error(text)) => wanted.fits(Some(text)),
            (
                Self::Prompt(_)
                | Self::Partial(_)
                | Self::Interrupt(_)
                | Self::Info(_)
                | Self::Error(_),
                _,
            ) => false,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(noticed) => noticed.fmt(f),
            Self::Prompt(text) => write!(f, "prompt {text}"),
            Self::Partial(text) => write!(f, "partial {text}"),
            Self::Interrupt(text) => write!(f, "interrupt {text}"),
            Self::Info(text) => write!(f, "info {text}"),
            Self::Error(text) => write!(f, "error {text}"),
        }
    }
}

const WORDS: &[&str] = &[
    "expect", "send", "mark", "clear", "text", "play", "keys", "language", "end", "strange",
    "wait", "close", "break",
];

/// The agents of a script, by the address of the stream.
pub(super) fn read_all(node: &Node) -> Result<BTreeMap<String, Agent>, Problem> {
    let agents = read::entries(node, "agents")?;
    let agent = |(key, node): &(&Key, &Node)| Ok((address(key)?, read(node)?));
    Ok(read::all(agents.iter().map(agent))?.into_iter().collect())
}

/// The address of a stream as the server writes it, or `siprec:` and the name of a connector.
fn address(key: &Key) -> Result<String, Problem> {
    let written = &key.name;
    if written.len() > SIPREC.len() && written.starts_with(SIPREC) {
        return Ok(written.clone());
    }
    match Url::parse(written) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.query().is_none() => Ok(url.into()),
        Ok(_) | Err(_) => {
            let text = format!(
                "`agents`: `{written}` is neither a ws or wss address without a query nor `siprec:` with the name of a connector"
            );
            Err(Problem::new(key.line, text))
        }
    }
}

fn read(node: &Node) -> Result<Agent, Problem> {
    match &node.value {
        Value::Text(word) if word == "unreachable" => Ok(Agent::Unreachable),
        Value::Text(word) => Err(read::unknown(node.line, word, "agent", &["unreachable"])),
        Value::Null | Value::Map(_) | Value::List(_) => {
            let steps = read::list(node, "agents")?.iter().map(step);
            let steps: Vec<AgentStep> = read::all(steps)?;
            let mut after = steps.iter().skip_while(|step| !step.ends()).skip(1);
            match after.find(|step| !matches!(step.action, AgentAction::Wait(_))) {
                Some(step) => Err(Problem::new(
                    step.line,
                    "nothing happens after the end of the stream",
                )),
                None => Ok(Agent::Accepts(steps)),
            }
        }
    }
}

impl Agent {
    /// Reads what one server does.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        read(&yaml::parse(text)?)
    }
}

impl AgentStep {
    /// Whether the stream is over after it.
    fn ends(&self) -> bool {
        matches!(
            self.action,
            AgentAction::Close
                | AgentAction::Break
                | AgentAction::Tell(FromAgent::End { .. })
                | AgentAction::Expect(Awaited::Exactly(Noticed::Stop), _)
        )
    }
}

fn step(node: &Node) -> Result<AgentStep, Problem> {
    let line = node.line;
    let action = match &node.value {
        Value::Text(word) => match word.as_str() {
            "clear" => AgentAction::Clear,
            "close" => AgentAction::Close,
            "break" => AgentAction::Break,
            "end" => AgentAction::Tell(FromAgent::End { handoff: None }),
            "expect" | "send" | "mark" | "wait" | "text" | "play" | "keys" | "language"
            | "strange" => {
                return Err(Problem::new(line, format!("`{word}` needs a value")));
            }
            other => return Err(read::unknown(line, other, "step", WORDS)),
        },
        Value::Map(_) => {
            let map = Map::of(node, "step", WORDS)?;
            let (name, value) = map.one_of(WORDS)?;
            action(name, value)?
        }
        Value::Null | Value::List(_) => return Err(read::wrong(node, "step", "a word or one key")),
    };
    Ok(AgentStep { line, action })
}

fn action(name: &str, node: &Node) -> Result<AgentAction, Problem> {
    Ok(match name {
        "expect" => expect(node)?,
        "send" => AgentAction::Send(read::duration(node, "send")?),
        "mark" => AgentAction::Mark(read::text(node, "mark")?),
        "wait" => AgentAction::Wait(read::duration(node, "wait")?),
        "text" => AgentAction::Tell(FromAgent::Text(agent_text(node)?)),
        "play" => AgentAction::Tell(play(node)?),
        "keys" => AgentAction::Tell(FromAgent::SendDigits {
            digits: read::text(node, "keys")?,
        }),
        "language" => AgentAction::Tell(language(node)?),
        "end" => AgentAction::Tell(FromAgent::End {
            handoff: Some(read::text(node, "end")?),
        }),
        "strange" => AgentAction::Strange(read::text(node, "strange")?),
        word => {
            let text = format!("`{word}` takes no value");
            return Err(Problem::new(node.line, text));
        }
    })
}

/// `text`, or a map with `token`.
fn agent_text(node: &Node) -> Result<AgentText, Problem> {
    if let Value::Text(token) = &node.value {
        return Ok(AgentText {
            token: token.clone(),
            last: true,
            ..AgentText::default()
        });
    }
    let keys = ["token", "last", "lang", "interruptible", "preemptible"];
    let map = Map::of(node, "text", &keys)?;
    Ok(AgentText {
        token: map.text("token")?.unwrap_or_default(),
        last: flag(&map, "last")?.unwrap_or(true),
        language: map.text("lang")?,
        manner: manner(&map)?,
    })
}

/// An address, or a map with `source`.
fn play(node: &Node) -> Result<FromAgent, Problem> {
    if let Value::Text(source) = &node.value {
        return Ok(FromAgent::Play {
            source: source.clone(),
            times: Some(1),
            manner: AgentManner::default(),
        });
    }
    let map = Map::of(
        node,
        "play",
        &["source", "loop", "interruptible", "preemptible"],
    )?;
    let times = map.number("loop")?.unwrap_or(1);
    Ok(FromAgent::Play {
        source: map.text("source")?.unwrap_or_default(),
        times: (times > 0).then_some(times),
        manner: manner(&map)?,
    })
}

fn language(node: &Node) -> Result<FromAgent, Problem> {
    let map = Map::of(node, "language", &["tts", "transcription"])?;
    Ok(FromAgent::Language {
        tts: map.text("tts")?,
        transcription: map.text("transcription")?,
    })
}

fn manner(map: &Map<'_>) -> Result<AgentManner, Problem> {
    let inputs = ["none", "dtmf", "speech", "any"];
    let inputs = inputs.map(|name| (name, Inputs::named(name).unwrap_or(Inputs::Any)));
    let interruptible = map.get("interruptible");
    Ok(AgentManner {
        interruptible: interruptible
            .map(|node| read::word(node, "interruptible", &inputs))
            .transpose()?,
        preemptible: flag(map, "preemptible")?,
    })
}

fn flag(map: &Map<'_>, name: &str) -> Result<Option<bool>, Problem> {
    let words = [("true", true), ("false", false)];
    map.get(name)
        .map(|node| read::word(node, name, &words))
        .transpose()
}

fn expect(node: &Node) -> Result<AgentAction, Problem> {
    const FORMS: &[&str] = &[
        "start",
        "setup",
        "stop",
        "{key: ...}",
        "{mark: ...}",
        "{prompt: ...}",
        "{partial: ...}",
        "{interrupt: ...}",
        "{info: ...}",
        "{error: ...}",
    ];
    const NAMES: &[&str] = &[
        "start",
        "setup",
        "stop",
        "key",
        "mark",
        "prompt",
        "partial",
        "interrupt",
        "info",
        "error",
    ];
    let exactly = |noticed| AgentAction::Expect(Awaited::Exactly(noticed), None);
    if let Value::Text(word) = &node.value {
        return match word.as_str() {
            "start" => Ok(exactly(Noticed::Start)),
            "setup" => Ok(exactly(Noticed::Setup)),
            "stop" => Ok(exactly(Noticed::Stop)),
            other => Err(read::unknown(node.line, other, "expect", FORMS)),
        };
    }
    let known: Vec<&str> = NAMES.iter().copied().chain(["within"]).collect();
    let map = Map::of(node, "expect", &known)?;
    let (name, value) = map.one_of(NAMES)?;
    let awaited = match (name, &value.value) {
        ("key", _) => Awaited::Exactly(Noticed::Key(key(value)?)),
        ("mark", _) => Awaited::Exactly(Noticed::Mark(read::text(value, "mark")?)),
        ("prompt", _) => Awaited::Prompt(read::expected(value, name)?),
        ("partial", _) => Awaited::Partial(read::expected(value, name)?),
        ("interrupt", _) => Awaited::Interrupt(read::expected(value, name)?),
        ("info", _) => Awaited::Info(read::expected(value, name)?),
        ("error", _) => Awaited::Error(read::expected(value, name)?),
        ("start", Value::Null) => Awaited::Exactly(Noticed::Start),
        ("setup", Value::Null) => Awaited::Exactly(Noticed::Setup),
        ("stop", Value::Null) => Awaited::Exactly(Noticed::Stop),
        (word, _) => return Err(Problem::new(value.line, format!("`{word}` takes no value"))),
    };
    Ok(AgentAction::Expect(awaited, map.duration("within")?))
}

fn key(node: &Node) -> Result<char, Problem> {
    let text = read::text(node, "key")?;
    let mut keys = text.chars();
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.is_ascii_digit() || "*#ABCD".contains(key) => Ok(key),
        _ => {
            let text = format!("`key`: `{text}` is not a key; use one of 0-9, *, # and A-D");
            Err(Problem::new(node.line, text))
        }
    }
}
