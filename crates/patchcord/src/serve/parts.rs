//! Turns settings into the parts of the server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::mail::Carrier;
use anyhow::{Context, Result, anyhow, bail};
use api::{NumberProvider, Trunks};
use call::{
    Engine, EngineConfig, Refusals, StoreDirectory, StoreKeyring, StoreOutbox, StrangerLimits,
};
use media::{MediaConfig, MediaPlane};
use model::egress::Guard;
use model::record::Account;
use model::{AccountSid, OrganizationSid, ServerSid};
use sip::{IncomingCall, Sip, SipConfig, Trunk};
use speech::{CommandRecognizer, EmbeddedSpeech, ListenLimits, Recognizer};
use store::{Kept, RecordingLinks, Retention, SecretKey, Store};
use tokio::sync::{mpsc, watch};
use webhook::{
    AddressPolicy, CallbackConfig, Callbacks, FetchConfig, Fetcher, MediaCache, MediaLimits,
};

use super::carrier::HttpCarrier;
use super::http::{Limits, share_of_descriptors};
use super::proxies::Proxies;
use super::{dev_mail, files};
use crate::archive::KEY;
use crate::config::Config;
use crate::health;
use crate::shutdown::Stage;
use crate::usage;

/// The embedded database in the data folder.
const DATABASE: &str = "patchcord.db";

/// Maximum families of calls.
const MAX_CALLS: usize = 20_000;

pub(super) async fn store(config: &Config) -> Result<Store> {
    let data = &config.server.data;
    let key = match &config.server.secret_key {
        Some(secret) => SecretKey::from_hex(secret.expose())?,
        None => {
            let is_embedded = config.database.url.is_none();
            if is_embedded && data.join(DATABASE).exists() && !data.join(KEY).exists() {
                bail!(
                    "{} has a database, but its secret key, `{KEY}`, is missing: put it back from your backup, or set \
                     `server.secret_key` (`PATCHCORD_SECRET_KEY`) to it",
                    data.display()
                );
            }
            SecretKey::load_or_create(data)?
        }
    };
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite:{}", data.join(DATABASE).display()),
    };
    Ok(Store::open(&url, key).await?)
}

