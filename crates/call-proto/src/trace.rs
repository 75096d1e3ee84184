//! The trace: everything that happened to a call family, on one clock, for people and tools.
//!
//! The trace may lose entries under load and hides secrets; records never depend on it.

use std::collections::BTreeMap;

use model::address::{redacted, redacted_sip};
use model::record::MediaCounts;
use model::{CallSid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::{Command, LegCommand, RoomRequest, StreamCommand, StreamTarget, Target};
use crate::event::{Event, LegEvent, MediaEvent, SpeechNews};
use crate::membership::RoomEvent;
use crate::queueing::{QueueEvent, QueueRequest};
use crate::relay_news::{FromAgent, RelayCommand, RelayNews, ToAgent};
use crate::stream_news::StreamNews;

/// At most so many characters of a spoken text are in the trace.
pub const TRACED_TEXT: usize = 60;

/// What an entry says when a call takes over the branch in its detail.
const TAKES_OVER: &str = "takes over";

/// Which part of the system an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// SIP messages.
    Sip,
    /// Requests to applications.
    Http,
    /// Verbs of the document.
    Rcml,
    /// Audio.
    Media,
    /// Records.
    Fact,
    /// Conferences and queues.
    Room,
    /// The API.
    Api,
}

/// Direction, seen from the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
    /// Internal.
    Here,
}

/// One line of the trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The leg, conference or message.
    #[serde(rename = "call")]
    pub owner: model::Lane,
    /// The part of the system.
    pub lane: Lane,
    /// The direction.
    pub way: Way,
    /// A short name: `INVITE`, `180`, `POST http://…`, `<Dial>`.
    pub what: String,
    /// Further detail; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The entries, with those of a branch that a call took over as the call's own: both are about the phone that it was
/// connected to.
#[must_use]
pub fn as_taken_over(entries: &[Entry]) -> Vec<Entry> {
    let taken = |entry: &Entry| {
        let branch = (entry.what == TAKES_OVER).then(|| entry.detail.parse::<CallSid>());
        Some((model::Lane::from(branch?.ok()?), entry.owner))
    };
    let heads: BTreeMap<model::Lane, model::Lane> = entries.iter().filter_map(taken).collect();
    let own = |entry: &Entry| Entry {
        owner: heads.get(&entry.owner).copied().unwrap_or(entry.owner),
        ..entry.clone()
    };
    let rest = entries.iter().filter(|entry| entry.what != TAKES_OVER);
    rest.map(own).collect()
}

