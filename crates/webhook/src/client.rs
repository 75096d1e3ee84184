//! The HTTP clients below the fetcher: one for each address policy.
//!
//! **Invariant: a name is connected to only at addresses that passed the check.** Each policy has a
//! client, and so a pool of connections, of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

use crate::fetch::{FetchConfig, StartError};
use model::egress::{AddressPolicy, Guard, Refused};

/// How long an unused connection is kept: shorter than the usual web servers do, so that no
/// request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(1);

/// The clients for both policies.
#[derive(Clone)]
pub(crate) struct Clients {
    public: Client,
    private: Client,
}

impl Clients {
    pub(crate) fn new(config: &FetchConfig, guard: &Arc<Guard>) -> Result<Self, StartError> {
        let build = |private_ok| client(config, guard, AddressPolicy { private_ok });
        Ok(Self {
            public: build(false)?,
            private: build(true)?,
        })
    }

    pub(crate) fn get(&self, policy: AddressPolicy) -> &Client {
        if policy.private_ok {
            &self.private
        } else {
            &self.public
        }
    }
}

fn client(
    config: &FetchConfig,
    guard: &Arc<Guard>,
    policy: AddressPolicy,
) -> Result<Client, StartError> {
    let builder = Client::builder()
        .connect_timeout(config.timeout)
        .read_timeout(config.timeout)
        .pool_idle_timeout(IDLE)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(&config.user_agent)
        .dns_resolver(GuardedResolver {
            guard: Arc::clone(guard),
            policy,
        });
    let builder = if config.insecure_tls {
        // Fails if there is a default already, which is as good.
        let _ = aws_lc_rs::default_provider().install_default();
        builder.tls_danger_accept_invalid_certs(true)
    } else {
        builder.tls_backend_preconfigured(tls()?)
    };
    builder
        .build()
        .map_err(|error| StartError(error.to_string()))
}

/// TLS with the certificate authorities of the system. A system without any can still use http.
fn tls() -> Result<ClientConfig, StartError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read a certificate authority of the system");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("the system has no certificate authorities; https addresses will fail");
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Resolves names to those of their addresses that the policy allows.
struct GuardedResolver {
    guard: Arc<Guard>,
    policy: AddressPolicy,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, policy) = (Arc::clone(&self.guard), self.policy);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = permitted(found, &guard, policy)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be used; an error if there are some but none may.
fn permitted(
    found: impl Iterator<Item = SocketAddr>,
    guard: &Guard,
    policy: AddressPolicy,
) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match guard.check(address.ip(), policy) {
            Ok(()) => allowed.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if allowed.is_empty() => Err(error),
        Some(_) | None => Ok(allowed),
    }
}
