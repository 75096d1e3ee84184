//! A coach in a mix: one member hears it, and it hears everybody.

use crate::common::{Phone, World, ms};
use audio::Codec;
use audio::measure::{tone_dbfs, tone_dbfs_at};
use media_proto::{Control, EndpointId, RecordingId};

const BOTH: (bool, bool) = (true, true);
const HEARS: (bool, bool) = (false, true);

/// The customer, the agent and the coach of the agent, with their tones.
const HZ: [f64; 3] = [440.0, 1000.0, 1700.0];

fn talk(world: &mut World, phones: &mut [Phone], span: u64) {
    let mut all: Vec<&mut Phone> = phones.iter_mut().collect();
    world.talk(&mut all, ms(span));
}

/// Whom each phone has heard in the last half second, by index.
fn heard(phones: &[Phone]) -> Vec<Vec<usize>> {
    let of = |phone: &Phone| {
        // The number of G.722.
        let rate = if phone.payload_type() == 9 {
            16_000
        } else {
            8000
        };
        let last = &phone.heard[phone.heard.len() - rate as usize / 2..];
        let is_heard = |(index, hz): (usize, &f64)| {
            let level = tone_dbfs_at(last, *hz, rate);
            assert!(!(-45.0..-20.0).contains(&level), "{hz} Hz at {level}");
            (level > -20.0).then_some(index)
        };
        HZ.iter().enumerate().filter_map(is_heard).collect()
    };
    phones.iter().map(of).collect()
}

fn scene(agent: impl Fn(Phone) -> Phone) -> (World, Vec<Phone>) {
    let mut world = World::new();
    let phones = vec![
        Phone::new(1, HZ[0]),
        agent(Phone::new(2, HZ[1])),
        Phone::new(3, HZ[2]),
    ];
    for phone in &phones {
        world.open(phone);
    }
    (world, phones)
}

#[test]
fn only_the_coached_member_hears_the_coach() {
    for codec in [Codec::PCMA, Codec::G722] {
        let (mut world, mut phones) = scene(|phone| phone.speaking(codec, HZ[1]));
        // The coach comes first.
        world.coach(3, 1, 2);
        world.join(1, 1, BOTH);
        world.join(2, 1, BOTH);
        world.record_mix(9, 1, false);
        talk(&mut world, &mut phones, 1000);
        let expected = [vec![1], vec![0, 2], vec![0, 1]];
        assert_eq!(heard(&phones), expected, "{codec:?}");
        let recorded = &world.log.recorded[&RecordingId(9)];
        let level = |hz| tone_dbfs(&recorded[2400..6400], hz);
        assert!(
            level(HZ[0]) > -20.0 && level(HZ[1]) > -20.0,
            "those are for all"
        );
        assert!(level(HZ[2]) < -45.0, "that was for one");
        // One that does not talk hears it too.
        world.join(2, 1, HEARS);
        talk(&mut world, &mut phones, 1000);
        assert_eq!(heard(&phones), [vec![], vec![0, 2], vec![0]], "{codec:?}");
    }
}

#[test]
fn a_coach_changes_sides() {
    let (mut world, mut phones) = scene(Phone::alaw);
    world.join(1, 1, BOTH);
    world.join(2, 1, BOTH);
    world.join(3, 1, BOTH);
    talk(&mut world, &mut phones, 1000);
    assert_eq!(heard(&phones), [vec![1, 2], vec![0, 2], vec![0, 1]]);
    world.coach(3, 1, 1);
    talk(&mut world, &mut phones, 1000);
    assert_eq!(heard(&phones), [vec![1, 2], vec![0], vec![0, 1]]);
    // The one it coaches leaves: nobody hears it, until that one is back.
    let endpoint = EndpointId(1);
    world.control(Control::Leave { endpoint });
    talk(&mut world, &mut phones[1..], 1000);
    assert_eq!(heard(&phones[1..]), [vec![], vec![1]]);
    world.join(1, 1, BOTH);
    talk(&mut world, &mut phones, 1000);
    assert_eq!(heard(&phones), [vec![1, 2], vec![0], vec![0, 1]]);
    world.join(3, 1, BOTH);
    talk(&mut world, &mut phones, 1000);
    assert_eq!(heard(&phones), [vec![1, 2], vec![0, 2], vec![0, 1]]);
}
