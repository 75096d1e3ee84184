//! The client transaction of every method but INVITE and ACK (RFC 3261 §17.1.2).
//!
//! Invariant: **the user sees exactly one final response, `TimedOut` or `Unsent`.**

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::machine::Action;
use super::timers::{PATIENCE, Repeat, T2, T4, earlier};

pub(crate) struct Client {
    reliable: bool,
    state: State,
    actions: VecDeque<Action>,
}

/// A state holds the timers that can fire in it: E and F, K.
enum State {
    /// Trying and Proceeding, which differ only in the retransmission interval.
    Waiting {
        request: Bytes,
        resend: Option<Repeat>,
        give_up_at: Instant,
    },
    Completed {
        until: Instant,
    },
    Terminated,
}

impl Client {
    pub(crate) fn new(request: Bytes, reliable: bool, now: Instant) -> Self {
        Self {
            reliable,
            actions: VecDeque::from([Action::Send(request.clone())]),
            state: State::Waiting {
                request,
                resend: Repeat::start(reliable, now),
                give_up_at: now + PATIENCE,
            },
        }
    }

    pub(crate) fn handle_response(&mut self, status: u16, now: Instant) {
        let State::Waiting { resend, .. } = &mut self.state else {
            return;
        };
        self.actions.push_back(Action::Deliver);
        if status < 200 {
            if let Some(resend) = resend {
                resend.every(T2);
            }
            return;
        }
        if self.reliable {
            self.end();
        } else {
            self.state = State::Completed { until: now + T4 };
        }
    }

    pub(crate) fn handle_transport_error(&mut self) {
        match self.state {
            State::Waiting { .. } => {
                self.actions.push_back(Action::Unsent);
                self.end();
            }
            State::Completed { .. } | State::Terminated => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Waiting { give_up_at, .. } if *give_up_at <= now => {
                self.actions.push_back(Action::TimedOut);
                self.end();
            }
            State::Waiting {
                request,
                resend: Some(resend),
                ..
            } => {
                if resend.due(T2, now) {
                    self.actions.push_back(Action::Send(request.clone()));
                }
            }
            State::Completed { until } if *until <= now => self.end(),
            State::Waiting { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting {
                resend, give_up_at, ..
            } => Some(earlier(*resend, *give_up_at)),
            State::Completed { until } => Some(*until),
            State::Terminated => None,
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
