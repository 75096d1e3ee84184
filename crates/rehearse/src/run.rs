//! The outcome of a rehearsal.

use std::collections::BTreeMap;
use std::time::Duration;

use call_proto::journal::Line;
use call_proto::{Entry, Fact, Headers, Invite, Lane, ModifyError, Way};
use model::email::Email;
use model::record::{CallRecord, Conference, Message, Notification, Recording};
use model::{CallSid, CallStatus, ConferenceSid, ConferenceStatus, Direction, Timestamp};

use crate::Asked;

/// An unmet expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Line of the script, from 1.
    pub line: usize,
    /// The expectation, and what was seen instead.
    pub text: String,
}

/// A leg and its record.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The script's name for it: `caller`, `ann`, `ann 2`.
    pub name: String,
    /// The party it belongs to: the name without the number.
    pub party: String,
    /// The record at the end.
    pub record: CallRecord,
}

/// An event on a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happened {
    /// When it happened.
    pub at: Timestamp,
    /// On which leg.
    pub call: CallSid,
    /// A short description.
    pub what: String,
}

/// A finished rehearsal.
#[derive(Debug)]
pub struct Run {
    /// When the call began.
    pub started: Timestamp,
    /// Total length, in virtual time.
    pub length: Duration,
    /// Every event, human-readable.
    pub trace: Vec<Entry>,
    /// Verbs in the order of their start.
    pub verbs: Vec<String>,
    /// Requests for documents.
    pub requests: Vec<Asked>,
    /// Callbacks.
    pub callbacks: Vec<Asked>,
    /// Legs in the order of their creation.
    pub legs: Vec<Leg>,
    /// Problems reported to the account's owner.
    pub notifications: Vec<Notification>,
    /// Recordings in the order of closing.
    pub recordings: Vec<Recording>,
    /// Text messages in the order of creation.
    pub messages: Vec<Message>,
    /// E-mails in the order of creation.
    pub emails: Vec<Email>,
    /// SIP messages that the server sent.
    pub sent: Vec<Happened>,
    /// Events on the line of each leg: sounds, other parties, recordings.
    pub heard: Vec<Happened>,
    /// Inputs and outputs of each call family, in order of their start; each can be replayed.
    pub journals: Vec<Vec<Line>>,
    /// The same for each conference room.
    pub room_journals: Vec<Vec<Line>>,
    /// Conferences in the order of creation, as they were at the end.
    pub conferences: Vec<Conference>,
    /// Replies to the API's requests to legs, in order.
    pub replies: Vec<(CallSid, Result<(), ModifyError>)>,
    /// What was left when nothing more was due: legs, timers, unanswered requests.
    pub left: Vec<String>,
    /// Unmet expectations: first those of the steps, by time, then those of `expect`, in script
    /// order.
    pub failures: Vec<Failure>,
    /// Number of inputs handled.
    pub inputs: u64,
    numbers: BTreeMap<CallSid, usize>,
    /// The legs without a record, each with the call that has it.
    pub(crate) heads: BTreeMap<CallSid, CallSid>,
    /// The INVITE to each called leg.
    pub invites: BTreeMap<CallSid, Invite>,
    /// Headers that the server adds to each message of a leg.
    pub own_headers: BTreeMap<CallSid, Headers>,
}

