//! `<Dial>` with a `<Conference>`: the leg is a member of a room.
//!
//! The room decides who is admitted and who hears whom; the verb requests the membership, applies
//! the answers to the leg's endpoint, keeps the time limit, and determines what follows.
//! **Invariant: a membership that the verb requested ends with exactly one [`RoomRequest::Leave`],
//! or with the room's refusal or end.**

use std::time::Duration;

use model::record::Membership;
use model::{ConferenceEvent, ConferenceSid, Timestamp, error};
use rcml::Conference;

use super::companion::{Companion, CompanionEnd};
use super::dial;
use super::verb::{Running, Site, Step};
use crate::callback::CallbackTarget;
use crate::command::{Command, MediaCommand, RoomRequest, Sound};
use crate::context::Context;
use crate::event::{Coaching, ParticipantChange, PlayId, Req};
use crate::fact::{Fact, Reason};
use crate::membership::{
    Departure, Place, RoomCallback, RoomEnd, RoomEvent, RoomRecording, RoomRefusal, Terms, Wish,
};

/// How long a room may take to answer: longer than a slow disk takes.
const JOINS_WITHIN: Duration = Duration::from_secs(10);

/// The events reported if the document does not choose any.
const DEFAULT_EVENTS: [ConferenceEvent; 2] = [ConferenceEvent::Start, ConferenceEvent::End];

/// A `<Dial>` that is in a conference, or waiting to join one.
struct Attending {
    dial: rcml::Dial,
    conference: Conference,
    /// Number of the membership.
    req: Req,
    phase: Phase,
    /// Its last place in the mix, as the room said.
    place: Option<Place>,
    /// Heard until the conference starts.
    wait: Option<Companion>,
    /// Heard on hold, out of the mix.
    hold: Option<Companion>,
    /// Heard once.
    announcement: Option<Companion>,
    /// The tone being played.
    beep: Option<PlayId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The room must answer by this time.
    Joining { until: Timestamp },
    /// A member, until this time at the latest.
    In {
        conference: ConferenceSid,
        until: Timestamp,
    },
    /// No longer a member, for good.
    Out,
}