/// The entry for an input; `None` for inputs that mean nothing to people.
pub(crate) fn of_event(at: Timestamp, call: CallSid, event: &Event) -> Option<Entry> {
    let (lane, what, detail) = match event {
        Event::Resolved { routes, .. } => {
            let ways: usize = routes
                .iter()
                .map(|found| found.as_ref().map_or(0, Vec::len))
                .sum();
            (Lane::Sip, "routes".to_owned(), ways.to_string())
        }
        Event::Fetched {
            result: Ok(fetched),
            ..
        } => (
            Lane::Http,
            fetched.status.to_string(),
            redacted(&fetched.url),
        ),
        Event::Fetched {
            result: Err(failure),
            ..
        } => (
            Lane::Http,
            format!("error {}", failure.code),
            failure.text.clone(),
        ),
        Event::Audio {
            result: Ok(clip), ..
        } => (
            Lane::Media,
            "audio".to_owned(),
            format!("{} ms", clip.length.as_millis()),
        ),
        Event::Audio {
            result: Err(failure),
            ..
        } => (
            Lane::Media,
            format!("error {}", failure.code),
            failure.text.clone(),
        ),
        Event::Speech { news, .. } => {
            let (what, detail) = of_speech(news);
            (Lane::Media, what.to_owned(), detail)
        }
        Event::MessageAnswered { status, reason, .. } => {
            (Lane::Sip, format!("{status} to MESSAGE"), reason.clone())
        }
        Event::Room { event, .. } => {
            let (what, detail) = of_room_event(*event);
            (Lane::Room, what.to_owned(), detail)
        }
        Event::HandOver { asker, .. } => {
            let what = "asked to hand over".to_owned();
            (Lane::Room, what, asker.to_string())
        }
        Event::HandedOver { accepted, .. } => {
            let detail = if *accepted { "agreed" } else { "refused" };
            (Lane::Room, "hand-over".to_owned(), detail.to_owned())
        }
        Event::Queue { event, .. } => {
            let (what, detail) = of_queue_event(event);
            (Lane::Room, what.to_owned(), detail)
        }
        Event::Stream { news, .. } => match news {
            StreamNews::Connected => (Lane::Media, "stream connected".to_owned(), String::new()),
            StreamNews::Over(_) => return None, // The entry about its end says more.
        },
        Event::Relay { news, .. } => {
            let (what, detail) = of_relay(news)?;
            (Lane::Media, what.to_owned(), detail)
        }
        Event::Leg(event) => {
            let (what, detail) = of_leg_event(event);
            (Lane::Sip, what, detail)
        }
        Event::Media(event) => {
            let (what, detail) = of_media_event(event);
            (Lane::Media, what, detail)
        }
        Event::Ask { .. } | Event::Modify(_) => return None, // The call records which change it is.
        Event::NotRecorded => (
            Lane::Fact,
            "not recorded".to_owned(),
            "the record cannot be written; the call is refused".to_owned(),
        ),
        Event::EndedElsewhere => (
            Lane::Fact,
            "ended elsewhere".to_owned(),
            "another server has ended the call on record; it is hung up".to_owned(),
        ),
        Event::Shutdown => (Lane::Api, "shutdown".to_owned(), String::new()),
    };
    Some(Entry {
        at,
        owner: call.into(),
        lane,
        way: Way::In,
        what,
        detail,
    })
}

/// Speech is not shown: it may be a confidential number.
fn of_speech(news: &SpeechNews) -> (&'static str, String) {
    let length = |text: &str| format!("{} characters", text.chars().count());
    match news {
        SpeechNews::Partial(text) => ("speech so far", length(text)),
        SpeechNews::Final { text, .. } => ("speech", length(text)),
        SpeechNews::Unavailable => ("no recognizer", String::new()),
        SpeechNews::Failed { reason } => ("recognizer failed", reason.clone()),
    }
}

/// What the server says is shown when it is spoken.
fn of_relay(news: &RelayNews) -> Option<(&'static str, String)> {
    let text = |what| (what, String::new());
    Some(match news {
        RelayNews::Connected => text("conversation connected"),
        RelayNews::Message(FromAgent::Text(_)) => return None,
        RelayNews::Message(FromAgent::Play { source, .. }) => ("server plays", redacted(source)),
        // The keys are not shown: they may be a PIN.
        RelayNews::Message(FromAgent::SendDigits { .. }) => text("server presses keys"),
        RelayNews::Message(FromAgent::Language { tts, transcription }) => {
            let languages = [tts, transcription].into_iter().flatten();
            let languages: Vec<&str> = languages.map(String::as_str).collect();
            ("server changes the language", languages.join(", "))
        }
        RelayNews::Message(FromAgent::End { .. }) => text("server ends the conversation"),
        RelayNews::Strange(fault) => ("not understood", fault.clone()),
        // The entry about its end says more.
        RelayNews::Over(_) => return None,
    })
}

fn of_room_event(event: RoomEvent) -> (&'static str, String) {
    match event {
        RoomEvent::Joined { conference, .. } => ("joined", conference.to_string()),
        RoomEvent::Moved { place, .. } => {
            let detail = match (place.started, place.talks) {
                (true, true) => "talks and hears",
                (true, false) => "hears",
                (false, _) => "waits",
            };
            ("moved", detail.to_owned())
        }
        RoomEvent::Beep(beep) => ("beep", beep.as_str().to_owned()),
        RoomEvent::Refused { why } => ("refused", why.as_str().to_owned()),
        RoomEvent::Over { why } => ("conference over", why.as_str().to_owned()),
    }
}

