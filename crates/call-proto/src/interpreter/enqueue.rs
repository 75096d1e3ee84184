//! `<Enqueue>`: the call waits in a queue until another call takes it.
//!
//! The queue decides when that is; the verb asks for a place, plays what the caller hears, and
//! determines what follows. **Invariant: a place that the verb was given ends with exactly one
//! [`QueueRequest::Leave`], or with the queue's [`QueueEvent::Parted`].**

use std::time::Duration;

use model::{CallSid, QueueSid, Timestamp, error};

use super::companion::{Companion, CompanionEnd};
use super::verb::{Running, Site, Step};
use crate::command::Command;
use crate::context::Context;
use crate::event::{Document, Req};
use crate::fact::{Fact, Reason};
use crate::params::Params;
use crate::queueing::{Meeting, Parting, QueueEvent, QueueRequest};
use crate::trace::Lane;

/// How long a queue may take to answer: longer than a slow disk takes.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long a caller may hear a greeting; then it is connected. As long as a party may be screened.
const GREETS_WITHIN: Duration = Duration::from_secs(60);

/// An `<Enqueue>` that runs.
struct Queueing {
    enqueue: rcml::Enqueue,
    /// Number of the place.
    req: Req,
    phase: Phase,
    /// What the caller hears instead of a partner.
    companion: Option<Companion>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// The queue must be found by this time.
    Finding { until: Timestamp },
    /// The queue must answer by this time.
    Entering { queue: QueueSid, until: Timestamp },
    /// In the queue.
    Waiting { queue: QueueSid, since: Timestamp },
    /// The first one, taken by another call: hears its greeting, until this time at the latest.
    Called {
        queue: QueueSid,
        since: Timestamp,
        waited_s: i64,
        until: Timestamp,
    },
    /// Connected.
    Talking {
        queue: QueueSid,
        since: Timestamp,
        waited_s: i64,
    },
}

pub(super) fn start(enqueue: rcml::Enqueue, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if enqueue.name.is_empty() {
        return Step::Next;
    }
    let req = cx.req();
    let request = QueueRequest::Find {
        req,
        account: site.author(),
        name: enqueue.name.clone(),
        create: true,
    };
    cx.command(site.leg.profile.sid, Command::Queue(request));
    Step::Run(Box::new(Queueing {
        enqueue,
        req,
        phase: Phase::Finding {
            until: cx.now + ANSWERS_WITHIN,
        },
        companion: None,
    }))
}

impl Running for Queueing {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Finding { until } | Phase::Entering { until, .. } => Some(until),
            // Without a greeting, `Ready` has already been sent.
            Phase::Called { until, .. } => self.companion.as_ref().map(|_| until),
            Phase::Waiting { .. } | Phase::Talking { .. } => None,
        }
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.poll_timeout() {
            Some(until) if until <= cx.now => {
                if let Phase::Called { queue, .. } = self.phase {
                    self.companion = None;
                    self.ready(queue, site, cx);
                    return Step::Wait;
                }
                self.leave(Parting::HungUp, site, cx);
                self.failed("it did not answer in time", site, cx)
            }
            _ => Step::Wait,
        }
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
        match (event, self.phase) {
            (QueueEvent::Found { queue, max_size }, Phase::Finding { until }) => {
                let own = self.enqueue.max_size.map_or(*max_size, |own| own.get());
                let request = QueueRequest::Enter {
                    req,
                    queue: *queue,
                    max_size: own.min(*max_size),
                };
                self.phase = Phase::Entering {
                    queue: *queue,
                    until,
                };
                cx.command(site.leg.profile.sid, Command::Queue(request));
                Step::Wait
            }
            (QueueEvent::Missing, Phase::Finding { .. }) => {
                self.failed("it does not exist", site, cx)
            }
            (QueueEvent::Unavailable { why }, Phase::Finding { .. }) => self.failed(why, site, cx),
            (QueueEvent::Full, Phase::Entering { .. }) => {
                let text = format!("the queue `{}` is full", self.enqueue.name);
                cx.notify(site.about_line(self.enqueue.line), error::QUEUE_FULL, &text);
                self.done("queue-full", site, cx)
            }
            (QueueEvent::Entered { since }, Phase::Entering { queue, .. }) => {
                self.waits(queue, *since, site, cx);
                Step::Wait
            }
            // The other one left before it heard of the connection.
            (
                QueueEvent::Returned,
                Phase::Called { queue, since, .. } | Phase::Talking { queue, since, .. },
            ) => {
                self.waits(queue, since, site, cx);
                Step::Wait
            }
            (QueueEvent::Called { by, greeting }, Phase::Waiting { queue, since }) => {
                self.called((queue, since), *by, greeting.clone(), site, cx);
                Step::Wait
            }
            (
                QueueEvent::Connected { .. },
                Phase::Called {
                    queue,
                    since,
                    waited_s,
                    ..
                },
            ) => {
                self.no_longer_waits(queue, site, cx);
                site.leg.meeting = Some(Meeting {
                    queue,
                    req,
                    refer: None,
                });
                self.phase = Phase::Talking {
                    queue,
                    since,
                    waited_s,
                };
                Step::Wait
            }
            (QueueEvent::Parted { .. }, Phase::Talking { .. }) => {
                site.leg.meeting = None;
                self.done("bridged", site, cx)
            }
            // Its place has changed meanwhile.
            _ => Step::Wait,
        }
    }

    fn leg_is_over(&mut self, reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let result = match self.phase {
            Phase::Talking { .. } => "bridged",
            _ => "hangup",
        };
        self.leave(parting(reason), site, cx);
        self.done(result, site, cx)
    }

    fn companion(&self) -> Option<&Companion> {
        self.companion.as_ref()
    }

    fn companion_over(
        &mut self,
        id: Req,
        end: CompanionEnd,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if self.companion.as_ref().is_none_or(|it| it.id != id) {
            return Step::Wait;
        }
        match (self.phase, end) {
            (Phase::Waiting { .. }, CompanionEnd::Left) => {
                self.leave(Parting::HungUp, site, cx);
                self.done("leave", site, cx)
            }
            // Better than silence for a caller that cannot know whether it is still connected.
            (Phase::Waiting { .. }, CompanionEnd::Failed) => {
                self.companion = Some(Companion::music(cx));
                Step::Wait
            }
            (Phase::Called { queue, .. }, _) => {
                self.companion = None;
                self.ready(queue, site, cx);
                Step::Wait
            }
            _ => Step::Wait,
        }
    }

    fn waits_in(&self) -> Option<QueueSid> {
        match self.phase {
            Phase::Waiting { queue, .. } => Some(queue),
            _ => None,
        }
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.leave(Parting::Api, site, cx);
    }
}

