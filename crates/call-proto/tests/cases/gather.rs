//! Gather, and keys in other places.

use call_proto::{Dialect, DigitWay, Target};

use crate::world::{Act, Run, World, phone, xml};

/// K runs a `<Gather>` with these attributes and prompts; then hears "after".
fn gather(attributes: &str, prompts: &str) -> World {
    World::document(&format!(
        "<Gather {attributes}>{prompts}</Gather><Say>after</Say>"
    ))
    .app("/g", xml("<Hangup/>"))
}

/// The parameters and time of the action request, or nothing.
fn asked(run: &Run) -> String {
    let asked = run.app();
    let rest = asked.strip_prefix("0 GET /v").expect("the document");
    match run.all_requests().find(|asked| asked.has("Digits")) {
        Some(request) => format!(
            "{} {}",
            rest.trim_start_matches(", "),
            request.get("Digits")
        ),
        None => rest.to_owned(),
    }
}

#[test]
fn attributes_of_gather() {
    // Attributes, K's keys at 1 s, and what follows.
    let table = [
        ("timeout=\"2\"", "12", "3.1 POST /v 12"),
        ("timeout=\"2\" finishOnKey=\"\"", "1#2", "3.2 POST /v 1#2"),
        ("finishOnKey=\"*0\"", "1#0", "1.2 POST /v 1#"),
        (
            "startInputKey=\"12\" numDigits=\"2\"",
            "3914",
            "1.3 POST /v 14",
        ),
        ("startInputKey=\"12\"", "39", ""),
        ("numDigits=\"1\"", "7", "1 POST /v 7"),
        ("actionOnEmptyResult=\"true\"", "", "5 POST /v "),
        ("actionOnEmptyResult=\"true\"", "#", "1 POST /v "),
        (
            "action=\"g?x=1\" method=\"GET\" numDigits=\"1\"",
            "*",
            "1 GET /g?x=1 *",
        ),
    ];
    for (attributes, keys, expected) in table {
        let run = gather(attributes, "")
            .app("/v", xml("<Hangup/>"))
            .app("/g?x=1", xml("<Hangup/>"))
            .presses(1.0, keys)
            .run();
        assert_eq!(asked(&run), expected, "{attributes} {keys}");
    }
}

#[test]
fn prompts_are_made_first_and_a_key_interrupts_them() {
    let prompts = "<Say>one</Say><Pause length=\"2\"/><Play loop=\"2\">a.wav</Play>";
    let world = || gather("action=\"/g\"", prompts).clip("http://app/a.wav", 3.0);
    let heard = "0 say one";
    // The prompts play to their end: 1 s, 2 s, 6 s; then the time for the first key.
    let run = world().run();
    assert_eq!(
        run.heard("K"),
        format!("{heard}, 3 play http://app/a.wav 2 times, 14 say after")
    );
    for (at, then) in [
        (0.5, ", 0.5 stop"),
        (2.0, ""),
        (4.0, ", 3 play http://app/a.wav 2 times, 4 stop"),
        (10.0, ", 3 play http://app/a.wav 2 times"),
    ] {
        let run = world().presses(at, "5").run();
        assert_eq!(run.heard("K"), format!("{heard}{then}"), "{at}");
        assert_eq!(run.request("/g").get("Digits"), "5");
        assert!(
            asked(&run).starts_with(&format!("{} POST /g", at + 5.0)),
            "{at}"
        );
    }
}

#[test]
fn a_prompt_that_cannot_be_had() {
    let world = |dialect| {
        gather("action=\"/g\"", "<Say>unspeakable</Say><Say>b</Say>")
            .dialect(dialect)
            .run()
    };
    let run = world(Dialect::RESTCOMM);
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE Say failed");
    let run = world(Dialect::TWILIO);
    assert_eq!(run.heard("K"), "0 say b, 6 say after");
    let run = gather("", "<Play>ftp://x/y.wav</Play>").run();
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE address is not valid");
}

#[test]
fn hanging_up_does_not_request_the_action() {
    let run = gather("action=\"/g\"", "<Say>one</Say>")
        .presses(1.0, "12")
        .hangs_up(2.0)
        .run();
    assert_eq!(asked(&run), "");
    assert_eq!(
        (run.to("K").as_str(), run.ended("K").as_str()),
        ("0 180, 0 200", "completed 2 s")
    );
}

