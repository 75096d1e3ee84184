//! The stage: plays a scene around its call families, and moves the clock.
//!
//! **Invariant: events happen in order of time; of two due at once, the one caused first, and
//! people's acts before the calls' own timers**, unless the weather is bad. Nothing takes time
//! unless the scene says so.

mod actor;
mod agents;
mod answering;
mod branches;
mod commands;
mod families;
mod interruptions;
mod media;
mod mix;
pub(crate) mod pages;
mod queues;
mod remote;
mod rooms;
mod speech;
mod weather;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{
    Addressed, Answerer, Ask, Changed, Event, MediaEvent, Modify, ModifyError, Req, RoomCommand,
    RoomInput,
};
use model::{AccountSid, CallSid, RecordingSid, Timestamp};

use crate::Application;
use crate::expected::seconds;
use crate::heard::{Heard, Sense};
use crate::run::Run;
use crate::scene::{Act, Does, Doing, Phone, Scene, Until, Weather, Who};
use crate::script::Cast;

use actor::Actor;
pub(crate) use actor::KEY_PACE;
use agents::{AgentDue, Agents};
use branches::Taken;
pub(crate) use commands::user_of;
use families::Families;
pub(crate) use families::settings;
use interruptions::Interruptions;
use media::Media;
use mix::Mixes;
use queues::Queues;
pub(crate) use remote::GIVES_UP;
use remote::Remote;
use rooms::Rooms;
use speech::{Ears, Word};
pub use weather::Random;

/// Every run begins at this moment: 2026-01-01 00:00 UTC.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// More inputs than this indicate an endless loop.
const MAX_INPUTS: u64 = 100_000;
/// The account that owns everything in a script.
pub(crate) const ACCOUNT: AccountSid = AccountSid::from_bytes([0xac; 16]);

/// Observes all inputs and outputs of the machines, before they are carried out.
pub trait Watch {
    /// One batch of commands of a call family.
    fn commands(&mut self, _at: Timestamp, _commands: &[Addressed]) {}

    /// One batch of commands of a conference room.
    fn room_commands(&mut self, _at: Timestamp, _commands: &[RoomCommand]) {}

    /// An event about to be delivered to a leg.
    fn event(&mut self, _at: Timestamp, _call: CallSid, _event: &Event) {}
}

/// Ignores everything.
impl Watch for () {}

/// Plays a scene to its end.
#[must_use]
pub fn play(scene: &Scene, application: &mut dyn Application, watch: &mut dyn Watch) -> Run {
    let mut stage = Stage::new(scene, application, watch);
    stage.play();
    stage.finish();
    stage.run
}

/// An event that is due.
enum Due {
    /// A call starts, by its index in the scene.
    Start(usize),
    Tell(CallSid, Event),
    /// The remote party of a leg does something.
    Remote(CallSid, Doing),
    /// A word was said.
    Said(Word),
    /// Something happens at the server behind a stream.
    Agent(AgentDue),
    /// Silence since this word count, for the recognition with this number.
    Hushed(CallSid, Req, usize),
    /// Silence since this word count, in a recording.
    Quiet(RecordingSid, usize),
    /// Machine detection hears something on a leg, if it still listens.
    Answers(CallSid, Answerer),
    /// A person has waited long enough.
    Wake,
    /// A room gets an input, by its number.
    Room(usize, RoomInput),
    /// An act of the scene, by its index.
    Act(usize),
    /// An act of the weather.
    Chance(Act),
    /// An event without a cause in this world.
    Noise,
}

/// The machine whose timer it is, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Machine {
    Family(usize),
    Room(usize),
}

struct Stage<'a> {
    scene: &'a Scene,
    application: &'a mut dyn Application,
    watch: &'a mut dyn Watch,
    families: Families,
    rooms: Rooms,
    queues: Queues,
    now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    remotes: BTreeMap<CallSid, Remote>,
    taken: Taken,
    /// The phone that a Request-URI leads to.
    contacts: BTreeMap<String, Phone>,
    actors: Vec<Actor>,
    heard: BTreeMap<CallSid, Vec<Heard>>,
    media: Media,
    interruptions: Interruptions,
    mixes: Mixes,
    ears: Ears,
    agents: Agents,
    /// How often each page was requested.
    asked: BTreeMap<String, usize>,
    /// Number of API requests so far.
    asks: u64,
    /// Requests without a reply yet: line of the script, and whether it expects a refusal.
    open_asks: BTreeMap<Ask, (usize, bool)>,
    /// Those of them that a room answers, with the leg that is in it.
    room_asks: BTreeMap<Ask, CallSid>,
    /// Parties whose steps a person has started.
    begun: BTreeSet<Cast>,
    out_of_time: bool,
    /// Acts and calls still to come.
    to_come: usize,
    /// When the last leg ended.
    over_at: Option<Timestamp>,
    random: Random,
    run: Run,
}

