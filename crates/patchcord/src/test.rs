//! `patchcord test`: rehearses scripts against an application, without a phone.
//!
//! The rehearsal itself is the crate `rehearse`; here scripts are found and read, requests go to
//! the application, and the outcome is printed. **Invariant: an unreadable script stops everything
//! before the first call, so that no test is silently skipped.**

mod files;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use rehearse::report::{self, Rehearsed};
use rehearse::{Application, Problem, Run, Script, Source};

use crate::ladder::{self, Style};
use crate::token::Token;
use files::Files;
use server::{Client, Server};

/// At least one expectation was not met.
const FAILED: u8 = 1;

/// The scripts to rehearse, and the form of the report.
pub(crate) struct Order {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) junit: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) trace: bool,
    /// Only failures, without their drawing unless `trace` is set.
    pub(crate) quiet: bool,
    /// Signs the requests to applications.
    pub(crate) token: Option<Token>,
    pub(crate) style: Style,
}

/// The result: the text to print, and the exit code.
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) code: ExitCode,
}

/// Why nothing was rehearsed.
pub(crate) enum Refusal {
    /// Faults in the scripts or paths: a line for each.
    Usage(Vec<String>),
    /// Any other error.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// A script and its file.
struct Part {
    file: PathBuf,
    script: Script,
}

/// Rehearses all scripts.
///
/// # Errors
/// [`Refusal`] if a script cannot be read, or the report cannot be written.
pub(crate) fn run(order: &Order) -> Result<Outcome, Refusal> {
    let parts = read_all(&order.paths)?;
    let client = Client::new(order.token.clone())?;
    let all: Vec<Rehearsed> = parts.iter().map(|part| rehearse(part, &client)).collect();
    if let Some(path) = &order.junit {
        std::fs::write(path, report::junit(&all, |run| draw(run, Style::FILE)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let passed = all.iter().all(|one| one.run.passed());
    Ok(Outcome {
        text: if order.json {
            format!("{:#}\n", report::json(&all))
        } else {
            text(&all, order)
        },
        code: if passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        },
    })
}

fn text(all: &[Rehearsed], order: &Order) -> String {
    let mut out = String::new();
    for one in all {
        let passed = one.run.passed();
        if order.quiet && passed && !order.trace {
            continue;
        }
        out.push_str(&report::text(one, order.style.colours));
        if order.trace || !(passed || order.quiet) {
            out.push('\n');
            out.push_str(&draw(&one.run, order.style));
            out.push('\n');
        }
    }
    out.push_str(&report::summary(all));
    out
}

fn draw(run: &Run, style: Style) -> String {
    ladder::draw(&run.trace, |sid| run.name(sid).to_owned(), style)
}

fn rehearse(part: &Part, client: &Client) -> Rehearsed {
    let Part { file, script } = part;
    let mut application: Box<dyn Application + '_> = match script.source() {
        Source::Pages => Box::new(Files::none()),
        Source::Files(folder) => Box::new(Files::of(beside(file, folder))),
        Source::Url(url) => Box::new(Server::new(client, url)),
    };
    Rehearsed {
        file: file.display().to_string(),
        name: script.name.clone(),
        run: rehearse::run(script, application.as_mut()),
    }
}

/// A folder that a script names.
fn beside(script: &Path, folder: &str) -> PathBuf {
    script.parent().unwrap_or(Path::new(".")).join(folder)
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Part>, Refusal> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let before = files.len();
        match find(path, &mut files) {
            Ok(()) if files.len() > before => {}
            Ok(()) => problems.push(format!(
                "{}: no `test.yaml` and no `*.test.yaml` in this folder",
                path.display()
            )),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    let mut parts = Vec::new();
    for file in files {
        let name = file.display();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        match Script::parse(&text) {
            Ok(script) => match script.source() {
                Source::Files(folder) if !beside(&file, folder).is_dir() => {
                    problems.push(format!("{name}: `files`: there is no folder `{folder}`"));
                }
                Source::Files(_) | Source::Pages | Source::Url(_) => {
                    parts.push(Part { file, script });
                }
            },
            Err(found) => {
                let line = |problem: &Problem| format!("{name}:{}: {}", problem.line, problem.text);
                problems.extend(found.all().into_iter().map(line));
            }
        }
    }
    if problems.is_empty() {
        Ok(parts)
    } else {
        Err(Refusal::Usage(problems))
    }
}

/// A named file is a script whatever its name; in a folder the name decides. Links to folders are
/// not followed below the named folder, so that no script runs twice.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?.is_dir()));
    }
    entries.sort();
    for (entry, is_folder) in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if is_folder {
            find(&entry, files)?;
        } else if name == "test.yaml" || name.ends_with(".test.yaml") {
            files.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
