//! Finds the routes to a called party. [`call_proto::routing::way`] decides the kind of route;
//! bindings and addresses are looked up here.

use std::collections::BTreeMap;

use call_proto::routing::{self, Local, Place, Way};
use call_proto::{Conduct, Route, Target, Unreachable, Via};
use model::profile::Traffic;
use model::{AccountSid, OrganizationSid, error};
use sip::{Peer, ResolveError};
use store::StoreError;

use crate::engine::Shared;
use crate::rows;
use crate::sip_side::escape_user;

/// The destinations of routes, by the name in their [`Via`].
pub(crate) type Peers = BTreeMap<String, Destination>;

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Destination {
    /// To SIP.
    Sip(Peer),
    /// To a party of test mode.
    StandIn(Conduct),
}

/// For whom a target is called.
#[derive(Clone, Copy)]
pub(crate) struct By {
    /// Account that named the target, in whose organization clients are looked up; a SIP address is a route only if
    /// that account may reach it. Trunks and registered phones are the operator's and the phone's choice.
    pub(crate) author: AccountSid,
    /// Account that calls: its profile says which numbers may be called, and how often. In test mode, no call of it leaves
    /// the server, whoever named the target.
    pub(crate) account: AccountSid,
    /// What goes there.
    pub(crate) traffic: Traffic,
}

/// Finds the routes to a target; their destinations go into `peers`.
///
/// # Errors
/// As reported by the database; [`unknown`] makes it the failure of one target.
pub(crate) async fn resolve(
    shared: &Shared,
    (target, place): (&Target, Place),
    by: By,
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    let store = &shared.parts.store;
    let home = home(shared, by.author).await?;
    let local = match target {
        Target::Sip(uri) => shared.parts.sip.local_party(uri),
        Target::Client(_) | Target::Number(_) | Target::Named(_) => None,
    };
    let named = match local.as_ref().and_then(|local| local.domain.as_ref()) {
        Some(domain) => store.organization_of_domain(domain).await?,
        None => None,
    };
    let local = local.as_ref().map(|local| Local {
        user: &local.user,
        organization: named.as_ref().map(|named| named.sid),
    });
    let way = rows::settle(shared, |rows| {
        routing::way(target, (by.account, home), local, rows)
    })
    .await?;
    Ok(match way {
        Ok(Way::Phones {
            organization,
            login,
        }) => phones(shared, (organization, &login), peers).await?,
        Ok(Way::Trunk { number }) => match permitted(shared, &number, by).await? {
            Ok(()) => trunk(shared, &number, (home, place), peers).await,
            Err(refused) => Err(refused),
        },
        Ok(Way::StandIn { number }) => stand_in(&number, peers),
        Ok(Way::Address { uri }) => address(shared, &uri, (home, by), peers).await?,
        Err(unreachable) => Err(unreachable),
    })
}

/// Finds the routes to a target, as [`resolve`], unless it wants no texts from a sender.
///
/// - `from`: the sender of a text; `None` for what is none, and for a text that opt-outs do not stop
///
/// # Errors
/// As [`resolve`].
pub(crate) async fn text(
    shared: &Shared,
    (target, place): (&Target, Place),
    (by, from): (By, Option<&str>),
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    if let Some(from) = from
        && let Some(refused) = opted_out(shared, by.account, from, target).await?
    {
        return Ok(Err(refused));
    }
    resolve(shared, (target, place), by, peers).await
}

/// The organization of an account.
pub(crate) async fn home(
    shared: &Shared,
    account: AccountSid,
) -> Result<OrganizationSid, StoreError> {
    let found = shared.parts.store.account(account).await?;
    Ok(found.map_or(shared.config.organization, |account| account.organization))
}

/// Whether a target is a number in the telephone network that may be reached, and not a client, a SIP address or a party of
/// test mode.
pub(crate) async fn may_leave(
    shared: &Shared,
    target: &Target,
    by: By,
) -> Result<bool, StoreError> {
    let home = home(shared, by.author).await?;
    let way = rows::settle(shared, |rows| {
        routing::way(target, (by.author, home), None, rows)
    })
    .await?;
    Ok(match way {
        Ok(Way::Trunk { number }) => permitted(shared, &number, by).await?.is_ok(),
        Ok(Way::Phones { .. } | Way::StandIn { .. } | Way::Address { .. }) | Err(_) => false,
    })
}

