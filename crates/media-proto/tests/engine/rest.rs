//! A mix without sound: it sends a packet a second, until something is heard.

use crate::common::{Phone, Sent, World, ms};
use audio::Codec;
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, RecordingId};

const BOTH: (bool, bool) = (true, true);
const HEARS: (bool, bool) = (false, true);

/// Members of one mix, which have said nothing yet.
fn members(phones: Vec<Phone>) -> (World, Vec<Phone>) {
    let mut world = World::new();
    for phone in &phones {
        world.open(phone);
        world.join(phone.endpoint, 1, BOTH);
    }
    (world, phones)
}

fn three() -> (World, Vec<Phone>) {
    members(vec![
        Phone::new(1, 440.0),
        Phone::new(2, 1000.0).alaw(),
        Phone::new(3, 0.0).speaking(Codec::G722, 2900.0),
    ])
}

/// What a phone was sent in a span of time.
fn sent(world: &mut World, phone: &Phone, span: u64) -> Vec<Sent> {
    world.take_rtp(phone.media);
    world.pass(ms(span));
    world.take_rtp(phone.media)
}

/// Lets the mix fall asleep: the second of silence after the last sound in its buffers.
fn rest(world: &mut World) {
    world.pass(ms(1500));
}

#[test]
fn a_second_of_silence_comes_first() {
    let (mut world, phones) = three();
    world.pass(ms(990));
    assert_eq!(world.take_rtp(phones[0].media).len(), 50);
    // Its last frame was the one at 980 ms.
    assert!(sent(&mut world, &phones[0], 989).is_empty());
    assert_eq!(sent(&mut world, &phones[0], 1).len(), 1);
}

#[test]
fn one_packet_a_second_keeps_time() {
    let (mut world, mut phones) = three();
    rest(&mut world);
    let packets = phones.iter_mut().map(|phone| {
        let before = world.take_rtp(phone.media).pop().expect("a packet");
        (phone, before)
    });
    let packets: Vec<_> = packets.collect();
    world.pass(ms(5000));
    for (phone, before) in packets {
        let rest = world.take_rtp(phone.media);
        assert_eq!(rest.len(), 5, "{}", phone.endpoint);
        for pair in std::iter::once(&before)
            .chain(&rest)
            .collect::<Vec<_>>()
            .windows(2)
        {
            let (this, next) = (pair[0].header(), pair[1].header());
            let passed = pair[1].at - pair[0].at;
            assert!(passed <= ms(1000), "{passed:?}");
            // All three codecs have a timestamp clock of 8 kHz.
            let units = passed.as_micros() as u32 * 8 / 1000;
            assert_eq!(next.timestamp.wrapping_sub(this.timestamp), units);
            assert_eq!(next.sequence, this.sequence.wrapping_add(1));
            assert!(!next.marker, "that is not a new talk spurt");
            assert_eq!(pair[1].bytes.len(), 12 + 160);
        }
        phone.heard.clear();
        let silence = rest[0].bytes[12..].to_vec();
        let mut samples = [0; 320];
        let codec = Codec::of_static_payload_type(phone.payload_type()).expect("a codec");
        let len = codec.decoder().decode(&silence, &mut samples);
        assert!(rms_dbfs(&samples[..len]) < -60.0);
    }
}

#[test]
fn the_first_packet_wakes_it() {
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722] {
        let (mut world, mut phones) = members(vec![
            Phone::new(1, 440.0),
            Phone::new(2, 0.0).speaking(codec, 1000.0),
        ]);
        rest(&mut world);
        let before = world.take_rtp(phones[1].media).pop().expect("a packet");
        world.pass(ms(7));
        let spoken = world.now();
        phones[0].talk(&mut world);
        world.pass(ms(20));
        let first = world.take_rtp(phones[1].media).swap_remove(0);
        assert!(first.at - spoken <= ms(20), "{:?}", first.at - spoken);
        assert!(first.header().marker);
        let units = (first.at - before.at).as_micros() as u32 * 8 / 1000;
        let (was, is) = (before.header().timestamp, first.header().timestamp);
        assert_eq!(is.wrapping_sub(was), units);
        let (talker, listener) = phones.split_at_mut(1);
        world.talk(&mut [&mut talker[0], &mut listener[0]], ms(1000));
        let last = &listener[0].heard[listener[0].heard.len() - 4000..];
        let rate = codec.sample_rate();
        assert!(
            audio::measure::tone_dbfs_at(last, 440.0, rate) > -20.0,
            "{codec:?}"
        );
        let markers = listener[0].received.iter().filter(|it| it.marker).count();
        assert_eq!(markers, 0, "the rest follows on");
    }
}

#[test]
fn a_frame_never_overlaps_the_one_before_it() {
    let (mut world, mut phones) = three();
    rest(&mut world);
    world.take_rtp(phones[1].media);
    while world.take_rtp(phones[1].media).is_empty() {
        world.pass(ms(5));
    }
    // Just after a packet of the rest.
    phones[0].talk(&mut world);
    world.take_rtp(phones[1].media);
    let sent = sent(&mut world, &phones[1], 40);
    assert_eq!(sent.len(), 2);
    let step = sent[1]
        .header()
        .timestamp
        .wrapping_sub(sent[0].header().timestamp);
    assert_eq!((step, sent[0].header().marker), (160, true));
}

