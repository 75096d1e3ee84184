//! Conference rooms: the machines in which calls of different families meet.
//!
//! **Invariant: messages between a family and a room arrive once and in order**, in any weather, as
//! on the channels between their tasks; bad weather only delays a room's reports.

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::journal::{Line, RoomRecorder};
use call_proto::{
    Event, Fact, LONGEST_CONFERENCE, Modify, Req, RoomCommand, RoomInput, RoomOpening, RoomRequest,
};
use model::{AccountSid, CallSid, ConferenceSid, Timestamp};

use super::media::Covered;
use super::{Due, Stage, families};
use crate::script::ITS_CONFERENCE;

/// All rooms that have existed.
#[derive(Default)]
pub(super) struct Rooms {
    all: Vec<Hosted>,
    /// The newest room of each name.
    newest: BTreeMap<(AccountSid, String), usize>,
    /// The room that a call's request went to last.
    asked: BTreeMap<(CallSid, Req), usize>,
    /// When the last report of a room to a call arrives.
    arrivals: BTreeMap<CallSid, Timestamp>,
}

struct Hosted {
    room: RoomRecorder,
    account: AccountSid,
    name: String,
}

impl Rooms {
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn are_finished(&self) -> bool {
        self.all
            .iter()
            .all(|hosted| hosted.room.room().is_finished())
    }

    /// The first timer due, and its room.
    pub(super) fn timer(&self) -> Option<(Timestamp, usize)> {
        let timers = self.all.iter().enumerate();
        timers
            .filter_map(|(number, one)| Some((one.room.room().poll_timeout()?, number)))
            .min()
    }

    pub(super) fn handle_timeout(&mut self, room: usize, now: Timestamp) {
        self.all[room].room.handle_timeout(now);
    }

    pub(super) fn take_journals(&mut self) -> Vec<Vec<Line>> {
        let rooms = self.all.iter_mut();
        rooms.map(|hosted| hosted.room.take_lines()).collect()
    }

    /// What is left of rooms that should have ended.
    pub(super) fn left(&self) -> Vec<String> {
        let open = self.all.iter().filter(|hosted| {
            let room = hosted.room.room();
            !room.is_finished() || room.poll_timeout().is_some() || room.members().count() > 0
        });
        open.map(|hosted| format!("the room `{}` is not over", hosted.name))
            .collect()
    }

    /// The open room with this name.
    fn open(&self, key: &(AccountSid, String)) -> Option<usize> {
        let newest = self.newest.get(key).copied();
        newest.filter(|room| !self.all[*room].room.room().is_over())
    }

    /// The name of a conference.
    pub(super) fn name(&self, sid: ConferenceSid) -> &str {
        let mut rooms = self.all.iter();
        rooms
            .find(|hosted| hosted.room.room().sid() == sid)
            .map_or("?", |hosted| &hosted.name)
    }
}

