//! `patchcord notifications`: the problems that accounts were notified of, for the operator.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use model::address::redacted;
use model::record::Notification;
use model::text::one_line;
use model::{Level, NotificationSid, Timestamp};
use store::{NotificationsOf, RowKey};

use crate::calls::open;
use crate::config::Config;
use crate::{print, screen};

/// How often the database is polled for new ones.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Read at once.
const PAGE: i64 = 1_000;
/// How much older than the newest one a notification may be when it is stored: a server whose disk cannot
/// be written stores them later.
const LATE: Duration = Duration::from_secs(10 * 60);

/// Prints the newest notifications, oldest first; with `follow` also new ones, until interrupted.
///
/// # Errors
/// If the database cannot be read, or the output is closed.
pub(crate) async fn list(
    config: &Config,
    of: NotificationsOf,
    limit: i64,
    follow: bool,
) -> Result<()> {
    let inspect = open(config).await?;
    let read = async |after| Ok(inspect.notifications_after(of, after, PAGE).await?);
    // One more shows whether there are others.
    let mut newest = inspect.notifications(of, limit.saturating_add(1)).await?;
    let is_cut = i64::try_from(newest.len()).is_ok_and(|found| found > limit);
    if is_cut {
        newest.remove(0);
    }
    if newest.is_empty() && !is_cut && !follow {
        return print("no notifications\n");
    }
    let mut seen = Seen::default();
    for notification in &newest {
        seen.add(notification);
        print(&screen::list(&line(notification)))?;
    }
    if !follow {
        let rest = format!("the newest {limit}; `--limit N` shows more\n");
        return if is_cut { print(&rest) } else { Ok(()) };
    }
    if let Some(oldest) = newest.first().filter(|_| is_cut) {
        // Those that are older than what was asked for are not new.
        let found = unseen(&mut seen, read).await?;
        print_all(found.iter().filter(|other| key(other) > key(oldest)))?;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        print_all(&unseen(&mut seen, read).await?)?;
    }
}

fn print_all<'a>(notifications: impl IntoIterator<Item = &'a Notification>) -> Result<()> {
    notifications
        .into_iter()
        .try_for_each(|one| print(&screen::list(&line(one))))
}

/// What was seen within [`LATE`] of the newest.
#[derive(Default)]
struct Seen(BTreeSet<(Timestamp, NotificationSid)>);

impl Seen {
    /// False if it was seen before.
    fn add(&mut self, notification: &Notification) -> bool {
        let is_new = self.0.insert(key(notification));
        let from = self.from();
        while self.0.first().is_some_and(|(created, _)| *created < from) {
            self.0.pop_first();
        }
        is_new
    }

    /// Older ones are no longer looked for.
    fn from(&self) -> Timestamp {
        let newest = self.0.last().map(|(created, _)| *created);
        newest.map_or(Timestamp(0), |newest| newest - LATE)
    }
}

fn key(notification: &Notification) -> (Timestamp, NotificationSid) {
    (notification.created, notification.sid)
}

/// All that were not seen before, in pages from `read`, oldest first.
async fn unseen(
    seen: &mut Seen,
    read: impl AsyncFn(RowKey) -> Result<Vec<Notification>>,
) -> Result<Vec<Notification>> {
    let mut found = Vec::new();
    let mut after = RowKey {
        created: seen.from(),
        sid: String::new(),
    };
    loop {
        let page = read(after).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = RowKey {
            created: last.created,
            sid: last.sid.to_string(),
        };
        found.extend(page.into_iter().filter(|one| seen.add(one)));
    }
}

fn line(notification: &Notification) -> String {
    let is_error = notification.level == Level::Error.number();
    let level = if is_error { "error" } else { "warning" };
    let place = match (notification.line, notification.column) {
        (Some(line), Some(column)) => format!(" {line}:{column}"),
        _ => String::new(),
    };
    let url = notification.request_url.as_deref();
    let url = url.map_or_else(String::new, |url| format!("  {}{place}", redacted(url)));
    let line = format!(
        "{}  {}  {level} {}  {}{url}",
        notification.created.iso8601(),
        notification.lane,
        notification.code,
        notification.text,
    );
    one_line(&line) + "\n"
}

#[cfg(test)]
mod tests {
    use model::CallSid;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn notification(created: i64, number: u8) -> Notification {
        let call = CallSid::from_bytes([1; 16]);
        Notification {
            sid: NotificationSid::from_bytes([number; 16]),
            account: model::AccountSid::from_bytes([1; 16]),
            lane: call.into(),
            call: Some(call),
            level: Level::Error.number(),
            code: 11205,
            text: String::new(),
            request_url: None,
            request_method: None,
            line: None,
            column: None,
            created: Timestamp(created),
        }
    }

    #[test]
    fn a_stranger_cannot_write_to_the_terminal() {
        let text = line(&Notification {
            text: "`\x1b]0;\x07` was\nrefused".to_owned(),
            ..notification(0, 1)
        });
        let expected = "  `\u{fffd}]0;\u{fffd}` was\u{fffd}refused\n";
        assert!(text.ends_with(expected), "{text:?}");
    }

    /// The numbers of those that are new, from a database with pages of two rows.
    async fn look(seen: &mut Seen, stored: &mut [Notification]) -> Vec<u8> {
        stored.sort_by_key(key);
        let read = async |after: RowKey| {
            let newer = |one: &&Notification| {
                (one.created, one.sid.to_string()) > (after.created, after.sid.clone())
            };
            Ok(stored.iter().filter(newer).take(2).cloned().collect())
        };
        let found = unseen(seen, read).await.unwrap();
        found.iter().map(|one| one.sid.as_bytes()[0]).collect()
    }

    #[tokio::test]
    async fn each_is_seen_once_even_if_it_is_stored_late() {
        let mut seen = Seen::default();
        let mut stored: Vec<_> = (1..=5).map(|n| notification(20 * MINUTE, n)).collect();
        assert_eq!(look(&mut seen, &mut stored).await, [1, 2, 3, 4, 5]);
        assert_eq!(look(&mut seen, &mut stored).await, [0; 0]);
        stored.push(notification(11 * MINUTE, 6));
        stored.push(notification(21 * MINUTE, 7));
        assert_eq!(look(&mut seen, &mut stored).await, [6, 7]);
        // Too late: not looked for, and not kept in memory.
        stored.push(notification(10 * MINUTE, 8));
        stored.push(notification(40 * MINUTE, 9));
        assert_eq!(look(&mut seen, &mut stored).await, [9]);
        assert_eq!(seen.0.len(), 1);
    }
}
