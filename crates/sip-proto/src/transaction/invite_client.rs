//! The INVITE client transaction (RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2).
//!
//! Invariant: **the user sees at most one final response that is not 2xx, and every such response
//! is acknowledged as often as it arrives.** All 2xx are passed up for the duration of timer M,
//! because each may open its own dialog; the user sends their ACK.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::machine::Action;
use super::timers::{PATIENCE, Repeat, earlier};

pub(crate) struct InviteClient {
    reliable: bool,
    state: State,
    actions: VecDeque<Action>,
}

/// A state holds the timers that can fire in it: A and B, none, D, M.
enum State {
    Calling {
        request: Bytes,
        resend: Option<Repeat>,
        give_up_at: Instant,
    },
    Proceeding,
    Completed {
        ack: Bytes,
        until: Instant,
    },
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteClient {
    pub(crate) fn new(request: Bytes, reliable: bool, now: Instant) -> Self {
        Self {
            reliable,
            actions: VecDeque::from([Action::Send(request.clone())]),
            state: State::Calling {
                request,
                resend: Repeat::start(reliable, now),
                give_up_at: now + PATIENCE,
            },
        }
    }

    /// Processes a response; `ack` makes the ACK for it and is called at most once.
    pub(crate) fn handle_response(
        &mut self,
        status: u16,
        ack: impl FnOnce() -> Bytes,
        now: Instant,
    ) {
        match &self.state {
            State::Calling { .. } | State::Proceeding => {
                self.actions.push_back(Action::Deliver);
                match status {
                    ..=199 => self.state = State::Proceeding,
                    200..=299 => self.accept(now),
                    300.. => self.complete(ack(), now),
                }
            }
            State::Accepted { .. } if (200..300).contains(&status) => {
                self.actions.push_back(Action::Deliver);
            }
            State::Completed { ack, .. } if status >= 300 => {
                self.actions.push_back(Action::Send(ack.clone()));
            }
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }

    fn accept(&mut self, now: Instant) {
        self.state = State::Accepted {
            until: now + PATIENCE,
        };
    }

    fn complete(&mut self, ack: Bytes, now: Instant) {
        self.actions.push_back(Action::Send(ack.clone()));
        if self.reliable {
            self.end();
        } else {
            self.state = State::Completed {
                ack,
                until: now + PATIENCE,
            };
        }
    }

    pub(crate) fn handle_transport_error(&mut self) {
        match self.state {
            State::Calling { .. } => {
                self.actions.push_back(Action::Unsent);
                self.end();
            }
            // The INVITE arrived; only an ACK or CANCEL is lost, or nothing at all.
            State::Proceeding
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// Ends a transaction whose CANCEL brought no final response (§9.1).
    pub(crate) fn abandon(&mut self) {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.actions.push_back(Action::TimedOut);
                self.end();
            }
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Calling { give_up_at, .. } if *give_up_at <= now => {
                self.actions.push_back(Action::TimedOut);
                self.end();
            }
            State::Calling {
                request,
                resend: Some(resend),
                ..
            } => {
                if resend.due(PATIENCE, now) {
                    self.actions.push_back(Action::Send(request.clone()));
                }
            }
            State::Completed { until, .. } | State::Accepted { until } if *until <= now => {
                self.end();
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling {
                resend, give_up_at, ..
            } => Some(earlier(*resend, *give_up_at)),
            State::Completed { until, .. } | State::Accepted { until } => Some(*until),
            State::Proceeding | State::Terminated => None,
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn end(&mut self) {
        self.state = State::Terminated;
        self.actions.push_back(Action::End);
    }
}
