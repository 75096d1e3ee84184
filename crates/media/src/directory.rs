//! Which worker an endpoint is on, and how controls find it.
//!
//! Endpoints that meet must be on one worker: the one that joins moves to the worker of the other, a
//! member to that of its mix, which is the worker of the first member, or of its recording. All messages are sent under
//! one lock, so every worker gets them in the order of the requests to the plane. **Invariant: a
//! control goes to the worker where its endpoints are or will be once the messages before it are
//! carried out.** Packets never come here. Left to others: waiting for an endpoint that is on its
//! way (`arrivals`).

use crate::arrivals::Work;
use crate::control::Control;
use crate::plane::{Reports, Way};
use crate::worker::Message;
use media_proto::{EndpointId, MixId, RecordingId, Report, Subject};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle that opens endpoints; they close with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(crate) u64);

/// Index of a worker.
pub(crate) type WorkerId = usize;

/// Shared by all handles and workers.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) ways: Arc<[Way]>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    endpoints: HashMap<EndpointId, Place>,
    sessions: HashMap<SessionId, Vec<EndpointId>>,
    mixes: HashMap<MixId, Members>,
    /// The recordings of mixes, each counted as a member.
    recordings: HashMap<RecordingId, (MixId, SessionId)>,
}

/// Where an endpoint is, or will be.
#[derive(Debug, Clone, Copy)]
struct Place {
    worker: WorkerId,
    session: SessionId,
    /// The mix it is a member of.
    mix: Option<MixId>,
}

#[derive(Debug)]
struct Members {
    worker: WorkerId,
    count: usize,
}

/// The session that makes a request.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) session: SessionId,
    /// The worker on which its endpoints are opened.
    pub(crate) home: WorkerId,
    pub(crate) reports: Reports,
}

impl Directory {
    pub(crate) fn new(ways: Arc<[Way]>) -> Self {
        Self {
            ways,
            places: Mutex::default(),
        }
    }

    /// Hands a control to the worker responsible for it.
    pub(crate) fn send(&self, asker: &Asker, control: Control) {
        let mut places = self.lock();
        let worker = match &control {
            Control::Open { endpoint, .. } => {
                if !places.open(*endpoint, asker) {
                    let reason = "the endpoint exists already".to_owned();
                    let status = 500;
                    // The asker may be ending.
                    let _ = asker
                        .reports
                        .send((*endpoint, Report::Refused { status, reason }));
                    return;
                }
                asker.home
            }
            Control::Record { endpoint, .. }
            | Control::Listen { endpoint, .. }
            | Control::Tap { endpoint, .. } => places.worker(*endpoint, asker.home),
            Control::RecordMix { recording, mix, .. } => places.record(*recording, *mix, asker),
            Control::Engine(engine) => match engine.subject() {
                Subject::Both(a, b) => {
                    places.leave(a);
                    places.leave(b);
                    self.gather(&mut places, &[b, a], asker.home)
                }
                Subject::Member(endpoint, mix) => match places.join(endpoint, mix) {
                    Some(worker) => self.bring(&mut places, endpoint, worker),
                    None => asker.home,
                },
                Subject::Endpoint(endpoint) => {
                    let worker = places.worker(endpoint, asker.home);
                    match engine {
                        media_proto::Control::Leave { .. } => places.leave(endpoint),
                        media_proto::Control::Close { .. } => places.remove(endpoint),
                        _ => {}
                    }
                    worker
                }
                Subject::Recording(recording) => {
                    if matches!(engine, media_proto::Control::StopRecord { .. }) {
                        places.end_recording(recording);
                    }
                    // Only the workers know where its leg has taken it; those that do not have it ignore this.
                    for worker in 0..self.ways.len() {
                        let asked = Work::Control(control.clone(), asker.reports.clone());
                        self.tell(worker, Message::Work(asked));
                    }
                    return;
                }
            },
        };
        let can_wait = control.can_wait();
        let asked = Message::Work(Work::Control(control, asker.reports.clone()));
        match self.ways.get(worker) {
            // It may have been asked to stop.
            Some(way) if can_wait => drop(way.leave(asked)),
            _ => self.tell(worker, asked),
        }
    }

    /// Closes all endpoints of a session.
    pub(crate) fn end(&self, asker: &Asker) {
        let (endpoints, recordings) = self.lock().end(asker.session);
        for recording in recordings {
            self.send(asker, media_proto::Control::StopRecord { recording }.into());
        }
        for endpoint in endpoints {
            self.send(asker, media_proto::Control::Close { endpoint }.into());
        }
    }

    /// Forgets an endpoint that was not opened, or was lost.
    pub(crate) fn forget(&self, endpoint: EndpointId) {
        self.lock().remove(endpoint);
    }

