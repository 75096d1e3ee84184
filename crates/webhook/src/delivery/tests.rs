//! The machine against simulated applications in virtual time.

mod dropped;
mod probes;

use std::ops::Bound;

use model::record::Callback;
use model::{CallSid, ConferenceSid, HttpMethod, MessageSid};

use super::*;

const SECOND: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

/// A lane of a call, a conference or a message.
fn owner(kind: u8, bytes: [u8; 16]) -> Lane {
    match kind % 3 {
        0 => CallSid::from_bytes(bytes).into(),
        1 => ConferenceSid::from_bytes(bytes).into(),
        _ => MessageSid::from_bytes(bytes).into(),
    }
}

fn account(n: u8) -> AccountSid {
    AccountSid::from_bytes([n; 16])
}

fn row(account: u8, call: u8, sequence: u8, host: &str, now: Timestamp) -> PendingCallback {
    let mut event = [0; 16];
    event[..3].copy_from_slice(&[account, call, sequence]);
    event[3] = host.len() as u8;
    event[4] = host.as_bytes()[0];
    PendingCallback::new(Callback {
        event: EventSid::from_bytes(event),
        author: AccountSid::from_bytes([account; 16]),
        account: AccountSid::from_bytes([account; 16]),
        lane: owner(call, [call; 16]),
        call: None,
        sequence: sequence.into(),
        url: format!("http://{host}/status"),
        method: HttpMethod::Post,
        params: Vec::new(),
        created: now,
    })
}

/// As [`row`], for one of very many calls.
fn row_of(account: u8, call: u32, sequence: u8, host: &str, now: Timestamp) -> PendingCallback {
    let mut made = row(account, 0, sequence, host, now);
    let mut event = *made.callback.event.as_bytes();
    event[8..12].copy_from_slice(&call.to_be_bytes());
    let mut sid = [0; 16];
    sid[..4].copy_from_slice(&call.to_be_bytes());
    made.callback.event = EventSid::from_bytes(event);
    made.callback.lane = owner(sid[3], sid);
    made
}

fn taken() -> Attempt {
    Attempt::Ended(Outcome::Delivered { status: 200 })
}

fn failed(status: Option<u16>) -> Attempt {
    let reason = "made up".to_owned();
    Attempt::Failed {
        failure: Failure {
            code: 11_205,
            status,
            reason,
        },
        asked: None,
    }
}

/// Pseudo-random numbers that are the same on every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How an application behaves at some time: its delay and its result.
type Behaviour = Box<dyn Fn(Timestamp, &mut Random) -> (Duration, Attempt)>;

type Page = Option<Vec<PendingCallback>>;

struct Sent {
    at: Timestamp,
    account: u8,
    call: u8,
    sequence: u8,
    host: String,
}

/// Runs the machine with its applications, and checks the invariants at each step.
struct World {
    machine: Delivery,
    config: CallbackConfig,
    random: Random,
    hosts: BTreeMap<String, Behaviour>,
    /// Rows that arrive, requests that return, ends that are stored.
    arrivals: BTreeMap<(Timestamp, u64), PendingCallback>,
    flights: BTreeMap<(Timestamp, u64), (PendingCallback, Attempt)>,
    stores: BTreeMap<(Timestamp, u64), (PendingCallback, Outcome)>,
    /// Pages that were read, by arrival time.
    pages: BTreeMap<(Timestamp, u64), (Read, Page)>,
    /// Stored rows that have not ended.
    disk: BTreeMap<RowPlace, PendingCallback>,
    /// The disk cannot be read before this time.
    readable_at: Timestamp,
    /// Number of rows read.
    read: usize,
    /// The last row sent in each lane.
    last: BTreeMap<(AccountSid, Arc<str>, Lane), i64>,
    next: u64,
    sent: Vec<Sent>,
    ended: BTreeMap<EventSid, (Timestamp, Outcome)>,
    changes: Vec<String>,
}

