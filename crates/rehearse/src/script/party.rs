//! The parties that are dialled.
//!
//! **Invariant: a phone decides once what to do with a call, timed from its INVITE.**

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::Headers;

use super::headers;
use super::steps::{self, Action, Step};
use crate::Problem;
use crate::read::{self, Map, Problems};
use crate::yaml::{Node, Value};

/// SIP status of a phone that rings.
const RINGING: u16 = 180;

/// SIP status of a phone that accepts a message.
const TAKEN: u16 = 200;

/// The person whose steps these are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Cast {
    /// The caller in this call of the scene; for a call from the API, the answering party.
    Caller(usize),
    /// The phone with this number.
    Phone(usize),
}

/// One phone.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    /// Number among all parties of the script, from 1; 0 if the script does not name it.
    pub(crate) number: usize,
    /// Time from INVITE to 180; `None`: it does not ring.
    pub(crate) rings_after: Option<Duration>,
    /// Its ringing status: 180, or another provisional one.
    pub(crate) rings_with: u16,
    /// Added to each of its responses.
    pub(crate) headers: Headers,
    pub(crate) answer: Answer,
    /// Final response to a text message.
    pub(crate) message: u16,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// There is no route to it.
    Unreachable,
    /// It rings until the caller gives up.
    Never,
    /// It does not respond at all.
    Silent,
    Rejects {
        status: u16,
        after: Duration,
    },
    Answers {
        after: Duration,
        then: Vec<Step>,
    },
}

impl Party {
    /// Answers after a second.
    pub(crate) fn willing() -> Self {
        let answer = Answer::Answers {
            after: Duration::from_secs(1),
            then: Vec::new(),
        };
        Self::that(Some(Duration::ZERO), answer)
    }

    fn that(rings_after: Option<Duration>, answer: Answer) -> Self {
        Self {
            number: 0,
            rings_after,
            rings_with: RINGING,
            headers: Headers::new(),
            answer,
            message: TAKEN,
        }
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        match &self.answer {
            Answer::Answers { then, .. } => then.iter(),
            Answer::Unreachable | Answer::Never | Answer::Silent | Answer::Rejects { .. } => {
                [].iter()
            }
        }
    }

    fn rejecting(status: u16) -> Self {
        let after = Duration::ZERO;
        Self::that(None, Answer::Rejects { status, after })
    }
}

const WORDS: &[&str] = &["answers", "busy", "no_answer", "silent", "unreachable"];

pub(super) fn read_all(node: &Node) -> Result<BTreeMap<String, Vec<Party>>, Problem> {
    let mut parties = BTreeMap::new();
    let mut problems = Problems::default();
    let mut number = 0;
    for (key, node) in read::entries(node, "parties")? {
        let phones = match &node.value {
            Value::List(items) => read::all(items.iter().map(read)),
            Value::Null | Value::Text(_) | Value::Map(_) => read(node).map(|phone| vec![phone]),
        };
        let Some(mut phones) = problems.keep(phones) else {
            continue;
        };
        for phone in &mut phones {
            number += 1;
            phone.number = number;
        }
        parties.insert(key.name.clone(), phones);
    }
    problems.none()?;
    Ok(parties)
}

fn read(node: &Node) -> Result<Party, Problem> {
    const KEYS: &[&str] = &[
        "answers_after",
        "rejects",
        "after",
        "rings_after",
        "rings_with",
        "headers",
        "hangs_up_after",
        "then",
        "message",
    ];
    if let Value::Text(word) = &node.value {
        return Ok(match word.as_str() {
            "answers" => Party::willing(),
            "busy" => Party::rejecting(486),
            "no_answer" => Party::that(Some(Duration::ZERO), Answer::Never),
            "silent" => Party::that(None, Answer::Silent),
            "unreachable" => Party::that(None, Answer::Unreachable),
            other => return Err(read::unknown(node.line, other, "party", WORDS)),
        });
    }
    let map = Map::of(node, "party", KEYS)?;
    let rings_after = map.duration("rings_after")?;
    let mut party = if map.has("rejects") {
        refuse(
            &map,
            &["answers_after", "then", "hangs_up_after"],
            "rejects",
        )?;
        let answer = Answer::Rejects {
            status: status(&map)?,
            after: map.duration("after")?.unwrap_or_default(),
        };
        Party::that(rings_after, answer)
    } else {
        refuse(&map, &["after"], "answers_after")?;
        Party::that(Some(rings_after.unwrap_or_default()), answer(&map)?)
    };
    party.rings_with = rings_with(&map, party.rings_after.is_some())?;
    party.message = message(&map)?;
    party.headers = map.get("headers").map_or(Ok(Headers::new()), headers)?;
    Ok(party)
}

/// When it answers, if ever.
fn answer(map: &Map<'_>) -> Result<Answer, Problem> {
    let after = match map.get("answers_after") {
        Some(node) if node.value == Value::Text("never".to_owned()) => {
            refuse(map, &["then", "hangs_up_after"], "answers_after: never")?;
            return Ok(Answer::Never);
        }
        Some(node) => read::duration(node, "answers_after")?,
        None => Duration::from_secs(1),
    };
    let then = then(map)?;
    Ok(Answer::Answers { after, then })
}

fn rings_with(map: &Map<'_>, rings: bool) -> Result<u16, Problem> {
    if let Some(node) = map.get("rings_with").filter(|_| !rings) {
        let text = "`rings_with` has no meaning without `rings_after`: it does not ring";
        return Err(Problem::new(node.line, text));
    }
    let status: u16 = map.number("rings_with")?.unwrap_or(RINGING);
    if (101..200).contains(&status) {
        return Ok(status);
    }
    let text = format!("`rings_with`: {status} is not a provisional SIP status (101 to 199)");
    Err(Problem::new(map.line, text))
}

fn message(map: &Map<'_>) -> Result<u16, Problem> {
    let status: u16 = map.number("message")?.unwrap_or(TAKEN);
    if (200..700).contains(&status) {
        return Ok(status);
    }
    let text = format!("`message`: {status} is not a final SIP status (200 to 699)");
    Err(Problem::new(map.line, text))
}

fn status(map: &Map<'_>) -> Result<u16, Problem> {
    let status: u16 = map.number("rejects")?.unwrap_or_default();
    if (300..700).contains(&status) {
        return Ok(status);
    }
    let text = format!("`rejects`: {status} is not a SIP status that refuses a call (300 to 699)");
    Err(Problem::new(map.line, text))
}

/// What it does after answering.
fn then(map: &Map<'_>) -> Result<Vec<Step>, Problem> {
    let Some(node) = map.get("hangs_up_after") else {
        let steps = map.get("then").map(|node| steps::read(node, "then"));
        let steps = steps.transpose()?;
        return Ok(steps.unwrap_or_default());
    };
    refuse(map, &["then"], "hangs_up_after")?;
    let line = node.line;
    let wait = read::duration(node, "hangs_up_after")?;
    Ok([Action::Wait(wait), Action::Hangup]
        .map(|action| Step { line, action })
        .to_vec())
}

fn refuse(map: &Map<'_>, names: &[&str], beside: &str) -> Result<(), Problem> {
    match names.iter().find_map(|name| Some((name, map.get(name)?))) {
        Some((name, node)) => {
            let text = format!("`{name}` has no meaning beside `{beside}`");
            Err(Problem::new(node.line, text))
        }
        None => Ok(()),
    }
}
