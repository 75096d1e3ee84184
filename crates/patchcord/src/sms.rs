//! `patchcord sms`: the routes of text messages, and which of them a message would take.

use anyhow::Result;
use call_proto::forwarding::router;
use model::AccountSid;
use model::message_route::{MessageRoute, RouteSettings};
use model::text::one_line;
use serde_json::json;
use smpp_proto::text::{TextSettings, encoding_for, segments};

use crate::calls::open;
use crate::config::Config;
use crate::live::{self, RouteState};
use crate::screen;
use crate::usage::WrongUsage;

/// Prints the routes, without their secrets, and whether the running server can use them.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn routes(config: &Config, as_json: bool) -> Result<String> {
    let mut routes = open(config).await?.message_routes().await?;
    routes.sort_by_key(|route| route.priority);
    let states = live::routes(&config.server.data).await;
    if as_json {
        let shown = routes
            .iter()
            .map(|route| with_state(route, states.as_deref()));
        let shown: Vec<_> = shown.collect();
        return Ok(format!("{}\n", serde_json::to_string_pretty(&shown)?));
    }
    if routes.is_empty() {
        return Ok("there are no routes; docs/messaging.md says how to add one\n".to_owned());
    }
    let lines = routes
        .iter()
        .map(|route| line(route, &up(route, states.as_deref())));
    let mut text: String = lines.collect();
    if states.is_none() {
        text +=
            "No server is running with this data folder, so the state of the routes is unknown.\n";
    }
    Ok(screen::list(&text))
}

/// The state of a route in words; empty if it is not known, or the route is not in use.
fn up(route: &MessageRoute, states: Option<&[RouteState]>) -> String {
    let Some(states) = states.filter(|_| route.enabled) else {
        return String::new();
    };
    match states.iter().find(|state| state.sid == route.sid) {
        Some(state) if state.is_up => "  up".to_owned(),
        Some(state) => match &state.problem {
            Some(problem) => format!("  down: {problem}"),
            None => "  down".to_owned(),
        },
        // The server reads changed routes once a second.
        None => "  down: not in use yet".to_owned(),
    }
}

/// Says which routes a message would take, in order, and how its text would be sent.
///
/// # Errors
/// If the database cannot be read, or the account does not exist.
pub(crate) async fn test(
    config: &Config,
    account: AccountSid,
    (from, to, body): (&str, &str, &str),
) -> Result<String> {
    let store = open(config).await?;
    let accounts = store.with_parents(account).await?;
    if accounts.is_empty() {
        return Err(WrongUsage(format!("there is no account {account}")).into());
    }
    let routes = store.message_routes().await?;
    let ask = router::Ask {
        from,
        to,
        accounts: &accounts,
    };
    let found = router::choose(&routes, ask);
    if found.is_empty() {
        let text = "no route is for it: it goes to a client of that name, or through the trunk\n";
        return Ok(text.to_owned());
    }
    let lines = found
        .iter()
        .map(|route| line(route, "") + &written(route, body));
    Ok(screen::list(&lines.collect::<String>()))
}

/// The route without its secret, and whether it is `up`: null if no server runs.
fn with_state(route: &MessageRoute, states: Option<&[RouteState]>) -> serde_json::Value {
    let mut shown = without_secret(route);
    if let Some(fields) = shown.as_object_mut() {
        let state = states.and_then(|all| all.iter().find(|state| state.sid == route.sid));
        let is_up = states.map(|_| state.is_some_and(|state| state.is_up));
        let problem = state.and_then(|state| state.problem.clone());
        fields.insert("up".to_owned(), json!(is_up));
        fields.insert("problem".to_owned(), json!(problem));
    }
    shown
}

fn without_secret(route: &MessageRoute) -> serde_json::Value {
    let mut shown = json!(route);
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("secret");
    }
    shown
}

/// - `up`: its state in words
fn line(route: &MessageRoute, up: &str) -> String {
    let MessageRoute {
        sid,
        account,
        name,
        priority,
        ..
    } = route;
    let off = if route.enabled { "" } else { "  (not enabled)" };
    let leads = match &route.settings {
        RouteSettings::Smpp(link) => format!("smpp {}@{}:{}", link.system_id, link.host, link.port),
        RouteSettings::Http(provider) => {
            format!("http {}", model::address::redacted(&provider.url))
        }
        RouteSettings::Sip(trunk) => {
            format!("sip, through the trunk with prefix `{}`", trunk.prefix)
        }
        RouteSettings::Client => "client".to_owned(),
    };
    let prefixes = [("from", &route.from_prefix), ("to", &route.to_prefix)];
    let prefixes = prefixes.iter().filter(|(_, prefix)| !prefix.is_empty());
    let prefixes: String = prefixes
        .map(|(side, prefix)| format!("  {side} {prefix}…"))
        .collect();
    let text = format!("{priority:>4}  {sid}  {name}  {leads}{prefixes}  of {account}{off}{up}");
    one_line(&text) + "\n"
}

/// How a link sends a text.
fn written(route: &MessageRoute, body: &str) -> String {
    let RouteSettings::Smpp(link) = &route.settings else {
        return String::new();
    };
    let settings = TextSettings {
        encoding: link.encoding,
        concatenation: link.concatenation,
        data_coding: link.data_coding,
    };
    let encoding = encoding_for(body, &settings);
    match segments(body, &settings, 1) {
        Some(found) => format!("      {} short messages in {encoding}\n", found.count),
        None => "      the text is too long\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use model::message_route::{OnDoubt, SmppSettings};
    use model::{MessageRouteSid, Timestamp};

    use super::*;

    #[test]
    fn a_route_is_one_line_without_its_secret() {
        let route = MessageRoute {
            sid: MessageRouteSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            name: "acme\n".to_owned(),
            enabled: false,
            priority: 7,
            from_prefix: String::new(),
            to_prefix: "49".to_owned(),
            price: 0,
            on_doubt: OnDoubt::Resend,
            settings: RouteSettings::Smpp(SmppSettings {
                host: "smsc.example".to_owned(),
                system_id: "me".to_owned(),
                ..SmppSettings::default()
            }),
            secret: Some("s3cret".to_owned()),
            created: Timestamp(0),
            updated: Timestamp(0),
        };
        let text = line(&route, "");
        assert!(text.contains("smpp me@smsc.example:2775  to 49…"), "{text}");
        assert!(
            text.ends_with("(not enabled)\n") && text.lines().count() == 1,
            "{text}"
        );
        assert!(!format!("{text}{}", without_secret(&route)).contains("s3cret"));
        let state = |is_up, problem: Option<&str>| RouteState {
            sid: route.sid,
            is_up,
            problem: problem.map(str::to_owned),
        };
        let used = MessageRoute {
            enabled: true,
            ..route.clone()
        };
        let table = [
            (&used, None, "", "null"),
            (&used, Some(vec![]), "  down: not in use yet", "false"),
            (
                &used,
                Some(vec![state(true, Some("before"))]),
                "  up",
                "true",
            ),
            (&used, Some(vec![state(false, None)]), "  down", "false"),
            (
                &used,
                Some(vec![state(false, Some("no answer"))]),
                "  down: no answer",
                "false",
            ),
            (&route, Some(vec![]), "", "false"),
        ];
        for (route, states, words, json) in table {
            assert_eq!(up(route, states.as_deref()), words);
            let shown = with_state(route, states.as_deref());
            assert_eq!(shown["up"].to_string(), json, "{words}");
            assert!(!shown.to_string().contains("s3cret"));
        }
        assert_eq!(
            written(&route, &"a".repeat(161)),
            "      2 short messages in gsm\n"
        );
    }
}
