//! Credentials of unknown senders: found, looked up in the directory, verified (RFC 3261 §22).

use std::time::Instant;

use model::{Source, naming};

use super::config::MAX_LOOKUPS;
use super::core::{Core, Output};
use super::guesses::{Attempt, Home};
use super::leg::{Leg, State};
use super::register::Registering;
use super::{Caller, LegId, Peer};
use crate::digest::{Algorithm, Credentials, CredentialsError, Party, Verdict};
use crate::message::{Headers, Method};

/// A query to the directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// Digest secrets of a client: lower-case hex of H(login:realm:password).
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    /// The MD5 hash.
    pub md5: String,
    /// The SHA-256 hash.
    pub sha256: String,
    /// Names the client and its password, without revealing them: another client, or another password, has another one.
    pub credential: String,
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// The directory's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// The client may call and register; these secrets verify it.
    Client(Ha1),
    /// No such client, or it is disabled.
    Nobody,
    /// The directory could not be queried: 500.
    Failed,
}

/// A request waiting for the directory.
pub(super) struct Lookup {
    credentials: Box<Credentials>,
    waiting: Waiting,
}

enum Waiting {
    Invite(LegId),
    Register(Box<Registering>),
}

/// The credentials in a request.
pub(super) enum Proof {
    Missing,
    Given(Box<Credentials>),
    /// They do not answer a challenge that was sent to their source lately: it has expired or is from before a restart, or the
    /// source is forged. Challenge again, as if they were right but old, without counting them as a guess.
    Unasked,
    /// For our realm, but in a form that we did not offer: challenge again.
    Unsupported,
    Malformed,
}

impl Core {
    /// The first credentials for the realm of a request.
    pub(super) fn find_credentials(
        &self,
        headers: &Headers,
        parties: &[Party],
        peer: Peer,
        now: Instant,
    ) -> Proof {
        let (source, elapsed) = (peer.remote.ip(), self.elapsed(now));
        for party in parties {
            match self.authenticator.credentials(headers, *party) {
                Ok(Some(credentials))
                    if self.authenticator.asked(source, &credentials, elapsed) =>
                {
                    return Proof::Given(Box::new(credentials));
                }
                Ok(Some(_)) => return Proof::Unasked,
                Ok(None) => {}
                Err(CredentialsError::Malformed(_)) => return Proof::Malformed,
                Err(CredentialsError::Unsupported(_)) => return Proof::Unsupported,
            }
        }
        Proof::Missing
    }

    /// Looks up the caller. False if too many look-ups are open.
    pub(super) fn look_up_caller(&mut self, leg: LegId, credentials: Box<Credentials>) -> bool {
        self.look_up(credentials, Waiting::Invite(leg))
    }

    /// Looks up the registering client. False if too many look-ups are open.
    pub(super) fn look_up_client(
        &mut self,
        registering: Box<Registering>,
        credentials: Box<Credentials>,
    ) -> bool {
        self.look_up(credentials, Waiting::Register(registering))
    }

    fn look_up(&mut self, credentials: Box<Credentials>, waiting: Waiting) -> bool {
        if self.lookups.len() >= MAX_LOOKUPS {
            return false;
        }
        let id = self.fresh_lookup();
        let (login, domain) = (credentials.username.clone(), credentials.realm.clone());
        self.lookups.insert(
            id,
            Lookup {
                credentials,
                waiting,
            },
        );
        self.outputs.push_back(Output::Lookup { id, login, domain });
        true
    }

    /// Processes the directory's answer.
    pub fn handle_lookup(&mut self, id: LookupId, found: &Found, now: Instant) {
        let Some(Lookup {
            credentials,
            waiting,
        }) = self.lookups.remove(&id)
        else {
            return;
        };
        match waiting {
            Waiting::Invite(leg) => {
                if let Some(mut leg) = self.take(leg) {
                    self.caller_found(&mut leg, &credentials, found, now);
                    self.put(leg);
                }
            }
            Waiting::Register(registering) => {
                let asked = (&*credentials, registering.method(), registering.peer());
                let verdict = self.verdict(asked, found, now);
                let credential = match found {
                    Found::Client(ha1) => ha1.credential.as_str(),
                    Found::Nobody | Found::Failed => "",
                };
                let by = (&*credentials, credential);
                self.client_found(&registering, by, verdict, now);
            }
        }
        self.pump(now);
    }

