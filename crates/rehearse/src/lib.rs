//! Rehearsals: a call in virtual time, where a script plays everybody but the application.
//!
//! A [`Script`] says who calls, what each person on the phone does and what is expected; it becomes a
//! [`scene::Scene`], which tests of the call machine describe directly. [`play`] drives the same
//! `call_proto::Family` that a server drives, as many of them as there are calls, without sockets,
//! samples or a clock: the time jumps to whatever is due next. **Invariant: the same scene and the same
//! answers of the application give the same [`Run`], byte for byte.**
//!
//! - [`run()`] plays a script and compares what happened with what was expected.
//! - [`Application`] answers requests; the shell asks a server or reads files.
//! - [`report`] writes what happened as JSON and JUnit XML.
//! - [`recorded`] makes a script from a call that really happened.
//!
//! Left to others: reading files, HTTP, and drawing the trace.

#![forbid(unsafe_code)]

mod check;
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
    let scene = script.scene();
    let mut run = play(&scene, application, &mut ());
    check::check(script, &mut run);
    run
}

/// What is wrong with a script: a problem, and perhaps others that were found with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// What is wrong, in words.
    pub text: String,
    /// None of these has others.
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

    /// All problems, in the order of their lines.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let mut all: Vec<&Self> = std::iter::once(self).chain(&self.others).collect();
        all.sort_by_key(|problem| problem.line);
        all
    }

    /// Both.
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

/// A request to the application: for a document, or with a callback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// The leg; cookies belong to it.
    pub call: CallSid,
    /// How.
    pub method: HttpMethod,
    /// Absolute address, without the parameters.
    pub url: String,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
}

/// Answers what no page of the script answers. The clock is stopped meanwhile.
pub trait Application {
    /// Answers a request for a document.
    ///
    /// # Errors
    /// [`FetchFailure`] if there is no answer; any HTTP status is one.
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure>;

    /// The length of a sound file; `None` if it exists and its length is unknown.
    ///
    /// # Errors
    /// Why it cannot be played, in words.
    fn sound(&mut self, call: CallSid, url: &str) -> Result<Option<Duration>, String>;

    /// Takes a callback. Its answer does not matter to the call.
    fn callback(&mut self, told: &Asked);
}
