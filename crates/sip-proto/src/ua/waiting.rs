//! Message waiting indication (RFC 3842): phones are notified of the messages that wait for their client.
//!
//! A phone subscribes (`subscribing`), and is then notified in the dialog of its subscription (`notifying`, RFC 6665 §4.2). One that does not
//! subscribe gets a NOTIFY outside dialogs at its binding (`unsolicited`), as many phones expect it. **Invariants: a phone
//! is notified only of messages of the client whose present password it has proved to know; it has at most one unanswered NOTIFY at a time, which
//! is followed by another one only if the count has changed meanwhile; and at most one question about counts is open.** A change that is
//! reported while its client is being asked about has the client asked again, so no change is lost.
//!
//! Left to others: how many messages wait. Deliberate omissions: subscriptions end with the process, and
//! phones subscribe again when they refresh theirs; a client is notified about itself only.

mod notifying;
mod subscribing;
mod summary;
mod unsolicited;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use model::waiting::Waiting;

use super::Peer;
use super::core::{Core, Output};
use crate::dialog::Dialog;
use crate::message::Response;
use crate::transaction::TxId;
use crate::uri::escape_user;

pub(super) use summary::PACKAGE;
use unsolicited::Phone;

/// How often the counts of all clients that are here are read, because they may have been changed through another server.
const READ_EVERY: Duration = Duration::from_secs(30);

/// What is known about the messages of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Messages in its boxes.
    pub waiting: Waiting,
    /// Names the client and its password; see [`super::Ha1`]. Phones that proved another one are not notified.
    pub credential: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct SubscriptionId(u64);

/// A subscription of a phone (RFC 6665 §4.2).
struct Subscription {
    /// As the registrar knows the client.
    client: String,
    /// What the client proved in its last SUBSCRIBE.
    credential: String,
    dialog: Dialog,
    /// Our tag.
    tag: String,
    /// Our Contact value.
    contact: String,
    /// Value of Event, with the `id` that the phone chose.
    event: String,
    expires_at: Instant,
    /// A SUBSCRIBE was accepted, and its NOTIFY waits for the count.
    is_asking: bool,
    /// It must be notified even if the count is the same.
    is_due: bool,
    /// The count in the last NOTIFY.
    notified: Option<Waiting>,
    /// The NOTIFY that is not answered yet.
    pending: Option<TxId>,
    /// It ends with the next NOTIFY, for this reason (RFC 6665 §4.1.3).
    end: Option<&'static str>,
}

/// A client with phones that are notified.
#[derive(Default)]
struct Client {
    /// The last count; `None` until the first answer.
    waiting: Option<Waiting>,
    /// The credential in the last answer; `None` if the client has no box.
    credential: Option<String>,
    /// Oldest first. Those that are about to end are among them.
    subscriptions: BTreeSet<SubscriptionId>,
    /// Its bindings by Contact.
    phones: BTreeMap<String, Phone>,
}

/// Receiver of a NOTIFY.
enum Receiver {
    Subscription(SubscriptionId),
    /// Client and Contact of a binding.
    Phone(String, String),
}

/// All that is known about messages and who is notified of them.
#[derive(Default)]
pub(super) struct Indications {
    clients: BTreeMap<String, Client>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Those that a SUBSCRIBE can refresh, by Call-ID and our tag.
    dialogs: BTreeMap<(String, String), SubscriptionId>,
    expiries: BTreeSet<(Instant, SubscriptionId)>,
    /// Receivers of unanswered NOTIFYs.
    sent: BTreeMap<TxId, Receiver>,
    /// Clients whose messages are to be counted.
    wanted: BTreeSet<String>,
    /// Clients in the open question.
    asked: Vec<String>,
    /// When all clients are next asked about; `None` while there are none.
    read_at: Option<Instant>,
    last_id: u64,
}

impl Indications {
    /// Wants the messages of a client counted, if anybody here is notified of them.
    fn want(&mut self, client: &str) {
        if self.clients.contains_key(client) {
            self.wanted.insert(client.to_owned());
        }
    }

