//! `/healthz` and `/readyz`: is the process alive, and does it take new calls.
//!
//! **Invariant: both answer without asking anything else**, so a slow database cannot get a healthy
//! server restarted.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

use crate::shutdown::Stage;

/// The two routes.
pub(crate) fn routes(stages: watch::Receiver<Stage>) -> Router {
    Router::new()
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(ready))
        .with_state(stages)
}

async fn ready(State(stages): State<watch::Receiver<Stage>>) -> (StatusCode, &'static str) {
    match *stages.borrow() {
        Stage::Running => (StatusCode::OK, "ready\n"),
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
    async fn ready_only_while_running() {
        let table = [
            ("/healthz", Stage::Running, 200),
            ("/readyz", Stage::Running, 200),
            ("/healthz", Stage::Draining, 200),
            ("/readyz", Stage::Draining, 503),
        ];
        for (path, stage, expected) in table {
            let (_stages, receiver) = watch::channel(stage);
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = routes(receiver).oneshot(request).await.unwrap();
            assert_eq!(
                response.status().as_u16(),
                expected,
                "{path} while {stage:?}"
            );
        }
    }
}
