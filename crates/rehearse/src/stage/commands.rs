//! Carries out what the call asks of the world.
//!
//! **Invariant: commands are carried out in order, as a server does it.**

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{
    Addressed, Command, Entry, Event, Fact, FetchFailure, FetchRequest, Fetched, Lane,
    OutgoingMessage, Req, RoomEvent, RoomRefusal, RoomRequest, Route, Target, Unreachable, Via,
};
use model::{CallSid, Direction, error};

use super::far_side::{FarSide, GIVES_UP};
use super::{Due, Stage};
use crate::Asked;
use crate::heard::{Heard, Sense};
use crate::script::{Answer, Page, Party, Reply, Script, TextReply};

/// How a request is answered.
pub(super) struct Answering {
    pub(super) by: By,
    /// How long that takes.
    after: Duration,
}

/// Who answers a request.
pub(super) enum By {
    /// The script.
    Text {
        text: TextReply,
        moved_to: Option<String>,
    },
    /// The application, at this address.
    Application(String),
    /// There is no connection.
    Nobody,
}

impl Stage<'_> {
    pub(super) fn carry_out(&mut self) {
        loop {
            let commands = self.family.poll_commands();
            if commands.is_empty() {
                return;
            }
            for Addressed { call, command } in commands {
                self.command(call, command);
            }
        }
    }

    fn command(&mut self, call: CallSid, command: Command) {
        match command {
            Command::Commit(facts) => facts.into_iter().for_each(|fact| self.fact(fact)),
            Command::Resolve { req, targets } => {
                let routes = targets.iter().map(|target| self.resolve(target)).collect();
                self.tell_soon(call, Event::Resolved { req, routes });
            }
            Command::Fetch { req, request } => self.fetch(call, req, request),
            Command::Speak { req, text, .. } => self.speak(call, req, text),
            Command::Load { req, url, .. } => self.load(call, req, url),
            Command::Listen { req, request } => self.listen(call, req, &request),
            Command::EndOfSpeech { req } => self.end_of_speech(call, req),
            Command::StopListening { req } => {
                self.stop_listening(call, req);
            }
            Command::SendMessage { req, message } => self.message(call, req, &message),
            Command::Room(RoomRequest::Join { req, .. }) => {
                let why = RoomRefusal::Unavailable;
                let event = RoomEvent::Refused { why };
                self.tell_soon(call, Event::Room { req, event });
            }
            // Nobody joined.
            Command::Room(RoomRequest::Leave { .. }) => {}
            Command::Leg(command) => self.leg_command(call, command),
            Command::Media(command) => self.media_command(call, command),
            Command::Trace(entry) => self.trace(entry),
            Command::Forget => {}
        }
    }

    fn fact(&mut self, fact: Fact) {
        self.run.apply(&fact);
        match fact {
            Fact::Created(record) => {
                let name = match record.direction {
                    Direction::Inbound => "caller".to_owned(),
                    Direction::OutboundApi | Direction::OutboundDial => record.to.clone(),
                };
                self.sides.insert(record.sid, FarSide::new());
                self.run.created(&name, *record);
            }
            Fact::Notified(notification) => self.run.notifications.push(notification),
            Fact::Callback(callback) => {
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
            Fact::MessageCreated { message, .. } => self.run.messages.push(*message),
            Fact::MessageEnded { message, .. } => self.run.message_ended(*message),
            Fact::Farewell { .. }
            | Fact::ConferenceCreated(_)
            | Fact::ConferenceStarted { .. }
            | Fact::ConferenceEnded { .. }
            | Fact::InConference { .. }
            | Fact::RecordingStarted(_)
            | Fact::Ringing { .. }
            | Fact::Answered { .. }
            | Fact::Ended { .. } => {}
            Fact::Recorded(recording) => self.run.recordings.push(recording),
        }
    }

    /// A pause is heard as long as no other verb follows.
    fn trace(&mut self, entry: Entry) {
        if entry.lane == Lane::Rcml {
            let heard = self.heard.entry(entry.call).or_default();
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

    fn resolve(&mut self, target: &Target) -> Result<Vec<Route>, Unreachable> {
        let unreachable = |text: String| Unreachable {
            code: error::UNREACHABLE_TARGET,
            text,
        };
        if let Some(caller) = self.caller(target) {
            return Ok(vec![caller]);
        }
        let Some(parties) = parties(self.script, target) else {
            let text = format!(
                "`{}` is not among the parties of the script",
                target.as_str()
            );
            return Err(unreachable(text));
        };
        let routes = routes(target, parties, &mut self.phones);
        if routes.is_empty() {
            return Err(unreachable(format!("`{}` is unreachable", target.as_str())));
        }
        Ok(routes)
    }

    /// The way to the phone of the caller, who need not be among the parties to get a message.
    fn caller(&self, target: &Target) -> Option<Route> {
        let Target::Named(name) = target else {
            return None;
        };
        let is_caller = !self.script.call.by_api && *name == self.script.call.from;
        let uri = format!("sip:{name}@caller.invalid");
        (is_caller && parties(self.script, target).is_none()).then(|| route(uri))
    }

    /// A phone gets a text message.
    fn message(&mut self, call: CallSid, req: Req, message: &OutgoingMessage) {
        let uri = &message.route.uri;
        self.run
            .sends(self.now, call, &format!("MESSAGE {}", user_of(uri)));
        let party = self.phones.get(uri);
        let silent = party.is_some_and(|party| matches!(party.answer, Answer::Silent));
        let (status, after) = if silent {
            (408, GIVES_UP)
        } else {
            (party.map_or(200, |party| party.message), Duration::ZERO)
        };
        let answered = Event::MessageAnswered {
            req,
            status,
            reason: String::new(),
        };
        self.later(after, Due::Tell(call, answered));
    }

    fn fetch(&mut self, call: CallSid, req: Req, request: FetchRequest) {
        let asked = Asked {
            at: self.now,
            call,
            method: request.method,
            url: request.url,
            params: request.params,
        };
        let Answering { by, after } = self.answering(&asked.url);
        let result = self.answer(by, &asked);
        self.run.requests.push(asked);
        let fetched = Event::Fetched { req, result };
        self.later(after, Due::Tell(call, fetched));
    }

    fn answer(&mut self, by: By, asked: &Asked) -> Result<Fetched, FetchFailure> {
        match by {
            By::Text { text, moved_to } => Ok(Fetched {
                status: text.status,
                content_type: text.content_type,
                body: text.body,
                url: moved_to.unwrap_or_else(|| asked.url.clone()),
            }),
            By::Application(url) if url == asked.url => self.application.document(asked),
            By::Application(url) => {
                let there = Asked {
                    url,
                    ..asked.clone()
                };
                let mut fetched = self.application.document(&there)?;
                fetched.url.clone_from(&asked.url);
                Ok(fetched)
            }
            By::Nobody => Err(FetchFailure {
                code: error::FETCH_IO,
                text: format!("{} could not be reached", asked.url),
            }),
        }
    }

    /// Follows the pages of the script from an address. What leads back to a page that was passed
    /// is left to the application, so that a page may stand for the file of its own name.
    pub(super) fn answering(&mut self, url: &str) -> Answering {
        let mut passed = BTreeSet::new();
        let mut url = url.to_owned();
        let mut after = Duration::ZERO;
        loop {
            let is_new = passed.insert(url.clone());
            let Some(page) = is_new.then(|| self.page(&url)).flatten() else {
                let by = By::Application(url);
                return Answering { by, after };
            };
            after += page.after;
            let by = match page.reply {
                Reply::Elsewhere(there) => {
                    url = there;
                    continue;
                }
                Reply::Text(text) => By::Text {
                    text,
                    moved_to: page.moved_to,
                },
                Reply::Fails => By::Nobody,
            };
            return Answering { by, after };
        }
    }

    /// What the script answers at an address; the last of several answers stays.
    fn page(&mut self, url: &str) -> Option<Page> {
        let pages = &self.script.application.pages;
        let bare = url.split(['?', '#']).next().unwrap_or(url);
        let (key, replies) = [url, bare]
            .into_iter()
            .find_map(|key| pages.get(key).map(|replies| (key, replies)))?;
        let count = self.asked.entry(key.to_owned()).or_default();
        let page = replies.get(*count).or(replies.last()).cloned();
        *count += 1;
        page
    }
}

/// The phones of a target: by its whole address, or the user part of it.
pub(super) fn parties<'a>(script: &'a Script, target: &Target) -> Option<&'a Vec<Party>> {
    let address = target.as_str();
    let whole = script.parties.get(address);
    whole.or_else(|| script.parties.get(&user_of(address)))
}

