//! A script made from a call can be read, and passes.

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::journal::Line;
use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::recorded::{self, Keys, NoScript};
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
            headers: Vec::new(),
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
    made_with(run, &run.journals[0], Keys::Hidden)
}

fn made_with(run: &Run, journal: &[Line], keys: Keys) -> String {
    let children: Vec<_> = run.legs[1..].iter().map(|leg| leg.record.clone()).collect();
    let made = recorded::script(&run.legs[0].record, &children, &run.trace, journal, keys);
    made.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn conversations_end_again_as_they_did() {
    let agents = "agents:\n  ws://h/ends: [{text: Hello}, {wait: 2s}, end]\n  ws://h/closes: [{wait: 1s}, close]\n  ws://h/breaks: [{wait: 1500ms}, break]\n  ws://h/gone: unreachable\n";
    let script = format!("{HEAD}{agents}caller: [{{expect: answer}}]\n");
    let relay = |name| format!("<Connect><ConversationRelay url='ws://h/{name}?a=1'/></Connect>");
    let document = ["ends", "closes", "breaks", "gone"].map(relay).concat();
    let pages = [("/v", document.as_str())];
    let first = run(&script, &pages);
    assert_eq!(first.failures, []);
    let made = made_of(&first);
    let expected = "agents:\n  \"ws://h/breaks\": [{wait: 1.5s}, break]\n  \"ws://h/closes\": [{wait: 1s}, close]\n  \"ws://h/ends\": [{wait: 2s}, end]\n  \"ws://h/gone\": unreachable\n";
    assert!(made.contains(expected), "{made}");
}

const HEAD: &str = "call: {to: '1000', from: kim}\napplication: {url: 'http://127.0.0.1:8000/v'}\n";

#[test]
fn streams_end_again_as_they_did() {
    let agents = "agents:\n  ws://h/closes: [{send: 1s}, {wait: 2s}, close]\n  ws://h/breaks: [{wait: 1500ms}, break]\n  ws://h/stays: []\n  ws://h/gone: unreachable\n";
    let script = format!("{HEAD}{agents}caller: [{{expect: answer}}, {{wait: 9s}}, hangup]\n");
    let stream = |verb, name| format!("<{verb}><Stream url='ws://h/{name}?a=1'/></{verb}>");
    let document = [
        stream("Start", "stays"),
        stream("Connect", "closes"),
        stream("Connect", "breaks"),
        stream("Connect", "gone"),
        "<Pause length='20'/>".to_owned(),
    ];
    let document = document.concat();
    let pages = [("/v", document.as_str())];
    let first = run(&script, &pages);
    assert_eq!(first.failures, []);
    let made = made_of(&first);
    let expected = "agents:\n  \"ws://h/breaks\": [{wait: 1.5s}, break]\n  \"ws://h/closes\": [{wait: 2s}, close]\n  \"ws://h/gone\": unreachable\n  \"ws://h/stays\": []\n";
    assert!(made.contains(expected), "{made}");
    assert!(
        made.contains("# The audio and the messages of streams"),
        "{made}"
    );
    let again = run(&made, &pages);
    assert_eq!(again.failures, [], "{made}");
}

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
    let made = |trace: &[_]| recorded::script(root, &[], trace, &first.journals[0], Keys::Hidden);
    assert_eq!(made(&[]), Err(NoScript::NoTrace));
    let quiet: Vec<_> = first
        .trace
        .iter()
        .filter(|entry| entry.lane != call_proto::Lane::Http)
        .cloned()
        .collect();
    assert_eq!(made(&quiet), Err(NoScript::NoApplication));
}

