//! Commands as texts that can be compared: the same command gives the same text.
//!
//! **Invariant: the text leaves out everything that a redacted input cannot reproduce**: passwords,
//! and the addresses of recordings.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::owners::FactText;
use super::redact::{HIDDEN, credentials, hide_logins};
use crate::command::{Addressed, Command, FetchRequest, LegCommand, OutgoingMessage};
use crate::fact::Fact;
use crate::request::Changed;
use crate::room::RoomCommand;

/// Parameters that hold the address of a recording.
const RECORDING_ADDRESSES: [&str; 2] = ["RecordingUrl", "PublicRecordingUrl"];

/// One command as a text; `None` for trace entries, which only repeat the rest.
pub(super) fn of_command(addressed: &Addressed) -> Option<String> {
    let Addressed { call, command } = addressed;
    if matches!(command, Command::Trace(_)) {
        return None;
    }
    // Most commands have a few hundred characters; reallocation is the main cost.
    let mut text = String::with_capacity(1024);
    // Writing to a `String` cannot fail.
    let _ = match &*without_secrets(command) {
        Command::Commit(facts) => {
            let facts = FactText::all(facts);
            if facts.is_empty() {
                return None;
            }
            write!(text, "{call} Commit({facts:?})")
        }
        // Without the author, as in journals from before it existed.
        Command::Resolve { req, targets, .. } => {
            write!(
                text,
                "{call} Resolve {{ req: {req:?}, targets: {targets:?} }}"
            )
        }
        // Without the pieces, as in journals from before they existed.
        Command::Speak {
            req,
            text: words,
            parts,
            voice,
            language,
        } if parts.is_empty() => write!(
            text,
            "{call} Speak {{ req: {req:?}, text: {words:?}, voice: {voice:?}, language: {language:?} }}"
        ),
        // Without the queue, as in journals from before there were queues.
        Command::Fetch { req, request } if request.queue.is_none() => {
            let FetchRequest {
                url,
                method,
                params,
                author,
                queue: _,
            } = request;
            write!(
                text,
                "{call} Fetch {{ req: {req:?}, request: FetchRequest {{ url: {url:?}, \
                 method: {method:?}, params: {params:?}, author: {author:?} }} }}"
            )
        }
        // Without header fields, as in journals from before messages had any.
        Command::SendMessage { req, message } if message.headers.is_empty() => {
            let OutgoingMessage {
                route,
                from,
                text: words,
                headers: _,
            } = &**message;
            write!(
                text,
                "{call} SendMessage {{ req: {req:?}, message: OutgoingMessage {{ route: {route:?}, \
                 from: {from:?}, text: {words:?} }} }}"
            )
        }
        // As in journals from before a change could return anything.
        Command::Reply {
            ask,
            outcome: Ok(Changed::Call),
        } => write!(text, "{call} Reply {{ ask: {ask:?}, outcome: Ok(()) }}"),
        other => write!(text, "{call} {other:?}"),
    };
    // Hardly any command holds an address with a login.
    let text = if text.contains('@') {
        hide_logins(&text)
    } else {
        text
    };
    Some(text)
}

/// One command of a room as a text; `None` for trace entries.
pub(super) fn of_room_command(command: &RoomCommand) -> Option<String> {
    match command {
        RoomCommand::Trace(_) => None,
        RoomCommand::Commit(facts)
            if facts
                .iter()
                .any(|it| tells_recording(it) || is_unreported_failure(it)) =>
        {
            let known = facts.iter().filter(|it| !is_unreported_failure(it));
            let facts: Vec<Fact> = known.map(fact).collect();
            Some(hide_logins(&format!("Commit({facts:?})")))
        }
        RoomCommand::Commit(_)
        | RoomCommand::Tell { .. }
        | RoomCommand::Record { .. }
        | RoomCommand::PauseRecord { .. }
        | RoomCommand::StopRecord { .. }
        | RoomCommand::Reply { .. } => Some(hide_logins(&format!("{command:?}"))),
    }
}

/// The command itself, unless something must be hidden.
fn without_secrets(command: &Command) -> Cow<'_, Command> {
    match command {
        Command::Commit(facts) if facts.iter().any(tells_recording) => {
            Cow::Owned(Command::Commit(facts.iter().map(fact).collect()))
        }
        Command::Fetch { req, request } if names_recording(&request.params) => {
            let mut request = request.clone();
            hide_recordings(&mut request.params);
            Cow::Owned(Command::Fetch { req: *req, request })
        }
        Command::Leg(LegCommand::Invite(invite)) if invite.route.credentials.is_some() => {
            let mut invite = invite.clone();
            credentials(&mut invite.route.credentials);
            Cow::Owned(Command::Leg(LegCommand::Invite(invite)))
        }
        Command::SendMessage { req, message } if message.route.credentials.is_some() => {
            let (req, mut message) = (*req, message.clone());
            credentials(&mut message.route.credentials);
            Cow::Owned(Command::SendMessage { req, message })
        }
        other => Cow::Borrowed(other),
    }
}

/// Whether it is the failure of a recording without a callback, which was not a fact once.
const fn is_unreported_failure(fact: &Fact) -> bool {
    matches!(fact, Fact::RecordingReported { tells: None, .. })
}

fn tells_recording(fact: &Fact) -> bool {
    match fact {
        Fact::Callback(callback) => names_recording(&callback.params),
        Fact::Farewell { farewell, .. } => farewell.has_recordings(),
        Fact::RecordingStarted { farewell, .. } => farewell.is_some(),
        Fact::ConferenceFarewell { farewell, .. } => farewell.recording().is_some(),
        // Its text may name the address.
        Fact::EmailQueued(_) => true,
        _ => false,
    }
}

fn fact(fact: &Fact) -> Fact {
    let mut fact = fact.clone();
    match &mut fact {
        Fact::Callback(callback) => hide_recordings(&mut callback.params),
        Fact::Farewell { farewell, .. } => farewell.hide_recordings(HIDDEN),
        Fact::RecordingStarted {
            farewell: Some(farewell),
            ..
        } => farewell.hide_address(HIDDEN),
        Fact::ConferenceFarewell { farewell, .. } => farewell.hide_address(HIDDEN),
        Fact::EmailQueued(mail) => {
            HIDDEN.clone_into(&mut mail.subject);
            HIDDEN.clone_into(&mut mail.body);
        }
        _ => {}
    }
    fact
}

fn names_recording(params: &[(String, String)]) -> bool {
    let is_one = |(name, _): &(String, String)| RECORDING_ADDRESSES.contains(&name.as_str());
    params.iter().any(is_one)
}

fn hide_recordings(params: &mut [(String, String)]) {
    for (name, value) in params {
        if RECORDING_ADDRESSES.contains(&name.as_str()) {
            HIDDEN.clone_into(value);
        }
    }
}
