//! Live plays, and what an endpoint hears.

use crate::common::{Phone, World, ms, tone};
use audio::Codec;
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, PlayId, RecordingId, Report};

const ENDPOINT: EndpointId = EndpointId(1);
const PLAY: PlayId = PlayId(7);

fn feed(audio: Vec<i16>) -> Control {
    Control::Feed {
        endpoint: ENDPOINT,
        play: PLAY,
        audio,
    }
}

fn mark(mark: u64) -> Control {
    Control::Mark {
        endpoint: ENDPOINT,
        play: PLAY,
        mark,
    }
}

/// A phone that hears a live play.
fn live(world: &mut World, phone: &Phone) {
    world.open(phone);
    world.control(Control::PlayLive {
        endpoint: ENDPOINT,
        play: PLAY,
    });
}

/// When each mark was reported, in milliseconds since the start.
fn marks(world: &World) -> Vec<(u128, u64)> {
    let reports = world.log.reports.iter();
    let marked = reports.filter_map(|(at, _, report)| match report {
        Report::Marked { play: PLAY, mark } => Some(((*at - world.started).as_millis(), *mark)),
        _ => None,
    });
    marked.collect()
}

#[test]
fn live_audio_is_heard_as_it_comes_and_marks_follow_it() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    live(&mut world, &phone);
    // Nothing to play is silence, not an end.
    world.pass(ms(200));
    phone.listen(&mut world);
    assert_eq!(phone.heard.len(), 11 * 160);
    assert!(rms_dbfs(&phone.heard) < -60.0);
    world.control(mark(1));
    // A second in uneven pieces, faster than it is played.
    let second = tone(1000.0, 1000);
    for piece in second.chunks(333) {
        world.control(feed(piece.to_vec()));
    }
    world.control(mark(2));
    world.control(feed(tone(1700.0, 500)));
    world.control(mark(3));
    world.pass(ms(1000));
    phone.listen(&mut world);
    assert!(phone.hears(1000.0));
    world.pass(ms(500));
    phone.listen(&mut world);
    assert!(phone.hears(1700.0));
    world.pass(ms(500));
    // Played from 220 ms on: the frame that begins when the last one was played out passes the mark.
    assert_eq!(marks(&world), [(220, 1), (1220, 2), (1720, 3)]);
    phone.listen(&mut world);
    assert!(rms_dbfs(&phone.heard[phone.heard.len() - 1600..]) < -60.0);
    // All of it was heard, once, in one piece of 1.5 s.
    let is_loud = |sample: &i16| sample.unsigned_abs() > 100;
    let first = phone.heard.iter().position(is_loud).unwrap();
    let last = phone.heard.iter().rposition(is_loud).unwrap();
    assert!(
        (11_990..=12_000).contains(&(last - first)),
        "{first} {last}"
    );
}

#[test]
fn what_was_cleared_falls_silent_with_the_next_frame() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    live(&mut world, &phone);
    world.control(feed(tone(1000.0, 60_000)));
    world.control(mark(1));
    world.pass(ms(500));
    phone.listen(&mut world);
    assert!(phone.hears(1000.0));
    world.control(Control::ClearLive {
        endpoint: ENDPOINT,
        play: PLAY,
    });
    world.pass(ms(60));
    phone.heard.clear();
    phone.listen(&mut world);
    assert_eq!(phone.heard.len(), 480);
    assert!(rms_dbfs(&phone.heard) < -60.0);
    // It goes on, and the dropped mark is never passed.
    world.control(feed(tone(1700.0, 600)));
    world.control(mark(2));
    world.pass(ms(600));
    phone.listen(&mut world);
    assert!(phone.hears(1700.0));
    world.pass(ms(100));
    assert_eq!(marks(&world), [(1180, 2)]);
}

