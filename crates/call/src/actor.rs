//! The task that owns a family: takes one input at a time, feeds the machines, carries out their
//! commands.
//!
//! Facts are committed before any later command is carried out, so nothing can act on a fact that a
//! crash would undo. Everything slow (requests, speech, look-ups) runs outside of the task and
//! comes back as an input. **Invariant: the task ends when the family is finished, and closes
//! everything it opened**; if something panics, it ends every leg (`perish`).

mod jobs;
mod legs;
mod media_side;
mod perish;

pub(crate) use media_side::pause_of;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use call_proto::journal::Recorder;
use call_proto::{
    Addressed, Ask, AudioFailure, Command, Departure, Event, Fact, Headers, Invite, Lane,
    LegCommand, MediaEvent, Modify, ModifyError, Parting, QueueRequest, Req, RoomInput,
    RoomRequest, Route, Unreachable,
};
use futures_util::FutureExt as _;
use media::{EndpointId, RecordingId, Report, Session, Track};
use model::record::CallRecord;
use model::{CallSid, QueueSid, RecordingSid};
use sip::LegId;
use store::{CallUpdate, Change};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument, error, info_span, warn};
use webhook::CookieJar;

use crate::books::Books;
use crate::clips::Clips;
use crate::clock::Clock;
use crate::engine::Shared;
use crate::listening::Listenings;
use crate::live::{Inbox, Replies};
use crate::records::Kept;
use crate::relays::Relays;
use crate::resolve::{By, Destination, Peers};
use crate::stand_ins::StandIns;
use crate::strangers::Place;
use crate::streams::Streams;
use crate::{facts, panics, resolve, rooms, sip_side};

/// Documents longer than this, in bytes, are parsed apart from the thread's other work.
const LONG_DOCUMENT: usize = 16 * 1024;

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

/// An input to a family from outside.
pub(crate) enum Input {
    /// For one of its calls.
    Event(CallSid, Event),
    /// For one of its calls, from a requester that waits for the reply.
    Ask(CallSid, Modify, Replies),
    /// Show the trace and the journal so far.
    Show(oneshot::Sender<Vec<u8>>),
    /// Routes, and where they lead.
    Resolved(CallSid, Req, Vec<Result<Vec<Route>, Unreachable>>, Peers),
    /// Audio that was loaded or spoken.
    Audio(CallSid, Req, Result<Arc<[i16]>, AudioFailure>),
}

/// The shell's state of one call, or of one of the phones that it rings.
struct Leg {
    leg: LegId,
    endpoint: EndpointId,
    jar: CookieJar,
    /// Headers for every message of the leg; the SIP side knows it only once there is an INVITE.
    headers: Headers,
    /// Finds out what has answered.
    detection: Option<RecordingId>,
    /// Whether it has a record; a branch has none.
    recorded: bool,
    /// Whether its endpoint was opened.
    opened: bool,
}

/// The host that an inbound leg's INVITE came from.
#[derive(Clone, Copy)]
pub(crate) struct CallerHost {
    pub(crate) host: std::net::IpAddr,
    /// Whether it is a trunk or an authenticated client.
    pub(crate) proved: bool,
}

/// The start of a family.
pub(crate) struct Start {
    pub(crate) family: Recorder,
    /// The clock on which the family started.
    pub(crate) clock: Clock,
    /// SIP leg of the root, if it is inbound, with its source.
    pub(crate) inbound: Option<(CallSid, LegId, CallerHost)>,
    /// Held as long as the family lives, if the caller is a stranger.
    pub(crate) place: Option<Place>,
    /// The peers that the routes of the first legs lead to.
    pub(crate) peers: Peers,
    /// Dialog of the root as JSON, if it is inbound: stored before the call is answered.
    pub(crate) dialog: Option<String>,
    /// Root, for the trace and the log.
    pub(crate) root: CallSid,
    /// Receives the records of the first legs once they are committed.
    pub(crate) committed: Option<oneshot::Sender<Vec<CallRecord>>>,
}

