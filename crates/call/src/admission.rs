//! A new INVITE: gathers the rows that routing wants, and starts what it decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use call_proto::journal::Recorder;
use call_proto::routing::{self, Caller, Decision, Lookups, Refusal};
use call_proto::{Dialect, Document, Fallback, Inbound, Script};
use model::record::{Client, Notification, Number, VoiceApplication};
use model::{AccountStatus, HttpMethod, NotificationSid, number};
use sip::{HeaderList, IncomingCall, LegCommand};
use store::{Change, StoreError};
use tracing::{debug, error, warn};

use crate::actor::{self, Start};
use crate::engine::Shared;
use crate::resolve::Peers;
use crate::{now, sip_side};

/// Decides about an INVITE and carries the decision out.
pub(crate) async fn admit(shared: Arc<Shared>, call: IncomingCall) {
    if !call.body_type_ok {
        return refuse(&shared, &call, 415, None);
    }
    let lookups = match look_up(&shared, &call).await {
        Ok(lookups) => lookups,
        Err(error) => {
            error!(%error, "a call could not be routed");
            return refuse(&shared, &call, 500, None);
        }
    };
    match routing::route(&lookups) {
        Decision::Challenge => {
            shared.parts.sip.challenge(call.leg, false);
        }
        Decision::Refuse(refusal) => refused(&shared, &call, refusal).await,
        Decision::Run(run) => {
            let owner = run.owner;
            let Some(document) = document(&shared, owner, &run.voice).await else {
                let refusal = Refusal {
                    sip_status: 404,
                    code: model::error::NO_APPLICATION,
                    text: format!("the application of `{}` has no address", lookups.called),
                    account: Some(owner),
                };
                return refused(&shared, &call, refusal).await;
            };
            let script = Script::Document(document);
            let status_callback = run.status_callback;
            start(
                &shared,
                call,
                &lookups,
                Admitted {
                    account: run.account,
                    number: run.number,
                    script,
                    status_callback,
                },
            );
        }
        Decision::Dial {
            account,
            verbs,
            answer_on_bridge,
        } => {
            let script = Script::Verbs {
                verbs,
                answer_on_bridge,
            };
            start(
                &shared,
                call,
                &lookups,
                Admitted {
                    account,
                    number: None,
                    script,
                    status_callback: None,
                },
            );
        }
    }
}

struct Admitted {
    account: model::AccountSid,
    number: Option<model::NumberSid>,
    script: Script,
    status_callback: Option<call_proto::CallbackTarget>,
}

fn start(shared: &Arc<Shared>, call: IncomingCall, lookups: &Lookups, admitted: Admitted) {
    if !shared.live.enter(shared.config.max_calls) {
        return refuse(shared, &call, 503, Some(("Retry-After", "10")));
    }
    shared.started.fetch_add(1, Ordering::Relaxed);
    let from = match (&lookups.caller, &lookups.from_client) {
        (Caller::Client, Some((client, _))) => client.login.clone(),
        _ => call.from_user.clone(),
    };
    let headers = believed(call.headers, &call.caller);
    let inbound = Inbound {
        account: admitted.account,
        from,
        to: lookups.called.clone(),
        caller_name: call.from_display.clone(),
        forwarded_from: forwarded_from(&headers),
        headers,
        sip_call_id: call.call_id,
        number: admitted.number,
        sdp: call.sdp,
        max_forwards: call.max_forwards,
        script: admitted.script,
        status_callback: admitted.status_callback,
        dialect: Dialect::RESTCOMM,
    };
    let dialog = call.dialog.as_ref().and_then(sip_side::kept);
    let settings = Arc::clone(&shared.settings);
    let (family, root) = Recorder::inbound(settings, inbound, rand::random(), now());
    actor::spawn(
        Arc::clone(shared),
        Start {
            family,
            inbound: Some((root, call.leg, call.source.ip())),
            peers: Peers::new(),
            dialog,
            root,
            committed: None,
        },
    );
}

