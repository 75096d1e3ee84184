//! What is expected of the whole call once it has ended.
//!
//! **Invariant: a list is complete and in order; only `...` matches any number of other items.**

use std::time::Duration;

use super::legs::{self, LegHeaders, LegLines, LegWish};
use super::request::{self, RequestWish};
use crate::Problem;
use crate::expected::{Expected, Span};
use crate::read::{self, Map, Problems};
use crate::yaml::{Node, Value};

#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) verbs: Option<List<Expected>>,
    pub(crate) requests: Option<List<RequestWish>>,
    pub(crate) callbacks: Option<List<RequestWish>>,
    pub(crate) dial_call_status: Option<List<Expected>>,
    pub(crate) notifications: Option<List<Expected>>,
    /// Leg and length of each recording.
    pub(crate) recordings: Option<List<Expected>>,
    /// Fields of each text message.
    pub(crate) messages: Option<List<Fields>>,
    /// Fields of each e-mail.
    pub(crate) emails: Option<List<Fields>>,
    /// Fields of each conference.
    pub(crate) conferences: Option<List<Fields>>,
    /// Names of all legs in order of creation.
    pub(crate) all_legs: Option<List<Expected>>,
    pub(crate) legs: Vec<LegWish>,
    /// The content of the INVITE to a leg.
    pub(crate) invites: Vec<LegWish>,
    /// Extra headers of the INVITE to a leg: these and no others.
    pub(crate) invite_headers: Vec<LegHeaders>,
    /// Headers that the server adds to each message to a leg, among others.
    pub(crate) own_headers: Vec<LegHeaders>,
    /// Messages sent to a leg.
    pub(crate) sent: Vec<LegLines>,
    /// Events on the line of a leg.
    pub(crate) heard: Vec<LegLines>,
    pub(crate) duration: Option<(usize, Span)>,
}

/// A list and its line.
#[derive(Clone, Debug)]
pub(crate) struct List<T> {
    pub(crate) line: usize,
    pub(crate) items: Vec<Wish<T>>,
}

/// One item of a list.
#[derive(Clone, Debug)]
pub(crate) enum Wish<T> {
    One(usize, T),
    /// Any number of other items.
    Others,
}

