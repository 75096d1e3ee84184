//! Closes the calls that a server which is gone left open.

use anyhow::Result;
use model::Timestamp;
use sip::{DialogSnapshot, Sip};
use store::{Change, Orphan, Store};
use tracing::{info, warn};

/// Hangs up the dialogs and writes the final records.
pub(super) async fn close_orphans(store: &Store, sip: &Sip) -> Result<()> {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    let orphans = store.orphans(Timestamp::from_unix(since)).await?;
    if orphans.is_empty() {
        return Ok(());
    }
    info!(
        calls = orphans.len(),
        "closing calls that an earlier run left open"
    );
    for Orphan { record, dialog } in orphans {
        let sid = record.sid;
        store
            .commit(vec![Change::OrphanClosed(Box::new(record))])
            .await?;
        match dialog
            .as_deref()
            .map(serde_json::from_str::<DialogSnapshot>)
        {
            Some(Ok(dialog)) => sip.hang_up(dialog),
            Some(Err(error)) => {
                warn!(call.sid = %sid, %error, "the dialog cannot be read; no BYE is sent")
            }
            None => {}
        }
    }
    Ok(())
}
