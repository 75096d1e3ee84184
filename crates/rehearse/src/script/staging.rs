//! The scene that a script describes.
//!
//! **Invariant: nothing in it is left to chance, and each party does what the script says.**

use std::time::Duration;

use call_proto::{
    CallbackTarget, Document, Inbound, LegCallback, OutboundApi, Script as Runs, Target,
};

use model::{Bare, number};

use super::party::{Answer, Party};
use super::{Call, Script};
use crate::scene::{Act, Doing, Opening, Pace, Phone, Recognizer, Scene, Start, Until, Who};
use crate::stage::{ACCOUNT, GIVES_UP, user_of};

/// The recognizer's confidence.
const CONFIDENCE: f64 = 0.9;
/// Distance between the seeds of calls; not that between two states of the generator of identifiers,
/// or one call would repeat those of another.
const SEED_STEP: u64 = 0x2545_f491_4f6c_dd1d;

impl Script {
    /// The scene that this script describes.
    #[must_use]
    pub fn scene(&self) -> Scene {
        let mut scene = Scene::new();
        for (name, parties) in &self.parties {
            let phones = parties.iter().map(phone).collect();
            scene.phones.insert(name.clone(), phones);
        }
        scene.calls = (0..)
            .zip(&self.calls)
            .map(|(n, call)| self.start(n, call))
            .collect();
        scene.acts = self
            .api
            .iter()
            .map(|step| Act {
                at: step.at,
                leg: Who::Leg(step.leg.clone()),
                does: step.does.clone(),
                line: step.line,
                refused: step.refused,
            })
            .collect();
        scene.pages.clone_from(&self.application.pages);
        scene.sounds.clone_from(&self.sounds);
        scene.agents.clone_from(&self.agents);
        scene.pace = Pace {
            fixed: Duration::ZERO,
            per_character: Duration::from_millis(self.say_ms_per_character),
        };
        scene.recognizer = Recognizer::Works(Some(CONFIDENCE));
        (scene.limit, scene.until) = (self.limit, Until::Over);
        scene
    }

    fn start(&self, number: u64, call: &Call) -> Start {
        let (name, opening) = if call.by_api {
            let outbound = Box::new(self.outbound(call));
            (&call.to, Opening::Api(outbound))
        } else {
            let inbound = Box::new(self.inbound(call));
            (&call.leg, Opening::Inbound(inbound))
        };
        // Each call gets its own identifiers.
        let seed = self.seed.wrapping_add(number.wrapping_mul(SEED_STEP));
        let mut start = Start::new(name, opening, seed);
        start.at = call.at;
        start.message = Some((200, Duration::ZERO));
        start.phone = Some(phone(&Party::willing()));
        start.steps.clone_from(&call.steps);
        start
    }

    /// The first document of a call.
    fn document(&self, call: &Call) -> Document {
        if let Some(text) = &call.document {
            return Document::of_text(text.clone(), ACCOUNT);
        }
        let mut document = self.application.document.clone();
        if let Some(start) = &call.start {
            document.url.clone_from(start);
        }
        document
    }

    fn callback(&self) -> Option<CallbackTarget> {
        let url = self.application.status_callback.clone()?;
        Some(CallbackTarget {
            url,
            method: self.application.status_callback_method,
            author: ACCOUNT,
        })
    }

    fn inbound(&self, call: &Call) -> Inbound {
        let diversion = call.headers.iter().find(|(name, _)| name == "Diversion");
        Inbound {
            max_forwards: 70,
            account: ACCOUNT,
            from: call.from.clone(),
            to: call.to.clone(),
            caller_name: call.name.clone(),
            forwarded_from: diversion.map(|(_, value)| user_of(value).to_owned()),
            headers: call.headers.clone(),
            sip_call_id: format!("call of {}", person(call)),
            number: None,
            sdp: Some(format!("offer of {}", person(call))),
            script: Runs::Document(self.document(call)),
            status_callback: self.callback(),
            refer: self.application.refer.clone(),
            contact: None,
            dialect: call.dialect,
        }
    }

    fn outbound(&self, call: &Call) -> OutboundApi {
        OutboundApi {
            account: ACCOUNT,
            from: call.from.clone(),
            routes: Vec::new(),
            target: target(&call.to),
            headers: call.headers.clone(),
            credentials: None,
            planned: self.document(call).into(),
            send_digits: call.send_digits.clone(),
            detection: call.detection.clone(),
            callback: self.callback().map(|target| LegCallback {
                target,
                events: None,
            }),
            recording: call.recording.clone(),
            timeout: call.timeout,
            time_limit: call.time_limit,
            legs: call.dialect.legs,
            dialect: call.dialect,
        }
    }
}

/// The caller's name in session descriptions.
fn person(call: &Call) -> &str {
    match call.leg.as_str() {
        "caller" => "the caller",
        name => name,
    }
}

/// The party that the API calls. Unlike in the API itself, `client:` may be omitted before a
/// party's login.
fn target(to: &str) -> Target {
    match Target::parse(to, Bare::ClientOrNumber) {
        Target::Named(name) if !number::is_dialable(&name) => Target::Client(name),
        Target::Named(_) => Target::parse(to, Bare::Number),
        target @ (Target::Client(_) | Target::Number(_) | Target::Sip(_)) => target,
    }
}

/// The phone of a party.
fn phone(party: &Party) -> Phone {
    let mut phone = Phone {
        headers: party.headers.clone(),
        message: Some((party.message, Duration::ZERO)),
        says: party.says,
        number: party.number,
        then: party.steps().cloned().collect(),
        ..Phone::new()
    };
    if let Some(after) = party.rings_after {
        phone.steps.push((after, Doing::Ring(party.rings_with)));
    }
    match party.answer {
        Answer::Unreachable => phone.is_reachable = false,
        Answer::Never => {}
        Answer::Silent => {
            phone.withdraws = None;
            phone.message = Some((408, GIVES_UP));
        }
        Answer::Rejects { status, after } => phone.steps.push((after, Doing::Reject(status))),
        Answer::Answers { after, .. } => phone.steps.push((after, Doing::Answer)),
    }
    phone
}
