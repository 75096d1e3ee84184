//! Wrong PINs that callers enter, counted for each place where they can.
//!
//! **Invariant: a place takes [`MOST`] wrong PINs in an hour at most**, from whatever callers, as far as this server knows; then none
//! until the next hour.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::Timestamp;

/// Wrong PINs at a place within an hour.
pub(crate) const MOST: u32 = 20;
const HOUR_MICROS: i64 = 3_600_000_000;

/// The hour, and the wrong PINs of each place in it.
#[derive(Debug, Default)]
pub(crate) struct WrongPins(Mutex<(i64, HashMap<String, u32>)>);

impl WrongPins {
    /// Whether a place takes no PIN now, not even the right one.
    pub(crate) fn is_spent(&self, place: &str, now: Timestamp) -> bool {
        let wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_this_hour = wrong.0 == now.0 / HOUR_MICROS;
        is_this_hour && wrong.1.get(place).is_some_and(|n| *n >= MOST)
    }

    /// A wrong PIN was entered.
    pub(crate) fn count(&self, place: &str, now: Timestamp) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.0 / HOUR_MICROS;
        if wrong.0 != hour {
            *wrong = (hour, HashMap::new());
        }
        *wrong.1.entry(place.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_closed_until_the_next_hour() {
        let pins = WrongPins::default();
        let now = Timestamp(5 * HOUR_MICROS + 1);
        for _ in 0..MOST {
            assert!(!pins.is_spent("a", now));
            pins.count("a", now);
        }
        assert!(pins.is_spent("a", now));
        assert!(!pins.is_spent("b", now));
        assert!(!pins.is_spent("a", Timestamp(6 * HOUR_MICROS)));
    }
}
