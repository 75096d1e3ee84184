//! Invalid scripts are refused with the line of the fault.

use rehearse::Script;

#[test]
fn scripts_that_cannot_be_right_are_refused_with_their_line() {
    let head = "call: {to: '1'}\napplication: {start: /v, pages: {/v: x}}\n";
    let table = [
        (
            "caler: []",
            "line 3: a script does not accept `caler`; did you mean `caller`?",
        ),
        (
            "parties: {ann: bussy}",
            "line 3: a party does not accept `bussy`; did you mean `busy`?",
        ),
        (
            "parties: {ann: {rejects: 200}}",
            "line 3: `rejects`: 200 is not a SIP status that refuses a call (300 to 699)",
        ),
        (
            "parties: {ann: {rejects: 486, then: []}}",
            "line 3: `then` has no meaning beside `rejects`",
        ),
        (
            "parties: {ann: {after: 1s}}",
            "line 3: `after` has no meaning beside `answers_after`",
        ),
        (
            "parties: {ann: {hangs_up_after: 1s, then: []}}",
            "line 3: `then` has no meaning beside `hangs_up_after`",
        ),
        (
            "agents: {ws://a: unreachabel}",
            "line 3: an agent does not accept `unreachabel`; did you mean `unreachable`?",
        ),
        (
            "agents: {http://a/: []}",
            "line 3: `agents`: `http://a/` is neither a ws or wss address without a query nor `siprec:` with the name of a connector",
        ),
        (
            "agents: {'ws://a/?b=c': []}",
            "line 3: `agents`: `ws://a/?b=c` is neither a ws or wss address without a query nor `siprec:` with the name of a connector",
        ),
        (
            "agents: {ws://a/: [dance]}",
            "line 3: a step does not accept `dance`; known: `expect`, `send`, `mark`, `clear`, `text`, `play`, `keys`, `language`, `end`, `strange`, `wait`, `close`, `break`",
        ),
        ("agents: {ws://a/: [send]}", "line 3: `send` needs a value"),
        (
            "agents: {ws://a/: [{close: 1}]}",
            "line 3: `close` takes no value",
        ),
        (
            "agents: {ws://a/: [{expect: begin}]}",
            "line 3: `expect` does not accept `begin`; known: `start`, `setup`, `stop`, `{key: ...}`, `{mark: ...}`, `{prompt: ...}`, `{partial: ...}`, `{interrupt: ...}`, `{info: ...}`, `{error: ...}`",
        ),
        (
            "agents: {ws://a/: [{expect: {key: 12}}]}",
            "line 3: `key`: `12` is not a key; use one of 0-9, *, # and A-D",
        ),
        (
            "agents: {ws://a/: [{expect: {stop: 1}}]}",
            "line 3: `stop` takes no value",
        ),
        (
            "agents: {ws://a/: [close, {wait: 1s}, {send: 1s}]}",
            "line 3: nothing happens after the end of the stream",
        ),
        (
            "agents: {ws://a/: {send: 1s}}",
            "line 3: `agents` must be a list, such as `agents: [...]`, not keys",
        ),
        (
            "parties: [ann]",
            "line 3: `parties` must be `key: value` pairs, not a list",
        ),
        (
            "caller:\n  - dance",
            "line 4: a step does not accept `dance`; known: `expect`, `press`, `speak`, `refer`, `answer_refer`, `notify`, `wait`, `silence`, `hangup`, `vanish`",
        ),
        ("caller: [press]", "line 3: `press` needs a value"),
        (
            "caller: [{press: '1x'}]",
            "line 3: `press`: there is no key `x`; use 0-9, *, # and A-D",
        ),
        ("caller: [{speak: ' '}]", "line 3: `speak` needs words"),
        (
            "caller: [{wait: soon}]",
            "line 3: `wait`: `soon` is not a duration; write `3s`, `250ms` or `2m`",
        ),
        (
            "caller: [hangup, {wait: 1s}]",
            "line 3: nothing happens after the end of the call",
        ),
        ("caller: [{hangup: now}]", "line 3: `hangup` takes no value"),
        (
            "caller: [{wait: 1s, press: '1'}]",
            "line 3: `press` and `wait` cannot be used together",
        ),
        (
            "caller: [[]]",
            "line 3: a step must be a word or one key, not a list",
        ),
        (
            "caller: [{expect: {saay: x}}]",
            "line 3: `expect` does not accept `saay`; did you mean `say`?",
        ),
        (
            "caller: [{expect: {say: Press 1 for sales, 2 for our opening hours.}}]",
            "line 3: `expect` does not accept `2 for our opening hours.`; if it belongs to the text before it, put that text in quotes: without them, the comma ends it",
        ),
        (
            "caller: [{expect: {say: Say yes, no, or goodbye., at: start}}]",
            "\nline 3: `expect` does not accept `or goodbye.`; if it belongs to the text before it",
        ),
        (
            "caller: [{expect: ~Patchcord}]",
            "line 3: `expect` does not accept `~Patchcord`; known: `ring`, `beep`, `answer`, `hangup`, `pause`, `{say: ...}`, `{play: ...}`, `{refused: ...}`",
        ),
        (
            "caller: [{expect: rings}]",
            "line 3: `expect` does not accept `rings`; did you mean `ring`?",
        ),
        (
            "caller: [{expect: {say: x, withn: }}]",
            "line 3: `expect` does not accept `withn`; did you mean `within`?",
        ),
        (
            "caller: [{expect: {say: x, tomorrow: 3}}]",
            "line 3: `expect` does not accept `tomorrow`; known: `say`",
        ),
        (
            "caller: [{expect: {say: What: now}}]",
            "line 3: this is not YAML: a `: ` is not allowed here; put text that contains it in quotes",
        ),
        (
            "caller: [{expect: {ring: now}}]",
            "line 3: `ring` takes no value",
        ),
        (
            "caller: [{expect: {pause: 1s, at: end}}]",
            "line 3: `at` belongs to `say` and `play`",
        ),
        (
            "caller: [{expect: {say: x, at: once}}]",
            "line 3: `at` does not accept `once`; known: `start`, `end`",
        ),
        (
            "caller: [{expect: {}}]",
            "line 3: `expect` needs one of `say`, `play`, `pause`, `ring`, `beep`, `answer`, `refused`, `refer`, `referred`, `notify`, `hangup`",
        ),
        (
            "parties: {ann: {answers_after: never, then: []}}",
            "line 3: `then` has no meaning beside `answers_after: never`",
        ),
        (
            "parties: {ann: {rings_with: 200}}",
            "line 3: `rings_with`: 200 is not a provisional SIP status (101 to 199)",
        ),
        (
            "parties: {ann: {rejects: 486, rings_with: 183}}",
            "line 3: `rings_with` has no meaning without `rings_after`: it does not ring",
        ),
        (
            "caller: [{press: {by: info}}]",
            "line 3: `press` needs `keys`",
        ),
        (
            "caller: [{press: {keys: '1', by: shouting}}]",
            "line 3: `by` does not accept `shouting`; known: `event`, `tone`, `info`",
        ),
        (
            "caller: [{vanish: quickly}]",
            "line 3: `vanish` does not accept `quickly`; known: `sound`, `connection`",
        ),
        (
            "caller: [vanish, hangup]",
            "line 3: nothing happens after the end of the call",
        ),
        (
            "api: [{complete: caller}]",
            "line 3: a step of the `api` needs `at`: the time",
        ),
        (
            "api: [{at: 1s, cancel: caller, complete: caller}]",
            "line 3: `complete` and `cancel` cannot be used together",
        ),
        (
            "api: [{at: 1s, cancel: caller, to: /v}]",
            "line 3: `to` belongs to `redirect`, `hold`, `announce` and `play`",
        ),
        (
            "api: [{at: 1s, hold: caller, both: true}]",
            "line 3: `both` belongs to `redirect`",
        ),
        (
            "api: [{at: 1s, pause: caller, channels: dual}]",
            "line 3: `channels` belongs to `record`",
        ),
        (
            "api: [{at: 1s, record: caller, of: conference}]",
            "line 3: `of` belongs to `pause`, `resume` and `stop`",
        ),
        (
            "api: [{at: 1s, record: caller, channels: dual, track: inbound}]",
            "line 3: one `track` has one channel; it cannot be combined with `dual`",
        ),
        (
            "api: [{at: 1s, record: caller, events: later}]",
            "line 3: there is no event `later`",
        ),
        (
            "api: [{at: 1s, announce: caller}]",
            "line 3: `announce` needs `to`: the path of a sound",
        ),
        (
            "api: [{at: 3s, cancel: caller}]\nlimit: 2s",
            "line 3: `at` is later than `limit`: the call is over by then",
        ),
        (
            "api: [{at: 1s, redirect: caller}]",
            "line 3: `redirect` needs either `to`, the path of the document, or `document`, its text",
        ),
        (
            "expect: {requests: [/v: {CallSid: {leg: caller}}]}",
            "line 3: a value does not accept `leg`; known: `sid`, `recording`",
        ),
        (
            "expect: {requests: [/v: [{a: b, c: d}]]}",
            "line 3: `requests` must be one parameter, not keys",
        ),
        (
            "expect: {invites: {ann: {to: x}}}",
            "line 3: an invite does not accept `to`; known: `uri`, `from`, `name`, `login`, `password`, `headers`",
        ),
        (
            "expect: {sent: {ann: [3s ~(]}}",
            "line 3: `sent`: `~(` is not a regular expression",
        ),
        (
            "expect: {say: x}",
            "line 3: `expect` does not accept `say`; known: `verbs`, `requests`, `callbacks`, `dial_call_status`, `notifications`, `recordings`, `messages`, `emails`, `conferences`, `all_legs`, `legs`, `invites`, `own_headers`, `sent`, `heard`, `duration`",
        ),
        (
            "expect: {verbs: Say}",
            "line 3: `verbs` must be a list, such as `verbs: [...]`, not a string",
        ),
        (
            "expect: {duration: 4s..2s}",
            "line 3: `duration`: `4s..2s` is not a duration; write `3s` or `2s..4s`",
        ),
        (
            "expect: {requests: [{a: {}, b: {}}]}",
            "line 3: `requests` must be one address with its parameters, not keys",
        ),
        (
            "expect: {legs: {ann: {state: busy}}}",
            "line 3: a leg does not accept `state`; did you mean `status`?",
        ),
        (
            "expect: {}",
            "line 1: nothing is expected: this script cannot fail; add `expect`",
        ),
        (
            "expect: {requests: ['POST /p: {CallStatus: ringing}']}",
            "line 3: `requests`: remove the quotes, so that the parameters are keys: `- POST /p: {CallStatus: ringing}`",
        ),
        (
            "expect: {callbacks: ['/p: [CallSid]']}",
            "line 3: `callbacks`: remove the quotes",
        ),
        (
            "expect: {messages: ['to: kim']}",
            "line 3: a message must be `key: value` pairs, not a string; remove the quotes",
        ),
        (
            "caller: ['wait: 3s']",
            "line 3: a step does not accept `wait: 3s`; remove the quotes",
        ),
        (
            "caller: hangup",
            "line 3: `caller` must be a list, such as `caller: [hangup]`, not a string",
        ),
        (
            "parties: {ann: {then: hangup}}",
            "line 3: `then` must be a list, such as `then: [hangup]`, not a string",
        ),
        (
            "agents: {ws://a/: [{text: {token: a, last: maybe}}]}",
            "line 3: `last` does not accept `maybe`; known: `true`, `false`",
        ),
        (
            "agents: {ws://a/: [{play: {source: /a, interruptible: words}}]}",
            "line 3: `interruptible` does not accept `words`; known: `none`, `dtmf`, `speech`, `any`",
        ),
        (
            "seed: x\nexpect: {verbs: []}",
            "line 3: `seed`: `x` is not a whole number in the allowed range",
        ),
        (
            "sounds: {~(: 3s}\nexpect: {verbs: []}",
            "line 3: `sounds`: `~(` is not a regular expression",
        ),
    ];
    for (rest, expected) in table {
        refused(&format!("{head}{rest}\n"), expected);
    }
}

