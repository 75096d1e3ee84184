//! Entry of requests: format, size, credentials, then the row of the route that the path names.
//!
//! **Invariant: credentials are checked before anything about a path is revealed.** Only `Logout`
//! and signed links to media need none.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::record::{Account, ApiKey};
use model::{AccountStatus, KeySid, Source, error};
use store::ClaimedKey;
use tracing::{Instrument, debug, info_span};

use crate::ApiState;
use crate::audit::{self, Origin, Witness};
use crate::body;
use crate::context::{Context, Reply, now};
use crate::dialect::RestDialect;
use crate::etags::{self, Turns};
use crate::failure::Failure;
use crate::format::{Format, hex, segments};
use crate::guard::Guard;
use crate::media;
use crate::pages;
use crate::params::{Params, shown as shown_name};
use crate::rates::{Rates, Standing};
use crate::replays;
use crate::resources::recordings;
use crate::route::{self, Found, Is, Route, Verb};
use crate::unasked;
use crate::unrouted;
use crate::warnings::{Notices, Warnings};

/// Headers with the identifier of a request, which is also in the log; Twilio's name comes second.
const REQUEST_IDS: [HeaderName; 2] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("twilio-request-id"),
];

/// The API as a router, to be served alone or merged with others.
///
/// Requests carry their [`Source`] as an extension; those without one count as one source.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(Entry {
        guard: Guard::new(),
        rates: Rates::new(state.rate_limits),
        turns: Turns::new(),
        notices: Arc::default(),
        state,
    });
    let mut router = unasked::routes().route("/restcomm/recordings/{file}", any(media_file));
    for dialect in RestDialect::ALL {
        // At some base paths, links in answers omit part of the base path. They are accepted
        // unchanged.
        let mut bases = vec![dialect.base, dialect.link_base];
        bases.dedup();
        for base in bases {
            let handle = move |State(entry): State<Arc<Entry>>, request: Request| async move {
                handle(entry, dialect, base, request).await
            };
            router = router
                .route(base, any(handle))
                .route(&format!("{base}/"), any(handle))
                .route(&format!("{base}/{{*path}}"), any(handle));
        }
    }
    router.with_state(state).merge(pages::router())
}

/// The state of the API, and what it remembers of earlier requests.
pub(crate) struct Entry {
    pub(crate) state: ApiState,
    guard: Guard,
    pub(crate) rates: Rates,
    turns: Turns,
    notices: Arc<Notices>,
}

/// Gives the request an identifier, and has it answered.
async fn handle(
    entry: Arc<Entry>,
    dialect: &'static RestDialect,
    base: &'static str,
    request: Request,
) -> Response {
    let id = format!("RQ{}", hex(&rand::random::<[u8; 16]>()));
    let span = info_span!("request", request.id = id);
    let is_change = verb(request.method(), request.headers()).is_change();
    let own = id.clone();
    let answering = async move { respond(&entry, dialect, base, &own, request).await };
    let answering = answering.instrument(span);
    let mut response = if is_change {
        // Carried out to its end even if the client leaves, so that its answer is kept and the audit log complete.
        let answered = tokio::spawn(answering).await;
        answered.unwrap_or_else(|_| {
            let mut failed = Response::new(Body::empty());
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    } else {
        answering.await
    };
    if let Ok(id) = HeaderValue::try_from(id) {
        for name in REQUEST_IDS {
            response.headers_mut().insert(name, id.clone());
        }
    }
    response
}

/// What an answer needs besides the reply.
#[derive(Default)]
struct Aside {
    /// What is left of the caller's requests.
    standing: Option<Standing>,
    /// The key of the request, if it was the first to have it.
    claimed: Option<ClaimedKey>,
    /// Whether the reply shows one resource, so that it has an `ETag`.
    is_single: bool,
}

async fn respond(
    entry: &Entry,
    dialect: &'static RestDialect,
    base: &'static str,
    id: &str,
    request: Request,
) -> Response {
    let (began, state) = (Instant::now(), &entry.state);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let path = path.strip_prefix(base).unwrap_or(path);
    let (segments, is_json) = segments(path);
    let is_json = is_json || dialect.suffix.is_empty();
    let asked = Asked {
        dialect,
        method: &parts.method,
        verb: verb(&parts.method, &parts.headers),
        headers: &parts.headers,
        query: parts.uri.query().unwrap_or_default(),
        segments: segments.iter().map(String::as_str).collect(),
        source: source(&parts.extensions),
        id,
        path: parts.uri.path(),
    };
    let chosen = Format::choose(is_json, &parts.headers);
    let format = chosen.as_ref().copied().unwrap_or(Format::Xml);
    let (warnings, mut aside) = (Warnings::default(), Aside::default());
    let answer = match chosen {
        Ok(format) => answer(entry, &asked, format, body, &warnings, &mut aside).await,
        Err(failure) => Err(failure),
    };
    let mut response = match answer {
        Ok(done) => shown(done, dialect, format, &parts.headers, &aside),
        Err(failure) => failure.into_response(format, dialect, &state.public_base),
    };
    warnings.write(response.headers_mut());
    if let Some(claimed) = &aside.claimed {
        response = replays::finish(&state.store, claimed, response).await;
    }
    if let Some(standing) = aside.standing {
        standing.write(response.headers_mut());
    }
    allow_origin(state, &parts.headers, response.headers_mut());
    debug!(
        method = %parts.method,
        path,
        status = response.status().as_u16(),
        duration_ms = began.elapsed().as_millis(),
        "answered a request to the API"
    );
    response
}

/// The response with a reply; without its document if the client has it already.
fn shown(
    Done { reply, status }: Done,
    dialect: &RestDialect,
    format: Format,
    asked: &HeaderMap,
    aside: &Aside,
) -> Response {
    let tag = match &reply {
        Reply::Document(document) if aside.is_single => Some(etags::tag(&document.text)),
        Reply::Document(_) | Reply::Nothing | Reply::Raw(_) => None,
    };
    let reply = if dialect.has_envelope {
        reply.in_envelope()
    } else {
        reply
    };
    let mut response = reply.into_response(format, status);
    if let Some(tag) = tag
        && etags::note(&tag, asked, response.headers_mut())
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
    }
    response
}

/// A reply, with the status of success.
struct Done {
    reply: Reply,
    status: StatusCode,
}

impl From<Reply> for Done {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            status: StatusCode::OK,
        }
    }
}

