//! `/Accounts/{sid}/Transcriptions`: texts of recordings.

use model::record::{Account, Transcription};
use model::{RecordingSid, TranscriptionSid};
use store::{Scope, TranscriptionFilter};

use crate::common;
use crate::context::{Answer, Context, Reply, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::params::scope;
use crate::roles::Action;
use crate::route::{Answers, Is, PAGING, Param, RESTCOMM, Route, SCOPE, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const TARGET: &str = "Transcriptions";
const LIST: &[&str] = &["/Accounts/{account}/Transcriptions"];
const OF_RECORDING: &[&str] = &["/Accounts/{account}/Recordings/{recording}/Transcriptions"];
const ONE: &[&str] = &["/Accounts/{account}/Transcriptions/{sid}"];

/// The routes of transcriptions.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, TARGET)
        .params(&[FILTERS, SCOPE, PAGING])
        .answers(Answers::Page(&TRANSCRIPTION))
        .doc("Lists transcriptions; at the Restcomm base, oldest first."),
    Route::get(OF_RECORDING, |c, a, sid| Box::pin(of_recording(c, a, sid)))
        .needs(Action::Read, TARGET)
        .params(&[PAGING])
        .answers(Answers::Page(&TRANSCRIPTION))
        .doc("Lists the transcriptions of a recording."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&TRANSCRIPTION))
        .doc("Reads a transcription."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, TARGET)
        .doc("Deletes a transcription. At the Restcomm base, deleting one that does not exist succeeds too."),
];

const FILTERS: &[Param] = &[
    param("StartTime", Is::Day, "Created on this day or later.").within(RESTCOMM),
    param("EndTime", Is::Day, "Created on this day or earlier.").within(RESTCOMM),
    param(
        "TranscriptionText",
        Is::Text,
        "Part of the text; `%` is any text, `_` any character.",
    )
    .within(RESTCOMM),
];

const FIELDS: &[Field<Transcription>] = &[
    common::sid(|t, _| Value::text(t.sid)),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was begun.",
        |t, _| Value::Date(t.created),
    ),
    common::date_updated(|t, _| Value::Date(t.updated)),
    common::account_sid(|t, _| Value::text(t.account)),
    field(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`in-progress`, `completed` or `failed`.",
        |t, _| Value::text(t.status),
    ),
    field(
        "recording_sid",
        "RecordingSid",
        Kind::Text,
        Null::Never,
        "The recording.",
        |t, _| Value::text(t.recording),
    ),
    field(
        "duration",
        "Duration",
        Kind::Text,
        Null::Absent,
        "Length of the recording in seconds.",
        |t, _| Value::maybe(t.duration_s),
    ),
    field(
        "transcription_text",
        "TranscriptionText",
        Kind::Text,
        Null::Absent,
        "The text.",
        |t, _| Value::maybe(t.text.as_deref()),
    ),
    common::uri(|t, view| Value::Link(view.uri(t.account, TARGET, t.sid))),
];

static TRANSCRIPTION: Resource<Transcription> = Resource {
    xml: ["Transcription", "Transcription"],
    xml_list: ["Transcriptions", "Transcriptions"],
    json_list: ["transcriptions", "transcriptions"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let params = &context.params;
    let page = Page::read(context)?;
    let filter = TranscriptionFilter {
        scope: scope(params, account.sid)?,
        recording: None,
        text: params.filled("TranscriptionText").map(str::to_owned),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        oldest_first: context.dialect.pick([true, false]),
        window: page.window(),
    };
    let path = format!("/Accounts/{}/{TARGET}", account.sid);
    show(context, &page, &filter, &path).await
}

async fn of_recording(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let recording: RecordingSid = sid.parse().map_err(|_| Failure::not_found())?;
    let page = Page::read(context)?;
    let filter = TranscriptionFilter {
        scope: Scope::Own(account.sid),
        recording: Some(recording),
        text: None,
        created_from: None,
        created_until: None,
        oldest_first: context.dialect.pick([true, false]),
        window: page.window(),
    };
    let path = format!("/Accounts/{}/Recordings/{recording}/{TARGET}", account.sid);
    show(context, &page, &filter, &path).await
}

async fn show(
    context: &Context<'_>,
    page: &Page,
    filter: &TranscriptionFilter,
    path: &str,
) -> Answer {
    let rows = context.state.store.transcriptions(filter).await?;
    page.show(context, &TRANSCRIPTION, path, rows, |transcription| {
        row_key(transcription.created, transcription.sid)
    })
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<Option<Transcription>, Failure> {
    let Ok(sid) = sid.parse::<TranscriptionSid>() else {
        return Ok(None);
    };
    Ok(owned(
        account,
        context.state.store.transcription(sid).await?,
    ))
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find(context, account, sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    Ok(context.show(&TRANSCRIPTION, &found))
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let deleted = match find(context, account, sid).await? {
        Some(found) => context.state.store.delete_transcription(found.sid).await?,
        None => false,
    };
    // As in Restcomm, which does not look whether there was one.
    if deleted || context.dialect.pick([true, false]) {
        return Ok(Reply::Nothing);
    }
    Err(Failure::not_found())
}
