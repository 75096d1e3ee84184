//! The calls that start by themselves: `call` and `caller`, or several below `calls`.
//!
//! **Invariant: there is at least one, and each leg that starts a call has a unique name.**

use std::time::Duration;

use call_proto::{CallbackTarget, Detection, Dialect, Headers, NewRecording};
use model::{DetectionMode, HttpMethod};
use url::Url;

use super::api;
use super::application::address;
use super::headers;
use super::steps::{self, Step};
use crate::Problem;
use crate::read::{self, Map, Problems};
use crate::stage::ACCOUNT;
use crate::yaml::{Node, Value};

/// Default name of the leg that starts the call.
const CALLER: &str = "caller";

/// A call that starts by itself.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Name of the leg that starts it.
    pub(crate) leg: String,
    /// Since the start of the test.
    pub(crate) at: Duration,
    pub(crate) by_api: bool,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Display name of the caller.
    pub(crate) name: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) dialect: Dialect,
    /// How long a call from the API may ring.
    pub(crate) timeout: Duration,
    /// Keys sent after the answer of a call from the API.
    pub(crate) send_digits: Option<String>,
    /// Recording of a call from the API, from its answer on.
    pub(crate) recording: Option<NewRecording>,
    /// How long a call from the API may last after its answer.
    pub(crate) time_limit: Option<Duration>,
    /// What is to be found out about who answers a call from the API.
    pub(crate) detection: Option<Detection>,
    /// Text of its first document, if the API sends it.
    pub(crate) document: Option<String>,
    /// Address of its first document; `None`: the application's.
    pub(crate) start: Option<String>,
    /// What the caller does.
    pub(crate) steps: Vec<Step>,
}

const KEYS: &[&str] = &[
    "from",
    "to",
    "direction",
    "dialect",
    "name",
    "headers",
    "timeout",
    "send_digits",
    "record",
    "time_limit",
    "document",
    "machine_detection",
    "async_amd",
];
/// Additional keys of each of several calls.
const MORE: &[&str] = &["at", "start", "steps"];

/// The calls of a script. A fault in one place does not hide those elsewhere.
pub(super) fn read_all(script: &Map<'_>, base: &Url) -> Result<Vec<Call>, Problem> {
    let mut problems = Problems::default();
    let (one, several) = (script.get("call"), script.get("calls"));
    if let (Some(_), Some(node)) = (one, several) {
        let text = "`call` and `calls` cannot be used together";
        problems.push(Problem::new(node.line, text));
    }
    let calls = match several {
        Some(node) => {
            if let (None, Some(caller)) = (one, script.get("caller")) {
                let text = "`caller` has no meaning beside `calls`: each call has its own `steps`";
                problems.push(Problem::new(caller.line, text));
            }
            read_several(node, base)
        }
        None => read_one(script, base).map(|call| vec![call]),
    };
    problems.and(calls)
}

/// `call` and, even if that is missing, `caller`.
fn read_one(script: &Map<'_>, base: &Url) -> Result<Call, Problem> {
    let mut problems = Problems::default();
    let caller = script.get("caller");
    let steps = caller.map(|node| steps::read(node, "caller"));
    let steps = problems.keep(steps.transpose()).flatten();
    let call = match script.get("call") {
        Some(node) => Map::of(node, "call", KEYS).and_then(|map| read(&map, CALLER, base)),
        None => Err(Problem::new(script.line, "the script needs `call`")),
    };
    Ok(Call {
        steps: steps.unwrap_or_default(),
        ..problems.and(call)?
    })
}

