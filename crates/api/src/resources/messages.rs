//! `/Accounts/{sid}/SMS/Messages`, also as `/Accounts/{sid}/Messages`: text messages.

use std::time::Duration;

use call_proto::{CallbackTarget, Dialect, NewMessage, SendError};
use http::StatusCode;
use model::record::{Account, Message};
use model::{Bare, HttpMethod, MessageDirection, Target, Timestamp, error};
use store::{MessageFilter, MessageKey};

use crate::common;
use crate::context::{Answer, Context, Reply, now, owned};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::page::{Page, row_key, sort_by};
use crate::params::{Bound, Params, one_line, scope, shown};
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, RESTCOMM, Route, SCOPE, TWILIO, param, sorting};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "SmsMessages";
/// Longest text, in characters.
pub(crate) const MAX_BODY: usize = 1_600;
/// Longest validity period, in seconds.
const MAX_VALIDITY_S: u64 = 36_000;
/// How soon, and how late, a message may be scheduled.
const SOONEST: Duration = Duration::from_secs(5 * 60);
const LATEST: Duration = Duration::from_secs(35 * 86_400);
/// Longest sender or recipient, in bytes.
const MAX_PARTY: usize = 254;
/// Segments of the path between the account and a message, as links show them.
const KIND: Each<&str> = ["SMS/Messages", "Messages"];

const FIELDS: &[Field<Message>] = &[
    common::sid(|m, _| Value::text(m.sid)),
    common::date_created(|m, _| Value::Date(m.created)),
    common::date_updated(|m, _| Value::Date(m.updated)),
    field(
        "date_sent",
        "DateSent",
        Kind::Time,
        Null::Empty,
        "When it was sent.",
        |m, _| m.sent.map_or(Value::Null, Value::Time),
    ),
    common::account_sid(|m, _| Value::text(m.account)),
    // The call whose document sent it, which Restcomm's API does not return.
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
        Null::Never,
        "Sender.",
        |m, _| Value::text(&m.from),
    ),
    field("to", "To", Kind::Text, Null::Never, "Recipient.", |m, _| {
        Value::text(&m.to)
    }),
    field(
        "body",
        "Body",
        Kind::Text,
        Null::Never,
        "Text of the message.",
        |m, _| Value::text(&m.body),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`queued` (waits for a route), `sending`, `sent` (accepted by the phone or the next server), `failed`, or what the receipt says: `delivered`, `undelivered`. `received` for one that arrived here; `scheduled` for one whose time has not come, `canceled` if it is not sent then.",
        |m, _| Value::text(m.status),
    ),
    field(
        "direction",
        "Direction",
        Kind::Text,
        Null::Never,
        "`inbound`, `outbound-api`, `outbound-reply` (sent by the document of a message) or `outbound-call` (sent by that of a call, or by a client).",
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
        "Always 0; null at the Twilio base.",
        |_, _| Value::text("0"),
    )
    .twilio(Kind::Text, |_, _| Value::Null),
    field::<Message>(
        "num_segments",
        "NumSegments",
        Kind::Text,
        Null::Never,
        "Number of short messages that it takes.",
        |m, _| Value::text(m.forwarding.as_ref().map_or(1, |f| f.segments)),
    )
    .within(TWILIO),
    field::<Message>(
        "num_media",
        "NumMedia",
        Kind::Text,
        Null::Never,
        "Number of attachments.",
        |_, _| Value::text("0"),
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
    common::api_version(),
    common::uri(|m, view| Value::Link(view.uri(m.account, view.dialect.pick(KIND), m.sid))),
];

