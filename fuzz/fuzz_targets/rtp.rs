//! Any datagram as RTP, through the statistics, the key receiver and the jitter buffer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp_proto::dtmf::DtmfReceiver;
use rtp_proto::jitter::{Delay, JitterBuffer};
use rtp_proto::stats::ReceiverStats;
use rtp_proto::{Packet, classify};
use std::time::{Duration, Instant};

fuzz_target!(|datagrams: Vec<Vec<u8>>| {
    let start = Instant::now();
    let delay = Delay::Adaptive {
        min: Duration::from_millis(20),
        max: Duration::from_millis(200),
    };
    let (mut buffer, mut keys) = (JitterBuffer::new(delay, 8000), DtmfReceiver::new());
    let (mut stats, mut frame) = (ReceiverStats::new(8000), [0; 160]);
    for (index, datagram) in datagrams.iter().enumerate() {
        classify(datagram);
        let now = start + Duration::from_millis(index as u64 * 10);
        let Ok(packet) = Packet::parse(datagram) else {
            continue;
        };
        stats.handle_packet(&packet.header(), now);
        assert!(stats.report(now).is_some());
        keys.handle_packet(&packet.header(), packet.payload(), now);
        let samples: Vec<i16> = packet
            .payload()
            .iter()
            .map(|octet| i16::from(*octet))
            .collect();
        buffer.push(&packet.header(), &samples, now);
        buffer.pull(&mut frame, now);
        assert!(buffer.delay() <= Duration::from_millis(200));
    }
});
