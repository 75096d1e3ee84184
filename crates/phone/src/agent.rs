//! The phone's SIP user agent (RFC 3261), without sockets or a clock.
//!
//! | file | what it does |
//! |---|---|
//! | `call` | one call, from INVITE to BYE, in either direction |
//! | `registration` | REGISTER, its digest and its refreshing |
//! | `build` | requests and their destinations |
//! | `repeat` | retransmits a message until it is answered |
//!
//! Invariant: **every call ends with exactly one event for which [`CallEvent::is_last`] holds**,
//! then remains known for a few seconds to answer retransmissions. Left to others: session
//! descriptions (opaque text here), TCP, forking.

mod build;
mod call;
mod random;
mod registration;
mod repeat;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip_proto::message::{Message, Method, Request, Response};
use sip_proto::parse::parse_datagram;

use call::Call;
pub(crate) use random::Random;
use registration::Registration;

/// The phone's identity and its server.
#[derive(Clone, Debug)]
pub struct Account {
    /// User part of its address; also the digest user name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Host part of its address.
    pub domain: String,
    /// Where requests go unless their URI names a numeric address.
    pub server: SocketAddr,
    /// The phone's own address.
    pub contact: SocketAddr,
}

/// A call of one [`Agent`]. Numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallNo(pub u64);

/// An action for the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// The destination.
        to: SocketAddr,
        /// A SIP message.
        bytes: Bytes,
    },
    /// An event of a call.
    Call(CallNo, CallEvent),
    /// The registration was confirmed (also at each refresh), or ended on request.
    Registered {
        /// Seconds it is valid for; 0 after unregistering.
        expires_s: u32,
    },
    /// The registration was refused.
    NotRegistered {
        /// Status; 408 if no answer arrived.
        status: u16,
    },
}

/// An event of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallEvent {
    /// An incoming call: use [`Agent::ring`], [`Agent::answer`] or [`Agent::refuse`].
    Incoming {
        /// User part of From.
        from_user: String,
        /// Offer.
        sdp: Option<String>,
    },
    /// Outbound: a provisional response above 100.
    Ringing {
        /// Status.
        status: u16,
        /// Early answer.
        sdp: Option<String>,
    },
    /// Outbound: the call is answered; the ACK is sent.
    Answered {
        /// Answer.
        sdp: Option<String>,
    },
    /// Inbound: the ACK of our answer arrived.
    Established,
    /// Outbound, unanswered, ended: the final status; 408 if none arrived.
    Refused {
        /// Status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// Inbound, unanswered, ended: the caller canceled, or this phone refused.
    Canceled,
    /// The remote party offers a new session: [`Agent::answer`] it.
    Reoffered {
        /// Offer; `None` if our answer must carry it.
        sdp: Option<String>,
    },
    /// Ended: the remote party hung up.
    HungUp,
    /// Ended: the answer to our BYE; 408 if none arrived.
    Ended {
        /// Status.
        status: u16,
    },
}

impl CallEvent {
    /// Whether the call has ended.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::Canceled | Self::HungUp | Self::Ended { .. }
        )
    }
}

/// The state that the parts of the agent share.
struct Context<'a> {
    account: &'a Account,
    random: &'a mut Random,
    out: &'a mut VecDeque<Output>,
    now: Instant,
}

/// A user agent with one identity and any number of calls.
pub struct Agent {
    account: Account,
    random: Random,
    last_call: u64,
    calls: BTreeMap<CallNo, Call>,
    by_call_id: BTreeMap<String, CallNo>,
    deadlines: BTreeSet<(Instant, CallNo)>,
    registration: Option<Registration>,
    out: VecDeque<Output>,
}

impl Agent {
    /// An idle agent; `seed` generates its tags and Call-IDs.
    #[must_use]
    pub fn new(account: Account, seed: u64) -> Self {
        Self {
            account,
            random: Random::new(seed),
            last_call: 0,
            calls: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            registration: None,
            out: VecDeque::new(),
        }
    }

    /// Number of known calls, including those just ended.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Registers for `expires_s` seconds and refreshes the registration; 0 unregisters.
    pub fn register(&mut self, expires_s: u32, now: Instant) {
        let mut registration = self
            .registration
            .take()
            .unwrap_or_else(|| Registration::new(&self.account, &mut self.random));
        registration.start(expires_s, &mut self.context(now));
        self.registration = Some(registration);
    }

    /// Calls `target`: a SIP URI, or a user or number of its own domain. `headers` are added to the
    /// INVITE. An unusable target ends as `Refused` with status 400.
    pub fn call(
        &mut self,
        target: &str,
        sdp: &str,
        headers: &[(&str, &str)],
        now: Instant,
    ) -> CallNo {
        self.last_call += 1;
        let no = CallNo(self.last_call);
        match Call::outbound(no, target, sdp, headers, &mut self.context(now)) {
            Some(call) => {
                self.by_call_id.insert(call.call_id().to_owned(), no);
                self.calls.insert(no, call);
                self.settle(no);
            }
            None => self.out.push_back(Output::Call(
                no,
                CallEvent::Refused {
                    status: 400,
                    reason: "Unusable Target".to_owned(),
                },
            )),
        }
        no
    }

