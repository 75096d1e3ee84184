//! Callbacks: in order, until they are finished, and without affecting each other.

mod support;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use model::record::Callback;
use model::{AccountSid, CallSid, EventSid, HttpMethod, Timestamp, error};
use support::{LateKey, OneKey, Server, quick, reply, request};
use tokio::sync::Notify;
use webhook::{
    AddressPolicy, CallbackConfig, Callbacks, Failure, FetchConfig, Fetcher, Keyring, MemoryOutbox,
    OutboxError, OutboxStore, Outcome, PendingCallback, RowPlace,
};

const DELIVERED: Option<Outcome> = Some(Outcome::Delivered { status: 200 });

struct Bench {
    store: Arc<MemoryOutbox>,
    callbacks: Callbacks,
    fetcher: Fetcher,
}

impl Bench {
    fn new(config: CallbackConfig) -> Self {
        Self::with(config, Arc::new(OneKey))
    }

    fn with(config: CallbackConfig, keyring: Arc<dyn Keyring>) -> Self {
        let store = Arc::new(MemoryOutbox::default());
        let fetch = FetchConfig {
            timeout: Duration::from_millis(200),
            ..quick()
        };
        let fetcher = Fetcher::new(fetch).expect("TLS");
        let policy = Arc::new(|_, _: &str| AddressPolicy { private_ok: true });
        let callbacks = Callbacks::new(fetcher.clone(), store.clone(), config, policy, keyring);
        Self {
            store,
            callbacks,
            fetcher,
        }
    }

    /// Stores a callback and hands it over.
    fn send(&self, call: u8, sequence: u8, url: &str) -> EventSid {
        let callback = callback(call, sequence, url);
        let event = callback.event;
        self.store.insert(callback.clone());
        self.callbacks.deliver(callback);
        event
    }

    async fn drained(&self) {
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, self.callbacks.drained())
            .await
            .expect("drains in time");
    }
}

fn config() -> CallbackConfig {
    CallbackConfig {
        first_wait: Duration::from_millis(20),
        longest_wait: Duration::from_secs(1),
        max_age: Duration::from_secs(60),
        per_host: 4,
        breaker_wait: Duration::from_millis(40),
        breaker_longest: Duration::from_millis(80),
        replay_every: Duration::from_millis(10),
        ..CallbackConfig::default()
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970"),
    )
}

fn callback(call: u8, sequence: u8, url: &str) -> Callback {
    let mut random = [0; 10];
    (random[0], random[1]) = (call, sequence);
    Callback {
        event: EventSid::new(now(), random),
        account: AccountSid::from_bytes([1; 16]),
        author: AccountSid::from_bytes([1; 16]),
        lane: CallSid::from_bytes([call; 16]).into(),
        call: Some(CallSid::from_bytes([call; 16])),
        sequence: sequence.into(),
        url: url.to_owned(),
        method: HttpMethod::Post,
        params: vec![("n".to_owned(), format!("{call}.{sequence}"))],
        created: now(),
    }
}

#[tokio::test]
async fn keeps_the_order_of_a_call_through_failures() {
    let turn = AtomicU32::new(0);
    let server = Server::start(move |_| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => reply(503, &[], ""),
        1 => Vec::new(),
        _ => reply(200, &[], "thanks"),
    })
    .await;
    let bench = Bench::new(config());
    let events: Vec<EventSid> = (0..4)
        .map(|n| bench.send(1, n, &server.url("/s")))
        .collect();
    bench.drained().await;
    let lines = server.lines();
    assert_eq!(
        lines,
        ["n=1.0", "n=1.0", "n=1.0", "n=1.1", "n=1.2", "n=1.3"]
            .map(|body| format!("POST /s {body}"))
    );
    for (seen, event) in server.asked().iter().zip([0, 0, 0, 1, 2, 3]) {
        let name = events[event].to_string();
        assert_eq!(seen.header("x-patchcord-event"), Some(name.as_str()));
    }
    // The second attempt met a pooled connection that closed, so it was sent again immediately on
    // another one.
    assert_eq!(bench.store.state(events[0]), Some((2, DELIVERED)));
    assert_eq!(bench.store.state(events[3]), Some((1, DELIVERED)));
}

