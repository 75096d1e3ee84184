//! Who holds how much of a budget, who waits, and who is served next.
//!
//! **Invariant: at most so many units are held, in total and by one customer.** Any request that
//! fits is served: first those of the customer that holds least, then the oldest. Therefore a large
//! request may be overtaken by small ones, but only for a time: after that, requests of its own
//! customer wait behind it if their share is used up, and everyone's if the total is, except those of
//! files that hold some already: only when these are complete do they give it back. Left to others:
//! when a request gives up, and waking those that are served.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use model::AccountSid;

/// A file that holds units or waits for them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId(u64);

/// A request that waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RequestId(u64);

#[derive(Debug)]
pub(super) struct Ledger {
    /// Units that are not held.
    free: u32,
    per_customer: u32,
    /// How long a request may be overtaken.
    overtaken_for: Duration,
    files: BTreeMap<FileId, File>,
    /// Units of all files of a customer; only of those who hold any.
    held: BTreeMap<AccountSid, u32>,
    /// In order of arrival.
    waiting: BTreeMap<RequestId, Request>,
    /// Number of files and requests so far.
    count: u64,
}

#[derive(Debug)]
struct File {
    customer: AccountSid,
    held: u32,
}

#[derive(Debug)]
struct Request {
    file: FileId,
    customer: AccountSid,
    units: u32,
    since: Instant,
}

impl Ledger {
    /// - `per_customer`: at most `total`.
    pub(super) fn new(total: u32, per_customer: u32, overtaken_for: Duration) -> Self {
        Self {
            free: total,
            per_customer,
            overtaken_for,
            files: BTreeMap::new(),
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            count: 0,
        }
    }

    /// A file that holds nothing yet.
    pub(super) fn open(&mut self, customer: AccountSid) -> FileId {
        let file = FileId(self.number());
        self.files.insert(file, File { customer, held: 0 });
        file
    }

    /// Returns what the file holds, and withdraws its requests.
    pub(super) fn close(&mut self, file: FileId) {
        self.waiting.retain(|_, request| request.file != file);
        self.shrink(file, 0);
        self.files.remove(&file);
    }

    /// Units that the file holds.
    pub(super) fn held(&self, file: FileId) -> u32 {
        self.files.get(&file).map_or(0, |file| file.held)
    }

    /// Requests what the file lacks to hold that many units, or all that its customer may have;
    /// `None` if it lacks nothing.
    pub(super) fn request(&mut self, file: FileId, units: u32, now: Instant) -> Option<RequestId> {
        let units = units.min(self.per_customer);
        let File { customer, held } = *self.files.get(&file)?;
        let units = units.checked_sub(held).filter(|missing| *missing > 0)?;
        let id = RequestId(self.number());
        let request = Request {
            file,
            customer,
            units,
            since: now,
        };
        self.waiting.insert(id, request);
        Some(id)
    }

    /// Withdraws a request; false if it has been served.
    pub(super) fn withdraw(&mut self, request: RequestId) -> bool {
        self.waiting.remove(&request).is_some()
    }

    /// Returns what the file holds beyond these units.
    pub(super) fn shrink(&mut self, file: FileId, units: u32) {
        let Some(file) = self.files.get_mut(&file) else {
            return;
        };
        let surplus = file.held.saturating_sub(units);
        file.held -= surplus;
        self.free += surplus;
        if let Some(held) = self.held.get_mut(&file.customer) {
            *held -= surplus;
            if *held == 0 {
                self.held.remove(&file.customer);
            }
        }
    }

    /// Serves what can be served; returns those requests. To be called after every change.
    pub(super) fn serve(&mut self, now: Instant) -> Vec<RequestId> {
        let mut served = Vec::new();
        while let Some(id) = self.next(now)
            && let Some(request) = self.waiting.remove(&id)
        {
            self.free -= request.units;
            *self.held.entry(request.customer).or_default() += request.units;
            if let Some(file) = self.files.get_mut(&request.file) {
                file.held += request.units;
            }
            served.push(id);
        }
        served
    }

