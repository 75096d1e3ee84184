//! Secrets of the top account that are easy to guess.

use super::{Config, KEYS, Secret};

/// Shortest secret that is not warned about, in characters.
const SHORTEST: usize = 16;
/// Characters that must be left without the well-known words.
const SHORTEST_REST: usize = 8;
/// Different characters that a secret has at least.
const FEWEST_DIFFERENT: usize = 6;
/// What guesses begin with: words of documentation and samples.
const WELL_KNOWN: &[&str] = &[
    "administrator",
    "patchcord",
    "password",
    "changeme",
    "example",
    "default",
    "restcomm",
    "secret",
    "sample",
    "twilio",
    "letmein",
    "qwerty",
    "admin",
    "token",
    "test",
    "0123456789",
    "123456789",
    "abcdef",
];

impl Config {
    /// Whether the top account's e-mail address was left at its default.
    pub(crate) fn has_default_email(&self) -> bool {
        let email = self.admin.email.as_str();
        KEYS.iter()
            .any(|key| (key.section, key.name, key.default) == ("admin", "email", email))
    }

    /// A warning for each secret of the top account that is easy to guess.
    ///
    /// - `without_effect`: settings that the server does not use
    pub(crate) fn weak_secrets(&self, without_effect: &[&str]) -> Vec<String> {
        let secrets = [
            ("admin.token", &self.admin.token),
            ("admin.password", &self.admin.password),
        ];
        let used = secrets
            .into_iter()
            .filter(|(key, _)| !without_effect.contains(key));
        let weak = used.filter_map(|(key, secret)| {
            let why = weakness(secret.as_ref().map(Secret::expose)?)?;
            Some(format!(
                "`{key}` is weak: it {why}. Anyone who guesses it controls this server: set a random text of \
                 at least {SHORTEST} characters, or leave it out to have one generated"
            ))
        });
        weak.collect()
    }
}

fn weakness(secret: &str) -> Option<String> {
    if secret.chars().count() < SHORTEST {
        return Some(format!("has fewer than {SHORTEST} characters"));
    }
    let mut different: Vec<char> = secret.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEWEST_DIFFERENT {
        return Some("repeats the same few characters".to_owned());
    }
    let mut rest = secret.to_lowercase();
    for word in WELL_KNOWN {
        rest = rest.replace(word, "");
    }
    (rest.chars().count() < SHORTEST_REST).then(|| "consists of well-known words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easy_to_guess_is_weak() {
        let table = [
            ("admin", true),
            ("password", true),
            ("15 characters..", true),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", true),
            ("abababababababababab", true),
            ("Admin-Password-1", true),
            ("changeme-changeme", true),
            ("0123456789abcdef", true),
            ("correct horse battery", false),
            ("9f2c71d0a4be8853", false),
            ("admin-9f2c71d0a4be8853", false),
        ];
        for (secret, is_weak) in table {
            assert_eq!(weakness(secret).is_some(), is_weak, "{secret}");
        }
    }

    #[test]
    fn a_warning_names_the_setting_and_not_the_secret() {
        let mut config = Config::defaults().unwrap();
        assert!(
            config.weak_secrets(&[]).is_empty(),
            "unset ones are generated"
        );
        config.set("admin", "token", "open-sesame").unwrap();
        config.set("admin", "password", "9f2c71d0a4be8853").unwrap();
        let warnings = config.weak_secrets(&[]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("`admin.token` is weak"));
        assert!(!warnings[0].contains("sesame"));
        assert!(config.weak_secrets(&["admin.token"]).is_empty());
    }
}
