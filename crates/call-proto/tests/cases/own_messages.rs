//! Text messages outside of calls: whatever happens, each ends once, with a reason, and reports
//! each status in order.

use std::sync::Arc;
use std::time::Duration;

use call_proto::{
    CallbackTarget, Dialect, Fact, MessageCommand, MessageFarewell, NewMessage, RecordingAddress,
    Route, Settings, TextMessage, Unreachable, Via,
};
use model::record::{Callback, Message};
use model::{AccountSid, HttpMethod, InstanceSid, Lane, MessageStatus, Target, Timestamp};

use crate::world::texts;

/// An input to a message, and after how many seconds.
#[derive(Clone)]
enum Input {
    Routes(Result<usize, &'static str>),
    Answer(u16),
    Shutdown,
}

/// The complete outcome for a message.
#[derive(Default)]
struct Run {
    records: Vec<Message>,
    kept: Option<MessageFarewell>,
    callbacks: Vec<Callback>,
    codes: Vec<u16>,
    sent: Vec<String>,
    texts: Vec<String>,
    asked: Vec<Target>,
    /// The kinds of commands, in order.
    order: Vec<&'static str>,
}

impl Run {
    fn take(&mut self, machine: &mut TextMessage) {
        for command in machine.poll_commands() {
            match command {
                MessageCommand::Commit(facts) => {
                    self.order.push("commit");
                    facts.into_iter().for_each(|fact| self.fact(fact));
                }
                MessageCommand::Resolve(target) => {
                    self.order.push("resolve");
                    self.asked.push(target);
                }
                MessageCommand::Send(message) => {
                    self.order.push("send");
                    self.sent.push(message.route.uri.clone());
                    self.texts.push(message.text);
                }
                MessageCommand::Trace(entry) => {
                    assert_eq!(entry.owner, machine.record().lane());
                    for secret in ["s3cret", "1234"] {
                        assert!(!format!("{entry:?}").contains(secret), "{entry:?}");
                    }
                }
            }
        }
    }

    fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::MessageCreated { message, farewell } => {
                self.records.push(*message);
                self.kept = farewell.map(|kept| *kept);
            }
            Fact::MessageEnded { message, tells } => {
                assert!(message.reason.is_some(), "{message:?}");
                assert_eq!(tells.is_some(), self.kept.is_some());
                self.records.push(*message);
            }
            Fact::Callback(callback) => self.callbacks.push(callback),
            Fact::Notified(notification) => {
                assert_eq!(notification.lane, self.records[0].lane());
                assert_eq!(notification.call, None);
                self.codes.push(notification.code);
            }
            other => panic!("{other:?}"),
        }
    }

    fn end(&self) -> (MessageStatus, Option<u16>, &str) {
        let [_, message] = &self.records[..] else {
            panic!("not one end: {:?}", self.records);
        };
        let reason = message.reason.as_deref().unwrap_or_default();
        (message.status, message.error_code, reason)
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        instance: InstanceSid::from_bytes([1; 16]),
        recording_address: RecordingAddress(Arc::new(|_, _, sid| sid.to_string())),
        max_redirects: 1,
        null_strings: false,
        recording_wait: Duration::from_secs(5),
        screening_releases_both: false,
        type_ahead: true,
    }
}

fn new(callback: bool) -> NewMessage {
    let account = AccountSid::from_bytes([2; 16]);
    NewMessage {
        account,
        from: "Shop".to_owned(),
        to: "client:ann".to_owned(),
        body: "words".to_owned(),
        recorded_as: None,
        direction: model::MessageDirection::OutboundApi,
        headers: Vec::new(),
        callback: callback.then(|| CallbackTarget {
            url: "http://app.example/s".to_owned(),
            method: HttpMethod::Post,
            author: account,
        }),
        validity: None,
        dialect: Dialect::TWILIO,
        answers_keyword: None,
        released: None,
        chosen: None,
    }
}

fn route(n: usize) -> Route {
    Route {
        uri: format!("sip:ann@phone{n}"),
        to: None,
        from_host: "h".to_owned(),
        via: Via::Binding(n.to_string()),
        credentials: None,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_000_000) + Duration::from_secs(seconds)
}

/// Runs a message, with each input this many seconds after its start, until it waits for nothing
/// more.
fn run(new: NewMessage, inputs: &[(u64, Input)]) -> Run {
    let mut machine = TextMessage::new(&settings(), new, 7, at(0));
    let mut run = Run::default();
    run.take(&mut machine);
    let mut inputs = inputs.iter();
    let mut next = inputs.next();
    loop {
        let due = machine.poll_timeout();
        let Some((seconds, input)) = next else {
            let Some(due) = due else { break };
            machine.handle_timeout(due);
            run.take(&mut machine);
            continue;
        };
        if due.is_some_and(|due| due <= at(*seconds)) {
            machine.handle_timeout(due.expect("just seen"));
        } else {
            match input.clone() {
                Input::Routes(found) => {
                    let found = found.map(|count| (0..count).map(route).collect());
                    let unreachable = |text: &str| Unreachable {
                        code: 0,
                        text: text.to_owned(),
                        is_unknown: text.starts_with("there is no client"),
                    };
                    machine.handle_routes(found.map_err(unreachable), at(*seconds));
                }
                Input::Answer(status) => machine.handle_answer(status, "so", at(*seconds)),
                Input::Shutdown => machine.shut_down(at(*seconds)),
            }
            next = inputs.next();
        }
        run.take(&mut machine);
    }
    assert!(machine.is_over());
    run
}

