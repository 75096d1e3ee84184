//! `/Accounts/{sid}/Recordings` and the recordings of a call.

use http::StatusCode;
use model::record::{Account, Recording};
use model::{AccountSid, CallSid, RecordingSid};
use store::{RecordingFilter, RecordingKey, Rows, Scope, Window};

use crate::context::{Answer, Context, Reply, VERSION, Verb, uri};
use crate::failure::Failure;
use crate::media;
use crate::page::{ListNames, Page, sort_by};
use crate::resources::calls::{call_pattern, scope};
use crate::roles::Action;
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Recordings of one call at most.
const OF_ONE_CALL: i64 = 1_000;

const FIELDS: &[Field<Recording>] = &[
    field("sid", "Sid", Kind::Text, Null::Absent, |r, _| {
        Value::text(r.sid)
    }),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Absent,
        |r, _| Value::Date(r.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Absent,
        |r, _| Value::Date(r.updated),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Absent,
        |r, _| Value::text(r.account),
    ),
    field("call_sid", "CallSid", Kind::Text, Null::Absent, |r, _| {
        Value::text(r.call)
    }),
    field("duration", "Duration", Kind::Text, Null::Absent, |r, _| {
        Value::Text(seconds(r.duration_ms))
    }),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Absent,
        |_, _| Value::text(VERSION),
    ),
    field("uri", "Uri", Kind::Link, Null::Absent, |r, _| {
        Value::Link(uri(r.account, "Recordings", r.sid))
    }),
    field(
        "file_uri",
        "FileUri",
        Kind::Text,
        Null::Absent,
        |r, view| Value::Text(media::signed_url(r, view)),
    ),
];

const RECORDING: Resource<Recording> = Resource {
    xml: "Recording",
    xml_list: "Recordings",
    fields: FIELDS,
};

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

/// The list.
pub(crate) async fn collection(context: &Context<'_>, account: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, "Recordings").await?;
    let params = &context.params;
    let page = Page::read(params)?;
    let filter = RecordingFilter {
        scope: scope(params, account.sid)?,
        call: params.filled("CallSid").map(call_pattern),
        created_from: params.day("StartTime")?,
        created_until: params.end_of_day("EndTime")?,
        sort: sort_by(params, sort_key)?,
        window: page.window(),
    };
    let rows = context.state.store.recordings(&filter).await?;
    let names = ListNames {
        uri: &format!("/restcomm/{VERSION}/Accounts/{}/Recordings", account.sid),
        json: "recordings",
        xml: RECORDING.xml_list,
        xml_item: RECORDING.xml,
        xml_envelope: false,
    };
    let text = page.write(context.format, &names, &rows, |row| {
        (row.sid.to_string(), RECORDING.entries(row, context.view()))
    })?;
    Ok(Reply::Document(text))
}

fn sort_key(field: &str) -> Option<RecordingKey> {
    Some(match field {
        "DateCreated" => RecordingKey::Created,
        "Duration" => RecordingKey::Duration,
        "CallSid" => RecordingKey::Call,
        _ => return None,
    })
}

/// The recordings of a call, unpaged.
pub(crate) async fn of_call(context: &Context<'_>, account: &str, call: &str) -> Answer {
    if context.verb != Verb::Get {
        return Err(Failure::method("GET"));
    }
    let account = context.operate(account, Action::Read, "Recordings").await?;
    let call: CallSid = call.parse().map_err(|_| Failure::not_found())?;
    let filter = RecordingFilter {
        call: Some(call.to_string()),
        window: Window {
            offset: 0,
            limit: OF_ONE_CALL,
        },
        ..RecordingFilter::of(Scope::Own(account.sid))
    };
    let rows = context.state.store.recordings(&filter).await?;
    Ok(context.show_all(&RECORDING, &rows.items))
}

/// One: its properties, its file, or its end.
pub(crate) async fn item(context: &Context<'_>, account: &str, sid: &str) -> Answer {
    let action = match context.verb {
        Verb::Get => Action::Read,
        Verb::Delete => Action::Delete,
        Verb::Post | Verb::Put | Verb::Other => return Err(Failure::method("GET, DELETE")),
    };
    let account = context.operate(account, action, "Recordings").await?;
    if context.verb == Verb::Get && sid.contains('.') {
        return file(context, Some(&account), sid).await;
    }
    let sid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = owned(context, &account, sid).await?;
    if context.verb == Verb::Get {
        return Ok(context.show(&RECORDING, &found));
    }
    context.state.store.delete_recording(sid).await?;
    remove_file(context, sid).await;
    Ok(Reply::Empty(StatusCode::OK))
}

/// The file of a recording that the caller may read.
pub(crate) async fn file(context: &Context<'_>, account: Option<&Account>, name: &str) -> Answer {
    let sid = media::sid_of(name)?;
    match account {
        Some(account) => {
            owned(context, account, sid).await?;
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

async fn owned(
    context: &Context<'_>,
    account: &Account,
    sid: RecordingSid,
) -> Result<Recording, Failure> {
    let found = context.state.store.recording(sid).await?;
    let found = found.ok_or_else(Failure::not_found)?;
    if found.account == account.sid {
        Ok(found)
    } else {
        Err(Failure::forbidden())
    }
}

async fn remove_file(context: &Context<'_>, sid: RecordingSid) {
    let path = media::path(context.state, sid);
    if let Err(error) = tokio::fs::remove_file(&path).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, recording.sid = %sid, "the file of a deleted recording stays");
    }
}

/// Every recording of an account and of those below it.
pub(crate) async fn of_tree(
    context: &Context<'_>,
    account: AccountSid,
) -> Result<Vec<RecordingSid>, Failure> {
    let mut found = Vec::new();
    loop {
        let filter = RecordingFilter {
            window: Window {
                offset: i64::try_from(found.len()).unwrap_or(i64::MAX),
                limit: OF_ONE_CALL,
            },
            ..RecordingFilter::of(Scope::Tree(account))
        };
        let rows: Rows<Recording> = context.state.store.recordings(&filter).await?;
        if rows.items.is_empty() {
            return Ok(found);
        }
        found.extend(rows.items.iter().map(|row| row.sid));
    }
}

/// Removes the files of recordings whose rows are gone.
pub(crate) async fn remove_files(context: &Context<'_>, sids: Vec<RecordingSid>) {
    for sid in sids {
        remove_file(context, sid).await;
    }
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
