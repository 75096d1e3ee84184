//! `/Accounts/{sid}/Recordings` and the recordings of a call or a conference.

use model::record::{Account, Recording, recording_seconds};
use model::{CallSid, RecordingSid, error};
use store::{RecordingFilter, RecordingKey, RowKey, Scope, Window};

use super::conferences;
use crate::closing::{self, Missing};
use crate::context::{Answer, Context, Reply, owned};
use crate::failure::Failure;
use crate::media;
use crate::page::{Page, row_key, sort_by};
use crate::params::{Bound, call_pattern, scope};
use crate::roles::Action;
use crate::route::{
    Answers, Is, PAGING, Param, RESTCOMM, Route, SCOPE, SORTING, TWILIO, TWILIO_PAGING, param, sid,
};
use crate::value::{Field, Kind, Null, Resource, Value, field};

const FIELDS: &[Field<Recording>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |r, _| Value::text(r.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |r, _| Value::Date(r.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |r, _| Value::Date(r.updated),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |r, _| Value::text(r.account),
    ),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call that it belongs to.",
        |r, _| Value::maybe(r.call),
    ),
    field(
        "conference_sid",
        "ConferenceSid",
        Kind::Text,
        Null::Absent,
        "Conference that it belongs to.",
        |r, _| Value::maybe(r.conference),
    ),
    field::<Recording>(
        "duration",
        "Duration",
        Kind::Text,
        Null::Never,
        "Length in seconds.",
        |r, _| Value::Text(seconds(r.duration_ms)),
    )
    .twilio(Kind::Text, |r, _| {
        Value::text(recording_seconds(r.duration_ms))
    }),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Never,
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |r, view| Value::Link(view.uri(r.account, "Recordings", r.sid)),
    ),
    field::<Recording>(
        "file_uri",
        "FileUri",
        Kind::Text,
        Null::Never,
        "Address of the sound file; no credentials needed.",
        |r, view| Value::Text(media::signed_url(r, view)),
    )
    .within(RESTCOMM),
    field::<Recording>(
        "media_url",
        "MediaUrl",
        Kind::Text,
        Null::Never,
        "Address of the sound file; no credentials needed.",
        |r, view| Value::Text(media::signed_url(r, view)),
    )
    .within(TWILIO),
    field::<Recording>(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "Always `completed`.",
        |_, _| Value::text("completed"),
    )
    .within(TWILIO),
    field::<Recording>(
        "source",
        "Source",
        Kind::Text,
        Null::Never,
        "What made it: `DialVerb`, `RecordVerb` or `Conference`.",
        |r, _| Value::text(r.kind.source),
    )
    .within(TWILIO),
    field::<Recording>(
        "channels",
        "Channels",
        Kind::Number,
        Null::Never,
        "Number of channels.",
        |r, _| Value::Number(r.kind.channels.into()),
    )
    .within(TWILIO),
    field::<Recording>(
        "start_time",
        "StartTime",
        Kind::Time,
        Null::Never,
        "When it began.",
        |r, _| Value::Time(r.created),
    )
    .within(TWILIO),
];

