//! Offers and answers as they go over the wire.

use sdp_proto::{Codec, Direction, LocalMedia, Negotiated, OfferAnswer, SdpError, Session};
use std::net::SocketAddr;

#[test]
fn our_offer_as_text() {
    assert_eq!(
        sdp_proto::offer(&local()),
        "v=0\r\no=patchcord 5 5 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
         m=audio 7000 RTP/AVP 9 0 8 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp-mux\r\n\
         a=sendrecv\r\n"
    );
    let v6 = LocalMedia {
        address: "2001:db8::1".parse().unwrap(),
        ..local()
    };
    assert!(sdp_proto::offer(&v6).contains("\r\nc=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn answer_as_text() {
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=video 5000 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n\
        m=audio 6000 RTP/SAVP 0\r\n\
        m=audio 6002 RTP/AVP 18 97 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n\
        a=rtpmap:97 pcmu/8000/1\r\na=ptime:30\r\na=sendonly\r\n\
        m=audio 6004 RTP/AVP 0\r\nm=application 7000 UDP/TLS/WEBRTC webrtc-datachannel\r\n";
    let (text, agreed) = sdp_proto::answer(&Session::parse(offer).unwrap(), &local()).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=patchcord 5 5 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n\
         m=video 0 RTP/AVP 31 32\r\nm=audio 0 RTP/SAVP 0\r\n\
         m=audio 7000 RTP/AVP 97 96\r\na=rtpmap:97 PCMU/8000\r\n\
         a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:30\r\na=recvonly\r\n\
         m=audio 0 RTP/AVP 0\r\nm=application 0 UDP/TLS/WEBRTC webrtc-datachannel\r\n"
    );
    assert_eq!(
        agreed,
        Negotiated {
            remote: address("192.0.2.9:6002"),
            rtcp: Some(address("192.0.2.9:6003")),
            rtcp_mux: false,
            codec: Codec::PCMU,
            payload_type: 97,
            receive_payload_type: 97,
            telephone_event: Some(96),
            receive_telephone_event: Some(96),
            ptime_ms: 30,
            direction: Direction::RecvOnly,
            on_hold: true,
            media_index: 2,
        }
    );
}

/// An answer repeats the names of media lines, but not the keys and candidates of the remote party.
#[test]
fn an_answer_repeats_names_only() {
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        a=group:BUNDLE a v\r\nm=audio 6000 RTP/AVP 0\r\na=mid:a\r\na=candidate:1 1 UDP 1 192.0.2.9 6000 typ host\r\n\
        m=video 6002 RTP/SAVP 31\r\na=mid:v\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n";
    let offer = Session::parse(offer).unwrap();
    assert_eq!(offer.media[1].attribute("mid"), Some("v"));
    assert!(offer.media[1].attribute("crypto").is_some());
    let (text, _) = sdp_proto::answer(&offer, &local()).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("m=") || !line.starts_with("a=rtpmap"))
        .skip(5)
        .collect();
    assert_eq!(
        lines,
        [
            "m=audio 7000 RTP/AVP 0",
            "a=ptime:20",
            "a=sendrecv",
            "a=mid:a",
            "m=video 0 RTP/SAVP 31",
            "a=mid:v"
        ]
    );
}

