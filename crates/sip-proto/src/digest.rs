//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), both sides.

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
