//! Fetching the document, and refusing the call.

use model::{AccountStatus, HttpMethod};

use crate::world::{
    UNUSABLE, World, broken, client, number, owner, page, phone, plain, status, texts, unreachable,
    xml,
};

/// A document that calls ann, who answers at once and talks for 3 s.
fn dial_ann() -> World {
    World::document("<Dial><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(0.0).talks(3.0))
}

#[test]
fn case_001_rings_and_fetches_once() {
    let run = dial_ann().run();
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    let headers = &run.headers[&run.created[0]];
    let sid = run.record("K").sid.to_string();
    assert_eq!(texts(headers, "X-RestComm-CallSid"), sid);
    assert_eq!(texts(headers, "X-RestComm-AccountSid"), owner().to_string());
    assert_eq!(texts(headers, "X-RestComm-ApiVersion"), "2012-04-24");
    assert_eq!(run.app(), "0 GET /v");
}

#[test]
fn case_002_first_request() {
    let run = dial_ann().run();
    let asked = run.request("/v");
    let names: Vec<&str> = asked.params.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "CallSid",
        "InstanceId",
        "AccountSid",
        "From",
        "To",
        "CallStatus",
        "ApiVersion",
        "Direction",
        "CallerName",
        "ForwardedFrom",
        "CallTimestamp",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        asked.list(&["From", "To", "CallStatus", "Direction", "ApiVersion"]),
        "From=kim To=+1000 CallStatus=ringing Direction=inbound ApiVersion=2012-04-24"
    );
    assert_eq!(asked.get("CallSid"), run.record("K").sid.to_string());
    assert_eq!(asked.get("AccountSid"), owner().to_string());
    assert_eq!(
        asked.get("CallTimestamp"),
        run.record("K").created.iso8601()
    );
}

#[test]
fn case_003_method_of_the_number() {
    let run = dial_ann()
        .with(|directory| directory.numbers[0].0.voice.method = Some(HttpMethod::Post))
        .run();
    assert_eq!(run.app(), "0 POST /v");
    assert_eq!(run.request("/v").get("CallStatus"), "ringing");
    let unset = dial_ann()
        .with(|directory| directory.numbers[0].0.voice.method = None)
        .run();
    assert_eq!(unset.app(), "0 POST /v");
}

#[test]
fn case_004_extension_headers() {
    let run = dial_ann()
        .header("X-Foo", "1")
        .header("X-Bar", "2")
        .header("x-small", "3")
        .run();
    let asked = run.request("/v");
    assert_eq!(
        asked.list(&["SipHeader_X-Foo", "SipHeader_X-Bar"]),
        "SipHeader_X-Foo=1 SipHeader_X-Bar=2"
    );
    assert!(!asked.has("SipHeader_x-small"), "the prefix is `X-`");
}

/// Cases 5 and 6 deviate: the 200 carries our offer, the ACK the caller's answer.
#[test]
fn cases_005_006_late_offer() {
    let mut world = dial_ann();
    world.caller.sdp = None;
    let run = world.run();
    assert_eq!(run.to("K"), "0 180, 0 200, 3 BYE");
    assert_eq!(run.ended("K"), "completed 3 s");
}

#[test]
fn case_008_number_of_a_closed_account() {
    refused(AccountStatus::Closed);
}

#[test]
fn case_009_number_of_a_suspended_account() {
    refused(AccountStatus::Suspended);
}

fn refused(status: AccountStatus) {
    let run = dial_ann()
        .with(|directory| directory.numbers[0].1 = status)
        .run();
    assert_eq!(run.to("K"), "0 403");
    assert_eq!((run.app(), run.legs()), (String::new(), 0));
    assert_eq!(
        run.refusal.as_ref().map(|refusal| refusal.code),
        Some(11005)
    );
}

#[test]
fn case_010_client_of_a_closed_account() {
    let run = World::new()
        .kim_is_client()
        .with(|directory| {
            let (ann, _) = client("ann");
            directory.clients.push((ann, AccountStatus::Closed));
        })
        .phone("ann", phone().answers(0.0))
        .dials("ann")
        .run();
    assert_eq!(run.to("K"), "0 407, 0 403");
    assert_eq!((run.to("ann"), run.legs()), (String::new(), 0));
}

