//! The stored records of all resources: plain rows, shared by the store, the API and the call
//! engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{self, Level};
use crate::naming::Owner;
use crate::{
    AccountSid, AccountStatus, ApplicationSid, AuditSid, CallSid, CallStatus, ClientSid,
    ConferenceSid, ConferenceStatus, DialectName, Direction, EventSid, ExtensionSid, HangupBy,
    HttpMethod, InstanceSid, KeySid, Lane, MessageDirection, MessageSid, MessageStatus,
    NotificationSid, NumberSid, OrganizationSid, OrganizationStatus, ProfileSid, QueueSid,
    RecordingSid, RecordingSource, RecordingStatus, RefusalReason, Source, Timestamp,
    TranscriptionSid, TranscriptionStatus, message_route::Forwarding,
};

/// A tenant: owns a SIP domain, which is also the digest realm of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Identifier.
    pub sid: OrganizationSid,
    /// SIP domain and digest realm, in lower case.
    pub domain_name: String,
    /// Status.
    pub status: OrganizationStatus,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A profile as it is stored: what accounts may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredProfile {
    /// Identifier.
    pub sid: ProfileSid,
    /// The JSON document, as it was sent.
    pub document: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// The configuration of an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Identifier.
    pub sid: ExtensionSid,
    /// Name of the extension.
    pub name: String,
    /// The account for which it applies instead of that of all.
    pub account: Option<AccountSid>,
    /// `JSON` or `XML`.
    pub kind: String,
    /// The configuration, as it was sent.
    pub data: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Identifier.
    pub sid: AccountSid,
    /// Organization it belongs to.
    pub organization: OrganizationSid,
    /// Account that it belongs to; `None` for the top account.
    pub parent: Option<AccountSid>,
    /// Display name.
    pub friendly_name: String,
    /// Lower-case e-mail address; also a login name of the API.
    pub email: String,
    /// Status.
    pub status: AccountStatus,
    /// `Administrator`, `Developer` or a configured role.
    pub role: String,
    /// Argon2 hash of the password (PHC text); `None` without a password.
    pub password_hash: Option<String>,
    /// The secret API token in plain text (callbacks are signed with it).
    pub auth_token: String,
    /// A second valid token, for changing tokens.
    pub secondary_token: Option<String>,
    /// Whether it is a test account: the numbers that it calls are those of test mode. Never changes.
    pub is_test: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
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
    /// Whether it has an identity for push notifications, which are not sent.
    #[serde(default)]
    pub push: bool,
    /// Document for calls from this client.
    pub voice: VoiceApplication,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
}

/// The document that runs for a number or a client.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VoiceApplication {
    /// Application; takes precedence over `url`.
    pub application: Option<ApplicationSid>,
    /// Address of the document.
    pub url: Option<String>,
    /// Method for `url`; `None` is POST.
    pub method: Option<HttpMethod>,
    /// Address to use when `url` fails.
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
    /// Whether to look up the caller's name.
    pub voice_caller_id_lookup: bool,
    /// Address of the document.
    pub rcml_url: Option<String>,
    /// Method for it; `None` is that of the number or client that names the application.
    #[serde(default)]
    pub method: Option<HttpMethod>,
    /// Address to ask when the document fails; `None` is that of the number or client.
    #[serde(default)]
    pub fallback_url: Option<String>,
    /// Method for `fallback_url`; `None` is POST.
    #[serde(default)]
    pub fallback_method: Option<HttpMethod>,
    /// Where each status of its calls goes; `None` is that of the number.
    #[serde(default)]
    pub status_callback: Option<String>,
    /// Method for `status_callback`; `None` is POST.
    #[serde(default)]
    pub status_callback_method: Option<HttpMethod>,
    /// Dialect in which the document runs.
    #[serde(default)]
    pub dialect: DialectName,
    /// `voice`, `sms` or `ussd`.
    pub kind: Option<String>,
    /// Parameters that are only shown again, by name.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
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
    /// Pure SIP number: without a provider; may be a pattern.
    pub pure_sip: bool,
    /// Whether anyone may call it, without a trunk or a client's credentials.
    pub public: bool,
    /// Document for calls.
    pub voice: VoiceApplication,
    /// Receives each status of calls to this number.
    pub status_callback: Option<String>,
    /// Method for `status_callback`; `None` is POST.
    pub status_callback_method: Option<HttpMethod>,
    /// Whether to look up the caller's name.
    pub voice_caller_id_lookup: bool,
    /// Properties that most calls do not need, parameter name → value: the addresses for transfers,
    /// and those that only the API shows (SMS, USSD, capabilities).
    pub extra: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
}

