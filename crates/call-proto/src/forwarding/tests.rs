//! The forwarder in virtual time, with a database that keeps what was committed.

use std::collections::BTreeMap;

use model::message_route::{Forwarding, RouteSettings, SmppSettings};
use model::record::Message;
use model::{HttpMethod, InstanceSid, MessageDirection};

use super::*;
use crate::callback::CallbackTarget;
use crate::dialect::Dialect;
use crate::farewell::MessageFarewell;
use crate::message::message_params;

const START: Timestamp = Timestamp(1_700_000_000_000_000);

fn account() -> AccountSid {
    AccountSid::from_bytes([2; 16])
}

fn route(n: u8, priority: i64) -> MessageRoute {
    MessageRoute {
        sid: MessageRouteSid::from_bytes([n; 16]),
        account: account(),
        name: format!("route {n}"),
        enabled: true,
        priority,
        from_prefix: String::new(),
        to_prefix: String::new(),
        price: 10,
        on_doubt: OnDoubt::Resend,
        settings: RouteSettings::Smpp(SmppSettings::default()),
        secret: None,
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

fn queued(n: u16, now: Timestamp) -> Queued {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let message = Message {
        sid: MessageSid::from_bytes(bytes),
        instance: InstanceSid::from_bytes([1; 16]),
        account: account(),
        call: None,
        from: "+1".to_owned(),
        to: "+49".to_owned(),
        body: "x".to_owned(),
        direction: MessageDirection::OutboundApi,
        status: MessageStatus::Queued,
        error_code: None,
        reason: None,
        created: now,
        updated: now,
        sent: None,
        forwarding: Some(Forwarding {
            expires: now + Duration::from_secs(600),
            due: now,
            attempts: 0,
            doubts: 0,
            segments: 2,
            route: None,
            provider_id: None,
            price: None,
        }),
    };
    let target = CallbackTarget {
        url: "http://app/told".to_owned(),
        method: HttpMethod::Post,
        author: account(),
    };
    let params = message_params(&message, Dialect::TWILIO);
    Queued {
        farewell: Some(MessageFarewell::new(0, target, params)),
        message,
        accounts: vec![account()],
        is_active: true,
        text: None,
    }
}

/// A forwarder, the rows, and what routes were given.
struct World {
    machine: Forwarder,
    now: Timestamp,
    rows: BTreeMap<MessageSid, Queued>,
    given: Vec<(u8, u16)>,
    callbacks: Vec<(u16, String)>,
}

fn number(sid: MessageSid) -> u16 {
    u16::from_be_bytes([sid.as_bytes()[0], sid.as_bytes()[1]])
}

impl World {
    fn new(routes: Vec<MessageRoute>) -> Self {
        let mut world = Self {
            machine: Forwarder::new(7, START),
            now: START,
            rows: BTreeMap::new(),
            given: Vec::new(),
            callbacks: Vec::new(),
        };
        world.machine.set_routes(routes, START);
        world.pass(Duration::from_secs(1));
        world
    }

    fn up(&mut self, route: u8, limit: usize) {
        let state = RouteState {
            is_up: limit > 0,
            limit,
        };
        let sid = MessageRouteSid::from_bytes([route; 16]);
        self.machine.set_state(sid, state, self.now);
        self.carry_out();
    }

    fn accept(&mut self, n: u16) {
        self.accept_to(n, "+49");
    }

    fn accept_to(&mut self, n: u16, to: &str) {
        let mut queued = queued(n, self.now);
        to.clone_into(&mut queued.message.to);
        self.rows.insert(queued.message.sid, queued.clone());
        self.machine.accept(queued, self.now);
        self.carry_out();
    }

    fn answer(&mut self, n: u16, outcome: Outcome) {
        let sid = queued(n, self.now).message.sid;
        self.machine.handle_outcome(sid, outcome, self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        loop {
            let commands = self.machine.poll_commands();
            if commands.is_empty() {
                return;
            }
            for command in commands {
                match command {
                    ForwardCommand::Claim(claim) => {
                        let sid = claim.message.sid;
                        let applied = self.commit(claim);
                        self.machine.handle_claimed(sid, applied, self.now);
                    }
                    ForwardCommand::Commit(moved) => {
                        self.commit(moved);
                    }
                    ForwardCommand::Submit(route, message) => {
                        let row = &self.rows[&message.sid].message;
                        assert_eq!(
                            row.status,
                            MessageStatus::Sending,
                            "claimed before it is sent"
                        );
                        self.given.push((route.as_bytes()[0], number(message.sid)));
                    }
                    ForwardCommand::Load(after, limit) => {
                        let place = |row: &&Queued| {
                            let due = row.message.forwarding.as_ref().unwrap().due;
                            (due, row.message.sid)
                        };
                        let waits = |row: &&Queued| row.message.status == MessageStatus::Queued;
                        let mut rows: Vec<&Queued> = self.rows.values().filter(waits).collect();
                        rows.sort_by_key(place);
                        let rows = rows
                            .into_iter()
                            .filter(|row| after.is_none_or(|after| place(row) > after));
                        let page: Vec<Queued> = rows.take(limit).cloned().collect();
                        let is_last = page.len() < limit;
                        self.machine.handle_loaded(page, is_last, self.now);
                    }
                    ForwardCommand::LoadInDoubt => {
                        let is_sending =
                            |row: &&Queued| row.message.status == MessageStatus::Sending;
                        let rows = self.rows.values().filter(is_sending).cloned().collect();
                        self.machine.handle_in_doubt(rows, self.now);
                    }
                }
            }
        }
    }

    fn commit(&mut self, moved: Move) -> bool {
        let row = self.rows.get_mut(&moved.message.sid).unwrap();
        let attempts = row.message.forwarding.as_ref().unwrap().attempts;
        if row.message.status != moved.expected
            || moved.attempt.is_some_and(|attempt| attempt != attempts)
        {
            return false;
        }
        row.message = *moved.message;
        if let Some(callback) = moved.callback {
            let status = callback
                .params
                .iter()
                .find(|(name, _)| name == "MessageStatus");
            self.callbacks
                .push((number(row.message.sid), status.unwrap().1.clone()));
        }
        true
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut rounds = 0;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.carry_out();
            rounds += 1;
            assert!(rounds < 100_000, "timers fire without an end");
        }
        self.now = until;
    }

    fn record(&self, n: u16) -> &Message {
        &self.rows[&queued(n, self.now).message.sid].message
    }
}

fn busy() -> Outcome {
    Outcome::Unavailable("busy".to_owned())
}

#[test]
fn an_accepted_message_is_sent_and_reported_once() {
    let mut world = World::new(vec![route(1, 1)]);
    world.up(1, 1);
    world.accept(1);
    world.accept(2);
    assert_eq!(world.given, [(1, 1)]);
    world.answer(1, Outcome::Accepted(vec!["a".to_owned(), "b".to_owned()]));
    world.answer(1, busy());
    assert_eq!(world.given, [(1, 1), (1, 2)]);
    let record = world.record(1);
    let forwarding = record.forwarding.as_ref().unwrap();
    assert_eq!(
        (record.status, forwarding.price),
        (MessageStatus::Sent, Some(20))
    );
    assert_eq!(forwarding.provider_id.as_deref(), Some("a"));
    assert_eq!(world.callbacks, [(1, "sent".to_owned())]);
}

#[test]
fn another_route_follows_and_then_a_pause() {
    let mut world = World::new(vec![route(1, 1), route(2, 2)]);
    world.up(1, 9);
    world.up(2, 9);
    world.accept(1);
    world.answer(1, busy());
    world.answer(1, busy());
    assert_eq!(world.given, [(1, 1), (2, 1)]);
    world.pass(Duration::from_millis(999));
    assert_eq!(world.given.len(), 2);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.given, [(1, 1), (2, 1), (1, 1)]);
    world.answer(1, Outcome::Refused(30_005, "unknown".to_owned()));
    assert_eq!(world.record(1).error_code, Some(30_005));
    assert_eq!(world.callbacks, [(1, "failed".to_owned())]);
}

#[test]
fn a_message_without_a_route_waits_and_expires() {
    let mut world = World::new(vec![route(1, 1)]);
    world.accept(1);
    world.accept(2);
    world.pass(Duration::from_secs(60));
    assert!(world.given.is_empty());
    world.up(1, 1);
    assert_eq!(world.given.len(), 1, "at once when the route comes up");
    world.up(1, 0);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.record(2).error_code, Some(error::MESSAGE_EXPIRED));
    // The other one has been given to the route: its answer counts, whenever it comes.
    assert_eq!(world.record(1).status, MessageStatus::Sending);
}