#[test]
fn the_first_way_of_a_phone_counts() {
    // It sends each key twice, once by telephone-event and once by INFO.
    let run = gather("action=\"/g\" numDigits=\"3\"", "")
        .presses(1.0, "123")
        .presses_by(1.05, "123", DigitWay::Info)
        .run();
    assert_eq!(asked(&run), "1.2 POST /g 123");
}

#[test]
fn a_redirected_gather_leaves_nothing() {
    let run = gather("action=\"/g\"", "<Say>one</Say>")
        .app("/w", xml("<Pause length=\"2\"/>"))
        .redirects(0.5, "K", "/w", false)
        .presses(1.0, "1#")
        .run();
    assert_eq!(run.app(), "0 GET /v, 0.5 POST /w");
    assert_eq!(run.heard("K"), "0 say one, 0.5 stop");
}

#[test]
fn a_call_of_the_api_continues_with_its_own_document() {
    let run = World::api(
        Target::Client("ann".to_owned()),
        "<Gather numDigits=\"1\"/>",
    )
    .phone("ann", phone().answers(0.0))
    .act(1.0, Act::Key("ann".to_owned(), '1', DigitWay::Tone))
    .run();
    // The document gathers again, this time without input.
    assert_eq!(run.app(), "0 GET /v, 1 POST /v");
    let asked = run.requests("/v");
    assert_eq!(asked[1].get("Digits"), "1");
    assert_eq!(run.ended("ann"), "completed 6 s, rang 0 s");
}

#[test]
fn keys_are_pressed_towards_the_remote_party() {
    let run = World::document("<Play digits=\"1w#\" loop=\"2\"/><Say>b</Say>").run();
    assert_eq!(run.heard("K"), "0 keys 1w#1w#, 1.8 say b");
    let run = World::document("<Dial><Number sendDigits=\"ww7#\">+2000</Number></Dial>")
        .phone("+2000", phone().answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.heard("+2000"), "1 keys ww7#");
    assert_eq!(run.ended("+2000"), "completed 3 s, rang 1 s");
    // Then the two hear each other.
    let heard = run.heard("K");
    assert!(heard.contains("2.4 joins +2000"), "{heard}");
    let run =
        World::document("<Dial record=\"true\"><Number sendDigits=\"ww7#\">+2000</Number></Dial>")
            .phone("+2000", phone().answers(1.0).talks(3.0))
            .hangs_up(1.5)
            .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 1.5 BYE");
    assert_eq!(run.heard("+2000"), "1 keys ww7#, 1.5 stop");
}

#[test]
fn a_key_by_info_reaches_the_other_leg() {
    let dial = || {
        World::document("<Dial><Client>ann</Client></Dial>")
            .phone("ann", phone().answers(1.0).talks(5.0))
    };
    let run = dial().presses_by(2.0, "4*", DigitWay::Info).run();
    assert_eq!(run.heard("ann"), "2 keys 4, 2.1 keys *");
    let run = dial()
        .act(2.0, Act::Key("ann".to_owned(), '9', DigitWay::Info))
        .run();
    assert!(run.heard("K").contains("2 keys 9"), "{}", run.heard("K"));
    // Keys in the media are passed on there.
    assert_eq!(dial().presses(2.0, "4").run().heard("ann"), "");
}

#[test]
fn star_hangs_up_the_callee() {
    let dial = |attributes: &str| {
        World::document(&format!(
            "<Dial {attributes} action=\"/g\"><Client>ann</Client></Dial>"
        ))
        .app("/g", xml("<Say>after</Say>"))
        .phone("ann", phone().rings(0.0).answers(1.0).talks(9.0))
    };
    let run = dial("hangupOnStar=\"true\"")
        .presses(0.5, "*")
        .presses(3.0, "1*")
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 3.1 BYE");
    assert_eq!(
        run.request("/g")
            .list(&["DialCallStatus", "DialCallDuration"]),
        "DialCallStatus=completed DialCallDuration=2"
    );
    assert_eq!(run.to("K"), "0 180, 0 200, 4.1 BYE");
    let run = dial("").presses(3.0, "*").run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
}
