//! All transactions of one node, found by key and by deadline.
//!
//! Invariant: **a deadline in the index is the one its machine reports**, so `handle_timeout`
//! touches only transactions that are due. Bounded: the user checks [`Table::len`] before it lets a
//! stranger begin one, and every transaction is ended by a timer or its user.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use model::Source;

use super::client::Client;
use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::key::{ClientKey, MergeKey, ServerKey};
use super::machine::Action;
use super::server::Server;
use crate::header::CSeq;
use crate::message::{HeaderName, Method, Request, Response};
use crate::ua::{LegId, Peer};

/// A transaction. Numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TxId(u64);

/// An output of the table to its user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Send these bytes.
    Transmit(Peer, Bytes),
    /// A response to our request; each final one once (2xx to INVITE: every time).
    Response(TxId, Box<Response>, Peer),
    /// Our request got no final response.
    TimedOut(TxId),
    /// Our request could not be sent.
    Unsent(TxId),
    /// The transaction is forgotten.
    Ended(TxId),
}

/// How the table classifies a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Incoming {
    /// A retransmission, or the ACK of a refused INVITE: already handled.
    Absorbed,
    /// An ACK for the dialogs.
    Ack,
    /// A new request: call [`Table::begin_server`] with this key, or answer it statelessly.
    New(ServerKey),
    /// The same request by another path: 482.
    Merged(ServerKey),
    /// It lacks the headers that make a key.
    Unusable,
}

enum Machine {
    InviteClient(InviteClient),
    InviteServer(InviteServer),
    Client(Client),
    Server(Server),
}

enum Key {
    Client(ClientKey),
    Server(ServerKey, Option<MergeKey>),
}

struct Entry {
    machine: Machine,
    key: Key,
    /// Where the request, or the responses, go.
    peer: Peer,
    deadline: Option<Instant>,
    /// For client INVITEs: the headers that ACK and CANCEL share with the INVITE.
    skeleton: Option<Box<Request>>,
    /// On whom it counts.
    holders: [Option<Holder>; 2],
}

/// Those whose transactions are limited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Holder {
    /// All senders that have proved nothing.
    Strangers,
    /// All senders whose credentials are not verified, or wrong.
    Unverified,
    /// Those of them at one source.
    Source(Source),
    /// All dialogs.
    Dialogs,
    /// One dialog.
    Dialog(LegId),
}

#[derive(Default)]
pub(crate) struct Table {
    next: u64,
    entries: BTreeMap<TxId, Entry>,
    clients: BTreeMap<ClientKey, TxId>,
    servers: BTreeMap<ServerKey, TxId>,
    merges: BTreeMap<MergeKey, TxId>,
    deadlines: BTreeSet<(Instant, TxId)>,
    outputs: VecDeque<Output>,
    held: BTreeMap<Holder, usize>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of transactions that count on a holder and are not over.
    pub(crate) fn held(&self, holder: Holder) -> usize {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    /// Counts a transaction on these holders, and no longer on others.
    pub(crate) fn hold(&mut self, tx: TxId, holders: [Option<Holder>; 2]) {
        let Some(entry) = self.entries.get_mut(&tx) else {
            return;
        };
        let before = std::mem::replace(&mut entry.holders, holders);
        for holder in holders.into_iter().flatten() {
            *self.held.entry(holder).or_default() += 1;
        }
        self.let_go(before);
    }

    fn let_go(&mut self, holders: [Option<Holder>; 2]) {
        for holder in holders.into_iter().flatten() {
            if let Some(count) = self.held.get_mut(&holder) {
                *count -= 1;
                if *count == 0 {
                    self.held.remove(&holder);
                }
            }
        }
    }

    /// Classifies a received request.
    pub(crate) fn handle_request(&mut self, request: &Request, now: Instant) -> Incoming {
        let Some(key) = ServerKey::of(request) else {
            return Incoming::Unusable;
        };
        let Some(tx) = self.servers.get(&key).copied() else {
            return match request.method {
                Method::Ack => Incoming::Ack,
                _ if self.is_merged(request) => Incoming::Merged(key),
                _ => Incoming::New(key),
            };
        };
        let mut deliver = false;
        if let Some(entry) = self.entries.get_mut(&tx) {
            match &mut entry.machine {
                Machine::InviteServer(machine) if request.method == Method::Ack => {
                    machine.handle_ack(now);
                }
                Machine::InviteServer(machine) => machine.handle_repeat(),
                Machine::Server(machine) => machine.handle_repeat(),
                Machine::InviteClient(_) | Machine::Client(_) => {}
            }
            deliver = self.settle(tx);
        }
        if deliver {
            Incoming::Ack
        } else {
            Incoming::Absorbed
        }
    }

    fn is_merged(&self, request: &Request) -> bool {
        MergeKey::of(request).is_some_and(|key| self.merges.contains_key(&key))
    }

    /// Begins the server transaction of a new request; responses go to `reply_to`.
    pub(crate) fn begin_server(
        &mut self,
        key: ServerKey,
        request: &Request,
        reply_to: Peer,
    ) -> TxId {
        let reliable = reply_to.transport.is_reliable();
        let machine = match request.method {
            Method::Invite => Machine::InviteServer(InviteServer::new(reliable)),
            _ => Machine::Server(Server::new(reliable)),
        };
        let tx = self.fresh_id();
        self.servers.insert(key.clone(), tx);
        let merge = MergeKey::of(request);
        if let Some(merge) = &merge {
            self.merges.insert(merge.clone(), tx);
        }
        self.insert(tx, machine, Key::Server(key, merge), reply_to, None);
        tx
    }

    /// Marks the sender of an INVITE as unknown: see [`InviteServer::answer_once`].
    pub(crate) fn answer_once(&mut self, tx: TxId) {
        if let Some(entry) = self.entries.get_mut(&tx)
            && let Machine::InviteServer(machine) = &mut entry.machine
        {
            machine.answer_once();
        }
    }

    /// Answers a request.
    pub(crate) fn respond(&mut self, tx: TxId, response: &Response, now: Instant) {
        let status = response.status.0;
        self.respond_bytes(tx, status, response.to_bytes(), now);
    }

    /// Answers a request with a serialised message.
    pub(crate) fn respond_bytes(&mut self, tx: TxId, status: u16, bytes: Bytes, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&tx) {
            if let (401 | 407, Key::Server(_, merge)) = (status, &mut entry.key)
                && let Some(merge) = merge.take()
            {
                // Some phones repeat a challenged request under the same CSeq number.
                self.merges.remove(&merge);
            }
            match &mut entry.machine {
                Machine::InviteServer(machine) => machine.respond(status, bytes, now),
                Machine::Server(machine) => machine.respond(status, bytes, now),
                Machine::InviteClient(_) | Machine::Client(_) => {}
            }
            self.settle(tx);
        }
    }