/// The text of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// Identifier.
    pub sid: TranscriptionSid,
    /// Owner.
    pub account: AccountSid,
    /// The recording.
    pub recording: RecordingSid,
    /// State.
    pub status: TranscriptionStatus,
    /// Length of the recording in seconds.
    pub duration_s: Option<i64>,
    /// The text, once it is there.
    pub text: Option<String>,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
}

/// An outgoing caller ID: a number that an account has shown to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerId {
    /// Identifier.
    pub sid: NumberSid,
    /// Owner.
    pub account: AccountSid,
    /// Display name.
    pub friendly_name: String,
    /// The number, in E.164.
    pub phone_number: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
}

/// A call leg. Parties are shown as in the API (user parts, without scheme or host).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Identifier.
    pub sid: CallSid,
    /// Server that runs the call.
    pub instance: InstanceSid,
    /// Leg that created this one.
    pub parent: Option<CallSid>,
    /// Account it runs under.
    pub account: AccountSid,
    /// Called party.
    pub to: String,
    /// Calling party.
    pub from: String,
    /// Number that was called, for inbound calls to a number.
    pub number: Option<NumberSid>,
    /// Public status.
    pub status: CallStatus,
    /// Which way it was set up.
    pub direction: Direction,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
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
    /// User part of the callee that answered.
    pub answered_by: Option<String>,
    /// User part of the Diversion header.
    pub forwarded_from: Option<String>,
    /// Display name of the caller.
    pub caller_name: Option<String>,
    /// Why it ended, as a word or short text: `caller-hung-up`, `callee-hung-up`, `document-end`,
    /// `timeout` …
    pub reason: Option<String>,
    /// Who ended it.
    pub hangup_by: Option<HangupBy>,
    /// Final SIP status that ended it, if any.
    pub sip_status: Option<u16>,
    /// The remote party's reason for the end: the Reason header of its BYE, or the phrase of its
    /// refusal.
    pub sip_reason: Option<String>,
    /// SIP Call-ID of the leg.
    pub sip_call_id: Option<String>,
    /// Whether it is muted.
    pub muted: bool,
    /// Its media counters, once the media is closed; never after a crash.
    pub media: Option<MediaCounts>,
}

/// Counters of the media of a leg, from open to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaCounts {
    /// RTP packets received.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets that should have arrived and did not.
    pub lost: u64,
    /// Interarrival jitter at the end, in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u64,
    /// Packets converted from another codec for the remote party.
    pub transcoded: u64,
    /// Datagrams from an address that is not accepted here.
    pub wrong_source: u64,
}

/// A conference. **Invariant: `status` becomes final exactly once, with a reason.**
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    /// Identifier.
    pub sid: ConferenceSid,
    /// Server that runs the conference.
    pub instance: InstanceSid,
    /// Owner.
    pub account: AccountSid,
    /// Name as written in the document.
    pub name: String,
    /// Public status.
    pub status: ConferenceStatus,
    /// When the first member asked to join.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
    /// When the members began to hear each other.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended, as one word.
    pub reason: Option<String>,
}

