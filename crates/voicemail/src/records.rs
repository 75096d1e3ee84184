//! What is stored: boxes and their messages.

use model::{
    AccountSid, CallSid, EmailSid, RecordingSid, Timestamp, VoicemailBoxSid, VoicemailSid, words,
};

use crate::settings::Settings;

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailBox {
    /// Identifier.
    pub sid: VoicemailBoxSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// Its name, unique in the account.
    pub name: String,
    /// Login of the client whose phones show that messages wait.
    pub client: Option<String>,
    /// Keyed digest of the PIN; `None` if there is no access by phone.
    pub pin: Option<String>,
    /// What its owner has set.
    pub settings: Settings,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

words!(
    /// Why a caller reached the box, which decides the greeting.
    Case {
        /// It was called directly, or nothing else is known.
        Direct = "direct",
        /// The called party was busy.
        Busy = "busy",
        /// The called party did not answer, or could not be reached.
        NoAnswer = "no-answer",
        /// It is outside the opening hours.
        Closed = "closed",
    }
);

words!(
    /// The status of a message.
    State {
        /// It is recorded, and the caller can still replace it: the call is not over.
        Pending = "pending",
        /// It waits to be heard.
        New = "new",
        /// Its owner has heard it.
        Heard = "heard",
        /// There was nothing in it, or too little: final, and its recording is deleted.
        Empty = "empty",
        /// The caller recorded another one instead: final, and its recording is deleted.
        Replaced = "replaced",
    }
);

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voicemail {
    /// Identifier.
    pub sid: VoicemailSid,
    /// Account it belongs to.
    pub account: AccountSid,
    /// The box it is in.
    pub mailbox: VoicemailBoxSid,
    /// The call in which it was left.
    pub call: Option<CallSid>,
    /// Its recording; `None` once that is deleted.
    pub recording: Option<RecordingSid>,
    /// Who left it.
    pub from: String,
    /// The number or name that was called.
    pub to: String,
    /// Why the caller reached the box.
    pub case: Case,
    /// Its status.
    pub state: State,
    /// Whether a pending one can be delivered, although its call is not over.
    pub ready: bool,
    /// Length in seconds.
    pub duration_s: i64,
    /// What was said, once it is known.
    pub transcript: Option<String>,
    /// Whether a transcript is still to be made.
    pub to_transcribe: bool,
    /// When the e-mail about it is due; `None` if there is none, or it is in the outbox.
    pub mail_due: Option<Timestamp>,
    /// The e-mail about it.
    pub email: Option<EmailSid>,
    /// Whether it is deleted once that is sent.
    pub delete_after_mail: bool,
    /// When it was left.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// When it was first heard.
    pub heard: Option<Timestamp>,
}

impl Voicemail {
    /// The message of a recording.
    #[must_use]
    pub const fn sid_of(recording: RecordingSid) -> VoicemailSid {
        VoicemailSid::from_bytes(*recording.as_bytes())
    }

    /// The e-mail about it, if one is sent: always the same, so that there is one.
    #[must_use]
    pub const fn email_sid(&self) -> EmailSid {
        EmailSid::from_bytes(*self.sid.as_bytes())
    }

    /// A message as it is recorded.
    ///
    /// - `recorded`: its recording, and how long that is in seconds
    #[must_use]
    pub fn recorded(
        mailbox: &VoicemailBox,
        visit: &crate::Visit,
        (recording, duration_s): (RecordingSid, i64),
        now: Timestamp,
    ) -> Self {
        let is_empty = duration_s < mailbox.settings.min_length_s;
        Self {
            sid: Self::sid_of(recording),
            account: mailbox.account,
            mailbox: mailbox.sid,
            call: visit.call,
            recording: Some(recording),
            from: visit.from.clone(),
            to: visit.to.clone(),
            case: visit.case,
            state: if is_empty {
                State::Empty
            } else {
                State::Pending
            },
            ready: !mailbox.settings.review,
            duration_s,
            transcript: None,
            to_transcribe: false,
            mail_due: None,
            email: None,
            delete_after_mail: false,
            created: now,
            updated: now,
            heard: None,
        }
    }

    /// The same, given to its owner.
    #[must_use]
    pub fn delivered(mut self, settings: &Settings, now: Timestamp) -> Self {
        self.state = State::New;
        self.to_transcribe = settings.transcribe;
        if !settings.email_to.is_empty() {
            let wait_s = if settings.transcribe {
                settings.transcript_wait_s
            } else {
                0
            };
            let wait = std::time::Duration::from_secs(wait_s.unsigned_abs());
            self.mail_due = Some(now + wait);
            self.delete_after_mail = settings.delete_after_mail;
        }
        self.updated = self.updated.max(now);
        self
    }
}
