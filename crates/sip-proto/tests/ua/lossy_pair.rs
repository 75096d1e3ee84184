//! Two cores call each other over a network that loses, duplicates, delays and reorders messages.
//!
//! The engines act at random, but the events must make sense: **each leg ends with one final event,
//! nothing follows it, and in the end neither side holds any state.**

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::ua::{Core, InviteSpec, LegCommand, LegEvent, LegId, Output, Peer, Transport};
use testkit::network::{Network, Weather};
use testkit::random::Random;

use crate::bench::{SDP, Seeded, config, name, start};

const STORM: Weather = Weather {
    loss: 200,
    duplicates: 50,
    min_delay: Duration::from_millis(5),
    max_delay: Duration::from_millis(400),
};

/// The events that an engine has received for one leg.
#[derive(Default)]
struct Heard {
    events: Vec<String>,
    over: bool,
    /// Answered by the remote party, or our answer was acknowledged.
    up: bool,
}

struct Side {
    core: Core,
    address: Peer,
    legs: BTreeMap<LegId, Heard>,
}

struct World {
    sides: [Side; 2],
    network: Network<usize, Bytes>,
    random: Random,
    now: Instant,
    /// The planned commands of the engines, by time.
    plans: BTreeMap<(Instant, u64), (usize, LegId, LegCommand)>,
    planned: u64,
    calls: usize,
}

fn address(side: u8) -> Peer {
    // As seen from the other side.
    Peer {
        transport: Transport::Udp,
        remote: ([192, 0, 2, side], 5060).into(),
        local: ([192, 0, 2, 3 - side], 5060).into(),
        flow: None,
    }
}

impl World {
    fn new(weather: Weather, seed: u64) -> Self {
        let now = start();
        let side = |n: u8| Side {
            core: Core::new(config(), Box::new(Seeded(seed * 2 + u64::from(n))), now),
            address: address(n),
            legs: BTreeMap::new(),
        };
        Self {
            sides: [side(1), side(2)],
            network: Network::new(weather, seed),
            random: Random(seed ^ 0xabcd),
            now,
            plans: BTreeMap::new(),
            planned: 0,
            calls: 0,
        }
    }

    fn plan(&mut self, within_ms: u64, side: usize, leg: LegId, command: LegCommand) {
        let at = self.now + Duration::from_millis(self.random.below(within_ms));
        self.planned += 1;
        self.plans.insert((at, self.planned), (side, leg, command));
    }

    fn call(&mut self, from: usize) {
        self.calls += 1;
        let leg = LegId(2 * u64::try_from(self.calls).expect("few calls"));
        let route = self.sides[1 - from].address;
        let mut spec = InviteSpec::new("sip:b@192.0.2.9", "sip:a@example.com", route);
        if self.random.below(4) > 0 {
            spec.sdp = SDP.to_owned();
        }
        self.sides[from].legs.insert(leg, Heard::default());
        self.plan(1, from, leg, LegCommand::Invite(Box::new(spec)));
        if self.random.below(3) == 0 {
            self.plan(4000, from, leg, LegCommand::Cancel);
        } else {
            // An engine that never gets a final response gives up in the end.
            self.plan(1, from, leg, LegCommand::SetHeaders(Vec::new()));
        }
    }

    /// Runs until no timer is left, at most an hour.
    fn run(&mut self) {
        let end = self.now + Duration::from_secs(3600);
        loop {
            self.drain();
            let times = [
                self.network.next_at(),
                self.plans.keys().next().map(|(at, _)| *at),
                self.sides[0].core.poll_timeout(),
                self.sides[1].core.poll_timeout(),
            ];
            let Some(at) = times.into_iter().flatten().min() else {
                return;
            };
            assert!(at < end, "still busy after an hour");
            self.now = self.now.max(at);
            self.step();
        }
    }

