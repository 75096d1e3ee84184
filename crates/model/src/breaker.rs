//! A circuit breaker: decides whether to send a request to a host.
//!
//! After some failures in a row no requests are sent to the host for a while; then one request
//! probes it, and its result decides. **Invariant: while the breaker is not closed, at most one
//! request at a time is let through.** It has no clock: time comes in as an argument.

use std::time::Duration;

use crate::Timestamp;

use crate::backoff::Backoff;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// How long it stays open: longer each time a probe fails.
    pub waits: Backoff,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Nothing is sent before `until`; it opened `times` times in a row.
    Open {
        until: Timestamp,
        times: u32,
    },
    /// The probe is in progress.
    Probing {
        times: u32,
    },
}

/// What a request showed about the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It responds.
    Alive,
    /// It does not respond, or cannot serve the request, possibly with a requested wait.
    Failing {
        /// Wait that the server requested.
        asked: Option<Duration>,
    },
    /// The same for a request that had failed before: perhaps the host only refuses this one.
    StillFailing {
        /// Wait that the server requested.
        asked: Option<Duration>,
    },
    /// The request was not sent.
    Unknown,
}

/// A change worth reporting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Requests to the host are suspended for the first time since it responded.
    Opened {
        /// When it will be probed.
        until: Timestamp,
    },
    /// It responds again.
    Closed,
}

/// The breaker of one host.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings) -> Self {
        let state = State::Closed { failures: 0 };
        Self { settings, state }
    }

    /// Whether all requests are let through.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// The time from which a request is let through; `None` while a probe is in progress.
    pub fn earliest(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed { .. } => Some(Timestamp(i64::MIN)),
            State::Open { until, .. } => Some(until),
            State::Probing { .. } => None,
        }
    }

    /// Records that a request starts; returns whether it is the probe.
    pub fn handle_start(&mut self) -> bool {
        let State::Open { times, .. } = self.state else {
            return false;
        };
        self.state = State::Probing { times };
        true
    }

    /// Records the result of a request.
    ///
    /// - `probe`: the result of its [`Breaker::handle_start`].
    /// - `random`: 0 to 1.
    pub fn handle_verdict(
        &mut self,
        verdict: Verdict,
        probe: bool,
        now: Timestamp,
        random: f64,
    ) -> Option<Change> {
        match (self.state, verdict) {
            (State::Closed { .. }, Verdict::Alive) => {
                self.state = State::Closed { failures: 0 };
                None
            }
            (State::Open { .. } | State::Probing { .. }, Verdict::Alive) => {
                self.state = State::Closed { failures: 0 };
                Some(Change::Closed)
            }
            (
                State::Closed { failures },
                Verdict::Failing { asked } | Verdict::StillFailing { asked },
            ) => {
                let failures = failures.saturating_add(1);
                if failures < self.settings.failures {
                    self.state = State::Closed { failures };
                    return None;
                }
                let until = self.open(1, asked, now, random);
                Some(Change::Opened { until })
            }
            (State::Probing { times }, Verdict::Failing { asked }) if probe => {
                self.open(times.saturating_add(1), asked, now, random);
                None
            }
            (State::Probing { times }, Verdict::StillFailing { asked }) if probe => {
                self.open(times, asked, now, random);
                None
            }
            (State::Probing { times }, Verdict::Unknown) if probe => {
                self.state = State::Open { until: now, times };
                None
            }
            // A request that was in progress when the breaker opened adds no information.
            (
                State::Open { .. } | State::Probing { .. },
                Verdict::Failing { .. } | Verdict::StillFailing { .. },
            )
            | (_, Verdict::Unknown) => None,
        }
    }

    fn open(
        &mut self,
        times: u32,
        asked: Option<Duration>,
        now: Timestamp,
        random: f64,
    ) -> Timestamp {
        let until = now + self.settings.waits.wait(times, asked, random);
        self.state = State::Open { until, times };
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays events at given seconds and records the changes and the time from which requests are
    /// let through. `+` alive, `-` failing, `?` not sent, `r` failing with a requested wait of 25
    /// s; each after a start.
    fn story(events: &[(i64, char)]) -> String {
        let mut breaker = Breaker::new(BreakerSettings {
            failures: 3,
            waits: Backoff {
                first: Duration::from_secs(10),
                longest: Duration::from_secs(60),
            },
        });
        let mut story = Vec::new();
        for (at, event) in events {
            let now = Timestamp(at * 1_000_000);
            assert!(breaker.earliest().is_some_and(|earliest| earliest <= now));
            let probe = breaker.handle_start();
            assert_eq!(breaker.earliest().is_none(), probe, "one probe at a time");
            let verdict = match event {
                '+' => Verdict::Alive,
                '-' => Verdict::Failing { asked: None },
                'r' => Verdict::Failing {
                    asked: Some(Duration::from_secs(25)),
                },
                _ => Verdict::Unknown,
            };
            match breaker.handle_verdict(verdict, probe, now, 1.0) {
                Some(Change::Opened { .. }) => story.push("opened".to_owned()),
                Some(Change::Closed) => story.push("closed".to_owned()),
                None => {}
            }
            if let Some(until) = breaker.earliest().filter(|_| !breaker.is_closed()) {
                story.push(format!("until {}", until.0 / 1_000_000));
            }
        }
        story.join(", ")
    }

    #[test]
    fn opens_after_failures_in_a_row_and_probes() {
        let table: &[(&[(i64, char)], &str)] = &[
            (&[(0, '-'), (1, '-'), (2, '+'), (3, '-'), (4, '-')], ""),
            (
                &[(0, '-'), (1, '-'), (2, '?'), (3, '-')],
                "opened, until 13",
            ),
            (
                &[
                    (0, '-'),
                    (0, '-'),
                    (0, '-'),
                    (10, '+'),
                    (11, '-'),
                    (12, '-'),
                ],
                "opened, until 10, closed",
            ),
            (
                &[
                    (0, '-'),
                    (0, '-'),
                    (0, '-'),
                    (12, '-'),
                    (32, '-'),
                    (80, '-'),
                    (140, '+'),
                ],
                "opened, until 10, until 32, until 72, until 140, closed",
            ),
            (
                &[
                    (0, '-'),
                    (0, '-'),
                    (0, 'r'),
                    (25, 'r'),
                    (50, '?'),
                    (50, '+'),
                ],
                "opened, until 25, until 50, until 50, closed",
            ),
        ];
        for (events, expected) in table {
            assert_eq!(story(events), *expected, "{events:?}");
        }
    }

    #[test]
    fn results_of_requests_before_it_opened_change_little() {
        let settings = BreakerSettings {
            failures: 1,
            waits: Backoff {
                first: Duration::from_secs(10),
                longest: Duration::from_secs(10),
            },
        };
        let failing = Verdict::Failing { asked: None };
        let mut breaker = Breaker::new(settings);
        let (zero, later) = (Timestamp(0), Timestamp(20_000_000));
        assert!(!breaker.handle_start() && !breaker.handle_start());
        assert!(breaker.handle_verdict(failing, false, zero, 1.0).is_some());
        let until = breaker.earliest();
        assert_eq!(breaker.handle_verdict(failing, false, zero, 0.0), None);
        assert_eq!(breaker.earliest(), until, "not prolonged");
        assert!(breaker.handle_start());
        assert_eq!(breaker.handle_verdict(failing, false, later, 0.0), None);
        assert_eq!(breaker.earliest(), None, "the probe is still on its way");
        let late = breaker.handle_verdict(Verdict::Alive, false, later, 0.0);
        assert_eq!(late, Some(Change::Closed));
    }
}
