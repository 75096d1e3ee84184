//! Digest authentication through the public interface: vectors of the RFCs, both sides together.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use sip_proto::digest::{
    Algorithm, AnswerError, Authenticator, Client, Credentials, CredentialsError, Nonces, Party,
    Secret, Verdict, ha1_md5, ha1_sha256,
};
use sip_proto::header::AuthValue;
use sip_proto::message::{HeaderName, Headers, Method, Response};
use std::time::Duration;

const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const NOW: Duration = Duration::from_secs(1000);
const LIFE: Duration = Duration::from_secs(300);

#[test]
fn proofs_of_the_rfcs() {
    let rfc2617 = "realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let rfc7616 = "realm=\"http-auth@example.org\", \
                   nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", qop=auth, nc=00000001, \
                   cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"";
    let qop = ", qop=auth, nc=00000001, cnonce=\"0a4f113b\"";
    let table = [
        // RFC 2617 §3.5.
        (
            format!("{rfc2617}{qop}"),
            "Circle Of Life",
            "6629fae49393a05397450978507c4ef1",
        ),
        // RFC 2069 §2.4 as corrected by its erratum 749: no qop.
        (
            rfc2617.to_owned(),
            "CircleOfLife",
            "1949323746fe6a43ef61f9606e7febea",
        ),
        // RFC 7616 §3.9.1.
        (
            format!("{rfc7616}, algorithm=MD5"),
            "Circle of Life",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            format!("{rfc7616}, algorithm=\"SHA-256\""),
            "Circle of Life",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ];
    for (params, password, proof) in table {
        let text = format!(
            "Digest username=\"Mufasa\", uri=\"/dir/index.html\", response=\"{proof}\", {params}"
        );
        let credentials = Credentials::read(&AuthValue::parse(&text).unwrap()).unwrap();
        let ha1 = match credentials.algorithm {
            Algorithm::Md5 => ha1_md5("Mufasa", &credentials.realm, password),
            Algorithm::Sha256 => ha1_sha256("Mufasa", &credentials.realm, password),
        };
        assert_eq!(
            credentials.proof(&Method::parse("GET").unwrap(), &ha1),
            proof,
            "{text}"
        );
        let again = AuthValue::parse(&credentials.to_string()).unwrap();
        assert_eq!(Credentials::read(&again).unwrap(), credentials, "{text}");
    }
}

#[test]
fn the_challenge_has_the_form_phones_expect() {
    let challenges =
        server(&[Algorithm::Md5, Algorithm::Sha256]).challenges("patchcord", true, NOW, (7, HERE));
    let nonce = AuthValue::parse(&challenges[0])
        .unwrap()
        .get("nonce")
        .unwrap()
        .to_owned();
    let expected = ["SHA-256", "MD5"].map(|algorithm| {
        format!(
            "Digest realm=\"patchcord\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\", \
             stale=true"
        )
    });
    assert_eq!(challenges, expected);
    let fresh = server(&[Algorithm::Md5]).challenges("patchcord", false, NOW, (7, HERE));
    assert_eq!(
        fresh,
        [format!(
            "Digest realm=\"patchcord\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\""
        )]
    );
}

#[test]
fn both_sides_agree() {
    let names = ["alice", "al\"i\\ce", "алиса@example.org", ""];
    for name in names {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            for party in [Party::Server, Party::Proxy] {
                let mut server = server(&[algorithm]);
                let mut client = Client::new(name, Secret::Password("pa:ss".into()));
                client.learn(&refusal(&server, party, None)).unwrap();
                let headers = authorized(&mut client, &Method::Invite);
                let credentials = server.credentials(&headers, party).unwrap().unwrap();
                assert_eq!(credentials.username, name);
                let ha1 = match algorithm {
                    Algorithm::Md5 => ha1_md5(name, "patchcord", "pa:ss"),
                    Algorithm::Sha256 => ha1_sha256(name, "patchcord", "pa:ss"),
                };
                let mut verify = |method, ha1: &str| server.verify(&credentials, method, ha1, NOW);
                assert_eq!(verify(&Method::Invite, "no hash"), Verdict::Wrong);
                assert_eq!(verify(&Method::Bye, &ha1), Verdict::Wrong);
                assert_eq!(
                    verify(&Method::Invite, &ha1),
                    Verdict::Accepted,
                    "{name} {algorithm:?}"
                );
                assert_eq!(verify(&Method::Invite, &ha1), Verdict::Stale, "a replay");
            }
        }
    }
}

#[test]
fn a_nonce_serves_many_requests_until_it_is_stale() {
    let mut server = server(&[Algorithm::Md5]);
    let mut client = Client::new("alice", Secret::Password("secret".into()));
    client
        .learn(&refusal(&server, Party::Server, None))
        .unwrap();
    for n in 1..=300 {
        client.begin();
        let headers = authorized(&mut client, &Method::Register);
        let text = headers.get(HeaderName::Authorization).unwrap();
        assert!(text.contains(&format!("nc={n:08x}")), "{text}");
        assert_eq!(
            verify(&mut server, &headers, NOW),
            Verdict::Accepted,
            "use {n}"
        );
    }
    let late = NOW + LIFE + Duration::from_secs(1);
    let headers = authorized(&mut client, &Method::Register);
    assert_eq!(verify(&mut server, &headers, late), Verdict::Stale);
    client
        .learn(&refusal(&server, Party::Server, Some(late)))
        .unwrap();
    let headers = authorized(&mut client, &Method::Register);
    assert_eq!(verify(&mut server, &headers, late), Verdict::Accepted);
}

