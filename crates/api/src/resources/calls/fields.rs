//! The fields of a call.

use std::borrow::Cow;

use model::record::CallRecord;

use crate::common;
use crate::route::{RESTCOMM, TWILIO};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

const FIELDS: &[Field<CallRecord>] = &[
    common::sid(|c, _| Value::text(c.sid)),
    field::<CallRecord>(
        "InstanceId",
        "InstanceId",
        Kind::Text,
        Null::Never,
        "Server that ran it.",
        |c, _| Value::text(c.instance),
    )
    .within(RESTCOMM),
    common::date_created(|c, _| Value::Date(c.created)),
    common::date_updated(|c, _| Value::Date(c.updated)),
    field(
        "parent_call_sid",
        "ParentCallSid",
        Kind::Text,
        Null::Empty,
        "Call that made this leg. Of the legs that one request at the Restcomm base makes, the first is the parent of the others.",
        |c, _| Value::maybe(c.parent),
    ),
    common::account_sid(|c, _| Value::text(c.account)),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Never,
        "Called party.",
        |c, _| Value::text(&c.to),
    ),
    field(
        "from",
        "From",
        Kind::Text,
        Null::Never,
        "Calling party.",
        |c, _| Value::text(&c.from),
    ),
    field::<CallRecord>(
        "to_formatted",
        "ToFormatted",
        Kind::Text,
        Null::Never,
        "`to`; a North American number as `(415) 555-0100`.",
        |c, _| Value::text(formatted(&c.to)),
    )
    .within(TWILIO),
    field::<CallRecord>(
        "from_formatted",
        "FromFormatted",
        Kind::Text,
        Null::Never,
        "`from`; a North American number as `(415) 555-0100`.",
        |c, _| Value::text(formatted(&c.from)),
    )
    .within(TWILIO),
    field(
        "phone_number_sid",
        "PhoneNumberSid",
        Kind::Text,
        Null::Empty,
        "Number that was called.",
        |c, _| Value::maybe(c.number),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`queued`, `ringing`, `in-progress`, or how it ended: `completed`, `busy`, `failed`, `no-answer`, `canceled` or, at the Restcomm base, `not-found` (the application answered 404 instead of a document).",
        |c, view| Value::text((view.dialect.call_status)(c.status)),
    ),
    field(
        "start_time",
        "StartTime",
        Kind::Time,
        Null::Empty,
        "When it began.",
        |c, _| Value::time(c.started),
    ),
    field(
        "end_time",
        "EndTime",
        Kind::Time,
        Null::Empty,
        "When it ended.",
        |c, _| Value::time(c.ended),
    ),
    field::<CallRecord>(
        "duration",
        "Duration",
        Kind::Number,
        Null::Empty,
        "Length in seconds.",
        |c, _| Value::number(c.duration_s),
    )
    .twilio(Kind::Text, |c, _| Value::maybe(c.duration_s)),
    field::<CallRecord>(
        "",
        "Price",
        Kind::Text,
        Null::Never,
        "Always `0.00`.",
        |_, _| Value::text("0.00"),
    )
    .within(RESTCOMM),
    field::<CallRecord>(
        "price",
        "Price",
        Kind::Text,
        Null::Explicit,
        "Always null.",
        |_, _| Value::Null,
    )
    .within(TWILIO),
    field(
        "price_unit",
        "PriceUnit",
        Kind::Text,
        Null::Never,
        "Currency of the price.",
        |_, _| Value::text("USD"),
    ),
    field(
        "direction",
        "Direction",
        Kind::Text,
        Null::Never,
        "`inbound`, `outbound-api` (made through the API) or `outbound-dial` (made by a Dial).",
        |c, _| Value::text(c.direction),
    ),
    field(
        "answered_by",
        "AnsweredBy",
        Kind::Text,
        Null::Empty,
        "Result of machine detection, such as `human` or `machine_start`; without it, the party that answered, and empty if the server answered.",
        |c, _| Value::maybe(c.answered_by.as_deref()),
    ),
    common::api_version(),
    field(
        "forwarded_from",
        "ForwardedFrom",
        Kind::Text,
        Null::Empty,
        "Party that forwarded the call.",
        |c, _| Value::maybe(c.forwarded_from.as_deref()),
    ),
    field(
        "caller_name",
        "CallerName",
        Kind::Text,
        Null::Empty,
        "Display name of the caller.",
        |c, _| Value::maybe(c.caller_name.as_deref()),
    ),
    common::uri(|c, view| Value::Link(view.uri(c.account, "Calls", c.sid))),
    field(
        "ring_duration",
        "Ring_duration",
        Kind::Number,
        Null::Empty,
        "Seconds of ringing.",
        |c, _| Value::number(c.ring_duration_s),
    ),
    // Why and how the call ended and whether it is muted; Restcomm's API does not return these.
    field(
        "reason",
        "Reason",
        Kind::Text,
        Null::Absent,
        "Why it ended.",
        |c, _| Value::maybe(c.reason.as_deref()),
    ),
    field(
        "sip_status",
        "SipStatus",
        Kind::Number,
        Null::Absent,
        "Final SIP status, if one ended the call.",
        |c, _| Value::number(c.sip_status.map(i64::from)),
    ),
    field(
        "sip_reason",
        "SipReason",
        Kind::Text,
        Null::Absent,
        "Reason header of the remote party's BYE, or reason phrase of its refusal.",
        |c, _| Value::maybe(c.sip_reason.as_deref()),
    ),
    field(
        "hangup_by",
        "HangupBy",
        Kind::Text,
        Null::Absent,
        "Who ended it.",
        |c, _| Value::maybe(c.hangup_by),
    ),
    field(
        "media",
        "Media",
        Kind::Object,
        Null::Absent,
        "Media counters.",
        |c, _| media(c),
    ),
    field(
        "muted",
        "Muted",
        Kind::Flag,
        Null::Never,
        "Whether it is muted.",
        |c, _| Value::Flag(c.muted),
    ),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of its subresources.",
        subresources,
    ),
];

