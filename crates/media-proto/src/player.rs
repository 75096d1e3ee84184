//! Plays prompts, frame by frame.
//!
//! **Invariant: every sample of every pass comes out once, in order and without gaps**, whatever
//! the frame length; only the last frame is padded with silence. Left to others: when a frame is
//! due, and sending it.

use crate::report::PlayId;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) play: PlayId,
    audio: Vec<Arc<[i16]>>,
    /// Passes after the current one; `None`: endless.
    passes_left: Option<u32>,
    clip: usize,
    offset: usize,
}

impl Player {
    /// `None` if there is nothing to play.
    pub(crate) fn new(
        play: PlayId,
        mut audio: Vec<Arc<[i16]>>,
        times: Option<u32>,
    ) -> Option<Self> {
        audio.retain(|clip| !clip.is_empty());
        let passes_left = match times {
            Some(times) => Some(times.checked_sub(1)?),
            None => None,
        };
        let empty = audio.is_empty();
        (!empty).then_some(Self {
            play,
            audio,
            passes_left,
            clip: 0,
            offset: 0,
        })
    }

    /// Overwrites `out` with the next samples, then silence; false if none are left.
    pub(crate) fn fill(&mut self, out: &mut [i16]) -> bool {
        let mut filled = 0;
        while filled < out.len() {
            let Some(rest) = self.rest() else { break };
            let len = rest.len().min(out.len() - filled);
            out[filled..filled + len].copy_from_slice(&rest[..len]);
            filled += len;
            self.offset += len;
        }
        out[filled..].fill(0);
        filled > 0
    }

    /// The rest of the current clip; moves on to the next at its end.
    fn rest(&mut self) -> Option<&[i16]> {
        if self
            .audio
            .get(self.clip)
            .is_some_and(|clip| self.offset >= clip.len())
        {
            self.clip += 1;
            self.offset = 0;
        }
        if self.clip >= self.audio.len() {
            self.passes_left = match self.passes_left {
                Some(left) => Some(left.checked_sub(1)?),
                None => None,
            };
            self.clip = 0;
        }
        self.audio.get(self.clip)?.get(self.offset..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(audio: &[&[i16]], times: Option<u32>, frames: usize) -> Option<Vec<i16>> {
        let audio = audio.iter().map(|clip| Arc::from(*clip)).collect();
        let mut player = Player::new(PlayId(1), audio, times)?;
        let mut out = Vec::new();
        for _ in 0..frames {
            let mut frame = [9; 4];
            if !player.fill(&mut frame) {
                break;
            }
            out.extend(frame);
        }
        Some(out)
    }

    #[test]
    fn passes_and_clips_without_gaps() {
        let clips: &[&[i16]] = &[&[1, 2, 3], &[], &[4, 5]];
        assert_eq!(
            played(clips, Some(1), 9),
            Some(vec![1, 2, 3, 4, 5, 0, 0, 0])
        );
        assert_eq!(
            played(clips, Some(2), 9),
            Some(vec![1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 0])
        );
        assert_eq!(played(&[&[1, 2, 3, 4]], Some(1), 9), Some(vec![1, 2, 3, 4]));
        assert_eq!(played(&[&[7]], None, 3), Some(vec![7; 12]));
        for nothing in [
            played(clips, Some(0), 9),
            played(&[], None, 9),
            played(&[&[]], None, 9),
        ] {
            assert_eq!(nothing, None);
        }
    }
}
