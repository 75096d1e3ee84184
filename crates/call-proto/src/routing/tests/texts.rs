//! Text messages in tables: who may send to whom, and what runs.

use model::profile::Traffic;

use super::*;

/// A decision as text.
fn said(decision: &TextDecision) -> String {
    match decision {
        TextDecision::Challenge(Challenged::Client) => "challenge".to_owned(),
        TextDecision::Challenge(Challenged::Stranger) => "challenge a stranger".to_owned(),
        TextDecision::Refuse(refusal) => format!(
            "{} {}",
            refusal.sip_status,
            refusal
                .code
                .map_or_else(String::new, |code| code.to_string())
        ),
        TextDecision::Run(arrival) => {
            let document = &arrival.document;
            let path = document.url.trim_start_matches("http://pbx.example:8080");
            let fallback = document
                .fallback
                .as_ref()
                .map_or("", |fallback| &fallback.url);
            let fallback = fallback.trim_start_matches("http://pbx.example:8080");
            let of = arrival.account.as_bytes()[0];
            let (method, dialect) = (document.method, arrival.dialect.name);
            let line = format!("{of}: {method} {path} {fallback} {dialect}");
            assert_eq!(arrival.body, "hi");
            line
        }
        TextDecision::Keyword(arrival, refusal) => {
            format!("{} or {}", arrival.body, refusal.sip_status)
        }
        TextDecision::Relay(relay) => {
            let of = relay.account.as_bytes()[0];
            format!("{of}: {} to client {}", relay.from, relay.login)
        }
        TextDecision::Forward(forward) => {
            let of = forward.account.as_bytes()[0];
            format!("{of}: {} to {}", forward.from, forward.to)
        }
    }
}

fn decide(house: &mut House, message: &Invitation) -> String {
    let settings = super::super::House {
        public_base: BASE,
        has_outbound_proxy: house.has_outbound_proxy,
    };
    let decision = house.settle(|rows| route_text(message, ("hi", "SIP"), settings, rows));
    said(&decision)
}

/// The number of [`House`], with settings for texts.
fn texting(settings: &[(&str, &str)]) -> Number {
    let mut number = number("+12025550100", Some("/v"));
    let own = settings.iter();
    number.extra = own
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    number
}

/// A number from which texts are only sent must still understand STOP.
#[test]
fn a_keyword_needs_no_application() {
    let settings = super::super::House {
        public_base: BASE,
        has_outbound_proxy: false,
    };
    for (text, expected) in [("Stop.", "Stop. or 404"), ("hi", "404 12003")] {
        let mut house = House::new();
        house.numbers = vec![texting(&[])];
        let message = invite(&Caller::Trunk, "+12025550100");
        let decision = house.settle(|rows| route_text(&message, (text, "SIP"), settings, rows));
        assert_eq!(said(&decision), expected);
    }
}

#[test]
fn a_profile_refuses_texts_from_trunks() {
    let table: &[(&str, &Caller, &str, &str)] = &[
        ("+19005550100", &Caller::Trunk, "+12025550100", "403 20030"),
        ("19005550100", &Caller::Trunk, "bob", "403 20030"),
        (
            "+12025550199",
            &Caller::Trunk,
            "+12025550100",
            "2: POST /m  restcomm",
        ),
        (
            "+12025550199",
            &Caller::Trunk,
            "bob",
            "2: +12025550199 to client bob",
        ),
        // Not through a trunk: profiles are about the outside.
        ("19005550100", &kim(), "bob", "1: kim to client bob"),
    ];
    for (from, caller, called, expected) in table {
        let mut house = House::new();
        house.numbers = vec![texting(&[("SmsUrl", "/m")])];
        house.clients.push(client("bob", 2));
        let inbound = &mut house.limits.traffic[Traffic::InboundTexts as usize];
        inbound.blocked = vec!["+1900".to_owned()];
        let message = Invitation {
            from_user: (*from).to_owned(),
            from_here: false,
            ..invite(caller, called)
        };
        assert_eq!(
            decide(&mut house, &message),
            *expected,
            "{from} texts {called}"
        );
    }
}

#[test]
fn the_sender_and_the_recipient_decide() {
    let unknown = Caller::Unknown;
    let with_url = || texting(&[("SmsUrl", "/m"), ("SmsFallbackUrl", "/f")]);
    let table: &[(&str, &Caller, &str)] = &[
        ("+12025550100", &kim(), "2: POST /m /f restcomm"),
        ("+12025550100", &Caller::Trunk, "2: POST /m /f restcomm"),
        ("+12025550100", &unknown, "challenge"),
        ("+12025550100", &Caller::Unproved, "challenge"),
        ("ann", &kim(), "1: kim to client ann"),
        ("ann", &Caller::Trunk, "3: kim to client ann"),
        ("ann", &unknown, "challenge"),
        ("+15550000", &kim(), "1: kim to +15550000"),
        ("+15550000", &Caller::Trunk, "404 11005"),
        ("nobody", &unknown, "challenge"),
    ];
    for (called, caller, expected) in table {
        let mut house = House::new();
        house.numbers = vec![with_url()];
        let said = decide(&mut house, &invite(caller, called));
        assert_eq!(said, *expected, "{caller:?} to {called}");
    }
}

