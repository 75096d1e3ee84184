//! One call of the phone, from INVITE to BYE, outbound or inbound.
//!
//! Invariant: **exactly one event ends it; afterwards it only repeats its last message.**

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::digest::{Client, Secret};
use sip_proto::message::{HeaderName, Method, Request, Response};

use super::build::{Dialog, call_id, contact, own_address, target_uri};
use super::repeat::{Due, Repeat};
use super::{CallEvent, CallNo, Context};

const SDP: &str = "application/sdp";
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";
/// How long an ended call answers retransmissions.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Outbound: INVITE sent.
    Calling,
    /// Outbound: a provisional response arrived.
    Ringing,
    /// Inbound: not answered.
    Incoming,
    /// Answered.
    Talking,
    /// BYE sent.
    Ending,
    /// Answers retransmissions.
    Over {
        until: Instant,
    },
    Forgotten,
}

/// A request of ours without its final response.
struct Pending {
    seq: u32,
    repeat: Repeat,
}

pub(super) struct Call {
    no: CallNo,
    dialog: Dialog,
    state: State,
    /// The next timeout of the call, also held in the agent's index of deadlines.
    pub(super) noted_deadline: Option<Instant>,
    /// Our INVITE.
    invite: Option<Pending>,
    /// Our INVITE as sent, for CANCEL, ACK and retries.
    invite_request: Option<Request>,
    /// Our BYE or CANCEL.
    other: Option<Pending>,
    /// ACKs sent, by CSeq: a retransmitted final response gets its ACK again.
    acks: Vec<(u32, SocketAddr, Bytes)>,
    digest: Client,
    /// Hang up as soon as a provisional response allows CANCEL.
    cancel_wanted: bool,
    /// The remote party's INVITE and its source.
    their_invite: Option<(Request, SocketAddr)>,
    /// Our last response to it, for its retransmissions.
    last_response: Option<Bytes>,
    /// Our final response until its ACK arrives.
    unacked: Option<Repeat>,
}

impl Call {
    /// An outbound call: sends INVITE. `None` if the target cannot be put into a request.
    pub(super) fn outbound(
        no: CallNo,
        target: &str,
        sdp: &str,
        headers: &[(&str, &str)],
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let account = context.account;
        let target = target_uri(target, account)?;
        let dialog = Dialog {
            call_id: call_id(account, context.random),
            local: format!("{};tag={}", own_address(account), context.random.word()),
            remote: format!("<{target}>"),
            target,
            route: Vec::new(),
            seq: 1,
        };
        let branch = context.random.word();
        let mut invite = dialog.request(Method::Invite, 1, &branch, account);
        invite.headers.push(HeaderName::Contact, contact(account));
        invite.headers.push(HeaderName::Allow, ALLOW);
        for (name, value) in headers {
            if !invite.headers.push_custom(name, value) {
                return None;
            }
        }
        invite.set_body(SDP, sdp.to_owned());
        let mut call = Self::new(no, dialog, State::Calling, context);
        call.send_invite(invite, context);
        Some(call)
    }

    /// An inbound call. `None` if the INVITE lacks the headers that create a dialog.
    pub(super) fn inbound(
        no: CallNo,
        invite: &Request,
        from: SocketAddr,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let headers = &invite.headers;
        let caller = headers.from().ok()?;
        let tag = context.random.word();
        let mut dialog = Dialog {
            call_id: headers.call_id()?.into_owned(),
            local: headers.to().ok()?.with_tag(&tag).to_string(),
            remote: headers.get(HeaderName::From)?.to_owned(),
            target: invite.uri.clone(),
            route: headers
                .all(HeaderName::RecordRoute)
                .map(str::to_owned)
                .collect(),
            seq: 0,
        };
        dialog.learn_target(headers);
        let mut call = Self::new(no, dialog, State::Incoming, context);
        call.their_invite = Some((invite.clone(), from));
        context.report(
            no,
            CallEvent::Incoming {
                from_user: caller.uri.user().unwrap_or_default().into_owned(),
                sdp: body_text(&invite.body),
            },
        );
        Some(call)
    }

    fn new(no: CallNo, dialog: Dialog, state: State, context: &Context<'_>) -> Self {
        let password = Secret::Password(context.account.password.clone());
        Self {
            no,
            dialog,
            state,
            noted_deadline: None,
            invite: None,
            invite_request: None,
            other: None,
            acks: Vec::new(),
            digest: Client::new(&context.account.user, password),
            cancel_wanted: false,
            their_invite: None,
            last_response: None,
            unacked: None,
        }
    }

