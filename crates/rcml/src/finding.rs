//! Faults found in a document that still runs.
//!
//! **Invariant: a document has at most [`MAX_FINDINGS`] findings**, so that a page that is not a
//! document cannot flood the notifications; **the others are counted, and no error is left out
//! while a warning is listed.**

use model::Level;
use model::error;
use model::text::one_line;

/// Maximum findings kept for one document; the rest are counted.
pub(crate) const MAX_FINDINGS: usize = 100;

/// A place in the text of a document, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// Something in a document that is not used as written.
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
    /// Description of the fault, with the names and values from the document.
    pub message: String,
    /// What was probably meant: a valid name or value.
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

/// Findings of a document that are not listed because there are too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Number of errors.
    pub errors: usize,
    /// Number of warnings.
    pub warnings: usize,
}

impl LeftOut {
    /// Whether all findings are listed.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.errors == 0 && self.warnings == 0
    }

    fn count(&mut self, level: Level) {
        match level {
            Level::Error => self.errors += 1,
            Level::Warning => self.warnings += 1,
        }
    }
}

/// Adds a warning to a sorted list of the listed findings; the list keeps its limit.
pub fn add_warning(findings: &mut Vec<Finding>, left_out: &mut LeftOut, warning: Finding) {
    let mut list = std::mem::take(findings);
    if list.len() >= MAX_FINDINGS {
        let weak = list.iter().rposition(|known| known.level == Level::Warning);
        left_out.count(Level::Warning);
        let Some(weak) = weak else {
            *findings = list;
            return;
        };
        list.remove(weak);
    }
    list.push(warning);
    list.sort_by_key(|finding| (finding.line, finding.column));
    *findings = list;
}

/// Collects findings up to [`MAX_FINDINGS`], and counts the rest.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    left_out: LeftOut,
    /// The first finding that forbids running the document.
    refusal: Option<Finding>,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
            return;
        }
        let weaker = match finding.level {
            Level::Error => self.last_warning(),
            Level::Warning => None,
        };
        match weaker {
            Some(place) => self.replace(place, finding),
            None => self.left_out.count(finding.level),
        }
    }

    /// Adds a finding, whose message is built only if there is room for it.
    pub(crate) fn add(&mut self, level: Level, finding: impl FnOnce() -> Finding) {
        let is_full = self.list.len() >= MAX_FINDINGS;
        if is_full && (level == Level::Warning || self.last_warning().is_none()) {
            self.left_out.count(level);
        } else {
            self.push(finding());
        }
    }

    /// Adds a finding that forbids running the document. It is kept even if there are many others.
    pub(crate) fn refuse(&mut self, finding: Finding) {
        if self.refusal.is_some() {
            self.push(finding);
            return;
        }
        self.refusal = Some(finding.clone());
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        } else {
            let place = self.last_warning().unwrap_or(MAX_FINDINGS - 1);
            self.replace(place, finding);
        }
    }

    /// Why the document must not run, if so.
    pub(crate) fn refusal(&self) -> Option<&Finding> {
        self.refusal.as_ref()
    }

    /// The findings in text order, and how many more there were.
    pub(crate) fn into_sorted(mut self) -> (Vec<Finding>, LeftOut) {
        self.list
            .sort_by_key(|finding| (finding.line, finding.column));
        (self.list, self.left_out)
    }

    fn last_warning(&self) -> Option<usize> {
        let is_warning = |finding: &Finding| finding.level == Level::Warning;
        self.list.iter().rposition(is_warning)
    }

    fn replace(&mut self, place: usize, finding: Finding) {
        let displaced = std::mem::replace(&mut self.list[place], finding);
        self.left_out.count(displaced.level);
    }
}

/// A value for a message: shortened, and without the password of an address.
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
    let short: String = text.chars().take(longest).collect();
    let mut short = one_line(&short);
    if text.chars().nth(longest).is_some() {
        short.push('…');
    }
    short
}
