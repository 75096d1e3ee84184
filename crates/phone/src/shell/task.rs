//! The task that owns the agent and its SIP socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::{Call, CallState, PhoneConfig, PhoneError, Seen, Voice, WhenCalled, lock, media};
use crate::agent::{Agent, CallEvent, CallNo, Output};
use crate::talk::Talk;

const MAX_DATAGRAM: usize = 65_535;
const IDLE: Duration = Duration::from_secs(60);

/// Requests of the handles.
pub(super) enum Command {
    Register {
        expires_s: u32,
        /// Seconds granted, or the status of the refusal.
        done: mpsc::Sender<Result<u32, u16>>,
    },
    Call {
        target: String,
        done: mpsc::Sender<Result<Call, PhoneError>>,
    },
    Answer(CallNo),
    HangUp(CallNo),
}

/// The task's state of a call.
struct Line {
    voice: Arc<Mutex<Voice>>,
    state: watch::Sender<CallState>,
    /// Answer to the caller's offer.
    answer: Option<String>,
}

pub(super) struct Task {
    agent: Agent,
    socket: UdpSocket,
    config: PhoneConfig,
    commands: mpsc::WeakUnboundedSender<Command>,
    arrivals: mpsc::UnboundedSender<Call>,
    seen: Arc<Mutex<Vec<Seen>>>,
    lines: BTreeMap<CallNo, Line>,
    registering: Option<mpsc::Sender<Result<u32, u16>>>,
}

impl Task {
    pub(super) fn new(
        agent: Agent,
        socket: UdpSocket,
        config: PhoneConfig,
        commands: mpsc::WeakUnboundedSender<Command>,
        arrivals: mpsc::UnboundedSender<Call>,
        seen: Arc<Mutex<Vec<Seen>>>,
    ) -> Self {
        Self {
            agent,
            socket,
            config,
            commands,
            arrivals,
            seen,
            lines: BTreeMap::new(),
            registering: None,
        }
    }

