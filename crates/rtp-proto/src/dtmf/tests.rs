//! Packets as senders put them on the wire, and the keys that are heard.

use super::*;

#[test]
fn payload_layout() {
    let event = Event {
        code: 11,
        end: true,
        volume: 10,
        duration: 0x0320,
    };
    assert_eq!(event.encode(), [11, 0x8A, 0x03, 0x20]);
    assert_eq!(Event::parse(&[11, 0x8A, 0x03, 0x20, 99]), Some(event));
    assert_eq!(event.digit(), Some('#'));
    assert_eq!(Event::parse(&[1, 2, 3]), None);
    for (code, key) in KEYS.iter().enumerate() {
        assert_eq!(code_of(*key).map(usize::from), Some(code));
    }
    assert_eq!(code_of('d'), Some(15));
    assert_eq!(code_of('E'), None);
}

/// What a sender put on the wire and the digits recognised.
/// Packet: arrival ms, sequence, marker, timestamp, code, end, duration.
type Wire = (u64, u16, bool, u32, u8, bool, u16);
/// SSRC, sequence, timestamp, duration and end of a packet.
type Sourced = (u32, u16, u32, u16, bool);

#[test]
fn each_press_is_heard_once() {
    let table: &[(&str, &[Wire], &str)] = &[
        (
            "textbook",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, false, 320),
                (40, 3, false, 0, 5, true, 480),
                (40, 4, false, 0, 5, true, 480),
                (40, 5, false, 0, 5, true, 480),
            ],
            "5",
        ),
        (
            "no marker bit, two presses",
            &[
                (0, 1, false, 0, 5, false, 160),
                (20, 2, false, 0, 5, true, 320),
                (200, 3, false, 1600, 5, false, 160),
                (220, 4, false, 1600, 5, true, 320),
            ],
            "55",
        ),
        (
            "short presses with one timestamp",
            &[
                (0, 1, true, 0, 5, true, 160),
                (20, 2, false, 0, 5, true, 160),
                (200, 3, true, 0, 5, false, 160),
                (220, 4, false, 0, 5, true, 320),
                (240, 5, false, 0, 5, true, 320),
            ],
            "55",
        ),
        (
            "all end packets lost, same key again",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, false, 320),
                (200, 6, true, 1600, 5, false, 160),
                (220, 7, false, 1600, 5, true, 320),
            ],
            "55",
        ),
        (
            "only an end packet arrives",
            &[(0, 9, false, 0, 1, true, 800)],
            "1",
        ),
        (
            "end packets repeated late",
            &[
                (0, 1, true, 0, 5, true, 160),
                (20, 2, false, 0, 5, true, 160),
                (250, 3, false, 0, 5, true, 160),
            ],
            "5",
        ),
        (
            "one timestamp for two presses of a key",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, true, 320),
                (120, 3, true, 0, 5, false, 160),
                (140, 4, false, 0, 5, true, 320),
            ],
            "55",
        ),
        (
            "one timestamp, end packets lost",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, false, 320),
                (120, 3, true, 0, 5, false, 160),
            ],
            "55",
        ),
        (
            "one timestamp for two keys",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, true, 320),
                (120, 3, true, 0, 6, false, 160),
                (140, 4, false, 0, 6, true, 320),
            ],
            "56",
        ),
        (
            "the end again, much later",
            &[
                (0, 1, true, 0, 5, true, 320),
                (900, 9, false, 0, 5, true, 320),
            ],
            "5",
        ),
        (
            "one timestamp, pressed again much later, only the end arrives, with a marker",
            &[
                (0, 1, true, 0, 5, true, 320),
                (900, 9, true, 0, 5, true, 320),
            ],
            "55",
        ),
        (
            "one timestamp, pressed again much later, for a shorter time",
            &[
                (0, 1, true, 0, 5, true, 320),
                (900, 9, false, 0, 5, true, 160),
            ],
            "55",
        ),
        (
            "the end again after 350, 500 and 1000 ms",
            &[
                (0, 100, false, 1000, 5, false, 160),
                (20, 101, false, 1000, 5, false, 320),
                (40, 102, false, 1000, 5, true, 480),
                (390, 103, false, 1000, 5, true, 480),
                (540, 104, false, 1000, 5, true, 480),
                (1040, 105, false, 1000, 5, true, 480),
            ],
            "5",
        ),
        (
            "the end of the key before, inside and after the next key",
            &[
                (0, 1, true, 1000, 8, false, 160),
                (40, 2, false, 1000, 8, true, 480),
                (200, 3, true, 2600, 9, false, 160),
                (210, 4, false, 1000, 8, true, 480),
                (220, 5, false, 2600, 9, false, 320),
                (240, 6, false, 2600, 9, true, 480),
                (400, 7, false, 1000, 8, true, 480),
                (420, 8, false, 2600, 9, true, 480),
            ],
            "89",
        ),
        (
            "the same with one key pressed twice",
            &[
                (0, 1, true, 1000, 8, false, 160),
                (40, 2, false, 1000, 8, true, 480),
                (200, 3, true, 2600, 8, false, 160),
                (210, 4, false, 1000, 8, true, 480),
                (220, 5, false, 2600, 8, false, 320),
                (240, 6, false, 2600, 8, true, 480),
                (400, 7, false, 1000, 8, true, 480),
            ],
            "88",
        ),
        (
            "packets of two presses in flight at once",
            &[
                (0, 1, true, 1000, 8, false, 160),
                (20, 2, true, 1160, 9, false, 160),
                (40, 3, false, 1000, 8, false, 320),
                (60, 4, false, 1160, 9, false, 320),
                (80, 5, false, 1000, 8, true, 480),
                (100, 6, false, 1160, 9, true, 480),
            ],
            "89",
        ),
        (
            "the end of the press before the last two",
            &[
                (0, 1, true, 1000, 7, true, 160),
                (100, 2, true, 1800, 8, true, 160),
                (200, 3, true, 2600, 9, true, 160),
                (300, 4, false, 1000, 7, true, 160),
                (310, 5, false, 1800, 8, true, 160),
            ],
            "789",
        ),
        (
            "one timestamp for three presses of two keys, and an end again",
            &[
                (0, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, true, 320),
                (120, 3, false, 0, 6, false, 160),
                (130, 4, false, 0, 5, true, 320),
                (140, 5, false, 0, 6, true, 320),
                (240, 6, false, 0, 5, false, 160),
                (260, 7, false, 0, 5, true, 320),
            ],
            "565",
        ),
        (
            "the clock of the sender begins anew",
            &[
                (0, 1, true, 90_000, 5, true, 160),
                (200, 2, false, 100, 6, false, 160),
                (220, 3, false, 100, 6, true, 320),
                (400, 4, true, 1700, 6, true, 320),
            ],
            "566",
        ),
        (
            "new timestamp in each packet",
            &[
                (0, 1, true, 160, 5, false, 160),
                (20, 2, false, 320, 5, false, 320),
                (40, 3, false, 480, 5, false, 480),
                (60, 4, false, 640, 5, true, 640),
                (80, 5, false, 800, 5, true, 640),
                (100, 6, false, 960, 5, true, 640),
            ],
            "5",
        ),
        (
            "reordered inside a press",
            &[
                (0, 2, false, 0, 5, false, 320),
                (10, 1, true, 0, 5, false, 160),
                (40, 3, false, 0, 5, true, 480),
            ],
            "5",
        ),
        (
            "end of the first overtaken by the second",
            &[
                (0, 1, true, 0, 5, false, 160),
                (40, 4, true, 800, 6, false, 160),
                (41, 3, false, 0, 5, true, 320),
                (60, 5, false, 800, 6, true, 320),
            ],
            "56",
        ),
        (
            "sequence wraps",
            &[
                (0, 65535, true, 0, 5, false, 160),
                (20, 0, false, 0, 5, true, 320),
            ],
            "5",
        ),
        (
            "press of 10 s in two segments",
            &[
                (0, 1, true, 0, 5, false, 160),
                (1000, 2, false, 0, 5, false, 8000),
                (5000, 3, false, 0, 5, false, 40000),
                (8190, 4, false, 0, 5, false, 65535),
                (8210, 5, false, 65535, 5, false, 160),
                (10000, 6, false, 65535, 5, true, 14400),
            ],
            "5",
        ),
        (
            "flash is no key",
            &[
                (0, 1, true, 0, 16, false, 160),
                (20, 2, true, 400, 0, false, 160),
            ],
            "0",
        ),
        (
            "no marker, all end packets lost, same key again",
            &[
                (0, 1, false, 0, 5, false, 160),
                (20, 2, false, 0, 5, false, 320),
                (150, 6, false, 1200, 5, false, 160),
                (170, 7, false, 1200, 5, false, 320),
            ],
            "55",
        ),
        (
            "first packets lost, no marker",
            &[
                (40, 3, false, 0, 5, false, 480),
                (60, 4, false, 0, 5, true, 640),
                (60, 5, false, 0, 5, true, 640),
                (240, 9, false, 1600, 5, false, 480),
                (260, 10, false, 1600, 5, true, 640),
            ],
            "55",
        ),
        (
            "every packet twice",
            &[
                (0, 1, true, 0, 5, false, 160),
                (1, 1, true, 0, 5, false, 160),
                (20, 2, false, 0, 5, true, 320),
                (21, 2, false, 0, 5, true, 320),
                (120, 3, true, 800, 5, true, 320),
                (121, 3, true, 800, 5, true, 320),
            ],
            "55",
        ),
        (
            "the end overtakes everything",
            &[
                (0, 4, false, 0, 5, true, 480),
                (1, 1, true, 0, 5, false, 160),
                (2, 3, false, 0, 5, true, 480),
                (3, 2, false, 0, 5, false, 320),
            ],
            "5",
        ),
        (
            "other keys at once, no end, new timestamps",
            &[
                (0, 1, false, 0, 1, false, 160),
                (20, 2, false, 0, 1, false, 320),
                (40, 3, false, 320, 2, false, 160),
                (60, 4, false, 320, 2, false, 320),
                (80, 5, false, 640, 1, false, 160),
            ],
            "121",
        ),
        (
            "other keys at once, no end, one timestamp",
            &[
                (0, 1, false, 0, 1, false, 160),
                (20, 2, false, 0, 1, false, 320),
                (40, 3, false, 0, 2, false, 480),
                (60, 4, false, 0, 2, false, 640),
            ],
            "12",
        ),
        (
            "three segments, the last packets of each lost",
            &[
                (0, 1, true, 0, 5, false, 160),
                (4000, 2, false, 0, 5, false, 32000),
                (8100, 3, false, 0, 5, false, 64800),
                (8210, 7, false, 65535, 5, false, 160),
                (12_300, 8, false, 65535, 5, false, 33000),
                (16_300, 9, false, 65535, 5, false, 65000),
                (16_440, 12, false, 131_070, 5, false, 480),
                (17_000, 13, false, 131_070, 5, true, 4960),
                (17_000, 14, false, 131_070, 5, true, 4960),
            ],
            "5",
        ),
        (
            "duration stays at its largest, then wraps",
            &[
                (0, 1, true, 0, 5, false, 160),
                (4000, 2, false, 0, 5, false, 32000),
                (8180, 3, false, 0, 5, false, 65440),
                (8200, 4, false, 0, 5, false, 65535),
                (8220, 5, false, 0, 5, false, 65535),
                (8240, 6, false, 0, 5, false, 160),
                (8260, 7, false, 0, 5, true, 320),
            ],
            "5",
        ),
        (
            "events beyond the keys, between two presses",
            &[
                (0, 1, true, 0, 5, true, 160),
                (100, 2, true, 800, 16, true, 160),
                (120, 3, true, 960, 32, true, 160),
                (140, 4, true, 1120, 255, true, 160),
                (300, 5, true, 2400, 5, true, 160),
            ],
            "55",
        ),
        (
            "sequence begins anew at once",
            &[
                (0, 60000, true, 0, 5, true, 160),
                (200, 3, true, 77, 6, false, 160),
                (220, 4, false, 77, 6, true, 320),
                (400, 5, true, 1677, 6, true, 320),
            ],
            "566",
        ),
        (
            "sequence begins anew after a pause",
            &[
                (0, 60000, true, 0, 5, true, 160),
                (8000, 3, true, 64000, 5, true, 160),
            ],
            "55",
        ),
    ];
    for (name, packets, expected) in table {
        assert_eq!(heard(packets), *expected, "{name}");
    }
}

