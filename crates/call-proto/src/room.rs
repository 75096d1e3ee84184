//! A conference room: calls of different families meet in it.
//!
//! A room only decides who is a member and whom each member may hear. It owns no leg: a family asks to
//! join or leave, the room answers, and the family commands its own endpoint accordingly. Families and
//! rooms exchange nothing but these journaled messages, so each replays from its own journal.
//! Each membership carries the number of the request that started it ([`Req`]): a room ignores a
//! departure from an earlier membership, and a family ignores answers to one.
//!
//! **Invariant: a room ends once, and every member that was admitted either left or gets
//! [`RoomEvent::Over`].** A room that has ended refuses every request; its owner creates a new one. It
//! is finished only when its recording is closed.
//!
//! Left to others: which task a room runs on, and the audio ([`MediaCommand::JoinRoom`]).
//!
//! [`MediaCommand::JoinRoom`]: crate::MediaCommand::JoinRoom

mod recording;
mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use model::record::Conference;
use model::{
    AccountSid, CallSid, ConferenceSid, ConferenceStatus, InstanceSid, Lane as Owner, RecordingSid,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::command::RoomRequest;
use crate::context::Settings;
use crate::event::{Ask, Req};
use crate::fact::Fact;
use crate::membership::{
    Beep, Departure, Place, RoomCallback, RoomEnd, RoomEvent, RoomRefusal, Terms, Wish,
};
use crate::recording_request::{Pause, RecordingChange};
use crate::request::{Changed, ModifyError};
use crate::trace::{Entry, Lane, Way};
use recording::Recorder;
use report::{OVER, Report, Reporter};

/// How long a conference may exist.
pub const LONGEST_CONFERENCE: Duration = Duration::from_secs(4 * 3600);

/// How a room starts. With the same opening, and the same inputs at the same times, a room behaves
/// the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomOpening {
    /// Identifier.
    pub sid: ConferenceSid,
    /// The server that runs it.
    pub instance: InstanceSid,
    /// Account that owns it; together with the name it identifies an open room.
    pub account: AccountSid,
    /// Name as written in the document.
    pub name: String,
    /// How long it may exist; then it ends for every member.
    pub life: Duration,
    /// Identifiers are generated from it; must not be predictable.
    #[serde(default)]
    pub seed: u64,
}

/// An input to a room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RoomInput {
    /// A call requests to join → [`RoomEvent::Joined`] or [`RoomEvent::Refused`]. A member's second
    /// request replaces its membership.
    Join {
        /// The call.
        member: CallSid,
        /// Number of the membership.
        req: Req,
        /// The requested terms.
        wish: Wish,
    },
    /// The terms of a membership change. Ignored if it has another number.
    Change {
        /// The call.
        member: CallSid,
        /// Number of the membership.
        req: Req,
        /// The new terms.
        terms: Terms,
    },
    /// An announcement to a member has ended. Ignored if its membership has another number.
    Announced {
        /// The call.
        member: CallSid,
        /// Number of the membership.
        req: Req,
        /// Whether something in it could not be played.
        failed: bool,
    },
    /// The API ends the conference.
    End,
    /// A call leaves; no answer. Ignored if its membership has another number.
    Leave {
        /// The call.
        member: CallSid,
        /// Number of the membership.
        req: Req,
        /// Why.
        #[serde(default)]
        why: Departure,
    },
    /// The API changes the recording → [`RoomCommand::Reply`], always.
    ChangeRecording {
        /// The request.
        ask: Ask,
        /// The change.
        change: RecordingChange,
    },
    /// The recording is closed and readable. A length of 0 means that there is no file.
    Recorded {
        /// The recording.
        recording: RecordingSid,
        /// Its length.
        duration_ms: i64,
        /// Size of the file.
        size_bytes: i64,
    },
    /// The recording could not be written or closed.
    RecordFailed {
        /// The recording.
        recording: RecordingSid,
        /// Human-readable.
        reason: String,
    },
    /// The record of the room could not be written, so the room does not exist: the commands that
    /// followed its [`Fact::ConferenceCreated`] in the same step were not carried out.
    NotRecorded,
    /// The server is stopping.
    Shutdown,
}

