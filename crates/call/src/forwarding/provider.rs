//! What an HTTP provider posts: texts, and receipts for the messages that it took. `docs/messaging.md` describes the requests.
//!
//! **Invariant: a text is stored once, whatever is repeated**: the identifier of its record is made of the provider's own.

use call_proto::forwarding::{ProviderPost, ProviderRefusal, ReceiptNews};
use model::message_route::{MessageRoute, RouteSettings};
use model::{AccountSid, MessageRouteSid, MessageSid, MessageStatus};
use serde::Deserialize;
use webhook::Signed;

use super::http::code_of;
use super::receipts::Desk;
use crate::engine::Engine;
use crate::texts::{ArrivalError, InboundText};

/// Longest sender, recipient and identifier, in bytes.
const MAX_NAME: usize = 254;
/// Longest text, in characters: that of ten segments.
const MAX_TEXT: usize = 1_600;

#[derive(Deserialize)]
#[serde(untagged)]
enum Post {
    Receipt(Receipt),
    Text(Text),
}

#[derive(Deserialize)]
struct Receipt {
    id: String,
    status: String,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    id: String,
    from: String,
    to: String,
    body: String,
}

impl Engine {
    /// The account of an HTTP provider's route, if the request is signed with the route's secret.
    ///
    /// # Errors
    /// [`ProviderRefusal`] if it is not.
    pub async fn check_provider(
        &self,
        route: MessageRouteSid,
        post: &ProviderPost,
    ) -> Result<AccountSid, ProviderRefusal> {
        let found = self.provider(route).await?;
        let Some(secret) = &found.secret else {
            return Err(ProviderRefusal::NotSigned("the route has no Secret"));
        };
        let signed = Signed {
            event: &post.event,
            method: model::HttpMethod::Post,
            url: &post.url,
            body: &post.body,
        };
        let now_s = crate::now().as_millis() / 1_000;
        if !signed.is_genuine(secret, &post.signature, now_s) {
            return Err(ProviderRefusal::NotSigned(
                "the signature is missing, wrong, or more than five minutes old",
            ));
        }
        Ok(found.account)
    }

    /// Records what a provider posted, which must have been checked. Returns the message that it is, or is about.
    ///
    /// # Errors
    /// [`ProviderRefusal`] if nothing was recorded.
    pub async fn provider_posted(
        &self,
        route: MessageRouteSid,
        body: &str,
    ) -> Result<MessageSid, ProviderRefusal> {
        let found = self.provider(route).await?;
        let post = serde_json::from_str(body).map_err(|_| {
            let text = "the body is neither a text, {\"id\", \"from\", \"to\", \"body\"}, nor a receipt, {\"id\", \"status\", \"error\"}";
            ProviderRefusal::NotUnderstood(text.to_owned())
        })?;
        match post {
            Post::Receipt(receipt) => self.provider_receipt(found.sid, receipt).await,
            Post::Text(text) => self.provider_text(&found, text).await,
        }
    }

    async fn provider(&self, sid: MessageRouteSid) -> Result<MessageRoute, ProviderRefusal> {
        let shared = &self.shared;
        let routes = shared.forwarding.routes(&shared.parts.store).await;
        let routes = routes.map_err(|_| ProviderRefusal::Busy)?;
        let is_it = |route: &&MessageRoute| {
            route.sid == sid && route.enabled && matches!(route.settings, RouteSettings::Http(_))
        };
        let found = routes.iter().find(is_it).cloned();
        found.ok_or(ProviderRefusal::NoRoute)
    }

    fn desk(&self, route: MessageRouteSid) -> Desk {
        Desk {
            engine: self.clone(),
            route,
            health: std::sync::Arc::clone(&self.shared.forwarding.health),
        }
    }

    async fn provider_receipt(
        &self,
        route: MessageRouteSid,
        receipt: Receipt,
    ) -> Result<MessageSid, ProviderRefusal> {
        let status = match receipt.status.as_str() {
            "delivered" => MessageStatus::Delivered,
            "undelivered" => MessageStatus::Undelivered,
            "failed" => MessageStatus::Failed,
            other => {
                let text = format!(
                    "status: `{}` is not delivered, undelivered or failed",
                    other.chars().take(40).collect::<String>()
                );
                return Err(ProviderRefusal::NotUnderstood(text));
            }
        };
        named("id", &receipt.id)?;
        let is_delivered = status == MessageStatus::Delivered;
        let reason = match &receipt.error {
            Some(error) if !is_delivered => {
                let error: String = error.chars().take(200).collect();
                format!("{status}: {error}")
            }
            Some(_) | None => status.to_string(),
        };
        let news = ReceiptNews {
            status,
            code: (!is_delivered).then(|| code_of(receipt.error.as_deref())),
            reason,
        };
        let about = self.desk(route).news(&receipt.id, &news).await;
        about
            .map_err(|_| ProviderRefusal::Busy)?
            .ok_or(ProviderRefusal::NoMessage)
    }

    async fn provider_text(
        &self,
        route: &MessageRoute,
        text: Text,
    ) -> Result<MessageSid, ProviderRefusal> {
        for (name, value) in [("id", &text.id), ("from", &text.from), ("to", &text.to)] {
            named(name, value)?;
        }
        if text.body.is_empty() || text.body.chars().count() > MAX_TEXT {
            let text = format!("body: write from 1 to {MAX_TEXT} characters");
            return Err(ProviderRefusal::NotUnderstood(text));
        }
        let store = &self.shared.parts.store;
        let name = format!("{}:{}", route.sid, text.id);
        let sid = format!("SM{}", store.key().sign("provider text", &name));
        let sid: MessageSid = sid.parse().map_err(|_| ProviderRefusal::Busy)?;
        let known = store
            .message(sid)
            .await
            .map_err(|_| ProviderRefusal::Busy)?;
        if known.is_some() {
            return Ok(sid);
        }
        self.desk(route.sid).count_text();
        let arrived = self.message_arrived(InboundText {
            sid: Some(sid),
            from: text.from,
            to: text.to,
            body: text.body,
            via: route.name.clone(),
            headers: Vec::new(),
        });
        arrived.await.map_err(|why| match why {
            ArrivalError::Busy => ProviderRefusal::Busy,
            ArrivalError::Refused(text) => ProviderRefusal::NoApplication(text),
        })
    }
}

fn named(name: &str, value: &str) -> Result<(), ProviderRefusal> {
    let is_fine = !value.is_empty() && value.len() <= MAX_NAME && !value.contains(char::is_control);
    if is_fine {
        return Ok(());
    }
    let text = format!("{name}: write from 1 to {MAX_NAME} bytes without control characters");
    Err(ProviderRefusal::NotUnderstood(text))
}
