//! The remote parties of the legs, and the SIP between them and the calls.
//!
//! **Invariant: a leg gets at most one final event: rejected, cancelled, or the end of its dialog**,
//! unless the weather is bad.

use std::time::Duration;

use call_proto::{Event, Headers, Invite, LegCommand, LegEvent, MediaEvent, Refer};
use model::CallSid;

use super::{Due, Stage, user_of};
use crate::heard::Sense;
use crate::scene::{Doing, Phone, Referral, Vanishes};
use crate::script::Cast;

/// Time after which a transaction without any response ends (RFC 3261 §17.1.1.2, timer B); we also
/// wait this long for an ACK (§13.3.1.4).
pub(crate) const GIVES_UP: Duration = Duration::from_secs(32);

/// The state of a leg's remote party.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// No final response yet.
    Setup,
    /// We sent CANCEL.
    Withdrawn,
    /// We sent 200; its ACK is in transit.
    Answered,
    Up,
    Over,
}

/// The remote party of a leg.
pub(super) struct Remote {
    /// The scene's name for it.
    party: String,
    state: State,
    phone: Option<Phone>,
    /// Time from our 200 to its ACK; `None`: it never arrives.
    ack: Option<Duration>,
    /// Its INVITE had no offer: the ACK carries its answer.
    answers_in_ack: bool,
    /// The call of the scene in which the API called it.
    called_by: Option<usize>,
    referral: OurRefer,
    /// REFERs that it got.
    refers: u32,
}

/// What a remote party has done about the server's last REFER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OurRefer {
    /// There is none, or it is settled.
    Settled,
    /// It has arrived.
    Arrived,
    /// It was accepted.
    Accepted,
}

impl Remote {
    /// A party to be called.
    pub(super) fn called(party: &str) -> Self {
        Self {
            party: party.to_owned(),
            state: State::Setup,
            phone: None,
            ack: Some(Duration::ZERO),
            answers_in_ack: false,
            called_by: None,
            referral: OurRefer::Settled,
            refers: 0,
        }
    }
}

