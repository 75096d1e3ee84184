//! The loop of a worker: a datagram, a control or a timer goes into the engine, its output out.
//!
//! **Invariant: whatever happens in here, each endpoint that was opened gets `Closed` or `Failed`**:
//! a panic is caught, all endpoints of this worker are reported as failed, what was recorded is
//! kept, and the worker continues with a fresh engine. Left to others: what packets mean.

mod moving;

pub(crate) use moving::Transfer;

use crate::address;
use crate::arrivals::{Arrivals, Work};
use crate::control::Control;
use crate::directory::WorkerId;
use crate::disk::{Addressee, Tape};
use crate::ear::{Ear, Listener};
use crate::plane::{Common, Gauges, Reports, random};
use crate::poller::Poller;
use crate::sockets::Sockets;
use crate::tap::{Tap, Track};
use media_proto::{
    Datagram, EndpointId, Engine, EngineConfig, Local, Opening, RecordingEnd, RecordingId, Report,
    Sink, SocketId,
};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};
use tracing::{debug, error};

/// Longer datagrams are not meant for us: 60 ms of audio have 492 octets.
const MAX_DATAGRAM: usize = 2048;
/// Controls carried out before packets get their turn again, without those that only hand audio over.
const CONTROLS_PER_TURN: usize = 32;
/// The same with them: a frame that is due must not miss audio that is already here.
const MESSAGES_PER_TURN: usize = 2000;
/// When a timer is later than this, the packets that arrived meanwhile are read first: a mix would
/// miss them.
const LATE: Duration = Duration::from_millis(20);
/// Maximum passes over all sockets in that case: a flood must not delay the timers.
const CATCH_UP: usize = 64;
/// Maximum endpoints of one worker; each has two sockets.
const MAX_ENDPOINTS: usize = 20_000;
const FAULT: &str = "the media worker failed";

/// A message to a worker.
#[derive(Debug)]
pub(crate) enum Message {
    Work(Work),
    /// An endpoint will come from another worker.
    Expect(EndpointId),
    /// The announced endpoint; `None`: it no longer exists.
    Adopt(EndpointId, Option<Box<Transfer>>),
    Stop,
    #[cfg(test)]
    Fault,
    /// The worker blocks between the first and the second message it sends here.
    #[cfg(test)]
    Stall(std::sync::mpsc::SyncSender<()>),
}

pub(crate) struct Worker {
    inbox: Receiver<Message>,
    arrivals: Arrivals,
    shell: Shell,
}

/// Carries out the engine's output.
struct Shell {
    gauges: Arc<Gauges>,
    common: Common,
    poller: Poller,
    sockets: Sockets,
    /// Receiver of the reports of each endpoint here.
    audiences: BTreeMap<EndpointId, Reports>,
    tapes: BTreeMap<RecordingId, Tape>,
    ears: BTreeMap<RecordingId, Ear>,
    /// Receiver of the reply to the current request.
    asker: Option<Reports>,
    /// The endpoint being opened.
    opening: Option<EndpointId>,
    /// The endpoint being handed over, and its new worker.
    moving: Option<(EndpointId, WorkerId)>,
}

