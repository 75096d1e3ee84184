//! The core: all legs, transactions and bindings of one node.
//!
//! Bytes and commands come in, [`Output`]s go out; see the header of `ua` for the invariants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::auth::{Lookup, LookupId};
use super::config::MAX_NONCES;
use super::guesses::Guesses;
use super::keepalive::KeepAlive;
use super::leg::{Leg, State};
use super::pending::Pending;
use super::random::Random;
use super::waiting::Indications;
use super::{
    CoreConfig, Entropy, FlowId, IncomingInvite, IncomingText, LegEvent, LegId, Peer, TrunkSource,
};
use crate::digest::{Algorithm, Authenticator, Nonces};
use crate::message::Message;
use crate::parse::{ParseError, parse_bytes};
use crate::registrar::{Binding, Registrar};
use crate::transaction::{self, Table, TxId};

/// An action for the shell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// The destination.
        peer: Peer,
        /// One message.
        bytes: Bytes,
    },
    /// Report a new call to the call engine.
    Incoming(Box<IncomingInvite>),
    /// Report a text message to the engine, which answers it with `LegCommand::AnswerText`, `Reject`
    /// or `Challenge`.
    Text(Box<IncomingText>),
    /// Report an event on a leg to the call engine.
    Event(LegId, LegEvent),
    /// The core has forgotten the leg.
    Over(LegId),
    /// Look up the digest secrets of this login; answer with `handle_lookup`.
    Lookup {
        /// Identifies the query.
        id: LookupId,
        /// Login.
        login: String,
        /// Domain of the organization.
        domain: String,
    },
    /// A REGISTER was refused: its password is wrong, or the client does not exist.
    Refused {
        /// The login it gave.
        login: String,
        /// Its source.
        peer: Peer,
    },
    /// The bindings of a client changed; these remain.
    Bindings {
        /// Login.
        login: String,
        /// All live ones, most preferred first.
        bindings: Vec<Binding>,
    },
    /// Count the messages that wait for these clients; answer with `handle_counts`. There is no other question before the answer.
    Count {
        /// As the registrar knows them.
        clients: Vec<String>,
    },
}

/// The user agent core.
pub struct Core {
    pub(super) config: CoreConfig,
    pub(super) random: Random,
    pub(super) origin: Instant,
    pub(super) draining: bool,
    pub(super) table: Table,
    pub(super) legs: BTreeMap<LegId, Leg>,
    /// Unanswered inbound legs by the transaction of their INVITE.
    pub(super) arriving: BTreeMap<TxId, LegId>,
    /// Those of them whose callers have proved nothing.
    pub(super) strangers: BTreeSet<TxId>,
    /// Those of them whose callers' credentials are not verified, or wrong.
    pub(super) unverified: BTreeSet<TxId>,
    /// Legs by Call-ID and our tag.
    pub(super) dialogs: BTreeMap<(String, String), LegId>,
    /// The purpose of each pending request of ours.
    pub(super) pending: BTreeMap<TxId, Pending>,
    pub(super) lookups: BTreeMap<LookupId, Lookup>,
    pub(super) authenticator: Authenticator,
    pub(super) guesses: Guesses,
    pub(super) registrar: Registrar,
    pub(super) keepalive: KeepAlive,
    pub(super) indications: Indications,
    pub(super) outputs: VecDeque<Output>,
    deadlines: BTreeSet<(Instant, LegId)>,
    next_inbound: u64,
    next_lookup: u64,
}

impl Core {
    /// A core without calls.
    #[must_use]
    pub fn new(config: CoreConfig, entropy: Box<dyn Entropy>, now: Instant) -> Self {
        let mut random = Random::new(entropy);
        let algorithms: &[Algorithm] = match config.sha256 {
            true => &[Algorithm::Sha256, Algorithm::Md5],
            false => &[Algorithm::Md5],
        };
        let nonces = Nonces::new(random.secret(), config.nonce_lifetime, MAX_NONCES);
        let mut authenticator = Authenticator::new(&config.ours.domain, algorithms, nonces);
        authenticator.set_more_realms(&config.ours.more_domains);
        Self {
            config,
            random,
            origin: now,
            draining: false,
            table: Table::default(),
            legs: BTreeMap::new(),
            arriving: BTreeMap::new(),
            strangers: BTreeSet::new(),
            unverified: BTreeSet::new(),
            dialogs: BTreeMap::new(),
            pending: BTreeMap::new(),
            lookups: BTreeMap::new(),
            authenticator,
            guesses: Guesses::default(),
            registrar: Registrar::new(),
            keepalive: KeepAlive::default(),
            indications: Indications::default(),
            outputs: VecDeque::new(),
            deadlines: BTreeSet::new(),
            next_inbound: 1,
            next_lookup: 0,
        }
    }

    /// Replaces the peers whose calls need no credentials, from the next call on.
    pub fn set_trunks(&mut self, trunks: Vec<TrunkSource>) {
        self.config.trunks = trunks;
    }

