//! Sends the audio of a call to a recording server: a recording client of SIPREC (RFC 7866).
//!
//! A session is a dialog of its own with the server, in which it only sends: each track as a line of RTP.
//! What is said about the call and how its audio is written is decided by `stream_proto::siprec`, what is
//! offered by `sdp_proto::recording`. **Invariant: whatever becomes of the session, the server gets BYE, or
//! CANCEL, unless it ended the dialog itself, and the call itself does not notice.**

use std::fmt;
use std::net::UdpSocket;
use std::time::Duration;

use call_proto::{
    RecordedParty, RecordingServer as Named, StreamCounts, StreamOver, StreamRequest,
};
use media::{Frame, MediaPlane};
use model::{CallSid, SiprecSid, Timestamp, error};
use sdp_proto::recording::{Receiver, Recording, label};
use sip::{InviteSpec, LegCommand, LegEvent, LegId, Sip};
use stream_proto::Track;
use stream_proto::siprec::{Party, Recorded, TrackSender};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{interval, timeout};

use crate::sip_side::{credentials, from_uri};
use crate::stream_orders::{Failure, Instruction, track_of, tracks};

/// How long the name of the server may take to be looked up.
const FOUND_WITHIN: Duration = Duration::from_secs(4);
/// How long the server may take to answer; with the look-up, less than a family waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(14);
/// How often sender reports are sent (RFC 3550 §6.2).
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The user of our address towards recording servers.
const USER: &str = "siprec";

/// A recording server (SIPREC).
#[derive(Clone, PartialEq, Eq)]
pub struct RecordingServer {
    /// Its SIP address.
    pub uri: String,
    /// User name and password with which to answer a challenge.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for RecordingServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingServer")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// What sessions with recording servers use.
pub(crate) struct Means {
    pub(crate) sip: Sip,
    pub(crate) media: MediaPlane,
    /// The server; `None`: the operator has named none so.
    pub(crate) server: Option<RecordingServer>,
    /// Our host towards it.
    pub(crate) host: String,
    /// The domain of parties that have no address.
    pub(crate) domain: String,
}

/// A session with a recording server, before it begins.
pub(crate) struct Client {
    means: Means,
    /// The operator's name of the server.
    connector: String,
    recorded: Recorded,
}

impl Client {
    /// A session about a call, from now on.
    pub(crate) fn new(
        means: Means,
        (call, now): (CallSid, Timestamp),
        request: &StreamRequest,
        server: &Named,
    ) -> Self {
        let party = |party: &RecordedParty| Party {
            address: from_uri(&party.address, &means.domain),
            name: party.name.clone(),
        };
        let recorded = Recorded {
            session: SiprecSid::from_bytes(*request.sid.as_bytes()),
            account: request.account,
            call,
            remote: party(&server.remote),
            local: party(&server.local),
            tracks: tracks(request.track),
            parameters: request.parameters.clone(),
            began: now,
        };
        Self {
            means,
            connector: server.connector.clone(),
            recorded,
        }
    }

    /// Runs the session to its end.
    pub(crate) async fn run(
        self,
        mut instructions: UnboundedReceiver<Instruction>,
        connected: impl FnOnce(),
    ) -> StreamOver {
        let opened = tokio::select! {
            opened = self.open() => opened,
            // It is closed before the server has answered: the dialog is dropped, and canceled by that.
            _ = instructions.recv() => return over(None, StreamCounts::default()),
        };
        match opened {
            Ok(mut session) => {
                connected();
                let failure = session.run(&mut instructions).await.err();
                over(failure, session.counts)
            }
            Err(failure) => over(Some(failure), StreamCounts::default()),
        }
    }