pub(super) fn start(
    dial: rcml::Dial,
    conference: Conference,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Step {
    let req = cx.req();
    let callback = callback_of(&conference, site, cx);
    let recording = recording_of(&conference, site, cx);
    let request = RoomRequest::Join {
        req,
        account: site.author(),
        name: conference.name.clone(),
        wish: Wish {
            muted: conference.muted,
            starts: conference.start_on_enter,
            needs_company: site.leg.profile.dialect.conference_needs_two,
            ends: conference.end_on_exit,
            max_members: conference.max_participants,
            beeps_on_enter: conference.beep.enter,
            beeps_on_exit: conference.beep.exit,
            label: conference.label.clone(),
            coaches: conference.coach,
            callback,
            recording,
        },
    };
    cx.command(site.leg.profile.sid, Command::Room(request));
    Step::Run(Box::new(Attending {
        dial,
        conference,
        req,
        phase: Phase::Joining {
            until: cx.now + JOINS_WITHIN,
        },
        place: None,
        wait: None,
        hold: None,
        announcement: None,
        beep: None,
    }))
}

/// Where the events of the conference go, if the document says so.
fn callback_of(
    conference: &Conference,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Option<Box<RoomCallback>> {
    let written = conference.status_callback.as_deref()?;
    let url = site.address(written, cx)?;
    let events = conference.status_callback_events.clone();
    Some(Box::new(RoomCallback {
        target: CallbackTarget {
            url,
            method: conference.status_callback_method,
            author: site.author(),
        },
        events: events.unwrap_or_else(|| DEFAULT_EVENTS.to_vec()),
    }))
}

/// The recording that the document asks for.
fn recording_of(
    conference: &Conference,
    site: &mut Site<'_>,
    cx: &mut Context,
) -> Option<Box<RoomRecording>> {
    let recording = conference.recording?;
    let callback = conference.recording_callback.as_ref();
    let dialect = site.leg.profile.dialect;
    Some(Box::new(RoomRecording {
        trim: recording.trim.unwrap_or(dialect.trims_records),
        callback: callback.and_then(|callback| site.recording_callback(callback, cx)),
        dialect,
    }))
}

impl Running for Attending {
    fn poll_timeout(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Joining { until } | Phase::In { until, .. } => Some(until),
            Phase::Out => None,
        }
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match self.phase {
            Phase::In { until, .. } if until <= cx.now => {
                site.leg.end(Reason::TimeLimit, cx);
                Step::Wait
            }
            Phase::Joining { until } if until <= cx.now => {
                self.leave(Departure::Lost, site, cx);
                self.refused(RoomRefusal::Unavailable, site, cx)
            }
            Phase::Joining { .. } | Phase::In { .. } | Phase::Out => Step::Wait,
        }
    }

    fn room(&mut self, req: Req, event: RoomEvent, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if req != self.req || self.phase == Phase::Out {
            return Step::Wait;
        }
        let leg = site.leg.profile.sid;
        match event {
            RoomEvent::Joined { conference, place } => {
                let limit = Duration::from_secs(u64::from(self.dial.time_limit_s));
                self.phase = Phase::In {
                    conference,
                    until: cx.now + limit,
                };
                if self.dial.hangup_on_star {
                    site.leg.listen_to_keys(true, cx);
                }
                self.keep_terms(conference, site, cx);
                self.place = Some(place);
                cx.media(leg, MediaCommand::JoinRoom { conference, place });
                if !place.started {
                    self.wait = Companion::of_wait(&self.conference.wait, site, cx);
                }
                Step::Wait
            }
            RoomEvent::Moved { conference, place } => {
                self.place = Some(place);
                if self.hold.is_none() {
                    cx.media(leg, MediaCommand::JoinRoom { conference, place });
                }
                if place.started {
                    self.wait = None;
                }
                Step::Wait
            }
            RoomEvent::Beep(beep) => {
                // A companion has the leg.
                if self.companion().is_none() {
                    self.beep = Some(site.play(Sound::Beep(beep), Some(1), cx));
                }
                Step::Wait
            }
            RoomEvent::Refused { why } => {
                self.phase = Phase::Out;
                self.refused(why, site, cx)
            }
            RoomEvent::Over { why } => {
                self.leave_mix(site, cx);
                self.phase = Phase::Out;
                self.is_silent();
                let reason = match why {
                    RoomEnd::Shutdown => Reason::Shutdown,
                    RoomEnd::TimeLimit => Reason::TimeLimit,
                    RoomEnd::Api => Reason::Api,
                    RoomEnd::Empty | RoomEnd::MemberLeft | RoomEnd::Failed => {
                        Reason::ConferenceOver
                    }
                };
                site.leg.end(reason, cx);
                Step::Wait
            }
        }
    }

    fn played(&mut self, play: PlayId, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        self.beep.take_if(|beep| *beep == play);
        Step::Wait
    }

    fn playing(&self) -> Option<PlayId> {
        self.beep
    }

    fn key(&mut self, key: char, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if !(self.dial.hangup_on_star && key == '*') {
            return Step::Wait;
        }
        self.leave(Departure::HungUp, site, cx);
        self.done(site, cx)
    }

    fn leg_is_over(&mut self, reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.leave(departure(reason), site, cx);
        self.done(site, cx)
    }

    fn companion(&self) -> Option<&Companion> {
        let above = self.announcement.as_ref().or(self.hold.as_ref());
        above.or(self.wait.as_ref())
    }

    fn companion_over(
        &mut self,
        id: Req,
        end: CompanionEnd,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if self.announcement.take_if(|it| it.id == id).is_some() {
            let (req, failed) = (self.req, end == CompanionEnd::Failed);
            let request = RoomRequest::Announced { req, failed };
            cx.command(site.leg.profile.sid, Command::Room(request));
        }
        Step::Wait
    }

    fn conference(&self) -> Option<ConferenceSid> {
        match self.phase {
            Phase::In { conference, .. } => Some(conference),
            Phase::Joining { .. } | Phase::Out => None,
        }
    }

    fn change_participant(
        &mut self,
        change: &ParticipantChange,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        if self.conference() != Some(change.conference) {
            return Step::Wait;
        }
        if change.kick {
            self.leave(Departure::Kicked, site, cx);
            return self.done(site, cx);
        }
        let before = self.terms();
        self.conference.muted = change.muted.unwrap_or(before.muted);
        self.conference.end_on_exit = change.ends.unwrap_or(before.ends);
        match change.coaching {
            Some(Coaching::Nobody) => self.conference.coach = None,
            Some(Coaching::Of(call)) => self.conference.coach = Some(call),
            None => {}
        }
        match change.on_hold {
            Some(true) => {
                let document = change.hold_document.clone();
                let hold = Companion::on_hold(document, cx);
                if self.hold.replace(hold).is_none() {
                    site.stop(self.beep.take(), cx);
                    cx.media(site.leg.profile.sid, MediaCommand::LeaveRoom);
                }
            }
            Some(false) => self.end_hold(change.conference, site, cx),
            None => {}
        }
        if self.terms() != before {
            self.keep_terms(change.conference, site, cx);
            let (req, terms) = (self.req, self.terms());
            let request = RoomRequest::Change { req, terms };
            cx.command(site.leg.profile.sid, Command::Room(request));
        }
        if let Some(document) = change.announcement.clone() {
            site.stop(self.beep.take(), cx);
            self.announcement = Some(Companion::announcing(document, cx));
        }
        Step::Wait
    }

    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        self.beep = None;
        self.leave(Departure::Api, site, cx);
    }
}

