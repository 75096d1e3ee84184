//! Calls and texts between participants whose numbers are masked: the fact that one has begun.

use masking::{Contact, Interaction, Kind, State};
use model::{CallSid, InteractionSid, MessageSid};

use crate::context::Context;
use crate::fact::Fact;

/// A call or message that arrived at a mask.
#[derive(Clone, Copy)]
pub(crate) enum Arrived {
    Call(CallSid),
    Message(MessageSid),
}

impl From<CallSid> for Arrived {
    fn from(sid: CallSid) -> Self {
        Self::Call(sid)
    }
}

impl From<MessageSid> for Arrived {
    fn from(sid: MessageSid) -> Self {
        Self::Message(sid)
    }
}

/// Makes it a fact that an interaction has begun, in the step that makes the record of what arrived one, and after that.
pub(crate) fn begin(
    sid: InteractionSid,
    contact: Contact,
    arrived: impl Into<Arrived>,
    cx: &mut Context,
) {
    let (kind, inbound) = match arrived.into() {
        Arrived::Call(sid) => (Kind::Voice, sid.to_string()),
        Arrived::Message(sid) => (Kind::Message, sid.to_string()),
    };
    cx.fact(Fact::Interacted(Box::new(Interaction {
        sid,
        account: contact.account,
        service: contact.service,
        session: contact.session,
        kind,
        from: contact.from,
        to: contact.to,
        inbound,
        inbound_status: None,
        outbound: None,
        outbound_status: None,
        state: State::InProgress,
        duration_s: None,
        created: cx.now,
        updated: cx.now,
        ended: None,
    })));
}
