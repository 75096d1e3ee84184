//! Tracks the rows that are only on disk, and decides when to read them back.
//!
//! A *gap* is a host of an account with rows that are not in memory. Later rows for it stay on disk
//! too, so that none overtakes. A *pass* reads the outbox in pages, by lane and sequence, from
//! first row to last; it pauses while no gap wants more. A *thorough* pass continues regardless,
//! because the content of the disk is not known yet. **Invariant: a gap is forgotten only after a
//! pass that left none of its host's rows behind.**

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{AccountSid, EventSid, Lane, Timestamp};

use crate::outbox::RowPlace;

/// Pause after a pass without room for its rows, and after a page that could not be read.
const REST: Duration = Duration::from_secs(1);

/// Maximum distinct gaps of one account; the rest of its hosts share one.
const GAPS: usize = 256;

/// A page to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    /// The pass that it belongs to.
    pub(crate) pass: u64,
    /// Starts from the first row after this one.
    pub(crate) after: Option<RowPlace>,
}

/// The owner of rows: one host, or all hosts of an account without their own gap.
type Whose = (AccountSid, Option<Arc<str>>);

#[derive(Default)]
struct Gap {
    /// Whether some of its rows are on disk in the part that the pass has read.
    missed: bool,
    /// Rows it had in memory when that last happened. It wants more once half of them are finished.
    held: usize,
}

struct Pass {
    thorough: bool,
    /// How far the pass has come,
    after: Option<RowPlace>,
    /// and the hosts that have an earlier row of that lane on disk: their later rows must stay
    /// there too.
    closed: BTreeSet<Arc<str>>,
    took: bool,
    /// Rows left on disk in the part already read.
    left: u64,
}

impl Pass {
    fn lane(&self) -> Option<Lane> {
        self.after.map(|after| after.lane)
    }

    fn is_closed(&self, lane: Lane, origin: &Arc<str>) -> bool {
        self.lane() == Some(lane) && self.closed.contains(origin)
    }

    fn step(&mut self, place: RowPlace) {
        if self.lane() != Some(place.lane) {
            self.closed.clear();
        }
        self.after = Some(place);
    }
}

/// The rows that are only on disk.
#[derive(Default)]
pub(super) struct Pages {
    gaps: BTreeMap<Whose, Gap>,
    pass: Option<Pass>,
    /// Number of passes started.
    passes: u64,
    reading: bool,
    /// Rows that ended while a page was being read: it may still contain them.
    ended: BTreeSet<EventSid>,
    /// Rows that were left on disk while a page was being read: it may not contain them.
    late: Vec<(Whose, RowPlace)>,
    on_disk: u64,
    rest_until: Timestamp,
}

impl Pages {
    /// Approximate number of rows that are only on disk; exact if there are none.
    pub(super) fn on_disk(&self) -> u64 {
        self.on_disk
    }

