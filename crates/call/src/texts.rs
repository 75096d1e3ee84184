//! Text messages that arrive, by SIP or from a provider: fetches the rows that routing needs, and
//! carries out its decision.
//!
//! **Invariant: a text for an application is on disk before its sender learns that it was
//! accepted.** One between clients is not stored: its sender learns what the recipient's phones
//! say. Left to others: running documents (`text_runs`), sending messages (`messages`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use call_proto::routing::{
    self, Caller, Challenged, Forward, House, Invitation, NOT_TEXT, Refusal, Relay, TextDecision,
};
use call_proto::{Dialect, Headers, NewMessage, OutgoingMessage, SendError, TextArrival};
use model::{DialectName, MessageDirection, MessageSid, RefusalReason, Target};
use sip::{IncomingText, LegCommand, LegId, TextBody};
use store::StoreError;
use tokio::sync::mpsc;
use tracing::error;

use crate::admission::{Refused, organization_of, refuse_for};
use crate::engine::{Engine, Shared};
use crate::messages;
use crate::resolve::{self, Destination, Peers};
use crate::{rows, sip_side, text_runs};

/// How long the sender of a text to the outside waits for its outcome; its SIP transaction ends after
/// 32 s (RFC 3261 §17.1.2.2, timer F). Later than this, the text is accepted, and sent all the same.
const FORWARD_PATIENCE: Duration = Duration::from_secs(20);

/// A text message from a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboundText {
    /// Identifier of its record, so that a repeated one is recognized; `None`: a new one.
    pub sid: Option<MessageSid>,
    /// The sender: a number or a name.
    pub from: String,
    /// The number that it was sent to.
    pub to: String,
    /// The text.
    pub body: String,
    /// Name of the link or provider, for the trace.
    pub via: String,
    /// `X-` header fields for the application.
    pub headers: Headers,
}

/// Why a text message was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArrivalError {
    /// It will never be: no application is there for it. The owner of the number was notified.
    #[error("{0}")]
    Refused(String),
    /// Not now: the server is full, stopping, or without its database. It may be sent again later.
    #[error("the text cannot be accepted now")]
    Busy,
}

impl Engine {
    /// Runs the application of the number that a text was sent to. Returns once the text is stored.
    ///
    /// The provider is trusted like a trunk: it has said who it is.
    ///
    /// # Errors
    /// [`ArrivalError`] if the text was not stored.
    pub async fn message_arrived(&self, text: InboundText) -> Result<MessageSid, ArrivalError> {
        let shared = &self.shared;
        let invitation = Invitation {
            caller: Caller::Trunk,
            from_user: text.from,
            from_organization: shared.config.organization,
            from_here: false,
            from_registered: false,
            called_organization: None,
            called_user: text.to.clone(),
            called_here: true,
            request_uri: String::new(),
            to_user: text.to.clone(),
            headers: text.headers,
            body_type_ok: true,
        };
        let decision = decide(shared, &invitation, (&text.body, &text.via)).await;
        let mut decision = decision.map_err(|_| ArrivalError::Busy)?;
        if let TextDecision::Run(arrival) = &mut decision {
            arrival.sid = text.sid;
        }
        let no_application = |name: &str| {
            let text = format!("`{name}` is not a number with an application for texts");
            ArrivalError::Refused(text)
        };
        match decision {
            TextDecision::Run(arrival) => text_runs::start(shared, *arrival, None)
                .await
                .map_err(|_| ArrivalError::Busy),
            // `decide` has settled it.
            TextDecision::Keyword(_, refusal) => Err(ArrivalError::Refused(refusal.text)),
            TextDecision::Refuse(refusal) => {
                let text = refusal.text.clone();
                refuse_for(shared, None, refusal).await;
                Err(ArrivalError::Refused(text))
            }
            TextDecision::Challenge(_) | TextDecision::Relay(_) | TextDecision::Forward(_) => {
                Err(no_application(&text.to))
            }
        }
    }
}

/// Routes a MESSAGE and carries out the decision.
pub(crate) async fn admit(shared: Arc<Shared>, text: IncomingText) {
    let leg = text.leg;
    let body = match &text.body {
        TextBody::Text(body) => body.clone(),
        TextBody::NotText => {
            let why = sip_side::reason_header(406, Some(NOT_TEXT.to_owned()));
            return reject(&shared, leg, 406, why);
        }
        TextBody::Undecodable => return reject(&shared, leg, 415, Headers::new()),
    };
    let decision = match invitation(&shared, &text).await {
        Ok(invitation) => decide(&shared, &invitation, (&body, "SIP")).await,
        Err(error) => Err(error),
    };
    let decision = decision.unwrap_or_else(|error| {
        error!(%error, "a text message could not be routed");
        let is_temporary = matches!(error, StoreError::Unavailable(_) | StoreError::Closed);
        TextDecision::Refuse(Refusal::without_rows(is_temporary))
    });
    match decision {
        TextDecision::Challenge(whom) => {
            note_challenge(&shared, &text, whom);
            shared.parts.sip.challenge(leg, false);
        }
        TextDecision::Refuse(refusal) => refuse(&shared, &text, refusal).await,
        TextDecision::Run(arrival) => run(&shared, &text, *arrival).await,
        // `decide` has settled it.
        TextDecision::Keyword(_, refusal) => refuse(&shared, &text, refusal).await,
        TextDecision::Relay(relay) => pass_on(&shared, &text, relay, body).await,
        TextDecision::Forward(forward) => send_out(&shared, leg, forward, body).await,
    }
}

