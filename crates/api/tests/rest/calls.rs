//! `/Accounts/{sid}/Calls`.

use std::time::Duration;

use call_proto::{
    CallbackTarget, Detection, Dialect, Document, Fallback, Interjection, Legs, Modify, NewCall,
    Planned, Redirect, SetIn,
};
use model::{
    AnswerTiming, CallStatus, DetectionMode, Direction, HttpMethod, LegEvent, MachineDetection,
    Target,
};

use crate::server::{Server, account_sid, call, call_sid, of};

#[tokio::test]
async fn calls_are_listed_in_pages() {
    let server = Server::start().await;
    let who = server.admin();
    let calls = (0..448).map(|n| call(n, server.admin)).collect();
    server.keep(calls).await;
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let table = [
        ("", 50, "0", "49"),
        ("?Page=2", 50, "100", "149"),
        ("?Page=8", 48, "400", "448"),
        ("?PageSize=100", 100, "0", "99"),
        ("?PageSize=100&Page=2", 100, "200", "299"),
        ("?PageSize=100&Page=4", 48, "400", "448"),
    ];
    for (query, rows, start, end) in table {
        let page = server.get(&who, &format!("{path}{query}")).await.json();
        assert_eq!(page["calls"].as_array().unwrap().len(), rows, "{query}");
        // Strings, whereas `page` and `total` are numbers; on the last page the end is the total.
        assert_eq!(
            (&page["start"], &page["end"]),
            (&start.into(), &end.into()),
            "{query}"
        );
        assert!(page["page"].is_i64() && page["total"] == 448, "{query}");
    }
    // No page follows the last; the address of a missing neighbour is the word `null`.
    server.get(&who, &format!("{path}?Page=9")).await.is(400);
    let first = server.get(&who, &path).await.json();
    assert_eq!(first["previous_page_uri"], "null");
    let uri = format!("/2012-04-24/Accounts/{}/Calls.json", server.admin);
    let next = format!("{uri}?Page=1&PageSize=50&AfterSid={}", call_sid(398));
    assert_eq!(
        (&first["uri"], &first["next_page_uri"]),
        (&uri.into(), &next.into())
    );
    let last = server.get(&who, &format!("{path}?Page=8")).await;
    assert_eq!(last.json()["next_page_uri"], "null");
    assert_eq!(
        last.column("calls", "sid").last(),
        Some(&call_sid(0).to_string())
    );
    // An unknown order is the default one, newest first.
    for (query, first) in [
        ("SortBy=DateCreated", 0),
        ("SortBy=DateCreated:asc", 0),
        ("SortBy=DateCreated:desc", 447),
        ("SortBy=Unknown:asc", 447),
        ("Reverse=true", 447),
        ("Reverse=false", 0),
    ] {
        let page = server.get(&who, &format!("{path}?{query}")).await;
        assert_eq!(
            page.column("calls", "sid")[0],
            call_sid(first).to_string(),
            "{query}"
        );
    }
    for bad in [
        "SortBy=:asc",
        "SortBy=DateCreated:invalid",
        "PageSize=x",
        "Page=-1",
        "StartTime=soon",
    ] {
        server.get(&who, &format!("{path}?{bad}")).await.is(400);
    }
    let xml = server
        .get(
            &who,
            &format!("/Accounts/{}/Calls?PageSize=1", server.admin),
        )
        .await;
    assert!(
        xml.body
            .contains("<Calls page=\"0\" numpages=\"448\" pagesize=\"1\" total=\"448\"")
    );
}

/// Follows `next_page_uri` from the list requested by `more`, and calls `meanwhile` after each
/// page.
async fn walk(
    server: &Server,
    path: &str,
    more: &str,
    mut meanwhile: impl AsyncFnMut(usize),
) -> Vec<Vec<String>> {
    let mut next = format!("{path}?PageSize=50{more}");
    let mut pages = Vec::new();
    loop {
        let page = server.get(&server.admin(), &next).await;
        pages.push(page.column("calls", "sid"));
        meanwhile(pages.len()).await;
        let uri = page.json()["next_page_uri"].as_str().unwrap().to_owned();
        let Some((_, query)) = uri.split_once('?') else {
            assert_eq!(uri, "null");
            return pages;
        };
        next = format!("{path}?{query}");
    }
}

