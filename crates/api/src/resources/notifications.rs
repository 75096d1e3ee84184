//! `/Accounts/{sid}/Notifications`: problems told to the owner.

use model::CallSid;
use model::record::Notification;
use store::{NotificationFilter, NotificationKey};

use crate::context::{Answer, Context, Reply, VERSION, Verb, uri};
use crate::failure::{Failure, more_info};
use crate::page::{ListNames, Page, sort_by};
use crate::resources::calls::scope;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Notification>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |n, _| {
        Value::text(n.sid)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |n, _| Value::Date(n.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |n, _| Value::Date(n.created),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |n, _| Value::text(n.account),
    ),
    field("call_sid", "CallSid", Kind::Text, Null::Absent, |n, _| {
        Value::maybe(n.call)
    }),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text(VERSION),
    ),
    field("log", "Log", Kind::Number, Null::Absent, |n, _| {
        Value::Number(n.level)
    }),
    field(
        "error_code",
        "ErrorCode",
        Kind::Number,
        Null::Absent,
        |n, _| Value::Number(n.code.into()),
    ),
    field(
        "more_info",
        "MoreInfo",
        Kind::Text,
        Null::Absent,
        |n, view| Value::text(more_info(view.public_base, n.code)),
    ),
    field(
        "message_text",
        "MessageText",
        Kind::Text,
        Null::Empty,
        |n, _| Value::text(&n.text),
    ),
    field(
        "message_date",
        "MessageDate",
        Kind::Time,
        Null::Absent,
        |n, _| Value::Time(n.created),
    ),
    field(
        "request_url",
        "RequestUrl",
        Kind::Text,
        Null::Empty,
        |n, _| Value::maybe(n.request_url.as_deref()),
    ),
    field(
        "request_method",
        "RequestMethod",
        Kind::Text,
        Null::Empty,
        |n, _| Value::maybe(n.request_method.as_deref()),
    ),
    field(
        "request_variables",
        "RequestVariables",
        Kind::Text,
        Null::Empty,
        |_, _| Value::Null,
    ),
    field(
        "response_headers",
        "ResponseHeaders",
        Kind::Text,
        Null::Empty,
        |_, _| Value::Null,
    ),
    field(
        "response_body",
        "ResponseBody",
        Kind::Text,
        Null::Empty,
        |_, _| Value::Null,
    ),
    // Where in the document, which the original cannot tell.
    field("line", "Line", Kind::Number, Null::Absent, |n, _| {
        Value::number(n.line.map(i64::from))
    }),
    field("column", "Column", Kind::Number, Null::Absent, |n, _| {
        Value::number(n.column.map(i64::from))
    }),
    field("uri", "Uri", Kind::Link, Null::Absent, |n, _| {
        Value::Link(uri(n.account, "Notifications", n.sid))
    }),
];

const NOTIFICATION: Resource<Notification> = Resource {
    xml: "Notification",
    xml_list: "Notifications",
    fields: FIELDS,
};

/// The list.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    list(context, account, None).await
}

/// The list of a call.
pub(crate) async fn of_call(context: &Context<'_>, account: &str, call: &str) -> Answer {
    let call: CallSid = call.parse().map_err(|_| Failure::not_found())?;
    list(context, account, Some(call)).await
}

async fn list(context: &Context<'_>, account: &str, call: Option<CallSid>) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context
        .operate(account, Action::Read, "Notifications")
        .await?;
    let params = &context.params;
    let page = Page::read(params)?;
    let filter = NotificationFilter {
        scope: scope(params, account.sid)?,
        code: params.parsed("ErrorCode", "a number")?,
        request_url: params.filled("RequestUrl").map(str::to_owned),
        text: params.filled("MessageText").map(str::to_owned),
        call: call.map(|call| call.to_string()),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        sort: sort_by(params, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.notifications(&filter).await?;
    let path = match call {
        Some(call) => format!("/restcomm{}/Notifications", uri(account.sid, "Calls", call)),
        None => format!("/restcomm/{VERSION}/Accounts/{}/Notifications", account.sid),
    };
    let names = ListNames {
        uri: &path,
        json: "notifications",
        xml: NOTIFICATION.xml_list,
        xml_item: NOTIFICATION.xml,
        xml_envelope: false,
    };
    let text = page.write(context.format, &names, &rows, |row| {
        (
            row.sid.to_string(),
            NOTIFICATION.entries(row, context.view()),
        )
    })?;
    Ok(Reply::Document(text))
}

fn sort_key(field: &str) -> Option<NotificationKey> {
    Some(match field {
        "DateCreated" => NotificationKey::Created,
        "Log" => NotificationKey::Level,
        "ErrorCode" => NotificationKey::Code,
        "CallSid" => NotificationKey::Call,
        "MessageText" => NotificationKey::Text,
        _ => return None,
    })
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context
        .operate(account, Action::Read, "Notifications")
        .await?;
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.notification(sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    if found.account != account.sid {
        return Err(Failure::forbidden());
    }
    Ok(context.show(&NOTIFICATION, &found))
}
