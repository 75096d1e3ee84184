//! The keys in a journal.
//!
//! **Invariant: a key counts here if it counted for the call**: on each leg, only the way that
//! signalled its first key counts.

use std::collections::BTreeMap;

use model::{CallSid, Timestamp};

use super::Line;
use crate::event::{DigitWay, Event, LegEvent, MediaEvent};
use crate::keys::keys_of;

/// A pressed key. It may be part of a PIN: show it only on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressed {
    /// When.
    pub at: Timestamp,
    /// The leg.
    pub call: CallSid,
    /// The key.
    pub key: char,
    /// How it was signalled.
    pub way: DigitWay,
}

/// The keys of all legs, in the order pressed.
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