impl World {
    fn new(config: CallbackConfig, seed: u64) -> Self {
        Self {
            machine: Delivery::new(config.clone()),
            config,
            random: Random(seed),
            hosts: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            flights: BTreeMap::new(),
            stores: BTreeMap::new(),
            pages: BTreeMap::new(),
            disk: BTreeMap::new(),
            readable_at: at(0),
            read: 0,
            last: BTreeMap::new(),
            next: 0,
            sent: Vec::new(),
            ended: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    fn host(
        mut self,
        name: &str,
        behaviour: impl Fn(Timestamp, &mut Random) -> (Duration, Attempt) + 'static,
    ) -> Self {
        self.hosts.insert(name.to_owned(), Box::new(behaviour));
        self
    }

    /// Stores a row left by an earlier run.
    fn find(&mut self, row: PendingCallback) {
        self.disk.insert(RowPlace::of(&row.callback), row);
    }

    fn arrive(&mut self, row: PendingCallback) {
        self.next += 1;
        self.arrivals.insert((row.callback.created, self.next), row);
    }

    /// Runs until nothing is left to happen, or the time is up.
    fn run(&mut self, until: Timestamp) {
        loop {
            let moments = [
                self.arrivals.keys().next().map(|(at, _)| *at),
                self.flights.keys().next().map(|(at, _)| *at),
                self.stores.keys().next().map(|(at, _)| *at),
                self.pages.keys().next().map(|(at, _)| *at),
                self.machine.poll_timeout(),
            ];
            let Some(now) = moments.into_iter().flatten().min() else {
                return;
            };
            if now > until {
                return;
            }
            self.step(now);
        }
    }

    fn step(&mut self, now: Timestamp) {
        while let Some(entry) = self.arrivals.first_entry().filter(|e| e.key().0 <= now) {
            let row = entry.remove();
            self.find(row.clone());
            self.machine.handle_row(row);
        }
        while let Some(entry) = self.pages.first_entry().filter(|e| e.key().0 <= now) {
            let (read, page) = entry.remove();
            self.machine.handle_page(read, page, now);
        }
        while let Some(entry) = self.flights.first_entry().filter(|e| e.key().0 <= now) {
            let (row, attempt) = entry.remove();
            let random = self.random.unit();
            let event = row.callback.event;
            self.machine.handle_attempt(event, attempt, now, random);
        }
        while let Some(entry) = self.stores.first_entry().filter(|e| e.key().0 <= now) {
            let (row, outcome) = entry.remove();
            let event = row.callback.event;
            self.disk.remove(&RowPlace::of(&row.callback));
            self.machine.handle_stored(event, &outcome);
            let before = self.ended.insert(event, (now, outcome));
            assert!(before.is_none(), "{event} ends twice");
        }
        while let Some(output) = self.machine.poll_output(now) {
            self.output(output, now);
        }
        self.check();
    }

    fn output(&mut self, output: Output, now: Timestamp) {
        self.next += 1;
        match output {
            Output::Send(row) => {
                assert!(row.next_at <= now, "sent too early");
                let host = row.callback.url.split('/').nth(2).unwrap_or_default();
                let behaviour = &self.hosts[host];
                let (takes, mut attempt) = behaviour(now, &mut self.random);
                if row.callback.url.ends_with("/bad") {
                    attempt = failed(Some(500));
                }
                let callback = &row.callback;
                let lane = (callback.account, origin(&callback.url), callback.lane);
                let before = self.last.insert(lane, callback.sequence);
                assert!(before <= Some(callback.sequence), "overtaken: {callback:?}");
                self.sent.push(Sent {
                    at: now,
                    account: row.callback.account.as_bytes()[0],
                    call: row.callback.lane.as_bytes()[0],
                    sequence: row.callback.sequence as u8,
                    host: host.to_owned(),
                });
                self.flights
                    .insert((now + takes, self.next), (*row, attempt));
            }
            Output::End(row, outcome) => {
                let stored = now + Duration::from_millis(2);
                self.stores.insert((stored, self.next), (*row, outcome));
            }
            Output::Retry(row, _) => {
                assert!(row.next_at > now);
                self.find(*row);
            }
            Output::Read(read) => {
                let after = read.after.map_or(Bound::Unbounded, Bound::Excluded);
                let rows = self.disk.range((after, Bound::Unbounded));
                let page: Vec<_> = rows.take(PAGE).map(|(_, row)| row.clone()).collect();
                self.read += page.len();
                let page = (now >= self.readable_at).then_some(page);
                let takes = Duration::from_millis(3);
                self.pages.insert((now + takes, self.next), (read, page));
            }
            Output::Ask(account) => self.machine.handle_customer(account, Some(account)),
            Output::Opened { origin, .. } => self.changes.push(format!("{origin} opened")),
            Output::Closed { origin, .. } => self.changes.push(format!("{origin} closed")),
        }
    }

    /// Slots and memory are never exceeded, and no lane has two rows in progress.
    fn check(&self) {
        assert!(self.machine.known.len() <= self.config.max_rows);
        let mut accounts: BTreeMap<AccountSid, usize> = BTreeMap::new();
        let mut hosts: BTreeMap<(AccountSid, Arc<str>), usize> = BTreeMap::new();
        let mut lanes = BTreeSet::new();
        for (row, _) in self.flights.values() {
            let callback = &row.callback;
            let host = (callback.account, origin(&callback.url));
            *accounts.entry(callback.account).or_default() += 1;
            *hosts.entry(host.clone()).or_default() += 1;
            assert!(lanes.insert((host, callback.lane)), "two of a lane at once");
        }
        assert!(accounts.values().all(|n| *n <= self.config.per_customer));
        assert!(hosts.values().all(|n| *n <= self.config.per_host));
    }

    /// First and later attempts of a lane, as sequences in sending order.
    fn lane(&self, account: u8, call: u8, host: &str) -> Vec<u8> {
        self.sent
            .iter()
            .filter(|sent| (sent.account, sent.call, &*sent.host) == (account, call, host))
            .map(|sent| sent.sequence)
            .collect()
    }
}

#[test]
fn every_row_of_random_applications_ends_once_and_in_order() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let hosts = ["good", "flaky", "slow", "down", "broken"];
        let mut world = World::new(CallbackConfig::default(), seed)
            .host("good", |_, _| (Duration::from_millis(5), taken()))
            .host("flaky", |_, random| {
                let takes = Duration::from_millis(random.next() % 300);
                let result = match random.next() % 4 {
                    0 => failed(Some(503)),
                    1 => failed(None),
                    2 => Attempt::Failed {
                        failure: Failure {
                            code: 11_206,
                            status: Some(429),
                            reason: String::new(),
                        },
                        asked: Some(Duration::from_secs(random.next() % 20)),
                    },
                    _ => taken(),
                };
                (takes, result)
            })
            .host("slow", |_, _| (Duration::from_secs(5), taken()))
            .host("down", |now, _| {
                if (10..70).contains(&(now.0 / SECOND)) {
                    (Duration::from_secs(6), failed(None))
                } else {
                    (Duration::from_millis(20), taken())
                }
            })
            .host("broken", |_, random| {
                let ended = Attempt::Ended(Outcome::Dead(Failure {
                    code: 11_206,
                    status: Some(404),
                    reason: String::new(),
                }));
                match random.next() % 3 {
                    0 => (Duration::from_millis(1), ended),
                    _ => (Duration::from_millis(1), failed(Some(500))),
                }
            });
        let mut rows = Vec::new();
        for account in 0..3 {
            for call in 0..30 {
                let start = random.next() as i64 & 0x3ff_ffff;
                for sequence in 0..4 {
                    let now = Timestamp(start + i64::from(sequence) * SECOND / 2);
                    let host = hosts[random.next() as usize % hosts.len()];
                    let row = row(account, call, sequence, host, now);
                    rows.push(row.callback.event);
                    world.arrive(row);
                }
            }
        }
        world.run(at(100_000));
        assert_eq!(world.ended.len(), rows.len(), "seed {seed}");
        assert_eq!(world.machine.len(), 0);
        assert!(world.machine.accounts.is_empty(), "nothing is remembered");
        assert!(world.machine.agenda.is_empty());
        for account in 0..3 {
            for call in 0..30 {
                for host in hosts {
                    let lane = world.lane(account, call, host);
                    assert!(lane.is_sorted(), "seed {seed}: {lane:?}");
                }
            }
        }
        for (_, outcome) in world.ended.values() {
            let refused = |failure: &Failure| failure.status == Some(404);
            let expected = match outcome {
                Outcome::Delivered { .. } => true,
                Outcome::Dead(failure) => refused(failure),
                Outcome::Dropped => false,
            };
            assert!(expected, "seed {seed}: {outcome:?}");
        }
    }
}

