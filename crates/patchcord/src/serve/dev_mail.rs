//! `/dev/mail`: the mails that the catcher keeps for a developer, as plain pages.
//!
//! **Invariant: only a browser on this machine sees them.** A page of another site cannot read them through the browser
//! either: the request must name this machine, and nothing of a mail runs scripts or loads anything.

use std::fmt::Write as _;
use std::future::ready;
use std::sync::Arc;

use ::mail::{Attachment, Catcher, CaughtMail};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use model::Source;

/// Nothing but the styles of the page, the body in its frame, and attached sounds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; \
    media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The body of a mail, which may be anything: it runs nothing, and loads nothing.
const BODY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;\
    color:#222;background:#fff}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em .3em 0;\
    border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}iframe{width:100%;height:24em;border:1px solid #ccc}\
    .note{color:#666}button{font:inherit}";

/// The routes of the pages.
pub(super) fn routes(catcher: Arc<Catcher>) -> Router {
    let of = || Arc::clone(&catcher);
    let (list, json, one, body, message, part, clear) = (of(), of(), of(), of(), of(), of(), of());
    let mail = |catcher: Arc<Catcher>, show: fn(&CaughtMail) -> Response| {
        get(move |Path(sid): Path<String>| {
            ready(found(&catcher, &sid).map_or_else(missing, |mail| show(&mail)))
        })
    };
    Router::new()
        .route("/dev/mail", get(move || ready(page(&list_page(&list)))))
        .route(
            "/dev/mail.json",
            get(move || ready(plain("application/json", list_json(&json)))),
        )
        .route(
            "/dev/mail/clear",
            post(move || {
                clear.clear();
                ready(see_other("/dev/mail"))
            }),
        )
        .route("/dev/mail/{sid}", mail(one, |mail| page(&mail_page(mail))))
        .route("/dev/mail/{sid}/body", mail(body, body_of))
        .route(
            "/dev/mail/{sid}/message.eml",
            mail(message, |mail| {
                file("message/rfc822", "message.eml", mail.message.clone())
            }),
        )
        .route(
            "/dev/mail/{sid}/attachments/{at}",
            get(move |Path((sid, at)): Path<(String, usize)>| {
                let mail = found(&part, &sid);
                let attachment = mail.as_ref().and_then(|mail| mail.attachments.get(at));
                ready(attachment.map_or_else(missing, |part: &Attachment| {
                    file(part.kind, &part.name, part.content.clone())
                }))
            }),
        )
        .layer(from_fn(only_here))
}

/// Refuses requests of other machines, and those that name another host, as they come from a page whose name was made to
/// lead here.
async fn only_here(request: Request, next: Next) -> Response {
    let source = request.extensions().get::<Source>();
    let is_local = source.is_some_and(|source| source.is_loopback());
    if is_local && names_this_machine(request.headers()) {
        next.run(request).await
    } else {
        let text = "Open this page on the machine of the server, at http://localhost.\n";
        answer(
            StatusCode::FORBIDDEN,
            "text/plain; charset=utf-8",
            text.into(),
        )
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let ip = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn found(catcher: &Catcher, sid: &str) -> Option<Arc<CaughtMail>> {
    catcher.mail(sid.parse().ok()?)
}

fn list_page(catcher: &Catcher) -> String {
    let mails = catcher.mails();
    let mut text = String::from("<h1>E-mail</h1>");
    if mails.is_empty() {
        text.push_str(
            "<p class=note>No e-mail yet. What documents and the API send is kept here, and not sent.</p>",
        );
        return text;
    }
    text.push_str("<table><tr><th>Time<th>From<th>To<th>Subject<th>Attached</tr>");
    for mail in &mails {
        let email = &mail.email;
        let _ = write!(
            text,
            "<tr><td>{}<td>{}<td>{}<td><a href=\"/dev/mail/{}\">{}</a><td>{}</tr>",
            email.created.rfc2822(),
            escaped(&email.from),
            escaped(&email.to),
            email.sid,
            subject(&email.subject),
            mail.attachments.len()
        );
    }
    let _ = write!(
        text,
        "</table><p class=note>The newest {} are kept, in memory.</p>\
         <form method=post action=/dev/mail/clear><button>Delete all</button></form>",
        ::mail::MAX_CAUGHT
    );
    text
}

fn mail_page(mail: &CaughtMail) -> String {
    let email = &mail.email;
    let mut text = format!(
        "<p><a href=/dev/mail>All e-mails</a></p><h1>{}</h1><table>",
        subject(&email.subject)
    );
    let call = email.call.map(|call| call.to_string()).unwrap_or_default();
    for (name, value) in [
        ("From", email.from.clone()),
        ("To", email.to.clone()),
        ("Cc", email.cc.join(", ")),
        ("Bcc", email.bcc.join(", ")),
        ("Time", email.created.rfc2822()),
        ("Account", email.account.to_string()),
        ("Call", call),
    ] {
        if !value.is_empty() {
            let _ = write!(text, "<tr><th>{name}<td>{}</tr>", escaped(&value));
        }
    }
    text.push_str("</table>");
    let sid = email.sid;
    if email.html {
        let _ = write!(
            text,
            "<p><iframe sandbox title=\"Text of the e-mail\" src=\"/dev/mail/{sid}/body\"></iframe></p>"
        );
    } else {
        let _ = write!(
            text,
            "<pre style=\"white-space:pre-wrap\">{}</pre>",
            escaped(&email.body)
        );
    }
    for (at, part) in mail.attachments.iter().enumerate() {
        let path = format!("/dev/mail/{sid}/attachments/{at}");
        let _ = write!(
            text,
            "<p><a href=\"{path}\">{}</a> ({} bytes)<br><audio controls preload=none src=\"{path}\"></audio></p>",
            escaped(&part.name),
            part.content.len()
        );
    }
    let _ = write!(
        text,
        "<p><a href=\"/dev/mail/{sid}/message.eml\">The message as sent</a></p>"
    );
    text
}

fn list_json(catcher: &Catcher) -> String {
    let mails = catcher.mails();
    let mails = mails.iter().map(|mail| {
        let email = &mail.email;
        let parts = mail.attachments.iter().map(|part| {
            serde_json::json!({"name": part.name, "type": part.kind, "size": part.content.len()})
        });
        serde_json::json!({
            "sid": email.sid,
            "from": email.from,
            "to": email.to,
            "cc": email.cc,
            "bcc": email.bcc,
            "subject": email.subject,
            "body": email.body,
            "html": email.html,
            "attachments": parts.collect::<Vec<_>>(),
        })
    });
    serde_json::Value::Array(mails.collect()).to_string()
}

fn body_of(mail: &CaughtMail) -> Response {
    let kind = if mail.email.html {
        "text/html; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let mut response = plain(kind, mail.email.body.clone());
    let policy = axum::http::HeaderValue::from_static(BODY_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn subject(text: &str) -> String {
    if text.is_empty() {
        "(no subject)".to_owned()
    } else {
        escaped(text)
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

fn page(content: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>E-mail - Patchcord</title><style>{STYLE}</style>{content}</html>\n"
    );
    plain("text/html; charset=utf-8", text)
}

fn plain(kind: &str, text: String) -> Response {
    answer(StatusCode::OK, kind, text.into())
}

fn missing() -> Response {
    let text = "There is no such e-mail here any more.\n";
    answer(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        text.into(),
    )
}

/// A file, of a name that this server made.
fn file(kind: &str, name: &str, content: Vec<u8>) -> Response {
    let mut response = answer(StatusCode::OK, kind, content.into());
    if let Ok(value) = format!("inline; filename=\"{name}\"").parse() {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

fn see_other(path: &'static str) -> Response {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", Body::empty());
    let path = axum::http::HeaderValue::from_static(path);
    response.headers_mut().insert(LOCATION, path);
    response
}

fn answer(status: StatusCode, kind: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_hosts_are_this_machine() {
        let table = [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:8080", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:8080", false),
            ("", false),
        ];
        for (host, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            assert_eq!(names_this_machine(&headers), expected, "{host}");
        }
        assert!(!names_this_machine(&HeaderMap::new()));
    }
}