#[test]
fn case_011_account_of_the_caller() {
    for status in [AccountStatus::Closed, AccountStatus::Suspended] {
        let run = dial_ann()
            .kim_is_client()
            .with(|directory| directory.clients[0].1 = status)
            .run();
        assert_eq!(run.to("K"), "0 403", "{status}");
        assert_eq!((run.app(), run.legs()), (String::new(), 0), "{status}");
    }
}

#[test]
fn case_012_number_that_nobody_has() {
    let run = dial_ann().dials("+4999").run();
    assert_eq!(run.to("K"), "0 404");
    assert_eq!((run.app(), run.legs()), (String::new(), 0));
}

#[test]
fn case_013_number_as_stored() {
    assert_eq!(called_as("+12025550123"), "0 180, 0 200, 3 BYE");
}

#[test]
fn case_014_number_without_plus() {
    assert_eq!(called_as("12025550123"), "0 180, 0 200, 3 BYE");
}

#[test]
fn case_015_number_without_country_code() {
    assert_eq!(called_as("2025550123"), "0 404");
}

fn called_as(called: &str) -> String {
    let world = dial_ann().with(|directory| directory.numbers = vec![number("+12025550123")]);
    world.dials(called).run().to("K")
}

#[test]
fn case_016_status_408() {
    let run = World::new().app("/v", status(408)).run();
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_setup_the_call");
    assert_eq!(run.ended("K"), "failed 0 s");
    assert_eq!(run.codes(), [11206]);
}

#[test]
fn case_017_html_error_page() {
    let run = World::new().app("/v", page(404)).run();
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_setup_the_call");
    assert_eq!(run.ended("K"), "failed 0 s");
}

#[test]
fn case_018_status_404() {
    let run = World::new().app("/v", status(404)).run();
    assert_eq!(run.to("K"), "0 180, 0 404 Application_not_found");
    assert_eq!(run.ended("K"), "not-found 0 s");
    assert_eq!(run.codes(), [21402]);
}

#[test]
fn case_019_no_xml() {
    let run = World::new().app("/v", broken()).run();
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_parse_downloaded_RCML");
    assert_eq!(run.app(), "0 GET /v");
    assert_eq!(run.ended("K"), "failed 0 s");
    assert_eq!(run.codes(), [12100]);
}

#[test]
fn case_020_no_xml_with_delayed_answer() {
    let document = "<Response><Dial answerOnBridge=\"true\"><Client>ann</Dial></Response>";
    let run = World::new()
        .app("/v", plain("text/xml", document))
        .phone("ann", phone().answers(0.0))
        .run();
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_parse_downloaded_RCML");
    assert_eq!(
        (run.app(), run.to("ann")),
        ("0 GET /v".to_owned(), String::new())
    );
    assert_eq!(run.ended("K"), "failed 0 s");
}

/// The fallback of K's number, by POST.
fn fallback(world: World) -> World {
    world.with(|directory| {
        directory.numbers[0].0.voice.fallback_url = Some("http://app/f".to_owned());
    })
}

#[test]
fn case_021_fallback() {
    let world = World::new()
        .app("/v", unreachable())
        .app("/f", xml("<Hangup/>"));
    let run = fallback(world).run();
    assert_eq!(run.app(), "0 GET /v, 0 POST /f");
    let [first, second] = [run.request("/v"), run.request("/f")];
    assert_eq!(second.params[..first.params.len()], first.params);
    assert_eq!(
        second.list(&["ErrorCode", "ErrorUrl"]),
        "ErrorCode=11205 ErrorUrl=http://app/v"
    );
    assert_eq!(run.codes(), [11205]);
    assert_eq!(run.to("K"), "0 180, 0 200, 0 BYE");
    assert_eq!(run.ended("K"), "completed 0 s");
}

