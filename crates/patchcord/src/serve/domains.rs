//! Keeps the SIP side up to date with the domains of the organizations.
//!
//! Any server that shares the database may have changed them, so they are read every few seconds; it is one small
//! statement. Left to others: what the domains mean.

use std::time::Duration;

use model::{OrganizationSid, OrganizationStatus};
use sip::Sip;
use store::{Store, StoreError};
use tokio::sync::watch;
use tracing::{info, warn};

/// How often it looks.
const ROUND: Duration = Duration::from_secs(2);

pub(super) struct Domains {
    pub(super) store: Store,
    pub(super) sip: Sip,
    /// The organization whose domain is in the configuration of the SIP side.
    pub(super) first: OrganizationSid,
    /// The domains that the SIP side knows.
    pub(super) known: Vec<String>,
}

impl Domains {
    /// Reads the domains once.
    ///
    /// # Errors
    /// As reported by the database.
    pub(super) async fn update(&mut self) -> Result<(), StoreError> {
        let active = Some(OrganizationStatus::Active);
        let organizations = self.store.organizations(active).await?.into_iter();
        let others = organizations.filter(|organization| organization.sid != self.first);
        let domains: Vec<String> = others
            .map(|organization| organization.domain_name)
            .collect();
        if domains != self.known {
            info!(
                count = domains.len(),
                "serving the domains of further organizations"
            );
            self.sip.set_more_domains(domains.clone());
            self.known = domains;
        }
        Ok(())
    }

    /// Runs until the server stops.
    pub(super) async fn follow(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(ROUND) => {}
            }
            if let Err(error) = self.update().await {
                warn!(%error, "the domains of the organizations cannot be read");
            }
        }
    }
}

#[cfg(test)]
mod tests;
