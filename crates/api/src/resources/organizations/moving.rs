//! Moves accounts and numbers to another organization.

use model::record::Account;
use model::{OrganizationSid, error};
use store::{Scope, StoreError};

use super::named;
use crate::context::{Answer, Context, Reply, now};
use crate::failure::Failure;
use crate::resources::accounts::ACCOUNT;

pub(super) async fn move_account(context: &Context<'_>, account: &Account) -> Answer {
    const NAME: &str = "Organization";
    let unmet = |reason: &str| {
        Failure::parameter(NAME, reason).with_status(http::StatusCode::PRECONDITION_FAILED)
    };
    let asked = context.params.filled(NAME);
    let asked = asked.ok_or_else(|| unmet("this parameter is required"))?;
    let to = named(context, asked).await?;
    let to = to.ok_or_else(|| unmet("there is no such organization"))?;
    if account.parent != Some(context.caller.sid) {
        let reason = "only an account directly below the one that makes the request can be moved";
        return Err(Failure::parameter(NAME, reason));
    }
    if account.organization == to.sid {
        let reason = "the account belongs to this organization already";
        return Err(Failure::parameter(NAME, reason));
    }
    let store = &context.state.store;
    let clients = store.clients(Scope::Tree(account.sid)).await?;
    let stale = clients
        .iter()
        .filter(|client| client.organization != to.sid);
    let stale = stale.count();
    let moved = store.move_accounts(account.sid, to.sid, now()).await;
    if !moved.map_err(|error| refused(NAME, error))? {
        return Err(Failure::not_found());
    }
    if stale > 0 {
        let text = format!(
            "{NAME}: {stale} clients were moved; each must get a new password before it can register, because passwords are bound to the domain, which is now `{}`",
            to.domain_name
        );
        context.warnings.add(error::REQUEST_WARNING, text);
    }
    let account = store.account(account.sid).await?;
    let account = account.ok_or_else(Failure::not_found)?;
    Ok(context.show(&ACCOUNT, &account))
}

pub(super) async fn move_numbers(context: &Context<'_>, account: &Account) -> Answer {
    const NAME: &str = "OrganizationSid";
    let asked: Option<OrganizationSid> = context.params.parsed(NAME, "an organization")?;
    let asked = asked.ok_or_else(|| Failure::parameter(NAME, "this parameter is required"))?;
    if account.parent.is_none() {
        let reason = "the numbers of an account without a parent cannot be moved";
        return Err(Failure::parameter(NAME, reason));
    }
    let store = &context.state.store;
    if store.organization(asked).await?.is_none() {
        return Err(Failure::not_found());
    }
    let moved = store.move_numbers(account.sid, asked, now()).await;
    moved.map_err(|error| refused(NAME, error))?;
    Ok(Reply::Nothing)
}

/// The answer if names of what was to be moved have other owners there.
fn refused(parameter: &str, error: StoreError) -> Failure {
    match error {
        StoreError::Duplicate(what) => Failure::of(error::CONFLICT).saying(format!(
            "{parameter}: {what} of something that would be moved exists there already"
        )),
        StoreError::Taken(_) => Failure::of(error::CONFLICT).saying(format!(
            "{parameter}: a login or number that would be moved belongs to another account there"
        )),
        error => error.into(),
    }
}
