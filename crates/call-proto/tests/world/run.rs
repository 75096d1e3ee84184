//! What happened in a run, in a form that tests can compare.

use std::collections::BTreeMap;

use call_proto::journal::{self, Line, Verdict};
use call_proto::routing::Refusal;
use call_proto::{Entry, Fact, Farewell, Headers, Invite, ListenRequest, MessageFarewell};
use model::record::{CallRecord, Callback, Message, Notification, Recording, StartedRecording};
use model::{AccountSid, CallSid, CallStatus, HttpMethod, MessageSid, Timestamp};

/// One request to the application.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Timestamp,
    pub(crate) path: String,
    pub(crate) method: HttpMethod,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) author: AccountSid,
}

impl Asked {
    /// The value of a parameter.
    ///
    /// # Panics
    /// If it is missing or stands twice.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &str {
        texts(&self.params, name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(known, _)| known == name)
    }

    /// Some parameters, in one text.
    #[track_caller]
    pub(crate) fn list(&self, names: &[&str]) -> String {
        let pairs = names
            .iter()
            .map(|name| format!("{name}={}", self.get(name)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// The value of a parameter that stands exactly once.
#[track_caller]
pub(crate) fn texts<'a>(params: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = params.iter().filter(|(known, _)| known == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => value,
        (None, _) => panic!("no parameter `{name}` in {params:?}"),
        (Some(_), Some(_)) => panic!("parameter `{name}` twice in {params:?}"),
    }
}

pub(crate) struct Run {
    start: Timestamp,
    /// Everything, a line each.
    pub(crate) log: String,
    /// Rules that were broken.
    pub(crate) broken: Vec<String>,
    sent: Vec<(Timestamp, String, String)>,
    played: Vec<(Timestamp, String, String)>,
    requests: Vec<Asked>,
    /// Sound files that were asked for, and who wrote their addresses.
    pub(crate) loaded: Vec<(String, AccountSid)>,
    invites: Vec<(String, Invite)>,
    /// Legs in the order of their creation.
    pub(crate) created: Vec<CallSid>,
    names: BTreeMap<CallSid, String>,
    records: BTreeMap<CallSid, CallRecord>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) started_recordings: Vec<StartedRecording>,
    /// What is on record for the case of a crash.
    pub(crate) farewells: BTreeMap<CallSid, Farewell>,
    /// Text messages that are over, and what was kept of each while it was on its way.
    pub(crate) messages: Vec<Message>,
    pub(crate) message_farewells: BTreeMap<MessageSid, MessageFarewell>,
    pub(crate) notifications: Vec<Notification>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) trace: Vec<Entry>,
    /// All that the family was told and said; empty if there was none.
    pub(crate) journal: Vec<Line>,
    /// Headers for all messages of a leg.
    pub(crate) headers: BTreeMap<CallSid, Headers>,
    /// Why routing refused the call.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) reinvite_sdp: Option<String>,
    /// What was listened for.
    pub(crate) listened: Vec<ListenRequest>,
}

/// The log helps when a test fails.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log);
        }
    }
}

