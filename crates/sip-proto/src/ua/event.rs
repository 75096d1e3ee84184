//! Events of a leg for the call engine.

use super::{HeaderList, LegId, Peer};
use crate::DialogSnapshot;

/// An event of a leg. Header lists carry the X- fields and Diversion, in order.
///
/// A leg ends with exactly one of `Rejected`, `Canceled`, `NoAck`, `Bye`, `ByeDone`, `Lost`,
/// `MessageDone`, `RegisterDone`, or silently after the engine's own `Reject` or `Challenge`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegEvent {
    /// Outbound: a provisional response above 100.
    Progress {
        /// Status.
        status: u16,
        /// X- and Diversion header fields.
        headers: HeaderList,
        /// Early answer.
        sdp: Option<String>,
    },
    /// Outbound: the first 2xx. The core has sent the ACK unless `sdp` is an offer.
    Answered {
        /// X- and Diversion header fields.
        headers: HeaderList,
        /// Answer to our offer, or the remote party's offer if we made none.
        sdp: Option<String>,
        /// Call-ID of the dialog.
        call_id: String,
    },
    /// Outbound, unanswered, ended: the final response, or 408 if none came, 503 if the INVITE
    /// could not be sent, 487 after `Cancel`, 400 if the command could not be made into a message.
    Rejected {
        /// Status.
        status: u16,
        /// Reason phrase.
        reason: String,
        /// X- and Diversion header fields.
        headers: HeaderList,
        /// Call-ID of the INVITE; empty if none was made.
        call_id: String,
    },
    /// Inbound, unanswered, ended: the caller canceled and has been answered.
    Canceled,
    /// Inbound: the ACK of our 2xx arrived.
    Acked {
        /// Answer, if our 2xx carried the offer.
        sdp: Option<String>,
    },
    /// Ended: the ACK of our 2xx never arrived; the core sends BYE.
    NoAck,
    /// Ended: the remote party hung up and has been answered.
    Bye {
        /// X- and Diversion header fields.
        headers: HeaderList,
        /// Value of Reason.
        reason: Option<String>,
    },
    /// Ended: the final response to our BYE, or 408 if none came.
    ByeDone {
        /// Status.
        status: u16,
        /// X- and Diversion header fields.
        headers: HeaderList,
    },
    /// Ended: the remote party no longer knows the dialog (481, or 408 to a request within it), or
    /// it cannot be reached.
    Lost,
    /// The remote party's re-INVITE: answer with `AnswerReinvite` or `RejectReinvite`.
    Reinvite {
        /// Offer; `None` if the answer must carry ours.
        sdp: Option<String>,
    },
    /// The ACK of our answer to a re-INVITE arrived.
    ReinviteAcked {
        /// Answer, if ours carried the offer.
        sdp: Option<String>,
    },
    /// The remote party asks to be transferred: answer with `AcceptRefer` or `RejectRefer`.
    Refer(Box<IncomingRefer>),
    /// Our re-INVITE has ended. The session is unchanged unless the status is 2xx.
    ReinviteDone {
        /// Status of the final response; 408 if none came.
        status: u16,
        /// Answer.
        sdp: Option<String>,
    },
    /// The dialog of an outbound leg is confirmed, before `Answered`; that of an inbound one is
    /// reported with its INVITE. For both, reported again whenever the remote party's Contact or
    /// source address changes.
    Dialog(Box<DialogSnapshot>),
    /// A header field of a command was left out: its name is invalid or reserved for the core, or
    /// its value has a control character.
    HeaderRefused {
        /// Name.
        name: String,
    },
    /// An INFO arrived and has been answered with 200.
    Info {
        /// Content-Type, without parameters.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
    /// Ended: the final response to our MESSAGE, or 408 if none came, 503 if it could not be sent,
    /// 400 if the command could not be made into a message.
    MessageDone {
        /// Status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Ended: the final response to our REGISTER, or 408 if none came, 503 if it could not be sent,
    /// 400 if the command could not be made into a message.
    RegisterDone {
        /// Status.
        status: u16,
        /// Seconds that the registrar grants, or demands at least (423).
        seconds: Option<u32>,
    },
    /// The final response to our REFER: 408 if none came, 503 if it could not be sent, 400 if the
    /// command could not be made into a message.
    ReferAnswered {
        /// Status.
        status: u16,
    },
    /// The remote party reports about the call that it makes because of our REFER.
    ReferReported {
        /// Status of that call; `None` if the report cannot be read.
        status: Option<u16>,
        /// Whether no report follows.
        is_last: bool,
    },
    /// The final response to our INFO.
    InfoDone {
        /// Status; 408 if none came.
        status: u16,
    },
}

impl LegEvent {
    /// Whether no event of the leg can follow this one.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Rejected { .. }
                | Self::Canceled
                | Self::NoAck
                | Self::Bye { .. }
                | Self::ByeDone { .. }
                | Self::Lost
                | Self::MessageDone { .. }
                | Self::RegisterDone { .. }
        )
    }
}