static MESSAGE: Resource<Message> = Resource {
    xml: ["SMSMessage", "Message"],
    xml_list: ["SMSMessages", "Messages"],
    json_list: ["messages", "messages"],
    xml_envelope: [false, true],
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

/// The routes of text messages.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, SCOPE, SORTED, PAGING])
        .answers(Answers::Page(&MESSAGE))
        .doc("Lists text messages, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(send(c, a)))
        .needs(Action::Create, TARGET)
        .params(&[NEW])
        .instead(INSTEAD)
        .takes_headers()
        .status([200, 201])
        .answers(Answers::One(&MESSAGE))
        .doc("Sends a text message without a call, now or at a time (`SendAt`)."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&MESSAGE))
        .doc("Reads a text message."),
    Route::post(ONE, |c, a, sid| Box::pin(change(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .params(&[CHANGE])
        .answers(Answers::One(&MESSAGE))
        .refuses([&[409], &[409]])
        .doc("Removes the text of a message that has ended, or cancels one that is `scheduled`."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .status([204, 204])
        .answers(Answers::Nothing)
        .refuses([&[409], &[409]])
        .doc("Deletes a text message that has ended."),
];

const CHANGE: &[Param] = &[
    param(
        "Body",
        Is::Text,
        "Must be empty: the text is removed, and the rest of the record stays.",
    ),
    param(
        "Status",
        Is::Word(&["canceled"]),
        "`canceled`: a message that is `scheduled` is not sent.",
    ),
];

/// Parameters of other servers, with what to use instead.
const INSTEAD: &[(&str, &str)] = &[
    (
        "MediaUrl",
        "attachments cannot be sent; write the address into `Body`",
    ),
    ("MessagingServiceSid", "write the sender as `From`"),
    ("ContentSid", "write the text as `Body`"),
    ("ContentVariables", "write the text as `Body`"),
    ("ApplicationSid", "use `StatusCallback`"),
    ("MaxPrice", "messages have no price"),
];

const SORTED: &[Param] = &[sorting(
    "Property to sort by, with `:asc` or `:desc`: `DateCreated`, `From`, `To`, `Direction`, `Status` or `Body`. `Price` does not change the order.",
)];

const FILTERS: &[Param] = &[
    param("To", Is::Party, "Recipient."),
    param("From", Is::Party, "Sender."),
    param("Body", Is::Text, "Part of the text.").within(RESTCOMM),
    param("Status", Is::Text, "Status of the message.").within(RESTCOMM),
    param("StartTime", Is::Day, "First day of creation.").within(RESTCOMM),
    param("EndTime", Is::Day, "Last day of creation.").within(RESTCOMM),
    param("DateSent", Is::Day, "Day on which messages were sent.").within(TWILIO),
    param("DateSent>", Is::Moment, "Sent at or after this time.").within(TWILIO),
    param("DateSent<", Is::Moment, "Sent at or before this time.").within(TWILIO),
];

const NEW: &[Param] = &[
    param(
        "From",
        Is::Party,
        "Sender: a number, a name or a SIP address.",
    )
    .required(),
    param(
        "To",
        Is::Party,
        "Recipient: `client:LOGIN`, a SIP address, a login or a number.",
    )
    .required(),
    param("Body", Is::Text, "Text, at most 1600 characters.").required(),
    param(
        "Encoding",
        Is::Word(&["GSM", "UCS-2", "UTF-8"]),
        "Has no effect: SIP carries UTF-8, and a route chooses its own alphabet.",
    )
    .within(RESTCOMM),
    param(
        "StatusCallback",
        Is::Address,
        "Address that receives each status.",
    ),
    param(
        "StatusCallbackMethod",
        Is::Method,
        "Method for `StatusCallback`; POST if not given.",
    ),
    param(
        "ValidityPeriod",
        Is::Number,
        "Seconds after which the message fails (30036) if nothing has taken it, from 1 to 36000; 14400 if not given. They count from `SendAt`, if that is given.",
    ),
    param(
        "ScheduleType",
        Is::Word(&["fixed"]),
        "`fixed`: the message is sent at `SendAt`.",
    ),
    param(
        "SendAt",
        Is::Text,
        "When it is sent, as in `2030-05-15T14:30:00Z`: from 5 minutes to 35 days from now (35114). Needs `ScheduleType=fixed`.",
    ),
];

/// Why it was not accepted.
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
        exact: dialect.exact,
        body: text("Body"),
        status: text("Status"),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        sent_from,
        sent_until,
        sort: sort_by(context, SORTED_BY, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.messages(&filter).await?;
    let kind = dialect.pick(KIND);
    let path = format!("/Accounts/{}/{kind}", account.sid);
    page.show(context, &MESSAGE, &path, rows, |message| {
        row_key(message.created, message.sid)
    })
}

async fn send(context: &Context<'_>, account: &Account) -> Answer {
    let new = new_message(context, account)?;
    if context.state.is_draining() {
        return Err(Failure::busy(StatusCode::SERVICE_UNAVAILABLE)
            .saying("the server is stopping and accepts no new messages"));
    }
    let store = &context.state.store;
    let target = Target::parse(&new.to, Bare::ClientOrNumber);
    if store
        .is_opted_out(new.account, &new.from, target.as_str())
        .await?
    {
        return Err(Failure::of(error::OPTED_OUT));
    }
    let messages = &context.state.messages;
    let sent = match send_at(context)? {
        Some(at) => messages.schedule(new, at).await,
        None => messages.send(new).await,
    };
    let record = sent.map_err(not_sent)?;
    Ok(context.show(&MESSAGE, &record))
}

/// When the message is to be sent, if not now.
fn send_at(context: &Context<'_>) -> Result<Option<Timestamp>, Failure> {
    let params = &context.params;
    match (params.filled("SendAt"), params.word("ScheduleType")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Failure::parameter(
            "SendAt",
            "write when the message is to be sent, as in 2030-05-15T14:30:00Z",
        )),
        (Some(_), None) => Err(Failure::parameter(
            "ScheduleType",
            "write `fixed`, so that the message is sent at `SendAt`",
        )),
        (Some(text), Some(_)) => {
            let now = now();
            let is_possible = |at: &Timestamp| (now + SOONEST..=now + LATEST).contains(at);
            let at = Timestamp::from_rfc3339(text.trim()).filter(is_possible);
            at.map(Some).ok_or_else(|| {
                let reason = format!(
                    "SendAt: `{}` is not a time from 5 minutes to 35 days from now, written as in 2030-05-15T14:30:00Z",
                    shown(text)
                );
                Failure::of(error::MESSAGE_SEND_AT).saying(reason)
            })
        }
    }
}

/// The refusal for a message that was not sent.
pub(crate) fn not_sent(refusal: SendError) -> Failure {
    match refusal {
        SendError::Busy => Failure::busy(StatusCode::TOO_MANY_REQUESTS),
        SendError::Store => Failure::without_database(),
    }
}

fn new_message(context: &Context<'_>, account: &Account) -> Result<NewMessage, Failure> {
    let params = &context.params;
    let from = party(params, "From")?;
    let to = party(params, "To")?;
    let body = params.required("Body")?;
    if body.chars().count() > MAX_BODY {
        let reason = format!("at most {MAX_BODY} characters are allowed");
        return Err(Failure::parameter("Body", &reason));
    }
    let method = params.method("StatusCallbackMethod")?;
    let callback = context.optional_address("StatusCallback")?;
    Ok(NewMessage {
        account: account.sid,
        from,
        to,
        body: body.to_owned(),
        recorded_as: None,
        direction: MessageDirection::OutboundApi,
        headers: params.headers()?,
        callback: callback.map(|url| CallbackTarget {
            url,
            method: method.unwrap_or(HttpMethod::Post),
            author: context.caller.sid,
        }),
        validity: validity(params)?,
        dialect: Dialect::of(context.dialect.runs),
        answers_keyword: None,
        released: None,
        chosen: None,
    })
}

/// How long the message may be tried.
fn validity(params: &Params) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = params.parsed::<u64>("ValidityPeriod", "a whole number of seconds")? else {
        return Ok(None);
    };
    if !(1..=MAX_VALIDITY_S).contains(&seconds) {
        let reason = format!("write a number of seconds from 1 to {MAX_VALIDITY_S}");
        return Err(Failure::parameter("ValidityPeriod", &reason));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// A sender or recipient.
fn party(params: &Params, name: &str) -> Result<String, Failure> {
    party_of(name, params.required(name)?.trim())
}

/// A sender or recipient in a parameter.
pub(crate) fn party_of(name: &str, text: &str) -> Result<String, Failure> {
    one_line(name, text)?;
    if text.len() > MAX_PARTY {
        let reason = format!("at most {MAX_PARTY} bytes are allowed");
        return Err(Failure::parameter(name, &reason));
    }
    let refusal = |why| Failure::parameter(name, &format!("`{}` {why}", shown(text)));
    match Target::parse(text, Bare::ClientOrNumber) {
        Target::Sip(address) if !model::address::is_sip_address(&address) => {
            Err(refusal("is not a SIP address"))
        }
        Target::Client(login) if login.is_empty() => Err(refusal("names no client")),
        Target::Sip(_) | Target::Client(_) | Target::Named(_) | Target::Number(_) => {
            Ok(model::number::tidy(text))
        }
    }
}

const SORTED_BY: &str = "DateCreated, From, To, Direction, Status, Body or Price";

fn sort_key(field: &str) -> Option<MessageKey> {
    Some(match field {
        "DateCreated" => MessageKey::Created,
        "From" => MessageKey::From,
        "To" => MessageKey::To,
        "Direction" => MessageKey::Direction,
        "Status" => MessageKey::Status,
        "Body" => MessageKey::Body,
        // All messages have the same price, so this leaves the order unchanged.
        _ => return None,
    })
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Message, Failure> {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.message(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    Ok(context.show(&MESSAGE, &found))
}

async fn change(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    if context.params.word("Status").is_some() {
        let canceled = context.state.messages.cancel(found.sid).await;
        if !canceled.map_err(not_sent)? {
            return Err(Failure::of(error::MESSAGE_NOT_SCHEDULED));
        }
        if context.params.get("Body").is_none() {
            return get(context, account, sid).await;
        }
    }
    match context.params.get("Body") {
        None => return Ok(context.show(&MESSAGE, &found)),
        Some("") => {}
        Some(_) => {
            let reason = "the text can only be removed: send it empty";
            return Err(Failure::parameter("Body", reason));
        }
    }
    if !context.state.store.redact_message(found.sid, now()).await? {
        return Err(Failure::of(error::MESSAGE_PENDING));
    }
    get(context, account, sid).await
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    if context.state.store.delete_message(found.sid).await? {
        return Ok(Reply::Nothing);
    }
    Err(Failure::of(error::MESSAGE_PENDING))
}
