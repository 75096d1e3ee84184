//! Any stream, cut anywhere: the same messages come out. The first byte is the size of the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_proto::parse::{Frame, Framer, ParseError};

fn frames(stream: &[u8], step: usize) -> Vec<Result<Frame, ParseError>> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for piece in stream.chunks(step) {
        framer.push(piece);
        frames.extend(framer.by_ref());
    }
    frames
}

fuzz_target!(|input: &[u8]| {
    if let Some((step, stream)) = input.split_first() {
        let step = usize::from(*step).max(1);
        assert_eq!(frames(stream, step), frames(stream, stream.len().max(1)));
    }
});
