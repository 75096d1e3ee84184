//! Sends messages whose time has come, and cancels those that are not to be sent.
//!
//! Every server looks once a second for messages that are due in its database. **Invariant: a message is sent by the server
//! whose commit took it out of the status `scheduled`**; the others learn that they were late. Left to others: sending
//! (`messages`, `forwarding`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use call_proto::forwarding::{Move, schedule, unsent, validity_left};
use call_proto::{NewMessage, Released, SendError};
use futures_util::StreamExt as _;
use model::record::Message;
use model::{AccountStatus, MessageSid, error};
use store::{Change, ScheduledMessage, StoreError};
use tracing::{error, warn};

use crate::engine::{Engine, Shared};
use crate::forwarding::{changes_of, deliver};
use crate::messages;

/// How often messages that are due are looked for.
const PACE: Duration = Duration::from_secs(1);
/// Messages that are read at once.
const PAGE: i64 = 1_000;
/// Messages that are sent at the same time.
const AT_ONCE: usize = 32;

/// Looks for messages that are due, until the server stops.
async fn run(shared: Arc<Shared>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        if shared.live.draining().load(Ordering::Relaxed) {
            return;
        }
        let due = match shared.parts.store.due_messages(crate::now(), PAGE).await {
            Ok(due) => due,
            Err(StoreError::Closed) => return,
            Err(error) => {
                warn!(%error, "messages that are due cannot be read");
                continue;
            }
        };
        futures_util::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |due| async {
                let sid = due.message.sid;
                if let Err(problem) = release(&shared, due).await {
                    error!(error = %problem, message.sid = %sid, "a message that is due cannot be sent now");
                }
            })
            .await;
    }
}

/// Sends a message, or ends it if it must not be sent.
async fn release(shared: &Arc<Shared>, due: ScheduledMessage) -> Result<(), StoreError> {
    let ScheduledMessage {
        message,
        send_at,
        plan,
    } = due;
    let now = crate::now();
    let account = shared.parts.store.account(message.account).await?;
    let is_active = account.is_some_and(|account| account.status == AccountStatus::Active);
    let new = serde_json::from_str::<NewMessage>(&plan);
    let (new, why) = match new {
        Err(_) => (
            None,
            (error::MESSAGE_FAILED, "what was to be sent cannot be read"),
        ),
        Ok(new) if !is_active => (
            Some(new),
            (error::MESSAGE_ACCOUNT, "the account is not active"),
        ),
        Ok(new) => match validity_left(&new, send_at, now) {
            Some(left) => return send(shared, new, left, &message).await,
            None => {
                let why = "no server was running before its validity period ended";
                (Some(new), (error::MESSAGE_EXPIRED, why))
            }
        },
    };
    let why = (Some(why.0), why.1);
    let moved = unsent(&message, new.as_ref(), why, rand::random(), now);
    end(shared, moved).await.map(drop)
}

async fn send(
    shared: &Arc<Shared>,
    new: NewMessage,
    left: Duration,
    message: &Message,
) -> Result<(), StoreError> {
    let new = NewMessage {
        validity: Some(left),
        released: Some(Released {
            sid: message.sid,
            created: message.created,
        }),
        ..new
    };
    match messages::send(shared, new).await {
        Ok(_) => Ok(()),
        // The next look finds it again, unless another server was first.
        Err(SendError::Busy | SendError::Store) => Ok(()),
    }
}

/// Records the end of a message that is not sent; `false` if it no longer waited.
async fn end(shared: &Shared, moved: Move) -> Result<bool, StoreError> {
    let committed = shared.parts.store.commit(changes_of(&moved)).await?;
    let applied = committed.applied(0);
    if applied {
        deliver(&shared.parts.callbacks, moved);
    }
    Ok(applied)
}

impl Engine {
    /// Sends messages whose time has come, from now on. Must be called within a tokio runtime, once.
    pub fn follow_schedule(&self) {
        tokio::spawn(run(Arc::clone(&self.shared)));
    }

    /// Stores a message that is sent later. Returns its record.
    ///
    /// # Errors
    /// [`SendError::Store`] if nothing was stored.
    pub async fn schedule_message(
        &self,
        new: NewMessage,
        send_at: model::Timestamp,
    ) -> Result<Message, SendError> {
        let shared = &self.shared;
        let message = schedule(&shared.settings, &new, rand::random(), crate::now());
        let plan = serde_json::to_string(&new).map_err(|_| SendError::Store)?;
        let changes = vec![
            Change::MessageCreated {
                message: Box::new(message.clone()),
                farewell: None,
            },
            Change::MessagePlanned {
                sid: message.sid,
                send_at,
                plan,
            },
        ];
        let stored = shared.parts.store.commit(changes).await;
        stored.map(|_| message).map_err(|_| SendError::Store)
    }

    /// Cancels a message that was to be sent later; `false` if it does not wait any more.
    ///
    /// # Errors
    /// [`SendError::Store`] if that cannot be recorded.
    pub async fn cancel_message(&self, sid: MessageSid) -> Result<bool, SendError> {
        let shared = &self.shared;
        let found = shared.parts.store.scheduled_message(sid).await;
        let Some(found) = found.map_err(|_| SendError::Store)? else {
            return Ok(false);
        };
        let new = serde_json::from_str::<NewMessage>(&found.plan).ok();
        let why = (None, "canceled");
        let moved = unsent(
            &found.message,
            new.as_ref(),
            why,
            rand::random(),
            crate::now(),
        );
        end(shared, moved).await.map_err(|_| SendError::Store)
    }
}
