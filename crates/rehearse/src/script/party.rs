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
use crate::scene::{Phone, Says};
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
    /// What machine detection hears.
    pub(crate) says: Says,
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
            says: Phone::new().says,
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
        "answered_by",
        "greeting",
        "beep",
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
    let mut problems = Problems::default();
    let map = Map::with(node, "party", KEYS, &mut problems)?;
    let rings_after = problems.keep(map.duration("rings_after")).flatten();
    let (rings_after, answer) = if map.has("rejects") {
        (rings_after, rejection(&map))
    } else {
        (Some(rings_after.unwrap_or_default()), answer(&map))
    };
    let rings_with = problems.keep(rings_with(&map, rings_after.is_some()));
    let message = problems.keep(message(&map));
    let says = problems.keep(says(&map));
    let headers = problems.keep(map.get("headers").map_or(Ok(Headers::new()), headers));
    let mut party = Party::that(rings_after, problems.and(answer)?);
    party.rings_with = rings_with.unwrap_or(RINGING);
    party.message = message.unwrap_or(TAKEN);
    party.says = says.unwrap_or(party.says);
    party.headers = headers.unwrap_or_default();
    Ok(party)
}

fn rejection(map: &Map<'_>) -> Result<Answer, Problem> {
    let beside = &["answers_after", "then", "hangs_up_after"];
    refuse(map, beside, "rejects")?;
    Ok(Answer::Rejects {
        status: status(map)?,
        after: map.duration("after")?.unwrap_or_default(),
    })
}

/// When it answers, if ever.
fn answer(map: &Map<'_>) -> Result<Answer, Problem> {
    refuse(map, &["after"], "answers_after")?;
    let mut problems = Problems::default();
    let after = match map.get("answers_after") {
        Some(node) if node.value == Value::Text("never".to_owned()) => {
            refuse(map, &["then", "hangs_up_after"], "answers_after: never")?;
            return Ok(Answer::Never);
        }
        Some(node) => problems.keep(read::duration(node, "answers_after")),
        None => None,
    };
    let then = problems.and(then(map))?;
    let after = after.unwrap_or(Duration::from_secs(1));
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

/// What machine detection hears of it.
fn says(map: &Map<'_>) -> Result<Says, Problem> {
    #[derive(Clone, Copy)]
    enum Who {
        Human,
        Machine,
        Other(Says),
    }
    let words = [
        ("human", Who::Human),
        ("machine", Who::Machine),
        ("fax", Who::Other(Says::Fax)),
        ("silence", Who::Other(Says::Nothing)),
    ];
    let who = match map.get("answered_by") {
        Some(node) => {
            refuse(map, &["rejects"], "answered_by")?;
            read::word(node, "answered_by", &words)?
        }
        None => Who::Human,
    };
    let (length, beeps) = match who {
        Who::Human => (Says::HELLO, false),
        Who::Machine => (Says::GREETING, true),
        Who::Other(says) => {
            let beside = "answered_by: fax` or `answered_by: silence";
            refuse(map, &["greeting", "beep"], beside)?;
            return Ok(says);
        }
    };
    if let Who::Human = who {
        refuse(map, &["beep"], "answered_by: human")?;
    }
    let beep = match map.get("beep") {
        Some(node) => read::word(node, "beep", &[("true", true), ("false", false)])?,
        None => beeps,
    };
    let length = map.duration("greeting")?.unwrap_or(length);
    Ok(Says::Speech { length, beep })
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
