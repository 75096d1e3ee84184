//! Streams whose end is not reported, or that end for reasons of the server.

use crate::world::{Act, Run, World, ms};

const CONNECT: &str = "<Connect action=\"/a\"><Stream url=\"ws://app/bot\" name=\"n\" statusCallback=\"/s\"/></Connect>";
const START: &str = "<Start><Stream url=\"ws://app/bot\"/></Start><Pause length=\"60\"/>";

fn talking(document: &str) -> World {
    let mut world = World::document(document);
    world.agents = vec![("ws://app/bot", "[{send: 90s}, {mark: a}, {wait: 9s}]")];
    world
}

/// When each stream ended, in milliseconds, and why.
fn ends(run: &Run) -> Vec<(i64, String)> {
    let began = run.trace.first().expect("an entry").at;
    let ended = run.trace.iter().filter(|it| it.what == "stream ended");
    let why = ended.map(|it| {
        let (_, why) = it.detail.split_once(' ').unwrap_or_default();
        (it.at.as_millis() - began.as_millis(), why.to_owned())
    });
    why.collect()
}

#[test]
fn every_end_of_a_call_ends_its_streams_once() {
    let acts: [(Act, &str); 4] = [
        (Act::HangUp, "hung-up"),
        (Act::Vanish("K".to_owned()), "connection-lost"),
        (Act::Shutdown("K".to_owned()), "shutdown"),
        (Act::EndedElsewhere("K".to_owned()), "node-lost"),
    ];
    for (act, reason) in acts {
        for document in [CONNECT, START] {
            let what = format!("{reason} {document}");
            let run = talking(document).act(3.0, act.clone()).run();
            assert_eq!(run.record("K").reason.as_deref(), Some(reason), "{what}");
            let [(at, why)] = &ends(&run)[..] else {
                panic!("{what}: {:?}", ends(&run));
            };
            assert_eq!(*at, 3_000, "{what}");
            let counts = "0 ms sent, 90000 ms received";
            assert_eq!(*why, format!("the call ended; {counts}"), "{what}");
            assert!(run.codes().is_empty(), "{what}");
            assert!(run.requests("/a").is_empty(), "{what}");
        }
    }
}

#[test]
fn every_end_of_a_call_ends_its_recording_sessions_once() {
    let document = "<Start><Siprec connectorName=\"main\" statusCallback=\"/s\"/></Start><Pause length=\"60\"/>";
    let acts = [
        Act::HangUp,
        Act::Vanish("K".to_owned()),
        Act::Shutdown("K".to_owned()),
        Act::EndedElsewhere("K".to_owned()),
    ];
    for act in acts {
        let what = format!("{act:?}");
        let mut world = World::document(document).act(3.0, act);
        world.agents = vec![("siprec:main", "[{expect: start}, {expect: stop}]")];
        let run = world.run();
        let ended = (3_000, "the call ended; 0 ms sent, 0 ms received".to_owned());
        assert_eq!(ends(&run), [ended], "{what}");
        assert!(run.codes().is_empty(), "{what}");
    }
    // A server that never answers is given up, and the call does not notice.
    let mut world = World::document(document).hangs_up(50.0);
    world.stuck_streams = true;
    let run = world.run();
    let whys = ends(&run);
    assert_eq!((whys.len(), whys[0].0), (1, 20_000), "{whys:?}");
    assert_eq!(run.codes(), [31_996]);
    assert_eq!(run.told("http://app/s", "SiprecEvent"), ["siprec-error"]);
    assert_eq!(run.record("K").reason.as_deref(), Some("hung-up"));
}

#[test]
fn a_stream_of_which_nothing_is_reported_is_given_up() {
    let mut world = talking(CONNECT).hangs_up(60.0);
    world.stuck_streams = true;
    let run = world.run();
    let [(at, why)] = &ends(&run)[..] else {
        panic!("{:?}", ends(&run));
    };
    assert_eq!(*at, 20_000);
    assert!(
        why.starts_with("the connection was not made in time; "),
        "{why}"
    );
    let asked = run.request("/a");
    assert_eq!(asked.get("StreamEvent"), "stream-error");
    assert!(asked.get("StreamError").starts_with("31901: "));
    assert_eq!(run.codes()[0], 31_901);
    // One that was stopped has a shorter time, and there is nothing to report about that.
    let mut world = talking(CONNECT).hangs_up(2.0);
    world.stuck_streams = true;
    let run = world.run();
    let whys = ends(&run);
    assert_eq!(whys[0].0, i64::try_from(ms(7.0)).expect("a time"));
    assert!(whys[0].1.starts_with("the call ended; "), "{whys:?}");
    assert!(run.codes().is_empty(), "{:?}", run.codes());
    assert_eq!(run.told("http://app/s", "StreamEvent"), ["stream-stopped"]);
}
