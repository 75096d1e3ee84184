//! Hashes in lower-case hex and constant-time comparison.

/// HA1 for MD5: `MD5(user:realm:password)` in hex.
pub fn ha1_md5(user: &str, realm: &str, password: &str) -> String {
    super::Algorithm::Md5.hash(&[user, realm, password])
}

/// HA1 for SHA-256: `SHA-256(user:realm:password)` in hex.
pub fn ha1_sha256(user: &str, realm: &str, password: &str) -> String {
    super::Algorithm::Sha256.hash(&[user, realm, password])
}

/// Whether both are equal; the time taken depends only on the lengths.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

impl super::Algorithm {
    /// Hash of `parts` joined by colons, in hex.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        use md5::Digest as _;
        let text = parts.join(":");
        match self {
            Self::Md5 => hex(&md5::Md5::digest(text)),
            Self::Sha256 => hex(&sha2::Sha256::digest(text)),
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes
        .iter()
        .flat_map(|b| [digit(b >> 4), digit(*b)])
        .collect()
}
