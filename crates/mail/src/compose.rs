//! Composes the message of a mail (RFC 5322, MIME).
//!
//! **Invariant: nothing from outside is written into a header except as a parsed mailbox or as one encoded line.** Blind
//! copies are recipients of the envelope only.

use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment as Part, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, message};
use model::email::{self, Email};

/// A file that is attached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Name of the file.
    pub name: String,
    /// Its MIME type.
    pub kind: &'static str,
    /// Its content.
    pub content: Vec<u8>,
}

/// A message that can be sent.
pub(crate) struct Composed {
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
}

/// Composes a mail.
///
/// - `domain`: after the `@` of its `Message-ID`
/// - `bounces_to`: address of the envelope that reports go to; `None`: the sender
///
/// # Errors
/// In words, if an address or type cannot be written. The addresses were checked before, so this is a defect.
pub(crate) fn compose(
    mail: &Email,
    attachments: &[Attachment],
    domain: &str,
    bounces_to: Option<&str>,
) -> Result<Composed, String> {
    let sender = mailbox(&mail.from)?;
    let mut recipients = Vec::new();
    for recipient in mail.recipients() {
        recipients.push(mailbox(recipient)?.email);
    }
    let bounces_to = match bounces_to {
        Some(address) => address.parse::<Address>().map_err(words)?,
        None => sender.email.clone(),
    };
    let envelope = Envelope::new(Some(bounces_to), recipients).map_err(words)?;
    let mut builder = Message::builder()
        .envelope(envelope.clone())
        .message_id(Some(format!("<{}@{domain}>", mail.sid)))
        .date(date(mail))
        .from(sender)
        .to(mailbox(&mail.to)?)
        .subject(email::header(&mail.subject));
    for copy in &mail.cc {
        builder = builder.cc(mailbox(copy)?);
    }
    let kind = if mail.html {
        ContentType::TEXT_HTML
    } else {
        ContentType::TEXT_PLAIN
    };
    let body = SinglePart::builder().header(kind).body(mail.body.clone());
    let message = if attachments.is_empty() {
        builder.singlepart(body)
    } else {
        let mut parts = MultiPart::mixed().singlepart(body);
        for attachment in attachments {
            parts = parts.singlepart(part(attachment)?);
        }
        builder.multipart(parts)
    };
    Ok(Composed {
        envelope,
        bytes: message.map_err(words)?.formatted(),
    })
}

fn part(attachment: &Attachment) -> Result<SinglePart, String> {
    let kind = ContentType::parse(attachment.kind).map_err(words)?;
    // Whatever the content looks like, it arrives byte by byte.
    let body = message::Body::new_with_encoding(
        attachment.content.clone(),
        message::header::ContentTransferEncoding::Base64,
    );
    let body = body.map_err(|_| "an attachment cannot be encoded".to_owned())?;
    Ok(Part::new(attachment.name.clone()).body(body, kind))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let parsed =
        email::Mailbox::parse(text).ok_or_else(|| format!("`{text}` is not an address"))?;
    let address = parsed.address.parse::<Address>().map_err(words)?;
    Ok(Mailbox::new(parsed.name, address))
}

/// When it was created; before 1970, it is 1970.
fn date(mail: &Email) -> SystemTime {
    let millis = u64::try_from(mail.created.as_millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use model::{AccountSid, EmailSid, EmailStatus, Timestamp};

    use super::*;

    fn mail() -> Email {
        Email {
            sid: EmailSid::from_bytes([7; 16]),
            account: AccountSid::from_bytes([1; 16]),
            call: None,
            from: "Box <box@a.example>".to_owned(),
            to: "ann@b.example".to_owned(),
            cc: vec!["Kim <kim@c.example>".to_owned()],
            bcc: vec!["secret@d.example".to_owned()],
            subject: "A voicemail".to_owned(),
            body: "Hello,\n.\nbye".to_owned(),
            recorded_as: None,
            html: false,
            recordings: Vec::new(),
            status: EmailStatus::Queued,
            error_code: None,
            reason: None,
            created: Timestamp(0),
            updated: Timestamp(0),
            sent: None,
        }
    }

    fn text(mail: &Email, attachments: &[Attachment]) -> String {
        let composed = compose(mail, attachments, "pbx.example", None).unwrap();
        String::from_utf8(composed.bytes).unwrap()
    }

    #[test]
    fn headers_and_envelope() {
        let composed = compose(&mail(), &[], "pbx.example", Some("bounces@a.example")).unwrap();
        let text = String::from_utf8(composed.bytes).unwrap();
        let sid = "07".repeat(16);
        for line in [
            "From: Box <box@a.example>",
            "To: ann@b.example",
            "Cc: Kim <kim@c.example>",
            "Subject: A voicemail",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            &format!("Message-ID: <EM{sid}@pbx.example>"),
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line}\n{text}");
        }
        assert!(!text.contains("secret"), "{text}");
        let from = composed.envelope.from().map(ToString::to_string);
        assert_eq!(from.as_deref(), Some("bounces@a.example"));
        let to: Vec<String> = composed
            .envelope
            .to()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(to, ["ann@b.example", "kim@c.example", "secret@d.example"]);
    }

    #[test]
    fn nothing_from_outside_makes_a_header() {
        let evil = Email {
            subject: "x\r\nBcc: evil@x.example\r\n\r\nbody".to_owned(),
            body: "\r\nBcc: not@a.header".to_owned(),
            ..mail()
        };
        let text = text(&evil, &[]);
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            headers.contains("Subject: x Bcc: evil@x.example body\r\n"),
            "{text}"
        );
        assert!(!headers.contains("\nBcc"), "{text}");
        for bad in ["a@b\r\nBcc: x@y", "a@b>\r\nX: y", ""] {
            let bad = Email {
                to: bad.to_owned(),
                ..mail()
            };
            assert!(compose(&bad, &[], "h", None).is_err());
        }
    }

    #[test]
    fn html_other_letters_and_attachments() {
        let html = Email {
            subject: "Größe".to_owned(),
            body: "<b>Größe</b>".to_owned(),
            html: true,
            ..mail()
        };
        let sound = Attachment {
            name: "voicemail.wav".to_owned(),
            kind: "audio/wav",
            content: b"RIFF\r\n.\r\n\0\xff".to_vec(),
        };
        let text = text(&html, &[sound]);
        for part in [
            "Subject: =?utf-8?b?R3LDtsOfZQ==?=\r\n",
            "Content-Type: multipart/mixed;",
            "Content-Type: text/html; charset=utf-8\r\n",
            "Content-Disposition: attachment; filename=\"voicemail.wav\"\r\n",
            "Content-Type: audio/wav\r\n",
            "UklGRg0KLg0KAP8=\r\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.is_ascii());
    }
}
