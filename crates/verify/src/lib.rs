//! Verifications: a person shows that a phone number or an e-mail address is theirs by the code that was sent to it.
//!
//! This crate decides what a service allows ([`Settings`]), whether another code may be sent ([`judge`]), what is sent
//! ([`message`], [`document`], [`question`]) and how a verification stands ([`Verification::status_at`]). It holds no clock, random source
//! or key: codes, their digests and counts of what was sent come in as arguments. **Invariant: what is decided follows from the
//! arguments alone.** Left to others: storage, and that a
//! guess is counted before it is compared.

#![forbid(unsafe_code)]

mod guard;
mod records;
mod settings;
mod verification;
mod words;

pub use guard::{Limit, Seen, Watch, block_of, judge};
pub use records::{Attempt, Bucket, RateLimit, SafeNumber, Service};
pub use settings::{Settings, SettingsError};
pub use verification::{Channel, Status, UnknownChannel, UnknownStatus, Verification};
pub use words::{Spoken, document, is_code, message, question, subject};
