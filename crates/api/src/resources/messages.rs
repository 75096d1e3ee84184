//! `/Accounts/{sid}/SMS/Messages`, also as `/Accounts/{sid}/Messages`: text messages.

use model::record::{Account, Message};
use store::{MessageFilter, MessageKey};

use crate::context::{Answer, Context};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::page::{Page, sort_by};
use crate::params::Bound;
use crate::resources::calls::{row_key, scope};
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, RESTCOMM, Route, SCOPE, SORTING, TWILIO, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "SmsMessages";
/// Segments of the path between the account and a message, as links show them.
const KIND: Each<&str> = ["SMS/Messages", "Messages"];

const FIELDS: &[Field<Message>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Absent,
        "Identifier.",
        |m, _| Value::text(m.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        "When it was created.",
        |m, _| Value::Date(m.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        "When it was last changed.",
        |m, _| Value::Date(m.updated),
    ),
    field(
        "date_sent",
        "DateSent",
        Kind::Time,
        Null::Empty,
        "When it was sent.",
        |m, _| m.sent.map_or(Value::Null, Value::Time),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        "Account that owns it.",
        |m, _| Value::text(m.account),
    ),
    // The call whose document sent it, which the original does not have.
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call that it belongs to.",
        |m, _| Value::maybe(m.call),
    ),
    field(
        "from",
        "From",
        Kind::Text,
        Null::Absent,
        "Calling party.",
        |m, _| Value::text(&m.from),
    ),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Absent,
        "Called party.",
        |m, _| Value::text(&m.to),
    ),
    field("body", "Body", Kind::Text, Null::Absent, "Text.", |m, _| {
        Value::text(&m.body)
    }),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Absent,
        "State.",
        |m, _| Value::text(m.status),
    ),
    field(
        "direction",
        "Direction",
        Kind::Text,
        Null::Absent,
        "Direction.",
        |m, _| Value::text(m.direction),
    ),
    field(
        "error_code",
        "",
        Kind::Number,
        Null::Absent,
        "Number of the error.",
        |m, _| Value::number(m.error_code.map(i64::from)),
    ),
    field(
        "error_message",
        "",
        Kind::Text,
        Null::Absent,
        "Text of the error.",
        |m, _| Value::maybe(error_message(m)),
    ),
    field(
        "",
        "Error",
        Kind::Object,
        Null::Absent,
        "The error.",
        |m, _| {
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
        },
    ),
    field::<Message>(
        "price",
        "Price",
        Kind::Text,
        Null::Absent,
        "Price.",
        |_, _| Value::text("0"),
    )
    .twilio(Kind::Text, |_, _| Value::Null),
    field::<Message>(
        "num_segments",
        "NumSegments",
        Kind::Text,
        Null::Explicit,
        "Number of SIP messages.",
        |_, _| Value::text("1"),
    )
    .within(TWILIO),
    field::<Message>(
        "num_media",
        "NumMedia",
        Kind::Text,
        Null::Explicit,
        "Number of attachments.",
        |_, _| Value::text("0"),
    )
    .within(TWILIO),
    field(
        "price_unit",
        "PriceUnit",
        Kind::Text,
        Null::Absent,
        "Currency of the price.",
        |_, _| Value::text("USD"),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Absent,
        "Path of this resource.",
        |m, view| Value::Link(view.uri(m.account, view.dialect.pick(KIND), m.sid)),
    ),
];

static MESSAGE: Resource<Message> = Resource {
    xml: ["SMSMessage", "Message"],
    xml_list: ["SMSMessages", "Messages"],
    json_list: ["messages", "messages"],
    xml_envelope: [false, true],
    whole_links: true,
    fields: FIELDS,
};

const LIST: &[&str] = &[
    "/Accounts/{account}/SMS/Messages",
    "/Accounts/{account}/Messages",
];
const ONE: &[&str] = &[
    "/Accounts/{account}/SMS/Messages/{sid}",
    "/Accounts/{account}/Messages/{sid}",
];

/// What the API can be asked about text messages.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, SCOPE, SORTING, PAGING])
        .answers(Answers::Page(&MESSAGE))
        .doc("Lists text messages, newest first."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&MESSAGE))
        .doc("Reads a text message."),
];

const FILTERS: &[Param] = &[
    param("To", Is::Text, "Recipient."),
    param("From", Is::Text, "Sender."),
    param("Body", Is::Text, "Part of the text.").within(RESTCOMM),
    param("Status", Is::Text, "State.").within(RESTCOMM),
    param("StartTime", Is::Day, "First day of creation.").within(RESTCOMM),
    param("EndTime", Is::Day, "Last day of creation.").within(RESTCOMM),
    param("DateSent", Is::Day, "Day on which messages were sent.").within(TWILIO),
    param("DateSent>", Is::Moment, "Sent then or later.").within(TWILIO),
    param("DateSent<", Is::Moment, "Sent then or earlier.").within(TWILIO),
];

/// Why it was not taken.
fn error_message(message: &Message) -> Option<&str> {
    message.error_code.and(message.reason.as_deref())
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (params, dialect) = (&context.params, context.dialect);
    let page = Page::read(context)?;
    let text = |name| params.filled(name).map(str::to_owned);
    let (sent_from, sent_until) = params.period("DateSent", Bound::Lower, dialect)?;
    let filter = MessageFilter {
        scope: scope(params, account.sid)?,
        to: text("To"),
        from: text("From"),
        exact: dialect.exact_parties,
        body: text("Body"),
        status: text("Status"),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        sent_from,
        sent_until,
        sort: sort_by(params, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.messages(&filter).await?;
    let kind = dialect.pick(KIND);
    let path = format!("/Accounts/{}/{kind}", account.sid);
    page.show(context, &MESSAGE, &path, rows, |message| {
        row_key(message.created, message.sid)
    })
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

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.message(sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    if found.account != account.sid {
        return Err(Failure::forbidden());
    }
    Ok(context.show(&MESSAGE, &found))
}
