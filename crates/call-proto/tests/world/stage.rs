//! The stage: carries commands out like a shell, plays every part, and moves the clock.

mod commands;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use call_proto::journal::Recorder;
use call_proto::routing::Decision;
use call_proto::{
    Addressed, AudioFailure, Clip, Command, DigitWay, Document, Event, Fact, Fallback, Family,
    FetchRequest, Headers, Inbound, Invite, LegCommand, LegEvent, MediaEvent, Modify, OutboundApi,
    Req, Route, Script, Settings, SpeechNews, Target, Unreachable, Via,
};
use model::{CallSid, Direction, HttpMethod, InstanceSid, RecordingSid, Timestamp, error};

use super::media::Media;
use super::phone::{Phone, Step};
use super::random::Random;
use super::rules::Rules;
use super::run::{Asked, Run};
use super::speech::{self, Listenings, Recognizer};
use super::{Act, ApiCall, Reply, Root, Weather, World, directory, document_at, status};

/// More steps than this are an endless loop.
const MAX_STEPS: u32 = 50_000;
/// After so long the server stops a call that a storm has made endless, in milliseconds.
const ENDLESS_MS: i64 = 3_600_000;
/// A transaction without any response ends after this time, in milliseconds.
const GIVE_UP_MS: u64 = 32_000;

/// Plays a world to its end.
pub(super) fn play(world: World) -> Run {
    let mut stage = Stage::new(world);
    stage.raise_curtain();
    stage.play();
    stage
        .rules
        .finish(stage.family.as_ref().map(Recorder::family));
    let mut run = stage.run;
    if let Some(family) = &mut stage.family {
        run.journal = family.take_lines();
    }
    run.broken = stage.rules.into_broken();
    run
}

/// What is due at a moment.
pub(super) enum Due {
    Tell(CallSid, Event),
    Phone(CallSid, Step),
    /// K's ACK, or the end of waiting for it.
    Ack(CallSid, bool),
    Act(Act),
    Noise,
}

/// Where the far side of a leg stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No final response yet.
    Setup,
    /// We sent CANCEL.
    Withdrawn,
    /// We sent 200; no ACK yet.
    Answered,
    Up,
    Over,
}

/// The far side of a leg.
struct Side {
    name: String,
    state: State,
    phone: Option<Phone>,
}

pub(super) struct Stage {
    world: World,
    pub(super) run: Run,
    pub(super) rules: Rules,
    pub(super) media: Media,
    pub(super) listenings: Listenings,
    pub(super) now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    family: Option<Recorder>,
    sides: BTreeMap<CallSid, Side>,
    /// Which phone a Request-URI leads to, with the name for the log.
    contacts: BTreeMap<String, (String, Phone)>,
    pages: BTreeMap<String, VecDeque<Reply>>,
    pub(super) random: Random,
    fallen: bool,
}

impl Stage {
    fn new(world: World) -> Self {
        let start = Timestamp::from_millis(1_750_000_000_000);
        let pages = world.pages.clone().into_iter();
        Self {
            run: Run::new(start),
            rules: Rules::default(),
            media: Media::new(world.closing_ms, world.disk_full),
            listenings: Listenings::default(),
            now: start,
            queue: BTreeMap::new(),
            queued: 0,
            family: None,
            sides: BTreeMap::new(),
            contacts: BTreeMap::new(),
            pages: pages
                .map(|(path, replies)| (path, replies.into()))
                .collect(),
            random: Random::new(world.seed),
            fallen: false,
            world,
        }
    }

    fn raise_curtain(&mut self) {
        for (at, act) in self.world.acts.clone() {
            self.later(at, Due::Act(act));
        }
        if self.world.weather == Weather::Stormy {
            for _ in 0..self.random.below(12) {
                let at = self.random.below(40_000);
                self.later(at, Due::Noise);
            }
        }
        match self.world.root.clone() {
            Root::Inbound(called) => self.invite(&called),
            Root::Api(call) => self.api_call(*call),
        }
    }

    fn play(&mut self) {
        let endless = self.now.as_millis() + ENDLESS_MS;
        for _ in 0..MAX_STEPS {
            self.carry_out();
            if self.now.as_millis() > endless && self.curtain_falls() {
                continue;
            }
            let due = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self
                .family
                .as_ref()
                .and_then(|family| family.family().poll_timeout());
            match (due, timer) {
                (None, None) if self.curtain_falls() => {}
                (None, None) => return,
                (Some(due), timer) if self.is_first(due, timer) => self.next(),
                (_, Some(timer)) => {
                    self.now = self.now.max(timer);
                    if let Some(family) = &mut self.family {
                        family.handle_timeout(self.now);
                    }
                }
                (Some(_), None) => self.next(),
            }
        }
        self.rules.broken("it goes on for ever".to_owned());
    }

