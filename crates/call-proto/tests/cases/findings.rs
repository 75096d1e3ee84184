//! What is reported about the documents of a call to the account's owner and in the trace.

use call_proto::{Dialect, Lane};
use model::error;

use crate::world::{Reply, Run, World, page, phone, plain, status};

/// Number, line, column and text of each notification.
fn told(run: &Run) -> Vec<String> {
    let line = |found: &model::record::Notification| {
        let place = (found.line.unwrap_or(0), found.column.unwrap_or(0));
        format!("{} {}:{} {}", found.code, place.0, place.1, found.text)
    };
    run.notifications.iter().map(line).collect()
}

/// The trace entries about the document.
fn traced(run: &Run) -> Vec<String> {
    let about = |what: &str| what.starts_with("warning ") || what.starts_with("error ");
    run.trace
        .iter()
        .filter(|entry| entry.lane == Lane::Rcml && about(&entry.what))
        .map(|entry| format!("{}: {}", entry.what, entry.detail))
        .collect()
}

#[test]
fn number_place_and_suggestion_reach_notifications_and_trace() {
    let xml = "<Response>\n  <say>Hello</say>\n  <Pause Length=\"2\"/>\n</Response>";
    let run = World::new().app("/v", plain("text/xml", xml)).run();
    assert_eq!(
        told(&run),
        [
            "12200 2:3 `say` is not a verb; it was skipped (did you mean `Say`?)",
            "12201 3:10 `Pause` has no attribute `Length` (did you mean `length`?)",
            "12208 0:0 no verb answered the call: it was refused with 500",
        ]
    );
    assert_eq!(
        traced(&run),
        [
            "error 12200: line 2, column 3: `say` is not a verb; it was skipped (did you mean `Say`?)",
            "warning 12201: line 3, column 10: `Pause` has no attribute `Length` (did you mean `length`?)",
            "warning 12208: no verb answered the call: it was refused with 500",
        ]
    );
}

/// Whoever looks for the reason why an application did nothing finds it.
#[test]
fn a_call_on_which_nothing_ran_is_told() {
    let ann = || model::Target::Client("ann".to_owned());
    let phone = phone().answers(1.0);
    let refused =
        |status| format!("12208 0:0 there is no verb: the call was refused with {status}");
    let unanswered = "12208 0:0 no verb answered the call: it was refused with 500";
    let table = [
        (World::document(""), Some(unanswered.to_owned())),
        (World::document("<Pause/>"), Some(unanswered.to_owned())),
        (
            World::document("").dialect(Dialect::TWILIO),
            Some(refused(603)),
        ),
        (
            World::api(ann(), "").phone("ann", phone.clone()),
            Some("12208 0:0 there is no verb: the call ended at once".to_owned()),
        ),
        // Something ran, or refused the call on purpose.
        (World::document("<Say>Hi</Say>"), None),
        (World::document("<Reject/>"), None),
        (
            World::document("<Gather action='/end'/>")
                .presses(1.0, "1#")
                .app("/end", plain("text/xml", "<Response/>")),
            None,
        ),
        (World::api(ann(), "<Pause/>").phone("ann", phone), None),
    ];
    for (at, (world, expected)) in table.into_iter().enumerate() {
        let run = world.run();
        assert_eq!(told(&run), Vec::from_iter(expected), "row {at}");
    }
}

#[test]
fn a_document_that_is_not_xml_is_reported_with_its_place() {
    let xml = "<Response>\n  <Say>Hello</Response>";
    let run = World::new().app("/v", plain("text/xml", xml)).run();
    let text = "the document is not well-formed: `</Say>` was expected, but `</Response>` is here";
    assert_eq!(told(&run), [format!("12100 2:13 {text}")]);
    assert_eq!(
        traced(&run),
        [format!("error 12100: line 2, column 13: {text}")]
    );
}

