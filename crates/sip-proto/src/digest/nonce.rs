//! Nonces that prove themselves, and the counts already used with them.
//!
//! A nonce is 64 hex digits: 8 bytes of time in ms, 4 of salt, 4 that name the source it was sent to, 16 of an HMAC over
//! them. So nothing is stored for a nonce until a client uses it to prove that it knows a password, and an answer to it
//! proves that its sender receives what is sent to that source.

use super::hash::{constant_time_eq, hex};
use hmac::{Hmac, Mac as _};
use model::Source;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The verdict on a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceState {
    /// Ours, in time, and its count is new.
    Fresh,
    /// Not ours, too old, or its count was used before: challenge again with `stale=true`.
    Stale,
}

/// Mints and checks nonces.
pub struct Nonces {
    mac: Hmac<Sha256>,
    lifetime: Duration,
    capacity: usize,
    used: BTreeMap<Id, Window>,
    /// Nonces minted up to here are stale unless in `used`: their entries were dropped.
    floor_ms: Option<u64>,
}

/// Time of minting in ms, then the salt, so the oldest comes first.
type Id = (u64, u64);

/// Counts used with one nonce: the highest, and a bit for each of the 64 up to it. UDP may reorder
/// requests, so lower counts can still arrive.
#[derive(Debug, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Nonces {
    /// Nonces that live for `lifetime`. `secret` is random; counts are remembered for the newest
    /// `capacity` nonces, and older ones become stale.
    pub fn new(secret: [u8; 32], lifetime: Duration, capacity: usize) -> Self {
        let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
        key[..32].copy_from_slice(&secret);
        let mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&key);
        Self {
            mac,
            lifetime,
            capacity,
            used: BTreeMap::new(),
            floor_ms: None,
        }
    }

    /// A new nonce. `now` is the time since an origin of the caller's choice, the same in all calls;
    /// `salt` is random; half of it is used.
    pub fn mint(&self, now: Duration, salt: u64, to: Source) -> String {
        self.seal((millis(now), salt << 32 | self.mark(to)))
    }

    /// Whether `nonce` is ours, was sent to `source`, and has not expired.
    pub fn was_sent_to(&self, nonce: &str, source: Source, now: Duration) -> bool {
        self.open(nonce).is_some_and(|(minted_ms, salt)| {
            self.lives(minted_ms, now) && salt & u64::from(u32::MAX) == self.mark(source)
        })
    }

    /// Whether a nonce that was minted at this time has not expired.
    fn lives(&self, minted_ms: u64, now: Duration) -> bool {
        (self.oldest_ms(now)..=millis(now)).contains(&minted_ms)
    }

    /// When the oldest nonce that has not expired was minted.
    fn oldest_ms(&self, now: Duration) -> u64 {
        millis(now).saturating_sub(millis(self.lifetime))
    }

    /// 32 bits that name a source. Only we can compute them, so a stranger cannot choose a source with the same ones.
    fn mark(&self, source: Source) -> u64 {
        let text = source.to_string();
        let tag = self.mac.clone().chain_update(text.as_bytes());
        let tag = tag.finalize().into_bytes();
        u64::from(u32::from_be_bytes([tag[0], tag[1], tag[2], tag[3]]))
    }

    fn seal(&self, (minted_ms, salt): Id) -> String {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&minted_ms.to_be_bytes());
        bytes[8..16].copy_from_slice(&salt.to_be_bytes());
        let tag = self
            .mac
            .clone()
            .chain_update(&bytes[..16])
            .finalize()
            .into_bytes();
        bytes[16..].copy_from_slice(&tag[..16]);
        hex(&bytes)
    }

    fn open(&self, nonce: &str) -> Option<Id> {
        let minted_ms = u64::from_str_radix(nonce.get(..16)?, 16).ok()?;
        let salt = u64::from_str_radix(nonce.get(16..32)?, 16).ok()?;
        let id = (minted_ms, salt);
        constant_time_eq(self.seal(id).as_bytes(), nonce.as_bytes()).then_some(id)
    }

    /// Judges `nonce` and records `count` (`None` for credentials without `qop`). Call only after
    /// the proof was verified, or strangers could fill the table.
    pub fn take(&mut self, nonce: &str, count: Option<u32>, now: Duration) -> NonceState {
        let Some(id) = self.open(nonce).filter(|(at, _)| self.lives(*at, now)) else {
            return NonceState::Stale;
        };
        let Some(count) = count else {
            return NonceState::Fresh;
        };
        self.used = self.used.split_off(&(self.oldest_ms(now), 0));
        if Some(id.0) <= self.floor_ms && !self.used.contains_key(&id) {
            return NonceState::Stale;
        }
        let fresh = self.used.entry(id).or_default().take(count);
        while self.used.len() > self.capacity {
            let Some(((minted_ms, _), _)) = self.used.pop_first() else {
                break;
            };
            self.floor_ms = self.floor_ms.max(Some(minted_ms));
        }
        if fresh {
            NonceState::Fresh
        } else {
            NonceState::Stale
        }
    }
}

