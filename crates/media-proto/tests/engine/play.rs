//! Prompts: exact timing, from the first moment on, whatever the remote party does.

use crate::common::{Phone, Sent, World, address, ms, tone};
use media_proto::{Control, EndpointId, Opening, PlayId, Report, SocketId};
use std::time::Duration;

fn done(play: u64, stopped: bool) -> Report {
    Report::PlayDone {
        play: PlayId(play),
        stopped,
    }
}

#[test]
fn frames_leave_on_an_absolute_schedule() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    world.open(&phone);
    world.pass(Duration::from_micros(7300));
    world.play(1, 3, &[tone(700.0, 50), tone(700.0, 3)], Some(2));
    world.pass(ms(500));
    let sent = world.take_rtp(phone.media);
    // Two times 53 ms are 106 ms: six frames, the last one padded. Ticks are on a grid of 5 ms.
    let at = |sent: &Sent| (sent.at - world.started).as_millis();
    assert_eq!(
        sent.iter().map(at).collect::<Vec<_>>(),
        [10, 30, 50, 70, 90, 110]
    );
    let first = sent[0].header();
    for (index, sent) in sent.iter().enumerate() {
        let header = sent.header();
        assert_eq!(header.marker, index == 0);
        assert_eq!(
            header.timestamp.wrapping_sub(first.timestamp),
            160 * index as u32
        );
        assert_eq!(sent.bytes.len(), 172);
    }
    let (at, _, report) = world.log.reports.last().unwrap();
    assert_eq!(
        (*at - world.started, report.clone()),
        (ms(130), done(3, false))
    );
}

#[test]
fn a_late_tick_does_not_delay_the_rest() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    world.open(&phone);
    world.play(1, 3, &[tone(700.0, 1000)], Some(1));
    world.pass(ms(100));
    // The engine is not called for 55 ms, then for a second and a half.
    world.log.now += ms(55);
    world.pass(ms(5));
    world.log.now += ms(1500);
    world.pass(ms(0));
    let sent = world.take_rtp(phone.media);
    let first = sent[0].header();
    for sent in &sent {
        let header = sent.header();
        let due = header.timestamp.wrapping_sub(first.timestamp) / 8;
        let at = (sent.at - world.started).as_millis() as u32;
        assert!(at >= due && at - due <= 200, "{due} sent at {at}");
    }
    // Frames that were too late are not sent; the numbers have no gap.
    assert_eq!(sent.len(), 9);
    let last = sent[8].header();
    assert_eq!(last.sequence.wrapping_sub(first.sequence), 8);
    assert_eq!(world.last_report(1), done(3, false));
}

#[test]
fn each_play_is_done_once() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    world.open(&phone);
    let long = [tone(700.0, 1000)];
    let stop = |play| Control::StopPlay {
        endpoint: EndpointId(1),
        play: PlayId(play),
    };
    world.play(1, 1, &[], None);
    world.play(1, 2, &long, Some(0));
    world.play(1, 3, &long, None);
    world.pass(ms(2500));
    world.play(1, 4, &long, Some(1));
    world.control(stop(3));
    world.pass(ms(100));
    world.control(stop(4));
    world.control(stop(4));
    world.play(1, 5, &long, Some(1));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    world.play(1, 6, &long, Some(1));
    let reports = world.reports(1).split_off(1);
    assert!(matches!(reports[5], Report::Closed { .. }));
    let expected = [(1, false), (2, false), (3, true), (4, true), (5, true)];
    assert_eq!(
        reports[..5],
        expected.map(|(play, stopped)| done(play, stopped))
    );
    assert_eq!(reports[6..], [done(6, true)]);
    assert_eq!(world.engine.endpoints(), 0);
    // Frames of consecutive plays do not overlap.
    let sent = world.take_rtp(phone.media);
    for pair in sent.windows(2) {
        assert!(pair[1].at - pair[0].at >= ms(20));
    }
}

