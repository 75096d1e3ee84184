//! The action of Dial.

use crate::world::{Phone, Run, World, empty, phone, status, xml};

const ANN: &str = "<Dial action=\"/a\"><Client>ann</Client></Dial>";
const RESULT: [&str; 2] = ["DialCallStatus", "DialCallDuration"];

/// Calls ann with an action that answers nothing.
fn ann(phone: Phone) -> World {
    World::document(ANN).app("/a", empty()).phone("ann", phone)
}

/// The child named by the action is the record of this party.
#[track_caller]
fn names(run: &Run, who: &str) {
    let sid = run.record(who).sid.to_string();
    assert_eq!(run.request("/a").get("DialCallSid"), sid);
}

#[test]
fn case_082_nobody_to_dial() {
    let run = World::document("<Dial action=\"/a\"><Client>nobody</Client></Dial>")
        .app("/a", empty())
        .run();
    assert_eq!(run.app(), "0 GET /v, 0 POST /a");
    assert_eq!(
        run.request("/a").list(&[
            "DialCallStatus",
            "DialCallDuration",
            "DialCallSid",
            "From",
            "To",
            "CallStatus"
        ]),
        "DialCallStatus=failed DialCallDuration=0 DialCallSid=null From=kim To=+1000 \
         CallStatus=in-progress"
    );
    assert!(!run.request("/a").has("DialRingDuration"));
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE");
    assert_eq!(run.ended("K"), "completed 0 s");
    assert_eq!(run.codes(), [11008], "an empty answer is no problem");
}

#[test]
fn case_083_callee_hangs_up() {
    let run = ann(phone().answers(0.0).talks(3.0)).run();
    assert_eq!(run.app(), "0 GET /v, 3 POST /a");
    assert_eq!(
        run.request("/a").list(&RESULT),
        "DialCallStatus=completed DialCallDuration=3"
    );
    names(&run, "ann");
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    assert_eq!(run.ended("K"), "completed 3 s");
}

#[test]
fn case_084_caller_hangs_up() {
    let run = ann(phone().answers(0.0)).hangs_up(3.0).run();
    assert_eq!(run.to("ann"), "0 INVITE, 0 ACK, 3 BYE");
    assert_eq!(run.app(), "0 GET /v, 3 POST /a");
    assert_eq!(
        run.request("/a").list(&RESULT),
        "DialCallStatus=completed DialCallDuration=3"
    );
    names(&run, "ann");
}

#[test]
fn case_085_no_answer() {
    let document = "<Dial timeout=\"3\" action=\"/a\"><Client>ann</Client></Dial>";
    let run = World::document(document)
        .app("/a", empty())
        .phone("ann", phone().rings(0.0))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.app(), "0 GET /v, 3 POST /a");
    assert_eq!(
        run.request("/a")
            .list(&["DialCallStatus", "DialRingDuration", "DialCallDuration"]),
        "DialCallStatus=no-answer DialRingDuration=3 DialCallDuration=0"
    );
    names(&run, "ann");
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
}

#[test]
fn case_086_busy() {
    let run = ann(phone().rejects(0.0, 486)).run();
    assert_eq!(run.app(), "0 GET /v, 0 POST /a");
    assert_eq!(
        run.request("/a").list(&RESULT),
        "DialCallStatus=busy DialCallDuration=0"
    );
    names(&run, "ann");
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE");
}

#[test]
fn case_087_busy_after_ringing() {
    let run = ann(phone().rings(0.0).rejects(2.0, 486)).run();
    assert_eq!(run.request("/a").get("DialRingDuration"), "2");
    assert_eq!(run.ended("ann"), "busy 0 s, rang 2 s");
}

/// ann rings for 2 s and talks for 3 s.
fn two_and_three() -> Run {
    ann(phone().rings(0.0).answers(2.0).talks(3.0)).run()
}

#[test]
fn case_088_durations() {
    let run = two_and_three();
    assert_eq!(
        run.request("/a")
            .list(&["DialCallDuration", "DialRingDuration"]),
        "DialCallDuration=3 DialRingDuration=2"
    );
    assert_eq!(run.ended("K"), "completed 5 s");
    assert_eq!(run.record("K").direction.as_str(), "inbound");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 2 s");
}

