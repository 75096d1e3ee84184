//! The web application of the demo: one document that dials bob, and one for afterwards.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Form, State};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use tokio::net::TcpListener;

/// The document for calls to the number.
pub(super) const VOICE: &str = "\
<Response>
  <Dial action=\"/after\" timeout=\"15\"><Client>bob</Client></Dial>
</Response>
";
/// The document after the dialled call has ended.
const AFTER: &str = "<Response><Hangup/></Response>\n";

/// A request that the application received.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// When it arrived.
    pub(super) at: SystemTime,
    /// When it was answered.
    pub(super) answered: SystemTime,
    pub(super) path: String,
    pub(super) params: Vec<(String, String)>,
    /// The document in the answer, on one line.
    pub(super) document: String,
}

impl Request {
    /// The value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// A running application; it ends with the program.
pub(super) struct App {
    address: SocketAddr,
    requests: Requests,
}

impl App {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.context("cannot listen for the application")?;
        let address = listener.local_addr()?;
        let requests = Requests::default();
        let router = Router::new()
            .route("/voice", post(answer))
            .route("/after", post(answer))
            .with_state(Arc::clone(&requests));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, requests })
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn voice_url(&self) -> String {
        format!("{}/voice", self.base())
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    State(requests): State<Requests>,
    uri: Uri,
    Form(params): Form<Vec<(String, String)>>,
) -> impl IntoResponse {
    let at = SystemTime::now();
    let document = if uri.path() == "/voice" { VOICE } else { AFTER };
    let request = Request {
        at,
        answered: SystemTime::now(),
        path: uri.path().to_owned(),
        params,
        document: document.lines().map(str::trim).collect(),
    };
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    requests.push(request);
    ([(CONTENT_TYPE, "text/xml")], document)
}
