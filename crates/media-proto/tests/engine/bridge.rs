//! Two legs hear each other, whatever their codecs, and see one continuous stream.

use crate::common::{Phone, World, ms, tone};
use media_proto::{Control, DigitWay, EndpointId, Report};
use rtp_proto::Header;

fn bridged(a: Phone, b: Phone) -> (World, Phone, Phone) {
    let mut world = World::new();
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    (world, a, b)
}

#[test]
fn each_hears_the_other() {
    for (a_law, b_law) in [(false, false), (true, true), (false, true), (true, false)] {
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        a = a.laws(a_law);
        b = b.laws(b_law);
        let (mut world, mut a, mut b) = bridged(a, b);
        world.talk(&mut [&mut a, &mut b], ms(1000));
        assert!(a.hears(1000.0) && b.hears(440.0), "A-law {a_law} {b_law}");
        assert_eq!((a.heard.len(), b.heard.len()), (8000, 8000));
        let expected = [b.payload_type(), a.payload_type()].map(|own| if own == 8 { 8 } else { 0 });
        assert_eq!(
            [b.received[9].payload_type, a.received[9].payload_type],
            expected
        );
        world.control(Control::Close {
            endpoint: EndpointId(1),
        });
        let Report::Closed { stats } = world.last_report(1) else {
            panic!("not closed")
        };
        assert_eq!((stats.packets_in, stats.packets_out), (50, 50));
        assert_eq!((stats.bytes_in, stats.bytes_out), (8600, 8600));
        assert_eq!(stats.transcoded, if a_law == b_law { 0 } else { 50 });
        assert_eq!((stats.lost, stats.wrong_source, stats.malformed), (0, 0, 0));
    }
}

#[test]
fn loss_and_order_stay_visible() {
    let (mut world, mut a, mut b) = bridged(Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.talk(&mut [&mut a], ms(40));
    let packets: Vec<_> = (0..4).map(|_| a.packet()).collect();
    // The first is lost, the last two change places.
    for packet in [&packets[1], &packets[3], &packets[2]] {
        world.datagram(a.socket(), a.media, packet);
    }
    b.listen(&mut world);
    let first = b.received[0];
    let seen = b.received.iter().map(|header| {
        let frames = header.timestamp.wrapping_sub(first.timestamp) / 160;
        (
            header.sequence.wrapping_sub(first.sequence),
            frames,
            header.marker,
        )
    });
    let expected = [
        (0, 0, true),
        (1, 1, false),
        (3, 3, false),
        (5, 5, false),
        (4, 4, false),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert!(
        b.received
            .iter()
            .all(|header| header.ssrc == first.ssrc && header.ssrc != a.ssrc)
    );
}

#[test]
fn one_stream_through_prompts_and_bridges() {
    let (mut a, mut b, mut c) = (
        Phone::new(1, 440.0),
        Phone::new(2, 1000.0),
        Phone::new(3, 1300.0).alaw(),
    );
    let mut world = World::new();
    for phone in [&a, &b, &c] {
        world.open(phone);
    }
    world.play(1, 1, &[tone(700.0, 500)], Some(1));
    world.talk(&mut [&mut a], ms(600));
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.hears(1000.0));
    world.control(Control::Unbridge {
        a: EndpointId(2),
        b: EndpointId(1),
    });
    world.talk(&mut [&mut a, &mut b], ms(600));
    world.bridge(1, 3);
    world.talk(&mut [&mut a, &mut b, &mut c], ms(600));
    assert!(a.hears(1300.0) && c.hears(440.0));
    // Prompt, b, c: three talk spurts, no gap in the numbers, time continues through the pauses.
    assert_continuous(&a.received, &[0, 25, 55]);
    assert_eq!(a.received.len(), 25 + 30 + 30);
    let played = a.received[84]
        .timestamp
        .wrapping_sub(a.received[0].timestamp);
    assert!(
        (2380 * 8 - 160..=2380 * 8 + 80).contains(&played),
        "{}",
        played / 8
    );
    assert_eq!(b.received.len(), 30);
}

fn assert_continuous(received: &[Header], spurts: &[usize]) {
    for (index, pair) in received.windows(2).enumerate() {
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(
            pair[1].sequence,
            pair[0].sequence.wrapping_add(1),
            "{index}"
        );
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        let spurt = spurts.contains(&(index + 1));
        assert!(
            step == 160 || spurt && (160..80_000).contains(&step),
            "{index}: {step}"
        );
    }
    let markers = received
        .iter()
        .enumerate()
        .filter(|(_, header)| header.marker);
    assert_eq!(markers.map(|(index, _)| index).collect::<Vec<_>>(), spurts);
}

#[test]
fn a_prompt_mutes_the_bridge_towards_its_leg_only() {
    let (mut world, mut a, mut b) = bridged(Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.play(1, 9, &[tone(700.0, 600)], Some(1));
    world.talk(&mut [&mut a, &mut b], ms(580));
    assert!(a.hears(700.0) && b.hears(440.0));
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.hears(1000.0));
    // The other way round, the bridge wins.
    world.play(1, 10, &[tone(700.0, 600)], Some(1));
    world.bridge(1, 2);
    let done = Report::PlayDone {
        play: media_proto::PlayId(10),
        stopped: true,
    };
    assert_eq!(world.last_report(1), done);
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.hears(1000.0) && b.hears(440.0));
}

