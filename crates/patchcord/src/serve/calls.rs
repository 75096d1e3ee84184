//! Live calls, as the API wants to see them.

use std::time::Duration;

use api::{Calls, CreateError, Modify, ModifyError, NewCall};
use async_trait::async_trait;
use call::Engine;
use call_proto::{Document, Fallback, Redirect};
use model::record::CallRecord;
use model::{AccountSid, Bare, CallSid, CallStatus, HttpMethod, Target};
use store::Store;

/// The engine behind the API.
pub(super) struct LiveCalls {
    engine: Engine,
    store: Store,
}

impl LiveCalls {
    pub(super) fn new(engine: Engine, store: Store) -> Self {
        Self { engine, store }
    }
}

#[async_trait]
impl Calls for LiveCalls {
    async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        let (method, events) = (new.status_callback_method, new.status_callback_events);
        let callback = new.status_callback.map(|url| (url, method, events));
        let made = self.engine.create(call::NewCall {
            account: new.account,
            from: new.from,
            target: Target::parse(&new.to, Bare::Number),
            headers: headers(new.headers),
            document: Document {
                url: new.url,
                method: new.method,
                author: new.author,
                fallback: new
                    .fallback_url
                    .map(|url| fallback(url, new.fallback_method, new.author)),
            },
            callback,
            timeout: Duration::from_secs(u64::from(new.timeout_s)),
            credentials: new.username.zip(new.password),
        });
        made.await.map_err(|error| match error {
            call::CreateError::Unreachable(text) => CreateError::Unreachable(text),
            call::CreateError::Busy => CreateError::Busy,
            call::CreateError::Store => CreateError::Failed(error.to_string()),
        })
    }

    async fn modify(
        &self,
        sid: CallSid,
        author: AccountSid,
        modify: Modify,
    ) -> Result<CallRecord, ModifyError> {
        let failed = |error: store::StoreError| ModifyError::Failed(error.to_string());
        let record = self
            .store
            .call(sid)
            .await
            .map_err(failed)?
            .ok_or(ModifyError::NotFound)?;
        if modify.mute.is_some() {
            return Err(ModifyError::BadValue(
                "Mute: muting is not built yet".to_owned(),
            ));
        }
        let change = match (modify.status, modify.url) {
            (Some(CallStatus::Canceled), _) => call_proto::Modify::Cancel,
            (Some(_), _) => call_proto::Modify::Complete,
            (None, Some(url)) => call_proto::Modify::Redirect(Box::new(Redirect {
                document: Document {
                    url,
                    method: modify.method.unwrap_or(HttpMethod::Post),
                    author,
                    fallback: modify.fallback_url.map(|url| {
                        let method = modify.fallback_method.unwrap_or(HttpMethod::Post);
                        fallback(url, method, author)
                    }),
                },
                status_callback: modify.status_callback.map(|url| {
                    (
                        url,
                        modify.status_callback_method.unwrap_or(HttpMethod::Post),
                    )
                }),
                move_connected_leg: modify.move_connected_leg,
            })),
            (None, None) => return Ok(record),
        };
        match self.engine.modify(sid, change) {
            Ok(()) => Ok(record),
            Err(call::ModifyError::NotLive) => Err(ModifyError::NotLive),
        }
    }
}

fn fallback(url: String, method: HttpMethod, author: AccountSid) -> Fallback {
    Fallback {
        url,
        method,
        author,
    }
}

/// Custom headers travel as `X-…`.
fn headers(given: Vec<(String, String)>) -> Vec<(String, String)> {
    let named = |(name, value): (String, String)| {
        let name = if name.starts_with("X-") {
            name
        } else {
            format!("X-{name}")
        };
        (name, value)
    };
    given.into_iter().map(named).collect()
}
