//! Whole streams, message by message.

use std::time::Duration;

use model::{AccountSid, CallSid, StreamSid};
use serde_json::{Value, json};
use stream_proto::{FRAME, Order, Session, Start, Track};

const SECOND: Duration = Duration::from_secs(1);
const MZ: &str = "MZ01010101010101010101010101010101";

fn start(tracks: &[Track], both_ways: bool) -> Start {
    Start {
        stream: StreamSid::from_bytes([1; 16]),
        account: AccountSid::from_bytes([2; 16]),
        call: CallSid::from_bytes([3; 16]),
        tracks: tracks.to_vec(),
        both_ways,
        parameters: vec![
            ("b".to_owned(), "1".to_owned()),
            ("a".to_owned(), "\"é\"".to_owned()),
        ],
    }
}

/// A stream in both directions, whose first two messages were taken.
fn connected() -> Session {
    let mut session = Session::new(start(&[Track::Inbound], true), SECOND);
    assert_eq!(messages(&mut session).len(), 2);
    session
}

fn messages(session: &mut Session) -> Vec<Value> {
    let texts = std::iter::from_fn(|| session.poll_message());
    texts
        .map(|text| serde_json::from_str(&text).expect("JSON"))
        .collect()
}

fn orders(session: &mut Session) -> Vec<Order> {
    std::iter::from_fn(|| session.poll_order()).collect()
}

fn receive(session: &mut Session, message: &Value) {
    session.receive(&message.to_string(), SECOND);
}

fn mark(name: &str) -> Value {
    json!({"event": "mark", "streamSid": MZ, "mark": {"name": name}})
}

/// The names of the marks in some messages.
fn names(messages: &[Value]) -> Vec<&str> {
    let marks = messages.iter().filter(|message| message["event"] == "mark");
    marks
        .filter_map(|mark| mark["mark"]["name"].as_str())
        .collect()
}

