//! Services, which Restcomm calls applications: what sessions have in common.

use ::masking::{Bounds, Geo, Selection, Service, Settings, Strangers};
use model::record::Account;
use model::{MaskServiceSid, error};
use store::StoreError;

use super::{KIND, PAGES, both, filled, item, maybe, named, service_of, shown_service, text, url};
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, param};
use crate::value::{Field, Kind, Null, Resource, Value};

const FIELDS: &[Field<Service>] = &[
    text(["sid", "sid"], "Identifier.", |s, view| {
        shown_service(view, s.sid)
    }),
    text(
        ["accountSid", "account_sid"],
        "Account that owns it.",
        |s, _| Value::text(s.account),
    ),
    text(
        ["name", "unique_name"],
        "Its name, unique in the account.",
        |s, _| Value::text(&s.name),
    ),
    text(["status", ""], "`open`.", |_, _| Value::text("open")),
    named(
        ["ttl", "default_ttl"],
        Kind::Number,
        Null::Never,
        "How long a session is open after its creation and its last interaction, in seconds; 0 for no limit.",
        |s, _| Value::Number(s.settings.default_ttl_s),
    ),
    text(
        ["geoMatchLevel", "geo_match_level"],
        "Where a mask must be, relative to the number of its participant.",
        |s, _| Value::text(s.settings.geo),
    ),
    text(
        ["numberSelectionBehavior", "number_selection_behavior"],
        "Which mask is preferred for a number that had masks before.",
        |s, _| Value::text(s.settings.selection),
    ),
    maybe(
        ["callbackUrl", "callback_url"],
        "Receives each interaction when it is over.",
        |s, _| filled(&s.settings.callback_url),
    ),
    maybe(
        ["outOfSessionCallbackUrl", "out_of_session_callback_url"],
        "Address of the document for callers and senders who are in no open session.",
        |s, _| filled(&s.settings.out_of_session_url),
    ),
    maybe(
        ["", "intercept_callback_url"],
        "Always null: not supported.",
        |_, _| Value::Null,
    ),
    text(
        ["unknownCallers", "unknown_callers"],
        "What happens to callers who are in no open session: `reject`, `announce` or `pin`.",
        |s, _| Value::text(s.settings.strangers),
    ),
    text(
        ["announcement", "announcement"],
        "What they hear or read.",
        |s, _| Value::text(&s.settings.announcement),
    ),
    named(
        ["record", "record"],
        Kind::Flag,
        Null::Never,
        "Whether calls are recorded.",
        |s, _| Value::Flag(s.settings.record),
    ),
    named(
        ["timeLimit", "time_limit"],
        Kind::Number,
        Null::Never,
        "How long a call may last, in seconds.",
        |s, _| Value::Number(s.settings.time_limit_s),
    ),
    named(
        ["timeout", "timeout"],
        Kind::Number,
        Null::Never,
        "How long a call may ring, in seconds.",
        |s, _| Value::Number(s.settings.timeout_s),
    ),
    named(
        ["maxInteractions", "max_interactions"],
        Kind::Number,
        Null::Never,
        "How many interactions a session may have; 0 for no limit.",
        |s, _| Value::Number(s.settings.max_interactions),
    ),
    named(
        ["retentionDays", "retention_days"],
        Kind::Number,
        Null::Never,
        "How long a closed session is kept, in days.",
        |s, _| Value::Number(s.settings.retention_days),
    ),
    maybe(
        ["accountEmail", "account_email"],
        "Address of the application's owner, as it was given.",
        |s, _| filled(&s.settings.account_email),
    ),
    named(
        ["dateCreated", "date_created"],
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.created),
    ),
    named(
        ["dateUpdated", "date_updated"],
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.updated),
    ),
    text(["uri", "url"], "Its address.", |s, view| {
        let sid = match shown_service(view, s.sid) {
            Value::Text(sid) => sid,
            _ => String::new(),
        };
        let list = view.dialect.pick(["applications/search", "Services"]);
        Value::Text(url(view, &format!("/{list}/{sid}")))
    }),
    named(
        ["", "links"],
        Kind::Object,
        Null::Never,
        "Addresses of what belongs to it.",
        |s, view| {
            let names = [("phone_numbers", "PhoneNumbers"), ("sessions", "Sessions")];
            let link = |(name, path): (&str, &str)| {
                let address = url(view, &format!("/Services/{}/{path}", s.sid));
                (name.to_owned(), address)
            };
            Value::Texts(names.into_iter().map(link).collect())
        },
    ),
];

