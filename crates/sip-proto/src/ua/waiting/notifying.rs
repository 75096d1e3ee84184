//! NOTIFYs in the dialogs of subscriptions (RFC 6665 §4.2.2), and how subscriptions end.
//!
//! **Invariant: a subscription that ends otherwise than by the phone's own failure to answer is reported as `terminated`**, with
//! one NOTIFY, after which the phone's answer no longer matters.

use std::time::{Duration, Instant};

use model::waiting::Waiting;

use super::summary::{SUMMARY, summary};
use super::{Receiver, Subscription, SubscriptionId};
use crate::message::{HeaderName, Method, Request, Response};
use crate::ua::FlowId;
use crate::ua::core::Core;
use crate::ua::pending::Kind;

/// The reason of a subscription whose client has another password now.
const REJECTED: &str = "rejected";

impl Core {
    /// The messages of a client have been counted, or could not be.
    pub(super) fn notify_subscriptions(&mut self, known_as: &str, now: Instant) {
        let Some(client) = self.indications.clients.get(known_as) else {
            return;
        };
        let present = client.credential.clone();
        for id in client.subscriptions.clone() {
            let Some(one) = self.indications.subscriptions.get_mut(&id) else {
                continue;
            };
            one.is_due |= std::mem::take(&mut one.is_asking);
            let is_former = |present: &String| *present != one.credential;
            if present.as_ref().is_some_and(is_former) {
                self.end_subscription(id, REJECTED, now);
            } else {
                self.settle(id, now);
            }
        }
    }

    /// Subscriptions that were not refreshed end.
    pub(super) fn expire_subscriptions(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.indications.expiries.first() {
            if at > now {
                break;
            }
            self.indications.expiries.pop_first();
            self.end_subscription(id, "timeout", now);
        }
    }

    /// Ends a subscription, once its last NOTIFY is answered.
    pub(super) fn end_subscription(
        &mut self,
        id: SubscriptionId,
        reason: &'static str,
        now: Instant,
    ) {
        let indications = &mut self.indications;
        let Some(one) = indications.subscriptions.get_mut(&id) else {
            return;
        };
        one.end = Some(reason);
        one.is_asking = false;
        indications.expiries.remove(&(one.expires_at, id));
        let key = (one.dialog.call_id.clone(), one.tag.clone());
        indications.dialogs.remove(&key);
        self.settle(id, now);
    }

    /// Sends the NOTIFY that is due, unless another one is not answered yet.
    fn settle(&mut self, id: SubscriptionId, now: Instant) {
        let indications = &mut self.indications;
        let Some(mut one) = indications.subscriptions.remove(&id) else {
            return;
        };
        let client = indications.clients.get(&one.client);
        let waiting = client.and_then(|client| client.waiting);
        if one.pending.is_some() || one.is_asking {
            indications.subscriptions.insert(id, one);
        } else if let Some(reason) = one.end {
            let notify = self.notify_of(&mut one, &format!("terminated;reason={reason}"), waiting);
            let peer = one.dialog.next_hop();
            self.send_request(None, Kind::Indication, notify, peer, now);
            self.indications.subscriptions.insert(id, one);
            self.forget_subscription(id);
        } else {
            let is_news = waiting.is_some() && waiting != one.notified;
            if one.is_due || is_news {
                self.send_notify(id, &mut one, waiting, now);
            }
            self.indications.subscriptions.insert(id, one);
        }
    }

    fn send_notify(
        &mut self,
        id: SubscriptionId,
        one: &mut Subscription,
        waiting: Option<Waiting>,
        now: Instant,
    ) {
        let left = one.expires_at.saturating_duration_since(now);
        // Rounded up: a live subscription never has 0 s left.
        let seconds = left.as_secs() + u64::from(left > Duration::from_secs(left.as_secs()));
        let notify = self.notify_of(one, &format!("active;expires={seconds}"), waiting);
        let peer = one.dialog.next_hop();
        one.is_due = false;
        one.notified = waiting;
        one.pending = self.send_request(None, Kind::Indication, notify, peer, now);
        if let Some(tx) = one.pending {
            let receiver = Receiver::Subscription(id);
            self.indications.sent.insert(tx, receiver);
        }
    }

    /// A NOTIFY without Via. It has no body while the count is not known (RFC 6665 §4.2.2), nor for a phone that only knows a former
    /// password.
    fn notify_of(&self, one: &mut Subscription, state: &str, waiting: Option<Waiting>) -> Request {
        let mut notify = one.dialog.request(Method::Notify);
        let headers = &mut notify.headers;
        headers.push(HeaderName::Contact, one.contact.as_str());
        headers.push(HeaderName::Event, one.event.as_str());
        headers.push(HeaderName::SubscriptionState, state);
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        if let Some(waiting) = waiting.filter(|_| one.end != Some(REJECTED)) {
            notify.set_body(SUMMARY, summary(&self.account_of(&one.client), waiting));
        }
        notify
    }

    /// A phone answered the NOTIFY of its subscription. A refusal ends it, unless the phone asks for another attempt with Retry-After
    /// (RFC 6665 §4.2.2): then it is notified again when the messages are next counted.
    pub(super) fn subscription_answered(
        &mut self,
        id: SubscriptionId,
        response: &Response,
        now: Instant,
    ) {
        let Some(one) = self.indications.subscriptions.get_mut(&id) else {
            return;
        };
        one.pending = None;
        if response.status.is_success() {
            let (client, target) = (one.client.clone(), one.dialog.target().clone());
            if let Some(waiting) = one.notified {
                self.note_notified(&client, &target, waiting);
            }
            self.settle(id, now);
        } else if response.headers.contains(HeaderName::RetryAfter) && one.end.is_none() {
            one.notified = None;
        } else {
            self.forget_subscription(id);
        }
    }

    /// Removes a subscription without another word.
    pub(super) fn forget_subscription(&mut self, id: SubscriptionId) {
        let indications = &mut self.indications;
        let Some(one) = indications.subscriptions.remove(&id) else {
            return;
        };
        indications.expiries.remove(&(one.expires_at, id));
        let key = (one.dialog.call_id.clone(), one.tag);
        indications.dialogs.remove(&key);
        if let Some(client) = indications.clients.get_mut(&one.client) {
            client.subscriptions.remove(&id);
        }
        indications.tidy(&one.client);
    }

    /// A connection ended: its subscriptions are reached at their Contact, if at all.
    pub(in crate::ua) fn forget_flow_of_subscriptions(&mut self, flow: FlowId) {
        for one in self.indications.subscriptions.values_mut() {
            if one.dialog.peer.flow == Some(flow) {
                one.dialog.forget_flow();
            }
        }
    }
}
