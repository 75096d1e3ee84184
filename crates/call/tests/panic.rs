//! A panic in a part of the server ends the calls that needed it, and no record stays open.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use call::{
    Engine, EngineConfig, Parts, Refusals, StoreDirectory, StoreKeyring, StoreOutbox,
    StrangerLimits,
};
use media::{MediaConfig, MediaPlane};
use model::egress::Guard;
use model::record::{Number, VoiceApplication};
use model::{CallStatus, HangupBy, HttpMethod, NumberSid, Timestamp};
use sip::{InviteSpec, LegCommand, LegEvent, Sip, SipConfig};
use speech::{SpeakRequest, SpeechError, Synthesizer, Voice};
use store::{AdminSeed, CallFilter, DeliveryFilter, NotificationFilter, Scope, SecretKey, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use webhook::{
    AddressPolicy, CallbackConfig, Callbacks, FetchConfig, Fetcher, MediaCache, MediaLimits,
};

const SOON: Duration = Duration::from_secs(10);
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";

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

/// An application that speaks a text, whatever the request.
async fn application() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 8192];
                let _ = stream.read(&mut asked).await;
                let body = "<Response><Say>Hello</Say></Response>";
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn local() -> SipConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    SipConfig {
        udp: any,
        tcp: any,
        domain: "example.com".to_owned(),
        ..SipConfig::default()
    }
}

async fn server(folder: &tempfile::TempDir, store: &Store, speech: Faulty) -> (Engine, Sip) {
    let seed = AdminSeed::default();
    let made = store.first_start("example.com", seed).await.unwrap();
    let administrator = made.unwrap().sid;
    let organization = store.default_organization().await.unwrap().unwrap().sid;
    let app = application().await;
    let url = |path: &str| Some(format!("http://{app}/{path}"));
    let number = Number {
        sid: NumberSid::from_bytes([1; 16]),
        account: administrator,
        organization,
        friendly_name: "n".to_owned(),
        phone_number: "1000".to_owned(),
        pure_sip: true,
        public: true,
        voice: VoiceApplication {
            application: None,
            url: url("v"),
            method: Some(HttpMethod::Post),
            fallback_url: None,
            fallback_method: None,
            ..Default::default()
        },
        status_callback: url("status"),
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: std::collections::BTreeMap::new(),
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    store.insert_number(number).await.unwrap();
    let directory = StoreDirectory {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        organization,
    };
    let (sip, incoming) = Sip::bind(local(), Arc::new(directory)).await.unwrap();
    let fetcher = Fetcher::new(FetchConfig {
        allow_private: true,
        ..FetchConfig::default()
    })
    .unwrap();
    let keyring = Arc::new(StoreKeyring(store.clone()));
    let sounds = MediaCache::new(
        fetcher.clone(),
        keyring.clone(),
        folder.path().join("sounds"),
        MediaLimits::default(),
    );
    let callbacks = Callbacks::new(
        fetcher.clone(),
        Arc::new(StoreOutbox::new(store.clone())),
        CallbackConfig::default(),
        Arc::new(|_| AddressPolicy { private_ok: true }),
        keyring,
    );
    let parts = Parts {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        sip: sip.clone(),
        media: MediaPlane::start(MediaConfig::default()).unwrap(),
        speech: Arc::new(speech),
        recognizer: None,
        fetcher,
        sounds: sounds.unwrap(),
        callbacks,
    };
    let config = EngineConfig {
        public_base: "http://127.0.0.1:1".to_owned(),
        domain: "example.com".to_owned(),
        organization,
        administrator,
        sip_guard: Guard {
            allow_private: true,
            ..Guard::default()
        },
        recording_links: store::RecordingLinks::new(store.key().clone(), None),
        null_strings: false,
        screening_releases_both: false,
        recordings: folder.path().to_owned(),
        strangers: StrangerLimits {
            per_source: 10,
            unconfirmed_per_source: 10,
            unconfirmed: 10,
            endpoints: 10,
        },
        max_endpoints: None,
        max_calls: 10,
    };
    (Engine::start(config, parts, incoming), sip)
}

/// Calls the number; returns once the server has hung up.
async fn call(server: &Sip, store: &Store) {
    let directory = StoreDirectory {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        organization: store.default_organization().await.unwrap().unwrap().sid,
    };
    let (phone, _calls) = Sip::bind(local(), Arc::new(directory)).await.unwrap();
    let target = format!("sip:1000@{}", server.local().udp);
    let (events, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let leg = phone.new_leg(events);
    let peer = phone.resolve(&target).await.unwrap();
    let mut invite = InviteSpec::new(target, "sip:kim@example.net", peer);
    invite.sdp = OFFER.to_owned();
    phone.send(leg, LegCommand::Invite(Box::new(invite)));
    let over = async {
        while let Some((_, event)) = heard.recv().await {
            match event {
                LegEvent::Bye { .. } => return,
                LegEvent::Rejected { status, .. } => panic!("refused with {status}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(SOON, over).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_the_call_and_nothing_else() {
    for speech in [Faulty::Task, Faulty::Job] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        let store = Store::open(&url, SecretKey::random()).await.unwrap();
        let (engine, sip) = server(&folder, &store, speech).await;
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
