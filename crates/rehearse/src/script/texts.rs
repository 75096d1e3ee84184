//! `texts`: a conversation with the application of a number, instead of calls.

use std::time::Duration;

use call_proto::{Dialect, Headers};

use super::headers;
use crate::Problem;
use crate::expected::Expected;
use crate::read::{self, Map, Problems};
use crate::yaml::{Node, Value};

/// A text that a party sends to a number.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) line: usize,
    /// Since the previous one.
    pub(crate) after: Duration,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) headers: Headers,
    pub(crate) dialect: Dialect,
    /// What it is answered with, complete and in order; `None`: anything.
    pub(crate) replies: Option<Vec<Reply>>,
}

/// A message that is expected.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) line: usize,
    pub(crate) text: Expected,
    /// By default the sender of the text.
    pub(crate) to: Option<Expected>,
    /// By default the number.
    pub(crate) from: Option<Expected>,
}

const KEYS: &[&str] = &[
    "from", "to", "text", "after", "headers", "dialect", "replies",
];

/// What only calls have.
pub(super) const OF_CALLS: &[&str] = &[
    "call", "calls", "caller", "parties", "agents", "api", "sounds",
];

/// The texts of a script, at least one.
pub(super) fn read_all(node: &Node) -> Result<Vec<Text>, Problem> {
    let mut problems = Problems::default();
    let items = read::list(node, "texts")?;
    if items.is_empty() {
        return Err(Problem::new(node.line, "`texts` needs at least one text"));
    }
    let texts: Vec<Text> = items
        .iter()
        .filter_map(|item| problems.keep(read(item)))
        .collect();
    problems.none()?;
    Ok(texts)
}

fn read(node: &Node) -> Result<Text, Problem> {
    let mut problems = Problems::default();
    let map = Map::with(node, "text", KEYS, &mut problems)?;
    let needed = |name: &str| {
        map.text(name)?
            .ok_or_else(|| Problem::new(map.line, format!("a text needs `{name}`")))
    };
    let dialects = [("restcomm", Dialect::RESTCOMM), ("twilio", Dialect::TWILIO)];
    let dialect = match map.get("dialect") {
        Some(node) => read::word(node, "dialect", &dialects),
        None => Ok(Dialect::RESTCOMM),
    };
    let text = Text {
        line: map.line,
        after: problems
            .keep(map.duration("after"))
            .flatten()
            .unwrap_or_default(),
        from: problems.keep(needed("from")).unwrap_or_default(),
        to: problems.keep(needed("to")).unwrap_or_default(),
        text: problems.keep(needed("text")).unwrap_or_default(),
        headers: problems
            .keep(map.get("headers").map(headers).transpose())
            .flatten()
            .unwrap_or_default(),
        dialect: problems.keep(dialect).unwrap_or(Dialect::RESTCOMM),
        replies: problems
            .keep(map.get("replies").map(replies).transpose())
            .flatten(),
    };
    problems.none()?;
    Ok(text)
}

fn replies(node: &Node) -> Result<Vec<Reply>, Problem> {
    let mut problems = Problems::default();
    let items = read::list(node, "replies")?;
    let replies = items
        .iter()
        .filter_map(|item| problems.keep(reply(item)))
        .collect();
    problems.none()?;
    Ok(replies)
}

/// A text alone, or with its parties.
fn reply(node: &Node) -> Result<Reply, Problem> {
    let Value::Map(_) = &node.value else {
        return Ok(Reply {
            line: node.line,
            text: read::expected(node, "replies")?,
            to: None,
            from: None,
        });
    };
    let map = Map::of(node, "reply", &["text", "to", "from"])?;
    let wish = |name: &str| {
        let node = map.get(name);
        node.map(|node| read::expected(node, name)).transpose()
    };
    Ok(Reply {
        line: node.line,
        text: wish("text")?.ok_or_else(|| Problem::new(node.line, "a reply needs `text`"))?,
        to: wish("to")?,
        from: wish("from")?,
    })
}
