//! `<Dial>`: call somebody and connect.
//!
//! The fork finds who answers, the bridge connects; the verb only joins them and says what
//! follows. **Invariant: an executed `<Dial>` ends once: with at most one request of its action.**

use std::time::Duration;

use model::{CallSid, CallStatus, Direction, RecordingSid, Timestamp};
use rcml::{Branch, Noun};

use super::document::Purpose;
use super::{Next, Run, State};
use crate::call::Call;
use crate::callback::{CallbackTarget, LegCallback};
use crate::command::{Command, MediaCommand, Sound, Target};
use crate::context::{Context, Letter};
use crate::event::{AudioFailure, Clip, PlayId, Req};
use crate::fact::Reason;
use crate::family::user_part;
use crate::letter::{Common, Dialled, Ended, ForkId, ForkResult, LastResponse, Plan};
use crate::params::{Params, dial_sip_params};
use crate::trace::Lane;

/// A `<Dial>` that runs.
pub(super) struct Dialing {
    dial: rcml::Dial,
    phase: Phase,
    /// What is or was recorded, unless that failed.
    recording: Option<RecordingSid>,
}

enum Phase {
    /// Branches ring; the caller may hear something meanwhile.
    Forking { fork: ForkId, tone: Tone },
    /// A branch answered; the caller is answered now.
    AnsweringCaller { child: CallSid, ring_s: i64 },
    /// Connected.
    Bridged {
        child: CallSid,
        since: Timestamp,
        ring_s: i64,
    },
    /// Over; the recording is being closed.
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
struct Outcome {
    status: CallStatus,
    child: Option<CallSid>,
    talk_s: i64,
    ring_s: Option<i64>,
    response: Option<LastResponse>,
}

impl Dialing {
    /// Another script takes over the leg: nothing of this one may go on.
    pub(super) fn detach(self, leg: CallSid, cx: &mut Context) {
        match self.phase {
            Phase::Forking { fork, tone } => {
                stop(&tone, leg, cx);
                cx.letter(Letter::AbandonFork(fork, Reason::Api));
            }
            Phase::AnsweringCaller { child, .. } => {
                cx.letter(Letter::Hangup {
                    call: child,
                    reason: Reason::Api,
                });
            }
            // A bridge is dissolved by whoever redirects the leg.
            Phase::Bridged { .. } if self.dial.hangup_on_star => {
                cx.media(leg, MediaCommand::ListenDigits { on: false });
            }
            Phase::Bridged { .. } | Phase::Closing { .. } => {}
        }
    }
}

impl Call {
    pub(super) fn dial(&mut self, dial: rcml::Dial, cx: &mut Context) -> Next {
        if dial.nouns.is_empty() {
            return Next::Verb;
        }
        let dialled: Vec<_> = dial
            .nouns
            .iter()
            .filter_map(|noun| self.dialled(noun, cx))
            .collect();
        let fork = cx.fork_id();
        let common = self.common(&dial);
        let timeout = Duration::from_secs(u64::from(dial.timeout_s));
        cx.letter(Letter::StartFork {
            fork,
            asker: self.sid,
            common: Box::new(common),
            dialled,
            timeout,
        });
        let tone = self.start_tone(&dial, cx);
        Next::Wait(State::Dialing(Box::new(Dialing {
            dial,
            phase: Phase::Forking { fork, tone },
            recording: None,
        })))
    }

    fn common(&self, dial: &rcml::Dial) -> Common {
        let from = dial.caller_id.as_ref().unwrap_or(&self.info.from).clone();
        Common {
            parent: Some(self.sid),
            account: self.info.account,
            direction: Direction::OutboundDial,
            from_display: Some(user_part(&from).to_owned()),
            from,
            forwarded_from: self.info.forwarded_from.clone(),
            dialect: self.dialect,
            max_forwards: self.info.max_forwards.saturating_sub(1),
        }
    }

