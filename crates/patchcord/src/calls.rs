//! `patchcord calls`: what is on record about calls, and why they went as they did.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use call_proto::Entry;
use call_proto::journal::Line;
use model::record::CallRecord;
use model::text::one_line;
use model::{CallSid, Direction, Lane, Timestamp};
use rehearse::recorded::Keys;
use serde_json::json;
use store::{Inspect, RecentCalls};

use crate::config::Config;
use crate::ladder::{self, Style};
use crate::usage::WrongUsage;
use crate::{live, screen};

/// How long the server usually takes to store the trace of a call that has ended.
const STORING: Duration = Duration::from_secs(1);
/// How long it takes at most: what a call leaves behind, such as a text message in transit, is awaited first. A server that
/// was alive for longer has stored the trace.
const STORED: Duration = Duration::from_secs(120);

/// Prints one call as a ladder, or its trace as JSON; that of a live call as far as it is known.
///
/// # Errors
/// If the database cannot be read, or has no such call.
pub(crate) async fn show(
    config: &Config,
    sid: CallSid,
    as_json: bool,
    style: Style,
) -> Result<String> {
    let found = recorded(config, sid).await?;
    let live = match found.blob {
        Some(_) => None,
        None => found.live(config).await,
    };
    let recorded = if live.is_some() || found.blob.is_some() {
        found
    } else {
        // It may have ended after the first look.
        recorded(config, sid).await?
    };
    let blob = live.as_ref().or(recorded.blob.as_ref());
    let absence = match (blob, recorded.root.ended) {
        (Some(_), _) => None,
        (None, None) if recorded.server.runs => Some(
            "no trace: the server that runs the call cannot be reached through this data folder",
        ),
        (None, _) => Some(recorded.absence()),
    };
    let (entries, journal) = match blob {
        Some(blob) => (trace_in(blob)?, journal_in(blob)?),
        None => (Vec::new(), Vec::new()),
    };
    let Recorded { root, children, .. } = &recorded;
    if as_json {
        return json_of(root, children, &entries, &journal);
    }
    let mut text = text_of(root, children, &entries, style);
    let last = absence.or(live.is_some().then_some("the call is not over yet"));
    if let Some(last) = last {
        text += &format!("\n{last}\n");
    }
    Ok(text)
}

/// Makes a script of `patchcord test` from one call.
///
/// # Errors
/// If the database cannot be read, or has no such call, or the call has no trace.
pub(crate) async fn script(config: &Config, sid: CallSid, keys: Keys) -> Result<String> {
    let recorded = recorded(config, sid).await?;
    let Some(blob) = &recorded.blob else {
        return Err(WrongUsage(recorded.absence().to_owned()).into());
    };
    let (entries, journal) = (trace_in(blob)?, journal_in(blob)?);
    let Recorded { root, children, .. } = &recorded;
    let script = rehearse::recorded::script(root, children, &entries, &journal, keys);
    Ok(script?)
}

/// A root call with everything on record.
struct Recorded {
    root: CallRecord,
    children: Vec<CallRecord>,
    /// The row of the trace, in which the journal is too.
    blob: Option<Vec<u8>>,
    server: Server,
}

/// The server that runs or ran a call.
#[derive(Clone, Copy)]
struct Server {
    /// Whether it is alive, and may still store a trace.
    runs: bool,
    /// When it was last heard of.
    heard: Option<Timestamp>,
}

impl Recorded {
    /// The trace and the journal as far as the server that runs the call has them.
    async fn live(&self, config: &Config) -> Option<Vec<u8>> {
        // A leg that is over may be forgotten while others of its family live.
        let legs = std::iter::once(&self.root).chain(&self.children);
        live::trace(&config.server.data, legs.map(|leg| leg.sid)).await
    }

    /// Why there is no trace, if there is none.
    fn absence(&self) -> &'static str {
        absence(&self.root, &self.children, self.server)
    }
}

fn trace_in(blob: &[u8]) -> Result<Vec<Entry>> {
    call::unpack_trace(blob).context("the trace cannot be read")
}

fn journal_in(blob: &[u8]) -> Result<Vec<Line>> {
    call::unpack_journal(blob).context("the journal cannot be read")
}

