//! Recordings: every leg is in the mix, and the length equals real time.

use crate::common::{Phone, World, ms, tone, whole};
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, Part, RecordingEnd, RecordingId, Report, Terms};
use std::time::Duration;

fn stop(recording: u64) -> Control {
    Control::StopRecord {
        recording: RecordingId(recording),
    }
}

fn recorded(world: &World, recording: u64) -> &[i16] {
    &world.log.recorded[&RecordingId(recording)]
}

#[test]
fn both_legs_are_in_the_mix() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0).alaw());
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(200));
    world.pass(Duration::from_micros(3125));
    world.record(4, &[1, 2]);
    world.talk(&mut [&mut a, &mut b], ms(1000));
    // Then only one speaks.
    world.talk(&mut [&mut a], ms(500));
    world.pass(Duration::from_micros(1500));
    world.control(stop(4));
    let samples = recorded(&world, 4);
    assert_eq!(samples.len(), 1501 * 8 + 4);
    assert_eq!(world.log.ended, [(RecordingId(4), whole(12_012))]);
    let both = &samples[1600..8000];
    let (low, high) = (tone_dbfs(both, 440.0), tone_dbfs(both, 1000.0));
    assert!(
        (low + 16.2).abs() < 0.5 && (high + 16.2).abs() < 0.5,
        "{low} {high}"
    );
    let one = &samples[9200..11_600];
    assert!(tone_dbfs(one, 440.0) > -17.0 && tone_dbfs(one, 1000.0) < -45.0);
    assert!(
        a.hears(1000.0) && b.hears(440.0),
        "recording changes nothing"
    );
}

#[test]
fn silence_is_filled_from_the_clock() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, &[1]);
    world.pass(ms(700));
    world.talk(&mut [&mut a], ms(600));
    world.pass(ms(700));
    world.control(stop(1));
    let samples = recorded(&world, 1);
    assert_eq!(samples.len(), 16_000);
    assert!(samples[..5600].iter().all(|sample| *sample == 0));
    assert!(rms_dbfs(&samples[5800..10_300]) > -17.0);
    assert!(samples[11_000..].iter().all(|sample| *sample == 0));
}

#[test]
fn what_is_played_to_a_lone_leg_is_recorded() {
    for (legs, expected) in [(&[1][..], true), (&[1, 2], false)] {
        let mut world = World::new();
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        world.open(&a);
        world.open(&b);
        world.record(1, legs);
        world.play(1, 1, &[tone(700.0, 1000)], Some(1));
        world.talk(&mut [&mut a, &mut b], ms(1000));
        world.control(stop(1));
        let middle = &recorded(&world, 1)[1000..7000];
        assert_eq!(tone_dbfs(middle, 700.0) > -17.0, expected, "{legs:?}");
        assert!(tone_dbfs(middle, 440.0) > -17.0, "{legs:?}");
        assert_eq!(tone_dbfs(middle, 1000.0) > -17.0, !expected, "{legs:?}");
    }
}

#[test]
fn ends_with_its_last_leg() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.record(1, &[1, 2, 2, 9]);
    world.record(2, &[1]);
    world.talk(&mut [&mut a, &mut b], ms(500));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    assert_eq!(world.log.ended, [(RecordingId(2), whole(4000))]);
    world.talk(&mut [&mut b], ms(500));
    world.control(Control::Close {
        endpoint: EndpointId(2),
    });
    let end = (RecordingId(1), whole(8000));
    assert_eq!(world.log.ended.last(), Some(&end));
    assert!(tone_dbfs(&recorded(&world, 1)[5000..], 1000.0) > -17.0);
    world.control(stop(1));
    world.pass(ms(100));
    assert_eq!(world.log.ended.len(), 2);
    assert_eq!(world.engine.endpoints(), 0);
}

#[test]
fn impossible_recordings_are_refused() {
    let mut world = World::new();
    let a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, &[1]);
    for (recording, legs) in [(1, &[1][..]), (2, &[]), (3, &[9])] {
        world.record(recording, legs);
        let (id, end) = *world.log.ended.last().unwrap();
        assert_eq!(id, RecordingId(recording));
        assert!(matches!(end, RecordingEnd::Refused { .. }));
    }
    for recording in 10..30 {
        world.record(recording, &[1]);
    }
    let refused = world.log.ended.iter().filter(|(id, _)| id.0 >= 10).count();
    assert_eq!(refused, 20 - 11, "an endpoint has at most twelve");
}

#[test]
fn jitter_and_reordering_are_evened_out() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, &[1]);
    for _ in 0..50 {
        // Two packets at once, in the wrong order, every 40 ms.
        let (first, second) = (a.packet(), a.packet());
        world.datagram(a.socket(), a.media, &second);
        world.datagram(a.socket(), a.media, &first);
        world.pass(ms(40));
    }
    world.control(stop(1));
    let samples = recorded(&world, 1);
    assert_eq!(samples.len(), 16_000);
    let tone = tone_dbfs(&samples[4000..12_000], 440.0);
    assert!((tone + 16.2).abs() < 0.3, "{tone}");
    assert!(
        (rms_dbfs(&samples[4000..12_000]) - tone).abs() < 0.2,
        "nothing but the tone"
    );
}

