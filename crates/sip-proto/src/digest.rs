//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), both sides.
//!
//! Algorithms MD5 and SHA-256, `qop=auth` and the legacy form without `qop`; `auth-int` and `-sess`
//! are refused. The server keeps no table of the nonces it issued, only of the counts used with
//! those that were answered correctly. Invariant: **credentials with a nonce count are accepted at
//! most once.** Left to others: finding HA1 values, deciding which requests need credentials,
//! sending challenges.
//!
//! The `uri` of credentials is not compared with the Request-URI: proxies and registrars on the way
//! rewrite the latter, and phones are known to send their domain there.

mod client;
mod hash;
mod nonce;
mod server;
mod types;

pub use client::{AnswerError, Client, Secret};
pub use hash::{constant_time_eq, ha1_md5, ha1_sha256};
pub use nonce::{NonceState, Nonces};
pub use server::{Authenticator, CredentialsError, Verdict};
pub use types::{Algorithm, Challenge, Credentials, Party, QopAuth};