/// The agreement reached on a lone audio line (after `c=IN IP4 192.0.2.9`).
#[test]
fn what_is_agreed() {
    let table = [
        (
            "m=audio 6 RTP/AVP 0",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 8 0",
            "PCMA 8 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 rtp/avp 18 3 8",
            "PCMA 8 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=AUDIO 6 RTP/AVP 96\na=rtpmap:96 PCMA/8000",
            "PCMA 96 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 9 0",
            "G722 9 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 96 0\na=rtpmap:96 g722/8000",
            "G722 96 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        // It samples at 16 kHz, but its clock is 8 kHz in SDP.
        (
            "m=audio 6 RTP/AVP 96 0\na=rtpmap:96 G722/16000",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 96 0\na=rtpmap:96 PCMU/16000",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0 8\na=rtpmap:0 G729/8000",
            "PCMA 8 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0 100 101\na=rtpmap:100 telephone-event/48000\n\
             a=rtpmap:101 TELEPHONE-EVENT/8000",
            "PCMU 0 101 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=rtpmap:101 telephone-event/8000",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0\nc=IN IP6 2001:db8::7\na=ptime:60",
            "PCMU 0 - 60ms [2001:db8::7]:6 rtcp [2001:db8::7]:7",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=ptime:60\na=maxptime:50",
            "PCMU 0 - 40ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=ptime:25\na=maxptime:5",
            "PCMU 0 - 10ms 192.0.2.9:6 rtcp 192.0.2.9:7",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=rtcp:99",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:99",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=rtcp:99 IN IP4 192.0.2.10",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.10:99",
        ),
        (
            "m=audio 6 RTP/AVP 0\na=rtcp:99\na=rtcp-mux",
            "PCMU 0 - 20ms 192.0.2.9:6 rtcp 192.0.2.9:6",
        ),
        (
            "m=audio 65535 RTP/AVP 0",
            "PCMU 0 - 20ms 192.0.2.9:65535 rtcp none",
        ),
    ];
    for (media, expected) in table {
        let (_, agreed) = sdp_proto::answer(&session(media), &local()).unwrap();
        let event = agreed
            .telephone_event
            .map_or("-".to_owned(), |number| number.to_string());
        let rtcp = agreed
            .rtcp
            .map_or("none".to_owned(), |address| address.to_string());
        let (codec, number, ms) = (agreed.codec, agreed.payload_type, agreed.ptime_ms);
        let seen = format!(
            "{codec:?} {number} {event} {ms}ms {} rtcp {rtcp}",
            agreed.remote
        );
        assert_eq!(seen, expected, "{media}");
    }
}

#[test]
fn what_cannot_be_agreed() {
    let table = [
        ("", SdpError::NoAudio, 488),
        ("m=video 6 RTP/AVP 31", SdpError::NoAudio, 488),
        ("m=audio 0 RTP/AVP 0", SdpError::NoAudio, 488),
        ("m=audio 6 RTP/SAVP 0", SdpError::NoCommonProfile, 488),
        (
            "m=audio 6 UDP/TLS/RTP/SAVPF 0",
            SdpError::NoCommonProfile,
            488,
        ),
        ("m=audio 6 RTP/AVP 18 3", SdpError::NoCommonCodec, 488),
        (
            "m=audio 6 RTP/AVP 18\nm=audio 6 RTP/SAVP 0",
            SdpError::NoCommonCodec,
            488,
        ),
        (
            "m=audio 6 RTP/SAVP 0\nm=audio 6 RTP/AVP 18",
            SdpError::NoCommonCodec,
            488,
        ),
        (
            "m=audio 6 RTP/AVP 0\nc=IN IP4 host.example",
            SdpError::NoAddress,
            488,
        ),
    ];
    for (media, error, status) in table {
        assert_eq!(
            sdp_proto::answer(&session(media), &local()),
            Err(error.clone()),
            "{media}"
        );
        assert_eq!(error.status(), status);
    }
    let nowhere = Session::parse("v=0\nm=audio 6 RTP/AVP 0\n").unwrap();
    assert_eq!(
        sdp_proto::answer(&nowhere, &local()),
        Err(SdpError::NoAddress)
    );
    assert_eq!(Session::parse("").map_err(|error| error.status()), Err(400));
    let only_alaw = LocalMedia {
        codecs: vec![Codec::PCMA],
        ..local()
    };
    let ulaw = session("m=audio 6 RTP/AVP 0");
    assert_eq!(
        sdp_proto::answer(&ulaw, &only_alaw),
        Err(SdpError::NoCommonCodec)
    );
}

#[test]
fn directions() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    // Attributes of the offer, what we want, what we answer, whether we are on hold.
    let table = [
        ("", SendRecv, SendRecv, false),
        ("a=sendrecv", SendRecv, SendRecv, false),
        ("a=sendonly", SendRecv, RecvOnly, true),
        ("a=recvonly", SendRecv, SendOnly, false),
        ("a=inactive", SendRecv, Inactive, true),
        ("a=sendrecv", SendOnly, SendOnly, false),
        ("a=sendonly", SendOnly, Inactive, true),
        ("a=recvonly", RecvOnly, Inactive, false),
        ("a=sendrecv", Inactive, Inactive, false),
        ("c=IN IP4 0.0.0.0", SendRecv, RecvOnly, true),
        ("c=IN IP4 0.0.0.0\na=inactive", SendRecv, Inactive, true),
        ("c=IN IP6 ::", SendRecv, RecvOnly, true),
    ];
    for (attributes, wanted, expected, on_hold) in table {
        let local = LocalMedia {
            direction: wanted,
            ..local()
        };
        let offer = session(&format!("m=audio 6 RTP/AVP 0\n{attributes}"));
        let (text, agreed) = sdp_proto::answer(&offer, &local).unwrap();
        assert_eq!(
            (agreed.direction, agreed.on_hold),
            (expected, on_hold),
            "{attributes}"
        );
        assert!(
            text.ends_with(&format!("a={}\r\n", expected.name())),
            "{text}"
        );
    }
    let whole = Session::parse("v=0\nc=IN IP4 192.0.2.9\na=inactive\nm=audio 6 RTP/AVP 0").unwrap();
    assert_eq!(
        sdp_proto::answer(&whole, &local()).unwrap().1.direction,
        Inactive
    );
}

