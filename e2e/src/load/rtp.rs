//! RTP of many legs from one thread: 50 packets per second each, a socket per leg.
//!
//! A payload begins with the time it was sent ([`Stamp`]); a bridge between two legs forwards payloads
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

use super::ages::Ages;
use super::payload::{self, FRAME, SILENCE, Stamp};
use crate::tone::Pitch;

/// Time between two packets of a leg, in steps of the sender's clock.
const STEPS: usize = 20;
/// One step of the sender's clock.
const STEP: Duration = Duration::from_millis(1);
/// Packets are 12 octets of header and 20 ms of µ-law.
const PACKET: usize = 12 + FRAME;

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
    /// Each leg sends the tone that [`Rtp::sing`] gave it; without one, silence.
    Songs,
    /// No leg sends anything.
    Mute,
}

/// What one leg sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegStats {
    /// Packets sent.
    pub sent: u64,
    /// Packets received.
    pub received: u64,
    /// Packets that are missing among those received, by their sequence numbers.
    pub missing: u64,
    /// When [`Rtp::send`] was called first, on the clock of [`payload::now`].
    pub began: Option<Duration>,
    /// When the first packet with a stamp arrived, on the same clock.
    pub stamped: Option<Duration>,
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
    Send(u64, SocketAddr, Duration),
    Say(Speech),
    Sing(u64, Box<[u8; FRAME]>),
    Listen(Vec<u64>),
    Heard(Sender<BTreeMap<u64, Vec<i16>>>),
    Gaps(Sender<BTreeMap<u64, Duration>>),
    Press(u64, u64),
    Look(Sender<BTreeMap<u64, LegStats>>),
    Close(u64, Sender<LegStats>),
}

#[derive(Default)]
struct Counted {
    sent: u64,
    ages: Ages,
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
        let counted = Arc::<Mutex<Counted>>::default();
        let poll = Poll::new().context("epoll")?;
        let worker = Worker {
            poll,
            inbox,
            counted: Arc::clone(&counted),
            legs: BTreeMap::new(),
            slots: vec![Vec::new(); STEPS],
            speech: Speech::Marked,
            square: payload::square(),
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
        let command = Command::Send(leg, remote, payload::now());
        Ok(self.commands.send(command)?)
    }

    /// Sets what the legs send from now on; initially [`Speech::Marked`].
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn say(&self, speech: Speech) -> anyhow::Result<()> {
        Ok(self.commands.send(Command::Say(speech))?)
    }

    /// Sets what a leg sends in [`Speech::Songs`]. A frame must hold whole periods of the tone, as it does
    /// for multiples of 50 Hz.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn sing(&self, leg: u64, pitch: Pitch) -> anyhow::Result<()> {
        let mut frame = Box::new([SILENCE; FRAME]);
        frame.copy_from_slice(&pitch.ulaw(1)[..FRAME]);
        Ok(self.commands.send(Command::Sing(leg, frame))?)
    }

    /// Keeps what these legs hear from now on, and nothing of the others.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn listen(&self, legs: impl IntoIterator<Item = u64>) -> anyhow::Result<()> {
        let legs = legs.into_iter().collect();
        Ok(self.commands.send(Command::Listen(legs))?)
    }

    /// What the legs of [`Rtp::listen`] heard so far: 8 kHz, in order of arrival.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn heard(&self) -> anyhow::Result<BTreeMap<u64, Vec<i16>>> {
        self.ask(Command::Heard)
    }

    /// The longest time between two packets at each open leg since the last look.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn gaps(&self) -> anyhow::Result<BTreeMap<u64, Duration>> {
        self.ask(Command::Gaps)
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
        self.ask(Command::Look)
    }

    /// Closes a leg.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn close(&self, leg: u64) -> anyhow::Result<LegStats> {
        self.ask(|reply| Command::Close(leg, reply))
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Command) -> anyhow::Result<T> {
        let (reply, answer) = channel();
        self.commands.send(question(reply))?;
        Ok(answer.recv()?)
    }

    /// The counters since the last look; resets them.
    pub fn window(&self) -> Window {
        let Counted { sent, ages } = std::mem::take(&mut *lock(&self.counted));
        Window {
            sent,
            received: ages.count(),
            p50_us: ages.percentile(0.50),
            p99_us: ages.percentile(0.99),
        }
    }
}

