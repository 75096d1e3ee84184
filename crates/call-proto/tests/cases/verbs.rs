//! Single verbs, and recordings of Dial that fail.

use crate::world::{Run, World, phone, xml};

/// Verbs, what K hears, and the messages sent to K.
#[test]
fn verbs_in_order() {
    let table = [
        ("<Say>hello</Say>", "0 say hello", "0 180, 0 200, 1 BYE"),
        (
            "<Say loop=\"2\">a</Say><Say>b</Say>",
            "0 say a 2 times, 2 say b",
            "0 180, 0 200, 3 BYE",
        ),
        (
            "<Play loop=\"3\">x.wav</Play>",
            "0 play http://app/x.wav 3 times",
            "0 180, 0 200, 6 BYE",
        ),
        (
            "<Say/><Play/><Redirect/><Hangup/>",
            "",
            "0 180, 0 200, 0 BYE",
        ),
        (
            "<Pause length=\"2\"/><Say>a</Say><Pause length=\"3\"/>",
            "2 say a",
            "0 180, 2 200, 6 BYE",
        ),
        ("<Say>a</Say><Reject/>", "0 say a", "0 180, 0 200, 1 BYE"),
        (
            "<Say>unspeakable</Say><Say>b</Say>",
            "",
            "0 180, 0 200, 0 BYE Say failed",
        ),
        (
            "<Play>ftp://x/y.wav</Play>",
            "",
            "0 180, 0 200, 0 BYE address is not valid",
        ),
        (
            "<Redirect>/next</Redirect><Say>a</Say>",
            "0 say next",
            "0 180, 0 200, 1 BYE",
        ),
    ];
    for (document, heard, sent) in table {
        let run = World::document(document)
            .app("/next", xml("<Say>next</Say>"))
            .clip("http://app/x.wav", 2.0)
            .run();
        assert_eq!(run.heard("K"), heard, "{document}");
        assert_eq!(run.to("K"), sent, "{document}");
    }
}

/// Unsupported elements are reported with number and line, and skipped.
#[test]
fn unsupported_elements_are_reported() {
    let ann = |attributes: &str, noun: &str| {
        format!("\n<Dial {attributes}><Client {noun}>ann</Client></Dial>")
    };
    let table = [
        ("\n<Fax/><Hangup/>".to_owned(), "`Fax`"),
        (ann("", "name=\"ann\""), "`name`"),
    ];
    for (document, what) in table {
        let run = World::document(&document)
            .phone("ann", phone().answers(0.0).talks(1.0))
            .run();
        assert_eq!(run.codes(), [12204], "{document}");
        assert!(run.notifications[0].text.contains(what), "{document}");
        assert_eq!(run.notifications[0].line, Some(2), "{document}");
        assert_eq!(
            run.ended("K").split(' ').next(),
            Some("completed"),
            "{document}"
        );
        assert!(!run.heard("K").contains("x.wav"), "{document}");
    }
}

#[test]
fn redirects_in_a_circle_end() {
    let table = [
        "<Redirect>/v</Redirect>",
        "<Dial action=\"/v\"><Client>joe</Client></Dial>",
        "<Dial action=\"/v\"><Client>nobody</Client></Dial>",
        "<Dial answerOnBridge=\"true\" action=\"/v\"><Client>nobody</Client></Dial>",
    ];
    for document in table {
        let run = World::document(document)
            .app("/v", xml(document))
            .phone("joe", phone().rejects(0.0, 486))
            .run();
        assert!(run.codes().contains(&11101), "{document}");
        assert_eq!(run.requests("/v").len(), 21, "{document}");
        assert_eq!(run.ended("K"), "failed 0 s", "{document}");
    }
    // Documents that take time do not form a loop.
    for document in [
        "<Dial action=\"/v\"><Client>ann</Client></Dial>",
        "<Say>a</Say><Redirect>/v</Redirect>",
    ] {
        let run = World::document(document)
            .phone("ann", phone().rejects(1.0, 486))
            .hangs_up(60.5)
            .run();
        assert_eq!(run.ended("K"), "completed 61 s", "{document}");
        assert_eq!(run.codes(), [0_u16; 0], "{document}");
    }
}

/// A recorded Dial with ann, who answers after 1 s.
fn recorded(world: impl FnOnce(World) -> World) -> Run {
    let document = "<Dial record=\"true\" action=\"/a\"><Client>ann</Client></Dial>";
    world(World::document(document).app("/a", xml(""))).run()
}

/// The action waits for the file, but not forever, and names it only if it exists.
#[test]
fn recordings_that_fail() {
    let talks = |world: World| world.phone("ann", phone().answers(1.0).talks(3.0));
    let slow = recorded(|world| World {
        closing_ms: Some(700),
        ..talks(world)
    });
    assert_eq!(slow.app(), "0 GET /v, 4.7 POST /a");
    assert!(slow.request("/a").has("RecordingUrl"));
    assert_eq!(slow.request("/a").get("DialCallDuration"), "3");
    let never = recorded(|world| World {
        closing_ms: None,
        ..talks(world)
    });
    assert_eq!(never.app(), "0 GET /v, 9 POST /a");
    assert!(!never.request("/a").has("RecordingUrl"));
    assert_eq!(never.codes(), [13620]);
    let full = recorded(|world| World {
        disk_full: true,
        ..talks(world)
    });
    assert_eq!(full.app(), "0 GET /v, 4 POST /a");
    assert!(!full.request("/a").has("RecordingUrl"));
    assert_eq!(full.codes(), [13620]);
}
