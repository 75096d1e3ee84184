//! What is only on disk, and when it is read back.
//!
//! A *gap* is a host of an account with rows that are not in memory. What comes for it later stays
//! on disk too, so that nothing overtakes. A *pass* reads the outbox in pages, by lane and sequence,
//! from its first row to its last; it rests while no gap wants more. A *thorough* one reads on
//! regardless, because it is not known yet what there is. **Invariant: a gap is forgotten only
//! after a pass that left nothing of its host behind.**

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{AccountSid, EventSid, Lane, Timestamp};

use crate::outbox::RowPlace;

/// Rest after a pass for which there was no room, and after a page that could not be read.
const REST: Duration = Duration::from_secs(1);

/// Gaps of one account that are distinguished; the rest of its hosts share one.
const GAPS: usize = 256;

/// A page to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    /// For which pass.
    pub(crate) pass: u64,
    /// From the first row behind this one on.
    pub(crate) after: Option<RowPlace>,
}

/// Whose rows: those of one host, or of all hosts of an account that have no gap of their own.
type Whose = (AccountSid, Option<Arc<str>>);

#[derive(Default)]
struct Gap {
    /// Some of its rows are on disk where the pass has been.
    missed: bool,
    /// Rows it had in memory when that happened last. It wants more once half of them are through.
    held: usize,
}

struct Pass {
    thorough: bool,
    /// How far it has come,
    after: Option<RowPlace>,
    /// and of which hosts a row of that lane is on disk before: so must be those behind it.
    closed: BTreeSet<Arc<str>>,
    took: bool,
    /// Rows on disk where it has been.
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
    /// Passes begun.
    passes: u64,
    reading: bool,
    /// Rows that ended while a page was read: it may still contain them.
    ended: BTreeSet<EventSid>,
    /// Rows that were left on disk while a page was read: it may not contain them.
    late: Vec<(Whose, RowPlace)>,
    on_disk: u64,
    rest_until: Timestamp,
}

impl Pages {
    /// About how many rows are only on disk; exact when there are none.
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

    /// Whether a thorough pass is not over.
    pub(super) fn is_thorough(&self) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.thorough)
    }

    /// Begins a thorough pass.
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

    /// A row that was in memory, or has just come, is only on disk from now on.
    ///
    /// - `held`: rows that its host and its account have in memory.
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

    /// Notes that a row is through.
    pub(super) fn note_end(&mut self, event: EventSid) {
        if self.reading {
            self.ended.insert(event);
        }
    }

    /// When the next page is to be read, if one is.
    ///
    /// - `held`: rows that a host, or an account, has in memory.
    pub(super) fn next(&self, held: impl Fn(&Whose) -> usize) -> Option<Timestamp> {
        let wanted = || self.is_thorough() || self.is_wanted(held);
        (!self.reading && wanted()).then_some(self.rest_until)
    }

    /// Whether a gap has room for what it left on disk.
    pub(super) fn is_wanted(&self, held: impl Fn(&Whose) -> usize) -> bool {
        self.gaps
            .iter()
            .any(|(whose, gap)| held(whose) * 2 <= gap.held)
    }

    /// The page to read; begins a pass if there is none.
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

    /// A page has come; false if its pass was given up for another one meanwhile.
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

    /// Whether a row ended after the page was asked for.
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

    /// There is no room for a row of the page, or it is behind one that stays on disk. Returns
    /// whether the pass continues without it, for the sake of others; else it comes back to this
    /// row.
    ///
    /// - `held`: rows that its host and its account have in memory; `held_by` returns those of
    ///   others.
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

    /// A row of the page is dealt with.
    pub(super) fn step(&mut self, place: RowPlace) {
        if let Some(pass) = &mut self.pass {
            pass.step(place);
        }
    }

    /// The page is dealt with.
    ///
    /// - `is_last`: there is no further one.
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
        self.late.clear(); // The new pass comes to them.
        self.passes += 1;
        self.pass = Some(Pass {
            thorough,
            after: None,
            closed: BTreeSet::new(),
            took: false,
            left: 0,
        });
    }

    /// Makes or finds a gap, and notes which of its rows are in memory.
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

    /// Something of a gap is where the pass does not come any more.
    fn miss(&mut self, whose: &Whose) {
        if let Some(gap) = self.gaps.get_mut(whose) {
            gap.missed = true;
        }
        if let Some(pass) = &mut self.pass {
            pass.left += 1;
        }
    }
}
