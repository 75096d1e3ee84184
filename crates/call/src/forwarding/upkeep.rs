//! What is looked after every second: accounts that are no longer active, texts that stay incomplete, and routes that are down.

use std::collections::BTreeSet;
use std::time::Duration;

use model::record::Notification;
use model::{AccountStatus, MessageRouteSid, NotificationSid};
use store::Change;
use tracing::warn;

use super::Task;
use super::receipts::Desk;

/// How soon an account is notified again that a route is down.
const NOTIFY_AGAIN: Duration = Duration::from_secs(600);

impl Task {
    /// Notifies the account of a route, but not again and again while it stays down.
    pub(super) fn notify_down(&mut self, route: MessageRouteSid, reason: &str) {
        let now = self.clock.now();
        let last = self.notified.get(&route);
        let Some(row) = self
            .rows
            .get(&route)
            .filter(|_| last.is_none_or(|last| now.since(*last) >= NOTIFY_AGAIN))
        else {
            return;
        };
        let sid = NotificationSid::new(now, rand::random());
        let text = format!("the message route {} is down: {reason}", row.name);
        let code = model::error::MESSAGE_ROUTE_DOWN;
        let notification = Notification::of_account(sid, row.account, code, text, now);
        self.notified.insert(route, now);
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let change = Change::Notification(Box::new(notification));
            if let Err(error) = engine.shared.parts.store.commit(vec![change]).await {
                warn!(%error, "a notification cannot be stored");
            }
        });
    }

    /// Has the messages of accounts end that were suspended or closed.
    pub(super) async fn notice_inactive(&mut self) {
        let store = &self.engine.shared.parts.store;
        let mut inactive = BTreeSet::new();
        for sid in self.machine.accounts() {
            match store.account(sid).await {
                Ok(found) => {
                    let is_active =
                        found.is_some_and(|account| account.status == AccountStatus::Active);
                    inactive.extend((!is_active).then_some(sid));
                }
                Err(error) => return warn!(%error, "the accounts of messages cannot be read"),
            }
        }
        self.machine.set_inactive(inactive, self.clock.now());
    }

    /// Takes the texts of which segments are missing for good.
    pub(super) fn give_up_texts(&mut self) {
        let desks: Vec<Desk> = self.links.keys().map(|route| self.desk(*route)).collect();
        for (link, desk) in self.links.values_mut().zip(desks) {
            link.give_up_texts(desk, &self.rows);
        }
    }
}
