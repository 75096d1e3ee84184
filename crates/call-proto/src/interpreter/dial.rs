//! `<Dial>`: calls a party and connects it.
//!
//! The fork finds the party that answers, the bridge connects it; the verb links the two, records,
//! and determines what follows. **Invariant: an executed `<Dial>` ends once: with at most one request
//! of its action.**

pub(super) mod recording;

use std::time::Duration;

use model::{CallSid, CallStatus, Direction, RecordingSid, Timestamp};
use rcml::{Branch, Noun};

use self::recording::DialRecorder;
use super::verb::{Running, Site, Step};
use super::{conference, dequeue};
use crate::callback::{CallbackTarget, LegCallback};
use crate::command::{Command, Sound, Target};
use crate::context::{Context, Letter};
use crate::detection::Detection;
use crate::event::{AudioFailure, Clip, Document, PlayId, Req, SetIn};
use crate::fact::Reason;
use crate::letter::{
    Common, Dialled, Ended, ForkId, ForkNews, ForkResult, FromAnswer, LastResponse, Order, Plan,
    user_part,
};
use crate::params::Params;
use crate::recording::RecordingNews;
use crate::trace::Lane;

/// A running `<Dial>`.
struct Dialing {
    dial: rcml::Dial,
    phase: Phase,
    recorder: DialRecorder,
}

enum Phase {
    /// Branches ring; the caller may hear a tone meanwhile.
    Forking { fork: ForkId, tone: Tone },
    /// A branch answered; the caller is now being answered.
    AnsweringCaller { child: CallSid, ring_s: i64 },
    /// Connected.
    Bridged {
        child: CallSid,
        since: Timestamp,
        ring_s: i64,
    },
    /// Ended; the recording is being closed.
    Closing { outcome: Outcome },
}

/// What the caller hears until connected.
enum Tone {
    Silence,
    Loading(Req),
    Playing(PlayId),
}

/// How a `<Dial>` ended.
#[derive(Clone)]
pub(super) struct Outcome {
    pub(super) status: CallStatus,
    pub(super) child: Option<CallSid>,
    pub(super) talk_s: i64,
    pub(super) ring_s: Option<i64>,
    pub(super) response: Option<LastResponse>,
}

pub(super) fn start(dial: rcml::Dial, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if dial.nouns.is_empty() {
        return Step::Next;
    }
    if let Some(conference) = dial.conference() {
        let conference = conference.clone();
        return conference::start(dial, conference, site, cx);
    }
    if let Some(queue) = dial.queue() {
        let queue = queue.clone();
        return dequeue::start(dial, queue, site, cx);
    }
    let mut dialled = Vec::with_capacity(dial.nouns.len());
    for noun in &dial.nouns {
        dialled.extend(dialled_by(noun, site, cx));
    }
    let fork = cx.fork_id();
    let common = common(&dial, site);
    let timeout = Duration::from_secs(u64::from(dial.timeout_s));
    cx.letter(Letter::StartFork {
        fork,
        asker: site.leg.profile.sid,
        author: site.author(),
        common: Box::new(common),
        dialled,
        order: if dial.sequential {
            Order::InTurn
        } else {
            Order::Together
        },
        timeout,
    });
    let tone = start_tone(&dial, site, cx);
    Step::Run(Box::new(Dialing {
        recorder: DialRecorder::new(&dial),
        dial,
        phase: Phase::Forking { fork, tone },
    }))
}

fn common(dial: &rcml::Dial, site: &Site<'_>) -> Common {
    let profile = &site.leg.profile;
    let from = dial.caller_id.as_ref().unwrap_or(&profile.from).clone();
    Common {
        account: profile.account,
        direction: Direction::OutboundDial,
        from_display: Some(model::target::caller(user_part(&from)).to_owned()),
        from,
        forwarded_from: profile.forwarded_from.clone(),
        dialect: profile.dialect,
        max_forwards: profile.max_forwards.saturating_sub(1),
    }
}

