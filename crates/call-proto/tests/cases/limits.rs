//! Limits on what one document can make the server do, and on what others get to see.

use call_proto::Target;
use model::record::Notification;

use crate::world::{World, phone, status, xml};

#[test]
fn only_so_many_parties_are_called_at_once() {
    let nouns: String = (0..60)
        .map(|n| format!("<Number>+1{n:04}</Number>"))
        .collect();
    let world = (0..60).fold(
        World::document(&format!("<Dial timeout=\"2\">{nouns}</Dial>")),
        |world, n| world.phone(&format!("+1{n:04}"), phone().rings(0.0)),
    );
    let run = world.run();
    assert_eq!((run.legs(), run.codes()), (51, vec![13222]));
    assert_eq!(run.to("+10049"), "0 INVITE, 2 CANCEL");
    let told = &run.notifications[0];
    assert!(told.line.is_some() && told.column.is_some(), "{told:?}");
}

#[test]
fn only_so_many_phones_are_rung_at_once() {
    let world = (0..60).fold(
        World::document("<Dial timeout=\"2\"><Client>ann</Client></Dial>"),
        |world, _| world.phone("ann", phone().rings(0.0)),
    );
    let run = world.run();
    assert_eq!((run.legs(), run.codes()), (51, vec![13222]));
}

#[test]
fn the_time_of_a_dial_covers_the_look_up() {
    let mut world =
        World::document("<Dial timeout=\"5\" action=\"/a\"><Client>ann</Client></Dial>")
            .phone("ann", phone().rings(0.0))
            .app("/a", xml("<Hangup/>"));
    world.looking_up_ms = 3_000;
    let run = world.clone().run();
    assert_eq!(run.to("ann"), "3 INVITE, 5 CANCEL");
    assert_eq!(run.request("/a").get("DialCallStatus"), "no-answer");
    world.looking_up_ms = 9_000;
    let run = world.run();
    assert_eq!((run.legs(), run.codes()), (1, vec![11008]));
    assert_eq!(run.app(), "0 GET /v, 5 POST /a");
    assert_eq!(run.request("/a").get("DialCallStatus"), "failed");
}

/// Every response that a party may fail with, before the other one has rung until the timeout.
#[test]
fn a_dial_that_times_out_is_busy_if_a_party_was() {
    let table = [
        (486, "busy"),
        (600, "busy"),
        (603, "busy"),
        (487, "no-answer"),
        (408, "no-answer"),
        (480, "no-answer"),
        (503, "no-answer"),
        (604, "no-answer"),
    ];
    for (refusal, status) in table {
        let both = "<Client>ann</Client><Client>joe</Client>";
        let run = World::document(&format!("<Dial timeout=\"3\" action=\"/a\">{both}</Dial>"))
            .phone("ann", phone().rejects(1.0, refusal))
            .phone("joe", phone().rings(0.0))
            .app("/a", xml("<Hangup/>"))
            .run();
        assert_eq!(run.app(), "0 GET /v, 3 POST /a");
        assert_eq!(run.request("/a").get("DialCallStatus"), status, "{refusal}");
    }
}

#[test]
fn a_dial_to_one_party_reports_its_response() {
    let table: [(&[u16], &str); 3] = [
        (&[486, 600, 603], "busy"),
        (&[487], "canceled"),
        (
            &[400, 403, 404, 408, 480, 488, 500, 503, 604, 606],
            "failed",
        ),
    ];
    for (refusals, status) in table {
        for &refusal in refusals {
            let run = World::document("<Dial action=\"/a\"><Client>ann</Client></Dial>")
                .phone("ann", phone().rejects(1.0, refusal))
                .app("/a", xml("<Hangup/>"))
                .run();
            assert_eq!(run.request("/a").get("DialCallStatus"), status, "{refusal}");
        }
    }
}

#[test]
fn a_call_that_goes_round_comes_to_an_end() {
    let run = World::document("<Dial><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0).talks(1.0))
        .run();
    assert_eq!(run.invite("ann").max_forwards, 69);
}

#[test]
fn a_leg_whose_answer_cannot_be_used_has_failed() {
    let run = World::document("<Dial action=\"/a\"><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0).sdp(Some("unusable")))
        .app("/a", xml("<Hangup/>"))
        .run();
    assert_eq!(run.ended("ann"), "failed 0 s, rang 1 s");
    assert_eq!(run.request("/a").get("DialCallStatus"), "failed");
}

#[test]
fn secrets_stay_where_they_belong() {
    let mut world = World::new()
        .app("/v?token=abc", status(500))
        .app("/f", xml("<Dial>sip:zed:pa55@h.example?X-A=1</Dial>"))
        .phone("zed:pa55", phone().rejects(0.0, 486));
    let number = &mut world.directory.numbers[0].0;
    number.voice.url = Some("http://app/v?token=abc".to_owned());
    number.voice.fallback_url = Some("http://app/f".to_owned());
    let run = world.run();
    for secret in ["pa55", "abc"] {
        let trace = run
            .trace
            .iter()
            .map(|entry| format!("{} {}", entry.what, entry.detail));
        let shown: Vec<String> = trace.filter(|line| line.contains(secret)).collect();
        assert_eq!(shown, Vec::<String>::new(), "{secret}");
    }
}

#[test]
fn a_caller_id_that_cannot_be_sent_is_not_sent() {
    for (id, from, codes) in [
        ("+1555", "+1555", vec![]),
        ("sip:desk@pbx.example", "sip:desk@pbx.example", vec![]),
        ("Desk &lt;desk@pbx.example&gt;", "kim", vec![13214]),
    ] {
        let run = World::document(&format!(
            "<Dial callerId=\"{id}\"><Client>ann</Client></Dial>"
        ))
        .phone("ann", phone().rejects(0.0, 486))
        .run();
        assert_eq!(
            (run.invite("ann").from.as_str(), run.codes()),
            (from, codes)
        );
        let placed = |told: &Notification| told.line == Some(1) && told.column.is_some();
        assert!(run.notifications.iter().all(placed), "{id}");
    }
}

#[test]
fn a_client_as_caller_id_can_be_called_back() {
    let run =
        World::document("<Dial callerId=\"client:thomas\"><Client url=\"/s\">ann</Client></Dial>")
            .app("/s", xml("<Pause/>"))
            .phone("ann", phone().rings(0.0).answers(1.0).talks(3.0))
            .run();
    let invite = run.invite("ann");
    assert_eq!(invite.from, "thomas");
    assert_eq!(invite.from_display.as_deref(), Some("thomas"));
    assert_eq!(run.record("ann").from, "client:thomas");
    assert_eq!(run.request("/s").get("From"), "client:thomas");
}

#[test]
fn an_api_call_can_be_given_another_document_before_it_is_answered() {
    let run = World::api(Target::Client("ann".to_owned()), "<Pause/>")
        .app("/w", xml("<Hangup/>"))
        .phone("ann", phone().rings(0.0).answers(2.0))
        .redirects(1.0, "ann", "/w", false)
        .run();
    assert_eq!(run.app(), "2 POST /w");
    assert_eq!(run.ended("ann"), "completed 0 s, rang 2 s");
}
