//! What the API asks of calls: make one, change one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use call_proto::journal::Recorder;
use call_proto::{
    CallbackTarget, Dialect, Document, Event, LegCallback, Modify, OutboundApi, Target,
};
use model::record::CallRecord;
use model::{AccountSid, CallSid, HttpMethod};
use tokio::sync::oneshot;

use crate::actor::{self, Start};
use crate::engine::Engine;
use crate::now;
use crate::resolve::{self, Peers};

/// A call to make.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Account it runs under.
    pub account: AccountSid,
    /// Whom the callee sees: a number, a name, or a whole SIP address.
    pub from: String,
    /// Whom to call.
    pub target: Target,
    /// Headers for the INVITE.
    pub headers: Vec<(String, String)>,
    /// Runs when it is answered; its author wrote the callback's address too.
    pub document: Document,
    /// Told of each leg's events, and which.
    pub callback: Option<(String, HttpMethod, Vec<rcml::LegEvent>)>,
    /// How long it may ring.
    pub timeout: Duration,
    /// User name and password for a challenge.
    pub credentials: Option<(String, String)>,
}

/// Why a call was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is no way to the callee.
    #[error("{0}")]
    Unreachable(String),
    /// The server takes no new calls.
    #[error("the server takes no new calls now")]
    Busy,
    /// The records cannot be kept.
    #[error("the call could not be stored")]
    Store,
}

/// Why a call was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ModifyError {
    /// It is not live in this process.
    #[error("the call is not in progress")]
    NotLive,
}

impl Engine {
    /// Makes a call: one leg for each phone of a client. Returns when the legs are on record.
    ///
    /// # Errors
    /// [`CreateError`] if the callee cannot be reached or no call may be made now.
    pub async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        let shared = &self.shared;
        let mut peers = Peers::new();
        let routes = resolve::resolve(shared, &new.target, &mut peers)
            .await
            .map_err(|unreachable| CreateError::Unreachable(unreachable.text))?;
        if !shared.live.enter(shared.config.max_calls) {
            return Err(CreateError::Busy);
        }
        shared.started.fetch_add(1, Ordering::Relaxed);
        let callback = new.callback.map(|(url, method, events)| LegCallback {
            target: CallbackTarget {
                url,
                method,
                author: new.document.author,
            },
            events: Some(events),
        });
        let outbound = OutboundApi {
            account: new.account,
            from: new.from,
            target: new.target,
            routes,
            headers: new.headers,
            credentials: new.credentials,
            document: new.document,
            callback,
            timeout: new.timeout,
            dialect: Dialect::RESTCOMM,
        };
        let settings = Arc::clone(&shared.settings);
        let (family, legs) = Recorder::outbound_api(settings, outbound, rand::random(), now());
        let root = legs.first().copied().ok_or(CreateError::Store)?;
        let (committed, done) = oneshot::channel();
        actor::spawn(
            Arc::clone(shared),
            Start {
                dialog: None,
                family,
                inbound: None,
                peers,
                root,
                committed: Some(committed),
            },
        );
        done.await.map_err(|_| CreateError::Store)?;
        self.records_of(&legs).await
    }

    async fn records_of(&self, legs: &[CallSid]) -> Result<Vec<CallRecord>, CreateError> {
        let mut records = Vec::with_capacity(legs.len());
        for leg in legs {
            match self.shared.parts.store.call(*leg).await {
                Ok(Some(record)) => records.push(record),
                Ok(None) | Err(_) => return Err(CreateError::Store),
            }
        }
        Ok(records)
    }

    /// Changes a live call.
    ///
    /// # Errors
    /// [`ModifyError::NotLive`] if it is not live in this process.
    pub fn modify(&self, call: CallSid, modify: Modify) -> Result<(), ModifyError> {
        let told = self.shared.live.tell(call, Event::Modify(modify));
        if told {
            Ok(())
        } else {
            Err(ModifyError::NotLive)
        }
    }
}
