//! Reports what happened, for people and for tools: lines of text, JSON, JUnit XML.
//!
//! **Invariant: only virtual time is reported, so two runs give the same bytes.**

use std::fmt::Write as _;

use model::record::Notification;
use serde_json::{Value, json};

use crate::expected::seconds;
use crate::run::{Happened, Run};

/// A script that was run.
#[derive(Debug)]
pub struct Rehearsed {
    /// The script's file.
    pub file: String,
    /// The script's name, if it has one.
    pub name: Option<String>,
    /// The outcome.
    pub run: Run,
}

impl Rehearsed {
    fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.file)
    }
}

/// A few lines: whether it passed, every unmet expectation, and the notifications to the account.
/// If no verb ran, the notifications come first, because they say why.
///
/// - `colours`: for a terminal.
#[must_use]
pub fn text(rehearsed: &Rehearsed, colours: bool) -> String {
    let Rehearsed { file, run, .. } = rehearsed;
    let mut out = String::new();
    let word = match (run.passed(), colours) {
        (true, false) => "ok    ",
        (false, false) => "FAILED",
        (true, true) => "\x1b[32mok\x1b[0m    ",
        (false, true) => "\x1b[1;31mFAILED\x1b[0m",
    };
    let length = format!("{} of call time", seconds(run.length));
    // Writing to a `String` cannot fail.
    let _ = match &rehearsed.name {
        Some(name) => writeln!(out, "{word} {file}: {name} ({length})"),
        None => writeln!(out, "{word} {file} ({length})"),
    };
    let failures = run.failures.iter();
    let failures = failures.map(|failure| format!("{file}:{}: {}", failure.line, failure.text));
    let (failures, told) = (failures.collect(), notifications(run));
    let lines: [Vec<String>; 2] = if run.verbs.is_empty() {
        [told, failures]
    } else {
        [failures, told]
    };
    for line in lines.concat() {
        let _ = writeln!(out, "       {line}");
    }
    out
}

/// A line for each notification, with its place in the document.
fn notifications(run: &Run) -> Vec<String> {
    let line = |told: &Notification| {
        // The text of some names it already.
        let document = told.request_url.as_deref();
        let document = document.filter(|url| !told.text.contains(*url));
        let place = match (told.line, told.column) {
            (Some(line), Some(column)) => Some(format!("line {line}, column {column}")),
            (Some(line), None) => Some(format!("line {line}")),
            (None, _) => None,
        };
        let place = match (document, place) {
            (Some(url), Some(place)) => format!(" ({url}, {place})"),
            (Some(url), None) => format!(" ({url})"),
            (None, Some(place)) => format!(" (document, {place})"),
            (None, None) => String::new(),
        };
        format!("notification {}: {}{place}", told.code, told.text)
    };
    run.notifications.iter().map(line).collect()
}

/// The last line.
#[must_use]
pub fn summary(all: &[Rehearsed]) -> String {
    let passed = all.iter().filter(|one| one.run.passed()).count();
    format!("{passed} passed, {} failed\n", all.len() - passed)
}

/// All results, as JSON.
#[must_use]
pub fn json(all: &[Rehearsed]) -> Value {
    let scripts: Vec<Value> = all.iter().map(one).collect();
    let passed = all.iter().filter(|one| one.run.passed()).count();
    json!({ "passed": passed, "failed": all.len() - passed, "scripts": scripts })
}

fn one(rehearsed: &Rehearsed) -> Value {
    let run = &rehearsed.run;
    let failures: Vec<Value> = run
        .failures
        .iter()
        .map(|failure| json!({ "line": failure.line, "text": failure.text }))
        .collect();
    let asked = |asked: &crate::Asked| {
        let params: Vec<Value> = asked
            .params
            .iter()
            .map(|(name, value)| json!([name, value]))
            .collect();
        json!({
            "at_ms": millis(asked.at.since(run.started)),
            "leg": asked.call.map(|call| run.name(call)),
            "method": asked.method,
            "url": asked.url,
            "params": params,
        })
    };
    let legs: Vec<Value> = run
        .legs
        .iter()
        .map(|leg| json!({ "name": leg.name, "record": leg.record }))
        .collect();
    let happened = |happened: &Happened| {
        json!({
            "at_ms": millis(happened.at.since(run.started)),
            "leg": run.name(happened.call),
            "what": happened.what,
        })
    };
    json!({
        "file": rehearsed.file,
        "name": rehearsed.name,
        "passed": run.passed(),
        "failures": failures,
        "length_ms": millis(run.length),
        "verbs": run.verbs,
        "requests": run.requests.iter().map(asked).collect::<Vec<_>>(),
        "callbacks": run.callbacks.iter().map(asked).collect::<Vec<_>>(),
        "legs": legs,
        "recordings": run.recordings,
        "messages": run.messages,
        "emails": run.emails,
        "conferences": run.conferences,
        "sent": run.sent.iter().map(happened).collect::<Vec<_>>(),
        "heard": run.heard.iter().map(happened).collect::<Vec<_>>(),
        "notifications": run.notifications,
        "trace": run.trace,
    })
}

fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// All results, as JUnit XML: one suite, one case per script, with its ladder as output.
#[must_use]
pub fn junit(all: &[Rehearsed], draw: impl Fn(&Run) -> String) -> String {
    let failed = all.iter().filter(|one| !one.run.passed()).count();
    let total: std::time::Duration = all.iter().map(|one| one.run.length).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites>\n<testsuite name=\"patchcord test\" tests=\"{}\" failures=\"{failed}\" \
         errors=\"0\" time=\"{}\">",
        all.len(),
        plain_seconds(total),
    );
    for rehearsed in all {
        let run = &rehearsed.run;
        let _ = writeln!(
            out,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{}\">",
            escaped(&rehearsed.file),
            escaped(rehearsed.title()),
            plain_seconds(run.length),
        );
        if let Some(first) = run.failures.first() {
            let lines: Vec<String> = run
                .failures
                .iter()
                .map(|failure| format!("{}:{}: {}", rehearsed.file, failure.line, failure.text))
                .collect();
            let _ = writeln!(
                out,
                "<failure message=\"{}\">{}</failure>",
                escaped(&first.text),
                escaped(&lines.join("\n")),
            );
        }
        let _ = writeln!(out, "<system-out>{}</system-out>", escaped(&draw(run)));
        out.push_str("</testcase>\n");
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

fn plain_seconds(length: std::time::Duration) -> String {
    let ms = length.as_millis();
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// A text for XML 1.0, which has no place for control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}
