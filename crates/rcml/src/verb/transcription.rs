//! `<Transcription>`: what is said in the call, as text, inside `<Start>` and `<Stop>`.

use model::{HttpMethod, error};

use super::speech::{Speech, hints};
use super::stream::Track;
use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::language;

/// A transcription to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transcription {
    /// Name by which `<Stop>` finds it.
    pub name: Option<String>,
    /// Whose words are transcribed.
    pub track: Track,
    /// Address that receives the text, as written.
    pub status_callback: String,
    /// HTTP method for it.
    pub status_callback_method: HttpMethod,
    /// The application's names for the remote party, and for what it hears.
    pub labels: (Option<String>, Option<String>),
    /// Whether text that may still change is sent, too.
    pub partial_results: bool,
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words likely to be said; at most [`Speech::MOST_HINTS`].
    pub hints: Vec<String>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "hints",
        "inboundTrackLabel",
        "languageCode",
        "name",
        "outboundTrackLabel",
        "partialResults",
        "statusCallbackMethod",
        "statusCallbackUrl",
        "track",
    ],
    unbuilt: &[
        "conversationConfiguration",
        "enableAutomaticPunctuation",
        "enableProviderData",
        "intelligenceService",
        "profanityFilter",
        "speechModel",
        "transcriptionEngine",
    ],
};

/// Of a `<Transcription>` inside `<Stop>`.
pub(super) const STOPPED: Attributes = Attributes {
    built: &["name"],
    unbuilt: &[
        "conversationConfiguration",
        "enableAutomaticPunctuation",
        "enableProviderData",
        "hints",
        "inboundTrackLabel",
        "intelligenceService",
        "languageCode",
        "outboundTrackLabel",
        "partialResults",
        "profanityFilter",
        "speechModel",
        "statusCallbackMethod",
        "statusCallbackUrl",
        "track",
        "transcriptionEngine",
    ],
};

/// The values of `track`; the first is the default.
const TRACKS: [(&str, Track); 3] = [
    (Track::Both.as_str(), Track::Both),
    (Track::Inbound.as_str(), Track::Inbound),
    (Track::Outbound.as_str(), Track::Outbound),
];

impl Transcription {
    /// `None`, with a finding, if nothing would receive the text.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        let (track, method) = ("track", "statusCallbackMethod");
        let transcription = Self {
            name: element.string("name"),
            track: element
                .word(track, error::BAD_VALUE, &TRACKS, findings)
                .unwrap_or(Track::Both),
            status_callback: String::new(),
            status_callback_method: element.method(method, error::BAD_VALUE, findings),
            labels: (
                element.string("inboundTrackLabel"),
                element.string("outboundTrackLabel"),
            ),
            partial_results: element.flag("partialResults", findings).unwrap_or(false),
            language: language::read_named(
                element,
                "languageCode",
                Speech::DEFAULT_LANGUAGE,
                error::BAD_VALUE,
                findings,
            ),
            hints: hints(element, findings),
            line: element.at().line,
        };
        let Some(url) = element.url("statusCallbackUrl", findings) else {
            let message =
                "`Transcription` has no `statusCallbackUrl` to receive the text; it was skipped";
            let code = error::TRANSCRIPTION_UNREAD;
            findings.push(Finding::new(code, element.at(), message.to_owned()));
            return None;
        };
        Some(Self {
            status_callback: url,
            ..transcription
        })
    }
}
