//! The rows of text messages.

use std::sync::OnceLock;

use model::Forwarding;
use model::record::Message;

use crate::Result;
use crate::row::Row;
use crate::sql::{Arg, Table, args};

pub(crate) static MESSAGES: Table = Table {
    name: "messages",
    counted: true,
    columns: &[
        "sid",
        "instance",
        "account",
        "call",
        "from_user",
        "to_user",
        "body",
        "direction",
        "status",
        "error_code",
        "reason",
        "created",
        "updated",
        "sent",
        "farewell",
        "expires",
        "due",
        "attempts",
        "doubts",
        "segments",
        "route",
        "provider_id",
        "price",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn message_args(message: &Message, farewell: Option<&str>) -> Vec<Arg> {
    let forwarding = message.forwarding.as_ref();
    args![
        message.sid,
        message.instance,
        message.account,
        message.call,
        message.from.as_str(),
        message.to.as_str(),
        message.body.as_str(),
        message.direction,
        message.status,
        message.error_code,
        message.reason.clone(),
        message.created,
        message.updated,
        message.sent,
        farewell.map(str::to_owned),
        forwarding.map(|forwarding| forwarding.expires),
        forwarding.map(|forwarding| forwarding.due),
        forwarding.map(|forwarding| forwarding.attempts),
        forwarding.map(|forwarding| forwarding.doubts),
        forwarding.map(|forwarding| forwarding.segments),
        forwarding.and_then(|forwarding| forwarding.route),
        forwarding.and_then(|forwarding| forwarding.provider_id.clone()),
        forwarding.and_then(|forwarding| forwarding.price),
    ]
}

pub(crate) fn message(row: &Row) -> Result<Message> {
    Ok(Message {
        sid: row.word("sid")?,
        instance: row.word("instance")?,
        account: row.word("account")?,
        call: row.opt_word("call")?,
        from: row.text("from_user")?,
        to: row.text("to_user")?,
        body: row.text("body")?,
        direction: row.word("direction")?,
        status: row.word("status")?,
        error_code: row.opt_small("error_code")?,
        reason: row.opt_text("reason")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        sent: row.opt_time("sent")?,
        forwarding: forwarding(row)?,
    })
}

fn forwarding(row: &Row) -> Result<Option<Forwarding>> {
    let Some(expires) = row.opt_time("expires")? else {
        return Ok(None);
    };
    Ok(Some(Forwarding {
        expires,
        due: row.opt_time("due")?.unwrap_or(expires),
        attempts: row.opt_int("attempts")?.unwrap_or(0),
        doubts: row.opt_int("doubts")?.unwrap_or(0),
        segments: row.opt_int("segments")?.unwrap_or(1),
        route: row.opt_word("route")?,
        provider_id: row.opt_text("provider_id")?,
        price: row.opt_int("price")?,
    }))
}
