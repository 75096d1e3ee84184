//! Passwords, digests and who may use the API.
//!
//! **Invariant: no password is stored or cached in a form that can be read back.**

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// How long a verified password needs no new verification.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Verifications at a time: each takes a core and 19 MiB for tens of milliseconds.
const PARALLEL: usize = 2;

/// MD5(login:realm:password) in lower-case hex (RFC 2617 §3.2.2.2).
#[must_use]
pub fn ha1_md5(login: &str, realm: &str, password: &str) -> String {
    hex(&Md5::digest(format!("{login}:{realm}:{password}")))
}

/// SHA-256(login:realm:password) in lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1_sha256(login: &str, realm: &str, password: &str) -> String {
    hex(&Sha256::digest(format!("{login}:{realm}:{password}")))
}

/// A new secret of 32 hexadecimal digits.
#[must_use]
pub fn random_token() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// Argon2id hash of a password in PHC form. Takes tens of milliseconds on another thread.
pub async fn hash_password(password: String) -> String {
    run_blocking(move || {
        let salt = SaltString::generate(&mut OsRng);
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        hash.expect("the default parameters are valid").to_string()
    })
    .await
}

/// Verifies passwords and remembers for a minute that it did.
pub(crate) struct Verifier {
    salt: [u8; 16],
    permits: Semaphore,
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self {
            salt: rand::random(),
            permits: Semaphore::new(PARALLEL),
            remembered: Mutex::new(HashMap::new()),
        }
    }

    /// Whether `password` is the one that `hash` was made from.
    pub(crate) async fn verify(&self, hash: &str, password: &str) -> bool {
        let key = self.digest(&[hash, password]);
        if self.is_remembered(&key) {
            return true;
        }
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let good = run_blocking(move || {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            })
        })
        .await;
        if good {
            self.remember(key);
        }
        good
    }

    /// Compares two secrets in a time that does not depend on where they differ.
    pub(crate) fn same(&self, one: &str, other: &str) -> bool {
        self.digest(&[one]) == self.digest(&[other])
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }

    fn is_remembered(&self, key: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(|e| e.into_inner());
        remembered
            .get(key)
            .is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn remember(&self, key: [u8; 32]) {
        let mut remembered = self.remembered.lock().unwrap_or_else(|e| e.into_inner());
        remembered.retain(|_, since| since.elapsed() < REMEMBERED);
        remembered.insert(key, Instant::now());
    }
}

/// Whether a password is the one an imported token was made from: its MD5.
pub(crate) fn is_imported_password(token: &str, password: &str) -> bool {
    hex(&Md5::digest(password)).eq_ignore_ascii_case(token)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_the_examples_of_the_rfcs() {
        // RFC 2617 §3.5 and RFC 7616 §3.9.1.
        assert_eq!(
            ha1_md5("Mufasa", "testrealm@host.com", "Circle Of Life"),
            "939e7578ed9e3c518a452acee763bce9"
        );
        assert_eq!(
            ha1_sha256("Mufasa", "http-auth@example.org", "Circle of Life"),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }

    #[tokio::test]
    async fn verifies_and_remembers_success_only() {
        let verifier = Verifier::new();
        let hash = hash_password("RestComm12".to_owned()).await;
        assert!(!verifier.verify(&hash, "RestComm13").await);
        assert!(verifier.remembered.lock().unwrap().is_empty());
        assert!(verifier.verify(&hash, "RestComm12").await);
        let start = Instant::now();
        assert!(verifier.verify(&hash, "RestComm12").await);
        assert!(start.elapsed() < Duration::from_millis(5), "was remembered");
        assert!(!verifier.verify("no hash", "RestComm12").await);
    }

    #[test]
    fn imported_tokens_are_the_md5_of_the_password() {
        let token = "77f8c12cc7b8f8423e5c38b035249166";
        assert!(is_imported_password(token, "RestComm"));
        assert!(!is_imported_password(token, "Restcomm"));
    }
}
