//! The outcome of a run, in a form that tests can compare.

use std::collections::BTreeMap;

use call_proto::journal::{self, Line, Verdict};
use call_proto::routing::Refusal;
use call_proto::{
    Addressed, Command, Entry, Event, Fact, Farewell, Headers, Invite, LegCommand, ListenRequest,
    MessageFarewell, ModifyError,
};
use model::record::{CallRecord, Callback, Message, Notification, Recording, StartedRecording};
use model::{AccountSid, CallSid, HttpMethod, MessageSid, Timestamp};
use rehearse::{Happened, Watch};

use super::World;
use super::rules::Rules;
use super::scene::{Nothing, Routed};

/// Plays a world to its end.
pub(super) fn play(world: &World) -> Run {
    let mut run = Run::default();
    let mut scene = world.scene();
    match world.start() {
        Ok((start, challenged)) => {
            run.answered.extend(challenged.then_some("407".to_owned()));
            scene.calls.push(start);
        }
        Err(Routed::Refused(refusal, challenged)) => {
            run.answered.extend(challenged.then_some("407".to_owned()));
            run.answered.push(refusal.sip_status.to_string());
            run.refusal = Some(refusal);
            return run;
        }
        Err(Routed::Challenged | Routed::Runs(..)) => {
            run.answered.push("407".to_owned());
            return run;
        }
    }
    let mut observer = Observer {
        run,
        rules: Rules::default(),
    };
    let host = rehearse::play(&scene, &mut Nothing, &mut observer);
    observer.finish(host)
}

/// Observes every command, records what only tests need, and checks the rules.
struct Observer {
    run: Run,
    rules: Rules,
}

impl Watch for Observer {
    fn commands(&mut self, at: Timestamp, commands: &[Addressed]) {
        self.rules.batch(commands);
        for Addressed { call, command } in commands {
            match command {
                Command::Commit(facts) => facts.iter().for_each(|fact| self.run.fact(fact)),
                Command::Fetch { request, .. } => {
                    self.rules.asked(*call, &request.params);
                    let author = (at, *call, request.url.clone(), request.author);
                    self.run.authors.push(author);
                }
                Command::Load { url, author, .. } => self.run.loaded.push((url.clone(), *author)),
                Command::Listen { request, .. } => self.run.listened.push(request.clone()),
                Command::Leg(LegCommand::AnswerReinvite { sdp }) => {
                    self.run.reinvite_sdp = Some(sdp.clone());
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, _: Timestamp, call: CallSid, event: &Event) {
        self.rules.event(call, event);
    }
}

impl Observer {
    fn finish(self, host: rehearse::Run) -> Run {
        let Self { mut run, mut rules } = self;
        for failure in &host.failures {
            rules.broken(failure.text.clone());
        }
        for left in &host.left {
            rules.broken(left.clone());
        }
        rules.finish();
        run.broken = rules.into_broken();
        run.trace.clone_from(&host.trace);
        run.notifications.clone_from(&host.notifications);
        run.recordings.clone_from(&host.recordings);
        run.headers.clone_from(&host.own_headers);
        run.journal = host.journals.first().cloned().unwrap_or_default();
        for asked in &host.requests {
            let same = |(at, call, url, _): &&(Timestamp, CallSid, String, AccountSid)| {
                (*at, Some(*call), url) == (asked.at, asked.call, &asked.url)
            };
            let author = run.authors.iter().find(same).expect("it was a command");
            let path = asked.url.strip_prefix("http://app").unwrap_or(&asked.url);
            run.requests.push(Asked {
                at: asked.at,
                path: path.to_owned(),
                method: asked.method,
                params: asked.params.clone(),
                author: author.3,
            });
        }
        run.host = Some(host);
        run
    }
}

/// One request to the application.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) path: String,
    pub(crate) method: HttpMethod,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) author: AccountSid,
}

impl Asked {
    /// The value of a parameter.
    ///
    /// # Panics
    /// If it is missing or occurs twice.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &str {
        texts(&self.params, name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(known, _)| known == name)
    }

