//! The application: the address of its first document, and what answers its requests.
//!
//! **Invariant: pages of the script take precedence over any other source.**

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::{Document, Fallback, SetIn};
use model::{HttpMethod, error};
use url::Url;

use crate::Problem;
use crate::read::{self, Map, Problems};
use crate::scene::{Page, Reply, TextReply};
use crate::stage::ACCOUNT;
use crate::yaml::{Key, Node, Value};

/// Address of an application that is not a server.
const ORIGIN: &str = "http://app/";

/// What answers requests that no page of the script answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nothing else: the pages are everything.
    Pages,
    /// Files of this folder, relative to the script.
    Files(String),
    /// The server at this address.
    Url(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) source: Source,
    pub(crate) document: Document,
    /// Receives each status callback.
    pub(crate) status_callback: Option<String>,
    pub(crate) status_callback_method: HttpMethod,
    /// Runs when a party asks to be transferred.
    pub(crate) refer: Option<Document>,
    /// By absolute address without query; in order, and the last one repeats.
    pub(crate) pages: BTreeMap<String, Vec<Page>>,
    base: Url,
}

impl Application {
    pub(super) fn read(node: &Node) -> Result<Self, Problem> {
        const KEYS: &[&str] = &[
            "url",
            "files",
            "pages",
            "start",
            "method",
            "fallback",
            "status_callback",
            "status_callback_method",
            "refer",
            "refer_method",
        ];
        let mut problems = Problems::default();
        let map = Map::with(node, "application", KEYS, &mut problems)?;
        let read = Self::of(&map, &mut problems);
        problems.and(read)
    }

    /// Reads the entries. A fault that does not prevent reading the rest goes to `problems`; the
    /// result counts only if there are none.
    fn of(map: &Map<'_>, problems: &mut Problems) -> Result<Self, Problem> {
        let source = match (map.text("url")?, map.text("files")?) {
            (Some(_), Some(_)) => {
                let text = "`url` and `files` cannot be used together";
                return Err(Problem::new(map.line, text));
            }
            (Some(url), None) => Source::Url(url),
            (None, Some(folder)) => Source::Files(folder),
            (None, None) if map.has("pages") => Source::Pages,
            (None, None) => {
                let text = "`application` needs `url`, `files` or `pages`";
                return Err(Problem::new(map.line, text));
            }
        };
        let base = base(map, &source)?;
        let at = |name: &str| {
            let node = map.get(name);
            node.map(|node| address(&base, node, name)).transpose()
        };
        let url = match (&source, at("start")?) {
            (_, Some(start)) => start,
            (Source::Url(url), None) => url.clone(),
            (_, None) => {
                let text = "`application` needs `start`: the path of the first document";
                return Err(Problem::new(map.line, text));
            }
        };
        let methods = [("GET", HttpMethod::Get), ("POST", HttpMethod::Post)];
        let method = |name: &str| match map.get(name) {
            Some(node) => read::word(node, name, &methods),
            None => Ok(HttpMethod::Post),
        };
        if let Some(node) = map.get("status_callback_method")
            && !map.has("status_callback")
        {
            let text = "`status_callback_method` has no meaning without `status_callback`";
            return Err(Problem::new(node.line, text));
        }
        if let Some(node) = map.get("refer_method")
            && !map.has("refer")
        {
            let text = "`refer_method` has no meaning without `refer`";
            return Err(Problem::new(node.line, text));
        }
        let refer_method = problems.keep(method("refer_method"));
        let refer = problems.keep(at("refer")).flatten();
        let status_callback_method = problems.keep(method("status_callback_method"));
        let method = problems.keep(method("method"));
        let pages = problems.keep(map.get("pages").map(|node| pages(&base, node)).transpose());
        let (fallback, status_callback) = (
            problems.keep(at("fallback")),
            problems.keep(at("status_callback")),
        );
        let method = method.unwrap_or(HttpMethod::Post);
        Ok(Self {
            document: Document {
                url,
                method,
                text: None,
                fallback: fallback.flatten().map(|url| Fallback {
                    url,
                    method,
                    author: ACCOUNT,
                    set_in: SetIn::Number,
                }),
                author: ACCOUNT,
                set_in: SetIn::Number,
            },
            refer: refer.map(|url| Document {
                url,
                method: refer_method.unwrap_or(HttpMethod::Post),
                text: None,
                fallback: None,
                author: ACCOUNT,
                set_in: SetIn::NumberRefer,
            }),
            status_callback: status_callback.flatten(),
            status_callback_method: status_callback_method.unwrap_or(HttpMethod::Post),
            source,
            pages: pages.flatten().unwrap_or_default(),
            base,
        })
    }

