//! Facts as texts of a journal, without the lanes of calls.
//!
//! A callback, message, recording or notification of a call names only that call, as it did when
//! only calls could own one. **Invariant: a journal from a server without lanes replays
//! identically.** Facts of other owners have their derived `Debug` text.

use std::fmt;

use model::record::{Callback, Message, Notification, Recording, RecordingKind, StartedRecording};
use model::{CallSid, Lane};

use crate::fact::Fact;

/// Formats a fact as in journals.
pub(super) struct FactText<'a>(&'a Fact);

impl<'a> FactText<'a> {
    /// All but the ends of empty or failed recordings without callbacks, which were not facts once.
    pub(super) fn all(facts: &'a [Fact]) -> Vec<Self> {
        let is_new = |fact: &Fact| {
            matches!(
                fact,
                Fact::RecordingClosed { tells: None, .. }
                    | Fact::RecordingReported { tells: None, .. }
            )
        };
        let is_old = |fact: &&Fact| !is_new(fact);
        facts.iter().filter(is_old).map(Self).collect()
    }
}

impl fmt::Debug for FactText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fact::Callback(callback) => match owner(callback.lane, callback.call) {
                Some(call) => {
                    let text = of_callback(callback, call);
                    f.debug_tuple("Callback").field(&text).finish()
                }
                None => self.0.fmt(f),
            },
            Fact::MessageCreated { message, farewell } => match message.call {
                Some(call) => f
                    .debug_struct("MessageCreated")
                    .field("message", &of_message(message, call))
                    .field("farewell", farewell)
                    .finish(),
                None => self.0.fmt(f),
            },
            Fact::MessageEnded { message, tells } => match message.call {
                Some(call) => f
                    .debug_struct("MessageEnded")
                    .field("message", &of_message(message, call))
                    .field("tells", tells)
                    .finish(),
                None => self.0.fmt(f),
            },
            Fact::RecordingStarted {
                started,
                farewell: None,
            } if started.kind == RecordingKind::default() => {
                match (started.call, started.conference) {
                    (Some(call), None) => f
                        .debug_tuple("RecordingStarted")
                        .field(&of_started(started, call))
                        .finish(),
                    _ => self.0.fmt(f),
                }
            }
            Fact::Recorded(recording) => match (recording.call, recording.conference) {
                (Some(call), None) if recording.kind == RecordingKind::default() => f
                    .debug_tuple("Recorded")
                    .field(&of_recording(recording, call))
                    .finish(),
                _ => self.0.fmt(f),
            },
            Fact::Notified(notification) => match owner(notification.lane, notification.call) {
                Some(_) => {
                    let text = of_notification(notification);
                    f.debug_tuple("Notified").field(&text).finish()
                }
                None => self.0.fmt(f),
            },
            Fact::Created(_)
            | Fact::Ringing { .. }
            | Fact::Answered { .. }
            | Fact::AnsweredBy { .. }
            | Fact::Ended { .. }
            | Fact::Farewell { .. }
            | Fact::Interacted(_)
            | Fact::InteractionSent { .. }
            | Fact::MessageArrived { .. }
            | Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::ConferenceFarewell { .. }
            | Fact::InConference { .. }
            | Fact::LeftConference { .. }
            | Fact::InQueue { .. }
            | Fact::LeftQueue { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingChanged { .. }
            | Fact::RecordingClosed { .. }
            | Fact::RecordingReported { .. }
            | Fact::EmailQueued(_) => self.0.fmt(f),
        }
    }
}

/// The call, if the lane is its own.
fn owner(lane: Lane, call: Option<CallSid>) -> Option<CallSid> {
    call.filter(|call| lane == Lane::from(*call))
}

fn of_callback(callback: &Callback, call: CallSid) -> impl fmt::Debug + '_ {
    fmt::from_fn(move |f| {
        f.debug_struct("Callback")
            .field("event", &callback.event)
            .field("account", &callback.account)
            .field("author", &callback.author)
            .field("call", &call)
            .field("sequence", &callback.sequence)
            .field("url", &callback.url)
            .field("method", &callback.method)
            .field("params", &callback.params)
            .field("created", &callback.created)
            .finish()
    })
}

fn of_message(message: &Message, call: CallSid) -> impl fmt::Debug + '_ {
    fmt::from_fn(move |f| {
        f.debug_struct("Message")
            .field("sid", &message.sid)
            .field("instance", &message.instance)
            .field("account", &message.account)
            .field("call", &call)
            .field("from", &message.from)
            .field("to", &message.to)
            .field("body", &message.body)
            .field("direction", &message.direction)
            .field("status", &message.status)
            .field("error_code", &message.error_code)
            .field("reason", &message.reason)
            .field("created", &message.created)
            .field("updated", &message.updated)
            .field("sent", &message.sent)
            .finish()
    })
}

fn of_started(started: &StartedRecording, call: CallSid) -> impl fmt::Debug + '_ {
    fmt::from_fn(move |f| {
        f.debug_struct("StartedRecording")
            .field("sid", &started.sid)
            .field("account", &started.account)
            .field("call", &call)
            .field("created", &started.created)
            .finish()
    })
}

fn of_recording(recording: &Recording, call: CallSid) -> impl fmt::Debug + '_ {
    fmt::from_fn(move |f| {
        f.debug_struct("Recording")
            .field("sid", &recording.sid)
            .field("account", &recording.account)
            .field("call", &call)
            .field("duration_ms", &recording.duration_ms)
            .field("size_bytes", &recording.size_bytes)
            .field("created", &recording.created)
            .field("updated", &recording.updated)
            .finish()
    })
}

fn of_notification(notification: &Notification) -> impl fmt::Debug + '_ {
    fmt::from_fn(move |f| {
        f.debug_struct("Notification")
            .field("sid", &notification.sid)
            .field("account", &notification.account)
            .field("call", &notification.call)
            .field("level", &notification.level)
            .field("code", &notification.code)
            .field("text", &notification.text)
            .field("request_url", &notification.request_url)
            .field("request_method", &notification.request_method)
            .field("line", &notification.line)
            .field("column", &notification.column)
            .field("created", &notification.created)
            .finish()
    })
}
