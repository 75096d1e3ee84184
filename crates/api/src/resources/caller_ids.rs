//! `/Accounts/{sid}/OutgoingCallerIds`: numbers that an account has shown to be its own.
//!
//! At the Restcomm base a number is added at once, as with Restcomm; at the Twilio base, when the
//! person who answers a call to it has pressed the code.

pub(crate) mod validation;

use model::number::e164;
use model::record::{Account, CallerId};
use model::{NumberSid, error};
use store::{CallerIdFilter, StoreError, Window};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::resources::available::friendly;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, TWILIO, TWILIO_PAGING, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

use self::validation::VALIDATION;

const TARGET: &str = "OutgoingCallerIds";
const LIST: &[&str] = &["/Accounts/{account}/OutgoingCallerIds"];
const ONE: &[&str] = &["/Accounts/{account}/OutgoingCallerIds/{sid}"];
/// Maximum number of an account's caller IDs.
const MAX_CALLER_IDS: i64 = 1_000;

/// The routes of outgoing caller IDs.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, TWILIO_PAGING])
        .answers(Answers::All(&CALLER_ID))
        .doc("Lists caller IDs, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, TARGET)
        .within(RESTCOMM)
        .params(&[NEW, NAME])
        .answers(Answers::One(&CALLER_ID))
        .doc("Adds a caller ID. The number is not called."),
    Route::post(LIST, |c, a, _| Box::pin(validation::call(c, a)))
        .needs(Action::Create, TARGET)
        .within(TWILIO)
        .params(&[NEW, NAME, validation::CALL])
        .answers(Answers::One(&VALIDATION))
        .doc("Calls a number and asks the person who answers for the code in the response. When it is pressed, the number becomes a caller ID; three attempts are allowed."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&CALLER_ID))
        .doc("Reads a caller ID."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .params(&[NAME])
        .answers(Answers::One(&CALLER_ID))
        .doc("Changes the name of a caller ID."),
    Route::put(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, TARGET)
        .within(RESTCOMM)
        .params(&[NAME])
        .answers(Answers::One(&CALLER_ID))
        .doc("Changes the name of a caller ID."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .doc("Deletes a caller ID. At the Restcomm base, deleting one that does not exist succeeds too."),
];

const FILTERS: &[Param] = &[
    param("PhoneNumber", Is::Party, "The number, in E.164."),
    param("FriendlyName", Is::Text, "The name."),
];
const NEW: &[Param] = &[param(
    "PhoneNumber",
    Is::Party,
    "Number with `+` and its country code; ten digits are a number of North America.",
)
.required()];
const NAME: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "Name to display, at most 64 characters; when a caller ID is added, the number if not given.",
)];

const FIELDS: &[Field<CallerId>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |c, _| Value::text(c.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |c, _| Value::text(c.account),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |c, _| Value::text(&c.friendly_name),
    ),
    field(
        "phone_number",
        "PhoneNumber",
        Kind::Text,
        Null::Never,
        "The number, in E.164.",
        |c, _| Value::text(&c.phone_number),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |c, _| Value::Date(c.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |c, _| Value::Date(c.updated),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |c, view| Value::Link(view.uri(c.account, TARGET, c.sid)),
    ),
];

static CALLER_ID: Resource<CallerId> = Resource {
    xml: ["OutgoingCallerId", "OutgoingCallerId"],
    xml_list: ["OutgoingCallerIds", "OutgoingCallerIds"],
    json_list: ["outgoing_caller_ids", "outgoing_caller_ids"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let filled = |name| {
        context
            .params
            .filled(name)
            .map(|text| text.trim().to_owned())
    };
    let mut filter = CallerIdFilter {
        account: account.sid,
        phone_number: filled("PhoneNumber").map(|text| e164(&text).unwrap_or(text)),
        friendly_name: filled("FriendlyName"),
        window: Window::at(0, MAX_CALLER_IDS),
    };
    let store = &context.state.store;
    if context.dialect.bare_lists {
        let rows = store.caller_ids(&filter).await?;
        return Ok(context.bare(&CALLER_ID, &rows.items));
    }
    let page = Page::read(context)?;
    filter.window = page.window();
    let rows = store.caller_ids(&filter).await?;
    let path = format!("/Accounts/{}/{TARGET}", account.sid);
    page.show(context, &CALLER_ID, &path, rows, |caller_id| {
        row_key(caller_id.created, caller_id.sid)
    })
}

/// A number and its name, from the parameters, if the account may add them.
async fn wanted(context: &Context<'_>, account: &Account) -> Result<(String, String), Failure> {
    let text = context.params.required("PhoneNumber")?.trim();
    let is_national = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
    let number = if is_national {
        e164(&format!("+1{text}"))
    } else {
        e164(text)
    };
    let number = number.ok_or_else(|| {
        let reason = format!(
            "`{}` is not a number with `+` and its country code",
            shown(text)
        );
        Failure::parameter("PhoneNumber", &reason)
    })?;
    let name = context.params.name("FriendlyName")?;
    let name = name.unwrap_or_else(|| friendly(&number));
    let store = &context.state.store;
    let mut filter = CallerIdFilter {
        account: account.sid,
        phone_number: Some(number.clone()),
        friendly_name: None,
        window: Window::at(0, 1),
    };
    if store.caller_ids(&filter).await?.total > 0 {
        return Err(Failure::of(error::CALLER_ID_EXISTS));
    }
    filter.phone_number = None;
    if store.caller_ids(&filter).await?.total >= MAX_CALLER_IDS {
        let text = format!("an account has at most {MAX_CALLER_IDS} caller IDs; delete one first");
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    Ok((number, name))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let (phone_number, friendly_name) = wanted(context, account).await?;
    let caller_id = new(account.sid, phone_number, friendly_name);
    let added = context
        .state
        .store
        .insert_caller_id(caller_id.clone())
        .await;
    match added {
        Ok(()) => Ok(context.show(&CALLER_ID, &caller_id)),
        Err(StoreError::Duplicate(_)) => Err(Failure::of(error::CALLER_ID_EXISTS)),
        Err(error) => Err(error.into()),
    }
}

fn new(account: model::AccountSid, phone_number: String, friendly_name: String) -> CallerId {
    let now = now();
    CallerId {
        sid: NumberSid::new(now, rand::random()),
        account,
        friendly_name,
        phone_number,
        created: now,
        updated: now,
    }
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<Option<CallerId>, Failure> {
    let Ok(sid) = sid.parse() else {
        return Ok(None);
    };
    Ok(owned(account, context.state.store.caller_id(sid).await?))
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    Ok(context.show(&CALLER_ID, &found))
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let found = find(context, account, sid).await?;
        let mut caller_id = found.ok_or_else(Failure::not_found)?;
        if let Some(name) = context.params.name("FriendlyName")? {
            caller_id.friendly_name = name;
        }
        let read = caller_id.updated;
        caller_id.updated = after(read);
        let store = &context.state.store;
        if store.update_caller_id(caller_id.clone(), read).await? {
            return Ok(context.show(&CALLER_ID, &caller_id));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let deleted = match find(context, account, sid).await? {
        Some(found) => context.state.store.delete_caller_id(found.sid).await?,
        None => false,
    };
    // As in Restcomm, which does not look whether there was one.
    if deleted || context.dialect.pick([true, false]) {
        return Ok(Reply::Nothing);
    }
    Err(Failure::not_found())
}
