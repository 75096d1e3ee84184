//! Tells the SIP side who the clients are.

use sip::{Directory, DirectoryError, Secret};
use store::Store;

/// Clients out of the store.
#[derive(Clone)]
pub struct StoreDirectory(pub Store);

#[async_trait::async_trait]
impl Directory for StoreDirectory {
    async fn credentials(
        &self,
        login: &str,
        domain: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        let failed = |error: store::StoreError| DirectoryError(error.to_string());
        let Some(client) = self
            .0
            .client_of_login(login, domain)
            .await
            .map_err(failed)?
        else {
            return Ok(None);
        };
        let account = self.0.account(client.account).await.map_err(failed)?;
        let active = account.is_some_and(|a| a.status == model::AccountStatus::Active);
        Ok((client.enabled && active).then(|| Secret {
            ha1_md5: client.ha1_md5.clone(),
            ha1_sha256: client.ha1_sha256.clone(),
        }))
    }
}
