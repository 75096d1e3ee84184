//! `/Accounts/{sid}/SMS/Messages`, also as `/Accounts/{sid}/Messages`: text messages.

use model::record::Message;
use store::{MessageFilter, MessageKey};

use crate::context::{Answer, Context, Reply, VERSION, Verb, uri};
use crate::failure::Failure;
use crate::page::{ListNames, Page, sort_by};
use crate::resources::calls::scope;
use crate::roles::Action;
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "SmsMessages";

const FIELDS: &[Field<Message>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |m, _| {
        Value::text(m.sid)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |m, _| Value::Date(m.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |m, _| Value::Date(m.updated),
    ),
    field("date_sent", "DateSent", Kind::Time, Null::Empty, |m, _| {
        m.sent.map_or(Value::Null, Value::Time)
    }),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |m, _| Value::text(m.account),
    ),
    // The call whose document sent it, which the original cannot tell.
    field("call_sid", "CallSid", Kind::Text, Null::Absent, |m, _| {
        Value::text(m.call)
    }),
    field("from", "From", Kind::Text, Null::Absent, |m, _| {
        Value::text(&m.from)
    }),
    field("to", "To", Kind::Text, Null::Absent, |m, _| {
        Value::text(&m.to)
    }),
    field("body", "Body", Kind::Text, Null::Absent, |m, _| {
        Value::text(&m.body)
    }),
    field("status", "Status", Kind::Text, Null::Absent, |m, _| {
        Value::text(m.status)
    }),
    field(
        "direction",
        "Direction",
        Kind::Text,
        Null::Absent,
        |m, _| Value::text(m.direction),
    ),
    field("error_code", "", Kind::Number, Null::Absent, |m, _| {
        Value::number(m.error_code.map(i64::from))
    }),
    field("error_message", "", Kind::Text, Null::Absent, |m, _| {
        Value::maybe(error_message(m))
    }),
    field("", "Error", Kind::Object, Null::Absent, |m, _| {
        m.error_code.map_or(Value::Null, |code| {
            let entry = |xml, value| Entry {
                json: "",
                xml,
                null: Null::Absent,
                value,
            };
            Value::Object(vec![
                entry("ErrorCode", Value::Number(code.into())),
                entry("ErrorMessage", Value::maybe(error_message(m))),
            ])
        })
    }),
    field("price", "Price", Kind::Text, Null::Absent, |_, _| {
        Value::text("0")
    }),
    field(
        "price_unit",
        "PriceUnit",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text("USD"),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text(VERSION),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |m, _| {
        Value::Link(uri(m.account, "SMS/Messages", m.sid))
    }),
];

const MESSAGE: Resource<Message> = Resource {
    xml: "SMSMessage",
    xml_list: "SMSMessages",
    fields: FIELDS,
};

/// Why it was not taken.
fn error_message(message: &Message) -> Option<&str> {
    message.error_code.and(message.reason.as_deref())
}

/// The list.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, TARGET).await?;
    let params = &context.params;
    let page = Page::read(params)?;
    let text = |name| params.filled(name).map(str::to_owned);
    let filter = MessageFilter {
        scope: scope(params, account.sid)?,
        to: text("To"),
        from: text("From"),
        body: text("Body"),
        status: text("Status"),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        sort: sort_by(params, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.messages(&filter).await?;
    let names = ListNames {
        uri: &format!("/restcomm/{VERSION}/Accounts/{}/SMS/Messages", account.sid),
        json: "messages",
        xml: MESSAGE.xml_list,
        xml_item: MESSAGE.xml,
        xml_envelope: false,
    };
    let text = page.write(context.format, &names, &rows, |row| {
        (row.sid.to_string(), MESSAGE.entries(row, context.view()))
    })?;
    Ok(Reply::Document(text))
}

fn sort_key(field: &str) -> Option<MessageKey> {
    Some(match field {
        "DateCreated" => MessageKey::Created,
        "From" => MessageKey::From,
        "To" => MessageKey::To,
        "Direction" => MessageKey::Direction,
        "Status" => MessageKey::Status,
        "Body" => MessageKey::Body,
        // All messages have the same price, so it leaves the order as it is.
        _ => return None,
    })
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, TARGET).await?;
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.message(sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    if found.account != account.sid {
        return Err(Failure::forbidden());
    }
    Ok(context.show(&MESSAGE, &found))
}
