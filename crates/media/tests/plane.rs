//! The media plane with real sockets, threads and files, on the loopback interface.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[expect(dead_code, reason = "made for all tests of the plane")]
#[path = "plane/common.rs"]
mod common;

use audio::tone::Tone;
use common::{Call, PATIENCE, Phone, address, plane, talk};
use media::{
    Control, DigitWay, EndpointId, EngineControl, MediaConfig, MediaPlane, Part, PlayId,
    RecordingId, Report, Terms, Track,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_call_is_bridged_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("RE1.wav");
    for ip in ["127.0.0.1", "::1"] {
        let config = MediaConfig {
            workers: 1,
            address: "::".parse().unwrap(),
            ..MediaConfig::default()
        };
        let plane = MediaPlane::start(config).unwrap();
        let mut call = Call::new(&plane);
        let (mut a, mut b) = (Phone::new(ip, 440.0), Phone::new(ip, 1000.0));
        call.open(1, &mut a);
        call.open(2, &mut b);
        let (one, two) = (EndpointId(1), EndpointId(2));
        call.session
            .control(EngineControl::Bridge { a: one, b: two });
        let recording = RecordingId(9);
        let record = Control::Record {
            recording,
            endpoint: one,
            terms: Terms {
                part: Part::Apart,
                ..Terms::default()
            },
            path: path.clone(),
        };
        call.session.control(record);
        talk(&mut [&mut a, &mut b], 30);
        assert!(a.hears(1000.0) && b.hears(440.0), "{ip}");
        assert_eq!(plane.counts().endpoints, 2);
        call.session
            .control(EngineControl::StopRecord { recording });
        let (
            1,
            Report::Recorded {
                duration_ms,
                size_bytes,
                ..
            },
        ) = call.news()
        else {
            panic!("not recorded")
        };
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, size_bytes);
        let file = audio::wav::decode(&bytes).unwrap();
        assert_eq!(file.channels, 2);
        assert_eq!(file.samples.len() as u64 / 16, duration_ms);
        // 600 ms were spoken; a busy machine may start or stop recording late.
        assert!((500..1500).contains(&duration_ms), "{duration_ms}");
        for (channel, own, other) in [(0, 440.0, 1000.0), (1, 1000.0, 440.0)] {
            let samples = file.samples.iter().skip(channel).step_by(2);
            let samples: Vec<i16> = samples.skip(1600).take(2400).copied().collect();
            let level = |hz| audio::measure::tone_dbfs(&samples, hz);
            assert!(level(own) > -20.0 && level(other) < -45.0, "{channel}");
        }
        let stats = call.close(1);
        assert_eq!(
            (stats.packets_in, stats.lost, stats.wrong_source),
            (30, 0, 0)
        );
        call.close(2);
        drop(call);
        assert!(plane.shutdown(PATIENCE));
        assert_eq!(plane.counts().endpoints, 0);
    }
}

#[test]
fn a_prompt_has_its_length() {
    let plane = plane(1);
    let mut call = Call::new(&plane);
    let mut phone = Phone::new("127.0.0.1", 440.0);
    call.open(1, &mut phone);
    let started = Instant::now();
    let audio: Arc<[i16]> = Tone::new(700.0, -10.0).samples(400).into();
    let (endpoint, play) = (EndpointId(1), PlayId(5));
    call.session.control(EngineControl::Play {
        endpoint,
        play,
        audio: vec![audio],
        times: Some(1),
        interrupts: false,
    });
    assert_eq!(
        call.next(),
        (
            1,
            Report::PlayDone {
                play,
                stopped: false
            }
        )
    );
    let elapsed = started.elapsed();
    assert!((400..600).contains(&elapsed.as_millis()), "{elapsed:?}");
    phone.listen();
    assert_eq!(phone.heard.len(), 3200);
    assert!(phone.hears(700.0));
}