impl Window {
    /// Whether `count` is new; counts more than 63 below the highest are treated as used.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1_u64.checked_shl(self.highest - count).unwrap_or(0);
        let fresh = count > 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Never shows the key.
impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("used", &self.used.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn nonces(capacity: usize) -> Nonces {
        Nonces::new([7; 32], LIFE, capacity)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_instant_mints_like_any_other() {
        let mut nonces = nonces(8);
        let nonce = nonces.mint(secs(0), 0, Source::NONE);
        assert_eq!(nonces.take(&nonce, Some(1), secs(0)), NonceState::Fresh);
    }

    #[test]
    fn counts_are_accepted_once_in_any_order() {
        let mut nonces = nonces(8);
        let nonce = nonces.mint(secs(1), 5, Source::NONE);
        let high = 0xffff_fff0;
        for (count, fresh) in [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (0, false),
            (0x0a, true),
            (0x100, true),
            (0x100 - 63, true),
            (0x100 - 64, false),
            (high, true),
            (0x101, false),
            (u32::MAX, true),
            (high, false),
        ] {
            let state = nonces.take(&nonce, Some(count), secs(2));
            assert_eq!(state == NonceState::Fresh, fresh, "count {count:#x}");
        }
    }

    #[test]
    fn nonces_end_with_their_lifetime_and_cannot_be_made_up() {
        let mut nonces = nonces(8);
        let nonce = nonces.mint(secs(10), 5, Source::NONE);
        let other = Nonces::new([8; 32], LIFE, 8).mint(secs(10), 5, Source::NONE);
        let mut forged = nonce.clone();
        forged.replace_range(
            15..16,
            if nonce.as_bytes()[15] == b'0' {
                "1"
            } else {
                "0"
            },
        );
        for (nonce, at, fresh) in [
            (nonce.as_str(), 10, true),
            (&nonce, 70, true),
            (&nonce, 71, false),
            (&nonce, 9, false),
            (&other, 10, false),
            (&forged, 11, false),
            ("", 11, false),
            ("äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü", 11, false),
        ] {
            let state = nonces.take(nonce, None, secs(at));
            assert_eq!(state == NonceState::Fresh, fresh, "{nonce} at {at}");
        }
    }

    #[test]
    fn a_nonce_is_for_the_source_it_was_sent_to() {
        let nonces = nonces(8);
        let [here, there] =
            [1, 2].map(|last| Source::from(std::net::IpAddr::from([192, 0, 2, last])));
        let nonce = nonces.mint(secs(1), u64::MAX, here);
        assert!(nonces.was_sent_to(&nonce, here, secs(1)));
        assert!(!nonces.was_sent_to(&nonce, there, secs(1)));
        let (last, over) = (secs(1) + LIFE, secs(2) + LIFE);
        assert!(nonces.was_sent_to(&nonce, here, last) && !nonces.was_sent_to(&nonce, here, over));
        let other = Nonces::new([8; 32], LIFE, 8).mint(secs(1), 5, here);
        for foreign in [other.as_str(), ""] {
            assert!(!nonces.was_sent_to(foreign, here, secs(1)));
        }
        assert_ne!(nonce, nonces.mint(secs(1), 1, here));
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_never_lets_it_in_again() {
        let mut nonces = nonces(2);
        let minted: Vec<String> = (1..=3)
            .map(|n| nonces.mint(secs(n), n, Source::NONE))
            .collect();
        for nonce in &minted {
            assert_eq!(nonces.take(nonce, Some(1), secs(4)), NonceState::Fresh);
        }
        assert_eq!(nonces.used.len(), 2);
        for (index, count, fresh) in [(0, 1, false), (0, 2, false), (1, 2, true), (2, 2, true)] {
            let state = nonces.take(&minted[index], Some(count), secs(5));
            assert_eq!(
                state == NonceState::Fresh,
                fresh,
                "nonce {index} count {count}"
            );
        }
        assert_eq!(nonces.take(&minted[1], None, secs(500)), NonceState::Stale);
        nonces.take(&nonces.mint(secs(500), 1, Source::NONE), Some(1), secs(500));
        assert_eq!(nonces.used.len(), 1, "expired entries go");
    }
}
