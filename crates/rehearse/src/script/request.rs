//! What is expected of a request to the application.
//!
//! **Invariant: parameters written as keys are compared alone; a list means all of them, in
//! order.**

use std::time::Duration;

use model::HttpMethod;

use super::wishes::{List, list};
use crate::Problem;
use crate::expected::Expected;
use crate::read::{self, Map};
use crate::yaml::{Node, Value};

/// A request to the application.
#[derive(Clone, Debug)]
pub(crate) struct RequestWish {
    /// Since the start of the call.
    pub(crate) at: Option<Duration>,
    pub(crate) method: Option<HttpMethod>,
    pub(crate) url: Expected,
    pub(crate) params: Params,
}

/// Parameters of a request.
#[derive(Clone, Debug)]
pub(crate) enum Params {
    /// Only these: line, name and value of each.
    Some(Vec<(usize, String, ValueWish)>),
    /// All: the name of each, and the value if it matters.
    All(List<(String, Option<ValueWish>)>),
}

/// The value of a parameter or header.
#[derive(Clone, Debug)]
pub(crate) enum ValueWish {
    Text(Expected),
    /// The SID of the leg with this name.
    Sid(String),
    /// The address of a recording, by its number from 1.
    Recording(usize),
}

/// `POST /after`, or that as a key with the expected parameters.
pub(super) fn read(node: &Node, what: &str) -> Result<RequestWish, Problem> {
    let (line, written, params) = match &node.value {
        Value::Text(written) => (node.line, written.as_str(), None),
        Value::Map(entries) => match entries.as_slice() {
            [(key, params)] => (key.line, key.name.as_str(), Some(params)),
            _ => return Err(read::wrong(node, what, "one address with its parameters")),
        },
        Value::Null | Value::List(_) => return Err(read::wrong(node, what, "an address")),
    };
    if params.is_none() && !written.starts_with('~') && written.contains(": ") {
        let text =
            format!("`{what}`: remove the quotes, so that the parameters are keys: `- {written}`");
        return Err(Problem::new(line, text));
    }
    let (at, written) = read::moment(written);
    let (method, url) = match written.split_once(' ') {
        Some(("GET", url)) => (Some(HttpMethod::Get), url),
        Some(("POST", url)) => (Some(HttpMethod::Post), url),
        _ => (None, written),
    };
    let url = Expected::parse(url.trim())
        .map_err(|error| Problem::new(line, format!("`{what}`: {error}")))?;
    let params = match params {
        None => Params::Some(Vec::new()),
        Some(node) if matches!(node.value, Value::List(_)) => {
            Params::All(list(node, what, |item| param(item, what))?)
        }
        Some(node) => Params::Some(values(node, what)?),
    };
    Ok(RequestWish {
        at,
        method,
        url,
        params,
    })
}

/// The name of a parameter, or that as a key with its value.
fn param(node: &Node, what: &str) -> Result<(String, Option<ValueWish>), Problem> {
    match &node.value {
        Value::Text(name) => Ok((name.clone(), None)),
        Value::Map(entries) => match entries.as_slice() {
            [(key, node)] => Ok((key.name.clone(), Some(value(node, &key.name)?))),
            _ => Err(read::wrong(node, what, "one parameter")),
        },
        Value::Null | Value::List(_) => Err(read::wrong(node, what, "a parameter")),
    }
}

/// Values by name.
pub(super) fn values(node: &Node, what: &str) -> Result<Vec<(usize, String, ValueWish)>, Problem> {
    let mut wanted = Vec::new();
    for (key, node) in read::entries(node, what)? {
        wanted.push((key.line, key.name.clone(), value(node, &key.name)?));
    }
    Ok(wanted)
}

fn value(node: &Node, name: &str) -> Result<ValueWish, Problem> {
    let Value::Map(_) = node.value else {
        return Ok(ValueWish::Text(read::expected(node, name)?));
    };
    let map = Map::of(node, "value", &["sid", "recording"])?;
    Ok(match map.one_of(&["sid", "recording"])? {
        ("sid", node) => ValueWish::Sid(read::text(node, "sid")?),
        (_, node) => ValueWish::Recording(read::number(node, "recording")?),
    })
}
