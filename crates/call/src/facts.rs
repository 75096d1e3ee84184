//! From the facts of the machines to the rows of the store.

use std::collections::BTreeMap;

use call_proto::Fact;
use model::CallSid;
use model::record::Callback;
use store::Change;

/// The changes to commit, and the callbacks to deliver once they are committed.
///
/// `dialogs` holds the snapshots of dialogs that are not stored yet, as JSON.
pub(crate) fn changes(
    facts: Vec<Fact>,
    dialogs: &mut BTreeMap<CallSid, String>,
) -> (Vec<Change>, Vec<Callback>) {
    let mut changes = Vec::with_capacity(facts.len());
    let mut callbacks = Vec::new();
    for fact in facts {
        changes.push(match fact {
            Fact::Created(record) => Change::CallCreated(record),
            Fact::Ringing { call, at } => Change::CallRinging {
                sid: call,
                at,
                sip_call_id: None,
            },
            Fact::Answered {
                call,
                at,
                answered_by,
                sip_call_id,
            } => Change::CallAnswered {
                sid: call,
                at,
                answered_by,
                sip_call_id,
                ring_duration_s: None,
                dialog: dialogs.remove(&call),
            },
            Fact::Ended { call, end } => Change::CallEnded {
                sid: call,
                status: end.status,
                at: end.at,
                duration_s: Some(end.duration_s),
                ring_duration_s: end.ring_duration_s,
                reason: Some(end.reason.as_str().to_owned()),
                sip_status: end.sip_status,
            },
            Fact::Recorded(recording) => Change::Recording(recording),
            Fact::Notified(notification) => Change::Notification(Box::new(notification)),
            Fact::Callback(callback) => {
                callbacks.push(callback.clone());
                Change::CallbackQueued(Box::new(callback))
            }
        });
    }
    (changes, callbacks)
}
