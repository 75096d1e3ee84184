//! One request, seen from both ends.

mod support;

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::HttpMethod::{Get, Post};
use model::{EventSid, Timestamp, error};
use support::{Server, fetcher, quick, reply, request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use webhook::{
    AddressPolicy, BodyKind, CookieJar, FetchConfig, FetchRequest, Fetcher, Problem, Stamp,
};

fn params() -> Vec<(String, String)> {
    vec![
        ("CallSid".to_owned(), "CA1".to_owned()),
        ("From".to_owned(), "+1 & ü".to_owned()),
    ]
}

#[tokio::test]
async fn parameters_go_into_query_or_form() {
    let server = Server::start(|_| reply(200, &["Content-Type: text/xml"], "<a/>")).await;
    let form = "CallSid=CA1&From=%2B1+%26+%C3%BC";
    let table = [
        (Get, "/v", format!("GET /v?{form}")),
        (Get, "/v?x=1&y=%20#frag", format!("GET /v?x=1&y=%20&{form}")),
        (Get, "/a&x=1", format!("GET /a&x=1?{form}")),
        (Get, "/v?", format!("GET /v?{form}")),
        (Post, "/v", format!("POST /v {form}")),
        (Post, "/v?x=1#frag", format!("POST /v?x=1 {form}")),
    ];
    for (method, path, expected) in table {
        let asked = FetchRequest {
            params: params(),
            ..request(method, &server.url(path))
        };
        let answer = fetcher().fetch(asked).await.unwrap();
        let seen = server.asked().pop().unwrap();
        assert_eq!(seen.line(), expected);
        assert_eq!((answer.status, answer.attempts), (200, 1));
        assert_eq!(answer.content_type.as_deref(), Some("text/xml"));
        assert_eq!(&answer.body[..], b"<a/>");
        assert_eq!(answer.final_url, server.url(path.trim_end_matches("#frag")));
        let form_type = "application/x-www-form-urlencoded; charset=UTF-8";
        let content_type = seen.header("content-type");
        assert_eq!(content_type, (method == Post).then_some(form_type));
        assert!(seen.header("user-agent").unwrap().starts_with("Patchcord/"));
    }
}

#[tokio::test]
async fn json_replaces_the_form() {
    let server = Server::start(|_| reply(200, &[], "{}")).await;
    for (method, expected) in [(Post, "POST /v {\"a\":1}"), (Get, "GET /v")] {
        let asked = FetchRequest {
            json: Some("{\"a\":1}".to_owned()),
            ..request(method, &server.url("/v"))
        };
        fetcher().fetch(asked).await.unwrap();
        let seen = server.asked().pop().unwrap();
        assert_eq!(seen.line(), expected);
        let content_type = seen.header("content-type");
        assert_eq!(content_type, (method == Post).then_some("application/json"));
    }
}

#[tokio::test]
async fn every_status_is_an_answer() {
    let server = Server::start(|asked| {
        let status = asked.target[1..].parse().unwrap();
        reply(status, &["X-Id: 7"], "body")
    })
    .await;
    for status in [200, 204, 300, 304, 400, 404, 500, 503] {
        let url = server.url(&format!("/{status}"));
        let answer = fetcher().fetch(request(Get, &url)).await.unwrap();
        assert_eq!((answer.status, answer.header("x-id")), (status, Some("7")));
    }
}

#[tokio::test]
async fn redirects_keep_or_change_the_method() {
    let server = Server::start(|asked| match asked.target.split(['/', '?']).nth(1) {
        Some("done") => reply(200, &[], "ok"),
        Some(status) => reply(status.parse().unwrap(), &["Location: ../done?own=1#f"], ""),
        None => reply(404, &[], ""),
    })
    .await;
    let form = "CallSid=CA1&From=%2B1+%26+%C3%BC";
    let again = format!("POST /done?own=1 {form}");
    let table = [
        (Get, 301, "GET /done?own=1"),
        (Get, 302, "GET /done?own=1"),
        (Get, 303, "GET /done?own=1"),
        (Get, 307, "GET /done?own=1"),
        (Get, 308, "GET /done?own=1"),
        (Post, 301, again.as_str()),
        (Post, 302, &again),
        (Post, 303, "GET /done?own=1"),
        (Post, 307, &again),
        (Post, 308, &again),
    ];
    for (method, status, expected) in table {
        let url = server.url(&format!("/{status}/x"));
        let asked = FetchRequest {
            params: params(),
            ..request(method, &url)
        };
        let answer = fetcher().fetch(asked).await.unwrap();
        assert_eq!(server.lines().pop().unwrap(), expected, "{method} {status}");
        assert_eq!((answer.status, answer.attempts), (200, 2));
        assert_eq!(answer.final_url, server.url("/done?own=1"));
    }
    // Without a `Location`, the redirect is the response.
    let plain = Server::start(|_| reply(302, &[], "")).await;
    let answer = fetcher()
        .fetch(request(Get, &plain.url("/")))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.attempts), (302, 1));
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let server = Server::start(|asked| {
        let left: u32 = asked.target[1..].parse().unwrap();
        match left {
            0 => reply(200, &[], ""),
            left => reply(302, &[&format!("Location: /{}", left - 1)], ""),
        }
    })
    .await;
    let answer = fetcher()
        .fetch(request(Post, &server.url("/10")))
        .await
        .unwrap();
    assert_eq!(answer.attempts, 11);
    let error = fetcher()
        .fetch(request(Post, &server.url("/11")))
        .await
        .unwrap_err();
    assert_eq!(error.problem, Problem::TooManyRedirects { limit: 10 });
    assert_eq!(error.code(), error::TOO_MANY_REDIRECTS);
}

