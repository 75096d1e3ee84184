//! `patchcord notifications`: the problems that accounts were notified of, for the operator.

use std::time::Duration;

use anyhow::Result;
use model::address::redacted;
use model::record::Notification;
use model::{CallSid, Level};
use store::RowKey;

use crate::calls::open;
use crate::config::Config;
use crate::print;

/// How often the database is polled for new ones.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Maximum new ones printed at a time.
const AT_ONCE: i64 = 1_000;

/// Prints the newest notifications, oldest first; with `follow` also new ones, until interrupted.
///
/// # Errors
/// If the database cannot be read, or the output is closed.
pub(crate) async fn list(
    config: &Config,
    call: Option<CallSid>,
    limit: i64,
    follow: bool,
) -> Result<()> {
    let inspect = open(config).await?;
    let mut found = inspect.notifications(call, None, limit).await?;
    if found.is_empty() && !follow {
        return print("no notifications\n");
    }
    let mut last = RowKey {
        created: model::Timestamp(0),
        sid: String::new(),
    };
    loop {
        for notification in &found {
            print(&line(notification))?;
            last = RowKey {
                created: notification.created,
                sid: notification.sid.to_string(),
            };
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
        found = inspect
            .notifications(call, Some(last.clone()), AT_ONCE)
            .await?;
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
    format!(
        "{}  {}  {level} {}  {}{url}\n",
        notification.created.iso8601(),
        notification.lane,
        notification.code,
        notification.text,
    )
}
