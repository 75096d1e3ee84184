//! One call: a leg with its scripts, recordings and messages, under one identifier.
//!
//! The call decides nothing: it routes events to the part concerned, and the leg's reports to the
//! scripts. Each part is a machine in its own file: `leg` with its `reporter`, `interpreter`,
//! `recording`, `streams`, `relays`, `message`, `keys`, `answering`. `modify` and `transfer` add what the API and a REFER
//! change.

use model::{AccountSid, CallSid, Direction, RecordingSid, RecordingSource, Timestamp};
use rcml::Verb;

use crate::answering::Answering;
use crate::command::Command;
use crate::context::{Context, Letter};
use crate::detection::Detection;
use crate::event::{
    DigitWay, Document, Event, LegEvent, MediaEvent, Modify, ParticipantChange, Req,
};
use crate::fact::Reason;
use crate::interjection::Interjections;
use crate::interpreter::{Input, Parts, ReferNews, Script, Scripts};
use crate::keys::{Keys, keys_of};
use crate::leg::{Leg, News};
use crate::letter::{Ended, ForkId, ForkNews, FromAnswer, LegOver, Role};
use crate::message::Messages;
use crate::queueing::{Note, QueueEvent};
use crate::recording::{RecordingNews, RecordingTerms, Recordings};
use crate::relay_news::RelayNews;
use crate::relays::Relays;
use crate::stream_news::StreamNews;
use crate::streams::Streams;
use crate::transcripts::Transcripts;

pub(crate) struct Call {
    pub(crate) leg: Leg,
    pub(crate) scripts: Scripts,
    pub(crate) recordings: Recordings,
    streams: Streams,
    relays: Relays,
    transcripts: Transcripts,
    messages: Messages,
    keys: Keys,
    pub(crate) interjections: Interjections,
    /// Finds out what has answered.
    pub(crate) answering: Answering,
    /// Keys to send to the remote party once it is connected, or before it is screened.
    pub(crate) send_digits: Option<String>,
    /// What applies once a call of the API is answered; empty from then on.
    pub(crate) from_answer: FromAnswer,
    /// When the leg is ended, whatever it does.
    limit_at: Option<Timestamp>,
    forgotten: bool,
}

impl Call {
    pub(crate) fn new(leg: Leg) -> Self {
        Self {
            leg,
            scripts: Scripts::default(),
            recordings: Recordings::default(),
            streams: Streams::default(),
            relays: Relays::default(),
            transcripts: Transcripts::default(),
            messages: Messages::default(),
            keys: Keys::default(),
            interjections: Interjections::default(),
            answering: Answering::default(),
            send_digits: None,
            from_answer: FromAnswer::default(),
            limit_at: None,
            forgotten: false,
        }
    }

    /// A call to a party, with what applies once that answers.
    pub(crate) fn dialled(
        leg: Leg,
        send_digits: Option<String>,
        from_answer: FromAnswer,
        detection: Option<Detection>,
    ) -> Self {
        Self {
            send_digits,
            from_answer,
            answering: Answering::new(detection),
            ..Self::new(leg)
        }
    }

    pub(crate) fn sid(&self) -> CallSid {
        self.leg.profile.sid
    }

    pub(crate) fn handle(&mut self, event: Event, cx: &mut Context) {
        match event {
            Event::Leg(event) => self.handle_leg(event, cx),
            Event::Media(event) => self.handle_media(event, cx),
            Event::Fetched { req, result } => self.tell(&Input::Fetched(req, result), cx),
            Event::Audio { req, result } if self.interjection_ready(req, &result, cx) => {}
            Event::Audio { req, result } => self.tell(&Input::Audio(req, result), cx),
            Event::Speech { req, news }
                if self.transcripts.speech(req, &news, &mut self.leg, cx) => {}
            Event::Speech { req, news } => self.tell(&Input::Speech(req, news), cx),
            Event::Stream { req, news } => self.stream_news(req, news, cx),
            Event::Queue {
                req,
                event: QueueEvent::Passed { note },
            } => self.receives_note(req, note, cx),
            Event::Relay { req, news } => self.relay_news(req, news, cx),
            Event::Queue { req, event } => self.tell(&Input::Queue(req, event), cx),
            Event::Room { req, event } => self.tell(&Input::Room(req, event), cx),
            Event::Ask {
                ask,
                modify: Modify::Interject(what),
            } => self.interject(Some(ask), *what, cx),
            Event::Ask { ask, modify } => {
                let outcome = self.modify(modify, cx);
                cx.reply(self.sid(), ask, outcome);
            }
            Event::Modify(modify) => self.modify_unasked(modify, cx),
            Event::NotRecorded => {
                if self.leg.not_recorded(cx) {
                    self.scripts.abandon();
                }
            }
            Event::EndedElsewhere => {
                self.scripts.abandon();
                self.leg.end(Reason::NodeLost, cx);
            }
            Event::Shutdown => {
                self.scripts.abandon();
                self.leg.end(Reason::Shutdown, cx);
            }
            // The family has handled them.
            Event::HandOver { .. } | Event::HandedOver { .. } => {}
            // The answers to a fork's requests went to the fork.
            Event::Resolved { req, routes } if self.messages.wait_for(req) => {
                let leg = &mut self.leg;
                self.messages.handle_routes(req, routes, leg, cx);
                self.tell(&Input::MessageLeft(req), cx);
            }
            Event::Resolved { req, routes } => self.tell(&Input::Routes(req, routes), cx),
            Event::MessageAnswered {
                req,
                status,
                reason,
            } => {
                let leg = &mut self.leg;
                self.messages.handle_answer(req, status, &reason, leg, cx);
            }
        }
        self.hear_leg(cx);
    }

