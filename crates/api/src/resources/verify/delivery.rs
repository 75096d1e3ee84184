//! Hands a code to its channel: a text message, a call, an e-mail, or a call because the message was not sent.
//!
//! **Invariant: the code is in no address, and in no record of a message; one of an e-mail has it until it is sent.** Left to others: whether the
//! code may be sent, and its record.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use call_proto::{Dialect, Document, Legs, NewCall, NewMessage};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::email::{self, Email, Mailbox};
use model::record::Account;
use model::{
    AccountSid, Bare, EmailSid, EmailStatus, MessageDirection, Target, VerificationSid, error,
};
use store::NewCode;
use tracing::warn;
use url::form_urlencoded::parse;
use verify::{Channel, Service, Spoken, Status};

use super::sending::{Wanted, code_of};
use crate::ApiState;
use crate::context::{Context, now};
use crate::failure::Failure;
use crate::messages::MessageOutcome;
use crate::params::shown;
use crate::resources::caller_ids::validation::{own_number, top};
use crate::resources::calls;

/// Path of the address that speaks a code after a key was pressed.
pub(crate) const PATH: &str = "/restcomm/verifications";

const SPEAK: &str = "verify-speak";
/// What the record of a message has in place of the code.
const REMOVED: &str = "[code removed]";
/// How long a call may ring, and how long it may last.
const RINGING: Duration = Duration::from_secs(60);
const LASTING: Duration = Duration::from_secs(180);
/// How long the outcome of a message is awaited before the other channel is used.
const PATIENCE: Duration = Duration::from_secs(60);

/// How codes reach the recipient of a request.
pub(super) struct Delivery {
    account: AccountSid,
    author: AccountSid,
    from: String,
    service: Service,
    wanted: Wanted,
}

impl Delivery {
    /// # Errors
    /// If there is no number to send from.
    pub(super) async fn prepare(
        context: &Context<'_>,
        account: &Account,
        service: &Service,
        wanted: &Wanted,
    ) -> Result<Self, Failure> {
        if wanted.channel == Channel::Email {
            return Ok(Self {
                account: account.sid,
                author: account.sid,
                from: email_sender(context.state, service, wanted)?,
                service: service.clone(),
                wanted: wanted.clone(),
            });
        }
        let from = match (&wanted.from, service.settings.from.as_str()) {
            (Some(from), _) => from.clone(),
            (None, "") => own_number(context.state, account.sid).await?.ok_or_else(|| {
                let text =
                    "From: the account has no number to send from; buy one, or set From of the service";
                Failure::of(error::VERIFY_PARAMETER).saying(text)
            })?,
            (None, from) => from.to_owned(),
        };
        Ok(Self {
            account: account.sid,
            author: top(context, account).await?,
            from,
            service: service.clone(),
            wanted: wanted.clone(),
        })
    }

    /// Hands a code to the channel.
    ///
    /// # Errors
    /// If nothing is sent.
    pub(super) async fn send(
        self,
        state: &ApiState,
        (new, code): (&NewCode, String),
    ) -> Result<(), Failure> {
        let sending = Sending {
            delivery: self,
            sid: new.verification.sid,
            code,
        };
        match sending.delivery.wanted.channel {
            Channel::Sms => sending.text(state, new).await,
            Channel::Call => sending.call(state).await,
            Channel::Email => sending.email(state).await,
        }
    }
}

/// The sender of e-mails with codes, from whom this server sends.
fn email_sender(state: &ApiState, service: &Service, wanted: &Wanted) -> Result<String, Failure> {
    let Some(senders) = &state.mail else {
        let text = "this server sends no e-mail: set `mail.server`, or use sms or call";
        return Err(Failure::of(error::VERIFY_NO_CHANNEL).saying(text));
    };
    let from = wanted.from.as_ref().unwrap_or(&service.settings.email_from);
    if from.is_empty() {
        let text = "EmailFrom: the service has no sender for e-mails; set it";
        return Err(Failure::of(error::VERIFY_PARAMETER).saying(text));
    }
    if Mailbox::parse(from).is_none() {
        let text = format!("From: `{}` is not an e-mail address", shown(from));
        return Err(Failure::of(error::VERIFY_PARAMETER).saying(text));
    }
    if !senders.allow(from) {
        return Err(Failure::of(error::EMAIL_SENDER));
    }
    Ok(from.clone())
}

/// A code on its way.
struct Sending {
    delivery: Delivery,
    sid: VerificationSid,
    code: String,
}

impl Sending {
    fn name(&self) -> &str {
        self.delivery
            .wanted
            .name
            .as_deref()
            .unwrap_or(&self.delivery.service.name)
    }

    /// The text with the code, or with what replaces it.
    fn body(&self, code: &str) -> String {
        let (wanted, settings) = (&self.delivery.wanted, &self.delivery.service.settings);
        let template = wanted.template.as_deref().unwrap_or(&settings.template);
        verify::message(&wanted.locale, template, self.name(), code, settings.warns)
    }

    /// Stores an e-mail, which the outbox sends.
    async fn email(self, state: &ApiState) -> Result<(), Failure> {
        let (wanted, settings) = (&self.delivery.wanted, &self.delivery.service.settings);
        let template = wanted.subject.as_deref().unwrap_or(&settings.email_subject);
        let subject = verify::subject(&wanted.locale, template, self.name());
        let now = now();
        let mail = Email {
            sid: EmailSid::new(now, rand::random()),
            account: self.delivery.account,
            call: None,
            from: self.delivery.from.clone(),
            to: wanted.to.clone(),
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: email::header(&subject),
            body: self.body(&self.code),
            recorded_as: Some(self.body(REMOVED)),
            html: false,
            recordings: Vec::new(),
            status: EmailStatus::Queued,
            error_code: None,
            reason: None,
            created: now,
            updated: now,
            sent: None,
        };
        Ok(state.store.insert_email(&mail).await?)
    }

