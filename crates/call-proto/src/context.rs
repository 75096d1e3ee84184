//! The context of one step of a family, or of a message that runs a document: the time, the outputs
//! so far, the letters between its machines, and the source of identifiers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::address::redacted;
use model::record::Notification;
use model::{
    AccountSid, CallSid, EmailSid, EventSid, InstanceSid, InteractionSid, Lane as Owner, Level,
    LiveTranscriptionSid, MessageSid, NotificationSid, QueueSid, RecordingSid, SessionSid,
    StreamSid, Timestamp,
};

use crate::command::{Addressed, Command, LegCommand, MediaCommand};
use crate::dialect::Dialect;
use crate::event::{Ask, Document, PlayId, Req};
use crate::fact::{Fact, Reason};
use crate::ids::Ids;
use crate::letter::{
    BranchSpec, BridgeId, Common, Dialled, Ended, ForkId, ForkResult, LegOver, Order, Plan, Role,
};
use crate::refer::Refer;
use crate::request::{Changed, ModifyError};
use crate::trace::{self, Entry, Lane, Way};

/// Settings shared by all calls of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server that runs the calls.
    pub instance: InstanceSid,
    /// Builds the addresses of recordings that are sent to applications.
    pub recording_address: RecordingAddress,
    /// How many documents in a row may lead to the next one within a second.
    pub max_redirects: u32,
    /// Send the word `null` for an unknown caller name or diversion, instead of nothing.
    pub null_strings: bool,
    /// Whether a dialled party that declines while being screened also ends the caller's leg.
    pub screening_releases_both: bool,
    /// How long a `<Dial>` waits for its recording to be closed.
    pub recording_wait: Duration,
    /// Whether keys that no verb takes are kept for the next `<Gather>`; false only to replay journals
    /// from before they were.
    pub type_ahead: bool,
}

/// Builds the address at which an application can fetch a recording without credentials, below the
/// base path of the run's dialect. Must be the same for the same recording.
#[derive(Clone)]
pub struct RecordingAddress(pub Arc<MakeAddress>);

/// The address of a recording of an account, in a dialect.
pub type MakeAddress = dyn Fn(&Dialect, AccountSid, RecordingSid) -> String + Send + Sync;

impl std::fmt::Debug for RecordingAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordingAddress")
    }
}

/// A message from one machine of a family to another.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A fork requests a leg.
    Spawn(Box<BranchSpec>),
    /// A dial discards a fork's answer and ends its branches.
    AbandonFork(ForkId, Reason),
    /// A `<Dial>` rings its targets.
    StartFork {
        fork: ForkId,
        asker: CallSid,
        author: AccountSid,
        common: Box<Common>,
        dialled: Vec<Dialled>,
        order: Order,
        timeout: Duration,
    },
    /// The INVITE of a branch without a record goes out.
    BranchCalled(ForkId),
    /// The phone of a branch rings.
    BranchRings(ForkId),
    /// A branch was answered, after this many seconds.
    BranchAnswered(ForkId, CallSid, i64),
    /// A branch has ended.
    BranchOver(ForkId, Box<LegOver>),
    /// A fork has a winner.
    ForkWon {
        parent: CallSid,
        fork: ForkId,
        child: CallSid,
        ring_s: i64,
    },
    /// A fork has no winner.
    ForkLost {
        parent: CallSid,
        fork: ForkId,
        result: Box<ForkResult>,
    },
    /// A head takes over the branch that answered.
    TakeOver { head: CallSid, branch: CallSid },
    /// Every branch of a head has failed; this one decides how the head ends.
    BranchesFailed {
        head: CallSid,
        last: Option<Box<LegOver>>,
    },
    /// An answered leg runs a document.
    Run {
        call: CallSid,
        document: Box<Document>,
        role: Role,
    },
    /// An answered leg runs verbs.
    RunVerbs {
        call: CallSid,
        author: AccountSid,
        verbs: Vec<rcml::Verb>,
    },
    /// A branch has heard its screening document and accepts.
    BranchAccepted(ForkId, CallSid),
    /// A leg that is still ringing is to run a document other than its fork's.
    Redirect {
        fork: ForkId,
        document: Box<Document>,
    },
    /// End a leg.
    Hangup { call: CallSid, reason: Reason },
    /// Join two legs.
    Bridge { bridge: BridgeId, plan: Box<Plan> },
    /// A key that did not come in the media, for the other leg of the bridge.
    PassKey {
        bridge: BridgeId,
        from: CallSid,
        key: char,
    },
    /// A party of a bridge asks to transfer the other one.
    Refer {
        bridge: BridgeId,
        from: CallSid,
        refer: Box<Refer>,
    },
    /// A party asks to transfer the one of another family that it is connected to.
    ReferAway { from: CallSid, refer: Box<Refer> },
    /// A party asks that the one connected to it meet the one of another of its calls.
    ReferAttended {
        from: CallSid,
        refer: Box<Refer>,
        replaces: CallSid,
    },
    /// One leg of a bridge has ended.
    BridgeLegOver(BridgeId, Ended),
    /// Separate the legs of a bridge: one was redirected.
    Dissolve {
        bridge: BridgeId,
        left: CallSid,
        moved: Option<Box<crate::event::Redirect>>,
    },
    /// A bridge ended; sent to each of its legs.
    BridgeOver {
        call: CallSid,
        bridge: BridgeId,
        ended: Ended,
    },
}

pub(crate) struct Context {
    pub(crate) now: Timestamp,
    pub(crate) settings: Arc<Settings>,
    pub(crate) letters: VecDeque<Letter>,
    /// Commands that precede the commit of the facts.
    first: Vec<(Owner, Command)>,
    facts: Vec<Fact>,
    commands: Vec<(Owner, Command)>,
    next_id: u64,
    ids: Ids,
}

