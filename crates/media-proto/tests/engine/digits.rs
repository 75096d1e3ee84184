//! Keys of one leg: sent and received as events or tones, never twice.

use crate::common::{Phone, World, ms, tone};
use audio::dtmf::{Change, Detector};
use media_proto::{Control, DigitWay, EndpointId, PlayId, Report};
use rtp_proto::dtmf::DtmfReceiver;
use std::time::Instant;

fn listen(world: &mut World, on: bool) {
    world.control(Control::ListenDigits {
        endpoint: EndpointId(1),
        on,
    });
}

fn send(world: &mut World, endpoint: u64, play: u64, digits: &str) {
    world.control(Control::SendDigits {
        endpoint: EndpointId(endpoint),
        play: PlayId(play),
        digits: digits.to_owned(),
        interrupts: false,
    });
}

fn done(play: u64, stopped: bool) -> Report {
    Report::PlayDone {
        play: PlayId(play),
        stopped,
    }
}

/// Digits reported for an endpoint: plain if they came as events, in brackets if as tones.
pub(crate) fn reported(world: &World, endpoint: u64) -> String {
    let reports = world.reports(endpoint).into_iter();
    reports
        .filter_map(|report| match report {
            Report::Digit {
                digit,
                way: DigitWay::Event,
            } => Some(digit.to_string()),
            Report::Digit {
                digit,
                way: DigitWay::Tone,
            } => Some(format!("({digit})")),
            _ => None,
        })
        .collect()
}

/// Keys in the audio that a phone heard.
pub(crate) fn tones(samples: &[i16]) -> String {
    let (mut detector, mut keys) = (Detector::new(), String::new());
    detector.push(samples, |change| {
        if let Change::Down(key) = change {
            keys.push(key);
        }
    });
    keys
}

/// Keys among the event packets that a phone received.
pub(crate) fn events(phone: &Phone) -> String {
    let mut receiver = DtmfReceiver::new();
    let keys = phone.keys.iter();
    keys.filter_map(|(at, header, event)| receiver.handle_packet(header, &event.encode(), *at))
        .collect()
}

/// Presses keys as tones, 60 ms each with 60 ms gaps.
pub(crate) fn press_tones(world: &mut World, phone: &mut Phone, keys: &str) {
    for key in keys.chars() {
        let mut samples = audio::tone::dtmf(key, 60).expect("a key");
        samples.extend([0; 480]);
        say(world, phone, &samples);
    }
}

/// Speaks samples, 20 ms at a time.
pub(crate) fn say(world: &mut World, phone: &mut Phone, samples: &[i16]) {
    for frame in samples.chunks(160) {
        let packet = phone.packet_of(frame);
        world.datagram(phone.socket(), phone.media, &packet);
        world.pass(ms(20));
    }
}

/// Presses a key as an event, with all packets a textbook sender sends.
pub(crate) fn press_event(world: &mut World, phone: &mut Phone, code: u8, frames: u16) {
    for frame in 1..=frames + 2 {
        let end = frame >= frames;
        phone.press(world, code, frame.min(frames) * 160, end);
        world.pass(ms(20));
    }
    phone.timestamp = phone.timestamp.wrapping_add(u32::from(frames + 2) * 160);
}

#[test]
fn tones_are_detected_only_on_request() {
    for alaw in [false, true] {
        let mut phone = Phone::new(1, 440.0).without_events();
        phone = phone.laws(alaw);
        let mut world = World::new();
        world.open(&phone);
        press_tones(&mut world, &mut phone, "12");
        assert_eq!(reported(&world, 1), "");
        listen(&mut world, true);
        press_tones(&mut world, &mut phone, "1123456789*0#ABCD");
        let all = "(1)(1)(2)(3)(4)(5)(6)(7)(8)(9)(*)(0)(#)(A)(B)(C)(D)";
        assert_eq!(reported(&world, 1), all);
        listen(&mut world, false);
        press_tones(&mut world, &mut phone, "34");
        assert_eq!(reported(&world, 1), all);
        listen(&mut world, true);
        press_tones(&mut world, &mut phone, "5");
        assert_eq!(reported(&world, 1), all.to_owned() + "(5)");
    }
}

