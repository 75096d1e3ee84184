//! What comes out of the buffer, frame by frame.

use super::*;

const FIXED_40: Delay = Delay::Fixed(Duration::from_millis(40));
const ADAPTIVE: Delay = Delay::Adaptive {
    min: Duration::from_millis(20),
    max: Duration::from_millis(200),
};

/// Name, delay, arrivals as (ms, packet), frames to pull, what is heard.
type Case = (
    &'static str,
    Delay,
    &'static [(u64, u16)],
    usize,
    &'static str,
);

/// Names what is heard in each 20 ms frame: `.` silence, `~` made up, else the number of the
/// packet (modulo 10); `x` when a frame has audio of several packets.
#[test]
fn what_is_heard() {
    let table: &[Case] = &[
        (
            "even",
            FIXED_40,
            &[(0, 0), (20, 1), (40, 2), (60, 3)],
            8,
            "..0123~~",
        ),
        (
            "reordered",
            FIXED_40,
            &[(0, 0), (20, 2), (40, 1), (60, 3)],
            6,
            "..0123",
        ),
        (
            "first two swapped",
            FIXED_40,
            &[(0, 1), (20, 0), (40, 2)],
            5,
            "..012",
        ),
        (
            "one lost",
            FIXED_40,
            &[(0, 0), (40, 2), (60, 3)],
            6,
            "..0~23",
        ),
        (
            "four lost: three frames fade, then silence",
            FIXED_40,
            &[(0, 0), (100, 5), (120, 6)],
            9,
            "..0~~~.56",
        ),
        ("nothing after: rest", FIXED_40, &[(0, 0)], 8, "..0~~~.."),
        (
            "late beyond use",
            FIXED_40,
            &[(0, 0), (60, 2), (81, 1), (82, 3)],
            7,
            "..0~23~",
        ),
        (
            "duplicates",
            FIXED_40,
            &[(0, 0), (20, 1), (25, 0), (40, 2), (45, 2), (60, 3), (65, 1)],
            6,
            "..0123",
        ),
        (
            "a pause, then a new spurt after the full delay",
            FIXED_40,
            &[(0, 0), (200, 10), (220, 11), (240, 12)],
            15,
            "..0~~~......012",
        ),
        (
            "adaptive: late packet is played late, nothing is lost",
            ADAPTIVE,
            &[(0, 0), (45, 1), (46, 2), (60, 3), (80, 4), (100, 5)],
            8,
            ".0~12345",
        ),
    ];
    for (name, delay, arrivals, frames, expected) in table {
        assert_eq!(timeline(*delay, arrivals, *frames), *expected, "{name}");
    }
}

#[test]
fn adaptive_delay_grows_and_shrinks() {
    let mut line = Line::new(ADAPTIVE);
    let mut at = |packets: std::ops::Range<u16>, extra_ms: u64| {
        for packet in packets {
            line.packet_at(u64::from(packet) * 20 + extra_ms, packet);
        }
        line.buffer.delay()
    };
    assert_eq!(at(0..50, 0), Duration::from_millis(20));
    let grown = at(50..55, 60);
    assert!(grown >= Duration::from_millis(60), "{grown:?}");
    let calm = at(55..1000, 0);
    assert!(calm <= Duration::from_millis(60), "{calm:?}");
    assert!(calm >= Duration::from_millis(20), "{calm:?}");
}

#[test]
fn fixed_delay_returns_after_a_burst() {
    // A stall of 300 ms whose packets then come at once: the excess is cut within seconds.
    let mut line = Line::new(FIXED_40);
    for packet in 0..500u16 {
        let due = u64::from(packet) * 20;
        line.packet_at(if (20..35).contains(&packet) { 700 } else { due }, packet);
    }
    let waiting = line.waiting_ms();
    assert!((20..=80).contains(&waiting), "{waiting} ms");
}

