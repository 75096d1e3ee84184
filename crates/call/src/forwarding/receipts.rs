//! What providers send: receipts for the messages that they took, and texts.
//!
//! **Invariant: what is acknowledged is on record, or about nothing that we know.**

use std::time::Duration;

use call_proto::forwarding::{ReceiptNews, receipt};
use model::message_route::IdBase;
use model::{MessageRouteSid, MessageSid, MessageStatus};
use smpp_proto::receipt::{candidates, error_code};
use smpp_proto::{Arrived, Receipt, ReceiptState, status};
use store::{Change, MessagePart, StoreError};
use tracing::debug;

use super::{HealthTable, changes_of, count, deliver, read_back};
use crate::engine::Engine;
use crate::texts::{ArrivalError, InboundText};

/// A receipt may come before the answer to the submission is on record: how long it is looked for, each
/// time.
const LOOKS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(3),
];

/// Records what one link receives.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) route: MessageRouteSid,
    pub(super) health: HealthTable,
}

/// Which message a receipt may be about.
pub(super) struct About {
    /// The routes that lead to this provider.
    pub(super) routes: Vec<MessageRouteSid>,
    /// How it writes identifiers.
    pub(super) base: IdBase,
    /// The address that the receipt names as its source, which is the recipient of the message.
    pub(super) from: String,
}

impl Desk {
    /// Records a text; returns the status of the acknowledgement.
    pub(super) async fn text(&self, text: Arrived, via: &str) -> u32 {
        self.count_text();
        let arrived = self.engine.message_arrived(InboundText {
            sid: None,
            from: text.from,
            to: text.to,
            body: text.text,
            via: via.to_owned(),
            headers: Vec::new(),
        });
        match arrived.await {
            Ok(_) => status::OK,
            Err(ArrivalError::Busy) => status::TEMPORARY,
            Err(ArrivalError::Refused(reason)) => {
                debug!(%reason, "a text from a provider was refused");
                status::PERMANENT
            }
        }
    }

    /// Records a receipt; returns the status of the acknowledgement.
    pub(super) async fn receipt(&self, found: &Receipt, about: &About) -> u32 {
        let (status, words) = match found.state {
            ReceiptState::Underway => return status::OK,
            ReceiptState::Delivered => (MessageStatus::Delivered, "delivered"),
            ReceiptState::Undelivered => (MessageStatus::Undelivered, "not delivered"),
            ReceiptState::Failed => (MessageStatus::Failed, "given up"),
        };
        let code = match status {
            MessageStatus::Delivered => None,
            _ => found
                .error
                .as_deref()
                .and_then(error_code)
                .or(Some(model::error::MESSAGE_FAILED)),
        };
        let error = found.error.as_deref().filter(|_| code.is_some());
        let error = error.map_or(String::new(), |error| format!(", error {error}"));
        let news = ReceiptNews {
            status,
            code,
            reason: format!("{words}: {}{error}", found.word),
        };
        let names = candidates(&found.id, about.base);
        match self.settle(&names, &news, about).await {
            Ok(_) => status::OK,
            // The SMSC repeats it.
            Err(_) => status::TEMPORARY,
        }
    }

    /// Records a receipt that names its message exactly. Returns the message; `None` if there is none.
    pub(super) async fn news(
        &self,
        id: &str,
        news: &ReceiptNews,
    ) -> Result<Option<MessageSid>, StoreError> {
        let about = About {
            routes: vec![self.route],
            base: IdBase::Any,
            from: String::new(),
        };
        self.settle(&[id.to_owned()], news, &about).await
    }

    /// Counts a text that arrived.
    pub(super) fn count_text(&self) {
        count(&self.health, self.route, |health| health.arrived += 1);
    }

    async fn settle(
        &self,
        names: &[String],
        news: &ReceiptNews,
        about: &About,
    ) -> Result<Option<MessageSid>, StoreError> {
        let found = self.look_for(names, news, about).await?;
        count(&self.health, self.route, |health| {
            if found.is_some() {
                health.receipts += 1;
            } else {
                health.unknown_receipts += 1;
            }
        });
        Ok(found)
    }

    /// Finds the message of a receipt and records the news; `None` if there is none.
    async fn look_for(
        &self,
        names: &[String],
        news: &ReceiptNews,
        about: &About,
    ) -> Result<Option<MessageSid>, StoreError> {
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            let store = &self.engine.shared.parts.store;
            if let Some(part) = store.message_part(&about.routes, names).await? {
                let message = part.message;
                // One that matches only in another base may be another's, while its own is not on record yet.
                if self.apply(part, names, news, &about.from).await? {
                    return Ok(Some(message));
                }
            }
        }
        Ok(None)
    }

    async fn apply(
        &self,
        part: MessagePart,
        names: &[String],
        news: &ReceiptNews,
        from: &str,
    ) -> Result<bool, StoreError> {
        let shared = &self.engine.shared;
        let store = &shared.parts.store;
        let Some((mut queued, mut parts)) = store.forwarded_message(part.message).await? else {
            return Ok(false);
        };
        // An identifier that matches only in another base must not be that of another message.
        let digits = |text: &str| text.trim_start_matches('+').to_owned();
        let is_exact = names.first() == Some(&part.provider_id);
        if !is_exact && digits(from) != digits(&queued.message.to) {
            return Ok(false);
        }
        let mut changes = vec![Change::MessagePartDone {
            part: Box::new(part.clone()),
            state: news.status,
        }];
        // Receipts of other segments may arrive at the same moment, also at another server. Each is on record before the others
        // are looked at, so that the last one sees them all; the message changes its status only once.
        if parts.len() > 1 {
            store.commit(std::mem::take(&mut changes)).await?;
            let Some(found) = store.forwarded_message(part.message).await? else {
                return Ok(false);
            };
            (queued, parts) = found;
        }
        let others: Vec<Option<MessageStatus>> = parts
            .iter()
            .filter(|other| other.part != part.part && other.route == part.route)
            .map(|other| other.state)
            .collect();
        let farewell = queued.farewell.as_deref().and_then(read_back);
        let now = shared.forwarding.clock.now();
        let moved = receipt(
            &queued.message,
            farewell,
            news,
            &others,
            rand::random(),
            now,
        );
        let place = changes.len();
        changes.extend(moved.iter().flat_map(changes_of));
        if changes.is_empty() {
            return Ok(true);
        }
        let committed = store.commit(changes).await?;
        if let Some(moved) = moved.filter(|_| committed.applied(place)) {
            deliver(&shared.parts.callbacks, moved);
        }
        Ok(true)
    }
}
