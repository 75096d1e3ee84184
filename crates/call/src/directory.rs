//! Looks up clients for the SIP side, and keeps its registrations for the next start.
//!
//! **Invariant: a server reads and writes only the registrations made with it.** Another server may not reach the
//! same phone, and does not learn when the phone renews its registration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use model::{OrganizationSid, OrganizationStatus, RefusalReason, ServerSid, Timestamp};
use sip::{BindingSnapshot, Counted, Directory, DirectoryError, Secret};
use store::{Change, KeptPhones, Store};

use crate::Refusals;

/// Looks up clients in the store.
#[derive(Clone)]
pub struct StoreDirectory {
    /// The store.
    pub store: Store,
    /// The first organization: its clients are known without a domain.
    pub organization: OrganizationSid,
    /// The server; the same after a restart.
    pub server: ServerSid,
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
            credential: self.store.credential_of(&client),
        }))
    }

    async fn bindings_changed(
        &self,
        known_as: &str,
        bindings: Vec<BindingSnapshot>,
    ) -> Result<(), DirectoryError> {
        let failed = |error: &dyn std::fmt::Display| DirectoryError(error.to_string());
        let last = bindings.iter().map(|binding| binding.expires_at).max();
        let phones = match last {
            None => None,
            Some(last) => Some(KeptPhones {
                content: serde_json::to_string(&bindings).map_err(|error| failed(&error))?,
                expires: Timestamp::from_unix(Duration::from_secs(last)),
            }),
        };
        // Nobody can register with an organization that does not exist.
        let Some((organization, login)) = self.place_of(known_as).await? else {
            return Ok(());
        };
        let change = Change::Registered {
            organization,
            login,
            server: self.server,
            phones,
        };
        let kept = self.store.commit(vec![change]).await;
        kept.map(|_| ()).map_err(|error| failed(&error))
    }

    fn refused(&self, source: IpAddr, login: &str) {
        self.refusals
            .note(source, RefusalReason::WrongPassword, login);
    }

    async fn bindings(&self) -> Result<Vec<(String, Vec<BindingSnapshot>)>, DirectoryError> {
        let failed = |error: store::StoreError| DirectoryError(error.to_string());
        let (first, server) = (self.organization, self.server);
        let adopted = Change::RegistrationsAdopted {
            organization: first,
            server,
        };
        self.store.commit(vec![adopted]).await.map_err(failed)?;
        let more = self.store.organizations(Some(OrganizationStatus::Active));
        let more = more.await.map_err(failed)?.into_iter();
        let more = more.filter(|organization| organization.sid != first);
        let more = more.map(|organization| (organization.sid, Some(organization.domain_name)));
        let mut all = Vec::new();
        for (organization, domain) in std::iter::once((first, None)).chain(more) {
            let kept = self.store.registered(organization, server).await;
            for (login, content) in kept.map_err(failed)? {
                let known_as = match &domain {
                    None => login,
                    Some(domain) => format!("{login}@{domain}"),
                };
                // A list that another release wrote in a different format is treated as missing.
                let bindings = serde_json::from_str(&content).unwrap_or_default();
                all.push((known_as, bindings));
            }
        }
        Ok(all)
    }

    async fn waiting(
        &self,
        clients: Vec<String>,
    ) -> Result<BTreeMap<String, Counted>, DirectoryError> {
        let mut places = BTreeMap::new();
        for known_as in clients {
            if let Some(place) = self.place_of(&known_as).await? {
                places.insert(place, known_as);
            }
        }
        let of: Vec<_> = places.keys().cloned().collect();
        let found = self.store.waiting_messages(&of).await;
        let found = found.map_err(|error| DirectoryError(error.to_string()))?;
        let mut counted = BTreeMap::new();
        for (client, waiting) in found {
            let place = (client.organization, client.login.clone());
            if let Some(known_as) = places.remove(&place).filter(|_| client.enabled) {
                let credential = self.store.credential_of(&client);
                counted.insert(
                    known_as,
                    Counted {
                        waiting,
                        credential,
                    },
                );
            }
        }
        Ok(counted)
    }
}

impl StoreDirectory {
    /// The organization and login of a client that the SIP side knows by this name; `None` if there is no such organization.
    async fn place_of(
        &self,
        known_as: &str,
    ) -> Result<Option<(OrganizationSid, String)>, DirectoryError> {
        let Some((login, domain)) = known_as.split_once('@') else {
            return Ok(Some((self.organization, known_as.to_owned())));
        };
        let found = self.store.organization_of_domain(domain).await;
        let found = found.map_err(|error| DirectoryError(error.to_string()))?;
        Ok(found.map(|found| (found.sid, login.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use model::OrganizationSid;
    use store::SecretKey;

    use super::*;

    /// A server with a database; `n` stands for its data folder.
    async fn server(url: &str, n: u8) -> StoreDirectory {
        let key = SecretKey::from_hex(&"0f".repeat(32)).unwrap();
        beside(&Store::open(url, key).await.unwrap(), n)
    }

    /// A server that shares the database.
    fn beside(store: &Store, n: u8) -> StoreDirectory {
        StoreDirectory {
            store: store.clone(),
            organization: OrganizationSid::from_bytes([1; 16]),
            server: ServerSid::from_bytes([n; 16]),
            refusals: Refusals::new(store.clone()),
        }
    }

    fn phone(seq: u32, expires_at: u64) -> BindingSnapshot {
        BindingSnapshot {
            contact: "sip:kim@192.0.2.7:5060".to_owned(),
            transport: "udp".to_owned(),
            remote_address: "192.0.2.7:5060".parse().unwrap(),
            local_address: "192.0.2.1:5060".parse().unwrap(),
            q: 1000,
            expires_at,
            call_id: "a".to_owned(),
            seq,
            instance: None,
            answers: true,
            credential: "c1".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_registration_outlives_its_server_and_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let soon = unix.as_secs() + 600;
        let first = server(&url, 1).await;
        first
            .bindings_changed("kim", vec![phone(1, soon)])
            .await
            .unwrap();
        // A second server starts; the phone answers only the first one's OPTIONS.
        let second = beside(&first.store, 2);
        assert_eq!(second.bindings().await.unwrap(), []);
        first
            .bindings_changed("kim", vec![phone(2, soon)])
            .await
            .unwrap();
        // What it had there has expired, or is silent.
        second.bindings_changed("kim", Vec::new()).await.unwrap();
        first.store.close().await;
        let first = server(&url, 1).await;
        let kept = first.bindings().await.unwrap();
        assert_eq!(kept, [("kim".to_owned(), vec![phone(2, soon)])]);
        assert!(kept[0].1[0].restore(Instant::now(), unix).is_some());
        // It is not removed as an expired one.
        let alive = store::Change::Alive {
            instance: first.store.instance(),
            at: Timestamp::from_unix(Duration::from_secs(soon)),
        };
        first.store.commit(vec![alive]).await.unwrap();
        assert_eq!(first.bindings().await.unwrap(), kept);
        first.bindings_changed("kim", Vec::new()).await.unwrap();
        assert_eq!(first.bindings().await.unwrap(), []);
    }

    /// The SIP side knows clients of the first organization by their login, and others with their domain.
    #[tokio::test]
    async fn clients_without_a_box_have_no_messages() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let directory = server(&url, 1).await;
        let clients = ["kim", "kim@two.example", "@", ""].map(str::to_owned);
        let counted = directory.waiting(clients.to_vec()).await.unwrap();
        assert!(counted.is_empty());
    }
}
