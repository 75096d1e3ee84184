//! The task that owns the core: drains its outputs, waits for one input, feeds it that input.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use sip_proto::registrar::Binding;
use sip_proto::ua::{
    Core, Counted, Entropy, FlowId, Found, Ha1, HeaderList, IncomingInvite, IncomingText,
    LegCommand, LegEvent, LegId, LookupId, Output, Peer, Transport,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug, info_span, warn};

use crate::changes::{Changes, since_1970};
use crate::connection::FlowEvent;
use crate::connections::Connections;
use crate::handle::{Bindings, Command};
use crate::routes::Routes;
use crate::udp::{Udp, canonical};
use crate::{BindError, Directory, IncomingCall, Sip, SipAddrs, SipConfig};

/// Maximum new calls waiting for the engine; more are refused with 503.
const CALLS_WAITING: usize = 256;
/// Maximum text messages waiting for the engine; more are refused with 503.
const TEXTS_WAITING: usize = 256;
/// Maximum messages of all connections waiting; beyond that, their readers wait.
const FLOW_EVENTS: usize = 256;
/// How long the directory may take.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
/// How long legs may take to end after the last handle is dropped.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after accepting a connection failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often silent connections are swept.
const SWEEP: Duration = Duration::from_secs(5);
/// Longest sleep when no timer is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Opens the sockets and starts the task.
pub(crate) fn start(
    config: SipConfig,
    directory: Arc<dyn Directory>,
) -> Result<(Sip, mpsc::Receiver<IncomingCall>), BindError> {
    let failed = |transport, address| {
        move |source| BindError {
            transport,
            address,
            source,
        }
    };
    let udp = Udp::bind(config.udp).map_err(failed("UDP", config.udp))?;
    let tcp = listen(config.tcp, udp.bound().port()).map_err(failed("TCP", config.tcp))?;
    let tcp_address = tcp.local_addr().map_err(failed("TCP", config.tcp))?;
    let addrs = SipAddrs {
        udp: udp.bound(),
        tcp: tcp_address,
    };

    let (commands, inbox) = mpsc::unbounded_channel();
    let (calls, incoming) = mpsc::channel(CALLS_WAITING);
    let (texts, incoming_texts) = mpsc::channel(TEXTS_WAITING);
    let (flow_events, flows) = mpsc::channel(FLOW_EVENTS);
    let (answers, answered) = mpsc::unbounded_channel();
    let bindings = Bindings::default();
    let ours = config.ours(addrs);
    let core = config.core(ours.clone());
    let actor = Actor {
        core: Core::new(core, Box::new(SystemRandom::new()), Instant::now()),
        connections: Connections::new(flow_events, tcp_address.port(), trunk_hosts(&config)),
        sweep_at: Instant::now() + SWEEP,
        routes: Routes::default(),
        calls,
        texts,
        answers,
        bindings: Arc::clone(&bindings),
        changes: Changes::follow(Arc::clone(&directory)),
        directory,
        waiting_for_idle: Vec::new(),
        farewell: None,
        accept_again_at: None,
    };
    let inputs = Inputs {
        udp,
        tcp,
        inbox,
        flows,
        answered,
    };
    tokio::spawn(actor.run(inputs).instrument(info_span!("sip")));
    let sip = Sip::new(
        commands,
        addrs,
        bindings,
        ours,
        (config.trunks, incoming_texts),
    );
    Ok((sip, incoming))
}

fn trunk_hosts(config: &SipConfig) -> Vec<IpAddr> {
    let addresses = config.trunks.iter().flat_map(|trunk| &trunk.addresses);
    addresses.map(|address| address.ip).collect()
}