impl Context {
    pub(crate) fn new(settings: Arc<Settings>, seed: u64, now: Timestamp) -> Self {
        Self {
            now,
            settings,
            letters: VecDeque::new(),
            first: Vec::new(),
            facts: Vec::new(),
            commands: Vec::new(),
            next_id: 0,
            ids: Ids::new(seed),
        }
    }

    /// The outputs of the step: its facts in one commit first, then the commands in order. Only what the facts depend
    /// on in the shell precedes them.
    pub(crate) fn drain(&mut self, root: CallSid) -> Vec<Addressed> {
        let addressed = |(owner, command): (Owner, Command)| Addressed {
            call: owner.call().unwrap_or(root),
            command,
        };
        let mut out = Vec::with_capacity(self.first.len() + self.commands.len() + 1);
        out.extend(self.first.drain(..).map(addressed));
        if !self.facts.is_empty() {
            let command = Command::Commit(std::mem::take(&mut self.facts));
            out.push(Addressed {
                call: root,
                command,
            });
        }
        out.extend(self.commands.drain(..).map(addressed));
        out
    }

    /// The same for a machine that does not belong to a call.
    pub(crate) fn drain_own(&mut self) -> Vec<Command> {
        let facts = std::mem::take(&mut self.facts);
        let commit = (!facts.is_empty()).then_some(Command::Commit(facts));
        let commands = self.commands.drain(..).map(|(_, command)| command);
        commit.into_iter().chain(commands).collect()
    }

    pub(crate) fn command(&mut self, owner: impl Into<Owner>, command: Command) {
        let owner = owner.into();
        if let Some(entry) = trace::of_command(self.now, owner, &command) {
            self.commands.push((owner, Command::Trace(entry)));
        }
        self.commands.push((owner, command));
    }

    /// A command that is carried out before the facts of the step are committed.
    pub(crate) fn command_first(&mut self, owner: impl Into<Owner>, command: Command) {
        let owner = owner.into();
        if let Some(entry) = trace::of_command(self.now, owner, &command) {
            self.commands.push((owner, Command::Trace(entry)));
        }
        self.first.push((owner, command));
    }

    pub(crate) fn leg(&mut self, call: CallSid, command: LegCommand) {
        self.command(call, Command::Leg(command));
    }

    pub(crate) fn media(&mut self, call: CallSid, command: MediaCommand) {
        self.command(call, Command::Media(command));
    }

    /// Answers an API request; carried out after the facts of the step are committed.
    pub(crate) fn reply(&mut self, call: CallSid, ask: Ask, outcome: Result<Changed, ModifyError>) {
        self.command(call, Command::Reply { ask, outcome });
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    pub(crate) fn letter(&mut self, letter: Letter) {
        self.letters.push_back(letter);
    }

    pub(crate) fn trace(&mut self, owner: impl Into<Owner>, lane: Lane, what: &str, detail: &str) {
        let owner = owner.into();
        let entry = Entry {
            at: self.now,
            owner,
            lane,
            way: Way::Here,
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        self.trace_entry(owner, entry);
    }

    pub(crate) fn trace_entry(&mut self, owner: impl Into<Owner>, entry: Entry) {
        self.commands.push((owner.into(), Command::Trace(entry)));
    }

    /// Notifies the owner of an account of a problem.
    pub(crate) fn notify(&mut self, about: About<'_>, code: u16, text: &str) {
        let level = model::error::entry(code).map_or(Level::Error, |entry| entry.level);
        let notification = Notification {
            sid: NotificationSid::new(self.now, self.ids.bytes()),
            account: about.account,
            lane: about.owner,
            call: about.owner.call(),
            level: level.number(),
            code,
            text: text.to_owned(),
            request_url: about.url.map(redacted),
            request_method: None,
            line: about.line,
            column: about.column,
            created: self.now,
        };
        let detail = match (about.line, about.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: {text}"),
            (Some(line), None) => format!("line {line}: {text}"),
            (None, _) => text.to_owned(),
        };
        self.trace(
            about.owner,
            Lane::Rcml,
            &format!("{} {code}", level.as_str()),
            &detail,
        );
        self.fact(Fact::Notified(notification));
    }

    pub(crate) fn req(&mut self) -> Req {
        Req(self.next())
    }

    pub(crate) fn play_id(&mut self) -> PlayId {
        PlayId(self.next())
    }

    pub(crate) fn fork_id(&mut self) -> ForkId {
        ForkId(self.next())
    }

    pub(crate) fn bridge_id(&mut self) -> BridgeId {
        BridgeId(self.next())
    }

    pub(crate) fn call_sid(&mut self) -> CallSid {
        CallSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn recording_sid(&mut self) -> RecordingSid {
        RecordingSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn stream_sid(&mut self) -> StreamSid {
        StreamSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn transcription_sid(&mut self) -> LiveTranscriptionSid {
        LiveTranscriptionSid::new(self.now, self.ids.bytes())
    }

    /// For a queue without a name or record.
    pub(crate) fn queue_sid(&mut self) -> QueueSid {
        QueueSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn session_sid(&mut self) -> SessionSid {
        SessionSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn message_sid(&mut self) -> MessageSid {
        MessageSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn email_sid(&mut self) -> EmailSid {
        EmailSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn interaction_sid(&mut self) -> InteractionSid {
        InteractionSid::new(self.now, self.ids.bytes())
    }

    pub(crate) fn event_sid(&mut self) -> EventSid {
        self.ids.event(self.now)
    }

    fn next(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// The subject of a notification.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) account: AccountSid,
    /// The call or message that it is about.
    pub(crate) owner: Owner,
    pub(crate) url: Option<&'a str>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}