    fn step(&mut self) {
        if let Some(delivery) = self.network.receive(self.now) {
            let from = self.sides[delivery.from].address;
            let core = &mut self.sides[delivery.to].core;
            core.handle_datagram(delivery.message, from, self.now);
        } else if self
            .plans
            .keys()
            .next()
            .is_some_and(|(at, _)| *at <= self.now)
        {
            if let Some((_, (side, leg, command))) = self.plans.pop_first() {
                self.sides[side].core.handle_command(leg, command, self.now);
            }
        } else {
            for side in &mut self.sides {
                side.core.handle_timeout(self.now);
            }
        }
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some(output) = self.sides[side].core.poll_output() {
                match output {
                    Output::Transmit { peer, bytes } => {
                        assert_eq!(peer.remote, self.sides[1 - side].address.remote);
                        self.network.send(side, 1 - side, bytes, self.now);
                    }
                    Output::Incoming(invite) => self.ring(side, invite.leg),
                    Output::Text(text) => panic!("{text:?}"),
                    Output::Event(leg, event) => self.hear(side, leg, &event),
                    Output::Over(_)
                    | Output::Lookup { .. }
                    | Output::Refused { .. }
                    | Output::Bindings { .. }
                    | Output::Count { .. } => {}
                }
            }
        }
    }

    fn ring(&mut self, side: usize, leg: LegId) {
        self.sides[side].legs.insert(leg, Heard::default());
        let headers = Vec::new();
        self.plan(
            100,
            side,
            leg,
            LegCommand::Progress {
                status: 180,
                headers: headers.clone(),
            },
        );
        if self.random.below(5) == 0 {
            let reject = LegCommand::Reject {
                status: 486,
                reason: None,
                headers,
            };
            let heard = self.sides[side].legs.get_mut(&leg).expect("just made");
            heard.over = true; // The engine's own refusal ends the leg without an event.
            self.plan(3000, side, leg, reject);
        } else {
            self.plan(
                3000,
                side,
                leg,
                LegCommand::Answer {
                    sdp: SDP.to_owned(),
                    headers,
                },
            );
        }
    }

    fn hear(&mut self, side: usize, leg: LegId, event: &LegEvent) {
        if let LegEvent::Dialog(_) = event {
            return;
        }
        let heard = self.sides[side]
            .legs
            .get_mut(&leg)
            .expect("a leg the engine knows");
        let refused = heard.over && heard.events.is_empty();
        // A caller may cancel before our refusal is sent.
        let crossing = refused && matches!(event, LegEvent::Canceled);
        assert!(
            !heard.over || crossing,
            "{:?} is followed by {event:?}",
            heard.events
        );
        heard.events.push(name(event));
        heard.over |= event.is_last();
        let was_up = heard.up;
        heard.up |= matches!(event, LegEvent::Answered { .. } | LegEvent::Acked { .. });
        match event {
            LegEvent::Answered { sdp: Some(_), .. } => {
                self.plan(
                    200,
                    side,
                    leg,
                    LegCommand::AckSdp {
                        sdp: SDP.to_owned(),
                    },
                );
            }
            LegEvent::Reinvite { .. } => {
                let sdp = SDP.to_owned();
                let answer = LegCommand::AnswerReinvite {
                    sdp,
                    headers: Vec::new(),
                };
                self.plan(200, side, leg, answer);
            }
            _ => {}
        }
        if self.sides[side].legs[&leg].up && !was_up {
            self.live(side, leg);
        }
    }

    /// The events of an established call: sometimes a re-INVITE, some INFO, and always the end.
    fn live(&mut self, side: usize, leg: LegId) {
        if self.random.below(2) == 0 {
            self.plan(
                3000,
                side,
                leg,
                LegCommand::Reinvite {
                    sdp: SDP.to_owned(),
                },
            );
        }
        if self.random.below(2) == 0 {
            let content_type = "application/dtmf-relay".to_owned();
            self.plan(
                3000,
                side,
                leg,
                LegCommand::Info {
                    content_type,
                    body: b"5".to_vec(),
                },
            );
        }
        self.plan(
            8000,
            side,
            leg,
            LegCommand::Bye {
                headers: Vec::new(),
            },
        );
    }
}

#[test]
fn every_leg_ends_once_and_leaves_nothing() {
    for seed in 0..300 {
        let weather = if seed % 5 == 0 { Weather::CALM } else { STORM };
        let mut world = World::new(weather, seed);
        for call in 0..6 {
            world.call(call % 2);
        }
        world.run();
        for (n, side) in world.sides.iter().enumerate() {
            assert_eq!(side.core.legs(), 0, "seed {seed}");
            for (leg, heard) in &side.legs {
                assert!(
                    heard.over,
                    "seed {seed}, side {n}, {leg:?}: {:?}",
                    heard.events
                );
            }
        }
    }
}

#[test]
fn without_loss_both_sides_agree() {
    let mut answered = 0;
    for seed in 0..200 {
        let mut world = World::new(Weather::CALM, seed);
        world.call(0);
        world.run();
        let ours = world.sides[0]
            .legs
            .values()
            .next()
            .expect("the caller's leg");
        let theirs = world.sides[1]
            .legs
            .values()
            .next()
            .expect("the callee's leg");
        let has = |heard: &Heard, word: &str| heard.events.iter().any(|e| e.starts_with(word));
        assert_eq!(has(ours, "Answered"), has(theirs, "Acked"), "seed {seed}");
        let last = ours.events.last().expect("a final event").as_str();
        if has(ours, "Answered") {
            answered += 1;
            assert!(
                ["ByeDone 200", "Bye"].contains(&last),
                "seed {seed}: {last}"
            );
        } else {
            assert!(
                ["Rejected 486", "Rejected 487"].contains(&last),
                "seed {seed}: {last}"
            );
        }
        assert!(!has(theirs, "NoAck") && !has(ours, "Lost"), "seed {seed}");
    }
    assert!(answered > 50, "{answered} calls were answered");
}
