//! Sends codes and checks guesses, for every API that verifies.
//!
//! A code is derived from the identifier of its verification with the key of the server: it need not be stored to be sent
//! again. **Invariant: whoever reads the database, the log or an answer learns no code.**

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use call_proto::{Dialect, Document, Legs, NewCall, NewMessage};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::record::Account;
use model::{
    AccountSid, Bare, MessageDirection, MessageStatus, Target, Timestamp, VerificationSid,
    VerifyAttemptSid, error,
};
use store::{SendTo, StoreError};
use tracing::warn;
use url::form_urlencoded::parse;
use verify::{Attempt, Channel, Limit, Service, Spoken, Status, Verification};

use crate::ApiState;
use crate::context::{Context, now};
use crate::failure::Failure;
use crate::resources::caller_ids::validation::{own_number, top};
use crate::resources::calls;

/// Path of the address that speaks a code after a key was pressed.
pub(crate) const PATH: &str = "/restcomm/verifications";

const CODE: &str = "verify-code";
const DIGEST: &str = "verify-digest";
const SPEAK: &str = "verify-speak";
/// How long a call may ring, and how long it may last.
const RINGING: Duration = Duration::from_secs(60);
const LASTING: Duration = Duration::from_secs(180);
/// How long the outcome of a message is awaited before the other channel is used, and how often it is looked up.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is asked for besides the service.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// A number in E.164 form, or an e-mail address.
    pub(crate) to: String,
    pub(crate) channel: Channel,
    /// Language tag.
    pub(crate) locale: String,
    /// Name that the recipient reads, instead of the service's.
    pub(crate) name: Option<String>,
    /// The code that the application chose.
    pub(crate) code: Option<String>,
    /// The network of the person who asks for it.
    pub(crate) network: Option<String>,
    /// Limits that the application counts: name and value.
    pub(crate) limits: Vec<(String, String)>,
    /// The sender, instead of the service's.
    pub(crate) from: Option<String>,
    /// Text, instead of the service's.
    pub(crate) template: Option<String>,
    /// Keys to press when a call is answered.
    pub(crate) send_digits: Option<String>,
}

/// What a guess was worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checked {
    Right(Verification),
    /// Wrong; the verification counts the guess.
    Wrong(Verification),
    /// No more guesses are allowed.
    TooMany,
    /// There is no pending verification.
    None,
}

fn no_verification(to: &str) -> Failure {
    let text = format!(
        "there is no pending verification of {}",
        crate::params::shown(to)
    );
    Failure::not_found().saying(text)
}

/// The digits of a verification's code.
fn derived(state: &ApiState, sid: VerificationSid, length: i64) -> String {
    let length = usize::try_from(length).unwrap_or(6).clamp(4, 10);
    let signature = state.store.key().sign(CODE, &sid.to_string());
    // 128 bits modulo at most 10^10: no digit is likelier than another by more than 2^-94.
    let number = u128::from_str_radix(&signature, 16).unwrap_or_default();
    let below = 10_u128.pow(u32::try_from(length).unwrap_or(6));
    format!("{:0length$}", number % below)
}

fn code_of(
    state: &ApiState,
    service: &Service,
    sid: VerificationSid,
    chosen: Option<&str>,
) -> String {
    match (service.settings.test_code.as_str(), chosen) {
        ("", Some(chosen)) => chosen.to_owned(),
        ("", None) => derived(state, sid, service.settings.code_length),
        (fixed, _) => fixed.to_owned(),
    }
}

/// Starts a verification, or sends another code of the pending one.
///
/// # Errors
/// Why no code is sent; nothing is recorded then.
pub(crate) async fn start(
    context: &Context<'_>,
    account: &Account,
    service: &Service,
    wanted: Wanted,
) -> Result<Verification, Failure> {
    let (state, now) = (context.state, now());
    calls::not_draining(context)?;
    check_wanted(service, &wanted)?;
    permit(state, service, &wanted, now).await?;
    let pending = state
        .store
        .pending_verification(service.sid, &wanted.to)
        .await?;
    let pending = pending.filter(|one| one.status_at(now) == Status::Pending);
    let sid = pending
        .as_ref()
        .map_or_else(|| VerificationSid::new(now, rand::random()), |one| one.sid);
    let code = code_of(state, service, sid, wanted.code.as_deref());
    let digest = state
        .store
        .key()
        .sign(DIGEST, &Verification::sealed(sid, &code));
    let attempt = Attempt {
        sid: VerifyAttemptSid::new(now, rand::random()),
        account: service.account,
        service: service.sid,
        verification: sid,
        to: wanted.to.clone(),
        channel: wanted.channel,
        network: wanted.network.clone(),
        is_confirmed: false,
        created: now,
        updated: now,
    };
    let settings = &service.settings;
    let verification = match pending {
        Some(pending) => {
            let next = Verification {
                channel: wanted.channel,
                digest,
                sends: pending.sends + 1,
                updated: now,
                ..pending
            };
            if !state.store.resend_verification(&next, &attempt).await? {
                return Err(no_verification(&wanted.to));
            }
            next
        }
        None => {
            let valid = Duration::from_secs(settings.valid_s.unsigned_abs());
            let new = Verification {
                sid,
                account: service.account,
                service: service.sid,
                to: wanted.to.clone(),
                channel: wanted.channel,
                status: Status::Pending,
                digest,
                sends: 1,
                checks: 0,
                max_checks: settings.max_checks,
                expires: now + valid,
                created: now,
                updated: now,
            };
            match state.store.insert_verification(&new, &attempt).await {
                Err(StoreError::Duplicate(_)) => {
                    let text = "another request is sending a code to this recipient";
                    return Err(Failure::of(error::VERIFY_TOO_SOON)
                        .saying(text)
                        .retry_after(1));
                }
                inserted => inserted?,
            }
            new
        }
    };
    if settings.test_code.is_empty() {
        let sent = deliver(context, account, service, &wanted, (sid, &code)).await;
        if let Err(failure) = sent {
            state
                .store
                .end_verification(sid, Status::Failed, now)
                .await?;
            return Err(failure);
        }
    }
    Ok(verification)
}

