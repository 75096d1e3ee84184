//! Changes that the API makes to a live call.

use model::address::redacted;
use model::{Direction, RecordingSource, error};

use crate::call::Call;
use crate::callback::CallbackTarget;
use crate::context::{Context, Letter};
use crate::dialect::Dialect;
use crate::event::{Modify, ParticipantChange, Redirect};
use crate::fact::Reason;
use crate::letter::{Ended, Role};
use crate::queueing::Note;
use crate::request::{Changed, ModifyError};
use crate::trace::Lane;

impl Call {
    /// Makes a change, or returns why not; then nothing has changed.
    pub(crate) fn modify(
        &mut self,
        modify: Modify,
        cx: &mut Context,
    ) -> Result<Changed, ModifyError> {
        let (what, detail) = match &modify {
            Modify::Complete => ("complete", String::new()),
            Modify::Cancel => ("cancel", String::new()),
            Modify::Redirect(redirect) if redirect.document.text.is_some() => {
                ("redirect", "a document in the request".to_owned())
            }
            Modify::Redirect(redirect) => ("redirect", redacted(&redirect.document.url)),
            // Traced there.
            Modify::Interject(what) => {
                self.interject(None, (**what).clone(), cx);
                return Ok(Changed::Call);
            }
            Modify::Participant(change) => ("participant", change_in_words(change)),
            Modify::Record(new) => ("record", new.sides.words().to_owned()),
            Modify::Recording(change) => {
                let (what, detail) = change.turn.words();
                (what, detail.to_owned())
            }
        };
        cx.trace(self.sid(), Lane::Api, what, &detail);
        if self.leg.is_over() {
            return Err(ModifyError::NotLive);
        }
        match modify {
            Modify::Complete => self.leg.end_by_api(cx),
            // An answered call continues, as its status shows.
            Modify::Cancel if !self.leg.can_be_canceled() => {}
            Modify::Cancel => self.leg.end_by_api(cx),
            Modify::Redirect(redirect) => self.redirect(*redirect, cx)?,
            Modify::Interject(_) => {}
            Modify::Participant(change) => {
                if !self.change_participant(*change, cx) {
                    return Err(ModifyError::NotInConference);
                }
            }
            Modify::Record(new) => {
                let recorded = self.record(*new, RecordingSource::StartCallRecordingApi, cx);
                return recorded
                    .map(Changed::Recording)
                    .map_err(ModifyError::Recording);
            }
            Modify::Recording(change) => {
                let changed = self.change_recording(change, cx);
                return changed
                    .map(Changed::Recording)
                    .map_err(ModifyError::Recording);
            }
        }
        Ok(Changed::Call)
    }

    /// As [`modify`](Self::modify), if no requester waits for the reply.
    pub(crate) fn modify_unasked(&mut self, modify: Modify, cx: &mut Context) {
        let url = match &modify {
            Modify::Redirect(redirect) => Some(redirect.document.url.clone()),
            Modify::Complete
            | Modify::Cancel
            | Modify::Interject(_)
            | Modify::Participant(_)
            | Modify::Record(_)
            | Modify::Recording(_) => None,
        };
        if self.modify(modify, cx) == Err(ModifyError::NotAnswered) {
            let about = self.leg.profile.about(url.as_deref());
            let text = "the call is not answered yet; it was not redirected";
            cx.notify(about, error::CALL_NOT_LIVE, text);
        }
    }

    /// Drops the current activity of the leg and runs another document on it.
    pub(crate) fn redirect(
        &mut self,
        redirect: Redirect,
        cx: &mut Context,
    ) -> Result<(), ModifyError> {
        if self.leg.is_over() {
            return Err(ModifyError::NotLive);
        }
        if let Some(queue) = redirect.only_in
            && !self.scripts.wait_in(queue)
        {
            return Err(ModifyError::NotInQueue);
        }
        if self.leg.is_calling() {
            return self.redirect_before_answer(redirect, cx);
        }
        let waits = self.leg.is_unanswered() && self.scripts.let_it_ring();
        let partner_moves = redirect.move_connected_leg;
        let moved = partner_moves.then(|| Box::new(redirect.clone()));
        if let Some(meeting) = &self.leg.meeting
            && let Some(redirect) = moved.clone()
        {
            self.sends_note(meeting, Note::Redirect(redirect), cx);
        }
        if let Some(bridge) = self.leg.bridge {
            cx.letter(Letter::Dissolve {
                bridge,
                left: self.sid(),
                moved,
            });
        }
        self.leg.leave_screening(cx);
        self.detach_scripts(cx);
        self.change_dialect(redirect.dialect);
        self.leg.reporter.retarget(callback_of(&redirect));
        self.leg.reporter.transfer.clear();
        self.start_document(redirect.document, Role::Main, cx);
        if waits {
            self.scripts.caller_waited_for(487);
        }
        Ok(())
    }

    /// Nothing is running yet: replaces the document to run.
    fn redirect_before_answer(
        &mut self,
        redirect: Redirect,
        cx: &mut Context,
    ) -> Result<(), ModifyError> {
        match self.leg.fork() {
            Some(fork) if self.leg.profile.direction == Direction::OutboundApi => {
                self.change_dialect(redirect.dialect);
                self.leg.reporter.retarget(callback_of(&redirect));
                let document = Box::new(redirect.document);
                cx.letter(Letter::Redirect { fork, document });
                Ok(())
            }
            _ => Err(ModifyError::NotAnswered),
        }
    }

    /// A redirect starts a new run, in the dialect of the request.
    fn change_dialect(&mut self, dialect: Option<Dialect>) {
        let profile = &mut self.leg.profile;
        profile.dialect = dialect.unwrap_or(profile.dialect);
    }

    /// The bridge ended because one of its legs was redirected; this is the other one.
    pub(crate) fn partner_redirected(
        &mut self,
        left: model::CallSid,
        moved: Option<Box<Redirect>>,
        cx: &mut Context,
    ) {
        self.leg.bridge = None;
        match moved {
            Some(redirect) => {
                let alone = Redirect {
                    move_connected_leg: false,
                    ..*redirect
                };
                // An ended leg needs no document.
                let _ = self.redirect(alone, cx);
            }
            // A dialled party without a script ends all the same.
            None if self.leg.profile.dialect.caller_survives_redirect => {
                self.bridge_over(Ended::Redirected(left), cx);
            }
            None => {
                self.scripts.abandon();
                self.bridge_over(Ended::Redirected(left), cx);
                self.end_leg(Reason::Api, cx);
            }
        }
    }
}

/// Where the statuses of the new run go; the author of its document also set that address.
fn callback_of(redirect: &Redirect) -> Option<CallbackTarget> {
    let (url, method) = redirect.status_callback.clone()?;
    Some(CallbackTarget {
        url,
        method,
        author: redirect.document.author,
    })
}

/// A change of a participant, for the trace.
fn change_in_words(change: &ParticipantChange) -> String {
    let flag = |value: Option<bool>, on: &'static str, off: &'static str| {
        value.map(|value| if value { on } else { off })
    };
    let words = [
        flag(change.muted, "mute", "unmute"),
        flag(change.on_hold, "hold", "unhold"),
        flag(
            change.ends,
            "ends the conference",
            "does not end the conference",
        ),
        change.announcement.as_ref().map(|_| "announce"),
        change.kick.then_some("remove"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