#[test]
fn nothing_is_sent_on_hold_but_time_continues() {
    for hold in ["sendonly", "inactive", "c=0"] {
        let mut world = World::new();
        let mut phone = Phone::new(1, 440.0);
        world.open(&phone);
        // 600 ms of one tone, then another.
        world.play(1, 1, &[tone(700.0, 600), tone(1300.0, 600)], Some(1));
        world.pass(ms(100));
        let offer = match hold {
            "c=0" => phone
                .sdp("sendrecv")
                .replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"),
            direction => phone.sdp(direction),
        };
        world.renegotiate(&phone, offer);
        phone.listen(&mut world);
        assert_eq!(phone.received.len(), 6, "{hold}");
        world.pass(ms(500));
        phone.listen(&mut world);
        assert_eq!(phone.received.len(), 6, "{hold}");
        world.renegotiate(&phone, phone.sdp("sendrecv"));
        world.pass(ms(590));
        phone.listen(&mut world);
        assert!(phone.hears(1300.0), "{hold}");
        let (last, resumed) = (phone.received[5], phone.received[6]);
        assert!(resumed.marker, "{hold}");
        assert_eq!(resumed.sequence, last.sequence.wrapping_add(1), "{hold}");
        assert_eq!(
            resumed.timestamp.wrapping_sub(last.timestamp),
            520 * 8,
            "{hold}"
        );
        world.pass(ms(100));
        assert_eq!(world.last_report(1), done(1, false), "{hold}");
    }
}

#[test]
fn early_sound_and_packet_length() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    // Before the answer to our offer the destination is unknown; the play continues all the same.
    world.open_with(&phone, None);
    world.play(1, 1, &[tone(700.0, 200)], Some(1));
    world.pass(ms(99));
    assert!(world.log.sent.is_empty());
    let sdp = phone.sdp("sendrecv") + "a=ptime:30\r\n";
    world.control(Control::Remote {
        endpoint: EndpointId(1),
        sdp,
    });
    world.pass(ms(200));
    let sent = world.take_rtp(phone.media);
    let shape = |sent: &Sent| ((sent.at - world.started).as_millis(), sent.bytes.len());
    assert_eq!(
        sent.iter().map(shape).collect::<Vec<_>>(),
        [(100, 252), (130, 252), (160, 252), (190, 252)]
    );
    assert_eq!(world.last_report(1), done(1, false));
}

#[test]
fn refused_and_unknown() {
    let mut world = World::new();
    let phone = Phone::new(1, 440.0);
    let offers = [
        ("garbage", 400),
        (
            "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=video 4 RTP/AVP 31\r\n",
            488,
        ),
        (
            "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n",
            488,
        ),
    ];
    for (offer, expected) in offers {
        world.open_with(&phone, Some(offer.to_owned()));
        let Report::Refused { status, .. } = world.last_report(1) else {
            panic!("{offer}")
        };
        assert_eq!(status, expected, "{offer}");
        assert_eq!(
            std::mem::take(&mut world.log.closed),
            [SocketId(2), SocketId(3)]
        );
    }
    world.open(&phone);
    let other = Phone::new(3, 440.0);
    world.open_endpoint(Opening {
        endpoint: EndpointId(1),
        local: other.local(),
        offer: None,
        signalling: None,
        proved: true,
        like: None,
    });
    assert!(matches!(
        world.last_report(1),
        Report::Refused { status: 500, .. }
    ));
    assert_eq!(world.log.closed, [SocketId(6), SocketId(7)]);
    world.control(Control::Remote {
        endpoint: EndpointId(8),
        sdp: String::new(),
    });
    assert!(matches!(
        world.last_report(8),
        Report::Refused { status: 481, .. }
    ));
    world.control(Control::Renegotiate {
        endpoint: EndpointId(8),
        req: 3,
        offer: None,
    });
    assert!(matches!(
        world.last_report(8),
        Report::Renegotiated {
            req: 3,
            sdp: Err(_)
        }
    ));
    let session = "v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    let fax = "m=image 1 udptl t38\r\na=T38FaxVersion:0\r\n";
    for unusable in [
        "x".to_owned(),
        String::new(),
        format!("{session}{fax}"),
        format!("{session}m=audio 0 RTP/AVP 0\r\n{fax}"),
        format!("{session}m=audio 0 RTP/AVP 0\r\n"),
        format!("{session}m=audio 1 RTP/AVP 18\r\n"),
        format!("{session}m=audio 1 RTP/SAVP 0\r\n"),
    ] {
        world.control(Control::Renegotiate {
            endpoint: EndpointId(1),
            req: 4,
            offer: Some(unusable.clone()),
        });
        assert!(
            matches!(
                world.last_report(1),
                Report::Renegotiated {
                    req: 4,
                    sdp: Err(_)
                }
            ),
            "{unusable}"
        );
    }
    // The first agreement stays.
    world.play(1, 1, &[tone(700.0, 100)], Some(1));
    world.pass(ms(100));
    assert_eq!(world.take_rtp(phone.media).len(), 5);
    assert_eq!(world.take_rtp(address("192.0.2.9:1")).len(), 0);
}

