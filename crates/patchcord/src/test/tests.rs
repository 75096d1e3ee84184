//! The command, from files to exit code.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use rehearse::Asked;

use super::*;

const GOOD: &str = "call: {to: '1'}
application: {files: app, start: /}
caller: [{expect: {say: Hi}}, {expect: {play: 'http://app/a/tone.wav'}}, {expect: {say: Bye}}]
expect: {duration: 1.09s, requests: [/, /a/menu?x=1, /deep/]}
";

fn order(paths: &[&Path]) -> Order {
    Order {
        paths: paths.iter().map(|path| path.to_path_buf()).collect(),
        junit: None,
        json: false,
        trace: false,
        quiet: false,
        token: None,
        style: Style::FILE,
    }
}

/// Half a second of silence.
fn tone() -> Vec<u8> {
    let mut wav = audio::wav::header(1, 8_000).to_vec();
    wav.resize(wav.len() + 8_000, 0);
    wav
}

fn application(folder: &Path) {
    let app = folder.join("app");
    fs::create_dir_all(app.join("a")).unwrap();
    fs::create_dir_all(app.join("deep")).unwrap();
    let write = |name: &str, verbs: &str| {
        fs::write(app.join(name), format!("<Response>{verbs}</Response>")).unwrap();
    };
    write("index.xml", "<Say>Hi</Say><Redirect>/a/menu?x=1</Redirect>");
    write(
        "a/menu.xml",
        "<Play>tone.wav</Play><Redirect>/deep/</Redirect>",
    );
    write(
        "deep/index.xml",
        "<Say>Bye</Say><Play>/../../secret.wav</Play>",
    );
    fs::write(app.join("a/tone.wav"), tone()).unwrap();
    fs::write(folder.join("secret.wav"), tone()).unwrap();
}

fn usage(order: &Order) -> String {
    match run(order) {
        Err(Refusal::Usage(problems)) => problems.join("\n"),
        Err(Refusal::Other(error)) => panic!("{error:#}"),
        Ok(outcome) => panic!("it ran: {}", outcome.text),
    }
}

fn outcome(order: &Order) -> Outcome {
    run(order).unwrap_or_else(|_| panic!("it did not run"))
}

#[test]
fn a_folder_is_an_application() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let file = folder.path().join("a.yaml");
    fs::write(&file, GOOD.replace("duration: 1.09s", "duration: 0.8s")).unwrap();
    let said = outcome(&order(&[&file]));
    assert!(said.text.contains("1 passed, 0 failed"), "{}", said.text);
    // The file next to the folder is not part of it.
    assert!(
        said.text
            .contains("http://app/secret.wav answered with status 404"),
        "{}",
        said.text
    );
    assert_eq!(said.code, ExitCode::SUCCESS);
}

#[test]
fn a_failure_is_drawn_and_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let file = folder.path().join("a.yaml");
    fs::write(&file, GOOD).unwrap();
    let junit = folder.path().join("report.xml");
    let mut order = order(&[&file]);
    order.junit = Some(junit.clone());
    let said = outcome(&order);
    let expected = format!(
        "{}:4: expected a duration of 1.09s, but it was 0.8s",
        file.display()
    );
    assert!(said.text.contains(&expected), "{}", said.text);
    assert!(said.text.contains("| <Say>, line 1"), "{}", said.text);
    assert!(said.text.ends_with("0 passed, 1 failed\n"), "{}", said.text);
    assert_eq!(said.code, ExitCode::from(FAILED));
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("failures=\"1\""), "{junit}");
    order.json = true;
    assert!(outcome(&order).text.starts_with("{\n"));
    assert_eq!(outcome(&order).text, outcome(&order).text);
}

#[test]
fn every_failure_is_printed_and_quiet_leaves_out_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let bad = GOOD.replace("requests: [", "verbs: [Say], requests: [/none, ");
    let bad = write("bad.yaml", &bad);
    let good = write(
        "good.yaml",
        &GOOD.replace("duration: 1.09s", "duration: 0.8s"),
    );
    let mut order = order(&[&bad, &good]);
    let said = outcome(&order).text;
    let failures = said
        .lines()
        .filter(|line| line.contains("bad.yaml:4: expected"));
    assert_eq!(failures.count(), 3, "{said}");
    assert!(
        said.contains("| <Say>, line 1") && said.contains("good.yaml"),
        "{said}"
    );
    order.quiet = true;
    let said = outcome(&order).text;
    assert!(
        !said.contains("| <Say>, line 1") && !said.contains("good.yaml"),
        "{said}"
    );
    assert!(
        said.starts_with("FAILED") && said.ends_with("1 passed, 1 failed\n"),
        "{said}"
    );
    order.style.colours = true;
    assert!(outcome(&order).text.starts_with("\x1b[1;31mFAILED\x1b[0m"));
}