#[tokio::test]
async fn a_wall_clock_that_was_set_back_holds_up_nothing() {
    let server = Server::start(|_| reply(200, &[], "")).await;
    let bench = Bench::new(CallbackConfig {
        longest_wait: Duration::from_millis(50),
        ..config()
    });
    let soon = now() + Duration::from_secs(600);
    // A call that began before the step is still on its own time.
    let mut fresh = callback(1, 0, &server.url("/fresh"));
    fresh.created = soon;
    bench.store.insert(fresh.clone());
    // This failed, and then the process was restarted.
    let failed = callback(2, 0, &server.url("/failed"));
    bench.store.insert(failed.clone());
    let planned = PendingCallback {
        attempts: 3,
        next_at: soon,
        ..PendingCallback::new(failed)
    };
    let failure = Failure {
        code: error::FETCH_IO,
        status: None,
        reason: "made up".to_owned(),
    };
    let stored = bench.store.retry(&planned, failure).await;
    stored.expect("it is in the outbox");
    bench.callbacks.resume().await.expect("a readable outbox");
    bench.drained().await;
    // The one after the step is due like any other.
    let mut next = callback(1, 1, &server.url("/next"));
    next.created = soon;
    bench.store.insert(next.clone());
    bench.callbacks.deliver(next);
    bench.drained().await;
    let lines = server.lines();
    assert_eq!(
        lines,
        [
            "POST /fresh n=1.0",
            "POST /failed n=2.0",
            "POST /next n=1.1"
        ]
    );
}

#[tokio::test]
async fn gives_up_what_cannot_succeed() {
    let server = Server::start(|_| reply(404, &[], "")).await;
    let bench = Bench::new(config());
    // Address, number of the error and HTTP status.
    let table = [
        (server.url("/missing"), error::FETCH_PROTOCOL, Some(404)),
        ("ftp://host/".to_owned(), error::BAD_URI, None),
        (
            "http://169.254.169.254/".to_owned(),
            error::ADDRESS_REFUSED,
            None,
        ),
    ];
    for (call, (url, number, expected)) in (1..).zip(table) {
        let event = bench.send(call, 0, &url);
        bench.drained().await;
        let Some((
            1,
            Some(Outcome::Dead(Failure {
                code,
                status,
                reason,
            })),
        )) = bench.store.state(event)
        else {
            panic!("{url}: {:?}", bench.store.state(event));
        };
        assert_eq!((code, status), (number, expected), "{url}: {reason}");
    }
}

#[tokio::test]
async fn gives_up_what_is_too_old() {
    let server = Server::start(|_| reply(500, &[], "")).await;
    let max_age = Duration::from_millis(150);
    let bench = Bench::new(CallbackConfig {
        max_age,
        ..config()
    });
    let event = bench.send(1, 0, &server.url("/"));
    bench.drained().await;
    let Some((
        attempts,
        Some(Outcome::Dead(Failure {
            status: Some(500), ..
        })),
    )) = bench.store.state(event)
    else {
        panic!("{:?}", bench.store.state(event));
    };
    assert!((2..=9).contains(&attempts), "{attempts} attempts");
    assert_eq!(server.lines().len(), usize::try_from(attempts).unwrap());
}

#[tokio::test]
async fn a_dead_host_delays_nobody() {
    let dead = Server::slow(|_| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Vec::new()
    })
    .await;
    let alive = Server::start(|_| reply(200, &[], "")).await;
    let bench = Bench::new(config());
    for call in 0..40 {
        bench.send(call, 0, &dead.url("/"));
    }
    let started = Instant::now();
    // Also a call with callbacks at both.
    let events: Vec<EventSid> = (0..40)
        .map(|call| bench.send(call, 1, &alive.url("/")))
        .collect();
    while events
        .iter()
        .any(|event| bench.store.state(*event) != Some((1, DELIVERED)))
    {
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "the living host waits"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.callbacks.backlog(), 40);
}

