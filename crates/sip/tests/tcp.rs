//! Messages on TCP: however the bytes are split, and the limits of a connection.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::{answer_all, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn options(n: u32) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP client.invalid;branch=z9hG4bK{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n\
         Call-ID: call{n}\r\nCSeq: {n} OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
    )
}

async fn connect(server: SocketAddr) -> TcpStream {
    TcpStream::connect(server)
        .await
        .expect("the server listens")
}

/// Reads until `count` responses have arrived or the connection is closed; returns their CSeq
/// numbers and statuses.
async fn answers(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while text.matches("\r\n\r\n").count() < count {
        let read = timeout(Duration::from_secs(2), stream.read(&mut buffer)).await;
        match read.expect("an answer in time") {
            Ok(len) if len > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..len])),
            Ok(_) | Err(_) => break,
        }
    }
    let summary = |message: &str| {
        // A pong may precede it.
        let status = message.trim_start().strip_prefix("SIP/2.0 ")?.get(..3)?;
        let cseq = message
            .lines()
            .find_map(|line| line.strip_prefix("CSeq: "))?;
        Some(format!("{cseq} {status}"))
    };
    text.split("\r\n\r\n").filter_map(summary).collect()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 16];
    matches!(
        timeout(Duration::from_secs(2), stream.read(&mut buffer)).await,
        Ok(Ok(0) | Err(_))
    )
}

#[tokio::test]
async fn cuts_messages_out_of_the_stream() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let both = options(1) + &options(2);
    // What is written at once, and the responses.
    let table: [(Vec<&str>, usize); 4] = [
        (vec![&both], 2),
        (vec!["\r\n\r\n\r\n", &both, "\r\n"], 2),
        (
            both.as_bytes()
                .chunks(1)
                .map(|b| std::str::from_utf8(b).expect("ASCII"))
                .collect(),
            2,
        ),
        (vec![&both[..300], &both[300..]], 2),
    ];
    for (writes, count) in table {
        let mut stream = connect(sip.local().tcp).await;
        stream.set_nodelay(true).expect("a socket option");
        let pieces = writes.len();
        for piece in writes {
            stream
                .write_all(piece.as_bytes())
                .await
                .expect("the server reads");
        }
        let seen = answers(&mut stream, count).await;
        assert_eq!(seen, ["1 OPTIONS 200", "2 OPTIONS 200"], "{pieces} pieces");
    }
}

#[tokio::test]
async fn answers_a_ping() {
    let (sip, _calls) = server().await;
    let mut stream = connect(sip.local().tcp).await;
    stream
        .write_all(b"\r\n\r\n")
        .await
        .expect("the server reads");
    let mut pong = [0; 2];
    let read = timeout(Duration::from_secs(2), stream.read_exact(&mut pong)).await;
    read.expect("a pong in time").expect("two bytes");
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test]
async fn closes_what_cannot_be_cut() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let bad_length = options(1).replace("Content-Length: 4", "Content-Length: -4");
    let huge = options(1).replace("Content-Length: 4", "Content-Length: 18446744073709551615");
    let endless = "OPTIONS sip:127.0.0.1 SIP/2.0\r\nX: ".to_owned() + &"x".repeat(100_000);
    let no_sip = "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned();
    for bytes in [bad_length, huge, endless, no_sip] {
        let mut stream = connect(sip.local().tcp).await;
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let start = bytes[..20].to_owned();
        let seen = answers(&mut stream, 1).await;
        assert!(
            seen.iter().all(|answer| answer.starts_with("1 OPTIONS 4")),
            "{start} {seen:?}"
        );
        assert!(is_closed(&mut stream).await, "{start}");
    }
    let mut stream = connect(sip.local().tcp).await;
    stream
        .write_all(options(7).as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(
        answers(&mut stream, 1).await,
        ["7 OPTIONS 200"],
        "the server lives"
    );
}

#[tokio::test]
async fn keeps_the_connection_after_a_refusable_message() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let mut stream = connect(sip.local().tcp).await;
    let bad = options(1).replace("Max-Forwards: 70", "Max-Forwards: many");
    let all = bad + &options(2);
    stream
        .write_all(all.as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(
        answers(&mut stream, 2).await,
        ["1 OPTIONS 400", "2 OPTIONS 200"]
    );
}

#[tokio::test]
async fn many_connections_come_and_go() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    for n in 0..200 {
        let mut stream = connect(sip.local().tcp).await;
        stream
            .write_all(options(n).as_bytes())
            .await
            .expect("the server reads");
        if n % 2 == 0 {
            assert_eq!(answers(&mut stream, 1).await, [format!("{n} OPTIONS 200")]);
        }
    }
}

#[tokio::test]
async fn every_answer_arrives_while_the_peer_reads() {
    const COUNT: u32 = 5_000;
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let (mut reader, mut writer) = connect(sip.local().tcp).await.into_split();
    let all: String = (1..=COUNT).map(options).collect();
    let writing = tokio::spawn(async move {
        let written = writer.write_all(all.as_bytes()).await;
        (written, writer)
    });
    let (mut count, mut buffer, mut rest) = (0, vec![0; 65536], String::new());
    while count < COUNT {
        let read = timeout(Duration::from_secs(5), reader.read(&mut buffer)).await;
        let len = read.expect("an answer in time").expect("a connection");
        assert!(len > 0, "closed after {count} answers");
        rest.push_str(&String::from_utf8_lossy(&buffer[..len]));
        while let Some(at) = rest.find("\r\n\r\n") {
            let message: String = rest.drain(..at + 4).collect();
            assert!(message.starts_with("SIP/2.0 200"), "{message}");
            count += 1;
        }
    }
    let (written, _writer) = writing.await.expect("it does not panic");
    written.expect("the server reads");
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_now_and_then() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let mut stream = connect(sip.local().tcp).await;
    let pings = "\r\n".repeat(200_000) + &options(1);
    stream
        .write_all(pings.as_bytes())
        .await
        .expect("the server reads");
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains("SIP/2.0 200") {
        let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
        let len = read.expect("an answer in time").expect("a connection");
        assert!(len > 0, "closed");
        text.push_str(&String::from_utf8_lossy(&buffer[..len]));
    }
    let pongs = text.find("SIP").unwrap_or_default() / 2;
    assert!((1..100).contains(&pongs), "{pongs}");
}

/// A source that exceeds its connection limit loses those that have been silent longest.
#[tokio::test]
async fn one_source_has_a_limited_number_of_connections() {
    let (sip, calls) = server().await;
    answer_all(&sip, calls);
    let mut all = Vec::new();
    for n in 0..1_100 {
        let mut stream = connect(sip.local().tcp).await;
        let greeting = options(n);
        stream
            .write_all(greeting.as_bytes())
            .await
            .expect("the server reads");
        assert_eq!(answers(&mut stream, 1).await, [format!("{n} OPTIONS 200")]);
        all.push(stream);
    }
    assert!(is_closed(&mut all[0]).await);
    let newest = all.last_mut().expect("there are many");
    newest
        .write_all(options(5_000).as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(answers(newest, 1).await, ["5000 OPTIONS 200"]);
}