struct Asked<'a> {
    dialect: &'static RestDialect,
    method: &'a Method,
    verb: Verb,
    headers: &'a HeaderMap,
    query: &'a str,
    segments: Vec<&'a str>,
    source: Source,
    /// Identifier of the request.
    id: &'a str,
    /// The path as it was sent.
    path: &'a str,
}

fn source(extensions: &http::Extensions) -> Source {
    extensions.get().copied().unwrap_or(Source::NONE)
}

async fn answer(
    entry: &Entry,
    asked: &Asked<'_>,
    format: Format,
    body: Body,
    warnings: &Warnings,
    aside: &mut Aside,
) -> Result<Done, Failure> {
    let state = &entry.state;
    let is_get = matches!(*asked.method, Method::GET | Method::HEAD);
    if *asked.method == Method::OPTIONS {
        return Ok(Reply::Nothing.into());
    }
    body::check_length(asked.headers)?;
    if is_get && asked.segments == ["Logout"] {
        return Ok(Reply::Nothing.into());
    }
    let query = Params::parse(asked.query.as_bytes())?;
    if let (true, ["Accounts", _, "Recordings", file]) = (is_get, &asked.segments[..])
        && query.get("Signature").is_some()
    {
        let file = media::signed(state, file, &query, asked.headers).await?;
        return Ok(file.into());
    }
    let Caller {
        account: caller,
        key,
        secret,
    } = authenticated(entry, asked.headers, asked.source).await?;
    aside.standing = entry.rates.count(caller.sid, &secret, Instant::now());
    if let Some(over) = aside.standing.filter(|standing| standing.is_over) {
        let refused = Failure::of(error::TOO_MANY_REQUESTS).saying(over.text());
        return Err(refused.retry_after(over.wait()));
    }
    check_status(&caller, &asked.segments)?;
    let found = route::find(asked.dialect, asked.verb, &asked.segments);
    let route = found.as_ref().and_then(|found| found.route.as_ref().ok());
    let takes_document = route.is_some_and(|route| route.document.is_some());
    let (mut params, mut sent) = (query, Bytes::new());
    if matches!(asked.verb, Verb::Post | Verb::Put) {
        let bytes = body::read(body).await?;
        params = if takes_document {
            Params::default()
        } else {
            body::form(asked.dialect, asked.headers, &bytes)?
        };
        if asked.verb == Verb::Post {
            // An API key may permit less than its account, so it has keys of its own here.
            let own = key
                .as_ref()
                .map_or_else(String::new, |key| key.sid.to_string());
            let path = asked.segments.join("/");
            let route = format!("{own} {} {path}", asked.dialect.base);
            if let Some(key) = replays::key(asked.headers, caller.sid, &route)? {
                let parts = [format.media_type().as_bytes(), &bytes];
                match replays::claim(&state.store, key, &parts).await? {
                    Ok(claimed) => aside.claimed = Some(claimed),
                    Err(replayed) => return Ok(Reply::Raw(Box::new(replayed)).into()),
                }
            }
        }
        sent = bytes;
    }
    let context = Context {
        state,
        dialect: asked.dialect,
        format,
        path: "",
        params,
        body: sent,
        headers: asked.headers,
        caller,
        key,
        witness: asked.verb.is_change().then(Witness::default),
        warnings,
    };
    dispatch(entry, context, asked, aside).await
}

