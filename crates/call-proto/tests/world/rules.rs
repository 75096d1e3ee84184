//! The rules that hold in every run, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use call_proto::{
    Addressed, Command, Event, Fact, LegCommand, LegEvent, MediaCommand, PlayId, QueueEvent,
    QueueRequest, RelayCommand, RelayNews, Req, RoomEvent, RoomRequest, SpeechNews, StreamCommand,
    StreamNews, ToAgent, Via,
};
use model::{CallSid, CallStatus, MessageSid, MessageStatus, Timestamp};

/// The state that the rules keep for a leg.
#[derive(Default)]
struct Leg {
    /// Commands to the SIP side so far, one letter each.
    sip: String,
    opened: u32,
    closed: u32,
    playing: Option<PlayId>,
    /// What the API has it hear instead.
    interrupting: Option<PlayId>,
    listens: bool,
    echoes: bool,
    /// REFERs without an answer, and whether one was accepted whose outcome is unknown.
    refers: u32,
    transfers: bool,
    /// The running recognitions.
    listening: BTreeSet<Req>,
    /// Its streams that were not closed: whether each has begun with a play-out.
    streams: BTreeMap<Req, bool>,
    /// Its conversations that were not closed: whether each has begun.
    relays: BTreeMap<Req, bool>,
    /// The play-out of a stream that is in progress.
    live: Option<PlayId>,
    /// The identifiers of the streams opened, and of those reported as ended.
    opened_streams: BTreeSet<String>,
    ended_streams: BTreeSet<String>,
    /// The room that it requested to join, or is in.
    member: Option<Req>,
    /// Its place in a queue, or its request for the first call there.
    place: Option<Req>,
    /// The call that it took from a queue and hears.
    paired: Option<CallSid>,
    /// Whether it is in the mix of a conference.
    in_mix: bool,
    /// The route for which media was opened.
    towards: Option<Via>,
    answered: Option<Timestamp>,
    /// It was found out what has answered.
    known: bool,
    /// How often machine detection began, and whether it is in progress.
    detections: u32,
    detects: bool,
    created: Option<Timestamp>,
    /// The call that has the record, of a branch without one.
    head: Option<CallSid>,
    status: Option<CallStatus>,
    ended: u32,
    forgotten: u32,
    /// Executed `<Dial>`s, and requests of their actions.
    dials: usize,
    actions: usize,
}

#[derive(Default)]
pub(crate) struct Rules {
    legs: BTreeMap<CallSid, Leg>,
    /// The branches that were taken over.
    taken: BTreeSet<CallSid>,
    bridges: BTreeSet<(CallSid, CallSid)>,
    /// How often each recording was started, stopped, stored.
    recordings: BTreeMap<String, [u32; 3]>,
    /// How often each recording whose end is reported was closed.
    reported: BTreeMap<String, u32>,
    /// How often each text message ended.
    messages: BTreeMap<MessageSid, u32>,
    broken: Vec<String>,
}

impl Rules {
    pub(crate) fn broken(&mut self, what: String) {
        self.broken.push(what);
    }