#[test]
fn slow_and_fast_clocks_are_followed() {
    // The sender's 20 ms are 19.9 or 20.1 ms of ours, for ten minutes.
    for (name, step_us) in [("fast", 19_900), ("slow", 20_100)] {
        for delay in [FIXED_40, ADAPTIVE] {
            let mut line = Line::new(delay);
            for packet in 0..30_000u32 {
                line.packet_at(u64::from(packet) * step_us / 1000, packet as u16);
            }
            let (waiting, concealed) = (line.waiting_ms(), line.picture.matches('~').count());
            assert!(waiting <= 240, "{name} {delay:?}: {waiting} ms wait");
            assert!(
                concealed < 30_000 / 20,
                "{name} {delay:?}: {concealed} made up"
            );
        }
    }
}

#[test]
fn stream_changes_restart() {
    let (mut buffer, now) = (JitterBuffer::new(FIXED_40, 8000), origin());
    let header = |ssrc, sequence, timestamp| Header {
        ssrc,
        sequence,
        timestamp,
        ..Header::default()
    };
    let pushes = [
        (header(1, 0, 0), Pushed::Restarted),
        (header(1, 1, 160), Pushed::Kept),
        (header(1, 1, 160), Pushed::Duplicate),
        (header(2, 2, 320), Pushed::Restarted),
        (header(2, 3, 900_000), Pushed::Restarted),
        (header(2, 4, 5_000), Pushed::Restarted),
        (header(2, 5, 5_160), Pushed::Kept),
    ];
    for (header, expected) in pushes {
        assert_eq!(
            buffer.push(&header, &[1000; 160], now),
            expected,
            "{header:?}"
        );
    }
    buffer.reset();
    let mut out = [9; 160];
    assert_eq!(buffer.pull(&mut out, now), Played::Silence);
    assert_eq!(out, [0; 160]);
}

/// A tone at 16 kHz in packets whose clock counts at 8 kHz, one of them lost.
#[test]
fn a_clock_slower_than_the_samples() {
    let (mut buffer, now) = (JitterBuffer::new(FIXED_40, 16_000), origin());
    let sample = |index: u32| (index % 3000) as i16 + 1;
    let mut heard = Vec::new();
    for packet in 0..10u32 {
        let at = now + Duration::from_millis(u64::from(packet) * 20);
        let header = Header {
            sequence: packet as u16,
            timestamp: (u32::MAX / 2 - 200).wrapping_add(packet * 160),
            ..Header::default()
        };
        let samples: [i16; 320] = std::array::from_fn(|index| sample(packet * 320 + index as u32));
        if packet != 5 {
            buffer.push(&sample_header(&header, 2), &samples, at);
        }
        let mut out = [0; 320];
        let played = buffer.pull(&mut out, at);
        let expected = match packet {
            0 | 1 => Played::Silence,
            7 => Played::Concealed,
            _ => Played::Audio,
        };
        assert_eq!(played, expected, "{packet}");
        heard.extend_from_slice(&out);
    }
    let expected: Vec<i16> = (0..5 * 320).map(sample).collect();
    assert_eq!(heard[640..640 + 5 * 320], expected);
    let last: Vec<i16> = (7 * 320..8 * 320).map(sample).collect();
    assert_eq!(heard[640 + 7 * 320..], last);
}

#[test]
fn concealment_fades() {
    let mut concealer = Concealer::new(8);
    for _ in 0..160 {
        concealer.pass(10_000);
    }
    let mut made_up = [0; 640];
    let count = made_up
        .iter_mut()
        .filter_map(|out| concealer.make_up(out))
        .count();
    assert_eq!(count, 480);
    assert_eq!(made_up[79], 10_000);
    assert_eq!(made_up[280], 5_000);
    assert_eq!(made_up[480..], [0; 160]);
    assert!(made_up.windows(2).all(|pair| pair[0] >= pair[1]));
    let back: Vec<i16> = (0..40).map(|_| concealer.pass(10_000)).collect();
    assert!(
        back.windows(2)
            .all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] < 400)
    );
    assert_eq!(back[32..], [10_000; 8]);
}

