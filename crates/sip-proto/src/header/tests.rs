//! Tables for header values.

use super::*;
use crate::message::{HeaderName, Headers};

#[test]
fn addresses_are_read_and_written() {
    // Input, and how it is written back.
    let table: &[(&str, Result<&str, &str>)] = &[
        ("sip:a@h", Ok("<sip:a@h>")),
        ("sip:a@h;tag=1", Ok("<sip:a@h>;tag=1")),
        ("<sip:a@h;lr>;tag = 1 ; x", Ok("<sip:a@h;lr>;tag=1;x")),
        ("Alice Example <sip:a@h>", Ok("\"Alice Example\" <sip:a@h>")),
        (
            "\"A \\\"<;,\\\\ b\"<sip:a@h>",
            Ok("\"A \\\"<;,\\\\ b\" <sip:a@h>"),
        ),
        ("\"\" <sip:a@h>", Ok("\"\" <sip:a@h>")),
        ("Jörg (home) <sip:a@h>", Ok("\"Jörg (home)\" <sip:a@h>")),
        (
            "<tel:+1;phone-context=x>;q=0.5",
            Ok("<tel:+1;phone-context=x>;q=0.5"),
        ),
        (
            "<sip:a@h>;x=\"a;\\\",b\";y=[::1]",
            Ok("<sip:a@h>;x=\"a;\\\",b\";y=[::1]"),
        ),
        ("<sip:a@h>x", Err("junk after the value")),
        ("<sip:a@h>;", Err("malformed parameter")),
        ("<sip:a@h>;x=\"", Err("unterminated quoted string")),
        ("<sip:a@h", Err("unclosed `<`")),
        ("\"A\" sip:a@h", Err("no URI after the display name")),
        ("\"A <sip:a@h>", Err("unterminated quoted string")),
        ("A, B <sip:a@h>", Err("display name needs quotes")),
        ("sip:a@h?X=y", Err("URI needs `<>`")),
        ("< sip:a@h>", Err("illegal scheme")),
        ("", Err("no scheme")),
    ];
    for (text, expected) in table {
        let read = NameAddr::parse(text);
        let written = read.as_ref().map(ToString::to_string);
        assert_eq!(written.as_deref().map_err(|e| **e), *expected, "{text}");
        if let Ok(address) = read {
            assert_eq!(NameAddr::parse(&address.to_string()), Ok(address), "{text}");
        }
    }
}

#[test]
fn parameters_of_addresses() {
    let read = |text: &str| NameAddr::parse(text).unwrap();
    for (params, expires, q) in [
        ("", None, None),
        (";expires=60;q=0.7", Some(60), Some(700)),
        (";expires=99999999999;q=1", Some(u32::MAX), Some(1000)),
        (";expires=soon;q=1.1", Some(3600), None),
        (";expires=-1;q=x", Some(3600), None),
        (";expires=0;q=NaN", Some(0), None),
    ] {
        let contact = read(&format!("<sip:a@h>{params}"));
        assert_eq!((contact.expires(), contact.q()), (expires, q), "{params}");
    }
    assert_eq!(read("<sip:a@h>;tag=").tag(), None);
    assert_eq!(read("<sip:a@h;tag=no>").tag(), None);
    assert_eq!(
        read("<sip:a@h>").with_tag("a b\r\n").to_string(),
        "<sip:a@h>;tag=ab"
    );
    let mut spoofed = read("<sip:a@h>");
    spoofed.display = Some("x\r\nX-Evil: \"1\"".into());
    assert_eq!(spoofed.to_string(), "\"xX-Evil: \\\"1\\\"\" <sip:a@h>");
}

#[test]
fn vias_are_read_and_written() {
    let table: &[(&str, Option<&str>)] = &[
        (
            "SIP/2.0/UDP h;branch=z9hG4bK1;rport",
            Some("SIP/2.0/UDP h;branch=z9hG4bK1;rport"),
        ),
        (
            "SIP / 2.0 / TCP [::1] : 5060 ; a",
            Some("SIP/2.0/TCP [::1]:5060;a"),
        ),
        ("SIP/2.0/WSS\t1.2.3.4:1", Some("SIP/2.0/WSS 1.2.3.4:1")),
        ("SIP/2.0/UDP", None),
        ("SIP/2.0 h", None),
        ("SIP/2.0/UDP ", None),
        ("SIP/2.0/U@P h", None),
        ("SIP/2.0/UDP h h", None),
        ("SIP/2.0/UDP h:", None),
        ("SIP/2.0/UDP h;;a", None),
        ("SIP/2.0/UDP ::1", None),
    ];
    for (text, expected) in table {
        let via = Via::parse(text).ok();
        assert_eq!(
            via.as_ref().map(ToString::to_string).as_deref(),
            *expected,
            "{text}"
        );
    }
    let via = |params: &str| Via::parse(&format!("SIP/2.0/UDP h{params}")).unwrap();
    assert_eq!(via(";branch=Z9Hg4bKx").rfc3261_branch(), Some("Z9Hg4bKx"));
    assert_eq!(via(";branch=old").rfc3261_branch(), None);
    assert_eq!(via(";branch=яяяя").rfc3261_branch(), None);
    assert_eq!(via("").rport(), None);
    assert_eq!(via(";rport").rport(), Some(None));
    assert_eq!(via(";rport=7").rport(), Some(Some(7)));
    assert_eq!(via(";rport=70000").rport(), Some(None));
    assert_eq!(via(";received=[::1]").received(), "::1".parse().ok());
    assert_eq!(via(";received=h").received(), None);
    assert_eq!(
        (via(";ttl=15").ttl(), via(";ttl=256").ttl()),
        (Some(15), None)
    );
    assert_eq!(via(";maddr=239.0.0.1").maddr(), Some("239.0.0.1"));
    let own = Via::new(
        "TCP",
        "192.0.2.1".parse::<std::net::IpAddr>().unwrap().into(),
        Some(5060),
        "z9hG4bKx",
    );
    assert_eq!(
        own.to_string(),
        "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKx;rport"
    );
}

