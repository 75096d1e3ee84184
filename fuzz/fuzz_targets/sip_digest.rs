//! Any challenge or credentials: refused, or read again as written, and never accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_proto::digest::{
    Algorithm, Authenticator, Challenge, Client, Nonces, Party, Secret, Verdict,
};
use sip_proto::header::AuthValue;
use sip_proto::message::{HeaderName, Method, Response};
use std::time::Duration;

fuzz_target!(|text: &str| {
    let algorithms = [Algorithm::Md5, Algorithm::Sha256];
    let nonces = Nonces::new([1; 32], Duration::from_secs(60), 16);
    let mut server = Authenticator::new("r", &algorithms, nonces);
    let mut response = Response::new(401);
    response.headers.push(HeaderName::Authorization, text);
    response.headers.push(HeaderName::WwwAuthenticate, text);
    if let Ok(Some(credentials)) = server.credentials(&response.headers, Party::Server) {
        let verdict = server.verify(&credentials, &Method::Invite, "x", Duration::ZERO);
        assert_ne!(verdict, Verdict::Accepted);
    }
    let mut client = Client::new("u", Secret::Password("p".into()));
    if client.learn(&response).is_ok() {
        for (_, value) in client.authorize(&Method::Invite, "sip:x", "c") {
            AuthValue::parse(&value).expect("what was written is well-formed");
        }
    }
    if let Some(challenge) = AuthValue::parse(text)
        .ok()
        .and_then(|v| Challenge::read(&v))
    {
        let once = challenge.to_string();
        let again = AuthValue::parse(&once).expect("what was written is well-formed");
        assert_eq!(Challenge::read(&again).map(|c| c.to_string()), Some(once));
    }
});
