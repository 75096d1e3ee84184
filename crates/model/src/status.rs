//! The public words for states and directions, spelled in one place.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant,)+];
            /// The public words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($text),+];

            /// The public word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            /// Reads the public word in any letter case, with `_` taken as `-`.
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let word = text.trim().to_ascii_lowercase().replace('_', "-");
                $(if word == $text.to_ascii_lowercase() { return Ok(Self::$variant); })+
                Err(UnknownWord(text.to_owned()))
            }
        }
    };
}

/// A text that is none of the words allowed in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of the allowed words")]
pub struct UnknownWord(pub String);

words!(
    /// State of a conference.
    ConferenceStatus {
        /// Its members wait for one whose entry starts it, and hear silence.
        Waiting = "init",
        /// Its members hear each other.
        Running = "in-progress",
        /// Over.
        Completed = "completed",
        /// Ended because something failed inside the server.
        Failed = "failed",
    }
);

words!(
    /// State of a call leg as records, callbacks and the API show it.
    CallStatus {
        /// Outbound leg exists, its INVITE is not sent yet.
        Queued = "queued",
        /// Inbound: not answered yet. Outbound: the far phone rings.
        Ringing = "ringing",
        /// Answered.
        InProgress = "in-progress",
        /// Ended after it was answered, or ended normally.
        Completed = "completed",
        /// The callee was busy or declined (486, 600, 603).
        Busy = "busy",
        /// Could not be connected or broke.
        Failed = "failed",
        /// It was not answered in time.
        NoAnswer = "no-answer",
        /// Withdrawn before it was answered.
        Canceled = "canceled",
        /// The application could not be found.
        NotFound = "not-found",
    }
);

impl CallStatus {
    /// Whether nothing can follow this status.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Ringing | Self::InProgress => false,
            Self::Completed
            | Self::Busy
            | Self::Failed
            | Self::NoAnswer
            | Self::Canceled
            | Self::NotFound => true,
        }
    }
}

words!(
    /// Which way a call leg was set up, seen from us.
    Direction {
        /// Somebody called us.
        Inbound = "inbound",
        /// Created through the REST API.
        OutboundApi = "outbound-api",
        /// Created by `<Dial>`.
        OutboundDial = "outbound-dial",
    }
);

words!(
    /// Why a call or registration was turned away before it began.
    RefusalReason {
        /// The password of a client is wrong, or there is no such client.
        WrongPassword = "wrong-password",
        /// The number is not public, and the caller is neither a trunk nor a client.
        NotPublic = "not-public",
        /// What was called is neither a client nor a number here, or the number has no application.
        NotFound = "not-found",
        /// The account is suspended or closed.
        Inactive = "account-not-active",
    }
);

words!(
    /// Who ended a call leg.
    HangupBy {
        /// The party that called.
        Caller = "caller",
        /// The party that was called.
        Callee = "callee",
        /// The document that ran.
        Application = "application",
        /// A request of the API.
        Api = "api",
        /// This server: a limit, a failure here, a stop.
        Platform = "platform",
        /// The path to the remote party broke.
        Network = "network",
    }
);

words!(
    /// State of a text message as records, callbacks and the API show it.
    MessageStatus {
        /// On record, and on its way to the next server or phone.
        Sending = "sending",
        /// The next server or phone took it.
        Sent = "sent",
        /// It was not accepted, or that is unknown.
        Failed = "failed",
    }
);

words!(
    /// How a text message came to be.
    MessageDirection {
        /// A call's document sent it.
        OutboundCall = "outbound-call",
        /// It was sent through the REST API.
        OutboundApi = "outbound-api",
    }
);

words!(
    /// Which of the two APIs a document and its address were written for: the base path of the REST
    /// API at which the address was written decides.
    #[derive(Default)]
    DialectName {
        /// Below `/restcomm/2012-04-24`.
        #[default]
        Restcomm = "restcomm",
        /// Below `/2010-04-01`.
        Twilio = "twilio",
    }
);

words!(
    /// State of an account.
    AccountStatus {
        /// May do everything.
        Active = "active",
        /// Ended for good.
        Closed = "closed",
        /// Blocked for a while.
        Suspended = "suspended",
        /// Not in use.
        Inactive = "inactive",
        /// Waits for its first password.
        Uninitialized = "uninitialized",
    }
);

words!(
    /// A step in the life of a leg that an application can subscribe to, in the order in which they
    /// happen.
    LegEvent {
        /// The INVITE was sent.
        Initiated = "initiated",
        /// The far phone rings.
        Ringing = "ringing",
        /// The remote party answered.
        Answered = "answered",
        /// The leg is over.
        Completed = "completed",
    }
);

words!(
    /// Method of a request to an application.
    HttpMethod {
        /// Parameters in the query.
        Get = "GET",
        /// Parameters in a form body.
        Post = "POST",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_spelling() {
        let table = [
            ("in-progress", Some(CallStatus::InProgress)),
            ("IN_PROGRESS", Some(CallStatus::InProgress)),
            (" No-Answer ", Some(CallStatus::NoAnswer)),
            ("answered", None),
        ];
        for (text, status) in table {
            assert_eq!(text.parse::<CallStatus>().ok(), status, "{text}");
        }
        assert_eq!("get".parse(), Ok(HttpMethod::Get));
    }
}