fn dialled_by(noun: &Noun, site: &mut Site<'_>, cx: &mut Context) -> Option<Dialled> {
    let (target, branch) = match noun {
        Noun::Number(branch) => (Target::Number(branch.target.clone()), branch),
        Noun::Client(branch) => (Target::Client(branch.target.clone()), branch),
        Noun::Sip(branch) => (Target::Sip(branch.target.clone()), branch),
        // A conference or queue is the only noun of its verb, which handles it.
        Noun::Conference(_) | Noun::Queue(_) | Noun::Unsupported(_) => return None,
    };
    let screening = screening_of(branch, site, cx).ok()?;
    Some(Dialled {
        target,
        headers: branch.headers.clone(),
        credentials: branch.username.clone().zip(branch.password.clone()),
        callback: callback_of(branch, site, cx),
        screening,
        send_digits: branch.send_digits.clone(),
        from_answer: FromAnswer::default(),
        detection: detection_of(branch, site, cx),
    })
}

/// The parties are connected meanwhile.
fn detection_of(branch: &Branch, site: &mut Site<'_>, cx: &mut Context) -> Option<Detection> {
    let detection = branch.detection.as_deref()?;
    let written = detection.callback.as_deref();
    let url = written.and_then(|written| site.address(written, cx));
    Some(Detection {
        terms: detection.terms,
        holds: false,
        callback: url.map(|url| CallbackTarget {
            url,
            method: detection.callback_method,
            author: site.author(),
        }),
    })
}

fn callback_of(branch: &Branch, site: &mut Site<'_>, cx: &mut Context) -> Option<LegCallback> {
    let url = site.address(branch.status_callback.as_deref()?, cx)?;
    let target = CallbackTarget {
        url,
        method: branch.status_callback_method,
        author: site.author(),
    };
    Some(LegCallback {
        target,
        events: branch.status_callback_events.clone(),
    })
}

