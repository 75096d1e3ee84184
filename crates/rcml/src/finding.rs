//! What was found wrong in a document that still runs.
//!
//! **Invariant: a document has at most [`MAX_FINDINGS`] findings**, so that a page which is no
//! document at all cannot flood the notifications.

use model::Level;
use model::error;

/// Findings of one document; the last one says that there were more.
const MAX_FINDINGS: usize = 100;

/// Findings of which each is about something of its own.
const ROOM: usize = MAX_FINDINGS - 1;

/// A place in the text of a document, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// Something in a document that was not taken as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Number in the table of [`model::error`].
    pub code: u16,
    /// How serious it is.
    pub level: Level,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, for people, with the names and values that the document has.
    pub message: String,
    /// What was probably meant: a name or a value that would be right.
    pub suggestion: Option<String>,
}

impl Finding {
    /// A finding whose level comes from the error table.
    pub(crate) fn new(code: u16, at: Position, message: String) -> Self {
        const LONGEST: usize = 300;
        let level = error::entry(code).map_or(Level::Warning, |entry| entry.level);
        Self {
            code,
            level,
            line: at.line,
            column: at.column,
            message: printable(&message, LONGEST),
            suggestion: None,
        }
    }

    pub(crate) fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

/// Collects findings up to [`MAX_FINDINGS`].
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    /// Place in the list of the first that forbids the document to run.
    refusal: Option<usize>,
    /// There were more than are kept.
    more: bool,
}

impl Findings {
    /// Adds a finding if there is room; an error takes the place of a warning.
    pub(crate) fn push(&mut self, finding: Finding) {
        if !self.is_full() {
            self.list.push(finding);
            return;
        }
        let is_warning = |kept: &Finding| kept.level == Level::Warning;
        if finding.level == Level::Error
            && let Some(at) = self.list.iter().rposition(is_warning)
        {
            // In its place, so that the refusal stays where it is.
            self.list[at] = finding;
        }
    }

    /// Adds a finding that forbids the document to run. It is kept even if there are many others.
    pub(crate) fn refuse(&mut self, finding: Finding) {
        if self.refusal.is_none() {
            self.list.truncate(ROOM - 1);
            self.refusal = Some(self.list.len());
            self.list.push(finding);
        } else {
            self.push(finding);
        }
    }

    /// Why the document must not run, if it must not.
    pub(crate) fn refusal(&self) -> Option<&Finding> {
        self.list.get(self.refusal?)
    }

    /// Whether no further warning is kept, though there is one: then it need not be put into words.
    pub(crate) fn is_full(&mut self) -> bool {
        self.more |= self.list.len() >= ROOM;
        self.more
    }

    /// The findings in the order of the text; the last one says if there were more.
    pub(crate) fn into_sorted(mut self) -> Vec<Finding> {
        self.list
            .sort_by_key(|finding| (finding.line, finding.column));
        if let (true, Some(last)) = (self.more, self.list.last()) {
            let at = Position {
                line: last.line,
                column: last.column,
            };
            let text = format!("only {ROOM} of the problems are listed; there are more");
            self.list.push(Finding::new(error::MORE_FINDINGS, at, text));
        }
        self.list
    }
}

/// A value for a message: short, and without the password of an address.
pub(crate) fn quoted(value: &str) -> String {
    const LONGEST: usize = 80;
    let Some((scheme, rest)) = value.split_once("://") else {
        return printable(value, LONGEST);
    };
    let host = rest.find('/').unwrap_or(rest.len());
    let secret = rest[..host].rfind('@').map_or(0, |at| at + 1);
    printable(&format!("{scheme}://{}", &rest[secret..]), LONGEST)
}

/// A text on one line, cut to a number of characters.
fn printable(text: &str, longest: usize) -> String {
    let one_line = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(longest).map(one_line).collect();
    if text.chars().nth(longest).is_some() {
        short.push('…');
    }
    short
}
