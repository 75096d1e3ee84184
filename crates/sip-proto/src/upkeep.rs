//! Keeps a registration of ours alive (RFC 3261 §10.2.4): when to send a REGISTER, and with which expiry.
//!
//! It is renewed when four fifths of its time are over. What fails is tried again after 5 s, then after twice as
//! long each time, up to 5 minutes. **Invariant: at most one REGISTER is on its way.** Left to others: sending
//! it, with credentials if the registrar asks for them (`ua/registering.rs`).

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The shortest time that a registration is believed to live; a registrar that grants less would be asked all the time.
const SHORTEST: u32 = 10;
/// How far the CSeq number of a REGISTER is from that of the one before: each may be sent again with credentials.
const SEQ_STEP: u32 = 16;

/// One REGISTER to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Seconds to ask for; 0 ends the registration.
    pub expires: u32,
    /// CSeq number.
    pub seq: u32,
}

/// A change that people want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is registered.
    Registered,
    /// It is not registered: the status of the refusal.
    Refused(u16),
}

/// A registration.
#[derive(Debug)]
pub struct Upkeep {
    /// Seconds that the operator wants.
    wanted: u32,
    /// Seconds to ask for: more if the registrar demands it.
    expires: u32,
    seq: u32,
    state: State,
    /// The last turn that was reported.
    reported: Option<Turn>,
    /// The last response demanded a longer time.
    is_raised: bool,
    /// It was registered once.
    was_bound: bool,
}

#[derive(Debug)]
enum State {
    /// The next REGISTER is due then; the pause that follows if it fails.
    Waiting {
        at: Instant,
        pause: Duration,
    },
    Asked {
        pause: Duration,
    },
    Ended,
}

impl Upkeep {
    /// A registration that is due at once.
    ///
    /// - `expires`: seconds to ask for, at least 1
    #[must_use]
    pub const fn new(expires: u32, now: Instant) -> Self {
        Self {
            wanted: expires,
            expires,
            seq: 1,
            state: State::Waiting {
                at: now,
                pause: FIRST_PAUSE,
            },
            reported: None,
            is_raised: false,
            was_bound: false,
        }
    }