    fn next(&self, now: Instant) -> Option<RequestId> {
        let mut fitting = Vec::new();
        // Customers with a request that their others may not overtake.
        let mut closed = BTreeSet::new();
        // Whether an old request waits for units of any customer.
        let mut growing_only = false;
        for (id, request) in &self.waiting {
            let is_growing = || self.held(request.file) > 0;
            if (growing_only || closed.contains(&request.customer)) && !is_growing() {
                continue;
            }
            let held = self.held_by(request.customer);
            let is_old = now.duration_since(request.since) >= self.overtaken_for;
            let fits_share = held + request.units <= self.per_customer;
            let fits = fits_share && request.units <= self.free;
            match (fits, is_old) {
                (true, true) => return Some(*id),
                (true, false) => fitting.push((held, *id)),
                (false, true) if fits_share => growing_only = true,
                (false, true) => {
                    closed.insert(request.customer);
                }
                (false, false) => {}
            }
        }
        fitting.into_iter().min().map(|(_, id)| id)
    }

    fn held_by(&self, customer: AccountSid) -> u32 {
        self.held.get(&customer).copied().unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: u32 = 100;
    const SHARE: u32 = 60;

    /// A ledger, and the time in seconds.
    struct Scene {
        ledger: Ledger,
        start: Instant,
        second: u64,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                ledger: Ledger::new(TOTAL, SHARE, Duration::from_secs(5)),
                start: Instant::now(),
                second: 0,
            }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_secs(self.second)
        }

        /// A new file of a customer that requests so much.
        fn file(&mut self, customer: u8, units: u32) -> FileId {
            let file = self.ledger.open(AccountSid::from_bytes([customer; 16]));
            self.ledger.request(file, units, self.now());
            self.ledger.serve(self.now());
            file
        }

        fn shrink(&mut self, file: FileId, units: u32) {
            self.ledger.shrink(file, units);
            self.ledger.serve(self.now());
        }