    /// Hands a message to a worker; one that was asked to stop accepts no more.
    pub(crate) fn tell(&self, worker: WorkerId, message: Message) {
        if let Some(way) = self.ways.get(worker) {
            let _ = way.send(message);
        }
    }

    /// Moves endpoints to the worker of the first one that exists.
    fn gather(
        &self,
        places: &mut Places,
        endpoints: &[EndpointId],
        otherwise: WorkerId,
    ) -> WorkerId {
        let first = endpoints
            .iter()
            .find_map(|endpoint| places.endpoints.get(endpoint));
        let Some(worker) = first.map(|place| place.worker) else {
            return otherwise;
        };
        for endpoint in endpoints {
            if places.worker(*endpoint, worker) != worker {
                places.leave(*endpoint);
                self.bring(places, *endpoint, worker);
            }
        }
        worker
    }

    /// Moves an endpoint if it is elsewhere.
    fn bring(&self, places: &mut Places, endpoint: EndpointId, to: WorkerId) -> WorkerId {
        if let Some(place) = places.endpoints.get_mut(&endpoint)
            && place.worker != to
        {
            let from = std::mem::replace(&mut place.worker, to);
            self.tell(to, Message::Expect(endpoint));
            self.tell(from, Message::Work(Work::Move { endpoint, to }));
        }
        to
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn worker(&self, endpoint: EndpointId, otherwise: WorkerId) -> WorkerId {
        let place = self.endpoints.get(&endpoint);
        place.map_or(otherwise, |place| place.worker)
    }

    /// Adds an endpoint; false if the name is taken.
    fn open(&mut self, endpoint: EndpointId, asker: &Asker) -> bool {
        if self.endpoints.contains_key(&endpoint) {
            return false;
        }
        self.endpoints.insert(
            endpoint,
            Place {
                worker: asker.home,
                session: asker.session,
                mix: None,
            },
        );
        self.sessions
            .entry(asker.session)
            .or_default()
            .push(endpoint);
        true
    }

    fn remove(&mut self, endpoint: EndpointId) {
        self.leave(endpoint);
        let Some(place) = self.endpoints.remove(&endpoint) else {
            return;
        };
        if let Some(endpoints) = self.sessions.get_mut(&place.session) {
            endpoints.retain(|other| *other != endpoint);
            if endpoints.is_empty() {
                self.sessions.remove(&place.session);
            }
        }
    }

    /// Makes an endpoint a member; returns the worker of the mix, or `None` if the endpoint does
    /// not exist.
    fn join(&mut self, endpoint: EndpointId, mix: MixId) -> Option<WorkerId> {
        let place = *self.endpoints.get(&endpoint)?;
        if place.mix != Some(mix) {
            self.leave(endpoint);
            self.endpoints.get_mut(&endpoint)?.mix = Some(mix);
            let opened = Members {
                worker: place.worker,
                count: 0,
            };
            self.mixes.entry(mix).or_insert(opened).count += 1;
        }
        self.mixes.get(&mix).map(|members| members.worker)
    }

    /// A mix is recorded from now on; returns its worker.
    fn record(&mut self, recording: RecordingId, mix: MixId, asker: &Asker) -> WorkerId {
        let opened = Members {
            worker: asker.home,
            count: 0,
        };
        let members = self.mixes.entry(mix).or_insert(opened);
        if let Entry::Vacant(entry) = self.recordings.entry(recording) {
            entry.insert((mix, asker.session));
            members.count += 1;
        }
        members.worker
    }

    fn end_recording(&mut self, recording: RecordingId) {
        if let Some((mix, _)) = self.recordings.remove(&recording) {
            self.one_less(mix);
        }
    }

    /// A session ends: returns its endpoints and its recordings of mixes.
    fn end(&mut self, session: SessionId) -> (Vec<EndpointId>, Vec<RecordingId>) {
        let endpoints = self.sessions.remove(&session).unwrap_or_default();
        let recordings = self.recordings.iter();
        let its = recordings.filter(|(_, (_, of))| *of == session);
        (endpoints, its.map(|(recording, _)| *recording).collect())
    }

    /// Records that an endpoint is no longer a member of a mix.
    fn leave(&mut self, endpoint: EndpointId) {
        let place = self.endpoints.get_mut(&endpoint);
        let Some(mix) = place.and_then(|place| place.mix.take()) else {
            return;
        };
        self.one_less(mix);
    }

    fn one_less(&mut self, mix: MixId) {
        if let Some(members) = self.mixes.get_mut(&mix) {
            members.count -= 1;
            if members.count == 0 {
                self.mixes.remove(&mix);
            }
        }
    }
}