#[test]
fn bad_networks_never_repeat_or_disorder_audio() {
    let mut random = Random(1);
    for round in 0..60 {
        let delay = if round % 2 == 0 { FIXED_40 } else { ADAPTIVE };
        let jitter = random.below(150) + 1;
        let mut arrivals: Vec<(u64, u16)> = (0..300)
            .map(|packet| (u64::from(packet) * 20 + random.below(jitter), packet))
            .filter(|(_, packet)| packet % 17 != 5)
            .collect();
        arrivals.sort_unstable();
        let mut line = Line::new(delay);
        for (at, packet) in arrivals {
            line.packet_at(at, packet);
        }
        // `Line::hear` checks the order of what it hears.
        assert!(
            line.heard > 3000,
            "round {round}: only {} samples",
            line.heard
        );
    }
}

/// A sender, a network whose delays the test chooses, and a listener who pulls every 20 ms.
struct Line {
    buffer: JitterBuffer,
    /// Frames pulled.
    frames: u64,
    /// What was heard, see [`what_is_heard`].
    picture: String,
    /// Received samples that were recognised, and the number of the last one.
    heard: usize,
    last: i64,
    sent_end: u32,
}

/// Timestamps begin shortly before the wrap.
const FIRST_TIMESTAMP: u32 = u32::MAX - 799;
/// Packet n holds the samples 1000 + n·160 …, modulo this, so each can be recognised.
const CYCLE: i64 = 31_680;

impl Line {
    fn new(delay: Delay) -> Self {
        let buffer = JitterBuffer::new(delay, 8000);
        Self {
            buffer,
            frames: 0,
            picture: String::new(),
            heard: 0,
            last: -1,
            sent_end: 0,
        }
    }

    /// Packet `packet` arrives after the frames due before `at` ms were pulled.
    fn packet_at(&mut self, at: u64, packet: u16) {
        while self.frames * 20 < at {
            self.hear();
        }
        let start = u32::from(packet) * 160;
        let samples: [i16; 160] =
            std::array::from_fn(|index| value(i64::from(start) + index as i64));
        let header = Header {
            sequence: packet.wrapping_add(65_530),
            timestamp: FIRST_TIMESTAMP.wrapping_add(start),
            ..Header::default()
        };
        self.sent_end = header.timestamp.wrapping_add(160);
        self.buffer
            .push(&header, &samples, origin() + Duration::from_millis(at));
    }

    fn hear(&mut self) {
        let mut out = [0; 160];
        let now = origin() + Duration::from_millis(self.frames * 20);
        self.frames += 1;
        let played = self.buffer.pull(&mut out, now);
        if played == Played::Silence {
            assert_eq!(out, [0; 160]);
        }
        let mark = match played {
            Played::Silence => '.',
            Played::Audio => self.name(&out),
            Played::Concealed => '~',
        };
        self.picture.push(mark);
        if played == Played::Audio {
            // The first samples after a gap are blended with made-up ones.
            self.check_order(&out[32..]);
        }
    }

    fn name(&self, out: &[i16; 160]) -> char {
        let packet = |sample: i16| (i64::from(sample) - 1000) / 160;
        let (first, last) = (packet(out[32]), packet(out[159]));
        if first != last {
            return 'x';
        }
        char::from_digit((last % 10) as u32, 10).unwrap_or('?')
    }

    /// Received samples come in the order they were sent, each at most once.
    fn check_order(&mut self, samples: &[i16]) {
        for sample in samples {
            let number = (i64::from(*sample) - 1000).rem_euclid(CYCLE);
            let ahead = (number - self.last).rem_euclid(CYCLE);
            assert!(
                ahead > 0 && ahead < CYCLE / 2,
                "{number} after {}",
                self.last
            );
            self.last = number;
            self.heard += 1;
        }
    }

    /// Length of the audio waiting in the buffer.
    fn waiting_ms(&self) -> u32 {
        let next = self.buffer.stream.as_ref().unwrap().next;
        self.sent_end.wrapping_sub(next) / 8
    }
}

fn value(number: i64) -> i16 {
    1000 + (number % CYCLE) as i16
}

fn timeline(delay: Delay, arrivals: &[(u64, u16)], frames: usize) -> String {
    let mut line = Line::new(delay);
    for (at, packet) in arrivals {
        line.packet_at(*at, *packet);
    }
    while line.picture.len() < frames {
        line.hear();
    }
    line.picture
}

/// A small deterministic generator (xorshift).
struct Random(u64);
impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
fn origin() -> Instant {
    static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}
