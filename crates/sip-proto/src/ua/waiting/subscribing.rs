//! SUBSCRIBE (RFC 6665 §4.2.1): a phone asks to be notified of the messages of its client, refreshes that, or ends it.
//!
//! **Invariant: until the sender has proved to be the client, nothing is remembered**, as with REGISTER. Within its dialog a
//! SUBSCRIBE has to prove it again.

use std::time::{Duration, Instant};

use super::summary::{PACKAGE, SUMMARY};
use super::{Subscription, SubscriptionId};
use crate::dialog::Dialog;
use crate::header::Contacts;
use crate::message::{HeaderName, Headers, Request, Response};
use crate::registrar::{MAX_BINDINGS, MAX_CONTACT};
use crate::transaction::{ServerKey, TxId};
use crate::ua::Peer;
use crate::ua::config::RETRY_AFTER;
use crate::ua::core::Core;
use crate::uri::Uri;

/// Lifetime of a subscription in seconds if the phone does not specify one (RFC 3842 §3.4).
const DEFAULT_EXPIRES: u32 = 3600;
/// Maximum lifetime in seconds.
const MAX_EXPIRES: u32 = 3600;
/// Minimum lifetime in seconds; shorter ones get 423.
const MIN_EXPIRES: u32 = 60;
/// Maximum subscriptions of one client: as many as it can have phones.
const MAX_OF_CLIENT: usize = MAX_BINDINGS;
/// Maximum subscriptions in all: some 2 KB each.
const MAX_SUBSCRIPTIONS: usize = 20_000;
/// Maximum octets of the Event header, whose `id` is kept.
const MAX_EVENT: usize = 256;

impl Core {
    /// Whether a request is within the dialog of a subscription.
    pub(in crate::ua) fn is_of_subscription(&self, headers: &Headers) -> bool {
        self.subscription_of(headers).is_some()
    }

    /// The subscription to whose dialog a request belongs.
    fn subscription_of(&self, headers: &Headers) -> Option<SubscriptionId> {
        let tag = headers.to().ok()?.tag()?.to_owned();
        let key = (headers.call_id()?.into_owned(), tag);
        self.indications.dialogs.get(&key).copied()
    }

    /// A SUBSCRIBE outside dialogs, or within that of a subscription.
    pub(in crate::ua) fn receive_subscribe(
        &mut self,
        key: ServerKey,
        request: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        if let Some(refusal) = self.refuse_subscribe(&request, peer) {
            return self.transmit(reply_to, refusal.to_bytes());
        }
        self.authenticate(key, request, peer, reply_to, now);
    }

    /// What is wrong with a SUBSCRIBE, whoever sends it.
    fn refuse_subscribe(&mut self, request: &Request, peer: Peer) -> Option<Response> {
        if let Some(refusal) = self.refusal(request) {
            return Some(refusal);
        }
        let headers = &request.headers;
        let is_first = self.subscription_of(headers).is_none();
        if is_first && !self.serves(request, peer) {
            return Some(self.plain(request, 404));
        }
        let event = headers.get(HeaderName::Event).unwrap_or_default();
        let package = event.split(';').next().unwrap_or_default().trim();
        if !package.eq_ignore_ascii_case(PACKAGE) || event.len() > MAX_EVENT {
            // RFC 6665 §8.3.2: with the packages that are known here.
            let mut refusal = self.plain(request, 489);
            refusal.headers.push(HeaderName::AllowEvents, PACKAGE);
            return Some(refusal);
        }
        if !accepts_summary(headers) {
            let mut refusal = self.plain(request, 406);
            refusal.headers.push(HeaderName::Accept, SUMMARY);
            return Some(refusal);
        }
        if (1..MIN_EXPIRES).contains(&lifetime(headers)) {
            let mut refusal = self.plain(request, 423);
            refusal.headers.push(HeaderName::MinExpires, MIN_EXPIRES);
            return Some(refusal);
        }
        // Where the NOTIFYs go (RFC 6665 §3.1.3).
        (is_first && !has_contact(headers)).then(|| {
            let mut refusal = self.plain(request, 400);
            "Bad Request (one SIP Contact is needed)".clone_into(&mut refusal.reason);
            refusal
        })
    }