    /// Whether an event comes before a timer. In good weather it does when both are due at once.
    fn is_first(&mut self, due: Timestamp, timer: Option<Timestamp>) -> bool {
        let Some(timer) = timer else {
            return true;
        };
        let tie = due == timer && self.world.weather != Weather::Calm;
        due < timer || (due == timer && !(tie && self.random.once_in(2)))
    }

    /// After a storm somebody may talk for ever: the server stops. In any other weather a call
    /// that is left is a broken rule.
    fn curtain_falls(&mut self) -> bool {
        let Some(family) = &mut self.family else {
            return false;
        };
        let left: Vec<CallSid> = family.family().legs().collect();
        let falls = self.world.weather == Weather::Stormy && !self.fallen && !left.is_empty();
        if falls {
            self.fallen = true;
            for call in left {
                self.tell(call, Event::Shutdown);
                self.carry_out();
            }
        }
        falls
    }

    fn next(&mut self) {
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        match due {
            Due::Tell(call, event) => self.tell(call, event),
            Due::Phone(call, step) => self.phone_does(call, step),
            Due::Ack(call, comes) => self.acknowledge(call, comes),
            Due::Act(act) => self.act(act),
            Due::Noise => self.noise(),
        }
    }

    fn tell(&mut self, call: CallSid, event: Event) {
        if let Event::Speech { req, news } = &event
            && speech::is_last(news)
        {
            self.rules.listening_over(call, *req);
        }
        if let Some(family) = &mut self.family {
            family.handle(call, event, self.now);
        }
    }

    pub(super) fn later(&mut self, in_ms: u64, due: Due) {
        let at = self.now + std::time::Duration::from_millis(in_ms);
        self.queued += 1;
        self.queue.insert((at, self.queued), due);
    }

    /// Tells the family something in a while.
    pub(super) fn tell_in(&mut self, in_ms: u64, call: CallSid, event: Event) {
        let late = match self.world.weather {
            Weather::Calm => 0,
            Weather::Windy => self.random.below(500),
            Weather::Stormy if self.random.once_in(4) => self.random.below(4_000),
            Weather::Stormy => self.random.below(50),
        };
        if self.world.weather == Weather::Stormy && self.random.once_in(8) {
            let again = in_ms + self.random.below(4_000);
            self.later(again, Due::Tell(call, event.clone()));
        }
        self.later(in_ms + late, Due::Tell(call, event));
    }

    pub(super) fn name(&self, call: CallSid) -> String {
        self.sides
            .get(&call)
            .map_or_else(|| "?".to_owned(), |side| side.name.clone())
    }

    pub(super) fn recognizer(&self) -> Recognizer {
        self.world.recognizer
    }

    pub(super) fn is_deaf(&self, name: &str) -> bool {
        self.world.deaf.contains(name)
    }

    /// The latest leg of a party.
    fn leg_of(&self, name: &str) -> Option<CallSid> {
        let mut legs = self.run.created.iter().rev();
        legs.find(|sid| self.sides.get(sid).is_some_and(|side| side.name == name))
            .copied()
    }

    // The family begins.

    fn settings() -> Arc<Settings> {
        Arc::new(Settings {
            instance: InstanceSid::from_bytes([7; 16]),
            api_version: "2012-04-24".to_owned(),
            recording_address: call_proto::RecordingAddress(std::sync::Arc::new(
                |account, recording| {
                    let base = "http://pbx.example/restcomm/2012-04-24";
                    format!("{base}/Accounts/{account}/Recordings/{recording}.wav")
                },
            )),
            max_redirects: 20,
            null_strings: false,
            recording_wait: std::time::Duration::from_secs(5),
        })
    }

