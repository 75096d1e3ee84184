//! Classifies an application's response by its content type.

use crate::document::{Document, ParseError};
use crate::verb::{Sms, Verb};

/// The content of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyKind {
    /// A document in XML.
    Xml,
    /// A text to speak.
    Text,
    /// A sound to play.
    Audio,
}

/// A response that is not a document.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// The content type is missing; the call ends without running anything.
    #[error("the response has no content type")]
    NoContentType,
    /// The content type is not supported.
    #[error("the application answered with `{0}`, which is not a document; send `text/xml`")]
    ContentType(String),
    /// The response is empty.
    #[error("the response is empty; send XML that begins with `<Response>`")]
    Empty,
    /// The body is not a document that can run.
    #[error("the document cannot be run: {0}")]
    Parse(#[from] ParseError),
}

impl ReplyKind {
    /// The meaning of a content type; parameters after `;` and letter case are ignored.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let name = content_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        match name.as_str() {
            "text/xml" | "application/xml" | "text/html" => Some(Self::Xml),
            name if name.starts_with("application/") && name.ends_with("+xml") => Some(Self::Xml),
            "text/plain" => Some(Self::Text),
            "audio/wav" | "audio/wave" | "audio/x-wav" | "audio/vnd.wave" | "audio/mpeg"
            | "audio/mp3" | "audio/ogg" | "application/ogg" => Some(Self::Audio),
            _ => None,
        }
    }
}

impl Document {
    /// The document in a response with status 200.
    ///
    /// - `content_type`: the header as received.
    /// - `body`: its text, see [`decode`](crate::decode); not read if the response is a sound.
    /// - `url`: the source of the response, from which a sound is played.
    ///
    /// # Errors
    /// [`ReplyError`] if the content type is missing or not supported, or the XML is broken.
    pub fn from_reply(
        content_type: Option<&str>,
        body: &str,
        url: &str,
    ) -> Result<Self, ReplyError> {
        let content_type = content_type
            .filter(|text| !text.trim().is_empty())
            .ok_or(ReplyError::NoContentType)?;
        match ReplyKind::of(content_type) {
            Some(ReplyKind::Xml) if body.trim().is_empty() => Err(ReplyError::Empty),
            Some(ReplyKind::Xml) => Ok(Self::parse_as(body, Some(content_type))?),
            Some(ReplyKind::Text) => Ok(Self::say(body)),
            Some(ReplyKind::Audio) => Ok(Self::play(url)),
            None => Err(ReplyError::ContentType(content_type.to_owned())),
        }
    }

    /// The document for a text message in a response with status 200. Plain text is the reply.
    ///
    /// - `content_type`: the header as received.
    /// - `body`: its text, see [`decode`](crate::decode).
    ///
    /// # Errors
    /// [`ReplyError`] if the content type is missing or not supported, or the XML is broken.
    pub fn from_message_reply(content_type: Option<&str>, body: &str) -> Result<Self, ReplyError> {
        match content_type.and_then(ReplyKind::of) {
            Some(ReplyKind::Text) if body.trim().is_empty() => Ok(Self::default()),
            Some(ReplyKind::Text) => Ok(Self {
                verbs: vec![Verb::Sms(Box::new(Sms::reply(body.trim())))],
                ..Self::default()
            }),
            Some(ReplyKind::Audio) => Err(ReplyError::ContentType(
                content_type.unwrap_or_default().to_owned(),
            )),
            Some(ReplyKind::Xml) | None => Self::from_reply(content_type, body, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_decides() {
        let table = [
            ("text/xml", Some(ReplyKind::Xml)),
            ("Application/XML; charset=utf-8", Some(ReplyKind::Xml)),
            ("text/html;charset=UTF-8", Some(ReplyKind::Xml)),
            ("application/voice+xml", Some(ReplyKind::Xml)),
            ("text/plain", Some(ReplyKind::Text)),
            ("audio/x-wav", Some(ReplyKind::Audio)),
            ("audio/mpeg", Some(ReplyKind::Audio)),
            ("audio/ogg; codecs=vorbis", Some(ReplyKind::Audio)),
            ("image/png", None),
            ("image/svg+xml", None),
            ("", None),
        ];
        for (content_type, kind) in table {
            assert_eq!(ReplyKind::of(content_type), kind, "{content_type}");
        }
    }

    #[test]
    fn makes_documents_of_answers() {
        let url = "http://app.example/tone.wav";
        let said = Document::from_reply(Some("text/plain"), " a < b \n", url).unwrap();
        assert!(matches!(&said.verbs[..], [Verb::Say(say)] if say.text == "a < b"));
        let played = Document::from_reply(Some("audio/wav"), "", url).unwrap();
        assert!(matches!(&played.verbs[..], [Verb::Play(play)] if play.url == url));
        let none = Document::from_reply(None, "<Response/>", url);
        assert_eq!(none, Err(ReplyError::NoContentType));
        let other = Document::from_reply(Some("image/png"), "", url);
        assert_eq!(other, Err(ReplyError::ContentType("image/png".to_owned())));
        let empty = Document::from_reply(Some("text/xml"), " \n", url);
        assert_eq!(empty, Err(ReplyError::Empty));
        let json = Document::from_reply(Some("application/json"), "{}", url);
        let said = json.unwrap_err().to_string();
        assert!(said.contains("answered with `application/json`"), "{said}");
        let broken = Document::from_reply(Some("text/xml"), "%%<Response/>", url);
        assert!(matches!(broken, Err(ReplyError::Parse(_))));
    }

    #[test]
    fn a_document_that_is_sent_as_text_is_spoken_with_a_finding() {
        let table = [
            ("<Response><Hangup/></Response>", true),
            ("\u{feff}<?xml version='1.0'?><Response/>", true),
            (" \n<Response/>", true),
            ("a <Response/>", false),
            ("<b>", false),
        ];
        for (text, found) in table {
            let said = Document::from_reply(Some("text/plain"), text, "http://app/v").unwrap();
            let codes: Vec<u16> = said.findings.iter().map(|found| found.code).collect();
            assert_eq!(codes, Vec::from_iter(found.then_some(12301)), "{text}");
            let [Verb::Say(say)] = &said.verbs[..] else {
                panic!("{text}: {said:?}")
            };
            assert_eq!(say.text, text.trim());
        }
    }
}
