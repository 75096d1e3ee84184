//! Caches decoded sound files: one that many calls play is decoded once.
//!
//! **Invariant: samples belong to exactly these bytes**; a changed file has different bytes, and is
//! decoded again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Maximum samples of all files: 16 MiB.
const MOST: usize = 8 << 20;

#[derive(Default)]
pub(crate) struct Prompts(Mutex<VecDeque<Decoded>>);

struct Decoded {
    bytes: Weak<[u8]>,
    samples: Arc<[i16]>,
}

impl Prompts {
    pub(crate) fn get(&self, bytes: &Arc<[u8]>) -> Option<Arc<[i16]>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known
            .iter()
            .position(|one| one.bytes.strong_count() > 0 && same(&one.bytes, bytes))?;
        let found = known.remove(at)?;
        let samples = Arc::clone(&found.samples);
        known.push_back(found);
        Some(samples)
    }

    /// Keeps samples while the file is in use, unless there are too many others.
    pub(crate) fn put(&self, bytes: &Arc<[u8]>, samples: &Arc<[i16]>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|one| one.bytes.strong_count() > 0 && !same(&one.bytes, bytes));
        known.push_back(Decoded {
            bytes: Arc::downgrade(bytes),
            samples: Arc::clone(samples),
        });
        let mut total: usize = known.iter().map(|one| one.samples.len()).sum();
        while total > MOST
            && let Some(oldest) = known.pop_front()
        {
            total -= oldest.samples.len();
        }
    }
}

fn same(known: &Weak<[u8]>, bytes: &Arc<[u8]>) -> bool {
    std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_their_bytes() {
        let prompts = Prompts::default();
        let (a, b): (Arc<[u8]>, Arc<[u8]>) = (vec![1].into(), vec![1].into());
        let sound = |samples| -> Arc<[i16]> { vec![7; samples].into() };
        prompts.put(&a, &sound(10));
        assert_eq!(prompts.get(&a).map(|samples| samples.len()), Some(10));
        assert!(
            prompts.get(&b).is_none(),
            "the same text is not the same file"
        );
        drop(a);
        prompts.put(&b, &sound(20));
        assert_eq!(
            prompts.0.lock().unwrap().len(),
            1,
            "nobody has the other file"
        );
        prompts.put(&b, &sound(MOST));
        assert_eq!(prompts.get(&b).map(|samples| samples.len()), Some(MOST));
        let c: Arc<[u8]> = vec![2].into();
        prompts.put(&c, &sound(1));
        assert!(prompts.get(&b).is_none(), "the oldest went");
        assert!(prompts.get(&c).is_some());
    }
}