    /// Inbound: a provisional response, such as 180, or 183 with an early answer.
    pub fn ring(&mut self, no: CallNo, status: u16, sdp: Option<&str>, now: Instant) {
        self.with(no, now, |call, context| call.ring(status, sdp, context));
    }

    /// Inbound: answers the call, or a new offer within it.
    pub fn answer(&mut self, no: CallNo, sdp: &str, now: Instant) {
        self.with(no, now, |call, context| call.answer(sdp, context));
    }

    /// Inbound: a final status of 300 or above.
    pub fn refuse(&mut self, no: CallNo, status: u16, now: Instant) {
        self.with(no, now, |call, context| call.refuse(status, context));
    }

    /// Ends a call in whatever state it is: CANCEL, BYE, or 603.
    pub fn hang_up(&mut self, no: CallNo, now: Instant) {
        self.with(no, now, Call::hang_up);
    }

    /// Processes a datagram. Unreadable ones and those that match no call are dropped.
    pub fn handle_datagram(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        match parse_datagram(datagram) {
            Ok(Message::Request(request)) => self.handle_request(&request, from, now),
            Ok(Message::Response(response)) => self.handle_response(&response, now),
            Err(_) => {}
        }
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(mut registration) = self.registration.take() {
            registration.handle_timeout(&mut self.context(now));
            self.registration = Some(registration);
        }
        while let Some(&(at, no)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            self.with(no, now, Call::handle_timeout);
        }
    }

    /// When to call [`Agent::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.deadlines.first().map(|(at, _)| *at);
        let registration = self.registration.as_ref().and_then(Registration::deadline);
        [calls, registration].into_iter().flatten().min()
    }

    /// The next action.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn handle_request(&mut self, request: &Request, from: SocketAddr, now: Instant) {
        let call_id = request.headers.call_id().unwrap_or_default();
        let known = self.by_call_id.get(call_id.as_ref()).copied();
        let opens = request.method == Method::Invite
            && request.headers.to().is_ok_and(|to| to.tag().is_none());
        match known {
            Some(no) => self.with(no, now, |call, context| {
                call.handle_request(request, from, context);
            }),
            None if opens => self.handle_new_invite(request, from, now),
            None => self.handle_stray(request, from),
        }
    }

    fn handle_new_invite(&mut self, request: &Request, from: SocketAddr, now: Instant) {
        self.last_call += 1;
        let no = CallNo(self.last_call);
        if let Some(call) = Call::inbound(no, request, from, &mut self.context(now)) {
            self.by_call_id.insert(call.call_id().to_owned(), no);
            self.calls.insert(no, call);
            self.settle(no);
        }
    }

    /// A request that belongs to no call.
    fn handle_stray(&mut self, request: &Request, from: SocketAddr) {
        let status = match request.method {
            Method::Ack => return,
            Method::Options => 200_u16,
            _ => 481,
        };
        let mut response = Response::for_request(request, status);
        response.set_to_tag(&self.random.word());
        self.out.push_back(Output::Transmit {
            to: from,
            bytes: response.to_bytes(),
        });
    }

    fn handle_response(&mut self, response: &Response, now: Instant) {
        let call_id = response.headers.call_id().unwrap_or_default();
        if let Some(no) = self.by_call_id.get(call_id.as_ref()).copied() {
            self.with(no, now, |call, context| {
                call.handle_response(response, context);
            });
        } else if let Some(mut registration) = self.registration.take() {
            if registration.call_id() == call_id {
                registration.handle_response(response, &mut self.context(now));
            }
            self.registration = Some(registration);
        }
    }

    /// Runs `work` on a call and updates its deadline.
    fn with(&mut self, no: CallNo, now: Instant, work: impl FnOnce(&mut Call, &mut Context<'_>)) {
        let Some(mut call) = self.calls.remove(&no) else {
            return;
        };
        if let Some(noted) = call.noted_deadline {
            self.deadlines.remove(&(noted, no));
        }
        work(&mut call, &mut self.context(now));
        if call.is_forgotten() {
            self.by_call_id.remove(call.call_id());
        } else {
            self.calls.insert(no, call);
            self.settle(no);
        }
    }

    fn settle(&mut self, no: CallNo) {
        if let Some(call) = self.calls.get_mut(&no) {
            call.noted_deadline = call.deadline();
            if let Some(at) = call.noted_deadline {
                self.deadlines.insert((at, no));
            }
        }
    }

    fn context(&mut self, now: Instant) -> Context<'_> {
        Context {
            account: &self.account,
            random: &mut self.random,
            out: &mut self.out,
            now,
        }
    }
}

impl Context<'_> {
    fn send(&mut self, to: SocketAddr, bytes: Bytes) {
        self.out.push_back(Output::Transmit { to, bytes });
    }

    fn report(&mut self, no: CallNo, event: CallEvent) {
        self.out.push_back(Output::Call(no, event));
    }
}
