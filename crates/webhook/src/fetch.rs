//! One request to an application, with everything that belongs to it.
//!
//! Parameters go into the query of a GET and the form of a POST; redirects repeat a POST as a POST
//! (except 303); cookies are those of the call; each hop is signed for its own address.
//! **Invariant: the address of every hop is checked before it is connected to, and a failure is
//! reported with the address it happened at.**
//!
//! Left to others: what the status means. Every HTTP status is an answer, not an error.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use model::{AccountSid, HttpMethod};
use url::{Host, Url, form_urlencoded};

use crate::address::Target;
use crate::budget::{Budget, NoRoom, Reserved};
use crate::client::{Answer, ClientError, Clients, Outgoing};
use crate::coding;
use crate::cookie::CookieJar;
use crate::error::{FetchError, Problem};
use crate::signature::{Sent, Stamp};
use model::egress::{AddressPolicy, Guard, Refused};

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const JSON: &str = "application/json";

/// How many time limits a media file may take, since it is larger than a document.
const MEDIA_PATIENCE: u32 = 10;

/// Maximum bytes read of an irrelevant body, so that the connection can be reused.
const IGNORED_BYTES: usize = 64 * 1024;

/// Bytes of memory that fetching and decoding take per byte of a sound file: for the file, and for
/// its samples while they are collected.
const MEMORY_PER_BYTE: usize = 5;

/// Minimum memory reserved for a sound file.
const LEAST_MEMORY: usize = 1024 * 1024;

/// Memory to reserve for a sound file of this size.
pub(crate) fn memory_for(bytes: usize) -> usize {
    bytes.saturating_mul(MEMORY_PER_BYTE).max(LEAST_MEMORY)
}

/// Settings of the fetcher.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// Timeout for a document, redirects and body included; for other files, the timeout to connect
    /// and the longest time without data.
    pub timeout: Duration,
    /// Timeout for everything together, redirects included.
    pub total_timeout: Duration,
    /// Maximum size of a document, in bytes.
    pub max_document: usize,
    /// Maximum size of a sound file, in bytes.
    pub max_media: usize,
    /// Maximum consecutive redirects.
    pub max_redirects: u32,
    /// Which addresses accounts may reach.
    pub guard: Guard,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Whether to skip verifying certificates.
    pub insecure_tls: bool,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(6),
            total_timeout: Duration::from_secs(60),
            max_document: 1024 * 1024,
            max_media: 20 * 1024 * 1024,
            max_redirects: 10,
            guard: Guard::default(),
            user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
            insecure_tls: false,
        }
    }
}

/// The purpose of a body, which determines how long it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyKind {
    /// A document.
    Document,
    /// A sound file; the body of an answer with another status than 200 is not returned.
    Media,
    /// Not needed: it is not returned.
    Ignored,
}

impl BodyKind {
    /// Memory is reserved for sound files only: what comes with another status is none.
    fn of_answer(self, status: u16) -> Self {
        match self {
            Self::Media if status != 200 => Self::Ignored,
            Self::Document | Self::Media | Self::Ignored => self,
        }
    }
}

/// A request to make.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// HTTP method.
    pub method: HttpMethod,
    /// Absolute HTTP or HTTPS address, possibly with user-info.
    pub url: String,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
    /// Body of a POST as JSON, instead of the form of its parameters.
    pub json: Option<String>,
    /// Additional headers.
    pub headers: Vec<(String, String)>,
    /// Cookies of the call.
    pub jar: CookieJar,
    /// Addresses that the account may reach.
    pub policy: AddressPolicy,
    /// Purpose of the body.
    pub kind: BodyKind,
    /// Its event id and signature.
    pub stamp: Option<Stamp>,
    /// Where memory for a media file is reserved, and for which customer.
    pub reserve: Option<(Budget, AccountSid)>,
}

impl FetchRequest {
    /// A request for a document, without parameters, cookies, signature or rights to private
    /// addresses.
    #[must_use]
    pub fn new(method: HttpMethod, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            params: Vec::new(),
            json: None,
            headers: Vec::new(),
            jar: CookieJar::default(),
            policy: AddressPolicy::default(),
            kind: BodyKind::Document,
            stamp: None,
            reserve: None,
        }
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// All headers with text values, in order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The final address, after redirects and without the parameters added to the query: the base
    /// for addresses in the document. May hold user-info; see [`model::address::redacted`].
    pub final_url: String,
    /// Time from the start of the first request to the end of the body.
    pub elapsed: Duration,
    /// Requests made: 1 plus the redirects followed.
    pub attempts: u32,
    /// Memory for a media file.
    pub reserved: Option<Arc<Reserved>>,
}

