//! Number masking: services with pools of numbers, sessions, participants, and what they did.
//!
//! The same resources have two forms: `/numbermasking` as at Restcomm, and `/v1/Services` as in Twilio's Proxy. They belong to the
//! account of the caller. What a service allows and which mask a participant gets is decided in the crate `masking`; that no pair
//! of mask and number has two meanings, in the store. **Invariant: an identifier below another one in a path belongs to it**, or
//! does not exist.

pub(crate) mod ending;
mod interactions;
mod numbers;
mod participants;
pub(crate) mod pins;
mod services;
mod sessions;

use ::masking::{Service, Session};
use model::record::Account;
use model::{MaskServiceSid, MaskSessionSid};

use crate::context::{Context, now, owned};
use crate::failure::Failure;
use crate::params::Params;
use crate::route::{Is, Param, Route, param};
use crate::value::{Field, Kind, Null, Value, View};

/// The tables of these resources, in the order in which paths are matched.
pub(crate) static ROUTES: &[&[Route]] = &[
    services::ROUTES,
    numbers::ROUTES,
    sessions::ROUTES,
    participants::ROUTES,
    interactions::ROUTES,
];

/// The kind of all of them in permissions.
pub(crate) const KIND: &str = "Masking";

/// Parameters of paged lists in both forms.
pub(crate) const PAGES: &[Param] = &[
    param("PageSize", Is::Number, "Rows per page; 50 if not given."),
    param("Page", Is::Number, "Number of the page, counted from 0."),
    param(
        "PageToken",
        Is::Text,
        "Start of the page, as given in `next_page_url`.",
    ),
];

/// The prefix of a service's identifier at Restcomm.
const APPLICATION: &str = "NMA";

/// A field with a name for each form.
///
/// - `names`: at `/numbermasking` and at `/v1`
const fn named<T>(
    names: [&'static str; 2],
    kind: Kind,
    null: Null,
    doc: &'static str,
    get: fn(&T, View<'_>) -> Value,
) -> Field<T> {
    Field {
        json: names,
        xml: names,
        kind: [kind, kind],
        null: [null, null],
        doc,
        secret: false,
        get: [get, get],
    }
}

/// A text that is always there.
const fn text<T>(
    names: [&'static str; 2],
    doc: &'static str,
    get: fn(&T, View<'_>) -> Value,
) -> Field<T> {
    named(names, Kind::Text, Null::Never, doc, get)
}

/// A text that may be missing.
const fn maybe<T>(
    names: [&'static str; 2],
    doc: &'static str,
    get: fn(&T, View<'_>) -> Value,
) -> Field<T> {
    named(names, Kind::Text, Null::Explicit, doc, get)
}

/// A time that may be missing.
const fn time<T>(
    names: [&'static str; 2],
    doc: &'static str,
    get: fn(&T, View<'_>) -> Value,
) -> Field<T> {
    named(names, Kind::Time, Null::Explicit, doc, get)
}

/// A text, or null if it is empty.
fn filled(text: &str) -> Value {
    Value::maybe(Some(text).filter(|text| !text.is_empty()))
}

/// The address of a resource.
fn url(view: View<'_>, path: &str) -> String {
    format!("{}{}{path}", view.public_base, view.dialect.link_base)
}

/// The identifier of a service in the form of the request.
fn shown_service(view: View<'_>, sid: MaskServiceSid) -> Value {
    let text = sid.to_string();
    let digits = text.trim_start_matches(MaskServiceSid::PREFIX);
    Value::Text(
        view.dialect
            .pick([format!("{APPLICATION}{digits}"), text.clone()]),
    )
}

/// The identifier of a service, in either form.
fn service_sid(text: &str) -> Result<MaskServiceSid, Failure> {
    let digits = text.trim().strip_prefix(APPLICATION);
    let whole = digits.map(|digits| format!("{}{digits}", MaskServiceSid::PREFIX));
    let parsed = whole.as_deref().unwrap_or(text.trim()).parse();
    parsed.map_err(|_| Failure::not_found())
}

/// Whether a parameter can be the identifier of a service.
fn is_service(text: &str) -> bool {
    service_sid(text).is_ok()
}

/// The parameter that names the service where the path does not.
const OF_SERVICE: Param =
    param("applicationSid", Is::Sid(is_service), "The application.").within(crate::route::RESTCOMM);
/// The parameter that names the session where the path does not.
const OF_SESSION: Param = param(
    "contextSid",
    Is::Sid(crate::route::sid::<MaskSessionSid>),
    "The context.",
)
.within(crate::route::RESTCOMM);

/// The part of a path at a place, or else a parameter.
fn part<'p>(
    params: &'p Params,
    path: &'p str,
    (at, name): (usize, &str),
) -> Result<&'p str, Failure> {
    match path.split('/').nth(at).filter(|part| !part.is_empty()) {
        Some(part) => Ok(part),
        None => params.required(name),
    }
}

/// The service that a path names first, or the request by a parameter.
async fn service_of(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<Service, Failure> {
    let sid = service_sid(part(&context.params, path, (0, "applicationSid"))?)?;
    find_service(context, account, sid).await
}

async fn find_service(
    context: &Context<'_>,
    account: &Account,
    sid: MaskServiceSid,
) -> Result<Service, Failure> {
    let found = context.state.store.mask_service(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

/// The session that a path names second, or the request by a parameter; as it is now.
async fn session_of(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<Session, Failure> {
    let name = part(&context.params, path, (1, "contextSid"))?;
    let sid: MaskSessionSid = name.trim().parse().map_err(|_| Failure::not_found())?;
    let session = find_session(context, account, sid).await?;
    match path.split('/').next().filter(|part| !part.is_empty()) {
        Some(service) if service_sid(service)? != session.service => Err(Failure::not_found()),
        Some(_) | None => Ok(session),
    }
}

async fn find_session(
    context: &Context<'_>,
    account: &Account,
    sid: MaskSessionSid,
) -> Result<Session, Failure> {
    let found = context.state.store.mask_session(sid).await?;
    let found = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(found.at(now()))
}

/// The last part of a path, which names an item.
fn item(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether the parts of a path before its last one are these identifiers; an item without its parents is named by itself.
fn is_below(path: &str, service: MaskServiceSid, session: Option<MaskSessionSid>) -> bool {
    let mut parents: Vec<&str> = path.split('/').collect();
    parents.pop();
    let mut known = vec![service.to_string()];
    known.extend(session.map(|session| session.to_string()));
    parents.is_empty() || parents == known
}

/// Declares parameters with a name for each form.
macro_rules! both {
    ($($camel:literal | $twilio:literal: $kind:expr, $doc:expr;)+) => {
        &[$(
            $crate::route::param($camel, $kind, $doc).within($crate::route::RESTCOMM),
            $crate::route::param($twilio, $kind, $doc).within($crate::route::TWILIO),
        )+]
    };
}
use both;
