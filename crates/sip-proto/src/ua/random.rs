//! Random words become tags, branches and Call-IDs.

/// A source of random words. Seeded, a whole run can be replayed; in service it must be
/// unpredictable, because tags and Call-IDs keep strangers out of dialogs.
pub trait Entropy: Send {
    /// The next word.
    fn next_u64(&mut self) -> u64;
}

/// Makes identifiers from random words.
pub(super) struct Random(Box<dyn Entropy>);

impl Random {
    pub(super) fn new(source: Box<dyn Entropy>) -> Self {
        Self(source)
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A tag (RFC 3261 §19.3).
    pub(super) fn tag(&mut self) -> String {
        format!("{:016x}", self.word())
    }

    /// A branch that is unique by itself (§8.1.1.7).
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{:016x}", self.word())
    }

    pub(super) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.word(), self.word())
    }

    /// A number from 0 to `end` - 1.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.word() % end.max(1)
    }

    pub(super) fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&self.word().to_be_bytes());
        }
        secret
    }
}
