//! Challenges and credentials as values.

use super::CredentialsError;
use crate::header::{AuthValue, quote};
use crate::message::{HeaderName, Method};
use std::fmt;

/// A hash algorithm of RFC 7616, ordered by strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, also meant by an absent parameter.
    Md5,
    /// `SHA-256`.
    Sha256,
}

/// Who requests credentials: determines status and header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A user agent server or registrar: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy or gateway: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
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
    /// Whether `qop` offers `auth`; without any `qop`, the answer is the legacy one of RFC 2069.
    pub qop_auth: bool,
    /// Whether only the nonce of the last credentials was wrong.
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
    /// Opaque text of the challenge.
    pub opaque: Option<String>,
    /// Present if `qop=auth`.
    pub auth: Option<QopAuth>,
}

/// The additional fields of credentials with `qop=auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QopAuth {
    /// Client nonce.
    pub cnonce: String,
    /// Nonce count as sent: 8 hex digits.
    pub nc: String,
    /// The count as a number.
    pub count: u32,
}

impl Algorithm {
    /// The token of the `algorithm` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn read(text: Option<&str>) -> Option<Self> {
        let Some(text) = text else {
            return Some(Self::Md5);
        };
        [Self::Md5, Self::Sha256]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(text))
    }
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

impl Challenge {
    /// Reads a challenge that can be answered here: Digest with a known algorithm, and a `qop` list
    /// that is absent or includes `auth`. `None` for all others.
    pub fn read(value: &AuthValue) -> Option<Self> {
        let digest = value.scheme.eq_ignore_ascii_case("Digest");
        let qop = value.get("qop");
        let qop_auth = qop.is_some_and(|list| {
            list.split(',')
                .any(|item| item.trim().eq_ignore_ascii_case("auth"))
        });
        if !digest || (qop.is_some() && !qop_auth) {
            return None;
        }
        Some(Self {
            realm: value.get("realm")?.to_owned(),
            nonce: value.get("nonce")?.to_owned(),
            opaque: value.get("opaque").map(str::to_owned),
            algorithm: Algorithm::read(value.get("algorithm"))?,
            qop_auth,
            stale: value
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

impl Credentials {
    /// Reads Digest credentials.
    ///
    /// # Errors
    /// [`CredentialsError`] if they cannot be checked.
    pub fn read(value: &AuthValue) -> Result<Self, CredentialsError> {
        let need = |name, missing| {
            value
                .get(name)
                .map(str::to_owned)
                .ok_or(CredentialsError::Malformed(missing))
        };
        let algorithm = Algorithm::read(value.get("algorithm"))
            .ok_or(CredentialsError::Unsupported("algorithm"))?;
        Ok(Self {
            username: need("username", "no username")?,
            realm: need("realm", "no realm")?,
            nonce: need("nonce", "no nonce")?,
            uri: need("uri", "no uri")?,
            response: need("response", "no response")?,
            algorithm,
            opaque: value.get("opaque").map(str::to_owned),
            auth: QopAuth::read(value)?,
        })
    }

    /// The proof these credentials must carry for `method` and `ha1` (hex, for their algorithm).
    pub fn proof(&self, method: &Method, ha1: &str) -> String {
        let a2 = self.algorithm.hash(&[method.as_str(), &self.uri]);
        match &self.auth {
            Some(QopAuth { cnonce, nc, .. }) => {
                self.algorithm
                    .hash(&[ha1, &self.nonce, nc, cnonce, "auth", &a2])
            }
            None => self.algorithm.hash(&[ha1, &self.nonce, &a2]),
        }
    }
}

impl QopAuth {
    /// The n-th use of a nonce.
    pub(super) fn new(cnonce: &str, count: u32) -> Self {
        Self {
            cnonce: cnonce.to_owned(),
            nc: format!("{count:08x}"),
            count,
        }
    }

    fn read(value: &AuthValue) -> Result<Option<Self>, CredentialsError> {
        let Some(qop) = value.get("qop") else {
            return Ok(None);
        };
        if !qop.eq_ignore_ascii_case("auth") {
            return Err(CredentialsError::Unsupported("qop"));
        }
        let nc = value
            .get("nc")
            .ok_or(CredentialsError::Malformed("no nc"))?;
        let hex = nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit());
        let count = u32::from_str_radix(nc, 16).ok().filter(|_| hex);
        Ok(Some(Self {
            cnonce: value
                .get("cnonce")
                .ok_or(CredentialsError::Malformed("no cnonce"))?
                .to_owned(),
            nc: nc.to_owned(),
            count: count.ok_or(CredentialsError::Malformed("nc is not 8 hex digits"))?,
        }))
    }
}

/// In a challenge `algorithm`, `qop` and `stale` are unquoted tokens, except `qop`, whose list is
/// quoted (RFC 7616 §3.3).
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest realm={}, nonce={}",
            quote(&self.realm),
            quote(&self.nonce)
        )?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        write!(f, ", algorithm={}", self.algorithm.as_str())?;
        if self.qop_auth {
            f.write_str(", qop=\"auth\"")?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        Ok(())
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}",
            quote(&self.username),
            quote(&self.realm)
        )?;
        write!(
            f,
            ", nonce={}, uri={}",
            quote(&self.nonce),
            quote(&self.uri)
        )?;
        write!(
            f,
            ", response={}, algorithm={}",
            quote(&self.response),
            self.algorithm.as_str()
        )?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if let Some(QopAuth { cnonce, nc, .. }) = &self.auth {
            write!(f, ", qop=auth, nc={nc}, cnonce={}", quote(cnonce))?;
        }
        Ok(())
    }
}
