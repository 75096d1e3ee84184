//! The auth token that `patchcord test` and `patchcord lint` sign their requests with.
//!
//! It comes from a file, so that it appears neither in a script nor in the list of processes.
//! **Invariant: a request signed with it passes the checks that a server's requests pass.**

use model::EventSid;
use webhook::{Secrets, Stamp};

/// An account's auth token.
#[derive(Clone, Debug)]
pub(crate) struct Token(Secrets);

impl Token {
    /// The token in a file, which contains nothing else.
    ///
    /// # Errors
    /// A sentence, if the file cannot be read or has no text or several lines.
    pub(crate) fn from_file(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let token = text.trim();
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err("it must contain the auth token and nothing else".to_owned());
        }
        Ok(Self(Secrets {
            primary: token.to_owned(),
            secondary: None,
        }))
    }

    /// Signs one request, which is a new event even if the call repeats an earlier one.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            event: EventSid::new(crate::now(), rand::random()),
            secrets: Some(self.0.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let table = [
            ("abc123\n", true),
            ("abc123", true),
            ("", false),
            (
                "PATCHCORD_ADMIN_SID=AC1\nPATCHCORD_ADMIN_TOKEN=abc\n",
                false,
            ),
        ];
        for (text, works) in table {
            std::fs::write(&path, text).unwrap();
            let token = Token::from_file(path.to_str().unwrap());
            assert_eq!(token.is_ok(), works, "{text}");
            assert!(!format!("{token:?}").contains("abc"));
        }
    }
}
