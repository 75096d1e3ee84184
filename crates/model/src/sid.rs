//! Identifiers: 16 bytes inside, two letters and 32 hex digits outside.
//!
//! The first 6 bytes are milliseconds since 1970, the other 10 are random, so identifiers sort
//! by creation. Identifiers that were made elsewhere (imports, a fixed administrator) may hold any
//! 16 bytes. **Invariant: text → identifier → text gives the same lower-case text.**

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// Why a text is not an identifier of the requested kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid SID: expected `{prefix}` and 32 hexadecimal digits")]
pub struct SidError {
    prefix: &'static str,
    text: String,
}

impl SidError {
    pub(crate) fn new(prefix: &'static str, text: &str) -> Self {
        Self {
            prefix,
            text: text.chars().take(80).collect(),
        }
    }
}

/// The whole text as one array: identifiers are written many times per call.
pub(crate) fn written(prefix: &str, bytes: &[u8; 16]) -> [u8; 34] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 34];
    let (head, digits) = text.split_at_mut(2);
    head.copy_from_slice(prefix.as_bytes());
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The two letters in front.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier from the creation time and 80 random bits.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(compose(now, random))
            }

            /// An identifier from its 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = written($prefix, &self.0);
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = SidError;

            fn from_str(text: &str) -> Result<Self, SidError> {
                parse($prefix, text)
                    .map(Self)
                    .ok_or_else(|| SidError::new($prefix, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

sid!(
    /// An account.
    AccountSid, "AC");
sid!(
    /// An application: a document address with a name.
    ApplicationSid, "AP");
sid!(
    /// A call leg. Text of the form `ID…-CA…` (69 characters) is accepted too.
    CallSid, "CA");
sid!(
    /// A client: a SIP user of an account.
    ClientSid, "CL");
sid!(
    /// A conference: a room that calls join by name.
    ConferenceSid, "CF");
sid!(
    /// An e-mail.
    EmailSid, "EM");
sid!(
    /// The configuration of an extension.
    ExtensionSid, "EX");
sid!(
    /// One event sent to a customer; the same on every delivery attempt.
    EventSid, "EV");
sid!(
    /// An opt-out: a recipient that does not want texts from a number.
    OptOutSid, "OO");
sid!(
    /// A running server.
    InstanceSid, "ID");
sid!(
    /// A gateway: a trunk defined through the API.
    GatewaySid, "GW");
sid!(
    /// A record about where a device is.
    GeolocationSid, "GL");
sid!(
    /// A queue: calls wait in it until others take them.
    QueueSid, "QU");
sid!(
    /// An entry of the audit log.
    AuditSid, "AE");
sid!(
    /// An API key.
    KeySid, "SK");
sid!(
    /// A route of text messages.
    MessageRouteSid, "MR");
sid!(
    /// A text message.
    MessageSid, "SM");
sid!(
    /// A notification: a problem reported to the account's owner.
    NotificationSid, "NO");
sid!(
    /// An incoming phone number.
    NumberSid, "PN");
sid!(
    /// An organization: the tenant that owns a SIP domain.
    OrganizationSid, "OR");
sid!(
    /// A profile: what accounts may do.
    ProfileSid, "PR");
sid!(
    /// A recording.
    RecordingSid, "RE");
sid!(
    /// A server with its data folder: the same after a restart.
    ServerSid, "SV");
sid!(
    /// A media stream of a call.
    StreamSid, "MZ");
sid!(
    /// A session with a recording server (`<Siprec>`).
    SiprecSid, "SR");
sid!(
    /// A transcription of a live call.
    LiveTranscriptionSid, "GT");
sid!(
    /// A conversation with a server in text (`<ConversationRelay>`).
    SessionSid, "VX");
sid!(
    /// The text of a recording.
    TranscriptionSid, "TR");
sid!(
    /// A usage trigger.
    UsageTriggerSid, "UT");
sid!(
    /// A verification of a phone number or e-mail address.
    VerificationSid, "VE");
sid!(
    /// A service that verifies.
    VerifyServiceSid, "VA");
sid!(
    /// A code that was sent for a verification.
    VerifyAttemptSid, "VL");
sid!(
    /// A limit that an application sets to a service.
    VerifyLimitSid, "RK");
sid!(
    /// A part of such a limit: a number and a period.
    VerifyBucketSid, "BL");
sid!(
    /// A number that the limits of groups do not apply to.
    VerifySafeSid, "GN");
sid!(
    /// A service that masks numbers.
    MaskServiceSid, "KS");
sid!(
    /// A session in which two parties reach each other by masks.
    MaskSessionSid, "KC");
sid!(
    /// A party of such a session.
    ParticipantSid, "KP");
sid!(
    /// A call or text between the parties of such a session.
    InteractionSid, "KI");
sid!(
    /// A voicemail box.
    VoicemailBoxSid, "VB");
sid!(
    /// A message in a voicemail box. It has the digits of its recording.
    VoicemailSid, "VM");

fn compose(now: Timestamp, random: [u8; 10]) -> [u8; 16] {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes
}

fn parse(prefix: &str, text: &str) -> Option<[u8; 16]> {
    let own = match text.split_once('-') {
        Some((instance, own)) if prefix == CallSid::PREFIX => {
            hex(instance.strip_prefix(InstanceSid::PREFIX)?)?;
            own
        }
        _ => text,
    };
    hex(own.strip_prefix(prefix)?)
}

pub(crate) fn hex(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        let plain = "CA0123456789abcdef0123456789abcdef";
        let long = format!("ID{}-{plain}", "0".repeat(32));
        let table = [
            (plain.to_owned(), true),
            (long, true),
            (plain.to_uppercase(), true),
            (plain.replace("CA", "AC"), false),
            (plain[..33].to_owned(), false),
            (format!("{plain}0"), false),
            (format!("XX-{plain}"), false),
            (plain.replace('f', "g"), false),
            (String::new(), false),
        ];
        for (text, good) in table {
            let parsed = text.parse::<CallSid>();
            assert_eq!(parsed.is_ok(), good, "{text}");
            if let Ok(sid) = parsed {
                assert_eq!(sid.to_string(), plain, "{text}");
            }
        }
    }

    #[test]
    fn sorts_by_creation() {
        let early = CallSid::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let late = CallSid::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }
}
