//! `/2fa/send` and `/2fa/verify`: one-time passwords, as Restcomm had them.
//!
//! They are verifications of a service with the name in the request, which is made when it is used for the first time; its
//! settings and limits are those of `/v2/Services`.

use model::record::Account;
use model::{AccountSid, VerifyServiceSid, error};
use verify::{Channel, Service, Settings, Verification};

use crate::context::{Answer, Context, now};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::params::shown;
use crate::resources::messages::{MAX_BODY, party_of};
use crate::resources::verify::sending::{self, Checked, Wanted};
use crate::resources::verify::{KIND, LIMITED, recipient};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// A verification with the name of its service.
struct Shown {
    service: String,
    verification: Verification,
    /// `sent`, `verified` or `wrong`.
    status: &'static str,
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "id",
        "Id",
        Kind::Text,
        Null::Never,
        "Identifier of the verification.",
        |s, _| Value::text(s.verification.sid),
    ),
    field(
        "service",
        "Service",
        Kind::Text,
        Null::Never,
        "Name of the service.",
        |s, _| Value::text(&s.service),
    ),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Never,
        "The recipient.",
        |s, _| Value::text(&s.verification.to),
    ),
    field(
        "channel",
        "Channel",
        Kind::Text,
        Null::Never,
        "How the code was sent: `sms`, `call` or `email`.",
        |s, _| Value::text(s.verification.channel),
    ),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`sent` or `verified`.",
        |s, _| Value::text(s.status),
    ),
    field(
        "expires",
        "Expires",
        Kind::Date,
        Null::Never,
        "When the code expires.",
        |s, _| Value::Date(s.verification.expires),
    ),
    field(
        "attempts_left",
        "AttemptsLeft",
        Kind::Number,
        Null::Never,
        "How many guesses are left.",
        |s, _| Value::Number(s.verification.checks_left()),
    ),
];

