//! Messages on a stream: pipelined, byte by byte, with keep-alives, and the errors that end a
//! connection.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use sip_proto::message::Message;
use sip_proto::parse::{Frame, Framer, MAX_MESSAGE_BYTES};

const HEAD: &str = "Via: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:b@b>\r\nCall-ID: c\r\nMax-Forwards: 70\r\n";

#[test]
fn streams_are_split_into_messages() {
    let options = request("OPTIONS", "hello");
    let table: &[(String, &str)] = &[
        (options.clone(), "OPTIONS hello"),
        (
            format!("{options}{}", request("INFO", "")),
            "OPTIONS hello, INFO ",
        ),
        (
            format!("\r\n{options}\r\n{options}"),
            "OPTIONS hello, OPTIONS hello",
        ),
        (
            format!("\r\n\r\n{options}\r\n\r\n\r\n\r\n"),
            "ping, OPTIONS hello, ping, ping",
        ),
        ("\r\n\r\n\r\n".into(), "ping"),
        (format!("\n\n{options}"), "OPTIONS hello"),
        (options.replace("\r\n", "\n"), "OPTIONS hello"),
        (options[..options.len() - 1].into(), ""),
        (response(), "200"),
        // A known length keeps the stream alive.
        (
            format!("{}{options}", options.replace("Via: SIP", "Via: ")),
            "400, OPTIONS hello",
        ),
        (
            format!("{}{options}", options.replace("SIP/2.0\r", "SIP/3.0\r")),
            "505, OPTIONS hello",
        ),
        (
            format!(
                "{}{options}",
                options.replace("sip:b@b SIP", "http://b SIP")
            ),
            "416, OPTIONS hello",
        ),
        // These lose the message boundary.
        (
            format!("{}{options}", options.replace("Content-Length", "X")),
            "400 close",
        ),
        (
            options.replace("Content-Length: 5", "Content-Length: -5"),
            "400 close",
        ),
        (
            options.replace("Content-Length: 5", "Content-Length: 5\r\nl: 5"),
            "400 close",
        ),
        (
            options.replace("Content-Length: 5", "Content-Length: 65536"),
            "413 close",
        ),
        (
            options.replace("Content-Length: 5", "Content-Length: 18446744073709551615"),
            "413 close",
        ),
        (
            options.replace("Content-Length: 5", "Content-Length: 99999999999999999999"),
            "400 close",
        ),
        (
            format!("{}{options}", "x".repeat(MAX_MESSAGE_BYTES)),
            "513 close",
        ),
        (
            format!("{options}GET / HTTP/1.1\r\n"),
            "OPTIONS hello, 400 close",
        ),
        (
            format!("{options}\u{16}\u{3}\u{1}"),
            "OPTIONS hello, 400 close",
        ),
        ("\r\nhello\r\n".into(), "400 close"),
    ];
    for (stream, expected) in table {
        for step in [1, 2, 7, stream.len()] {
            assert_eq!(read(stream, step), *expected, "by {step}: {stream:.400}");
        }
    }
}

#[test]
fn a_message_of_the_maximum_size_passes_but_no_larger_one() {
    let small = request("MESSAGE", "");
    // The length takes four digits more than that of the empty body.
    let room = MAX_MESSAGE_BYTES - small.len() - 4;
    assert_eq!(
        read(&request("MESSAGE", &"x".repeat(room)), 1000).len(),
        room + "MESSAGE ".len()
    );
    assert_eq!(
        read(&request("MESSAGE", &"x".repeat(room + 1)), 1000),
        "413 close"
    );
}

#[test]
fn too_many_header_fields_are_refused() {
    let with = |count| request("OPTIONS", "").replace("Via", &("X: y\r\n".repeat(count) + "Via"));
    assert_eq!(read(&with(256 - 7), 99), "OPTIONS ");
    assert_eq!(read(&with(256 - 6), 99), "513 close");
}

#[test]
fn nothing_is_kept_after_the_end() {
    let mut framer = Framer::new();
    framer.push(b"junk\r\n");
    assert!(
        framer
            .next()
            .is_some_and(|frame| frame.is_err_and(|e| e.response("t").is_none()))
    );
    assert!(framer.is_closed());
    framer.push(request("OPTIONS", "").as_bytes());
    assert_eq!(framer.next(), None);
}

#[test]
fn a_refusal_that_closes_can_still_be_answered() {
    let mut framer = Framer::new();
    framer.push(
        request("INVITE", "")
            .replace("Content-Length", "X")
            .as_bytes(),
    );
    let error = framer.next().unwrap().unwrap_err();
    let answer = error.response("t").unwrap();
    assert_eq!(answer.status.0, 400);
    assert_eq!(answer.headers.get("To"), Some("<sip:b@b>;tag=t"));
    assert!(framer.is_closed());
}

fn request(method: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} sip:b@b SIP/2.0\r\n{HEAD}CSeq: 1 {method}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn response() -> String {
    format!("SIP/2.0 200 OK\r\n{HEAD}CSeq: 1 INVITE\r\nl:0\r\n\r\n")
}

fn read(stream: &str, step: usize) -> String {
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    for piece in stream.as_bytes().chunks(step) {
        framer.push(piece);
        for frame in framer.by_ref() {
            seen.push(match frame {
                Ok(Frame::Ping) => "ping".to_owned(),
                Ok(Frame::Message(message)) => match *message {
                    Message::Request(r) => format!("{} {}", r.method, r.body.escape_ascii()),
                    Message::Response(r) => r.status.to_string(),
                },
                Err(e) if e.closes_stream => format!("{} close", e.status),
                Err(e) => e.status.to_string(),
            });
        }
    }
    seen.join(", ")
}
