//! `/Accounts/{sid}/Calls`: call legs, live and past.

use http::StatusCode;
use model::record::{Account, CallRecord};
use model::{AccountSid, CallSid, CallStatus, HttpMethod, LegEvent, error};
use store::{CallFilter, CallKey, Scope, Sort};

use crate::calls::{CreateError, Modify, ModifyError, NewCall};
use crate::context::{Answer, Context, Reply, VERSION, Verb, uri};
use crate::failure::Failure;
use crate::page::{ListNames, Page, sort_by};
use crate::params::{Params, resolve, shown};
use crate::roles::Action;
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

const DEFAULT_TIMEOUT_S: u32 = 60;
const LONGEST_TIMEOUT_S: u32 = 600;

const FIELDS: &[Field<CallRecord>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |c, _| {
        Value::text(c.sid)
    }),
    field(
        "InstanceId",
        "InstanceId",
        Kind::Text,
        Null::Absent,
        |c, _| Value::text(c.instance),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |c, _| Value::Date(c.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |c, _| Value::Date(c.updated),
    ),
    field(
        "parent_call_sid",
        "ParentCallSid",
        Kind::Text,
        Null::Empty,
        |c, _| Value::maybe(c.parent),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |c, _| Value::text(c.account),
    ),
    field("to", "To", Kind::Text, Null::Absent, |c, _| {
        Value::text(&c.to)
    }),
    field("from", "From", Kind::Text, Null::Absent, |c, _| {
        Value::text(&c.from)
    }),
    field(
        "phone_number_sid",
        "PhoneNumberSid",
        Kind::Text,
        Null::Empty,
        |c, _| Value::maybe(c.number),
    ),
    field("status", "Status", Kind::Text, Null::Absent, |c, _| {
        Value::text(c.status)
    }),
    field(
        "start_time",
        "StartTime",
        Kind::Time,
        Null::Empty,
        |c, _| Value::time(c.started),
    ),
    field("end_time", "EndTime", Kind::Time, Null::Empty, |c, _| {
        Value::time(c.ended)
    }),
    field("duration", "Duration", Kind::Number, Null::Empty, |c, _| {
        Value::number(c.duration_s)
    }),
    field("", "Price", Kind::Text, Null::Empty, |_, _| {
        Value::text("0.00")
    }),
    field(
        "price_unit",
        "PriceUnit",
        Kind::Text,
        Null::Empty,
        |_, _| Value::text("USD"),
    ),
    field(
        "direction",
        "Direction",
        Kind::Text,
        Null::Absent,
        |c, _| Value::text(c.direction),
    ),
    field(
        "answered_by",
        "AnsweredBy",
        Kind::Text,
        Null::Empty,
        |c, _| Value::maybe(c.answered_by.as_deref()),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text(VERSION),
    ),
    field(
        "forwarded_from",
        "ForwardedFrom",
        Kind::Text,
        Null::Empty,
        |c, _| Value::maybe(c.forwarded_from.as_deref()),
    ),
    field(
        "caller_name",
        "CallerName",
        Kind::Text,
        Null::Empty,
        |c, _| Value::maybe(c.caller_name.as_deref()),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |c, _| {
        Value::Link(uri(c.account, "Calls", c.sid))
    }),
    field(
        "ring_duration",
        "Ring_duration",
        Kind::Number,
        Null::Empty,
        |c, _| Value::number(c.ring_duration_s),
    ),
    // Why and how it ended and whether it is muted, which the original does not tell.
    field("reason", "Reason", Kind::Text, Null::Absent, |c, _| {
        Value::maybe(c.reason.as_deref())
    }),
    field(
        "sip_status",
        "SipStatus",
        Kind::Number,
        Null::Absent,
        |c, _| Value::number(c.sip_status.map(i64::from)),
    ),
    field(
        "sip_reason",
        "SipReason",
        Kind::Text,
        Null::Absent,
        |c, _| Value::maybe(c.sip_reason.as_deref()),
    ),
    field("hangup_by", "HangupBy", Kind::Text, Null::Absent, |c, _| {
        Value::maybe(c.hangup_by)
    }),
    field("media", "Media", Kind::Object, Null::Absent, |c, _| {
        media(c)
    }),
    field("muted", "Muted", Kind::Flag, Null::Absent, |c, _| {
        Value::Flag(c.muted)
    }),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Absent,
        |c, _| subresources(c),
    ),
];

