//! Measures the cost of a text message: accepted over REST, stored, submitted through an SMPP link, its receipt recorded, three
//! callbacks delivered; and for comparison reading one message over REST, in the same run and of the same process.
//!
//! The SMSC is a thread of this program that answers each PDU at once. **Invariant: the server is measured from outside**
//! (`/proc`, and the clocks of this program), so that other load on the machine affects both numbers.
//! `bench-messages --messages N --clients N` sets the number of messages, and of clients that send them.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::cost::{cpu_ms, rss_mb};
use e2e::server::Options;
use e2e::{App, Reply, Rest, wait};

/// Messages and requests before the measurement starts.
const WARM_UP: u32 = 100;
/// How long all messages may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Requests without a response that the link may have.
const WINDOW: &str = "100";

const BIND: u32 = 0x09;
const SUBMIT: u32 = 0x04;
const DELIVER: u32 = 0x05;
const RESPONSE: u32 = 0x8000_0000;

/// When each recipient's message was submitted.
type Submitted = Arc<Mutex<BTreeMap<String, Instant>>>;

fn main() -> anyhow::Result<()> {
    let (messages, clients) = read_arguments()?;
    let (app, smsc) = (App::start()?, TcpListener::bind("127.0.0.1:0")?);
    app.on("/told", Reply::status(200));
    let port = smsc.local_addr()?.port().to_string();
    let submitted = Submitted::default();
    let seen = Arc::clone(&submitted);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = smsc.accept() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || serve(stream, &seen));
        }
    });
    let mut server = Options::default()
        .config("[http]\nmax_requests_per_minute = 0\nmax_requests_per_minute_per_credential = 0\n")
        .variable("PATCHCORD_LOG__LEVEL", "warn")
        .start()?;
    let rest = server.rest();
    let form = [
        ("Kind", "smpp"),
        ("Host", "127.0.0.1"),
        ("Port", port.as_str()),
        ("SystemId", "me"),
        ("Secret", "secret"),
        ("Window", WINDOW),
    ];
    let route = rest.post("MessageRoutes", &form)?;
    let route = format!("MessageRoutes/{}", route["sid"].as_str().context("no sid")?);
    wait::until("bind", LIMIT, || {
        (rest.get(&route).ok()?["up"] == true).then_some(())
    })?;
    let told = app.url("/told");
    let pid = server.process().id();

    let first = send(&rest, &told, (0, WARM_UP), clients)?;
    all_told(&app, WARM_UP)?;
    let one = format!(
        "SMS/Messages/{}",
        first.last().context("nothing was sent")?.sid
    );
    for _ in 0..WARM_UP {
        rest.get(&one)?;
    }
    let before = cpu_ms(pid)?;
    for _ in 0..messages {
        rest.get(&one)?;
    }
    let baseline = (cpu_ms(pid)? - before) / f64::from(messages);

    let (before, start) = (cpu_ms(pid)?, Instant::now());
    let sent = send(&rest, &told, (WARM_UP, messages), clients)?;
    let accepted = start.elapsed();
    all_told(&app, WARM_UP + messages)?;
    let over = start.elapsed();
    let cost = (cpu_ms(pid)? - before) / f64::from(messages);

    let submitted = submitted.lock().unwrap_or_else(PoisonError::into_inner);
    let mut delays = Vec::with_capacity(sent.len());
    for message in &sent {
        let at = submitted.get(&message.to).context("a message was lost")?;
        delays.push(at.saturating_duration_since(message.accepted));
    }
    delays.sort();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let rate = |time: Duration| f64::from(messages) / time.as_secs_f64();
    println!("| what | CPU ms | times a read |");
    println!("|---|---|---|");
    println!("| reading a message | {baseline:.3} | 1.0 |");
    println!(
        "| a message with receipt and callbacks | {cost:.3} | {:.1} |",
        cost / baseline
    );
    println!(
        "    accepted: {:.0}/s with {clients} clients; to the last callback: {:.0}/s",
        rate(accepted),
        rate(over)
    );
    println!(
        "    accepted to submitted: p50 {:.1} ms, p99 {:.1} ms; RSS {:.1} MB",
        at(50),
        at(99),
        rss_mb(pid)?
    );
    Ok(())
}

