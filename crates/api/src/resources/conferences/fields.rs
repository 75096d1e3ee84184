//! The fields of a conference and of its participants.

use call_proto::RoomEnd;
use model::ConferenceStatus;
use model::record::{Conference, Participant};

use crate::common;
use crate::failure::Failure;
use crate::params::{Params, shown};
use crate::route::{RESTCOMM, TWILIO};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

/// The words of each status, in the order of their declaration.
const WORDS: [[&str; 2]; 4] = [
    ["RUNNING_MODERATOR_ABSENT", "init"],
    ["RUNNING_MODERATOR_PRESENT", "in-progress"],
    ["COMPLETED", "completed"],
    ["FAILED", "completed"],
];

/// Words that Restcomm has for states in which no conference here ever is.
const UNUSED_WORDS: [&str; 2] = ["RUNNING_INITIALIZING", "STOPPING"];

/// The statuses that a filter at the Restcomm base selects: a word, or a pattern with `%`.
///
/// # Errors
/// 400 for a word that is not a status.
pub(super) fn statuses_like(params: &Params) -> Result<Option<Vec<ConferenceStatus>>, Failure> {
    let Some(text) = params.filled("Status") else {
        return Ok(None);
    };
    let pattern = text.trim().to_ascii_uppercase().replace('-', "_");
    let statuses = ConferenceStatus::ALL.into_iter();
    let found: Vec<_> = statuses
        .filter(|status| is_like(WORDS[*status as usize][0], &pattern))
        .collect();
    let is_known = pattern.contains('%') || UNUSED_WORDS.contains(&pattern.as_str());
    if found.is_empty() && !is_known {
        let words: Vec<&str> = WORDS.iter().map(|words| words[0]).collect();
        let reason = format!("`{}` is not one of {}", shown(text), words.join(", "));
        return Err(Failure::parameter("Status", &reason));
    }
    Ok(Some(found))
}

/// The statuses that a filter at the Twilio base selects; without one, only conferences in progress.
pub(super) fn statuses_named(params: &Params) -> Result<Option<Vec<ConferenceStatus>>, Failure> {
    let word = params.word("Status").unwrap_or("in-progress");
    let statuses = ConferenceStatus::ALL.into_iter();
    let named = statuses.filter(|status| WORDS[*status as usize][1] == word);
    Ok(Some(named.collect()))
}

/// SQL's `LIKE`, where `_` in the text stands for itself and any character.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut in_pattern) = (0, 0);
    // Where to continue if the rest does not match: after the last `%`, with one more character skipped.
    let mut retry = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some(b'%') => {
                in_pattern += 1;
                retry = Some((at, in_pattern));
            }
            Some(wanted) if *wanted == b'_' || *wanted == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match retry {
                Some((skipped, after)) => {
                    at = skipped + 1;
                    in_pattern = after;
                    retry = Some((at, after));
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'%')
}

const FIELDS: &[Field<Conference>] = &[
    common::sid(|c, _| Value::text(c.sid)),
    common::account_sid(|c, _| Value::text(c.account)),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name, as in the document.",
        |c, _| Value::text(&c.name),
    ),
    field::<Conference>(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`RUNNING_MODERATOR_ABSENT` or `init` until it starts, `RUNNING_MODERATOR_PRESENT` or `in-progress`, `COMPLETED` or `completed`; at the Restcomm base also `FAILED`.",
        |c, _| Value::text(WORDS[c.status as usize][0]),
    ).twilio(Kind::Text, |c, _| Value::text(WORDS[c.status as usize][1])),
    common::date_created(|c, _| Value::Date(c.created)),
    common::date_updated(|c, _| Value::Date(c.updated)),
    common::api_version(),
    field::<Conference>(
        "region",
        "Region",
        Kind::Text,
        Null::Explicit,
        "Always null.",
        |_, _| Value::Null,
    ).within(TWILIO),
    field::<Conference>(
        "reason",
        "Reason",
        Kind::Text,
        Null::Explicit,
        "Why it ended: `last-member-left`, `ended-by-member`, `ended-by-api`, `time-limit`, `shutdown`, `internal-failure` or `node-lost`.",
        |c, _| Value::maybe(c.reason.as_deref()),
    ).within(RESTCOMM),
    field::<Conference>(
        "reason_conference_ended",
        "ReasonConferenceEnded",
        Kind::Text,
        Null::Explicit,
        "Why it ended: a word of [`ReasonConferenceEnded`](rcml/conference.md#events); a participant that was removed counts as one that left.",
        |c, _| Value::maybe(c.reason.as_deref().map(RoomEnd::public_word)),
    ).within(TWILIO),
    common::uri(|c, view| Value::Link(view.uri(c.account, "Conferences", c.sid))),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of what belongs to it.",
        subresources,
    ),
];

