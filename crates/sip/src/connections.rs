//! All TCP connections by flow and by address.
//!
//! **No more than [`MAX_CONNECTIONS`] exist at once.**

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use bytes::Bytes;
use sip_proto::ua::{FlowId, Peer, Transport};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::connection::{self, FlowEvents, QUEUE};

/// Each costs two tasks and some 50 KB.
const MAX_CONNECTIONS: usize = 8192;

pub(crate) struct Connections {
    events: FlowEvents,
    /// Port of our listener: what Contact and Via say, also on connections we opened.
    port: u16,
    next: u64,
    open: BTreeMap<FlowId, Connection>,
    /// The newest connection to each address.
    by_remote: HashMap<SocketAddr, FlowId>,
}

struct Connection {
    queue: mpsc::Sender<Bytes>,
    remote: SocketAddr,
    local: SocketAddr,
    /// What was sent by address instead of by flow.
    asked: Option<Peer>,
}

impl Connections {
    pub(crate) fn new(events: FlowEvents, port: u16) -> Self {
        Self {
            events,
            port,
            next: 0,
            open: BTreeMap::new(),
            by_remote: HashMap::new(),
        }
    }

    /// Takes a connection that a peer opened; drops it if there are too many.
    pub(crate) fn accept(&mut self, stream: TcpStream, remote: SocketAddr) {
        if self.open.len() >= MAX_CONNECTIONS {
            return;
        }
        let local = stream.local_addr().map_or(remote, crate::udp::canonical);
        let (flow, queue) = self.insert(remote, local, None);
        tokio::spawn(connection::serve(flow, stream, queue, self.events.clone()));
    }

    /// Queues a message, over a new connection if need be. False if it cannot be sent.
    pub(crate) fn send(&mut self, peer: Peer, bytes: Bytes) -> bool {
        let flow = peer
            .flow
            .or_else(|| self.by_remote.get(&peer.remote).copied());
        if let Some(connection) = flow.and_then(|flow| self.open.get_mut(&flow)) {
            if peer.flow.is_none() {
                connection.asked = Some(peer);
            }
            return connection.queue.try_send(bytes).is_ok();
        }
        if peer.flow.is_some() || self.open.len() >= MAX_CONNECTIONS {
            return false;
        }
        let (flow, queue) = self.insert(peer.remote, peer.local, Some(peer));
        tokio::spawn(connection::connect(
            flow,
            peer.remote,
            queue,
            self.events.clone(),
        ));
        self.open
            .get(&flow)
            .is_some_and(|new| new.queue.try_send(bytes).is_ok())
    }

    /// The peer of what comes by a flow.
    pub(crate) fn peer(&self, flow: FlowId) -> Option<Peer> {
        let connection = self.open.get(&flow)?;
        let local = SocketAddr::new(connection.local.ip(), self.port);
        let remote = connection.remote;
        Some(Peer {
            transport: Transport::Tcp,
            remote,
            local,
            flow: Some(flow),
        })
    }

    /// A connection of ours is established.
    pub(crate) fn opened(&mut self, flow: FlowId, local: SocketAddr) {
        if let Some(connection) = self.open.get_mut(&flow) {
            connection.local = local;
        }
    }

    /// Forgets a connection. The peers under which messages were sent over it.
    pub(crate) fn closed(&mut self, flow: FlowId) -> Vec<Peer> {
        let by_flow = self.peer(flow);
        let Some(connection) = self.open.remove(&flow) else {
            return Vec::new();
        };
        if self.by_remote.get(&connection.remote) == Some(&flow) {
            self.by_remote.remove(&connection.remote);
        }
        by_flow.into_iter().chain(connection.asked).collect()
    }

    fn insert(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        asked: Option<Peer>,
    ) -> (FlowId, mpsc::Receiver<Bytes>) {
        self.next += 1;
        let flow = FlowId(self.next);
        let (queue, waiting) = mpsc::channel(QUEUE);
        self.open.insert(
            flow,
            Connection {
                queue,
                remote,
                local,
                asked,
            },
        );
        self.by_remote.insert(remote, flow);
        (flow, waiting)
    }
}