    fn dialled(&self, noun: &Noun, cx: &mut Context) -> Option<Dialled> {
        let (target, branch) = match noun {
            Noun::Number(branch) => (Target::Number(branch.target.clone()), branch),
            Noun::Client(branch) => (Target::Client(branch.target.clone()), branch),
            Noun::Sip(branch) => (Target::Sip(branch.target.clone()), branch),
            Noun::Unsupported(_) => return None,
        };
        Some(Dialled {
            target,
            headers: branch.headers.clone(),
            credentials: branch.username.clone().zip(branch.password.clone()),
            callback: self.leg_callback_of(branch, cx),
            send_digits: branch.send_digits.clone(),
        })
    }

    fn leg_callback_of(&self, branch: &Branch, cx: &mut Context) -> Option<LegCallback> {
        let url = self.address(branch.status_callback.as_deref()?, cx)?;
        let target = CallbackTarget {
            url,
            method: branch.status_callback_method,
            author: self.author(),
        };
        Some(LegCallback {
            target,
            events: branch.status_callback_events.clone(),
        })
    }

    /// Lets an answered caller hear that it rings.
    fn start_tone(&mut self, dial: &rcml::Dial, cx: &mut Context) -> Tone {
        if !self.is_up() {
            return Tone::Silence;
        }
        if let Some(written) = &dial.dial_music
            && let Some(url) = self.address(written, cx)
        {
            let req = cx.req();
            let author = self.author();
            cx.command(self.sid, Command::Load { req, url, author });
            return Tone::Loading(req);
        }
        self.play_tone(Sound::Ringback, cx)
    }

    fn play_tone(&self, sound: Sound, cx: &mut Context) -> Tone {
        let play = cx.play_id();
        cx.media(
            self.sid,
            MediaCommand::Play {
                play,
                sound,
                times: None,
            },
        );
        Tone::Playing(play)
    }

    pub(super) fn dial_music_ready(
        &mut self,
        answered: Req,
        result: Result<Clip, AudioFailure>,
        cx: &mut Context,
    ) {
        let awaited = matches!(
            self.dialing(),
            Some(Dialing { phase: Phase::Forking { tone: Tone::Loading(req), .. }, .. })
                if *req == answered
        );
        if !awaited {
            return;
        }
        let sound = match result {
            Ok(clip) => Sound::Clip(clip),
            Err(failure) => {
                let text = format!("dialMusic: {}", failure.text);
                cx.notify(self.about(None), failure.code, &text);
                Sound::Ringback
            }
        };
        let playing = self.play_tone(sound, cx);
        if let Some(Dialing {
            phase: Phase::Forking { tone, .. },
            ..
        }) = self.dialing_mut()
        {
            *tone = playing;
        }
    }

    /// A branch answered.
    pub(crate) fn fork_won(&mut self, fork: ForkId, child: CallSid, ring_s: i64, cx: &mut Context) {
        let leg = self.sid;
        let up = self.is_up();
        let unanswered = self.is_unanswered();
        let Some(dialing) = self.dialing_mut() else {
            cx.letter(Letter::Hangup {
                call: child,
                reason: Reason::ParentGone,
            });
            return;
        };
        match &dialing.phase {
            Phase::Forking { fork: ours, tone } if *ours == fork => stop(tone, leg, cx),
            Phase::Forking { .. }
            | Phase::AnsweringCaller { .. }
            | Phase::Bridged { .. }
            | Phase::Closing { .. } => {
                cx.letter(Letter::Hangup {
                    call: child,
                    reason: Reason::ParentGone,
                });
                return;
            }
        }
        dialing.phase = Phase::AnsweringCaller { child, ring_s };
        self.outbound_child = Some(child);
        if up {
            self.dial_leg_is_up(cx);
        } else if unanswered {
            self.answer(cx);
        }
    }