    fn caller_found(
        &mut self,
        leg: &mut Leg,
        credentials: &Credentials,
        found: &Found,
        now: Instant,
    ) {
        let mut arriving = match std::mem::replace(&mut leg.state, State::Over) {
            State::Arriving(arriving) => arriving,
            other => return leg.state = other,
        };
        let method = arriving.invite.method.clone();
        let asked = (credentials, &method, arriving.peer);
        match self.verdict(asked, found, now) {
            None => self.refuse_arriving(leg, &arriving, 500, now),
            Some(Verdict::Accepted) => {
                let login = credentials.username.clone();
                self.verified(arriving.tx);
                self.refresh_progress(&mut arriving, now);
                self.report_invite(leg, arriving, Caller::Client { login });
            }
            Some(Verdict::Stale) => self.challenge(leg, &arriving, true, now),
            Some(Verdict::Wrong) => {
                let login = credentials.username.clone();
                self.report_invite(leg, arriving, Caller::BadCredentials { login });
            }
        }
    }

    /// `None` if the directory failed.
    fn verdict(
        &mut self,
        (credentials, method, peer): (&Credentials, &Method, Peer),
        found: &Found,
        now: Instant,
    ) -> Option<Verdict> {
        let login = &credentials.username;
        if !naming::may_be_login(login) {
            return Some(Verdict::Wrong);
        }
        // Others that were sent at the same time may have been wrong.
        if self.is_early(credentials, peer, now) {
            return Some(Verdict::Wrong);
        }
        let known_as = self.known_as(credentials);
        let attempt = self.attempt(&known_as, peer, now);
        let ha1 = match (found, credentials.algorithm) {
            (Found::Failed, _) => return None,
            // Not a hash: nothing can match it, and checking takes the same time.
            (Found::Nobody, _) => "",
            (Found::Client(ha1), Algorithm::Md5) => &ha1.md5,
            (Found::Client(ha1), Algorithm::Sha256) => &ha1.sha256,
        };
        let elapsed = self.elapsed(now);
        let verdict = self.authenticator.verify(credentials, method, ha1, elapsed);
        // A client without this hash, or with none, must not match the empty one.
        let verdict = if ha1.is_empty() {
            Verdict::Wrong
        } else {
            verdict
        };
        match verdict {
            Verdict::Wrong => self.guesses.note(attempt, now),
            Verdict::Accepted => self.guesses.forgive(attempt),
            Verdict::Stale => {}
        }
        Some(verdict)
    }

    /// Whether credentials come before the wait after earlier wrong ones is over: they are refused without being checked.
    pub(super) fn is_early(&self, credentials: &Credentials, peer: Peer, now: Instant) -> bool {
        let known_as = self.known_as(credentials);
        let attempt = self.attempt(&known_as, peer, now);
        self.guesses.are_used_up(attempt, now)
    }

    /// The name under which the registrar knows the client with these credentials.
    pub(super) fn known_as(&self, credentials: &Credentials) -> String {
        let ours = &self.config.ours;
        ours.address_of_record(&credentials.username, &credentials.realm)
    }

    fn attempt<'a>(&self, login: &'a str, peer: Peer, now: Instant) -> Attempt<'a> {
        Attempt {
            source: peer.remote.ip().into(),
            login,
            home: self.home(login, peer, now),
        }
    }

    /// Where the phones of a login are, compared with a peer.
    fn home(&self, login: &str, peer: Peer, now: Instant) -> Home {
        let source = Source::from(peer.remote.ip());
        let bindings = self.registrar.bindings(login, now);
        let found = bindings.iter().map(|known| {
            let remote = known.peer.remote;
            if remote == peer.remote {
                Home::Port(remote.port())
            } else if Source::from(remote.ip()) == source {
                Home::Source
            } else {
                Home::Elsewhere
            }
        });
        found.max().unwrap_or(Home::Elsewhere)
    }
}
