//! Keys between two legs: forwarded where both use the same form, converted where they differ; each
//! press arrives once.

use crate::common::{Phone, World, ms, tone};
use crate::digits::{events, press_event, press_tones, reported, say, tones};
use media_proto::{Control, EndpointId, Report};
use rtp_proto::Packet;
use rtp_proto::dtmf::code_of;

const KEYS: &str = "1159*0#";

fn bridged(a: Phone, b: Phone) -> (World, Phone, Phone) {
    let mut world = World::new();
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    (world, a, b)
}

#[test]
fn every_pair_of_ways() {
    for case in 0..16 {
        let flag = |bit: u32| case >> bit & 1 == 1;
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        (a.events, b.events) = (flag(0), flag(1));
        a = a.laws(flag(2));
        b = b.laws(flag(3));
        let (mut world, mut a, mut b) = bridged(a, b);
        world.talk(&mut [&mut a, &mut b], ms(600));
        for key in KEYS.chars() {
            if a.events {
                press_event(&mut world, &mut a, code_of(key).unwrap(), 5);
            } else {
                press_tones(&mut world, &mut a, &key.to_string());
            }
            say(&mut world, &mut a, &[0; 1600]);
            b.listen(&mut world);
        }
        let (as_events, as_tones) = (events(&b), tones(&b.heard));
        let expected = match (a.events, b.events) {
            (_, true) => (KEYS, ""),
            (_, false) => ("", KEYS),
        };
        assert_eq!((&*as_events, &*as_tones), expected, "{case:#06b}");
        // Tones are reported only on request.
        assert_eq!(reported(&world, 1), if a.events { KEYS } else { "" });
        assert_eq!(reported(&world, 2), "");
        // One stream, and both hear each other after it.
        for pair in b.received.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].ssrc, pair[0].ssrc);
        }
        world.talk(&mut [&mut a, &mut b], ms(600));
        assert!(a.hears(1000.0) && b.hears(440.0), "{case:#06b}");
        assert!(a.keys.is_empty());
    }
}

#[test]
fn equal_ways_are_forwarded_untouched() {
    for events_agreed in [true, false] {
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        (a.events, b.events) = (events_agreed, events_agreed);
        let (mut world, mut a, b) = bridged(a, b);
        let mut packets: Vec<Vec<u8>> = Vec::new();
        if events_agreed {
            for (duration, end) in [(160, false), (320, true), (320, true), (320, true)] {
                a.press(&mut world, 7, duration, end);
            }
        } else {
            for frame in audio::tone::dtmf('7', 100).unwrap().chunks(160) {
                packets.push(a.packet_of(frame));
                world.datagram(a.socket(), a.media, packets.last().unwrap());
            }
        }
        let sent = world.take_rtp(b.media);
        assert_eq!(sent.len(), if events_agreed { 4 } else { 5 });
        // Immediately, without a tick; the payload is the same.
        assert!(sent.iter().all(|sent| sent.at == world.started));
        for (sent, packet) in sent.iter().zip(&packets) {
            let (sent, packet) = (Packet::parse(&sent.bytes), Packet::parse(packet));
            assert_eq!(sent.unwrap().payload(), packet.unwrap().payload());
        }
        assert!(world.take_rtp(b.media).is_empty());
    }
}

/// How long the phone heard energy in the row frequencies of keys, in ms.
fn tone_ms(heard: &[i16], hz: f64) -> usize {
    let frames = heard.chunks(160);
    frames
        .filter(|frame| audio::measure::tone_dbfs(frame, hz) > -25.0)
        .count()
        * 20
}

#[test]
fn a_tone_lasts_as_long_as_the_press() {
    // Frames of the press, which of its packets are lost, and how long the tone is.
    let table: &[(u16, &[u16], usize)] = &[
        (1, &[], 100),
        (2, &[], 100),
        (5, &[], 100),
        (25, &[], 500),
        (5, &[2], 100),
        // Only an end packet comes.
        (5, &[1, 2, 3, 4, 5, 7], 100),
        // The end packets are lost: the key is released 200 ms after the last packet.
        (10, &[10, 11, 12], 380),
    ];
    for (index, (frames, lost, expected)) in table.iter().enumerate() {
        let (mut world, mut a, mut b) =
            bridged(Phone::new(1, 440.0), Phone::new(2, 1000.0).without_events());
        for frame in 1..=frames + 2 {
            if lost.contains(&frame) {
                a.sequence = a.sequence.wrapping_add(1);
            } else {
                a.press(&mut world, 1, frame.min(*frames) * 160, frame >= *frames);
            }
            world.pass(ms(20));
        }
        world.pass(ms(500));
        b.listen(&mut world);
        assert_eq!(tones(&b.heard), "1", "row {index}");
        let heard = tone_ms(&b.heard, 697.0);
        assert!(heard.abs_diff(*expected) <= 20, "row {index}: {heard} ms");
    }
}

