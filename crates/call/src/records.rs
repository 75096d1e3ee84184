//! Writes facts to the store, and holds them while it cannot be written.
//!
//! The commits of a family or a message are written immediately. While the disk rejects writes,
//! facts about recorded lanes wait here, in the order of their family, and are written as soon as
//! it works again; their callbacks are delivered then. A leg or message not yet recorded is refused
//! instead: nothing has left the server yet. **Invariant: a fact of a recorded lane is written or
//! still waits here as long as the process lives; callbacks leave only for facts that the store has
//! applied.** Left to others: the crash repair of the next start closes lanes whose facts were
//! waiting when the process died.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::census::Census;
use model::record::Callback;
use model::{
    CallSid, CallStatus, Direction, Lane, MessageDirection, MessageSid, MessageStatus, Timestamp,
};
use store::{Change, Committed, Store, StoreError};
use tokio::sync::mpsc;
use tracing::{error, info};

/// Pause before facts are retried; it doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Stores facts.
#[async_trait]
pub(crate) trait Ledger: Send + Sync + 'static {
    /// Stores the facts together; `again` if an attempt failed before.
    async fn keep(&self, changes: Vec<Change>, again: bool) -> Result<Committed, StoreError>;
}

#[async_trait]
impl Ledger for Store {
    async fn keep(&self, changes: Vec<Change>, again: bool) -> Result<Committed, StoreError> {
        if again {
            self.commit_again(changes).await
        } else if changes.iter().all(can_wait) {
            self.commit_shared(changes).await
        } else {
            self.commit(changes).await
        }
    }
}

/// Whether no caller waits for this to be stored: the leg has ended, or only a callback waits.
fn can_wait(change: &Change) -> bool {
    matches!(
        change,
        Change::CallEnded { .. }
            | Change::CallMedia { .. }
            | Change::ConferenceEnded { .. }
            | Change::ConferenceClosed(_)
            | Change::MessageEnded { .. }
            | Change::Recording(_)
            | Change::RecordingClosed { .. }
            | Change::RecordingReported { .. }
            | Change::CallbackQueued(_)
            | Change::Trace { .. }
    )
}

/// Receives callbacks whose facts are stored.
pub(crate) type Deliver = Arc<dyn Fn(Callback) + Send + Sync>;

/// Facts of all families that wait for the disk.
pub(crate) struct Records {
    ledger: Arc<dyn Ledger>,
    deliver: Deliver,
    late: mpsc::UnboundedSender<Late>,
    waiting: Arc<AtomicUsize>,
    census: Mutex<Census>,
}

/// One waiting commit.
struct Late {
    changes: Vec<Change>,
    family: Arc<AtomicUsize>,
}

/// The outcome of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is stored.
    Now,
    /// It is stored, but another server has ended these lanes on record.
    Lost(BTreeSet<Lane>),
    /// It will be stored, except for these lanes, which must be refused.
    Late(BTreeSet<Lane>),
    /// It will never be stored; these lanes must be refused.
    Never(BTreeSet<Lane>),
}

/// Writes the commits of one family, or of one message.
pub(crate) struct Pen {
    records: Arc<Records>,
    /// Waiting commits of this family: later ones must wait behind them.
    late: Arc<AtomicUsize>,
    /// Refused lanes: nothing about them is stored.
    refused: BTreeSet<Lane>,
}

impl Records {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, deliver: Deliver) -> Arc<Self> {
        let (late, inbox) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (kept_by, told_by) = (Arc::clone(&ledger), Arc::clone(&deliver));
        tokio::spawn(write_late(kept_by, told_by, inbox, Arc::clone(&waiting)));
        Arc::new(Self {
            ledger,
            deliver,
            late,
            waiting,
            census: Mutex::default(),
        })
    }

    /// What was recorded since the start.
    pub(crate) fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits waiting for the disk.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    pub(crate) fn pen(self: &Arc<Self>) -> Pen {
        Pen {
            records: Arc::clone(self),
            late: Arc::default(),
            refused: BTreeSet::new(),
        }
    }
}

impl Pen {
    /// Stores facts, now or later.
    pub(crate) async fn write(&mut self, mut changes: Vec<Change>) -> Kept {
        changes.retain(|change| lane_of(change).is_none_or(|lane| !self.refused.contains(&lane)));
        if changes.is_empty() {
            return Kept::Now;
        }
        let countable: Vec<Countable> = changes.iter().filter_map(Countable::of).collect();
        let kept = self.keep(changes).await;
        if !countable.is_empty() {
            let mut census = self.records.census();
            for one in countable {
                if !self.refused.contains(&one.lane()) {
                    one.count(&mut census);
                }
            }
        }
        kept
    }

