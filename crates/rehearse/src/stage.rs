//! The stage: plays every part of a call but the application's, and moves the clock.
//!
//! **Invariant: what is due first happens first; of two things due at once, the one that was caused
//! first, and what people do before what the call's own timers do.** Nothing on the way takes any
//! time: a person answers two seconds after the INVITE if the script says so.

mod actor;
mod commands;
mod far_side;
mod media;
mod speech;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use call_proto::journal::Recorder;
use call_proto::{
    CallbackTarget, Event, Inbound, LegCallback, OutboundApi, RecordingAddress, Req,
    Script as Runs, Settings, Target,
};
use model::{AccountSid, Bare, CallSid, InstanceSid, RecordingSid, Timestamp, number};

use crate::heard::{Heard, Sense};
use crate::run::Run;
use crate::script::{Cast, Party, Script};
use crate::{Application, check};

use actor::Actor;
pub(crate) use actor::KEY_PACE;
use far_side::{Doing, FarSide};
use media::Media;
use speech::{Ears, Word};

/// Every rehearsal begins at this moment: 2026-01-01 00:00 UTC.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// More inputs than this are an endless loop.
const MAX_INPUTS: u64 = 100_000;
/// The account that everything belongs to.
pub(crate) const ACCOUNT: AccountSid = AccountSid::from_bytes([0xac; 16]);

/// Rehearses a script.
#[must_use]
pub fn run(script: &Script, application: &mut dyn Application) -> Run {
    let mut stage = Stage::new(script, application);
    stage.play();
    stage.finish();
    let mut run = stage.run;
    check::check(script, &mut run);
    run
}

/// What is due at a moment.
enum Due {
    Tell(CallSid, Event),
    /// The far side of a leg does something.
    FarSide(CallSid, Doing),
    /// Somebody said a word.
    Said(Word),
    /// Nothing was said since so many words, to whom this listening belongs.
    Hushed(CallSid, Req, usize),
    /// Somebody has waited long enough.
    Wake,
    /// A step of the API, by its place.
    Api(usize),
}

struct Stage<'a> {
    script: &'a Script,
    application: &'a mut dyn Application,
    family: Recorder,
    now: Timestamp,
    queue: BTreeMap<(Timestamp, u64), Due>,
    queued: u64,
    sides: BTreeMap<CallSid, FarSide>,
    /// Which phone a Request-URI leads to.
    phones: BTreeMap<String, Party>,
    actors: Vec<Actor>,
    heard: BTreeMap<CallSid, Vec<Heard>>,
    media: Media,
    ears: Ears,
    /// How often each page was asked for.
    asked: BTreeMap<String, usize>,
    /// Whose steps somebody came to do.
    begun: BTreeSet<Cast>,
    out_of_time: bool,
    /// Steps of the API that are still to come.
    api_left: usize,
    /// When the last leg was over.
    over_at: Option<Timestamp>,
    run: Run,
}

impl<'a> Stage<'a> {
    fn new(script: &'a Script, application: &'a mut dyn Application) -> Self {
        let mut phones = BTreeMap::new();
        let family = if script.call.by_api {
            api_call(script, &mut phones)
        } else {
            inbound(script)
        };
        let mut stage = Self {
            script,
            application,
            family,
            now: START,
            queue: BTreeMap::new(),
            queued: 0,
            sides: BTreeMap::new(),
            phones,
            actors: Vec::new(),
            heard: BTreeMap::new(),
            media: Media::default(),
            ears: Ears::default(),
            asked: BTreeMap::new(),
            begun: BTreeSet::new(),
            out_of_time: false,
            api_left: script.api.len(),
            over_at: None,
            run: Run::new(START),
        };
        for (place, step) in script.api.iter().enumerate() {
            stage.later(step.at, Due::Api(place));
        }
        if !script.call.by_api {
            let root = stage.family.family().legs().next();
            stage.enter(Cast::Caller, root, &script.caller);
        }
        stage
    }

    fn play(&mut self) {
        loop {
            self.carry_out();
            self.act();
            if self.family.family().is_finished() {
                self.over_at.get_or_insert(self.now);
                // The API may ask for a call that is over, too.
                if self.api_left == 0 {
                    return;
                }
            }
            self.run.inputs += 1;
            if self.run.inputs > MAX_INPUTS {
                self.run
                    .fails(1, "the call goes round in circles".to_owned());
                return;
            }
            let due = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.family.family().poll_timeout();
            let limit = START + self.script.limit;
            match (due, timer) {
                _ if !self.out_of_time && first(due, timer).is_none_or(|at| at > limit) => {
                    self.ends_by_force(limit);
                }
                (None, None) => return,
                (Some(due), timer) if timer.is_none_or(|timer| due <= timer) => self.next(),
                (_, timer) => {
                    self.now = timer.map_or(self.now, |timer| self.now.max(timer));
                    self.family.handle_timeout(self.now);
                }
            }
        }
    }