fn read_arguments() -> anyhow::Result<(u32, u32)> {
    let (mut messages, mut clients) = (5_000, 8);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|word| word.parse().ok());
        let number = number.filter(|number| *number > 0);
        let number = number.with_context(|| format!("`{word}` needs a number above 0"))?;
        match word.as_str() {
            "--messages" => messages = number,
            "--clients" => clients = number,
            _ => anyhow::bail!("`{word}` is neither --messages nor --clients"),
        }
    }
    Ok((messages, clients))
}

/// A message that was accepted.
struct Sent {
    sid: String,
    to: String,
    accepted: Instant,
}

/// Sends messages `from`, `from + 1` … by several clients.
fn send(
    rest: &Rest,
    told: &str,
    (from, count): (u32, u32),
    clients: u32,
) -> anyhow::Result<Vec<Sent>> {
    let client = |client: u32| {
        let mut sent = Vec::new();
        for n in (from + client..from + count).step_by(clients as usize) {
            let to = format!("49{n:09}");
            let number = format!("+{to}");
            let form = [
                ("From", "+4930123456"),
                ("To", number.as_str()),
                ("Body", "measured"),
                ("StatusCallback", told),
            ];
            let message = rest.post("SMS/Messages", &form)?;
            let accepted = Instant::now();
            let sid = message["sid"]
                .as_str()
                .with_context(|| message.to_string())?;
            let sid = sid.to_owned();
            sent.push(Sent { sid, to, accepted });
        }
        Ok::<_, anyhow::Error>(sent)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|n| scope.spawn(move || client(n)))
            .collect();
        let mut sent = Vec::with_capacity(count as usize);
        for one in running {
            let part = one
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?;
            sent.extend(part?);
        }
        Ok(sent)
    })
}

/// Waits for the three callbacks of so many messages: queued, sent, delivered.
fn all_told(app: &App, messages: u32) -> anyhow::Result<()> {
    let expected = messages as usize * 3;
    let requests = app.wait_for("/told", expected, LIMIT)?;
    ensure!(requests.len() == expected, "{} callbacks", requests.len());
    Ok(())
}

/// The SMSC at one connection.
fn serve(mut stream: TcpStream, submitted: &Submitted) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut next_id = 0_u32;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut body = vec![0; (word(0) as usize).checked_sub(16)?];
        stream.read_exact(&mut body).ok()?;
        let (command, sequence) = (word(4), word(12));
        match command {
            BIND => stream
                .write_all(&pdu(command | RESPONSE, sequence, b"smsc\0"))
                .ok()?,
            SUBMIT => {
                let now = Instant::now();
                let (from, to) = parties(&body)?;
                let mut known = submitted.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(to.clone(), now);
                drop(known);
                next_id += 1;
                let id = format!("{next_id}\0");
                let mut both = pdu(command | RESPONSE, sequence, id.as_bytes());
                let text = format!(
                    "id:{next_id} sub:001 dlvrd:001 submit date:2611301200 done date:2611301201 stat:DELIVRD err:000 text:"
                );
                both.extend(pdu(DELIVER, next_id, &receipt(&to, &from, &text)));
                stream.write_all(&both).ok()?;
            }
            // Responses need no answer.
            _ if command & RESPONSE != 0 => {}
            _ => stream
                .write_all(&pdu(command | RESPONSE, sequence, b""))
                .ok()?,
        }
    }
}

fn pdu(command: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(16 + body.len());
    for word in [length, command, 0, sequence] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(body);
    bytes
}

/// Sender and recipient of a `submit_sm` (SMPP 3.4 §4.4.1).
fn parties(body: &[u8]) -> Option<(String, String)> {
    let text = |from: usize| {
        let end = body.get(from..)?.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(&body[from..from + end]).into_owned();
        Some((text, from + end + 1))
    };
    // The service type, then type, plan and digits of each.
    let (_, at) = text(0)?;
    let (from, at) = text(at + 2)?;
    let (to, _) = text(at + 2)?;
    Some((from, to))
}

/// The body of a `deliver_sm` with a receipt (§4.6.1).
fn receipt(from: &str, to: &str, text: &str) -> Vec<u8> {
    let mut body = vec![0, 1, 1];
    body.extend(from.bytes().chain([0, 1, 1]));
    body.extend(to.bytes().chain([0]));
    // esm_class 4: a receipt; then eight fields that are 0 or empty.
    body.extend([4, 0, 0, 0, 0, 0, 0, 0, 0]);
    body.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    body.extend(text.bytes());
    body
}