#[test]
fn a_key_after_a_jump_of_the_sequence_numbers_is_heard_once() {
    // How far the numbers jump, and how many frames the key is down.
    for (jump, frames) in [(20_000, 6), (40_000, 6), (20_000, 1)] {
        let mut phone = Phone::new(1, 440.0);
        let mut world = World::new();
        world.open(&phone);
        press_event(&mut world, &mut phone, 5, 5);
        phone.sequence = phone.sequence.wrapping_add(jump);
        press_event(&mut world, &mut phone, 6, frames);
        press_event(&mut world, &mut phone, 7, 5);
        assert_eq!(reported(&world, 1), "567", "{jump} {frames}");
    }
}

#[test]
fn where_events_are_agreed_tones_are_not_looked_for() {
    let mut phone = Phone::new(1, 440.0);
    let mut world = World::new();
    world.open(&phone);
    listen(&mut world, true);
    // The phone sends the same key in both forms.
    press_event(&mut world, &mut phone, 5, 5);
    press_tones(&mut world, &mut phone, "5");
    assert_eq!(reported(&world, 1), "5");
    // It renegotiates to a description without events, and back.
    phone.events = false;
    world.renegotiate(&phone, phone.sdp("sendrecv"));
    press_tones(&mut world, &mut phone, "6");
    assert_eq!(reported(&world, 1), "5(6)");
    phone.events = true;
    world.renegotiate(&phone, phone.sdp("sendrecv"));
    press_tones(&mut world, &mut phone, "7");
    press_event(&mut world, &mut phone, 8, 5);
    assert_eq!(reported(&world, 1), "5(6)8");
}

#[test]
fn pressed_as_events() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    world.open(&phone);
    world.play(1, 1, &[tone(700.0, 40)], Some(1));
    world.pass(ms(60));
    send(&mut world, 1, 2, "5w#");
    world.pass(ms(1060));
    world.play(1, 3, &[tone(700.0, 40)], Some(1));
    world.pass(ms(100));
    phone.listen(&mut world);
    assert_eq!(events(&phone), "5#");
    assert_eq!(tones(&phone.heard), "");
    // Five packets and three end packets per key.
    let start = phone.keys[0].1.timestamp;
    let seen = phone.keys.iter().map(|(_, header, event)| {
        let offset = header.timestamp.wrapping_sub(start) / 8;
        (header.marker, offset, event.code, event.end, event.duration)
    });
    let press = |offset, code| {
        [
            (160, false),
            (320, false),
            (480, false),
            (640, false),
            (800, false),
        ]
        .into_iter()
        .chain([(800, true); 3])
        .map(move |(duration, end)| (duration == 160, offset, code, end, duration))
    };
    let expected: Vec<_> = press(0, 5).chain(press(700, 11)).collect();
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    // One stream: sequence numbers without a gap, each timestamp that of its samples.
    for pair in phone.received.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
    let spans = |at: usize| {
        phone.received[at]
            .timestamp
            .wrapping_sub(phone.received[0].timestamp)
    };
    let last = phone.received.len() - 2;
    assert_eq!((spans(2), spans(last)), (60 * 8, (60 + 900 + 160) * 8));
    let reports = world.reports(1).split_off(1);
    assert_eq!(reports, [done(1, false), done(2, false), done(3, false)]);
    // Packets leave 20 ms apart.
    for pair in phone.keys[..8].windows(2) {
        assert_eq!(pair[1].0 - pair[0].0, ms(20));
    }
}

#[test]
fn pressed_as_tones() {
    for (alaw, ptime) in [
        (false, 10),
        (false, 20),
        (true, 20),
        (true, 30),
        (false, 60),
    ] {
        let mut phone = Phone::new(1, 440.0).without_events();
        phone = phone.laws(alaw);
        let mut world = World::new();
        let offer = phone.sdp("sendrecv") + &format!("a=ptime:{ptime}\r\n");
        world.open_with(&phone, Some(offer));
        send(&mut world, 1, 2, "1159*,dw0#");
        world.pass(ms(4000));
        phone.listen(&mut world);
        assert_eq!(tones(&phone.heard), "1159*D0#", "{ptime} ms");
        assert!(phone.keys.is_empty());
        assert_eq!(world.last_report(1), done(2, false));
        let frames: Vec<_> = phone
            .received
            .iter()
            .map(|header| header.timestamp)
            .collect();
        assert!(
            frames
                .windows(2)
                .all(|pair| pair[1].wrapping_sub(pair[0]) == ptime * 8)
        );
    }
}

