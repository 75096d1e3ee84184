//! Limits on HTTP connections.

use std::net::SocketAddr;

use axum::routing::get;
use rustix::process::{Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn start(limits: Limits) -> (SocketAddr, watch::Sender<bool>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let large = || std::future::ready("x".repeat(50_000_000));
    let router = Router::new()
        .route("/", get(|| std::future::ready("hello")))
        .route("/large", get(large));
    (
        address,
        stop,
        serve(
            listener,
            router,
            limits,
            Proxies::default(),
            "test",
            stopped,
        ),
    )
}

fn limits() -> Limits {
    Limits {
        connections: 4,
        per_source: 4,
        head: Duration::from_millis(200),
        stall: Duration::from_millis(400),
        idle: Duration::from_secs(60),
    }
}

/// The response to some bytes, until the server closes or is silent for a second.
async fn ask(address: SocketAddr, bytes: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let closed = tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let (address, _stop, _) = start(limits()).await;
    for bytes in [&b""[..], b"GET / HT", REQUEST] {
        let (answer, closed) = ask(address, bytes).await;
        assert!(closed, "after {bytes:?}");
        assert_eq!(answer.contains("hello"), bytes == REQUEST, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let (address, _stop, server) = start(limits()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < 50_000_000, "{}", answer.len());
    server.abort();
}

#[tokio::test]
async fn connections_are_counted_and_places_come_back() {
    let long = Limits {
        head: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        ..limits()
    };
    let (address, _stop, _) = start(long).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    let _ = refused.write_all(REQUEST).await;
    let mut answer = Vec::new();
    let _ = refused.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "the fifth is closed");
    held.pop();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(REQUEST).await;
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).await.is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "no place came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn source(text: &str) -> Source {
    text.parse::<IpAddr>().unwrap().into()
}

#[test]
fn each_source_has_a_share() {
    let limits = Limits {
        connections: 4,
        per_source: 2,
        ..limits()
    };
    let (mut seats, now) = (Seats::default(), Instant::now());
    let take = |seats: &mut Seats, text: &str, is_proxy| {
        let taken = seats.take(source(text), is_proxy, &limits, now);
        taken.map(|(id, _)| id).ok()
    };
    let one = take(&mut seats, "2001:db8::1", false).unwrap();
    assert!(take(&mut seats, "2001:db8::2", false).is_some());
    let third = take(&mut seats, "2001:db8::3", false);
    assert!(third.is_none(), "the same /64");
    assert!(take(&mut seats, "2001:db8::3", true).is_some(), "a proxy");
    assert!(take(&mut seats, "192.0.2.1", false).is_some());
    let fifth = take(&mut seats, "192.0.2.2", false);
    assert!(fifth.is_none(), "no more in total");
    seats.free(one);
    assert!(take(&mut seats, "192.0.2.2", false).is_some());
}

#[test]
fn an_idle_connection_of_the_greediest_makes_room() {
    let limits = Limits {
        connections: 4,
        per_source: 3,
        idle: Duration::from_secs(10),
        ..limits()
    };
    let (mut seats, start) = (Seats::default(), Instant::now());
    let at = |second| start + Duration::from_secs(second);
    let take = |seats: &mut Seats, text: &str, second| {
        let taken = seats.take(source(text), false, &limits, at(second));
        taken.map(|(id, _)| id).ok()
    };
    for (second, text) in (0..).zip(["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"]) {
        assert_eq!(take(&mut seats, text, second), Some(second));
    }
    for id in 0..4 {
        seats.set_idle_since(id, None);
    }
    assert_eq!(take(&mut seats, "192.0.2.3", 100), None, "all are busy");
    seats.set_idle_since(0, Some(at(0)));
    let own = take(&mut seats, "192.0.2.2", 100);
    assert_eq!(own, None, "only its own make room for it");
    for (id, since) in [(1, 100), (2, 99), (3, 101)] {
        seats.set_idle_since(id, Some(at(since)));
    }
    assert_eq!(take(&mut seats, "192.0.2.2", 108), None, "not long enough");
    assert_eq!(take(&mut seats, "192.0.2.3", 110), Some(4));
    assert_eq!(seats.held(), [0, 1, 3, 4], "longest, of the greediest");
    assert_eq!(take(&mut seats, "192.0.2.2", 111), Some(5));
    assert_eq!(seats.held(), [0, 3, 4, 5]);
}

#[test]
fn connections_of_a_proxy_make_room_last() {
    let limits = Limits {
        connections: 4,
        per_source: 3,
        idle: Duration::from_secs(10),
        ..limits()
    };
    let (mut seats, start) = (Seats::default(), Instant::now());
    let take = |seats: &mut Seats, text: &str, is_proxy, second| {
        let now = start + Duration::from_secs(second);
        let taken = seats.take(source(text), is_proxy, &limits, now);
        taken.map(|(id, _)| id).ok()
    };
    for second in 0..3 {
        assert!(take(&mut seats, "10.0.0.1", true, second).is_some());
    }
    assert_eq!(take(&mut seats, "192.0.2.1", false, 3), Some(3));
    assert_eq!(take(&mut seats, "192.0.2.2", false, 20), Some(4));
    assert!(!seats.held().contains(&3), "the one that is not a proxy's");
    assert_eq!(take(&mut seats, "192.0.2.3", false, 21), Some(5));
    assert!(
        !seats.held().contains(&0),
        "no other has waited long enough"
    );
}

/// The seats of many connections from many sources are those that a look at all of them would find.
#[test]
fn the_one_that_makes_room_is_the_one_that_a_search_would_find() {
    let limits = Limits {
        connections: 40,
        per_source: 9,
        idle: Duration::from_secs(5),
        ..limits()
    };
    let (mut seats, start) = (Seats::default(), Instant::now());
    // Connection, source and since when it waits.
    let mut held: Vec<(u64, Source, Option<Instant>)> = Vec::new();
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for second in 0..3_000 {
        let now = start + Duration::from_secs(second);
        if !held.is_empty() && random(3) == 0 {
            let at = random(held.len() as u64) as usize;
            let since = (random(2) == 0).then_some(now);
            held[at].2 = since;
            assert!(seats.set_idle_since(held[at].0, since));
            continue;
        }
        if random(8) == 0 && !held.is_empty() {
            let at = random(held.len() as u64) as usize;
            let (id, ..) = held.remove(at);
            assert!(seats.free(id).is_some());
            continue;
        }
        let new = source(&format!("192.0.2.{}", random(6)));
        let count = |of: Source| held.iter().filter(|(_, source, _)| *source == of).count();
        let waits = |since: &Option<Instant>| since.is_some_and(|since| now - since >= limits.idle);
        let crowded = count(new) >= limits.per_source;
        let gone = (crowded || held.len() >= limits.connections).then(|| {
            let may_leave = held
                .iter()
                .filter(|(_, source, since)| waits(since) && (!crowded || *source == new));
            may_leave
                .max_by_key(|(id, source, since)| {
                    (
                        count(*source),
                        since.map(|since| now - since),
                        std::cmp::Reverse(*id),
                    )
                })
                .map(|(id, ..)| *id)
        });
        let taken = seats.take(new, false, &limits, now).ok().map(|(id, _)| id);
        match (gone, taken) {
            (Some(None), None) => {}
            (Some(Some(_)) | None, Some(id)) => {
                held.retain(|(other, ..)| Some(Some(*other)) != gone);
                held.push((id, new, Some(now)));
            }
            other => panic!("second {second}: {other:?}"),
        }
        let mut expected: Vec<u64> = held.iter().map(|(id, ..)| *id).collect();
        expected.sort_unstable();
        assert_eq!(seats.held(), expected, "second {second}");
    }
}

#[tokio::test]
async fn a_connection_that_makes_room_is_closed() {
    let quick = Limits {
        head: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        idle: Duration::from_millis(50),
        ..limits()
    };
    let (address, _stop, _) = start(quick).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut new = TcpStream::connect(address).await.unwrap();
    new.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 12];
    new.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut end = [0; 1];
    let closed = tokio::time::timeout(Duration::from_secs(5), held[0].read(&mut end)).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
}

