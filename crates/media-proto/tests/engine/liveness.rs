//! Silence is noticed, RTCP is exchanged, and neither disturbs the other.

use crate::common::{Phone, World, address, ms};
use media_proto::{Control, EndpointId, Report, SocketId};
use rtp_proto::rtcp::{Compound, CompoundWriter, NtpTime, ReportBlock, RtcpPacket, SenderInfo};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn silences(world: &World) -> Vec<u64> {
    let silences = world
        .log
        .reports
        .iter()
        .filter(|(_, _, r)| *r == Report::Silence);
    silences
        .map(|(at, ..)| (*at - world.started).as_secs())
        .collect()
}

#[test]
fn silence_is_reported_once_per_pause() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.pass(61 * SECOND);
    assert_eq!(silences(&world), [60], "nothing came at all");
    world.talk(&mut [&mut a], SECOND);
    world.pass(90 * SECOND);
    assert_eq!(silences(&world), [60, 121]);
    let heard = world
        .reports(1)
        .into_iter()
        .filter(|report| *report == Report::Heard);
    assert_eq!(heard.count(), 1);
    // A packet every 50 s is enough.
    for _ in 0..5 {
        world.talk(&mut [&mut a], ms(20));
        world.pass(50 * SECOND);
    }
    assert_eq!(silences(&world), [60, 121]);
}

#[test]
fn hold_and_rtcp_do_not_count_as_silence() {
    for (hold, rtcp, expected) in [(true, false, 0), (false, true, 0), (false, false, 1)] {
        let mut world = World::new();
        let mut a = Phone::new(1, 440.0);
        world.open(&a);
        world.talk(&mut [&mut a], SECOND);
        if hold {
            world.renegotiate(&a, a.sdp("sendonly"));
        }
        for _ in 0..10 {
            world.pass(10 * SECOND);
            if rtcp {
                let from = address("192.0.2.1:4003");
                world.datagram(SocketId(3), from, &receiver_report(&a, 0, 0));
            }
        }
        assert_eq!(silences(&world).len(), expected, "hold {hold}, RTCP {rtcp}");
        if hold {
            // After hold the time starts again.
            world.renegotiate(&a, a.sdp("sendrecv"));
            world.pass(59 * SECOND);
            assert_eq!(silences(&world), []);
            world.pass(2 * SECOND);
            assert_eq!(silences(&world).len(), 1);
        }
    }
}

fn receiver_report(phone: &Phone, about: u32, last_sr: u32) -> Vec<u8> {
    let block = ReportBlock {
        ssrc: about,
        last_sr,
        ..ReportBlock::default()
    };
    let mut bytes = [0; 128];
    let mut writer = CompoundWriter::new(&mut bytes);
    writer.receiver_report(phone.ssrc, &[block]).expect("room");
    writer.bye(phone.ssrc, "").expect("room");
    let len = writer.finish();
    bytes[..len].to_vec()
}

#[test]
fn reports_go_to_the_right_port_and_say_the_truth() {
    for (mux, to) in [
        (false, address("192.0.2.1:4003")),
        (true, address("192.0.2.1:4002")),
    ] {
        let mut world = World::new();
        let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
        let offer = a.sdp("sendrecv") + if mux { "a=rtcp-mux\r\n" } else { "" };
        world.open_with(&a, Some(offer));
        world.open(&b);
        world.bridge(1, 2);
        for round in 0..1500 {
            let packet = a.packet();
            // One in ten is lost.
            if round % 10 != 5 {
                world.datagram(a.socket(), a.media, &packet);
            }
            b.talk(&mut world);
            world.pass(ms(20));
        }
        let socket = if mux { SocketId(2) } else { SocketId(3) };
        let reports: Vec<_> = world
            .log
            .sent
            .iter()
            .filter(|sent| rtp_proto::classify(&sent.bytes) == rtp_proto::Kind::Rtcp)
            .filter(|sent| sent.socket == socket && sent.to == to)
            .collect();
        assert!(
            (4..=9).contains(&reports.len()),
            "{} in 30 s",
            reports.len()
        );
        let compound = Compound::parse(&reports.last().unwrap().bytes).unwrap();
        let packets: Vec<_> = compound.packets().collect();
        let RtcpPacket::SenderReport { info, reports, .. } = packets[0] else {
            panic!("no SR")
        };
        assert!(info.packets > 1000 && info.octets == info.packets * 160);
        let block = reports.iter().next().unwrap();
        assert_eq!(block.ssrc, a.ssrc);
        assert!(
            (20..32).contains(&block.fraction_lost),
            "{}",
            block.fraction_lost
        );
        assert!(matches!(packets[1], RtcpPacket::SourceDescription(_)));
    }
}

#[test]
fn bye_is_ignored_and_the_round_trip_is_known() {
    let mut world = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    world.open(&a);
    world.open(&b);
    world.bridge(1, 2);
    world.talk(&mut [&mut a, &mut b], 10 * SECOND);
    let sent = world
        .log
        .sent
        .iter()
        .rfind(|sent| sent.socket == SocketId(3))
        .unwrap()
        .clone();
    let first = Compound::parse(&sent.bytes)
        .unwrap()
        .packets()
        .next()
        .unwrap();
    let RtcpPacket::SenderReport { ssrc, info, .. } = first else {
        panic!("no SR")
    };
    // The remote party answers at once, but its report is under way for 250 ms.
    let since = world.now() - sent.at;
    world.pass(ms(250));
    let elapsed = ((since.as_micros() << 16) / 1_000_000) as u32;
    let report = receiver_report(&a, ssrc, info.ntp.middle().wrapping_add(elapsed));
    world.datagram(SocketId(3), address("192.0.2.1:9999"), &report);
    world.datagram(SocketId(3), address("192.0.2.66:9999"), &report);
    world.talk(&mut [&mut a, &mut b], SECOND);
    assert!(a.hears(1000.0) && b.hears(440.0));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let Report::Closed { stats } = world.last_report(1) else {
        panic!("not closed")
    };
    assert!(
        stats.round_trip.unwrap().abs_diff(ms(250)) < ms(1),
        "{:?}",
        stats.round_trip
    );
    assert_eq!(stats.wrong_source, 1);
}

#[test]
fn a_receiver_report_refers_to_the_last_sender_report() {
    let mut world = World::new();
    let mut a = Phone::new(1, 440.0);
    world.open(&a);
    world.talk(&mut [&mut a], SECOND);
    let mut bytes = [0; 128];
    let mut writer = CompoundWriter::new(&mut bytes);
    let info = SenderInfo {
        ntp: NtpTime(0x0001_2345_6789_0000),
        ..SenderInfo::default()
    };
    writer.sender_report(a.ssrc, &info, &[]).unwrap();
    let len = writer.finish();
    world.datagram(SocketId(3), address("192.0.2.1:4003"), &bytes[..len]);
    world.log.sent.clear();
    world.talk(&mut [&mut a], 9 * SECOND);
    let sent = world
        .log
        .sent
        .iter()
        .find(|sent| sent.socket == SocketId(3))
        .unwrap();
    let first = Compound::parse(&sent.bytes)
        .unwrap()
        .packets()
        .next()
        .unwrap();
    let RtcpPacket::ReceiverReport { reports, .. } = first else {
        panic!("we sent nothing")
    };
    assert_eq!(reports.iter().next().unwrap().last_sr, 0x2345_6789);
}