pub(super) fn media(config: &Config) -> Result<MediaPlane> {
    let settings = &config.media;
    let any = match config.server.sip {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let bound = config.server.sip.ip();
    // RTP uses the address of SIP, unless configured otherwise.
    let default = if bound.is_unspecified() { any } else { bound };
    MediaPlane::start(MediaConfig {
        workers: settings.workers.map_or(0, |workers| workers.get() as usize),
        address: settings.address.unwrap_or(default),
        advertised: settings.advertised.or(config.server.public_address),
        ports: settings.ports.range(),
        silence_timeout: Duration::from_secs(u64::from(settings.silence_timeout_s.get())),
    })
    .context("cannot start the media threads")
}

/// The rules for addresses of one protocol; the exceptions are the same for all.
fn guard(config: &Config, allow_private: bool) -> Guard {
    Guard {
        allow_private,
        allowed: config.fetch.allow_addresses.clone(),
    }
}

pub(super) fn fetcher(config: &Config) -> Result<Fetcher> {
    let settings = &config.fetch;
    let limit = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(Fetcher::new(FetchConfig {
        timeout: Duration::from_millis(settings.timeout_ms.get()),
        max_document: limit(settings.max_document_bytes.get()),
        max_media: settings.max_media_bytes.get(),
        guard: guard(config, settings.allow_private),
        ..FetchConfig::default()
    })?)
}

pub(super) fn callbacks(
    config: &Config,
    store: &Store,
    fetcher: &Fetcher,
    (administrator, http): (AccountSid, SocketAddr),
) -> Callbacks {
    let own = public_base(config, http);
    let policy = move |account: AccountSid, url: &str| {
        AddressPolicy::of(account, administrator).for_address(url, &own)
    };
    let settings = &config.webhooks;
    let delivery = CallbackConfig {
        first_wait: Duration::from_millis(settings.first_wait_ms.get()),
        longest_wait: Duration::from_secs(settings.longest_wait_s.get().into()),
        max_age: Duration::from_secs(settings.max_age_s.get().into()),
        breaker_failures: settings.breaker_failures.get(),
        at_once: share_of_descriptors(),
        breaker_wait: Duration::from_millis(settings.breaker_wait_ms.get()),
        breaker_longest: Duration::from_secs(settings.breaker_longest_s.get().into()),
        ..CallbackConfig::default()
    };
    Callbacks::new(
        fetcher.clone(),
        Arc::new(StoreOutbox::new(store.clone())),
        delivery,
        Arc::new(policy),
        Arc::new(StoreKeyring(store.clone())),
    )
}

/// The trunks of the configuration.
pub(super) fn trunks(config: &Config) -> Vec<Trunk> {
    let trunk = |trunk: &crate::config::Trunk| Trunk {
        name: trunk.name.clone(),
        uri: trunk.uri.clone(),
        username: trunk.username.clone(),
        password: trunk
            .password
            .as_ref()
            .map(|password| password.expose().to_owned()),
        addresses: trunk
            .addresses
            .iter()
            .map(|ip| sip::TrunkAddress {
                ip: *ip,
                port: None,
            })
            .collect(),
    };
    config.trunks.iter().map(trunk).collect()
}

pub(super) async fn sip(
    config: &Config,
    store: &Store,
    (organization, server): (OrganizationSid, ServerSid),
    refusals: &Refusals,
) -> Result<(Sip, mpsc::Receiver<IncomingCall>)> {
    let settings = &config.sip;
    let sip = SipConfig {
        udp: config.server.sip,
        tcp: config.server.sip,
        domain: config.server.domain.as_str().to_owned(),
        public_address: config.server.public_address,
        sha256: settings.sha256,
        nonce_lifetime: Duration::from_secs(u64::from(settings.nonce_lifetime_s.get())),
        keepalive: Duration::from_secs(u64::from(settings.keepalive_s)),
        max_calls_in_setup: settings.max_calls_in_setup.get() as usize,
        trunks: trunks(config),
        ..SipConfig::default()
    };
    let directory = StoreDirectory {
        store: store.clone(),
        organization,
        server,
        refusals: refusals.clone(),
    };
    let bound = Sip::bind(sip, Arc::new(directory)).await;
    bound.map_err(|error| {
        let advice = usage::bind_advice(&error.source, error.address, "sip");
        anyhow!("{error}{advice}")
    })
}

/// Parts that the engine takes over.
pub(super) struct Built {
    pub(super) store: Store,
    pub(super) sip: Sip,
    pub(super) media: MediaPlane,
    pub(super) fetcher: Fetcher,
    pub(super) callbacks: Callbacks,
    pub(super) refusals: Refusals,
    pub(super) incoming: mpsc::Receiver<IncomingCall>,
}

pub(super) fn engine(
    config: &Config,
    administrator: &Account,
    http: SocketAddr,
    built: Built,
) -> Result<Engine> {
    let data = &config.server.data;
    let recording_links = recording_links(config, &built.store);
    let sounds = MediaCache::new(
        built.fetcher.clone(),
        Arc::new(StoreKeyring(built.store.clone())),
        data.join(files::SOUNDS),
        MediaLimits {
            memory: config.fetch.media_memory_bytes.get(),
            memory_per_customer: config.fetch.media_memory_per_account_bytes.get(),
            ..MediaLimits::default()
        },
    )
    .context("cannot use the folder for sound files")?;
    let speech = EmbeddedSpeech::new(data.join(files::SPEECH), speech::Limits::default())
        .context("cannot use the folder for speech")?;
    let parts = call::Parts {
        store: built.store,
        sip: built.sip,
        media: built.media,
        speech: Arc::new(speech),
        recognizer: recognizer(config),
        fetcher: built.fetcher,
        sounds,
        callbacks: built.callbacks,
        refusals: built.refusals,
    };
    let max_endpoints = config.media.ports.pairs();
    let count = |number: NonZeroU32| number.get() as usize;
    let engine = EngineConfig {
        public_base: public_base(config, http),
        domain: config.server.domain.as_str().to_owned(),
        organization: administrator.organization,
        administrator: administrator.sid,
        sip_guard: guard(config, config.sip.allow_private),
        recording_links,
        null_strings: config.compat.null_strings,
        screening_releases_both: config.compat.screening_releases_both,
        recordings: files::recordings(data),
        recorders: recorders(config),
        strangers: StrangerLimits {
            per_source: count(config.sip.max_calls_per_source),
            unconfirmed_per_source: count(config.sip.max_unconfirmed_per_source),
            unconfirmed: count(config.sip.max_calls_in_setup) / 2,
            endpoints: max_endpoints.map_or(usize::MAX, |most| (most * 3).div_ceil(4)),
        },
        max_endpoints,
        max_calls: MAX_CALLS,
    };
    let engine = Engine::start(engine, parts, built.incoming);
    engine.follow_schedule();
    Ok(engine)
}

/// The recording servers, by their names in documents.
fn recorders(config: &Config) -> BTreeMap<String, call::RecordingServer> {
    let recorders = config.recorders.iter().map(|recorder| {
        let password = recorder.password.as_ref();
        let password = password.map(|password| password.expose().to_owned());
        let one = call::RecordingServer {
            uri: recorder.uri.clone(),
            credentials: recorder.username.clone().zip(password),
        };
        (recorder.name.clone(), one)
    });
    recorders.collect()
}

/// The speech recognizer, if the operator configured one.
pub(super) fn recognizer(config: &Config) -> Option<Arc<dyn Recognizer>> {
    let line = config.speech.recognizer.clone()?;
    let limits = ListenLimits {
        at_once: config.speech.max_recognizers.get() as usize,
        ..ListenLimits::default()
    };
    let recognizer = CommandRecognizer::new(line.program, line.arguments, limits);
    Some(Arc::new(recognizer))
}

/// The address at which applications reach our HTTP side.
pub(super) fn public_base(config: &Config, http: SocketAddr) -> String {
    let ip = match (config.server.public_address, http.ip()) {
        (Some(public), _) => public,
        (None, ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (None, ip) => ip,
    };
    format!("http://{}", SocketAddr::new(ip, http.port()))
}

/// Links to recordings, as configured.
pub(super) fn recording_links(config: &Config, store: &Store) -> RecordingLinks {
    let seconds = u64::from(config.recordings.link_lifetime_s);
    let lifetime = (seconds > 0).then(|| Duration::from_secs(seconds));
    RecordingLinks::new(store.key().clone(), lifetime)
}

/// Where numbers for sale come from.
pub(super) fn numbers(config: &Config, fetcher: &Fetcher) -> NumberProvider {
    let settings = &config.numbers;
    match &settings.carrier_url {
        None => NumberProvider::Inventory,
        Some(address) => {
            let secret = settings.carrier_secret.as_ref();
            let secret = secret.map(|secret| secret.expose().to_owned());
            let url = address.as_url().clone();
            NumberProvider::Carrier(Arc::new(HttpCarrier::new(fetcher.clone(), url, secret)))
        }
    }
}

/// Whose word on the address of a client is taken.
pub(super) fn proxies(config: &Config) -> Proxies {
    Proxies(config.http.trusted_proxies.clone())
}

/// What HTTP connections to the API may take.
pub(super) fn http_limits(config: &Config) -> Limits {
    let settings = &config.http;
    let number = |limit: Option<NonZeroU32>| limit.map(|limit| limit.get() as usize);
    Limits::of_api(
        number(settings.max_connections),
        number(settings.max_connections_per_address),
    )
}

/// The built-in roles and those of the configuration.
fn roles(config: &Config) -> api::Roles {
    let configured = config.roles.iter();
    configured.fold(api::Roles::default(), |roles, role| {
        roles.with(&role.name, role.permissions.clone())
    })
}

/// How long what was deleted rests in the bin.
pub(super) fn bin_lifetime(config: &Config) -> Duration {
    Duration::from_secs(u64::from(config.retention.bin_days) * 24 * 3600)
}

/// How long accounts keep data for which they have set nothing.
pub(super) fn retention(config: &Config) -> Retention {
    let settings = &config.retention;
    [
        (Kept::MessageBodies, settings.message_bodies_days),
        (Kept::Digits, settings.digits_days),
        (Kept::Recordings, settings.recordings_days),
        (Kept::Traces, settings.traces_days),
        (Kept::Notifications, settings.notifications_days),
        (Kept::Callbacks, settings.callbacks_days),
        (Kept::Emails, settings.emails_days),
    ]
    .into_iter()
    .fold(Retention::default(), |all, (kind, days)| {
        all.with(kind, Some(days))
    })
}

/// The API and the health routes. The public base is where applications reach us.
pub(super) fn router(
    config: &Config,
    store: &Store,
    engine: &Engine,
    (numbers, trunks, carrier, mp3): (
        NumberProvider,
        Arc<dyn Trunks>,
        &Carrier,
        Option<api::Mp3Encoder>,
    ),
    http: SocketAddr,
    stages: watch::Receiver<Stage>,
) -> axum::Router {
    let live = Arc::new(super::calls::LiveCalls(engine.clone()));
    let api = api::router(api::ApiState {
        store: store.clone(),
        calls: live.clone(),
        messages: live.clone(),
        mail: carrier.is_set_up().then(|| super::mail::senders(config)),
        transcribes: config.speech.recognizer.is_some(),
        monitor: live,
        trunks,
        numbers,
        recording_links: recording_links(config, store),
        shows_digests: config.compat.show_client_digests,
        recordings_dir: files::recordings(&config.server.data),
        mp3,
        bin_lifetime: bin_lifetime(config),
        retention: retention(config),
        public_base: public_base(config, http),
        roles: roles(config),
        build: api::Build {
            name: "Patchcord".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: option_env!("PATCHCORD_REVISION")
                .unwrap_or("unknown")
                .to_owned(),
            date: option_env!("PATCHCORD_BUILD_DATE")
                .unwrap_or("unknown")
                .to_owned(),
        },
        allowed_origins: (config.http.allowed_origins.iter())
            .map(|origin| origin.as_str().to_owned())
            .collect(),
        rate_limits: api::RateLimits {
            of_account: config.http.max_requests_per_minute,
            of_credential: config.http.max_requests_per_minute_per_credential,
        },
        draining: engine.draining(),
    });
    let store = store.clone();
    let api = api.merge(health::routes(stages, move || store.takes_writes()));
    match carrier {
        Carrier::Catcher(catcher) => api.merge(dev_mail::routes(Arc::clone(catcher))),
        Carrier::Smtp(_) | Carrier::Missing => api,
    }
}
