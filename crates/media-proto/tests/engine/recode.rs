//! Legs whose codecs differ: decoded, evened out, and encoded on the clock of the other leg.

use crate::common::{Phone, World, ms};
use audio::Codec;
use media_proto::{Control, EndpointId, MixId, Opening, RecordingId, Report};

const LOW: f64 = 700.0;
const HIGH: f64 = 5200.0;

#[test]
fn wideband_and_telephone_hear_each_other() {
    for telephone in [Codec::PCMU, Codec::PCMA] {
        let mut world = World::new();
        let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
        let mut narrow = Phone::new(2, LOW).speaking(telephone, 0.0);
        world.open(&wide);
        world.open(&narrow);
        world.bridge(1, 2);
        world.talk(&mut [&mut wide, &mut narrow], ms(2000));
        assert!(wide.hears(LOW) && !wide.hears(1900.0), "{telephone:?}");
        assert!(narrow.hears(1900.0) && !narrow.hears(LOW), "{telephone:?}");
        // One stream: a packet every 20 ms, without a gap in numbers or timestamps.
        for phone in [&wide, &narrow] {
            let packets = &phone.received;
            assert!((95..=100).contains(&packets.len()), "{}", packets.len());
            for pair in packets.windows(2) {
                assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
                assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
            }
            let markers = packets.iter().filter(|header| header.marker).count();
            assert_eq!(markers, 1);
        }
    }
}

#[test]
fn wideband_legs_are_forwarded() {
    let mut world = World::new();
    let mut phones = [HIGH, HIGH - 700.0].map(|hz| {
        let endpoint = if hz == HIGH { 1 } else { 2 };
        Phone::new(endpoint, 0.0).speaking(Codec::G722, hz)
    });
    phones.iter().for_each(|phone| world.open(phone));
    world.bridge(1, 2);
    let packet = phones[0].packet();
    world.datagram(phones[0].socket(), phones[0].media, &packet);
    // Immediately, with the same payload.
    let sent = world.take_rtp(phones[1].media);
    assert_eq!(sent[0].bytes[12..], packet[12..]);
    let [first, second] = &mut phones;
    world.talk(&mut [first, second], ms(1000));
    assert!(first.hears(HIGH - 700.0) && second.hears(HIGH));
}

/// The codec that our offer names first, by the codec of the other leg.
#[test]
fn an_offer_prefers_the_codec_of_the_other_leg() {
    for codec in Codec::all() {
        let mut world = World::new();
        let caller = Phone::new(1, LOW).speaking(codec, HIGH);
        world.open(&caller);
        let called = Phone::new(2, LOW);
        world.open_endpoint(Opening {
            endpoint: EndpointId(2),
            local: called.local(),
            offer: None,
            signalling: None,
            proved: true,
            like: Some(EndpointId(1)),
        });
        let Report::Opened { sdp } = world.last_report(2) else {
            panic!("not opened");
        };
        let first = format!(" RTP/AVP {} ", caller.payload_type());
        assert!(sdp.contains(&first), "{codec:?}: {sdp}");
    }
}

#[test]
fn a_lost_packet_is_concealed() {
    let mut world = World::new();
    let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
    let mut narrow = Phone::new(2, LOW);
    world.open(&wide);
    world.open(&narrow);
    world.bridge(1, 2);
    for frame in 0..100 {
        let packet = wide.packet();
        if frame % 10 != 5 {
            world.datagram(wide.socket(), wide.media, &packet);
        }
        world.pass(ms(20));
        narrow.listen(&mut world);
    }
    let loud = narrow.heard[4000..]
        .chunks_exact(160)
        .filter(|frame| audio::measure::rms_dbfs(frame) > -25.0)
        .count();
    let frames = (narrow.heard.len() - 4000) / 160;
    assert!(loud == frames && frames > 70, "{loud} of {frames}");
}