async fn look_up(shared: &Shared, call: &IncomingCall) -> Result<Lookups, StoreError> {
    let (caller, proved) = match &call.caller {
        sip::Caller::Client { login } => (Caller::Client, Some(login.as_str())),
        sip::Caller::Trunk { .. } => (Caller::Trunk, None),
        sip::Caller::BadCredentials => (Caller::Unproved, None),
        sip::Caller::Unknown => (Caller::Unknown, None),
    };
    // Somebody elsewhere may bear the name of a client here.
    let named = call.from_here.then_some(call.from_user.as_str());
    let from_client = match proved.or(named) {
        Some(login) => client(shared, login).await?,
        None => None,
    };
    let mut lookups = Lookups {
        caller,
        from_client,
        to_client: None,
        number: None,
        called: call.called_user.clone(),
        foreign: foreign(call),
        has_outbound_proxy: shared.parts.sip.outbound_proxy().is_some(),
        headers: believed(call.headers.clone(), &call.caller),
    };
    // Who is called stands in the Request-URI; some providers put it only into To.
    for called in [&call.called_user, &call.to_user] {
        lookups.to_client = client(shared, called).await?;
        if lookups.to_client.is_none() {
            lookups.number = self::number(shared, called).await?;
        }
        if lookups.to_client.is_some() || lookups.number.is_some() {
            lookups.called.clone_from(called);
            break;
        }
    }
    Ok(lookups)
}

async fn client(
    shared: &Shared,
    login: &str,
) -> Result<Option<(Client, AccountStatus)>, StoreError> {
    if login.is_empty() {
        return Ok(None);
    }
    let store = &shared.parts.store;
    let Some(client) = store.client_in(shared.config.organization, login).await? else {
        return Ok(None);
    };
    let status = status(shared, client.account).await?;
    Ok(Some((client.as_ref().clone(), status)))
}

async fn status(shared: &Shared, account: model::AccountSid) -> Result<AccountStatus, StoreError> {
    let account = shared.parts.store.account(account).await?;
    Ok(account.map_or(AccountStatus::Closed, |account| account.status))
}

async fn number(
    shared: &Shared,
    dialled: &str,
) -> Result<Option<(Number, AccountStatus)>, StoreError> {
    let spellings = number::candidates(dialled);
    let organization = Some(shared.config.organization);
    let found = shared
        .parts
        .store
        .number_candidates(organization, &spellings)
        .await?;
    let exact = found.exact.into_iter().next();
    let by_pattern = || {
        let may = dialled
            .bytes()
            .all(|b| b.is_ascii_digit() || b"*#+".contains(&b));
        let fits = |number: &Number| {
            spellings
                .iter()
                .any(|spelling| pattern_matches(&number.phone_number, spelling))
        };
        found
            .patterns
            .into_iter()
            .find(|number| may && fits(number))
    };
    let Some(number) = exact.or_else(by_pattern).or(found.any) else {
        return Ok(None);
    };
    let status = status(shared, number.account).await?;
    Ok(Some((number.as_ref().clone(), status)))
}

/// Whether a stored pattern (a regular expression over digits, `*`, `#`, `+`) is found in a
/// dialled text. A leading `+` or `*` stands for itself.
fn pattern_matches(pattern: &str, dialled: &str) -> bool {
    let literal = pattern.starts_with(['+', '*']);
    let pattern = if literal {
        format!("\\{pattern}")
    } else {
        pattern.to_owned()
    };
    regex_lite::Regex::new(&pattern).is_ok_and(|regex| regex.is_match(dialled))
}

/// The first document of a run; `None` if nothing says where it is.
async fn document(
    shared: &Shared,
    owner: model::AccountSid,
    voice: &VoiceApplication,
) -> Option<Document> {
    let (url, author) = match voice.application {
        Some(sid) => match shared.parts.store.application(sid).await {
            Ok(application) => {
                let application = application?;
                (application.rcml_url.clone()?, application.account)
            }
            Err(error) => {
                warn!(%error, "an application could not be looked up");
                return None;
            }
        },
        None => (voice.url.clone()?, owner),
    };
    let absolute = |url: &str| webhook::resolve(&shared.config.public_base, url).ok();
    let fallback = voice.fallback_url.as_deref().and_then(absolute);
    let fallback_method = voice.fallback_method.unwrap_or(HttpMethod::Post);
    Some(Document {
        url: absolute(&url).unwrap_or(url),
        method: voice.method.unwrap_or(HttpMethod::Post),
        author,
        fallback: fallback.map(|url| Fallback {
            url,
            method: fallback_method,
            author: owner,
        }),
    })
}