impl Attending {
    fn terms(&self) -> Terms {
        Terms {
            muted: self.conference.muted,
            ends: self.conference.end_on_exit,
            on_hold: self.hold.is_some(),
            coaches: self.conference.coach,
        }
    }

    /// Writes the terms of the membership to the call's record.
    fn keep_terms(&self, conference: ConferenceSid, site: &Site<'_>, cx: &mut Context) {
        let Terms {
            muted,
            ends,
            on_hold,
            coaches,
        } = self.terms();
        cx.fact(Fact::InConference {
            call: site.leg.profile.sid,
            at: cx.now,
            membership: Membership {
                conference,
                muted,
                starts: self.conference.start_on_enter,
                ends,
                on_hold,
                label: self.conference.label.clone(),
                coaches,
            },
        });
    }

    /// Hears the others again.
    fn end_hold(&mut self, conference: ConferenceSid, site: &Site<'_>, cx: &mut Context) {
        if let (Some(_), Some(place)) = (self.hold.take(), self.place) {
            let command = MediaCommand::JoinRoom { conference, place };
            cx.media(site.leg.profile.sid, command);
        }
    }

    /// Continues with the next verb.
    fn refused(&self, why: RoomRefusal, site: &Site<'_>, cx: &mut Context) -> Step {
        let (code, text) = match why {
            RoomRefusal::Full => (error::CONFERENCE_FULL, "is full"),
            RoomRefusal::Unavailable => (error::CONFERENCE_FAILED, "is not available"),
        };
        let text = format!("the conference `{}` {text}", self.conference.name);
        cx.notify(site.about_line(self.conference.line), code, &text);
        Step::Next
    }

    fn leave(&mut self, why: Departure, site: &mut Site<'_>, cx: &mut Context) {
        if self.phase == Phase::Out {
            return;
        }
        self.leave_mix(site, cx);
        self.is_silent();
        // The record of an ended leg stays as it was at the end.
        if let (Phase::In { conference, .. }, false) = (self.phase, site.leg.is_over()) {
            cx.fact(Fact::LeftConference {
                call: site.leg.profile.sid,
                at: cx.now,
                conference,
            });
        }
        self.phase = Phase::Out;
        let request = RoomRequest::Leave { req: self.req, why };
        cx.command(site.leg.profile.sid, Command::Room(request));
    }

    /// Leaves the mix; the endpoint of an ended leg is closed anyway.
    fn leave_mix(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        if !matches!(self.phase, Phase::In { .. }) || site.leg.is_over() {
            return;
        }
        site.stop(self.beep.take(), cx);
        let leg = site.leg.profile.sid;
        if self.dial.hangup_on_star {
            site.leg.listen_to_keys(false, cx);
        }
        if self.hold.is_none() {
            cx.media(leg, MediaCommand::LeaveRoom);
        }
    }

    /// Nothing is heard beside the mix any more.
    fn is_silent(&mut self) {
        (self.wait, self.hold, self.announcement) = (None, None, None);
    }

    fn done(&self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let status = site.leg.profile.dialect.conference_result;
        dial::follow(&self.dial, status, site, cx, |site, cx| {
            let mut params = site.voice_params(cx);
            params.push(("DialCallStatus".to_owned(), status.to_owned()));
            params
        })
    }
}

/// What the end of a leg means for the conference.
const fn departure(reason: Reason) -> Departure {
    match reason {
        Reason::HungUp | Reason::PartnerHungUp | Reason::CallerCanceled => Departure::HungUp,
        Reason::Api => Departure::Api,
        Reason::TimeLimit => Departure::TimeLimit,
        _ => Departure::Lost,
    }
}