#[test]
fn single_values_of_a_message() {
    let read = |name, value: &str| {
        let mut headers = Headers::new();
        headers.push(name, value);
        headers
    };
    for (text, expected) in [
        ("1 INVITE", Some("1 INVITE")),
        ("0009 \t INVITE", Some("9 INVITE")),
        ("2147483647 X", Some("2147483647 X")),
        ("2147483648 X", None),
        ("+1 X", None),
        ("1", None),
        ("1 A B", None),
        (" X", None),
    ] {
        let cseq = read(HeaderName::CSeq, text).cseq().ok();
        assert_eq!(cseq.map(|c| c.to_string()).as_deref(), expected, "{text}");
    }
    for (text, expected) in [
        ("70", Ok(Some(70))),
        ("0068", Ok(Some(68))),
        ("255", Ok(Some(255))),
    ] {
        assert_eq!(read(HeaderName::MaxForwards, text).max_forwards(), expected);
    }
    for text in ["256", "-1", "+1", "", "1 1"] {
        assert!(
            read(HeaderName::MaxForwards, text).max_forwards().is_err(),
            "{text}"
        );
    }
    assert_eq!(Headers::new().max_forwards(), Ok(None));
    for (text, seconds) in [
        ("0", Some(0)),
        ("3600 ", Some(3600)),
        ("100000000000000000000", Some(u32::MAX)),
        ("-1", None),
        ("Thu, 01 Dec 1994 16:00:00 GMT", None),
        ("", None),
    ] {
        assert_eq!(read(HeaderName::Expires, text).expires(), seconds, "{text}");
    }
    for (text, expected) in [
        ("120", Some("120")),
        ("18000;duration=3600", Some("18000;duration=3600")),
        ("120 (in a meeting; soon) ;x", Some("120;x")),
        ("soon", None),
        ("1 (", None),
    ] {
        let delay = read(HeaderName::RetryAfter, text)
            .retry_after()
            .ok()
            .flatten();
        assert_eq!(delay.map(|d| d.to_string()).as_deref(), expected, "{text}");
    }
    for (text, expected) in [
        ("Application/SDP", Some("application/sdp")),
        (
            "multipart/mixed ; boundary=\"a;b\"",
            Some("multipart/mixed;boundary=\"a;b\""),
        ),
        ("text", None),
        ("text/", None),
    ] {
        let kind = read(HeaderName::ContentType, text)
            .content_type()
            .ok()
            .flatten();
        assert_eq!(kind.map(|k| k.to_string()).as_deref(), expected, "{text}");
    }
}

#[test]
fn contacts_over_lines() {
    let read = |lines: &[&str]| {
        let mut headers = Headers::new();
        for line in lines {
            headers.push(HeaderName::Contact, *line);
        }
        headers.contacts().map(|contacts| match contacts {
            Contacts::Star => "*".to_owned(),
            Contacts::List(list) => list
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
        })
    };
    for (lines, expected) in [
        (&[][..], Some("")),
        (&["*"], Some("*")),
        (&["*", "<sip:a>"], None),
        (&["*, <sip:a>"], None),
        (
            &["<sip:a>,\"x,<y\" <sip:b>", "sip:c"],
            Some("<sip:a> \"x,<y\" <sip:b> <sip:c>"),
        ),
        (&["<sip:a>,"], None),
        (&[""], None),
    ] {
        assert_eq!(read(lines).ok().as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn a_value_that_is_not_utf8() {
    let mut headers = Headers::new();
    headers.push(
        HeaderName::From,
        bytes::Bytes::from_static(b"\"J\xf6rg\" <sip:j@h>;tag=1"),
    );
    assert_eq!(headers.get(HeaderName::From), None);
    let from = headers.from().unwrap();
    assert_eq!(
        (from.display.as_deref(), from.tag()),
        (Some("J\u{fffd}rg"), Some("1"))
    );
}

#[test]
fn auth_values() {
    let value = AuthValue::parse("Digest realm=\"a, \\\"b\\\"\" ,nonce = n,, stale=FALSE").unwrap();
    assert_eq!(value.get("REALM"), Some("a, \"b\""));
    assert_eq!(
        (value.get("nonce"), value.get("stale")),
        (Some("n"), Some("FALSE"))
    );
    assert_eq!(value.params.len(), 3);
    for text in [
        "",
        "Digest a",
        "Digest a=\"",
        "Digest a=b c=d",
        "Digest =b",
        "Di(gest a=b",
    ] {
        assert!(AuthValue::parse(text).is_err(), "{text}");
    }
}
