//! A text message that arrived for an application: its document is fetched, and its verbs run.
//!
//! **Invariant: the document is on record as fetched before any of its verbs runs**, so that a later
//! process repeats a run only if that had no effect yet. Replies are text messages of their own
//! (`alone`): the run waits only until each is stored, which keeps them in order. A document that came with the
//! message, which passes it on, is on record as read once the one message that it sends is stored; the identifier of
//! that one is stored with the message, so that a later process which repeats the run sends it once. Left to others:
//! HTTP, and sending the replies.

use std::collections::VecDeque;
use std::sync::Arc;

use model::address::redacted;
use model::record::Message;
use model::{
    AccountSid, HttpMethod, InteractionSid, MessageDirection, MessageSid, MessageStatus, NumberSid,
    Timestamp, error, number, text,
};
use rcml::{Sms, Verb};
use serde::{Deserialize, Serialize};

use super::keyword::Keyword;
use super::without_password;
use crate::callback::CallbackTarget;
use crate::command::{Command, FetchRequest};
use crate::contacts;
use crate::context::{About, Context, Settings};
use crate::dialect::Dialect;
use crate::email::{Occasion, compose};
use crate::event::{Document, FetchFailure, Fetched, Headers, Req};
use crate::fact::Fact;
use crate::interpreter::{Answer, Fetching, Told};
use crate::params::{Params, sip_headers};
use crate::request::{NewMessage, SendError};
use crate::routing::absolute;
use crate::trace::{Entry, Lane, Way};

/// Maximum messages of one run, so that a document cannot send an unlimited number.
const MAX_SENT: usize = 50;

/// A text message for an application, admitted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TextArrival {
    /// Account that owns the number.
    pub account: AccountSid,
    /// The number.
    pub number: NumberSid,
    /// The sender, as shown to records and applications.
    pub from: String,
    /// The number, as dialled.
    pub to: String,
    /// The text.
    pub body: String,
    /// Trusted header fields.
    pub headers: Headers,
    /// How it came: `SIP`, or the name of a link.
    pub via: String,
    /// What runs.
    pub document: Document,
    /// Dialect of the run: that in which the document's address was set.
    #[serde(with = "crate::journal::serde_as::dialect")]
    pub dialect: Dialect,
    /// Identifier of its record, so that a repeated text is recognized; `None`: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<MessageSid>,
    /// What its text means as a keyword such as STOP; `None` if it is none, or keywords have no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<Keyword>,
    /// Who meets whom, if the number is a mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<masking::Contact>,
    /// The interaction of the two: once it is recorded, or before, so that a repeated text is recognized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<InteractionSid>,
    /// Identifier of the message that a document sends which came with this one, once this one is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<MessageSid>,
    /// Whether that message is stored, as a later process has found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_passed_on: bool,
}

/// The commands of a run, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum RunCommand {
    /// Commit these facts together, before carrying out any later command.
    Commit(Vec<Fact>),
    /// Request a document → [`TextRun::handle_fetched`].
    Fetch(Req, FetchRequest),
    /// Send this message → [`TextRun::handle_sent`], once it is stored.
    Send(Req, Box<NewMessage>),
    /// An entry for its trace.
    Trace(Entry),
}

/// The run of the document for a text message.
pub struct TextRun {
    record: Message,
    arrival: TextArrival,
    /// Account that set the address of the current document.
    author: AccountSid,
    /// Address of the current document.
    base: String,
    verbs: VecDeque<Verb>,
    /// Header fields of the application's last answer, for the messages of its document.
    headers: Headers,
    told: Told,
    /// The record ends once the first message of the document is stored, or there is none.
    ends_later: bool,
    cx: Context,
    state: State,
    sent: usize,
    mailed: usize,
    followed: u32,
    commands: Vec<RunCommand>,
}

/// What a run waits for.
enum State {
    /// The answer to a keyword is being stored; then the document is fetched.
    Replying(Req),
    Fetching(Box<Fetching>),
    /// A message is being stored; then the document continues here, if the verb says so.
    Sending {
        req: Req,
        action: Option<(String, HttpMethod)>,
    },
    Over,
}

