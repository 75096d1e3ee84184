//! A text message outside of calls: a separate machine, with its own record, callbacks and trace.
//!
//! **Invariant: its callbacks are `sending`, when its record is created, and then one final
//! status.** The first commit holds both the record and the first callback, so that a crash leaves
//! both or neither. Left to others: SIP, look-ups and storage, and recovery after a crash.

use model::address::redacted_sip;
use model::record::{Callback, Message, Notification};
use model::{Bare, MessageDirection, MessageStatus, NotificationSid, Target, Timestamp, error};

use super::{End, Sending, Step, message_params, problem, without_password};
use crate::command::OutgoingMessage;
use crate::context::Settings;
use crate::event::{Route, Unreachable};
use crate::fact::Fact;
use crate::farewell::MessageFarewell;
use crate::ids::Ids;
use crate::request::NewMessage;
use crate::trace::{Entry, Lane, Way, target_in_words};

/// A message's commands, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum MessageCommand {
    /// Commit these facts together, before carrying out any later command.
    Commit(Vec<Fact>),
    /// Look up the routes to the recipient → [`TextMessage::handle_routes`].
    Resolve(Target),
    /// Send this → [`TextMessage::handle_answer`].
    Send(Box<OutgoingMessage>),
    /// An entry for its trace.
    Trace(Entry),
}

/// A text message being sent.
pub struct TextMessage {
    sending: Sending,
    ids: Ids,
    commands: Vec<MessageCommand>,
}

impl TextMessage {
    /// Creates the record and requests the look-up of the recipient.
    ///
    /// `seed` must not be predictable: identifiers are generated from it.
    #[must_use]
    pub fn new(settings: &Settings, new: NewMessage, seed: u64, now: Timestamp) -> Self {
        let mut ids = Ids::new(seed);
        let target = Target::parse(&new.to, Bare::ClientOrNumber);
        let (sid, created) = (new.sid(now, &mut ids), new.created(now));
        let validity = new.validity;
        let (body, unrecorded) = match new.recorded_as {
            Some(shown) => (shown, Some(new.body)),
            None => (new.body, None),
        };
        let record = Message {
            sid,
            instance: settings.instance,
            account: new.account,
            call: None,
            from: without_password(&new.from),
            to: without_password(&new.to),
            body,
            direction: new.direction,
            status: MessageStatus::Sending,
            error_code: None,
            reason: None,
            created,
            updated: now,
            sent: None,
            forwarding: None,
        };
        let (dialect, direction) = (new.dialect, new.direction);
        let first = new
            .callback
            .map(|target| MessageFarewell::new(0, target, message_params(&record, dialect)));
        let mut last = first.clone();
        if let Some(last) = &mut last {
            last.follow(1);
        }
        let mut facts = vec![Fact::MessageCreated {
            message: Box::new(record.clone()),
            farewell: last.clone().map(Box::new),
        }];
        let told = first.map(|first| first.callback(&record, ids.event(now)));
        facts.extend(told.map(Fact::Callback));
        let mut message = Self {
            sending: Sending {
                text: unrecorded,
                ..Sending::new(record, new.headers, last, now).within(validity, now)
            },
            ids,
            commands: vec![MessageCommand::Commit(facts)],
        };
        let asked = match direction {
            MessageDirection::OutboundApi => "POST Messages",
            MessageDirection::OutboundReply => "<Sms>",
            MessageDirection::OutboundCall | MessageDirection::Inbound => "MESSAGE",
        };
        message.trace(now, Lane::Api, Way::In, asked, "");
        let words = target_in_words(&target);
        message.trace(now, Lane::Sip, Way::Out, "look up", &words);
        message.commands.push(MessageCommand::Resolve(target));
        message
    }

    /// The record as it is now.
    #[must_use]
    pub fn record(&self) -> &Message {
        &self.sending.record
    }

