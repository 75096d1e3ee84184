//! The handle to the SIP side, held by the rest of the program.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use model::egress::{AddressPolicy, Guard, Refused};
use sip_proto::DialogSnapshot;
use sip_proto::registrar::Binding;
use sip_proto::ua::{
    Caller, HeaderList, IncomingInvite, IncomingText, LegCommand, LegEvent, LegId, Local, OurNames,
    Peer, Transport, TrunkSource,
};
use sip_proto::uri::Uri;
use tokio::sync::{mpsc, oneshot};

use crate::{Directory, SipConfig, Trunk};

/// Where the events of legs go. One sender may serve many legs.
///
/// Unbounded, because a leg's events are bounded at the source: once a leg has used its share, the
/// core itself answers what the peer keeps sending.
pub type LegEvents = mpsc::UnboundedSender<(LegId, LegEvent)>;

/// The bound addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipAddrs {
    /// UDP.
    pub udp: SocketAddr,
    /// TCP.
    pub tcp: SocketAddr,
}

/// The sockets could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct BindError {
    /// `UDP` or `TCP`.
    pub transport: &'static str,
    /// Address.
    pub address: SocketAddr,
    /// The system's error.
    pub source: std::io::Error,
}

/// Why a URI has no next hop.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is not a `sip:` URI.
    #[error("`{0}` is not a SIP address")]
    NotSip(String),
    /// An unsupported transport.
    #[error("transport `{0}` is not supported")]
    Transport(String),
    /// The name has no address we can reach.
    #[error("no address for `{0}`")]
    NoAddress(String),
    /// None of its addresses may be reached.
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// A new inbound call. Except 100, nothing is sent until a command says so. Call [`Sip::accept`] to
/// receive its events; earlier ones are not lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncomingCall {
    /// The dialog that a 200 will confirm, to be stored before the 200 is sent.
    pub dialog: Option<DialogSnapshot>,
    /// Leg.
    pub leg: LegId,
    /// Source of the INVITE.
    pub source: SocketAddr,
    /// Its transport.
    pub transport: Transport,
    /// The caller, as far as proven.
    pub caller: Caller,
    /// Request-URI.
    pub request_uri: String,
    /// Whether the Request-URI names this server rather than another one.
    pub called_here: bool,
    /// Domain of the organization that the Request-URI names, if it names one.
    pub called_domain: Option<String>,
    /// Number or name in the user part of the Request-URI, unescaped.
    pub called_user: String,
    /// Number or name in the user part of To, unescaped.
    pub to_user: String,
    /// Host of To.
    pub to_host: String,
    /// Number or name in the user part of From, unescaped; not authenticated.
    pub from_user: String,
    /// Host of From.
    pub from_host: String,
    /// Whether the host of From is this server.
    pub from_here: bool,
    /// Domain of the organization that From names, or of the first one: a caller that is authenticated is its client.
    pub from_domain: String,
    /// Display name of From.
    pub from_display: Option<String>,
    /// Call-ID.
    pub call_id: String,
    /// X- header fields and Diversion, in order, with their names as received.
    pub headers: HeaderList,
    /// Offer.
    pub sdp: Option<String>,
    /// Whether the body, if any, is of a type that we read.
    pub body_type_ok: bool,
    /// Max-Forwards; a leg made for this call gets one less.
    pub max_forwards: u8,
}

impl From<IncomingInvite> for IncomingCall {
    fn from(invite: IncomingInvite) -> Self {
        Self {
            dialog: invite.dialog,
            leg: invite.leg,
            source: invite.peer.remote,
            transport: invite.peer.transport,
            caller: invite.caller,
            request_uri: invite.request_uri,
            called_here: invite.called_here,
            called_domain: invite.called_domain,
            called_user: invite.called_user,
            to_user: invite.to_user,
            to_host: invite.to_host,
            from_user: invite.from_user,
            from_host: invite.from_host,
            from_here: invite.from_here,
            from_domain: invite.from_domain,
            from_display: invite.from_display,
            call_id: invite.call_id,
            headers: invite.headers,
            sdp: invite.sdp,
            body_type_ok: invite.body_type_ok,
            max_forwards: invite.max_forwards,
        }
    }
}

/// Live bindings by the name under which the registrar knows the client ([`OurNames::address_of_record`]).
pub(crate) type Bindings = Arc<RwLock<BTreeMap<String, Vec<Binding>>>>;

/// A message from the handle to the task.
#[derive(Debug)]
pub(crate) enum Command {
    Leg(LegId, LegCommand),
    Listen(LegId, LegEvents),
    Forget(LegId),
    HangUp(DialogSnapshot),
    Trunks(Vec<TrunkSource>),
    MoreDomains(Vec<String>),
    /// The voice messages of a client, as the registrar knows it, have changed.
    WaitingChanged(String),
    Drain,
    Idle(oneshot::Sender<()>),
}

