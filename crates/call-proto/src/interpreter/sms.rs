//! `<Sms>`: send a text message. The document goes on when it has left, and does not wait for the
//! answer.

use model::{HttpMethod, MessageSid, MessageStatus};
use rcml::Sms;

use super::document::Purpose;
use super::{Next, State};
use crate::call::Call;
use crate::callback::CallbackTarget;
use crate::context::Context;
use crate::event::Req;
use crate::fact::Reason;

/// Where the document goes on.
pub(super) struct Action {
    url: String,
    method: HttpMethod,
    message: MessageSid,
}

impl Call {
    pub(super) fn sms_verb(&mut self, sms: &Sms, cx: &mut Context) -> Next {
        if !sms.is_sendable() {
            // The owner was told when the document was read.
            if let Some(run) = &mut self.run {
                run.abandon();
            }
            self.fail(500, "Sms cannot be sent", Reason::MessageInvalid, cx);
            return Next::End;
        }
        let Some(action) = self.optional_address(sms.action.as_deref(), cx) else {
            return self.bad_address(cx);
        };
        let Some(callback) = self.optional_address(sms.status_callback.as_deref(), cx) else {
            return self.bad_address(cx);
        };
        let callback = callback.map(|url| CallbackTarget {
            url,
            method: sms.method,
            author: self.author(),
        });
        if let Some(url) = &action
            && self.count_redirect(cx)
        {
            return self.redirect_loop(url, cx);
        }
        let (message, req) = self.send_message(sms, callback, cx);
        let action = action.map(|url| Action {
            url,
            method: sms.method,
            message,
        });
        match req {
            Some(req) => Next::Wait(State::Sending { req, action }),
            None => self.after_message(action, cx),
        }
    }

    /// A message has left, or never will: the document goes on if it waited for this one.
    pub(crate) fn message_left(&mut self, left: Req, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        let State::Sending { req, action } = &mut run.state else {
            return;
        };
        if *req != left {
            return;
        }
        let action = action.take();
        run.state = State::Ready;
        let next = self.after_message(action, cx);
        if let (Next::Wait(state), Some(run)) = (next, &mut self.run) {
            run.state = state;
        }
        self.advance(cx);
    }

    fn after_message(&mut self, action: Option<Action>, cx: &mut Context) -> Next {
        let Some(Action {
            url,
            method,
            message,
        }) = action
        else {
            return Next::Verb;
        };
        let mut params = self.voice_params(cx);
        params.push(("SmsSid".to_owned(), message.to_string()));
        params.push(("MessageSid".to_owned(), message.to_string()));
        let status = MessageStatus::Sending.as_str().to_owned();
        params.push(("SmsStatus".to_owned(), status));
        Next::Wait(self.fetch(url, method, params, Purpose::FollowUp, cx))
    }

    /// An address that may be left out; `None` if it is there and cannot be used.
    fn optional_address(&self, written: Option<&str>, cx: &mut Context) -> Option<Option<String>> {
        match written {
            None => Some(None),
            Some(written) => self.address(written, cx).map(Some),
        }
    }
}