#[test]
fn a_stream_has_the_messages_of_twilio() {
    let mut session = Session::new(start(&[Track::Inbound], true), SECOND);
    session.hear(Track::Inbound, 0, &[0; FRAME]);
    session.hear(Track::Inbound, 160, &[0; FRAME]);
    session.key('#');
    receive(&mut session, &mark("m"));
    session.marked(1);
    session.stop();
    session.hear(Track::Inbound, 320, &[0; FRAME]);
    session.key('1');
    let (ac, ca) = (
        "AC02020202020202020202020202020202",
        "CA03030303030303030303030303030303",
    );
    let payload = format!("{}==", "/".repeat(214));
    let media = |sequence: &str, chunk: &str, timestamp: &str| {
        json!({"event": "media", "sequenceNumber": sequence, "streamSid": MZ, "media":
            {"track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload}})
    };
    let mut sent = messages(&mut session);
    for message in &mut sent {
        // 160 octets of silence.
        if let Some(payload) = message["media"]["payload"].as_str() {
            assert_eq!(payload.len(), 216);
            assert!(
                payload
                    .trim_end_matches('=')
                    .chars()
                    .all(|c| "/w".contains(c))
            );
        }
        if message["event"] == "media" {
            message["media"]["payload"] = json!(payload);
        }
    }
    assert_eq!(
        sent,
        [
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            json!({"event": "start", "sequenceNumber": "1", "streamSid": MZ, "start": {
                "streamSid": MZ, "accountSid": ac, "callSid": ca, "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"a": "\"é\"", "b": "1"}}}),
            media("2", "1", "0"),
            media("3", "2", "20"),
            json!({"event": "dtmf", "streamSid": MZ, "sequenceNumber": "4",
                "dtmf": {"track": "inbound_track", "digit": "#"}}),
            json!({"event": "mark", "sequenceNumber": "5", "streamSid": MZ, "mark": {"name": "m"}}),
            json!({"event": "stop", "sequenceNumber": "6", "streamSid": MZ,
                "stop": {"accountSid": ac, "callSid": ca}}),
        ]
    );
    assert_eq!((session.counts().sent, session.counts().unsent), (2, 0));
}

#[test]
fn each_track_has_its_own_chunks() {
    let mut session = Session::new(start(&[Track::Inbound, Track::Outbound], false), SECOND);
    assert_eq!(
        messages(&mut session)[1]["start"]["tracks"],
        json!(["inbound", "outbound"])
    );
    for at in [0, 160] {
        session.hear(Track::Outbound, at, &[1000; FRAME]);
        session.hear(Track::Inbound, at, &[-1000; FRAME]);
    }
    let sent = messages(&mut session);
    let sent: Vec<_> = sent
        .iter()
        .map(|message| {
            let media = &message["media"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let sequence = text(&message["sequenceNumber"]);
            [sequence, text(&media["track"]), text(&media["chunk"])].join(" ")
        })
        .collect();
    assert_eq!(
        sent,
        ["2 outbound 1", "3 inbound 1", "4 outbound 2", "5 inbound 2"]
    );
    // One that was not asked for is not sent.
    let mut session = connected();
    session.hear(Track::Outbound, 0, &[0; FRAME]);
    assert!(!session.has_message() && session.counts().unsent == 0);
}

#[test]
fn what_a_slow_server_does_not_take_is_dropped_and_counted() {
    let mut session = connected();
    // Three frames were lost on the way here.
    session.hear(Track::Inbound, 480, &[0; FRAME]);
    assert_eq!(session.counts().unsent, 3 + 1, "one is still waiting");
    let first = messages(&mut session);
    assert_eq!(first[0]["media"]["timestamp"], "60");
    for frame in 4..304 {
        session.hear(Track::Inbound, frame * 160, &[0; FRAME]);
    }
    session.key('5');
    let sent = messages(&mut session);
    // Five seconds of audio waited; keys are never dropped.
    assert_eq!(sent.len(), 251);
    assert_eq!(sent[250]["event"], "dtmf");
    assert_eq!(session.counts().unsent, 3 + 50);
    session.hear(Track::Inbound, 304 * 160, &[0; FRAME]);
    let next = &messages(&mut session)[0];
    // Sequence and chunk have no gap; the time shows what is missing.
    assert_eq!(sent[250]["sequenceNumber"], "253");
    assert_eq!(next["sequenceNumber"], "254");
    assert_eq!(next["media"]["chunk"], "252");
    assert_eq!(next["media"]["timestamp"], "6080");
    assert_eq!((session.counts().sent, session.counts().unsent), (252, 53));
}

#[test]
fn audio_and_marks_are_played_in_order() {
    let mut session = connected();
    let media = json!({"event": "media", "media": {"payload": "/wD/"}});
    for message in [media.clone(), mark("a"), media, mark("b"), mark("a")] {
        receive(&mut session, &message);
    }
    let play = Order::Play(vec![0, -32_124, 0]);
    assert_eq!(
        orders(&mut session),
        [
            play.clone(),
            Order::Mark(1),
            play,
            Order::Mark(2),
            Order::Mark(3)
        ]
    );
    assert_eq!(session.counts().received, 6);
    assert!(!session.has_message());
    session.marked(1);
    assert_eq!(names(&messages(&mut session)), ["a"]);
    // Unknown and repeated reports mean nothing.
    [1, 9].into_iter().for_each(|mark| session.marked(mark));
    assert!(!session.has_message());
    session.marked(2);
    session.marked(3);
    assert_eq!(names(&messages(&mut session)), ["b", "a"]);
}

#[test]
fn clear_drops_what_waits_and_returns_its_marks_at_once() {
    let mut session = connected();
    receive(&mut session, &mark("a"));
    receive(&mut session, &mark("b"));
    session.marked(1);
    receive(&mut session, &json!({"event": "clear", "streamSid": MZ}));
    receive(&mut session, &mark("c"));
    assert_eq!(names(&messages(&mut session)), ["a", "b"]);
    assert_eq!(
        orders(&mut session),
        [Order::Mark(1), Order::Mark(2), Order::Clear, Order::Mark(3)]
    );
    // A report that crossed the clearing.
    session.marked(2);
    assert!(!session.has_message());
    session.marked(3);
    assert_eq!(names(&messages(&mut session)), ["c"]);
}

#[test]
fn what_is_not_understood_is_counted() {
    let mut session = connected();
    for text in ["{", r#"{"event":"stop"}"#, r#"{"event":"media"}"#] {
        session.receive(text, SECOND);
    }
    session.receive_binary(SECOND);
    receive(&mut session, &mark(&"x".repeat(1025)));
    let counts = session.counts();
    assert_eq!(counts.strange, 5);
    let first = counts.first_strange.as_deref();
    assert_eq!(first, Some("not a message in JSON (line 1, column 1)"));
    assert!(orders(&mut session).is_empty() && !session.has_message());
    // Over a stream that only listens, nothing is understood.
    let mut session = Session::new(start(&[Track::Inbound], false), SECOND);
    receive(&mut session, &mark("a"));
    receive(&mut session, &json!({"event": "clear"}));
    assert_eq!(session.counts().strange, 2);
    assert!(orders(&mut session).is_empty());
}

#[test]
fn marks_are_limited() {
    let mut session = connected();
    (0..10_001).for_each(|number| receive(&mut session, &mark(&number.to_string())));
    assert_eq!(session.counts().strange, 1);
    assert_eq!(orders(&mut session).len(), 10_000);
    // One that never reads what it causes is given up.
    for _ in 0..2 {
        receive(&mut session, &json!({"event": "clear"}));
        (0..10_000).for_each(|number| receive(&mut session, &mark(&number.to_string())));
    }
    assert!(!orders(&mut session).contains(&Order::Broken));
    receive(&mut session, &json!({"event": "clear"}));
    assert!(orders(&mut session).contains(&Order::Broken));
}

#[test]
fn a_silent_connection_is_checked_and_given_up() {
    let mut session = Session::new(start(&[Track::Inbound], true), SECOND);
    let mut seen = Vec::new();
    for _ in 0..5 {
        let now = session.poll_timeout();
        session.handle_timeout(now);
        seen.extend(
            orders(&mut session)
                .into_iter()
                .map(|order| (order, now.as_secs())),
        );
        if now.as_secs() == 41 {
            session.receive_other(now);
        }
    }
    let pings = [21, 41, 61, 81].map(|at| (Order::Ping, at));
    assert_eq!(seen[..4], pings);
    assert_eq!(seen[4..], [(Order::Broken, 101)]);
}

#[test]
fn what_was_dropped_before_it_was_played_is_counted() {
    let mut session = connected();
    session.unplayed(160);
    session.unplayed(1);
    assert_eq!(session.counts().unplayed, 161);
}
