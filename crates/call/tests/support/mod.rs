//! A server and a caller, in this process.

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
use model::{HttpMethod, NumberSid, ServerSid, Timestamp};
use sip::{InviteSpec, LegCommand, LegEvent, Sip, SipConfig, Trunk};
use speech::Synthesizer;
use store::{AdminSeed, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use webhook::{
    AddressPolicy, CallbackConfig, Callbacks, FetchConfig, Fetcher, MediaCache, MediaLimits,
};

/// Calls that the server may have at the same time.
pub(crate) const MAX_CALLS: usize = 10;
pub(crate) const SOON: Duration = Duration::from_secs(10);
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";

/// An application with one document, whatever the request.
async fn application(document: String) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let document = document.clone();
            tokio::spawn(async move {
                let mut asked = [0; 8192];
                let _ = stream.read(&mut asked).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{document}",
                    document.len()
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

/// A server whose number 1000 runs a document.
pub(crate) async fn server(
    folder: &tempfile::TempDir,
    store: &Store,
    speech: Arc<dyn Synthesizer>,
    document: &str,
) -> (Engine, Sip) {
    let app = application(document.to_owned()).await;
    server_for(folder, store, speech, app, Vec::new()).await
}

/// A server whose number 1000 belongs to an application; texts go to `/m`, or to `/f` if that fails.
pub(crate) async fn server_for(
    folder: &tempfile::TempDir,
    store: &Store,
    speech: Arc<dyn Synthesizer>,
    app: SocketAddr,
    trunks: Vec<Trunk>,
) -> (Engine, Sip) {
    let seed = AdminSeed::default();
    let made = store.first_start("example.com", seed).await.unwrap();
    let administrator = made.unwrap().sid;
    let organization = store.default_organization().await.unwrap().unwrap().sid;
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
        extra: [("SmsUrl", "m"), ("SmsFallbackUrl", "f")]
            .map(|(name, path)| (name.to_owned(), url(path).unwrap()))
            .into(),
        created: Timestamp(1),
        updated: Timestamp(1),
    };
    store.insert_number(number).await.unwrap();
    let directory = StoreDirectory {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        organization,
        server: ServerSid::from_bytes([1; 16]),
    };
    let (sip, incoming) = Sip::bind(SipConfig { trunks, ..local() }, Arc::new(directory))
        .await
        .unwrap();
    let fetcher = Fetcher::new(FetchConfig {
        guard: Guard {
            allow_private: true,
            ..Guard::default()
        },
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
        Arc::new(|_, _: &str| AddressPolicy { private_ok: true }),
        keyring,
    );
    let parts = Parts {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        sip: sip.clone(),
        media: MediaPlane::start(MediaConfig::default()).unwrap(),
        speech,
        recognizer: None,
        fetcher,
        sounds: sounds.unwrap(),
        callbacks,
    };
    let config = EngineConfig {
        recorders: Default::default(),
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
        max_calls: MAX_CALLS,
    };
    let engine = Engine::start(config, parts, incoming);
    engine.follow_schedule();
    (engine, sip)
}

/// Calls the number; returns once the server has hung up.
pub(crate) async fn call(server: &Sip, store: &Store) {
    let directory = StoreDirectory {
        refusals: Refusals::new(store.clone()),
        store: store.clone(),
        organization: store.default_organization().await.unwrap().unwrap().sid,
        server: ServerSid::from_bytes([2; 16]),
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
