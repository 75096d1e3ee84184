//! One text message, from the look-up of its recipient to the answer (RFC 3428).
//!
//! The machine does not depend on a call: the leg whose `<Sms>` sent the message drives it
//! (`of_call`), or the message has its own machine (`alone`).
//! The document of a message that arrived is run by another one (`run`), which sends messages of
//! the second kind. **Invariant: a message that was
//! created ends exactly once, with a final status and a reason.** Left to others: request numbers,
//! records, and callbacks.

mod alone;
mod keyword;
mod of_call;
mod run;

use std::time::Duration;

use model::address::redacted_sip;
use model::record::Message;
use model::{MessageStatus, Timestamp, error};

use crate::command::OutgoingMessage;
use crate::dialect::Dialect;
use crate::event::{Route, Unreachable};
use crate::farewell::MessageFarewell;
use crate::params::{Headers, Params};

pub use alone::{MessageCommand, TextMessage};
pub use keyword::Keyword;
pub(crate) use of_call::Messages;
pub use run::{RunCommand, TextArrival, TextRun};

/// The SIP side stops waiting for an answer after 32 s (RFC 3261 §17.1.2.2, timer F), and again as
/// long if it is challenged; no answer comes after this time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A message that has a record and is `sending`.
struct Sending {
    record: Message,
    /// The text to send, if it is not that of the record.
    text: Option<String>,
    /// Further header fields.
    headers: Headers,
    farewell: Option<MessageFarewell>,
    state: State,
    /// The final response, once there is one.
    response: Option<(u16, String)>,
    /// The wait ends at this time.
    until: Timestamp,
    /// Its validity period ends then.
    expires: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The routes to the recipient are being resolved.
    Routing,
    /// Sent to the next server or phone.
    Asking,
    /// It has ended.
    Over,
}

/// The result of an input.
enum Step {
    /// Send this.
    Send(Box<OutgoingMessage>),
    /// The message ended: its final record, and its callback.
    Ended(Box<Message>, Option<MessageFarewell>),
}

impl Sending {
    /// A new message. The look-up of its recipient must follow.
    fn new(
        record: Message,
        headers: Headers,
        farewell: Option<MessageFarewell>,
        now: Timestamp,
    ) -> Self {
        Self {
            record,
            text: None,
            headers,
            farewell,
            state: State::Routing,
            response: None,
            until: now + PATIENCE,
            expires: false,
        }
    }

    /// The same, given up after this time if that is sooner.
    fn within(mut self, validity: Option<Duration>, now: Timestamp) -> Self {
        if let Some(validity) = validity.filter(|validity| *validity < PATIENCE) {
            self.until = now + validity;
            self.expires = true;
        }
        self
    }

    /// The routes to the recipient, or why there are none. Ignored once they are known.
    fn handle_routes(
        &mut self,
        found: Result<Vec<Route>, Unreachable>,
        now: Timestamp,
    ) -> Option<Step> {
        if self.state != State::Routing {
            return None;
        }
        // Of several phones, the most recently registered one gets it.
        match found.map(|routes| routes.into_iter().next()) {
            Ok(Some(route)) => {
                self.state = State::Asking;
                Some(Step::Send(Box::new(OutgoingMessage {
                    route,
                    from: model::target::caller(&self.record.from).to_owned(),
                    text: self.text.take().unwrap_or_else(|| self.record.body.clone()),
                    headers: self.headers.clone(),
                })))
            }
            Ok(None) => self.end(End::unreachable("there is no route to it"), now),
            Err(why) if why.is_unknown => {
                let code = error::MESSAGE_UNKNOWN_RECIPIENT;
                self.end(End::failed(code, why.text), now)
            }
            Err(why) if why.code == error::OPTED_OUT => {
                self.end(End::failed(why.code, why.text), now)
            }
            Err(why) => self.end(End::unreachable(&why.text), now),
        }
    }

    /// The final response. Ignored before the message was sent.
    fn handle_answer(&mut self, status: u16, phrase: &str, now: Timestamp) -> Option<Step> {
        match self.state {
            State::Asking => {
                self.response = Some((status, phrase.to_owned()));
                self.end(End::of_response(status, phrase), now)
            }
            State::Routing | State::Over => None,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) -> Option<Step> {
        if self.poll_timeout()? > now {
            return None;
        }
        let reason = "no response came";
        let end = if self.expires {
            End::failed(error::MESSAGE_EXPIRED, reason.to_owned())
        } else {
            End::unreachable(reason)
        };
        self.end(end, now)
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.state {
            State::Routing | State::Asking => Some(self.until),
            State::Over => None,
        }
    }

    /// Ends the message, unless it has ended.
    fn end(&mut self, end: End, now: Timestamp) -> Option<Step> {
        if self.state == State::Over {
            return None;
        }
        self.state = State::Over;
        let message = &mut self.record;
        message.status = end.status;
        message.error_code = end.error_code;
        message.updated = now;
        message.sent = (end.status == MessageStatus::Sent).then_some(now);
        message.reason = Some(end.reason);
        let record = Box::new(message.clone());
        Some(Step::Ended(record, self.farewell.take()))
    }
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

    fn unreachable(reason: &str) -> Self {
        Self::failed(error::MESSAGE_UNREACHABLE, reason.to_owned())
    }

    /// The meaning of a final response.
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

/// The notification for the owner of the account; `None` if the message was sent.
pub(crate) fn problem(message: &Message) -> Option<(u16, String)> {
    let code = message.error_code?;
    let reason = message.reason.as_deref().unwrap_or_default();
    let to = &message.to;
    Some((
        code,
        format!("the message to {to} was not accepted: {reason}"),
    ))
}

pub(crate) fn message_params(message: &Message, dialect: Dialect) -> Params {
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

/// A party as shown to records and applications.
pub(crate) fn without_password(party: &str) -> String {
    if party.contains('@') {
        redacted_sip(party)
    } else {
        party.to_owned()
    }
}
