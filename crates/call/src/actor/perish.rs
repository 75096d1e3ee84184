//! Ends a family that cannot continue, because it or one of its jobs panicked.
//!
//! **Invariant: every leg and message still ends exactly once**, with the callbacks that this
//! causes; the machines are not used, since their state is unknown.

use call_proto::Lane;
use media::EngineControl;
use model::record::Notification;
use model::{CallSid, Lane as Owner, NotificationSid, error};
use sip::{HeaderList, LegCommand};
use store::{Change, StoreError};
use tracing::error;

use super::Actor;
use crate::closing;

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
        for orphan in store.abandoned_recordings(&lanes).await? {
            let closed = closing::abandoned_recording(&store, &folder, &orphan, self.clock).await?;
            if let Some(changes) = closed {
                self.books.write(changes, self.root.into()).await;
            }
        }
        Ok(())
    }
}