fn of_queue_event(event: &QueueEvent) -> (&'static str, String) {
    match event {
        QueueEvent::Found { queue, .. } => ("queue found", queue.to_string()),
        QueueEvent::Missing => ("no such queue", String::new()),
        QueueEvent::Unavailable { why } => ("queue not available", why.clone()),
        QueueEvent::Entered { .. } => ("waits in the queue", String::new()),
        QueueEvent::Full => ("queue full", String::new()),
        QueueEvent::Called { by, .. } => ("taken", by.to_string()),
        QueueEvent::Returned => ("waits in the queue again", String::new()),
        QueueEvent::Matched { with } => ("takes", with.to_string()),
        QueueEvent::Unmatched => ("seeks the next call", String::new()),
        QueueEvent::Connected { with } => ("connected", with.to_string()),
        QueueEvent::Passed { note } => ("the other call", note.as_str().to_owned()),
        QueueEvent::Parted { why } => ("parted", why.as_str().to_owned()),
    }
}

fn of_leg_event(event: &LegEvent) -> (String, String) {
    let text = |what: &str| (what.to_owned(), String::new());
    match event {
        LegEvent::Progress { status, .. } => (status.to_string(), String::new()),
        LegEvent::Answered { .. } => text("200"),
        LegEvent::Rejected { status, reason, .. } => (status.to_string(), reason.clone()),
        LegEvent::Canceled => text("CANCEL"),
        LegEvent::Acked { .. } => text("ACK"),
        LegEvent::NoAck => text("no ACK"),
        LegEvent::Bye { reason } => ("BYE".to_owned(), reason.clone().unwrap_or_default()),
        LegEvent::ByeDone => text("200 to BYE"),
        LegEvent::Reinvite { .. } => text("re-INVITE"),
        LegEvent::Refer(refer) => ("REFER".to_owned(), redacted_sip(&refer.target)),
        LegEvent::ReferAnswered { status } => (format!("{status} to REFER"), String::new()),
        LegEvent::ReferReported { status, .. } => {
            let status = status.map_or_else(String::new, |status| status.to_string());
            ("NOTIFY".to_owned(), status)
        }
        LegEvent::Info { content_type, .. } => ("INFO".to_owned(), content_type.clone()),
        LegEvent::Lost { reason } => ("lost".to_owned(), reason.clone()),
    }
}

fn of_media_event(event: &MediaEvent) -> (String, String) {
    match event {
        MediaEvent::Opened { .. } => ("opened".to_owned(), String::new()),
        MediaEvent::Refused { reason, .. } => ("refused".to_owned(), reason.clone()),
        MediaEvent::Renegotiated { sdp } => (
            "renegotiated".to_owned(),
            sdp.as_ref().err().cloned().unwrap_or_default(),
        ),
        MediaEvent::PlayDone { .. } => ("played".to_owned(), String::new()),
        MediaEvent::Heard => ("first packet".to_owned(), String::new()),
        MediaEvent::Silence => ("silence".to_owned(), String::new()),
        MediaEvent::RecordSilence { recording } => {
            ("nothing to record".to_owned(), recording.to_string())
        }
        MediaEvent::Answerer(heard) => ("answerer".to_owned(), heard.as_str().to_owned()),
        MediaEvent::Recorded {
            recording,
            duration_ms,
            ..
        } => (
            "recorded".to_owned(),
            format!("{recording} {duration_ms} ms"),
        ),
        MediaEvent::RecordFailed { recording, reason } => {
            ("record failed".to_owned(), format!("{recording} {reason}"))
        }
        // The key is not shown: it may be part of a PIN.
        MediaEvent::Digit { way, .. } => ("key".to_owned(), way.as_str().to_owned()),
        MediaEvent::Closed(counts) => ("closed".to_owned(), counts_text(counts)),
    }
}

