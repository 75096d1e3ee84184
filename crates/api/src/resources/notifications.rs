//! `/Accounts/{sid}/Notifications`: problems reported to the owner.

use model::record::{Account, Notification};
use model::{CallSid, ConferenceSid, MessageSid};
use store::{NotificationFilter, NotificationKey};

use crate::context::{Answer, Context, owned};
use crate::failure::{Failure, more_info};
use crate::page::{Page, row_key, sort_by};
use crate::params::{Bound, scope};
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, Route, SCOPE, TWILIO, param, sorting};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Notification>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |n, _| Value::text(n.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |n, _| Value::Date(n.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |n, _| Value::Date(n.created),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |n, _| Value::text(n.account),
    ),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call that it belongs to.",
        |n, _| Value::maybe(n.call),
    ),
    // Its subject if that is not a call, which Restcomm's API does not return.
    field(
        "message_sid",
        "MessageSid",
        Kind::Text,
        Null::Absent,
        "Text message that it is about.",
        |n, _| Value::maybe(MessageSid::try_from(n.lane).ok()),
    ),
    field(
        "conference_sid",
        "ConferenceSid",
        Kind::Text,
        Null::Absent,
        "Conference that it is about.",
        |n, _| Value::maybe(ConferenceSid::try_from(n.lane).ok()),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Never,
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    ),
    field(
        "log",
        "Log",
        Kind::Number,
        Null::Never,
        "Severity: 0 error, 1 warning.",
        |n, _| Value::Number(n.level),
    ),
    field(
        "error_code",
        "ErrorCode",
        Kind::Number,
        Null::Never,
        "Number of the error.",
        |n, _| Value::Number(n.code.into()),
    ),
    field(
        "more_info",
        "MoreInfo",
        Kind::Text,
        Null::Never,
        "Address of an explanation.",
        |n, view| Value::text(more_info(view.public_base, n.code)),
    ),
    field(
        "message_text",
        "MessageText",
        Kind::Text,
        Null::Never,
        "What happened.",
        |n, _| Value::text(&n.text),
    ),
    field(
        "message_date",
        "MessageDate",
        Kind::Time,
        Null::Never,
        "When it happened.",
        |n, _| Value::Time(n.created),
    ),
    field(
        "request_url",
        "RequestUrl",
        Kind::Text,
        Null::Empty,
        "Address that was requested.",
        |n, _| Value::maybe(n.request_url.as_deref()),
    ),
    field(
        "request_method",
        "RequestMethod",
        Kind::Text,
        Null::Empty,
        "Method of that request.",
        |n, _| Value::maybe(n.request_method.as_deref()),
    ),
    field(
        "request_variables",
        "RequestVariables",
        Kind::Text,
        Null::Empty,
        "Parameters of that request.",
        |_, _| Value::Null,
    ),
    field(
        "response_headers",
        "ResponseHeaders",
        Kind::Text,
        Null::Empty,
        "Headers of the response.",
        |_, _| Value::Null,
    ),
    field(
        "response_body",
        "ResponseBody",
        Kind::Text,
        Null::Empty,
        "Body of the response.",
        |_, _| Value::Null,
    ),
    // The position in the document, which Restcomm does not return.
    field(
        "line",
        "Line",
        Kind::Number,
        Null::Absent,
        "Line in the document.",
        |n, _| Value::number(n.line.map(i64::from)),
    ),
    field(
        "column",
        "Column",
        Kind::Number,
        Null::Absent,
        "Column in the document.",
        |n, _| Value::number(n.column.map(i64::from)),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |n, view| Value::Link(view.uri(n.account, "Notifications", n.sid)),
    ),
];

static NOTIFICATION: Resource<Notification> = Resource {
    xml: ["Notification", "Notification"],
    xml_list: ["Notifications", "Notifications"],
    json_list: ["notifications", "notifications"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

const TARGET: &str = "Notifications";
const LIST: &[&str] = &["/Accounts/{account}/Notifications"];
const OF_CALL: &[&str] = &["/Accounts/{account}/Calls/{call}/Notifications"];
const ONE: &[&str] = &["/Accounts/{account}/Notifications/{sid}"];

/// The routes of notifications.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a, None)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, SCOPE, SORTED, PAGING])
        .answers(Answers::Page(&NOTIFICATION))
        .doc("Lists notifications, newest first."),
    Route::get(OF_CALL, |c, a, call| Box::pin(of_call(c, a, call)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, SCOPE, SORTED, PAGING])
        .answers(Answers::Page(&NOTIFICATION))
        .doc("Lists the notifications of a call."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&NOTIFICATION))
        .doc("Reads a notification."),
];

const SORTED: &[Param] = &[sorting(
    "Property to sort by, with `:asc` or `:desc`: `DateCreated`, `Log`, `ErrorCode`, `CallSid` or `MessageText`.",
)];

const FILTERS: &[Param] = &[
    param("ErrorCode", Is::Number, "Number of the error."),
    param("RequestUrl", Is::Text, "Exact address that was requested."),
    param("MessageText", Is::Text, "Part of the text."),
    param("StartTime", Is::Day, "First day of creation."),
    param("EndTime", Is::Day, "Last day of creation."),
    param(
        "Log",
        Is::Word(&["0", "1"]),
        "`0` for errors, `1` for warnings.",
    )
    .within(TWILIO),
    param("MessageDate", Is::Day, "Day of creation.").within(TWILIO),
    param("MessageDate>", Is::Moment, "Created at or after this time.").within(TWILIO),
    param(
        "MessageDate<",
        Is::Moment,
        "Created at or before this time.",
    )
    .within(TWILIO),
];

async fn of_call(context: &Context<'_>, account: &Account, call: &str) -> Answer {
    let call: CallSid = call.parse().map_err(|_| Failure::not_found())?;
    list(context, account, Some(call)).await
}

async fn list(context: &Context<'_>, account: &Account, call: Option<CallSid>) -> Answer {
    let params = &context.params;
    let page = Page::read(context)?;
    let (from, until) = params.period("MessageDate", Bound::Lower, context.dialect)?;
    let filter = NotificationFilter {
        scope: scope(params, account.sid)?,
        level: params.parsed("Log", "0 or 1")?,
        code: params.parsed("ErrorCode", "a number")?,
        request_url: params.filled("RequestUrl").map(str::to_owned),
        text: params.filled("MessageText").map(str::to_owned),
        call: call.map(|call| call.to_string()),
        created_from: params.day("StartTime")?.or(from),
        created_until: params.end_of_day("EndTime")?.or(until),
        sort: sort_by(context, SORTED_BY, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.notifications(&filter).await?;
    let path = match call {
        Some(call) => format!("/Accounts/{}/Calls/{call}/Notifications", account.sid),
        None => format!("/Accounts/{}/Notifications", account.sid),
    };
    page.show(context, &NOTIFICATION, &path, rows, |notification| {
        row_key(notification.created, notification.sid)
    })
}

const SORTED_BY: &str = "DateCreated, Log, ErrorCode, CallSid or MessageText";

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

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.notification(sid).await?;
    let found = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(context.show(&NOTIFICATION, &found))
}
