//! `/Accounts/{sid}/Applications`: document addresses with a name.

use std::collections::BTreeMap;
use std::str::FromStr;

use model::record::{Account, Application, Number};
use model::{ApplicationSid, HttpMethod};
use store::{Rows, Scope};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::resources::clients::method;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, TWILIO_PAGING, param};
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

/// An application, in lists with the numbers that use it.
struct Shown {
    application: Application,
    numbers: Option<Vec<Number>>,
}

impl Shown {
    fn extra(&self, name: &str) -> Value {
        Value::maybe(self.application.extra.get(name))
    }

    fn extra_method(&self, name: &str) -> Value {
        let stored = self.application.extra.get(name);
        method(stored.and_then(|text| HttpMethod::from_str(text).ok()))
    }
}

/// A text that Restcomm's applications do not have.
const fn twilio(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Explicit, doc, get).within(TWILIO)
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.application.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.application.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.application.updated),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |s, _| Value::text(&s.application.friendly_name),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |s, _| Value::text(s.application.account),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Never,
        "Version of the API.",
        |s, _| Value::text(&s.application.api_version),
    ),
    field(
        "voice_caller_id_lookup",
        "VoiceCallerIdLookup",
        Kind::Flag,
        Null::Never,
        "Whether caller names are looked up.",
        |s, _| Value::Flag(s.application.voice_caller_id_lookup),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |s, view| Value::Link(view.uri(s.application.account, "Applications", s.application.sid)),
    ),
    field(
        "rcml_url",
        "RcmlUrl",
        Kind::Text,
        Null::Absent,
        "Address of the document.",
        |s, _| Value::maybe(s.application.rcml_url.as_deref()),
    ),
    field(
        "kind",
        "Kind",
        Kind::Text,
        Null::Absent,
        "`voice`, `sms` or `ussd`.",
        |s, _| Value::maybe(s.application.kind.as_deref()),
    ),
    field(
        "numbers",
        "Numbers",
        Kind::List,
        Null::Absent,
        "Numbers that use it.",
        numbers,
    ),
    twilio(
        "voice_url",
        "VoiceUrl",
        "Address of the document.",
        |s, _| {
            Value::maybe(
                s.application
                    .rcml_url
                    .as_deref()
                    .filter(|url| !url.is_empty()),
            )
        },
    ),
    twilio(
        "voice_method",
        "VoiceMethod",
        "Method for `voice_url`.",
        |s, _| method(s.application.method),
    ),
    twilio(
        "voice_fallback_url",
        "VoiceFallbackUrl",
        "Document if `voice_url` fails.",
        |s, _| Value::maybe(s.application.fallback_url.as_deref()),
    ),
    twilio(
        "voice_fallback_method",
        "VoiceFallbackMethod",
        "Method for `voice_fallback_url`.",
        |s, _| method(s.application.fallback_method),
    ),
    twilio(
        "status_callback",
        "StatusCallback",
        "Address that receives the final status, or each status if `RcmlUrl` was set at the Restcomm base.",
        |s, _| Value::maybe(s.application.status_callback.as_deref()),
    ),
    twilio(
        "status_callback_method",
        "StatusCallbackMethod",
        "Method for `status_callback`.",
        |s, _| method(s.application.status_callback_method),
    ),
    twilio(
        "sms_url",
        "SmsUrl",
        "Document for text messages.",
        |s, _| s.extra("SmsUrl"),
    ),
    twilio(
        "sms_method",
        "SmsMethod",
        "Method for `sms_url`.",
        |s, _| s.extra_method("SmsMethod"),
    ),
    twilio(
        "sms_fallback_url",
        "SmsFallbackUrl",
        "Document if `sms_url` fails.",
        |s, _| s.extra("SmsFallbackUrl"),
    ),
    twilio(
        "sms_fallback_method",
        "SmsFallbackMethod",
        "Method for `sms_fallback_url`.",
        |s, _| s.extra_method("SmsFallbackMethod"),
    ),
    twilio(
        "sms_status_callback",
        "SmsStatusCallback",
        "Address for the outcome of messages. Stored, but not requested.",
        |s, _| s.extra("SmsStatusCallback"),
    ),
    twilio(
        "message_status_callback",
        "MessageStatusCallback",
        "Address for the outcome of messages. Stored, but not requested.",
        |s, _| s.extra("MessageStatusCallback"),
    ),
];

