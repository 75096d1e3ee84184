//! No third party can join a stream, and a phone behind a NAT is found.

use crate::common::{Phone, World, address, ms, tone};
use media_proto::{Control, EndpointId, Opening, Report};

#[test]
fn a_stranger_neither_steals_nor_speaks() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    let stranger = address("203.0.113.66:4002");
    let mut forged = Phone::new(1, 2000.0);
    // Before the phone has said anything, and in the middle of the call.
    for _ in 0..2 {
        for _ in 0..30 {
            let packet = forged.packet();
            world.datagram(a.socket(), stranger, &packet);
        }
        world.talk(&mut [&mut a, &mut b], ms(600));
        assert!(a.hears(1000.0) && b.hears(440.0));
    }
    assert!(world.log.sent.iter().all(|sent| sent.to != stranger));
    assert_eq!(b.received.len(), 60);
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let Report::Closed { stats } = world.last_report(1) else {
        panic!("not closed")
    };
    assert_eq!((stats.wrong_source, stats.packets_in), (60, 60));
}

#[test]
fn learns_the_address_behind_a_nat_once() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    a.media = address("10.0.0.5:4002");
    world.open(&a);
    world.play(1, 1, &[tone(700.0, 5000)], Some(1));
    world.pass(ms(100));
    assert_eq!(
        world.take_rtp(a.media).len(),
        6,
        "the address of the SDP counts at first"
    );
    let nat = address("192.0.2.1:61234");
    let private = std::mem::replace(&mut a.media, nat);
    world.talk(&mut [&mut a], ms(600));
    assert!(a.hears(700.0));
    // Another port of the same host is too late.
    let mut forged = Phone::new(1, 2000.0);
    forged.media = address("192.0.2.1:61235");
    world.talk(&mut [&mut forged, &mut a], ms(100));
    assert_eq!(world.take_rtp(forged.media).len(), 0);
    assert!(forged.received.is_empty());
    // But the address in the SDP wins if it sends after all.
    a.media = private;
    a.received.clear();
    world.talk(&mut [&mut a], ms(600));
    assert_eq!(world.take_rtp(nat).len(), 0);
    assert!(a.received.len() > 25);
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let Report::Closed { stats } = world.last_report(1) else {
        panic!("not closed")
    };
    assert_eq!((stats.wrong_source, stats.packets_in), (5, 65));
}

/// On the host of the phone, or behind the same NAT.
#[test]
fn a_neighbour_that_is_first_does_not_get_the_leg() {
    for announced in ["192.0.2.1:4002", "10.0.0.5:4002"] {
        let mut world = World::new();
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        a.media = address(announced);
        world.open(&a);
        world.open(&b);
        world.bridge(1, 2);
        let mut forged = Phone::new(1, 2000.0);
        forged.media = address("192.0.2.1:5555");
        for _ in 0..30 {
            world.talk(&mut [&mut forged], ms(20));
        }
        b.heard.clear();
        world.take_rtp(forged.media);
        world.talk(&mut [&mut forged, &mut a, &mut b], ms(1000));
        assert!(a.hears(1000.0) && b.hears(440.0), "{announced}");
        // One packet from the phone is enough.
        assert!(world.take_rtp(forged.media).len() <= 1, "{announced}");
        assert!(forged.received.len() <= 30, "{announced}");
    }
}

#[test]
fn an_unproved_caller_cannot_aim_a_stream_at_a_third_party() {
    let third = address("203.0.113.9:4000");
    for (proved, least, most) in [(true, 250, 251), (false, 1, 10)] {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        a.media = third;
        world.open_endpoint(Opening {
            endpoint: EndpointId(1),
            local: a.local(),
            offer: Some(a.sdp("sendrecv")),
            signalling: Some(a.signalling.ip()),
            proved,
            like: None,
        });
        world.play(1, 1, &[tone(700.0, 20_000)], Some(1));
        world.pass(ms(5000));
        let sent = world.take_rtp(third).len();
        assert!((least..=most).contains(&sent), "{proved} {sent}");
        // It takes part after all.
        world.talk(&mut [&mut a], ms(600));
        assert!(a.hears(700.0), "{proved}");
    }
}

#[test]
fn a_new_offer_moves_the_stream() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], ms(600));
    let old = std::mem::replace(&mut a.media, address("192.0.2.77:7000"));
    world.renegotiate(&a, a.sdp("sendrecv"));
    a.heard.clear();
    world.talk(&mut [&mut a, &mut b], ms(600));
    assert!(a.hears(1000.0) && b.hears(440.0));
    assert_eq!(world.take_rtp(old).len(), 0);
    assert_eq!(a.received.len(), 60);
    // The same address again changes nothing.
    world.renegotiate(&a, a.sdp("sendrecv"));
    let mut forged = Phone::new(1, 2000.0);
    forged.media = address("192.0.2.1:4002");
    world.talk(&mut [&mut forged], ms(100));
    assert!(b.hears(440.0));
}

#[test]
fn versions_rise_only_with_changes() {
    let mut world = World::new();
    let a = Phone::new(1, 440.0);
    world.open(&a);
    let origin = |report: Report| {
        let (Report::Opened { sdp } | Report::Renegotiated { sdp: Ok(sdp), .. }) = report else {
            panic!("no SDP")
        };
        let line = sdp
            .lines()
            .find(|line| line.starts_with("o="))
            .unwrap()
            .to_owned();
        let numbers: Vec<u64> = line
            .split(' ')
            .skip(1)
            .take(2)
            .map(|word| word.parse().unwrap())
            .collect();
        (numbers[0], numbers[1])
    };
    let (id, version) = origin(world.last_report(1));
    let table = [
        ("sendrecv", 0),
        ("sendonly", 1),
        ("sendonly", 1),
        ("sendrecv", 2),
    ];
    for (direction, raised) in table {
        world.renegotiate(&a, a.sdp(direction));
        assert_eq!(
            origin(world.last_report(1)),
            (id, version + raised),
            "{direction}"
        );
    }
}
