//! The conference rooms of this process, and the task that runs one.
//!
//! A room is found by its account and name; the first request creates it. **Invariant: a call's
//! requests reach the room in order, and a request too late for a room that has ended goes to a new
//! one**: both are decided under the lock of [`Rooms`].

mod tape;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use call_proto::journal::RoomRecorder;
use call_proto::{
    Ask, Changed, Departure, Event, Fact, LONGEST_CONFERENCE, ModifyError, RecordingChange, Req,
    RoomCommand, RoomEnd, RoomEvent, RoomInput, RoomOpening,
};
use futures_util::FutureExt as _;
use media::MixId;
use model::{AccountSid, CallSid, ConferenceSid};
use store::{Change, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, error, info_span};

use crate::books::Books;
use crate::clock::Clock;
use crate::engine::Shared;
use crate::live::Replies;
use crate::records::Kept;
use crate::{closing, facts, live, panics};
use tape::Tape;

/// How long a request to end a conference waits: longer than a slow disk takes.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Identifies an open room.
pub(crate) type Key = (AccountSid, String);

/// The open rooms.
#[derive(Default)]
pub(crate) struct Rooms {
    open: Mutex<HashMap<Key, Handle>>,
    tasks: AtomicUsize,
}

struct Handle {
    sid: ConferenceSid,
    inbox: mpsc::UnboundedSender<Message>,
}

/// What a room's task receives.
enum Message {
    Input(RoomInput),
    /// The API requests a change of the recording.
    Ask(RecordingChange, Replies),
}

impl From<RoomInput> for Message {
    fn from(input: RoomInput) -> Self {
        Self::Input(input)
    }
}

impl Rooms {
    /// Number of running tasks, including ended conferences whose last records are being written.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }

    /// Ends every conference.
    pub(crate) fn shut_down(&self) {
        for room in self.lock().values() {
            // A task that has just ended needs no shutdown.
            let _ = room.inbox.send(RoomInput::Shutdown.into());
        }
    }

    /// Ends a conference, and waits until its task has recorded that; false if it is not open here,
    /// or did not end in time.
    pub(crate) async fn end(&self, sid: ConferenceSid) -> bool {
        let Some(inbox) = self.inbox(sid) else {
            return false;
        };
        // A task that has just ended needs no request.
        let _ = inbox.send(RoomInput::End.into());
        tokio::time::timeout(ENDS_WITHIN, inbox.closed())
            .await
            .is_ok()
    }

    /// Changes the recording of a conference. Returns once the change is made and stored, or refused.
    ///
    /// # Errors
    /// As [`Live::ask`](crate::live::Live::ask).
    pub(crate) async fn change_recording(
        &self,
        sid: ConferenceSid,
        change: RecordingChange,
    ) -> Result<Changed, ModifyError> {
        let inbox = self.inbox(sid).ok_or(ModifyError::NotLive)?;
        let (replies, reply) = oneshot::channel();
        let asked = inbox.send(Message::Ask(change, replies));
        asked.map_err(|_| ModifyError::NotLive)?;
        drop(inbox);
        live::replied(reply).await
    }

    /// The way to the task of an open conference.
    fn inbox(&self, sid: ConferenceSid) -> Option<mpsc::UnboundedSender<Message>> {
        let open = self.lock();
        let found = open.values().find(|room| room.sid == sid);
        found.map(|room| room.inbox.clone())
    }

    /// Sends a call's request to the open room with this key; a request to join creates the room if
    /// needed, and any other request without a room has no effect.
    pub(crate) fn tell(&self, shared: &Arc<Shared>, key: &Key, input: RoomInput) {
        self.tell_locked(&mut self.lock(), shared, key, input);
    }

    fn tell_locked(
        &self,
        open: &mut HashMap<Key, Handle>,
        shared: &Arc<Shared>,
        key: &Key,
        input: RoomInput,
    ) {
        let undelivered = match open.get(key) {
            Some(room) => match room.inbox.send(input.into()) {
                Ok(()) => return,
                Err(mpsc::error::SendError(Message::Input(back))) => back,
                Err(mpsc::error::SendError(Message::Ask(..))) => return, // It was an input.
            },
            None => input,
        };
        if let RoomInput::Join { .. } = undelivered {
            let room = self.start(shared, key, undelivered);
            open.insert(key.clone(), room);
        }
    }

