//! Generates key presses: those requested, and those converted between legs that send keys
//! differently.
//!
//! Works in whole frames: a key is down for at least 100 ms, or as long as it is held; a gap
//! follows in which the end packets of an event are sent. **Invariant: each press begins once and
//! is released once, in the order they were asked for**, with a gap after each. Left to others:
//! when a frame is due, and sending it as an event or a tone.

use crate::report::PlayId;
use audio::tone::KeyTone;
use rtp_proto::dtmf::{self, DtmfSender};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Minimum time that a key is down.
const DOWN: Duration = Duration::from_millis(100);
/// The longest press: the limit of the event's duration field.
pub(crate) const LONGEST: Duration = Duration::from_secs(8);
/// Gap between two requested keys.
const GAP: Duration = Duration::from_millis(100);
/// Gap after a key that is passed on; the bridge is heard again after it.
const RELAY_GAP: Duration = Duration::from_millis(60);
/// Number of frames in which the end packet of an event is sent.
const END_FRAMES: u32 = 3;
/// For each `w`, `W` or comma.
const PAUSE: Duration = Duration::from_millis(500);
/// Maximum passed-on keys waiting their turn: as many as one INFO carries.
const MAX_WAITING: usize = 32;
/// A passed-on key is released after this long without news of it.
const FORGOTTEN: Duration = Duration::from_millis(200);

/// News of a key that another leg holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Down(char),
    Held,
    Up,
}

#[derive(Debug)]
pub(crate) struct Keys {
    /// The play that requested the keys; `None`: passed on from another leg.
    pub(crate) play: Option<PlayId>,
    steps: VecDeque<Step>,
    state: State,
    /// The last press is held at least until then.
    held_until: Option<Instant>,
    /// How the press in progress is sent, chosen when it begins.
    pub(crate) way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Press(char),
    Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// How long the key is down.
    Down(Duration),
    /// Remaining length of the gap.
    Up(Duration),
}

#[derive(Debug)]
pub(crate) enum Way {
    Nothing,
    Event(DtmfSender),
    Tone(KeyTone),
}

/// The content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFrame {
    /// A key goes down.
    Begin(char),
    Down,
    /// The key goes up.
    Release,
    Up,
    /// Nothing is left to send.
    Over,
}

impl Keys {
    /// Keys that are asked for: `0`–`9`, `*`, `#`, `A`–`D`; `w` and comma pause, and other
    /// characters are ignored. `None` if nothing remains to send.
    pub(crate) fn new(play: PlayId, digits: &str) -> Option<Self> {
        let step = |digit: char| match digit {
            'w' | 'W' | ',' => Some(Step::Pause),
            digit => dtmf::code_of(digit).map(|_| Step::Press(digit)),
        };
        let steps: VecDeque<_> = digits.chars().filter_map(step).collect();
        (!steps.is_empty()).then(|| Self::with(Some(play), steps))
    }

    /// Passes on keys of another leg; none so far.
    pub(crate) fn relay() -> Self {
        Self::with(None, VecDeque::with_capacity(MAX_WAITING))
    }

    fn with(play: Option<PlayId>, steps: VecDeque<Step>) -> Self {
        Self {
            play,
            steps,
            state: State::Ready,
            held_until: None,
            way: Way::Nothing,
        }
    }

    /// Processes news of a key of the other leg.
    pub(crate) fn relay_key(&mut self, key: Key, now: Instant) {
        match key {
            Key::Down(digit) if self.steps.len() < MAX_WAITING => {
                self.steps.push_back(Step::Press(digit));
                self.held_until = Some(now + FORGOTTEN);
            }
            Key::Down(_) => {}
            Key::Held => {
                if let Some(until) = &mut self.held_until {
                    *until = now + FORGOTTEN;
                }
            }
            Key::Up => self.held_until = None,
        }
    }

    /// The content of the frame at `at`, which lasts for `frame`.
    pub(crate) fn next_frame(&mut self, frame: Duration, at: Instant) -> KeyFrame {
        loop {
            let state = self.state;
            match state {
                State::Ready => match self.steps.pop_front() {
                    Some(Step::Press(digit)) => {
                        self.state = State::Down(frame);
                        return KeyFrame::Begin(digit);
                    }
                    Some(Step::Pause) => self.state = State::Up(PAUSE),
                    None => return KeyFrame::Over,
                },
                State::Down(span) if span < DOWN || span < LONGEST && self.is_held(at) => {
                    self.state = State::Down(span + frame);
                    return KeyFrame::Down;
                }
                State::Down(_) => {
                    let gap = if self.play.is_some() { GAP } else { RELAY_GAP };
                    let gap = gap.max(END_FRAMES * frame);
                    self.state = State::Up(gap.saturating_sub(frame));
                    return KeyFrame::Release;
                }
                State::Up(Duration::ZERO) => self.state = State::Ready,
                State::Up(left) => {
                    self.state = State::Up(left.saturating_sub(frame));
                    return KeyFrame::Up;
                }
            }
        }
    }

