//! Every route of the tables, called by every kind of caller: one without permission is refused
//! before anything else is checked.

use model::{AccountSid, AccountStatus};

use crate::server::{Answer, Credentials, Server, account_sid, of};
use crate::tenancy::items;

/// A form with everything that any route requires.
const FORM: &str = "EmailAddress=new@example.org&Password=RestComm12&FriendlyName=x&Login=l\
    &From=a&To=client:b&Url=http://a/d&Body=hello";

/// Requests from a route an item of an account that does not exist there.
async fn ask(
    server: &Server,
    route: &api::RouteInfo,
    who: Option<&Credentials>,
    account: AccountSid,
) -> (u16, String) {
    let path = filled(&route.path, account);
    // At some base paths a parameter that a route does not declare is refused, after permissions.
    let form = if matches!(route.method, "POST" | "PUT") {
        FORM
    } else {
        ""
    };
    let answer = server.ask(route.method, who, &path, &[], form).await;
    (
        answer.status.as_u16(),
        format!("{} {path}: {}", route.method, answer.body),
    )
}

fn filled(path: &str, account: AccountSid) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{account}" => account.to_string(),
        open if open.starts_with('{') => "nothing".to_owned(),
        literal => literal.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn credentials_come_first() {
    let server = Server::start().await;
    let closed = server
        .account_with(
            "closed",
            Some(server.admin),
            "Administrator",
            AccountStatus::Suspended,
        )
        .await;
    for (n, route) in api::routes().into_iter().enumerate() {
        let stranger = of(&format!("stranger{n}"));
        for who in [None, Some(&stranger)] {
            let (status, place) = ask(&server, &route, who, server.admin).await;
            assert_eq!(status, 401, "{place}");
        }
        let (status, place) = ask(&server, &route, Some(&of("closed")), closed).await;
        assert_eq!(status, 403, "{place}");
    }
}

/// Everything in an answer that a stranger can see, except the identifier that each request gets.
fn visible(answer: &Answer) -> (u16, Vec<String>, String) {
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| !name.as_str().ends_with("request-id"));
    let headers = headers.map(|(name, value)| format!("{name}: {value:?}"));
    let status = answer.status.as_u16();
    (status, headers.collect(), answer.body.clone())
}

/// For every route and role: of the caller's own account and those below it, what the role permits can be read;
/// any other account is indistinguishable from one that does not exist, by SID, e-mail address or name.
#[tokio::test]
async fn accounts_that_are_not_below_the_caller_do_not_exist_for_it() {
    let server = Server::start().await;
    let strangers = server.account("strangers", server.admin).await;
    for role in ["Administrator", "Developer", "Reader"] {
        let admin = Some(server.admin);
        let active = AccountStatus::Active;
        let p = server.account_with(role, admin, role, active).await;
        let below_name = format!("b{role}");
        let below = server
            .account_with(&below_name, Some(p), role, active)
            .await;
        let who = of(role);
        for route in api::routes()
            .iter()
            .filter(|route| route.path.contains("{account}"))
        {
            let none = "AC00000000000000000000000000000000";
            let unknown = visible(&ask_as(&server, route, &who, none).await);
            let top = server.admin.to_string();
            for segment in [
                strangers.to_string().as_str(),
                &top,
                "strangers@example.org",
                "strangers",
                "nobody@example.org",
                "nobody",
            ] {
                let foreign = visible(&ask_as(&server, route, &who, segment).await);
                assert_eq!(foreign, unknown, "{role} {} {segment}", route.path);
            }
            assert!(matches!(unknown.0, 403 | 404), "{role} {}", route.path);
            let is_restcomm = route.path.starts_with("/restcomm/");
            if role == "Administrator" {
                let refusal = if is_restcomm { 403 } else { 404 };
                assert_eq!(unknown.0, refusal, "{}", route.path);
            }
            if route.method != "GET" {
                continue;
            }
            let is_list = !route.path.replace("{account}", "").contains('{');
            for account in [p, below] {
                let answer = ask_as(&server, route, &who, &account.to_string()).await;
                // Accounts themselves are only for their own credentials and administrators.
                let permitted = match (role, route.target) {
                    _ if route.top_only => false,
                    ("Administrator", _) => true,
                    (_, "Accounts") => account == p,
                    ("Developer", _) => true,
                    _ => false,
                };
                assert_eq!(answer.status != 403, permitted, "{role} {}", route.path);
                let expected = answer.status == 200 || !is_list || !permitted;
                assert!(expected, "{role} {} {}", route.path, answer.body);
            }
        }
    }
}

/// Requests from a route an item of the account named by a segment.
async fn ask_as(
    server: &Server,
    route: &api::RouteInfo,
    who: &Credentials,
    segment: &str,
) -> Answer {
    let path = filled(&route.path, server.admin).replace(&server.admin.to_string(), segment);
    let is_write = matches!(route.method, "POST" | "PUT");
    let form = if is_write { FORM } else { "" };
    server.ask(route.method, Some(who), &path, &[], form).await
}