/// Runs the route of the request, if the caller's role permits its action.
async fn dispatch(
    entry: &Entry,
    mut context: Context<'_>,
    asked: &Asked<'_>,
    aside: &mut Aside,
) -> Result<Done, Failure> {
    let (method, path) = (asked.verb, &asked.segments[..]);
    let dialect = context.dialect;
    let found = route::find(dialect, method, path).ok_or_else(|| {
        let text = unrouted::text(dialect, path);
        Failure::not_found().saying(text)
    })?;
    context.path = found.path;
    let route = found.route.map_err(|methods| Failure::method(&methods))?;
    let account = context
        .operate(found.account, route.action, route.target)
        .await?;
    if route.top_only && !context.is_super_admin() {
        return Err(Failure::forbidden().saying("Only the top account may do this."));
    }
    warn_of_params(&context, route);
    check_query(&context, asked)?;
    aside.is_single = method == Verb::Get && route.answers.is_single();
    let conditional = method.is_change() && etags::is_conditional(context.headers);
    let _turn = if conditional {
        let resource = format!("{} {}", account.sid, path.join("/"));
        entry.turns.of(&resource).await
    } else {
        None
    };
    let before = if method.is_change() {
        present(&context, path, &account).await
    } else {
        Ok(None)
    };
    if conditional {
        let none = || Failure::of(error::PRECONDITION).saying("There is no ETag at this path.");
        let Present {
            route: reading,
            document,
            ..
        } = before
            .as_ref()
            .map_err(Clone::clone)?
            .as_ref()
            .ok_or_else(none)?;
        context.permit(reading.action, reading.target)?;
        etags::check(&etags::tag(document), context.headers)?;
    }
    let done = handled(&mut context, route, &account, &found.segment).await;
    // A deletion of what does not exist succeeds at some paths.
    let was_missing = method == Verb::Delete && before.is_err();
    if method.is_change() && done.is_ok() && !was_missing {
        let origin = Origin {
            request: asked.id,
            method: asked.method,
            path: asked.path,
            source: asked.source,
        };
        let before = before.ok().flatten().and_then(|present| present.shown);
        audit::note(&context, &origin, &account, before).await;
    }
    let place = route.paths.first().copied().unwrap_or_default();
    let place = place.trim_start_matches("/Accounts/{account}");
    for (code, text) in context.warnings.all() {
        let text = format!("{} {place}: {text}", route.method.as_str());
        let (store, notices) = (&context.state.store, &entry.notices);
        notices.notify(store, &account, (code, text), now());
    }
    done
}

/// A resource before a change.
struct Present {
    /// The row that shows it.
    route: &'static Route,
    /// The answer to a GET.
    document: String,
    /// The same for the audit log.
    shown: Option<String>,
}

/// The resource that a change is about, as a GET of the same path shows it; `None` if there is no
/// such GET.
async fn present(
    context: &Context<'_>,
    path: &[&str],
    account: &Account,
) -> Result<Option<Present>, Failure> {
    let dialect = context.dialect;
    let Some(Found {
        path: pattern,
        route: Ok(route),
        segment,
        ..
    }) = route::find(dialect, Verb::Get, path)
    else {
        return Ok(None);
    };
    if !route.answers.is_single() {
        return Ok(None);
    }
    let warnings = Warnings::default();
    let reading = Context {
        state: context.state,
        dialect,
        format: context.format,
        path: pattern,
        params: Params::default().checked(route, dialect)?,
        body: Bytes::new(),
        headers: context.headers,
        caller: Arc::clone(&context.caller),
        key: context.key.clone(),
        witness: Some(Witness::default()),
        warnings: &warnings,
    };
    Ok(match (route.handle)(&reading, account, &segment).await? {
        Reply::Document(document) => Some(Present {
            route,
            document: document.text,
            shown: reading.witness.as_ref().and_then(Witness::take),
        }),
        Reply::Nothing | Reply::Raw(_) => None,
    })
}