static RECORDING: Resource<Recording> = Resource {
    xml: ["Recording", "Recording"],
    xml_list: ["Recordings", "Recordings"],
    json_list: ["recordings", "recordings"],
    xml_envelope: [false, true],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Recordings"];
const OF_CALL: &[&str] = &["/Accounts/{account}/Calls/{call}/Recordings"];
const OF_CONFERENCE: &[&str] = &["/Accounts/{account}/Conferences/{conference}/Recordings"];
const ONE: &[&str] = &["/Accounts/{account}/Recordings/{sid}"];

/// The routes of recordings.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Recordings")
        .params(&[FILTERS, SCOPE, SORTING, PAGING])
        .answers(Answers::Page(&RECORDING))
        .doc("Lists recordings, newest first."),
    Route::get(OF_CALL, |c, a, call| Box::pin(of_call(c, a, call)))
        .needs(Action::Read, "Recordings")
        .params(&[TWILIO_PAGING])
        .answers(Answers::All(&RECORDING))
        .doc("Lists the recordings of a call."),
    Route::get(OF_CONFERENCE, |c, a, conference| {
        Box::pin(of_conference(c, a, conference))
    })
    .needs(Action::Read, "Recordings")
    .params(&[PAGING])
    .answers(Answers::Page(&RECORDING))
    .doc("Lists the recordings of a conference."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Recordings")
        .answers(Answers::One(&RECORDING))
        .doc("Reads a recording; with `.wav` after the SID, its sound file."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, "Recordings")
        .doc("Deletes a recording and its file."),
];

const FILTERS: &[Param] = &[
    param(
        "CallSid",
        Is::SidPattern(sid::<CallSid>),
        "Call that was recorded.",
    ),
    param("StartTime", Is::Day, "First day of creation.").within(RESTCOMM),
    param("EndTime", Is::Day, "Last day of creation.").within(RESTCOMM),
    param("DateCreated", Is::Day, "Day of creation.").within(TWILIO),
    param("DateCreated>", Is::Moment, "Created at or after this time.").within(TWILIO),
    param(
        "DateCreated<",
        Is::Moment,
        "Created at or before this time.",
    )
    .within(TWILIO),
];

/// Decimal seconds with at least one decimal: `14.7`, `3.0`.
fn seconds(millis: i64) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    let cut = text.trim_end_matches('0');
    if cut.ends_with('.') {
        format!("{cut}0")
    } else {
        cut.to_owned()
    }
}

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let (params, dialect) = (&context.params, context.dialect);
    let page = Page::read(context)?;
    let (from, until) = params.period("DateCreated", Bound::Lower, dialect)?;
    let filter = RecordingFilter {
        scope: scope(params, account.sid)?,
        call: params.filled("CallSid").map(call_pattern),
        conference: None,
        created_from: params.day("StartTime")?.or(from),
        created_until: params.end_of_day("EndTime")?.or(until),
        sort: sort_by(params, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.recordings(&filter).await?;
    let path = format!("/Accounts/{}/Recordings", account.sid);
    page.show(context, &RECORDING, &path, rows, key)
}

fn key(recording: &Recording) -> RowKey {
    row_key(recording.created, recording.sid)
}

fn sort_key(field: &str) -> Option<RecordingKey> {
    Some(match field {
        "DateCreated" => RecordingKey::Created,
        "Duration" => RecordingKey::Duration,
        "CallSid" => RecordingKey::Call,
        _ => return None,
    })
}

/// The recordings of a call.
async fn of_call(context: &Context<'_>, account: &Account, call: &str) -> Answer {
    let call: CallSid = call.parse().map_err(|_| Failure::not_found())?;
    let mut filter = RecordingFilter {
        call: Some(call.to_string()),
        window: Window::all(),
        ..RecordingFilter::of(Scope::Own(account.sid))
    };
    let store = &context.state.store;
    if context.dialect.bare_lists {
        let rows = store.recordings(&filter).await?;
        return Ok(context.bare(&RECORDING, &rows.items));
    }
    let page = Page::read(context)?;
    filter.window = page.window();
    let rows = store.recordings(&filter).await?;
    let path = format!("/Accounts/{}/Calls/{call}/Recordings", account.sid);
    page.show(context, &RECORDING, &path, rows, key)
}

/// The recordings of a conference.
async fn of_conference(context: &Context<'_>, account: &Account, conference: &str) -> Answer {
    let conference = conferences::find(context, account, conference).await?.sid;
    let page = Page::read(context)?;
    let filter = RecordingFilter {
        conference: Some(conference),
        window: page.window(),
        ..RecordingFilter::of(Scope::Own(account.sid))
    };
    let rows = context.state.store.recordings(&filter).await?;
    let path = format!(
        "/Accounts/{}/Conferences/{conference}/Recordings",
        account.sid
    );
    page.show(context, &RECORDING, &path, rows, key)
}

/// The recording's properties, or its file.
async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    if sid.contains('.') {
        return file(context, Some(account), sid).await;
    }
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = find(context, account, sid).await?;
    Ok(context.show(&RECORDING, &found))
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    find(context, account, sid).await?;
    let (store, folder) = (&context.state.store, &context.state.recordings_dir);
    let kept = closing::remove_recordings(store, folder, vec![sid], Missing::Lost).await?;
    if let Some((_, error)) = kept.first() {
        tracing::warn!(%error, recording.sid = %sid, "the file of a recording cannot be removed");
        return Err(
            Failure::of(error::INTERNAL).saying("The file of the recording cannot be removed.")
        );
    }
    Ok(Reply::Nothing)
}

/// The file of a recording that the caller may read.
pub(crate) async fn file(context: &Context<'_>, account: Option<&Account>, name: &str) -> Answer {
    let sid = media::sid_of(name)?;
    match account {
        Some(account) => {
            find(context, account, sid).await?;
        }
        None => {
            context.permit(Action::Read, "Recordings")?;
            let found = context.state.store.recording(sid).await?;
            let found = found.ok_or_else(Failure::not_found)?;
            let owner = context.state.store.account(found.account).await?;
            context.own(&*owner.ok_or_else(Failure::not_found)?).await?;
        }
    }
    media::send(context.state, sid, context.headers).await
}

async fn find(
    context: &Context<'_>,
    account: &Account,
    sid: RecordingSid,
) -> Result<Recording, Failure> {
    let found = context.state.store.recording(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_have_a_decimal() {
        let table = [
            (14_700, "14.7"),
            (3_000, "3.0"),
            (0, "0.0"),
            (14_250, "14.25"),
            (7, "0.007"),
        ];
        for (millis, text) in table {
            assert_eq!(seconds(millis), text);
        }
    }
}
