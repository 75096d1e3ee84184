//! Moves endpoints between workers.
//!
//! **Invariant: an endpoint that was handed over is adopted or closed**: if the other worker has
//! ended it stays here. Packets wait in its sockets meanwhile. Left to others: the engine's state
//! of an endpoint, and which work has to wait (`arrivals`).

use super::{Message, Shell};
use crate::directory::WorkerId;
use crate::disk::Tape;
use crate::ear::Ear;
use crate::plane::Reports;
use media_proto::{EndpointId, Engine, Parcel, RecordingId, Report, Sink};
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tracing::error;

/// An endpoint with its sockets, files and channels.
#[derive(Debug)]
pub(crate) struct Transfer {
    parcel: Parcel,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    reports: Reports,
    tapes: Vec<(RecordingId, Tape)>,
    ears: Vec<(RecordingId, Ear)>,
}

impl Shell {
    /// Hands an endpoint to another worker, or reports that it does not exist.
    pub(super) fn hand_over(
        &mut self,
        engine: &mut Engine,
        endpoint: EndpointId,
        to: WorkerId,
        now: Instant,
    ) {
        self.moving = Some((endpoint, to));
        let transfer = engine
            .extract(endpoint)
            .and_then(|parcel| self.pack(parcel));
        self.moving = None;
        let message = Message::Adopt(endpoint, transfer.map(Box::new));
        let sent = match self.common.directory.ways.get(to) {
            Some(way) => way.send(message),
            None => Err(message),
        };
        if let Err(Message::Adopt(_, Some(transfer))) = sent {
            self.adopt(engine, *transfer, now);
            self.close_endpoint(engine, endpoint, now);
        }
    }

    pub(super) fn adopt(&mut self, engine: &mut Engine, transfer: Transfer, now: Instant) {
        let Transfer {
            parcel,
            rtp,
            rtcp,
            reports,
            tapes,
            ears,
        } = transfer;
        let endpoint = parcel.endpoint();
        self.audiences.insert(endpoint, reports);
        self.gauges.endpoints.fetch_add(1, Ordering::Relaxed);
        self.tapes.extend(tapes);
        self.ears.extend(ears);
        let watched = self.watch(rtp).and_then(|rtp| Ok((rtp, self.watch(rtcp)?)));
        match watched {
            Ok(sockets) => {
                self.gauges.moves.fetch_add(1, Ordering::Relaxed);
                engine.adopt(parcel, sockets, now, self);
            }
            Err(error) => {
                error!(%error, "failed to move an endpoint");
                self.lose(&parcel);
            }
        }
    }

    fn pack(&mut self, parcel: Parcel) -> Option<Transfer> {
        let (endpoint, local) = (parcel.endpoint(), parcel.local());
        let sockets = [local.rtp, local.rtcp].map(|socket| {
            let socket = self.sockets.remove(socket)?;
            let removed = self.poller.remove(&socket);
            removed.ok().map(|()| socket)
        });
        let ([Some(rtp), Some(rtcp)], Some(reports)) =
            (sockets, self.audiences.get(&endpoint).cloned())
        else {
            error!("failed to move an endpoint");
            self.lose(&parcel);
            return None;
        };
        self.audiences.remove(&endpoint);
        self.gauges.endpoints.fetch_sub(1, Ordering::Relaxed);
        let (mut tapes, mut ears) = (Vec::new(), Vec::new());
        for recording in parcel.recordings() {
            tapes.extend(self.tapes.remove_entry(&recording));
            ears.extend(self.ears.remove_entry(&recording));
        }
        Some(Transfer {
            parcel,
            rtp,
            rtcp,
            reports,
            tapes,
            ears,
        })
    }

    /// Reports an endpoint that could not be moved; this cannot happen with valid descriptors.
    fn lose(&mut self, parcel: &Parcel) {
        let endpoint = parcel.endpoint();
        for recording in parcel.recordings() {
            if let Some(tape) = self.tapes.remove(&recording) {
                tape.finish(u64::MAX);
            }
            self.ears.remove(&recording);
        }
        let reason = "the endpoint could not be moved".to_owned();
        self.report(endpoint, Report::Failed { reason });
        self.audiences.remove(&endpoint);
        self.gauges.endpoints.fetch_sub(1, Ordering::Relaxed);
        self.common.directory.forget(endpoint);
    }
}