    /// True while the key that is down is the last one passed on and still held. Otherwise forgets
    /// that it was held, so it stays up.
    fn is_held(&mut self, at: Instant) -> bool {
        let held = self.steps.is_empty() && self.held_until.is_some_and(|until| at < until);
        if self.steps.is_empty() && !held {
            self.held_until = None;
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// One character per frame: a key as it goes down, `-` while it is down, `!` as it goes up.
    fn frames(keys: &mut Keys, start: Instant, frame: Duration) -> String {
        let mut text = String::new();
        for count in 0.. {
            text.push(match keys.next_frame(frame, start + count * frame) {
                KeyFrame::Begin(digit) => digit,
                KeyFrame::Down => '-',
                KeyFrame::Release => '!',
                KeyFrame::Up => '.',
                KeyFrame::Over => return text,
            });
        }
        text
    }

    #[test]
    fn digits_pauses_and_the_rest() {
        let table = [
            ("1", 20, "1----!...."),
            ("1#", 20, "1----!....#----!...."),
            ("dw", 20, "d----!....========================="),
            (
                ",W",
                20,
                "==================================================",
            ),
            ("(5) x-6", 20, "5----!....6----!...."),
            ("1", 10, "1---------!........."),
            ("1", 30, "1---!..."),
            ("1", 60, "1-!.."),
        ];
        for (digits, frame, expected) in table {
            let mut keys = Keys::new(PlayId(1), digits).unwrap();
            let frame = Duration::from_millis(frame);
            let expected = expected.replace('=', ".");
            assert_eq!(frames(&mut keys, origin(), frame), expected, "{digits}");
        }
        for nothing in ["", "xyz", "ä"] {
            assert!(Keys::new(PlayId(1), nothing).is_none());
        }
    }

    #[test]
    fn keys_of_the_other_leg() {
        // When there is news of the key, in ms, and what is sent.
        type News = (u64, Key);
        let table: &[(&[News], &str)] = &[
            (&[(0, Key::Down('1')), (0, Key::Up)], "1----!.."),
            (&[(0, Key::Down('1')), (50, Key::Up)], "1----!.."),
            (
                &[(0, Key::Down('1')), (100, Key::Held), (190, Key::Up)],
                "1---------!..",
            ),
            // Its end packets are lost.
            (&[(0, Key::Down('1')), (80, Key::Held)], "1-------------!.."),
            // The next key ends the previous one; each gets its full time.
            (
                &[
                    (0, Key::Down('1')),
                    (20, Key::Down('2')),
                    (40, Key::Down('2')),
                    (60, Key::Up),
                ],
                "1----!..2----!..2----!..",
            ),
            // News of it arrives after it was released.
            (
                &[(0, Key::Down('1')), (230, Key::Held), (230, Key::Held)],
                "1---------!..",
            ),
        ];
        for (news, expected) in table {
            let (mut keys, mut sent) = (Keys::relay(), String::new());
            let mut news = news.iter().peekable();
            for frame in 0..50u32 {
                let at = origin() + frame * FRAME;
                while let Some((ms, key)) =
                    news.next_if(|(ms, _)| origin() + Duration::from_millis(*ms) <= at)
                {
                    keys.relay_key(*key, origin() + Duration::from_millis(*ms));
                }
                sent.push(match keys.next_frame(FRAME, at) {
                    KeyFrame::Begin(digit) => digit,
                    KeyFrame::Down => '-',
                    KeyFrame::Release => '!',
                    KeyFrame::Up => '.',
                    KeyFrame::Over => break,
                });
            }
            assert_eq!(sent, *expected, "{news:?}");
        }
    }

    #[test]
    fn bounds() {
        let mut keys = Keys::relay();
        for _ in 0..100 {
            keys.relay_key(Key::Down('1'), origin());
        }
        keys.relay_key(Key::Up, origin());
        let sent = frames(&mut keys, origin(), FRAME);
        assert_eq!(sent.matches('1').count(), MAX_WAITING);
        let mut held = Keys::relay();
        held.relay_key(Key::Down('1'), origin() + Duration::from_secs(60));
        assert_eq!(frames(&mut held, origin(), FRAME).len(), 403);
    }

    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn origin() -> Instant {
        static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}
