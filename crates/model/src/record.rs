//! What is kept about each resource: plain rows, shared by the store, the API and the call engine.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::naming::Owner;
use crate::{
    AccountSid, AccountStatus, ApplicationSid, CallSid, CallStatus, ClientSid, ConferenceSid,
    ConferenceStatus, DialectName, Direction, EventSid, HangupBy, HttpMethod, InstanceSid, Lane,
    MessageDirection, MessageSid, MessageStatus, NotificationSid, NumberSid, OrganizationSid,
    RecordingSid, RefusalReason, Timestamp,
};

/// A tenant: owns a SIP domain, which is also the digest realm of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Identifier.
    pub sid: OrganizationSid,
    /// SIP domain and digest realm.
    pub domain_name: String,
    /// When it was created.
    pub created: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Identifier.
    pub sid: AccountSid,
    /// Organization it belongs to.
    pub organization: OrganizationSid,
    /// Account it is a part of; `None` for the top.
    pub parent: Option<AccountSid>,
    /// Display name.
    pub friendly_name: String,
    /// Lower-case e-mail address; also a login name of the API.
    pub email: String,
    /// State.
    pub status: AccountStatus,
    /// `Administrator`, `Developer` or a configured role.
    pub role: String,
    /// Argon2 hash of the password (PHC text); `None` if it has none.
    pub password_hash: Option<String>,
    /// The secret token of the API in plain text (callbacks are signed with it).
    pub auth_token: String,
    /// A second secret token that is good too, while tokens are changed.
    pub secondary_token: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// A client: a SIP user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Identifier.
    pub sid: ClientSid,
    /// Owner.
    pub account: AccountSid,
    /// Organization of the owner: the login is unique there.
    pub organization: OrganizationSid,
    /// Display name.
    pub friendly_name: String,
    /// SIP user name.
    pub login: String,
    /// MD5(login:realm:password), lower-case hex.
    pub ha1_md5: String,
    /// SHA-256(login:realm:password), lower-case hex.
    pub ha1_sha256: String,
    /// Whether it may register and call.
    pub enabled: bool,
    /// Document for calls it makes.
    pub voice: VoiceApplication,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// Which document answers, for a number or a client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VoiceApplication {
    /// Application; wins over `url`.
    pub application: Option<ApplicationSid>,
    /// Address of the document.
    pub url: Option<String>,
    /// Method for `url`; `None` is POST.
    pub method: Option<HttpMethod>,
    /// Address to ask when `url` fails.
    pub fallback_url: Option<String>,
    /// Method for `fallback_url`; `None` is POST.
    pub fallback_method: Option<HttpMethod>,
    /// Dialect in which the document at `url` runs.
    #[serde(default)]
    pub dialect: DialectName,
}

/// An application: a document address with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Identifier.
    pub sid: ApplicationSid,
    /// Owner.
    pub account: AccountSid,
    /// Display name.
    pub friendly_name: String,
    /// Version text given at creation.
    pub api_version: String,
    /// Whether to look the caller's name up.
    pub voice_caller_id_lookup: bool,
    /// Address of the document.
    pub rcml_url: Option<String>,
    /// Dialect in which the document runs.
    #[serde(default)]
    pub dialect: DialectName,
    /// `voice`, `sms` or `ussd`.
    pub kind: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// An incoming phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// Identifier.
    pub sid: NumberSid,
    /// Owner.
    pub account: AccountSid,
    /// Organization of the owner.
    pub organization: OrganizationSid,
    /// Display name.
    pub friendly_name: String,
    /// The number, pattern or `*`, as stored.
    pub phone_number: String,
    /// Pure SIP number: no provider; may be a pattern.
    pub pure_sip: bool,
    /// Anyone may call it: neither a trunk nor a client's credentials are needed.
    pub public: bool,
    /// Document for calls.
    pub voice: VoiceApplication,
    /// Told each status of calls to this number.
    pub status_callback: Option<String>,
    /// Method for `status_callback`; `None` is POST.
    pub status_callback_method: Option<HttpMethod>,
    /// Whether to look the caller's name up.
    pub voice_caller_id_lookup: bool,
    /// Properties kept for the API and not used by calls yet (SMS, USSD, refer addresses,
    /// capabilities): parameter name → value.
    pub extra: std::collections::BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// A call leg. Texts of people are as shown by the API (user parts, no scheme or host).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Identifier.
    pub sid: CallSid,
    /// Server that runs it.
    pub instance: InstanceSid,
    /// Leg that caused this one.
    pub parent: Option<CallSid>,
    /// Account it runs under.
    pub account: AccountSid,
    /// Called party.
    pub to: String,
    /// Calling party.
    pub from: String,
    /// Number that was called, for inbound calls to a number.
    pub number: Option<NumberSid>,
    /// Public state.
    pub status: CallStatus,
    /// Which way it was set up.
    pub direction: Direction,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// Creation, reset when it is answered.
    pub started: Option<Timestamp>,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Seconds from start to end.
    pub duration_s: Option<i64>,
    /// Seconds from creation to answer or failure (outbound legs).
    pub ring_duration_s: Option<i64>,
    /// Who answered: the callee's user part, once answered.
    pub answered_by: Option<String>,
    /// User part of the Diversion header.
    pub forwarded_from: Option<String>,
    /// Display name of the caller.
    pub caller_name: Option<String>,
    /// Why it ended, as one word or short text: `caller-hung-up`, `callee-hung-up`, `document-end`, `timeout` …
    pub reason: Option<String>,
    /// Who ended it.
    pub hangup_by: Option<HangupBy>,
    /// Final SIP status that ended it, if there was one.
    pub sip_status: Option<u16>,
    /// What the remote party said about the end: the Reason header of its BYE, or the words of its
    /// refusal.
    pub sip_reason: Option<String>,
    /// SIP Call-ID of the leg.
    pub sip_call_id: Option<String>,
    /// Whether it is muted.
    pub muted: bool,
    /// What its media counted, once that is closed; never after a crash.
    pub media: Option<MediaCounts>,
}