/// A walk through a list neither misses nor repeats a row, whichever rows are added or deleted, in
/// any order.
#[tokio::test]
async fn pages_follow_the_last_row_of_the_page_before() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let mut calls: Vec<_> = (0..120).map(|n| call(n, server.admin)).collect();
    for (n, call) in calls.iter_mut().enumerate() {
        call.to = format!("b{}", n % 7);
    }
    server.keep(calls).await;
    for more in [
        "&SortBy=To",
        "&SortBy=To:desc",
        "&SortBy=DateCreated:asc",
        "&To=b%25&StartTime=2020-01-01",
    ] {
        let pages = walk(&server, &path, more, async |_| {}).await;
        let whole = server
            .get(&who, &format!("{path}?PageSize=200{more}"))
            .await
            .column("calls", "sid");
        assert_eq!(pages.concat(), whole, "{more}");
    }
    // More new calls than the list had before.
    let pages = walk(&server, &path, "", async |page| {
        let first = 1000 * u32::try_from(page).unwrap();
        let new = (first..first + 130).map(|n| call(n, server.admin));
        server.keep(new.collect()).await;
    })
    .await;
    let expected: Vec<String> = (0..120).rev().map(|n| call_sid(n).to_string()).collect();
    assert_eq!(pages.concat(), expected);
    assert_eq!(pages.len(), 3);
    // A row is decisive even without a page number, or is refused.
    let after = |sid: String| format!("{path}?AfterSid={sid}");
    let rest = server.get(&who, &after(call_sid(3).to_string())).await;
    assert_eq!(rest.column("calls", "sid"), expected[117..]);
    assert_eq!(rest.json()["next_page_uri"], "null");
    let gone = server.get(&who, &after("CA1".to_owned())).await;
    gone.is(400);
    assert!(gone.body.contains("AfterSid"), "{}", gone.body);
}

/// Deleting rows already walked does not affect the remaining ones.
#[tokio::test]
async fn a_walk_goes_on_when_the_list_gets_shorter() {
    let server = Server::start().await;
    let who = server.admin();
    let list = format!("/Accounts/{}/IncomingPhoneNumbers.json", server.admin);
    let mut sids = Vec::new();
    for n in 0..5 {
        let form = format!("PhoneNumber={n}&isSIP=true");
        let made = server.post(&who, &list, &form).await.json();
        sids.push(made["sid"].as_str().unwrap().to_owned());
    }
    let last = server.get(&who, &format!("{list}?Page=1&PageSize=2")).await;
    let next = last.json()["next_page_uri"].as_str().unwrap().to_owned();
    for sid in &sids[..3] {
        let item = list.replace(".json", &format!("/{sid}.json"));
        server.delete(&who, &item).await.is(204);
    }
    let (_, query) = next.split_once('?').unwrap();
    let page = server.get(&who, &format!("{list}?{query}")).await;
    assert_eq!(
        page.column("incomingPhoneNumbers", "phone_number"),
        ["4"],
        "{query}"
    );
}

#[tokio::test]
async fn calls_are_filtered_and_sorted() {
    let server = Server::start().await;
    let who = server.admin();
    let calls = (0..40)
        .map(|n| {
            let mut call = call(n, server.admin);
            call.from = if n % 2 == 0 {
                format!("+3021097{n}")
            } else {
                format!("ann{n}")
            };
            call.to = if n % 4 == 0 {
                format!("+1512600{n}")
            } else {
                "bob".to_owned()
            };
            if n < 10 {
                call.status = CallStatus::InProgress;
                call.direction = Direction::Inbound;
            }
            if n < 5 {
                call.started = Some(call.created - Duration::from_secs(86_400));
                call.duration_s = Some(i64::from(n));
            }
            call
        })
        .collect();
    server.keep(calls).await;
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let table = [
        ("Status=in-progress", 10),
        ("Status=IN_PROGRESS", 10),
        ("From=3021097%25", 20),
        ("To=1512600%25", 10),
        ("StartTime=2013-08-20+14:30:07.820000000", 35),
        ("ParentCallSid=CA00000000000000000000000000000000", 0),
        (
            "From=3021097%25&To=1512600%25&Status=in-progress&StartTime=2013-08-20",
            1,
        ),
        ("EndTime=2013-08-20", 0),
        ("To=%27+OR+1%3D1+--", 0),
    ];
    for (query, total) in table {
        let page = server.get(&who, &format!("{path}?{query}")).await.json();
        assert_eq!(page["total"], total, "{query}");
        assert_eq!(page["calls"].as_array().unwrap().len(), total, "{query}");
    }
    // A call has no price here, so that order leaves the default one.
    let table = [
        ("From:asc", "from", "+30210970"),
        ("From:desc", "from", "ann9"),
        ("To", "to", "+15126000"),
        ("To:desc", "to", "bob"),
        ("Direction", "direction", "inbound"),
        ("Direction:desc", "direction", "outbound-api"),
        ("Status", "status", "in-progress"),
        ("Status:desc", "status", "queued"),
        ("Price:asc", "status", "queued"),
        ("Duration:desc", "from", "+30210974"),
        ("Duration", "status", "queued"),
    ];
    for (sort, key, first) in table {
        let page = server.get(&who, &format!("{path}?SortBy={sort}")).await;
        assert_eq!(page.column("calls", key)[0], first, "{sort}");
        assert!(!page.body.contains("price\""), "{sort}");
    }
}