    /// When the next REGISTER is due; `None` while one is on its way.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { at, .. } => Some(at),
            State::Asked { .. } | State::Ended => None,
        }
    }

    /// The REGISTER to send, if it is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Attempt> {
        match self.state {
            State::Waiting { at, pause } if at <= now => {
                self.state = State::Asked { pause };
                Some(self.attempt(self.expires))
            }
            State::Waiting { .. } | State::Asked { .. } | State::Ended => None,
        }
    }

    /// The final response to the last REGISTER.
    ///
    /// - `seconds`: what it grants, or demands (423)
    pub fn handle_done(&mut self, status: u16, seconds: Option<u32>, now: Instant) -> Option<Turn> {
        let State::Asked { pause } = self.state else {
            return None;
        };
        if let (423, Some(least)) = (status, seconds)
            && least > self.expires
        {
            self.expires = least;
            // A registrar that demands more each time waits like one that refuses.
            if !std::mem::replace(&mut self.is_raised, true) {
                self.state = State::Waiting { at: now, pause };
                return None;
            }
        }
        let turn = if (200..300).contains(&status) {
            let granted = seconds.unwrap_or(self.expires).max(SHORTEST);
            self.wait(
                now,
                Duration::from_secs(u64::from(granted)) * 4 / 5,
                FIRST_PAUSE,
            );
            self.is_raised = false;
            self.was_bound = true;
            Turn::Registered
        } else {
            if status != 423 {
                self.expires = self.wanted;
                self.is_raised = false;
            }
            self.wait(now, pause, LONGEST_PAUSE.min(pause * 2));
            Turn::Refused(status)
        };
        let is_news = self.reported != Some(turn);
        self.reported = Some(turn);
        is_news.then_some(turn)
    }

    /// Ends it. Returns the REGISTER that withdraws the binding, if there may be one.
    pub fn end(&mut self) -> Option<Attempt> {
        let was_asked = matches!(self.state, State::Asked { .. });
        self.state = State::Ended;
        // A renewal that was refused does not end what was granted before.
        let may_be_bound = was_asked || self.was_bound;
        may_be_bound.then(|| self.attempt(0))
    }

    fn wait(&mut self, now: Instant, wait: Duration, pause: Duration) {
        let at = now + wait;
        self.state = State::Waiting { at, pause };
    }

    const fn attempt(&mut self, expires: u32) -> Attempt {
        let seq = self.seq;
        self.seq = seq.wrapping_add(SEQ_STEP) & 0x7fff_ffff;
        Attempt { expires, seq }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every REGISTER at once with the next status and seconds; the log has the second of each.
    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn play(expires: u32, answers: &[(u16, Option<u32>)]) -> String {
        let start = Instant::now();
        let mut upkeep = Upkeep::new(expires, start);
        let mut log = Vec::new();
        for (status, seconds) in answers {
            let now = upkeep.poll_timeout().unwrap();
            let Attempt { expires, .. } = upkeep.handle_timeout(now).unwrap();
            log.push(format!("{} ask {expires}", (now - start).as_secs()));
            assert_eq!(upkeep.handle_timeout(now), None);
            if let Some(turn) = upkeep.handle_done(*status, *seconds, now) {
                log.push(format!("{turn:?}"));
            }
        }
        log.join(", ")
    }

    /// Expiry that is asked for, answers, and what happens.
    type Case = (u32, &'static [(u16, Option<u32>)], &'static str);

    #[test]
    fn a_registration_is_renewed_and_tried_again() {
        let table: &[Case] = &[
            (
                3600,
                &[(200, Some(100)), (200, None), (200, Some(1)), (200, None)],
                "0 ask 3600, Registered, 80 ask 3600, 2960 ask 3600, 2968 ask 3600",
            ),
            (
                60,
                &[
                    (403, None),
                    (403, None),
                    (408, None),
                    (200, None),
                    (503, None),
                    (200, None),
                ],
                "0 ask 60, Refused(403), 5 ask 60, 15 ask 60, Refused(408), 35 ask 60, Registered, \
                 83 ask 60, Refused(503), 88 ask 60, Registered",
            ),
            // A registrar that wants more, and one that cannot make up its mind.
            (
                60,
                &[(423, Some(600)), (200, Some(600)), (200, Some(600))],
                "0 ask 60, 0 ask 600, Registered, 480 ask 600",
            ),
            (
                60,
                &[(423, Some(30)), (423, None)],
                "0 ask 60, Refused(423), 5 ask 60",
            ),
            (
                60,
                &[
                    (423, Some(61)),
                    (423, Some(62)),
                    (423, Some(63)),
                    (200, None),
                    (423, Some(90)),
                    (200, None),
                ],
                "0 ask 60, 0 ask 61, Refused(423), 5 ask 62, 15 ask 63, Registered, \
                 65 ask 63, 65 ask 90",
            ),
        ];
        for (expires, answers, expected) in table {
            assert_eq!(play(*expires, answers), *expected, "{answers:?}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn the_pause_has_a_limit_and_an_end_is_final() {
        let start = Instant::now();
        let mut upkeep = Upkeep::new(60, start);
        let mut now = start;
        for _ in 0..10 {
            let at = upkeep.poll_timeout().unwrap();
            assert!(at - now <= LONGEST_PAUSE);
            now = at;
            upkeep.handle_timeout(now).unwrap();
            upkeep.handle_done(503, None, now);
        }
        assert_eq!(upkeep.end(), None);
        assert_eq!(upkeep.poll_timeout(), None);
        let mut upkeep = Upkeep::new(60, start);
        upkeep.handle_timeout(start).unwrap();
        upkeep.handle_done(200, None, start);
        let seq = 1 + SEQ_STEP;
        assert_eq!(upkeep.end(), Some(Attempt { expires: 0, seq }));
        assert_eq!(upkeep.handle_done(200, None, start), None);
        // The last renewal was refused, but the binding may live on.
        let mut upkeep = Upkeep::new(60, start);
        for status in [200, 503] {
            let at = upkeep.poll_timeout().unwrap();
            upkeep.handle_timeout(at).unwrap();
            upkeep.handle_done(status, None, at);
        }
        assert!(upkeep.end().is_some());
    }
}
