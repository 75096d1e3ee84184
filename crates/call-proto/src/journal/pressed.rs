//! The keys that a journal holds.
//!
//! **Invariant: a key counts here if it counted for the call**: of a leg only the way that told its
//! first key.

use std::collections::BTreeMap;

use model::{CallSid, Timestamp};

use super::Line;
use crate::event::{DigitWay, Event, LegEvent, MediaEvent};
use crate::keys::keys_of;

/// A key that somebody pressed. It may be part of a PIN: show it to nobody who did not ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressed {
    /// When.
    pub at: Timestamp,
    /// Whose leg.
    pub call: CallSid,
    /// Which key.
    pub key: char,
    /// How it was told.
    pub way: DigitWay,
}

/// The keys of all legs in the order in which they were pressed.
#[must_use]
pub fn pressed(lines: &[Line]) -> Vec<Pressed> {
    let mut ways: BTreeMap<CallSid, DigitWay> = BTreeMap::new();
    let mut all = Vec::new();
    for line in lines {
        let Line::Event { at, call, event } = line else {
            continue;
        };
        let (keys, way) = match &**event {
            Event::Media(MediaEvent::Digit { digit, way }) => (vec![*digit], *way),
            Event::Leg(LegEvent::Info { content_type, body }) => {
                (keys_of(content_type, body), DigitWay::Info)
            }
            _ => continue,
        };
        for key in keys {
            if *ways.entry(*call).or_insert(way) == way {
                let (at, call) = (*at, *call);
                all.push(Pressed { at, call, key, way });
            }
        }
    }
    all
}