impl Queueing {
    /// Is in the queue, and hears what the verb says.
    fn waits(&mut self, queue: QueueSid, since: Timestamp, site: &mut Site<'_>, cx: &mut Context) {
        self.phase = Phase::Waiting { queue, since };
        site.leg.meeting = None;
        cx.fact(Fact::InQueue {
            call: site.leg.profile.sid,
            at: cx.now,
            queue,
            since,
        });
        self.companion = Companion::in_queue(&self.enqueue.wait, queue, site, cx);
    }

    /// Another call takes this one.
    fn called(
        &mut self,
        (queue, since): (QueueSid, Timestamp),
        by: CallSid,
        greeting: Option<Document>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) {
        let waited_s = cx.now.seconds_since(since).max(0);
        self.phase = Phase::Called {
            queue,
            since,
            waited_s,
            until: cx.now + GREETS_WITHIN,
        };
        self.companion = greeting.map(|document| {
            let params = [
                ("QueueSid", queue.to_string()),
                ("QueueTime", waited_s.to_string()),
                ("DequeingCallSid", by.to_string()),
            ];
            let params = params.map(|(name, value)| (name.to_owned(), value));
            Companion::greeting(document, params.into(), cx)
        });
        if self.companion.is_none() {
            self.ready(queue, site, cx);
        }
    }

    fn ready(&self, queue: QueueSid, site: &Site<'_>, cx: &mut Context) {
        let req = self.req;
        let request = QueueRequest::Ready { req, queue };
        cx.command(site.leg.profile.sid, Command::Queue(request));
    }

    fn no_longer_waits(&self, queue: QueueSid, site: &Site<'_>, cx: &mut Context) {
        // The record of an ended leg is in no queue.
        if !site.leg.is_over() {
            cx.fact(Fact::LeftQueue {
                call: site.leg.profile.sid,
                at: cx.now,
                queue,
            });
        }
    }

    /// Leaves the queue, or the partner.
    fn leave(&mut self, why: Parting, site: &mut Site<'_>, cx: &mut Context) {
        self.companion = None;
        site.leg.meeting = None;
        let leg = site.leg.profile.sid;
        let queue = match self.phase {
            Phase::Finding { .. } => return,
            Phase::Entering { queue, .. } => queue,
            Phase::Waiting { queue, .. } | Phase::Called { queue, .. } => {
                self.no_longer_waits(queue, site, cx);
                queue
            }
            // The one that took it undoes the connection.
            Phase::Talking { queue, .. } => queue,
        };
        let req = self.req;
        let request = QueueRequest::Leave {
            req,
            queue,
            met: true,
            why,
        };
        cx.command(leg, Command::Queue(request));
    }

    fn failed(&mut self, why: &str, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let text = format!("the queue `{}` is not available: {why}", self.enqueue.name);
        let about = site.about_line(self.enqueue.line);
        cx.notify(about, error::QUEUE_FAILED, &text);
        self.done("system-error", site, cx)
    }

    /// Requests the action, or continues with the next verb.
    fn done(&self, result: &str, site: &mut Site<'_>, cx: &mut Context) -> Step {
        cx.trace(site.leg.profile.sid, Lane::Rcml, "<Enqueue> ended", result);
        let Some(written) = &self.enqueue.action else {
            return Step::Next;
        };
        let Some(url) = site.address(written, cx) else {
            return site.bad_address(cx);
        };
        let mut more = Params::new();
        let mut add = |name: &str, value: String| more.push((name.to_owned(), value));
        add("QueueResult", result.to_owned());
        let place = match self.phase {
            Phase::Finding { .. } => None,
            Phase::Entering { queue, .. } => Some((queue, None)),
            Phase::Waiting { queue, since } => {
                Some((queue, Some(cx.now.seconds_since(since).max(0))))
            }
            Phase::Called {
                queue, waited_s, ..
            }
            | Phase::Talking {
                queue, waited_s, ..
            } => Some((queue, Some(waited_s))),
        };
        if let Some((queue, waited_s)) = place {
            add("QueueSid", queue.to_string());
            if let Some(waited_s) = waited_s {
                add("QueueTime", waited_s.to_string());
            }
        }
        site.act(url, self.enqueue.method, more, cx)
    }
}

/// What the end of a leg means for its partner.
pub(super) const fn parting(reason: Reason) -> Parting {
    match reason {
        Reason::Api => Parting::Api,
        Reason::TimeLimit => Parting::TimeLimit,
        _ => Parting::HungUp,
    }
}
