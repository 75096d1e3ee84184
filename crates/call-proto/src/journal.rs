//! The journal of a family or a room: every input, and every answer.
//!
//! Both are a function of their start and their inputs, each with its time. A [`Recorder`] or a
//! [`RoomRecorder`] records them, and [`replay()`] runs them again to find the first different
//! answer. **Invariant: no password gets into a journal, and a journal without them replays like
//! the call itself**: both sides of a comparison hide the same things, see `redact` and `text`.
//!
//! Left to others: storing the lines, and limiting their number.

mod digest;
mod owners;
mod pressed;
mod redact;
mod replay;
pub(crate) mod serde_as;
mod text;

use std::sync::Arc;
use std::time::Duration;

use model::{CallSid, InstanceSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::Addressed;
use crate::context::{RecordingAddress, Settings};
use crate::event::Event;
use crate::family::{Family, Inbound, OutboundApi};
use crate::room::{Room, RoomCommand, RoomInput, RoomOpening};

pub use pressed::{Pressed, pressed};
pub use replay::{BrokenJournal, Difference, Verdict, replay};

/// Format version of the lines; a journal with another one cannot be replayed.
const FORMAT: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// How the family started; the first line.
    Start(Box<Opening>),
    /// An input to a call of the family.
    Event {
        /// When.
        at: Timestamp,
        /// The call.
        call: CallSid,
        /// The event.
        event: Box<Event>,
    },
    /// A room got an input.
    Room {
        /// When.
        at: Timestamp,
        /// The input.
        input: RoomInput,
    },
    /// A timer of the family or the room was due.
    Timeout {
        /// When.
        at: Timestamp,
    },
    /// The family's answer to the previous line, one text per command.
    Out(Vec<String>),
    /// More happened, but was not recorded.
    Cut,
}

/// How a family started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opening {
    format: u32,
    at: Timestamp,
    seed: u64,
    settings: Fixed,
    start: Start,
}

/// How the family starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Start {
    Inbound(Inbound),
    Api(OutboundApi),
    Room(RoomOpening),
}

/// A room, with its inputs and answers recorded.
pub struct RoomRecorder {
    room: Room,
    lines: Option<Vec<Line>>,
}

impl RoomRecorder {
    /// As [`Room::new`].
    #[must_use]
    pub fn new(opening: RoomOpening, settings: &Settings, now: Timestamp) -> Self {
        let start = Start::Room(opening.clone());
        let line = Opening::new(settings, start, 0, now);
        Self {
            room: Room::new(opening, settings, now),
            lines: Some(vec![Line::Start(Box::new(line))]),
        }
    }

    /// As [`Room::handle`].
    pub fn handle(&mut self, input: RoomInput, now: Timestamp) {
        if let Some(lines) = &mut self.lines {
            let input = redact::room(&input);
            lines.push(Line::Room { at: now, input });
        }
        self.room.handle(input, now);
    }

    /// As [`Room::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line::Timeout { at: now });
        }
        self.room.handle_timeout(now);
    }

    /// As [`Room::poll_commands`]. Call until it is empty before the next input.
    pub fn poll_commands(&mut self) -> Vec<RoomCommand> {
        let commands = self.room.poll_commands();
        if let Some(lines) = &mut self.lines {
            let texts: Vec<String> = commands.iter().filter_map(text::of_room_command).collect();
            if !texts.is_empty() {
                lines.push(Line::Out(texts));
            }
        }
        commands
    }

    /// The room itself.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The lines recorded since the last time.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Stops recording. The owner of the lines ends them with [`Line::Cut`].
    pub fn stop(&mut self) {
        self.lines = None;
    }
}

/// The settings, except for the addresses of recordings, which are secrets: anyone who knows one
/// can hear the recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fixed {
    instance: InstanceSid,
    /// Value of `ApiVersion` for every dialect, in journals from before it depended on the dialect.
    #[serde(default, skip_serializing)]
    api_version: Option<String>,
    max_redirects: u32,
    null_strings: bool,
    #[serde(default)]
    screening_releases_both: bool,
    recording_wait: Duration,
    #[serde(default)]
    type_ahead: bool,
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        Self {
            instance: settings.instance,
            api_version: None,
            max_redirects: settings.max_redirects,
            null_strings: settings.null_strings,
            screening_releases_both: settings.screening_releases_both,
            recording_wait: settings.recording_wait,
            type_ahead: settings.type_ahead,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            instance: self.instance,
            recording_address: RecordingAddress(Arc::new(|_, _, recording| recording.to_string())),
            max_redirects: self.max_redirects,
            null_strings: self.null_strings,
            screening_releases_both: self.screening_releases_both,
            recording_wait: self.recording_wait,
            type_ahead: self.type_ahead,
        }
    }
}

/// A family, with its inputs and answers recorded.
pub struct Recorder {
    family: Family,
    /// `None` once recording has stopped.
    lines: Option<Vec<Line>>,
}

impl Recorder {
    /// As [`Family::inbound`].
    #[must_use]
    pub fn inbound(
        settings: Arc<Settings>,
        inbound: Inbound,
        seed: u64,
        now: Timestamp,
    ) -> (Self, CallSid) {
        let start = Start::Inbound(redact::inbound(&inbound));
        let opening = Opening::new(&settings, start, seed, now);
        let (family, root) = Family::inbound(settings, inbound, seed, now);
        (Self::new(family, opening), root)
    }

    /// As [`Family::outbound_api`].
    #[must_use]
    pub fn outbound_api(
        settings: Arc<Settings>,
        outbound: OutboundApi,
        seed: u64,
        now: Timestamp,
    ) -> (Self, Vec<CallSid>) {
        let start = Start::Api(redact::outbound(&outbound));
        let opening = Opening::new(&settings, start, seed, now);
        let (family, legs) = Family::outbound_api(settings, outbound, seed, now);
        (Self::new(family, opening), legs)
    }

    fn new(family: Family, opening: Opening) -> Self {
        Self {
            family,
            lines: Some(vec![Line::Start(Box::new(opening))]),
        }
    }

    /// As [`Family::handle`].
    pub fn handle(&mut self, call: CallSid, event: Event, now: Timestamp) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line::Event {
                at: now,
                call,
                event: Box::new(redact::event(&event)),
            });
        }
        self.family.handle(call, event, now);
    }

    /// As [`Family::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line::Timeout { at: now });
        }
        self.family.handle_timeout(now);
    }

    /// As [`Family::poll_commands`]. Call until it is empty before the next input.
    pub fn poll_commands(&mut self) -> Vec<Addressed> {
        let commands = self.family.poll_commands();
        if let Some(lines) = &mut self.lines {
            let texts: Vec<String> = commands.iter().filter_map(text::of_command).collect();
            if !texts.is_empty() {
                lines.push(Line::Out(texts));
            }
        }
        commands
    }

    /// The family itself.
    #[must_use]
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// The lines recorded since the last time.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Stops recording. The owner of the lines ends them with [`Line::Cut`].
    pub fn stop(&mut self) {
        self.lines = None;
    }
}

impl Opening {
    /// When the family started.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn new(settings: &Settings, start: Start, seed: u64, at: Timestamp) -> Self {
        Self {
            format: FORMAT,
            at,
            seed,
            settings: Fixed::of(settings),
            start,
        }
    }
}
