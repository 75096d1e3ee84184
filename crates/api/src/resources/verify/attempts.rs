//! Codes that were sent, how many of them were confirmed, and the safe list.

use model::record::Account;
use model::{VerifyAttemptSid, VerifySafeSid, VerifyServiceSid, error};
use store::{AttemptCounts, AttemptFilter};
use verify::{Attempt, SafeNumber};

use super::verifications::recipient;
use super::{KIND, url};
use crate::context::{Answer, Context, Reply, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, TWILIO_PAGING, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Attempt>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |a, _| Value::text(a.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that it belongs to.",
        |a, _| Value::text(a.account),
    ),
    field(
        "service_sid",
        "ServiceSid",
        Kind::Text,
        Null::Never,
        "The service that sent it.",
        |a, _| Value::text(a.service),
    ),
    field(
        "verification_sid",
        "VerificationSid",
        Kind::Text,
        Null::Never,
        "The verification it belongs to.",
        |a, _| Value::text(a.verification),
    ),
    field(
        "channel",
        "Channel",
        Kind::Text,
        Null::Never,
        "How it was sent: `sms`, `call` or `email`.",
        |a, _| Value::text(a.channel),
    ),
    field(
        "to",
        "To",
        Kind::Text,
        Null::Never,
        "The number or e-mail address.",
        |a, _| Value::text(&a.to),
    ),
    field(
        "conversion_status",
        "ConversionStatus",
        Kind::Text,
        Null::Never,
        "`converted` if the right code was given, else `unconverted`.",
        |a, _| {
            Value::text(if a.is_confirmed {
                "converted"
            } else {
                "unconverted"
            })
        },
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was sent.",
        |a, _| Value::Date(a.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |a, _| Value::Date(a.updated),
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |a, view| Value::text(url(view, &format!("Attempts/{}", a.sid))),
    ),
];

static ATTEMPT: Resource<Attempt> = Resource {
    xml: ["VerifyAttempt", "VerifyAttempt"],
    xml_list: ["VerifyAttempts", "VerifyAttempts"],
    json_list: ["attempts", "attempts"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const SUMMARY_FIELDS: &[Field<AttemptCounts>] = &[
    field(
        "total_attempts",
        "TotalAttempts",
        Kind::Number,
        Null::Never,
        "Codes sent.",
        |c, _| Value::Number(c.sent),
    ),
    field(
        "total_converted",
        "TotalConverted",
        Kind::Number,
        Null::Never,
        "Codes that were confirmed.",
        |c, _| Value::Number(c.confirmed),
    ),
    field(
        "total_unconverted",
        "TotalUnconverted",
        Kind::Number,
        Null::Never,
        "Codes that were not confirmed.",
        |c, _| Value::Number(c.sent - c.confirmed),
    ),
    field(
        "conversion_rate_percentage",
        "ConversionRatePercentage",
        Kind::Decimal,
        Null::Never,
        "Percentage of codes that were confirmed.",
        |c, _| {
            let hundredths = if c.sent == 0 {
                0
            } else {
                c.confirmed * 10_000 / c.sent
            };
            Value::Decimal(format!("{}.{:02}", hundredths / 100, hundredths % 100))
        },
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |_, view| Value::text(url(view, "Attempts/Summary")),
    ),
];

static SUMMARY: Resource<AttemptCounts> = Resource {
    xml: ["VerifyAttemptsSummary", "VerifyAttemptsSummary"],
    xml_list: ["VerifyAttemptsSummaries", "VerifyAttemptsSummaries"],
    json_list: ["attempts_summaries", "attempts_summaries"],
    xml_envelope: [false, false],
    fields: SUMMARY_FIELDS,
};

const SAFE_FIELDS: &[Field<SafeNumber>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.sid),
    ),
    field(
        "phone_number",
        "PhoneNumber",
        Kind::Text,
        Null::Never,
        "The number.",
        |s, _| Value::text(&s.phone_number),
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |s, view| Value::text(url(view, &format!("SafeList/Numbers/{}", s.phone_number))),
    ),
];

static SAFE: Resource<SafeNumber> = Resource {
    xml: ["VerifySafeNumber", "VerifySafeNumber"],
    xml_list: ["VerifySafeNumbers", "VerifySafeNumbers"],
    json_list: ["numbers", "numbers"],
    xml_envelope: [false, false],
    fields: SAFE_FIELDS,
};

const LIST: &[&str] = &["/Attempts"];
const TOTAL: &[&str] = &["/Attempts/Summary"];
const ONE: &[&str] = &["/Attempts/{sid}"];
const NUMBERS: &[&str] = &["/SafeList/Numbers"];
const NUMBER: &[&str] = &["/SafeList/Numbers/{number}"];

/// The routes of what was sent.
pub(super) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, KIND)
        .params(&[FILTERS, TWILIO_PAGING])
        .answers(Answers::Page(&ATTEMPT))
        .doc("Lists the codes that were sent during the last 30 days, the newest first."),
    Route::get(TOTAL, |c, a, _| Box::pin(summary(c, a)))
        .needs(Action::Read, KIND)
        .params(&[FILTERS])
        .answers(Answers::One(&SUMMARY))
        .doc("Counts the codes that were sent and confirmed."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&ATTEMPT))
        .doc("Reads what is known of a code that was sent; never the code."),
    Route::post(NUMBERS, |c, a, _| Box::pin(add(c, a)))
        .needs(Action::Create, KIND)
        .params(&[NEW_SAFE])
        .answers(Answers::One(&SAFE))
        .status([200, 201])
        .doc(
            "Adds a number to the safe list: the limits of blocks and networks do not apply to it.",
        ),
    Route::get(NUMBER, |c, a, number| Box::pin(read(c, a, number)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&SAFE))
        .doc("Reads whether a number is on the safe list; 404 if not."),
    Route::delete(NUMBER, |c, a, number| Box::pin(remove(c, a, number)))
        .needs(Action::Delete, KIND)
        .doc("Takes a number off the safe list."),
];

