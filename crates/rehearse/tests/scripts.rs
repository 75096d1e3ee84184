//! Scripts from text to outcome, through the public interface.

use std::time::Duration;

use call_proto::{FetchFailure, Fetched};
use model::CallSid;
use rehearse::{Application, Asked, Run, Script};

/// Answers nothing that no page answers.
#[derive(Default)]
struct Nobody {
    told: Vec<Asked>,
}

impl Application for Nobody {
    fn document(&mut self, asked: &Asked) -> Result<Fetched, FetchFailure> {
        let there = asked.url.ends_with("/file.xml");
        Ok(Fetched {
            status: if there { 200 } else { 404 },
            content_type: there.then(|| "text/xml".to_owned()),
            body: if there {
                "<Response><Say>from a file</Say></Response>".to_owned()
            } else {
                String::new()
            },
            url: asked.url.clone(),
            headers: Vec::new(),
        })
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        if url.contains("missing") {
            return Err(format!("{url} answered with status 404"));
        }
        Ok(url.contains("two").then(|| Duration::from_secs(2)))
    }

    fn callback(&mut self, told: &Asked) {
        self.told.push(told.clone());
    }
}

fn rehearse(text: &str) -> Run {
    let script = Script::parse(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    rehearse::run(&script, &mut Nobody::default())
}

/// The failures, one per line.
fn failures(run: &Run) -> String {
    let lines = run
        .failures
        .iter()
        .map(|failure| format!("{}: {}", failure.line, failure.text));
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn passes(text: &str) -> Run {
    let run = rehearse(text);
    assert_eq!(failures(&run), "", "{:#?}", run.trace);
    run
}

/// A script with one page and these further lines.
fn with_page(page: &str, rest: &str) -> String {
    format!(
        "call: {{to: '1000', from: kim}}\n\
         application: {{start: /v, pages: {{/v: \"<Response>{page}</Response>\"}}}}\n{rest}"
    )
}

#[test]
fn a_prompt_that_a_key_cuts_off_has_no_end_of_its_own() {
    let run = passes(
        "call: {to: '1000', from: kim}
application:
  start: /v
  pages:
    /v: <Response><Gather numDigits='1' action='/w'><Say>Press a key, whichever you like</Say></Gather></Response>
    /w: <Response><Say>Bye</Say></Response>
caller: [{expect: answer}, {wait: 1s}, {press: '1'}, {expect: hangup}]
",
    );
    let media = run
        .trace
        .iter()
        .filter(|entry| matches!(entry.what.as_str(), "play" | "stop play" | "played"));
    let shown: Vec<&str> = media.map(|entry| entry.what.as_str()).collect();
    assert_eq!(shown, ["play", "stop play", "play", "played"]);
}

#[test]
fn a_caller_hears_and_hangs_up() {
    let run = passes(&with_page(
        "<Say>Hello there</Say><Pause length='2'/><Play>/two.wav</Play>",
        "caller:
  - expect: ring
  - expect: answer
  - expect: {say: Hello there}
  - expect: {pause: 2s}
  - expect: {play: ~two.wav$, at: start}
  - wait: 500ms
  - hangup
expect:
  verbs: [Say, Pause, Play]
  requests: [POST /v: {From: kim, To: '1000', CallStatus: ringing, CallSid: '~^CA', Digits: null}]
  legs: {caller: {status: completed, reason: hung-up, duration: 3s, ring: null, sip_status: null}}
  notifications: []
  callbacks: []
  dial_call_status: []
  duration: 3.16s
",
    ));
    assert!(run.passed());
}

#[test]
fn every_dialled_party_does_what_the_script_says() {
    // What the party does, and the outcome of the dial.
    let table = [
        (
            "{answers_after: 2s, hangs_up_after: 5s}",
            "completed",
            "5s",
            "200",
        ),
        (
            "{answers_after: 2s, rings_after: 1s, then: [{wait: 5s}, hangup]}",
            "completed",
            "5s",
            "200",
        ),
        ("busy", "busy", "0s", "486"),
        ("{rejects: 603, after: 1s}", "busy", "0s", "603"),
        (
            "{rejects: 500, rings_after: 1s, after: 2s}",
            "failed",
            "0s",
            "500",
        ),
        ("no_answer", "no-answer", "0s", "null"),
        (
            "[busy, {answers_after: 1s, hangs_up_after: 3s}]",
            "completed",
            "0s",
            "486",
        ),
    ];
    for (party, status, duration, _) in table {
        let run = rehearse(&with_page(
            "<Dial action='/after' timeout='10'><Client>ann</Client></Dial>",
            &format!(
                "parties: {{ann: {party}}}
expect:
  dial_call_status: [{status}]
  legs: {{ann: {{duration: {duration}}}}}
  requests: [POST /v, POST /after: {{DialCallStatus: {status}}}]
"
            ),
        ));
        assert_eq!(failures(&run), "", "{party}");
    }
    let run = passes(&with_page(
        "<Dial action='/after'><Client>ann</Client></Dial>",
        "parties: {ann: unreachable}\nexpect: {dial_call_status: [failed], notifications: [...]}\n",
    ));
    assert_eq!(run.legs.len(), 1);
}

#[test]
fn targets_are_found_by_address_or_user_part() {
    let table = [
        ("<Number>+15550100</Number>", "'+15550100'"),
        ("<Sip>sip:bob@far.example</Sip>", "bob"),
        ("<Sip>sip:bob@far.example</Sip>", "'sip:bob@far.example'"),
        ("<Client>bob</Client>", "bob"),
    ];
    for (noun, party) in table {
        let run = rehearse(&with_page(
            &format!("<Dial>{noun}</Dial>"),
            &format!(
                "parties: {{{party}: {{hangs_up_after: 1s}}}}
expect: {{legs: {{caller: completed}}, duration: 2s}}
"
            ),
        ));
        assert_eq!(failures(&run), "", "{noun} {party}");
    }
}

#[test]
fn pages_answer_in_order_and_the_last_one_stays() {
    let run = passes(
        "call: {to: '1', direction: inbound, dialect: twilio, name: Kim, headers: {X-Tag: '7', Diversion: '<sip:bob@far.example>'}}
application:
  start: /v
  method: GET
  fallback: /sorry
  status_callback: /status
  pages:
    /v:
      - {fails: true}
    /sorry: {status: 200, content_type: text/plain, body: sorry, after: 2s}
expect:
  requests: [GET /v, GET /sorry: {ErrorCode: ~., SipHeader_X-Tag: '7', CallerName: Kim, ForwardedFrom: bob}]
  callbacks: [POST /status: {CallStatus: completed}]
  notifications: [~.]
  duration: 2.3s
",
    );
    assert_eq!(run.callbacks.len(), 1);
    passes(
        "call: {to: '1'}
application:
  start: /v
  pages:
    /v: ['<Response><Say>one</Say><Redirect>/v</Redirect></Response>', {file: /file.xml}]
expect: {verbs: [Say, Redirect, Say], requests: [/v, /v]}
caller: [{expect: {say: from a file}}, {expect: hangup}]
",
    );
}

#[test]
fn a_page_can_stand_for_another_page() {
    passes(
        "call: {to: '1'}
application:
  start: /v
  pages:
    /v: {file: /between, after: 1s}
    /between: {file: /there, after: 1s}
    /there: ['<Response><Say>one</Say><Redirect>/v</Redirect></Response>', '<Response><Play>/music</Play></Response>']
    /music: {file: /two.wav}
expect: {verbs: [Say, Redirect, Play], requests: [/v, 2.18s /v], duration: 6.18s}
",
    );
    // In a loop only the application is left to answer; it knows one of these.
    passes(
        "call: {to: '1'}
application: {start: /file.xml, pages: {/file.xml: [{file: /b}], /b: {file: /file.xml}}}
caller: [{expect: {say: from a file}}]
",
    );
    passes(
        "call: {to: '1'}
application: {start: /a, pages: {/a: {file: /a}}}
caller: [{expect: {refused: 404}}]
",
    );
}

#[test]
fn sounds_take_the_time_the_script_says() {
    passes(&with_page(
        "<Say>abcde</Say><Say>ab</Say><Play loop='2'>/a.wav</Play><Play>/b.wav</Play>",
        "sounds: {~a.wav: 3s, ab: 4s}\nsay_ms_per_character: 100\nexpect: {duration: 11.5s}\n",
    ));
    passes(&with_page(
        "<Play digits='1wW'/>",
        "expect: {duration: 1.2s}\n",
    ));
    passes(&with_page(
        "<Play>/missing.wav</Play>",
        "expect: {notifications: [~.], legs: {caller: {reason: audio-failed}}}\n",
    ));
}

#[test]
fn the_party_that_the_api_calls_does_the_steps() {
    passes(
        "call: {to: ann, from: '+1999', direction: api, timeout: 20s}
application: {start: /v, pages: {/v: '<Response><Say>Hi</Say></Response>'}, status_callback: /leg}
caller: [{expect: {say: Hi}}, {expect: hangup}]
parties: {ann: {answers_after: 3s}}
expect:
  legs: {ann: {status: completed, ring: 3s}}
  callbacks: [/leg: {CallStatus: initiated}, ..., /leg: {CallbackEvent: completed}]
",
    );
    for (to, name) in [("sip:ann@far.example", "ann"), ("+15550100", "+15550100")] {
        passes(&format!(
            "call: {{to: '{to}', direction: api}}
application: {{start: /v, pages: {{/v: '<Response><Say>Hi</Say></Response>'}}}}
parties: {{'{name}': {{answers_after: 3s, then: [{{expect: {{say: Hi, at: start}}}}, hangup]}}}}
expect: {{legs: {{'{name}': {{status: completed, reason: hung-up, ring: 3s}}}}}}
"
        ));
    }
    // A party that is not described answers after a second.
    passes(
        "call: {to: ann, direction: api}
application: {start: /v, pages: {/v: <Response><Hangup/></Response>}}
expect: {legs: {ann: {ring: 1s}}}
",
    );
    let run = rehearse(
        "call: {to: ann, direction: api, timeout: 5s}
application: {start: /v, pages: {/v: '<Response/>'}}
parties: {ann: no_answer}
caller: [{expect: {say: Hi}}]
expect: {legs: {ann: no-answer}, duration: 5s}
",
    );
    assert_eq!(failures(&run), "4: `ann` never answered a call");
}

#[test]
fn steps_not_reached_fail_although_others_share_their_line() {
    // One-line parties with the steps of the caller.
    let table = [
        (
            "ann: {then: [{wait: 1s}, hangup]}, bob: {then: [{expect: hangup}]}",
            "1: `bob` never answered a call",
        ),
        (
            "ann: [{answers_after: 2s, then: [hangup]}, {answers_after: 9s, then: [{expect: hangup}]}]",
            "1: `ann` never answered a call",
        ),
        ("ann: {hangs_up_after: 1s}", ""),
    ];
    for (parties, expected) in table {
        let text = format!(
            "{{call: {{to: '1'}}, application: {{start: /v, pages: {{/v: \
             '<Response><Dial><Client>ann</Client></Dial></Response>'}}}}, \
             caller: [{{expect: answer}}, {{wait: 5s}}], parties: {{{parties}}}}}"
        );
        assert_eq!(failures(&rehearse(&text)), expected, "{parties}");
    }
}

#[test]
fn keys_become_events_of_the_call() {
    let run = passes(&with_page(
        "<Pause length='1'/><Say>Press</Say><Pause length='5'/>",
        "caller: [{expect: {say: Press, at: start}}, {press: '12#'}, {silence: 1s}, silence]
expect: {verbs: [...]}
",
    ));
    let keys: Vec<u128> = run
        .trace
        .iter()
        .filter(|entry| entry.what == "key")
        .map(|entry| entry.at.since(run.started).as_millis())
        .collect();
    assert_eq!(keys, [1_000, 1_250, 1_500]);
}

#[test]
fn failures_say_what_was_seen_instead() {
    let two_says = "<Say>Hello</Say><Say>Bye</Say>";
    let dial = "<Dial action='/after'><Client>ann</Client></Dial>";
    let table = [
        (
            two_says,
            "caller: [{expect: {say: Goodbye}}]",
            "3: expected say `Goodbye`, but there was ring at 0s, answer at 0s, say `Hello` at 0s, \
             say `Bye` at 0.3s, hangup at 0.48s",
        ),
        (
            two_says,
            "caller: [{expect: {say: Hell}}]",
            "3: expected say `Hell`, but there was ring at 0s, answer at 0s, say `Hello` at 0s, \
             say `Bye` at 0.3s, hangup at 0.48s; the whole text must match; write `~Hell` for a \
             part of it",
        ),
        (
            two_says,
            "caller: [{expect: {play: Hell}}]",
            "3: expected play `Hell`, but there was ring at 0s, answer at 0s, say `Hello` at 0s, \
             say `Bye` at 0.3s, hangup at 0.48s",
        ),
        (
            two_says,
            "caller: [{expect: {say: Bye}}, {expect: {say: Hello}}]",
            "3: expected say `Hello`, but there was hangup at 0.48s",
        ),
        (
            two_says,
            "caller: [{expect: {say: Hello, at: start}}, {wait: 100ms}, hangup]\nexpect: {verbs: [Say, Say]}",
            "4: expected verb `Say`, but there was none after Say",
        ),
        (
            two_says,
            "caller: [{expect: {say: Bye}}, {expect: hangup}, {press: '1'}]",
            "3: the call was over already at 0.48s",
        ),
        (
            two_says,
            "caller: [{expect: {say: Bye, within: 479ms}}]",
            "3: expected say `Bye` within 0.479s, but there was ring at 0s, answer at 0s, \
             say `Hello` at 0s, say `Bye` at 0.3s",
        ),
        (
            two_says,
            "caller: [{expect: {say: Hello, within: 300ms}}, {expect: {hangup: , within: 180ms}}]",
            "",
        ),
        (
            "<Reject reason='busy'/>",
            "caller: [{expect: {refused: 603}}]",
            "3: expected a refusal with 603, but there was ring at 0s, refused 486 at 0s",
        ),
        (
            two_says,
            "expect: {verbs: [Say, Dial]}",
            "3: expected verb `Dial`, but it was Say",
        ),
        (
            two_says,
            "expect: {verbs: [Say]}",
            "3: expected no verb after Say, but there was Say",
        ),
        (
            two_says,
            "expect: {verbs: [..., Dial, ...]}",
            "3: expected verb `Dial`, but there was Say, Say",
        ),
        (
            two_says,
            "expect: {duration: 1s..2s}",
            "3: expected a duration of 1s..2s, but it was 0.48s",
        ),
        (
            two_says,
            "expect: {requests: [GET /v]}",
            "3: expected request GET `/v`, but it was POST /v",
        ),
        (
            two_says,
            "expect: {callbacks: [/status]}",
            "3: expected callback `/status`, but there was none",
        ),
        (
            two_says,
            "expect: {notifications: ['12345']}",
            "3: expected notification `12345`, but there was none",
        ),
        (
            two_says,
            "expect: {legs: {ann: completed}}",
            "3: expected a leg `ann`, but there was caller",
        ),
        (
            two_says,
            "expect: {legs: {caller: {status: busy, sip_status: '486'}}}",
            "3: expected status `busy` of leg `caller`, but it was `completed`\n\
             3: expected sip_status `486` of leg `caller`, but it was nothing",
        ),
        (
            dial,
            "parties: {ann: busy}\nexpect:\n  requests:\n    - /v\n    - /after: {DialCallStatus: completed}",
            "7: expected request POST /after with DialCallStatus `completed`, but it was `busy`",
        ),
        (
            dial,
            "parties: {ann: busy}\nexpect:\n  requests:\n    - ...\n    - /after: {DialCallStatus: completed}",
            "7: expected request POST /after with DialCallStatus `completed`, but it was `busy`",
        ),
        (
            dial,
            "parties: {ann: busy}\nexpect: {requests: [..., /other: {DialCallStatus: busy}]}",
            "4: expected request `/other`, but there was POST /v, POST /after",
        ),
        (
            dial,
            "parties: {ann: busy}\nexpect: {requests: [/v, /after: {DialCallStatus: null}]}",
            "4: expected request POST /after with no DialCallStatus, but it was `busy`",
        ),
        (
            dial,
            "parties: {ann: busy}\nexpect: {dial_call_status: [~o, busy]}",
            "4: expected DialCallStatus `~o`, but it was busy",
        ),
        (
            two_says,
            "expect: {requests: [1s POST /v]}",
            "3: expected request 1s POST `/v`, but it was 0s POST /v",
        ),
        (
            two_says,
            "expect: {requests: [/v: {CallSid: {sid: ann}, To: '1000'}]}",
            "3: expected request POST /v with CallSid the SID of `ann`, but there is no such leg",
        ),
        (
            two_says,
            "expect: {requests: [/v: {To: {sid: caller}}]}",
            "3: expected request POST /v with To `~^CA[0-9a-f]{32}$`, but it was `1000`",
        ),
        (
            two_says,
            "expect: {requests: [/v: {RecordingUrl: {recording: 1}}]}",
            "3: expected request POST /v with RecordingUrl the address of recording 1, but there is none",
        ),
        (
            two_says,
            "expect: {requests: [/v: [CallSid, From]]}",
            "3: expected request POST /v: expected parameter `From`, but it was `InstanceId`",
        ),
        (
            two_says,
            "expect: {requests: [/v: [..., From: ann, ...]]}",
            "3: expected request POST /v: expected parameter From `ann`, but it was `kim`",
        ),
        (
            two_says,
            "expect: {requests: [/v: [..., Digits, ...]]}",
            "3: expected request POST /v: expected parameter `Digits`, but there was CallSid, InstanceId, \
             AccountSid, From, To, CallStatus, ApiVersion, Direction, CallerName, ForwardedFrom, CallTimestamp",
        ),
        (
            two_says,
            "expect: {all_legs: [caller, ann]}",
            "3: expected leg `ann`, but there was none after caller",
        ),
        (
            two_says,
            "expect: {recordings: [caller 3s]}",
            "3: expected recording `caller 3s`, but there was none",
        ),
        (
            two_says,
            "expect: {sent: {caller: [180, 200, 1s BYE]}}",
            "3: expected message 1s `BYE` of leg `caller`, but it was 0.48s BYE",
        ),
        (
            two_says,
            "expect: {sent: {caller: [..., BYE, ~.]}}",
            "3: expected message of leg `caller` `~.`, but there was none after 0s 180, 0s 200, 0.48s BYE",
        ),
        (
            two_says,
            "expect: {heard: {caller: [0s say Hello, 0.2s say Bye]}}",
            "3: expected line 0.2s `say Bye` of leg `caller`, but it was 0.3s say Bye",
        ),
        (
            two_says,
            "expect: {heard: {ann: []}}",
            "3: expected a leg `ann`, but there was caller",
        ),
        (
            two_says,
            "expect: {legs: {caller: {by: caller, direction: outbound-api, parent: ann}}}",
            "3: expected by `caller` of leg `caller`, but it was `application`\n\
             3: expected direction `outbound-api` of leg `caller`, but it was `inbound`\n\
             3: expected parent `ann` of leg `caller`, but it was nothing",
        ),
        (
            two_says,
            "expect: {own_headers: {caller: {X-RestComm-CallSid: ~^AC, X-RestComm-None: '1'}}}",
            "3: expected header of leg `caller`: X-RestComm-CallSid `~^AC`, but it was `~^CA[0-9a-f]{32}$`\n\
             3: expected header of leg `caller`: X-RestComm-None `1`, but it was not there",
        ),
        (
            "<Dial><Client>ann?X-A=1</Client></Dial>",
            "parties: {ann: busy}\nexpect: {invites: {ann: {from: joe, login: me, headers: {X-B: '1'}}}}",
            "4: expected from `joe` of leg `ann`, but it was `kim`\n\
             4: expected login `me` of leg `ann`, but it was nothing\n\
             4: expected header of leg `ann`: X-B `1`, but it was not there\n\
             4: expected no other header of leg `ann`, but there was X-A",
        ),
        (
            two_says,
            "expect: {invites: {caller: {headers: {}}}}",
            "3: expected an INVITE to leg `caller`, but there was none",
        ),
        (
            two_says,
            "api: [{at: 100ms, cancel: ann}]\nexpect: {verbs: [...]}",
            "3: there is no leg `ann` at 0.1s (there is caller)",
        ),
        (
            dial,
            "parties: {ann: {answers_after: 1s}}\nlimit: 1m\nexpect: {verbs: [Dial]}",
            "1: the call was not over after 60s: no party hangs up",
        ),
        (
            two_says,
            "parties: {ann: {then: [{expect: {say: Hi}}]}}",
            "3: `ann` never answered a call",
        ),
        (
            "<Say>Hello</Say><Redirect>/v</Redirect>",
            "caller: [{expect: {say: Hello}}, {expect: {say: Bye}}]\nlimit: 1s",
            "1: the call was not over after 1s: no party hangs up\n\
             3: expected say `Bye`, but there was say `Hello` at 0.3s, say `Hello` at 0.6s, \
             say `Hello` at 0.9s, cut off at 1s, hangup at 1s",
        ),
    ];
    for (page, rest, expected) in table {
        let run = rehearse(&with_page(page, rest));
        let sid = run.legs[0].record.sid.to_string();
        let found = failures(&run).replace(&sid, "~^CA[0-9a-f]{32}$");
        assert_eq!(found, expected, "{rest}");
    }
}

#[test]
fn a_party_with_steps_must_be_called() {
    let table = [
        (
            "{answers_after: 1s, then: [hangup]}",
            "3: `ann` was never called",
        ),
        (
            "{then: [{wait: 1s}, {press: '1'}]}",
            "3: `ann` was never called",
        ),
        ("{hangs_up_after: 2s}", "3: `ann` was never called"),
        (
            "{then: [{expect: hangup}]}",
            "3: `ann` never answered a call",
        ),
        ("answers", ""),
        ("busy", ""),
    ];
    for (party, expected) in table {
        let rest = format!("parties: {{ann: {party}}}\nexpect: {{verbs: [Say]}}\n");
        let run = rehearse(&with_page("<Say>Hi</Say>", &rest));
        assert_eq!(failures(&run), expected, "{party}");
    }
    let cancelled = with_page(
        "<Dial timeout='2'><Client>ann</Client></Dial>",
        "parties: {ann: {answers_after: 9s, hangs_up_after: 1s}}\nexpect: {verbs: [Dial]}\n",
    );
    assert_eq!(failures(&rehearse(&cancelled)), "", "she was called");
}

#[test]
fn a_request_that_should_lack_a_parameter_says_so() {
    let run = rehearse(&with_page(
        "<Gather action='/a' input='speech' actionOnEmptyResult='true' timeout='1'/>",
        "expect: {requests: [/v: {CallSid: null}, ...]}\n",
    ));
    let said = failures(&run);
    assert!(said.contains("with no CallSid, but it was `CA"), "{said}");
}

#[test]
fn callbacks_reach_the_application() {
    let script = "call: {to: '1', from: kim}\n\
                  application: {start: /v, status_callback: /status, pages: {/v: '<Response><Say>Hi</Say></Response>'}}\n\
                  expect: {verbs: [Say]}\n";
    let script = Script::parse(script).unwrap();
    let mut nobody = Nobody::default();
    let run = rehearse::run(&script, &mut nobody);
    assert_eq!(nobody.told, run.callbacks);
    assert!(!run.callbacks.is_empty());
}

#[test]
fn what_is_said_is_understood_word_by_word() {
    let page = "<Gather input='speech' action='/said' partialResultCallback='/so-far' %><Say>Who?</Say>\
                </Gather>";
    let script = |attributes: &str, rest: &str| {
        let page = page.replace('%', attributes);
        with_page(&page, rest).replace("}}\n", ", /said: <Response/>, /so-far: <Response/>}}\n")
    };
    // The first word cuts off the prompt, and five seconds of silence end the input.
    passes(&script(
        "",
        "caller:
  - expect: {say: Who?, at: start}
  - speak: Ann
  - speak: from Berlin
  - expect: hangup
expect:
  requests:
    - POST /v
    - POST /so-far: {UnstableSpeechResult: Ann}
    - POST /so-far: {UnstableSpeechResult: Ann from}
    - POST /so-far: {UnstableSpeechResult: Ann from Berlin}
    - POST /said: {Digits: '', SpeechResult: Ann from Berlin, Confidence: '0.9'}
  duration: 5.84s
",
    ));
    // The recognizer finds the end, half a second after the last word.
    passes(&script(
        "speechTimeout='auto'",
        "caller:
  - expect: {say: Who?}
  - wait: 1s
  - speak: Ann
expect:
  requests: [POST /v, POST /so-far, 'POST /said']
  duration: 1.92s
",
    ));
    let failure = |attributes: &str, rest: &str| failures(&rehearse(&script(attributes, rest)));
    // If no one speaks, it is as without input.
    assert_eq!(
        failure("", "expect: {requests: [POST /v], duration: 5.24s}"),
        ""
    );
    // Keys only.
    assert_eq!(
        failures(&rehearse(&with_page(
            "<Gather><Say>Who?</Say></Gather>",
            "caller:\n  - expect: {say: Who?}\n  - speak: Ann Lee\n  - expect: {say: never}\n"
        ))),
        "5: speech went unheard at 0.42s: no <Record>, <ConversationRelay>, <Transcription> or <Gather> with `speech` in its `input` was waiting"
    );
    let late = "caller:\n  - expect: hangup\n  - speak: Ann\n";
    assert_eq!(failure("", late), "5: the call was over already at 5.24s");
}

#[test]
fn a_step_for_the_other_kind_of_connection_is_reported_at_once() {
    let failures = |verb: &str, steps: &str| {
        let page = format!("<Connect><{verb} url='ws://h/a'/></Connect>");
        let rest = format!("agents: {{ws://h/a: [{{wait: 1s}}, {steps}]}}\n");
        let rest = format!("{rest}expect: {{verbs: [Connect]}}\n");
        failures(&rehearse(&with_page(&page, &rest)))
    };
    let table = [
        ("ConversationRelay", "{send: 1s}", "Stream"),
        ("ConversationRelay", "{expect: start}", "Stream"),
        ("Stream", "{text: Hello}", "ConversationRelay"),
        ("Stream", "{expect: {prompt: Hello}}", "ConversationRelay"),
    ];
    for (verb, step, other) in table {
        let expected =
            format!("3: this step is for a <{other}>, but the document connected a <{verb}>");
        assert_eq!(failures(verb, step), expected, "{step}");
    }
    let table = [
        (
            "Stream",
            "{send: 1s}, {mark: a}, {expect: {mark: a}}, close",
        ),
        ("ConversationRelay", "{text: Hello}, {wait: 1s}, end"),
    ];
    for (verb, steps) in table {
        assert_eq!(failures(verb, steps), "", "{steps}");
    }
}
