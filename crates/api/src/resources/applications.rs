//! `/Accounts/{sid}/Applications`: document addresses with a name.

use http::StatusCode;
use model::ApplicationSid;
use model::record::{Account, Application, Number};
use store::Scope;

use crate::context::{Answer, Context, Reply, VERSION, Verb, now, uri};
use crate::failure::Failure;
use crate::params::shown;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

/// An application, in lists with the numbers that it answers.
struct Shown {
    application: Application,
    numbers: Option<Vec<Number>>,
}

const FIELDS: &[Field<Shown>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |s, _| {
        Value::text(s.application.sid)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |s, _| Value::Date(s.application.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |s, _| Value::Date(s.application.updated),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Absent,
        |s, _| Value::text(&s.application.friendly_name),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |s, _| Value::text(s.application.account),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |s, _| Value::text(&s.application.api_version),
    ),
    field(
        "voice_caller_id_lookup",
        "VoiceCallerIdLookup",
        Kind::Flag,
        Null::Absent,
        |s, _| Value::Flag(s.application.voice_caller_id_lookup),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |s, _| {
        Value::Link(uri(
            s.application.account,
            "Applications",
            s.application.sid,
        ))
    }),
    field("rcml_url", "RcmlUrl", Kind::Text, Null::Absent, |s, _| {
        Value::maybe(s.application.rcml_url.as_deref())
    }),
    field("kind", "Kind", Kind::Text, Null::Absent, |s, _| {
        Value::maybe(s.application.kind.as_deref())
    }),
    field("numbers", "Numbers", Kind::List, Null::Absent, |s, view| {
        numbers(s, view)
    }),
];

const APPLICATION: Resource<Shown> = Resource {
    xml: "Application",
    xml_list: "Applications",
    fields: FIELDS,
};

const NUMBER: Resource<Number> = Resource {
    xml: "Number",
    xml_list: "Numbers",
    fields: &[
        field("sid", "Sid", Kind::Text, Null::Absent, |n, _| {
            Value::text(n.sid)
        }),
        field(
            "friendly_name",
            "FriendlyName",
            Kind::Text,
            Null::Absent,
            |n, _| Value::text(&n.friendly_name),
        ),
        field(
            "phone_number",
            "PhoneNumber",
            Kind::Text,
            Null::Absent,
            |n, _| Value::text(&n.phone_number),
        ),
        field(
            "voice_application_sid",
            "VoiceApplicationSid",
            Kind::Text,
            Null::Absent,
            |n, _| Value::maybe(n.voice.application),
        ),
        field(
            "sms_application_sid",
            "SmsApplicationSid",
            Kind::Text,
            Null::Absent,
            |n, _| Value::maybe(n.extra.get("SmsApplicationSid")),
        ),
        field(
            "ussd_application_sid",
            "UssdApplicationSid",
            Kind::Text,
            Null::Absent,
            |n, _| Value::maybe(n.extra.get("UssdApplicationSid")),
        ),
        field(
            "refer_application_sid",
            "ReferApplicationSid",
            Kind::Text,
            Null::Absent,
            |n, _| Value::maybe(n.extra.get("ReferApplicationSid")),
        ),
    ],
};

fn numbers(shown: &Shown, view: View<'_>) -> Value {
    match &shown.numbers {
        None => Value::Absent,
        Some(numbers) => Value::List(
            NUMBER.xml,
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

/// The list, and new ones.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    match context.verb {
        Verb::Get => {
            let account = context
                .operate(account, Action::Read, "Applications")
                .await?;
            list(context, &account).await
        }
        Verb::Post => {
            let account = context
                .operate(account, Action::Create, "Applications")
                .await?;
            create(context, &account).await
        }
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let store = &context.state.store;
    let scope = Scope::Own(account.sid);
    let attached = store.numbers_with_application(scope).await?;
    let shown: Vec<Shown> = store
        .applications(scope)
        .await?
        .into_iter()
        .map(|application| Shown {
            numbers: Some(
                attached
                    .iter()
                    .filter(|number| is_attached(number, application.sid))
                    .cloned()
                    .collect(),
            ),
            application,
        })
        .collect();
    Ok(context.show_all(&APPLICATION, &shown))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    context.params.required("FriendlyName")?;
    let now = now();
    let mut application = Application {
        sid: ApplicationSid::new(now, rand::random()),
        account: account.sid,
        friendly_name: String::new(),
        api_version: VERSION.to_owned(),
        voice_caller_id_lookup: false,
        rcml_url: None,
        kind: None,
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
        // An empty address is kept as such: it says that there is none, on purpose.
        application.rcml_url = Some(url.unwrap_or_default());
    }
    if let Some(kind) = params.filled("Kind") {
        if !matches!(kind, "voice" | "sms" | "ussd") {
            return Err(Failure::parameter("Kind", "must be voice, sms or ussd"));
        }
        application.kind = Some(kind.to_owned());
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

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    let action = match context.verb {
        Verb::Get => Action::Read,
        Verb::Post | Verb::Put | Verb::Delete => Action::Modify,
        Verb::Other => return Err(Failure::method("GET, POST, PUT, DELETE")),
    };
    let account = context.operate(account, action, "Applications").await?;
    let store = &context.state.store;
    let sid: Option<ApplicationSid> = sid.parse().ok();
    let found = match sid {
        Some(sid) => store.application(sid).await?,
        None => None,
    };
    let Some(found) = found else {
        // Deleting what is not there is no failure here.
        return if context.verb == Verb::Delete {
            Ok(Reply::Empty(StatusCode::OK))
        } else {
            Err(Failure::not_found())
        };
    };
    if found.account != account.sid {
        return Err(Failure::forbidden());
    }
    let mut application = (*found).clone();
    match context.verb {
        Verb::Get | Verb::Other => {}
        Verb::Post | Verb::Put => {
            change(context, &mut application)?;
            application.updated = now();
            if !store.update_application(application.clone()).await? {
                return Err(Failure::not_found());
            }
        }
        Verb::Delete => {
            store.delete_application(application.sid).await?;
            return Ok(Reply::Empty(StatusCode::OK));
        }
    }
    Ok(one(context, application))
}