    /// The record of a client, made if there is none.
    fn client(&mut self, known_as: &str, now: Instant) -> &mut Client {
        self.read_at.get_or_insert(now + READ_EVERY);
        self.clients.entry(known_as.to_owned()).or_default()
    }

    /// Forgets a client without subscriptions and bindings.
    fn tidy(&mut self, known_as: &str) {
        let is_empty =
            |client: &Client| client.subscriptions.is_empty() && client.phones.is_empty();
        if self.clients.get(known_as).is_some_and(is_empty) {
            self.clients.remove(known_as);
            self.wanted.remove(known_as);
        }
        if self.clients.is_empty() {
            self.read_at = None;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        expiry.into_iter().chain(self.read_at).min()
    }

    /// The paths to subscribed phones.
    pub(super) fn paths(&self) -> impl Iterator<Item = Peer> + '_ {
        self.subscriptions.values().map(|one| one.dialog.next_hop())
    }
}

impl Core {
    /// The number of messages of a client has changed.
    ///
    /// - `known_as`: its login, followed by `@` and the domain of its organization unless that is the first one
    pub fn waiting_changed(&mut self, known_as: &str, now: Instant) {
        self.indications.want(known_as);
        self.ask_counts();
        self.pump(now);
    }

    /// Processes the answer to [`Output::Count`].
    ///
    /// - `found`: `None` if the messages could not be counted; a client that is missing has no box
    pub fn handle_counts(&mut self, found: Option<&BTreeMap<String, Counted>>, now: Instant) {
        for known_as in std::mem::take(&mut self.indications.asked) {
            if let (Some(found), Some(client)) =
                (found, self.indications.clients.get_mut(&known_as))
            {
                let counted = found.get(&known_as);
                client.waiting = Some(counted.map(|counted| counted.waiting).unwrap_or_default());
                client.credential = counted.map(|counted| counted.credential.clone());
            }
            self.notify_subscriptions(&known_as, now);
            if found.is_some() {
                self.notify_phones(&known_as, now);
            }
        }
        self.ask_counts();
        self.pump(now);
    }

    /// Runs the timers that are due.
    pub(super) fn indications_timeout(&mut self, now: Instant) {
        self.expire_subscriptions(now);
        let indications = &mut self.indications;
        if indications.read_at.is_some_and(|at| at <= now) {
            indications.read_at = Some(now + READ_EVERY);
            indications.wanted = indications.clients.keys().cloned().collect();
            self.ask_counts();
        }
    }

    /// Asks about the clients that wait for it, unless a question is open.
    fn ask_counts(&mut self) {
        let indications = &mut self.indications;
        if indications.asked.is_empty() && !indications.wanted.is_empty() {
            let clients: Vec<String> = std::mem::take(&mut indications.wanted)
                .into_iter()
                .collect();
            indications.asked.clone_from(&clients);
            self.outputs.push_back(Output::Count { clients });
        }
    }

    /// A NOTIFY was answered.
    pub(super) fn indication_response(&mut self, tx: TxId, response: &Response, now: Instant) {
        if response.status.is_provisional() {
            return;
        }
        match self.indications.sent.remove(&tx) {
            Some(Receiver::Subscription(id)) => self.subscription_answered(id, response, now),
            Some(Receiver::Phone(client, contact)) => {
                self.phone_answered((&client, &contact, tx), response.status.0, now);
            }
            None => {}
        }
    }

    /// A NOTIFY was not answered, or could not be sent.
    pub(super) fn indication_failed(&mut self, tx: TxId, status: u16, now: Instant) {
        match self.indications.sent.remove(&tx) {
            Some(Receiver::Subscription(id)) => self.forget_subscription(id),
            Some(Receiver::Phone(client, contact)) => {
                self.phone_answered((&client, &contact, tx), status, now);
            }
            None => {}
        }
    }

    /// The SIP address of a client.
    fn account_of(&self, known_as: &str) -> String {
        let (login, domain) = known_as
            .split_once('@')
            .unwrap_or((known_as, &self.config.ours.domain));
        format!("sip:{}@{domain}", escape_user(login))
    }
}
