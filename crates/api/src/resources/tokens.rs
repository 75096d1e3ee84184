//! `/Accounts/{sid}/AuthTokens`: changes the token of an account without failing requests.
//!
//! **Invariant: a valid token stays valid until it is deleted.** Creating a second one, making it
//! the primary, and deleting the other are three steps; between them both are valid for the API and
//! both sign requests to applications.

use model::record::Account;
use model::{AccountSid, AccountStatus, error};
use store::SecondaryToken;
use store::credentials::random_token;

use crate::common;
use crate::context::{Answer, Context, Reply, now};
use crate::failure::Failure;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, RESTCOMM, Route};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Account>] = &[
    common::account_sid(|a, _| Value::text(a.sid)),
    field(
        "auth_token",
        "AuthToken",
        Kind::Text,
        Null::Never,
        "Token for this API and for signatures.",
        |a: &Account, _| Value::text(&a.auth_token),
    )
    .secret(),
    field(
        "secondary_auth_token",
        "SecondaryAuthToken",
        Kind::Text,
        Null::Absent,
        "Secondary token, valid while tokens are rotated.",
        |a: &Account, _| Value::maybe(a.secondary_token.as_deref()),
    )
    .secret(),
    common::date_created(|a, _| Value::Date(a.created)),
    common::date_updated(|a, _| Value::Date(a.updated)),
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
        .refuses(IN_USE)
        .status([204, 204])
        .doc("Deletes the secondary token."),
    Route::post(PROMOTE, |c, a, _| Box::pin(promote(c, a)))
        .within(RESTCOMM)
        .needs(Action::Modify, "Accounts")
        .answers(Answers::One(&TOKENS))
        .doc("Swaps the primary and the secondary token."),
];

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    may_write(context, account)?;
    let (store, token) = (&context.state.store, random_token());
    let added = store.add_secondary_token(account.sid, &token, now());
    if added.await? {
        return shown(context, account.sid).await;
    }
    let text = "there is already a secondary token: promote it or delete it first";
    Err(refused(context, account.sid, text).await)
}

async fn delete(context: &Context<'_>, account: &Account) -> Answer {
    let secondary = secondary(context, account).await?;
    let store = &context.state.store;
    let deleted = store.delete_secondary_token(account.sid, secondary, now());
    if deleted.await? {
        return Ok(Reply::Nothing);
    }
    Err(refused(context, account.sid, CHANGED).await)
}

async fn promote(context: &Context<'_>, account: &Account) -> Answer {
    let secondary = secondary(context, account).await?;
    let store = &context.state.store;
    let promoted = store.promote_token(account.sid, secondary, now());
    if promoted.await? {
        return shown(context, account.sid).await;
    }
    Err(refused(context, account.sid, CHANGED).await)
}

/// Another request was faster: repeating this one might do the opposite of what was meant.
const CHANGED: &str = "another request has changed the secondary token meanwhile";

/// The secondary token as it is now, whatever was known of the account before.
async fn secondary(context: &Context<'_>, account: &Account) -> Result<SecondaryToken, Failure> {
    may_write(context, account)?;
    let found = context.state.store.secondary_token(account.sid).await?;
    found.ok_or_else(|| Failure::not_found().saying("there is no secondary token"))
}

fn may_write(context: &Context<'_>, account: &Account) -> Result<(), Failure> {
    if account.sid != context.caller.sid && !context.is_administrator() {
        return Err(Failure::forbidden());
    }
    if account.status == AccountStatus::Closed {
        return Err(Failure::of(error::ACCOUNT_NOT_ACTIVE));
    }
    Ok(())
}

/// Why a change had no effect: the account is closed, or else `conflict`.
async fn refused(context: &Context<'_>, sid: AccountSid, conflict: &str) -> Failure {
    match context.state.store.account(sid).await {
        Ok(Some(account)) if account.status != AccountStatus::Closed => {
            Failure::of(error::CONFLICT).saying(conflict)
        }
        Ok(_) => Failure::of(error::ACCOUNT_NOT_ACTIVE),
        Err(error) => error.into(),
    }
}

async fn shown(context: &Context<'_>, sid: AccountSid) -> Answer {
    let account = context.state.store.account(sid).await?;
    let account = account.ok_or_else(Failure::not_found)?;
    Ok(context.show(&TOKENS, &account))
}
