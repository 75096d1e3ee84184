//! What the person reads or hears.

use std::fmt::Write as _;

use model::text::xml as escaped;

/// A language in which codes are sent: its tag, the text, the warning, and what a call says.
struct Words {
    /// Language tag (BCP 47) without region.
    tag: &'static str,
    /// The tag that the speech engine gets.
    voice: &'static str,
    /// `{name}` and `{code}` are replaced.
    text: &'static str,
    /// Subject of an e-mail; without the code, which phones show to bystanders.
    subject: &'static str,
    warning: &'static str,
    spoken: &'static str,
    press: &'static str,
}

/// English first: it is used for all languages that are not here.
const WORDS: &[Words] = &[
    Words {
        tag: "en",
        voice: "en-US",
        text: "Your {name} code is {code}.",
        subject: "Your {name} code",
        warning: " Never share it with anybody.",
        spoken: "Your {name} code is",
        press: "Press any key to hear your code.",
    },
    Words {
        tag: "de",
        voice: "de-DE",
        text: "Ihr Code f\u{fc}r {name} lautet {code}.",
        subject: "Ihr Code f\u{fc}r {name}",
        warning: " Geben Sie ihn niemals weiter.",
        spoken: "Ihr Code f\u{fc}r {name} lautet",
        press: "Dr\u{fc}cken Sie eine beliebige Taste, um Ihren Code zu h\u{f6}ren.",
    },
    Words {
        tag: "es",
        voice: "es-ES",
        text: "Su c\u{f3}digo de {name} es {code}.",
        subject: "Su c\u{f3}digo de {name}",
        warning: " No lo comparta con nadie.",
        spoken: "Su c\u{f3}digo de {name} es",
        press: "Pulse cualquier tecla para escuchar su c\u{f3}digo.",
    },
    Words {
        tag: "fr",
        voice: "fr-FR",
        text: "Votre code {name} est {code}.",
        subject: "Votre code {name}",
        warning: " Ne le communiquez \u{e0} personne.",
        spoken: "Votre code {name} est",
        press: "Appuyez sur une touche pour entendre votre code.",
    },
    Words {
        tag: "it",
        voice: "it-IT",
        text: "Il tuo codice {name} \u{e8} {code}.",
        subject: "Il tuo codice {name}",
        warning: " Non condividerlo con nessuno.",
        spoken: "Il tuo codice {name} \u{e8}",
        press: "Premi un tasto per ascoltare il codice.",
    },
    Words {
        tag: "pt",
        voice: "pt-PT",
        text: "O seu c\u{f3}digo {name} \u{e9} {code}.",
        subject: "O seu c\u{f3}digo {name}",
        warning: " N\u{e3}o o partilhe com ningu\u{e9}m.",
        spoken: "O seu c\u{f3}digo {name} \u{e9}",
        press: "Prima uma tecla para ouvir o seu c\u{f3}digo.",
    },
];

fn words(locale: &str) -> &'static Words {
    let tag = locale.split(['-', '_']).next().unwrap_or_default();
    let found = WORDS
        .iter()
        .find(|words| words.tag.eq_ignore_ascii_case(tag));
    found.unwrap_or(&WORDS[0])
}

/// The text of a message with the code.
///
/// - `locale`: language tag; English for languages that are not known
/// - `template`: replaces the built-in text, unless it is empty
#[must_use]
pub fn message(locale: &str, template: &str, name: &str, code: &str, warns: bool) -> String {
    let words = words(locale);
    let text = if template.is_empty() {
        words.text
    } else {
        template
    };
    let mut text = filled(text, name, code);
    if warns {
        text.push_str(words.warning);
    }
    text
}

/// The subject of an e-mail with the code.
///
/// - `template`: replaces the built-in text, unless it is empty; `{code}` in it stays as it is
#[must_use]
pub fn subject(locale: &str, template: &str, name: &str) -> String {
    let text = if template.is_empty() {
        words(locale).subject
    } else {
        template
    };
    filled(text, name, "{code}")
}