    /// Some parameters, in one text.
    #[track_caller]
    pub(crate) fn list(&self, names: &[&str]) -> String {
        let pairs = names
            .iter()
            .map(|name| format!("{name}={}", self.get(name)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// The value of a parameter that occurs exactly once.
#[track_caller]
pub(crate) fn texts<'a>(params: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = params.iter().filter(|(known, _)| known == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => value,
        (None, _) => panic!("no parameter `{name}` in {params:?}"),
        (Some(_), Some(_)) => panic!("parameter `{name}` twice in {params:?}"),
    }
}

#[derive(Default)]
pub(crate) struct Run {
    /// The host's observations; `None` if the call was refused before it began.
    host: Option<rehearse::Run>,
    /// Routing's own answers to K.
    answered: Vec<String>,
    /// Rules that were broken.
    pub(crate) broken: Vec<String>,
    requests: Vec<Asked>,
    /// The author of each request's address.
    authors: Vec<(Timestamp, CallSid, String, AccountSid)>,
    /// The requested sound files, and the authors of their addresses.
    pub(crate) loaded: Vec<(String, AccountSid)>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) started_recordings: Vec<StartedRecording>,
    /// The callbacks stored for the case of a crash.
    pub(crate) farewells: BTreeMap<CallSid, Farewell>,
    /// Ended text messages, and what was stored for each while it was pending.
    pub(crate) messages: Vec<Message>,
    pub(crate) message_farewells: BTreeMap<MessageSid, MessageFarewell>,
    pub(crate) notifications: Vec<Notification>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) trace: Vec<Entry>,
    /// All inputs and answers of the family; empty if there is none.
    pub(crate) journal: Vec<Line>,
    /// Headers for all messages of a leg.
    pub(crate) headers: BTreeMap<CallSid, Headers>,
    /// Why routing refused the call.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) reinvite_sdp: Option<String>,
    /// The recognitions requested.
    pub(crate) listened: Vec<ListenRequest>,
}

/// The journal helps when a test fails.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in &self.journal {
                eprintln!("{line:?}");
            }
        }
    }
}