#[test]
fn an_application_that_refuses_a_post_is_reported_with_what_to_set() {
    let by_post = || {
        World::new().with(|directory| {
            directory.numbers[0].0.voice.method = None;
            directory.numbers[0].0.voice.fallback_method = None;
        })
    };
    let of_get = |code: u16| by_post().app("/v", status(code));
    let with_fallback = of_get(501).app("/f", status(405)).with(|directory| {
        directory.numbers[0].0.voice.fallback_url = Some("http://app/f".to_owned());
    });
    let hint = |path: &str, code: u16, set: &str| {
        format!(
            "11206 0:0 http://app{path} answered with status {code}; the request was a POST: \
             set {set} to GET if the web server expects a GET"
        )
    };
    let table = [
        (
            of_get(405),
            vec![hint("/v", 405, "`VoiceMethod` of the number")],
        ),
        (
            with_fallback,
            vec![
                hint("/v", 501, "`VoiceMethod` of the number"),
                hint("/f", 405, "`VoiceFallbackMethod` of the number"),
            ],
        ),
        (
            World::document("<Redirect>/r</Redirect>").app("/r", status(405)),
            vec![hint("/r", 405, "`method`")],
        ),
        (
            World::document("<Pause length=\"9\"/>")
                .app("/r", status(405))
                .redirects(1.0, "K", "/r", false),
            vec![hint("/r", 405, "`Method` in the API request")],
        ),
        (
            of_get(500),
            vec!["11206 0:0 http://app/v answered with status 500".to_owned()],
        ),
        (
            World::new().app("/v", status(405)),
            vec!["11206 0:0 http://app/v answered with status 405".to_owned()],
        ),
    ];
    for (at, (world, expected)) in table.into_iter().enumerate() {
        let run = world.run();
        assert_eq!(told(&run), expected, "row {at}");
    }
}

#[test]
fn only_a_404_without_a_web_page_says_that_the_application_is_not_there() {
    let body = |kind: &str, body: &str| Reply::of(404, Some(kind), body);
    let table = [
        (status(404), "0 180, 0 404 Application_not_found"),
        (
            body("text/xml", "<Response/>"),
            "0 180, 0 404 Application_not_found",
        ),
        (
            body("text/plain", "not found"),
            "0 180, 0 500 Problem_to_setup_the_call",
        ),
        (
            body("text/html", "<html><p/></html>"),
            "0 180, 0 500 Problem_to_setup_the_call",
        ),
        (page(404), "0 180, 0 500 Problem_to_setup_the_call"),
    ];
    for (at, (reply, expected)) in table.into_iter().enumerate() {
        let run = World::new().app("/v", reply).run();
        assert_eq!(run.to("K"), expected, "row {at}");
        assert_eq!(run.codes(), [error::DOCUMENT_NOT_FOUND], "row {at}");
    }
}

#[test]
fn a_document_that_runs_repeatedly_is_reported_once() {
    let run = World::document("<Whistle/><Pause length=\"2\"/><Redirect>/v</Redirect>")
        .hangs_up(30.0)
        .run();
    assert!(run.requests("/v").len() > 10, "{}", run.app());
    assert_eq!(run.codes(), [error::UNKNOWN_VERB]);
}

#[test]
fn an_unusable_address_is_reported_once_and_with_its_place() {
    let table = [
        ("<Play>http://[bad</Play>", "11100 1:17"),
        ("<Redirect>ftp://x/</Redirect>", "11100 1:21"),
        (
            "<Gather><Play>http://a:99999/</Play></Gather>",
            "11100 1:25",
        ),
        (
            "<Dial action=\"http://[bad\"><Client>joe</Client></Dial>",
            "11100 1:17",
        ),
    ];
    for (xml, expected) in table {
        let run = World::document(xml).run();
        let told = told(&run);
        let addresses: Vec<&str> = told
            .iter()
            .filter(|line| line.starts_with("11100"))
            .filter_map(|line| line.get(..expected.len()))
            .collect();
        assert_eq!(addresses, [expected], "{told:?}");
    }
}

#[test]
fn an_address_that_ends_the_call_is_reported_despite_many_other_findings() {
    let many = "<Whistle/>".repeat(60);
    let run = World::document(&format!("{many}<Play>ftp://x/</Play>")).run();
    let ends = |code: &&u16| **code == error::BAD_URI;
    assert_eq!(run.codes().iter().filter(ends).count(), 1);
}

#[test]
fn many_findings_end_in_one_line_that_counts_the_rest() {
    let run = World::document(&"<Whistle/>".repeat(80)).run();
    let codes = run.codes();
    assert_eq!(codes.len(), 52);
    assert_eq!(codes[..50], [error::UNKNOWN_VERB; 50]);
    assert_eq!(codes[50], error::EMPTY_DOCUMENT);
    assert_eq!(
        told(&run)[51],
        "12209 0:0 30 more problems in documents of this call are not listed"
    );
}

#[test]
fn what_a_document_has_beyond_its_list_counts_once() {
    let many = "<Whistle/>".repeat(150);
    let run = World::document(&format!(
        "{many}<Pause length=\"2\"/><Redirect>/v</Redirect>"
    ))
    .hangs_up(10.0)
    .run();
    assert!(run.requests("/v").len() > 3, "{}", run.app());
    assert_eq!(
        told(&run)[50],
        "12209 0:0 100 more problems in documents of this call are not listed"
    );
}
