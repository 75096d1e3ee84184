//! Converts the facts of the machines to the rows of the store.

use std::collections::BTreeMap;

use call_proto::Fact;
use model::CallSid;
use model::record::{CallRecord, Notification};
use store::{CallUpdate, Change};
use tracing::{debug, info, warn};

/// The records of legs created by changes.
pub(crate) fn created(changes: &[Change]) -> Vec<CallRecord> {
    let record = |change: &Change| match change {
        Change::CallCreated(record) => Some((**record).clone()),
        _ => None,
    };
    changes.iter().filter_map(record).collect()
}

/// The changes to commit.
///
/// `dialogs` holds the dialog snapshots not yet stored, as JSON.
pub(crate) fn changes(facts: Vec<Fact>, dialogs: &mut BTreeMap<CallSid, String>) -> Vec<Change> {
    let mut further = Vec::new();
    let change = |fact| match fact {
        Fact::Created(record) => {
            further.extend(dialogs.remove(&record.sid).map(|dialog| {
                Change::CallUpdated(Box::new(CallUpdate {
                    sid: record.sid,
                    at: record.created,
                    muted: None,
                    sip_call_id: None,
                    answered_by: None,
                    dialog: Some(dialog),
                }))
            }));
            Change::CallCreated(record)
        }
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
        Fact::AnsweredBy { call, at, by } => Change::CallUpdated(Box::new(CallUpdate {
            sid: call,
            at,
            muted: None,
            sip_call_id: None,
            answered_by: Some(by.as_str().to_owned()),
            dialog: None,
        })),
        Fact::Ended { call, end } => Change::CallEnded {
            sid: call,
            status: end.status,
            at: end.at,
            duration_s: Some(end.duration_s),
            ring_duration_s: end.ring_duration_s,
            reason: Some(end.reason.as_str().to_owned()),
            hangup_by: Some(end.by),
            sip_status: end.sip_status,
            sip_reason: end.sip_reason,
        },
        Fact::Farewell { call, farewell } => Change::CallFarewell {
            sid: call,
            // Texts, numbers and lists of them always have a JSON form.
            farewell: serde_json::to_string(&farewell).unwrap_or_default(),
        },
        Fact::MessageCreated { message, farewell } => Change::MessageCreated {
            message,
            // As above.
            farewell: farewell.map(|kept| serde_json::to_string(&kept).unwrap_or_default()),
        },
        Fact::Interacted(interaction) => Change::Interacted(interaction),
        Fact::InteractionSent {
            interaction,
            message,
            at,
        } => Change::InteractionSent {
            sid: interaction,
            message,
            at,
        },
        Fact::EmailQueued(email) => Change::EmailQueued(email),
        Fact::MessageArrived { message, arrival } => {
            let opt_out = arrival.opt_out(&message);
            further.extend(opt_out.map(|opt_out| Change::OptedOut(Box::new(opt_out))));
            let ends = arrival.keyword.as_ref().map(|keyword| keyword.ends.clone());
            let ends = ends.filter(|ends| !ends.is_empty());
            further.extend(ends.map(Change::OptedIn));
            Change::MessageCreated {
                message,
                // As above.
                farewell: Some(serde_json::to_string(&arrival).unwrap_or_default()),
            }
        }
        Fact::MessageEnded { message, tells } => Change::MessageEnded { message, tells },
        Fact::ConferenceCreated(conference) => Change::ConferenceCreated(conference),
        Fact::ConferenceStarted { conference, at } => Change::ConferenceStarted {
            sid: conference,
            at,
        },
        Fact::ConferenceFarewell {
            conference,
            farewell,
        } => Change::ConferenceFarewell {
            sid: conference,
            // As above.
            farewell: serde_json::to_string(&farewell).unwrap_or_default(),
        },
        Fact::ConferenceEnded {
            conference,
            status,
            at,
            reason,
        } => Change::ConferenceEnded {
            sid: conference,
            status,
            at,
            reason,
        },
        Fact::InConference {
            call,
            at,
            membership,
        } => Change::ConferenceJoined {
            call,
            at,
            membership,
        },
        Fact::LeftConference {
            call,
            at,
            conference,
        } => Change::ConferenceLeft {
            call,
            at,
            conference,
        },
        Fact::InQueue {
            call,
            at,
            queue,
            since,
        } => Change::QueueEntered {
            call,
            at,
            queue,
            since,
        },
        Fact::LeftQueue { call, at, queue } => Change::QueueLeft { call, at, queue },
        Fact::RecordingStarted { started, farewell } => Change::RecordingStarted {
            started,
            // As above.
            farewell: farewell.map(|kept| serde_json::to_string(&kept).unwrap_or_default()),
        },
        Fact::RecordingChanged {
            recording,
            status,
            at,
        } => Change::RecordingChanged {
            sid: recording,
            status,
            at,
        },
        Fact::RecordingReported { recording, tells } => Change::RecordingReported {
            sid: recording,
            tells,
        },
        Fact::RecordingClosed { recording, tells } => Change::RecordingClosed {
            sid: recording,
            tells,
        },
        Fact::Recorded(recording) => Change::Recording(recording),
        Fact::Notified(notification) => Change::Notification(Box::new(notification)),
        Fact::Callback(callback) => Change::CallbackQueued(Box::new(callback)),
    };
    let mut changes: Vec<Change> = facts.into_iter().map(change).collect();
    changes.append(&mut further);
    changes
}

