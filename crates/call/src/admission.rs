//! A new INVITE: fetches the rows that routing needs, and carries out its decision.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use call_proto::Inbound;
use call_proto::journal::Recorder;
use call_proto::routing::{self, Admission, Challenged, Decision, House, Invitation, Refusal};
use model::record::Notification;
use model::{AccountSid, NotificationSid, OrganizationSid, RefusalReason};
use sip::{IncomingCall, LegCommand};
use store::{Change, StoreError};
use tracing::{debug, error, warn};

use crate::actor::{self, CallerHost, Start};
use crate::clock::Clock;
use crate::engine::Shared;
use crate::resolve::{self, Peers};
use crate::sip_side::is_proved;
use crate::strangers::{Full, Place};
use crate::{facts, now, rows, sip_side};

/// Routes an INVITE and carries out the decision.
pub(crate) async fn admit(shared: Arc<Shared>, call: IncomingCall) {
    let decision = decide(&shared, &call).await.unwrap_or_else(|error| {
        error!(%error, "a call could not be routed");
        let is_temporary = matches!(error, StoreError::Unavailable(_) | StoreError::Closed);
        Decision::Refuse(Refusal::without_rows(is_temporary))
    });
    match decision {
        Decision::Challenge(whom) => {
            match (&call.caller, whom) {
                // Whomever it claims to be from: the password is that of this login.
                (sip::Caller::BadCredentials { login }, _) => {
                    note(&shared, &call, RefusalReason::WrongPassword, login);
                }
                // It is expected to come again with credentials.
                (_, Challenged::Client) => {}
                (_, Challenged::Stranger) => {
                    note(&shared, &call, RefusalReason::NotPublic, &call.called_user);
                }
            }
            shared.parts.sip.challenge(call.leg, false);
        }
        Decision::Refuse(refusal) => refuse(&shared, &call, refusal).await,
        Decision::Admit(admission) => match admitted(&shared, &call, admission.account).await {
            Ok(place) => start(&shared, call, *admission, place),
            Err(refusal) => refuse(&shared, &call, refusal).await,
        },
    }
}

/// Counts the call in, and against the rate of its account if it came through a trunk.
async fn admitted(
    shared: &Shared,
    call: &IncomingCall,
    account: AccountSid,
) -> Result<Option<Place>, Refusal> {
    if matches!(call.caller, sip::Caller::Trunk { .. }) {
        let profile = shared.parts.store.profile_of(account).await;
        let profile = profile.map_err(|error| {
            error!(%error, "the profile of an account cannot be read");
            Refusal::without_rows(matches!(error, StoreError::Unavailable(_)))
        })?;
        if let Some(rate) = profile.limits.calls
            && !shared.is_within(profile.counted_by, rate)
        {
            return Err(Refusal::over_rate(account, rate));
        }
    }
    enter(shared, call)
}

/// Counts the call in. Returns the place that it holds, if its caller is a stranger.
fn enter(shared: &Shared, call: &IncomingCall) -> Result<Option<Place>, Refusal> {
    let endpoints = shared.parts.media.counts().endpoints;
    let most = shared.config.max_endpoints;
    if most.is_some_and(|most| endpoints >= most) {
        return Err(Refusal::full());
    }
    let place = if is_proved(&call.caller) {
        None
    } else {
        let place = shared.strangers.enter(call.source.ip(), endpoints);
        Some(place.map_err(|full| {
            if full == Full::Source {
                note(shared, call, RefusalReason::TooMany, &call.called_user);
            }
            Refusal::full()
        })?)
    };
    if shared.live.enter(shared.config.max_calls) {
        Ok(place)
    } else {
        Err(Refusal::full())
    }
}

async fn decide(shared: &Shared, call: &IncomingCall) -> Result<Decision, StoreError> {
    let house = House {
        public_base: &shared.config.public_base,
        has_outbound_proxy: shared.parts.sip.outbound_proxy().is_some(),
    };
    let invitation = invitation(shared, call).await?;
    rows::settle(shared, |rows| routing::route(&invitation, house, rows)).await
}

