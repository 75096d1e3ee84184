//! A script made of a call is read again and passes.

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::recorded::{self, NoScript};
use rehearse::{Application, Asked, Run, Script};

/// A server with pages by address.
struct Pages(BTreeMap<String, String>);

impl Application for Pages {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        let address = asked.url.split('?').next().unwrap_or_default();
        let body = self.0.get(address).cloned().unwrap_or_default();
        Ok(Fetched {
            status: 200,
            content_type: Some("text/xml".to_owned()),
            body: format!("<Response>{body}</Response>"),
            url: asked.url.clone(),
        })
    }

    fn sound(&mut self, _: CallSid, _: &str) -> Result<Option<Duration>, String> {
        Ok(Some(Duration::from_millis(1_234)))
    }

    fn callback(&mut self, _: &Asked) {}
}

fn run(script: &str, pages: &[(&str, &str)]) -> Run {
    let script = Script::parse(script).unwrap_or_else(|problem| panic!("{problem}\n{script}"));
    let pages = pages.iter().map(|(path, body)| {
        let address = format!("http://127.0.0.1:8000{path}");
        (address, (*body).to_owned())
    });
    rehearse::run(&script, &mut Pages(pages.collect()))
}

fn made_of(run: &Run) -> String {
    let children: Vec<_> = run.legs[1..].iter().map(|leg| leg.record.clone()).collect();
    let made = recorded::script(&run.legs[0].record, &children, &run.trace);
    made.unwrap_or_else(|error| panic!("{error}"))
}

const HEAD: &str = "call: {to: '1000', from: kim}\napplication: {url: 'http://127.0.0.1:8000/v'}\n";

#[test]
fn what_was_recorded_passes_again() {
    let long =
        "A text that is longer than what a trace keeps of it: it goes on (and on) for a while.";
    let says = format!("<Say>{long}</Say><Pause length='1'/><Play>/a.wav</Play>");
    let table: &[(&str, &[(&str, &str)])] = &[
        ("caller: [{expect: hangup}]", &[("/v", &says)]),
        (
            "caller: [{expect: {play: ~a.wav, at: start}}, {wait: 200ms}, hangup]",
            &[("/v", &says)],
        ),
        (
            "parties: {ann: {answers_after: 2s, hangs_up_after: 7s}, bob: no_answer}
caller: [{expect: hangup}]",
            &[
                (
                    "/v",
                    "<Dial action='/after?id=AC0123456789abcdef0123456789abcdef'><Client>ann</Client><Client>bob</Client></Dial>",
                ),
                ("/after", "<Say>~Thanks</Say>"),
            ],
        ),
        (
            "parties: {ann: busy, '+15550100': {rejects: 603, after: 1s}}\ncaller: [{expect: hangup}]",
            &[
                (
                    "/v",
                    "<Say>One</Say><Dial action='/after'><Client>ann</Client></Dial>",
                ),
                (
                    "/after",
                    "<Dial><Number>+15550100</Number></Dial><Redirect>/end</Redirect>",
                ),
                ("/end", "<Say>Sorry</Say>"),
            ],
        ),
        (
            "parties: {ann: {answers_after: 1s}}\ncaller: [{expect: answer}, {wait: 4s}, hangup]",
            &[("/v", "<Dial><Client>ann</Client></Dial>")],
        ),
        (
            "caller: [{expect: {refused: 486}}]",
            &[("/v", "<Reject reason='busy'/>")],
        ),
        (
            "caller: [{wait: 2s}, hangup]\nexpect: {legs: {caller: canceled}}",
            &[("/v", "<Pause length='9'/><Say>x</Say>")],
        ),
        (
            "parties: {ann: [busy, {answers_after: 1s, hangs_up_after: 2s}]}\nexpect: {legs: {ann: busy}}",
            &[("/v", "<Dial><Client>ann</Client></Dial>")],
        ),
    ];
    for (rest, pages) in table {
        let first = run(&format!("{HEAD}{rest}\n"), pages);
        assert_eq!(first.failures, [], "{rest}");
        let script = made_of(&first);
        let again = run(&script, pages);
        assert_eq!(again.failures, [], "{script}");
        assert_eq!(again.verbs, first.verbs);
        assert_eq!(again.length, first.length, "{script}");
    }
}

#[test]
fn a_changed_application_fails() {
    let first = run(
        &format!("{HEAD}caller: [{{expect: hangup}}]\n"),
        &[("/v", "<Say>One</Say>")],
    );
    let again = run(&made_of(&first), &[("/v", "<Say>Two</Say>")]);
    assert!(!again.passed());
}

#[test]
fn a_call_of_the_api_becomes_one_again() {
    let script = "call: {to: ann, direction: api}
application: {url: 'http://127.0.0.1:8000/v'}
parties: {ann: {answers_after: 2s}}
caller: [{expect: {say: One}}, {wait: 100ms}, hangup]
";
    let pages = [("/v", "<Say>One</Say><Pause length='5'/>")];
    let first = run(script, &pages);
    assert_eq!(first.failures, []);
    let again = run(&made_of(&first), &pages);
    assert_eq!((again.failures, again.length), (vec![], first.length));
}

#[test]
fn the_script_is_written_for_people() {
    let first = run(
        &format!(
            "{HEAD}parties: {{ann: {{answers_after: 2s, hangs_up_after: 7s}}}}\ncaller: [{{expect: hangup}}]\n"
        ),
        &[("/v", "<Say>One</Say><Dial><Client>ann</Client></Dial>")],
    );
    let sid = first.legs[0].record.sid;
    assert_eq!(
        made_of(&first),
        format!(
            "# Made by `patchcord test --from {sid}`.
# The application must be running.
name: \"kim calls 1000\"
call:
  from: \"kim\"
  to: \"1000\"
application:
  url: \"http://127.0.0.1:8000/v\"
  method: POST
sounds:
  \"One\": 180ms
caller:
  - expect: answer
  - expect: {{say: \"One\"}}
  - expect: hangup
parties:
  \"ann\": {{answers_after: 2s, hangs_up_after: 7s}}
expect:
  verbs: [Say, Dial]
  requests:
    - \"POST /v\"
  legs:
    \"caller\": {{status: completed, reason: \"document-end\"}}
    \"ann\": {{status: completed, reason: \"hung-up\"}}
"
        )
    );
}

#[test]
fn a_call_that_holds_too_little_is_refused() {
    let first = run(
        &format!("{HEAD}caller: [{{expect: hangup}}]\n"),
        &[("/v", "<Say>One</Say>")],
    );
    let root = &first.legs[0].record;
    assert_eq!(recorded::script(root, &[], &[]), Err(NoScript::NoTrace));
    let quiet: Vec<_> = first
        .trace
        .iter()
        .filter(|entry| entry.lane != call_proto::Lane::Http)
        .cloned()
        .collect();
    assert_eq!(
        recorded::script(root, &[], &quiet),
        Err(NoScript::NoApplication)
    );
}