#[test]
fn legacy_credentials_without_qop_are_accepted() {
    let mut server = server(&[Algorithm::Md5]);
    let mut response = Response::new(401);
    let challenge = server
        .challenges("patchcord", false, NOW, (1, HERE))
        .remove(0)
        .replace(", qop=\"auth\"", "");
    response
        .headers
        .push(HeaderName::WwwAuthenticate, challenge);
    let mut client = Client::new("alice", Secret::Password("secret".into()));
    client.learn(&response).unwrap();
    let headers = authorized(&mut client, &Method::Register);
    assert!(
        !headers
            .get(HeaderName::Authorization)
            .unwrap()
            .contains("nc=")
    );
    for _ in 0..2 {
        assert_eq!(verify(&mut server, &headers, NOW), Verdict::Accepted);
    }
    let mut upper = Headers::new();
    let text = headers.get(HeaderName::Authorization).unwrap();
    let (before, proof) = text.split_once("response=\"").unwrap();
    let (proof, after) = proof.split_once('"').unwrap();
    let shouted = format!("{before}response=\"{}\"{after}", proof.to_uppercase());
    upper.push(
        HeaderName::Authorization,
        shouted.replace("algorithm=MD5", "algorithm=\"md5\""),
    );
    assert_eq!(verify(&mut server, &upper, NOW), Verdict::Accepted);
}

#[test]
fn a_strange_response_is_written_as_it_was_read() {
    for response in ["\\\\", "a\\\"b", "\\\", qop=x"] {
        let text = format!(
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"{response}\""
        );
        let read = |text: &str| Credentials::read(&AuthValue::parse(text).unwrap()).unwrap();
        let credentials = read(&text);
        assert_eq!(read(&credentials.to_string()), credentials, "{text}");
    }
}

#[test]
fn credentials_the_server_cannot_check() {
    let server = server(&[Algorithm::Md5]);
    let good = "username=\"a\", realm=\"patchcord\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    let table: &[(&str, Result<bool, CredentialsError>)] = &[
        ("Digest {good}", Ok(true)),
        (
            "digest {good},qop=auth , nc=0000000A,cnonce=\"c\"",
            Ok(true),
        ),
        ("Basic YTpi", Ok(false)),
        ("NoOneKnowsThisScheme opaque-data=here", Ok(false)),
        ("Digest realm=\"elsewhere\", qop=auth-int", Ok(false)),
        (
            "Digest {good}, qop=auth-int, nc=00000001, cnonce=\"c\"",
            Err(unsupported("qop")),
        ),
        (
            "Digest {good}, algorithm=SHA-256",
            Err(unsupported("algorithm")),
        ),
        (
            "Digest {good}, algorithm=MD5-sess",
            Err(unsupported("algorithm")),
        ),
        (
            "Digest {good}, qop=auth, nc=0000001, cnonce=\"c\"",
            Err(malformed("nc is not 8 hex digits")),
        ),
        (
            "Digest {good}, qop=auth, nc=+0000001, cnonce=\"c\"",
            Err(malformed("nc is not 8 hex digits")),
        ),
        (
            "Digest {good}, qop=auth, nc=00000001",
            Err(malformed("no cnonce")),
        ),
        ("Digest realm=\"patchcord\"", Err(malformed("no username"))),
        ("Digest", Err(malformed("no username"))),
        (
            "Digest realm=\"patchcord",
            Err(malformed("unterminated quoted string")),
        ),
        ("Digest realm", Err(malformed("parameter without value"))),
    ];
    for (text, expected) in table {
        let mut headers = Headers::new();
        headers.push(HeaderName::Authorization, text.replace("{good}", good));
        let found = server
            .credentials(&headers, Party::Server)
            .map(|found| found.is_some());
        assert_eq!(found, *expected, "{text}");
        assert_eq!(
            server.credentials(&headers, Party::Proxy),
            Ok(None),
            "the other header"
        );
    }
}

