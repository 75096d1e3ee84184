//! The voice of one call: a [`Mouth`] that sends a tone and an [`Ear`] that stores and measures
//! what it hears, in packets of 20 ms and any codec of the table.
//!
//! Invariant: **what an ear stores follows the remote party's clock**: a lost packet is 20 ms of
//! silence, and a late or repeated one is ignored, so a share of frames is a share of time.

use audio::codec::{Decoder, Encoder};
use audio::measure::{hears_at, tone_dbfs_at};
use audio::tone::Tone;
use rtp_proto::{HEADER_LEN, Header, Packet};
use sdp_proto::Codec;

/// Length of a frame in ms.
const FRAME_MS: u32 = 20;
/// Octets of the payload of a frame: all codecs of the table have 64 kbit/s.
const PAYLOAD_LEN: usize = 160;
/// Octets of one packet.
pub const PACKET_LEN: usize = HEADER_LEN + PAYLOAD_LEN;
/// Frames over which a level is measured: 200 ms, so tones at multiples of 5 Hz do not disturb
/// each other.
const STRETCH: usize = 10;
/// Maximum length that an ear stores, in seconds.
const MAX_SECONDS: usize = 5 * 60;
/// Samples of the longest payload accepted.
const MAX_PAYLOAD: usize = 2048;

/// Sends a tone.
pub struct Mouth {
    tone: Tone,
    codec: Codec,
    encoder: Encoder,
    next: Header,
    sent: u64,
}

impl Mouth {
    /// A mouth that sends `hz` at `level_dbm0` in the stream `ssrc`.
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
            tone: Tone::at_rate(hz, level_dbm0, codec.sample_rate()),
            codec,
            encoder: codec.encoder(),
            next,
            sent: 0,
        }
    }

    /// The packet of the next 20 ms.
    pub fn packet(&mut self) -> [u8; PACKET_LEN] {
        let mut samples = [0; MAX_PAYLOAD];
        let samples = &mut samples[..self.codec.frame_samples(FRAME_MS)];
        self.tone.fill(samples);
        let mut packet = [0; PACKET_LEN];
        let (header, body) = packet.split_at_mut(HEADER_LEN);
        if self.next.write(header).is_ok() {
            self.encoder.encode(samples, body);
        }
        self.next.marker = false;
        self.next.sequence = self.next.sequence.wrapping_add(1);
        self.next.timestamp = self
            .next
            .timestamp
            .wrapping_add(self.codec.ticks(samples.len()));
        self.sent += 1;
        packet
    }

    /// Its codec.
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

/// What an ear has heard since its mark.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measured {
    /// Number of 20 ms frames.
    pub frames: usize,
    /// Share of frames in which the remote party's tone prevails, 0 to 1.
    pub share: f64,
    /// Level of the remote party's tone in dBFS, median over stretches of 200 ms.
    pub peer_dbfs: f64,
    /// Level of its own tone (echo) in dBFS, maximum over stretches of 200 ms.
    pub own_dbfs: f64,
}

/// Stores and measures what is heard.
#[derive(Default)]
pub struct Ear {
    /// At the sample rate of the codec.
    samples: Vec<i16>,
    decoder: Option<(Codec, Decoder)>,
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

    /// Processes a datagram; ignores anything but audio in RTP with a static payload type. A codec
    /// with another sample rate discards what was heard before.
    pub fn hear(&mut self, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else {
            return;
        };
        let header = packet.header();
        let Some(codec) = Codec::of_static_payload_type(header.payload_type) else {
            return;
        };
        self.packets += 1;
        if self
            .decoder
            .as_ref()
            .is_none_or(|(current, _)| *current != codec)
        {
            if self.rate() != codec.sample_rate() {
                self.samples.clear();
                self.mark = 0;
            }
            self.decoder = Some((codec, codec.decoder()));
        }
        let mut heard = [0; MAX_PAYLOAD];
        let decoder = self.decoder.as_mut();
        let len = decoder.map_or(0, |(_, decoder)| {
            decoder.decode(packet.payload(), &mut heard)
        });
        if self.place(&header, codec, len) {
            let room = self.max_samples().saturating_sub(self.samples.len());
            self.samples.extend_from_slice(&heard[..len.min(room)]);
        }
    }

