//! `/Accounts/{sid}/Recordings` and the recordings of a call or a conference. `live` starts and changes those
//! in progress.

mod live;

use model::record::{Account, Recording, ShownRecording, recording_seconds};
use model::{CallSid, ConferenceSid, RecordingSid, RecordingStatus, error};
use store::{DiscardedKind, RecordingFilter, RecordingKey, RowKey, Scope, Window};

use super::conferences;
use crate::context::{Answer, Context, Reply, now, owned};
use crate::failure::Failure;
use crate::media;
use crate::page::{Page, row_key, sort_by};
use crate::params::{Bound, call_pattern, scope};
use crate::roles::Action;
use crate::route::{
    Answers, IN_USE, Is, LIVE, PAGING, Param, RESTCOMM, Route, SCOPE, TWILIO, TWILIO_PAGING, param,
    sid, sorting,
};
use crate::value::{Field, Kind, Null, Resource, Value, View, field};

pub(super) use live::{NEW_RECORDING, new_recording};

const FIELDS: &[Field<ShownRecording>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |r, _| Value::text(r.recording.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |r, _| Value::Date(r.recording.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |r, _| Value::Date(r.recording.updated),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |r, _| Value::text(r.recording.account),
    ),
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Absent,
        "Call that it belongs to.",
        |r, _| Value::maybe(r.recording.call),
    ),
    field(
        "conference_sid",
        "ConferenceSid",
        Kind::Text,
        Null::Absent,
        "Conference that it belongs to.",
        |r, _| Value::maybe(r.recording.conference),
    ),
    field::<ShownRecording>(
        "duration",
        "Duration",
        Kind::Text,
        Null::Absent,
        "Length in seconds, once it is complete.",
        |r, _| Value::maybe(duration_ms(r).map(seconds)),
    )
    .twilio(Kind::Text, |r, _| {
        Value::maybe(duration_ms(r).map(recording_seconds))
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
        |r, view| Value::Link(view.uri(r.recording.account, "Recordings", r.recording.sid)),
    ),
    field::<ShownRecording>(
        "file_uri",
        "FileUri",
        Kind::Text,
        Null::Absent,
        "Address of the sound file, once it is complete; no credentials needed.",
        file_url,
    )
    .within(RESTCOMM),
    field::<ShownRecording>(
        "media_url",
        "MediaUrl",
        Kind::Text,
        Null::Absent,
        "Address of the sound file, once it is complete; no credentials needed.",
        file_url,
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "status",
        "Status",
        Kind::Text,
        Null::Never,
        "`in-progress`, `paused`, `stopped` (by the API; the file is being closed), `completed`, `failed`, or `absent`: its file was removed, because the account keeps recordings only for a time or a person's data was erased.",
        |r, _| Value::text(r.status),
    ),
    field::<ShownRecording>(
        "source",
        "Source",
        Kind::Text,
        Null::Never,
        "What made it: `DialVerb`, `RecordVerb`, `Conference`, `OutboundAPI` (the request that made the call), `StartCallRecordingAPI` or `StartCallRecordingTwiML` (`Recording` inside `Start`).",
        |r, _| Value::text(r.recording.kind.source),
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "channels",
        "Channels",
        Kind::Number,
        Null::Never,
        "Number of channels.",
        |r, _| Value::Number(r.recording.kind.channels.into()),
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "start_time",
        "StartTime",
        Kind::Time,
        Null::Never,
        "When it began.",
        |r, _| Value::Time(r.recording.created),
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "price",
        "Price",
        Kind::Text,
        Null::Explicit,
        "Always null.",
        |_, _| Value::Null,
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "price_unit",
        "PriceUnit",
        Kind::Text,
        Null::Never,
        "Currency of the price.",
        |_, _| Value::text("USD"),
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "error_code",
        "ErrorCode",
        Kind::Number,
        Null::Explicit,
        "Always null; a recording that could not be made has the status `failed`.",
        |_, _| Value::Null,
    )
    .within(TWILIO),
    field::<ShownRecording>(
        "encryption_details",
        "EncryptionDetails",
        Kind::Object,
        Null::Explicit,
        "Always null.",
        |_, _| Value::Null,
    )
    .within(TWILIO),
];

/// Its length, once it is complete.
fn duration_ms(shown: &ShownRecording) -> Option<i64> {
    let was_complete = shown.is_complete() || shown.status == RecordingStatus::Absent;
    was_complete.then_some(shown.recording.duration_ms)
}

fn file_url(shown: &ShownRecording, view: View<'_>) -> Value {
    let complete = shown.is_complete().then_some(&shown.recording);
    Value::maybe(complete.map(|recording| media::signed_url(recording, view)))
}

static RECORDING: Resource<ShownRecording> = Resource {
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
const ONE_OF_CALL: &[&str] = &["/Accounts/{account}/Calls/{call}/Recordings/{sid}"];
const ONE_OF_CONFERENCE: &[&str] =
    &["/Accounts/{account}/Conferences/{conference}/Recordings/{sid}"];

/// The routes of recordings.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Recordings")
        .params(&[FILTERS, SCOPE, SORTED, PAGING])
        .answers(Answers::Page(&RECORDING))
        .doc("Lists recordings, newest first; at the Restcomm base only complete ones."),
    Route::get(OF_CALL, |c, a, call| Box::pin(of_call(c, a, call)))
        .needs(Action::Read, "Recordings")
        .params(&[TWILIO_PAGING])
        .answers(Answers::All(&RECORDING))
        .doc("Lists the recordings of a call, also those in progress."),
    Route::post(OF_CALL, |c, a, call| Box::pin(live::start(c, a, call)))
        .needs(Action::Modify, "Calls")
        .refuses(LIVE)
        .params(&[NEW_RECORDING])
        .answers(Answers::One(&RECORDING))
        .status([200, 201])
        .doc("Records a live call from now on, whatever its document does. It must have been answered. A call can have four such recordings at once, besides those of its document."),
    Route::get(ONE_OF_CALL, |c, a, sids| Box::pin(live::get_of_call(c, a, sids)))
        .needs(Action::Read, "Recordings")
        .answers(Answers::One(&RECORDING))
        .doc("Reads a recording of a call."),
    Route::post(ONE_OF_CALL, |c, a, sids| Box::pin(live::change_of_call(c, a, sids)))
        .needs(Action::Modify, "Calls")
        .refuses(LIVE)
        .params(&[live::CHANGES])
        .answers(Answers::One(&RECORDING))
        .doc("Pauses, continues or ends a recording in progress. `Twilio.CURRENT` instead of its SID means the newest one. One of `Record` is ended by its verb and cannot be changed."),
    Route::delete(ONE_OF_CALL, |c, a, sids| Box::pin(live::delete_of_call(c, a, sids)))
        .needs(Action::Delete, "Recordings")
        .refuses(IN_USE)
        .doc("Deletes a recording of a call. It is moved to the bin, where it can be restored, with its file and transcriptions. One that is in progress must be ended first."),
    Route::get(OF_CONFERENCE, |c, a, conference| {
        Box::pin(of_conference(c, a, conference))
    })
    .needs(Action::Read, "Recordings")
    .params(&[PAGING])
    .answers(Answers::Page(&RECORDING))
    .doc("Lists the recordings of a conference, also one in progress."),
    Route::get(ONE_OF_CONFERENCE, |c, a, sids| {
        Box::pin(live::get_of_conference(c, a, sids))
    })
    .needs(Action::Read, "Recordings")
    .answers(Answers::One(&RECORDING))
    .doc("Reads a recording of a conference."),
    Route::post(ONE_OF_CONFERENCE, |c, a, sids| {
        Box::pin(live::change_of_conference(c, a, sids))
    })
    .needs(Action::Modify, "Conferences")
        .refuses(LIVE)
    .params(&[live::CHANGES])
    .answers(Answers::One(&RECORDING))
    .doc("Pauses, continues or ends the recording of a live conference. `Twilio.CURRENT` instead of its SID means the one in progress."),
    Route::delete(ONE_OF_CONFERENCE, |c, a, sids| {
        Box::pin(live::delete_of_conference(c, a, sids))
    })
    .needs(Action::Delete, "Recordings")
        .refuses(IN_USE)
    .doc("Deletes a recording of a conference. It is moved to the bin, where it can be restored, with its file and transcriptions. One that is in progress must be ended first."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Recordings")
        .refuses([&[406, 410, 429], &[406, 410, 429]])
        .answers(Answers::One(&RECORDING))
        .doc("Reads a recording; with `.wav` after the SID, its sound file, and with `.mp3`, the same as MP3, if `lame` or `ffmpeg` is installed on the server. Ranges can be requested."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Delete, "Recordings")
        .refuses(IN_USE)
        .doc("Deletes a recording. It is moved to the bin, where it can be restored, with its file and transcriptions. One that is in progress must be ended first."),
];

const SORTED: &[Param] = &[sorting(
    "Property to sort by, with `:asc` or `:desc`: `DateCreated`, `Duration` or `CallSid`.",
)];

const FILTERS: &[Param] = &[
    param(
        "CallSid",
        Is::SidPattern(sid::<CallSid>),
        "Call that was recorded.",
    ),
    param(
        "ConferenceSid",
        Is::Sid(sid::<ConferenceSid>),
        "Conference that was recorded.",
    )
    .within(TWILIO),
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
        conference: params.sid("ConferenceSid")?.flatten(),
        unfinished: dialect.pick([false, true]),
        created_from: params.day("StartTime")?.or(from),
        created_until: params.end_of_day("EndTime")?.or(until),
        sort: sort_by(context, SORTED_BY, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.recordings(&filter).await?;
    let path = format!("/Accounts/{}/Recordings", account.sid);
    page.show(context, &RECORDING, &path, rows, key)
}

fn key(shown: &ShownRecording) -> RowKey {
    row_key(shown.recording.created, shown.recording.sid)
}

const SORTED_BY: &str = "DateCreated, Duration or CallSid";

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
        unfinished: true,
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
        unfinished: true,
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
    let found = find_any(context, account, sid).await?;
    Ok(context.show(&RECORDING, &found))
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let found = find_any(context, account, sid).await?;
    remove(context, &found).await
}

/// Moves a complete recording to the bin.
async fn remove(context: &Context<'_>, found: &ShownRecording) -> Answer {
    match found.status {
        RecordingStatus::Completed | RecordingStatus::Absent => {}
        RecordingStatus::InProgress | RecordingStatus::Paused | RecordingStatus::Stopped => {
            let text = "the recording is not complete yet; end it first";
            return Err(Failure::of(error::RECORDING_STATE).saying(text));
        }
        RecordingStatus::Failed => {
            let text = "the recording has failed; there is nothing to delete";
            return Err(Failure::of(error::RECORDING_STATE).saying(text));
        }
    }
    let sid = found.recording.sid.to_string();
    let store = &context.state.store;
    match store.discard(DiscardedKind::Recording, &sid, now()).await? {
        true => Ok(Reply::Nothing),
        false => Err(Failure::not_found()),
    }
}

/// The file of a recording that the caller may read.
pub(crate) async fn file(context: &Context<'_>, account: Option<&Account>, name: &str) -> Answer {
    let file = media::named(name)?;
    match account {
        Some(account) => {
            find(context, account, file.sid).await?;
        }
        None => {
            context.permit(Action::Read, "Recordings")?;
            let found = context.state.store.recording(file.sid).await?;
            let found = found.ok_or_else(Failure::not_found)?;
            let owner = context.state.store.account(found.account).await?;
            let owner = context.covered(owner).await?;
            owner.ok_or_else(Failure::not_found)?;
        }
    }
    media::send(context.state, file, context.headers).await
}

/// A recording in any state.
async fn find_any(
    context: &Context<'_>,
    account: &Account,
    sid: &str,
) -> Result<ShownRecording, Failure> {
    let sid: RecordingSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.shown_recording(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

/// A complete recording.
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
