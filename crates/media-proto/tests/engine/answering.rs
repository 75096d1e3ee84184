//! What has answered at an endpoint is found out from what it says.

use crate::common::{Phone, World, ms};
use audio::answerer::{Heard, Timing};
use media_proto::{Control, EndpointId, RecordingId, Report};

const TIMING: Timing = Timing {
    speech: ms_of(2400),
    speech_end: ms_of(1200),
    silence: ms_of(5000),
};

const fn ms_of(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

fn detect(world: &mut World, recording: u64) {
    world.control(Control::DetectAnswerer {
        endpoint: EndpointId(1),
        recording: RecordingId(recording),
        timing: TIMING,
    });
}

/// What was heard, each with the time in tenths of a second.
fn heard(world: &World) -> Vec<(Heard, u128)> {
    let reports = world.log.reports.iter();
    let heard = reports.filter_map(|(at, endpoint, report)| match report {
        Report::Answerer { heard } if *endpoint == EndpointId(1) => {
            let since = at.saturating_duration_since(world.started);
            Some((*heard, (since.as_millis() + 50) / 100))
        }
        _ => None,
    });
    heard.collect()
}

#[test]
fn a_person_a_machine_and_silence() {
    // How long it is silent and speaks, and what is heard of it.
    type Case<'a> = (u64, u64, &'a [(Heard, u128)]);
    let table: &[Case<'_>] = &[
        (300, 500, &[(Heard::Human, 20)]),
        (300, 4000, &[(Heard::Machine, 27), (Heard::Silence, 55)]),
        (0, 0, &[(Heard::Nothing, 50)]),
    ];
    for (before, speech, expected) in table {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        world.open(&a);
        detect(&mut world, 7);
        // No packets are sent in a silence: the detector has a clock of its own.
        world.pass(ms(*before));
        world.talk(&mut [&mut a], ms(*speech));
        world.pass(ms(7000));
        let heard = heard(&world);
        let kinds = |list: &[(Heard, u128)]| list.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(kinds(&heard), kinds(expected), "{heard:?}");
        for ((_, at), (_, about)) in heard.iter().zip(*expected) {
            assert!(at.abs_diff(*about) <= 2, "{heard:?}");
        }
        assert!(world.log.recorded.is_empty() && world.log.ended.is_empty());
    }
}

#[test]
fn it_ends_when_it_is_stopped_and_with_its_endpoint() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    detect(&mut world, 7);
    world.talk(&mut [&mut a], ms(1000));
    let recording = RecordingId(7);
    world.control(Control::StopRecord { recording });
    world.talk(&mut [&mut a], ms(4000));
    assert_eq!(heard(&world), []);
    // Its number is free again, and a number that is taken is not taken twice.
    detect(&mut world, 7);
    detect(&mut world, 7);
    world.talk(&mut [&mut a], ms(2600));
    assert_eq!(heard(&world).len(), 1);
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    world.pass(ms(3000));
    assert_eq!(heard(&world).len(), 1);
    assert!(world.log.recorded.is_empty() && world.log.ended.is_empty());
}

#[test]
fn it_moves_with_its_endpoint() {
    let mut first = World::new();
    let mut a = Phone::new(1, 440.0);
    first.open(&a);
    detect(&mut first, 7);
    first.talk(&mut [&mut a], ms(1500));
    let mut second = first.sibling();
    let parcel = first.engine.extract(EndpointId(1)).unwrap();
    let sockets = (a.local().rtp, a.local().rtcp);
    let now = second.log.now;
    second.engine.adopt(parcel, sockets, now, &mut second.log);
    second.talk(&mut [&mut a], ms(1500));
    assert_eq!(heard(&first), []);
    assert_eq!(heard(&second), [(Heard::Machine, 24)]);
}