#[tokio::test]
async fn credentials_do_not_cross_origins() {
    let other = Server::start(|_| reply(200, &[], "")).await;
    let away = format!("Location: {}", other.url("/away"));
    let server = Server::start(move |asked| match asked.target.as_str() {
        "/near" => reply(307, &["Location: /here"], ""),
        "/far" => reply(307, &[&away], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let with = |path: &str| format!("http://kim:s3@{}{path}", server.address);
    for method in [Get, Post] {
        let answer = fetcher()
            .fetch(request(method, &with("/near")))
            .await
            .unwrap();
        assert_eq!(answer.final_url, with("/here"));
        for seen in server.asked() {
            assert_eq!(
                seen.header("authorization"),
                Some("Basic a2ltOnMz"),
                "{}",
                seen.line()
            );
        }
        let answer = fetcher()
            .fetch(request(method, &with("/far")))
            .await
            .unwrap();
        assert_eq!(answer.final_url, other.url("/away"));
        assert_eq!(other.asked().pop().unwrap().header("authorization"), None);
    }
}

#[tokio::test]
async fn cookies_belong_to_one_call() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/set" => reply(302, &["Set-Cookie: id=7; Path=/", "Location: /next"], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let jar = CookieJar::default();
    let call = |path: &str, jar: &CookieJar| FetchRequest {
        jar: jar.clone(),
        ..request(Get, &server.url(path))
    };
    fetcher().fetch(call("/set", &jar)).await.unwrap();
    fetcher().fetch(call("/later", &jar)).await.unwrap();
    fetcher()
        .fetch(call("/other", &CookieJar::default()))
        .await
        .unwrap();
    let seen = server.asked();
    let cookies: Vec<Option<&str>> = seen.iter().map(|asked| asked.header("cookie")).collect();
    assert_eq!(cookies, [None, Some("id=7"), Some("id=7"), None]);
}

#[tokio::test]
async fn forbidden_addresses_are_never_connected_to() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/cloud" => reply(
            302,
            &["Location: http://169.254.169.254/latest/meta-data"],
            "",
        ),
        "/mapped" => reply(302, &["Location: http://[::ffff:169.254.169.254]/"], ""),
        "/file" => reply(302, &["Location: file:///etc/passwd"], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let port = server.address.port();
    let public = AddressPolicy::default();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "[::1]",
    ] {
        let url = format!("http://{host}:{port}/");
        let asked = FetchRequest {
            policy: public,
            ..request(Get, &url)
        };
        let error = fetcher().fetch(asked).await.unwrap_err();
        assert_eq!(error.code(), error::ADDRESS_REFUSED, "{host}: {error}");
    }
    assert_eq!(server.lines(), Vec::<String>::new());

    for (path, code) in [
        ("/cloud", error::ADDRESS_REFUSED),
        ("/mapped", error::ADDRESS_REFUSED),
        ("/file", error::BAD_URI),
    ] {
        let error = fetcher()
            .fetch(request(Get, &server.url(path)))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error}");
    }

    // A name that resolves to this machine is allowed for those accounts that may reach it, and for
    // all if the operator permits it.
    let by_name = format!("http://localhost:{port}/");
    assert!(fetcher().fetch(request(Get, &by_name)).await.is_ok());
    let open = Fetcher::new(FetchConfig {
        guard: model::egress::Guard {
            allow_private: true,
            ..Default::default()
        },
        ..quick()
    })
    .unwrap();
    let asked = FetchRequest {
        policy: public,
        ..request(Get, &by_name)
    };
    assert!(open.fetch(asked).await.is_ok());
}

