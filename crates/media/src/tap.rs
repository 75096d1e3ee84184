//! Passes the audio of an endpoint to a stream, frame by frame.
//!
//! **Invariant: a slow or departed stream delays nothing, and a frame costs no allocation**: a frame
//! that does not fit into the channel is dropped, which the position of the next one shows. Left to
//! others: choosing the endpoint, and using the samples.

use tokio::sync::mpsc::Sender;

/// Samples of a frame: 20 ms.
pub const FRAME: usize = 160;

/// Which audio of an endpoint is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// What its remote party says.
    Heard,
    /// What its remote party hears.
    Sent,
}

/// A frame of audio: 8 kHz, mono.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The track.
    pub track: Track,
    /// Samples from the start of the tap to this frame.
    pub at: u64,
    /// The samples.
    pub samples: [i16; FRAME],
}

/// One stream's tap of an endpoint.
#[derive(Debug)]
pub(crate) struct Tap {
    frames: Sender<Frame>,
    next: Frame,
    filled: usize,
}

impl Tap {
    pub(crate) fn new(track: Track, frames: Sender<Frame>) -> Self {
        let (at, samples) = (0, [0; FRAME]);
        Self {
            frames,
            next: Frame { track, at, samples },
            filled: 0,
        }
    }

    pub(crate) fn hear(&mut self, mut samples: &[i16]) {
        while !samples.is_empty() {
            let len = samples.len().min(FRAME - self.filled);
            let (part, rest) = samples.split_at(len);
            self.next.samples[self.filled..self.filled + len].copy_from_slice(part);
            self.filled += len;
            samples = rest;
            if self.filled == FRAME {
                // If it does not fit, its receiver sees the gap.
                let _ = self.frames.try_send(self.next);
                self.next.at += FRAME as u64;
                self.filled = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn a_slow_stream_loses_frames_and_sees_where() {
        let (frames, mut taken) = mpsc::channel(2);
        let mut tap = Tap::new(Track::Sent, frames);
        let mut at = || {
            taken
                .try_recv()
                .ok()
                .map(|frame| (frame.at, frame.samples[0]))
        };
        (0..4).for_each(|value| tap.hear(&[value; FRAME]));
        assert_eq!([at(), at(), at()], [Some((0, 0)), Some((160, 1)), None]);
        // Pieces of other lengths make frames, too.
        tap.hear(&[4; 100]);
        assert_eq!(at(), None);
        tap.hear(&[5; 100]);
        assert_eq!(at(), Some((640, 4)));
    }
}
