//! `patchcord serve`: configuration, build, spawn, wait for a signal, drain.
//!
//! **Invariant: the ready line is printed once, after everything listens.**

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::TcpListener;
use tracing::info;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::shutdown::{self, Stage};
use crate::{health, metrics};

/// The one line on standard output; keys may be added, never renamed.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    http: String,
    metrics: String,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// If an address cannot be taken.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut stages = shutdown::watch_signals().context("signal handlers")?;
    let http = listen(config.server.http).await?;
    let scrape = listen_metrics(config.server.metrics).await?;
    let numbers = Metrics::default();
    numbers.add_process();

    let ready = Ready {
        ready: true,
        http: format!("http://{}", http.local_addr()?),
        metrics: format!("http://{}/metrics", scrape.local_addr()?),
    };
    tokio::spawn(axum::serve(http, health::routes(stages.clone())).into_future());
    tokio::spawn(axum::serve(scrape, metrics::routes(numbers)).into_future());
    let mut line = serde_json::to_string(&ready)?;
    line.push('\n');
    std::io::stdout()
        .write_all(line.as_bytes())
        .context("standard output")?;
    info!(data = %config.server.data.display(), "ready");

    shutdown::reached(&mut stages, Stage::Draining).await;
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// The address asked for, or the usual one, or any if that is taken.
async fn listen_metrics(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = asked {
        return listen(address).await;
    }
    match listen(SocketAddr::from(([127, 0, 0, 1], 9090))).await {
        Ok(listener) => Ok(listener),
        Err(_) => listen(SocketAddr::from(([127, 0, 0, 1], 0))).await,
    }
}
