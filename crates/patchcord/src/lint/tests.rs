//! Documents, folders and addresses, and the reports on them.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{get, post};

use super::*;

const OPTIONS: Options = Options {
    dialect: Dialect::RESTCOMM,
    json: false,
    errors_only: false,
    post: false,
    token: None,
};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The report, without the folder's own name.
async fn lint(folder: &tempfile::TempDir, name: &str, options: Options) -> Report {
    let root = folder.path().join(name).display().to_string();
    let mut report = run(&[root], options).await.unwrap();
    let base = format!("{}/", folder.path().display());
    report.text = report.text.replace(&base, "");
    report
}

#[tokio::test]
async fn shows_line_and_mark() {
    let xml = "<Response>\n\t<say>Grüße</say>\n  <Say>ü</Say><Dail>+1</Dail>\n</Response>\n";
    let folder = folder(&[("a.xml", xml.as_bytes())]);
    let report = lint(&folder, "a.xml", OPTIONS).await;
    let expected = "\
a.xml:2:2: error 12200: `say` is not a verb; it was skipped (did you mean <Say>?)
     <say>Grüße</say>
     ^
a.xml:3:15: error 12200: `Dail` is not a verb; it was skipped (did you mean <Dial>?)
      <Say>ü</Say><Dail>+1</Dail>
                  ^
1 document: 2 errors, 0 warnings
";
    assert_eq!((report.text.as_str(), report.clean), (expected, false));
}

#[test]
fn the_mark_stands_below_its_place() {
    let long = "x".repeat(200);
    let table = [
        ("<a/><b/>", 5, "    <a/><b/>\n        ^\n"),
        ("日本語<b/>", 4, "    日本語<b/>\n          ^\n"),
        ("e\u{301}<b/>", 3, "    e\u{301}<b/>\n     ^\n"),
        ("\t<b/>", 2, "     <b/>\n     ^\n"),
        ("<b>", 9, "    <b>\n       ^\n"),
    ];
    for (line, column, expected) in table {
        assert_eq!(marked(line, 1, column), expected, "{line}");
    }
    let expected = format!("    {}\n    {}^\n", &long[..WIDTH], " ".repeat(WIDTH / 2));
    assert_eq!(marked(&long, 1, 101), expected);
    let wide = "日".repeat(200);
    let cut: String = wide.chars().take(WIDTH / 2).collect();
    let expected = format!("    {cut}\n    {}^\n", " ".repeat(WIDTH / 2));
    assert_eq!(marked(&wide, 1, 101), expected);
}

#[tokio::test]
async fn reads_folders_in_order_and_counts() {
    let folder = folder(&[
        ("b/late.rcml", b"<Response><Hangup/></Response>"),
        ("b/note.txt", b"no document"),
        ("a.xml", b"<Response>"),
        ("c.xml", b"<Response><Hangup x='1'/></Response>"),
    ]);
    let report = lint(&folder, "", OPTIONS).await;
    let lines: Vec<&str> = report
        .text
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert_eq!(
        lines,
        [
            "a.xml:1:11: error 12100: the text ends inside `Response`, which begins on line 1 and is not closed",
            "c.xml:1:19: warning 12201: `Hangup` has no attribute `x`",
            "3 documents: 1 error, 1 warning",
        ]
    );
    let errors_only = Options {
        errors_only: true,
        ..OPTIONS
    };
    for (name, clean) in [("a.xml", false), ("b/late.rcml", true), ("c.xml", true)] {
        assert_eq!(
            lint(&folder, name, errors_only.clone()).await.clean,
            clean,
            "{name}"
        );
    }
}

#[tokio::test]
async fn counts_what_is_not_listed() {
    let many = "<Pause length='x'/>".repeat(100);
    let one = format!("<Response>{many}<Redirect>ftp://x/</Redirect></Response>");
    let wrong = "<Redirect>ftp://x/</Redirect>".repeat(102);
    let errors = format!("<Response>{wrong}</Response>");
    let folder = folder(&[("a.xml", one.as_bytes()), ("b.xml", errors.as_bytes())]);
    let errors_only = Options {
        errors_only: true,
        ..OPTIONS
    };
    let table = [
        (
            "a.xml",
            OPTIONS,
            Some("warning 12209: 1 more warning is not listed"),
            "1 error, 100",
        ),
        ("a.xml", errors_only.clone(), None, "1 error, 0"),
        (
            "b.xml",
            OPTIONS,
            Some("warning 12209: 2 more errors and 1 warning are not listed"),
            "102 errors, 1",
        ),
        (
            "b.xml",
            errors_only,
            Some("warning 12209: 2 more errors are not listed"),
            "102 errors, 0",
        ),
    ];
    for (name, options, more, counts) in table {
        let report = lint(&folder, name, options).await;
        let last = format!("1 document: {counts} warning");
        let end = report.text.lines().last().unwrap_or_default();
        assert!(end.starts_with(&last), "{name}: {end}");
        assert!(!report.clean, "{name}");
        match more {
            Some(more) => assert!(report.text.contains(more), "{}", report.text),
            None => assert!(!report.text.contains("12209"), "{}", report.text),
        }
    }
    let options = Options {
        json: true,
        ..OPTIONS
    };
    let report = lint(&folder, "b.xml", options).await;
    let json: serde_json::Value = serde_json::from_str(&report.text).unwrap();
    assert_eq!(json["documents"][0]["findings"][100]["code"], 12209);
    assert_eq!(
        (&json["errors"], &json["warnings"]),
        (&json!(102), &json!(1))
    );
}

