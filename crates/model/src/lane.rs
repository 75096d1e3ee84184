//! Lanes: the order of events of one object, named by its identifier.
//!
//! A call, a conference, a message, a verification, an account and a recording each own a lane. Callbacks of a
//! lane are delivered one after the other in their sequence; records, traces and journals are
//! filed under it. **Invariant: lanes sort like their texts, so a page read from a database
//! continues where memory ended.**

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sid::{SidError, hex, written};
use crate::{AccountSid, CallSid, ConferenceSid, MessageSid, RecordingSid, VerificationSid};

/// The identifier of an object whose events are ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    prefix: [u8; 2],
    bytes: [u8; 16],
}

/// A lane that belongs to an object of another kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{lane}` is not the identifier of a {wanted}")]
pub struct WrongOwner {
    lane: Lane,
    wanted: &'static str,
}

macro_rules! owners {
    ($($sid:ident: $name:literal,)+) => {
        const PREFIXES: &[&str] = &[$($sid::PREFIX,)+];

        $(
            impl From<$sid> for Lane {
                fn from(sid: $sid) -> Self {
                    let prefix = $sid::PREFIX.as_bytes();
                    Self {
                        prefix: [prefix[0], prefix[1]],
                        bytes: *sid.as_bytes(),
                    }
                }
            }

            impl TryFrom<Lane> for $sid {
                type Error = WrongOwner;

                fn try_from(lane: Lane) -> Result<Self, WrongOwner> {
                    if lane.prefix() == $sid::PREFIX {
                        Ok(Self::from_bytes(lane.bytes))
                    } else {
                        Err(WrongOwner { lane, wanted: $name })
                    }
                }
            }
        )+
    };
}

owners! {
    AccountSid: "account",
    CallSid: "call",
    ConferenceSid: "conference",
    MessageSid: "message",
    RecordingSid: "recording",
    VerificationSid: "verification",
}

impl Lane {
    /// The call that owns this lane; `None` if another kind of object does.
    #[must_use]
    pub fn call(self) -> Option<CallSid> {
        CallSid::try_from(self).ok()
    }

    /// The 16 bytes after the letters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// The two letters in front.
    #[must_use]
    pub fn prefix(&self) -> &str {
        // The letters come from an identifier or were compared with one.
        std::str::from_utf8(&self.prefix).unwrap_or_default()
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = written(self.prefix(), &self.bytes);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Lane {
    type Err = SidError;

    /// Reads the identifier of any object that owns a lane.
    fn from_str(text: &str) -> Result<Self, SidError> {
        let known = PREFIXES.iter().find(|prefix| text.starts_with(**prefix));
        let found = known.and_then(|prefix| {
            let bytes = hex(text.strip_prefix(*prefix)?)?;
            let prefix = prefix.as_bytes();
            Some(Self {
                prefix: [prefix[0], prefix[1]],
                bytes,
            })
        });
        found.ok_or_else(|| SidError::new("AC, CA, CF, RE, SM or VE", text))
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lane {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        let digits = "0123456789abcdef0123456789abcdef";
        let table = [
            (format!("CA{digits}"), true),
            (format!("CF{digits}"), true),
            (format!("SM{digits}"), true),
            (format!("VE{digits}"), true),
            (format!("AC{digits}"), true),
            (format!("RE{digits}"), true),
            // An identifier without a lane.
            (format!("EV{digits}"), false),
            (format!("CA{}", &digits[1..]), false),
            (digits.to_owned(), false),
            (String::new(), false),
            ("é".to_owned(), false),
        ];
        for (text, good) in table {
            let parsed = text.parse::<Lane>();
            assert_eq!(parsed.is_ok(), good, "{text}");
            if let Ok(lane) = parsed {
                assert_eq!(lane.to_string(), text);
                assert_eq!(lane.call().is_some(), text.starts_with("CA"), "{text}");
            }
        }
    }

    #[test]
    fn sorts_as_its_text() {
        let mut lanes = [
            Lane::from(MessageSid::from_bytes([0; 16])),
            Lane::from(CallSid::from_bytes([0xff; 16])),
            Lane::from(CallSid::from_bytes([9; 16])),
            Lane::from(ConferenceSid::from_bytes([1; 16])),
            Lane::from(AccountSid::from_bytes([7; 16])),
        ];
        lanes.sort_unstable();
        let texts: Vec<String> = lanes.iter().map(Lane::to_string).collect();
        assert!(texts.is_sorted(), "{texts:?}");
    }
}
