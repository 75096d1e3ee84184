//! Callbacks about a conference and its members, as Twilio makes them.
//!
//! **Invariant: the callbacks of a conference are numbered without a gap, and the last one about it or a
//! member reports its end**; those about its recording are numbered with them, and may follow.

use model::record::Callback;
use model::{CallSid, ConferenceEvent, Timestamp};

use super::RoomOpening;
use crate::fact::Fact;
use crate::farewell::{
    CONFERENCE_END, RoomFarewell, RoomRecordingAddress, conference_end, conference_params,
};
use crate::ids::Ids;
use crate::membership::{Departure, RoomCallback, RoomEnd, Wish};
use crate::params::Params;

/// Why members left a conference that ended.
pub(super) const OVER: &str = "conference_ended";

/// What happened to a member.
#[derive(Clone, Copy)]
pub(super) enum Report {
    /// It entered.
    Joined,
    /// It was muted, or unmuted.
    Muted(bool),
    /// It was put on hold, or taken back.
    Held(bool),
    /// Whether its leaving ends the conference, or whom it coaches, was changed.
    Modified,
    /// An announcement to it has ended.
    Announced { failed: bool },
    /// It left, for this reason.
    Left(&'static str),
}

impl Report {
    const fn event(self) -> ConferenceEvent {
        match self {
            Self::Joined => ConferenceEvent::Join,
            Self::Muted(_) => ConferenceEvent::Mute,
            Self::Held(_) => ConferenceEvent::Hold,
            Self::Modified => ConferenceEvent::Modify,
            Self::Announced { .. } => ConferenceEvent::Announcement,
            Self::Left(_) => ConferenceEvent::Leave,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Joined => "participant-join",
            Self::Muted(true) => "participant-mute",
            Self::Muted(false) => "participant-unmute",
            Self::Held(true) => "participant-hold",
            Self::Held(false) => "participant-unhold",
            Self::Modified => "participant-modify",
            Self::Announced { failed: false } => "announcement-end",
            Self::Announced { failed: true } => "announcement-fail",
            Self::Left(_) => "participant-leave",
        }
    }
}

/// Reports the events of one conference.
pub(super) struct Reporter {
    pub(super) ids: Ids,
    callback: Option<RoomCallback>,
    /// Callbacks made so far.
    sent: i64,
}

impl Reporter {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            ids: Ids::new(seed),
            callback: None,
            sent: 0,
        }
    }

    pub(super) const fn has_target(&self) -> bool {
        self.callback.is_some()
    }

    /// From now on, events are reported.
    pub(super) fn begin(&mut self, callback: RoomCallback) {
        self.callback = Some(callback);
    }

    /// What is to be reported if the server dies.
    pub(super) fn farewell(
        &self,
        recording: Option<&RoomRecordingAddress>,
    ) -> Option<RoomFarewell> {
        let callback = self.callback.as_ref()?;
        let tells_end = callback.events.contains(&ConferenceEvent::End);
        tells_end.then(|| RoomFarewell::new(callback.target.clone(), recording.cloned()))
    }

    /// Callbacks made so far.
    pub(super) const fn numbered(&self) -> i64 {
        self.sent
    }

    /// The number of the next callback, which is made now.
    pub(super) const fn next_number(&mut self) -> i64 {
        self.sent += 1;
        self.sent - 1
    }

    pub(super) fn started(&mut self, opening: &RoomOpening, now: Timestamp) -> Option<Fact> {
        let name = "conference-start";
        self.tell(ConferenceEvent::Start, name, None, opening, Vec::new(), now)
    }

    /// - `by`: the call that ended it by leaving.
    /// - `recording`: its recording, if there is one.
    pub(super) fn ended(
        &mut self,
        opening: &RoomOpening,
        (why, by): (RoomEnd, Option<(CallSid, Departure)>),
        recording: Option<&RoomRecordingAddress>,
        now: Timestamp,
    ) -> Option<Fact> {
        let kicked = matches!(by, Some((_, Departure::Kicked)));
        let by = by.map(|(call, _)| call);
        let extra = conference_end(why.public(kicked), by, recording);
        self.tell(
            ConferenceEvent::End,
            CONFERENCE_END,
            None,
            opening,
            extra,
            now,
        )
    }

    pub(super) fn of_member(
        &mut self,
        what: Report,
        (call, wish, on_hold): (CallSid, &Wish, bool),
        opening: &RoomOpening,
        now: Timestamp,
    ) -> Option<Fact> {
        let mut extra = Params::new();
        let mut add = |name: &str, value: &str| extra.push((name.to_owned(), value.to_owned()));
        let flag = |value: bool| if value { "true" } else { "false" };
        add("CallSid", &call.to_string());
        add("Muted", flag(wish.muted));
        add("Hold", flag(on_hold));
        add("Coaching", flag(wish.coaches.is_some()));
        if let Some(call) = wish.coaches {
            add("CallSidToCoach", &call.to_string());
        }
        add("EndConferenceOnExit", flag(wish.ends));
        add("StartConferenceOnEnter", flag(wish.starts));
        if let Some(label) = &wish.label {
            add("ParticipantLabel", label);
        }
        if let Report::Left(why) = what {
            add("ReasonParticipantLeft", why);
        }
        self.tell(what.event(), what.name(), Some(call), opening, extra, now)
    }

    fn tell(
        &mut self,
        event: ConferenceEvent,
        name: &str,
        call: Option<CallSid>,
        opening: &RoomOpening,
        extra: Params,
        now: Timestamp,
    ) -> Option<Fact> {
        let callback = self.callback.as_ref()?;
        if !callback.events.contains(&event) {
            return None;
        }
        let target = callback.target.clone();
        let sequence = self.next_number();
        let about = (opening.sid, opening.account, opening.name.as_str());
        let mut params = conference_params(about, name, sequence, now);
        params.extend(extra);
        Some(Fact::Callback(Callback {
            event: self.ids.event(now),
            account: opening.account,
            author: target.author,
            lane: opening.sid.into(),
            call,
            sequence,
            url: target.url,
            method: target.method,
            params,
            created: now,
        }))
    }
}
