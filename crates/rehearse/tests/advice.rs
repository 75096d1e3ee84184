//! What the author of a script is advised to do.

use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Lookup, Run, Script};

/// A folder without the requested document.
struct Folder;

impl Application for Folder {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        Ok(Fetched {
            status: 404,
            content_type: None,
            body: String::new(),
            url: asked.url.clone(),
            headers: Vec::new(),
        })
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        panic!("{url} is not in the script");
    }

    fn lookup(&self, url: &str) -> Option<Lookup> {
        Some(Lookup {
            folder: "app".to_owned(),
            names: vec![url.replace("http://app/", ""), "x.xml".to_owned()],
            paths: vec!["/menu".to_owned(), "/deep/".to_owned()],
        })
    }

    fn callback(&mut self, _: &Asked) {}
}

fn rehearse(application: &str) -> Run {
    let text = format!("call: {{to: '1'}}\napplication: {application}\nexpect: {{verbs: []}}\n");
    let script = Script::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    rehearse::run(&script, &mut Folder)
}

#[test]
fn a_notification_names_what_to_change_in_the_script() {
    let by_get = "the request was a POST: write `method: GET` in `application` if the web server \
                  expects a GET";
    let of_pages = "{pages: {/hello: <Response/>, /old: {status: 404}}, start: ";
    let of_files = "{files: app, pages: {/hello: <Response/>}, start: ";
    let table = [
        (
            "{pages: {/v: {status: 501}}, start: /v}".to_owned(),
            vec![format!("http://app/v answered with status 501; {by_get}")],
        ),
        (
            "{pages: {/v: {status: 500}, /f: {status: 405}}, start: /v, fallback: /f}".to_owned(),
            vec![
                "http://app/v answered with status 500".to_owned(),
                format!("http://app/f answered with status 405; {by_get}"),
            ],
        ),
        (
            format!("{of_pages}/helo?a=1}}"),
            vec![
                "http://app/helo?a=1 answered with status 404; `pages` has no `/helo` (did you \
                 mean `/hello`?)"
                    .to_owned(),
            ],
        ),
        (
            format!("{of_pages}/old}}"),
            vec!["http://app/old answered with status 404".to_owned()],
        ),
        (
            format!("{of_files}/helo}}"),
            vec![
                "http://app/helo answered with status 404; there is no `helo`, `x.xml` in `app` \
                 (did you mean `/hello`?)"
                    .to_owned(),
            ],
        ),
        (
            format!("{of_files}/dep/}}"),
            vec![
                "http://app/dep/ answered with status 404; there is no `dep/`, `x.xml` in `app` \
                 (did you mean `/deep/`?)"
                    .to_owned(),
            ],
        ),
        (
            format!("{of_files}/else}}"),
            vec![
                "http://app/else answered with status 404; there is no `else`, `x.xml` in `app`"
                    .to_owned(),
            ],
        ),
    ];
    for (application, expected) in table {
        let run = rehearse(&application);
        let told: Vec<&str> = run.notifications.iter().map(|told| &*told.text).collect();
        assert_eq!(told, expected, "{application}");
        for text in told {
            let traced = run.trace.iter().any(|entry| entry.detail == text);
            assert!(traced, "{application}: {:#?}", run.trace);
        }
    }
}
