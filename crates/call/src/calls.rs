//! The API's requests about calls: create one, change one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use call_proto::journal::Recorder;
use call_proto::routing::Place;
use call_proto::{
    Changed, CreateError, Event, Modify, ModifyError, NewCall, OutboundApi, RecordingChange,
};
use model::profile::Traffic;
use model::record::CallRecord;
use model::{CallSid, ConferenceSid};
use store::StoreError;
use tokio::sync::oneshot;
use tracing::warn;

use crate::actor::{self, Start};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::resolve::{self, Peers};

impl Engine {
    /// Creates a call: one leg for each phone of a client. Returns the records of the legs as they
    /// were committed.
    ///
    /// # Errors
    /// [`CreateError`] if the callee cannot be reached or no call may be created now.
    pub async fn create(&self, new: NewCall) -> Result<Vec<CallRecord>, CreateError> {
        let shared = &self.shared;
        let mut peers = Peers::new();
        let routes = resolve::resolve(
            shared,
            (&new.target, Place::Parameter),
            resolve::By {
                author: new.account,
                account: new.account,
                traffic: Traffic::OutboundCalls,
            },
            &mut peers,
        )
        .await
        .map_err(|error| {
            warn!(%error, "the callee of a call through the API cannot be looked up");
            CreateError::Store
        })?
        .map_err(CreateError::Unreachable)?;
        if !shared.live.enter(shared.config.max_calls) {
            return Err(CreateError::Busy);
        }
        shared.started.fetch_add(1, Ordering::Relaxed);
        let outbound = OutboundApi {
            account: new.account,
            from: new.from,
            target: new.target,
            routes,
            headers: new.headers,
            credentials: new.credentials,
            planned: new.planned,
            send_digits: new.send_digits,
            detection: new.detection,
            callback: new.callback,
            recording: new.recording,
            timeout: new.timeout,
            time_limit: new.time_limit,
            legs: new.legs,
            dialect: new.dialect,
        };
        let settings = Arc::clone(&shared.settings);
        let clock = Clock::start();
        let (family, legs) =
            Recorder::outbound_api(settings, outbound, rand::random(), clock.now());
        let root = legs.first().copied().ok_or(CreateError::Store)?;
        let (committed, done) = oneshot::channel();
        actor::spawn(
            Arc::clone(shared),
            Start {
                dialog: None,
                family,
                clock,
                inbound: None,
                place: None,
                peers,
                root,
                committed: Some(committed),
            },
        );
        let records = done.await.map_err(|_| CreateError::Store)?;
        if records.len() == legs.len() {
            Ok(records)
        } else {
            Err(CreateError::Store)
        }
    }

    /// Changes a live call. Returns once the change is made and stored.
    ///
    /// # Errors
    /// [`ModifyError`] if it was not made, or if the outcome is not known in time.
    pub async fn modify(&self, call: CallSid, modify: Modify) -> Result<Changed, ModifyError> {
        self.shared.live.ask(call, modify).await
    }

    /// Ends a conference of this server for all its members. Returns once its end is recorded; false
    /// if it is not open here, or did not end in time.
    pub async fn end_conference(&self, conference: ConferenceSid) -> bool {
        self.shared.rooms.end(conference).await
    }

    /// Changes the recording of a conference of this server. Returns once the change is made and stored.
    ///
    /// # Errors
    /// [`ModifyError`] if it was not made, or if the outcome is not known in time.
    pub async fn change_conference_recording(
        &self,
        conference: ConferenceSid,
        change: RecordingChange,
    ) -> Result<Changed, ModifyError> {
        self.shared.rooms.change_recording(conference, change).await
    }

    /// Hangs up the live calls that another server has closed on record, because it took this one for dead.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn end_lost_calls(&self) -> Result<(), StoreError> {
        let live = &self.shared.live;
        for call in self
            .shared
            .parts
            .store
            .ended_elsewhere(&live.calls())
            .await?
        {
            warn!(call.sid = %call, "another server has closed this call on record; it is hung up");
            live.tell(call, Event::EndedElsewhere);
        }
        Ok(())
    }

    /// The trace and the journal of a live call so far, as they will be stored; `None` if it is not live here.
    pub async fn trace(&self, call: CallSid) -> Option<Vec<u8>> {
        self.shared.live.trace(call).await
    }
}