#[test]
fn a_host_that_is_down_is_left_alone_and_costs_others_nothing() {
    let mut world = World::new(CallbackConfig::default(), 1)
        .host("down", |now, _| {
            if now < at(60) {
                (Duration::from_secs(6), failed(None))
            } else {
                (Duration::from_millis(20), taken())
            }
        })
        .host("good", |_, _| (Duration::from_millis(20), taken()));
    for call in 0..100 {
        for sequence in 0..3 {
            world.arrive(row(1, call, sequence, "down", at(0)));
            // The same account elsewhere, and another account at the same host and elsewhere.
            let now = Timestamp(i64::from(call) * SECOND / 2);
            world.arrive(row(1, call, sequence, "good", now));
            world.arrive(row(2, call, sequence, "good", now));
        }
    }
    world.run(at(600));
    assert_eq!(world.ended.len(), 900);
    let early = |sent: &&Sent| sent.host == "down" && sent.at < at(60);
    let tries = world.sent.iter().filter(early).count();
    assert!((5..=20).contains(&tries), "{tries} requests to a dead host");
    assert_eq!(world.changes, ["http://down opened", "http://down closed"]);
    for sent in world.sent.iter().filter(|sent| sent.host == "good") {
        let due = i64::from(sent.call) * SECOND / 2;
        let waited = Duration::from_micros((sent.at.0 - due) as u64);
        assert!(waited < Duration::from_millis(100), "{waited:?}");
    }
    let last = world.ended.values().map(|(at, _)| *at).max();
    assert!(last < Some(at(150)), "the rest follows soon: {last:?}");
    let stats = world.machine.stats();
    assert_eq!((stats.delivered, stats.dead, stats.opened), (900, 0, 1));
    assert_eq!((stats.waiting, stats.open_hosts), (0, 0));
}

