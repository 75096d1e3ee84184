//! The live calls of this process, and how to reach them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use call_proto::{Changed, Event, Modify, ModifyError};
use media::EndpointId;
use model::CallSid;
use sip::LegId;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::actor::Input;

pub(crate) type Inbox = mpsc::UnboundedSender<Input>;

/// Receives the single reply to a request.
pub(crate) type Replies = oneshot::Sender<Result<Changed, ModifyError>>;

/// How long a request waits for its reply: longer than a slow disk takes, shorter than an HTTP
/// client waits.
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// How to reach a live leg.
struct Reach {
    inbox: Inbox,
    endpoint: EndpointId,
    sip: LegId,
}

/// Live legs by identifier.
#[derive(Default)]
pub(crate) struct Live {
    legs: Mutex<HashMap<CallSid, Reach>>,
    families: AtomicUsize,
    draining: Arc<AtomicBool>,
    changed: Notify,
}

impl Live {
    /// Counts a family in, unless there are too many or the server is about to stop.
    pub(crate) fn enter(&self, limit: usize) -> bool {
        if self.draining.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.families.fetch_add(1, Ordering::Relaxed);
        if before >= limit {
            self.families.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(crate) fn leave(&self) {
        self.families.fetch_sub(1, Ordering::Relaxed);
        self.has_changed();
    }

    /// A family or a room has ended.
    pub(crate) fn has_changed(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) fn families(&self) -> usize {
        self.families.load(Ordering::Relaxed)
    }

    /// Resolves some time after a family has ended.
    pub(crate) async fn changed(&self) {
        let wait = self.changed.notified();
        // A family may have ended between the caller's check and the start of this wait.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), wait).await;
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Becomes true once no new calls are accepted.
    pub(crate) fn draining(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.draining)
    }

    pub(crate) fn shut_down(&self) {
        self.drain();
        for (call, leg) in self.lock().iter() {
            let _ = leg.inbox.send(Input::Event(*call, Event::Shutdown));
        }
    }

    pub(crate) fn add(&self, call: CallSid, inbox: Inbox, endpoint: EndpointId, sip: LegId) {
        let reach = Reach {
            inbox,
            endpoint,
            sip,
        };
        self.lock().insert(call, reach);
    }

    /// The endpoint of a live leg, of whatever family.
    pub(crate) fn endpoint(&self, call: CallSid) -> Option<EndpointId> {
        self.lock().get(&call).map(|leg| leg.endpoint)
    }

    /// The live call with this SIP leg.
    pub(crate) fn call_of(&self, sip: LegId) -> Option<CallSid> {
        let legs = self.lock();
        let found = legs.iter().find(|(_, leg)| leg.sip == sip);
        found.map(|(call, _)| *call)
    }

    pub(crate) fn remove(&self, call: CallSid) {
        self.lock().remove(&call);
    }

    /// Sends an event to a live leg; false if it is not live here.
    pub(crate) fn tell(&self, call: CallSid, event: Event) -> bool {
        match self.lock().get(&call) {
            Some(leg) => leg.inbox.send(Input::Event(call, event)).is_ok(),
            None => false,
        }
    }

    /// Requests a change of a live leg. Returns once the change is made and stored, or refused.
    ///
    /// # Errors
    /// The reply of the call; [`ModifyError::Unconfirmed`] if there is none within
    /// [`REPLY_WITHIN`], or if the disk cannot be written.
    pub(crate) async fn ask(&self, call: CallSid, modify: Modify) -> Result<Changed, ModifyError> {
        let (replies, reply) = oneshot::channel();
        let sent = match self.lock().get(&call) {
            Some(leg) => {
                let ask = Input::Ask(call, modify, replies);
                leg.inbox.send(ask).is_ok()
            }
            None => false,
        };
        if !sent {
            return Err(ModifyError::NotLive);
        }
        replied(reply).await
    }

    /// The trace and the journal of a live leg's family so far; `None` if the leg is not live here.
    pub(crate) async fn trace(&self, call: CallSid) -> Option<Vec<u8>> {
        let (replies, reply) = oneshot::channel();
        let shows = Input::Show(replies);
        self.lock().get(&call)?.inbox.send(shows).ok()?;
        tokio::time::timeout(REPLY_WITHIN, reply).await.ok()?.ok()
    }

    /// The live legs.
    pub(crate) fn calls(&self) -> Vec<CallSid> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallSid, Reach>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the reply of a family or room, but not longer than [`REPLY_WITHIN`].
pub(crate) async fn replied(
    reply: oneshot::Receiver<Result<Changed, ModifyError>>,
) -> Result<Changed, ModifyError> {
    match tokio::time::timeout(REPLY_WITHIN, reply).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(ModifyError::NotLive), // It ended before handling the request.
        Err(_) => Err(ModifyError::Unconfirmed),
    }
}