#[test]
fn scripts_are_found_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let inner = folder.path().join("b/c");
    fs::create_dir_all(&inner).unwrap();
    let page = "call: {to: '1'}\napplication: {start: /v, pages: {/v: <Response/>}}\nexpect: {verbs: []}\n";
    for name in [
        "test.yaml",
        "b/x.test.yaml",
        "b/c/test.yaml",
        "b/c/other.yaml",
    ] {
        fs::write(folder.path().join(name), page).unwrap();
    }
    // Links lead back to their own location, and to a script under another name.
    std::os::unix::fs::symlink(folder.path(), inner.join("back")).unwrap();
    std::os::unix::fs::symlink(inner.join("other.yaml"), inner.join("link.test.yaml")).unwrap();
    let said = outcome(&order(&[folder.path()]));
    assert!(said.text.ends_with("4 passed, 0 failed\n"), "{}", said.text);
    let single = outcome(&order(&[&inner.join("other.yaml")]));
    assert!(single.text.ends_with("1 passed, 0 failed\n"));
}

#[test]
fn nothing_runs_if_the_folder_of_an_application_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let file = folder.path().join("a.yaml");
    fs::write(&file, GOOD.replace("files: app", "files: ap")).unwrap();
    let problems = usage(&order(&[&file]));
    assert!(
        problems.ends_with("a.yaml: `files`: there is no folder `ap`"),
        "{problems}"
    );
}

