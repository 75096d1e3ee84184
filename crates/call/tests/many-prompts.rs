//! A `<Gather>` with more prompts than are kept in memory does not hang the call.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::sync::Arc;

use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{CallFilter, Scope, SecretKey, Store};
use support::{SOON, call, server};

/// Speaks everything in 20 ms.
struct Quick;

#[async_trait::async_trait]
impl Synthesizer for Quick {
    async fn speak(&self, _: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        Ok(vec![0; 160].into())
    }

    fn substitution(&self, _: &str, _: Voice) -> Option<String> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_that_are_not_kept_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("p.db").display());
    let store = Store::open(&url, SecretKey::random()).await.unwrap();
    let prompts = "<Say>word</Say>".repeat(70);
    let document = format!("<Response><Gather timeout='1'>{prompts}</Gather></Response>");
    let (engine, sip) = server(&folder, &store, Arc::new(Quick), &document).await;
    call(&sip, &store).await;
    tokio::time::timeout(SOON, engine.idle()).await.unwrap();

    let administrator = store.account_of_email("administrator@company.com").await;
    let scope = Scope::Own(administrator.unwrap().unwrap().sid);
    let calls = store.calls(&CallFilter::of(scope)).await.unwrap();
    let trace = store.trace(calls.items[0].sid.into()).await.unwrap();
    let entries = call::unpack_trace(&trace.unwrap()).unwrap();
    let left_out = entries.iter().filter(|entry| entry.what == "not played");
    assert_eq!(left_out.count(), 70 - 64);
}
