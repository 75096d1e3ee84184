//! Rows of the store to start from.

use model::record::CallRecord;
use model::{AccountSid, CallSid, CallStatus, Direction, InstanceSid, Timestamp};

/// A call of ann to bob, queued at `created` and never answered.
///
/// What a test is about it changes or says itself: `CallRecord { status, ..call(…) }`.
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
