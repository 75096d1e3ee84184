//! The WebSocket servers behind `<Stream>`: what each does, step by step.
//!
//! **Invariant: a step begins when the previous one has ended.**

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use url::Url;

use crate::Problem;
use crate::read::{self, Map};
use crate::yaml::{self, Key, Node, Value};

/// A server that streams connect to.
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
    Expect(Noticed, Option<Duration>),
    /// Send audio of this length.
    Send(Duration),
    /// Send a mark.
    Mark(String),
    /// Drop the audio that is waiting to be played.
    Clear,
    Wait(Duration),
    /// Close the connection.
    Close,
    /// Break the connection.
    Break,
}

/// What a server notices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Noticed {
    /// The stream began.
    Start,
    /// The stream was stopped.
    Stop,
    Key(char),
    /// This mark was returned.
    Mark(String),
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Stop => f.write_str("stop"),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Mark(name) => write!(f, "mark `{name}`"),
        }
    }
}

const WORDS: &[&str] = &["expect", "send", "mark", "clear", "wait", "close", "break"];

/// The agents of a script, by the address of the stream.
pub(super) fn read_all(node: &Node) -> Result<BTreeMap<String, Agent>, Problem> {
    let agents = read::entries(node, "agents")?;
    let agent = |(key, node): &(&Key, &Node)| Ok((address(key)?, read(node)?));
    Ok(read::all(agents.iter().map(agent))?.into_iter().collect())
}

/// The address of a stream as the server writes it.
fn address(key: &Key) -> Result<String, Problem> {
    let written = &key.name;
    match Url::parse(written) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.query().is_none() => Ok(url.into()),
        Ok(_) | Err(_) => {
            let text = format!("`agents`: `{written}` is not a ws or wss address without a query");
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
            AgentAction::Close | AgentAction::Break | AgentAction::Expect(Noticed::Stop, _)
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
            "expect" | "send" | "mark" | "wait" => {
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
        word => {
            let text = format!("`{word}` takes no value");
            return Err(Problem::new(node.line, text));
        }
    })
}

fn expect(node: &Node) -> Result<AgentAction, Problem> {
    const FORMS: &[&str] = &["start", "stop", "{key: ...}", "{mark: ...}"];
    if let Value::Text(word) = &node.value {
        return match word.as_str() {
            "start" => Ok(AgentAction::Expect(Noticed::Start, None)),
            "stop" => Ok(AgentAction::Expect(Noticed::Stop, None)),
            other => Err(read::unknown(node.line, other, "expect", FORMS)),
        };
    }
    let map = Map::of(node, "expect", &["start", "stop", "key", "mark", "within"])?;
    let (name, value) = map.one_of(&["start", "stop", "key", "mark"])?;
    let noticed = match (name, &value.value) {
        ("key", _) => Noticed::Key(key(value)?),
        ("mark", _) => Noticed::Mark(read::text(value, "mark")?),
        ("start", Value::Null) => Noticed::Start,
        ("stop", Value::Null) => Noticed::Stop,
        (word, _) => return Err(Problem::new(value.line, format!("`{word}` takes no value"))),
    };
    Ok(AgentAction::Expect(noticed, map.duration("within")?))
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
