//! The callback about a message.

use model::words;

use crate::records::{Voicemail, VoicemailBox};

words!(
    /// What happened to a message.
    Event {
        /// It was left.
        Left = "new-message",
        /// Its transcript is there.
        Transcribed = "transcribed",
    }
);

/// The parameters.
///
/// - `sound`: address of the recording; empty if there is none
#[must_use]
pub fn report(
    mailbox: &VoicemailBox,
    message: &Voicemail,
    event: Event,
    sound: &str,
) -> Vec<(String, String)> {
    let maybe = |text: Option<String>| text.unwrap_or_default();
    let params = [
        ("AccountSid", message.account.to_string()),
        ("Event", event.to_string()),
        ("VoicemailBoxSid", message.mailbox.to_string()),
        ("VoicemailBoxName", mailbox.name.clone()),
        ("VoicemailSid", message.sid.to_string()),
        ("CallSid", maybe(message.call.map(|sid| sid.to_string()))),
        ("From", message.from.clone()),
        ("To", message.to.clone()),
        ("Reason", message.case.to_string()),
        ("Duration", message.duration_s.to_string()),
        (
            "RecordingSid",
            maybe(message.recording.map(|sid| sid.to_string())),
        ),
        ("RecordingUrl", sound.to_owned()),
        ("Transcript", maybe(message.transcript.clone())),
        ("DateCreated", message.created.iso8601_seconds()),
    ];
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
