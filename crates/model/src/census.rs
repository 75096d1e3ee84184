//! How many calls and text messages a server has handled since it started.
//!
//! **Invariant: a leg counts once, and once as ended,** however often its beginning or end is reported.

use std::collections::BTreeMap;

use crate::{CallSid, CallStatus, Direction, MessageDirection, Timestamp};

const MICROS_PER_MINUTE: i64 = 60_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;
const MINUTES_PER_HOUR: i64 = 60;

/// A number for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Legs {
    /// Inbound legs.
    pub inbound: u64,
    /// Outbound legs.
    pub outbound: u64,
}

impl Legs {
    /// Both together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.inbound + self.outbound
    }

    const fn of(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::OutboundApi | Direction::OutboundDial => &mut self.outbound,
        }
    }
}

/// How many legs ended with each final status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Endings {
    /// Ended after an answer, or normally.
    pub completed: u64,
    /// Not answered in time.
    pub no_answer: u64,
    /// The callee was busy or declined.
    pub busy: u64,
    /// Could not be connected, or broke.
    pub failed: u64,
    /// The application could not be found.
    pub not_found: u64,
    /// Canceled before the answer.
    pub canceled: u64,
}

/// Legs that ended in a period, and their duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durations {
    /// How many.
    pub legs: u64,
    /// Seconds, all together.
    pub seconds: u64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Legs since the start.
    pub started: Legs,
    /// Live legs.
    pub live: Legs,
    /// The most legs of each direction that were live at the same time.
    pub peak: Legs,
    /// The most legs that were live at the same time.
    pub peak_total: u64,
    /// Ended legs.
    pub endings: Endings,
    /// Of the last 60 minutes.
    pub last_hour: Durations,
    /// Of the last 24 hours.
    pub last_day: Durations,
    /// Text messages that arrived and are on record.
    pub messages_inbound: u64,
    /// Text messages sent by documents, clients and the API.
    pub messages_outbound: u64,
    /// Logins with a registered phone.
    pub registered: u64,
}

/// Counts.
#[derive(Debug, Default)]
pub struct Census {
    figures: Figures,
    live: BTreeMap<CallSid, Direction>,
    /// What ended in each minute since 1970, for a day.
    minutes: BTreeMap<i64, Durations>,
}

impl Census {
    /// A leg is on record.
    pub fn started(&mut self, call: CallSid, direction: Direction) {
        if self.live.insert(call, direction).is_some() {
            return;
        }
        let figures = &mut self.figures;
        *figures.started.of(direction) += 1;
        *figures.live.of(direction) += 1;
        let live = *figures.live.of(direction);
        let peak = figures.peak.of(direction);
        *peak = live.max(*peak);
        figures.peak_total = figures.peak_total.max(figures.live.total());
    }

    /// A leg ended.
    pub fn ended(
        &mut self,
        call: CallSid,
        status: CallStatus,
        duration_s: Option<i64>,
        at: Timestamp,
    ) {
        let Some(direction) = self.live.remove(&call) else {
            return;
        };
        *self.figures.live.of(direction) -= 1;
        let endings = &mut self.figures.endings;
        let ending = match status {
            CallStatus::Completed => &mut endings.completed,
            CallStatus::NoAnswer => &mut endings.no_answer,
            CallStatus::Busy => &mut endings.busy,
            CallStatus::NotFound => &mut endings.not_found,
            CallStatus::Canceled => &mut endings.canceled,
            CallStatus::Failed
            | CallStatus::Queued
            | CallStatus::Ringing
            | CallStatus::InProgress => &mut endings.failed,
        };
        *ending += 1;
        let minute = at.0.div_euclid(MICROS_PER_MINUTE);
        let durations = self.minutes.entry(minute).or_default();
        durations.legs += 1;
        durations.seconds += duration_s.unwrap_or_default().unsigned_abs();
        self.minutes = self.minutes.split_off(&(minute - MINUTES_PER_DAY));
    }

    /// A text message is on record.
    pub fn message(&mut self, direction: MessageDirection) {
        let count = match direction {
            MessageDirection::Inbound => &mut self.figures.messages_inbound,
            MessageDirection::OutboundCall
            | MessageDirection::OutboundApi
            | MessageDirection::OutboundReply => &mut self.figures.messages_outbound,
        };
        *count += 1;
    }

    /// The counters at a time; `registered` is left to the caller.
    #[must_use]
    pub fn figures(&self, now: Timestamp) -> Figures {
        let minute = now.0.div_euclid(MICROS_PER_MINUTE);
        let sum = |minutes: i64| {
            let last = self.minutes.range(minute - minutes + 1..);
            last.fold(Durations::default(), |sum, (_, one)| Durations {
                legs: sum.legs + one.legs,
                seconds: sum.seconds + one.seconds,
            })
        };
        Figures {
            last_hour: sum(MINUTES_PER_HOUR),
            last_day: sum(MINUTES_PER_DAY),
            ..self.figures
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(n: u8) -> CallSid {
        CallSid::from_bytes([n; 16])
    }

    fn minute(n: i64) -> Timestamp {
        Timestamp(n * MICROS_PER_MINUTE)
    }

    #[test]
    fn legs_count_once_by_direction_and_status() {
        let mut census = Census::default();
        census.started(sid(1), Direction::OutboundApi);
        census.started(sid(1), Direction::OutboundApi);
        census.started(sid(2), Direction::OutboundDial);
        census.ended(sid(2), CallStatus::NoAnswer, None, minute(1));
        census.ended(sid(2), CallStatus::Failed, None, minute(1));
        census.ended(sid(1), CallStatus::Completed, Some(9), minute(1));
        census.started(sid(3), Direction::Inbound);
        census.ended(sid(4), CallStatus::Busy, None, minute(1));
        census.message(MessageDirection::OutboundApi);
        census.message(MessageDirection::Inbound);
        let legs = |inbound, outbound| Legs { inbound, outbound };
        let expected = Figures {
            started: legs(1, 2),
            live: legs(1, 0),
            peak: legs(1, 2),
            peak_total: 2,
            endings: Endings {
                completed: 1,
                no_answer: 1,
                ..Endings::default()
            },
            last_hour: Durations {
                legs: 2,
                seconds: 9,
            },
            last_day: Durations {
                legs: 2,
                seconds: 9,
            },
            messages_inbound: 1,
            messages_outbound: 1,
            registered: 0,
        };
        assert_eq!(census.figures(minute(1)), expected);
    }

    #[test]
    fn averages_are_of_the_last_hour_and_day() {
        let mut census = Census::default();
        for (n, at) in [(1, 0), (2, 1390), (3, 1440), (4, 1449)] {
            census.started(sid(n), Direction::Inbound);
            let seconds = Some(i64::from(n));
            census.ended(sid(n), CallStatus::Completed, seconds, minute(at));
        }
        // The minute, then the seconds of the last hour and of the last day.
        let table = [
            (1449, 9, 9),
            (1450, 7, 9),
            (1500, 4, 9),
            (2830, 0, 7),
            (2890, 0, 0),
        ];
        for (at, hour, day) in table {
            let figures = census.figures(minute(at));
            let seconds = (figures.last_hour.seconds, figures.last_day.seconds);
            assert_eq!(seconds, (hour, day), "{at}");
        }
    }
}