#[test]
fn a_listener_hears_only_the_remote_party() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.play(1, 1, &[tone(1000.0, 100)], None);
    world.hear(4, 1);
    // Alongside a recording, which has both.
    world.record(5, &[1]);
    world.talk(&mut [&mut a], ms(1000));
    // Where no packets arrive there is silence, in real time.
    world.pass(ms(500));
    world.control(stop(4));
    world.control(stop(5));
    let (heard, both) = (recorded(&world, 4), recorded(&world, 5));
    assert_eq!((heard.len(), both.len()), (12_000, 12_000));
    let (heard, both) = (&heard[1600..7200], &both[1600..7200]);
    assert!(tone_dbfs(heard, 440.0) > -17.0 && tone_dbfs(heard, 1000.0) < -45.0);
    assert!(tone_dbfs(both, 440.0) > -17.0 && tone_dbfs(both, 1000.0) > -20.0);
    assert!(rms_dbfs(&recorded(&world, 4)[10_000..]) < -60.0);
    // It ends with the endpoint, and at once if the endpoint does not exist.
    for (recording, endpoint) in [(6, 1), (7, 9)] {
        world.hear(recording, endpoint);
    }
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let mut ended: Vec<u64> = world.log.ended.iter().map(|(id, _)| id.0).collect();
    ended.sort_unstable();
    assert_eq!(ended, [4, 5, 6, 7]);
}

#[test]
fn silence_is_reported_once_until_there_is_voice_again() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    let terms = Terms {
        silence: Some(ms(500)),
        ..Terms::default()
    };
    world.record_on(1, &[1], terms);
    let silent = Report::RecordSilence {
        recording: RecordingId(1),
    };
    let reports = |world: &World| world.reports(1).iter().filter(|it| **it == silent).count();
    // No packets at all, and voice just before the limit.
    world.pass(ms(400));
    world.talk(&mut [&mut a], ms(600));
    assert_eq!(reports(&world), 0);
    world.pass(ms(450));
    assert_eq!(reports(&world), 0);
    world.pass(ms(200));
    assert_eq!(reports(&world), 1);
    world.pass(ms(2000));
    assert_eq!(reports(&world), 1);
    world.talk(&mut [&mut a], ms(200));
    world.pass(ms(700));
    assert_eq!(reports(&world), 2);
    world.control(stop(1));
    assert_eq!(
        recorded(&world, 1).len(),
        8 * (400 + 600 + 450 + 200 + 2000 + 200 + 700)
    );
}

#[test]
fn a_trimmed_recording_keeps_a_margin_around_the_voice() {
    let table: &[(u64, u64, u64)] = &[(1000, 600, 1000), (0, 600, 1000), (100, 600, 60)];
    for (before, voice, after) in table {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        world.open(&a);
        let terms = Terms {
            part: Part::Heard,
            trim: true,
            ..Terms::default()
        };
        world.record_on(1, &[1], terms);
        world.pass(ms(*before));
        world.talk(&mut [&mut a], ms(*voice));
        world.pass(ms(*after));
        world.control(stop(1));
        let [(_, RecordingEnd::Finished { samples, keep })] = world.log.ended[..] else {
            panic!("{:?}", world.log.ended);
        };
        let all = recorded(&world, 1);
        assert_eq!(all.len() as u64, samples);
        // The detector needs three frames; the first two are within the margin.
        let (lead, tail) = ((*before).min(160) + 40, (*after).min(200));
        let (kept_ms, expected) = (keep / 8, lead + voice + tail);
        assert!(
            kept_ms.abs_diff(expected) <= 60,
            "{before} {voice} {after}: {kept_ms} of {} ms, not {expected}",
            samples / 8
        );
        let kept = &all[..keep as usize];
        let loud = kept
            .chunks(160)
            .filter(|frame| rms_dbfs(frame) > -30.0)
            .count() as u64;
        // The jitter buffer conceals the end of the voice.
        assert!(
            (loud * 20).abs_diff(*voice) <= 80,
            "{} of {voice} ms",
            loud * 20
        );
    }
}

#[test]
fn a_trimmed_recording_of_silence_is_empty() {
    let mut world = World::new();
    let a = Phone::new(1, 440.0);
    world.open(&a);
    let terms = Terms {
        trim: true,
        ..Terms::default()
    };
    world.record_on(1, &[1], terms);
    world.pass(ms(3000));
    world.control(stop(1));
    let end = RecordingEnd::Finished {
        samples: 0,
        keep: 0,
    };
    assert_eq!(world.log.ended, [(RecordingId(1), end)]);
}