        fn held<const N: usize>(&self, files: [FileId; N]) -> [u32; N] {
            files.map(|file| self.ledger.held(file))
        }
    }

    #[test]
    fn a_large_request_holds_up_others_only_when_it_is_old() {
        let mut scene = Scene::new();
        let first = scene.file(1, 60);
        let large = scene.file(2, 50);
        let small = scene.file(3, 10);
        assert_eq!(scene.held([first, large, small]), [60, 0, 10]);
        scene.second = 4;
        let overtaking = scene.file(4, 10);
        scene.second = 5;
        let late = scene.file(4, 5);
        assert_eq!(scene.held([overtaking, large, late]), [10, 0, 0]);
        scene.shrink(first, 40);
        assert_eq!(scene.held([large, late]), [0, 0], "40 of 50 are free");
        scene.shrink(first, 30);
        assert_eq!(scene.held([large, late]), [50, 0], "nothing is left");
        scene.shrink(first, 20);
        assert_eq!(scene.held([late]), [5]);
    }

    #[test]
    fn an_old_request_does_not_hold_up_files_that_must_finish() {
        let mut scene = Scene::new();
        let first = scene.file(1, 50);
        let large = scene.file(2, 60);
        scene.second = 5;
        let new = scene.file(3, 5);
        scene.ledger.request(first, 60, scene.now());
        scene.ledger.serve(scene.now());
        assert_eq!(scene.held([first, large, new]), [60, 0, 0]);
        scene.ledger.close(first);
        scene.ledger.serve(scene.now());
        assert_eq!(scene.held([large, new]), [60, 5]);
        // The same if it waits for the share of their customer.
        let mut scene = Scene::new();
        let (growing, large) = (scene.file(1, 30), scene.file(1, 40));
        scene.second = 5;
        let new = scene.file(1, 5);
        scene.ledger.request(growing, 40, scene.now());
        scene.ledger.serve(scene.now());
        assert_eq!(scene.held([growing, large, new]), [40, 0, 0]);
    }

    #[test]
    fn an_old_request_that_gives_up_lets_others_in() {
        let mut scene = Scene::new();
        scene.file(1, 60);
        let large = scene.file(2, 50);
        scene.second = 5;
        let small = scene.file(3, 10);
        assert_eq!(scene.held([small]), [0]);
        scene.ledger.close(large);
        scene.ledger.serve(scene.now());
        assert_eq!(scene.held([small]), [10]);
    }

    #[test]
    fn a_request_beyond_the_share_only_holds_up_its_own_customer() {
        let mut scene = Scene::new();
        let first = scene.file(1, 50);
        let large = scene.file(1, 20);
        let small = scene.file(1, 4);
        assert_eq!(scene.held([first, large, small]), [50, 0, 4]);
        scene.second = 5;
        let (late, other) = (scene.file(1, 4), scene.file(2, 4));
        assert_eq!(scene.held([large, late, other]), [0, 0, 4]);
        scene.shrink(first, 36);
        assert_eq!(scene.held([large, late]), [20, 0]);
    }

    #[test]
    fn the_customer_that_holds_least_is_served_first() {
        let mut scene = Scene::new();
        let first = scene.file(1, 50);
        scene.file(2, 45);
        let (greedy, modest) = (scene.file(2, 10), scene.file(3, 10));
        let later = scene.file(3, 1);
        assert_eq!(scene.held([greedy, modest, later]), [0, 0, 1]);
        scene.shrink(first, 44);
        assert_eq!(scene.held([greedy, modest]), [0, 10]);
        scene.second = 5;
        let modest = scene.file(4, 10);
        scene.shrink(first, 34);
        assert_eq!(scene.held([greedy, modest]), [10, 0], "it is old");
    }

    #[test]
    fn what_is_missing_is_requested() {
        let mut scene = Scene::new();
        let file = scene.file(1, 10);
        let now = scene.now();
        assert_eq!(scene.ledger.request(file, 10, now), None);
        let more = scene.ledger.request(file, 1000, now).unwrap();
        assert_eq!(scene.ledger.serve(now), [more]);
        assert_eq!(scene.held([file]), [SHARE], "all that it may have");
        assert_eq!(scene.ledger.request(file, 1001, now), None);
        assert!(!scene.ledger.withdraw(more), "it has been served");
        let other = scene.ledger.open(AccountSid::from_bytes([1; 16]));
        let waiting = scene.ledger.request(other, 1, now).unwrap();
        assert!(scene.ledger.serve(now).is_empty());
        assert!(scene.ledger.withdraw(waiting));
        scene.shrink(file, 0);
        assert_eq!(scene.held([other]), [0]);
    }

    #[test]
    fn nothing_is_lost_and_no_limit_exceeded() {
        use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
        let mut random = StdRng::seed_from_u64(7);
        let mut scene = Scene::new();
        let mut files: Vec<FileId> = Vec::new();
        let mut waited = 0;
        for _ in 0..20_000 {
            scene.second += random.random_range(0..2);
            let chosen = random.random_range(0..=files.len());
            match files.get(chosen).copied() {
                None if files.len() < 20 => {
                    let customer = random.random_range(0..4);
                    files.push(scene.file(customer, random.random_range(1..70)));
                }
                None => {}
                Some(file) if random.random_range(0..3) == 0 => {
                    files.remove(chosen);
                    scene.ledger.close(file);
                }
                Some(file) if random.random_range(0..2) == 0 => {
                    scene.shrink(file, random.random_range(0..60));
                }
                Some(file) => {
                    let (units, now) = (random.random_range(1..70), scene.now());
                    scene.ledger.request(file, units, now);
                }
            }
            scene.ledger.serve(scene.now());
            let ledger = &scene.ledger;
            let held: u32 = files.iter().map(|file| ledger.held(*file)).sum();
            assert_eq!(held + ledger.free, TOTAL);
            assert_eq!(held, ledger.held.values().sum::<u32>());
            assert!(ledger.held.values().all(|held| (1..=SHARE).contains(held)));
            waited += usize::from(!ledger.waiting.is_empty());
        }
        assert!((1000..19_000).contains(&waited), "{waited}");
        for file in files {
            scene.ledger.close(file);
        }
        let ledger = &scene.ledger;
        assert!(ledger.files.is_empty() && ledger.waiting.is_empty());
    }
}
