//! From bytes to text: the encoding of a document (XML 1.0 §4.3.3 and appendix F, RFC 7303 §3.2).
//!
//! The byte order mark decides, then the charset parameter of the content type, then the XML
//! declaration; otherwise it is UTF-8. **Invariant: a byte that cannot be decoded becomes U+FFFD**,
//! which is reported with its place when the text is read. A byte order mark stays in the text as
//! U+FEFF.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes searched for an XML declaration.
const DECLARATION: usize = 1024;

/// Where an encoding is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    ContentType,
    Declaration,
}

/// The encoding in which a document was read.
pub(crate) struct Named<'a> {
    /// Its usual name.
    pub(crate) name: &'static str,
    /// An unknown encoding that should have been used, and where it is named.
    pub(crate) unknown: Option<(&'a str, Source)>,
}

/// The text of an answer or a file.
///
/// - `content_type`: the header as received, if any.
#[must_use]
pub fn decode(bytes: &[u8], content_type: Option<&str>) -> String {
    let (text, _) = encoding(bytes, content_type).decode_without_bom_handling(bytes);
    text.into_owned()
}

/// The encoding as which a decoded text was read.
pub(crate) fn named<'a>(text: &'a str, content_type: Option<&'a str>) -> Named<'a> {
    let mut unknown = None;
    if text.starts_with('\u{feff}') {
        let name = "the encoding of the byte order mark";
        return Named { name, unknown };
    }
    let labels = [
        (charset(content_type), Source::ContentType),
        (declared(text), Source::Declaration),
    ];
    for (label, source) in labels {
        let Some(label) = label else { continue };
        match known(label) {
            Some(encoding) => {
                let name = encoding.name();
                return Named { name, unknown };
            }
            None => unknown = unknown.or(Some((label, source))),
        }
    }
    let name = UTF_8.name();
    Named { name, unknown }
}

fn encoding(bytes: &[u8], content_type: Option<&str>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    let wide = wide(bytes);
    if let Some(encoding) = charset(content_type).and_then(known) {
        // Without a mark, only the bytes show the byte order, or that this is not UTF-16 at all.
        let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
        return match wide {
            Some(found) if is_wide => found,
            None if is_wide && bytes.starts_with(b"<") => UTF_8,
            Some(_) | None => encoding,
        };
    }
    if let Some(encoding) = wide {
        return encoding;
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION)]);
    match declared(&head).and_then(known) {
        // A declaration that is readable byte by byte is not UTF-16.
        Some(encoding) if encoding != UTF_16LE && encoding != UTF_16BE => encoding,
        Some(_) | None => UTF_8,
    }
}

/// UTF-16 without a byte order mark, recognised by its first `<`.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    match *bytes {
        [b'<', 0, second, 0, ..] if second != 0 => Some(UTF_16LE),
        [0, b'<', 0, second, ..] if second != 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// The encoding of a name. ASCII is read as UTF-8, which contains it.
fn known(label: &str) -> Option<&'static Encoding> {
    let ascii = ["ascii", "us-ascii"];
    if ascii.iter().any(|name| label.eq_ignore_ascii_case(name)) {
        return Some(UTF_8);
    }
    Encoding::for_label_no_replacement(label.as_bytes())
}

/// The charset parameter of a content type.
fn charset(content_type: Option<&str>) -> Option<&str> {
    let parameters = content_type?.split(';').skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches(['"', '\'']).trim())
    });
    values.find(|value| !value.is_empty())
}

