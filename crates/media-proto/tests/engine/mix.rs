//! Many endpoints that hear each other: who hears whom, and that no one hears themselves.

use crate::common::{Phone, World, ms, tone};
use audio::Codec;
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, Report};

const BOTH: (bool, bool) = (true, true);
const TALKS: (bool, bool) = (true, false);
const HEARS: (bool, bool) = (false, true);

fn conference(hz: &[f64]) -> (World, Vec<Phone>) {
    let mut world = World::new();
    let numbered = (1..).zip(hz);
    let phones: Vec<_> = numbered.map(|(id, hz)| Phone::new(id, *hz)).collect();
    for phone in &phones {
        world.open(phone);
        world.join(phone.endpoint, 1, BOTH);
    }
    (world, phones)
}

fn talk(world: &mut World, phones: &mut [Phone], span: u64) {
    let mut all: Vec<&mut Phone> = phones.iter_mut().collect();
    world.talk(&mut all, ms(span));
}

/// Level of a tone in the last half second.
fn loud(phone: &Phone, hz: f64) -> f64 {
    tone_dbfs(&phone.heard[phone.heard.len() - 4000..], hz)
}

#[test]
fn each_hears_the_others_and_not_itself() {
    let hz = [440.0, 1000.0, 1700.0];
    let (mut world, mut phones) = conference(&hz);
    phones[2] = Phone::new(4, 1700.0).alaw();
    world.open(&phones[2]);
    world.join(4, 1, BOTH);
    talk(&mut world, &mut phones, 1000);
    for (index, phone) in phones.iter().enumerate() {
        for (other, hz) in hz.iter().enumerate() {
            let level = loud(phone, *hz);
            let audible = index != other;
            assert!(
                if audible {
                    (-17.0..-8.0).contains(&level)
                } else {
                    level < -45.0
                },
                "{index} hears {other} at {level}"
            );
        }
        // One packet each 20 ms, from the join on, in one stream.
        let received = &phone.received;
        assert!((49..=51).contains(&received.len()), "{}", received.len());
        for pair in received.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
        }
        assert!(received[0].marker && received[1..].iter().all(|header| !header.marker));
    }
}

#[test]
fn members_talk_or_hear_as_last_requested() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0, 1700.0]);
    world.join(1, 1, HEARS);
    world.join(2, 1, TALKS);
    talk(&mut world, &mut phones, 1000);
    assert!(
        phones[1].received.len() <= 1,
        "who does not hear is sent nothing"
    );
    assert!(loud(&phones[0], 1000.0) > -17.0 && loud(&phones[0], 1700.0) > -17.0);
    assert!(loud(&phones[2], 1000.0) > -17.0 && loud(&phones[2], 440.0) < -45.0);
    world.join(1, 1, BOTH);
    world.join(2, 1, HEARS);
    talk(&mut world, &mut phones, 1000);
    assert!(loud(&phones[1], 440.0) > -17.0);
    assert!(loud(&phones[2], 1000.0) < -45.0 && loud(&phones[2], 440.0) > -17.0);
}

#[test]
fn a_member_on_hold_hears_nothing_while_the_others_continue() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0, 1700.0]);
    talk(&mut world, &mut phones, 200);
    world.renegotiate(&phones[0], phones[0].sdp("inactive"));
    talk(&mut world, &mut phones, 100);
    let before = phones[0].received.len();
    talk(&mut world, &mut phones[1..], 1000);
    phones[0].listen(&mut world);
    assert_eq!(phones[0].received.len(), before);
    assert!(loud(&phones[1], 1700.0) > -17.0 && loud(&phones[1], 440.0) < -45.0);
    assert!(loud(&phones[2], 1000.0) > -17.0 && loud(&phones[2], 440.0) < -45.0);
    world.renegotiate(&phones[0], phones[0].sdp("sendrecv"));
    talk(&mut world, &mut phones, 1000);
    assert!(loud(&phones[0], 1000.0) > -17.0 && loud(&phones[0], 1700.0) > -17.0);
    assert!(loud(&phones[1], 440.0) > -17.0 && loud(&phones[2], 440.0) > -17.0);
}

#[test]
fn a_member_that_leaves_is_not_heard_and_hears_nothing() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0, 1700.0]);
    talk(&mut world, &mut phones, 200);
    let endpoint = EndpointId(1);
    world.control(Control::Leave { endpoint });
    let before = phones[0].received.len();
    talk(&mut world, &mut phones, 1000);
    assert_eq!(phones[0].received.len(), before);
    assert!(loud(&phones[1], 440.0) < -45.0 && loud(&phones[1], 1700.0) > -17.0);
    // A bridge removes a member from the mix, and so does closing it.
    world.bridge(1, 2);
    talk(&mut world, &mut phones, 1000);
    assert!(phones[0].hears(1000.0) && phones[1].hears(440.0));
    let rest = &phones[2].heard[phones[2].heard.len() - 4000..];
    assert!(rms_dbfs(rest) < -60.0, "alone in the mix there is silence");
    world.control(Control::Close {
        endpoint: EndpointId(3),
    });
    assert!(matches!(world.last_report(3), Report::Closed { .. }));
    // A mix with the same name starts afresh, and takes members out of a bridge.
    world.join(2, 1, BOTH);
    world.join(1, 1, BOTH);
    talk(&mut world, &mut phones[..2], 1000);
    assert!(phones[0].hears(1000.0) && phones[1].hears(440.0));
}

