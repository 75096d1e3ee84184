//! Keys pressed while no verb takes them, kept for the next `<Gather>` of the call.
//!
//! **Invariant: the kept keys were pressed one after the other, without any that another verb took or
//! dropped in between**: an input with a gap would be worse than none. Keys are never traced: they
//! may be a PIN.

use std::collections::VecDeque;

/// Maximum number of kept keys; further ones are dropped.
const MAX_KEYS: usize = 32;

/// The kept keys of a leg.
#[derive(Debug, Default)]
pub(crate) struct TypeAhead {
    keys: VecDeque<char>,
}

impl TypeAhead {
    /// Keeps a key; false if there are too many.
    pub(crate) fn keep(&mut self, key: char) -> bool {
        let fits = self.keys.len() < MAX_KEYS;
        if fits {
            self.keys.push_back(key);
        }
        fits
    }

    /// The kept keys, in the order pressed; none is kept any longer.
    pub(crate) fn take(&mut self) -> VecDeque<char> {
        std::mem::take(&mut self.keys)
    }

    /// Keeps keys that were taken but not used.
    pub(crate) fn put_back(&mut self, keys: VecDeque<char>) {
        self.keys = keys;
    }

    /// Drops all keys; returns whether there were any.
    pub(crate) fn drop_all(&mut self) -> bool {
        !self.take().is_empty()
    }
}
