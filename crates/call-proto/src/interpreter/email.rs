//! `<Email>`: stores an e-mail to be sent. The document continues at once, whatever becomes of it.

use model::error;

use super::verb::{Site, Step};
use crate::context::Context;
use crate::email::{Occasion, compose};
use crate::fact::Fact;
use crate::recording;
use crate::trace::Lane;

/// Maximum e-mails of one call, so that a document cannot send an unlimited number.
const MAX_EMAILS: usize = 50;

pub(super) fn start(verb: &rcml::Email, site: &mut Site<'_>, cx: &mut Context) -> Step {
    // The owner was notified when the document was read.
    if !verb.is_sendable() {
        return Step::Next;
    }
    let leg = site.leg.profile.sid;
    if site.messages.emails >= MAX_EMAILS {
        let text = format!("the call has sent {MAX_EMAILS} e-mails; this one was not sent");
        cx.notify(site.about_line(verb.line), error::EMAIL_TOO_MANY, &text);
        return Step::Next;
    }
    let spoken = site.recordings.spoken();
    let mut params = site.voice_params(cx);
    if let Some((sid, length_ms)) = spoken {
        let length = site.leg.profile.dialect.record_duration(length_ms);
        params.push(("RecordingSid".to_owned(), sid.to_string()));
        params.push((
            "RecordingUrl".to_owned(),
            recording::address(sid, site.leg, cx),
        ));
        params.push(("RecordingDuration".to_owned(), length));
    }
    let occasion = Occasion {
        sid: cx.email_sid(),
        account: site.leg.profile.account,
        call: Some(leg),
        recording: spoken.map(|(sid, _)| sid),
        params: &params,
        now: cx.now,
    };
    let Some(mail) = compose(verb, occasion) else {
        cx.trace(leg, Lane::Rcml, "<Email> not sent", "nothing was recorded");
        return Step::Next;
    };
    site.messages.emails += 1;
    cx.trace(leg, Lane::Rcml, "e-mail queued", &mail.sid.to_string());
    cx.fact(Fact::EmailQueued(Box::new(mail)));
    Step::Next
}
