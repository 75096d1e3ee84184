//! `/Accounts/{sid}/Calls`: call legs, live and past.

mod answering;
mod changes;
mod events;
mod fields;
mod interjection;

use std::time::Duration;

use call_proto::{
    CallbackTarget, CreateError, Dialect, Document, Fallback, LegCallback, NewCall, NewRecording,
    Planned, SetIn, routing,
};
use http::StatusCode;
use model::naming;
use model::record::{Account, Application, CallRecord};
use model::{
    ApplicationSid, Bare, CallSid, CallStatus, ConferenceSid, HttpMethod, LegEvent, Target, error,
};
use store::{CallFilter, CallKey, Sort};

use self::answering::DETECTION;
pub(super) use self::answering::{DETECTION_BESIDE, detection_beside};
use self::changes::modify;
pub(crate) use self::changes::runs_elsewhere;
use self::fields::CALL;
use self::interjection::INTERJECTIONS;
use super::recordings::{NEW_RECORDING, new_recording};
use crate::context::{Answer, Context, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key, sort_by};
use crate::params::{Bound, Params, call_pattern, one_line, party_pattern, scope, shown};
use crate::roles::Action;
use crate::route::{
    Answers, Is, PAGING, Param, RESTCOMM, Route, SCOPE, TWILIO, param, sid, sorting,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_TIMEOUT_S: u64 = 600;
const LONGEST_CALL_S: u64 = 24 * 3600;

const ONE: &[&str] = &["/Accounts/{account}/Calls/{sid}"];
const LIST: &[&str] = &["/Accounts/{account}/Calls"];

/// The routes of calls.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Calls")
        .params(&[FILTERS, SCOPE, SORTED, PAGING])
        .answers(Answers::Page(&CALL))
        .doc("Lists calls, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Calls")
        .params(&[
            PARTIES,
            CREDENTIALS,
            NEW_DOCUMENT,
            DOCUMENT,
            EVENTS,
            FROM_ANSWER,
            NEW_RECORDING,
            DETECTION,
        ])
        .instead(&[("CallerId", "send it as From")])
        .answers(Answers::Legs(&CALL))
        .status([200, 201])
        .doc("Makes a call; one to a client rings all its phones."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Calls")
        .answers(Answers::One(&CALL))
        .doc("Reads a call."),
    Route::post(ONE, |c, a, sid| Box::pin(modify(c, a, sid)))
        .needs(Action::Modify, "Calls")
        .refuses([&[406, 410, 421], &[421]])
        .params(&[NEXT_DOCUMENT, DOCUMENT, CHANGES, INTERJECTIONS])
        .answers(Answers::One(&CALL))
        .doc("Changes a live call: ends it, runs another document on it, or immediately speaks, plays a sound or sends keys to it."),
    events::LIST,
];

const SORTED: &[Param] = &[sorting(
    "Property to sort by, with `:asc` or `:desc`: `DateCreated`, `From`, `To`, `Direction`, `Status` or `Duration`. `Price` does not change the order.",
)];

const FILTERS: &[Param] = &[
    param("To", Is::Party, "Called party."),
    param("From", Is::Party, "Calling party."),
    param("Status", Is::Text, "Status, or a pattern with `%` and `_`.").within(RESTCOMM),
    param(
        "Status",
        Is::Word(&[
            "queued",
            "ringing",
            "in-progress",
            "completed",
            "busy",
            "failed",
            "no-answer",
            "canceled",
        ]),
        "Status of the call.",
    )
    .within(TWILIO),
    param(
        "ParentCallSid",
        Is::SidPattern(sid::<CallSid>),
        "Call that made the leg.",
    ),
    param(
        "ConferenceSid",
        Is::SidPattern(sid::<ConferenceSid>),
        "Conference that the call is in, or was in when it ended.",
    )
    .within(RESTCOMM),
    param(
        "StartTime",
        Is::Day,
        "Calls that began on this day; at the Restcomm base: on this day or later.",
    ),
    param("StartTime>", Is::Moment, "Began at or after this time.").within(TWILIO),
    param("StartTime<", Is::Moment, "Began at or before this time.").within(TWILIO),
    param(
        "EndTime",
        Is::Day,
        "Calls that ended on this day; at the Restcomm base: on this day or earlier.",
    ),
    param("EndTime>", Is::Moment, "Ended at or after this time.").within(TWILIO),
    param("EndTime<", Is::Moment, "Ended at or before this time.").within(TWILIO),
    param(
        "Reverse",
        Is::Flag,
        "`true` for newest first, `false` for oldest first.",
    )
    .within(RESTCOMM),
];

pub(super) const PARTIES: &[Param] = &[
    param(
        "From",
        Is::Party,
        "Caller: a number, a name or a SIP address.",
    )
    .required(),
    param(
        "To",
        Is::Party,
        "Called party: `client:NAME`, a SIP address or a number; headers may follow after `?`.",
    )
    .required(),
    param(
        "Timeout",
        Is::Number,
        "Seconds to ring, from 1 to 600; 60 if not given.",
    ),
];

pub(super) const CREDENTIALS: &[Param] = &[
    param(
        "Username",
        Is::Text,
        "User name if the called party asks for credentials.",
    )
    .within(RESTCOMM),
    param("Password", Is::Secret, "Password for `Username`.").within(RESTCOMM),
    param(
        "SipAuthUsername",
        Is::Text,
        "User name if the called party asks for credentials.",
    )
    .within(TWILIO),
    param(
        "SipAuthPassword",
        Is::Secret,
        "Password for `SipAuthUsername`.",
    )
    .within(TWILIO),
];

const URL: Param = param("Url", Is::Text, "Address of the document to run.");
const TWIML: Param = param(
    "Twiml",
    Is::Text,
    "Text of the document to run, instead of `Url`; addresses in it must be absolute.",
);
const NEW_DOCUMENT: &[Param] = &[
    URL,
    TWIML,
    param(
        "ApplicationSid",
        Is::Sid(sid::<ApplicationSid>),
        "Application whose document to run, instead of `Url` and the parameters of the document.",
    ),
    param(
        "SendDigits",
        Is::Text,
        "Keys sent to the party that answers, before the document runs: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence; at most 32.",
    ),
];
const NEXT_DOCUMENT: &[Param] = &[URL, TWIML];

/// Parameters of the document, besides its address.
const DOCUMENT: &[Param] = &[
    param("Method", Is::Method, "Method for `Url`; POST if not given."),
    param(
        "FallbackUrl",
        Is::Text,
        "Address of the document if `Url` fails.",
    ),
    param(
        "FallbackMethod",
        Is::Method,
        "Method for `FallbackUrl`; POST if not given.",
    ),
    param(
        "StatusCallback",
        Is::Text,
        "Address that receives progress events ([webhooks.md](webhooks.md#call-status)).",
    ),
    param(
        "StatusCallbackMethod",
        Is::Method,
        "Method for `StatusCallback`; POST if not given.",
    ),
];

pub(super) const EVENTS: &[Param] = &[param(
    "StatusCallbackEvent",
    Is::Words(LegEvent::WORDS),
    "Events to send, separated by spaces or commas; the parameter may be repeated. If not given: all four, at the Twilio base only `completed`.",
)];

/// What applies to the call from its answer on.
pub(super) const FROM_ANSWER: &[Param] = &[
    param(
        "TimeLimit",
        Is::Number,
        "Seconds after the answer at which the call is ended, whatever it does, from 1 to 86400; without limit if not given.",
    ),
    param(
        "Record",
        Is::Flag,
        "`true` records the call from its answer on: what the called party says and what it hears. The other parameters of the recording need it.",
    ),
];

const CHANGES: &[Param] = &[
    param(
        "Status",
        Is::Word(&["canceled", "completed"]),
        "Cancels or ends the call. `canceled` has no effect on a call that has been answered; `completed` ends any call.",
    ),
    param(
        "Mute",
        Is::Flag,
        "`true` mutes the call in its conference: the other participants do not hear it. `false` unmutes it. It cannot be combined with `Url` or `Status`.",
    )
    .within(RESTCOMM),
    param(
        "MoveConnectedCallLeg",
        Is::Flag,
        "Whether the connected party runs the document too; otherwise it is disconnected. Has no effect in a conference.",
    )
    .within(RESTCOMM),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (params, dialect) = (&context.params, context.dialect);
    let page = Page::read(context)?;
    let (started_from, started_until) = params.period("StartTime", Bound::Lower, dialect)?;
    let (ended_from, ended_until) = params.period("EndTime", Bound::Upper, dialect)?;
    let filter = CallFilter {
        scope: scope(params, account.sid)?,
        to: params.filled("To").map(party_pattern),
        from: params.filled("From").map(party_pattern),
        exact: dialect.exact,
        status: statuses(context),
        started_from,
        started_until,
        ended_from,
        ended_until,
        parent: params.filled("ParentCallSid").map(call_pattern),
        conference: params.filled("ConferenceSid").map(str::to_owned),
        sort: order(context)?,
        window: page.window(),
    };
    let rows = context.state.store.calls(&filter).await?;
    let path = format!("/Accounts/{}/Calls", account.sid);
    page.show(context, &CALL, &path, rows, |call| {
        row_key(call.created, call.sid)
    })
}

/// The statuses shown as the word of a filter, which may be a pattern at some base paths.
fn statuses(context: &Context<'_>) -> Vec<String> {
    let Some(text) = context.params.filled("Status") else {
        return Vec::new();
    };
    let text = text.trim();
    let word = text.replace('_', "-");
    let shown_so = CallStatus::ALL.into_iter().filter(|status| {
        let shown = (context.dialect.call_status)(*status).as_str();
        shown.eq_ignore_ascii_case(&word)
    });
    let mut statuses: Vec<String> = shown_so.map(|status| status.to_string()).collect();
    if statuses.is_empty() {
        if !text.contains(['%', '_']) {
            let text = format!(
                "Status: `{}` is not a status of calls, so none is listed",
                shown(text)
            );
            context.warnings.add(error::REQUEST_WARNING, text);
        }
        // The words are lower-case, and some databases compare letter by letter.
        statuses.push(text.to_ascii_lowercase());
    }
    statuses
}

fn order(context: &Context<'_>) -> Result<Option<Sort<CallKey>>, Failure> {
    let params = &context.params;
    const NAMES: &str = "DateCreated, From, To, Direction, Status, Duration or Price";
    let asked = sort_by(context, NAMES, |field| {
        Some(match field {
            "DateCreated" => CallKey::Created,
            "From" => CallKey::From,
            "To" => CallKey::To,
            "Direction" => CallKey::Direction,
            "Status" => CallKey::Status,
            "Duration" => CallKey::Duration,
            // All calls have the same price, so this leaves the order unchanged.
            _ => return None,
        })
    })?;
    let reversed = params.flag("Reverse")?.map(|descending| Sort {
        key: CallKey::Created,
        descending,
    });
    Ok(match params.filled("SortBy") {
        Some(_) => asked,
        None => reversed,
    })
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let new = new_call(context, account).await?;
    not_draining(context)?;
    let records = context.state.calls.create(new).await.map_err(not_created)?;
    Ok(match &records[..] {
        [first, rest @ ..] if rest.is_empty() || !context.dialect.lists_legs => {
            context.show(&CALL, first)
        }
        legs => context.bare(&CALL, legs),
    })
}

pub(crate) fn not_draining(context: &Context<'_>) -> Result<(), Failure> {
    if context.state.is_draining() {
        return Err(Failure::busy(StatusCode::SERVICE_UNAVAILABLE)
            .saying("the server is stopping and accepts no new calls"));
    }
    Ok(())
}

pub(crate) fn not_created(refusal: CreateError) -> Failure {
    match refusal {
        CreateError::Unreachable(why) => Failure::of(why.code).saying(why.text),
        CreateError::Busy => Failure::busy(StatusCode::TOO_MANY_REQUESTS),
        CreateError::Store => Failure::without_database(),
    }
}

async fn new_call(context: &Context<'_>, account: &Account) -> Result<NewCall, Failure> {
    let (mut callback, mut dialect) = (None, context.dialect.runs);
    let planned = match context.params.sid::<ApplicationSid>("ApplicationSid")? {
        Some(Some(sid)) => {
            let application = application(context, account, sid).await?;
            callback = application_callback(context, &application);
            dialect = application.dialect;
            let base = &context.state.public_base;
            routing::document_of(&application, base, HttpMethod::Post).ok_or_else(|| {
                let why = "the application has no address for calls";
                Failure::parameter("ApplicationSid", why)
            })?
        }
        Some(None) | None => sent_document(context)?.ok_or_else(|| {
            let text = "Url, Twiml or ApplicationSid: one of these parameters is required";
            Failure::of(error::BAD_PARAMETER).saying(text)
        })?,
    };
    let mut new = new_call_of(context, account, planned.into())?;
    new.send_digits = send_digits(&context.params)?;
    new.time_limit = time_limit(&context.params)?;
    new.recording = recording(context)?;
    new.detection = answering::detection(context)?;
    new.callback = new.callback.or(callback);
    new.dialect = Dialect::of(dialect);
    Ok(new)
}

/// The document named or contained in the request, if any.
fn sent_document(context: &Context<'_>) -> Result<Option<Document>, Failure> {
    let (url, text) = (
        context.optional_address("Url")?,
        context.params.filled("Twiml"),
    );
    match (url, text) {
        (None, None) => Ok(None),
        (Some(url), None) => document(context, url).map(Some),
        (None, Some(text)) => {
            call_proto::can_run(text).map_err(|why| Failure::parameter("Twiml", &why))?;
            context.warn_unused(&["Method", "FallbackUrl", "FallbackMethod"], "Url");
            let document = Document::of_text(text.to_owned(), context.caller.sid);
            Ok(Some(document))
        }
        (Some(_), Some(_)) => {
            let why = "it cannot be combined with Url";
            Err(Failure::parameter("Twiml", why))
        }
    }
}

async fn application(
    context: &Context<'_>,
    account: &Account,
    sid: ApplicationSid,
) -> Result<Application, Failure> {
    for name in ["Url", "Twiml"] {
        if context.params.filled(name).is_some() {
            let why = format!("it cannot be combined with {name}");
            return Err(Failure::parameter("ApplicationSid", &why));
        }
    }
    let found = context.state.store.current_application(sid).await?;
    let caller = context.caller.sid;
    let usable = found.filter(|found| naming::may_use(found.account, account.sid, caller));
    usable.ok_or_else(|| {
        let why = "the account has no application with this SID";
        Failure::parameter("ApplicationSid", why)
    })
}

/// Where the events of the call go, if the request does not say so.
fn application_callback(context: &Context<'_>, application: &Application) -> Option<LegCallback> {
    let url = application.status_callback.as_deref();
    let url = url.filter(|url| !url.is_empty())?;
    let url = routing::absolute(&context.state.public_base, url)?;
    Some(LegCallback {
        target: CallbackTarget {
            url,
            method: application
                .status_callback_method
                .unwrap_or(HttpMethod::Post),
            author: application.account,
        },
        events: None,
    })
}

fn send_digits(params: &Params) -> Result<Option<String>, Failure> {
    keys(params, "SendDigits")
}

/// The keys of a parameter, to be sent to the party that answers.
pub(crate) fn keys(params: &Params, name: &str) -> Result<Option<String>, Failure> {
    const LONGEST: usize = 32;
    let Some(keys) = params.filled(name) else {
        return Ok(None);
    };
    let is_key = |c: char| c.is_ascii_digit() || "*#ABCDabcdwW".contains(c);
    if keys.len() > LONGEST || !keys.chars().all(is_key) {
        let why = "only 0-9, *, #, A-D and w are allowed, at most 32 of them";
        return Err(Failure::parameter(name, why));
    }
    Ok(Some(keys.to_owned()))
}

/// A call between the parties in the parameters, which runs this.
pub(super) fn new_call_of(
    context: &Context<'_>,
    account: &Account,
    planned: Planned,
) -> Result<NewCall, Failure> {
    let params = &context.params;
    let from = &model::number::tidy(params.required("From")?.trim());
    let to = params.required("To")?.trim();
    one_line("From", from)?;
    if from.contains('@') && !model::address::is_sip_address(from) {
        return Err(Failure::parameter(
            "From",
            &format!("`{}` is not a SIP address", shown(from)),
        ));
    }
    one_line("To", to)?;
    let (to, headers) = headers_of(to)?;
    let text = |name| params.filled(name).map(str::to_owned);
    let username = text("Username").or(text("SipAuthUsername"));
    let password = text("Password").or(text("SipAuthPassword"));
    if username.is_none() {
        context.warn_unused(&["Password", "SipAuthPassword"], "a user name");
    } else if password.is_none() {
        context.warn_unused(&["Username", "SipAuthUsername"], "a password");
    }
    Ok(NewCall {
        account: account.sid,
        from: from.to_owned(),
        target: Target::parse(&to, Bare::Number),
        headers: headers.into_iter().map(custom).collect(),
        planned,
        send_digits: None,
        detection: None,
        callback: leg_callback(context)?,
        recording: None,
        timeout: timeout(params)?,
        time_limit: None,
        credentials: username.zip(password),
        legs: Dialect::of(context.dialect.runs).legs,
        dialect: Dialect::of(context.dialect.runs),
    })
}

/// The document at an address, with its fallback.
fn document(context: &Context<'_>, url: String) -> Result<Document, Failure> {
    let author = context.caller.sid;
    let fallback = context.optional_address("FallbackUrl")?;
    let fallback_method = method_or_post(context, "FallbackMethod")?;
    if fallback.is_none() {
        context.warn_unused(&["FallbackMethod"], "FallbackUrl");
    }
    Ok(Document {
        url,
        method: method_or_post(context, "Method")?,
        author,
        text: None,
        fallback: fallback.map(|url| Fallback {
            url,
            method: fallback_method,
            author,
            set_in: SetIn::Request,
        }),
        set_in: SetIn::Request,
    })
}

fn leg_callback(context: &Context<'_>) -> Result<Option<LegCallback>, Failure> {
    let events = events(&context.params);
    let method = method_or_post(context, "StatusCallbackMethod")?;
    let url = context.optional_address("StatusCallback")?;
    if url.is_none() {
        let names = ["StatusCallbackMethod", "StatusCallbackEvent"];
        context.warn_unused(&names, "StatusCallback");
    }
    Ok(url.map(|url| LegCallback {
        target: CallbackTarget {
            url,
            method,
            author: context.caller.sid,
        },
        events,
    }))
}

fn method_or_post(context: &Context<'_>, name: &str) -> Result<HttpMethod, Failure> {
    Ok(context.params.method(name)?.unwrap_or(HttpMethod::Post))
}

/// Custom headers are sent as `X-…`.
fn custom((name, value): (String, String)) -> (String, String) {
    if name.starts_with("X-") {
        (name, value)
    } else {
        (format!("X-{name}"), value)
    }
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

/// The requested events; `None` means the dialect's default.
fn events(params: &Params) -> Option<Vec<LegEvent>> {
    let words = params.words("StatusCallbackEvent");
    let mut events: Vec<LegEvent> = words.filter_map(|word| word.parse().ok()).collect();
    events.sort();
    events.dedup();
    (!events.is_empty()).then_some(events)
}

fn timeout(params: &Params) -> Result<Duration, Failure> {
    match params.parsed("Timeout", "a whole number of seconds")? {
        None => Ok(DEFAULT_TIMEOUT),
        Some(seconds @ 1..=LONGEST_TIMEOUT_S) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(Failure::parameter(
            "Timeout",
            "must be from 1 to 600 seconds",
        )),
    }
}

pub(super) fn time_limit(params: &Params) -> Result<Option<Duration>, Failure> {
    match params.parsed("TimeLimit", "a whole number of seconds")? {
        None => Ok(None),
        Some(seconds @ 1..=LONGEST_CALL_S) => Ok(Some(Duration::from_secs(seconds))),
        Some(_) => Err(Failure::parameter(
            "TimeLimit",
            "must be from 1 to 86400 seconds",
        )),
    }
}

/// The recording of a new call.
pub(super) fn recording(context: &Context<'_>) -> Result<Option<NewRecording>, Failure> {
    let params = &context.params;
    if params.flag("Record")? == Some(true) {
        return new_recording(context).map(Some);
    }
    let mut given = NEW_RECORDING.iter().map(|param| param.name);
    match given.find(|name| params.filled(name).is_some()) {
        Some(name) => Err(Failure::parameter(name, "it needs `Record=true`")),
        None => Ok(None),
    }
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let call = find(context, account, sid).await?;
    Ok(context.show(&CALL, &call))
}

/// A call of the account, by its SID.
async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<CallRecord, Failure> {
    let sid: CallSid = sid.parse().map_err(|_| Failure::not_found())?;
    let call = context.state.store.call(sid).await?;
    owned(account, call).ok_or_else(Failure::not_found)
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
        let table = [
            ("", None),
            ("StatusCallbackEvent=", None),
            (
                "StatusCallbackEvent=completed,initiated",
                Some(vec![LegEvent::Initiated, LegEvent::Completed]),
            ),
            (
                "StatusCallbackEvent=ringing+answered&StatusCallbackEvent=Ringing",
                Some(vec![LegEvent::Ringing, LegEvent::Answered]),
            ),
        ];
        for (query, expected) in table {
            let found = events(&Params::parse(query.as_bytes()).unwrap());
            assert_eq!(found, expected, "{query}");
        }
    }
}
