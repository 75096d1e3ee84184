//! Carries out the commands of the calls.
//!
//! **Invariant: commands are carried out in order, as on a server.**

use std::collections::BTreeSet;

use call_proto::{
    Addressed, Command, Entry, Event, Fact, FetchRequest, Lane, OutgoingMessage, Req, Route,
    Target, Unreachable, Via,
};
use model::record::{CallRecord, Callback};
use model::{CallSid, Direction, error, number};

use super::Stage;
use super::pages::{self, Answering};
use crate::Asked;
use crate::heard::{Heard, Sense};
use crate::scene::{Opening, Phone};

impl<'a> Stage<'a> {
    /// Carries out all outputs of the machines.
    pub(super) fn carry_out(&mut self) {
        for family in 0..self.families.count() {
            loop {
                let commands = self.families.poll(family);
                if commands.is_empty() {
                    break;
                }
                self.watch.commands(self.now, &commands);
                self.batch(family, commands);
            }
        }
        self.carry_out_rooms();
    }

    fn batch(&mut self, family: usize, commands: Vec<Addressed>) {
        let (mut refused, mut unopened) = (BTreeSet::new(), BTreeSet::new());
        for Addressed { call, command } in commands {
            match command {
                Command::Commit(facts) => {
                    refused = self.not_kept(&facts);
                    for fact in facts {
                        self.fact(family, fact);
                    }
                }
                // Nothing may learn of its phones, either.
                Command::OpenBranch { branch } if refused.contains(&call) => {
                    unopened.insert(branch);
                }
                Command::OpenBranch { branch } => self.opens_branch(family, call, branch),
                command if !refused.contains(&call) && !unopened.contains(&call) => {
                    self.command(call, command);
                }
                _ => {}
            }
        }
        for call in refused {
            self.tell_soon(call, Event::NotRecorded);
        }
    }

    /// The legs whose records cannot be stored.
    fn not_kept(&self, facts: &[Fact]) -> BTreeSet<CallSid> {
        let unrecorded = &self.scene.faults.unrecorded;
        let created = facts.iter().filter_map(|fact| match fact {
            Fact::Created(record) => Some(record),
            _ => None,
        });
        created
            .filter(|record| {
                unrecorded.contains(match record.direction {
                    Direction::Inbound => self.party(record.sid),
                    Direction::OutboundApi | Direction::OutboundDial => &record.to,
                })
            })
            .map(|record| record.sid)
            .collect()
    }

    fn command(&mut self, call: CallSid, command: Command) {
        match command {
            // Carried out with its batch.
            Command::Commit(_) | Command::OpenBranch { .. } => {}
            Command::TakeOver { branch } => self.takes_over(call, branch),
            Command::Resolve { req, targets, .. } => {
                let routes = targets.iter().map(|target| self.resolve(target)).collect();
                let resolved = Event::Resolved { req, routes };
                self.tell_in(self.scene.delays.look_up, call, resolved);
            }
            Command::Fetch { req, request } => self.fetch(call, req, request),
            Command::Speak { req, text, .. } => self.speak(call, req, text),
            Command::Load { req, url, .. } => self.load(call, req, url),
            Command::Listen { req, request } => self.listen(call, req, &request),
            Command::Overhear { req, .. } => self.overhear(call, req),
            Command::EndOfSpeech { req } => self.end_of_speech(call, req),
            Command::StopListening { req } => {
                self.stop_listening(call, req);
            }
            Command::SendMessage { req, message } => self.message(call, req, &message),
            Command::Stream(command) => self.stream_command(call, command),
            Command::Relay(command) => self.relay_command(call, command),
            Command::Room(request) => self.asks_room(call, request),
            Command::Queue(request) => self.asks_queue(call, request),
            Command::HandOver {
                req,
                from,
                account,
                queue,
            } => {
                let asked = Event::HandOver {
                    asker: call,
                    account,
                    req,
                    queue,
                };
                self.reports(from, asked);
            }
            Command::AnswerHandOver {
                asker,
                req,
                accepted,
            } => self.reports(asker, Event::HandedOver { req, accepted }),
            Command::Leg(command) => self.leg_command(call, command),
            Command::Media(command) => self.media_command(call, command),
            Command::Reply { ask, outcome } => self.replied(call, ask, outcome),
            Command::Trace(entry) => self.trace(entry),
            Command::Forget => {}
        }
    }

