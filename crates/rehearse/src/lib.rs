//! Rehearsals: calls, or a conversation of text messages, in virtual time, where a script plays every party except the application.
//!
//! A [`Script`] states who calls, what each person on the phone does and what is expected; it
//! becomes a [`scene::Scene`], which tests of the call machine build directly. [`play`] drives the
//! same `call_proto::Family` that a server drives, as many of them as there are calls, without
//! sockets, samples or a clock: time jumps to the next event. **Invariant: the same scene and the
//! same answers of the application give the same [`Run`], byte for byte.**
//!
//! - [`run()`] plays a script and compares what happened with what was expected.
//! - [`Application`] answers requests; the shell queries a server or reads files.
//! - [`report`] writes what happened as JSON and JUnit XML.
//! - [`recorded`] makes a script from a recorded call.
//!
//! Left to others: reading files, HTTP, and drawing the trace.

#![forbid(unsafe_code)]

mod advice;
mod check;
mod conversation;
mod expected;
mod heard;
mod read;
pub mod recorded;
pub mod report;
mod run;
pub mod scene;
mod script;
mod stage;
mod yaml;

use std::fmt;
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::{CallSid, HttpMethod, Timestamp};

pub use run::{Failure, Happened, Leg, Run};
pub use script::{Script, Source};
pub use stage::{Random, Watch, play};

/// Rehearses a script.
#[must_use]
pub fn run(script: &Script, application: &mut dyn Application) -> Run {
    if script.is_conversation() {
        let mut run = conversation::play(script, application);
        check::check(script, &mut run);
        return run;
    }
    let scene = script.scene();
    let mut run = play(&scene, application, &mut ());
    advice::advise(script, application, &mut run);
    check::check(script, &mut run);
    run
}

/// A fault in a script, and perhaps others found with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Description of the fault.
    pub text: String,
    /// Faults found with this one; they hold none themselves.
    others: Vec<Problem>,
}

impl Problem {
    pub(crate) fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
            others: Vec::new(),
        }
    }

    /// All problems, by line.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let mut all: Vec<&Self> = std::iter::once(self).chain(&self.others).collect();
        all.sort_by_key(|problem| problem.line);
        all
    }

    /// Both problems as one.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        let others = std::mem::take(&mut other.others);
        self.others.push(other);
        self.others.extend(others);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.all().into_iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}line {}: {}", problem.line, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// A request to the application: for a document, or a callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// When it was sent.
    pub at: Timestamp,
    /// The leg, to which cookies belong; `None` for a callback about a whole conference.
    pub call: Option<CallSid>,
    /// HTTP method.
    pub method: HttpMethod,
    /// Absolute address, without the parameters.
    pub url: String,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
}

/// Where an application looks for a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// The folder with its files.
    pub folder: String,
    /// The files in it, one of which would be the document.
    pub names: Vec<String>,
    /// Paths of the documents that exist.
    pub paths: Vec<String>,
}

/// Answers requests that no page of the script answers. The clock is stopped meanwhile.
pub trait Application {
    /// Answers a request for a document.
    ///
    /// # Errors
    /// [`FetchFailure`] if there is no answer; a response with any HTTP status counts as one.
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure>;

    /// The length of a sound file; `None` if it exists and its length is unknown.
    ///
    /// # Errors
    /// Why it cannot be played, human-readable.
    fn sound(&mut self, call: CallSid, url: &str) -> Result<Option<Duration>, String>;

    /// How it looked for a document that it does not have; `None` if it cannot say.
    fn lookup(&self, _url: &str) -> Option<Lookup> {
        None
    }

    /// Receives a callback. The answer does not affect the call.
    fn callback(&mut self, told: &Asked);
}
