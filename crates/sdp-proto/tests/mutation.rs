//! Broken descriptions: 200 000 deterministic mutations of real ones must be read or refused,
//! quickly and without a panic; what is answered keeps the media lines of its offer.

use sdp_proto::{LocalMedia, OfferAnswer, Session};
use std::time::{Duration, Instant};
use testkit::random::Random;

const ROUNDS: u32 = 200_000;
const TIME_LIMIT: Duration = Duration::from_secs(120);

const SEEDS: [&str; 3] = [
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
     m=audio 6002 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
     a=ptime:20\r\na=sendrecv\r\n",
    "v=0\no=x 18446744073709551615 2 IN IP6 ::1\ns= \nc=IN IP6 2001:db8::9\nb=AS:1\nt=0 0\n\
     a=sendonly\nm=video 5000/2 RTP/AVP 31\nm=audio 6002 RTP/AVP 97 96\na=rtcp:9 IN IP4 10.0.0.1\n\
     a=rtpmap:97 PCMA/8000/1\na=rtpmap:96 telephone-event/8000\na=rtcp-mux\na=maxptime:40\n",
    "v=0\r\nm=audio 65535 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\na=ptime:\u{e9}\r\n",
];

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "measures how long the test itself takes"
)]
fn descriptions() {
    let start = Instant::now();
    let local = LocalMedia::new([198, 51, 100, 1].into(), 7000, 5);
    let mut random = Random(0x5D9);
    let (mut parsed, mut answered) = (0, 0);
    for _ in 0..ROUNDS {
        let bytes = mutate(&mut random);
        let text = String::from_utf8_lossy(&bytes);
        let Ok(offer) = Session::parse(&text) else {
            continue;
        };
        parsed += 1;
        let mut session = OfferAnswer::new(local.clone());
        let _ = session.accept_answer(&text);
        let Ok((answer, agreed)) = session.answer(&text) else {
            continue;
        };
        answered += 1;
        let answer = Session::parse(&answer).unwrap();
        assert_eq!(answer.media.len(), offer.media.len());
        let accepted: Vec<usize> = (0..answer.media.len())
            .filter(|index| answer.media[*index].port != 0)
            .collect();
        assert_eq!(accepted, [agreed.media_index]);
        let again = Session::parse(&session.offer()).unwrap();
        assert_eq!(again.media.len(), offer.media.len());
    }
    assert!(
        parsed > ROUNDS / 2 && answered > ROUNDS / 10,
        "{parsed} parsed, {answered} answered"
    );
    assert!(start.elapsed() < TIME_LIMIT);
}

/// A seed with one to four flips, cuts, insertions, repeats or odd numbers.
fn mutate(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.index(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=random.index(4) {
        let at = random.index(bytes.len());
        match random.index(7) {
            0 if random.index(4) == 0 => bytes.truncate(at),
            1 => bytes.insert(at, random.index(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.index(8),
            3 if at < bytes.len() => bytes[at] = b"\r\n /:=0-\0"[random.index(9)],
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            5 => {
                let odd = [
                    "65536",
                    "-1",
                    "m=audio 1 RTP/AVP 0\r\n",
                    "99999999999999999999",
                ];
                let odd = odd[random.index(odd.len())].bytes();
                bytes.splice(at..at, odd);
            }
            _ => {
                let end = (at + 40).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
        }
    }
    bytes
}