#[test]
fn answers_to_our_offer() {
    let table = [
        (
            "m=audio 6 RTP/AVP 0",
            Ok("PCMU send 0 receive 0 events - -"),
        ),
        (
            "m=audio 6 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000",
            Ok("PCMA send 8 receive 8 events 101 101"),
        ),
        (
            "m=audio 6 RTP/AVP 96 97\na=rtpmap:96 PCMA/8000\na=rtpmap:97 telephone-event/8000",
            Ok("PCMA send 96 receive 8 events 97 101"),
        ),
        (
            "m=audio 6 RTP/AVP 0\nm=video 0 RTP/AVP 31",
            Ok("PCMU send 0 receive 0 events - -"),
        ),
        ("m=audio 0 RTP/AVP 0", Err(SdpError::Refused)),
        ("m=video 6 RTP/AVP 31", Err(SdpError::Refused)),
        ("", Err(SdpError::Refused)),
        ("m=audio 6 RTP/SAVP 0", Err(SdpError::NoCommonProfile)),
        ("m=audio 6 RTP/AVP 18", Err(SdpError::NoCommonCodec)),
    ];
    for (media, expected) in table {
        let agreed = sdp_proto::accept_answer(&local(), &session(media)).map(|agreed| {
            let show = |event: Option<u8>| event.map_or("-".to_owned(), |n| n.to_string());
            format!(
                "{:?} send {} receive {} events {} {}",
                agreed.codec,
                agreed.payload_type,
                agreed.receive_payload_type,
                show(agreed.telephone_event),
                show(agreed.receive_telephone_event)
            )
        });
        assert_eq!(agreed, expected.map(str::to_owned), "{media}");
    }
}

/// RFC 3264 §8.3.2: a payload type means the same codec in all descriptions of a session.
#[test]
fn a_re_offer_keeps_the_payload_types_agreed_on() {
    let media_line = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("m=audio"));
        line.unwrap_or_default().to_owned()
    };
    let offer = |media: &str| format!("v=0\nc=IN IP4 192.0.2.9\n{media}\n");
    let mut session = OfferAnswer::new(local());
    let first =
        offer("m=audio 6 RTP/AVP 97 96\na=rtpmap:97 PCMU/8000\na=rtpmap:96 telephone-event/8000");
    session.answer(&first).unwrap();
    assert_eq!(
        media_line(&session.offer()),
        "m=audio 7000 RTP/AVP 97 9 8 96"
    );
    // The answer may use its own numbers; ours stay as they were.
    let agreed = session
        .accept_answer(&offer("m=audio 6 RTP/AVP 9 8"))
        .unwrap();
    assert_eq!(
        (agreed.codec, agreed.receive_payload_type),
        (Codec::G722, 9)
    );
    assert_eq!(
        media_line(&session.offer()),
        "m=audio 7000 RTP/AVP 9 97 8 96"
    );
    let agreed = session
        .accept_answer(&offer("m=audio 6 RTP/AVP 0"))
        .unwrap();
    assert_eq!((agreed.payload_type, agreed.receive_payload_type), (0, 97));
    assert_eq!(
        media_line(&session.offer()),
        "m=audio 7000 RTP/AVP 97 9 8 96"
    );
    // Our number for telephone events is already taken by a codec.
    let mut session = OfferAnswer::new(local());
    session
        .answer(&offer("m=audio 6 RTP/AVP 101\na=rtpmap:101 PCMA/8000"))
        .unwrap();
    assert_eq!(
        media_line(&session.offer()),
        "m=audio 7000 RTP/AVP 101 9 0 96"
    );
}

