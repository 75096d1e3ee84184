//! Recordings: what a leg says and hears is in them, and the length equals real time.

use crate::common::{Phone, World, ms, tone, whole};
use audio::Codec;
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, Part, Pause, RecordingEnd, RecordingId, Report, Terms};
use std::time::Duration;

/// What the leg says and what it hears, on a channel each.
const APART: Terms = Terms {
    part: Part::Apart,
    silence: None,
    trim: false,
};

fn stop(recording: u64) -> Control {
    Control::StopRecord {
        recording: RecordingId(recording),
    }
}

fn pause(recording: u64, pause: Option<Pause>) -> Control {
    Control::PauseRecord {
        recording: RecordingId(recording),
        pause,
    }
}

fn recorded(world: &World, recording: u64) -> &[i16] {
    &world.log.recorded[&RecordingId(recording)]
}

#[test]
fn both_sides_are_in_the_mix() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0).alaw());
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(200));
    world.pass(Duration::from_micros(3125));
    world.record(4, 1);
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
fn a_pause_is_silent_or_left_out() {
    // In place of the pause, the length in ms, and where the part after the pause begins.
    let table = [(Pause::Silence, 3000, 2000), (Pause::Skip, 2000, 1000)];
    for ((behavior, length, after), part) in table
        .into_iter()
        .flat_map(|row| [(row, Part::All), (row, Part::Apart)])
    {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        world.open(&a);
        let terms = Terms {
            part,
            ..Terms::default()
        };
        world.record_on(1, 1, terms);
        world.talk(&mut [&mut a], ms(1000));
        world.control(pause(1, Some(behavior)));
        a.says(1000.0);
        world.talk(&mut [&mut a], ms(1000));
        world.control(pause(1, None));
        a.says(700.0);
        world.talk(&mut [&mut a], ms(1000));
        world.control(stop(1));
        let channels = usize::from(part.channels());
        let samples: Vec<i16> = recorded(&world, 1)
            .iter()
            .step_by(channels)
            .copied()
            .collect();
        let at = |ms: usize| ms * 8;
        let missing = at(length).abs_diff(samples.len());
        assert!(missing <= 320, "{behavior:?}: {} samples", samples.len());
        assert!(has(&samples[at(200)..at(900)], 440.0));
        assert!(has(&samples[at(after + 100)..at(after + 900)], 700.0));
        // Nothing that was said in the pause is left of it.
        assert!(tone_dbfs(&samples, 1000.0) < -45.0, "{behavior:?}");
        if behavior == Pause::Silence {
            let silent = &samples[at(1020)..at(1980)];
            assert!(silent.iter().all(|sample| *sample == 0));
        }
    }
}

#[test]
fn a_recording_that_ends_in_a_pause_ends_with_it() {
    for (behavior, length) in [(Pause::Silence, 1500), (Pause::Skip, 1000)] {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        world.open(&a);
        world.record(1, 1);
        world.talk(&mut [&mut a], ms(1000));
        world.control(pause(1, Some(behavior)));
        world.talk(&mut [&mut a], ms(500));
        world.control(stop(1));
        let samples = recorded(&world, 1).len();
        assert!(
            samples.abs_diff(length * 8) <= 160,
            "{behavior:?}: {samples}"
        );
    }
    // Nothing at all is left of one that was paused from its start.
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, 1);
    world.control(pause(1, Some(Pause::Skip)));
    world.talk(&mut [&mut a], ms(500));
    world.control(stop(1));
    assert_eq!(world.log.ended, [(RecordingId(1), whole(0))]);
}

#[test]
fn silence_is_filled_from_the_clock() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, 1);
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

/// One channel of a recording with two.
fn channel(samples: &[i16], index: usize) -> Vec<i16> {
    samples.iter().skip(index).step_by(2).copied().collect()
}

/// Whether a tone is at its full level, rather than absent.
fn has(samples: &[i16], hz: f64) -> bool {
    let level = tone_dbfs(samples, hz);
    assert!(!(-45.0..-20.0).contains(&level), "{hz} Hz at {level}");
    level > -20.0
}

#[test]
fn each_part_has_its_sounds() {
    // Part, and whether it has what the leg says, what is played to it, and what its bridge says.
    let table = [
        (Part::All, [true, true, true]),
        (Part::Heard, [true, false, false]),
        (Part::Sent, [false, true, true]),
    ];
    for (part, expected) in table {
        let mut world = World::new();
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        world.open(&a);
        world.open(&b);
        let terms = Terms {
            part,
            ..Terms::default()
        };
        world.record_on(1, 1, terms);
        world.play(1, 1, &[tone(700.0, 1000)], Some(1));
        world.talk(&mut [&mut a], ms(1000));
        world.bridge(1, 2);
        world.talk(&mut [&mut a, &mut b], ms(1000));
        world.control(stop(1));
        let samples = recorded(&world, 1);
        assert_eq!(samples.len(), 16_000);
        let (first, second) = (&samples[1600..7200], &samples[9600..15_200]);
        let found = [has(first, 440.0), has(first, 700.0), has(second, 1000.0)];
        assert_eq!(found, expected, "{part:?}");
        assert_eq!(has(second, 440.0), expected[0], "{part:?}");
        assert!(!has(second, 700.0) && !has(first, 1000.0), "{part:?}");
    }
}