async fn invitation(shared: &Shared, call: &IncomingCall) -> Result<Invitation, StoreError> {
    let from_organization = organization_of(shared, &call.from_domain).await?;
    let called_organization = match &call.called_domain {
        Some(domain) => Some(organization_of(shared, domain).await?),
        None => None,
    };
    let bindings = resolve::bindings(shared, from_organization, &call.from_user).await?;
    Ok(Invitation {
        caller: sip_side::caller(&call.caller),
        from_user: call.from_user.clone(),
        from_organization,
        from_here: call.from_here,
        from_registered: bindings
            .iter()
            .any(|binding| binding.peer.remote.ip() == call.source.ip()),
        called_organization,
        called_user: call.called_user.clone(),
        called_here: call.called_here,
        request_uri: call.request_uri.clone(),
        to_user: call.to_user.clone(),
        headers: call.headers.clone(),
        body_type_ok: call.body_type_ok,
    })
}

/// An organization that has neither clients nor numbers.
const NOWHERE: OrganizationSid = OrganizationSid::from_bytes([0; 16]);

/// The organization with a domain that the SIP side knows; [`NOWHERE`] if it was closed just now.
pub(crate) async fn organization_of(
    shared: &Shared,
    domain: &str,
) -> Result<OrganizationSid, StoreError> {
    let first = shared.config.organization;
    if domain.eq_ignore_ascii_case(&shared.config.domain) {
        return Ok(first);
    }
    let found = shared.parts.store.organization_of_domain(domain).await?;
    Ok(found.map_or(NOWHERE, |found| found.sid))
}

fn start(shared: &Arc<Shared>, call: IncomingCall, admission: Admission, place: Option<Place>) {
    shared.started.fetch_add(1, Ordering::Relaxed);
    let inbound = Inbound {
        account: admission.account,
        from: admission.from,
        to: admission.to,
        caller_name: call.from_display.clone(),
        forwarded_from: admission.forwarded_from,
        headers: admission.headers,
        sip_call_id: call.call_id,
        number: admission.number,
        sdp: call.sdp,
        max_forwards: call.max_forwards,
        script: admission.script,
        status_callback: admission.status_callback,
        refer: admission.refer,
        contact: admission.contact,
        dialect: admission.dialect,
    };
    let source = CallerHost {
        host: call.source.ip(),
        proved: is_proved(&call.caller),
    };
    let dialog = call.dialog.as_ref().and_then(sip_side::kept);
    let settings = Arc::clone(&shared.settings);
    let clock = Clock::start();
    let (family, root) = Recorder::inbound(settings, inbound, rand::random(), clock.now());
    actor::spawn(
        Arc::clone(shared),
        Start {
            family,
            clock,
            inbound: Some((root, call.leg, source)),
            place,
            peers: Peers::new(),
            dialog,
            root,
            committed: None,
        },
    );
}

fn note(shared: &Shared, call: &IncomingCall, reason: RefusalReason, name: &str) {
    shared.parts.refusals.note(call.source.ip(), reason, name);
}

async fn refuse(shared: &Shared, call: &IncomingCall, refusal: Refusal) {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    let retry_after = refusal.retry_after_s;
    let headers = retry_after.map(|after| ("Retry-After".to_owned(), after.to_string()));
    shared.parts.sip.send(
        call.leg,
        LegCommand::Reject {
            status: refusal.sip_status,
            reason: None,
            headers: headers.into_iter().collect(),
        },
    );
    let refused = Refused {
        source: call.source.ip(),
        is_proved: is_proved(&call.caller),
    };
    refuse_for(shared, Some(refused), refusal).await;
}

/// The sender of a request that is refused.
pub(crate) struct Refused {
    pub(crate) source: IpAddr,
    pub(crate) is_proved: bool,
}

/// Counts a refusal and notifies the owner of the account that can fix its cause.
///
/// - `by`: the sender, unless a provider of the operator's passed the request on
pub(crate) async fn refuse_for(shared: &Shared, by: Option<Refused>, refusal: Refusal) {
    debug!(
        status = refusal.sip_status,
        text = refusal.text,
        "call or text refused"
    );
    let refusals = &shared.parts.refusals;
    if let (Some(by), Some((reason, name))) = (&by, &refusal.counted) {
        refusals.note(by.source, *reason, name);
    }
    let (Some(account), Some(code)) = (refusal.account, refusal.code) else {
        return;
    };
    if by.is_some_and(|by| !by.is_proved) && !refusals.is_news(account, code, &refusal.text) {
        return;
    }
    let at = now();
    let sid = NotificationSid::new(at, rand::random());
    let notification = Notification::of_account(sid, account, code, refusal.text.clone(), at);
    facts::log_notification(&notification);
    let change = Change::Notification(Box::new(notification));
    if let Err(error) = shared.parts.store.commit(vec![change]).await {
        warn!(%error, "a notification could not be stored");
        refusals.forget(account, code, &refusal.text);
    }
}
