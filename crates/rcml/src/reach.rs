//! Finds verbs that can never run because of an earlier one.
//!
//! **Invariant: a reported verb cannot run, whatever happens in the call**; verbs that *might* be
//! skipped are not reported, except after `<Reject>`. At most one finding per verb that ends the
//! document.

use model::error;

use crate::finding::{Finding, Findings, Position};
use crate::verb::Verb;

/// Checks the verbs in execution order, each with its place.
pub(crate) fn check(verbs: &[Verb], places: &[Position], findings: &mut Findings) {
    let mut answered: Option<&Verb> = None;
    let mut end: Option<&Verb> = None;
    for (verb, at) in verbs.iter().zip(places) {
        if let Some(end) = end {
            let message = format!(
                "`{}` never runs: `{}` on line {} {}",
                verb.name(),
                end.name(),
                end.line(),
                effect(end)
            );
            findings.push(Finding::new(error::UNREACHABLE, *at, message));
            return;
        }
        if let (Verb::Reject(_), Some(answering)) = (verb, answered) {
            let message = format!(
                "`Reject` has no effect: `{}` on line {} has already answered the call",
                answering.name(),
                answering.line()
            );
            findings.push(Finding::new(error::UNREACHABLE, *at, message));
            continue;
        }
        if ends(verb) {
            end = Some(verb);
        }
        if answers(verb) {
            answered.get_or_insert(verb);
        }
    }
}

fn effect(end: &Verb) -> &'static str {
    match end {
        Verb::Hangup(_) => "ends the call",
        Verb::Reject(_) => "ends the call, unless it was answered before",
        Verb::Redirect(_) => "leaves the document",
        Verb::Dial(_) | Verb::Gather(_) | Verb::Connect(_) | Verb::Enqueue(_) | Verb::Refer(_) => {
            "leaves the document for its `action`"
        }
        Verb::Sms(sms) if sms.is_sendable() => "leaves the document for its `action`",
        Verb::Sms(_) => "cannot be sent",
        _ => "never ends",
    }
}

/// Whether nothing after a verb runs.
fn ends(verb: &Verb) -> bool {
    match verb {
        Verb::Hangup(_) | Verb::Reject(_) => true,
        Verb::Redirect(redirect) => !redirect.url.is_empty(),
        // A conference that refuses the caller continues with the next verb.
        Verb::Dial(dial) => {
            dial.action.is_some() && !dial.nouns.is_empty() && dial.conference().is_none()
        }
        Verb::Enqueue(enqueue) => enqueue.action.is_some() && !enqueue.name.is_empty(),
        Verb::Gather(gather) => gather.action_on_empty_result,
        Verb::Connect(connect) => connect.action.is_some() && connect.noun.is_some(),
        Verb::Refer(refer) => refer.action.is_some() && refer.target.is_some(),
        Verb::Echo(_) => true,
        Verb::Sms(sms) => sms.action.is_some() || !sms.is_sendable(),
        Verb::Say(say) => say.looping.is_none() && !say.text.is_empty(),
        Verb::Play(play) => play.looping.is_none() && play.digits.is_none() && !play.url.is_empty(),
        _ => false,
    }
}

/// Whether a verb answers a call, ends it, or leaves the document.
pub(crate) fn decides(verb: &Verb) -> bool {
    match verb {
        Verb::Hangup(_) | Verb::Reject(_) => true,
        Verb::Redirect(redirect) => !redirect.url.is_empty(),
        Verb::Dial(dial) => !dial.nouns.is_empty(),
        verb => answers(verb),
    }
}

/// Whether a call is answered once a verb is done. After a `<Dial>` it may be: that depends on the called party.
#[must_use]
pub fn answers(verb: &Verb) -> bool {
    match verb {
        Verb::Say(say) => !say.text.is_empty(),
        Verb::Play(play) => !play.url.is_empty() || play.digits.is_some(),
        Verb::Gather(_) | Verb::Record(_) | Verb::Echo(_) => true,
        Verb::Refer(refer) => refer.target.is_some(),
        Verb::Sms(sms) => sms.is_sendable(),
        Verb::Connect(connect) => connect.noun.is_some(),
        Verb::Start(start) => !start.nouns.is_empty(),
        Verb::Enqueue(enqueue) => !enqueue.name.is_empty(),
        _ => false,
    }
}
