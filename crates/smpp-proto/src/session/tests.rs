//! Sessions in virtual time: what is sent, and what is reported.

#![expect(clippy::disallowed_methods, reason = "any time serves as the start")]

use std::collections::BTreeSet;

use super::*;
use crate::pdu::Address;

fn settings() -> SessionSettings {
    SessionSettings {
        bind: Bind {
            mode: BindMode::Transceiver,
            system_id: "login".to_owned(),
            password: "secret".to_owned(),
            system_type: String::new(),
            version: 0x34,
            range: Address::default(),
        },
        window: 4,
        per_second: 0,
        connect_timeout: Duration::from_secs(10),
        response_timeout: Duration::from_secs(10),
        enquire_after: Duration::from_secs(30),
        reconnect_min: Duration::from_secs(1),
        reconnect_max: Duration::from_secs(60),
    }
}

/// A session, the SMSC's side of its connection, and a clock.
struct World {
    session: Session,
    start: Instant,
    now: Instant,
    /// What the session sent, not yet read.
    sent: BytesMut,
    /// Readable log.
    log: Vec<String>,
    answers: Vec<(u64, Answer)>,
}

impl World {
    fn new(settings: SessionSettings) -> Self {
        let now = Instant::now();
        let mut world = Self {
            session: Session::new(settings, now),
            start: now,
            now,
            sent: BytesMut::new(),
            log: Vec::new(),
            answers: Vec::new(),
        };
        world.collect();
        world
    }

    fn bound(settings: SessionSettings) -> Self {
        let mut world = Self::new(settings);
        world.bind();
        world.log.clear();
        world
    }

    fn bind(&mut self) {
        self.session.handle_connected(self.now);
        self.collect();
        let bind = self.requests().remove(0);
        assert!(matches!(bind.body, Body::Bind(_)));
        self.answer(
            bind.sequence,
            0,
            Body::BindResp(BindMode::Transceiver, "smsc".to_owned()),
        );
    }

    fn collect(&mut self) {
        let at = self.now.duration_since(self.start).as_millis();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect => self.log.push(format!("{at} connect")),
                Output::Close => self.log.push(format!("{at} close")),
                Output::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Output::Event(Event::Up) => self.log.push(format!("{at} up")),
                Output::Event(Event::Down(why)) => self.log.push(format!("{at} down: {why}")),
                Output::Event(Event::Answered(token, answer)) => self.answers.push((token, answer)),
                Output::Event(Event::Throttled) => self.log.push(format!("{at} throttled")),
                Output::Event(Event::Resumed) => self.log.push(format!("{at} resumed")),
                Output::Event(Event::Arrived(key, message)) => {
                    self.log
                        .push(format!("{at} arrived {}", message.text.len()));
                    self.session.acknowledge(key, status::OK);
                }
            }
        }
    }

    fn requests(&mut self) -> Vec<Pdu> {
        let mut found = Vec::new();
        while let Some(pdu) = codec::decode(&mut self.sent).unwrap() {
            found.push(pdu);
        }
        found
    }

    fn answer(&mut self, sequence: u32, status: u32, body: Body) {
        let mut bytes = BytesMut::new();
        codec::encode(
            &Pdu {
                status,
                sequence,
                body,
            },
            &mut bytes,
        );
        self.session.handle_bytes(&bytes, self.now);
        self.collect();
    }

    fn submit(&mut self, token: u64, parts: usize) {
        let submission = Submission {
            token,
            parts: vec![ShortMessage::default(); parts],
            give_up_at: self.now + Duration::from_secs(60),
        };
        self.session.submit(submission, self.now);
        self.collect();
    }

    /// Lets time pass, with every timer at its time.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut rounds = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.collect();
            rounds += 1;
            assert!(rounds < 100_000, "timers fire without an end");
        }
        self.now = until;
    }
}

fn accepted(id: &str) -> Body {
    Body::SubmitResp(id.to_owned())
}

