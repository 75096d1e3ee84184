//! What the profile of an account limits.
//!
//! **Invariant: [`Limits::default`] limits nothing.** Left to others: the documents (`store::Profile`), which profile
//! applies to an account, and counting.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::{AccountSid, OrganizationSid, ProfileSid, SidError};

/// The profile that applies where no other is linked: it limits nothing, and cannot be changed.
pub const DEFAULT_DOCUMENT: &str = "{\"featureEnablement\":{},\"sessionThrottling\":{}}";

/// Identifier of the default profile, as in Restcomm.
pub const DEFAULT_SID: ProfileSid = ProfileSid::from_bytes([
    0xae, 0x6e, 0x42, 0x0f, 0x42, 0x52, 0x48, 0xd6, 0xa2, 0x69, 0x48, 0xc1, 0x7a, 0x9e, 0x2a, 0xcf,
]);

/// What a profile is linked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// An account, and those below it without a profile of their own.
    Account(AccountSid),
    /// The accounts of an organization without a profile of their own.
    Organization(OrganizationSid),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(sid) => sid.fmt(f),
            Self::Organization(sid) => sid.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = SidError;

    fn from_str(text: &str) -> Result<Self, SidError> {
        let account = text.parse().map(Self::Account);
        account.or_else(|_| text.parse().map(Self::Organization))
    }
}

/// Maximum number of events that a rule counts: each is kept in memory for as long as it counts.
pub const MAX_EVENTS: u32 = 100_000;

/// Traffic with the outside, through a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Traffic {
    /// Calls to numbers.
    OutboundCalls,
    /// Calls from numbers.
    InboundCalls,
    /// Text messages to numbers.
    OutboundTexts,
    /// Text messages from numbers.
    InboundTexts,
}

impl Traffic {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::OutboundCalls,
        Self::InboundCalls,
        Self::OutboundTexts,
        Self::InboundTexts,
    ];

    /// Its member of `featureEnablement`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutboundCalls => "outboundPSTN",
            Self::InboundCalls => "inboundPSTN",
            Self::OutboundTexts => "outboundSMS",
            Self::InboundTexts => "inboundSMS",
        }
    }
}

/// Which numbers of the other party are allowed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefixes {
    /// Only numbers that begin with one of these; `None`: all.
    pub allowed: Option<Vec<String>>,
    /// No numbers that begin with one of these.
    pub blocked: Vec<String>,
}

/// At most this many events in any period of this length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Events.
    pub events: u32,
    /// Length of the period.
    pub period: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s", self.events, self.period.as_secs_f64())
    }
}

/// What a profile limits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// ISO codes of the countries whose numbers may be bought; `None`: all.
    pub countries: Option<Vec<String>>,
    /// Maximum number of accounts directly below an account; `None`: any.
    pub sub_accounts: Option<u32>,
    /// The numbers of each kind of traffic, in the order of [`Traffic::ALL`].
    pub traffic: [Prefixes; 4],
    /// Calls through a trunk; `None`: any.
    pub calls: Option<Rate>,
}

impl Limits {
    /// Whether a number of a country may be bought.
    ///
    /// - `country`: ISO code, in capitals
    #[must_use]
    pub fn allows_country(&self, country: &str) -> bool {
        let countries = self.countries.as_ref();
        countries.is_none_or(|all| all.iter().any(|one| one == country))
    }

    /// Whether traffic with a number is allowed. Prefixes are compared without `+`.
    #[must_use]
    pub fn allows(&self, traffic: Traffic, number: &str) -> bool {
        let Prefixes { allowed, blocked } = &self.traffic[traffic as usize];
        let number = bare(number);
        let begins =
            |prefixes: &Vec<String>| prefixes.iter().any(|one| number.starts_with(bare(one)));
        allowed.as_ref().is_none_or(begins) && !begins(blocked)
    }
}

fn bare(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_allow_and_block_numbers() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut limits = Limits {
            countries: Some(texts(&["US", "CA"])),
            ..Limits::default()
        };
        assert!(Limits::default().allows(Traffic::OutboundCalls, "+12025550100"));
        assert!(Limits::default().allows_country("DE"));
        limits.traffic[Traffic::OutboundCalls as usize] = Prefixes {
            allowed: Some(texts(&["+1", "44"])),
            blocked: texts(&["1900"]),
        };
        limits.traffic[Traffic::InboundTexts as usize].blocked = texts(&["+49"]);
        limits.traffic[Traffic::InboundCalls as usize].allowed = Some(Vec::new());
        let table = [
            (Traffic::OutboundCalls, "+12025550100", true),
            (Traffic::OutboundCalls, "12025550100", true),
            (Traffic::OutboundCalls, "+442079460000", true),
            (Traffic::OutboundCalls, "+19005550100", false),
            (Traffic::OutboundCalls, "+4930123456", false),
            (Traffic::InboundTexts, "+4930123456", false),
            (Traffic::InboundTexts, "+12025550100", true),
            (Traffic::OutboundTexts, "+4930123456", true),
            (Traffic::InboundCalls, "+12025550100", false),
        ];
        for (traffic, number, expected) in table {
            assert_eq!(
                limits.allows(traffic, number),
                expected,
                "{traffic:?} {number}"
            );
        }
        assert!(limits.allows_country("CA") && !limits.allows_country("DE"));
    }
}
