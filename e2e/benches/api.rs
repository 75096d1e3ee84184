//! Measures what requests to the API cost with many calls on record, beside a bare handler that reads one row through
//! the same pool, in the same run.
//!
//! The database is filled with calls of one account. For each request, 50 connections first send as fast as they are
//! answered, for requests a second and CPU time, then at a fixed rate, for the time a caller waits. **Invariant: server and
//! bare handler are separate processes and are measured in the same way, from outside** (`/proc`), so that other load on
//! the machine affects both. `cargo bench --package e2e --bench api -- --calls N --seconds N` sets the number of calls and how
//! long each request is measured, `--only TEXT` leaves out the requests whose names do not contain it; SQLite and PostgreSQL
//! are measured in turn, or only the one that is named.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use base64::Engine as _;
use e2e::cost::cpu_ms;
use e2e::http::{self, Message};
use e2e::server::{ADMIN_SID, ADMIN_TOKEN, Options};
use e2e::{Server, wait};
use testkit::postgres::Postgres;

/// Connections that send requests at the same time.
const CONNECTIONS: u64 = 50;
/// Requests a second in all, while waiting times are measured.
const RATE: u64 = 200;
/// How long PostgreSQL may take to start.
const SOON: Duration = Duration::from_secs(20);

/// Requests to the API: a name, and the path below `/restcomm/2012-04-24` or `/2010-04-01` with the account as `A`. `SID` is
/// replaced by the identifier of some call, `LAST`, `MIDDLE` and `TOKEN` by the number of the last page, of one in the
/// middle and by that of the Twilio base for it.
const REQUESTS: [(&str, &str); 24] = [
    ("GET one", "/restcomm/2012-04-24/A/Calls/SID.json"),
    ("GET one, Twilio", "/2010-04-01/A/Calls/SID.json"),
    ("list", "/restcomm/2012-04-24/A/Calls.json?PageSize=50"),
    (
        "list, page in the middle",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Page=MIDDLE",
    ),
    (
        "list, last page",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Page=LAST",
    ),
    (
        "list, oldest first, page in the middle",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Page=MIDDLE&SortBy=DateCreated:asc",
    ),
    (
        "list by status, 1 % of the calls",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Status=busy",
    ),
    (
        "list by status, 99 %, page in the middle",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Status=completed&Page=MIDDLE",
    ),
    (
        "list by status that no call has",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&Status=failed",
    ),
    (
        "list by To, 0.1 %",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&To=1000000042",
    ),
    (
        "list by From, all, page in the middle",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&From=12025550100&Page=MIDDLE",
    ),
    (
        "list by first day and status",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&StartTime=2023-11-20&Status=busy",
    ),
    (
        "list by last day, page 1000",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&EndTime=2023-11-20&Page=1000",
    ),
    (
        "list by To, longest first",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&To=1000000042&SortBy=Duration:desc",
    ),
    (
        "list, longest first",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&SortBy=Duration:desc",
    ),
    (
        "list by called party, page in the middle",
        "/restcomm/2012-04-24/A/Calls.json?PageSize=50&SortBy=To:asc&Page=MIDDLE",
    ),
    ("list, Twilio", "/2010-04-01/A/Calls.json?PageSize=50"),
    (
        "list, Twilio, page in the middle",
        "/2010-04-01/A/Calls.json?PageSize=50&Page=1&PageToken=TOKEN",
    ),
    (
        "list by status, Twilio",
        "/2010-04-01/A/Calls.json?PageSize=50&Status=busy",
    ),
    (
        "list by To and status, Twilio",
        "/2010-04-01/A/Calls.json?PageSize=50&To=1000000042&Status=completed",
    ),
    (
        "list by From, Twilio",
        "/2010-04-01/A/Calls.json?PageSize=50&From=%2B12025550100",
    ),
    (
        "list of a day, Twilio",
        "/2010-04-01/A/Calls.json?PageSize=50&StartTime=2023-11-20",
    ),
    (
        "usage of a year by day",
        "/restcomm/2012-04-24/A/Usage/Records/Daily.json?StartDate=2022-11-26&EndDate=2023-11-25",
    ),
    (
        "usage of a year by day, Twilio",
        "/2010-04-01/A/Usage/Records/Daily.json?StartDate=2022-11-26&EndDate=2023-11-25&PageSize=1000",
    ),
];

