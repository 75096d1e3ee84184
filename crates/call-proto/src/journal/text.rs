//! Commands as texts that can be compared: the same command gives the same text.
//!
//! **Invariant: what a redacted input cannot give back is not in the text**: passwords, and the
//! addresses of recordings.

use model::record::Callback;

use super::redact::{HIDDEN, credentials, hide_logins};
use crate::command::{Addressed, Command, LegCommand};
use crate::fact::Fact;

/// Parameters that hold the address of a recording.
const RECORDING_ADDRESSES: [&str; 2] = ["RecordingUrl", "PublicRecordingUrl"];

/// One command as a text; `None` for entries of the trace, which tell the same again.
pub(super) fn of_command(addressed: &Addressed) -> Option<String> {
    let Addressed { call, command } = addressed;
    let text = match command {
        Command::Trace(_) => return None,
        Command::Commit(facts) => {
            let facts: Vec<Fact> = facts.iter().map(fact).collect();
            format!("{:?}", Command::Commit(facts))
        }
        Command::Fetch { req, request } => {
            let mut request = request.clone();
            hide_recordings(&mut request.params);
            format!("{:?}", Command::Fetch { req: *req, request })
        }
        Command::Leg(LegCommand::Invite(invite)) => {
            let mut invite = invite.clone();
            credentials(&mut invite.route.credentials);
            format!("{:?}", Command::Leg(LegCommand::Invite(invite)))
        }
        other => format!("{other:?}"),
    };
    Some(format!("{call} {}", hide_logins(&text)))
}

fn fact(fact: &Fact) -> Fact {
    match fact {
        Fact::Callback(callback) => {
            let mut callback: Callback = callback.clone();
            hide_recordings(&mut callback.params);
            Fact::Callback(callback)
        }
        Fact::Farewell { call, farewell } => Fact::Farewell {
            call: *call,
            farewell: Box::new(farewell.as_ref().clone().without_recordings(HIDDEN)),
        },
        other => other.clone(),
    }
}

fn hide_recordings(params: &mut [(String, String)]) {
    for (name, value) in params {
        if RECORDING_ADDRESSES.contains(&name.as_str()) {
            HIDDEN.clone_into(value);
        }
    }
}