#[tokio::test]
async fn calls_of_the_tree_are_counted() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    let a = server.account("a", p).await;
    let s = server.account("s", server.admin).await;
    let mut calls = Vec::new();
    for (at, (account, count)) in (0..).zip([(server.admin, 12), (p, 20), (a, 15), (s, 7)]) {
        calls.extend((0..count).map(|n| call(at * 100 + n, account)));
    }
    server.keep(calls).await;
    let table = [
        (who.clone(), server.admin, "", 12, 12),
        (who.clone(), server.admin, "?SubAccounts=true", 54, 50),
        (who.clone(), server.admin, "?SubAccounts=true&Page=1", 54, 4),
        (who.clone(), p, "?SubAccounts=true", 35, 35),
        (of("p"), p, "?SubAccounts=true", 35, 35),
        (of("p"), a, "?SubAccounts=true", 15, 15),
        (of("s"), s, "?SubAccounts=true", 7, 7),
    ];
    for (who, account, query, total, rows) in table {
        let page = server
            .get(&who, &format!("/Accounts/{account}/Calls.json{query}"))
            .await
            .json();
        assert_eq!(page["total"], total, "{query}");
        assert_eq!(page["calls"].as_array().unwrap().len(), rows, "{query}");
    }
    // One call: missing, another account's, in the path of its own account, not a SID.
    let item = |account, sid| format!("/Accounts/{account}/Calls/{sid}");
    server
        .get(&who, &item(server.admin, call_sid(999)))
        .await
        .is(404);
    server
        .get(&who, &item(server.admin, call_sid(100)))
        .await
        .is(404);
    server.get(&who, &item(p, call_sid(100))).await.is(200);
    server
        .get(&who, &format!("/Accounts/{p}/Calls/nonsense"))
        .await
        .is(404);
}

/// The document of a call may come with the request, or from an application.
#[tokio::test]
async fn documents_come_in_the_request_or_from_an_application() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let form = "From=a&To=b&Twiml=%3CResponse%3E%3CHangup%2F%3E%3C%2FResponse%3E&SendDigits=1w%23";
    server.post(&who, &path, form).await.is(200);
    let created = server.engine.created.lock().unwrap().pop().unwrap();
    let text = "<Response><Hangup/></Response>".to_owned();
    let document = Document::of_text(text.clone(), server.admin);
    assert_eq!(created.planned, Planned::Document(document));
    assert_eq!(created.send_digits.as_deref(), Some("1w#"));

    let form = "FriendlyName=x&RcmlUrl=http://a/app&VoiceMethod=GET";
    let applications = format!("/Accounts/{}/Applications.json", server.admin);
    let application = server.post(&who, &applications, form).await.json();
    let sid = application["sid"].as_str().unwrap();
    let form = format!("From=a&To=b&ApplicationSid={sid}");
    server.post(&who, &path, &form).await.is(200);
    let created = server.engine.created.lock().unwrap().pop().unwrap();
    let Planned::Document(document) = created.planned else {
        panic!("a document");
    };
    assert_eq!(
        (&*document.url, document.method, document.set_in),
        ("http://a/app", HttpMethod::Get, SetIn::Application)
    );
    let unknown = format!("AP{}", "0123456789abcdef".repeat(2));
    for (form, named) in [
        (
            "Twiml=%3CResponse%3E".to_owned(),
            "Twiml: line 1, column 11",
        ),
        ("Twiml=x&Url=http://a/d".to_owned(), "Twiml"),
        (
            format!("ApplicationSid={sid}&Url=http://a/d"),
            "ApplicationSid",
        ),
        (format!("ApplicationSid={unknown}"), "ApplicationSid"),
        ("Url=http://a/d&SendDigits=1x".to_owned(), "SendDigits"),
        (String::new(), "Url, Twiml or ApplicationSid"),
    ] {
        let refused = server
            .post(&who, &path, &format!("From=a&To=b&{form}"))
            .await;
        refused.is(400);
        let message = refused.error()["message"].to_string();
        assert!(message.contains(named), "{form}: {message}");
    }
    // A live call, too.
    server.keep(vec![call(1, server.admin)]).await;
    let live = format!("/Accounts/{}/Calls/{}.json", server.admin, call_sid(1));
    server
        .post(
            &who,
            &live,
            "Twiml=%3CResponse%3E%3CHangup%2F%3E%3C%2FResponse%3E",
        )
        .await
        .is(200);
    let modified = server.engine.modified.lock().unwrap().pop();
    let Some((_, Modify::Redirect(redirect))) = modified else {
        panic!("{modified:?}");
    };
    assert_eq!(redirect.document.text, Some(text));
}

