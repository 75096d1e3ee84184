//! `<Connect>`, `<Start>` and `<Stop>`: streams of the leg and sessions with a recording server, which `streams` keeps, recordings (`recording`) and transcriptions (`transcripts`); a conversation inside
//! `<Connect>` is in `relay`.
//!
//! `<Connect>` waits for the end of its stream, and the leg hears what the server sends.
//! **Invariant: a `<Connect>` that is left, whatever the reason, stops its stream.**

use rcml::{
    CallRecording, Connect, ConnectNoun, Siprec, Start, StartNoun, Stop, StopNoun, Stream,
    Transcription,
};

use super::relay;
use super::verb::{Running, Site, Step};
use crate::callback::CallbackTarget;
use crate::command::{MediaCommand, RecordingServer, StreamTarget};
use crate::context::Context;
use crate::event::{PlayId, Req};
use crate::recording::RecordingTerms;
use crate::streams::{Opening, StopReason, StreamEnd, StreamKind};
use model::{HttpMethod, RecordingSource, error};

/// A `<Connect>` whose stream is open.
struct Connecting {
    req: Req,
    /// What the leg hears, once the stream has begun.
    play: Option<PlayId>,
    action: Option<(String, HttpMethod)>,
}

pub(super) fn connect(connect: Connect, site: &mut Site<'_>, cx: &mut Context) -> Step {
    let Some(noun) = connect.noun else {
        return Step::Next;
    };
    let action = match &connect.action {
        None => None,
        Some(written) => match site.address(written, cx) {
            Some(url) => Some((url, connect.method)),
            None => return site.bad_address(cx),
        },
    };
    let stream = match noun {
        ConnectNoun::Stream(stream) => stream,
        ConnectNoun::Relay(relay) => return relay::start(*relay, action, site, cx),
    };
    match open(stream, true, site, cx) {
        Ok(req) => {
            listen_to_keys(true, site, cx);
            let play = None;
            Step::Run(Box::new(Connecting { req, play, action }))
        }
        Err(end) => follow(action, &end, site, cx),
    }
}

pub(super) fn start(start: Start, site: &mut Site<'_>, cx: &mut Context) -> Step {
    for noun in start.nouns {
        match noun {
            StartNoun::Stream(stream) => {
                // The owner of the account learns of one that cannot be opened.
                let _ = open(stream, false, site, cx);
            }
            StartNoun::Recording(recording) => record(recording, site, cx),
            StartNoun::Transcription(transcription) => transcribe(*transcription, site, cx),
            StartNoun::Siprec(siprec) => send_to_recorder(*siprec, site, cx),
        }
    }
    Step::Next
}

fn record(recording: CallRecording, site: &mut Site<'_>, cx: &mut Context) {
    let callback = recording.callback.as_ref();
    let terms = RecordingTerms {
        source: RecordingSource::StartCallRecordingTwiml,
        name: recording.name,
        sides: recording.sides,
        trim: recording.trim,
        callback: callback.and_then(|callback| site.recording_callback(callback, cx)),
    };
    if let Err(refusal) = site.recordings.begin(terms, site.leg, cx) {
        let text = format!("the recording was not started: {refusal}");
        let about = site.about_line(recording.line);
        cx.notify(about, error::RECORDING_TOO_MANY, &text);
    }
}

pub(super) fn stop(stop: &Stop, site: &mut Site<'_>, cx: &mut Context) -> Step {
    for noun in &stop.nouns {
        let (found, code, what) = match noun {
            StopNoun::Stream(name) => {
                let found = site
                    .streams
                    .stop_named(StreamKind::Stream, name, site.leg, cx);
                (found, error::STREAM_UNKNOWN, format!("stream `{name}`"))
            }
            StopNoun::Recording(name) => {
                let found = site.recordings.stop_named(name, site.leg, cx);
                (found, error::STARTED_UNKNOWN, format!("recording `{name}`"))
            }
            StopNoun::Transcription(name) => {
                let found = site.transcripts.stop_named(name, site.leg, cx);
                (
                    found,
                    error::STARTED_UNKNOWN,
                    format!("transcription `{name}`"),
                )
            }
            StopNoun::Siprec(name) => {
                let kind = StreamKind::Siprec;
                let found = site.streams.stop_named(kind, name, site.leg, cx);
                let what = format!("SIPREC session `{name}`");
                (found, error::STARTED_UNKNOWN, what)
            }
        };
        if !found {
            let text = format!("there is no open {what} to stop");
            cx.notify(site.about_line(stop.line), code, &text);
        }
    }
    Step::Next
}