impl Stage<'_> {
    /// A call sends a request to a room.
    pub(super) fn asks_room(&mut self, call: CallSid, request: RoomRequest) {
        let asked = (call, request.req());
        let room = match &request {
            RoomRequest::Join { account, name, .. } => {
                let key = (*account, name.clone());
                let open = self.rooms.open(&key);
                let room = open.unwrap_or_else(|| self.open_room(key));
                self.rooms.asked.insert(asked, room);
                Some(room)
            }
            RoomRequest::Leave { .. } => self.rooms.asked.remove(&asked),
            RoomRequest::Change { .. } | RoomRequest::Announced { .. } => {
                self.rooms.asked.get(&asked).copied()
            }
        };
        if let Some(room) = room {
            let input = request.into_input(call);
            self.later(Duration::ZERO, Due::Room(room, input));
        }
    }

    /// Names the conference that a call is in, where a script leaves that open.
    pub(super) fn in_its_room(&self, call: CallSid, mut modify: Modify) -> Modify {
        if let Modify::Participant(change) = &mut modify
            && change.conference == ITS_CONFERENCE
            && let Some(room) = self.its_room(call)
        {
            change.conference = self.rooms.all[room].room.room().sid();
        }
        modify
    }

    /// The room that a call has joined last.
    pub(super) fn its_room(&self, call: CallSid) -> Option<usize> {
        let of_call = |((member, _), _): &(&(CallSid, Req), _)| *member == call;
        let asked = self.rooms.asked.iter().rfind(of_call);
        asked.map(|(_, room)| *room)
    }

    fn open_room(&mut self, (account, name): (AccountSid, String)) -> usize {
        let number = self.rooms.all.len();
        let mut sid = [0xcf; 16];
        sid[8..].copy_from_slice(&(number as u64).to_be_bytes());
        let settings = families::settings();
        let opening = RoomOpening {
            sid: ConferenceSid::from_bytes(sid),
            instance: settings.instance,
            account,
            name: name.clone(),
            life: LONGEST_CONFERENCE,
            seed: number as u64,
        };
        let room = RoomRecorder::new(opening, &settings, self.now);
        self.rooms.newest.insert((account, name.clone()), number);
        self.rooms.all.push(Hosted {
            room,
            account,
            name,
        });
        number
    }

    /// A request too late for a room that has ended goes to the next one of its name, as on a
    /// server.
    pub(super) fn room_gets(&mut self, room: usize, input: RoomInput) {
        let hosted = &mut self.rooms.all[room];
        let is_silent = self.scene.faults.silent.contains(&hosted.name);
        if is_silent && matches!(input, RoomInput::Join { .. }) {
            return;
        }
        if !hosted.room.room().is_over() || input.is_of_recording() {
            hosted.room.handle(input, self.now);
            return;
        }
        if !input.outlives_the_room() {
            return;
        }
        let key = (hosted.account, hosted.name.clone());
        let next = match (self.rooms.open(&key), &input) {
            (Some(next), _) => next,
            (None, RoomInput::Join { .. }) => self.open_room(key),
            (None, _) => return,
        };
        if let RoomInput::Join { member, req, .. } = &input {
            self.rooms.asked.insert((*member, *req), next);
        }
        self.rooms.all[next].room.handle(input, self.now);
    }

    /// All rooms stop with the server.
    pub(super) fn rooms_stop(&mut self) {
        for room in 0..self.rooms.count() {
            self.room_gets(room, RoomInput::Shutdown);
        }
    }

    /// Carries out all outputs of the rooms.
    pub(super) fn carry_out_rooms(&mut self) {
        for number in 0..self.rooms.count() {
            loop {
                let commands = self.rooms.all[number].room.poll_commands();
                if commands.is_empty() {
                    break;
                }
                self.watch.room_commands(self.now, &commands);
                self.room_batch(number, commands);
            }
        }
    }

    fn room_batch(&mut self, number: usize, commands: Vec<RoomCommand>) {
        for command in commands {
            match command {
                RoomCommand::Commit(facts) => {
                    let created = |fact: &Fact| matches!(fact, Fact::ConferenceCreated(_));
                    let name = &self.rooms.all[number].name;
                    let is_unrecorded = self.scene.faults.unrecorded.contains(name);
                    if is_unrecorded && facts.iter().any(created) {
                        self.room_gets(number, RoomInput::NotRecorded);
                        return;
                    }
                    for fact in facts {
                        self.run.apply_to_conference(&fact);
                        match fact {
                            Fact::Callback(callback) => self.callback(callback),
                            Fact::Recorded(recording) => self.run.recordings.push(recording),
                            Fact::Notified(notification) => {
                                self.run.notifications.push(notification);
                            }
                            _ => {}
                        }
                    }
                }
                RoomCommand::Tell { member, req, event } => {
                    self.reports(member, Event::Room { req, event });
                }
                RoomCommand::Record { recording, .. } => {
                    let begun = Covered::from(self.now);
                    self.mixes.recorded.insert(recording, begun);
                }
                RoomCommand::PauseRecord { recording, pause } => {
                    if let Some(covered) = self.mixes.recorded.get_mut(&recording) {
                        covered.pause(pause, self.now);
                    }
                }
                RoomCommand::Reply { ask, outcome } => self.room_replied(ask, outcome),
                RoomCommand::StopRecord { recording } => self.mix_recorded(number, recording),
                RoomCommand::Trace(entry) => self.run.entry(entry),
            }
        }
    }

    /// A room or queue reports to a call, after all its earlier reports.
    pub(super) fn reports(&mut self, member: CallSid, event: Event) {
        let late = self.lateness();
        let last = self.rooms.arrivals.get(&member).copied();
        let at = last.map_or(self.now + late, |last| last.max(self.now + late));
        self.rooms.arrivals.insert(member, at);
        self.later(at.since(self.now), Due::Tell(member, event));
    }
}