static SERVICE: Resource<Service> = Resource {
    xml: ["MaskingApplication", "ProxyService"],
    xml_list: ["MaskingApplications", "ProxyServices"],
    json_list: ["applications", "services"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services"];
const ONE: &[&str] = &["/Services/{service}"];
const CREATE: &[&str] = &["/applications"];
const SEARCH: &[&str] = &["/applications/search"];
const FOUND: &[&str] = &["/applications/search/{application}"];
const CHANGE: &[&str] = &["/applications/{application}"];

/// The routes of services.
pub(super) static ROUTES: &[Route] = &[
    Route::get(SEARCH, |c, a, _| Box::pin(list(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .params(&[PAGES])
        .answers(Answers::Page(&SERVICE))
        .doc("Lists the applications of an account, the newest first."),
    Route::get(FOUND, |c, a, sid| Box::pin(get(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SERVICE))
        .doc("Reads an application."),
    Route::post(CREATE, |c, a, _| Box::pin(create(c, a)))
        .within(RESTCOMM)
        .needs(Action::Create, KIND)
        .params(&[NAME, SETTINGS])
        .answers(Answers::One(&SERVICE))
        .doc("Creates an application."),
    Route::put(CHANGE, |c, a, sid| Box::pin(update(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, KIND)
        .params(&[NEW_NAME, SETTINGS])
        .answers(Answers::One(&SERVICE))
        .doc("Changes an application: what is not sent stays as it is."),
    Route::delete(CHANGE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Delete, KIND)
        .doc("Deletes an application: its contexts are closed, its numbers are released."),
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .params(&[PAGES])
        .answers(Answers::Page(&SERVICE))
        .doc("Lists the services of an account, the newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .within(TWILIO)
        .needs(Action::Create, KIND)
        .params(&[NAME, SETTINGS])
        .instead(INSTEAD)
        .answers(Answers::One(&SERVICE))
        .status([200, 201])
        .doc("Creates a service."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SERVICE))
        .doc("Reads a service."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .within(TWILIO)
        .needs(Action::Modify, KIND)
        .params(&[NEW_NAME, SETTINGS])
        .instead(INSTEAD)
        .answers(Answers::One(&SERVICE))
        .doc("Changes a service: what is not sent stays as it is."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .within(TWILIO)
        .needs(Action::Delete, KIND)
        .doc("Deletes a service: its sessions are closed, its numbers are released."),
];

const NAME: &[Param] = &[
    param("name", Is::Text, "Its name, unique in the account.")
        .required()
        .within(RESTCOMM),
    param("UniqueName", Is::Text, "Its name, unique in the account.")
        .required()
        .within(TWILIO),
];
const NEW_NAME: &[Param] = both! {
    "name" | "UniqueName": Is::Text, "Its name, unique in the account.";
};
const SETTINGS: &[Param] = both! {
    "ttl" | "DefaultTtl": Is::Number,
    "How long a session is open after its creation and its last interaction, in seconds, unless the session says otherwise; 0, if not given, for no limit.";
    "geoMatchLevel" | "GeoMatchLevel": Is::Word(Geo::WORDS),
    "Where a mask must be, relative to the number of its participant: `country`, if not given, for the same country code; `area-code` for the same three digits after it, `extended-area-code` for the same six; `any` for no demand.";
    "numberSelectionBehavior" | "NumberSelectionBehavior": Is::Word(Selection::WORDS),
    "Which mask is preferred for a number that had masks before: `prefer-sticky`, if not given, for the last one; `avoid-sticky` for one that it has not had, or not for longest.";
    "callbackUrl" | "CallbackUrl": Is::Address,
    "Receives each interaction when it is over; empty for none.";
    "outOfSessionCallbackUrl" | "OutOfSessionCallbackUrl": Is::Address,
    "Address of the document for callers and senders who are in no open session; empty for none.";
    "unknownCallers" | "UnknownCallers": Is::Word(Strangers::WORDS),
    "What happens to callers who are in no open session, unless there is such an address: `reject`, if not given; `announce` for the announcement, which the sender of a text gets too; `pin` to ask for the PIN of a participant.";
    "announcement" | "Announcement": Is::Text,
    "What they hear or read, at most 500 characters; empty for the built-in text.";
    "record" | "Record": Is::Flag, "Whether calls are recorded, from their answer on.";
    "timeLimit" | "TimeLimit": Is::Number,
    "How long a call may last, in seconds, from 1 to 86400; 14400 if not given.";
    "timeout" | "Timeout": Is::Number,
    "How long a call may ring, in seconds, from 5 to 600; 60 if not given.";
    "maxInteractions" | "MaxInteractions": Is::Number,
    "How many interactions a session may have; 0, if not given, for no limit.";
    "retentionDays" | "RetentionDays": Is::Number,
    "How long a closed session is kept with its participants and interactions, in days, from 1 to 3650; 90 if not given.";
    "accountEmail" | "AccountEmail": Is::Text,
    "Address of the application's owner; it is only kept.";
    "interceptCallbackUrl" | "InterceptCallbackUrl": Is::Text,
    "Refused with 62606: calls and texts are never held back until an application has answered.";
};
/// What Twilio has besides.
const INSTEAD: &[(&str, &str)] = &[("ChatInstanceSid", "there are no chats")];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.mask_services(account.sid, &page.window()).await?;
    let path = context.dialect.pick(["/applications/search", "/Services"]);
    page.show(context, &SERVICE, path, rows, |service| {
        row_key(service.created, service.sid)
    })
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, item(path)).await?;
    Ok(context.show(&SERVICE, &service))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let mut service = Service {
        sid: MaskServiceSid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        settings: Settings::default(),
        created: now,
        updated: now,
    };
    change(context, &mut service)?;
    let store = &context.state.store;
    let inserted = store.insert_mask_service(&service).await;
    inserted.map_err(|error| taken(error, &service.name))?;
    Ok(context.show(&SERVICE, &service))
}

async fn update(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut service = service_of(context, account, item(path)).await?;
        change(context, &mut service)?;
        let read = service.updated;
        service.updated = after(read);
        let store = &context.state.store;
        let updated = store.update_mask_service(&service, read).await;
        if updated.map_err(|error| taken(error, &service.name))? {
            return Ok(context.show(&SERVICE, &service));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, item(path)).await?;
    let store = &context.state.store;
    store.delete_mask_service(service.sid, now()).await?;
    Ok(Reply::Nothing)
}

/// The refusal of a name that is taken.
pub(super) fn taken(failure: StoreError, name: &str) -> Failure {
    match failure {
        StoreError::Duplicate(_) => {
            let text = format!("the name `{}` is not unique", crate::params::shown(name));
            Failure::of(error::MASK_NAME_TAKEN).saying(text)
        }
        other => other.into(),
    }
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, service: &mut Service) -> Result<(), Failure> {
    let params = &context.params;
    let named = |names: [&'static str; 2]| context.dialect.pick(names);
    let name = named(["interceptCallbackUrl", "InterceptCallbackUrl"]);
    if params.filled(name).is_some() {
        let text = format!(
            "{name}: this is not supported; CallbackUrl receives each interaction when it is over, and UnknownCallers decides about strangers"
        );
        return Err(Failure::of(error::MASK_UNSUPPORTED).saying(text));
    }
    if let Some(name) = params.name(named(["name", "UniqueName"]))? {
        if name.trim().is_empty() {
            let name = named(["name", "UniqueName"]);
            return Err(Failure::parameter(name, "it must not be empty"));
        }
        service.name = name;
    }
    let settings = &mut service.settings;
    let numbers = [
        (
            ["ttl", "DefaultTtl"],
            Bounds::TTL,
            &mut settings.default_ttl_s,
        ),
        (
            ["timeLimit", "TimeLimit"],
            Bounds::TIME_LIMIT,
            &mut settings.time_limit_s,
        ),
        (
            ["timeout", "Timeout"],
            Bounds::TIMEOUT,
            &mut settings.timeout_s,
        ),
        (
            ["maxInteractions", "MaxInteractions"],
            Bounds::INTERACTIONS,
            &mut settings.max_interactions,
        ),
        (
            ["retentionDays", "RetentionDays"],
            Bounds::RETENTION,
            &mut settings.retention_days,
        ),
    ];
    for (names, bounds, place) in numbers {
        let name = named(names);
        if let Some(value) = params.parsed::<i64>(name, "a whole number")? {
            let fits = bounds.check(value);
            *place = fits.map_err(|bounds| Failure::parameter(name, &bounds.to_string()))?;
        }
    }
    if let Some(word) = params.word(named(["geoMatchLevel", "GeoMatchLevel"])) {
        settings.geo = word.parse().unwrap_or(settings.geo);
    }
    if let Some(word) = params.word(named([
        "numberSelectionBehavior",
        "NumberSelectionBehavior",
    ])) {
        settings.selection = word.parse().unwrap_or(settings.selection);
    }
    if let Some(word) = params.word(named(["unknownCallers", "UnknownCallers"])) {
        settings.strangers = word.parse().unwrap_or(settings.strangers);
    }
    if let Some(record) = params.flag(named(["record", "Record"]))? {
        settings.record = record;
    }
    if let Some(email) = params.get(named(["accountEmail", "AccountEmail"])) {
        email.trim().clone_into(&mut settings.account_email);
    }
    let name = named(["announcement", "Announcement"]);
    if let Some(text) = params.get(name) {
        let text = text.trim();
        if text.chars().count() > Settings::MAX_ANNOUNCEMENT {
            return Err(Failure::parameter(name, "it may have 500 characters"));
        }
        settings.announcement = if text.is_empty() {
            Settings::ANNOUNCEMENT.to_owned()
        } else {
            text.to_owned()
        };
    }
    let addresses = [
        (["callbackUrl", "CallbackUrl"], &mut settings.callback_url),
        (
            ["outOfSessionCallbackUrl", "OutOfSessionCallbackUrl"],
            &mut settings.out_of_session_url,
        ),
    ];
    for (names, place) in addresses {
        let name = named(names);
        if params.get(name).is_some() {
            *place = context.optional_address(name)?.unwrap_or_default();
        }
    }
    let document = named(["outOfSessionCallbackUrl", "OutOfSessionCallbackUrl"]);
    if params.get(document).is_some() {
        settings.author = Some(context.caller.sid);
    }
    Ok(())
}