#[test]
fn calls_and_applications_that_cannot_be_right_are_refused() {
    let call = "call: {to: '1'}";
    let app = "application: {start: /v, pages: {/v: x}}";
    let rest = "expect: {verbs: []}";
    let table = [
        (String::new(), app.to_owned(), "the script needs `call`"),
        (
            call.to_owned(),
            String::new(),
            "the script needs `application`",
        ),
        (
            "call: {from: a}".to_owned(),
            app.to_owned(),
            "line 1: `call` needs `to`",
        ),
        (
            "call: {to: a, direction: up}".to_owned(),
            app.to_owned(),
            "`direction` does not accept `up`; known: `inbound`, `api`",
        ),
        (
            "call: {to: a, dialect: twillio}".to_owned(),
            app.to_owned(),
            "did you mean `twilio`?",
        ),
        (
            "call: {to: a, timeout: 3s}".to_owned(),
            app.to_owned(),
            "`timeout` is how long a call made by the API may ring",
        ),
        (
            call.to_owned(),
            "application: {}".to_owned(),
            "`application` needs `url`, `files` or `pages`",
        ),
        (
            call.to_owned(),
            "application: {file: ., start: /hello}".to_owned(),
            "line 2: `application` does not accept `file`; did you mean `files`?\n\
             line 2: `application` needs `url`, `files` or `pages`",
        ),
        (
            call.to_owned(),
            "application: {files: ., strat: /hello}".to_owned(),
            "`application` does not accept `strat`; did you mean `start`?",
        ),
        (
            call.to_owned(),
            "application: {files: .}".to_owned(),
            "`application` needs `start`",
        ),
        (
            call.to_owned(),
            "application: {files: ., url: x}".to_owned(),
            "`url` and `files` cannot be used together",
        ),
        (
            call.to_owned(),
            "application: {url: 'ftp://a/'}".to_owned(),
            "`ftp://a/` is not an http address",
        ),
        (
            call.to_owned(),
            "application: {start: /v, pages: {/v: []}}".to_owned(),
            "a page needs at least one response",
        ),
        (
            call.to_owned(),
            "application: {start: /v, pages: {/v: <Say>Hi, there, you</Say>}}".to_owned(),
            "line 2: `pages` does not accept `there`; if it belongs to the text before it, put that text in quotes: \
             without them, the comma ends it\nline 2: `pages` does not accept `you</Say>`",
        ),
        (
            call.to_owned(),
            "application: {start: /v, pages: {/v: {file: a, fails: true}}}".to_owned(),
            "`file` and `fails` cannot be used together",
        ),
        (
            call.to_owned(),
            "application: {start: /v, pages: {/v: {fails: true, status: 3}}}".to_owned(),
            "`file` and `fails` define the whole response",
        ),
        (
            call.to_owned(),
            "application: {start: /v, pages: {/v: {fails: true, moved_to: /w}}}".to_owned(),
            "`file` and `fails` define the whole response",
        ),
        (
            call.to_owned(),
            "application: {start: /v, files: ., status_callback_method: GET}".to_owned(),
            "`status_callback_method` has no meaning without `status_callback`",
        ),
        (
            call.to_owned(),
            "application: {start: /v, method: PUT, files: .}".to_owned(),
            "`method` does not accept `PUT`; known: `GET`, `POST`",
        ),
    ];
    for (call, app, expected) in table {
        refused(&format!("{call}\n{app}\n{rest}\n"), expected);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "\
caler: []
parties:
  ann: bussy
  bob: {rejects: 20, mesage: 200}
application: {start: /v, pages: {/v: x, /w: {staus: 3}}}
call: {too: '1'}
caller: [dance, {press: x}]
limit: soon
expect:
  verbs: Say
  requests: [/v, 'POST /p: {a: b}', {/q: {a: {leg: x}}}]
  legs: {ann: {staus: busy}, bob: {by: [x]}}
  messages: [{bdy: x}]
  heard: {ann: [~(]}
  duration: long
";
    let problem = Script::parse(text).unwrap_err();
    let lines: Vec<usize> = problem.all().iter().map(|problem| problem.line).collect();
    assert_eq!(
        lines,
        [1, 3, 4, 4, 5, 6, 7, 7, 8, 10, 11, 11, 12, 12, 13, 14, 15],
        "{problem}"
    );
    assert_eq!(problem.to_string().lines().count(), lines.len());
}

/// Also those inside one party, call, leg or application.
#[test]
fn nested_mistakes_are_reported_together() {
    let text = "\
parties:
  ann: {answers_after: soon, then: [dance],
        rings_with: 99, mesage: 200}
application: {start: /v, method: PUT, kind: x,
              pages: {/v: {staus: 3}}}
calls:
  a: {to: '1', at: soon,
      steps: [dance]}
expect:
  legs: {ann: {staus: busy,
               reason: [x]}}
";
    let problem = Script::parse(text).unwrap_err();
    let mut lines: Vec<usize> = problem.all().iter().map(|problem| problem.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 2, 2, 3, 4, 4, 5, 7, 8, 10, 11], "{problem}");
}

/// Also those beside a missing, misspelt or superfluous `call`.
#[test]
fn a_missing_call_hides_no_other_mistake() {
    let rest = "\napplication: {start: /v, pages: {/v: x}}\nexpect: {verbs: []}\n";
    let table: [(&str, &[usize]); 4] = [
        ("caller: [dance]", &[1, 1]),
        ("cal: {to: '1'}\ncaller: [dance]", &[1, 1, 2]),
        ("call: {to: '1'}\ncalls: {a: {too: '1'}}", &[2, 2, 2]),
        ("caller: []\ncalls: {a: {to: '1', at: soon}}", &[1, 2]),
    ];
    for (head, expected) in table {
        let problem = Script::parse(&format!("{head}{rest}")).unwrap_err();
        let mut lines: Vec<usize> = problem.all().iter().map(|problem| problem.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{problem}");
    }
}

#[test]
fn a_text_that_is_not_a_script_is_refused_in_a_users_words() {
    for text in ["hello", "[a, b]", "- call: {to: x}"] {
        refused(
            text,
            "line 1: this is not a test script: it consists of `key: value` lines",
        );
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    match Script::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problem) => {
            let problem = problem.to_string();
            assert!(problem.contains(expected), "{text}\n{problem}\n{expected}");
        }
    }
}
