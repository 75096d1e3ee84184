//! Stores the output of a family's or room's task: facts, the trace and the journal.
//!
//! **Invariant: facts are in the store, or wait for its disk, before [`Books::write`] returns**;
//! the trace and the journal are one row, stored by [`Books::close`].

use std::sync::Arc;

use call_proto::journal::Line;
use call_proto::{Entry, Lane, Way};
use model::Lane as Owner;
use store::Change;
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::records::{Kept, Pen, Records};
use crate::traces::Trace;

pub(crate) struct Books {
    pen: Pen,
    clock: Clock,
    trace: Trace,
    /// Some facts had to wait, and the trace records that.
    late: bool,
}

impl Books {
    /// `clock`: that of the family or room.
    pub(crate) fn new(records: &Arc<Records>, clock: Clock) -> Self {
        Self {
            pen: records.pen(),
            clock,
            trace: Trace::default(),
            late: false,
        }
    }

    /// Stores facts, now or later. `about`: the object that the trace names if they wait.
    pub(crate) async fn write(&mut self, changes: Vec<Change>, about: Owner) -> Kept {
        let kept = self.pen.write(changes).await;
        if matches!(kept, Kept::Late(_)) && !std::mem::replace(&mut self.late, true) {
            let detail = "the disk cannot be written; they follow later";
            self.note(about, Lane::Fact, "records wait", detail);
        }
        kept
    }

    /// Whether facts wait for the disk.
    pub(crate) fn wait(&self) -> bool {
        self.pen.waits()
    }

    pub(crate) fn trace(&mut self, entry: Entry) {
        debug!(owner = %entry.owner, lane = ?entry.lane, way = ?entry.way, "{} {}", entry.what, entry.detail);
        self.trace.add(entry);
    }

    /// Traces an event inside the shell.
    pub(crate) fn note(&mut self, owner: Owner, lane: Lane, what: &str, detail: &str) {
        self.trace.add(Entry {
            at: self.clock.now(),
            owner,
            lane,
            way: Way::Here,
            what: what.to_owned(),
            detail: detail.to_owned(),
        });
    }

    /// Stores lines of the journal; false once no more are accepted.
    pub(crate) fn journal(&mut self, lines: Vec<Line>) -> bool {
        lines
            .into_iter()
            .all(|line| self.trace.journal(&line.shortened()))
    }

    /// The trace and the journal so far, as [`Books::close`] would store them.
    pub(crate) fn so_far(&self) -> std::io::Result<Vec<u8>> {
        self.trace.clone().pack()
    }

    /// Stores the trace and the journal under `owner`, with the last changes.
    pub(crate) async fn close(mut self, owner: Owner, mut last: Vec<Change>) {
        match self.trace.pack() {
            Ok(blob) => last.push(Change::Trace { lane: owner, blob }),
            Err(error) => warn!(%error, "a trace could not be packed"),
        }
        self.pen.write(last).await;
    }
}
