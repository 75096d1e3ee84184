//! The server: builds every part in order, reports where it listens, and stops in order.
//!
//! **Invariant: the ready line is printed once, after everything listens, and a clean stop leaves
//! no call open in the records.**

mod calls;
mod caretaker;
mod carrier;
mod dev_mail;
mod domains;
mod files;
mod http;
mod identity;
mod mail;
mod parts;
mod proxies;
mod repair;
mod trunks;
mod voicemail;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::mail::{Carrier, Post, PostStats};
use anyhow::{Context as _, Result, anyhow};
use api::NumberProvider;
use call::{Busy, Engine};
use media::MediaPlane;
use model::InstanceSid;
use serde::Serialize;
use sip::SipAddrs;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use webhook::{CallbackStats, Callbacks};

use crate::config::Config;
use crate::live;
use crate::metrics::{self, Kind, Metrics};
use crate::shutdown::{self, Stage};
use crate::upkeep::Upkeep;
use crate::usage;

use identity::Identity;
use proxies::Proxies;

/// How long calls get to end after the second signal.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);
/// How long to keep trying to write facts while the disk accepts no writes.
const RECORD_PATIENCE: Duration = Duration::from_secs(3);
/// How long callbacks may take to be delivered when nothing else is left; the rest wait in the
/// outbox.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(3);

/// The one line on standard output; keys may be added, never renamed.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    http: String,
    sip: ReadySip,
    metrics: String,
    instance: InstanceSid,
}

#[derive(Serialize)]
struct ReadySip {
    udp: SocketAddr,
    tcp: SocketAddr,
}

/// A running server.
pub(crate) struct Running {
    /// Address of the API.
    pub(crate) http: SocketAddr,
    /// Addresses of SIP.
    pub(crate) sip: SipAddrs,
    /// Address of `/metrics`.
    pub(crate) metrics: SocketAddr,
    /// The administrator's account.
    pub(crate) administrator: Arc<model::record::Account>,
    store: Store,
    engine: Engine,
    media: MediaPlane,
    callbacks: Callbacks,
    stopping: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    /// Kept until the end: no other server may have it meanwhile.
    _identity: Identity,
}

/// Runs the server until it is stopped: drains at the first signal, stops at the second.
///
/// # Errors
/// If a part cannot be started; the text says which one and what to do.
pub(crate) async fn run(config: Config) -> Result<()> {
    let mut stages = shutdown::watch_signals().context("signal handlers")?;
    let drain = config.server.drain_s;
    let running = start(config, stages.clone()).await?;
    running.print_ready()?;
    shutdown::reached(&mut stages, Stage::Draining).await;
    running.engine.drain();
    let busy = running.engine.busy();
    if busy != Busy::default() {
        let live = running.engine.stats().live;
        let hint = if busy.calls {
            "; `patchcord doctor calls` lists the calls"
        } else {
            ""
        };
        info!(live, "waiting for {busy}{hint}");
    }
    tokio::select! {
        () = running.engine.idle() => {}
        () = shutdown::reached(&mut stages, Stage::Stopping) => {}
        () = after(drain) => {
            let busy = running.engine.busy();
            let hint = if busy.calls { "; calls get BYE" } else { "" };
            warn!("`server.drain_s` ends while the server waits for {busy}{hint}");
        }
    }
    running.stop().await;
    Ok(())
}

/// Waits so many seconds; for good if there are none.
async fn after(seconds: u32) {
    match seconds {
        0 => std::future::pending().await,
        seconds => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
    }
}