    pub(crate) fn into_broken(self) -> Vec<String> {
        self.broken
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    /// One batch of commands, before it is carried out.
    pub(crate) fn batch(&mut self, commands: &[Addressed]) {
        for (at, Addressed { call, command }) in commands.iter().enumerate() {
            if let Command::Commit(facts) = command {
                let takes_over = |one: &Addressed| matches!(one.command, Command::TakeOver { .. });
                let is_first = commands[..at].iter().all(takes_over);
                self.check(is_first, || "Commit is not the first command".to_owned());
                facts.iter().for_each(|fact| self.fact(fact));
                continue;
            }
            if self.taken.contains(call) {
                let is_trace = matches!(command, Command::Trace(_));
                self.check(is_trace, || {
                    format!("command for a branch that is no more: {command:?}")
                });
                continue;
            }
            let leg = self.legs.entry(*call).or_default();
            let known = leg.created.is_some() || leg.head.is_some();
            let gone = leg.forgotten > 0;
            // The API and other calls may address an ended leg, too.
            let silent = matches!(
                command,
                Command::Trace(_) | Command::Reply { .. } | Command::AnswerHandOver { .. }
            );
            self.check(known, || {
                format!("command for a leg without record: {command:?}")
            });
            self.check(silent || !gone, || {
                format!("command after Forget: {command:?}")
            });
            match command {
                Command::Leg(command) => self.sip(*call, command),
                Command::Media(command) => self.media(*call, command),
                Command::Forget => self.forget(*call),
                Command::OpenBranch { branch } => {
                    let is_new = self.leg(*branch).head.replace(*call).is_none();
                    let is_recorded = self.leg(*branch).created.is_some();
                    self.check(is_new && !is_recorded, || format!("{branch} is no branch"));
                }
                Command::TakeOver { branch } => self.take_over(*call, *branch),
                Command::Listen { req, .. } | Command::Overhear { req, .. } => {
                    // A verb, and two transcriptions of two tracks.
                    let is_new = self.leg(*call).listening.insert(*req);
                    let few = self.leg(*call).listening.len() <= 5;
                    self.check(is_new && few, || format!("{call} listens too often"));
                }
                Command::EndOfSpeech { req } => {
                    let listens = self.leg(*call).listening.contains(req);
                    self.check(listens, || format!("{call}: the end of no speech"));
                }
                Command::StopListening { req } => {
                    let listened = self.leg(*call).listening.remove(req);
                    self.check(listened, || format!("{call} stops no listening"));
                }
                Command::Trace(entry) => {
                    if entry.what == "<Dial>" {
                        self.leg(*call).dials += 1;
                    }
                    let sid = entry.detail.split(' ').next().unwrap_or_default();
                    if entry.what == "stream ended" {
                        let first = self.leg(*call).ended_streams.insert(sid.to_owned());
                        self.check(first, || format!("{sid} ended twice"));
                    }
                }
                Command::SendMessage { message, .. } => {
                    let open = self.messages.values().any(|ends| *ends == 0);
                    self.check(open, || format!("{message:?} is on no record"));
                }
                Command::Room(request) => self.room(*call, request),
                Command::Queue(request) => self.queue(*call, request),
                Command::Stream(command) => self.stream(*call, command),
                Command::Relay(command) => self.relay(*call, command),
                Command::Commit(_)
                | Command::Resolve { .. }
                | Command::HandOver { .. }
                | Command::AnswerHandOver { .. }
                | Command::Fetch { .. }
                | Command::Speak { .. }
                | Command::Load { .. }
                | Command::Reply { .. } => {}
            }
        }
    }

    /// An event delivered to a leg.
    pub(crate) fn event(&mut self, call: CallSid, event: &Event) {
        match event {
            Event::Leg(LegEvent::Refer(_)) => {
                let leg = self.leg(call);
                // A branch has no end on record.
                let is_live = leg.ended == 0 && leg.forgotten == 0;
                leg.refers += u32::from(is_live);
            }
            Event::Speech { req, news } if !matches!(news, SpeechNews::Partial(_)) => {
                self.leg(call).listening.remove(req);
            }
            Event::Stream {
                req,
                news: StreamNews::Over(_),
            } => {
                self.leg(call).streams.remove(req);
            }
            Event::Relay {
                req,
                news: RelayNews::Over(_),
            } => {
                self.leg(call).relays.remove(req);
            }
            Event::Room { req, event } => match event {
                RoomEvent::Refused { .. } | RoomEvent::Over { .. } => {
                    self.leg(call).member.take_if(|known| known == req);
                }
                RoomEvent::Joined { .. } | RoomEvent::Moved { .. } | RoomEvent::Beep(_) => {}
            },
            Event::Queue {
                req,
                event: QueueEvent::Full | QueueEvent::Parted { .. },
            } => {
                self.leg(call).place.take_if(|known| known == req);
            }
            _ => {}
        }
    }

    fn stream(&mut self, call: CallSid, command: &StreamCommand) {
        let leg = self.leg(call);
        match command {
            StreamCommand::Open { req, request } => {
                leg.opened_streams.insert(request.shown_sid());
                let new = leg.streams.insert(*req, false).is_none();
                self.check(new, || format!("{call} opens {req:?} again"));
            }
            StreamCommand::Begin { req, play } => {
                leg.playing = play.or(leg.playing);
                leg.live = play.or(leg.live);
                let began = leg.streams.insert(*req, true);
                self.check(began == Some(false), || {
                    format!("{call} begins {req:?}: {began:?}")
                });
            }
            StreamCommand::Key { req, .. } => {
                let began = leg.streams.get(req).copied();
                self.check(began == Some(true), || format!("{call}: a key for {req:?}"));
            }
            StreamCommand::Close { req } => {
                let was = leg.streams.remove(req).is_some();
                self.check(was, || format!("{call} closes {req:?}, which is not open"));
            }
        }
    }

    fn relay(&mut self, call: CallSid, command: &RelayCommand) {
        let leg = self.leg(call);
        match command {
            RelayCommand::Open { req, .. } => {
                let new = leg.relays.insert(*req, false).is_none();
                self.check(new, || format!("{call} opens {req:?} again"));
            }
            RelayCommand::Send { req, message } => {
                let begins = matches!(message, ToAgent::Setup(_));
                let began = leg.relays.insert(*req, true);
                self.check(began == Some(!begins), || {
                    format!("{call} sends {message:?} to {req:?}: {began:?}")
                });
            }
            RelayCommand::Close { req } => {
                let was = leg.relays.remove(req).is_some();
                self.check(was, || format!("{call} closes {req:?}, which is not open"));
            }
        }
    }

    fn room(&mut self, call: CallSid, request: &RoomRequest) {
        match request {
            RoomRequest::Join { req, .. } => {
                let free = self.leg(call).member.replace(*req).is_none();
                self.check(free, || format!("{call} wants to be in two rooms"));
            }
            RoomRequest::Change { req, .. } | RoomRequest::Announced { req, .. } => {
                let is_member = self.leg(call).member == Some(*req);
                self.check(is_member, || format!("{call} is in no room"));
            }
            RoomRequest::Leave { req, .. } => {
                let left = self.leg(call).member.take() == Some(*req);
                self.check(left, || format!("{call} leaves no room"));
            }
        }
    }

    fn queue(&mut self, call: CallSid, request: &QueueRequest) {
        match request {
            QueueRequest::Find { .. } => {}
            QueueRequest::Enter { req, .. } | QueueRequest::Take { req, .. } => {
                let free = self.leg(call).place.replace(*req).is_none();
                self.check(free, || format!("{call} wants to be in two queues"));
            }
            QueueRequest::Ready { req, .. } | QueueRequest::Pass { req, .. } => {
                let is_there = self.leg(call).place == Some(*req);
                self.check(is_there, || format!("{call} is in no queue"));
            }
            QueueRequest::Leave { req, .. } => {
                let left = self.leg(call).place.take() == Some(*req);
                self.check(left, || format!("{call} leaves no queue"));
            }
        }
    }

    fn leg(&mut self, call: CallSid) -> &mut Leg {
        self.legs.entry(call).or_default()
    }

    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Created(record) => {
                let leg = self.leg(record.sid);
                let first = leg.created.replace(record.created).is_none();
                self.check(first, || format!("{} is created twice", record.sid));
            }
            Fact::Ringing { call, .. } => {
                let fits = matches!(
                    self.leg(*call),
                    Leg {
                        created: Some(_),
                        answered: None,
                        ended: 0,
                        ..
                    }
                );
                self.check(fits, || format!("{call} rings after answer or end"));
            }
            Fact::Answered { call, at, .. } => {
                let leg = self.leg(*call);
                let fits = leg.ended == 0 && leg.answered.replace(*at).is_none();
                self.check(fits, || {
                    format!("{call} is answered twice or after its end")
                });
            }
            Fact::AnsweredBy { call, .. } => {
                let leg = self.leg(*call);
                let first = !std::mem::replace(&mut leg.known, true);
                let fits = first && leg.ended == 0 && leg.answered.is_some();
                self.check(fits, || format!("{call} is known to be answered so"));
            }
            Fact::Ended { call, end } => {
                let leg = self.leg(*call);
                leg.ended += 1;
                leg.status = Some(end.status);
                let talk = leg.answered.map_or(0, |at| end.at.seconds_since(at));
                let final_status = end.status.is_final();
                self.check(final_status, || format!("{call} ends {}", end.status));
                self.check(end.duration_s == talk, || {
                    format!("{call} lasted {talk} s, not {} s", end.duration_s)
                });
            }
            Fact::Recorded(recording) => {
                let steps = self
                    .recordings
                    .entry(recording.sid.to_string())
                    .or_default();
                steps[2] += 1;
                let proper = steps[0] == 1 && steps[2] == 1;
                self.check(proper, || {
                    format!("{} is stored twice or was not begun", recording.sid)
                });
            }
            Fact::Notified(notification) => {
                let numbered = model::error::entry(notification.code).is_some();
                self.check(numbered, || format!("{} is no number", notification.code));
            }
            Fact::Farewell { call, .. } => {
                let fits = matches!(
                    self.leg(*call),
                    Leg {
                        created: Some(_),
                        ended: 0,
                        ..
                    }
                );
                self.check(fits, || {
                    format!("{call} has a farewell without a live record")
                });
            }
            Fact::MessageCreated { message, .. } => {
                let new = self.messages.insert(message.sid, 0).is_none();
                self.check(new, || format!("{} is created twice", message.sid));
            }
            Fact::MessageEnded { message, .. } => {
                let ends = self.messages.get_mut(&message.sid);
                let first = ends.is_some_and(|ends| {
                    *ends += 1;
                    *ends == 1
                });
                let reason = message.reason.is_some();
                let over = message.status != MessageStatus::Sending;
                self.check(first && reason && over, || format!("{message:?} ends so"));
            }
            Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::ConferenceFarewell { .. }
            | Fact::InConference { .. }
            | Fact::LeftConference { .. }
            | Fact::InQueue { .. }
            | Fact::LeftQueue { .. }
            | Fact::EmailQueued(_)
            | Fact::Interacted(_)
            | Fact::InteractionSent { .. }
            | Fact::MessageArrived { .. }
            | Fact::Callback(_) => {}
            Fact::RecordingStarted { started, farewell } => {
                if farewell.is_some() {
                    self.reported.insert(started.sid.to_string(), 0);
                }
            }
            Fact::RecordingChanged { recording, .. } => {
                let closed = self.reported.get(&recording.to_string());
                let is_open = closed.is_none_or(|closed| *closed == 0);
                self.check(is_open, || format!("{recording} changes after its end"));
            }
            Fact::RecordingClosed { recording, .. } | Fact::RecordingReported { recording, .. } => {
                let closed = self.reported.entry(recording.to_string()).or_default();
                *closed += 1;
                let once = *closed == 1;
                self.check(once, || format!("{recording} is closed twice"));
            }
        }
    }

    /// The order of commands to the SIP side: `H R (A (a|r)*)? (B|J)?` for a caller,
    /// `H I (a|r)* (C|B)?` for a called party.
    fn sip(&mut self, call: CallSid, command: &LegCommand) {
        let letter = match command {
            LegCommand::Headers(_) => 'H',
            LegCommand::Ring => 'R',
            LegCommand::Answer { .. } => 'A',
            LegCommand::Reject { .. } => 'J',
            LegCommand::Invite(_) => 'I',
            LegCommand::Cancel => 'C',
            LegCommand::Bye { .. } => 'B',
            LegCommand::AnswerReinvite { .. }
            | LegCommand::RejectReinvite { .. }
            | LegCommand::AcceptRefer
            | LegCommand::RejectRefer { .. }
            | LegCommand::ReferDone { .. }
            | LegCommand::Refer { .. } => 'r',
        };
        self.refer(call, command);
        if let LegCommand::Invite(invite) = command {
            let same = self.leg(call).towards.as_ref() == Some(&invite.route.via);
            self.check(same, || format!("{call}: INVITE goes where media does not"));
        }
        let leg = self.leg(call);
        leg.sip.push(letter);
        let without: String = leg.sip.chars().filter(|c| *c != 'r').collect();
        let allowed = ["HRAB", "HRJ", "HIB", "HIC"];
        let fits = allowed.iter().any(|order| order.starts_with(&without));
        let over = leg.sip.trim_end_matches('r').ends_with(['B', 'J', 'C']) && letter == 'r';
        let sip = leg.sip.clone();
        self.check(fits && !over, || format!("{call}: SIP commands {sip}"));
    }

    /// Each REFER is answered, and of those accepted at most one at a time is not reported yet.
    fn refer(&mut self, call: CallSid, command: &LegCommand) {
        let leg = self.leg(call);
        let (asked, accepted) = (leg.refers, leg.transfers);
        match command {
            LegCommand::AcceptRefer => {
                (leg.refers, leg.transfers) = (asked.saturating_sub(1), true);
                self.check(asked > 0 && !accepted, || format!("{call}: a stray 202"));
            }
            LegCommand::RejectRefer { .. } => {
                leg.refers = asked.saturating_sub(1);
                self.check(asked > 0, || format!("{call} refuses no REFER"));
            }
            LegCommand::ReferDone { .. } => {
                leg.transfers = false;
                self.check(accepted, || format!("{call}: a stray NOTIFY"));
            }
            _ => {}
        }
    }

    fn media(&mut self, call: CallSid, command: &MediaCommand) {
        let leg = self.leg(call);
        if let MediaCommand::Open { towards, .. } = command {
            leg.opened += 1;
            leg.towards.clone_from(towards);
            let once = leg.opened == 1;
            self.check(once, || format!("{call} opens media again"));
            return;
        }
        let open = leg.opened == 1 && leg.closed == 0;
        self.check(open, || format!("{call} has no media open for {command:?}"));
        match command {
            MediaCommand::Play { play, .. } | MediaCommand::SendDigits { play, .. } => {
                let leg = self.leg(call);
                (leg.playing, leg.live) = (Some(*play), None);
            }
            MediaCommand::ListenDigits { on } => {
                let was = std::mem::replace(&mut self.leg(call).listens, *on);
                self.check(was != *on, || format!("{call} listens {on} again"));
            }
            MediaCommand::Interject { play, .. } => self.leg(call).interrupting = Some(*play),
            MediaCommand::StopPlay { play } if self.leg(call).interrupting == Some(*play) => {
                self.leg(call).interrupting = None;
            }
            MediaCommand::StopPlay { play } => {
                self.leg(call).live.take_if(|live| live == play);
                let plays = self.leg(call).playing.take() == Some(*play);
                self.check(plays, || format!("{call} stops what does not play"));
            }
            MediaCommand::Bridge { with } => {
                let alone = self
                    .bridges
                    .iter()
                    .all(|(a, b)| [*a, *b].iter().all(|leg| *leg != call && leg != with));
                self.check(alone, || format!("{call} or {with} has a bridge already"));
                self.bridges.insert((call, *with));
                let with_open = matches!(
                    self.leg(*with),
                    Leg {
                        opened: 1,
                        closed: 0,
                        ..
                    }
                );
                self.check(with_open, || {
                    format!("bridge to {with}, which has no media")
                });
            }
            MediaCommand::Echo { on } => {
                let was = std::mem::replace(&mut self.leg(call).echoes, *on);
                self.check(was != *on, || format!("{call} echoes {on} again"));
            }
            MediaCommand::Pair { with, .. } => {
                let leg = self.leg(call);
                let alone = leg.paired.replace(*with).is_none() && leg.place.is_some();
                self.check(alone, || format!("{call} hears {with} beside another"));
            }
            MediaCommand::Unpair { with } => {
                let was = self.leg(call).paired.take() == Some(*with);
                self.check(was, || format!("{call} did not hear {with}"));
            }
            MediaCommand::Unbridge { with } => {
                let was = self.bridges.remove(&(call, *with));
                self.check(was, || format!("{call} and {with} have no bridge"));
                let with_open = matches!(
                    self.leg(*with),
                    Leg {
                        opened: 1,
                        closed: 0,
                        ..
                    }
                );
                self.check(with_open, || {
                    format!("unbridge from {with}, which has no media")
                });
            }
            MediaCommand::Record { recording, .. }
            | MediaCommand::RecordVoice { recording, .. } => {
                self.recording(&recording.to_string(), 0);
            }
            MediaCommand::PauseRecord { recording, .. } => {
                let steps = self.recordings.get(&recording.to_string());
                let is_open = steps.is_some_and(|steps| steps[0] == 1 && steps[1] == 0);
                self.check(is_open, || format!("{recording} is paused out of turn"));
            }
            MediaCommand::DetectMachine { .. } => {
                let leg = self.leg(call);
                leg.detections += 1;
                leg.detects = true;
                let once = leg.detections == 1 && leg.answered.is_some();
                self.check(once, || format!("{call} detects a machine again"));
            }
            MediaCommand::StopDetecting => {
                let leg = self.leg(call);
                let ends = std::mem::take(&mut leg.detects) && leg.known;
                self.check(ends, || format!("{call} detects no machine"));
            }
            MediaCommand::StopRecord { recording } => self.recording(&recording.to_string(), 1),
            MediaCommand::JoinRoom { .. } => {
                let leg = self.leg(call);
                leg.in_mix = true;
                let is_member = leg.member.is_some();
                self.check(is_member, || format!("{call} is in a mix, but in no room"));
            }
            MediaCommand::LeaveRoom => {
                let was = std::mem::take(&mut self.leg(call).in_mix);
                self.check(was, || format!("{call} leaves no mix"));
            }
            MediaCommand::Close => self.leg(call).closed += 1,
            MediaCommand::PassKey { .. }
            | MediaCommand::Open { .. }
            | MediaCommand::Remote { .. }
            | MediaCommand::Renegotiate { .. } => {}
        }
    }

    fn recording(&mut self, sid: &str, step: usize) {
        let steps = self.recordings.entry(sid.to_owned()).or_default();
        steps[step] += 1;
        let fits = steps[0] == 1 && steps[1] <= 1;
        self.check(fits, || format!("{sid} starts or stops out of turn"));
    }

    /// What happened on the branch has happened to its call, which had no dialog before.
    fn take_over(&mut self, call: CallSid, branch: CallSid) {
        let Some(taken) = self.legs.remove(&branch) else {
            return self.broken(format!("{call} takes over {branch}, which does not exist"));
        };
        self.taken.insert(branch);
        let leg = self.leg(call);
        // Bad weather sends REFER without a dialog, too.
        let is_free = leg.sip.trim_matches('r').is_empty() && leg.opened == 0 && leg.ended == 0;
        (leg.sip, leg.towards) = (taken.sip, taken.towards);
        leg.refers += taken.refers;
        (leg.opened, leg.closed) = (taken.opened, taken.closed);
        let fits = is_free && taken.head == Some(call) && taken.forgotten == 0;
        self.check(fits, || format!("{call} takes over {branch} out of turn"));
    }

    fn forget(&mut self, call: CallSid) {
        let leg = self.leg(call);
        leg.forgotten += 1;
        let media = leg.opened == leg.closed && leg.listening.is_empty();
        let ends = u32::from(leg.head.is_none());
        let fits = leg.ended == ends && media && leg.member.is_none() && leg.live.is_none();
        let mut streams = leg.opened_streams.difference(&leg.ended_streams);
        let stream = streams.next().cloned();
        self.check(fits, || format!("{call} is forgotten before its end"));
        self.check(stream.is_none(), || {
            format!("{call} is forgotten before the end of {stream:?}")
        });
    }

    /// A request to the application with these parameters, on behalf of a leg.
    pub(crate) fn asked(&mut self, call: CallSid, params: &[(String, String)]) {
        if params.iter().any(|(name, _)| name == "DialCallStatus") {
            let leg = self.leg(call);
            leg.actions += 1;
            let (actions, dials) = (leg.actions, leg.dials);
            self.check(actions <= dials, || {
                format!("{call}: {actions} actions of {dials} dials")
            });
        }
    }

    /// The end of the run.
    pub(crate) fn finish(&mut self) {
        for (call, leg) in std::mem::take(&mut self.legs) {
            let end = [leg.ended, leg.forgotten];
            let ends = u32::from(leg.head.is_none());
            self.check(end == [ends, 1], || {
                format!("{call} ended and forgotten {end:?} times")
            });
            let alone = leg.place.is_none() && leg.paired.is_none();
            self.check(alone, || format!("{call} has not left its queue"));
            let media = [leg.opened, leg.closed];
            self.check(media[0] == media[1], || {
                format!("{call} opened and closed {media:?}")
            });
            let unanswered = leg.refers;
            self.check(unanswered == 0, || {
                format!("{call} left {unanswered} REFERs unanswered")
            });
            let sip = &leg.sip;
            let silent = sip == "H" && leg.answered.is_some();
            self.check(!silent, || format!("{call} was answered without INVITE"));
        }
        let bridges = std::mem::take(&mut self.bridges);
        self.check(bridges.is_empty(), || {
            format!("bridges are left: {bridges:?}")
        });
        for (sid, ends) in std::mem::take(&mut self.messages) {
            self.check(ends == 1, || format!("{sid} ended {ends} times"));
        }
        for (sid, closed) in std::mem::take(&mut self.reported) {
            self.check(closed <= 1, || format!("{sid} was closed {closed} times"));
        }
        for (sid, steps) in std::mem::take(&mut self.recordings) {
            let stopped = steps[..2] == [1, 1];
            self.check(stopped, || format!("{sid} started and stopped {steps:?}"));
        }
    }
}
