//! What a leg tells the call engine.

use super::{HeaderList, LegId, Peer};
use crate::DialogSnapshot;

/// What happened on a leg. Header lists carry the X- fields and Diversion, in order.
///
/// A leg ends with exactly one of `Rejected`, `Canceled`, `NoAck`, `Bye`, `ByeDone`, `Lost`,
/// `MessageDone`, or silently after the engine's own `Reject` or `Challenge`.
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
    /// Outbound, unanswered, over: the final response, or 408 when none came, 503 when the INVITE
    /// could not be sent, 487 after `Cancel`, 400 when the command could not be put into a message.
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
    /// Inbound, unanswered, over: the caller gave up and has been answered.
    Canceled,
    /// Inbound: the ACK of our 2xx came.
    Acked {
        /// Answer, if our 2xx carried the offer.
        sdp: Option<String>,
    },
    /// Over: the ACK of a 2xx of ours never came; the core sends BYE.
    NoAck,
    /// Over: the remote party hung up and has been answered.
    Bye {
        /// X- and Diversion header fields.
        headers: HeaderList,
        /// Value of Reason.
        reason: Option<String>,
    },
    /// Over: the final response to our BYE, or 408 when none came.
    ByeDone {
        /// Status.
        status: u16,
        /// X- and Diversion header fields.
        headers: HeaderList,
    },
    /// Over: the remote party no longer knows the dialog (481, or 408 to a request within it), or
    /// it cannot be reached.
    Lost,
    /// The remote party's re-INVITE: answer with `AnswerReinvite` or `RejectReinvite`.
    Reinvite {
        /// Offer; `None` if the answer shall carry ours.
        sdp: Option<String>,
    },
    /// The ACK of our answer to a re-INVITE came.
    ReinviteAcked {
        /// Answer, if ours carried the offer.
        sdp: Option<String>,
    },
    /// Our re-INVITE is over. The session is as before unless the status is 2xx.
    ReinviteDone {
        /// Status of the final response; 408 when none came.
        status: u16,
        /// Answer.
        sdp: Option<String>,
    },
    /// The dialog of an outbound leg is confirmed, before `Answered`; that of an inbound one is known
    /// with its INVITE. Of both: again whenever the remote party has another Contact or is heard
    /// from elsewhere.
    Dialog(Box<DialogSnapshot>),
    /// A header field of a command was left out: its name is none, it belongs to the core, or its
    /// value has a control character.
    HeaderRefused {
        /// Name.
        name: String,
    },
    /// INFO came and has been answered with 200.
    Info {
        /// Content-Type, without parameters.
        content_type: String,
        /// Body.
        body: Vec<u8>,
    },
    /// Over: the final response to our MESSAGE, or 408 when none came, 503 when it could not be
    /// sent, 400 when the command could not be put into a message.
    MessageDone {
        /// Status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The final response to our INFO.
    InfoDone {
        /// Status; 408 when none came.
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
        )
    }
}

/// Whom the source address or the credentials of an INVITE show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A client that proved its password.
    Client {
        /// Login.
        login: String,
    },
    /// A trunk, known by its source address.
    Trunk {
        /// Name of the trunk.
        name: String,
    },
    /// Credentials came and are wrong.
    BadCredentials,
    /// Nothing is proven.
    Unknown,
}

/// A new INVITE. 100 has been sent; nothing else is until a command says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingInvite {
    /// The dialog that a 200 will confirm, to be kept before it is sent: a later process needs it to
    /// hang up. `None` if the INVITE can make none.
    pub dialog: Option<DialogSnapshot>,
    /// Leg.
    pub leg: LegId,
    /// Where it came from.
    pub peer: Peer,
    /// Who called, as far as it is proven.
    pub caller: Caller,
    /// Request-URI.
    pub request_uri: String,
    /// Whether the Request-URI names this server, and not another one.
    pub called_here: bool,
    /// Number or name in the user part of the Request-URI, unescaped.
    pub called_user: String,
    /// The same of To.
    pub to_user: String,
    /// Host of To.
    pub to_host: String,
    /// The same of From. Nothing proves it.
    pub from_user: String,
    /// Host of From.
    pub from_host: String,
    /// Whether that is this server.
    pub from_here: bool,
    /// Display name of From.
    pub from_display: Option<String>,
    /// Call-ID.
    pub call_id: String,
    /// X- and Diversion header fields, in order, names as they came.
    pub headers: HeaderList,
    /// Offer.
    pub sdp: Option<String>,
    /// Whether the body, if any, is of a kind we read.
    pub body_type_ok: bool,
    /// Max-Forwards of the INVITE: a leg made for this call gets one less.
    pub max_forwards: u8,
}
