//! `<Siprec>` inside `<Start>` and `<Stop>`: the audio of the call for a recording server (RFC 7866).

use model::{HttpMethod, error};

use super::stream::{self, Track};
use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// A session with a recording server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Siprec {
    /// Name by which `<Stop>` finds it.
    pub name: Option<String>,
    /// The operator's name of the recording server.
    pub connector: String,
    /// The audio to send.
    pub track: Track,
    /// Address that receives its events, as written.
    pub status_callback: Option<String>,
    /// HTTP method for the status callback.
    pub status_callback_method: HttpMethod,
    /// Names and values for the server, in order; no name occurs twice.
    pub parameters: Vec<(String, String)>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "connectorName",
        "name",
        "statusCallback",
        "statusCallbackMethod",
        "track",
    ],
    unbuilt: &[],
};

/// Of a `<Siprec>` inside `<Stop>`.
pub(super) const STOPPED: Attributes = Attributes {
    built: &["name"],
    unbuilt: &[
        "connectorName",
        "statusCallback",
        "statusCallbackMethod",
        "track",
    ],
};

/// The tracks; the first is the default.
const TRACKS: [Track; 3] = [Track::Both, Track::Inbound, Track::Outbound];

impl Siprec {
    /// The connector without the attribute.
    pub const DEFAULT_CONNECTOR: &str = "Default";

    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_text(findings);
        let tracks = TRACKS.map(|track| (track.as_str(), track));
        let track = element.word("track", error::SIPREC_TRACK, &tracks, findings);
        let connector = element.string("connectorName");
        Self {
            name: element.string("name"),
            connector: connector.unwrap_or_else(|| Self::DEFAULT_CONNECTOR.to_owned()),
            track: track.unwrap_or(Track::Both),
            status_callback: element.url("statusCallback", findings),
            status_callback_method: element.method(
                "statusCallbackMethod",
                error::BAD_VALUE,
                findings,
            ),
            parameters: stream::parameters(element, findings),
            line: element.at().line,
        }
    }
}