#[test]
fn an_announcement_takes_the_place_of_the_mix_for_one_member() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0]);
    talk(&mut world, &mut phones, 100);
    world.play(1, 1, &[tone(1700.0, 600)], Some(1));
    talk(&mut world, &mut phones, 580);
    assert!(loud(&phones[0], 1700.0) > -17.0 && loud(&phones[0], 1000.0) < -45.0);
    assert!(
        loud(&phones[1], 440.0) > -17.0,
        "the others still hear the member"
    );
    assert!(
        loud(&phones[1], 1700.0) < -45.0,
        "and nothing of the announcement"
    );
    talk(&mut world, &mut phones, 1000);
    assert!(phones[0].hears(1000.0));
    let sequence = |at: usize| phones[0].received[at].sequence;
    let last = phones[0].received.len() - 1;
    assert_eq!(sequence(last), sequence(0).wrapping_add(last as u16));
}

#[test]
fn keys_of_members_are_reported() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0]);
    for (duration, end) in [(160, false), (320, false), (320, true)] {
        phones[0].press(&mut world, 5, duration, end);
    }
    let is_digit = |report: &Report| matches!(report, Report::Digit { digit: '5', .. });
    assert_eq!(world.reports(1).iter().filter(|r| is_digit(r)).count(), 1);
    talk(&mut world, &mut phones, 300);
    assert!(phones[1].keys.is_empty());
}

#[test]
fn the_loudest_eight_are_heard() {
    let hz: Vec<f64> = (0..12)
        .map(|index| 400.0 + 250.0 * f64::from(index))
        .collect();
    let (mut world, mut phones) = conference(&hz);
    let quiet: Vec<Vec<i16>> = hz[8..]
        .iter()
        .map(|hz| audio::tone::Tone::new(*hz, -20.0).samples(1000))
        .collect();
    for frame in 0..50 {
        for phone in &mut phones[..8] {
            phone.talk(&mut world);
        }
        for (phone, samples) in phones[8..].iter_mut().zip(&quiet) {
            let packet = phone.packet_of(&samples[frame * 160..][..160]);
            world.datagram(phone.socket(), phone.media, &packet);
        }
        world.pass(ms(20));
        phones.iter_mut().for_each(|phone| phone.listen(&mut world));
    }
    let listener = &phones[11];
    let levels: Vec<f64> = hz.iter().map(|hz| loud(listener, *hz)).collect();
    assert!(levels[..8].iter().all(|level| *level > -25.0), "{levels:?}");
    assert!(levels[8..].iter().all(|level| *level < -30.0), "{levels:?}");
}

#[test]
fn a_lost_packet_is_concealed() {
    let (mut world, mut phones) = conference(&[440.0, 1000.0]);
    talk(&mut world, &mut phones, 500);
    for _ in 0..25 {
        for (index, phone) in phones.iter_mut().enumerate() {
            let packet = phone.packet();
            if index == 1 || phone.sequence % 10 != 0 {
                world.datagram(phone.socket(), phone.media, &packet);
            }
        }
        world.pass(ms(20));
        phones.iter_mut().for_each(|phone| phone.listen(&mut world));
    }
    let heard = &phones[1].heard;
    let frames: Vec<f64> = heard[heard.len() - 4000..]
        .chunks(160)
        .map(rms_dbfs)
        .collect();
    assert!(frames.iter().all(|frame| *frame > -20.0), "{frames:?}");
}

/// A decoder of G.722 follows one encoder. A member that speaks with pauses moves in and out of the
/// sum, and must still hear the others as if it had never spoken.
#[test]
fn a_wideband_member_hears_one_stream_through_its_own_pauses() {
    let heard = |speaks: fn(usize) -> bool| {
        let mut world = World::new();
        let mut speaker = Phone::new(1, 0.0).speaking(Codec::G722, 2900.0);
        let mut other = Phone::new(2, 1000.0);
        // Keeps the listeners' stream going.
        let mut listener = Phone::new(3, 0.0).speaking(Codec::G722, 0.0);
        for (phone, role) in [(&speaker, BOTH), (&other, BOTH), (&listener, HEARS)] {
            world.open(phone);
            world.join(phone.endpoint, 1, role);
        }
        let tones = [-40.0, -3.0].map(|level| audio::tone::Tone::new(1000.0, level).samples(20));
        for frame in 0..200 {
            // A silent pause: nothing is sent.
            let packet = speaker.packet();
            if speaks(frame) {
                world.datagram(speaker.socket(), speaker.media, &packet);
            }
            let packet = other.packet_of(&tones[frame / 13 % 2]);
            world.datagram(other.socket(), other.media, &packet);
            world.pass(ms(20));
            speaker.listen(&mut world);
            listener.listen(&mut world);
        }
        let last = &listener.heard[listener.heard.len() - 8000..];
        let level = audio::measure::tone_dbfs_at(last, 2900.0, 16_000);
        assert_eq!(level > -30.0, speaks(199), "{level}");
        speaker.heard
    };
    let (alone, speaking) = (heard(|_| false), heard(|frame| frame / 10 % 2 == 1));
    let differ = |(alone, speaking): &(&i16, &i16)| alone != speaking;
    let differences = alone.iter().zip(&speaking).filter(differ).count();
    assert_eq!(differences, 0, "of {} samples", alone.len());
    let while_loud = &speaking[38_720..40_640];
    assert!(audio::measure::hears_at(while_loud, 1000.0, 16_000));
}
