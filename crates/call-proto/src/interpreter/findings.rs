//! Reports the findings in the documents of a call to the account's owner and in the trace.
//!
//! **Invariant: a call reports the same finding once, and at most [`MAX_TOLD`] of them**; a last
//! line says how many more there were. A document that is fetched repeatedly does not flood the
//! account.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use model::address::redacted;
use model::error;
use rcml::{Document, Finding};

use crate::context::{About, Context};

/// Maximum findings that one call reports.
const MAX_TOLD: usize = 50;

/// Maximum different findings that one call distinguishes; later ones are not even counted.
const MAX_SEEN: usize = 1_000;

/// The findings that a call has reported so far.
#[derive(Default)]
pub(crate) struct Told {
    /// Each finding with its document, as a number.
    seen: BTreeSet<u64>,
    listed: usize,
    left_out: usize,
}

impl Told {
    /// Reports the findings in the document at an address.
    pub(crate) fn tell(
        &mut self,
        url: &str,
        document: &Document,
        who: About<'_>,
        cx: &mut Context,
    ) {
        for finding in &document.findings {
            if !self.is_new(url, finding) {
                continue;
            }
            let about = About {
                url: Some(url).filter(|url| !url.is_empty()),
                line: Some(finding.line),
                column: Some(finding.column),
                ..who
            };
            cx.notify(about, finding.code, &text(finding));
        }
        self.leave_out(url, document);
    }

    /// At the end of the call: reports how many findings were left out.
    pub(crate) fn tell_left_out(&mut self, who: About<'_>, cx: &mut Context) {
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            let text = format!("{left_out} more problems in documents of this call are not listed");
            cx.notify(who, error::MORE_FINDINGS, &text);
        }
    }

    /// Whether a finding is to be reported.
    fn is_new(&mut self, url: &str, finding: &Finding) -> bool {
        let Finding {
            code,
            line,
            column,
            message,
            ..
        } = finding;
        if !self.sees(&(redacted(url), code, line, column, message)) {
            return false;
        }
        if self.listed < MAX_TOLD {
            self.listed += 1;
            return true;
        }
        self.left_out += 1;
        false
    }

    /// Whether a problem of a document that runs repeatedly is reported for the first time.
    pub(crate) fn is_first(&mut self, text: &str) -> bool {
        self.sees(&("", text))
    }

    /// Whether every finding has been reported.
    pub(super) fn is_complete(&self) -> bool {
        self.listed < MAX_TOLD
    }

    /// Counts the findings that a document has beyond its list.
    fn leave_out(&mut self, url: &str, document: &Document) {
        let more = document.left_out.errors + document.left_out.warnings;
        if more > 0 && self.sees(&(redacted(url), more)) {
            self.left_out += more;
        }
    }

    /// Whether a value is seen for the first time.
    fn sees(&mut self, what: &impl Hash) -> bool {
        // The same in every process, so that a run can be replayed.
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.seen.len() < MAX_SEEN && self.seen.insert(hasher.finish())
    }
}

/// The finding in one sentence, with what was probably meant.
fn text(finding: &Finding) -> String {
    match &finding.suggestion {
        Some(meant) => format!("{} (did you mean `{meant}`?)", finding.message),
        None => finding.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_each_finding_once_and_counts_the_rest() {
        let xml = |n: usize| format!("<Response><Verb{n}/></Response>");
        let mut told = Told::default();
        let mut new = 0;
        for n in 0..MAX_TOLD + 7 {
            for _ in 0..3 {
                let (findings, _) = Document::lint(&xml(n), None);
                new += findings
                    .iter()
                    .filter(|found| told.is_new("u", found))
                    .count();
            }
        }
        assert_eq!((new, told.left_out), (MAX_TOLD, 7));
        for n in 0..3 * MAX_SEEN {
            for finding in Document::lint(&xml(n), None).0 {
                told.is_new("other", &finding);
            }
        }
        assert_eq!(told.seen.len(), MAX_SEEN);
    }
}
