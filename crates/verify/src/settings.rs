//! What a service allows.

use serde::{Deserialize, Serialize};

/// The settings of a service. A row that was written by an earlier build has the defaults for what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Digits of a code.
    pub code_length: i64,
    /// How long a code is valid, in seconds.
    pub valid_s: i64,
    /// Guesses per verification.
    pub max_checks: i64,
    /// Codes to one recipient within ten minutes.
    pub max_sends: i64,
    /// Shortest time between two codes to one recipient, in seconds.
    pub resend_s: i64,
    /// Sender of texts and calls; empty for the account's oldest number.
    pub from: String,
    /// Sender of e-mails; empty if there is none.
    pub email_from: String,
    /// Subject of e-mails, possibly with `{name}`; empty for the built-in ones.
    pub email_subject: String,
    /// Text of the message with `{code}`, and possibly `{name}`; empty for the built-in ones.
    pub template: String,
    /// Whether a key must be pressed before the code is spoken, so that no answering machine hears it.
    pub asks_for_key: bool,
    /// How often a call speaks the code.
    pub repeat: i64,
    /// Whether applications may choose codes.
    pub custom_codes: bool,
    /// Whether messages warn against passing the code on.
    pub warns: bool,
    /// In test mode: the code of all verifications, none of which is sent; empty otherwise.
    pub test_code: String,
    /// The channel to use when a code could not be sent; empty for none.
    pub fallback: String,
    /// Beginnings of numbers to which codes are sent, such as `+49`; all if empty.
    pub allowed: Vec<String>,
    /// Codes to the numbers of one block within an hour.
    pub block_limit: i64,
    /// Codes requested from one network within an hour.
    pub network_limit: i64,
    /// Codes within 24 hours.
    pub daily_limit: i64,
    /// From how many codes to a block on it is watched whether they are confirmed.
    pub watch_least: i64,
    /// How many per cent of them must be; 0 does not watch.
    pub watch_percent: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            code_length: 6,
            valid_s: 600,
            max_checks: 5,
            max_sends: 5,
            resend_s: 30,
            from: String::new(),
            email_from: String::new(),
            email_subject: String::new(),
            template: String::new(),
            asks_for_key: false,
            repeat: 3,
            custom_codes: false,
            warns: false,
            test_code: String::new(),
            fallback: String::new(),
            allowed: Vec::new(),
            block_limit: 200,
            network_limit: 100,
            daily_limit: 10_000,
            watch_least: 20,
            watch_percent: 25,
        }
    }
}

/// A setting is outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be from {least} to {most}")]
pub struct SettingsError {
    least: i64,
    most: i64,
}

impl Settings {
    /// The bounds of a numeric parameter, by its name in the API; `None` if it is not one.
    #[must_use]
    pub const fn bounds(name: &str) -> Option<(i64, i64)> {
        Some(match name.as_bytes() {
            b"CodeLength" => (4, 10),
            b"ValidSeconds" => (120, 86_400),
            b"MaxChecks" => (1, 10),
            b"MaxSends" => (1, 20),
            b"ResendSeconds" => (0, 600),
            b"Repeat" => (1, 10),
            b"BlockLimit" | b"NetworkLimit" => (1, 1_000_000),
            b"DailyLimit" => (1, 100_000_000),
            b"WatchLeast" => (5, 1_000_000),
            b"WatchPercent" => (0, 100),
            _ => return None,
        })
    }

    /// Where a numeric parameter is kept.
    pub fn number(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "CodeLength" => &mut self.code_length,
            "ValidSeconds" => &mut self.valid_s,
            "MaxChecks" => &mut self.max_checks,
            "MaxSends" => &mut self.max_sends,
            "ResendSeconds" => &mut self.resend_s,
            "Repeat" => &mut self.repeat,
            "BlockLimit" => &mut self.block_limit,
            "NetworkLimit" => &mut self.network_limit,
            "DailyLimit" => &mut self.daily_limit,
            "WatchLeast" => &mut self.watch_least,
            "WatchPercent" => &mut self.watch_percent,
            _ => return None,
        })
    }

    /// Sets a numeric parameter.
    ///
    /// # Errors
    /// If the value is outside the bounds. A name that is not one of a numeric parameter changes nothing.
    pub fn set(&mut self, name: &str, value: i64) -> Result<(), SettingsError> {
        let (Some((least, most)), Some(place)) = (Self::bounds(name), self.number(name)) else {
            return Ok(());
        };
        if !(least..=most).contains(&value) {
            return Err(SettingsError { least, most });
        }
        *place = value;
        Ok(())
    }

    /// Whether codes are sent to numbers like this one; to e-mail addresses always.
    #[must_use]
    pub fn allows(&self, to: &str) -> bool {
        self.allowed.is_empty()
            || to.contains('@')
            || self.allowed.iter().any(|start| to.starts_with(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_keep_them() {
        let mut settings = Settings::default();
        assert!(settings.set("CodeLength", 4).is_ok());
        assert_eq!(settings.code_length, 4);
        for value in [3, 11, -1] {
            let refused = settings.set("CodeLength", value).unwrap_err();
            assert_eq!(refused.to_string(), "it must be from 4 to 10");
        }
        assert_eq!(settings.code_length, 4);
        assert!(Settings::bounds("Nothing").is_none());
    }

    #[test]
    fn only_allowed_beginnings_are_allowed() {
        let mut settings = Settings::default();
        assert!(settings.allows("+4930123"));
        settings.allowed = vec!["+49".to_owned(), "+1202".to_owned()];
        let table = [
            ("+4930123", true),
            ("+12025550100", true),
            ("+13035550100", false),
            ("kim@example.org", true),
            ("+881", false),
        ];
        for (to, expected) in table {
            assert_eq!(settings.allows(to), expected, "{to}");
        }
    }
}
