//! Verifications and their checks.

use model::record::Account;
use model::{VerificationSid, error};
use verify::{Channel, Service, Status, Verification};

use super::sending::{self, Checked, Wanted};
use super::{KIND, service_of, url};
use crate::common;
use crate::context::{Answer, Context, now, owned};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::params::shown;
use crate::resources::calls;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

const FIELDS: &[Field<Verification>] = &[
    common::sid(|v, _| Value::text(v.sid)),
    field(
        "service_sid",
        "ServiceSid",
        Kind::Text,
        Null::Never,
        "The service.",
        |v, _| Value::text(v.service),
    ),
    common::account_sid(|v, _| Value::text(v.account)),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Never,
        "The number or e-mail address.",
        |v, _| Value::text(&v.to),
    ),
    field(
        "channel",
        "Channel",
        Kind::Text,
        Null::Never,
        "How the last code was sent: `sms`, `call` or `email`.",
        |v, _| Value::text(v.channel),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`pending`, or how it ended: `approved`, `canceled`, `max_attempts_reached`, `expired` or `failed`.",
        |v, _| Value::text(v.status_at(now())),
    ),
    field(
        "valid",
        "Valid",
        Kind::Flag,
        Null::Never,
        "Whether the right code was given.",
        |v, _| Value::Flag(v.status == Status::Approved),
    ),
    field(
        "checks_left",
        "ChecksLeft",
        Kind::Number,
        Null::Never,
        "How many guesses are left.",
        |v, _| Value::Number(v.checks_left()),
    ),
    field(
        "send_count",
        "SendCount",
        Kind::Number,
        Null::Never,
        "How many codes were sent.",
        |v, _| Value::Number(v.sends),
    ),
    field(
        "date_expires",
        "DateExpires",
        Kind::Date,
        Null::Never,
        "When the code expires.",
        |v, _| Value::Date(v.expires),
    ),
    common::date_created(|v, _| Value::Date(v.created)),
    common::date_updated(|v, _| Value::Date(v.updated)),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |v, view| Value::text(address(v, view)),
    ),
];

fn address(one: &Verification, view: View<'_>) -> String {
    url(
        view,
        &format!("Services/{}/Verifications/{}", one.service, one.sid),
    )
}

