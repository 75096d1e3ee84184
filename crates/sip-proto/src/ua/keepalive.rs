//! Sends OPTIONS to registered phones, so that a phone that is gone is detected before it is
//! called.
//!
//! **Invariant: silence counts only against a phone that has answered before**: some never answer
//! OPTIONS although they are there; their bindings merely make room first when a client has too
//! many. Any response is a sign of life; no response, or a closed path, ends the binding and the
//! calls over the same path.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Peer;
use super::core::Core;
use super::leg::State;
use super::pending::Kind;
use crate::message::{HeaderName, Method, Request};
use crate::registrar::Binding;
use crate::transaction::TxId;
use crate::uri::{SipUri, Uri};

/// How soon bindings of an earlier process are probed, so that dead ones do not linger.
const FIRST_AFTER_RESTART: Duration = Duration::from_secs(5);

/// Login and Contact.
type Key = (String, String);

/// When to probe each binding, and what is known of it.
#[derive(Default)]
pub(super) struct KeepAlive {
    due: BTreeSet<(Instant, Key)>,
    known: BTreeMap<Key, Known>,
    sent: BTreeMap<TxId, (Key, SipUri)>,
}

struct Known {
    due: Instant,
    answered: bool,
}

impl KeepAlive {
    /// Updates the bindings of a client.
    fn follow(&mut self, login: &str, bindings: &[Binding], first: Instant) {
        let contacts: BTreeMap<String, bool> = bindings
            .iter()
            .map(|binding| (binding.contact.to_string(), binding.answers))
            .collect();
        let of_login = (login.to_owned(), String::new())..;
        let gone: Vec<Key> = self
            .known
            .range(of_login)
            .map(|(key, _)| key)
            .take_while(|(known, _)| known == login)
            .filter(|(_, contact)| !contacts.contains_key(contact))
            .cloned()
            .collect();
        for key in gone {
            if let Some(known) = self.known.remove(&key) {
                self.due.remove(&(known.due, key));
            }
        }
        for (contact, answered) in contacts {
            let key = (login.to_owned(), contact);
            if !self.known.contains_key(&key) {
                self.known.insert(
                    key.clone(),
                    Known {
                        due: first,
                        answered,
                    },
                );
                self.due.insert((first, key));
            }
        }
    }

    /// A binding due for a probe; its next one is `interval` later.
    fn take_due(&mut self, now: Instant, interval: Duration) -> Option<Key> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        let next = now + interval;
        if let Some(known) = self.known.get_mut(&key) {
            known.due = next;
            self.due.insert((next, key.clone()));
        }
        Some(key)
    }

    /// Whether a binding has ever answered.
    pub(super) fn has_answered(&self, login: &str, contact: &SipUri) -> bool {
        let key = (login.to_owned(), contact.to_string());
        self.known.get(&key).is_some_and(|known| known.answered)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl Core {
    /// Follows a change of a client's bindings.
    pub(super) fn follow_bindings(&mut self, login: &str, bindings: &[Binding], now: Instant) {
        if self.config.keepalive.is_zero() {
            return;
        }
        let first = now + self.config.keepalive;
        self.keepalive.follow(login, bindings, first);
    }

    /// Probes bindings of an earlier process sooner.
    pub(super) fn follow_restored(&mut self, login: &str, bindings: &[Binding], now: Instant) {
        if self.config.keepalive.is_zero() {
            return;
        }
        let first = now + FIRST_AFTER_RESTART.min(self.config.keepalive);
        self.keepalive.follow(login, bindings, first);
    }

    pub(super) fn ask_bindings(&mut self, now: Instant) {
        let interval = self.config.keepalive;
        while let Some(key) = self.keepalive.take_due(now, interval) {
            let bindings = self.registrar.bindings(&key.0, now);
            let found = bindings
                .into_iter()
                .find(|binding| binding.contact.to_string() == key.1);
            if let Some(binding) = found {
                self.ask(key, binding, now);
            }
        }
    }

    fn ask(&mut self, key: Key, binding: Binding, now: Instant) {
        let target = Uri::Sip(binding.contact.clone());
        let us = format!(
            "<sip:{}>;tag={}",
            self.config.ours.domain,
            self.random.tag()
        );
        let mut options = Request::new(Method::Options, target);
        let headers = &mut options.headers;
        headers.push(HeaderName::MaxForwards, 70_u32);
        headers.push(HeaderName::From, us);
        headers.push(HeaderName::To, format!("<{}>", binding.contact));
        headers.push(HeaderName::CallId, self.random.call_id());
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let sent = self.send_request(None, Kind::Options, options, binding.peer, now);
        if let Some(tx) = sent {
            self.keepalive.sent.insert(tx, (key, binding.contact));
        }
    }

    /// A phone answered.
    pub(super) fn alive(&mut self, tx: TxId, now: Instant) {
        if let Some((key, contact)) = self.keepalive.sent.remove(&tx)
            && let Some(known) = self.keepalive.known.get_mut(&key)
        {
            let is_news = !std::mem::replace(&mut known.answered, true);
            self.registrar.note_answer(&key.0, &contact, true);
            if is_news {
                // It is kept for the next process.
                self.announce_bindings(key.0, now);
            }
        }
    }

    /// A phone did not answer, or there is no route to it.
    pub(super) fn silent(&mut self, tx: TxId, now: Instant) {
        let Some((key, contact)) = self.keepalive.sent.remove(&tx) else {
            return;
        };
        let judged = self.keepalive.known.get(&key);
        if !judged.is_some_and(|known| known.answered) {
            return self.registrar.note_answer(&key.0, &contact, false);
        }
        let Some(binding) = self.registrar.remove(&key.0, &contact) else {
            return;
        };
        self.announce_bindings(key.0, now);
        self.lose_calls_over(binding.peer, now);
    }

    fn lose_calls_over(&mut self, path: Peer, now: Instant) {
        let over = |state: &State| match state {
            State::Talking(talking) => {
                let hop = talking.dialog.next_hop();
                (hop.transport, hop.remote) == (path.transport, path.remote)
            }
            _ => false,
        };
        let lost: Vec<_> = self
            .legs
            .iter()
            .filter(|(_, leg)| over(&leg.state))
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            if let Some(mut leg) = self.take(id) {
                self.lose(&mut leg, now);
                self.put(leg);
            }
        }
    }
}
