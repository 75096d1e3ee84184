//! Conversations in text that end because something fails, or whose end is not reported.

use call_proto::SpeechNews;

use crate::world::{Act, Recognizer, Run, World, xml};

const CONNECT: &str = "<Connect action=\"/a\"><ConversationRelay url=\"ws://app/bot\" welcomeGreeting=\"hello\"/></Connect>";

/// K talks to a server that does this.
fn talking(document: &str, does: &'static str) -> World {
    let mut world = World::document(document).app("/a", xml("<Hangup/>"));
    world.agents = vec![("ws://app/bot", does)];
    world
}

/// When each conversation ended, in milliseconds, and why.
fn ends(run: &Run) -> Vec<(i64, String)> {
    let began = run.trace.first().expect("an entry").at;
    let ended = run
        .trace
        .iter()
        .filter(|it| it.what == "conversation ended");
    let why = ended.map(|it| {
        let (_, why) = it.detail.split_once(' ').unwrap_or_default();
        let (why, _) = why.rsplit_once("; ").unwrap_or_default();
        (it.at.as_millis() - began.as_millis(), why.to_owned())
    });
    why.collect()
}

/// The status and number that the action receives.
fn outcome(run: &Run) -> (String, String) {
    let asked = run.request("/a");
    let code = if asked.has("ErrorCode") {
        asked.get("ErrorCode")
    } else {
        ""
    };
    (asked.get("SessionStatus").to_owned(), code.to_owned())
}

#[test]
fn every_end_of_a_call_ends_its_conversation_once() {
    let acts: [(Act, &str); 4] = [
        (Act::HangUp, "hung-up"),
        (Act::Vanish("K".to_owned()), "connection-lost"),
        (Act::Shutdown("K".to_owned()), "shutdown"),
        (Act::EndedElsewhere("K".to_owned()), "node-lost"),
    ];
    for (act, reason) in acts {
        let run = talking(CONNECT, "[{expect: setup}, {wait: 9s}]")
            .act(3.0, act)
            .run();
        assert_eq!(run.record("K").reason.as_deref(), Some(reason));
        let ended = (3_000, "the call ended".to_owned());
        assert_eq!(ends(&run), [ended], "{reason}");
        assert!(run.codes().is_empty(), "{reason}");
    }
}

#[test]
fn a_connection_of_which_nothing_is_reported_is_given_up() {
    let mut world = talking(CONNECT, "[]").hangs_up(60.0);
    world.stuck_streams = true;
    let run = world.run();
    let ended = (20_000, "the connection was not made in time".to_owned());
    assert_eq!(ends(&run), [ended]);
    assert_eq!(outcome(&run), ("failed".to_owned(), "64102".to_owned()));
    assert_eq!(run.codes(), [64_102]);
}

#[test]
fn without_a_recognizer_it_ends_at_once() {
    let mut world = talking(CONNECT, "[{expect: setup}, {expect: stop}]");
    world.recognizer = Recognizer::Missing;
    let run = world.run();
    let ended = (0, "no speech recognizer is configured".to_owned());
    assert_eq!(ends(&run), [ended]);
    assert_eq!(outcome(&run), ("failed".to_owned(), "64190".to_owned()));
    assert_eq!(run.codes(), [64_190]);
}

#[test]
fn a_recognizer_that_fails_three_times_ends_it() {
    let failed = || SpeechNews::Failed {
        reason: "no model".to_owned(),
    };
    let does = "[{expect: {error: 'speech was not recognized: no model'}}, {expect: stop}]";
    let run = talking(CONNECT, does)
        .act(1.0, Act::Understood("K".to_owned(), failed()))
        .act(3.0, Act::Understood("K".to_owned(), failed()))
        .act(5.0, Act::Understood("K".to_owned(), failed()))
        .run();
    let ended = (5_000, "speech was not recognized: no model".to_owned());
    assert_eq!(ends(&run), [ended]);
    assert_eq!(outcome(&run), ("failed".to_owned(), "64191".to_owned()));
}

#[test]
fn a_text_that_cannot_be_spoken_is_left_out_unless_none_can() {
    let spoken = "[{text: fine}, {text: unspeakable}, {expect: {error: ~cannot be spoken}}, {text: too}, {wait: 3s}, end]";
    let document = "<Connect action=\"/a\"><ConversationRelay url=\"ws://app/bot\"/></Connect>";
    let run = talking(document, spoken).run();
    assert_eq!(run.heard("K"), "0 say fine, 1 say too");
    assert_eq!(outcome(&run), ("ended".to_owned(), String::new()));
    assert_eq!(run.codes().len(), 1);
    let run = talking(document, "[{text: unspeakable}, {expect: stop}]").run();
    let ended = (0, "`unspeakable` cannot be spoken".to_owned());
    assert_eq!(ends(&run), [ended]);
    assert_eq!(outcome(&run).0, "failed");
}

#[test]
fn the_owner_is_not_notified_without_end() {
    let plays = "{play: ftp://x/}, ".repeat(12);
    let does = format!("[{plays} end]");
    let run = talking(CONNECT, does.leak()).run();
    assert_eq!(run.codes(), [11_100; 10]);
    assert_eq!(outcome(&run), ("ended".to_owned(), String::new()));
}

#[test]
fn speech_without_an_end_is_ended() {
    let partial = |text: &str| SpeechNews::Partial(text.to_owned());
    let mut world = talking(CONNECT, "[{expect: {prompt: one two}}, end]");
    // It never gives a final result by itself.
    world.recognizer = Recognizer::Dreams;
    let run = world
        .act(2.0, Act::Understood("K".to_owned(), partial("one")))
        .act(3.0, Act::Understood("K".to_owned(), partial("one two")))
        .run();
    assert_eq!(ends(&run), [(67_000, "ended by the server".to_owned())]);
}
