//! Entry of requests: format, size, credentials, then the row of the route that the path names.
//!
//! **Invariant: credentials are checked before anything about a path is revealed.** Only `Logout`
//! and signed links to media need none.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::record::Account;
use model::{AccountStatus, Source, error};

use crate::ApiState;
use crate::context::{Context, Reply, now};
use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::format::{Format, segments};
use crate::guard::Guard;
use crate::media;
use crate::params::Params;
use crate::resources::caller_ids::validation;
use crate::resources::recordings;
use crate::route::{self, Route, Verb};
use crate::unrouted;
use crate::warnings::{Notices, Warnings};

/// Maximum size of a form in bytes. Nothing larger is read, so that parsing never blocks a worker
/// that calls need too.
const MAX_FORM: usize = 256 * 1024;
/// How long a client may take to send its form.
const FORM_PATIENCE: Duration = Duration::from_secs(30);
const NOT_A_FORM: &str =
    "Send the parameters as a form (`curl -d Name=value`), not as JSON or anything else.";

/// The API as a router, to be served alone or merged with others.
///
/// Requests carry their [`Source`] as an extension; those without one count as one source.
pub fn router(state: ApiState) -> Router {
    let state = Arc::new(Entry {
        state,
        guard: Guard::new(),
        notices: Arc::default(),
    });
    let mut router = Router::new()
        .route("/restcomm/recordings/{file}", any(media_file))
        .route("/restcomm/errors/{page}", any(error_page))
        .route(validation::PATH, any(validated));
    for dialect in RestDialect::ALL {
        // At some base paths, links in answers omit part of the base path. They are accepted
        // unchanged.
        let mut bases = vec![dialect.base, dialect.link_base];
        bases.dedup();
        for base in bases {
            let handle = move |State(entry): State<Arc<Entry>>, request: Request| async move {
                handle(&entry, dialect, base, request).await
            };
            router = router
                .route(base, any(handle))
                .route(&format!("{base}/"), any(handle))
                .route(&format!("{base}/{{*path}}"), any(handle));
        }
    }
    router.with_state(state)
}

/// The state of the API, the password guard, and recent notifications.
struct Entry {
    state: ApiState,
    guard: Guard,
    notices: Arc<Notices>,
}

async fn handle(
    entry: &Entry,
    dialect: &'static RestDialect,
    base: &'static str,
    request: Request,
) -> Response {
    let state = &entry.state;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let path = path.strip_prefix(base).unwrap_or(path);
    let (segments, is_json) = segments(path);
    let asked = Asked {
        dialect,
        method: &parts.method,
        headers: &parts.headers,
        query: parts.uri.query().unwrap_or_default(),
        segments: segments.iter().map(String::as_str).collect(),
        source: source(&parts.extensions),
    };
    let chosen = Format::choose(is_json, &parts.headers);
    let format = chosen.as_ref().copied().unwrap_or(Format::Xml);
    let warnings = Warnings::default();
    let answer = match chosen {
        Ok(format) => answer(entry, &asked, format, body, &warnings).await,
        Err(failure) => Err(failure),
    };
    let mut response = match answer {
        Ok(Done { reply, status }) => reply.into_response(format, status),
        Err(failure) => failure.into_response(format, dialect, &state.public_base),
    };
    warnings.write(response.headers_mut());
    allow_origin(state, &parts.headers, response.headers_mut());
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
    headers: &'a HeaderMap,
    query: &'a str,
    segments: Vec<&'a str>,
    source: Source,
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
) -> Result<Done, Failure> {
    let state = &entry.state;
    let is_get = matches!(*asked.method, Method::GET | Method::HEAD);
    if *asked.method == Method::OPTIONS {
        return Ok(Reply::Nothing.into());
    }
    check_length(asked.headers)?;
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
    let caller = authenticated(entry, asked.headers, asked.source).await?;
    check_status(&caller, &asked.segments)?;
    let params = match *asked.method {
        Method::POST | Method::PUT => form(asked.headers, body).await?,
        _ => query,
    };
    let context = Context {
        state,
        dialect: asked.dialect,
        format,
        path: "",
        params,
        headers: asked.headers,
        caller,
        warnings,
    };
    dispatch(&entry.notices, context, verb(asked.method), &asked.segments).await
}

/// Runs the route of the request, if the caller's role permits its action.
async fn dispatch(
    notices: &Arc<Notices>,
    mut context: Context<'_>,
    method: Verb,
    path: &[&str],
) -> Result<Done, Failure> {
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
    warn_of_params(&context, route);
    let done = handled(&mut context, route, &account, &found.segment).await;
    let place = route.paths.first().copied().unwrap_or_default();
    let place = place.trim_start_matches("/Accounts/{account}");
    for (code, text) in context.warnings.all() {
        let text = format!("{} {place}: {text}", route.method.as_str());
        notices.notify(&context.state.store, &account, (code, text), now());
    }
    done
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
    let reply = (route.handle)(context, account, segment).await?;
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
        check_status(&caller, &["Accounts"])?;
        let context = Context {
            state,
            dialect: &RestDialect::RESTCOMM,
            format: Format::Xml,
            path: "",
            params: Params::default(),
            headers: &parts.headers,
            caller,
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

/// The keys pressed in a call that validates a caller ID.
async fn validated(State(entry): State<Arc<Entry>>, request: Request) -> Response {
    validation::answer(&entry.state, request).await
}

/// The page that `more_info` links to.
async fn error_page(request: Request) -> Response {
    let page = request.uri().path().rsplit('/').next().unwrap_or_default();
    let row = page
        .strip_suffix(".html")
        .and_then(|code| code.parse().ok())
        .and_then(error::entry);
    let (status, body) = match row {
        Some(row) => (
            StatusCode::OK,
            format!(
                "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code}</title>\
                 <h1>{code}</h1><p>{text}</p><p>{advice}</p></html>",
                code = row.code,
                text = row.text,
                advice = row.advice
            ),
        ),
        None => (StatusCode::NOT_FOUND, "no such error\n".to_owned()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

fn verb(method: &Method) -> Verb {
    match *method {
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Post,
        Method::PUT => Verb::Put,
        Method::DELETE => Verb::Delete,
        _ => Verb::Other,
    }
}

/// The account of the `Authorization` header.
async fn authenticated(
    entry: &Entry,
    headers: &HeaderMap,
    source: Source,
) -> Result<Arc<Account>, Failure> {
    let (login, secret) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(basic)
        .ok_or_else(Failure::unauthenticated)?;
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
    account.ok_or_else(Failure::unauthenticated)
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

fn check_length(headers: &HeaderMap) -> Result<(), Failure> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_FORM) {
        Err(Failure::of(error::TOO_LARGE))
    } else {
        Ok(())
    }
}

/// The parameters of a form; an empty body has none.
async fn form(headers: &HeaderMap, body: Body) -> Result<Params, Failure> {
    let bytes = tokio::time::timeout(FORM_PATIENCE, to_bytes(body, MAX_FORM))
        .await
        .map_err(|_| Failure::of(error::TOO_SLOW))?
        .map_err(|_| Failure::of(error::TOO_LARGE))?;
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if bytes.is_empty() || media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Params::parse(&bytes)
    } else {
        Err(Failure::of(error::UNSUPPORTED_MEDIA).saying(NOT_A_FORM))
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
            "origin, content-type, accept, authorization",
        ),
        ("access-control-allow-credentials", "true"),
        (
            "access-control-allow-methods",
            "GET, POST, PUT, DELETE, OPTIONS, HEAD",
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
