//! The torture messages of RFC 4475 and RFC 5118: the verdict on each, and a fact read from it.
//!
//! `Accept` means that the message reaches the transaction layer; what a user agent then says (420,
//! 415, 401, …) is not decided here. Where the RFC leaves the choice, the row says which was made.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use sip_proto::header::Contacts;
use sip_proto::message::{HeaderName, Headers, Message, Method, Request, Response};
use sip_proto::parse::{ParseError, parse_datagram};
use sip_proto::uri::{Host, Uri};
use std::collections::BTreeSet;
use std::path::Path;

enum Verdict {
    /// A request to be processed, and a fact about it.
    Request(fn(&Request) -> bool),
    /// A response to be processed.
    Response(fn(&Response) -> bool),
    /// A request to be answered with this status.
    Answer(u16, fn(&Response) -> bool),
    /// To be dropped without an answer, and a fact about the reason.
    Drop(fn(&ParseError) -> bool),
}

use Verdict::{Answer, Drop};

const TABLE: &[(&str, Verdict)] = &[
    // RFC 4475 §3.1.1, valid.
    (
        "rfc4475/wsinv",
        Verdict::Request(|r| {
            let vias = r.headers.vias().unwrap();
            let to = r.headers.to().unwrap();
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            vias.len() == 3
                && vias[0].branch() == Some("390skdjuw")
                && vias[1].transport == "TCP"
                && vias[2].branch() == Some("z9hG4bK30239")
                && to.tag() == Some("1918181833n")
                && r.headers.from().unwrap().display.as_deref() == Some("J Rosenberg \\\"")
                && r.headers.max_forwards() == Ok(Some(68))
                && r.headers.cseq().unwrap().seq == 9
                && r.headers.get("Subject") == Some("")
                && r.headers.get("newfangledheader")
                    == Some("newfangled value continued newfangled value")
                && r.headers.routes().unwrap()[0].uri.param("lr") == Some("")
                && contacts[0].display.as_deref() == Some("Quoted string \"\"")
                && contacts[0].q() == Some(330)
                && r.body.starts_with(b"v=0")
        }),
    ),
    (
        "rfc4475/intmeth",
        Verdict::Request(|r| {
            r.method.as_str() == "!interesting-Method0123456789_*+`.%indeed'~"
                && r.uri
                    .to_string()
                    .contains("weird!*pas$wo~d_too.(doesn't-it)@example.com")
                && r.headers.to().unwrap().display.as_deref() == Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
                && r.headers.from().unwrap().tag() == Some("_token~1'+`*%!-.")
                && r.headers.call_id().unwrap() == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
                && r.headers.get("extensionHeader-!.%*+_`'~") == Some("\u{feff}大停電")
        }),
    ),
    (
        "rfc4475/esc01",
        Verdict::Request(|r| {
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            r.uri.user().unwrap() == "sips:user@example.com"
                && r.headers
                    .to()
                    .unwrap()
                    .uri
                    .equivalent(&Uri::parse("sip:user@example.com").unwrap())
                && r.headers.from().unwrap().uri.user().unwrap() == "I have spaces"
                && contacts[0].uri.param("n%61me") == Some("v%61lue%25%34%31")
                && contacts[0].uri.param("lr").is_none()
        }),
    ),
    (
        "rfc4475/escnull",
        Verdict::Request(|r| {
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            r.headers.to().unwrap().uri.user().unwrap() == "null-\0-null"
                && contacts.len() == 2
                && !contacts[0].uri.equivalent(&contacts[1].uri)
        }),
    ),
    (
        "rfc4475/esc02",
        Verdict::Request(|r| {
            r.method == Method::Other("RE%47IST%45R".into())
                && r.headers.lines(HeaderName::Contact).count() == 2
                && r.headers.get("C%6Fntact") == Some("<sip:alias2@host2.example.com>")
                && r.headers.via().unwrap().branch() == Some("z9hG4bK209%fzsnel234")
                && r.headers.to().unwrap().display.as_deref() == Some("%Z%45")
        }),
    ),
    (
        "rfc4475/lwsdisp",
        Verdict::Request(|r| r.headers.from().unwrap().display.as_deref() == Some("caller")),
    ),
    (
        "rfc4475/longreq",
        Verdict::Request(|r| {
            let vias = r.headers.vias().unwrap();
            vias.len() == 34
                && vias[33].host == Host::Name("host.example.com".into())
                && vias[33].received() == "192.0.2.5".parse().ok()
                && r.headers.call_id().unwrap().len() == 141
                && r.body.len() == 150
        }),
    ),
    // One datagram, one message: the INVITE behind the REGISTER is not seen.
    (
        "rfc4475/dblreq",
        Verdict::Request(|r| r.method == Method::Register && r.body.is_empty()),
    ),
    (
        "rfc4475/semiuri",
        Verdict::Request(|r| {
            r.uri.user().unwrap() == "user;par=u@example.net"
                && r.uri.param("par").is_none()
                && r.headers.all(HeaderName::Accept).count() == 6
        }),
    ),
    (
        "rfc4475/transports",
        Verdict::Request(|r| {
            let transports: Vec<String> = r
                .headers
                .vias()
                .unwrap()
                .into_iter()
                .map(|via| via.transport)
                .collect();
            transports == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
        }),
    ),
    (
        "rfc4475/mpart01",
        Verdict::Request(|r| {
            let kind = r.headers.content_type().unwrap().unwrap();
            kind.essence == "multipart/mixed"
                && kind.params.get("boundary") == Some("7a9cbec02ceef655")
                && r.body.len() == 553
                && std::str::from_utf8(&r.body).is_err()
                && r.headers.via().unwrap().rport() == Some(None)
        }),
    ),
    (
        "rfc4475/unreason",
        Verdict::Response(|r| r.status.0 == 200 && r.reason.starts_with("= 2**3 * 5**2 но сто")),
    ),
    (
        "rfc4475/noreason",
        Verdict::Response(|r| r.status.0 == 100 && r.reason.is_empty()),
    ),
    // §3.1.2, invalid.
    (
        "rfc4475/badinv01",
        Answer(400, |r| r.reason.contains("Via: malformed parameter")),
    ),
    (
        "rfc4475/clerr",
        Answer(400, |r| {
            r.reason.contains("Content-Length exceeds the datagram")
        }),
    ),
    (
        "rfc4475/ncl",
        Answer(400, |r| r.reason.contains("bad Content-Length")),
    ),
    (
        "rfc4475/scalar02",
        Answer(400, |r| r.reason.contains("CSeq: out of range")),
    ),
    (
        "rfc4475/scalarlg",
        Drop(|e| e.reason == "CSeq: out of range"),
    ),
    (
        "rfc4475/quotbal",
        Answer(400, |r| r.reason.contains("To: unterminated quoted string")),
    ),
    (
        "rfc4475/ltgtruri",
        Answer(400, |r| r.reason.contains("Request-URI: illegal scheme")),
    ),
    (
        "rfc4475/lwsruri",
        Answer(400, |r| {
            r.reason.contains("Request-URI: malformed parameter")
        }),
    ),
    // Guessing would be allowed for these two; peers must agree on the start line.
    (
        "rfc4475/lwsstart",
        Answer(400, |r| r.reason.contains("Request-URI: illegal scheme")),
    ),
    (
        "rfc4475/trws",
        Answer(400, |r| r.reason.contains("malformed start line")),
    ),
    (
        "rfc4475/escruri",
        Answer(400, |r| r.reason.contains("Request-URI: headers in it")),
    ),
    // Date is not used, so its zone does no harm.
    (
        "rfc4475/baddate",
        Verdict::Request(|r| r.headers.get("date") == Some("Fri, 01 Jan 2010 16:00:00 EST")),
    ),
    (
        "rfc4475/regbadct",
        Answer(400, |r| r.reason.contains("Contact: URI needs `<>`")),
    ),
    (
        "rfc4475/badaspec",
        Answer(400, |r| r.reason.contains("To: illegal scheme")),
    ),
    (
        "rfc4475/baddn",
        Answer(400, |r| {
            r.reason.contains("From: display name needs quotes")
        }),
    ),
    (
        "rfc4475/badvers",
        Answer(505, |r| r.reason == "Version Not Supported"),
    ),
    (
        "rfc4475/mismatch01",
        Answer(400, |r| r.reason.contains("CSeq method differs")),
    ),
    // 501 would be right as well.
    (
        "rfc4475/mismatch02",
        Answer(400, |r| r.reason.contains("CSeq method differs")),
    ),
    (
        "rfc4475/bigcode",
        Drop(|e| e.reason == "malformed status line"),
    ),
    // §3.2, transaction layer.
    (
        "rfc4475/badbranch",
        Answer(400, |r| r.reason.contains("Via: empty branch")),
    ),
    // §3.3, application layer.
    (
        "rfc4475/insuf",
        Answer(400, |r| {
            r.reason.contains("From: missing") && r.headers.get("CSeq") == Some("193942 INVITE")
        }),
    ),
    (
        "rfc4475/unkscm",
        Answer(416, |r| r.headers.to().unwrap().tag() == Some("our-tag")),
    ),
    (
        "rfc4475/novelsc",
        Answer(416, |r| r.reason == "Unsupported URI Scheme"),
    ),
    (
        "rfc4475/unksm2",
        Answer(400, |r| {
            r.reason.contains("To of a REGISTER is not a SIP URI")
        }),
    ),
    (
        "rfc4475/bext01",
        Verdict::Request(|r| {
            let required: Vec<&str> = r.headers.all(HeaderName::Require).collect();
            required == ["nothingSupportsThis", "nothingSupportsThisEither"]
                && r.headers.all("proxy-require").count() == 2
        }),
    ),
    (
        "rfc4475/invut",
        Verdict::Request(|r| {
            r.headers.content_type().unwrap().unwrap().essence == "application/unknownformat"
        }),
    ),
    (
        "rfc4475/regaut01",
        Verdict::Request(|r| {
            r.headers.get("authorization") == Some("NoOneKnowsThisScheme opaque-data=here")
        }),
    ),
    (
        "rfc4475/multi01",
        Answer(400, |r| {
            r.reason.contains("more than one")
                && r.headers.lines(HeaderName::CallId).count() == 1
                && r.headers.get("i") == Some("multi01.98asdh@192.0.2.1")
        }),
    ),
    (
        "rfc4475/mcl01",
        Answer(400, |r| r.reason.contains("bad Content-Length")),
    ),
    (
        "rfc4475/bcast",
        Verdict::Response(|r| {
            r.headers.vias().unwrap()[1].host.ip() == "255.255.255.255".parse().ok()
        }),
    ),
    (
        "rfc4475/zeromf",
        Verdict::Request(|r| r.headers.max_forwards() == Ok(Some(0))),
    ),
    (
        "rfc4475/cparam01",
        Verdict::Request(|r| {
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            contacts[0].params.has("unknownparam")
                && contacts[0].uri.param("unknownparam").is_none()
        }),
    ),
    (
        "rfc4475/cparam02",
        Verdict::Request(|r| {
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            contacts[0].params.is_empty() && contacts[0].uri.param("unknownparam") == Some("")
        }),
    ),
    (
        "rfc4475/regescrt",
        Verdict::Request(|r| {
            let Contacts::List(contacts) = r.headers.contacts().unwrap() else {
                return false;
            };
            contacts[0].uri.as_sip().unwrap().headers
                == [("Route".to_owned(), "%3Csip:sip.example.com%3E".to_owned())]
        }),
    ),
    (
        "rfc4475/sdp01",
        Verdict::Request(|r| r.headers.get("Accept") == Some("text/nobodyKnowsThis")),
    ),
    // §3.4, backward compatibility: no branch, no Max-Forwards, no tag, no Content-Length.
    (
        "rfc4475/inv2543",
        Verdict::Request(|r| {
            r.headers.via().unwrap().branch().is_none()
                && r.headers.from().unwrap().tag().is_none()
                && r.headers.max_forwards() == Ok(None)
                && r.body.ends_with(b"0\r\n")
        }),
    ),
    // From an older edition of the collection: no version, no Via, a header without a colon.
    (
        "rfc4475/test",
        Drop(|e| e.status.0 == 400 && e.reason == "malformed start line"),
    ),
    // RFC 5118 §4.
    (
        "rfc5118/ipv6-good",
        Verdict::Request(|r| host(&r.uri) == "2001:db8::10"),
    ),
    (
        "rfc5118/ipv6-bad",
        Answer(400, |r| r.reason.contains("Request-URI: malformed port")),
    ),
    (
        "rfc5118/port-ambiguous",
        Verdict::Request(|r| host(&r.uri) == "2001:db8::10:5070" && r.uri.port().is_none()),
    ),
    (
        "rfc5118/port-unambiguous",
        Verdict::Request(|r| host(&r.uri) == "2001:db8::10" && r.uri.port() == Some(5070)),
    ),
    (
        "rfc5118/via-received-param-with-delim",
        Verdict::Request(|r| received(&r.headers) == V6),
    ),
    (
        "rfc5118/via-received-param-no-delim",
        Verdict::Request(|r| received(&r.headers) == V6),
    ),
    (
        "rfc5118/ipv6-in-sdp",
        Verdict::Request(|r| {
            r.body
                .windows(20)
                .any(|part| part == b"c=IN IP6 2001:db8::2")
        }),
    ),
    (
        "rfc5118/mult-ip-in-header",
        Verdict::Request(|r| {
            let vias = r.headers.vias().unwrap();
            vias[0].host.ip().unwrap().is_ipv6()
                && vias[0].port == Some(6050)
                && vias[1].host.ip().unwrap().is_ipv4()
                && vias[2].received() == "192.0.2.200".parse().ok()
        }),
    ),
    (
        "rfc5118/mult-ip-in-sdp",
        Verdict::Request(|r| r.body.len() == 189),
    ),
    (
        "rfc5118/ipv4-mapped-ipv6",
        Verdict::Request(|r| r.headers.via().unwrap().host.to_string() == "[::ffff:192.0.2.10]"),
    ),
    (
        "rfc5118/ipv6-bug-abnf-3-colons",
        Verdict::Request(|r| host(&r.uri) == "2001:db8::c000:201"),
    ),
    (
        "rfc5118/ipv6-correct-abnf-2-colons",
        Verdict::Request(|r| host(&r.uri) == "2001:db8::c000:201"),
    ),
];