#[test]
fn phones_that_send_silence_let_it_rest() {
    let (mut world, mut phones) = members(vec![Phone::new(1, 440.0), Phone::new(2, 1000.0).alaw()]);
    let quiet = |world: &mut World, phones: &mut [Phone], span: usize| {
        for _ in 0..span / 20 {
            for phone in phones.iter_mut() {
                let packet = phone.packet_of(&[0; 160]);
                world.datagram(phone.socket(), phone.media, &packet);
            }
            world.pass(ms(20));
        }
    };
    quiet(&mut world, &mut phones, 2000);
    world.take_rtp(phones[0].media);
    quiet(&mut world, &mut phones, 5000);
    assert_eq!(world.take_rtp(phones[0].media).len(), 5);
    // What they say then is heard at once, although a stream went on all the time.
    let spoken = world.now();
    let mut all: Vec<&mut Phone> = phones.iter_mut().collect();
    world.talk(&mut all, ms(500));
    let heard = &phones[0].heard;
    assert!(tone_dbfs(&heard[heard.len() - 2000..], 1000.0) > -17.0);
    assert!(world.now() - spoken == ms(500));
    let first = heard
        .iter()
        .position(|sample| sample.abs() > 1000)
        .expect("sound");
    assert!(first <= 160 * 5, "{first}");
}

#[test]
fn who_is_muted_wakes_nobody() {
    let (mut world, mut phones) = three();
    world.join(1, 1, HEARS);
    rest(&mut world);
    world.take_rtp(phones[1].media);
    let (muted, rest) = phones.split_at_mut(1);
    world.talk(&mut [&mut muted[0]], ms(2000));
    assert_eq!(world.take_rtp(rest[0].media).len(), 2);
}

#[test]
fn joins_changes_and_recordings_wake_it() {
    type Change = fn(&mut World);
    let table: [(&str, Change, bool); 5] = [
        ("a change", |world| world.join(2, 1, HEARS), false),
        (
            "a member",
            |world| {
                let phone = Phone::new(9, 440.0);
                world.open(&phone);
                world.join(9, 1, BOTH);
            },
            false,
        ),
        ("a coach", |world| world.coach(3, 1, 1), false),
        ("a recording", |world| world.record_mix(9, 1, false), true),
        ("nothing", |_| {}, false),
    ];
    for (what, change, lasts) in table {
        let (mut world, phones) = three();
        rest(&mut world);
        change(&mut world);
        let first = sent(&mut world, &phones[0], 500);
        let expected = if what == "nothing" { 0..=1 } else { 24..=26 };
        assert!(expected.contains(&first.len()), "{what}: {}", first.len());
        assert_eq!(
            first.first().is_some_and(|it| it.header().marker),
            what != "nothing"
        );
        let later = sent(&mut world, &phones[0], 3000).len();
        assert_eq!(later == 150, lasts, "{what}: {later}");
    }
}

#[test]
fn a_recording_is_as_long_as_the_silence() {
    let (mut world, phones) = three();
    rest(&mut world);
    world.record_mix(9, 1, false);
    world.pass(ms(5000));
    let recording = RecordingId(9);
    world.control(Control::StopRecord { recording });
    let samples = &world.log.recorded[&recording];
    assert_eq!(samples.len(), 40_000);
    // Then it may rest again.
    rest(&mut world);
    assert_eq!(sent(&mut world, &phones[0], 3000).len(), 3);
}

#[test]
fn a_leg_is_recorded_through_the_rest_of_its_mix() {
    let (mut world, mut phones) = three();
    world.record(9, 1);
    rest(&mut world);
    world.pass(ms(3500));
    let mut all: Vec<&mut Phone> = phones.iter_mut().collect();
    world.talk(&mut all[1..2], ms(1000));
    let recording = RecordingId(9);
    world.control(Control::StopRecord { recording });
    let samples = &world.log.recorded[&recording];
    assert_eq!(samples.len(), 48_000);
    assert!(samples[..40_000].iter().all(|sample| sample.abs() < 9));
    assert!(tone_dbfs(&samples[42_000..47_000], 1000.0) > -17.0);
}

#[test]
fn a_member_that_hears_a_sound_is_sent_only_that() {
    let (mut world, phones) = three();
    rest(&mut world);
    world.play(1, 1, &[crate::common::tone(1700.0, 3000)], Some(1));
    let played = sent(&mut world, &phones[0], 2000).len();
    assert!((100..=101).contains(&played), "{played}");
    world.pass(ms(1000));
    // Afterwards the silence continues, as a new talk spurt.
    let after = sent(&mut world, &phones[0], 2000);
    assert_eq!(after.len(), 2);
    assert!(after[0].header().marker && !after[1].header().marker);
    world.control(Control::Leave {
        endpoint: EndpointId(1),
    });
    assert!(sent(&mut world, &phones[0], 2000).is_empty());
    assert_eq!(
        sent(&mut world, &phones[1], 2000).len(),
        2,
        "the others rest on"
    );
}
