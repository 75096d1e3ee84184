//! A provider that takes messages by HTTP: `docs/messaging.md` describes the requests.

use call_proto::forwarding::Outcome;
use model::message_route::HttpSettings;
use model::record::Message;
use model::{EventSid, HttpMethod, error};
use serde::{Deserialize, Serialize};
use webhook::{AddressPolicy, FetchRequest, Fetcher, Problem, Secrets, Stamp};

/// Longest identifier of a message, in bytes: indexes of databases have limits.
const MAX_ID: usize = 254;
/// Longest reason that is recorded, in characters.
const MAX_REASON: usize = 200;

#[derive(Serialize)]
struct Body<'a> {
    /// The same in every attempt, so that the provider can tell a repeated request.
    message: String,
    from: &'a str,
    to: &'a str,
    body: &'a str,
}

/// What the provider answers.
#[derive(Deserialize, Default)]
struct Reply {
    /// Its identifier of the message.
    id: Option<String>,
    /// Why it refuses it: a word of the table in the documentation.
    error: Option<String>,
    /// The same for people.
    reason: Option<String>,
}

/// The request for a message.
pub(super) fn request(
    settings: &HttpSettings,
    secret: Option<String>,
    message: &Message,
) -> FetchRequest {
    let body = Body {
        message: message.sid.to_string(),
        from: &message.from,
        to: &message.to,
        body: &message.body,
    };
    FetchRequest {
        json: serde_json::to_string(&body).ok(),
        // The operator chose the address.
        policy: AddressPolicy { private_ok: true },
        stamp: Some(Stamp {
            event: EventSid::new(crate::now(), rand::random()),
            secrets: secret.map(|primary| Secrets {
                primary,
                secondary: None,
            }),
        }),
        ..FetchRequest::new(HttpMethod::Post, settings.url.clone())
    }
}

/// Sends the request.
pub(super) async fn submit(fetcher: &Fetcher, request: FetchRequest) -> Outcome {
    match fetcher.fetch(request).await {
        Ok(answer) => outcome(answer.status, &answer.body),
        Err(error) if was_sent(&error.problem) => Outcome::Doubtful(error.to_string()),
        Err(error) => Outcome::Unavailable(error.to_string()),
    }
}

/// Whether a provider that did not answer may have taken the message.
const fn was_sent(problem: &Problem) -> bool {
    match problem {
        Problem::Io { was_connected, .. } => *was_connected,
        Problem::BadAddress { .. }
        | Problem::Refused { .. }
        | Problem::Unsigned { .. }
        | Problem::NoRoom => false,
        Problem::Timeout { .. }
        | Problem::Protocol { .. }
        | Problem::Coding { .. }
        | Problem::TooLarge { .. }
        | Problem::TooManyRedirects { .. }
        | Problem::Status { .. } => true,
    }
}

/// What an answer means.
fn outcome(status: u16, body: &[u8]) -> Outcome {
    let reply: Reply = serde_json::from_slice(body).unwrap_or_default();
    // Receipts for a message with a longer identifier would not be found.
    let id = reply.id.filter(|id| id.len() <= MAX_ID);
    let reason = reply
        .reason
        .map(|reason| reason.chars().take(MAX_REASON).collect::<String>())
        .unwrap_or_else(|| format!("the provider answered with status {status}"));
    match status {
        200..=299 => Outcome::Accepted(id.into_iter().collect()),
        408 | 425 | 429 | 500..=599 => Outcome::Unavailable(reason),
        _ => Outcome::Refused(code_of(reply.error.as_deref()), reason),
    }
}

/// The number of the error table for a provider's word.
pub(super) fn code_of(word: Option<&str>) -> u16 {
    match word {
        Some("unreachable") => error::MESSAGE_UNREACHABLE,
        Some("blocked") => error::MESSAGE_BLOCKED,
        Some("unknown-recipient") => error::MESSAGE_UNKNOWN_RECIPIENT,
        Some("no-texts") => error::MESSAGE_NO_TEXTS,
        Some("carrier") => error::MESSAGE_CARRIER,
        Some(_) | None => error::MESSAGE_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_identifiers_and_reasons_are_not_recorded() {
        let id = format!("{{\"id\":\"{}\"}}", "x".repeat(3_000));
        assert_eq!(outcome(200, id.as_bytes()), Outcome::Accepted(Vec::new()));
        let reason = format!("{{\"reason\":\"{}\"}}", "x".repeat(3_000));
        let short = Outcome::Refused(error::MESSAGE_FAILED, "x".repeat(MAX_REASON));
        assert_eq!(outcome(400, reason.as_bytes()), short);
    }

    #[test]
    fn a_request_that_may_have_arrived_is_in_doubt() {
        let io = |was_connected| Problem::Io {
            reason: String::new(),
            was_connected,
        };
        let limit = std::time::Duration::from_secs(1);
        assert!(was_sent(&io(true)) && was_sent(&Problem::Timeout { limit }));
        assert!(!was_sent(&io(false)) && !was_sent(&Problem::NoRoom));
    }

    #[test]
    fn answers_and_what_they_mean() {
        let refused = |code, reason: &str| Outcome::Refused(code, reason.to_owned());
        for (status, body, expected) in [
            (
                200,
                r#"{"id":"7"}"#,
                Outcome::Accepted(vec!["7".to_owned()]),
            ),
            (202, "", Outcome::Accepted(Vec::new())),
            (
                400,
                r#"{"error":"blocked","reason":"opted out"}"#,
                refused(error::MESSAGE_BLOCKED, "opted out"),
            ),
            (
                404,
                "<html>",
                refused(
                    error::MESSAGE_FAILED,
                    "the provider answered with status 404",
                ),
            ),
            (
                503,
                "",
                Outcome::Unavailable("the provider answered with status 503".to_owned()),
            ),
        ] {
            assert_eq!(outcome(status, body.as_bytes()), expected, "{status}");
        }
    }
}
