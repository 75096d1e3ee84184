//! NOTIFYs to phones that have not subscribed: outside dialogs, to each binding of a client.
//!
//! RFC 6665 knows no such NOTIFY, but many phones expect it. **Invariant: a phone that refuses one gets no other until it
//! registers anew**, with another Contact or Call-ID, as it does when it is switched on. Left to others: silent phones, whose bindings
//! `keepalive` ends.

use std::collections::BTreeSet;
use std::time::Instant;

use model::waiting::Waiting;

use super::Receiver;
use super::summary::{PACKAGE, SUMMARY, summary};
use crate::header::NameAddr;
use crate::message::{HeaderName, Method, Request};
use crate::registrar::Binding;
use crate::transaction::TxId;
use crate::ua::core::Core;
use crate::ua::pending::Kind;
use crate::uri::{SipUri, Uri};

/// What a binding has been notified of.
pub(super) struct Phone {
    /// Call-ID of its registration.
    call_id: String,
    /// The count in its last NOTIFY.
    notified: Option<Waiting>,
    /// What an earlier process has notified it of is not known.
    is_restored: bool,
    /// It has refused a NOTIFY.
    refuses: bool,
    /// The NOTIFY that is not answered yet.
    pending: Option<TxId>,
}

impl Core {
    /// Follows a change of a client's bindings; new ones are notified if messages wait.
    ///
    /// - `restored`: whether they are those of an earlier process
    pub(in crate::ua) fn follow_phones(
        &mut self,
        known_as: &str,
        bindings: &[Binding],
        restored: bool,
        now: Instant,
    ) {
        let contacts: BTreeSet<String> =
            bindings.iter().map(|one| one.contact.to_string()).collect();
        let indications = &mut self.indications;
        if !contacts.is_empty() {
            indications.client(known_as, now);
        }
        let Some(client) = indications.clients.get_mut(known_as) else {
            return;
        };
        client
            .phones
            .retain(|contact, _| contacts.contains(contact));
        let mut is_new = false;
        for binding in bindings {
            let contact = binding.contact.to_string();
            let known = client.phones.get(&contact);
            if known.is_some_and(|phone| phone.call_id == binding.call_id) {
                continue;
            }
            is_new = true;
            let phone = Phone {
                call_id: binding.call_id.clone(),
                notified: None,
                is_restored: restored,
                refuses: false,
                pending: None,
            };
            client.phones.insert(contact, phone);
        }
        if is_new {
            indications.want(known_as);
            self.ask_counts();
        } else {
            indications.tidy(known_as);
        }
    }

    /// Notifies the bindings of a client that do not have the present count.
    pub(super) fn notify_phones(&mut self, known_as: &str, now: Instant) {
        for binding in self.registrar.bindings(known_as, now) {
            if let Some(waiting) = self.due_at(known_as, &binding) {
                self.send_unsolicited(known_as, &binding, waiting, now);
            }
        }
    }

    /// The count that a binding must be notified of now.
    fn due_at(&self, known_as: &str, binding: &Binding) -> Option<Waiting> {
        let client = self.indications.clients.get(known_as)?;
        let waiting = client.waiting?;
        let phone = client.phones.get(&binding.contact.to_string())?;
        let is_news = match phone.notified {
            Some(notified) => notified != waiting,
            // A phone that was just switched on shows nothing, which is right if nothing waits.
            None => {
                waiting != Waiting::default() || phone.is_restored && client.credential.is_some()
            }
        };
        let is_present = |credential: &String| *credential == binding.credential;
        let is_ready = is_news
            && !phone.refuses
            && phone.pending.is_none()
            && client.credential.as_ref().is_none_or(is_present);
        let has_subscribed = || {
            client.subscriptions.iter().any(|id| {
                let one = self.indications.subscriptions.get(id);
                one.is_some_and(|one| {
                    one.end.is_none() && is_same_phone(one.dialog.target(), &binding.contact)
                })
            })
        };
        (is_ready && !has_subscribed()).then_some(waiting)
    }

