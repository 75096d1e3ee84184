//! The HTTP clients below the fetcher: one per address policy.
//!
//! **Invariant: a name is connected to only at addresses that passed the check.** Each policy has
//! its own client, and so its own connection pool. A pooled connection that the server closes just
//! as a request is sent is replaced by a new one, once (RFC 9110 §9.2.2). A server that sends
//! endless interim responses is abandoned ([`MAX_INTERIM`]).

use std::cell::Cell;
use std::error::Error as StdError;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::Notify;
use tower::Service;
use url::Url;

use crate::fetch::{FetchConfig, StartError};
use model::egress::{AddressPolicy, Guard};

/// How long an idle connection is kept: shorter than most web servers do, so that few requests meet
/// a connection that is being closed.
const IDLE: Duration = Duration::from_secs(1);

/// Maximum interim responses (1xx) before the answer. Servers send one or two; one that never stops
/// would only use up our time.
const MAX_INTERIM: u32 = 8;

type BoxError = Box<dyn StdError + Send + Sync>;
type Connector = Noting<HttpsConnector<HttpConnector<GuardedResolver>>>;
type Http = Client<Connector, Full<Bytes>>;

/// The clients for both policies.
#[derive(Clone)]
pub(crate) struct Clients {
    public: Pair,
    private: Pair,
    timeout: Duration,
}

/// The clients of one policy.
#[derive(Clone)]
struct Pair {
    /// Pools connections.
    keeping: Http,
    /// Opens a connection for each request.
    fresh: Http,
}

tokio::task_local! {
    /// Whether a connection was opened for the request that this task sends.
    static CONNECTED: Cell<bool>;
}

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A response whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    timeout: Duration,
}

/// Why there is no response, or only part of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The address cannot be put into a request.
    #[error("the address cannot be requested")]
    Address(#[source] http::Error),
    /// No connection, or it broke before the response.
    #[error("the request failed")]
    Request(#[source] hyper_util::client::legacy::Error),
    /// The connection broke within the response.
    #[error("the connection closed in the middle of the response")]
    Body(#[source] hyper::Error),
    /// Nothing arrived for too long.
    #[error("nothing arrived in time")]
    Timeout,
    /// Only interim responses arrived.
    #[error("more than {MAX_INTERIM} interim responses (1xx)")]
    Interim,
}

impl Clients {
    pub(crate) fn new(config: &FetchConfig, guard: &Arc<Guard>) -> Result<Self, StartError> {
        let tls = tls(config.insecure_tls)?;
        let pair = |private_ok| {
            let policy = AddressPolicy { private_ok };
            let connector = connector(config, guard, policy, &tls);
            let client = |max_idle| {
                Client::builder(TokioExecutor::new())
                    .pool_timer(TokioTimer::new())
                    .pool_idle_timeout(IDLE)
                    .pool_max_idle_per_host(max_idle)
                    .build(connector.clone())
            };
            Pair {
                keeping: client(usize::MAX),
                fresh: client(0),
            }
        };
        Ok(Self {
            public: pair(false),
            private: pair(true),
            timeout: config.timeout,
        })
    }

    /// Sends a request. If a pooled connection ended before the response, it is sent once more, on
    /// a new one.
    ///
    /// - `repeatable`: whether the application can recognise the second as the same request.
    pub(crate) async fn send(
        &self,
        policy: AddressPolicy,
        request: Outgoing,
        repeatable: bool,
    ) -> Result<Answer, ClientError> {
        let pair = if policy.private_ok {
            &self.private
        } else {
            &self.public
        };
        let again = repeatable.then(|| request.clone());
        let sending = async {
            let answer = self.attempt(&pair.keeping, request).await;
            (answer, CONNECTED.with(Cell::get))
        };
        let (answer, connected) = CONNECTED.scope(Cell::new(false), sending).await;
        match (answer, again) {
            (Err(ClientError::Request(error)), Some(again))
                if !connected && ended_early(&error) =>
            {
                self.attempt(&pair.fresh, again).await
            }
            (answer, _) => answer,
        }
    }

    /// Sends a request that asks for another protocol; returns the head of the response, and the
    /// connection once it has changed its protocol.
    pub(crate) async fn upgrade(
        &self,
        policy: AddressPolicy,
        request: Outgoing,
    ) -> Result<(Parts, OnUpgrade), ClientError> {
        let pair = if policy.private_ok {
            &self.private
        } else {
            &self.public
        };
        let request = request.into_http().map_err(ClientError::Address)?;
        let mut answer = pair
            .fresh
            .request(request)
            .await
            .map_err(ClientError::Request)?;
        let upgrade = hyper::upgrade::on(&mut answer);
        Ok((answer.into_parts().0, upgrade))
    }

    async fn attempt(&self, http: &Http, request: Outgoing) -> Result<Answer, ClientError> {
        let mut request = request.into_http().map_err(ClientError::Address)?;
        let too_many = Arc::new(Notify::new());
        let (counted, notice) = (AtomicU32::new(0), Arc::clone(&too_many));
        hyper::ext::on_informational(&mut request, move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) >= MAX_INTERIM {
                notice.notify_one();
            }
        });
        let answer = tokio::select! {
            answer = http.request(request) => answer.map_err(ClientError::Request)?,
            () = too_many.notified() => return Err(ClientError::Interim),
            () = tokio::time::sleep(self.timeout) => return Err(ClientError::Timeout),
        };
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            timeout: self.timeout,
        })
    }
}

impl Outgoing {
    fn into_http(self) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let mut url = self.url;
        url.set_fragment(None);
        let uri: Uri = url.as_str().parse()?;
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(uri)
            .body(Full::new(self.body))?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

impl Answer {
    /// Length of the body, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next part of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(self.timeout, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| ClientError::Timeout)? else {
                return Ok(None);
            };
            // Trailers are ignored.
            if let Ok(data) = frame.map_err(ClientError::Body)?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Whether the connection ended before the head of a response.
fn ended_early(error: &hyper_util::client::legacy::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                error.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            );
        }
        next = error.source();
    }
    false
}

fn connector(
    config: &FetchConfig,
    guard: &Arc<Guard>,
    policy: AddressPolicy,
    tls: &ClientConfig,
) -> Connector {
    let mut tcp = HttpConnector::new_with_resolver(GuardedResolver {
        guard: Arc::clone(guard),
        policy,
    });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Noting(connector)
}

/// TLS with the system's certificate authorities. A system without any can still use HTTP.
fn tls(insecure: bool) -> Result<ClientConfig, StartError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError(error.to_string()))?;
    if insecure {
        let verifier = Arc::new(AnyCertificate(provider));
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        return Ok(builder.with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read a certificate authority of the system");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("the system has no certificate authorities; https addresses will fail");
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Accepts every certificate, but checks that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Records that a connection is opened.
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
        // Not set if the pool opens one in the background, without a particular request.
        let _ = CONNECTED.try_with(|connected| connected.set(true));
        self.0.call(request)
    }
}

/// Resolves names to those of their addresses that the policy permits.
#[derive(Clone)]
struct GuardedResolver {
    guard: Arc<Guard>,
    policy: AddressPolicy,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (guard, policy) = (Arc::clone(&self.guard), self.policy);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = guard.permitted(found, policy)?;
            Ok(allowed.into_iter())
        })
    }
}
