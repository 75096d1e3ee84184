//! Where the lifelines are, and the rows between them.

use model::text::one_line;
use unicode_width::UnicodeWidthChar as _;

use super::{End, Stroke};
use crate::screen::{cut, width};

/// Where the first lifeline is, and how far the last is from the right edge.
const FIRST: usize = 13;
const MARGIN: usize = 6;
/// Columns between two lifelines.
const MIN_GAP: usize = 18;
const MAX_GAP: usize = 27;
/// Columns to the right of the server that notes and addresses need.
const NOTES: usize = 40;
/// Head, stem and blanks around the label of an arrow.
const AROUND_LABEL: usize = 5;
/// The lifeline of the server.
const SERVER: usize = 1;

/// The columns of the lifelines, from left to right.
pub(super) struct Layout {
    width: usize,
    lines: Vec<(usize, String)>,
    /// Where notes end.
    notes_end: usize,
    /// All parties to the right of the server have one lifeline: there is no room for each.
    shared: bool,
}

impl Layout {
    pub(super) fn new(parties: &[String], application: bool, width: usize) -> Self {
        let space = width - MARGIN - FIRST;
        let last = usize::from(application);
        let called = parties.len().saturating_sub(1);
        let shared = called > 1 && (called + last) * MIN_GAP + MIN_GAP > space;
        let mut names: Vec<String> = parties.iter().take(1).cloned().collect();
        names.resize(1, String::new());
        names.push("patchcord".to_owned());
        if shared {
            names.push(format!("{called} parties"));
        } else {
            names.extend(parties.iter().skip(1).cloned());
        }
        let gaps = (names.len() - 1 + last).max(2);
        let beside_notes = space.saturating_sub(NOTES).max(MIN_GAP);
        let gap = (space / gaps).min(beside_notes).min(MAX_GAP);
        let at = |place| FIRST + place * gap;
        let mut lines: Vec<_> = names
            .into_iter()
            .enumerate()
            .map(|(place, name)| (at(place), cut(&name, gap - 2)))
            .collect();
        if application {
            lines.push((width - MARGIN, "application".to_owned()));
        }
        Self {
            width,
            lines,
            notes_end: if application { width - MARGIN } else { width },
            shared,
        }
    }

    /// Whether a party shares its lifeline with others.
    pub(super) fn is_shared(&self, party: usize) -> bool {
        self.shared && party > 0
    }

    pub(super) fn heading(&self) -> String {
        let mut row = Row::new(self.width);
        row.write(2, "seconds");
        let mut free = 11;
        for (line, name) in &self.lines {
            let length = width(name);
            let left = line.saturating_sub(length / 2).min(self.width - length);
            let left = left.max(free);
            row.write(left, name);
            free = left + length + 1;
        }
        row.text().trim_end().to_owned()
    }

    pub(super) fn room_for_notes(&self) -> usize {
        self.notes_end - self.line(End::Server) - 3
    }

    pub(super) fn note(&self, text: &str) -> String {
        let mut row = self.lifelines();
        row.write(self.line(End::Server) + 2, text);
        row.text()
    }

    pub(super) fn room_for_label(&self, from: End, to: End) -> usize {
        let (left, right) = self.between(from, to);
        right - left - AROUND_LABEL
    }

    pub(super) fn arrow(&self, from: End, to: End, stroke: Stroke, label: &str) -> String {
        let mut row = self.lifelines();
        let (left, right) = self.between(from, to);
        let stem = match stroke {
            Stroke::Message => "-",
            Stroke::Stream => "=",
        };
        row.write(left, &stem.repeat(right - left));
        let spare = (right - left).saturating_sub(width(label) + 2);
        let rightwards = self.line(from) < self.line(to);
        // The side with the head gets the longer half.
        let inset = if rightwards {
            spare / 2
        } else {
            spare.div_ceil(2)
        };
        row.write(left + inset, &format!(" {label} "));
        if rightwards {
            row.write(right - 1, ">");
        } else {
            row.write(left, "<");
        }
        row.text()
    }

    /// The columns between two lifelines: the first, and the one after the last.
    fn between(&self, one: End, other: End) -> (usize, usize) {
        let (one, other) = (self.line(one), self.line(other));
        (one.min(other) + 1, one.max(other))
    }

    fn line(&self, end: End) -> usize {
        let place = match end {
            End::Party(0) => 0,
            End::Server => SERVER,
            End::Party(_) if self.shared => SERVER + 1,
            End::Party(at) => SERVER + at,
            End::Application => self.lines.len() - 1,
        };
        self.lines.get(place).map_or(self.width, |(line, _)| *line)
    }

    fn lifelines(&self) -> Row {
        let mut row = Row::new(self.width);
        for (line, _) in &self.lines {
            row.write(*line, "|");
        }
        row
    }
}

/// One line of the picture, by columns. It holds no control characters: names and messages come from strangers.
struct Row(Vec<String>);

impl Row {
    fn new(width: usize) -> Self {
        Self(vec![" ".to_owned(); width])
    }

    fn write(&mut self, at: usize, text: &str) {
        let mut at = at;
        for c in one_line(text).chars() {
            let columns = c.width().unwrap_or(0);
            if columns == 0 {
                // It changes the character before it.
                if let Some(cell) = at.checked_sub(1).and_then(|before| self.0.get_mut(before)) {
                    cell.push(c);
                }
                continue;
            }
            let Some(cells) = self.0.get_mut(at..at + columns) else {
                return;
            };
            cells.fill(String::new());
            if let Some(first) = cells.first_mut() {
                first.push(c);
            }
            at += columns;
        }
    }

    fn text(&self) -> String {
        self.0.concat()
    }
}
