//! Scripts with several calls: one clock, one application, one outcome.

use std::time::Duration;

use call_proto::journal::{self, Verdict};
use call_proto::{FetchFailure, Fetched};
use model::{CallSid, error};
use rehearse::{Application, Asked, Run, Script};

/// Answers nothing: everything is in the scripts.
struct Nobody;

impl Application for Nobody {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        panic!("{} is not a page of the script", asked.url);
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        panic!("{url} is not in the script");
    }

    fn callback(&mut self, _: &Asked) {}
}

fn rehearse(text: &str) -> Run {
    let script = Script::parse(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    let run = rehearse::run(&script, &mut Nobody);
    for journal in &run.journals {
        match journal::replay(journal).expect("it is a journal") {
            Verdict::Identical { complete, .. } => assert!(complete),
            Verdict::Differs(difference) => panic!("{difference:#?}"),
        }
    }
    run
}

fn failures(run: &Run) -> Vec<&str> {
    let failures = run.failures.iter();
    failures.map(|failure| failure.text.as_str()).collect()
}

#[test]
fn calls_of_one_test_share_its_clock_and_its_application() {
    let run = rehearse(
        "calls:
  kim: {to: '1000', steps: [{expect: answer}, {wait: 3s}, hangup]}
  lee: {to: '1000', at: 2s, start: /other, steps: [{expect: {say: Late}}, {expect: hangup}]}
  ann: {to: zoe, direction: api, at: 1s, steps: [{expect: {say: Hello}}, hangup]}
application: {start: /v, pages: {/v: <Response><Say>Hello</Say><Pause length='9'/></Response>,
  /other: <Response><Say>Late</Say></Response>}}
expect:
  requests: [0s POST /v: {From: kim, CallSid: {sid: kim}}, 2s POST /other: {From: lee}, 2s POST /v: {To: zoe}]
  all_legs: [kim, zoe, lee]
  legs: {kim: {status: completed, by: caller}, lee: {reason: document-end}, zoe: {by: callee}}
  sent: {kim: [0s 180, 0s 200], zoe: [1s INVITE, 2s ACK], lee: [2s 180, 2s 200, 2.24s BYE]}
  duration: 3s
",
    );
    assert_eq!(failures(&run), [""; 0], "{:#?}", run.trace);
    assert_eq!(run.journals.len(), 3);
    assert!(run.left.is_empty(), "{:?}", run.left);
    let sids: Vec<_> = run.legs.iter().map(|leg| leg.record.sid).collect();
    assert!(sids[0] != sids[1] && sids[1] != sids[2] && sids[0] != sids[2]);
}

/// Each family gets the events of its own legs, although the legs have the same targets.
#[test]
fn two_calls_dial_the_same_party() {
    let run = rehearse(
        "calls:
  kim: {to: '1000', steps: [silence]}
  lee: {to: '1000', at: 1s, steps: [silence]}
application: {start: /v, pages: {/v: <Response><Dial><Client>ann</Client></Dial></Response>}}
parties: {ann: {answers_after: 2s, hangs_up_after: 3s}}
expect:
  legs: {ann: {parent: kim, duration: 3s}, ann 2: {parent: lee, duration: 3s}}
  heard: {kim: [0s ring tone, 2s stop, 2s joins ann, 5s leaves ann],
    lee: [1s ring tone, 3s stop, 3s joins ann 2, 6s leaves ann 2]}
",
    );
    assert_eq!(failures(&run), [""; 0], "{:#?}", run.trace);
}

/// One call that stays up fails the test; the others end all the same.
#[test]
fn a_call_that_is_never_over_fails_the_test() {
    let run = rehearse(
        "calls: {kim: {to: '1', steps: [hangup]}, lee: {to: '1'}}
limit: 20s
application: {start: /v, pages: {/v: <Response><Pause length='99'/></Response>}}
expect: {legs: {kim: canceled, lee: {reason: shutdown}}}
",
    );
    let text = "the call was not over after 20s: no party hangs up";
    assert_eq!(failures(&run), [text], "{:#?}", run.trace);
}

#[test]
fn calls_that_cannot_be_right_are_refused() {
    let tail = "application: {start: /v, pages: {/v: x}}\nexpect: {verbs: []}\n";
    let table = [
        (
            "call: {to: '1'}\ncalls: {kim: {to: '1'}}",
            "line 2: `call` and `calls` cannot be used together",
        ),
        (
            "calls: {kim: {to: '1'}}\ncaller: []",
            "line 2: `caller` has no meaning beside `calls`: each call has its own `steps`",
        ),
        ("calls: {}", "line 1: `calls` needs at least one call"),
        (
            "calls: {kim: {from: '1'}}",
            "line 1: `call` needs `to`: the number that is called",
        ),
        (
            "calls: {kim: {to: '1', step: []}}",
            "line 1: `call` does not accept `step`; did you mean `steps`?",
        ),
        (
            "call: {to: '1', at: 1s}",
            "line 1: `call` does not accept `at`; known: ",
        ),
    ];
    for (head, expected) in table {
        let problem = Script::parse(&format!("{head}\n{tail}")).expect_err(head);
        assert!(
            problem.to_string().starts_with(expected),
            "{head}: {problem}"
        );
    }
}

/// As on a server, where a number goes to a trunk and a SIP address to its host.
#[test]
fn a_client_is_not_found_by_a_number_or_host_of_its_name() {
    let table = [
        ("<Client>ann</Client>", None),
        ("<Sip>sip:ann@app.example</Sip>", None),
        (
            "ann",
            Some(
                "`ann` was called as a number, not as the client (did you mean `<Client>ann</Client>`?)",
            ),
        ),
        (
            "<Number>ann</Number>",
            Some(
                "`ann` was called as a number, not as the client (did you mean `<Client>ann</Client>`?)",
            ),
        ),
        (
            "<Sip>sip:ann</Sip>",
            Some(
                "`sip:ann` was called as a host name, not as the client (did you mean `<Client>ann</Client>`?)",
            ),
        ),
        ("eve", Some("`eve` is not among the parties of the script")),
        ("+1555", None),
        ("<Client>12</Client>", None),
        ("<Number>12</Number>", None),
    ];
    for (party, refusal) in table {
        let run = rehearse(&format!(
            "call: {{to: '1000'}}
application: {{start: /v, pages: {{/v: '<Response><Dial>{party}</Dial></Response>'}}}}
parties: {{ann: {{hangs_up_after: 1s}}, '+1555': {{hangs_up_after: 1s}}, '12': {{hangs_up_after: 1s}}}}
expect: {{duration: 0s..9s}}
"
        ));
        let told = run.notifications.iter();
        let told = told.filter(|told| told.code == error::UNREACHABLE_TARGET);
        let told: Vec<&str> = told.map(|told| told.text.as_str()).collect();
        assert_eq!(told, Vec::from_iter(refusal), "{party}");
        assert_eq!(run.legs.len(), 2 - told.len(), "{party}");
    }
}
