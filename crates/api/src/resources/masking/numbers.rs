//! The numbers of pools.

use ::masking::PoolNumber;
use model::record::{Account, Number};
use model::{NumberSid, error, number};
use store::StoreError;

use super::{KIND, OF_SERVICE, PAGES, is_below, item, named, service_of, shown_service, text, url};
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::dialect::Each;
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, Is, Param, RESTCOMM, Route, TWILIO, param, sid};
use crate::value::{Field, Kind, Null, Resource, Value};

const FIELDS: &[Field<PoolNumber>] = &[
    text(
        ["sid", "sid"],
        "Identifier: that of the account's number.",
        |n, _| Value::text(n.sid),
    ),
    text(
        ["accountSid", "account_sid"],
        "Account that owns it.",
        |n, _| Value::text(n.account),
    ),
    text(
        ["applicationSid", "service_sid"],
        "The service whose pool it is in.",
        |n, view| shown_service(view, n.service),
    ),
    text(["phoneNumber", "phone_number"], "The number.", |n, _| {
        Value::text(&n.phone_number)
    }),
    text(["friendlyName", "friendly_name"], "The number.", |n, _| {
        Value::text(&n.phone_number)
    }),
    named(
        ["reserved", "is_reserved"],
        Kind::Flag,
        Null::Never,
        "Whether it is given only to participants for whom it is requested.",
        |n, _| Value::Flag(n.is_reserved),
    ),
    named(
        ["inUse", "in_use"],
        Kind::Number,
        Null::Never,
        "How many participants of open sessions have it.",
        |n, _| Value::Number(n.in_use),
    ),
    named(
        ["dateCreated", "date_created"],
        Kind::Date,
        Null::Never,
        "When it was added.",
        |n, _| Value::Date(n.created),
    ),
    named(
        ["dateUpdated", "date_updated"],
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |n, _| Value::Date(n.updated),
    ),
    text(["uri", "url"], "Its address.", |n, view| {
        let paths = [
            format!("/phonenumbers/search/{}", n.sid),
            format!("/Services/{}/PhoneNumbers/{}", n.service, n.sid),
        ];
        Value::Text(url(view, &view.dialect.pick(paths)))
    }),
];