#[test]
fn new_source_is_a_new_press() {
    let mut receiver = DtmfReceiver::new();
    let now = origin();
    let payload = Event {
        code: 1,
        end: true,
        volume: 10,
        duration: 160,
    }
    .encode();
    let header = Header {
        ssrc: 1,
        sequence: 9,
        ..Header::default()
    };
    assert_eq!(receiver.handle_packet(&header, &payload, now), Some('1'));
    let header = Header {
        ssrc: 2,
        sequence: 3,
        ..Header::default()
    };
    assert_eq!(receiver.handle_packet(&header, &payload, now), Some('1'));
}

#[test]
fn new_source_inside_a_press() {
    // Packets 20 ms apart.
    let table: &[(&[Sourced], &str)] = &[
        (
            &[
                (1, 9, 800, 160, false),
                (2, 500, 800, 320, false),
                (2, 501, 800, 320, true),
            ],
            "1",
        ),
        (&[(1, 9, 800, 160, true), (2, 500, 800, 160, true)], "11"),
        (&[(1, 9, 800, 160, false), (2, 500, 0, 160, false)], "11"),
    ];
    for (packets, expected) in table {
        let mut receiver = DtmfReceiver::new();
        let mut heard = String::new();
        for (index, (ssrc, sequence, timestamp, duration, end)) in packets.iter().enumerate() {
            let header = Header {
                ssrc: *ssrc,
                sequence: *sequence,
                timestamp: *timestamp,
                ..Header::default()
            };
            let event = Event {
                code: 1,
                end: *end,
                volume: 10,
                duration: *duration,
            };
            let now = origin() + Duration::from_millis(20 * index as u64);
            heard.extend(receiver.handle_packet(&header, &event.encode(), now));
        }
        assert_eq!(heard, *expected, "{packets:?}");
    }
}

