//! Refused and challenged calls: what is counted, and under which name.

use super::*;

/// The operator sees each refusal with the name of what causes it.
#[test]
fn refusals_are_counted_by_their_cause() {
    let as_is: Change = |_, _| {};
    let to_empty_application: Change = |house, _| {
        let voice = &mut house.numbers[0].voice;
        (voice.application, voice.url) = (Some(application(2)), None);
    };
    let of_empty_application: Change = |house, _| {
        house.clients[0].voice.application = Some(application(2));
    };
    let number = "+12025550100";
    let table: &[(&Caller, &str, Change, &str)] = &[
        (&Caller::Trunk, "zed", as_is, "not-found zed"),
        (
            &Caller::Trunk,
            number,
            |house, _| house.numbers[0].voice.url = None,
            "no-application +12025550100",
        ),
        (
            &Caller::Trunk,
            "12025550100",
            to_empty_application,
            "no-address +12025550100",
        ),
        (&kim(), number, of_empty_application, "no-address kim"),
        (
            &kim(),
            number,
            |house, _| house.closed.push(account(1)),
            "account-not-active kim",
        ),
        (
            &kim(),
            number,
            |house, _| house.closed.push(account(2)),
            "account-not-active +12025550100",
        ),
        (
            &kim(),
            "ann",
            |house, _| house.closed.push(account(3)),
            "account-not-active ann",
        ),
    ];
    for (at, (caller, called, change, expected)) in table.iter().enumerate() {
        let mut house = House::new();
        let mut invite = invite(caller, called);
        change(&mut house, &mut invite);
        let decision = house.decide(&invite);
        let Decision::Refuse(Refusal {
            counted: Some((reason, name)),
            text,
            ..
        }) = decision
        else {
            panic!("row {at}: {decision:?}");
        };
        assert_eq!(format!("{} {name}", reason.as_str()), *expected, "row {at}");
        if reason == RefusalReason::Inactive {
            assert_eq!(text, format!("the account of `{name}` is not active"));
        }
    }
}

/// A stranger's phone answers the challenge with what it has; that is not a client's password.
#[test]
fn wrong_credentials_at_a_private_number_do_not_make_a_stranger_a_client() {
    use Challenged::{Client, Stranger};
    let unproved = Caller::Unproved;
    let number = "+12025550100";
    let table: &[(&Caller, &str, &str, Change, Challenged)] = &[
        (&Caller::Unknown, "guest", number, |_, _| {}, Stranger),
        (&unproved, "guest", number, |_, _| {}, Stranger),
        (&unproved, "kim", number, |_, _| {}, Client),
        (&unproved, "guest", "ann", |_, _| {}, Client),
        (
            &unproved,
            "guest",
            number,
            |house, _| house.numbers[0].public = true,
            Client,
        ),
        (
            &unproved,
            "kim",
            number,
            |_, invite| invite.from_here = false,
            Stranger,
        ),
    ];
    for (at, (caller, from, called, change, expected)) in table.iter().enumerate() {
        let mut house = House::new();
        let mut invite = invite(caller, called);
        invite.from_user = (*from).to_owned();
        change(&mut house, &mut invite);
        let Decision::Challenge(whom) = house.decide(&invite) else {
            panic!("row {at} is not challenged");
        };
        assert_eq!(whom, *expected, "row {at}");
    }
}

#[test]
fn the_server_refuses_with_its_own_statuses() {
    let full = Refusal::full();
    assert_eq!((full.sip_status, full.retry_after_s), (503, Some(10)));
    for (is_temporary, expected) in [(false, (500, None)), (true, (503, Some(10)))] {
        let failed = Refusal::without_rows(is_temporary);
        let seen = (failed.sip_status, failed.retry_after_s);
        assert_eq!((seen, failed.account), (expected, None));
    }
}