impl Fetched {
    /// Value of the first header with a lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up requests to applications: {0}")]
pub struct StartError(pub(crate) String);

/// Makes requests to applications. Clones share connections.
#[derive(Clone)]
pub struct Fetcher {
    pub(crate) clients: Clients,
    guard: Arc<Guard>,
    pub(crate) config: Arc<FetchConfig>,
}

impl Fetcher {
    /// Sets up the clients.
    ///
    /// # Errors
    /// [`StartError`] if TLS cannot be set up.
    pub fn new(config: FetchConfig) -> Result<Self, StartError> {
        let guard = Arc::new(config.guard.clone());
        let clients = Clients::new(&config, &guard)?;
        Ok(Self {
            clients,
            guard,
            config: Arc::new(config),
        })
    }

    /// Makes a request and follows its redirects.
    ///
    /// # Errors
    /// [`FetchError`] if there is no response. A response with any status is not an error.
    pub async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        let limit = match request.kind {
            // A call waits for this, whatever the server does with the time.
            BodyKind::Document => self.config.timeout.min(self.config.total_timeout),
            BodyKind::Media | BodyKind::Ignored => self.config.total_timeout,
        };
        match tokio::time::timeout(limit, self.follow(&request)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::new(&request.url, Problem::Timeout { limit })),
        }
    }

    async fn follow(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let started = Instant::now();
        let mut target = Target::parse(&request.url)?;
        let mut method = request.method;
        let mut with_params = true;
        let mut attempts = 0;
        loop {
            let params: &[(String, String)] = if with_params { &request.params } else { &[] };
            let response = self.send(request, &target, method, params).await?;
            attempts += 1;
            let status = response.status.as_u16();
            let Some(location) = location(status, &response.headers) else {
                return self
                    .finish(request, &target, response, started, attempts)
                    .await;
            };
            if attempts > self.config.max_redirects {
                let problem = Problem::TooManyRedirects {
                    limit: self.config.max_redirects,
                };
                return Err(FetchError::new(&request.url, problem));
            }
            if status == 303 {
                method = HttpMethod::Get;
            }
            // The target of a redirected GET has its own query.
            with_params = with_params && method == HttpMethod::Post;
            target = target.redirected(&location)?;
        }
    }

    async fn send(
        &self,
        request: &FetchRequest,
        target: &Target,
        method: HttpMethod,
        params: &[(String, String)],
    ) -> Result<Answer, FetchError> {
        self.check_literal(target, request.policy)?;
        let (url, form) = match method {
            HttpMethod::Get => (with_query(&target.url, params), &[][..]),
            HttpMethod::Post => (target.url.clone(), params),
        };
        let (content_type, body) = match &request.json {
            Some(json) if method == HttpMethod::Post => (JSON, json.clone()),
            Some(_) | None => (FORM, encoded(form)),
        };
        let marks = request.stamp.as_ref().map(|stamp| {
            stamp.headers(&Sent {
                method,
                url: url.as_str(),
                form,
                body: &body,
                at_s: now_s(),
            })
        });
        let mut headers = headers(request, target, marks.unwrap_or_default())?;
        headers
            .entry(header::USER_AGENT)
            .or_insert(self.user_agent(target)?);
        let (method_sent, body) = match method {
            HttpMethod::Get => (Method::GET, Bytes::new()),
            HttpMethod::Post => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                (Method::POST, body.into())
            }
        };
        let sent = Outgoing {
            method: method_sent,
            url,
            headers,
            body,
        };
        // An application recognises a repeated POST by its event id.
        let repeatable = method == HttpMethod::Get || request.stamp.is_some();
        let response = self
            .clients
            .send(request.policy, sent, repeatable)
            .await
            .map_err(|error| self.explain(target, &error))?;
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            if let Ok(text) = cookie.to_str() {
                request.jar.store(&target.url, text, SystemTime::now());
            }
        }
        Ok(response)
    }

    pub(crate) fn user_agent(&self, target: &Target) -> Result<HeaderValue, FetchError> {
        let agent = &self.config.user_agent;
        HeaderValue::from_str(agent).map_err(|_| {
            let reason = "the name of this program has forbidden characters".to_owned();
            FetchError::new(target.full.as_str(), Problem::BadAddress { reason })
        })
    }

    /// A numeric host is never resolved, so it is checked here.
    pub(crate) fn check_literal(
        &self,
        target: &Target,
        policy: AddressPolicy,
    ) -> Result<(), FetchError> {
        let address = match target.url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.guard
            .check(address, policy)
            .map_err(|Refused(address)| {
                FetchError::new(target.full.as_str(), Problem::Refused { address })
            })
    }

    async fn finish(
        &self,
        request: &FetchRequest,
        target: &Target,
        response: Answer,
        started: Instant,
        attempts: u32,
    ) -> Result<Fetched, FetchError> {
        let status = response.status.as_u16();
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let kind = request.kind.of_answer(status);
        let coding = headers.iter().find(|(name, _)| name == "content-encoding");
        let coding = coding.and_then(|(_, value)| coding::named(value));
        let no_room = |NoRoom| FetchError::new(target.full.as_str(), Problem::NoRoom);
        let reserved = match &request.reserve {
            Some((budget, customer)) if status == 200 => {
                let room = budget.reserve(*customer, memory_for(0)).await;
                Some(room.map_err(no_room)?)
            }
            Some(_) | None => None,
        };
        // A response that trickles is as good as none.
        let limit = match kind {
            BodyKind::Document | BodyKind::Ignored => self.config.timeout,
            BodyKind::Media => self.config.timeout * MEDIA_PATIENCE,
        };
        let reading = self.body(kind, target, response, reserved.as_ref());
        let body = match tokio::time::timeout(limit, reading).await {
            Ok(body) => body?,
            Err(_) if kind == BodyKind::Ignored => Bytes::new(),
            Err(_) => {
                let problem = Problem::Timeout { limit };
                return Err(FetchError::new(target.full.as_str(), problem));
            }
        };
        if let Some(reserved) = reserved.as_ref().filter(|_| coding.is_some()) {
            // How long it is without its coding is not known before.
            let most = memory_for(self.limit(kind));
            reserved.grow(most, most).await.map_err(no_room)?;
        }
        let body = match kind {
            BodyKind::Document | BodyKind::Media => {
                self.decoded(kind, target, status, coding, body).await?
            }
            BodyKind::Ignored => body,
        };
        if let Some(reserved) = &reserved {
            reserved.shrink(memory_for(body.len()));
        }
        let content_type = headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| value.clone());
        Ok(Fetched {
            status,
            content_type,
            headers,
            body,
            final_url: target.full.to_string(),
            elapsed: started.elapsed(),
            attempts,
            reserved: reserved.map(Arc::new),
        })
    }

    /// - `reserved`: memory, which grows with what has arrived; what a server only announces takes none from others
    async fn body(
        &self,
        kind: BodyKind,
        target: &Target,
        mut response: Answer,
        reserved: Option<&Reserved>,
    ) -> Result<Bytes, FetchError> {
        let limit = match kind {
            BodyKind::Document | BodyKind::Media => self.limit(kind),
            BodyKind::Ignored => {
                // Only the status counts: a slow body is abandoned.
                let _ = tokio::time::timeout(self.config.timeout, skip(response)).await;
                return Ok(Bytes::new());
            }
        };
        let announced = response.length().map(usize::try_from);
        let most = memory_for(announced.and_then(Result::ok).unwrap_or(limit).min(limit));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    let problem = Problem::TooLarge { limit };
                    return Err(FetchError::new(target.full.as_str(), problem));
                }
                Ok(Some(chunk)) => {
                    if let Some(reserved) = reserved {
                        let memory = memory_for(body.len() + chunk.len());
                        let grown = reserved.grow(memory, most).await;
                        grown.map_err(|NoRoom| {
                            FetchError::new(target.full.as_str(), Problem::NoRoom)
                        })?;
                    }
                    body.extend_from_slice(&chunk);
                }
                Ok(None) => return Ok(body.into()),
                Err(error) => return Err(self.explain(target, &error)),
            }
        }
    }

    /// A body without its content coding, which a server may use without being asked.
    async fn decoded(
        &self,
        kind: BodyKind,
        target: &Target,
        status: u16,
        coding: Option<String>,
        body: Bytes,
    ) -> Result<Bytes, FetchError> {
        let Some(coding) = coding.filter(|_| !body.is_empty()) else {
            return Ok(body);
        };
        let limit = self.limit(kind);
        let (copy, name) = (body.clone(), coding.clone());
        let work = move || coding::decode(&name, &copy, limit);
        let result = match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(_) => Err(Problem::Coding { coding }),
        };
        match result {
            Ok(body) => Ok(body.into()),
            // The content of an unused response does not matter.
            Err(_) if status != 200 => Ok(body),
            Err(problem) => Err(FetchError::new(target.full.as_str(), problem)),
        }
    }

    fn limit(&self, kind: BodyKind) -> usize {
        match kind {
            BodyKind::Document => self.config.max_document,
            BodyKind::Media => self.config.max_media,
            BodyKind::Ignored => IGNORED_BYTES,
        }
    }

    fn explain(&self, target: &Target, error: &ClientError) -> FetchError {
        let problem = match cause::<Refused>(error) {
            Some(Refused(address)) => Problem::Refused { address: *address },
            None if is_timeout(error) => Problem::Timeout {
                limit: self.config.timeout,
            },
            None if is_plain(error) => Problem::Io {
                reason:
                    "the server does not speak https on this port; use http:// if it speaks http"
                        .to_owned(),
                was_connected: false,
            },
            None if is_connect(error) || cause::<std::io::Error>(error).is_some() => Problem::Io {
                reason: innermost(error),
                was_connected: !is_connect(error),
            },
            None => Problem::Protocol {
                reason: innermost(error),
            },
        };
        FetchError::new(target.full.as_str(), problem)
    }
}

