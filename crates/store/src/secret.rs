//! The key that seals stored secrets, and its file.
//!
//! **Invariant: a secret sealed for one owner cannot be opened for another.**

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Result, StoreError};

const FILE: &str = "secret.key";
const NONCE_BYTES: usize = 12;
const SIGNATURE_BYTES: usize = 16;

/// Key for AES-256-GCM.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads `secret.key` in a directory, or creates it, readable only by its owner.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the file cannot be read or written or does not hold a key.
    pub fn load_or_create(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::from_hex(text.trim()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = Self::random();
                write_private(&path, &key.to_hex()).map_err(|error| unusable(&path, &error))?;
                Ok(key)
            }
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut key = [0; 32];
        if from_hex(text, &mut key) {
            Ok(Self(key))
        } else {
            Err(StoreError::Unusable(
                "a secret key is 64 hexadecimal digits".to_owned(),
            ))
        }
    }

    /// Generates a new key.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Encrypts; [`SecretKey::open`] needs the same `owner` to decrypt.
    pub(crate) fn seal(&self, secret: &[u8], owner: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: secret,
            aad: owner,
        };
        let sealed = self.cipher().encrypt(Nonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("AES-GCM fails only beyond 64 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts.
    pub(crate) fn open(&self, sealed: &[u8], owner: &[u8]) -> Result<Vec<u8>> {
        let (nonce, text) = sealed
            .split_at_checked(NONCE_BYTES)
            .ok_or(StoreError::WrongKey)?;
        let payload = Payload {
            msg: text,
            aad: owner,
        };
        self.cipher()
            .decrypt(Nonce::from_slice(nonce), payload)
            .map_err(|_| StoreError::WrongKey)
    }

    /// Signature of a text for a purpose, such as a link without credentials: 32 hexadecimal digits
    /// (HMAC-SHA-256, first half), the same on every start.
    #[must_use]
    pub fn sign(&self, purpose: &str, text: &str) -> String {
        crate::credentials::hex(&self.mac(purpose, text).finalize().into_bytes()[..SIGNATURE_BYTES])
    }

    /// Whether a signature was made by [`SecretKey::sign`]. Takes the same time for any wrong one.
    #[must_use]
    pub fn is_signed(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let mut bytes = [0; SIGNATURE_BYTES];
        from_hex(signature, &mut bytes)
            && self
                .mac(purpose, text)
                .verify_truncated_left(&bytes)
                .is_ok()
    }

    fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        mac.update(b":");
        mac.update(text.as_bytes());
        mac
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.0.into())
    }

    fn to_hex(&self) -> String {
        crate::credentials::hex(&self.0)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    from_hex(text, &mut bytes).then_some(bytes)
}

/// Reads hexadecimal digits that fill `bytes` exactly.
fn from_hex(text: &str, bytes: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    digits.len() == 2 * bytes.len()
        && bytes
            .iter_mut()
            .zip(digits.chunks_exact(2))
            .all(|(byte, pair)| {
                let digit = |at: usize| char::from(pair[at]).to_digit(16);
                match (digit(0), digit(1)) {
                    (Some(high), Some(low)) => {
                        *byte = (high * 16 + low) as u8;
                        true
                    }
                    _ => false,
                }
            })
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unusable(format!(
        "the key file `{}` cannot be used: {error}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_for_the_same_owner_only() {
        let key = SecretKey::random();
        let sealed = key.seal(b"token", b"one");
        assert_ne!(sealed, key.seal(b"token", b"one"), "nonces differ");
        assert_eq!(key.open(&sealed, b"one").unwrap(), b"token");
        let mut bent = sealed.clone();
        bent[15] ^= 1;
        for (sealed, owner, key) in [
            (&sealed[..], &b"two"[..], &key),
            (&bent, b"one", &key),
            (&sealed[..5], b"one", &key),
            (&sealed, b"one", &SecretKey::random()),
        ] {
            assert!(matches!(key.open(sealed, owner), Err(StoreError::WrongKey)));
        }
    }

    #[test]
    fn signatures_hold_for_one_text_and_purpose() {
        let key = SecretKey::random();
        let signature = key.sign("recording", "RE1");
        assert_eq!(signature.len(), 32);
        let table = [
            ("recording", "RE1", signature.as_str(), true),
            ("recording", "RE2", &signature, false),
            ("other", "RE1", &signature, false),
            ("recording", "RE1", &signature[..30], false),
            ("recording", "RE1", "", false),
            ("recording", "RE1", "é", false),
        ];
        for (purpose, text, signature, good) in table {
            assert_eq!(
                key.is_signed(purpose, text, signature),
                good,
                "{text} {signature}"
            );
        }
        assert!(!SecretKey::random().is_signed("recording", "RE1", &signature));
    }

    #[test]
    fn the_file_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let made = SecretKey::load_or_create(dir.path()).unwrap();
        let read = SecretKey::load_or_create(dir.path()).unwrap();
        assert_eq!(made.0, read.0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(dir.path().join(FILE), "short").unwrap();
        assert!(SecretKey::load_or_create(dir.path()).is_err());
    }
}
