//! Services: applications that verify, with their settings.

use model::email::{MAX_SUBJECT, Mailbox};
use model::record::Account;
use model::{VerifyServiceSid, error};
use verify::{Channel, Service, Settings};

use super::{KIND, service_of, url};
use crate::common;
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::{one_line, shown};
use crate::resources::messages::party_of;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, TWILIO_PAGING, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Service>] = &[
    common::sid(|s, _| Value::text(s.sid)),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that the service belongs to.",
        |s, _| Value::text(s.account),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "The name that recipients read and hear.",
        |s, _| Value::text(&s.name),
    ),
    field(
        "code_length",
        "CodeLength",
        Kind::Number,
        Null::Never,
        "Digits of a code.",
        |s, _| Value::Number(s.settings.code_length),
    ),
    field(
        "valid_seconds",
        "ValidSeconds",
        Kind::Number,
        Null::Never,
        "How long a code is valid.",
        |s, _| Value::Number(s.settings.valid_s),
    ),
    field(
        "max_checks",
        "MaxChecks",
        Kind::Number,
        Null::Never,
        "Guesses per verification.",
        |s, _| Value::Number(s.settings.max_checks),
    ),
    field(
        "max_sends",
        "MaxSends",
        Kind::Number,
        Null::Never,
        "Codes to one recipient within ten minutes.",
        |s, _| Value::Number(s.settings.max_sends),
    ),
    field(
        "resend_seconds",
        "ResendSeconds",
        Kind::Number,
        Null::Never,
        "Shortest time between two codes to one recipient.",
        |s, _| Value::Number(s.settings.resend_s),
    ),
    field(
        "from",
        "From",
        Kind::Text,
        Null::Explicit,
        "Sender of texts and calls.",
        |s, _| Value::maybe(Some(&s.settings.from).filter(|from| !from.is_empty())),
    ),
    field(
        "email_from",
        "EmailFrom",
        Kind::Text,
        Null::Explicit,
        "Sender of e-mails.",
        |s, _| Value::maybe(Some(&s.settings.email_from).filter(|from| !from.is_empty())),
    ),
    field(
        "email_subject",
        "EmailSubject",
        Kind::Text,
        Null::Explicit,
        "Subject of e-mails.",
        |s, _| Value::maybe(Some(&s.settings.email_subject).filter(|text| !text.is_empty())),
    ),
    field(
        "template",
        "Template",
        Kind::Text,
        Null::Explicit,
        "Text of the message.",
        |s, _| Value::maybe(Some(&s.settings.template).filter(|text| !text.is_empty())),
    ),
    field(
        "dtmf_input_required",
        "DtmfInputRequired",
        Kind::Flag,
        Null::Never,
        "Whether a key must be pressed before a call speaks the code.",
        |s, _| Value::Flag(s.settings.asks_for_key),
    ),
    field(
        "repeat",
        "Repeat",
        Kind::Number,
        Null::Never,
        "How often a call speaks the code.",
        |s, _| Value::Number(s.settings.repeat),
    ),
    field(
        "custom_code_enabled",
        "CustomCodeEnabled",
        Kind::Flag,
        Null::Never,
        "Whether the application may choose codes.",
        |s, _| Value::Flag(s.settings.custom_codes),
    ),
    field(
        "do_not_share_warning_enabled",
        "DoNotShareWarningEnabled",
        Kind::Flag,
        Null::Never,
        "Whether messages warn against passing the code on.",
        |s, _| Value::Flag(s.settings.warns),
    ),
    field(
        "test_code",
        "TestCode",
        Kind::Text,
        Null::Explicit,
        "In test mode: the code of all verifications, none of which is sent.",
        |s, _| Value::maybe(Some(&s.settings.test_code).filter(|code| !code.is_empty())),
    ),
    field(
        "fallback_channel",
        "FallbackChannel",
        Kind::Text,
        Null::Explicit,
        "The channel that is used when the message could not be sent.",
        |s, _| Value::maybe(Some(&s.settings.fallback).filter(|channel| !channel.is_empty())),
    ),
    field(
        "allowed_prefixes",
        "AllowedPrefixes",
        Kind::Text,
        Null::Never,
        "Prefixes of the numbers to which codes are sent, separated by spaces; empty for all.",
        |s, _| Value::text(s.settings.allowed.join(" ")),
    ),
    field(
        "block_limit",
        "BlockLimit",
        Kind::Number,
        Null::Never,
        "Codes within an hour to the numbers that differ in the last four digits only.",
        |s, _| Value::Number(s.settings.block_limit),
    ),
    field(
        "network_limit",
        "NetworkLimit",
        Kind::Number,
        Null::Never,
        "Codes within an hour requested from one network (`DeviceIp`).",
        |s, _| Value::Number(s.settings.network_limit),
    ),
    field(
        "daily_limit",
        "DailyLimit",
        Kind::Number,
        Null::Never,
        "Codes within 24 hours.",
        |s, _| Value::Number(s.settings.daily_limit),
    ),
    field(
        "watch_least",
        "WatchLeast",
        Kind::Number,
        Null::Never,
        "Number of codes to such numbers from which the share of confirmed ones is checked.",
        |s, _| Value::Number(s.settings.watch_least),
    ),
    field(
        "watch_percent",
        "WatchPercent",
        Kind::Number,
        Null::Never,
        "Percentage of them that must be confirmed; 0 for no check.",
        |s, _| Value::Number(s.settings.watch_percent),
    ),
    common::date_created(|s, _| Value::Date(s.created)),
    common::date_updated(|s, _| Value::Date(s.updated)),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |s, view| Value::text(url(view, &format!("Services/{}", s.sid))),
    ),
    field(
        "links",
        "Links",
        Kind::Object,
        Null::Never,
        "Addresses of what belongs to it.",
        |s, view| {
            let names = [
                ("verifications", "Verifications"),
                ("verification_checks", "VerificationCheck"),
                ("rate_limits", "RateLimits"),
            ];
            let link = |(name, path): (&str, &str)| {
                let address = url(view, &format!("Services/{}/{path}", s.sid));
                (name.to_owned(), address)
            };
            Value::Texts(names.into_iter().map(link).collect())
        },
    ),
];

