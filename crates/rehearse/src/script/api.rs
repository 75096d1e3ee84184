//! What the API does to the call while it is in progress.
//!
//! **Invariant: each step names its time and its leg.**

use std::time::Duration;

use call_proto::{Document, Modify, ParticipantChange, Redirect, SetIn};
use model::{ConferenceSid, HttpMethod};
use url::Url;

use super::application::address;
use crate::Problem;
use crate::read::{self, Map};
use crate::stage::ACCOUNT;
use crate::yaml::Node;

/// Stands for the conference that the leg is in.
pub(crate) const ITS_CONFERENCE: ConferenceSid = ConferenceSid::from_bytes([0; 16]);

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
        "at", "complete", "cancel", "redirect", "mute", "unmute", "hold", "unhold", "announce",
        "remove", "to", "document", "both", "refused",
    ];
    let map = Map::of(node, "api", KEYS)?;
    let missing = || Problem::new(map.line, "a step of the `api` needs `at`: the time");
    let at = map.duration("at")?.ok_or_else(missing)?;
    let (what, leg) = map.one_of(&[
        "complete", "cancel", "redirect", "mute", "unmute", "hold", "unhold", "announce", "remove",
    ])?;
    if !matches!(what, "redirect" | "hold" | "announce")
        && let Some(node) = map.get("to")
    {
        let text = "`to` belongs to `redirect`, `hold` and `announce`";
        return Err(Problem::new(node.line, text));
    }
    for name in ["both", "document"] {
        if what != "redirect"
            && let Some(node) = map.get(name)
        {
            let text = format!("`{name}` belongs to `redirect`");
            return Err(Problem::new(node.line, text));
        }
    }
    let modify = match what {
        "complete" => Modify::Complete,
        "cancel" => Modify::Cancel,
        "redirect" => Modify::Redirect(Box::new(redirect(base, &map)?)),
        _ => Modify::Participant(Box::new(participant(what, base, &map)?)),
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

/// A change of the leg's part in the conference that it is in.
fn participant(what: &str, base: &Url, map: &Map<'_>) -> Result<ParticipantChange, Problem> {
    let mut change = ParticipantChange::of(ITS_CONFERENCE);
    match what {
        "mute" | "unmute" => change.muted = Some(what == "mute"),
        "hold" | "unhold" => {
            change.on_hold = Some(what == "hold");
            change.hold_document = document(base, map)?;
        }
        "announce" => {
            let missing = || Problem::new(map.line, "`announce` needs `to`: the path of a sound");
            change.announcement = Some(document(base, map)?.ok_or_else(missing)?);
        }
        _ => change.kick = true,
    }
    Ok(change)
}

/// The document at the path in `to`.
fn document(base: &Url, map: &Map<'_>) -> Result<Option<Document>, Problem> {
    let Some(to) = map.get("to") else {
        return Ok(None);
    };
    Ok(Some(Document {
        url: address(base, to, "to")?,
        method: HttpMethod::Post,
        author: ACCOUNT,
        text: None,
        fallback: None,
        set_in: SetIn::Request,
    }))
}

fn redirect(base: &Url, map: &Map<'_>) -> Result<Redirect, Problem> {
    let document = match (document(base, map)?, map.text("document")?) {
        (Some(at), None) => at,
        (None, Some(text)) => Document::of_text(text, ACCOUNT),
        (Some(_), Some(_)) | (None, None) => {
            let text =
                "`redirect` needs either `to`, the path of the document, or `document`, its text";
            return Err(Problem::new(map.line, text));
        }
    };
    Ok(Redirect {
        document,
        status_callback: None,
        only_in: None,
        move_connected_leg: flag(map, "both")?,
        dialect: None,
    })
}
