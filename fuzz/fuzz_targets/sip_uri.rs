//! Any text: no URI, or one that survives the way through and equals itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_proto::header::NameAddr;
use sip_proto::uri::Uri;

fuzz_target!(|text: &str| {
    if let Ok(uri) = Uri::parse(text) {
        assert_eq!(Uri::parse(&uri.to_string()).as_ref(), Ok(&uri));
        assert!(uri.equivalent(&uri));
    }
    if let Ok(address) = NameAddr::parse(text) {
        let once = address.to_string();
        let again = NameAddr::parse(&once).expect("what was written is an address");
        assert_eq!(again.to_string(), once);
    }
});