#[test]
fn case_022_fallback_fails_too() {
    let world = World::new().app("/v", status(500)).app("/f", status(500));
    let run = fallback(world).run();
    assert_eq!(run.app(), "0 GET /v, 0 POST /f");
    assert_eq!(run.to("K"), "0 180, 0 500 Problem_to_setup_the_call");
    assert_eq!(run.ended("K"), "failed 0 s");
}

#[test]
fn case_023_document_without_verbs() {
    let run = World::document("").run();
    let expected = "0 180, 0 500 Document_has_no_verb_that_answers";
    assert_eq!(run.to("K"), expected);
    assert_eq!(run.app(), "0 GET /v");
}

#[test]
fn case_024_verb_as_root() {
    let run = World::new()
        .app("/v", plain("text/xml", "<Play>http://app/a.wav</Play>"))
        .clip("http://app/a.wav", 2.0)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 200, 2 BYE");
    assert_eq!(run.heard("K"), "0 play http://app/a.wav");
}

#[test]
fn case_025_bare_ampersand() {
    let run = World::document("<Dial><Client>ann?X-C1=12&X-C2=34</Client></Dial>")
        .phone("ann", phone().answers(0.0).talks(1.0))
        .run();
    assert_eq!(run.to("ann"), "0 INVITE, 0 ACK");
    assert_eq!(run.ended("K"), "completed 1 s");
}

#[test]
fn case_026_unknown_element() {
    let run = World::document("<Whistle/><Play>a.wav</Play>")
        .clip("http://app/a.wav", 2.0)
        .run();
    assert_eq!(run.heard("K"), "0 play http://app/a.wav");
    assert_eq!(run.codes(), [12200]);
}

/// Deviates: 488, where the original sent 569.
#[test]
fn case_028_unusable_offer() {
    let mut world = dial_ann();
    world.caller.sdp = Some(UNUSABLE.to_owned());
    let run = world.run();
    assert_eq!(run.to("K"), "0 180, 0 488");
    assert_eq!(run.ended("K"), "failed 0 s");
    assert_eq!((run.app(), run.legs()), ("0 GET /v".to_owned(), 1));
}

#[test]
fn case_029_gives_up_at_once() {
    let run = World::new()
        .app("/v", xml("<Dial><Client>ann</Client></Dial>").after(0.5))
        .phone("ann", phone().answers(0.0))
        .hangs_up(0.0)
        .run();
    assert_eq!(run.to("K"), "0 180, 0 487");
    assert_eq!(run.ended("K"), "canceled 0 s");
    assert_eq!((run.app(), run.legs()), ("0 GET /v".to_owned(), 1));
}

#[test]
fn case_030_gives_up_while_ringing() {
    let run = World::new()
        .app("/v", xml("<Dial><Client>ann</Client></Dial>").after(2.0))
        .phone("ann", phone().answers(0.0))
        .hangs_up(1.0)
        .run();
    assert_eq!(run.to("K"), "0 180, 1 487");
    assert_eq!(run.app(), "0 GET /v");
    assert_eq!((run.ended("K").as_str(), run.legs()), ("canceled 0 s", 1));
}

/// ann is a client of the account, and registered.
fn ann_is_client(world: World) -> World {
    world
        .with(|directory| directory.clients.push(client("ann")))
        .phone("ann", phone().rings(0.0).answers(2.0).talks(3.0))
        .dials("ann")
}

