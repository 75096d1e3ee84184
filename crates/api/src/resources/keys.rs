//! `/Accounts/{sid}/Keys`: credentials that an account gives to programs.
//!
//! **Invariant: a key never permits more than its account, and neither reads nor changes keys,
//! accounts or tokens**, so whoever has it cannot get any other credentials.

use model::record::{Account, ApiKey};
use model::{KeySid, Timestamp, error};
use store::credentials::random_token;
use store::digest_of_key;

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::shown;
use crate::resources;
use crate::roles::{Action, CLOSED_TO_KEYS};
use crate::route::{Answers, Is, PAGING, Param, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Maximum number of keys of an account.
const MAX_KEYS: i64 = 100;

/// A key, and its secret when it has just been made.
struct Shown {
    key: ApiKey,
    secret: Option<String>,
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier, which is the user name in HTTP Basic.",
        |s, _| Value::text(s.key.sid),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name to display.",
        |s, _| Value::text(&s.key.name),
    ),
    field(
        "secret",
        "Secret",
        Kind::Text,
        Null::Absent,
        "The password in HTTP Basic; only in the response that creates the key.",
        |s: &Shown, _| s.secret.as_ref().map_or(Value::Absent, Value::text),
    )
    .secret(),
    field(
        "permissions",
        "Permissions",
        Kind::Text,
        Null::Absent,
        "What it permits, as `Action:Kind`, separated by spaces; nothing means all that the account may do.",
        |s, _| Value::maybe(Some(&s.key.permissions).filter(|text| !text.is_empty())),
    ),
    field(
        "date_expires",
        "DateExpires",
        Kind::Date,
        Null::Absent,
        "When it expires.",
        |s, _| s.key.expires.map_or(Value::Null, Value::Date),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.key.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.key.updated),
    ),
];

static KEY: Resource<Shown> = Resource {
    xml: ["Key", "Key"],
    xml_list: ["Keys", "Keys"],
    json_list: ["keys", "keys"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Keys"];
const ONE: &[&str] = &["/Accounts/{account}/Keys/{sid}"];

/// The routes of keys.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Keys")
        .params(&[PAGING])
        .answers(Answers::Page(&KEY))
        .doc("Lists the API keys of an account, the newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Keys")
        .params(&[PROPERTIES])
        .answers(Answers::One(&KEY))
        .status([200, 201])
        .doc("Creates an API key; an account can have at most 100. Only this response shows its secret."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Keys")
        .answers(Answers::One(&KEY))
        .doc("Reads an API key."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Keys")
        .params(&[PROPERTIES])
        .answers(Answers::One(&KEY))
        .doc("Changes an API key, except its secret."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, "Keys")
        .doc("Deletes an API key; it is no longer accepted."),
];

const PROPERTIES: &[Param] = &[
    param("FriendlyName", Is::Text, "Name to display."),
    param(
        "Permissions",
        Is::Text,
        "What it permits: `Action:Kind`, as in the column `permission` of each resource's page, with `*` for all; separated by spaces or commas: `Read:*`, `*:Calls`. Empty for everything that the account may do. A key never permits `Accounts` or `Keys`.",
    ),
    param(
        "DateExpires",
        Is::Moment,
        "When it expires: a time, or the end of a day; empty for never.",
    ),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store.api_keys(account.sid, &page.window()).await?;
    let rows = store::Rows {
        items: rows.items.into_iter().map(bare).collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/Keys", account.sid);
    page.show(context, &KEY, &path, rows, |shown| {
        row_key(shown.key.created, shown.key.sid)
    })
}

fn bare(key: ApiKey) -> Shown {
    Shown { key, secret: None }
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<ApiKey, Failure> {
    let sid: KeySid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.api_key(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let key = find(context, account, sid).await?;
    Ok(context.show(&KEY, &bare(key)))
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let secret = random_token();
    let mut key = ApiKey {
        sid: KeySid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        secret_digest: digest_of_key(&secret),
        permissions: String::new(),
        expires: None,
        created: now,
        updated: now,
    };
    change(context, &mut key, now)?;
    let store = &context.state.store;
    if !store.insert_api_key(key.clone(), MAX_KEYS).await? {
        let text = format!("the account has {MAX_KEYS} keys; delete one that is not used any more");
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    let shown = Shown {
        key,
        secret: Some(secret),
    };
    Ok(context.show(&KEY, &shown))
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, key: &mut ApiKey, now: Timestamp) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.name("FriendlyName")? {
        key.name = name;
    }
    if params.get("Permissions").is_some() {
        let mut permissions: Vec<&str> = Vec::new();
        for permission in params.words("Permissions") {
            check_permission(permission)?;
            if !permissions.contains(&permission) {
                permissions.push(permission);
            }
        }
        key.permissions = permissions.join(" ");
    }
    if params.get("DateExpires").is_some() {
        key.expires = params.end_of_moment("DateExpires")?;
        if key.expires.is_some_and(|expires| expires <= now) {
            let reason = "it must be in the future; delete a key that is not to be used any more";
            return Err(Failure::parameter("DateExpires", reason));
        }
    }
    Ok(())
}

/// Refuses a permission that would permit nothing.
fn check_permission(permission: &str) -> Result<(), Failure> {
    let refused = |reason: String| Failure::parameter("Permissions", &reason);
    let form = || {
        let permission = shown(permission);
        refused(format!(
            "`{permission}` is not written `Action:Kind`, as in `Read:Calls`"
        ))
    };
    let (action, kind) = permission.split_once(':').ok_or_else(form)?;
    let actions = [Action::Create, Action::Read, Action::Modify, Action::Delete];
    if action != "*" && !actions.iter().any(|known| known.as_str() == action) {
        return Err(refused(format!(
            "`{}` is not one of Create, Read, Modify, Delete, *",
            shown(action)
        )));
    }
    if CLOSED_TO_KEYS.contains(&kind) {
        return Err(refused(format!("no key permits anything with `{kind}`")));
    }
    let mut routes = resources::all();
    if kind != "*" && !routes.any(|route| route.target == kind) {
        return Err(refused(format!(
            "`{}` is not a kind of resource",
            shown(kind)
        )));
    }
    Ok(())
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut key = find(context, account, sid).await?;
        change(context, &mut key, now())?;
        let read = key.updated;
        key.updated = after(read);
        let store = &context.state.store;
        if store.update_api_key(key.clone(), read).await? {
            return Ok(context.show(&KEY, &bare(key)));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let key = find(context, account, sid).await?;
    context.state.store.delete_api_key(key.sid).await?;
    Ok(Reply::Nothing)
}
