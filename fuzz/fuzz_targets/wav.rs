//! Any bytes as a sound file, decoded to a prompt.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = audio::wav::decode(bytes) {
        assert!(file.samples.len() <= bytes.len());
        audio::Prompt::decode(bytes).expect("what was decoded can be played");
    }
});
