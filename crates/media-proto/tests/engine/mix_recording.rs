//! Recordings of a mix: all its members are in them, and the length equals real time.

use crate::common::{Phone, World, ms, whole};
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, Pause, RecordingEnd, RecordingId};

const HZ: [f64; 3] = [440.0, 1000.0, 1700.0];

fn members(world: &mut World) -> Vec<Phone> {
    let phones: Vec<_> = (1..).zip(HZ).map(|(id, hz)| Phone::new(id, hz)).collect();
    for phone in &phones {
        world.open(phone);
        world.join(phone.endpoint, 1, (true, true));
    }
    phones
}

fn talk(world: &mut World, phones: &mut [Phone], span: u64) {
    let mut all: Vec<&mut Phone> = phones.iter_mut().collect();
    world.talk(&mut all, ms(span));
}

fn stop(recording: u64) -> Control {
    let recording = RecordingId(recording);
    Control::StopRecord { recording }
}

fn leave(endpoint: u64) -> Control {
    let endpoint = EndpointId(endpoint);
    Control::Leave { endpoint }
}

fn recorded(world: &World, recording: u64) -> &[i16] {
    &world.log.recorded[&RecordingId(recording)]
}

#[test]
fn every_member_is_in_it() {
    let mut world = World::new();
    let mut phones = members(&mut world);
    talk(&mut world, &mut phones, 200);
    world.record_mix(9, 1, false);
    talk(&mut world, &mut phones, 1000);
    // Then one is muted, one leaves, and one is alone.
    world.join(1, 1, (false, true));
    world.control(leave(2));
    talk(&mut world, &mut phones, 1000);
    world.control(stop(9));
    let samples = recorded(&world, 9);
    assert_eq!(world.log.ended, [(RecordingId(9), whole(16_000))]);
    for hz in HZ {
        assert!(tone_dbfs(&samples[1600..7600], hz) > -17.0, "{hz}");
        let rest = tone_dbfs(&samples[10_000..15_600], hz);
        assert_eq!(rest > -17.0, hz == HZ[2], "{hz} {rest}");
        assert!(!(-45.0..-17.0).contains(&rest), "{hz} {rest}");
    }
}

#[test]
fn a_pause_is_left_out() {
    let mut world = World::new();
    let mut phones = members(&mut world);
    talk(&mut world, &mut phones, 200);
    world.record_mix(9, 1, false);
    talk(&mut world, &mut phones[..1], 1000);
    let recording = RecordingId(9);
    let pause = Some(Pause::Skip);
    world.control(Control::PauseRecord { recording, pause });
    talk(&mut world, &mut phones[1..2], 1000);
    let pause = None;
    world.control(Control::PauseRecord { recording, pause });
    talk(&mut world, &mut phones[2..], 1000);
    world.control(stop(9));
    let samples = recorded(&world, 9);
    assert!(samples.len().abs_diff(16_000) <= 320, "{}", samples.len());
    assert!(tone_dbfs(&samples[1600..7200], HZ[0]) > -17.0);
    assert!(tone_dbfs(&samples[8800..15_200], HZ[2]) > -17.0);
    assert!(
        tone_dbfs(samples, HZ[1]) < -40.0,
        "what was said in the pause"
    );
}

#[test]
fn it_outlives_its_members() {
    let mut world = World::new();
    world.record_mix(9, 1, false);
    world.pass(ms(500));
    let mut phones = members(&mut world);
    talk(&mut world, &mut phones, 500);
    (1..=3).for_each(|member| world.control(leave(member)));
    world.pass(ms(500));
    world.join(2, 1, (true, true));
    talk(&mut world, &mut phones, 500);
    world.control(stop(9));
    let samples = recorded(&world, 9);
    assert_eq!(samples.len(), 16_000);
    assert!(samples[..3900].iter().all(|sample| *sample == 0));
    assert!(tone_dbfs(&samples[4800..7600], 440.0) > -17.0);
    assert!(rms_dbfs(&samples[8800..11_900]) < -60.0);
    let last = &samples[13_000..15_600];
    assert!(tone_dbfs(last, 1000.0) > -17.0 && tone_dbfs(last, 440.0) < -45.0);
    // With its last member the mix is gone, and with it all timers of both.
    world.control(leave(2));
    world.record_mix(10, 1, false);
    world.control(stop(10));
    assert_eq!(world.log.ended.last(), Some(&(RecordingId(10), whole(0))));
}

#[test]
fn silence_is_trimmed() {
    let mut world = World::new();
    let mut phones = members(&mut world);
    world.record_mix(9, 1, true);
    world.pass(ms(1000));
    talk(&mut world, &mut phones, 1000);
    world.pass(ms(1000));
    world.control(stop(9));
    let Some((_, RecordingEnd::Finished { keep, .. })) = world.log.ended.last() else {
        panic!("not finished");
    };
    assert!((8000..12_800).contains(keep), "{keep}");
}

#[test]
fn a_mix_has_one_recording_at_a_time() {
    let mut world = World::new();
    world.record_mix(9, 1, false);
    world.record_mix(9, 2, false);
    world.record_mix(10, 1, false);
    let refused = |recording| {
        let reason = "the recording exists already";
        (RecordingId(recording), RecordingEnd::Refused { reason })
    };
    assert_eq!(world.log.ended, [refused(9), refused(10)]);
    world.control(stop(9));
    world.record_mix(11, 1, false);
    world.control(stop(11));
    assert_eq!(
        world.log.ended[2..],
        [(RecordingId(9), whole(0)), (RecordingId(11), whole(0))]
    );
}