#[test]
fn accounts_that_share_a_host_do_not_share_its_places() {
    let mut world = World::new(CallbackConfig::default(), 1)
        .host("shared", |_, _| (Duration::from_secs(4), taken()));
    for call in 0..200 {
        world.arrive(row(1, call, 0, "shared", at(0)));
    }
    world.arrive(row(2, 0, 0, "shared", at(1)));
    world.run(at(600));
    let second = world.sent.iter().find(|sent| sent.account == 2);
    assert_eq!(second.map(|sent| sent.at), Some(at(1)));
    assert_eq!(world.sent.len(), 201);
}

#[test]
fn an_account_with_many_slow_hosts_keeps_to_its_places() {
    let mut world = World::new(CallbackConfig::default(), 1);
    let names: Vec<String> = (1..40).map(|n| "h".repeat(n)).collect();
    for name in &names {
        world = world.host(name, |_, _| (Duration::from_secs(5), taken()));
        for call in 0..10 {
            world.arrive(row(1, call, 0, name, at(0)));
        }
    }
    // `check` counts the slots at every step.
    world.run(at(3_600));
    assert_eq!(world.ended.len(), 390);
}

#[test]
fn old_rows_are_given_up_even_if_their_host_is_never_tried() {
    let config = CallbackConfig {
        max_age: Duration::from_secs(100),
        ..CallbackConfig::default()
    };
    let mut world =
        World::new(config, 1).host("down", |_, _| (Duration::from_secs(1), failed(None)));
    for call in 0..100 {
        world.arrive(row(1, call, 0, "down", at(0)));
        world.arrive(row(1, call, 1, "down", at(90)));
    }
    world.run(at(1_000));
    assert_eq!(world.ended.len(), 200);
    assert!(world.sent.len() < 40, "{} requests", world.sent.len());
    for (event, (ended, outcome)) in &world.ended {
        let created = if event.as_bytes()[2] == 0 { 0 } else { 90 };
        assert!(matches!(outcome, Outcome::Dead(_)));
        assert!(*ended >= at(created + 100) && *ended < at(created + 200));
    }
    assert!(
        world.machine.accounts.is_empty(),
        "the breaker is forgotten"
    );
}

