//! Within a confirmed dialog: re-INVITE both ways and glare, INFO, OPTIONS, CSeq, what is not
//! supported.

use crate::bench::{Bench, assert_table, ordered};
use sip_proto::message::{HeaderName, Message};

/// An inbound call that is established at 20 ms.
const UP: &str = "0 < INVITE sdp; 10 answer; 20 < ACK; ";
const UP_LOG: &str = "0 ! Incoming Unknown, 10 > 200 INVITE, 20 ! Acked";

fn assert_in_session(table: &[(&str, &str)]) {
    for (script, expected) in table {
        let log = Bench::new().play(&format!("{UP}{script}"));
        let rest = log.strip_prefix(UP_LOG).expect("the call is up");
        assert_eq!(rest.trim_start_matches(", "), ordered(expected), "{script}");
    }
}

#[test]
fn takes_a_reinvite() {
    assert_in_session(&[
        (
            "100 < INVITE sdp; 110 accept; 120 < ACK; 5000 end",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 110 > 200 INVITE, 120 ! ReinviteAcked",
        ),
        // They ask for our offer.
        (
            "100 < INVITE; 110 accept; 700 < ACK sdp",
            "100 > 100 INVITE, 100 ! Reinvite, 110 > 200 INVITE, 610 > 200 INVITE, \
             700 ! ReinviteAcked sdp",
        ),
        (
            "100 < INVITE sdp; 110 refuse 488; 120 < ACK same; 200 < BYE",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 110 > 488 INVITE, 200 > 200 BYE, 200 ! Bye",
        ),
        // A body that is not a session description, and an unsupported method for session changes.
        (
            "100 < INVITE text; 120 < ACK same; 150 < UPDATE sdp; 200 < BYE",
            "100 > 415 INVITE, 150 > 405 UPDATE, 200 > 200 BYE, 200 ! Bye",
        ),
        // A second before the first is answered (§14.2).
        (
            "100 < INVITE sdp; 110 < INVITE sdp; 120 < BYE",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 110 > 500 INVITE, 120 > 487 INVITE, \
             120 > 200 BYE, 120 ! Bye",
        ),
        // CANCEL of a re-INVITE is answered; the engine's answer is final.
        (
            "100 < INVITE sdp; 110 < CANCEL; 120 accept; 130 < ACK",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 110 > 200 CANCEL, 120 > 200 INVITE, \
             130 ! ReinviteAcked",
        ),
        // The engine hangs up instead of answering.
        (
            "100 < INVITE sdp; 110 bye; 120 < ACK same; 130 < 200 BYE",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 110 > 487 INVITE, 110 > BYE, 130 ! ByeDone 200",
        ),
    ]);
    assert_table(&[
        // Before the ACK of the first 2xx: it must have arrived (RFC 5407 §3.1.5).
        (
            "0 < INVITE sdp; 10 answer; 100 < INVITE sdp",
            "0 ! Incoming Unknown, 10 > 200 INVITE, 100 ! Acked, \
             100 > 100 INVITE, 100 ! Reinvite sdp",
        ),
        // But not while the answer to our own offer is missing.
        (
            "0 < INVITE; 10 answer; 100 < INVITE sdp",
            "0 ! Incoming Unknown, 10 > 200 INVITE, 100 > 491 INVITE",
        ),
    ]);
}

#[test]
fn sends_a_reinvite() {
    assert_in_session(&[
        (
            "100 reinvite; 150 < 100 INVITE; 200 < 200 INVITE sdp; 300 < again",
            "100 > INVITE, 200 > ACK, 200 ! ReinviteDone 200 sdp, 300 > ACK",
        ),
        (
            "100 reinvite; 200 < 488 INVITE; 300 < BYE",
            "100 > INVITE, 200 > ACK, 200 ! ReinviteDone 488, 300 > 200 BYE, 300 ! Bye",
        ),
        // One at a time.
        (
            "100 reinvite; 110 reinvite; 200 < 200 INVITE sdp",
            "100 > INVITE, 110 ! ReinviteDone 491, 200 > ACK, 200 ! ReinviteDone 200 sdp",
        ),
        // The remote party has lost the dialog (§12.2.1.2).
        (
            "100 reinvite; 200 < 481 INVITE; 300 < 481 BYE",
            "100 > INVITE, 200 > ACK, 200 ! ReinviteDone 481, 200 ! Lost, 200 > BYE",
        ),
        // It waits for theirs to complete.
        (
            "100 < INVITE sdp; 110 reinvite; 120 accept; 130 < ACK; 400 end",
            "100 > 100 INVITE, 100 ! Reinvite sdp, 120 > 200 INVITE, 130 ! ReinviteAcked, \
             310 > INVITE",
        ),
        // Hung up while it is in progress.
        (
            "100 reinvite; 150 bye; 200 < 200 INVITE sdp; 250 < 200 BYE",
            "100 > INVITE, 150 > BYE, 200 > ACK, 250 ! ByeDone 200",
        ),
    ]);
}

