//! Finds the routes to a called party. [`call_proto::routing::way`] decides the kind of route;
//! bindings and addresses are looked up here.

use std::collections::BTreeMap;

use call_proto::routing::{self, Place, Way};
use call_proto::{Conduct, Route, Target, Unreachable, Via};
use model::{AccountSid, error};
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

/// Finds the routes to a target; their destinations go into `peers`.
///
/// - `author`: account that named the target; a SIP address is a route only if that account may
///   reach it. Trunks and registered phones are the operator's and the phone's choice.
///
/// # Errors
/// As reported by the database; [`unknown`] makes it the failure of one target.
pub(crate) async fn resolve(
    shared: &Shared,
    (target, place): (&Target, Place),
    author: AccountSid,
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    let local = match target {
        Target::Sip(uri) => shared.parts.sip.local_user(uri),
        Target::Client(_) | Target::Number(_) | Target::Named(_) => None,
    };
    let way = rows::settle(shared, |rows| {
        routing::way(target, author, local.as_deref(), rows)
    })
    .await?;
    Ok(match way {
        Ok(Way::Phones { login }) => phones(shared, &login, peers).await?,
        Ok(Way::Trunk { number }) => trunk(shared, &number, place, peers).await,
        Ok(Way::StandIn { number }) => stand_in(&number, peers),
        Ok(Way::Address { uri }) => address(shared, &uri, author, peers).await,
        Err(unreachable) => Err(unreachable),
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
    login: &str,
) -> Result<Vec<sip::Binding>, StoreError> {
    let mut bindings = shared.parts.sip.bindings(login);
    if !bindings.is_empty() {
        let store = &shared.parts.store;
        let client = store.client_in(shared.config.organization, login).await?;
        let credential = client.map(|client| store.credential_of(&client));
        bindings.retain(|binding| credential.as_ref() == Some(&binding.credential));
    }
    Ok(bindings)
}

async fn phones(
    shared: &Shared,
    login: &str,
    peers: &mut Peers,
) -> Result<Result<Vec<Route>, Unreachable>, StoreError> {
    let bindings = bindings(shared, login).await?;
    if bindings.is_empty() {
        let text = format!("client `{login}` is not registered");
        return Ok(Err(unreachable(text)));
    }
    let to = format!("sip:{}@{}", escape_user(login), shared.config.domain);
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
    place: Place,
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    let Some(trunk) = shared.parts.sip.outbound_proxy() else {
        // Without the rows, only the suggestion is missing.
        let instead = rows::settle(shared, |rows| routing::instead(number, place, rows)).await;
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
    author: AccountSid,
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    // The address itself, not its name, which may resolve to another one the next time.
    let (guard, policy) = (&shared.config.sip_guard, shared.policy(author));
    let peer = shared.parts.sip.resolve_for(uri, guard, policy).await;
    let peer = peer.map_err(|error| {
        let shown = model::address::redacted_sip(uri);
        match error {
            ResolveError::Refused(refused) => Unreachable {
                code: error::ADDRESS_REFUSED,
                ..unreachable(format!("`{shown}`: {refused}; {}", refused.advice("sip")))
            },
            error => unreachable(error.to_string().replace(uri, &shown)),
        }
    })?;
    peers.insert(uri.to_owned(), Destination::Sip(peer));
    Ok(vec![Route {
        uri: uri.to_owned(),
        to: None,
        from_host: shared.config.domain.clone(),
        via: Via::Uri(uri.to_owned()),
        credentials: None,
    }])
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
