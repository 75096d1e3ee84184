//! `patchcord replay`: runs the journal of a call again and shows the first response that differs.
//!
//! **Invariant: no call is placed, no request sent, nothing stored**: the machines run in
//! isolation.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail};
use call_proto::journal::{self, Difference, Line, Verdict};
use model::{ConferenceSid, Lane, MessageSid, Timestamp};
use serde_json::Value;

use crate::calls;
use crate::config::Config;

/// Maximum size of a file.
const MAX_BYTES: u64 = 64 << 20;

/// Characters of a command shown before and after the first one that differs.
const AROUND: usize = 200;

/// Replays the journal of a call or conference in the database, in a file, or on standard input
/// (`-`). Returns the result, and whether all responses were the same.
///
/// # Errors
/// If no journal is available.
pub(crate) async fn run(config: &Config, source: &str) -> Result<(String, bool)> {
    let lane = source.parse::<Lane>().ok();
    let lines = match lane {
        Some(lane) => calls::journal(config, lane).await?,
        None => read(source).with_context(|| source.to_owned())?,
    };
    if lines.is_empty() {
        bail!(absence(source, lane));
    }
    let verdict = journal::replay(&lines).with_context(|| source.to_owned())?;
    Ok(match verdict {
        Verdict::Identical { steps, complete } => {
            let cut = if complete {
                ""
            } else {
                "; the rest was not recorded"
            };
            (format!("{steps} steps, identical{cut}\n"), true)
        }
        Verdict::Differs(difference) => (text_of(&difference, start_of(&lines)), false),
    })
}

/// Why there is no journal. That of a conference is looked up without its record.
fn absence(source: &str, lane: Option<Lane>) -> String {
    match lane {
        Some(lane) if ConferenceSid::try_from(lane).is_ok() => format!(
            "there is no conference {source} in this database, or it has not ended yet, or its server ended before it \
             could store the journal"
        ),
        Some(lane) if MessageSid::try_from(lane).is_ok() => format!(
            "{source}: messages have no journal; `patchcord replay` takes a call or a conference"
        ),
        Some(_) | None => format!("{source}: there is no journal"),
    }
}

fn read(source: &str) -> Result<Vec<Line>> {
    let mut json = String::new();
    if source == "-" {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut json)?;
    } else {
        let file = std::fs::File::open(source)?;
        file.take(MAX_BYTES).read_to_string(&mut json)?;
    }
    journal_of(&json)
}