const CALL: Resource<CallRecord> = Resource {
    xml: "Call",
    xml_list: "Calls",
    fields: FIELDS,
};

/// What the media of the leg counted; absent until it is closed.
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

fn subresources(call: &CallRecord) -> Value {
    let own = uri(call.account, "Calls", call.sid);
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

/// The account alone, or with all below it if `SubAccounts=true`.
pub(crate) fn scope(params: &Params, account: AccountSid) -> Result<Scope, Failure> {
    Ok(if params.flag("SubAccounts")? == Some(true) {
        Scope::Tree(account)
    } else {
        Scope::Own(account)
    })
}

/// A call identifier in its short form; patterns stay as they are.
pub(crate) fn call_pattern(text: &str) -> String {
    text.parse::<CallSid>()
        .map_or_else(|_| text.to_owned(), |sid| sid.to_string())
}

/// The list, and new ones.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    match context.verb {
        Verb::Get => {
            let account = context.operate(account, Action::Read, "Calls").await?;
            list(context, &account).await
        }
        Verb::Post => {
            let account = context.operate(account, Action::Create, "Calls").await?;
            create(context, &account).await
        }
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(params)?;
    let text = |name| params.filled(name).map(str::to_owned);
    let filter = CallFilter {
        scope: scope(params, account.sid)?,
        to: text("To"),
        from: text("From"),
        status: text("Status").map(|word| word.replace('_', "-")),
        started_from: params.day("StartTime")?,
        ended_until: params.end_of_day("EndTime")?,
        parent: params.filled("ParentCallSid").map(call_pattern),
        sort: order(params)?,
        window: page.window(),
    };
    let rows = context.state.store.calls(&filter).await?;
    let names = ListNames {
        uri: &format!("/{VERSION}/Accounts/{}/Calls", account.sid),
        json: "calls",
        xml: CALL.xml_list,
        xml_item: CALL.xml,
        xml_envelope: true,
    };
    let text = page.write(context.format, &names, &rows, |row| {
        (row.sid.to_string(), CALL.entries(row, context.view()))
    })?;
    Ok(Reply::Document(text))
}

fn order(params: &Params) -> Result<Option<Sort<CallKey>>, Failure> {
    let asked = sort_by(params, |field| {
        Some(match field {
            "DateCreated" => CallKey::Created,
            "From" => CallKey::From,
            "To" => CallKey::To,
            "Direction" => CallKey::Direction,
            "Status" => CallKey::Status,
            "Duration" => CallKey::Duration,
            // All calls have the same price, so it leaves the order as it is.
            _ => return None,
        })
    })?;
    let reversed = params.filled("Reverse").map(|text| Sort {
        key: CallKey::Created,
        descending: text.eq_ignore_ascii_case("true"),
    });
    Ok(match params.filled("SortBy") {
        Some(_) => asked,
        None => reversed,
    })
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let new = new_call(context, account)?;
    if context.state.is_draining() {
        return Err(Failure::busy(StatusCode::SERVICE_UNAVAILABLE)
            .saying("the server is about to stop and takes no new calls"));
    }
    let created = context.state.calls.create(new).await;
    let records = created.map_err(|refusal| match refusal {
        CreateError::Unreachable(text) => Failure::of(error::UNREACHABLE_TARGET).saying(text),
        CreateError::BadValue(text) => Failure::of(error::BAD_PARAMETER).saying(text),
        CreateError::Busy => Failure::busy(StatusCode::TOO_MANY_REQUESTS),
        CreateError::Failed(text) => Failure::of(error::INTERNAL).saying(text),
    })?;
    Ok(match &records[..] {
        [one] => context.show(&CALL, one),
        several => context.show_all(&CALL, several),
    })
}