/// Parameters of a change belong in its body: refuses or warns of those in the query.
fn check_query(context: &Context<'_>, asked: &Asked<'_>) -> Result<(), Failure> {
    if !matches!(asked.verb, Verb::Post | Verb::Put) {
        return Ok(());
    }
    for (name, _) in url::form_urlencoded::parse(asked.query.as_bytes()).take(10) {
        let why = "it is in the query of the address, where it has no effect; send it in the body";
        if context.dialect.refuses_unknown {
            return Err(Failure::parameter(&shown_name(&name), why));
        }
        let text = format!("{}: {why}", shown_name(&name));
        context.warnings.add(error::REQUEST_WARNING, text);
    }
    Ok(())
}

/// Warns of parameters that have no effect, and of addresses at which there is no document.
fn warn_of_params(context: &Context<'_>, route: &'static Route) {
    let (dialect, warnings) = (context.dialect, context.warnings);
    if !dialect.refuses_unknown {
        for unknown in context.params.unknown(route, dialect) {
            let text = format!("{}: unknown parameter{}", unknown.name, unknown.hint());
            warnings.add(error::UNKNOWN_PARAMETER, text);
        }
    }
    for param in route.params_in(dialect) {
        let is_list = matches!(param.kind, Is::Words(_));
        if !is_list && context.params.all(param.name).nth(1).is_some() {
            let name = param.name;
            let text = format!("{name}: it was sent more than once; the first value was used");
            warnings.add(error::REQUEST_WARNING, text);
        }
    }
    for (name, path) in context.params.paths(route, dialect) {
        // Query and login may hold secrets, and the text goes to the log.
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = match path
            .strip_prefix("//")
            .and_then(|rest| rest.rsplit_once('@'))
        {
            Some((_, place)) => format!("//{place}"),
            None => path.to_owned(),
        };
        let text = format!(
            "{name}: `{path}` names this server, which has no documents; write the whole address"
        );
        warnings.add(error::REQUEST_WARNING, text);
    }
}

async fn handled(
    context: &mut Context<'_>,
    route: &'static Route,
    account: &Account,
    segment: &str,
) -> Result<Done, Failure> {
    let dialect = context.dialect;
    context.params = std::mem::take(&mut context.params).checked(route, dialect)?;
    let reply = (route.handle)(context, account, segment).await;
    if let Err(failure) = &reply {
        let (_, status) = failure.shown(dialect);
        debug_assert!(
            route.refusals(dialect).contains(&status.as_u16()),
            "{status} is missing from the row {} {:?}",
            route.method.as_str(),
            route.paths,
        );
    }
    let reply = reply?;
    let status = StatusCode::from_u16(dialect.pick(route.status)).unwrap_or(StatusCode::OK);
    Ok(Done { reply, status })
}

/// A recording requested only by its name: with a signature, or credentials of its owner.
async fn media_file(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    let state = &entry.state;
    let (parts, _) = request.into_parts();
    let file = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let warnings = Warnings::default();
    let answer = async {
        let query = Params::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Failure::method("GET, HEAD"));
        }
        if query.get("Signature").is_some() {
            return media::signed(state, file, &query, &parts.headers).await;
        }
        let caller = authenticated(&entry, &parts.headers, source(&parts.extensions)).await?;
        let Caller {
            account: caller,
            key,
            ..
        } = caller;
        check_status(&caller, &["Accounts"])?;
        let context = Context {
            state,
            dialect: &RestDialect::RESTCOMM,
            format: Format::Xml,
            path: "",
            params: Params::default(),
            body: Bytes::new(),
            headers: &parts.headers,
            caller,
            key,
            witness: None,
            warnings: &warnings,
        };
        recordings::file(&context, None, file).await
    };
    let mut response = match answer.await {
        Ok(reply) => reply.into_response(Format::Xml, StatusCode::OK),
        Err(failure) => {
            failure.into_response(Format::Xml, &RestDialect::RESTCOMM, &state.public_base)
        }
    };
    warnings.write(response.headers_mut());
    response
}

fn verb(method: &Method, headers: &HeaderMap) -> Verb {
    const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
    let meant = match headers.get(OVERRIDE).and_then(|value| value.to_str().ok()) {
        // Only for methods that many clients cannot send; any other is not supported.
        Some(meant @ ("LINK" | "UNLINK")) if *method == Method::PUT => meant,
        Some(_) if *method == Method::PUT => "",
        Some(_) | None => method.as_str(),
    };
    match meant {
        "GET" | "HEAD" => Verb::Get,
        "POST" => Verb::Post,
        "PUT" => Verb::Put,
        "DELETE" => Verb::Delete,
        "LINK" => Verb::Link,
        "UNLINK" => Verb::Unlink,
        _ => Verb::Other,
    }
}

