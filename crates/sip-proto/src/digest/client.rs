//! The client: answers challenges.

use super::{Algorithm, Challenge, Credentials, Party, QopAuth, ha1_md5, ha1_sha256};
use crate::header::AuthValue;
use crate::message::{HeaderName, Method, Response};
use std::fmt;

/// The secret of a client.
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

/// Why a challenge cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No challenge with an algorithm and qop known here.
    #[error("no supported challenge")]
    Unsupported,
    /// The same credentials have already been refused.
    #[error("credentials were refused")]
    Refused,
}

/// Answers challenges for one user, and counts the uses of each nonce.
#[derive(Clone)]
pub struct Client {
    username: String,
    secret: Secret,
    sessions: Vec<Session>,
}

/// The newest challenge of one realm.
#[derive(Clone)]
struct Session {
    party: Party,
    challenge: Challenge,
    count: u32,
    /// How often the current request was sent with an answer for this realm.
    tries: u8,
}

impl Client {
    /// A client that has not been challenged yet.
    pub fn new(username: &str, secret: Secret) -> Self {
        Self {
            username: username.to_owned(),
            secret,
            sessions: Vec::new(),
        }
    }

    /// Begins a new request, whose credentials may again be challenged once per realm.
    pub fn begin(&mut self) {
        for session in &mut self.sessions {
            session.tries = 0;
        }
    }

    /// Stores the challenges of a 401 or 407; then [`Client::authorize`] the request and send it
    /// again. Of several challenges for a realm the strongest algorithm wins, then one with `qop`.
    ///
    /// # Errors
    /// [`AnswerError`] if another attempt is pointless.
    pub fn learn(&mut self, response: &Response) -> Result<(), AnswerError> {
        let party = match response.status.0 {
            401 => Party::Server,
            407 => Party::Proxy,
            _ => return Err(AnswerError::Unsupported),
        };
        let mut learned = Err(AnswerError::Unsupported);
        for challenge in self.best_challenges(response, party) {
            learned = Ok(());
            let same_realm =
                |s: &&mut Session| s.party == party && s.challenge.realm == challenge.realm;
            match self.sessions.iter_mut().find(same_realm) {
                Some(known) if known.gives_up(&challenge) => return Err(AnswerError::Refused),
                Some(known) => known.renew(challenge),
                None => self.sessions.push(Session {
                    party,
                    challenge,
                    count: 0,
                    tries: 0,
                }),
            }
        }
        learned
    }

    /// One challenge per realm.
    fn best_challenges(&self, response: &Response, party: Party) -> Vec<Challenge> {
        let mut best: Vec<Challenge> = Vec::new();
        for line in response.headers.lines(party.challenge_header()) {
            let value = AuthValue::parse(&String::from_utf8_lossy(line)).ok();
            let Some(challenge) = value.and_then(|v| Challenge::read(&v)) else {
                continue;
            };
            if self.ha1(&challenge).is_none() {
                continue;
            }
            let rank = |c: &Challenge| (c.algorithm, c.qop_auth);
            match best.iter_mut().find(|c| c.realm == challenge.realm) {
                Some(known) if rank(known) < rank(&challenge) => *known = challenge,
                Some(_) => {}
                None => best.push(challenge),
            }
        }
        best
    }

    /// The credentials for a request, one header per known realm; empty before the first challenge.
    /// Each call is a new use of the nonces, so call it once per request sent, not per
    /// retransmission.
    ///
    /// - `uri`: the Request-URI as written in the request.
    /// - `cnonce`: random text.
    pub fn authorize(
        &mut self,
        method: &Method,
        uri: &str,
        cnonce: &str,
    ) -> Vec<(HeaderName, String)> {
        let Self {
            username,
            secret,
            sessions,
        } = self;
        let mut headers = Vec::with_capacity(sessions.len());
        for session in sessions {
            let challenge = &session.challenge;
            let Some(ha1) = secret.ha1(username, challenge) else {
                continue;
            };
            session.tries = session.tries.saturating_add(1);
            session.count = session.count.saturating_add(1);
            let mut credentials = Credentials {
                username: username.clone(),
                realm: challenge.realm.clone(),
                nonce: challenge.nonce.clone(),
                uri: uri.to_owned(),
                response: String::new(),
                algorithm: challenge.algorithm,
                opaque: challenge.opaque.clone(),
                auth: challenge
                    .qop_auth
                    .then(|| QopAuth::new(cnonce, session.count)),
            };
            credentials.response = credentials.proof(method, &ha1);
            headers.push((session.party.credentials_header(), credentials.to_string()));
        }
        headers
    }

    fn ha1(&self, challenge: &Challenge) -> Option<String> {
        self.secret.ha1(&self.username, challenge)
    }
}

impl Session {
    /// Whether the secret must be wrong, or the server calls every nonce stale.
    fn gives_up(&self, challenge: &Challenge) -> bool {
        self.tries > if challenge.stale { 2 } else { 0 }
    }

    /// A repeated nonce keeps its count.
    fn renew(&mut self, challenge: Challenge) {
        if self.challenge.nonce != challenge.nonce {
            self.count = 0;
        }
        self.challenge = challenge;
    }
}

impl Secret {
    fn ha1(&self, username: &str, challenge: &Challenge) -> Option<String> {
        match (self, challenge.algorithm) {
            (Self::Password(password), Algorithm::Md5) => {
                Some(ha1_md5(username, &challenge.realm, password))
            }
            (Self::Password(password), Algorithm::Sha256) => {
                Some(ha1_sha256(username, &challenge.realm, password))
            }
            (Self::Ha1 { md5, .. }, Algorithm::Md5) => md5.clone(),
            (Self::Ha1 { sha256, .. }, Algorithm::Sha256) => sha256.clone(),
        }
    }
}

/// Never shows the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Ha1 { .. } => "Ha1(..)",
        })
    }
}

/// Never shows the secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
