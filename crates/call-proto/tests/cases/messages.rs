//! Text messages of a call: whatever happens, each ends once, with a reason, and reports that once.

use call_proto::{Dialect, Target};
use model::MessageStatus;
use model::record::Message;

use crate::world::{World, phone, texts, xml};

const SMS: &str = "<Sms to=\"ann\" statusCallback=\"/s\">Your code is 7</Sms>";

fn end(message: &Message) -> (MessageStatus, Option<u16>, &str) {
    let reason = message.reason.as_deref().unwrap_or_default();
    (message.status, message.error_code, reason)
}

#[test]
fn ends_as_the_phone_answers() {
    let table = [
        (200, MessageStatus::Sent, None),
        (202, MessageStatus::Sent, None),
        (404, MessageStatus::Failed, Some(30005)),
        (480, MessageStatus::Failed, Some(30003)),
        (408, MessageStatus::Failed, Some(30003)),
        (603, MessageStatus::Failed, Some(30004)),
        (405, MessageStatus::Failed, Some(30006)),
        (500, MessageStatus::Failed, Some(30008)),
        (302, MessageStatus::Failed, Some(30008)),
    ];
    for (answer, status, code) in table {
        let mut world = World::document(SMS).phone("ann", phone());
        world.message_answer = Some(answer);
        let run = world.run();
        let reason = answer.to_string();
        assert_eq!(end(&run.messages[0]), (status, code, reason.as_str()));
        assert_eq!(run.codes(), Vec::from_iter(code));
        let [told] = run.callbacks.as_slice() else {
            panic!("{answer}: {:?}", run.callbacks);
        };
        assert_eq!(texts(&told.params, "MessageStatus"), status.as_str());
        let told = told.params.iter().find(|(name, _)| name == "ErrorCode");
        let told = told.map(|(_, value)| value.clone());
        assert_eq!(told, code.map(|code| code.to_string()));
    }
}

#[test]
fn what_a_phone_never_answers_has_failed() {
    let mut world = World::document(SMS).phone("ann", phone());
    world.message_answer = None;
    let run = world.run();
    let failed = (MessageStatus::Failed, Some(30003), "no response came");
    assert_eq!(end(&run.messages[0]), failed);
    // The call did not wait for the message.
    let record = run.record("K");
    assert_eq!(record.ended, Some(record.created));
}

#[test]
fn a_message_without_a_route_fails() {
    let run = World::document(SMS).run();
    let failed = (
        MessageStatus::Failed,
        Some(30005),
        "`ann` is not among the parties of the script",
    );
    assert_eq!(end(&run.messages[0]), failed);
    assert_eq!(run.codes(), [30005]);
}

#[test]
fn the_callbacks_stored_for_a_crash_report_the_same() {
    for answer in [Some(200), Some(404), None] {
        let mut world = World::document(SMS).phone("ann", phone());
        world.message_answer = answer;
        let run = world.run();
        let told = &run.callbacks[0];
        let kept = run.message_farewells.values().next().expect("it is kept");
        assert_eq!(&kept.clone().callback(&run.messages[0], told.event), told);
    }
}

#[test]
fn a_document_cannot_flood_the_world() {
    let sms = "<Sms to=\"ann\">x</Sms>".repeat(60);
    let mut world = World::document(&sms).phone("ann", phone());
    world.message_answer = None;
    let run = world.run();
    let refused = run
        .messages
        .iter()
        .filter(|one| one.error_code == Some(30001));
    assert_eq!((run.messages.len(), refused.count()), (60, 10));
}

#[test]
fn the_parties_of_the_call_are_its_parties() {
    let sms = "<Sms>x</Sms>";
    let inbound = World::document(sms).phone("kim", phone()).run();
    let record = inbound.record("K");
    let message = &inbound.messages[0];
    assert_eq!((&message.from, &message.to), (&record.to, &record.from));
    let outbound = World::api(Target::Client("ann".to_owned()), sms)
        .phone("ann", phone().answers(1.0))
        .run();
    let record = outbound.record("ann");
    let message = &outbound.messages[0];
    assert_eq!((&message.from, &message.to), (&record.from, &record.to));
    assert_eq!(message.status, MessageStatus::Sent);
}

#[test]
fn what_cannot_be_sent_ends_the_document() {
    let table = [
        (
            "<Sms to=\"ann\"/><Say>x</Say>",
            14103,
            "0 180, 0 500 Sms cannot be sent",
        ),
        (
            "<Sms to=\" \">x</Sms><Say>x</Say>",
            14101,
            "0 180, 0 500 Sms cannot be sent",
        ),
        (
            "<Sms from=\"\">x</Sms><Say>x</Say>",
            14102,
            "0 180, 0 500 Sms cannot be sent",
        ),
        (
            "<Sms action=\"ftp://x\">x</Sms><Say>x</Say>",
            11100,
            "0 180, 0 200, 0 BYE address is not valid",
        ),
        (
            "<Sms statusCallback=\"ftp://x\">x</Sms><Say>x</Say>",
            11100,
            "0 180, 0 200, 0 BYE address is not valid",
        ),
    ];
    for (document, code, sent) in table {
        let run = World::document(document).dialect(Dialect::TWILIO).run();
        assert!(run.codes().contains(&code), "{document}: {:?}", run.codes());
        assert_eq!(run.to("K"), sent, "{document}");
        assert!(run.messages.is_empty(), "{document}");
    }
}

#[test]
fn an_action_that_sends_for_ever_is_stopped() {
    let again = "<Sms to=\"ann\" action=\"/a\">x</Sms>";
    let run = World::document(again)
        .phone("ann", phone())
        .app("/a", xml(again))
        .run();
    assert!(run.codes().contains(&11101), "{:?}", run.codes());
    assert_eq!(run.record("K").reason.as_deref(), Some("redirect-loop"));
}

#[test]
fn the_action_receives_the_message() {
    let run = World::document("<Sms to=\"ann\" action=\"/a\" method=\"GET\">x</Sms>")
        .phone("ann", phone())
        .app("/a", xml("<Hangup/>"))
        .run();
    let asked = run.request("/a");
    let sid = run.messages[0].sid.to_string();
    assert_eq!(
        (asked.get("SmsSid"), asked.get("MessageSid")),
        (sid.as_str(), sid.as_str())
    );
    assert_eq!(asked.get("SmsStatus"), "sending");
}

#[test]
fn the_password_of_an_address_is_never_shown() {
    let sms = "<Sms to=\"sip:bob:s3cret@h\" from=\"sip:me:s3cret@h\" statusCallback=\"/s\">x</Sms>";
    for answer in [200, 404] {
        let mut world = World::document(sms).phone("bob:s3cret", phone());
        world.message_answer = Some(answer);
        let run = world.run();
        assert_eq!(
            (run.messages[0].to.as_str(), run.messages.len()),
            ("sip:bob@h", 1)
        );
        let shown = format!(
            "{:?} {:?} {:?}",
            run.messages, run.notifications, run.callbacks
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn sending_ends_after_the_call_has_ended() {
    let again = "<Sms to=\"sip:x@slow\">a</Sms><Sms to=\"ann\" action=\"/a\">b</Sms>";
    let mut world = World::document(again)
        .phone("ann", phone())
        .app("/a", xml(again))
        .hangs_up(4.0);
    world.looking_up_ms = 1_500;
    let run = world.run();
    assert!(run.codes().contains(&11101), "{:?}", run.codes());
    assert!(run.messages.len() < 500, "{}", run.messages.len());
}
