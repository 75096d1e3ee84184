//! The session with an SMSC: connection, bind, window, throughput and keep-alive (§2.2, §2.7, §2.9).
//!
//! It also connects again, with a growing delay. **Invariant: each submission is answered exactly once:
//! accepted, refused, or in doubt if the connection ended or no response came.** Left to others: the
//! socket, texts, receipts, and whether to submit again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::codec::{self, PduError};
use crate::pdu::{Bind, BindMode, Body, Pdu, ShortMessage};
use crate::status::{self, Refusal};

/// How the session is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSettings {
    /// The request to bind.
    pub bind: Bind,
    /// Most requests without a response at a time.
    pub window: usize,
    /// Most short messages per second; 0: no limit.
    pub per_second: u32,
    /// How long connecting and binding may take together.
    pub connect_timeout: Duration,
    /// How long a response may take.
    pub response_timeout: Duration,
    /// After how long without a PDU the connection is checked.
    pub enquire_after: Duration,
    /// First delay before the next connection; it doubles each time.
    pub reconnect_min: Duration,
    /// Longest delay before the next connection.
    pub reconnect_max: Duration,
}

/// First delay after the SMSC said that we are too fast; it doubles each time.
const SLOW_MIN: Duration = Duration::from_millis(500);
/// Longest such delay.
const SLOW_MAX: Duration = Duration::from_secs(30);
/// How much the throughput may be exceeded for a moment, after a pause.
const BURST: Duration = Duration::from_millis(20);
/// Most received messages without an answer of ours; more are refused for now.
const MAX_UNACKNOWLEDGED: usize = 1_000;
/// How long the SMSC may take to answer `unbind`.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(3);

/// A text to submit: its segments, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// Chosen by the caller, who gets it back with the answer.
    pub token: u64,
    /// One PDU each, at least one.
    pub parts: Vec<ShortMessage>,
    /// If the SMSC still wants us to wait at this time, the submission is refused.
    pub give_up_at: Instant,
}

/// What became of a submission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The SMSC took it, under these identifiers, one for each part.
    Accepted(Vec<String>),
    /// The SMSC refused a part, with this status; it took the parts before it.
    Refused(u32),
    /// It is not known whether the SMSC took it.
    Doubtful,
    /// Nothing of it was sent, because there is no session.
    NotSent,
    /// Nothing of it was sent, because the SMSC wants us to be slower: see [`Event::Resumed`].
    Returned,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Connect → [`Session::handle_connected`] or [`Session::handle_closed`].
    Connect,
    /// Send these bytes.
    Send(Bytes),
    /// Close the connection; nothing about it needs to be reported any more.
    Close,
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The session is bound.
    Up,
    /// The session is over or could not be bound; the next attempt follows by itself.
    Down(String),
    /// A submission has its answer.
    Answered(u64, Answer),
    /// A message or receipt came: [`Session::acknowledge`] must follow, with this key.
    Arrived(Key, Box<ShortMessage>),
    /// The SMSC wants us to be slower. Submissions of which nothing was sent are answered [`Answer::Returned`] until
    /// [`Event::Resumed`].
    Throttled,
    /// The pause that the SMSC wanted is over.
    Resumed,
}

/// A received request that is to be answered. Belongs to one connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    connection: u64,
    sequence: u32,
    is_data: bool,
}

/// A state holds the timers that can fire in it, and no others.
enum State {
    Waiting {
        connect_at: Instant,
    },
    Connecting {
        give_up_at: Instant,
    },
    Binding {
        give_up_at: Instant,
        sequence: u32,
    },
    Bound,
    Unbinding {
        give_up_at: Instant,
    },
    /// It was asked to stop.
    Stopped,
}

/// A part under way.
struct Pending {
    token: u64,
    part: usize,
    message: ShortMessage,
    until: Instant,
}

/// A submission of which parts have no answer yet.
struct Open {
    ids: Vec<String>,
    missing: usize,
    give_up_at: Instant,
    /// Whether a part was sent.
    is_sent: bool,
}

