//! The queues of this process in which calls wait or meet.
//!
//! A queue is found by its identifier; the first request creates it, and it is dropped when nobody is
//! in it any more. **Invariant: the reports to a call leave in the order of the decisions**: both happen
//! under the lock of [`Queues`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use call_proto::{Event, Parting, Queue, QueueRequest, Standing};
use model::record::Queue as Record;
use model::{AccountSid, CallSid, QueueSid, Timestamp};
use store::{Store, StoreError};

/// The queues in use.
#[derive(Default)]
pub(crate) struct Queues {
    open: Mutex<HashMap<QueueSid, Queue>>,
}

impl Queues {
    /// Carries out a request of a call, and sends the reports to the calls concerned.
    ///
    /// - `tells`: sends an event to a call; false if it is not live here.
    pub(crate) fn handle(
        &self,
        tells: impl Fn(CallSid, Event) -> bool,
        (call, queue): (CallSid, QueueSid),
        request: QueueRequest,
        now: Timestamp,
    ) {
        let mut open = self.lock();
        let machine = open.entry(queue).or_default();
        let mut reports = VecDeque::from(machine.handle(call, request, now));
        while let Some(tell) = reports.pop_front() {
            let (call, req, event) = (tell.call, tell.req, tell.event);
            if !tells(call, Event::Queue { req, event }) {
                // Its task ended without leaving.
                let why = Parting::HungUp;
                let leave = QueueRequest::Leave {
                    req,
                    queue,
                    met: true,
                    why,
                };
                reports.extend(machine.handle(call, leave, now));
            }
        }
        if machine.is_empty() {
            open.remove(&queue);
        }
    }

    /// Where a call stands in a queue.
    pub(crate) fn standing(
        &self,
        call: CallSid,
        queue: QueueSid,
        now: Timestamp,
    ) -> Option<Standing> {
        self.lock().get(&queue)?.standing(call, now)
    }

    /// Does something as long as a call is connected to one that it took: before the other one's family
    /// can command anything else.
    pub(crate) fn while_paired(
        &self,
        queue: QueueSid,
        (taker, waiter): (CallSid, CallSid),
        act: impl FnOnce(),
    ) {
        let open = self.lock();
        let machine = open.get(&queue);
        if machine.is_some_and(|queue| queue.are_paired(taker, waiter)) {
            act();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueueSid, Queue>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue of an account with this name.
///
/// - `create`: whether to create it if it does not exist.
///
/// # Errors
/// As reported by the store.
pub(crate) async fn find(
    store: &Store,
    account: AccountSid,
    name: String,
    create: bool,
) -> Result<Option<Record>, StoreError> {
    let found = store.queue_named(account, &name).await?;
    if found.is_some() || !create {
        return Ok(found);
    }
    let now = crate::now();
    store
        .insert_queue(Record {
            sid: QueueSid::new(now, rand::random()),
            account,
            name,
            max_size: Record::DEFAULT_MAX_SIZE,
            created: now,
            updated: now,
        })
        .await
}
