//! The side that asks.

use super::{Credentials, Nonces, Party};
use crate::message::{Headers, Method};
use std::time::Duration;

/// Verdict on credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Right.
    Accepted,
    /// Right, but the nonce is used up: challenge again with `stale=true`.
    Stale,
    /// Wrong.
    Wrong,
}

/// Credentials that cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// Digest credentials for our realm that break the grammar: answer 400.
    #[error("malformed credentials: {0}")]
    Malformed(&'static str),
    /// `qop=auth-int` or an algorithm never offered: challenge again.
    #[error("unsupported credentials: {0}")]
    Unsupported(&'static str),
}

/// Challenges and verifies for one realm.
#[derive(Debug)]
pub struct Authenticator {
    realm: String,
    nonces: Nonces,
}

impl Authenticator {
    /// An authenticator.
    pub fn new(realm: &str, nonces: Nonces) -> Self {
        Self {
            realm: realm.to_owned(),
            nonces,
        }
    }

    /// The challenge header values, strongest algorithm first.
    pub fn challenges(&self, stale: bool, now: Duration, salt: u64) -> Vec<String> {
        vec![format!(
            "{}{stale}{}",
            self.realm,
            self.nonces.mint(now, salt)
        )]
    }

    /// The credentials for our realm in `headers`, `None` if there are none.
    ///
    /// # Errors
    /// [`CredentialsError`] if there are some that cannot be checked.
    pub fn credentials(
        &self,
        _headers: &Headers,
        _party: Party,
    ) -> Result<Option<Credentials>, CredentialsError> {
        Ok(None)
    }

    /// Checks the proof against `ha1` (hex, for the algorithm of the credentials).
    pub fn verify(
        &mut self,
        _credentials: &Credentials,
        _method: &Method,
        _ha1: &str,
        _now: Duration,
    ) -> Verdict {
        Verdict::Wrong
    }
}
