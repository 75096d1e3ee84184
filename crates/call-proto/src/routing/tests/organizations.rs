//! Calls within an organization, and between two.

use super::*;

const THERE: OrganizationSid = OrganizationSid::from_bytes([8; 16]);

/// Clients `kim` here and there, `ann` only here; extension 1001 and number +12025550100 there.
fn house() -> House {
    let mut house = House::new();
    let of_two = |login: &str| Client {
        organization: THERE,
        ..client(login, 5)
    };
    let number_of_two = |text: &str| Number {
        organization: THERE,
        account: account(5),
        ..number(text, Some("/there"))
    };
    house.clients = vec![client("kim", 1), client("ann", 3), of_two("kim")];
    house.numbers = vec![number_of_two("1001"), number_of_two("+12025550100")];
    house
}

fn call(by: OrganizationSid, called: &str, named: Option<OrganizationSid>) -> Invitation {
    Invitation {
        from_organization: by,
        called_organization: named,
        ..invite(&kim(), called)
    }
}

#[test]
fn names_are_looked_up_in_one_organization() {
    let mut house = house();
    let table = [
        // Each `kim` is another client, and calls its own colleagues.
        (HERE, "ann", None, "1: Client ann on bridge"),
        (HERE, "ann", Some(HERE), "1: Client ann on bridge"),
        (THERE, "ann", None, "5: Number ann on bridge"),
        // Clients of different organizations never reach each other.
        (THERE, "ann", Some(HERE), "404 11005 for 5"),
        (HERE, "kim", Some(THERE), "404 11005 for 1"),
        // An extension is dialled where it belongs, or by the domain.
        (THERE, "1001", None, "5: POST /there"),
        (HERE, "1001", Some(THERE), "1: POST /there"),
        (HERE, "1001", Some(HERE), "1: Number 1001 on bridge"),
        (THERE, "1001", Some(HERE), "404 11005 for 5"),
        // A phone number is dialled from everywhere.
        (HERE, "12025550100", None, "1: POST /there"),
        (HERE, "12025550100", Some(THERE), "1: POST /there"),
    ];
    for (by, called, named, expected) in table {
        let found = said(&house.decide(&call(by, called, named)));
        assert_eq!(found, expected, "{by} calls {called} in {named:?}");
    }
    // Without a trunk, nothing else is behind a name.
    house.has_outbound_proxy = false;
    let found = said(&house.decide(&call(HERE, "1001", Some(HERE))));
    assert_eq!(found, "404 11005 for 1");
}

#[test]
fn a_trunk_reaches_the_organization_that_it_names() {
    let mut house = house();
    for (called, named, expected) in [
        ("1001", Some(THERE), "5: POST /there"),
        ("1001", None, "404 11005"),
        ("12025550100", None, "5: POST /there"),
        ("kim", Some(THERE), "5: Client kim on bridge"),
        ("kim", None, "1: Client kim on bridge"),
    ] {
        let invite = Invitation {
            caller: Caller::Trunk,
            from_here: false,
            ..call(HERE, called, named)
        };
        let found = said(&house.decide(&invite));
        assert_eq!(found, expected, "{called} {named:?}");
    }
}

#[test]
fn a_profile_refuses_callers_from_trunks() {
    let mut house = House::new();
    let inbound = &mut house.limits.traffic[Traffic::InboundCalls as usize];
    inbound.blocked = vec!["+1900".to_owned()];
    house.clients.push(client("bob", 2));
    for (from, called, by, expected) in [
        (
            "+19005550100",
            "12025550100",
            Caller::Trunk,
            "403 20030 for 2",
        ),
        ("+19005550100", "bob", Caller::Trunk, "403 20030 for 2"),
        (
            "+12025550199",
            "bob",
            Caller::Trunk,
            "2: Client bob on bridge",
        ),
        // Not through a trunk: profiles are about the outside.
        ("19005550100", "bob", kim(), "1: Client bob on bridge"),
    ] {
        let invite = Invitation {
            from_user: from.to_owned(),
            from_here: false,
            ..invite(&by, called)
        };
        assert_eq!(
            said(&house.decide(&invite)),
            expected,
            "{from} calls {called}"
        );
    }
}