struct Actor {
    shared: Arc<Shared>,
    family: Recorder,
    clock: Clock,
    root: CallSid,
    inbox: Inbox,
    sip_events: sip::LegEvents,
    session: Session,
    legs: HashMap<CallSid, Leg>,
    calls_of_legs: HashMap<LegId, CallSid>,
    calls_of_endpoints: HashMap<EndpointId, CallSid>,
    source: Option<CallerHost>,
    /// Held to the end, if the caller is a stranger.
    place: Option<Place>,
    /// The remote parties of legs that a test account called.
    stand_ins: StandIns,
    /// Pending text messages.
    messages: HashMap<LegId, (CallSid, Req)>,
    /// Requesters waiting for a reply. Dropping one reports that the call has ended.
    asked: BTreeMap<Ask, Replies>,
    /// Number of requests so far.
    asks: u64,
    recordings: HashMap<RecordingId, RecordingSid>,
    /// Endpoints that have reported their counters.
    counted: usize,
    clips: Clips,
    dialogs: BTreeMap<CallSid, String>,
    peers: Peers,
    jobs: JoinSet<()>,
    listenings: Listenings,
    streams: Streams,
    relays: Relays,
    committed: Option<oneshot::Sender<Vec<CallRecord>>>,
    books: Books,
    /// Counters not yet stored.
    closed: Vec<Change>,
    /// Legs that another server has ended on record; their machines do not know it yet.
    lost: BTreeSet<model::Lane>,
    /// The rooms that its calls requested to join, by the number of the membership.
    memberships: BTreeMap<Req, (CallSid, rooms::Key)>,
    /// The places in queues, and the requests for the calls in them.
    places: BTreeMap<Req, (CallSid, QueueSid)>,
}

/// Runs a family to its end. The caller has already counted it in.
pub(crate) fn spawn(shared: Arc<Shared>, start: Start) {
    let span = info_span!("call", sid = %start.root);
    tokio::spawn(run(shared, start).instrument(span));
}

async fn run(shared: Arc<Shared>, start: Start) {
    let (inbox, inputs) = mpsc::unbounded_channel();
    let (sip_events, from_sip) = mpsc::unbounded_channel();
    let (reports, from_media) = mpsc::unbounded_channel();
    let session = shared.parts.media.session(reports);
    let mut actor = Actor {
        shared: Arc::clone(&shared),
        family: start.family,
        clock: start.clock,
        root: start.root,
        inbox,
        sip_events,
        session,
        legs: HashMap::new(),
        calls_of_legs: HashMap::new(),
        calls_of_endpoints: HashMap::new(),
        source: start.inbound.map(|(_, _, source)| source),
        place: start.place,
        stand_ins: StandIns::default(),
        messages: HashMap::new(),
        asked: BTreeMap::new(),
        asks: 0,
        recordings: HashMap::new(),
        counted: 0,
        clips: Clips::default(),
        dialogs: start
            .dialog
            .map(|dialog| (start.root, dialog))
            .into_iter()
            .collect(),
        peers: start.peers,
        jobs: JoinSet::new(),
        listenings: Listenings::default(),
        streams: Streams::default(),
        relays: Relays::default(),
        committed: start.committed,
        books: Books::new(&shared.records, start.clock),
        closed: Vec::new(),
        lost: BTreeSet::new(),
        memberships: BTreeMap::new(),
        places: BTreeMap::new(),
    };
    if let Some((call, leg, _)) = start.inbound {
        actor.open_leg(call, leg);
    }
    let mut ears = Ears {
        inputs,
        from_sip,
        from_media,
    };
    // After a panic the rest of the actor is used only for what it knows.
    let lived = AssertUnwindSafe(actor.live(&mut ears)).catch_unwind().await;
    let lived = lived.unwrap_or_else(Err);
    match lived.map_err(|panic| panics::words(panic.as_ref()).to_owned()) {
        Ok(()) => actor.end(&mut ears.from_media).await,
        Err(panic) => actor.perish(&panic).await,
    }
    shared.live.leave();
}

/// The sources of inputs.
struct Ears {
    inputs: mpsc::UnboundedReceiver<Input>,
    from_sip: mpsc::UnboundedReceiver<(LegId, sip::LegEvent)>,
    from_media: mpsc::UnboundedReceiver<(EndpointId, Report)>,
}

fn has_long_document(event: &Event) -> bool {
    match event {
        Event::Fetched {
            result: Ok(fetched),
            ..
        } => fetched.body.len() > LONG_DOCUMENT,
        _ => false,
    }
}

/// The leg that a fact creates.
fn creates(fact: &Fact) -> Option<CallSid> {
    match fact {
        Fact::Created(record) => Some(record.sid),
        _ => None,
    }
}