#[tokio::test]
async fn limits_the_requests_to_one_host() {
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&at_once), Arc::clone(&most));
    let server = Server::slow(move |_| {
        let (count, peak) = (Arc::clone(&count), Arc::clone(&peak));
        async move {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(30)).await;
            count.fetch_sub(1, Ordering::SeqCst);
            reply(200, &[], "")
        }
    })
    .await;
    let bench = Bench::new(config());
    for call in 0..20 {
        bench.send(call, 0, &server.url("/"));
    }
    bench.drained().await;
    assert_eq!(server.lines().len(), 20);
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn waits_as_long_as_it_is_asked_to() {
    let turn = AtomicU32::new(0);
    let server = Server::start(move |_| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => reply(429, &["Retry-After: 1"], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let bench = Bench::new(config());
    let started = Instant::now();
    let event = bench.send(1, 0, &server.url("/"));
    bench.drained().await;
    assert!(
        started.elapsed() >= Duration::from_millis(990),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(bench.store.state(event), Some((2, DELIVERED)));
}

#[tokio::test]
async fn takes_up_what_was_left() {
    let server = Server::start(|_| reply(200, &[], "")).await;
    let bench = Bench::new(config());
    let (late, early) = (
        callback(1, 2, &server.url("/")),
        callback(1, 1, &server.url("/")),
    );
    let events = [late.event, early.event];
    bench.store.insert(late);
    bench.store.insert(early);
    assert_eq!(bench.callbacks.resume().await, Ok(2));
    bench.drained().await;
    assert_eq!(server.lines(), ["POST / n=1.1", "POST / n=1.2"]);
    for event in events {
        assert_eq!(bench.store.state(event), Some((1, DELIVERED)));
    }
    assert_eq!(bench.callbacks.resume().await, Ok(0));
}

#[tokio::test]
async fn takes_up_more_than_memory_holds() {
    let server = Server::start(|_| reply(200, &[], "")).await;
    let bench = Bench::new(CallbackConfig {
        max_rows: 20,
        ..config()
    });
    for call in 0..60 {
        for sequence in 0..10 {
            let row = callback(call, sequence, &server.url("/"));
            bench.store.insert(row);
        }
    }
    assert_eq!(bench.callbacks.resume().await, Ok(600));
    for call in 60..80 {
        bench.send(call, 0, &server.url("/"));
    }
    bench.drained().await;
    let lines = server.lines();
    assert_eq!(lines.len(), 620);
    for call in 0..60 {
        let start = format!("POST / n={call}.");
        let of_call = lines.iter().filter(|line| line.starts_with(&start));
        assert!(of_call.is_sorted(), "call {call}");
    }
    let stats = bench.callbacks.stats();
    assert_eq!((stats.delivered, stats.waiting), (620, 0));
}

#[tokio::test]
async fn delivers_again_what_somebody_wants_again() {
    let turn = AtomicU32::new(0);
    let server = Server::start(move |_| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => reply(410, &[], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let bench = Bench::new(config());
    let event = bench.send(1, 0, &server.url("/s"));
    bench.drained().await;
    let (_, outcome) = bench.store.state(event).expect("stored");
    assert!(matches!(outcome, Some(Outcome::Dead(_))), "{outcome:?}");
    assert_eq!(bench.callbacks.resume().await, Ok(0));
    bench.store.replay(event, now());
    let limit = Instant::now() + Duration::from_secs(5);
    while bench.store.state(event) != Some((1, DELIVERED)) {
        assert!(Instant::now() < limit, "{:?}", bench.store.state(event));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let names: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.header("x-patchcord-event").map(str::to_owned))
        .collect();
    assert_eq!(names, vec![Some(event.to_string()); 2]);
}

/// The outbox closes after this, so any further access to it would fail and log an error.
#[tokio::test]
async fn takes_up_nothing_once_it_is_stopped() {
    let server = Server::start(|_| reply(200, &[], "")).await;
    let bench = Bench::new(config());
    let event = bench.send(1, 0, &server.url("/s"));
    bench.drained().await;
    assert_eq!(bench.callbacks.resume().await, Ok(0));
    bench.callbacks.stop();
    // One look may be in progress.
    tokio::time::sleep(config().replay_every * 2).await;
    bench.store.replay(event, now());
    tokio::time::sleep(config().replay_every * 10).await;
    assert_eq!(server.asked().len(), 1, "nothing is delivered again");
    assert_eq!(bench.store.state(event), Some((0, None)));
}

#[tokio::test]
async fn a_host_that_fails_is_left_alone_and_comes_back() {
    let turn = AtomicU32::new(0);
    let server = Server::start(move |_| match turn.fetch_add(1, Ordering::SeqCst) {
        0..6 => reply(500, &[], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let bench = Bench::new(config());
    let events: Vec<_> = (0..30)
        .map(|call| bench.send(call, 0, &server.url("/s")))
        .collect();
    bench.drained().await;
    for event in events {
        let state = bench.store.state(event);
        assert!(matches!(state, Some((1..=6, DELIVERED))), "{state:?}");
    }
    let stats = bench.callbacks.stats();
    assert_eq!((stats.delivered, stats.dead), (30, 0));
    assert_eq!((stats.open_hosts, stats.opened, stats.retried), (0, 1, 6));
}

#[tokio::test]
async fn signs_each_attempt_for_the_address_it_goes_to() {
    let server = Server::start(|asked| match asked.target.as_str() {
        "/old?x=1" => reply(307, &["Location: /new"], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let bench = Bench::new(config());
    bench.send(1, 0, &server.url("/old?x=1#part"));
    bench.drained().await;
    let asked = server.asked();
    let urls: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("x-patchcord-signed-url").map(str::to_owned))
        .collect();
    let expected = ["/old?x=1", "/new"].map(|path| Some(server.url(path)));
    assert_eq!(urls, expected);
    for asked in asked {
        let ours = asked.header("x-patchcord-signature").expect("signed");
        let time = asked.header("x-patchcord-timestamp").expect("signed");
        assert!(ours.starts_with(&format!("t={time},v1=")), "{ours}");
        assert_eq!(ours.matches("v1=").count(), 2, "{ours}");
        assert_eq!(asked.header("x-twilio-signature").map(str::len), Some(28));
    }
}

/// An application that checks would reject it permanently.
#[tokio::test]
async fn what_cannot_be_signed_is_not_sent() {
    let server = Server::start(|asked| match asked.header("x-patchcord-signature") {
        Some(_) => reply(200, &[], ""),
        None => reply(403, &[], ""),
    })
    .await;
    let many = CallbackConfig::default().breaker_failures + 3;
    let bench = Bench::with(config(), Arc::new(LateKey(AtomicU32::new(many))));
    let event = bench.send(1, 0, &server.url("/s"));
    bench.drained().await;
    assert_eq!(bench.store.state(event), Some((many + 1, DELIVERED)));
    assert_eq!(server.lines().len(), 1);
    // It says nothing about the host.
    assert_eq!(bench.callbacks.stats().opened, 0);
}

/// A store that takes no end for a while, or is closed while it looks for rows to deliver again.
#[derive(Default)]
struct Stuck {
    store: MemoryOutbox,
    refusals: AtomicU32,
    closes: Option<Notify>,
}

#[async_trait::async_trait]
impl OutboxStore for Stuck {
    async fn adopt(&self) -> Result<bool, OutboxError> {
        self.store.adopt().await
    }

    async fn count(&self) -> Result<u64, OutboxError> {
        self.store.count().await
    }

    async fn page(
        &self,
        after: Option<RowPlace>,
        limit: usize,
    ) -> Result<Vec<PendingCallback>, OutboxError> {
        self.store.page(after, limit).await
    }

    async fn replayed(&self) -> Result<Vec<PendingCallback>, OutboxError> {
        if let Some(closed) = &self.closes {
            closed.notified().await;
            return Err(OutboxError("the store is closed".to_owned()));
        }
        self.store.replayed().await
    }

    async fn claim(&self, events: Vec<EventSid>) -> Result<Vec<bool>, OutboxError> {
        self.store.claim(events).await
    }

    async fn retry(&self, row: &PendingCallback, failure: Failure) -> Result<(), OutboxError> {
        self.store.retry(row, failure).await
    }

    async fn finish(&self, row: &PendingCallback, outcome: Outcome) -> Result<(), OutboxError> {
        let less = |left: u32| left.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.refusals.fetch_update(order, order, less).is_ok() {
            return Err(OutboxError("the disk is full".to_owned()));
        }
        self.store.finish(row, outcome).await
    }
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The store is closed while a look for rows is on its way: an alarm, unless the callbacks were stopped.
#[tokio::test]
async fn a_look_that_fails_at_a_stop_is_no_alarm() {
    for stops in [false, true] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(subscriber.finish());
        let store = Arc::new(Stuck {
            closes: Some(Notify::new()),
            ..Stuck::default()
        });
        let policy = Arc::new(|_, _: &str| AddressPolicy { private_ok: true });
        let fetcher = Fetcher::new(quick()).expect("TLS");
        let callbacks = Callbacks::new(fetcher, store.clone(), config(), policy, Arc::new(OneKey));
        assert_eq!(callbacks.resume().await, Ok(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
        if stops {
            callbacks.stop();
        }
        store.closes.as_ref().expect("it closes").notify_one();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("a text");
        assert_eq!(text.contains("cannot look for callbacks"), !stops, "{text}");
        assert_eq!(text.contains("WARN"), !stops, "{text}");
    }
}

#[tokio::test]
async fn the_end_of_a_callback_is_stored_however_long_it_takes() {
    let server = Server::start(|_| reply(200, &[], "")).await;
    let store = Arc::new(Stuck {
        refusals: AtomicU32::new(9),
        ..Stuck::default()
    });
    let policy = Arc::new(|_, _: &str| AddressPolicy { private_ok: true });
    let config = CallbackConfig {
        longest_wait: Duration::from_millis(40),
        ..config()
    };
    let fetcher = Fetcher::new(quick()).expect("TLS");
    let callbacks = Callbacks::new(fetcher, store.clone(), config, policy, Arc::new(OneKey));
    let sent = callback(1, 0, &server.url("/s"));
    store.store.insert(sent.clone());
    callbacks.deliver(sent.clone());
    let limit = Duration::from_secs(5);
    let drained = tokio::time::timeout(limit, callbacks.drained()).await;
    drained.expect("drains in time");
    assert_eq!(store.store.state(sent.event), Some((1, DELIVERED)));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_document_does_not_wait_for_callbacks_to_the_same_host() {
    let server = Server::slow(|asked| async move {
        if asked.target == "/s" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        reply(200, &[], "<Response/>")
    })
    .await;
    let bench = Bench::new(config());
    for call in 0..40 {
        bench.send(call, 0, &server.url("/s"));
    }
    let limit = Instant::now() + Duration::from_secs(5);
    while server.lines().len() < 4 {
        assert!(Instant::now() < limit, "the places are taken");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Behind callbacks it would exceed its own timeout.
    let document = request(HttpMethod::Get, &server.url("/v"));
    let answer = bench.fetcher.fetch(document).await.expect("an answer");
    assert_eq!(answer.body, "<Response/>");
    assert_eq!(bench.callbacks.backlog(), 40);
}

#[tokio::test]
async fn an_answer_counts_before_its_body_ends() {
    let server = Server::start(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe rest never comes".to_vec()
    })
    .await;
    let bench = Bench::new(config());
    let event = bench.send(1, 0, &server.url("/s"));
    bench.drained().await;
    assert_eq!(bench.store.state(event), Some((1, DELIVERED)));
}