/// The routes to a number through the trunk, or to the phones of a client, that the operator chose for an account: no profile
/// counts.
///
/// # Errors
/// As reported by the database.
pub(crate) async fn chosen(
    shared: &Shared,
    target: &Target,
    account: AccountSid,
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    let home = home(shared, account).await?;
    Ok(match target {
        Target::Client(login) => phones(shared, (home, login), peers).await?,
        Target::Number(number) | Target::Named(number) | Target::Sip(number) => {
            trunk(shared, number, (home, Place::Parameter), peers).await
        }
    })
}

/// Why a text message must not be sent: its recipient wants none from its sender.
pub(crate) async fn opted_out(
    shared: &Shared,
    account: AccountSid,
    from: &str,
    target: &Target,
) -> Result<Option<Unreachable>, StoreError> {
    let store = &shared.parts.store;
    let to = target.as_str();
    Ok(store.is_opted_out(account, from, to).await?.then(|| {
        let text = "the recipient wants no texts from this number (see `OptOuts`)".to_owned();
        Unreachable {
            code: error::OPTED_OUT,
            ..unreachable(text)
        }
    }))
}

/// Whether the profile of the account lets something go to a number; a call then counts against its rate.
async fn permitted(
    shared: &Shared,
    number: &str,
    by: By,
) -> Result<Result<(), Unreachable>, StoreError> {
    let profile = shared.parts.store.profile_of(by.account).await?;
    let refused = |code, why: String| {
        let text = format!(
            "`{number}` cannot be reached: the profile {} {why}",
            profile.sid
        );
        Unreachable {
            code,
            ..unreachable(text)
        }
    };
    let limits = &profile.limits;
    if !limits.allows(by.traffic, number) {
        let why = "of the account does not allow it".to_owned();
        return Ok(Err(refused(error::PROFILE_REFUSED, why)));
    }
    let rate = limits
        .calls
        .filter(|_| by.traffic == Traffic::OutboundCalls);
    Ok(match rate {
        Some(rate) if !shared.is_within(profile.counted_by, rate) => {
            let why = format!("of the account allows only {rate}");
            Err(refused(error::PROFILE_RATE, why))
        }
        Some(_) | None => Ok(()),
    })
}

/// The failure of a target that could not be looked up, for those that have others to call or a record to keep.
pub(crate) fn unknown(target: &Target, error: &StoreError) -> Unreachable {
    let shown = model::address::redacted_sip(target.as_str());
    Unreachable {
        code: error::INTERNAL,
        ..unreachable(format!("`{shown}` cannot be looked up: {error}"))
    }
}

/// The phones of the client that has a login now, registered with its present password. The registrar also knows those of
/// earlier clients of that name, and those that someone with an earlier password registered.
pub(crate) async fn bindings(
    shared: &Shared,
    organization: OrganizationSid,
    login: &str,
) -> Result<Vec<sip::Binding>, StoreError> {
    let domain = shared.domain_of(organization).await?;
    let mut bindings = shared.parts.sip.bindings(login, &domain);
    if !bindings.is_empty() {
        let store = &shared.parts.store;
        let client = store.client_in(organization, login).await?;
        let credential = client.map(|client| store.credential_of(&client));
        bindings.retain(|binding| credential.as_ref() == Some(&binding.credential));
    }
    Ok(bindings)
}

pub(crate) async fn phones(
    shared: &Shared,
    (organization, login): (OrganizationSid, &str),
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    let bindings = bindings(shared, organization, login).await?;
    if bindings.is_empty() {
        let text = format!("client `{login}` is not registered");
        return Ok(Err(unreachable(text)));
    }
    let domain = shared.domain_of(organization).await?;
    let to = format!("sip:{}@{domain}", escape_user(login));
    let route = |binding: sip::Binding| {
        let uri = binding.contact.to_string();
        let key = format!("{uri} {}", binding.peer.remote);
        peers.insert(key.clone(), Destination::Sip(binding.peer));
        Route {
            uri,
            to: Some(to.clone()),
            from_host: shared.sip_host(),
            via: Via::Binding(key),
            credentials: None,
        }
    };
    Ok(Ok(bindings.into_iter().map(route).collect()))
}