    /// The INVITE that a CANCEL refers to, and whether its final response is still missing.
    pub(crate) fn canceled(&self, cancel: &Request) -> Option<(TxId, bool)> {
        let tx = *self.servers.get(&ServerKey::of_canceled(cancel)?)?;
        match &self.entries.get(&tx)?.machine {
            Machine::InviteServer(machine) => Some((tx, machine.is_proceeding())),
            Machine::InviteClient(_) | Machine::Client(_) | Machine::Server(_) => None,
        }
    }

    /// Sends a request with our Via on top.
    pub(crate) fn begin_client(
        &mut self,
        request: &Request,
        peer: Peer,
        now: Instant,
    ) -> Option<TxId> {
        let key = ClientKey::of_request(request)?;
        let reliable = peer.transport.is_reliable();
        let bytes = request.to_bytes();
        let (machine, skeleton) = match request.method {
            Method::Invite => {
                let machine = InviteClient::new(bytes, reliable, now);
                (
                    Machine::InviteClient(machine),
                    Some(Box::new(skeleton(request))),
                )
            }
            _ => (Machine::Client(Client::new(bytes, reliable, now)), None),
        };
        let tx = self.fresh_id();
        self.clients.insert(key.clone(), tx);
        self.insert(tx, machine, Key::Client(key), peer, skeleton);
        Some(tx)
    }

    /// The CANCEL of our INVITE, complete except for the user's own headers (§9.1).
    pub(crate) fn cancel_request(&self, tx: TxId) -> Option<(Request, Peer)> {
        let entry = self.entries.get(&tx)?;
        let mut cancel = entry.skeleton.as_deref()?.clone();
        set_method(&mut cancel, Method::Cancel);
        Some((cancel, entry.peer))
    }

    /// Gives up our INVITE, which has no final response.
    pub(crate) fn abandon(&mut self, tx: TxId) {
        if let Some(entry) = self.entries.get_mut(&tx)
            && let Machine::InviteClient(machine) = &mut entry.machine
        {
            machine.abandon();
            self.settle(tx);
        }
    }

    /// Processes a response; one that belongs to no transaction is dropped.
    pub(crate) fn handle_response(&mut self, response: Response, from: Peer, now: Instant) {
        let found = ClientKey::of_response(&response).and_then(|key| self.clients.get(&key));
        let Some(&tx) = found else { return };
        let Some(entry) = self.entries.get_mut(&tx) else {
            return;
        };
        let status = response.status.0;
        match &mut entry.machine {
            Machine::InviteClient(machine) => {
                let skeleton = entry.skeleton.as_deref();
                machine.handle_response(status, || ack(skeleton, &response), now);
            }
            Machine::Client(machine) => machine.handle_response(status, now),
            Machine::InviteServer(_) | Machine::Server(_) => {}
        }
        let at = self.outputs.len();
        if self.settle(tx) {
            self.outputs
                .insert(at, Output::Response(tx, Box::new(response), from));
        }
    }

