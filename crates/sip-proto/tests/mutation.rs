//! Hostile bytes, made from the torture messages by a fixed pseudo-random walk: nothing panics,
//! accepted messages survive serialisation, and a stream gives the same messages however it is
//! split. The fuzz targets check the same, for longer.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use sip_proto::digest::{Challenge, Credentials};
use sip_proto::header::AuthValue;
use sip_proto::message::Message;
use sip_proto::parse::{Frame, Framer, ParseError, parse_datagram};
use sip_proto::uri::Uri;
use std::path::Path;
use testkit::random::Random;

/// Rounds of each test, about a second; `PATCHCORD_FUZZ_SECONDS` multiplies them.
const DATAGRAMS: usize = 60_000;
const STREAMS: usize = 4_000;
const TEXTS: usize = 60_000;

#[test]
fn fuzz_datagrams_are_refused_or_survive() {
    let corpus = corpus();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    let rounds = rounds(DATAGRAMS);
    for _ in 0..rounds {
        let mutant = mutant(&mut random, &corpus);
        match parse_datagram(&mutant) {
            Ok(message) => {
                accepted += 1;
                touch(&message);
                let written = message.to_bytes();
                let again = parse_datagram(&written);
                assert_eq!(again.as_ref(), Ok(&message), "{}", mutant.escape_ascii());
            }
            Err(error) => {
                if let Some(answer) = error.response("tag") {
                    assert!(answer.status.0 >= 400);
                    let _ = answer.to_bytes();
                }
            }
        }
    }
    // Neither all nor none: the walk reaches both sides of the checks.
    assert!(
        (rounds / 20..rounds).contains(&accepted),
        "{accepted} accepted"
    );
}

#[test]
fn fuzz_streams_may_be_cut_anywhere() {
    let corpus = corpus();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut messages = 0;
    let rounds = rounds(STREAMS);
    for _ in 0..rounds {
        let mut stream = Vec::new();
        for _ in 0..3 {
            stream.extend(framed(&mut random, &corpus));
        }
        let whole = frames(&mut Framer::new(), &stream, stream.len());
        let pieces = frames(&mut Framer::new(), &stream, 1 + random.index(40));
        assert_eq!(whole, pieces, "{}", stream.escape_ascii());
        messages += whole.iter().filter(|frame| frame.is_ok()).count();
    }
    assert!(messages > rounds / 2, "{messages} messages");
}

#[test]
fn fuzz_values_survive_the_way_through() {
    let uris = [
        &b"sip:alice:secret@[2001:db8::1]:5060;transport=tcp;lr?Route=%3Csip:x%3E&a=b"[..],
        b"sips:%61lice@example.com;maddr=239.255.255.1;ttl=15",
        b"tel:+1-(201)555-0123;phone-context=example.com",
        b"urn:service:sos",
    ];
    let auth = [
        &b"Digest username=\"a\\\"b\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0123\", \
          algorithm=MD5, qop=auth, nc=0000000a, cnonce=\"c\", opaque=\"o\""[..],
        b"Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256, stale=true",
    ];
    let mut random = Random(42);
    for round in 0..rounds(TEXTS) {
        let text = mutant(&mut random, if round % 2 == 0 { &uris } else { &auth });
        let text = String::from_utf8_lossy(&text);
        if let Ok(uri) = Uri::parse(&text) {
            assert_eq!(Uri::parse(&uri.to_string()).as_ref(), Ok(&uri), "{text:?}");
            assert!(uri.equivalent(&uri), "{text:?}");
        }
        let Ok(value) = AuthValue::parse(&text) else {
            continue;
        };
        if let Ok(credentials) = Credentials::read(&value)
            && !text.contains(|c: char| c.is_ascii_control())
        {
            let again = AuthValue::parse(&credentials.to_string()).unwrap();
            assert_eq!(
                Credentials::read(&again).as_ref(),
                Ok(&credentials),
                "{text:?}"
            );
        }
        if let Some(challenge) = Challenge::read(&value)
            && !text.contains(|c: char| c.is_ascii_control())
        {
            let again = AuthValue::parse(&challenge.to_string()).unwrap();
            assert_eq!(
                Challenge::read(&again).as_ref(),
                Some(&challenge),
                "{text:?}"
            );
        }
    }
}

fn rounds(base: usize) -> usize {
    let seconds = std::env::var("PATCHCORD_FUZZ_SECONDS").ok();
    base * seconds.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Reads everything that a user of the crate would.
fn touch(message: &Message) {
    let headers = message.headers();
    let _ = (
        headers.vias(),
        headers.from(),
        headers.to(),
        headers.cseq(),
        headers.contacts(),
    );
    let _ = (
        headers.routes(),
        headers.record_routes(),
        headers.max_forwards(),
    );
    let _ = (
        headers.expires(),
        headers.retry_after(),
        headers.content_type(),
    );
    for header in headers.iter() {
        let _ = headers.addresses(header.name.clone());
        let _ = headers.all(&header.name).count();
    }
}

fn frames(framer: &mut Framer, stream: &[u8], step: usize) -> Vec<Result<Frame, ParseError>> {
    let mut frames = Vec::new();
    for piece in stream.chunks(step) {
        framer.push(piece);
        frames.extend(framer.by_ref());
    }
    frames
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files: Vec<_> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|rfc| std::fs::read_dir(folder.join(rfc)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A message of `corpus` with one to four changes.
fn mutant<T: AsRef<[u8]>>(random: &mut Random, corpus: &[T]) -> Vec<u8> {
    let mut bytes = corpus[random.index(corpus.len())].as_ref().to_vec();
    for _ in 0..=random.index(4) {
        change(random, &mut bytes);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>) {
    const BITS: [&[u8]; 20] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"\"",
        b"<",
        b">",
        b";",
        b",",
        b":",
        b"@",
        b"%",
        b"=",
        b"\\",
        b"\xff",
        b"\r\n ",
        b"18446744073709551615",
        b"SIP/2.0",
    ];
    let at = random.index(bytes.len() + 1);
    let end = (at + random.index(12)).min(bytes.len());
    match random.index(6) {
        0 if at < bytes.len() => bytes[at] = random.index(256) as u8,
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, BITS[random.index(BITS.len())].iter().copied())),
        3 => drop(bytes.splice(at..end, BITS[random.index(BITS.len())].iter().copied())),
        4 => bytes.extend_from_within(at..end),
        _ if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
        _ => {}
    }
}

/// A message for a stream: half of them with the Content-Length they need, most unchanged.
fn framed(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let bytes = match random.index(3) {
        0 => mutant(random, corpus),
        _ => corpus[random.index(corpus.len())].clone(),
    };
    match (random.index(4), parse_datagram(&bytes)) {
        (0, _) | (_, Err(_)) => bytes,
        (1, Ok(message)) => [b"\r\n\r\n", &message.to_bytes()[..]].concat(),
        (_, Ok(message)) => message.to_bytes().to_vec(),
    }
}