#[tokio::test]
async fn calls_are_created() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let created = server
        .post(
            &who,
            &path,
            "From=+1555&To=sip:bob@127.0.0.1:5061&Url=http://a/doc.xml",
        )
        .await
        .json();
    assert_eq!(
        (&created["status"], &created["direction"]),
        (&"queued".into(), &"outbound-api".into())
    );
    let expected = NewCall {
        account: server.admin,
        from: "+1555".to_owned(),
        target: Target::Sip("sip:bob@127.0.0.1:5061".to_owned()),
        headers: vec![],
        planned: Planned::Document(Document {
            url: "http://a/doc.xml".to_owned(),
            method: HttpMethod::Post,
            author: server.admin,
            text: None,
            fallback: None,
            set_in: SetIn::Request,
        }),
        send_digits: None,
        detection: None,
        callback: None,
        recording: None,
        timeout: Duration::from_secs(60),
        time_limit: None,
        credentials: None,
        legs: Legs::Linked,
        dialect: Dialect::RESTCOMM,
    };
    assert_eq!(server.engine.created.lock().unwrap().pop(), Some(expected));
    // Every parameter, with headers for the called party after its address.
    let form = "From=ann&To=client:bob?X-Custom-Header1%3D1234%26X-Custom-Header2%3D4321\
                &Url=http%3A%2F%2Fapp.example%2Fa%3Fb%3D1&Method=get&Timeout=5&StatusCallback=http://a/cb\
                &StatusCallbackMethod=GET&StatusCallbackEvent=answered,completed&Username=u&Password=p\
                &FallbackUrl=http%3A%2F%2Ff%2F&FallbackMethod=GET&Unknown=1";
    server.post(&who, &path, form).await.is(200);
    let asked = server.engine.created.lock().unwrap().pop().unwrap();
    let headers = [("X-Custom-Header1", "1234"), ("X-Custom-Header2", "4321")];
    assert_eq!(
        asked.headers,
        headers.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(asked.target, Target::Client("bob".to_owned()));
    assert_eq!(asked.timeout, Duration::from_secs(5));
    let Planned::Document(document) = asked.planned else {
        panic!("{asked:?}");
    };
    assert_eq!(document.url, "http://app.example/a?b=1");
    assert_eq!(document.method, HttpMethod::Get);
    let fallback = document.fallback.unwrap();
    assert_eq!(
        (fallback.url.as_str(), fallback.method),
        ("http://f/", HttpMethod::Get)
    );
    let callback = asked.callback.unwrap();
    assert_eq!(callback.target.url, "http://a/cb");
    assert_eq!(callback.target.method, HttpMethod::Get);
    assert_eq!(
        callback.events,
        Some(vec![LegEvent::Answered, LegEvent::Completed])
    );
    let credentials = ("u".to_owned(), "p".to_owned());
    assert_eq!(asked.credentials, Some(credentials));
    // A client with two phones gives two calls: a list in the answer.
    let two = server
        .post(&who, &path, "From=a&To=client:two&Url=http://a/d")
        .await;
    assert_eq!(two.column("", "to"), ["two", "two"]);
    let xml = server
        .post(
            &who,
            &path.replace(".json", ""),
            "From=a&To=client:two&Url=http://a/d",
        )
        .await;
    assert!(
        xml.body.contains("<RestcommResponse><Calls><Call><Sid>"),
        "{}",
        xml.body
    );
    let xml = server
        .post(
            &who,
            &path.replace(".json", ""),
            "From=a&To=b&Url=http://a/d",
        )
        .await;
    assert!(
        xml.body.contains("<RestcommResponse><Call><Sid>"),
        "{}",
        xml.body
    );
}