/// A call's place in a conference, for its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The conference.
    pub conference: ConferenceSid,
    /// Whether the others do not hear it.
    pub muted: bool,
    /// Whether the conference starts when it enters.
    pub starts: bool,
    /// Whether the conference ends when it leaves.
    pub ends: bool,
    /// Whether it is on hold: it neither hears the others nor is heard.
    pub on_hold: bool,
    /// The application's name for it.
    pub label: Option<String>,
    /// The only call that hears it; `None`: all do.
    pub coaches: Option<CallSid>,
}

/// A change that was made through the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Identifier.
    pub sid: AuditSid,
    /// Account that was changed, or in which something was.
    pub account: AccountSid,
    /// Account whose credentials were used.
    pub actor: AccountSid,
    /// API key that was used, unless it was a token or password.
    pub key: Option<KeySid>,
    /// Address that the request came from.
    pub source: String,
    /// Identifier of the request.
    pub request: String,
    /// HTTP method.
    pub method: String,
    /// Path of the request.
    pub path: String,
    /// The resource before the change, as JSON without secrets.
    pub before: Option<String>,
    /// The resource after the change, as JSON without secrets.
    pub after: Option<String>,
    /// When the change was made.
    pub created: Timestamp,
}

/// Credentials that an account gives to programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiKey {
    /// Identifier, also the login.
    pub sid: KeySid,
    /// Account whose rights it has.
    pub account: AccountSid,
    /// Name to display.
    pub name: String,
    /// Digest of its secret.
    pub secret_digest: String,
    /// `Action:Kind`, separated by spaces; empty for all that the account may do.
    pub permissions: String,
    /// From when on it is not valid any more.
    pub expires: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A queue: calls wait in it until others take them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Queue {
    /// Identifier.
    pub sid: QueueSid,
    /// Account that owns it.
    pub account: AccountSid,
    /// Name, unique within the account.
    pub name: String,
    /// Maximum number of waiting calls.
    pub max_size: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Queue {
    /// Maximum number of waiting calls unless another is set.
    pub const DEFAULT_MAX_SIZE: u32 = 100;
    /// The largest maximum that can be set.
    pub const LARGEST_MAX_SIZE: u32 = 5_000;
}

/// A call that waits in a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueMember {
    /// The call.
    pub call: CallSid,
    /// Account that owns the call.
    pub account: AccountSid,
    /// The queue.
    pub queue: QueueSid,
    /// Since when; calls are taken in this order.
    pub since: Timestamp,
}

/// A call that is in a conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The call.
    pub call: CallSid,
    /// Owner of the call.
    pub account: AccountSid,
    /// The conference, and the terms.
    pub membership: Membership,
    /// When the call was created.
    pub created: Timestamp,
    /// When it entered.
    pub joined: Timestamp,
    /// When its call was last updated.
    pub updated: Timestamp,
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
    /// What made it, and its layout.
    pub kind: RecordingKind,
    /// Length in milliseconds, from the samples written.
    pub duration_ms: i64,
    /// Size of the file.
    pub size_bytes: i64,
    /// When it was started.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
}

/// What made a recording, and its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingKind {
    /// What made it.
    pub source: RecordingSource,
    /// Number of channels: 1 or 2.
    pub channels: u8,
}

impl Default for RecordingKind {
    fn default() -> Self {
        Self {
            source: RecordingSource::DialVerb,
            channels: 1,
        }
    }
}

/// A recording whose file is incomplete, or was when the server last knew.
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
    /// What makes it, and its layout.
    pub kind: RecordingKind,
    /// When it was started.
    pub created: Timestamp,
}

/// A recording in any state, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRecording {
    /// Its properties; length and size are 0 until it is complete.
    pub recording: Recording,
    /// Its state.
    pub status: RecordingStatus,
}

impl ShownRecording {
    /// Whether it can be fetched.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.status == RecordingStatus::Completed
    }
}

impl From<Recording> for ShownRecording {
    fn from(recording: Recording) -> Self {
        Self {
            recording,
            status: RecordingStatus::Completed,
        }
    }
}