#[tokio::test]
async fn says_what_went_wrong() {
    let server = Server::slow(|asked| async move {
        match asked.target.split('?').next().unwrap_or("") {
            "/hang" => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Vec::new()
            }
            "/stall" => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec(),
            "/close" => Vec::new(),
            "/garbage" => b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
            "/long" => reply(200, &[], &"x".repeat(1001)),
            "/fits" => reply(200, &[], &"x".repeat(1000)),
            _ => reply(200, &[], ""),
        }
    })
    .await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let table = [
        (
            server.url("/hang"),
            error::FETCH_IO,
            "no response within 0.3 s",
        ),
        (
            server.url("/stall"),
            error::FETCH_IO,
            "no response within 0.3 s",
        ),
        (
            server.url("/close"),
            error::FETCH_PROTOCOL,
            "not valid HTTP",
        ),
        (
            server.url("/garbage"),
            error::FETCH_PROTOCOL,
            "not valid HTTP",
        ),
        (
            server.url("/long"),
            error::DOCUMENT_TOO_LARGE,
            "longer than 1000 bytes",
        ),
        (
            format!("http://{closed}/"),
            error::FETCH_IO,
            "cannot be reached",
        ),
        (
            "http://host.invalid/".to_owned(),
            error::FETCH_IO,
            "cannot be reached",
        ),
        (
            "/relative".to_owned(),
            error::BAD_URI,
            "relative URL without a base",
        ),
        (
            "ftp://127.0.0.1/".to_owned(),
            error::BAD_URI,
            "use http or https",
        ),
    ];
    for (url, code, text) in table {
        let error = fetcher().fetch(request(Get, &url)).await.unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error}");
        assert!(error.to_string().contains(text), "{url}: {error}");
    }
    assert!(
        fetcher()
            .fetch(request(Get, &server.url("/fits")))
            .await
            .is_ok()
    );
    let media = FetchRequest {
        kind: BodyKind::Media,
        ..request(Get, &server.url("/long"))
    };
    assert_eq!(fetcher().fetch(media).await.unwrap().body.len(), 1001);

    let secret = format!(
        "http://kim:s3cret@{}/close?ApiToken=t0p&x=1",
        server.address
    );
    let error = fetcher().fetch(request(Get, &secret)).await.unwrap_err();
    let shown = format!("http://{}/close?ApiToken=***&x=1", server.address);
    assert_eq!(error.url, shown);
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_trickle_does_not_go_on_for_ever() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 1024]).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n";
        let mut open = stream.write_all(head).await;
        while open.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            open = stream.write_all(b"x").await;
        }
    });
    let error = fetcher().fetch(request(Get, &url)).await.unwrap_err();
    assert_eq!(
        error.problem,
        Problem::Timeout {
            limit: Duration::from_millis(300)
        }
    );
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    let (address, port) = tls::start().await;
    let url = format!("https://{address}:{port}/");
    let error = fetcher().fetch(request(Get, &url)).await.unwrap_err();
    assert_eq!(error.code(), error::FETCH_IO, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");

    let trusting = Fetcher::new(FetchConfig {
        insecure_tls: true,
        ..quick()
    })
    .unwrap();
    let answer = trusting.fetch(request(Get, &url)).await.unwrap();
    assert_eq!(&answer.body[..], b"sealed");
}

/// A web server behind TLS, with an untrusted certificate.
mod tls {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::TlsAcceptor;

    use super::support::{reply, serve};

    pub(super) async fn start() -> (&'static str, u16) {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/cert.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem"));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("known versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
            .expect("key and certificate fit");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let handler = Arc::new(|_| -> super::support::Answer {
                        Box::pin(async { reply(200, &[], "sealed") })
                    });
                    tokio::spawn(serve(stream, handler, Arc::default()));
                }
            }
        });
        ("127.0.0.1", port)
    }
}

/// A call waits for a document: no server may prolong that, neither by redirects nor by its body.
#[tokio::test]
async fn a_document_takes_its_time_out_and_no_longer() {
    let server = Server::slow(|asked| async move {
        tokio::time::sleep(Duration::from_millis(120)).await;
        let hop: u32 = asked.target.trim_start_matches('/').parse().unwrap_or(0);
        reply(307, &[&format!("Location: /{}", hop + 1)], "")
    })
    .await;
    let config = FetchConfig {
        timeout: Duration::from_millis(300),
        max_redirects: 50,
        ..quick()
    };
    let fetcher = Fetcher::new(config).expect("TLS");
    let request = request(Get, &server.url("/0"));
    let failed = fetcher.fetch(request).await.expect_err("too late");
    let limit = Duration::from_millis(300);
    assert_eq!(failed.problem, Problem::Timeout { limit });
    assert!(server.lines().len() <= 3, "{:?}", server.lines());
}