#[test]
fn case_089_record_of_the_callee() {
    let run = two_and_three();
    let (caller, callee) = (run.record("K"), run.record("ann"));
    assert_eq!(callee.direction.as_str(), "outbound-dial");
    assert_eq!(callee.parent, Some(caller.sid));
    assert_eq!((callee.from.as_str(), callee.to.as_str()), ("kim", "ann"));
    assert_eq!(callee.answered_by.as_deref(), Some("ann"));
    assert_eq!(callee.started, callee.answered);
}

#[test]
fn case_090_api_completes_the_caller() {
    let run = ann(phone().rings(0.0)).completes(2.0, "K").run();
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.app(), "0 GET /v, 2 POST /a");
    assert_eq!(
        run.request("/a")
            .list(&["CallStatus", "DialCallDuration", "DialCallStatus"]),
        "CallStatus=completed DialCallDuration=0 DialCallStatus=canceled"
    );
    assert_eq!(run.ended("K"), "completed 2 s");
}

#[test]
fn case_091_api_cancels_the_callee() {
    let run = ann(phone().rings(0.0)).cancels(2.0, "ann").run();
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.request("/a").get("DialCallStatus"), "canceled");
    assert_eq!(run.request("/a").get("CallStatus"), "in-progress");
    assert_eq!(run.ended("ann"), "canceled 0 s, rang 2 s");
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
}

#[test]
fn case_092_unknown_names() {
    let run = two_and_three();
    assert_eq!(
        run.request("/a").list(&["ForwardedFrom", "CallerName"]),
        "ForwardedFrom= CallerName="
    );
    let mut world = ann(phone().answers(0.0).talks(1.0));
    world.caller.display = Some("Kim K.".to_owned());
    assert_eq!(world.run().request("/a").get("CallerName"), "Kim K.");
}

#[test]
fn case_093_extension_headers() {
    let run = ann(phone().answers(0.0).talks(1.0).header("X-Other", "9"))
        .header("X-A", "1")
        .header("X-B", "2")
        .run();
    assert_eq!(
        run.request("/a").list(&["SipHeader_X-A", "SipHeader_X-B"]),
        "SipHeader_X-A=1 SipHeader_X-B=2"
    );
}

#[test]
fn case_094_diversion() {
    let value = "<sip:777@x>;reason=unconditional";
    let run = ann(phone().answers(0.0).talks(1.0))
        .header("Diversion", value)
        .run();
    assert_eq!(run.request("/a").get("SipHeader_Diversion"), value);
    assert_eq!(run.request("/a").get("ForwardedFrom"), "777");
    assert_eq!(run.record("K").forwarded_from.as_deref(), Some("777"));
}

const THREE: &str = "<Dial action=\"/a\" timeout=\"2\"><Client>ann</Client>\
    <Sip>sip:zed@h.example</Sip><Number>+2000</Number></Dial>";

/// Three phones that do the same, then the action dials fay, who answers.
fn then_fay(phone_of_each: &Phone) -> Run {
    World::document(THREE)
        .app(
            "/a",
            xml("<Dial timeout=\"50\"><Client>fay</Client></Dial>"),
        )
        .phone("ann", phone_of_each.clone())
        .phone("zed", phone_of_each.clone())
        .phone("+2000", phone_of_each.clone())
        .phone("fay", phone().rings(0.0).answers(1.0))
        .hangs_up(9.0)
        .run()
}

#[test]
fn case_095_nobody_answers_then_fay() {
    let run = then_fay(&phone().rings(0.0));
    for who in ["ann", "zed", "+2000"] {
        assert_eq!(run.to(who), "0 INVITE, 2 CANCEL", "{who}");
    }
    assert_eq!(run.app(), "0 GET /v, 2 POST /a");
    assert_eq!(run.request("/a").get("DialCallStatus"), "no-answer");
    assert_eq!(run.to("fay"), "2 INVITE, 3 ACK, 9 BYE");
    assert_eq!(run.to("K"), "0 180, 0 200");
}

#[test]
fn case_096_all_busy_then_fay() {
    let run = then_fay(&phone().rejects(1.0, 486));
    assert_eq!(run.app(), "0 GET /v, 1 POST /a");
    assert_eq!(run.request("/a").get("DialCallStatus"), "busy");
    assert_eq!(run.to("fay"), "1 INVITE, 2 ACK, 9 BYE");
    assert_eq!(run.legs(), 5);
    assert_eq!(run.ended("fay"), "completed 7 s, rang 1 s");
}