    fn invite(&mut self, called: &str) {
        let caller = self.world.caller.clone();
        self.run.note(self.now, "K-> INVITE");
        let mut decision = self.world.directory.route(&caller, called, false);
        if matches!(decision, Decision::Challenge) {
            self.run.sent(self.now, "K", "407", "");
            if !caller.knows_password {
                return;
            }
            self.run.note(self.now, "K-> INVITE with credentials");
            decision = self.world.directory.route(&caller, called, true);
        }
        let admission = match decision {
            Decision::Challenge => {
                self.run.sent(self.now, "K", "407", "");
                return;
            }
            Decision::Refuse(refusal) => {
                let status = refusal.sip_status.to_string();
                self.run.sent(self.now, "K", &status, "");
                self.run.refusal = Some(refusal);
                return;
            }
            Decision::Admit(admission) => admission,
        };
        let inbound = Inbound {
            account: admission.account,
            from: admission.from,
            to: admission.to,
            caller_name: caller.display.clone(),
            forwarded_from: admission.forwarded_from,
            headers: admission.headers,
            sip_call_id: "call of kim".to_owned(),
            number: admission.number,
            sdp: caller.sdp.clone(),
            max_forwards: 70,
            script: admission.script,
            status_callback: admission.status_callback,
            dialect: self.world.dialect,
        };
        let (family, root) =
            Recorder::inbound(Self::settings(), inbound, self.world.seed, self.now);
        self.family = Some(family);
        self.add_side(root, "K");
    }

    fn api_call(&mut self, call: ApiCall) {
        let routes = self.routes(&call.target).unwrap_or_default();
        let outbound = OutboundApi {
            account: directory::account(1),
            from: call.from,
            target: call.target,
            routes,
            headers: call.headers,
            credentials: None,
            document: call.document,
            callback: call.callback,
            timeout: std::time::Duration::from_secs(call.timeout_s),
            dialect: self.world.dialect,
        };
        let (family, _) =
            Recorder::outbound_api(Self::settings(), outbound, self.world.seed, self.now);
        self.family = Some(family);
    }

    fn add_side(&mut self, call: CallSid, name: &str) {
        self.sides.insert(
            call,
            Side {
                name: name.to_owned(),
                state: State::Setup,
                phone: None,
            },
        );
    }

    // Commands.

    fn invited(&mut self, call: CallSid, invite: Invite) {
        let (name, phone) = self
            .contacts
            .get(&invite.route.uri)
            .cloned()
            .expect("routes come from us");
        if let Some(side) = self.sides.get_mut(&call) {
            side.name.clone_from(&name);
            side.phone = Some(phone.clone());
        }
        self.run.invited(self.now, call, &name, invite);
        for (at, step) in phone.steps {
            self.later(at, Due::Phone(call, step));
        }
        self.later(GIVE_UP_MS, Due::Phone(call, Step::GiveUp));
    }

    fn state(&self, call: CallSid) -> State {
        self.sides.get(&call).map_or(State::Over, |side| side.state)
    }

    fn set_state(&mut self, call: CallSid, state: State) {
        if let Some(side) = self.sides.get_mut(&call) {
            side.state = state;
        }
    }

    // What the far sides do.

    fn phone_does(&mut self, call: CallSid, step: Step) {
        let name = self.name(call);
        let Some(phone) = self.sides.get(&call).and_then(|side| side.phone.clone()) else {
            return;
        };
        match (step, self.state(call)) {
            (Step::Progress(status), State::Setup) => {
                self.run.note(self.now, &format!("{name}-> {status}"));
                let headers = Headers::new();
                self.tell_leg(call, LegEvent::Progress { status, headers });
            }
            (Step::Answer, State::Setup) => {
                self.run.note(self.now, &format!("{name}-> 200"));
                self.run.sent(self.now, &name, "ACK", "");
                self.set_state(call, State::Up);
                if let Some(talk) = phone.talk_ms {
                    self.later(talk, Due::Phone(call, Step::HangUp));
                }
                let answered = LegEvent::Answered {
                    headers: Headers::new(),
                    sip_call_id: format!("call of {name}"),
                    sdp: phone.sdp,
                };
                self.tell_leg(call, answered);
            }
            // The 200 crossed our CANCEL: the SIP side confirms the dialog and ends it.
            (Step::Answer, State::Withdrawn) => {
                self.run.note(self.now, &format!("{name}-> 200"));
                self.run.sent(self.now, &name, "ACK", "");
                self.run.sent(self.now, &name, "BYE", "");
                self.refused(call, 487);
            }
            (Step::Reject(status), State::Setup | State::Withdrawn) => {
                self.run.note(self.now, &format!("{name}-> {status}"));
                self.refused(call, status);
            }
            (Step::Withdraw, State::Withdrawn) => {
                self.run.note(self.now, &format!("{name}-> 487"));
                self.refused(call, 487);
            }
            (Step::GiveUp, State::Setup | State::Withdrawn) => {
                let rang = phone
                    .steps
                    .iter()
                    .any(|(_, step)| matches!(step, Step::Progress(_)));
                if !rang {
                    self.refused(call, 408);
                }
            }
            (Step::HangUp, State::Up) => {
                self.run.note(self.now, &format!("{name}-> BYE"));
                self.set_state(call, State::Over);
                let reason = Some("Q.850;cause=16".to_owned());
                self.tell_leg(call, LegEvent::Bye { reason });
            }
            _ => {}
        }
    }

