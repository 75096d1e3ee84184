//! Measures the cost of forwarding and mixing: the media plane compared with a bare relay under the
//! same load.
//!
//! `bridge_load [CALLS] [SECONDS]` starts itself twice as a child, once as the relay (one thread, a
//! socket per leg, `recvfrom` and `sendto`), once as the media plane, sends 50 packets per second into
//! each leg and prints the child's CPU time, memory and the age of packets on arrival. There is no
//! SIP, so only the packet path counts; `just bench-bridge` measures the whole server. `bridge_load
//! conference [SECONDS]` does the same with 10, 30 and 100 talkers in one mix, all loud at once;
//! the age of a packet means nothing there. **Invariant: both children are measured from outside,
//! in the same way.**

#![allow(clippy::print_stdout, reason = "a command line tool answers on stdout")]

use media::{Control, EndpointId, EngineControl, MediaConfig, MediaPlane, MixId, Report, Session};
use rustix::event::{Timespec, epoll};
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SETTLE: Duration = Duration::from_secs(1);
const FRAME: Duration = Duration::from_millis(20);
const PACKET: usize = 172;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["relay", calls] => relay(calls.parse()?),
        ["plane", calls] => plane(calls.parse()?, bridge),
        ["mix", calls] => plane(calls.parse()?, join),
        ["conference"] => conferences(10),
        ["conference", seconds] => conferences(seconds.parse()?),
        [] => compare(200, 10),
        [calls] => compare(calls.parse()?, 10),
        [calls, seconds, ..] => compare(calls.parse()?, seconds.parse()?),
    }
}

fn compare(calls: usize, seconds: u64) -> Outcome<()> {
    println!("{calls} calls, {} packets per second", calls * 100);
    let relay = measure("relay", calls, seconds)?;
    let plane = measure("plane", calls, seconds)?;
    println!(
        "the media plane takes {:.2} times the CPU of the relay",
        plane / relay
    );
    Ok(())
}

fn conferences(seconds: u64) -> Outcome<()> {
    for participants in [10, 30, 100] {
        println!("{participants} talkers in one mix");
        let relay = measure("relay", participants / 2, seconds)?;
        let mix = measure("mix", participants / 2, seconds)?;
        println!(
            "the mix takes {:.3} ms CPU per participant-second, {:.2} times the relay",
            mix / 2.0,
            mix / relay
        );
    }
    Ok(())
}

