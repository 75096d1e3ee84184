//! The text messages of a call: each is sent by the document of a leg and reports on the lane of that leg.
//!
//! **Invariant: the call is not forgotten before each of its messages has ended**, even after its
//! leg has ended.

use model::profile::Traffic;
use model::record::Message;
use model::{
    AccountSid, Bare, MessageDirection, MessageSid, MessageStatus, Target, Timestamp, error, number,
};

use super::{End, Sending, Step, message_params, problem, without_password};
use crate::callback::CallbackTarget;
use crate::command::Command;
use crate::context::Context;
use crate::event::{Req, Route, Unreachable};
use crate::fact::Fact;
use crate::farewell::MessageFarewell;
use crate::leg::Leg;
use crate::params::Headers;

/// Maximum pending messages of one call, so that a document cannot send an unlimited number.
const MAX_OPEN: usize = 50;

/// A pending message.
struct OpenMessage {
    /// The request that the message waits for: first the routes, then the answer.
    req: Req,
    sending: Sending,
}

/// The pending messages of a call.
#[derive(Default)]
pub(crate) struct Messages {
    open: Vec<OpenMessage>,
    /// How many e-mails its documents have sent.
    pub(crate) emails: usize,
}

impl Messages {
    /// Records a message and starts sending it. Returns it with the request that it waits for
    /// before it is sent; `None` if it has already ended.
    ///
    /// - `author`: of the document with the verb
    /// - `callback`: receives the outcome.
    pub(crate) fn send(
        &mut self,
        (sms, author): (&rcml::Sms, AccountSid),
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
        let to = &number::tidy(sms.to.as_ref().unwrap_or(theirs));
        let targets = vec![Target::parse(to, Bare::ClientOrNumber)];
        let record = Message {
            sid: cx.message_sid(),
            instance: cx.settings.instance,
            account: profile.account,
            call: Some(profile.sid),
            from: without_password(&number::tidy(sms.from.as_ref().unwrap_or(ours))),
            to: without_password(to),
            body: sms.text.clone(),
            direction: MessageDirection::OutboundCall,
            status: MessageStatus::Sending,
            error_code: None,
            reason: None,
            created: cx.now,
            updated: cx.now,
            sent: None,
            forwarding: None,
        };
        let farewell = callback.map(|target| {
            let params = message_params(&record, leg.profile.dialect);
            MessageFarewell::new(leg.reporter.queued(), target, params)
        });
        cx.fact(Fact::MessageCreated {
            message: Box::new(record.clone()),
            farewell: farewell.clone().map(Box::new),
        });
        let (sid, req, from) = (record.sid, cx.req(), record.from.clone());
        let mut sending = Sending::new(record, Headers::new(), farewell, cx.now);
        if self.open.len() >= MAX_OPEN {
            let text = format!("{MAX_OPEN} messages of the call are in transit");
            let end = End::failed(error::MESSAGE_OVERFLOW, text);
            if let Some(Step::Ended(message, farewell)) = sending.end(end, cx.now) {
                ended(message, farewell, leg, cx);
            }
            return (sid, None);
        }
        self.open.push(OpenMessage { req, sending });
        cx.command(
            leg.profile.sid,
            Command::Resolve {
                req,
                author,
                account: leg.profile.account,
                traffic: Traffic::OutboundTexts,
                from: Some(from),
                targets,
            },
        );
        (sid, Some(req))
    }

    /// Whether one of these messages waits for the answer to this request.
    pub(crate) fn wait_for(&self, req: Req) -> bool {
        self.that_waits_for(req).is_some()
    }

    /// The routes to the recipient of a message, which has now been sent, or failed.
    pub(crate) fn handle_routes(
        &mut self,
        answered: Req,
        routes: Vec<Result<Vec<Route>, Unreachable>>,
        leg: &mut Leg,
        cx: &mut Context,
    ) {
        let Some(at) = self.that_waits_for(answered) else {
            return;
        };
        let found = routes.into_iter().next().unwrap_or(Ok(Vec::new()));
        let step = self.open[at].sending.handle_routes(found, cx.now);
        self.follow(at, step, leg, cx);
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
            let sending = &mut self.open[at].sending;
            let step = sending.handle_answer(status, phrase, cx.now);
            self.follow(at, step, leg, cx);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let open = self.open.iter();
        open.filter_map(|open| open.sending.poll_timeout()).min()
    }

    /// Gives up one message whose time is up, if there is one. Returns the request that it waited
    /// for.
    pub(crate) fn give_up(&mut self, leg: &mut Leg, cx: &mut Context) -> Option<Req> {
        let now = cx.now;
        let is_due = |until: Timestamp| until <= now;
        let due = |open: &OpenMessage| open.sending.poll_timeout().is_some_and(is_due);
        let at = self.open.iter().position(due)?;
        let waited = self.open[at].req;
        let step = self.open[at].sending.handle_timeout(now);
        self.follow(at, step, leg, cx);
        Some(waited)
    }

    fn that_waits_for(&self, answered: Req) -> Option<usize> {
        self.open.iter().position(|open| open.req == answered)
    }

    fn follow(&mut self, at: usize, step: Option<Step>, leg: &mut Leg, cx: &mut Context) {
        match step {
            Some(Step::Send(message)) => {
                let req = cx.req();
                self.open[at].req = req;
                cx.command(leg.profile.sid, Command::SendMessage { req, message });
            }
            Some(Step::Ended(message, farewell)) => {
                self.open.remove(at);
                ended(message, farewell, leg, cx);
            }
            None => {}
        }
    }
}

fn ended(
    message: Box<Message>,
    farewell: Option<MessageFarewell>,
    leg: &mut Leg,
    cx: &mut Context,
) {
    if let Some((code, text)) = problem(&message) {
        cx.notify(leg.profile.about(None), code, &text);
    }
    let callback = farewell.map(|mut farewell| {
        farewell.follow(leg.reporter.next_number());
        farewell.callback(&message, cx.event_sid())
    });
    cx.fact(Fact::MessageEnded {
        message,
        tells: callback.as_ref().map(|callback| callback.event),
    });
    if let Some(callback) = callback {
        cx.fact(Fact::Callback(callback));
    }
}