    fn refused(&mut self, call: CallSid, status: u16) {
        self.set_state(call, State::Over);
        let rejected = LegEvent::Rejected {
            status,
            reason: format!("words for {status}"),
            sip_call_id: format!("call of {}", self.name(call)),
            headers: Headers::new(),
        };
        self.tell_leg(call, rejected);
    }

    /// Something happens on the wire now: the SIP side tells it at once.
    fn tell_leg(&mut self, call: CallSid, event: LegEvent) {
        self.tell_in(0, call, Event::Leg(event));
    }

    fn acknowledge(&mut self, call: CallSid, comes: bool) {
        if self.state(call) != State::Answered {
            return;
        }
        if comes {
            self.set_state(call, State::Up);
            self.run.note(self.now, "K-> ACK");
            let late = self.world.caller.sdp.is_none();
            let sdp = late.then(|| "answer of kim".to_owned());
            self.tell_leg(call, LegEvent::Acked { sdp });
        } else {
            self.set_state(call, State::Over);
            self.run.sent(self.now, "K", "BYE", "");
            self.tell_leg(call, LegEvent::NoAck);
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::HangUp => self.kim_hangs_up(),
            Act::Reinvite(sdp) => {
                if let Some(call) = self.leg_of("K") {
                    self.run.note(self.now, "K-> re-INVITE");
                    self.tell_leg(call, LegEvent::Reinvite { sdp });
                }
            }
            Act::Info => {
                if let Some(call) = self.leg_of("K") {
                    let (content_type, body) = ("text/plain".to_owned(), String::new());
                    self.tell_leg(call, LegEvent::Info { content_type, body });
                }
            }
            Act::Key(name, key, way) => {
                if let Some(call) = self.leg_of(&name) {
                    let event = match way {
                        DigitWay::Info => Event::Leg(LegEvent::Info {
                            content_type: "application/dtmf-relay".to_owned(),
                            body: format!("Signal={key}\r\nDuration=160\r\n"),
                        }),
                        way => Event::Media(MediaEvent::Digit { digit: key, way }),
                    };
                    self.tell_in(0, call, event);
                }
            }
            Act::Understood(name, news) => {
                if let Some(call) = self.leg_of(&name) {
                    self.understands(call, news);
                }
            }
            Act::Vanish(name) => {
                if let Some(call) = self.leg_of(&name) {
                    self.set_state(call, State::Over);
                    let reason = "no way there".to_owned();
                    self.tell_leg(call, LegEvent::Lost { reason });
                }
            }
            Act::Silence(name) => {
                if let Some(call) = self.leg_of(&name) {
                    self.tell_in(0, call, Event::Media(MediaEvent::Silence));
                }
            }
            Act::Rest(name, modify) => self.modify(&name, modify),
            Act::Shutdown(name) => {
                if let Some(call) = self.leg_of(&name) {
                    self.tell(call, Event::Shutdown);
                }
            }
        }
    }

    fn modify(&mut self, name: &str, modify: Modify) {
        let Some(call) = self.leg_of(name) else {
            return;
        };
        let what = match &modify {
            Modify::Complete => "complete".to_owned(),
            Modify::Cancel => "cancel".to_owned(),
            Modify::Redirect(redirect) => format!("redirect {}", redirect.document.url),
        };
        self.run.note(self.now, &format!("api {name} {what}"));
        self.tell(call, Event::Modify(modify));
    }