impl Actor {
    /// Runs the family until it is finished.
    ///
    /// # Errors
    /// The payload of a panic in a job: its answer will never come.
    async fn live(&mut self, ears: &mut Ears) -> Result<(), Panic> {
        loop {
            self.carry_out().await;
            if self.family.family().is_finished() {
                return Ok(());
            }
            // The answer of an outbound leg follows its dialog and is stored with it.
            if ears.from_sip.is_empty() {
                self.keep_the_rest().await;
                if !self.lost.is_empty() {
                    continue;
                }
            }
            let times = [
                self.family.family().poll_timeout(),
                self.stand_ins.poll_timeout(),
            ];
            let wake = times.into_iter().flatten().min();
            tokio::select! {
                Some((leg, event)) = ears.from_sip.recv() => self.hear_sip(leg, event),
                Some((endpoint, report)) = ears.from_media.recv() => {
                    self.hear_media(endpoint, report);
                }
                Some(input) = ears.inputs.recv() => self.input(input),
                () = self.clock.sleep_until(wake) => self.handle_timeout(),
                // Keeps finished jobs from piling up.
                Some(job) = self.jobs.join_next() => {
                    if let Err(failed) = job && failed.is_panic() {
                        return Err(failed.into_panic());
                    }
                }
            }
        }
    }

    /// A time has come, of the family or of a stand-in.
    fn handle_timeout(&mut self) {
        let now = self.clock.now();
        for (call, event) in self.stand_ins.handle_timeout(now) {
            self.family.handle(call, event, now);
        }
        if self
            .family
            .family()
            .poll_timeout()
            .is_some_and(|at| at <= now)
        {
            self.family.handle_timeout(now);
        }
    }

    fn hear_sip(&mut self, leg: LegId, event: sip::LegEvent) {
        if let sip::LegEvent::MessageDone { status, reason } = event {
            if let Some((call, req)) = self.messages.remove(&leg) {
                self.message_answered(call, req, status, reason);
            }
            return;
        }
        let Some(call) = self.calls_of_legs.get(&leg).copied() else {
            return;
        };
        if let sip::LegEvent::Dialog(snapshot) = &event {
            self.dialogs
                .extend(sip_side::kept(snapshot).map(|json| (call, json)));
        }
        let settles = matches!(
            event,
            sip::LegEvent::Acked { .. }
                | sip::LegEvent::Canceled
                | sip::LegEvent::NoAck
                | sip::LegEvent::Bye { .. }
                | sip::LegEvent::Lost
        );
        if settles
            && call == self.root
            && let Some(place) = &mut self.place
        {
            place.confirm();
        }
        if let sip::LegEvent::HeaderRefused { name } = &event {
            self.note(call, Lane::Sip, "header left out", name);
        }
        let replaced = |leg| self.shared.live.call_of(leg);
        if let Some(event) = sip_side::event(event, replaced) {
            self.family
                .handle(call, Event::Leg(event), self.clock.now());
        }
    }

    fn hear_media(&mut self, endpoint: EndpointId, report: Report) {
        let Some(call) = self.calls_of_endpoints.get(&endpoint).copied() else {
            return;
        };
        match report {
            Report::Marked { play, mark } => self.streams.marked(endpoint, play, mark),
            Report::Overflow { play, samples } => {
                self.streams.unplayed(endpoint, play, samples);
            }
            _ => {}
        }
        self.note_opened(endpoint, &report);
        if let Some(event) = self.media_event(report) {
            if let MediaEvent::Closed(counts) = event {
                self.count(call, counts);
            }
            self.family
                .handle(call, Event::Media(event), self.clock.now());
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            // Parsing a long document takes long enough to disturb others.
            Input::Event(call, event) if has_long_document(&event) => {
                tokio::task::block_in_place(|| self.family.handle(call, event, self.clock.now()));
            }
            Input::Event(call, event) => self.family.handle(call, event, self.clock.now()),
            Input::Ask(call, modify, replies) => {
                self.asks += 1;
                let ask = Ask(self.asks);
                self.asked.insert(ask, replies);
                self.family
                    .handle(call, Event::Ask { ask, modify }, self.clock.now());
            }
            Input::Show(replies) => match self.books.so_far() {
                // The asker may have stopped waiting.
                Ok(blob) => drop(replies.send(blob)),
                Err(error) => warn!(%error, "a trace could not be packed"),
            },
            Input::Resolved(call, req, routes, peers) => {
                self.peers.extend(peers);
                self.family
                    .handle(call, Event::Resolved { req, routes }, self.clock.now());
            }
            Input::Audio(call, req, result) => {
                let result = result.map(|samples| self.clips.keep(samples));
                self.family
                    .handle(call, Event::Audio { req, result }, self.clock.now());
            }
        }
    }

