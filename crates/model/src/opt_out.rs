//! Opt-outs: who does not want texts from a number, and the words by which people say so.
//!
//! **Invariant: a text is a keyword only if it is nothing else**: `STOP` and ` stop! ` are, `stop please` is not.

use crate::number::{e164, is_dialable, plain};
use crate::status::words;
use crate::{AccountSid, OptOutSid, Timestamp};

words!(
    /// What a keyword means, as in Twilio's parameter `OptOutType`.
    OptOutType {
        /// No more texts.
        Stop = "STOP",
        /// Texts are welcome again.
        Start = "START",
        /// A question about the sender.
        Help = "HELP",
    }
);

/// The keywords, which are Twilio's.
const KEYWORDS: [(&str, OptOutType); 13] = [
    ("STOP", OptOutType::Stop),
    ("STOPALL", OptOutType::Stop),
    ("UNSUBSCRIBE", OptOutType::Stop),
    ("CANCEL", OptOutType::Stop),
    ("END", OptOutType::Stop),
    ("QUIT", OptOutType::Stop),
    ("REVOKE", OptOutType::Stop),
    ("OPTOUT", OptOutType::Stop),
    ("START", OptOutType::Start),
    ("YES", OptOutType::Start),
    ("UNSTOP", OptOutType::Start),
    ("HELP", OptOutType::Help),
    ("INFO", OptOutType::Help),
];

/// The meaning of a text that is one of the keywords, in any letter case, with spaces and punctuation around it.
#[must_use]
pub fn keyword(text: &str) -> Option<(&'static str, OptOutType)> {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric());
    let mut keywords = KEYWORDS.into_iter();
    keywords.find(|(keyword, _)| keyword.eq_ignore_ascii_case(word))
}

/// The one spelling in which a sender or recipient is compared: a number with its country code in E.164, whether it was
/// written with `+` or not; a short number as its digits; a name in lower case.
#[must_use]
pub fn party(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("client:").unwrap_or(text);
    if !is_dialable(text) {
        return crate::address::redacted_sip(text).to_lowercase();
    }
    if let Some(number) = e164(text) {
        return number;
    }
    let digits = plain(text);
    let is_whole = (9..=15).contains(&digits.len()) && !digits.starts_with('0');
    if is_whole && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("+{digits}")
    } else {
        digits.trim_start_matches('+').to_owned()
    }
}

/// A recipient that does not want texts from a number of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Identifier.
    pub sid: OptOutSid,
    /// Account of the number.
    pub account: AccountSid,
    /// The number that must not send, as [`party`] spells it.
    pub number: String,
    /// Who gets no texts from it, spelled the same way.
    pub recipient: String,
    /// The keyword that the recipient sent; `None` if it was added through the API.
    pub keyword: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What an account does with keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptOutSettings {
    /// Whether keywords have an effect; `None`: only at numbers whose application speaks Twilio's dialect.
    pub keywords: Option<bool>,
    /// Answer to a keyword of each kind; `None`: the default text, empty: no answer.
    pub replies: Replies,
}

/// Answers to keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    /// After an opt-out.
    pub stop: Option<String>,
    /// After the end of one.
    pub start: Option<String>,
    /// To a question.
    pub help: Option<String>,
}

impl Replies {
    /// The answer to a keyword; `None` if the account wants none.
    #[must_use]
    pub fn to(&self, kind: OptOutType) -> Option<&str> {
        let (own, default) = match kind {
            OptOutType::Stop => (&self.stop, STOP_REPLY),
            OptOutType::Start => (&self.start, START_REPLY),
            OptOutType::Help => (&self.help, HELP_REPLY),
        };
        Some(own.as_deref().unwrap_or(default)).filter(|text| !text.is_empty())
    }
}

/// The default answer after an opt-out.
pub const STOP_REPLY: &str =
    "You will get no more messages from this number. Reply START to get them again.";
/// The default answer after the end of an opt-out.
pub const START_REPLY: &str =
    "You will get messages from this number again. Reply STOP to get no more, HELP for help.";
/// The default answer to a question.
pub const HELP_REPLY: &str = "Reply STOP to get no more messages from this number.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_whole_texts() {
        for (text, expected) in [
            ("STOP", Some("STOP")),
            (" stop! \n", Some("STOP")),
            ("«Unsubscribe.»", Some("STOP")),
            ("stopall", Some("STOP")),
            ("Yes", Some("START")),
            ("unstop", Some("START")),
            ("info?", Some("HELP")),
            ("stop please", None),
            ("don't stop", None),
            ("st op", None),
            ("stopp", None),
            ("", None),
            ("...", None),
        ] {
            let found = keyword(text).map(|(_, kind)| kind.as_str());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_party_has_one_spelling() {
        for (text, expected) in [
            ("+49 30 123456", "+4930123456"),
            ("4930123456", "+4930123456"),
            ("004930123456", "+4930123456"),
            ("12345", "12345"),
            ("+12345", "12345"),
            ("030123456", "030123456"),
            ("Shop", "shop"),
            ("client:Bob", "bob"),
            ("sip:Bob:secret@Example.org", "sip:bob@example.org"),
        ] {
            assert_eq!(party(text), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_reply_is_none() {
        let replies = Replies {
            stop: Some(String::new()),
            start: Some("welcome".to_owned()),
            help: None,
        };
        let said =
            [OptOutType::Stop, OptOutType::Start, OptOutType::Help].map(|kind| replies.to(kind));
        assert_eq!(said, [None, Some("welcome"), Some(HELP_REPLY)]);
    }
}