/// The called address, if it is another server's. One of ours behind a redirect may be an address
/// literal that we do not know, without a port.
fn foreign(call: &IncomingCall) -> Option<String> {
    let uri = call.request_uri.as_str();
    let host = uri.strip_prefix("sip:")?.rsplit('@').next()?;
    let host = host.split([';', '?']).next()?;
    let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    (!call.called_here && literal.is_err()).then(|| uri.to_owned())
}

/// Only trunks are believed about who diverted a call; and the headers that name our own calls are
/// nobody else's to set.
fn believed(headers: HeaderList, caller: &sip::Caller) -> HeaderList {
    let trunk = matches!(caller, sip::Caller::Trunk { .. });
    let keep = |(name, _): &(String, String)| {
        let diversion = name.eq_ignore_ascii_case("Diversion");
        let ours = name
            .get(.."X-RestComm-".len())
            .is_some_and(|start| start.eq_ignore_ascii_case("X-RestComm-"));
        !ours && (trunk || !diversion)
    };
    headers.into_iter().filter(keep).collect()
}

/// User part of a Diversion header.
fn forwarded_from(headers: &[(String, String)]) -> Option<String> {
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("Diversion"))?;
    let after = value.split_once("sip:")?.1;
    let user = after.split_once('@')?.0;
    (!user.is_empty()).then(|| user.to_owned())
}

async fn refused(shared: &Shared, call: &IncomingCall, refusal: Refusal) {
    debug!(
        status = refusal.sip_status,
        text = refusal.text,
        "call refused"
    );
    refuse(shared, call, refusal.sip_status, None);
    let Some(account) = refusal.account else {
        return;
    };
    let at = now();
    let notification = Notification {
        sid: NotificationSid::new(at, rand::random()),
        account,
        call: None,
        level: 0,
        code: refusal.code,
        text: refusal.text,
        request_url: None,
        request_method: None,
        line: None,
        column: None,
        created: at,
    };
    let change = Change::Notification(Box::new(notification));
    if let Err(error) = shared.parts.store.commit(vec![change]).await {
        warn!(%error, "a notification could not be stored");
    }
}

fn refuse(shared: &Shared, call: &IncomingCall, status: u16, header: Option<(&str, &str)>) {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    let headers = header.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = headers.into_iter().collect();
    shared.parts.sip.send(
        call.leg,
        LegCommand::Reject {
            status,
            reason: None,
            headers,
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_parts_of_what_is_dialled() {
        let table = [
            ("^12[0-9]*$", "1234", true),
            ("^12[0-9]*$", "4123", false),
            ("*777", "*777#", true),
            ("+12..", "+1234", true),
            ("[", "1", false),
        ];
        for (pattern, dialled, fits) in table {
            assert_eq!(
                pattern_matches(pattern, dialled),
                fits,
                "{pattern} {dialled}"
            );
        }
    }

    #[test]
    fn strangers_are_not_believed() {
        let headers = || -> HeaderList {
            [
                "X-A",
                "diversion",
                "X-RestComm-CallSid",
                "x-restcomm-AccountSid",
            ]
            .into_iter()
            .map(|name| (name.to_owned(), "v".to_owned()))
            .collect()
        };
        let names = |caller: sip::Caller| -> Vec<String> {
            let kept = believed(headers(), &caller);
            kept.into_iter().map(|(name, _)| name).collect()
        };
        let trunk = sip::Caller::Trunk {
            name: "carrier".to_owned(),
        };
        let client = sip::Caller::Client {
            login: "kim".to_owned(),
        };
        assert_eq!(names(trunk), ["X-A", "diversion"]);
        assert_eq!(names(client), ["X-A"]);
        assert_eq!(names(sip::Caller::Unknown), ["X-A"]);
    }

    #[test]
    fn diversion_names_the_forwarder() {
        let header = |value: &str| vec![("Diversion".to_owned(), value.to_owned())];
        assert_eq!(
            forwarded_from(&header("<sip:777@x>;reason=busy")).as_deref(),
            Some("777")
        );
        assert_eq!(forwarded_from(&header("<tel:777>")), None);
    }
}
