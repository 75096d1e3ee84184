//! Nonces that prove themselves, and the window of nonce counts already used.

use std::time::Duration;

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceState {
    /// Ours, in time, count not used before.
    Fresh,
    /// Not ours, too old, or its count was used before: ask again with `stale=true`.
    Stale,
}

/// Mints and checks nonces.
#[derive(Debug)]
pub struct Nonces {
    secret: [u8; 32],
    lifetime: Duration,
}

impl Nonces {
    /// `secret` is random; nonces live for `lifetime`.
    pub fn new(secret: [u8; 32], lifetime: Duration) -> Self {
        Self { secret, lifetime }
    }

    /// A new nonce. `now` is the time since an origin of the caller's, always the same one; `salt`
    /// is random.
    pub fn mint(&self, now: Duration, salt: u64) -> String {
        format!("{now:?}{salt}{:?}{:?}", self.secret, self.lifetime)
    }
}
