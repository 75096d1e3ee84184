//! Ends what must not go on while the server runs: calls that another server has closed on record, what
//! closed accounts left behind, what has rested in the bin long enough, kept answers to requests of the API, and old
//! entries of its audit log. It also has usage triggers fire, and ends calls and texts between masked numbers on record.

use std::path::PathBuf;
use std::time::Duration;

use call::Engine;
use store::{Retention, Store, StoreError};
use tokio::sync::watch;
use tracing::warn;
use webhook::Callbacks;

use super::calls::LiveCalls;

/// How often it looks.
const ROUND: Duration = Duration::from_secs(15);
/// How often it looks for calls and texts between masked numbers that are over.
const MASKED_ROUND: Duration = Duration::from_secs(2);
/// How many rounds pass before it looks for rows that need not be kept any more.
const ROUNDS_OF_OLD_ROWS: u32 = 40;
/// How many rounds pass, after the first, before it looks for what accounts keep only for a time: less than an hour.
const ROUNDS_OF_RETENTION: u32 = 200;

pub(super) struct Caretaker {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) callbacks: Callbacks,
    pub(super) recordings: PathBuf,
    /// How long what was deleted rests in the bin.
    pub(super) bin_lifetime: Duration,
    /// How long accounts keep data for which they have set nothing.
    pub(super) retention: Retention,
}

impl Caretaker {
    /// Runs until the server stops.
    pub(super) async fn walk(self, stopped: watch::Receiver<bool>) {
        // A long cleaning delays nothing that callers or applications wait for.
        tokio::join!(
            self.watch(stopped.clone()),
            self.mask(stopped.clone()),
            self.clean(stopped)
        );
    }

    /// Ends lost calls, and has usage triggers fire.
    async fn watch(&self, mut stopped: watch::Receiver<bool>) {
        while waits(&mut stopped, ROUND).await {
            if self.store.is_shared()
                && let Err(error) = self.engine.end_lost_calls().await
            {
                warn!(%error, "calls that other servers have closed cannot be looked up");
            }
            let deliver = |callback| self.callbacks.deliver(callback);
            if let Err(error) = api::fire_usage_triggers(&self.store, &deliver).await {
                warn!(%error, "usage triggers could not be compared with what was used");
            }
        }
    }

    /// Ends interactions between masked numbers whose calls or texts are over, and sessions whose time is.
    async fn mask(&self, mut stopped: watch::Receiver<bool>) {
        let mut fails = false;
        while waits(&mut stopped, MASKED_ROUND).await {
            let deliver = |callback| self.callbacks.deliver(callback);
            let ended = api::end_interactions(&self.store, &deliver).await;
            if let Err(error) = &ended
                && !fails
            {
                warn!(%error, "interactions between masked numbers could not be ended; this is tried again");
            }
            fails = ended.is_err();
        }
    }

    /// Removes what need not be kept.
    async fn clean(&self, mut stopped: watch::Receiver<bool>) {
        if let Err(error) = api::finish_removals(&self.store, &self.recordings).await {
            warn!(%error, "removals of recordings that an earlier run began could not be completed");
        }
        let mut left = None;
        let mut rounds = 0_u32;
        while waits(&mut stopped, ROUND).await {
            if rounds.is_multiple_of(ROUNDS_OF_OLD_ROWS)
                && let Err(error) = api::forget_old_rows(&self.store).await
            {
                warn!(%error, "kept answers and entries of the audit log that are old could not be removed");
            }
            rounds = rounds.wrapping_add(1);
            if rounds % ROUNDS_OF_RETENTION == 1
                && let Err(error) = self.keep_only_recent().await
            {
                warn!(%error, "what accounts keep only for a time could not be removed");
            }
            let before = crate::now() - self.bin_lifetime;
            if let Err(error) = api::empty_bin(&self.store, &self.recordings, before).await {
                warn!(%error, "expired items in the bin could not be deleted");
            }
            match self.clear().await {
                Ok(now) => {
                    if let Some((count, why)) = now.as_ref().filter(|_| now != left) {
                        warn!(
                            count,
                            why, "recordings of closed accounts cannot be removed here"
                        );
                    }
                    left = now;
                }
                Err(error) => {
                    warn!(%error, "what closed accounts left behind could not be removed");
                }
            }
        }
    }

    async fn keep_only_recent(&self) -> Result<(), StoreError> {
        api::apply_retention(&self.store, &self.recordings, &self.retention, crate::now()).await
    }

    async fn clear(&self) -> Result<Option<(i64, String)>, StoreError> {
        let calls = LiveCalls(self.engine.clone());
        api::clear_closed_accounts(&self.store, &calls, &self.recordings, None).await
    }
}

/// Waits for the next round; `false` once the server stops.
pub(super) async fn waits(stopped: &mut watch::Receiver<bool>, round: Duration) -> bool {
    tokio::select! {
        _ = stopped.changed() => false,
        () = tokio::time::sleep(round) => true,
    }
}
