//! `<Stream>`: the audio of the call over a WebSocket, inside `<Connect>`, `<Start>` and `<Stop>`.

use std::collections::BTreeSet;

use model::{HttpMethod, error};

use crate::address::socket_fault;
use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::vocabulary;

/// A stream to open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// Address of the WebSocket server, as written: `ws`, `wss`, or relative to the document.
    pub url: String,
    /// Name by which `<Stop>` finds it.
    pub name: Option<String>,
    /// The audio to send.
    pub track: Track,
    /// Address that receives the stream's events, as written.
    pub status_callback: Option<String>,
    /// HTTP method for the status callback.
    pub status_callback_method: HttpMethod,
    /// Names and values for the server, in order; no name occurs twice.
    pub parameters: Vec<(String, String)>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// The audio that a stream sends. `inbound` and `outbound` are seen from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Track {
    /// What the remote party says.
    #[default]
    Inbound,
    /// What the remote party hears.
    Outbound,
    /// Both, as separate tracks.
    Both,
}

impl Track {
    /// Its name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound_track",
            Self::Outbound => "outbound_track",
            Self::Both => "both_tracks",
        }
    }
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "name",
        "statusCallback",
        "statusCallbackMethod",
        "track",
        "url",
    ],
    unbuilt: &["connectorName"],
};

/// Of a `<Stream>` inside `<Stop>`.
pub(super) const STOPPED: Attributes = Attributes {
    built: &["name"],
    unbuilt: &[
        "connectorName",
        "statusCallback",
        "statusCallbackMethod",
        "track",
        "url",
    ],
};

pub(super) const PARAMETER: Attributes = Attributes {
    built: &["name", "value"],
    unbuilt: &[],
};

impl Stream {
    /// A stream of what the remote party says, without options.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: None,
            track: Track::default(),
            status_callback: None,
            status_callback_method: HttpMethod::Post,
            parameters: Vec::new(),
            line: 0,
        }
    }

    /// `None`, with a finding, if there is no address. An invalid one is kept, so that using it fails
    /// as it should.
    ///
    /// - `both_ways`: whether the server may also send audio.
    pub(super) fn read(
        element: &Element<'_>,
        both_ways: bool,
        findings: &mut Findings,
    ) -> Option<Self> {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_text(findings);
        let stream = Self {
            name: element.string("name"),
            track: track(element, both_ways, findings),
            status_callback: element.url("statusCallback", findings),
            status_callback_method: element.method(
                "statusCallbackMethod",
                error::BAD_VALUE,
                findings,
            ),
            parameters: parameters(element, findings),
            line: element.at().line,
            ..Self::new(url(element, findings)?)
        };
        Some(stream)
    }
}

/// The address of a stream or conversation; `None`, with a finding, if there is none.
pub(super) fn url(element: &Element<'_>, findings: &mut Findings) -> Option<String> {
    let name = element.name();
    let Some(attribute) = element.attribute("url") else {
        let message = format!("`{name}` has no `url`; it was skipped");
        findings.push(Finding::new(error::BAD_URI, element.at(), message));
        return None;
    };
    if let Some(fault) = socket_fault(&attribute.value) {
        let value = quoted(&attribute.value);
        let message = format!("`url` of `{name}` {fault}: `{value}`");
        findings.push(Finding::new(error::BAD_URI, attribute.at, message));
    }
    Some(attribute.value)
}

fn track(element: &Element<'_>, both_ways: bool, findings: &mut Findings) -> Track {
    let all = [Track::Inbound, Track::Outbound, Track::Both].map(|track| (track.as_str(), track));
    // The other track would be what the server itself sends.
    let allowed = if both_ways { &all[..1] } else { &all[..] };
    let found = element.word("track", error::STREAM_TRACK, allowed, findings);
    found.unwrap_or_default()
}

pub(super) fn parameters(element: &Element<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut names = BTreeSet::new();
    for child in element.children() {
        if child.name() == vocabulary::PARAMETER {
            parameters.extend(parameter(&child, element, &mut names, findings));
        } else {
            child.refuse_in(element.name(), findings);
        }
    }
    parameters
}

/// The name and value of a `<Parameter>`; `None`, with a finding, if it cannot be used.
///
/// - `names`: of the earlier ones
pub(super) fn parameter(
    child: &Element<'_>,
    of: &Element<'_>,
    names: &mut BTreeSet<String>,
    findings: &mut Findings,
) -> Option<(String, String)> {
    child.check_attributes(&PARAMETER, findings);
    child.refuse_content(findings);
    let fault = match child.string("name") {
        None => "has no `name`".to_owned(),
        Some(name) if !names.insert(name.clone()) => {
            format!("has the name `{}` of an earlier one", quoted(&name))
        }
        Some(name) => return Some((name, child.string("value").unwrap_or_default())),
    };
    let message = format!("`Parameter` of `{}` {fault}; it was left out", of.name());
    findings.push(Finding::new(error::STREAM_PARAMETER, child.at(), message));
    None
}