/// Starts the server.
///
/// # Errors
/// If a part cannot be started; the text says which one and what to do.
pub(crate) async fn start(mut config: Config, stages: watch::Receiver<Stage>) -> Result<Running> {
    files::make_folders(&config.server.data)?;
    let http_listener = bind(config.server.http, "HTTP", "http").await?;
    let http_address = http_listener.local_addr()?;
    let metrics_listener = bind_metrics(config.server.metrics).await?;
    let metrics_address = metrics_listener.local_addr()?;

    let store = parts::store(&config).await?;
    let identity = identity::claim(&config.server.data).await?;
    let administrator = files::first_start(&config, &store).await?;
    files::keep_domain(&mut config, &store, administrator.organization).await?;
    let recordings = files::recordings(&config.server.data);
    let media = parts::media(&config)?;
    let fetcher = parts::fetcher(&config)?;
    let numbers = parts::numbers(&config, &fetcher);
    let top = (administrator.sid, http_address);
    let callbacks = parts::callbacks(&config, &store, &fetcher, top);
    let refusals = call::Refusals::new(store.clone());
    let here = (administrator.organization, identity.sid);
    let (sip, incoming) = parts::sip(&config, &store, here, &refusals).await?;
    // For a shared database the patrol does that, once it knows which servers are dead.
    if !store.is_shared() {
        repair::complete(&store, &sip, &recordings).await?;
    }
    let mut domains = domains::Domains {
        store: store.clone(),
        sip: sip.clone(),
        first: administrator.organization,
        known: Vec::new(),
    };
    domains.update().await?;
    let sip_addrs = sip.local();
    let patrol_sip = sip.clone();
    let (desk, mut keeper) = trunks::trunks(&store, &sip, parts::trunks(&config));
    keeper.read().await?;
    let built = parts::Built {
        store: store.clone(),
        sip,
        media: media.clone(),
        fetcher,
        callbacks: callbacks.clone(),
        refusals: refusals.clone(),
        incoming,
    };
    let engine = parts::engine(&config, &administrator, http_address, built)?;
    let carrier = mail::carrier(&config)?;
    if let Carrier::Catcher(_) = carrier {
        info!("e-mail is not sent; read it at http://{http_address}/dev/mail");
    }
    let mp3 = api::Mp3Encoder::find(std::env::var_os("PATH"));
    let sending = (carrier.clone(), mp3.clone());
    let post = mail::post(&config, &store, identity.sid, sending).await?;
    let resumed = callbacks.resume().await?;
    if resumed > 0 {
        info!(resumed, "delivering callbacks of an earlier run");
    }

    let (stopping, stopped) = watch::channel(false);
    if store.is_shared() {
        let patrol = repair::Patrol {
            store: store.clone(),
            engine: engine.clone(),
            sip: patrol_sip,
            callbacks: callbacks.clone(),
            recordings: recordings.clone(),
        };
        tokio::spawn(patrol.walk(stopped.clone()));
    } else {
        engine.resume_texts().await?;
    }
    let caretaker = caretaker::Caretaker {
        store: store.clone(),
        engine: engine.clone(),
        callbacks: callbacks.clone(),
        recordings: recordings.clone(),
        bin_lifetime: parts::bin_lifetime(&config),
        retention: parts::retention(&config),
    };
    tokio::spawn(caretaker.walk(stopped.clone()));
    let tender = voicemail::Tender {
        tender: api::VoicemailTender {
            store: store.clone(),
            recording_links: parts::recording_links(&config, &store),
            public_base: parts::public_base(&config, http_address),
            mail: carrier.is_set_up().then(|| mail::senders(&config)),
        },
        engine: engine.clone(),
        callbacks: callbacks.clone(),
        recordings: recordings.clone(),
        recognizer: parts::recognizer(&config),
    };
    tokio::spawn(tender.tend(stopped.clone()));
    tokio::spawn(domains.follow(stopped.clone()));
    if let NumberProvider::Carrier(carrier) = &numbers {
        let releases = carrier::give_back(store.clone(), Arc::clone(carrier), stopped.clone());
        tokio::spawn(releases);
    }
    let keeping = tokio::spawn(keeper.walk(stopped.clone()));
    let desk: Arc<dyn api::Trunks> = Arc::new(desk);
    let router = parts::router(
        &config,
        &store,
        &engine,
        (numbers, desk, &carrier, mp3),
        http_address,
        stages,
    );
    let metrics = metrics_of(&engine, &callbacks, &media);
    add_mail(&metrics, &post);
    let metrics_router = metrics::routes(metrics);
    let posting = tokio::spawn(post.run(stopped.clone()));
    let (api_limits, metrics_limits) = (parts::http_limits(&config), http::Limits::of_metrics());
    let listeners = vec![
        keeping,
        posting,
        live::serve(
            &config.server.data,
            live::Answers {
                engine: engine.clone(),
                upkeep: Upkeep {
                    store: store.clone(),
                    recordings,
                },
            },
            stopped.clone(),
        ),
        http::serve(
            http_listener,
            router,
            api_limits,
            parts::proxies(&config),
            "api",
            stopped.clone(),
        ),
        http::serve(
            metrics_listener,
            metrics_router,
            metrics_limits,
            Proxies::default(),
            "metrics",
            stopped,
        ),
    ];
    Ok(Running {
        http: http_address,
        sip: sip_addrs,
        metrics: metrics_address,
        administrator,
        store,
        engine,
        media,
        callbacks,
        stopping,
        listeners,
        _identity: identity,
    })
}

