//! `/healthz` and `/readyz`: is the process alive, and does it take new calls. `/`, and any path that does not exist,
//! says where everything else is.
//!
//! **Invariant: all answer without asking anything else**, so a slow database cannot get a healthy
//! server restarted.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

use crate::shutdown::Stage;

/// What a browser or `curl` sees first.
const FRONT_PAGE: &str = "\
This is Patchcord.

API, with the SID and token of an account:
  /restcomm/2012-04-24/Accounts.json    as Restcomm's clients expect it
  /2010-04-01/Accounts.json             as Twilio's clients expect it
  /docs                                 every resource, to read and try out
Health:
  /healthz                              the process is alive
  /readyz                               it takes new calls
Documentation, in the source code:
  README.md, docs/rest.md, docs/rcml.md, docs/twilio.md; error numbers: /restcomm/errors/12100.html
";

/// The routes.
///
/// - `writable`: whether records can be written, without which no call is accepted; must return
///   immediately
pub(crate) fn routes(
    stages: watch::Receiver<Stage>,
    writable: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> Router {
    let ready = move || std::future::ready(ready(*stages.borrow(), writable()));
    Router::new()
        .route("/", get(|| std::future::ready(FRONT_PAGE)))
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(ready))
        .fallback(|| std::future::ready((StatusCode::NOT_FOUND, no_such_path())))
}

fn no_such_path() -> String {
    format!("There is no such path here.\n\n{FRONT_PAGE}")
}

fn ready(stage: Stage, writable: bool) -> (StatusCode, &'static str) {
    match stage {
        Stage::Running if writable => (StatusCode::OK, "ready\n"),
        Stage::Running => (
            StatusCode::SERVICE_UNAVAILABLE,
            "records cannot be written\n",
        ),
        Stage::Draining | Stage::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn ready_only_while_running_and_writing() {
        let table = [
            ("/", Stage::Running, true, 200),
            ("/Accounts/AC1/Calls", Stage::Running, true, 404),
            ("/restcomm/2010-04-01/Accounts", Stage::Running, true, 404),
            ("/healthz", Stage::Running, true, 200),
            ("/readyz", Stage::Running, true, 200),
            ("/healthz", Stage::Running, false, 200),
            ("/readyz", Stage::Running, false, 503),
            ("/healthz", Stage::Draining, true, 200),
            ("/readyz", Stage::Draining, true, 503),
        ];
        for (path, stage, writable, expected) in table {
            let (_stages, receiver) = watch::channel(stage);
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = routes(receiver, move || writable)
                .oneshot(request)
                .await
                .unwrap();
            assert_eq!(
                response.status().as_u16(),
                expected,
                "{path} while {stage:?}, {writable}"
            );
            let body = axum::body::to_bytes(response.into_body(), 10_000).await;
            let body = String::from_utf8_lossy(&body.unwrap()).into_owned();
            let names_addresses = body.contains("/2010-04-01/Accounts.json");
            assert_eq!(names_addresses, path == "/" || expected == 404, "{path}");
        }
    }
}