    /// The caller is up and a branch answered: connect them.
    pub(super) fn dial_leg_is_up(&mut self, cx: &mut Context) {
        let caller = self.sid;
        let Some(dialing) = self.dialing_mut() else {
            return;
        };
        let Phase::AnsweringCaller { child, ring_s } = dialing.phase else {
            return;
        };
        let recording = dialing.dial.record.then(|| cx.recording_sid());
        let bridge = cx.bridge_id();
        let limit = Duration::from_secs(u64::from(dialing.dial.time_limit_s));
        dialing.phase = Phase::Bridged {
            child,
            since: cx.now,
            ring_s,
        };
        let plan = Plan {
            caller,
            callee: child,
            limit,
            recording,
        };
        if dialing.dial.hangup_on_star {
            cx.media(caller, MediaCommand::ListenDigits { on: true });
        }
        self.bridge = Some(bridge);
        cx.letter(Letter::Bridge {
            bridge,
            plan: Box::new(plan),
        });
    }

    /// The caller pressed a key.
    pub(super) fn dial_key(&mut self, key: char, cx: &mut Context) {
        if let Some(Dialing {
            dial,
            phase: Phase::Bridged { child, .. },
            ..
        }) = self.dialing()
            && dial.hangup_on_star
            && key == '*'
        {
            cx.letter(Letter::Hangup {
                call: *child,
                reason: Reason::PartnerHungUp,
            });
        }
    }

    /// Every branch failed, or nobody could be called.
    pub(crate) fn fork_lost(&mut self, fork: ForkId, result: ForkResult, cx: &mut Context) {
        let leg = self.sid;
        let Some(Dialing {
            phase: Phase::Forking { fork: ours, tone },
            ..
        }) = self.dialing_mut()
        else {
            return;
        };
        if *ours != fork {
            return;
        }
        stop(tone, leg, cx);
        self.dial_came_to_nothing(result.sip_status);
        self.dial_ends(outcome_of(result), cx);
    }

    pub(super) fn dial_bridge_over(&mut self, ended: Ended, cx: &mut Context) {
        let Some(Dialing {
            phase:
                Phase::Bridged {
                    child,
                    since,
                    ring_s,
                    ..
                },
            ..
        }) = self.dialing()
        else {
            return;
        };
        let (child, since, ring_s) = (*child, *since, *ring_s);
        self.listen_no_more(cx);
        // A leg that was redirected away goes its own way.
        if ended != Ended::Redirected(child) {
            cx.letter(Letter::Hangup {
                call: child,
                reason: ended.reason(),
            });
        }
        let talk_s = cx.now.seconds_since(since);
        // That its answer cannot be used is found out after the bridge was made.
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
        self.dial_ends(outcome, cx);
    }

    /// The caller's leg is over while the verb runs.
    pub(super) fn dial_leg_is_over(&mut self, reason: Reason, cx: &mut Context) {
        let leg = self.sid;
        let Some(dialing) = self.dialing() else {
            return;
        };
        match &dialing.phase {
            Phase::Forking { fork, tone } => {
                stop(tone, leg, cx);
                let reason = if reason == Reason::Shutdown {
                    reason
                } else {
                    Reason::ParentGone
                };
                cx.letter(Letter::AbandonFork(*fork, reason));
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
                self.dial_ends(outcome, cx);
            }
            // The bridge hears of it and tells us.
            Phase::Bridged { .. } | Phase::Closing { .. } => {}
        }
    }

    /// The fork was abandoned; this is how it stood.
    pub(crate) fn fork_abandoned(&mut self, fork: ForkId, result: ForkResult, cx: &mut Context) {
        let ours = matches!(
            self.dialing(),
            Some(Dialing { phase: Phase::Forking { fork: ours, .. }, .. }) if *ours == fork
        );
        if ours {
            self.dial_ends(outcome_of(result), cx);
        }
    }

    fn listen_no_more(&self, cx: &mut Context) {
        let listens = self.dialing().is_some_and(|it| it.dial.hangup_on_star);
        if listens && self.is_up() {
            cx.media(self.sid, MediaCommand::ListenDigits { on: false });
        }
    }