    /// Carries out the SUBSCRIBE of a client.
    ///
    /// - `known_as`, `credential`: the client, and what it proved
    pub(in crate::ua) fn subscribe(
        &mut self,
        (tx, request): (TxId, &Request),
        peer: Peer,
        (known_as, credential): (&str, &str),
        now: Instant,
    ) {
        let login = known_as.split('@').next().unwrap_or_default();
        let is_other = |user: &str| !user.is_empty() && user != login;
        let response = if request.uri.user().is_some_and(|user| is_other(&user)) {
            self.plain(request, 403)
        } else if request.headers.to().is_ok_and(|to| to.tag().is_some()) {
            // It may have ended while the client was looked up.
            let id = self.subscription_of(&request.headers);
            let refreshed =
                id.map(|id| self.refresh(id, request, peer, (known_as, credential), now));
            refreshed.unwrap_or_else(|| self.plain(request, 481))
        } else {
            self.add_subscription(request, peer, (known_as, login, credential), now)
        };
        self.table.respond(tx, &response, now);
        if response.status.is_success() {
            self.indications.want(known_as);
            self.ask_counts();
        }
    }

    fn add_subscription(
        &mut self,
        request: &Request,
        peer: Peer,
        (known_as, login, credential): (&str, &str, &str),
        now: Instant,
    ) -> Response {
        if !self.make_room_for_subscription(known_as, now) {
            let mut refusal = self.plain(request, 503);
            refusal.headers.push(HeaderName::RetryAfter, RETRY_AFTER);
            return refusal;
        }
        let tag = self.random.tag();
        let Some(dialog) = Dialog::for_callee(request, &tag, peer) else {
            return self.plain(request, 400);
        };
        let seconds = lifetime(&request.headers);
        let expires_at = now + Duration::from_secs(seconds.into());
        let event = request.headers.get(HeaderName::Event).unwrap_or(PACKAGE);
        let one = Subscription {
            client: known_as.to_owned(),
            credential: credential.to_owned(),
            dialog,
            tag,
            contact: self.contact(login, peer),
            event: event.to_owned(),
            expires_at,
            is_asking: true,
            is_due: false,
            notified: None,
            pending: None,
            // Without a lifetime it is a question for the present count (RFC 6665 §4.4.3).
            end: (seconds == 0).then_some("timeout"),
        };
        let accepted = self.accepted(request, &one, seconds);
        let indications = &mut self.indications;
        indications.last_id += 1;
        let id = SubscriptionId(indications.last_id);
        if seconds > 0 {
            let key = (one.dialog.call_id.clone(), one.tag.clone());
            indications.dialogs.insert(key, id);
            indications.expiries.insert((expires_at, id));
        }
        indications.subscriptions.insert(id, one);
        indications.client(known_as, now).subscriptions.insert(id);
        accepted
    }

    /// Makes room for one more subscription: the oldest of the client ends, unless a NOTIFY to it is not answered yet.
    fn make_room_for_subscription(&mut self, known_as: &str, now: Instant) -> bool {
        let indications = &self.indications;
        let of_client = indications.clients.get(known_as);
        let ids = of_client.map(|client| &client.subscriptions);
        let count = ids.map_or(0, std::collections::BTreeSet::len);
        if count < MAX_OF_CLIENT {
            return indications.subscriptions.len() < MAX_SUBSCRIPTIONS;
        }
        let is_quiet = |id: &&SubscriptionId| {
            let one = indications.subscriptions.get(id);
            one.is_some_and(|one| one.pending.is_none())
        };
        let Some(oldest) = ids.and_then(|ids| ids.iter().find(is_quiet)).copied() else {
            return false;
        };
        // Another phone needs its place: it may come back later.
        self.end_subscription(oldest, "probation;retry-after=600", now);
        true
    }

    /// A SUBSCRIBE within the dialog of a subscription (RFC 6665 §4.2.1.2, §4.2.1.3).
    fn refresh(
        &mut self,
        id: SubscriptionId,
        request: &Request,
        peer: Peer,
        (known_as, credential): (&str, &str),
        now: Instant,
    ) -> Response {
        let Some(mut one) = self.indications.subscriptions.remove(&id) else {
            return self.plain(request, 481);
        };
        let headers = &request.headers;
        let remote_tag = headers.from().ok();
        let remote_tag = remote_tag.as_ref().and_then(|from| from.tag());
        let seq = headers.cseq().map_or(0, |cseq| cseq.seq);
        let event = headers.get(HeaderName::Event).unwrap_or_default();
        let refused = if one.client != known_as {
            Some(403)
        } else if remote_tag.unwrap_or_default() != one.dialog.remote_tag
            || id_of(event) != id_of(&one.event)
        {
            Some(481)
        } else if !one.dialog.accept_seq(seq) {
            Some(500)
        } else {
            None
        };
        if let Some(status) = refused {
            self.indications.subscriptions.insert(id, one);
            return self.plain(request, status);
        }
        let seconds = lifetime(headers);
        one.dialog.peer = peer;
        if has_contact(headers) {
            one.dialog.refresh_target(headers);
        }
        credential.clone_into(&mut one.credential);
        one.is_asking = true;
        let indications = &mut self.indications;
        indications.expiries.remove(&(one.expires_at, id));
        one.expires_at = now + Duration::from_secs(seconds.into());
        if seconds == 0 {
            one.end = Some("timeout");
            let key = (one.dialog.call_id.clone(), one.tag.clone());
            indications.dialogs.remove(&key);
        } else {
            indications.expiries.insert((one.expires_at, id));
        }
        let accepted = self.accepted(request, &one, seconds);
        self.indications.subscriptions.insert(id, one);
        accepted
    }

