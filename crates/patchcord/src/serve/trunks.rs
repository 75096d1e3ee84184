//! The trunks that the server uses: those of the configuration, and the gateways of the database.
//!
//! One task reads the gateways, at once when the API has changed them and otherwise periodically, because
//! another server may have. **Invariant: the SIP side has the trunks of one reading, in its order.**

use std::sync::PoisonError;
use std::time::Duration;

use api::{Outbound, Registration, Trunks};
use async_trait::async_trait;
use model::GatewaySid;
use sip::{Gateway, Gateways, Sip, States, Trunk, Turn};
use store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::warn;

/// How often the gateways are read.
const ROUND: Duration = Duration::from_secs(15);
/// How long the API waits until its change is in use.
const PATIENCE: Duration = Duration::from_secs(5);

/// The handle to the task.
pub(super) struct TrunkDesk {
    sip: Sip,
    states: States,
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

/// The task.
pub(super) struct TrunkKeeper {
    store: Store,
    sip: Sip,
    gateways: Gateways,
    asks: mpsc::Receiver<oneshot::Sender<()>>,
}

/// - `fixed`: the trunks of the configuration
pub(super) fn trunks(store: &Store, sip: &Sip, fixed: Vec<Trunk>) -> (TrunkDesk, TrunkKeeper) {
    let (asking, asks) = mpsc::channel(64);
    let gateways = Gateways::new(sip.clone(), fixed);
    let desk = TrunkDesk {
        sip: sip.clone(),
        states: gateways.states(),
        asks: asking,
    };
    let keeper = TrunkKeeper {
        store: store.clone(),
        sip: sip.clone(),
        gateways,
        asks,
    };
    (desk, keeper)
}

impl TrunkKeeper {
    /// Uses what is stored now.
    ///
    /// # Errors
    /// As reported by the database.
    pub(super) async fn read(&mut self) -> Result<(), StoreError> {
        let stored = self.store.gateways().await?;
        let on_fallback = self.store.is_on_fallback().await?;
        let gateway = |gateway: model::gateway::Gateway| Gateway {
            key: gateway.sid.to_string(),
            register: gateway.register.then_some(gateway.ttl_s),
            trunk: Trunk {
                name: gateway.friendly_name,
                uri: gateway.proxy,
                username: Some(gateway.user_name),
                password: Some(gateway.password),
                addresses: Vec::new(),
            },
        };
        self.gateways
            .apply(stored.into_iter().map(gateway).collect())
            .await;
        self.sip.use_fallback(on_fallback);
        Ok(())
    }

    /// Runs until the server stops, and then withdraws the registrations.
    pub(super) async fn walk(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let asker = tokio::select! {
                _ = stopped.changed() => break,
                asker = self.asks.recv() => asker,
                () = sleep(ROUND) => None,
            };
            if let Err(error) = self.read().await {
                warn!(%error, "the gateways cannot be read; those in use stay");
            }
            if let Some(asker) = asker {
                // It may have stopped waiting.
                let _ = asker.send(());
            }
        }
        self.gateways.end().await;
    }
}

#[async_trait]
impl Trunks for TrunkDesk {
    async fn refresh(&self) {
        let (asker, done) = oneshot::channel();
        if self.asks.send(asker).await.is_ok() && timeout(PATIENCE, done).await.is_err() {
            warn!("a change of the gateways is taking long and has not taken effect yet");
        }
    }

    fn outbound(&self) -> Outbound {
        let proxies = self.sip.outbound_proxies();
        let address = |trunk: std::sync::Arc<Trunk>| trunk.uri.clone();
        Outbound {
            primary: proxies.primary.map(address),
            fallback: proxies.fallback.map(address),
            on_fallback: proxies.on_fallback,
        }
    }

    fn registration(&self, gateway: GatewaySid) -> Option<Registration> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.get(&gateway.to_string()).map(|turn| match turn {
            Turn::Registered => Registration::Registered,
            Turn::Refused(status) => Registration::Refused(*status),
        })
    }
}
