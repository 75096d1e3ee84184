//! Outbound legs until their final response: forks, CANCEL and its races, time-outs.

use crate::bench::{Bench, assert_table, spec};
use sip_proto::message::{HeaderName, Message};
use sip_proto::ua::{LegCommand, Transport};

#[test]
fn ends_as_the_remote_party_decides() {
    assert_table(&[
        (
            "0 invite; 100 < 100 INVITE; 200 < 180 INVITE a; 300 < 200 INVITE a sdp; 400 bye; \
             500 < 200 BYE",
            "0 > INVITE, 200 ! Progress 180, 300 > ACK, 300 ! Answered sdp, 400 > BYE, \
             500 ! ByeDone 200",
        ),
        (
            "0 invite; 100 < 183 INVITE a sdp; 200 < 486 INVITE a; 250 < again; 300 end",
            "0 > INVITE, 100 ! Progress 183 sdp, 200 > ACK, 200 ! Rejected 486, 250 > ACK",
        ),
        (
            "0 invite; 100 < 603 INVITE a",
            "0 > INVITE, 100 > ACK, 100 ! Rejected 603",
        ),
        (
            "0 invite; 100 < 302 INVITE a",
            "0 > INVITE, 100 > ACK, 100 ! Rejected 302",
        ),
        // Timer B.
        (
            "0 invite; 40000 end",
            "0 > INVITE, 500 > INVITE, 1500 > INVITE, 3500 > INVITE, 7500 > INVITE, \
             15500 > INVITE, 31500 > INVITE, 32000 ! Rejected 408",
        ),
        // A 2xx of a remote party older than RFC 3261 has no tag.
        (
            "0 invite; 100 < 200 INVITE sdp",
            "0 > INVITE, 100 > ACK, 100 ! Answered sdp",
        ),
        // The remote party hangs up.
        (
            "0 invite; 100 < 200 INVITE a sdp; 200 < BYE; 300 < again",
            "0 > INVITE, 100 > ACK, 100 ! Answered sdp, 200 > 200 BYE, 200 ! Bye, 300 > 200 BYE",
        ),
    ]);
}

#[test]
fn acknowledges_each_2xx_as_often_as_it_comes() {
    assert_table(&[
        (
            "0 invite; 100 < 200 INVITE a sdp; 600 < again; 1600 < again",
            "0 > INVITE, 100 > ACK, 100 ! Answered sdp, 600 > ACK, 1600 > ACK",
        ),
        // Also after the leg has ended.
        (
            "0 invite; 100 < 200 INVITE a sdp; 200 bye; 300 < 200 BYE; 600 < 200 INVITE a sdp",
            "0 > INVITE, 100 > ACK, 100 ! Answered sdp, 200 > BYE, 300 ! ByeDone 200, 600 > ACK",
        ),
        // Another remote party gets ACK and BYE, once.
        (
            "0 invite; 50 < 180 INVITE a; 60 < 180 INVITE b; 100 < 200 INVITE a sdp; \
             200 < 200 INVITE b sdp; 250 < 200 BYE b; 300 < 200 INVITE b sdp",
            "0 > INVITE, 50 ! Progress 180, 60 ! Progress 180, 100 > ACK, 100 ! Answered sdp, \
             200 > ACK, 200 > BYE, 300 > ACK",
        ),
    ]);
}

#[test]
fn cancels_whatever_crosses_it() {
    assert_table(&[
        (
            "0 invite; 100 < 180 INVITE a; 200 cancel; 210 < 200 CANCEL a; 220 < 487 INVITE a",
            "0 > INVITE, 100 ! Progress 180, 200 > CANCEL, 220 > ACK, 220 ! Rejected 487",
        ),
        // CANCEL waits for a provisional response.
        (
            "0 invite; 100 cancel; 600 < 100 INVITE; 700 < 200 CANCEL a; 710 < 487 INVITE a",
            "0 > INVITE, 500 > INVITE, 600 > CANCEL, 710 > ACK, 710 ! Rejected 487",
        ),
        // It never arrives.
        (
            "0 invite; 100 cancel; 40000 end",
            "0 > INVITE, 500 > INVITE, 1500 > INVITE, 3500 > INVITE, 7500 > INVITE, \
             15500 > INVITE, 31500 > INVITE, 32000 ! Rejected 487",
        ),
        // The final response arrives instead.
        (
            "0 invite; 100 cancel; 200 < 486 INVITE a",
            "0 > INVITE, 200 > ACK, 200 ! Rejected 486",
        ),
        // The answer crosses the CANCEL, before or after a provisional response.
        (
            "0 invite; 50 < 180 INVITE a; 100 cancel; 150 < 200 INVITE a sdp; 160 < 481 CANCEL a; \
             200 < 200 BYE a; 250 < 200 INVITE a sdp",
            "0 > INVITE, 50 ! Progress 180, 100 > CANCEL, 150 > ACK, 150 ! Rejected 487, \
             150 > BYE, 250 > ACK",
        ),
        (
            "0 invite; 100 cancel; 150 < 200 INVITE a sdp",
            "0 > INVITE, 150 > ACK, 150 ! Rejected 487, 150 > BYE",
        ),
        // The engine cancels when the call is already answered.
        (
            "0 invite; 100 < 200 INVITE a sdp; 110 cancel; 200 < 200 BYE",
            "0 > INVITE, 100 > ACK, 100 ! Answered sdp, 110 > BYE, 200 ! ByeDone 200",
        ),
        // CANCEL is accepted but the INVITE never gets its final response (§9.1).
        (
            "0 invite; 50 < 180 INVITE a; 100 cancel; 110 < 200 CANCEL a; 40000 end",
            "0 > INVITE, 50 ! Progress 180, 100 > CANCEL, 32100 ! Rejected 487",
        ),
        // A challenge is no longer answered.
        (
            "0 invite auth; 50 < 180 INVITE a; 100 cancel; 150 < 407 INVITE a | \
             Proxy-Authenticate: Digest realm=\"x\", nonce=\"y\"",
            "0 > INVITE, 50 ! Progress 180, 100 > CANCEL, 150 > ACK, 150 ! Rejected 407",
        ),
    ]);
}