/// Documents that gather a PIN and more, and dial; what the parties do; the key presses in the
/// resulting script.
const WITH_KEYS: &[(&str, &str, &[&str])] = &[
    // In the middle of a prompt, and the finishing key.
    (
        "<Gather action='/pin'><Say>Your number, please</Say></Gather><Say>Nothing</Say>",
        "caller: [{expect: {say: ~number, at: start}}, {wait: 300ms}, {press: '4711#'}, {expect: {say: Thanks}}, {expect: hangup}]",
        &["press: \"4711#\""],
    ),
    // After the prompt, slowly, in two parts, and hangs up.
    (
        "<Gather action='/pin' timeout='9'><Say>Number</Say></Gather>",
        "caller: [{expect: {say: Number}}, {wait: 1s}, {press: '12'}, {wait: 4s}, {press: '34'}, {wait: 2s}, hangup]",
        &["press: \"12\"", "press: \"34\""],
    ),
    // By INFO; the last key ends the input.
    (
        "<Gather action='/pin' numDigits='3'/>",
        "caller: [{expect: answer}, {wait: 700ms}, {press: {keys: '9*9', by: info}}, {expect: {say: Thanks}}, {expect: hangup}]",
        &["press: {keys: \"9*9\", by: info}"],
    ),
    // As tones; the caller stays silent.
    (
        "<Gather action='/pin' timeout='2'/>",
        "caller: [{expect: answer}, {press: {keys: '5', by: tone}}, silence]",
        &["press: {keys: \"5\", by: tone}"],
    ),
    // Two people talk; both press keys.
    (
        "<Dial hangupOnStar='true' action='/after'><Client>ann</Client></Dial>",
        "parties: {ann: {answers_after: 2s, then: [{wait: 1s}, {press: {keys: '12', by: info}}]}}
caller: [{expect: answer}, {wait: 7s}, {press: '1*'}, {expect: {say: Over}}, {expect: hangup}]",
        &["press: \"1*\"", "press: {keys: \"12\", by: info}"],
    ),
    (
        "<Dial action='/after'><Client>ann</Client></Dial>",
        "parties: {ann: {answers_after: 2s, then: [{wait: 1s}, {press: '6'}, {wait: 3s}, hangup]}}
caller: [{expect: hangup}]",
        &["press: \"6\""],
    ),
];

const KEY_PAGES: [(&str, &str); 2] = [("/pin", "<Say>Thanks</Say>"), ("/after", "<Say>Over</Say>")];

#[test]
fn keys_are_pressed_again_on_request() {
    for (document, rest, pressed) in WITH_KEYS {
        let pages = [("/v", *document), KEY_PAGES[0], KEY_PAGES[1]];
        let first = run(&format!("{HEAD}{rest}\n"), &pages);
        assert_eq!(first.failures, [], "{rest}");
        let script = made_with(&first, &first.journals[0], Keys::Shown);
        for press in *pressed {
            assert!(script.contains(press), "{script}");
        }
        let again = run(&script, &pages);
        assert_eq!(again.failures, [], "{script}");
        assert_eq!(again.length, first.length, "{script}");
        assert_eq!(digits(&again), digits(&first), "{script}");
    }
}

#[test]
fn zeros_stand_in_for_keys_and_can_be_filled_in() {
    for (document, rest, pressed) in WITH_KEYS {
        let pages = [("/v", *document), KEY_PAGES[0], KEY_PAGES[1]];
        let first = run(&format!("{HEAD}{rest}\n"), &pages);
        let mut script = made_of(&first);
        assert!(script.contains("# Zeros stand in for keys"), "{script}");
        for press in *pressed {
            let hidden: String = press
                .chars()
                .map(|key| match key {
                    '0'..='9' | '*' | '#' => '0',
                    other => other,
                })
                .collect();
            assert!(!script.contains(press), "{script}");
            assert!(script.contains(&hidden), "{hidden}\n{script}");
            script = script.replacen(&hidden, press, 1);
        }
        let again = run(&script, &pages);
        assert_eq!(again.failures, [], "{script}");
        assert_eq!(digits(&again), digits(&first), "{script}");
    }
}

/// The parameters about keys that the application received.
fn digits(run: &Run) -> Vec<&str> {
    let params = run.requests.iter().flat_map(|asked| &asked.params);
    let digits = params.filter(|(name, _)| name == "Digits");
    digits.map(|(_, keys)| keys.as_str()).collect()
}

