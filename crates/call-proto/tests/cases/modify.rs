//! Calls made and changed through the API.

use call_proto::Target;

use crate::world::{Phone, Root, Run, World, empty, phone, xml};

const DIAL_NUMBER: &str = "<Dial action=\"/a\"><Number>+2000</Number></Dial>";

fn rings() -> Phone {
    phone().rings(0.0)
}

/// The API calls zed, for whom this document runs.
fn call_zed(content: &str, zed: Phone) -> World {
    World::api(Target::Sip("sip:zed@h".to_owned()), content).phone("zed", zed)
}

#[test]
fn case_211_call_to_a_sip_address() {
    let run = call_zed("<Dial><Number>+2000</Number></Dial>", rings().answers(1.0))
        .phone("+2000", rings().answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.app(), "1 GET /v");
    assert_eq!(
        run.request("/v")
            .list(&["CallStatus", "Direction", "From", "To"]),
        "CallStatus=in-progress Direction=outbound-api From=+1999 To=zed"
    );
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 5 BYE");
    assert_eq!(run.to("+2000"), "1 INVITE, 2 ACK");
    assert_eq!(run.ended("zed"), "completed 4 s, rang 1 s");
    assert_eq!(run.record("zed").direction.as_str(), "outbound-api");
}

#[test]
fn case_212_headers_of_an_api_call() {
    let mut world = call_zed("<Hangup/>", rings().answers(1.0));
    if let Root::Api(call) = &mut world.root {
        call.headers = vec![("X-C1".to_owned(), "12".to_owned())];
    }
    let run = world.run();
    assert_eq!(
        run.invite("zed").headers,
        [("X-C1".to_owned(), "12".to_owned())]
    );
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 1 BYE");
}

#[test]
fn case_213_whole_address_as_caller() {
    let mut world = call_zed("<Hangup/>", rings().answers(1.0));
    if let Root::Api(call) = &mut world.root {
        call.from = "sip:desk@pbx.example".to_owned();
    }
    let run = world.run();
    assert_eq!(run.invite("zed").from, "sip:desk@pbx.example");
    assert_eq!(run.record("zed").from, "desk");
}

#[test]
fn case_214_call_to_a_client() {
    let run = World::api(Target::Client("ann".to_owned()), "<Hangup/>")
        .phone("ann", rings().answers(1.0))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 1 BYE");
}

#[test]
fn case_215_client_with_two_contacts() {
    let run = World::api(Target::Client("ann".to_owned()), "<Pause length=\"2\"/>")
        .phone("ann", rings().answers(2.0))
        .phone("ann", rings().rejects(1.0, 486))
        .run();
    assert_eq!(run.legs(), 2);
    assert_eq!(run.app(), "2 GET /v");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK, 4 BYE");
    assert_eq!(run.to("ann2"), "0 INVITE");
    assert_eq!(run.ended("ann2"), "busy 0 s, rang 1 s");
    assert_eq!(
        run.request("/v").get("CallSid"),
        run.record("ann").sid.to_string()
    );
}

#[test]
fn case_216_call_to_a_number() {
    let run = World::api(Target::Number("+2000".to_owned()), "<Hangup/>")
        .phone("+2000", rings().answers(1.0))
        .run();
    assert_eq!(run.invite("+2000").route.uri, "sip:+2000@proxy.example");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 1 BYE");
}

#[test]
fn case_218_api_call_without_answer() {
    let mut world = call_zed("<Hangup/>", rings());
    if let Root::Api(call) = &mut world.root {
        call.timeout_s = 10;
    }
    let run = world.run();
    assert_eq!(run.to("zed"), "0 INVITE, 10 CANCEL");
    assert_eq!(
        (run.ended("zed").as_str(), run.app().as_str()),
        ("no-answer 0 s, rang 10 s", "")
    );
}