#[test]
fn case_097_chain_of_actions() {
    let dial = |who: &str, action: &str| {
        format!("<Dial timeout=\"3\" {action}><Client>{who}</Client></Dial>")
    };
    let run = World::document(&dial("ann", "action=\"/a\""))
        .app("/a", xml(&dial("fay", "action=\"/b\"")))
        .app("/b", xml(&dial("joe", "")))
        .phone("ann", phone().rings(0.0))
        .phone("fay", phone().rings(0.0))
        .phone("joe", phone().rings(0.0))
        .run();
    assert_eq!(run.app(), "0 GET /v, 3 POST /a, 6 POST /b");
    assert_eq!(run.to("ann"), "0 INVITE, 3 CANCEL");
    assert_eq!(run.to("fay"), "3 INVITE, 6 CANCEL");
    assert_eq!(run.to("joe"), "6 INVITE, 9 CANCEL");
    assert_eq!(run.to("K"), "0 180, 0 200, 9 BYE");
}

fn play_then_fay(status: u16) {
    let run = World::document("<Dial timeout=\"1\" action=\"/a\"><Client>ann</Client></Dial>")
        .app(
            "/a",
            xml("<Play>b.wav</Play><Dial><Client>fay</Client></Dial>"),
        )
        .clip("http://app/b.wav", 2.0)
        .phone("ann", phone().rejects(0.5, status))
        .phone("fay", phone().answers(1.0).talks(3.0))
        .run();
    assert_eq!(run.app(), "0 GET /v, 0.5 POST /a", "{status}");
    assert_eq!(
        run.heard("K"),
        "0 play ring tone for ever, 0.5 stop, 0.5 play http://app/b.wav, \
         2.5 play ring tone for ever, 3.5 stop, 3.5 bridge fay, 6.5 unbridge fay",
        "{status}"
    );
    assert_eq!(run.to("K"), "0 180, 0 200, 6.5 BYE", "{status}");
}

#[test]
fn case_098_play_and_dial_after_480() {
    play_then_fay(480);
}

#[test]
fn case_099_play_and_dial_after_486() {
    play_then_fay(486);
}

#[test]
fn case_101_odd_address() {
    let run = World::document("<Dial action=\"/a&x=1\"><Client>ann</Client></Dial>")
        .app("/a&x=1", empty())
        .phone("ann", phone().answers(0.0).talks(1.0))
        .run();
    assert_eq!(run.app(), "0 GET /v, 1 POST /a&x=1");
}

#[test]
fn case_102_recording() {
    let document = "<Dial record=\"true\" action=\"/a\"><Client>ann</Client></Dial>";
    let run = World::document(document)
        .app("/a", empty())
        .phone("ann", phone().answers(1.0).talks(3.0))
        .run();
    let recording = &run.recordings[0];
    assert_eq!((run.recordings.len(), recording.duration_ms), (1, 3_000));
    assert_eq!(recording.call, run.record("K").sid);
    let url = format!(
        "http://pbx.example/restcomm/2012-04-24/Accounts/{}/Recordings/{}.wav",
        recording.account, recording.sid
    );
    assert_eq!(run.request("/a").get("RecordingUrl"), url);
    assert_eq!(run.request("/a").get("PublicRecordingUrl"), url);
    assert_eq!(
        run.heard("K"),
        "0 play ring tone for ever, 1 stop, 1 bridge ann, 1 record, 4 stop recording, \
         4 unbridge ann"
    );
}

#[test]
fn case_103_no_recording() {
    let run = two_and_three();
    assert!(!run.request("/a").has("RecordingUrl"));
    assert!(!run.request("/a").has("PublicRecordingUrl"));
    assert_eq!(run.recordings.len(), 0);
}

#[test]
fn case_104_action_plays() {
    let run = World::document(ANN)
        .app("/a", xml("<Play>b.wav</Play>"))
        .clip("http://app/b.wav", 2.0)
        .phone("ann", phone().answers(0.0).talks(3.0))
        .run();
    assert_eq!(
        run.heard("K"),
        "0 play ring tone for ever, 0 stop, 0 bridge ann, 3 unbridge ann, \
         3 play http://app/b.wav"
    );
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
    assert_eq!(run.ended("K"), "completed 5 s");
}

