//! `/Accounts/{sid}/Erasures`: erases a person's number.

use model::error;
use model::record::Account;

use crate::context::{Answer, Context, now};
use crate::erasure::{self, Erased, ErasureError};
use crate::failure::Failure;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, Is, Param, RESTCOMM, Route, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

fn count(erased: &Erased, kind: &str) -> Value {
    Value::Number(i64::try_from(erased.count(kind)).unwrap_or(i64::MAX))
}

const FIELDS: &[Field<Erased>] = &[
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account whose records were searched, with all below it.",
        |e, _| Value::text(e.account),
    ),
    field(
        "pseudonym",
        "Pseudonym",
        Kind::Text,
        Null::Never,
        "What the records have instead of the number.",
        |e, _| Value::text(&e.pseudonym),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When the erasure was completed.",
        |e, _| Value::Date(e.at),
    ),
    field(
        "calls",
        "Calls",
        Kind::Number,
        Null::Never,
        "Calls that have the pseudonym.",
        |e, _| count(e, "calls"),
    ),
    field(
        "messages",
        "Messages",
        Kind::Number,
        Null::Never,
        "Messages that have the pseudonym, and no text.",
        |e, _| count(e, "messages"),
    ),
    field(
        "texts_of_calls",
        "TextsOfCalls",
        Kind::Number,
        Null::Never,
        "Texts of messages that the calls sent.",
        |e, _| count(e, "texts_of_calls"),
    ),
    field(
        "emails",
        "Emails",
        Kind::Number,
        Null::Never,
        "E-mails whose addresses, text and list of attachments were removed: those that the calls sent, and those with the number in an address or the text.",
        |e, _| count(e, "emails"),
    ),
    field(
        "verifications",
        "Verifications",
        Kind::Number,
        Null::Never,
        "Verifications that have the pseudonym.",
        |e, _| count(e, "verifications"),
    ),
    field(
        "safe_numbers",
        "SafeNumbers",
        Kind::Number,
        Null::Never,
        "Entries in lists of safe numbers that are deleted.",
        |e, _| count(e, "safe_numbers"),
    ),
    field(
        "participants",
        "Participants",
        Kind::Number,
        Null::Never,
        "Participants of closed sessions with masked numbers that have the pseudonym.",
        |e, _| count(e, "participants"),
    ),
    field(
        "voicemails",
        "Voicemails",
        Kind::Number,
        Null::Never,
        "Messages in voicemail boxes that have the pseudonym, without their transcripts.",
        |e, _| count(e, "voicemails"),
    ),
    field(
        "recordings",
        "Recordings",
        Kind::Number,
        Null::Never,
        "Recordings of the calls, and of conferences that they were in, whose files are deleted.",
        |e, _| count(e, "recordings"),
    ),
    field(
        "traces",
        "Traces",
        Kind::Number,
        Null::Never,
        "Traces, with their journals, that are deleted.",
        |e, _| count(e, "traces"),
    ),
    field(
        "notifications",
        "Notifications",
        Kind::Number,
        Null::Never,
        "Notifications that are deleted.",
        |e, _| count(e, "notifications"),
    ),
    field(
        "callbacks",
        "Callbacks",
        Kind::Number,
        Null::Never,
        "Callbacks that are deleted.",
        |e, _| count(e, "callbacks"),
    ),
    field(
        "caller_ids",
        "CallerIds",
        Kind::Number,
        Null::Never,
        "Outgoing caller ids that are deleted.",
        |e, _| count(e, "caller_ids"),
    ),
    field(
        "opt_outs",
        "OptOuts",
        Kind::Number,
        Null::Never,
        "Opt-outs that still hold, but no longer show the number.",
        |e, _| count(e, "opt_outs"),
    ),
    field(
        "audit_entries",
        "AuditEntries",
        Kind::Number,
        Null::Never,
        "Entries of the audit log that have the pseudonym.",
        |e, _| count(e, "audit_entries"),
    ),
    field(
        "not_over",
        "NotOver",
        Kind::Number,
        Null::Never,
        "Calls, messages, e-mails, verifications, participants of open sessions and voicemails that were not erased because they are still in progress; repeat the request later.",
        |e, _| count(e, "not_over"),
    ),
    field(
        "callbacks_waiting",
        "CallbacksWaiting",
        Kind::Number,
        Null::Never,
        "Callbacks with the number that are still to be delivered; they are deleted within 7 days.",
        |e, _| count(e, "callbacks_waiting"),
    ),
    field(
        "files_not_here",
        "FilesNotHere",
        Kind::Number,
        Null::Never,
        "Recordings whose files are on another server or cannot be removed.",
        |e, _| count(e, "files_not_here"),
    ),
];

static ERASED: Resource<Erased> = Resource {
    xml: ["Erasure", "Erasure"],
    xml_list: ["Erasures", "Erasures"],
    json_list: ["erasures", "erasures"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Erasures"];

/// The routes of erasures.
pub(crate) static ROUTES: &[Route] = &[
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .within(RESTCOMM)
        .needs(Action::Delete, "Erasures")
        .refuses(IN_USE)
        .params(&[NUMBER])
        .answers(Answers::One(&ERASED))
        .doc("Erases a person's number from the records of the account and all below it, with the recordings, texts and traces of the calls and messages with that number. The response is the receipt; the audit log keeps it."),
];

const NUMBER: &[Param] = &[param(
    "PhoneNumber",
    Is::Party,
    "The number, with `+` and its country code. Required.",
)];

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let number = context.params.required("PhoneNumber")?;
    let state = context.state;
    let erasing = erasure::erase(&state.store, &state.recordings_dir, account, number, now());
    match erasing.await {
        Ok(erased) => Ok(context.show(&ERASED, &erased)),
        Err(error @ ErasureError::NotANumber) => {
            Err(Failure::parameter("PhoneNumber", &error.to_string()))
        }
        Err(error @ ErasureError::OwnNumber) => {
            Err(Failure::of(error::CONFLICT).saying(error.to_string()))
        }
        Err(ErasureError::Store(error)) => Err(error.into()),
    }
}