impl RoomRequest {
    /// Number of the membership that it is about.
    #[must_use]
    pub const fn req(&self) -> Req {
        match self {
            Self::Join { req, .. }
            | Self::Change { req, .. }
            | Self::Announced { req, .. }
            | Self::Leave { req, .. } => *req,
        }
    }

    /// As an input to the room, from this member.
    #[must_use]
    pub fn into_input(self, member: CallSid) -> RoomInput {
        match self {
            Self::Join { req, wish, .. } => RoomInput::Join { member, req, wish },
            Self::Change { req, terms } => RoomInput::Change { member, req, terms },
            Self::Announced { req, failed } => RoomInput::Announced {
                member,
                req,
                failed,
            },
            Self::Leave { req, why } => RoomInput::Leave { member, req, why },
        }
    }
}

impl RoomInput {
    /// Whether it is about the recording, which may end after the conference.
    #[must_use]
    pub const fn is_of_recording(&self) -> bool {
        matches!(
            self,
            Self::Recorded { .. } | Self::RecordFailed { .. } | Self::ChangeRecording { .. }
        )
    }

    /// For an input that is too late for a room that has ended: whether the next room with that
    /// name gets it instead. For anything but a `Join`, that room must already exist.
    #[must_use]
    pub fn outlives_the_room(&self) -> bool {
        match self {
            Self::Join { .. }
            | Self::Change { .. }
            | Self::Announced { .. }
            | Self::Leave { .. } => true,
            Self::End
            | Self::ChangeRecording { .. }
            | Self::Recorded { .. }
            | Self::RecordFailed { .. }
            | Self::NotRecorded
            | Self::Shutdown => false,
        }
    }
}

/// A room's commands, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum RoomCommand {
    /// Make these facts durable, in one transaction, **before carrying out any later command**.
    Commit(Vec<Fact>),
    /// Report to the family of a call.
    Tell {
        /// The call.
        member: CallSid,
        /// Number of the membership.
        req: Req,
        /// The report.
        event: RoomEvent,
    },
    /// Record what all members say → [`RoomInput::Recorded`] or [`RoomInput::RecordFailed`].
    Record {
        /// A new identifier.
        recording: RecordingSid,
        /// Leave out the silence at both ends.
        trim: bool,
    },
    /// Pause the recording, or continue it.
    PauseRecord {
        /// The recording.
        recording: RecordingSid,
        /// What it contains in place of the pause; `None`: it continues.
        pause: Option<Pause>,
    },
    /// End the recording.
    StopRecord {
        /// The recording.
        recording: RecordingSid,
    },
    /// Answer to [`RoomInput::ChangeRecording`].
    Reply {
        /// The request.
        ask: Ask,
        /// What was changed, or why nothing was.
        outcome: Result<Changed, ModifyError>,
    },
    /// An entry for the trace.
    Trace(Entry),
}

struct Member {
    req: Req,
    wish: Wish,
    on_hold: bool,
    place: Place,
}

impl Member {
    const fn terms(&self) -> Terms {
        Terms {
            muted: self.wish.muted,
            ends: self.wish.ends,
            on_hold: self.on_hold,
            coaches: self.wish.coaches,
        }
    }
}

/// Whether the members hear each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// They wait for a member whose entry starts the conference.
    Waiting,
    Running,
    Over,
}

/// A conference.
pub struct Room {
    opening: RoomOpening,
    state: State,
    members: BTreeMap<CallSid, Member>,
    /// The record, until the first step commits it.
    created: Option<Box<Conference>>,
    ends_at: Timestamp,
    reporter: Reporter,
    recorder: Recorder,
    facts: Vec<Fact>,
    commands: Vec<RoomCommand>,
}