#[test]
fn doubt_is_counted_and_sent_again_or_not() {
    for (on_doubt, status, given) in [
        (OnDoubt::Resend, MessageStatus::Sending, 2),
        (OnDoubt::Fail, MessageStatus::Failed, 1),
    ] {
        let mut only = route(1, 1);
        only.on_doubt = on_doubt;
        let mut world = World::new(vec![only]);
        world.up(1, 1);
        world.accept(1);
        world.answer(1, Outcome::Doubtful("gone".to_owned()));
        world.pass(Duration::from_secs(2));
        assert_eq!((world.record(1).status, world.given.len()), (status, given));
        assert_eq!(world.record(1).forwarding.as_ref().unwrap().doubts, 1);
    }
}

#[test]
fn a_message_in_doubt_goes_to_another_route_and_at_last_fails() {
    let mut world = World::new(vec![route(1, 1), route(2, 2)]);
    world.up(1, 1);
    world.up(2, 1);
    world.accept(1);
    let silent = || Outcome::Doubtful("silent".to_owned());
    world.answer(1, silent());
    assert_eq!(world.given, [(1, 1), (2, 1)]);
    world.answer(1, silent());
    assert_eq!(world.given.len(), 2, "all were tried: there is a pause");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.given.len(), 3);
    world.answer(1, silent());
    world.pass(Duration::from_secs(600));
    let record = world.record(1);
    assert_eq!(
        (record.status, record.error_code),
        (MessageStatus::Failed, Some(error::MESSAGE_FAILED))
    );
    assert!(record.reason.as_ref().unwrap().ends_with("silent"));
    assert_eq!(world.given.len(), 3);
    assert_eq!(world.callbacks, [(1, "failed".to_owned())]);
}

