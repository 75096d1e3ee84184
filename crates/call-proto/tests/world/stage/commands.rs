//! Carries out what the family asks of the world.

use super::super::media::Media;
use super::super::phone::{Phone, Step};
use super::super::random::Random;
use super::super::rules::Rules;
use super::super::run::{Asked, Run};
use super::super::{Act, ApiCall, Reply, Root, Weather, World, directory, document_at, status};
use call_proto::routing::Decision;
use call_proto::{
    Addressed, AudioFailure, Clip, Command, Document, Event, Fact, Family, FetchRequest, Headers,
    Inbound, Invite, LegCommand, LegEvent, MediaEvent, Modify, OutboundApi, Req, Route, Script,
    Settings, Target, Unreachable, Via,
};
use model::record::CallRecord;
use model::{CallSid, Direction, HttpMethod, InstanceSid, RecordingSid, Timestamp, error};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::*;

impl Stage {
    pub(super) fn carry_out(&mut self) {
        loop {
            let commands = match &mut self.family {
                Some(family) => family.poll_commands(),
                None => return,
            };
            if commands.is_empty() {
                return;
            }
            self.rules.batch(&commands);
            let mut refused = BTreeSet::new();
            for Addressed { call, command } in commands {
                if let Command::Commit(facts) = &command {
                    refused = self.not_kept(facts);
                }
                if !refused.contains(&call) || matches!(command, Command::Commit(_)) {
                    self.command(call, command);
                }
            }
            for call in refused {
                self.tell_in(0, call, Event::NotRecorded);
            }
        }
    }

    /// The legs whose records cannot be kept.
    fn not_kept(&self, facts: &[Fact]) -> BTreeSet<CallSid> {
        let created = facts.iter().filter_map(|fact| match fact {
            Fact::Created(record) => Some(record),
            _ => None,
        });
        let unrecorded = &self.world.unrecorded;
        created
            .filter(|record| unrecorded.contains(party(record)))
            .map(|record| record.sid)
            .collect()
    }

    pub(super) fn command(&mut self, call: CallSid, command: Command) {
        match command {
            Command::Commit(facts) => facts.into_iter().for_each(|fact| self.fact(fact)),
            Command::Resolve { req, targets } => {
                let routes = targets.iter().map(|target| self.routes(target)).collect();
                let late = self.world.looking_up_ms;
                self.tell_in(late, call, Event::Resolved { req, routes });
            }
            Command::Fetch { req, request } => self.fetch(call, req, request),
            Command::Speak { req, text, .. } => {
                self.run
                    .media(self.now, &self.name(call), &format!("speak {text}"));
                self.audio(
                    call,
                    req,
                    &text,
                    (!text.contains("unspeakable")).then_some(1_000),
                );
            }
            Command::Load { req, url, author } => {
                self.run.loaded.push((url.clone(), author));
                let length = self.world.clips.get(&url).copied();
                self.audio(call, req, &url, length);
            }
            Command::SendMessage { req, message } => {
                let to = user_of(&message.route.uri);
                self.run.sent(self.now, &self.name(call), "MESSAGE", &to);
                if let Some(status) = self.world.message_answer {
                    let reason = String::new();
                    let answered = Event::MessageAnswered {
                        req,
                        status,
                        reason,
                    };
                    self.tell_in(20, call, answered);
                }
            }
            Command::Room(_) => {} // No verb asks for a room.
            Command::Leg(command) => self.leg(call, command),
            Command::Listen { req, request } => self.listen(call, req, request),
            Command::EndOfSpeech { req } => self.end_of_speech(call, req),
            Command::StopListening { req } => self.stop_listening(call, req),
            Command::Media(command) => self.media_command(call, command),
            Command::Trace(entry) => self.run.trace.push(entry),
            Command::Forget => {}
        }
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        if let Fact::Created(record) = &fact {
            self.add_side(record.sid, party(record));
        }
        let name = fact_leg(&fact).map_or_else(String::new, |call| self.name(call));
        self.run.fact(self.now, &name, fact);
    }