/// A session; see the module.
pub struct Session {
    settings: SessionSettings,
    state: State,
    outputs: VecDeque<Output>,
    received: BytesMut,
    /// The number of the present connection.
    connection: u64,
    sequence: u32,
    /// Requests without a response, by their sequence number.
    window: BTreeMap<u32, Pending>,
    /// Parts that wait for a place in the window.
    queue: VecDeque<(u64, usize, ShortMessage)>,
    open: BTreeMap<u64, Open>,
    unacknowledged: usize,
    /// When a part may be sent, by the throughput.
    next_at: Instant,
    /// The SMSC wanted us to be slower: nothing is sent before this time.
    slow: Option<(Instant, Duration)>,
    /// Whether this pause is not over.
    is_paused: bool,
    /// When a PDU came last.
    heard: Instant,
    /// When an unanswered `enquire_link` was sent.
    enquired: Option<Instant>,
    reconnect: Duration,
}

impl Session {
    /// Connects at once.
    #[must_use]
    pub fn new(settings: SessionSettings, now: Instant) -> Self {
        let reconnect = settings.reconnect_min;
        let mut session = Self {
            settings,
            state: State::Waiting { connect_at: now },
            outputs: VecDeque::new(),
            received: BytesMut::new(),
            connection: 0,
            sequence: 0,
            window: BTreeMap::new(),
            queue: VecDeque::new(),
            open: BTreeMap::new(),
            unacknowledged: 0,
            next_at: now,
            slow: None,
            is_paused: false,
            heard: now,
            enquired: None,
            reconnect,
        };
        session.connect(now);
        session
    }