#[test]
fn case_105_next_verb_plays() {
    let document = "<Dial><Client>ann</Client></Dial><Play>b.wav</Play>";
    let run = World::document(document)
        .clip("http://app/b.wav", 2.0)
        .phone("ann", phone().answers(0.0).talks(3.0))
        .run();
    assert!(
        run.heard("K")
            .ends_with("3 unbridge ann, 3 play http://app/b.wav")
    );
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
}

/// Calls zed, who refuses with this status; the action hangs up.
fn zed_refuses(status: u16) -> Run {
    World::document("<Dial action=\"/a\"><Sip>sip:zed@h</Sip></Dial>")
        .app("/a", xml("<Hangup/>"))
        .phone(
            "zed",
            phone().rings(0.0).rejects(1.0, status).header("X-E", "1"),
        )
        .run()
}

#[test]
fn case_106_refused_sip_noun() {
    let run = zed_refuses(404);
    assert_eq!(
        run.request("/a").list(&[
            "DialCallStatus",
            "DialSipResponseCode",
            "DialSipHeader_X-E",
            "DialSipCallId"
        ]),
        "DialCallStatus=failed DialSipResponseCode=404 DialSipHeader_X-E=1 \
         DialSipCallId=call of zed"
    );
    assert_eq!(run.to("K"), "0 180, 0 200, 1 BYE");
}

#[test]
fn case_107_declining_sip_noun() {
    let run = zed_refuses(603);
    assert_eq!(run.request("/a").get("DialCallStatus"), "busy");
    assert_eq!(run.to("K"), "0 180, 0 200, 1 BYE");
}

const NUMBER_CALLBACK: &str = "http://app/number";

/// What the number's owner is told of a call that dials ann.
fn number_is_told(phone: Phone) -> String {
    let document = "<Dial timeout=\"3\" action=\"/a\"><Client>ann</Client></Dial>";
    let run = World::document(document)
        .app("/a", empty())
        .number_callback(NUMBER_CALLBACK)
        .phone("ann", phone)
        .run();
    let sid = run.record("K").sid.to_string();
    let sids = run.told(NUMBER_CALLBACK, "CallSid");
    assert!(sids.iter().all(|told| *told == sid), "{sids:?}");
    run.told(NUMBER_CALLBACK, "CallStatus").join(", ")
}

#[test]
fn case_108_callbacks_of_the_number() {
    let told = number_is_told(phone().rings(0.0).answers(1.0).talks(2.0));
    assert_eq!(told, "ringing, in-progress, completed");
}

#[test]
fn case_109_callbacks_without_answer() {
    assert_eq!(
        number_is_told(phone().rings(0.0)),
        "ringing, in-progress, completed"
    );
}

#[test]
fn case_110_callbacks_of_three_calls() {
    for seconds in [1.0, 2.0, 3.0] {
        let told = number_is_told(phone().answers(0.0).talks(seconds));
        assert_eq!(told, "ringing, in-progress, completed", "{seconds}");
    }
}

#[test]
fn case_111_default_method() {
    for (method, expected) in [("", "POST"), ("method=\"get\"", "GET")] {
        let document = format!("<Dial action=\"/a\" {method}><Client>nobody</Client></Dial>");
        let run = World::document(&document).app("/a", empty()).run();
        assert_eq!(run.app(), format!("0 GET /v, 0 {expected} /a"));
    }
}

#[test]
fn case_112_relative_address() {
    let document = "<Dial action=\"next\"><Client>nobody</Client></Dial>";
    let run = World::new()
        .with(|directory| {
            directory.numbers[0].0.voice.url = Some("http://app/dir/v?x=1".to_owned());
        })
        .app("/dir/v?x=1", xml(document))
        .app("/dir/next", empty())
        .run();
    assert_eq!(run.app(), "0 GET /dir/v?x=1, 0 POST /dir/next");
    let moved = World::new()
        .app("/v", xml(document).moved_to("http://app/other/w"))
        .app("/other/next", empty())
        .run();
    assert_eq!(moved.app(), "0 GET /v, 0 POST /other/next");
}

#[test]
fn case_113_action_fails() {
    let run = World::document(ANN)
        .app("/a", status(500))
        .phone("ann", phone().answers(0.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE Problem_to_setup_the_call");
    assert_eq!(run.ended("K"), "failed 3 s");
    assert_eq!(run.codes(), [11206]);
}
