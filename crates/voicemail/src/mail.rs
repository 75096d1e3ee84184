//! The e-mail about a message.

use model::email::{self, Email};
use model::{EmailStatus, Timestamp};

use crate::hours::local;
use crate::phrases::phrases;
use crate::records::{Voicemail, VoicemailBox};
use crate::settings::Refused;

/// The names that subject and text can have in double braces.
pub const NAMES: &[&str] = &[
    "Box",
    "Case",
    "Date",
    "Duration",
    "From",
    "MessageSid",
    "RecordingUrl",
    "Time",
    "TimeZone",
    "To",
    "Transcript",
];

/// Whether a template names only what there is.
pub(crate) fn check(template: &str) -> Result<(), Refused> {
    let mut rest = template;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err(Refused("a `{{` has no `}}` after it".to_owned()));
        };
        if !NAMES.contains(&name.trim()) {
            let name = model::text::one_line(name);
            return Err(Refused(format!(
                "`{{{{{name}}}}}` is not known; there are `{}`",
                NAMES.join("`, `")
            )));
        }
        rest = after;
    }
    Ok(())
}

/// The e-mail about a message; `None` if the box has no recipient.
///
/// - `sound`: address of the recording; empty if there is none
#[must_use]
pub fn compose(
    mailbox: &VoicemailBox,
    message: &Voicemail,
    sound: &str,
    now: Timestamp,
) -> Option<Email> {
    let settings = &mailbox.settings;
    let words = phrases(&settings.language);
    let mut recipients = email::list(&settings.email_to).ok()?.into_iter();
    let to = recipients.next()?;
    let params = parameters(mailbox, message, sound);
    let filled = |template: &str, own: &str| {
        let template = if template.is_empty() { own } else { template };
        email::fill(template, &params, str::to_owned)
    };
    let mut body = filled(&settings.email_body, words.body);
    // Without a transcript, its paragraph is empty.
    while body.contains("\n\n\n") {
        body = body.replace("\n\n\n", "\n\n");
    }
    body.truncate(body.floor_char_boundary(email::MAX_BODY));
    Some(Email {
        sid: message.email_sid(),
        account: mailbox.account,
        call: message.call,
        from: settings.email_from.clone(),
        to,
        cc: recipients.collect(),
        bcc: Vec::new(),
        subject: email::header(&filled(&settings.email_subject, words.subject)),
        body,
        recorded_as: None,
        html: false,
        recordings: message
            .recording
            .filter(|_| settings.attach)
            .into_iter()
            .collect(),
        status: EmailStatus::Queued,
        error_code: None,
        reason: None,
        created: now,
        updated: now,
        sent: None,
    })
}

fn parameters(mailbox: &VoicemailBox, message: &Voicemail, sound: &str) -> Vec<(String, String)> {
    let settings = &mailbox.settings;
    let at = local(&settings.time_zone, message.created);
    let from = if message.from.is_empty() {
        phrases(&settings.language).unknown
    } else {
        &message.from
    };
    let values = [
        ("Box", mailbox.name.clone()),
        ("Case", message.case.to_string()),
        ("Date", at.date().to_string()),
        ("Duration", message.duration_s.to_string()),
        ("From", from.to_owned()),
        ("MessageSid", message.sid.to_string()),
        ("RecordingUrl", sound.to_owned()),
        ("Time", at.strftime("%H:%M").to_string()),
        ("TimeZone", settings.time_zone.clone()),
        ("To", message.to.clone()),
        ("Transcript", message.transcript.clone().unwrap_or_default()),
    ];
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use model::RecordingSid;

    use super::*;
    use crate::leaving::tests::{mailbox, visit};
    use crate::records::Case;

    fn message() -> Voicemail {
        let at = Timestamp::from_rfc3339("2026-12-01T23:05:00Z").unwrap();
        let recording = RecordingSid::from_bytes([7; 16]);
        Voicemail::recorded(&mailbox(), &visit(Case::Busy), (recording, 12), at)
    }

    #[test]
    fn the_mail_says_who_called_when_in_the_zone_of_the_box() {
        let mut mailbox = mailbox();
        assert_eq!(compose(&mailbox, &message(), "", Timestamp(9)), None);
        mailbox.settings.email_to = "ann@a.example, bob@a.example".to_owned();
        mailbox.settings.time_zone = "Europe/Berlin".to_owned();
        let mail = compose(&mailbox, &message(), "https://a.example/7", Timestamp(9)).unwrap();
        assert_eq!((mail.to.as_str(), mail.cc.len()), ("ann@a.example", 1));
        assert_eq!(mail.subject, "Voicemail from +4930123");
        assert_eq!(
            mail.body,
            "New voicemail in Ann from +4930123 (12 s).\n\nCalled: 1000\nTime: 2026-12-02 00:05 (Europe/Berlin)\n\n\
             Listen to it: https://a.example/7\n"
        );
        assert_eq!(mail.recordings, [RecordingSid::from_bytes([7; 16])]);
        mailbox.settings.attach = false;
        mailbox.settings.email_subject = "{{ Case }}: {{Transcript}}".to_owned();
        let mut message = message();
        message.transcript = Some("Call me\r\nBcc: x@b.example".to_owned());
        let mail = compose(&mailbox, &message, "", Timestamp(9)).unwrap();
        assert_eq!(mail.subject, "busy: Call me Bcc: x@b.example");
        assert!(mail.recordings.is_empty());
    }

    #[test]
    fn templates_are_checked() {
        assert_eq!(check("{{From}} {{ Box }} {x}"), Ok(()));
        for (wrong, part) in [
            ("{{Form}}", "`{{Form}}` is not known"),
            ("{{From", "no `}}`"),
        ] {
            let refused = check(wrong).unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }
}