#[test]
fn settles_glare() {
    // Both at once: theirs is refused, ours is retried. We did not make the Call-ID, so after less
    // than 2 s; this seed gives 450 ms.
    let mut bench = Bench::new();
    bench.play(UP);
    let log = bench.play("100 reinvite; 110 < INVITE sdp; 120 < 491 INVITE; 2120 end");
    let (before, after) = log.split_once("120 > ACK, ").expect("an ACK for the 491");
    assert_eq!(before, "100 > INVITE, 110 > 491 INVITE, ");
    let first = after.split(", ").next().expect("something follows");
    let (ms, what) = first.split_once(' ').expect("time and words");
    assert_eq!(what, "> INVITE");
    assert!((120..2120).contains(&ms.parse::<u64>().unwrap()), "{ms}");

    // The side that made the Call-ID waits 2.1 to 4 s, and gives up in the end.
    let mut bench = Bench::new();
    bench.play("0 invite; 10 < 200 INVITE a sdp; 100 reinvite");
    let mut script_time = 110;
    let mut waits = Vec::new();
    loop {
        let log = bench.play(&format!("{script_time} < 491 INVITE a"));
        if log.contains("ReinviteDone 491") {
            break;
        }
        let log = bench.play(&format!("{} end", script_time + 4000));
        let again: u64 = log
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .expect("the time of the next");
        waits.push(again - script_time);
        script_time += 4000;
    }
    assert_eq!(waits.len(), 4);
    assert!(
        waits.iter().all(|wait| (2100..=4000).contains(wait)),
        "{waits:?}"
    );
}

#[test]
fn answers_other_requests_for_itself() {
    assert_in_session(&[
        ("100 < INFO", "100 > 200 INFO, 100 ! Info"),
        ("100 < OPTIONS", "100 > 200 OPTIONS"),
        ("100 < UPDATE", "100 > 405 UPDATE"),
        ("100 < PRACK", "100 > 405 PRACK"),
        ("100 < NOTIFY", "100 > 489 NOTIFY"),
        ("100 < FROBNICATE", "100 > 501 FROBNICATE"),
        ("100 < INVITE sdp | Require: timer", "100 > 420 INVITE"),
        ("100 < INFO | Require: 100rel", "100 > 420 INFO"),
        // Another From tag or an unknown To tag means another dialog.
        ("100 < BYE tag=wrong", "100 > 481 BYE"),
    ]);
}

#[test]
fn wants_growing_cseq_numbers() {
    assert_in_session(&[
        // Gaps are legal (§12.2.2), lower ones are not.
        (
            "100 < INFO seq=900; 200 < INFO seq=899; 300 < INFO seq=901; 400 < BYE seq=4000",
            "100 > 200 INFO, 100 ! Info, 200 > 500 INFO, 300 > 200 INFO, 300 ! Info, \
             400 > 200 BYE, 400 ! Bye",
        ),
        ("100 < BYE seq=0", "100 > 500 BYE"),
    ]);
    let mut bench = Bench::new();
    bench.play(UP);
    bench.play("100 info; 110 < 200 INFO; 200 reinvite; 210 < 200 INVITE sdp; 300 bye");
    let seqs: Vec<u32> = ["INFO", "INVITE", "ACK", "BYE"]
        .iter()
        .map(|method| bench.request_of(method).headers.cseq().unwrap().seq)
        .collect();
    assert_eq!(seqs, [1, 2, 2, 3]);
}

#[test]
fn sends_info() {
    assert_in_session(&[
        ("100 info; 200 < 200 INFO", "100 > INFO, 200 ! InfoDone 200"),
        ("100 info; 200 < 415 INFO", "100 > INFO, 200 ! InfoDone 415"),
        (
            "100 info; 200 < 481 INFO; 210 < 481 BYE",
            "100 > INFO, 200 ! InfoDone 481, 200 ! Lost, 200 > BYE",
        ),
        // A BYE already sent reports the end, whatever happens to the INFO.
        (
            "100 info; 150 bye; 200 < 481 INFO; 210 < 481 BYE",
            "100 > INFO, 150 > BYE, 210 ! ByeDone 481",
        ),
    ]);
}

#[test]
fn bye_ends_it_even_without_an_answer() {
    let mut bench = Bench::new();
    bench.play(UP);
    let log = bench.play("100 bye; 40000 end");
    assert!(log.starts_with("100 > BYE, 600 > BYE, 1600 > BYE"), "{log}");
    assert!(log.ends_with("32100 ! ByeDone 408"), "{log}");
    assert_eq!(bench.core.legs(), 0);
}

#[test]
fn a_bye_carries_the_reason_both_ways() {
    let mut bench = Bench::new();
    bench.play(UP);
    let headers = vec![(
        "Reason".to_owned(),
        "SIP;cause=200;text=\"done\"".to_owned(),
    )];
    let now = bench.now();
    bench
        .core
        .handle_command(bench.leg, sip_proto::ua::LegCommand::Bye { headers }, now);
    bench.drain();
    let reason = bench.request_of("BYE").headers.get(HeaderName::Reason);
    assert_eq!(reason, Some("SIP;cause=200;text=\"done\""));

    let mut bench = Bench::new();
    bench.play(UP);
    bench.play("100 < BYE | Reason: Q.850;cause=16");
    let Message::Response(ok) = bench.last_sent() else {
        panic!("no response")
    };
    assert_eq!(ok.status.0, 200);
}

#[test]
fn a_bye_whose_connection_is_gone_goes_to_the_address() {
    let mut bench = Bench::with(crate::bench::config(), sip_proto::ua::Transport::Tcp);
    bench.peer.flow = Some(sip_proto::ua::FlowId(7));
    bench.play(UP);
    assert_eq!(bench.play("100 bye"), "100 > BYE");
    let (gone, _) = bench.sent.last().expect("the BYE").clone();
    assert_eq!(gone.flow, Some(sip_proto::ua::FlowId(7)));
    let now = bench.now();
    bench.core.handle_transport_error(gone, now);
    bench.drain();
    let (peer, _) = bench.sent.last().expect("the BYE").clone();
    assert_eq!(
        (peer.flow, peer.remote),
        (None, ([192, 0, 2, 1], 5070).into())
    );
    bench.core.handle_transport_error(peer, now);
    assert_eq!(bench.play("200 end"), "100 > BYE, 100 ! ByeDone 503");
}