    fn max_samples(&self) -> usize {
        MAX_SECONDS * self.rate() as usize
    }

    /// Fills the gap before a packet; `false` if it is too late.
    fn place(&mut self, header: &Header, codec: Codec, len: usize) -> bool {
        let end = header.timestamp.wrapping_add(codec.ticks(len));
        let max = self.max_samples();
        let stream = self.stream.get_or_insert(Stream {
            ssrc: header.ssrc,
            expected: header.timestamp,
        });
        let gap = header.timestamp.wrapping_sub(stream.expected) as i32;
        // A new stream, or a clock that jumps by more than a minute, starts over.
        let follows = stream.ssrc == header.ssrc && gap.unsigned_abs() < 60 * codec.clock_rate();
        if follows && gap < 0 {
            return false;
        }
        if follows {
            let silence = self.samples.len() + gap as usize * codec.samples_per_tick() as usize;
            self.samples.resize(silence.min(max), 0);
        }
        stream.ssrc = header.ssrc;
        stream.expected = end;
        true
    }

    /// Starts a new measurement here.
    pub fn mark(&mut self) {
        self.mark = self.samples.len();
    }

    /// Number of audio packets accepted.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Sample rate of what is stored, in Hz.
    #[must_use]
    pub fn rate(&self) -> u32 {
        let codec = self.decoder.as_ref();
        codec.map_or(audio::RATE, |(codec, _)| codec.sample_rate())
    }

    /// Everything stored: mono, at [`Self::rate`].
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The levels of two tones since the mark.
    #[must_use]
    pub fn measure(&self, peer_hz: f64, own_hz: f64) -> Measured {
        let samples = self.samples.get(self.mark..).unwrap_or_default();
        let rate = self.rate();
        let frame = (rate / 1000 * FRAME_MS) as usize;
        let frames = samples.len() / frame;
        let with_peer = samples
            .chunks_exact(frame)
            .filter(|frame| hears_at(frame, peer_hz, rate))
            .count();
        let levels = |hz| {
            let stretches = samples.chunks_exact(STRETCH * frame);
            let mut levels: Vec<f64> = stretches.map(|s| tone_dbfs_at(s, hz, rate)).collect();
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

    /// Feeds an ear 100 packets of the peer's tone, modified by `change` (index, packets left).
    fn hear(codec: Codec, change: impl Fn(usize, Vec<u8>) -> Vec<Vec<u8>>) -> Ear {
        let mut mouth = Mouth::new(PEER, -10.0, codec, codec.static_payload_type().unwrap(), 77);
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
        for codec in Codec::all() {
            for (name, change, share, packets) in table {
                let ear = hear(codec, change);
                let measured = ear.measure(PEER, OWN);
                assert!(
                    (measured.share - share).abs() < 0.021,
                    "{name}: {measured:?}"
                );
                assert_eq!(ear.packets(), *packets, "{name}");
                assert!(
                    (measured.peer_dbfs + 16.2).abs() < 0.3,
                    "{name}: {measured:?}"
                );
                assert!(measured.own_dbfs < -45.0, "{name}: {measured:?}");
            }
        }
    }

    #[test]
    fn an_echo_is_seen_and_the_mark_forgets_it() {
        let mut ear = hear(Codec::PCMU, |_, packet| vec![packet]);
        assert_eq!(ear.measure(OWN, PEER).share, 0.0);
        assert!((ear.measure(OWN, PEER).own_dbfs + 16.2).abs() < 0.2);
        ear.mark();
        assert_eq!(ear.measure(PEER, OWN).frames, 0);
        assert_eq!(ear.measure(PEER, OWN).own_dbfs, f64::NEG_INFINITY);
    }
}
