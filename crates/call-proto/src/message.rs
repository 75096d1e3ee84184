//! Text messages that a call's document sends, from the look-up of the recipient to the answer.
//!
//! **Invariant: a message that was created ends with exactly one [`Fact::MessageEnded`]**, and the
//! call is not forgotten before; that its leg is over does not touch it.

use std::time::Duration;

use model::address::redacted_sip;
use model::record::Message;
use model::{Bare, MessageDirection, MessageSid, MessageStatus, Target, Timestamp, error};

use crate::callback::CallbackTarget;
use crate::command::{Command, OutgoingMessage};
use crate::context::Context;
use crate::dialect::Dialect;
use crate::event::{Req, Route, Unreachable};
use crate::fact::Fact;
use crate::farewell::MessageFarewell;
use crate::leg::Leg;
use crate::params::Params;

/// Messages of one call on their way at once, so that a document cannot flood the world.
const MAX_OPEN: usize = 50;

/// The SIP side gives up on an answer after 32 s (RFC 3261 §17.1.2.2, timer F), and once more if it
/// is asked for credentials; nothing more comes after this time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A message on its way.
struct OpenMessage {
    /// Of the question that the message waits for: first the routes, then the answer.
    req: Req,
    record: Message,
    farewell: Option<MessageFarewell>,
    until: Timestamp,
}

/// How a message ended.
struct End {
    status: MessageStatus,
    error_code: Option<u16>,
    reason: String,
}

impl End {
    fn failed(code: u16, reason: String) -> Self {
        Self {
            status: MessageStatus::Failed,
            error_code: Some(code),
            reason,
        }
    }

    /// What a final response means.
    fn of_response(status: u16, phrase: &str) -> Self {
        let reason = format!("{status} {phrase}").trim_end().to_owned();
        let code = match status {
            200..=299 => {
                return Self {
                    status: MessageStatus::Sent,
                    error_code: None,
                    reason,
                };
            }
            404 | 410 | 484 | 604 => error::MESSAGE_UNKNOWN_RECIPIENT,
            408 | 480 | 486 | 503 | 504 | 600 => error::MESSAGE_UNREACHABLE,
            403 | 603 => error::MESSAGE_BLOCKED,
            405 | 415 | 488 | 501 => error::MESSAGE_NO_TEXTS,
            _ => error::MESSAGE_FAILED,
        };
        Self::failed(code, reason)
    }
}

/// The messages of a call that are on their way.
#[derive(Default)]
pub(crate) struct Messages {
    open: Vec<OpenMessage>,
}

