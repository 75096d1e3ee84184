//! The people who are dialled.
//!
//! **Invariant: a phone decides once what it does with a call, counted from its INVITE.**

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::{self, Action, Step};
use crate::Problem;
use crate::read::{self, Map};
use crate::yaml::{Node, Value};

/// One phone.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    /// From INVITE to 180; `None`: it does not ring.
    pub(crate) rings_after: Option<Duration>,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// There is no way there.
    Unreachable,
    /// It rings until the caller gives up.
    Never,
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
        Self {
            rings_after: Some(Duration::ZERO),
            answer: Answer::Answers {
                after: Duration::from_secs(1),
                then: Vec::new(),
            },
        }
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        match &self.answer {
            Answer::Answers { then, .. } => then.iter(),
            Answer::Unreachable | Answer::Never | Answer::Rejects { .. } => [].iter(),
        }
    }

    fn rejecting(status: u16) -> Self {
        Self {
            rings_after: None,
            answer: Answer::Rejects {
                status,
                after: Duration::ZERO,
            },
        }
    }
}

const WORDS: &[&str] = &["answers", "busy", "no_answer", "unreachable"];

pub(super) fn read_all(node: &Node) -> Result<BTreeMap<String, Vec<Party>>, Problem> {
    let mut parties = BTreeMap::new();
    for (key, node) in read::entries(node, "parties")? {
        let phones = match &node.value {
            Value::List(items) => items.iter().map(read).collect::<Result<Vec<_>, _>>()?,
            Value::Null | Value::Text(_) | Value::Map(_) => vec![read(node)?],
        };
        parties.insert(key.name.clone(), phones);
    }
    Ok(parties)
}

fn read(node: &Node) -> Result<Party, Problem> {
    const KEYS: &[&str] = &[
        "answers_after",
        "rejects",
        "after",
        "rings_after",
        "hangs_up_after",
        "then",
    ];
    if let Value::Text(word) = &node.value {
        return Ok(match word.as_str() {
            "answers" => Party::willing(),
            "busy" => Party::rejecting(486),
            "no_answer" => Party {
                rings_after: Some(Duration::ZERO),
                answer: Answer::Never,
            },
            "unreachable" => Party {
                rings_after: None,
                answer: Answer::Unreachable,
            },
            other => return Err(read::unknown(node.line, other, "party", WORDS)),
        });
    }
    let map = Map::of(node, "party", KEYS)?;
    let rings_after = map.duration("rings_after")?;
    if map.has("rejects") {
        refuse(
            &map,
            &["answers_after", "then", "hangs_up_after"],
            "rejects",
        )?;
        return Ok(Party {
            rings_after,
            answer: Answer::Rejects {
                status: status(&map)?,
                after: map.duration("after")?.unwrap_or_default(),
            },
        });
    }
    refuse(&map, &["after"], "answers_after")?;
    Ok(Party {
        rings_after: Some(rings_after.unwrap_or_default()),
        answer: Answer::Answers {
            after: map
                .duration("answers_after")?
                .unwrap_or(Duration::from_secs(1)),
            then: then(&map)?,
        },
    })
}

fn status(map: &Map<'_>) -> Result<u16, Problem> {
    let status: u16 = map.number("rejects")?.unwrap_or_default();
    if (300..700).contains(&status) {
        return Ok(status);
    }
    let text = format!("`rejects`: {status} is no SIP status of a refusal (300 to 699)");
    Err(Problem::new(map.line, text))
}

/// What it does once it has answered.
fn then(map: &Map<'_>) -> Result<Vec<Step>, Problem> {
    let Some(node) = map.get("hangs_up_after") else {
        let steps = map.get("then").map(steps::read).transpose()?;
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