/// Why a call has no trace.
fn absence(root: &CallRecord, children: &[CallRecord], server: Server) -> &'static str {
    let ends = std::iter::once(root).chain(children).map(|leg| leg.ended);
    // `None` if a leg is still open.
    let over = ends.reduce(|one, other| Some(one?.max(other?))).flatten();
    let is_stored = over
        .zip(server.heard)
        .is_some_and(|(over, heard)| over + STORED < heard);
    match (over, server.runs) {
        _ if is_stored => "the trace was removed: its retention time is over, or it was erased",
        (None, true) => "no trace yet: it is stored when the call is over",
        (Some(_), true) => {
            "no trace: it is stored within a minute of the end of the call, and may have been removed since"
        }
        (_, false) => "no trace: the server ended before it could store it",
    }
}

/// The trace of a call; that of one that has just ended may be on its way.
async fn trace(inspect: &Inspect, root: &CallRecord) -> Result<Option<Vec<u8>>> {
    let give_up = Instant::now() + STORING;
    let may_come = root.ended.is_some() && inspect.server_runs(root, crate::now()).await?;
    loop {
        let found = inspect.trace(root.sid.into()).await?;
        if found.is_some() || !may_come || Instant::now() >= give_up {
            return Ok(found);
        }
        tokio::time::sleep(STORING / 20).await;
    }
}

async fn recorded(config: &Config, sid: CallSid) -> Result<Recorded> {
    family(&open(config).await?, sid).await
}

/// The family of a leg.
async fn family(inspect: &Inspect, sid: CallSid) -> Result<Recorded> {
    let root = root_of(inspect, sid).await?;
    let children = inspect.descendants(root.sid).await?;
    let blob = trace(inspect, &root).await?;
    Ok(Recorded {
        server: Server {
            runs: inspect.server_runs(&root, crate::now()).await?,
            heard: inspect.server_heard(&root).await?,
        },
        root,
        children,
        blob,
    })
}

/// The journal of a conference or a message, or of the family that a call belongs to; empty if
/// there is none.
///
/// # Errors
/// If the database cannot be read, or has no such call.
pub(crate) async fn journal(config: &Config, lane: Lane) -> Result<Vec<Line>> {
    let inspect = open(config).await?;
    let found = match CallSid::try_from(lane) {
        Ok(call) => {
            let family = family(&inspect, call).await?;
            if family.blob.is_none() {
                return Err(WrongUsage(family.absence().to_owned()).into());
            }
            family.blob
        }
        Err(_) => inspect.trace(lane).await?,
    };
    match found {
        Some(blob) => journal_in(&blob),
        None => Ok(Vec::new()),
    }
}

/// The leg that began the family of a leg.
async fn root_of(inspect: &Inspect, sid: CallSid) -> Result<CallRecord> {
    inspect.root(sid).await?.ok_or_else(|| {
        let text = format!(
            "there is no call {sid} in this database; `patchcord calls list` shows the newest"
        );
        WrongUsage(text).into()
    })
}

/// Prints the newest calls that are chosen.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn list(config: &Config, which: &RecentCalls, as_json: bool) -> Result<String> {
    let rows = open(config).await?.calls(which).await?;
    if as_json {
        let all = json!({ "calls": rows.items, "total": rows.total });
        return Ok(format!("{}\n", serde_json::to_string_pretty(&all)?));
    }
    if rows.total == 0 {
        return Ok("no matching calls\n".to_owned());
    }
    let shown = rows.items.len();
    let mut text: String = rows.items.iter().map(line).collect();
    text += &format!("{shown} of {}", rows.total);
    if rows.total > which.limit {
        text += "; `--limit N` shows more";
    }
    text.push('\n');
    Ok(screen::list(&text))
}

/// Opens the database of the server with this configuration.
pub(crate) async fn open(config: &Config) -> Result<Inspect> {
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => {
            let file = config.server.data.join("patchcord.db");
            reachable(&config.server.data, &file)?;
            format!("sqlite:{}", file.display())
        }
    };
    Ok(Inspect::open(&url).await?)
}