#[test]
fn each_way_to_end_is_one_end_with_a_reason() {
    use Input::{Answer, Routes, Shutdown};
    use MessageStatus::{Failed, Sent};
    let found = (1, Routes(Ok(2)));
    type Row<'a> = (
        &'a [(u64, Input)],
        (MessageStatus, Option<u16>, &'a str),
        usize,
    );
    let table: &[Row<'_>] = &[
        (
            &[found.clone(), (2, Answer(200))],
            (Sent, None, "200 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(202))],
            (Sent, None, "202 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(404))],
            (Failed, Some(30_005), "404 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(408))],
            (Failed, Some(30_003), "408 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(603))],
            (Failed, Some(30_004), "603 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(415))],
            (Failed, Some(30_006), "415 so"),
            1,
        ),
        (
            &[found.clone(), (2, Answer(500))],
            (Failed, Some(30_008), "500 so"),
            1,
        ),
        // Nothing counts after the end.
        (
            &[
                found.clone(),
                (2, Answer(200)),
                (3, Answer(500)),
                (4, Routes(Ok(1))),
                (5, Shutdown),
            ],
            (Sent, None, "200 so"),
            1,
        ),
        // An answer before anything was sent does not count.
        (
            &[(1, Answer(200)), (2, Routes(Ok(0)))],
            (Failed, Some(30_003), "there is no route to it"),
            0,
        ),
        (
            &[(1, Routes(Err("client `ann` is not registered")))],
            (Failed, Some(30_003), "client `ann` is not registered"),
            0,
        ),
        (
            &[(1, Routes(Err("there is no client `ann`")))],
            (Failed, Some(30_005), "there is no client `ann`"),
            0,
        ),
        (&[], (Failed, Some(30_003), "no response came"), 0),
        (
            std::slice::from_ref(&found),
            (Failed, Some(30_003), "no response came"),
            1,
        ),
        (
            &[(89, Routes(Ok(1))), (91, Answer(200))],
            (Failed, Some(30_003), "no response came"),
            1,
        ),
        (
            &[(1, Shutdown)],
            (Failed, Some(30_008), "the server was stopped"),
            0,
        ),
        (
            &[found.clone(), (2, Shutdown)],
            (Failed, Some(30_008), "the server was stopped"),
            1,
        ),
    ];
    for (inputs, end, sent) in table {
        for with_callback in [false, true] {
            let run = run(new(with_callback), inputs);
            assert_eq!(run.end(), *end);
            assert_eq!(run.sent.len(), *sent);
            assert!(run.sent.iter().all(|uri| uri == "sip:ann@phone0"));
            assert_eq!(run.codes, Vec::from_iter(end.1));
            let over = &run.records[1];
            assert_eq!(over.sent.is_some(), end.0 == Sent);
            assert_eq!(run.order[..2], ["commit", "resolve"], "on record first");
            assert_eq!(run.order.last(), Some(&"commit"));
            let statuses: Vec<_> = run
                .callbacks
                .iter()
                .map(|told| (told.sequence, texts(&told.params, "MessageStatus")))
                .collect();
            let expected = [(0, "sending"), (1, end.0.as_str())];
            let expected = if with_callback { &expected[..] } else { &[] };
            assert_eq!(statuses, expected);
        }
    }
}

#[test]
fn its_callbacks_are_on_a_lane_of_its_own() {
    let run = run(
        new(true),
        &[(1, Input::Routes(Ok(1))), (2, Input::Answer(404))],
    );
    let sid = run.records[0].sid;
    for told in &run.callbacks {
        assert_eq!((told.lane, told.call), (Lane::from(sid), None));
        assert_eq!(texts(&told.params, "MessageSid"), sid.to_string());
        assert_eq!(texts(&told.params, "Body"), "words");
        assert!(told.params.iter().all(|(name, _)| name != "CallSid"));
    }
    assert_ne!(run.callbacks[0].event, run.callbacks[1].event);
    assert_eq!(texts(&run.callbacks[1].params, "ErrorCode"), "30005");
    assert_eq!(run.asked, [Target::Client("ann".to_owned())]);
}

#[test]
fn what_is_kept_for_a_crash_reports_the_same() {
    for answer in [200, 404] {
        let inputs = [(1, Input::Routes(Ok(1))), (2, Input::Answer(answer))];
        let run = run(new(true), &inputs);
        let last = &run.callbacks[1];
        let kept = serde_json::to_string(&run.kept.expect("it is kept")).expect("plain values");
        let kept: MessageFarewell = serde_json::from_str(&kept).expect("as it was written");
        assert_eq!(&kept.callback(&run.records[1], last.event), last);
    }
}

#[test]
fn a_text_that_must_not_be_kept_is_only_sent() {
    let message = NewMessage {
        body: "Your code is 1234.".to_owned(),
        recorded_as: Some("Your code is [code removed].".to_owned()),
        ..new(true)
    };
    let inputs = [(1, Input::Routes(Ok(1))), (2, Input::Answer(200))];
    let run = run(message, &inputs);
    assert_eq!(run.texts, ["Your code is 1234."]);
    assert_eq!(run.records[1].body, "Your code is [code removed].");
    let kept = (&run.records, &run.callbacks, &run.kept);
    let kept = format!("{kept:?}");
    assert!(!kept.contains("1234"), "{kept}");
}

#[test]
fn the_password_of_an_address_is_never_shown() {
    let message = NewMessage {
        from: "sip:me:s3cret@h".to_owned(),
        to: "sip:bob:s3cret@h".to_owned(),
        ..new(true)
    };
    let run = run(message, &[(1, Input::Routes(Err("gone")))]);
    let shown = format!("{:?} {:?}", run.records, run.callbacks);
    assert!(!shown.contains("s3cret"), "{shown}");
    assert_eq!(run.asked, [Target::Sip("sip:bob:s3cret@h".to_owned())]);
}