/// The request that creates a call: how many of them there are a second says how many calls.
const CREATE: &str = "POST a call";
/// When the first call was created, in seconds since 1970: 2023-11-14.
const FIRST_S: u64 = 1_700_000_000;
/// Microseconds.
const SECOND: u64 = 1_000_000;

struct Load {
    calls: u64,
    time: Duration,
    databases: Vec<String>,
    /// Only requests whose names contain this.
    only: Option<String>,
}

impl Load {
    fn names(&self, request: &str) -> bool {
        (self.only.as_deref()).is_none_or(|part| request.contains(part))
    }
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let [word, url] = words.as_slice()
        && word == "bare"
    {
        return serve_bare(url);
    }
    let load = read_arguments(&words)?;
    println!(
        "| database | request | requests/s | CPU ms per request | times the bare handler | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    for database in &load.databases {
        match database.as_str() {
            "sqlite" => measure(&load, database, None)?,
            "postgresql" => {
                if let Some(postgres) = Postgres::required() {
                    measure(&load, database, Some(&postgres))?;
                }
            }
            other => bail!("`{other}` is neither sqlite nor postgresql"),
        }
    }
    Ok(())
}

fn read_arguments(words: &[String]) -> anyhow::Result<Load> {
    let mut load = Load {
        calls: 1_000_000,
        time: Duration::from_secs(5),
        databases: Vec::new(),
        only: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || -> anyhow::Result<u64> {
            let number = words.next().and_then(|word| word.parse().ok());
            number.with_context(|| format!("{word} needs a number"))
        };
        match word.as_str() {
            "--calls" => load.calls = number()?,
            "--seconds" => load.time = Duration::from_secs(number()?),
            "--only" => load.only = words.next().cloned(),
            database => load.databases.push(database.to_owned()),
        }
    }
    if load.databases.is_empty() {
        load.databases = vec!["sqlite".to_owned(), "postgresql".to_owned()];
    }
    ensure!(load.calls >= 1000, "at least 1000 calls");
    Ok(load)
}

/// Measures all requests on one database.
fn measure(load: &Load, database: &str, postgres: Option<&Postgres>) -> anyhow::Result<()> {
    let url = postgres.map(|postgres| format!("{}/postgres", postgres.url));
    let start = || {
        let mut options = Options::default().variable("PATCHCORD_LOG__LEVEL", "warn");
        if let Some(url) = &url {
            options = options
                .variable("PATCHCORD_DATABASE__URL", url)
                .variable("PATCHCORD_SERVER__SECRET_KEY", &"5e".repeat(32));
        }
        options.start()
    };
    // PostgreSQL has just been started.
    let mut server = wait::until("the server", SOON, || start().ok())?;
    server.kill()?;
    let url = url.unwrap_or_else(|| {
        let file = server.data().join("patchcord.db");
        format!("sqlite:{}", file.display())
    });
    fill(&url, load.calls)?;
    server.start_again()?;

    let mut bare = Bare::start(&url)?;
    let paths = |sid: u64| format!("/calls/{}", call_sid(sid));
    let base = run(bare.address, bare.child.id(), load, paths).context("the bare handler")?;
    base.print(database, "bare handler, one row", &base);
    bare.child.kill()?;
    bare.child.wait()?;

    let (address, pid) = (address(&server)?, server.process().id());
    for (name, path) in REQUESTS {
        if !load.names(name) {
            continue;
        }
        let account = format!("Accounts/{ADMIN_SID}");
        let middle = load.calls / 2;
        let token = format!("PA{}-{}", (FIRST_S + middle) * SECOND, call_sid(middle));
        let path = path
            .replace("/A/", &format!("/{account}/"))
            .replace("LAST", &((load.calls - 1) / 50).to_string())
            .replace("MIDDLE", &(middle / 50).to_string())
            .replace("TOKEN", &token);
        let path = |sid: u64| path.replace("SID", &call_sid(sid));
        // One that takes longer than a client waits is a result, too.
        match run(address, pid, load, path) {
            Ok(cost) => cost.print(database, name, &base),
            Err(error) => println!("| {database} | {name} | failed: {error} | | | | |"),
        }
    }
    if load.names(CREATE) {
        let sink = Sink::start()?;
        let form = format!("From=bench&To=sip:sink@{}&Twiml=<Response/>", sink.address);
        let path = format!("/2010-04-01/Accounts/{ADMIN_SID}/Calls.json");
        match run_posts(address, pid, load, &path, &form) {
            Ok(cost) => cost.print(database, CREATE, &base),
            Err(error) => println!("| {database} | {CREATE} | failed: {error} | | | | |"),
        }
    }
    Ok(())
}