/// Reports a fact to the log: the life of calls, messages and conferences.
pub(crate) fn log(fact: &Fact) {
    match fact {
        Fact::Created(record) => info!(
            call.sid = %record.sid,
            direction = record.direction.as_str(),
            "call created"
        ),
        Fact::Answered { call, .. } => info!(call.sid = %call, "call answered"),
        Fact::Ended { call, end } => info!(
            call.sid = %call,
            status = end.status.as_str(),
            reason = end.reason.as_str(),
            duration_s = end.duration_s,
            "call ended"
        ),
        Fact::MessageEnded { message, .. } => {
            info!(
                call.sid = message.call.map(tracing::field::display),
                message.sid = %message.sid,
                status = message.status.as_str(),
                code = message.error_code,
                "message ended"
            );
            if let Some(reason) = &message.reason {
                // It may name a person.
                debug!(message.sid = %message.sid, reason, "why a message ended like this");
            }
        }
        Fact::ConferenceCreated(conference) => {
            info!(conference.sid = %conference.sid, "conference created");
        }
        Fact::ConferenceStarted { conference, .. } => {
            info!(conference.sid = %conference, "conference started");
        }
        Fact::ConferenceEnded {
            conference, reason, ..
        } => info!(conference.sid = %conference, reason, "conference ended"),
        Fact::InConference {
            call, membership, ..
        } => info!(
            call.sid = %call,
            conference.sid = %membership.conference,
            "call joined a conference"
        ),
        Fact::LeftConference {
            call, conference, ..
        } => info!(
            call.sid = %call,
            conference.sid = %conference,
            "call left a conference"
        ),
        Fact::InQueue { call, queue, .. } => {
            info!(call.sid = %call, queue.sid = %queue, "call waits in a queue");
        }
        Fact::LeftQueue { call, queue, .. } => {
            info!(call.sid = %call, queue.sid = %queue, "call no longer waits in a queue");
        }
        Fact::AnsweredBy { call, by, .. } => {
            info!(call.sid = %call, by = by.as_str(), "what answered the call is known");
        }
        Fact::Ringing { .. }
        | Fact::Farewell { .. }
        | Fact::ConferenceFarewell { .. }
        | Fact::MessageCreated { .. }
        | Fact::EmailQueued(_)
        | Fact::Interacted(_)
        | Fact::InteractionSent { .. }
        | Fact::MessageArrived { .. }
        | Fact::RecordingStarted { .. }
        | Fact::RecordingChanged { .. }
        | Fact::RecordingClosed { .. }
        | Fact::RecordingReported { .. }
        | Fact::Recorded(_)
        | Fact::Callback(_) => {}
        Fact::Notified(notification) => log_notification(notification),
    }
}

/// Logs a problem of which the account's owner is notified, so that the operator sees it too: with
/// the host of the address, since path and query may hold secrets.
pub(crate) fn log_notification(notification: &Notification) {
    let host = notification.request_url.as_deref().map(origin);
    warn!(
        account.sid = %notification.account,
        call.sid = notification.call.map(tracing::field::display),
        lane = %notification.lane,
        code = notification.code,
        host,
        cause = notification.text,
        "notification"
    );
}

/// Scheme, host and port of an HTTP address.
pub(crate) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']);
    let end = end.map_or(url.len(), |length| start + length);
    match url[start..end].rfind('@') {
        Some(at) => &url[start + at + 1..end],
        None => &url[..end],
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use model::record::Message;
    use model::{AccountSid, InstanceSid, MessageSid, MessageStatus, Timestamp};

    use super::*;

    /// Collects the log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_message_is_found_by_its_call_and_names_no_person() {
        let call = CallSid::from_bytes([3; 16]);
        let message = Message {
            status: MessageStatus::Failed,
            error_code: Some(30_003),
            reason: Some("client `ann` is not registered".to_owned()),
            ..testkit::records::message(
                MessageSid::from_bytes([1; 16]),
                InstanceSid::from_bytes([2; 16]),
                AccountSid::from_bytes([4; 16]),
                call,
                Timestamp(0),
            )
        };
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .with_ansi(false);
        tracing::subscriber::with_default(subscriber.finish(), || {
            super::log(&Fact::MessageEnded {
                message: Box::new(message),
                tells: None,
            });
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(&format!("call.sid={call} ")), "{text}");
        assert!(text.contains("code=30003"), "{text}");
        assert!(!text.contains("ann"), "{text}");
    }

    #[test]
    fn only_the_host_of_an_address_is_logged() {
        let table = [
            ("http://app.example:8000/v?key=1", "http://app.example:8000"),
            ("https://app.example?key=1", "https://app.example"),
            ("http://kim:secret@app.example/v", "app.example"),
            ("app.example", "app.example"),
        ];
        for (url, expected) in table {
            assert_eq!(origin(url), expected);
        }
    }
}
