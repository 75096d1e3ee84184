//! Tables for URIs.

use super::*;

#[test]
fn uris_are_parsed() {
    // Text, then scheme, decoded user, host, port, one parameter.
    type Row = (
        &'static str,
        &'static str,
        Option<&'static str>,
        &'static str,
        Option<u16>,
    );
    let table: &[Row] = &[
        ("sip:example.com", "sip", None, "example.com", None),
        (
            "SIP:alice@Example.COM",
            "sip",
            Some("alice"),
            "Example.COM",
            None,
        ),
        (
            "sips:alice:pw@example.com:5061",
            "sips",
            Some("alice"),
            "example.com",
            Some(5061),
        ),
        (
            "sip:al%40ice%20b@192.0.2.1:1",
            "sip",
            Some("al@ice b"),
            "192.0.2.1",
            Some(1),
        ),
        (
            "sip:*123#@[::1]:65535",
            "sip",
            Some("*123#"),
            "[::1]",
            Some(65535),
        ),
        ("sip:a;b=c@h;lr", "sip", Some("a;b=c"), "h", None),
        ("sip:a?b@h?X=y@z", "sip", Some("a?b"), "h", None),
        ("sip:_sip_proxy_1", "sip", None, "_sip_proxy_1", None),
        ("sip:юзер@h", "sip", Some("юзер"), "h", None),
        (
            "sip:[2001:db8:::192.0.2.1]",
            "sip",
            None,
            "[2001:db8::c000:201]",
            None,
        ),
        ("sip:[:::192.0.2.1]", "sip", None, "[::c000:201]", None),
        ("sip:1.2.3", "sip", None, "1.2.3", None),
        ("sip:h.", "sip", None, "h.", None),
    ];
    for (text, scheme, user, host, port) in table {
        let uri = Uri::parse(text).expect(text);
        assert_eq!(uri.scheme(), *scheme, "{text}");
        assert_eq!(uri.user().as_deref(), *user, "{text}");
        assert_eq!(uri.host().unwrap().to_string(), *host, "{text}");
        assert_eq!(uri.port(), *port, "{text}");
        assert_eq!(Uri::parse(&uri.to_string()), Ok(uri), "{text}");
    }
}

#[test]
fn text_that_is_written_as_it_was_read() {
    for text in [
        "sip:a:p%40@h:5060;transport=tcp;lr;x=;y=[1]?Subject=a%20b&To=sip:x@y",
        "tel:+1-(201)-555.0123;phone-context=example.com",
        "tel:*21#",
        "urn:service:sos",
        "http://example.com/a?b#c",
    ] {
        assert_eq!(Uri::parse(text).expect(text).to_string(), text);
    }
}

#[test]
fn refuses_invalid_uris() {
    for text in [
        "",
        "sip",
        "sip:",
        "alice@h",
        ":x",
        "1sip:x",
        "sip:@h",
        "sip:a@",
        "sip:a@b@c",
        "sip: h",
        "sip:h ",
        "sip:a b@h",
        "sip:a%4@h",
        "sip:a%zz@h",
        "sip:<a@h",
        "sip:a\"@h",
        "sip:a@h:",
        "sip:a@h:+1",
        "sip:a@h:65536",
        "sip:a@h:5060x",
        "sip:2001:db8::1",
        "sip:[2001:db8::1",
        "sip:[::g]",
        "sip:[1.2.3.4]",
        "sip:[2001:db8:::10]",
        "sip:[1::2:::192.0.2.1]",
        "sip:h;",
        "sip:h;;lr",
        "sip:h;=x",
        "sip:h;a=b c",
        "sip:h;a=\"b\"",
        "sip:h?",
        "sip:h?a",
        "sip:h?=b",
        "sip:.h",
        "sip:a..b",
        "sip:-h",
        "sip:hé",
        "sip:a:b c@h",
        "tel:",
        "tel:+",
        "tel:12x",
        "tel:1 2",
        "urn:",
        "urn:a b",
        "urn:<x>",
        "sip:h\r\nX: y",
        "sip:a@h;b=\0",
    ] {
        assert!(
            Uri::parse(text).is_err(),
            "{text:?} was read: {:?}",
            Uri::parse(text)
        );
    }
}

#[test]
fn equivalence_of_the_rfc() {
    let table: &[(&str, &str, bool)] = &[
        // RFC 3261 §19.1.4: the examples for both outcomes.
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtlanTa.CoM;Transport=tcp",
            true,
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            true,
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            true,
        ),
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
            false,
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com;transport=udp",
            false,
        ),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
            false,
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
            false,
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
            false,
        ),
        // Our own.
        ("sip:a@h", "sips:a@h", false),
        ("sip:a%3Bb@h", "sip:a;b@h", false),
        ("sip:a%3bb@h", "sip:a%3Bb@h", true),
        ("sip:a:p@h", "sip:a:P@h", false),
        ("sip:a@h;maddr=1.2.3.4", "sip:a@h", false),
        ("sip:a@h;user=phone", "sip:a@h", false),
        ("sip:a@h;lr", "sip:a@h", true),
        // RFC 5954 §4.2: addresses compare by value.
        ("sip:a@[2001:db8::9:01]", "sip:a@[2001:DB8:0::9:1]", true),
        ("tel:+1-201-555-0123", "tel:+12015550123", true),
        (
            "tel:7042;phone-context=a",
            "tel:7042;phone-context=b",
            false,
        ),
        ("tel:7042", "sip:7042@h", false),
        ("urn:service:sos", "URN:service:sos", true),
    ];
    for (a, b, same) in table {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(a.equivalent(&b), *same, "{a} and {b}");
        assert_eq!(b.equivalent(&a), *same, "{b} and {a}");
    }
}

#[test]
fn built_uris_are_escaped() {
    for (user, text) in [
        ("alice", "sip:alice@[::1]:5060"),
        ("a@b c", "sip:a%40b%20c@[::1]:5060"),
        ("50%\r\n", "sip:50%25%0D%0A@[::1]:5060"),
        ("é\"<>", "sip:%C3%A9%22%3C%3E@[::1]:5060"),
    ] {
        let uri = SipUri::new(Some(user), Host::parse("[::1]").unwrap(), Some(5060));
        assert_eq!(uri.to_string(), text);
        assert_eq!(Uri::parse(text).unwrap().user().unwrap(), user);
    }
}

#[test]
fn parameters_are_changed_in_place() {
    let Ok(Uri::Sip(mut uri)) = Uri::parse("sip:h;a=1;Transport=udp;b") else {
        panic!()
    };
    uri.params.set("transport", Some("tcp;evil=\"1\"\r\n"));
    uri.params.set("c", Some("\"a;b\""));
    assert_eq!(
        uri.params.to_string(),
        ";a=1;Transport=tcpevil=1;b;c=\"a;b\""
    );
    assert_eq!(uri.params.get("c"), Some("\"a;b\""));
    assert!(uri.params.remove("A") && !uri.params.remove("a"));
    uri.params.set("B", None);
    let left: Vec<_> = uri.params.iter().collect();
    assert_eq!(
        left,
        [
            ("Transport", Some("tcpevil=1")),
            ("b", None),
            ("c", Some("\"a;b\""))
        ]
    );
}
