//! `patchcord webhooks`: the results of callbacks, their replay, and the end of those that wait.
//!
//! **Invariant: it works with and without a running server.** Callbacks to be delivered again are
//! only marked in the database; the server picks them up within about a second, or at its next
//! start. So are those to be dropped that a server has in memory.

use anyhow::Result;
use model::address::redacted;
use model::text::one_line;
use model::{EventSid, Timestamp};
use store::{Delivery, DeliveryFilter, DeliveryState, Window};

use crate::calls::open;
use crate::cli::WhichWebhooks;
use crate::config::Config;
use crate::usage::WrongUsage;
use crate::{now, screen};

/// Prints the newest selected callbacks.
///
/// # Errors
/// If the database cannot be read.
pub(crate) async fn list(
    config: &Config,
    state: Option<DeliveryState>,
    which: &WhichWebhooks,
    limit: i64,
) -> Result<String> {
    let window = Window::at(0, limit);
    let filter = DeliveryFilter {
        window,
        state,
        ..filter(which)
    };
    let rows = open(config).await?.deliveries(&filter).await?;
    let mut text: String = rows.items.iter().map(line).collect();
    let shown = rows.items.len();
    text += &format!("{shown} of {}", rows.total);
    if rows.total > limit {
        text += "; `--limit N` shows more";
    }
    text.push('\n');
    Ok(screen::list(&text))
}

/// Prints one callback with everything known about it.
///
/// # Errors
/// If the database cannot be read, or has no such callback.
pub(crate) async fn show(config: &Config, event: EventSid) -> Result<String> {
    let Some(found) = open(config).await?.delivery(event).await? else {
        return Err(unknown(event).into());
    };
    Ok(details(&found))
}

/// Requests that callbacks be delivered again: one, or the selected ones.
///
/// # Errors
/// If the database cannot be written, or has no such callback.
pub(crate) async fn replay(
    config: &Config,
    event: Option<EventSid>,
    state: Option<DeliveryState>,
    which: &WhichWebhooks,
) -> Result<String> {
    let inspect = open(config).await?;
    let filter = DeliveryFilter {
        event,
        state,
        ..filter(which)
    };
    let one = match event {
        Some(event) => {
            let found = inspect.delivery(event).await?;
            Some(found.ok_or_else(|| unknown(event))?)
        }
        None => None,
    };
    let count = inspect.replay(&filter, now()).await?;
    let why = one.filter(|_| count == 0).map(|one| match one.state {
        DeliveryState::Pending => pending(&one),
        DeliveryState::Delivered | DeliveryState::Dead => {
            format!(": {} does not match the other filters", one.callback.event)
        }
    });
    Ok(format!(
        "{count} queued for delivery again{}\n",
        why.unwrap_or_default()
    ))
}

/// Drops callbacks that wait: one, or the selected ones.
///
/// # Errors
/// If the database cannot be written, or has no such callback.
pub(crate) async fn drop_waiting(
    config: &Config,
    event: Option<EventSid>,
    which: &WhichWebhooks,
) -> Result<String> {
    let inspect = open(config).await?;
    let filter = DeliveryFilter {
        event,
        ..filter(which)
    };
    let one = match event {
        Some(event) => {
            let found = inspect.delivery(event).await?;
            Some(found.ok_or_else(|| unknown(event))?)
        }
        None => None,
    };
    let count = inspect.drop_callbacks(&filter, now()).await?;
    let why = one
        .filter(|_| count == 0)
        .map(|one| not_dropped(&one))
        .unwrap_or_default();
    Ok(format!("{count} dropped{why}\n"))
}

/// Why a callback was not dropped.
fn not_dropped(delivery: &Delivery) -> String {
    let event = delivery.callback.event;
    match delivery.state {
        DeliveryState::Pending => {
            format!(": {event} does not match the other filters, or is being dropped already")
        }
        state @ (DeliveryState::Delivered | DeliveryState::Dead) => {
            format!(": {event} is {state}; only callbacks that wait can be dropped")
        }
    }
}

/// Why a callback was not queued again: it has not ended.
fn pending(delivery: &Delivery) -> String {
    let next = match delivery.next_at {
        Some(at) => format!("its next attempt is at {}", at.iso8601()),
        None => last(delivery),
    };
    format!(": {} is still pending; {next}", delivery.callback.event)
}

fn unknown(event: EventSid) -> WrongUsage {
    WrongUsage(format!(
        "there is no callback {event} in this database; `patchcord webhooks list` shows them"
    ))
}

fn filter(which: &WhichWebhooks) -> DeliveryFilter {
    DeliveryFilter {
        lane: which.lane,
        created_from: which.from,
        created_until: which.until,
        ..DeliveryFilter::default()
    }
}

