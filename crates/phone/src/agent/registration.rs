//! One registration (RFC 3261 §10): requested, challenged, confirmed, refreshed.

use std::time::{Duration, Instant};

use sip_proto::digest::{Client, Secret};
use sip_proto::header::NameAddr;
use sip_proto::message::{HeaderName, Method, Response};

use super::build::{Dialog, call_id, contact, own_address, target_uri};
use super::repeat::{Due, Repeat};
use super::{Account, Context, Output, Random};

pub(super) struct Registration {
    dialog: Option<Dialog>,
    call_id: String,
    digest: Client,
    expires_s: u32,
    pending: Option<Repeat>,
    refresh_at: Option<Instant>,
}

impl Registration {
    pub(super) fn new(account: &Account, random: &mut Random) -> Self {
        let call_id = call_id(account, random);
        let address = own_address(account);
        let registrar = target_uri(&format!("sip:{}", account.domain), account);
        Self {
            dialog: registrar.map(|target| Dialog {
                call_id: call_id.clone(),
                local: format!("{address};tag={}", random.word()),
                remote: address,
                target,
                route: Vec::new(),
                seq: 0,
            }),
            call_id,
            digest: Client::new(&account.user, Secret::Password(account.password.clone())),
            expires_s: 0,
            pending: None,
            refresh_at: None,
        }
    }

    pub(super) fn call_id(&self) -> &str {
        &self.call_id
    }

    pub(super) fn start(&mut self, expires_s: u32, context: &mut Context<'_>) {
        self.expires_s = expires_s;
        self.refresh_at = None;
        self.digest.begin();
        self.send(context);
    }

    fn send(&mut self, context: &mut Context<'_>) {
        let Some(dialog) = &mut self.dialog else {
            context.out.push_back(Output::NotRegistered { status: 400 });
            return;
        };
        let seq = dialog.next_seq();
        let branch = context.random.word();
        let mut request = dialog.request(Method::Register, seq, &branch, context.account);
        let headers = &mut request.headers;
        headers.push(HeaderName::Contact, contact(context.account));
        headers.push(HeaderName::Expires, self.expires_s);
        let uri = request.uri.to_string();
        let cnonce = context.random.word();
        for (name, value) in self.digest.authorize(&Method::Register, &uri, &cnonce) {
            request.headers.push(name, value);
        }
        let bytes = request.to_bytes();
        self.pending = Some(Repeat::new(bytes.clone(), context.now));
        context.send(context.account.server, bytes);
    }

    pub(super) fn handle_response(&mut self, response: &Response, context: &mut Context<'_>) {
        let seq = response.headers.cseq().map(|cseq| cseq.seq).ok();
        let current = self.dialog.as_ref().map(|dialog| dialog.seq);
        if seq != current || self.pending.is_none() {
            return;
        }
        match response.status.0 {
            ..200 => {}
            200..300 => self.confirmed(response, context),
            401 | 407 if self.digest.learn(response).is_ok() => self.send(context),
            status => self.refused(status, context),
        }
    }

    fn confirmed(&mut self, response: &Response, context: &mut Context<'_>) {
        self.pending = None;
        let contacts = response.headers.all(HeaderName::Contact);
        let own = contacts
            .filter_map(|contact| NameAddr::parse(contact).ok())
            .find(|contact| contact.uri.port() == Some(context.account.contact.port()));
        let granted = own.and_then(|contact| contact.expires());
        let granted = granted.or_else(|| response.headers.expires());
        let expires_s = granted.unwrap_or(self.expires_s).min(self.expires_s);
        if expires_s > 0 {
            let early = Duration::from_secs(u64::from(expires_s)).mul_f64(0.8);
            self.refresh_at = Some(context.now + early);
        }
        context.out.push_back(Output::Registered { expires_s });
    }

    fn refused(&mut self, status: u16, context: &mut Context<'_>) {
        self.pending = None;
        context.out.push_back(Output::NotRegistered { status });
    }

    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let due = self
            .pending
            .as_mut()
            .map(|pending| pending.handle_timeout(context.now));
        match due {
            Some(Due::Send(bytes)) => context.send(context.account.server, bytes),
            Some(Due::GaveUp) => self.refused(408, context),
            Some(Due::Nothing) | None => {}
        }
        if self.refresh_at.is_some_and(|at| at <= context.now) {
            self.start(self.expires_s, context);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.as_ref().map(Repeat::deadline);
        [pending, self.refresh_at].into_iter().flatten().min()
    }
}