    pub(super) fn routes(&mut self, target: &Target) -> Result<Vec<Route>, Unreachable> {
        let user = user_of(target.as_str());
        let phones = self.world.phones.get(&user).cloned().unwrap_or_default();
        let trunk = self.world.directory.trunk || !matches!(target, Target::Number(_));
        if phones.is_empty() || !trunk {
            return Err(Unreachable {
                code: error::UNREACHABLE_TARGET,
                text: format!("`{user}` is not there"),
            });
        }
        let mut routes = Vec::new();
        let contacts = match target {
            Target::Client(_) => phones.len(),
            Target::Number(_) | Target::Sip(_) | Target::Named(_) => 1,
        };
        for (at, phone) in phones.into_iter().take(contacts).enumerate() {
            let (uri, via) = match target {
                Target::Client(login) | Target::Named(login) => (
                    format!("sip:{login}@10.0.0.{}{}", at + 1, phone.contact),
                    Via::Binding(format!("{login}/{at}")),
                ),
                Target::Number(number) => (
                    format!("sip:{number}@proxy.example"),
                    Via::Trunk("outside".to_owned()),
                ),
                Target::Sip(uri) => (uri.clone(), Via::Uri(uri.clone())),
            };
            let name = match at {
                0 => user.clone(),
                at => format!("{user}{}", at + 1),
            };
            self.contacts.insert(uri.clone(), (name, phone));
            routes.push(Route {
                uri,
                to: None,
                from_host: "pbx.example".to_owned(),
                via,
                credentials: None,
            });
        }
        Ok(routes)
    }

    pub(super) fn fetch(&mut self, call: CallSid, req: Req, request: FetchRequest) {
        let path = request
            .url
            .strip_prefix("http://app")
            .unwrap_or(&request.url);
        let replies = self.pages.get_mut(path);
        let reply = match replies {
            Some(replies) if replies.len() > 1 => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        };
        let reply = reply.unwrap_or_else(|| status(404));
        let result = reply.result(&request.url);
        let asked = Asked {
            at: self.now,
            path: path.to_owned(),
            method: request.method,
            params: request.params,
            author: request.author,
        };
        self.rules.asked(call, &asked.params);
        self.run.asked(asked);
        self.tell_in(reply.latency_ms, call, Event::Fetched { req, result });
    }

    pub(super) fn audio(&mut self, call: CallSid, req: Req, what: &str, length_ms: Option<u64>) {
        let result = match length_ms {
            Some(length) => Ok(Clip {
                id: self.media.clip(what),
                length: std::time::Duration::from_millis(length),
            }),
            None => Err(AudioFailure {
                code: error::MEDIA_DOWNLOAD,
                text: format!("{what} cannot be had"),
            }),
        };
        self.tell_in(0, call, Event::Audio { req, result });
    }

    pub(super) fn leg(&mut self, call: CallSid, command: LegCommand) {
        let name = self.name(call);
        let (now, state) = (self.now, self.state(call));
        match command {
            LegCommand::Headers(headers) => {
                self.run.headers.insert(call, headers);
            }
            LegCommand::Ring => self.run.sent(now, &name, "180", ""),
            LegCommand::Answer { .. } => {
                self.run.sent(now, &name, "200", "");
                if state == State::Setup {
                    self.set_state(call, State::Answered);
                    match self.world.caller.ack_ms {
                        Some(ack) => self.later(ack, Due::Ack(call, true)),
                        None => self.later(GIVE_UP_MS, Due::Ack(call, false)),
                    }
                }
            }
            LegCommand::Reject { status, reason } => {
                let reason = reason.unwrap_or_default();
                self.run.sent(now, &name, &status.to_string(), &reason);
                self.set_state(call, State::Over);
            }
            LegCommand::Invite(invite) => self.invited(call, *invite),
            // Its 200 is here already and on its way to the family: the SIP side hangs up.
            LegCommand::Cancel if state == State::Up => {
                self.run.sent(now, &name, "BYE", "");
                self.set_state(call, State::Over);
            }
            LegCommand::Cancel => {
                self.run.sent(now, &name, "CANCEL", "");
                self.set_state(call, State::Withdrawn);
                let phone = self.sides.get(&call).and_then(|side| side.phone.clone());
                if let Some(in_ms) = phone.and_then(|phone| phone.cancel_ms) {
                    self.later(in_ms, Due::Phone(call, Step::Withdraw));
                }
            }
            LegCommand::Bye { reason } => {
                let reason = reason.unwrap_or_default();
                self.run.sent(now, &name, "BYE", &reason);
                self.set_state(call, State::Over);
                let phone = self.sides.get(&call).and_then(|side| side.phone.as_ref());
                let event = if phone.is_some_and(|phone| phone.forgets) {
                    let reason = "404 to BYE".to_owned();
                    LegEvent::Lost { reason }
                } else {
                    LegEvent::ByeDone
                };
                self.tell_in(10, call, Event::Leg(event));
            }
            LegCommand::AnswerReinvite { sdp } => {
                self.run.sent(now, &name, "200 to re-INVITE", "");
                self.run.reinvite_sdp = Some(sdp);
            }
            LegCommand::RejectReinvite { status } => {
                self.run
                    .sent(now, &name, &format!("{status} to re-INVITE"), "");
            }
        }
    }
}

/// Whose leg a record is about.
fn party(record: &CallRecord) -> &str {
    match record.direction {
        Direction::Inbound => "K",
        Direction::OutboundApi | Direction::OutboundDial => &record.to,
    }
}