/// The length of a recording in whole seconds, rounded; at least 1, since an empty one does not exist.
#[must_use]
pub const fn recording_seconds(duration_ms: i64) -> i64 {
    let rounded = (duration_ms + 500) / 1_000;
    if rounded < 1 { 1 } else { rounded }
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

/// A text message. **Invariant: `status` becomes final exactly once, with a reason.** A forwarded message is `queued`
/// and `sending` until it is `sent` or `failed`; a receipt changes `sent` once more.
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
    /// Sender, as written in the document.
    pub from: String,
    /// Recipient, as written in the document.
    pub to: String,
    /// The text.
    pub body: String,
    /// How it was created.
    pub direction: MessageDirection,
    /// Public status.
    pub status: MessageStatus,
    /// Why it failed: number of the error table.
    pub error_code: Option<u16>,
    /// The reason for the status, human-readable: the remote party's answer, or why it was not
    /// contacted.
    pub reason: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last updated.
    pub updated: Timestamp,
    /// When it became `sent`.
    pub sent: Option<Timestamp>,
    /// How it is forwarded; `None` if it is sent by SIP at once, or was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<Forwarding>,
}

impl Message {
    /// The leg that sent it; a message without a call has its own lane.
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
    /// Its subject: a leg, a message, a conference, or the account.
    pub lane: Lane,
    /// Leg that it is about, if any.
    pub call: Option<CallSid>,
    /// 0 error, 1 warning.
    pub level: i64,
    /// Number of the error table.
    pub code: u16,
    /// What happened, human-readable.
    pub text: String,
    /// Address that was requested.
    pub request_url: Option<String>,
    /// Method of that request.
    pub request_method: Option<String>,
    /// Line in the document, from 1.
    pub line: Option<u32>,
    /// Column in the document, from 1.
    pub column: Option<u32>,
    /// When it happened.
    pub created: Timestamp,
}

/// Calls or registrations that were refused before they began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where they came from.
    pub source: Source,
    /// Reason.
    pub reason: RefusalReason,
    /// The login that was tried, or the party that was called.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// When the first one was refused.
    pub first: Timestamp,
    /// When the last one was refused.
    pub last: Timestamp,
}

/// One callback in transit to an application: a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The same on every attempt.
    pub event: EventSid,
    /// Owner.
    pub account: AccountSid,
    /// Account that set the address: its rights apply to the request.
    pub author: AccountSid,
    /// Its subject: callbacks of one lane keep their order.
    pub lane: Lane,
    /// Leg that it reports on, if any.
    pub call: Option<CallSid>,
    /// Position among the callbacks of the lane.
    pub sequence: i64,
    /// Destination address.
    pub url: String,
    /// HTTP method.
    pub method: HttpMethod,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
    /// When it was created.
    pub created: Timestamp,
}

impl Notification {
    /// A notification whose subject is its account.
    ///
    /// - `code`: number of the error table, which gives the level
    #[must_use]
    pub fn of_account(
        sid: NotificationSid,
        account: AccountSid,
        code: u16,
        text: String,
        created: Timestamp,
    ) -> Self {
        let level = error::entry(code).map_or(Level::Error, |entry| entry.level);
        Self {
            sid,
            account,
            lane: account.into(),
            call: None,
            level: level.number(),
            code,
            text,
            request_url: None,
            request_method: None,
            line: None,
            column: None,
            created,
        }
    }
}

impl Account {
    /// Most accounts on the way from one to the top of its tree, itself included. Every walk upwards ends here, so that
    /// rows that form a circle cannot hold it up.
    pub const MAX_ANCESTRY: usize = 16;

    /// Maximum size of an e-mail address, in bytes: what fits into a path of 256 with its angle brackets (RFC 5321
    /// §4.5.3.1.3).
    pub const MAX_EMAIL_BYTES: usize = 254;
}

impl Client {
    /// The owning account and its organization.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner {
            account: self.account,
            organization: self.organization,
        }
    }
}

impl Number {
    /// The owning account and its organization.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner {
            account: self.account,
            organization: self.organization,
        }
    }
}