    async fn carry_out(&mut self) {
        loop {
            let commands = self.family.poll_commands();
            if commands.is_empty() && self.lost.is_empty() {
                self.keep_journal();
                return;
            }
            let (mut refused, mut unopened) = (BTreeSet::new(), BTreeSet::new());
            for Addressed { call, command } in commands {
                match command {
                    Command::Commit(facts) => refused = self.commit(facts).await,
                    Command::Trace(entry) => self.books.trace(entry),
                    // It has no record: nothing may learn of it, nor of its phones.
                    Command::OpenBranch { branch } if refused.contains(&call.into()) => {
                        unopened.insert(branch);
                    }
                    _ if refused.contains(&call.into()) || unopened.contains(&call) => {}
                    command => self.command(call, command),
                }
            }
            for call in refused.into_iter().filter_map(model::Lane::call) {
                self.family
                    .handle(call, Event::NotRecorded, self.clock.now());
            }
            for call in std::mem::take(&mut self.lost)
                .into_iter()
                .filter_map(model::Lane::call)
            {
                self.family
                    .handle(call, Event::EndedElsewhere, self.clock.now());
            }
        }
    }

    fn keep_journal(&mut self) {
        let lines = self.family.take_lines();
        if !self.books.journal(lines) {
            self.family.stop();
        }
    }

    fn command(&mut self, call: CallSid, command: Command) {
        match command {
            Command::Commit(_) | Command::Trace(_) => {} // Carried out by the caller.
            Command::Resolve {
                req,
                author,
                account,
                traffic,
                from,
                targets,
            } => {
                let by = By {
                    author,
                    account,
                    traffic,
                };
                self.resolve((call, req), (by, from), targets);
            }
            Command::Fetch { req, request } => self.fetch(call, req, request),
            Command::Speak {
                req,
                text,
                parts,
                voice,
                language,
            } => {
                let voice = crate::audio::voice(voice);
                if let Some(note) = self.shared.parts.speech.substitution(&language, voice) {
                    self.note(call, Lane::Media, "another voice", &note);
                }
                let shared = Arc::clone(&self.shared);
                self.audio_job(call, req, async move {
                    crate::audio::speak(&shared, text, parts, voice, language).await
                });
            }
            Command::Load { req, url, author } => {
                let shared = Arc::clone(&self.shared);
                let Some(jar) = self.leg(call).map(|leg| leg.jar.clone()) else {
                    return;
                };
                self.audio_job(call, req, async move {
                    crate::audio::load(&shared, author, &url, &jar).await
                });
            }
            Command::Listen { req, request } => self.listen(call, req, Track::Heard, request),
            Command::Overhear { req, request } => self.listen(call, req, Track::Sent, request),
            Command::EndOfSpeech { req } => self.listenings.end_of_speech(req, &self.session),
            Command::StopListening { req } => self.listenings.stop(req, &self.session),
            Command::Stream(command) => self.stream_command(call, command),
            Command::Relay(command) => self.relay_command(call, command),
            Command::SendMessage { req, message } => self.send_message(call, req, *message),
            Command::Room(request) => self.ask_room(call, request),
            Command::Queue(request) => self.ask_queue(call, request),
            Command::HandOver {
                req,
                from,
                account,
                queue,
            } => {
                let asked = Event::HandOver {
                    asker: call,
                    account,
                    req,
                    queue,
                };
                if !self.shared.live.tell(from, asked) {
                    let accepted = false;
                    let refused = Event::HandedOver { req, accepted };
                    self.family.handle(call, refused, self.clock.now());
                }
            }
            Command::AnswerHandOver {
                asker,
                req,
                accepted,
            } => {
                // If the call that asked has ended, the party waits for nobody, and ends too.
                let answer = Event::HandedOver { req, accepted };
                let _ = self.shared.live.tell(asker, answer);
            }
            Command::Leg(command) => self.leg_command(call, command),
            Command::Media(command) => self.media_command(call, command),
            Command::Reply { ask, outcome } => {
                if let Some(asker) = self.asked.remove(&ask) {
                    let confirmed = if self.books.wait() {
                        Err(ModifyError::Unconfirmed)
                    } else {
                        Ok(())
                    };
                    // The requester may have stopped waiting.
                    let _ = asker.send(outcome.and_then(|changed| confirmed.map(|()| changed)));
                }
            }
            Command::OpenBranch { branch } => self.open_branch(branch),
            Command::TakeOver { branch } => self.take_over(call, branch),
            Command::Forget => self.shared.live.remove(call),
        }
    }