impl<'a> Stage<'a> {
    fn new(
        scene: &'a Scene,
        application: &'a mut dyn Application,
        watch: &'a mut dyn Watch,
    ) -> Self {
        let mut stage = Self {
            scene,
            application,
            watch,
            families: Families::default(),
            rooms: Rooms::default(),
            queues: Queues::default(),
            now: START,
            queue: BTreeMap::new(),
            queued: 0,
            remotes: BTreeMap::new(),
            taken: Taken::default(),
            contacts: BTreeMap::new(),
            actors: Vec::new(),
            heard: BTreeMap::new(),
            media: Media::default(),
            interruptions: Interruptions::default(),
            mixes: Mixes::default(),
            ears: Ears::default(),
            agents: Agents::default(),
            asked: BTreeMap::new(),
            asks: 0,
            open_asks: BTreeMap::new(),
            room_asks: BTreeMap::new(),
            begun: BTreeSet::new(),
            out_of_time: false,
            to_come: scene.acts.len(),
            over_at: None,
            random: Random::new(scene.seed),
            run: Run::new(START),
        };
        for (place, act) in scene.acts.iter().enumerate() {
            stage.later(act.at, Due::Act(place));
        }
        stage.storm_gathers();
        for (place, start) in scene.calls.iter().enumerate() {
            if start.at.is_zero() {
                stage.begin(place);
            } else {
                stage.to_come += 1;
                stage.later(start.at, Due::Start(place));
            }
        }
        stage
    }

    fn play(&mut self) {
        loop {
            self.carry_out();
            self.act();
            self.agents_act();
            let are_finished = self.families.are_finished() && self.rooms.are_finished();
            let is_over = are_finished && self.to_come == 0;
            if are_finished {
                self.over_at.get_or_insert(self.now);
            } else {
                self.over_at = None;
            }
            // The API may also address a call that has ended.
            if is_over && self.scene.until == Until::Over {
                return;
            }
            self.run.inputs += 1;
            if self.run.inputs > MAX_INPUTS {
                self.run
                    .fails(1, "the call is in an endless loop".to_owned());
                return;
            }
            let due = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.timer();
            let limit = START + self.scene.limit;
            match (due, timer.map(|(at, _)| at)) {
                (None, None) if is_over => return,
                (due, timer)
                    if !self.out_of_time
                        && !is_over
                        && first(due, timer).is_none_or(|at| at > limit) =>
                {
                    self.ends_by_force(limit);
                }
                (None, None) => return,
                (Some(due), timer) if self.is_first(due, timer) => self.next(),
                _ => self.time_has_come(timer),
            }
        }
    }

    /// The first timer due.
    fn timer(&self) -> Option<(Timestamp, Machine)> {
        let family = self.families.timer();
        let family = family.map(|(at, number)| (at, Machine::Family(number)));
        let room = self.rooms.timer();
        let room = room.map(|(at, number)| (at, Machine::Room(number)));
        family.into_iter().chain(room).min_by_key(|(at, _)| *at)
    }

    fn time_has_come(&mut self, timer: Option<(Timestamp, Machine)>) {
        let Some((at, whose)) = timer else { return };
        self.now = self.now.max(at);
        match whose {
            Machine::Family(number) => self.families.handle_timeout(number, self.now),
            Machine::Room(number) => self.rooms.handle_timeout(number, self.now),
        }
    }

    /// Ends calls that no party hangs up.
    fn ends_by_force(&mut self, limit: Timestamp) {
        self.out_of_time = true;
        if self.scene.weather != Weather::Stormy {
            self.now = self.now.max(limit);
            let limit = seconds(self.scene.limit);
            let text = format!("the call was not over after {limit}: no party hangs up");
            self.run.fails(1, text);
        }
        for call in self.families.legs() {
            self.tell(call, Event::Shutdown);
            self.carry_out();
        }
        self.rooms_stop();
    }

    fn next(&mut self) {
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        match due {
            Due::Start(place) => {
                self.to_come -= 1;
                self.begin(place);
            }
            Due::Tell(call, event) => self.tell(call, event),
            Due::Remote(call, doing) => self.remote_does(call, doing),
            Due::Said(word) => self.said(word),
            Due::Agent(due) => self.agent_due(due),
            Due::Hushed(call, req, count) => self.hushed(call, req, count),
            Due::Quiet(recording, words) => self.quiet(recording, words),
            Due::Answers(call, heard) => self.answerer_is_heard(call, heard),
            Due::Wake => {}
            Due::Room(room, input) => self.room_gets(room, input),
            Due::Act(place) => {
                self.to_come -= 1;
                let scene = self.scene;
                self.happens(&scene.acts[place]);
            }
            Due::Chance(act) => self.happens(&act),
            Due::Noise => self.noise(),
        }
    }