/// The sender of an INVITE, as proven by its source address or credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A client that proved its password.
    Client {
        /// Login.
        login: String,
    },
    /// A trunk, recognised by its source address.
    Trunk {
        /// Name of the trunk.
        name: String,
    },
    /// The credentials are wrong.
    BadCredentials {
        /// Login that they are for; the user in From if they cannot be read.
        login: String,
    },
    /// Nothing is proven.
    Unknown,
}

/// The parts of a REFER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingRefer {
    /// URI of Refer-To: `sip`, `sips` or `tel`, with its parameters and header fields.
    pub target: String,
    /// Number or name in the user part of Refer-To, unescaped.
    pub target_user: String,
    /// Number or name in the user part of Contact, or of From if there is no Contact, unescaped.
    pub contact_user: String,
    /// Number or name in the user part of To, unescaped.
    pub to_user: String,
    /// The confirmed dialog here that the Replaces of Refer-To names (RFC 3891 §3), other than that of the REFER
    /// itself.
    pub replaces: Option<LegId>,
}

/// A new INVITE. 100 has been sent; nothing more is sent until a command says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingInvite {
    /// The dialog that a 200 will confirm, to be stored before the 200 is sent: a later process
    /// needs it to hang up. `None` if the INVITE cannot create one.
    pub dialog: Option<DialogSnapshot>,
    /// Leg.
    pub leg: LegId,
    /// Source of the INVITE.
    pub peer: Peer,
    /// The caller, as far as proven.
    pub caller: Caller,
    /// Request-URI.
    pub request_uri: String,
    /// Whether the Request-URI names this server rather than another one.
    pub called_here: bool,
    /// Domain of the organization that the Request-URI names, if it names one.
    pub called_domain: Option<String>,
    /// Number or name in the user part of the Request-URI, unescaped.
    pub called_user: String,
    /// Number or name in the user part of To, unescaped.
    pub to_user: String,
    /// Host of To.
    pub to_host: String,
    /// Number or name in the user part of From, unescaped; not authenticated.
    pub from_user: String,
    /// Host of From.
    pub from_host: String,
    /// Whether the host of From is this server.
    pub from_here: bool,
    /// Domain of the organization that From names, or of the first one: a caller that is authenticated is its client.
    pub from_domain: String,
    /// Display name of From.
    pub from_display: Option<String>,
    /// Call-ID.
    pub call_id: String,
    /// X- and Diversion header fields, in order, with their names as received.
    pub headers: HeaderList,
    /// Offer.
    pub sdp: Option<String>,
    /// Whether the body, if any, is of a type that we read.
    pub body_type_ok: bool,
    /// Max-Forwards of the INVITE: a leg made for this call gets one less.
    pub max_forwards: u8,
}

/// A text message that arrived: nothing has been sent, and nothing is until a command says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingText {
    /// Leg that lives until the response.
    pub leg: LegId,
    /// Source of the MESSAGE.
    pub peer: Peer,
    /// The sender, as far as proven.
    pub caller: Caller,
    /// Request-URI.
    pub request_uri: String,
    /// Whether the Request-URI names this server rather than another one.
    pub called_here: bool,
    /// Domain of the organization that the Request-URI names, if it names one.
    pub called_domain: Option<String>,
    /// Number or name in the user part of the Request-URI, unescaped.
    pub called_user: String,
    /// Number or name in the user part of To, unescaped.
    pub to_user: String,
    /// Number or name in the user part of From, unescaped; not authenticated.
    pub from_user: String,
    /// Whether the host of From is this server.
    pub from_here: bool,
    /// Domain of the organization that From names, or of the first one.
    pub from_domain: String,
    /// X- and Diversion header fields, in order, with their names as received.
    pub headers: HeaderList,
    /// The text.
    pub body: TextBody,
    /// Call-ID, CSeq number and tag of From: the same if the request is sent again (RFC 3261 §8.2.2.2).
    pub request_id: String,
}

/// The body of a text message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextBody {
    /// A text that is not blank.
    Text(String),
    /// It is empty, or not `text/plain`: a typing indication, for example.
    NotText,
    /// Its charset is not known, or its octets are none of that charset.
    Undecodable,
}