/// Takes SIP calls and declines each as busy.
struct Sink {
    address: SocketAddr,
}

impl Sink {
    /// Runs until the program ends.
    fn start() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = String::from_utf8_lossy(&buffer[..length]);
                if !request.starts_with("INVITE ") {
                    continue;
                }
                let mut answer = "SIP/2.0 486 Busy Here\r\n".to_owned();
                for line in request.lines().take_while(|line| !line.is_empty()) {
                    let name = line.split(':').next().unwrap_or_default();
                    let tag = if name == "To" { ";tag=sink" } else { "" };
                    if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
                        answer.extend([line, tag, "\r\n"]);
                    }
                }
                answer.push_str("Content-Length: 0\r\n\r\n");
                // The call fails if the answer is lost, and the request with it.
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        Ok(Self { address })
    }
}

fn address(server: &Server) -> anyhow::Result<SocketAddr> {
    let base = server.ready()["http"].as_str().context("http")?;
    Ok(base.trim_start_matches("http://").parse()?)
}

/// The identifier of the call with this number.
fn call_sid(number: u64) -> String {
    format!("CA{number:032x}")
}

/// Writes calls into a database that the server has made: one a second, to a thousand numbers, every hundredth one busy.
fn fill(url: &str, calls: u64) -> anyhow::Result<()> {
    let (sid, is_busy) = match url.starts_with("sqlite:") {
        true => ("printf('CA%032x', i)", "i % 100 = 7"),
        false => ("'CA' || lpad(to_hex(i), 32, '0')", "i % 100 = 7"),
    };
    let second = SECOND;
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {calls}) \
         INSERT INTO calls (sid, instance, account, to_user, from_user, status, direction, created, updated, \
         started, answered, ended, duration_s, ring_duration_s, reason, muted) \
         SELECT {sid}, 'ID00000000000000000000000000000001', '{ADMIN_SID}', '1000000' || lpad_number, '+12025550100', \
         CASE WHEN {is_busy} THEN 'busy' ELSE 'completed' END, 'inbound', t, t + 60 * {second}, t, t + {second}, \
         t + 60 * {second}, i % 3600, 1, 'callee', 0 \
         FROM (SELECT i, {FIRST_S} * CAST({second} AS BIGINT) + i * {second} AS t, \
         substr(CAST(1000 + i % 1000 AS TEXT), 2) AS lpad_number FROM n) AS made"
    );
    let fill = format!(
        "{fill}; INSERT INTO counters (account, kind, n) VALUES ('{ADMIN_SID}', 'calls', {calls}); \
         INSERT INTO usage_days (account, day, category, n, seconds, minutes) \
         SELECT '{ADMIN_SID}', day, category, 1000, 60000, 1000 FROM \
         (SELECT CAST({FIRST_S} / 86400 - 360 AS BIGINT) + i AS day FROM \
         (WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 370) SELECT i FROM n) AS d) AS days, \
         (SELECT 'calls-inbound' AS category UNION ALL SELECT 'calls-outbound' UNION ALL SELECT 'sms-outbound') AS categories"
    );
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let connection = rusqlite::Connection::open(path)?;
            connection.execute_batch(&format!("{fill}; ANALYZE"))?;
        }
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let (client, connection) =
                    tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                tokio::spawn(connection);
                client
                    .batch_execute(&format!("{fill}; ANALYZE"))
                    .await
                    .context("filling the database")
            })?;
        }
    }
    Ok(())
}

/// The process of the bare handler.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start(url: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bare", url])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("stdout")?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().parse().context(line)?;
        Ok(Self { child, address })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves single calls, found in the database by its readers, until it is killed.
fn serve_bare(url: &str) -> anyhow::Result<()> {
    async fn call(
        State(store): State<std::sync::Arc<store::Inspect>>,
        Path(sid): Path<String>,
    ) -> Result<String, axum::http::StatusCode> {
        let sid = sid
            .parse()
            .map_err(|_| axum::http::StatusCode::BAD_REQUEST)?;
        match store.call(sid).await {
            Ok(Some(call)) => Ok(format!("{{\"sid\": \"{}\"}}", call.sid)),
            _ => Err(axum::http::StatusCode::NOT_FOUND),
        }
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = std::sync::Arc::new(store::Inspect::open(url).await?);
        let router = Router::new()
            .route("/calls/{sid}", get(call))
            .with_state(store);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        Ok(axum::serve(listener, router).await?)
    })
}

