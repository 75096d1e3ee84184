//! WebSocket connections to applications (RFC 6455).
//!
//! The handshake is an ordinary request of the same clients, so the rules for addresses and TLS are the
//! same. **Invariant: the handshake is signed for the ws or wss address, and follows no redirect.**
//! Left to others: what the messages mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use model::egress::{AddressPolicy, Refused};
use model::{HttpMethod, error};
use sha1::{Digest as _, Sha1};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use crate::address::Target;
use crate::client::{ClientError, Outgoing};
use crate::error::{FetchError, Problem};
use crate::fetch::{Fetcher, cause, innermost, is_plain, is_timeout, now_s};
use crate::signature::{Sent, Stamp};

/// Maximum length of a message from the server, in bytes.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Maximum octets read at once. The library clears that many before each read, so a large value costs time, and
/// keeps them for each connection.
const READ_AT_ONCE: usize = 4096;
/// Appended to the key of a handshake (RFC 6455 §4.2.2).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection.
pub type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// A connection to make.
#[derive(Clone, Debug)]
pub struct SocketRequest {
    /// Absolute `ws` or `wss` address, possibly with user-info.
    pub url: String,
    /// Addresses that the account may reach.
    pub policy: AddressPolicy,
    /// Its event id and signature.
    pub stamp: Option<Stamp>,
}

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct SocketError {
    /// Number in the error table.
    pub code: u16,
    /// Human-readable, with the address and without credentials.
    pub text: String,
}

impl From<FetchError> for SocketError {
    fn from(error: FetchError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

impl Fetcher {
    /// Connects to a WebSocket server.
    ///
    /// # Errors
    /// [`SocketError`] if that fails within the time limit for documents.
    pub async fn open_socket(&self, request: SocketRequest) -> Result<WebSocket, SocketError> {
        let limit = self.config.timeout;
        match tokio::time::timeout(limit, self.handshake(&request)).await {
            Ok(result) => result,
            Err(_) => Err(at(&request.url, error::STREAM_TIMEOUT, &unanswered(limit))),
        }
    }

    async fn handshake(&self, request: &SocketRequest) -> Result<WebSocket, SocketError> {
        let shown = &request.url;
        let target = Target::parse(&swapped(shown, [("wss", "https"), ("ws", "http")])?)?;
        self.check_literal(&target, request.policy)?;
        let signed = swapped(target.url.as_str(), [("https", "wss"), ("http", "ws")])?;
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let headers = headers(request, &target, &signed, &key, self.user_agent(&target)?)?;
        let outgoing = Outgoing {
            method: Method::GET,
            url: target.url.clone(),
            headers,
            body: Bytes::new(),
        };
        let sent = self.clients.upgrade(request.policy, outgoing).await;
        let (head, upgraded) = sent.map_err(|error| explain(shown, self.config.timeout, &error))?;
        let refusal = |text: &str| at(shown, error::STREAM_HANDSHAKE, text);
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            let status = head.status.as_u16();
            let text = format!("the server answered the handshake with status {status}, not 101");
            return Err(refusal(&text));
        }
        let accept = head.headers.get(header::SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept.as_bytes() != accepted(&key).as_bytes()) {
            return Err(refusal(
                "the answer to the handshake has a wrong Sec-WebSocket-Accept",
            ));
        }
        let upgraded = upgraded
            .await
            .map_err(|_| refusal("the connection broke after the handshake"))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .read_buffer_size(READ_AT_ONCE)
            // Each message is written at once.
            .write_buffer_size(0);
        let stream = TokioIo::new(upgraded);
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
    }
}

/// The answer that the server must give to a key.
fn accepted(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// The same address with another scheme.
fn swapped(url: &str, schemes: [(&str, &str); 2]) -> Result<String, SocketError> {
    let invalid = |text: &str| at(url, error::BAD_URI, text);
    let mut parsed = Url::parse(url).map_err(|error| invalid(&error.to_string()))?;
    let found = schemes.iter().find(|(from, _)| *from == parsed.scheme());
    let (_, to) = found.ok_or_else(|| invalid("the address is neither ws nor wss"))?;
    // Between these schemes it cannot fail.
    let _ = parsed.set_scheme(to);
    Ok(parsed.into())
}

fn headers(
    request: &SocketRequest,
    target: &Target,
    signed: &str,
    key: &str,
    user_agent: HeaderValue,
) -> Result<HeaderMap, SocketError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, user_agent);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    let marks = request.stamp.as_ref().map(|stamp| {
        stamp.headers(&Sent {
            method: HttpMethod::Get,
            url: signed,
            form: &[],
            body: "",
            at_s: now_s(),
        })
    });
    let credentials = target.authorization.clone();
    let credentials = credentials.map(|value| ("authorization".to_owned(), value));
    let key = ("sec-websocket-key".to_owned(), key.to_owned());
    let all = marks.into_iter().flatten().chain(credentials).chain([key]);
    for (name, value) in all {
        let bad = |_| {
            at(
                &request.url,
                error::BAD_URI,
                "a header has forbidden characters",
            )
        };
        let value = HeaderValue::from_str(&value).map_err(|_| bad(()))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn explain(url: &str, limit: std::time::Duration, error: &ClientError) -> SocketError {
    if let Some(Refused(address)) = cause::<Refused>(error) {
        let address = *address;
        return FetchError::new(url, Problem::Refused { address }).into();
    }
    if is_timeout(error) {
        return at(url, error::STREAM_TIMEOUT, &unanswered(limit));
    }
    if is_plain(error) {
        let text = "the server does not speak TLS on this port; use ws:// if it speaks WebSocket";
        return at(url, error::STREAM_TLS, text);
    }
    let io = cause::<std::io::Error>(error).and_then(std::io::Error::get_ref);
    let code = match io.and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
        Some(_) => error::STREAM_TLS,
        None if cause::<std::io::Error>(error).is_some() => error::STREAM_REFUSED,
        None => error::STREAM_HANDSHAKE,
    };
    at(url, code, &innermost(error))
}

fn unanswered(limit: std::time::Duration) -> String {
    format!("no answer within {} s", limit.as_secs_f32())
}

fn at(url: &str, code: u16, text: &str) -> SocketError {
    let url = model::address::redacted(url);
    SocketError {
        code,
        text: format!("{url}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_a_key_as_the_standard_says() {
        // The example in RFC 6455 §1.3.
        let accept = accepted("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
