//! RTP of many legs from one thread: 50 packets per second each, a socket per leg.
//!
//! A payload begins with the time it was sent; a bridge between two legs forwards payloads
//! unchanged, so the receiver knows how long each packet took. A conference does not: there one leg
//! sends bursts of sound, and the others detect when they hear them ([`Speech`]). **Invariant:
//! sending never waits**; a leg's packets are 20 ms apart, and legs are spread evenly over those 20
//! ms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

/// Time between two packets of a leg, in steps of the sender's clock.
const STEPS: usize = 20;
/// One step of the sender's clock.
const STEP: Duration = Duration::from_millis(1);
/// Packets are 12 octets of header and 20 ms of µ-law.
const PACKET: usize = 172;
/// Highest latency that is distinguished, in µs.
const LATENCIES: usize = 200_000;

/// Packets from one burst to the next.
const BURST_EVERY: u64 = 20;
/// Packets of a burst.
const BURST: u64 = 3;

/// Payload type of key presses (RFC 4733).
pub(super) const KEYS: u8 = 101;
/// Keys that a leg presses per step of the sender's clock: 10,000 per second.
const PRESSES: u64 = 10;

/// The sound that the legs send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Payloads with their time of sending.
    Marked,
    /// All legs send a tone.
    Tone,
    /// This leg sends 60 ms of the tone every 400 ms; everything else is silence. Each other leg
    /// counts the age of the first loud packet of a burst.
    Bursts(u64),
}

/// What one leg sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// Packets sent.
    pub sent: u64,
    /// Packets received.
    pub received: u64,
}

/// The totals of all legs since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Packets sent.
    pub sent: u64,
    /// Packets received whose age is known.
    pub received: u64,
    /// Median age of a packet on arrival, in µs.
    pub p50_us: usize,
    /// Age that one packet in a hundred exceeds, in µs.
    pub p99_us: usize,
}

enum Command {
    Open(u64, UdpSocket),
    Send(u64, SocketAddr),
    Say(Speech),
    Press(u64, u64),
    Look(Sender<BTreeMap<u64, LegStats>>),
    Close(u64, Sender<LegStats>),
}

struct Counted {
    sent: u64,
    received: u64,
    latencies: Vec<u32>,
}

/// The sending and receiving thread. It ends when this is dropped.
pub struct Rtp {
    commands: Sender<Command>,
    counted: Arc<Mutex<Counted>>,
}

impl Rtp {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start() -> anyhow::Result<Self> {
        let (commands, inbox) = channel();
        let counted = Arc::new(Mutex::new(Counted {
            sent: 0,
            received: 0,
            latencies: vec![0; LATENCIES],
        }));
        let poll = Poll::new().context("epoll")?;
        let worker = Worker {
            poll,
            inbox,
            counted: Arc::clone(&counted),
            legs: BTreeMap::new(),
            slots: vec![Vec::new(); STEPS],
            origin: Instant::now(),
            speech: Speech::Marked,
            burst: None,
            bursts: 0,
            presses: BTreeMap::new(),
        };
        thread::spawn(move || worker.run());
        Ok(Self { commands, counted })
    }

    /// Opens the socket of a leg on 127.0.0.1, and returns its port.
    ///
    /// # Errors
    /// If no port is free.
    pub fn open(&self, leg: u64) -> anyhow::Result<u16> {
        let socket =
            UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("an RTP socket")?;
        let port = socket.local_addr()?.port();
        self.commands.send(Command::Open(leg, socket))?;
        Ok(port)
    }