impl Messages {
    /// Puts a message on record and starts to send it. Returns it with the question that its
    /// leaving waits for; `None` if it is over already.
    ///
    /// - `callback`: told what becomes of it.
    pub(crate) fn send(
        &mut self,
        sms: &rcml::Sms,
        callback: Option<CallbackTarget>,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> (MessageSid, Option<Req>) {
        let profile = &leg.profile;
        let (ours, theirs) = if profile.is_outbound() {
            (&profile.from, &profile.to)
        } else {
            (&profile.to, &profile.from)
        };
        let to = sms.to.as_ref().unwrap_or(theirs);
        let targets = vec![Target::parse(to, Bare::ClientOrNumber)];
        let record = Message {
            sid: cx.message_sid(),
            instance: cx.settings.instance,
            account: profile.account,
            call: Some(profile.sid),
            from: without_password(sms.from.as_ref().unwrap_or(ours)),
            to: without_password(to),
            body: sms.text.clone(),
            direction: MessageDirection::OutboundCall,
            status: MessageStatus::Sending,
            error_code: None,
            reason: None,
            created: cx.now,
            updated: cx.now,
            sent: None,
        };
        let farewell = callback.map(|target| {
            let params = message_params(&record, leg.profile.dialect);
            MessageFarewell::new(leg.reporter.queued(), target, params)
        });
        cx.fact(Fact::MessageCreated {
            message: Box::new(record.clone()),
            farewell: farewell.clone().map(Box::new),
        });
        let (sid, req) = (record.sid, cx.req());
        let open = OpenMessage {
            req,
            record,
            farewell,
            until: cx.now + PATIENCE,
        };
        if self.open.len() >= MAX_OPEN {
            let text = format!("{MAX_OPEN} messages of the call are on their way");
            message_ends(open, End::failed(error::MESSAGE_OVERFLOW, text), leg, cx);
            return (sid, None);
        }
        self.open.push(open);
        cx.command(leg.profile.sid, Command::Resolve { req, targets });
        (sid, Some(req))
    }

    /// The ways to the recipient of a message. Whether it is one of these messages, which has left
    /// now, or never will.
    pub(crate) fn handle_routes(
        &mut self,
        answered: Req,
        routes: Vec<Result<Vec<Route>, Unreachable>>,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> bool {
        let Some(at) = self.that_waits_for(answered) else {
            return false;
        };
        let found = routes.into_iter().next().unwrap_or(Ok(Vec::new()));
        // Of several phones the one that registered last gets it.
        let route = found.map(|routes| routes.into_iter().next());
        match route {
            Ok(Some(route)) => {
                let req = cx.req();
                let open = &mut self.open[at];
                open.req = req;
                let message = Box::new(OutgoingMessage {
                    route,
                    from: open.record.from.clone(),
                    text: open.record.body.clone(),
                });
                cx.command(leg.profile.sid, Command::SendMessage { req, message });
            }
            Ok(None) => self.over(at, unreachable("there is no way to it"), leg, cx),
            Err(why) => self.over(at, unreachable(&why.text), leg, cx),
        }
        true
    }

    /// The final response to a message.
    pub(crate) fn handle_answer(
        &mut self,
        answered: Req,
        status: u16,
        phrase: &str,
        leg: &mut Leg,
        cx: &mut Context,
    ) {
        if let Some(at) = self.that_waits_for(answered) {
            self.over(at, End::of_response(status, phrase), leg, cx);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.iter().map(|open| open.until).min()
    }

    /// Gives up one message whose time is up, if there is one. Returns what it waited for.
    pub(crate) fn give_up(&mut self, leg: &mut Leg, cx: &mut Context) -> Option<Req> {
        let at = self.open.iter().position(|open| open.until <= cx.now)?;
        let waited = self.open[at].req;
        self.over(at, unreachable("no answer came"), leg, cx);
        Some(waited)
    }

    fn that_waits_for(&self, answered: Req) -> Option<usize> {
        self.open.iter().position(|open| open.req == answered)
    }

    fn over(&mut self, at: usize, end: End, leg: &mut Leg, cx: &mut Context) {
        let open = self.open.remove(at);
        message_ends(open, end, leg, cx);
    }
}

fn message_ends(open: OpenMessage, end: End, leg: &mut Leg, cx: &mut Context) {
    let mut message = open.record;
    message.status = end.status;
    message.error_code = end.error_code;
    message.updated = cx.now;
    message.sent = (end.status == MessageStatus::Sent).then_some(cx.now);
    if let Some(code) = end.error_code {
        let text = format!(
            "the message to {} was not taken: {}",
            message.to, end.reason
        );
        cx.notify(leg.profile.about(None), code, &text);
    }
    message.reason = Some(end.reason);
    let callback = open.farewell.map(|farewell| {
        let mut farewell = farewell;
        farewell.follow(leg.reporter.next_number());
        farewell.callback(&message, cx.event_sid())
    });
    cx.fact(Fact::MessageEnded {
        message: Box::new(message),
        tells: callback.as_ref().map(|callback| callback.event),
    });
    if let Some(callback) = callback {
        cx.fact(Fact::Callback(callback));
    }
}

fn unreachable(reason: &str) -> End {
    End::failed(error::MESSAGE_UNREACHABLE, reason.to_owned())
}

fn message_params(message: &Message, dialect: Dialect) -> Params {
    let mut params = Params::with_capacity(12);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("MessageSid", message.sid.to_string());
    add("SmsSid", message.sid.to_string());
    add("AccountSid", message.account.to_string());
    if let Some(call) = message.call {
        add("CallSid", call.to_string());
    }
    add("From", message.from.clone());
    add("To", message.to.clone());
    add("Body", message.body.clone());
    add("ApiVersion", dialect.api_version.to_owned());
    params
}

/// A party as records and applications may see it.
fn without_password(party: &str) -> String {
    if party.contains('@') {
        redacted_sip(party)
    } else {
        party.to_owned()
    }
}
