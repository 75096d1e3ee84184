//! Speech recognition in Gather.

use std::time::Duration;

use call_proto::{ListenRequest, SpeechNews};

use crate::world::{Recognizer, Run, World, plain, status, xml};

/// K runs a `<Gather>` with these attributes and prompts; then hears "after".
fn gather(attributes: &str, prompts: &str) -> World {
    World::document(&format!(
        "<Gather {attributes}>{prompts}</Gather><Say>after</Say>"
    ))
    .app("/g", xml("<Hangup/>"))
}

/// When the action was requested, and with which digits, words and confidence; or when "after" was
/// heard.
fn outcome(run: &Run) -> String {
    let asked = run.app();
    let Some(action) = run.all_requests().find(|asked| asked.has("Digits")) else {
        let heard = run.heard("K");
        let after = heard.split(", ").find(|what| what.ends_with("say after"));
        return after.unwrap_or("nothing").to_owned();
    };
    let when = asked.split(", ").find(|line| line.contains(" /g"));
    let confidence = if action.has("Confidence") {
        action.get("Confidence")
    } else {
        "-"
    };
    format!(
        "{} [{}] [{}] {confidence}",
        when.unwrap_or_default(),
        action.get("Digits"),
        action.get("SpeechResult"),
    )
}

#[test]
fn case_189_speech_with_partial_results() {
    let run = gather(
        "input=\"speech\" action=\"/g\" partialResultCallback=\"/p?x=1\"",
        "",
    )
    .app("/p?x=1", status(500))
    .says(1.0, "my")
    .says(1.5, "my number")
    .has_said(2.0, "My number.")
    .run();
    assert_eq!(
        run.app(),
        "0 GET /v, 1 POST /p?x=1, 1.5 POST /p?x=1, 2 POST /g"
    );
    let told: Vec<&str> = run
        .requests("/p?x=1")
        .iter()
        .map(|asked| asked.get("UnstableSpeechResult"))
        .collect();
    assert_eq!(told, ["my", "my number"]);
    assert_eq!(
        run.requests("/p?x=1")[0].list(&["CallStatus", "From"]),
        "CallStatus=in-progress From=kim"
    );
    assert_eq!(outcome(&run), "2 POST /g [] [My number.] 0.75");
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
    assert_eq!(run.codes(), [0_u16; 0]);
}

#[test]
fn case_190_too_many_hints() {
    let hints = ["yes"; 51].join(",");
    let run = gather(&format!("input=\"speech\" hints=\"{hints}\""), "").run();
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_parse_downloaded_RCML");
    assert_eq!(run.codes(), [13330]);
    let told = &run.notifications[0];
    assert_eq!((told.line, told.column), (Some(1), Some(34)));
    assert_eq!(
        told.text,
        "the document is refused: `hints` of `Gather` has 51 entries; at most 50 are allowed"
    );
    // A later document ends a call that was answered.
    let run = World::document("<Say>hello</Say><Redirect>/b</Redirect>")
        .app(
            "/b",
            xml(&format!("<Gather hints=\"{}\"/>", "h".repeat(101))),
        )
        .run();
    assert!(
        run.to("K")
            .ends_with(" BYE Problem_to_parse_downloaded_RCML")
    );
}

#[test]
fn speech_and_its_outcome() {
    type Change = fn(World) -> World;
    let table: &[(&str, &str, Change, &str)] = &[
        ("nothing", "", |it| it, "5 say after"),
        (
            "nothing, asked all the same",
            "actionOnEmptyResult=\"true\"",
            |it| it,
            "5 POST /g [] [] -",
        ),
        // The recognizer returns its partial result when the silence has passed.
        (
            "silence after speech",
            "",
            |it| it.says(2.0, "yes"),
            "7 POST /g [] [yes] -",
        ),
        (
            "a shorter one",
            "speechTimeout=\"2\"",
            |it| it.says(2.0, "yes"),
            "4 POST /g [] [yes] -",
        ),
        (
            "each word counts anew",
            "speechTimeout=\"2\"",
            |it| it.says(2.0, "yes").says(3.9, "yes I").says(5.8, "yes I do"),
            "7.8 POST /g [] [yes I do] -",
        ),
        (
            "the recognizer decides",
            "speechTimeout=\"auto\"",
            |it| it.says(2.0, "yes").has_said(20.0, "yes"),
            "20 POST /g [] [yes] 0.75",
        ),
        (
            "sixty seconds at most",
            "speechTimeout=\"auto\"",
            |it| it.says(2.0, "on and").says(40.0, "on and on"),
            "62 POST /g [] [on and on] -",
        ),
        (
            "the silence before speech is that of the keys",
            "timeout=\"3\" speechTimeout=\"9\"",
            |it| it,
            "3 say after",
        ),
        (
            "somebody speaks, not understood yet",
            "",
            |it| it.says(4.0, ""),
            "9 say after",
        ),
        (
            "nothing was understood",
            "",
            |it| it.says(1.0, "").has_said(2.0, " "),
            "2 say after",
        ),
        (
            "keys are no input",
            "",
            |it| it.presses(1.0, "12"),
            "5 say after",
        ),
        (
            "a failure",
            "",
            |it| it.says(1.0, "yes").understood(2.0, failed()),
            "2 say after",
        ),
    ];
    for (what, attributes, change, expected) in table {
        let world = gather(&format!("input=\"speech\" action=\"/g\" {attributes}"), "");
        assert_eq!(outcome(&change(world).run()), *expected, "{what}");
    }
}