#[tokio::test]
async fn a_compressed_answer_is_read_or_named() {
    let server = Server::start(|asked| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"<Response/>").unwrap();
        let body = encoder.finish().unwrap();
        let (status, coding) = match asked.target.as_str() {
            "/gzip" => (200, "gzip"),
            "/br" => (200, "br"),
            _ => (404, "br"),
        };
        let headers = [
            &format!("Content-Encoding: {coding}")[..],
            &format!("Content-Length: {}", body.len()),
        ];
        let head = reply(status, &headers, "");
        let head = String::from_utf8(head)
            .unwrap()
            .replace("Content-Length: 0\r\n", "");
        [head.as_bytes(), &body].concat()
    })
    .await;
    let ask = |path| {
        let asked = request(Get, &server.url(path));
        async move { fetcher().fetch(asked).await }
    };
    assert_eq!(&ask("/gzip").await.unwrap().body[..], b"<Response/>");
    assert_eq!(ask("/missing").await.unwrap().status, 404);
    let error = ask("/br").await.unwrap_err();
    assert_eq!(error.code(), error::FETCH_PROTOCOL);
    assert!(
        error.to_string().contains("Content-Encoding `br`"),
        "{error}"
    );
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("accept-encoding") == Some("identity"))
    );
}

/// A server that answers the first request of each connection and closes it at the second; records
/// the requests with the number of their connection.
async fn closing_server(closes_all: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let notes = Arc::clone(&notes);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                for request in 0..2 {
                    let length = stream.read(&mut buffer).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    let Some(first) = text.split(' ').next().filter(|_| length > 0) else {
                        return;
                    };
                    let event = text
                        .lines()
                        .find(|line| line.to_ascii_lowercase().contains("event"));
                    let note = format!("{connection} {first} {}", event.unwrap_or(""));
                    notes
                        .lock()
                        .expect("not poisoned")
                        .push(note.trim().to_owned());
                    if request == 1 || (closes_all && connection > 0) {
                        return;
                    }
                    if stream.write_all(&reply(200, &[], "ok")).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_replaced_once() {
    let stamp = || {
        Some(Stamp {
            event: EventSid::new(Timestamp::default(), [7; 10]),
            secrets: None,
        })
    };
    // Method, whether it has an event id, whether the second connection also fails; then the result
    // of the second request, and how many requests the server saw.
    let table = [
        (Get, false, false, true, 3),
        (Post, true, false, true, 3),
        (Post, false, false, false, 2),
        (Get, false, true, false, 3),
        (Post, true, true, false, 3),
    ];
    for (method, is_event, closes_all, succeeds, requests) in table {
        let (url, asked) = closing_server(closes_all).await;
        let fetcher = fetcher();
        let ask = || FetchRequest {
            stamp: stamp().filter(|_| is_event),
            ..request(method, &url)
        };
        let case = format!("{method} {is_event} {closes_all}");
        assert_eq!(fetcher.fetch(ask()).await.unwrap().status, 200, "{case}");
        let second = fetcher.fetch(ask()).await;
        assert_eq!(second.is_ok(), succeeds, "{case}: {second:?}");
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked.len(), requests, "{case}: {asked:?}");
        if let [_, one, again] = &asked[..] {
            assert_eq!(one.replacen('0', "1", 1), *again, "{case}");
        }
    }
}

#[tokio::test]
async fn interim_responses_without_end_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let length = stream.read(&mut asked).await.unwrap_or(0);
                let few = String::from_utf8_lossy(&asked[..length]).contains("/few");
                let mut left = if few { 3 } else { u64::MAX };
                while left > 0 {
                    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
                    if stream.write_all(interim).await.is_err() {
                        return;
                    }
                    left -= 1;
                }
                let _ = stream.write_all(&reply(200, &[], "ok")).await;
            });
        }
    });
    let patient = Fetcher::new(FetchConfig::default()).unwrap();
    let few = patient.fetch(request(Get, &format!("{url}few"))).await;
    assert_eq!(few.unwrap().status, 200);
    let endless = patient.fetch(request(Get, &url));
    let endless = tokio::time::timeout(Duration::from_secs(2), endless).await;
    let error = endless.expect("it is given up long before its time is over");
    let error = error.unwrap_err();
    assert_eq!(error.code(), error::FETCH_PROTOCOL);
    assert!(error.to_string().contains("interim responses"), "{error}");
}
