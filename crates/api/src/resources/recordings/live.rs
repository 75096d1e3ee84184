//! Recordings in progress: the API starts one of a live call, and pauses, continues or ends one of a call
//! or conference.
//!
//! **Invariant: each request is answered with the recording as it is after the change, or with a numbered
//! refusal.** The machines decide (`call_proto`); only what the store already knows is refused here.

use call_proto::{
    CallbackTarget, Changed, Modify, ModifyError, NewRecording, Pause, RecordingChange,
    RecordingRefusal, Sides, Turn,
};
use http::StatusCode;
use model::record::{Account, CallRecord, Conference, ShownRecording};
use model::{CallSid, HttpMethod, RecordingEvent, RecordingSid, RecordingStatus, error};

use super::super::{calls, conferences};
use super::{RECORDING, find_any, remove};
use crate::context::{Answer, Context, owned};
use crate::failure::Failure;
use crate::params::Params;
use crate::route::{Is, Param, param};

/// Names the newest recording in progress, in place of its SID.
const CURRENT: &str = "Twilio.CURRENT";

/// Parameters of a new recording.
pub(in crate::resources) const NEW_RECORDING: &[Param] = &[
    param(
        "RecordingChannels",
        Is::Word(&["mono", "dual"]),
        "`mono`: both sides mixed, on one channel. `dual`: what the party of the call says on the left channel, what it hears on the right. `mono` if not given.",
    ),
    param(
        "RecordingTrack",
        Is::Word(&["inbound", "outbound", "both"]),
        "`inbound`: only what the party of the call says. `outbound`: only what it hears. Both need `mono`. `both` if not given.",
    ),
    param(
        "RecordingStatusCallback",
        Is::Text,
        "Address that receives the events of the recording ([webhooks.md](webhooks.md#recordings)).",
    ),
    param(
        "RecordingStatusCallbackMethod",
        Is::Method,
        "Method for `RecordingStatusCallback`; POST if not given.",
    ),
    param(
        "RecordingStatusCallbackEvent",
        Is::Words(RecordingEvent::WORDS),
        "Events to send, separated by spaces or commas; the parameter may be repeated. Only `completed` if not given.",
    ),
    param(
        "Trim",
        Is::Word(&["trim-silence", "do-not-trim"]),
        "`trim-silence` leaves out the silence at both ends; `do-not-trim` if not given.",
    ),
];

/// Parameters that change a recording.
pub(super) const CHANGES: &[Param] = &[
    param(
        "Status",
        Is::Word(&["paused", "in-progress", "stopped"]),
        "`paused`: what is said from now on does not become a part of the recording. `in-progress`: it continues. `stopped`: it ends.",
    )
    .required(),
    param(
        "PauseBehavior",
        Is::Word(&["silence", "skip"]),
        "What the recording contains in place of the pause: `silence` of the same length, or nothing (`skip`). Only with `Status=paused`; `silence` if not given.",
    ),
];

/// The recording that the parameters describe.
pub(in crate::resources) fn new_recording(context: &Context<'_>) -> Result<NewRecording, Failure> {
    let params = &context.params;
    let url = context.optional_address("RecordingStatusCallback")?;
    let method = params.method("RecordingStatusCallbackMethod")?;
    if url.is_none() {
        let names = [
            "RecordingStatusCallbackMethod",
            "RecordingStatusCallbackEvent",
        ];
        context.warn_unused(&names, "RecordingStatusCallback");
    }
    let target = url.map(|url| CallbackTarget {
        url,
        method: method.unwrap_or(HttpMethod::Post),
        author: context.caller.sid,
    });
    Ok(NewRecording {
        sides: sides(params)?,
        trim: params.word("Trim") == Some("trim-silence"),
        callback: target.map(|target| (target, events(params))),
    })
}

fn sides(params: &Params) -> Result<Sides, Failure> {
    let is_dual = params.word("RecordingChannels") == Some("dual");
    match params.word("RecordingTrack") {
        Some("inbound" | "outbound") if is_dual => {
            let why = "one track has one channel; it cannot be combined with `dual`";
            Err(Failure::parameter("RecordingTrack", why))
        }
        Some("inbound") => Ok(Sides::Inbound),
        Some("outbound") => Ok(Sides::Outbound),
        _ if is_dual => Ok(Sides::Apart),
        _ => Ok(Sides::Mixed),
    }
}

fn events(params: &Params) -> Vec<RecordingEvent> {
    let words = params.words("RecordingStatusCallbackEvent");
    let mut events: Vec<RecordingEvent> = words.filter_map(|word| word.parse().ok()).collect();
    if events.is_empty() {
        events.push(RecordingEvent::Completed);
    }
    events.sort();
    events.dedup();
    events
}

/// Starts a recording of a live call.
pub(super) async fn start(context: &Context<'_>, account: &Account, call: &str) -> Answer {
    let call = find_call(context, account, call).await?;
    let new = Modify::Record(Box::new(new_recording(context)?));
    ask_call(context, account, &call, new).await
}

pub(super) async fn get_of_call(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let (_, found) = one_of_call(context, account, sids).await?;
    Ok(context.show(&RECORDING, &found))
}

pub(super) async fn delete_of_call(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let (_, found) = one_of_call(context, account, sids).await?;
    remove(context, &found).await
}

/// Pauses, continues or ends a recording of a live call.
pub(super) async fn change_of_call(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let turn = turn(&context.params)?;
    let (call, recording) = match sids.split_once('/') {
        Some((call, CURRENT)) => (find_call(context, account, call).await?, None),
        _ => {
            let (call, found) = one_of_call(context, account, sids).await?;
            (call, Some(changeable(&found)?))
        }
    };
    let change = Modify::Recording(RecordingChange { recording, turn });
    ask_call(context, account, &call, change).await
}

