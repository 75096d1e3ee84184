//! Measures the cost of searching an endpoint's audio for keys, compared with plain forwarding.
//!
//! `listen_cost [PACKETS]` hands the engine packets of two bridged endpoints, without sockets,
//! first without and then with key detection on both, and prints the time of each and the ratio.
//! The sockets, which cost more than either, are left out: `bridge_load` measures them.
//! **Invariant: both runs handle the same packets.**

#![allow(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use media_proto::{
    Control, Datagram, EndpointId, Engine, EngineConfig, Local, Opening, RecordingEnd, RecordingId,
    Report, Sink, SocketId,
};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn main() {
    let asked = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let packets: u32 = asked.unwrap_or(400_000);
    // The first run warms up.
    run(false, packets / 10);
    let (plain, listening) = (run(false, packets), run(true, packets));
    println!("forwarded: {plain:.0} ns per packet");
    println!("forwarded and listened to: {listening:.0} ns per packet");
    println!(
        "listening takes {:.1} times the CPU of plain forwarding, {:.4} % of a core per endpoint",
        listening / plain,
        (listening - plain) * 50.0 / 1e7
    );
}

/// Forwards packets and returns how long each takes, in ns.
fn run(listen: bool, packets: u32) -> f64 {
    let started = Instant::now();
    let mut engine = Engine::new(EngineConfig {
        started,
        unix_time: Duration::ZERO,
        seed: 1,
        silence_timeout: Duration::from_secs(60),
        max_endpoints: 2,
    });
    let mut sink = Nowhere;
    let far = [1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 4000)));
    for (index, far) in far.iter().enumerate() {
        let endpoint = EndpointId(index as u64);
        let (ip, port) = (far.ip(), far.port());
        let opening = Opening {
            endpoint,
            local: Local {
                rtp: SocketId(2 * index),
                rtcp: SocketId(2 * index + 1),
                address: SocketAddr::from(([198, 51, 100, 1], 5000)),
            },
            offer: Some(format!(
                "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
            )),
            signalling: None,
            proved: true,
            like: None,
        };
        engine.open(opening, started, &mut sink);
        let on = Control::ListenDigits {
            endpoint,
            on: listen,
        };
        engine.handle_control(on, started, &mut sink);
    }
    let (a, b) = (EndpointId(0), EndpointId(1));
    engine.handle_control(Control::Bridge { a, b }, started, &mut sink);
    let mut payload = [0; 160];
    let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7) as u8;
    payload
        .iter_mut()
        .enumerate()
        .for_each(|(at, octet)| *octet = noise(at));
    let began = Instant::now();
    for count in 0..packets {
        let index = (count % 2) as usize;
        let mut bytes = [0; 12 + 160];
        bytes[0] = 0x80;
        bytes[2..4].copy_from_slice(&((count / 2) as u16).to_be_bytes());
        bytes[4..8].copy_from_slice(&(count / 2 * 160).to_be_bytes());
        bytes[11] = index as u8;
        bytes[12..].copy_from_slice(&payload);
        let now = started + Duration::from_millis(10) * count;
        let len = bytes.len();
        let datagram = Datagram::new(&mut bytes, len);
        engine.handle_datagram(SocketId(2 * index), far[index], datagram, now, &mut sink);
    }
    began.elapsed().as_nanos() as f64 / f64::from(packets.max(1))
}

struct Nowhere;

impl Sink for Nowhere {
    fn send(&mut self, _: SocketId, _: SocketAddr, bytes: &[u8]) {
        black_box(bytes);
    }
    fn report(&mut self, _: EndpointId, _: Report) {}
    fn record(&mut self, _: RecordingId, _: &[i16]) {}
    fn end_recording(&mut self, _: RecordingId, _: RecordingEnd) {}
    fn close(&mut self, _: SocketId) {}
}
