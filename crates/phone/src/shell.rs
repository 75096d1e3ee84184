//! The real phone: sockets, clock and tasks around [`Agent`] and [`Talk`].
//!
//! One task owns the agent and its SIP socket; one task per call owns the RTP socket. Handles talk
//! to them over channels. Invariant: **a [`Call`] is always notified of its end**, even if the
//! phone is dropped. Left to others: more than one identity per phone.

mod media;
mod task;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sdp_proto::Codec;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use crate::agent::{Account, Agent, CallEvent, CallNo};
use crate::talk::Talk;
use crate::voice::Measured;
use task::{Command, Task};

/// What a phone does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenCalled {
    /// Rings at once and answers after this long.
    Answer(Duration),
    /// Rings and never answers.
    Ring,
    /// Refuses with this status.
    Refuse(u16),
}

/// Configuration of a phone.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// User part of its address; also the digest user name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Host part of its address.
    pub domain: String,
    /// Registrar and proxy.
    pub server: SocketAddr,
    /// Its own address; ports are chosen freely.
    pub address: IpAddr,
    /// The tone it sends in calls, in Hz. Multiples of 5 keep tones exactly apart.
    pub tone_hz: f64,
    /// Level of the tone in dBm0.
    pub level_dbm0: f64,
    /// Codecs, in order of preference.
    pub codecs: Vec<Codec>,
    /// What it does when called.
    pub when_called: WhenCalled,
}

impl PhoneConfig {
    /// A phone on the loopback address that sends 1 kHz and answers after a second.
    #[must_use]
    pub fn new(user: &str, password: &str, domain: &str, server: SocketAddr) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            domain: domain.to_owned(),
            server,
            address: IpAddr::from([127, 0, 0, 1]),
            tone_hz: 1000.0,
            level_dbm0: -10.0,
            codecs: vec![Codec::PCMU, Codec::PCMA],
            when_called: WhenCalled::Answer(Duration::from_secs(1)),
        }
    }
}

/// Why a phone could not carry out a request.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// A socket could not be made.
    #[error("no socket")]
    Socket(#[from] io::Error),
    /// The registrar refused.
    #[error("registration refused with {0}")]
    NotRegistered(u16),
    /// The phone's task is gone.
    #[error("the phone is switched off")]
    Off,
}

/// A SIP message that the phone sent or received.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was sent or received.
    pub at: SystemTime,
    /// Whether it was sent; otherwise received.
    pub sent: bool,
    /// The other end.
    pub peer: SocketAddr,
    /// The message.
    pub text: String,
}

/// The state of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallState {
    /// The INVITE is not yet answered.
    Starting,
    /// One side is ringing.
    Ringing,
    /// Answered.
    Talking,
    /// Ended, with its last event.
    Over(CallEvent),
}

/// What a call has sent and heard.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Heard {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets of sound received.
    pub received: u64,
    /// When the first packet was sent.
    pub first_sent: Option<SystemTime>,
    /// When the first packet arrived.
    pub first_received: Option<SystemTime>,
    /// Tones measured since the mark.
    pub tones: Measured,
}

/// The session of a call, shared by its handles and its task.
struct Voice {
    talk: Talk,
    first_sent: Option<SystemTime>,
    first_received: Option<SystemTime>,
}

/// Handle to a phone, which is switched off when the last handle is dropped.
#[derive(Clone)]
pub struct Phone {
    commands: mpsc::UnboundedSender<Command>,
    incoming: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    address: SocketAddr,
    tone_hz: f64,
}

impl Phone {
    /// Switches a phone on.
    ///
    /// # Errors
    /// [`PhoneError::Socket`] if no port can be bound.
    pub async fn start(config: PhoneConfig) -> Result<Self, PhoneError> {
        let socket = UdpSocket::bind((config.address, 0)).await?;
        let address = socket.local_addr()?;
        let account = Account {
            user: config.user.clone(),
            password: config.password.clone(),
            domain: config.domain.clone(),
            server: config.server,
            contact: address,
        };
        let (commands, inbox) = mpsc::unbounded_channel();
        let (arrivals, incoming) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let phone = Self {
            commands: commands.clone(),
            incoming: Arc::new(tokio::sync::Mutex::new(incoming)),
            seen: Arc::clone(&seen),
            address,
            tone_hz: config.tone_hz,
        };
        let agent = Agent::new(account, rand::random());
        let task = Task::new(agent, socket, config, commands.downgrade(), arrivals, seen);
        tokio::spawn(task.run(inbox));
        Ok(phone)
    }

    /// The address at which it receives SIP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The tone it sends, in Hz.
    #[must_use]
    pub fn tone_hz(&self) -> f64 {
        self.tone_hz
    }