const FILTERS: &[Param] = &[
    param(
        "VerifyServiceSid",
        Is::Sid(sid::<VerifyServiceSid>),
        "Only those of this service.",
    ),
    param("ChannelData.To", Is::Party, "Only those to this recipient."),
    param(
        "DateCreatedAfter",
        Is::Moment,
        "Only those sent then or later.",
    ),
    param(
        "DateCreatedBefore",
        Is::Moment,
        "Only those sent before then.",
    ),
];
const NEW_SAFE: &[Param] = &[param(
    "PhoneNumber",
    Is::Party,
    "The number, with `+` and country code.",
)
.required()];

fn filter(
    context: &Context<'_>,
    account: &Account,
    window: store::Window,
) -> Result<AttemptFilter, Failure> {
    let params = &context.params;
    let to = params.filled("ChannelData.To");
    Ok(AttemptFilter {
        account: account.sid,
        service: params.sid("VerifyServiceSid")?.flatten(),
        to: to.map(|to| recipient(to, None)).transpose()?,
        from: params.moment("DateCreatedAfter")?,
        until: params.moment("DateCreatedBefore")?,
        window,
    })
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let filter = filter(context, account, page.window())?;
    let rows = context.state.store.verify_attempts(&filter).await?;
    page.show(context, &ATTEMPT, "/Attempts", rows, |attempt| {
        row_key(attempt.created, attempt.sid)
    })
}

async fn summary(context: &Context<'_>, account: &Account) -> Answer {
    let filter = filter(context, account, store::Window::at(0, 1))?;
    let counts = context.state.store.count_attempts(&filter).await?;
    Ok(context.show(&SUMMARY, &counts))
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid: VerifyAttemptSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.verify_attempt(sid).await?;
    let attempt = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(context.show(&ATTEMPT, &attempt))
}

fn number(text: &str) -> Result<String, Failure> {
    let number = recipient(text, None)?;
    if number.contains('@') {
        let text = "PhoneNumber: only numbers can be on the safe list";
        return Err(Failure::of(error::VERIFY_PARAMETER).saying(text));
    }
    Ok(number)
}

async fn add(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let safe = SafeNumber {
        sid: VerifySafeSid::new(now, rand::random()),
        account: account.sid,
        phone_number: number(context.params.required("PhoneNumber")?)?,
        created: now,
    };
    context.state.store.insert_safe_number(safe.clone()).await?;
    Ok(context.show(&SAFE, &safe))
}

async fn find(context: &Context<'_>, account: &Account, text: &str) -> Result<SafeNumber, Failure> {
    let number = number(text).map_err(|_| Failure::not_found())?;
    let found = context
        .state
        .store
        .safe_number(account.sid, &number)
        .await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn read(context: &Context<'_>, account: &Account, text: &str) -> Answer {
    let safe = find(context, account, text).await?;
    Ok(context.show(&SAFE, &safe))
}

async fn remove(context: &Context<'_>, account: &Account, text: &str) -> Answer {
    let safe = find(context, account, text).await?;
    context.state.store.delete_safe_number(safe.sid).await?;
    Ok(Reply::Nothing)
}
