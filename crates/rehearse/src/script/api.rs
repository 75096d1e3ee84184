//! What the API does to the call while it is in progress.
//!
//! **Invariant: each step names its time and its leg.**

use std::time::Duration;

use call_proto::{
    CallbackTarget, Document, Interjection, Modify, NewRecording, ParticipantChange, Pause,
    RecordingChange, Redirect, SetIn, Sides, Turn,
};
use model::{ConferenceSid, HttpMethod, RecordingEvent};
use url::Url;

use super::application::address;
use crate::Problem;
use crate::read::{self, Map};
use crate::scene::Does;
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
    pub(crate) does: Does,
    /// Whether the API is expected to refuse it.
    pub(crate) refused: bool,
}

pub(super) fn read(base: &Url, node: &Node) -> Result<Vec<ApiStep>, Problem> {
    let items = read::list(node, "api")?.iter();
    read::all(items.map(|node| step(base, node)))
}

fn step(base: &Url, node: &Node) -> Result<ApiStep, Problem> {
    const STEPS: &[&str] = &[
        "complete", "cancel", "redirect", "mute", "unmute", "hold", "unhold", "announce", "remove",
        "record", "pause", "resume", "stop", "say", "play", "press",
    ];
    /// Further keys, each with the steps that it belongs to.
    const MORE: &[(&str, &[&str])] = &[
        ("to", &["redirect", "hold", "announce", "play"]),
        ("text", &["say"]),
        ("keys", &["press"]),
        ("both", &["redirect"]),
        ("document", &["redirect"]),
        ("channels", &["record"]),
        ("track", &["record"]),
        ("callback", &["record"]),
        ("events", &["record"]),
        ("behavior", &["pause"]),
        ("of", &["pause", "resume", "stop"]),
    ];
    let further = MORE.iter().map(|(name, _)| *name);
    let known: Vec<&str> = ["at", "refused"]
        .into_iter()
        .chain(STEPS.iter().copied())
        .chain(further)
        .collect();
    let map = Map::of(node, "api", &known)?;
    let missing = || Problem::new(map.line, "a step of the `api` needs `at`: the time");
    let at = map.duration("at")?.ok_or_else(missing)?;
    let (what, leg) = map.one_of(STEPS)?;
    for (name, steps) in MORE {
        if !steps.contains(&what)
            && let Some(node) = map.get(name)
        {
            let steps: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
            let steps = match steps.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, others)) => format!("{} and {last}", others.join(", ")),
                None => String::new(),
            };
            let text = format!("`{name}` belongs to {steps}");
            return Err(Problem::new(node.line, text));
        }
    }
    let does = match what {
        "complete" => Does::Modify(Modify::Complete),
        "cancel" => Does::Modify(Modify::Cancel),
        "redirect" => Does::Modify(Modify::Redirect(Box::new(redirect(base, &map)?))),
        "say" | "play" | "press" => {
            let interjection = interjection(what, base, &map)?;
            Does::Modify(Modify::Interject(Box::new(interjection)))
        }
        "record" => Does::Modify(Modify::Record(Box::new(recording(base, &map)?))),
        "pause" | "resume" | "stop" => change_of_recording(what, &map)?,
        _ => Does::Modify(Modify::Participant(Box::new(participant(
            what, base, &map,
        )?))),
    };
    Ok(ApiStep {
        line: map.line,
        at,
        leg: read::text(leg, what)?,
        does,
        refused: flag(&map, "refused")?,
    })
}

/// What the leg hears at once, or the keys pressed towards it.
fn interjection(what: &str, base: &Url, map: &Map<'_>) -> Result<Interjection, Problem> {
    let missing =
        |key: &str, sense: &str| Problem::new(map.line, format!("`{what}` needs `{key}`: {sense}"));
    Ok(match what {
        "say" => {
            let text = map.text("text")?;
            let text = text.ok_or_else(|| missing("text", "the words"))?;
            let spoken = Interjection::say(ACCOUNT, &text, false, None);
            spoken.ok_or_else(|| missing("text", "the words"))?
        }
        "play" => {
            let to = map.get("to");
            let to = to.ok_or_else(|| missing("to", "the path of a sound"))?;
            Interjection::play(ACCOUNT, address(base, to, "to")?)
        }
        _ => {
            let keys = map.text("keys")?;
            Interjection::keys(
                ACCOUNT,
                keys.ok_or_else(|| missing("keys", "those to press"))?,
            )
        }
    })
}

/// The keys that describe a recording.
pub(super) const OF_RECORDING: &[&str] = &["channels", "track", "callback", "events"];

/// A recording of both sides on one channel, of which no event is reported.
pub(super) const fn plain_recording() -> NewRecording {
    NewRecording {
        sides: Sides::Mixed,
        trim: false,
        callback: None,
    }
}

/// A recording that the API starts.
pub(super) fn recording(base: &Url, map: &Map<'_>) -> Result<NewRecording, Problem> {
    let is_dual = match map.get("channels") {
        Some(node) => read::word(node, "channels", &[("mono", false), ("dual", true)])?,
        None => false,
    };
    let mixed = if is_dual { Sides::Apart } else { Sides::Mixed };
    let sides = match map.get("track") {
        Some(node) => {
            let one = [("inbound", Sides::Inbound), ("outbound", Sides::Outbound)];
            let sides = read::word(node, "track", &[one[0], one[1], ("both", mixed)])?;
            if is_dual && sides != Sides::Apart {
                let text = "one `track` has one channel; it cannot be combined with `dual`";
                return Err(Problem::new(node.line, text));
            }
            sides
        }
        None => mixed,
    };
    let callback = match map.get("callback") {
        Some(node) => Some(CallbackTarget {
            url: address(base, node, "callback")?,
            method: HttpMethod::Post,
            author: ACCOUNT,
        }),
        None => None,
    };
    let mut events = Vec::new();
    if let Some(node) = map.get("events") {
        for word in read::text(node, "events")?.split_whitespace() {
            let unknown = || Problem::new(node.line, format!("there is no event `{word}`"));
            events.push(word.parse().map_err(|_| unknown())?);
        }
    }
    if events.is_empty() {
        events.push(RecordingEvent::Completed);
    }
    Ok(NewRecording {
        sides,
        trim: false,
        callback: callback.map(|target| (target, events)),
    })
}

/// A change of the newest recording of the leg, or of its conference.
fn change_of_recording(what: &str, map: &Map<'_>) -> Result<Does, Problem> {
    let turn = match (what, map.get("behavior")) {
        ("pause", Some(node)) => {
            let words = [("silence", Pause::Silence), ("skip", Pause::Skip)];
            Turn::Pause(read::word(node, "behavior", &words)?)
        }
        ("pause", None) => Turn::Pause(Pause::Silence),
        ("resume", _) => Turn::Resume,
        _ => Turn::Stop,
    };
    let change = RecordingChange {
        recording: None,
        turn,
    };
    let is_of_conference = match map.get("of") {
        Some(node) => read::word(node, "of", &[("call", false), ("conference", true)])?,
        None => false,
    };
    Ok(if is_of_conference {
        Does::OfConference(change)
    } else {
        Does::Modify(Modify::Recording(change))
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