    /// Whether everything on disk is in memory, as far as is known.
    pub(super) fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.pass.is_none()
    }

    #[cfg(test)]
    pub(super) fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// Whether a thorough pass is in progress.
    pub(super) fn is_thorough(&self) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.thorough)
    }

    /// Starts a thorough pass.
    pub(super) fn look_through(&mut self, on_disk: u64) {
        self.on_disk = on_disk;
        self.begin(true);
    }

    /// Whether rows of a host are only on disk.
    pub(super) fn is_behind(&self, account: AccountSid, origin: &Arc<str>) -> bool {
        !self.gaps.is_empty()
            && (self.gaps.contains_key(&(account, None))
                || self.gaps.contains_key(&(account, Some(Arc::clone(origin)))))
    }

    /// Records that a row from memory, or a new one, is only on disk from now on.
    ///
    /// - `held`: rows in memory of its host and its account.
    pub(super) fn leave(
        &mut self,
        account: AccountSid,
        origin: &Arc<str>,
        place: RowPlace,
        held: (usize, usize),
    ) {
        self.on_disk += 1;
        let whose = self.note(account, origin, held);
        let Some(pass) = &mut self.pass else {
            self.miss(&whose);
            return;
        };
        if pass.after >= Some(place) {
            if pass.lane() == Some(place.lane) {
                pass.closed.insert(Arc::clone(origin));
            }
            self.miss(&whose);
        } else if self.reading {
            self.late.push((whose, place));
        }
    }

    /// Records that a row is finished.
    pub(super) fn note_end(&mut self, event: EventSid) {
        if self.reading {
            self.ended.insert(event);
        }
    }

    /// When the next page is to be read, if one is.
    ///
    /// - `held`: rows in memory of a host or an account.
    pub(super) fn next(&self, held: impl Fn(&Whose) -> usize) -> Option<Timestamp> {
        let wanted = || self.is_thorough() || self.is_wanted(held);
        (!self.reading && wanted()).then_some(self.rest_until)
    }

    /// Whether a gap has room for the rows it left on disk.
    pub(super) fn is_wanted(&self, held: impl Fn(&Whose) -> usize) -> bool {
        self.gaps
            .iter()
            .any(|(whose, gap)| held(whose) * 2 <= gap.held)
    }

    /// The page to read; starts a pass if none is in progress.
    pub(super) fn read(&mut self) -> Read {
        if self.pass.is_none() {
            self.begin(false);
        }
        self.reading = true;
        Read {
            pass: self.passes,
            after: self.pass.as_ref().and_then(|pass| pass.after),
        }
    }

    /// A page was read; false if its pass was abandoned for another one meanwhile.
    pub(super) fn open(&mut self, pass: u64) -> bool {
        let current = self.reading && pass == self.passes && self.pass.is_some();
        if !current {
            self.stop_reading();
        }
        current
    }

    /// Whether a row of the page must stay on disk, because one before it in its queue does.
    pub(super) fn is_closed(&self, place: RowPlace, origin: &Arc<str>) -> bool {
        self.pass
            .as_ref()
            .is_none_or(|pass| pass.is_closed(place.lane, origin))
    }

    /// Whether a row ended after the page was requested.
    pub(super) fn has_ended(&self, event: EventSid) -> bool {
        self.ended.contains(&event)
    }

    /// A row of the page was taken.
    pub(super) fn take(&mut self) {
        self.on_disk = self.on_disk.saturating_sub(1);
        if let Some(pass) = &mut self.pass {
            pass.took = true;
        }
    }

    /// There is no room for a row of the page, or it follows one that stays on disk. Returns
    /// whether the pass continues without it, for the sake of others; otherwise it comes back to
    /// this row.
    ///
    /// - `held`: rows in memory of its host and its account; `held_by` returns those of others.
    pub(super) fn pass_over(
        &mut self,
        account: AccountSid,
        origin: &Arc<str>,
        place: RowPlace,
        held: (usize, usize),
        held_by: impl Fn(&Whose) -> usize,
    ) -> bool {
        let whose = self.note(account, origin, held);
        let must = self.is_thorough() || self.is_closed(place, origin);
        if !must && !self.is_wanted(held_by) {
            return false;
        }
        self.miss(&whose);
        if let Some(pass) = &mut self.pass {
            pass.step(place);
            pass.closed.insert(Arc::clone(origin));
        }
        true
    }

    /// A row of the page has been handled.
    pub(super) fn step(&mut self, place: RowPlace) {
        if let Some(pass) = &mut self.pass {
            pass.step(place);
        }
    }

    /// The page has been handled.
    ///
    /// - `is_last`: no further page exists.
    pub(super) fn close(&mut self, is_last: bool, now: Timestamp) {
        self.stop_reading();
        let after = self.pass.as_ref().and_then(|pass| pass.after);
        for (whose, place) in std::mem::take(&mut self.late) {
            if is_last || after >= Some(place) {
                self.miss(&whose);
            }
        }
        if is_last {
            self.end(now);
        }
    }

    fn stop_reading(&mut self) {
        self.reading = false;
        self.ended.clear();
    }

    /// The page could not be read.
    pub(super) fn fail(&mut self, now: Timestamp) {
        self.stop_reading();
        self.late.clear(); // They are ahead of the pass.
        self.rest_until = now + REST;
    }

    fn end(&mut self, now: Timestamp) {
        let Some(pass) = self.pass.take() else {
            return;
        };
        self.gaps.retain(|_, gap| gap.missed);
        self.on_disk = pass.left;
        if !pass.took {
            self.rest_until = now + REST;
        }
    }

    fn begin(&mut self, thorough: bool) {
        for gap in self.gaps.values_mut() {
            gap.missed = false;
        }
        self.late.clear(); // The new pass will reach them.
        self.passes += 1;
        self.pass = Some(Pass {
            thorough,
            after: None,
            closed: BTreeSet::new(),
            took: false,
            left: 0,
        });
    }

    /// Creates or finds a gap, and records how many of its rows are in memory.
    fn note(&mut self, account: AccountSid, origin: &Arc<str>, held: (usize, usize)) -> Whose {
        let own = (account, Some(Arc::clone(origin)));
        let of_account = self.gaps.range((account, None)..);
        let of_account = of_account.take_while(|((sid, _), _)| *sid == account);
        let is_full = !self.gaps.contains_key(&own) && of_account.count() >= GAPS;
        let (whose, held) = if is_full {
            ((account, None), held.1)
        } else {
            (own, held.0)
        };
        self.gaps.entry(whose.clone()).or_default().held = held;
        whose
    }

    /// Part of a gap lies where the pass will not come again.
    fn miss(&mut self, whose: &Whose) {
        if let Some(gap) = self.gaps.get_mut(whose) {
            gap.missed = true;
        }
        if let Some(pass) = &mut self.pass {
            pass.left += 1;
        }
    }
}
