//! What the owner of a box sets.

use model::AccountSid;
use serde::{Deserialize, Serialize};

use crate::hours::{Hours, zone};
use crate::{mail, phrases};

/// The settings of a box. Texts are empty where nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Language of what the server says and of its e-mails.
    pub language: String,
    /// What callers hear: a text, the address of a sound, or the recording of a greeting.
    pub greeting: String,
    /// The same if the called party is busy.
    pub greeting_busy: String,
    /// The same if the called party does not answer.
    pub greeting_no_answer: String,
    /// The same outside the opening hours.
    pub greeting_closed: String,
    /// What is said before the beep, such as that the call is recorded.
    pub notice: String,
    /// The opening hours ([`Hours`]).
    pub opening_hours: String,
    /// Time zone of the opening hours and of times that are said or written.
    pub time_zone: String,
    /// Longest message, in seconds.
    pub max_length_s: i64,
    /// The silence that ends a message, in seconds.
    pub silence_s: i64,
    /// A shorter message counts as empty, in seconds.
    pub min_length_s: i64,
    /// Whether the caller can listen to the message and record it again.
    pub review: bool,
    /// Number, or `client:` and a login, that a caller who presses 0 during the greeting is connected to.
    pub operator: String,
    /// Addresses that get each message by e-mail, separated by commas.
    pub email_to: String,
    /// Sender of the e-mails.
    pub email_from: String,
    /// Template of the subject.
    pub email_subject: String,
    /// Template of the text.
    pub email_body: String,
    /// Whether the recording is attached.
    pub attach: bool,
    /// Whether what was said is written down.
    pub transcribe: bool,
    /// How long the e-mail waits for that, in seconds.
    pub transcript_wait_s: i64,
    /// Whether a message is deleted once the mail server has accepted it.
    pub delete_after_mail: bool,
    /// How long messages are kept, in days; 0: for good.
    pub retention_days: i64,
    /// Receives what happens to messages.
    pub callback_url: String,
    /// The account that set the callback's address, whose rights apply.
    pub author: Option<AccountSid>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: "en".to_owned(),
            greeting: String::new(),
            greeting_busy: String::new(),
            greeting_no_answer: String::new(),
            greeting_closed: String::new(),
            notice: String::new(),
            opening_hours: String::new(),
            time_zone: "UTC".to_owned(),
            max_length_s: 120,
            silence_s: 5,
            min_length_s: 2,
            review: false,
            operator: String::new(),
            email_to: String::new(),
            email_from: String::new(),
            email_subject: String::new(),
            email_body: String::new(),
            attach: true,
            transcribe: false,
            transcript_wait_s: 60,
            delete_after_mail: false,
            retention_days: 0,
            callback_url: String::new(),
            author: None,
        }
    }
}

/// The smallest and the largest value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds(i64, i64);

impl Bounds {
    /// Of the longest message, in seconds.
    pub const MAX_LENGTH: Self = Self(3, 900);
    /// Of the silence, in seconds.
    pub const SILENCE: Self = Self(1, 60);
    /// Of the shortest message, in seconds.
    pub const MIN_LENGTH: Self = Self(0, 30);
    /// Of the wait for a transcript, in seconds.
    pub const TRANSCRIPT_WAIT: Self = Self(0, 600);
    /// Of the days that messages are kept.
    pub const RETENTION: Self = Self(0, 3650);

    /// The value, if it lies within the bounds.
    ///
    /// # Errors
    /// The bounds, whose text names them.
    pub fn check(self, value: i64) -> Result<i64, Refused> {
        if (self.0..=self.1).contains(&value) {
            Ok(value)
        } else {
            Err(Refused(format!("it must be from {} to {}", self.0, self.1)))
        }
    }
}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub(crate) String);

impl Settings {
    /// Longest greeting and notice, in characters.
    pub const MAX_TEXT: usize = 1000;
    /// Begins a greeting that was recorded by phone; the recording's identifier follows.
    pub const RECORDED: &'static str = "recording:";
    /// Longest PIN, in digits.
    pub const MAX_PIN: usize = 10;
    /// Shortest PIN, in digits.
    pub const MIN_PIN: usize = 4;

    /// Whether the server speaks and writes this language.
    ///
    /// # Errors
    /// The languages that there are.
    pub fn check_language(text: &str) -> Result<(), Refused> {
        if phrases::is_known(text) {
            return Ok(());
        }
        let known = phrases::KNOWN.join("`, `");
        Err(Refused(format!(
            "it must be a tag such as `en` or `de-AT`, of one of the languages `{known}`"
        )))
    }

    /// Whether a text is the name of a time zone.
    ///
    /// # Errors
    /// What it must be.
    pub fn check_zone(text: &str) -> Result<(), Refused> {
        let example = || Refused("it must be a time zone such as `Europe/Berlin`".to_owned());
        zone(text).map(drop).ok_or_else(example)
    }

    /// Whether a text states opening hours; an empty one does: always open.
    ///
    /// # Errors
    /// The part that is wrong.
    pub fn check_hours(text: &str) -> Result<(), Refused> {
        text.parse::<Hours>().map(drop)
    }

    /// Whether a template names only what there is.
    ///
    /// # Errors
    /// The name that there is not.
    pub fn check_template(text: &str) -> Result<(), Refused> {
        mail::check(text)
    }

    /// Whether a text is a PIN.
    ///
    /// # Errors
    /// What it must be.
    pub fn check_pin(text: &str) -> Result<(), Refused> {
        let fits = (Self::MIN_PIN..=Self::MAX_PIN).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(());
        }
        let (min, max) = (Self::MIN_PIN, Self::MAX_PIN);
        Err(Refused(format!("it must have {min} to {max} digits")))
    }

    /// Whether a text can be the operator: a number to dial, or `client:` and a login.
    ///
    /// # Errors
    /// What it must be.
    pub fn check_operator(text: &str) -> Result<(), Refused> {
        let is_client = text.strip_prefix("client:").is_some_and(|login| {
            !login.is_empty() && !login.chars().any(|c| c.is_whitespace() || c.is_control())
        });
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number =
            (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if is_client || is_number {
            return Ok(());
        }
        Err(Refused(
            "it must be a number such as `+4930123456`, or `client:` and the login of a client"
                .to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_before_they_are_stored() {
        for (check, right, wrong) in [
            (
                Settings::check_language as fn(&str) -> Result<(), Refused>,
                &["en", "de-AT", "ES", "fr_CA"][..],
                &["tlh", "", "english please"][..],
            ),
            (
                Settings::check_zone,
                &["UTC", "Europe/Berlin", "america/new_york"],
                &["Berlin", "", "+01:00"],
            ),
            (
                Settings::check_pin,
                &["1234", "0123456789"],
                &["123", "01234567890", "12a4", "１２３４"],
            ),
            (
                Settings::check_operator,
                &["client:ann", "+4930123456", "100"],
                &["client:", "ann", "+", "client:a b", ""],
            ),
        ] {
            for text in right {
                assert_eq!(check(text), Ok(()), "{text}");
            }
            for text in wrong {
                assert!(check(text).is_err(), "{text}");
            }
        }
        assert_eq!(Bounds::SILENCE.check(60), Ok(60));
        let refused = Bounds::SILENCE.check(0).unwrap_err();
        assert_eq!(refused.to_string(), "it must be from 1 to 60");
    }
}
