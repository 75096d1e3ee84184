//! Languages of `<Say>`, `<Gather>` and `<ConversationRelay>`: the short codes of older documents and BCP-47 tags.
//!
//! **Invariant: what [`read`] returns is a BCP-47 tag whose language is in the list**; the
//! default if the document named another.

use crate::element::Element;
use crate::finding::{Finding, Findings, quoted};
use crate::suggest::closest;

/// Language of `<Say>` without the attribute.
pub(crate) const DEFAULT: &str = "en";

/// Short codes that are not BCP-47 tags.
const OLD_CODES: &[(&str, &str)] = &[
    ("bf", "fr-BE"),
    ("bp", "pt-BR"),
    ("cf", "fr-CA"),
    ("dan", "da"),
];

/// Languages that can be spoken, by their shortest code.
const LANGUAGES: &[&str] = &[
    "af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "bs", "ca", "cmn", "cs", "cv",
    "cy", "da", "de", "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "gd", "gn",
    "grc", "gu", "hak", "haw", "he", "hi", "hr", "ht", "hu", "hy", "ia", "id", "io", "is", "it",
    "ja", "jbo", "ka", "kk", "kl", "kn", "ko", "kok", "ku", "ky", "la", "lb", "lt", "lv", "mi",
    "mk", "ml", "mr", "ms", "mt", "my", "nb", "nci", "ne", "nl", "nn", "no", "nog", "om", "or",
    "pa", "pap", "pl", "pt", "ro", "ru", "sd", "si", "sk", "sl", "sq", "sr", "sv", "sw", "ta",
    "te", "th", "ti", "tk", "tn", "tr", "tt", "ug", "uk", "ur", "uz", "vi", "yue", "zh",
];

/// The `language` of an element as a BCP-47 tag; `default` if absent, or, with a finding of this
/// number, if unknown.
pub(crate) fn read(
    element: &Element<'_>,
    default: &str,
    code: u16,
    findings: &mut Findings,
) -> String {
    read_named(element, "language", default, code, findings)
}

/// As [`read`], of another attribute.
pub(crate) fn read_named(
    element: &Element<'_>,
    name: &str,
    default: &str,
    code: u16,
    findings: &mut Findings,
) -> String {
    let Some(attribute) = element.attribute(name) else {
        return default.to_owned();
    };
    tag(&attribute.value).unwrap_or_else(|| {
        let message = format!(
            "language `{}` is not known; {default} was used",
            quoted(&attribute.value)
        );
        let meant = closest(&attribute.value, LANGUAGES.iter().copied());
        findings.push(Finding::new(code, attribute.at, message).suggest(meant));
        default.to_owned()
    })
}

/// The BCP-47 tag of a code or tag in any letter case; `None` if its language cannot be spoken.
#[must_use]
pub fn tag(written: &str) -> Option<String> {
    let lower = written.to_ascii_lowercase().replace('_', "-");
    if let Some((_, tag)) = OLD_CODES.iter().find(|(code, _)| *code == lower) {
        return Some((*tag).to_owned());
    }
    let mut parts = lower.split('-');
    let language = parts.next().filter(|code| LANGUAGES.contains(code))?;
    let mut tag = language.to_owned();
    for part in parts {
        let plausible =
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plausible {
            return None;
        }
        tag.push('-');
        tag.push_str(&subtag(part));
    }
    Some(tag)
}

/// The usual letter case: `GB` for a region, `Hans` for a script (RFC 5646 §2.1.1).
fn subtag(lower: &str) -> String {
    match lower.len() {
        2 => lower.to_ascii_uppercase(),
        4 => lower[..1].to_ascii_uppercase() + &lower[1..],
        _ => lower.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_and_tags() {
        let table = [
            ("en", Some("en")),
            ("EN-gb", Some("en-GB")),
            ("en_US", Some("en-US")),
            ("bf", Some("fr-BE")),
            ("bp", Some("pt-BR")),
            ("cf", Some("fr-CA")),
            ("dan", Some("da")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            ("es-419", Some("es-419")),
            ("klingon", None),
            ("en-", None),
            ("en-g$", None),
            ("", None),
        ];
        for (written, expected) in table {
            assert_eq!(tag(written).as_deref(), expected, "{written}");
        }
    }
}