#[test]
fn a_row_that_comes_again_goes_before_those_behind_it() {
    let config = CallbackConfig::default();
    let mut machine = Delivery::new(config);
    machine.handle_customer(account(1), Some(account(1)));
    let send = |machine: &mut Delivery, now| match machine.poll_output(now) {
        Some(Output::Send(row)) => Some(row.callback.sequence),
        _ => None,
    };
    machine.handle_row(row(1, 1, 4, "a", at(0)));
    machine.handle_row(row(1, 1, 6, "a", at(0)));
    assert_eq!(send(&mut machine, at(0)), Some(4));
    // It is in progress, so the earlier row comes next, before the later one.
    machine.handle_row(row(1, 1, 2, "a", at(0)));
    machine.handle_row(row(1, 1, 2, "a", at(0)));
    assert_eq!(send(&mut machine, at(0)), None);
    let first = row(1, 1, 4, "a", at(0)).callback.event;
    machine.handle_attempt(first, failed(None), at(1), 1.0);
    assert!(matches!(
        machine.poll_output(at(1)),
        Some(Output::Retry(..))
    ));
    assert_eq!(send(&mut machine, at(1)), Some(2));
    let event = row(1, 1, 2, "a", at(0)).callback.event;
    machine.handle_attempt(event, taken(), at(1), 1.0);
    assert!(matches!(machine.poll_output(at(1)), Some(Output::End(..))));
    assert!(machine.knows(event), "its end is not stored yet");
    assert_eq!(machine.poll_timeout(), Some(at(2)), "the failed one waits");
    assert_eq!(send(&mut machine, at(2)), Some(4), "and for nothing else");
    machine.handle_stored(event, &Outcome::Delivered { status: 200 });
    assert!(!machine.knows(event));
    // A second result of the same attempt changes nothing.
    machine.handle_attempt(event, failed(None), at(2), 1.0);
    assert_eq!(machine.poll_output(at(2)), None);
    assert_eq!(machine.len(), 2);
}

/// Every row is finished, and nothing is remembered.
fn assert_over(world: &World, rows: usize) {
    assert_eq!(world.ended.len(), rows);
    assert!(world.disk.is_empty() && world.machine.is_idle());
    assert_eq!(world.machine.len(), 0);
    assert!(world.machine.accounts.is_empty());
}

fn small(max_rows: usize) -> CallbackConfig {
    CallbackConfig {
        max_rows,
        ..CallbackConfig::default()
    }
}

#[test]
fn a_backlog_much_larger_than_memory_is_delivered_in_order() {
    let mut world = World::new(small(800), 1).host("a", |_, _| (Duration::from_millis(2), taken()));
    for call in 0..16_700 {
        for sequence in 0..3 {
            world.find(row_of(1, call, sequence, "a", at(0)));
        }
    }
    world.machine.look_through(50_100);
    assert_eq!(world.machine.len(), 50_100);
    assert!(!world.machine.is_idle());
    // `check` counts the rows in memory at every step; calls continue meanwhile.
    for call in 20_000..20_100 {
        for sequence in 0..3 {
            let now = Timestamp(i64::from(call % 100) * SECOND / 100);
            world.arrive(row_of(1, call, sequence, "a", now));
        }
    }
    world.run(at(3_600));
    assert_over(&world, 50_400);
    assert!(world.read < 4 * 50_400, "{} rows are read", world.read);
    let last = world.ended.values().map(|(at, _)| *at).max();
    assert!(last < Some(at(60)), "nobody idles: {last:?}");
}

#[test]
fn the_flood_of_one_host_leaves_room_for_others() {
    let mut world = World::new(small(300), 1)
        .host("down", |now, _| {
            if now < at(600) {
                (Duration::from_secs(6), failed(None))
            } else {
                (Duration::from_millis(5), taken())
            }
        })
        .host("good", |_, _| (Duration::from_millis(5), taken()));
    // An earlier run left many rows of one account for a host that is down, and a few of others
    // behind them.
    for call in 0..3_000 {
        world.find(row_of(1, call, 0, "down", at(0)));
        world.find(row_of(1, call, 1, "down", at(0)));
    }
    for call in 3_000..3_010 {
        world.find(row_of(1, call, 0, "good", at(0)));
        world.find(row_of(2, call, 1, "good", at(0)));
    }
    world.machine.look_through(6_020);
    // Later there are more, of both accounts.
    for call in 4_000..4_500 {
        let now = at(10) + Duration::from_millis(u64::from(call - 4_000) * 50);
        for sequence in 0..2 {
            world.arrive(row_of(1, call, sequence, "down", now));
            world.arrive(row_of(1, call, sequence, "good", now));
            world.arrive(row_of(2, call, sequence, "good", now));
        }
    }
    world.run(at(590));
    assert_eq!(world.ended.len(), 2_020, "all that can be delivered");
    for sent in world.sent.iter().filter(|sent| sent.host == "good") {
        assert!(sent.at < at(40), "{:?}", sent.at);
    }
    for (event, (ended, _)) in &world.ended {
        let call = u32::from_be_bytes(event.as_bytes()[8..12].try_into().unwrap_or_default());
        let due = match call {
            4_000.. => at(10) + Duration::from_millis(u64::from(call - 4_000) * 50),
            _ => at(0),
        };
        let waited = ended.since(due);
        assert!(waited < Duration::from_millis(200), "{waited:?}");
    }
    world.run(at(3_600));
    assert_over(&world, 9_020);
}