#[tokio::test]
async fn a_request_on_a_connection_that_makes_room_is_refused_before_it_begins() {
    let room = Arc::new(Room {
        limits: limits(),
        seats: Mutex::default(),
    });
    let place = Room::take(&room, Source::NONE, false).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, address) = listener.accept().await.unwrap();
    peer.write_all(REQUEST).await.unwrap();
    stream.readable().await.unwrap();
    let made = room.seats().make_room(Instant::now(), Duration::ZERO);
    assert!(made);
    let client = Client {
        peer: address.ip(),
        proxies: Arc::default(),
    };
    let router = Router::new().route("/", get(|| std::future::ready("hello")));
    let (_stop, stopped) = watch::channel(false);
    connection(stream, client, router, place, stopped).await;
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    let answer = answer.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[test]
fn most_descriptors_are_left_for_calls() {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limits = Limits::of_api(None, None);
    let few = limits.connections as u64 <= (descriptors / 8).max(16);
    assert!(few && limits.connections <= 4096, "{limits:?}");
    assert!(limits.per_source < limits.connections, "{limits:?}");
    assert_eq!(Limits::of_api(Some(7), Some(3)).connections, 7);
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn running_out_of_descriptors_is_logged_and_passes() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let many = Limits {
        connections: 1000,
        per_source: 1000,
        ..limits()
    };
    let (address, _stop, _) = start(many).await;
    let before = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let low = Rlimit {
        current: Some(open + 10),
        ..before
    };
    setrlimit(Resource::Nofile, low).unwrap();
    let reserve = std::fs::File::open("/dev/null").unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(address).await {
        clients.push(client);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The client took the last descriptor, so the server has none.
    drop(reserve);
    clients.extend(TcpStream::connect(address).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    setrlimit(Resource::Nofile, before).unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("cannot be accepted"), "{text}");
    assert!(lines[0].contains("Too many open files"), "{text}");
    drop(clients);
    let (answer, _) = ask(address, REQUEST).await;
    assert!(answer.contains("hello"), "{answer}");
}

#[tokio::test]
async fn stops_without_waiting_for_idle_connections() {
    let long = Limits {
        head: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        ..limits()
    };
    let (address, stop, server) = start(long).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .expect("it stops")
        .unwrap();
}
