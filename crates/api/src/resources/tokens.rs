//! `/Accounts/{sid}/AuthTokens`: changing the token of an account without a moment when requests
//! fail.
//!
//! **Invariant: a token that is live stays so until it is deleted.** Making a second one, letting it
//! lead, and deleting the other are three steps; between them both are good for the API and both
//! sign what goes to applications.

use model::record::Account;
use model::{AccountStatus, error};
use store::credentials::random_token;

use crate::context::{Answer, Context, Reply, Verb, now};
use crate::failure::Failure;
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Account>] = &[
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(a.sid),
    ),
    field(
        "auth_token",
        "AuthToken",
        Kind::Text,
        Null::Absent,
        |a, _| Value::text(&a.auth_token),
    ),
    field(
        "secondary_auth_token",
        "SecondaryAuthToken",
        Kind::Text,
        Null::Absent,
        |a, _| Value::maybe(a.secondary_token.as_deref()),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |a, _| Value::Date(a.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |a, _| Value::Date(a.updated),
    ),
];

const TOKENS: Resource<Account> = Resource {
    xml: "AuthTokens",
    xml_list: "AuthTokens",
    fields: FIELDS,
};

/// The second token: made, or deleted.
pub(crate) async fn secondary(context: &Context<'_>, id: &str) -> Answer {
    match context.verb {
        Verb::Post => create(context, id).await,
        Verb::Delete => delete(context, id).await,
        Verb::Get | Verb::Put | Verb::Other => Err(Failure::method("POST, DELETE")),
    }
}

async fn create(context: &Context<'_>, id: &str) -> Answer {
    let mut account = writable(context, id).await?;
    if account.secondary_token.is_some() {
        let text = "there is a secondary token already: promote it or delete it first";
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    account.secondary_token = Some(random_token());
    keep(context, account).await
}

async fn delete(context: &Context<'_>, id: &str) -> Answer {
    let mut account = writable(context, id).await?;
    account.secondary_token.take().ok_or_else(missing)?;
    keep(context, account).await?;
    Ok(Reply::Empty(http::StatusCode::NO_CONTENT))
}

/// The second token leads from now on; the one before is the second.
pub(crate) async fn promote(context: &Context<'_>, id: &str) -> Answer {
    if context.verb != Verb::Post {
        return Err(Failure::method("POST"));
    }
    let mut account = writable(context, id).await?;
    let promoted = account.secondary_token.take().ok_or_else(missing)?;
    account.secondary_token = Some(std::mem::replace(&mut account.auth_token, promoted));
    keep(context, account).await
}

fn missing() -> Failure {
    Failure::not_found().saying("there is no secondary token")
}

async fn writable(context: &Context<'_>, id: &str) -> Result<Account, Failure> {
    let account = context.operate(id, Action::Modify, "Accounts").await?;
    if account.sid != context.caller.sid && !context.is_administrator() {
        return Err(Failure::forbidden());
    }
    if account.status == AccountStatus::Closed {
        return Err(Failure::of(error::ACCOUNT_NOT_ACTIVE));
    }
    Ok((*account).clone())
}

async fn keep(context: &Context<'_>, mut account: Account) -> Answer {
    account.updated = now();
    context.state.store.update_account(account.clone()).await?;
    Ok(context.show(&TOKENS, &account))
}
