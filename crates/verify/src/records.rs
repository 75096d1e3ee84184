//! What is stored besides the verifications.

use model::{
    AccountSid, Timestamp, VerificationSid, VerifyAttemptSid, VerifyBucketSid, VerifyLimitSid,
    VerifySafeSid, VerifyServiceSid,
};

use crate::{Channel, Settings};

/// A service: an application that verifies, with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Identifier.
    pub sid: VerifyServiceSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The name that recipients read.
    pub name: String,
    /// What it allows.
    pub settings: Settings,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A code that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Identifier.
    pub sid: VerifyAttemptSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service that sent it.
    pub service: VerifyServiceSid,
    /// The verification it belongs to.
    pub verification: VerificationSid,
    /// The number or e-mail address.
    pub to: String,
    /// How it was sent.
    pub channel: Channel,
    /// The network of the person who asked for it, if the application named it.
    pub network: Option<String>,
    /// Whether the right code was given.
    pub is_confirmed: bool,
    /// When it was sent.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A limit that an application counts by a value of its own, such as the address of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Identifier.
    pub sid: VerifyLimitSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The service whose codes it limits.
    pub service: VerifyServiceSid,
    /// The name in requests, unique in the service.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// How many codes may be sent for one value of a limit within a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Identifier.
    pub sid: VerifyBucketSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The limit it belongs to.
    pub limit: VerifyLimitSid,
    /// Codes within a period.
    pub max: i64,
    /// The period, in seconds.
    pub period_s: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A number to which the limits of groups do not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeNumber {
    /// Identifier.
    pub sid: VerifySafeSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The number, in E.164 form.
    pub phone_number: String,
    /// When it was added.
    pub created: Timestamp,
}
