//! The SIP side's queries about clients.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{BindingSnapshot, Counted};

/// Digest secrets of a client: lower-case hex of H(login:realm:password).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The MD5 hash.
    pub ha1_md5: String,
    /// The SHA-256 hash.
    pub ha1_sha256: String,
    /// Names the client and its password, without revealing them; kept with the bindings.
    pub credential: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The directory could not be queried; the request is answered with 500.
#[derive(Debug, thiserror::Error)]
#[error("directory look-up failed: {0}")]
pub struct DirectoryError(pub String);

/// Knows the clients. Look-ups run concurrently with the SIP task and never block it.
#[async_trait::async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Secrets of an enabled client of an active account, by login, in the organization with this
    /// domain; `None` if no such client exists.
    async fn credentials(
        &self,
        login: &str,
        domain: &str,
    ) -> Result<Option<Secret>, DirectoryError>;

    /// Stores the bindings of a client for the next process: all that remain after a change.
    ///
    /// - `known_as`: its login, followed by `@` and the domain of its organization unless that is the first one
    async fn bindings_changed(
        &self,
        known_as: &str,
        bindings: Vec<BindingSnapshot>,
    ) -> Result<(), DirectoryError> {
        let _ = (known_as, bindings);
        Ok(())
    }

    /// A registration was refused: the password is wrong, or the client does not exist. Must not
    /// block.
    fn refused(&self, source: IpAddr, login: &str) {
        let _ = (source, login);
    }

    /// The bindings stored by an earlier process, by the name that [`Directory::bindings_changed`] was given.
    async fn bindings(&self) -> Result<Vec<(String, Vec<BindingSnapshot>)>, DirectoryError> {
        Ok(Vec::new())
    }

    /// The voice messages that wait for clients, by the names in the argument, which are those that [`Directory::bindings_changed`] was
    /// given. Clients without a box are left out.
    async fn waiting(
        &self,
        clients: Vec<String>,
    ) -> Result<BTreeMap<String, Counted>, DirectoryError> {
        let _ = clients;
        Ok(BTreeMap::new())
    }
}