/// - `setting`: key of the address in the section `server`, and its flag
async fn bind(address: SocketAddr, what: &str, setting: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        let advice = usage::bind_advice(&error, address, setting);
        anyhow!("cannot listen on {address} for {what}: {error}{advice}")
    })
}

/// The usual port of the metrics, or a free one if another server has it.
async fn bind_metrics(wanted: Option<SocketAddr>) -> Result<TcpListener> {
    let usual = SocketAddr::from(([127, 0, 0, 1], 9090));
    match wanted {
        Some(wanted) => bind(wanted, "metrics", "metrics").await,
        None => match TcpListener::bind(usual).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(SocketAddr::new(usual.ip(), 0), "metrics", "metrics").await,
        },
    }
}

/// The metrics of `/metrics`.
#[expect(clippy::cast_precision_loss, reason = "no counter gets near 2^52")]
fn metrics_of(engine: &Engine, callbacks: &Callbacks, media: &MediaPlane) -> Metrics {
    let metrics = Metrics::default();
    metrics.add_process();
    let of = engine.clone();
    let live = move || of.stats().live as f64;
    metrics.add(
        "patchcord_calls_live",
        Kind::Gauge,
        "Live calls, counted by leg.",
        live,
    );
    let of = engine.clone();
    let started = move || of.stats().started as f64;
    metrics.add(
        "patchcord_calls_started_total",
        Kind::Counter,
        "Calls since the start.",
        started,
    );
    let of = engine.clone();
    let refused = move || of.stats().refused as f64;
    let help = "Inbound calls refused before a document was requested.";
    metrics.add(
        "patchcord_calls_refused_total",
        Kind::Counter,
        help,
        refused,
    );
    add_callbacks(&metrics, callbacks);
    let of = engine.clone();
    let late = move || of.stats().records_waiting as f64;
    let help = "Call records waiting in memory because the database cannot be written.";
    metrics.add("patchcord_records_waiting", Kind::Gauge, help, late);
    let of = media.clone();
    let endpoints = move || of.counts().endpoints as f64;
    let help = "Media endpoints that are open.";
    metrics.add("patchcord_media_endpoints", Kind::Gauge, help, endpoints);
    let of = media.clone();
    let unsent = move || of.counts().unsent as f64;
    let help = "Packets that the system refused to send.";
    metrics.add("patchcord_media_unsent_total", Kind::Counter, help, unsent);
    let of = media.clone();
    let moves = move || of.counts().moves as f64;
    let help =
        "Times an endpoint moved to the worker thread of the endpoints that it is connected to.";
    metrics.add("patchcord_media_moves_total", Kind::Counter, help, moves);
    let of = media.clone();
    let overruns = move || of.counts().recording_overruns as f64;
    let help = "Half seconds of recordings lost to a slow disk.";
    metrics.add(
        "patchcord_recording_overruns_total",
        Kind::Counter,
        help,
        overruns,
    );
    let of = media.clone();
    let unheard = move || of.counts().unheard as f64;
    let help = "Tenths of a second of speech that a slow recognizer did not receive.";
    metrics.add(
        "patchcord_speech_unheard_total",
        Kind::Counter,
        help,
        unheard,
    );
    metrics
}

