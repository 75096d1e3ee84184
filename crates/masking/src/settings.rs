//! What a service allows.

use model::AccountSid;
use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// Where a mask must be, relative to the number of its participant.
    Geo:
    /// Anywhere.
    Any = "any",
    /// In the same country: the country code is the same.
    Country = "country",
    /// The three digits after the country code are the same too.
    AreaCode = "area-code",
    /// The six digits after the country code are the same too.
    ExtendedAreaCode = "extended-area-code",
}

words! {
    /// Which mask is preferred for a number that had masks before.
    Selection:
    /// The one that it had last.
    PreferSticky = "prefer-sticky",
    /// One that it has not had, or not for longest.
    AvoidSticky = "avoid-sticky",
}

words! {
    /// What the participants of a session may do.
    Mode:
    /// Text only.
    MessageOnly = "message-only",
    /// Call only.
    VoiceOnly = "voice-only",
    /// Both.
    VoiceAndMessage = "voice-and-message",
}

words! {
    /// What happens to a caller who is in no open session of the mask.
    Strangers:
    /// The call is rejected, a text has no effect.
    Reject = "reject",
    /// The caller hears the announcement, the sender of a text gets it.
    Announce = "announce",
    /// A caller is asked for the PIN of a participant; the sender of a text gets the announcement.
    Pin = "pin",
}

/// The settings of a service. A row that was written by an earlier build has the defaults for what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How long a session is open after its creation and its last interaction, in seconds; 0 for no limit.
    pub default_ttl_s: i64,
    /// Where masks must be.
    pub geo: Geo,
    /// Which mask is preferred.
    pub selection: Selection,
    /// Receives each interaction when it is over; empty for none.
    pub callback_url: String,
    /// Address of the document for callers and senders who are in no open session; empty for none.
    pub out_of_session_url: String,
    /// The account that set this address: its rights apply to the request.
    pub author: Option<AccountSid>,
    /// What happens to callers who are in no open session, unless there is such an address.
    pub strangers: Strangers,
    /// What they hear or read.
    pub announcement: String,
    /// Whether calls are recorded, from their answer on.
    pub record: bool,
    /// How long a call may last, in seconds.
    pub time_limit_s: i64,
    /// How long a call may ring, in seconds.
    pub timeout_s: i64,
    /// How many interactions a session may have; 0 for no limit.
    pub max_interactions: i64,
    /// How long a closed session is kept, in days.
    pub retention_days: i64,
    /// Address of the application's owner, for the owner's own use.
    pub account_email: String,
}

/// The value is outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be from {least} to {most}")]
pub struct Bounds {
    /// The least value that is allowed.
    pub least: i64,
    /// The greatest value that is allowed.
    pub most: i64,
}

impl Bounds {
    /// Of a time to live, in seconds: up to ten years.
    pub const TTL: Self = Self {
        least: 0,
        most: 315_360_000,
    };
    /// Of the length of a call, in seconds.
    pub const TIME_LIMIT: Self = Self {
        least: 1,
        most: 86_400,
    };
    /// Of the ring time, in seconds.
    pub const TIMEOUT: Self = Self {
        least: 5,
        most: 600,
    };
    /// Of the number of interactions.
    pub const INTERACTIONS: Self = Self {
        least: 0,
        most: 1_000_000,
    };
    /// Of the days for which closed sessions are kept.
    pub const RETENTION: Self = Self {
        least: 1,
        most: 3_650,
    };

    /// The value, if it is within these bounds.
    ///
    /// # Errors
    /// The bounds, if it is not.
    pub const fn check(self, value: i64) -> Result<i64, Self> {
        if value < self.least || value > self.most {
            return Err(self);
        }
        Ok(value)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_ttl_s: 0,
            geo: Geo::Country,
            selection: Selection::PreferSticky,
            callback_url: String::new(),
            out_of_session_url: String::new(),
            author: None,
            strangers: Strangers::Reject,
            announcement: Self::ANNOUNCEMENT.to_owned(),
            record: false,
            time_limit_s: 14_400,
            timeout_s: 60,
            max_interactions: 0,
            retention_days: 90,
            account_email: String::new(),
        }
    }
}

impl Settings {
    /// What strangers hear or read if the service has no text of its own.
    pub const ANNOUNCEMENT: &'static str = "This number is not available to you at the moment.";
    /// Longest announcement, in characters.
    pub const MAX_ANNOUNCEMENT: usize = 500;
}

impl Geo {
    /// How many digits after the country code must be the same; `None` if the country need not be.
    const fn digits(self) -> Option<usize> {
        match self {
            Self::Any => None,
            Self::Country => Some(0),
            Self::AreaCode => Some(3),
            Self::ExtendedAreaCode => Some(6),
        }
    }

    /// Whether a mask may be given to a number, both in E.164 form.
    #[must_use]
    pub fn allows(self, mask: &str, number: &str) -> bool {
        let Some(digits) = self.digits() else {
            return true;
        };
        let country = model::available::country_code_of(number);
        let Some(length) = country.map(|code| code.len() + 1 + digits) else {
            return false;
        };
        matches!((mask.get(..length), number.get(..length)), (Some(one), Some(other)) if one == other)
    }
}

impl Mode {
    /// Whether it allows calls.
    #[must_use]
    pub const fn allows_voice(self) -> bool {
        matches!(self, Self::VoiceOnly | Self::VoiceAndMessage)
    }

    /// Whether it allows texts.
    #[must_use]
    pub const fn allows_messages(self) -> bool {
        matches!(self, Self::MessageOnly | Self::VoiceAndMessage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_as_near_as_the_service_demands() {
        let table = [
            (Geo::Any, "+4930555", "+12025550100", true),
            (Geo::Country, "+12125550100", "+12025550100", true),
            (Geo::Country, "+4930555000", "+12025550100", false),
            // The codes of two countries begin alike.
            (Geo::Country, "+35312345678", "+35112345678", false),
            (Geo::AreaCode, "+12025559999", "+12025550100", true),
            (Geo::AreaCode, "+12125550100", "+12025550100", false),
            (Geo::ExtendedAreaCode, "+12025559999", "+12025550100", true),
            (Geo::ExtendedAreaCode, "+12024449999", "+12025550100", false),
            (Geo::ExtendedAreaCode, "+1202", "+12025550100", false),
        ];
        for (geo, mask, number, expected) in table {
            assert_eq!(geo.allows(mask, number), expected, "{geo} {mask} {number}");
        }
    }

    #[test]
    fn words_are_read_back_and_others_are_refused() {
        for word in Geo::WORDS {
            assert_eq!(word.parse::<Geo>().unwrap().as_str(), *word);
        }
        let refused = "nowhere".parse::<Strangers>().unwrap_err().to_string();
        assert!(refused.contains("`announce`"), "{refused}");
    }

    #[test]
    fn bounds_are_inclusive() {
        let table = [(5, true), (600, true), (4, false), (601, false)];
        for (value, fits) in table {
            assert_eq!(Bounds::TIMEOUT.check(value).is_ok(), fits, "{value}");
        }
        let refused = Bounds::TIMEOUT.check(0).unwrap_err();
        assert_eq!(refused.to_string(), "it must be from 5 to 600");
    }
}
