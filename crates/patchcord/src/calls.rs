//! `patchcord calls`: what is on record about calls, and why they went as they did.

use anyhow::{Context, Result, bail};
use call_proto::Entry;
use model::CallSid;
use model::record::CallRecord;
use serde_json::json;
use store::Inspect;

use crate::config::Config;
use crate::ladder;

/// Calls in a list.
const NEWEST: i64 = 20;

/// Prints one call as a ladder, or its trace as JSON.
///
/// # Errors
/// If the database cannot be read, or has no such call.
pub(crate) async fn show(config: &Config, sid: &str, as_json: bool) -> Result<String> {
    let sid: CallSid = sid
        .parse()
        .with_context(|| "write the call as `CA` and 32 digits")?;
    let inspect = open(config).await?;
    let Some(asked) = inspect.call(sid).await? else {
        bail!("there is no call {sid} in this database; `patchcord calls list` shows the newest");
    };
    let root = match asked.parent {
        Some(parent) => inspect.call(parent).await?.unwrap_or(asked),
        None => asked,
    };
    let children = inspect.children(root.sid).await?;
    let entries = match inspect.trace(root.sid).await? {
        Some(blob) => call::unpack_trace(&blob).context("the trace cannot be read")?,
        None => Vec::new(),
    };
    Ok(if as_json {
        json_of(&root, &children, &entries)?
    } else {
        text_of(&root, &children, &entries)
    })
}

/// Prints the newest calls.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn list(config: &Config) -> Result<String> {
    let calls = open(config).await?.newest(NEWEST).await?;
    if calls.is_empty() {
        return Ok("no calls yet\n".to_owned());
    }
    Ok(calls.iter().map(line).collect())
}

/// The database that the settings name, to look into.
pub(crate) async fn open(config: &Config) -> Result<Inspect> {
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!(
            "sqlite:{}",
            config.server.data.join("patchcord.db").display()
        ),
    };
    Ok(Inspect::open(&url).await?)
}

fn json_of(root: &CallRecord, children: &[CallRecord], entries: &[Entry]) -> Result<String> {
    let all = json!({ "call": root, "children": children, "trace": entries });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

fn text_of(root: &CallRecord, children: &[CallRecord], entries: &[Entry]) -> String {
    let mut text: String = std::iter::once(root).chain(children).map(line).collect();
    text.push('\n');
    if entries.is_empty() {
        text.push_str("no trace yet: it is stored when the call is over\n");
    }
    let name = |sid: CallSid| {
        let leg = std::iter::once(root)
            .chain(children)
            .find(|record| record.sid == sid);
        leg.map_or_else(
            || sid.to_string(),
            |leg| match leg.parent {
                None => format!("{} (caller)", leg.from),
                Some(_) => leg.to.clone(),
            },
        )
    };
    text.push_str(&ladder::draw(entries, name));
    text
}

fn line(call: &CallRecord) -> String {
    let seconds = call
        .duration_s
        .map_or_else(String::new, |s| format!(" {s} s"));
    let reason = call
        .reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    let by = call
        .hangup_by
        .map_or_else(String::new, |by| format!(" by {by}"));
    let said = call
        .sip_reason
        .as_deref()
        .map_or_else(String::new, |said| format!(" \"{said}\""));
    let media = call.media.as_ref().map_or_else(String::new, |counts| {
        format!("  [{}]", call_proto::counts_text(counts))
    });
    format!(
        "{}  {}  {} -> {}  {}  {}{seconds}{reason}{by}{said}{media}\n",
        call.created.iso8601(),
        call.sid,
        call.from,
        call.to,
        call.direction,
        call.status,
    )
}