impl Wishes {
    pub(super) fn read(node: &Node) -> Result<Self, Problem> {
        const KEYS: &[&str] = &[
            "verbs",
            "requests",
            "callbacks",
            "dial_call_status",
            "notifications",
            "recordings",
            "messages",
            "emails",
            "conferences",
            "all_legs",
            "legs",
            "invites",
            "own_headers",
            "sent",
            "heard",
            "duration",
        ];
        let mut problems = Problems::default();
        let map = Map::with(node, "expect", KEYS, &mut problems)?;
        let texts = |name: &'static str| {
            let node = map.get(name);
            node.map(|node| list(node, name, |item| text(item, name)))
                .transpose()
        };
        let requests = |name: &'static str| {
            let node = map.get(name);
            node.map(|node| list(node, name, |item| request::read(item, name)))
                .transpose()
        };
        let of_legs = |name: &str, read: &dyn Fn(&Node) -> Result<Vec<LegWish>, Problem>| {
            map.get(name).map_or(Ok(Vec::new()), read)
        };
        let headers = |name: &str, read: &dyn Fn(&Node) -> Result<Vec<LegHeaders>, Problem>| {
            map.get(name).map_or(Ok(Vec::new()), read)
        };
        let lines = |name: &'static str| {
            let node = map.get(name);
            node.map_or(Ok(Vec::new()), |node| legs::lines(node, name))
        };
        let records = |name: &'static str, one: &'static str, fields: &'static [&'static str]| {
            let read = |item: &Node| legs::fields(item, one, fields, fields);
            let node = map.get(name);
            node.map(|node| list(node, name, read)).transpose()
        };
        let span = |node: &Node| Ok((node.line, read::span(node, "duration")?));
        let mut kept = |wishes| problems.keep(wishes).flatten();
        let (verbs, dial_call_status) = (kept(texts("verbs")), kept(texts("dial_call_status")));
        let (notifications, recordings) = (kept(texts("notifications")), kept(texts("recordings")));
        let all_legs = kept(texts("all_legs"));
        let mut kept = |wishes| problems.keep(wishes).flatten();
        let (asked, told) = (kept(requests("requests")), kept(requests("callbacks")));
        let mut kept = |wishes| problems.keep(wishes).flatten();
        let messages = kept(records("messages", "message", MESSAGE));
        let emails = kept(records("emails", "e-mail", EMAIL));
        let conferences = kept(records("conferences", "conference", CONFERENCE));
        let mut kept = |wishes| problems.keep(wishes).unwrap_or_default();
        let (legs, invites) = (
            kept(of_legs("legs", &legs::records)),
            kept(of_legs("invites", &legs::invites)),
        );
        let mut kept = |wishes| problems.keep(wishes).unwrap_or_default();
        // A fault in an INVITE has already been reported.
        let invite_headers = if invites.is_empty() {
            Vec::new()
        } else {
            kept(headers("invites", &legs::invite_headers))
        };
        let own_headers = kept(headers("own_headers", &legs::headers));
        let mut kept = |wishes| problems.keep(wishes).unwrap_or_default();
        let (sent, heard) = (kept(lines("sent")), kept(lines("heard")));
        let duration = problems.keep(map.get("duration").map(span).transpose());
        problems.none()?;
        Ok(Self {
            verbs,
            requests: asked,
            callbacks: told,
            dial_call_status,
            notifications,
            recordings,
            messages,
            emails,
            conferences,
            all_legs,
            legs,
            invites,
            invite_headers,
            own_headers,
            sent,
            heard,
            duration: duration.flatten(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self {
            verbs,
            requests,
            callbacks,
            dial_call_status,
            notifications,
            recordings,
            messages,
            emails,
            conferences,
            all_legs,
            legs,
            invites,
            invite_headers,
            own_headers,
            sent,
            heard,
            duration,
        } = self;
        let texts = [verbs, dial_call_status, notifications, recordings, all_legs];
        let http = requests.is_none() && callbacks.is_none();
        let sip = invites.is_empty() && invite_headers.is_empty() && own_headers.is_empty();
        let times = sent.is_empty() && heard.is_empty() && duration.is_none();
        let sent = messages.is_none() && emails.is_none();
        let records = legs.is_empty() && sent && conferences.is_none();
        texts.iter().all(|list| list.is_none()) && http && sip && times && records
    }
}

/// Line, name as in the script, and expected value.
pub(crate) type Fields = Vec<(usize, &'static str, Expected)>;

/// Fields of a text message.
const MESSAGE: &[&str] = &[
    "to",
    "from",
    "body",
    "status",
    "error_code",
    "reason",
    "direction",
    "leg",
    "at",
];

/// Fields of an e-mail.
const EMAIL: &[&str] = &[
    "to",
    "from",
    "cc",
    "bcc",
    "subject",
    "body",
    "type",
    "attachments",
    "leg",
    "at",
];

/// Fields of a conference.
const CONFERENCE: &[&str] = &["name", "status", "reason", "created", "started", "ended"];

/// An expected event, and possibly its time.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    /// Since the start of the call.
    pub(crate) at: Option<Duration>,
    pub(crate) what: Expected,
}

impl Timed {
    /// `3s BYE`, or `BYE` at any time.
    ///
    /// # Errors
    /// Why the text after `~` is not a regular expression.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let (at, rest) = read::moment(written);
        let what = Expected::parse(rest)?;
        Ok(Self { at, what })
    }
}

pub(super) fn list<T>(
    node: &Node,
    what: &str,
    read: impl Fn(&Node) -> Result<T, Problem>,
) -> Result<List<T>, Problem> {
    let wish = |item: &Node| match &item.value {
        Value::Text(text) if text == "..." => Ok(Wish::Others),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            Ok(Wish::One(item.line, read(item)?))
        }
    };
    let items = read::list(node, what)?.iter().map(wish);
    Ok(List {
        line: node.line,
        items: read::all(items)?,
    })
}

pub(super) fn text(node: &Node, what: &str) -> Result<Expected, Problem> {
    read::text(node, what)?;
    read::expected(node, what)
}
