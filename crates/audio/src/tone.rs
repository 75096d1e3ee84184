//! Tones.
use std::sync::Arc;

/// A phase-continuous sine at [`crate::RATE`].
#[derive(Debug, Clone)]
pub struct Tone {
    phase: f64,
    step: f64,
    amplitude: f64,
}
impl Tone {
    /// A sine of `hz` at `level_dbm0` (0 dBm0 = −6.16 dBFS RMS, i.e. 3.14 dBm0 is a full-scale sine).
    pub fn new(_hz: f64, _level_dbm0: f64) -> Self {
        unimplemented!()
    }
    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, _out: &mut [i16]) {
        unimplemented!()
    }
    /// The next `ms` milliseconds.
    pub fn samples(&mut self, _ms: u32) -> Vec<i16> {
        unimplemented!()
    }
}
/// The two frequencies of a DTMF key in Hz; `None` if `digit` is not one.
pub fn dtmf_frequencies(_digit: char) -> Option<(f64, f64)> {
    unimplemented!()
}
/// One period (6 s) of US ring-back: 440 + 480 Hz for 2 s, silence for 4 s. Built once.
pub fn ringback_us() -> Arc<[i16]> {
    unimplemented!()
}
/// A short beep: 1 kHz, 200 ms.
pub fn beep() -> Arc<[i16]> {
    unimplemented!()
}