impl Run {
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            log: String::new(),
            broken: Vec::new(),
            sent: Vec::new(),
            played: Vec::new(),
            requests: Vec::new(),
            loaded: Vec::new(),
            invites: Vec::new(),
            created: Vec::new(),
            names: BTreeMap::new(),
            records: BTreeMap::new(),
            recordings: Vec::new(),
            started_recordings: Vec::new(),
            messages: Vec::new(),
            message_farewells: BTreeMap::new(),
            farewells: BTreeMap::new(),
            notifications: Vec::new(),
            callbacks: Vec::new(),
            trace: Vec::new(),
            journal: Vec::new(),
            headers: BTreeMap::new(),
            refusal: None,
            reinvite_sdp: None,
            listened: Vec::new(),
        }
    }

    // What the stage writes.

    pub(super) fn note(&mut self, at: Timestamp, line: &str) {
        let ms = at.since(self.start).as_millis();
        self.log += &format!("{}.{:03} {line}\n", ms / 1_000, ms % 1_000);
    }

    pub(super) fn sent(&mut self, at: Timestamp, name: &str, what: &str, more: &str) {
        let text = format!("{what} {more}").trim_end().to_owned();
        self.note(at, &format!("{name}<- {text}"));
        self.sent.push((at, name.to_owned(), text));
    }

    pub(super) fn invited(&mut self, at: Timestamp, call: CallSid, name: &str, invite: Invite) {
        let headers: Vec<_> = invite
            .headers
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect();
        self.note(at, &format!("{name}<- INVITE{}", headers.concat()));
        self.sent.push((at, name.to_owned(), "INVITE".to_owned()));
        self.names.insert(call, name.to_owned());
        self.invites.push((name.to_owned(), invite));
    }

    pub(super) fn media(&mut self, at: Timestamp, name: &str, what: &str) {
        self.note(at, &format!("media {name} {what}"));
        self.played.push((at, name.to_owned(), what.to_owned()));
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        let mut line = format!("app {} {}", asked.method, asked.path);
        for (name, value) in &asked.params {
            if name == "CallStatus" || name.starts_with("Dial") {
                line += &format!(" {name}={value}");
            }
        }
        self.note(asked.at, &line);
        self.requests.push(asked);
    }

    pub(super) fn fact(&mut self, now: Timestamp, name: &str, fact: Fact) {
        match fact {
            Fact::Created(record) => {
                self.note(now, &format!("fact {name} created"));
                self.created.push(record.sid);
                self.records.insert(record.sid, *record);
            }
            Fact::Ringing { call, at } => {
                self.note(now, &format!("fact {name} ringing"));
                let record = self.record_of(call);
                (record.status, record.updated) = (CallStatus::Ringing, at);
            }
            Fact::Answered {
                call,
                at,
                answered_by,
                sip_call_id,
            } => {
                self.note(now, &format!("fact {name} in-progress"));
                let record = self.record_of(call);
                record.status = CallStatus::InProgress;
                (record.started, record.answered) = (Some(at), Some(at));
                record.answered_by = answered_by;
                record.sip_call_id = sip_call_id.or_else(|| record.sip_call_id.take());
            }
            Fact::Ended { call, end } => {
                let reason = end.reason.as_str();
                self.note(now, &format!("fact {name} {} ({reason})", end.status));
                let record = self.record_of(call);
                (record.status, record.ended) = (end.status, Some(end.at));
                record.duration_s = Some(end.duration_s);
                record.ring_duration_s = end.ring_duration_s;
                record.reason = Some(reason.to_owned());
                record.sip_status = end.sip_status;
                (record.hangup_by, record.sip_reason) = (Some(end.by), end.sip_reason);
            }
            Fact::Farewell { call, farewell } => {
                self.farewells.insert(call, *farewell);
            }
            Fact::MessageCreated { message, farewell } => {
                self.note(now, &format!("fact {name} message to {}", message.to));
                self.message_farewells
                    .extend(farewell.map(|kept| (message.sid, *kept)));
            }
            Fact::MessageEnded { message, .. } => {
                let reason = message.reason.as_deref().unwrap_or_default();
                self.note(
                    now,
                    &format!("fact {name} message {} ({reason})", message.status),
                );
                self.messages.push(*message);
            }
            Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::InConference { .. } => {}
            Fact::RecordingStarted(started) => self.started_recordings.push(started),
            Fact::Recorded(recording) => {
                self.note(
                    now,
                    &format!("fact {name} recorded {} ms", recording.duration_ms),
                );
                self.recordings.push(recording);
            }
            Fact::Notified(notification) => {
                let (code, text) = (notification.code, &notification.text);
                self.note(now, &format!("fact {name} notified {code}: {text}"));
                self.notifications.push(notification);
            }
            Fact::Callback(callback) => {
                let about = if callback.params.iter().any(|(name, _)| name == "MessageSid") {
                    "MessageStatus"
                } else {
                    "CallStatus"
                };
                let status = texts(&callback.params, about);
                let (method, url) = (callback.method, &callback.url);
                self.note(now, &format!("cb {name} {method} {url} {about}={status}"));
                self.callbacks.push(callback);
            }
        }
    }

    fn record_of(&mut self, call: CallSid) -> &mut CallRecord {
        self.records.get_mut(&call).expect("the leg was created")
    }

    /// Runs the journal again.
    ///
    /// # Panics
    /// With the first difference, if there is one.
    pub(crate) fn replay(&self) {
        if self.journal.is_empty() {
            return;
        }
        match journal::replay(&self.journal).expect("it is a journal") {
            Verdict::Identical { complete, .. } => assert!(complete),
            Verdict::Differs(difference) => panic!("{difference:#?}"),
        }
    }

    /// The same, from the journal as it is stored.
    pub(crate) fn replay_stored(&mut self) {
        let json = serde_json::to_string(&self.journal).expect("it can be written");
        self.journal = serde_json::from_str(&json).expect("it can be read");
        self.replay();
    }

    // What tests ask.

    fn seconds(&self, at: Timestamp) -> String {
        let ms = at.since(self.start).as_millis();
        let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn timeline<'a>(&self, lines: impl Iterator<Item = (Timestamp, &'a str)>) -> String {
        lines
            .map(|(at, what)| format!("{} {what}", self.seconds(at)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What a party was sent, and when, in seconds.
    pub(crate) fn to(&self, name: &str) -> String {
        let mine = self.sent.iter().filter(|(_, to, _)| to == name);
        self.timeline(mine.map(|(at, _, what)| (*at, what.as_str())))
    }

    /// What a party heard.
    pub(crate) fn heard(&self, name: &str) -> String {
        let mine = self.played.iter().filter(|(_, by, _)| by == name);
        self.timeline(mine.map(|(at, _, what)| (*at, what.as_str())))
    }

    /// What the application was asked.
    pub(crate) fn app(&self) -> String {
        let lines: Vec<(Timestamp, String)> = self
            .requests
            .iter()
            .map(|asked| (asked.at, format!("{} {}", asked.method, asked.path)))
            .collect();
        self.timeline(lines.iter().map(|(at, what)| (*at, what.as_str())))
    }

    /// The requests for a path.
    pub(crate) fn requests(&self, path: &str) -> Vec<&Asked> {
        let mine = self.requests.iter().filter(|asked| asked.path == path);
        mine.collect()
    }

    pub(crate) fn all_requests(&self) -> impl Iterator<Item = &Asked> {
        self.requests.iter()
    }

    pub(crate) fn all_records(&self) -> impl Iterator<Item = &CallRecord> {
        self.records.values()
    }

    /// The only request for a path.
    #[track_caller]
    pub(crate) fn request(&self, path: &str) -> &Asked {
        match self.requests(path)[..] {
            [asked] => asked,
            ref other => panic!("{} requests for {path}", other.len()),
        }
    }

    /// The last INVITE to a party.
    #[track_caller]
    pub(crate) fn invite(&self, name: &str) -> &Invite {
        let mut mine = self.invites.iter().rev();
        let found = mine.find(|(to, _)| to == name);
        &found.unwrap_or_else(|| panic!("no INVITE to {name}")).1
    }

    /// The last record of K or of somebody called.
    #[track_caller]
    pub(crate) fn record(&self, name: &str) -> &CallRecord {
        let mut sids = self.created.iter().rev();
        let found = sids.find(|sid| {
            let record = &self.records[sid];
            match name {
                "K" => record.direction == model::Direction::Inbound,
                name => {
                    self.names
                        .get(sid)
                        .map_or(record.to.as_str(), |known| known)
                        == name
                        && record.direction != model::Direction::Inbound
                }
            }
        });
        &self.records[found.unwrap_or_else(|| panic!("no record of {name}"))]
    }

    /// The last record of a party: status, talk time, ring time.
    #[track_caller]
    pub(crate) fn ended(&self, name: &str) -> String {
        let record = self.record(name);
        let talk = record.duration_s.unwrap_or(-1);
        match record.ring_duration_s {
            Some(ring) => format!("{} {talk} s, rang {ring} s", record.status),
            None => format!("{} {talk} s", record.status),
        }
    }

    /// The last record of a party: who ended it, why, and what its far side said.
    #[track_caller]
    pub(crate) fn blame(&self, name: &str) -> String {
        let record = self.record(name);
        let by = record.hangup_by.map_or("nobody", |by| by.as_str());
        let reason = record.reason.as_deref().unwrap_or_default();
        let said = record.sip_reason.as_deref().unwrap_or_default();
        let status = record.sip_status.map(|status| status.to_string());
        let status = status.unwrap_or_default();
        let text = format!("{by} {reason} {status} {said}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// How many legs there were.
    pub(crate) fn legs(&self) -> usize {
        self.created.len()
    }

    /// The codes of all notifications.
    pub(crate) fn codes(&self) -> Vec<u16> {
        self.notifications.iter().map(|found| found.code).collect()
    }

    /// One parameter of each callback to an address, in order.
    pub(crate) fn told(&self, url: &str, parameter: &str) -> Vec<&str> {
        let mine = self.callbacks.iter().filter(|callback| callback.url == url);
        mine.map(|callback| texts(&callback.params, parameter))
            .collect()
    }
}
