//! What the API does to the call while it is in progress.
//!
//! **Invariant: each step names its time and its leg.**

use std::time::Duration;

use call_proto::{Document, Modify, Redirect, SetIn};
use model::HttpMethod;
use url::Url;

use super::application::address;
use crate::Problem;
use crate::read::{self, Map};
use crate::stage::ACCOUNT;
use crate::yaml::Node;

/// A request that changes a call.
#[derive(Clone, Debug)]
pub(crate) struct ApiStep {
    pub(crate) line: usize,
    /// Since the start of the call.
    pub(crate) at: Duration,
    /// Name of the leg.
    pub(crate) leg: String,
    pub(crate) modify: Modify,
    /// Whether the API is expected to refuse it.
    pub(crate) refused: bool,
}

pub(super) fn read(base: &Url, node: &Node) -> Result<Vec<ApiStep>, Problem> {
    let items = read::list(node, "api")?.iter();
    read::all(items.map(|node| step(base, node)))
}

fn step(base: &Url, node: &Node) -> Result<ApiStep, Problem> {
    const KEYS: &[&str] = &[
        "at", "complete", "cancel", "redirect", "to", "both", "refused",
    ];
    let map = Map::of(node, "api", KEYS)?;
    let missing = || Problem::new(map.line, "a step of the `api` needs `at`: the time");
    let at = map.duration("at")?.ok_or_else(missing)?;
    let (what, leg) = map.one_of(&["complete", "cancel", "redirect"])?;
    if what != "redirect"
        && let Some(node) = map.get("to").or_else(|| map.get("both"))
    {
        let text = "`to` and `both` belong to `redirect`";
        return Err(Problem::new(node.line, text));
    }
    let modify = match what {
        "complete" => Modify::Complete,
        "cancel" => Modify::Cancel,
        _ => Modify::Redirect(Box::new(redirect(base, &map)?)),
    };
    Ok(ApiStep {
        line: map.line,
        at,
        leg: read::text(leg, what)?,
        modify,
        refused: flag(&map, "refused")?,
    })
}

fn flag(map: &Map<'_>, name: &str) -> Result<bool, Problem> {
    match map.get(name) {
        Some(node) => read::word(node, name, &[("true", true), ("false", false)]),
        None => Ok(false),
    }
}

fn redirect(base: &Url, map: &Map<'_>) -> Result<Redirect, Problem> {
    let missing = || Problem::new(map.line, "`redirect` needs `to`: the path of the document");
    let to = map.get("to").ok_or_else(missing)?;
    Ok(Redirect {
        document: Document {
            url: address(base, to, "to")?,
            method: HttpMethod::Post,
            author: ACCOUNT,
            fallback: None,
            set_in: SetIn::Request,
        },
        status_callback: None,
        move_connected_leg: flag(map, "both")?,
        dialect: None,
    })
}