#[test]
fn lets_the_remote_party_offer() {
    assert_table(&[
        (
            "0 invite late; 100 < 200 INVITE a sdp; 600 < again; 700 ack; 800 < again; 900 < BYE",
            "0 > INVITE, 100 ! Answered sdp, 700 > ACK, 800 > ACK, 900 > 200 BYE, 900 ! Bye",
        ),
        // Hung up before the answer is made: ACK first, so that the remote party accepts the BYE.
        (
            "0 invite late; 100 < 200 INVITE a sdp; 200 bye; 300 < 200 BYE",
            "0 > INVITE, 100 ! Answered sdp, 200 > ACK, 200 > BYE, 300 ! ByeDone 200",
        ),
    ]);
    let mut bench = Bench::new();
    bench.play("0 invite late; 100 < 200 INVITE a sdp; 200 ack");
    assert!(bench.request_of("INVITE").body.is_empty());
    assert!(
        !bench.request_of("ACK").body.is_empty(),
        "the ACK carries the answer"
    );
}

#[test]
fn survives_a_hangup_that_overtakes_the_answer() {
    assert_table(&[(
        "0 invite; 100 < 180 INVITE a; 200 < BYE; 300 < 200 INVITE a sdp; 800 < again",
        "0 > INVITE, 100 ! Progress 180, 200 > 200 BYE, 300 > ACK, 300 ! Answered sdp, 300 ! Bye, \
         800 > ACK",
    )]);
}

#[test]
fn reports_what_could_not_be_sent() {
    let mut bench = Bench::with(crate::bench::config(), Transport::Tcp);
    assert_eq!(bench.play("0 invite"), "0 > INVITE");
    bench.core.handle_transport_error(bench.peer, bench.now());
    assert_eq!(bench.play("1 end"), "0 ! Rejected 503");
    assert_eq!(bench.core.legs(), 0);
}

#[test]
fn refuses_commands_that_do_not_fit_into_a_message() {
    type Change = fn(&mut sip_proto::ua::InviteSpec);
    let table: &[Change] = &[
        |spec| spec.target = "not a uri".to_owned(),
        |spec| spec.from = "sip:a\r\nX: y@b".to_owned(),
        |spec| spec.to = Some("sip:".to_owned()),
        |spec| {
            spec.headers
                .push(("X-A".to_owned(), "a\r\nX-B: b".to_owned()))
        },
        |spec| spec.headers.push(("X-A".to_owned(), "a\0".to_owned())),
        |spec| spec.headers.push(("X A".to_owned(), "a".to_owned())),
        |spec| spec.headers.push(("Via".to_owned(), "a".to_owned())),
        |spec| {
            spec.headers
                .push(("contact".to_owned(), "<sip:a@b>".to_owned()))
        },
        |spec| spec.headers.push(("l".to_owned(), "7".to_owned())),
    ];
    for (row, change) in table.iter().enumerate() {
        let mut bench = Bench::new();
        let mut spec = spec(bench.peer);
        change(&mut spec);
        let now = bench.now();
        bench
            .core
            .handle_command(bench.leg, LegCommand::Invite(Box::new(spec)), now);
        assert_eq!(bench.play("0 end"), "0 ! Rejected 400", "row {row}");
        assert!(bench.sent.is_empty(), "row {row}");
    }
}

