//! Broken packets: 200 000 deterministic mutations of real ones must be read or refused, quickly
//! and without a panic.

use rtp_proto::dtmf::DtmfReceiver;
use rtp_proto::jitter::{Delay, JitterBuffer};
use rtp_proto::rtcp::{Compound, CompoundWriter, ReportBlock, RtcpError, RtcpPacket, SenderInfo};
use rtp_proto::stats::ReceiverStats;
use rtp_proto::{Header, Kind, Packet, RtpError, classify};
use std::time::{Duration, Instant};
use testkit::random::Random;

const ROUNDS: u32 = 200_000;
const TIME_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn rtp_packets() {
    let seeds = rtp_seeds().unwrap();
    let start = now();
    let mut random = Random(0x5EED);
    let mut stats = ReceiverStats::new(8000);
    let mut keys = DtmfReceiver::new();
    let delay = Delay::Adaptive {
        min: Duration::from_millis(20),
        max: Duration::from_millis(200),
    };
    let mut buffer = JitterBuffer::new(delay, 8000);
    let (mut accepted, mut frame) = (0, [0; 160]);
    for round in 0..ROUNDS {
        let mut bytes = mutate(&mut random, &seeds);
        let at = start + Duration::from_micros(u64::from(round) * 500);
        classify(&bytes);
        let Ok(packet) = Packet::parse(&bytes) else {
            continue;
        };
        accepted += 1;
        let header = packet.header();
        let parts = packet.payload().len() + packet.extension().map_or(0, |(_, e)| e.len());
        assert!(parts + 4 * packet.csrcs().count() + 12 <= bytes.len());
        stats.handle_packet(&header, at);
        assert!(stats.report(at).is_some());
        keys.handle_packet(&header, packet.payload(), at);
        let samples: Vec<i16> = packet.payload().iter().map(|b| i16::from(*b)).collect();
        buffer.push(&header, &samples, at);
        buffer.pull(&mut frame, at);
        assert!(buffer.delay() <= Duration::from_millis(200));
        Header {
            sequence: 7,
            ..header
        }
        .rewrite(&mut bytes)
        .unwrap();
        assert_eq!(Packet::parse(&bytes).unwrap().header().sequence, 7);
    }
    assert!(
        accepted > ROUNDS / 10,
        "{accepted}: the mutations are too wild to test much"
    );
    assert!(start.elapsed() < TIME_LIMIT);
}

#[test]
fn rtcp_packets() {
    let seeds = rtcp_seeds().unwrap();
    let start = now();
    let mut random = Random(0xBAD);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let bytes = mutate(&mut random, &seeds);
        let Ok(compound) = Compound::parse(&bytes) else {
            continue;
        };
        accepted += 1;
        for packet in compound.packets() {
            match packet {
                RtcpPacket::SenderReport { reports, .. }
                | RtcpPacket::ReceiverReport { reports, .. } => {
                    assert!(reports.iter().count() < 32)
                }
                RtcpPacket::SourceDescription(sdes) => assert!(sdes.cnames().count() < 32),
                RtcpPacket::Goodbye(bye) => {
                    assert!(bye.sources().count() < 32 && bye.reason().len() < 256);
                }
                RtcpPacket::Other { packet_type } => assert!(!(200..=203).contains(&packet_type)),
            }
        }
    }
    assert!(
        accepted > ROUNDS / 10,
        "{accepted}: the mutations are too wild to test much"
    );
    assert!(start.elapsed() < TIME_LIMIT);
}

fn rtp_seeds() -> Result<Vec<Vec<u8>>, RtpError> {
    let mut plain = vec![0; 172];
    let header = Header {
        payload_type: 0,
        sequence: 65_530,
        timestamp: 160,
        ..Header::default()
    };
    header.write_packet(&[0x55; 160], &mut plain)?;
    let event = [
        &[0x80, 0xE5, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &[5, 0x8A, 3, 0x20],
    ]
    .concat();
    let mut full = vec![0xB2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    full.extend_from_slice(&[
        0, 0, 0, 4, 0, 0, 0, 5, 0x10, 0x00, 0, 1, 6, 7, 8, 9, 42, 43, 0, 2,
    ]);
    assert!(
        [&plain, &event, &full]
            .iter()
            .all(|seed| classify(seed) == Kind::Rtp)
    );
    Ok(vec![plain, event, full])
}

fn rtcp_seeds() -> Result<Vec<Vec<u8>>, RtcpError> {
    let mut report = vec![0; 200];
    let mut writer = CompoundWriter::new(&mut report);
    let block = ReportBlock {
        ssrc: 9,
        cumulative_lost: -1,
        ..ReportBlock::default()
    };
    writer.sender_report(1, &SenderInfo::default(), &[block, block])?;
    writer.cname(1, "leg@192.0.2.1")?;
    let len = writer.finish();
    report.truncate(len);
    let mut bye = vec![0; 64];
    let mut writer = CompoundWriter::new(&mut bye);
    writer.receiver_report(1, &[])?;
    writer.cname(1, "x")?;
    writer.bye(1, "done")?;
    let len = writer.finish();
    bye.truncate(len);
    Ok(vec![report, bye])
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures how long the test itself takes"
)]
fn now() -> Instant {
    Instant::now()
}

/// A seed with one to four flips, cuts, insertions or repeats.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.index(seeds.len())].clone();
    for _ in 0..=random.index(4) {
        let at = random.index(bytes.len());
        match random.index(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.index(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][random.index(5)],
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}
