//! Metrics for Prometheus, as text, on a separate listener.
//!
//! A metric is read at the time of a request, through a function that its owner provided; so the
//! owner keeps an atomic or a length and knows nothing of this module. **Invariant: reading costs
//! nothing on the packet path and never waits.** Names begin with `patchcord_` or, as usual,
//! `process_`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

/// How a metric behaves over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Only increases.
    Counter,
    /// Increases and decreases.
    Gauge,
}

/// One metric.
struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// The metrics of this process.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    all: Arc<Mutex<Vec<Metric>>>,
}

impl Metrics {
    /// Adds a metric; `read` must return immediately.
    pub(crate) fn add(
        &self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let metric = Metric {
            name,
            kind,
            help,
            read: Box::new(read),
        };
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(metric);
    }

    /// Adds the Linux metrics of this process.
    pub(crate) fn add_process(&self) {
        self.add(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Resident memory.",
            || status_kib("VmRSS:").map_or(f64::NAN, |kib| kib * 1024.0),
        );
        self.add(
            "process_cpu_seconds_total",
            Kind::Counter,
            "CPU time.",
            || cpu_seconds().unwrap_or(f64::NAN),
        );
        self.add("process_threads", Kind::Gauge, "Threads.", || {
            status_kib("Threads:").unwrap_or(f64::NAN)
        });
        self.add(
            "process_open_fds",
            Kind::Gauge,
            "Open files and sockets.",
            || {
                #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
                std::fs::read_dir("/proc/self/fd")
                    .map_or(f64::NAN, |entries| entries.count() as f64)
            },
        );
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for metric in self
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let Metric { name, help, .. } = metric;
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let value = (metric.read)();
            // Writing to a `String` cannot fail.
            let _ = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            );
        }
        text
    }
}

/// The route `/metrics`.
pub(crate) fn routes(metrics: Metrics) -> Router {
    let answer = move || {
        let text = metrics.render();
        std::future::ready(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
    };
    Router::new().route("/metrics", get(answer))
}

/// The number with a given `name` in the process's status; sizes are in KiB.
fn status_kib(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of this process (fields 14 and 15 of `stat`, in ticks of 10 ms).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn numbers_are_read_when_asked() {
        let metrics = Metrics::default();
        let calls = Arc::new(AtomicU32::new(0));
        let source = Arc::clone(&calls);
        metrics.add("patchcord_calls", Kind::Gauge, "Live calls.", move || {
            f64::from(source.load(Ordering::Relaxed))
        });
        calls.store(7, Ordering::Relaxed);
        assert_eq!(
            metrics.render(),
            "# HELP patchcord_calls Live calls.\n# TYPE patchcord_calls gauge\npatchcord_calls 7\n"
        );
    }

    #[test]
    fn the_process_knows_its_memory() {
        let metrics = Metrics::default();
        metrics.add_process();
        let text = metrics.render();
        let line = text
            .lines()
            .find(|line| line.starts_with("process_resident_memory_bytes "));
        let bytes: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(bytes > 1_000_000.0, "{bytes}");
        assert!(!text.contains("NaN"), "{text}");
    }
}
