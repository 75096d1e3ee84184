//! Lists the findings of a document in the dialect it is written for.

use model::error;
use rcml::{Document, Finding, LeftOut, Level};

use crate::dialect::Dialect;

/// All findings of a document, in text order, and how many more there were than are listed.
///
/// - `content_type`: the header that came with the text, if any.
///
/// The dialects read documents alike; they differ only in the effect of an empty one. A finding
/// added to a full list replaces another warning.
#[must_use]
pub fn lint(text: &str, content_type: Option<&str>, dialect: Dialect) -> (Vec<Finding>, LeftOut) {
    let (mut findings, mut left_out) = Document::lint(text, content_type);
    let message = match Document::parse(text) {
        Ok(document) if document.verbs.is_empty() && dialect.empty_document_refused => {
            "there is no verb: a call that is not answered yet is refused with 500 (a called party \
             that is screened is connected)"
        }
        Ok(document) if document.verbs.is_empty() => {
            "there is no verb: a call that is not answered yet is refused with 603 (a called party \
             that is screened is connected)"
        }
        Ok(document) if !document.decides() => {
            "no verb answers the call: if it is not answered yet, it is refused with 500 at the end of \
             the document"
        }
        Ok(_) | Err(_) => return (findings, left_out),
    };
    let warning = Finding {
        code: error::EMPTY_DOCUMENT,
        level: Level::Warning,
        line: 1,
        column: 1,
        message: message.to_owned(),
        suggestion: None,
    };
    rcml::add_warning(&mut findings, &mut left_out, warning);
    (findings, left_out)
}

/// Whether a text is a document that can run, whatever its findings.
///
/// # Errors
/// Why not, with the place.
pub fn can_run(text: &str) -> Result<(), String> {
    match Document::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "line {}, column {}: {}",
            error.line, error.column, error.message
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_never_answers_is_found() {
        let table: &[(&str, &[u16], &[u16])] = &[
            ("<Response/>", &[12208], &[12208]),
            (
                "<Response><Foo/></Response>",
                &[12208, 12200],
                &[12208, 12200],
            ),
            ("<Response><Hangup/></Response>", &[], &[]),
            (
                "<Response><Pause length='3'/></Response>",
                &[12208],
                &[12208],
            ),
            (
                "<Response><Fax/><Pause/></Response>",
                &[12208, 12204],
                &[12208, 12204],
            ),
            (
                "<Response><Say/><Redirect/></Response>",
                &[12208, 13521, 13720],
                &[12208, 13521, 13720],
            ),
            ("<Response><Pause/><Dial>+1</Dial></Response>", &[], &[]),
            (
                "<Response><Pause/><Redirect>/a</Redirect></Response>",
                &[],
                &[],
            ),
            ("<Response><Pause/><Play digits='1'/></Response>", &[], &[]),
            ("<Response><Pause/><Reject/></Response>", &[], &[]),
            ("<Response><Pause/><Gather/></Response>", &[], &[]),
            (
                "<Response><Say loop='x'>a</Say></Response>",
                &[13510],
                &[13510],
            ),
            ("<Response>", &[12100], &[12100]),
        ];
        for (xml, restcomm, twilio) in table {
            for (dialect, expected) in [(Dialect::RESTCOMM, restcomm), (Dialect::TWILIO, twilio)] {
                let (findings, _) = lint(xml, None, dialect);
                let codes: Vec<u16> = findings.iter().map(|found| found.code).collect();
                assert_eq!(codes, *expected, "{} {xml}", dialect.name);
            }
        }
    }

    #[test]
    fn the_list_keeps_its_limit() {
        let document = |element: &str| format!("<Response>{}</Response>", element.repeat(150));
        // An element, then the errors and warnings listed and left out.
        let table = [
            ("<say/>", (100, 0), (50, 1)),
            ("<Pause length='x'/>", (0, 100), (0, 51)),
        ];
        for (element, listed, left_out) in table {
            let (findings, more) = lint(&document(element), None, Dialect::RESTCOMM);
            let errors = findings.iter().filter(|found| found.level == Level::Error);
            let errors = errors.count();
            assert_eq!((errors, findings.len() - errors), listed, "{element}");
            assert_eq!((more.errors, more.warnings), left_out, "{element}");
        }
    }
}