    /// Commits facts; returns the legs whose records cannot be stored.
    async fn commit(&mut self, facts: Vec<Fact>) -> BTreeSet<model::Lane> {
        facts.iter().for_each(facts::log);
        let created: Vec<CallSid> = facts.iter().filter_map(creates).collect();
        let changes = facts::changes(facts, &mut self.dialogs);
        let records = match self.committed {
            Some(_) => facts::created(&changes),
            None => Vec::new(),
        };
        let refused = match self.books.write(changes, self.root.into()).await {
            Kept::Now => BTreeSet::new(),
            Kept::Lost(lost) => {
                self.lost.extend(lost);
                BTreeSet::new()
            }
            Kept::Late(refused) | Kept::Never(refused) => refused,
        };
        for call in created {
            if !refused.contains(&call.into()) && !self.legs.contains_key(&call) {
                let leg = self.shared.parts.sip.new_leg(self.sip_events.clone());
                self.open_leg(call, leg);
            }
        }
        // Dropping it reports that the call does not exist.
        if let Some(committed) = self.committed.take()
            && refused.is_empty()
        {
            let _ = committed.send(records);
        }
        refused
    }

    /// Stores the dialogs that were not stored with an answer (their remote parties must get a BYE
    /// after a crash), and the counters of closed media.
    async fn keep_the_rest(&mut self) {
        let dialogs = self.own_dialogs();
        if dialogs.is_empty() && self.closed.is_empty() {
            return;
        }
        let at = self.clock.now();
        let update = |(sid, dialog)| {
            Change::CallUpdated(Box::new(CallUpdate {
                sid,
                at,
                muted: None,
                sip_call_id: None,
                answered_by: None,
                dialog: Some(dialog),
            }))
        };
        let dialogs = dialogs.into_iter().map(update);
        let closed = std::mem::take(&mut self.closed);
        let changes = dialogs.chain(closed).collect();
        if let Kept::Lost(lost) = self.books.write(changes, self.root.into()).await {
            self.lost.extend(lost);
        }
    }

    fn leg_command(&mut self, call: CallSid, command: LegCommand) {
        let Some(leg) = self.leg(call).map(|leg| leg.leg) else {
            return;
        };
        match command {
            LegCommand::Invite(invite) => self.invite(call, leg, *invite),
            other if self.stand_ins.has(call) => {
                self.stand_ins.command(call, &other, self.clock.now());
            }
            other => {
                if let (LegCommand::Headers(headers), Some(leg)) =
                    (&other, self.legs.get_mut(&call))
                {
                    leg.headers.clone_from(headers);
                }
                if let Some(command) = sip_side::command(other) {
                    self.shared.parts.sip.send(leg, command);
                }
            }
        }
    }

    fn invite(&mut self, call: CallSid, leg: LegId, invite: Invite) {
        let peer = match self.peers.get(resolve::key(&invite.route.via)) {
            Some(Destination::Sip(peer)) => *peer,
            Some(Destination::StandIn(conduct)) => {
                let (offer, now) = (&invite.sdp, self.clock.now());
                return self.stand_ins.invite(call, *conduct, offer, now);
            }
            None => {
                let uri = model::address::redacted_sip(&invite.route.uri);
                error!(call.sid = %call, uri, "a route leads nowhere");
                return;
            }
        };
        let headers = self.legs.get(&call).map(|leg| leg.headers.clone());
        let spec = sip_side::invite(invite, headers.unwrap_or_default(), peer);
        self.shared
            .parts
            .sip
            .send(leg, sip::LegCommand::Invite(Box::new(spec)));
    }

