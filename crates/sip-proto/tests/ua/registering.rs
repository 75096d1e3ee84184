//! Our own registration at another server: one REGISTER, one outcome.

use crate::bench::{Bench, assert_table};
use sip_proto::message::HeaderName;

#[test]
fn a_registration_ends_as_the_registrar_decides() {
    assert_table(&[
        (
            "0 register; 100 < 100 REGISTER; 200 < 200 REGISTER a; 300 < again",
            "0 > REGISTER, 200 ! RegisterDone 200",
        ),
        (
            "0 register; 100 < 200 REGISTER a | Expires: 300",
            "0 > REGISTER, 100 ! RegisterDone 200 300",
        ),
        (
            "0 register; 100 < 423 REGISTER a | Min-Expires: 900",
            "0 > REGISTER, 100 ! RegisterDone 423 900",
        ),
        (
            "0 register; 100 < 403 REGISTER a",
            "0 > REGISTER, 100 ! RegisterDone 403",
        ),
        // Timer F.
        (
            "0 register; 40000 end",
            "0 > REGISTER, 500 > REGISTER, 1500 > REGISTER, 3500 > REGISTER, 7500 > REGISTER, \
             11500 > REGISTER, 15500 > REGISTER, 19500 > REGISTER, 23500 > REGISTER, \
             27500 > REGISTER, 31500 > REGISTER, 32000 ! RegisterDone 408",
        ),
        ("0 register nowhere", "0 ! RegisterDone 400"),
        // No other command applies to it.
        (
            "0 register; 10 bye; 20 cancel; 100 < 200 REGISTER a",
            "0 > REGISTER, 100 ! RegisterDone 200",
        ),
    ]);
}

#[test]
fn a_challenge_of_the_registrar_is_answered() {
    let digest = "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"";
    let script =
        |start: &str| format!("{start}; 10 < 401 REGISTER a | {digest}; 20 < 200 REGISTER b");
    assert_table(&[
        (
            &script("0 register auth"),
            "0 > REGISTER, 10 > REGISTER, 20 ! RegisterDone 200",
        ),
        (&script("0 register"), "0 > REGISTER, 10 ! RegisterDone 401"),
    ]);
    let mut bench = Bench::new();
    bench.play(&script("0 register auth"));
    let headers = &bench.request_of("REGISTER").headers;
    assert!(headers.get(HeaderName::Authorization).is_some());
    let table = [
        (HeaderName::CSeq, "18 REGISTER"),
        (HeaderName::CallId, "r1@here"),
        (HeaderName::Expires, "600"),
        (HeaderName::To, "<sip:kim@carrier.example>"),
    ];
    for (name, value) in table {
        assert_eq!(headers.get(name), Some(value));
    }
    let contact = headers.get(HeaderName::Contact);
    assert!(contact.is_some_and(|text| text.starts_with("<sip:kim@")));
    assert_eq!(
        bench.request_of("REGISTER").uri.to_string(),
        "sip:carrier.example"
    );
}
