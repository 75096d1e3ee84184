//! Fetching the document, and callers who give up before it arrives.

use crate::check;

#[test]
fn case_001_rings_and_fetches_once() {
    check("001-rings-and-fetches-once");
}

#[test]
fn case_002_first_request() {
    check("002-first-request");
}

#[test]
fn case_003_method_of_the_number() {
    check("003-method-get");
    check("003-method-post");
}

#[test]
fn case_004_extension_headers() {
    check("004-extension-headers");
}

#[test]
fn case_016_status_408() {
    check("016-status-408");
}

#[test]
fn case_017_html_error_page() {
    check("017-html-error-page");
}

#[test]
fn case_018_status_404() {
    check("018-status-404");
}

#[test]
fn case_019_no_xml() {
    check("019-no-xml");
}

#[test]
fn case_020_no_xml_with_delayed_answer() {
    check("020-no-xml-with-delayed-answer");
}

#[test]
fn case_021_fallback() {
    check("021-fallback");
}

#[test]
fn case_022_fallback_fails_too() {
    check("022-fallback-fails-too");
}

#[test]
fn case_023_document_without_verbs() {
    check("023-document-without-verbs");
}

#[test]
fn case_024_verb_as_root() {
    check("024-verb-as-root");
}

#[test]
fn case_025_bare_ampersand() {
    check("025-bare-ampersand");
}

#[test]
fn case_026_unknown_element() {
    check("026-unknown-element");
}

#[test]
fn case_029_gives_up_at_once() {
    check("029-gives-up-at-once");
}

#[test]
fn case_030_gives_up_while_ringing() {
    check("030-gives-up-while-ringing");
}

#[test]
fn the_document_of_an_api_call_fails() {
    check("api-call-document-fails");
}
