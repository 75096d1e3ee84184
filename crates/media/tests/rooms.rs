//! Endpoints of different sessions meet: real sockets on two workers.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "plane/common.rs"]
mod common;

use common::{Call, PATIENCE, Phone, plane, talk};
use media::{Control, EndpointId, EngineControl, MixId, PlayId, RecordingId, Report};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn join(call: &Call, endpoint: u64, mix: u64) {
    call.session.control(EngineControl::Join {
        endpoint: EndpointId(endpoint),
        mix: MixId(mix),
        talk: true,
        hear: true,
        coaches: None,
    });
}

fn bridge(call: &Call, a: u64, b: u64) {
    let (a, b) = (EndpointId(a), EndpointId(b));
    call.session.control(EngineControl::Bridge { a, b });
}

/// Keeps a phone talking, a packet every 5 ms, while `between` runs, and then waits for its echo.
fn talk_through(phone: &mut Phone, packets: u32, mut between: impl FnMut(u32)) {
    let mut due = Instant::now();
    for packet in 0..packets {
        phone.talk();
        between(packet);
        due += Duration::from_millis(5);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let silence = [0; 160];
    phone.say(&silence);
    let deadline = Instant::now() + PATIENCE;
    while !phone.heard.ends_with(&silence) {
        assert!(Instant::now() < deadline, "no echo of the last packet");
        std::thread::sleep(Duration::from_millis(1));
        phone.listen();
    }
}

/// Opens endpoints, each with its own phone.
fn open(call: &mut Call, endpoints: &[u64]) -> Vec<Phone> {
    let phones = endpoints.iter().map(|endpoint| {
        let mut phone = Phone::new("127.0.0.1", 440.0);
        call.open(*endpoint, &mut phone);
        phone
    });
    phones.collect()
}

#[test]
fn an_endpoint_moves_without_losing_a_packet() {
    let plane = plane(2);
    // One session after the other: so they begin on different workers. All but endpoint 1 stay
    // there.
    let (mut one, mut two) = (Call::new(&plane), Call::new(&plane));
    let mut here = open(&mut one, &[1, 2, 3]);
    let _there = open(&mut two, &[4, 5]);
    join(&one, 3, 3);
    join(&two, 5, 5);
    let (audio, mut heard) = tokio::sync::mpsc::channel(1000);
    one.session.control(Control::Listen {
        recording: RecordingId(9),
        endpoint: EndpointId(1),
        track: media::Track::Heard,
        audio,
    });
    // In the middle of the stream: to one, to the other and back, several times in a row, and to
    // itself.
    talk_through(&mut here[0], 100, |packet| match packet % 10 {
        1 => bridge(&one, 1, 4),
        3 => [2, 4, 2].iter().for_each(|other| bridge(&one, 1, *other)),
        5 => join(&one, 1, 5),
        7 => {
            join(&one, 1, 3);
            join(&two, 1, 5);
            bridge(&two, 1, 2);
        }
        9 => bridge(&two, 1, 1),
        _ => {}
    });
    let stats = one.close(1);
    assert_eq!((stats.packets_in, stats.lost), (101, 0));
    assert_eq!((stats.wrong_source, stats.unexpected), (0, 0));
    let mut samples = 0;
    while let Some(block) = heard.blocking_recv() {
        samples += block.len();
    }
    assert!((4000..12_000).contains(&samples), "{samples}");
    assert_eq!((plane.counts().moves, plane.counts().endpoints), (80, 4));
    for endpoint in [2, 3] {
        one.close(endpoint);
    }
    for endpoint in [4, 5] {
        two.close(endpoint);
    }
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
        join(call, id, 5);
    }
    talk(&mut phones.iter_mut().collect::<Vec<_>>(), 40);
    for (index, phone) in phones.iter().enumerate() {
        for (other, hz) in hz.iter().enumerate() {
            assert_eq!(phone.has(*hz), index != other, "{index} and {other}");
        }
    }
    // A session that ends takes its member with it, whichever worker that is on.
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
    let _phones = (open(&mut one, &[1, 2]), open(&mut two, &[3]));
    let audio: Arc<[i16]> = vec![0; 80_000].into();
    for round in 0..50 {
        let play = |play| EngineControl::Play {
            endpoint: EndpointId(1),
            play: PlayId(play),
            audio: vec![Arc::clone(&audio)],
            times: Some(1),
            interrupts: false,
        };
        one.session.control(play(2 * round));
        // The first message ends the play, and each one moves the endpoint.
        let (first, second) = if round % 2 == 0 { (3, 2) } else { (2, 3) };
        for other in [first, second, first] {
            bridge(&two, 1, other);
        }
        one.session.control(play(2 * round + 1));
        one.session.control(EngineControl::StopPlay {
            endpoint: EndpointId(1),
            play: PlayId(2 * round + 1),
        });
    }
    for play in 0..100 {
        let (play, stopped) = (PlayId(play), true);
        assert_eq!(one.next(), (1, Report::PlayDone { play, stopped }));
    }
    assert_eq!(plane.counts().moves, 150);
    for endpoint in [1, 2] {
        one.close(endpoint);
    }
    two.close(3);
}

#[test]
fn a_recording_keeps_its_mix_until_its_session_ends() {
    let plane = plane(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mix.wav");
    let hz = [440.0, 1000.0, 1700.0];
    // The sessions begin on different workers in turn.
    let mut room = Call::new(&plane);
    let mut calls: Vec<_> = hz.iter().map(|_| Call::new(&plane)).collect();
    let mut phones: Vec<_> = hz.iter().map(|hz| Phone::new("127.0.0.1", *hz)).collect();
    room.session.control(Control::RecordMix {
        recording: RecordingId(9),
        mix: MixId(5),
        trim: false,
        path: path.clone(),
    });
    for ((id, call), phone) in (0..).zip(&mut calls).zip(&mut phones) {
        call.open(id, phone);
        join(call, id, 5);
    }
    talk(&mut phones.iter_mut().collect::<Vec<_>>(), 40);
    // All leave, and one comes back: the mix is still on the same worker.
    for (id, call) in (0..).zip(&calls) {
        let endpoint = EndpointId(id);
        call.session.control(EngineControl::Leave { endpoint });
    }
    join(&calls[1], 1, 5);
    talk(&mut phones.iter_mut().collect::<Vec<_>>(), 40);
    room.session.control(EngineControl::StopRecord {
        recording: RecordingId(9),
    });
    let (about, Report::Recorded { duration_ms, .. }) = room.next() else {
        panic!("not recorded");
    };
    assert_eq!(about, 9);
    assert!((1500..4000).contains(&duration_ms), "{duration_ms}");
    let wav = std::fs::read(&path).unwrap();
    let samples: Vec<i16> = wav[44..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let middle = &samples[1600..5600];
    for hz in hz {
        assert!(audio::measure::tone_dbfs(middle, hz) > -25.0, "{hz}");
    }
    // A session that ends takes its recording with it.
    let path = folder.path().join("second.wav");
    room.session.control(Control::RecordMix {
        recording: RecordingId(10),
        mix: MixId(6),
        trim: false,
        path: path.clone(),
    });
    std::thread::sleep(Duration::from_millis(100));
    drop(room);
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "the file is not closed");
        std::thread::sleep(Duration::from_millis(1));
    }
}