async fn decide(
    shared: &Shared,
    invitation: &Invitation,
    (body, via): (&str, &str),
) -> Result<TextDecision, StoreError> {
    let house = House {
        public_base: &shared.config.public_base,
        has_outbound_proxy: shared.parts.sip.outbound_proxy().is_some(),
    };
    let text = (body, via);
    let decision = rows::settle(shared, |rows| {
        routing::route_text(invitation, text, house, rows)
    })
    .await?;
    Ok(match decision {
        TextDecision::Run(mut arrival) => {
            settle_keyword(shared, &mut arrival).await?;
            TextDecision::Run(arrival)
        }
        TextDecision::Keyword(mut arrival, refusal) => {
            settle_keyword(shared, &mut arrival).await?;
            if arrival.keyword.is_some() {
                TextDecision::Run(arrival)
            } else {
                TextDecision::Refuse(refusal)
            }
        }
        TextDecision::Challenge(_)
        | TextDecision::Refuse(_)
        | TextDecision::Relay(_)
        | TextDecision::Forward(_) => decision,
    })
}

/// Fetches the rows on which the effect of a keyword depends.
async fn settle_keyword(shared: &Shared, arrival: &mut TextArrival) -> Result<(), StoreError> {
    if arrival.keyword.is_none() {
        return Ok(());
    }
    let store = &shared.parts.store;
    let settings = store.opt_out_settings(arrival.account).await?;
    let known = store
        .opt_outs_between(arrival.account, &arrival.to, &arrival.from)
        .await?;
    let reply = MessageSid::new(crate::now(), rand::random());
    arrival.settle_keyword(&settings, known, reply);
    Ok(())
}

async fn invitation(shared: &Shared, text: &IncomingText) -> Result<Invitation, StoreError> {
    let from_organization = organization_of(shared, &text.from_domain).await?;
    let called_organization = match &text.called_domain {
        Some(domain) => Some(organization_of(shared, domain).await?),
        None => None,
    };
    let bindings = resolve::bindings(shared, from_organization, &text.from_user).await?;
    let source = text.peer.remote.ip();
    Ok(Invitation {
        caller: sip_side::caller(&text.caller),
        from_user: text.from_user.clone(),
        from_organization,
        from_here: text.from_here,
        from_registered: bindings
            .iter()
            .any(|binding| binding.peer.remote.ip() == source),
        called_organization,
        called_user: text.called_user.clone(),
        called_here: text.called_here,
        request_uri: text.request_uri.clone(),
        to_user: text.to_user.clone(),
        headers: text.headers.clone(),
        body_type_ok: true,
    })
}

async fn run(shared: &Arc<Shared>, text: &IncomingText, mut arrival: TextArrival) {
    if arrival.contact.is_some() {
        match is_repeated(shared, text, &mut arrival).await {
            Ok(false) => {}
            // Its first 202 was lost, with the process that sent it.
            Ok(true) => return answer(shared, text.leg, 202, None),
            Err(_) => return refuse(shared, text, Refusal::without_rows(true)).await,
        }
    }
    let place = if sip_side::is_proved(&text.caller) {
        None
    } else {
        let source = text.peer.remote.ip();
        // It needs no endpoint.
        let Ok(place) = shared.strangers.enter(source, 0) else {
            note(shared, source, RefusalReason::TooMany, &text.called_user);
            return refuse(shared, text, Refusal::full()).await;
        };
        Some(place)
    };
    match text_runs::start(shared, arrival, place).await {
        Ok(_) => answer(shared, text.leg, 202, None),
        Err(SendError::Busy) => refuse(shared, text, Refusal::full()).await,
        Err(SendError::Store) => refuse(shared, text, Refusal::without_rows(true)).await,
    }
}

/// Whether a text at a mask has begun an interaction before. The identifier of its interaction is made of what a repeated request
/// has in common with the first one, and of the text: some senders number all their requests alike.
async fn is_repeated(
    shared: &Shared,
    text: &IncomingText,
    arrival: &mut TextArrival,
) -> Result<bool, StoreError> {
    let store = &shared.parts.store;
    let name = [
        text.request_id.as_str(),
        &arrival.from,
        &arrival.to,
        &arrival.body,
    ]
    .join("\n");
    let sid = format!("KI{}", store.key().sign("sip text", &name));
    let Ok(sid) = sid.parse() else {
        return Ok(false);
    };
    arrival.interaction = Some(sid);
    Ok(store.mask_interaction(sid).await?.is_some())
}

