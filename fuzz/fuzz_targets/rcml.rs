//! Any text, as a document and through the writer and back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rcml::Document;

fuzz_target!(|text: &str| {
    if let Ok(document) = Document::parse(text) {
        let written = document.to_xml();
        let again = Document::parse(&written).expect("what was written is well-formed");
        assert_eq!(again.to_xml(), written, "writing what was read changes nothing");
    }
});
