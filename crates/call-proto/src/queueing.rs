//! Messages between a queue and the family of a call about its place there. Data only.

use model::{AccountSid, CallSid, QueueSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Document, Redirect, Req};
use crate::params::Params;

/// A request of a call to a queue. All but `Find` are carried out in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueRequest {
    /// Find the queue with this account and name → [`QueueEvent::Found`] or [`QueueEvent::Missing`].
    Find {
        /// Returned with the answer.
        req: Req,
        /// Account that owns the queue.
        account: AccountSid,
        /// Name of the queue.
        name: String,
        /// Whether to create it if it does not exist.
        create: bool,
    },
    /// Wait in the queue → [`QueueEvent::Entered`] or [`QueueEvent::Full`].
    Enter {
        /// Number of the place: returned with every report of the queue about it.
        req: Req,
        /// The queue.
        queue: QueueSid,
        /// Maximum number of waiting calls, this one included.
        max_size: u32,
    },
    /// Take the first call of the queue, as soon as there is one → [`QueueEvent::Matched`].
    Take {
        /// Number of the request: returned with every report of the queue about it.
        req: Req,
        /// The queue.
        queue: QueueSid,
        /// What the waiting party hears before it is connected.
        greeting: Option<Document>,
    },
    /// The call that was called has heard its greeting → [`QueueEvent::Connected`], to both.
    Ready {
        /// Number of the place.
        req: Req,
        /// The queue.
        queue: QueueSid,
    },
    /// For the call that this one is connected to → [`QueueEvent::Passed`], to that one; without effect if
    /// it is not connected.
    Pass {
        /// Number of the place or request.
        req: Req,
        /// The queue.
        queue: QueueSid,
        /// What it is to do.
        note: Note,
    },
    /// End the place, the request or the connection; no event follows.
    Leave {
        /// Number of the place or request.
        req: Req,
        /// The queue.
        queue: QueueSid,
        /// For one that took another: whether it knows that they were connected. If not, the other one waits again.
        met: bool,
        /// Why.
        why: Parting,
    },
}

/// A queue's report to the family of a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum QueueEvent {
    /// The queue that was sought.
    Found {
        /// The queue.
        queue: QueueSid,
        /// Maximum number of waiting calls.
        max_size: u32,
    },
    /// There is no such queue.
    Missing,
    /// It cannot be determined whether there is one.
    Unavailable {
        /// Human-readable.
        why: String,
    },
    /// The call waits in the queue.
    Entered {
        /// Since when.
        since: Timestamp,
    },
    /// The call was not admitted: the queue has as many waiting calls as the request allows.
    Full,
    /// The call is the first one, and is taken by another.
    Called {
        /// Who takes it.
        by: CallSid,
        /// What it hears before it is connected.
        greeting: Option<Document>,
    },
    /// The call that took it has left before both knew that they were connected: the call waits again, in its old
    /// place.
    Returned,
    /// A waiting call was taken, and hears its greeting.
    Matched {
        /// The call that waited.
        with: CallSid,
    },
    /// The call that was taken has left before they were connected: the next one is sought.
    Unmatched,
    /// The two hear each other from now on; the one that took the other commands that.
    Connected {
        /// The other one.
        with: CallSid,
    },
    /// The other one wants something of this call.
    Passed {
        /// What.
        note: Note,
    },
    /// The other one has left after they were connected.
    Parted {
        /// Why.
        why: Parting,
    },
}

/// The connection of a leg to one of another family.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) queue: QueueSid,
    /// Number of the leg's own place in the queue.
    pub(crate) req: Req,
    /// Runs if the remote party asks to transfer the other one; `None`: the document of the called
    /// number.
    pub(crate) refer: Option<Document>,
}

/// What a leg wants of the one that it is connected to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Note {
    /// Pass this key to the remote party.
    Key(char),
    /// Run the document that the sender runs now.
    Redirect(Box<Redirect>),
    /// The sender's remote party transfers yours: run this document, whose requests have these
    /// parameters.
    Transfer {
        /// The document.
        document: Box<Document>,
        /// Parameters of the transfer.
        params: Params,
    },
    /// The sender's remote party leaves: meet another call there.
    Join(Rendezvous),
}

impl Note {
    /// The words in traces.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Key(_) => "passes a key on",
            Self::Redirect(_) => "takes the other call along",
            Self::Transfer { .. } => "transfers the other call",
            Self::Join(_) => "hands the other call over",
        }
    }
}

/// Where two calls meet after an attended transfer: a queue for just these two, without a name or record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rendezvous {
    /// The queue.
    pub queue: QueueSid,
    /// Whether this call takes the other one; of two that meet, one does.
    pub takes: bool,
}

/// Why a call leaves a queue, or the one that it is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Parting {
    /// It hung up, was lost, or wants no more.
    HungUp,
    /// The time limit of the connection ran out.
    TimeLimit,
    /// The API redirected or ended it.
    Api,
}

impl Parting {
    /// The word in traces.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HungUp => "hung up",
            Self::TimeLimit => "time limit",
            Self::Api => "by the API",
        }
    }
}

/// Where a call stands in its queue, for the parameters of its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// From 1, the next to be taken.
    pub position: usize,
    /// Number of waiting calls.
    pub size: usize,
    /// How long it has waited, in seconds.
    pub waited_s: i64,
    /// How long the waiting calls have waited on average, in seconds.
    pub average_s: i64,
}

impl Standing {
    /// The parameters for an application.
    #[must_use]
    pub fn params(&self, queue: QueueSid) -> Vec<(String, String)> {
        [
            ("QueueSid", queue.to_string()),
            ("QueuePosition", self.position.to_string()),
            ("QueueTime", self.waited_s.to_string()),
            ("AvgQueueTime", self.average_s.to_string()),
            ("CurrentQueueSize", self.size.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
