//! Trunks that come and go while the server runs, and our registrations at them.
//!
//! Each registration has a task around a `sip_proto::upkeep::Upkeep`. **Invariant: a gateway is registered at most
//! once**: its task ends, and withdraws the binding, before another one starts for it. Left to others: where the
//! gateways are defined.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sip_proto::ua::{Credentials, LegCommand, LegEvent, RegisterSpec, TrunkAddress};
use sip_proto::upkeep::{Attempt, Turn, Upkeep};
use sip_proto::uri::escape_user;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{Instrument, info, info_span, warn};

use crate::{Sip, Trunk};

/// How long the addresses of a trunk's name may take.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(3);
/// How long a binding may take to be withdrawn.
const FAREWELL: Duration = Duration::from_secs(2);

/// A trunk that is defined while the server runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gateway {
    /// Tells it from others for as long as it exists.
    pub key: String,
    /// Where calls go. Its calls come from `addresses` and from the addresses of its host.
    pub trunk: Trunk,
    /// How many seconds a registration there is to live; `None` for no registration.
    pub register: Option<u32>,
}

/// The gateways in use.
pub struct Gateways {
    sip: Sip,
    /// Trunks that never change, before the gateways.
    fixed: Vec<Trunk>,
    held: BTreeMap<String, Held>,
    states: States,
}

/// How the last REGISTER of each gateway ended, by its key.
pub type States = Arc<Mutex<BTreeMap<String, Turn>>>;

struct Held {
    gateway: Gateway,
    /// As found last.
    addresses: Vec<TrunkAddress>,
    registration: Option<Registration>,
}

struct Registration {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Gateways {
    /// - `fixed`: trunks that never change, before the gateways
    #[must_use]
    pub fn new(sip: Sip, fixed: Vec<Trunk>) -> Self {
        Self {
            sip,
            fixed,
            held: BTreeMap::new(),
            states: States::default(),
        }
    }

    /// How the last REGISTER of each ended.
    #[must_use]
    pub fn states(&self) -> States {
        Arc::clone(&self.states)
    }

    /// Uses these gateways, in this order, and no others. Must be called within a tokio runtime.
    pub async fn apply(&mut self, gateways: Vec<Gateway>) {
        let is_left = |held: &Held| gateways.contains(&held.gateway);
        let gone: Vec<String> = (self.held.iter())
            .filter(|(_, held)| !is_left(held))
            .map(|(key, _)| key.clone())
            .collect();
        let held = gone.iter().filter_map(|key| self.held.remove(key));
        end_all(held.collect::<Vec<_>>()).await;
        for key in gone {
            self.lock().remove(&key);
        }
        let found = self.addresses(&gateways).await;
        let mut trunks = self.fixed.clone();
        for (gateway, found) in gateways.into_iter().zip(found) {
            let held = match self.held.remove(&gateway.key) {
                Some(held) => held,
                None => self.start(gateway),
            };
            // If they cannot be found now, those found before stay.
            let held = Held {
                addresses: if found.is_empty() {
                    held.addresses
                } else {
                    found
                },
                ..held
            };
            let mut trunk = held.gateway.trunk.clone();
            trunk.addresses.extend(&held.addresses);
            trunks.push(trunk);
            self.held.insert(held.gateway.key.clone(), held);
        }
        self.sip.set_trunks(trunks);
    }

    /// Withdraws every registration.
    pub async fn end(self) {
        end_all(self.held.into_values()).await;
    }

    /// Where the calls of each gateway come from; nothing for one whose host cannot be found now.
    async fn addresses(&self, gateways: &[Gateway]) -> Vec<Vec<TrunkAddress>> {
        let mut found = vec![Vec::new(); gateways.len()];
        let mut lookups = JoinSet::new();
        for (at, gateway) in gateways.iter().enumerate() {
            let (sip, uri) = (self.sip.clone(), gateway.trunk.uri.clone());
            lookups.spawn(async move { (at, timeout(LOOKUP_PATIENCE, sip.hosts(&uri)).await) });
        }
        let any_port = |ip| TrunkAddress { ip, port: None };
        while let Some(lookup) = lookups.join_next().await {
            if let Ok((at, Ok(hosts))) = lookup
                && let Some(place) = found.get_mut(at)
            {
                place.extend(hosts.into_iter().map(any_port));
            }
        }
        found
    }

