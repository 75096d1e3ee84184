//! Tables for messages and their header lists.

use super::*;

#[test]
fn a_request_is_written_with_its_length() {
    let mut request = Request::new(Method::Invite, Uri::parse("sip:b@h;lr").unwrap());
    request.headers.push(HeaderName::CallId, "1");
    request
        .headers
        .push(HeaderName::parse("x-Foo").unwrap(), "ünï\r\nVia: evil");
    request.headers.push(HeaderName::MaxForwards, 70);
    request.headers.push(HeaderName::ContentLength, "999");
    request.set_body("application/sdp", "v=0\r\n");
    let text = "INVITE sip:b@h;lr SIP/2.0\r\nCall-ID: 1\r\nx-Foo: ünï  Via: evil\r\n\
                Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    assert_eq!(request.to_bytes(), text);
    let mut response = Response::new(486);
    response.reason = "Busy\r\nX: y".into();
    assert_eq!(
        response.to_bytes(),
        "SIP/2.0 486 BusyX: y\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_response_copies_the_headers_that_the_rfc_names() {
    let mut request = Request::new(Method::Invite, Uri::parse("sip:b@h").unwrap());
    let h = &mut request.headers;
    for (name, value) in [
        (HeaderName::Via, "one, two"),
        (HeaderName::RecordRoute, "<sip:p;lr>"),
        (HeaderName::Timestamp, "54"),
        (HeaderName::From, "<sip:a@h>;tag=1"),
        (HeaderName::Via, "three"),
        (HeaderName::To, "\"B\" <sip:b@h>"),
        (HeaderName::CallId, "id"),
        (HeaderName::CallId, "id2"),
        (HeaderName::CSeq, "7 INVITE"),
        (HeaderName::Contact, "<sip:a@1.2.3.4>"),
    ] {
        h.push(name, value);
    }
    let common = "Via: one, two|From: <sip:a@h>;tag=1|Via: three|To: \"B\" <sip:b@h>;tag=t|\
                  Call-ID: id|CSeq: 7 INVITE";
    for (status, extra) in [
        (100, "Timestamp: 54"),
        (180, "Record-Route: <sip:p;lr>"),
        (200, "Record-Route: <sip:p;lr>"),
        (486, ""),
    ] {
        let mut response = Response::for_request(&request, status);
        response.set_to_tag("t");
        response.set_to_tag("again");
        let lines: Vec<String> = response
            .headers
            .iter()
            .map(|h| {
                format!(
                    "{}: {}",
                    h.name,
                    h.value.escape_ascii().to_string().replace('\\', "")
                )
            })
            .collect();
        let kept: Vec<&String> = lines.iter().filter(|line| *line != extra).collect();
        assert_eq!(
            lines.len() - kept.len(),
            usize::from(!extra.is_empty()),
            "{status}"
        );
        assert_eq!(
            kept.iter()
                .map(|l| l.as_str())
                .collect::<Vec<_>>()
                .join("|"),
            common,
            "{status}"
        );
        assert_eq!(response.method(), Some(Method::Invite));
    }
}

#[test]
fn names_in_any_spelling() {
    for (spelling, name) in [
        ("via", "Via"),
        ("V", "Via"),
        ("CALL-id", "Call-ID"),
        ("i", "Call-ID"),
        ("x", "Session-Expires"),
        ("r", "Refer-To"),
        ("o", "Event"),
        ("P-asserted-identity", "P-Asserted-Identity"),
        ("z", "z"),
        ("X-Any", "X-Any"),
        ("Subscription-State", "Subscription-State"),
        (&"n".repeat(40), &"n".repeat(40)),
    ] {
        let parsed = HeaderName::parse(spelling).expect(spelling);
        assert_eq!(parsed.as_str(), name);
        assert!(parsed.is(spelling.as_bytes()), "{spelling}");
    }
    for bad in ["", "a b", "a:", "ä", "a\r\n"] {
        assert_eq!(HeaderName::parse(bad), None, "{bad:?}");
    }
    assert_eq!(HeaderName::parse("X-a"), HeaderName::parse("x-A"));
    assert_ne!(HeaderName::parse("X-a"), Some(HeaderName::Via));
}

#[test]
fn lists_of_headers() {
    let mut headers = Headers::new();
    headers.push(HeaderName::Route, "<sip:a;x=1,2>, \"b,\" <sip:b>");
    headers.push(HeaderName::Subject, "s");
    headers.push(HeaderName::Route, "<sip:c>");
    let all = |h: &Headers| {
        h.all(HeaderName::Route)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        all(&headers),
        ["<sip:a;x=1,2>", "\"b,\" <sip:b>", "<sip:c>"]
    );
    assert!(headers.replace_first(&HeaderName::Route, Some("<sip:new>")));
    assert_eq!(all(&headers), ["<sip:new>", "\"b,\" <sip:b>", "<sip:c>"]);
    assert!(headers.replace_first(&HeaderName::Route, None));
    assert!(headers.replace_first(&HeaderName::Route, None));
    assert_eq!(all(&headers), ["<sip:c>"]);
    assert_eq!(headers.len(), 2);
    headers.push_front(HeaderName::Route, "<sip:front>");
    assert_eq!(headers.iter().next().unwrap().value, "<sip:front>");
    headers.set(HeaderName::Route, "<sip:only>");
    assert_eq!(all(&headers), ["<sip:only>"]);
    assert!(headers.remove("ROUTE") && !headers.remove("route"));
    assert!(!headers.replace_first(&HeaderName::Route, None));
    assert_eq!(headers.get("s"), Some("s"));
}

#[test]
fn headers_from_outside_are_refused_if_they_break_out() {
    let mut headers = Headers::new();
    for (name, value, taken) in [
        ("X-A", " v\t1 ", true),
        ("X-A", "ü", true),
        ("X-A", "a\r\nVia: b", false),
        ("X-A", "a\nb", false),
        ("X-A", "a\0", false),
        ("X A", "a", false),
        ("X-A:", "a", false),
        ("", "a", false),
        ("Content-Length", "5", false),
        ("l", "5", false),
    ] {
        assert_eq!(headers.push_custom(name, value), taken, "{name}: {value:?}");
    }
    assert_eq!(
        headers.lines("x-a").collect::<Vec<_>>(),
        ["v\t1".as_bytes(), "ü".as_bytes()]
    );
}

#[test]
fn methods_keep_their_case() {
    assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
    assert_eq!(
        Method::parse("invite"),
        Some(Method::Other("invite".into()))
    );
    assert_eq!(Method::parse("IN VITE"), None);
    assert_eq!(Method::parse("NEW").unwrap().to_string(), "NEW");
}

#[test]
fn status_codes_have_phrases_for_their_class() {
    for (code, phrase) in [
        (486, "Busy Here"),
        (299, "Success"),
        (477, "Request Failure"),
        (699, "Global Failure"),
    ] {
        assert_eq!(StatusCode(code).default_reason(), phrase);
    }
    assert!(StatusCode(199).is_provisional() && !StatusCode(200).is_provisional());
    assert!(StatusCode(299).is_success() && !StatusCode(300).is_success());
    assert!(StatusCode(200).is_final() && !StatusCode(199).is_final());
}