#[test]
fn each_side_has_a_channel() {
    let called: [fn() -> Phone; 3] = [
        || Phone::new(2, 1000.0),
        || Phone::new(2, 1000.0).alaw(),
        || Phone::new(2, 0.0).speaking(Codec::G722, 1000.0),
    ];
    for called in called {
        let mut world = World::new();
        let (mut a, mut b) = (Phone::new(1, 440.0), called());
        world.open(&a);
        world.open(&b);
        world.record_on(1, 1, APART);
        // It rings, and nobody speaks; then both, the caller, and the called party.
        world.play(1, 1, &[tone(700.0, 500)], Some(1));
        world.pass(ms(500));
        world.bridge(1, 2);
        world.talk(&mut [&mut a, &mut b], ms(500));
        world.talk(&mut [&mut a], ms(500));
        world.talk(&mut [&mut b], ms(500));
        // Half a frame more.
        world.pass(ms(10));
        world.control(stop(1));
        let samples = recorded(&world, 1);
        assert_eq!(world.log.ended, [(RecordingId(1), whole(2010 * 8))]);
        assert_eq!(samples.len(), 2 * 2010 * 8);
        let (left, right) = (channel(samples, 0), channel(samples, 1));
        for (from, caller, called, ring) in [
            (0, false, false, true),
            (4000, true, true, false),
            (8000, true, false, false),
            (12_000, false, true, false),
        ] {
            let (left, right) = (
                &left[from + 800..from + 3600],
                &right[from + 800..from + 3600],
            );
            assert_eq!(
                (has(left, 440.0), has(left, 1000.0)),
                (caller, false),
                "{from}"
            );
            assert_eq!(
                (has(right, 440.0), has(right, 1000.0)),
                (false, called),
                "{from}"
            );
            assert_eq!(
                (has(left, 700.0), has(right, 700.0)),
                (false, ring),
                "{from}"
            );
            assert_eq!(
                rms_dbfs(left) < -60.0,
                !caller,
                "{from}: silence is silence"
            );
        }
        // Both began to speak at the same moment.
        let onset = |channel: &[i16]| {
            let mut frames = channel[4000..].chunks(80);
            frames.position(|frame| rms_dbfs(frame) > -30.0)
        };
        let (left, right) = (onset(&left).unwrap(), onset(&right).unwrap());
        assert!(left.abs_diff(right) <= 2, "{left} and {right}, in 10 ms");
        assert!(
            a.hears(1000.0) && b.hears(440.0),
            "recording changes nothing"
        );
    }
}

#[test]
fn a_leg_on_hold_is_a_silent_channel() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.record_on(1, 1, APART);
    world.talk(&mut [&mut a, &mut b], ms(500));
    let (hold, resume) = (b.sdp("inactive"), b.sdp("sendrecv"));
    world.renegotiate(&b, hold);
    world.talk(&mut [&mut a], ms(500));
    world.renegotiate(&b, resume);
    world.talk(&mut [&mut a, &mut b], ms(500));
    world.control(stop(1));
    let samples = recorded(&world, 1);
    let (left, right) = (channel(samples, 0), channel(samples, 1));
    assert_eq!((left.len(), right.len()), (12_000, 12_000));
    for from in [800, 4800, 8800] {
        assert!(has(&left[from..from + 2800], 440.0), "{from}");
        assert_eq!(has(&right[from..from + 2800], 1000.0), from != 4800);
    }
}

#[test]
fn two_channels_are_trimmed_together() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    let terms = Terms {
        trim: true,
        ..APART
    };
    world.record_on(1, 1, terms);
    world.pass(ms(1000));
    world.talk(&mut [&mut b], ms(600));
    world.talk(&mut [&mut a], ms(600));
    world.pass(ms(1000));
    world.control(stop(1));
    let [(_, RecordingEnd::Finished { samples, keep })] = world.log.ended[..] else {
        panic!("{:?}", world.log.ended);
    };
    let all = recorded(&world, 1);
    assert_eq!(all.len() as u64, 2 * samples);
    assert!((keep / 8).abs_diff(1600) <= 60, "{} ms", keep / 8);
    let kept = &all[..2 * keep as usize];
    let (left, right) = (channel(kept, 0), channel(kept, 1));
    let (early, late) = (3200..5600, 8000..10_400);
    assert!(!has(&left[early.clone()], 440.0) && has(&right[early], 1000.0));
    assert!(has(&left[late.clone()], 440.0) && !has(&right[late], 1000.0));
}

#[test]
fn ends_with_its_leg() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.record(1, 1);
    world.record(2, 2);
    world.talk(&mut [&mut a, &mut b], ms(500));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    assert_eq!(world.log.ended, [(RecordingId(1), whole(4000))]);
    world.talk(&mut [&mut b], ms(500));
    world.control(Control::Close {
        endpoint: EndpointId(2),
    });
    let end = (RecordingId(2), whole(8000));
    assert_eq!(world.log.ended.last(), Some(&end));
    assert!(tone_dbfs(&recorded(&world, 2)[5000..], 1000.0) > -17.0);
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
    world.record(1, 1);
    for (recording, endpoint) in [(1, 1), (3, 9)] {
        world.record(recording, endpoint);
        let (id, end) = *world.log.ended.last().unwrap();
        assert_eq!(id, RecordingId(recording));
        assert!(matches!(end, RecordingEnd::Refused { .. }));
    }
    for recording in 10..40 {
        world.record(recording, 1);
    }
    let refused = world.log.ended.iter().filter(|(id, _)| id.0 >= 10).count();
    assert_eq!(refused, 30 - 23, "an endpoint has at most 24");
}

#[test]
fn jitter_and_reordering_are_evened_out() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.record(1, 1);
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
    world.record(5, 1);
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
    world.record_on(1, 1, terms);
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
        world.record_on(1, 1, terms);
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
    world.record_on(1, 1, terms);
    world.pass(ms(3000));
    world.control(stop(1));
    let end = RecordingEnd::Finished {
        samples: 0,
        keep: 0,
    };
    assert_eq!(world.log.ended, [(RecordingId(1), end)]);
}