    fn start(&self, gateway: Gateway) -> Held {
        let registration = gateway.register.map(|expires| {
            let (stop, stopped) = oneshot::channel();
            let span = info_span!("gateway", name = gateway.trunk.name);
            let keeping = keep(
                self.sip.clone(),
                gateway.clone(),
                expires,
                stopped,
                self.states(),
            );
            let task = tokio::spawn(keeping.instrument(span));
            Registration { stop, task }
        });
        Held {
            gateway,
            addresses: Vec::new(),
            registration,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Turn>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Withdraws registrations, all at the same time: each may have to wait for its registrar.
async fn end_all(held: impl IntoIterator<Item = Held>) {
    let ends: JoinSet<()> = held.into_iter().map(end).collect();
    ends.join_all().await;
}

async fn end(held: Held) {
    if let Some(Registration { stop, task }) = held.registration {
        // The task also ends when this is dropped.
        let _ = stop.send(());
        let _ = task.await;
    }
}

/// Keeps one registration alive until it is stopped, and then withdraws it.
async fn keep(
    sip: Sip,
    gateway: Gateway,
    expires: u32,
    mut stopped: oneshot::Receiver<()>,
    states: States,
) {
    let call_id = format!("{:032x}", rand::random::<u128>());
    let mut upkeep = Upkeep::new(expires, Instant::now());
    loop {
        let due = upkeep.poll_timeout().unwrap_or_else(Instant::now);
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let Some(attempt) = upkeep.handle_timeout(Instant::now()) else {
            continue;
        };
        let (status, seconds) = tokio::select! {
            _ = &mut stopped => break,
            answer = register(&sip, &gateway.trunk, &call_id, attempt) => answer,
        };
        if let Some(turn) = upkeep.handle_done(status, seconds, Instant::now()) {
            match turn {
                Turn::Registered => info!("registered at the gateway"),
                Turn::Refused(status) => warn!(status, "the gateway refused the registration"),
            }
            let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
            states.insert(gateway.key.clone(), turn);
        }
    }
    if let Some(attempt) = upkeep.end() {
        let withdrawn = register(&sip, &gateway.trunk, &call_id, attempt);
        let _ = timeout(FAREWELL, withdrawn).await;
    }
}

/// Sends a REGISTER. Returns the final status, 503 if the gateway cannot be reached, and the seconds that the
/// response names.
async fn register(sip: &Sip, trunk: &Trunk, call_id: &str, attempt: Attempt) -> (u16, Option<u32>) {
    const UNREACHABLE: (u16, Option<u32>) = (503, None);
    let Ok(route) = sip.resolve(&trunk.uri).await else {
        return UNREACHABLE;
    };
    let host = trunk.uri.strip_prefix("sip:").unwrap_or(&trunk.uri);
    let host = host.split(';').next().unwrap_or(host);
    let user = trunk.username.clone().unwrap_or_default();
    let (name, address) = match user.split_once('@') {
        Some((name, _)) => (name.to_owned(), format!("sip:{user}")),
        None => (user.clone(), format!("sip:{}@{host}", escape_user(&user))),
    };
    let credentials = trunk.password.clone().map(|password| Credentials {
        username: name.clone(),
        password,
    });
    let (events, mut heard) = mpsc::unbounded_channel();
    let leg = sip.new_leg(events);
    let spec = RegisterSpec {
        registrar: format!("sip:{host}"),
        address,
        contact_user: name,
        route,
        expires: attempt.expires,
        call_id: call_id.to_owned(),
        seq: attempt.seq,
        credentials,
    };
    sip.send(leg, LegCommand::Register(Box::new(spec)));
    while let Some((_, event)) = heard.recv().await {
        if let LegEvent::RegisterDone { status, seconds } = event {
            return (status, seconds);
        }
    }
    UNREACHABLE
}
