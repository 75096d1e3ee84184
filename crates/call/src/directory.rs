//! Looks up clients for the SIP side.

use std::net::IpAddr;

use model::{OrganizationSid, RefusalReason};
use sip::{BindingSnapshot, Directory, DirectoryError, Secret};
use store::{Change, Store};

use crate::Refusals;

/// Looks up clients in the store.
#[derive(Clone)]
pub struct StoreDirectory {
    /// The store.
    pub store: Store,
    /// The organization whose clients register here.
    pub organization: OrganizationSid,
    /// Counts refused registrations.
    pub refusals: Refusals,
}

#[async_trait::async_trait]
impl Directory for StoreDirectory {
    async fn credentials(
        &self,
        login: &str,
        domain: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let failed = |error: store::StoreError| DirectoryError(error.to_string());
        let Some(client) = self
            .store
            .client_of_login(login, domain)
            .await
            .map_err(failed)?
        else {
            return Ok(None);
        };
        let account = self.store.account(client.account).await.map_err(failed)?;
        let active = account.is_some_and(|a| a.status == model::AccountStatus::Active);
        Ok((client.enabled && active).then(|| Secret {
            ha1_md5: client.ha1_md5.clone(),
            ha1_sha256: client.ha1_sha256.clone(),
        }))
    }

    async fn bindings_changed(
        &self,
        login: &str,
        bindings: Vec<BindingSnapshot>,
    ) -> Result<(), DirectoryError> {
        let failed = |error: &dyn std::fmt::Display| DirectoryError(error.to_string());
        let content = match bindings.as_slice() {
            [] => None,
            some => Some(serde_json::to_string(some).map_err(|error| failed(&error))?),
        };
        let change = Change::Registered {
            organization: self.organization,
            login: login.to_owned(),
            content,
        };
        let kept = self.store.commit(vec![change]).await;
        kept.map(|_| ()).map_err(|error| failed(&error))
    }

    fn refused(&self, source: IpAddr, login: &str) {
        self.refusals
            .note(source, RefusalReason::WrongPassword, login);
    }

    async fn bindings(&self) -> Result<Vec<(String, Vec<BindingSnapshot>)>, DirectoryError> {
        let kept = self.store.registered(self.organization).await;
        let kept = kept.map_err(|error| DirectoryError(error.to_string()))?;
        // A list that another release wrote in a different format is treated as missing.
        let read = |(login, content): (String, String)| {
            let bindings = serde_json::from_str(&content).unwrap_or_default();
            (login, bindings)
        };
        Ok(kept.into_iter().map(read).collect())
    }
}