    /// Nobody hangs up.
    fn ends_by_force(&mut self, limit: Timestamp) {
        self.out_of_time = true;
        self.now = self.now.max(limit);
        let text = format!(
            "the call was not over after {}: nobody hangs up",
            crate::expected::seconds(self.script.limit)
        );
        let legs: Vec<CallSid> = self.family.family().legs().collect();
        self.run.fails(1, text);
        for call in legs {
            self.tell(call, Event::Shutdown);
        }
    }

    fn next(&mut self) {
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        match due {
            Due::Tell(call, event) => self.tell(call, event),
            Due::FarSide(call, doing) => self.far_side_does(call, doing),
            Due::Said(word) => self.said(word),
            Due::Hushed(call, req, count) => self.hushed(call, req, count),
            Due::Wake => {}
            Due::Api(place) => self.api_does(place),
        }
    }

    /// The API changes the call of somebody.
    fn api_does(&mut self, place: usize) {
        self.api_left -= 1;
        let step = &self.script.api[place];
        match self.run.leg(&step.leg).map(|leg| leg.record.sid) {
            Some(call) => self.tell(call, Event::Modify(step.modify.clone())),
            None => {
                let at = crate::expected::seconds(step.at);
                let text = format!("there is no leg `{}` at {at}", step.leg);
                self.run.fails(step.line, text);
            }
        }
    }

    fn tell(&mut self, call: CallSid, event: Event) {
        if let Event::Media(call_proto::MediaEvent::PlayDone { play }) = &event {
            self.played(call, *play);
        }
        self.family.handle(call, event, self.now);
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), due);
    }

    fn tell_soon(&mut self, call: CallSid, event: Event) {
        self.later(Duration::ZERO, Due::Tell(call, event));
    }

    fn hears(&mut self, call: CallSid, heard: Heard) {
        self.heard.entry(call).or_default().push(heard);
    }

    fn notices(&mut self, call: CallSid, sense: Sense) {
        self.hears(call, Heard::moment(sense, self.now));
    }

    fn finish(&mut self) {
        self.run.length = self.over_at.unwrap_or(self.now).since(START);
        self.run.journal = self.family.take_lines();
        self.settle();
    }
}

fn first(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// Where a recording can be heard.
pub(crate) fn recording_address(account: AccountSid, recording: RecordingSid) -> String {
    let base = "http://patchcord.invalid/restcomm/2012-04-24";
    format!("{base}/Accounts/{account}/Recordings/{recording}.wav")
}

fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        instance: InstanceSid::from_bytes([0x1d; 16]),
        api_version: "2012-04-24".to_owned(),
        recording_address: RecordingAddress(Arc::new(recording_address)),
        max_redirects: 20,
        null_strings: false,
        recording_wait: Duration::from_secs(5),
    })
}

fn callback(script: &Script) -> Option<CallbackTarget> {
    let url = script.application.status_callback.clone()?;
    Some(CallbackTarget {
        url,
        method: script.application.status_callback_method,
        author: ACCOUNT,
    })
}

fn inbound(script: &Script) -> Recorder {
    let call = &script.call;
    let diversion = call.headers.iter().find(|(name, _)| name == "Diversion");
    let inbound = Inbound {
        max_forwards: 70,
        account: ACCOUNT,
        from: call.from.clone(),
        to: call.to.clone(),
        caller_name: call.name.clone(),
        forwarded_from: diversion.map(|(_, value)| commands::user_of(value)),
        headers: call.headers.clone(),
        sip_call_id: "call of the caller".to_owned(),
        number: None,
        sdp: Some("offer of the caller".to_owned()),
        script: Runs::Document(script.application.document.clone()),
        status_callback: callback(script),
        dialect: call.dialect,
    };
    Recorder::inbound(settings(), inbound, script.seed, START).0
}

fn api_call(script: &Script, phones: &mut BTreeMap<String, Party>) -> Recorder {
    let call = &script.call;
    let target = called(script);
    let willing = vec![Party::willing()];
    let parties = commands::parties(script, &target).unwrap_or(&willing);
    let outbound = OutboundApi {
        account: ACCOUNT,
        from: call.from.clone(),
        routes: commands::routes(&target, parties, phones),
        target,
        headers: call.headers.clone(),
        credentials: None,
        document: script.application.document.clone(),
        callback: callback(script).map(|target| LegCallback {
            target,
            events: None,
        }),
        timeout: call.timeout,
        dialect: call.dialect,
    };
    Recorder::outbound_api(settings(), outbound, script.seed, START).0
}

/// Whom the API calls. Unlike in the API itself, `client:` may be left out of a party's login.
fn called(script: &Script) -> Target {
    let to = &script.call.to;
    match Target::parse(to, Bare::ClientOrNumber) {
        Target::Named(name) if !number::is_dialable(&name) => Target::Client(name),
        Target::Named(_) => Target::parse(to, Bare::Number),
        target @ (Target::Client(_) | Target::Number(_) | Target::Sip(_)) => target,
    }
}
