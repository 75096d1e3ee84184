//! Routes by SIP MESSAGE: through the trunk, or to the phones of a client.

use std::time::Duration;

use call_proto::forwarding::Outcome;
use call_proto::{Headers, OutgoingMessage};
use model::message_route::{MessageRoute, RouteSettings};
use model::record::Message;
use model::{Target, error};
use tokio::sync::mpsc;

use crate::engine::Shared;
use crate::resolve::{self, Destination, Peers};
use crate::sip_side;

/// The SIP side reports a result after at most 64 s (RFC 3261 §17.1.2.2, timer F, twice).
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends a message; returns what came of it.
pub(super) async fn submit(shared: &Shared, row: &MessageRoute, message: Message) -> Outcome {
    let target = match &row.settings {
        RouteSettings::Sip(settings) => {
            Target::Number(format!("{}{}", settings.prefix, message.to))
        }
        RouteSettings::Client => Target::Client(message.to.clone()),
        RouteSettings::Smpp(_) | RouteSettings::Http(_) => return Outcome::NotSent,
    };
    let mut peers = Peers::new();
    let routes = match resolve::chosen(shared, &target, row.account, &mut peers).await {
        Ok(Ok(routes)) => routes,
        Ok(Err(unreachable)) => return Outcome::Unavailable(unreachable.text),
        Err(error) => return Outcome::Unavailable(error.to_string()),
    };
    let Some(route) = routes.into_iter().next() else {
        return Outcome::Unavailable("there is no route to it".to_owned());
    };
    let Some(Destination::Sip(peer)) = peers.get(resolve::key(&route.via)).copied() else {
        return Outcome::Unavailable("the route leads nowhere".to_owned());
    };
    let (events, mut from_sip) = mpsc::unbounded_channel();
    let leg = shared.parts.sip.new_leg(events);
    let outgoing = OutgoingMessage {
        route,
        from: model::target::caller(&message.from).to_owned(),
        text: message.body,
        headers: Headers::new(),
    };
    let spec = Box::new(sip_side::message(outgoing, peer));
    shared.parts.sip.send(leg, sip::LegCommand::Message(spec));
    let answered = tokio::time::timeout(PATIENCE, async {
        while let Some((_, event)) = from_sip.recv().await {
            if let sip::LegEvent::MessageDone { status, reason } = event {
                return Some((status, reason));
            }
        }
        None
    });
    match answered.await {
        Ok(Some((status, reason))) => outcome(status, &reason),
        Ok(None) | Err(_) => Outcome::Doubtful("no response came".to_owned()),
    }
}

/// What a final response means.
fn outcome(status: u16, phrase: &str) -> Outcome {
    let reason = format!("{status} {phrase}").trim_end().to_owned();
    let code = match status {
        200..=299 => return Outcome::Accepted(Vec::new()),
        // 408 is also the SIP side's own word for silence: it may have arrived.
        408 => return Outcome::Doubtful(reason),
        480 | 486 | 500 | 502..=504 | 600 => return Outcome::Unavailable(reason),
        404 | 410 | 484 | 604 => error::MESSAGE_UNKNOWN_RECIPIENT,
        403 | 603 => error::MESSAGE_BLOCKED,
        405 | 415 | 488 | 501 => error::MESSAGE_NO_TEXTS,
        _ => error::MESSAGE_FAILED,
    };
    Outcome::Refused(code, reason)
}
