//! Registrations at another server, on real sockets: a second server plays the carrier.

mod support;

use std::sync::Arc;
use std::time::Duration;

use sip::{Gateway, Gateways, Sip, Trunk, Turn};
use support::{LOGIN, OneClient, PASSWORD, REALM, config, server};
use tokio::time::{sleep, timeout};

fn gateway(carrier: &Sip, password: &str) -> Gateway {
    Gateway {
        key: "one".to_owned(),
        trunk: Trunk {
            name: "carrier".to_owned(),
            uri: carrier.local().udp.to_string(),
            username: Some(LOGIN.to_owned()),
            password: Some(password.to_owned()),
            addresses: Vec::new(),
        },
        register: Some(600),
    }
}

async fn until(what: &str, is_true: impl Fn() -> bool) {
    let waiting = async {
        while !is_true() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), waiting).await.expect(what);
}

#[tokio::test]
async fn a_gateway_is_registered_as_long_as_it_exists() {
    let (carrier, _calls) = server().await;
    let (ours, _ours) = Sip::bind(config(), Arc::new(OneClient)).await.unwrap();
    let mut gateways = Gateways::new(ours.clone(), Vec::new());
    let states = gateways.states();
    let state = || states.lock().unwrap().get("one").copied();

    gateways.apply(vec![gateway(&carrier, PASSWORD)]).await;
    until("a binding", || carrier.bindings(LOGIN, REALM).len() == 1).await;
    until("a report", || state() == Some(Turn::Registered)).await;
    let binding = carrier.bindings(LOGIN, REALM).remove(0);
    assert_eq!(binding.peer.remote, ours.local().udp);
    let active = ours.outbound_proxy().unwrap();
    assert_eq!(active.uri, carrier.local().udp.to_string());
    // Its calls come from the address of its host.
    assert_eq!(active.addresses[0].ip, carrier.local().udp.ip());

    // The same again changes nothing.
    gateways.apply(vec![gateway(&carrier, PASSWORD)]).await;
    assert_eq!(carrier.bindings(LOGIN, REALM).len(), 1);

    // With a wrong password it is withdrawn, and refused.
    gateways.apply(vec![gateway(&carrier, "wrong")]).await;
    assert_eq!(carrier.bindings(LOGIN, REALM), []);
    until("a refusal", || state() == Some(Turn::Refused(403))).await;

    gateways.apply(vec![gateway(&carrier, PASSWORD)]).await;
    gateways.apply(Vec::new()).await;
    assert_eq!(carrier.bindings(LOGIN, REALM), []);
    assert_eq!(ours.outbound_proxy(), None);
    assert_eq!(state(), None);
}

#[tokio::test]
async fn the_second_trunk_takes_calls_while_the_first_is_switched_off() {
    let (sip, _calls) = server().await;
    let trunk = |name: &str| Trunk {
        name: name.to_owned(),
        uri: format!("{name}.example"),
        username: None,
        password: None,
        addresses: Vec::new(),
    };
    let active = || sip.outbound_proxy().map(|trunk| trunk.name.clone());
    let table = [
        (vec![], false, None),
        (vec!["one"], true, Some("one")),
        (vec!["one", "two", "three"], true, Some("two")),
        (vec!["one", "two"], false, Some("one")),
    ];
    for (names, on_fallback, expected) in table {
        sip.set_trunks(names.iter().map(|name| trunk(name)).collect());
        sip.use_fallback(on_fallback);
        assert_eq!(active().as_deref(), expected, "{names:?}");
        let is_used = sip.outbound_proxies().on_fallback;
        assert_eq!(is_used, expected == Some("two"), "{names:?}");
    }
}
