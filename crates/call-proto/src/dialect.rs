//! The differences between the two document dialects, in one place.

use model::DialectName;
use model::record::recording_seconds;
use serde::{Deserialize, Serialize};

/// How the API's call to a client with several phones is put on record. Without meaning if it has one phone.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Legs {
    /// One record for each phone, unrelated to the others; only to replay journals from before they were related.
    #[default]
    Apart,
    /// One record for each phone; the first is the parent of the others.
    Linked,
    /// One record for all phones, that of the call: whichever phone answers, it becomes this call.
    One,
}

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
    /// Whether a `<Record>` without `action` requests the current document, or continues with the
    /// next verb.
    pub record_repeats_document: bool,
    /// Whether a `<Record>`, or the recording of a conference, that does not say so leaves out the
    /// silence at both ends.
    pub trims_records: bool,
    /// Whether `RecordingDuration` of a `<Record>` is in whole seconds, or has decimals.
    pub whole_durations: bool,
    /// Whether the caller continues after its `<Dial>` when the API redirects the party to which it
    /// was connected, or is disconnected.
    pub caller_survives_redirect: bool,
    /// Whether the first of several screened parties to accept is connected, while the others keep
    /// ringing; or whether only the first to answer is screened.
    pub screening_is_race: bool,
    /// How a call that the API makes to several phones is put on record.
    pub legs: Legs,
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

    /// The length of a recording as `<Record>` sends it to its action.
    pub(crate) fn record_duration(&self, length_ms: i64) -> String {
        if self.whole_durations {
            recording_seconds(length_ms).to_string()
        } else {
            format!("{}.{}", length_ms / 1_000, length_ms % 1_000 / 100)
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
        caller_survives_redirect: false,
        record_repeats_document: false,
        trims_records: false,
        whole_durations: false,
        screening_is_race: false,
        legs: Legs::Linked,
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
        caller_survives_redirect: true,
        record_repeats_document: true,
        trims_records: true,
        whole_durations: true,
        screening_is_race: true,
        legs: Legs::One,
    };
}
