//! Commands of the call engine to a leg.

use super::Peer;

/// A leg: our side of one call attempt, from its INVITE to its end.
///
/// Numbers are never reused. The core assigns odd ones to inbound legs; the sender of
/// [`LegCommand::Invite`] assigns even ones to outbound legs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegId(pub u64);

/// Header fields in order: name and value. Values with CR, LF or NUL are refused.
pub type HeaderList = Vec<(String, String)>;

/// A command to a leg. One that does not fit the state of the leg is ignored, except that `Cancel`
/// and `Reject` end an answered leg with BYE, and `Bye` ends an unanswered one as they would.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegCommand {
    /// Start an outbound leg.
    Invite(Box<InviteSpec>),
    /// Send one text message on its own leg. Ends in `LegEvent::MessageDone`.
    Message(Box<MessageSpec>),
    /// Register at another server, on its own leg. Ends in `LegEvent::RegisterDone`.
    Register(Box<RegisterSpec>),
    /// Header fields to add to every later message of the leg, responses included.
    SetHeaders(HeaderList),
    /// Inbound: a provisional response, 101 to 199.
    Progress {
        /// Status.
        status: u16,
        /// Further header fields.
        headers: HeaderList,
    },
    /// Inbound: 200, repeated until its ACK comes.
    Answer {
        /// Answer to the offer in the INVITE, or our offer if it had none.
        sdp: String,
        /// Further header fields.
        headers: HeaderList,
    },
    /// Inbound: a final response of 300 or above; the leg ends.
    Reject {
        /// Status.
        status: u16,
        /// Reason phrase; by default that of the RFC.
        reason: Option<String>,
        /// Further header fields.
        headers: HeaderList,
    },
    /// Inbound text: 100, which keeps the leg, or a final response below 300, which ends it.
    AnswerText {
        /// Status.
        status: u16,
        /// Reason phrase; by default that of the RFC.
        reason: Option<String>,
    },
    /// Inbound: 407 with a fresh challenge; the leg ends.
    Challenge {
        /// Whether the credentials were right and only their nonce was too old.
        stale: bool,
    },
    /// Outbound, unanswered: cancel. Always ends in `LegEvent::Rejected`.
    Cancel,
    /// Hang up. Ends in `LegEvent::ByeDone`.
    Bye {
        /// Further header fields, such as Reason.
        headers: HeaderList,
    },
    /// Answer the remote party's re-INVITE.
    AnswerReinvite {
        /// Answer, or our offer if the re-INVITE had none.
        sdp: String,
        /// Further header fields.
        headers: HeaderList,
    },
    /// Refuse the remote party's re-INVITE; the session stays as it was.
    RejectReinvite {
        /// Status, 300 or above.
        status: u16,
    },
    /// Send a re-INVITE with this offer.
    Reinvite {
        /// Offer.
        sdp: String,
    },
    /// Send the ACK of a 2xx that carried an offer (our INVITE had none).
    AckSdp {
        /// Answer.
        sdp: String,
    },
    /// Accept the remote party's REFER with 202; it is also notified that the transfer is in
    /// progress, unless it asked not to be.
    AcceptRefer,
    /// Refuse the remote party's REFER; the call stays as it was.
    RejectRefer {
        /// Status, 300 or above.
        status: u16,
        /// Further header fields, such as Reason.
        headers: HeaderList,
    },
    /// Notify the remote party of the outcome of the REFER that was accepted.
    ReferDone {
        /// Final status.
        status: u16,
    },
    /// Ask the remote party to call another address → `LegEvent::ReferAnswered`. Another REFER
    /// replaces one whose outcome is not known yet.
    Refer {
        /// The URI, with its header list.
        target: String,
    },
    /// Send INFO within the dialog.
    Info {
        /// Content-Type.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
}

/// An outbound INVITE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteSpec {
    /// Request-URI.
    pub target: String,
    /// URI of To; defaults to the target.
    pub to: Option<String>,
    /// URI of From.
    pub from: String,
    /// Display name of From.
    pub from_display: Option<String>,
    /// Next hop: where the INVITE is sent.
    pub route: Peer,
    /// Offer; empty to let the remote party offer (then `AckSdp` must follow `Answered`).
    pub sdp: String,
    /// Further header fields of the INVITE.
    pub headers: HeaderList,
    /// Header fields of every message that the leg sends, the INVITE included.
    pub leg_headers: HeaderList,
    /// Credentials with which to answer a challenge.
    pub credentials: Option<Credentials>,
    /// User part of our Contact; defaults to the user of From.
    pub contact_user: Option<String>,
    /// Makes it the INVITE of a recording client (RFC 7866 §6.1.1): the metadata of the recorded session
    /// (RFC 7865), which needs an offer beside it.
    pub recording: Option<String>,
    /// Max-Forwards; 70 unless the call came from elsewhere with a lower one.
    pub max_forwards: u8,
}

impl InviteSpec {
    /// An INVITE without optional parts.
    #[must_use]
    pub fn new(target: impl Into<String>, from: impl Into<String>, route: Peer) -> Self {
        Self {
            target: target.into(),
            to: None,
            from: from.into(),
            from_display: None,
            route,
            sdp: String::new(),
            headers: Vec::new(),
            leg_headers: Vec::new(),
            credentials: None,
            contact_user: None,
            recording: None,
            max_forwards: 70,
        }
    }
}

/// An outbound MESSAGE (RFC 3428).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageSpec {
    /// Request-URI.
    pub target: String,
    /// URI of To; defaults to the target.
    pub to: Option<String>,
    /// URI of From.
    pub from: String,
    /// Next hop: where the MESSAGE is sent.
    pub route: Peer,
    /// The text.
    pub text: String,
    /// Further header fields.
    pub headers: HeaderList,
    /// Credentials with which to answer a challenge.
    pub credentials: Option<Credentials>,
}

/// An outbound REGISTER (RFC 3261 §10.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterSpec {
    /// Request-URI: the registrar, without a user.
    pub registrar: String,
    /// Address of record, in From and To.
    pub address: String,
    /// User part of our Contact.
    pub contact_user: String,
    /// Next hop.
    pub route: Peer,
    /// Seconds that the binding is to live; 0 removes it.
    pub expires: u32,
    /// Call-ID: the same for all REGISTERs of one binding.
    pub call_id: String,
    /// CSeq number: higher than that of the REGISTER before, which may have been sent several times.
    pub seq: u32,
    /// Credentials with which to answer a challenge.
    pub credentials: Option<Credentials>,
}

/// User name and secret for a remote party that challenges us.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Digest user name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