/// The representation of calls.
pub(crate) static CALL: Resource<CallRecord> = Resource {
    xml: ["Call", "Call"],
    xml_list: ["Calls", "Calls"],
    json_list: ["calls", "calls"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

/// A party as people in North America write its number; any other party unchanged.
fn formatted(party: &str) -> Cow<'_, str> {
    let national = party
        .strip_prefix("+1")
        .filter(|rest| rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_digit()));
    match national {
        Some(number) => {
            let (area, exchange, line) = (&number[..3], &number[3..6], &number[6..]);
            Cow::Owned(format!("({area}) {exchange}-{line}"))
        }
        None => Cow::Borrowed(party),
    }
}

/// The media counters of the leg; absent until its media is closed.
fn media(call: &CallRecord) -> Value {
    let Some(counts) = call.media else {
        return Value::Absent;
    };
    let entry = |json, xml, count: u64| Entry {
        json,
        xml,
        null: Null::Explicit,
        value: Value::number(i64::try_from(count).ok()),
    };
    Value::Object(vec![
        entry("packets_in", "PacketsIn", counts.packets_in),
        entry("packets_out", "PacketsOut", counts.packets_out),
        entry("packets_lost", "PacketsLost", counts.lost),
        entry("jitter_us", "JitterUs", counts.jitter_us),
        entry("transcoded", "Transcoded", counts.transcoded),
        entry("wrong_source", "WrongSource", counts.wrong_source),
    ])
}

fn subresources(call: &CallRecord, view: View<'_>) -> Value {
    let own = view.uri(call.account, "Calls", call.sid);
    let entry = |json, xml| Entry {
        json,
        xml,
        null: Null::Absent,
        value: Value::Link(format!("{own}/{xml}")),
    };
    Value::Object(vec![
        entry("notifications", "Notifications"),
        entry("recordings", "Recordings"),
    ])
}

#[cfg(test)]
mod tests {
    use super::formatted;

    #[test]
    fn north_american_numbers_are_formatted() {
        for (party, expected) in [
            ("+14155550100", "(415) 555-0100"),
            ("+141555501001", "+141555501001"),
            ("+1415555010", "+1415555010"),
            ("+1415555\u{e9}10", "+1415555\u{e9}10"),
            ("+442071838750", "+442071838750"),
            ("ann", "ann"),
        ] {
            assert_eq!(formatted(party), expected);
        }
    }
}