#[test]
fn an_offer_is_answered_and_a_bad_one_refused() {
    let plane = plane(1);
    let mut call = Call::new(&plane);
    let open = |endpoint, offer: Option<&str>| Control::Open {
        endpoint: EndpointId(endpoint),
        offer: offer.map(str::to_owned),
        signalling: Some("127.0.0.1".parse().unwrap()),
        proved: true,
        like: None,
    };
    call.session.control(open(1, Some("nonsense")));
    assert!(matches!(
        call.next(),
        (1, Report::Refused { status: 400, .. })
    ));
    call.session.control(open(1, None));
    let (1, Report::Opened { sdp }) = call.next() else {
        panic!("not opened")
    };
    let ours = address(&sdp);
    assert_eq!(
        (ours.ip().to_string().as_str(), ours.port() % 2),
        ("127.0.0.1", 0)
    );
    let mut phone = Phone::new("127.0.0.1", 440.0);
    phone.to = ours;
    call.session.control(EngineControl::Remote {
        endpoint: EndpointId(1),
        sdp: phone.sdp(),
    });
    assert_eq!(call.next(), (1, Report::RemoteSet));
    call.session.control(EngineControl::Bridge {
        a: EndpointId(1),
        b: EndpointId(1),
    });
    talk(&mut [&mut phone], 15);
    assert!(phone.hears(440.0), "its own echo");
    assert_eq!(call.next(), (1, Report::Heard));
}

#[test]
fn ports_come_from_the_range_and_run_out() {
    // A pair that is free just now.
    let probe = plane(1);
    let mut call = Call::new(&probe);
    let mut phone = Phone::new("127.0.0.1", 440.0);
    call.open(1, &mut phone);
    let port = phone.to.port();
    drop(call);
    assert!(probe.shutdown(PATIENCE));

    let config = MediaConfig {
        workers: 2,
        ports: port..=port + 1,
        ..MediaConfig::default()
    };
    let plane = MediaPlane::start(config).unwrap();
    let (mut first, mut second) = (Call::new(&plane), Call::new(&plane));
    first.open(1, &mut phone);
    assert_eq!(phone.to.port(), port);
    let offer = Some(phone.sdp());
    second.session.control(Control::Open {
        endpoint: EndpointId(2),
        offer,
        signalling: None,
        proved: true,
        like: None,
    });
    assert!(matches!(
        second.next(),
        (2, Report::Refused { status: 503, .. })
    ));
    // Dropping a session closes its endpoints.
    drop(first);
    let deadline = Instant::now() + PATIENCE;
    while plane.counts().endpoints > 0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    second.open(2, &mut phone);
}

