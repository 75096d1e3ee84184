//! A server that has as many calls as it may have refuses more of them at once.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use call_proto::{CreateError, Dialect, Document, Legs, NewCall};
use model::{DialectName, Target};
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{CallFilter, Scope, SecretKey, Store};
use support::{MAX_CALLS, SOON, call, server};

/// Speech that no call here needs.
struct Silent;

#[async_trait::async_trait]
impl Synthesizer for Silent {
    async fn speak(&self, _: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        panic!("no document speaks");
    }

    fn substitution(&self, _: &str, _: Voice) -> Option<String> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_above_the_limit_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("p.db").display());
    let store = Store::open(&url, SecretKey::random()).await.unwrap();
    let document = "<Response><Hangup/></Response>";
    let (engine, sip) = server(&folder, &store, Arc::new(Silent), document).await;
    let administrator = store.account_of_email("administrator@company.com").await;
    let account = administrator.unwrap().unwrap().sid;
    // A call that has ended leaves its place to another.
    call(&sip, &store).await;
    tokio::time::timeout(SOON, engine.idle()).await.unwrap();
    // A phone that never answers.
    let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("sip:silent@{}", phone.local_addr().unwrap());
    let new = || NewCall {
        account,
        from: "kim".to_owned(),
        target: Target::Sip(target.clone()),
        headers: Vec::new(),
        planned: Document::of_text(document.to_owned(), account).into(),
        send_digits: None,
        detection: None,
        callback: None,
        recording: None,
        timeout: Duration::from_secs(60),
        time_limit: None,
        credentials: None,
        legs: Legs::One,
        dialect: Dialect::of(DialectName::Twilio),
    };
    let all = async {
        for _ in 0..MAX_CALLS {
            assert_eq!(engine.create(new()).await.unwrap().len(), 1);
        }
        for _ in 0..3 {
            let refused = engine.create(new()).await;
            assert!(matches!(refused, Err(CreateError::Busy)), "{refused:?}");
        }
    };
    // Long before any of the calls ends.
    tokio::time::timeout(SOON, all).await.unwrap();
    let calls = CallFilter::of(Scope::Own(account));
    let calls = store.calls(&calls).await.unwrap();
    assert_eq!(calls.total, i64::try_from(MAX_CALLS).unwrap() + 1);
}
