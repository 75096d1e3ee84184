//! Machine detection of a new call: its parameters, which are those of Twilio at both base paths.

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
const TIMEOUT: &str = "MachineDetectionTimeout";
const SPEECH: &str = "MachineDetectionSpeechThreshold";
const SPEECH_END: &str = "MachineDetectionSpeechEndThreshold";
const SILENCE: &str = "MachineDetectionSilenceTimeout";
/// The parameters that need `MachineDetection`.
const OTHERS: &[&str] = &[
    TIMEOUT,
    SPEECH,
    SPEECH_END,
    SILENCE,
    ASYNC,
    CALLBACK,
    CALLBACK_METHOD,
];

pub(super) const DETECTION: &[Param] = &[
    param(
        MODE,
        Is::Word(DetectionMode::WORDS),
        "Detects whether a person or a machine answers. Unless `AsyncAmd` is `true`, the document is requested only once there is a result, and its requests have `AnsweredBy` and `MachineDetectionDuration`. `DetectMessageEnd` also waits for the end of a machine's greeting. `Disable`, the default, turns detection off.",
    ),
    param(
        TIMEOUT,
        Is::Number,
        "Seconds after which detection ends, from 3 to 59; 30 if not given. Has no effect without `MachineDetection`; the same applies to the parameters that follow.",
    ),
    param(
        SPEECH,
        Is::Number,
        "Milliseconds, from 1000 to 6000; speech at least this long is taken for a machine's; 2400 if not given.",
    ),
    param(
        SPEECH_END,
        Is::Number,
        "Milliseconds of silence that end speech, from 500 to 5000; 1200 if not given.",
    ),
    param(
        SILENCE,
        Is::Number,
        "Milliseconds of silence after the answer that end detection, from 2000 to 10000; 5000 if not given.",
    ),
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

/// What is to be found out about the party that answers.
pub(super) fn detection(context: &Context<'_>) -> Result<Option<Detection>, Failure> {
    let params = &context.params;
    let holds = !params.flag(ASYNC)?.unwrap_or(false);
    let method = method_or_post(context, CALLBACK_METHOD)?;
    let url = context.optional_address(CALLBACK)?;
    let word = params.filled(MODE);
    let mode = word.map(DetectionMode::of_word).transpose();
    let mode = mode.map_err(|_| Failure::parameter(MODE, "this word is not known"))?;
    let mode = mode.flatten();
    if mode.is_none() {
        context.warn_unused(OTHERS, MODE);
    } else if holds {
        context.warn_unused(&[CALLBACK, CALLBACK_METHOD], "`AsyncAmd=true`");
    } else if url.is_none() {
        context.warn_unused(&[CALLBACK_METHOD], CALLBACK);
    }
    let terms = MachineDetection::read(DetectionMode::Enable, |it| setting(params, it))?;
    Ok(mode.map(|mode| Detection {
        terms: MachineDetection { mode, ..terms },
        holds,
        callback: url.filter(|_| !holds).map(|url| CallbackTarget {
            url,
            method,
            author: context.caller.sid,
        }),
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