/// Whether to continue.
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
        common: Common,
    ) -> Self {
        let shell = Shell {
            gauges,
            common,
            poller,
            sockets: Sockets::default(),
            audiences: BTreeMap::new(),
            tapes: BTreeMap::new(),
            ears: BTreeMap::new(),
            asker: None,
            opening: None,
            moving: None,
        };
        Self {
            inbox,
            arrivals: Arrivals::default(),
            shell,
        }
    }

    /// Runs until it is stopped.
    pub(crate) fn run(mut self) {
        // Whatever a fault leaves half done is discarded by `abandon`.
        while catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
            error!("a media worker failed; its endpoints are lost");
            self.shell.gauges.faults.fetch_add(1, Ordering::Relaxed);
            self.shell.abandon();
        }
    }

    fn serve(&mut self) {
        let mut engine = Engine::new(EngineConfig {
            started: self.shell.common.started.0,
            unix_time: self.shell.common.started.1,
            seed: random(),
            silence_timeout: self.shell.common.config.silence_timeout,
            max_endpoints: MAX_ENDPOINTS,
        });
        let mut buffer = [0; MAX_DATAGRAM];
        // After a fault there may be controls that will not be announced again.
        let mut turn = Turn::MoreControls;
        while turn != Turn::Stop {
            self.wait(&engine, turn);
            let now = Instant::now();
            let mut woken = turn == Turn::MoreControls;
            let mut packets = self.read(&mut engine, &mut buffer, now, &mut woken);
            let is_late = |at| now.saturating_duration_since(at) > LATE;
            if engine.poll_timeout().is_some_and(is_late) {
                for _ in 0..CATCH_UP {
                    if packets == 0 || self.shell.poller.wait(Some(Duration::ZERO)).is_err() {
                        break;
                    }
                    packets = self.read(&mut engine, &mut buffer, now, &mut woken);
                }
            }
            if woken {
                self.shell.poller.awake();
            }
            // Some controls do not wake this worker: they only matter to the frames made below.
            turn = self.carry_out(&mut engine, now);
            if engine.poll_timeout().is_some_and(|at| at <= now) {
                engine.handle_timeout(now, &mut self.shell);
            }
        }
    }

    /// Reads one datagram from each socket that the last wait reported; returns the number of sockets.
    fn read(
        &mut self,
        engine: &mut Engine,
        buffer: &mut [u8; MAX_DATAGRAM],
        now: Instant,
        woken: &mut bool,
    ) -> usize {
        let mut sockets = 0;
        for event in 0..self.shell.poller.ready() {
            match self.shell.poller.token(event) {
                Some(socket) => {
                    sockets += 1;
                    self.shell.receive(engine, SocketId(socket), buffer, now);
                }
                None => *woken = true,
            }
        }
        sockets
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
        if let Err(error) = self.shell.poller.wait(timeout) {
            // Cannot happen with a valid descriptor; do not spin if it does.
            error!(%error, "failed to wait for packets");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn carry_out(&mut self, engine: &mut Engine, now: Instant) -> Turn {
        let (mut others, mut all) = (0, 0);
        while others < CONTROLS_PER_TURN && all < MESSAGES_PER_TURN {
            let message = self.inbox.try_recv();
            all += 1;
            let is_light =
                matches!(&message, Ok(Message::Work(Work::Control(it, _))) if it.can_wait());
            others += usize::from(!is_light);
            match message {
                Ok(Message::Work(work)) => {
                    if let Some(work) = self.arrivals.admit(work) {
                        self.shell.work(engine, work, now);
                    }
                }
                Ok(Message::Expect(endpoint)) => self.arrivals.expect(endpoint),
                Ok(Message::Adopt(endpoint, transfer)) => {
                    self.arrivals.arrived(endpoint);
                    if let Some(transfer) = transfer {
                        self.shell.adopt(engine, *transfer, now);
                    }
                    while let Some(work) = self.arrivals.next() {
                        self.shell.work(engine, work, now);
                    }
                }
                #[cfg(test)]
                Ok(Message::Fault) => panic!("provoked"),
                #[cfg(test)]
                Ok(Message::Stall(until)) => {
                    (0..2).for_each(|_| until.send(()).unwrap_or_default())
                }
                Err(TryRecvError::Empty) => return Turn::Done,
                Ok(Message::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stop(engine, now);
                    return Turn::Stop;
                }
            }
        }
        Turn::MoreControls
    }

    /// Closes all endpoints, including those on their way here.
    fn stop(&mut self, engine: &mut Engine, now: Instant) {
        for message in self.inbox.try_iter() {
            if let Message::Adopt(_, Some(transfer)) = message {
                self.shell.adopt(engine, *transfer, now);
            }
        }
        while let Some(endpoint) = self.shell.audiences.keys().next().copied() {
            self.shell.close_endpoint(engine, endpoint, now);
        }
    }
}

impl Shell {
    fn work(&mut self, engine: &mut Engine, work: Work, now: Instant) {
        match work {
            Work::Control(control, reports) => {
                self.asker = Some(reports);
                self.control(engine, control, now);
                self.asker = None;
            }
            Work::Move { endpoint, to } => self.hand_over(engine, endpoint, to, now),
        }
    }

    fn close_endpoint(&mut self, engine: &mut Engine, endpoint: EndpointId, now: Instant) {
        engine.handle_control(media_proto::Control::Close { endpoint }, now, self);
        self.audiences.remove(&endpoint);
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
        // No such endpoint: the socket was closed in this turn and its number is in use again.
        let Ok((len, from)) = socket.recv_from(buffer) else {
            return;
        };
        // A datagram that fills the buffer was probably truncated.
        if len < MAX_DATAGRAM {
            let datagram = Datagram::new(buffer, len);
            engine.handle_datagram(id, from, datagram, now, self);
        }
    }

    fn control(&mut self, engine: &mut Engine, control: Control, now: Instant) {
        match control {
            Control::Open {
                endpoint,
                offer,
                signalling,
                proved,
                like,
            } => {
                self.opening = Some(endpoint);
                match self.open(signalling) {
                    Ok(local) => {
                        let opening = Opening {
                            endpoint,
                            local,
                            offer,
                            signalling,
                            proved,
                            like,
                        };
                        engine.open(opening, now, self);
                    }
                    Err(error) => self.refuse(endpoint, &error),
                }
                self.opening = None;
            }
            Control::Record {
                recording,
                endpoint,
                terms,
                path,
            } => {
                let channels = terms.part.channels();
                if self.start_tape((recording, endpoint), channels, path) {
                    engine.record(recording, endpoint, terms, now, self);
                }
            }
            Control::RecordMix {
                recording,
                mix,
                trim,
                path,
            } => {
                // Nothing else has this number.
                let endpoint = EndpointId(recording.0);
                if self.start_tape((recording, endpoint), 1, path) {
                    engine.record_mix(recording, mix, trim, now, self);
                }
            }
            Control::Listen {
                recording,
                endpoint,
                track,
                audio,
            } => {
                // Otherwise dropping the channel signals that there is no audio.
                if !self.is_recording(recording) {
                    let ear = Listener::new(audio, Arc::clone(&self.gauges));
                    self.ears.insert(recording, Ear::Listener(ear));
                    match track {
                        Track::Heard => engine.listen(recording, endpoint, now, self),
                        Track::Sent => engine.overhear(recording, endpoint, now, self),
                    }
                }
            }
            Control::Tap {
                recording,
                endpoint,
                track,
                frames,
            } => {
                if !self.is_recording(recording) {
                    let tap = Ear::Stream(Box::new(Tap::new(track, frames)));
                    self.ears.insert(recording, tap);
                    match track {
                        Track::Heard => engine.listen(recording, endpoint, now, self),
                        Track::Sent => engine.overhear(recording, endpoint, now, self),
                    }
                }
            }
            Control::Engine(control) => engine.handle_control(control, now, self),
        }
    }

    fn open(&mut self, signalling: Option<IpAddr>) -> io::Result<Local> {
        let config = &self.common.config;
        let local = address::choose(config.address, config.advertised, signalling);
        let (rtp, rtcp) = self.common.ports.open(local.bind)?;
        let port = rtp.local_addr()?.port();
        let (rtp, rtcp) = (self.watch(rtp)?, self.watch(rtcp)?);
        Ok(Local {
            rtp,
            rtcp,
            address: SocketAddr::new(local.announce, port),
        })
    }

    fn watch(&mut self, socket: UdpSocket) -> io::Result<SocketId> {
        let id = self.sockets.insert(socket);
        let watched = self.sockets.get(id);
        let watched = watched.map(|socket| self.poller.add(socket, id.0));
        watched.transpose().map(|_| id)
    }

    fn refuse(&mut self, endpoint: EndpointId, error: &io::Error) {
        error!(%error, "failed to open media ports");
        let reason = format!("no media ports: {error}");
        let status = 503;
        self.report(endpoint, Report::Refused { status, reason });
    }

    /// False if the recording already exists: that one continues.
    fn start_tape(
        &mut self,
        (recording, endpoint): (RecordingId, EndpointId),
        channels: u16,
        path: PathBuf,
    ) -> bool {
        let Some(reports) = self.asker.clone() else {
            return false;
        };
        let addressee = Addressee {
            reports,
            endpoint,
            recording,
        };
        if self.is_recording(recording) {
            addressee.fail("the recording exists already".to_owned());
            return false;
        }
        let tape = self.common.disk.record(path, channels, addressee);
        self.tapes.insert(recording, tape);
        true
    }

    fn is_recording(&self, recording: RecordingId) -> bool {
        self.tapes.contains_key(&recording) || self.ears.contains_key(&recording)
    }

    /// Drops everything the engine knew.
    fn abandon(&mut self) {
        self.sockets = Sockets::default();
        for (_, tape) in std::mem::take(&mut self.tapes) {
            tape.finish(u64::MAX);
        }
        self.ears.clear();
        if let Some((endpoint, to)) = self.moving.take() {
            self.common
                .directory
                .tell(to, Message::Adopt(endpoint, None));
        }
        let opening = self.opening.take().zip(self.asker.take());
        self.audiences.extend(opening);
        for (endpoint, reports) in std::mem::take(&mut self.audiences) {
            let reason = FAULT.to_owned();
            self.common.directory.forget(endpoint);
            let _ = reports.send((endpoint, Report::Failed { reason }));
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

    fn report(&mut self, endpoint: EndpointId, report: Report) {
        match (&report, self.asker.clone()) {
            (Report::Opened { .. }, Some(asker)) => {
                self.audiences.insert(endpoint, asker);
                self.gauges.endpoints.fetch_add(1, Ordering::Relaxed);
            }
            (Report::Refused { .. }, _) if self.opening == Some(endpoint) => {
                self.common.directory.forget(endpoint);
            }
            _ => {}
        }
        // The reply about an unknown endpoint goes to the sender of the control.
        let audience = self.audiences.get(&endpoint).or(self.asker.as_ref());
        let is_over = matches!(report, Report::Closed { .. });
        if let Some(audience) = audience {
            // The listener may be gone; the session is about to end then.
            let _ = audience.send((endpoint, report));
        }
        if is_over && self.audiences.remove(&endpoint).is_some() {
            self.gauges.endpoints.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn record(&mut self, recording: RecordingId, samples: &[i16]) {
        if let Some(tape) = self.tapes.get_mut(&recording) {
            tape.write(samples);
        } else if let Some(ear) = self.ears.get_mut(&recording) {
            ear.hear(samples);
        }
    }

    fn end_recording(&mut self, recording: RecordingId, end: RecordingEnd) {
        if let Some(ear) = self.ears.remove(&recording) {
            ear.finish();
        }
        let Some(tape) = self.tapes.remove(&recording) else {
            return;
        };
        match end {
            RecordingEnd::Finished { keep, .. } => tape.finish(keep),
            RecordingEnd::Refused { reason } => tape.discard(reason.to_owned()),
        }
    }

    fn close(&mut self, socket: SocketId) {
        self.sockets.close(socket);
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Control, EndpointId, MediaConfig, MediaPlane, MixId, RecordingId, Report, Session, Terms,
    };
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const PATIENCE: Duration = Duration::from_secs(5);

    type Inbox = UnboundedReceiver<(EndpointId, Report)>;

    fn open(session: &Session, reports: &mut Inbox, endpoint: u64) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let endpoint = EndpointId(endpoint);
        session.control(Control::Open {
            endpoint,
            offer: Some(format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio {port} RTP/AVP 0\r\n"
            )),
            signalling: Some([127, 0, 0, 1].into()),
            proved: true,
            like: None,
        });
        let Some((_, Report::Opened { sdp })) = reports.blocking_recv() else {
            panic!("not opened");
        };
        let (_, after) = sdp.split_once("m=audio ").unwrap();
        let (port, _) = after.split_once(' ').unwrap();
        let to = ("127.0.0.1", port.parse().unwrap());
        socket.connect(to).unwrap();
        socket
    }

    fn plane(workers: usize) -> MediaPlane {
        let config = MediaConfig {
            workers,
            ..MediaConfig::default()
        };
        MediaPlane::start(config).unwrap()
    }

    #[test]
    fn each_of_several_moves_is_waited_for() {
        let plane = plane(2);
        let (sender, mut reports) = unbounded_channel();
        // One session after the other, so they begin on different workers.
        let (one, two) = (plane.session(sender.clone()), plane.session(sender));
        let _sockets = [(&one, 1), (&one, 2), (&two, 3)]
            .map(|(session, endpoint)| open(session, &mut reports, endpoint));
        let stalled = one.provoke_stall();
        stalled.recv().unwrap();
        let moving = EndpointId(1);
        for b in [3, 2, 3, 2, 3].map(EndpointId) {
            one.control(media_proto::Control::Bridge { a: moving, b });
        }
        one.control(media_proto::Control::Close { endpoint: moving });
        stalled.recv().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let closed = loop {
            match reports.try_recv() {
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                report => break report.ok(),
            }
        };
        assert!(
            matches!(closed, Some((EndpointId(1), Report::Closed { .. }))),
            "{closed:?}"
        );
        assert_eq!((plane.counts().moves, plane.counts().endpoints), (5, 2));
    }

    /// Frames due during a stall are mixed from the packets that arrived during it.
    #[test]
    fn packets_of_a_stall_are_read_before_the_frames_are_made() {
        let plane = plane(1);
        let (sender, mut reports) = unbounded_channel();
        let session = plane.session(sender);
        let [talker, listener] = [1, 2].map(|endpoint| {
            let socket = open(&session, &mut reports, endpoint);
            session.control(media_proto::Control::Join {
                endpoint: EndpointId(endpoint),
                mix: MixId(1),
                talk: true,
                hear: true,
                coaches: None,
            });
            socket
        });
        let mut sequence = 0u16;
        let mut talk = || {
            sequence += 1;
            // A loud square wave.
            let mut packet = [0x10; 172];
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
            packet[12..]
                .chunks_mut(8)
                .step_by(2)
                .for_each(|half| half.fill(0x90));
            talker.send(&packet).unwrap();
        };
        let mut packet = [0; 172];
        for _ in 0..10 {
            talk();
            std::thread::sleep(Duration::from_millis(20));
        }
        let stalled = session.provoke_stall();
        stalled.recv().unwrap();
        listener.set_nonblocking(true).unwrap();
        while listener.recv(&mut packet).is_ok() {}
        listener.set_nonblocking(false).unwrap();
        (0..8).for_each(|_| talk());
        std::thread::sleep(Duration::from_millis(120));
        stalled.recv().unwrap();
        let levels: Vec<_> = (0..6)
            .map(|_| {
                let (mut packet, mut samples) = ([0; 172], [0; 160]);
                assert_eq!(listener.recv(&mut packet).unwrap(), 172);
                audio::g711::ulaw_decode_slice(&packet[12..], &mut samples);
                audio::measure::rms_dbfs(&samples).round()
            })
            .collect();
        // A delay of this thread before the stall may cost one frame.
        let loud = levels.iter().filter(|level| **level > -8.0);
        assert!(loud.count() >= 5, "{levels:?}");
    }

    #[test]
    fn a_fault_ends_its_endpoints_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RE1.wav");
        let plane = plane(1);
        let (sender, mut reports) = unbounded_channel();
        let session = plane.session(sender);
        let endpoint = EndpointId(1);
        let open = Control::Open {
            endpoint,
            offer: None,
            signalling: None,
            proved: true,
            like: None,
        };
        session.control(open.clone());
        assert!(matches!(
            reports.blocking_recv(),
            Some((_, Report::Opened { .. }))
        ));
        let recording = RecordingId(1);
        session.control(Control::Record {
            recording,
            endpoint,
            terms: Terms::default(),
            path: path.clone(),
        });
        // Until there is something in it.
        std::thread::sleep(Duration::from_millis(150));
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
        // The worker continues with the same session.
        session.control(open);
        assert!(matches!(
            reports.blocking_recv(),
            Some((_, Report::Opened { .. }))
        ));
        assert_eq!((plane.counts().faults, plane.counts().endpoints), (1, 1));
        assert!(plane.shutdown(Duration::from_secs(5)));
    }
}
