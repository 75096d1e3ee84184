//! One verification, and how it stands.

use std::fmt;
use std::str::FromStr;

use model::{AccountSid, Timestamp, VerificationSid, VerifyServiceSid};

/// How a code reaches the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A text message.
    Sms,
    /// A call that speaks it.
    Call,
    /// An e-mail.
    Email,
}

/// The text is not a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel must be `sms`, `call` or `email`")]
pub struct UnknownChannel;

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Call, Self::Email];

    /// The word in requests and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
            Self::Email => "email",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(UnknownChannel)
    }
}

/// How a verification stands. All but [`Status::Pending`] are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The code was sent and can be checked.
    Pending,
    /// The right code was given.
    Approved,
    /// The application ended it.
    Canceled,
    /// The code was wrong as often as the service allows.
    TooManyChecks,
    /// Nobody gave the right code in time.
    Expired,
    /// No code could be sent.
    Failed,
}

/// The text is not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status of verifications")]
pub struct UnknownStatus;

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Approved,
        Self::Canceled,
        Self::TooManyChecks,
        Self::Expired,
        Self::Failed,
    ];

    /// The word in answers and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Canceled => "canceled",
            Self::TooManyChecks => "max_attempts_reached",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(UnknownStatus)
    }
}

/// A verification as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Identifier.
    pub sid: VerificationSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service whose settings apply.
    pub service: VerifyServiceSid,
    /// The number in E.164 form, or the e-mail address.
    pub to: String,
    /// The channel of the last code.
    pub channel: Channel,
    /// As recorded; [`Verification::status_at`] also knows the time.
    pub status: Status,
    /// Keyed digest of the code. The code itself is not stored.
    pub digest: String,
    /// How many codes were sent.
    pub sends: i64,
    /// How many guesses were made.
    pub checks: i64,
    /// How many guesses are allowed.
    pub max_checks: i64,
    /// From when on the code is not valid any more.
    pub expires: Timestamp,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Verification {
    /// How it stands now.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Pending if self.checks >= self.max_checks => Status::TooManyChecks,
            Status::Pending if now >= self.expires => Status::Expired,
            status => status,
        }
    }

    /// How many guesses are left.
    #[must_use]
    pub fn checks_left(&self) -> i64 {
        (self.max_checks - self.checks).max(0)
    }

    /// What the digest of its code is made of, so that a digest fits no other verification.
    #[must_use]
    pub fn sealed(sid: VerificationSid, code: &str) -> String {
        format!("{sid}\n{code}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(channel));
        }
        assert_eq!("whatsapp".parse::<Channel>(), Err(UnknownChannel));
    }

    #[test]
    fn time_and_guesses_end_what_is_pending_and_nothing_else() {
        let now = Timestamp(1_000);
        let verification = Verification {
            sid: VerificationSid::new(now, [0; 10]),
            account: AccountSid::new(now, [0; 10]),
            service: VerifyServiceSid::new(now, [0; 10]),
            to: "+4930123".to_owned(),
            channel: Channel::Sms,
            status: Status::Pending,
            digest: String::new(),
            sends: 1,
            checks: 0,
            max_checks: 5,
            expires: Timestamp(2_000),
            created: now,
            updated: now,
        };
        let table = [
            (Status::Pending, 0, 1_999, Status::Pending),
            (Status::Pending, 4, 1_999, Status::Pending),
            (Status::Pending, 5, 1_999, Status::TooManyChecks),
            (Status::Pending, 0, 2_000, Status::Expired),
            (Status::Approved, 5, 3_000, Status::Approved),
            (Status::Canceled, 0, 3_000, Status::Canceled),
        ];
        for (status, checks, at, expected) in table {
            let verification = Verification {
                status,
                checks,
                ..verification.clone()
            };
            assert_eq!(verification.status_at(Timestamp(at)), expected);
        }
    }
}
