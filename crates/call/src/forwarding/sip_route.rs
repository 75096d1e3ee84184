//! Routes by SIP MESSAGE: through the trunk, or to the phones of a client.

use std::time::Duration;

use call_proto::forwarding::Outcome;
use call_proto::{Headers, OutgoingMessage, routing};
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
    // A number has one way through the trunk; the phones of a client all get it (RFC 3428 §4).
    let ways = match &target {
        Target::Client(_) => routes.len(),
        Target::Number(_) | Target::Named(_) | Target::Sip(_) => 1,
    };
    let (events, mut from_sip) = mpsc::unbounded_channel();
    let mut phones = 0;
    for route in routes.into_iter().take(ways) {
        let Some(Destination::Sip(peer)) = peers.get(resolve::key(&route.via)).copied() else {
            continue;
        };
        let leg = shared.parts.sip.new_leg(events.clone());
        let outgoing = OutgoingMessage {
            route,
            from: model::target::caller(&message.from).to_owned(),
            text: message.body.clone(),
            headers: Headers::new(),
        };
        let spec = Box::new(sip_side::message(outgoing, peer));
        shared.parts.sip.send(leg, sip::LegCommand::Message(spec));
        phones += 1;
    }
    drop(events);
    if phones == 0 {
        return Outcome::Unavailable("there is no route to it".to_owned());
    }
    let mut answers = Answers::of(phones);
    let answered = tokio::time::timeout(PATIENCE, async {
        while let Some((_, event)) = from_sip.recv().await {
            if let sip::LegEvent::MessageDone { status, reason } = event
                && let Some(outcome) = answers.handle(status, reason)
            {
                return Some(outcome);
            }
        }
        None
    });
    match answered.await {
        Ok(Some(outcome)) => outcome,
        Ok(None) | Err(_) => Outcome::Doubtful("no response came".to_owned()),
    }
}

/// The responses of several phones to one message.
struct Answers {
    best: routing::Outcome,
    /// One of them may have the message without having said so.
    doubt: Option<Outcome>,
}

impl Answers {
    const fn of(phones: usize) -> Self {
        Self {
            best: routing::Outcome::of(phones),
            doubt: None,
        }
    }

    /// A final response. Returns what came of the message, once that is known: any 2xx means that it arrived; otherwise it is in
    /// doubt if it is so for one phone, or else the best response counts.
    fn handle(&mut self, status: u16, reason: String) -> Option<Outcome> {
        let of_phone = outcome(status, &reason);
        if let Outcome::Doubtful(_) = of_phone {
            self.doubt = Some(of_phone);
        }
        let (status, reason) = self.best.handle_answer(status, reason)?;
        match outcome(status, &reason) {
            Outcome::Accepted(parts) => Some(Outcome::Accepted(parts)),
            best => Some(self.doubt.take().unwrap_or(best)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_phone_that_takes_it_is_enough() {
        let refused = |code, reason: &str| Outcome::Refused(code, reason.to_owned());
        // The responses, and after how many of them what came of the message is known.
        let table: &[(&[u16], usize, Outcome)] = &[
            (&[200], 1, Outcome::Accepted(Vec::new())),
            (&[486, 202, 404], 2, Outcome::Accepted(Vec::new())),
            (&[408, 200], 2, Outcome::Accepted(Vec::new())),
            (&[404, 408, 486], 3, Outcome::Doubtful("408".to_owned())),
            (&[486, 480], 2, Outcome::Unavailable("480".to_owned())),
            (
                &[486, 404],
                2,
                refused(error::MESSAGE_UNKNOWN_RECIPIENT, "404"),
            ),
            (&[407], 1, refused(error::MESSAGE_BLOCKED, "403")),
        ];
        for (statuses, known_after, expected) in table {
            let mut answers = Answers::of(statuses.len());
            let found: Vec<_> = statuses
                .iter()
                .map(|status| answers.handle(*status, String::new()))
                .collect();
            let first = found.iter().position(Option::is_some);
            assert_eq!(first, Some(known_after - 1), "{statuses:?}");
            assert_eq!(found[known_after - 1].as_ref(), Some(expected));
        }
    }
}