#[test]
fn puts_the_headers_of_the_leg_on_every_message() {
    let mut bench = Bench::new();
    let mut spec = spec(bench.peer);
    spec.headers = vec![("X-Once".to_owned(), "1".to_owned())];
    spec.from_display = Some("K \"\r\n Im".to_owned());
    let headers = vec![
        ("X-Leg".to_owned(), "CA1".to_owned()),
        ("X-Bad".to_owned(), "a\nb".to_owned()),
    ];
    let now = bench.now();
    bench
        .core
        .handle_command(bench.leg, LegCommand::Invite(Box::new(spec)), now);
    bench
        .core
        .handle_command(bench.leg, LegCommand::SetHeaders(headers), now);
    let log = bench.play("0 end; 100 < 200 INVITE a sdp; 200 info; 300 < 200 INFO; 400 bye");
    assert_eq!(
        log,
        "0 > INVITE, 0 ! HeaderRefused X-Bad, 100 > ACK, 100 ! Answered sdp, 200 > INFO, \
         300 ! InfoDone 200, 400 > BYE"
    );
    assert_eq!(bench.request_of("INVITE").headers.get("X-Once"), Some("1"));
    for method in ["ACK", "INFO", "BYE"] {
        let headers = &bench.request_of(method).headers;
        assert_eq!(headers.get("X-Leg"), Some("CA1"), "{method}");
        assert_eq!(headers.get("X-Once"), None, "{method}");
        assert!(!headers.contains("X-Bad"), "{method}");
    }
    let from = bench.request_of("INVITE").headers.from().unwrap();
    assert!(!from.display.unwrap().contains(['\r', '\n']));

    let mut canceled = Bench::new();
    let invite = LegCommand::Invite(Box::new(crate::bench::spec(canceled.peer)));
    let headers = vec![("X-Leg".to_owned(), "CA1".to_owned())];
    canceled.core.handle_command(canceled.leg, invite, now);
    canceled
        .core
        .handle_command(canceled.leg, LegCommand::SetHeaders(headers), now);
    canceled.play("0 end; 100 < 180 INVITE a; 200 cancel");
    let Message::Request(cancel) = canceled.last_sent() else {
        panic!("no CANCEL")
    };
    assert_eq!(cancel.headers.get("X-Leg"), Some("CA1"));
    let invite = canceled.request_of("INVITE");
    assert_eq!(
        cancel.headers.via(),
        invite.headers.via(),
        "CANCEL has the branch of its INVITE"
    );
    assert_eq!(
        cancel.headers.get(HeaderName::To),
        invite.headers.get(HeaderName::To)
    );
    assert_eq!(
        cancel.headers.cseq().unwrap().seq,
        invite.headers.cseq().unwrap().seq
    );
}

#[test]
fn every_message_of_a_leg_carries_its_headers() {
    let mut bench = Bench::new();
    let mut spec = crate::bench::spec(bench.peer);
    spec.leg_headers = vec![("X-Call".to_owned(), "CA1".to_owned())];
    let now = bench.now();
    let invite = LegCommand::Invite(Box::new(spec));
    bench.core.handle_command(bench.leg, invite, now);
    bench.drain();
    bench.play("10 < 200 INVITE a sdp; 20 bye");
    for method in ["INVITE", "ACK", "BYE"] {
        let value = bench.request_of(method).headers.get("X-Call");
        assert_eq!(value, Some("CA1"), "{method}");
    }
}

#[test]
fn invites_a_recording_server() {
    let mut bench = Bench::new();
    let mut spec = spec(bench.peer);
    spec.recording = Some("<recording/>".to_owned());
    let now = bench.now();
    bench
        .core
        .handle_command(bench.leg, LegCommand::Invite(Box::new(spec)), now);
    let log = bench.play("0 end; 100 < 200 INVITE a sdp; 200 < INVITE 2 sdp; 300 answer; 400 bye");
    assert!(log.contains("100 ! Answered sdp"), "{log}");
    let invite = bench.request_of("INVITE");
    let headers = &invite.headers;
    assert_eq!(headers.get("Require"), Some("siprec"));
    assert_eq!(headers.get("Accept"), Some("application/sdp"));
    let contact = headers.get("Contact").unwrap();
    assert!(contact.ends_with(">;+sip.src"), "{contact}");
    let kind = headers.get("Content-Type").unwrap();
    let (kind, boundary) = kind.split_once(";boundary=").unwrap();
    assert_eq!(kind, "multipart/mixed");
    let body = String::from_utf8(invite.body.to_vec()).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
    let sdp = "\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";
    assert!(parts[1].starts_with(sdp), "{body}");
    assert_eq!(
        parts[2],
        "\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n\
         <recording/>\r\n"
    );
    // The other requests of the dialog ask for no extension.
    assert_eq!(bench.request_of("BYE").headers.get("Require"), None);
}
