//! Endpoints of different sessions meet: real sockets on two workers.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "plane/common.rs"]
mod common;

use common::{Call, PATIENCE, Phone, plane, talk};
use media::{Control, EndpointId, EngineControl, MixId, PlayId, RecordingId, Report};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn join(call: &Call, endpoint: u64, (talk, hear): (bool, bool)) {
    call.session.control(EngineControl::Join {
        endpoint: EndpointId(endpoint),
        mix: MixId(5),
        talk,
        hear,
    });
}

fn bridge(call: &Call, a: u64, b: u64) {
    let (a, b) = (EndpointId(a), EndpointId(b));
    call.session.control(EngineControl::Bridge { a, b });
}

/// Keeps a phone talking, a packet every 5 ms, while something is done in between.
fn talk_through(phone: &mut Phone, packets: u32, mut between: impl FnMut(u32)) {
    let mut due = Instant::now();
    for packet in 0..packets {
        phone.talk();
        between(packet);
        due += Duration::from_millis(5);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(Duration::from_millis(50));
    phone.listen();
}

#[test]
fn an_endpoint_moves_without_losing_a_packet() {
    let plane = plane(2);
    // One session after the other: they begin on different workers.
    let (mut one, mut two) = (Call::new(&plane), Call::new(&plane));
    let (mut a, mut b) = (
        Phone::new("127.0.0.1", 440.0),
        Phone::new("127.0.0.1", 1000.0),
    );
    one.open(1, &mut a);
    two.open(2, &mut b);
    b.talk();
    bridge(&one, 1, 1);
    let (audio, mut heard) = tokio::sync::mpsc::channel(1000);
    one.session.control(Control::Listen {
        recording: RecordingId(9),
        endpoint: EndpointId(1),
        audio,
    });
    // In the middle of the stream: to the worker of the other, into a mix there, and to itself.
    talk_through(&mut a, 100, |packet| match packet % 20 {
        5 => bridge(&one, 1, 2),
        9 => {
            bridge(&one, 1, 1);
            join(&two, 2, (true, true));
            join(&one, 1, (true, true));
        }
        12 => {
            let endpoint = EndpointId(1);
            two.session.control(EngineControl::Leave {
                endpoint: EndpointId(2),
            });
            one.session.control(EngineControl::Leave { endpoint });
            bridge(&one, 2, 1);
        }
        17 => bridge(&two, 1, 1),
        _ => {}
    });
    let stats = one.close(1);
    assert_eq!((stats.packets_in, stats.lost), (100, 0));
    assert_eq!((stats.wrong_source, stats.unexpected), (0, 0));
    let mut samples = 0;
    while let Some(block) = heard.blocking_recv() {
        samples += block.len();
    }
    assert!((4000..12_000).contains(&samples), "{samples}");
    assert_eq!(plane.counts().endpoints, 1);
    two.close(2);
    assert_eq!(plane.counts().endpoints, 0);
    assert!(plane.shutdown(PATIENCE));
}

#[test]
fn members_of_different_sessions_hear_each_other() {
    let plane = plane(2);
    let hz = [440.0, 1000.0, 1700.0];
    let mut calls: Vec<_> = hz.iter().map(|_| Call::new(&plane)).collect();
    let mut phones: Vec<_> = hz.iter().map(|hz| Phone::new("127.0.0.1", *hz)).collect();
    for ((id, call), phone) in (0..).zip(&mut calls).zip(&mut phones) {
        call.open(id, phone);
        join(call, id, (true, true));
    }
    talk(&mut phones.iter_mut().collect::<Vec<_>>(), 40);
    for (index, phone) in phones.iter().enumerate() {
        for (other, hz) in hz.iter().enumerate() {
            assert_eq!(phone.has(*hz), index != other, "{index} and {other}");
        }
    }
    // A session that ends takes its member along, whatever worker that is on.
    drop(calls.remove(0));
    let deadline = Instant::now() + PATIENCE;
    while plane.counts().endpoints > 2 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    phones.remove(0);
    talk(&mut phones.iter_mut().collect::<Vec<_>>(), 40);
    assert!(phones[0].hears(1700.0) && phones[1].hears(1000.0));
}

#[test]
fn controls_keep_their_order_while_an_endpoint_moves() {
    let plane = plane(2);
    let (mut one, mut two) = (Call::new(&plane), Call::new(&plane));
    let (mut a, mut b) = (
        Phone::new("127.0.0.1", 440.0),
        Phone::new("127.0.0.1", 1000.0),
    );
    one.open(1, &mut a);
    two.open(2, &mut b);
    let audio: Arc<[i16]> = vec![0; 80_000].into();
    for round in 0..50 {
        let play = |play| EngineControl::Play {
            endpoint: EndpointId(1),
            play: PlayId(play),
            audio: vec![Arc::clone(&audio)],
            times: Some(1),
        };
        one.session.control(play(2 * round));
        // Ends the play, and moves one of them.
        if round % 2 == 0 {
            bridge(&two, 1, 2);
        } else {
            bridge(&two, 2, 1);
        }
        one.session.control(play(2 * round + 1));
        one.session.control(EngineControl::StopPlay {
            endpoint: EndpointId(1),
            play: PlayId(2 * round + 1),
        });
        // To the worker of the first, so that the next round moves again.
        let mix = MixId(100 + round);
        let endpoint = EndpointId(2 - round % 2);
        one.session.control(EngineControl::Join {
            endpoint,
            mix,
            talk: true,
            hear: true,
        });
        for play in [2 * round, 2 * round + 1] {
            let (play, stopped) = (PlayId(play), true);
            assert_eq!(one.next(), (1, Report::PlayDone { play, stopped }));
        }
    }
    one.close(1);
    two.close(2);
}
