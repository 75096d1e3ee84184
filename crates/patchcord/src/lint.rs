//! `patchcord lint`: reads documents as a call would, and shows what is wrong with them.
//!
//! **Invariant: what is found here is what a call that runs the document is told**, with the same
//! numbers and places. An address is asked with the limits that calls have.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use call_proto::Dialect;
use model::{HttpMethod, Level, error};
use rcml::{Finding, LeftOut, MAX_BYTES, ReplyKind};
use serde_json::json;
use webhook::{AddressPolicy, FetchConfig, FetchRequest, Fetcher};

/// Most documents of one folder.
const MAX_FILES: usize = 10_000;

/// Characters of a source line that are shown.
const WIDTH: usize = 100;

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) dialect: Dialect,
    pub(crate) json: bool,
    /// Warnings are neither shown nor counted.
    pub(crate) errors_only: bool,
}

/// A document and what is wrong with it.
struct Checked {
    name: String,
    text: String,
    findings: Vec<Finding>,
    /// What was found beyond these.
    left_out: LeftOut,
}

/// What was found, and whether nothing was.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) clean: bool,
}

/// Looks at files, folders, addresses and, as `-`, standard input.
///
/// # Errors
/// If one of them cannot be read, or a folder has no document.
pub(crate) async fn run(targets: &[String], options: Options) -> Result<Report> {
    let mut documents = Vec::new();
    for target in targets {
        documents.extend(read(target, options).await?);
    }
    if options.errors_only {
        for document in &mut documents {
            document
                .findings
                .retain(|finding| finding.level == Level::Error);
            document.left_out.warnings = 0;
        }
    }
    Ok(Report {
        clean: count(&documents) == (0, 0),
        text: if options.json {
            json_of(&documents)?
        } else {
            documents.iter().map(text_of).collect::<String>() + &summary(&documents)
        },
    })
}

async fn read(target: &str, options: Options) -> Result<Vec<Checked>> {
    if target == "-" {
        let text = text_from(std::io::stdin().lock()).context("standard input")?;
        return Ok(vec![check("-", text, options)]);
    }
    if target.starts_with("http://") || target.starts_with("https://") {
        return Ok(vec![ask(target, options).await?]);
    }
    let path = Path::new(target);
    let paths = if path.is_dir() {
        let found = documents_in(path)?;
        if found.is_empty() {
            bail!("{target}: no *.xml or *.rcml in this folder");
        }
        found
    } else {
        vec![path.to_owned()]
    };
    let check_one = |path: &PathBuf| {
        let name = path.display().to_string();
        let file = fs::File::open(path).with_context(|| name.clone())?;
        let text = text_from(file).with_context(|| name.clone())?;
        Ok(check(&name, text, options))
    };
    paths.iter().map(check_one).collect()
}

fn check(name: &str, text: String, options: Options) -> Checked {
    let (findings, left_out) = call_proto::lint(&text, options.dialect);
    Checked {
        name: name.to_owned(),
        text,
        findings,
        left_out,
    }
}

/// The text of a file, as far as it is needed to see that it is too long.
fn text_from(source: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES as u64 + 8).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The documents of a folder and the folders inside, in a fixed order. Links to folders are not
/// followed.
fn documents_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let name = || folder.display().to_string();
        for entry in fs::read_dir(&folder).with_context(name)? {
            let entry = entry.with_context(name)?;
            let path = entry.path();
            let extension = path.extension().unwrap_or_default();
            if entry.file_type().with_context(name)?.is_dir() {
                folders.push(path);
            } else if extension == "xml" || extension == "rcml" {
                found.push(path);
            }
        }
        if found.len() > MAX_FILES {
            bail!("more than {MAX_FILES} documents");
        }
    }
    found.sort();
    Ok(found)
}

/// Asks an application for the document at an address.
async fn ask(url: &str, options: Options) -> Result<Checked> {
    let shown = model::address::redacted(url);
    let fetcher = Fetcher::new(FetchConfig::default())?;
    let mut request = FetchRequest::new(HttpMethod::Get, url);
    // Whoever types an address may reach it.
    request.policy = AddressPolicy { private_ok: true };
    let answer = fetcher
        .fetch(request)
        .await
        .with_context(|| shown.clone())?;
    if answer.status != 200 {
        bail!("{shown} answered with status {}", answer.status);
    }
    let content_type = answer.content_type.clone().unwrap_or_default();
    Ok(match ReplyKind::of(&content_type) {
        Some(ReplyKind::Xml) => check(&shown, answer.text(), options),
        // A text that is spoken, a sound that is played: nothing can be wrong with it here.
        Some(ReplyKind::Text | ReplyKind::Audio) => Checked {
            name: shown,
            text: String::new(),
            findings: Vec::new(),
            left_out: LeftOut::default(),
        },
        None => Checked {
            name: shown,
            text: String::new(),
            findings: vec![no_document(&content_type)],
            left_out: LeftOut::default(),
        },
    })
}