fn new_call(context: &Context<'_>, account: &Account) -> Result<NewCall, Failure> {
    let params = &context.params;
    let from = params.required("From")?.trim();
    let to = params.required("To")?.trim();
    let url = params.required("Url")?.trim();
    one_line("From", from)?;
    if from.contains('@') && !model::address::is_sip_address(from) {
        return Err(Failure::parameter(
            "From",
            &format!("`{}` is no SIP address", shown(from)),
        ));
    }
    one_line("To", to)?;
    let (to, headers) = headers_of(to)?;
    let text = |name| params.filled(name).map(str::to_owned);
    Ok(NewCall {
        account: account.sid,
        author: context.caller.sid,
        from: from.to_owned(),
        to,
        headers,
        url: absolute(context, "Url", url)?,
        method: params.method("Method")?.unwrap_or(HttpMethod::Post),
        fallback_url: optional_address(context, "FallbackUrl")?,
        fallback_method: params.method("FallbackMethod")?.unwrap_or(HttpMethod::Post),
        status_callback: optional_address(context, "StatusCallback")?,
        status_callback_method: params
            .method("StatusCallbackMethod")?
            .unwrap_or(HttpMethod::Post),
        status_callback_events: events(params)?,
        timeout_s: timeout(params)?,
        username: text("Username"),
        password: text("Password"),
    })
}

/// Splits the `?name=value&…` tail off a callee.
fn headers_of(to: &str) -> Result<(String, Vec<(String, String)>), Failure> {
    let Some((callee, tail)) = to.split_once('?') else {
        return Ok((to.to_owned(), Vec::new()));
    };
    let headers: Vec<(String, String)> = url::form_urlencoded::parse(tail.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    for (name, value) in &headers {
        let is_token = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        if !is_token || value.chars().any(char::is_control) {
            return Err(Failure::parameter(
                "To",
                &format!("`{}` cannot be a header", shown(name)),
            ));
        }
    }
    Ok((callee.to_owned(), headers))
}

/// Refuses what would break the line of a header.
fn one_line(name: &str, value: &str) -> Result<(), Failure> {
    if value.chars().any(char::is_control) {
        Err(Failure::parameter(
            name,
            "control characters are not allowed",
        ))
    } else {
        Ok(())
    }
}

/// The events of comma lists, blank lists or repeated parameters; all without any.
fn events(params: &Params) -> Result<Vec<LegEvent>, Failure> {
    let mut events = Vec::new();
    for list in params.all("StatusCallbackEvent") {
        for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
            let event = LegEvent::ALL
                .into_iter()
                .find(|event| event.as_str().eq_ignore_ascii_case(word))
                .ok_or_else(|| {
                    Failure::parameter(
                        "StatusCallbackEvent",
                        &format!(
                            "`{}` is none of initiated, ringing, answered, completed",
                            shown(word)
                        ),
                    )
                })?;
            if !events.contains(&event) {
                events.push(event);
            }
        }
    }
    if events.is_empty() {
        events.extend(LegEvent::ALL);
    }
    events.sort();
    Ok(events)
}

fn timeout(params: &Params) -> Result<u32, Failure> {
    match params.parsed("Timeout", "a whole number of seconds")? {
        None => Ok(DEFAULT_TIMEOUT_S),
        Some(seconds @ 1..=LONGEST_TIMEOUT_S) => Ok(seconds),
        Some(_) => Err(Failure::parameter(
            "Timeout",
            "must be from 1 to 600 seconds",
        )),
    }
}

/// An address made absolute by this server's own.
fn absolute(context: &Context<'_>, name: &str, text: &str) -> Result<String, Failure> {
    // Anything without a scheme would be relative to this server; only a path is meant so.
    let path = text.starts_with('/');
    let absolute = text.starts_with("http:") || text.starts_with("https:");
    resolve(&context.state.public_base, text)
        .filter(|_| path || absolute)
        .map(String::from)
        .ok_or_else(|| {
            Failure::parameter(
                name,
                &format!("`{}` is no http or https address", shown(text)),
            )
        })
}

