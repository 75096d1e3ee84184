//! Challenges and credentials as values.

use crate::message::HeaderName;

/// A hash algorithm of RFC 7616.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, which also an absent parameter means.
    Md5,
    /// `SHA-256`.
    Sha256,
}

/// Who asks for credentials: decides status and header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A user agent server or registrar: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy or gateway: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Party {
    /// 401 or 407.
    pub fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// Header of the challenge.
    pub fn challenge_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    /// Header of the credentials.
    pub fn credentials_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// A Digest challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Realm, unquoted.
    pub realm: String,
    /// Nonce, unquoted.
    pub nonce: String,
    /// Opaque text to be echoed.
    pub opaque: Option<String>,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Whether `qop` offers `auth`; without any `qop` the answer is the legacy one of RFC 2069.
    pub qop_auth: bool,
    /// Whether only the nonce was wrong.
    pub stale: bool,
}

/// Digest credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name, unquoted.
    pub username: String,
    /// Realm, unquoted.
    pub realm: String,
    /// Nonce, unquoted.
    pub nonce: String,
    /// `uri` as sent.
    pub uri: String,
    /// The proof, in hex as sent.
    pub response: String,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Present if `qop=auth`.
    pub auth: Option<QopAuth>,
}

/// What `qop=auth` adds to credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QopAuth {
    /// Client nonce.
    pub cnonce: String,
    /// Nonce count as sent: 8 hex digits.
    pub nc: String,
    /// The count as a number.
    pub count: u32,
}