    /// Calls the server.
    async fn open(&self) -> Result<Session, Failure> {
        let Means {
            sip, media, host, ..
        } = &self.means;
        let Some(server) = &self.means.server else {
            let connector = &self.connector;
            let text = format!("the operator has configured no connector `{connector}`");
            return Err((error::SIPREC_CONNECTOR, text));
        };
        let found = timeout(FOUND_WITHIN, sip.resolve(&server.uri)).await;
        let found = found.map_err(|_| refused("its name was not found in time".to_owned()))?;
        let peer = found.map_err(|error| refused(error.to_string()))?;
        let mut lines = Lines::default();
        let mut ports = Vec::new();
        let mut address = peer.remote.ip();
        for _ in &self.recorded.tracks {
            let outlet = media.outlet(peer.remote.ip());
            let outlet = outlet.map_err(|error| refused(format!("no port is free: {error}")))?;
            let local = outlet.rtp.local_addr();
            ports.push(local.map_err(|error| refused(error.to_string()))?.port());
            address = outlet.address;
            lines.0.push(Line {
                rtp: outlet.rtp,
                rtcp: outlet.rtcp,
                sender: None,
                receiver: None,
            });
        }
        let id = u64::from(rand::random::<u32>());
        let recording = Recording {
            address,
            ports,
            session_id: id,
            version: id,
        };
        let from = format!("sip:{USER}@{host}");
        let mut invite = InviteSpec::new(server.uri.clone(), from, peer);
        invite.sdp = recording.describe(&[]);
        invite.recording = Some(self.recorded.metadata(label));
        invite.credentials = credentials(server.credentials.clone());
        let mut dialog = Dialog::start(sip, invite);
        let answer = timeout(ANSWERED_WITHIN, dialog.answer()).await;
        let answer = answer.map_err(|_| refused("it did not answer in time".to_owned()))??;
        let receivers = recording.read(&answer);
        lines.aim(&receivers.map_err(|error| refused(format!("its answer: {error}")))?);
        Ok(Session {
            dialog,
            recording,
            tracks: self.recorded.tracks.clone(),
            lines,
            name: format!("{}@{host}", self.recorded.session),
            counts: StreamCounts::default(),
        })
    }
}

fn over(failure: Option<Failure>, counts: StreamCounts) -> StreamOver {
    StreamOver { failure, counts }
}

fn refused(why: String) -> Failure {
    let text = format!("the recording server: {why}");
    (error::SIPREC_REFUSED, text)
}

fn lost(text: &str) -> Failure {
    (error::SIPREC_LOST, text.to_owned())
}

/// A session that the server has accepted.
struct Session {
    dialog: Dialog,
    recording: Recording,
    tracks: Vec<Track>,
    lines: Lines,
    /// The CNAME of our reports.
    name: String,
    counts: StreamCounts,
}

impl Session {
    /// Sends the audio until the session is closed, or the server ends it.
    async fn run(
        &mut self,
        instructions: &mut UnboundedReceiver<Instruction>,
    ) -> Result<(), Failure> {
        let mut frames = None;
        let mut reports = interval(REPORT_EVERY);
        loop {
            tokio::select! {
                biased;
                instruction = instructions.recv() => match instruction {
                    Some(Instruction::Begin(_, begun)) => frames = Some(begun),
                    Some(Instruction::Close) | None => {
                        self.lines.report(&self.name, true);
                        return Ok(());
                    }
                    // They concern streams that also play.
                    Some(Instruction::Key(_) | Instruction::Marked(_) | Instruction::Unplayed(_)) => {}
                },
                event = self.dialog.event() => self.noticed(event)?,
                Some(frame) = next(&mut frames) => self.send(&frame),
                _ = reports.tick() => self.lines.report(&self.name, false),
            }
        }
    }

    fn send(&mut self, frame: &Frame) {
        let track = track_of(frame);
        let at = self.tracks.iter().position(|it| *it == track);
        let line = at.and_then(|at| self.lines.0.get_mut(at));
        match line.and_then(|line| line.send(frame)) {
            Some(true) => self.counts.sent += 1,
            Some(false) => self.counts.unsent += 1,
            // The line is on hold.
            None => {}
        }
    }

    fn noticed(&mut self, event: LegEvent) -> Result<(), Failure> {
        match event {
            LegEvent::Bye { .. } => Err(lost("the recording server ended the session")),
            LegEvent::Reinvite { sdp: Some(offer) } => {
                self.change(&offer);
                Ok(())
            }
            LegEvent::Reinvite { sdp: None } => {
                self.recording.version += 1;
                let sdp = self.recording.describe(&[]);
                self.dialog.answer_reinvite(sdp);
                Ok(())
            }
            LegEvent::ReinviteAcked { sdp } => {
                // An answer that cannot be used changes nothing.
                if let Some(Ok(receivers)) = sdp.map(|answer| self.recording.read(&answer)) {
                    self.lines.aim(&receivers);
                }
                Ok(())
            }
            event if event.is_last() => Err(lost("the recording server no longer answers")),
            _ => Ok(()),
        }
    }

