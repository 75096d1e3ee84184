//! After an attended transfer: the call meets the one that it is to be connected to, and talks.
//!
//! Not a verb of any document. Both calls come to a queue of their own (`meeting`); one takes the other.
//! **Invariant: a place that was requested ends with exactly one [`QueueRequest::Leave`], or with the
//! queue's [`QueueEvent::Parted`].** The leg ends with the connection: nothing is left to run on it.

use std::time::Duration;

use model::{CallSid, Timestamp};

use super::enqueue::{ANSWERS_WITHIN, parting};
use super::verb::{Running, Site, Step};
use crate::command::{Command, MediaCommand};
use crate::context::Context;
use crate::event::Req;
use crate::fact::Reason;
use crate::queueing::{Meeting, Parting, QueueEvent, QueueRequest, Rendezvous};
use crate::trace::Lane;

/// How long the two may talk: as long as a `<Dial>` without `timeLimit` lets them.
const LONGEST: Duration = Duration::from_secs(14_400);

/// A call on its way to another, or connected to it.
struct Joining {
    rendezvous: Rendezvous,
    req: Req,
    /// The other one must have come by this time; once it has, when the connection ends.
    until: Timestamp,
    /// The one that it is connected to.
    with: Option<CallSid>,
}

pub(super) fn start(rendezvous: Rendezvous, site: &Site<'_>, cx: &mut Context) -> Box<dyn Running> {
    let (req, queue) = (cx.req(), rendezvous.queue);
    let request = if rendezvous.takes {
        QueueRequest::Take {
            req,
            queue,
            greeting: None,
        }
    } else {
        QueueRequest::Enter {
            req,
            queue,
            max_size: 1,
        }
    };
    cx.command(site.leg.profile.sid, Command::Queue(request));
    Box::new(Joining {
        rendezvous,
        req,
        until: cx.now + ANSWERS_WITHIN,
        with: None,
    })
}

impl Running for Joining {
    fn poll_timeout(&self) -> Option<Timestamp> {
        Some(self.until)
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.until > cx.now {
            return Step::Wait;
        }
        let (why, reason) = match self.with {
            Some(_) => (Parting::TimeLimit, Reason::TimeLimit),
            // It has ended on its way here.
            None => (Parting::HungUp, Reason::PartnerHungUp),
        };
        self.leave(why, site, cx);
        ends(reason, site, cx)
    }

    fn queue(
        &mut self,
        req: Req,
        event: &QueueEvent,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if req != self.req {
            return Step::Wait;
        }
        let (leg, queue) = (site.leg.profile.sid, self.rendezvous.queue);
        match event {
            QueueEvent::Called { .. } => {
                let ready = QueueRequest::Ready { req, queue };
                cx.command(leg, Command::Queue(ready));
                Step::Wait
            }
            QueueEvent::Connected { with } => {
                let with = *with;
                self.with = Some(with);
                self.until = cx.now + LONGEST;
                site.leg.meeting = Some(Meeting {
                    queue,
                    req,
                    refer: None,
                });
                if self.rendezvous.takes {
                    cx.media(leg, MediaCommand::Pair { with, queue });
                }
                Step::Wait
            }
            QueueEvent::Parted { why } => {
                self.part(site, cx);
                let reason = match why {
                    Parting::HungUp => Reason::PartnerHungUp,
                    Parting::TimeLimit => Reason::TimeLimit,
                    Parting::Api => Reason::Api,
                };
                ends(reason, site, cx)
            }
            // The one that takes the other has left before it heard of the connection.
            QueueEvent::Returned => {
                self.part(site, cx);
                self.until = cx.now + ANSWERS_WITHIN;
                Step::Wait
            }
            QueueEvent::Found { .. }
            | QueueEvent::Missing
            | QueueEvent::Unavailable { .. }
            | QueueEvent::Entered { .. }
            | QueueEvent::Full
            | QueueEvent::Matched { .. }
            | QueueEvent::Unmatched
            | QueueEvent::Passed { .. } => Step::Wait,
        }
    }

    fn leg_is_over(&mut self, reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.leave(parting(reason), site, cx);
        Step::End
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.leave(Parting::Api, site, cx);
    }
}

impl Joining {
    /// The two no longer hear each other.
    fn part(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        site.leg.meeting = None;
        if let Some(with) = self.with.take().filter(|_| self.rendezvous.takes) {
            cx.media(site.leg.profile.sid, MediaCommand::Unpair { with });
        }
    }

    /// Leaves the other one, or the place where it was to come.
    fn leave(&mut self, why: Parting, site: &mut Site<'_>, cx: &mut Context) {
        let met = self.with.is_some();
        self.part(site, cx);
        let (req, queue) = (self.req, self.rendezvous.queue);
        let request = QueueRequest::Leave {
            req,
            queue,
            met,
            why,
        };
        cx.command(site.leg.profile.sid, Command::Queue(request));
    }
}

fn ends(reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
    cx.trace(site.leg.profile.sid, Lane::Rcml, "connection ended", "");
    site.leg.end(reason, cx);
    Step::End
}
