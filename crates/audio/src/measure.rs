//! Levels.

/// RMS level in dBFS (0 = square wave at full scale; a full-scale sine is −3.01). Silence: −∞ (`f64::NEG_INFINITY`).
pub fn rms_dbfs(_samples: &[i16]) -> f64 {
    unimplemented!()
}
/// Level of the component at `hz`, in dBFS on the same scale as [`rms_dbfs`], at [`crate::RATE`].
pub fn tone_dbfs(_samples: &[i16], _hz: f64) -> f64 {
    unimplemented!()
}
/// Level of the component at `hz` for samples at `rate`.
pub fn tone_dbfs_at(_samples: &[i16], _hz: f64, _rate: u32) -> f64 {
    unimplemented!()
}
/// True if a tone at `hz` carries at least half of the power of the samples and is louder than −45 dBFS.
pub fn hears(_samples: &[i16], _hz: f64) -> bool {
    unimplemented!()
}
