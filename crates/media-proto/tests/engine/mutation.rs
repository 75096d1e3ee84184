//! Broken datagrams do no harm: no panic, no forwarding of packets that were not accepted, no new
//! source.

use crate::common::{Phone, World, ms, tone};
use audio::Codec;
use media_proto::{Control, EndpointId, Report};
use rtp_proto::rtcp::CompoundWriter;
use testkit::random::Random;

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.index(3) {
        let at = random.index(bytes.len());
        match random.index(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.index(8),
            1 if !bytes.is_empty() => bytes[at] = random.index(256) as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.index(256) as u8),
            4 => bytes.extend((0..random.index(2000)).map(|byte| byte as u8)),
            _ => {}
        }
    }
}

fn rounds() -> usize {
    let seconds = std::env::var("PATCHCORD_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    20_000 * seconds.unwrap_or(1)
}

/// The phones send packets of any payload under any payload type of the table, some of them broken.
fn attack(world: &mut World, phones: &mut [Phone], random: &mut Random) {
    for round in 0..rounds() {
        let phone = random.index(phones.len());
        let phone = &mut phones[phone];
        let mut bytes = phone.packet();
        if random.index(2) == 0 {
            bytes[1] = [0, 8, 9][random.index(3)];
        }
        if random.index(2) == 0 {
            bytes[12..].fill_with(|| random.index(256) as u8);
        }
        if random.index(4) == 0 {
            mutate(random, &mut bytes);
        }
        world.datagram(phone.socket(), phone.media, &bytes);
        if round % 5 == 0 {
            world.pass(ms(random.index(30) as u64));
        }
        world.log.sent.clear();
        world.log.recorded.clear();
    }
    for phone in phones.iter_mut() {
        phone.ssrc += 1;
    }
    world.pass(ms(2000));
    world.log.sent.clear();
}

#[test]
fn fuzz_broken_datagrams_between_codecs() {
    let mut world = World::new();
    let mut phones = [
        Phone::new(1, 0.0).speaking(Codec::G722, 1900.0),
        // Its audio is searched for keys.
        Phone::new(2, 700.0).without_events(),
    ];
    phones.iter().for_each(|phone| world.open(phone));
    world.bridge(1, 2);
    world.record(1, 1);
    attack(&mut world, &mut phones, &mut Random(2));
    let [wide, narrow] = &mut phones;
    world.talk(&mut [wide, narrow], ms(2000));
    assert!(phones[0].hears(700.0) && phones[1].hears(1900.0));
}

#[test]
fn fuzz_broken_datagrams_in_a_mix() {
    let mut world = World::new();
    let mut phones = [
        Phone::new(1, 0.0).speaking(Codec::G722, 1900.0),
        Phone::new(2, 700.0).alaw(),
        Phone::new(3, 0.0),
    ];
    for phone in &phones {
        world.open(phone);
        world.join(phone.endpoint, 1, (true, true));
    }
    attack(&mut world, &mut phones, &mut Random(3));
    let [wide, narrow, _] = &mut phones;
    world.talk(&mut [wide, narrow], ms(2000));
    assert!(phones[0].hears(700.0) && phones[1].hears(1900.0));
}

#[test]
fn fuzz_broken_datagrams_are_counted() {
    let rounds = rounds();
    let mut random = Random(1);
    let mut world = World::new();
    // A's audio is searched for keys, which become events for b.
    let (mut a, mut b) = (
        Phone::new(1, 440.0).without_events(),
        Phone::new(2, 1000.0).alaw(),
    );
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.control(Control::ListenDigits {
        endpoint: EndpointId(1),
        on: true,
    });
    world.record(1, 1);
    world.play(2, 1, &[tone(700.0, 50)], Some(10));
    let mut rtcp = [0; 128];
    let mut writer = CompoundWriter::new(&mut rtcp);
    writer.receiver_report(a.ssrc, &[]).unwrap();
    writer.cname(a.ssrc, "somebody").unwrap();
    let len = writer.finish();
    let rtcp = rtcp[..len].to_vec();
    for round in 0..rounds {
        let mut bytes = if round % 3 == 0 {
            rtcp.clone()
        } else {
            a.packet()
        };
        mutate(&mut random, &mut bytes);
        world.datagram(media_proto::SocketId(2 + random.index(2)), a.media, &bytes);
        if round % 50 == 0 {
            a.talk(&mut world);
            world.pass(ms(20));
        }
        world.log.sent.clear();
    }
    a.ssrc += 1;
    world.talk(&mut [&mut a, &mut b], ms(1000));
    assert!(a.hears(1000.0) && b.hears(440.0), "the call has survived");
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let Report::Closed { stats } = world.last_report(1) else {
        panic!("not closed")
    };
    assert!(
        stats.malformed > 1000 && stats.unexpected > 100,
        "{stats:?}"
    );
    assert_eq!(stats.wrong_source, 0);
    let counted = stats.malformed + stats.unexpected + stats.packets_in;
    assert!(counted <= rounds as u64 * 2, "{stats:?}");
}
