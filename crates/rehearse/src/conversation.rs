//! Plays a conversation of text messages with the application of a number, in virtual time.
//!
//! Each text runs its document in a `call_proto::TextRun`, as on a server; the next one is sent when
//! it is over. Replies arrive at once. **Invariant: the same script and the same answers of the
//! application give the same [`Run`].** Left to others: what the whole run is compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use call_proto::{
    Fact, FetchFailure, FetchRequest, Fetched, NewMessage, RunCommand, Settings, TextArrival,
    TextMessage, TextRun,
};
use model::record::Message;
use model::{MessageStatus, NumberSid, Timestamp};

use crate::expected::Expected;
use crate::run::Run;
use crate::script::{Reply, Script, Text};
use crate::stage::pages::{self, Answering};
use crate::stage::{ACCOUNT, START, settings};
use crate::{Application, Asked, Failure};

/// Distance between the seeds of two messages.
const SEED_STEP: u64 = 0x2545_f491_4f6c_dd1d;

/// Plays the texts of a script.
pub(crate) fn play(script: &Script, application: &mut dyn Application) -> Run {
    let mut conversation = Conversation {
        script,
        application,
        settings: settings(),
        run: Run::new(START),
        now: START,
        seed: script.seed,
        used: BTreeMap::new(),
    };
    for text in &script.texts {
        conversation.now = conversation.now + text.after;
        let replies = conversation.text(text);
        if let Some(expected) = &text.replies {
            let failures = misfits(text, expected, &replies);
            conversation.run.failures.extend(failures);
        }
    }
    let mut run = conversation.run;
    run.length = conversation.now.since(START);
    run
}

struct Conversation<'a> {
    script: &'a Script,
    application: &'a mut dyn Application,
    settings: Arc<Settings>,
    run: Run,
    now: Timestamp,
    seed: u64,
    /// How often each page of the script was requested.
    used: BTreeMap<String, usize>,
}

impl Conversation<'_> {
    /// Runs the document for one text. Returns the messages that it sent.
    fn text(&mut self, text: &Text) -> Vec<Message> {
        let arrival = TextArrival {
            account: ACCOUNT,
            number: NumberSid::from_bytes([0x10; 16]),
            from: text.from.clone(),
            to: text.to.clone(),
            body: text.text.clone(),
            headers: text.headers.clone(),
            via: "SIP".to_owned(),
            document: self.script.application.document.clone(),
            dialect: text.dialect,
            sid: None,
            keyword: None,
            contact: None,
            interaction: None,
            outgoing: None,
            is_passed_on: false,
        };
        let seed = self.next_seed();
        let mut run = TextRun::new(&self.settings, arrival, seed, self.now);
        let mut replies = Vec::new();
        while !run.is_over() {
            for command in run.poll_commands() {
                self.carry_out(command, &mut run, &mut replies);
            }
        }
        for command in run.poll_commands() {
            self.carry_out(command, &mut run, &mut replies);
        }
        replies
    }

    fn carry_out(&mut self, command: RunCommand, run: &mut TextRun, replies: &mut Vec<Message>) {
        self.run.inputs += 1;
        match command {
            RunCommand::Commit(facts) => facts.into_iter().for_each(|fact| self.fact(fact)),
            RunCommand::Fetch(req, request) => {
                let result = self.fetch(request);
                run.handle_fetched(req, &result, self.now);
            }
            RunCommand::Send(req, new) => {
                let message = self.send(*new);
                replies.push(message.clone());
                run.handle_sent(req, Ok(message.sid), self.now);
            }
            RunCommand::Trace(entry) => self.run.entry(entry),
        }
    }

    fn fact(&mut self, fact: Fact) {
        match fact {
            Fact::MessageArrived { message, .. } => self.run.messages.push(*message),
            Fact::Notified(notification) => self.run.notifications.push(notification),
            Fact::EmailQueued(email) => self.run.emails.push(*email),
            // The record of the text is complete already.
            _ => {}
        }
    }

    /// The recipient gets the message.
    fn send(&mut self, new: NewMessage) -> Message {
        let seed = self.next_seed();
        let sending = TextMessage::new(&self.settings, new, seed, self.now);
        let message = Message {
            status: MessageStatus::Sent,
            sent: Some(self.now),
            ..sending.record().clone()
        };
        self.run.messages.push(message.clone());
        message
    }

    fn fetch(&mut self, request: FetchRequest) -> Result<Fetched, FetchFailure> {
        let asked = Asked {
            at: self.now,
            call: None,
            method: request.method,
            url: request.url,
            params: request.params,
        };
        let pages = &self.script.application.pages;
        let Answering { by, after } = pages::answering(pages, &mut self.used, &asked.url);
        let result = by.answer(&asked, self.application);
        self.run.requests.push(asked);
        self.now = self.now + after;
        result
    }

    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(SEED_STEP);
        self.seed
    }
}

/// Compares the replies to one text.
fn misfits(text: &Text, expected: &[Reply], found: &[Message]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let failure = |line: usize, text: String| Failure { line, text };
    for (at, wish) in expected.iter().enumerate() {
        let Some(message) = found.get(at) else {
            let missing = format!("expected the reply {}, but there was none", wish.text);
            failures.push(failure(wish.line, missing));
            continue;
        };
        let usual = |party: &str| Expected::Text(party.to_owned());
        let (to, from) = (usual(&text.from), usual(&text.to));
        let table = [
            ("the reply", &wish.text, message.body.as_str()),
            (
                "a reply to",
                wish.to.as_ref().unwrap_or(&to),
                message.to.as_str(),
            ),
            (
                "a reply from",
                wish.from.as_ref().unwrap_or(&from),
                message.from.as_str(),
            ),
        ];
        for (what, wish_text, found) in table {
            if !wish_text.fits(Some(found)) {
                let misfit = format!("expected {what} {wish_text}, but it was `{found}`");
                failures.push(failure(wish.line, misfit));
            }
        }
    }
    for message in found.iter().skip(expected.len()) {
        let more = format!(
            "there was another reply to {}: `{}`",
            message.to, message.body
        );
        failures.push(failure(text.line, more));
    }
    failures
}