#[test]
fn sessions_spread_over_workers_and_stop_with_the_plane() {
    let plane = plane(3);
    let mut calls: Vec<_> = (0..6).map(|_| Call::new(&plane)).collect();
    let folder = tempfile::tempdir().unwrap();
    for (index, call) in (0..).zip(&mut calls) {
        let mut phone = Phone::new("127.0.0.1", 440.0);
        call.open(index, &mut phone);
        let path = folder.path().join(format!("RE{index}.wav"));
        call.session.control(Control::Record {
            recording: RecordingId(index),
            endpoint: EndpointId(index),
            terms: Terms::default(),
            path,
        });
    }
    assert_eq!((plane.counts().sessions, plane.counts().endpoints), (6, 6));
    std::thread::sleep(Duration::from_millis(60));
    assert!(plane.shutdown(PATIENCE));
    for (index, call) in (0..).zip(&mut calls) {
        for _ in 0..2 {
            let (id, report) = call.next();
            assert_eq!(id, index);
            assert!(matches!(
                report,
                Report::Closed { .. } | Report::Recorded { .. }
            ));
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
}

#[test]
fn keys_go_both_ways() {
    let plane = plane(1);
    let mut call = Call::new(&plane);
    let mut phone = Phone::new("127.0.0.1", 440.0);
    call.open(1, &mut phone);
    let endpoint = EndpointId(1);
    call.session
        .control(EngineControl::ListenDigits { endpoint, on: true });
    let play = PlayId(3);
    let digits = "42".to_owned();
    call.session.control(EngineControl::SendDigits {
        endpoint,
        play,
        digits,
        interrupts: false,
    });
    assert_eq!(
        call.news(),
        (
            1,
            Report::PlayDone {
                play,
                stopped: false
            }
        )
    );
    phone.listen();
    let (mut detector, mut heard) = (audio::dtmf::Detector::new(), Vec::new());
    detector.push(&phone.heard, |change| heard.push(change));
    use audio::dtmf::Change::{Down, Up};
    assert_eq!(heard, [Down('4'), Up, Down('2'), Up]);
    let pressed = audio::tone::dtmf('9', 100).expect("a key");
    for frame in pressed.chunks(160) {
        phone.say(frame);
    }
    let (digit, way) = ('9', DigitWay::Tone);
    assert_eq!(call.news(), (1, Report::Digit { digit, way }));
}

#[test]
fn received_audio_is_handed_to_a_listener() {
    let plane = plane(1);
    let mut call = Call::new(&plane);
    let mut phone = Phone::new("127.0.0.1", 440.0);
    call.open(1, &mut phone);
    let listen = |recording| {
        let (audio, heard) = tokio::sync::mpsc::channel(100);
        call.session.control(Control::Listen {
            recording,
            endpoint: EndpointId(1),
            track: media::Track::Heard,
            audio,
        });
        heard
    };
    let recording = RecordingId(3);
    let mut heard = listen(recording);
    // A second one with the same name hears nothing.
    assert_eq!(listen(recording).blocking_recv(), None);
    talk(&mut [&mut phone], 30);
    call.session
        .control(EngineControl::StopRecord { recording });
    let mut samples = Vec::new();
    while let Some(block) = heard.blocking_recv() {
        assert!(block.len() <= 800);
        samples.extend(block);
    }
    // 600 ms were spoken; a busy machine may start or stop listening late.
    assert!((4000..12_000).contains(&samples.len()), "{}", samples.len());
    assert!(audio::measure::tone_dbfs(&samples[1600..4000], 440.0) > -20.0);
    // It ends with the endpoint too.
    let mut heard = listen(RecordingId(4));
    call.close(1);
    while heard.blocking_recv().is_some() {}
    assert_eq!(plane.counts().unheard, 0);
}

#[test]
fn a_stream_hears_and_is_heard() {
    let plane = plane(1);
    let mut call = Call::new(&plane);
    let mut phone = Phone::new("127.0.0.1", 440.0);
    call.open(1, &mut phone);
    let (endpoint, play) = (EndpointId(1), PlayId(1));
    call.session
        .control(EngineControl::PlayLive { endpoint, play });
    let (frames, mut taken) = tokio::sync::mpsc::channel(1000);
    for (recording, track) in [(5, Track::Heard), (6, Track::Sent)] {
        call.session.control(Control::Tap {
            recording: RecordingId(recording),
            endpoint,
            track,
            frames: frames.clone(),
        });
    }
    drop(frames);
    let audio = audio::tone::Tone::new(1700.0, -10.0).samples(600);
    for piece in audio.chunks(700) {
        let audio = piece.to_vec();
        call.session.control(EngineControl::Feed {
            endpoint,
            play,
            audio,
        });
    }
    let mark = 9;
    call.session.control(EngineControl::Mark {
        endpoint,
        play,
        mark,
    });
    talk(&mut [&mut phone], 30);
    assert_eq!(call.news(), (1, Report::Marked { play, mark }));
    phone.listen();
    assert!(audio::measure::hears(&phone.heard[800..4000], 1700.0));
    call.session
        .control(EngineControl::StopPlay { endpoint, play });
    let stopped = true;
    assert_eq!(call.news(), (1, Report::PlayDone { play, stopped }));
    call.close(1);
    let (mut heard, mut sent) = (Vec::new(), Vec::new());
    while let Some(frame) = taken.blocking_recv() {
        let track = match frame.track {
            Track::Heard => &mut heard,
            Track::Sent => &mut sent,
        };
        assert_eq!(frame.at, track.len() as u64);
        track.extend(frame.samples);
    }
    for (samples, hz) in [(&heard, 440.0), (&sent, 1700.0)] {
        assert!(audio::measure::hears(&samples[1600..4000], hz), "{hz}");
    }
}