    /// Runs until the last handle is dropped.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut datagram = vec![0; MAX_DATAGRAM];
        loop {
            while let Some(output) = self.agent.poll_output() {
                self.carry_out(output).await;
            }
            let wake_at = self.agent.poll_timeout();
            let wake_at = wake_at.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                received = self.socket.recv_from(&mut datagram) => {
                    // An error belongs to an earlier message that could not be delivered.
                    if let Ok((len, from)) = received {
                        let bytes = &datagram[..len];
                        self.note(false, from, bytes);
                        self.agent.handle_datagram(bytes, from, Instant::now());
                    }
                }
                () = sleep_until(wake_at.into()) => self.agent.handle_timeout(Instant::now()),
                command = inbox.recv() => match command {
                    Some(command) => self.handle_command(command).await,
                    None => return,
                },
            }
        }
    }

    async fn handle_command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Register { expires_s, done } => {
                self.registering = Some(done);
                self.agent.register(expires_s, now);
            }
            Command::Call { target, done } => {
                let call = self.call(&target).await;
                // The requester may be gone.
                let _gone = done.try_send(call);
            }
            Command::Answer(no) => {
                let answer = self.lines.get_mut(&no).and_then(|line| line.answer.take());
                if let Some(answer) = answer {
                    self.agent.answer(no, &answer, now);
                }
            }
            Command::HangUp(no) => self.agent.hang_up(no, now),
        }
    }

    async fn call(&mut self, target: &str) -> Result<Call, PhoneError> {
        let (socket, mut talk) = self.talk().await?;
        let offer = talk.offer();
        let no = self.agent.call(target, &offer, &[], Instant::now());
        Ok(self.open(no, socket, talk))
    }

    /// A session with its own socket.
    async fn talk(&self) -> Result<(UdpSocket, Talk), PhoneError> {
        let config = &self.config;
        let socket = UdpSocket::bind((config.address, 0)).await?;
        let port = socket.local_addr()?.port();
        let tone = (config.tone_hz, config.level_dbm0);
        let talk = Talk::new(config.address, port, &config.codecs, tone, rand::random());
        Ok((socket, talk))
    }

    fn open(&mut self, no: CallNo, socket: UdpSocket, talk: Talk) -> Call {
        let voice = Arc::new(Mutex::new(Voice {
            talk,
            first_sent: None,
            first_received: None,
        }));
        let (state, watched) = watch::channel(CallState::Starting);
        tokio::spawn(media::run(socket, Arc::clone(&voice), watched.clone()));
        let line = Line {
            voice: Arc::clone(&voice),
            state,
            answer: None,
        };
        self.lines.insert(no, line);
        Call {
            no,
            commands: self.commands.clone(),
            state: watched,
            voice,
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit { to, bytes } => self.transmit(to, &bytes).await,
            Output::Registered { expires_s } => self.registered(Ok(expires_s)),
            Output::NotRegistered { status } => self.registered(Err(status)),
            Output::Call(no, CallEvent::Incoming { sdp, .. }) => {
                self.arrive(no, sdp.as_deref()).await;
            }
            Output::Call(no, event) => self.handle_event(no, event),
        }
    }

    async fn transmit(&mut self, to: std::net::SocketAddr, bytes: &Bytes) {
        self.note(true, to, bytes);
        if let Err(error) = self.socket.send_to(bytes, to).await {
            tracing::debug!(%error, %to, "message not sent");
        }
    }

    fn registered(&mut self, outcome: Result<u32, u16>) {
        match self.registering.take() {
            // The requester may be gone.
            Some(done) => drop(done.try_send(outcome)),
            None if outcome.is_err() => tracing::warn!(?outcome, "registration not refreshed"),
            None => {}
        }
    }

    /// An incoming call.
    async fn arrive(&mut self, no: CallNo, offer: Option<&str>) {
        let now = Instant::now();
        if let WhenCalled::Refuse(status) = self.config.when_called {
            self.agent.refuse(no, status, now);
            return;
        }
        let Ok((socket, mut talk)) = self.talk().await else {
            self.agent.refuse(no, 503, now);
            return;
        };
        let answer = match offer.map(|offer| talk.answer(offer)) {
            Some(Ok(answer)) => answer,
            // This phone does not take calls without an offer.
            Some(Err(_)) | None => {
                self.agent.refuse(no, 488, now);
                return;
            }
        };
        let call = self.open(no, socket, talk);
        if let Some(line) = self.lines.get_mut(&no) {
            line.answer = Some(answer);
            line.state.send_replace(CallState::Ringing);
        }
        self.agent.ring(no, 180, None, now);
        if let WhenCalled::Answer(after) = self.config.when_called {
            let commands = self.commands.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(commands) = commands.upgrade() {
                    // A phone that is gone answers nothing.
                    let _gone = commands.send(Command::Answer(no));
                }
            });
        }
        // Calls may arrive without a waiting receiver.
        let _unheard = self.arrivals.send(call);
    }

    fn handle_event(&mut self, no: CallNo, event: CallEvent) {
        let Some(line) = self.lines.get(&no) else {
            return;
        };
        if event.is_last() {
            line.state.send_replace(CallState::Over(event));
            self.lines.remove(&no);
            return;
        }
        let talk = &mut lock(&line.voice).talk;
        match event {
            CallEvent::Ringing { sdp, .. } => {
                let early = sdp.is_some_and(|answer| talk.accept(&answer).is_ok());
                tracing::trace!(early, "remote party rings");
                line.state.send_replace(CallState::Ringing);
            }
            CallEvent::Answered { sdp } => {
                let agreed = sdp.is_none_or(|answer| talk.accept(&answer).is_ok());
                if agreed && talk.is_agreed() {
                    line.state.send_replace(CallState::Talking);
                } else {
                    self.agent.hang_up(no, Instant::now());
                }
            }
            CallEvent::Established => {
                line.state.send_replace(CallState::Talking);
            }
            CallEvent::Reoffered { sdp } => {
                let answer = match sdp {
                    Some(offer) => talk.answer(&offer).ok(),
                    None => Some(talk.offer()),
                };
                match answer {
                    Some(answer) => self.agent.answer(no, &answer, Instant::now()),
                    None => self.agent.hang_up(no, Instant::now()),
                }
            }
            CallEvent::Incoming { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Canceled
            | CallEvent::HungUp
            | CallEvent::Ended { .. } => {}
        }
    }

    fn note(&self, sent: bool, peer: std::net::SocketAddr, bytes: &[u8]) {
        lock(&self.seen).push(Seen {
            at: SystemTime::now(),
            sent,
            peer,
            text: String::from_utf8_lossy(bytes).into_owned(),
        });
    }
}
