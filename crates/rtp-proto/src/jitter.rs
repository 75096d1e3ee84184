//! Jitter buffer for decoded samples at 8 kHz, with concealment.
use crate::packet::Header;
use std::time::{Duration, Instant};
/// How long audio waits before it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Follows the network between two bounds.
    Adaptive {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
}
/// What a frame was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// Received audio.
    Audio,
    /// At least partly concealed.
    Concealed,
    /// Nothing to play: silence.
    Silence,
}
/// What became of a pushed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Will be played.
    Kept,
    /// Its time has passed.
    Late,
    /// The stream started anew with this packet.
    Restarted,
}
/// The buffer. Allocates in `new` only.
#[derive(Debug, Clone)]
pub struct JitterBuffer {
    _delay: Delay,
}
impl JitterBuffer {
    /// An empty buffer.
    pub fn new(delay: Delay) -> Self {
        Self { _delay: delay }
    }
    /// Stores one packet's decoded samples.
    pub fn push(&mut self, _header: &Header, _samples: &[i16], _now: Instant) -> Pushed {
        unimplemented!()
    }
    /// Fills `out` (at most 480 samples) with the next samples to play.
    pub fn pull(&mut self, _out: &mut [i16], _now: Instant) -> Played {
        unimplemented!()
    }
    /// Current target delay.
    pub fn delay(&self) -> Duration {
        unimplemented!()
    }
    /// Packets that came too late to be played.
    pub fn late(&self) -> u64 {
        unimplemented!()
    }
    /// Samples concealed.
    pub fn concealed(&self) -> u64 {
        unimplemented!()
    }
    /// Forgets the stream.
    pub fn reset(&mut self) {
        unimplemented!()
    }
}