/// Response status and reason of the last attempt.
fn last(delivery: &Delivery) -> String {
    match (&delivery.error, delivery.http_status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) if delivery.callback.sequence > 0 => {
            format!(
                "not tried, or waiting for #{}",
                delivery.callback.sequence - 1
            )
        }
        (None, None) => "not tried".to_owned(),
    }
}

/// Host of the application, and the subject of the callback.
fn about(delivery: &Delivery) -> String {
    let callback = &delivery.callback;
    let url = redacted(&callback.url);
    let after = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    let host = after.split(['/', '?']).next().unwrap_or_default();
    let names = [
        "RecordingStatus",
        "StreamEvent",
        "CallStatus",
        "MessageStatus",
        "StatusCallbackEvent",
    ];
    let status = names.iter().find_map(|name| {
        let mut params = callback.params.iter();
        params.find(|(known, _)| known == name)
    });
    match status {
        Some((_, status)) => format!("{status} to {host}"),
        None => host.to_owned(),
    }
}

fn line(delivery: &Delivery) -> String {
    let callback = &delivery.callback;
    let line = format!(
        "{}  {}  {} #{} {}  {} after {}: {}",
        callback.created.iso8601(),
        callback.event,
        callback.lane,
        callback.sequence,
        about(delivery),
        delivery.state,
        delivery.attempts,
        last(delivery),
    );
    one_line(&line) + "\n"
}

fn details(delivery: &Delivery) -> String {
    let callback = &delivery.callback;
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), Timestamp::iso8601);
    let mut text = format!(
        "event     {}\naccount   {}\nlane      {} #{}\nrequest   {} {}\nstate     {}\n\
         attempts  {}\nlast      {}\nnext      {}\ncreated   {}\nended     {}\nreplayed  {}\n",
        callback.event,
        callback.account,
        callback.lane,
        callback.sequence,
        callback.method,
        one_line(&redacted(&callback.url)),
        delivery.state,
        delivery.attempts,
        one_line(&last(delivery)),
        time(delivery.next_at),
        callback.created.iso8601(),
        time(delivery.ended),
        time(delivery.replayed),
    );
    for (name, value) in &callback.params {
        text += &format!("  {name} = {}\n", one_line(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::record::Callback;
    use model::{AccountSid, CallSid, HttpMethod};

    #[test]
    fn shows_what_happened_without_secrets() {
        let dead = Delivery {
            callback: Callback {
                author: AccountSid::from_bytes([2; 16]),
                event: EventSid::from_bytes([1; 16]),
                account: AccountSid::from_bytes([2; 16]),
                lane: CallSid::from_bytes([3; 16]).into(),
                call: Some(CallSid::from_bytes([3; 16])),
                sequence: 2,
                url: "https://bob:secret@app.example/s".to_owned(),
                method: HttpMethod::Post,
                params: vec![
                    ("CallStatus".to_owned(), "completed".to_owned()),
                    ("From".to_owned(), "k\x1bim\n".to_owned()),
                ],
                created: Timestamp(0),
            },
            state: DeliveryState::Dead,
            attempts: 7,
            http_status: Some(503),
            error: Some("the response has status 503".to_owned()),
            next_at: None,
            ended: Some(Timestamp(1_000_000)),
            replayed: None,
        };
        let waiting = Delivery {
            state: DeliveryState::Pending,
            next_at: Some(Timestamp(1_000_000)),
            ..dead.clone()
        };
        assert_eq!(
            pending(&waiting),
            ": EV01010101010101010101010101010101 is still pending; its next attempt is at 1970-01-01T00:00:01.000Z"
        );
        let event = "EV01010101010101010101010101010101";
        assert_eq!(
            not_dropped(&dead),
            format!(": {event} is dead; only callbacks that wait can be dropped")
        );
        assert_eq!(
            not_dropped(&waiting),
            format!(": {event} does not match the other filters, or is being dropped already")
        );
        let call = "CA03030303030303030303030303030303";
        assert_eq!(
            line(&dead),
            format!(
                "1970-01-01T00:00:00.000Z  EV01010101010101010101010101010101  {call} #2 completed to app.example  \
                 dead after 7: the response has status 503\n"
            )
        );
        let text = details(&dead);
        assert!(text.contains("POST https://app.example/s\n") && !text.contains("secret"));
        assert!(
            text.contains("ended     1970-01-01T00:00:01.000Z\nreplayed  -\n"),
            "{text}"
        );
        assert!(
            text.ends_with("  CallStatus = completed\n  From = k\u{fffd}im\u{fffd}\n"),
            "{text}"
        );
    }
}
