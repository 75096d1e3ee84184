//! What a `<Dial>` records: from when, which of the two parties, and whether silence is cut.

use model::error;

use crate::element::Element;
use crate::finding::{Finding, Findings};
use crate::verb::recording::read_trim;

/// A recording of a `<Dial>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DialRecording {
    /// When it begins.
    pub from: RecordingStart,
    /// Who is in it.
    pub sides: Sides,
    /// Whether the silence at both ends is left out.
    pub trim: bool,
}

/// When the recording of a `<Dial>` begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordingStart {
    /// When the parties are connected.
    Answer,
    /// When the first called phone rings.
    Ringing,
}

/// Who is in the recording of a leg; that of a `<Dial>` records the caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sides {
    /// Both, mixed.
    Mixed,
    /// Both, on a channel each: left what the recorded party says, right what it hears.
    Apart,
    /// Only what the recorded party says.
    Inbound,
    /// Only what the recorded party hears.
    Outbound,
}

/// When a recording begins, and who is in it; `None`: nothing is recorded.
type Mode = Option<(RecordingStart, Sides)>;

/// The values of `record` besides `true` and `false`; the first is used instead of a wrong one.
const MODES: [(&str, Mode); 5] = [
    ("do-not-record", None),
    (
        "record-from-answer",
        Some((RecordingStart::Answer, Sides::Mixed)),
    ),
    (
        "record-from-ringing",
        Some((RecordingStart::Ringing, Sides::Mixed)),
    ),
    (
        "record-from-answer-dual",
        Some((RecordingStart::Answer, Sides::Apart)),
    ),
    (
        "record-from-ringing-dual",
        Some((RecordingStart::Ringing, Sides::Apart)),
    ),
];

/// The values of `recordingTrack`; the first is the default.
const TRACKS: [(&str, Option<Sides>); 3] = [
    ("both", None),
    ("inbound", Some(Sides::Inbound)),
    ("outbound", Some(Sides::Outbound)),
];

impl Sides {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mixed, Self::Apart, Self::Inbound, Self::Outbound];

    /// A word for each.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Apart => "apart",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// The value of `recordingTrack`.
    #[must_use]
    pub const fn track(self) -> &'static str {
        match self {
            Self::Mixed | Self::Apart => "both",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// The number of channels.
    #[must_use]
    pub const fn channels(self) -> u8 {
        match self {
            Self::Apart => 2,
            Self::Mixed | Self::Inbound | Self::Outbound => 1,
        }
    }
}

impl DialRecording {
    /// The value of `record`.
    pub(crate) const fn mode(self) -> &'static str {
        match (self.from, self.sides) {
            (RecordingStart::Answer, Sides::Apart) => "record-from-answer-dual",
            (RecordingStart::Answer, _) => "record-from-answer",
            (RecordingStart::Ringing, Sides::Apart) => "record-from-ringing-dual",
            (RecordingStart::Ringing, _) => "record-from-ringing",
        }
    }

    /// Reads `record`, `recordingTrack` and `trim`; `None`: nothing is recorded.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        let track = element.word("recordingTrack", error::BAD_VALUE, &TRACKS, findings);
        let trim = read_trim(element, findings);
        let (from, mut sides) = read_mode(element, findings)?;
        if let Some(track) = track.flatten() {
            if sides == Sides::Apart
                && let Some(written) = element.attribute("record")
            {
                let message = format!(
                    "`record` of `Dial` cannot be `{}` with `recordingTrack=\"{}\"`; one channel \
                     is recorded",
                    written.value,
                    track.track()
                );
                findings.push(Finding::new(error::BAD_VALUE, written.at, message));
            }
            sides = track;
        }
        Some(Self {
            from,
            sides,
            trim: trim.unwrap_or(false),
        })
    }
}

fn read_mode(element: &Element<'_>, findings: &mut Findings) -> Mode {
    let written = element.string("record")?.to_ascii_lowercase();
    match written.as_str() {
        "true" => Some((RecordingStart::Answer, Sides::Mixed)),
        "false" => None,
        _ => element
            .word("record", error::BAD_VALUE, &MODES, findings)
            .flatten(),
    }
}
