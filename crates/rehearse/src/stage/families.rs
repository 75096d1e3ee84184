//! The call families of a run, and how each of them begins.
//!
//! **Invariant: an event reaches the family that created its leg, and no other.**

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use call_proto::journal::{Line, Recorder};
use call_proto::{Addressed, Event, RecordingAddress, Settings};
use model::{CallSid, InstanceSid, Timestamp};

use super::{Stage, recording_address};
use crate::scene::Opening;
use crate::script::Cast;

/// All families that have started.
#[derive(Default)]
pub(super) struct Families {
    all: Vec<Recorder>,
    /// The family of each leg.
    owners: BTreeMap<CallSid, usize>,
}

impl Families {
    fn add(&mut self, family: Recorder) {
        for leg in family.family().legs() {
            self.owners.insert(leg, self.all.len());
        }
        self.all.push(family);
    }

    pub(super) fn owns(&mut self, family: usize, call: CallSid) {
        self.owners.insert(call, family);
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn are_finished(&self) -> bool {
        self.all.iter().all(|family| family.family().is_finished())
    }

    /// The first timer due, and its family.
    pub(super) fn timer(&self) -> Option<(Timestamp, usize)> {
        let timers = self.all.iter().enumerate();
        timers
            .filter_map(|(family, one)| Some((one.family().poll_timeout()?, family)))
            .min()
    }

    pub(super) fn handle(&mut self, call: CallSid, event: Event, now: Timestamp) {
        if let Some(family) = self.owners.get(&call) {
            self.all[*family].handle(call, event, now);
        }
    }

    pub(super) fn handle_timeout(&mut self, family: usize, now: Timestamp) {
        self.all[family].handle_timeout(now);
    }

    pub(super) fn poll(&mut self, family: usize) -> Vec<Addressed> {
        self.all[family].poll_commands()
    }

    /// All live legs.
    pub(super) fn legs(&self) -> Vec<CallSid> {
        let legs = self.all.iter().flat_map(|one| one.family().legs());
        legs.collect()
    }

    pub(super) fn take_journals(&mut self) -> Vec<Vec<Line>> {
        self.all.iter_mut().map(Recorder::take_lines).collect()
    }

    /// What is left of families that should have ended.
    pub(super) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (number, one) in self.all.iter().enumerate() {
            let family = one.family();
            if !family.is_finished() {
                left.push(format!("family {number} is not finished"));
            }
            if family.poll_timeout().is_some() {
                left.push(format!("a timer of family {number} is left"));
            }
            let legs = family.legs().count();
            if legs > 0 {
                left.push(format!("{legs} legs of family {number} are live"));
            }
        }
        left
    }
}

impl Stage<'_> {
    /// Starts a call of the scene.
    pub(super) fn begin(&mut self, place: usize) {
        let scene = self.scene;
        let start = &scene.calls[place];
        match &start.opening {
            Opening::Inbound(inbound) => {
                let inbound = inbound.as_ref().clone();
                let has_offer = inbound.sdp.is_some();
                let (family, root) = Recorder::inbound(settings(), inbound, start.seed, self.now);
                self.families.add(family);
                self.calls(root, &start.name, start.ack, has_offer);
                self.enter(Cast::Caller(place), Some(root), &start.steps);
            }
            Opening::Api(outbound) => {
                let mut outbound = outbound.as_ref().clone();
                outbound.routes = self.ways(&outbound.target, start.phone.as_ref());
                let (family, legs) =
                    Recorder::outbound_api(settings(), outbound, start.seed, self.now);
                self.families.add(family);
                for leg in legs {
                    self.is_called_by_api(leg, place);
                }
            }
        }
    }
}

pub(crate) fn settings() -> Arc<Settings> {
    Arc::new(Settings {
        instance: InstanceSid::from_bytes([0x1d; 16]),
        recording_address: RecordingAddress(Arc::new(|_, account, recording| {
            recording_address(account, recording)
        })),
        max_redirects: 20,
        null_strings: false,
        screening_releases_both: false,
        type_ahead: true,
        recording_wait: Duration::from_secs(5),
    })
}