fn filled(text: &str, name: &str, code: &str) -> String {
    // In one pass: a name that contains `{code}` stays as it is.
    let mut out = String::with_capacity(text.len() + name.len() + code.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("{code}") {
            out.push_str(code);
            rest = after;
        } else if let Some(after) = from.strip_prefix("{name}") {
            out.push_str(name);
            rest = after;
        } else {
            out.push('{');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    out
}

/// What a call with a code is like.
#[derive(Debug, Clone, Copy)]
pub struct Spoken<'a> {
    /// Language tag.
    pub locale: &'a str,
    /// Name of the service.
    pub name: &'a str,
    /// The digits.
    pub code: &'a str,
    /// How often the code is spoken.
    pub repeat: i64,
}

/// The document that a call with a code runs. The digits are spoken one by one, with pauses.
#[must_use]
pub fn document(spoken: &Spoken<'_>) -> String {
    let words = words(spoken.locale);
    let mut say = String::new();
    let intro = filled(words.spoken, spoken.name, spoken.code);
    for _ in 0..spoken.repeat.max(1) {
        let digits: Vec<String> = spoken.code.chars().map(String::from).collect();
        let _ = write!(
            say,
            "<Say language=\"{}\">{} {}.</Say><Pause length=\"1\"/>",
            words.voice,
            escaped(&intro),
            escaped(&digits.join(", "))
        );
    }
    format!("<Response>{say}<Hangup/></Response>")
}

/// The document that asks for a key first, so that no answering machine hears the code.
///
/// - `action`: address whose answer speaks the code
#[must_use]
pub fn question(locale: &str, action: &str) -> String {
    let words = words(locale);
    // Without a key the document ends before the code is spoken.
    format!(
        "<Response><Gather input=\"dtmf\" numDigits=\"1\" finishOnKey=\"\" timeout=\"10\" action=\"{}\">\
         <Say language=\"{}\" loop=\"2\">{}</Say></Gather><Hangup/></Response>",
        escaped(action),
        words.voice,
        escaped(words.press)
    )
}

/// Whether an application may choose this code: 4 to 10 letters or digits.
#[must_use]
pub fn is_code(text: &str) -> bool {
    (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_in_the_language_that_was_asked_for() {
        let table = [
            ("en", "", false, "Your Shop code is 1234."),
            ("de-AT", "", false, "Ihr Code f\u{fc}r Shop lautet 1234."),
            ("xx", "", false, "Your Shop code is 1234."),
            (
                "en",
                "",
                true,
                "Your Shop code is 1234. Never share it with anybody.",
            ),
            ("fr", "{code} = {name} {x} {", false, "1234 = Shop {x} {"),
        ];
        for (locale, template, warns, expected) in table {
            assert_eq!(message(locale, template, "Shop", "1234", warns), expected);
        }
        let subjects = [
            ("de", "", "Ihr Code f\u{fc}r Shop"),
            ("en", "{name}: {code}", "Shop: {code}"),
        ];
        for (locale, template, expected) in subjects {
            assert_eq!(subject(locale, template, "Shop"), expected);
        }
        // A name is not a template.
        assert_eq!(message("en", "{name}", "{code}", "1234", false), "{code}");
    }

    #[test]
    fn digits_are_spoken_apart_as_often_as_asked() {
        let spoken = Spoken {
            locale: "en",
            name: "A & B",
            code: "123",
            repeat: 2,
        };
        let document = document(&spoken);
        assert_eq!(document.matches("1, 2, 3.").count(), 2, "{document}");
        assert!(document.contains("A &amp; B") && !document.contains("123"));
        let question = question("en", "http://a/?b=1&c=2");
        assert!(
            question.contains("action=\"http://a/?b=1&amp;c=2\""),
            "{question}"
        );
    }

    #[test]
    fn codes_have_four_to_ten_letters_or_digits() {
        for (text, expected) in [
            ("1234", true),
            ("abcDEF1234", true),
            ("123", false),
            ("12345678901", false),
            ("12 4", false),
        ] {
            assert_eq!(is_code(text), expected, "{text}");
        }
    }
}
