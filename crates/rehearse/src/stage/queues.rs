//! Queues: the machines in which calls of different families wait and meet.
//!
//! **Invariant: messages between a family and a queue arrive once and in order**, in any weather, as on
//! a server; bad weather only delays a queue's reports.

use std::collections::BTreeMap;

use call_proto::{Event, Queue, QueueEvent, QueueRequest};
use model::record::Queue as Record;
use model::{AccountSid, CallSid, QueueSid};

use super::Stage;

/// All queues that have existed.
#[derive(Default)]
pub(super) struct Queues {
    names: BTreeMap<(AccountSid, String), QueueSid>,
    machines: BTreeMap<QueueSid, Queue>,
}

impl Queues {
    /// What is left of queues that should be empty.
    pub(super) fn left(&self) -> Vec<String> {
        let is_left = |name: &(&(AccountSid, String), &QueueSid)| {
            let machine = self.machines.get(name.1);
            machine.is_some_and(|queue| !queue.is_empty())
        };
        let left = self.names.iter().filter(is_left);
        left.map(|((_, name), _)| format!("the queue `{name}` is not empty"))
            .collect()
    }

    /// Whether a call is connected to one that it took.
    pub(super) fn are_paired(&self, queue: QueueSid, taker: CallSid, waiter: CallSid) -> bool {
        let machine = self.machines.get(&queue);
        machine.is_some_and(|queue| queue.are_paired(taker, waiter))
    }

    fn find(&mut self, key: (AccountSid, String), create: bool) -> Option<QueueSid> {
        if !create {
            return self.names.get(&key).copied();
        }
        let mut sid = [0xd0; 16];
        sid[8..].copy_from_slice(&(self.names.len() as u64).to_be_bytes());
        Some(*self.names.entry(key).or_insert(QueueSid::from_bytes(sid)))
    }
}

impl Stage<'_> {
    /// A call sends a request to a queue.
    pub(super) fn asks_queue(&mut self, call: CallSid, request: QueueRequest) {
        match request {
            QueueRequest::Find {
                req,
                account,
                name,
                create,
            } => {
                let unavailable = self.scene.faults.unrecorded.contains(&name);
                let event = if unavailable {
                    QueueEvent::Unavailable {
                        why: "the database is not available".to_owned(),
                    }
                } else {
                    let found = self.queues.find((account, name), create);
                    found.map_or(QueueEvent::Missing, |queue| QueueEvent::Found {
                        queue,
                        max_size: Record::DEFAULT_MAX_SIZE,
                    })
                };
                let found = Event::Queue { req, event };
                self.tell_in(self.scene.delays.look_up, call, found);
            }
            QueueRequest::Enter { queue, .. }
            | QueueRequest::Take { queue, .. }
            | QueueRequest::Ready { queue, .. }
            | QueueRequest::Pass { queue, .. }
            | QueueRequest::Leave { queue, .. } => {
                let machine = self.queues.machines.entry(queue).or_default();
                for tell in machine.handle(call, request, self.now) {
                    let (req, event) = (tell.req, tell.event);
                    self.reports(tell.call, Event::Queue { req, event });
                }
            }
        }
    }

    /// The parameters about the place of a call in this queue.
    pub(super) fn standing(&self, call: CallSid, queue: Option<QueueSid>) -> Vec<(String, String)> {
        let params = queue.and_then(|queue| {
            let standing = self.queues.machines.get(&queue)?.standing(call, self.now)?;
            Some(standing.params(queue))
        });
        params.unwrap_or_default()
    }
}