static NUMBER: Resource<PoolNumber> = Resource {
    xml: ["MaskingNumber", "ProxyPhoneNumber"],
    xml_list: ["MaskingNumbers", "ProxyPhoneNumbers"],
    json_list: ["phoneNumbers", "phone_numbers"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Services/{service}/PhoneNumbers"];
const ONE: &[&str] = &["/Services/{service}/PhoneNumbers/{number}"];
const ADD: &[&str] = &["/phonenumbers"];
const SEARCH: &[&str] = &["/phonenumbers/search"];
const FOUND: &[&str] = &["/phonenumbers/search/{number}"];
const CHANGE: &[&str] = &["/phonenumbers/{number}"];

/// Statuses of refusals to add a number.
const ADDING: Each<&[u16]> = [&[404], &[404]];

/// The routes of pools.
pub(super) static ROUTES: &[Route] = &[
    Route::get(SEARCH, |c, a, _| Box::pin(list(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .params(&[&[OF_SERVICE.required()], PAGES])
        .answers(Answers::Page(&NUMBER))
        .refuses(ADDING)
        .doc("Lists the pool of an application, the newest numbers first."),
    Route::get(FOUND, |c, a, path| Box::pin(get(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&NUMBER))
        .doc("Reads a number of a pool."),
    Route::post(ADD, |c, a, _| Box::pin(create(c, a, "")))
        .within(RESTCOMM)
        .needs(Action::Create, KIND)
        .params(&[&[OF_SERVICE.required()], NEW])
        .answers(Answers::One(&NUMBER))
        .refuses(ADDING)
        .doc("Adds a number of the account to the pool of an application."),
    Route::put(CHANGE, |c, a, path| Box::pin(update(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Modify, KIND)
        .params(&[RESERVED])
        .answers(Answers::One(&NUMBER))
        .doc("Reserves a number, or no longer."),
    Route::delete(CHANGE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(RESTCOMM)
        .needs(Action::Delete, KIND)
        .refuses(IN_USE)
        .doc("Releases a number, unless an open context uses it."),
    Route::get(LIST, |c, a, path| Box::pin(list(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .params(&[PAGES])
        .answers(Answers::Page(&NUMBER))
        .doc("Lists the pool of a service, the newest numbers first."),
    Route::post(LIST, |c, a, path| Box::pin(create(c, a, path)))
        .within(TWILIO)
        .needs(Action::Create, KIND)
        .params(&[NEW])
        .answers(Answers::One(&NUMBER))
        .status([200, 201])
        .doc("Adds a number of the account to the pool of a service."),
    Route::get(ONE, |c, a, path| Box::pin(get(c, a, path)))
        .within(TWILIO)
        .needs(Action::Read, KIND)
        .answers(Answers::One(&NUMBER))
        .doc("Reads a number of a pool."),
    Route::post(ONE, |c, a, path| Box::pin(update(c, a, path)))
        .within(TWILIO)
        .needs(Action::Modify, KIND)
        .params(&[RESERVED])
        .answers(Answers::One(&NUMBER))
        .doc("Reserves a number, or no longer."),
    Route::delete(ONE, |c, a, path| Box::pin(delete(c, a, path)))
        .within(TWILIO)
        .needs(Action::Delete, KIND)
        .refuses(IN_USE)
        .doc("Takes a number out of a pool, unless an open session uses it."),
];

const NEW: &[Param] = &[
    param(
        "sid",
        Is::Sid(sid::<NumberSid>),
        "Identifier of the account's number.",
    )
    .within(RESTCOMM),
    param(
        "phoneNumber",
        Is::Party,
        "The account's number, instead of its identifier.",
    )
    .within(RESTCOMM),
    param(
        "reserved",
        Is::Flag,
        "Whether it is given only to participants for whom it is requested; `false` if not given.",
    )
    .within(RESTCOMM),
    param(
        "Sid",
        Is::Sid(sid::<NumberSid>),
        "Identifier of the account's number.",
    )
    .within(TWILIO),
    param(
        "PhoneNumber",
        Is::Party,
        "The account's number, instead of its identifier.",
    )
    .within(TWILIO),
    param(
        "IsReserved",
        Is::Flag,
        "Whether it is given only to participants for whom it is requested; `false` if not given.",
    )
    .within(TWILIO),
];
const RESERVED: &[Param] = super::both! {
    "reserved" | "IsReserved": Is::Flag,
    "Whether it is given only to participants for whom it is requested.";
};

async fn list(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, path).await?;
    let page = Page::read(context)?;
    let store = &context.state.store;
    let mut rows = store.mask_numbers(&service, &page.window()).await?;
    for number in &mut rows.items {
        number.in_use = store.mask_uses(number.sid, now()).await?;
    }
    let at = [
        "/phonenumbers/search".to_owned(),
        format!("/Services/{}/PhoneNumbers", service.sid),
    ];
    let at = context.dialect.pick(at);
    page.show(context, &NUMBER, &at, rows, |number| {
        row_key(number.created, number.sid)
    })
}

async fn find(context: &Context<'_>, account: &Account, path: &str) -> Result<PoolNumber, Failure> {
    let sid: NumberSid = item(path).parse().map_err(|_| Failure::not_found())?;
    let store = &context.state.store;
    let found = owned(account, store.mask_number(sid).await?);
    let found = found.filter(|found| is_below(path, found.service, None));
    let mut found = found.ok_or_else(Failure::not_found)?;
    found.in_use = store.mask_uses(sid, now()).await?;
    Ok(found)
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let found = find(context, account, path).await?;
    Ok(context.show(&NUMBER, &found))
}

async fn create(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let service = service_of(context, account, path).await?;
    let own = own_number(context, account).await?;
    let (phone_number, now) = (own.phone_number, now());
    if number::e164(&phone_number).as_deref() != Some(phone_number.as_str()) {
        let name = context.dialect.pick(["phoneNumber", "PhoneNumber"]);
        let reason = format!("`{phone_number}` is not a number with `+` and country code");
        return Err(Failure::parameter(name, &reason));
    }
    let reserved = context.dialect.pick(["reserved", "IsReserved"]);
    let new = PoolNumber {
        sid: own.sid,
        account: account.sid,
        service: service.sid,
        phone_number,
        is_reserved: context.params.flag(reserved)?.unwrap_or(false),
        in_use: 0,
        created: now,
        updated: now,
    };
    match context.state.store.insert_mask_number(&new).await {
        Ok(()) => Ok(context.show(&NUMBER, &new)),
        Err(StoreError::Duplicate(_)) => {
            let text = format!("{} is in the pool of a service already", new.phone_number);
            Err(Failure::of(error::CONFLICT).saying(text))
        }
        Err(other) => Err(other.into()),
    }
}

/// The number of the account that a request names.
async fn own_number(context: &Context<'_>, account: &Account) -> Result<Number, Failure> {
    let (params, store) = (&context.params, &context.state.store);
    let names = context
        .dialect
        .pick([["sid", "phoneNumber"], ["Sid", "PhoneNumber"]]);
    let [by_sid, by_number] = names;
    if let Some(Some(sid)) = params.sid::<NumberSid>(by_sid)? {
        let found = owned(account, store.number(sid).await?);
        return found.ok_or_else(|| {
            Failure::parameter(by_sid, "the account has no number with this identifier")
        });
    }
    let Some(text) = params.filled(by_number) else {
        let reason = format!("name a number of the account, by this or by {by_number}");
        return Err(Failure::parameter(by_sid, &reason));
    };
    let spellings = number::candidates(&number::plain(text.trim()));
    let found = store.number_candidates(None, &spellings).await?;
    let own = found.exact.iter().find(|one| one.account == account.sid);
    own.map(|own| (**own).clone()).ok_or_else(|| {
        let reason = format!("the account has no number `{}`", shown(text));
        Failure::parameter(by_number, &reason)
    })
}

async fn update(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let name = context.dialect.pick(["reserved", "IsReserved"]);
    for _ in 0..ATTEMPTS {
        let mut number = find(context, account, path).await?;
        if let Some(reserved) = context.params.flag(name)? {
            number.is_reserved = reserved;
        }
        let read = number.updated;
        number.updated = after(read);
        let store = &context.state.store;
        if store.update_mask_number(&number, read).await? {
            return Ok(context.show(&NUMBER, &number));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let number = find(context, account, path).await?;
    let store = &context.state.store;
    if store.delete_mask_number(number.sid, now()).await? {
        return Ok(Reply::Nothing);
    }
    if store.mask_number(number.sid).await?.is_none() {
        return Err(Failure::not_found());
    }
    let in_use = store.mask_uses(number.sid, now()).await?;
    let text = format!(
        "{} is the mask of {in_use} participants of open sessions; reserve it, and remove it when they are closed",
        number.phone_number
    );
    Err(Failure::of(error::MASK_IN_USE).saying(text))
}
