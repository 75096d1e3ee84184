//! Text messages outside of dialogs: one MESSAGE, one outcome.

use crate::bench::{Bench, assert_table};
use sip_proto::message::HeaderName;
use sip_proto::ua::Transport;

#[test]
fn a_message_ends_as_the_remote_party_decides() {
    assert_table(&[
        (
            "0 message; 100 < 100 MESSAGE; 200 < 200 MESSAGE a; 300 < again",
            "0 > MESSAGE, 200 ! MessageDone 200",
        ),
        (
            "0 message; 100 < 202 MESSAGE a",
            "0 > MESSAGE, 100 ! MessageDone 202",
        ),
        (
            "0 message; 100 < 404 MESSAGE a",
            "0 > MESSAGE, 100 ! MessageDone 404",
        ),
        // Timer F.
        (
            "0 message; 40000 end",
            "0 > MESSAGE, 500 > MESSAGE, 1500 > MESSAGE, 3500 > MESSAGE, 7500 > MESSAGE, \
             11500 > MESSAGE, 15500 > MESSAGE, 19500 > MESSAGE, 23500 > MESSAGE, 27500 > MESSAGE, \
             31500 > MESSAGE, 32000 ! MessageDone 408",
        ),
        ("0 message nowhere", "0 ! MessageDone 400"),
        // No other command applies to it.
        (
            "0 message; 10 bye; 20 cancel; 100 < 200 MESSAGE a",
            "0 > MESSAGE, 100 ! MessageDone 200",
        ),
    ]);
}

#[test]
fn a_challenge_is_answered_with_the_credentials() {
    let digest = "Proxy-Authenticate: Digest realm=\"x\", nonce=\"y\"";
    let script =
        |start: &str| format!("{start}; 10 < 407 MESSAGE a | {digest}; 20 < 200 MESSAGE b");
    assert_table(&[
        (
            &script("0 message auth"),
            "0 > MESSAGE, 10 > MESSAGE, 20 ! MessageDone 200",
        ),
        (&script("0 message"), "0 > MESSAGE, 10 ! MessageDone 407"),
    ]);
    let mut bench = Bench::new();
    bench.play(&script("0 message auth"));
    let headers = &bench.request_of("MESSAGE").headers;
    assert!(headers.get(HeaderName::ProxyAuthorization).is_some());
    assert_eq!(headers.get(HeaderName::CSeq), Some("2 MESSAGE"));
}

#[test]
fn a_message_carries_its_text_and_no_contact() {
    let mut bench = Bench::new();
    bench.play("0 message");
    let message = bench.request_of("MESSAGE");
    assert_eq!(message.body, "Grüße".as_bytes());
    let header = |name| message.headers.get(name);
    let kind = header(HeaderName::ContentType);
    assert_eq!(kind, Some("text/plain;charset=UTF-8"));
    // RFC 3428 §4: it creates no dialog.
    assert_eq!(header(HeaderName::Contact), None);
}

/// RFC 3261 §18.1.1: by TCP, and as a datagram only if no connection can be opened.
#[test]
fn a_long_message_goes_by_tcp() {
    let mut bench = Bench::new();
    bench.play("0 message long");
    let way = |bench: &Bench| bench.sent.last().map(|(peer, _)| peer.transport);
    assert_eq!(way(&bench), Some(Transport::Tcp));
    let peer = bench.sent.last().map(|(peer, _)| *peer).unwrap();
    bench
        .core
        .handle_transport_error(peer, crate::bench::start());
    bench.drain();
    assert_eq!(bench.sent.len(), 2);
    assert_eq!(way(&bench), Some(Transport::Udp));
    bench.play("10 < 200 MESSAGE a");
    let mut short = Bench::new();
    short.play("0 message");
    assert_eq!(way(&short), Some(Transport::Udp));
}