    /// 200 with the lifetime (RFC 6665 §4.2.1.1).
    fn accepted(&self, request: &Request, one: &Subscription, seconds: u32) -> Response {
        let mut response = self.response(request, 200, &one.tag);
        let headers = &mut response.headers;
        headers.push(HeaderName::Contact, one.contact.as_str());
        headers.push(HeaderName::Expires, seconds);
        headers.push(HeaderName::AllowEvents, PACKAGE);
        response
    }
}

/// The lifetime that a SUBSCRIBE gets, in seconds. An unreadable Expires counts as the default.
fn lifetime(headers: &Headers) -> u32 {
    let wished = headers.expires().unwrap_or(DEFAULT_EXPIRES);
    wished.min(MAX_EXPIRES)
}

/// The `id` in an Event value (RFC 6665 §8.2.1).
fn id_of(event: &str) -> Option<&str> {
    let params = event.split(';').skip(1).map(str::trim);
    params
        .filter_map(|param| param.split_once('='))
        .find_map(
            |(name, value)| match name.trim().eq_ignore_ascii_case("id") {
                true => Some(value.trim()),
                false => None,
            },
        )
}

/// Whether Accept, if present, permits a summary (RFC 3842 §3.5).
fn accepts_summary(headers: &Headers) -> bool {
    let mut ranges = headers.all(HeaderName::Accept).peekable();
    let is_ours = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        [SUMMARY, "application/*", "*/*"]
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(range))
    };
    ranges.peek().is_none() || ranges.any(is_ours)
}

/// Whether there is exactly one Contact with a SIP address, and it is not too long to be kept.
fn has_contact(headers: &Headers) -> bool {
    match headers.contacts() {
        Ok(Contacts::List(list)) => match list.as_slice() {
            [one] => matches!(one.uri, Uri::Sip(_)) && one.to_string().len() <= MAX_CONTACT,
            _ => false,
        },
        Ok(Contacts::Star) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::parse::parse_bytes;
    use crate::ua::testing::start;
    use crate::ua::{CoreConfig, Entropy, OurNames, Transport};

    struct Counter(u64);

    impl Entropy for Counter {
        fn next_u64(&mut self) -> u64 {
            self.0 += 1;
            self.0
        }
    }

    #[test]
    fn there_are_so_many_subscriptions_in_all() {
        let config = CoreConfig {
            ours: OurNames::default(),
            user_agent: String::new(),
            sha256: false,
            nonce_lifetime: Duration::ZERO,
            keepalive: Duration::ZERO,
            max_setup: 1,
            trunks: Vec::new(),
        };
        let now = start();
        let mut core = Core::new(config, Box::new(Counter(0)), now);
        let peer = Peer {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5070).into(),
            local: ([192, 0, 2, 9], 5060).into(),
            flow: None,
        };
        let text = "SUBSCRIBE sip:kim@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
                    Max-Forwards: 70\r\nFrom: <sip:kim@example.com>;tag=1\r\nTo: <sip:kim@example.com>\r\n\
                    Call-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:kim@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
        let Ok(Message::Request(request)) = parse_bytes(text.into()) else {
            panic!("not a request");
        };
        let add = |core: &mut Core, n: usize| {
            let client = format!("client{}", n / MAX_OF_CLIENT);
            let by = (client.as_str(), client.as_str(), "c1");
            core.add_subscription(&request, peer, by, now).status.0
        };
        for n in 0..MAX_SUBSCRIPTIONS {
            assert_eq!(add(&mut core, n), 200, "{n}");
        }
        assert_eq!(add(&mut core, MAX_SUBSCRIPTIONS), 503);
        // A client that has its share replaces one of its own, so it takes nothing from others.
        assert_eq!(add(&mut core, 0), 200);
        let indications = &core.indications;
        assert_eq!(indications.subscriptions.len(), MAX_SUBSCRIPTIONS);
        assert_eq!(indications.dialogs.len(), MAX_SUBSCRIPTIONS);
        assert_eq!(indications.expiries.len(), MAX_SUBSCRIPTIONS);
    }
}