#[tokio::test]
async fn bad_calls_are_refused_by_name() {
    let server = Server::start().await;
    let who = server.admin();
    let path = format!("/Accounts/{}/Calls.json", server.admin);
    let table = [
        ("To=b&Url=http://a/d", 400, "From"),
        ("From=a&Url=http://a/d", 400, "To"),
        ("From=a&To=b", 400, "Url"),
        (
            "From=a&To=client:nobody&Url=http://a/d",
            400,
            "nobody is not registered",
        ),
        ("From=a&To=client:busy&Url=http://a/d", 429, "20429"),
        ("From=a&To=b&Url=http://a/d&Timeout=x", 400, "Timeout"),
        ("From=a&To=b&Url=http://a/d&Timeout=0", 400, "Timeout"),
        ("From=a&To=b&Url=ftp://h/d", 400, "Url"),
        ("From=a&To=b&Url=d.xml", 400, "Url"),
        ("From=x <a@h>&To=b&Url=http://a/d", 400, "From"),
        (
            "From=a&To=b&Url=http://a/d&StatusCallback=::bad",
            400,
            "StatusCallback",
        ),
        ("From=a&To=b&Url=http://a/d&Method=PUT", 400, "Method"),
        (
            "From=a&To=b&Url=http://a/d&StatusCallback=mailto:a",
            400,
            "StatusCallback",
        ),
        (
            "From=a&To=b&Url=http://a/d&StatusCallbackEvent=died",
            400,
            "StatusCallbackEvent",
        ),
        ("From=a%0D%0AX: 1&To=b&Url=http://a/d", 400, "From"),
        (
            "From=a&To=b%3FX-A%3D1%250d%250aB:1&Url=http://a/d",
            400,
            "To",
        ),
    ];
    for (form, status, word) in table {
        let answer = server.post(&who, &path, form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
        assert!(answer.body.contains(word), "{form}: {}", answer.body);
    }
    let full = server.post(&who, &path, "From=a&To=client:busy&Url=http://a/d");
    assert_eq!(full.await.headers["retry-after"], "5");
    server.drain();
    let answer = server.post(&who, &path, "From=a&To=b&Url=http://a/d").await;
    answer.is(503);
    assert_eq!(answer.headers["retry-after"], "5");
    assert!(server.engine.created.lock().unwrap().is_empty());
    server.get(&who, &path).await.is(200);
}

#[tokio::test]
async fn live_calls_are_changed() {
    let server = Server::start().await;
    let who = server.admin();
    let p = server.account("p", server.admin).await;
    server.account("s", server.admin).await;
    let mut over = call(2, p);
    over.status = CallStatus::Completed;
    let mut gone = call(3, p);
    gone.to = "gone".to_owned();
    let mut ends = call(7, p);
    ends.instance = server.engine.store.instance();
    server
        .keep(vec![
            call(1, p),
            over,
            gone,
            call(4, account_sid("s")),
            call(5, p),
            call(6, p),
            ends,
        ])
        .await;
    let path = |account, n| format!("/Accounts/{account}/Calls/{}.json", call_sid(n));
    let live = path(p, 1);
    // The answer shows the call after the change.
    let ended = server.post(&of("p"), &path(p, 7), "Status=Completed").await;
    assert_eq!(ended.json()["status"], "completed");
    let form =
        "Url=http://a/new.xml&Method=GET&MoveConnectedCallLeg=true&FallbackUrl=http://a/f.xml";
    server.post(&of("p"), &live, form).await.is(200);
    server.post(&of("p"), &live, "Mute=true").await.is(400);
    let both = "Mute=true&Status=completed";
    server.post(&of("p"), &live, both).await.is(400);
    let redirect = Redirect {
        document: Document {
            url: "http://a/new.xml".to_owned(),
            method: HttpMethod::Get,
            author: p,
            text: None,
            fallback: Some(Fallback {
                url: "http://a/f.xml".to_owned(),
                method: HttpMethod::Post,
                author: p,
                set_in: SetIn::Request,
            }),
            set_in: SetIn::Request,
        },
        status_callback: None,
        only_in: None,
        move_connected_leg: true,
        dialect: Some(Dialect::RESTCOMM),
    };
    let expected = [
        (call_sid(7), Modify::Complete),
        (call_sid(1), Modify::Redirect(Box::new(redirect))),
    ];
    assert_eq!(*server.engine.modified.lock().unwrap(), expected);
    let table = [
        // Missing, not a SID, outside its own tree (allowed for the top account), already ended.
        (of("p"), path(p, 99), "Status=completed", 406),
        (
            of("p"),
            format!("/Accounts/{p}/Calls/nonsense"),
            "Status=completed",
            400,
        ),
        (of("p"), path(p, 4), "Status=completed", 406),
        (who.clone(), path(p, 4), "Status=completed", 200),
        (of("p"), path(p, 2), "Status=completed", 410),
        (of("p"), path(p, 3), "Status=completed", 410),
        // Still being called; no reply in time.
        (of("p"), path(p, 5), "Url=http://a/new.xml", 410),
        (of("p"), path(p, 6), "Status=completed", 503),
        // Nothing to do, and an account without permission.
        (of("p"), live.clone(), "Method=GET", 400),
        (of("p"), live.clone(), "", 400),
        (of("p"), live.clone(), "Status=ringing", 400),
        (of("p"), live.clone(), "Mute=loud", 400),
        (of("p"), live.clone(), "Url=ftp://h/", 400),
        (of("s"), live, "Status=completed", 403),
    ];
    for (who, path, form, status) in table {
        let answer = server.post(&who, &path, form).await;
        assert_eq!(answer.status, status, "{path} {form}: {}", answer.body);
    }
    assert_eq!(server.engine.modified.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_of_a_leg_that_lost_names_the_one_that_answered() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let leg = |n, first: Option<u32>| {
        let mut leg = call(n, p);
        leg.direction = Direction::OutboundApi;
        leg.parent = first.map(call_sid);
        leg
    };
    let lost = |n, first| {
        let mut leg = leg(n, first);
        leg.status = CallStatus::Canceled;
        leg.ended = Some(leg.created);
        leg.reason = Some("answered-elsewhere".to_owned());
        leg
    };
    let won = |n, first| {
        let mut leg = leg(n, first);
        leg.status = CallStatus::InProgress;
        leg.answered = Some(leg.created);
        leg
    };
    // The second of three phones, and the first of two; a leg that the winner dialled is not a phone.
    let mut dialled = won(24, Some(21));
    dialled.direction = Direction::OutboundDial;
    let rows = [
        lost(11, None),
        won(12, Some(11)),
        lost(13, Some(11)),
        won(21, None),
        lost(22, Some(21)),
        dialled,
    ];
    server.keep(rows.to_vec()).await;
    let bases = [("/restcomm/2012-04-24", 410), ("/2010-04-01", 404)];
    for (base, status) in bases {
        for (n, winner) in [(11, 12), (13, 12), (22, 21)] {
            let path = format!("{base}/Accounts/{p}/Calls/{}.json", call_sid(n));
            let answer = server.post(&of("p"), &path, "Status=completed").await;
            answer.is(status);
            let says = format!("the call continues as {}.", call_sid(winner));
            assert!(answer.body.contains(&says), "{n}: {}", answer.body);
        }
    }
    // Nobody answered instead of a leg that ended by itself.
    let mut over = lost(31, None);
    over.reason = Some("busy".to_owned());
    server.keep(vec![over, won(32, Some(31))]).await;
    let path = format!("/Accounts/{p}/Calls/{}.json", call_sid(31));
    let answer = server.post(&of("p"), &path, "Status=completed").await;
    assert!(!answer.body.contains("continues as"), "{}", answer.body);
}

#[tokio::test]
async fn a_live_call_hears_something_at_once() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    server.keep(vec![call(1, p), call(5, p)]).await;
    let path = |n| format!("/Accounts/{p}/Calls/{}.json", call_sid(n));
    let said = Interjection::say(p, "Guten Tag", true, Some("de-DE"));
    let played = Interjection::play(p, "http://a/beep.wav".to_owned());
    let keys = Interjection::keys(p, "12w#".to_owned());
    let table = [
        (1, "Say=Guten+Tag&Voice=woman&Language=de-de", 200, said),
        (1, "Play=http://a/beep.wav", 200, Some(played)),
        (1, "SendDigits=12w%23", 200, Some(keys)),
        // Not answered yet.
        (5, "Say=Hello", 410, None),
        (1, "Say=Hello&Language=klingon", 400, None),
        (1, "Say=Hello&Voice=robot", 400, None),
        (1, "Voice=woman", 400, None),
        (1, "Status=completed&Language=de", 400, None),
        (1, "Play=beep.wav", 400, None),
        (1, "Play=http://a/beep.wav&Say=Hello", 400, None),
        (1, "Say=Hello&Status=completed", 400, None),
        (1, "SendDigits=12x", 400, None),
        (1, "SendDigits=1&Mute=true", 400, None),
    ];
    for (n, form, status, expected) in table {
        let answer = server.post(&of("p"), &path(n), form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
        let made: Vec<_> = std::mem::take(&mut server.engine.modified.lock().unwrap());
        let expected = expected.map(|what| (call_sid(n), Modify::Interject(Box::new(what))));
        assert_eq!(made, Vec::from_iter(expected), "{form}");
    }
    let long = format!("Say={}", "a".repeat(4097));
    server.post(&of("p"), &path(1), &long).await.is(400);
}

#[tokio::test]
async fn machine_detection_of_a_new_call() {
    let server = Server::start().await;
    let who = server.admin();
    for base in ["", "/2010-04-01"] {
        let path = format!("{base}/Accounts/{}/Calls.json", server.admin);
        let post = async |more: &str| {
            let form = format!("From=a&To=b&Url=http://a/d&{more}");
            server.post(&who, &path, &form).await
        };
        let created = || server.engine.created.lock().unwrap().pop().unwrap();
        for off in [
            "",
            "MachineDetection=",
            "MachineDetection=disable&AsyncAmd=true",
        ] {
            assert!(post(off).await.status.is_success(), "{off}");
            assert_eq!(created().detection, None, "{off}");
        }
        assert!(post("MachineDetection=Enable").await.status.is_success());
        let plain = Detection {
            terms: DetectionMode::Enable.into(),
            holds: true,
            callback: None,
        };
        assert_eq!(created().detection, Some(plain.clone()));
        let form = "MachineDetection=DetectMessageEnd&MachineDetectionTimeout=59\
                    &MachineDetectionSpeechThreshold=1000&MachineDetectionSpeechEndThreshold=500\
                    &MachineDetectionSilenceTimeout=2000&AsyncAmd=true\
                    &AsyncAmdStatusCallback=http://a/amd&AsyncAmdStatusCallbackMethod=GET";
        assert!(post(form).await.status.is_success());
        let ms = Duration::from_millis;
        let all = Detection {
            terms: MachineDetection {
                mode: DetectionMode::DetectMessageEnd,
                timeout: ms(59_000),
                timing: AnswerTiming {
                    speech: ms(1000),
                    speech_end: ms(500),
                    silence: ms(2000),
                },
            },
            holds: false,
            callback: Some(CallbackTarget {
                url: "http://a/amd".to_owned(),
                method: HttpMethod::Get,
                author: server.admin,
            }),
        };
        assert_eq!(created().detection, Some(all));
        // The address is for asynchronous detection.
        let sync = "MachineDetection=Enable&AsyncAmdStatusCallback=http://a/amd";
        assert!(post(sync).await.status.is_success());
        assert_eq!(created().detection, Some(plain));
        for wrong in [
            "MachineDetection=On",
            "MachineDetectionTimeout=60",
            "MachineDetectionTimeout=2",
            "MachineDetectionSpeechThreshold=999",
            "MachineDetectionSpeechEndThreshold=5001",
            "MachineDetectionSilenceTimeout=-1",
            "MachineDetectionSilenceTimeout=soon",
            "AsyncAmd=yes",
            "AsyncAmdStatusCallbackMethod=PUT",
            "AsyncAmdStatusCallback=ftp://a/b",
        ] {
            let refused = post(&format!("MachineDetection=Enable&{wrong}")).await;
            // The first value of a name counts.
            let refused = if wrong.starts_with("MachineDetection=") {
                post(wrong).await
            } else {
                refused
            };
            refused.is(400);
            let message = refused.error()["message"].to_string();
            let (name, _) = wrong.split_once('=').unwrap();
            assert!(message.contains(name), "{wrong}: {message}");
        }
    }
}
