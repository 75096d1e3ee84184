//! The questions the SIP side asks about clients.

use std::net::IpAddr;

use crate::BindingSnapshot;

/// Digest secrets of a client: lower-case hex of H(login:realm:password).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// With MD5.
    pub ha1_md5: String,
    /// With SHA-256.
    pub ha1_sha256: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The directory could not be asked; the request is answered with 500.
#[derive(Debug, thiserror::Error)]
#[error("directory look-up failed: {0}")]
pub struct DirectoryError(pub String);

/// Knows the clients. Look-ups run beside the SIP task and never hold it up.
#[async_trait::async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Secrets of an enabled client of an active account, by login, in the organization with this
    /// domain; `None` if there is none.
    async fn credentials(
        &self,
        login: &str,
        domain: &str,
    ) -> Result<Option<Secret>, DirectoryError>;

    /// Keeps the bindings of a client for the next process: all that are left after a change.
    async fn bindings_changed(
        &self,
        login: &str,
        bindings: Vec<BindingSnapshot>,
    ) -> Result<(), DirectoryError> {
        let _ = (login, bindings);
        Ok(())
    }

    /// A registration was refused: the password is wrong, or there is no such client. Must not block.
    fn refused(&self, source: IpAddr, login: &str) {
        let _ = (source, login);
    }

    /// The bindings that an earlier process kept, by login.
    async fn bindings(&self) -> Result<Vec<(String, Vec<BindingSnapshot>)>, DirectoryError> {
        Ok(Vec::new())
    }
}