    pub(super) fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.state == State::Forgotten
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let linger = match self.state {
            State::Over { until } => Some(until),
            State::Calling
            | State::Ringing
            | State::Incoming
            | State::Talking
            | State::Ending
            | State::Forgotten => None,
        };
        let of = |pending: &Option<Pending>| pending.as_ref().map(|p| p.repeat.deadline());
        let unacked = self.unacked.as_ref().map(Repeat::deadline);
        let all = [linger, of(&self.invite), of(&self.other), unacked];
        all.into_iter().flatten().min()
    }

    // ---- Requests from the phone. ----

    pub(super) fn ring(&mut self, status: u16, sdp: Option<&str>, context: &mut Context<'_>) {
        if self.state == State::Incoming {
            let response = self.response(status, sdp, context);
            self.respond(response, context);
        }
    }

    pub(super) fn answer(&mut self, sdp: &str, context: &mut Context<'_>) {
        let waits = matches!(self.state, State::Incoming | State::Talking);
        if waits && self.unacked.is_none() && self.their_invite.is_some() {
            self.state = State::Talking;
            let response = self.response(200, Some(sdp), context);
            self.respond_finally(response, context);
        }
    }

    pub(super) fn refuse(&mut self, status: u16, context: &mut Context<'_>) {
        if self.state == State::Incoming {
            let response = self.response(status, None, context);
            self.respond_finally(response, context);
            self.end(CallEvent::Canceled, context);
        }
    }

    pub(super) fn hang_up(&mut self, context: &mut Context<'_>) {
        match self.state {
            State::Calling => self.cancel_wanted = true,
            State::Ringing => self.cancel(context),
            State::Incoming => self.refuse(603, context),
            State::Talking => self.bye(context),
            State::Ending | State::Over { .. } | State::Forgotten => {}
        }
    }

    fn cancel(&mut self, context: &mut Context<'_>) {
        self.cancel_wanted = true;
        if let Some(invite) = self
            .invite_request
            .as_ref()
            .filter(|_| self.other.is_none())
        {
            let cancel = self.like_invite(invite, Method::Cancel);
            self.send_other(self.dialog.seq, cancel.to_bytes(), context);
        }
    }

    fn bye(&mut self, context: &mut Context<'_>) {
        self.state = State::Ending;
        self.unacked = None;
        let seq = self.dialog.next_seq();
        let branch = context.random.word();
        let bye = self
            .dialog
            .request(Method::Bye, seq, &branch, context.account);
        self.send_other(seq, bye.to_bytes(), context);
    }

    fn send_other(&mut self, seq: u32, bytes: Bytes, context: &mut Context<'_>) {
        let repeat = Repeat::new(bytes.clone(), context.now);
        self.other = Some(Pending { seq, repeat });
        context.send(self.dialog.next_hop(context.account), bytes);
    }

    fn send_invite(&mut self, invite: Request, context: &mut Context<'_>) {
        let bytes = invite.to_bytes();
        let repeat = Repeat::invite(bytes.clone(), context.now);
        let seq = self.dialog.seq;
        self.invite = Some(Pending { seq, repeat });
        self.invite_request = Some(invite);
        context.send(self.dialog.next_hop(context.account), bytes);
    }

    // ---- Responses to our requests. ----

    pub(super) fn handle_response(&mut self, response: &Response, context: &mut Context<'_>) {
        let Ok(cseq) = response.headers.cseq() else {
            return;
        };
        match cseq.method {
            Method::Invite => self.handle_invite_response(response, cseq.seq, context),
            Method::Cancel if response.status.0 >= 200 => self.other = None,
            Method::Bye if response.status.0 >= 200 => {
                let current = self.other.as_ref().is_some_and(|p| p.seq == cseq.seq);
                if current && self.state == State::Ending {
                    self.other = None;
                    let status = response.status.0;
                    self.end(CallEvent::Ended { status }, context);
                }
            }
            _ => {}
        }
    }

    fn handle_invite_response(&mut self, response: &Response, seq: u32, context: &mut Context<'_>) {
        let status = response.status.0;
        if let Some((_, to, ack)) = self.acks.iter().find(|(of, ..)| *of == seq) {
            if status >= 200 {
                context.send(*to, ack.clone());
            }
            return;
        }
        let Some(pending) = self.invite.as_mut().filter(|pending| pending.seq == seq) else {
            return;
        };
        match status {
            ..200 => {
                pending.repeat.hold(context.now);
                self.handle_provisional(response, context);
            }
            200..300 => self.handle_answer(response, context),
            _ => self.handle_refusal(response, context),
        }
    }

    fn handle_provisional(&mut self, response: &Response, context: &mut Context<'_>) {
        self.state = State::Ringing;
        let status = response.status.0;
        if status > 100 && !self.cancel_wanted {
            let sdp = body_text(&response.body);
            context.report(self.no, CallEvent::Ringing { status, sdp });
        }
        if self.cancel_wanted {
            self.cancel(context);
        }
    }

    fn handle_answer(&mut self, response: &Response, context: &mut Context<'_>) {
        let headers = &response.headers;
        if let Some(to) = headers.get(HeaderName::To) {
            self.dialog.remote = to.to_owned();
        }
        let routes = headers.all(HeaderName::RecordRoute).map(str::to_owned);
        self.dialog.route = routes.collect::<Vec<_>>().into_iter().rev().collect();
        self.dialog.learn_target(headers);
        let seq = self.dialog.seq;
        let branch = context.random.word();
        let ack = self
            .dialog
            .request(Method::Ack, seq, &branch, context.account);
        self.acknowledge(seq, self.dialog.next_hop(context.account), &ack, context);
        self.state = State::Talking;
        if self.cancel_wanted {
            // Our CANCEL was too late.
            self.bye(context);
        } else {
            let sdp = body_text(&response.body);
            context.report(self.no, CallEvent::Answered { sdp });
        }
    }

    fn handle_refusal(&mut self, response: &Response, context: &mut Context<'_>) {
        let Some(invite) = self.invite_request.clone() else {
            return;
        };
        let mut ack = self.like_invite(&invite, Method::Ack);
        if let Some(to) = response.headers.get(HeaderName::To) {
            ack.headers.set(HeaderName::To, to);
        }
        let hop = self.dialog.next_hop(context.account);
        self.acknowledge(self.dialog.seq, hop, &ack, context);
        let status = response.status.0;
        let challenged = matches!(status, 401 | 407) && !self.cancel_wanted;
        if challenged && self.digest.learn(response).is_ok() {
            self.invite_again(invite, context);
        } else {
            let reason = response.reason.clone();
            self.end(CallEvent::Refused { status, reason }, context);
        }
    }

    /// The INVITE once more, with credentials (§22.2).
    fn invite_again(&mut self, mut invite: Request, context: &mut Context<'_>) {
        let seq = self.dialog.next_seq();
        let fresh =
            self.dialog
                .request(Method::Invite, seq, &context.random.word(), context.account);
        for name in [HeaderName::Via, HeaderName::CSeq] {
            if let Some(value) = fresh.headers.get(&name) {
                invite.headers.set(name.clone(), value);
            }
        }
        let cnonce = context.random.word();
        let uri = invite.uri.to_string();
        for (name, value) in self.digest.authorize(&Method::Invite, &uri, &cnonce) {
            invite.headers.set(name, value);
        }
        self.state = State::Calling;
        self.send_invite(invite, context);
    }

    fn acknowledge(&mut self, seq: u32, to: SocketAddr, ack: &Request, context: &mut Context<'_>) {
        let bytes = ack.to_bytes();
        self.invite = None;
        self.acks.push((seq, to, bytes.clone()));
        context.send(to, bytes);
    }

    /// CANCEL, or the ACK of a refusal: same branch, CSeq number, target and route (§9.1, §17.1.1.3).
    fn like_invite(&self, invite: &Request, method: Method) -> Request {
        let mut request = Request::new(method, invite.uri.clone());
        for header in invite.headers.iter() {
            let shared = matches!(
                header.name,
                HeaderName::Via
                    | HeaderName::Route
                    | HeaderName::MaxForwards
                    | HeaderName::From
                    | HeaderName::To
                    | HeaderName::CallId
            );
            if shared {
                request
                    .headers
                    .push(header.name.clone(), header.value.clone());
            }
        }
        let cseq = format!("{} {}", self.dialog.seq, request.method.as_str());
        request.headers.push(HeaderName::CSeq, cseq);
        request
    }

    // ---- Requests of the remote party. ----

    pub(super) fn handle_request(
        &mut self,
        request: &Request,
        from: SocketAddr,
        context: &mut Context<'_>,
    ) {
        match request.method {
            Method::Invite => self.handle_invite(request, from, context),
            Method::Ack => self.handle_ack(request, context),
            Method::Cancel => self.handle_cancel(request, from, context),
            Method::Bye => {
                self.reply(request, 200, from, context);
                self.handle_bye(context);
            }
            Method::Options | Method::Info => self.reply(request, 200, from, context),
            _ => self.reply(request, 405, from, context),
        }
    }

    fn handle_invite(&mut self, request: &Request, from: SocketAddr, context: &mut Context<'_>) {
        let seq = |invite: &Request| invite.headers.cseq().map(|cseq| cseq.seq).unwrap_or(0);
        let known = self.their_invite.as_ref().map(|(invite, _)| seq(invite));
        if known == Some(seq(request)) {
            if let Some(last) = self.last_response.clone() {
                context.send(from, last);
            }
        } else if self.state == State::Talking && self.unacked.is_none() {
            self.their_invite = Some((request.clone(), from));
            self.dialog.learn_target(&request.headers);
            let sdp = body_text(&request.body);
            context.report(self.no, CallEvent::Reoffered { sdp });
        } else {
            self.reply(request, 491, from, context);
        }
    }

    fn handle_ack(&mut self, request: &Request, context: &mut Context<'_>) {
        let seq = request.headers.cseq().map(|cseq| cseq.seq).ok();
        let invite = self.their_invite.as_ref();
        let invited = invite.and_then(|(invite, _)| invite.headers.cseq().map(|c| c.seq).ok());
        if seq == invited && self.unacked.take().is_some() && self.state == State::Talking {
            context.report(self.no, CallEvent::Established);
        }
    }

    fn handle_cancel(&mut self, request: &Request, from: SocketAddr, context: &mut Context<'_>) {
        self.reply(request, 200, from, context);
        if self.state == State::Incoming {
            let response = self.response(487, None, context);
            self.respond_finally(response, context);
            self.end(CallEvent::Canceled, context);
        }
    }

    fn handle_bye(&mut self, context: &mut Context<'_>) {
        match self.state {
            State::Talking | State::Ending => self.end(CallEvent::HungUp, context),
            State::Incoming => {
                let response = self.response(487, None, context);
                self.respond_finally(response, context);
                self.end(CallEvent::Canceled, context);
            }
            State::Calling | State::Ringing | State::Over { .. } | State::Forgotten => {}
        }
    }

    /// A response to any request except the pending INVITE.
    fn reply(&self, request: &Request, status: u16, to: SocketAddr, context: &mut Context<'_>) {
        let mut response = Response::for_request(request, status);
        response.set_to_tag(self.local_tag());
        context.send(to, response.to_bytes());
    }

    /// A response to the remote party's INVITE.
    fn response(&self, status: u16, sdp: Option<&str>, context: &Context<'_>) -> Option<Response> {
        let (invite, _) = self.their_invite.as_ref()?;
        let mut response = Response::for_request(invite, status);
        response.set_to_tag(self.local_tag());
        let headers = &mut response.headers;
        headers.push(HeaderName::Contact, contact(context.account));
        headers.push(HeaderName::Allow, ALLOW);
        if let Some(sdp) = sdp {
            response.set_body(SDP, sdp.to_owned());
        }
        Some(response)
    }

    fn respond(&mut self, response: Option<Response>, context: &mut Context<'_>) {
        if let (Some(response), Some((_, to))) = (response, &self.their_invite) {
            let bytes = response.to_bytes();
            self.last_response = Some(bytes.clone());
            context.send(*to, bytes);
        }
    }

    fn respond_finally(&mut self, response: Option<Response>, context: &mut Context<'_>) {
        self.respond(response, context);
        let last = self.last_response.clone();
        self.unacked = last.map(|bytes| Repeat::new(bytes, context.now));
    }

    fn local_tag(&self) -> &str {
        self.dialog
            .local
            .rsplit_once(";tag=")
            .map_or("", |(_, tag)| tag)
    }

    // ---- Time. ----

    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        if let State::Over { until } = self.state
            && until <= context.now
        {
            self.state = State::Forgotten;
            return;
        }
        let hop = self.dialog.next_hop(context.account);
        let now = context.now;
        let due = |pending: &mut Option<Pending>| {
            pending
                .as_mut()
                .map(|pending| pending.repeat.handle_timeout(now))
        };
        match due(&mut self.invite) {
            Some(Due::Send(bytes)) => context.send(hop, bytes),
            Some(Due::GaveUp) => self.no_answer(context),
            Some(Due::Nothing) | None => {}
        }
        match due(&mut self.other) {
            Some(Due::Send(bytes)) => context.send(hop, bytes),
            Some(Due::GaveUp) => self.no_answer(context),
            Some(Due::Nothing) | None => {}
        }
        let unacked = self.unacked.as_mut();
        match unacked.map(|repeat| repeat.handle_timeout(now)) {
            Some(Due::Send(bytes)) => {
                let to = self.their_invite.as_ref().map_or(hop, |(_, from)| *from);
                context.send(to, bytes);
            }
            Some(Due::GaveUp) => self.bye(context),
            Some(Due::Nothing) | None => {}
        }
    }

    /// Our INVITE, CANCEL or BYE got no answer.
    fn no_answer(&mut self, context: &mut Context<'_>) {
        let status = 408;
        match self.state {
            State::Ending => self.end(CallEvent::Ended { status }, context),
            State::Calling | State::Ringing => {
                let reason = "Request Timeout".to_owned();
                self.end(CallEvent::Refused { status, reason }, context);
            }
            State::Incoming | State::Talking | State::Over { .. } | State::Forgotten => {
                self.other = None;
            }
        }
    }

    fn end(&mut self, event: CallEvent, context: &mut Context<'_>) {
        self.invite = None;
        self.other = None;
        self.state = State::Over {
            until: context.now + LINGER,
        };
        context.report(self.no, event);
    }
}

fn body_text(body: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}
