//! What goes into the [`Forwarder`](super::Forwarder), and what comes out of it.

use std::time::Duration;

use model::message_route::Forwarding;
use model::record::{Callback, Message, Notification};
use model::{AccountSid, MessageRouteSid, MessageSid, MessageStatus, Timestamp};

use crate::context::Settings;
use crate::farewell::MessageFarewell;
use crate::ids::Ids;
use crate::message::{message_params, without_password};
use crate::request::NewMessage;

/// Validity period of a message that does not have its own.
pub const VALIDITY: Duration = Duration::from_secs(4 * 3600);

/// A message that waits, with what is needed to report on it.
#[derive(Clone, PartialEq, Debug)]
pub struct Queued {
    /// The record; its forwarding is set.
    pub message: Message,
    /// Makes the callbacks.
    pub farewell: Option<MessageFarewell>,
    /// Its account and those above it.
    pub accounts: Vec<AccountSid>,
    /// Whether its account is active.
    pub is_active: bool,
    /// The text to send, if it is not that of the record.
    pub text: Option<String>,
}

/// What a provider said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took the message, and calls its parts so.
    Accepted(Vec<String>),
    /// It will never take it: number of the error table, and reason.
    Refused(u16, String),
    /// It cannot take it now.
    Unavailable(String),
    /// It is not known whether it took the message.
    Doubtful(String),
    /// Nothing was sent: the link went down first.
    NotSent,
    /// Nothing was sent, since the provider asked for a pause: it waits for the same route.
    Returned,
}

/// A change of a message's record, and what follows from it; all of it in one commit.
#[derive(Clone, PartialEq, Debug)]
pub struct Move {
    /// The record with its new values.
    pub message: Box<Message>,
    /// Its status before: the change applies only to that.
    pub expected: MessageStatus,
    /// The number of its attempts before, if only this server may make the change: then it applies only as long as the
    /// message has that number and belongs to this server.
    pub attempt: Option<i64>,
    /// What the provider calls its parts.
    pub parts: Vec<String>,
    /// Reports the new status.
    pub callback: Option<Callback>,
    /// Tells the account's owner.
    pub notification: Option<Notification>,
}

/// What to do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum ForwardCommand {
    /// Commit this claim → [`Forwarder::handle_claimed`](super::Forwarder::handle_claimed).
    Claim(Move),
    /// Commit this, as often as it takes.
    Commit(Move),
    /// Give the message to the provider → [`Forwarder::handle_outcome`](super::Forwarder::handle_outcome).
    Submit(MessageRouteSid, Box<Message>),
    /// Read so many messages after the place → [`Forwarder::handle_loaded`](super::Forwarder::handle_loaded).
    Load(Option<(Timestamp, MessageSid)>, usize),
    /// Read the messages of this server that are on record as being sent → [`Forwarder::handle_in_doubt`](super::Forwarder::handle_in_doubt).
    LoadInDoubt,
}

/// The state of a route, reported by its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RouteState {
    /// Whether it can take messages.
    pub is_up: bool,
    /// Most messages that it takes at a time.
    pub limit: usize,
}

/// A new message for a route: its record, its farewell, and the callback that it is queued.
///
/// - `validity`: how long it may be tried
/// - `segments`: number of short messages that it takes
/// - `seed`: must not be predictable.
#[must_use]
pub fn enqueue(
    settings: &Settings,
    new: NewMessage,
    segments: usize,
    seed: u64,
    now: Timestamp,
) -> (Message, Option<MessageFarewell>, Option<Callback>) {
    let mut ids = Ids::new(seed);
    let validity = new.validity.unwrap_or(VALIDITY);
    let (sid, created) = (new.sid(now, &mut ids), new.created(now));
    let record = Message {
        sid,
        instance: settings.instance,
        account: new.account,
        call: None,
        from: without_password(&new.from),
        to: without_password(&new.to),
        body: new.recorded_as.unwrap_or(new.body),
        direction: new.direction,
        status: MessageStatus::Queued,
        error_code: None,
        reason: None,
        created,
        updated: now,
        sent: None,
        forwarding: Some(Forwarding {
            expires: now + validity,
            due: now,
            attempts: 0,
            doubts: 0,
            segments: i64::try_from(segments).unwrap_or(i64::MAX),
            route: None,
            provider_id: None,
            price: None,
        }),
    };
    // Without the text, which can be removed from the record before the message is delivered.
    let mut params = message_params(&record, new.dialect);
    params.retain(|(name, _)| name != "Body");
    let farewell = new
        .callback
        .map(|target| MessageFarewell::new(0, target, params));
    let told = farewell.clone();
    let told = told.map(|farewell| farewell.callback(&record, ids.event(now)));
    (record, farewell, told)
}

impl Move {
    /// Nothing but the change.
    pub(super) fn of(message: &Message, expected: MessageStatus, attempt: i64) -> Self {
        Self {
            message: Box::new(message.clone()),
            expected,
            attempt: Some(attempt),
            parts: Vec::new(),
            callback: None,
            notification: None,
        }
    }
}