    /// An application without answers.
    pub(super) fn nowhere() -> Self {
        let base = Url::parse(ORIGIN).expect("it is an address");
        Self {
            source: Source::Pages,
            document: Document {
                url: ORIGIN.to_owned(),
                method: HttpMethod::Post,
                text: None,
                fallback: None,
                author: ACCOUNT,
                set_in: SetIn::Number,
            },
            status_callback: None,
            status_callback_method: HttpMethod::Post,
            refer: None,
            pages: BTreeMap::new(),
            base,
        }
    }

    /// Base for relative addresses in the script.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// An address in script notation: only the path if it is the application's own.
    pub(crate) fn shown(&self, url: &str) -> String {
        let Ok(parsed) = Url::parse(url) else {
            return url.to_owned();
        };
        if parsed.origin() != self.base.origin() {
            return url.to_owned();
        }
        match parsed.query() {
            Some(query) => format!("{}?{query}", parsed.path()),
            None => parsed.path().to_owned(),
        }
    }
}

fn base(map: &Map<'_>, source: &Source) -> Result<Url, Problem> {
    let (text, line) = match (source, map.get("url")) {
        (Source::Url(url), Some(node)) => (url.as_str(), node.line),
        _ => (ORIGIN, map.line),
    };
    let parsed = Url::parse(text).ok();
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Problem::new(line, format!("`url`: `{text}` is not an http address")))
}

pub(super) fn address(base: &Url, node: &Node, what: &str) -> Result<String, Problem> {
    let written = read::text(node, what)?;
    match base.join(&written) {
        Ok(url) => Ok(url.to_string()),
        Err(_) => {
            let text = format!("`{what}`: `{written}` is not a path or address");
            Err(Problem::new(node.line, text))
        }
    }
}

fn pages(base: &Url, node: &Node) -> Result<BTreeMap<String, Vec<Page>>, Problem> {
    let one = |(key, node): (&Key, &Node)| {
        let name = Node {
            line: key.line,
            value: Value::Text(key.name.clone()),
        };
        let url = address(base, &name, "pages")?;
        let replies = match &node.value {
            Value::List(items) => read::all(items.iter().map(|item| page(base, item)))?,
            Value::Null | Value::Text(_) | Value::Map(_) => vec![page(base, node)?],
        };
        if replies.is_empty() {
            return Err(Problem::new(
                node.line,
                "a page needs at least one response",
            ));
        }
        Ok((url, replies))
    };
    let pages = read::all(read::named(node, "pages")?.into_iter().map(one))?;
    Ok(pages.into_iter().collect())
}

fn page(base: &Url, node: &Node) -> Result<Page, Problem> {
    const KEYS: &[&str] = &[
        "status",
        "content_type",
        "body",
        "file",
        "fails",
        "after",
        "moved_to",
    ];
    if let Value::Text(body) = &node.value {
        return Ok(Page {
            reply: document(body),
            after: Duration::ZERO,
            moved_to: None,
        });
    }
    let map = Map::of(node, "page", KEYS)?;
    let plain = ["status", "body", "content_type", "moved_to"];
    let reply = match (map.get("file"), map.get("fails")) {
        (None, None) => text_reply(&map)?,
        (Some(node), None) => Reply::Elsewhere(address(base, node, "file")?),
        (None, Some(node)) => {
            read::word(node, "fails", &[("true", ())]).map(|()| Reply::Fails(error::FETCH_IO))?
        }
        (Some(_), Some(node)) => {
            let text = "`file` and `fails` cannot be used together";
            return Err(Problem::new(node.line, text));
        }
    };
    if !matches!(reply, Reply::Text(_)) && plain.iter().any(|name| map.has(name)) {
        let text = "`file` and `fails` define the whole response; the other keys have no meaning";
        return Err(Problem::new(map.line, text));
    }
    Ok(Page {
        reply,
        after: map.duration("after")?.unwrap_or_default(),
        moved_to: match map.get("moved_to") {
            Some(node) => Some(address(base, node, "moved_to")?),
            None => None,
        },
    })
}

fn text_reply(map: &Map<'_>) -> Result<Reply, Problem> {
    let body = map.text("body")?.unwrap_or_default();
    let typed = match map.text("content_type")? {
        None if !body.is_empty() => Some("text/xml".to_owned()),
        given => given,
    };
    Ok(Reply::Text(TextReply {
        status: map.number("status")?.unwrap_or(200),
        content_type: typed,
        body,
    }))
}

fn document(body: &str) -> Reply {
    Reply::Text(TextReply {
        status: 200,
        content_type: Some("text/xml".to_owned()),
        body: body.to_owned(),
    })
}
