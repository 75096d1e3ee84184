//! The voice of one call: a [`Mouth`] that says a tone, an [`Ear`] that keeps and measures what it
//! hears. G.711 in packets of 20 ms.
//!
//! Invariant: **what an ear keeps lies on the far side's clock**: a lost packet is 20 ms of silence,
//! a late or repeated one is left out. So a share of frames is a share of time.

use audio::g711;
use audio::measure::{hears, tone_dbfs};
use audio::tone::Tone;
use rtp_proto::{HEADER_LEN, Header, Packet};
use sdp_proto::Codec;

/// Samples of 20 ms.
pub const FRAME: usize = 160;
/// Octets of one packet.
pub const PACKET_LEN: usize = HEADER_LEN + FRAME;
/// Samples over which a level is measured: 200 ms, so tones at multiples of 5 Hz do not disturb
/// each other.
const STRETCH: usize = 1600;
/// What an ear keeps at most: five minutes.
const MAX_SAMPLES: usize = 5 * 60 * 8000;

/// Says a tone.
pub struct Mouth {
    tone: Tone,
    codec: Codec,
    next: Header,
    sent: u64,
}

impl Mouth {
    /// A mouth that says `hz` at `level_dbm0` in the stream `ssrc`.
    #[must_use]
    pub fn new(hz: f64, level_dbm0: f64, codec: Codec, payload_type: u8, ssrc: u32) -> Self {
        let next = Header {
            marker: true,
            payload_type,
            sequence: ssrc as u16,
            timestamp: ssrc,
            ssrc,
        };
        Self {
            tone: Tone::new(hz, level_dbm0),
            codec,
            next,
            sent: 0,
        }
    }

    /// The packet of the next 20 ms.
    pub fn packet(&mut self) -> [u8; PACKET_LEN] {
        let mut samples = [0; FRAME];
        self.tone.fill(&mut samples);
        let mut payload = [0; FRAME];
        match self.codec {
            Codec::Pcmu => g711::ulaw_encode_slice(&samples, &mut payload),
            Codec::Pcma => g711::alaw_encode_slice(&samples, &mut payload),
        };
        let mut packet = [0; PACKET_LEN];
        let (header, body) = packet.split_at_mut(HEADER_LEN);
        if self.next.write(header).is_ok() {
            body.copy_from_slice(&payload);
        }
        self.next.marker = false;
        self.next.sequence = self.next.sequence.wrapping_add(1);
        self.next.timestamp = self.next.timestamp.wrapping_add(FRAME as u32);
        self.sent += 1;
        packet
    }

    /// What it speaks.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Packets made.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

/// What an ear heard since its mark.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// Frames of 20 ms.
    pub frames: usize,
    /// Share of them in which the other's tone prevails, 0 to 1.
    pub share: f64,
    /// Level of the other's tone in dBFS, median of stretches of 200 ms.
    pub peer_dbfs: f64,
    /// Level of the own tone (echo) in dBFS, the loudest of stretches of 200 ms.
    pub own_dbfs: f64,
}

/// Keeps and measures what is heard.
#[derive(Default)]
pub struct Ear {
    samples: Vec<i16>,
    mark: usize,
    packets: u64,
    stream: Option<Stream>,
}

struct Stream {
    ssrc: u32,
    /// Timestamp of the next sample in order.
    expected: u32,
}

impl Ear {
    /// An ear that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a datagram; anything but G.711 in RTP is passed over.
    pub fn hear(&mut self, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else {
            return;
        };
        let header = packet.header();
        let decode = match header.payload_type {
            0 => g711::ulaw_decode,
            8 => g711::alaw_decode,
            _ => return,
        };
        self.packets += 1;
        if self.place(&header, packet.payload().len()) {
            let room = MAX_SAMPLES.saturating_sub(self.samples.len());
            let heard = packet.payload().iter().map(|code| decode(*code));
            self.samples.extend(heard.take(room));
        }
    }