    async fn text(self, state: &ApiState, recorded: &NewCode) -> Result<(), Failure> {
        let Delivery {
            service, wanted, ..
        } = &self.delivery;
        let settings = &service.settings;
        let new = NewMessage {
            account: self.delivery.account,
            from: self.delivery.from.clone(),
            to: wanted.to.clone(),
            body: self.body(&self.code),
            recorded_as: Some(self.body(REMOVED)),
            direction: MessageDirection::OutboundApi,
            headers: Vec::new(),
            callback: None,
            // A code that comes too late is worth nothing.
            validity: Some(Duration::from_secs(settings.valid_s.unsigned_abs())),
            dialect: Dialect::TWILIO,
            answers_keyword: None,
            released: None,
            chosen: None,
        };
        let sent = state.messages.send_and_watch(new).await;
        let (_, outcome) = sent.map_err(crate::resources::messages::not_sent)?;
        tokio::spawn(self.follow(state.clone(), recorded.clone(), outcome));
        Ok(())
    }

    async fn call(&self, state: &ApiState) -> Result<(), Failure> {
        let settings = &self.delivery.service.settings;
        let text = if settings.asks_for_key {
            verify::question(&self.delivery.wanted.locale, &self.address(state))
        } else {
            self.spoken()
        };
        let new = NewCall {
            account: self.delivery.account,
            from: self.delivery.from.clone(),
            target: Target::parse(&self.delivery.wanted.to, Bare::Number),
            headers: Vec::new(),
            planned: Document::of_text(text, self.delivery.author).into(),
            send_digits: self.delivery.wanted.send_digits.clone(),
            detection: None,
            callback: None,
            recording: None,
            timeout: RINGING,
            time_limit: Some(LASTING),
            credentials: None,
            legs: Legs::One,
            dialect: Dialect::TWILIO,
        };
        state
            .calls
            .create(new)
            .await
            .map(drop)
            .map_err(calls::not_created)
    }

    fn spoken(&self) -> String {
        verify::document(&Spoken {
            locale: &self.delivery.wanted.locale,
            name: self.name(),
            code: &self.code,
            repeat: self.delivery.service.settings.repeat,
        })
    }

    /// The address whose answer speaks the code. The code is not in it, because addresses are logged.
    fn address(&self, state: &ApiState) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("Verification", &self.sid.to_string())
            .append_pair("Locale", &self.delivery.wanted.locale)
            .append_pair("Name", self.name());
        let query = query.finish();
        let signature = state.store.key().sign(SPEAK, &query);
        format!("{}{PATH}?{query}&Signature={signature}", state.public_base)
    }

    /// If the message turns out not to be sent, calls the recipient, or else takes the code back, so that another one can be
    /// requested at once.
    async fn follow(self, state: ApiState, recorded: NewCode, outcome: MessageOutcome) {
        let outcome = tokio::time::timeout(PATIENCE, outcome).await;
        let is_lost = match outcome {
            Ok(Ok((200..=299, _))) => return,
            Ok(Ok(_)) => true,
            // It may still leave.
            Ok(Err(_)) | Err(_) => false,
        };
        let calls = self.delivery.service.settings.fallback.parse() == Ok(Channel::Call);
        if calls && self.call_if_pending(&state).await || !is_lost {
            return;
        }
        if let Err(error) = state.store.revoke_code(&recorded).await {
            warn!(%error, "a code that was not sent cannot be taken back");
        }
    }

    /// Calls the recipient if the code is still of use; `false` if that fails.
    async fn call_if_pending(&self, state: &ApiState) -> bool {
        match state.store.verification(self.sid).await {
            Ok(Some(one)) if one.status_at(now()) == Status::Pending => {}
            Ok(_) => return true,
            Err(error) => {
                warn!(%error, "whether a code that was not sent is still needed cannot be looked up");
                return true;
            }
        }
        let called = self.call(state).await;
        if let Err(failure) = &called {
            warn!(verification.sid = %self.sid, ?failure, "a code could be sent neither as a message nor by a call");
        }
        called.is_ok()
    }
}

/// Answers the request of the `<Gather>` before a code is spoken.
pub(crate) async fn speak(state: &ApiState, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let text = match spoken_after_key(state, query).await {
        Some(text) => text,
        None => "<Response><Hangup/></Response>".to_owned(),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::OK;
    let content_type = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

async fn spoken_after_key(state: &ApiState, query: &str) -> Option<String> {
    let (signed, signature) = query.rsplit_once("&Signature=")?;
    if !state.store.key().is_signed(SPEAK, signed, signature) {
        return None;
    }
    let value = |name: &str| {
        let mut pairs = parse(signed.as_bytes());
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    let sid: VerificationSid = value("Verification")?.parse().ok()?;
    let one = state.store.verification(sid).await.ok()??;
    if one.status_at(now()) != Status::Pending {
        return None;
    }
    let service = state.store.verify_service(one.service).await.ok()??;
    Some(verify::document(&Spoken {
        locale: &value("Locale")?,
        name: &value("Name")?,
        code: &code_of(state, &service, sid, None),
        repeat: service.settings.repeat,
    }))
}