#[test]
fn keys_and_speech_together() {
    type Change = fn(World) -> World;
    let table: &[(&str, Change, &str)] = &[
        ("neither", |it| it, "5 say after"),
        (
            "speech",
            |it| it.has_said(1.0, "yes"),
            "1 POST /g [] [yes] 0.75",
        ),
        ("keys", |it| it.presses(1.0, "12"), "6.1 POST /g [12] [] -"),
        (
            "keys come first",
            |it| it.presses(1.0, "1").says(2.0, "yes").has_said(3.0, "yes"),
            "6 POST /g [1] [] -",
        ),
        (
            "keys come while somebody speaks",
            |it| it.says(1.0, "yes").presses(2.0, "1").has_said(3.0, "yes"),
            "7 POST /g [1] [] -",
        ),
        (
            "the finishing key ends speech",
            |it| it.says(1.0, "yes").presses(2.0, "#"),
            "2 POST /g [] [yes] -",
        ),
        (
            "the finishing key alone",
            |it| it.presses(2.0, "#"),
            "2 say after",
        ),
        (
            "a failure leaves the keys",
            |it| {
                it.says(1.0, "yes")
                    .understood(2.0, failed())
                    .presses(6.0, "7")
            },
            "11 POST /g [7] [] -",
        ),
    ];
    for input in ["dtmf speech", "Speech DTMF"] {
        for (what, change, expected) in table {
            let world = gather(&format!("input=\"{input}\" action=\"/g\""), "");
            assert_eq!(outcome(&change(world).run()), *expected, "{what}");
        }
    }
}

#[test]
fn a_word_interrupts_the_prompts() {
    let prompts = "<Say>one</Say><Pause length=\"2\"/><Say>two</Say>";
    let world = || gather("input=\"speech\" action=\"/g\"", prompts);
    let before = "0 say one";
    // The prompts play to their end: 1 s, 2 s, 1 s; then the time for the first word.
    assert_eq!(outcome(&world().run()), "9 say after");
    for (at, then) in [
        (0.5, ", 0.5 stop"),
        (2.0, ""),
        (3.5, ", 3 say two, 3.5 stop"),
    ] {
        let run = world().says(at, "yes").run();
        assert_eq!(run.heard("K"), format!("{before}{then}"), "{at}");
        assert_eq!(run.request("/g").get("SpeechResult"), "yes");
    }
    let run = world().has_said(0.5, "yes").run();
    assert_eq!(run.heard("K"), format!("{before}, 0.5 stop"));
}

#[test]
fn the_recognizer_gets_the_language_and_hints() {
    let listened = |attributes: &str| {
        let run = gather(attributes, "").run();
        let [request] = &run.listened[..] else {
            panic!("{} listenings", run.listened.len());
        };
        request.clone()
    };
    let plain = ListenRequest {
        language: "en-US".to_owned(),
        hints: Vec::new(),
        end_silence: Some(Duration::from_secs(5)),
    };
    assert_eq!(listened("input=\"speech\""), plain);
    let all = "input=\"speech\" language=\"de-de\" hints=\"ja, nein\" speechTimeout=\"auto\"";
    let expected = ListenRequest {
        language: "de-DE".to_owned(),
        hints: vec!["ja".to_owned(), "nein".to_owned()],
        end_silence: None,
    };
    assert_eq!(listened(all), expected);
    assert_eq!(
        listened("input=\"dtmf speech\" timeout=\"7\"").end_silence,
        Some(Duration::from_secs(7))
    );
    assert!(gather("input=\"dtmf\"", "").run().listened.is_empty());
}