/// Whether the embedded database can be used, in words that say what to do if not.
pub(crate) fn reachable(data: &Path, file: &Path) -> Result<(), WrongUsage> {
    let shown = data.display();
    let advice = "run this in the server's folder, or name the folder with `--data`";
    match OpenOptions::new().read(true).write(true).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && !data.exists() => {
            let text = format!("the data folder `{shown}` does not exist; {advice}");
            Err(WrongUsage(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(WrongUsage(format!(
            "there is no database in {shown}; {advice}"
        ))),
        // SQLite notes in its folder who reads.
        Err(error) => Err(WrongUsage(format!(
            "this user cannot write {} ({error}), which SQLite needs even for reading; run this as the user of \
             the server, or on a copy of the folder",
            file.display()
        ))),
    }
}

fn json_of(
    root: &CallRecord,
    children: &[CallRecord],
    entries: &[Entry],
    journal: &[Line],
) -> Result<String> {
    let all = json!({
        "call": root,
        "children": children,
        "trace": entries,
        "journal": journal,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

fn text_of(root: &CallRecord, children: &[CallRecord], entries: &[Entry], style: Style) -> String {
    let legs = || std::iter::once(root).chain(children);
    let name = |sid: CallSid| {
        let leg = legs().find(|record| record.sid == sid);
        leg.map_or_else(
            // One of the phones that the first leg rings has no record.
            || heading(root.direction, &root.from, &root.to).to_owned(),
            |leg| heading(leg.direction, &leg.from, &leg.to).to_owned(),
        )
    };
    let mut text: String = legs().map(block).collect();
    if !entries.is_empty() {
        text.push('\n');
        text.push_str(&ladder::draw(entries, name, style));
    }
    text
}

/// The heading of a leg's lifeline: the party at its other end.
fn heading<'a>(direction: Direction, from: &'a str, to: &'a str) -> &'a str {
    match direction {
        Direction::Inbound => from,
        Direction::OutboundApi | Direction::OutboundDial => to,
    }
}

/// A leg on lines of its own, short enough for a terminal.
fn block(call: &CallRecord) -> String {
    let Told {
        outcome, counts, ..
    } = Told::of(call);
    let counts = counts.map_or_else(String::new, |counts| format!("  {counts}\n"));
    let parties = one_line(&format!("{} -> {}  {outcome}", call.from, call.to));
    format!(
        "{}  {}  {}\n  {parties}\n{counts}",
        call.created.iso8601(),
        call.sid,
        call.direction,
    )
}

fn line(call: &CallRecord) -> String {
    let Told { outcome, counts } = Told::of(call);
    let counts = counts.map_or_else(String::new, |counts| format!("  [{counts}]"));
    let line = format!(
        "{}  {}  {} -> {}  {}  {outcome}{counts}",
        call.created.iso8601(),
        call.sid,
        call.from,
        call.to,
        call.direction,
    );
    one_line(&line) + "\n"
}

/// What a record says about how a leg went.
struct Told {
    outcome: String,
    /// Of its RTP.
    counts: Option<String>,
}

impl Told {
    fn of(call: &CallRecord) -> Self {
        let mut outcome = call.status.to_string();
        if let Some(seconds) = call.duration_s {
            outcome += &format!(" {seconds} s");
        }
        if let Some(reason) = &call.reason {
            outcome += &format!(" ({reason})");
        }
        if let Some(by) = call.hangup_by {
            outcome += &format!(" by {by}");
        }
        if let Some(said) = &call.sip_reason {
            outcome += &format!(" \"{said}\"");
        }
        Self {
            outcome,
            counts: call.media.as_ref().map(call_proto::counts_text),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::AccountSid;
    use store::{Change, SecretKey, Store};

    use super::*;
    use crate::config;

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let said = async |data: &Path| {
            let flags = config::Flags {
                data: Some(data.display().to_string()),
                ..config::Flags::default()
            };
            let config = config::load(&flags, std::iter::empty()).unwrap();
            let Err(error) = open(&config).await else {
                panic!("it was opened")
            };
            assert!(error.is::<WrongUsage>(), "{error}");
            error.to_string()
        };
        let missing = folder.path().join("patchcord-data");
        let text = said(&missing).await;
        let expected = format!(
            "the data folder `{}` does not exist; run this in the server's folder, or name the folder with `--data`",
            missing.display()
        );
        assert_eq!(text, expected);
        let text = said(folder.path()).await;
        assert!(text.starts_with("there is no database in "), "{text}");
        // A folder in place of the file cannot be written by anybody.
        std::fs::create_dir(folder.path().join("patchcord.db")).unwrap();
        let text = said(folder.path()).await;
        assert!(text.starts_with("this user cannot write "), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_trace_is_promised_only_while_the_server_of_the_call_runs() {
        let folder = tempfile::tempdir().unwrap();
        let flags = config::Flags {
            data: Some(folder.path().display().to_string()),
            ..config::Flags::default()
        };
        let config = config::load(&flags, std::iter::empty()).unwrap();
        let url = format!("sqlite:{}", folder.path().join("patchcord.db").display());
        let key = SecretKey::random();
        let sid = CallSid::from_bytes([1; 16]);
        let said = async || {
            script(&config, sid, Keys::Hidden)
                .await
                .unwrap_err()
                .to_string()
        };
        let server = Store::open(&url, key.clone()).await.unwrap();
        let account = AccountSid::from_bytes([1; 16]);
        let record = CallRecord {
            ended: Some(crate::now()),
            ..testkit::records::call(sid, server.instance(), account, crate::now())
        };
        let created = vec![Change::CallCreated(Box::new(record))];
        server.commit(created).await.unwrap();
        assert_eq!(
            said().await,
            "no trace: it is stored within a minute of the end of the call, and may have been removed since"
        );
        server.close().await;
        let ended = "no trace: the server ended before it could store it";
        assert_eq!(said().await, ended);
        // The next server on the database knows nothing of that call.
        let _next = Store::open(&url, key).await.unwrap();
        assert_eq!(said().await, ended);
    }

    #[test]
    fn a_trace_that_was_stored_is_not_promised_again() {
        let account = AccountSid::from_bytes([1; 16]);
        let minute = Duration::from_secs(60);
        let start = Timestamp::from_millis(1_000_000);
        let leg = |n, ended| CallRecord {
            ended,
            ..testkit::records::call(
                CallSid::from_bytes([n; 16]),
                model::InstanceSid::from_bytes([2; 16]),
                account,
                start,
            )
        };
        let after = |minutes: u32| Some(start + minute * minutes);
        let removed = "the trace was removed: its retention time is over, or it was erased";
        let soon = "no trace: it is stored within a minute of the end of the call, and may have been removed since";
        // The ends of the first leg and of one that it dialled, whether the server runs, when it was last heard of.
        let table = [
            (after(1), after(1), true, after(2), soon),
            (after(1), after(1), true, after(9), removed),
            (after(1), after(1), false, after(9), removed),
            (after(1), after(8), true, after(9), soon),
            (
                after(1),
                None,
                true,
                after(9),
                "no trace yet: it is stored when the call is over",
            ),
            (
                after(1),
                after(1),
                false,
                after(2),
                "no trace: the server ended before it could store it",
            ),
            (
                after(1),
                after(1),
                false,
                None,
                "no trace: the server ended before it could store it",
            ),
        ];
        for (first, second, runs, heard, expected) in table {
            let server = Server { runs, heard };
            let said = absence(&leg(1, first), &[leg(2, second)], server);
            assert_eq!(said, expected, "{first:?} {second:?} {runs} {heard:?}");
        }
    }

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        let call = CallRecord {
            from: "k\x1b[2Jim".to_owned(),
            to: "ann\r\nbob".to_owned(),
            sip_reason: Some("\u{9b}1m".to_owned()),
            ..testkit::records::call(
                CallSid::from_bytes([1; 16]),
                model::InstanceSid::from_bytes([2; 16]),
                model::AccountSid::from_bytes([3; 16]),
                model::Timestamp(0),
            )
        };
        for (text, lines) in [(line(&call), 1), (block(&call), 2)] {
            assert!(
                text.contains("k\u{fffd}[2Jim -> ann\u{fffd}\u{fffd}bob  "),
                "{text:?}"
            );
            assert!(text.ends_with("\"\u{fffd}1m\"\n"), "{text:?}");
            assert_eq!(text.lines().count(), lines, "{text:?}");
        }
    }

    #[test]
    fn a_column_is_headed_with_the_party_at_the_other_end() {
        let table = [
            (Direction::Inbound, "kim"),
            (Direction::OutboundDial, "ann"),
            (Direction::OutboundApi, "ann"),
        ];
        for (direction, expected) in table {
            assert_eq!(heading(direction, "kim", "ann"), expected);
        }
    }
}