/// Refuses what the service does not allow, whatever was sent before.
fn check_wanted(service: &Service, wanted: &Wanted) -> Result<(), Failure> {
    let settings = &service.settings;
    if wanted.channel == Channel::Email {
        let text = "this server sends no e-mail for verifications; use sms or call";
        return Err(Failure::of(error::VERIFY_NO_CHANNEL).saying(text));
    }
    if !settings.allows(&wanted.to) {
        return Err(Failure::of(error::VERIFY_COUNTRY));
    }
    let refused = |text: &str| Err(Failure::of(error::VERIFY_PARAMETER).saying(text));
    match &wanted.code {
        Some(_) if !settings.custom_codes => {
            refused("CustomCode: the service does not allow it; set CustomCodeEnabled")
        }
        Some(code) if !verify::is_code(code) => {
            refused("CustomCode: it needs four to ten letters or digits")
        }
        Some(_) if settings.asks_for_key && wanted.channel == Channel::Call => refused(
            "CustomCode: a call of a service with DtmfInputRequired speaks only codes of this server",
        ),
        _ => Ok(()),
    }
}

/// Checks all limits, and counts the code at those of the application.
async fn permit(
    state: &ApiState,
    service: &Service,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(), Failure> {
    let of = SendTo {
        service: service.sid,
        to: &wanted.to,
        network: wanted.network.as_deref(),
    };
    let seen = state.store.seen_codes(&of, now).await?;
    let safe = state.store.safe_number(service.account, &wanted.to).await?;
    verify::judge(&service.settings, &seen, safe.is_some()).map_err(refusal)?;
    for (name, value) in &wanted.limits {
        let limit = state.store.verify_limit_of_name(service.sid, name).await?;
        let limit = limit.ok_or_else(|| {
            let name = crate::params::shown(name);
            let text = format!("RateLimits: the service has no limit called `{name}`");
            Failure::of(error::VERIFY_PARAMETER).saying(text)
        })?;
        let all = store::Window::at(0, 10);
        for bucket in state.store.verify_buckets(&limit, &all).await?.items {
            if !state.store.hit_bucket(&bucket, value, now).await? {
                let period_s = bucket.period_s.max(1);
                let left = period_s - now.as_millis() / 1_000 % period_s;
                let text = format!(
                    "the limit `{name}` allows {} codes per {} s for one value",
                    bucket.max, bucket.period_s
                );
                let refused = Failure::of(error::TOO_MANY_REQUESTS).saying(text);
                return Err(refused.retry_after(left.unsigned_abs()));
            }
        }
    }
    Ok(())
}

fn refusal(limit: Limit) -> Failure {
    let code = match limit {
        Limit::Resend(_) => error::VERIFY_TOO_SOON,
        Limit::Recipient => error::VERIFY_SENT_OUT,
        Limit::Block | Limit::Unconfirmed => error::VERIFY_BLOCKED,
        Limit::Network | Limit::Day => error::TOO_MANY_REQUESTS,
    };
    let seconds = limit.wait().as_secs().max(1);
    Failure::of(code)
        .saying(limit.to_string())
        .retry_after(seconds)
}

/// Hands the code to the channel.
async fn deliver(
    context: &Context<'_>,
    account: &Account,
    service: &Service,
    wanted: &Wanted,
    (sid, code): (VerificationSid, &str),
) -> Result<(), Failure> {
    let state = context.state;
    let from = match (&wanted.from, service.settings.from.as_str()) {
        (Some(from), _) => from.clone(),
        (None, "") => own_number(state, account.sid).await?.ok_or_else(|| {
            let text =
                "From: the account has no number to send from; buy one, or set From of the service";
            Failure::of(error::VERIFY_PARAMETER).saying(text)
        })?,
        (None, from) => from.to_owned(),
    };
    let author = top(context, account).await?;
    let sending = Sending {
        account: account.sid,
        author,
        from,
        service: service.clone(),
        wanted: wanted.clone(),
        sid,
        code: code.to_owned(),
    };
    match wanted.channel {
        Channel::Sms => {
            let message = sending.text(state).await?;
            let fallback = service.settings.fallback.parse::<Channel>();
            if fallback == Ok(Channel::Call) {
                tokio::spawn(sending.call_if_unsent(state.clone(), message));
            }
            Ok(())
        }
        Channel::Call => sending.call(state).await,
        Channel::Email => Err(Failure::of(error::VERIFY_NO_CHANNEL)),
    }
}

/// A code on its way.
struct Sending {
    account: AccountSid,
    author: AccountSid,
    from: String,
    service: Service,
    wanted: Wanted,
    sid: VerificationSid,
    code: String,
}

impl Sending {
    fn name(&self) -> &str {
        self.wanted.name.as_deref().unwrap_or(&self.service.name)
    }

    async fn text(&self, state: &ApiState) -> Result<model::MessageSid, Failure> {
        let settings = &self.service.settings;
        let template = self
            .wanted
            .template
            .as_deref()
            .unwrap_or(&settings.template);
        let body = verify::message(
            &self.wanted.locale,
            template,
            self.name(),
            &self.code,
            settings.warns,
        );
        let new = NewMessage {
            account: self.account,
            from: self.from.clone(),
            to: self.wanted.to.clone(),
            body,
            direction: MessageDirection::OutboundApi,
            headers: Vec::new(),
            callback: None,
            // A code that comes too late is worth nothing.
            validity: Some(Duration::from_secs(settings.valid_s.unsigned_abs())),
            dialect: Dialect::TWILIO,
        };
        let sent = state.messages.send(new).await;
        Ok(sent.map_err(crate::resources::messages::not_sent)?.sid)
    }

    async fn call(&self, state: &ApiState) -> Result<(), Failure> {
        let settings = &self.service.settings;
        let text = if settings.asks_for_key {
            verify::question(&self.wanted.locale, &self.address(state))
        } else {
            self.spoken()
        };
        let new = NewCall {
            account: self.account,
            from: self.from.clone(),
            target: Target::parse(&self.wanted.to, Bare::Number),
            headers: Vec::new(),
            planned: Document::of_text(text, self.author).into(),
            send_digits: self.wanted.send_digits.clone(),
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
            locale: &self.wanted.locale,
            name: self.name(),
            code: &self.code,
            repeat: self.service.settings.repeat,
        })
    }

    /// The address whose answer speaks the code. The code is not in it, because addresses are logged.
    fn address(&self, state: &ApiState) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("Verification", &self.sid.to_string())
            .append_pair("Locale", &self.wanted.locale)
            .append_pair("Name", self.name());
        let query = query.finish();
        let signature = state.store.key().sign(SPEAK, &query);
        format!("{}{PATH}?{query}&Signature={signature}", state.public_base)
    }

    /// Calls the recipient if the message turns out not to be sent.
    async fn call_if_unsent(self, state: ApiState, message: model::MessageSid) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            let status = match state.store.message(message).await {
                Ok(found) => found.map(|message| message.status),
                Err(error) => {
                    warn!(%error, "the outcome of a code's message cannot be looked up");
                    None
                }
            };
            match status {
                Some(MessageStatus::Failed | MessageStatus::Undelivered) => break,
                Some(MessageStatus::Sent | MessageStatus::Delivered) => return,
                _ => {}
            }
        }
        if let Err(failure) = self.call(&state).await {
            warn!(verification.sid = %self.sid, ?failure, "a code could be sent neither as a message nor by a call");
        }
    }
}