#[test]
fn without_a_recognizer() {
    // Keys are collected, and the owner is warned.
    let run = gather("input=\"dtmf speech\" action=\"/g\"", "<Say>one</Say>")
        .recognizer(Recognizer::Missing)
        .presses(2.0, "12")
        .run();
    assert_eq!(outcome(&run), "7.1 POST /g [12] [] -");
    assert_eq!(run.codes(), [13340]);
    // Without keys no input is possible: the document continues as without input, once all prompts
    // have played.
    for (prompts, expected) in [
        ("", "0 say after"),
        ("<Say>one</Say><Pause/>", "2 say after"),
    ] {
        let run = gather("input=\"speech\" action=\"/g\"", prompts)
            .recognizer(Recognizer::Missing)
            .presses(0.5, "12")
            .run();
        assert_eq!(outcome(&run), expected);
        assert_eq!(run.codes(), [13341]);
        assert_eq!(run.notifications[0].line, Some(1));
    }
    let asks = "input=\"speech\" action=\"/g\" actionOnEmptyResult=\"true\"";
    let run = gather(asks, "").recognizer(Recognizer::Missing).run();
    assert_eq!(outcome(&run), "0 POST /g [] [] -");
}

#[test]
fn a_recognizer_that_fails_or_thinks_for_ever() {
    let run = gather("input=\"speech\"", "<Say>one</Say>")
        .understood(0.5, failed())
        .run();
    assert_eq!(outcome(&run), "1 say after");
    assert_eq!(run.codes(), [13342]);
    assert_eq!(
        run.notifications[0].text,
        "speech was not recognized: no voice"
    );
    // The partial result counts, five seconds after the silence.
    let world = || gather("input=\"speech\" action=\"/g\"", "").recognizer(Recognizer::Dreams);
    let run = world().says(1.0, "yes").run();
    assert_eq!(outcome(&run), "11 POST /g [] [yes] -");
    assert_eq!(run.codes(), [0_u16; 0]);
    let run = world().run();
    assert_eq!(outcome(&run), "10 say after");
    assert_eq!(run.codes(), [13342]);
    // It may still correct the result.
    let run = world().says(1.0, "yes").has_said(8.0, "Jess").run();
    assert_eq!(outcome(&run), "8 POST /g [] [Jess] 0.75");
}

#[test]
fn hanging_up_while_speaking_does_not_request_the_action() {
    let run = gather(
        "input=\"speech dtmf\" action=\"/g\" partialResultCallback=\"/p\"",
        "",
    )
    .says(1.0, "yes")
    .hangs_up(2.0)
    .run();
    assert_eq!(run.app(), "0 GET /v, 1 POST /p");
}

#[test]
fn partial_results_are_sent_one_at_a_time() {
    let run = gather(
        "input=\"speech\" action=\"/g\" partialResultCallback=\"/p\" partialResultCallbackMethod=\"GET\"",
        "",
    )
    .app("/p", plain("text/xml", "<Response><Hangup/></Response>").after(1.0))
    .says(1.0, "a")
    .says(1.2, "a b")
    .says(1.4, "a b c")
    .says(2.5, "a b c d")
    .has_said(2.7, "a b c d")
    .run();
    let told: Vec<&str> = run
        .requests("/p")
        .iter()
        .map(|asked| asked.get("UnstableSpeechResult"))
        .collect();
    // The newest one waits for the pending request; a partial result still waiting at the end is
    // not sent.
    assert_eq!(told, ["a", "a b c"]);
    assert_eq!(run.app(), "0 GET /v, 1 GET /p, 2 GET /p, 2.7 POST /g");
    assert_eq!(outcome(&run), "2.7 POST /g [] [a b c d] 0.75");
}

#[test]
fn an_unusable_address_for_partial_results_is_reported() {
    let run = gather(
        "input=\"speech\" action=\"/g\" partialResultCallback=\"ftp://x/y\"",
        "",
    )
    .says(1.0, "yes")
    .has_said(2.0, "yes")
    .run();
    assert_eq!(outcome(&run), "2 POST /g [] [yes] 0.75");
    assert_eq!(run.codes(), [11100]);
}

fn failed() -> SpeechNews {
    SpeechNews::Failed {
        reason: "no voice".to_owned(),
    }
}