#[test]
fn only_the_play_in_progress_is_fed() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    world.open(&phone);
    let before = world.reports(1).len();
    world.control(feed(tone(1000.0, 500)));
    world.control(mark(1));
    world.control(Control::PlayLive {
        endpoint: ENDPOINT,
        play: PLAY,
    });
    world.pass(ms(100));
    world.play(1, 8, &[tone(1700.0, 600)], Some(1));
    world.control(feed(tone(1000.0, 500)));
    world.control(mark(2));
    world.pass(ms(600));
    phone.listen(&mut world);
    assert!(phone.hears(1700.0));
    world.pass(ms(600));
    let done = |play, stopped| Report::PlayDone { play, stopped };
    assert_eq!(
        world.reports(1)[before..],
        [done(PLAY, true), done(PlayId(8), false)]
    );
}

#[test]
fn audio_beyond_five_minutes_is_dropped_and_reported() {
    let mut world = World::new();
    live(&mut world, &Phone::new(1, 440.0));
    let minute = vec![1; 8000 * 60];
    (0..5).for_each(|_| world.control(feed(minute.clone())));
    let before = world.reports(1).len();
    world.control(feed(vec![1; 100]));
    let overflow = |samples| Report::Overflow {
        play: PLAY,
        samples,
    };
    assert_eq!(world.reports(1)[before..], [overflow(100)]);
    world.pass(ms(20));
    world.control(feed(vec![1; 400]));
    assert_eq!(world.last_report(1), overflow(400 - 2 * 160));
}

/// Hands out what the phone with this number hears, under 100 plus that number.
fn overhear(world: &mut World, phone: u64) {
    let (recording, endpoint) = (RecordingId(100 + phone), EndpointId(phone));
    let (now, log) = (world.log.now, &mut world.log);
    world.engine.overhear(recording, endpoint, now, log);
}

fn overheard(world: &World, phone: u64) -> Vec<i16> {
    world.log.recorded[&RecordingId(100 + phone)].clone()
}

/// Whether the last half second has a tone, and not another.
fn has(samples: &[i16], hz: f64, not: f64) -> bool {
    let last = &samples[samples.len() - 4000..];
    tone_dbfs(last, hz) > -22.0 && tone_dbfs(last, not) < -45.0
}

#[test]
fn what_an_endpoint_hears_can_be_handed_out() {
    // Bridged to the same codec, to the other law, and to one that is recoded.
    for codec in [Codec::PCMU, Codec::PCMA, Codec::G722] {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        let mut b = Phone::new(2, 1000.0).speaking(codec, 1000.0);
        world.open(&a);
        world.open(&b);
        overhear(&mut world, 1);
        world.play(1, 1, &[tone(1700.0, 900)], Some(1));
        world.talk(&mut [&mut a, &mut b], ms(800));
        assert!(has(&overheard(&world, 1), 1700.0, 440.0), "{codec:?}: play");
        world.bridge(1, 2);
        world.talk(&mut [&mut a, &mut b], ms(1000));
        assert!(a.hears(1000.0), "{codec:?}");
        assert!(
            has(&overheard(&world, 1), 1000.0, 440.0),
            "{codec:?}: bridge"
        );
        // While something is played, the bridge is not heard.
        world.play(1, 2, &[tone(1700.0, 900)], Some(1));
        world.talk(&mut [&mut a, &mut b], ms(800));
        assert!(
            has(&overheard(&world, 1), 1700.0, 1000.0),
            "{codec:?}: both"
        );
    }
}

#[test]
fn what_a_member_of_a_mix_hears_can_be_handed_out() {
    let mut world = World::new();
    let mut phones = [440.0, 1000.0, 1700.0].map(|hz| Phone::new((hz / 440.0) as u64, hz));
    for phone in &phones {
        world.open(phone);
        world.join(phone.endpoint, 1, (true, true));
    }
    overhear(&mut world, 1);
    let [a, b, c] = &mut phones;
    world.talk(&mut [a, b, c], ms(1000));
    let heard = overheard(&world, 1);
    assert!(has(&heard, 1000.0, 440.0) && has(&heard, 1700.0, 440.0));
    // It ends as every other tap.
    world.control(Control::StopRecord {
        recording: RecordingId(101),
    });
    assert_eq!(world.log.ended.len(), 1);
}