impl Stage<'_> {
    /// A caller whose INVITE has just arrived.
    pub(super) fn calls(
        &mut self,
        call: CallSid,
        name: &str,
        ack: Option<Duration>,
        has_offer: bool,
    ) {
        let caller = Remote {
            ack,
            answers_in_ack: !has_offer,
            ..Remote::called(name)
        };
        self.remotes.insert(call, caller);
    }

    /// A party called by the API, with the steps of this call.
    pub(super) fn is_called_by_api(&mut self, call: CallSid, place: usize) {
        let called = Remote {
            called_by: Some(place),
            ..Remote::called("")
        };
        self.remotes.insert(call, called);
    }

    /// One of the phones of a call that has the only record of them.
    pub(super) fn is_called_by(&mut self, branch: CallSid, head: CallSid) {
        let head = self.remotes.get(&head);
        let party = head.map_or("", |head| &head.party);
        let called = Remote {
            called_by: head.and_then(|head| head.called_by),
            ..Remote::called(party)
        };
        self.remotes.insert(branch, called);
    }

    /// The party of a branch is that of the call that takes it over.
    pub(super) fn becomes(&mut self, branch: CallSid, head: CallSid) {
        if let Some(remote) = self.remotes.remove(&branch) {
            if remote
                .phone
                .as_ref()
                .is_some_and(|phone| phone.name.is_some())
            {
                self.run.is_party(head, &remote.party);
            }
            self.remotes.insert(head, remote);
        }
    }

    /// The record of a leg names its party, unless it is a caller.
    pub(super) fn is_named(&mut self, call: CallSid, to: &str) {
        let remote = self.remotes.entry(call);
        let remote = remote.or_insert_with(|| Remote::called(to));
        to.clone_into(&mut remote.party);
    }

    /// The scene's name for the party of a leg.
    pub(super) fn party(&self, call: CallSid) -> &str {
        self.remotes.get(&call).map_or("?", |remote| &remote.party)
    }

    pub(super) fn is_over(&self, call: CallSid) -> bool {
        self.state(call) == State::Over
    }

    pub(super) fn is_up(&self, call: CallSid) -> bool {
        self.state(call) == State::Up
    }

    fn state(&self, call: CallSid) -> State {
        let remote = self.remotes.get(&call);
        remote.map_or(State::Over, |remote| remote.state)
    }

    fn set_state(&mut self, call: CallSid, state: State) {
        if let Some(remote) = self.remotes.get_mut(&call) {
            remote.state = state;
        }
        if state == State::Over {
            self.all_is_quiet(call);
        }
    }

    pub(super) fn leg_command(&mut self, call: CallSid, command: LegCommand) {
        match command {
            LegCommand::Headers(headers) => {
                self.run
                    .own_headers
                    .insert(self.run.recorded(call), headers);
            }
            LegCommand::Ring => {
                self.sends(call, "180");
                self.notices(call, Sense::Ring);
            }
            LegCommand::Answer { .. } => self.answered(call),
            LegCommand::Reject { status, reason } => {
                self.sends(call, &format!("{status} {}", reason.unwrap_or_default()));
                self.notices(call, Sense::Refused(status));
                self.set_state(call, State::Over);
            }
            LegCommand::Invite(invite) => self.invited(call, *invite),
            LegCommand::Cancel => self.withdrawn(call),
            LegCommand::Bye { reason } => self.dismissed(call, reason),
            LegCommand::AnswerReinvite { .. } => self.sends(call, "200 to re-INVITE"),
            LegCommand::RejectReinvite { status } => {
                self.sends(call, &format!("{status} to re-INVITE"));
            }
            LegCommand::AcceptRefer => {
                self.referred(call, 202);
                self.notified(call, 100);
            }
            LegCommand::RejectRefer { status, .. } => self.referred(call, status),
            LegCommand::ReferDone { status } => self.notified(call, status),
            LegCommand::Refer { target } => self.is_referred(call, target),
        }
    }

    /// We answer the REFER of a party.
    fn referred(&mut self, call: CallSid, status: u16) {
        self.sends(call, &format!("{status} to REFER"));
        self.notices(call, Sense::Referred(status));
    }

    /// We report about the transfer that it asked for.
    fn notified(&mut self, call: CallSid, status: u16) {
        self.sends(call, &format!("NOTIFY {status}"));
        self.notices(call, Sense::Notify(status));
    }

    /// We ask a party to call another address.
    fn is_referred(&mut self, call: CallSid, target: String) {
        self.sends(call, &format!("REFER {target}"));
        self.notices(call, Sense::Refer(target));
        if let Some(remote) = self.remotes.get_mut(&call) {
            remote.referral = OurRefer::Arrived;
            remote.refers += 1;
            let number = remote.refers;
            self.later(GIVES_UP, Due::Remote(call, Doing::GiveUpRefer(number)));
        }
    }

    pub(super) fn is_asked_to_refer(&self, call: CallSid) -> bool {
        self.referral(call) == OurRefer::Arrived
    }

    pub(super) fn has_accepted_refer(&self, call: CallSid) -> bool {
        self.referral(call) == OurRefer::Accepted
    }

    fn referral(&self, call: CallSid) -> OurRefer {
        let remote = self.remotes.get(&call);
        remote.map_or(OurRefer::Settled, |remote| remote.referral)
    }

    fn set_referral(&mut self, call: CallSid, referral: OurRefer) {
        if let Some(remote) = self.remotes.get_mut(&call) {
            remote.referral = referral;
        }
    }

    /// A party answers our REFER.
    pub(super) fn answers_refer(&mut self, call: CallSid, status: u16) {
        let is_accepted = (200..300).contains(&status);
        let referral = if is_accepted {
            OurRefer::Accepted
        } else {
            OurRefer::Settled
        };
        self.set_referral(call, referral);
        self.tell_leg(call, LegEvent::ReferAnswered { status });
    }

    /// A party reports about the call that we asked it for.
    pub(super) fn reports_referral(&mut self, call: CallSid, status: u16) {
        let is_last = status >= 200;
        if is_last {
            self.set_referral(call, OurRefer::Settled);
        }
        let status = Some(status);
        self.tell_leg(call, LegEvent::ReferReported { status, is_last });
    }

    fn sends(&mut self, call: CallSid, what: &str) {
        self.run.sends(self.now, call, what);
    }

    /// We sent 200.
    fn answered(&mut self, call: CallSid) {
        self.sends(call, "200");
        self.notices(call, Sense::Answer);
        if self.state(call) == State::Setup {
            self.set_state(call, State::Answered);
            match self.remotes.get(&call).and_then(|remote| remote.ack) {
                Some(after) => self.later(after, Due::Remote(call, Doing::Ack)),
                None => self.later(GIVES_UP, Due::Remote(call, Doing::NoAck)),
            }
        }
    }

    fn invited(&mut self, call: CallSid, invite: Invite) {
        self.sends(call, "INVITE");
        let phone = self.contacts.get(&invite.route.uri).cloned();
        self.run.invites.insert(self.run.recorded(call), invite);
        let Some(phone) = phone else { return };
        for (after, doing) in &phone.steps {
            self.later(*after, Due::Remote(call, *doing));
        }
        if !phone.rings() {
            self.later(GIVES_UP, Due::Remote(call, Doing::GiveUp));
        }
        if let Some(name) = &phone.name {
            self.run.is_party(call, name);
        }
        if let Some(remote) = self.remotes.get_mut(&call) {
            if let Some(name) = &phone.name {
                remote.party.clone_from(name);
            }
            remote.phone = Some(phone);
        }
    }

    fn withdrawn(&mut self, call: CallSid) {
        match self.state(call) {
            // Its 200 is already here and on its way to the call: the SIP side hangs up.
            State::Up => {
                self.sends(call, "BYE");
                self.set_state(call, State::Over);
                self.notices(call, Sense::Hangup);
            }
            State::Setup => {
                self.sends(call, "CANCEL");
                self.set_state(call, State::Withdrawn);
                if let Some(after) = self.phone(call).and_then(|phone| phone.withdraws) {
                    self.later(after, Due::Remote(call, Doing::Withdraw));
                }
            }
            State::Withdrawn | State::Answered | State::Over => {}
        }
    }

    /// We hang up.
    fn dismissed(&mut self, call: CallSid, reason: Option<String>) {
        self.sends(call, &format!("BYE {}", reason.unwrap_or_default()));
        self.set_state(call, State::Over);
        self.notices(call, Sense::Hangup);
        let event = if self.phone(call).is_some_and(|phone| phone.forgets) {
            let reason = "404 to BYE".to_owned();
            LegEvent::Lost { reason }
        } else {
            LegEvent::ByeDone
        };
        self.tell_in(self.scene.delays.bye, call, Event::Leg(event));
    }

    pub(super) fn phone(&self, call: CallSid) -> Option<&Phone> {
        self.remotes.get(&call)?.phone.as_ref()
    }

    /// Headers of the responses of a remote party.
    fn headers(&self, call: CallSid) -> Headers {
        let phone = self.phone(call);
        phone.map_or_else(Headers::new, |phone| phone.headers.clone())
    }

    fn tell_leg(&mut self, call: CallSid, event: LegEvent) {
        self.tell_soon(call, Event::Leg(event));
    }

    pub(super) fn remote_does(&mut self, call: CallSid, doing: Doing) {
        let call = self.taken.now(call);
        match (doing, self.state(call)) {
            (Doing::Ring(status), State::Setup) => {
                let headers = self.headers(call);
                self.tell_leg(call, LegEvent::Progress { status, headers });
            }
            (Doing::Answer, State::Setup) => self.picks_up(call),
            // The 200 crossed our CANCEL: the SIP side confirms the dialog and ends it.
            (Doing::Answer, State::Withdrawn) => {
                self.sends(call, "ACK");
                self.sends(call, "BYE");
                self.rejects(call, 487);
            }
            (Doing::Reject(status), State::Setup | State::Withdrawn) => self.rejects(call, status),
            (Doing::Withdraw, State::Withdrawn) => self.rejects(call, 487),
            (Doing::GiveUp, State::Setup | State::Withdrawn) => self.rejects(call, 408),
            (Doing::Ack, State::Answered) => {
                self.set_state(call, State::Up);
                let remote = self.remotes.get(&call);
                let late = remote.is_some_and(|remote| remote.answers_in_ack);
                let sdp = late.then(|| format!("answer of {}", self.party(call)));
                self.tell_leg(call, LegEvent::Acked { sdp });
            }
            (Doing::NoAck, State::Answered) => {
                self.sends(call, "BYE");
                self.set_state(call, State::Over);
                self.tell_leg(call, LegEvent::NoAck);
            }
            (Doing::HangUp, State::Setup) => {
                self.sends(call, "487");
                self.set_state(call, State::Over);
                self.tell_leg(call, LegEvent::Canceled);
            }
            (Doing::HangUp, State::Answered | State::Up) => {
                self.set_state(call, State::Over);
                let reason = self.phone(call).and_then(|phone| phone.bye_reason.clone());
                self.tell_leg(call, LegEvent::Bye { reason });
            }
            (Doing::GiveUpRefer(number), State::Up) => {
                let refers = self.remotes.get(&call).map(|remote| remote.refers);
                if self.is_asked_to_refer(call) && refers == Some(number) {
                    self.answers_refer(call, 408);
                }
            }
            (Doing::Vanish(Vanishes::Sound), _) => {
                self.tell_soon(call, Event::Media(MediaEvent::Silence));
            }
            (Doing::Vanish(Vanishes::Connection), _) => {
                self.set_state(call, State::Over);
                let reason = "it can no longer be reached".to_owned();
                self.tell_leg(call, LegEvent::Lost { reason });
            }
            // It crossed an event that ended the leg.
            (
                Doing::Ring(_)
                | Doing::Answer
                | Doing::Ack
                | Doing::NoAck
                | Doing::HangUp
                | Doing::Withdraw
                | Doing::GiveUp
                | Doing::GiveUpRefer(_)
                | Doing::Reject(_),
                _,
            ) => {}
        }
    }

    fn rejects(&mut self, call: CallSid, status: u16) {
        self.set_state(call, State::Over);
        let has_phrase = self.phone(call).is_some_and(|phone| phone.has_phrases);
        let rejected = LegEvent::Rejected {
            status,
            reason: if has_phrase {
                format!("words for {status}")
            } else {
                String::new()
            },
            sip_call_id: self.sip_call_id(call),
            headers: self.headers(call),
        };
        self.tell_leg(call, rejected);
    }

    fn sip_call_id(&self, call: CallSid) -> String {
        format!("call of {}", self.run.name(call))
    }

    fn picks_up(&mut self, call: CallSid) {
        self.sends(call, "ACK");
        self.set_state(call, State::Up);
        let Some(remote) = self.remotes.get(&call) else {
            return;
        };
        let (phone, called_by) = (remote.phone.clone(), remote.called_by);
        let talks = phone.as_ref().and_then(|phone| phone.talks);
        if let Some(after) = talks {
            self.later(after, Due::Remote(call, Doing::HangUp));
        }
        let answered = LegEvent::Answered {
            headers: self.headers(call),
            sip_call_id: self.sip_call_id(call),
            sdp: phone.as_ref().and_then(|phone| phone.sdp.clone()),
        };
        self.tell_leg(call, answered);
        let scene = self.scene;
        if let Some(place) = called_by
            && !self.begun.contains(&Cast::Caller(place))
            && !scene.calls[place].steps.is_empty()
        {
            self.enter(Cast::Caller(place), Some(call), &scene.calls[place].steps);
            return;
        }
        if let Some(phone) = phone.filter(|phone| phone.number > 0) {
            self.enter(Cast::Phone(phone.number), Some(call), &phone.then);
        }
    }

    pub(super) fn reinvites(&mut self, call: CallSid, sdp: Option<String>) {
        self.tell_leg(call, LegEvent::Reinvite { sdp });
    }

    /// A party asks that the other one be connected to somebody else.
    ///
    /// - `line`: of the script, for a leg that does not exist.
    pub(super) fn refers(&mut self, call: CallSid, referral: &Referral, line: usize) {
        let to = referral.to.as_str();
        let found = |name: &String| self.run.leg(name).map(|leg| leg.record.sid);
        let replaces = referral.replaces.as_ref().and_then(found);
        if let (Some(name), None, true) = (&referral.replaces, replaces, line > 0) {
            let legs: Vec<&str> = self.run.legs.iter().map(|leg| leg.name.as_str()).collect();
            let legs = legs.join(", ");
            let text = format!("there is no leg `{name}` (there is {legs})");
            return self.run.fails(line, text);
        }
        let Some((own, other)) = self.run.parties(call) else {
            return;
        };
        let of_other = replaces.and_then(|leg| self.run.parties(leg));
        if let (Some((whose, _)), Some(name), true) = (of_other, &referral.replaces, line > 0)
            && whose != own
        {
            let text = format!(
                "the leg `{name}` is that of {whose}; `replaces` names another call of {own}"
            );
            return self.run.fails(line, text);
        }
        let is_address = ["sip:", "sips:", "tel:"]
            .iter()
            .any(|scheme| to.starts_with(scheme));
        let target = if is_address {
            to.to_owned()
        } else {
            format!("sip:{to}@patchcord.invalid")
        };
        let refer = Refer {
            target_user: user_of(to.trim_start_matches("tel:")).to_owned(),
            target,
            transferor: own,
            transferee: other,
            replaces,
        };
        self.tell_leg(call, LegEvent::Refer(Box::new(refer)));
    }

    pub(super) fn acknowledges(&mut self, call: CallSid, sdp: Option<String>) {
        self.tell_leg(call, LegEvent::Acked { sdp });
    }

    /// An INFO arrives that does not name a key.
    pub(super) fn informs(&mut self, call: CallSid) {
        let (content_type, body) = ("text/plain".to_owned(), String::new());
        self.tell_leg(call, LegEvent::Info { content_type, body });
    }
}
