//! Any text as an offer and as an answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp_proto::{LocalMedia, OfferAnswer, Session};

fuzz_target!(|text: &str| {
    let Ok(offer) = Session::parse(text) else {
        return;
    };
    let mut session = OfferAnswer::new(LocalMedia::new([192, 0, 2, 1].into(), 7000, 1));
    let _ = session.accept_answer(text);
    if let Ok((answer, agreed)) = session.answer(text) {
        let answer = Session::parse(&answer).expect("what was written is well-formed");
        assert_eq!(answer.media.len(), offer.media.len());
        assert_ne!(answer.media[agreed.media_index].port, 0);
        Session::parse(&session.offer()).expect("what was written is well-formed");
    }
});
