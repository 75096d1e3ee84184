//! `/Accounts/{sid}/IncomingPhoneNumbers`: numbers that calls come in on.
//!
//! No number provider is connected: numbers are those of the operator (`isSIP`), and any other
//! request is answered as if the provider had no such number.

use std::collections::BTreeMap;
use std::str::FromStr;

use http::StatusCode;
use model::record::{Account, Number, VoiceApplication};
use model::{ApplicationSid, HttpMethod, NumberSid};
use store::{NumberFilter, NumberKey, Scope, Sort, StoreError};

use crate::context::{Answer, Context, Reply, VERSION, Verb, now, uri};
use crate::failure::Failure;
use crate::page::{ListNames, Page};
use crate::resources::clients::method;
use crate::roles::Action;
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

/// A number, in lists with the names of its applications.
struct Shown {
    number: Number,
    names: BTreeMap<String, String>,
}

impl Shown {
    fn bare(number: Number) -> Self {
        Self {
            number,
            names: BTreeMap::new(),
        }
    }

    fn extra(&self, name: &str) -> Value {
        Value::maybe(self.number.extra.get(name))
    }

    fn extra_method(&self, name: &str) -> Value {
        let stored = self.number.extra.get(name);
        method(stored.and_then(|text| HttpMethod::from_str(text).ok()))
    }

    /// Absent without an application; null if the name is not looked up.
    fn application_name(&self, sid: Option<String>) -> Value {
        match sid {
            None => Value::Absent,
            Some(sid) => Value::maybe(self.names.get(&sid)),
        }
    }

    fn can(&self, name: &str) -> Value {
        Value::Flag(
            self.number
                .extra
                .get(name)
                .is_some_and(|text| text == "true"),
        )
    }
}

const fn text(
    json: &'static str,
    xml: &'static str,
    get: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Explicit, get)
}

