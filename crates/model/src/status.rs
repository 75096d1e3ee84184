//! The public words for statuses and directions, defined in one place.

/// Declares an enumeration with the public word of each value. The crate that uses it needs `serde`.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All values, in order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant,)+];
            /// The public words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($text),+];

            /// The public word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::status::UnknownWord;

            /// Reads the public word in any letter case, with `_` read as `-`.
            fn from_str(text: &str) -> Result<Self, $crate::status::UnknownWord> {
                let word = text.trim().to_ascii_lowercase().replace('_', "-");
                $(if word == $text.to_ascii_lowercase() { return Ok(Self::$variant); })+
                Err($crate::status::UnknownWord(text.to_owned()))
            }
        }
    };
}
pub(crate) use words;

/// A text that is not one of the allowed words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of the allowed words")]
pub struct UnknownWord(pub String);

words!(
    /// What made a recording.
    RecordingSource {
        /// `<Dial>`.
        DialVerb = "DialVerb",
        /// `<Record>`.
        RecordVerb = "RecordVerb",
        /// `<Conference>`.
        Conference = "Conference",
        /// The request that made the call.
        OutboundApi = "OutboundAPI",
        /// A request for the live call.
        StartCallRecordingApi = "StartCallRecordingAPI",
        /// `<Start><Recording>`.
        StartCallRecordingTwiml = "StartCallRecordingTwiML",
    }
);

words!(
    /// The state of a recording as shown by the API.
    RecordingStatus {
        /// It is being made.
        InProgress = "in-progress",
        /// It is being made, but what is said now does not become a part of it.
        Paused = "paused",
        /// It was ended by the API, and its file is not yet closed.
        Stopped = "stopped",
        /// It can be fetched.
        Completed = "completed",
        /// It could not be written.
        Failed = "failed",
        /// Its file was removed: the account keeps recordings only for a time, or a person's data was erased.
        Absent = "absent",
    }
);

words!(
    /// What happens to a recording and can be reported to an application.
    RecordingEvent {
        /// It has started.
        InProgress = "in-progress",
        /// It can be fetched, or could not be written.
        Completed = "completed",
        /// It is empty, and so does not exist.
        Absent = "absent",
    }
);

words!(
    /// Status of a conference.
    ConferenceStatus {
        /// Its members wait for one whose entry starts it, and hear silence.
        Waiting = "init",
        /// Its members hear each other.
        Running = "in-progress",
        /// Ended.
        Completed = "completed",
        /// Ended because something failed inside the server.
        Failed = "failed",
    }
);

words!(
    /// Status of a call leg as shown by records, callbacks and the API.
    CallStatus {
        /// The outbound leg exists; its INVITE has not been sent.
        Queued = "queued",
        /// Inbound: not yet answered. Outbound: the remote phone is ringing.
        Ringing = "ringing",
        /// Answered.
        InProgress = "in-progress",
        /// Ended after it was answered, or ended normally.
        Completed = "completed",
        /// The callee was busy or declined (486, 600, 603).
        Busy = "busy",
        /// Could not be connected, or the connection broke.
        Failed = "failed",
        /// It was not answered in time.
        NoAnswer = "no-answer",
        /// Canceled before it was answered.
        Canceled = "canceled",
        /// The application could not be found.
        NotFound = "not-found",
    }
);

impl CallStatus {
    /// Whether this status is final.
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
    /// The direction in which a call leg was set up, seen from us.
    Direction {
        /// From a caller to us.
        Inbound = "inbound",
        /// Created through the REST API.
        OutboundApi = "outbound-api",
        /// Created by `<Dial>`.
        OutboundDial = "outbound-dial",
    }
);

words!(
    /// Why a call or registration was refused before it began.
    RefusalReason {
        /// The client's password is wrong, or the client does not exist.
        WrongPassword = "wrong-password",
        /// The number is not public, and the caller is neither a trunk nor a client.
        NotPublic = "not-public",
        /// The called party is neither a client nor a number here.
        NotFound = "not-found",
        /// The number has no application.
        NoApplication = "no-application",
        /// The number has no application for text messages.
        NoTextApplication = "no-text-application",
        /// The application of the number, or of the calling client, has no address, or was deleted.
        NoAddress = "no-address",
        /// The account is suspended or closed.
        Inactive = "account-not-active",
        /// The source has as many calls as one that is neither a trunk nor a client may have.
        TooMany = "too-many-calls",
    }
);

