//! The HTTP clients below the fetcher: one for each address policy.
//!
//! **Invariant: a name is connected to only at addresses that passed the check.** Each policy has a
//! client, and so a pool of connections, of its own. A kept connection that the server closes just when a request
//! is sent is replaced by a new one, once (RFC 9110 §9.2.2).

use std::cell::Cell;
use std::error::Error as _;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Request, Response, redirect};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tower::{Layer, Service};

use crate::fetch::{FetchConfig, StartError};
use model::egress::{AddressPolicy, Guard, Refused};

/// How long an unused connection is kept: shorter than the usual web servers do, so that few
/// requests meet a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(1);

/// The clients for both policies.
#[derive(Clone)]
pub(crate) struct Clients {
    public: Pair,
    private: Pair,
}

/// The clients of one policy.
#[derive(Clone)]
struct Pair {
    /// Keeps connections.
    keeping: Client,
    /// Makes a connection for each request.
    fresh: Client,
}

tokio::task_local! {
    /// Whether a connection was made for the request that this task sends.
    static CONNECTED: Cell<bool>;
}

impl Clients {
    pub(crate) fn new(config: &FetchConfig, guard: &Arc<Guard>) -> Result<Self, StartError> {
        let pair = |private_ok| {
            let policy = AddressPolicy { private_ok };
            Ok(Pair {
                keeping: client(config, guard, policy, usize::MAX)?,
                fresh: client(config, guard, policy, 0)?,
            })
        };
        Ok(Self {
            public: pair(false)?,
            private: pair(true)?,
        })
    }

    /// Sends a request. If it met a kept connection that ended before an answer, it is sent once more,
    /// on a new one.
    ///
    /// - `repeatable`: whether the application can tell that the second is the same request.
    pub(crate) async fn send(
        &self,
        policy: AddressPolicy,
        request: Request,
        repeatable: bool,
    ) -> reqwest::Result<Response> {
        let pair = if policy.private_ok {
            &self.private
        } else {
            &self.public
        };
        let again = if repeatable {
            request.try_clone()
        } else {
            None
        };
        let sending = async {
            let answer = pair.keeping.execute(request).await;
            (answer, CONNECTED.with(Cell::get))
        };
        let (answer, connected) = CONNECTED.scope(Cell::new(false), sending).await;
        match (answer, again) {
            (Err(error), Some(again)) if !connected && ended_early(&error) => {
                pair.fresh.execute(again).await
            }
            (answer, _) => answer,
        }
    }
}

/// Whether the connection ended before the head of an answer.
fn ended_early(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return match error.kind() {
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof => true,
                _ => false,
            };
        }
        next = error.source();
    }
    false
}

/// Notes that a connection is made.
#[derive(Clone)]
struct Noting<S>(S);

impl<R, S: Service<R>> Service<R> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Not set if the pool makes one in the background, for nobody in particular.
        let _ = CONNECTED.try_with(|connected| connected.set(true));
        self.0.call(request)
    }
}

/// Puts [`Noting`] around what makes the connections.
#[derive(Clone)]
struct Note;

impl<S> Layer<S> for Note {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting(inner)
    }
}

fn client(
    config: &FetchConfig,
    guard: &Arc<Guard>,
    policy: AddressPolicy,
    max_idle: usize,
) -> Result<Client, StartError> {
    let builder = Client::builder()
        .connect_timeout(config.timeout)
        .read_timeout(config.timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(max_idle)
        .connector_layer(Note)
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
