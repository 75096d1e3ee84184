//! What is expected of the whole call once it is over.
//!
//! **Invariant: a list means all of it, in order; only `...` stands for any number of others.**

use model::HttpMethod;

use crate::Problem;
use crate::expected::{Expected, Span};
use crate::read::{self, Map};
use crate::yaml::{Node, Value};

#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) verbs: Option<List<Expected>>,
    pub(crate) requests: Option<List<RequestWish>>,
    pub(crate) callbacks: Option<List<RequestWish>>,
    pub(crate) dial_call_status: Option<List<Expected>>,
    pub(crate) notifications: Option<List<Expected>>,
    pub(crate) legs: Vec<LegWish>,
    pub(crate) duration: Option<(usize, Span)>,
}

/// A list and the line it stands on.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    pub(crate) line: usize,
    pub(crate) items: Vec<Wish<T>>,
}

/// One item of a list.
#[derive(Clone, Debug)]
pub(crate) enum Wish<T> {
    One(usize, T),
    /// Any number of others.
    Others,
}

/// A request to the application.
#[derive(Clone, Debug)]
pub(crate) struct RequestWish {
    pub(crate) method: Option<HttpMethod>,
    pub(crate) url: Expected,
    pub(crate) params: Vec<(usize, String, Expected)>,
}

/// The record of a leg.
#[derive(Clone, Debug)]
pub(crate) struct LegWish {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// Line, name as in the script, and what is expected.
    pub(crate) fields: Vec<(usize, &'static str, Expected)>,
}

impl Wishes {
    pub(super) fn read(node: &Node) -> Result<Self, Problem> {
        const KEYS: &[&str] = &[
            "verbs",
            "requests",
            "callbacks",
            "dial_call_status",
            "notifications",
            "legs",
            "duration",
        ];
        let map = Map::of(node, "expect", KEYS)?;
        let texts = |name: &'static str| {
            let node = map.get(name);
            node.map(|node| list(node, name, |item| text(item, name)))
                .transpose()
        };
        let requests = |name: &'static str| {
            let node = map.get(name);
            node.map(|node| list(node, name, |item| request(item, name)))
                .transpose()
        };
        let span = |node: &Node| Ok((node.line, read::span(node, "duration")?));
        Ok(Self {
            verbs: texts("verbs")?,
            requests: requests("requests")?,
            callbacks: requests("callbacks")?,
            dial_call_status: texts("dial_call_status")?,
            notifications: texts("notifications")?,
            legs: map.get("legs").map(legs).transpose()?.unwrap_or_default(),
            duration: map.get("duration").map(span).transpose()?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self {
            verbs,
            requests,
            callbacks,
            dial_call_status,
            notifications,
            legs,
            duration,
        } = self;
        let lists = verbs.is_none() && dial_call_status.is_none() && notifications.is_none();
        let http = requests.is_none() && callbacks.is_none();
        lists && http && legs.is_empty() && duration.is_none()
    }
}

fn list<T>(
    node: &Node,
    what: &str,
    read: impl Fn(&Node) -> Result<T, Problem>,
) -> Result<List<T>, Problem> {
    let wish = |item: &Node| match &item.value {
        Value::Text(text) if text == "..." => Ok(Wish::Others),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Ok(Wish::One(item.line, read(item)?))
        }
    };
    let items = read::list(node, what)?.iter().map(wish);
    Ok(List {
        line: node.line,
        items: items.collect::<Result<_, Problem>>()?,
    })
}

fn text(node: &Node, what: &str) -> Result<Expected, Problem> {
    read::text(node, what)?;
    read::expected(node, what)
}

/// `POST /after`, or that as a key with the parameters that are expected.
fn request(node: &Node, what: &str) -> Result<RequestWish, Problem> {
    let (line, written, params) = match &node.value {
        Value::Text(written) => (node.line, written.as_str(), None),
        Value::Map(entries) => match entries.as_slice() {
            [(key, params)] => (key.line, key.name.as_str(), Some(params)),
            _ => return Err(read::wrong(node, what, "one address with its parameters")),
        },
        Value::Null | Value::List(_) => return Err(read::wrong(node, what, "an address")),
    };
    let (method, url) = match written.split_once(' ') {
        Some(("GET", url)) => (Some(HttpMethod::Get), url),
        Some(("POST", url)) => (Some(HttpMethod::Post), url),
        _ => (None, written),
    };
    let url = Expected::parse(url.trim())
        .map_err(|error| Problem::new(line, format!("`{what}`: {error}")))?;
    let mut wanted = Vec::new();
    if let Some(params) = params {
        for (key, node) in read::entries(params, what)? {
            let expected = read::expected(node, &key.name)?;
            wanted.push((key.line, key.name.clone(), expected));
        }
    }
    Ok(RequestWish {
        method,
        url,
        params: wanted,
    })
}

fn legs(node: &Node) -> Result<Vec<LegWish>, Problem> {
    const KEYS: &[&str] = &["status", "reason", "duration", "ring", "sip_status"];
    let mut legs = Vec::new();
    for (key, node) in read::entries(node, "legs")? {
        let mut fields = Vec::new();
        if let Value::Text(_) = &node.value {
            fields.push((node.line, "status", text(node, "status")?));
        } else {
            let map = Map::of(node, "leg", KEYS)?;
            for name in KEYS {
                if let Some(node) = map.get(name) {
                    fields.push((node.line, *name, read::expected(node, name)?));
                }
            }
        }
        legs.push(LegWish {
            line: key.line,
            name: key.name.clone(),
            fields,
        });
    }
    Ok(legs)
}