    /// Fills the gap before a packet; `false` if its time is over.
    fn place(&mut self, header: &Header, len: usize) -> bool {
        let end = header.timestamp.wrapping_add(len as u32);
        let stream = self.stream.get_or_insert(Stream {
            ssrc: header.ssrc,
            expected: header.timestamp,
        });
        let gap = header.timestamp.wrapping_sub(stream.expected) as i32;
        // A new stream, or a clock that jumps by more than a minute, starts anew.
        let follows = stream.ssrc == header.ssrc && gap.unsigned_abs() < 60 * 8000;
        if follows && gap < 0 {
            return false;
        }
        if follows {
            let silence = self.samples.len() + gap as usize;
            self.samples.resize(silence.min(MAX_SAMPLES), 0);
        }
        stream.ssrc = header.ssrc;
        stream.expected = end;
        true
    }

    /// Measures from here on.
    pub fn mark(&mut self) {
        self.mark = self.samples.len();
    }

    /// Packets of sound taken.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Everything kept: 8 kHz mono.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// How much of two tones there is since the mark.
    #[must_use]
    pub fn measure(&self, peer_hz: f64, own_hz: f64) -> Measured {
        let samples = self.samples.get(self.mark..).unwrap_or_default();
        let frames = samples.len() / FRAME;
        let with_peer = samples
            .chunks_exact(FRAME)
            .filter(|frame| hears(frame, peer_hz))
            .count();
        let levels = |hz| {
            let stretches = samples.chunks_exact(STRETCH);
            let mut levels: Vec<f64> = stretches.map(|s| tone_dbfs(s, hz)).collect();
            levels.sort_by(f64::total_cmp);
            levels
        };
        let peer = levels(peer_hz);
        Measured {
            frames,
            share: with_peer as f64 / frames.max(1) as f64,
            peer_dbfs: peer
                .get(peer.len() / 2)
                .copied()
                .unwrap_or(f64::NEG_INFINITY),
            own_dbfs: levels(own_hz).last().copied().unwrap_or(f64::NEG_INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: f64 = 700.0;
    const OWN: f64 = 1100.0;

    /// Lets an ear hear 100 packets of the peer's tone, changed by `change` (index, packets left).
    fn hear(codec: Codec, change: impl Fn(usize, Vec<u8>) -> Vec<Vec<u8>>) -> Ear {
        let mut mouth = Mouth::new(PEER, -10.0, codec, codec.static_payload_type(), 77);
        let mut ear = Ear::new();
        for index in 0..100 {
            for packet in change(index, mouth.packet().to_vec()) {
                ear.hear(&packet);
            }
        }
        ear
    }

    #[test]
    fn a_share_of_frames_is_a_share_of_time() {
        type Change = fn(usize, Vec<u8>) -> Vec<Vec<u8>>;
        let table: &[(&str, Change, f64, u64)] = &[
            ("whole", |_, p| vec![p], 1.0, 100),
            ("each one twice", |_, p| vec![p.clone(), p], 1.0, 200),
            (
                "first half lost",
                |i, p| if i < 50 { vec![] } else { vec![p] },
                1.0,
                50,
            ),
            (
                "middle lost",
                |i, p| {
                    if (40..60).contains(&i) {
                        vec![]
                    } else {
                        vec![p]
                    }
                },
                0.8,
                80,
            ),
            ("with noise", |_, p| vec![b"not RTP".to_vec(), p], 1.0, 100),
        ];
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for (name, change, share, packets) in table {
                let ear = hear(codec, change);
                let measured = ear.measure(PEER, OWN);
                assert!(
                    (measured.share - share).abs() < 0.001,
                    "{name}: {measured:?}"
                );
                assert_eq!(ear.packets(), *packets, "{name}");
                assert!(
                    (measured.peer_dbfs + 16.2).abs() < 0.2,
                    "{name}: {measured:?}"
                );
                assert!(measured.own_dbfs < -55.0, "{name}: {measured:?}");
            }
        }
    }

    #[test]
    fn an_echo_is_seen_and_the_mark_forgets_it() {
        let mut ear = hear(Codec::Pcmu, |_, packet| vec![packet]);
        assert_eq!(ear.measure(OWN, PEER).share, 0.0);
        assert!((ear.measure(OWN, PEER).own_dbfs + 16.2).abs() < 0.2);
        ear.mark();
        assert_eq!(ear.measure(PEER, OWN).frames, 0);
        assert_eq!(ear.measure(PEER, OWN).own_dbfs, f64::NEG_INFINITY);
    }
}