#[test]
fn versions_and_media_lines_over_re_offers() {
    let mut session = OfferAnswer::new(local());
    let base = "v=0\nc=IN IP4 192.0.2.9\nm=video 5 RTP/AVP 31\nm=audio 6 RTP/AVP 8 96\n\
        a=rtpmap:96 telephone-event/8000\n";
    let first = session.answer(base).unwrap().0;
    assert_eq!(version(&first), 5);
    assert_eq!(
        session.answer(base).unwrap().0,
        first,
        "nothing changed, nothing new"
    );
    let held = session.answer(&format!("{base}a=sendonly\n")).unwrap();
    assert_eq!((version(&held.0), held.1.on_hold), (6, true));
    assert_eq!(session.negotiated(), Some(&held.1));
    assert_eq!(session.answer("v=0\n"), Err(SdpError::NoAudio));
    assert_eq!(
        session.negotiated(),
        Some(&held.1),
        "a bad offer changes nothing"
    );
    let resumed = session.answer(base).unwrap().0;
    assert_eq!(version(&resumed), 7);
    session.local_mut().direction = Direction::SendOnly;
    let ours = session.offer();
    assert_eq!(version(&ours), 8);
    let media: Vec<&str> = ours.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        ["m=video 0 RTP/AVP 31", "m=audio 7000 RTP/AVP 8 9 0 96"]
    );
    assert!(
        ours.contains("a=rtpmap:96 telephone-event/8000\r\n") && ours.ends_with("a=sendonly\r\n")
    );
    let agreed = session
        .accept_answer(&base.replace("video 5", "video 0"))
        .unwrap();
    assert_eq!(
        (agreed.media_index, agreed.direction),
        (1, Direction::SendOnly)
    );
    assert_eq!(agreed.codec, Codec::PCMA);
    assert_eq!(session.accept_answer("v=0\n"), Err(SdpError::Refused));
    assert_eq!(session.negotiated(), Some(&agreed));
}

#[test]
fn both_sides_agree() {
    let (mut caller, mut callee) = (OfferAnswer::new(local()), {
        let address = "2001:db8::2".parse().unwrap();
        OfferAnswer::new(LocalMedia {
            address,
            port: 9000,
            ..local()
        })
    });
    let (answer, heard) = callee.answer(&caller.offer()).unwrap();
    let agreed = caller.accept_answer(&answer).unwrap();
    assert_eq!(agreed.remote, address("[2001:db8::2]:9000"));
    assert_eq!(heard.remote, address("198.51.100.1:7000"));
    assert!(agreed.rtcp_mux && heard.rtcp_mux);
    assert_eq!(
        Negotiated {
            remote: heard.remote,
            rtcp: heard.rtcp,
            ..agreed
        },
        heard
    );
}

fn local() -> LocalMedia {
    LocalMedia::new([198, 51, 100, 1].into(), 7000, 5)
}

#[expect(clippy::expect_used, reason = "test input")]
fn session(media: &str) -> Session {
    Session::parse(&format!("v=0\nc=IN IP4 192.0.2.9\n{media}\n")).expect("test input parses")
}

fn address(text: &str) -> SocketAddr {
    text.parse()
        .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}

fn version(text: &str) -> u64 {
    let origin = Session::parse(text).ok().and_then(|session| session.origin);
    origin.map_or(0, |origin| origin.version)
}