fn no_document(content_type: &str) -> Finding {
    let message = match content_type {
        "" => "the answer has no content type".to_owned(),
        other => format!(
            "the content type `{}` is not a document type",
            other.escape_debug()
        ),
    };
    Finding {
        code: error::BAD_CONTENT_TYPE,
        level: Level::Warning,
        line: 1,
        column: 1,
        message,
        suggestion: None,
    }
}

impl Checked {
    /// What is shown: the findings, and at the end that there are more. That last one says how many
    /// and is none of them.
    fn shown(&self) -> Vec<Finding> {
        let mut shown = self.findings.clone();
        let LeftOut { errors, warnings } = self.left_out;
        if errors + warnings > 0 {
            shown.push(Finding {
                code: error::MORE_FINDINGS,
                level: if errors > 0 {
                    Level::Error
                } else {
                    Level::Warning
                },
                line: 1,
                column: 1,
                message: format!(
                    "{} and {} more are not listed",
                    number(errors, "error"),
                    number(warnings, "warning")
                ),
                suggestion: None,
            });
        }
        shown
    }
}

fn text_of(document: &Checked) -> String {
    let mut text = String::new();
    for finding in &document.shown() {
        let Finding {
            code,
            level,
            line,
            column,
            message,
            ..
        } = finding;
        let name = &document.name;
        let level = level.as_str();
        let meant = finding
            .suggestion
            .as_ref()
            .map_or_else(String::new, |meant| {
                // Elements are suggested for elements, else names of attributes and values.
                match *code {
                    error::UNKNOWN_VERB | error::BAD_NESTING => {
                        format!(" (did you mean <{meant}>?)")
                    }
                    _ => format!(" (did you mean `{meant}`?)"),
                }
            });
        let _ = writeln!(
            text,
            "{name}:{line}:{column}: {level} {code}: {message}{meant}"
        );
        text.push_str(&marked(&document.text, *line, *column));
    }
    text
}

/// A line of the document with a mark under a column; nothing if there is no such line.
fn marked(text: &str, line: u32, column: u32) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (row, column) = (
        line.saturating_sub(1) as usize,
        column.saturating_sub(1) as usize,
    );
    let Some(line) = text
        .split('\n')
        .nth(row)
        .filter(|line| !line.trim().is_empty())
    else {
        return String::new();
    };
    let from = column.saturating_sub(WIDTH / 2);
    let shown: String = line
        .trim_end()
        .chars()
        .skip(from)
        .take(WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("    {shown}\n    {}^\n", " ".repeat(column - from))
}

fn summary(documents: &[Checked]) -> String {
    let (errors, warnings) = count(documents);
    format!(
        "{}: {}, {}\n",
        number(documents.len(), "document"),
        number(errors, "error"),
        number(warnings, "warning"),
    )
}