    fn dial_ends(&mut self, outcome: Outcome, cx: &mut Context) {
        let recording = self.dialing().and_then(|dialing| dialing.recording);
        if recording.is_some_and(|sid| self.is_recording(sid)) {
            if let Some(dialing) = self.dialing_mut() {
                dialing.phase = Phase::Closing { outcome };
            }
        } else {
            self.dial_done(outcome, cx);
        }
    }

    /// The connection is being recorded.
    pub(crate) fn dial_is_recorded(&mut self, sid: RecordingSid) {
        if let Some(dialing) = self.dialing_mut() {
            dialing.recording = Some(sid);
        }
    }

    /// The recording is closed, or never will be.
    pub(crate) fn dial_recording_over(
        &mut self,
        sid: RecordingSid,
        stored: bool,
        cx: &mut Context,
    ) {
        let Some(dialing) = self.dialing_mut() else {
            return;
        };
        if dialing.recording != Some(sid) {
            return;
        }
        if !stored {
            dialing.recording = None;
        }
        if let Phase::Closing { outcome } = &dialing.phase {
            let outcome = outcome.clone();
            self.dial_done(outcome, cx);
        }
    }

    fn dial_done(&mut self, outcome: Outcome, cx: &mut Context) {
        let Some(run) = &mut self.run else { return };
        match std::mem::replace(&mut run.state, State::Ready) {
            State::Dialing(dialing) => {
                self.dial_finished(&dialing.dial, dialing.recording, &outcome, cx);
            }
            other => run.state = other,
        }
    }

    /// Requests the action, or goes on with the next verb.
    fn dial_finished(
        &mut self,
        dial: &rcml::Dial,
        recording: Option<RecordingSid>,
        outcome: &Outcome,
        cx: &mut Context,
    ) {
        cx.trace(
            self.sid,
            Lane::Rcml,
            "<Dial> ended",
            outcome.status.as_str(),
        );
        if let Some(written) = &dial.action {
            match self.address(written, cx) {
                Some(url) if self.count_redirect(cx) => {
                    self.redirect_loop(&url, cx);
                    self.finish_run();
                }
                Some(url) => {
                    let params = self.dial_params(outcome, recording, cx);
                    let state = self.fetch(url, dial.method, params, Purpose::FollowUp, cx);
                    if let Some(run) = &mut self.run {
                        run.state = state;
                    }
                }
                None => {
                    self.bad_address(cx);
                    self.finish_run();
                }
            }
        }
        self.advance(cx);
    }

    fn finish_run(&mut self) {
        if let Some(run) = &mut self.run {
            run.state = State::Finished;
        }
    }

    fn dial_params(
        &self,
        outcome: &Outcome,
        recording: Option<RecordingSid>,
        cx: &Context,
    ) -> Params {
        let mut params = self.voice_params(cx);
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
            let url = (cx.settings.recording_address.0)(self.info.account, recording);
            add("RecordingUrl", url.clone());
            add("PublicRecordingUrl", url);
        }
        if let Some(response) = &outcome.response {
            dial_sip_params(response, &mut params);
        }
        params
    }

    pub(super) fn dialing(&self) -> Option<&Dialing> {
        match &self.run {
            Some(Run {
                state: State::Dialing(dialing),
                ..
            }) => Some(dialing),
            _ => None,
        }
    }

    fn dialing_mut(&mut self) -> Option<&mut Dialing> {
        match &mut self.run {
            Some(Run {
                state: State::Dialing(dialing),
                ..
            }) => Some(dialing),
            _ => None,
        }
    }
}

fn stop(tone: &Tone, leg: CallSid, cx: &mut Context) {
    if let Tone::Playing(play) = tone {
        cx.media(leg, MediaCommand::StopPlay { play: *play });
    }
}

fn outcome_of(result: ForkResult) -> Outcome {
    let ForkResult { status, last, .. } = result;
    Outcome {
        status,
        child: last.as_ref().map(|leg| leg.call),
        talk_s: 0,
        ring_s: last.as_ref().map(|leg| leg.ring_s),
        response: last.and_then(|leg| leg.response),
    }
}