#[test]
fn each_sending_is_done_once() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    world.open(&phone);
    let stop = |play| Control::StopPlay {
        endpoint: EndpointId(1),
        play: PlayId(play),
    };
    send(&mut world, 1, 1, "");
    send(&mut world, 1, 2, "no ey");
    send(&mut world, 1, 3, "123456789");
    world.pass(ms(300));
    send(&mut world, 1, 4, "1");
    world.pass(ms(1000));
    send(&mut world, 1, 5, "123");
    world.play(1, 6, &[tone(700.0, 50)], Some(1));
    world.pass(ms(1000));
    send(&mut world, 1, 7, "123");
    world.pass(ms(30));
    world.control(stop(6));
    world.control(stop(7));
    send(&mut world, 1, 8, "1");
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    send(&mut world, 1, 9, "1");
    let reports = world.reports(1).split_off(1);
    let expected = [
        (1, false),
        (2, false),
        (3, true),
        (4, false),
        (5, true),
        (6, false),
        (7, true),
        (8, true),
    ];
    assert_eq!(
        reports[..8],
        expected.map(|(play, stopped)| done(play, stopped))
    );
    assert!(matches!(reports[8], Report::Closed { .. }));
    assert_eq!(reports[9..], [done(9, true)]);
}

#[test]
fn a_bridge_pauses_towards_the_leg_only() {
    for events_agreed in [true, false] {
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        (a.events, b.events) = (events_agreed, events_agreed);
        let mut world = World::new();
        world.open(&a);
        world.open(&b);
        world.bridge(1, 2);
        world.talk(&mut [&mut a, &mut b], ms(600));
        assert!(a.hears(1000.0) && b.hears(440.0));
        let (heard, received) = (a.heard.len(), a.received.len());
        send(&mut world, 1, 1, "42");
        world.talk(&mut [&mut a, &mut b], ms(380));
        assert!(b.hears(440.0));
        // Meanwhile nothing of the other leg came through.
        let meanwhile = &a.heard[heard + 160..];
        assert!(meanwhile.len() > 160);
        assert!(audio::measure::tone_dbfs(meanwhile, 1000.0) < -40.0);
        world.talk(&mut [&mut a, &mut b], ms(40));
        assert_eq!(world.last_report(1), done(1, false));
        let keys = tones(&a.heard[heard..]);
        assert_eq!(events(&a) + &keys, "42", "{events_agreed}");
        world.talk(&mut [&mut a, &mut b], ms(600));
        assert!(a.hears(1000.0) && b.hears(440.0));
        for pair in a.received[received..].windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        }
        assert!(b.keys.is_empty());
    }
}

#[test]
fn on_hold_keys_are_not_sent_but_time_continues() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    world.open(&phone);
    world.renegotiate(&phone, phone.sdp("sendonly"));
    let started: Instant = world.now();
    send(&mut world, 1, 1, "12");
    world.pass(ms(1000));
    phone.listen(&mut world);
    assert!(phone.received.is_empty());
    let (at, _, report) = world.log.reports.last().unwrap();
    assert_eq!((*at - started, report.clone()), (ms(400), done(1, false)));
}

#[test]
fn a_flood_of_keys_is_bounded() {
    let mut world = World::new();
    // The peer of the flooding phone takes its keys as tones.
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0).without_events());
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    // 100,000 presses in ten seconds: each packet has its own timestamp.
    for press in 0..100_000u32 {
        a.timestamp = a.timestamp.wrapping_add(1);
        a.press(&mut world, 5, 160, true);
        if press % 10 == 9 {
            world.pass(ms(1));
        }
        if press % 200 == 199 {
            b.talk(&mut world);
            world.log.sent.clear();
        }
    }
    let keys = reported(&world, 1).len();
    assert!((200..=64 + 200 + 1).contains(&keys), "{keys}");
    // Ten seconds later keys count again, and the other phone hears the caller.
    world.pass(ms(10_000));
    b.heard.clear();
    a.timestamp = a.timestamp.wrapping_add(160_000);
    a.press(&mut world, 7, 160, true);
    world.talk(&mut [&mut a, &mut b], ms(2000));
    assert!(reported(&world, 1).ends_with('7') && b.hears(440.0));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let Report::Closed { stats } = world.last_report(1) else {
        panic!("not closed")
    };
    assert_eq!(stats.digits_dropped + keys as u64 + 1, 100_001);
}