/// The SIP side of the server. Clones are cheap; the sockets close when the last one is dropped.
#[derive(Clone)]
pub struct Sip {
    shared: Arc<Shared>,
}

struct Shared {
    commands: mpsc::UnboundedSender<Command>,
    next_leg: AtomicU64,
    addrs: SipAddrs,
    bindings: Bindings,
    ours: RwLock<OurNames>,
    trunks: RwLock<Trunks>,
    texts: Mutex<Option<mpsc::Receiver<IncomingText>>>,
}

/// The trunks, and which one takes calls.
struct Trunks {
    all: Vec<Arc<Trunk>>,
    /// Whether the second one takes calls to numbers.
    on_fallback: bool,
}

impl Trunks {
    fn new(all: Vec<Trunk>) -> Self {
        Self {
            all: all.into_iter().map(Arc::new).collect(),
            on_fallback: false,
        }
    }

    fn active(&self) -> Option<&Arc<Trunk>> {
        let fallback = self.all.get(1).filter(|_| self.on_fallback);
        fallback.or_else(|| self.all.first())
    }
}

/// The trunks for calls to numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutboundProxies {
    /// The first trunk.
    pub primary: Option<Arc<Trunk>>,
    /// The second one.
    pub fallback: Option<Arc<Trunk>>,
    /// Whether calls take the second one.
    pub on_fallback: bool,
}

impl Sip {
    /// Opens the sockets and starts the task. Must be called within a tokio runtime. New calls come
    /// out of the receiver; when it is full or dropped they are refused with 503.
    ///
    /// # Errors
    /// [`BindError`] if listening on an address fails.
    #[expect(clippy::unused_async, reason = "async says that it needs the runtime")]
    pub async fn bind(
        config: SipConfig,
        directory: Arc<dyn Directory>,
    ) -> Result<(Self, mpsc::Receiver<IncomingCall>), BindError> {
        crate::actor::start(config, directory)
    }

    pub(crate) fn new(
        commands: mpsc::UnboundedSender<Command>,
        addrs: SipAddrs,
        bindings: Bindings,
        ours: OurNames,
        (trunks, texts): (Vec<Trunk>, mpsc::Receiver<IncomingText>),
    ) -> Self {
        let next_leg = AtomicU64::new(2);
        Self {
            shared: Arc::new(Shared {
                commands,
                next_leg,
                addrs,
                bindings,
                ours: RwLock::new(ours),
                trunks: RwLock::new(Trunks::new(trunks)),
                texts: Mutex::new(Some(texts)),
            }),
        }
    }