static APPLICATION: Resource<Shown> = Resource {
    xml: ["Application", "Application"],
    xml_list: ["Applications", "Applications"],
    json_list: ["applications", "applications"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Applications"];
const ONE: &[&str] = &["/Accounts/{account}/Applications/{sid}"];

/// The routes of applications.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Applications")
        .params(&[TWILIO_PAGING])
        .answers(Answers::All(&APPLICATION))
        .doc("Lists applications."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Applications")
        .params(&[NEW, PROPERTIES, VOICE, EXTRA])
        .answers(Answers::One(&APPLICATION))
        .status([200, 201])
        .doc("Creates an application."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Applications")
        .answers(Answers::One(&APPLICATION))
        .doc("Reads an application."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Applications")
        .params(&[NAME, PROPERTIES, VOICE, EXTRA])
        .answers(Answers::One(&APPLICATION))
        .doc("Changes an application."),
    Route::put(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Applications")
        .within(RESTCOMM)
        .params(&[NAME, PROPERTIES, VOICE, EXTRA])
        .answers(Answers::One(&APPLICATION))
        .doc("Changes an application."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Modify, "Applications")
        .doc("Deletes an application; one that does not exist counts as deleted."),
];

const NEW: &[Param] = &[param("FriendlyName", Is::Text, "Name to display.").required_in(RESTCOMM)];
const NAME: &[Param] = &[param("FriendlyName", Is::Text, "Name to display.")];

const PROPERTIES: &[Param] = &[
    param(
        "ApiVersion",
        Is::Text,
        "Version of the API; shown as it was sent.",
    ),
    param(
        "VoiceCallerIdLookup",
        Is::Flag,
        "Stored, but has no effect: caller names are not looked up.",
    ),
    param(
        "RcmlUrl",
        Is::Address,
        "Address of the document; empty for none.",
    ),
    param(
        "Kind",
        Is::Word(&["voice", "sms", "ussd"]),
        "Purpose: calls, text messages or USSD.",
    ),
];

/// What Twilio's applications say about calls.
const VOICE: &[Param] = &[
    param("VoiceUrl", Is::Address, "Another name for `RcmlUrl`."),
    param(
        "VoiceMethod",
        Is::Method,
        "Method for the document. If not given: POST for `VoiceUrl`, the number's method for `RcmlUrl`.",
    ),
    param(
        "VoiceFallbackUrl",
        Is::Address,
        "Document if `VoiceUrl` fails; empty for none.",
    )
    .within(TWILIO),
    param(
        "VoiceFallbackMethod",
        Is::Method,
        "Method for `VoiceFallbackUrl`; POST if not given.",
    )
    .within(TWILIO),
    param(
        "StatusCallback",
        Is::Address,
        "Address that receives the final status, or each status if `RcmlUrl` was set at the Restcomm base; empty for none.",
    )
    .within(TWILIO),
    param(
        "StatusCallbackMethod",
        Is::Method,
        "Method for `StatusCallback`; POST if not given.",
    )
    .within(TWILIO),
];

/// Kept for the API only.
const EXTRA: &[Param] = &[
    param(
        "SmsUrl",
        Is::Address,
        "Document for text messages to the number; empty for none.",
    )
    .within(TWILIO),
    param("SmsMethod", Is::Method, "Method for `SmsUrl`.").within(TWILIO),
    param(
        "SmsFallbackUrl",
        Is::Address,
        "Document if `SmsUrl` fails; empty for none.",
    )
    .within(TWILIO),
    param(
        "SmsFallbackMethod",
        Is::Method,
        "Method for `SmsFallbackUrl`.",
    )
    .within(TWILIO),
    param(
        "SmsStatusCallback",
        Is::Address,
        "Address for the outcome of messages; empty for none. Stored, but not requested.",
    )
    .within(TWILIO),
    param(
        "MessageStatusCallback",
        Is::Address,
        "Address for the outcome of messages; empty for none. Stored, but not requested.",
    )
    .within(TWILIO),
];

static NUMBER: Resource<Number> = Resource {
    xml: ["Number", "Number"],
    xml_list: ["Numbers", "Numbers"],
    json_list: ["numbers", "numbers"],
    xml_envelope: [false, false],
    fields: &[
        field(
            "sid",
            "Sid",
            Kind::Text,
            Null::Never,
            "Identifier.",
            |n, _| Value::text(n.sid),
        ),
        field(
            "friendly_name",
            "FriendlyName",
            Kind::Text,
            Null::Never,
            "Name to display.",
            |n, _| Value::text(&n.friendly_name),
        ),
        field(
            "phone_number",
            "PhoneNumber",
            Kind::Text,
            Null::Never,
            "The number.",
            |n, _| Value::text(&n.phone_number),
        ),
        field(
            "voice_application_sid",
            "VoiceApplicationSid",
            Kind::Text,
            Null::Absent,
            "Application for calls; takes precedence over `voice_url`.",
            |n, _| Value::maybe(n.voice.application),
        ),
        field(
            "sms_application_sid",
            "SmsApplicationSid",
            Kind::Text,
            Null::Absent,
            "Application for text messages.",
            |n, _| Value::maybe(n.extra.get("SmsApplicationSid")),
        ),
        field(
            "ussd_application_sid",
            "UssdApplicationSid",
            Kind::Text,
            Null::Absent,
            "Application for USSD.",
            |n, _| Value::maybe(n.extra.get("UssdApplicationSid")),
        ),
        field(
            "refer_application_sid",
            "ReferApplicationSid",
            Kind::Text,
            Null::Absent,
            "Application for transfers.",
            |n, _| Value::maybe(n.extra.get("ReferApplicationSid")),
        ),
    ],
};

fn numbers(shown: &Shown, view: View<'_>) -> Value {
    match &shown.numbers {
        None => Value::Absent,
        Some(numbers) => Value::List(
            view.dialect.pick(NUMBER.xml),
            numbers
                .iter()
                .map(|number| NUMBER.entries(number, view))
                .collect(),
        ),
    }
}

fn is_attached(number: &Number, application: ApplicationSid) -> bool {
    let text = application.to_string();
    number.voice.application == Some(application)
        || number
            .extra
            .iter()
            .any(|(name, value)| name.ends_with("ApplicationSid") && *value == text)
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (store, scope) = (&context.state.store, Scope::Own(account.sid));
    let attached = store.numbers_with_application(scope).await?;
    let shown = |application: Application| {
        let is_attached = |number: &&Number| is_attached(number, application.sid);
        Shown {
            numbers: Some(attached.iter().filter(is_attached).cloned().collect()),
            application,
        }
    };
    if context.dialect.bare_lists {
        let applications = store.applications(scope).await?;
        let all: Vec<Shown> = applications.into_iter().map(shown).collect();
        return Ok(context.bare(&APPLICATION, &all));
    }
    let page = Page::read(context)?;
    let rows = store.applications_page(scope, &page.window()).await?;
    let rows = Rows {
        items: rows.items.into_iter().map(shown).collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/Applications", account.sid);
    page.show(context, &APPLICATION, &path, rows, |shown| {
        row_key(shown.application.created, shown.application.sid)
    })
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let mut application = Application {
        sid: ApplicationSid::new(now, rand::random()),
        account: account.sid,
        friendly_name: String::new(),
        api_version: context.dialect.version.to_owned(),
        voice_caller_id_lookup: false,
        rcml_url: None,
        method: None,
        fallback_url: None,
        fallback_method: None,
        status_callback: None,
        status_callback_method: None,
        dialect: context.dialect.runs,
        kind: None,
        extra: BTreeMap::new(),
        created: now,
        updated: now,
    };
    change(context, &mut application)?;
    let store = &context.state.store;
    store.insert_application(application.clone()).await?;
    Ok(one(context, application))
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, application: &mut Application) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.name("FriendlyName")? {
        application.friendly_name = name;
    }
    if let Some(version) = params.filled("ApiVersion") {
        application.api_version = shown(version);
    }
    if let Some(lookup) = params.flag("VoiceCallerIdLookup")? {
        application.voice_caller_id_lookup = lookup;
    }
    if let Some(url) = params.address("RcmlUrl")? {
        // An empty address is stored as such: it was deliberately cleared.
        application.rcml_url = Some(url.unwrap_or_default());
        application.dialect = context.dialect.runs;
    }
    if let Some(kind) = params.word("Kind") {
        application.kind = Some(kind.to_owned());
    }
    change_voice(context, application)?;
    params.keep(EXTRA, &mut application.extra)
}

/// Applies what Twilio's clients say about calls.
fn change_voice(context: &Context<'_>, application: &mut Application) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(url) = params.address("VoiceUrl")? {
        application.rcml_url = url;
        application.dialect = context.dialect.runs;
        // Such an address has a method of its own, whatever the number says.
        application.method.get_or_insert(HttpMethod::Post);
    }
    if let Some(url) = params.address("VoiceFallbackUrl")? {
        application.fallback_url = url;
    }
    if let Some(url) = params.address("StatusCallback")? {
        application.status_callback = url;
    }
    for (name, stored) in [
        ("VoiceMethod", &mut application.method),
        ("VoiceFallbackMethod", &mut application.fallback_method),
        (
            "StatusCallbackMethod",
            &mut application.status_callback_method,
        ),
    ] {
        if let Some(method) = params.method(name)? {
            *stored = Some(method);
        }
    }
    Ok(())
}

fn one(context: &Context<'_>, application: Application) -> Reply {
    let shown = Shown {
        application,
        numbers: None,
    };
    context.show(&APPLICATION, &shown)
}

/// The application, if it exists and belongs to the account.
async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<Option<Application>, Failure> {
    let Ok(sid) = sid.parse::<ApplicationSid>() else {
        return Ok(None);
    };
    let found = context.state.store.current_application(sid).await?;
    Ok(owned(account, found))
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    Ok(one(context, found.ok_or_else(Failure::not_found)?))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let found = find(context, account, sid).await?;
        let mut application = found.ok_or_else(Failure::not_found)?;
        change(context, &mut application)?;
        let read = application.updated;
        application.updated = after(read);
        let store = &context.state.store;
        if store.update_application(application.clone(), read).await? {
            return Ok(one(context, application));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    if let Some(found) = find(context, account, sid).await? {
        context.state.store.delete_application(found.sid).await?;
    }
    Ok(Reply::Nothing)
}
