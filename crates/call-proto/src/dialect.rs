//! Where the two document dialects differ, in one place.

/// Behaviour of one dialect; nothing else in the code compares dialects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// `restcomm` or `twilio`.
    pub name: &'static str,
    /// Leg callbacks without a list of events: all four, or only `completed`.
    pub all_leg_events: bool,
    /// Leg callbacks carry the event's name as `CallStatus` and a fixed `SequenceNumber`, or the
    /// real status and a running number.
    pub leg_event_names: bool,
    /// Number-level callbacks for each status, or only for the final one.
    pub each_number_status: bool,
    /// An empty document on an unanswered call is refused with 500, or the call just completes.
    pub empty_document_refused: bool,
    /// A failed Play ends the call, or is a warning.
    pub play_failure_ends_call: bool,
    /// `DialCallStatus` after a conference.
    pub conference_result: &'static str,
    /// Of several parties who are screened the first to accept is connected, and the others ring on
    /// until then; or only the first to answer is screened.
    pub screening_is_race: bool,
}

impl Dialect {
    /// As Restcomm's documentation describes.
    pub const RESTCOMM: Self = Self {
        name: "restcomm",
        all_leg_events: true,
        leg_event_names: true,
        each_number_status: true,
        empty_document_refused: true,
        play_failure_ends_call: true,
        conference_result: "completed",
        screening_is_race: false,
    };

    /// As Twilio's documentation describes.
    pub const TWILIO: Self = Self {
        name: "twilio",
        all_leg_events: false,
        leg_event_names: false,
        each_number_status: false,
        empty_document_refused: false,
        play_failure_ends_call: false,
        conference_result: "answered",
        screening_is_race: true,
    };
}