async fn trunk(
    shared: &Shared,
    number: &str,
    (home, place): (OrganizationSid, Place),
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    let Some(trunk) = shared.parts.sip.outbound_proxy() else {
        // Without the rows, only the suggestion is missing.
        let instead =
            rows::settle(shared, |rows| routing::instead(number, home, place, rows)).await;
        let suggestion = match instead {
            Ok(Some(instead)) => format!(" ({instead})"),
            Ok(None) | Err(_) => String::new(),
        };
        let text = format!("`{number}` cannot be called: there is no trunk{suggestion}");
        return Err(unreachable(text));
    };
    let host = trunk.uri.strip_prefix("sip:").unwrap_or(&trunk.uri);
    let peer = shared
        .parts
        .sip
        .resolve(&trunk.uri)
        .await
        .map_err(|error| unreachable(format!("trunk `{}`: {error}", trunk.name)))?;
    let key = format!("trunk {}", trunk.name);
    peers.insert(key.clone(), Destination::Sip(peer));
    let bare_host = host.split(';').next().unwrap_or(host);
    Ok(vec![Route {
        uri: format!("sip:{}@{host}", escape_user(number)),
        to: None,
        from_host: bare_host.to_owned(),
        via: Via::Trunk(key),
        credentials: trunk.username.clone().zip(trunk.password.clone()),
    }])
}

async fn address(
    shared: &Shared,
    uri: &str,
    (home, by): (OrganizationSid, By),
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    // The address itself, not its name, which may resolve to another one the next time.
    let (guard, policy) = (&shared.config.sip_guard, shared.policy(by.author));
    let found = shared.parts.sip.resolve_for(uri, guard, policy).await;
    let found = found.map_err(|error| {
        let shown = model::address::redacted_sip(uri);
        match error {
            ResolveError::Refused(refused) => Unreachable {
                code: error::ADDRESS_REFUSED,
                ..unreachable(format!("`{shown}`: {refused}; {}", refused.advice("sip")))
            },
            error => unreachable(error.to_string().replace(uri, &shown)),
        }
    });
    let peer = match found {
        Ok(peer) => peer,
        Err(unreachable) => return Ok(Err(unreachable)),
    };
    // A provider may accept what comes from this server as calls of the trunk.
    if let Some(called) = shared.parts.sip.party_behind_trunk(uri, peer.remote)
        && let Err(refused) = permitted(shared, &called, by).await?
    {
        return Ok(Err(refused));
    }
    peers.insert(uri.to_owned(), Destination::Sip(peer));
    Ok(Ok(vec![Route {
        uri: uri.to_owned(),
        to: None,
        from_host: shared.domain_of(home).await?,
        via: Via::Uri(uri.to_owned()),
        credentials: None,
    }]))
}

/// The host of test mode's parties, which no name server knows (RFC 6761 §6.4).
const TEST_HOST: &str = "test-mode.invalid";

fn stand_in(number: &str, peers: &mut Peers) -> Result<Vec<Route>, Unreachable> {
    if let Some((code, text)) = call_proto::stand_in::refusal(number) {
        return Err(Unreachable {
            code,
            ..unreachable(format!("`{number}`: {text}"))
        });
    }
    let key = format!("test mode {number}");
    let conduct = Conduct::of(number);
    peers.insert(key.clone(), Destination::StandIn(conduct));
    Ok(vec![Route {
        uri: format!("sip:{}@{TEST_HOST}", escape_user(number)),
        to: None,
        from_host: TEST_HOST.to_owned(),
        via: Via::Trunk(key),
        credentials: None,
    }])
}

/// Name of a route among the [`Peers`].
pub(crate) fn key(via: &Via) -> &str {
    match via {
        Via::Uri(key) | Via::Trunk(key) | Via::Binding(key) => key,
    }
}

fn unreachable(text: String) -> Unreachable {
    Unreachable {
        code: error::UNREACHABLE_TARGET,
        text,
        is_unknown: false,
    }
}