const FIELDS: &[Field<Shown>] = &[
    text("sid", "Sid", |s, _| Value::text(s.number.sid)),
    text("account_sid", "AccountSid", |s, _| {
        Value::text(s.number.account)
    }),
    text("friendly_name", "FriendlyName", |s, _| {
        Value::text(&s.number.friendly_name)
    }),
    text("phone_number", "PhoneNumber", |s, _| {
        Value::text(&s.number.phone_number)
    }),
    text("voice_url", "VoiceUrl", |s, _| {
        Value::maybe(s.number.voice.url.as_deref())
    }),
    text("voice_method", "VoiceMethod", |s, _| {
        method(s.number.voice.method)
    }),
    text("voice_fallback_url", "VoiceFallbackUrl", |s, _| {
        Value::maybe(s.number.voice.fallback_url.as_deref())
    }),
    text("voice_fallback_method", "VoiceFallbackMethod", |s, _| {
        method(s.number.voice.fallback_method)
    }),
    text("status_callback", "StatusCallback", |s, _| {
        Value::maybe(s.number.status_callback.as_deref())
    }),
    text("status_callback_method", "StatusCallbackMethod", |s, _| {
        method(s.number.status_callback_method)
    }),
    field(
        "voice_caller_id_lookup",
        "VoiceCallerIdLookup",
        Kind::Flag,
        Null::Explicit,
        |s, _| Value::Flag(s.number.voice_caller_id_lookup),
    ),
    text("voice_application_sid", "VoiceApplicationSid", |s, _| {
        Value::maybe(s.number.voice.application)
    }),
    text("voice_application_name", "VoiceApplicationName", |s, _| {
        s.application_name(s.number.voice.application.map(|sid| sid.to_string()))
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Explicit,
        |s, _| Value::Date(s.number.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Explicit,
        |s, _| Value::Date(s.number.updated),
    ),
    text("sms_url", "SmsUrl", |s, _| s.extra("SmsUrl")),
    text("sms_method", "SmsMethod", |s, _| {
        s.extra_method("SmsMethod")
    }),
    text("sms_fallback_url", "SmsFallbackUrl", |s, _| {
        s.extra("SmsFallbackUrl")
    }),
    text("sms_fallback_method", "SmsFallbackMethod", |s, _| {
        s.extra_method("SmsFallbackMethod")
    }),
    text("sms_application_sid", "SmsApplicationSid", |s, _| {
        s.extra("SmsApplicationSid")
    }),
    text("sms_application_name", "SmsApplicationName", |s, _| {
        s.application_name(s.number.extra.get("SmsApplicationSid").cloned())
    }),
    text("ussd_url", "UssdUrl", |s, _| s.extra("UssdUrl")),
    text("ussd_method", "UssdMethod", |s, _| {
        s.extra_method("UssdMethod")
    }),
    text("ussd_fallback_url", "UssdFallbackUrl", |s, _| {
        s.extra("UssdFallbackUrl")
    }),
    text("ussd_fallback_method", "UssdFallbackMethod", |s, _| {
        s.extra_method("UssdFallbackMethod")
    }),
    text("ussd_application_sid", "UssdApplicationSid", |s, _| {
        s.extra("UssdApplicationSid")
    }),
    text("ussd_application_name", "UssdApplicationName", |s, _| {
        s.application_name(s.number.extra.get("UssdApplicationSid").cloned())
    }),
    text("refer_url", "ReferUrl", |s, _| s.extra("ReferUrl")),
    text("refer_method", "ReferMethod", |s, _| {
        s.extra_method("ReferMethod")
    }),
    text("refer_application_sid", "ReferApplicationSid", |s, _| {
        s.extra("ReferApplicationSid")
    }),
    text("refer_application_name", "ReferApplicationName", |s, _| {
        s.application_name(s.number.extra.get("ReferApplicationSid").cloned())
    }),
    field(
        "capabilities",
        "Capabilities",
        Kind::Object,
        Null::Explicit,
        |s, _| capabilities(s),
    ),
    // Whether anyone may call it, which the original does not know.
    field("public", "Public", Kind::Flag, Null::Explicit, |s, _| {
        Value::Flag(s.number.public)
    }),
    text("api_version", "ApiVersion", |_, _| Value::text(VERSION)),
    field("uri", "Uri", Kind::Link, Null::Explicit, |s, _| {
        Value::Link(uri(s.number.account, "IncomingPhoneNumbers", s.number.sid))
    }),
];

const NUMBER: Resource<Shown> = Resource {
    xml: "IncomingPhoneNumber",
    xml_list: "IncomingPhoneNumbers",
    fields: FIELDS,
};

/// Parameters that are kept for the API only, by what they are.
const EXTRA_URLS: [&str; 5] = [
    "SmsUrl",
    "SmsFallbackUrl",
    "UssdUrl",
    "UssdFallbackUrl",
    "ReferUrl",
];
const EXTRA_METHODS: [&str; 5] = [
    "SmsMethod",
    "SmsFallbackMethod",
    "UssdMethod",
    "UssdFallbackMethod",
    "ReferMethod",
];
const EXTRA_APPLICATIONS: [&str; 3] = [
    "SmsApplicationSid",
    "UssdApplicationSid",
    "ReferApplicationSid",
];
const EXTRA_FLAGS: [&str; 4] = ["VoiceCapable", "SmsCapable", "MmsCapable", "FaxCapable"];

fn capabilities(shown: &Shown) -> Value {
    let entry = |json, xml, name| Entry {
        json,
        xml,
        null: Null::Explicit,
        value: shown.can(name),
    };
    Value::Object(vec![
        entry("voice_capable", "Voice", "VoiceCapable"),
        entry("sms_capable", "Sms", "SmsCapable"),
        entry("mms_capable", "Mms", "MmsCapable"),
        entry("fax_capable", "Fax", "FaxCapable"),
    ])
}

/// The list, and new ones.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    match context.verb {
        Verb::Get => {
            let account = context
                .operate(account, Action::Read, "IncomingPhoneNumbers")
                .await?;
            list(context, &account).await
        }
        Verb::Post => {
            let account = context
                .operate(account, Action::Create, "IncomingPhoneNumbers")
                .await?;
            create(context, &account).await
        }
        Verb::Put | Verb::Delete | Verb::Other => Err(Failure::method("GET, POST")),
    }
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(params)?;
    let filter = NumberFilter {
        scope: Scope::Own(account.sid),
        phone_number: params.filled("PhoneNumber").map(str::to_owned),
        friendly_name: params.filled("FriendlyName").map(str::to_owned),
        sort: Sort {
            key: match params.filled("SortBy") {
                Some("FriendlyName") => NumberKey::FriendlyName,
                _ => NumberKey::PhoneNumber,
            },
            descending: params.flag("Reverse")?.unwrap_or(false),
        },
        window: page.window(),
    };
    let rows = context.state.store.numbers(&filter).await?;
    let names = application_names(context, &rows.items).await?;
    let list = ListNames {
        uri: &format!("/{VERSION}/Accounts/{}/IncomingPhoneNumbers", account.sid),
        json: "incomingPhoneNumbers",
        xml: NUMBER.xml_list,
        xml_item: NUMBER.xml,
        xml_envelope: true,
    };
    let text = page.write(context.format, &list, &rows, |row| {
        let shown = Shown {
            number: row.clone(),
            names: names.clone(),
        };
        (row.sid.to_string(), NUMBER.entries(&shown, context.view()))
    })?;
    Ok(Reply::Document(text))
}

