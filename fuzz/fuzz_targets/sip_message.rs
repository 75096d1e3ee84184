//! Any datagram: refused with a status, or a message that survives the way through.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_proto::parse::parse_datagram;

fuzz_target!(|datagram: &[u8]| match parse_datagram(datagram) {
    Ok(message) => {
        let headers = message.headers();
        for header in headers.iter() {
            let _ = headers.addresses(header.name.clone());
        }
        let _ = (
            headers.retry_after(),
            headers.content_type(),
            headers.expires(),
        );
        assert_eq!(parse_datagram(&message.to_bytes()).as_ref(), Ok(&message));
    }
    Err(error) => {
        if let Some(answer) = error.response("tag") {
            assert!(answer.status.0 >= 400);
            let _ = answer.to_bytes();
        }
    }
});
