//! The connections of a leg to the servers of conversations, from the first attempt to the end.
//!
//! What is said over them is decided by the verb (`interpreter::relay`). **Invariant: a connection
//! leaves the list once; only then is its call forgotten.** One whose end is not reported in time is
//! given up.

use std::time::Duration;

use model::{CallSid, Timestamp};

use crate::command::Command;
use crate::context::Context;
use crate::event::Req;
use crate::relay_news::{RelayCommand, RelayNews, RelayRequest, ToAgent};

/// How long the shell may take to connect, which is longer than its own time limit.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);
/// How long the shell may take to close a connection.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Connection {
    req: Req,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The server must accept by this time.
    Connecting(Timestamp),
    Live,
    /// Its end must be reported by this time.
    Closing(Timestamp),
}

/// The connections of a leg that have not yet ended.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    open: Vec<Connection>,
}

impl Relays {
    /// Connects to a server.
    pub(crate) fn open(&mut self, request: RelayRequest, call: CallSid, cx: &mut Context) -> Req {
        let req = cx.req();
        let phase = Phase::Connecting(cx.now + CONNECTS_WITHIN);
        self.open.push(Connection { req, phase });
        cx.command(call, Command::Relay(RelayCommand::Open { req, request }));
        req
    }

    /// Sends a message over a connection that is not being closed.
    pub(crate) fn send(&self, req: Req, message: ToAgent, call: CallSid, cx: &mut Context) {
        if self.find(req).is_some_and(|open| open.phase == Phase::Live) {
            cx.command(call, Command::Relay(RelayCommand::Send { req, message }));
        }
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, req: Req, call: CallSid, cx: &mut Context) {
        let until = cx.now + CLOSES_WITHIN;
        let mut open = self.open.iter_mut();
        if let Some(open) = open.find(|open| open.req == req)
            && !matches!(open.phase, Phase::Closing(_))
        {
            open.phase = Phase::Closing(until);
            cx.command(call, Command::Relay(RelayCommand::Close { req }));
        }
    }

    /// Takes news of a connection; returns them if the verb is to learn of them.
    pub(crate) fn news(&mut self, req: Req, news: RelayNews) -> Option<RelayNews> {
        let at = self.open.iter().position(|open| open.req == req)?;
        let phase = self.open[at].phase;
        match (&news, phase) {
            (RelayNews::Over(_), _) => {
                self.open.remove(at);
                (!matches!(phase, Phase::Closing(_))).then_some(news)
            }
            (RelayNews::Connected, Phase::Connecting(_)) => {
                self.open[at].phase = Phase::Live;
                Some(news)
            }
            (RelayNews::Message(_) | RelayNews::Strange(_), Phase::Live) => Some(news),
            // Too late, or repeated.
            (RelayNews::Connected | RelayNews::Message(_) | RelayNews::Strange(_), _) => None,
        }
    }

    /// Gives up one connection that the shell has not made or closed in time, if there is one; returns
    /// the news for the verb if it waits for it.
    pub(crate) fn give_up(
        &mut self,
        call: CallSid,
        cx: &mut Context,
    ) -> Option<(Req, Option<RelayNews>)> {
        let is_late = |open: &Connection| open.until().is_some_and(|until| until <= cx.now);
        let at = self.open.iter().position(is_late)?;
        let Connection { req, phase } = self.open.remove(at);
        let news = matches!(phase, Phase::Connecting(_)).then(|| {
            cx.command(call, Command::Relay(RelayCommand::Close { req }));
            RelayNews::Over(Some("the connection was not made in time".to_owned()))
        });
        Some((req, news))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When the first of them is given up.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.open.iter().filter_map(Connection::until).min()
    }

    fn find(&self, req: Req) -> Option<&Connection> {
        self.open.iter().find(|open| open.req == req)
    }
}

impl Connection {
    const fn until(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Connecting(until) | Phase::Closing(until) => Some(until),
            Phase::Live => None,
        }
    }
}
