//! The kinds of rows that the bin takes.

use crate::gateways::GATEWAYS;
use crate::rows;
use crate::sql::Table;

/// What can be in the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An incoming phone number.
    Number,
    /// A complete recording, with its transcriptions.
    Recording,
    /// A gateway.
    Gateway,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Number, Self::Recording, Self::Gateway];

    /// The word for it in the database, the API and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Recording => "recording",
            Self::Gateway => "gateway",
        }
    }

    /// The kind whose SIDs begin like this one.
    #[must_use]
    pub fn of_sid(sid: &str) -> Option<Self> {
        match sid.get(..2)? {
            "PN" => Some(Self::Number),
            "RE" => Some(Self::Recording),
            "GW" => Some(Self::Gateway),
            _ => None,
        }
    }

    pub(super) const fn table(self) -> &'static Table {
        match self {
            Self::Number => &rows::NUMBERS,
            Self::Recording => &rows::RECORDINGS,
            Self::Gateway => &GATEWAYS,
        }
    }

    /// The column with what its users call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Number => "phone_number",
            Self::Recording => "sid",
            Self::Gateway => "friendly_name",
        }
    }

    /// Tables with rows that go with it, and their columns with its SID.
    pub(super) const fn parts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Number | Self::Gateway => &[],
            Self::Recording => &[("transcriptions", "recording")],
        }
    }
}