pub(super) async fn get_of_conference(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Answer {
    let (_, found) = one_of_conference(context, account, sids).await?;
    Ok(context.show(&RECORDING, &found))
}

pub(super) async fn delete_of_conference(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Answer {
    let (_, found) = one_of_conference(context, account, sids).await?;
    remove(context, &found).await
}

/// Pauses, continues or ends the recording of a live conference.
pub(super) async fn change_of_conference(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Answer {
    let turn = turn(&context.params)?;
    let (conference, recording) = match sids.split_once('/') {
        Some((conference, CURRENT)) => {
            (conferences::find(context, account, conference).await?, None)
        }
        _ => {
            let (conference, found) = one_of_conference(context, account, sids).await?;
            (conference, Some(changeable(&found)?))
        }
    };
    let over = || Failure::of(error::CALL_NOT_LIVE).saying("the conference is not in progress");
    if conference.ended.is_some() {
        return Err(over());
    }
    let change = RecordingChange { recording, turn };
    let calls = &context.state.calls;
    let changed = calls.change_conference_recording(conference.sid, change);
    match changed.await {
        Ok(changed) => show(context, account, changed).await,
        Err(ModifyError::NotLive) => Err(over()),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// What the request does to a recording.
fn turn(params: &Params) -> Result<Turn, Failure> {
    params.required("Status")?;
    let behavior = params.word("PauseBehavior");
    match params.word("Status") {
        Some("paused") if behavior == Some("skip") => Ok(Turn::Pause(Pause::Skip)),
        Some("paused") => Ok(Turn::Pause(Pause::Silence)),
        _ if behavior.is_some() => {
            let why = "it needs `Status=paused`";
            Err(Failure::parameter("PauseBehavior", why))
        }
        Some("in-progress") => Ok(Turn::Resume),
        _ => Ok(Turn::Stop),
    }
}

/// A recording that has not ended, as far as the store knows.
fn changeable(found: &ShownRecording) -> Result<RecordingSid, Failure> {
    match found.status {
        RecordingStatus::InProgress | RecordingStatus::Paused => Ok(found.recording.sid),
        RecordingStatus::Stopped
        | RecordingStatus::Completed
        | RecordingStatus::Failed
        | RecordingStatus::Absent => {
            let over = ModifyError::Recording(RecordingRefusal::Over);
            Err(refused(over))
        }
    }
}

async fn find_call(
    context: &Context<'_>,
    account: &Account,
    call: &str,
) -> Result<CallRecord, Failure> {
    let sid: CallSid = call.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.call(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

/// A recording of a call, by the SIDs of both.
async fn one_of_call(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Result<(CallRecord, ShownRecording), Failure> {
    let (call, recording) = sids.split_once('/').ok_or_else(Failure::not_found)?;
    let call = find_call(context, account, call).await?;
    let found = find_any(context, account, recording).await?;
    let is_of_call = found.recording.call == Some(call.sid);
    is_of_call
        .then_some((call, found))
        .ok_or_else(Failure::not_found)
}

/// A recording of a conference, by the SIDs of both.
async fn one_of_conference(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Result<(Conference, ShownRecording), Failure> {
    let (conference, recording) = sids.split_once('/').ok_or_else(Failure::not_found)?;
    let conference = conferences::find(context, account, conference).await?;
    let found = find_any(context, account, recording).await?;
    let is_of_it = found.recording.conference == Some(conference.sid);
    is_of_it
        .then_some((conference, found))
        .ok_or_else(Failure::not_found)
}

async fn ask_call(
    context: &Context<'_>,
    account: &Account,
    call: &CallRecord,
    modify: Modify,
) -> Answer {
    if call.status.is_final() {
        return Err(refused(ModifyError::NotLive));
    }
    match context.state.calls.modify(call.sid, modify).await {
        Ok(changed) => show(context, account, changed).await,
        Err(ModifyError::NotLive) => {
            let elsewhere = calls::runs_elsewhere(&context.state.store, call.sid).await?;
            Err(elsewhere.unwrap_or_else(|| refused(ModifyError::NotLive)))
        }
        Err(refusal) => Err(refused(refusal)),
    }
}

/// The recording after the change.
async fn show(context: &Context<'_>, account: &Account, changed: Changed) -> Answer {
    let found = match changed {
        Changed::Recording(sid) => context.state.store.shown_recording(sid).await?,
        Changed::Call => None,
    };
    let found = owned(account, found).ok_or_else(|| {
        let text = "the recording has ended meanwhile, and nothing was recorded";
        Failure::of(error::RECORDING_STATE).saying(text)
    })?;
    Ok(context.show(&RECORDING, &found))
}

fn refused(refusal: ModifyError) -> Failure {
    let text = refusal.to_string();
    match refusal {
        ModifyError::NotLive
        | ModifyError::NotAnswered
        | ModifyError::NotInConference
        | ModifyError::NotInQueue
        | ModifyError::Interjection(_) => Failure::of(error::CALL_NOT_LIVE).saying(text),
        ModifyError::Recording(refusal) => match refusal {
            RecordingRefusal::NotAnswered | RecordingRefusal::TooMany => {
                Failure::of(error::CALL_NOT_LIVE).saying(text)
            }
            RecordingRefusal::Unknown | RecordingRefusal::NothingToChange => {
                Failure::not_found().saying(text)
            }
            RecordingRefusal::OfVerb
            | RecordingRefusal::Over
            | RecordingRefusal::AlreadyPaused
            | RecordingRefusal::NotPaused => Failure::of(error::RECORDING_STATE).saying(text),
        },
        ModifyError::Unconfirmed => {
            let late = Failure::of(error::INTERNAL).saying(text);
            late.with_status(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}
