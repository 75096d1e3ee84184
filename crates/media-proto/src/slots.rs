//! Stores values under small reusable numbers.
//!
//! **Invariant: a number names one value from its insertion to its removal**; then the number is
//! reused, so every holder of it must be notified when its value is removed.

#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    pub(crate) fn insert(&mut self, value: T) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(value);
                slot
            }
            None => {
                self.slots.push(Some(value));
                self.slots.len() - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<T> {
        let value = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(value)
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// All values with their numbers, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let all = self.slots.iter().enumerate();
        all.filter_map(|(slot, value)| Some((slot, value.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let all = self.slots.iter_mut().enumerate();
        all.filter_map(|(slot, value)| Some((slot, value.as_mut()?)))
    }
}
