//! The differences between the two document dialects, in one place.

use model::DialectName;

/// Behaviour of one dialect; no other code compares dialects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// `restcomm` or `twilio`.
    pub name: &'static str,
    /// Value of `ApiVersion`.
    pub api_version: &'static str,
    /// Prefix of every resource path of the REST API.
    pub api_base: &'static str,
    /// Whether leg callbacks without a list of events report all four, or only `completed`.
    pub all_leg_events: bool,
    /// Whether leg callbacks carry the event's name as `CallStatus` and a fixed `SequenceNumber`,
    /// or the real status and a running number.
    pub leg_event_names: bool,
    /// Whether number-level callbacks report each status, or only the final one.
    pub each_number_status: bool,
    /// Whether an empty document on an unanswered call refuses it with 500, or simply completes it.
    pub empty_document_refused: bool,
    /// Whether a failed Play ends the call, or only causes a warning.
    pub play_failure_ends_call: bool,
    /// Whether a conference starts only when two participants are there.
    pub conference_needs_two: bool,
    /// `DialCallStatus` after a conference.
    pub conference_result: &'static str,
    /// Whether the first of several screened parties to accept is connected, while the others keep
    /// ringing; or whether only the first to answer is screened.
    pub screening_is_race: bool,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 2] = [Self::RESTCOMM, Self::TWILIO];

    /// The dialect recorded in rows.
    #[must_use]
    pub fn of(name: DialectName) -> Self {
        match name {
            DialectName::Restcomm => Self::RESTCOMM,
            DialectName::Twilio => Self::TWILIO,
        }
    }

    /// The same with another `ApiVersion`, for old journals; unknown ones change nothing.
    pub(crate) fn with_version(mut self, recorded: Option<&str>) -> Self {
        let known = Self::ALL.map(|dialect| dialect.api_version);
        if let Some(version) = known.into_iter().find(|known| Some(*known) == recorded) {
            self.api_version = version;
        }
        self
    }

    /// As Restcomm's documentation describes.
    pub const RESTCOMM: Self = Self {
        name: "restcomm",
        api_version: "2012-04-24",
        api_base: "/restcomm/2012-04-24",
        all_leg_events: true,
        leg_event_names: true,
        each_number_status: true,
        empty_document_refused: true,
        play_failure_ends_call: true,
        conference_needs_two: false,
        conference_result: "completed",
        screening_is_race: false,
    };

    /// As Twilio's documentation describes.
    pub const TWILIO: Self = Self {
        name: "twilio",
        api_version: "2010-04-01",
        api_base: "/2010-04-01",
        all_leg_events: false,
        leg_event_names: false,
        each_number_status: false,
        empty_document_refused: false,
        play_failure_ends_call: false,
        conference_needs_two: true,
        conference_result: "answered",
        screening_is_race: true,
    };
}