/// Sends the text to every phone of the recipient; the sender gets the best of their responses.
async fn pass_on(shared: &Arc<Shared>, text: &IncomingText, relay: Relay, body: String) {
    let target = Target::Client(relay.login.clone());
    let mut peers = Peers::new();
    let client = (relay.organization, relay.login.as_str());
    let found = resolve::phones(shared, client, &mut peers).await;
    let found = found.unwrap_or_else(|error| Err(resolve::unknown(&target, &error)));
    let routes = match found {
        Ok(routes) => routes,
        Err(why) => {
            let refusal = Refusal::unreachable(relay.account, &why);
            return refuse(shared, text, refusal).await;
        }
    };
    answer(shared, text.leg, 100, None);
    let (events, mut answers) = mpsc::unbounded_channel();
    let mut outcome = routing::Outcome::of(routes.len());
    for route in routes {
        // Phones are reached over SIP.
        let Some(Destination::Sip(peer)) = peers.get(resolve::key(&route.via)) else {
            continue;
        };
        let peer = *peer;
        let message = OutgoingMessage {
            route,
            from: relay.from.clone(),
            text: body.clone(),
            headers: relay.headers.clone(),
        };
        let sip = &shared.parts.sip;
        let leg = sip.new_leg(events.clone());
        let spec = Box::new(sip_side::message(message, peer));
        sip.send(leg, LegCommand::Message(spec));
    }
    drop(events);
    while let Some((_, event)) = answers.recv().await {
        if let sip::LegEvent::MessageDone { status, reason } = event
            && let Some((status, reason)) = outcome.handle_answer(status, reason)
        {
            return respond(shared, text.leg, status, reason);
        }
    }
    reject(shared, text.leg, 500, Headers::new());
}

/// Sends a client's text to the outside; the client gets the response from there.
async fn send_out(shared: &Arc<Shared>, leg: LegId, forward: Forward, body: String) {
    answer(shared, leg, 100, None);
    let new = NewMessage {
        account: forward.account,
        from: forward.from,
        to: forward.to,
        body,
        recorded_as: None,
        direction: MessageDirection::OutboundCall,
        headers: forward.headers,
        callback: None,
        validity: None,
        dialect: Dialect::of(DialectName::default()),
        answers_keyword: None,
        released: None,
        chosen: None,
    };
    let sent = match messages::send(shared, new).await {
        Ok((_, sent)) => sent,
        Err(SendError::Busy | SendError::Store) => {
            return reject(shared, leg, 503, Headers::new());
        }
    };
    match tokio::time::timeout(FORWARD_PATIENCE, sent).await {
        Ok(Ok((status, reason))) => respond(shared, leg, status, reason),
        Ok(Err(_)) => reject(shared, leg, 500, Headers::new()),
        Err(_) => answer(shared, leg, 202, None),
    }
}

async fn refuse(shared: &Shared, text: &IncomingText, refusal: Refusal) {
    let retry_after = refusal.retry_after_s;
    let headers = retry_after.map(|after| ("Retry-After".to_owned(), after.to_string()));
    let status = refusal.sip_status;
    reject(shared, text.leg, status, headers.into_iter().collect());
    let refused = Refused {
        source: text.peer.remote.ip(),
        is_proved: sip_side::is_proved(&text.caller),
    };
    refuse_for(shared, Some(refused), refusal).await;
}

fn note_challenge(shared: &Shared, text: &IncomingText, whom: Challenged) {
    let source = text.peer.remote.ip();
    match (&text.caller, whom) {
        (sip::Caller::BadCredentials { login }, _) => {
            note(shared, source, RefusalReason::WrongPassword, login);
        }
        // It is expected to come again with credentials.
        (_, Challenged::Client) => {}
        (_, Challenged::Stranger) => {
            note(shared, source, RefusalReason::NotPublic, &text.called_user);
        }
    }
}

fn note(shared: &Shared, source: IpAddr, reason: RefusalReason, name: &str) {
    shared.parts.refusals.note(source, reason, name);
}

/// The response of a remote party.
fn respond(shared: &Shared, leg: LegId, status: u16, reason: String) {
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    if status < 300 {
        return answer(shared, leg, status, reason);
    }
    let command = LegCommand::Reject {
        status,
        reason,
        headers: Headers::new(),
    };
    shared.parts.sip.send(leg, command);
}

fn answer(shared: &Shared, leg: LegId, status: u16, reason: Option<String>) {
    let command = LegCommand::AnswerText { status, reason };
    shared.parts.sip.send(leg, command);
}

fn reject(shared: &Shared, leg: LegId, status: u16, headers: Headers) {
    let command = LegCommand::Reject {
        status,
        reason: None,
        headers,
    };
    shared.parts.sip.send(leg, command);
}
