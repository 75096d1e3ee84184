//! `patchcord lint`: reads documents as a call would, and shows their findings.
//!
//! **Invariant: the findings are those that a call running the document reports**, with the same
//! numbers and places. An address is fetched with the limits that apply to calls. An unreadable
//! document does not keep the rest from being checked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use call_proto::Dialect;
use model::{HttpMethod, Level, error};
use rcml::{Document, Finding, LeftOut, MAX_BYTES, ReplyError, ReplyKind, Verb};
use serde_json::json;
use unicode_width::UnicodeWidthChar;
use webhook::{AddressPolicy, FetchConfig, FetchRequest, Fetcher};

use crate::token::Token;

/// Maximum documents of one folder.
const MAX_FILES: usize = 10_000;

/// Columns shown of a source line.
const WIDTH: usize = 100;

/// The parameters of a new call, sent to an application by POST.
const PARAMETERS: &[(&str, &str)] = &[
    ("CallSid", "CA00000000000000000000000000000000"),
    ("AccountSid", "AC00000000000000000000000000000000"),
    ("From", "+15550100001"),
    ("To", "+15550100002"),
    ("CallStatus", "ringing"),
    ("ApiVersion", "2012-04-24"),
    ("Direction", "inbound"),
    ("CallerName", ""),
];

/// Options of the check.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) dialect: Dialect,
    pub(crate) json: bool,
    /// Whether to neither show nor count warnings.
    pub(crate) errors_only: bool,
    /// Whether to fetch addresses by POST, with the parameters of a call.
    pub(crate) post: bool,
    /// Signs the requests for addresses.
    pub(crate) token: Option<Token>,
}

/// A document and its findings.
struct Checked {
    name: String,
    text: String,
    findings: Vec<Finding>,
    /// Findings beyond the listed ones.
    left_out: LeftOut,
}

/// All findings, and whether there were none.
#[derive(Debug)]
pub(crate) struct Report {
    /// Empty, unless it is JSON, if no document could be read.
    pub(crate) text: String,
    pub(crate) clean: bool,
    /// The unreadable documents, with the reason: one line each.
    pub(crate) unread: Vec<String>,
}

/// Checks files, folders, addresses and, as `-`, standard input.
///
/// # Errors
/// If requests cannot be made.
pub(crate) async fn run(targets: &[String], options: Options) -> Result<Report> {
    let mut documents = Vec::new();
    let mut unread = Vec::new();
    for target in targets {
        match read(target, &options).await {
            Ok(read) => {
                for document in read {
                    match document {
                        Ok(document) => documents.push(document),
                        Err(error) => unread.push(format!("{error:#}")),
                    }
                }
            }
            Err(error) => unread.push(format!("{error:#}")),
        }
    }
    accept_continuations(&mut documents);
    if options.errors_only {
        for document in &mut documents {
            document
                .findings
                .retain(|finding| finding.level == Level::Error);
            document.left_out.warnings = 0;
        }
    }
    Ok(Report {
        unread,
        clean: count(&documents) == (0, 0),
        text: if options.json {
            json_of(&documents)?
        } else {
            documents.iter().map(text_of).collect::<String>() + &summary(&documents)
        },
    })
}

/// A document that continues a call need not answer it: the call is answered by then, or a called party
/// is screened, and the end of the document connects it. It is known by its name, in another document.
fn accept_continuations(documents: &mut [Checked]) {
    let parsed = documents.iter().filter_map(|document| {
        let read = Document::parse(&document.text).ok()?;
        Some((stem(&document.name).to_owned(), read))
    });
    let parsed: Vec<(String, Document)> = parsed.collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    // A document that continues a call passes that on to those it leads to.
    loop {
        let before = named.len();
        for (name, document) in &parsed {
            let mut answered = named.contains(name);
            for verb in &document.verbs {
                let urls = continuations(verb, answered);
                named.extend(urls.into_iter().map(|url| stem(url).to_owned()));
                answered |= has_answered(verb);
            }
        }
        if named.len() == before {
            break;
        }
    }
    for document in documents {
        if named.contains(stem(&document.name)) {
            let is_other = |finding: &Finding| finding.code != error::EMPTY_DOCUMENT;
            document.findings.retain(is_other);
        }
    }
}

/// Whether a call is answered when the verb is over.
fn has_answered(verb: &Verb) -> bool {
    match verb {
        Verb::Dial(dial) => !dial.nouns.is_empty() && dial.answer_on_bridge != Some(true),
        verb => rcml::answers(verb),
    }
}