fn read_several(node: &Node, base: &Url) -> Result<Vec<Call>, Problem> {
    let entries = read::entries(node, "calls")?;
    if entries.is_empty() {
        return Err(Problem::new(node.line, "`calls` needs at least one call"));
    }
    let known = [KEYS, MORE].concat();
    let call = |(name, node): &(&str, &Node)| {
        let mut problems = Problems::default();
        let map = Map::with(node, "call", &known, &mut problems)?;
        let at = problems.keep(map.duration("at")).flatten();
        let start = map.get("start").map(|node| address(base, node, "start"));
        let start = problems.keep(start.transpose()).flatten();
        let steps = map.get("steps").map(|node| steps::read(node, "steps"));
        let steps = problems.keep(steps.transpose()).flatten();
        let call = problems.and(read(&map, name, base))?;
        Ok(Call {
            at: at.unwrap_or_default(),
            start,
            steps: steps.unwrap_or_default(),
            ..call
        })
    };
    let entries: Vec<(&str, &Node)> = entries
        .iter()
        .map(|(key, node)| (key.name.as_str(), *node))
        .collect();
    read::all(entries.iter().map(call))
}

fn read(map: &Map<'_>, leg: &str, base: &Url) -> Result<Call, Problem> {
    let by_api = match map.get("direction") {
        Some(node) => read::word(node, "direction", &[("inbound", false), ("api", true)])?,
        None => false,
    };
    let dialects = [("restcomm", Dialect::RESTCOMM), ("twilio", Dialect::TWILIO)];
    let dialect = match map.get("dialect") {
        Some(node) => read::word(node, "dialect", &dialects)?,
        None => Dialect::RESTCOMM,
    };
    if let Some(node) = map.get("timeout").filter(|_| !by_api) {
        let text = "`timeout` is how long a call made by the API may ring; it has no meaning here";
        return Err(Problem::new(node.line, text));
    }
    const OF_THE_API: &[&str] = &[
        "send_digits",
        "record",
        "time_limit",
        "document",
        "machine_detection",
        "async_amd",
    ];
    for name in OF_THE_API {
        if let Some(node) = map.get(name).filter(|_| !by_api) {
            let text = format!("`{name}` belongs to a call with `direction: api`");
            return Err(Problem::new(node.line, text));
        }
    }
    let missing = || Problem::new(map.line, "`call` needs `to`: the number that is called");
    Ok(Call {
        leg: leg.to_owned(),
        at: Duration::ZERO,
        by_api,
        from: map.text("from")?.unwrap_or_else(|| leg.to_owned()),
        to: map.text("to")?.ok_or_else(missing)?,
        name: map.text("name")?,
        headers: match map.get("headers") {
            Some(node) => headers(node)?,
            None => Headers::new(),
        },
        dialect,
        send_digits: map.text("send_digits")?,
        recording: recording(map, base)?,
        time_limit: map.duration("time_limit")?,
        detection: detection(map, base)?,
        document: map.text("document")?,
        timeout: map.duration("timeout")?.unwrap_or(Duration::from_secs(60)),
        start: None,
        steps: Vec::new(),
    })
}

/// `record: true`, or a map that describes the recording.
fn recording(map: &Map<'_>, base: &Url) -> Result<Option<NewRecording>, Problem> {
    let Some(node) = map.get("record") else {
        return Ok(None);
    };
    if let Value::Text(_) = node.value {
        let records = read::word(node, "record", &[("true", true), ("false", false)])?;
        return Ok(records.then(api::plain_recording));
    }
    let map = Map::of(node, "record", api::OF_RECORDING)?;
    api::recording(base, &map).map(Some)
}

/// Machine detection, as the API is asked for it.
fn detection(map: &Map<'_>, base: &Url) -> Result<Option<Detection>, Problem> {
    let callback = map.get("async_amd");
    let Some(node) = map.get("machine_detection") else {
        return match callback {
            Some(node) => {
                let text = "`async_amd` has no meaning without `machine_detection`";
                Err(Problem::new(node.line, text))
            }
            None => Ok(None),
        };
    };
    let modes = [DetectionMode::Enable, DetectionMode::DetectMessageEnd];
    let mode = read::word(
        node,
        "machine_detection",
        &modes.map(|it| (it.as_str(), it)),
    )?;
    let url = callback.map(|node| address(base, node, "async_amd"));
    let target = |url| CallbackTarget {
        url,
        method: HttpMethod::Post,
        author: ACCOUNT,
    };
    Ok(Some(Detection {
        terms: mode.into(),
        holds: callback.is_none(),
        callback: url.transpose()?.map(target),
    }))
}