/// Counters of a leg, as text.
#[must_use]
pub fn counts_text(counts: &MediaCounts) -> String {
    let mut text = format!(
        "packets in {} out {} lost {}",
        counts.packets_in, counts.packets_out, counts.lost
    );
    let rest = [
        (" jitter ", counts.jitter_us, " µs"),
        (" transcoded ", counts.transcoded, ""),
        (" wrong source ", counts.wrong_source, ""),
    ];
    for (name, count, unit) in rest.into_iter().filter(|(_, count, _)| *count > 0) {
        text.push_str(&format!("{name}{count}{unit}"));
    }
    text
}

/// The entry for an output; `None` for outputs that mean nothing to people.
pub(crate) fn of_command(at: Timestamp, owner: model::Lane, command: &Command) -> Option<Entry> {
    let (lane, what, detail) = match command {
        Command::Commit(_) | Command::Trace(_) | Command::OpenBranch { .. } | Command::Forget => {
            return None;
        }
        Command::TakeOver { branch } => (Lane::Sip, TAKES_OVER.to_owned(), branch.to_string()),
        Command::Reply { outcome, .. } => {
            let refusal = outcome.err()?;
            (Lane::Api, "refused".to_owned(), refusal.to_string())
        }
        Command::Resolve { targets, .. } => {
            (Lane::Sip, "look up".to_owned(), targets_in_words(targets))
        }
        Command::Fetch { request, .. } => (
            Lane::Http,
            format!("{} {}", request.method, redacted(&request.url)),
            String::new(),
        ),
        Command::Speak { text, .. } => (
            Lane::Media,
            "speak".to_owned(),
            text.chars().take(TRACED_TEXT).collect(),
        ),
        Command::Load { url, .. } => (Lane::Media, "load".to_owned(), redacted(url)),
        Command::Listen { request, .. } => {
            (Lane::Media, "listen".to_owned(), request.language.clone())
        }
        Command::Overhear { request, .. } => {
            (Lane::Media, "overhear".to_owned(), request.language.clone())
        }
        Command::EndOfSpeech { .. } => (Lane::Media, "end of speech".to_owned(), String::new()),
        Command::StopListening { .. } => (Lane::Media, "stop listening".to_owned(), String::new()),
        // Its text is not shown: it may be a confidential code.
        Command::SendMessage { message, .. } => (
            Lane::Sip,
            "MESSAGE".to_owned(),
            redacted_sip(&message.route.uri),
        ),
        Command::Stream(command) => {
            let (what, detail) = of_stream_command(command)?;
            (Lane::Media, what.to_owned(), detail)
        }
        Command::HandOver { from, .. } => {
            let what = "asks for the other party".to_owned();
            (Lane::Room, what, from.to_string())
        }
        Command::AnswerHandOver { accepted, .. } => {
            let detail = if *accepted { "agreed" } else { "refused" };
            (Lane::Room, "hand-over".to_owned(), detail.to_owned())
        }
        Command::Relay(command) => {
            let (what, detail) = of_relay_command(command)?;
            (Lane::Media, what.to_owned(), detail)
        }
        Command::Queue(request) => {
            let (what, detail) = match request {
                QueueRequest::Find { name, .. } => ("find the queue", name.clone()),
                QueueRequest::Enter { .. } => ("enter the queue", String::new()),
                QueueRequest::Take { .. } => ("take the first call", String::new()),
                QueueRequest::Ready { .. } => ("ready", String::new()),
                QueueRequest::Pass { note, .. } => ("to the other call", note.as_str().to_owned()),
                QueueRequest::Leave { why, .. } => ("leave the queue", why.as_str().to_owned()),
            };
            (Lane::Room, what.to_owned(), detail)
        }
        Command::Room(RoomRequest::Join { name, .. }) => {
            (Lane::Room, "join".to_owned(), name.clone())
        }
        Command::Room(RoomRequest::Change { .. }) => {
            (Lane::Room, "change".to_owned(), String::new())
        }
        Command::Room(RoomRequest::Announced { .. }) => {
            (Lane::Room, "announced".to_owned(), String::new())
        }
        Command::Room(RoomRequest::Leave { .. }) => (Lane::Room, "leave".to_owned(), String::new()),
        Command::Leg(command) => {
            let (what, detail) = of_leg_command(command)?;
            (Lane::Sip, what, detail)
        }
        Command::Media(command) => {
            let (what, detail) = command.words()?;
            (Lane::Media, what, detail)
        }
    };
    Some(Entry {
        at,
        owner,
        lane,
        way: Way::Out,
        what,
        detail,
    })
}