    /// An act on a leg, if it exists.
    fn happens(&mut self, act: &Act) {
        let found = match &act.leg {
            Who::Leg(name) => self.run.leg(name),
            Who::Newest(party) => self.run.newest(party),
        };
        let Some(call) = found.map(|leg| leg.record.sid) else {
            if let (Who::Leg(name), true) = (&act.leg, act.line > 0) {
                let legs: Vec<&str> = self.run.legs.iter().map(|leg| leg.name.as_str()).collect();
                let legs = legs.join(", ");
                let text = format!(
                    "there is no leg `{name}` at {} (there is {legs})",
                    seconds(act.at)
                );
                self.run.fails(act.line, text);
            }
            return;
        };
        match &act.does {
            Does::Party(doing) => self.remote_does(call, *doing),
            Does::Reinvite(sdp) => self.reinvites(call, sdp.clone()),
            Does::Refer(referral) => self.refers(call, referral, act.line),
            Does::Ack(sdp) => self.acknowledges(call, sdp.clone()),
            Does::Info => self.informs(call),
            Does::Key(key, way) => self.tell_soon(call, actor::key_event(*key, *way)),
            Does::Understood(news) => self.understands(call, news.clone()),
            Does::Modify(modify) => {
                let modify = self.in_its_room(call, modify.clone());
                self.asks(call, modify, act);
            }
            Does::OfConference(change) => match self.its_room(call) {
                Some(room) => {
                    let (ask, change) = (self.new_ask(act), *change);
                    self.room_asks.insert(ask, call);
                    self.room_gets(room, RoomInput::ChangeRecording { ask, change });
                }
                None if act.line > 0 => {
                    let text = format!("the leg is in no conference at {}", seconds(act.at));
                    self.run.fails(act.line, text);
                }
                None => {}
            },
            Does::Shutdown => self.tell(call, Event::Shutdown),
            Does::EndedElsewhere => self.tell(call, Event::EndedElsewhere),
        }
    }

    fn tell(&mut self, call: CallSid, event: Event) {
        let call = self.taken.now(call);
        if let Event::Media(MediaEvent::PlayDone { play }) = &event
            && !self.played(call, *play)
        {
            return; // It was cut off: media does not report its end.
        }
        self.watch.event(self.now, call, &event);
        self.families.handle(call, event, self.now);
    }

    /// The API requests a change.
    fn asks(&mut self, call: CallSid, modify: Modify, act: &Act) {
        let ask = self.new_ask(act);
        self.tell(call, Event::Ask { ask, modify });
    }

    fn new_ask(&mut self, act: &Act) -> Ask {
        self.asks += 1;
        let ask = Ask(self.asks);
        self.open_asks.insert(ask, (act.line, act.refused));
        ask
    }

    /// The reply of a room to the API.
    fn room_replied(&mut self, ask: Ask, outcome: Result<Changed, ModifyError>) {
        match self.room_asks.remove(&ask) {
            Some(call) => self.replied(call, ask, outcome),
            None => self.run.left.push(format!("a second reply to {ask:?}")),
        }
    }

    /// The reply to the API.
    fn replied(&mut self, call: CallSid, ask: Ask, outcome: Result<Changed, ModifyError>) {
        match (self.open_asks.remove(&ask), outcome) {
            (None, _) => self.run.left.push(format!("a second reply to {ask:?}")),
            (Some((0, _)), _) => {} // No script expects it.
            (Some((line, false)), Err(refusal)) => {
                self.run
                    .fails(line, format!("the API refused it: {refusal}"));
            }
            (Some((line, true)), Ok(_)) => {
                let text = "the API did it; expected: a refusal".to_owned();
                self.run.fails(line, text);
            }
            (Some(_), _) => {}
        }
        self.run.replies.push((call, outcome.map(|_| ())));
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), due);
    }

    fn hears(&mut self, call: CallSid, heard: Heard) {
        self.heard.entry(call).or_default().push(heard);
    }

    fn notices(&mut self, call: CallSid, sense: Sense) {
        self.hears(call, Heard::moment(sense, self.now));
    }

    fn finish(&mut self) {
        self.run.length = self.over_at.unwrap_or(self.now).since(START);
        self.run.journals = self.families.take_journals();
        self.run.room_journals = self.rooms.take_journals();
        self.run.left.extend(self.families.left());
        self.run.left.extend(self.rooms.left());
        self.run.left.extend(self.queues.left());
        self.run.left.extend(self.mixes.left());
        let unanswered = self.open_asks.keys();
        self.run
            .left
            .extend(unanswered.map(|ask| format!("{ask:?} without a reply")));
        self.settle();
        self.settle_agents();
    }
}

fn first(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Address of a recording.
pub(crate) fn recording_address(account: AccountSid, recording: RecordingSid) -> String {
    let base = "http://patchcord.invalid/restcomm/2012-04-24";
    format!("{base}/Accounts/{account}/Recordings/{recording}.wav")
}
