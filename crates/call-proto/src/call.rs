//! One call: one leg, at most one running script, one identifier.
//!
//! **Invariant: `finish` runs once.** It is the only place that makes a final status, and whoever
//! depends on the leg (fork, bridge, script) hears of it from there. The parts of a call live
//! beside this file: the SIP and media side in `leg`, the script in `interpreter`, what is told
//! to applications in `callback` and `params`, what is recorded in `recording`, its text messages in
//! `message`.

use model::record::CallRecord;
use model::{AccountSid, CallSid, CallStatus, Direction, NumberSid, Timestamp};

use crate::callback::{CallbackTarget, LegCallback, LegRecording};
use crate::command::{Command, MediaCommand};
use crate::context::{About, Context, Letter};
use crate::dialect::Dialect;
use crate::event::{DigitWay, Event, Headers};
use crate::fact::{CallEnd, Fact, Reason};
use crate::farewell::Basis;
use crate::interpreter::{Run, Told};
use crate::leg::Leg;
use crate::letter::{BridgeId, Ended, ForkId, LastResponse, LegOver};
use crate::message::OpenMessage;
use crate::params::is_outbound;
use crate::recording::OpenRecording;

/// What does not change about a leg.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) account: AccountSid,
    pub(crate) parent: Option<CallSid>,
    pub(crate) direction: Direction,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) forwarded_from: Option<String>,
    pub(crate) number: Option<NumberSid>,
    /// `X-` headers and Diversion of the INVITE that we received.
    pub(crate) headers: Headers,
    pub(crate) created: Timestamp,
    pub(crate) sip_call_id: Option<String>,
    /// The leg was dialled as a SIP address.
    pub(crate) dialled_sip: bool,
    /// Max-Forwards of the INVITE that made this leg.
    pub(crate) max_forwards: u8,
}

pub(crate) struct Call {
    pub(crate) sid: CallSid,
    pub(crate) info: Info,
    pub(crate) dialect: Dialect,
    pub(crate) status: CallStatus,
    pub(crate) leg: Leg,
    pub(crate) answered: Option<Timestamp>,
    pub(crate) ended: Option<CallEnd>,
    /// Media was asked for and is not closed yet.
    pub(crate) media_open: bool,
    pub(crate) run: Option<Run>,
    /// The fork that rings this leg.
    pub(crate) fork: Option<ForkId>,
    /// The bridge this leg is in.
    pub(crate) bridge: Option<BridgeId>,
    /// What of this leg is being recorded.
    pub(crate) recordings: Vec<OpenRecording>,
    /// The last of them, for the callbacks of a leg that the API made.
    pub(crate) recorded: Option<LegRecording>,
    /// Text messages on their way.
    pub(crate) messages: Vec<OpenMessage>,
    /// The leg that was last connected by this one's script.
    pub(crate) outbound_child: Option<CallSid>,
    pub(crate) last_response: Option<LastResponse>,
    pub(crate) last_headers: Option<Headers>,
    pub(crate) sip_status: Option<u16>,
    /// What the far side said about the end.
    pub(crate) sip_reason: Option<String>,
    pub(crate) number_callback: Option<CallbackTarget>,
    pub(crate) leg_callback: Option<LegCallback>,
    pub(crate) callbacks_queued: i64,
    pub(crate) told_status: Option<CallStatus>,
    /// How the far side tells keys, once it has told one.
    pub(crate) digit_way: Option<DigitWay>,
    /// Keys that the far side gets as soon as it is connected.
    pub(crate) send_digits: Option<String>,
    /// What was said about the documents of the call.
    pub(crate) told_findings: Told,
    /// What the farewell on record is made of.
    pub(crate) farewell: Option<Basis>,
    forgotten: bool,
}

impl Call {
    pub(crate) fn new(sid: CallSid, info: Info, leg: Leg, dialect: Dialect) -> Self {
        let status = match info.direction {
            Direction::Inbound => CallStatus::Ringing,
            Direction::OutboundApi | Direction::OutboundDial => CallStatus::Queued,
        };
        Self {
            sid,
            info,
            dialect,
            status,
            leg,
            answered: None,
            ended: None,
            media_open: false,
            run: None,
            fork: None,
            bridge: None,
            recordings: Vec::new(),
            recorded: None,
            messages: Vec::new(),
            outbound_child: None,
            last_response: None,
            last_headers: None,
            sip_status: None,
            sip_reason: None,
            number_callback: None,
            leg_callback: None,
            callbacks_queued: 0,
            told_status: None,
            digit_way: None,
            send_digits: None,
            told_findings: Told::default(),
            farewell: None,
            forgotten: false,
        }
    }

