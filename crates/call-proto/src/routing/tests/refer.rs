//! The document for transfers of the number that was called.

use super::*;

/// Its method, address and author, where it was set, and its fallback.
fn shown(document: Option<Document>) -> String {
    let Some(document) = document else {
        return "none".to_owned();
    };
    let one = |method, url: &str, author: AccountSid, set_in| {
        let path = url.trim_start_matches("http://pbx.example:8080");
        format!("{method} {path} of {} in {set_in:?}", author.as_bytes()[0])
    };
    let Document {
        method,
        url,
        author,
        set_in,
        fallback,
        ..
    } = document;
    let first = one(method, &url, author, set_in);
    match fallback {
        Some(next) => {
            let next = one(next.method, &next.url, next.author, next.set_in);
            format!("{first}, then {next}")
        }
        None => first,
    }
}

fn refer_of(house: &mut House, called: &str) -> String {
    match house.decide(&invite(&Caller::Trunk, called)) {
        Decision::Admit(admission) => shown(admission.refer),
        other => panic!("{called}: {other:?}"),
    }
}

#[test]
fn an_application_for_transfers_goes_before_an_address() {
    let [one, two, four] = [1, 2, 4].map(|n| application(n).to_string());
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "none"),
        (&[("ReferUrl", "")], "none"),
        (&[("ReferUrl", "/r")], "POST /r of 2 in NumberRefer"),
        (
            &[("ReferUrl", "http://app/r"), ("ReferMethod", "GET")],
            "GET http://app/r of 2 in NumberRefer",
        ),
        (&[("ReferUrl", "ftp://app/r")], "none"),
        (
            &[
                ("ReferUrl", "/r"),
                ("ReferMethod", "GET"),
                ("ReferApplicationSid", &one),
            ],
            "GET /app?y=2 of 4 in Application",
        ),
        (
            &[("ReferApplicationSid", &four)],
            "GET /app?y=2 of 4 in Application, then GET /own-f of 4 in Application",
        ),
        // One without an address, and one that is not there.
        (&[("ReferApplicationSid", &two)], "none"),
        (&[("ReferUrl", "/r"), ("ReferApplicationSid", "x")], "none"),
    ];
    for (stored, expected) in table {
        let mut house = House::new();
        let extra = &mut house.numbers[0].extra;
        extra.extend(
            stored
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        );
        assert_eq!(
            refer_of(&mut house, "+12025550100"),
            *expected,
            "{stored:?}"
        );
    }
}

#[test]
fn patterns_and_the_number_for_all_others_have_one_too() {
    let mut house = House::new();
    let with = |number: &str, refer: &str| {
        let mut number = super::number(number, Some("/v"));
        number.extra.insert("ReferUrl".to_owned(), refer.to_owned());
        number
    };
    house.patterns = vec![with("^77", "/pattern")];
    house.any = Some(with("*", "/any"));
    assert_eq!(
        refer_of(&mut house, "7712"),
        "POST /pattern of 2 in NumberRefer"
    );
    assert_eq!(refer_of(&mut house, "4"), "POST /any of 2 in NumberRefer");
    // A call to a client has none.
    assert_eq!(refer_of(&mut house, "ann"), "none");
}
