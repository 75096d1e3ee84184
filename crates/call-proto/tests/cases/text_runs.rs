//! The documents of text messages that arrive: what is requested, sent and recorded, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use call_proto::{
    Dialect, Document, Fact, Fallback, FetchFailure, Fetched, RunCommand, SendError, SetIn,
    TextArrival, TextRun,
};
use model::{
    AccountSid, DialectName, HttpMethod, MaskServiceSid, MaskSessionSid, MessageDirection,
    MessageSid, MessageStatus, NumberSid, ParticipantSid, Timestamp,
};

use super::own_messages::settings;
use crate::world::texts;

const APP: &str = "http://app.example/m";

/// What an application answers, by address.
struct App {
    pages: BTreeMap<&'static str, Fetched>,
    /// Messages are refused.
    is_full: bool,
}

impl App {
    fn new(pages: &[(&'static str, &str)]) -> Self {
        let page = |(url, body): &(&'static str, &str)| (*url, answer(200, "text/xml", body));
        Self {
            pages: pages.iter().map(page).collect(),
            is_full: false,
        }
    }

    fn one(body: &str) -> Self {
        Self::new(&[(APP, body)])
    }

    /// What happens, a line each: requests, messages, notifications, the end.
    fn run(&self, dialect: DialectName) -> Vec<String> {
        self.run_for(arrival(dialect))
    }

    fn run_for(&self, arrival: TextArrival) -> Vec<String> {
        let mut run = TextRun::new(&Arc::new(settings()), arrival, 7, Timestamp(0));
        assert_eq!(run.record().status, MessageStatus::Received);
        assert_eq!(run.record().direction, MessageDirection::Inbound);
        let mut log = Vec::new();
        loop {
            let commands = run.poll_commands();
            if commands.is_empty() {
                break;
            }
            for command in commands {
                self.carry_out(command, &mut run, &mut log);
            }
        }
        assert!(run.is_over(), "{log:?}");
        log
    }

    fn carry_out(&self, command: RunCommand, run: &mut TextRun, log: &mut Vec<String>) {
        match command {
            RunCommand::Commit(facts) => log.extend(facts.iter().map(fact)),
            RunCommand::Fetch(req, request) => {
                let more = ["SmsStatus", "ErrorCode"].map(|name| {
                    let value = request.params.iter().find(|(known, _)| known == name);
                    value.map_or(String::new(), |(_, value)| format!(" {value}"))
                });
                log.push(format!(
                    "{} {}{}",
                    request.method,
                    request.url,
                    more.concat()
                ));
                let failure = || FetchFailure {
                    code: 11_205,
                    text: "refused".to_owned(),
                };
                let page = self.pages.get(&*request.url).cloned();
                run.handle_fetched(req, &page.ok_or_else(failure), Timestamp(1));
            }
            RunCommand::Send(req, new) => {
                assert_eq!(new.direction, MessageDirection::OutboundReply);
                let told = new
                    .callback
                    .map_or(String::new(), |told| format!(" {}", told.url));
                let headers: Vec<_> = new.headers.iter().map(|(name, _)| name.as_str()).collect();
                let headers = headers.join(" ");
                log.push(format!(
                    "{}>{}: {}{told}{headers}",
                    new.from, new.to, new.body
                ));
                let outcome = if self.is_full {
                    Err(SendError::Busy)
                } else {
                    Ok(MessageSid::from_bytes([9; 16]))
                };
                run.handle_sent(req, outcome, Timestamp(2));
            }
            RunCommand::Trace(entry) => assert_eq!(entry.owner, run.record().lane()),
        }
    }
}

fn fact(fact: &Fact) -> String {
    match fact {
        Fact::MessageArrived { .. } => "arrived".to_owned(),
        Fact::MessageEnded { message, tells } => {
            assert_eq!((message.status, *tells), (MessageStatus::Received, None));
            "read".to_owned()
        }
        Fact::Notified(notification) => {
            assert_eq!(notification.call, None);
            notification.code.to_string()
        }
        Fact::EmailQueued(email) => {
            assert_eq!(email.call, None);
            "mailed".to_owned()
        }
        Fact::Interacted(begun) => {
            assert_eq!(begun.kind, masking::Kind::Message);
            "begun".to_owned()
        }
        Fact::InteractionSent { message, .. } => {
            assert_eq!(*message, MessageSid::from_bytes([9; 16]));
            "linked".to_owned()
        }
        other => panic!("{other:?}"),
    }
}

fn answer(status: u16, content_type: &str, body: &str) -> Fetched {
    Fetched {
        status,
        content_type: Some(content_type.to_owned()),
        body: if content_type == "text/xml" {
            format!("<Response>{body}</Response>")
        } else {
            body.to_owned()
        },
        url: APP.to_owned(),
        headers: Vec::new(),
    }
}

fn arrival(dialect: DialectName) -> TextArrival {
    let account = AccountSid::from_bytes([2; 16]);
    TextArrival {
        account,
        number: NumberSid::from_bytes([3; 16]),
        from: "kim".to_owned(),
        to: "1000".to_owned(),
        body: "hi".to_owned(),
        headers: vec![("X-Id".to_owned(), "7".to_owned())],
        via: "SIP".to_owned(),
        document: Document {
            url: APP.to_owned(),
            text: None,
            method: HttpMethod::Post,
            author: account,
            fallback: Some(Fallback {
                url: "http://app.example/f".to_owned(),
                method: HttpMethod::Get,
                author: account,
                set_in: SetIn::NumberSms,
            }),
            set_in: SetIn::NumberSms,
        },
        dialect: Dialect::of(dialect),
        sid: None,
        keyword: None,
        contact: None,
        interaction: None,
        outgoing: None,
        is_passed_on: false,
    }
}

#[test]
fn a_document_replies_once_it_is_on_record_as_read() {
    let get = "GET http://app.example/f";
    let post = "POST http://app.example/m received";
    let table: &[(&str, &[&str])] = &[
        ("", &["read"]),
        ("<Sms>yes</Sms>", &["read", "1000>kim: yes"]),
        (
            "<Sms to=\"ann\" from=\"Shop\" statusCallback=\"/told\">a</Sms><Sms>b</Sms>",
            &["read", "Shop>ann: a http://app.example/told", "1000>kim: b"],
        ),
        // What follows an action's answer is gone.
        (
            "<Sms action=\"/next\">a</Sms><Sms>b</Sms>",
            &[
                "read",
                "1000>kim: a",
                "POST http://app.example/next sending",
                "1000>kim: c",
            ],
        ),
        (
            "<Redirect>/next</Redirect>",
            &[
                "read",
                "POST http://app.example/next received",
                "1000>kim: c",
            ],
        ),
        ("<Redirect/><Sms>b</Sms>", &["read", "13720", "1000>kim: b"]),
        // Verbs of calls are skipped.
        (
            "<Say>x</Say><Sms>b</Sms><Hangup/>",
            &["read", "14110", "1000>kim: b", "14110"],
        ),
        (
            "<Email to=\"a@b\" from=\"c@d\">x</Email><Sms>b</Sms>",
            &["read", "mailed", "1000>kim: b"],
        ),
        ("<Sms/><Sms>b</Sms>", &["read", "14103"]),
        (
            "<Sms action=\"ftp://x\">a</Sms><Sms>b</Sms>",
            &["read", "11100", "11100"],
        ),
        // Twilio's verb.
        ("<Message>a</Message>", &["read", "1000>kim: a"]),
        (
            "<Message><Body>a</Body></Message>",
            &["read", "1000>kim: a"],
        ),
        (
            "<Message><Body>a</Body><Media>http://x/y</Media></Message><Sms>b</Sms>",
            &["read", "14105"],
        ),
    ];
    for (document, expected) in table {
        let app = App::new(&[(APP, document), ("http://app.example/next", "<Sms>c</Sms>")]);
        let log = app.run(DialectName::Restcomm);
        assert_eq!(log[..2], ["arrived", post], "{document}");
        let mut said = log[2..].to_vec();
        // The finding that a verb is never reached is for other tests.
        said.retain(|line| line != "12205");
        let mut wanted: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        // The facts of one step have an order of their own.
        let facts =
            |line: &String| line == "read" || line == "mailed" || line.parse::<u16>().is_ok();
        let split = |lines: &mut Vec<String>| lines.sort_by_key(|line| !facts(line));
        split(&mut said);
        split(&mut wanted);
        said.sort();
        wanted.sort();
        assert_eq!(said, wanted, "{document}");
        let read = log.iter().position(|line| line == "read").unwrap();
        let sent = log.iter().position(|line| line.contains('>'));
        assert!(sent.is_none_or(|sent| read < sent), "{log:?}");
        assert!(!log.iter().any(|line| line.starts_with(get)), "{log:?}");
    }
}

#[test]
fn a_document_that_fails_has_a_fallback() {
    let fallback = ("http://app.example/f", "<Sms>sorry</Sms>");
    let mut app = App::new(&[fallback]);
    let after = ["11205", "GET http://app.example/f received 11205"];
    let log = app.run(DialectName::Restcomm);
    assert_eq!(log[2..4], after);
    assert!(log.contains(&"1000>kim: sorry".to_owned()), "{log:?}");
    for (status, content_type, code) in [
        (500, "text/xml", "11206"),
        (404, "text/xml", "21402"),
        (200, "image/png", "12300"),
        (200, "audio/wav", "12300"),
    ] {
        app.pages.insert(APP, answer(status, content_type, ""));
        let log = app.run(DialectName::Restcomm);
        assert_eq!(log[2], code, "{status} {content_type}: {log:?}");
        assert!(log.contains(&"1000>kim: sorry".to_owned()), "{log:?}");
    }
    app.pages.remove("http://app.example/f");
    let log = app.run(DialectName::Restcomm);
    assert_eq!(
        log.iter().filter(|line| *line == "read").count(),
        1,
        "{log:?}"
    );
}

#[test]
fn html_and_plain_text_are_read() {
    let mut app = App::one("");
    app.pages.insert(
        APP,
        answer(200, "text/html", "<Response><Sms>a</Sms></Response>"),
    );
    let log = app.run(DialectName::Restcomm);
    assert_eq!(log[2..], ["read", "1000>kim: a"]);
    app.pages.insert(APP, answer(200, "text/plain", " a < b\n"));
    let log = app.run(DialectName::Twilio);
    assert_eq!(log[2..], ["read", "1000>kim: a < b"]);
}

#[test]
fn header_fields_of_the_answer_travel_with_its_messages() {
    let mut app = App::one("<Sms>a</Sms>");
    if let Some(page) = app.pages.get_mut(APP) {
        page.headers = vec![("X-Answer".to_owned(), "1".to_owned())];
    }
    assert_eq!(app.run(DialectName::Restcomm)[3], "1000>kim: aX-Answer");
}

#[test]
fn a_run_is_limited() {
    let many = "<Sms>a</Sms>".repeat(60);
    let log = App::one(&many).run(DialectName::Restcomm);
    assert_eq!(log.iter().filter(|line| line.contains('>')).count(), 50);
    assert_eq!(log.last().map(String::as_str), Some("30001"));
    let log = App::one("<Redirect>/m</Redirect>").run(DialectName::Restcomm);
    assert_eq!(
        log.iter().filter(|line| line.starts_with("POST")).count(),
        2
    );
    let mut app = App::one("<Sms action=\"/m\">a</Sms><Sms>b</Sms>");
    app.is_full = true;
    let log = app.run(DialectName::Restcomm);
    assert_eq!(
        log[3..],
        ["read", "1000>kim: a", "30001", "1000>kim: b", "30001"]
    );
}

#[test]
fn the_request_describes_the_message() {
    let settings = Arc::new(settings());
    let mut run = TextRun::new(&settings, arrival(DialectName::Twilio), 7, Timestamp(0));
    let commands = run.poll_commands();
    let params = commands.iter().find_map(|command| match command {
        RunCommand::Fetch(_, request) => Some(request.params.clone()),
        _ => None,
    });
    let params = params.unwrap();
    let sid = run.record().sid.to_string();
    for (name, value) in [
        ("MessageSid", &*sid),
        ("SmsSid", &sid),
        ("From", "kim"),
        ("To", "1000"),
        ("Body", "hi"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("ApiVersion", "2010-04-01"),
        ("SipHeader_X-Id", "7"),
    ] {
        assert_eq!(texts(&params, name), value, "{name}");
    }
}

/// The process dies after the commit: the next one runs the same document, from what was stored.
#[test]
fn a_run_is_repeated_from_what_was_stored() {
    let settings = Arc::new(settings());
    let mut run = TextRun::new(&settings, arrival(DialectName::Twilio), 7, Timestamp(0));
    let Some(RunCommand::Commit(facts)) = run.poll_commands().into_iter().next() else {
        panic!("no commit");
    };
    let [Fact::MessageArrived { message, arrival }] = &facts[..] else {
        panic!("{facts:?}");
    };
    let stored = serde_json::to_string(arrival).unwrap();
    let again: TextArrival = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, **arrival);
    let mut run = TextRun::again(&settings, (**message).clone(), again, 8, Timestamp(9));
    let commands = run.poll_commands();
    let kinds = commands.iter().filter_map(|command| match command {
        RunCommand::Fetch(_, request) => Some(request.url.as_str()),
        RunCommand::Trace(_) => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [APP]);
    // A server that stops leaves it to the next one.
    run.shut_down(Timestamp(10));
    assert!(run.is_over());
    let commands = run.poll_commands();
    assert!(
        commands
            .iter()
            .all(|command| matches!(command, RunCommand::Trace(_)))
    );
}

/// A document that came with the message is not requested. A text between participants with masked numbers is recorded with the
/// message that arrives, and linked with the one that is sent.
#[test]
fn a_text_at_a_mask_is_passed_on() {
    let app = App::one("");
    let text = "<Response><Sms from=\"+4930\" to=\"+4917\">hi</Sms></Response>";
    let masked = |contact| TextArrival {
        document: Document::of_text(text.to_owned(), AccountSid::from_bytes([2; 16])),
        contact,
        ..arrival(DialectName::Twilio)
    };
    let contact = masking::Contact {
        account: AccountSid::from_bytes([2; 16]),
        service: MaskServiceSid::from_bytes([1; 16]),
        session: MaskSessionSid::from_bytes([1; 16]),
        from: ParticipantSid::from_bytes([1; 16]),
        to: ParticipantSid::from_bytes([2; 16]),
    };
    let steps = app.run_for(masked(Some(contact.clone())));
    assert_eq!(
        steps,
        ["arrived", "begun", "+4930>+4917: hi", "linked", "read"]
    );
    // The other one gets the text as it is, whatever a document would make of it.
    let spaced = TextArrival {
        body: "  a\u{1}b \r\n ".to_owned(),
        ..masked(Some(contact.clone()))
    };
    assert_eq!(app.run_for(spaced)[2], "+4930>+4917:   a\u{1}b \r\n ");
    let settings = Arc::new(settings());
    let mut run = TextRun::new(&settings, masked(Some(contact.clone())), 7, Timestamp(0));
    let stored = run
        .poll_commands()
        .into_iter()
        .find_map(|command| match command {
            RunCommand::Commit(facts) => facts.into_iter().find_map(|fact| match fact {
                Fact::MessageArrived { arrival, .. } => serde_json::to_string(&arrival).ok(),
                _ => None,
            }),
            _ => None,
        });
    let stored = stored.unwrap();
    assert!(
        !stored.contains("+4917"),
        "the other number is not kept: {stored}"
    );
    assert_eq!(
        app.run_for(masked(None)),
        ["arrived", "+4930>+4917: hi", "read"]
    );
    // A message that is not sent is not linked: the interaction fails.
    let full = App {
        is_full: true,
        ..app
    };
    let steps = full.run_for(masked(Some(contact)));
    assert_eq!(
        steps,
        ["arrived", "begun", "+4930>+4917: hi", "30001", "read"]
    );
}

/// The process dies between the record of a text at a mask, which its sender was told about, and that of the text which passes
/// it on: the next one passes it on, under the same identifier. If it died after both, the next one only links them.
#[test]
fn a_text_at_a_mask_is_passed_on_by_a_later_process() {
    let settings = Arc::new(settings());
    let text = "<Response><Sms from=\"+4930\" to=\"+4917\">hi</Sms></Response>";
    let contact = masking::Contact {
        account: AccountSid::from_bytes([2; 16]),
        service: MaskServiceSid::from_bytes([1; 16]),
        session: MaskSessionSid::from_bytes([1; 16]),
        from: ParticipantSid::from_bytes([1; 16]),
        to: ParticipantSid::from_bytes([2; 16]),
    };
    for contact in [Some(contact), None] {
        let masked = TextArrival {
            document: Document::of_text(text.to_owned(), AccountSid::from_bytes([2; 16])),
            contact,
            ..arrival(DialectName::Twilio)
        };
        let mut run = TextRun::new(&settings, masked.clone(), 7, Timestamp(0));
        let commands = run.poll_commands();
        let [committed, sent] = &commands
            .iter()
            .filter(|command| !matches!(command, RunCommand::Trace(_)))
            .collect::<Vec<_>>()[..]
        else {
            panic!("{commands:?}");
        };
        let (RunCommand::Commit(facts), RunCommand::Send(_, first)) = (committed, sent) else {
            panic!("{commands:?}");
        };
        let stored = facts.iter().find_map(|fact| match fact {
            Fact::MessageArrived { message, arrival } => {
                Some((message, serde_json::to_string(arrival).unwrap()))
            }
            _ => None,
        });
        let (record, stored) = stored.unwrap();
        let ends = |fact: &Fact| matches!(fact, Fact::MessageEnded { .. });
        assert!(!facts.iter().any(ends), "a later process must find it");
        let is_masked = masked.contact.is_some();
        let mut again: TextArrival = serde_json::from_str(&stored).unwrap();
        if is_masked {
            // The shell makes it again.
            again.document.text = Some(text.to_owned());
        }
        let chosen = again.outgoing.unwrap();
        assert_eq!(first.chosen, Some(chosen));

        let mut run = TextRun::again(
            &settings,
            (**record).clone(),
            again.clone(),
            8,
            Timestamp(9),
        );
        let req = run
            .poll_commands()
            .into_iter()
            .find_map(|command| match command {
                RunCommand::Send(req, new) => {
                    assert_eq!(
                        (new.chosen, &new.body, &new.to),
                        (Some(chosen), &first.body, &first.to)
                    );
                    Some(req)
                }
                RunCommand::Trace(_) => None,
                other => panic!("{other:?}"),
            });
        run.handle_sent(req.unwrap(), Ok(chosen), Timestamp(10));
        assert_eq!(settled(&mut run), (is_masked.then_some(chosen), true));
        let passed_on = TextArrival {
            is_passed_on: true,
            ..again
        };
        let mut run = TextRun::again(&settings, (**record).clone(), passed_on, 8, Timestamp(9));
        assert_eq!(settled(&mut run), (is_masked.then_some(chosen), true));
        assert!(run.is_over());
    }
}

/// The message with which the interaction is linked, and whether the record has ended; nothing is sent.
fn settled(run: &mut TextRun) -> (Option<MessageSid>, bool) {
    let (mut linked, mut ended) = (None, false);
    for command in run.poll_commands() {
        match command {
            RunCommand::Commit(facts) => {
                for fact in facts {
                    match fact {
                        Fact::InteractionSent { message, .. } => linked = Some(message),
                        Fact::MessageEnded { .. } => ended = true,
                        other => panic!("{other:?}"),
                    }
                }
            }
            RunCommand::Trace(_) => {}
            other => panic!("{other:?}"),
        }
    }
    (linked, ended)
}