words!(
    /// Who ended a call leg.
    HangupBy {
        /// The calling party.
        Caller = "caller",
        /// The called party.
        Callee = "callee",
        /// The document that ran.
        Application = "application",
        /// A request to the API.
        Api = "api",
        /// This server: a limit, an internal failure, a shutdown.
        Platform = "platform",
        /// The path to the remote party broke.
        Network = "network",
    }
);

words!(
    /// Status of a text message as shown by records, callbacks and the API.
    MessageStatus {
        /// Recorded; it waits for a route.
        Queued = "queued",
        /// Recorded, and on its way to the next server or phone.
        Sending = "sending",
        /// Accepted by the next server or phone.
        Sent = "sent",
        /// Not accepted, or the outcome is unknown.
        Failed = "failed",
        /// A receipt says that it arrived.
        Delivered = "delivered",
        /// A receipt says that it cannot be delivered.
        Undelivered = "undelivered",
        /// It arrived here.
        Received = "received",
        /// Recorded; its time has not come.
        Scheduled = "scheduled",
        /// It was not sent, because a request said so before its time came.
        Canceled = "canceled",
    }
);

words!(
    /// Status of an e-mail as shown by records and the API.
    EmailStatus {
        /// Recorded, and sent to the mail server as soon as that accepts it.
        Queued = "queued",
        /// Accepted by the mail server.
        Sent = "sent",
        /// Refused by the mail server, or given up.
        Failed = "failed",
    }
);

words!(
    /// How a text message was created.
    MessageDirection {
        /// It came from outside, or from a client.
        Inbound = "inbound",
        /// A call's document sent it, or a client to the outside.
        OutboundCall = "outbound-call",
        /// It was sent through the REST API.
        OutboundApi = "outbound-api",
        /// The document of a message that arrived sent it.
        OutboundReply = "outbound-reply",
    }
);

words!(
    /// The API that a document and its address were written for: determined by the base path of the
    /// REST API at which the address was set.
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
    /// Status of an account.
    AccountStatus {
        /// May do everything.
        Active = "active",
        /// Closed for good.
        Closed = "closed",
        /// Blocked temporarily.
        Suspended = "suspended",
        /// Not in use.
        Inactive = "inactive",
        /// Waiting for its first password.
        Uninitialized = "uninitialized",
    }
);

words!(
    /// Status of an organization.
    OrganizationStatus {
        /// Its accounts are served.
        Active = "active",
        /// It has no accounts in use, and its domain is not a name of this server.
        Closed = "closed",
    }
);

words!(
    /// A step in the life of a leg that an application can subscribe to, in order of occurrence.
    LegEvent {
        /// The INVITE was sent.
        Initiated = "initiated",
        /// The remote phone is ringing.
        Ringing = "ringing",
        /// The remote party answered.
        Answered = "answered",
        /// The leg has ended.
        Completed = "completed",
    }
);

words!(
    /// What happens in a conference and can be reported to an application.
    ConferenceEvent {
        /// The members began to hear each other.
        Start = "start",
        /// It ended.
        End = "end",
        /// A member entered.
        Join = "join",
        /// A member left.
        Leave = "leave",
        /// A member was muted or unmuted.
        Mute = "mute",
        /// A member was put on hold, or taken back.
        Hold = "hold",
        /// Whether a member's leaving ends the conference was changed.
        Modify = "modify",
        /// An announcement ended, or failed.
        Announcement = "announcement",
    }
);

words!(
    /// State of the text of a recording.
    TranscriptionStatus {
        /// It is being made.
        InProgress = "in-progress",
        /// It is there.
        Completed = "completed",
        /// It could not be made.
        Failed = "failed",
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
