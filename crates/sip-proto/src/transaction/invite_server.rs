//! The INVITE server transaction (RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1).
//!
//! Invariant: **a repeated INVITE never reaches the user**, and a final response that is not 2xx is
//! repeated until its ACK, unless [`InviteServer::answer_once`] was called: an INVITE with a forged
//! source must not cause more traffic than itself. The dialog repeats 2xx, on every transport, so
//! here they only pass through. The user sends 100 Trying itself.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::machine::Action;
use super::timers::{PATIENCE, Repeat, T2, T4, earlier};

pub(crate) struct InviteServer {
    reliable: bool,
    /// Timer G is not used unless a provisional response was sent.
    once: bool,
    state: State,
    actions: VecDeque<Action>,
}

/// A state holds the timers that can fire in it: none, G and H, I, L.
enum State {
    Proceeding {
        last: Option<Bytes>,
    },
    Completed {
        response: Bytes,
        resend: Option<Repeat>,
        give_up_at: Instant,
    },
    Confirmed {
        until: Instant,
    },
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteServer {
    pub(crate) fn new(reliable: bool) -> Self {
        Self {
            reliable,
            once: false,
            state: State::Proceeding { last: None },
            actions: VecDeque::new(),
        }
    }

    /// A refusal without an earlier provisional response is sent once per INVITE received: such a
    /// client repeats its INVITE (§17.1.1.2).
    pub(crate) fn answer_once(&mut self) {
        self.once = true;
    }

    /// The INVITE was received again.
    pub(crate) fn handle_repeat(&mut self) {
        match &self.state {
            State::Proceeding {
                last: Some(response),
            }
            | State::Completed { response, .. } => {
                self.actions.push_back(Action::Send(response.clone()));
            }
            State::Proceeding { last: None }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// An ACK with the branch of the INVITE was received.
    pub(crate) fn handle_ack(&mut self, now: Instant) {
        match &self.state {
            State::Completed { .. } if self.reliable => self.end(),
            State::Completed { .. } => self.state = State::Confirmed { until: now + T4 },
            State::Accepted { .. } => self.actions.push_back(Action::Deliver),
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// The user answers.
    pub(crate) fn respond(&mut self, status: u16, response: Bytes, now: Instant) {
        match &mut self.state {
            State::Proceeding { last } => {
                self.actions.push_back(Action::Send(response.clone()));
                match status {
                    ..=199 => *last = Some(response),
                    200..=299 => {
                        self.state = State::Accepted {
                            until: now + PATIENCE,
                        };
                    }
                    300.. => {
                        let lone = self.once && last.is_none();
                        self.state = State::Completed {
                            response,
                            resend: Repeat::start(self.reliable || lone, now),
                            give_up_at: now + PATIENCE,
                        };
                    }
                }
            }
            State::Accepted { .. } if (200..300).contains(&status) => {
                self.actions.push_back(Action::Send(response));
            }
            State::Accepted { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Terminated => {}
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Completed { give_up_at, .. } if *give_up_at <= now => self.end(),
            State::Completed {
                response,
                resend: Some(resend),
                ..
            } => {
                if resend.due(T2, now) {
                    self.actions.push_back(Action::Send(response.clone()));
                }
            }
            State::Confirmed { until } | State::Accepted { until } if *until <= now => self.end(),
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Completed {
                resend, give_up_at, ..
            } => Some(earlier(*resend, *give_up_at)),
            State::Confirmed { until } | State::Accepted { until } => Some(*until),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether no final response has been sent.
    pub(crate) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    fn end(&mut self) {
        self.state = State::Terminated;
        self.actions.push_back(Action::End);
    }
}
