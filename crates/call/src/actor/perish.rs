//! Ends a family that cannot continue, because it or one of its jobs panicked.
//!
//! **Invariant: every leg and message still ends exactly once**, with the callbacks that this
//! causes; the machines are not used, since their state is unknown.

use std::path::Path;
use std::time::Duration;

use call_proto::Lane;
use media::EngineControl;
use model::record::Notification;
use model::{CallSid, Lane as Owner, NotificationSid, RecordingSid, error};
use sip::{HeaderList, LegCommand};
use store::{Change, StoreError};
use tracing::{error, warn};

use super::Actor;
use crate::closing;

/// How long the media side may take to close a file, and how often that is checked.
const CLOSES_WITHIN: Duration = Duration::from_secs(5);
const PACE: Duration = Duration::from_millis(50);

impl Actor {
    pub(super) async fn perish(mut self, panic: &str) {
        error!(call.sid = %self.root, panic, "a call panicked; all its legs are ended");
        for leg in self.legs.values() {
            let headers = HeaderList::new();
            self.shared
                .parts
                .sip
                .send(leg.leg, LegCommand::Bye { headers });
            self.shared.parts.sip.forget(leg.leg);
        }
        for call in self.legs.keys() {
            self.shared.live.remove(*call);
        }
        // Closes the files of recordings.
        for leg in self.legs.values() {
            let endpoint = leg.endpoint;
            self.session.control(EngineControl::Close { endpoint });
        }
        self.leave_meetings();
        self.note(self.root, Lane::Fact, "internal failure", panic);
        if let Err(error) = self.end_all().await {
            error!(%error, "records stay open until the next start");
        }
        self.books.close(self.root.into(), Vec::new()).await;
    }

    async fn end_all(&mut self) -> Result<(), StoreError> {
        let store = self.shared.parts.store.clone();
        let calls: Vec<CallSid> = self.legs.keys().copied().collect();
        let lanes: Vec<Owner> = calls.iter().copied().map(Owner::from).collect();
        let now = self.clock.now();
        for message in store.abandoned_messages(&lanes, now).await? {
            let ending = closing::message(&store, &message).await?;
            self.books.write(ending, self.root.into()).await;
        }
        for orphan in store.abandoned_calls(&calls, now).await? {
            let mut group = closing::leg(&store, &orphan, now).await?;
            let (sid, leg) = (NotificationSid::new(now, rand::random()), &orphan.record);
            let text = "an internal failure of the server ended the call".to_owned();
            group.push(Change::Notification(Box::new(Notification {
                lane: leg.sid.into(),
                call: Some(leg.sid),
                ..Notification::of_account(sid, leg.account, error::INTERNAL, text, now)
            })));
            self.books.write(group, self.root.into()).await;
        }
        let folder = self.shared.config.recordings.clone();
        for orphan in store.abandoned_recordings(&calls).await? {
            let sid = orphan.started.sid;
            let Some(file) = closed_file(&folder, sid).await else {
                warn!(recording.sid = %sid, "a recording stays open until the next start");
                continue;
            };
            let ending = closing::recording(&store, &orphan, Some(file), self.clock.now()).await?;
            self.books.write(ending, self.root.into()).await;
        }
        Ok(())
    }
}

/// The length in milliseconds and the size of a recording, once the media side has closed its
/// file; `None` if that takes too long. An empty one is removed there.
async fn closed_file(folder: &Path, sid: RecordingSid) -> Option<(i64, i64)> {
    let (whole, part) = (format!("{sid}.wav"), format!("{sid}.wav.part"));
    for _ in 0..CLOSES_WITHIN.as_millis() / PACE.as_millis() {
        // Renaming it is the last step, so what is there afterwards is whole.
        if matches!(tokio::fs::try_exists(folder.join(&part)).await, Ok(false)) {
            let Ok(metadata) = tokio::fs::metadata(folder.join(&whole)).await else {
                return Some((0, 0));
            };
            let size = metadata.len();
            let length = audio::wav::recorded_ms(size);
            return Some((i64::try_from(length).ok()?, i64::try_from(size).ok()?));
        }
        tokio::time::sleep(PACE).await;
    }
    None
}