    /// Registers for `expires` and refreshes the registration. Returns the time granted.
    ///
    /// # Errors
    /// [`PhoneError::NotRegistered`] with the status.
    pub async fn register(&self, expires: Duration) -> Result<Duration, PhoneError> {
        let expires_s = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
        let (done, mut outcome) = mpsc::channel(1);
        self.send(Command::Register { expires_s, done })?;
        match outcome.recv().await {
            Some(Ok(granted_s)) => Ok(Duration::from_secs(u64::from(granted_s))),
            Some(Err(status)) => Err(PhoneError::NotRegistered(status)),
            None => Err(PhoneError::Off),
        }
    }

    /// Unregisters.
    ///
    /// # Errors
    /// [`PhoneError::NotRegistered`] with the status.
    pub async fn unregister(&self) -> Result<(), PhoneError> {
        self.register(Duration::ZERO).await.map(|_| ())
    }

    /// Calls `target`: a SIP URI, or a user or number of its own domain.
    ///
    /// # Errors
    /// [`PhoneError::Socket`] if there is no port for RTP.
    pub async fn call(&self, target: &str) -> Result<Call, PhoneError> {
        let (done, mut outcome) = mpsc::channel(1);
        let target = target.to_owned();
        self.send(Command::Call { target, done })?;
        outcome.recv().await.ok_or(PhoneError::Off)?
    }

    /// The next incoming call (answered according to [`PhoneConfig::when_called`]).
    ///
    /// # Errors
    /// [`PhoneError::Off`] if the phone is gone.
    pub async fn incoming(&self) -> Result<Call, PhoneError> {
        let mut incoming = self.incoming.lock().await;
        incoming.recv().await.ok_or(PhoneError::Off)
    }

    /// All SIP messages so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    fn send(&self, command: Command) -> Result<(), PhoneError> {
        self.commands.send(command).map_err(|_| PhoneError::Off)
    }
}

/// Handle to a call of a phone.
#[derive(Clone)]
pub struct Call {
    no: CallNo,
    commands: mpsc::WeakUnboundedSender<Command>,
    state: watch::Receiver<CallState>,
    voice: Arc<Mutex<Voice>>,
}

impl Call {
    /// The current state.
    #[must_use]
    pub fn state(&self) -> CallState {
        self.state.borrow().clone()
    }

    /// Waits until it is answered.
    ///
    /// # Errors
    /// The event that ended it instead.
    pub async fn answered(&self) -> Result<(), CallEvent> {
        let done = |state: &CallState| matches!(state, CallState::Talking | CallState::Over(_));
        match self.wait(done).await {
            CallState::Over(event) => Err(event),
            CallState::Starting | CallState::Ringing | CallState::Talking => Ok(()),
        }
    }

    /// Waits until the remote party rings, or has answered.
    ///
    /// # Errors
    /// The event that ended it instead.
    pub async fn ringing(&self) -> Result<(), CallEvent> {
        match self.wait(|state| *state != CallState::Starting).await {
            CallState::Over(event) => Err(event),
            CallState::Starting | CallState::Ringing | CallState::Talking => Ok(()),
        }
    }

    /// Waits for its end.
    pub async fn over(&self) -> CallEvent {
        match self.wait(|state| matches!(state, CallState::Over(_))).await {
            CallState::Over(event) => event,
            CallState::Starting | CallState::Ringing | CallState::Talking => off(),
        }
    }

    async fn wait(&self, done: impl FnMut(&CallState) -> bool) -> CallState {
        let mut state = self.state.clone();
        let reached = state.wait_for(done).await.map(|state| state.clone());
        reached.unwrap_or(CallState::Over(off()))
    }

    /// Hangs up, or cancels, or declines.
    pub fn hang_up(&self) {
        if let Some(commands) = self.commands.upgrade() {
            // A phone that is gone has already hung up.
            let _gone = commands.send(Command::HangUp(self.no));
        }
    }

    /// Starts a new measurement here.
    pub fn mark(&self) {
        lock(&self.voice).talk.ear_mut().mark();
    }

    /// What was sent and heard; `peer_hz` is the tone expected from the remote party.
    #[must_use]
    pub fn heard(&self, peer_hz: f64) -> Heard {
        let voice = lock(&self.voice);
        let talk = &voice.talk;
        Heard {
            sent: talk.sent(),
            received: talk.ear().packets(),
            first_sent: voice.first_sent,
            first_received: voice.first_received,
            tones: talk.ear().measure(peer_hz, talk.tone_hz()),
        }
    }

    /// Everything heard: 8 kHz mono.
    #[must_use]
    pub fn recording(&self) -> Vec<i16> {
        lock(&self.voice).talk.ear().samples().to_vec()
    }
}

/// The end of a call whose phone is switched off.
fn off() -> CallEvent {
    CallEvent::Ended { status: 408 }
}

/// Locks a mutex, even if a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
