//! The kinds of rows that the bin takes.

use crate::rows;
use crate::sql::Table;

/// What can be in the bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An incoming phone number.
    Number,
    /// A complete recording, with its transcriptions.
    Recording,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Number, Self::Recording];

    /// The word for it in the database, the API and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Recording => "recording",
        }
    }

    /// The kind whose SIDs begin like this one.
    #[must_use]
    pub fn of_sid(sid: &str) -> Option<Self> {
        match sid.get(..2)? {
            "PN" => Some(Self::Number),
            "RE" => Some(Self::Recording),
            _ => None,
        }
    }

    pub(super) const fn table(self) -> &'static Table {
        match self {
            Self::Number => &rows::NUMBERS,
            Self::Recording => &rows::RECORDINGS,
        }
    }

    /// The column with what its users call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Number => "phone_number",
            Self::Recording => "sid",
        }
    }

    /// Tables with rows that go with it, and their columns with its SID.
    pub(super) const fn parts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Number => &[],
            Self::Recording => &[("transcriptions", "recording")],
        }
    }
}