/// What one kind of request costs.
struct Cost {
    per_second: f64,
    cpu_ms: f64,
    /// How long a caller waits, sorted, in ms.
    waits: Vec<f64>,
}

impl Cost {
    fn print(&self, database: &str, request: &str, bare: &Self) {
        println!(
            "| {database} | {request} | {:.0} | {:.3} | {:.1} | {:.1} | {:.1} |",
            self.per_second,
            self.cpu_ms,
            self.cpu_ms / bare.cpu_ms,
            self.wait(50),
            self.wait(99),
        );
    }

    fn wait(&self, percent: usize) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        self.waits
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }
}

/// Sends requests to a process, at full speed and then at [`RATE`].
///
/// - `path`: of the request for the call with a number
fn run(
    address: SocketAddr,
    pid: u32,
    load: &Load,
    path: impl Fn(u64) -> String + Sync,
) -> anyhow::Result<Cost> {
    measure_request(address, pid, load, &|number| Message {
        start: format!("GET {} HTTP/1.1", path(number)),
        ..Message::default()
    })
}

/// The same, with a form for each request.
fn run_posts(
    address: SocketAddr,
    pid: u32,
    load: &Load,
    path: &str,
    form: &str,
) -> anyhow::Result<Cost> {
    measure_request(address, pid, load, &|_| Message {
        start: format!("POST {path} HTTP/1.1"),
        headers: vec![(
            "Content-Type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        )],
        body: form.as_bytes().to_vec(),
    })
}

/// - `request`: the one for the call with a number
fn measure_request(
    address: SocketAddr,
    pid: u32,
    load: &Load,
    request: &(impl Fn(u64) -> Message + Sync),
) -> anyhow::Result<Cost> {
    send(address, load, request, None, Duration::from_secs(1))?;
    let (before, start) = (cpu_ms(pid)?, Instant::now());
    let sent = send(address, load, request, None, load.time)?.len() as f64;
    let cpu_ms = (cpu_ms(pid)? - before) / sent;
    let per_second = sent / start.elapsed().as_secs_f64();
    let pause = Duration::from_secs(CONNECTIONS) / u32::try_from(RATE)?;
    let mut waits = send(address, load, request, Some(pause), load.time)?;
    waits.sort_by(f64::total_cmp);
    Ok(Cost {
        per_second,
        cpu_ms,
        waits,
    })
}

/// Sends requests over all connections for some time, and returns how long each waited for its answer, in ms.
///
/// - `pause`: between the beginnings of two requests of a connection; `None` for none
fn send(
    address: SocketAddr,
    load: &Load,
    request: &(impl Fn(u64) -> Message + Sync),
    pause: Option<Duration>,
    time: Duration,
) -> anyhow::Result<Vec<f64>> {
    let next = AtomicU64::new(1);
    let end = Instant::now() + time;
    let one = |connection: u64| -> anyhow::Result<Vec<f64>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let login = format!("{ADMIN_SID}:{ADMIN_TOKEN}");
        let basic = base64::prelude::BASE64_STANDARD.encode(login);
        let mut waits = Vec::new();
        // The connections do not send at the same moment.
        let mut due = Instant::now()
            + pause.map_or(Duration::ZERO, |pause| {
                pause * u32::try_from(connection).unwrap_or(0)
                    / u32::try_from(CONNECTIONS).unwrap_or(1)
            });
        while Instant::now() < end {
            if let Some(pause) = pause {
                sleep(due.saturating_duration_since(Instant::now()));
                due += pause;
            }
            // Calls in no order: consecutive ones would share pages of the database.
            let number = next.fetch_add(1, Ordering::Relaxed).wrapping_mul(7_919) % load.calls;
            let mut request = request(number);
            request.headers.extend([
                ("Host".to_owned(), address.to_string()),
                ("Authorization".to_owned(), format!("Basic {basic}")),
            ]);
            let begun = Instant::now();
            http::write(&stream, &request)?;
            let answer = http::read(&stream)?;
            waits.push(begun.elapsed().as_secs_f64() * 1000.0);
            ensure!(
                [200, 201].contains(&answer.status()),
                "{}: {}",
                answer.start,
                answer.text()
            );
        }
        Ok(waits)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|connection| {
                let one = &one;
                scope.spawn(move || one(connection))
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(waits) => all.extend(waits?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}