/// The journal from the output of `patchcord calls show --json`, or the journal alone.
fn journal_of(json: &str) -> Result<Vec<Line>> {
    let lines = match serde_json::from_str(json).context("this is not JSON")? {
        Value::Array(lines) => lines,
        Value::Object(mut export) => match export.remove("journal") {
            Some(Value::Array(lines)) => lines,
            Some(_) | None => bail!(NO_JOURNAL),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => bail!(NO_JOURNAL),
    };
    let line = |(at, line): (usize, Value)| {
        // The JSON reader's message is about our types.
        serde_json::from_value(line)
            .map_err(|_| anyhow!("line {} of the journal cannot be read", at + 1))
    };
    lines.into_iter().enumerate().map(line).collect()
}

const NO_JOURNAL: &str =
    "this is neither what `patchcord calls show CA… --json` prints nor a journal";

fn start_of(lines: &[Line]) -> Timestamp {
    match lines.first() {
        Some(Line::Start(opening)) => opening.at(),
        _ => Timestamp(0),
    }
}

fn text_of(difference: &Difference, start: Timestamp) -> String {
    let Difference {
        step,
        at,
        input,
        expected,
        got,
    } = difference;
    let ms = at.since(start).as_millis();
    let nothing = "nothing".to_owned();
    let (expected, got) = (expected.as_ref(), got.as_ref());
    let (expected, got) = (expected.unwrap_or(&nothing), got.unwrap_or(&nothing));
    let same = expected
        .chars()
        .zip(got.chars())
        .take_while(|(a, b)| a == b)
        .count();
    format!(
        "step {step} differs, {}.{:03} s after the start ({})\n  input    {}\n  expected {}\n  got      {}\n",
        ms / 1_000,
        ms % 1_000,
        at.iso8601(),
        around(input, 0),
        around(expected, same),
        around(got, same),
    )
}

/// A text around one of its characters.
fn around(text: &str, place: usize) -> String {
    let from = place.saturating_sub(AROUND);
    let mut shown: String = text.chars().skip(from).take(2 * AROUND).collect();
    if from > 0 {
        shown.insert(0, '…');
    }
    if text.chars().nth(from + 2 * AROUND).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use call_proto::journal::Recorder;
    use call_proto::{
        Command, Dialect, Document, Event, FetchFailure, Inbound, LegEvent, RecordingAddress,
        Script, SetIn, Settings,
    };
    use model::{AccountSid, HttpMethod, InstanceSid};
    use store::{SecretKey, Store};

    use super::*;
    use crate::config;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_unknown_conference_is_not_said_to_exist() {
        let folder = tempfile::tempdir().unwrap();
        let flags = config::Flags {
            data: Some(folder.path().display().to_string()),
            ..config::Flags::default()
        };
        let config = config::load(&flags, std::iter::empty()).unwrap();
        let url = format!("sqlite:{}", folder.path().join("patchcord.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        store.close().await;
        let conference = ConferenceSid::from_bytes([1; 16]).to_string();
        let message = MessageSid::from_bytes([1; 16]).to_string();
        for (sid, expected) in [
            (
                &conference,
                format!("there is no conference {conference} in this database, or it"),
            ),
            (&message, format!("{message}: messages have no journal")),
        ] {
            let error = run(&config, sid).await.unwrap_err().to_string();
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    /// An exported call whose application cannot be reached.
    fn export() -> serde_json::Value {
        let settings = Arc::new(Settings {
            instance: InstanceSid::from_bytes([1; 16]),
            recording_address: RecordingAddress(Arc::new(|_, _, sid| sid.to_string())),
            max_redirects: 20,
            null_strings: false,
            screening_releases_both: false,
            recording_wait: Duration::from_secs(5),
            type_ahead: true,
        });
        let document = Document {
            author: AccountSid::from_bytes([2; 16]),
            url: "http://app/v".to_owned(),
            method: HttpMethod::Post,
            text: None,
            fallback: None,
            set_in: SetIn::Number,
        };
        let inbound = Inbound {
            max_forwards: 70,
            account: AccountSid::from_bytes([2; 16]),
            from: "kim".to_owned(),
            to: "1000".to_owned(),
            caller_name: None,
            forwarded_from: None,
            headers: Vec::new(),
            sip_call_id: "a".to_owned(),
            number: None,
            sdp: Some("offer".to_owned()),
            script: Script::Document(document),
            status_callback: None,
            refer: None,
            contact: None,
            dialect: Dialect::RESTCOMM,
        };
        let start = Timestamp::from_millis(1_000_000);
        let (mut call, sid) = Recorder::inbound(settings, inbound, 7, start);
        let asked =
            call.poll_commands()
                .into_iter()
                .find_map(|addressed| match addressed.command {
                    Command::Fetch { req, .. } => Some(req),
                    _ => None,
                });
        let failure = FetchFailure {
            code: 11205,
            text: "nobody listens".to_owned(),
        };
        let answer = Event::Fetched {
            req: asked.unwrap(),
            result: Err(failure),
        };
        call.handle(sid, answer, start + Duration::from_millis(1_234));
        while !call.poll_commands().is_empty() {}
        for event in [LegEvent::Acked { sdp: None }, LegEvent::ByeDone] {
            call.handle(sid, Event::Leg(event), start + Duration::from_secs(2));
            while !call.poll_commands().is_empty() {}
        }
        assert!(call.family().is_finished());
        serde_json::json!({ "call": {}, "journal": call.take_lines() })
    }

    async fn replayed(export: &serde_json::Value) -> Result<(String, bool)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), export.to_string()).unwrap();
        let config = crate::config::load(&crate::config::Flags::default(), std::iter::empty());
        run(&config.unwrap(), &file.path().display().to_string()).await
    }

    #[tokio::test]
    async fn an_export_replays() {
        let export = export();
        let (text, same) = replayed(&export).await.unwrap();
        assert_eq!((text.as_str(), same), ("4 steps, identical\n", true));
        let (text, _) = replayed(&export["journal"]).await.unwrap();
        assert_eq!(text, "4 steps, identical\n");
    }

    #[tokio::test]
    async fn the_first_difference_is_shown() {
        let export = export()
            .to_string()
            .replace("document-fetch", "document-sketch");
        let export = export.replace("DocumentFetch", "DocumentSketch");
        let export: serde_json::Value = serde_json::from_str(&export).unwrap();
        let (text, same) = replayed(&export).await.unwrap();
        assert!(!same);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("step 1 differs, 1.234 s after the start"),
            "{text}"
        );
        assert!(lines[1].contains("Fetched"), "{text}");
        assert!(lines[2].contains("DocumentSketch"), "{text}");
        assert!(lines[3].contains("DocumentFetch"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_in_plain_words() {
        let table = [
            ("{}", NO_JOURNAL),
            ("7", NO_JOURNAL),
            ("{\"journal\": 7}", NO_JOURNAL),
            ("{", "this is not JSON"),
            ("[{\"timeout\": 1}]", "line 1 of the journal cannot be read"),
        ];
        for (json, expected) in table {
            let said = format!("{:#}", journal_of(json).unwrap_err());
            assert!(said.starts_with(expected), "{json}: {said}");
            assert!(!said.contains("untagged"), "{json}: {said}");
        }
    }

    #[tokio::test]
    async fn what_is_no_journal_is_refused() {
        for text in ["{}", "[]", "[\"cut\"]", "{\"journal\":[]}", "nonsense"] {
            let value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
            assert!(replayed(&value).await.is_err(), "{text}");
        }
    }
}
