//! What holds for each verb before it runs: whether it needs an answered leg, whether it runs although the leg is over, and
//! whether keys pressed before it wait for a later `<Gather>`.

use rcml::Verb;

use super::verb::Site;

/// `<Reject>`, `<Pause>` and `<Stop>` run unanswered, and so does a `<Dial>` that answers on bridge.
pub(super) fn must_answer_for(verb: &Verb, site: &Site<'_>) -> bool {
    if !site.leg.is_unanswered() {
        return false;
    }
    let (waiting, failed) = (site.run.answer_on_bridge, site.run.failure_status.is_some());
    match verb {
        Verb::Reject(_) | Verb::Pause(_) | Verb::Stop(_) | Verb::Leave(_) => false,
        Verb::Enqueue(enqueue) => !enqueue.name.is_empty(),
        Verb::Connect(connect) => connect.noun.is_some(),
        Verb::Start(start) => !start.nouns.is_empty(),
        Verb::Dial(dial) if dial.conference().is_some() || dial.queue().is_some() => true,
        Verb::Dial(dial) => !dial.answer_on_bridge.unwrap_or(waiting) && !dial.nouns.is_empty(),
        Verb::Hangup(_) => !waiting && !failed,
        Verb::Gather(_) | Verb::Record(_) | Verb::Echo(_) => true,
        Verb::Refer(refer) => refer.target.is_some(),
        Verb::Sms(sms) => sms.is_sendable(),
        Verb::Play(play) => !play.url.is_empty() || play.digits.is_some(),
        Verb::Say(say) => !say.text.is_empty(),
        Verb::Redirect(redirect) => !redirect.url.is_empty(),
        Verb::Email(_) | Verb::Unsupported(_) => false,
    }
}

/// Verbs that are carried out although the leg is over.
pub(super) const fn outlives_leg(verb: &Verb) -> bool {
    match verb {
        Verb::Say(_)
        | Verb::Play(_)
        | Verb::Pause(_)
        | Verb::Hangup(_)
        | Verb::Reject(_)
        | Verb::Redirect(_)
        | Verb::Dial(_)
        | Verb::Gather(_)
        | Verb::Record(_)
        | Verb::Connect(_)
        | Verb::Start(_)
        | Verb::Stop(_)
        | Verb::Enqueue(_)
        | Verb::Leave(_)
        | Verb::Refer(_)
        | Verb::Echo(_) => false,
        Verb::Sms(_) | Verb::Email(_) | Verb::Unsupported(_) => true,
    }
}

/// Verbs during which keys that were pressed before wait for the next `<Gather>`. The others take
/// keys, or connect the remote party to somebody else.
pub(super) const fn lets_keys_wait(verb: &Verb) -> bool {
    match verb {
        Verb::Say(_)
        | Verb::Play(_)
        | Verb::Pause(_)
        | Verb::Hangup(_)
        | Verb::Reject(_)
        | Verb::Redirect(_)
        | Verb::Gather(_)
        | Verb::Sms(_)
        | Verb::Email(_)
        | Verb::Start(_)
        | Verb::Stop(_)
        | Verb::Leave(_)
        | Verb::Unsupported(_) => true,
        Verb::Dial(_)
        | Verb::Record(_)
        | Verb::Connect(_)
        | Verb::Enqueue(_)
        | Verb::Refer(_)
        | Verb::Echo(_) => false,
    }
}