    fn fact(&mut self, family: usize, fact: Fact) {
        self.run.apply(&fact);
        match fact {
            Fact::Created(record) => self.created(family, *record),
            Fact::Notified(notification) => self.run.notifications.push(notification),
            Fact::Callback(callback) => {
                self.callback(callback);
            }
            Fact::MessageCreated { message, .. } => self.run.messages.push(*message),
            Fact::MessageArrived { message, .. } => self.run.messages.push(*message),
            Fact::MessageEnded { message, .. } => self.run.message_ended(*message),
            Fact::EmailQueued(email) => self.run.emails.push(*email),
            Fact::Farewell { .. }
            | Fact::Interacted(_)
            | Fact::InteractionSent { .. }
            | Fact::RecordingStarted { .. }
            | Fact::RecordingChanged { .. }
            | Fact::RecordingClosed { .. }
            | Fact::RecordingReported { .. }
            | Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::ConferenceFarewell { .. }
            | Fact::InConference { .. }
            | Fact::LeftConference { .. }
            | Fact::InQueue { .. }
            | Fact::LeftQueue { .. }
            | Fact::Ringing { .. }
            | Fact::Answered { .. }
            | Fact::AnsweredBy { .. }
            | Fact::Ended { .. } => {}
            Fact::Recorded(recording) => self.run.recordings.push(recording),
        }
    }

    /// An application gets a callback.
    pub(super) fn callback(&mut self, callback: Callback) {
        let told = Asked {
            at: self.now,
            call: callback.call,
            method: callback.method,
            url: callback.url,
            params: callback.params,
        };
        self.application.callback(&told);
        self.run.callbacks.push(told);
    }

    fn created(&mut self, family: usize, record: CallRecord) {
        let call = record.sid;
        self.families.owns(family, call);
        if record.direction != Direction::Inbound {
            self.is_named(call, &record.to);
        }
        let name = self.party(call).to_owned();
        self.run.created(&name, record);
    }

    /// A pause lasts until another verb follows.
    fn trace(&mut self, entry: Entry) {
        if entry.lane == Lane::Rcml
            && let Some(call) = entry.owner.call()
        {
            let heard = self.heard.entry(call).or_default();
            let pause = heard
                .iter_mut()
                .rev()
                .find(|heard| heard.sense == Sense::Pause);
            if let Some(pause) = pause {
                pause.ends(self.now, false);
            }
            if entry.what == "<Pause>" {
                heard.push(Heard::begins(Sense::Pause, self.now));
            }
        }
        self.run.entry(entry);
    }

    /// The routes to the phones of a target: by its whole address, or its user part.
    pub(super) fn resolve(&mut self, target: &Target) -> Result<Vec<Route>, Unreachable> {
        let unreachable = |text: String| Unreachable {
            code: error::UNREACHABLE_TARGET,
            text,
            is_unknown: false,
        };
        let address = target.as_str();
        let Some(phones) = self.phones(target) else {
            if let Some((route, phone)) = self.caller(target) {
                self.contacts.insert(route.uri.clone(), phone);
                return Ok(vec![route]);
            }
            let login = user_of(address);
            let text = if self.scene.phones.contains_key(login) {
                let place = match target {
                    Target::Sip(_) => "a host name",
                    Target::Number(_) | Target::Named(_) | Target::Client(_) => "a number",
                };
                format!(
                    "`{address}` was called as {place}, not as the client (did you mean `<Client>{login}</Client>`?)"
                )
            } else {
                format!("`{address}` is not among the parties of the script")
            };
            let is_unknown = true;
            return Err(Unreachable {
                is_unknown,
                ..unreachable(text)
            });
        };
        let has_way = self.scene.has_trunk || !matches!(target, Target::Number(_));
        let routes = self.known(ways(target, phones).filter(|_| has_way));
        if routes.is_empty() {
            return Err(unreachable(format!("`{address}` is unreachable")));
        }
        Ok(routes)
    }

    /// The routes to the party that the API calls; to this phone if the scene has none there.
    pub(super) fn ways(&mut self, target: &Target, otherwise: Option<&Phone>) -> Vec<Route> {
        if let (None, Some(phone)) = (self.phones(target), otherwise) {
            let found = ways(target, std::slice::from_ref(phone));
            return self.known(found);
        }
        self.resolve(target).unwrap_or_default()
    }

