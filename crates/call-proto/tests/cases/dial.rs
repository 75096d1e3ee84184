//! Dial, one target.

use crate::world::{Act, Phone, Run, UNUSABLE, World, phone};

const DIAL_ANN: &str = "<Dial><Client>ann</Client></Dial>";
const DIAL_NUMBER: &str = "<Dial><Number>+2000</Number></Dial>";

/// A phone that answers after a second and hangs up after 3 s.
fn talkative() -> Phone {
    phone().rings(0.0).answers(1.0).talks(3.0)
}

/// A document that calls a talkative phone; compares a whole normal call.
fn normal_call(document: &str, who: &str) -> Run {
    let run = World::document(document).phone(who, talkative()).run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to(who), "0 INVITE, 1 ACK");
    assert_eq!(run.ended("K"), "completed 4 s");
    assert_eq!(run.ended(who), "completed 3 s, rang 1 s");
    let heard = format!("0 play ring tone for ever, 1 stop, 1 bridge {who}, 4 unbridge {who}");
    assert_eq!(run.heard("K"), heard);
    assert_eq!(run.legs(), 2);
    run
}

#[test]
fn case_042_client() {
    let run = normal_call(DIAL_ANN, "ann");
    assert_eq!(run.invite("ann").route.uri, "sip:ann@10.0.0.1");
}

#[test]
fn case_043_number() {
    let run = normal_call(DIAL_NUMBER, "+2000");
    assert_eq!(run.invite("+2000").route.uri, "sip:+2000@proxy.example");
}

#[test]
fn case_044_sip_address() {
    let run = normal_call("<Dial><Sip>sip:zed@h.example</Sip></Dial>", "zed");
    assert_eq!(run.invite("zed").route.uri, "sip:zed@h.example");
}

#[test]
fn case_045_deprecated_noun() {
    let run = normal_call("<Dial><Uri>sip:zed@h.example</Uri></Dial>", "zed");
    assert_eq!(run.invite("zed").route.uri, "sip:zed@h.example");
}

#[test]
fn case_046_caller_hangs_up() {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().rings(0.0).answers(1.0))
        .hangs_up(4.0)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.ended("K"), "completed 4 s");
    assert_eq!(run.ended("+2000"), "completed 3 s, rang 1 s");
}

#[test]
fn case_047_bye_answered_with_404() {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().rings(0.0).answers(1.0).forgets())
        .hangs_up(4.0)
        .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK, 4 BYE");
    assert_eq!(run.ended("K"), "completed 4 s");
    assert_eq!(run.ended("+2000"), "completed 3 s, rang 1 s");
}

fn refused_with(status: u16, record: &str) {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().rejects(2.0, status))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE", "{status}");
    assert_eq!(run.to("+2000"), "0 INVITE", "{status}");
    assert_eq!(run.ended("K"), "completed 2 s", "{status}");
    assert_eq!(run.ended("+2000"), record, "{status}");
    assert_eq!(run.record("+2000").sip_status, Some(status));
    assert_eq!(run.heard("K"), "0 play ring tone for ever, 2 stop");
}

#[test]
fn case_048_status_403() {
    refused_with(403, "failed 0 s, rang 2 s");
}

#[test]
fn case_049_status_500() {
    refused_with(500, "failed 0 s, rang 2 s");
}

#[test]
fn case_050_status_486() {
    refused_with(486, "busy 0 s, rang 2 s");
}

