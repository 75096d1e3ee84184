//! Media streams of a leg, from the connection to the last report: those of `<Stream>`, and sessions with a
//! recording server (`<Siprec>`), which are streams to another kind of server.
//!
//! Audio and the messages of a stream are not seen here: only that it began, the keys for it, and how
//! it ended. **Invariant: a stream leaves the list once**, with one entry in the trace and, if there
//! is a status callback, one last report; only then is its call forgotten. One whose end is not
//! reported in time is given up.

use std::time::Duration;

use model::record::Callback;
use model::{AccountSid, SiprecSid, StreamSid, Timestamp, error};

use crate::callback::CallbackTarget;
use crate::command::{
    Command, RecordedParty, RecordingServer, StreamCommand, StreamRequest, StreamTarget,
};
use crate::context::Context;
use crate::event::{PlayId, Req};
use crate::fact::Fact;
use crate::leg::Leg;
use crate::profile::Profile;
use crate::stream_news::{StreamCounts, StreamOver};
use crate::trace::Lane;

/// Maximum open streams of one call.
const MAX_OPEN: usize = 4;
/// How long the shell may take to connect, which is longer than its own time limit.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);
/// How long the shell may take to end a stream.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Why we end a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StopReason {
    /// The document stops it.
    Stopped,
    /// Another document takes over the call.
    Moved,
    /// The call has ended.
    CallOver,
}

impl StopReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped by the document",
            Self::Moved => "the call was redirected",
            Self::CallOver => "the call ended",
        }
    }
}

/// The noun that a stream belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamKind {
    Stream,
    Siprec,
}

impl StreamKind {
    const fn of(target: &StreamTarget) -> Self {
        match target {
            StreamTarget::Socket(_) => Self::Stream,
            StreamTarget::Recorder(_) => Self::Siprec,
        }
    }

    /// The prefix of its parameters.
    const fn param(self) -> &'static str {
        match self {
            Self::Stream => "Stream",
            Self::Siprec => "Siprec",
        }
    }

    /// The prefix of its events.
    const fn event(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Siprec => "siprec",
        }
    }

    const fn timeout_code(self) -> u16 {
        match self {
            Self::Stream => error::STREAM_TIMEOUT,
            Self::Siprec => error::SIPREC_REFUSED,
        }
    }

    fn show(self, sid: StreamSid) -> String {
        match self {
            Self::Stream => sid.to_string(),
            Self::Siprec => SiprecSid::from_bytes(*sid.as_bytes()).to_string(),
        }
    }
}

/// The end of a stream, for the verb that waits for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StreamEnd {
    pub(crate) kind: StreamKind,
    pub(crate) sid: StreamSid,
    pub(crate) name: Option<String>,
    /// What went wrong.
    pub(crate) failure: Option<(u16, String)>,
}

impl StreamEnd {
    /// The parameters that name the stream, the event, and what went wrong.
    pub(crate) fn params(&self) -> Vec<(String, String)> {
        let event = match self.failure {
            Some(_) => "error",
            None => "stopped",
        };
        let mut params = event_params(self.kind, self.sid, self.name.as_deref(), event);
        match (&self.failure, self.kind) {
            (None, _) => {}
            (Some((code, text)), StreamKind::Stream) => {
                params.push(("StreamError".to_owned(), format!("{code}: {text}")));
            }
            (Some((code, text)), StreamKind::Siprec) => {
                params.push(("SiprecError".to_owned(), text.clone()));
                params.push(("SiprecErrorCode".to_owned(), code.to_string()));
            }
        }
        params
    }
}

/// A stream that has not yet ended.
#[derive(Debug)]
struct OpenStream {
    req: Req,
    kind: StreamKind,
    sid: StreamSid,
    name: Option<String>,
    both_ways: bool,
    line: u32,
    callback: Option<CallbackTarget>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The server must accept the connection by this time.
    Connecting(Timestamp),
    Live,
    /// We have stopped it; its end must be reported by this time.
    Stopping(StopReason, Timestamp),
}

/// A stream to open.
pub(crate) struct Opening {
    /// The server.
    pub(crate) target: StreamTarget,
    /// Its name in the document.
    pub(crate) name: Option<String>,
    /// The audio to send.
    pub(crate) track: rcml::Track,
    /// Names and values for the server.
    pub(crate) parameters: Vec<(String, String)>,
    /// Line in the document; 0 if not read from a document.
    pub(crate) line: u32,
    /// Account whose document opens it.
    pub(crate) author: AccountSid,
    /// Receives its events.
    pub(crate) callback: Option<CallbackTarget>,
    /// Whether the server may also send audio.
    pub(crate) both_ways: bool,
}

impl StreamRequest {
    /// Its identifier as callbacks and the trace show it: that of a session with a recording server is `SR…`.
    #[must_use]
    pub fn shown_sid(&self) -> String {
        StreamKind::of(&self.target).show(self.sid)
    }
}