impl TextRun {
    /// Records the message and requests the document.
    ///
    /// `seed` must not be predictable: identifiers are generated from it.
    #[must_use]
    pub fn new(
        settings: &Arc<Settings>,
        mut arrival: TextArrival,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let mut cx = Context::new(Arc::clone(settings), seed, now);
        let record = Message {
            sid: arrival.sid.unwrap_or_else(|| cx.message_sid()),
            instance: settings.instance,
            account: arrival.account,
            call: None,
            from: without_password(&arrival.from),
            to: without_password(&arrival.to),
            body: arrival.body.clone(),
            direction: MessageDirection::Inbound,
            status: MessageStatus::Received,
            error_code: None,
            reason: None,
            created: now,
            updated: now,
            sent: None,
            forwarding: None,
        };
        let interaction = arrival.contact.clone().map(|contact| {
            let known = arrival.interaction;
            (known.unwrap_or_else(|| cx.interaction_sid()), contact)
        });
        arrival.interaction = interaction.as_ref().map(|(sid, _)| *sid);
        let has_text = |text: &str| !text.is_empty();
        if arrival.document.text.as_deref().is_some_and(has_text) {
            arrival.outgoing = Some(cx.message_sid());
        }
        let mut kept = arrival.clone();
        // A later process makes the document of a text at a mask from the contact: it names a person, and need not be kept.
        if kept.contact.is_some() {
            kept.document.text = kept.document.text.map(|_| String::new());
        }
        cx.fact(Fact::MessageArrived {
            message: Box::new(record.clone()),
            arrival: Box::new(kept),
        });
        if let Some((sid, contact)) = interaction {
            contacts::begin(sid, contact, record.sid, &mut cx);
        }
        Self::start(record, arrival, cx)
    }

    /// Takes over the run of a message from an earlier process, which did not fetch its document, or did not store the
    /// message that its document sends.
    #[must_use]
    pub fn again(
        settings: &Arc<Settings>,
        record: Message,
        arrival: TextArrival,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let cx = Context::new(Arc::clone(settings), seed, now);
        Self::start(record, arrival, cx)
    }

    fn start(record: Message, arrival: TextArrival, cx: Context) -> Self {
        let mut run = Self {
            author: arrival.document.author,
            base: arrival.document.url.clone(),
            record,
            arrival,
            verbs: VecDeque::new(),
            headers: Headers::new(),
            told: Told::default(),
            ends_later: false,
            cx,
            state: State::Over,
            sent: 0,
            mailed: 0,
            followed: 0,
            commands: Vec::new(),
        };
        let from = run.record.from.clone();
        let what = format!("text by {}", run.arrival.via);
        run.trace(Lane::Sip, Way::In, &what, &from);
        let keyword = run.arrival.keyword.as_ref();
        match keyword.and_then(|keyword| keyword.reply.clone()) {
            Some((sid, text)) => run.reply(sid, text),
            None => run.begin(),
        }
        run.flush();
        run
    }

    /// Answers the keyword. The document follows once that is stored, so that a later process that repeats the run
    /// finds the answer.
    fn reply(&mut self, sid: MessageSid, text: String) {
        let new = NewMessage {
            account: self.record.account,
            from: self.arrival.to.clone(),
            to: self.arrival.from.clone(),
            body: text,
            recorded_as: None,
            direction: MessageDirection::OutboundReply,
            headers: Headers::new(),
            callback: None,
            validity: None,
            dialect: self.arrival.dialect,
            answers_keyword: Some(sid),
            released: None,
            chosen: None,
        };
        let req = self.cx.req();
        self.flush();
        self.commands.push(RunCommand::Send(req, Box::new(new)));
        self.state = State::Replying(req);
    }

    /// Requests the document. A number without one has its texts recorded only if they are keywords.
    fn begin(&mut self) {
        let document = self.arrival.document.clone();
        if let Some(text) = &document.text {
            self.state = State::Over;
            if let Some(sid) = self.arrival.outgoing.filter(|_| self.arrival.is_passed_on) {
                self.passed_on(sid);
                return self.read();
            }
            return match text.as_str() {
                "" => self.read(),
                text => self.begin_at_once(text),
            };
        }
        let params = (self.params(), None);
        let fetching = Fetching::first(document, params, about(&self.record), &mut self.cx);
        self.state = State::Fetching(Box::new(fetching.for_message()));
    }