static VERIFICATION: Resource<Verification> = Resource {
    xml: ["Verification", "Verification"],
    xml_list: ["Verifications", "Verifications"],
    json_list: ["verifications", "verifications"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services/{service}/Verifications"];
const ONE: &[&str] = &["/Services/{service}/Verifications/{sid}"];
const CHECK: &[&str] = &["/Services/{service}/VerificationCheck"];

/// Statuses of refusals to send or check.
pub(crate) const LIMITED: Each<&[u16]> = [&[403, 429], &[403, 429]];

/// The routes of verifications.
pub(super) static ROUTES: &[Route] = &[
    Route::post(LIST, |c, a, service| Box::pin(create(c, a, service)))
        .needs(Action::Create, KIND)
        .params(&[NEW])
        .answers(Answers::One(&VERIFICATION))
        .status([201, 201])
        .refuses(LIMITED)
        .doc("Sends a code, or sends it again if the recipient's verification is pending."),
    Route::get(ONE, |c, a, path| Box::pin(get(c, a, path)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&VERIFICATION))
        .doc("Reads a verification: by its SID, or by the recipient as long as it is pending."),
    Route::post(ONE, |c, a, path| Box::pin(update(c, a, path)))
        .needs(Action::Modify, KIND)
        .params(&[CHANGES])
        .answers(Answers::One(&VERIFICATION))
        .doc("Ends a pending verification."),
    Route::post(CHECK, |c, a, service| Box::pin(check(c, a, service)))
        .needs(Action::Modify, KIND)
        .params(&[GUESS])
        .answers(Answers::One(&VERIFICATION))
        .status([200, 201])
        .refuses(LIMITED)
        .doc("Checks a code. A wrong one leaves the verification `pending`; one that has ended is 404."),
];

const NEW: &[Param] = &[
    param(
        "To",
        Is::Party,
        "The number, with `+` and country code, or the e-mail address.",
    )
    .required(),
    param("Channel", Is::Text, "`sms`, `call` or `email`.").required(),
    param(
        "Locale",
        Is::Text,
        "Language tag such as `de`; English for languages that are not known: de, en, es, fr, it and pt are.",
    ),
    param(
        "CustomFriendlyName",
        Is::Text,
        "Name that the recipient reads, instead of the service's.",
    ),
    param(
        "CustomCode",
        Is::Secret,
        "The code, four to ten letters or digits, if the service allows it.",
    ),
    param(
        "SendDigits",
        Is::Text,
        "Keys to press when a call is answered: digits, `*`, `#`, and `w` for a pause; at most 32.",
    ),
    param(
        "RateLimits",
        Is::Text,
        "Limits to count, as a JSON object of names and values: `{\"end_user_ip\": \"192.0.2.1\"}`.",
    ),
    param(
        "DeviceIp",
        Is::Text,
        "Address of the person who asks for the code; its /24 or /64 network has a limit.",
    ),
];
const CHANGES: &[Param] = &[param(
    "Status",
    Is::Word(&["canceled", "approved"]),
    "`canceled`, or `approved` if the code was checked elsewhere.",
)
.required()];
const GUESS: &[Param] = &[
    param("Code", Is::Secret, "The code that the person gave."),
    param("To", Is::Party, "The recipient; or give VerificationSid."),
    param(
        "VerificationSid",
        Is::Text,
        "The verification, instead of To.",
    ),
];

/// A recipient in the form in which it is stored.
pub(crate) fn recipient(text: &str, channel: Option<Channel>) -> Result<String, Failure> {
    let refused = |reason: &str| {
        let text = format!("To: `{}` {reason}", shown(text.trim()));
        Err(Failure::of(error::VERIFY_PARAMETER).saying(text))
    };
    let text = text.trim();
    let is_mail = text.contains('@');
    if channel.is_some_and(|channel| (channel == Channel::Email) != is_mail) {
        return refused("does not fit the channel");
    }
    if is_mail {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 254;
        return if plain {
            Ok(text.to_lowercase())
        } else {
            refused("is not an e-mail address")
        };
    }
    // An unescaped plus sign arrives as a space, which was trimmed.
    let number = model::number::e164(text).or_else(|| model::number::e164(&format!("+{text}")));
    number.map_or_else(|| refused("is not a number with `+` and country code"), Ok)
}

async fn create(context: &Context<'_>, account: &Account, service: &str) -> Answer {
    let service = service_of(context, account, service).await?;
    let params = &context.params;
    let channel = params.required("Channel")?.trim();
    let channel: Channel = channel.parse().map_err(|problem| {
        let text = format!("Channel: `{}` is not supported; {problem}", shown(channel));
        Failure::of(error::VERIFY_PARAMETER).saying(text)
    })?;
    let wanted = Wanted {
        to: recipient(params.required("To")?, Some(channel))?,
        channel,
        locale: params.filled("Locale").unwrap_or("en").trim().to_owned(),
        name: params.name("CustomFriendlyName")?,
        code: params.filled("CustomCode").map(str::to_owned),
        network: params.filled("DeviceIp").map(network).transpose()?,
        limits: params
            .filled("RateLimits")
            .map(limits)
            .transpose()?
            .unwrap_or_default(),
        from: None,
        template: None,
        subject: None,
        send_digits: calls::keys(params, "SendDigits")?,
    };
    let sent = sending::start(context, account, &service, wanted).await?;
    Ok(context.show(&VERIFICATION, &sent))
}

/// The network of an address: /24 or /64.
fn network(text: &str) -> Result<String, Failure> {
    let address: std::net::IpAddr = text.trim().parse().map_err(|_| {
        let text = format!("DeviceIp: `{}` is not an address", shown(text));
        Failure::of(error::VERIFY_PARAMETER).saying(text)
    })?;
    Ok(match address.to_canonical() {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        v6 => model::Source::from(v6).to_string(),
    })
}

fn limits(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let refused = || {
        let text = "RateLimits: write a JSON object of at most ten names and texts";
        Failure::of(error::VERIFY_PARAMETER).saying(text)
    };
    let read: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| refused())?;
    if read.len() > 10 {
        return Err(refused());
    }
    Ok(read.into_iter().collect())
}

/// The verification that the second part of a path names.
async fn find(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<Verification, Failure> {
    let (service, name) = path.split_once('/').ok_or_else(Failure::not_found)?;
    let service = service_of(context, account, service).await?;
    let found = match name.parse::<VerificationSid>() {
        Ok(sid) => context.state.store.verification(sid).await?,
        Err(_) => pending(context, &service, name).await?,
    };
    let found = found.filter(|found| found.service == service.sid);
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn pending(
    context: &Context<'_>,
    service: &Service,
    to: &str,
) -> Result<Option<Verification>, Failure> {
    let Ok(to) = recipient(to, None) else {
        return Ok(None);
    };
    Ok(context
        .state
        .store
        .pending_verification(service.sid, &to)
        .await?)
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    Ok(context.show(&VERIFICATION, &found))
}

async fn update(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let mut one = find(context, account, path).await?;
    let now = now();
    let status = match context.params.filled("Status") {
        Some(text) if text.trim().eq_ignore_ascii_case("approved") => Status::Approved,
        _ => Status::Canceled,
    };
    let can_end = match one.status_at(now) {
        Status::Pending => true,
        // The next code need not wait until it has expired.
        Status::TooManyChecks => status == Status::Canceled,
        Status::Approved | Status::Canceled | Status::Expired | Status::Failed => false,
    };
    if !can_end
        || !context
            .state
            .store
            .end_verification(one.sid, status, now)
            .await?
    {
        let text = format!("the verification is {}", one.status_at(now));
        return Err(Failure::not_found().saying(text));
    }
    one.status = status;
    one.updated = now;
    Ok(context.show(&VERIFICATION, &one))
}

async fn check(context: &Context<'_>, account: &Account, service: &str) -> Answer {
    let service = service_of(context, account, service).await?;
    let params = &context.params;
    let missing = |name: &str| {
        Failure::of(error::VERIFY_PARAMETER).saying(format!("{name}: this parameter is required"))
    };
    let guess = params.filled("Code").ok_or_else(|| missing("Code"))?;
    let found = match (params.filled("VerificationSid"), params.filled("To")) {
        (Some(sid), _) => match sid.trim().parse::<VerificationSid>() {
            Ok(sid) => context.state.store.verification(sid).await?,
            Err(_) => None,
        },
        (None, Some(to)) => pending(context, &service, to).await?,
        (None, None) => return Err(missing("To")),
    };
    let found = found.filter(|found| found.service == service.sid);
    let found = owned(account, found);
    match sending::check(context.state, found, guess).await? {
        Checked::Right(one) | Checked::Wrong(one) => Ok(context.show(&VERIFICATION, &one)),
        Checked::TooMany => Err(Failure::of(error::VERIFY_CHECKED_OUT)),
        Checked::None => {
            let text =
                "There is no pending verification: it was not started, has expired, or has ended.";
            Err(Failure::not_found().saying(text))
        }
    }
}