impl RecordingServer {
    /// The recording server of a connector, for the call of a leg.
    pub(crate) fn of(connector: String, leg: &Profile) -> Self {
        let from = RecordedParty {
            address: leg.from.clone(),
            name: leg.caller_name.clone(),
        };
        let to = RecordedParty {
            address: leg.to.clone(),
            name: None,
        };
        let (remote, local) = if leg.is_outbound() {
            (to, from)
        } else {
            (from, to)
        };
        Self {
            connector,
            remote,
            local,
        }
    }
}

/// The streams of a leg that have not yet ended.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Vec<OpenStream>,
}

impl Streams {
    /// Opens a stream.
    ///
    /// # Errors
    /// Its end, of which the owner has been notified, if the call has too many.
    pub(crate) fn open(
        &mut self,
        opening: Opening,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Result<Req, StreamEnd> {
        let (req, sid) = (cx.req(), cx.stream_sid());
        let Opening {
            target,
            name,
            track,
            parameters,
            line,
            author,
            callback,
            both_ways,
        } = opening;
        let kind = StreamKind::of(&target);
        let open = OpenStream {
            req,
            kind,
            sid,
            name,
            both_ways,
            line,
            callback,
            phase: Phase::Connecting(cx.now + CONNECTS_WITHIN),
        };
        let open_now = self.open.iter().filter(|open| !open.is_stopping());
        if open_now.count() >= MAX_OPEN {
            let text = format!("the call has {MAX_OPEN} streams already");
            let over = StreamOver {
                failure: Some((error::STREAM_TOO_MANY, text)),
                counts: StreamCounts::default(),
            };
            return Err(open.ends(over, leg, cx));
        }
        self.open.push(open);
        let profile = &leg.profile;
        let request = StreamRequest {
            sid,
            account: profile.account,
            author,
            target,
            track,
            both_ways,
            parameters,
        };
        let command = StreamCommand::Open {
            req,
            request: Box::new(request),
        };
        cx.command(profile.sid, Command::Stream(command));
        Ok(req)
    }

    /// The server has accepted the connection: the stream begins. Returns the play-out of a stream
    /// whose server may send audio.
    pub(crate) fn connected(
        &mut self,
        req: Req,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<PlayId> {
        let open = self.open.iter_mut().find(|open| open.req == req)?;
        if !matches!(open.phase, Phase::Connecting(_)) {
            return None;
        }
        open.phase = Phase::Live;
        let play = open.both_ways.then(|| cx.play_id());
        let begin = StreamCommand::Begin { req, play };
        cx.command(leg.profile.sid, Command::Stream(begin));
        let params = event_params(open.kind, open.sid, open.name.as_deref(), "started");
        open.report(params, leg, cx);
        play
    }

    /// A stream has ended; `None` if it is not open.
    pub(crate) fn over(
        &mut self,
        req: Req,
        over: StreamOver,
        leg: &mut Leg,
        cx: &mut Context,
    ) -> Option<StreamEnd> {
        let at = self.open.iter().position(|open| open.req == req)?;
        Some(self.open.remove(at).ends(over, leg, cx))
    }

    /// Ends one stream that the shell has not ended in time, if there is one.
    pub(crate) fn give_up(&mut self, leg: &mut Leg, cx: &mut Context) -> Option<(Req, StreamEnd)> {
        let is_late = |open: &OpenStream| open.until().is_some_and(|until| until <= cx.now);
        let at = self.open.iter().position(is_late)?;
        let open = self.open.remove(at);
        let req = open.req;
        let text = "the connection was not made in time";
        let code = open.kind.timeout_code();
        if matches!(open.phase, Phase::Connecting(_)) {
            let close = StreamCommand::Close { req };
            cx.command(leg.profile.sid, Command::Stream(close));
        }
        let over = StreamOver {
            failure: Some((code, text.to_owned())),
            counts: StreamCounts::default(),
        };
        Some((req, open.ends(over, leg, cx)))
    }

    /// Stops the streams of this kind with this name; false if there is none.
    pub(crate) fn stop_named(
        &mut self,
        kind: StreamKind,
        name: &str,
        leg: &Leg,
        cx: &mut Context,
    ) -> bool {
        let mut found = false;
        for open in &mut self.open {
            let is_it = open.kind == kind && open.name.as_deref() == Some(name);
            if is_it && !open.is_stopping() {
                open.stop(StopReason::Stopped, leg, cx);
                found = true;
            }
        }
        found
    }

    /// Stops a stream.
    pub(crate) fn stop(&mut self, req: Req, why: StopReason, leg: &Leg, cx: &mut Context) {
        if let Some(open) = self.open.iter_mut().find(|open| open.req == req) {
            open.stop(why, leg, cx);
        }
    }

    /// Stops all streams: the call has ended.
    pub(crate) fn stop_all(&mut self, leg: &Leg, cx: &mut Context) {
        for open in &mut self.open {
            open.stop(StopReason::CallOver, leg, cx);
        }
    }

    /// The remote party pressed a key: the servers that talk to it learn of it.
    pub(crate) fn key(&self, key: char, leg: &Leg, cx: &mut Context) {
        for open in &self.open {
            if open.both_ways && open.phase == Phase::Live {
                let key = StreamCommand::Key { req: open.req, key };
                cx.command(leg.profile.sid, Command::Stream(key));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When the first of them is given up.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.iter().filter_map(OpenStream::until).min()
    }
}

impl OpenStream {
    const fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Stopping(..))
    }

    const fn until(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Connecting(until) | Phase::Stopping(_, until) => Some(until),
            Phase::Live => None,
        }
    }

    /// The first reason counts.
    fn stop(&mut self, why: StopReason, leg: &Leg, cx: &mut Context) {
        if self.is_stopping() {
            return;
        }
        self.phase = Phase::Stopping(why, cx.now + ENDS_WITHIN);
        let close = StreamCommand::Close { req: self.req };
        cx.command(leg.profile.sid, Command::Stream(close));
    }

    /// Reports the end, and what was lost.
    fn ends(self, over: StreamOver, leg: &mut Leg, cx: &mut Context) -> StreamEnd {
        let StreamOver { failure, counts } = over;
        // Whatever happens to a stream that we have already stopped does not matter.
        let (failure, why) = match self.phase {
            Phase::Stopping(why, _) => (None, why.as_str().to_owned()),
            Phase::Connecting(_) | Phase::Live => match failure {
                Some((code, text)) => (Some((code, text.clone())), text),
                None => (None, "closed by the server".to_owned()),
            },
        };
        let sid = self.kind.show(self.sid);
        let detail = format!("{sid} {why}; {}", words(&counts));
        cx.trace(leg.profile.sid, Lane::Media, "stream ended", &detail);
        let mut problems: Vec<(u16, String)> = failure.clone().into_iter().collect();
        problems.extend(lost(&counts));
        for (code, text) in problems {
            let about = crate::context::About {
                line: (self.line > 0).then_some(self.line),
                ..leg.profile.about(None)
            };
            cx.notify(about, code, &text);
        }
        let end = StreamEnd {
            kind: self.kind,
            sid: self.sid,
            name: self.name.clone(),
            failure,
        };
        self.report(end.params(), leg, cx);
        end
    }

    fn report(&self, params: Vec<(String, String)>, leg: &mut Leg, cx: &mut Context) {
        let Some(target) = self.callback.clone() else {
            return;
        };
        let profile = &leg.profile;
        let mut all = vec![
            ("AccountSid".to_owned(), profile.account.to_string()),
            ("CallSid".to_owned(), profile.sid.to_string()),
        ];
        all.extend(params);
        all.push(("Timestamp".to_owned(), cx.now.iso8601()));
        let callback = Callback {
            event: cx.event_sid(),
            account: profile.account,
            author: target.author,
            lane: profile.sid.into(),
            call: Some(profile.sid),
            sequence: leg.reporter.next_number(),
            url: target.url,
            method: target.method,
            params: all,
            created: cx.now,
        };
        cx.fact(Fact::Callback(callback));
    }
}

fn event_params(
    kind: StreamKind,
    sid: StreamSid,
    name: Option<&str>,
    event: &str,
) -> Vec<(String, String)> {
    let param = |suffix: &str, value: String| (format!("{}{suffix}", kind.param()), value);
    let mut params = vec![param("Sid", kind.show(sid))];
    params.extend(name.map(|name| param("Name", name.to_owned())));
    params.push(param("Event", format!("{}-{event}", kind.event())));
    params
}

/// What passed through a stream, as text.
fn words(counts: &StreamCounts) -> String {
    let mut text = format!(
        "{} ms sent, {} ms received",
        counts.sent * 20,
        counts.received_ms
    );
    let rest = [
        (counts.unsent * 20, " ms not taken"),
        (counts.unplayed_ms, " ms not played"),
        (counts.strange, " messages not understood"),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count}{what}"));
    }
    text
}

/// What the owner is notified of.
fn lost(counts: &StreamCounts) -> Vec<(u16, String)> {
    let mut problems = Vec::new();
    if counts.strange > 0 {
        let (count, first) = (counts.strange, counts.first_strange.as_deref());
        let text = format!(
            "{count} messages were not understood; the first: {}",
            first.unwrap_or("unknown")
        );
        problems.push((error::STREAM_MESSAGE, text));
    }
    if counts.unsent > 0 || counts.unplayed_ms > 0 {
        let text = format!(
            "{} ms of audio were not taken by the server, {} ms from it were not played",
            counts.unsent * 20,
            counts.unplayed_ms
        );
        problems.push((error::STREAM_OVERFLOW, text));
    }
    problems
}
