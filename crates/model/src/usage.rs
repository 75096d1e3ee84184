//! What accounts use, counted by day.

use std::fmt;
use std::str::FromStr;

use crate::{Direction, MessageDirection};

/// What is counted; every other category of the API is a sum of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Used {
    /// Inbound call legs that have ended.
    CallsInbound,
    /// Outbound call legs that have ended.
    CallsOutbound,
    /// Text messages that arrived for an application.
    SmsInbound,
    /// Text messages from this server.
    SmsOutbound,
    /// Recordings.
    Recordings,
}

impl Used {
    /// Everything that is counted.
    pub const ALL: [Self; 5] = [
        Self::CallsInbound,
        Self::CallsOutbound,
        Self::SmsInbound,
        Self::SmsOutbound,
        Self::Recordings,
    ];

    /// The word in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallsInbound => "calls-inbound",
            Self::CallsOutbound => "calls-outbound",
            Self::SmsInbound => "sms-inbound",
            Self::SmsOutbound => "sms-outbound",
            Self::Recordings => "recordings",
        }
    }

    /// What a call leg counts as.
    #[must_use]
    pub const fn of_call(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Self::CallsInbound,
            Direction::OutboundApi | Direction::OutboundDial => Self::CallsOutbound,
        }
    }

    /// What a text message counts as.
    #[must_use]
    pub const fn of_message(direction: MessageDirection) -> Self {
        match direction {
            MessageDirection::Inbound => Self::SmsInbound,
            MessageDirection::OutboundCall
            | MessageDirection::OutboundApi
            | MessageDirection::OutboundReply => Self::SmsOutbound,
        }
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a word for what is counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing of this name is counted")]
pub struct NotUsed;

impl FromStr for Used {
    type Err = NotUsed;

    fn from_str(text: &str) -> Result<Self, NotUsed> {
        let found = Self::ALL.into_iter().find(|used| used.as_str() == text);
        found.ok_or(NotUsed)
    }
}

/// How much was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many calls, messages or recordings.
    pub count: i64,
    /// Their duration together.
    pub seconds: i64,
    /// The sum of their durations, each rounded up to whole minutes.
    pub minutes: i64,
}

impl Amount {
    /// One call, message or recording of this duration.
    #[must_use]
    pub const fn one(seconds: i64) -> Self {
        let seconds = if seconds < 0 { 0 } else { seconds };
        Self {
            count: 1,
            seconds,
            minutes: seconds / 60 + (seconds % 60 > 0) as i64,
        }
    }

    /// Adds another amount.
    pub const fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.minutes = self.minutes.saturating_add(other.minutes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_minutes_are_rounded_up() {
        for used in Used::ALL {
            assert_eq!(used.to_string().parse(), Ok(used));
        }
        let table = [(-1, 0), (0, 0), (1, 1), (60, 1), (61, 2)];
        for (seconds, minutes) in table {
            assert_eq!(Amount::one(seconds).minutes, minutes, "{seconds}");
        }
        let mut sum = Amount::one(20);
        sum.add(Amount::one(20));
        assert_eq!((sum.count, sum.seconds, sum.minutes), (2, 40, 2));
    }
}