    /// Whether it is bound.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound)
    }

    /// Whether [`stop`](Self::stop) has had its effect.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// Whether another submission can start soon: the session is bound for sending, and the window is
    /// not full of what is here already.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.is_bound()
            && self.settings.bind.mode != BindMode::Receiver
            && self.window.len() + self.queue.len() < self.settings.window
    }

    /// Submits a text. Without a session it is answered [`Answer::NotSent`] at once.
    pub fn submit(&mut self, submission: Submission, now: Instant) {
        let token = submission.token;
        let can_send = self.is_bound() && self.settings.bind.mode != BindMode::Receiver;
        if !can_send || submission.parts.is_empty() {
            return self.event(Event::Answered(token, Answer::NotSent));
        }
        if self.is_paused {
            return self.event(Event::Answered(token, Answer::Returned));
        }
        let parts = submission.parts.len();
        self.open.insert(
            token,
            Open {
                ids: vec![String::new(); parts],
                missing: parts,
                give_up_at: submission.give_up_at,
                is_sent: false,
            },
        );
        let parts = submission.parts.into_iter().enumerate();
        self.queue.extend(parts.map(|(at, part)| (token, at, part)));
        self.fill_window(now);
    }

    /// Answers a received message. Ignored if its connection is over.
    ///
    /// - `status`: [`status::OK`], or why it was not taken.
    pub fn acknowledge(&mut self, key: Key, status: u32) {
        if key.connection != self.connection || !self.is_bound() {
            return;
        }
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
        let body = if key.is_data {
            Body::DataResp(String::new())
        } else {
            Body::DeliverResp
        };
        self.send(Pdu {
            status,
            sequence: key.sequence,
            body,
        });
    }

    /// Unbinds and stays away. Submissions that the SMSC has not answered are then in doubt.
    pub fn stop(&mut self, now: Instant) {
        match self.state {
            State::Bound => {
                self.request(Body::Unbind);
                let give_up_at = now + UNBIND_TIMEOUT;
                self.state = State::Unbinding { give_up_at };
            }
            State::Waiting { .. } | State::Connecting { .. } | State::Binding { .. } => {
                self.outputs.push_back(Output::Close);
                self.state = State::Stopped;
            }
            State::Unbinding { .. } | State::Stopped => {}
        }
    }

    /// The connection is there.
    pub fn handle_connected(&mut self, now: Instant) {
        let State::Connecting { give_up_at } = self.state else {
            return;
        };
        self.connection += 1;
        self.received.clear();
        self.unacknowledged = 0;
        self.heard = now;
        self.enquired = None;
        let bind = Body::Bind(self.settings.bind.clone());
        let sequence = self.request(bind);
        self.state = State::Binding {
            give_up_at,
            sequence,
        };
    }

    /// The connection could not be made, or is over.
    pub fn handle_closed(&mut self, reason: &str, now: Instant) {
        match self.state {
            State::Waiting { .. } | State::Stopped => {}
            State::Unbinding { .. } => self.end(None, now),
            State::Connecting { .. } | State::Binding { .. } | State::Bound => {
                self.end(Some(reason.to_owned()), now);
            }
        }
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if matches!(
            self.state,
            State::Waiting { .. } | State::Connecting { .. } | State::Stopped
        ) {
            return;
        }
        self.received.extend_from_slice(bytes);
        self.heard = now;
        loop {
            match codec::decode(&mut self.received) {
                Ok(Some(pdu)) => self.handle_pdu(pdu, now),
                Ok(None) => break,
                Err(PduError::Body { command, sequence }) => self.nack(command, sequence),
                Err(error @ PduError::Length(_)) => {
                    self.outputs.push_back(Output::Close);
                    return self.end(Some(error.to_string()), now);
                }
            }
            if matches!(self.state, State::Waiting { .. } | State::Stopped) {
                return;
            }
        }
        self.fill_window(now);
    }

    /// Call when [`poll_timeout`](Self::poll_timeout) is reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Waiting { connect_at } if connect_at <= now => self.connect(now),
            State::Connecting { give_up_at } | State::Binding { give_up_at, .. }
                if give_up_at <= now =>
            {
                self.outputs.push_back(Output::Close);
                self.end(Some("no connection and bind in time".to_owned()), now);
            }
            State::Unbinding { give_up_at } if give_up_at <= now => {
                self.outputs.push_back(Output::Close);
                self.end(None, now);
            }
            State::Bound => self.handle_bound_timeout(now),
            State::Waiting { .. }
            | State::Connecting { .. }
            | State::Binding { .. }
            | State::Unbinding { .. }
            | State::Stopped => {}
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { connect_at } => Some(connect_at),
            State::Connecting { give_up_at }
            | State::Binding { give_up_at, .. }
            | State::Unbinding { give_up_at } => Some(give_up_at),
            State::Bound => {
                let can_send =
                    self.queue.front().is_some() && self.window.len() < self.settings.window;
                let send_at = can_send.then(|| self.send_at());
                let give_up = self
                    .queue
                    .front()
                    .and_then(|(token, ..)| self.open.get(token));
                let give_up = give_up.map(|open| open.give_up_at);
                let give_up = give_up.filter(|_| can_send && self.slow.is_some());
                let expired = self.window.values().map(|pending| pending.until).min();
                let resume = self.slow.filter(|_| self.is_paused).map(|(until, _)| until);
                [Some(self.enquire_at()), send_at, expired, give_up, resume]
                    .into_iter()
                    .flatten()
                    .min()
            }
            State::Stopped => None,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn handle_bound_timeout(&mut self, now: Instant) {
        if self.slow.is_none_or(|(until, _)| until <= now) {
            self.resume();
        }
        if self.enquire_at() <= now {
            if self.enquired.is_some() {
                self.outputs.push_back(Output::Close);
                return self.end(Some("no response to enquire_link".to_owned()), now);
            }
            self.request(Body::EnquireLink);
            self.enquired = Some(now);
        }
        let expired = self
            .window
            .iter()
            .filter(|(_, pending)| pending.until <= now);
        let expired: Vec<u32> = expired.map(|(sequence, _)| *sequence).collect();
        for sequence in expired {
            if let Some(pending) = self.window.remove(&sequence) {
                self.answer(pending.token, Answer::Doubtful);
            }
        }
        self.fill_window(now);
    }

    /// When the connection is checked, or given up because the check was not answered.
    fn enquire_at(&self) -> Instant {
        match self.enquired {
            Some(at) => at + self.settings.response_timeout,
            None => self.heard + self.settings.enquire_after,
        }
    }

    /// When the next part may be sent.
    fn send_at(&self) -> Instant {
        let slow = self.slow.map_or(self.next_at, |(until, _)| until);
        self.next_at.max(slow)
    }

    fn handle_pdu(&mut self, pdu: Pdu, now: Instant) {
        self.enquired = None;
        let sequence = pdu.sequence;
        let reply = |body| Pdu {
            status: status::OK,
            sequence,
            body,
        };
        match pdu.body {
            Body::BindResp(..) => self.handle_bind_response(&pdu, now),
            Body::SubmitResp(id) => self.handle_answer((sequence, pdu.status), id, now),
            Body::GenericNack => {
                // It may answer a bind as well.
                self.handle_bind_response(&pdu, now);
                let status = if pdu.status == status::OK {
                    status::INVALID_COMMAND
                } else {
                    pdu.status
                };
                self.handle_answer((sequence, status), String::new(), now);
            }
            Body::Deliver(message) => self.arrived(sequence, false, message),
            Body::Data(message) => self.arrived(sequence, true, message),
            Body::EnquireLink => self.send(reply(Body::EnquireLinkResp)),
            Body::Unbind => {
                self.send(reply(Body::UnbindResp));
                self.outputs.push_back(Output::Close);
                self.end(Some("the SMSC ended the session".to_owned()), now);
            }
            Body::UnbindResp => {
                if matches!(self.state, State::Unbinding { .. }) {
                    self.outputs.push_back(Output::Close);
                    self.end(None, now);
                }
            }
            // Notifications that need no answer, and responses to what we do not send.
            Body::EnquireLinkResp | Body::DeliverResp | Body::DataResp(_) => {}
            Body::Other(command) => self.nack(command, sequence),
            Body::Bind(_) | Body::Submit(_) => self.send(Pdu {
                status: status::INVALID_COMMAND,
                sequence,
                body: Body::GenericNack,
            }),
        }
    }

    fn handle_bind_response(&mut self, pdu: &Pdu, now: Instant) {
        let State::Binding { sequence, .. } = self.state else {
            return;
        };
        if pdu.sequence != sequence {
            return;
        }
        if pdu.status != status::OK || pdu.body == Body::GenericNack {
            let (name, status) = (status::name(pdu.status), pdu.status);
            self.outputs.push_back(Output::Close);
            let reason = format!("the SMSC refused the bind: {name} ({status:#x})");
            return self.end(Some(reason), now);
        }
        self.state = State::Bound;
        self.reconnect = self.settings.reconnect_min;
        self.slow = None;
        self.is_paused = false;
        self.next_at = now;
        self.event(Event::Up);
    }

    fn handle_answer(&mut self, (sequence, status): (u32, u32), id: String, now: Instant) {
        let Some(pending) = self.window.remove(&sequence) else {
            return; // It came too late: the submission is in doubt.
        };
        if status == status::OK {
            self.slow = None;
            self.resume();
            return self.part_accepted(pending.token, pending.part, id);
        }
        let give_up_at = self.open.get(&pending.token).map(|open| open.give_up_at);
        if status::refusal(status) == Refusal::SlowDown && give_up_at.is_some_and(|at| at > now) {
            let before = self.slow.map_or(SLOW_MIN / 2, |(_, before)| before);
            // Of several refusals at once, only the first doubles the delay.
            let delay = match self.slow {
                Some((until, before)) if until > now => before,
                Some(_) | None => (before * 2).min(SLOW_MAX),
            };
            self.slow = Some((now + delay, delay));
            self.event(Event::Throttled);
            self.pause();
            if self.is_partly_taken(pending.token) {
                // The rest must follow here: nobody else can complete the text.
                let again = (pending.token, pending.part, pending.message);
                return self.queue.push_front(again);
            }
        }
        self.refuse(pending.token, status);
    }

    /// Answers a submission of which a part was refused. If that was for now only, and other parts are taken or being taken, the
    /// text may arrive twice when it is sent again.
    fn refuse(&mut self, token: u64, status: u32) {
        let is_final = status::refusal(status) == Refusal::Permanent;
        let answer = match self.is_partly_taken(token) && !is_final {
            true => Answer::Doubtful,
            false => Answer::Refused(status),
        };
        self.answer(token, answer);
    }

    /// Whether the SMSC has taken a part of a text, or has been sent another one.
    fn is_partly_taken(&self, token: u64) -> bool {
        let is_taken = |open: &Open| open.missing < open.ids.len();
        self.open.get(&token).is_some_and(is_taken)
            || self.window.values().any(|other| other.token == token)
    }

    /// Gives back what was not sent at all: it waits better where it is on record as waiting.
    fn pause(&mut self) {
        self.is_paused = true;
        let unsent = self.open.iter().filter(|(_, open)| !open.is_sent);
        let unsent: Vec<u64> = unsent.map(|(token, _)| *token).collect();
        for token in unsent {
            self.answer(token, Answer::Returned);
        }
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) {
            self.event(Event::Resumed);
        }
    }

    fn part_accepted(&mut self, token: u64, part: usize, id: String) {
        let Some(open) = self.open.get_mut(&token) else {
            return; // Another part of it was refused.
        };
        open.ids[part] = id;
        open.missing -= 1;
        if open.missing == 0 {
            let ids = std::mem::take(&mut open.ids);
            self.answer(token, Answer::Accepted(ids));
        }
    }

    /// Answers a submission, if it has no answer yet; its other parts are not sent.
    fn answer(&mut self, token: u64, answer: Answer) {
        if self.open.remove(&token).is_some() {
            self.queue.retain(|(of, ..)| *of != token);
            self.event(Event::Answered(token, answer));
        }
    }

    fn arrived(&mut self, sequence: u32, is_data: bool, message: Box<ShortMessage>) {
        let key = Key {
            connection: self.connection,
            sequence,
            is_data,
        };
        self.unacknowledged += 1;
        if self.unacknowledged > MAX_UNACKNOWLEDGED || !self.is_bound() {
            return self.acknowledge(key, status::THROTTLED);
        }
        self.event(Event::Arrived(key, message));
    }

    /// Sends what the window and the throughput allow.
    fn fill_window(&mut self, now: Instant) {
        while self.is_bound() && self.window.len() < self.settings.window {
            let Some((token, ..)) = self.queue.front() else {
                return;
            };
            let token = *token;
            let expires = self.open.get(&token).map(|open| open.give_up_at);
            if self.slow.is_some() && expires.is_some_and(|at| at <= now) {
                self.refuse(token, status::THROTTLED);
                continue;
            }
            if self.send_at() > now {
                return;
            }
            let Some((token, part, message)) = self.queue.pop_front() else {
                return;
            };
            if let Some(open) = self.open.get_mut(&token) {
                open.is_sent = true;
            }
            let sequence = self.request(Body::Submit(Box::new(message.clone())));
            let until = now + self.settings.response_timeout;
            let pending = Pending {
                token,
                part,
                message,
                until,
            };
            self.window.insert(sequence, pending);
            if let Some(each) = Duration::from_secs(1).checked_div(self.settings.per_second) {
                let earliest = now.checked_sub(BURST).unwrap_or(now);
                self.next_at = self.next_at.max(earliest) + each;
            }
        }
    }

    fn connect(&mut self, now: Instant) {
        let give_up_at = now + self.settings.connect_timeout;
        self.state = State::Connecting { give_up_at };
        self.outputs.push_back(Output::Connect);
    }

    /// Ends the connection.
    ///
    /// - `reason`: `None` if it was asked to stop.
    fn end(&mut self, reason: Option<String>, now: Instant) {
        self.is_paused = false;
        self.queue.clear();
        let in_window = std::mem::take(&mut self.window);
        for pending in in_window.into_values() {
            self.answer(pending.token, Answer::Doubtful);
        }
        let rest: Vec<(u64, bool)> = self
            .open
            .iter()
            .map(|(t, open)| (*t, open.is_sent))
            .collect();
        for (token, is_sent) in rest {
            let answer = if is_sent {
                Answer::Doubtful
            } else {
                Answer::NotSent
            };
            self.answer(token, answer);
        }
        match reason {
            Some(reason) => {
                self.event(Event::Down(reason));
                let connect_at = now + self.reconnect;
                self.reconnect = (self.reconnect * 2).min(self.settings.reconnect_max);
                self.state = State::Waiting { connect_at };
            }
            None => self.state = State::Stopped,
        }
    }

    /// Sends a request; returns its sequence number.
    fn request(&mut self, body: Body) -> u32 {
        self.sequence = if self.sequence >= 0x7FFF_FFFF {
            1
        } else {
            self.sequence + 1
        };
        let sequence = self.sequence;
        self.send(Pdu {
            status: status::OK,
            sequence,
            body,
        });
        sequence
    }

    /// Refuses a request that is not understood; a response is not answered.
    fn nack(&mut self, command: u32, sequence: u32) {
        let is_notification = command == ALERT_NOTIFICATION || command == OUTBIND;
        if command & 0x8000_0000 == 0 && !is_notification {
            self.send(Pdu {
                status: status::INVALID_COMMAND,
                sequence,
                body: Body::GenericNack,
            });
        }
    }

    fn send(&mut self, pdu: Pdu) {
        let mut bytes = BytesMut::with_capacity(128);
        codec::encode(&pdu, &mut bytes);
        self.outputs.push_back(Output::Send(bytes.freeze()));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// `command_id` of two requests without a response (§4.12.1, §4.1.7.1).
const ALERT_NOTIFICATION: u32 = 0x102;
const OUTBIND: u32 = 0x0B;

#[cfg(test)]
mod tests;
