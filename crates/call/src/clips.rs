//! Sounds of a family that wait to be played.
//!
//! **Invariant: at most [`MAX_CLIPS`], and at most [`MAX_SAMPLES`] unless there is only one.** The
//! oldest makes room, since those of prompts that a key cut short are never played.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call_proto::Clip;

const MAX_CLIPS: usize = 64;
/// An hour, or 58 MB.
const MAX_SAMPLES: usize = 3600 * 8000;

#[derive(Default)]
pub(crate) struct Clips {
    waiting: BTreeMap<u64, Arc<[i16]>>,
    /// Number of clips so far.
    count: u64,
}

impl Clips {
    /// Keeps samples until they are taken.
    pub(crate) fn keep(&mut self, samples: Arc<[i16]>) -> Clip {
        while self.waiting.len() >= MAX_CLIPS
            || (!self.waiting.is_empty() && self.samples() + samples.len() > MAX_SAMPLES)
        {
            self.waiting.pop_first();
        }
        self.count += 1;
        let id = self.count;
        let length = Duration::from_micros(samples.len() as u64 * 125);
        self.waiting.insert(id, samples);
        Clip { id, length }
    }

    /// The samples of a clip; `None` if it made room for others.
    pub(crate) fn take(&mut self, clip: Clip) -> Option<Arc<[i16]>> {
        self.waiting.remove(&clip.id)
    }

    fn samples(&self) -> usize {
        self.waiting.values().map(|samples| samples.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        // Lengths of clips in samples, and how many of the last are kept.
        let table: &[(&[usize], usize)] = &[
            (&[1; MAX_CLIPS], MAX_CLIPS),
            (&[1; MAX_CLIPS + 2], MAX_CLIPS),
            (&[MAX_SAMPLES - 1, 1], 2),
            (&[MAX_SAMPLES / 2, MAX_SAMPLES / 2, 1], 2),
            (&[1, 2, MAX_SAMPLES + 1], 1),
            (&[MAX_SAMPLES + 1, 1, 2], 2),
        ];
        for (lengths, kept) in table {
            let mut clips = Clips::default();
            let all: Vec<Clip> = lengths
                .iter()
                .map(|length| clips.keep(vec![0; *length].into()))
                .collect();
            let dropped = lengths.len() - kept;
            for (index, clip) in all.into_iter().enumerate() {
                let length = clips.take(clip).map(|samples| samples.len());
                let expected = (index >= dropped).then_some(lengths[index]);
                assert_eq!(length, expected, "{index} of {}", lengths.len());
            }
            assert_eq!(clips.samples(), 0);
        }
    }
}