/// A conference.
pub(super) static CONFERENCE: Resource<Conference> = Resource {
    xml: ["Conference", "Conference"],
    xml_list: ["Conferences", "Conferences"],
    json_list: ["conferences", "conferences"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

fn subresources(conference: &Conference, view: View<'_>) -> Value {
    let path = view.uri(conference.account, "Conferences", conference.sid);
    Value::Object(vec![Entry {
        json: "participants",
        xml: "Participants",
        null: Null::Never,
        value: Value::Link(format!("{path}/Participants")),
    }])
}

const PARTICIPANT_FIELDS: &[Field<Participant>] = &[
    field::<Participant>(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Its call.",
        |p, _| Value::text(p.call),
    )
    .within(RESTCOMM),
    field::<Participant>(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Never,
        "Its call.",
        |p, _| Value::text(p.call),
    )
    .within(TWILIO),
    field(
        "label",
        "Label",
        Kind::Text,
        Null::Absent,
        "Name that the document or `Label` gave it.",
        |p, _| Value::maybe(p.membership.label.as_deref()),
    ),
    field(
        "conference_sid",
        "ConferenceSid",
        Kind::Text,
        Null::Never,
        "The conference.",
        |p, _| Value::text(p.membership.conference),
    ),
    common::account_sid(|p, _| Value::text(p.account)),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it entered.",
        |p, _| Value::Date(p.joined),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When its call was last changed.",
        |p, _| Value::Date(p.updated),
    ),
    field(
        "muted",
        "Muted",
        Kind::Flag,
        Null::Never,
        "Whether the others do not hear it.",
        |p, _| Value::Flag(p.membership.muted),
    ),
    field(
        "hold",
        "Hold",
        Kind::Flag,
        Null::Never,
        "Whether it neither hears the others nor is heard.",
        |p, _| Value::Flag(p.membership.on_hold),
    ),
    field(
        "start_conference_on_enter",
        "StartConferenceOnEnter",
        Kind::Flag,
        Null::Never,
        "Whether the conference starts when it enters.",
        |p, _| Value::Flag(p.membership.starts),
    ),
    field(
        "end_conference_on_exit",
        "EndConferenceOnExit",
        Kind::Flag,
        Null::Never,
        "Whether the conference ends when it leaves.",
        |p, _| Value::Flag(p.membership.ends),
    ),
    field::<Participant>(
        "end_conference_on_enter",
        "EndConferenceOnEnter",
        Kind::Flag,
        Null::Never,
        "The same, by its name in Restcomm.",
        |p, _| Value::Flag(p.membership.ends),
    )
    .within(RESTCOMM),
    field::<Participant>(
        "coaching",
        "Coaching",
        Kind::Flag,
        Null::Never,
        "Whether only one call hears it.",
        |p, _| Value::Flag(p.membership.coaches.is_some()),
    )
    .within(TWILIO),
    field::<Participant>(
        "call_sid_to_coach",
        "CallSidToCoach",
        Kind::Text,
        Null::Explicit,
        "The only call that hears it.",
        |p, _| Value::maybe(p.membership.coaches),
    )
    .within(TWILIO),
    field::<Participant>(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "Always `connected`.",
        |_, _| Value::text("connected"),
    )
    .within(TWILIO),
    common::uri(|p, view| Value::Link(participant_uri(p, view))),
];

/// A participant.
pub(super) static PARTICIPANT: Resource<Participant> = Resource {
    xml: ["Call", "Participant"],
    xml_list: ["Calls", "Participants"],
    json_list: ["calls", "participants"],
    xml_envelope: [true, true],
    fields: PARTICIPANT_FIELDS,
};

fn participant_uri(participant: &Participant, view: View<'_>) -> String {
    let conference = participant.membership.conference;
    let path = view.uri(participant.account, "Conferences", conference);
    format!("{path}/Participants/{}", participant.call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_sql() {
        let table = [
            ("COMPLETED", "COMPLETED", true),
            ("COMPLETED", "COMPLETE", false),
            ("COMPLETED", "COMPLETEDX", false),
            ("RUNNING_MODERATOR_ABSENT", "RUNNING%", true),
            ("RUNNING_MODERATOR_ABSENT", "%ABSENT", true),
            ("RUNNING_MODERATOR_ABSENT", "%MOD%SENT%", true),
            ("RUNNING_MODERATOR_ABSENT", "%PRESENT", false),
            ("FAILED", "F_ILED", true),
            ("FAILED", "%%", true),
            ("FAILED", "_", false),
        ];
        for (text, pattern, matches) in table {
            assert_eq!(is_like(text, pattern), matches, "{text} {pattern}");
        }
    }
}