    pub(crate) fn handle(&mut self, event: Event, cx: &mut Context) {
        match event {
            Event::Leg(event) => self.handle_leg(event, cx),
            Event::Media(event) => self.handle_media(event, cx),
            Event::Fetched { req, result } => self.handle_fetched(req, result, cx),
            Event::Audio { req, result } => self.handle_audio(req, result, cx),
            Event::Speech { req, news } => self.speech_news(req, news, cx),
            Event::Modify(modify) => self.handle_modify(modify, cx),
            Event::NotRecorded => self.not_recorded(cx),
            Event::Shutdown => self.shut_down(cx),
            // Those of a fork went to it.
            Event::Resolved { req, routes } => self.message_routes(req, routes, cx),
            Event::MessageAnswered {
                req,
                status,
                reason,
            } => self.message_answered(req, status, &reason, cx),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let run = self.run.as_ref().and_then(Run::poll_timeout);
        let messages = self.messages_timeout();
        run.into_iter()
            .chain(self.recordings_timeout())
            .chain(messages)
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context) {
        self.give_up_recordings(cx);
        self.give_up_messages(cx);
        self.run_timeout(cx);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some()
            && self.run.is_none()
            && self.bridge.is_none()
            && self.recordings.is_empty()
            && self.messages.is_empty()
    }

    /// At the end of a step, when no bridge needs the endpoint any more: closes the media of a
    /// leg that has ended, and asks the shell to forget the call once it is over.
    pub(crate) fn settle(&mut self, cx: &mut Context) {
        self.keep_farewell(cx);
        if self.ended.is_some() && self.media_open {
            self.media_open = false;
            cx.media(self.sid, MediaCommand::Close);
        }
        if self.is_over() && !self.forgotten {
            self.forgotten = true;
            self.tell_left_out(cx);
            cx.command(self.sid, Command::Forget);
        }
    }

    pub(crate) fn record(&self, cx: &Context) -> CallRecord {
        let info = &self.info;
        CallRecord {
            sid: self.sid,
            instance: cx.settings.instance,
            parent: info.parent,
            account: info.account,
            to: info.to.clone(),
            from: info.from.clone(),
            number: info.number,
            status: self.status,
            direction: info.direction,
            created: info.created,
            updated: cx.now,
            started: Some(info.created),
            answered: None,
            ended: None,
            duration_s: None,
            ring_duration_s: None,
            answered_by: None,
            forwarded_from: info.forwarded_from.clone(),
            caller_name: info.caller_name.clone(),
            reason: None,
            hangup_by: None,
            sip_status: None,
            sip_reason: None,
            sip_call_id: info.sip_call_id.clone(),
            muted: false,
            media: None,
        }
    }

    pub(crate) fn talk_seconds(&self, until: Timestamp) -> i64 {
        self.answered
            .map_or(0, |answered| until.seconds_since(answered))
    }

    pub(crate) fn ring_seconds(&self, until: Timestamp) -> i64 {
        self.answered
            .unwrap_or(until)
            .seconds_since(self.info.created)
    }

    /// The leg was answered, by us or by the far side.
    pub(crate) fn mark_answered(&mut self, answered_by: Option<String>, cx: &mut Context) {
        self.answered = Some(cx.now);
        let sip_call_id = self.info.sip_call_id.clone();
        cx.fact(Fact::Answered {
            call: self.sid,
            at: cx.now,
            answered_by,
            sip_call_id,
        });
        self.set_status(CallStatus::InProgress, cx);
    }

    /// Ends the leg for good. What goes out on the wire was decided before.
    pub(crate) fn finish(&mut self, status: CallStatus, reason: Reason, cx: &mut Context) {
        if self.ended.is_some() {
            return;
        }
        self.leg = Leg::Over;
        let ring = is_outbound(self.info.direction).then(|| self.ring_seconds(cx.now));
        let end = CallEnd {
            status,
            at: cx.now,
            duration_s: self.talk_seconds(cx.now),
            ring_duration_s: ring,
            reason,
            by: reason.by(self.info.direction),
            sip_status: self.sip_status,
            sip_reason: self.sip_reason.take(),
        };
        cx.fact(Fact::Ended {
            call: self.sid,
            end: end.clone(),
        });
        self.ended = Some(end);
        self.set_status(status, cx);
        self.tell_leg(rcml::LegEvent::Completed, cx);
        self.stop_sounds(cx);
        self.tell_dependents(status, cx);
        self.leg_is_over(reason, cx);
    }

    /// Whether the leg ended because something went wrong.
    pub(crate) fn has_failed(&self) -> bool {
        let failed = |end: &CallEnd| end.status == CallStatus::Failed;
        self.ended.as_ref().is_some_and(failed)
    }

    fn tell_dependents(&mut self, status: CallStatus, cx: &mut Context) {
        if let Some(bridge) = self.bridge {
            let ended = Ended::of_leg(self.sid, self.has_failed());
            cx.letter(Letter::BridgeLegOver(bridge, ended));
        }
        if let Some(fork) = self.fork.take() {
            let over = LegOver {
                call: self.sid,
                status,
                sip_status: self.sip_status,
                ring_s: self.ring_seconds(cx.now),
                response: self.last_response.clone().filter(|_| self.info.dialled_sip),
            };
            cx.letter(Letter::BranchOver(fork, Box::new(over)));
        }
    }

    pub(crate) fn about<'a>(&self, url: Option<&'a str>) -> About<'a> {
        About {
            account: self.info.account,
            call: self.sid,
            url,
            line: None,
            column: None,
        }
    }

    /// About a line of the document that runs.
    pub(crate) fn about_line(&self, line: u32) -> About<'_> {
        About {
            line: (line > 0).then_some(line),
            ..self.about(self.run.as_ref().and_then(Run::url))
        }
    }

    /// Nobody may hear of a call that is not on record: not the caller, the callee or an
    /// application.
    fn not_recorded(&mut self, cx: &mut Context) {
        match self.leg {
            Leg::Alerting { .. } => self.reject(503, None, cx),
            Leg::Opening(_) => self.sip_status = Some(503),
            // It went on, so it is on record.
            Leg::Answering { .. }
            | Leg::AwaitingAck { .. }
            | Leg::Calling
            | Leg::Up
            | Leg::Over => return,
        }
        if let Some(run) = &mut self.run {
            run.abandon();
        }
        (self.number_callback, self.leg_callback) = (None, None);
        self.finish(CallStatus::Failed, Reason::NotRecorded, cx);
    }

    fn shut_down(&mut self, cx: &mut Context) {
        if let Some(run) = &mut self.run {
            run.abandon();
        }
        self.end_leg(Reason::Shutdown, cx);
    }
}
