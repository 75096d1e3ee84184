//! Callbacks of a dialled leg.

use model::HttpMethod;

use crate::world::{Phone, Root, Run, World, callback_to, empty, phone, texts, xml};
use call_proto::{Dialect, LegCallback, Target};

const S: &str = "http://app/s";

/// A noun with a status callback and perhaps more attributes.
fn noun(name: &str, target: &str, more: &str) -> String {
    format!("<{name} statusCallback=\"/s\" {more}>{target}</{name}>")
}

fn client(more: &str) -> String {
    format!("<Dial>{}</Dial>", noun("Client", "ann", more))
}

/// Sequence numbers and words of all callbacks.
fn told(run: &Run) -> String {
    let numbers = run.told(S, "SequenceNumber");
    let words = run.told(S, "CallStatus");
    let pairs = numbers.iter().zip(&words);
    let lines: Vec<String> = pairs
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    lines.join(", ")
}

const ALL: &str = "0 initiated, 1 ringing, 2 answered, 3 completed";

fn talks() -> Phone {
    phone().rings(1.0).answers(2.0).talks(3.0)
}

fn ann(more: &str, phone: Phone) -> Run {
    World::document(&client(more)).phone("ann", phone).run()
}

#[test]
fn case_150_completed_leg() {
    let run = ann("", talks());
    assert_eq!(told(&run), ALL);
    assert!(
        run.callbacks
            .iter()
            .all(|callback| callback.method == HttpMethod::Post)
    );
    let at: Vec<i64> = run
        .callbacks
        .iter()
        .map(|callback| callback.created.as_millis() - run.record("K").created.as_millis())
        .collect();
    assert_eq!(at, [0, 1_000, 2_000, 5_000]);
}

#[test]
fn case_152_by_get() {
    let run = ann("statusCallbackMethod=\"get\"", talks());
    assert_eq!(told(&run), ALL);
    assert!(
        run.callbacks
            .iter()
            .all(|callback| callback.method == HttpMethod::Get)
    );
}

#[test]
fn case_154_two_events_with_blanks() {
    let run = ann("statusCallbackEvent=\"initiated,  answered\"", talks());
    assert_eq!(told(&run), "0 initiated, 2 answered");
}

#[test]
fn case_155_two_events() {
    let run = ann("statusCallbackEvent=\"ringing,completed\"", talks());
    assert_eq!(told(&run), "1 ringing, 3 completed");
}

#[test]
fn case_156_events_by_blank() {
    let run = ann("statusCallbackEvent=\"ringing completed\"", talks());
    assert_eq!(told(&run), "1 ringing, 3 completed");
}

#[test]
fn case_157_sip_noun() {
    let document = format!("<Dial>{}</Dial>", noun("Sip", "sip:zed@h", ""));
    let run = World::document(&document).phone("zed", talks()).run();
    assert_eq!(told(&run), ALL);
}

#[test]
fn case_158_number_noun() {
    let document = format!("<Dial>{}</Dial>", noun("Number", "+2000", ""));
    let run = World::document(&document).phone("+2000", talks()).run();
    assert_eq!(told(&run), ALL);
}

/// Three nouns with callbacks.
fn three(dial: &str) -> String {
    let nouns = [
        noun("Client", "ann", ""),
        noun("Sip", "sip:zed@h", ""),
        noun("Number", "+2000", ""),
    ];
    format!("<Dial {dial}>{}</Dial>", nouns.concat())
}

fn count(run: &Run, word: &str) -> usize {
    let words = run.told(S, "CallStatus");
    words.iter().filter(|told| **told == word).count()
}

#[test]
fn case_159_three_targets() {
    for dial in ["", "timeout=\"60\""] {
        let run = World::document(&three(dial))
            .phone("ann", phone().rings(0.0))
            .phone("zed", talks())
            .phone("+2000", phone().rings(0.0))
            .run();
        let counts =
            ["initiated", "ringing", "answered", "completed"].map(|word| count(&run, word));
        assert_eq!(counts, [3, 3, 1, 3]);
    }
}

#[test]
fn case_160_three_targets_then_fay() {
    for caller_ends in [true, false] {
        let fay = format!("<Dial>{}</Dial>", noun("Client", "fay", ""));
        let world = World::document(&three("timeout=\"3\" action=\"/a\""))
            .app("/a", xml(&fay))
            .phone("ann", phone().rings(0.0))
            .phone("zed", phone().rings(0.0))
            .phone("+2000", phone().rings(0.0));
        let run = if caller_ends {
            let fay = phone().rings(0.0).answers(1.0);
            world.phone("fay", fay).hangs_up(9.0).run()
        } else {
            world.phone("fay", talks()).run()
        };
        let counts =
            ["initiated", "ringing", "answered", "completed"].map(|word| count(&run, word));
        assert_eq!(
            (counts, run.told(S, "CallStatus").len()),
            ([4, 4, 1, 4], 13)
        );
        assert_eq!(run.requests("/a").len(), 1);
    }
}

