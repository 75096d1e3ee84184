//! A meeting: a leg is connected to one of another family, through a queue.
//!
//! A bridge is a machine that both its legs belong to; two families share none. So the queue keeps the
//! pair, and what one leg wants of the other it sends as a [`Note`], which the queue passes on: keys
//! that did not come in the media, and where the other leg is to go when this one leaves. **Invariant: a
//! note is obeyed only by a leg that is still in the meeting that it was sent in.**
//!
//! Left to others: how the two find each other, and who commands the connection (the verbs `enqueue`,
//! `dequeue` and `joining`).

use model::QueueSid;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::command::{Command, MediaCommand};
use crate::context::Context;
use crate::event::{Document, Redirect, Req};
use crate::interpreter::Script;
use crate::letter::Role;
use crate::params::Params;
use crate::queueing::QueueRequest;

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

impl Call {
    /// Sends a note to the leg that this one is connected to.
    pub(crate) fn sends_note(&self, meeting: &Meeting, note: Note, cx: &mut Context) {
        let (req, queue) = (meeting.req, meeting.queue);
        let request = QueueRequest::Pass { req, queue, note };
        cx.command(self.sid(), Command::Queue(request));
    }

    /// The leg that this one is connected to has sent a note.
    pub(crate) fn receives_note(&mut self, req: Req, note: Note, cx: &mut Context) {
        let is_there = |meeting: &Meeting| meeting.req == req;
        if self.leg.is_over() || !self.leg.meeting.as_ref().is_some_and(is_there) {
            return;
        }
        match note {
            Note::Key(key) => cx.media(self.sid(), MediaCommand::PassKey { key }),
            Note::Redirect(redirect) => {
                let alone = Redirect {
                    move_connected_leg: false,
                    ..*redirect
                };
                // A leg that has not ended can be redirected.
                let _ = self.redirect(alone, cx);
            }
            Note::Transfer { document, params } => {
                self.detach_scripts(cx);
                self.leg.reporter.transfer = params;
                self.start_document(*document, Role::Main, cx);
            }
            Note::Join(rendezvous) => {
                self.detach_scripts(cx);
                self.joins(rendezvous, cx);
            }
        }
    }

    /// Meets a call there; the scripts of the leg are gone.
    pub(crate) fn joins(&mut self, rendezvous: Rendezvous, cx: &mut Context) {
        let account = self.leg.profile.account;
        self.start(Script::of_rendezvous(account, rendezvous, cx.now), cx);
    }
}