fn optional_address(context: &Context<'_>, name: &str) -> Result<Option<String>, Failure> {
    context
        .params
        .filled(name)
        .map(|text| absolute(context, name, text.trim()))
        .transpose()
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    match context.verb {
        Verb::Get => {
            let account = context.operate(account, Action::Read, "Calls").await?;
            let sid: CallSid = sid.parse().map_err(|_| Failure::not_found())?;
            let call = context.state.store.call(sid).await?;
            let call = call.ok_or_else(Failure::not_found)?;
            if call.account != account.sid {
                return Err(Failure::forbidden());
            }
            Ok(context.show(&CALL, &call))
        }
        Verb::Post => {
            let account = context.operate(account, Action::Modify, "Calls").await?;
            modify(context, &account, sid).await
        }
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn modify(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let foreign = || Failure::parameter("CallSid", "this is no call of the account");
    let unknown = || Failure::not_found().with_status(StatusCode::NOT_ACCEPTABLE);
    let sid: CallSid = sid.parse().map_err(|_| foreign())?;
    let call = context.state.store.call(sid).await?.ok_or_else(unknown)?;
    if call.account != account.sid && !context.is_super_admin() {
        return Err(foreign());
    }
    let changes = changes(context)?;
    if call.status.is_final() {
        return Err(Failure::of(error::CALL_NOT_LIVE));
    }
    let author = context.caller.sid;
    let before = context.state.calls.modify(sid, author, changes).await;
    let before = before.map_err(|refusal| match refusal {
        ModifyError::NotFound => unknown(),
        ModifyError::NotLive => Failure::of(error::CALL_NOT_LIVE),
        ModifyError::BadValue(text) => Failure::of(error::BAD_PARAMETER).saying(text),
        ModifyError::Failed(text) => Failure::of(error::INTERNAL).saying(text),
    })?;
    Ok(context.show(&CALL, &before))
}

fn changes(context: &Context<'_>) -> Result<Modify, Failure> {
    let params = &context.params;
    let status = match params.parsed::<CallStatus>("Status", "canceled or completed")? {
        None => None,
        Some(status @ (CallStatus::Canceled | CallStatus::Completed)) => Some(status),
        Some(_) => {
            return Err(Failure::parameter(
                "Status",
                "must be canceled or completed",
            ));
        }
    };
    let changes = Modify {
        url: optional_address(context, "Url")?,
        method: params.method("Method")?,
        fallback_url: optional_address(context, "FallbackUrl")?,
        fallback_method: params.method("FallbackMethod")?,
        status_callback: optional_address(context, "StatusCallback")?,
        status_callback_method: params.method("StatusCallbackMethod")?,
        status,
        mute: params.flag("Mute")?,
        move_connected_leg: params.flag("MoveConnectedCallLeg")?.unwrap_or(false),
    };
    if changes.url.is_none() && changes.status.is_none() && changes.mute.is_none() {
        return Err(Failure::of(error::BAD_PARAMETER)
            .saying("Url, Status or Mute: one of these parameters is required"));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callees_lose_their_headers() {
        let table = [
            ("client:bob", Some(("client:bob", vec![]))),
            (
                "sip:bob@h:5061?X-A=1%202&X-B=",
                Some(("sip:bob@h:5061", vec![("X-A", "1 2"), ("X-B", "")])),
            ),
            ("131313?", Some(("131313", vec![]))),
            ("a?X-A=1%0d%0aEvil: 1", None),
            ("a?X:A=1", None),
        ];
        for (to, expected) in table {
            let found = headers_of(to).ok();
            let expected = expected.map(|(callee, headers)| {
                let headers = headers
                    .into_iter()
                    .map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()))
                    .collect();
                (callee.to_owned(), headers)
            });
            assert_eq!(found, expected, "{to}");
        }
    }

    #[test]
    fn events_come_in_any_list() {
        let all = LegEvent::ALL.to_vec();
        let table = [
            ("", Some(all.clone())),
            ("StatusCallbackEvent=", Some(all)),
            (
                "StatusCallbackEvent=completed,initiated",
                Some(vec![LegEvent::Initiated, LegEvent::Completed]),
            ),
            (
                "StatusCallbackEvent=ringing+answered&StatusCallbackEvent=Ringing",
                Some(vec![LegEvent::Ringing, LegEvent::Answered]),
            ),
            ("StatusCallbackEvent=hung-up", None),
        ];
        for (query, expected) in table {
            let found = events(&Params::parse(query.as_bytes())).ok();
            assert_eq!(found, expected, "{query}");
        }
    }
}