/// The document that runs if a connected party asks to transfer the other one.
pub(super) fn refer_document(
    dial: &rcml::Dial,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Option<Document> {
    let written = dial.refer_url.as_deref().filter(|url| !url.is_empty())?;
    Some(Document {
        url: site.address(written, cx)?,
        method: dial.refer_method,
        author: site.author(),
        text: None,
        fallback: None,
        set_in: SetIn::DialRefer,
    })
}

/// The document that a party hears before it is connected. An error if its address is unusable:
/// then the party must not be connected.
fn screening_of(
    branch: &Branch,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Result<Option<Document>, ()> {
    let Some(written) = branch.url.as_deref().filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(Document {
        url: site.address(written, cx).ok_or(())?,
        method: branch.method,
        author: site.author(),
        text: None,
        fallback: None,
        set_in: SetIn::Noun,
    }))
}

/// Plays the ring tone to an answered caller.
fn start_tone(dial: &rcml::Dial, site: &mut Site<'_>, cx: &mut Context) -> Tone {
    if !site.leg.is_up() {
        return Tone::Silence;
    }
    if let Some(written) = &dial.dial_music
        && let Some(url) = site.address(written, cx)
    {
        let req = cx.req();
        let author = site.author();
        cx.command(site.leg.profile.sid, Command::Load { req, url, author });
        return Tone::Loading(req);
    }
    Tone::Playing(site.play(Sound::Ringback(dial.ring_tone), None, cx))
}

impl Running for Dialing {
    fn audio(
        &mut self,
        answered: Req,
        result: &Result<Clip, AudioFailure>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let tone = match &mut self.phase {
            Phase::Forking { tone, .. } => tone,
            Phase::AnsweringCaller { .. } | Phase::Bridged { .. } | Phase::Closing { .. } => {
                return Step::Wait;
            }
        };
        if !matches!(tone, Tone::Loading(req) if *req == answered) {
            return Step::Wait;
        }
        let sound = match result {
            Ok(clip) => Sound::Clip(*clip),
            Err(failure) => {
                let text = format!("dialMusic: {}", failure.text);
                cx.notify(site.leg.profile.about(None), failure.code, &text);
                Sound::Ringback(self.dial.ring_tone)
            }
        };
        *tone = Tone::Playing(site.play(sound, None, cx));
        Step::Wait
    }

    fn key(&mut self, key: char, _site: &mut Site<'_>, cx: &mut Context) -> Step {
        if let Phase::Bridged { child, .. } = &self.phase
            && self.dial.hangup_on_star
            && key == '*'
        {
            cx.letter(Letter::Hangup {
                call: *child,
                reason: Reason::PartnerHungUp,
            });
        }
        Step::Wait
    }

    fn awaited_fork(&self) -> Option<ForkId> {
        match &self.phase {
            Phase::Forking { fork, .. } => Some(*fork),
            Phase::AnsweringCaller { .. } | Phase::Bridged { .. } | Phase::Closing { .. } => None,
        }
    }

    fn fork(&mut self, news: &ForkNews, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match news {
            ForkNews::Rings => {
                self.recorder.rings(site, cx);
                Step::Wait
            }
            ForkNews::Won { child, ring_s } => {
                self.stop_tone(site, cx);
                self.answered_by(*child, *ring_s, site, cx);
                Step::Wait
            }
            ForkNews::Lost(result) => {
                self.stop_tone(site, cx);
                let nobody = if site.run.implicit { 404 } else { 500 };
                site.run.failure_status = Some(result.sip_status.unwrap_or(nobody));
                site.run.unreachable = result.sip_status.is_none();
                self.ends(outcome_of(result), site, cx)
            }
            ForkNews::Abandoned(result) => self.ends(outcome_of(result), site, cx),
        }
    }

    fn bridge_over(&mut self, ended: Ended, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let Phase::Bridged {
            child,
            since,
            ring_s,
        } = self.phase
        else {
            return Step::Wait;
        };
        if site.leg.is_up() {
            self.listen_no_more(site, cx);
        }
        // A leg that was redirected away is no longer ours.
        if ended != Ended::Redirected(child) {
            cx.letter(Letter::Hangup {
                call: child,
                reason: ended.reason(),
            });
        }
        let talk_s = cx.now.seconds_since(since);
        // An unusable answer is detected only after the bridge was made.
        let status = if ended == Ended::Failed(child) && talk_s == 0 {
            CallStatus::Failed
        } else {
            CallStatus::Completed
        };
        let outcome = Outcome {
            status,
            child: Some(child),
            talk_s,
            ring_s: Some(ring_s),
            response: None,
        };
        self.ends(outcome, site, cx)
    }

    fn recording(
        &mut self,
        sid: RecordingSid,
        news: RecordingNews,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if self.recorder.is_over(sid, news)
            && let Phase::Closing { outcome } = &self.phase
        {
            return done(&self.dial, outcome, self.recorder.recording(), site, cx);
        }
        Step::Wait
    }

    fn leg_is_up(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.connect(site, cx);
        Step::Wait
    }

    fn leg_is_over(&mut self, reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match &self.phase {
            Phase::Forking { fork, .. } => {
                let reason = if reason == Reason::Shutdown {
                    reason
                } else {
                    Reason::ParentGone
                };
                let fork = *fork;
                self.stop_tone(site, cx);
                cx.letter(Letter::AbandonFork(fork, reason));
                Step::Wait
            }
            Phase::AnsweringCaller { child, ring_s } => {
                let (child, ring_s) = (*child, *ring_s);
                cx.letter(Letter::Hangup {
                    call: child,
                    reason: Reason::ParentGone,
                });
                let outcome = Outcome {
                    status: CallStatus::Canceled,
                    child: Some(child),
                    talk_s: 0,
                    ring_s: Some(ring_s),
                    response: None,
                };
                self.ends(outcome, site, cx)
            }
            // The bridge is notified and then reports to the verb.
            Phase::Bridged { .. } | Phase::Closing { .. } => Step::Wait,
        }
    }

    fn lets_it_ring(&self) -> bool {
        true
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.recorder.stop(site, cx);
        match &self.phase {
            Phase::Forking { fork, .. } => {
                let fork = *fork;
                self.stop_tone(site, cx);
                cx.letter(Letter::AbandonFork(fork, Reason::Api));
            }
            Phase::AnsweringCaller { child, .. } => {
                cx.letter(Letter::Hangup {
                    call: *child,
                    reason: Reason::Api,
                });
            }
            // The code that redirects a leg ends its bridge.
            Phase::Bridged { .. } => self.listen_no_more(site, cx),
            Phase::Closing { .. } => {}
        }
    }
}

impl Dialing {
    fn stop_tone(&mut self, site: &Site<'_>, cx: &mut Context) {
        if let Phase::Forking {
            tone: Tone::Playing(play),
            ..
        } = &self.phase
        {
            site.stop(Some(*play), cx);
        }
    }

    /// A branch answered: the caller is answered too, and connected.
    fn answered_by(&mut self, child: CallSid, ring_s: i64, site: &mut Site<'_>, cx: &mut Context) {
        self.phase = Phase::AnsweringCaller { child, ring_s };
        site.leg.reporter.outbound_child = Some(child);
        if site.leg.is_up() {
            self.connect(site, cx);
        } else if site.leg.is_unanswered() {
            site.leg.answer(cx);
        }
    }

    /// Connects the caller, who is up, if a branch has answered.
    fn connect(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        let Phase::AnsweringCaller { child, ring_s } = self.phase else {
            return;
        };
        let caller = site.leg.profile.sid;
        let (recording, recording_terms) = self.recorder.connects(site, cx);
        let bridge = cx.bridge_id();
        let limit = Duration::from_secs(u64::from(self.dial.time_limit_s));
        self.phase = Phase::Bridged {
            child,
            since: cx.now,
            ring_s,
        };
        let refer = refer_document(&self.dial, site, cx);
        let plan = Plan {
            caller,
            callee: child,
            limit,
            recording,
            recording_terms,
            refer,
        };
        if self.dial.hangup_on_star {
            site.leg.listen_to_keys(true, cx);
        }
        site.leg.bridge = Some(bridge);
        cx.letter(Letter::Bridge {
            bridge,
            plan: Box::new(plan),
        });
    }

    fn listen_no_more(&self, site: &mut Site<'_>, cx: &mut Context) {
        if self.dial.hangup_on_star {
            site.leg.listen_to_keys(false, cx);
        }
    }

    fn ends(&mut self, outcome: Outcome, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.recorder.stop(site, cx);
        if self.recorder.is_open(site) {
            self.phase = Phase::Closing { outcome };
            return Step::Wait;
        }
        done(&self.dial, &outcome, self.recorder.recording(), site, cx)
    }
}

/// Requests the action, or continues with the next verb.
pub(super) fn done(
    dial: &rcml::Dial,
    outcome: &Outcome,
    recording: Option<RecordingSid>,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let status = outcome.status.as_str();
    follow(dial, status, site, cx, |site, cx| {
        params_of(outcome, recording, site, cx)
    })
}

fn params_of(
    outcome: &Outcome,
    recording: Option<RecordingSid>,
    site: &Site<'_>,
    cx: &Context,
) -> Params {
    let mut params = site.voice_params(cx);
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("DialCallStatus", outcome.status.as_str().to_owned());
    add(
        "DialCallSid",
        outcome
            .child
            .map_or_else(|| "null".to_owned(), |sid| sid.to_string()),
    );
    add("DialCallDuration", outcome.talk_s.to_string());
    if let Some(ring) = outcome.ring_s {
        add("DialRingDuration", ring.to_string());
    }
    if let Some(recording) = recording {
        let profile = &site.leg.profile;
        let address = &cx.settings.recording_address;
        let url = (address.0)(&profile.dialect, profile.account, recording);
        add("RecordingUrl", url.clone());
        add("PublicRecordingUrl", url);
    }
    if let Some(response) = &outcome.response {
        dial_sip_params(response, &mut params);
    }
    params
}

/// The continuation after a `<Dial>` with this status: the document of its action, or the next
/// verb.
pub(super) fn follow(
    dial: &rcml::Dial,
    status: &str,
    site: &mut Site<'_>,
    cx: &mut Context,
    params: impl FnOnce(&Site<'_>, &Context) -> Params,
) -> Step {
    cx.trace(site.leg.profile.sid, Lane::Rcml, "<Dial> ended", status);
    let Some(written) = &dial.action else {
        return Step::Next;
    };
    let Some(url) = site.address(written, cx) else {
        return site.bad_address(cx);
    };
    if site.count_redirect(cx) {
        return site.redirect_loop(&url, cx);
    }
    let params = params(site, cx);
    site.fetch(url, dial.method, params, cx)
}

fn outcome_of(result: &ForkResult) -> Outcome {
    let last = result.last.as_ref();
    Outcome {
        status: result.status,
        child: last.map(|leg| leg.call),
        talk_s: 0,
        ring_s: last.map(|leg| leg.ring_s),
        response: last.and_then(|leg| leg.response.clone()),
    }
}

/// Parameters from the last response of a leg dialled as a SIP address.
fn dial_sip_params(response: &LastResponse, params: &mut Params) {
    params.push(("DialSipCallId".to_owned(), response.sip_call_id.clone()));
    params.push((
        "DialSipResponseCode".to_owned(),
        response.status.to_string(),
    ));
    for (name, value) in response
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("X-"))
    {
        params.push((format!("DialSipHeader_{name}"), value.clone()));
    }
}