    async fn keep(&mut self, changes: Vec<Change>) -> Kept {
        if self.waits() {
            return Kept::Late(self.wait(changes));
        }
        let records = &self.records;
        match records.ledger.keep(changes.clone(), false).await {
            Ok(committed) => {
                deliver(&records.deliver, changes, &committed);
                match committed.lost() {
                    none if none.is_empty() => Kept::Now,
                    lost => Kept::Lost(lost.clone()),
                }
            }
            Err(StoreError::Unavailable(reason)) => {
                if records.waiting() == 0 {
                    error!(
                        reason,
                        "records cannot be written: new calls are refused, records of live calls wait"
                    );
                }
                Kept::Late(self.wait(changes))
            }
            Err(error) => {
                error!(%error, "the store refused records of a call");
                Kept::Never(self.refuse(&changes))
            }
        }
    }

    /// Whether facts from this writer wait for the disk.
    pub(crate) fn waits(&self) -> bool {
        self.late.load(Ordering::Acquire) > 0
    }

    /// Makes the facts of recorded lanes wait, and returns the other lanes.
    fn wait(&mut self, mut changes: Vec<Change>) -> BTreeSet<Lane> {
        let refused = self.refuse(&changes);
        changes.retain(|change| lane_of(change).is_none_or(|lane| !refused.contains(&lane)));
        if !changes.is_empty() {
            let family = Arc::clone(&self.late);
            family.fetch_add(1, Ordering::AcqRel);
            self.records.waiting.fetch_add(1, Ordering::AcqRel);
            // The receiving end lives as long as `records`.
            let _ = self.records.late.send(Late { changes, family });
        }
        refused
    }

    fn refuse(&mut self, changes: &[Change]) -> BTreeSet<Lane> {
        let refused: BTreeSet<Lane> = changes
            .iter()
            .filter_map(|change| match change {
                Change::CallCreated(record) => Some(record.sid.into()),
                Change::ConferenceCreated(record) => Some(record.sid.into()),
                Change::MessageCreated { message, .. } if message.call.is_none() => {
                    Some(message.sid.into())
                }
                _ => None,
            })
            .collect();
        self.refused.extend(&refused);
        refused
    }
}

/// Writes the waiting commits, one after the other, until each is stored.
async fn write_late(
    ledger: Arc<dyn Ledger>,
    deliver_to: Deliver,
    mut inbox: mpsc::UnboundedReceiver<Late>,
    waiting: Arc<AtomicUsize>,
) {
    let mut queue = VecDeque::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let late: Late = match queue.pop_front() {
            Some(late) => late,
            None => match inbox.recv().await {
                Some(late) => late,
                None => return,
            },
        };
        match ledger.keep(late.changes.clone(), true).await {
            Ok(committed) => deliver(&deliver_to, late.changes, &committed),
            Err(StoreError::Unavailable(_)) => {
                queue.push_front(late);
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
                continue;
            }
            Err(error) => error!(%error, "the store refused waiting records of a call"),
        }
        pause = FIRST_PAUSE;
        late.family.fetch_sub(1, Ordering::AcqRel);
        if waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            info!("records are written again; nothing waits");
        }
    }
}

/// Passes on the callbacks that the store kept; it drops those of an end that another server wrote.
fn deliver(to: &Deliver, changes: Vec<Change>, committed: &Committed) {
    for (at, change) in changes.into_iter().enumerate() {
        if let Change::CallbackQueued(callback) = change
            && committed.applied(at)
        {
            to(*callback);
        }
    }
}

/// What a change adds to the counters.
enum Countable {
    Started(CallSid, Direction),
    Ended(CallSid, CallStatus, Option<i64>, Timestamp),
    Message(Lane, MessageDirection),
}

impl Countable {
    fn of(change: &Change) -> Option<Self> {
        match change {
            Change::CallCreated(record) => Some(Self::Started(record.sid, record.direction)),
            Change::CallEnded {
                sid,
                status,
                at,
                duration_s,
                ..
            } => Some(Self::Ended(*sid, *status, *duration_s, *at)),
            // A leg of this process whose family failed.
            Change::OrphanClosed(record) => {
                let at = record.ended.unwrap_or(record.updated);
                Some(Self::Ended(
                    record.sid,
                    record.status,
                    record.duration_s,
                    at,
                ))
            }
            Change::MessageCreated { message, .. }
                if message.status == MessageStatus::Scheduled =>
            {
                None
            }
            Change::MessageCreated { message, .. } | Change::MessageReleased { message, .. } => {
                Some(Self::Message(message.lane(), message.direction))
            }
            _ => None,
        }
    }