    fn handle_leg(&mut self, event: LegEvent, cx: &mut Context) {
        if self.leg.is_over() {
            return; // Crossed our own end on the wire.
        }
        match event {
            LegEvent::Info { content_type, body } => {
                for key in keys_of(&content_type, &body) {
                    self.key_pressed(key, DigitWay::Info, cx);
                }
            }
            LegEvent::Refer(refer) => self.asks_for_transfer(refer, cx),
            LegEvent::ReferAnswered { status } => {
                self.tell(&Input::Refer(ReferNews::Answered(status)), cx);
            }
            LegEvent::ReferReported { status, is_last } => {
                let news = ReferNews::Reported { status, is_last };
                self.tell(&Input::Refer(news), cx);
            }
            event => {
                self.leg.handle_leg(event, cx);
                self.answering.begin(&self.leg, cx);
            }
        }
    }

    fn handle_media(&mut self, event: MediaEvent, cx: &mut Context) {
        match event {
            MediaEvent::PlayDone { play } if self.interjection_played(play, cx) => {}
            MediaEvent::PlayDone { play } => self.tell(&Input::Played(play), cx),
            MediaEvent::Answerer(heard) => {
                if let Some(script) = self.answering.heard(heard, &mut self.leg, cx) {
                    self.start_pressing(script, cx);
                }
            }
            MediaEvent::Digit { digit, way } => self.key_pressed(digit, way, cx),
            MediaEvent::RecordSilence { recording } => {
                let news = self.recordings.is_open(recording);
                let news = news.then_some(RecordingNews::Silent);
                self.recording_news(recording, news, cx);
            }
            MediaEvent::Recorded {
                recording,
                duration_ms,
                size_bytes,
            } => {
                let leg = &mut self.leg;
                let news = self
                    .recordings
                    .closed(recording, duration_ms, size_bytes, leg, cx);
                self.recording_news(recording, news, cx);
            }
            MediaEvent::RecordFailed { recording, reason } => {
                let news = self.recordings.fail(recording, &reason, &mut self.leg, cx);
                self.recording_news(recording, news, cx);
            }
            MediaEvent::Renegotiated { sdp: Err(reason) } if self.scripts.ring_phones() => {
                self.leg.offer_refused_in_setup(&reason, cx);
            }
            event => self.leg.handle_media(event, cx),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.scripts
            .poll_timeout()
            .into_iter()
            .chain(self.recordings.poll_timeout())
            .chain(self.messages.poll_timeout())
            .chain(self.streams.poll_timeout())
            .chain(self.limit_at)
            .chain(self.relays.poll_timeout())
            .chain(self.transcripts.poll_timeout())
            .chain(self.answering.poll_timeout())
            .min()
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context) {
        if self.limit_at.take_if(|at| *at <= cx.now).is_some() {
            self.end_leg(Reason::TimeLimit, cx);
        }
        for sid in self.recordings.late(cx.now) {
            let why = "it was not closed in time";
            let news = self.recordings.fail(sid, why, &mut self.leg, cx);
            self.recording_news(sid, news, cx);
        }
        while let Some((req, end)) = self.streams.give_up(&mut self.leg, cx) {
            self.tell(&Input::StreamOver(req, end), cx);
        }
        let call = self.sid();
        while let Some((req, news)) = self.relays.give_up(call, cx) {
            if let Some(news) = news {
                self.tell(&Input::Relay(req, news), cx);
            }
        }
        self.transcripts.handle_timeout(&mut self.leg, cx);
        while let Some(waited) = self.messages.give_up(&mut self.leg, cx) {
            self.tell(&Input::MessageLeft(waited), cx);
        }
        if let Some(script) = self.answering.give_up(&mut self.leg, cx) {
            self.start_pressing(script, cx);
        }
        self.tell(&Input::Timeout, cx);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.leg.is_over()
            && self.scripts.is_empty()
            && self.leg.bridge.is_none()
            && self.recordings.is_empty()
            && self.messages.is_empty()
            && self.streams.is_empty()
            && self.relays.is_empty()
            && self.answering.holds_nothing()
    }

    /// At the end of a step, when no bridge needs the endpoint any more: lets the leg settle, and
    /// asks the shell to forget the call once it has ended.
    pub(crate) fn settle(&mut self, cx: &mut Context) {
        self.leg.settle(cx);
        if self.is_over() && !self.forgotten {
            self.forgotten = true;
            self.scripts.tell_left_out(&self.leg, cx);
            cx.command(self.sid(), Command::Forget);
        }
    }

    /// Runs a script on the leg, above those already running.
    /// If the leg's document waits until it is known what has answered, so does the script.
    pub(crate) fn start(&mut self, script: Script, cx: &mut Context) {
        let Some(script) = self.answering.hold(script) else {
            return;
        };
        self.scripts.push(script);
        self.tell(&Input::Start, cx);
    }

    /// The same, but first presses the keys that are meant for the party that answers.
    fn start_pressing(&mut self, script: Script, cx: &mut Context) {
        let Some(script) = self.answering.hold(script) else {
            return;
        };
        let keys = self.send_digits.take();
        self.scripts.push(script.pressing(keys));
        self.tell(&Input::Start, cx);
    }

    /// Runs a document on the leg.
    pub(crate) fn start_document(&mut self, document: Document, role: Role, cx: &mut Context) {
        if role == Role::Main {
            self.begin_at_answer(cx);
        }
        let is_called_by_api = self.leg.profile.direction == Direction::OutboundApi;
        match role {
            Role::Main if is_called_by_api => {
                self.start_pressing(Script::of_document(document, cx.now), cx);
            }
            // A verb starts its companion itself.
            Role::Main | Role::Waiting | Role::Queueing | Role::Announcing => {
                self.start(Script::of_document(document, cx.now), cx);
            }
            Role::Screening => {
                self.leg.screen();
                self.start_pressing(Script::of_screening(document, cx.now), cx);
            }
        }
    }

    /// Runs verbs that the API generated on the leg.
    pub(crate) fn start_verbs(&mut self, author: AccountSid, verbs: Vec<Verb>, cx: &mut Context) {
        self.begin_at_answer(cx);
        self.start(Script::of_verbs(author, verbs, false, cx.now), cx);
    }

    /// A call of the API has been answered, and its script is about to start.
    fn begin_at_answer(&mut self, cx: &mut Context) {
        let FromAnswer {
            recording,
            time_limit,
        } = std::mem::take(&mut self.from_answer);
        if let Some(limit) = time_limit.filter(|_| !self.leg.is_over()) {
            self.limit_at = Some(cx.now + limit);
        }
        if let Some(recording) = recording {
            // Refused if the leg has just ended: then there is nothing to record.
            let _ = self.record(recording, RecordingSource::OutboundApi, cx);
        }
    }

    /// The scripts, and the parts that they work on.
    fn parts(&mut self) -> (&mut Scripts, Parts<'_>) {
        let parts = Parts {
            leg: &mut self.leg,
            messages: &mut self.messages,
            recordings: &mut self.recordings,
            streams: &mut self.streams,
            relays: &mut self.relays,
            transcripts: &mut self.transcripts,
        };
        (&mut self.scripts, parts)
    }

    /// Passes an input to the scripts, then the resulting news of the leg.
    pub(crate) fn tell(&mut self, input: &Input, cx: &mut Context) {
        let (scripts, mut parts) = self.parts();
        scripts.handle(input, &mut parts, cx);
        self.hear_leg(cx);
    }

    /// Changes the part of the leg in a conference; false if it is not in it.
    pub(crate) fn change_participant(
        &mut self,
        change: ParticipantChange,
        cx: &mut Context,
    ) -> bool {
        let is_member = self.scripts.are_in(change.conference);
        if is_member {
            self.tell(&Input::Participant(Box::new(change)), cx);
        }
        is_member
    }

    /// Passes the news of the leg to the scripts.
    pub(crate) fn hear_leg(&mut self, cx: &mut Context) {
        while let Some(news) = self.leg.poll_news() {
            let input = match news {
                News::Up => Input::LegUp,
                News::Over(reason) => {
                    self.interjection_over(cx);
                    self.limit_at = None;
                    self.streams.stop_all(&self.leg, cx);
                    self.transcripts.stop_all(&mut self.leg, cx);
                    self.recordings.stop_all(&self.leg, cx);
                    self.answering.leg_over(reason, &mut self.leg, cx);
                    Input::LegOver(reason)
                }
            };
            let (scripts, mut parts) = self.parts();
            scripts.handle(&input, &mut parts, cx);
        }
    }

    /// Ends the leg from our side.
    pub(crate) fn end_leg(&mut self, reason: Reason, cx: &mut Context) {
        self.leg.end(reason, cx);
        self.hear_leg(cx);
    }

    /// The branch of this head that answered becomes its leg; true unless this call has ended.
    pub(crate) fn take_over(&mut self, branch: &mut Self, cx: &mut Context) -> bool {
        let taken = self.leg.take_over(&mut branch.leg, cx);
        self.answering.begin(&self.leg, cx);
        self.hear_leg(cx);
        taken
    }

    /// Every branch of this head has failed.
    pub(crate) fn branches_failed(&mut self, last: Option<LegOver>, cx: &mut Context) {
        self.leg.branches_failed(last, cx);
        self.hear_leg(cx);
    }

    /// Detaches the scripts, because another one takes over the leg.
    pub(crate) fn detach_scripts(&mut self, cx: &mut Context) {
        self.leg.no_longer_referred();
        self.answering.release();
        let (scripts, mut parts) = self.parts();
        scripts.detach(&mut parts, cx);
    }

    fn key_pressed(&mut self, key: char, way: DigitWay, cx: &mut Context) {
        let from = self.sid();
        if !self.keys.count(way, from, cx) {
            return;
        }
        if way == DigitWay::Info {
            self.pass_key(key, cx);
        }
        self.streams.key(key, &self.leg, cx);
        self.tell(&Input::Key(key), cx);
    }

    /// Passes a key that is not in the audio to the connected party.
    fn pass_key(&self, key: char, cx: &mut Context) {
        let from = self.sid();
        match (self.leg.bridge, &self.leg.meeting) {
            (Some(bridge), _) => cx.letter(Letter::PassKey { bridge, from, key }),
            (None, Some(meeting)) => self.sends_note(meeting, Note::Key(key), cx),
            (None, None) => {}
        }
    }

    /// The media side starts recording.
    pub(crate) fn recording_starts(
        &mut self,
        sid: RecordingSid,
        terms: RecordingTerms,
        cx: &mut Context,
    ) {
        self.recordings.start(sid, terms, &mut self.leg, cx);
        self.recording_news(sid, Some(RecordingNews::Started), cx);
    }

    /// Has the media side close a recording.
    pub(crate) fn recording_stops(&mut self, sid: RecordingSid, cx: &mut Context) {
        self.recordings.stop(sid, &self.leg, cx);
    }

    fn recording_news(&mut self, sid: RecordingSid, news: Option<RecordingNews>, cx: &mut Context) {
        if let Some(news) = news {
            self.tell(&Input::Recording(sid, news), cx);
        }
    }

    fn stream_news(&mut self, req: Req, news: StreamNews, cx: &mut Context) {
        let leg = &mut self.leg;
        let input = match news {
            StreamNews::Connected => {
                let play = self.streams.connected(req, leg, cx);
                play.map(|play| Input::StreamBegan(req, play))
            }
            StreamNews::Over(over) => {
                let end = self.streams.over(req, *over, leg, cx);
                end.map(|end| Input::StreamOver(req, end))
            }
        };
        if let Some(input) = input {
            self.tell(&input, cx);
        }
    }

    fn relay_news(&mut self, req: Req, news: RelayNews, cx: &mut Context) {
        if let Some(news) = self.relays.news(req, news) {
            self.tell(&Input::Relay(req, news), cx);
        }
    }

    /// News of a fork that this call started.
    pub(crate) fn fork_news(&mut self, fork: ForkId, news: ForkNews, cx: &mut Context) {
        match news {
            ForkNews::Won { child, .. } if !self.scripts.await_fork(fork) => {
                cx.letter(Letter::Hangup {
                    call: child,
                    reason: Reason::ParentGone,
                });
            }
            news => self.tell(&Input::Fork(fork, news), cx),
        }
    }

    /// The bridge that this leg was in has ended.
    pub(crate) fn bridge_over(&mut self, ended: Ended, cx: &mut Context) {
        self.leg.bridge = None;
        if self.scripts.is_empty() {
            // The dialled party has no script.
            self.end_leg(ended.reason(), cx);
        } else {
            self.tell(&Input::BridgeOver(ended), cx);
        }
    }
}
