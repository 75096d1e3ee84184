//! What a recording client (RFC 7866) sends to a recording server: the `metadata` of a call, and the
//! audio of its tracks as RTP.
//!
//! **Invariant: the packets of a track have consecutive sequence numbers, and the time of each is the
//! position of its samples in the track**, so that a gap is heard as silence of its length. Left to
//! others: the dialog with the server, the session description, and sockets.

mod metadata;

use std::time::Duration;

use audio::codec::{Codec, Encoder};
use rtp_proto::packet::{HEADER_LEN, Header};
use rtp_proto::rtcp::{CompoundWriter, NtpTime};
use rtp_proto::stats::SenderStats;

use crate::FRAME;

pub use metadata::{Party, Recorded};

/// Octets of a packet: each codec that we offer to a recording server has one octet for each sample.
pub const PACKET: usize = HEADER_LEN + FRAME;
/// Octets that a report needs at most.
const REPORT: usize = 128;

/// The RTP stream of one track.
#[derive(Debug)]
pub struct TrackSender {
    header: Header,
    /// The time of the first sample.
    base: u32,
    /// Position of the sample after the last packet.
    next: u64,
    codec: Codec,
    encoder: Encoder,
    stats: SenderStats,
}

impl TrackSender {
    /// A stream that has sent nothing.
    ///
    /// - `random`: for its source, first sequence number and first time, which are not to be guessed
    ///   (RFC 3550 §5.1)
    #[must_use]
    pub fn new((codec, payload_type): (Codec, u8), random: [u8; 10]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = random;
        let header = Header {
            marker: false,
            payload_type,
            sequence: u16::from_be_bytes([e, f]),
            timestamp: 0,
            ssrc: u32::from_be_bytes([a, b, c, d]),
        };
        Self {
            header,
            base: u32::from_be_bytes([g, h, i, j]),
            next: 0,
            codec,
            encoder: codec.encoder(),
            stats: SenderStats::default(),
        }
    }

    /// Uses this codec from now on.
    pub fn set_codec(&mut self, codec: Codec, payload_type: u8) {
        self.header.payload_type = payload_type;
        if self.codec != codec {
            self.codec = codec;
            self.encoder = codec.encoder();
        }
    }

    /// The packet of a frame.
    ///
    /// - `at`: position of its first sample in the track
    pub fn packet(&mut self, at: u64, samples: &[i16; FRAME]) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        // The first packet, and one after a gap (RFC 3551 §4.1).
        self.header.marker = at != self.next || self.stats.packets == 0;
        self.header.timestamp = self.time(at);
        let (head, payload) = packet.split_at_mut(HEADER_LEN);
        let octets = self.encoder.encode(samples, payload);
        // It has the length of a header.
        let _ = self.header.write(head);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.next = at + FRAME as u64;
        self.stats.sent(octets);
        packet
    }

    /// A sender report (RFC 3550 §6.4.1); with `goodbye`, the last one. `None` before the first packet.
    ///
    /// - `since_1970`: wall time at the end of the last frame
    /// - `name`: the CNAME, the same for all tracks of a session
    pub fn report(&self, since_1970: Duration, name: &str, goodbye: bool) -> Option<Vec<u8>> {
        if self.stats.packets == 0 {
            return None;
        }
        let mut report = vec![0; REPORT];
        let mut out = CompoundWriter::new(&mut report);
        let now = NtpTime::from_unix(since_1970);
        let info = self.stats.info(now, self.time(self.next));
        let ssrc = self.header.ssrc;
        out.sender_report(ssrc, &info, &[]).ok()?;
        out.cname(ssrc, name).ok()?;
        if goodbye {
            out.bye(ssrc, "").ok()?;
        }
        let len = out.finish();
        report.truncate(len);
        Some(report)
    }

    /// The RTP time of a position; it wraps.
    fn time(&self, at: u64) -> u32 {
        self.base.wrapping_add(at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_proto::packet::Packet;
    use rtp_proto::rtcp::{Compound, RtcpPacket};

    const RANDOM: [u8; 10] = [1, 2, 3, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE];

    #[test]
    fn packets_are_numbered_and_keep_the_time_of_a_gap() {
        let mut track = TrackSender::new((Codec::PCMA, 97), RANDOM);
        assert_eq!(track.report(Duration::ZERO, "c", false), None);
        let mut seen = Vec::new();
        for at in [0, 160, 480] {
            let packet = track.packet(at, &[8_000; FRAME]);
            let packet = Packet::parse(&packet).unwrap();
            let Header {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
            } = packet.header();
            assert_eq!((payload_type, ssrc), (97, 0x0102_0304));
            assert_eq!(packet.payload(), [audio::g711::alaw_encode(8_000); FRAME]);
            seen.push((marker, sequence, timestamp));
        }
        let expected = [(true, 0xFFFF, 0xFFFF_FFFE), (false, 0, 158), (true, 1, 478)];
        assert_eq!(seen, expected);
        // Another codec, from one packet to the next.
        track.set_codec(Codec::PCMU, 0);
        let packet = track.packet(640, &[8_000; FRAME]);
        let packet = Packet::parse(&packet).unwrap();
        assert_eq!(packet.header().payload_type, 0);
        assert_eq!(packet.payload(), [audio::g711::ulaw_encode(8_000); FRAME]);
    }

    #[test]
    fn reports_count_what_was_sent() {
        let mut track = TrackSender::new((Codec::PCMU, 0), RANDOM);
        track.packet(0, &[0; FRAME]);
        track.packet(160, &[0; FRAME]);
        let now = Duration::from_secs(1_000);
        for goodbye in [false, true] {
            let report = track.report(now, "name", goodbye).unwrap();
            let compound = Compound::parse(&report).unwrap();
            let packets: Vec<_> = compound.packets().collect();
            assert_eq!(packets.len(), 2 + usize::from(goodbye));
            let RtcpPacket::SenderReport { ssrc, info, .. } = &packets[0] else {
                panic!("{packets:?}");
            };
            assert_eq!((*ssrc, info.packets, info.octets), (0x0102_0304, 2, 320));
            assert_eq!(
                (info.ntp, info.rtp_timestamp),
                (NtpTime::from_unix(now), 318)
            );
        }
    }
}
