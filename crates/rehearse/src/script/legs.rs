//! What is expected of each leg: its record, its INVITE, what it was sent, what was on its line.
//!
//! **Invariant: legs are named as in the script: `caller`, `ann`, `ann 2`.**

use super::request::{self, ValueWish};
use super::wishes::{Fields, List, Timed, list, text};
use crate::Problem;
use crate::read::{self, Map, Problems};
use crate::yaml::{Key, Node, Value};

/// Fields of a leg.
#[derive(Clone, Debug)]
pub(crate) struct LegWish {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) fields: Fields,
}

/// Headers of a leg.
#[derive(Clone, Debug)]
pub(crate) struct LegHeaders {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// Line, name and value.
    pub(crate) headers: Vec<(usize, String, ValueWish)>,
}

/// The events on a leg, in order.
#[derive(Clone, Debug)]
pub(crate) struct LegLines {
    pub(crate) name: String,
    pub(crate) lines: List<Timed>,
}

/// Fields of records.
pub(super) fn records(node: &Node) -> Result<Vec<LegWish>, Problem> {
    const KEYS: &[&str] = &[
        "status",
        "reason",
        "duration",
        "ring",
        "sip_status",
        "by",
        "sip_reason",
        "from",
        "to",
        "direction",
        "parent",
        "answered_by",
        "forwarded_from",
    ];
    let leg = |(key, node): (&Key, &Node)| {
        let fields = if let Value::Text(_) = &node.value {
            vec![(node.line, "status", text(node, "status")?)]
        } else {
            fields(node, "leg", KEYS, KEYS)?
        };
        Ok(LegWish {
            line: key.line,
            name: key.name.clone(),
            fields,
        })
    };
    read::all(read::entries(node, "legs")?.into_iter().map(leg))
}

/// Fields of INVITEs, except the headers.
pub(super) fn invites(node: &Node) -> Result<Vec<LegWish>, Problem> {
    const FIELDS: &[&str] = &["uri", "from", "name", "login", "password"];
    const KEYS: &[&str] = &["uri", "from", "name", "login", "password", "headers"];
    let invite = |(key, node): (&Key, &Node)| {
        Ok(LegWish {
            line: key.line,
            name: key.name.clone(),
            fields: fields(node, "invite", KEYS, FIELDS)?,
        })
    };
    read::all(read::entries(node, "invites")?.into_iter().map(invite))
}

/// Headers of INVITEs.
pub(super) fn invite_headers(node: &Node) -> Result<Vec<LegHeaders>, Problem> {
    let mut legs = Vec::new();
    for (key, node) in read::entries(node, "invites")? {
        let found = read::entries(node, "invite")?;
        let headers = found.iter().find(|(key, _)| key.name == "headers");
        if let Some((_, node)) = headers {
            legs.push(LegHeaders {
                line: key.line,
                name: key.name.clone(),
                headers: request::values(node, "headers")?,
            });
        }
    }
    Ok(legs)
}

/// Headers by leg.
pub(super) fn headers(node: &Node) -> Result<Vec<LegHeaders>, Problem> {
    let leg = |(key, node): (&Key, &Node)| {
        Ok(LegHeaders {
            line: key.line,
            name: key.name.clone(),
            headers: request::values(node, "own_headers")?,
        })
    };
    read::all(read::entries(node, "own_headers")?.into_iter().map(leg))
}

/// Lines by leg.
pub(super) fn lines(node: &Node, what: &str) -> Result<Vec<LegLines>, Problem> {
    let timed = |node: &Node| {
        let written = read::text(node, what)?;
        Timed::parse(&written)
            .map_err(|error| Problem::new(node.line, format!("`{what}`: {error}")))
    };
    let leg = |(key, node): (&Key, &Node)| {
        Ok(LegLines {
            name: key.name.clone(),
            lines: list(node, what, timed)?,
        })
    };
    read::all(read::entries(node, what)?.into_iter().map(leg))
}

pub(super) fn fields(
    node: &Node,
    what: &'static str,
    known: &[&str],
    names: &[&'static str],
) -> Result<Fields, Problem> {
    let mut problems = Problems::default();
    let map = Map::with(node, what, known, &mut problems)?;
    let given = names
        .iter()
        .filter_map(|name| Some((*name, map.get(name)?)));
    let read = |(name, node): (_, &Node)| Ok((node.line, name, read::expected(node, name)?));
    problems.and(read::all(given.map(read)))
}