impl Run {
    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Farewell { call, farewell } => {
                self.farewells.insert(*call, farewell.as_ref().clone());
            }
            Fact::MessageCreated { message, farewell } => {
                let kept = farewell
                    .as_ref()
                    .map(|kept| (message.sid, kept.as_ref().clone()));
                self.message_farewells.extend(kept);
            }
            Fact::MessageEnded { message, .. } => self.messages.push(message.as_ref().clone()),
            Fact::RecordingStarted { started, .. } => self.started_recordings.push(started.clone()),
            Fact::Callback(callback) => self.callbacks.push(callback.clone()),
            _ => {}
        }
    }

    /// Runs the journal again.
    ///
    /// # Panics
    /// With the first difference, if there is one.
    pub(crate) fn replay(&self) {
        if self.journal.is_empty() {
            return;
        }
        match journal::replay(&self.journal).expect("it is a journal") {
            Verdict::Identical { complete, .. } => assert!(complete),
            Verdict::Differs(difference) => panic!("{difference:#?}"),
        }
    }

    /// The same, from the stored form of the journal.
    pub(crate) fn replay_stored(&mut self) {
        let json = serde_json::to_string(&self.journal).expect("it can be written");
        self.journal = serde_json::from_str(&json).expect("it can be read");
        self.replay();
    }

    // Queries for tests.

    fn seconds(&self, at: Timestamp) -> String {
        let start = self.host().map_or(at, |host| host.started);
        let ms = at.since(start).as_millis();
        let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn timeline<'a>(&self, lines: impl Iterator<Item = (Timestamp, &'a str)>) -> String {
        lines
            .map(|(at, what)| format!("{} {what}", self.seconds(at)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn host(&self) -> Option<&rehearse::Run> {
        self.host.as_ref()
    }

    /// The events on the legs of a party.
    fn of_party<'a>(
        &'a self,
        name: &'a str,
        all: impl Fn(&'a rehearse::Run) -> &'a [Happened],
    ) -> Vec<(Timestamp, &'a str)> {
        let host = self.host().into_iter();
        let mine = host.flat_map(|host| {
            let is_mine = move |call| {
                let mut legs = host.legs.iter();
                legs.any(|leg| leg.record.sid == call && leg.party == name)
            };
            all(host).iter().filter(move |one| is_mine(one.call))
        });
        mine.map(|one| (one.at, one.what.as_str())).collect()
    }

    /// The messages sent to a party, and when, in seconds.
    pub(crate) fn to(&self, name: &str) -> String {
        let mut sent = self.of_party(name, |host| &host.sent);
        if name == "K" {
            let start = self.host().map_or(Timestamp(0), |host| host.started);
            let first = self.answered.iter().map(|what| (start, what.as_str()));
            sent.splice(0..0, first);
        }
        self.timeline(sent.into_iter())
    }

    /// What a party heard.
    pub(crate) fn heard(&self, name: &str) -> String {
        self.timeline(self.of_party(name, |host| &host.heard).into_iter())
    }

    /// Whether any two legs were joined.
    pub(crate) fn has_bridge(&self) -> bool {
        let mut heard = self.host().into_iter().flat_map(|host| &host.heard);
        heard.any(|one| one.what.starts_with("joins "))
    }

    /// The requests to the application.
    pub(crate) fn app(&self) -> String {
        let lines: Vec<(Timestamp, String)> = self
            .requests
            .iter()
            .map(|asked| (asked.at, format!("{} {}", asked.method, asked.path)))
            .collect();
        self.timeline(lines.iter().map(|(at, what)| (*at, what.as_str())))
    }

    /// The requests for a path.
    pub(crate) fn requests(&self, path: &str) -> Vec<&Asked> {
        let mine = self.requests.iter().filter(|asked| asked.path == path);
        mine.collect()
    }

    pub(crate) fn all_requests(&self) -> impl Iterator<Item = &Asked> {
        self.requests.iter()
    }

    pub(crate) fn all_records(&self) -> impl Iterator<Item = &CallRecord> {
        let host = self.host().into_iter();
        host.flat_map(|host| host.legs.iter().map(|leg| &leg.record))
    }

    /// The only request for a path.
    #[track_caller]
    pub(crate) fn request(&self, path: &str) -> &Asked {
        match self.requests(path)[..] {
            [asked] => asked,
            ref other => panic!("{} requests for {path}", other.len()),
        }
    }

    /// The last INVITE to a party.
    #[track_caller]
    pub(crate) fn invite(&self, name: &str) -> &Invite {
        let record = self.record(name);
        let host = self.host().expect("the call began");
        let found = host.invites.get(&record.sid);
        found.unwrap_or_else(|| panic!("no INVITE to {name}"))
    }

    /// The last record of K or of a called party.
    #[track_caller]
    pub(crate) fn record(&self, name: &str) -> &CallRecord {
        let found = self.host().and_then(|host| host.newest(name));
        &found
            .unwrap_or_else(|| panic!("no record of {name}"))
            .record
    }

    /// The last record of a party: status, talk time, ring time.
    #[track_caller]
    pub(crate) fn ended(&self, name: &str) -> String {
        let record = self.record(name);
        let talk = record.duration_s.unwrap_or(-1);
        match record.ring_duration_s {
            Some(ring) => format!("{} {talk} s, rang {ring} s", record.status),
            None => format!("{} {talk} s", record.status),
        }
    }

    /// The last record of a party: who ended it, why, and the remote party's reason.
    #[track_caller]
    pub(crate) fn blame(&self, name: &str) -> String {
        let record = self.record(name);
        let by = record.hangup_by.map_or("nobody", |by| by.as_str());
        let reason = record.reason.as_deref().unwrap_or_default();
        let said = record.sip_reason.as_deref().unwrap_or_default();
        let status = record.sip_status.map(|status| status.to_string());
        let status = status.unwrap_or_default();
        let text = format!("{by} {reason} {status} {said}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Number of legs.
    pub(crate) fn legs(&self) -> usize {
        self.all_records().count()
    }

    /// The replies to the API, and whose leg each was about.
    pub(crate) fn replies(&self) -> Vec<(&str, Result<(), ModifyError>)> {
        let Some(host) = self.host() else {
            return Vec::new();
        };
        let party = |call| host.legs.iter().find(|leg| leg.record.sid == call);
        let replies = host.replies.iter();
        replies
            .map(|(call, outcome)| (party(*call).map_or("", |leg| &leg.party), *outcome))
            .collect()
    }

    /// The codes of all notifications.
    pub(crate) fn codes(&self) -> Vec<u16> {
        self.notifications.iter().map(|found| found.code).collect()
    }

    /// One parameter of each callback to an address, in order.
    pub(crate) fn told(&self, url: &str, parameter: &str) -> Vec<&str> {
        let mine = self.callbacks.iter().filter(|callback| callback.url == url);
        mine.map(|callback| texts(&callback.params, parameter))
            .collect()
    }
}
