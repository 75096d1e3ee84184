//! Where a called party is found.

use super::*;

#[test]
fn a_called_party_is_at_phones_a_trunk_or_an_address() {
    let mut house = House::new();
    house.clients.push(client("1001", 1));
    house.clients.push(Client {
        enabled: false,
        ..client("off", 1)
    });
    let phones = |login: &str| {
        Ok(Way::Phones {
            organization: HERE,
            login: login.to_owned(),
        })
    };
    let trunk = |number: &str| {
        Ok(Way::Trunk {
            number: number.to_owned(),
        })
    };
    let address = |uri: &str| {
        Ok(Way::Address {
            uri: uri.to_owned(),
        })
    };
    let missing = |login: &str| Err(format!("there is no client `{login}`, or it is disabled"));
    let client = |login: &str| Target::Client(login.to_owned());
    let named = |name: &str| Target::Named(name.to_owned());
    let sip = |uri: &str| Target::Sip(uri.to_owned());
    let table = [
        (client("ann"), phones("ann")),
        (client("off"), missing("off")),
        (client("idle"), missing("idle")),
        (named("idle"), missing("idle")),
        (client("zed"), missing("zed")),
        (client(""), missing("")),
        (Target::Number("1001".to_owned()), trunk("1001")),
        (named("1001"), phones("1001")),
        (named("1002"), trunk("1002")),
        (named("zed2"), trunk("zed2")),
        (named("zed"), missing("zed")),
        (sip("sip:ann@h.example"), address("sip:ann@h.example")),
        (sip("sip:ann@PBX.example:5070;x=y"), phones("ann")),
        (sip("sip:off@pbx.example"), missing("off")),
        (sip("sip:zed@pbx.example"), address("sip:zed@pbx.example")),
        (sip("sips:ann@pbx.example"), address("sips:ann@pbx.example")),
        (sip("sip:pbx.example"), address("sip:pbx.example")),
        (named("12025550100"), trunk("12025550100")),
        (named("12025550200"), phones("12025550200")),
        (
            sip("sip:12025550100@pbx.example"),
            address("sip:12025550100@pbx.example"),
        ),
    ];
    // The number +12025550100 is of account 2, and so is +12025550200.
    house.clients.push(self::client("12025550100", 3));
    house.clients.push(self::client("12025550200", 2));
    house.numbers.push(number("+12025550200", None));
    house.clients.push(self::client("idle", 8));
    house.closed.push(account(8));
    for (target, expected) in table {
        assert_eq!(house.way(account(1), &target), expected, "{target:?}");
        // The numbers that a test account calls are those of test mode.
        let tested = match expected {
            Ok(Way::Trunk { number }) => Ok(Way::StandIn { number }),
            elsewhere => elsewhere,
        };
        assert_eq!(house.way(account(3), &target), tested, "{target:?}");
    }
    use Place::{Document, Parameter};
    let meanings = [
        ("ann", Document, "`<Client>ann</Client>`?"),
        ("1001", Document, "`<Client>1001</Client>`?"),
        ("ann", Parameter, "`client:ann`?"),
        ("zed", Document, ""),
        // The number has precedence over the client.
        ("12025550100", Parameter, "phones and trunks can call"),
    ];
    for (number, place, expected) in meanings {
        let said = house.settle(|rows| instead(number, HERE, place, rows));
        let said = said.unwrap_or_default();
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{said}"
        );
    }
}

/// Names belong to the organization of the account that dials; an address may name another one.
#[test]
fn a_client_is_found_in_its_own_organization_only() {
    const THERE: OrganizationSid = OrganizationSid::from_bytes([8; 16]);
    let mut house = House::new();
    house.clients = vec![
        client("kim", 1),
        Client {
            organization: THERE,
            ..client("kim", 2)
        },
        Client {
            organization: THERE,
            ..client("bob", 2)
        },
    ];
    let client = |login: &str| Target::Client(login.to_owned());
    let sip = |user: &str| Target::Sip(format!("sip:{user}@host"));
    let address = Ok(Way::Address {
        uri: "sip:7@host".to_owned(),
    });
    let phones = |organization, login: &str| {
        Ok(Way::Phones {
            organization,
            login: login.to_owned(),
        })
    };
    let missing = Err("there is no client `bob`, or it is disabled".to_owned());
    // Target, who dials, the organization that the address names.
    let table = [
        (client("kim"), HERE, None, phones(HERE, "kim")),
        (client("kim"), THERE, None, phones(THERE, "kim")),
        (client("bob"), THERE, None, phones(THERE, "bob")),
        (client("bob"), HERE, None, missing.clone()),
        (sip("kim"), HERE, Some(HERE), phones(HERE, "kim")),
        (sip("kim"), THERE, None, phones(THERE, "kim")),
        (sip("bob"), HERE, Some(THERE), missing),
        (sip("7"), HERE, Some(THERE), address),
    ];
    for (target, by, named, expected) in table {
        let user = target.as_str().trim_start_matches("sip:").split('@').next();
        let local = matches!(target, Target::Sip(_)).then(|| Local {
            user: user.unwrap(),
            organization: named,
        });
        let found = house.settle(|rows| way(&target, (account(1), by), local, rows));
        let found = found.map_err(|unreachable| unreachable.text);
        assert_eq!(found, expected, "{target:?} by {by}");
    }
}