    fn lane(&self) -> Lane {
        match self {
            Self::Started(call, _) | Self::Ended(call, ..) => (*call).into(),
            Self::Message(lane, _) => *lane,
        }
    }

    fn count(self, census: &mut Census) {
        match self {
            Self::Started(call, direction) => census.started(call, direction),
            Self::Ended(call, status, duration_s, at) => {
                census.ended(call, status, duration_s, at);
            }
            Self::Message(_, direction) => census.message(direction),
        }
    }
}

/// The lane that must be recorded before a fact; `None` if there is none.
fn lane_of(change: &Change) -> Option<Lane> {
    match change {
        Change::CallCreated(record) | Change::OrphanClosed(record) => Some(record.sid.into()),
        Change::CallRinging { sid, .. }
        | Change::CallAnswered { sid, .. }
        | Change::CallFarewell { sid, .. }
        | Change::CallMedia { sid, .. }
        | Change::CallEnded { sid, .. } => Some((*sid).into()),
        Change::CallUpdated(update) => Some(update.sid.into()),
        Change::Recording(recording) => Some(recording.lane()),
        Change::RecordingStarted { started, .. } => Some(started.lane()),
        Change::CallbackQueued(callback) => Some(callback.lane),
        Change::MessageCreated { message, .. }
        | Change::MessageEnded { message, .. }
        | Change::MessageReleased { message, .. }
        | Change::MessageMoved { message, .. } => Some(message.lane()),
        Change::MessagePlanned { sid, .. } | Change::MessageUnsent { sid, .. } => {
            Some((*sid).into())
        }
        Change::EmailQueued(email) => Some(email.lane()),
        Change::Trace { lane, .. } => Some(*lane),
        Change::ConferenceJoined { call, .. }
        | Change::ConferenceLeft { call, .. }
        | Change::QueueEntered { call, .. }
        | Change::QueueLeft { call, .. } => Some((*call).into()),
        Change::TextClaimed { sid, .. } => Some((*sid).into()),
        Change::ConferenceCreated(record) | Change::ConferenceClosed(record) => {
            Some(record.sid.into())
        }
        Change::ConferenceStarted { sid, .. }
        | Change::ConferenceFarewell { sid, .. }
        | Change::ConferenceEnded { sid, .. } => Some((*sid).into()),
        Change::MessagePart { part, .. } | Change::MessagePartDone { part, .. } => {
            Some(part.message.into())
        }
        // The opt-out has the identifier of the text that began it.
        Change::OptedOut(opt_out) => Some(MessageSid::from_bytes(*opt_out.sid.as_bytes()).into()),
        Change::Interacted(interaction) => interaction.inbound.parse().ok(),
        Change::Notification(_)
        | Change::OptedIn(_)
        | Change::InteractionSent { .. }
        | Change::EmailEnded { .. }
        | Change::RecordingChanged { .. }
        | Change::Transcription(_)
        | Change::RecordingClosed { .. }
        | Change::RecordingReported { .. }
        | Change::CallbackDone { .. }
        | Change::CallbackRetry { .. }
        | Change::CallbacksReplayed { .. }
        | Change::CallbackClaimed { .. }
        | Change::Registered { .. }
        | Change::RegistrationsAdopted { .. }
        | Change::Refused(_)
        | Change::Alive { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use model::{EventSid, HttpMethod};
    use store::SecretKey;

    use super::*;

    /// A store whose disk is full for a while.
    struct Disk {
        store: Store,
        full: AtomicBool,
        /// Whether what had to wait still does, although the disk has room again.
        holds_late: AtomicBool,
    }

    #[async_trait]
    impl Ledger for Disk {
        async fn keep(&self, changes: Vec<Change>, again: bool) -> Result<Committed, StoreError> {
            let held = again && self.holds_late.load(Ordering::SeqCst);
            if held || self.full.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("full".to_owned()));
            }
            self.store.keep(changes, again).await
        }
    }

    struct Scene {
        disk: Arc<Disk>,
        records: Arc<Records>,
        told: Arc<Mutex<Vec<EventSid>>>,
        _dir: tempfile::TempDir,
    }

    impl Scene {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let url = format!("sqlite:{}", dir.path().join("p.db").display());
            let store = Store::open(&url, SecretKey::random()).await;
            let disk = Arc::new(Disk {
                store: store.expect("a database"),
                full: AtomicBool::new(false),
                holds_late: AtomicBool::new(false),
            });
            let told = Arc::new(Mutex::new(Vec::new()));
            let deliver: Deliver = {
                let told = Arc::clone(&told);
                Arc::new(move |callback| told.lock().expect("no panic").push(callback.event))
            };
            let ledger: Arc<dyn Ledger> = disk.clone();
            Self {
                records: Records::new(ledger, deliver),
                disk,
                told,
                _dir: dir,
            }
        }

        fn told(&self) -> usize {
            self.told.lock().expect("no panic").len()
        }

        async fn status(&self, n: u8) -> Option<CallStatus> {
            let found = self.disk.store.call(sid(n)).await.expect("a readable call");
            found.map(|record| record.status)
        }

        async fn written(&self) {
            while self.records.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn sid(n: u8) -> CallSid {
        CallSid::from_bytes([n; 16])
    }

    fn created(n: u8, instance: model::InstanceSid) -> Change {
        let account = model::AccountSid::from_bytes([1; 16]);
        Change::CallCreated(Box::new(model::record::CallRecord {
            status: CallStatus::Ringing,
            direction: model::Direction::Inbound,
            ..testkit::records::call(sid(n), instance, account, Timestamp(1))
        }))
    }

    fn answered(n: u8) -> Change {
        Change::CallAnswered {
            sid: sid(n),
            at: Timestamp(2),
            answered_by: None,
            sip_call_id: None,
            ring_duration_s: None,
            dialog: None,
        }
    }

    /// An end and its callback.
    fn ended(n: u8) -> Vec<Change> {
        let end = Change::CallEnded {
            sid: sid(n),
            status: CallStatus::Completed,
            at: Timestamp(3),
            duration_s: Some(0),
            ring_duration_s: None,
            reason: None,
            hangup_by: None,
            sip_status: None,
            sip_reason: None,
        };
        let callback = Callback {
            event: EventSid::from_bytes([n; 16]),
            account: model::AccountSid::from_bytes([1; 16]),
            author: model::AccountSid::from_bytes([1; 16]),
            lane: sid(n).into(),
            call: Some(sid(n)),
            sequence: 0,
            url: "http://app/".to_owned(),
            method: HttpMethod::Post,
            params: Vec::new(),
            created: Timestamp(3),
        };
        vec![end, Change::CallbackQueued(Box::new(callback))]
    }

    /// Case 184 of the REST API: a call of the API, and the one that its document dials.
    #[tokio::test]
    async fn a_call_and_the_one_that_it_dials_are_counted() {
        use model::Direction::{OutboundApi, OutboundDial};
        let scene = Scene::new().await;
        let leg = |n, direction| match created(n, scene.disk.store.instance()) {
            Change::CallCreated(mut record) => {
                record.direction = direction;
                Change::CallCreated(record)
            }
            other => other,
        };
        let mut pen = scene.records.pen();
        pen.write(vec![leg(1, OutboundApi)]).await;
        pen.write(vec![leg(2, OutboundDial)]).await;
        let figures = |records: &Records| records.census().figures(Timestamp(3));
        assert_eq!(figures(&scene.records).live.outbound, 2);
        pen.write(ended(2)).await;
        pen.write(ended(1)).await;
        // While the disk is full, a new leg is refused, and the end of one on record waits.
        pen.write(vec![leg(3, OutboundApi)]).await;
        scene.disk.full.store(true, Ordering::SeqCst);
        pen.write(vec![leg(4, OutboundApi)]).await;
        pen.write(ended(3)).await;
        let figures = figures(&scene.records);
        assert_eq!((figures.peak_total, figures.peak.outbound), (2, 2));
        assert_eq!((figures.peak.inbound, figures.live.total()), (0, 0));
        assert_eq!((figures.started.total(), figures.endings.completed), (3, 3));
    }

    #[tokio::test]
    async fn facts_of_recorded_legs_wait_for_the_disk_in_order() {
        let scene = Scene::new().await;
        let instance = scene.disk.store.instance();
        let mut pen = scene.records.pen();
        assert_eq!(pen.write(vec![created(1, instance)]).await, Kept::Now);
        scene.disk.full.store(true, Ordering::SeqCst);
        let none = BTreeSet::new();
        assert_eq!(pen.write(vec![answered(1)]).await, Kept::Late(none.clone()));
        // The disk works again, but the answer is not yet stored: the end waits behind it.
        scene.disk.holds_late.store(true, Ordering::SeqCst);
        scene.disk.full.store(false, Ordering::SeqCst);
        assert_eq!(pen.write(ended(1)).await, Kept::Late(none));
        scene.disk.holds_late.store(false, Ordering::SeqCst);
        scene.written().await;
        assert_eq!(scene.status(1).await, Some(CallStatus::Completed));
        assert_eq!(scene.told(), 1);
        let record = scene.disk.store.call(sid(1)).await.expect("readable");
        assert_eq!(
            record.and_then(|record| record.answered),
            Some(Timestamp(2))
        );
    }

    #[tokio::test]
    async fn a_leg_that_is_not_on_record_is_refused_for_good() {
        let scene = Scene::new().await;
        let instance = scene.disk.store.instance();
        let mut pen = scene.records.pen();
        scene.disk.full.store(true, Ordering::SeqCst);
        let kept = pen.write(vec![created(1, instance)]).await;
        assert_eq!(kept, Kept::Late(BTreeSet::from([sid(1).into()])));
        assert_eq!(scene.records.waiting(), 0, "nothing of it waits");
        scene.disk.full.store(false, Ordering::SeqCst);
        assert_eq!(pen.write(ended(1)).await, Kept::Now);
        assert_eq!((scene.status(1).await, scene.told()), (None, 0));
    }

    #[tokio::test]
    async fn a_conference_that_is_not_on_record_is_refused_for_good() {
        let scene = Scene::new().await;
        let mut pen = scene.records.pen();
        let conference = model::ConferenceSid::from_bytes([1; 16]);
        let created = Change::ConferenceCreated(Box::new(model::record::Conference {
            sid: conference,
            instance: scene.disk.store.instance(),
            account: model::AccountSid::from_bytes([1; 16]),
            name: "standup".to_owned(),
            status: model::ConferenceStatus::Waiting,
            created: Timestamp(1),
            updated: Timestamp(1),
            started: None,
            ended: None,
            reason: None,
        }));
        let started = Change::ConferenceStarted {
            sid: conference,
            at: Timestamp(1),
        };
        scene.disk.full.store(true, Ordering::SeqCst);
        let kept = pen.write(vec![created, started]).await;
        assert_eq!(kept, Kept::Late(BTreeSet::from([conference.into()])));
        assert_eq!(scene.records.waiting(), 0, "nothing of it waits");
        scene.disk.full.store(false, Ordering::SeqCst);
        let found = scene.disk.store.conference(conference).await;
        assert_eq!(found.expect("readable"), None);
    }

    /// Another server closed the leg while it was ringing here.
    #[tokio::test]
    async fn a_leg_that_another_server_has_ended_is_lost() {
        let scene = Scene::new().await;
        let instance = scene.disk.store.instance();
        let mut pen = scene.records.pen();
        pen.write(vec![created(1, instance)]).await;
        let orphan = Change::OrphanClosed(Box::new(model::record::CallRecord {
            status: CallStatus::Failed,
            ended: Some(Timestamp(2)),
            reason: Some("node-lost".to_owned()),
            ..scene
                .disk
                .store
                .call(sid(1))
                .await
                .expect("readable")
                .expect("a call")
        }));
        scene
            .disk
            .store
            .commit(vec![orphan])
            .await
            .expect("written");
        let mut changes = vec![answered(1)];
        changes.extend(ended(1).split_off(1));
        let lost = BTreeSet::from([sid(1).into()]);
        assert_eq!(pen.write(changes).await, Kept::Lost(lost));
        assert_eq!(scene.told(), 0);
    }

    /// Another server closed the leg, and had to send its callbacks.
    #[tokio::test]
    async fn callbacks_that_the_store_left_out_are_not_delivered() {
        let scene = Scene::new().await;
        let mut pen = scene.records.pen();
        let elsewhere = model::InstanceSid::from_bytes([9; 16]);
        pen.write(vec![created(1, elsewhere)]).await;
        pen.write(ended(1)).await;
        assert_eq!(scene.told(), 0);
        let instance = scene.disk.store.instance();
        pen.write(vec![created(2, instance)]).await;
        pen.write(ended(2)).await;
        assert_eq!(scene.told(), 1);
    }
}