    /// Processes a datagram.
    pub fn handle_datagram(&mut self, bytes: Bytes, peer: Peer, now: Instant) {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return; // Keeps a NAT open (RFC 5626 §3.5.1 uses STUN for it; phones send CRLF).
        }
        self.handle_message(parse_bytes(bytes), peer, now);
    }

    /// Processes a message from a stream or a datagram.
    pub fn handle_message(
        &mut self,
        message: Result<Message, ParseError>,
        peer: Peer,
        now: Instant,
    ) {
        match message {
            Ok(Message::Request(request)) => self.receive_request(request, peer, now),
            Ok(Message::Response(response)) => self.table.handle_response(response, peer, now),
            Err(error) => self.refuse_malformed(&error, peer),
        }
        self.pump(now);
    }

    /// A message to `peer` could not be delivered.
    pub fn handle_transport_error(&mut self, peer: Peer, now: Instant) {
        self.table.handle_transport_error(peer);
        self.pump(now);
    }

    /// A connection ended.
    pub fn handle_flow_closed(&mut self, flow: FlowId, now: Instant) {
        self.forget_flow_of_subscriptions(flow);
        for login in self.registrar.handle_flow_closed(flow) {
            self.announce_bindings(login, now);
        }
    }

    /// Replaces the domains of the further organizations. Registrations stay, and what their clients do next is
    /// judged by the new ones.
    pub fn set_more_domains(&mut self, domains: Vec<String>) {
        self.authenticator.set_more_realms(&domains);
        self.config.ours.more_domains = domains;
    }

    /// Refuses new calls from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Number of live legs.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Whether a leg is live.
    #[must_use]
    pub fn knows(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg)
    }

    /// The live bindings of a client, most preferred first.
    #[must_use]
    pub fn bindings_of(&self, login: &str, now: Instant) -> Vec<Binding> {
        self.registrar.bindings(login, now)
    }

    /// The paths that registrations, subscriptions and legs need.
    pub fn paths(&self) -> impl Iterator<Item = Peer> + '_ {
        let legs = self.legs.values().filter_map(Leg::path);
        let subscribed = self.indications.paths();
        self.registrar.paths().chain(legs).chain(subscribed)
    }

    /// Restores bindings of an earlier process.
    pub fn restore_bindings(&mut self, login: &str, bindings: Vec<Binding>, now: Instant) {
        self.registrar.restore(login, bindings);
        let bindings = self.registrar.bindings(login, now);
        self.follow_restored(login, &bindings, now);
        self.follow_phones(login, &bindings, true, now);
        self.announce_bindings(login.to_owned(), now);
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.table.handle_timeout(now);
        self.pump(now);
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(mut leg) = self.take(id) {
                self.leg_timeout(&mut leg, now);
                self.put(leg);
            }
            self.pump(now);
        }
        for login in self.registrar.handle_timeout(now) {
            self.announce_bindings(login, now);
        }
        self.ask_bindings(now);
        self.indications_timeout(now);
        self.pump(now);
    }

    /// When `handle_timeout` is next needed.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.deadlines.first().map(|(at, _)| *at);
        let times = [
            self.table.poll_timeout(),
            legs,
            self.registrar.poll_timeout(),
            self.keepalive.poll_timeout(),
            self.indications.poll_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// The next action.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Carries out the outputs of the transactions until there are none left.
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some(output) = self.table.poll_output() {
            match output {
                transaction::Output::Transmit(peer, bytes) => self.transmit(peer, bytes),
                transaction::Output::Response(tx, response, from) => {
                    self.receive_response(tx, *response, from, now);
                }
                transaction::Output::TimedOut(tx) => self.request_failed(tx, 408, now),
                transaction::Output::Unsent(tx) => self.request_failed(tx, 503, now),
                transaction::Output::Ended(tx) => {
                    self.pending.remove(&tx);
                }
            }
        }
    }

    pub(super) fn transmit(&mut self, peer: Peer, bytes: Bytes) {
        self.outputs.push_back(Output::Transmit { peer, bytes });
    }

    pub(super) fn event(&mut self, leg: LegId, event: LegEvent) {
        self.outputs.push_back(Output::Event(leg, event));
    }

    pub(super) fn announce_bindings(&mut self, login: String, now: Instant) {
        let mut bindings = self.registrar.bindings(&login, now);
        self.follow_bindings(&login, &bindings, now);
        self.follow_phones(&login, &bindings, false, now);
        for binding in &mut bindings {
            binding.answers = self.keepalive.has_answered(&login, &binding.contact);
        }
        self.outputs.push_back(Output::Bindings { login, bindings });
    }

    pub(super) fn fresh_leg(&mut self) -> LegId {
        let id = LegId(self.next_inbound);
        self.next_inbound += 2;
        id
    }

    pub(super) fn fresh_lookup(&mut self) -> LookupId {
        self.next_lookup += 1;
        LookupId(self.next_lookup)
    }

    /// The current time, as nonces count it.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    /// Takes a leg out of the table to work on it; [`Core::put`] must follow.
    pub(super) fn take(&mut self, id: LegId) -> Option<Leg> {
        self.legs.remove(&id)
    }

    /// Puts a leg back and updates the indexes; an ended one is forgotten.
    pub(super) fn put(&mut self, mut leg: Leg) {
        let id = leg.id;
        let deadline = leg.poll_timeout();
        if let Some(old) = leg.deadline.filter(|old| deadline != Some(*old)) {
            self.deadlines.remove(&(old, id));
        }
        leg.deadline = deadline;
        if let Some(tx) = leg
            .arriving_tx
            .filter(|_| !matches!(leg.state, State::Arriving(_)))
        {
            self.arriving.remove(&tx);
            self.strangers.remove(&tx);
            self.unverified.remove(&tx);
            leg.arriving_tx = None;
        }
        if matches!(leg.state, State::Over) {
            self.dialogs.remove(&(leg.call_id, leg.tag));
            self.outputs.push_back(Output::Over(id));
            return;
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        self.legs.insert(id, leg);
    }
}