    /// The routes to the recipient, most recently registered phone first, or why there are none.
    /// Ignored once they are known.
    pub fn handle_routes(&mut self, found: Result<Vec<Route>, Unreachable>, now: Timestamp) {
        let ways = found.as_ref().map_or(0, Vec::len).to_string();
        self.trace(now, Lane::Sip, Way::In, "routes", &ways);
        let step = self.sending.handle_routes(found, now);
        self.follow(step, now);
    }

    /// The final response: 408 if none came, 503 if there was no route. Ignored before the message
    /// was sent and after its end.
    pub fn handle_answer(&mut self, status: u16, phrase: &str, now: Timestamp) {
        let what = format!("{status} to MESSAGE");
        self.trace(now, Lane::Sip, Way::In, &what, phrase);
        let step = self.sending.handle_answer(status, phrase, now);
        self.follow(step, now);
    }

    /// Call when [`poll_timeout`](Self::poll_timeout) is reached.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let step = self.sending.handle_timeout(now);
        self.follow(step, now);
    }

    /// The server is stopping: whether the message arrives is unknown.
    pub fn shut_down(&mut self, now: Timestamp) {
        let end = End::failed(error::MESSAGE_FAILED, "the server was stopped".to_owned());
        let step = self.sending.end(end, now);
        self.follow(step, now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.sending.poll_timeout()
    }

    /// The commands to carry out, in order.
    pub fn poll_commands(&mut self) -> Vec<MessageCommand> {
        std::mem::take(&mut self.commands)
    }

    /// The final response, or what it would be if the recipient said what became of the message.
    #[must_use]
    pub fn outcome(&self) -> (u16, String) {
        let known = self.sending.response.clone();
        known.unwrap_or_else(|| {
            let status = match (self.record().status, self.record().error_code) {
                (MessageStatus::Sent | MessageStatus::Sending, _) => 202,
                (_, Some(error::MESSAGE_UNKNOWN_RECIPIENT)) => 404,
                _ => 480,
            };
            (status, String::new())
        })
    }

    /// Whether it has its final status.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.poll_timeout().is_none()
    }

    fn follow(&mut self, step: Option<Step>, now: Timestamp) {
        match step {
            Some(Step::Send(message)) => {
                let to = redacted_sip(&message.route.uri);
                self.trace(now, Lane::Sip, Way::Out, "MESSAGE", &to);
                self.commands.push(MessageCommand::Send(message));
            }
            Some(Step::Ended(message, farewell)) => self.ended(message, farewell, now),
            None => {}
        }
    }

    fn ended(&mut self, message: Box<Message>, farewell: Option<MessageFarewell>, now: Timestamp) {
        let mut facts = Vec::with_capacity(3);
        if let Some((code, text)) = problem(&message) {
            facts.push(Fact::Notified(self.notification(&message, code, text)));
        }
        let reason = message.reason.clone().unwrap_or_default();
        self.trace(now, Lane::Fact, Way::Here, message.status.as_str(), &reason);
        let callback: Option<Callback> =
            farewell.map(|farewell| farewell.callback(&message, self.ids.event(now)));
        facts.push(Fact::MessageEnded {
            message,
            tells: callback.as_ref().map(|callback| callback.event),
        });
        facts.extend(callback.map(Fact::Callback));
        self.commands.push(MessageCommand::Commit(facts));
    }

    fn notification(&mut self, message: &Message, code: u16, text: String) -> Notification {
        let sid = NotificationSid::new(message.updated, self.ids.bytes());
        Notification {
            lane: message.lane(),
            ..Notification::of_account(sid, message.account, code, text, message.updated)
        }
    }

    fn trace(&mut self, now: Timestamp, lane: Lane, way: Way, what: &str, detail: &str) {
        self.commands.push(MessageCommand::Trace(Entry {
            at: now,
            owner: self.sending.record.lane(),
            lane,
            way,
            what: what.to_owned(),
            detail: detail.to_owned(),
        }));
    }
}
