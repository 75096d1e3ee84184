//! The scripts of one leg: a stack, whose top controls the leg.
//!
//! A numbered answer goes to the script that waits for it; keys go to the one on top. A finished
//! script leaves the stack. **Invariant: above the script whose verb wants a companion there is that
//! companion, unless it has ended by itself, and no other.**

use model::{ConferenceSid, QueueSid, Timestamp};

use super::findings::Told;
use super::script::{Input, Script};
use super::verb::{Host, Parts};
use crate::context::Context;
use crate::event::Req;
use crate::leg::Leg;
use crate::letter::ForkId;

/// The scripts of one leg.
#[derive(Default)]
pub(crate) struct Scripts {
    /// The last one is the top.
    stack: Vec<Script>,
    /// The last companion that ended by itself.
    silent: Option<Req>,
    /// The findings reported for their documents.
    told: Told,
}

impl Scripts {
    /// Puts a script on top; [`Input::Start`] starts it.
    pub(crate) fn push(&mut self, script: Script) {
        self.stack.push(script);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.stack.iter().filter_map(Script::poll_timeout).min()
    }

    /// Whether a script waits for the end of this fork.
    pub(crate) fn await_fork(&self, fork: ForkId) -> bool {
        let awaited = |script: &Script| script.awaited_fork() == Some(fork);
        self.stack.iter().any(awaited)
    }

    /// Whether a script is in this conference.
    pub(crate) fn are_in(&self, conference: ConferenceSid) -> bool {
        let is_in = |script: &Script| script.conference() == Some(conference);
        self.stack.iter().any(is_in)
    }

    /// Whether a script is in any conference.
    pub(crate) fn are_in_a_conference(&self) -> bool {
        let is_in = |script: &Script| script.conference().is_some();
        self.stack.iter().any(is_in)
    }

    /// Whether a script waits in this queue.
    pub(crate) fn wait_in(&self, queue: QueueSid) -> bool {
        let waits = |script: &Script| script.queue() == Some(queue);
        self.stack.iter().any(waits)
    }

    /// Whether a script has phones ringing.
    pub(crate) fn ring_phones(&self) -> bool {
        let rings = |script: &Script| script.awaited_fork().is_some();
        self.stack.iter().any(rings)
    }

    /// Whether an unanswered caller hears ringing because of a script.
    pub(crate) fn let_it_ring(&self) -> bool {
        self.stack.iter().any(Script::lets_it_ring)
    }

    /// The leg ends for a reason beyond their control.
    pub(crate) fn abandon(&mut self) {
        self.stack.iter_mut().for_each(Script::abandon);
    }

    /// The caller waited for a `<Dial>` that failed with this final SIP status.
    pub(crate) fn caller_waited_for(&mut self, status: u16) {
        if let Some(top) = self.stack.last_mut() {
            top.caller_waited_for(status);
        }
    }

    /// Passes an input to the scripts, top first.
    pub(crate) fn handle(&mut self, input: &Input, parts: &mut Parts<'_>, cx: &mut Context) {
        for at in (0..self.stack.len()).rev() {
            let goes_no_further = input.is_for_top() && self.stack[at].keeps(input);
            self.with(at, parts, |script, host| {
                script.handle(input, host, cx);
            });
            // Before the next verb plays something.
            self.end_companion(at, parts, cx);
            self.with(at, parts, |script, host| {
                script.proceed(host, cx);
            });
            if goes_no_further {
                break;
            }
        }
        self.start_companion(parts, cx);
        self.stack.retain(|script| !script.is_finished());
    }

    fn with(&mut self, at: usize, parts: &mut Parts<'_>, act: impl FnOnce(&mut Script, Host<'_>)) {
        let host = parts.host(&mut self.told);
        if let Some(script) = self.stack.get_mut(at) {
            act(script, host);
        }
    }

    /// Ends the companion above a script if its verb no longer wants it, or if it has ended.
    fn end_companion(&mut self, at: usize, parts: &mut Parts<'_>, cx: &mut Context) {
        let above = self.stack.get(at + 1);
        let Some(id) = above.and_then(Script::companion) else {
            return;
        };
        let wanted = self.stack[at].wants_companion();
        let is_wanted = wanted.is_some_and(|companion| companion.id == id);
        let has_ended = above.is_some_and(Script::is_finished);
        if has_ended {
            self.silent = Some(id);
        }
        if (has_ended || !is_wanted)
            && let Some(script) = self.stack.pop()
        {
            let host = parts.host(&mut self.told);
            let end = script.companion_end();
            script.detach(host, cx);
            if has_ended {
                let over = Input::CompanionOver(id, end);
                self.with(at, parts, |script, host| {
                    script.handle(&over, host, cx);
                });
            }
        }
    }

    /// Starts the companion that the verb on top wants.
    fn start_companion(&mut self, parts: &mut Parts<'_>, cx: &mut Context) {
        let Some(owner) = self.stack.last() else {
            return;
        };
        let Some(companion) = owner.wants_companion() else {
            return;
        };
        if self.silent == Some(companion.id) {
            return;
        }
        let script = owner.beside(companion, cx.now);
        self.stack.push(script);
        let at = self.stack.len() - 1;
        self.with(at, parts, |script, host| {
            script.proceed(host, cx);
        });
    }

    /// Leaves all of them without ending the leg: another script takes over.
    pub(crate) fn detach(&mut self, parts: &mut Parts<'_>, cx: &mut Context) {
        parts.leg.drop_kept_keys(cx);
        while let Some(script) = self.stack.pop() {
            let host = parts.host(&mut self.told);
            script.detach(host, cx);
        }
    }

    /// The findings reported so far.
    pub(crate) fn told(&mut self) -> &mut Told {
        &mut self.told
    }

    /// At the end of the call: reports how many findings were left out.
    pub(crate) fn tell_left_out(&mut self, leg: &Leg, cx: &mut Context) {
        self.told.tell_left_out(leg.profile.about(None), cx);
    }
}