#[test]
fn case_051_timeout() {
    let document = "<Dial timeout=\"10\"><Number>+2000</Number></Dial>";
    let run = World::document(document)
        .phone("+2000", phone().rings(0.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 10 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 10 CANCEL");
    assert_eq!(run.ended("K"), "completed 10 s");
    assert_eq!(run.ended("+2000"), "no-answer 0 s, rang 10 s");
    let first = World::document(document)
        .phone("+2000", phone().rings(0.0))
        .hangs_up(9.0)
        .run();
    assert_eq!(first.to("K"), "0 180, 0 200");
    assert_eq!(first.to("+2000"), "0 INVITE, 9 CANCEL");
    assert_eq!(first.ended("K"), "completed 9 s");
}

#[test]
fn case_052_time_limit() {
    let run = World::document("<Dial timeLimit=\"10\"><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(1.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 11 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 11 BYE");
    assert_eq!(run.ended("K"), "completed 11 s");
    assert_eq!(run.ended("ann"), "completed 10 s, rang 1 s");
    assert_eq!(run.record("ann").reason.as_deref(), Some("time-limit"));
}

#[test]
fn case_053_nobody_registered() {
    let run = World::document("<Dial><Client>nobody</Client></Dial>").run();
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE");
    assert_eq!((run.ended("K").as_str(), run.legs()), ("completed 0 s", 1));
    assert_eq!(run.codes(), [11008]);
}

#[test]
fn case_054_next_dial() {
    let document = "<Dial><Client>nobody</Client></Dial><Dial><Client>ann</Client></Dial>";
    let run = World::document(document).phone("ann", talkative()).run();
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    assert_eq!((run.legs(), run.codes()), (2, vec![11008]));
}

#[test]
fn case_055_action_replaces_the_document() {
    let document = "<Dial action=\"/a\"><Client>nobody</Client></Dial>\
        <Dial><Client>ann</Client></Dial>";
    let run = World::document(document)
        .app("/a", crate::world::xml(DIAL_ANN))
        .phone("ann", talkative())
        .run();
    assert_eq!(run.app(), "0 GET /v, 0 POST /a");
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    assert_eq!(run.to("K"), "0 180, 0 200, 4 BYE");
}

fn headers_of(document: &str, who: &str) -> String {
    let run = World::document(document).phone(who, talkative()).run();
    let headers = run.invite(who).headers.iter();
    let lines: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.join(", ")
}

#[test]
fn case_056_two_headers_of_a_client() {
    let document = "<Dial><Client>ann?X-C1=12&amp;X-C2=34</Client></Dial>";
    assert_eq!(headers_of(document, "ann"), "X-C1: 12, X-C2: 34");
}

#[test]
fn case_057_one_header_of_a_client() {
    let document = "<Dial><Client>ann?X-C1=12</Client></Dial>";
    assert_eq!(headers_of(document, "ann"), "X-C1: 12");
}

#[test]
fn case_058_headers_of_a_number() {
    let document = "<Dial><Number>+2000?X-C1=12&amp;X-C2=34</Number></Dial>";
    assert_eq!(headers_of(document, "+2000"), "X-C1: 12, X-C2: 34");
}

#[test]
fn case_059_headers_of_a_sip_address() {
    let document = "<Dial><Sip>sip:zed@h?alpha=1&amp;beta=2</Sip></Dial>";
    assert_eq!(headers_of(document, "zed"), "X-alpha: 1, X-beta: 2");
}

/// The SIP side answers the challenge with what the INVITE carries.
#[test]
fn case_060_credentials() {
    let document = "<Dial><Sip username=\"pbx\" password=\"s3\">sip:zed@h</Sip></Dial>";
    let run = normal_call(document, "zed");
    let expected = Some(("pbx".to_owned(), "s3".to_owned()));
    assert_eq!(run.invite("zed").route.credentials, expected);
}

fn contact(parameters: &str) -> String {
    let run = World::document(DIAL_ANN)
        .phone("ann", talkative().contact(parameters))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    run.invite("ann").route.uri.clone()
}

#[test]
fn case_061_parameters_of_the_contact() {
    assert_eq!(contact(";line=2;ob"), "sip:ann@10.0.0.1;line=2;ob");
}

#[test]
fn case_062_contact_over_tcp() {
    assert_eq!(contact(";transport=tcp"), "sip:ann@10.0.0.1;transport=tcp");
}

#[test]
fn case_063_caller_id() {
    let run = normal_call(
        "<Dial callerId=\"+1999\"><Number>+2000</Number></Dial>",
        "+2000",
    );
    let invite = run.invite("+2000");
    assert_eq!(
        (invite.from.as_str(), invite.from_display.as_deref()),
        ("+1999", Some("+1999"))
    );
    assert_eq!(run.record("+2000").from, "+1999");
    let whole = "<Dial callerId=\"sip:desk@pbx.example\"><Number>+2000</Number></Dial>";
    let run = normal_call(whole, "+2000");
    let invite = run.invite("+2000");
    assert_eq!(
        (invite.from.as_str(), invite.from_display.as_deref()),
        ("sip:desk@pbx.example", Some("desk"))
    );
    assert_eq!(run.record("+2000").from, "desk");
}

#[test]
fn case_064_caller_by_itself() {
    let run = normal_call(DIAL_NUMBER, "+2000");
    let invite = run.invite("+2000");
    assert_eq!(
        (invite.from.as_str(), invite.from_display.as_deref()),
        ("kim", Some("kim"))
    );
}

#[test]
fn case_065_headers_of_a_balancer() {
    let run = World::document(DIAL_ANN)
        .phone(
            "ann",
            talkative().header("X-Sip-Balancer-InitialRemoteAddr", "10.9.9.9"),
        )
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 1 ACK");
    assert_eq!(run.ended("K"), "completed 4 s");
}

#[test]
fn case_066_prompt_first() {
    let run = World::document(&format!("<Play>good.wav</Play>{DIAL_ANN}"))
        .clip("http://app/good.wav", 2.0)
        .phone("ann", talkative())
        .run();
    assert_eq!(run.to("ann"), "2 INVITE, 3 ACK");
    assert_eq!(
        run.heard("K"),
        "0 play http://app/good.wav, 2 play ring tone for ever, 3 stop, 3 bridge ann, \
         6 unbridge ann"
    );
    assert_eq!(run.legs(), 2);
}

#[test]
fn case_067_missing_prompt() {
    let run = World::document(&format!("<Play>missing.wav</Play>{DIAL_ANN}"))
        .phone("ann", talkative())
        .run();
    let bye = "BYE Play failed";
    assert_eq!(run.to("K"), format!("0 180, 0 200, 0 {bye}"));
    assert_eq!(run.to("ann"), "");
    assert_eq!(run.codes(), [13233]);
    assert_eq!(run.ended("K"), "failed 0 s");
}

#[test]
fn case_068_only_talk_time() {
    let document = "<Dial timeLimit=\"100000\" timeout=\"100000\"><Client>ann</Client></Dial>\
        <Hangup/>";
    let run = World::document(document)
        .phone("ann", phone().answers(0.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    assert_eq!(run.ended("K"), "completed 3 s");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 0 s");
}

#[test]
fn case_069_ring_and_talk_time() {
    let run = World::document(DIAL_ANN)
        .phone("ann", phone().rings(0.0).answers(5.0))
        .hangs_up(8.0)
        .run();
    assert_eq!(run.ended("K"), "completed 8 s");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 5 s");
    assert_eq!(run.legs(), 2);
}

#[test]
fn case_070_caller_vanishes() {
    for act in [Act::Vanish("K".to_owned()), Act::Silence("K".to_owned())] {
        let run = World::document(DIAL_ANN)
            .phone("ann", phone().rings(0.0).answers(1.0))
            .act(4.0, act)
            .run();
        assert_eq!(run.to("ann"), "0 INVITE, 1 ACK, 4 BYE");
        assert_eq!(run.ended("K"), "completed 4 s");
        assert_eq!(run.ended("ann"), "completed 3 s, rang 1 s");
    }
}

/// K offers something unusable while everybody rings.
fn bad_reinvite(document: &str) -> Run {
    let run = World::document(document)
        .phone("ann", phone().rings(0.0))
        .phone("+2000", phone().rings(0.0))
        .act(2.0, Act::Reinvite(Some(UNUSABLE.to_owned())))
        .run();
    assert_eq!(
        run.to("K"),
        "0 180, 0 200, 2 488 to re-INVITE, 2 BYE session description cannot be used"
    );
    assert_eq!(run.ended("K"), "failed 2 s");
    assert_eq!(run.to("ann"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.ended("ann"), "canceled 0 s, rang 2 s");
    run
}

#[test]
fn case_073_bad_reinvite_in_a_fork() {
    let run = bad_reinvite("<Dial><Client>ann</Client><Number>+2000</Number></Dial>");
    assert_eq!(run.to("+2000"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.ended("+2000"), "canceled 0 s, rang 2 s");
}

#[test]
fn case_074_bad_reinvite() {
    assert_eq!(bad_reinvite(DIAL_ANN).legs(), 2);
}

#[test]
fn case_075_empty_dial() {
    let run = World::document("<Dial/><Play>x.wav</Play>")
        .clip("http://app/x.wav", 1.0)
        .run();
    assert_eq!(run.heard("K"), "0 play http://app/x.wav");
    assert_eq!(
        (run.to("K").as_str(), run.legs()),
        ("0 180, 0 200, 1 BYE", 1)
    );
    assert_eq!(run.codes(), [13220]);
}

#[test]
fn case_076_address_as_text() {
    let run = normal_call("<Dial>zed@h.example</Dial>", "zed");
    assert_eq!(run.invite("zed").route.uri, "sip:zed@h.example");
}

#[test]
fn case_077_client_as_text() {
    let run = normal_call("<Dial>client:ann</Dial>", "ann");
    assert_eq!(run.invite("ann").route.uri, "sip:ann@10.0.0.1");
}

#[test]
fn case_078_number_as_text() {
    let run = normal_call("<Dial>+2000</Dial>", "+2000");
    assert_eq!(run.invite("+2000").route.uri, "sip:+2000@proxy.example");
}

#[test]
fn case_079_music() {
    let document = "<Dial dialMusic=\"/m.wav\"><Number>+2000</Number></Dial>";
    let world = World::document(document).phone("+2000", talkative());
    let run = world.clone().clip("http://app/m.wav", 9.0).run();
    assert_eq!(
        run.heard("K"),
        "0 play http://app/m.wav for ever, 1 stop, 1 bridge +2000, 4 unbridge +2000"
    );
    let missing = world.run();
    assert_eq!(
        missing.heard("K"),
        "0 play ring tone for ever, 1 stop, 1 bridge +2000, 4 unbridge +2000"
    );
    assert_eq!(missing.codes(), [13233]);
}

#[test]
fn case_080_default_timeout() {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().rings(0.0))
        .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 30 CANCEL");
    assert_eq!(run.to("K"), "0 180, 0 200, 30 BYE");
}

#[test]
fn case_081_default_time_limit() {
    let run = World::document(DIAL_NUMBER)
        .phone("+2000", phone().answers(0.0))
        .run();
    assert_eq!(run.to("+2000"), "0 INVITE, 0 ACK, 14400 BYE");
    assert_eq!(run.to("K"), "0 180, 0 200, 14400 BYE");
}