const V6: &str = "2001:db8::9:255";

#[test]
fn every_message_gets_its_verdict() {
    for (name, verdict) in TABLE {
        let parsed = parse_datagram(&read(name));
        match (verdict, &parsed) {
            (Verdict::Request(truth), Ok(Message::Request(request))) => {
                assert!(truth(request), "{name}: {request:#?}");
            }
            (Verdict::Response(truth), Ok(Message::Response(response))) => {
                assert!(truth(response), "{name}: {response:#?}");
            }
            (Answer(status, truth), Err(error)) => {
                let answer = error.response("our-tag").expect(name);
                assert_eq!(answer.status.0, *status, "{name}: {error:?}");
                assert!(truth(&answer), "{name}: {answer:#?}");
            }
            (Drop(truth), Err(error)) => {
                assert_eq!(error.response("our-tag"), None, "{name}");
                assert!(truth(error), "{name}: {error:?}");
            }
            _ => panic!("{name}: {parsed:#?}"),
        }
    }
}

#[test]
fn the_table_names_every_file_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files = BTreeSet::new();
    for rfc in ["rfc4475", "rfc5118"] {
        for entry in std::fs::read_dir(folder.join(rfc)).unwrap() {
            let path = entry.unwrap().path();
            files.insert(format!(
                "{rfc}/{}",
                path.file_stem().unwrap().to_str().unwrap()
            ));
        }
    }
    let rows: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rows, files);
    assert_eq!(TABLE.len(), 62);
}

#[test]
fn accepted_messages_survive_the_way_through() {
    for (name, _) in TABLE {
        let Ok(message) = parse_datagram(&read(name)) else {
            continue;
        };
        let written = message.to_bytes();
        assert_eq!(parse_datagram(&written).as_ref(), Ok(&message), "{name}");
    }
}

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    std::fs::read(folder.join(format!("{name}.dat"))).expect(name)
}

fn host(uri: &Uri) -> String {
    uri.host().unwrap().ip().unwrap().to_string()
}

fn received(headers: &Headers) -> String {
    headers.via().unwrap().received().unwrap().to_string()
}