/// Measures a child; returns its CPU time in ms per call and second.
fn measure(what: &str, calls: usize, seconds: u64) -> Outcome<f64> {
    let mut child = Stopped(
        Command::new(std::env::current_exe()?)
            .args([what, &calls.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let output = child.0.stdout.take().ok_or("no output")?;
    let mut targets = Vec::new();
    for line in BufReader::new(output).lines().take(calls) {
        for port in line?.split(' ') {
            targets.push(SocketAddr::from(([127, 0, 0, 1], port.parse()?)));
        }
    }
    let load = Load::start(&targets)?;
    thread::sleep(SETTLE);
    let (cpu, begin, started) = (
        cpu_ms(child.0.id())?,
        load.started.elapsed(),
        Instant::now(),
    );
    thread::sleep(Duration::from_secs(seconds));
    let (used, end) = (cpu_ms(child.0.id())? - cpu, load.started.elapsed());
    let per_call = used / started.elapsed().as_secs_f64() / calls as f64;
    let memory = rss_mb(child.0.id())?;
    let (sent, came) = load.stop(begin, end)?;
    let legs = (0..calls as u32 * 2).map(|leg| came.iter().filter(|came| came.leg == leg).count());
    let fewest = legs.min().unwrap_or(0);
    let mut ages: Vec<u32> = came.iter().map(|came| came.age_us).collect();
    ages.sort_unstable();
    let age = |share: f64| {
        let index = (ages.len() as f64 * share) as usize;
        ages.get(index.min(ages.len().saturating_sub(1)))
            .map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    println!(
        "{what}: {per_call:.3} ms CPU per call-second, {:.2} us per packet, {memory:.1} MB, \
         {:.2} % of packets, worst leg {:.1} per second, age p50 {:.2} ms, p99 {:.2} ms",
        per_call * 10.0,
        100.0 * ages.len() as f64 / sent.max(1) as f64,
        fewest as f64 / (end - begin).as_secs_f64(),
        age(0.5),
        age(0.99),
    );
    Ok(per_call)
}

/// Ends the child when it is dropped.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have exited by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time used by a process: user and system, in ms.
fn cpu_ms(pid: u32) -> Outcome<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = text.rsplit_once(')').ok_or("no stat")?;
    let field = |index: usize| -> Outcome<f64> {
        Ok(after_name
            .split_whitespace()
            .nth(index)
            .ok_or("short stat")?
            .parse()?)
    };
    // Fields 14 and 15 of the line, in ticks of 10 ms.
    Ok((field(11)? + field(12)?) * 10.0)
}

fn rss_mb(pid: u32) -> Outcome<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line
        .split_whitespace()
        .next()
        .ok_or("no number")?
        .parse::<f64>()?
        / 1024.0)
}

/// Sends into every leg and times the packets that arrive at the others.
struct Load {
    started: Instant,
    stop: Arc<AtomicBool>,
    sender: thread::JoinHandle<Vec<Duration>>,
    receiver: thread::JoinHandle<Vec<Came>>,
}

/// A packet that arrived.
struct Came {
    at: Duration,
    leg: u32,
    age_us: u32,
}

impl Load {
    fn start(targets: &[SocketAddr]) -> Outcome<Self> {
        let started = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let sockets = targets.iter().map(|_| UdpSocket::bind("127.0.0.1:0"));
        let sockets: Arc<Vec<UdpSocket>> = Arc::new(sockets.collect::<Result<_, _>>()?);
        let sender = {
            let (stop, sockets, targets) = (stop.clone(), sockets.clone(), targets.to_vec());
            thread::spawn(move || send(&sockets, &targets, started, &stop))
        };
        let queue = watch(&sockets)?;
        let receiver = {
            let (stop, sockets) = (stop.clone(), sockets.clone());
            thread::spawn(move || receive(&queue, &sockets, started, &stop))
        };
        Ok(Self {
            started,
            stop,
            sender,
            receiver,
        })
    }

    /// How many packets were sent between two moments, and which of them arrived.
    fn stop(self, begin: Duration, end: Duration) -> Outcome<(usize, Vec<Came>)> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| "the sender failed")?;
        let mut came = self.receiver.join().map_err(|_| "the receiver failed")?;
        let within = |at: &Duration| (begin..end).contains(at);
        came.retain(|came| within(&came.at));
        Ok((sent.iter().filter(|at| within(at)).count(), came))
    }
}