/// Where a call continues that this verb or an earlier one has answered, and what it runs on the called parties.
fn continuations(verb: &Verb, answered: bool) -> Vec<&str> {
    match verb {
        Verb::Dial(dial) => {
            let screening = dial.nouns.iter().filter_map(|noun| noun.branch());
            let screening = screening.filter_map(|branch| branch.url.as_deref());
            let answers = answered || has_answered(verb);
            let greeting = dial.queue().and_then(|queue| queue.url.as_deref());
            let action = dial.action.as_deref().filter(|_| answers);
            screening.chain(greeting).chain(action).collect()
        }
        Verb::Gather(gather) => gather.action.as_deref().into_iter().collect(),
        Verb::Record(record) => record.action.as_deref().into_iter().collect(),
        Verb::Connect(connect) => connect.action.as_deref().into_iter().collect(),
        Verb::Sms(sms) => sms.action.as_deref().into_iter().collect(),
        Verb::Enqueue(enqueue) => enqueue.action.as_deref().into_iter().collect(),
        Verb::Refer(refer) => refer.action.as_deref().into_iter().collect(),
        // It answers nothing itself.
        Verb::Redirect(redirect) if answered => vec![&redirect.url],
        Verb::Say(_)
        | Verb::Play(_)
        | Verb::Pause(_)
        | Verb::Hangup(_)
        | Verb::Reject(_)
        | Verb::Start(_)
        | Verb::Stop(_)
        | Verb::Leave(_)
        | Verb::Redirect(_)
        | Verb::Echo(_)
        | Verb::Email(_)
        | Verb::Unsupported(_) => Vec::new(),
    }
}

/// The last name in a path or address, without its extension and query.
fn stem(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// The documents of one argument, or why one of them cannot be read.
async fn read(target: &str, options: &Options) -> Result<Vec<Result<Checked>>> {
    if target == "-" {
        let text = text_from(std::io::stdin().lock()).context("standard input")?;
        return Ok(vec![Ok(check("-", text, None, options))]);
    }
    if target.starts_with("http://") || target.starts_with("https://") {
        return Ok(vec![ask(target, options).await]);
    }
    let path = Path::new(target);
    if let Some(advice) = meant_address(target).filter(|_| !path.exists()) {
        bail!("{target}: there is no such file; {advice}");
    }
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
        Ok(check(&name, text, None, options))
    };
    Ok(paths.iter().map(check_one).collect())
}

/// How to handle an argument that looks like an address: `127.0.0.1:8001/voice`, `ftp://host/a`.
fn meant_address(target: &str) -> Option<String> {
    if let Some((scheme, _)) = target.split_once("://") {
        let text = format!("addresses begin with http:// or https://, not with {scheme}://");
        return Some(text);
    }
    let (host, rest) = target.split_once(':')?;
    let port = rest.split('/').next().unwrap_or(rest);
    let is_host = !host.is_empty() && !host.contains(['/', '\\']);
    let is_address = is_host && port.parse::<u16>().is_ok();
    is_address.then(|| format!("if it is an address, write http:// in front: http://{target}"))
}

fn check(name: &str, text: String, content_type: Option<&str>, options: &Options) -> Checked {
    let (findings, left_out) = call_proto::lint(&text, content_type, options.dialect);
    Checked {
        name: name.to_owned(),
        text,
        findings,
        left_out,
    }
}

/// The text of a file, read only far enough to see that it is too long.
fn text_from(source: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES as u64 + 8).read_to_end(&mut bytes)?;
    Ok(rcml::decode(&bytes, None))
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

