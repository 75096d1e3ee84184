//! `/Accounts/{sid}/AuthTokens`: changes the token of an account without failing requests.
//!
//! **Invariant: a valid token stays valid until it is deleted.** Creating a second one, making it
//! the primary, and deleting the other are three steps; between them both are valid for the API and
//! both sign requests to applications.

use model::record::Account;
use model::{AccountStatus, error};
use store::credentials::random_token;

use crate::context::{Answer, Context, Reply, now};
use crate::failure::Failure;
use crate::roles::Action;
use crate::route::{Answers, RESTCOMM, Route};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Account>] = &[
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |a, _| Value::text(a.sid),
    ),
    field(
        "auth_token",
        "AuthToken",
        Kind::Text,
        Null::Never,
        "Token for this API and for signatures.",
        |a, _| Value::text(&a.auth_token),
    ),
    field(
        "secondary_auth_token",
        "SecondaryAuthToken",
        Kind::Text,
        Null::Absent,
        "Secondary token, valid while tokens are rotated.",
        |a, _| Value::maybe(a.secondary_token.as_deref()),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
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
];

static TOKENS: Resource<Account> = Resource {
    xml: ["AuthTokens", "AuthTokens"],
    xml_list: ["AuthTokens", "AuthTokens"],
    json_list: ["auth_tokens", "auth_tokens"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

const SECONDARY: &[&str] = &["/Accounts/{account}/AuthTokens/Secondary"];
const PROMOTE: &[&str] = &["/Accounts/{account}/AuthTokens/Promote"];

/// The routes of tokens.
pub(crate) static ROUTES: &[Route] = &[
    Route::post(SECONDARY, |c, a, _| Box::pin(create(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Accounts")
        .answers(Answers::One(&TOKENS))
        .doc("Creates a secondary token."),
    Route::delete(SECONDARY, |c, a, _| Box::pin(delete(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Accounts")
        .status([204, 204])
        .doc("Deletes the secondary token."),
    Route::post(PROMOTE, |c, a, _| Box::pin(promote(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Accounts")
        .answers(Answers::One(&TOKENS))
        .doc("Swaps the primary and the secondary token."),
];

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let mut account = writable(context, account)?;
    if account.secondary_token.is_some() {
        let text = "there is already a secondary token: promote it or delete it first";
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    account.secondary_token = Some(random_token());
    keep(context, account).await
}

async fn delete(context: &Context<'_>, account: &Account) -> Answer {
    let mut account = writable(context, account)?;
    account.secondary_token.take().ok_or_else(missing)?;
    keep(context, account).await?;
    Ok(Reply::Nothing)
}

async fn promote(context: &Context<'_>, account: &Account) -> Answer {
    let mut account = writable(context, account)?;
    let promoted = account.secondary_token.take().ok_or_else(missing)?;
    account.secondary_token = Some(std::mem::replace(&mut account.auth_token, promoted));
    keep(context, account).await
}

fn missing() -> Failure {
    Failure::not_found().saying("there is no secondary token")
}

fn writable(context: &Context<'_>, account: &Account) -> Result<Account, Failure> {
    if account.sid != context.caller.sid && !context.is_administrator() {
        return Err(Failure::forbidden());
    }
    if account.status == AccountStatus::Closed {
        return Err(Failure::of(error::ACCOUNT_NOT_ACTIVE));
    }
    Ok(account.clone())
}

async fn keep(context: &Context<'_>, mut account: Account) -> Answer {
    account.updated = now();
    context.state.store.update_account(account.clone()).await?;
    Ok(context.show(&TOKENS, &account))
}