    /// The server wants lines elsewhere, on hold or off it.
    fn change(&mut self, offer: &str) {
        match self.recording.read(offer) {
            Ok(receivers) => {
                self.lines.aim(&receivers);
                self.recording.version += 1;
                let sdp = self.recording.describe(&receivers);
                self.dialog.answer_reinvite(sdp);
            }
            Err(error) => self.dialog.command(LegCommand::RejectReinvite {
                status: error.status(),
            }),
        }
    }
}

/// The next frame; never, before the audio begins and after its end.
async fn next(frames: &mut Option<mpsc::Receiver<Frame>>) -> Option<Frame> {
    match frames {
        Some(frames) => frames.recv().await,
        None => std::future::pending().await,
    }
}

/// The lines of a session, in the order of its tracks.
#[derive(Default)]
struct Lines(Vec<Line>);

struct Line {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    sender: Option<TrackSender>,
    receiver: Option<Receiver>,
}

impl Lines {
    /// Sends each line where the server wants it.
    fn aim(&mut self, receivers: &[Receiver]) {
        for (line, receiver) in self.0.iter_mut().zip(receivers) {
            let Receiver {
                codec,
                payload_type,
                ..
            } = *receiver;
            match &mut line.sender {
                Some(sender) => sender.set_codec(codec, payload_type),
                none => *none = Some(TrackSender::new((codec, payload_type), rand::random())),
            }
            line.receiver = Some(*receiver);
        }
    }

    /// Sends a report for each line. It may be lost, as any datagram.
    fn report(&self, name: &str, goodbye: bool) {
        let since = u64::try_from(crate::now().as_millis()).unwrap_or_default();
        for line in &self.0 {
            if let (Some(sender), Some(receiver)) = (&line.sender, &line.receiver)
                && let Some(report) = sender.report(Duration::from_millis(since), name, goodbye)
            {
                let _ = line.rtcp.send_to(&report, receiver.rtcp);
            }
        }
    }
}

impl Line {
    /// Sends a frame; whether the system took it. `None`: it is on hold.
    fn send(&mut self, frame: &Frame) -> Option<bool> {
        let receiver = self.receiver.filter(|receiver| receiver.receives)?;
        let packet = self.sender.as_mut()?.packet(frame.at, &frame.samples);
        Some(self.rtp.send_to(&packet, receiver.rtp).is_ok())
    }
}

/// Our dialog with the server. Dropping it ends it.
struct Dialog {
    sip: Sip,
    leg: LegId,
    events: UnboundedReceiver<(LegId, LegEvent)>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Talking,
    Over,
}

impl Dialog {
    fn start(sip: &Sip, invite: InviteSpec) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let leg = sip.new_leg(sender);
        sip.send(leg, LegCommand::Invite(Box::new(invite)));
        Self {
            sip: sip.clone(),
            leg,
            events,
            state: State::Calling,
        }
    }

    /// The session description of the server's answer.
    async fn answer(&mut self) -> Result<String, Failure> {
        loop {
            match self.event().await {
                LegEvent::Answered { sdp: Some(sdp), .. } => return Ok(sdp),
                LegEvent::Answered { sdp: None, .. } => {
                    return Err(refused("its answer has no session description".to_owned()));
                }
                LegEvent::Rejected { status, reason, .. } => {
                    return Err(refused(format!("it answered {status} {reason}")));
                }
                event if event.is_last() => {
                    return Err(refused("it ended the session at once".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// What happens next. After the end of the dialog, nothing.
    async fn event(&mut self) -> LegEvent {
        let Some((_, event)) = self.events.recv().await else {
            return std::future::pending().await;
        };
        if event.is_last() {
            self.state = State::Over;
        } else if matches!(event, LegEvent::Answered { .. }) {
            self.state = State::Talking;
        }
        event
    }

    fn answer_reinvite(&self, sdp: String) {
        let headers = Vec::new();
        self.command(LegCommand::AnswerReinvite { sdp, headers });
    }

    fn command(&self, command: LegCommand) {
        self.sip.send(self.leg, command);
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        match self.state {
            State::Calling => self.command(LegCommand::Cancel),
            State::Talking => self.command(LegCommand::Bye {
                headers: Vec::new(),
            }),
            State::Over => {}
        }
    }
}