/// Each leg sends every 20 ms, spread over that time.
fn send(
    sockets: &[UdpSocket],
    targets: &[SocketAddr],
    started: Instant,
    stop: &AtomicBool,
) -> Vec<Duration> {
    let mut sent = Vec::new();
    for number in 0u32.. {
        for (leg, (socket, target)) in sockets.iter().zip(targets).enumerate() {
            let due = FRAME * number + FRAME * leg as u32 / sockets.len() as u32;
            let early = due.saturating_sub(started.elapsed());
            if early > Duration::from_micros(200) {
                thread::sleep(early);
            }
            let at = started.elapsed();
            let mut packet = [0; PACKET];
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
            packet[12..20].copy_from_slice(&(at.as_nanos() as u64).to_be_bytes());
            if socket.send_to(&packet, target).is_ok() {
                sent.push(at);
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

fn watch(sockets: &[UdpSocket]) -> Outcome<rustix::fd::OwnedFd> {
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true)?;
        epoll::add(
            &queue,
            socket,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
    }
    Ok(queue)
}

/// Calls `take` for each readable socket until it fails or returns false.
fn poll(queue: &rustix::fd::OwnedFd, mut take: impl FnMut(usize) -> bool) {
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let mut events = [const { MaybeUninit::uninit() }; 256];
    while let Ok((events, _)) = epoll::wait(queue, events.as_mut_slice(), Some(&timeout)) {
        for event in events.iter() {
            if !take(event.data.u64() as usize) {
                return;
            }
        }
    }
}

fn receive(
    queue: &rustix::fd::OwnedFd,
    sockets: &[UdpSocket],
    started: Instant,
    stop: &AtomicBool,
) -> Vec<Came> {
    let mut came = Vec::new();
    poll(queue, |index| {
        let mut packet = [0; 2048];
        if let Ok((PACKET, _)) = sockets[index].recv_from(&mut packet) {
            let at = started.elapsed();
            let stamp = packet[12..20].try_into().map_or(0, u64::from_be_bytes);
            let age = at.saturating_sub(Duration::from_nanos(stamp));
            came.push(Came {
                at,
                leg: index as u32,
                age_us: age.as_micros() as u32,
            });
        }
        !stop.load(Ordering::Relaxed)
    });
    came
}

/// The minimal work of a relay with a socket per leg.
fn relay(calls: usize) -> Outcome<()> {
    let sockets = (0..calls * 2).map(|_| UdpSocket::bind("127.0.0.1:0"));
    let sockets: Vec<UdpSocket> = sockets.collect::<Result<_, _>>()?;
    for pair in sockets.chunks(2) {
        println!(
            "{} {}",
            pair[0].local_addr()?.port(),
            pair[1].local_addr()?.port()
        );
    }
    let queue = watch(&sockets)?;
    let mut remotes: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let mut packet = [0; 2048];
    poll(&queue, |index| {
        if let Ok((len, from)) = sockets[index].recv_from(&mut packet) {
            remotes[index] = Some(from);
            if let Some(to) = remotes[index ^ 1] {
                // A lost packet shows up in the count.
                let _ = sockets[index ^ 1].send_to(&packet[..len], to);
            }
        }
        true
    });
    Ok(())
}

/// Lets the two legs of a call hear each other.
fn bridge(session: &Session, [a, b]: [EndpointId; 2]) {
    session.control(EngineControl::Bridge { a, b });
}

/// Makes both legs members of the one mix.
fn join(session: &Session, legs: [EndpointId; 2]) {
    for endpoint in legs {
        session.control(EngineControl::Join {
            endpoint,
            mix: MixId(1),
            talk: true,
            hear: true,
            coaches: None,
        });
    }
}

/// The media plane with two endpoints per call.
fn plane(calls: usize, connect: impl Fn(&Session, [EndpointId; 2])) -> Outcome<()> {
    let plane = MediaPlane::start(MediaConfig::default())?;
    let mut sessions = Vec::new();
    for call in 0..calls as u64 {
        let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
        let session = plane.session(reports);
        let mut ports = Vec::new();
        let legs = [2 * call, 2 * call + 1].map(EndpointId);
        for endpoint in legs {
            // As behind a NAT: the sender's address is learned from its first packet.
            let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\n\
                         t=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
            let (offer, signalling) = (Some(offer.to_owned()), Some([127, 0, 0, 1].into()));
            session.control(Control::Open {
                endpoint,
                offer,
                signalling,
                proved: true,
                like: None,
            });
            let Some((_, Report::Opened { sdp })) = reported.blocking_recv() else {
                return Err("an endpoint was refused".into());
            };
            let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio "));
            let port = line
                .and_then(|line| line.split(' ').next())
                .ok_or("no port")?;
            ports.push(port.to_owned());
        }
        println!("{}", ports.join(" "));
        connect(&session, legs);
        sessions.push((session, reported));
    }
    // Until the parent process is gone.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
