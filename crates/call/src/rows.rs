//! Fetches the rows that a routing decision needs.

use call_proto::routing::{Numbers, Rows, Standing, Want};
use store::StoreError;

use crate::engine::Shared;

/// Calls `decide` until it needs no more rows.
pub(crate) async fn settle<T>(
    shared: &Shared,
    decide: impl Fn(&Rows) -> Result<T, Want>,
) -> Result<T, StoreError> {
    let mut rows = Rows::default();
    loop {
        match decide(&rows) {
            Ok(decision) => return Ok(decision),
            Err(want) => fetch(shared, want, &mut rows).await?,
        }
    }
}

async fn fetch(shared: &Shared, want: Want, rows: &mut Rows) -> Result<(), StoreError> {
    let store = &shared.parts.store;
    match want {
        Want::Client(organization, login) => {
            let client = store.client_in(organization, &login).await?;
            rows.add_client(organization, login, client);
        }
        Want::Limits(account) => {
            let profile = store.profile_of(account).await?;
            rows.add_limits(account, profile.limits.clone());
        }
        Want::Numbers {
            organization,
            dialled,
            spellings,
        } => {
            let found = store
                .number_candidates(Some(organization), &spellings)
                .await?;
            let numbers = Numbers {
                exact: found.exact,
                patterns: found.patterns,
                any: found.any,
            };
            rows.add_numbers((organization, dialled), &spellings, numbers);
        }
        Want::Account(sid) => {
            let account = store.account(sid).await?;
            let standing = account.map(|account| Standing {
                status: account.status,
                parent: account.parent,
                is_test: account.is_test,
            });
            rows.add_account(sid, standing);
        }
        Want::Mask { number, from } => {
            let now = crate::now();
            let mut found = store.mask_arrival(number, from.as_deref(), now).await?;
            if let Some(found) = &mut found {
                let query = masking::pin_query(number);
                let signature = store.key().sign(masking::PIN, &query);
                let base = &shared.config.public_base;
                let path = masking::PIN_PATH;
                found.pin_address = format!("{base}{path}?{query}&Signature={signature}");
            }
            rows.add_mask(number, found);
        }
        Want::Turn { session, limit } => {
            let is_allowed = store.take_mask_turn(session, limit, crate::now()).await?;
            rows.add_turn(session, is_allowed);
        }
        Want::Application(sid) => {
            let application = store.application(sid).await?;
            rows.add_application(sid, application);
        }
    }
    Ok(())
}