fn number(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// Errors and warnings, listed or not.
fn count(documents: &[Checked]) -> (usize, usize) {
    let mut all = (0, 0);
    for Checked {
        findings, left_out, ..
    } in documents
    {
        let is_error = |finding: &&Finding| finding.level == Level::Error;
        let errors = findings.iter().filter(is_error).count();
        all.0 += errors + left_out.errors;
        all.1 += findings.len() - errors + left_out.warnings;
    }
    all
}

fn json_of(documents: &[Checked]) -> Result<String> {
    let finding = |finding: &Finding| {
        let entry = error::entry(finding.code);
        json!({
            "code": finding.code,
            "level": finding.level.as_str(),
            "line": finding.line,
            "column": finding.column,
            "message": finding.message,
            "suggestion": finding.suggestion,
            "advice": entry.map(|entry| entry.advice),
        })
    };
    let document = |document: &Checked| {
        let findings: Vec<_> = document.shown().iter().map(finding).collect();
        json!({ "name": document.name, "findings": findings })
    };
    let (errors, warnings) = count(documents);
    let all = json!({
        "documents": documents.iter().map(document).collect::<Vec<_>>(),
        "errors": errors,
        "warnings": warnings,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;

    const OPTIONS: Options = Options {
        dialect: Dialect::RESTCOMM,
        json: false,
        errors_only: false,
    };

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    /// What is said, with the folder's own name left out.
    async fn lint(folder: &tempfile::TempDir, name: &str, options: Options) -> Report {
        let root = folder.path().join(name).display().to_string();
        let mut report = run(&[root], options).await.unwrap();
        let base = format!("{}/", folder.path().display());
        report.text = report.text.replace(&base, "");
        report
    }

    #[tokio::test]
    async fn shows_line_and_mark() {
        let xml = "<Response>\n\t<say>Grüße</say>\n  <Say>ü</Say><Dail>+1</Dail>\n</Response>\n";
        let folder = folder(&[("a.xml", xml.as_bytes())]);
        let report = lint(&folder, "a.xml", OPTIONS).await;
        let expected = "\
a.xml:2:2: warning 12200: `say` is not a verb; it was skipped (did you mean <Say>?)
     <say>Grüße</say>
     ^
a.xml:3:15: warning 12200: `Dail` is not a verb; it was skipped (did you mean <Dial>?)
      <Say>ü</Say><Dail>+1</Dail>
                  ^
1 document: 0 errors, 2 warnings
";
        assert_eq!((report.text.as_str(), report.clean), (expected, false));
    }

    #[tokio::test]
    async fn reads_folders_in_order_and_counts() {
        let folder = folder(&[
            ("b/late.rcml", b"<Response><Hangup/></Response>"),
            ("b/note.txt", b"no document"),
            ("a.xml", b"<Response>"),
            ("c.xml", b"<Response><Hangup x='1'/></Response>"),
        ]);
        let report = lint(&folder, "", OPTIONS).await;
        let lines: Vec<&str> = report
            .text
            .lines()
            .filter(|line| !line.starts_with(' '))
            .collect();
        assert_eq!(
            lines,
            [
                "a.xml:1:11: error 12100: the text ends inside an element that is not closed",
                "c.xml:1:19: warning 12201: `Hangup` has no attribute `x`",
                "3 documents: 1 error, 1 warning",
            ]
        );
        let errors_only = Options {
            errors_only: true,
            ..OPTIONS
        };
        for (name, clean) in [("a.xml", false), ("b/late.rcml", true), ("c.xml", true)] {
            assert_eq!(
                lint(&folder, name, errors_only).await.clean,
                clean,
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn counts_what_is_not_listed() {
        let many = "<b/>".repeat(100);
        let one = format!("<Response>{many}<Redirect>ftp://x/</Redirect></Response>");
        let wrong = "<Redirect>ftp://x/</Redirect>".repeat(102);
        let errors = format!("<Response>{wrong}</Response>");
        let folder = folder(&[("a.xml", one.as_bytes()), ("b.xml", errors.as_bytes())]);
        let errors_only = Options {
            errors_only: true,
            ..OPTIONS
        };
        let table = [
            (
                "a.xml",
                OPTIONS,
                Some("warning 12209: 0 errors and 1 warning more"),
                "1 error, 100",
            ),
            ("a.xml", errors_only, None, "1 error, 0"),
            (
                "b.xml",
                OPTIONS,
                Some("error 12209: 2 errors and 1 warning more"),
                "102 errors, 1",
            ),
            (
                "b.xml",
                errors_only,
                Some("2 errors and 0 warnings more"),
                "102 errors, 0",
            ),
        ];
        for (name, options, more, counts) in table {
            let report = lint(&folder, name, options).await;
            let last = format!("1 document: {counts} warning");
            let end = report.text.lines().last().unwrap_or_default();
            assert!(end.starts_with(&last), "{name}: {end}");
            assert!(!report.clean, "{name}");
            match more {
                Some(more) => assert!(report.text.contains(more), "{}", report.text),
                None => assert!(!report.text.contains("12209"), "{}", report.text),
            }
        }
        let options = Options {
            json: true,
            ..OPTIONS
        };
        let report = lint(&folder, "b.xml", options).await;
        let json: serde_json::Value = serde_json::from_str(&report.text).unwrap();
        assert_eq!(json["documents"][0]["findings"][100]["code"], 12209);
        assert_eq!(
            (&json["errors"], &json["warnings"]),
            (&json!(102), &json!(1))
        );
    }

    #[tokio::test]
    async fn says_the_same_in_json() {
        let folder = folder(&[("a.xml", b"<Response/>"), ("latin.xml", b"<Say>\xe9</Say>")]);
        let options = Options {
            json: true,
            ..OPTIONS
        };
        let report = lint(&folder, "", options).await;
        let json: serde_json::Value = serde_json::from_str(&report.text).unwrap();
        assert_eq!(json["documents"][0]["findings"][0]["code"], 12208);
        assert_eq!(json["documents"][1]["findings"][0]["column"], 6);
        assert_eq!((&json["errors"], &json["warnings"]), (&json!(0), &json!(2)));
        let twilio = Options {
            dialect: Dialect::TWILIO,
            ..OPTIONS
        };
        assert!(lint(&folder, "a.xml", twilio).await.clean);
    }

    #[tokio::test]
    async fn refuses_what_cannot_be_read() {
        let folder = folder(&[("note.txt", b"")]);
        for name in ["", "missing.xml"] {
            let target = folder.path().join(name).display().to_string();
            assert!(run(&[target], OPTIONS).await.is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn asks_addresses() {
        let page = |kind: &'static str, body: &'static str| {
            get(move || async move { ([("content-type", kind)], body) })
        };
        let app = Router::new()
            .route("/v", page("text/xml", "<Response><say/></Response>"))
            .route("/text", page("text/plain", "<not read>"))
            .route("/image", page("image/png", ""));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let table = [
            ("/v", "1:11: warning 12200"),
            ("/text", "1 document: 0 errors, 0 warnings"),
            ("/image", "1:1: warning 12300"),
        ];
        for (path, expected) in table {
            let report = run(&[format!("{base}{path}")], OPTIONS).await.unwrap();
            assert!(report.text.contains(expected), "{path}: {}", report.text);
        }
        let missing = run(&[format!("{base}/none")], OPTIONS).await.unwrap_err();
        assert!(missing.to_string().ends_with("answered with status 404"));
        server.abort();
    }
}
