//! `/v2/Services` and what belongs to them: verifications, as in Twilio's Verify.
//!
//! They belong to the account of the caller. What a service allows is decided in the crate `verify`; that guesses are
//! counted before they are compared, in the store.

mod attempts;
pub(crate) mod delivery;
mod limits;
pub(crate) mod sending;
mod services;
mod verifications;

pub(crate) use verifications::{LIMITED, recipient};

use model::VerifyServiceSid;
use model::record::Account;
use verify::Service;

use crate::context::{Context, owned};
use crate::failure::Failure;
use crate::route::Route;

/// The tables of these resources, in the order in which paths are matched.
pub(crate) static ROUTES: &[&[Route]] = &[
    services::ROUTES,
    verifications::ROUTES,
    limits::ROUTES,
    attempts::ROUTES,
];

/// The kind of all of them in permissions.
pub(crate) const KIND: &str = "Verifications";

/// The service named in a path.
async fn service_of(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<Service, Failure> {
    let sid: VerifyServiceSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.verify_service(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

/// The address of a resource.
fn url(view: crate::value::View<'_>, path: &str) -> String {
    format!("{}/v2/{path}", view.public_base)
}
