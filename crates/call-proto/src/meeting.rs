//! A meeting: a leg is connected to one of another family, through a queue.
//!
//! A bridge is a machine that both its legs belong to; two families share none. So the queue keeps the
//! pair, and what one leg wants of the other it sends as a [`Note`], which the queue passes on: keys
//! that did not come in the media, and where the other leg is to go when this one leaves. **Invariant: a
//! note is obeyed only by a leg that is still in the meeting that it was sent in.**
//!
//! Left to others: how the two find each other, and who commands the connection (the verbs `enqueue`,
//! `dequeue` and `joining`).

use crate::call::Call;
use crate::command::{Command, MediaCommand};
use crate::context::Context;
use crate::event::{Redirect, Req};
use crate::interpreter::Script;
use crate::letter::Role;
use crate::queueing::{Meeting, Note, QueueRequest, Rendezvous};

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
