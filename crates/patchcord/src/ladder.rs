//! A call as a ladder diagram: a lifeline for each party, the server and the application, time going down.
//!
//! Draws what `patchcord demo`, `patchcord calls show` and `patchcord test` show. **Invariant: no line is
//! wider than the [`Style`] allows, and no text is lost**: what does not fit into an arrow continues below it.

mod row;
mod words;

use std::io::stdout;

use call_proto::{Entry, Lane, as_taken_over};
use model::{CallSid, Timestamp};

use row::Layout;

pub(crate) use words::note;

use crate::screen::{self, cut, width, wrap};

/// Columns of text if the output is not a terminal.
const USUAL_WIDTH: usize = 100;
/// A narrower terminal wraps the lines itself; in a wider one, arrows would become hard to follow.
const MIN_WIDTH: usize = 72;
const MAX_WIDTH: usize = 140;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// How to draw.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) width: usize,
    pub(crate) colours: bool,
}

impl Style {
    /// For files.
    pub(crate) const FILE: Self = Self {
        width: USUAL_WIDTH,
        colours: false,
    };

    /// Fits standard output.
    pub(crate) fn of_output() -> Self {
        let columns = screen::columns();
        Self {
            width: columns.map_or(USUAL_WIDTH, |columns| columns.clamp(MIN_WIDTH, MAX_WIDTH)),
            colours: crate::colours(&stdout()),
        }
    }

    fn paint(self, text: &str, colour: &str) -> String {
        if self.colours {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// A lifeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// By its place among the parties.
    Party(usize),
    Server,
    Application,
}

/// What an arrow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stroke {
    Message,
    Stream,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// From one lifeline to another.
    Arrow {
        from: End,
        to: End,
        stroke: Stroke,
        label: String,
        /// Beside the label if there is room, otherwise below.
        detail: String,
    },
    /// Something inside the server.
    Note(String),
}

/// The ladder being collected.
pub(crate) struct Ladder {
    parties: Vec<String>,
    steps: Vec<(Timestamp, Step)>,
}

impl Ladder {
    /// The first of the parties is drawn to the left of the server, the others to its right.
    pub(crate) fn new(parties: Vec<String>) -> Self {
        Self {
            parties,
            steps: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, at: Timestamp, step: Step) {
        self.steps.push((at, step));
    }

    /// The picture. What happened before `start` is left out.
    pub(crate) fn draw(mut self, start: Timestamp, style: Style) -> String {
        self.steps.retain(|(at, _)| *at >= start);
        self.steps.sort_by_key(|(at, _)| *at);
        // A failure of a leg is often reported twice at once, by what failed and by the leg.
        self.steps.dedup();
        let is_of_application = |(_, step): &(Timestamp, Step)| match step {
            Step::Arrow { from, to, .. } => [from, to].contains(&&End::Application),
            Step::Note(_) => false,
        };
        let application = self.steps.iter().any(is_of_application);
        let layout = Layout::new(&self.parties, application, style.width);
        let mut out = style.paint(&layout.heading(), BOLD) + "\n";
        for (at, step) in &self.steps {
            let mut time = format!("{:>9.3}", at.since(start).as_secs_f64());
            for row in self.rows(step, &layout) {
                out += &style.paint(&time, DIM);
                out += row.get(time.len()..).unwrap_or_default().trim_end();
                out.push('\n');
                time = " ".repeat(time.len());
            }
        }
        out
    }

    fn rows(&self, step: &Step, layout: &Layout) -> Vec<String> {
        let notes = |text: &str| {
            let lines = wrap(text, layout.room_for_notes(), "  ");
            lines.into_iter().map(|line| layout.note(&line))
        };
        match step {
            Step::Note(text) => notes(text).collect(),
            Step::Arrow {
                from,
                to,
                stroke,
                label,
                detail,
            } => {
                let label = self.named(layout, [*from, *to], label);
                let whole = format!("{label} {detail}");
                let whole = whole.trim_end();
                let room = layout.room_for_label(*from, *to);
                let fits = |text: &str| width(text) <= room;
                let (inside, below) = if fits(whole) {
                    (whole.to_owned(), "")
                } else if fits(&label) {
                    (label, detail.as_str())
                } else {
                    (cut(&label, room), whole)
                };
                let arrow = layout.arrow(*from, *to, *stroke, &inside);
                std::iter::once(arrow).chain(notes(below)).collect()
            }
        }
    }

    /// The label of an arrow, with the party if that is not clear from the lifeline.
    fn named(&self, layout: &Layout, ends: [End; 2], label: &str) -> String {
        let shared = ends.into_iter().find_map(|end| match end {
            End::Party(at) if layout.is_shared(at) => self.parties.get(at),
            End::Party(_) | End::Server | End::Application => None,
        });
        match shared {
            Some(name) => format!("{name}: {label}"),
            None => label.to_owned(),
        }
    }
}

/// Draws a trace. Legs are in the order in which they appear.
pub(crate) fn draw(entries: &[Entry], name_of: impl Fn(CallSid) -> String, style: Style) -> String {
    let Some(start) = entries.first().map(|entry| entry.at) else {
        return String::new();
    };
    let entries = &as_taken_over(entries)[..];
    let legs = legs(entries);
    let mut ladder = Ladder::new(legs.iter().map(|leg| name_of(*leg)).collect());
    for (at, entry) in entries.iter().enumerate() {
        if is_told_by_a_finding(entry, &entries[at + 1..]) {
            continue;
        }
        let party = legs.iter().position(|leg| Some(*leg) == entry.owner.call());
        if let Some(step) = words::step(entry, party.unwrap_or(0), |sid| Some(name_of(sid))) {
            ladder.add(entry.at, step);
        }
    }
    ladder.draw(start, style)
}

/// Whether the same failure follows as a finding, which also says where in the document it is.
fn is_told_by_a_finding(entry: &Entry, rest: &[Entry]) -> bool {
    let (Lane::Http | Lane::Media, Some(code)) = (entry.lane, entry.what.strip_prefix("error "))
    else {
        return false;
    };
    let mut at_once = rest.iter().take_while(|next| next.at == entry.at);
    at_once.any(|next| next.lane == Lane::Rcml && next.what.ends_with(code))
}

fn legs(entries: &[Entry]) -> Vec<CallSid> {
    let mut legs = Vec::new();
    for call in entries.iter().filter_map(|entry| entry.owner.call()) {
        if !legs.contains(&call) {
            legs.push(call);
        }
    }
    legs
}

#[cfg(test)]
mod tests;