/// Who sent a request.
struct Caller {
    account: Arc<Account>,
    /// The key that was used, if any.
    key: Option<Arc<ApiKey>>,
    /// The token, password or secret of the key.
    secret: String,
}

/// The sender by the `Authorization` header.
async fn authenticated(
    entry: &Entry,
    headers: &HeaderMap,
    source: Source,
) -> Result<Caller, Failure> {
    let (login, secret) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(basic)
        .ok_or_else(Failure::unauthenticated)?;
    if let Ok(sid) = login.parse() {
        return of_key(entry, sid, secret, source).await;
    }
    let store = &entry.state.store;
    let account = store.account_of_login(&login).await?;
    let found = account.as_deref();
    let known = || found.is_some_and(|account| store.knows(account, &secret));
    if !known() {
        let name = found.map_or_else(|| login.to_lowercase(), |account| account.sid.to_string());
        let verify = async {
            let verified = store.is_password(found, &secret).await;
            verified.map_err(Failure::from)
        };
        if !entry.guard.admit(source, &name, known, verify).await? {
            return Err(Failure::unauthenticated());
        }
    }
    let account = account.ok_or_else(Failure::unauthenticated)?;
    Ok(Caller {
        account,
        key: None,
        secret,
    })
}

/// The sender of a request with an API key. Wrong secrets count as wrong passwords do.
async fn of_key(
    entry: &Entry,
    sid: KeySid,
    secret: String,
    source: Source,
) -> Result<Caller, Failure> {
    let store = &entry.state.store;
    let key = store.api_key(sid).await?;
    let key = key.filter(|key| store.is_key(key, &secret, now()));
    let Some(key) = key else {
        let wrong = async { Ok(false) };
        let name = sid.to_string();
        entry.guard.admit(source, &name, || false, wrong).await?;
        return Err(Failure::unauthenticated());
    };
    let account = store.account(key.account).await?;
    Ok(Caller {
        account: account.ok_or_else(Failure::unauthenticated)?,
        key: Some(Arc::new(key)),
        secret,
    })
}

/// User and password of `Basic …` (RFC 7617 §2); the scheme in any letter case (RFC 9110 §11.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// An account that waits for its first password may access only accounts.
fn check_status(caller: &Account, path: &[&str]) -> Result<(), Failure> {
    let allowed = match caller.status {
        AccountStatus::Active => true,
        AccountStatus::Uninitialized => path.first() == Some(&"Accounts"),
        AccountStatus::Closed | AccountStatus::Suspended | AccountStatus::Inactive => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(Failure::of(error::ACCOUNT_NOT_ACTIVE))
    }
}

/// Allows web pages of the configured origins to read the answer (Fetch Standard §3.2).
fn allow_origin(state: &ApiState, asked: &HeaderMap, headers: &mut HeaderMap) {
    let Some(origin) = asked.get(ORIGIN) else {
        return;
    };
    let is_allowed = |allowed: &String| allowed.as_bytes() == origin.as_bytes();
    if !state.allowed_origins.iter().any(is_allowed) {
        return;
    }
    headers.insert("access-control-allow-origin", origin.clone());
    for (name, value) in [
        (
            "access-control-allow-headers",
            "origin, content-type, accept, authorization, idempotency-key, if-match, if-none-match, link, \
             x-http-method-override",
        ),
        ("access-control-allow-credentials", "true"),
        (
            "access-control-allow-methods",
            "GET, POST, PUT, DELETE, LINK, UNLINK, OPTIONS, HEAD",
        ),
        (
            "access-control-expose-headers",
            "etag, idempotent-replayed, link, location, patchcord-warning, ratelimit-limit, ratelimit-policy, \
             ratelimit-remaining, ratelimit-reset, retry-after, x-request-id",
        ),
        ("access-control-max-age", "1209600"),
        ("vary", "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_basic_credentials_in_any_letter_case() {
        let table = [
            ("Basic YTpiOmM=", Some(("a", "b:c"))),
            ("Basic YTo=", Some(("a", ""))),
            ("basic YTpi", Some(("a", "b"))),
            ("BASIC  YTpi", Some(("a", "b"))),
            ("Basically YTpi", None),
            ("Bearer YTpi", None),
            ("Basic ###", None),
            ("Basic YQ==", None),
        ];
        for (header, expected) in table {
            let found = basic(header);
            let found = found.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
            assert_eq!(found, expected, "{header}");
        }
    }
}