    fn kim_hangs_up(&mut self) {
        let Some(call) = self.leg_of("K") else {
            return;
        };
        match self.state(call) {
            State::Setup => {
                self.run.note(self.now, "K-> CANCEL");
                self.run.sent(self.now, "K", "487", "");
                self.set_state(call, State::Over);
                self.tell_leg(call, LegEvent::Canceled);
            }
            State::Answered | State::Up => {
                self.run.note(self.now, "K-> BYE");
                self.set_state(call, State::Over);
                self.tell_leg(call, LegEvent::Bye { reason: None });
            }
            State::Withdrawn | State::Over => {}
        }
    }

    /// An event that nothing in this world caused.
    fn noise(&mut self) {
        let calls: Vec<CallSid> = self.sides.keys().copied().collect();
        if calls.is_empty() {
            return;
        }
        let call = *self.random.pick(&calls);
        let event = self.invented();
        self.run
            .note(self.now, &format!("noise {} {event:?}", self.name(call)));
        self.tell(call, event);
    }

    fn invented(&mut self) -> Event {
        let text = || "noise".to_owned();
        let leg = [
            LegEvent::Progress {
                status: 183,
                headers: Headers::new(),
            },
            LegEvent::Answered {
                headers: Headers::new(),
                sip_call_id: text(),
                sdp: None,
            },
            LegEvent::Answered {
                headers: Headers::new(),
                sip_call_id: text(),
                sdp: Some(text()),
            },
            LegEvent::Rejected {
                status: 500,
                reason: text(),
                sip_call_id: text(),
                headers: Headers::new(),
            },
            LegEvent::Canceled,
            LegEvent::Acked { sdp: None },
            LegEvent::NoAck,
            LegEvent::Bye { reason: None },
            LegEvent::ByeDone,
            LegEvent::Reinvite { sdp: None },
            LegEvent::Lost { reason: text() },
        ];
        let recording = self
            .media
            .some_recording()
            .unwrap_or(RecordingSid::from_bytes([5; 16]));
        let media = [
            MediaEvent::Opened { sdp: text() },
            MediaEvent::Refused {
                status: 488,
                reason: text(),
            },
            MediaEvent::Renegotiated { sdp: Ok(text()) },
            MediaEvent::Renegotiated { sdp: Err(text()) },
            MediaEvent::PlayDone {
                play: call_proto::PlayId(self.random.below(12)),
            },
            MediaEvent::Heard,
            MediaEvent::Silence,
            MediaEvent::Recorded {
                recording,
                duration_ms: 100,
                size_bytes: 1,
            },
            MediaEvent::RecordFailed {
                recording,
                reason: text(),
            },
        ];
        let req = Req(self.random.below(12));
        let speech = [
            SpeechNews::Partial(text()),
            SpeechNews::Final {
                text: text(),
                confidence: None,
            },
            SpeechNews::Unavailable,
            SpeechNews::Failed { reason: text() },
        ];
        match self.random.below(7) {
            0 | 1 => Event::Leg(self.random.pick(&leg).clone()),
            2 => Event::Media(self.random.pick(&media).clone()),
            6 => Event::Speech {
                req,
                news: self.random.pick(&speech).clone(),
            },
            3 => Event::Resolved {
                req,
                routes: Vec::new(),
            },
            4 => Event::Fetched {
                req,
                result: status(200).result(&document_at("http://app/v").url),
            },
            _ => Event::Audio {
                req,
                result: Err(AudioFailure {
                    code: error::MEDIA_DOWNLOAD,
                    text: text(),
                }),
            },
        }
    }
}

fn fact_leg(fact: &Fact) -> Option<CallSid> {
    match fact {
        Fact::Created(record) => Some(record.sid),
        Fact::Ringing { call, .. }
        | Fact::Answered { call, .. }
        | Fact::Farewell { call, .. }
        | Fact::Ended { call, .. } => Some(*call),
        Fact::RecordingStarted(started) => Some(started.call),
        Fact::Recorded(recording) => Some(recording.call),
        Fact::Notified(notification) => notification.call,
        Fact::Callback(callback) => Some(callback.call),
        Fact::MessageCreated { message, .. } | Fact::MessageEnded { message, .. } => {
            Some(message.call)
        }
        Fact::InConference { call, .. } => Some(*call),
        Fact::ConferenceCreated(_)
        | Fact::ConferenceStarted { .. }
        | Fact::ConferenceEnded { .. } => None,
    }
}

/// The user part of an address, however it is written.
fn user_of(address: &str) -> String {
    let rest = address.split("sip:").last().unwrap_or(address);
    rest.split(['@', ';', '?', '>'])
        .next()
        .unwrap_or_default()
        .to_owned()
}