/// The ways to the phones of a target. Only a client has several.
pub(super) fn routes(
    target: &Target,
    parties: &[Party],
    phones: &mut BTreeMap<String, Party>,
) -> Vec<Route> {
    let many = match target {
        Target::Client(_) => parties.len(),
        Target::Number(_) | Target::Sip(_) | Target::Named(_) => 1,
    };
    let mut routes = Vec::new();
    for (at, party) in parties.iter().take(many).enumerate() {
        if matches!(party.answer, Answer::Unreachable) {
            continue;
        }
        let (uri, via) = match target {
            Target::Client(login) | Target::Named(login) => (
                format!("sip:{login}@phone{}.invalid", at + 1),
                Via::Binding(format!("{login}/{at}")),
            ),
            Target::Number(number) => (
                format!("sip:{number}@trunk.invalid"),
                Via::Trunk("trunk".to_owned()),
            ),
            Target::Sip(uri) => (uri.clone(), Via::Uri(uri.clone())),
        };
        phones.insert(uri.clone(), party.clone());
        routes.push(Route { via, ..route(uri) });
    }
    routes
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
pub(super) fn user_of(address: &str) -> String {
    let rest = address.split("sip:").last().unwrap_or(address);
    let user = rest.split(['@', ';', '?', '>']).next();
    user.unwrap_or_default().to_owned()
}