    fn send_message(&mut self, call: CallSid, req: Req, message: call_proto::OutgoingMessage) {
        let peer = match self.peers.get(resolve::key(&message.route.via)) {
            Some(Destination::Sip(peer)) => *peer,
            Some(Destination::StandIn(conduct)) => {
                let status = conduct.message_status();
                return self.message_answered(call, req, status, String::new());
            }
            None => {
                let reason = "the route leads nowhere".to_owned();
                return self.message_answered(call, req, 503, reason);
            }
        };
        let leg = self.shared.parts.sip.new_leg(self.sip_events.clone());
        self.messages.insert(leg, (call, req));
        let spec = Box::new(sip_side::message(message, peer));
        self.shared
            .parts
            .sip
            .send(leg, sip::LegCommand::Message(spec));
    }

    fn message_answered(&mut self, call: CallSid, req: Req, status: u16, reason: String) {
        let event = Event::MessageAnswered {
            req,
            status,
            reason,
        };
        self.family.handle(call, event, self.clock.now());
    }

    fn ask_room(&mut self, call: CallSid, request: RoomRequest) {
        let req = request.req();
        let key = match &request {
            RoomRequest::Join { account, name, .. } => {
                let key = (*account, name.clone());
                self.memberships.insert(req, (call, key.clone()));
                Some(key)
            }
            RoomRequest::Leave { .. } => self.memberships.remove(&req).map(|(_, key)| key),
            RoomRequest::Change { .. } | RoomRequest::Announced { .. } => {
                let known = self.memberships.get(&req);
                known.map(|(_, key)| key.clone())
            }
        };
        if let Some(key) = key {
            let input = request.into_input(call);
            self.shared.rooms.tell(&self.shared, &key, input);
        }
    }

    fn ask_queue(&mut self, call: CallSid, request: QueueRequest) {
        let (req, queue) = match &request {
            QueueRequest::Find {
                req,
                account,
                name,
                create,
            } => return self.find_queue(call, *req, (*account, name.clone()), *create),
            QueueRequest::Enter { req, queue, .. } | QueueRequest::Take { req, queue, .. } => {
                self.places.insert(*req, (call, *queue));
                (*req, *queue)
            }
            QueueRequest::Ready { req, queue }
            | QueueRequest::Pass { req, queue, .. }
            | QueueRequest::Leave { req, queue, .. } => (*req, *queue),
        };
        if let QueueRequest::Leave { .. } = request {
            self.places.remove(&req);
        }
        let (live, now) = (&self.shared.live, self.clock.now());
        let tells = |call, event| live.tell(call, event);
        self.shared
            .queues
            .handle(tells, (call, queue), request, now);
    }

    /// Leaves every room and queue at the end of a family; without effect on those already left.
    fn leave_meetings(&mut self) {
        for (req, (call, queue)) in std::mem::take(&mut self.places) {
            let why = Parting::HungUp;
            self.ask_queue(
                call,
                QueueRequest::Leave {
                    req,
                    queue,
                    met: true,
                    why,
                },
            );
        }
        for (req, (member, key)) in std::mem::take(&mut self.memberships) {
            let why = Departure::Lost;
            let input = RoomInput::Leave { member, req, why };
            self.shared.rooms.tell(&self.shared, &key, input);
        }
    }

    fn note(&mut self, call: CallSid, lane: Lane, what: &str, detail: &str) {
        self.books.note(call.into(), lane, what, detail);
    }

    /// Collects the last counters of the endpoints, then stores the trace.
    async fn end(mut self, from_media: &mut mpsc::UnboundedReceiver<(EndpointId, Report)>) {
        let endpoints = self.legs.values().filter(|leg| leg.opened).count();
        let mut open = endpoints.saturating_sub(self.counted);
        while open > 0 {
            let report = tokio::time::timeout(Duration::from_millis(200), from_media.recv()).await;
            let Ok(Some((endpoint, report))) = report else {
                break;
            };
            if let Report::Closed { stats } = report {
                open -= 1;
                if let Some(sid) = self.calls_of_endpoints.get(&endpoint).copied() {
                    let counts = media_side::counts_of(&stats);
                    let text = call_proto::counts_text(&counts);
                    self.note(sid, Lane::Media, "closed", &text);
                    self.count(sid, counts);
                }
            }
        }
        for leg in self.legs.values() {
            self.shared.parts.sip.forget(leg.leg);
        }
        for call in self.legs.keys() {
            self.shared.live.remove(*call);
        }
        self.leave_meetings();
        let changes = std::mem::take(&mut self.closed);
        self.books.close(self.root.into(), changes).await;
    }
}