/// Adds the metrics of callback delivery.
#[expect(clippy::cast_precision_loss, reason = "no counter gets near 2^52")]
fn add_callbacks(metrics: &Metrics, callbacks: &Callbacks) {
    type Read = fn(CallbackStats) -> u64;
    let numbers: [(_, _, _, Read); 6] = [
        (
            "patchcord_callbacks_waiting",
            Kind::Gauge,
            "Callbacks that are not delivered yet.",
            |stats| stats.waiting,
        ),
        (
            "patchcord_callbacks_open_hosts",
            Kind::Gauge,
            "Hosts whose circuit breaker is open, counted per account.",
            |stats| stats.open_hosts,
        ),
        (
            "patchcord_callbacks_opened_total",
            Kind::Counter,
            "How often a circuit breaker opened.",
            |stats| stats.opened,
        ),
        (
            "patchcord_callbacks_delivered_total",
            Kind::Counter,
            "Callbacks that the application accepted.",
            |stats| stats.delivered,
        ),
        (
            "patchcord_callbacks_retried_total",
            Kind::Counter,
            "Failed attempts that will be retried.",
            |stats| stats.retried,
        ),
        (
            "patchcord_callbacks_dead_total",
            Kind::Counter,
            "Callbacks that were given up.",
            |stats| stats.dead,
        ),
    ];
    for (name, kind, help, read) in numbers {
        let of = callbacks.clone();
        metrics.add(name, kind, help, move || read(of.stats()) as f64);
    }
}

/// Adds the metrics of e-mail.
#[expect(clippy::cast_precision_loss, reason = "no counter gets near 2^52")]
fn add_mail(metrics: &Metrics, post: &Post) {
    type Read = fn(PostStats) -> u64;
    let numbers: [(_, _, Read); 3] = [
        (
            "patchcord_emails_sent_total",
            "E-mails that the mail server accepted.",
            |stats| stats.sent,
        ),
        (
            "patchcord_emails_retried_total",
            "Attempts to send an e-mail that will be repeated.",
            |stats| stats.retried,
        ),
        (
            "patchcord_emails_failed_total",
            "E-mails that failed.",
            |stats| stats.failed,
        ),
    ];
    for (name, help, read) in numbers {
        let of = post.clone();
        metrics.add(name, Kind::Counter, help, move || read(of.stats()) as f64);
    }
}

impl Running {
    /// Prints the line that scripts wait for.
    fn print_ready(&self) -> Result<()> {
        let ready = Ready {
            ready: true,
            http: format!("http://{}", self.http),
            sip: ReadySip {
                udp: self.sip.udp,
                tcp: self.sip.tcp,
            },
            metrics: format!("http://{}/metrics", self.metrics),
            instance: self.store.instance(),
        };
        let mut line = serde_json::to_string(&ready)?;
        line.push('\n');
        let mut out = std::io::stdout();
        out.write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .context("cannot write to standard output")?;
        info!(http = %self.http, sip = %self.sip.udp, "ready");
        Ok(())
    }

    /// Ends everything still running and closes everything in order.
    pub(crate) async fn stop(self) {
        self.engine.drain();
        self.engine.shut_down();
        if tokio::time::timeout(SHUTDOWN_PATIENCE, self.engine.idle())
            .await
            .is_err()
        {
            warn!("some calls did not end in time; they are closed at the next start");
        }
        if tokio::time::timeout(RECORD_PATIENCE, self.engine.recorded())
            .await
            .is_err()
        {
            warn!("the disk cannot be written: open call records are closed at the next start");
        }
        let waiting = self.callbacks.backlog();
        if waiting > 0 {
            info!(waiting, "waiting up to 3 s for callbacks to be delivered");
        }
        if tokio::time::timeout(CALLBACK_PATIENCE, self.callbacks.drained())
            .await
            .is_err()
        {
            warn!(
                waiting = self.callbacks.backlog(),
                "callbacks are left for the next start"
            );
        }
        self.callbacks.stop();
        let _ = self.stopping.send(true);
        for listener in self.listeners {
            // A client that keeps its connection open cannot delay the server's end.
            let _ = tokio::time::timeout(Duration::from_secs(1), listener).await;
        }
        let media = self.media;
        let _ = tokio::task::spawn_blocking(move || media.shutdown(Duration::from_secs(2))).await;
        self.store.close().await;
        info!("stopped");
    }
}