#[test]
fn clients_of_different_organizations_do_not_text_each_other() {
    let there = OrganizationSid::from_bytes([8; 16]);
    let mut house = House::new();
    let of_two = |login: &str| Client {
        organization: there,
        ..client(login, 5)
    };
    house.clients = vec![client("kim", 1), of_two("kim"), of_two("ann")];
    house.numbers = vec![Number {
        organization: there,
        account: account(5),
        ..texting(&[("SmsUrl", "/m")])
    }];
    let table = [
        (there, "ann", None, "5: kim to client ann"),
        (there, "ann", Some(there), "5: kim to client ann"),
        // It reaches only the numbers of another organization.
        (HERE, "ann", Some(there), "404 11005"),
        (HERE, "+12025550100", Some(there), "5: POST /m  restcomm"),
        (HERE, "+15550000", Some(there), "404 11005"),
        (HERE, "+15550000", None, "1: kim to +15550000"),
    ];
    for (by, called, named, expected) in table {
        let text = Invitation {
            from_organization: by,
            called_organization: named,
            ..invite(&kim(), called)
        };
        let said = decide(&mut house, &text);
        assert_eq!(said, expected, "{by} to {called} in {named:?}");
    }
}

#[test]
fn strangers_reach_public_numbers_only() {
    let mut house = House::new();
    house.numbers = vec![texting(&[("SmsUrl", "/m")])];
    let mut stranger = invite(&Caller::Unknown, "+12025550100");
    stranger.from_user = "+1999".to_owned();
    stranger.from_here = false;
    stranger.from_registered = false;
    assert_eq!(decide(&mut house, &stranger), "challenge a stranger");
    house.numbers[0].public = true;
    assert_eq!(decide(&mut house, &stranger), "2: POST /m  restcomm");
    // It has the name of a client of another account.
    stranger.from_user = "kim".to_owned();
    stranger.from_here = true;
    assert_eq!(decide(&mut house, &stranger), "2: POST /m  restcomm");
    stranger.called_user = "ann".to_owned();
    stranger.to_user = "ann".to_owned();
    assert_eq!(decide(&mut house, &stranger), "challenge");
}

#[test]
fn an_account_that_is_not_active_neither_sends_nor_receives() {
    for (closed, called) in [
        (1, "ann"),
        (3, "ann"),
        (2, "+12025550100"),
        (1, "+15550000"),
    ] {
        let mut house = House::new();
        house.numbers = vec![texting(&[("SmsUrl", "/m")])];
        house.closed = vec![account(closed)];
        let said = decide(&mut house, &invite(&kim(), called));
        assert_eq!(said, "403 11005", "{closed} {called}");
    }
}

#[test]
fn the_settings_of_the_number_say_what_runs() {
    let app = |n| application(n).to_string();
    let (one, two, four, gone) = (app(1), app(2), app(4), app(3));
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "404 12003"),
        (&[("SmsUrl", "")], "404 12003"),
        (
            &[("SmsUrl", "http://a/m"), ("SmsMethod", "GET")],
            "2: GET http://a/m  restcomm",
        ),
        (
            &[("SmsUrl", "/m"), ("SmsDialect", "twilio")],
            "2: POST /m  twilio",
        ),
        (
            &[
                ("SmsApplicationSid", &one),
                ("SmsUrl", "/m"),
                ("SmsMethod", "GET"),
            ],
            "2: GET /app?y=2  twilio",
        ),
        (
            &[("SmsApplicationSid", &one), ("SmsFallbackUrl", "/f")],
            "2: POST /app?y=2 /f twilio",
        ),
        (
            &[("SmsApplicationSid", &four)],
            "2: GET /app?y=2 /own-f twilio",
        ),
        (&[("SmsApplicationSid", &two)], "404 12003"),
        (&[("SmsApplicationSid", &gone)], "404 12003"),
        (&[("SmsApplicationSid", "nonsense")], "404 12003"),
    ];
    for (settings, expected) in table {
        let mut house = House::new();
        house.numbers = vec![texting(settings)];
        let said = decide(&mut house, &invite(&kim(), "+12025550100"));
        assert_eq!(said, *expected, "{settings:?}");
    }
}

/// A number with an application for texts is what its own account dials by that name; the number of
/// another account is its own, whatever the logins of others.
#[test]
fn a_number_precedes_the_client_of_its_account() {
    let mut house = House::new();
    house.clients.push(client("12025550100", 2));
    house.numbers = vec![texting(&[("SmsUrl", "/m")])];
    let message = invite(&kim(), "12025550100");
    assert_eq!(decide(&mut house, &message), "2: POST /m  restcomm");
    house.numbers = vec![texting(&[])];
    assert_eq!(decide(&mut house, &message), "1: kim to client 12025550100");
    house.clients[2].account = account(3);
    assert_eq!(decide(&mut house, &message), "404 12003");
}

#[test]
fn the_best_response_of_several_phones_is_that_of_the_recipient() {
    let table: &[(&[u16], &[Option<u16>])] = &[
        (&[200], &[Some(200)]),
        (&[404, 202], &[None, Some(202)]),
        (&[200, 404], &[Some(200), None]),
        (&[486, 404], &[None, Some(404)]),
        (&[404, 603], &[None, Some(603)]),
        (&[407], &[Some(403)]),
        (&[500, 408, 480], &[None, None, Some(408)]),
    ];
    for (answers, expected) in table {
        let mut outcome = Outcome::of(answers.len());
        let said = answers.iter().map(|status| {
            let found = outcome.handle_answer(*status, String::new());
            found.map(|(status, _)| status)
        });
        let said: Vec<_> = said.take(expected.len()).collect();
        let first = expected.iter().position(Option::is_some).unwrap_or(0);
        assert_eq!(said[..=first], expected[..=first], "{answers:?}");
    }
}