/// The pitch of each frame of 20 ms that a phone hears, in hertz; 0 for any other sound.
fn pitches(world: &mut World, phone: &mut Phone) -> Vec<u32> {
    phone.listen(world);
    let heard = std::mem::take(&mut phone.heard);
    let pitch = |frame: &[i16]| {
        let is = |hz: &f64| audio::measure::tone_dbfs(frame, *hz) > -30.0;
        [700.0, 1700.0].into_iter().find(is).unwrap_or(0.0) as u32
    };
    heard.chunks(160).map(pitch).collect()
}

#[test]
fn an_interruption_lets_the_other_play_go_on_where_it_was() {
    let mut world = World::new();
    let mut phone = Phone::new(1, 440.0);
    world.open(&phone);
    world.play(1, 3, &[tone(700.0, 200)], Some(1));
    world.pass(ms(90));
    world.interrupt(1, 4, &tone(1700.0, 60));
    world.pass(ms(300));
    let expected = [[700; 5].as_slice(), &[1700; 3], &[700; 5]].concat();
    assert_eq!(pitches(&mut world, &mut phone), expected);
    assert_eq!(world.reports(1)[1..], [done(4, false), done(3, false)]);

    // A play that begins meanwhile waits, too; another interruption replaces the first.
    world.interrupt(1, 5, &tone(1700.0, 500));
    world.pass(ms(20));
    world.play(1, 6, &[tone(700.0, 40)], Some(1));
    world.pass(ms(20));
    world.interrupt(1, 7, &tone(1700.0, 40));
    world.pass(ms(200));
    let expected = [[1700; 5].as_slice(), &[700; 2]].concat();
    assert_eq!(pitches(&mut world, &mut phone), expected);
    let reports = world.reports(1);
    let ends = [done(5, true), done(7, false), done(6, false)];
    assert_eq!(reports[reports.len() - 3..], ends);
}

#[test]
fn an_interruption_replaces_the_bridge_and_ends_with_its_endpoint() {
    let mut world = World::new();
    let (mut ann, mut kim) = (Phone::new(1, 440.0), Phone::new(2, 440.0));
    world.open(&ann);
    world.open(&kim);
    world.interrupt(1, 3, &tone(1700.0, 200));
    // Two legs are bridged, and the sound continues.
    world.bridge(1, 2);
    world.talk(&mut [&mut ann, &mut kim], ms(400));
    let heard = pitches(&mut world, &mut ann);
    assert_eq!(heard.iter().filter(|pitch| **pitch == 1700).count(), 10);
    assert!(heard.len() > 15, "{heard:?}");
    world.interrupt(1, 4, &tone(1700.0, 200));
    world.pass(ms(50));
    world.control(Control::Close {
        endpoint: EndpointId(1),
    });
    let reports = world.reports(1);
    assert!(reports.contains(&done(3, false)) && reports.contains(&done(4, true)));
}
