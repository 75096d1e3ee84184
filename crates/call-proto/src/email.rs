//! E-mails of documents: what an `<Email>` sends.
//!
//! It depends on no call: whoever runs the document says what it is sent for ([`Occasion`]), and makes the result a fact
//! ([`Fact::EmailQueued`](crate::Fact::EmailQueued)). **Invariant: no document waits for an e-mail**; it is sent from the
//! outbox, which stores its outcome.

use model::email::{self, Email, MAX_BODY};
use model::{AccountSid, CallSid, EmailSid, EmailStatus, RecordingSid, Timestamp};

/// What an `<Email>` is sent for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    /// Identifier of the e-mail.
    pub(crate) sid: EmailSid,
    /// Its owner.
    pub(crate) account: AccountSid,
    /// Call that runs the document, if one does.
    pub(crate) call: Option<CallSid>,
    /// What the last `<Record>` has recorded.
    pub(crate) recording: Option<RecordingSid>,
    /// The parameters that its text can name.
    pub(crate) params: &'a [(String, String)],
    pub(crate) now: Timestamp,
}

/// The e-mail of a verb that can be sent; `None` if it is to carry a recording and there is none.
pub(crate) fn compose(verb: &rcml::Email, occasion: Occasion<'_>) -> Option<Email> {
    let attach = verb.attach.as_ref()?;
    let last = match (attach.last, occasion.recording) {
        (true, None) => return None,
        (true, last) => last,
        (false, _) => None,
    };
    let filled = |text: &str, escape: fn(&str) -> String| {
        if verb.template {
            email::fill(text, occasion.params, escape)
        } else {
            text.to_owned()
        }
    };
    let escape = if verb.html { escaped } else { str::to_owned };
    let mut body = filled(&verb.text, escape);
    body.truncate(body.floor_char_boundary(MAX_BODY));
    Some(Email {
        sid: occasion.sid,
        account: occasion.account,
        call: occasion.call,
        from: verb.from.clone(),
        to: verb.to.clone(),
        cc: verb.cc.clone(),
        bcc: verb.bcc.clone(),
        subject: email::header(&filled(&verb.subject, str::to_owned)),
        body,
        recorded_as: None,
        html: verb.html,
        recordings: last.into_iter().chain(attach.recordings.clone()).collect(),
        status: EmailStatus::Queued,
        error_code: None,
        reason: None,
        created: occasion.now,
        updated: occasion.now,
        sent: None,
    })
}

/// A value as text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb() -> rcml::Email {
        rcml::Email {
            from: "box@a.example".to_owned(),
            to: "ann@b.example".to_owned(),
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: "From {{From}}".to_owned(),
            text: "Call {{ From }} back{{Nothing}}, {{not closed".to_owned(),
            html: false,
            template: true,
            attach: Some(rcml::Attach::default()),
            line: 1,
        }
    }

    fn composed(verb: &rcml::Email, recording: Option<RecordingSid>) -> Option<Email> {
        let params = [("From".to_owned(), "<b>\r\nBcc: x@y".to_owned())];
        let occasion = Occasion {
            sid: EmailSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            call: None,
            recording,
            params: &params,
            now: Timestamp(5),
        };
        compose(verb, occasion)
    }

    #[test]
    fn parameters_fill_a_template() {
        let mail = composed(&verb(), None).unwrap();
        assert_eq!(mail.subject, "From <b> Bcc: x@y", "one line");
        assert_eq!(mail.body, "Call <b>\r\nBcc: x@y back, {{not closed");
        let html = composed(
            &rcml::Email {
                html: true,
                ..verb()
            },
            None,
        )
        .unwrap();
        assert!(html.body.starts_with("Call &lt;b&gt;"), "{}", html.body);
        let plain = rcml::Email {
            template: false,
            ..verb()
        };
        assert_eq!(composed(&plain, None).unwrap().subject, "From {{From}}");
    }

    #[test]
    fn without_its_recording_it_is_not_sent() {
        let (one, two) = (
            RecordingSid::from_bytes([1; 16]),
            RecordingSid::from_bytes([2; 16]),
        );
        let table = [
            (false, vec![], None, Some(vec![])),
            (false, vec![], Some(one), Some(vec![])),
            (true, vec![], Some(one), Some(vec![one])),
            (true, vec![two], Some(one), Some(vec![one, two])),
            (true, vec![two], None, None),
            (false, vec![two], None, Some(vec![two])),
        ];
        for (last, recordings, recorded, expected) in table {
            let shown = format!("{last} {recordings:?} {recorded:?}");
            let attach = Some(rcml::Attach { last, recordings });
            let mail = composed(&rcml::Email { attach, ..verb() }, recorded);
            assert_eq!(mail.map(|mail| mail.recordings), expected, "{shown}");
        }
    }
}
