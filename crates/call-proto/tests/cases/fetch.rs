//! Who may call whom, and late or unusable offers.

use model::AccountStatus;

use crate::world::{UNUSABLE, World, client, number, phone, xml};

/// A document that calls ann, who answers immediately and talks for 3 s.
fn dial_ann() -> World {
    World::document("<Dial><Client>ann</Client></Dial>")
        .phone("ann", phone().rings(0.0).answers(0.0).talks(3.0))
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
        run.refusal.as_ref().and_then(|refusal| refusal.code),
        Some(11005)
    );
}

#[test]
fn case_010_client_of_a_closed_account() {
    let run = World::new()
        .kim_is_client()
        .with(|directory| {
            let (mut ann, _) = client("ann");
            ann.account = model::AccountSid::from_bytes([5; 16]);
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
        // Only an authenticated client learns about its account.
        assert_eq!(run.to("K"), "0 407, 0 403", "{status}");
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
fn case_172_media_fails_on_joining_a_room() {
    let mut world = World::document("<Dial><Conference>red</Conference></Dial>");
    world.caller.sdp = Some(UNUSABLE.to_owned());
    let run = world.run();
    assert_eq!(run.to("K"), "0 180, 0 488");
    assert_eq!(run.ended("K"), "failed 0 s");
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
    assert_eq!(run.to("K"), "0 180, 2 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.app(), "");
    assert_eq!(run.ended("K"), "completed 3 s");
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

/// Deviates: one record per leg, as everywhere.
#[test]
fn case_034_client_to_client() {
    let run = ann_is_client(World::new().kim_is_client()).run();
    assert_eq!(run.to("K"), "0 407, 0 180, 2 200, 5 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!((run.app(), run.legs()), (String::new(), 2));
    assert_eq!(run.ended("K"), "completed 3 s");
    assert_eq!(run.ended("ann"), "completed 3 s, rang 2 s");
}

#[test]
fn case_041_longest_call_between_clients() {
    let endless = phone().rings(0.0).answers(2.0);
    let run = World::new()
        .kim_is_client()
        .with(|directory| directory.clients.push(client("ann")))
        .phone("ann", endless)
        .dials("ann")
        .run();
    assert_eq!(run.to("K"), "0 407, 0 180, 2 200, 3602 BYE");
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK, 3602 BYE");
    assert_eq!(run.ended("K"), "completed 3600 s");
}

/// kim, a client, calls an outside number.
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
fn a_client_and_the_record_get_the_reason_for_a_failed_call() {
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
