//! What ends by itself: interactions whose calls or messages are over, sessions whose time is, and what is kept of both.
//!
//! **Invariant: an interaction is reported once**: its callback is stored in the transaction that stores its end, whichever server
//! sees first that its calls or messages are over.

use std::time::Duration;

use ::masking::{Interaction, Settings, report};
use model::record::Callback;
use model::{CallSid, EventSid, HttpMethod, Lane, MessageSid, Timestamp};
use store::{Store, StoreError};

use crate::context::now;

/// Services that are read together.
const PAGE: i64 = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Ends interactions whose calls or messages are over, and sessions whose time is.
///
/// - `deliver`: gets each callback once it is stored
///
/// # Errors
/// As reported by the database.
pub async fn end_interactions(
    store: &Store,
    deliver: &(dyn Fn(Callback) + Sync),
) -> Result<(), StoreError> {
    let now = now();
    loop {
        let found = store.interactions_to_end(now).await?;
        let is_empty = found.is_empty();
        for ended in found {
            let callback = callback(store, &ended.0, now).await?;
            if store.end_interaction(&ended, callback.as_ref()).await?
                && let Some(callback) = callback
            {
                deliver(callback);
            }
        }
        if is_empty {
            break;
        }
    }
    store.close_expired_sessions(now).await.map(drop)
}

async fn callback(
    store: &Store,
    one: &Interaction,
    now: Timestamp,
) -> Result<Option<Callback>, StoreError> {
    let Some(service) = store.mask_service(one.service).await? else {
        return Ok(None);
    };
    let Settings {
        callback_url,
        author,
        ..
    } = service.settings;
    if callback_url.is_empty() {
        return Ok(None);
    }
    let call: Option<CallSid> = one.inbound.parse().ok();
    let message: Option<MessageSid> = one.inbound.parse().ok();
    let lane = call.map(Lane::from).or(message.map(Lane::from));
    let lane = lane.unwrap_or_else(|| one.account.into());
    Ok(Some(Callback {
        event: EventSid::new(now, rand::random()),
        account: one.account,
        author: author.unwrap_or(one.account),
        lane,
        call,
        sequence: store.next_sequence(lane).await?,
        url: callback_url,
        method: HttpMethod::Post,
        params: report(one),
        created: now,
    }))
}

/// Deletes sessions that have been closed for as long as their services keep them.
///
/// # Errors
/// As reported by the database.
pub(crate) async fn forget_old_sessions(store: &Store) -> Result<(), StoreError> {
    let now = now();
    let days = |days: i64| DAY.saturating_mul(u32::try_from(days).unwrap_or(1));
    let mut last = None;
    loop {
        let page = store.all_mask_services(last.as_ref(), PAGE).await?;
        for service in &page {
            let before = now - days(service.settings.retention_days);
            store.forget_mask_sessions(Some(service), before).await?;
        }
        match page.into_iter().last() {
            Some(service) => last = Some(service),
            None => break,
        }
    }
    let before = now - days(Settings::default().retention_days);
    store.forget_mask_sessions(None, before).await
}
