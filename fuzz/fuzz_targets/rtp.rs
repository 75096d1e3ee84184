//! Any datagram as RTP, through the statistics, the key receiver, and the decoder and jitter buffer of each
//! codec.

#![no_main]

use audio::Codec;
use libfuzzer_sys::fuzz_target;
use rtp_proto::dtmf::DtmfReceiver;
use rtp_proto::jitter::{Delay, JitterBuffer, sample_header};
use rtp_proto::stats::ReceiverStats;
use rtp_proto::{Packet, classify};
use std::time::{Duration, Instant};

fuzz_target!(|datagrams: Vec<Vec<u8>>| {
    let start = Instant::now();
    let delay = Delay::Adaptive {
        min: Duration::from_millis(20),
        max: Duration::from_millis(200),
    };
    let paths = Codec::all().map(|codec| {
        let buffer = JitterBuffer::new(delay, codec.sample_rate());
        (codec, codec.decoder(), buffer)
    });
    let mut paths: Vec<_> = paths.collect();
    let mut keys = DtmfReceiver::new();
    let (mut stats, mut samples, mut frame) = (ReceiverStats::new(8000), [0; 4096], [0; 320]);
    for (index, datagram) in datagrams.iter().enumerate() {
        classify(datagram);
        let now = start + Duration::from_millis(index as u64 * 10);
        let Ok(packet) = Packet::parse(datagram) else {
            continue;
        };
        let header = packet.header();
        stats.handle_packet(&header, now);
        assert!(stats.report(now).is_some());
        keys.handle_packet(&header, packet.payload(), now);
        for (codec, decoder, buffer) in &mut paths {
            let len = decoder.decode(packet.payload(), &mut samples);
            assert!(len <= codec.samples(packet.payload().len()));
            let header = sample_header(&header, codec.samples_per_tick());
            buffer.push(&header, &samples[..len], now);
            buffer.pull(&mut frame[..codec.frame_samples(20)], now);
            assert!(buffer.delay() <= Duration::from_millis(200));
        }
    }
});
