//! `/Accounts/{sid}/Retention`: how long an account keeps its data.

use model::record::Account;
use store::{Kept, Retention};

use crate::common;
use crate::context::{Answer, Context, now};
use crate::failure::Failure;
use crate::resources::accounts;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Longest time that can be set, in days: a century.
const MAX_DAYS: u32 = 36_500;

/// What an account has set, and what the server does otherwise.
struct Shown {
    account: model::AccountSid,
    own: Retention,
    default: Retention,
}

impl Shown {
    fn days(&self, kind: Kept) -> Value {
        let days = self.own.or(&self.default).days(kind);
        Value::Number(days.unwrap_or_default().into())
    }
}

const FIELDS: &[Field<Shown>] = &[
    common::account_sid(|s, _| Value::text(s.account)),
    field(
        "message_bodies",
        "MessageBodies",
        Kind::Number,
        Null::Never,
        "Days that the texts of messages are kept; 0: forever.",
        |s, _| s.days(Kept::MessageBodies),
    ),
    field(
        "digits",
        "Digits",
        Kind::Number,
        Null::Never,
        "Days that pressed keys are kept; 0: as long as the traces, journals and callbacks that contain them.",
        |s, _| s.days(Kept::Digits),
    ),
    field(
        "recordings",
        "Recordings",
        Kind::Number,
        Null::Never,
        "Days that the files of recordings are kept; 0: forever.",
        |s, _| s.days(Kept::Recordings),
    ),
    field(
        "traces",
        "Traces",
        Kind::Number,
        Null::Never,
        "Days that traces and journals are kept; 0: forever.",
        |s, _| s.days(Kept::Traces),
    ),
    field(
        "notifications",
        "Notifications",
        Kind::Number,
        Null::Never,
        "Days that notifications are kept; 0: forever.",
        |s, _| s.days(Kept::Notifications),
    ),
    field(
        "callbacks",
        "Callbacks",
        Kind::Number,
        Null::Never,
        "Days that callbacks which are delivered or given up are kept; 0: for 7 days.",
        |s, _| s.days(Kept::Callbacks),
    ),
    field(
        "emails",
        "Emails",
        Kind::Number,
        Null::Never,
        "Days that the addresses, texts and lists of attachments of e-mails are kept; 0: forever.",
        |s, _| s.days(Kept::Emails),
    ),
];

static RETENTION: Resource<Shown> = Resource {
    xml: ["Retention", "Retention"],
    xml_list: ["Retention", "Retention"],
    json_list: ["retention", "retention"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const ONE: &[&str] = &["/Accounts/{account}/Retention"];
const TARGET: &str = "Accounts";

/// The routes of the retention settings.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(ONE, |c, a, _| Box::pin(get(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&RETENTION))
        .doc("Reads how many days the account keeps each kind of data."),
    Route::post(ONE, |c, a, _| Box::pin(change(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .params(&[DAYS])
        .answers(Answers::One(&RETENTION))
        .doc("Sets how many days the account keeps each kind of data. Older data is removed within an hour, except that of calls in progress. The settings do not apply to the accounts below it, which have their own."),
];

const DAYS: &[Param] = &[
    param(
        "MessageBodies",
        Is::Text,
        "Days that the texts of messages are kept, from 1 to 36500; 0: forever; empty: the server's setting applies (`retention.message_bodies_days`). A text that is removed is replaced by a note.",
    ),
    param(
        "Digits",
        Is::Text,
        "Days that pressed keys are kept, as for `MessageBodies`. Because journals contain them, all traces and journals are removed then, even if `Traces` is longer, and so are callbacks with the parameter `Digits`.",
    ),
    param(
        "Recordings",
        Is::Text,
        "Days that the files of recordings and their transcriptions are kept, as for `MessageBodies`. The recording then has the status `absent`, and a request for its file gets 410.",
    ),
    param(
        "Traces",
        Is::Text,
        "Days that the traces and journals of calls, conferences and messages are kept, as for `MessageBodies`.",
    ),
    param(
        "Notifications",
        Is::Text,
        "Days that notifications are kept, as for `MessageBodies`.",
    ),
    param(
        "Callbacks",
        Is::Text,
        "Days that callbacks which are delivered or given up are kept, as for `MessageBodies`. The server keeps none longer than 7 days.",
    ),
    param(
        "Emails",
        Is::Text,
        "Days that the addresses, subjects, texts and lists of attachments of e-mails are kept, as for `MessageBodies`; of an e-mail that is not sent yet, nothing is removed. The attached recordings have a time of their own.",
    ),
];

const KINDS: [(&str, Kept); 7] = [
    ("MessageBodies", Kept::MessageBodies),
    ("Digits", Kept::Digits),
    ("Recordings", Kept::Recordings),
    ("Traces", Kept::Traces),
    ("Notifications", Kept::Notifications),
    ("Callbacks", Kept::Callbacks),
    ("Emails", Kept::Emails),
];

async fn shown(context: &Context<'_>, account: &Account) -> Result<Shown, Failure> {
    Ok(Shown {
        account: account.sid,
        own: context.state.store.retention(account.sid).await?,
        default: context.state.retention,
    })
}

async fn get(context: &Context<'_>, account: &Account) -> Answer {
    accounts::only_itself(context, account)?;
    Ok(context.show(&RETENTION, &shown(context, account).await?))
}

async fn change(context: &Context<'_>, account: &Account) -> Answer {
    accounts::only_itself(context, account)?;
    let mut shown = shown(context, account).await?;
    for (name, kind) in KINDS {
        let Some(text) = context.params.get(name) else {
            continue;
        };
        let days = match text.trim() {
            "" => None,
            text => match text.parse::<u32>() {
                Ok(days) if days <= MAX_DAYS => Some(days),
                Ok(_) | Err(_) => {
                    let reason = "write a number of days from 0 to 36500, or nothing";
                    return Err(Failure::parameter(name, reason));
                }
            },
        };
        shown.own = shown.own.with(kind, days);
    }
    let store = &context.state.store;
    store.set_retention(account.sid, &shown.own, now()).await?;
    Ok(context.show(&RETENTION, &shown))
}