    /// The phones of a target. A number with letters, or the host of a SIP address, is not the login
    /// of a client.
    fn phones(&self, target: &Target) -> Option<&'a [Phone]> {
        let (address, phones) = (target.as_str(), &self.scene.phones);
        let names = match target {
            Target::Number(number) if !number::is_dialable(number) => [None, None],
            Target::Sip(uri) if !uri.contains('@') => [Some(address), None],
            Target::Number(_) | Target::Sip(_) | Target::Client(_) | Target::Named(_) => {
                [Some(address), Some(user_of(address))]
            }
        };
        let mut known = names.into_iter().flatten();
        known.find_map(|name| phones.get(name)).map(Vec::as_slice)
    }

    fn known<'p>(&mut self, ways: impl Iterator<Item = (Route, &'p Phone)>) -> Vec<Route> {
        let known = ways.map(|(route, phone)| {
            self.contacts.insert(route.uri.clone(), phone.clone());
            route
        });
        known.collect()
    }

    /// The route to a caller's phone, which need not be among the phones to get a message.
    fn caller(&self, target: &Target) -> Option<(Route, Phone)> {
        let Target::Named(name) = target else {
            return None;
        };
        let mut calls = self.scene.calls.iter();
        let message = calls.find_map(|start| match &start.opening {
            Opening::Inbound(inbound) if inbound.from == *name => start.message,
            Opening::Inbound(_) | Opening::Api(_) => None,
        })?;
        let phone = Phone {
            message: Some(message),
            ..Phone::new()
        };
        Some((route(format!("sip:{name}@caller.invalid")), phone))
    }

    /// A phone gets a text message.
    fn message(&mut self, call: CallSid, req: Req, message: &OutgoingMessage) {
        let uri = &message.route.uri;
        let what = format!("MESSAGE {}", user_of(uri));
        self.run.sends(self.now, call, &what);
        let phone = self.contacts.get(uri);
        if let Some((status, after)) = phone.and_then(|phone| phone.message) {
            let answered = Event::MessageAnswered {
                req,
                status,
                reason: String::new(),
            };
            self.tell_in(after, call, answered);
        }
    }

    fn fetch(&mut self, call: CallSid, req: Req, request: FetchRequest) {
        let mut params = request.params;
        params.extend(self.standing(call, request.queue));
        let asked = Asked {
            at: self.now,
            call: Some(call),
            method: request.method,
            url: request.url,
            params,
        };
        let Answering { by, after } =
            pages::answering(&self.scene.pages, &mut self.asked, &asked.url);
        let result = by.answer(&asked, self.application);
        self.run.requests.push(asked);
        self.tell_in(after, call, Event::Fetched { req, result });
    }
}

/// The routes to reachable phones. Only a client has several.
fn ways<'a>(target: &Target, phones: &'a [Phone]) -> impl Iterator<Item = (Route, &'a Phone)> {
    let many = match target {
        Target::Client(_) => phones.len(),
        Target::Number(_) | Target::Sip(_) | Target::Named(_) => 1,
    };
    let phones = phones.iter().take(many).enumerate();
    let reachable = phones.filter(|(_, phone)| phone.is_reachable);
    reachable.map(move |(at, phone)| {
        let (uri, via) = match target {
            Target::Client(login) | Target::Named(login) => (
                format!("sip:{login}@phone{}.invalid{}", at + 1, phone.contact),
                Via::Binding(format!("{login}/{at}")),
            ),
            Target::Number(number) => (
                format!("sip:{number}@trunk.invalid"),
                Via::Trunk("trunk".to_owned()),
            ),
            Target::Sip(uri) => (uri.clone(), Via::Uri(uri.clone())),
        };
        (Route { via, ..route(uri) }, phone)
    })
}

fn route(uri: String) -> Route {
    Route {
        via: Via::Uri(uri.clone()),
        uri,
        to: None,
        from_host: "patchcord.invalid".to_owned(),
        credentials: None,
    }
}

/// The user part of an address, however it is written.
pub(crate) fn user_of(address: &str) -> &str {
    let rest = address.split("sip:").last().unwrap_or(address);
    rest.split(['@', ';', '?', '>']).next().unwrap_or_default()
}
