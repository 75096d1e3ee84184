//! `<Dial>` with a `<Queue>`: takes the first call that waits, and connects it.
//!
//! The queue finds the call; the verb waits for it, commands the connection, keeps the time limits and
//! determines what follows. **Invariant: a request that the verb made ends with exactly one
//! [`QueueRequest::Leave`], or with the queue's [`QueueEvent::Parted`].**

use std::time::Duration;

use model::{CallSid, CallStatus, QueueSid, RecordingSid, Timestamp, error};

use super::companion::{Companion, CompanionEnd};
use super::dial::recording::DialRecorder;
use super::dial::{self, Outcome};
use super::enqueue::{ANSWERS_WITHIN, parting};
use super::verb::{Running, Site, Step};
use crate::command::{Command, MediaCommand};
use crate::context::Context;
use crate::event::{Document, Req, SetIn};
use crate::fact::Reason;
use crate::queueing::{Meeting, Parting, QueueEvent, QueueRequest};
use crate::recording::RecordingNews;

/// A `<Dial>` that takes a call from a queue.
struct Taking {
    dial: rcml::Dial,
    queue: rcml::Queue,
    /// Number of the request.
    req: Req,
    phase: Phase,
    /// When a call must be there, once the queue is found.
    deadline: Timestamp,
    /// What the caller hears until it is connected.
    companion: Option<Companion>,
    recorder: DialRecorder,
}

enum Phase {
    /// The queue must be found by this time.
    Finding { until: Timestamp },
    /// A call must be there by this time.
    Seeking { queue: QueueSid, until: Timestamp },
    /// A call was taken, and hears its greeting.
    Matched { queue: QueueSid },
    /// Connected, until this time at the latest.
    Talking {
        queue: QueueSid,
        with: CallSid,
        since: Timestamp,
        until: Timestamp,
    },
    /// Ended; the recording is being closed.
    Closing { outcome: Outcome },
}

pub(super) fn start(
    dial: rcml::Dial,
    queue: rcml::Queue,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let req = cx.req();
    let request = QueueRequest::Find {
        req,
        account: site.author(),
        name: queue.name.clone(),
        create: false,
    };
    cx.command(site.leg.profile.sid, Command::Queue(request));
    Step::Run(Box::new(Taking {
        companion: Some(Companion::ringing(&dial, site, cx)),
        recorder: DialRecorder::without_bridge(&dial),
        dial,
        queue,
        req,
        deadline: cx.now,
        phase: Phase::Finding {
            until: cx.now + ANSWERS_WITHIN,
        },
    }))
}

impl Running for Taking {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Finding { until }
            | Phase::Seeking { until, .. }
            | Phase::Talking { until, .. } => Some(until),
            Phase::Matched { .. } | Phase::Closing { .. } => None,
        }
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.poll_timeout().is_none_or(|until| until > cx.now) {
            return Step::Wait;
        }
        match self.phase {
            Phase::Finding { .. } => self.failed("it did not answer in time", site, cx),
            Phase::Seeking { .. } => {
                self.leave(Parting::HungUp, site, cx);
                self.ends(CallStatus::NoAnswer, None, site, cx)
            }
            Phase::Talking { with, since, .. } => {
                self.leave(Parting::TimeLimit, site, cx);
                self.ends(CallStatus::Completed, Some((with, since)), site, cx)
            }
            Phase::Matched { .. } | Phase::Closing { .. } => Step::Wait,
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
        match (event, &self.phase) {
            (QueueEvent::Found { queue, .. }, Phase::Finding { .. }) => {
                let greeting = self.greeting(site, cx);
                let timeout = Duration::from_secs(u64::from(self.dial.timeout_s));
                self.deadline = cx.now + timeout;
                self.seeks(*queue);
                let request = QueueRequest::Take {
                    req,
                    queue: *queue,
                    greeting,
                };
                cx.command(site.leg.profile.sid, Command::Queue(request));
                Step::Wait
            }
            (QueueEvent::Missing, Phase::Finding { .. }) => {
                let text = format!("there is no queue `{}`", self.queue.name);
                cx.notify(
                    site.about_line(self.queue.line),
                    error::QUEUE_UNKNOWN,
                    &text,
                );
                self.ends(CallStatus::Failed, None, site, cx)
            }
            (QueueEvent::Unavailable { why }, Phase::Finding { .. }) => self.failed(why, site, cx),
            (QueueEvent::Matched { .. }, Phase::Seeking { queue, .. }) => {
                let queue = *queue;
                self.phase = Phase::Matched { queue };
                Step::Wait
            }
            (QueueEvent::Unmatched, Phase::Matched { queue }) => {
                let queue = *queue;
                self.seeks(queue);
                Step::Wait
            }
            (QueueEvent::Connected { with }, Phase::Matched { queue }) => {
                let (queue, with) = (*queue, *with);
                self.connect(queue, with, site, cx);
                Step::Wait
            }
            (QueueEvent::Parted { .. }, Phase::Talking { with, since, .. }) => {
                let over = Some((*with, *since));
                self.part(site, cx);
                self.ends(CallStatus::Completed, over, site, cx)
            }
            // Its request has ended meanwhile.
            _ => Step::Wait,
        }
    }

    fn key(&mut self, key: char, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.dial.hangup_on_star
            && key == '*'
            && let Phase::Talking { with, since, .. } = self.phase
        {
            self.leave(Parting::HungUp, site, cx);
            return self.ends(CallStatus::Completed, Some((with, since)), site, cx);
        }
        Step::Wait
    }

    fn recording(
        &mut self,
        sid: RecordingSid,
        news: RecordingNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if self.recorder.is_over(sid, news)
            && let Phase::Closing { outcome } = &self.phase
        {
            return dial::done(&self.dial, outcome, self.recorder.recording(), site, cx);
        }
        Step::Wait
    }

    fn leg_is_over(&mut self, reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.phase {
            Phase::Closing { .. } => Step::Wait,
            Phase::Talking { with, since, .. } => {
                self.leave(parting(reason), site, cx);
                self.ends(CallStatus::Completed, Some((with, since)), site, cx)
            }
            Phase::Finding { .. } | Phase::Seeking { .. } | Phase::Matched { .. } => {
                self.leave(parting(reason), site, cx);
                self.ends(CallStatus::Canceled, None, site, cx)
            }
        }
    }

    fn companion(&self) -> Option<&Companion> {
        self.companion.as_ref()
    }

    fn companion_over(
        &mut self,
        id: Req,
        end: CompanionEnd,
        _site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let is_it = self.companion.as_ref().is_some_and(|it| it.id == id);
        if is_it && end == CompanionEnd::Failed {
            self.companion = Some(Companion::ringback(self.dial.ring_tone, cx));
        }
        Step::Wait
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.leave(Parting::Api, site, cx);
    }
}