static SERVICE: Resource<Service> = Resource {
    xml: ["VerifyService", "VerifyService"],
    xml_list: ["VerifyServices", "VerifyServices"],
    json_list: ["services", "services"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services"];
const ONE: &[&str] = &["/Services/{service}"];

/// The routes of services.
pub(super) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, KIND)
        .params(&[TWILIO_PAGING])
        .answers(Answers::Page(&SERVICE))
        .doc("Lists the services of an account, the newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, KIND)
        .params(&[NAME, SETTINGS])
        .answers(Answers::One(&SERVICE))
        .status([200, 201])
        .doc("Creates a service."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SERVICE))
        .doc("Reads a service."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, KIND)
        .params(&[NEW_NAME, SETTINGS])
        .answers(Answers::One(&SERVICE))
        .doc("Changes a service."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, KIND)
        .doc("Deletes a service with its limits. Its verifications can no longer be checked."),
];

const NAME: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "The name that recipients read and hear, such as that of your shop; at most 30 characters, of which at most four are digits.",
)
.required()];
const NEW_NAME: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "The name that recipients read and hear.",
)];
const SETTINGS: &[Param] = &[
    param(
        "CodeLength",
        Is::Number,
        "Digits of a code, from 4 to 10; 6 if not given.",
    ),
    param(
        "ValidSeconds",
        Is::Number,
        "How long a code is valid, from 120 to 86400; 600 if not given.",
    ),
    param(
        "MaxChecks",
        Is::Number,
        "Guesses per verification, from 1 to 10; 5 if not given.",
    ),
    param(
        "MaxSends",
        Is::Number,
        "Codes to one recipient within ten minutes, from 1 to 20; 5 if not given.",
    ),
    param(
        "ResendSeconds",
        Is::Number,
        "Shortest time between two codes to one recipient, from 0 to 600; 30 if not given.",
    ),
    param(
        "From",
        Is::Party,
        "Sender of texts and calls; if not given, the account's oldest number.",
    ),
    param(
        "EmailFrom",
        Is::Text,
        "Sender of e-mails: an address, alone or in angle brackets after a name. The operator may restrict it.",
    ),
    param(
        "EmailSubject",
        Is::Text,
        "Subject of e-mails, possibly with `{name}`, at most 160 characters; empty for the built-in ones.",
    ),
    param(
        "Template",
        Is::Text,
        "Text of the message with `{code}`, and possibly `{name}`, at most 300 characters; empty for the built-in texts in the language of the request.",
    ),
    param(
        "DtmfInputRequired",
        Is::Flag,
        "Whether a key must be pressed before a call speaks the code, so that no answering machine hears it.",
    ),
    param(
        "Repeat",
        Is::Number,
        "How often a call speaks the code, from 1 to 10; 3 if not given.",
    ),
    param(
        "CustomCodeEnabled",
        Is::Flag,
        "Whether the application may choose codes (`CustomCode`).",
    ),
    param(
        "DoNotShareWarningEnabled",
        Is::Flag,
        "Whether messages warn against passing the code on.",
    ),
    param(
        "TestCode",
        Is::Text,
        "Puts the service into test mode: this is the code of all verifications, and none is sent. Empty to end it.",
    ),
    param(
        "FallbackChannel",
        Is::Word(&["call"]),
        "`call` to call the recipient when the text message could not be sent; empty for nothing.",
    ),
    param(
        "AllowedPrefixes",
        Is::Text,
        "Prefixes of the numbers to which codes are sent, such as `+49 +1202`; empty for all.",
    ),
    param(
        "BlockLimit",
        Is::Number,
        "Codes within an hour to the numbers that differ in the last four digits only; 200 if not given.",
    ),
    param(
        "NetworkLimit",
        Is::Number,
        "Codes within an hour requested from one network (`DeviceIp`); 100 if not given.",
    ),
    param(
        "DailyLimit",
        Is::Number,
        "Codes within 24 hours; 10000 if not given.",
    ),
    param(
        "WatchLeast",
        Is::Number,
        "Number of codes to such numbers from which the share of confirmed ones is checked; 20 if not given.",
    ),
    param(
        "WatchPercent",
        Is::Number,
        "Percentage of them that must be confirmed; 25 if not given, 0 for no check.",
    ),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.verify_services(account.sid, &page.window()).await?;
    page.show(context, &SERVICE, "/Services", rows, |service| {
        row_key(service.created, service.sid)
    })
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let service = service_of(context, account, sid).await?;
    Ok(context.show(&SERVICE, &service))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let mut service = Service {
        sid: VerifyServiceSid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        settings: Settings::default(),
        created: now,
        updated: now,
    };
    change(context, &mut service)?;
    let store = &context.state.store;
    let same = store
        .verify_service_of_name(account.sid, &service.name)
        .await?;
    if same.is_some() {
        let text = "FriendlyName: another service has this name; `/2fa` uses the older one";
        context
            .warnings
            .add(error::REQUEST_WARNING, text.to_owned());
    }
    store.insert_verify_service(service.clone()).await?;
    Ok(context.show(&SERVICE, &service))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut service = service_of(context, account, sid).await?;
        change(context, &mut service)?;
        let read = service.updated;
        service.updated = after(read);
        let store = &context.state.store;
        if store.update_verify_service(service.clone(), read).await? {
            return Ok(context.show(&SERVICE, &service));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let service = service_of(context, account, sid).await?;
    context
        .state
        .store
        .delete_verify_service(service.sid)
        .await?;
    Ok(Reply::Nothing)
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, service: &mut Service) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.name("FriendlyName")? {
        let digits = name.chars().filter(char::is_ascii_digit).count();
        if name.chars().count() > 30 || digits > 4 {
            let reason = "it may have 30 characters, at most four of them digits, so that no digits are mistaken for the code";
            return Err(Failure::parameter("FriendlyName", reason));
        }
        service.name = name;
    }
    let settings = &mut service.settings;
    for Param { name, kind, .. } in SETTINGS {
        if matches!(kind, Is::Number)
            && let Some(value) = params.parsed::<i64>(name, "a whole number")?
        {
            let set = settings.set(name, value);
            set.map_err(|error| Failure::parameter(name, &error.to_string()))?;
        }
    }
    for (name, place) in [
        ("DtmfInputRequired", &mut settings.asks_for_key),
        ("CustomCodeEnabled", &mut settings.custom_codes),
        ("DoNotShareWarningEnabled", &mut settings.warns),
    ] {
        if let Some(flag) = params.flag(name)? {
            *place = flag;
        }
    }
    if let Some(from) = params.get("From") {
        settings.from = match from.trim() {
            "" => String::new(),
            from => party_of("From", from)?,
        };
    }
    if let Some(from) = params.get("EmailFrom") {
        let from = from.trim();
        if !from.is_empty() && Mailbox::parse(from).is_none() {
            let reason = format!("`{}` is not an e-mail address", shown(from));
            return Err(Failure::parameter("EmailFrom", &reason));
        }
        settings.email_from = from.to_owned();
    }
    if let Some(subject) = params.get("EmailSubject") {
        one_line("EmailSubject", subject)?;
        if subject.chars().count() > MAX_SUBJECT {
            let reason = format!("at most {MAX_SUBJECT} characters are allowed");
            return Err(Failure::parameter("EmailSubject", &reason));
        }
        settings.email_subject = subject.trim().to_owned();
    }
    if let Some(template) = params.get("Template") {
        if !template.is_empty() && (!template.contains("{code}") || template.len() > 300) {
            let reason = "it needs `{code}`, and may have 300 characters";
            return Err(Failure::parameter("Template", reason));
        }
        settings.template = template.to_owned();
    }
    if let Some(code) = params.get("TestCode") {
        if !code.is_empty() && !verify::is_code(code) {
            let reason = "it needs four to ten letters or digits";
            return Err(Failure::parameter("TestCode", reason));
        }
        settings.test_code = code.to_owned();
    }
    if let Some(text) = params.get("FallbackChannel") {
        settings.fallback = match text.trim().to_ascii_lowercase().as_str() {
            "" => String::new(),
            "call" => Channel::Call.to_string(),
            _ => {
                let reason = "only `call` is supported, after a text message";
                return Err(Failure::parameter("FallbackChannel", reason));
            }
        };
    }
    if params.get("AllowedPrefixes").is_some() {
        let mut allowed = Vec::new();
        for start in params.words("AllowedPrefixes") {
            // An unescaped plus sign arrives as a space.
            let start = if start.starts_with('+') {
                start.to_owned()
            } else {
                format!("+{start}")
            };
            let is_number = start[1..].bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || !(2..=16).contains(&start.len()) {
                let reason = "write beginnings of numbers such as `+49 +1202`";
                return Err(Failure::parameter("AllowedPrefixes", reason));
            }
            allowed.push(start);
        }
        settings.allowed = allowed;
    }
    Ok(())
}