    /// A message to `peer` could not be delivered.
    pub(crate) fn handle_transport_error(&mut self, peer: Peer) {
        let hit: Vec<TxId> = self
            .clients
            .values()
            .filter(|tx| self.entries.get(tx).is_some_and(|entry| entry.peer == peer))
            .copied()
            .collect();
        for tx in hit {
            if let Some(entry) = self.entries.get_mut(&tx) {
                match &mut entry.machine {
                    Machine::InviteClient(machine) => machine.handle_transport_error(),
                    Machine::Client(machine) => machine.handle_transport_error(),
                    Machine::InviteServer(_) | Machine::Server(_) => {}
                }
                self.settle(tx);
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, tx)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            let Some(entry) = self.entries.get_mut(&tx) else {
                continue;
            };
            entry.deadline = None;
            match &mut entry.machine {
                Machine::InviteClient(machine) => machine.handle_timeout(now),
                Machine::InviteServer(machine) => machine.handle_timeout(now),
                Machine::Client(machine) => machine.handle_timeout(now),
                Machine::Server(machine) => machine.handle_timeout(now),
            }
            self.settle(tx);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn fresh_id(&mut self) -> TxId {
        self.next += 1;
        TxId(self.next)
    }

    fn insert(
        &mut self,
        tx: TxId,
        machine: Machine,
        key: Key,
        peer: Peer,
        skeleton: Option<Box<Request>>,
    ) {
        let entry = Entry {
            machine,
            key,
            peer,
            deadline: None,
            skeleton,
            holders: [None, None],
        };
        self.entries.insert(tx, entry);
        self.settle(tx);
    }

    /// Carries out the machine's actions and renews its deadline. Returns whether `Deliver` was
    /// among them.
    fn settle(&mut self, tx: TxId) -> bool {
        let Some(entry) = self.entries.get_mut(&tx) else {
            return false;
        };
        let mut deliver = false;
        while let Some(action) = entry.machine.poll_action() {
            match action {
                Action::Send(bytes) => self.outputs.push_back(Output::Transmit(entry.peer, bytes)),
                Action::Deliver => deliver = true,
                Action::TimedOut => self.outputs.push_back(Output::TimedOut(tx)),
                Action::Unsent => self.outputs.push_back(Output::Unsent(tx)),
                Action::End => {
                    self.remove(tx);
                    self.outputs.push_back(Output::Ended(tx));
                    return deliver;
                }
            }
        }
        let deadline = entry.machine.poll_timeout();
        if deadline != entry.deadline {
            if let Some(old) = entry.deadline {
                self.deadlines.remove(&(old, tx));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, tx));
            }
            entry.deadline = deadline;
        }
        deliver
    }

    fn remove(&mut self, tx: TxId) {
        let Some(entry) = self.entries.remove(&tx) else {
            return;
        };
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, tx));
        }
        self.let_go(entry.holders);
        match entry.key {
            Key::Client(key) => {
                self.clients.remove(&key);
            }
            Key::Server(key, merge) => {
                self.servers.remove(&key);
                if let Some(merge) = merge {
                    self.merges.remove(&merge);
                }
            }
        }
    }
}

impl Machine {
    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::InviteClient(machine) => machine.poll_action(),
            Self::InviteServer(machine) => machine.poll_action(),
            Self::Client(machine) => machine.poll_action(),
            Self::Server(machine) => machine.poll_action(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::InviteClient(machine) => machine.poll_timeout(),
            Self::InviteServer(machine) => machine.poll_timeout(),
            Self::Client(machine) => machine.poll_timeout(),
            Self::Server(machine) => machine.poll_timeout(),
        }
    }
}

/// The headers that ACK (for a refusal) and CANCEL copy from their INVITE (§9.1, §17.1.1.3).
fn skeleton(invite: &Request) -> Request {
    let mut skeleton = Request::new(Method::Ack, invite.uri.clone());
    let top_via = invite.headers.get(HeaderName::Via).unwrap_or_default();
    skeleton.headers.push(HeaderName::Via, top_via);
    for header in invite.headers.iter() {
        let shared = matches!(
            header.name,
            HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::Route
                | HeaderName::UserAgent
        );
        if shared {
            skeleton
                .headers
                .push(header.name.clone(), header.value.clone());
        }
    }
    skeleton.headers.push(HeaderName::MaxForwards, 70_u32);
    skeleton
}

fn set_method(request: &mut Request, method: Method) {
    if let Ok(CSeq { seq, .. }) = request.headers.cseq() {
        let cseq = CSeq {
            seq,
            method: method.clone(),
        };
        request.headers.set(HeaderName::CSeq, cseq.to_string());
    }
    request.method = method;
}

/// The ACK for a final response that is not 2xx (§17.1.1.3): To comes from the response.
fn ack(skeleton: Option<&Request>, response: &Response) -> Bytes {
    let Some(skeleton) = skeleton else {
        return Bytes::new();
    };
    let mut ack = skeleton.clone();
    set_method(&mut ack, Method::Ack);
    if let Some(to) = response.headers.get_bytes(HeaderName::To) {
        ack.headers.set(HeaderName::To, Bytes::copy_from_slice(to));
    }
    ack.to_bytes()
}