impl Run {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self {
            started,
            length: Duration::ZERO,
            trace: Vec::new(),
            verbs: Vec::new(),
            requests: Vec::new(),
            callbacks: Vec::new(),
            legs: Vec::new(),
            notifications: Vec::new(),
            recordings: Vec::new(),
            messages: Vec::new(),
            emails: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            journals: Vec::new(),
            room_journals: Vec::new(),
            replies: Vec::new(),
            conferences: Vec::new(),
            left: Vec::new(),
            failures: Vec::new(),
            inputs: 0,
            numbers: BTreeMap::new(),
            heads: BTreeMap::new(),
            invites: BTreeMap::new(),
            own_headers: BTreeMap::new(),
        }
    }

    /// Whether every expectation was met.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The call that has the record of a leg.
    pub(crate) fn recorded(&self, call: CallSid) -> CallSid {
        self.heads.get(&call).copied().unwrap_or(call)
    }

    /// The name of a leg.
    #[must_use]
    pub fn name(&self, call: CallSid) -> &str {
        let number = self.numbers.get(&self.recorded(call));
        number.map_or("?", |number| &self.legs[*number].name)
    }

    /// The name of a conference.
    pub(crate) fn conference_name(&self, sid: ConferenceSid) -> Option<&str> {
        let mut known = self.conferences.iter();
        let found = known.find(|conference| conference.sid == sid);
        found.map(|conference| conference.name.as_str())
    }

    /// The leg's position in order of creation; unknown legs come last.
    pub(crate) fn number(&self, call: CallSid) -> usize {
        self.numbers.get(&call).copied().unwrap_or(usize::MAX)
    }

    /// The leg of this name.
    pub(crate) fn leg(&self, name: &str) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.name == name)
    }

    /// The newest leg of a party.
    #[must_use]
    pub fn newest(&self, party: &str) -> Option<&Leg> {
        self.legs.iter().rev().find(|leg| leg.party == party)
    }

    /// The remote party of a leg, and the one that it calls or that calls it.
    pub(crate) fn parties(&self, call: CallSid) -> Option<(String, String)> {
        let record = &self.legs.get(self.number(call))?.record;
        let (from, to) = (record.from.clone(), record.to.clone());
        Some(match record.direction {
            Direction::Inbound => (from, to),
            Direction::OutboundApi | Direction::OutboundDial => (to, from),
        })
    }

    /// Records that the remote party of a leg turned out to be this one.
    pub(crate) fn is_party(&mut self, call: CallSid, name: &str) {
        if let Some(number) = self.numbers.get(&call) {
            name.clone_into(&mut self.legs[*number].party);
        }
    }

    pub(crate) fn sends(&mut self, at: Timestamp, call: CallSid, what: &str) {
        let (what, call) = (what.trim_end().to_owned(), self.recorded(call));
        self.sent.push(Happened { at, call, what });
    }

    pub(crate) fn hears(&mut self, at: Timestamp, call: CallSid, what: String) {
        self.heard.push(Happened { at, call, what });
    }

    pub(crate) fn fails(&mut self, line: usize, text: String) {
        self.failures.push(Failure { line, text });
    }

    pub(crate) fn entry(&mut self, entry: Entry) {
        let verb = entry.what.strip_prefix('<');
        if let Some(name) = verb.and_then(|verb| verb.strip_suffix('>'))
            && entry.lane == Lane::Rcml
            && entry.way == Way::Here
        {
            self.verbs.push(name.to_owned());
        }
        self.trace.push(entry);
    }

    pub(crate) fn created(&mut self, name: &str, record: CallRecord) {
        let same = |leg: &&Leg| {
            let rest = leg.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let party = name.to_owned();
        let name = match self.legs.iter().filter(same).count() {
            0 => name.to_owned(),
            others => format!("{name} {}", others + 1),
        };
        self.numbers.insert(record.sid, self.legs.len());
        self.legs.push(Leg {
            name,
            party,
            record,
        });
    }

    pub(crate) fn message_ended(&mut self, ended: Message) {
        if let Some(message) = self.messages.iter_mut().find(|one| one.sid == ended.sid) {
            *message = ended;
        }
    }

    /// Applies a room's fact to the record of its conference.
    pub(crate) fn apply_to_conference(&mut self, fact: &Fact) {
        let (sid, at) = match fact {
            Fact::ConferenceCreated(record) => {
                self.conferences.push(record.as_ref().clone());
                return;
            }
            Fact::ConferenceStarted { conference, at }
            | Fact::ConferenceEnded { conference, at, .. } => (*conference, *at),
            _ => return,
        };
        let mut known = self.conferences.iter_mut();
        let Some(record) = known.find(|record| record.sid == sid) else {
            return;
        };
        record.updated = at;
        if let Fact::ConferenceEnded { status, reason, .. } = fact {
            (record.status, record.ended) = (*status, Some(at));
            record.reason = Some(reason.clone());
        } else {
            record.started = Some(at);
            record.status = ConferenceStatus::Running;
        }
    }

    /// Applies a fact to the record of a leg.
    pub(crate) fn apply(&mut self, fact: &Fact) {
        let call = match fact {
            Fact::Ringing { call, .. }
            | Fact::Answered { call, .. }
            | Fact::AnsweredBy { call, .. }
            | Fact::Ended { call, .. }
            | Fact::InConference { call, .. }
            | Fact::LeftConference { call, .. } => *call,
            Fact::Created(_)
            | Fact::Farewell { .. }
            | Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::ConferenceFarewell { .. }
            | Fact::InQueue { .. }
            | Fact::LeftQueue { .. }
            | Fact::MessageCreated { .. }
            | Fact::Interacted(_)
            | Fact::InteractionSent { .. }
            | Fact::MessageArrived { .. }
            | Fact::MessageEnded { .. }
            | Fact::EmailQueued(_)
            | Fact::RecordingStarted { .. }
            | Fact::RecordingChanged { .. }
            | Fact::RecordingClosed { .. }
            | Fact::RecordingReported { .. }
            | Fact::Recorded(_)
            | Fact::Notified(_)
            | Fact::Callback(_) => return,
        };
        let Some(number) = self.numbers.get(&call) else {
            return;
        };
        let record = &mut self.legs[*number].record;
        match fact {
            Fact::Ringing { at, .. } => {
                (record.status, record.updated) = (CallStatus::Ringing, *at);
            }
            Fact::Answered {
                at, answered_by, ..
            } => {
                record.status = CallStatus::InProgress;
                (record.started, record.answered) = (Some(*at), Some(*at));
                record.answered_by.clone_from(answered_by);
            }
            Fact::AnsweredBy { by, .. } => {
                record.answered_by = Some(by.as_str().to_owned());
            }
            Fact::Ended { end, .. } => {
                (record.status, record.ended) = (end.status, Some(end.at));
                record.duration_s = Some(end.duration_s);
                record.ring_duration_s = end.ring_duration_s;
                record.reason = Some(end.reason.as_str().to_owned());
                record.sip_status = end.sip_status;
                record.hangup_by = Some(end.by);
                record.sip_reason.clone_from(&end.sip_reason);
            }
            Fact::InConference { membership, .. } => record.muted = membership.muted,
            Fact::LeftConference { .. } => record.muted = false,
            Fact::Created(_)
            | Fact::Farewell { .. }
            | Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::ConferenceFarewell { .. }
            | Fact::InQueue { .. }
            | Fact::LeftQueue { .. }
            | Fact::MessageCreated { .. }
            | Fact::Interacted(_)
            | Fact::InteractionSent { .. }
            | Fact::MessageArrived { .. }
            | Fact::MessageEnded { .. }
            | Fact::EmailQueued(_)
            | Fact::RecordingStarted { .. }
            | Fact::RecordingChanged { .. }
            | Fact::RecordingClosed { .. }
            | Fact::RecordingReported { .. }
            | Fact::Recorded(_)
            | Fact::Notified(_)
            | Fact::Callback(_) => {}
        }
    }
}
