//! Nothing is allocated for a packet that is forwarded, converted, recoded, played, mixed, tapped
//! or searched for keys, even if the phone changes its codec with each packet.

#[expect(dead_code, reason = "made for the tests of the engine")]
#[path = "engine/common.rs"]
mod common;

use audio::Codec;
use common::{Phone, World, ms, tone};
use media_proto::{
    Control, Datagram, EndpointId, Part, PlayId, RecordingEnd, RecordingId, Report, Sink, SocketId,
    Terms,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[expect(unsafe_code, reason = "an allocator that counts cannot be had without")]
// SAFETY: all calls are passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts the engine's output.
#[derive(Default)]
struct Counter {
    sent: u64,
}

impl Sink for Counter {
    fn send(&mut self, _: SocketId, _: SocketAddr, _: &[u8]) {
        self.sent += 1;
    }
    fn report(&mut self, _: EndpointId, _: Report) {}
    fn record(&mut self, _: RecordingId, _: &[i16]) {}
    fn end_recording(&mut self, _: RecordingId, _: RecordingEnd) {}
    fn close(&mut self, _: SocketId) {}
}

/// Every other packet of the last phones carries the payload type of G.722 or PCMU instead of its
/// own.
fn change_codec(phone: &Phone, packet: &mut [u8]) {
    if (14..17).contains(&phone.endpoint) && phone.sequence.is_multiple_of(2) {
        packet[1] ^= 9;
    }
}

#[test]
fn steady_state_allocates_nothing() {
    let mut world = World::new();
    let mut phones = [
        Phone::new(1, 440.0),
        Phone::new(2, 1000.0),
        Phone::new(3, 440.0),
        Phone::new(4, 1000.0).alaw(),
        Phone::new(5, 440.0),
        // Its audio is searched, for us and for the bridged leg.
        Phone::new(6, 440.0).without_events(),
        Phone::new(7, 1000.0),
        Phone::new(8, 440.0),
        Phone::new(9, 0.0).speaking(Codec::G722, 5000.0),
        // A conference: three codecs, one member that only hears, and below a coach.
        Phone::new(10, 440.0),
        Phone::new(11, 1000.0).alaw(),
        Phone::new(12, 0.0).speaking(Codec::G722, 1700.0),
        Phone::new(13, 2300.0),
        // Half of their packets are in another codec than agreed; see below.
        Phone::new(14, 440.0).without_events(),
        Phone::new(15, 0.0).speaking(Codec::G722, 5000.0),
        Phone::new(16, 440.0),
        // A live play, to which nothing more is added.
        Phone::new(17, 440.0),
    ];
    for phone in &phones {
        world.open(phone);
    }
    world.bridge(1, 2);
    world.bridge(3, 4);
    world.bridge(6, 7);
    world.bridge(8, 9);
    world.control(Control::ListenDigits {
        endpoint: EndpointId(6),
        on: true,
    });
    for member in 10..=13 {
        world.join(member, 1, (member != 13, true));
    }
    world.record_mix(6, 1, true);
    world.bridge(14, 15);
    world.coach(16, 1, 10);
    world.control(Control::ListenDigits {
        endpoint: EndpointId(14),
        on: true,
    });
    world.record(1, 3);
    let apart = Terms {
        part: Part::Apart,
        ..Terms::default()
    };
    world.record_on(4, 4, apart);
    world.record_on(5, 14, apart);
    world.record(3, 14);
    world.play(5, 1, &[tone(700.0, 100)], None);
    world.hear(2, 5);
    let (endpoint, play) = (EndpointId(17), PlayId(1));
    world.control(Control::PlayLive { endpoint, play });
    for mark in 0..600 {
        let audio = tone(700.0, 20);
        world.control(Control::Feed {
            endpoint,
            play,
            audio,
        });
        world.control(Control::Mark {
            endpoint,
            play,
            mark,
        });
    }
    for overheard in [3, 5, 9, 10] {
        let (recording, endpoint) = (RecordingId(90 + overheard), EndpointId(overheard));
        let (now, log) = (world.log.now, &mut world.log);
        world.engine.overhear(recording, endpoint, now, log);
    }
    for endpoint in [1, 5, 9] {
        let ms = std::time::Duration::from_millis;
        world.control(Control::DetectAnswerer {
            endpoint: EndpointId(endpoint),
            recording: RecordingId(200 + endpoint),
            timing: audio::answerer::Timing {
                speech: ms(2400),
                speech_end: ms(1200),
                silence: ms(5000),
            },
        });
    }
    for _ in 0..50 {
        for phone in &mut phones {
            let mut packet = phone.packet();
            change_codec(phone, &mut packet);
            world.datagram(phone.socket(), phone.media, &packet);
        }
        world.pass(ms(20));
    }

    let mut packets = Vec::new();
    for _ in 0..500 {
        for phone in &mut phones {
            let mut packet = phone.packet();
            change_codec(phone, &mut packet);
            packets.push(packet);
        }
    }
    let mut counter = Counter::default();
    let mut now = world.now();
    let before = ALLOCATIONS.get();
    for (index, packet) in packets.iter_mut().enumerate() {
        let phone = &phones[index % phones.len()];
        let len = packet.len();
        let datagram = Datagram::new(packet, len);
        world
            .engine
            .handle_datagram(phone.socket(), phone.media, datagram, now, &mut counter);
        if index % phones.len() == phones.len() - 1 {
            now += ms(20);
            world.engine.handle_timeout(now, &mut counter);
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // Six forwarded, two recoded, two played and five mixed per round, about one of the phones that
    // change their codec, and some RTCP.
    assert!((8000..8130).contains(&counter.sent), "{}", counter.sent);
}