/// Compares a guess, after it was counted.
///
/// # Errors
/// As the database reports.
pub(crate) async fn check(
    state: &ApiState,
    pending: Option<Verification>,
    guess: &str,
) -> Result<Checked, Failure> {
    let now = now();
    let Some(mut one) = pending else {
        return Ok(Checked::None);
    };
    match one.status_at(now) {
        Status::Pending => {}
        Status::TooManyChecks => return Ok(Checked::TooMany),
        _ => return Ok(Checked::None),
    }
    if !state.store.count_guess(one.sid, now).await? {
        // Others were counted meanwhile, or it ended.
        let found = state.store.verification(one.sid).await?;
        let status = found.map(|found| found.status_at(now));
        return Ok(match status {
            Some(Status::TooManyChecks) => Checked::TooMany,
            _ => Checked::None,
        });
    }
    one.checks += 1;
    one.updated = now;
    let key = state.store.key();
    let guessed = Verification::sealed(one.sid, guess.trim());
    if !key.is_signed(DIGEST, &guessed, &one.digest) {
        return Ok(Checked::Wrong(one));
    }
    if !state
        .store
        .end_verification(one.sid, Status::Approved, now)
        .await?
    {
        return Ok(Checked::None);
    }
    one.status = Status::Approved;
    Ok(Checked::Right(one))
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