static CODE: Resource<Shown> = Resource {
    xml: ["OneTimePassword", "OneTimePassword"],
    xml_list: ["OneTimePasswords", "OneTimePasswords"],
    json_list: ["one_time_passwords", "one_time_passwords"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

/// The tables of these routes.
pub(crate) static ROUTES: &[&[Route]] = &[&[
    Route::post(&["/send"], |c, a, _| Box::pin(send(c, a)))
        .needs(Action::Create, KIND)
        .params(&[SEND])
        .answers(Answers::One(&CODE))
        .refuses(LIMITED)
        .doc("Sends a code."),
    Route::post(&["/verify"], |c, a, _| Box::pin(check(c, a)))
        .needs(Action::Modify, KIND)
        .params(&[VERIFY])
        .answers(Answers::One(&CODE))
        .refuses(CHECKED)
        .doc("Checks a code. It is 403 if the code is wrong, 404 if none is pending, and 429 after too many wrong ones."),
]];

/// Statuses of refusals to check a code.
const CHECKED: Each<&[u16]> = [&[404, 429], &[404, 429]];

const SEND: &[Param] = &[
    param(
        "service",
        Is::Text,
        "Name of your service, which recipients read.",
    )
    .required(),
    param(
        "from",
        Is::Party,
        "Number that sends the text or calls, or the address that sends the e-mail.",
    )
    .required(),
    param(
        "to",
        Is::Party,
        "The recipient: a number with `+` and country code, or an e-mail address.",
    )
    .required(),
    param(
        "body",
        Is::Text,
        "Text in which `{code}` is replaced by the code.",
    )
    .required(),
    param(
        "channel",
        Is::Word(&["sms", "call", "email"]),
        "`sms`, `call` or `email`; `sms` if not given.",
    ),
    param(
        "accountSid",
        Is::Text,
        "An account below the caller for which the code is sent.",
    ),
    param("subject", Is::Text, "Subject of the e-mail."),
    param(
        "language",
        Is::Text,
        "Language of a call: a tag such as `de-DE`, possibly with the name of an engine before it (`awspolly.de-DE`), which is ignored.",
    ),
    param(
        "repeat",
        Is::Number,
        "How often a call speaks the code, from 1 to 10.",
    ),
    param(
        "limit",
        Is::Text,
        "Name of a limit of the service, to be counted with `key`.",
    ),
    param(
        "key",
        Is::Text,
        "The value that the limit counts, such as the address of your user.",
    ),
];
const VERIFY: &[Param] = &[
    param("service", Is::Text, "Name of your service.").required(),
    param("to", Is::Party, "The recipient.").required(),
    param("code", Is::Secret, "The code that the person gave.").required(),
    param(
        "accountSid",
        Is::Text,
        "An account below the caller for which the code was sent.",
    ),
];

/// The account for which a code is sent or checked.
async fn of_account(context: &Context<'_>, account: &Account) -> Result<Account, Failure> {
    let Some(text) = context.params.filled("accountSid") else {
        return Ok(account.clone());
    };
    let sid: AccountSid = text.trim().parse().map_err(|_| Failure::forbidden())?;
    let found = context.state.store.account(sid).await?;
    let covered = context.covered(found).await?;
    covered.map(|account| (*account).clone()).ok_or_else(|| {
        Failure::forbidden().saying("accountSid: it is neither the caller's account nor below it")
    })
}

async fn send(context: &Context<'_>, account: &Account) -> Answer {
    let account = of_account(context, account).await?;
    let params = &context.params;
    let channel = params
        .filled("channel")
        .unwrap_or("sms")
        .trim()
        .to_ascii_lowercase();
    let channel: Channel = channel.parse().map_err(|problem: verify::UnknownChannel| {
        Failure::parameter("channel", &problem.to_string())
    })?;
    let template = params.required("body")?;
    if !template.contains("{code}") {
        return Err(Failure::parameter(
            "body",
            "it must contain `{code}`, which is replaced by the code",
        ));
    }
    if template.chars().count() > MAX_BODY {
        let reason = format!("at most {MAX_BODY} characters are allowed");
        return Err(Failure::parameter("body", &reason));
    }
    let mut service = service_of(context, &account).await?;
    if let Some(repeat) = params.parsed::<i64>("repeat", "a whole number")? {
        let set = service.settings.set("Repeat", repeat);
        set.map_err(|problem| Failure::parameter("repeat", &problem.to_string()))?;
    }
    if channel != Channel::Email {
        context.warn_unused(&["subject"], "the channel `email`");
    } else if params.filled("subject").is_none() {
        let reason = "an e-mail needs a subject";
        return Err(Failure::parameter("subject", reason));
    }
    let limit = params.filled("limit").map(str::to_owned);
    let key = params.filled("key").map(str::to_owned);
    let limits = match (limit, key) {
        (Some(limit), Some(key)) => vec![(limit, key)],
        (None, None) => Vec::new(),
        (Some(_), None) => {
            return Err(Failure::parameter(
                "key",
                "the limit needs a value to count",
            ));
        }
        (None, Some(_)) => {
            return Err(Failure::parameter(
                "limit",
                "name the limit that counts the key",
            ));
        }
    };
    let language = params.filled("language").unwrap_or("en");
    let wanted = Wanted {
        to: recipient(params.required("to")?, Some(channel))?,
        channel,
        locale: language
            .rsplit('.')
            .next()
            .unwrap_or(language)
            .trim()
            .to_owned(),
        name: None,
        code: None,
        network: None,
        limits,
        from: Some(match channel {
            Channel::Email => params.required("from")?.trim().to_owned(),
            Channel::Sms | Channel::Call => party_of("from", params.required("from")?.trim())?,
        }),
        subject: params.name("subject")?,
        template: Some(template.to_owned()),
        send_digits: None,
    };
    let verification = sending::start(context, &account, &service, wanted).await?;
    let shown = Shown {
        service: service.name,
        verification,
        status: "sent",
    };
    Ok(context.show(&CODE, &shown))
}

/// The service with the name in the request; made if there is none.
async fn service_of(context: &Context<'_>, account: &Account) -> Result<Service, Failure> {
    let name = context.params.name("service")?.unwrap_or_default();
    let store = &context.state.store;
    if let Some(found) = store.verify_service_of_name(account.sid, &name).await? {
        return Ok(found);
    }
    // Another request may make it at the same moment.
    let now = now();
    let service = Service {
        sid: VerifyServiceSid::new(now, rand::random()),
        account: account.sid,
        name,
        settings: Settings {
            valid_s: 300,
            ..Settings::default()
        },
        created: now,
        updated: now,
    };
    let made = store.verify_service_or_insert(service).await?;
    made.ok_or_else(|| Failure::not_found().saying("the service was just deleted"))
}

async fn check(context: &Context<'_>, account: &Account) -> Answer {
    let account = of_account(context, account).await?;
    let params = &context.params;
    let to = recipient(params.required("to")?, None)?;
    let name = params.name("service")?.unwrap_or_default();
    let store = &context.state.store;
    let found = store.verify_service_of_name(account.sid, &name).await?;
    let service = found.ok_or_else(|| {
        let text = format!(
            "there is no service called `{}`: send a code first",
            shown(&name)
        );
        Failure::not_found().saying(text)
    })?;
    let pending = store.pending_verification(service.sid, &to).await?;
    match sending::check(context.state, pending, params.required("code")?).await? {
        Checked::Right(verification) => Ok(context.show(
            &CODE,
            &Shown {
                service: service.name,
                verification,
                status: "verified",
            },
        )),
        Checked::Wrong(verification) => {
            let left = verification.checks_left();
            let text = format!("The code is wrong; {left} more guesses are allowed.");
            Err(Failure::of(error::VERIFY_CODE_WRONG).saying(text))
        }
        Checked::TooMany => Err(Failure::of(error::VERIFY_CHECKED_OUT)),
        Checked::None => {
            let text = "No code is pending for this recipient: none was sent, it has expired, or it was used.";
            Err(Failure::not_found().saying(text))
        }
    }
}