fn of_stream_command(command: &StreamCommand) -> Option<(&'static str, String)> {
    Some(match command {
        StreamCommand::Open { request, .. } => {
            let server = match &request.target {
                StreamTarget::Socket(url) => redacted(url),
                StreamTarget::Recorder(recorder) => format!("siprec:{}", recorder.connector),
            };
            ("open stream", format!("{} {server}", request.shown_sid()))
        }
        StreamCommand::Begin { .. } => ("begin stream", String::new()),
        // The key is not shown: it may be part of a PIN.
        StreamCommand::Key { .. } => return None,
        StreamCommand::Close { .. } => ("close stream", String::new()),
    })
}

/// What was said is not shown: it may be a confidential number.
fn of_relay_command(command: &RelayCommand) -> Option<(&'static str, String)> {
    let length = |text: &str| format!("{} characters", text.chars().count());
    let message = match command {
        RelayCommand::Open { request, .. } => {
            let detail = format!("{} {}", request.session, redacted(&request.url));
            return Some(("open conversation", detail));
        }
        RelayCommand::Close { .. } => return Some(("close conversation", String::new())),
        RelayCommand::Send { message, .. } => message,
    };
    Some(match message {
        ToAgent::Setup(_) => ("begin conversation", String::new()),
        ToAgent::Prompt {
            text, last: true, ..
        } => ("prompt", length(text)),
        // The recognizer's own entry says the same.
        ToAgent::Prompt { last: false, .. } => return None,
        // The key is not shown: it may be part of a PIN.
        ToAgent::Dtmf { .. } | ToAgent::Speaking { .. } | ToAgent::Played { .. } => return None,
        ToAgent::Interrupt { utterance, after } => {
            let detail = format!("after {} ms, {}", after.as_millis(), length(utterance));
            ("interrupt", detail)
        }
        ToAgent::Error { description } => ("error to the server", description.clone()),
    })
}

fn of_leg_command(command: &LegCommand) -> Option<(String, String)> {
    let text = |what: &str| (what.to_owned(), String::new());
    Some(match command {
        LegCommand::Headers(_) => return None,
        LegCommand::Ring => text("180"),
        LegCommand::Answer { .. } => text("200"),
        LegCommand::Reject { status, reason } => {
            (status.to_string(), reason.clone().unwrap_or_default())
        }
        LegCommand::Invite(invite) => ("INVITE".to_owned(), redacted_sip(&invite.route.uri)),
        LegCommand::Cancel => text("CANCEL"),
        LegCommand::Bye { reason } => ("BYE".to_owned(), reason.clone().unwrap_or_default()),
        LegCommand::AnswerReinvite { .. } => text("200 to re-INVITE"),
        LegCommand::RejectReinvite { status } => (format!("{status} to re-INVITE"), String::new()),
        LegCommand::AcceptRefer => text("202 to REFER"),
        LegCommand::RejectRefer { status, reason } => {
            (format!("{status} to REFER"), reason.clone())
        }
        LegCommand::ReferDone { status } => ("NOTIFY".to_owned(), status.to_string()),
        LegCommand::Refer { target } => ("REFER".to_owned(), redacted_sip(target)),
    })
}

fn targets_in_words(targets: &[Target]) -> String {
    let words: Vec<String> = targets.iter().map(target_in_words).collect();
    words.join(", ")
}

pub(crate) fn target_in_words(target: &Target) -> String {
    match target {
        Target::Client(login) => format!("client {login}"),
        Target::Number(number) => format!("number {number}"),
        Target::Named(name) => name.clone(),
        Target::Sip(uri) => redacted_sip(uri),
    }
}
