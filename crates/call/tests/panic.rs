//! A panic in a part of the server ends the calls that needed it, and no record stays open.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::sync::Arc;

use model::{CallStatus, HangupBy};
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{CallFilter, DeliveryFilter, NotificationFilter, Scope, SecretKey, Store};
use support::{SOON, call, server};

/// Speech that fails in the task of the call, or in a job outside of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Faulty {
    Task,
    Job,
}

#[async_trait::async_trait]
impl Synthesizer for Faulty {
    async fn speak(&self, _: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        panic!("a fault in a job");
    }

    fn substitution(&self, _: &str, _: Voice) -> Option<String> {
        assert!(*self != Self::Task, "a fault in the task");
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_the_call_and_nothing_else() {
    for speech in [Faulty::Task, Faulty::Job] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        let document = "<Response><Say>Hello</Say></Response>";
        let (engine, sip) = server(&folder, &store, Arc::new(speech), document).await;
        call(&sip, &store).await;
        tokio::time::timeout(SOON, engine.idle()).await.unwrap();
        // The next call is accepted as if nothing had happened.
        call(&sip, &store).await;
        tokio::time::timeout(SOON, engine.idle()).await.unwrap();

        let administrator = store.account_of_email("administrator@company.com").await;
        let scope = Scope::Own(administrator.unwrap().unwrap().sid);
        let calls = store.calls(&CallFilter::of(scope)).await.unwrap();
        assert_eq!(calls.total, 2, "{speech:?}");
        for record in &calls.items {
            assert_eq!(record.status, CallStatus::Completed, "{speech:?}");
            assert_eq!(record.reason.as_deref(), Some("internal-failure"));
            assert_eq!(record.hangup_by, Some(HangupBy::Platform));
            assert!(record.ended.is_some());
            assert!(store.trace(record.sid.into()).await.unwrap().is_some());
        }
        let told = store
            .notifications(&NotificationFilter::of(scope))
            .await
            .unwrap();
        let codes: Vec<u16> = told.items.iter().map(|told| told.code).collect();
        assert_eq!(codes, [12400, 12400], "{speech:?}");
        let told = store.deliveries(&DeliveryFilter::default()).await.unwrap();
        let last = |callback: &&store::Delivery| {
            let status = ("CallStatus".to_owned(), "completed".to_owned());
            callback.callback.params.contains(&status)
        };
        assert_eq!(told.items.iter().filter(last).count(), 2, "{speech:?}");
    }
}