/// A decoder with memory must not get a payload twice.
#[test]
fn a_packet_that_comes_twice_is_heard_once() {
    let heard = |again: &[usize]| {
        let mut world = World::new();
        let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
        let mut narrow = Phone::new(2, LOW);
        world.open(&wide);
        world.open(&narrow);
        world.bridge(1, 2);
        world.record(1, 1);
        let mut sent = Vec::new();
        for frame in 0..100 {
            sent.push(wide.packet());
            for packet in [0]
                .iter()
                .chain(again)
                .filter_map(|back| sent.get(frame - back.min(&frame)))
            {
                world.datagram(wide.socket(), wide.media, packet);
            }
            world.pass(ms(20));
            narrow.listen(&mut world);
        }
        let recorded = world.log.recorded.remove(&RecordingId(1));
        assert!(narrow.heard.len() > 10_000);
        (narrow.heard, recorded.expect("a recording"))
    };
    // Immediately, and after other packets.
    assert!(heard(&[]) == heard(&[0, 3, 90]));
}

#[test]
fn the_clock_rests_and_continues() {
    let mut world = World::new();
    let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
    let mut narrow = Phone::new(2, LOW);
    world.open(&wide);
    world.open(&narrow);
    world.bridge(1, 2);
    world.talk(&mut [&mut wide], ms(600));
    world.pass(ms(3000));
    narrow.listen(&mut world);
    assert!(narrow.received.len() < 40, "{}", narrow.received.len());
    narrow.heard.clear();
    world.talk(&mut [&mut wide, &mut narrow], ms(1000));
    assert!(narrow.hears(1900.0));
    let markers = narrow.received.iter().filter(|header| header.marker);
    assert_eq!(markers.count(), 2);
    // After the bridge nothing is sent.
    world.control(Control::Unbridge {
        a: EndpointId(1),
        b: EndpointId(2),
    });
    let before = narrow.received.len();
    world.talk(&mut [&mut wide, &mut narrow], ms(500));
    assert_eq!(narrow.received.len(), before);
}

#[test]
fn keys_pass_between_codecs() {
    let mut world = World::new();
    let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
    let mut narrow = Phone::new(2, LOW);
    world.open(&wide);
    world.open(&narrow);
    world.bridge(1, 2);
    world.talk(&mut [&mut wide, &mut narrow], ms(500));
    for (count, duration) in [160, 320, 480, 640, 800, 800, 800].into_iter().enumerate() {
        wide.press(&mut world, 5, duration, count > 3);
        world.pass(ms(20));
        narrow.listen(&mut world);
    }
    world.talk(&mut [&mut wide, &mut narrow], ms(1000));
    let presses = narrow.keys.iter().filter(|(_, header, _)| header.marker);
    assert_eq!(presses.count(), 1);
    assert!(narrow.keys.iter().all(|(_, _, event)| event.code == 5));
    assert!(narrow.keys.iter().any(|(_, _, event)| event.end));
    assert!(narrow.hears(1900.0), "the sound goes on after the key");
}

#[test]
fn prompts_and_tones_reach_wideband_legs() {
    let mut world = World::new();
    let mut wide = Phone::new(1, 0.0).speaking(Codec::G722, 1900.0);
    world.open(&wide);
    world.play(1, 1, &[crate::common::tone(LOW, 1500)], Some(1));
    world.talk(&mut [&mut wide], ms(1000));
    assert!(wide.hears(LOW));
}

/// Members of one mix with three codecs: each hears the two others, and not itself.
#[test]
fn a_mix_of_codecs() {
    let mut world = World::new();
    let tones = [500.0, 1200.0, 2300.0];
    let mut phones = [
        Phone::new(1, 0.0).speaking(Codec::G722, tones[0]),
        Phone::new(2, tones[1]),
        Phone::new(3, tones[2]).alaw(),
    ];
    for phone in &phones {
        world.open(phone);
        world.control(Control::Join {
            endpoint: EndpointId(phone.endpoint),
            mix: MixId(9),
            talk: true,
            hear: true,
            coaches: None,
        });
    }
    let [a, b, c] = &mut phones;
    world.talk(&mut [a, b, c], ms(1500));
    for (own, phone) in phones.iter().enumerate() {
        let rate = if own == 0 { 16_000 } else { 8000 };
        let last = &phone.heard[phone.heard.len() - rate as usize / 2..];
        for (other, hz) in tones.into_iter().enumerate() {
            let level = audio::measure::tone_dbfs_at(last, hz, rate);
            let expected = if other == own {
                level < -45.0
            } else {
                level > -20.0
            };
            assert!(expected, "{own} hears {other} at {level}");
        }
    }
}
