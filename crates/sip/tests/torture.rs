//! The torture messages of RFC 4475 and RFC 5118 thrown at a live server.
//!
//! Each file is sent as a datagram from its own socket. What counts is the final answer, or its
//! absence, and that the server still accepts calls afterwards. An engine answers whatever reaches
//! it.

mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use support::{Counts, answer_all, server};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// File and final status; 0 is silence, also that of texts, which no engine answers here. 200 to INVITE, 404 and 401 to REGISTER mean that the
/// message was accepted; 481 that it has a To tag of an unknown dialog.
const TABLE: &[(&str, u16)] = &[
    ("rfc4475/badaspec", 400),
    ("rfc4475/badbranch", 400),
    ("rfc4475/baddate", 200),
    ("rfc4475/baddn", 400),
    ("rfc4475/badinv01", 400),
    ("rfc4475/badvers", 505),
    ("rfc4475/bcast", 0),
    ("rfc4475/bext01", 420),
    ("rfc4475/bigcode", 0),
    ("rfc4475/clerr", 400),
    ("rfc4475/cparam01", 401),
    ("rfc4475/cparam02", 401),
    ("rfc4475/dblreq", 401),
    ("rfc4475/esc01", 200),
    ("rfc4475/esc02", 501),
    ("rfc4475/escnull", 401),
    ("rfc4475/escruri", 400),
    ("rfc4475/insuf", 400),
    ("rfc4475/intmeth", 501),
    ("rfc4475/inv2543", 200),
    ("rfc4475/invut", 415),
    ("rfc4475/longreq", 200),
    ("rfc4475/ltgtruri", 400),
    ("rfc4475/lwsdisp", 200),
    ("rfc4475/lwsruri", 400),
    ("rfc4475/lwsstart", 400),
    ("rfc4475/mcl01", 400),
    ("rfc4475/mismatch01", 400),
    ("rfc4475/mismatch02", 400),
    ("rfc4475/mpart01", 0),
    ("rfc4475/multi01", 400),
    ("rfc4475/ncl", 400),
    ("rfc4475/noreason", 0),
    ("rfc4475/novelsc", 416),
    ("rfc4475/quotbal", 400),
    ("rfc4475/regaut01", 401),
    ("rfc4475/regbadct", 400),
    ("rfc4475/regescrt", 401),
    ("rfc4475/scalar02", 400),
    ("rfc4475/scalarlg", 0),
    ("rfc4475/sdp01", 406),
    ("rfc4475/semiuri", 200),
    ("rfc4475/test", 0),
    ("rfc4475/transports", 200),
    ("rfc4475/trws", 400),
    ("rfc4475/unkscm", 416),
    ("rfc4475/unksm2", 400),
    ("rfc4475/unreason", 0),
    ("rfc4475/wsinv", 481),
    ("rfc4475/zeromf", 200),
    ("rfc5118/ipv4-mapped-ipv6", 200),
    ("rfc5118/ipv6-bad", 400),
    ("rfc5118/ipv6-bug-abnf-3-colons", 200),
    ("rfc5118/ipv6-correct-abnf-2-colons", 200),
    ("rfc5118/ipv6-good", 404),
    ("rfc5118/ipv6-in-sdp", 200),
    ("rfc5118/mult-ip-in-header", 481),
    ("rfc5118/mult-ip-in-sdp", 200),
    ("rfc5118/port-ambiguous", 404),
    ("rfc5118/port-unambiguous", 404),
    ("rfc5118/via-received-param-no-delim", 200),
    ("rfc5118/via-received-param-with-delim", 481),
];

fn messages() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip-proto/tests/torture");
    let mut found = Vec::new();
    for folder in ["rfc4475", "rfc5118"] {
        for file in std::fs::read_dir(root.join(folder))
            .expect("the torture files")
            .flatten()
        {
            let name = file.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".dat") {
                let bytes = std::fs::read(file.path()).expect("a readable file");
                found.push((format!("{folder}/{name}"), bytes));
            }
        }
    }
    found.sort();
    found
}

/// Sends one message and returns the status of its final answer, or 0.
async fn throw(server: SocketAddr, bytes: &[u8]) -> u16 {
    let socket = UdpSocket::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    socket
        .send_to(bytes, server)
        .await
        .expect("loopback takes it");
    let mut buffer = vec![0; 65_535];
    loop {
        // Answers are immediate; a retransmission would come after 500 ms.
        let Ok(received) = timeout(Duration::from_millis(300), socket.recv(&mut buffer)).await
        else {
            return 0;
        };
        let len = received.expect("loopback delivers");
        // Not parsed as a whole: an answer echoes the very headers it rejects.
        let answer = String::from_utf8_lossy(&buffer[..len]);
        let status = answer
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        match status {
            Some(status) if status >= 200 => return status,
            Some(100..) => {}
            other => panic!("the server sent {other:?}: {answer}"),
        }
    }
}

/// Its own server, because some of the messages are repetitions of others by RFC 3261 §17.2.3.
async fn throw_at_new_server(name: String, bytes: Vec<u8>) -> (String, u16) {
    let (sip, calls) = server().await;
    let _counts = answer_all(&sip, calls);
    let status = throw(sip.local().udp, &bytes).await;
    assert_eq!(
        throw(sip.local().udp, OPTIONS).await,
        200,
        "the server lives after {name}"
    );
    (name, status)
}

const OPTIONS: &[u8] =
    b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;rport;branch=z9hG4bKlast\r\n\
    Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: last\r\n\
    CSeq: 1 OPTIONS\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_each_as_it_deserves() {
    let thrown = messages().into_iter();
    let thrown: Vec<_> = thrown
        .map(|(name, bytes)| tokio::spawn(throw_at_new_server(name, bytes)))
        .collect();
    let mut seen = Vec::new();
    for task in thrown {
        seen.push(task.await.expect("the thrower lives"));
    }
    let expected: Vec<(String, u16)> = TABLE
        .iter()
        .map(|(name, status)| ((*name).to_owned(), *status))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lives_on_after_all_of_them() {
    let (sip, calls) = server().await;
    let counts = answer_all(&sip, calls);
    let socket = UdpSocket::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    for (_, bytes) in messages() {
        socket
            .send_to(&bytes, sip.local().udp)
            .await
            .expect("loopback takes it");
    }
    assert_eq!(
        throw(sip.local().udp, OPTIONS).await,
        200,
        "the server lives"
    );
    assert_eq!(Counts::get(&counts.failed), 0);
}
