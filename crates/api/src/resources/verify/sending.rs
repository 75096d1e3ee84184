//! Sends codes and checks guesses, for every API that verifies.
//!
//! A code is derived from the identifier of its verification with the key of the server: it need not be stored to be sent
//! again. **Invariants: no record, log line or answer contains a code; a code is recorded, within the limits, before it is
//! sent.** Left to others: the channels (`delivery`).

use std::time::Duration;

use model::record::Account;
use model::{Timestamp, VerificationSid, VerifyAttemptSid, error};
use store::{Hit, NewCode, SendTo};
use verify::{Attempt, Channel, Limit, Service, Status, Verification};

use super::delivery::Delivery;
use crate::ApiState;
use crate::context::{Context, now};
use crate::failure::Failure;
use crate::resources::calls;

const CODE: &str = "verify-code";
const DIGEST: &str = "verify-digest";
/// How often a request for a code begins again because another one was faster.
const ATTEMPTS: usize = 5;

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
    /// Subject of an e-mail, instead of the service's.
    pub(crate) subject: Option<String>,
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

/// The digits of a verification's code.
fn derived(state: &ApiState, sid: VerificationSid, length: i64) -> String {
    let length = usize::try_from(length).unwrap_or(6).clamp(4, 10);
    let signature = state.store.key().sign(CODE, &sid.to_string());
    // 128 bits modulo at most 10^10: no digit is likelier than another by more than 2^-94.
    let number = u128::from_str_radix(&signature, 16).unwrap_or_default();
    let below = 10_u128.pow(u32::try_from(length).unwrap_or(6));
    format!("{:0length$}", number % below)
}

pub(super) fn code_of(
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
    let state = context.state;
    calls::not_draining(context)?;
    check_wanted(service, &wanted)?;
    let is_test = !service.settings.test_code.is_empty();
    let delivery = if is_test {
        None
    } else {
        Some(Delivery::prepare(context, account, service, &wanted).await?)
    };
    for _ in 0..ATTEMPTS {
        let (new, code) = plan(state, service, &wanted, now()).await?;
        if !state.store.record_code(&new).await? {
            // Another request was first: what it has changed says what follows for this one.
            continue;
        }
        if let Some(delivery) = delivery
            && let Err(failure) = delivery.send(state, (&new, code)).await
        {
            state.store.revoke_code(&new).await?;
            return Err(failure);
        }
        return Ok(new.verification);
    }
    let text = "other requests are sending codes to this recipient";
    let refused = Failure::of(error::VERIFY_TOO_SOON).saying(text);
    Err(refused.retry_after(1))
}

/// A code to be recorded and sent, as far as it is allowed by what is recorded now.
async fn plan(
    state: &ApiState,
    service: &Service,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(NewCode, String), Failure> {
    let store = &state.store;
    let before = store.pending_verification(service.sid, &wanted.to).await?;
    let before = before.filter(|one| now < one.expires);
    if let Some(one) = &before
        && one.status_at(now) == Status::TooManyChecks
    {
        let wait = one.expires.since(now).as_secs().max(1);
        return Err(Failure::of(error::VERIFY_CHECKED_OUT).retry_after(wait));
    }
    let (today, is_safe) = permit(state, service, wanted, now).await?;
    let hits = hits(state, service, wanted, now).await?;
    let sid = match &before {
        Some(one) => one.sid,
        None => VerificationSid::new(now, rand::random()),
    };
    let code = code_of(state, service, sid, wanted.code.as_deref());
    let digest = store.key().sign(DIGEST, &Verification::sealed(sid, &code));
    let settings = &service.settings;
    let verification = match &before {
        Some(one) => Verification {
            channel: wanted.channel,
            digest,
            sends: one.sends + 1,
            updated: now,
            ..one.clone()
        },
        None => Verification {
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
            expires: now + Duration::from_secs(settings.valid_s.unsigned_abs()),
            created: now,
            updated: now,
        },
    };
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
    let new = NewCode {
        settings: settings.clone(),
        is_safe,
        today,
        verification,
        before,
        attempt,
        hits,
    };
    Ok((new, code))
}

/// Refuses what the service does not allow, whatever was sent before.
fn check_wanted(service: &Service, wanted: &Wanted) -> Result<(), Failure> {
    let settings = &service.settings;
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

/// Checks the limits of the service. Returns how many codes it has sent within a day, and whether the recipient is safe.
async fn permit(
    state: &ApiState,
    service: &Service,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(i64, bool), Failure> {
    let of = SendTo {
        service: service.sid,
        to: &wanted.to,
        network: wanted.network.as_deref(),
    };
    let seen = state.store.seen_codes(&of, now).await?;
    let safe = state.store.safe_number(service.account, &wanted.to).await?;
    verify::judge(&service.settings, &seen, safe.is_some()).map_err(refusal)?;
    Ok((seen.today, safe.is_some()))
}

/// Checks the limits of the application. Returns where the code will count.
async fn hits(
    state: &ApiState,
    service: &Service,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Vec<Hit>, Failure> {
    let mut hits = Vec::new();
    for (name, value) in &wanted.limits {
        let limit = state.store.verify_limit_of_name(service.sid, name).await?;
        let limit = limit.ok_or_else(|| {
            let name = crate::params::shown(name);
            let text = format!("RateLimits: the service has no limit called `{name}`");
            Failure::of(error::VERIFY_PARAMETER).saying(text)
        })?;
        let all = store::Window::at(0, 10);
        for bucket in state.store.verify_buckets(&limit, &all).await?.items {
            let hit = state.store.hit(&bucket, value, now);
            if state.store.is_full(&hit).await? {
                let period_s = bucket.period_s.max(1);
                let left = period_s - now.as_millis() / 1_000 % period_s;
                let text = format!(
                    "the limit `{name}` allows {} codes per {} s for one value",
                    bucket.max, bucket.period_s
                );
                let refused = Failure::of(error::TOO_MANY_REQUESTS).saying(text);
                return Err(refused.retry_after(left.unsigned_abs()));
            }
            hits.push(hit);
        }
    }
    Ok(hits)
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
        Status::TooManyChecks if now < one.expires => return Ok(Checked::TooMany),
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