/// What another route does when it is in doubt does not matter for a message that this one was given.
#[test]
fn the_route_that_was_given_a_message_decides_what_doubt_means() {
    let mut second = route(2, 2);
    second.on_doubt = OnDoubt::Fail;
    let mut world = World::new(vec![route(1, 1), second]);
    world.up(1, 1);
    world.up(2, 1);
    world.accept(1);
    world.answer(1, Outcome::Doubtful("silent".to_owned()));
    world.answer(1, busy());
    assert_eq!(world.record(1).status, MessageStatus::Queued);
}

#[test]
fn the_pause_is_on_record_and_grows_with_the_attempts() {
    let mut world = World::new(vec![route(1, 1)]);
    world.up(1, 1);
    world.accept(1);
    for seconds in [1, 2, 4, 8] {
        world.answer(1, busy());
        let due = world.record(1).forwarding.as_ref().unwrap().due;
        assert_eq!(due, world.now + Duration::from_secs(seconds));
        // Another server continues.
        world.machine = Forwarder::new(seconds, world.now);
        world.machine.set_routes(vec![route(1, 1)], world.now);
        world.up(1, 1);
        world.pass(Duration::from_secs(seconds + 1));
    }
    assert_eq!(world.given.len(), 5);
}

#[test]
fn a_slow_route_keeps_no_message_of_another_one_waiting() {
    let (mut slow, mut fast) = (route(1, 1), route(2, 1));
    "49".clone_into(&mut slow.to_prefix);
    "44".clone_into(&mut fast.to_prefix);
    let mut world = World::new(vec![slow, fast]);
    world.up(1, 1);
    world.up(2, 1);
    for n in 0..15_000 {
        world.accept(n);
    }
    world.accept_to(20_000, "+44");
    assert_eq!(world.given, [(1, 0), (2, 20_000)]);
    let mut answered = 0;
    for _ in 0..3_000 {
        world.answer(answered, Outcome::Accepted(Vec::new()));
        answered += 1;
        world.pass(Duration::from_millis(10));
        assert_eq!(
            world.given.len(),
            usize::from(answered) + 2,
            "it never waits for its turn"
        );
    }
}

#[test]
fn messages_of_an_account_that_is_not_active_end() {
    let mut world = World::new(vec![route(1, 1)]);
    world.up(1, 1);
    for n in 1..=3 {
        world.accept(n);
    }
    assert_eq!(world.machine.accounts(), BTreeSet::from([account()]));
    let inactive = BTreeSet::from([account()]);
    world.machine.set_inactive(inactive, world.now);
    world.carry_out();
    let code = |world: &World, n| world.record(n).error_code;
    assert_eq!(
        [code(&world, 2), code(&world, 3)],
        [Some(error::MESSAGE_ACCOUNT); 2]
    );
    // It may have left already.
    world.answer(1, Outcome::Accepted(Vec::new()));
    assert_eq!(world.record(1).status, MessageStatus::Sent);
}

#[test]
fn a_server_that_stops_completes_what_it_began() {
    let mut world = World::new(vec![route(1, 1)]);
    world.up(1, 1);
    world.accept(1);
    world.accept(2);
    world.machine.stop();
    assert!(!world.machine.is_idle());
    world.answer(1, Outcome::Accepted(Vec::new()));
    world.pass(Duration::from_secs(60));
    assert!(world.machine.is_idle());
    assert_eq!(world.given, [(1, 1)]);
    assert_eq!(world.record(2).status, MessageStatus::Queued);
}

