//! Changes of a live call: another document, something to hear at once, or its end.

use call_proto::{Dialect, Document, Modify, ModifyError, ParticipantChange, Reason, Redirect};
use http::StatusCode;
use model::record::{Account, CallRecord};
use model::{CallSid, error};
use store::Store;

use super::fields::CALL;
use super::interjection::interjection;
use super::{method_or_post, sent_document};
use crate::context::{Answer, Context, now, owned};
use crate::failure::Failure;

/// `POST …/Calls/{sid}`.
pub(super) async fn modify(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let pick = |failures| context.dialect.pick(failures);
    let malformed = || {
        let reason = "this is not the SID of a call";
        pick([Failure::parameter("CallSid", reason), Failure::not_found()])
    };
    let unknown = || {
        let restcomm = Failure::not_found().with_status(StatusCode::NOT_ACCEPTABLE);
        pick([restcomm, Failure::not_found()])
    };
    let sid: CallSid = sid.parse().map_err(|_| malformed())?;
    let mut found = context.state.store.call(sid).await?;
    if !context.is_super_admin() {
        found = owned(account, found);
    }
    let call = found.ok_or_else(unknown)?;
    let change = change(context, sid).await?;
    let ends = matches!(change, Modify::Complete | Modify::Cancel);
    // Programs for Twilio take 404 to mean that the call has ended already.
    let over = match ends {
        true => pick([
            Failure::of(error::CALL_NOT_LIVE),
            Failure::not_found().saying("The call has already ended."),
        ]),
        false => Failure::of(error::CALL_NOT_LIVE),
    };
    if call.status.is_final() {
        return Err(over
            .saying_who_answered(&context.state.store, &call)
            .await?);
    }
    let state = &context.state;
    let made = state.calls.modify(sid, change).await;
    if let Err(refusal) = made {
        return Err(match refusal {
            ModifyError::NotLive => {
                if let Some(elsewhere) = runs_elsewhere(&state.store, sid).await? {
                    return Err(elsewhere);
                }
                let ended = state.store.call(sid).await?.unwrap_or(call);
                over.saying_who_answered(&state.store, &ended).await?
            }
            ModifyError::NotAnswered
            | ModifyError::NotInConference
            | ModifyError::NotInQueue
            | ModifyError::Interjection(_)
            | ModifyError::Recording(_) => {
                Failure::of(error::CALL_NOT_LIVE).saying(refusal.to_string())
            }
            ModifyError::Unconfirmed => {
                let late = Failure::of(error::INTERNAL).saying(refusal.to_string());
                late.with_status(StatusCode::SERVICE_UNAVAILABLE)
            }
        });
    }
    let changed = state.store.call(sid).await?;
    Ok(context.show(&CALL, &changed.unwrap_or(call)))
}

impl Failure {
    /// The same, with the leg that was answered if this one was canceled because of that.
    async fn saying_who_answered(self, store: &Store, call: &CallRecord) -> Result<Self, Failure> {
        if call.reason.as_deref() != Some(Reason::LostRace.as_str()) {
            return Ok(self);
        }
        Ok(match store.answered_instead(call).await? {
            Some(winner) => self.saying(format!(
                "Another phone has answered: the call continues as {winner}."
            )),
            None => self,
        })
    }
}

/// The answer if another server runs a call.
pub(crate) async fn runs_elsewhere(
    store: &Store,
    sid: CallSid,
) -> Result<Option<Failure>, Failure> {
    if let Some(call) = store.call(sid).await?
        && !call.status.is_final()
        && store.runs_elsewhere(call.instance, now()).await?
    {
        let text = format!(
            "The call runs on another server, `{}`: send the request there.",
            call.instance
        );
        return Ok(Some(Failure::of(error::CALL_ELSEWHERE).saying(text)));
    }
    Ok(None)
}

async fn change(context: &Context<'_>, call: CallSid) -> Result<Modify, Failure> {
    let params = &context.params;
    let status = params.word("Status");
    let next = sent_document(context)?;
    if status.is_some() {
        context.warn_beside(&["Url", "Twiml"], "Status");
        context.warn_beside(OF_DOCUMENT, "Status");
    } else if next.is_none() {
        context.warn_unused(OF_DOCUMENT, "Url or Twiml");
    }
    if let Some(interjection) = interjection(context)? {
        return Ok(Modify::Interject(Box::new(interjection)));
    }
    let muted = params.flag("Mute")?;
    if let (None, None, Some(muted)) = (status, &next, muted) {
        let found = context.state.store.participant(call).await?;
        let in_one = found.ok_or_else(|| {
            Failure::parameter("Mute", "only a call that is in a conference can be muted")
        })?;
        let mut change = ParticipantChange::of(in_one.membership.conference);
        change.muted = Some(muted);
        return Ok(Modify::Participant(Box::new(change)));
    }
    if muted.is_some() {
        let why = "it cannot be combined with Url, Twiml or Status";
        return Err(Failure::parameter("Mute", why));
    }
    match (status, next) {
        (Some("canceled"), _) => Ok(Modify::Cancel),
        (Some(_), _) => Ok(Modify::Complete),
        (None, Some(document)) => {
            let redirect = redirect(context, document)?;
            Ok(Modify::Redirect(Box::new(redirect)))
        }
        (None, None) => {
            let text =
                "Url, Twiml, Status, Say, Play or SendDigits: one of these parameters is required";
            Err(Failure::of(error::BAD_PARAMETER).saying(text))
        }
    }
}

/// The parameters about the document that a live call is to run.
const OF_DOCUMENT: &[&str] = &[
    "Method",
    "FallbackUrl",
    "FallbackMethod",
    "StatusCallback",
    "StatusCallbackMethod",
    "MoveConnectedCallLeg",
];

fn redirect(context: &Context<'_>, document: Document) -> Result<Redirect, Failure> {
    let method = method_or_post(context, "StatusCallbackMethod")?;
    let callback = context.optional_address("StatusCallback")?;
    if callback.is_none() {
        context.warn_unused(&["StatusCallbackMethod"], "StatusCallback");
    }
    let both = context.params.flag("MoveConnectedCallLeg")?;
    Ok(Redirect {
        document,
        status_callback: callback.map(|url| (url, method)),
        only_in: None,
        move_connected_leg: both.unwrap_or(false),
        dialect: Some(Dialect::of(context.dialect.runs)),
    })
}
