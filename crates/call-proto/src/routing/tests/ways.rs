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
        let said = house.settle(|rows| instead(number, place, rows));
        let said = said.unwrap_or_default();
        assert!(
            said.contains(expected) && said.is_empty() == expected.is_empty(),
            "{said}"
        );
    }
}