    /// The text messages that arrive, for the first caller; `None` for any other. Without a receiver,
    /// or when it is full, they are refused with 503.
    #[must_use]
    pub fn texts(&self) -> Option<mpsc::Receiver<IncomingText>> {
        let texts = &self.shared.texts;
        texts.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The bound addresses.
    #[must_use]
    pub fn local(&self) -> SipAddrs {
        self.shared.addrs
    }

    /// A new outbound leg whose events go to `events`; `LegCommand::Invite` starts it.
    #[must_use]
    pub fn new_leg(&self, events: LegEvents) -> LegId {
        let leg = LegId(self.shared.next_leg.fetch_add(2, Ordering::Relaxed));
        self.tell(Command::Listen(leg, events));
        leg
    }

    /// Sends the events of an inbound leg to `events`, earlier ones first.
    pub fn accept(&self, leg: LegId, events: LegEvents) {
        self.tell(Command::Listen(leg, events));
    }

    /// Sends a command to a leg. An ended leg ignores it.
    pub fn send(&self, leg: LegId, command: LegCommand) {
        self.tell(Command::Leg(leg, command));
    }

    /// Answers an inbound leg with 407; `stale` if only the nonce was too old.
    pub fn challenge(&self, leg: LegId, stale: bool) {
        self.send(leg, LegCommand::Challenge { stale });
    }

    /// Stops sending events of this leg. The leg itself continues.
    pub fn forget(&self, leg: LegId) {
        self.tell(Command::Forget(leg));
    }

    /// The live bindings of a login in the organization with a domain, most preferred first, whatever its client and password
    /// were when they were made: see [`Binding::credential`].
    #[must_use]
    pub fn bindings(&self, login: &str, domain: &str) -> Vec<Binding> {
        let known_as = self.ours().address_of_record(login, domain);
        let table = self
            .shared
            .bindings
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        table.get(&known_as).cloned().unwrap_or_default()
    }

    /// The voice messages of the client with a login in the organization with a domain have changed: its phones that are here are
    /// notified, once the directory has counted them.
    pub fn waiting_changed(&self, login: &str, domain: &str) {
        let known_as = self.ours().address_of_record(login, domain);
        self.tell(Command::WaitingChanged(known_as));
    }

    /// Logins with a live binding.
    #[must_use]
    pub fn registered(&self) -> usize {
        let table = self.shared.bindings.read();
        table.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The client or number at this server that a `sip:` address names, so that a request for it need not be sent.
    #[must_use]
    pub fn local_party(&self, uri: &str) -> Option<Local> {
        self.ours().local(uri)
    }

    /// Replaces the domains of the organizations other than the first.
    ///
    /// - `domains`: in lower case
    pub fn set_more_domains(&self, domains: Vec<String>) {
        let ours = &self.shared.ours;
        let mut ours = ours.write().unwrap_or_else(PoisonError::into_inner);
        ours.more_domains.clone_from(&domains);
        drop(ours);
        self.tell(Command::MoreDomains(domains));
    }

    fn ours(&self) -> RwLockReadGuard<'_, OurNames> {
        let ours = self.shared.ours.read();
        ours.unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to send a request for a URI (`sip:` or bare `host[:port][;transport=]`).
    ///
    /// # Errors
    /// [`ResolveError`] if it has no reachable address.
    pub async fn resolve(&self, uri: &str) -> Result<Peer, ResolveError> {
        crate::resolve::resolve(uri, self.shared.addrs, &Ok).await
    }

    /// Every address of the host of a URI; none if it has none that can be reached.
    pub(crate) async fn hosts(&self, uri: &str) -> Vec<IpAddr> {
        crate::resolve::hosts(uri, self.shared.addrs).await
    }

    /// The same for a URI that an account with this policy wrote: only addresses that it may reach count.
    ///
    /// # Errors
    /// [`ResolveError::Refused`] if it has only others.
    pub async fn resolve_for(
        &self,
        uri: &str,
        guard: &Guard,
        policy: AddressPolicy,
    ) -> Result<Peer, ResolveError> {
        let permit = |found| guard.permitted(found, policy);
        crate::resolve::resolve(uri, self.shared.addrs, &permit).await
    }

    /// Refuses new calls with 503 from now on; existing calls continue.
    pub fn drain(&self) {
        self.tell(Command::Drain);
    }

    /// Returns once no legs remain.
    pub async fn idle(&self) {
        let (done, waiting) = oneshot::channel();
        self.tell(Command::Idle(done));
        // The task drops its end when the last leg has ended.
        let _ = waiting.await;
    }

    /// Sends BYE for a call of an earlier process. The outcome is not reported.
    pub fn hang_up(&self, dialog: DialogSnapshot) {
        self.tell(Command::HangUp(dialog));
    }

    /// The trunk for calls to numbers: the first, or the second if [`Sip::use_fallback`] says so.
    #[must_use]
    pub fn outbound_proxy(&self) -> Option<Arc<Trunk>> {
        self.trunks().active().cloned()
    }

    /// The first two trunks, and which one takes calls to numbers.
    #[must_use]
    pub fn outbound_proxies(&self) -> OutboundProxies {
        let trunks = self.trunks();
        let fallback = trunks.all.get(1).cloned();
        OutboundProxies {
            primary: trunks.all.first().cloned(),
            on_fallback: trunks.on_fallback && fallback.is_some(),
            fallback,
        }
    }

    /// Whether calls to numbers take the second trunk, as long as there are two.
    pub fn use_fallback(&self, on_fallback: bool) {
        let trunks = self.shared.trunks.write();
        trunks.unwrap_or_else(PoisonError::into_inner).on_fallback = on_fallback;
    }

    /// The number or name that an address means at a trunk; `None` if it leads elsewhere.
    ///
    /// - `remote`: where the address leads
    #[must_use]
    pub fn party_behind_trunk(&self, uri: &str, remote: SocketAddr) -> Option<String> {
        let is_trunk = |trunk: &Arc<Trunk>| trunk.addresses.iter().any(|own| own.matches(remote));
        if !self.trunks().all.iter().any(is_trunk) {
            return None;
        }
        let uri = Uri::parse(uri).ok();
        let user = uri.as_ref().and_then(Uri::subscriber);
        Some(user.unwrap_or_default().into_owned())
    }

    /// Replaces the trunks. Calls in progress stay where they are.
    pub fn set_trunks(&self, trunks: Vec<Trunk>) {
        let sources = crate::config::sources(&trunks);
        let held = self.shared.trunks.write();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        if held.all.iter().map(Arc::as_ref).eq(&trunks) {
            return;
        }
        *held = Trunks {
            on_fallback: held.on_fallback,
            ..Trunks::new(trunks)
        };
        drop(held);
        self.tell(Command::Trunks(sources));
    }

    fn trunks(&self) -> RwLockReadGuard<'_, Trunks> {
        let trunks = self.shared.trunks.read();
        trunks.unwrap_or_else(PoisonError::into_inner)
    }

    /// The task ends only after the last handle is dropped, so this cannot fail while one is held.
    fn tell(&self, command: Command) {
        let _ = self.shared.commands.send(command);
    }
}