#[test]
fn accounts_share_memory_evenly_when_it_is_full() {
    let mut world = World::new(small(100), 1)
        .host("down", |_, _| (Duration::from_secs(6), failed(None)))
        .host("other", |_, _| (Duration::from_secs(6), failed(None)));
    for call in 0..1_000 {
        world.arrive(row_of(1, call, 0, "down", at(0)));
        world.arrive(row_of(1, call, 0, "other", at(1)));
        world.arrive(row_of(2, call, 0, "down", at(2)));
        world.arrive(row_of(3, call, 0, "down", at(3)));
    }
    world.run(at(4));
    let held: Vec<usize> = world.machine.accounts.values().map(|of| of.rows).collect();
    assert_eq!(held.iter().sum::<usize>(), 100);
    assert!(held.iter().all(|rows| (25..=45).contains(rows)), "{held:?}");
    let first = &world.machine.accounts[&AccountSid::from_bytes([1; 16])];
    let of_hosts: Vec<usize> = first.hosts.values().map(|host| host.rows).collect();
    assert!(of_hosts.iter().all(|rows| *rows >= 5), "{of_hosts:?}");
    assert_eq!(world.machine.len(), 4_000);
}

#[test]
fn random_floods_over_little_memory_end_once_and_in_order() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let cap = 1 + random.next() as usize % 60;
        let mut world = World::new(small(cap), seed);
        let hosts = ["a", "bb", "ccc", "dddd"];
        for host in hosts {
            world = world.host(host, |now, random| {
                let takes = Duration::from_millis(random.next() % 400);
                let down = (5..60).contains(&(now.0 / SECOND)) && random.next() % 2 == 0;
                let result = if down || random.next() % 8 == 0 {
                    failed(Some(503))
                } else {
                    taken()
                };
                (takes, result)
            });
        }
        world.readable_at = at(random.next() as i64 % 8);
        let mut count = 0;
        for call in 0..150 {
            let account = 1 + (random.next() % 3) as u8;
            let start = random.next() as i64 & 0x1ff_ffff;
            let is_old = call < 50;
            for sequence in 0..6 {
                let host = hosts[random.next() as usize % hosts.len()];
                let now = Timestamp(start + i64::from(sequence) * SECOND / 4);
                if is_old {
                    world.find(row_of(account, call, sequence, host, at(0)));
                } else {
                    world.arrive(row_of(account, call, sequence, host, now));
                }
                count += 1;
            }
        }
        world.machine.look_through(300);
        world.run(at(100_000));
        assert_over(&world, count);
    }
}

#[test]
fn very_many_hosts_of_an_account_share_what_is_remembered_of_them() {
    let mut world = World::new(small(50), 1);
    let names: Vec<String> = (0..600).map(|n| format!("h{n}")).collect();
    for name in &names {
        world = world.host(name, |_, _| (Duration::from_millis(40), taken()));
    }
    for (call, name) in (0..).zip(&names) {
        for sequence in 0..2 {
            let mut row = row_of(1, call, sequence, name, at(0));
            row.callback.created = at(1);
            world.arrive(row);
        }
    }
    world.run(at(1));
    assert!(world.machine.pages.gaps() <= 257);
    world.run(at(3_600));
    assert_over(&world, 1_200);
}

#[test]
fn a_row_that_is_wanted_again_goes_before_those_behind_it_without_room() {
    let mut world = World::new(small(3), 1).host("a", |_, _| (Duration::from_millis(500), taken()));
    for sequence in [1, 3, 4, 5, 6] {
        world.arrive(row_of(1, 1, sequence, "a", at(0)));
    }
    let mut again = row_of(1, 1, 2, "a", at(0));
    again.callback.created = Timestamp(SECOND / 10);
    world.arrive(again);
    world.run(at(60));
    // `output` ensures that none is overtaken.
    assert_over(&world, 6);
}