/// Counters of the media of a leg, from open to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaCounts {
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Interarrival jitter at the end, in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u64,
    /// Packets converted from another codec on their way to the remote party.
    pub transcoded: u64,
    /// Datagrams from an address that may not speak here.
    pub wrong_source: u64,
}

/// A conference. **Invariant: `status` is not final until its one end, which has a reason.**
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    /// Identifier.
    pub sid: ConferenceSid,
    /// Server that runs it.
    pub instance: InstanceSid,
    /// Owner.
    pub account: AccountSid,
    /// Name as the document wrote it.
    pub name: String,
    /// Public state.
    pub status: ConferenceStatus,
    /// When the first member asked to join.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// When the members began to hear each other.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended, as one word.
    pub reason: Option<String>,
}

/// What a call's record says about its place in a conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Which conference.
    pub conference: ConferenceSid,
    /// The others do not hear it.
    pub muted: bool,
    /// The conference started when it entered.
    pub starts: bool,
    /// The conference ends when it leaves.
    pub ends: bool,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Identifier; the file is named after it.
    pub sid: RecordingSid,
    /// Owner.
    pub account: AccountSid,
    /// Leg that was recorded; `None` if it was not a leg.
    pub call: Option<CallSid>,
    /// Conference that was recorded, or that the leg was in.
    pub conference: Option<ConferenceSid>,
    /// Length in milliseconds, from the samples written.
    pub duration_ms: i64,
    /// Size of the file.
    pub size_bytes: i64,
    /// When it was started.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// A recording whose file is not complete, or was not when the server last knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRecording {
    /// Identifier; the file is named after it.
    pub sid: RecordingSid,
    /// Owner.
    pub account: AccountSid,
    /// Leg that is recorded; `None` if it is not a leg.
    pub call: Option<CallSid>,
    /// Conference that is recorded, or that the leg is in.
    pub conference: Option<ConferenceSid>,
    /// When it was started.
    pub created: Timestamp,
}

impl Recording {
    /// The leg, else the conference, else the recording itself.
    #[must_use]
    pub fn lane(&self) -> Lane {
        recording_lane(self.call, self.conference, self.sid)
    }
}

impl StartedRecording {
    /// The leg, else the conference, else the recording itself.
    #[must_use]
    pub fn lane(&self) -> Lane {
        recording_lane(self.call, self.conference, self.sid)
    }
}

fn recording_lane(
    call: Option<CallSid>,
    conference: Option<ConferenceSid>,
    sid: RecordingSid,
) -> Lane {
    let owner = call.map(Lane::from).or(conference.map(Lane::from));
    owner.unwrap_or(sid.into())
}

/// A text message. **Invariant: `status` is `sending` until its one end, which has a reason.**
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Identifier.
    pub sid: MessageSid,
    /// Server that sends it.
    pub instance: InstanceSid,
    /// Account it is sent for.
    pub account: AccountSid,
    /// Leg whose document sent it; `None` if no call did.
    pub call: Option<CallSid>,
    /// Sender, as the document says it.
    pub from: String,
    /// Recipient, as the document says it.
    pub to: String,
    /// What it says.
    pub body: String,
    /// How it came to be.
    pub direction: MessageDirection,
    /// Public state.
    pub status: MessageStatus,
    /// Why it failed: number of the error table.
    pub error_code: Option<u16>,
    /// What decided the status, in words: what the remote party answered, or why it was not asked.
    pub reason: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// When it became `sent`.
    pub sent: Option<Timestamp>,
}

impl Message {
    /// The leg that sent it; a message of no call has a lane of its own.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.call.map_or(self.sid.into(), Lane::from)
    }
}

/// A problem reported to the owner of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Identifier.
    pub sid: NotificationSid,
    /// Owner.
    pub account: AccountSid,
    /// What it is about: a leg, a message, a conference, or the account.
    pub lane: Lane,
    /// Leg it is about, if it is about one.
    pub call: Option<CallSid>,
    /// 0 error, 1 warning.
    pub level: i64,
    /// Number of the error table.
    pub code: u16,
    /// What happened, in words.
    pub text: String,
    /// Address that was asked.
    pub request_url: Option<String>,
    /// Method it was asked with.
    pub request_method: Option<String>,
    /// Line in the document, from 1.
    pub line: Option<u32>,
    /// Column in the document, from 1.
    pub column: Option<u32>,
    /// When it happened.
    pub created: Timestamp,
}

/// Calls or registrations that were turned away before they began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where they came from.
    pub source: IpAddr,
    /// Why.
    pub reason: RefusalReason,
    /// The login that was tried, or who was called.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
}

/// One callback on its way to an application: a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The same on every attempt.
    pub event: EventSid,
    /// Owner.
    pub account: AccountSid,
    /// Account that wrote the address: its rights count when the address is asked.
    pub author: AccountSid,
    /// What it reports on: callbacks of one lane keep their order among each other.
    pub lane: Lane,
    /// Leg it reports on, if it reports on one.
    pub call: Option<CallSid>,
    /// Position among the callbacks of the lane.
    pub sequence: i64,
    /// Where to.
    pub url: String,
    /// How.
    pub method: HttpMethod,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
    /// When it was made.
    pub created: Timestamp,
}

impl Client {
    /// Whose it is.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner {
            account: self.account,
            organization: self.organization,
        }
    }
}

impl Number {
    /// Whose it is.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner {
            account: self.account,
            organization: self.organization,
        }
    }
}