    /// Sends to `remote` from now on.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn send(&self, leg: u64, remote: SocketAddr) -> anyhow::Result<()> {
        Ok(self.commands.send(Command::Send(leg, remote))?)
    }

    /// Sets what the legs send from now on; initially [`Speech::Marked`].
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn say(&self, speech: Speech) -> anyhow::Result<()> {
        Ok(self.commands.send(Command::Say(speech))?)
    }

    /// Makes a leg press a key `times` times, 10,000 times per second, in addition to its sound.
    /// Each press is a single packet that begins and ends it.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn press(&self, leg: u64, times: u64) -> anyhow::Result<()> {
        Ok(self.commands.send(Command::Press(leg, times))?)
    }

    /// The packets that each open leg has sent and received so far.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn legs(&self) -> anyhow::Result<BTreeMap<u64, LegStats>> {
        let (reply, stats) = channel();
        self.commands.send(Command::Look(reply))?;
        Ok(stats.recv()?)
    }

    /// Closes a leg.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn close(&self, leg: u64) -> anyhow::Result<LegStats> {
        let (reply, stats) = channel();
        self.commands.send(Command::Close(leg, reply))?;
        Ok(stats.recv()?)
    }

    /// The counters since the last look; resets them.
    pub fn window(&self) -> Window {
        let mut counted = lock(&self.counted);
        let window = Window {
            sent: counted.sent,
            received: counted.received,
            p50_us: percentile(&counted.latencies, 0.50),
            p99_us: percentile(&counted.latencies, 0.99),
        };
        *counted = Counted {
            sent: 0,
            received: 0,
            latencies: vec![0; LATENCIES],
        };
        window
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The smallest value not exceeded by at least `share` of all counted ones.
fn percentile(counts: &[u32], share: f64) -> usize {
    let total: u64 = counts.iter().copied().map(u64::from).sum();
    let wanted = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (value, count) in counts.iter().enumerate() {
        seen += u64::from(*count);
        if seen >= wanted && seen > 0 {
            return value;
        }
    }
    0
}

struct Leg {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    stats: LegStats,
    /// Number of the last burst it heard.
    heard: u64,
}

struct Worker {
    poll: Poll,
    inbox: Receiver<Command>,
    counted: Arc<Mutex<Counted>>,
    legs: BTreeMap<usize, Leg>,
    /// Legs that send in each step.
    slots: Vec<Vec<usize>>,
    origin: Instant,
    speech: Speech,
    /// When the last burst began.
    burst: Option<Instant>,
    bursts: u64,
    /// Remaining key presses of each leg.
    presses: BTreeMap<usize, u64>,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(2048);
        let mut step = 0;
        let mut due = Instant::now();
        while self.obey() {
            let now = Instant::now();
            while due <= now {
                self.send_slot(step % STEPS);
                self.send_presses();
                step += 1;
                due += STEP;
            }
            let wait = due.saturating_duration_since(Instant::now());
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                return;
            }
            for event in &events {
                self.receive(event.token().0);
            }
        }
    }

    /// Carries out requests; false once no more can come.
    fn obey(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Open(leg, mut socket)) => {
                    let leg = leg as usize;
                    if self
                        .poll
                        .registry()
                        .register(&mut socket, Token(leg), Interest::READABLE)
                        .is_ok()
                    {
                        self.legs.insert(
                            leg,
                            Leg {
                                socket,
                                remote: None,
                                stats: LegStats::default(),
                                heard: 0,
                            },
                        );
                    }
                }
                Ok(Command::Send(leg, remote)) => {
                    let leg = leg as usize;
                    if let Some(known) = self.legs.get_mut(&leg)
                        && known.remote.replace(remote).is_none()
                    {
                        self.slots[leg % STEPS].push(leg);
                    }
                }
                Ok(Command::Say(speech)) => {
                    self.speech = speech;
                    self.burst = None;
                }
                Ok(Command::Press(leg, times)) => drop(self.presses.insert(leg as usize, times)),
                Ok(Command::Look(reply)) => {
                    let legs = self
                        .legs
                        .iter()
                        .map(|(leg, known)| (*leg as u64, known.stats));
                    let _ = reply.send(legs.collect());
                }
                Ok(Command::Close(leg, reply)) => {
                    let leg = leg as usize;
                    self.slots[leg % STEPS].retain(|known| *known != leg);
                    let stats = self
                        .legs
                        .remove(&leg)
                        .map(|leg| leg.stats)
                        .unwrap_or_default();
                    let _ = reply.send(stats);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn send_slot(&mut self, slot: usize) {
        let mut sent = 0;
        for leg in &self.slots[slot] {
            let Some(known) = self.legs.get_mut(leg) else {
                continue;
            };
            let Some(remote) = known.remote else { continue };
            let mut packet = packet(*leg as u32, known.stats.sent, self.origin.elapsed());
            let at = known.stats.sent % BURST_EVERY;
            match self.speech {
                Speech::Marked => {}
                Speech::Tone => fill_tone(&mut packet),
                Speech::Bursts(talker) if talker == *leg as u64 && at < BURST => {
                    fill_tone(&mut packet);
                    if at == 0 {
                        self.burst = Some(Instant::now());
                        self.bursts += 1;
                    }
                }
                Speech::Bursts(_) => packet[HEADER..].fill(SILENCE),
            }
            if known.socket.send_to(&packet, remote).is_ok() {
                known.stats.sent += 1;
                sent += 1;
            }
        }
        lock(&self.counted).sent += sent;
    }

    fn send_presses(&mut self) {
        for (leg, left) in &mut self.presses {
            let Some(known) = self.legs.get_mut(leg) else {
                continue;
            };
            let Some(remote) = known.remote else { continue };
            for _ in 0..PRESSES.min(*left) {
                let press = press(*leg as u32, known.stats.sent);
                if known.socket.send_to(&press, remote).is_ok() {
                    known.stats.sent += 1;
                    *left -= 1;
                }
            }
        }
    }

    fn receive(&mut self, leg: usize) {
        let Some(known) = self.legs.get_mut(&leg) else {
            return;
        };
        let mut buffer = [0; 2048];
        let mut ages = [0; 64];
        let mut count = 0;
        while let Ok((length, _)) = known.socket.recv_from(&mut buffer) {
            if length != PACKET {
                continue; // RTCP, or the comfort noise of a ring tone.
            }
            known.stats.received += 1;
            if let (Speech::Bursts(talker), Some(burst)) = (self.speech, self.burst) {
                let hears = talker != leg as u64 && known.heard < self.bursts;
                if hears && is_loud(&buffer[HEADER..length]) {
                    known.heard = self.bursts;
                    ages[count] = burst.elapsed().as_micros() as usize;
                    count += 1;
                }
            } else if let Some(age) = age_us(&buffer[..length], self.origin.elapsed()) {
                ages[count] = age;
                count += 1;
            }
            if count == ages.len() {
                self.note(&ages);
                return self.receive(leg);
            }
        }
        self.note(&ages[..count]);
    }

    fn note(&self, ages: &[usize]) {
        let mut counted = lock(&self.counted);
        counted.received += ages.len() as u64;
        for age in ages {
            counted.latencies[(*age).min(LATENCIES - 1)] += 1;
        }
    }
}