/// A listener for both families at `[::]`. With port 0 it takes the port of the UDP socket if that is
/// free, so that one port serves both.
fn listen(address: SocketAddr, udp_port: u16) -> io::Result<TcpListener> {
    if address.port() == 0
        && let Ok(listener) = listen_at(SocketAddr::new(address.ip(), udp_port))
    {
        return Ok(listener);
    }
    listen_at(address)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restarted server must not wait until the old server's connections are forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// An answer of the directory.
enum Answer {
    Client(LookupId, Found),
    /// `None` if the messages could not be counted.
    Counts(Option<BTreeMap<String, Counted>>),
}

/// Everything that can wake the task.
struct Inputs {
    udp: Udp,
    tcp: TcpListener,
    inbox: mpsc::UnboundedReceiver<Command>,
    flows: mpsc::Receiver<(FlowId, FlowEvent)>,
    answered: mpsc::UnboundedReceiver<Answer>,
}

struct Actor {
    core: Core,
    connections: Connections,
    routes: Routes,
    calls: mpsc::Sender<IncomingCall>,
    texts: mpsc::Sender<IncomingText>,
    /// At most one answer per open look-up or count, which the core limits.
    answers: mpsc::UnboundedSender<Answer>,
    bindings: Bindings,
    changes: Changes,
    directory: Arc<dyn Directory>,
    waiting_for_idle: Vec<oneshot::Sender<()>>,
    /// When the task ends even if legs are left; set once the last handle is gone.
    farewell: Option<Instant>,
    /// Accept no connection before this time.
    accept_again_at: Option<Instant>,
    /// When silent connections are next swept.
    sweep_at: Instant,
}

impl Actor {
    async fn run(mut self, mut inputs: Inputs) {
        self.restore_bindings().await;
        loop {
            self.drain_outputs(&inputs.udp).await;
            if self.core.legs() == 0 {
                self.waiting_for_idle.clear();
            }
            if self.is_finished() {
                return;
            }
            let wake_at = self.wake_at().into();
            tokio::select! {
                received = inputs.udp.receive() => self.hear_datagram(received),
                Some((flow, event)) = inputs.flows.recv() => self.hear_flow(flow, event),
                accepted = inputs.tcp.accept(), if self.accepts() => self.hear_connection(accepted),
                command = inputs.inbox.recv(), if self.farewell.is_none() => self.obey(command),
                Some(answer) = inputs.answered.recv() => self.learn(&answer),
                () = tokio::time::sleep_until(wake_at) => self.handle_timeout(),
            }
        }
    }

    fn learn(&mut self, answer: &Answer) {
        let now = Instant::now();
        match answer {
            Answer::Client(id, found) => self.core.handle_lookup(*id, found, now),
            Answer::Counts(found) => self.core.handle_counts(found.as_ref(), now),
        }
    }

    /// Restored, so that phones registered with an earlier process need not register again.
    async fn restore_bindings(&mut self) {
        let kept = tokio::time::timeout(LOOKUP_PATIENCE, self.directory.bindings()).await;
        match kept {
            Ok(Ok(kept)) => {
                let (now, unix) = (Instant::now(), since_1970());
                for (login, bindings) in kept {
                    let bindings: Vec<Binding> = bindings
                        .iter()
                        .filter_map(|binding| binding.restore(now, unix))
                        .collect();
                    self.core.restore_bindings(&login, bindings, now);
                }
            }
            Ok(Err(error)) => warn!(%error, "failed to look up registrations of an earlier run"),
            Err(_) => warn!("looking up registrations of an earlier run took too long"),
        }
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        self.core.handle_timeout(now);
        if self.sweep_at <= now {
            self.connections.sweep(self.core.paths());
            self.sweep_at = now + SWEEP;
        }
    }

    fn wake_at(&self) -> Instant {
        let due = self
            .core
            .poll_timeout()
            .into_iter()
            .chain(self.farewell)
            .chain(self.accept_again_at)
            .chain([self.sweep_at])
            .min();
        due.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Without file descriptors, accepting fails immediately again, and nothing else would get
    /// done.
    fn accepts(&mut self) -> bool {
        if self.accept_again_at.is_some_and(|at| at > Instant::now()) {
            return false;
        }
        self.accept_again_at = None;
        true
    }

    fn is_finished(&self) -> bool {
        self.farewell
            .is_some_and(|at| self.core.legs() == 0 || at <= Instant::now())
    }

    fn hear_datagram(&mut self, received: io::Result<(Bytes, Peer)>) {
        match received {
            Ok((bytes, peer)) => self.core.handle_datagram(bytes, peer, Instant::now()),
            Err(error) => debug!(%error, "failed to receive a datagram"),
        }
    }

    fn hear_connection(&mut self, accepted: io::Result<(tokio::net::TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, remote)) => self.connections.accept(stream, canonical(remote)),
            Err(error) => {
                warn!(%error, "failed to accept a connection");
                self.accept_again_at = Some(Instant::now() + ACCEPT_PAUSE);
            }
        }
    }

    fn hear_flow(&mut self, flow: FlowId, event: FlowEvent) {
        let now = Instant::now();
        match event {
            FlowEvent::Open { local } => self.connections.opened(flow, local),
            FlowEvent::Message(message) => {
                if let Some(peer) = self.connections.peer(flow) {
                    self.connections.spoke(flow);
                    self.core.handle_message(message, peer, now);
                }
            }
            FlowEvent::Ping => {
                if let Some(peer) = self.connections.peer(flow) {
                    self.connections.send(peer, Bytes::from_static(b"\r\n"));
                }
            }
            FlowEvent::Closed { connected } => {
                debug!(connected, "connection closed");
                for peer in self.connections.closed(flow) {
                    self.core.handle_transport_error(peer, now);
                }
                self.core.handle_flow_closed(flow, now);
            }
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        let now = Instant::now();
        match command {
            Some(Command::Leg(leg, command)) => self.core.handle_command(leg, command, now),
            Some(Command::Listen(leg, listener)) => self.routes.listen(leg, listener),
            Some(Command::Forget(leg)) => self.routes.forget(leg, self.core.knows(leg)),
            Some(Command::HangUp(dialog)) => self.core.hang_up(&dialog, now),
            Some(Command::Trunks(sources)) => {
                let addresses = sources.iter().flat_map(|source| &source.addresses);
                self.connections
                    .set_trunks(addresses.map(|address| address.ip).collect());
                self.core.set_trunks(sources);
            }
            Some(Command::MoreDomains(domains)) => self.core.set_more_domains(domains),
            Some(Command::WaitingChanged(client)) => self.core.waiting_changed(&client, now),
            Some(Command::Drain) => self.core.drain(),
            Some(Command::Idle(done)) => self.waiting_for_idle.push(done),
            None => {
                self.core.drain();
                self.farewell = Some(now + FAREWELL);
            }
        }
    }

    async fn drain_outputs(&mut self, udp: &Udp) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Transmit { peer, bytes } => self.transmit(udp, peer, bytes).await,
                Output::Incoming(invite) => self.announce(*invite),
                Output::Text(text) => self.announce_text(*text),
                Output::Event(leg, event) => self.deliver(leg, event),
                Output::Over(leg) => self.routes.over(leg),
                Output::Lookup { id, login, domain } => self.look_up(id, login, domain),
                Output::Refused { login, peer } => {
                    self.directory.refused(peer.remote.ip(), &login);
                }
                Output::Bindings { login, bindings } => self.publish(login, bindings),
                Output::Count { clients } => self.count(clients),
            }
        }
    }

    async fn transmit(&mut self, udp: &Udp, peer: Peer, bytes: Bytes) {
        let sent = match peer.transport {
            Transport::Udp => udp.send(peer.remote, &bytes).await.is_ok(),
            Transport::Tcp => self.connections.send(peer, bytes),
        };
        if !sent {
            debug!(transport = peer.transport.via(), "failed to send a message");
            self.core.handle_transport_error(peer, Instant::now());
        }
    }

    fn announce(&mut self, invite: IncomingInvite) {
        let leg = invite.leg;
        self.routes.expect(leg);
        if self.calls.try_send(invite.into()).is_err() {
            self.core.handle_command(leg, busy(), Instant::now());
        }
    }

    /// The leg has no events: its only command is the response.
    fn announce_text(&mut self, text: IncomingText) {
        let leg = text.leg;
        if self.texts.try_send(text).is_err() {
            self.core.handle_command(leg, busy(), Instant::now());
        }
    }

    /// Hangs up a leg whose listener has vanished, since nothing else would.
    fn deliver(&mut self, leg: LegId, event: LegEvent) {
        if !self.routes.deliver(leg, event) {
            self.routes.forget(leg, true);
            let bye = LegCommand::Bye {
                headers: HeaderList::new(),
            };
            self.core.handle_command(leg, bye, Instant::now());
        }
    }

    fn look_up(&self, id: LookupId, login: String, domain: String) {
        let (directory, answers) = (Arc::clone(&self.directory), self.answers.clone());
        let asking = async move {
            let asked = directory.credentials(&login, &domain);
            let found = match tokio::time::timeout(LOOKUP_PATIENCE, asked).await {
                Ok(Ok(Some(secret))) => Found::Client(Ha1 {
                    md5: secret.ha1_md5,
                    sha256: secret.ha1_sha256,
                    credential: secret.credential,
                }),
                Ok(Ok(None)) => Found::Nobody,
                Ok(Err(error)) => {
                    warn!(%error, "failed to look up a client");
                    Found::Failed
                }
                Err(_) => {
                    warn!("looking up a client took too long");
                    Found::Failed
                }
            };
            // The task ends only with the program.
            let _ = answers.send(Answer::Client(id, found));
        };
        tokio::spawn(asking.in_current_span());
    }

    /// Counts the voice messages of clients.
    fn count(&self, clients: Vec<String>) {
        let (directory, answers) = (Arc::clone(&self.directory), self.answers.clone());
        let asking = async move {
            let asked = directory.waiting(clients);
            let found = match tokio::time::timeout(LOOKUP_PATIENCE, asked).await {
                Ok(Ok(found)) => Some(found),
                Ok(Err(error)) => {
                    warn!(%error, "failed to count voice messages");
                    None
                }
                Err(_) => {
                    warn!("counting voice messages took too long");
                    None
                }
            };
            let _ = answers.send(Answer::Counts(found));
        };
        tokio::spawn(asking.in_current_span());
    }

    fn publish(&self, login: String, bindings: Vec<Binding>) {
        let mut table = self
            .bindings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if bindings.is_empty() {
            table.remove(&login);
        } else {
            table.insert(login.clone(), bindings.clone());
        }
        self.changes.note(login, bindings);
    }
}

/// Refuses what the engine is too busy to take.
fn busy() -> LegCommand {
    LegCommand::Reject {
        status: 503,
        reason: None,
        headers: vec![("Retry-After".to_owned(), "5".to_owned())],
    }
}

/// Unpredictable words, seeded by the system.
struct SystemRandom(StdRng);

impl SystemRandom {
    fn new() -> Self {
        Self(StdRng::from_os_rng())
    }
}

impl Entropy for SystemRandom {
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
