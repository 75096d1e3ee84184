//! Endpoints that move from one engine to another in the middle of everything.

use crate::common::{Phone, World, ms, tone, whole};
use audio::measure::{rms_dbfs, tone_dbfs};
use media_proto::{Control, EndpointId, RecordingId, Report, SocketId, Stats};
use rtp_proto::Header;

/// The sockets of a phone's endpoint, which keep their numbers.
fn sockets(phone: &Phone) -> (SocketId, SocketId) {
    (phone.local().rtp, phone.local().rtcp)
}

fn carry(phone: &Phone, from: &mut World, to: &mut World) {
    let parcel = from
        .engine
        .extract(EndpointId(phone.endpoint))
        .expect("an endpoint");
    assert_eq!(parcel.endpoint(), EndpointId(phone.endpoint));
    assert_eq!((parcel.local().rtp, parcel.local().rtcp), sockets(phone));
    to.engine
        .adopt(parcel, sockets(phone), to.log.now, &mut to.log);
}

fn close(world: &mut World, endpoint: u64) -> Stats {
    world.control(Control::Close {
        endpoint: EndpointId(endpoint),
    });
    match world.last_report(endpoint) {
        Report::Closed { stats } => stats,
        report => panic!("not closed: {report:?}"),
    }
}

fn assert_one_stream(received: &[Header]) {
    for pair in received.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!((1..=1600).contains(&step), "{step}");
    }
}

#[test]
fn no_packet_is_lost_on_the_way() {
    let mut first = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    first.open(&a);
    first.bridge(1, 1);
    first.hear(7, 1);
    let mut second = first.sibling();
    second.open(&b);
    first.talk(&mut [&mut a], ms(500));
    second.talk(&mut [&mut b], ms(500));

    // Two packets arrive while the endpoint is in neither engine.
    let parcel = first.engine.extract(EndpointId(1)).unwrap();
    let recordings: Vec<_> = parcel.recordings().collect();
    assert_eq!(recordings, [RecordingId(7)]);
    let waiting = [a.packet(), a.packet()];
    first.datagram(a.socket(), a.media, &waiting[0]);
    first.pass(ms(40));
    second.pass(ms(40));
    second
        .engine
        .adopt(parcel, sockets(&a), second.log.now, &mut second.log);
    second.bridge(1, 2);
    for packet in &waiting {
        second.datagram(a.socket(), a.media, packet);
    }
    second.talk(&mut [&mut a, &mut b], ms(1000));
    first.pass(ms(1000));

    assert!(a.hears(1000.0) && b.hears(440.0));
    assert_eq!(b.received.len(), 52);
    assert_one_stream(&b.received);
    assert_eq!(a.received.len(), 75);
    assert_one_stream(&a.received);
    let stats = close(&mut second, 1);
    assert_eq!(
        (stats.packets_in, stats.lost, stats.packets_out),
        (77, 0, 75)
    );
    assert_eq!(first.engine.endpoints(), 0);
    // The tapped audio is one piece, handed out partly by each engine.
    assert!(first.log.ended.is_empty() && first.reports(1).len() == 2);
    let samples = 8 * 1540;
    let end = (RecordingId(7), whole(samples));
    assert_eq!(second.log.ended, [end]);
    let mut heard = first.log.recorded.remove(&RecordingId(7)).unwrap();
    heard.extend(&second.log.recorded[&RecordingId(7)]);
    assert_eq!(heard.len() as u64, samples);
    let frames = heard[800..11_200].chunks(160).map(rms_dbfs);
    assert!(frames.into_iter().all(|frame| frame > -20.0));
}

#[test]
fn a_play_continues_where_it_was() {
    let mut first = World::new();
    let mut a = Phone::new(1, 440.0);
    first.open(&a);
    let mut second = first.sibling();
    let prompt = tone(700.0, 1000);
    first.play(1, 3, std::slice::from_ref(&prompt), Some(1));
    first.pass(ms(490));
    a.listen(&mut first);
    second.pass(ms(490));
    carry(&a, &mut first, &mut second);
    first.pass(ms(600));
    second.pass(ms(600));
    a.listen(&mut first);
    a.listen(&mut second);
    assert_eq!(a.heard.len(), 8000);
    assert_one_stream(&a.received);
    assert!(a.received[1..].iter().all(|header| !header.marker));
    for (heard, played) in a.heard.iter().zip(&prompt) {
        let step = played.unsigned_abs() / 16 + 16;
        assert!(heard.abs_diff(*played) <= step, "{heard} {played}");
    }
    assert!(first.reports(1).len() == 1);
    assert!(matches!(
        second.last_report(1),
        Report::PlayDone { stopped: false, .. }
    ));
    // Reports, and silence, are due as before.
    second.pass(ms(70_000));
    assert_eq!(second.last_report(1), Report::Silence);
    assert!(second.log.sent.len() > 5, "RTCP goes on");
}

#[test]
fn who_moves_leaves_the_others_behind() {
    let mut first = World::new();
    let (mut a, mut b) = (Phone::new(1, 440.0), Phone::new(2, 1000.0));
    let (mut c, mut d) = (Phone::new(3, 1700.0), Phone::new(4, 2300.0));
    for phone in [&a, &b, &c, &d] {
        first.open(phone);
    }
    first.bridge(1, 2);
    first.record(5, 1);
    for member in [3, 4] {
        first.join(member, 1, (true, true));
    }
    first.talk(&mut [&mut a, &mut b, &mut c, &mut d], ms(400));
    let mut second = first.sibling();
    carry(&a, &mut first, &mut second);
    carry(&c, &mut first, &mut second);
    second.join(1, 2, (true, true));
    second.join(3, 2, (true, true));
    for _ in 0..50 {
        first.talk(&mut [&mut b, &mut d], ms(20));
        second.talk(&mut [&mut a, &mut c], ms(20));
    }
    assert!(a.hears(1700.0) && c.hears(440.0));
    let last = &d.heard[d.heard.len() - 4000..];
    assert!(rms_dbfs(last) < -60.0, "alone in the first mix");
    // The recording goes with its leg, and what that hears.
    close(&mut first, 2);
    close(&mut second, 1);
    assert!(first.log.ended.is_empty());
    let end = (RecordingId(5), whole(8 * 1400));
    assert_eq!(second.log.ended, [end]);
    let (before, after) = (&first.log.recorded, &second.log.recorded);
    let (before, after) = (&before[&RecordingId(5)], &after[&RecordingId(5)]);
    assert_eq!(before.len() + after.len(), 8 * 1400);
    for (recorded, says, hears) in [
        (&before[1600..], 440.0, 1000.0),
        (&after[1600..], 440.0, 1700.0),
    ] {
        for hz in [says, hears] {
            assert!(tone_dbfs(recorded, hz) > -20.0, "{hz}");
        }
    }
    assert!(tone_dbfs(&after[1600..], 1000.0) < -45.0);
    assert!(first.engine.extract(EndpointId(1)).is_none());
}