impl Room {
    /// A conference without members; the first is expected immediately. Its record comes with the
    /// first step.
    #[must_use]
    pub fn new(opening: RoomOpening, settings: &Settings, now: Timestamp) -> Self {
        let record = Conference {
            sid: opening.sid,
            instance: opening.instance,
            account: opening.account,
            name: opening.name.clone(),
            status: ConferenceStatus::Waiting,
            created: now,
            updated: now,
            started: None,
            ended: None,
            reason: None,
        };
        Self {
            ends_at: now + opening.life,
            reporter: Reporter::new(opening.seed),
            recorder: Recorder::new(settings),
            opening,
            state: State::Waiting,
            members: BTreeMap::new(),
            created: Some(Box::new(record)),
            facts: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Handles an input.
    pub fn handle(&mut self, input: RoomInput, now: Timestamp) {
        let created = self.created.take().map(Fact::ConferenceCreated);
        self.facts.extend(created);
        match input {
            RoomInput::Join { member, req, wish } => self.join(member, req, wish, now),
            RoomInput::Leave { member, req, why } => self.leave(member, req, why, now),
            RoomInput::Change { member, req, terms } => self.change(member, req, terms, now),
            RoomInput::Announced {
                member,
                req,
                failed,
            } => {
                if self.is_member(member, req) {
                    self.report(Report::Announced { failed }, member, now);
                }
            }
            RoomInput::ChangeRecording { ask, change } => {
                let outcome = self.change_recording(change, now);
                self.commands.push(RoomCommand::Reply { ask, outcome });
            }
            RoomInput::Recorded {
                recording,
                duration_ms,
                size_bytes,
            } => {
                let file = (duration_ms, size_bytes);
                let closed = self
                    .recorder
                    .closed(recording, file, &mut self.reporter, now);
                self.recording_ended(closed, "recording closed", now);
            }
            RoomInput::RecordFailed { recording, reason } => {
                self.recording_failed(Some(recording), &reason, now);
            }
            RoomInput::End => self.end(RoomEnd::Api, now),
            RoomInput::NotRecorded => self.not_recorded(now),
            RoomInput::Shutdown => self.end(RoomEnd::Shutdown, now),
        }
    }

    /// Ends the conference when its time is up; after its end, gives up a recording that was not closed in
    /// time.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.ends_at <= now {
            self.end(RoomEnd::TimeLimit, now);
        }
        if self
            .recorder
            .poll_timeout()
            .is_some_and(|until| until <= now)
        {
            self.recording_failed(None, "it was not closed in time", now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let ends_at = (!self.is_over()).then_some(self.ends_at);
        ends_at
            .into_iter()
            .chain(self.recorder.poll_timeout())
            .min()
    }

    /// The commands to carry out, in order: the facts of the step first. Empty if there are none.
    pub fn poll_commands(&mut self) -> Vec<RoomCommand> {
        let mut out = Vec::with_capacity(self.commands.len() + 1);
        if !self.facts.is_empty() {
            out.push(RoomCommand::Commit(std::mem::take(&mut self.facts)));
        }
        out.append(&mut self.commands);
        out
    }

    /// Whether the conference has ended: nobody can join any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether the conference has ended and its recording is closed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_over() && !self.recorder.is_open()
    }

    /// Identifier.
    #[must_use]
    pub fn sid(&self) -> ConferenceSid {
        self.opening.sid
    }

    /// The members and the numbers of their memberships.
    pub fn members(&self) -> impl Iterator<Item = (CallSid, Req)> {
        self.members
            .iter()
            .map(|(call, member)| (*call, member.req))
    }

    fn join(&mut self, call: CallSid, req: Req, wish: Wish, now: Timestamp) {
        if self.state == State::Over {
            return self.refuse(call, req, RoomRefusal::Unavailable, now);
        }
        let others = self.members.keys().filter(|member| **member != call);
        if others.count() >= wish.max_members.get() as usize {
            return self.refuse(call, req, RoomRefusal::Full, now);
        }
        let (muted, coaches, beeps) = (wish.muted, wish.coaches, wish.beeps_on_enter);
        let place = self.place(muted, coaches);
        let mut wish = wish;
        let callback = wish.callback.take();
        let recording = wish.recording.take();
        let member = Member {
            req,
            wish,
            on_hold: false,
            place,
        };
        let is_new = self.members.insert(call, member).is_none();
        self.is_reported_to(callback);
        if let Some(recording) = recording {
            self.recorder.ask(recording);
        }
        if is_new {
            self.report(Report::Joined, call, now);
        }
        let starts = self.state == State::Waiting && self.can_start();
        if starts {
            self.state = State::Running;
            self.facts.push(Fact::ConferenceStarted {
                conference: self.opening.sid,
                at: now,
            });
            let report = self.reporter.started(&self.opening, now);
            self.facts.extend(report);
        }
        if self.state == State::Running {
            self.begin_recording(now);
        }
        let place = self.place(muted, coaches);
        if let Some(member) = self.members.get_mut(&call) {
            member.place = place;
        }
        self.trace(call, "joined", &self.opening.name.clone(), now);
        let conference = self.opening.sid;
        self.tell(call, req, RoomEvent::Joined { conference, place });
        if starts {
            self.trace(conference, "conference started", "", now);
            self.place_all();
        }
        if is_new && beeps {
            self.beep(Beep::Enter, call);
        }
    }

    /// Whether a member is there that starts the conference.
    fn can_start(&self) -> bool {
        let alone = self.members.len() < 2;
        let starts = |wish: &Wish| wish.starts && !(wish.needs_company && alone);
        self.members.values().any(|member| starts(&member.wish))
    }

    fn is_member(&self, call: CallSid, req: Req) -> bool {
        let member = self.members.get(&call);
        member.is_some_and(|member| member.req == req)
    }

    fn change(&mut self, call: CallSid, req: Req, terms: Terms, now: Timestamp) {
        let Some(member) = self.members.get_mut(&call).filter(|it| it.req == req) else {
            return;
        };
        let before = member.terms();
        (member.wish.muted, member.wish.ends) = (terms.muted, terms.ends);
        member.wish.coaches = terms.coaches;
        member.on_hold = terms.on_hold;
        if before.muted != terms.muted {
            self.report(Report::Muted(terms.muted), call, now);
        }
        if before.on_hold != terms.on_hold {
            self.report(Report::Held(terms.on_hold), call, now);
        }
        if (before.ends, before.coaches) != (terms.ends, terms.coaches) {
            self.report(Report::Modified, call, now);
        }
        self.place_all();
    }

    fn leave(&mut self, call: CallSid, req: Req, why: Departure, now: Timestamp) {
        let is_it = |member: &&Member| member.req == req;
        let Some(member) = self.members.get(&call).filter(is_it) else {
            return; // It left this membership, or never had it.
        };
        let (ends, beeps_on_exit) = (member.wish.ends, member.wish.beeps_on_exit);
        self.report(Report::Left(why.as_str()), call, now);
        self.members.remove(&call);
        self.trace(call, "left", &self.opening.name.clone(), now);
        if self.members.is_empty() {
            self.end_by(RoomEnd::Empty, Some((call, why)), now);
        } else if ends {
            self.end_by(RoomEnd::MemberLeft, Some((call, why)), now);
        } else if beeps_on_exit {
            self.beep(Beep::Exit, call);
        }
    }

    fn refuse(&mut self, call: CallSid, req: Req, why: RoomRefusal, now: Timestamp) {
        self.trace(call, "refused", why.as_str(), now);
        self.tell(call, req, RoomEvent::Refused { why });
        // No member joined: a room without members must not remain.
        if self.members.is_empty() {
            self.end(RoomEnd::Empty, now);
        }
    }

    fn end(&mut self, why: RoomEnd, now: Timestamp) {
        self.end_by(why, None, now);
    }

    /// - `by`: the call that ended it by leaving.
    fn end_by(&mut self, why: RoomEnd, by: Option<(CallSid, Departure)>, now: Timestamp) {
        if self.state == State::Over {
            return;
        }
        self.state = State::Over;
        self.facts.push(Fact::ConferenceEnded {
            conference: self.opening.sid,
            status: ConferenceStatus::Completed,
            at: now,
            reason: why.as_str().to_owned(),
        });
        let members: Vec<CallSid> = self.members.keys().copied().collect();
        for call in members {
            self.report(Report::Left(OVER), call, now);
        }
        let recording = self.recorder.address();
        let end = (why, by);
        let report = self.reporter.ended(&self.opening, end, recording, now);
        self.facts.extend(report);
        self.commands.extend(self.recorder.stop(now));
        self.trace(self.opening.sid, "conference ended", why.as_str(), now);
        for (call, member) in std::mem::take(&mut self.members) {
            self.tell(call, member.req, RoomEvent::Over { why });
        }
    }

    fn not_recorded(&mut self, now: Timestamp) {
        self.state = State::Over;
        self.facts.clear();
        self.commands.clear();
        self.recorder.forget();
        for (call, member) in std::mem::take(&mut self.members) {
            self.refuse(call, member.req, RoomRefusal::Unavailable, now);
        }
    }

    /// The current place of a member with these terms.
    fn place(&self, muted: bool, coaches: Option<CallSid>) -> Place {
        let running = self.state == State::Running;
        Place {
            talks: running && !muted,
            started: running,
            coaches,
        }
    }

    /// Reports to each member whose place has changed.
    fn place_all(&mut self) {
        let moved: Vec<_> = self
            .members
            .iter()
            .map(|(call, member)| {
                let is_silent = member.wish.muted || member.on_hold;
                let place = self.place(is_silent, member.wish.coaches);
                (*call, member.req, place)
            })
            .collect();
        for (call, req, place) in moved {
            let member = self.members.get_mut(&call).filter(|it| it.place != place);
            if let Some(member) = member {
                member.place = place;
                let conference = self.opening.sid;
                self.tell(call, req, RoomEvent::Moved { conference, place });
            }
        }
    }

    /// The first destination that a member names receives the events of the conference.
    fn is_reported_to(&mut self, callback: Option<Box<RoomCallback>>) {
        let Some(callback) = callback.filter(|_| !self.reporter.has_target()) else {
            return;
        };
        self.reporter.begin(*callback);
        self.keep_farewell();
    }

    /// Writes what is due if the server dies.
    fn keep_farewell(&mut self) {
        if let Some(farewell) = self.reporter.farewell(self.recorder.address()) {
            self.facts.push(Fact::ConferenceFarewell {
                conference: self.opening.sid,
                farewell: Box::new(farewell),
            });
        }
    }

    /// Begins the recording, if a member has asked for one and there was none yet.
    fn begin_recording(&mut self, now: Timestamp) {
        let begun = self.recorder.begin(&self.opening, &mut self.reporter, now);
        if let Some((facts, command)) = begun {
            self.facts.extend(facts);
            self.keep_farewell();
            self.commands.push(command);
            self.trace(self.opening.sid, "recording started", "", now);
        }
    }

    /// Pauses, continues or ends the recording for the API.
    fn change_recording(
        &mut self,
        change: RecordingChange,
        now: Timestamp,
    ) -> Result<Changed, ModifyError> {
        if self.is_over() {
            return Err(ModifyError::NotLive);
        }
        let changed = self.recorder.change(change, now);
        let (recording, fact, command) = changed.map_err(ModifyError::Recording)?;
        self.facts.push(fact);
        self.commands.push(command);
        let (what, detail) = change.turn.words();
        self.trace(self.opening.sid, what, detail, now);
        Ok(Changed::Recording(recording))
    }

    fn recording_failed(&mut self, sid: Option<RecordingSid>, why: &str, now: Timestamp) {
        let (opening, reporter) = (&self.opening, &mut self.reporter);
        let facts = self.recorder.failed(sid, why, opening, reporter, now);
        self.recording_ended(facts, "recording failed", now);
    }

    fn recording_ended(&mut self, facts: Vec<Fact>, what: &str, now: Timestamp) {
        if facts.is_empty() {
            return;
        }
        self.facts.extend(facts);
        if !self.is_over() {
            self.keep_farewell();
        }
        self.trace(self.opening.sid, what, "", now);
    }

    /// Reports what happened to a member.
    fn report(&mut self, what: Report, call: CallSid, now: Timestamp) {
        if let Some(member) = self.members.get(&call) {
            let about = (call, &member.wish, member.on_hold);
            let report = self.reporter.of_member(what, about, &self.opening, now);
            self.facts.extend(report);
        }
    }

    /// All members but one hear a tone, if the conference is running.
    fn beep(&mut self, beep: Beep, except: CallSid) {
        if self.state != State::Running {
            return;
        }
        let others = self.members.iter().filter(|(call, _)| **call != except);
        let others: Vec<_> = others.map(|(call, member)| (*call, member.req)).collect();
        for (call, req) in others {
            self.tell(call, req, RoomEvent::Beep(beep));
        }
    }

    fn tell(&mut self, member: CallSid, req: Req, event: RoomEvent) {
        self.commands.push(RoomCommand::Tell { member, req, event });
    }

    fn trace(&mut self, owner: impl Into<Owner>, what: &str, detail: &str, now: Timestamp) {
        self.commands.push(RoomCommand::Trace(Entry {
            at: now,
            owner: owner.into(),
            lane: Lane::Room,
            way: Way::Here,
            what: what.to_owned(),
            detail: detail.to_owned(),
        }));
    }
}

#[cfg(test)]
mod tests;