#[test]
fn the_window_is_kept_and_each_answer_is_matched() {
    let mut world = World::bound(settings());
    for token in 0..6 {
        world.submit(token, 1);
    }
    let sent = world.requests();
    assert_eq!(sent.len(), 4);
    world.answer(sent[2].sequence, 0, accepted("c"));
    world.answer(sent[0].sequence, 0x0B, accepted(""));
    assert_eq!(
        world.answers,
        [
            (2, Answer::Accepted(vec!["c".to_owned()])),
            (0, Answer::Refused(0x0B))
        ]
    );
    assert_eq!(world.requests().len(), 2);
}

#[test]
fn a_text_of_several_parts_has_one_answer() {
    let mut world = World::bound(settings());
    world.submit(1, 3);
    world.submit(2, 3);
    let sent = world.requests();
    world.answer(sent[1].sequence, 0, accepted("b"));
    world.answer(sent[0].sequence, 0, accepted("a"));
    assert_eq!(world.answers, []);
    world.answer(sent[2].sequence, 0, accepted("c"));
    let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(world.answers, [(1, Answer::Accepted(ids))]);
    // A part of the second is refused: the others are not sent.
    world.answer(sent[3].sequence, 0x0B, accepted(""));
    assert_eq!(world.answers[1], (2, Answer::Refused(0x0B)));
    world.submit(3, 1);
    let more = world.requests();
    assert!(more.len() <= 3, "{more:?}");
}

/// Whoever sends such a text again may send a part of it twice.
#[test]
fn a_text_is_in_doubt_if_a_part_is_refused_for_now_and_another_is_taken() {
    for (others, expected) in [
        (&[0][..], Answer::Doubtful),
        (&[], Answer::Doubtful),
        (&[0x0B], Answer::Refused(0x0B)),
    ] {
        let mut world = World::bound(settings());
        world.submit(1, 2);
        let sent = world.requests();
        for status in others {
            world.answer(sent[0].sequence, *status, accepted("a"));
        }
        world.answer(sent[1].sequence, 0x45, accepted(""));
        assert_eq!(world.answers, [(1, expected)]);
    }
    let mut world = World::bound(settings());
    world.submit(1, 1);
    let sent = world.requests();
    world.answer(sent[0].sequence, 0x45, accepted(""));
    assert_eq!(world.answers, [(1, Answer::Refused(0x45))]);
}

#[test]
fn throttling_waits_longer_each_time_and_gives_back_what_was_not_sent() {
    let mut world = World::bound(settings());
    let resumed = |world: &World| {
        let lines = world.log.iter().filter(|line| line.ends_with("resumed"));
        lines.count()
    };
    for (round, wait) in [500, 1_000, 2_000].into_iter().enumerate() {
        let token = round as u64 * 10;
        for more in 0..6 {
            world.submit(token + more, 1);
        }
        let sent = world.requests();
        assert_eq!(sent.len(), 4, "as many as the window takes");
        for pdu in sent {
            world.answer(pdu.sequence, status::THROTTLED, accepted(""));
        }
        let answers = world.answers.split_off(0);
        let returned = answers.iter().filter(|(_, a)| *a == Answer::Returned);
        let returned: Vec<u64> = returned.map(|(of, _)| *of).collect();
        assert_eq!(returned, [token + 4, token + 5]);
        assert_eq!(answers.len(), 6, "the others are refused");
        world.submit(99, 1);
        assert_eq!(world.answers.pop(), Some((99, Answer::Returned)));
        world.pass(Duration::from_millis(wait - 1));
        assert_eq!(resumed(&world), round, "before {wait}");
        world.pass(Duration::from_millis(1));
        assert_eq!(resumed(&world), round + 1);
        assert!(world.requests().is_empty());
    }
}

#[test]
fn a_text_of_which_a_part_was_taken_is_completed_after_the_pause() {
    let mut world = World::bound(settings());
    world.submit(1, 2);
    let sent = world.requests();
    world.answer(sent[0].sequence, 0, accepted("a"));
    world.answer(sent[1].sequence, status::THROTTLED, accepted(""));
    world.pass(Duration::from_millis(500));
    let again = world.requests();
    assert_eq!(again.len(), 1);
    world.answer(again[0].sequence, 0, accepted("b"));
    let ids = ["a", "b"].map(str::to_owned).to_vec();
    assert_eq!(world.answers, [(1, Answer::Accepted(ids))]);
}

