//! Language codes as documents write them, mapped to voices of the engines.
//!
//! Documents use their own short codes (`bf`, `cf`, `zh-cn`, …) and BCP-47 tags. A tag whose region
//! is not listed falls back to its language, an unknown one to English. **Invariant: [`find`]
//! always finds a voice, and says so when it is not the one requested.**

/// The documented codes.
pub const CODES: [&str; 43] = [
    "ar", "bf", "bp", "ca", "cf", "cs", "cy", "da", "dan", "de", "el", "en", "en-au", "en-ca",
    "en-gb", "en-in", "en-us", "es", "es-mx", "fi", "fr", "fr-ca", "is", "it", "ja", "ko", "nb",
    "nl", "no", "pl", "pt", "pt-br", "ro", "ru", "sv", "tr", "zh-cn", "zh-hk", "zh-tw", "cy-gb",
    "de-de", "it-it", "tr-tr",
];

/// A language as the engines speak it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// Voice of espeak-ng.
    pub(crate) espeak: &'static str,
    /// Whether flite's voices, which are American, also speak it.
    pub(crate) american: bool,
    /// Its human-readable name.
    pub name: &'static str,
}

/// A language found for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What will be spoken.
    pub language: Language,
    /// A sentence for the author if the language differs from the code.
    pub note: Option<String>,
}

/// Finds the language for a code or BCP-47 tag, in any case, with `-` or `_`.
pub fn find(code: &str) -> Found {
    let tag = code.trim().to_ascii_lowercase().replace('_', "-");
    if tag.is_empty() {
        return Found {
            language: AMERICAN,
            note: None,
        };
    }
    if let Some((language, exact)) = listed(&tag) {
        let note = (!exact).then(|| instead(code, language));
        return Found { language, note };
    }
    let primary = tag.split('-').next().unwrap_or(&tag);
    let language = listed(primary).map_or(AMERICAN, |(language, _)| language);
    Found {
        language,
        note: Some(instead(code, language)),
    }
}

fn instead(code: &str, language: Language) -> String {
    format!(
        "language `{}` is not available; {} is used",
        code.trim(),
        language.name
    )
}

const AMERICAN: Language = Language {
    espeak: "en-us",
    american: true,
    name: "American English",
};

/// The language of a normalised tag, and whether it is an exact match.
fn listed(tag: &str) -> Option<(Language, bool)> {
    let (espeak, name, exact) = match tag {
        "en" | "en-us" | "en-ca" => return Some((AMERICAN, tag != "en-ca")),
        "ar" => ("ar", "Arabic", true),
        "ca" | "ca-es" => ("ca", "Catalan", true),
        "cs" | "cs-cz" => ("cs", "Czech", true),
        "cy" | "cy-gb" => ("cy", "Welsh", true),
        "da" | "dan" | "da-dk" => ("da", "Danish", true),
        "de" | "de-de" => ("de", "German", true),
        "el" | "el-gr" => ("el", "Greek", true),
        "en-gb" | "en-uk" => ("en-gb", "British English", true),
        "en-au" | "en-in" | "en-nz" | "en-ie" | "en-za" => ("en-gb", "British English", false),
        "es" | "es-es" => ("es", "Spanish", true),
        "es-419" => ("es-419", "Latin American Spanish", true),
        "es-mx" | "es-us" | "es-ar" | "es-co" | "es-cl" | "es-pe" | "es-ve" => {
            ("es-419", "Latin American Spanish", false)
        }
        "fi" | "fi-fi" => ("fi", "Finnish", true),
        "fr" | "fr-fr" => ("fr-fr", "French", true),
        "bf" | "fr-be" => ("fr-be", "Belgian French", true),
        "fr-ch" => ("fr-ch", "Swiss French", true),
        "cf" | "fr-ca" => ("fr-fr", "French (France)", false),
        "he" | "he-il" => ("he", "Hebrew", true),
        "hi" | "hi-in" => ("hi", "Hindi", true),
        "hu" | "hu-hu" => ("hu", "Hungarian", true),
        "id" | "id-id" => ("id", "Indonesian", true),
        "is" | "is-is" => ("is", "Icelandic", true),
        "it" | "it-it" => ("it", "Italian", true),
        "ja" | "ja-jp" => ("ja", "Japanese", true),
        "ko" | "ko-kr" => ("ko", "Korean", true),
        "nb" | "no" | "nb-no" | "no-no" => ("nb", "Norwegian", true),
        "nl" | "nl-nl" => ("nl", "Dutch", true),
        "pl" | "pl-pl" => ("pl", "Polish", true),
        "pt" | "pt-pt" => ("pt", "Portuguese", true),
        "bp" | "pt-br" => ("pt-br", "Brazilian Portuguese", true),
        "ro" | "ro-ro" => ("ro", "Romanian", true),
        "ru" | "ru-ru" => ("ru", "Russian", true),
        "sk" | "sk-sk" => ("sk", "Slovak", true),
        "sv" | "sv-se" => ("sv", "Swedish", true),
        "tr" | "tr-tr" => ("tr", "Turkish", true),
        "uk" | "uk-ua" => ("uk", "Ukrainian", true),
        "vi" | "vi-vn" => ("vi", "Vietnamese", true),
        "zh" | "zh-cn" | "cmn" | "cmn-cn" | "zh-hans" => ("cmn", "Mandarin", true),
        "zh-tw" | "zh-hant" => ("cmn", "mainland Mandarin", false),
        "zh-hk" | "yue" | "yue-hk" => ("yue", "Cantonese", true),
        _ => return None,
    };
    Some((
        Language {
            espeak,
            american: false,
            name,
        },
        exact,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_tags() {
        let table = [
            ("en", "en-us", None),
            ("", "en-us", None),
            ("EN_us", "en-us", None),
            ("en-gb", "en-gb", None),
            ("dan", "da", None),
            ("bf", "fr-be", None),
            ("bp", "pt-br", None),
            ("pt-BR", "pt-br", None),
            ("zh-hk", "yue", None),
            ("zh-cn", "cmn", None),
            ("no", "nb", None),
            (
                "cf",
                "fr-fr",
                Some("language `cf` is not available; French (France) is used"),
            ),
            (
                "en-IN",
                "en-gb",
                Some("language `en-IN` is not available; British English is used"),
            ),
            (
                "de-AT",
                "de",
                Some("language `de-AT` is not available; German is used"),
            ),
            (
                "xx",
                "en-us",
                Some("language `xx` is not available; American English is used"),
            ),
        ];
        for (code, espeak, note) in table {
            let found = find(code);
            assert_eq!(
                (found.language.espeak, found.note.as_deref()),
                (espeak, note),
                "{code}"
            );
        }
    }

    #[test]
    fn every_documented_code_is_known() {
        for code in CODES {
            assert!(listed(code).is_some(), "{code}");
        }
    }
}