#[test]
fn case_031_unknown_caller_to_a_client() {
    let run = ann_is_client(World::new()).run();
    assert_eq!(run.to("K"), "0 180, 0 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.app(), "");
    assert_eq!(run.ended("K"), "completed 5 s");
}

#[test]
fn case_032_headers_travel_along() {
    let run = ann_is_client(World::new())
        .header("X-Foo", "1")
        .header("Diversion", "<sip:777@x>")
        .run();
    let expected = [("X-Foo".to_owned(), "1".to_owned())];
    assert_eq!(run.invite("ann").headers, expected);
}

#[test]
fn case_033_client_with_an_application() {
    let run = World::new()
        .kim_is_client()
        .with(|directory| {
            directory.clients[0].0.voice.url = Some("http://app/client".to_owned());
        })
        .app("/client", xml("<Dial><Number>+2000</Number></Dial>"))
        .phone("+2000", phone().rings(0.0).answers(1.0).talks(2.0))
        .dials("+4999")
        .run();
    assert_eq!(run.to("K"), "0 407, 0 180, 0 200, 3 BYE");
    assert_eq!(run.app(), "0 POST /client");
    assert_eq!(run.request("/client").get("To"), "+4999");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK");
}

/// Deviates: one record for each leg, as everywhere.
#[test]
fn case_034_client_to_client() {
    let run = ann_is_client(World::new().kim_is_client()).run();
    assert_eq!(run.to("K"), "0 407, 0 180, 2 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!((run.app(), run.legs()), (String::new(), 2));
    assert_eq!(run.ended("K"), "completed 3 s");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 2 s");
}

/// kim, a client, calls a number outside.
fn to_outside() -> World {
    World::new().kim_is_client().dials("+2000")
}

#[test]
fn case_035_client_calls_outside() {
    let run = to_outside()
        .phone("+2000", phone().rings(1.0).answers(2.0).talks(3.0))
        .run();
    assert_eq!(run.to("K"), "0 407, 0 180, 2 200, 5 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 2 ACK");
    let hangs_up = to_outside()
        .phone("+2000", phone().rings(1.0).answers(2.0))
        .hangs_up(5.0)
        .run();
    assert_eq!(hangs_up.to("+2000"), "0 INVITE, 2 ACK, 5 BYE");
}

#[test]
fn case_036_outside_refuses() {
    let run = to_outside().phone("+2000", phone().rejects(1.0, 404)).run();
    assert_eq!(run.to("K"), "0 407, 0 180, 1 404");
    assert_eq!(run.ended("+2000"), "failed 0 s, rang 1 s");
}

#[test]
fn a_client_hears_and_the_record_says_how_its_call_failed() {
    for (status, ended) in [(486, "busy 0 s"), (603, "busy 0 s"), (404, "failed 0 s")] {
        let run = to_outside()
            .phone("+2000", phone().rejects(1.0, status))
            .run();
        assert_eq!(run.to("K"), format!("0 407, 0 180, 1 {status}"));
        assert_eq!(run.ended("K"), ended);
    }
    let run = to_outside().phone("+2000", phone().rings(0.0)).run();
    assert_eq!(
        (run.to("K").as_str(), run.ended("K").as_str()),
        ("0 407, 0 180, 30 408", "no-answer 0 s")
    );
    let nobody = World::new()
        .kim_is_client()
        .with(|directory| directory.clients.push(client("ann")));
    let run = nobody.dials("ann").run();
    assert_eq!(run.to("K"), "0 407, 0 180, 0 404");
    assert_eq!(
        (run.ended("K"), run.codes()),
        ("failed 0 s".to_owned(), vec![11008])
    );
}

#[test]
fn case_037_client_gives_up() {
    let run = to_outside()
        .phone("+2000", phone().rings(1.0).answers(9.0))
        .hangs_up(2.0)
        .run();
    assert_eq!(run.to("K"), "0 407, 0 180, 2 487");
    assert_eq!(run.to("+2000"), "0 INVITE, 2 CANCEL");
    assert_eq!(run.ended("K"), "canceled 0 s");
    assert_eq!(run.ended("+2000"), "canceled 0 s, rang 2 s");
}

#[test]
fn case_039_number_of_the_parent_account() {
    let sub = model::AccountSid::from_bytes([3; 16]);
    let run = World::document("<Dial><Number>+2000</Number></Dial>")
        .kim_is_client()
        .with(|directory| directory.clients[0].0.account = sub)
        .phone("+2000", phone().rings(0.0).answers(1.0).talks(2.0))
        .run();
    assert_eq!(run.to("K"), "0 407, 0 180, 0 200, 3 BYE");
    assert_eq!(run.to("+2000"), "0 INVITE, 1 ACK");
    assert_eq!(run.ended("K"), "completed 3 s");
    assert_eq!(run.record("K").account, sub);
    assert_eq!(run.record("+2000").account, sub);
}
