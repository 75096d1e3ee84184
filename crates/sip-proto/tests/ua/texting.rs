//! Text messages that arrive: identified like calls, and answered once.

use crate::bench::{Bench, REALM, assert_table};
use sip_proto::message::{HeaderName, Message};
use sip_proto::ua::{IncomingText, Output, TextBody};

#[test]
fn a_text_gets_the_response_of_the_engine() {
    assert_table(&[
        (
            "0 < MESSAGE text; 10 taken 202; 20 < again; 40000 end",
            "0 ! Text Unknown `hi`, 10 > 202 MESSAGE, 20 > 202 MESSAGE",
        ),
        (
            "0 < MESSAGE text; 10 taken 100; 20 taken 200; 30 taken 202",
            "0 ! Text Unknown `hi`, 10 > 100 MESSAGE, 20 > 200 MESSAGE",
        ),
        (
            "0 < MESSAGE text; 10 reject 404; 20 reject 500",
            "0 ! Text Unknown `hi`, 10 > 404 MESSAGE",
        ),
        (
            "0 < MESSAGE text; 10 challenge",
            "0 ! Text Unknown `hi`, 10 > 407 MESSAGE",
        ),
        // It is not a call.
        (
            "0 < MESSAGE text; 10 ring; 20 answer; 30 taken 200",
            "0 ! Text Unknown `hi`, 30 > 200 MESSAGE",
        ),
        // Repeated while the engine decides, it is the same text.
        (
            "0 < MESSAGE text; 10 < again; 500 taken 200",
            "0 ! Text Unknown `hi`, 500 > 200 MESSAGE",
        ),
        ("0 < MESSAGE", "0 ! Text Unknown NotText"),
        ("0 < MESSAGE sdp", "0 ! Text Unknown NotText"),
    ]);
}

#[test]
fn the_type_and_charset_of_the_body_decide() {
    let table: &[(&str, &[u8], TextBody)] = &[
        ("text/plain", "Grüße".as_bytes(), text("Grüße")),
        ("text/plain;charset=UTF-8", "\u{3b1}".as_bytes(), text("α")),
        ("Text/Plain; charset=\"utf-8\"", b"a", text("a")),
        (
            "text/plain;charset=iso-8859-1",
            b"Gr\xfc\xdfe",
            text("Grüße"),
        ),
        ("text/plain", b"Gr\xfc\xdfe", TextBody::Undecodable),
        ("text/plain;charset=utf-16", b"\0a", TextBody::Undecodable),
        ("text/plain", b" \r\n", TextBody::NotText),
        ("text/html", b"<p>a</p>", TextBody::NotText),
        ("application/im-iscomposing+xml", b"<a/>", TextBody::NotText),
    ];
    for (kind, body, expected) in table {
        assert_eq!(arrived(kind, body).body, *expected, "{kind}");
    }
    let arrived = arrived("text/plain", b"a");
    let parties = (
        &*arrived.from_user,
        &*arrived.to_user,
        &*arrived.called_user,
    );
    assert_eq!(parties, ("kim", "ann", "+1555"));
    assert!(arrived.from_here && arrived.called_here);
    assert_eq!(arrived.headers, [("X-Id".to_owned(), "7".to_owned())]);
}

#[test]
fn a_refusal_of_the_type_says_what_is_read() {
    for status in [406, 415] {
        let mut bench = Bench::new();
        bench.play(&format!("0 < MESSAGE sdp; 10 reject {status}"));
        let Some((_, Message::Response(response))) = bench.sent.last() else {
            panic!("no response");
        };
        assert_eq!(response.headers.get(HeaderName::Accept), Some("text/plain"));
    }
}

fn text(text: &str) -> TextBody {
    TextBody::Text(text.to_owned())
}

fn arrived(kind: &str, body: &[u8]) -> IncomingText {
    let mut bench = Bench::new();
    let mut message = format!(
        "MESSAGE sip:+1555@{REALM} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx\r\n\
         From: <sip:kim@{REALM}>;tag=p\r\nTo: <sip:ann@{REALM}>\r\nCall-ID: c\r\n\
         CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nX-Id: 7\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    message.extend_from_slice(body);
    let now = crate::bench::start();
    bench.core.handle_datagram(message.into(), bench.peer, now);
    loop {
        match bench.core.poll_output() {
            Some(Output::Text(text)) => return *text,
            Some(_) => {}
            None => panic!("nothing was reported"),
        }
    }
}
