//! All TCP connections by flow and by address. `places` decides which are admitted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_proto::ua::{FlowId, Peer, Transport};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::debug;

use crate::connection::{self, FlowEvents, Line, QUEUE};
use crate::places::{Admission, Heard, Place, Places};

pub(crate) struct Connections {
    events: FlowEvents,
    /// Port of our listener: used in Contact and Via, also on connections that we opened.
    port: u16,
    /// Hosts of the trunks.
    trunks: Vec<IpAddr>,
    origin: Instant,
    places: Places,
    next: u64,
    open: BTreeMap<FlowId, Connection>,
    /// The newest connection to each address.
    by_remote: HashMap<SocketAddr, FlowId>,
}

struct Connection {
    queue: mpsc::Sender<Bytes>,
    remote: SocketAddr,
    local: SocketAddr,
    /// The peer of messages sent by address instead of by flow.
    asked: Option<Peer>,
}

impl Connections {
    pub(crate) fn new(events: FlowEvents, port: u16, trunks: Vec<IpAddr>) -> Self {
        Self {
            events,
            port,
            trunks,
            origin: Instant::now(),
            places: Places::default(),
            next: 0,
            open: BTreeMap::new(),
            by_remote: HashMap::new(),
        }
    }

    /// Adds a connection opened by a peer; drops it if there are too many.
    pub(crate) fn accept(&mut self, stream: TcpStream, remote: SocketAddr) {
        if !self.make_room(remote) {
            debug!("a connection was not accepted: there are too many");
            return;
        }
        let local = stream.local_addr().map_or(remote, crate::udp::canonical);
        let (_, line) = self.insert(remote, local, None);
        tokio::spawn(connection::serve(stream, line));
    }

    /// Queues a message, over a new connection if necessary. False if it cannot be sent.
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
        if peer.flow.is_some() || !self.make_room(peer.remote) {
            return false;
        }
        let (flow, line) = self.insert(peer.remote, peer.local, Some(peer));
        tokio::spawn(connection::connect(peer.remote, line));
        self.open
            .get(&flow)
            .is_some_and(|new| new.queue.try_send(bytes).is_ok())
    }

    /// The peer at the other end of a flow.
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

    /// A connection that we opened is established.
    pub(crate) fn opened(&mut self, flow: FlowId, local: SocketAddr) {
        if let Some(connection) = self.open.get_mut(&flow) {
            connection.local = local;
        }
    }

    /// A message arrived.
    pub(crate) fn spoke(&mut self, flow: FlowId) {
        self.places.spoke(flow);
    }

    /// Closes connections that have been silent for too long.
    ///
    /// - `paths`: the paths that registrations and dialogs need.
    pub(crate) fn sweep(&mut self, paths: impl Iterator<Item = Peer>) {
        if self.open.is_empty() {
            return;
        }
        let (mut flows, mut remotes) = (HashSet::new(), HashSet::new());
        for path in paths.filter(|path| path.transport.is_flow()) {
            match path.flow {
                Some(flow) => flows.insert(flow),
                None => remotes.insert(path.remote),
            };
        }
        let open = &self.open;
        let is_in_use = |flow: FlowId| {
            let remote = open.get(&flow).map(|connection| connection.remote);
            flows.contains(&flow) || remote.is_some_and(|remote| remotes.contains(&remote))
        };
        for flow in self.places.overdue(self.origin.elapsed(), is_in_use) {
            self.remove(flow);
        }
    }

    /// Whether a new connection is admitted; another one may be closed for it.
    fn make_room(&mut self, remote: SocketAddr) -> bool {
        match self.places.admit(remote.ip(), self.is_trunk(remote)) {
            Admission::Granted => true,
            Admission::InPlaceOf(flow) => {
                self.remove(flow);
                true
            }
            Admission::Denied => false,
        }
    }

    /// Replaces the hosts of the trunks; open connections stay what they are.
    pub(crate) fn set_trunks(&mut self, hosts: Vec<IpAddr>) {
        self.trunks = hosts;
    }

    fn is_trunk(&self, remote: SocketAddr) -> bool {
        self.trunks.contains(&remote.ip())
    }

    /// Without its queue, a connection closes.
    fn remove(&mut self, flow: FlowId) -> Option<Connection> {
        self.places.leave(flow);
        let connection = self.open.remove(&flow)?;
        if self.by_remote.get(&connection.remote) == Some(&flow) {
            self.by_remote.remove(&connection.remote);
        }
        Some(connection)
    }

    /// Forgets a connection. Returns the peers for which messages were sent over it.
    pub(crate) fn closed(&mut self, flow: FlowId) -> Vec<Peer> {
        let by_flow = self.peer(flow);
        let Some(connection) = self.remove(flow) else {
            return Vec::new();
        };
        by_flow.into_iter().chain(connection.asked).collect()
    }

    fn insert(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        asked: Option<Peer>,
    ) -> (FlowId, Line) {
        self.next += 1;
        let flow = FlowId(self.next);
        let (queue, waiting) = mpsc::channel(QUEUE);
        let heard = Arc::new(Heard::default());
        heard.note(self.origin.elapsed());
        let place = Place {
            remote: remote.ip(),
            heard: Arc::clone(&heard),
            spoke: asked.is_some(),
            is_trunk: self.is_trunk(remote),
            in_use: false,
        };
        self.places.enter(flow, place);
        let line = Line {
            flow,
            queue: waiting,
            waiting: queue.downgrade(),
            heard,
            origin: self.origin,
            events: self.events.clone(),
        };
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
        (flow, line)
    }
}