#[tokio::test]
async fn says_the_same_in_json() {
    let folder = folder(&[("a.xml", b"<Response/>"), ("latin.xml", b"<Say>\xe9</Say>")]);
    let options = Options {
        json: true,
        ..OPTIONS
    };
    let report = lint(&folder, "", options).await;
    let json: serde_json::Value = serde_json::from_str(&report.text).unwrap();
    assert_eq!(json["documents"][0]["findings"][0]["code"], 12208);
    assert_eq!(json["documents"][1]["findings"][0]["column"], 6);
    assert_eq!((&json["errors"], &json["warnings"]), (&json!(0), &json!(2)));
    let twilio = Options {
        dialect: Dialect::TWILIO,
        ..OPTIONS
    };
    let text = lint(&folder, "a.xml", twilio).await.text;
    assert!(text.contains("refused with 603"), "{text}");
}

#[tokio::test]
async fn checks_what_can_be_read_and_names_the_rest() {
    let folder = folder(&[
        ("note.txt", b""),
        ("good/a.xml", b"<Response><Dail/></Response>"),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let targets = ["missing.xml", "good/a.xml", "", "alsono.xml"].map(path);
    std::fs::remove_file(folder.path().join("good/a.xml")).unwrap();
    let targets_of_folder = run(&targets[2..3], OPTIONS).await.unwrap();
    assert!(targets_of_folder.unread[0].contains("no *.xml or *.rcml in this folder"));
    assert_eq!(targets_of_folder.text, "");
    let json = Options {
        json: true,
        ..OPTIONS
    };
    let as_json = run(&targets[..1], json).await.unwrap();
    assert!(
        as_json.text.contains("\"documents\": []"),
        "{}",
        as_json.text
    );
    std::fs::write(
        folder.path().join("good/a.xml"),
        "<Response><Dail/></Response>",
    )
    .unwrap();
    let report = run(&targets, OPTIONS).await.unwrap();
    assert!(
        report.text.contains("error 12200: `Dail`"),
        "{}",
        report.text
    );
    let [first, second] = &report.unread[..] else {
        panic!("{:?}", report.unread)
    };
    assert!(first.contains("missing.xml: No such file"), "{first}");
    assert!(second.contains("alsono.xml: No such file"), "{second}");
}

#[tokio::test]
async fn an_empty_document_may_screen_a_called_party() {
    let dial = b"<Dial><Number url='/calls/accept?x=1'>+1</Number></Dial>";
    let empty = b"<Response/>";
    let files: &[(&str, &[u8])] = &[("dial.xml", dial), ("accept.xml", empty)];
    let screened = folder(files);
    assert!(lint(&screened, "", OPTIONS).await.clean);
    let alone = lint(&screened, "accept.xml", OPTIONS).await;
    assert!(alone.text.contains("12208"), "{}", alone.text);
    let other = folder(&[("dial.xml", dial), ("other.xml", empty)]);
    assert!(
        lint(&other, "", OPTIONS)
            .await
            .text
            .contains("other.xml:1:1: warning 12208")
    );
}

/// Only what a document names is known to continue a call.
#[tokio::test]
async fn a_document_that_continues_a_call_need_not_answer_it() {
    let gather = "<Gather action='/next'/>";
    let nested = "<Dial><Client url='/screen'>a</Client></Dial>";
    let table = [
        ("next", gather, "<Pause/>", true),
        ("next", "<Dial action='next.xml'>+1</Dial>", "", true),
        ("next", "<Sms action='/a/next?x=1'>hi</Sms>", "<Foo/>", true),
        // A redirection answers nothing.
        ("next", "<Redirect>next.rcml</Redirect>", "", false),
        (
            "next",
            "<Pause/><Redirect>next</Redirect>",
            "<Pause/>",
            false,
        ),
        ("next", "<Say>a</Say><Redirect>next</Redirect>", "", true),
        ("next", "<Dial>+1</Dial><Redirect>next</Redirect>", "", true),
        // The called party may have failed before the call was answered.
        (
            "next",
            "<Dial action='next' answerOnBridge='true'>+1</Dial>",
            "",
            false,
        ),
        ("other", gather, "<Pause/>", false),
        // What a screening document leads to.
        ("next", &format!("{nested}{gather}"), "", true),
    ];
    for (name, first, next, accepted) in table {
        let of = |verbs: &str| format!("<Response>{verbs}</Response>").into_bytes();
        let (first_file, next_file) = (of(first), of(next));
        let name = format!("{name}.xml");
        let files = folder(&[("first.xml", &first_file), (&name, &next_file)]);
        let report = lint(&files, "", OPTIONS).await;
        assert_eq!(
            !report.text.contains("12208"),
            accepted,
            "{first}: {}",
            report.text
        );
    }
}

/// The call was answered before the document that redirects it.
#[tokio::test]
async fn a_redirection_in_a_document_that_continues_a_call_continues_it() {
    let files: &[(&str, &[u8])] = &[
        ("a.xml", b"<Response><Gather action='c'/></Response>"),
        ("b.xml", b"<Response/>"),
        ("c.xml", b"<Response><Redirect>b</Redirect></Response>"),
    ];
    let linked = lint(&folder(files), "", OPTIONS).await;
    assert!(linked.clean, "{}", linked.text);
    let alone = lint(&folder(&files[1..]), "", OPTIONS).await;
    assert!(
        alone.text.contains("b.xml:1:1: warning 12208"),
        "{}",
        alone.text
    );
}

#[tokio::test]
async fn an_address_without_http_is_recognized() {
    let table = [
        (
            "127.0.0.1:8001/voice",
            "write http:// in front: http://127.0.0.1:8001/voice",
        ),
        ("localhost:80", "write http:// in front"),
        ("ftp://x/y", "not with ftp://"),
        ("a:b.xml", "No such file"),
    ];
    for (target, expected) in table {
        let report = run(&[target.to_owned()], OPTIONS).await.unwrap();
        let [said] = &report.unread[..] else {
            panic!("{:?}", report.unread)
        };
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn asks_addresses() {
    let page = |kind: &'static str, body: &'static str| {
        get(move || async move { ([("content-type", kind)], body) })
    };
    let app = Router::new()
        .route("/v", page("text/xml", "<Response><say/></Response>"))
        .route("/empty", page("text/xml", " "))
        .route(
            "/html",
            page("text/html", "<!DOCTYPE html><html><p>Hi</html>"),
        )
        .route("/page", page("text/html", "<html><p>Hi</p></html>"))
        .route("/json", page("application/json", "{}"))
        .route(
            "/latin",
            get(|| async {
                (
                    [("content-type", "text/xml")],
                    &b"<?xml version='1.0' encoding='ISO-8859-1'?><Say>\xe9</Say>"[..],
                )
            }),
        )
        .route(
            "/post",
            post(|body: String| async move {
                (
                    [("content-type", "text/xml")],
                    format!("<Say{}/>", body.len()),
                )
            }),
        )
        .route(
            "/signed",
            get(|headers: HeaderMap| async move {
                let signed = headers.contains_key("x-twilio-signature");
                (
                    [("content-type", "text/xml")],
                    format!("<Response><Say>{signed}</Say><signed-{signed}/></Response>"),
                )
            }),
        )
        .route("/text", page("text/plain", "<not read>"))
        .route("/xml-as-text", page("text/plain", "<Response/>"))
        .route("/image", page("image/png", ""));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let table = [
        ("/v", "1:11: error 12200"),
        ("/empty", "error 12100: the response is empty"),
        ("/html", "error 12100: this is an HTML page"),
        ("/page", "error 12100: this is an HTML page"),
        ("/json", "answered with `application/json`"),
        ("/latin", "1 document: 0 errors, 0 warnings"),
        ("/text", "1 document: 0 errors, 0 warnings"),
        (
            "/xml-as-text",
            "1:1: warning 12301: this looks like a document",
        ),
        ("/image", "1:1: error 12300"),
    ];
    for (path, expected) in table {
        let report = run(&[format!("{base}{path}")], OPTIONS).await.unwrap();
        assert!(report.text.contains(expected), "{path}: {}", report.text);
    }
    let unread = async |path: &str, options| {
        let report = run(&[format!("{base}{path}")], options).await.unwrap();
        report.unread.concat()
    };
    for post in [false, true] {
        let missing = unread("/none", Options { post, ..OPTIONS }).await;
        assert!(
            missing.ends_with("answered with status 404; check the path"),
            "{missing}"
        );
    }
    let by_get = unread("/post", OPTIONS).await;
    assert!(
        by_get.contains("405") && by_get.contains("`--post`"),
        "{by_get}"
    );
    let by_post = Options {
        post: true,
        ..OPTIONS
    };
    let report = run(&[format!("{base}/post")], by_post).await.unwrap();
    assert!(
        report
            .text
            .contains("12200: the root should be `Response`, not `Say1"),
        "{}",
        report.text
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "0123\n").unwrap();
    let token = Token::from_file(file.to_str().unwrap()).unwrap();
    for (token, expected) in [(None, "`signed-false`"), (Some(token), "`signed-true`")] {
        let options = Options { token, ..OPTIONS };
        let report = run(&[format!("{base}/signed")], options).await.unwrap();
        assert!(report.text.contains(expected), "{}", report.text);
    }
    let tls = run(&[format!("{}/v", base.replace("http", "https"))], OPTIONS)
        .await
        .unwrap();
    assert!(
        tls.unread.concat().contains("use http://"),
        "{:?}",
        tls.unread
    );
    let nobody = run(&["http://127.0.0.1:1/".to_owned()], OPTIONS)
        .await
        .unwrap();
    assert_eq!(nobody.unread.concat().matches("127.0.0.1:1").count(), 1);
    server.abort();
}
