//! Runs a journal again and compares the answers.

use std::sync::Arc;

use model::{CallSid, Timestamp};

use super::{FORMAT, Line, Opening, Start, digest, text};
use crate::event::Event;
use crate::family::Family;
use crate::room::{Room, RoomInput};

/// The outcome of a replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every answer was the same.
    Identical {
        /// Inputs, the start included.
        steps: usize,
        /// Whether the journal covers the whole call.
        complete: bool,
    },
    /// An answer differs.
    Differs(Box<Difference>),
}

/// The first answer that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Number of the input, from 0 for the start.
    pub step: usize,
    /// When it occurred.
    pub at: Timestamp,
    /// A short description of it.
    pub input: String,
    /// The recorded command; `None` if there was none.
    pub expected: Option<String>,
    /// The command in the replay; `None` if there is none.
    pub got: Option<String>,
}

/// Why something cannot be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BrokenJournal {
    /// It is empty or begins in the middle.
    #[error("the journal has no start")]
    NoStart,
    /// It was written by another version.
    #[error("the journal has format {0}, this program replays format {FORMAT}")]
    Format(u32),
    /// A second start.
    #[error("the journal starts twice")]
    SecondStart,
    /// An input of a call in the journal of a room, or vice versa.
    #[error("the journal has an input that belongs to another kind of machine")]
    OtherKind,
}

/// An input and its recorded answers.
struct Step<'a> {
    at: Timestamp,
    input: Input<'a>,
    said: Vec<&'a str>,
}

enum Input<'a> {
    Start,
    Event(CallSid, &'a Event),
    Room(&'a RoomInput),
    Timeout,
}

/// The machine of a journal.
enum Machine {
    Family(Box<Family>),
    Room(Box<Room>),
}

/// Replays a journal up to the first different answer.
///
/// # Errors
/// [`BrokenJournal`] if the lines are not a journal.
pub fn replay(lines: &[Line]) -> Result<Verdict, BrokenJournal> {
    let [Line::Start(opening), rest @ ..] = lines else {
        return Err(BrokenJournal::NoStart);
    };
    if opening.format != FORMAT {
        return Err(BrokenJournal::Format(opening.format));
    }
    let (steps, cut) = steps(opening.at, rest)?;
    let mut machine = opening.machine();
    for (number, step) in steps.iter().enumerate() {
        machine.handle(step)?;
        let got = machine.answers();
        // The answers to the last input before the cut may be incomplete.
        let is_whole = !cut || number + 1 < steps.len();
        if let Some((expected, got)) = first_difference(&step.said, &got, is_whole) {
            return Ok(step.differs(number, expected, got));
        }
    }
    if let (false, false, Some(last)) = (cut, machine.is_finished(), steps.last()) {
        let (over, on) = ("it is over".to_owned(), "it continues".to_owned());
        return Ok(last.differs(steps.len() - 1, Some(over), Some(on)));
    }
    Ok(Verdict::Identical {
        steps: steps.len(),
        complete: !cut,
    })
}

impl Opening {
    /// A family with the same start; `None` in the journal of a room.
    #[must_use]
    pub fn begin(&self) -> Option<Family> {
        match self.machine() {
            Machine::Family(family) => Some(*family),
            Machine::Room(_) => None,
        }
    }

    fn machine(&self) -> Machine {
        let settings = Arc::new(self.settings.settings());
        let version = self.settings.api_version.as_deref();
        let family = match self.start.clone() {
            Start::Inbound(mut inbound) => {
                inbound.dialect = inbound.dialect.with_version(version);
                Family::inbound(settings, inbound, self.seed, self.at).0
            }
            Start::Api(mut outbound) => {
                outbound.dialect = outbound.dialect.with_version(version);
                Family::outbound_api(settings, outbound, self.seed, self.at).0
            }
            Start::Room(opening) => {
                return Machine::Room(Box::new(Room::new(opening, &settings, self.at)));
            }
        };
        Machine::Family(Box::new(family))
    }
}

impl Machine {
    fn handle(&mut self, step: &Step<'_>) -> Result<(), BrokenJournal> {
        match (self, &step.input) {
            (_, Input::Start) => {}
            (Self::Family(family), Input::Event(call, event)) => {
                family.handle(*call, (*event).clone(), step.at);
            }
            (Self::Family(family), Input::Timeout) => family.handle_timeout(step.at),
            (Self::Room(room), Input::Room(input)) => room.handle((*input).clone(), step.at),
            (Self::Room(room), Input::Timeout) => room.handle_timeout(step.at),
            (Self::Family(_), Input::Room(_)) | (Self::Room(_), Input::Event(..)) => {
                return Err(BrokenJournal::OtherKind);
            }
        }
        Ok(())
    }

    /// All its current commands, as texts.
    fn answers(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let more = match self {
                Self::Family(family) => {
                    let commands = family.poll_commands();
                    texts.extend(commands.iter().filter_map(text::of_command));
                    !commands.is_empty()
                }
                Self::Room(room) => {
                    let commands = room.poll_commands();
                    texts.extend(commands.iter().filter_map(text::of_room_command));
                    !commands.is_empty()
                }
            };
            if !more {
                return texts;
            }
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Family(family) => family.is_finished(),
            Self::Room(room) => room.is_finished(),
        }
    }
}

/// The steps of a journal, and whether it was cut.
fn steps(start: Timestamp, lines: &[Line]) -> Result<(Vec<Step<'_>>, bool), BrokenJournal> {
    let mut done = Vec::new();
    let mut step = Step {
        at: start,
        input: Input::Start,
        said: Vec::new(),
    };
    for line in lines {
        let (at, input) = match line {
            Line::Start(_) => return Err(BrokenJournal::SecondStart),
            Line::Event { at, call, event } => (*at, Input::Event(*call, event)),
            Line::Room { at, input } => (*at, Input::Room(input)),
            Line::Timeout { at } => (*at, Input::Timeout),
            Line::Out(texts) => {
                step.said.extend(texts.iter().map(String::as_str));
                continue;
            }
            Line::Cut => {
                done.push(step);
                return Ok((done, true));
            }
        };
        let said = Vec::new();
        done.push(std::mem::replace(&mut step, Step { at, input, said }));
    }
    done.push(step);
    Ok((done, false))
}

/// The first position at which two lists differ. An incomplete list may be shorter.
fn first_difference(
    expected: &[&str],
    got: &[String],
    is_whole: bool,
) -> Option<(Option<String>, Option<String>)> {
    let length = if is_whole {
        expected.len().max(got.len())
    } else {
        expected.len()
    };
    (0..length).find_map(|at| {
        let (expected, got) = (expected.get(at).copied(), got.get(at).map(String::as_str));
        let is_same = match (expected, got) {
            (Some(expected), Some(got)) => digest::is_same(expected, got),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        (!is_same).then(|| (expected.map(str::to_owned), got.map(str::to_owned)))
    })
}

impl Step<'_> {
    fn differs(&self, step: usize, expected: Option<String>, got: Option<String>) -> Verdict {
        let input = match &self.input {
            Input::Start => "start".to_owned(),
            Input::Event(call, event) => format!("{call} {event:?}"),
            Input::Room(input) => format!("{input:?}"),
            Input::Timeout => "timeout".to_owned(),
        };
        Verdict::Differs(Box::new(Difference {
            step,
            at: self.at,
            input,
            expected,
            got,
        }))
    }
}