/// A form that is valid for the item at the end of a path.
fn form_for(kind: &str) -> &'static str {
    match kind {
        "Calls" => "Status=completed",
        "Deliveries" => "",
        "Conferences" => "Status=completed",
        "Messages" => "Body=",
        _ => "FriendlyName=stolen",
    }
}

/// Items that exist, but belong to an account other than the one in the path, look the same as
/// those that do not exist.
#[tokio::test]
async fn items_of_another_account_do_not_exist() {
    let server = Server::start().await;
    let p = server.account("p", server.admin).await;
    let below = server.account("below", p).await;
    let s = server.account("s", server.admin).await;
    let items = items(&server, s, 1).await;
    let whole = |path: &str| format!("/restcomm/2012-04-24/Accounts/{s}/{path}");
    let mut shown = Vec::new();
    for item in &items {
        shown.push(server.get(&of("s"), &whole(item)).await);
    }
    for route in api::routes() {
        // `…/Kind/{sid}`, possibly followed by more.
        let segments: Vec<&str> = route.path.split('/').collect();
        let opens = |segment: &&str| segment.starts_with('{') && *segment != "{account}";
        let Some(at) = segments.iter().position(opens) else {
            continue;
        };
        let kind = segments[at - 1];
        // Numbers for sale and periods of usage belong to no account; nor does what has no account in its path, or only the
        // top account has.
        let is_shared = matches!(kind, "AvailablePhoneNumbers" | "Records") || route.top_only;
        if is_shared || !route.path.contains("{account}") {
            continue;
        }
        let of_kind = |item: &&String| item.rsplit('/').nth(1) == Some(kind);
        let Some(item) = items.iter().find(of_kind) else {
            panic!("{}: `items` makes none of these", route.path);
        };
        let sid = item.rsplit('/').next().unwrap();
        let unknown_sid = format!("{}{}", &sid[..2], "0123456789abcdef".repeat(2));
        for account in [p, below] {
            let form = if route.method == "POST" || route.method == "PUT" {
                match segments.last() {
                    Some(&"{call}") if kind == "Queues" => "Url=http://a/b",
                    Some(&"{call}") => "Muted=true",
                    Some(&"Participants") => "From=1000&To=client:b",
                    Some(&"Recordings") => "",
                    Some(&"{sid}") if segments.contains(&"Recordings") => "Status=stopped",
                    Some(&"{sid}") if segments.contains(&"{box}") => "Status=heard",
                    _ => form_for(kind),
                }
            } else {
                ""
            };
            let who = of("p");
            let ask = async |sid: &str| {
                let path = filled(&route.path, account).replace("nothing", sid);
                let answer = server.ask(route.method, Some(&who), &path, &[], form).await;
                let (status, headers, body) = visible(&answer);
                (status, headers, body.replace(sid, "SID"))
            };
            let foreign = ask(sid).await;
            let place = format!("{} {}: {}", route.method, route.path, foreign.2);
            assert_eq!(foreign, ask(&unknown_sid).await, "{place}");
            let is_item = segments.last().is_some_and(opens);
            let is_list = at + 1 < segments.len() && route.method == "GET" && !is_item;
            let expected: &[u16] = match (kind, route.method) {
                // The account's own rows of a call that is not its own: none. As in Restcomm,
                // deleting an unknown application succeeds.
                ("Applications" | "OutgoingCallerIds" | "Transcriptions", "DELETE") => {
                    &[200, 404, 204]
                }
                ("Conferences" | "Queues" | "VoicemailBoxes", _) => &[404],
                _ if segments.last() == Some(&"Events") => &[404],
                _ if is_list => &[200],
                ("Calls", "POST") => &[404, 406],
                _ => &[404],
            };
            assert!(expected.contains(&foreign.0), "{place}");
        }
    }
    for (item, before) in items.iter().zip(shown) {
        let after = server.get(&of("s"), &whole(item)).await;
        assert_eq!((after.status, after.body), (before.status, before.body));
        assert_eq!(before.status, 200, "{item}");
    }
    assert!(server.engine.modified.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_role_does_what_its_permissions_say_and_no_more() {
    let all = ["Create", "Read", "Modify", "Delete"];
    let routes = api::routes();
    let mut targets: Vec<&str> = routes.iter().map(|route| route.target).collect();
    targets.sort_unstable();
    targets.dedup();
    for wanted in &targets {
        for action in all {
            let only = format!("RestComm:{action}:{wanted}");
            let server = Server::with_role("One", &[&only]).await;
            let sid = server
                .account_with("one", Some(server.admin), "One", AccountStatus::Active)
                .await;
            assert_eq!(sid, account_sid("one"));
            let of_target = routes.iter().filter(|route| route.target == *wanted);
            for route in of_target {
                let (status, place) = ask(&server, route, Some(&of("one")), sid).await;
                let allowed = route.action == action && !route.top_only;
                assert_eq!(status == 403, !allowed, "{only}: {status} {place}");
            }
        }
    }
}