/// Octets before the payload.
const HEADER: usize = 12;
/// A silent µ-law sample.
const SILENCE: u8 = 0xff;

/// A square wave of 1 kHz, about 20 dB below the maximum level.
fn fill_tone(packet: &mut [u8; PACKET]) {
    for (at, octet) in packet[HEADER..].iter_mut().enumerate() {
        *octet = if at % 8 < 4 { 0xae } else { 0x2e };
    }
}

/// Whether a tenth of the samples exceed −40 dB of the maximum level.
fn is_loud(payload: &[u8]) -> bool {
    let loud = payload.iter().filter(|octet| **octet & 0x7f < 0x4f);
    loud.count() * 10 >= payload.len()
}

/// Marks a payload as ours.
const MARK: u64 = 0x5061_7463_6863_6f72;

/// A µ-law packet with the mark and the time in its payload.
fn packet(ssrc: u32, count: u64, sent_at: Duration) -> [u8; PACKET] {
    let mut packet = [0xff; PACKET];
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(count as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(count as u32).wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet[12..20].copy_from_slice(&MARK.to_be_bytes());
    packet[20..28].copy_from_slice(&(sent_at.as_nanos() as u64).to_be_bytes());
    packet
}

/// Key 5, pressed for 100 ms: only the last packet of the press.
fn press(ssrc: u32, count: u64) -> [u8; HEADER + 4] {
    let mut press = [0; HEADER + 4];
    press[..HEADER].copy_from_slice(&packet(ssrc, count, Duration::ZERO)[..HEADER]);
    press[1] = 0x80 | KEYS;
    press[HEADER..].copy_from_slice(&[5, 0x80 | 10, 0x03, 0x20]);
    press
}

/// Age of one of our packets in µs; `None` for others, such as a ring tone.
fn age_us(packet: &[u8], now: Duration) -> Option<usize> {
    let word = |at: usize| Some(u64::from_be_bytes(packet.get(at..at + 8)?.try_into().ok()?));
    if word(12)? != MARK {
        return None;
    }
    Some(((now.as_nanos() as u64).saturating_sub(word(20)?) / 1000) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_knows_its_age() {
        let packet = packet(7, 70_000, Duration::from_millis(5));
        assert_eq!(age_us(&packet, Duration::from_millis(9)), Some(4000));
        assert_eq!(age_us(&[0xff; PACKET], Duration::from_millis(9)), None);
        assert_eq!(packet[2..4], (70_000_u32 as u16).to_be_bytes());
    }

    #[test]
    fn a_tone_is_loud_and_silence_is_not() {
        let mut packet = [SILENCE; PACKET];
        assert!(!is_loud(&packet[HEADER..]));
        fill_tone(&mut packet);
        assert!(is_loud(&packet[HEADER..]));
    }

    #[test]
    fn percentiles_of_counts() {
        let mut counts = vec![0; 100];
        (counts[10], counts[20], counts[90]) = (60, 39, 1);
        let found = [0.5, 0.6, 0.61, 0.99, 1.0].map(|share| percentile(&counts, share));
        assert_eq!(found, [10, 10, 20, 20, 90]);
        assert_eq!(percentile(&[0, 0], 0.5), 0);
    }

    #[test]
    fn two_legs_hear_each_other() {
        let rtp = Rtp::start().unwrap();
        let ports = [rtp.open(1).unwrap(), rtp.open(2).unwrap()];
        rtp.send(1, SocketAddr::from(([127, 0, 0, 1], ports[1])))
            .unwrap();
        rtp.send(2, SocketAddr::from(([127, 0, 0, 1], ports[0])))
            .unwrap();
        let mut received = 0;
        crate::wait::until("packets", Duration::from_secs(5), || {
            received += rtp.window().received;
            (received >= 20).then_some(())
        })
        .unwrap();
        // Bursts of one leg are heard by the other one only.
        rtp.say(Speech::Bursts(1)).unwrap();
        let before = rtp.legs().unwrap();
        rtp.window();
        crate::wait::until("bursts", Duration::from_secs(5), || {
            let legs = rtp.legs().ok()?;
            (legs[&1].received >= before[&1].received + 50).then_some(())
        })
        .unwrap();
        let heard = rtp.window();
        assert!((2..=4).contains(&heard.received), "{heard:?}");
        let stats = [rtp.close(1).unwrap(), rtp.close(2).unwrap()];
        assert!(
            stats.iter().all(|leg| leg.sent >= 9 && leg.received >= 9),
            "{stats:?}"
        );
    }
}