/// Opens a session with a recording server. The owner of the account learns of one that cannot be opened.
fn send_to_recorder(siprec: Siprec, site: &mut Site<'_>, cx: &mut Context) {
    let written = siprec.status_callback.as_deref();
    let callback = callback(written, siprec.status_callback_method, site, cx);
    let opening = Opening {
        target: StreamTarget::Recorder(RecordingServer::of(siprec.connector, &site.leg.profile)),
        name: siprec.name,
        track: siprec.track,
        parameters: siprec.parameters,
        line: siprec.line,
        author: site.author(),
        callback,
        both_ways: false,
    };
    let _ = site.streams.open(opening, site.leg, cx);
}

/// The receiver of a stream's events; `None` if none is set or its address is invalid. An invalid address is a
/// notification of the account.
fn callback(
    written: Option<&str>,
    method: HttpMethod,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Option<CallbackTarget> {
    let url = site.address(written?, cx)?;
    Some(CallbackTarget {
        url,
        method,
        author: site.author(),
    })
}

fn transcribe(transcription: Transcription, site: &mut Site<'_>, cx: &mut Context) {
    // Of an address that is not valid, the owner has been notified.
    let Some(url) = site.address(&transcription.status_callback, cx) else {
        return;
    };
    let target = CallbackTarget {
        url,
        method: transcription.status_callback_method,
        author: site.author(),
    };
    let line = transcription.line;
    if !site.transcripts.begin(transcription, target, site.leg, cx) {
        let text = "the call has two transcriptions already";
        let code = error::TRANSCRIPTION_TOO_MANY;
        cx.notify(site.about_line(line), code, text);
    }
}

/// Opens a stream.
///
/// # Errors
/// Its end, if it cannot even be tried.
fn open(
    stream: Stream,
    both_ways: bool,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Result<Req, StreamEnd> {
    let written = stream.status_callback.as_deref();
    let callback = callback(written, stream.status_callback_method, site, cx);
    let Some(url) = site.stream_address(&stream.url, cx) else {
        let text = "the address of the stream is not valid".to_owned();
        return Err(StreamEnd {
            kind: StreamKind::Stream,
            sid: cx.stream_sid(),
            name: stream.name,
            failure: Some((error::BAD_URI, text)),
        });
    };
    let opening = Opening {
        target: StreamTarget::Socket(url),
        name: stream.name,
        track: stream.track,
        parameters: stream.parameters,
        line: stream.line,
        author: site.author(),
        callback,
        both_ways,
    };
    site.streams.open(opening, site.leg, cx)
}

fn listen_to_keys(on: bool, site: &Site<'_>, cx: &mut Context) {
    if !site.leg.is_over() {
        cx.media(site.leg.profile.sid, MediaCommand::ListenDigits { on });
    }
}

/// Requests the action, or continues with the next verb.
fn follow(
    action: Option<(String, HttpMethod)>,
    end: &StreamEnd,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let Some((url, method)) = action else {
        return Step::Next;
    };
    site.act(url, method, end.params(), cx)
}

impl Running for Connecting {
    fn stream_began(&mut self, req: Req, play: PlayId, _site: &mut Site<'_>, _cx: &mut Context) {
        if req == self.req {
            self.play = Some(play);
        }
    }

    fn stream_over(
        &mut self,
        req: Req,
        end: &StreamEnd,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if req != self.req {
            return Step::Wait;
        }
        site.stop(self.play.take(), cx);
        listen_to_keys(false, site, cx);
        follow(self.action.take(), end, site, cx)
    }

    fn playing(&self) -> Option<PlayId> {
        self.play
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        listen_to_keys(false, site, cx);
        site.streams.stop(self.req, StopReason::Moved, site.leg, cx);
    }
}