    fn send_unsolicited(
        &mut self,
        known_as: &str,
        binding: &Binding,
        waiting: Waiting,
        now: Instant,
    ) {
        let account = self.account_of(known_as);
        let Ok(us) = Uri::parse(&account) else {
            return;
        };
        let login = known_as.split('@').next().unwrap_or_default();
        let from = NameAddr::new(us).with_tag(&self.random.tag());
        let mut notify = Request::new(Method::Notify, Uri::Sip(binding.contact.clone()));
        let headers = &mut notify.headers;
        headers.push(HeaderName::MaxForwards, 70_u32);
        headers.push(HeaderName::From, from.to_string());
        headers.push(HeaderName::To, format!("<{account}>"));
        headers.push(HeaderName::CallId, self.random.call_id());
        headers.push(HeaderName::CSeq, "1 NOTIFY");
        headers.push(HeaderName::Contact, self.contact(login, binding.peer));
        let headers = &mut notify.headers;
        headers.push(HeaderName::Event, PACKAGE);
        headers.push(HeaderName::SubscriptionState, "active");
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        notify.set_body(SUMMARY, summary(&account, waiting));
        let sent = self.send_request(None, Kind::Indication, notify, binding.peer, now);
        let contact = binding.contact.to_string();
        let indications = &mut self.indications;
        let client = indications.clients.get_mut(known_as);
        if let Some(phone) = client.and_then(|client| client.phones.get_mut(&contact)) {
            phone.notified = Some(waiting);
            phone.is_restored = false;
            phone.pending = sent;
        }
        if let Some(tx) = sent {
            let receiver = Receiver::Phone(known_as.to_owned(), contact);
            indications.sent.insert(tx, receiver);
        }
    }

    /// A phone answered a NOTIFY outside dialogs, or did not: 408. One that does not answer is not notified of the same count again.
    pub(super) fn phone_answered(
        &mut self,
        (known_as, contact, tx): (&str, &str, TxId),
        status: u16,
        now: Instant,
    ) {
        let client = self.indications.clients.get_mut(known_as);
        let Some(phone) = client.and_then(|client| client.phones.get_mut(contact)) else {
            return;
        };
        // Otherwise it has registered anew meanwhile.
        if phone.pending != Some(tx) {
            return;
        }
        phone.pending = None;
        phone.refuses = is_refusal(status);
        if is_not_ready(status) {
            // The next reading notifies it again.
            phone.notified = None;
            return;
        }
        self.notify_phones(known_as, now);
    }

    /// A phone was notified of a count in its subscription, so its binding need not be.
    pub(super) fn note_notified(&mut self, known_as: &str, target: &Uri, waiting: Waiting) {
        let Some(client) = self.indications.clients.get_mut(known_as) else {
            return;
        };
        for (contact, phone) in &mut client.phones {
            if let Ok(Uri::Sip(contact)) = Uri::parse(contact)
                && is_same_phone(target, &contact)
            {
                phone.notified = Some(waiting);
            }
        }
    }
}

/// Whether a subscription is that of a binding. Phones write different parameters into their Contacts.
fn is_same_phone(target: &Uri, contact: &SipUri) -> bool {
    target.as_sip().is_some_and(|target| {
        (&target.user, &target.host, target.port) == (&contact.user, &contact.host, contact.port)
    })
}

/// Whether a phone with this answer does not want such requests: not if it was silent, or is not ready now.
fn is_refusal(status: u16) -> bool {
    match status {
        408 | 480 | 486 | 491 => false,
        501 => true,
        status => (300..500).contains(&status) || status >= 600,
    }
}

/// Whether a phone with this answer may take the same request later; one that was silent may be gone.
fn is_not_ready(status: u16) -> bool {
    matches!(status, 480 | 486 | 491) || ((500..600).contains(&status) && status != 501)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_phone_that_is_not_ready() {
        let refusals = [302, 401, 404, 405, 481, 489, 501, 603];
        let others = [200, 202, 408, 480, 486, 491, 500, 503];
        assert!(refusals.into_iter().all(is_refusal));
        assert!(!others.into_iter().any(is_refusal));
        assert!([480, 486, 491, 500, 503].into_iter().all(is_not_ready));
        assert!(![200, 202, 404, 408, 501].into_iter().any(is_not_ready));
    }

    #[test]
    fn a_phone_is_known_by_user_and_address() {
        let same = |target: &str, contact: &str| {
            let contact = Uri::parse(contact).unwrap();
            is_same_phone(&Uri::parse(target).unwrap(), contact.as_sip().unwrap())
        };
        assert!(same(
            "sip:kim@10.0.0.1:5070",
            "sip:kim@10.0.0.1:5070;ob;transport=udp"
        ));
        assert!(!same("sip:kim@10.0.0.1:5070", "sip:kim@10.0.0.1:5072"));
        assert!(!same("sip:kim@10.0.0.1", "sip:ann@10.0.0.1"));
        assert!(!same("tel:+15550100", "sip:kim@10.0.0.1"));
    }
}