/// The encoding that an XML declaration names.
fn declared(text: &str) -> Option<&str> {
    let declaration = text.strip_prefix("<?xml")?.split("?>").next()?;
    let value = declaration.split_once("encoding")?.1.trim_start();
    let value = value.strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (label, _) = value[1..].split_once(quote)?;
    Some(label.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide_bytes(text: &str, big: bool) -> Vec<u8> {
        let pair = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(pair).collect()
    }

    #[test]
    fn mark_then_charset_then_declaration() {
        let declares = |name: &str, rest: &[u8]| {
            let mut bytes = format!("<?xml version='1.0' encoding='{name}'?>").into_bytes();
            bytes.extend_from_slice(rest);
            bytes
        };
        let utf8 = "ä€".as_bytes();
        // Bytes, content type, end of the text.
        let table: Vec<(Vec<u8>, Option<&str>, &str)> = vec![
            (utf8.to_vec(), None, "ä€"),
            (declares("ISO-8859-1", b"\xe4"), Some("text/xml"), "ä"),
            (declares("windows-1252", b"\xe4\x80"), None, "ä€"),
            (declares("ISO-8859-15", b"\xe4\xa4"), None, "ä€"),
            (declares("ISO-8859-2", b"\xe4\xb1"), None, "äą"),
            (declares("Shift_JIS", b"\x93\xfa"), None, "日"),
            (declares("us-ascii", utf8), None, "ä€"),
            (
                declares("ISO-8859-1", utf8),
                Some("text/xml; charset=utf-8"),
                "ä€",
            ),
            (
                declares("UTF-8", b"\xe4"),
                Some("text/xml; Charset=\"ISO-8859-1\""),
                "ä",
            ),
            (
                declares("ISO-8859-1", b"\xe4"),
                Some("text/xml; charset=klingon"),
                "ä",
            ),
            (declares("klingon", utf8), None, "ä€"),
            (declares("utf-16", utf8), None, "ä€"),
            (
                b"<a/>\xc3\xa4".to_vec(),
                Some("text/xml; charset=utf-16"),
                "ä",
            ),
            (
                b"\xef\xbb\xbf\xc3\xa4".to_vec(),
                Some("text/xml; charset=latin1"),
                "ä",
            ),
            (
                wide_bytes("\u{feff}<a/>ä€", false),
                Some("text/xml; charset=utf-8"),
                "ä€",
            ),
            (wide_bytes("\u{feff}<a/>ä€", true), None, "ä€"),
            (wide_bytes("<a/>ä€", false), None, "ä€"),
            (wide_bytes("<a/>ä€", true), None, "ä€"),
            (
                wide_bytes("<a/>ä€", true),
                Some("text/xml; charset=utf-16"),
                "ä€",
            ),
            (
                wide_bytes("ä€", true),
                Some("text/plain; charset=utf-16be"),
                "ä€",
            ),
            (b"ab\xe4".to_vec(), None, "ab\u{fffd}"),
            (Vec::new(), Some("text/xml; charset=utf-16"), ""),
        ];
        for (bytes, content_type, expected) in table {
            let text = decode(&bytes, content_type);
            assert!(
                text.ends_with(expected),
                "{content_type:?} {text:?} {expected}"
            );
            assert!(
                expected.contains('\u{fffd}') || !text.contains('\u{fffd}'),
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_what_it_does_not_know() {
        use Source::{ContentType, Declaration};
        let table = [
            ("<a/>", None, "UTF-8", None),
            ("<?xml encoding=\"latin1\"?>", None, "windows-1252", None),
            (
                "<?xml encoding = 'x-y' ?>",
                None,
                "UTF-8",
                Some(("x-y", Declaration)),
            ),
            (
                "<?xml encoding='UTF-7'?>",
                Some("text/xml;charset=latin1"),
                "windows-1252",
                None,
            ),
            (
                "<?xml encoding='latin1'?>",
                Some("text/xml;charset=q"),
                "windows-1252",
                Some(("q", ContentType)),
            ),
            (
                "<?xml encoding='x'?>",
                Some("text/xml; a=b; charset='q'"),
                "UTF-8",
                Some(("q", ContentType)),
            ),
            (
                "<?xml encoding=''?>",
                Some("text/xml; charset="),
                "UTF-8",
                Some(("", Declaration)),
            ),
            ("<?xml encoding=latin1?>", None, "UTF-8", None),
        ];
        for (text, content_type, name, unknown) in table {
            let found = named(text, content_type);
            assert_eq!((found.name, found.unknown), (name, unknown), "{text}");
        }
    }
}