#[test]
fn throttling_ends_with_the_time_of_the_submission() {
    let mut world = World::bound(settings());
    world.submit(1, 2);
    let sent = world.requests();
    world.answer(sent[0].sequence, 0, accepted("a"));
    world.answer(sent[1].sequence, status::QUEUE_FULL, accepted(""));
    for _ in 0..60 {
        for pdu in world.requests() {
            if matches!(pdu.body, Body::Submit(_)) {
                world.answer(pdu.sequence, status::QUEUE_FULL, accepted(""));
            } else {
                world.answer(pdu.sequence, 0, Body::EnquireLinkResp);
            }
        }
        world.pass(Duration::from_secs(3));
    }
    assert_eq!(world.answers.len(), 1);
    assert!(matches!(world.answers[0], (1, Answer::Doubtful)));
}

#[test]
fn the_throughput_is_kept() {
    let mut world = World::bound(SessionSettings {
        window: 1_000,
        per_second: 50,
        ..settings()
    });
    for token in 0..500 {
        world.submit(token, 1);
    }
    let at_once = world.requests().len();
    assert!(at_once <= 2, "{at_once}");
    world.pass(Duration::from_secs(2));
    let sent = world.requests().len();
    assert!((98..=102).contains(&sent), "{sent}");
}

#[test]
fn a_connection_that_ends_leaves_doubt_and_is_made_again() {
    let mut world = World::bound(settings());
    for token in 0..6 {
        world.submit(token, 1);
    }
    world.session.handle_closed("reset", world.now);
    world.collect();
    let doubtful = world.answers.iter().filter(|(_, a)| *a == Answer::Doubtful);
    let not_sent = world.answers.iter().filter(|(_, a)| *a == Answer::NotSent);
    assert_eq!((doubtful.count(), not_sent.count()), (4, 2));
    for _ in 0..4 {
        world.pass(Duration::from_secs(10));
        world.session.handle_closed("refused", world.now);
        world.collect();
    }
    world.submit(9, 1);
    assert_eq!(world.answers.last(), Some(&(9, Answer::NotSent)));
    let connects: Vec<&String> = world
        .log
        .iter()
        .filter(|line| line.ends_with("connect"))
        .collect();
    assert_eq!(
        connects,
        [
            "1000 connect",
            "12000 connect",
            "24000 connect",
            "38000 connect"
        ]
    );
}

#[test]
fn silence_is_noticed() {
    let mut world = World::bound(settings());
    world.pass(Duration::from_secs(30));
    let sent = world.requests();
    assert_eq!(sent[0].body, Body::EnquireLink);
    world.answer(sent[0].sequence, 0, Body::EnquireLinkResp);
    world.submit(1, 1);
    world.pass(Duration::from_secs(31));
    assert_eq!(world.answers, [(1, Answer::Doubtful)]);
    world.pass(Duration::from_secs(11));
    assert!(
        world
            .log
            .iter()
            .any(|line| line.contains("no response to enquire_link")),
        "{:?}",
        world.log
    );
}

#[test]
fn binds_that_fail_are_repeated_with_a_reason() {
    for (status, body) in [
        (0x0E, Body::BindResp(BindMode::Transceiver, String::new())),
        (0x03, Body::GenericNack),
    ] {
        let mut world = World::new(settings());
        world.session.handle_connected(world.now);
        world.collect();
        let sequence = world.requests()[0].sequence;
        world.answer(sequence, status, body);
        assert!(
            world.log[2].starts_with("0 down: the SMSC refused the bind: ESME_"),
            "{:?}",
            world.log
        );
        world.pass(Duration::from_secs(1));
        assert_eq!(world.log.last().unwrap(), "1000 connect");
    }
    let mut silent = World::new(settings());
    silent.session.handle_connected(silent.now);
    silent.pass(Duration::from_secs(10));
    assert_eq!(silent.log[1], "10000 close");
}

