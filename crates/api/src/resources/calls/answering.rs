//! Machine detection of a new call or participant: its parameters, which are those of Twilio at both base paths.

use call_proto::{CallbackTarget, Detection};
use model::answering::DetectionSetting;
use model::{DetectionMode, MachineDetection};

use super::method_or_post;
use crate::context::Context;
use crate::failure::Failure;
use crate::params::{Params, shown};
use crate::route::{Is, Param, param};

const MODE: &str = "MachineDetection";
const ASYNC: &str = "AsyncAmd";
const CALLBACK: &str = "AsyncAmdStatusCallback";
const CALLBACK_METHOD: &str = "AsyncAmdStatusCallbackMethod";
/// The parameters that need `MachineDetection`.
const OTHERS: &[&str] = &[
    TIMEOUT.name,
    SPEECH.name,
    SPEECH_END.name,
    SILENCE.name,
    ASYNC,
    CALLBACK,
    CALLBACK_METHOD,
];
/// The same of a participant.
const OTHERS_BESIDE: &[&str] = &[
    TIMEOUT.name,
    SPEECH.name,
    SPEECH_END.name,
    SILENCE.name,
    BESIDE_CALLBACK,
    BESIDE_CALLBACK_METHOD,
];

const BESIDE_CALLBACK: &str = "AmdStatusCallback";
const BESIDE_CALLBACK_METHOD: &str = "AmdStatusCallbackMethod";

/// Of a call.
pub(super) const DETECTION: &[Param] = &[
    param(
        MODE,
        Is::Word(DetectionMode::WORDS),
        "Detects whether a person or a machine answers. Unless `AsyncAmd` is `true`, the document is requested only once there is a result, and its requests have `AnsweredBy` and `MachineDetectionDuration`. `DetectMessageEnd` also waits for the end of a machine's greeting. `Disable`, the default, turns detection off.",
    ),
    TIMEOUT,
    SPEECH,
    SPEECH_END,
    SILENCE,
    param(
        ASYNC,
        Is::Flag,
        "`true`: the document runs at once, and `AsyncAmdStatusCallback` receives the result.",
    ),
    param(
        CALLBACK,
        Is::Text,
        "Address that receives the result, if `AsyncAmd` is `true` ([webhooks.md](webhooks.md#machine-detection)).",
    ),
    param(
        CALLBACK_METHOD,
        Is::Method,
        "Method for `AsyncAmdStatusCallback`; POST if not given.",
    ),
];

/// Of a participant of a conference, which never waits for the result.
pub(in crate::resources) const DETECTION_BESIDE: &[Param] = &[
    param(
        MODE,
        Is::Word(DetectionMode::WORDS),
        "Detects whether a person or a machine answers; the participant enters the conference immediately. `DetectMessageEnd` also waits for the end of a machine's greeting. `Disable`, the default, turns detection off.",
    ),
    TIMEOUT,
    SPEECH,
    SPEECH_END,
    SILENCE,
    param(
        BESIDE_CALLBACK,
        Is::Text,
        "Address that receives the result ([webhooks.md](webhooks.md#machine-detection)).",
    ),
    param(
        BESIDE_CALLBACK_METHOD,
        Is::Method,
        "Method for `AmdStatusCallback`; POST if not given.",
    ),
];

const TIMEOUT: Param = param(
    "MachineDetectionTimeout",
    Is::Number,
    "Seconds after which detection ends, from 3 to 59; 30 if not given. Has no effect without `MachineDetection`; the same applies to the parameters that follow.",
);
const SPEECH: Param = param(
    "MachineDetectionSpeechThreshold",
    Is::Number,
    "Milliseconds, from 1000 to 6000; speech at least this long is taken for a machine's; 2400 if not given.",
);
const SPEECH_END: Param = param(
    "MachineDetectionSpeechEndThreshold",
    Is::Number,
    "Milliseconds of silence that end speech, from 500 to 5000; 1200 if not given.",
);
const SILENCE: Param = param(
    "MachineDetectionSilenceTimeout",
    Is::Number,
    "Milliseconds of silence after the answer that end detection, from 2000 to 10000; 5000 if not given.",
);

/// What is to be found out about the party that answers.
pub(super) fn detection(context: &Context<'_>) -> Result<Option<Detection>, Failure> {
    let holds = !context.params.flag(ASYNC)?.unwrap_or(false);
    let callback = callback(context, CALLBACK, CALLBACK_METHOD)?;
    let mode = mode(context)?;
    if mode.is_none() {
        context.warn_unused(OTHERS, MODE);
    } else if holds {
        context.warn_unused(&[CALLBACK, CALLBACK_METHOD], "`AsyncAmd=true`");
    } else if callback.is_none() {
        context.warn_unused(&[CALLBACK_METHOD], CALLBACK);
    }
    detect(context, mode, holds, callback.filter(|_| !holds))
}

/// The same for a participant of a conference.
pub(in crate::resources) fn detection_beside(
    context: &Context<'_>,
) -> Result<Option<Detection>, Failure> {
    let callback = callback(context, BESIDE_CALLBACK, BESIDE_CALLBACK_METHOD)?;
    let mode = mode(context)?;
    if mode.is_none() {
        context.warn_unused(OTHERS_BESIDE, MODE);
    } else if callback.is_none() {
        context.warn_unused(&[BESIDE_CALLBACK_METHOD], BESIDE_CALLBACK);
    }
    detect(context, mode, false, callback)
}

fn mode(context: &Context<'_>) -> Result<Option<DetectionMode>, Failure> {
    let word = context.params.filled(MODE);
    let mode = word.map(DetectionMode::of_word).transpose();
    let mode = mode.map_err(|_| Failure::parameter(MODE, "this word is not known"))?;
    Ok(mode.flatten())
}

fn callback(
    context: &Context<'_>,
    url: &str,
    method: &str,
) -> Result<Option<CallbackTarget>, Failure> {
    let method = method_or_post(context, method)?;
    let url = context.optional_address(url)?;
    Ok(url.map(|url| CallbackTarget {
        url,
        method,
        author: context.caller.sid,
    }))
}

/// Reads the settings, which are checked even if there is no detection.
fn detect(
    context: &Context<'_>,
    mode: Option<DetectionMode>,
    holds: bool,
    callback: Option<CallbackTarget>,
) -> Result<Option<Detection>, Failure> {
    let read = |it: &DetectionSetting| setting(&context.params, it);
    let terms = MachineDetection::read(DetectionMode::Enable, read)?;
    Ok(mode.map(|mode| Detection {
        terms: MachineDetection { mode, ..terms },
        holds,
        callback,
    }))
}

fn setting(params: &Params, setting: &DetectionSetting) -> Result<u32, Failure> {
    let DetectionSetting {
        name,
        range,
        default,
    } = setting;
    let name = format!("{MODE}{name}");
    match params.parsed(&name, "a whole number")? {
        None => Ok(*default),
        Some(value) if range.contains(&value) => Ok(value),
        Some(value) => {
            let value = shown(&value.to_string());
            let (least, greatest) = (range.start(), range.end());
            let why = format!("`{value}` is not from {least} to {greatest}");
            Err(Failure::parameter(&name, &why))
        }
    }
}