#[test]
fn reserved_bit_volume_and_length_do_not_matter() {
    let table: &[(&[u8], Option<char>)] = &[
        (&[1, 0x00, 0, 160], Some('1')),
        (&[1, 0x3F, 0, 160], Some('1')),
        (&[1, 0x40, 0, 160], Some('1')),
        (&[1, 0xFF, 0, 160], Some('1')),
        (&[1, 0x80, 0, 0], Some('1')),
        (&[1, 0x0A, 0, 160, 1, 0x0A, 0, 160], Some('1')),
        (&[1, 0x0A, 0], None),
        (&[], None),
        (&[16, 0x0A, 0, 160], None),
    ];
    for (payload, expected) in table {
        let mut receiver = DtmfReceiver::new();
        let heard = receiver.handle_packet(&Header::default(), payload, origin());
        assert_eq!(heard, *expected, "{payload:?}");
        let down = expected.is_some() && payload[1] & 0x80 == 0;
        assert_eq!(receiver.is_down(), down, "{payload:?}");
    }
}

fn heard(packets: &[Wire]) -> String {
    let mut receiver = DtmfReceiver::new();
    let start = origin();
    let mut heard = String::new();
    for (at, sequence, marker, timestamp, code, end, duration) in packets {
        let header = Header {
            marker: *marker,
            payload_type: 101,
            sequence: *sequence,
            timestamp: *timestamp,
            ssrc: 1,
        };
        let event = Event {
            code: *code,
            end: *end,
            volume: 10,
            duration: *duration,
        };
        let now = start + Duration::from_millis(*at);
        heard.extend(receiver.handle_packet(&header, &event.encode(), now));
    }
    heard
}

#[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
fn origin() -> Instant {
    static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}
