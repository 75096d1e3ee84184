//! The server: challenges and verifies.

use super::hash::constant_time_eq;
use super::{Algorithm, Challenge, Credentials, NonceState, Nonces, Party};
use crate::header::AuthValue;
use crate::message::{Headers, Method, Response};
use std::net::IpAddr;
use std::time::Duration;

/// Verdict on credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Correct, and not used before.
    Accepted,
    /// Correct, but the nonce is used up: challenge again with `stale=true`.
    Stale,
    /// Incorrect.
    Wrong,
}

/// Credentials that cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// They break the grammar: answer 400.
    #[error("malformed credentials: {0}")]
    Malformed(&'static str),
    /// `qop=auth-int`, or an algorithm that was not offered: challenge again.
    #[error("unsupported {0} in credentials")]
    Unsupported(&'static str),
}

/// Challenges and verifies for one realm per organization.
///
/// The realm of a request is the domain in its From, if that is the domain of an organization, otherwise the first
/// realm: a phone that knows only an address of this server is one of the first organization.
#[derive(Debug)]
pub struct Authenticator {
    /// Domains in lower case; at least one.
    realms: Vec<String>,
    algorithms: Vec<Algorithm>,
    nonces: Nonces,
}

impl Authenticator {
    /// Challenges for `realm`, that of the first organization, with each of `algorithms`.
    pub fn new(realm: &str, algorithms: &[Algorithm], nonces: Nonces) -> Self {
        let mut algorithms = algorithms.to_vec();
        algorithms.sort_by(|a, b| b.cmp(a));
        algorithms.dedup();
        Self {
            realms: vec![realm.to_owned()],
            algorithms,
            nonces,
        }
    }

    /// Replaces the realms of the further organizations.
    pub fn set_more_realms(&mut self, realms: &[String]) {
        self.realms.truncate(1);
        self.realms.extend_from_slice(realms);
    }

    /// The realm of a message: of the organization whose domain is in its From.
    #[must_use]
    pub fn realm(&self, headers: &Headers) -> &str {
        let from = headers.from().ok();
        let host = from.and_then(|from| from.uri.host().map(ToString::to_string));
        let named = host.and_then(|host| {
            let mut realms = self.realms.iter();
            realms.find(|realm| realm.eq_ignore_ascii_case(&host))
        });
        named.or(self.realms.first()).map_or("", String::as_str)
    }

    /// Values for one challenge header each, strongest algorithm first (RFC 8760 §2.4).
    ///
    /// - `stale`: the last credentials were right except for the nonce.
    /// - `now`, `salt`, `to`: as for [`Nonces::mint`].
    pub fn challenges(
        &self,
        realm: &str,
        stale: bool,
        now: Duration,
        (salt, to): (u64, IpAddr),
    ) -> Vec<String> {
        let nonce = self.nonces.mint(now, salt, to);
        let challenge = |algorithm: &Algorithm| Challenge {
            realm: realm.to_owned(),
            nonce: nonce.clone(),
            opaque: None,
            algorithm: *algorithm,
            qop_auth: true,
            stale,
        };
        self.algorithms
            .iter()
            .map(|algorithm| challenge(algorithm).to_string())
            .collect()
    }

    /// Adds the challenges to a 401 or 407; the other arguments are those of
    /// [`Authenticator::challenges`].
    pub fn challenge(
        &self,
        response: &mut Response,
        party: Party,
        stale: bool,
        now: Duration,
        from: (u64, IpAddr),
    ) {
        let realm = self.realm(&response.headers).to_owned();
        for value in self.challenges(&realm, stale, now, from) {
            response.headers.push(party.challenge_header(), value);
        }
    }

    /// The Digest credentials for the realm of `headers`. `None` if there are none: other realms
    /// and schemes are for other servers (RFC 3261 §22.3).
    ///
    /// # Errors
    /// [`CredentialsError`] if they cannot be checked.
    pub fn credentials(
        &self,
        headers: &Headers,
        party: Party,
    ) -> Result<Option<Credentials>, CredentialsError> {
        let own = self.realm(headers);
        for line in headers.lines(party.credentials_header()) {
            let text = String::from_utf8_lossy(line);
            let scheme = text.split_ascii_whitespace().next().unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("Digest") {
                continue;
            }
            let value = AuthValue::parse(&text).map_err(CredentialsError::Malformed)?;
            if value.get("realm").is_some_and(|realm| realm != own) {
                continue;
            }
            let credentials = Credentials::read(&value)?;
            if !self.algorithms.contains(&credentials.algorithm) {
                return Err(CredentialsError::Unsupported("algorithm"));
            }
            return Ok(Some(credentials));
        }
        Ok(None)
    }

    /// Whether credentials answer a challenge that was sent to `source` and has not expired; others prove nothing about who
    /// sent them.
    #[must_use]
    pub fn asked(&self, source: IpAddr, credentials: &Credentials, now: Duration) -> bool {
        self.nonces.was_sent_to(&credentials.nonce, source, now)
    }

    /// Checks the proof against `ha1`: hex, of the algorithm of the credentials. For an unknown
    /// user pass any text that is not a hash, so that both cases take the same time.
    pub fn verify(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        ha1: &str,
        now: Duration,
    ) -> Verdict {
        let proof = credentials.proof(method, ha1);
        let given = credentials.response.to_ascii_lowercase();
        if !constant_time_eq(proof.as_bytes(), given.as_bytes()) {
            return Verdict::Wrong;
        }
        let count = credentials.auth.as_ref().map(|auth| auth.count);
        match self.nonces.take(&credentials.nonce, count, now) {
            NonceState::Fresh => Verdict::Accepted,
            NonceState::Stale => Verdict::Stale,
        }
    }
}
