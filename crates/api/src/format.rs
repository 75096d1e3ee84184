//! Formats of answers, JSON or XML, and the segments of a path.

use http::HeaderMap;
use http::header::ACCEPT;
use model::error;
use percent_encoding::percent_decode_str;

use crate::failure::Failure;

/// Format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Xml,
}

/// The decoded segments of a path below the version, without `.json`, and whether one of them had
/// it.
pub(crate) fn segments(path: &str) -> (Vec<String>, bool) {
    let mut is_json = false;
    // Profiles are always JSON, and the name of their schema ends with `.json`.
    let mut before = String::new();
    let segments = path
        .trim_matches('/')
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| {
            let segment = percent_decode_str(segment).decode_utf8_lossy();
            let is_file = before == "schemas";
            let segment = match segment.strip_suffix(".json").filter(|_| !is_file) {
                Some(bare) => {
                    is_json = true;
                    bare.to_owned()
                }
                None => segment.into_owned(),
            };
            is_json |= before.is_empty() && segment == "Profiles";
            before.clone_from(&segment);
            segment
        })
        .collect();
    (segments, is_json)
}

impl Format {
    /// The `Content-Type` of answers.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }

    /// The format that the request accepts; XML by default.
    ///
    /// # Errors
    /// 406 if it accepts neither.
    pub(crate) fn choose(is_json: bool, headers: &HeaderMap) -> Result<Self, Failure> {
        if is_json {
            return Ok(Self::Json);
        }
        let accepted: Vec<&str> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let accepted = accepted.join(",").to_ascii_lowercase();
        if accepted.contains("json") {
            Ok(Self::Json)
        } else if accepted.is_empty()
            || ["xml", "*/*", "application/*", "text/*"]
                .iter()
                .any(|range| accepted.contains(range))
        {
            Ok(Self::Xml)
        } else {
            Err(Failure::of(error::NOT_ACCEPTABLE))
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_paths() {
        let table: &[(&str, &[&str], bool)] = &[
            ("Accounts", &["Accounts"], false),
            ("/Accounts.json/AC1/", &["Accounts", "AC1"], true),
            (
                "Accounts/a%40b.org/Calls.json",
                &["Accounts", "a@b.org", "Calls"],
                true,
            ),
            ("Accounts/50%/x%zz", &["Accounts", "50%", "x%zz"], false),
            ("Accounts/RE1.wav", &["Accounts", "RE1.wav"], false),
            (
                "Profiles/schemas/rc-profile-schema.json",
                &["Profiles", "schemas", "rc-profile-schema.json"],
                true,
            ),
            ("", &[], false),
        ];
        for (path, expected, is_json) in table {
            let (found, json) = segments(path);
            assert_eq!(
                (found, json),
                (expected.iter().map(|s| (*s).to_owned()).collect(), *is_json),
                "{path}"
            );
        }
    }

    #[test]
    fn chooses_by_suffix_then_accept() {
        let table = [
            (true, Some("application/xml"), Some(Format::Json)),
            (false, None, Some(Format::Xml)),
            (false, Some("application/json"), Some(Format::Json)),
            (false, Some("text/html, */*;q=0.1"), Some(Format::Xml)),
            (false, Some("text/xml"), Some(Format::Xml)),
            (false, Some("image/png"), None),
        ];
        for (is_json, accept, format) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Format::choose(is_json, &headers).ok(), format, "{accept:?}");
        }
    }
}
