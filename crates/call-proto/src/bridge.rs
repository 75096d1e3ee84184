//! Two answered legs that hear each other.
//!
//! **Invariant: a bridge ends once, and notifies both its legs.** It starts the recording
//! and keeps the time limit. Left to others: the end of the recording, and what each leg does afterwards.

use model::{CallSid, RecordingSid, Timestamp};

use crate::command::MediaCommand;
use crate::context::{Context, Letter};
use crate::event::PlayId;
use crate::letter::{BridgeId, Ended, Plan};
use crate::trace::Lane;

pub(crate) struct Bridge {
    id: BridgeId,
    plan: Plan,
    limit_at: Timestamp,
    /// Keys that the callee receives before the legs hear each other.
    keys: Option<PlayId>,
}

impl Bridge {
    /// Two legs that will hear each other: immediately, or once these keys are pressed towards the
    /// callee.
    pub(crate) fn new(id: BridgeId, plan: Plan, digits: Option<String>, cx: &mut Context) -> Self {
        let keys = digits.map(|digits| {
            let play = cx.play_id();
            cx.media(plan.callee, MediaCommand::SendDigits { play, digits });
            play
        });
        let limit_at = cx.now + plan.limit;
        let bridge = Self {
            id,
            plan,
            limit_at,
            keys,
        };
        if bridge.is_joined() {
            bridge.join(cx);
        }
        bridge
    }

    /// Whether the legs hear each other.
    pub(crate) fn is_joined(&self) -> bool {
        self.keys.is_none()
    }

    /// Whether these are the keys to be pressed first.
    pub(crate) fn waits_for(&self, play: PlayId) -> bool {
        self.keys == Some(play)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The keys have been pressed: the legs hear each other now.
    pub(crate) fn played(&mut self, cx: &mut Context) {
        self.keys = None;
        self.join(cx);
    }

    fn join(&self, cx: &mut Context) {
        let Plan {
            caller,
            callee,
            recording,
            ref recording_terms,
            ..
        } = self.plan;
        cx.media(caller, MediaCommand::Bridge { with: callee });
        if let Some(recording) = recording {
            cx.media(caller, recording_terms.command(recording));
        }
        cx.trace(caller, Lane::Media, "bridged", &callee.to_string());
    }

    pub(crate) fn poll_timeout(&self) -> Timestamp {
        self.limit_at
    }

    /// The other leg.
    pub(crate) fn partner(&self, leg: CallSid) -> CallSid {
        if self.plan.caller == leg {
            self.plan.callee
        } else {
            self.plan.caller
        }
    }

    /// Its recording, and the recorded leg.
    pub(crate) fn recording(&self) -> Option<(CallSid, RecordingSid)> {
        let recording = self.plan.recording.filter(|_| self.is_joined())?;
        Some((self.plan.caller, recording))
    }

    /// Separates the legs without notifying them. Its recording has been stopped before.
    pub(crate) fn dissolve(self, cx: &mut Context) {
        if let Some(play) = self.keys {
            cx.media(self.plan.callee, MediaCommand::StopPlay { play });
            return;
        }
        let Plan { caller, callee, .. } = self.plan;
        cx.media(caller, MediaCommand::Unbridge { with: callee });
    }

    /// Ends the bridge, whose recording has been stopped; the family then forgets it.
    pub(crate) fn end(self, ended: Ended, cx: &mut Context) {
        let (bridge, caller, callee) = (self.id, self.plan.caller, self.plan.callee);
        self.dissolve(cx);
        cx.letter(Letter::BridgeOver {
            call: caller,
            bridge,
            ended,
        });
        cx.letter(Letter::BridgeOver {
            call: callee,
            bridge,
            ended,
        });
    }
}