#[test]
fn nothing_runs_if_a_script_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("a.test.yaml");
    fs::write(&bad, "call: {to: '1'}\ncaler: []\n").unwrap();
    let worse = folder.path().join("b.test.yaml");
    fs::write(
        &worse,
        "call: {to: '1'}\napplication: {pages: {/: x}, start: /}\n\
         caller: hangup\nparties: {ann: bussy}\n\
         expect:\n  legs: {caller: {staus: completed}}\n  messages: [{bdy: x}]\n  verbs: [Say]\n",
    )
    .unwrap();
    let missing = folder.path().join("missing.yaml");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let problems = usage(&order(&[folder.path(), &missing, &empty]));
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines.len(), 8, "{problems}");
    assert!(
        lines[0].contains("missing.yaml: No such file"),
        "{problems}"
    );
    assert!(lines[1].ends_with("no `test.yaml` and no `*.test.yaml` in this folder"));
    let rest = [
        "a.test.yaml:1: the script needs `application`",
        "a.test.yaml:2: a script does not accept `caler`; did you mean `caller`?",
        "b.test.yaml:3: `caller` must be a list, such as `caller: [hangup]`, not a string",
        "b.test.yaml:4: a party does not accept `bussy`; did you mean `busy`?",
        "b.test.yaml:6: a leg does not accept `staus`; did you mean `status`?",
        "b.test.yaml:7: a message does not accept `bdy`; did you mean `body`?",
    ];
    for (line, expected) in lines[2..].iter().zip(rest) {
        assert!(line.ends_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn files_are_found_by_the_path_of_the_address() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let app = folder.path().join("app");
    fs::create_dir(app.join("sub")).unwrap();
    for name in ["my menu.xml", "Grüße.rcml", "sub/index.rcml", "100%.xml"] {
        fs::write(app.join(name), "<Response><Say>here</Say></Response>").unwrap();
    }
    let table = [
        ("/my menu.xml", "200"),
        ("/my%20menu", "200"),
        ("/Grüße", "200"),
        ("/Gr%C3%BC%C3%9Fe.rcml", "200"),
        ("/sub/", "200"),
        ("/100%25", "200"),
        ("/a%2fmenu.xml", "404"),
        ("/a/%2e%2e/my%20menu", "200"),
        ("/..%2f..%2fsecret.wav", "404"),
        ("/a/..%2f..%2f..%2fsecret.wav", "404"),
        ("/%00", "404"),
        ("/%ff", "404"),
    ];
    for (path, status) in table {
        let asked = Asked {
            at: model::Timestamp::default(),
            call: Some(model::CallSid::from_bytes([0; 16])),
            method: model::HttpMethod::Get,
            url: url::Url::parse("http://app/")
                .unwrap()
                .join(path)
                .unwrap()
                .to_string(),
            params: Vec::new(),
        };
        let fetched = Files::of(app.clone()).document(&asked).unwrap();
        assert_eq!(fetched.status.to_string(), status, "{path}");
        if status == "200" {
            assert_eq!(fetched.content_type.as_deref(), Some("text/xml"), "{path}");
        }
    }
}

#[test]
fn a_missing_document_is_reported_with_the_files_tried_and_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let file = folder.path().join("a.yaml");
    let table = [
        (
            "/a/menus",
            "`a/menus`, `a/menus.xml`, `a/menus.rcml`, `a/menus/index.xml`, `a/menus/index.rcml`",
            " (did you mean `/a/menu`?)",
        ),
        (
            "/dep/",
            "`dep`, `dep.xml`, `dep.rcml`, `dep/index.xml`, `dep/index.rcml`",
            " (did you mean `/deep/`?)",
        ),
        (
            "/other",
            "`other`, `other.xml`, `other.rcml`, `other/index.xml`, `other/index.rcml`",
            "",
        ),
    ];
    for (start, names, meant) in table {
        let script = GOOD.replace("start: /", &format!("start: {start}"));
        fs::write(&file, script).unwrap();
        let said = outcome(&order(&[&file])).text;
        let app = folder.path().join("app");
        let expected = format!(
            "http://app{start} answered with status 404; there is no {names} in `{}`{meant}\n",
            app.display()
        );
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn a_page_with_a_text_is_no_sound() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    // The page to play, its length, and what is reported to the account's owner.
    let table = [
        ("hello", "0s", "13233"),
        ("''", "1s", ""),
        ("{content_type: text/html, body: <html/>}", "0s", "13233"),
        ("{content_type: audio/wav, body: x}", "1s", ""),
        ("{content_type: Audio/WAV, body: x}", "1s", ""),
        ("{content_type: application/ogg, body: x}", "1s", ""),
        ("{content_type: audio/x-mpeg, body: x}", "1s", ""),
    ];
    for (page, length, told) in table {
        let script = format!(
            "call: {{to: '1'}}\napplication:\n  start: /v\n  pages:\n    \
             /v: <Response><Play>/a.wav</Play></Response>\n    /a.wav: {page}\n\
             expect: {{duration: {length}, notifications: [{told}]}}\n"
        );
        fs::write(&file, script).unwrap();
        let said = outcome(&order(&[&file]));
        assert!(said.text.contains("1 passed"), "{page}: {}", said.text);
    }
}

#[test]
fn what_a_call_could_not_play_is_not_played() {
    let folder = tempfile::tempdir().unwrap();
    application(folder.path());
    let app = folder.path().join("app");
    fs::write(app.join("cut.wav"), &tone()[..20]).unwrap();
    fs::write(app.join("empty.wav"), "").unwrap();
    // The file to play, its length, and what is reported to the account's owner.
    let table = [
        ("/a/tone.wav", "0.5s", ""),
        ("/empty.wav", "1s", ""),
        ("/a/menu.xml", "0s", "13233"),
        ("/cut.wav", "0s", "13233"),
    ];
    for (sound, length, told) in table {
        let page = format!("<Response><Play>{sound}</Play></Response>");
        fs::write(app.join("play.xml"), page).unwrap();
        let file = folder.path().join("a.yaml");
        let script = format!(
            "call: {{to: '1'}}\napplication: {{files: app, start: /play}}\n\
             expect: {{duration: {length}, notifications: [{told}]}}\n"
        );
        fs::write(&file, script).unwrap();
        let said = outcome(&order(&[&file]));
        assert!(said.text.contains("1 passed"), "{sound}: {}", said.text);
    }
}

/// A web server that sets a cookie and reports each request line, cookie and signature that it receives.
fn serve(requests: usize) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let length = name.eq_ignore_ascii_case("content-length");
                length.then(|| value.trim().parse::<usize>().ok())?
            });
            let mut form = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut form).unwrap();
            let first = head.lines().next().unwrap_or_default().to_owned();
            let cookie = head.contains("seen=1");
            let form = String::from_utf8_lossy(&form).into_owned();
            let status = form.split('&').find(|pair| pair.starts_with("CallStatus="));
            let signed = if head.contains("x-patchcord-signature: t=")
                && head.contains("x-twilio-signature: ")
            {
                " signed"
            } else {
                ""
            };
            tell.send(format!(
                "{first} {} {cookie}{signed}",
                status.unwrap_or("-")
            ))
            .unwrap();
            let body = if first.contains("/v") {
                "<Response><Say>Hi</Say><Redirect>/next</Redirect></Response>"
            } else {
                "<Response><Hangup/></Response>"
            };
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nSet-Cookie: seen=1; Path=/\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    (address, told)
}

