//! Transcriptions whose recognizer fails or does not answer, and their limits.

use call_proto::SpeechNews;
use model::record::Callback;

use crate::world::{Act, Recognizer, Run, World};

/// Both tracks are transcribed while the call waits for 100 seconds.
const BOTH: &str =
    "<Start><Transcription name=\"n\" statusCallbackUrl=\"/t\"/></Start><Pause length=\"100\"/>";
const SAID: &str = "<Start><Transcription track=\"inbound_track\" partialResults=\"true\" \
                    statusCallbackUrl=\"/t\"/></Start><Pause length=\"100\"/>";

fn param<'a>(callback: &'a Callback, name: &str) -> &'a str {
    let found = callback.params.iter().find(|(known, _)| known == name);
    found.map_or("-", |(_, value)| value)
}

/// Second, event, and text or number of each callback.
fn told(run: &Run) -> Vec<String> {
    let began = run.trace.first().expect("an entry").at;
    let of = run.callbacks.iter().enumerate().map(|(at, callback)| {
        assert_eq!(param(callback, "SequenceId"), (at + 1).to_string());
        let passed = callback.created.as_millis() - began.as_millis();
        let event = param(callback, "TranscriptionEvent");
        let event = event.strip_prefix("transcription-").unwrap_or(event);
        let text = match event {
            "content" => format!(
                " {} {}",
                param(callback, "TranscriptionData"),
                param(callback, "Final")
            ),
            "error" => format!(" {}", param(callback, "TranscriptionErrorCode")),
            _ => String::new(),
        };
        format!("{:.1} {event}{text}", passed as f64 / 1000.0)
    });
    of.collect()
}

fn understood(at: f64, world: World, news: SpeechNews) -> World {
    world.act(at, Act::Understood("K".to_owned(), news))
}

fn partial(text: &str) -> SpeechNews {
    SpeechNews::Partial(text.to_owned())
}

#[test]
fn without_a_recognizer_it_ends_at_once() {
    let mut world = World::document(BOTH).hangs_up(3.0);
    world.recognizer = Recognizer::Missing;
    let run = world.run();
    assert_eq!(told(&run), ["0.0 started", "0.0 error 31984"]);
    assert_eq!(run.codes(), [31_984]);
}

#[test]
fn a_recognizer_that_fails_three_times_in_a_row_ends_it() {
    let failed = || SpeechNews::Failed {
        reason: "no model".to_owned(),
    };
    let last = || SpeechNews::Final {
        text: "yes".to_owned(),
        confidence: None,
    };
    let mut world = World::document(SAID).hangs_up(30.0);
    for (at, news) in [
        (1.0, failed()),
        (3.0, failed()),
        (5.0, last()),
        (6.0, failed()),
        (8.0, failed()),
        (10.0, failed()),
    ] {
        world = understood(at, world, news);
    }
    let run = world.run();
    let expected = [
        "0.0 started",
        "5.0 content {\"transcript\":\"yes\"} true",
        "10.0 error 31985",
    ];
    assert_eq!(told(&run), expected);
    assert_eq!(run.codes(), [31_985]);
}

#[test]
fn speech_without_an_end_is_ended_and_partial_results_have_a_limit() {
    let mut world = World::document(SAID).hangs_up(80.0);
    // It never gives a final result by itself.
    world.recognizer = Recognizer::Dreams;
    for (at, text) in [
        (2.0, "one"),
        (2.2, "one two"),
        (2.4, "one two three"),
        (2.5, "one two three"),
        (2.6, "one two three \"four\""),
    ] {
        world = understood(at, world, partial(text));
    }
    let run = world.run();
    let expected = [
        "0.0 started",
        "2.0 content {\"transcript\":\"one\"} false",
        "2.6 content {\"transcript\":\"one two three \\\"four\\\"\"} false",
        "67.0 content {\"transcript\":\"one two three \\\"four\\\"\"} true",
        "80.0 stopped",
    ];
    assert_eq!(told(&run), expected);
    assert_eq!(run.codes(), [0_u16; 0]);
}

#[test]
fn an_unusable_address_is_reported() {
    let document = "<Start><Transcription statusCallbackUrl=\"ftp://x/y\"/></Start><Pause/>";
    let run = World::document(document).hangs_up(0.5).run();
    assert!(run.callbacks.is_empty());
    assert_eq!(run.codes(), [11_100]);
}
