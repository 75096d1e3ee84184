//! The server transaction of every method but INVITE and ACK (RFC 3261 §17.2.2).
//!
//! Invariant: **a repeated request never reaches the user**; it gets the last response again, and
//! once a final response is sent no other can follow.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::machine::Action;
use super::timers::PATIENCE;

pub(crate) struct Server {
    reliable: bool,
    state: State,
    actions: VecDeque<Action>,
}

/// A state holds the timers that can fire in it: none, J.
enum State {
    /// Trying and Proceeding.
    Waiting {
        last: Option<Bytes>,
    },
    Completed {
        response: Bytes,
        until: Instant,
    },
    Terminated,
}

impl Server {
    pub(crate) fn new(reliable: bool) -> Self {
        Self {
            reliable,
            state: State::Waiting { last: None },
            actions: VecDeque::new(),
        }
    }

    /// The request was received again.
    pub(crate) fn handle_repeat(&mut self) {
        match &self.state {
            State::Waiting {
                last: Some(response),
            }
            | State::Completed { response, .. } => {
                self.actions.push_back(Action::Send(response.clone()));
            }
            State::Waiting { last: None } | State::Terminated => {}
        }
    }

    /// The user answers.
    pub(crate) fn respond(&mut self, status: u16, response: Bytes, now: Instant) {
        let State::Waiting { last } = &mut self.state else {
            return;
        };
        self.actions.push_back(Action::Send(response.clone()));
        if status < 200 {
            *last = Some(response);
        } else if self.reliable {
            self.end();
        } else {
            self.state = State::Completed {
                response,
                until: now + PATIENCE,
            };
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Completed { until, .. } if *until <= now => self.end(),
            State::Waiting { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Completed { until, .. } => Some(*until),
            State::Waiting { .. } | State::Terminated => None,
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
