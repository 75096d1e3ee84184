//! WebSocket connections: the handshake, and what can go wrong with it.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use model::{EventSid, error};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use webhook::{AddressPolicy, FetchConfig, Fetcher, Secrets, SocketRequest, Stamp};

/// How a server answers the handshake.
#[derive(Clone, Copy, PartialEq)]
enum Answers {
    Well,
    /// With the answer to another key.
    Wrongly,
    Status(u16),
    /// With this instead of HTTP.
    Text(&'static str),
    Never,
}

/// Serves one connection; returns its address, and the head of the request.
async fn serve(answers: Answers) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
            if let Answers::Text(text) = answers {
                let _ = stream.write_all(text.as_bytes()).await;
                break;
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        answer(answers, &head, stream).await;
        head
    });
    (address, served)
}

async fn answer(answers: Answers, head: &str, mut stream: TcpStream) {
    let key = header(head, "sec-websocket-key").unwrap_or_default();
    let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let text = match answers {
        Answers::Well => key + guid,
        Answers::Wrongly => guid.to_owned(),
        Answers::Status(status) => {
            let text = format!("HTTP/1.1 {status} No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(text.as_bytes()).await;
            return;
        }
        Answers::Text(_) => return,
        Answers::Never => return std::future::pending().await,
    };
    let accept = STANDARD.encode(Sha1::digest(text));
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.expect("written");
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    if let Some(Ok(message)) = socket.next().await {
        socket.send(message).await.expect("sent");
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

fn fetcher() -> Fetcher {
    Fetcher::new(FetchConfig {
        timeout: std::time::Duration::from_millis(300),
        ..FetchConfig::default()
    })
    .expect("a fetcher")
}

fn request(url: &str, private_ok: bool) -> SocketRequest {
    SocketRequest {
        url: url.to_owned(),
        policy: AddressPolicy { private_ok },
        stamp: Some(Stamp {
            event: EventSid::from_bytes([7; 16]),
            secrets: Some(Secrets {
                primary: "12345".to_owned(),
                secondary: None,
            }),
        }),
    }
}

#[tokio::test]
async fn messages_pass_after_a_signed_handshake() {
    let (address, served) = serve(Answers::Well).await;
    let url = format!("ws://kim:secret@{address}/a?b=c");
    let opened = fetcher().open_socket(request(&url, true)).await;
    let mut socket = opened.expect("a connection");
    socket.send(Message::text("hello")).await.expect("sent");
    let echo = socket.next().await.expect("a message").expect("whole");
    assert_eq!(echo, Message::text("hello"));
    let head = served.await.expect("a request");
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    let signed = format!("ws://{address}/a?b=c");
    let expected = [
        ("host", address.to_string()),
        ("upgrade", "websocket".to_owned()),
        ("sec-websocket-version", "13".to_owned()),
        ("authorization", "Basic a2ltOnNlY3JldA==".to_owned()),
        ("x-patchcord-signed-url", signed),
        (
            "x-patchcord-event",
            "EV07070707070707070707070707070707".to_owned(),
        ),
    ];
    for (name, value) in expected {
        assert_eq!(header(&head, name), Some(value), "{head}");
    }
    for name in [
        "x-twilio-signature",
        "x-patchcord-signature",
        "x-patchcord-timestamp",
    ] {
        assert!(header(&head, name).is_some(), "{head}");
    }
}

#[tokio::test]
async fn each_failure_has_its_number() {
    let table = [
        (
            Answers::Status(404),
            "ws",
            error::STREAM_HANDSHAKE,
            "status 404, not 101",
        ),
        // A redirect is not followed.
        (
            Answers::Status(302),
            "ws",
            error::STREAM_HANDSHAKE,
            "status 302, not 101",
        ),
        (
            Answers::Status(200),
            "ws",
            error::STREAM_HANDSHAKE,
            "status 200, not 101",
        ),
        (
            Answers::Wrongly,
            "ws",
            error::STREAM_HANDSHAKE,
            "wrong Sec-WebSocket-Accept",
        ),
        (
            Answers::Never,
            "ws",
            error::STREAM_TIMEOUT,
            "no answer within 0.3 s",
        ),
        (
            Answers::Text("hello there\r\n"),
            "ws",
            error::STREAM_HANDSHAKE,
            "",
        ),
        (
            Answers::Text("hello there\r\n"),
            "wss",
            error::STREAM_TLS,
            "does not speak TLS",
        ),
        (Answers::Well, "http", error::BAD_URI, "neither ws nor wss"),
    ];
    for (answers, scheme, code, text) in table {
        let (address, _served) = serve(answers).await;
        let url = format!("{scheme}://kim:secret@{address}/");
        let failed = fetcher().open_socket(request(&url, true)).await;
        let failed = failed.expect_err("no connection");
        assert_eq!(failed.code, code, "{failed}");
        assert!(
            failed.text.contains(text) && !failed.text.contains("secret"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_or_not_there_is_not_reached() {
    let (address, served) = serve(Answers::Well).await;
    for host in [address.to_string(), format!("localhost:{}", address.port())] {
        let failed = fetcher()
            .open_socket(request(&format!("ws://{host}/"), false))
            .await;
        let failed = failed.expect_err("no connection");
        assert_eq!(failed.code, error::ADDRESS_REFUSED, "{failed}");
    }
    assert!(!served.is_finished());
    served.abort();
    let _ = served.await;
    let failed = fetcher()
        .open_socket(request(&format!("ws://{address}/"), true))
        .await;
    let failed = failed.expect_err("no connection");
    assert_eq!(failed.code, error::STREAM_REFUSED, "{failed}");
}