#[test]
fn case_161_what_each_carries() {
    let run = ann("", talks());
    let (caller, callee) = (run.record("K"), run.record("ann"));
    for callback in &run.callbacks {
        let get = |name: &str| texts(&callback.params, name);
        assert_eq!(get("CallSid"), callee.sid.to_string());
        assert_eq!(get("ParentCallSid"), caller.sid.to_string());
        assert_eq!(get("AccountSid"), caller.account.to_string());
        assert_eq!((get("From"), get("To")), ("kim", "ann"));
        assert_eq!(
            (get("CallerName"), get("Direction")),
            ("kim", "outbound-dial")
        );
        assert_eq!(get("Timestamp"), callback.created.rfc2822());
        assert_eq!(get("CallbackSource"), "call-progress-events");
        assert_eq!(get("CallbackEvent"), get("CallStatus"));
        let has = callback
            .params
            .iter()
            .any(|(name, _)| name == "CallDuration");
        assert_eq!(has, get("CallStatus") == "completed");
        assert_eq!(callback.call, callee.sid);
    }
    assert_eq!(texts(&run.callbacks[3].params, "CallDuration"), "3");
    assert_eq!(texts(&run.callbacks[3].params, "CallResult"), "completed");
    let order: Vec<i64> = run
        .callbacks
        .iter()
        .map(|callback| callback.sequence)
        .collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

/// The API calls zed with a callback; this document runs when zed answers.
fn api_call(content: &str) -> World {
    let mut world = World::api(Target::Sip("sip:zed@h".to_owned()), content);
    if let Root::Api(call) = &mut world.root {
        let target = call_proto::CallbackTarget {
            method: HttpMethod::Get,
            ..callback_to("http://app/rest")
        };
        call.callback = Some(LegCallback {
            target,
            events: None,
        });
    }
    world
        .phone("zed", phone().rings(0.0).answers(1.0))
        .phone("+2000", talks())
}

#[test]
fn case_162_call_of_the_api() {
    let run = api_call("<Dial><Number>+2000</Number></Dial>").run();
    let words = run.told("http://app/rest", "CallStatus");
    assert_eq!(words, ["initiated", "ringing", "answered", "completed"]);
    assert!(
        run.callbacks
            .iter()
            .all(|callback| callback.method == HttpMethod::Get)
    );
    assert_eq!(run.to("zed"), "0 INVITE, 1 ACK, 6 BYE");
}

#[test]
fn case_163_both_callbacks() {
    let document = format!("<Dial>{}</Dial>", noun("Number", "+2000", ""));
    let run = api_call(&document).run();
    let words = run.told("http://app/rest", "CallStatus");
    assert_eq!(words, ["initiated", "ringing", "answered", "completed"]);
    assert_eq!(told(&run), ALL);
}

#[test]
fn case_164_recorded_dial_of_the_api() {
    let document = format!(
        "<Dial record=\"true\">{}</Dial>",
        noun("Number", "+2000", "")
    );
    let run = api_call(&document).run();
    assert_eq!(told(&run), ALL);
    assert_eq!(
        (run.recordings.len(), run.recordings[0].duration_ms),
        (1, 3_000)
    );
}

/// The other dialect: only the last event, with the real status and a running number.
#[test]
fn twilio_dialect() {
    let world = World::document(&client("")).dialect(Dialect::TWILIO);
    let run = world
        .clone()
        .phone("ann", phone().rings(1.0).rejects(2.0, 486))
        .run();
    assert_eq!(told(&run), "0 busy");
    let all = client("statusCallbackEvent=\"initiated ringing answered completed\"");
    let run = World::document(&all)
        .dialect(Dialect::TWILIO)
        .phone("ann", talks())
        .run();
    assert_eq!(
        told(&run),
        "0 initiated, 1 ringing, 2 in-progress, 3 completed"
    );
    let number = "http://app/number";
    let run = world
        .number_callback(number)
        .app("/a", empty())
        .phone("ann", talks())
        .run();
    assert_eq!(run.told(number, "CallStatus"), ["completed"]);
}

/// An address that cannot be used is told, and the leg is called all the same.
#[test]
fn bad_address() {
    let document = "<Dial><Client statusCallback=\"ftp://x/s\">ann</Client></Dial>";
    let run = World::document(document).phone("ann", talks()).run();
    assert_eq!(run.to("ann"), "0 INVITE, 2 ACK");
    assert_eq!(run.callbacks.len(), 0);
    assert!(run.codes().contains(&11100), "{:?}", run.codes());
}