#[test]
fn the_client_takes_the_strongest_challenge_it_can_answer() {
    let md5 = "Digest realm=\"r\", nonce=\"md5\", algorithm=MD5, opaque=\"o\\\"p\"";
    let md5_qop = "Digest realm=\"r\", nonce=\"md5q\", qop=\"auth-int, auth\"";
    let sha = "Digest realm=\"r\", nonce=\"sha\", algorithm=SHA-256, qop=auth";
    let strange = "Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256, qop=\"auth\"";
    let int = "Digest realm=\"r\", nonce=\"x\", qop=\"auth-int\"";
    let only_md5 = || Secret::Ha1 {
        md5: Some("h".into()),
        sha256: None,
    };
    let password = || Secret::Password("p".into());
    let table: &[(&[&str], Secret, Result<&str, AnswerError>)] = &[
        (&[md5], password(), Ok("nonce=\"md5\"")),
        (&[md5], password(), Ok("opaque=\"o\\\"p\"")),
        (&[md5, md5_qop], password(), Ok("nonce=\"md5q\"")),
        (&[md5_qop, md5], password(), Ok("qop=auth,")),
        (&[md5_qop, sha], password(), Ok("nonce=\"sha\"")),
        (
            &[sha, md5_qop, strange],
            password(),
            Ok("algorithm=SHA-256"),
        ),
        (&[sha, md5_qop], only_md5(), Ok("nonce=\"md5q\"")),
        (&[sha], only_md5(), Err(AnswerError::Unsupported)),
        (
            &[strange, int, "Basic realm=\"r\"", "\u{1}"],
            password(),
            Err(AnswerError::Unsupported),
        ),
        (&[], password(), Err(AnswerError::Unsupported)),
    ];
    for (challenges, secret, expected) in table {
        let mut response = Response::new(407);
        for challenge in *challenges {
            response
                .headers
                .push(HeaderName::ProxyAuthenticate, *challenge);
        }
        let mut client = Client::new("u", secret.clone());
        match expected {
            Ok(part) => {
                client.learn(&response).unwrap();
                let answer = client.authorize(&Method::Invite, "sip:x", "c").remove(0);
                assert_eq!(answer.0, HeaderName::ProxyAuthorization);
                assert!(answer.1.contains(part), "{challenges:?}: {}", answer.1);
                assert_eq!(
                    client.learn(&response),
                    Err(AnswerError::Refused),
                    "{challenges:?}"
                );
                client.begin();
                assert_eq!(
                    client.learn(&response),
                    Ok(()),
                    "a new request may try again"
                );
            }
            Err(error) => assert_eq!(client.learn(&response), Err(*error), "{challenges:?}"),
        }
    }
}

#[test]
fn a_server_that_calls_every_nonce_stale_is_given_up() {
    let mut response = Response::new(401);
    let challenge = "Digest realm=\"r\", nonce=\"n\", stale=true";
    response
        .headers
        .push(HeaderName::WwwAuthenticate, challenge);
    let mut client = Client::new("u", Secret::Password("p".into()));
    let mut tries = 0;
    while client.learn(&response).is_ok() {
        client.authorize(&Method::Bye, "sip:x", "c");
        tries += 1;
    }
    assert_eq!(tries, 3);
}

#[test]
fn a_proxy_and_a_server_may_both_ask() {
    let mut client = Client::new("u", Secret::Password("p".into()));
    let mut proxy = Response::new(407);
    proxy.headers.push(
        HeaderName::ProxyAuthenticate,
        "Digest realm=\"a\", nonce=\"1\"",
    );
    let mut server = Response::new(401);
    server.headers.push(
        HeaderName::WwwAuthenticate,
        "Digest realm=\"b\", nonce=\"2\"",
    );
    client.learn(&proxy).unwrap();
    assert_eq!(client.authorize(&Method::Invite, "sip:x", "c").len(), 1);
    client.learn(&server).unwrap();
    let names: Vec<HeaderName> = client
        .authorize(&Method::Invite, "sip:x", "c")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [HeaderName::ProxyAuthorization, HeaderName::Authorization]
    );
    assert_eq!(
        client.learn(&Response::new(403)),
        Err(AnswerError::Unsupported)
    );
}

#[test]
fn secrets_do_not_show() {
    let secret = Secret::Password("hunter2".into());
    let shown = format!("{secret:?} {:?}", Client::new("u", secret.clone()));
    assert!(!shown.contains("hunter2"), "{shown}");
}

fn server(algorithms: &[Algorithm]) -> Authenticator {
    Authenticator::new("patchcord", algorithms, Nonces::new([3; 32], LIFE, 100))
}

fn refusal(server: &Authenticator, party: Party, stale_at: Option<Duration>) -> Response {
    let mut response = Response::new(party.status());
    server.challenge(
        &mut response,
        party,
        stale_at.is_some(),
        stale_at.unwrap_or(NOW),
        (42, HERE),
    );
    response
}

fn authorized(client: &mut Client, method: &Method) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in client.authorize(method, "sip:patchcord", "cnonce") {
        headers.push(name, value);
    }
    headers
}

fn verify(server: &mut Authenticator, headers: &Headers, now: Duration) -> Verdict {
    let credentials = server.credentials(headers, Party::Server).unwrap().unwrap();
    server.verify(
        &credentials,
        &Method::Register,
        &ha1_md5("alice", "patchcord", "secret"),
        now,
    )
}

fn unsupported(what: &'static str) -> CredentialsError {
    CredentialsError::Unsupported(what)
}

fn malformed(what: &'static str) -> CredentialsError {
    CredentialsError::Malformed(what)
}
