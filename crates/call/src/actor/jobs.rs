//! Slow jobs outside of the task: look-ups, requests, speech. Their answers come back as inputs.

use std::sync::Arc;

use call_proto::routing::Place;
use call_proto::{AudioFailure, Event, QueueEvent, RelayCommand, Req, StreamCommand, StreamTarget};
use media::{PlayId, RecordingId, Track};
use model::{AccountSid, CallSid, EventSid};
use webhook::{SocketError, SocketRequest, Stamp, WebSocket};

use super::{Actor, Input};
use crate::engine::Shared;
use crate::listening::Ends;
use crate::resolve::{self, By, Peers};
use crate::{queues, siprec, streams};

impl Actor {
    pub(super) fn resolve(
        &mut self,
        (call, req): (CallSid, Req),
        (by, from): (By, Option<String>),
        targets: Vec<call_proto::Target>,
    ) {
        let shared = Arc::clone(&self.shared);
        let inbox = self.inbox.clone();
        self.jobs.spawn(async move {
            // Concurrently: a name that cannot be found must not delay the others.
            let found = futures_util::future::join_all(targets.iter().map(|target| {
                let (shared, from) = (Arc::clone(&shared), from.as_deref());
                async move {
                    let mut peers = Peers::new();
                    let place = (target, Place::Document);
                    let routes = resolve::text(&shared, place, (by, from), &mut peers)
                        .await
                        .unwrap_or_else(|error| Err(resolve::unknown(target, &error)));
                    (routes, peers)
                }
            }))
            .await;
            let mut peers = Peers::new();
            let mut routes = Vec::with_capacity(found.len());
            for (route, ways) in found {
                routes.push(route);
                peers.extend(ways);
            }
            let _ = inbox.send(Input::Resolved(call, req, routes, peers));
        });
    }

    pub(super) fn fetch(&mut self, call: CallSid, req: Req, request: call_proto::FetchRequest) {
        let shared = Arc::clone(&self.shared);
        let inbox = self.inbox.clone();
        let Some(jar) = self.leg(call).map(|leg| leg.jar.clone()) else {
            return;
        };
        let mut request = request;
        if let Some(queue) = request.queue {
            let now = self.clock.now();
            let standing = shared.queues.standing(call, queue, now);
            let params = standing.map(|standing| standing.params(queue));
            request.params.extend(params.into_iter().flatten());
        }
        self.jobs.spawn(async move {
            let result = crate::audio::document(&shared, request, jar).await;
            let _ = inbox.send(Input::Event(call, Event::Fetched { req, result }));
        });
    }

    pub(super) fn find_queue(
        &mut self,
        call: CallSid,
        req: Req,
        (account, name): (AccountSid, String),
        create: bool,
    ) {
        let shared = Arc::clone(&self.shared);
        let inbox = self.inbox.clone();
        self.jobs.spawn(async move {
            let event = match queues::find(&shared.parts.store, account, name, create).await {
                Ok(Some(queue)) => QueueEvent::Found {
                    queue: queue.sid,
                    max_size: queue.max_size,
                },
                Ok(None) => QueueEvent::Missing,
                Err(error) => QueueEvent::Unavailable {
                    why: error.to_string(),
                },
            };
            let _ = inbox.send(Input::Event(call, Event::Queue { req, event }));
        });
    }

    pub(super) fn audio_job(
        &mut self,
        call: CallSid,
        req: Req,
        job: impl Future<Output = Result<Arc<[i16]>, AudioFailure>> + Send + 'static,
    ) {
        let inbox = self.inbox.clone();
        self.jobs.spawn(async move {
            let _ = inbox.send(Input::Audio(call, req, job.await));
        });
    }

    pub(super) fn stream_command(&mut self, call: CallSid, command: StreamCommand) {
        match command {
            StreamCommand::Open { req, request } => {
                let Some(endpoint) = self.leg(call).map(|leg| leg.endpoint) else {
                    return;
                };
                let ends = streams::Ends {
                    call,
                    endpoint,
                    taps: [0; 2].map(|_| RecordingId(self.shared.endpoint().0)),
                    session: &self.session,
                };
                let shared = Arc::clone(&self.shared);
                let server = match &request.target {
                    StreamTarget::Socket(url) => {
                        streams::Server::Socket(connect(shared, (url.clone(), request.author)))
                    }
                    StreamTarget::Recorder(server) => {
                        let now = self.clock.now();
                        let means = siprec::Means {
                            sip: shared.parts.sip.clone(),
                            media: shared.parts.media.clone(),
                            server: shared.config.recorders.get(&server.connector).cloned(),
                            host: shared.sip_host(),
                            domain: shared.config.domain.clone(),
                        };
                        let client = siprec::Client::new(means, (call, now), &request, server);
                        streams::Server::Recorder(Box::new(client))
                    }
                };
                let inbox = self.inbox.clone();
                let tell = move |news| {
                    let event = Event::Stream { req, news };
                    let _ = inbox.send(Input::Event(call, event));
                };
                self.streams
                    .open((req, *request), &ends, server, tell, &mut self.jobs);
            }
            StreamCommand::Begin { req, play } => {
                let play = play.map(|play| PlayId(play.0));
                self.streams.begin(req, play, &self.session);
            }
            StreamCommand::Key { req, key } => self.streams.key(req, key),
            StreamCommand::Close { req } => self.streams.close(req),
        }
    }

    pub(super) fn relay_command(&mut self, call: CallSid, command: RelayCommand) {
        match command {
            RelayCommand::Open { req, request } => {
                let opening = connect(Arc::clone(&self.shared), (request.url, request.author));
                let inbox = self.inbox.clone();
                let tell = move |news| {
                    let event = Event::Relay { req, news };
                    let _ = inbox.send(Input::Event(call, event));
                };
                self.relays.open(req, opening, tell, &mut self.jobs);
            }
            RelayCommand::Send { req, message } => self.relays.send(req, &message),
            RelayCommand::Close { req } => self.relays.close(req),
        }
    }

    /// Recognises what a party says, or hears.
    pub(super) fn listen(
        &mut self,
        call: CallSid,
        req: Req,
        track: Track,
        request: call_proto::ListenRequest,
    ) {
        let Some(endpoint) = self.leg(call).map(|leg| leg.endpoint) else {
            return;
        };
        let ends = Ends {
            call,
            endpoint,
            track,
            audio: RecordingId(self.shared.endpoint().0),
            session: &self.session,
            inbox: &self.inbox,
        };
        let recognizer = self.shared.parts.recognizer.clone();
        self.listenings
            .begin(recognizer, req, request, &ends, &mut self.jobs);
    }
}

/// Connects to the server of a stream or conversation, with the rights of the account that set its
/// address.
async fn connect(
    shared: Arc<Shared>,
    (url, author): (String, AccountSid),
) -> Result<WebSocket, SocketError> {
    let stamp = Stamp {
        event: EventSid::new(crate::now(), rand::random()),
        secrets: crate::outbox::secrets(&shared.parts.store, author).await,
    };
    let socket = SocketRequest {
        url,
        policy: shared.policy(author),
        stamp: Some(stamp),
    };
    shared.parts.fetcher.open_socket(socket).await
}