/// Names of the applications that numbers refer to, by identifier.
async fn application_names(
    context: &Context<'_>,
    numbers: &[Number],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut names = BTreeMap::new();
    for number in numbers {
        let extra = EXTRA_APPLICATIONS
            .iter()
            .filter_map(|name| number.extra.get(*name)?.parse().ok());
        let sids: Vec<ApplicationSid> = number.voice.application.into_iter().chain(extra).collect();
        for sid in sids {
            if let Some(application) = context.state.store.application(sid).await? {
                names.insert(sid.to_string(), application.friendly_name.clone());
            }
        }
    }
    Ok(names)
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let Some(phone_number) = params.filled("PhoneNumber").map(str::trim) else {
        return Err(if params.filled("AreaCode").is_some() {
            Failure::number_taken()
        } else {
            Failure::parameter("PhoneNumber", "this parameter is required")
        });
    };
    let Some(is_sip) = params.get("isSIP") else {
        return Err(Failure::number_taken());
    };
    if phone_number.chars().any(char::is_control) || phone_number.chars().count() > 200 {
        return Err(Failure::parameter("PhoneNumber", "this is no number"));
    }
    let now = now();
    let mut number = Number {
        sid: NumberSid::new(now, rand::random()),
        account: account.sid,
        organization: account.organization,
        friendly_name: phone_number.to_owned(),
        phone_number: phone_number.to_owned(),
        pure_sip: is_sip.eq_ignore_ascii_case("true"),
        public: false,
        voice: VoiceApplication::default(),
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: BTreeMap::new(),
        created: now,
        updated: now,
    };
    change(context, &mut number)?;
    if !number.pure_sip && is_known(context, &number).await? {
        return Err(Failure::number_taken());
    }
    match context.state.store.insert_number(number.clone()).await {
        Ok(()) => Ok(context.show(&NUMBER, &Shown::bare(number))),
        Err(StoreError::Duplicate(_)) => Err(Failure::number_taken()),
        Err(error) => Err(error.into()),
    }
}

/// Whether another number that everyone can reach is written the same or in E.164.
async fn is_known(context: &Context<'_>, number: &Number) -> Result<bool, Failure> {
    let spellings = model::number::candidates(&number.phone_number);
    let found = context
        .state
        .store
        .number_candidates(None, &spellings)
        .await?;
    Ok(found.exact.iter().any(|other| !other.pure_sip))
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, number: &mut Number) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.name("FriendlyName")? {
        number.friendly_name = name;
    }
    params.change_voice(&mut number.voice)?;
    if let Some(url) = params.address("StatusCallback")? {
        number.status_callback = url;
    }
    if params.get("StatusCallbackMethod").is_some() {
        number.status_callback_method = params.method("StatusCallbackMethod")?;
    }
    if let Some(lookup) = params.flag("VoiceCallerIdLookup")? {
        number.voice_caller_id_lookup = lookup;
    }
    if let Some(public) = params.flag("Public")? {
        number.public = public;
    }
    change_extra(context, &mut number.extra)
}

fn change_extra(
    context: &Context<'_>,
    extra: &mut BTreeMap<String, String>,
) -> Result<(), Failure> {
    let params = &context.params;
    let mut set = |name: &str, value: Option<String>| match value {
        Some(value) => drop(extra.insert(name.to_owned(), value)),
        None => drop(extra.remove(name)),
    };
    for name in EXTRA_URLS {
        if let Some(url) = params.address(name)? {
            set(name, url);
        }
    }
    for name in EXTRA_METHODS {
        if params.get(name).is_some() {
            set(name, params.method(name)?.map(|method| method.to_string()));
        }
    }
    for name in EXTRA_APPLICATIONS {
        if let Some(sid) = params.sid::<ApplicationSid>(name)? {
            set(name, sid.map(|sid| sid.to_string()));
        }
    }
    for name in EXTRA_FLAGS {
        if let Some(flag) = params.flag(name)? {
            set(name, Some(flag.to_string()));
        }
    }
    Ok(())
}

/// One.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    let action = match context.verb {
        Verb::Get => Action::Read,
        Verb::Post | Verb::Put => Action::Modify,
        Verb::Delete => Action::Delete,
        Verb::Other => return Err(Failure::method("GET, POST, PUT, DELETE")),
    };
    let account = context
        .operate(account, action, "IncomingPhoneNumbers")
        .await?;
    let store = &context.state.store;
    let sid: NumberSid = sid.parse().map_err(|_| Failure::not_found())?;
    let mut number = store.number(sid).await?.ok_or_else(Failure::not_found)?;
    if number.account != account.sid {
        return Err(Failure::forbidden());
    }
    match action {
        Action::Read | Action::Create => {}
        Action::Modify => {
            change(context, &mut number)?;
            number.updated = now();
            if !store.update_number(number.clone()).await? {
                return Err(Failure::not_found());
            }
        }
        Action::Delete => {
            if !store.delete_number(sid).await? {
                return Err(Failure::not_found());
            }
            return Ok(Reply::Empty(StatusCode::NO_CONTENT));
        }
    }
    Ok(context.show(&NUMBER, &Shown::bare(number)))
}