#[test]
fn an_event_lasts_as_long_as_the_tone() {
    for (length, expected) in [(60, 100..=100), (100, 100..=140), (1000, 960..=1060)] {
        let (mut world, mut a, mut b) =
            bridged(Phone::new(1, 440.0).without_events(), Phone::new(2, 1000.0));
        let mut samples = audio::tone::dtmf('9', length).unwrap();
        samples.extend([0; 1600]);
        say(&mut world, &mut a, &samples);
        b.listen(&mut world);
        assert_eq!(events(&b), "9", "{length} ms");
        let ends: Vec<_> = b.keys.iter().filter(|(_, _, event)| event.end).collect();
        assert_eq!(ends.len(), 3, "{length} ms");
        let duration = ends[0].2.duration / 8;
        assert!(expected.contains(&duration), "{length} ms: {duration}");
        // The sound that passes before the key is recognised, and at its end, is too short to be a
        // key.
        assert_eq!(tones(&b.heard), "", "{length} ms");
    }
}

#[test]
fn keys_pressed_fast_wait_for_their_turn() {
    let (mut world, mut a, mut b) =
        bridged(Phone::new(1, 440.0), Phone::new(2, 1000.0).without_events());
    // Each key for 20 ms, the next one immediately after.
    for code in [1, 2, 2, 3] {
        press_event(&mut world, &mut a, code, 1);
    }
    world.pass(ms(1000));
    b.listen(&mut world);
    assert_eq!(tones(&b.heard), "1223");
}

#[test]
fn a_prompt_is_not_disturbed_and_a_new_bridge_ends_it() {
    let (a, b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0).without_events());
    let (mut world, mut a, mut b) = bridged(a, b);
    world.play(2, 1, &[tone(700.0, 400)], Some(1));
    press_event(&mut world, &mut a, 1, 5);
    world.pass(ms(400));
    b.listen(&mut world);
    assert_eq!((&*tones(&b.heard), b.heard.len()), ("", 3200));
    // A press towards b is cut short by a prompt and by a bridge; neither reports it.
    let reports = world.reports(2).len();
    a.press(&mut world, 2, 160, false);
    world.pass(ms(40));
    world.play(2, 2, &[tone(700.0, 40)], Some(1));
    world.pass(ms(100));
    a.press(&mut world, 3, 160, false);
    world.pass(ms(40));
    b.listen(&mut world);
    let cut = b.heard.len();
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(b.hears(440.0));
    assert_eq!((&*tones(&b.heard[cut..]), b.heard.len() - cut), ("", 4800));
    let reports = world.reports(2).split_off(reports);
    let done = |report: &&Report| matches!(report, Report::PlayDone { .. });
    assert_eq!(reports.iter().filter(done).count(), 1);
    // The echo of one leg has one way.
    world.bridge(1, 1);
    world.control(Control::Close {
        endpoint: EndpointId(2),
    });
    press_event(&mut world, &mut a, 4, 5);
    a.listen(&mut world);
    assert_eq!(events(&a), "4");
}

/// Keys that came by INFO, all at once or each before the previous one is through: every one
/// arrives, in order, separate from the next.
#[test]
fn keys_from_outside_the_media_wait_for_each_other() {
    for events_agreed in [true, false] {
        let (a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        b.events = events_agreed;
        let (mut world, mut a, mut b) = bridged(a, b);
        world.talk(&mut [&mut a, &mut b], ms(400));
        let pass = |world: &mut World, keys: &str| {
            for key in keys.chars() {
                let endpoint = EndpointId(2);
                world.control(Control::PassKey { endpoint, key });
            }
        };
        pass(&mut world, "123x");
        world.talk(&mut [&mut a, &mut b], ms(80));
        pass(&mut world, "4");
        world.talk(&mut [&mut a, &mut b], ms(80));
        pass(&mut world, "4");
        world.talk(&mut [&mut a, &mut b], ms(1_200));
        b.listen(&mut world);
        let found = (events(&b), tones(&b.heard));
        let expected = if events_agreed {
            ("12344", "")
        } else {
            ("", "12344")
        };
        assert_eq!((&*found.0, &*found.1), expected);
        // Then the two hear each other again.
        world.talk(&mut [&mut a, &mut b], ms(600));
        assert!(a.hears(1000.0) && b.hears(440.0));
    }
}
