//! What is wrong with a document for the dialect it is written in.

use model::error;
use rcml::{Document, Finding, LeftOut, Level};

use crate::dialect::Dialect;

/// Everything that is wrong with the text of a document, in the order of the text, and how many
/// findings more there were than are listed.
///
/// The dialects read documents alike; what differs is what an empty one does.
#[must_use]
pub fn lint(text: &str, dialect: Dialect) -> (Vec<Finding>, LeftOut) {
    let (mut findings, left_out) = Document::lint(text);
    let is_empty = Document::parse(text).is_ok_and(|document| document.verbs.is_empty());
    if is_empty && dialect.empty_document_refused {
        findings.push(Finding {
            code: error::EMPTY_DOCUMENT,
            level: Level::Warning,
            line: 1,
            column: 1,
            message: "there is no verb: a call that is not answered yet is refused with 500"
                .to_owned(),
            suggestion: None,
        });
        findings.sort_by_key(|finding| (finding.line, finding.column));
    }
    (findings, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_document_differs() {
        let table: &[(&str, &[u16], &[u16])] = &[
            ("<Response/>", &[12208], &[]),
            ("<Response><Foo/></Response>", &[12208, 12200], &[12200]),
            ("<Response><Hangup/></Response>", &[], &[]),
            (
                "<Response><Say loop='x'>a</Say></Response>",
                &[13510],
                &[13510],
            ),
            ("<Response>", &[12100], &[12100]),
        ];
        for (xml, restcomm, twilio) in table {
            for (dialect, expected) in [(Dialect::RESTCOMM, restcomm), (Dialect::TWILIO, twilio)] {
                let (findings, _) = lint(xml, dialect);
                let codes: Vec<u16> = findings.iter().map(|found| found.code).collect();
                assert_eq!(codes, *expected, "{} {xml}", dialect.name);
            }
        }
    }
}
