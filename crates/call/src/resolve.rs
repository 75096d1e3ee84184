//! From a dialled target to the ways there: registered phones, the trunk, a SIP address.

use std::collections::BTreeMap;

use call_proto::{Route, Target, Unreachable, Via};
use model::error;
use sip::Peer;

use crate::engine::Shared;
use crate::sip_side::escape_user;

/// Where routes lead, by the name that is in their [`Via`].
pub(crate) type Peers = BTreeMap<String, Peer>;

/// Finds the routes to a target; where they lead goes into `peers`.
pub(crate) async fn resolve(
    shared: &Shared,
    target: &Target,
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    match target {
        Target::Client(login) => client(shared, login, peers).await,
        Target::Number(number) => self::number(shared, number, peers).await,
        Target::Named(name) => match named(shared, name).await? {
            Named::Client => client(shared, name, peers).await,
            Named::Number => self::number(shared, name, peers).await,
        },
        Target::Sip(uri) => match local_login(shared, uri).await {
            Some(login) => client(shared, &login, peers).await,
            None => address(shared, uri, peers).await,
        },
    }
}

/// What a name turns out to be.
enum Named {
    Client,
    Number,
}

async fn named(shared: &Shared, name: &str) -> Result<Named, Unreachable> {
    let organization = shared.config.organization;
    match shared.parts.store.client_in(organization, name).await {
        Ok(Some(_)) => Ok(Named::Client),
        // Without a digit it is a client that is missing.
        Ok(None) if !name.contains(|c: char| c.is_ascii_digit()) => Ok(Named::Client),
        Ok(None) => Ok(Named::Number),
        Err(error) => Err(unreachable(format!(
            "`{name}` cannot be looked up: {error}"
        ))),
    }
}

async fn client(
    shared: &Shared,
    login: &str,
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    let found = shared
        .parts
        .store
        .client_in(shared.config.organization, login)
        .await;
    match found {
        Ok(Some(client)) if client.enabled => {}
        Ok(_) => return Err(unreachable(format!("there is no client `{login}`"))),
        Err(error) => {
            return Err(unreachable(format!(
                "`{login}` cannot be looked up: {error}"
            )));
        }
    }
    let bindings = shared.parts.sip.bindings(login);
    if bindings.is_empty() {
        return Err(unreachable(format!("client `{login}` is not registered")));
    }
    let to = format!("sip:{}@{}", escape_user(login), shared.config.domain);
    let route = |binding: sip::Binding| {
        let uri = binding.contact.to_string();
        let key = format!("{uri} {}", binding.peer.remote);
        peers.insert(key.clone(), binding.peer);
        Route {
            uri,
            to: Some(to.clone()),
            from_host: shared.sip_host(),
            via: Via::Binding(key),
            credentials: None,
        }
    };
    Ok(bindings.into_iter().map(route).collect())
}

async fn number(
    shared: &Shared,
    number: &str,
    peers: &mut Peers,
) -> Result<Vec<Route>, Unreachable> {
    let Some(trunk) = shared.parts.sip.outbound_proxy() else {
        let text = format!("`{number}` cannot be called: there is no trunk");
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
    peers.insert(key.clone(), peer);
    let bare_host = host.split(';').next().unwrap_or(host);
    Ok(vec![Route {
        uri: format!("sip:{}@{host}", escape_user(number)),
        to: None,
        from_host: bare_host.to_owned(),
        via: Via::Trunk(key),
        credentials: trunk.username.clone().zip(trunk.password.clone()),
    }])
}

async fn address(shared: &Shared, uri: &str, peers: &mut Peers) -> Result<Vec<Route>, Unreachable> {
    let peer = shared.parts.sip.resolve(uri).await.map_err(|error| {
        let shown = model::address::redacted_sip(uri);
        unreachable(error.to_string().replace(uri, &shown))
    })?;
    peers.insert(uri.to_owned(), peer);
    Ok(vec![Route {
        uri: uri.to_owned(),
        to: None,
        from_host: shared.config.domain.clone(),
        via: Via::Uri(uri.to_owned()),
        credentials: None,
    }])
}

/// The login, if a SIP address is one of a client of ours.
async fn local_login(shared: &Shared, uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("sip:")?;
    let (user, host) = rest.split_once('@')?;
    let host = host.split([';', ':', '?']).next()?;
    if !host.eq_ignore_ascii_case(&shared.config.domain) {
        return None;
    }
    let known = shared
        .parts
        .store
        .client_in(shared.config.organization, user)
        .await;
    matches!(known, Ok(Some(_))).then(|| user.to_owned())
}

/// Name of a way among the [`Peers`].
pub(crate) fn key(via: &Via) -> &str {
    match via {
        Via::Uri(key) | Via::Trunk(key) | Via::Binding(key) => key,
    }
}

fn unreachable(text: String) -> Unreachable {
    Unreachable {
        code: error::UNREACHABLE_TARGET,
        text,
    }
}
