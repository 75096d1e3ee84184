//! The loop of a worker: a datagram, a control or a timer goes into the engine, its output out.
//!
//! **Invariant: whatever happens in here, each endpoint that was opened gets `Closed` or `Failed`**:
//! a panic is caught, all endpoints of this worker are reported as failed, what was recorded is
//! kept, and the worker goes on with a fresh engine. Left to others: what packets mean.

use crate::address;
use crate::control::Control;
use crate::disk::{Addressee, Disk, Tape};
use crate::ear::Ear;
use crate::plane::{Gauges, MediaConfig, Reports, random};
use crate::poller::Poller;
use crate::sockets::{Ports, Sockets};
use media_proto::{
    EndpointId, Engine, EngineConfig, Local, RecordingEnd, RecordingId, Report, SessionId, Sink,
    SocketId, control,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing::{debug, error};

/// Longer datagrams are not for us: 60 ms of audio have 492 octets.
const MAX_DATAGRAM: usize = 2048;
/// Controls carried out before packets get their turn again.
const CONTROLS_PER_TURN: usize = 32;
/// Endpoints of one worker; two sockets each.
const MAX_ENDPOINTS: usize = 20_000;
const FAULT: &str = "the media worker failed";

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Message {
    Begin(SessionId, Reports),
    Control(SessionId, Control),
    End(SessionId),
    Stop,
    #[cfg(test)]
    Fault,
}

pub(crate) struct Worker {
    poller: Poller,
    inbox: Receiver<Message>,
    shell: Shell,
}

/// What the engine's output goes to.
struct Shell {
    gauges: Arc<Gauges>,
    config: Arc<MediaConfig>,
    ports: Arc<Ports>,
    disk: Disk,
    sockets: Sockets,
    sessions: BTreeMap<SessionId, Audience>,
    tapes: BTreeMap<(SessionId, RecordingId), Tape>,
    ears: BTreeMap<(SessionId, RecordingId), Ear>,
    /// The endpoint that is being opened.
    opening: Option<(SessionId, EndpointId)>,
}

/// Who hears about a session's endpoints, and which there are.
struct Audience {
    reports: Reports,
    endpoints: BTreeSet<EndpointId>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    MoreControls,
    Stop,
}

impl Worker {
    pub(crate) fn new(
        poller: Poller,
        inbox: Receiver<Message>,
        gauges: Arc<Gauges>,
        config: Arc<MediaConfig>,
        ports: Arc<Ports>,
        disk: Disk,
    ) -> Self {
        let shell = Shell {
            gauges,
            config,
            ports,
            disk,
            sockets: Sockets::default(),
            sessions: BTreeMap::new(),
            tapes: BTreeMap::new(),
            ears: BTreeMap::new(),
            opening: None,
        };
        Self {
            poller,
            inbox,
            shell,
        }
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        // What a fault leaves half done is thrown away by `abandon`.
        while catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            error!("a media worker failed; its endpoints are lost");
            self.shell.gauges.faults.fetch_add(1, Ordering::Relaxed);
            self.shell.abandon();
        }
    }

    fn serve(&mut self) {
        let mut engine = Engine::new(EngineConfig {
            started: Instant::now(),
            unix_time: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            seed: random(),
            silence_timeout: self.shell.config.silence_timeout,
            max_endpoints: MAX_ENDPOINTS,
        });
        let mut buffer = [0; MAX_DATAGRAM];
        // After a fault there may be controls that nobody announces again.
        let mut turn = Turn::MoreControls;
        while turn != Turn::Stop {
            self.wait(&engine, turn);
            let now = Instant::now();
            let mut woken = turn == Turn::MoreControls;
            for event in 0..self.poller.ready() {
                match self.poller.token(event) {
                    Some(socket) => {
                        self.shell
                            .receive(&mut engine, SocketId(socket), &mut buffer, now);
                    }
                    None => woken = true,
                }
            }
            turn = if woken {
                self.carry_out(&mut engine, now)
            } else {
                Turn::Done
            };
            if engine.poll_timeout().is_some_and(|at| at <= now) {
                engine.handle_timeout(now, &mut self.shell);
            }
        }
    }

    fn wait(&mut self, engine: &Engine, turn: Turn) {
        let timeout = match turn {
            Turn::MoreControls => Some(Duration::ZERO),
            Turn::Done | Turn::Stop => {
                let now = Instant::now();
                engine
                    .poll_timeout()
                    .map(|at| at.saturating_duration_since(now))
            }
        };
        if let Err(error) = self.poller.wait(timeout) {
            // Cannot happen with a valid descriptor; do not spin if it does.
            error!(%error, "failed to wait for packets");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn carry_out(&mut self, engine: &mut Engine, now: Instant) -> Turn {
        self.poller.awake();
        for _ in 0..CONTROLS_PER_TURN {
            match self.inbox.try_recv() {
                Ok(Message::Begin(session, reports)) => self.shell.begin(session, reports),
                Ok(Message::Control(session, control)) => {
                    self.shell
                        .control(engine, &self.poller, session, control, now);
                }
                Ok(Message::End(session)) => {
                    engine.end_session(session, now, &mut self.shell);
                    self.shell.sessions.remove(&session);
                }
                #[cfg(test)]
                Ok(Message::Fault) => panic!("provoked"),
                Err(TryRecvError::Empty) => return Turn::Done,
                Ok(Message::Stop) | Err(TryRecvError::Disconnected) => {
                    while let Some(session) = self.shell.sessions.keys().next().copied() {
                        engine.end_session(session, now, &mut self.shell);
                        self.shell.sessions.remove(&session);
                    }
                    return Turn::Stop;
                }
            }
        }
        Turn::MoreControls
    }
}

impl Shell {
    fn begin(&mut self, session: SessionId, reports: Reports) {
        self.sessions.insert(
            session,
            Audience {
                reports,
                endpoints: BTreeSet::new(),
            },
        );
    }

    fn receive(
        &mut self,
        engine: &mut Engine,
        id: SocketId,
        buffer: &mut [u8; MAX_DATAGRAM],
        now: Instant,
    ) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        // Nothing there: the socket was closed in this turn and its number is in use again.
        let Ok((len, from)) = socket.recv_from(buffer) else {
            return;
        };
        // A datagram that fills the buffer was probably cut.
        if let Some(bytes) = buffer
            .get_mut(..len)
            .filter(|bytes| bytes.len() < MAX_DATAGRAM)
        {
            engine.handle_datagram(id, from, bytes, now, self);
        }
    }

    fn control(
        &mut self,
        engine: &mut Engine,
        poller: &Poller,
        session: SessionId,
        control: Control,
        now: Instant,
    ) {
        let control = match control {
            Control::Open {
                endpoint,
                offer,
                signalling,
            } => {
                self.opening = Some((session, endpoint));
                match self.open(poller, signalling) {
                    Ok(local) => control::Control::Open {
                        endpoint,
                        local,
                        offer,
                        signalling,
                    },
                    Err(error) => return self.refuse(session, endpoint, &error),
                }
            }
            Control::Record {
                recording,
                legs,
                path,
            } => {
                if !self.start_tape(session, recording, &legs, path) {
                    return;
                }
                control::Control::Record { recording, legs }
            }
            Control::Listen {
                recording,
                endpoint,
                audio,
            } => {
                let name = (session, recording);
                if self.tapes.contains_key(&name) || self.ears.contains_key(&name) {
                    return; // Dropping the channel tells that nothing is heard.
                }
                self.ears
                    .insert(name, Ear::new(audio, Arc::clone(&self.gauges)));
                control::Control::Listen {
                    recording,
                    endpoint,
                }
            }
            Control::Remote { endpoint, sdp } => control::Control::Remote { endpoint, sdp },
            Control::Renegotiate {
                endpoint,
                req,
                offer,
            } => control::Control::Renegotiate {
                endpoint,
                req,
                offer,
            },
            Control::Play {
                endpoint,
                play,
                audio,
                times,
            } => control::Control::Play {
                endpoint,
                play,
                audio,
                times,
            },
            Control::PassKey { endpoint, key } => control::Control::PassKey { endpoint, key },
            Control::SendDigits {
                endpoint,
                play,
                digits,
            } => control::Control::SendDigits {
                endpoint,
                play,
                digits,
            },
            Control::ListenDigits { endpoint, on } => {
                control::Control::ListenDigits { endpoint, on }
            }
            Control::StopPlay { endpoint, play } => control::Control::StopPlay { endpoint, play },
            Control::Bridge { a, b } => control::Control::Bridge { a, b },
            Control::Unbridge { a, b } => control::Control::Unbridge { a, b },
            Control::StopRecord { recording } => control::Control::StopRecord { recording },
            Control::Close { endpoint } => control::Control::Close { endpoint },
        };
        engine.handle_control(session, control, now, self);
        self.opening = None;
    }

    fn open(&mut self, poller: &Poller, signalling: Option<IpAddr>) -> io::Result<Local> {
        let local = address::choose(self.config.address, self.config.advertised, signalling);
        let (rtp, rtcp) = self.ports.open(local.bind)?;
        let port = rtp.local_addr()?.port();
        let mut watch = |socket| {
            let id = self.sockets.insert(socket);
            let watched = self.sockets.get(id).map(|socket| poller.add(socket, id.0));
            watched.transpose().map(|_| id)
        };
        let (rtp, rtcp) = (watch(rtp)?, watch(rtcp)?);
        Ok(Local {
            rtp,
            rtcp,
            address: SocketAddr::new(local.announce, port),
        })
    }

    fn refuse(&mut self, session: SessionId, endpoint: EndpointId, error: &io::Error) {
        error!(%error, "failed to open media ports");
        self.opening = None;
        let reason = format!("no media ports: {error}");
        self.report(
            session,
            endpoint,
            Report::Refused {
                status: 503,
                reason,
            },
        );
    }

    /// False if there is such a recording already: that one goes on.
    fn start_tape(
        &mut self,
        session: SessionId,
        recording: RecordingId,
        legs: &[EndpointId],
        path: PathBuf,
    ) -> bool {
        let Some(audience) = self.sessions.get(&session) else {
            return false;
        };
        let endpoint = legs.first().copied().unwrap_or(EndpointId(0));
        let addressee = Addressee {
            reports: audience.reports.clone(),
            endpoint,
            recording,
        };
        let name = (session, recording);
        if self.tapes.contains_key(&name) || self.ears.contains_key(&name) {
            addressee.fail("the recording exists already".to_owned());
            return false;
        }
        self.tapes.insert(name, self.disk.record(path, addressee));
        true
    }

    /// Gives up everything the engine knew of.
    fn abandon(&mut self) {
        self.sockets = Sockets::default();
        for (_, tape) in std::mem::take(&mut self.tapes) {
            tape.finish();
        }
        self.ears.clear();
        if let Some((session, endpoint)) = self.opening.take() {
            self.sessions.entry(session).and_modify(|audience| {
                audience.endpoints.insert(endpoint);
            });
        }
        for audience in self.sessions.values_mut() {
            for endpoint in std::mem::take(&mut audience.endpoints) {
                let report = Report::Failed {
                    reason: FAULT.to_owned(),
                };
                let _ = audience.reports.send((endpoint, report));
            }
        }
        self.gauges.endpoints.store(0, Ordering::Relaxed);
    }
}

impl Sink for Shell {
    fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.sockets.get(socket) else {
            return;
        };
        if let Err(error) = socket.send_to(bytes, to) {
            self.gauges.unsent.fetch_add(1, Ordering::Relaxed);
            debug!(%error, "failed to send a packet");
        }
    }

    fn report(&mut self, session: SessionId, endpoint: EndpointId, report: Report) {
        let Some(audience) = self.sessions.get_mut(&session) else {
            return;
        };
        match report {
            Report::Opened { .. } => {
                audience.endpoints.insert(endpoint);
                self.gauges.endpoints.fetch_add(1, Ordering::Relaxed);
            }
            Report::Closed { .. } => {
                audience.endpoints.remove(&endpoint);
                self.gauges.endpoints.fetch_sub(1, Ordering::Relaxed);
            }
            Report::Refused { .. }
            | Report::RemoteSet
            | Report::Renegotiated { .. }
            | Report::PlayDone { .. }
            | Report::Heard
            | Report::Silence
            | Report::Digit { .. }
            | Report::Recorded { .. }
            | Report::RecordFailed { .. }
            | Report::Failed { .. } => {}
        }
        // Nobody may be listening any more; the session is about to end then.
        let _ = audience.reports.send((endpoint, report));
    }

    fn record(&mut self, session: SessionId, recording: RecordingId, samples: &[i16]) {
        if let Some(tape) = self.tapes.get_mut(&(session, recording)) {
            tape.write(samples);
        } else if let Some(ear) = self.ears.get_mut(&(session, recording)) {
            ear.hear(samples);
        }
    }

    fn end_recording(&mut self, session: SessionId, recording: RecordingId, end: RecordingEnd) {
        if let Some(ear) = self.ears.remove(&(session, recording)) {
            ear.finish();
        }
        let Some(tape) = self.tapes.remove(&(session, recording)) else {
            return;
        };
        match end {
            RecordingEnd::Finished { .. } => tape.finish(),
            RecordingEnd::Refused { reason } => tape.discard(reason.to_owned()),
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.sockets.close(socket);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Control, EndpointId, MediaConfig, MediaPlane, RecordingId, Report};
    use std::time::Duration;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn a_fault_ends_its_endpoints_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RE1.wav");
        let config = MediaConfig {
            workers: 1,
            ..MediaConfig::default()
        };
        let plane = MediaPlane::start(config).unwrap();
        let (sender, mut reports) = unbounded_channel();
        let session = plane.session(sender);
        let endpoint = EndpointId(1);
        let open = Control::Open {
            endpoint,
            offer: None,
            signalling: None,
        };
        session.control(open.clone());
        assert!(matches!(
            reports.blocking_recv(),
            Some((_, Report::Opened { .. }))
        ));
        let recording = RecordingId(1);
        session.control(Control::Record {
            recording,
            legs: vec![endpoint],
            path: path.clone(),
        });
        session.provoke_fault();
        let mut after: Vec<_> = (0..2).filter_map(|_| reports.blocking_recv()).collect();
        after.sort_by_key(|(_, report)| matches!(report, Report::Recorded { .. }));
        assert!(
            matches!(after[0], (EndpointId(1), Report::Failed { .. })),
            "{after:?}"
        );
        assert!(
            matches!(after[1], (EndpointId(1), Report::Recorded { .. })),
            "{after:?}"
        );
        assert!(path.exists());
        // The worker goes on, with the same session.
        session.control(open);
        assert!(matches!(
            reports.blocking_recv(),
            Some((_, Report::Opened { .. }))
        ));
        assert_eq!((plane.counts().faults, plane.counts().endpoints), (1, 1));
        assert!(plane.shutdown(Duration::from_secs(5)));
    }
}