impl Taking {
    /// What the waiting party hears first.
    fn greeting(&self, site: &mut Site<'_>, cx: &mut Context) -> Option<Document> {
        let written = self.queue.url.as_deref()?;
        Some(Document {
            url: site.address(written, cx)?,
            method: self.queue.method,
            author: site.author(),
            text: None,
            fallback: None,
            set_in: SetIn::Noun,
        })
    }

    fn seeks(&mut self, queue: QueueSid) {
        let until = self.deadline;
        self.phase = Phase::Seeking { queue, until };
    }

    /// The two hear each other.
    fn connect(&mut self, queue: QueueSid, with: CallSid, site: &mut Site<'_>, cx: &mut Context) {
        self.companion = None;
        let leg = site.leg.profile.sid;
        let limit = Duration::from_secs(u64::from(self.dial.time_limit_s));
        self.phase = Phase::Talking {
            queue,
            with,
            since: cx.now,
            until: cx.now + limit,
        };
        let refer = dial::refer_document(&self.dial, site, cx);
        site.leg.meeting = Some(Meeting {
            queue,
            req: self.req,
            refer,
        });
        if self.dial.hangup_on_star {
            site.leg.listen_to_keys(true, cx);
        }
        cx.media(leg, MediaCommand::Pair { with, queue });
        self.recorder.connects(site, cx);
    }

    /// The two no longer hear each other.
    fn part(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        let Phase::Talking { with, .. } = self.phase else {
            return;
        };
        let leg = site.leg.profile.sid;
        site.leg.meeting = None;
        self.recorder.stop(site, cx);
        if self.dial.hangup_on_star && site.leg.is_up() {
            site.leg.listen_to_keys(false, cx);
        }
        cx.media(leg, MediaCommand::Unpair { with });
    }

    /// Leaves the queue, or the partner.
    fn leave(&mut self, why: Parting, site: &mut Site<'_>, cx: &mut Context) {
        self.companion = None;
        self.part(site, cx);
        let met = matches!(self.phase, Phase::Talking { .. });
        let queue = match self.phase {
            Phase::Finding { .. } | Phase::Closing { .. } => return,
            Phase::Seeking { queue, .. }
            | Phase::Matched { queue }
            | Phase::Talking { queue, .. } => queue,
        };
        let req = self.req;
        let request = QueueRequest::Leave {
            req,
            queue,
            met,
            why,
        };
        cx.command(site.leg.profile.sid, Command::Queue(request));
    }

    fn failed(&mut self, why: &str, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let text = format!("the queue `{}` is not available: {why}", self.queue.name);
        let about = site.about_line(self.queue.line);
        cx.notify(about, error::QUEUE_FAILED, &text);
        self.ends(CallStatus::Failed, None, site, cx)
    }

    /// - `over`: with whom it was connected, and since when.
    fn ends(
        &mut self,
        status: CallStatus,
        over: Option<(CallSid, Timestamp)>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        self.companion = None;
        let outcome = Outcome {
            status,
            child: over.map(|(with, _)| with),
            talk_s: over.map_or(0, |(_, since)| cx.now.seconds_since(since)),
            ring_s: None,
            response: None,
        };
        if self.recorder.is_open(site) {
            self.phase = Phase::Closing { outcome };
            return Step::Wait;
        }
        dial::done(&self.dial, &outcome, self.recorder.recording(), site, cx)
    }
}
