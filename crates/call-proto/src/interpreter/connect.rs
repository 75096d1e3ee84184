//! `<Connect>`, `<Start>` and `<Stop>`: streams of the leg, which `streams` keeps; a conversation inside
//! `<Connect>` is in `relay`.
//!
//! `<Connect>` waits for the end of its stream, and the leg hears what the server sends.
//! **Invariant: a `<Connect>` that is left, whatever the reason, stops its stream.**

use rcml::{Connect, ConnectNoun, Start, Stop, Stream};

use super::relay;
use super::verb::{Running, Site, Step};
use crate::callback::CallbackTarget;
use crate::command::MediaCommand;
use crate::context::Context;
use crate::event::{PlayId, Req};
use crate::streams::{Origin, StopReason, StreamEnd};
use model::{HttpMethod, error};

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
    for stream in start.streams {
        // The owner of the account learns of one that cannot be opened.
        let _ = open(stream, false, site, cx);
    }
    Step::Next
}

pub(super) fn stop(stop: &Stop, site: &mut Site<'_>, cx: &mut Context) -> Step {
    for name in &stop.names {
        if !site.streams.stop_named(name, site.leg, cx) {
            let text = format!("there is no open stream `{name}` to stop");
            cx.notify(site.about_line(stop.line), error::STREAM_UNKNOWN, &text);
        }
    }
    Step::Next
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
    let callback = stream.status_callback.as_deref();
    let callback = callback.and_then(|written| site.address(written, cx));
    let Some(url) = site.stream_address(&stream.url, cx) else {
        let text = "the address of the stream is not valid".to_owned();
        return Err(StreamEnd {
            sid: cx.stream_sid(),
            name: stream.name,
            failure: Some((error::BAD_URI, text)),
        });
    };
    let author = site.author();
    let method = stream.status_callback_method;
    let origin = Origin {
        url,
        author,
        callback: callback.map(|url| CallbackTarget {
            url,
            method,
            author,
        }),
        both_ways,
    };
    site.streams.open(stream, origin, site.leg, cx)
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