    fn start(&self, shared: &Arc<Shared>, key: &Key, first: RoomInput) -> Handle {
        let (inbox, inputs) = mpsc::unbounded_channel();
        let clock = Clock::start();
        let now = clock.now();
        let (account, name) = key.clone();
        let opening = RoomOpening {
            sid: ConferenceSid::new(now, rand::random()),
            instance: shared.settings.instance,
            account,
            name,
            life: LONGEST_CONFERENCE,
            seed: rand::random(),
        };
        let sid = opening.sid;
        let room = RoomRecorder::new(opening, &shared.settings, now);
        // The inbox is open: its other end belongs to the task.
        let _ = inbox.send(first.into());
        let task = Task {
            shared: Arc::clone(shared),
            room,
            clock,
            books: Books::new(&shared.records, clock),
            tape: None,
            asked: BTreeMap::new(),
            asks: 0,
            members: BTreeMap::new(),
        };
        self.tasks.fetch_add(1, Ordering::Relaxed);
        let span = info_span!("conference", sid = %sid);
        tokio::spawn(run(task, sid, key.clone(), inputs).instrument(span));
        Handle { sid, inbox }
    }

    /// Forgets a room that has ended. Requests received since go to the next room with its name.
    fn close(
        &self,
        shared: &Arc<Shared>,
        key: &Key,
        sid: ConferenceSid,
        inputs: &mut mpsc::UnboundedReceiver<Message>,
    ) {
        let mut open = self.lock();
        if open.get(key).is_some_and(|room| room.sid == sid) {
            open.remove(key);
        }
        while let Ok(message) = inputs.try_recv() {
            match message {
                Message::Input(input) if input.outlives_the_room() => {
                    self.tell_locked(&mut open, shared, key, input);
                }
                // The requester learns that the conference is over.
                Message::Input(_) | Message::Ask(..) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    shared: Arc<Shared>,
    room: RoomRecorder,
    clock: Clock,
    books: Books,
    /// The recording, once it has begun.
    tape: Option<Tape>,
    /// Requests of the API that wait for their reply.
    asked: BTreeMap<Ask, Replies>,
    asks: u64,
    /// The calls that requested to join and were not refused, for the case that the machine cannot
    /// be used.
    members: BTreeMap<CallSid, Req>,
}

async fn run(
    mut task: Task,
    sid: ConferenceSid,
    key: Key,
    mut inputs: mpsc::UnboundedReceiver<Message>,
) {
    let shared = Arc::clone(&task.shared);
    // After a panic the rest of the task is used only for what it knows.
    let lived = AssertUnwindSafe(task.live(&mut inputs))
        .catch_unwind()
        .await;
    let lived = match lived {
        Ok(()) => {
            shared.rooms.close(&shared, &key, sid, &mut inputs);
            // Nobody waits for a recording to be closed.
            drop(inputs);
            AssertUnwindSafe(task.close_recording())
                .catch_unwind()
                .await
        }
        Err(panic) => {
            shared.rooms.close(&shared, &key, sid, &mut inputs);
            Err(panic)
        }
    };
    let last = match lived {
        Ok(()) => Vec::new(),
        Err(panic) => task.fail(sid, panics::words(panic.as_ref())).await,
    };
    task.books.close(sid.into(), last).await;
    shared.rooms.tasks.fetch_sub(1, Ordering::Relaxed);
    shared.live.has_changed();
}

impl Task {
    async fn live(&mut self, inputs: &mut mpsc::UnboundedReceiver<Message>) {
        loop {
            self.carry_out().await;
            if self.room.room().is_over() {
                return;
            }
            let wake = self.room.room().poll_timeout();
            tokio::select! {
                Some(message) = inputs.recv() => match message {
                    Message::Input(input) => self.handle(input),
                    Message::Ask(change, replies) => self.ask(change, replies),
                },
                input = Tape::next(&mut self.tape) => self.handle(input),
                () = self.clock.sleep_until(wake) => self.room.handle_timeout(self.clock.now()),
            }
        }
    }

    /// The conference is over: waits for its recording.
    async fn close_recording(&mut self) {
        loop {
            self.carry_out().await;
            if self.room.room().is_finished() {
                return;
            }
            let wake = self.room.room().poll_timeout();
            tokio::select! {
                input = Tape::next(&mut self.tape) => self.handle(input),
                () = self.clock.sleep_until(wake) => self.room.handle_timeout(self.clock.now()),
            }
        }
    }

    fn ask(&mut self, change: RecordingChange, replies: Replies) {
        self.asks += 1;
        let ask = Ask(self.asks);
        self.asked.insert(ask, replies);
        self.handle(RoomInput::ChangeRecording { ask, change });
    }

    fn handle(&mut self, input: RoomInput) {
        match &input {
            RoomInput::Join { member, req, .. } => {
                self.members.insert(*member, *req);
            }
            RoomInput::Leave { member, req, .. } if self.members.get(member) == Some(req) => {
                self.members.remove(member);
            }
            RoomInput::Leave { .. }
            | RoomInput::Change { .. }
            | RoomInput::Announced { .. }
            | RoomInput::End
            | RoomInput::ChangeRecording { .. }
            | RoomInput::Recorded { .. }
            | RoomInput::RecordFailed { .. }
            | RoomInput::NotRecorded
            | RoomInput::Shutdown => {}
        }
        self.room.handle(input, self.clock.now());
    }

    async fn carry_out(&mut self) {
        loop {
            let commands = self.room.poll_commands();
            if commands.is_empty() {
                break;
            }
            for command in commands {
                match command {
                    RoomCommand::Commit(facts) => {
                        if !self.commit(facts).await {
                            self.room.handle(RoomInput::NotRecorded, self.clock.now());
                            break; // No family may act on it.
                        }
                    }
                    RoomCommand::Tell { member, req, event } => self.tell(member, req, event),
                    RoomCommand::Record { recording, trim } => {
                        let mix = mix_of(self.room.room().sid());
                        self.tape = Some(Tape::start(&self.shared, mix, recording, trim));
                    }
                    RoomCommand::PauseRecord { pause, .. } => {
                        self.tape.iter().for_each(|tape| tape.pause(pause));
                    }
                    RoomCommand::Reply { ask, outcome } => self.reply(ask, outcome),
                    RoomCommand::StopRecord { .. } => {
                        self.tape.iter().for_each(Tape::stop);
                    }
                    RoomCommand::Trace(entry) => self.books.trace(entry),
                }
            }
        }
        let lines = self.room.take_lines();
        if !self.books.journal(lines) {
            self.room.stop();
        }
    }

    fn reply(&mut self, ask: Ask, outcome: Result<Changed, ModifyError>) {
        if let Some(asker) = self.asked.remove(&ask) {
            let outcome = match self.books.wait() {
                true => outcome.and(Err(ModifyError::Unconfirmed)),
                false => outcome,
            };
            // The requester may have stopped waiting.
            let _ = asker.send(outcome);
        }
    }

    /// Commits facts; false if the conference itself cannot be recorded.
    async fn commit(&mut self, facts: Vec<Fact>) -> bool {
        let creates = facts
            .iter()
            .any(|fact| matches!(fact, Fact::ConferenceCreated(_)));
        facts.iter().for_each(facts::log);
        let changes = facts::changes(facts, &mut BTreeMap::new());
        let owner = self.room.room().sid().into();
        match self.books.write(changes, owner).await {
            Kept::Now | Kept::Lost(_) => true,
            Kept::Late(_) | Kept::Never(_) => !creates,
        }
    }

    fn tell(&mut self, member: CallSid, req: Req, event: RoomEvent) {
        let is_last = matches!(event, RoomEvent::Refused { .. } | RoomEvent::Over { .. });
        if is_last && self.members.get(&member) == Some(&req) {
            self.members.remove(&member);
        }
        let reaches = self.shared.live.tell(member, Event::Room { req, event });
        if !reaches {
            // Its task ended without leaving.
            let why = Departure::Lost;
            self.handle(RoomInput::Leave { member, req, why });
        }
    }

    /// The machine failed: ends its members and its record without it.
    async fn fail(&mut self, sid: ConferenceSid, panic: &str) -> Vec<Change> {
        error!(conference.sid = %sid, panic, "a conference panicked and is ended");
        let why = RoomEnd::Failed;
        for (member, req) in std::mem::take(&mut self.members) {
            let event = RoomEvent::Over { why };
            self.shared.live.tell(member, Event::Room { req, event });
        }
        // Closes the file.
        drop(self.tape.take());
        self.closed(sid, why).await.unwrap_or_else(|error| {
            error!(conference.sid = %sid, %error, "the record stays open until the next start");
            Vec::new()
        })
    }

    async fn closed(
        &mut self,
        sid: ConferenceSid,
        why: RoomEnd,
    ) -> Result<Vec<Change>, StoreError> {
        let store = &self.shared.parts.store;
        let now = self.clock.now();
        let folder = &self.shared.config.recordings;
        for orphan in store.abandoned_recordings(&[sid.into()]).await? {
            let closed = closing::abandoned_recording(store, folder, &orphan, self.clock).await?;
            if let Some(changes) = closed {
                self.books.write(changes, sid.into()).await;
            }
        }
        match store.abandoned_conference(sid, why.as_str(), now).await? {
            Some(orphan) => closing::conference(store, &orphan, now).await,
            None => Ok(Vec::new()),
        }
    }
}

/// The mix of a conference: the random part of its SID, so that every process and restart derives
/// the same one.
pub(crate) fn mix_of(conference: ConferenceSid) -> MixId {
    let mut random = [0; 8];
    random.copy_from_slice(&conference.as_bytes()[8..]);
    MixId(u64::from_be_bytes(random))
}