#[test]
fn a_page_that_is_late_does_not_bring_back_what_has_ended() {
    let mut machine = Delivery::new(small(10));
    machine.handle_customer(account(1), Some(account(1)));
    let row = row(1, 1, 1, "a", at(0));
    machine.look_through(1);
    let Some(Output::Read(first)) = machine.poll_output(at(0)) else {
        panic!("a page is read");
    };
    // Meanwhile it is handed over, delivered and stored.
    machine.handle_row(row.clone());
    assert!(matches!(machine.poll_output(at(0)), Some(Output::Send(_))));
    machine.handle_attempt(row.callback.event, taken(), at(0), 0.0);
    assert!(matches!(machine.poll_output(at(0)), Some(Output::End(..))));
    machine.handle_stored(row.callback.event, &Outcome::Delivered { status: 200 });
    machine.handle_page(first, Some(vec![row.clone()]), at(1));
    assert_eq!(machine.poll_output(at(1)), None);
    assert!(machine.is_idle());
    // So is a page of a pass that was abandoned for a new one.
    machine.look_through(1);
    let Some(Output::Read(old)) = machine.poll_output(at(2)) else {
        panic!("a page is read");
    };
    machine.look_through(1);
    machine.handle_page(old, Some(vec![row]), at(2));
    assert!(matches!(machine.poll_output(at(2)), Some(Output::Read(_))));
    assert!(machine.known.is_empty());
}

/// Accounts 1 to 3 are of customer 1, and account 4 is a customer. `None`: nothing is to be sent.
fn next_sent(machine: &mut Delivery, now: Timestamp) -> Option<PendingCallback> {
    loop {
        match machine.poll_output(now)? {
            Output::Send(row) => return Some(*row),
            Output::Ask(sid) => {
                let customer = if sid == account(4) { 4 } else { 1 };
                machine.handle_customer(sid, Some(account(customer)));
            }
            Output::End(row, outcome) => machine.handle_stored(row.callback.event, &outcome),
            Output::Retry(..) | Output::Read(_) | Output::Opened { .. } | Output::Closed { .. } => {
            }
        }
    }
}

#[test]
fn the_accounts_of_a_customer_share_its_slots() {
    let mut machine = Delivery::new(CallbackConfig {
        per_customer: 4,
        at_once: 6,
        ..CallbackConfig::default()
    });
    for n in 1..=4 {
        for call in 0..10 {
            machine.handle_row(row(n, call, 0, "a", at(0)));
        }
    }
    let mut flying: VecDeque<PendingCallback> = VecDeque::new();
    let mut sent = BTreeMap::new();
    let mut order = Vec::new();
    loop {
        while let Some(row) = next_sent(&mut machine, at(0)) {
            let account = row.callback.account;
            *sent.entry(account).or_insert(0) += 1;
            order.push(account);
            flying.push_back(row);
        }
        let of_four = flying
            .iter()
            .filter(|row| row.callback.account == account(4));
        let of_four = of_four.count();
        assert!(of_four <= 4 && flying.len() - of_four <= 4 && flying.len() <= 6);
        let Some(row) = flying.pop_front() else { break };
        machine.handle_attempt(row.callback.event, taken(), at(0), 0.0);
    }
    assert_eq!(sent, (1..=4).map(|n| (account(n), 10)).collect());
    for n in 1..=4 {
        let first = order.iter().position(|sid| *sid == account(n));
        assert!(
            first.is_some_and(|at| at < 20),
            "account {n} waits for all others"
        );
    }
    assert!(machine.accounts.is_empty() && machine.is_idle());
}

#[test]
fn the_customer_with_most_rows_makes_room() {
    let mut machine = Delivery::new(small(10));
    for n in 1..=3 {
        for call in 0..3 {
            machine.handle_row(row(n, call, 0, "b", at(10)));
        }
    }
    while next_sent(&mut machine, at(0)).is_some() {}
    for call in 0..6 {
        machine.handle_row(row(4, call, 0, "b", at(10)));
    }
    let rows = |n| machine.accounts.get(&account(n)).map_or(0, |of| of.rows);
    let of_one: usize = (1..=3).map(rows).sum();
    assert!(rows(4) >= 4 && of_one <= 6, "{of_one} and {}", rows(4));
}
