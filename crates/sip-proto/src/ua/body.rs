//! Finds the session description in a body (RFC 3261 §7.4, RFC 2046 §5.1, RFC 5621).

use crate::message::Headers;

/// The parts of a body that calls need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Body {
    /// The first `application/sdp`.
    pub(super) sdp: Option<String>,
    /// Whether the whole body is of a type that we read; an empty one is.
    pub(super) type_ok: bool,
}

/// Maximum parts of a multipart body that are examined.
const MAX_PARTS: usize = 16;

impl Body {
    pub(super) fn of(headers: &Headers, body: &[u8]) -> Self {
        if body.is_empty() {
            return Self {
                sdp: None,
                type_ok: true,
            };
        }
        let Ok(Some(kind)) = headers.content_type() else {
            return Self {
                sdp: None,
                type_ok: false,
            };
        };
        if kind.essence == "application/sdp" {
            let sdp = String::from_utf8_lossy(body).into_owned();
            return Self {
                sdp: Some(sdp),
                type_ok: true,
            };
        }
        if !kind.essence.starts_with("multipart/") {
            return Self {
                sdp: None,
                type_ok: false,
            };
        }
        let boundary = kind
            .params
            .get("boundary")
            .unwrap_or_default()
            .trim_matches('"');
        let sdp = first_sdp(body, boundary);
        Self {
            type_ok: sdp.is_some(),
            sdp,
        }
    }
}

fn first_sdp(body: &[u8], boundary: &str) -> Option<String> {
    if boundary.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    text.split(delimiter.as_str())
        .skip(1)
        .take(MAX_PARTS)
        .find_map(|part| {
            let part = part
                .strip_prefix("\r\n")
                .or_else(|| part.strip_prefix('\n'))?;
            let (head, content) = part
                .split_once("\r\n\r\n")
                .or_else(|| part.split_once("\n\n"))?;
            let is_sdp = head.lines().any(|line| {
                line.split_once(':').is_some_and(|(name, value)| {
                    let essence = value.split(';').next().unwrap_or_default().trim();
                    let name = name.trim();
                    (name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("c"))
                        && essence.eq_ignore_ascii_case("application/sdp")
                })
            });
            is_sdp.then(|| content.trim_end_matches(['\r', '\n']).to_owned() + "\r\n")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderName;

    #[test]
    fn finds_the_description() {
        const SDP: &str = "v=0\r\ns=-\r\n";
        let mixed = format!(
            "preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n\
             --x\r\nc: application/SDP;a=b\r\nX: y\r\n\r\n{SDP}\r\n--x--\r\n"
        );
        let no_sdp = "--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--";
        // Content-Type, body, whether a description is found, whether the type is acceptable.
        let table: &[(&str, &str, bool, bool)] = &[
            ("", "", false, true),
            ("application/sdp", SDP, true, true),
            ("Application/SDP; charset=utf-8", SDP, true, true),
            ("text/plain", "hi", false, false),
            ("", "hi", false, false),
            ("multipart/mixed;boundary=\"x\"", &mixed, true, true),
            ("multipart/mixed;boundary=x", &mixed, true, true),
            ("multipart/mixed", &mixed, false, false),
            ("multipart/mixed;boundary=x", no_sdp, false, false),
        ];
        for (kind, body, found, type_ok) in table {
            let mut headers = Headers::new();
            if !kind.is_empty() {
                headers.push(HeaderName::ContentType, *kind);
            }
            let read = Body::of(&headers, body.as_bytes());
            assert_eq!(read.sdp.as_deref(), found.then_some(SDP), "{kind} {body}");
            assert_eq!(read.type_ok, *type_ok, "{kind} {body}");
        }
    }
}
