//! Store rows for tests to start from.

use model::email::Email;
use model::record::{CallRecord, Message};
use model::{
    AccountSid, CallSid, CallStatus, Direction, EmailSid, EmailStatus, InstanceSid,
    MessageDirection, MessageSid, MessageStatus, Timestamp,
};

/// A call from ann to bob, queued at `created` and never answered.
///
/// A test sets the fields that it is about: `CallRecord { status, ..call(…) }`.
pub fn call(
    sid: CallSid,
    instance: InstanceSid,
    account: AccountSid,
    created: Timestamp,
) -> CallRecord {
    CallRecord {
        sid,
        instance,
        parent: None,
        account,
        to: "bob".to_owned(),
        from: "ann".to_owned(),
        number: None,
        status: CallStatus::Queued,
        direction: Direction::OutboundApi,
        created,
        updated: created,
        started: Some(created),
        answered: None,
        ended: None,
        duration_s: None,
        ring_duration_s: None,
        answered_by: None,
        forwarded_from: None,
        caller_name: None,
        reason: None,
        hangup_by: None,
        sip_status: None,
        sip_reason: None,
        sip_call_id: None,
        muted: false,
        media: None,
    }
}

/// A message from ann to bob that a call has just sent.
///
/// A test sets the fields that it is about: `Message { status, ..message(…) }`.
pub fn message(
    sid: MessageSid,
    instance: InstanceSid,
    account: AccountSid,
    call: CallSid,
    created: Timestamp,
) -> Message {
    Message {
        sid,
        instance,
        account,
        call: Some(call),
        from: "ann".to_owned(),
        to: "bob".to_owned(),
        body: "words".to_owned(),
        direction: MessageDirection::OutboundCall,
        status: MessageStatus::Sending,
        error_code: None,
        reason: None,
        created,
        updated: created,
        sent: None,
        forwarding: None,
    }
}

/// An e-mail that waits to be sent.
#[must_use]
pub fn email(sid: EmailSid, account: AccountSid, created: Timestamp) -> Email {
    Email {
        sid,
        account,
        call: None,
        from: "box@a.example".to_owned(),
        to: "ann@b.example".to_owned(),
        cc: Vec::new(),
        bcc: Vec::new(),
        subject: "Hello".to_owned(),
        body: "text".to_owned(),
        recorded_as: None,
        html: false,
        recordings: Vec::new(),
        status: EmailStatus::Queued,
        error_code: None,
        reason: None,
        created,
        updated: created,
        sent: None,
    }
}