#[test]
fn requests_of_the_smsc_are_answered() {
    let mut world = World::bound(settings());
    let message = ShortMessage {
        text: b"hi".to_vec(),
        ..ShortMessage::default()
    };
    world.answer(71, 0, Body::Deliver(Box::new(message.clone())));
    world.answer(72, 0, Body::EnquireLink);
    world.answer(73, 0, Body::Data(Box::new(message)));
    world.answer(74, 0, Body::Other(0x0000_0FFF));
    world.answer(75, 0, Body::Other(ALERT_NOTIFICATION));
    world.answer(76, 0, Body::Unbind);
    let sent: Vec<(u32, Body)> = world
        .requests()
        .into_iter()
        .map(|pdu| (pdu.sequence, pdu.body))
        .collect();
    assert_eq!(
        sent,
        [
            (71, Body::DeliverResp),
            (72, Body::EnquireLinkResp),
            (73, Body::DataResp(String::new())),
            (74, Body::GenericNack),
            (76, Body::UnbindResp),
        ]
    );
    assert!(
        world
            .log
            .last()
            .unwrap()
            .contains("the SMSC ended the session")
    );
}

#[test]
fn stopping_unbinds() {
    let mut world = World::bound(settings());
    world.submit(1, 1);
    world.session.stop(world.now);
    world.collect();
    let sent = world.requests();
    assert_eq!(sent[1].body, Body::Unbind);
    // The response to what is under way still counts.
    world.answer(sent[0].sequence, 0, accepted("x"));
    world.answer(sent[1].sequence, 0, Body::UnbindResp);
    assert_eq!(world.answers, [(1, Answer::Accepted(vec!["x".to_owned()]))]);
    assert!(world.session.is_stopped() && world.session.poll_timeout().is_none());
}

/// An SMSC that does anything at any time: every submission has exactly one answer in the end, and one
/// that was accepted was sent.
#[test]
fn property_each_submission_is_answered_once() {
    for seed in 0..300_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = move |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        let mut world = World::bound(SessionSettings {
            window: 1 + next(6) as usize,
            per_second: [0, 10][next(2) as usize],
            ..settings()
        });
        let mut unanswered: Vec<Pdu> = Vec::new();
        let mut token = 0;
        for _ in 0..200 {
            unanswered.extend(world.requests());
            match next(10) {
                0..=3 => {
                    world.submit(token, 1 + next(3) as usize);
                    token += 1;
                }
                4..=6 if !unanswered.is_empty() => {
                    let pdu = unanswered.remove(next(unanswered.len() as u64) as usize);
                    let status = [0, 0, 0, status::THROTTLED, 0x0B][next(5) as usize];
                    let body = match pdu.body {
                        Body::Submit(_) => accepted("id"),
                        Body::EnquireLink => Body::EnquireLinkResp,
                        _ => continue,
                    };
                    world.answer(pdu.sequence, status, body);
                }
                7 => world.pass(Duration::from_millis(next(20_000))),
                8 if next(5) == 0 => {
                    world.session.handle_closed("gone", world.now);
                    world.collect();
                    unanswered.clear();
                    world.sent.clear();
                    while !world.log.last().unwrap().ends_with("connect") {
                        world.pass(Duration::from_secs(1));
                    }
                    world.bind();
                }
                _ => {}
            }
            if !world.session.is_bound() {
                while !world
                    .log
                    .last()
                    .is_some_and(|line| line.ends_with("connect"))
                {
                    world.pass(Duration::from_secs(1));
                }
                world.sent.clear();
                world.bind();
            }
        }
        world.session.handle_closed("gone", world.now);
        world.collect();
        let answered: BTreeSet<u64> = world.answers.iter().map(|(token, _)| *token).collect();
        assert_eq!(answered.len(), world.answers.len(), "seed {seed}");
        assert_eq!(answered.len() as u64, token, "seed {seed}");
    }
}
