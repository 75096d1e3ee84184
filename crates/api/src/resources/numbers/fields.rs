//! What the API shows of a number.

use std::collections::BTreeMap;
use std::str::FromStr;

use model::HttpMethod;
use model::record::Number;

use crate::common;
use crate::resources::clients::method;
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

/// A number, in lists with the names of its applications.
pub(super) struct Shown {
    pub(super) number: Number,
    pub(super) names: BTreeMap<String, String>,
}

impl Shown {
    pub(super) fn bare(number: Number) -> Self {
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

    /// What the operator said, or else what holds: every number takes calls, one with a document for texts takes texts, and none
    /// anything else.
    fn can(&self, name: &str) -> Value {
        let said = self.number.extra.get(name);
        let holds = match name {
            "VoiceCapable" => true,
            "SmsCapable" => ["SmsUrl", "SmsApplicationSid"].iter().any(|given| {
                self.number
                    .extra
                    .get(*given)
                    .is_some_and(|text| !text.is_empty())
            }),
            _ => false,
        };
        Value::Flag(said.map_or(holds, |text| text == "true"))
    }
}

const fn text(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Explicit, doc, get)
}

/// A text that every number has.
const fn given(
    json: &'static str,
    xml: &'static str,
    doc: &'static str,
    get: fn(&Shown, crate::value::View<'_>) -> Value,
) -> Field<Shown> {
    field(json, xml, Kind::Text, Null::Never, doc, get)
}

const FIELDS: &[Field<Shown>] = &[
    given("sid", "Sid", "Identifier.", |s, _| {
        Value::text(s.number.sid)
    }),
    given(
        "account_sid",
        "AccountSid",
        "Account that owns it.",
        |s, _| Value::text(s.number.account),
    ),
    given(
        "friendly_name",
        "FriendlyName",
        "Name to display.",
        |s, _| Value::text(&s.number.friendly_name),
    ),
    given("phone_number", "PhoneNumber", "The number.", |s, _| {
        Value::text(&s.number.phone_number)
    }),
    text("voice_url", "VoiceUrl", "Document for calls.", |s, _| {
        Value::maybe(s.number.voice.url.as_deref())
    }),
    text(
        "voice_method",
        "VoiceMethod",
        "Method for `voice_url`.",
        |s, _| method(s.number.voice.method),
    ),
    text(
        "voice_fallback_url",
        "VoiceFallbackUrl",
        "Document if `voice_url` fails.",
        |s, _| Value::maybe(s.number.voice.fallback_url.as_deref()),
    ),
    text(
        "voice_fallback_method",
        "VoiceFallbackMethod",
        "Method for `voice_fallback_url`.",
        |s, _| method(s.number.voice.fallback_method),
    ),
    text(
        "status_callback",
        "StatusCallback",
        "Address that receives each status, or only the final one if `VoiceUrl` was set at the Twilio base.",
        |s, _| Value::maybe(s.number.status_callback.as_deref()),
    ),
    text(
        "status_callback_method",
        "StatusCallbackMethod",
        "Method for `status_callback`.",
        |s, _| method(s.number.status_callback_method),
    ),
    field(
        "voice_caller_id_lookup",
        "VoiceCallerIdLookup",
        Kind::Flag,
        Null::Never,
        "Whether caller names are looked up.",
        |s, _| Value::Flag(s.number.voice_caller_id_lookup),
    ),
    text(
        "voice_application_sid",
        "VoiceApplicationSid",
        "Application for calls; takes precedence over `voice_url`.",
        |s, _| Value::maybe(s.number.voice.application),
    ),
    text(
        "voice_application_name",
        "VoiceApplicationName",
        "Name of that application.",
        |s, _| s.application_name(s.number.voice.application.map(|sid| sid.to_string())),
    ),
    common::date_created(|s, _| Value::Date(s.number.created)),
    common::date_updated(|s, _| Value::Date(s.number.updated)),
    text(
        "sms_url",
        "SmsUrl",
        "Document for text messages.",
        |s, _| s.extra("SmsUrl"),
    ),
    text(
        "sms_method",
        "SmsMethod",
        "Method for `sms_url`.",
        |s, _| s.extra_method("SmsMethod"),
    ),
    text(
        "sms_fallback_url",
        "SmsFallbackUrl",
        "Document if `sms_url` fails.",
        |s, _| s.extra("SmsFallbackUrl"),
    ),
    text(
        "sms_fallback_method",
        "SmsFallbackMethod",
        "Method for `sms_fallback_url`.",
        |s, _| s.extra_method("SmsFallbackMethod"),
    ),
    text(
        "sms_application_sid",
        "SmsApplicationSid",
        "Application for text messages.",
        |s, _| s.extra("SmsApplicationSid"),
    ),
    text(
        "sms_application_name",
        "SmsApplicationName",
        "Name of that application.",
        |s, _| s.application_name(s.number.extra.get("SmsApplicationSid").cloned()),
    ),
    text("ussd_url", "UssdUrl", "Document for USSD.", |s, _| {
        s.extra("UssdUrl")
    }),
    text(
        "ussd_method",
        "UssdMethod",
        "Method for `ussd_url`.",
        |s, _| s.extra_method("UssdMethod"),
    ),
    text(
        "ussd_fallback_url",
        "UssdFallbackUrl",
        "Document if `ussd_url` fails.",
        |s, _| s.extra("UssdFallbackUrl"),
    ),
    text(
        "ussd_fallback_method",
        "UssdFallbackMethod",
        "Method for `ussd_fallback_url`.",
        |s, _| s.extra_method("UssdFallbackMethod"),
    ),
    text(
        "ussd_application_sid",
        "UssdApplicationSid",
        "Application for USSD.",
        |s, _| s.extra("UssdApplicationSid"),
    ),
    text(
        "ussd_application_name",
        "UssdApplicationName",
        "Name of that application.",
        |s, _| s.application_name(s.number.extra.get("UssdApplicationSid").cloned()),
    ),
    text(
        "refer_url",
        "ReferUrl",
        "Document for transfers.",
        |s, _| s.extra("ReferUrl"),
    ),
    text(
        "refer_method",
        "ReferMethod",
        "Method for `refer_url`.",
        |s, _| s.extra_method("ReferMethod"),
    ),
    text(
        "refer_application_sid",
        "ReferApplicationSid",
        "Application for transfers.",
        |s, _| s.extra("ReferApplicationSid"),
    ),
    text(
        "refer_application_name",
        "ReferApplicationName",
        "Name of that application.",
        |s, _| s.application_name(s.number.extra.get("ReferApplicationSid").cloned()),
    ),
    field::<Shown>(
        "capabilities",
        "Capabilities",
        Kind::Object,
        Null::Explicit,
        "What the number can do.",
        |s, _| {
            let names = ["voice_capable", "sms_capable", "mms_capable", "fax_capable"];
            capabilities(s, names)
        },
    )
    .twilio(Kind::Object, |s, _| {
        capabilities(s, ["voice", "sms", "mms", "fax"])
    }),
    // Whether anyone may call it, which the original does not know.
    field(
        "public",
        "Public",
        Kind::Flag,
        Null::Never,
        "Whether callers without credentials reach it.",
        |s, _| Value::Flag(s.number.public),
    ),
    given(
        "api_version",
        "ApiVersion",
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    ),
    common::uri(|s, view| {
        Value::Link(view.uri(s.number.account, "IncomingPhoneNumbers", s.number.sid))
    }),
];

pub(super) static NUMBER: Resource<Shown> = Resource {
    xml: ["IncomingPhoneNumber", "IncomingPhoneNumber"],
    xml_list: ["IncomingPhoneNumbers", "IncomingPhoneNumbers"],
    json_list: ["incomingPhoneNumbers", "incoming_phone_numbers"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

/// - `json`: names of voice, text and multimedia messages, and faxes
fn capabilities(shown: &Shown, json: [&'static str; 4]) -> Value {
    let [voice, sms, mms, fax] = json;
    let entry = |json, xml, name| Entry {
        json,
        xml,
        null: Null::Explicit,
        value: shown.can(name),
    };
    Value::Object(vec![
        entry(voice, "Voice", "VoiceCapable"),
        entry(sms, "Sms", "SmsCapable"),
        entry(mms, "Mms", "MmsCapable"),
        entry(fax, "Fax", "FaxCapable"),
    ])
}
