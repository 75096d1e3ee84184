//! The scene of a world: what the virtual host of `rehearse` plays.

use std::time::Duration;

use call_proto::routing::{Decision, Refusal};
use call_proto::{Inbound, OutboundApi};
use model::CallSid;
use rehearse::scene::{
    Act as Happens, Does, Doing, Opening, Pace, Referral, Scene, Start, Vanishes, Weather,
};
use rehearse::{Application, Asked};

use super::{Act, ApiCall, Root, World, directory};

/// Answers nothing: there are only the pages of the world.
pub(crate) struct Nothing;

impl Application for Nothing {
    fn document(&mut self, asked: &Asked) -> Result<call_proto::Fetched, call_proto::FetchFailure> {
        Ok(call_proto::Fetched {
            status: 404,
            content_type: None,
            body: String::new(),
            url: asked.url.clone(),
            headers: Vec::new(),
        })
    }

    fn sound(&mut self, _: CallSid, url: &str) -> Result<Option<Duration>, String> {
        Err(format!("{url} cannot be had"))
    }

    fn callback(&mut self, _: &Asked) {}
}

/// The outcome of routing K's INVITE.
pub(super) enum Routed {
    /// This runs; the flag says whether K was challenged before.
    Runs(Box<Inbound>, bool),
    /// K gave up when challenged.
    Challenged,
    Refused(Refusal, bool),
}

impl World {
    /// The scene, without the call that starts it.
    pub(super) fn scene(&self) -> Scene {
        let mut scene = Scene::new();
        for (name, phones) in &self.phones {
            let named = |(at, phone): (usize, &super::Phone)| {
                let mut phone = phone.0.clone();
                phone.name = Some(match at {
                    0 => name.clone(),
                    at => format!("{name}{}", at + 1),
                });
                let answer = self.message_answer;
                phone.message = answer.map(|status| (status, Duration::from_millis(20)));
                phone
            };
            let phones = phones.iter().enumerate().map(named);
            scene.phones.insert(name.clone(), phones.collect());
        }
        for (path, replies) in &self.pages {
            let replies = replies.iter().map(|reply| reply.0.clone());
            let url = format!("http://app{path}");
            scene.pages.insert(url, replies.collect());
        }
        for (url, length) in &self.clips {
            scene.sound(url, Duration::from_millis(*length));
        }
        for (at, act) in &self.acts {
            let at = Duration::from_millis(*at);
            scene.acts.push(happens(at, act.clone()));
        }
        scene.pace = Pace {
            fixed: Duration::from_secs(1),
            per_character: Duration::ZERO,
        };
        scene.delays.look_up = Duration::from_millis(self.looking_up_ms);
        scene.delays.bye = Duration::from_millis(10);
        scene.delays.closing = self.closing_ms.map(Duration::from_millis);
        scene.faults.deaf.clone_from(&self.deaf);
        scene.faults.unrecorded.clone_from(&self.unrecorded);
        scene.faults.unspeakable = Some("unspeakable".to_owned());
        scene.faults.disk_full = self.disk_full;
        scene.faults.stuck_streams = self.stuck_streams;
        for (url, does) in &self.agents {
            scene.agent(url, does).expect("an agent");
        }
        scene.recognizer = self.recognizer;
        scene.has_trunk = self.directory.trunk;
        (scene.seed, scene.weather) = (self.seed, self.weather);
        if self.weather == Weather::Stormy {
            scene.limit = Duration::from_secs(3_600);
        }
        scene
    }

    /// The call that starts everything, or the outcome of K's INVITE instead.
    pub(super) fn start(&self) -> Result<(Start, bool), Routed> {
        let (opening, challenged) = match &self.root {
            Root::Api(call) => (Opening::Api(Box::new(self.outbound(call))), false),
            Root::Inbound(called) => match self.routed(called) {
                Routed::Runs(inbound, challenged) => (Opening::Inbound(inbound), challenged),
                other => return Err(other),
            },
        };
        let mut start = Start::new("K", opening, self.seed);
        start.ack = self.caller.ack_ms.map(Duration::from_millis);
        Ok((start, challenged))
    }

    fn routed(&self, called: &str) -> Routed {
        let caller = &self.caller;
        let mut decision = self.directory.route(caller, called, false);
        let challenged = matches!(decision, Decision::Challenge(_));
        if challenged {
            if !caller.knows_password {
                return Routed::Challenged;
            }
            decision = self.directory.route(caller, called, true);
        }
        let admission = match decision {
            Decision::Challenge(_) => return Routed::Challenged,
            Decision::Refuse(refusal) => return Routed::Refused(refusal, challenged),
            Decision::Admit(admission) => admission,
        };
        let inbound = Inbound {
            account: admission.account,
            from: admission.from,
            to: admission.to,
            caller_name: caller.display.clone(),
            forwarded_from: admission.forwarded_from,
            headers: admission.headers,
            sip_call_id: "call of kim".to_owned(),
            number: admission.number,
            sdp: caller.sdp.clone(),
            max_forwards: 70,
            script: admission.script,
            status_callback: admission.status_callback,
            refer: admission.refer,
            contact: admission.contact,
            dialect: self.dialect,
        };
        Routed::Runs(Box::new(inbound), challenged)
    }

    fn outbound(&self, call: &ApiCall) -> OutboundApi {
        OutboundApi {
            account: directory::account(1),
            from: call.from.clone(),
            target: call.target.clone(),
            routes: Vec::new(),
            headers: call.headers.clone(),
            credentials: None,
            planned: call.document.clone().into(),
            send_digits: None,
            detection: call.detection.clone(),
            callback: call.callback.clone(),
            recording: None,
            timeout: Duration::from_secs(call.timeout_s),
            time_limit: None,
            legs: self.dialect.legs,
            dialect: self.dialect,
        }
    }
}

fn happens(at: Duration, act: Act) -> Happens {
    let (party, does) = match act {
        Act::HangUp => ("K".to_owned(), Does::Party(Doing::HangUp)),
        Act::Reinvite(sdp) => ("K".to_owned(), Does::Reinvite(sdp)),
        Act::Refer(party) => (party, Does::Refer(Referral::blind("fay".to_owned()))),
        Act::Ack(sdp) => ("K".to_owned(), Does::Ack(sdp)),
        Act::ReinviteBy(party, sdp) => (party, Does::Reinvite(sdp)),
        Act::Info => ("K".to_owned(), Does::Info),
        Act::Key(party, key, way) => (party, Does::Key(key, way)),
        Act::Understood(party, news) => (party, Does::Understood(news)),
        Act::Vanish(party) => (party, Does::Party(Doing::Vanish(Vanishes::Connection))),
        Act::Silence(party) => (party, Does::Party(Doing::Vanish(Vanishes::Sound))),
        Act::Rest(party, modify) => (party, Does::Modify(modify)),
        Act::Shutdown(party) => (party, Does::Shutdown),
        Act::EndedElsewhere(party) => (party, Does::EndedElsewhere),
    };
    Happens::new(at, &party, does)
}