#[test]
fn case_219_dialled_leg_times_out() {
    let document = "<Dial timeout=\"10\"><Number>+2000</Number></Dial>";
    let run = call_zed(document, rings().answers(1.0))
        .phone("+2000", rings())
        .run();
    assert_eq!(run.to("+2000"), "1 INVITE, 11 CANCEL");
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 11 BYE");
}

#[test]
fn case_220_dialled_leg_is_busy() {
    let run = call_zed("<Dial><Number>+2000</Number></Dial>", rings().answers(1.0))
        .phone("+2000", phone().rejects(1.0, 486))
        .run();
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 2 BYE");
}

#[test]
fn case_221_api_call_is_refused() {
    let run = call_zed("<Hangup/>", phone().rejects(1.0, 500)).run();
    assert_eq!(run.to("zed"), "0 INVITE");
    assert_eq!(
        (run.ended("zed").as_str(), run.app().as_str()),
        ("failed 0 s, rang 1 s", "")
    );
}

/// K is connected with +2000 after 1 s.
fn connected() -> World {
    World::document(DIAL_NUMBER)
        .app("/a", empty())
        .phone("+2000", rings().answers(1.0))
}

#[test]
fn case_222_complete_the_parent() {
    let run = connected().completes(4.0, "K").run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.app(), "0 GET /v, 4 POST /a");
    assert_eq!(
        run.request("/a").list(&["CallStatus", "DialCallStatus"]),
        "CallStatus=completed DialCallStatus=completed"
    );
    assert_eq!(run.record("K").reason.as_deref(), Some("api"));
}

#[test]
fn case_223_complete_again() {
    let once = connected().completes(4.0, "K").run();
    let twice = connected()
        .completes(4.0, "K")
        .completes(5.0, "K")
        .cancels(6.0, "K")
        .redirects(7.0, "K", "/other", true)
        .run();
    assert_eq!(twice.to("K"), once.to("K"));
    assert_eq!(twice.app(), once.app());
    assert_eq!(twice.ended("K"), "completed 4 s");
}

