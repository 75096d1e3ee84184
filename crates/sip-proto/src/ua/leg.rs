//! A leg and its states.
//!
//! ```text
//! inbound:  Arriving ──200──► Talking ──BYE──► Leaving ──► over
//! outbound: Calling ───2xx──► Talking      (any state ends at once when nothing is left to do)
//! MESSAGE, REGISTER: Messaging ──final response──► over
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::gate::Gate;
use super::{HeaderList, LegId, Peer};
use crate::dialog::{AwaitAck, Dialog};
use crate::digest;
use crate::message::Request;
use crate::transaction::TxId;

/// One leg.
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) call_id: String,
    /// Our tag.
    pub(super) tag: String,
    /// Our Contact value.
    pub(super) contact: String,
    /// Added to every message.
    pub(super) headers: HeaderList,
    pub(super) auth: Option<digest::Client>,
    pub(super) gate: Gate,
    /// Transaction of the unanswered INVITE, as in the index of arriving legs.
    pub(super) arriving_tx: Option<TxId>,
    /// As in the index of deadlines.
    pub(super) deadline: Option<Instant>,
    pub(super) state: State,
}

pub(super) enum State {
    Arriving(Box<Arriving>),
    Calling(Box<Calling>),
    Talking(Box<Talking>),
    Leaving(Box<Leaving>),
    Messaging(Box<Messaging>),
    /// Only while the leg is being processed; a leg left in this state is forgotten.
    Over,
}

/// An inbound INVITE without a final response.
pub(super) struct Arriving {
    pub(super) tx: TxId,
    pub(super) invite: Request,
    pub(super) peer: Peer,
    /// False while its credentials are being looked up: the engine does not know of it yet.
    pub(super) reported: bool,
    /// The last provisional response, to be repeated, or the first one, to be sent.
    pub(super) progress: Option<Progress>,
}

pub(super) struct Progress {
    pub(super) status: u16,
    pub(super) bytes: Bytes,
    pub(super) repeat_at: Instant,
}

/// An outbound INVITE without a final response.
pub(super) struct Calling {
    pub(super) tx: TxId,
    /// The INVITE, without Via.
    pub(super) invite: Request,
    pub(super) route: Peer,
    pub(super) has_offer: bool,
    /// Early dialogs by To tag.
    pub(super) early: BTreeMap<String, Dialog>,
    pub(super) provisional: bool,
    pub(super) cancel: Cancel,
    /// The remote party hung up before its 2xx reached us.
    pub(super) hung_up: bool,
}

/// How far the cancellation has progressed.
pub(super) enum Cancel {
    No,
    /// Requested, but CANCEL must wait for a provisional response (RFC 3261 §9.1).
    Wanted,
    Sent {
        give_up_at: Instant,
    },
}

impl Cancel {
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self, Self::No)
    }
}

/// A confirmed dialog.
pub(super) struct Talking {
    pub(super) dialog: Dialog,
    /// The remote party has moved, and the engine does not know yet where to.
    pub(super) unreported: bool,
    /// Whether the first INVITE was ours: determines who waits longer after glare (§14.1).
    pub(super) outbound: bool,
    pub(super) awaited: Option<Awaited>,
    pub(super) ours: Ours,
    pub(super) theirs: Option<Theirs>,
    /// A 2xx that carried an offer and waits for `AckSdp`.
    pub(super) unacked: Option<Unacked>,
    /// A BYE that waits for the ACK of our first 2xx (§15).
    pub(super) bye: Option<HeaderList>,
    pub(super) referrals: Referrals,
    pub(super) transfer: Transfer,
}

/// Their REFERs.
#[derive(Default)]
pub(super) struct Referrals {
    /// REFERs so far.
    pub(super) count: u32,
    /// The one that the engine has not answered.
    pub(super) asked: Option<Asked>,
    /// Event of the subscription whose outcome is not known yet.
    pub(super) watched: Option<String>,
}

/// Our last REFER in a dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Transfer {
    /// There is none, or its outcome is known.
    #[default]
    Settled,
    /// It has no final response yet.
    Asked { tx: TxId, seq: u32 },
    /// It was accepted: reports are expected.
    Accepted { seq: u32 },
}

impl Transfer {
    /// Its CSeq number, which may be the `id` of its subscription (RFC 3515 §2.4.6).
    pub(super) const fn seq(self) -> Option<u32> {
        match self {
            Self::Settled => None,
            Self::Asked { seq, .. } | Self::Accepted { seq } => Some(seq),
        }
    }
}

/// A REFER without an answer.
pub(super) struct Asked {
    pub(super) tx: TxId,
    pub(super) request: Request,
    /// Event of the subscription that it creates; `None` if it is not to create one.
    pub(super) event: Option<String>,
}

/// A 2xx of ours without ACK.
pub(super) struct Awaited {
    pub(super) machine: AwaitAck,
    pub(super) tx: TxId,
    pub(super) seq: u32,
    /// Whether it answers the INVITE that created the dialog.
    pub(super) first: bool,
    /// Whether our 2xx carried an offer.
    pub(super) offered: bool,
}

/// Our re-INVITE.
pub(super) enum Ours {
    Idle,
    Sent {
        sdp: String,
        tries: u8,
    },
    /// To be sent later: an INVITE transaction is in progress, or both sides tried at once.
    Waiting {
        sdp: String,
        tries: u8,
        at: Instant,
    },
}

/// Their re-INVITE, unanswered.
pub(super) struct Theirs {
    pub(super) tx: TxId,
    pub(super) invite: Request,
    pub(super) has_offer: bool,
}

pub(super) struct Unacked {
    pub(super) tx: TxId,
    pub(super) seq: u32,
}

/// BYE has been sent.
pub(super) struct Leaving {
    /// Whether its outcome is the last event of the leg.
    pub(super) report: bool,
    pub(super) dialog: Dialog,
}

/// A MESSAGE or REGISTER without a final response.
pub(super) struct Messaging {
    /// `None` only until it is sent.
    pub(super) tx: Option<TxId>,
    pub(super) route: Peer,
    /// The path to use if none can be opened by TCP.
    pub(super) by_datagram: Option<Peer>,
}

impl Messaging {
    pub(super) const fn sent(tx: TxId, route: Peer) -> Self {
        Self {
            tx: Some(tx),
            route,
            by_datagram: None,
        }
    }
}

impl Leg {
    /// The path to the remote party.
    pub(super) fn path(&self) -> Option<Peer> {
        match &self.state {
            State::Arriving(arriving) => Some(arriving.peer),
            State::Calling(calling) => Some(calling.route),
            State::Talking(talking) => Some(talking.dialog.next_hop()),
            State::Leaving(leaving) => Some(leaving.dialog.next_hop()),
            State::Messaging(messaging) => Some(messaging.route),
            State::Over => None,
        }
    }

    /// When the leg next needs a timeout.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Arriving(arriving) => arriving.progress.as_ref().map(|p| p.repeat_at),
            State::Calling(calling) => match calling.cancel {
                Cancel::Sent { give_up_at } => Some(give_up_at),
                Cancel::No | Cancel::Wanted => None,
            },
            State::Talking(talking) => {
                let ack = talking
                    .awaited
                    .as_ref()
                    .map(|awaited| awaited.machine.poll_timeout());
                let retry = match &talking.ours {
                    Ours::Waiting { at, .. } => Some(*at),
                    Ours::Idle | Ours::Sent { .. } => None,
                };
                let report = talking.unreported.then(|| self.gate.opens_at());
                ack.into_iter().chain(retry).chain(report).min()
            }
            State::Leaving(_) | State::Messaging(_) | State::Over => None,
        }
    }
}