/// Reads an irrelevant body to its end, or until it is too long or breaks.
async fn skip(mut response: Answer) {
    let mut left = IGNORED_BYTES;
    while let Ok(Some(chunk)) = response.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else {
            return;
        };
        left = rest;
    }
}

/// The headers of a request; `marks` identify and sign it.
fn headers(
    request: &FetchRequest,
    target: &Target,
    marks: Vec<(String, String)>,
) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    let own = request.headers.iter().cloned();
    let cookie = request.jar.header(&target.url, SystemTime::now());
    let cookie = cookie.map(|value| ("cookie".to_owned(), value));
    let credentials = target.authorization.clone();
    let credentials = credentials.map(|value| ("authorization".to_owned(), value));
    for (name, value) in own.chain(marks).chain(cookie).chain(credentials) {
        let bad =
            |reason: String| FetchError::new(target.full.as_str(), Problem::BadAddress { reason });
        let value = HeaderValue::from_str(&value)
            .map_err(|_| bad(format!("the header {name} has forbidden characters")))?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad("a header name is not valid".to_owned()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The target of a redirect, if the response is one.
fn location(status: u16, headers: &HeaderMap) -> Option<String> {
    matches!(status, 301 | 302 | 303 | 307 | 308).then_some(())?;
    let location = headers.get(header::LOCATION)?;
    String::from_utf8(location.as_bytes().to_vec()).ok()
}

/// The address with parameters appended to its own.
fn with_query(url: &Url, params: &[(String, String)]) -> Url {
    let mut url = url.clone();
    if !params.is_empty() {
        let added = encoded(params);
        let query = match url.query() {
            Some(query) if !query.is_empty() => format!("{query}&{added}"),
            Some(_) | None => added,
        };
        url.set_query(Some(&query));
    }
    url
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn encoded(params: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish()
}

/// The first error of a given type among the causes of an error.
pub(crate) fn cause<T: std::error::Error + 'static>(error: &ClientError) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether nothing arrived in time, or no connection was made.
pub(crate) fn is_timeout(error: &ClientError) -> bool {
    let io = cause::<std::io::Error>(error);
    matches!(error, ClientError::Timeout)
        || io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether no connection was made.
fn is_connect(error: &ClientError) -> bool {
    matches!(error, ClientError::Request(error) if error.is_connect())
}

/// Whether the server answered the TLS handshake with something else.
pub(crate) fn is_plain(error: &ClientError) -> bool {
    // A TLS error is inside an I/O error, which may be inside another one.
    let mut inner = cause::<std::io::Error>(error);
    while let Some(io) = inner {
        let found = io.get_ref().and_then(|inside| inside.downcast_ref());
        if let Some(rustls::Error::InvalidMessage(kind)) = found {
            return *kind == rustls::InvalidMessage::InvalidContentType;
        }
        inner = io.get_ref().and_then(|inside| inside.downcast_ref());
    }
    false
}

/// The innermost cause, which is the most specific and never holds the address.
pub(crate) fn innermost(error: &ClientError) -> String {
    let Some(mut cause) = error.source() else {
        return error.to_string();
    };
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