#[test]
fn case_224_cancel_a_ringing_api_call() {
    let run = call_zed("<Hangup/>", rings()).cancels(3.0, "zed").run();
    assert_eq!(run.to("zed"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.ended("zed"), "canceled 0 s, rang 3 s");
    let answered = call_zed("<Pause length=\"5\"/>", rings().answers(1.0));
    let run = answered.cancels(3.0, "zed").run();
    assert_eq!(
        run.to("zed"),
        "0 INVITE, 1 ACK, 6 BYE",
        "an answered call is not canceled"
    );
}

#[test]
fn case_225_redirect_without_partner() {
    let run = connected()
        .app("/other", xml("<Dial><Client>ann</Client></Dial>"))
        .phone("ann", rings().answers(1.0).talks(2.0))
        .redirects(4.0, "K", "/other", false)
        .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(
        run.app(),
        "0 GET /v, 4 POST /other",
        "the old action is not asked"
    );
    assert_eq!(run.request("/other").get("CallStatus"), "in-progress");
    assert_eq!(run.to("ann"), "4 INVITE, 5 ACK");
    assert_eq!(run.to("K"), "0 180, 0 200, 7 BYE");
}

/// Both legs run the new document.
#[test]
fn redirect_with_partner() {
    let run = connected()
        .app("/other", xml("<Pause length=\"2\"/>"))
        .redirects(4.0, "K", "/other", true)
        .run();
    assert_eq!(run.app(), "0 GET /v, 4 POST /other, 4 POST /other");
    assert_eq!(run.to("K"), "0 180, 0 200, 6 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 6 BYE");
    let sids: Vec<&str> = run
        .requests("/other")
        .iter()
        .map(|asked| asked.get("CallSid"))
        .collect();
    let expected = [
        run.record("K").sid.to_string(),
        run.record("+2000").sid.to_string(),
    ];
    assert_eq!(sids, expected);
}

/// The callee goes its own way; the caller is hung up, and its action asked.
#[test]
fn redirect_of_the_callee() {
    let run = connected()
        .app("/other", xml("<Pause length=\"2\"/>"))
        .redirects(4.0, "+2000", "/other", false)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 6 BYE");
    assert_eq!(run.app(), "0 GET /v, 4 POST /other, 4 POST /a");
}

/// What was recorded until then is kept.
#[test]
fn redirect_of_a_recorded_call() {
    let document = DIAL_NUMBER.replace("<Dial", "<Dial record=\"true\"");
    for closing_ms in [0, 500] {
        let mut world = World::document(&document)
            .app("/other", xml("<Hangup/>"))
            .phone("+2000", rings().answers(1.0))
            .redirects(4.0, "K", "/other", false);
        world.closing_ms = Some(closing_ms);
        let run = world.run();
        let recording = &run.recordings[0];
        assert_eq!(
            (recording.call, recording.duration_ms),
            (run.record("K").sid, 3_000)
        );
        assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    }
}

/// A leg that nobody answered yet runs nothing.
#[test]
fn redirect_of_a_ringing_callee() {
    let run = World::document(DIAL_NUMBER)
        .app("/a", empty())
        .phone("+2000", rings().answers(4.0).talks(1.0))
        .redirects(2.0, "+2000", "/other", false)
        .run();
    assert_eq!(run.codes(), [21220]);
    assert_eq!(run.app(), "0 GET /v, 5 POST /a");
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
}

/// The caller is being answered: the new document waits for that.
#[test]
fn redirect_of_a_caller_being_answered() {
    let mut world = connected()
        .app("/other", xml("<Play>b.wav</Play>"))
        .clip("http://app/b.wav", 1.0)
        .redirects(1.0, "K", "/other", false);
    world.caller.ack_ms = Some(2_000);
    let run = world.run();
    assert_eq!(run.app(), "0 GET /v, 1 POST /other");
    assert_eq!(run.heard("K"), "2 play http://app/b.wav");
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    assert_eq!(run.to("+2000"), "");
}

const TWO: &str = "<Dial action=\"/a\"><Client>ann</Client><Number>+2000</Number></Dial>";

/// Two phones that only ring.
fn two_ring() -> World {
    World::document(TWO)
        .app("/a", empty())
        .phone("ann", rings())
        .phone("+2000", rings())
}

/// Both phones were canceled after 2 s.
#[track_caller]
fn both_canceled(run: &Run) {
    for who in ["ann", "+2000"] {
        assert_eq!(run.to(who), "0 INVITE, 2 CANCEL");
        assert_eq!(run.ended(who), "canceled 0 s, rang 2 s");
    }
}

#[test]
fn case_229_cancel_each_target() {
    let run = two_ring().cancels(2.0, "ann").cancels(2.0, "+2000").run();
    both_canceled(&run);
    assert_eq!(run.app(), "0 GET /v, 2 POST /a");
    assert_eq!(run.request("/a").get("DialCallStatus"), "canceled");
    let one = two_ring().cancels(2.0, "ann").hangs_up(5.0).run();
    assert_eq!(one.to("ann"), "0 INVITE, 2 CANCEL");
    assert_eq!(one.to("+2000"), "0 INVITE, 5 CANCEL", "the other goes on");
}

#[test]
fn case_230_complete_the_parent_of_ringing_targets() {
    let run = two_ring().completes(2.0, "K").run();
    both_canceled(&run);
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
    assert_eq!(run.request("/a").get("DialCallStatus"), "canceled");
}

#[test]
fn case_231_redirect_the_parent_of_ringing_targets() {
    let run = two_ring()
        .app("/other", xml("<Hangup/>"))
        .redirects(2.0, "K", "/other", false)
        .run();
    both_canceled(&run);
    assert_eq!(run.app(), "0 GET /v, 2 POST /other");
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
    assert_eq!(run.heard("K"), "0 play ring tone for ever, 2 stop");
}
