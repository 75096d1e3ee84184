//! Messages that are sent later: their records, and the end of those that are not sent.
//!
//! **Invariant: nothing is reported before the message leaves the status `scheduled`**; then the callbacks are those of
//! any other message, or the one about its end. Left to others: when its time comes (`call`), and who is first (the store).

use std::time::Duration;

use model::record::{Message, Notification};
use model::{MessageSid, MessageStatus, NotificationSid, Timestamp};

use super::{Move, VALIDITY};
use crate::context::Settings;
use crate::farewell::MessageFarewell;
use crate::ids::Ids;
use crate::message::{message_params, problem, without_password};
use crate::request::NewMessage;

/// The record of a message that is sent later.
///
/// - `seed`: must not be predictable.
#[must_use]
pub fn schedule(settings: &Settings, new: &NewMessage, seed: u64, now: Timestamp) -> Message {
    Message {
        sid: MessageSid::new(now, Ids::new(seed).bytes()),
        instance: settings.instance,
        account: new.account,
        call: None,
        from: without_password(&new.from),
        to: without_password(&new.to),
        body: new.recorded_as.clone().unwrap_or_else(|| new.body.clone()),
        direction: new.direction,
        status: MessageStatus::Scheduled,
        error_code: None,
        reason: None,
        created: now,
        updated: now,
        sent: None,
        forwarding: None,
    }
}

/// How long a message may be tried once its time has come; `None` if its validity period, which begins then, is over: no
/// server was running.
#[must_use]
pub fn validity_left(new: &NewMessage, send_at: Timestamp, now: Timestamp) -> Option<Duration> {
    let validity = new.validity.unwrap_or(VALIDITY);
    let late = now.since(send_at);
    validity.checked_sub(late).filter(|left| !left.is_zero())
}

/// The end of a message that is not sent: canceled, or failed with a number of the error table.
///
/// - `new`: what was to be sent; `None` if that cannot be read, so that there is no callback
/// - `seed`: must not be predictable.
#[must_use]
pub fn unsent(
    message: &Message,
    new: Option<&NewMessage>,
    (code, reason): (Option<u16>, &str),
    seed: u64,
    now: Timestamp,
) -> Move {
    let mut ids = Ids::new(seed);
    let message = Box::new(Message {
        status: match code {
            Some(_) => MessageStatus::Failed,
            None => MessageStatus::Canceled,
        },
        error_code: code,
        reason: Some(reason.to_owned()),
        updated: now.max(message.updated),
        ..message.clone()
    });
    let target = new.and_then(|new| Some((new.callback.clone()?, new.dialect)));
    let callback = target.map(|(target, dialect)| {
        let farewell = MessageFarewell::new(0, target, message_params(&message, dialect));
        farewell.callback(&message, ids.event(now))
    });
    let notification = problem(&message).map(|(code, text)| {
        let sid = NotificationSid::new(now, ids.bytes());
        Notification {
            lane: message.lane(),
            ..Notification::of_account(sid, message.account, code, text, now)
        }
    });
    Move {
        message,
        expected: MessageStatus::Scheduled,
        attempt: None,
        parts: Vec::new(),
        callback,
        notification,
    }
}