/// Requests the document at an address from an application.
async fn ask(url: &str, options: &Options) -> Result<Checked> {
    let shown = model::address::redacted(url);
    let fetcher = Fetcher::new(FetchConfig::default())?;
    let method = if options.post {
        HttpMethod::Post
    } else {
        HttpMethod::Get
    };
    let mut request = FetchRequest::new(method, url);
    if options.post {
        let parameters = PARAMETERS.iter();
        request.params = parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }
    // The user may access any address that they type.
    request.policy = AddressPolicy { private_ok: true };
    request.stamp = options.token.as_ref().map(Token::stamp);
    // The error contains the address.
    let answer = fetcher
        .fetch(request)
        .await
        .map_err(|error| anyhow!("{error}"))?;
    if answer.status != 200 {
        let hint = match (answer.status, options.post) {
            (404, _) => "; check the path",
            (405 | 501, false) => {
                "; the request was a GET: use `--post` to send a POST, as calls do by default"
            }
            (405 | 501, true) => {
                "; the request was a POST: omit `--post` to send a GET, and set `VoiceMethod` to GET for calls"
            }
            _ => "",
        };
        bail!("{shown} answered with status {}{hint}", answer.status);
    }
    let content_type = answer.content_type.clone().unwrap_or_default();
    Ok(match ReplyKind::of(&content_type) {
        Some(ReplyKind::Xml) if answer.body.trim_ascii().is_empty() => Checked {
            name: shown,
            text: String::new(),
            findings: vec![not_a_document(error::DOCUMENT_PARSE, &ReplyError::Empty)],
            left_out: LeftOut::default(),
        },
        Some(ReplyKind::Xml) => {
            let text = rcml::decode(&answer.body, Some(&content_type));
            check(&shown, text, Some(&content_type), options)
        }
        Some(ReplyKind::Text) => Checked {
            name: shown,
            text: String::new(),
            findings: Document::say(&rcml::decode(&answer.body, Some(&content_type))).findings,
            left_out: LeftOut::default(),
        },
        // There is nothing to check in a sound.
        Some(ReplyKind::Audio) => Checked {
            name: shown,
            text: String::new(),
            findings: Vec::new(),
            left_out: LeftOut::default(),
        },
        None => Checked {
            name: shown,
            text: String::new(),
            findings: vec![not_a_document(
                error::BAD_CONTENT_TYPE,
                &match content_type.trim() {
                    "" => ReplyError::NoContentType,
                    other => ReplyError::ContentType(other.escape_debug().to_string()),
                },
            )],
            left_out: LeftOut::default(),
        },
    })
}

fn not_a_document(code: u16, why: &ReplyError) -> Finding {
    Finding {
        code,
        level: error::entry(code).map_or(Level::Error, |entry| entry.level),
        line: 1,
        column: 1,
        message: why.to_string(),
        suggestion: None,
    }
}

impl Checked {
    /// The shown lines: the findings, and at the end a line with the number of omitted ones, which
    /// is not counted itself.
    fn shown(&self) -> Vec<Finding> {
        let mut shown = self.findings.clone();
        let LeftOut { errors, warnings } = self.left_out;
        if !self.left_out.is_none() {
            shown.push(Finding {
                code: error::MORE_FINDINGS,
                level: Level::Warning,
                line: 1,
                column: 1,
                message: more(errors, warnings),
                suggestion: None,
            });
        }
        shown
    }
}

/// The number of findings not listed.
fn more(errors: usize, warnings: usize) -> String {
    let all = match (errors, warnings) {
        (0, warnings) => number(warnings, "more warning"),
        (errors, 0) => number(errors, "more error"),
        (errors, warnings) => {
            let warnings = number(warnings, "warning");
            format!("{} and {warnings}", number(errors, "more error"))
        }
    };
    let verb = if errors + warnings == 1 { "is" } else { "are" };
    format!("{all} {verb} not listed")
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
                // Suggestions are for elements, and otherwise for names of attributes and values.
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

/// A line of the document with a mark under a column; nothing if the line does not exist.
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
    // Some characters take two columns of a terminal, some none.
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let width = |c: &char| shown(*c).width().unwrap_or(0);
    let characters: Vec<char> = line.trim_end().chars().collect();
    let column = column.min(characters.len());
    let (before, after) = characters.split_at(column);
    let mut left = WIDTH / 2;
    let fitting = |c: &&char| {
        let fits = width(c) <= left;
        left = left.saturating_sub(if fits { width(c) } else { left });
        fits
    };
    let from = column - before.iter().rev().take_while(fitting).count();
    let indent: usize = before[from..].iter().map(width).sum();
    let mut right = WIDTH - indent;
    let fitting = |c: &&char| {
        let fits = width(c) <= right;
        right = right.saturating_sub(if fits { width(c) } else { right });
        fits
    };
    let to = column + after.iter().take_while(fitting).count();
    let text: String = characters[from..to].iter().map(|c| shown(*c)).collect();
    format!("    {text}\n    {}^\n", " ".repeat(indent))
}

/// The last line. Without a document there is none: it would look like success.
fn summary(documents: &[Checked]) -> String {
    if documents.is_empty() {
        return String::new();
    }
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
mod tests;
