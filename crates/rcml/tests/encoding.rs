//! Documents in encodings other than UTF-8, from bytes to verbs.

use rcml::{Document, Verb, decode};

const TEXT: &str = "<Response><Redirect method=\"GET\">/next?t=ä</Redirect></Response>";

fn declared(encoding: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n{TEXT}")
}

fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

/// The characters up to U+00FF are the bytes of ISO-8859-1.
fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("a character of ISO-8859-1"))
        .collect()
}

#[test]
fn documents_are_read_in_the_encoding_they_name() {
    let marked = format!("\u{feff}{}", declared("utf-16"));
    let table = [
        (latin(&declared("ISO-8859-1")), "text/xml"),
        (latin(&declared("windows-1252")), "application/xml"),
        (latin(TEXT), "text/xml; charset=iso-8859-1"),
        (
            declared("ISO-8859-1").into_bytes(),
            "text/xml; charset=\"utf-8\"",
        ),
        (declared("utf-16").into_bytes(), "text/xml"),
        (wide(&marked, u16::to_le_bytes), "text/xml"),
        (wide(&marked, u16::to_be_bytes), "text/xml; charset=utf-16"),
        (wide(&declared("utf-16"), u16::to_be_bytes), "text/xml"),
    ];
    for (bytes, content_type) in table {
        let text = decode(&bytes, Some(content_type));
        let document = Document::from_reply(Some(content_type), &text, "http://app/")
            .unwrap_or_else(|error| panic!("{content_type}: {error}: {text}"));
        let [Verb::Redirect(redirect)] = &document.verbs[..] else {
            panic!("{text}: {document:?}")
        };
        assert_eq!(redirect.url, "/next?t=ä", "{content_type} {text}");
        assert_eq!(document.findings, [], "{content_type} {text}");
    }
}

#[test]
fn an_unknown_charset_is_reported() {
    let table = [
        (
            "text/xml; charset=klingon",
            Some("in the content type is not known; UTF-8 was used"),
        ),
        ("text/xml; charset=utf8", None),
    ];
    for (content_type, expected) in table {
        let (findings, _) = Document::lint(TEXT, Some(content_type));
        let said: Vec<_> = findings
            .iter()
            .map(|found| found.message.as_str())
            .collect();
        match expected {
            Some(end) => assert!(matches!(&said[..], [one] if one.ends_with(end)), "{said:?}"),
            None => assert_eq!(said, [""; 0]),
        }
    }
}