fn lock(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Leg {
    socket: UdpSocket,
    remote: Option<SocketAddr>,
    stats: LegStats,
    /// Number of the last burst it heard.
    heard: u64,
    /// Sent in [`Speech::Songs`].
    song: Option<[u8; FRAME]>,
    /// What it hears, if that is kept.
    tape: Option<Vec<i16>>,
    /// When the last packet arrived, and the longest time between two.
    arrived: Option<Instant>,
    gap: Duration,
    /// Sequence number of the next packet.
    next: Option<u16>,
}

impl Leg {
    fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            remote: None,
            stats: LegStats::default(),
            heard: 0,
            song: None,
            tape: None,
            arrived: None,
            gap: Duration::ZERO,
            next: None,
        }
    }

    /// Counts a packet of sound.
    fn arrive(&mut self, packet: &[u8]) {
        let now = Instant::now();
        if let Some(before) = self.arrived.replace(now) {
            self.gap = self.gap.max(now - before);
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        if let Some(next) = self.next.replace(sequence.wrapping_add(1)) {
            self.stats.missing += u64::from(sequence.wrapping_sub(next));
        }
        self.stats.received += 1;
        if let Some(tape) = &mut self.tape {
            let samples = packet[HEADER..].iter().copied();
            tape.extend(samples.map(audio::g711::ulaw_decode));
        }
    }
}

struct Worker {
    poll: Poll,
    inbox: Receiver<Command>,
    counted: Arc<Mutex<Counted>>,
    legs: BTreeMap<usize, Leg>,
    /// Legs that send in each step.
    slots: Vec<Vec<usize>>,
    speech: Speech,
    square: [u8; FRAME],
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
                        self.legs.insert(leg, Leg::new(socket));
                    }
                }
                Ok(Command::Send(leg, remote, at)) => {
                    let leg = leg as usize;
                    if let Some(known) = self.legs.get_mut(&leg)
                        && known.remote.replace(remote).is_none()
                    {
                        known.stats.began = Some(at);
                        self.slots[leg % STEPS].push(leg);
                    }
                }
                Ok(Command::Say(speech)) => {
                    self.speech = speech;
                    self.burst = None;
                }
                Ok(Command::Sing(leg, frame)) => {
                    if let Some(known) = self.legs.get_mut(&(leg as usize)) {
                        known.song = Some(*frame);
                    }
                }
                Ok(Command::Listen(legs)) => {
                    for (leg, known) in &mut self.legs {
                        known.tape = legs.contains(&(*leg as u64)).then(Vec::new);
                    }
                }
                Ok(Command::Heard(reply)) => {
                    let legs = self.legs.iter();
                    let heard = legs.filter_map(|(leg, it)| Some((*leg as u64, it.tape.clone()?)));
                    let _ = reply.send(heard.collect());
                }
                Ok(Command::Gaps(reply)) => {
                    let legs = self.legs.iter_mut();
                    let gaps = legs.map(|(leg, it)| (*leg as u64, std::mem::take(&mut it.gap)));
                    let _ = reply.send(gaps.collect());
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
        if self.speech == Speech::Mute {
            return;
        }
        let mut sent = 0;
        for leg in &self.slots[slot] {
            let Some(known) = self.legs.get_mut(leg) else {
                continue;
            };
            let Some(remote) = known.remote else { continue };
            let mut payload = [SILENCE; FRAME];
            let at = known.stats.sent % BURST_EVERY;
            match self.speech {
                Speech::Marked => Stamp::new(*leg as u64).write(&mut payload),
                Speech::Tone => payload = self.square,
                Speech::Bursts(talker) if talker == *leg as u64 && at < BURST => {
                    payload = self.square;
                    if at == 0 {
                        self.burst = Some(Instant::now());
                        self.bursts += 1;
                    }
                }
                Speech::Bursts(_) | Speech::Mute => {}
                Speech::Songs => payload = known.song.unwrap_or(payload),
            }
            let mut packet = packet(*leg as u32, known.stats.sent);
            packet[HEADER..].copy_from_slice(&payload);
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
            known.arrive(&buffer[..length]);
            if let (Speech::Bursts(talker), Some(burst)) = (self.speech, self.burst) {
                let hears = talker != leg as u64 && known.heard < self.bursts;
                if hears && payload::is_loud(&buffer[HEADER..length]) {
                    known.heard = self.bursts;
                    ages[count] = burst.elapsed().as_micros() as usize;
                    count += 1;
                }
            } else if let Some(stamp) = Stamp::read(&buffer[HEADER..length]) {
                known.stats.stamped.get_or_insert_with(payload::now);
                ages[count] = stamp.age_us();
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
        ages.iter().for_each(|age| counted.ages.note(*age));
    }
}

/// Octets before the payload.
const HEADER: usize = PACKET - FRAME;

/// A packet of silence.
fn packet(ssrc: u32, count: u64) -> [u8; PACKET] {
    let mut packet = [SILENCE; PACKET];
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(count as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(count as u32).wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

/// Key 5, pressed for 100 ms: only the last packet of the press.
fn press(ssrc: u32, count: u64) -> [u8; HEADER + 4] {
    let mut press = [0; HEADER + 4];
    press[..HEADER].copy_from_slice(&packet(ssrc, count)[..HEADER]);
    press[1] = 0x80 | KEYS;
    press[HEADER..].copy_from_slice(&[5, 0x80 | 10, 0x03, 0x20]);
    press
}

#[cfg(test)]
mod tests {
    use super::*;

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