#[test]
fn a_script_with_keys_is_written_for_people() {
    let (document, rest, _) = WITH_KEYS[0];
    let first = run(
        &format!("{HEAD}{rest}\n"),
        &[("/v", document), KEY_PAGES[0]],
    );
    let script = made_of(&first);
    let steps = script.find("caller:\n").expect("the caller has steps");
    let end = script.find("expect:\n").expect("something is expected");
    assert_eq!(
        script[steps..end],
        *"caller:
  - expect: answer
  - expect: {say: \"Your number, please\", at: start}
  - wait: 0.3s
  - press: \"00000\"  # fill in the real 5 keys
  - expect: {say: \"Thanks\"}
  - expect: hangup
"
    );
}

/// A key that a phone sends twice is pressed once; an unrecorded one is reported.
#[test]
fn only_counted_keys_are_pressed_and_missing_ones_are_reported() {
    let rest = "caller: [{expect: answer}, {wait: 1s}, {press: '1'}, {press: {keys: '1', by: info}}, \
                {wait: 6s}, hangup]";
    let pages = [("/v", "<Gather action='/pin' timeout='9'/>")];
    let first = run(&format!("{HEAD}{rest}\n"), &pages);
    let script = made_with(&first, &first.journals[0], Keys::Shown);
    assert_eq!(script.matches("press:").count(), 1, "{script}");
    let unhurried = rest.replace(
        "{press: {keys: '1', by: info}}",
        "{wait: 800ms}, {press: '23'}",
    );
    let slow = run(&format!("{HEAD}{unhurried}\n"), &pages);
    let script = made_with(&slow, &slow.journals[0], Keys::Shown);
    assert!(script.contains("press: \"123\""), "{script}");
    let none = made_with(&first, &[], Keys::Shown);
    assert!(
        none.contains("# The journal of the call is missing"),
        "{none}"
    );
    assert!(!none.contains("press:"), "{none}");
    let cut = [&first.journals[0][..], &[Line::Cut]].concat();
    let cut = made_with(&first, &cut, Keys::Shown);
    assert!(
        cut.contains("# The journal of the call is incomplete"),
        "{cut}"
    );
}

#[test]
fn a_phone_answers_a_refer_again_as_it_did() {
    let document = "<Refer action='/after'><Sip>sip:ann@pbx.example</Sip></Refer>";
    let pages = [("/v", document), ("/after", "<Pause length='9'/>")];
    let phone = "expect: {verbs: [Refer, Pause]}\ncaller: [{wait: 2s}, {answer_refer: 202}, {notify: 100}, {wait: 3s}, {notify: 200}, {wait: 1s}, hangup]\n";
    let first = run(&format!("{HEAD}{phone}"), &pages);
    assert_eq!(first.failures, []);
    let made = made_of(&first);
    let steps = "  - answer_refer: 202\n  - notify: 100\n  - wait: 3s\n  - notify: 200\n";
    assert!(made.contains(steps), "{made}");
    let again = run(&made, &pages);
    assert_eq!(again.failures, [], "{made}");
}

#[test]
fn a_call_that_the_api_ended_ends_again_without_what_the_api_said() {
    let api = "api: [{at: 2s, say: caller, text: One moment}, {at: 9s, complete: caller}]\n";
    let script = format!("{HEAD}sounds: {{One moment: 2s}}\n{api}caller: [{{expect: answer}}]\n");
    let pages = [("/v", "<Say>Hello</Say><Pause length='30'/>")];
    let first = run(&script, &pages);
    assert_eq!(first.failures, []);
    let made = made_of(&first);
    let ends = "api:\n  - {at: 9s, complete: \"caller\"}\n";
    assert!(
        made.contains(ends) && !made.contains("One moment"),
        "{made}"
    );
    let again = run(&made, &pages);
    assert_eq!(again.failures, [], "{made}");
    assert!(made.contains("is not part of this script"), "{made}");
}