#[test]
fn a_long_queue_is_in_the_database_and_leaves_in_time() {
    let mut world = World::new(vec![route(1, 1)]);
    for n in 0..15_000 {
        world.accept(n);
    }
    assert!(world.machine.held() <= MAX_HELD);
    world.pass(Duration::from_secs(30));
    assert!(world.machine.held() <= MAX_HELD);
    world.up(1, usize::MAX);
    let mut answered = 0;
    for _ in 0..100 {
        world.pass(Duration::from_secs(1));
        while answered < world.given.len() {
            let (_, n) = world.given[answered];
            answered += 1;
            world.answer(n, Outcome::Accepted(Vec::new()));
        }
    }
    let mut sent: Vec<u16> = world.given.iter().map(|(_, n)| *n).collect();
    sent.sort_unstable();
    assert_eq!(sent, (0..15_000).collect::<Vec<u16>>(), "each one once");
}

#[test]
fn receipts_count_once_and_together() {
    let mut message = queued(1, START).message;
    message.status = MessageStatus::Sent;
    let news = |status| ReceiptNews {
        status,
        code: None,
        reason: String::new(),
    };
    let delivered = news(MessageStatus::Delivered);
    let of = |message: &Message, news: &ReceiptNews, others: &[Option<MessageStatus>]| {
        let moved = receipt(message, queued(1, START).farewell, news, others, 1, START);
        moved.map(|moved| (moved.message.status, moved.callback.unwrap().sequence))
    };
    assert_eq!(
        of(&message, &delivered, &[]),
        Some((MessageStatus::Delivered, 2))
    );
    assert_eq!(of(&message, &delivered, &[None]), None);
    let all = [Some(MessageStatus::Delivered)];
    assert_eq!(
        of(&message, &delivered, &all),
        Some((MessageStatus::Delivered, 2))
    );
    let failed = news(MessageStatus::Undelivered);
    assert_eq!(
        of(&message, &failed, &[None]),
        Some((MessageStatus::Undelivered, 2))
    );
    message.status = MessageStatus::Delivered;
    assert_eq!(of(&message, &failed, &[]), None);
}

/// Routes that do anything, and a crash now and then: no message is lost, and one that was sent twice was
/// in doubt.
#[test]
fn property_nothing_is_lost_and_what_is_repeated_was_in_doubt() {
    for seed in 0..60_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        let routes = vec![route(1, 1), route(2, 1), route(3, 2)];
        let mut world = World::new(routes.clone());
        let mut accepted: BTreeMap<u16, u32> = BTreeMap::new();
        let mut count = 0;
        let mut answered = 0;
        let mut crashed = 0;
        for step in 0..600 {
            match next(12) {
                0..=3 if step < 400 => {
                    world.accept(count);
                    count += 1;
                }
                4 => world.up(1 + next(3) as u8, next(4) as usize),
                5 => world.pass(Duration::from_millis(next(5_000))),
                6 if next(20) == 0 => {
                    // A crash: only the rows remain.
                    crashed += 1;
                    world.machine = Forwarder::new(seed, world.now);
                    world.machine.set_routes(routes.clone(), world.now);
                    answered = world.given.len();
                }
                _ if answered < world.given.len() => {
                    let (_, n) = world.given[answered];
                    answered += 1;
                    let outcome = match next(6) {
                        0 => busy(),
                        1 => Outcome::Doubtful("gone".to_owned()),
                        2 => Outcome::NotSent,
                        _ => Outcome::Accepted(vec!["id".to_owned()]),
                    };
                    if matches!(outcome, Outcome::Accepted(_) | Outcome::Doubtful(_)) {
                        *accepted.entry(n).or_default() += 1;
                    }
                    world.answer(n, outcome);
                }
                _ => {}
            }
        }
        for route in 1..=3 {
            world.up(route, 1_000);
        }
        while answered < world.given.len()
            || world
                .rows
                .values()
                .any(|row| row.message.status == MessageStatus::Queued)
        {
            world.pass(Duration::from_secs(1));
            while answered < world.given.len() {
                let (_, n) = world.given[answered];
                answered += 1;
                *accepted.entry(n).or_default() += 1;
                world.answer(n, Outcome::Accepted(Vec::new()));
            }
        }
        for n in 0..count {
            let record = world.record(n);
            assert!(
                matches!(record.status, MessageStatus::Sent | MessageStatus::Failed),
                "{seed} {n}"
            );
            let doubts = record.forwarding.as_ref().unwrap().doubts;
            let times = accepted.get(&n).copied().unwrap_or(0);
            assert!(
                i64::from(times) <= 1 + doubts,
                "{seed} {n}: {times} with {doubts}, {crashed} crashes"
            );
            let reported = world.callbacks.iter().filter(|(of, _)| *of == n).count();
            assert_eq!(reported, 1, "{seed} {n}");
        }
    }
}