#[test]
fn a_server_is_really_asked() {
    let (address, told) = serve(5);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let script = format!(
        "call: {{to: '1'}}
application: {{url: '{}', start: /v, status_callback: /status}}
expect: {{verbs: [Say, Redirect, Hangup], requests: [POST /v, POST /next], duration: 0.12s}}
",
        address.trim_end_matches("/v")
    );
    fs::write(&file, script).unwrap();
    let said = outcome(&order(&[&file]));
    assert!(said.text.ends_with("1 passed, 0 failed\n"), "{}", said.text);
    let requests: Vec<String> = told.iter().collect();
    assert_eq!(
        requests,
        [
            "POST /status HTTP/1.1 CallStatus=ringing false",
            "POST /v HTTP/1.1 CallStatus=ringing true",
            "POST /status HTTP/1.1 CallStatus=in-progress true",
            "POST /next HTTP/1.1 CallStatus=in-progress true",
            "POST /status HTTP/1.1 CallStatus=completed true",
        ]
    );
}

#[test]
fn with_a_token_every_request_is_signed() {
    let (address, told) = serve(5);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let script = format!(
        "call: {{to: '1'}}\napplication: {{url: '{}', start: /v, status_callback: /status}}\n\
         expect: {{verbs: [Say, Redirect, Hangup]}}\n",
        address.trim_end_matches("/v")
    );
    fs::write(&file, script).unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef\n").unwrap();
    let said = outcome(&Order {
        token: Some(Token::from_file(token.to_str().unwrap()).unwrap()),
        ..order(&[&file])
    });
    assert!(said.text.ends_with("1 passed, 0 failed\n"), "{}", said.text);
    let requests: Vec<String> = told.iter().collect();
    assert_eq!(requests.len(), 5);
    for request in requests {
        assert!(request.ends_with(" signed"), "{request}");
    }
}

#[test]
fn an_application_that_is_not_there_fails_the_call_and_not_the_program() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let script = format!(
        "call: {{to: '1'}}
application: {{url: 'http://{address}/v'}}
caller: [{{expect: {{refused: 500}}}}]
expect: {{legs: {{caller: {{status: failed, reason: document-fetch}}}}}}
"
    );
    fs::write(&file, script).unwrap();
    let said = outcome(&order(&[&file]));
    assert!(said.text.contains("1 passed, 0 failed"), "{}", said.text);
}

/// The blocks of one kind in the guide for newcomers.
fn blocks(kind: &str) -> Vec<String> {
    let document = include_str!("../../../../docs/testing-your-app.md");
    let open = format!("```{kind}\n");
    let parts = document.split(&open).skip(1);
    parts
        .filter_map(|part| Some(part.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn the_document_for_newcomers_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let yaml = blocks("yaml");
    write("hello.xml", &blocks("xml")[0]);
    write("test.yaml", &yaml[0]);
    let said = outcome(&order(&[folder.path()]));
    let lines: Vec<&str> = said.text.lines().collect();
    assert!(
        lines[0].ends_with("test.yaml: a caller is greeted (0.36s of call time)"),
        "{}",
        said.text
    );
    write("hello.xml", "<Response><Say>Hi.</Say></Response>");
    let said = outcome(&order(&[folder.path()]));
    let failure = "test.yaml:6: expected say `Hello.`, but there was ring at 0s, answer at 0s, \
                   say `Hi.` at 0s, hangup at 0.18s";
    assert!(said.text.contains(failure), "{}", said.text);
    // A complete script whose calls meet in a conference.
    let meeting = tempfile::tempdir().unwrap();
    fs::write(meeting.path().join("meet.test.yaml"), &yaml[2]).unwrap();
    let said = outcome(&order(&[meeting.path()]));
    assert!(said.text.contains("two meet (9"), "{}", said.text);
    // The other blocks are fragments of scripts.
    let head = "call: {to: '1'}\nexpect: {verbs: []}\n";
    let pages = format!("{head}{}", yaml[4]);
    let parties = format!("{head}application: {{files: ., start: /}}\n{}", yaml[5]);
    let calls = format!(
        "application: {{files: ., start: /}}\nexpect: {{verbs: []}}\n{}",
        yaml[1]
    );
    let conversation = yaml[3].clone();
    for script in [pages, parties, calls, conversation] {
        assert!(
            Script::parse(&script).is_ok(),
            "{:?}\n{script}",
            Script::parse(&script)
        );
    }
}
