//! Carries out the call engine's commands in the states that allow them.

use std::time::Instant;

use super::core::Core;
use super::leg::{Leg, State};
use super::texting::is_text;
use super::{HeaderList, LegCommand, LegEvent, LegId};
use crate::dialog::Due;

impl Core {
    /// Carries out a command. One for an ended leg is ignored.
    pub fn handle_command(&mut self, id: LegId, command: LegCommand, now: Instant) {
        if let LegCommand::Invite(spec) = command {
            self.call(id, *spec, now);
        } else if let LegCommand::Message(spec) = command {
            self.message(id, *spec, now);
        } else if let LegCommand::Register(spec) = command {
            self.register(id, *spec, now);
        } else if let Some(mut leg) = self.take(id) {
            if let LegCommand::SetHeaders(headers) = command {
                leg.headers = self.sendable(id, headers);
            } else {
                self.command_leg(&mut leg, command, now);
            }
            self.put(leg);
        }
        self.pump(now);
    }

    fn command_leg(&mut self, leg: &mut Leg, command: LegCommand, now: Instant) {
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Arriving(arriving) => match command {
                LegCommand::AnswerText { status, reason } if is_text(&arriving.invite) => {
                    self.answer_text(leg, arriving, status, reason, now);
                }
                LegCommand::Progress { .. } | LegCommand::Answer { .. }
                    if is_text(&arriving.invite) =>
                {
                    leg.state = State::Arriving(arriving);
                }
                LegCommand::Progress { status, headers } => {
                    self.progress(leg, arriving, status, &headers, now);
                }
                LegCommand::Answer { sdp, headers } => {
                    self.answer(leg, &arriving, sdp, &headers, now);
                }
                LegCommand::Reject {
                    status,
                    reason,
                    headers,
                } => {
                    self.reject(leg, &arriving, (status, reason), &headers, now);
                }
                LegCommand::Challenge { stale } => self.challenge(leg, &arriving, stale, now),
                LegCommand::Bye { headers } => {
                    self.reject(leg, &arriving, (500, None), &headers, now);
                    let done = LegEvent::ByeDone {
                        status: 500,
                        headers: Vec::new(),
                    };
                    self.event(leg.id, done);
                }
                LegCommand::Invite(_)
                | LegCommand::Message(_)
                | LegCommand::Register(_)
                | LegCommand::SetHeaders(_)
                | LegCommand::AnswerText { .. }
                | LegCommand::Cancel
                | LegCommand::AnswerReinvite { .. }
                | LegCommand::RejectReinvite { .. }
                | LegCommand::Reinvite { .. }
                | LegCommand::AckSdp { .. }
                | LegCommand::AcceptRefer
                | LegCommand::RejectRefer { .. }
                | LegCommand::ReferDone { .. }
                | LegCommand::Refer { .. }
                | LegCommand::Info { .. } => leg.state = State::Arriving(arriving),
            },
            State::Calling(mut calling) => {
                if is_hang_up(&command) {
                    self.cancel(leg, &mut calling, now);
                }
                leg.state = State::Calling(calling);
            }
            State::Talking(mut talking) => match command {
                LegCommand::Bye { headers } | LegCommand::Reject { headers, .. } => {
                    self.bye(leg, talking, headers, now);
                }
                LegCommand::Cancel => self.bye(leg, talking, HeaderList::new(), now),
                other => {
                    self.command_dialog(leg, &mut talking, other, now);
                    leg.state = State::Talking(talking);
                }
            },
            state @ (State::Leaving(_) | State::Messaging(_) | State::Over) => leg.state = state,
        }
    }

    /// Handles a leg's timeout.
    pub(super) fn leg_timeout(&mut self, leg: &mut Leg, now: Instant) {
        match std::mem::replace(&mut leg.state, State::Over) {
            State::Arriving(mut arriving) => {
                self.refresh_progress(&mut arriving, now);
                leg.state = State::Arriving(arriving);
            }
            State::Calling(calling) => self.cancel_timeout(leg, &calling),
            State::Talking(mut talking) => {
                let due = talking
                    .awaited
                    .as_mut()
                    .map(|a| (a.tx, a.machine.handle_timeout(now)));
                match due {
                    Some((tx, Due::Resend(ok))) => self.table.respond_bytes(tx, 200, ok, now),
                    Some((_, Due::GiveUp)) => return self.never_acked(leg, *talking, now),
                    Some((_, Due::Nothing)) | None => {}
                }
                self.retry_reinvite(leg, &mut talking, now);
                if talking.unreported {
                    self.report_move(leg, &mut talking, now);
                }
                leg.state = State::Talking(talking);
            }
            state @ (State::Leaving(_) | State::Messaging(_) | State::Over) => leg.state = state,
        }
    }
}

fn is_hang_up(command: &LegCommand) -> bool {
    matches!(
        command,
        LegCommand::Cancel | LegCommand::Bye { .. } | LegCommand::Reject { .. }
    )
}
