//! Texts of recordings.

use std::sync::OnceLock;

use model::record::Transcription;
use model::{RecordingSid, Timestamp};

use crate::Result;
use crate::filter::{Scope, Window};
use crate::row::Row;
use crate::sql::{Arg, Sql, Table, args};

pub(crate) static TRANSCRIPTIONS: Table = Table {
    name: "transcriptions",
    counted: false,
    columns: &[
        "sid",
        "account",
        "recording",
        "status",
        "duration_s",
        "content",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

fn args_of(transcription: &Transcription) -> Vec<Arg> {
    args![
        transcription.sid,
        transcription.account,
        transcription.recording,
        transcription.status,
        transcription.duration_s,
        transcription.text.clone(),
        transcription.created,
        transcription.updated
    ]
}

/// Adds a transcription, or replaces its state.
pub(crate) fn keep(transcription: &Transcription) -> Sql {
    let mut sql = TRANSCRIPTIONS.insert(args_of(transcription));
    sql.text(
        " ON CONFLICT (sid) DO UPDATE SET status = excluded.status, \
         duration_s = excluded.duration_s, content = excluded.content, updated = excluded.updated",
    );
    sql
}

pub(crate) fn read(row: &Row) -> Result<Transcription> {
    Ok(Transcription {
        sid: row.word("sid")?,
        account: row.word("account")?,
        recording: row.word("recording")?,
        status: row.word("status")?,
        duration_s: row.opt_int("duration_s")?,
        text: row.opt_text("content")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// Selects transcriptions.
#[derive(Debug, Clone)]
pub struct TranscriptionFilter {
    /// The owners.
    pub scope: Scope,
    /// Of this recording.
    pub recording: Option<RecordingSid>,
    /// Pattern (`%`, `_`) that the text contains.
    pub text: Option<String>,
    /// Created then or later.
    pub created_from: Option<Timestamp>,
    /// Created then or earlier.
    pub created_until: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// Part of the list.
    pub window: Window,
}