    /// Nothing will be repeated.
    fn read(&mut self) {
        self.cx.fact(Fact::MessageEnded {
            message: Box::new(Message {
                updated: self.cx.now,
                ..self.record.clone()
            }),
            tells: None,
        });
    }

    /// The record of the message.
    #[must_use]
    pub fn record(&self) -> &Message {
        &self.record
    }

    /// The answer to a request for a document. One that the run does not wait for is ignored.
    pub fn handle_fetched(
        &mut self,
        req: Req,
        result: &Result<Fetched, FetchFailure>,
        now: Timestamp,
    ) {
        self.cx.now = now;
        let (what, detail) = match result {
            Ok(fetched) => (fetched.status.to_string(), redacted(&fetched.url)),
            Err(failure) => (format!("error {}", failure.code), failure.text.clone()),
        };
        self.trace(Lane::Http, Way::In, &what, &detail);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fetching(fetching) if fetching.waits_for(req) => {
                self.fetched(*fetching, result);
            }
            state => self.state = state,
        }
        self.flush();
    }

    /// A message of the document is stored, or was not accepted.
    pub fn handle_sent(
        &mut self,
        req: Req,
        outcome: Result<MessageSid, SendError>,
        now: Timestamp,
    ) {
        self.cx.now = now;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Sending {
                req: waited,
                action,
            } if waited == req => {
                self.after_message(outcome, action);
            }
            State::Replying(waited) if waited == req => {
                match outcome {
                    Ok(sid) => self.trace(Lane::Fact, Way::Here, "answered", &sid.to_string()),
                    Err(refusal) => {
                        let text = format!("a keyword was not answered: {refusal}");
                        let who = about(&self.record);
                        self.cx.notify(who, error::MESSAGE_OVERFLOW, &text);
                    }
                }
                self.begin();
            }
            state => self.state = state,
        }
        self.flush();
    }

    /// The server is stopping. A run whose document was not fetched yet is repeated by the next
    /// process.
    pub fn shut_down(&mut self, now: Timestamp) {
        self.cx.now = now;
        if !self.is_over() {
            self.trace(Lane::Fact, Way::Here, "stopped", "the server was stopped");
        }
        self.state = State::Over;
        self.flush();
    }

    /// The commands to carry out, in order.
    pub fn poll_commands(&mut self) -> Vec<RunCommand> {
        std::mem::take(&mut self.commands)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Runs the document with this text, which needs not be fetched.
    fn begin_at_once(&mut self, text: &str) {
        self.ends_later = true;
        let who = about(&self.record);
        match rcml::Document::from_message_reply(Some("application/xml"), text) {
            Ok(mut document) => {
                self.told.tell("", &document, who, &mut self.cx);
                if self.arrival.contact.is_some() {
                    for verb in &mut document.verbs {
                        if let Verb::Sms(sms) = verb {
                            // A document does without the spaces around a text, and some characters.
                            sms.text.clone_from(&self.record.body);
                        }
                    }
                }
                self.verbs = document.verbs.into();
            }
            // The server has written it.
            Err(_) => self.cx.notify(
                who,
                error::DOCUMENT_PARSE,
                "the document of a message is not one",
            ),
        }
        self.proceed();
    }

    fn fetched(&mut self, fetching: Fetching, result: &Result<Fetched, FetchFailure>) {
        let is_first = fetching.is_first();
        let params = self.params();
        let who = about(&self.record);
        let author = fetching.author();
        let answer = fetching.handle_answer(result, &mut self.told, |_| params, who, &mut self.cx);
        if let Answer::FallBack(fetching) = answer {
            self.state = State::Fetching(Box::new(fetching));
            return;
        }
        if is_first {
            self.read();
        }
        match answer {
            Answer::Document { url, document } => {
                self.author = author;
                self.base = url;
                self.verbs = document.verbs.into();
                if let Ok(fetched) = result {
                    self.headers.clone_from(&fetched.headers);
                }
            }
            // The old document is discarded.
            Answer::Nothing | Answer::Failed(_) | Answer::FallBack(_) => self.verbs.clear(),
        }
        self.proceed();
    }

    /// Starts verbs until one waits.
    fn proceed(&mut self) {
        while let Some(verb) = self.verbs.pop_front() {
            let place = match verb.line() {
                0 => String::new(),
                line => format!("line {line}"),
            };
            let what = format!("<{}>", verb.name());
            self.trace(Lane::Rcml, Way::Here, &what, &place);
            match verb {
                Verb::Sms(sms) => self.send(&sms),
                Verb::Email(email) => self.mail(&email),
                Verb::Redirect(redirect) if redirect.url.is_empty() => {}
                Verb::Redirect(redirect) => {
                    let params = self.params();
                    if let Some(url) = self.address(&redirect.url) {
                        self.follow(url, redirect.method, params);
                    }
                }
                // The finding of the document says that it is not supported.
                Verb::Unsupported(_) => {}
                other => self.skip(&other),
            }
            if !self.is_over() {
                return;
            }
        }
        self.told.tell_left_out(about(&self.record), &mut self.cx);
        self.end_later();
    }

    fn end_later(&mut self) {
        if std::mem::take(&mut self.ends_later) {
            self.read();
        }
    }

    /// The interaction of two participants has its second message.
    fn passed_on(&mut self, message: MessageSid) {
        if let Some(interaction) = self.arrival.interaction.take() {
            self.cx.fact(Fact::InteractionSent {
                interaction,
                message,
                at: self.cx.now,
            });
        }
    }

    fn skip(&mut self, verb: &Verb) {
        let about = About {
            url: Some(&self.base),
            line: Some(verb.line()).filter(|line| *line > 0),
            ..about(&self.record)
        };
        let text = format!(
            "`{}` needs a call: it was skipped in the document of a message",
            verb.name()
        );
        self.cx.notify(about, error::SMS_VERB, &text);
    }

    fn send(&mut self, sms: &Sms) {
        if !sms.is_sendable() {
            // The owner was notified when the document was read.
            return self.verbs.clear();
        }
        let Some(action) = self.optional_address(sms.action.as_deref()) else {
            return;
        };
        let Some(callback) = self.optional_address(sms.status_callback.as_deref()) else {
            return;
        };
        if self.sent >= MAX_SENT {
            let text = format!("the document of one message sent {MAX_SENT} messages already");
            self.cx
                .notify(about(&self.record), error::MESSAGE_OVERFLOW, &text);
            return self.verbs.clear();
        }
        self.sent += 1;
        let new = NewMessage {
            account: self.record.account,
            from: number::tidy(sms.from.as_ref().unwrap_or(&self.arrival.to)),
            to: number::tidy(sms.to.as_ref().unwrap_or(&self.arrival.from)),
            body: sms.text.clone(),
            recorded_as: None,
            direction: MessageDirection::OutboundReply,
            headers: self.headers.clone(),
            callback: callback.map(|url| CallbackTarget {
                url,
                method: sms.method,
                author: self.author,
            }),
            validity: None,
            dialect: self.arrival.dialect,
            answers_keyword: None,
            released: None,
            chosen: self.arrival.outgoing.take(),
        };
        let req = self.cx.req();
        self.flush();
        self.commands.push(RunCommand::Send(req, Box::new(new)));
        self.state = State::Sending {
            req,
            action: action.map(|url| (url, sms.method)),
        };
    }

    /// Stores an e-mail to be sent, whatever becomes of it.
    fn mail(&mut self, verb: &rcml::Email) {
        // The owner was notified when the document was read.
        if !verb.is_sendable() {
            return;
        }
        if self.mailed >= MAX_SENT {
            let text = format!("the document of one message sent {MAX_SENT} e-mails already");
            return self
                .cx
                .notify(about(&self.record), error::EMAIL_TOO_MANY, &text);
        }
        let params = self.params();
        let occasion = Occasion {
            sid: self.cx.email_sid(),
            account: self.record.account,
            call: None,
            recording: None,
            params: &params,
            now: self.cx.now,
        };
        let Some(mail) = compose(verb, occasion) else {
            return self.trace(
                Lane::Rcml,
                Way::Here,
                "<Email> not sent",
                "nothing was recorded",
            );
        };
        self.mailed += 1;
        self.trace(
            Lane::Rcml,
            Way::Here,
            "e-mail queued",
            &mail.sid.to_string(),
        );
        self.cx.fact(Fact::EmailQueued(Box::new(mail)));
    }

    fn after_message(
        &mut self,
        outcome: Result<MessageSid, SendError>,
        action: Option<(String, HttpMethod)>,
    ) {
        let sid = match outcome {
            Ok(sid) => sid,
            Err(refusal) => {
                let text = format!("a message of the document was not sent: {refusal}");
                self.cx
                    .notify(about(&self.record), error::MESSAGE_OVERFLOW, &text);
                return self.proceed();
            }
        };
        self.trace(Lane::Fact, Way::Here, "stored", &sid.to_string());
        self.passed_on(sid);
        self.end_later();
        let Some((url, method)) = action else {
            return self.proceed();
        };
        let mut params = self.params();
        for (name, value) in &mut params {
            match name.as_str() {
                "SmsSid" | "MessageSid" => *value = sid.to_string(),
                "SmsStatus" => MessageStatus::Sending.as_str().clone_into(value),
                _ => {}
            }
        }
        self.follow(url, method, params);
        if self.is_over() {
            self.proceed();
        }
    }

    /// Requests the document that replaces the current one, unless documents lead to each other
    /// endlessly.
    fn follow(&mut self, url: String, method: HttpMethod, params: Params) {
        self.verbs.clear();
        self.followed += 1;
        if self.followed > self.cx.settings.max_redirects {
            let text = format!(
                "documents redirect in a loop; the last was {}",
                redacted(&url)
            );
            let who = About {
                url: Some(&url),
                ..about(&self.record)
            };
            return self.cx.notify(who, error::TOO_MANY_REDIRECTS, &text);
        }
        let params = (params, None);
        let who = about(&self.record);
        let fetching = Fetching::follow_up(url, method, params, self.author, who, &mut self.cx);
        self.state = State::Fetching(Box::new(fetching.for_message()));
    }

    /// An optional address; `None` if it is present but unusable, which ends the document.
    fn optional_address(&mut self, written: Option<&str>) -> Option<Option<String>> {
        match written {
            None => Some(None),
            Some(written) => self.address(written).map(Some),
        }
    }

    fn address(&mut self, written: &str) -> Option<String> {
        let url = absolute(&self.base, written);
        if url.is_none() {
            let text = format!("`{}` is not a valid http address", redacted(written));
            self.cx.notify(about(&self.record), error::BAD_URI, &text);
            self.verbs.clear();
        }
        url
    }

    /// The parameters of a request to the application.
    fn params(&self) -> Params {
        let arrival = &self.arrival;
        let mut params = Params::with_capacity(16);
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        add("MessageSid", self.record.sid.to_string());
        add("SmsSid", self.record.sid.to_string());
        add("AccountSid", self.record.account.to_string());
        add("From", self.record.from.clone());
        add("To", self.record.to.clone());
        add("Body", self.record.body.clone());
        add("SmsStatus", self.record.status.as_str().to_owned());
        add("NumMedia", "0".to_owned());
        add("NumSegments", text::segments(&self.record.body).to_string());
        add("ApiVersion", arrival.dialect.api_version.to_owned());
        if let Some(keyword) = &arrival.keyword {
            add("OptOutType", keyword.kind.as_str().to_owned());
        }
        for (name, value) in sip_headers(&arrival.headers) {
            add(&format!("SipHeader_{name}"), value.clone());
        }
        params
    }

    fn trace(&mut self, lane: Lane, way: Way, what: &str, detail: &str) {
        let owner = self.record.lane();
        let entry = Entry {
            at: self.cx.now,
            owner,
            lane,
            way,
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        self.cx.trace_entry(owner, entry);
    }

    /// Hands over what the step has produced, its facts first.
    fn flush(&mut self) {
        let commands = self.cx.drain_own().into_iter().filter_map(|command| {
            Some(match command {
                Command::Commit(facts) => RunCommand::Commit(facts),
                Command::Fetch { req, request } => RunCommand::Fetch(req, request),
                Command::Trace(entry) => RunCommand::Trace(entry),
                // Nothing else is part of a run.
                _ => return None,
            })
        });
        self.commands.extend(commands);
    }
}

/// A notification about a message.
fn about(message: &Message) -> About<'static> {
    About {
        account: message.account,
        owner: message.lane(),
        url: None,
        line: None,
        column: None,
    }
}
