//! `<Sms>`: sends a text message. The document continues once it was sent, without waiting for the
//! answer.

use model::{HttpMethod, MessageSid, MessageStatus};
use rcml::Sms;

use super::verb::{Running, Site, Step};
use crate::callback::CallbackTarget;
use crate::context::Context;
use crate::event::Req;
use crate::fact::Reason;

/// An `<Sms>` whose message has not yet been sent.
struct Sending {
    req: Req,
    action: Option<Action>,
}

/// Where the document continues.
struct Action {
    url: String,
    method: HttpMethod,
    message: MessageSid,
}

pub(super) fn start(sms: &Sms, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if !sms.is_sendable() {
        // The owner was notified when the document was read.
        site.run.abandon();
        let why = Reason::MessageInvalid;
        site.leg.fail(500, "Sms cannot be sent", why, cx);
        return Step::End;
    }
    let Some(action) = optional_address(sms.action.as_deref(), site, cx) else {
        return site.bad_address(cx);
    };
    let Some(callback) = optional_address(sms.status_callback.as_deref(), site, cx) else {
        return site.bad_address(cx);
    };
    let callback = callback.map(|url| CallbackTarget {
        url,
        method: sms.method,
        author: site.author(),
    });
    if let Some(url) = &action
        && site.count_redirect(cx)
    {
        return site.redirect_loop(url, cx);
    }
    let (message, req) = site
        .messages
        .send((sms, site.run.author), callback, site.leg, cx);
    let action = action.map(|url| Action {
        url,
        method: sms.method,
        message,
    });
    match req {
        Some(req) => Step::Run(Box::new(Sending { req, action })),
        None => after_message(action, site, cx),
    }
}

impl Running for Sending {
    fn message_left(&mut self, left: Req, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.req != left {
            return Step::Wait;
        }
        after_message(self.action.take(), site, cx)
    }

    fn leg_is_over(&mut self, _reason: Reason, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        Step::Wait
    }

    fn keeps_keys(&self) -> bool {
        true
    }
}

fn after_message(action: Option<Action>, site: &Site<'_>, cx: &mut Context) -> Step {
    let Some(Action {
        url,
        method,
        message,
    }) = action
    else {
        return Step::Next;
    };
    let mut params = site.voice_params(cx);
    params.push(("SmsSid".to_owned(), message.to_string()));
    params.push(("MessageSid".to_owned(), message.to_string()));
    let status = MessageStatus::Sending.as_str().to_owned();
    params.push(("SmsStatus".to_owned(), status));
    site.fetch(url, method, params, cx)
}

/// An optional address; `None` if it is present but unusable.
fn optional_address(
    written: Option<&str>,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Option<Option<String>> {
    match written {
        None => Some(None),
        Some(written) => site.address(written, cx).map(Some),
    }
}
