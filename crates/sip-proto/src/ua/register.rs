//! REGISTER: challenged with 401, then carried out for the authenticated client. SUBSCRIBE is authenticated in the same way.

use std::time::Instant;

use super::Peer;
use super::auth::Proof;
use super::config::MAX_LOOKUPS;
use super::core::{Core, Output};
use crate::digest::{Credentials, Party, Verdict};
use crate::message::{HeaderName, Method, Request, Response};
use crate::transaction::{ServerKey, TxId};
use crate::uri::Uri;

/// A REGISTER or SUBSCRIBE waiting for the directory.
pub(super) struct Registering {
    tx: TxId,
    request: Request,
    peer: Peer,
}

impl Registering {
    /// Its source.
    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) const fn method(&self) -> &Method {
        &self.request.method
    }
}

impl Core {
    pub(super) fn receive_register(
        &mut self,
        key: ServerKey,
        request: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        let refusal = match self.refusal(&request) {
            None if !self.serves(&request, peer) => Some(self.plain(&request, 404)),
            refusal => refusal,
        };
        if let Some(refusal) = refusal {
            return self.transmit(reply_to, refusal.to_bytes());
        }
        self.authenticate(key, request, peer, reply_to, now);
    }

    /// Has the sender of a REGISTER or SUBSCRIBE prove that it is a client. Until it has proved anything, nothing is remembered.
    pub(super) fn authenticate(
        &mut self,
        key: ServerKey,
        request: Request,
        peer: Peer,
        reply_to: Peer,
        now: Instant,
    ) {
        match self.find_credentials(&request.headers, &[Party::Server], peer, now) {
            Proof::Missing | Proof::Unsupported => {
                let response = self.demand((&request, peer), false, now);
                self.transmit(reply_to, response.to_bytes());
            }
            Proof::Unasked => {
                let response = self.demand((&request, peer), true, now);
                self.transmit(reply_to, response.to_bytes());
            }
            Proof::Malformed => self.refuse_statelessly(&request, 400, reply_to),
            Proof::Given(credentials) if self.is_early(&credentials, peer, now) => {
                self.refuse_statelessly(&request, 403, reply_to);
                self.outputs.push_back(Output::Refused {
                    login: credentials.username,
                    peer,
                });
            }
            Proof::Given(_)
                if self.lookups.len() >= MAX_LOOKUPS || self.are_unverified_full(peer) =>
            {
                self.refuse_statelessly(&request, 503, reply_to);
            }
            Proof::Given(credentials) => {
                let tx = self.table.begin_server(key, &request, reply_to);
                self.hold_unverified(tx, peer);
                let registering = Registering {
                    tx,
                    request: request.clone(),
                    peer,
                };
                if !self.look_up_client(Box::new(registering), credentials) {
                    self.reply(tx, &request, 503, now);
                }
            }
        }
    }

    /// Whether Request-URI and To name this server.
    pub(super) fn serves(&self, request: &Request, peer: Peer) -> bool {
        let to = request.headers.to();
        self.is_us(&request.uri, peer) && to.is_ok_and(|to| self.is_us(&to.uri, peer))
    }

    /// Whether the host of a URI is one of ours.
    pub(super) fn is_us(&self, uri: &Uri, peer: Peer) -> bool {
        let ours = &self.config.ours;
        uri.host()
            .is_some_and(|host| ours.include(host, peer.local.ip()))
    }

    /// Continues with the directory's answer about the sender; `None` if the directory failed.
    pub(super) fn client_found(
        &mut self,
        registering: &Registering,
        (credentials, credential): (&Credentials, &str),
        verdict: Option<Verdict>,
        now: Instant,
    ) {
        let Registering { tx, request, peer } = registering;
        let login = credentials.username.as_str();
        match verdict {
            None => self.reply(*tx, request, 500, now),
            Some(Verdict::Wrong) => {
                self.reply(*tx, request, 403, now);
                self.outputs.push_back(Output::Refused {
                    login: login.to_owned(),
                    peer: *peer,
                });
            }
            Some(Verdict::Stale) => {
                let response = self.demand((request, *peer), true, now);
                self.table.respond(*tx, &response, now);
            }
            Some(Verdict::Accepted) if !self.names_itself(request, login) => {
                self.verified(*tx);
                self.reply(*tx, request, 403, now);
            }
            Some(Verdict::Accepted) => {
                self.verified(*tx);
                let known_as = self.known_as(credentials);
                let (asked, by) = ((*tx, request), (known_as.as_str(), credential));
                match request.method {
                    Method::Subscribe => self.subscribe(asked, *peer, by, now),
                    _ => self.carry_out(asked, *peer, by, now),
                }
            }
        }
    }

    fn carry_out(
        &mut self,
        (tx, request): (TxId, &Request),
        peer: Peer,
        by: (&str, &str),
        now: Instant,
    ) {
        let login = by.0;
        let tag = self.random.tag();
        let before = self.registrar.bindings(login, now);
        let mut response = match self.registrar.register(by, request, peer, now) {
            Ok(()) => self.listing(request, login, now),
            Err(error) => error.response(request),
        };
        response.set_to_tag(&tag);
        response
            .headers
            .push(HeaderName::Server, self.config.user_agent.as_str());
        self.table.respond(tx, &response, now);
        if self.registrar.bindings(login, now) != before {
            self.announce_bindings(login.to_owned(), now);
        }
    }

    /// 200 with all remaining bindings (§10.3 step 8).
    fn listing(&self, request: &Request, login: &str, now: Instant) -> Response {
        let mut response = Response::for_request(request, 200);
        for binding in self.registrar.bindings(login, now) {
            response
                .headers
                .push(HeaderName::Contact, binding.listed(now));
        }
        response
    }

    /// A 401.
    fn demand(&mut self, (request, peer): (&Request, Peer), stale: bool, now: Instant) -> Response {
        let mut response = self.plain(request, 401);
        let (elapsed, salt) = (self.elapsed(now), self.random.word());
        let to = peer.remote.ip();
        self.authenticator
            .challenge(&mut response, Party::Server, stale, elapsed, (salt, to));
        response
    }

    fn reply(&mut self, tx: TxId, request: &Request, status: u16, now: Instant) {
        let response = self.plain(request, status);
        self.table.respond(tx, &response, now);
    }

    /// Whether the client registers, or subscribes to, only itself, in its own organization.
    fn names_itself(&self, request: &Request, login: &str) -> bool {
        let is_login = |uri: &Uri| uri.user().is_some_and(|user| user == login);
        let (Ok(from), Ok(to)) = (request.headers.from(), request.headers.to()) else {
            return false;
        };
        let ours = &self.config.ours;
        let domain = |uri| ours.domain_in(uri).unwrap_or(&ours.domain);
        is_login(&from.uri) && is_login(&to.uri) && domain(&from.uri) == domain(&to.uri)
    }
}
