//! Checks the addresses of documents and files that documents contain.

use url::Url;

/// Base for resolving relative addresses: which server it names does not affect whether they can be
/// resolved.
const SOMEWHERE: &str = "http://app.invalid/";

/// Why a text cannot be the address of a document or file, absolute or relative to its document;
/// `None` if it can. A text with such a reason gets a finding at its place.
#[must_use]
pub fn url_fault(text: &str) -> Option<&'static str> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains spaces");
    }
    match Url::parse(SOMEWHERE).and_then(|base| base.join(text)) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => None,
        Ok(_) => Some("is neither http nor https"),
        Err(_) => Some("is malformed"),
    }
}

/// Why a text cannot be the address of a WebSocket server, absolute or relative to its document;
/// `None` if it can.
#[must_use]
pub fn socket_fault(text: &str) -> Option<&'static str> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("contains spaces");
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") => None,
        Ok(_) => Some("is neither ws nor wss"),
        Err(url::ParseError::RelativeUrlWithoutBase) => url_fault(text),
        Err(_) => Some("is malformed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_the_address_of_a_stream() {
        let table = [
            ("wss://app.example/agent?b=c", None),
            ("WS://[::1]:8080", None),
            ("/agent", None),
            ("//other.example/agent", None),
            ("a b", Some("contains spaces")),
            ("https://app.example/agent", Some("is neither ws nor wss")),
            ("localhost:8080/agent", Some("is neither ws nor wss")),
            ("wss://", Some("is malformed")),
            ("//a:99999/", Some("is malformed")),
        ];
        for (text, fault) in table {
            assert_eq!(socket_fault(text), fault, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_an_address() {
        let table = [
            ("http://app.example/a?b=c#d", None),
            ("HTTPS://app.example", None),
            ("http://[::1]:8080/", None),
            ("//other.example/a", None),
            ("/a:b", None),
            ("?page=2", None),
            ("../a.wav", None),
            ("a b", Some("contains spaces")),
            ("ftp://x/y", Some("is neither http nor https")),
            ("mailto:kim@app.example", Some("is neither http nor https")),
            ("http://[bad", Some("is malformed")),
            ("http://a:99999/", Some("is malformed")),
            ("//a:99999/", Some("is malformed")),
            ("http://", Some("is malformed")),
            ("https://a<b/", Some("is malformed")),
        ];
        for (text, fault) in table {
            assert_eq!(url_fault(text), fault, "{text}");
        }
    }
}