#[test]
fn key_presses_pass_and_are_reported() {
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0).alaw());
    let mut world = World::new();
    world.open(&a);
    // We offer to b: telephone-event is 101 there, 96 with a.
    world.open_with(&b, None);
    let sdp = b.sdp("sendrecv").replace("96", "101");
    world.control(Control::Remote {
        endpoint: EndpointId(2),
        sdp,
    });
    assert_eq!(world.last_report(2), Report::RemoteSet);
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(100));
    for (duration, end) in [
        (160, false),
        (320, false),
        (480, true),
        (480, true),
        (480, true),
    ] {
        a.press(&mut world, 11, duration, end);
    }
    b.listen(&mut world);
    let events: Vec<_> = b
        .received
        .iter()
        .filter(|header| header.payload_type == 101)
        .collect();
    assert_eq!(events.len(), 5);
    assert!(events[0].marker && !events[1].marker);
    assert!(
        events
            .iter()
            .all(|header| header.timestamp == events[0].timestamp)
    );
    let digits = world
        .reports(1)
        .into_iter()
        .filter(|r| matches!(r, Report::Digit { .. }));
    assert_eq!(
        digits.collect::<Vec<_>>(),
        [Report::Digit {
            digit: '#',
            way: DigitWay::Event
        }]
    );
}

#[test]
fn the_last_bridge_wins_and_echo_works() {
    let (mut a, mut b, mut c) = (
        Phone::new(1, 440.0),
        Phone::new(2, 1000.0),
        Phone::new(3, 1300.0),
    );
    let mut world = World::new();
    for phone in [&a, &b, &c] {
        world.open(phone);
    }
    world.bridge(1, 2);
    world.bridge(2, 3);
    // Not bridged with each other: ignored.
    world.control(Control::Unbridge {
        a: EndpointId(1),
        b: EndpointId(2),
    });
    world.control(Control::Unbridge {
        a: EndpointId(1),
        b: EndpointId(9),
    });
    world.talk(&mut [&mut a, &mut b, &mut c], ms(600));
    assert!(a.heard.is_empty() && b.hears(1300.0) && c.hears(1000.0));
    world.bridge(1, 1);
    world.talk(&mut [&mut a, &mut b, &mut c], ms(600));
    assert!(a.hears(440.0) && b.hears(1300.0));
    world.control(Control::Close {
        endpoint: EndpointId(3),
    });
    b.heard.clear();
    world.talk(&mut [&mut a, &mut b], ms(100));
    assert!(b.heard.is_empty());
}

#[test]
fn on_hold_nothing_is_sent_and_music_comes_through() {
    let (mut world, mut a, mut b) = bridged(Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.talk(&mut [&mut a, &mut b], ms(600));
    // A holds: it plays music and hears nothing.
    world.renegotiate(&a, a.sdp("sendonly"));
    a.heard.clear();
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.heard.is_empty() && b.hears(440.0));
    // A takes the call off hold.
    world.renegotiate(&a, a.sdp("sendrecv"));
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.hears(1000.0) && b.hears(440.0));
    let (last, resumed) = (a.received[29], a.received[30]);
    assert_eq!(resumed.timestamp.wrapping_sub(last.timestamp), 31 * 160);
    assert_eq!(resumed.sequence, last.sequence.wrapping_add(1));
    assert_eq!(b.received.len(), 90);
}

/// A bridge of an endpoint with itself is an echo, until it is undone.
#[test]
fn one_alone_hears_itself() {
    for phone in [
        Phone::new(1, 440.0),
        Phone::new(1, 440.0).laws(true),
        Phone::new(1, 440.0).without_events(),
        Phone::new(1, 440.0).speaking(audio::Codec::G722, 440.0),
    ] {
        let (mut world, mut a) = (World::new(), phone);
        world.open(&a);
        world.talk(&mut [&mut a], ms(200));
        assert!(a.heard.is_empty());
        world.bridge(1, 1);
        world.talk(&mut [&mut a], ms(1000));
        assert!(a.hears(440.0));
        let seen = a.received.len();
        assert_eq!(seen, 50);
        let (a1, a2) = (EndpointId(1), EndpointId(1));
        world.control(Control::Unbridge { a: a1, b: a2 });
        world.talk(&mut [&mut a], ms(200));
        assert_eq!(a.received.len(), seen);
        // It can be closed like any other.
        world.bridge(1, 1);
        world.control(Control::Close { endpoint: a1 });
        assert!(matches!(world.last_report(1), Report::Closed { .. }));
    }
}
