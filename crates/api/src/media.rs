//! Serves the files of recordings: whole or in part, with credentials or by a signed link.
//!
//! **Invariant: a file name comes from a recording's identifier, never from the text of a
//! request.**

use std::io::SeekFrom;
use std::path::PathBuf;

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use model::record::Recording;
use model::{AccountSid, RecordingSid, error};
use store::RecordingLinks;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::ApiState;
use crate::closing;
use crate::context::{Answer, Reply, now};
use crate::dialect::RestDialect;
use crate::failure::Failure;
use crate::mp3::Mp3Error;
use crate::params::Params;
use crate::value::View;

/// Address of a recording's file that works without credentials.
pub(crate) fn signed_url(recording: &Recording, view: View<'_>) -> String {
    signed_address(recording.account, recording.sid, view)
}

/// The same in the dialect of a request, for a recording that is only named.
pub(crate) fn signed_address(account: AccountSid, sid: RecordingSid, view: View<'_>) -> String {
    let query = view.links.query(sid, now());
    let (host, base) = (view.public_base, view.dialect.base);
    format!("{host}{base}/Accounts/{account}/Recordings/{sid}.wav?{query}")
}

/// The same at the Restcomm base, for use outside a request to the API.
///
/// - `host`: address of this server, without a trailing slash
pub(crate) fn link_of(
    links: &RecordingLinks,
    host: &str,
    account: AccountSid,
    sid: RecordingSid,
) -> String {
    let query = links.query(sid, now());
    let base = RestDialect::RESTCOMM.base;
    format!("{host}{base}/Accounts/{account}/Recordings/{sid}.wav?{query}")
}

/// Path of a recording's file.
pub(crate) fn path(state: &ApiState, sid: RecordingSid) -> PathBuf {
    closing::file_of(&state.recordings_dir, sid)
}

/// The form in which a recording is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// As it is stored.
    Wav,
    /// Made by a program, if there is one.
    Mp3,
    /// Other servers have it, but this one does not.
    Mp4,
}

impl Format {
    fn named(suffix: &str) -> Option<Self> {
        match suffix {
            "wav" => Some(Self::Wav),
            "mp3" => Some(Self::Mp3),
            "mp4" => Some(Self::Mp4),
            _ => None,
        }
    }
}

/// A requested file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) sid: RecordingSid,
    format: Format,
}

/// The file with a name such as `RE….wav`.
pub(crate) fn named(name: &str) -> Result<File, Failure> {
    let (sid, format) = name.split_once('.').ok_or_else(Failure::not_found)?;
    match (sid.parse(), Format::named(format)) {
        (Ok(sid), Some(format)) => Ok(File { sid, format }),
        _ => Err(Failure::not_found()),
    }
}

/// The file of a signed link. An invalid or expired link looks like a missing recording.
///
/// - `query`: query of the link, with a signature
pub(crate) async fn signed(
    state: &ApiState,
    file: &str,
    query: &Params,
    headers: &HeaderMap,
) -> Answer {
    let file = named(file)?;
    let signature = query.get("Signature").unwrap_or_default();
    let links = &state.recording_links;
    if !links.opens(file.sid, query.get("Expires"), signature, now()) {
        return Err(Failure::not_found());
    }
    if state.store.recording(file.sid).await?.is_none() {
        return Err(Failure::not_found());
    }
    send(state, file, headers).await
}

/// Streams the file, or the requested range of it (RFC 9110 §14).
///
/// # Errors
/// 404 without a file, 410 if it was removed in time or erased, and 406 if its format is not the requested one.
pub(crate) async fn send(state: &ApiState, file: File, headers: &HeaderMap) -> Answer {
    let (path, kind) = match file.format {
        Format::Wav => (path(state, file.sid), "audio/x-wav"),
        Format::Mp3 => (mp3(state, file.sid).await?, "audio/mpeg"),
        Format::Mp4 => return Err(Failure::of(error::RECORDING_FORMAT)),
    };
    let Ok(mut file) = tokio::fs::File::open(path).await else {
        return Err(missing(state, file.sid).await);
    };
    let Ok(length) = file.metadata().await.map(|metadata| metadata.len()) else {
        return Err(Failure::not_found());
    };
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let (status, first, count, range) = match asked.map(|asked| range(asked, length)) {
        None | Some(Range::Whole) => (StatusCode::OK, 0, length, None),
        Some(Range::Part(first, last)) => (
            StatusCode::PARTIAL_CONTENT,
            first,
            last - first + 1,
            Some(format!("bytes {first}-{last}/{length}")),
        ),
        Some(Range::Outside) => (
            StatusCode::RANGE_NOT_SATISFIABLE,
            0,
            0,
            Some(format!("bytes */{length}")),
        ),
    };
    if file.seek(SeekFrom::Start(first)).await.is_err() {
        return Err(Failure::not_found());
    }
    let body = Body::from_stream(ReaderStream::new(file.take(count)));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(count));
    if let Some(Ok(range)) = range.map(HeaderValue::try_from) {
        headers.insert(CONTENT_RANGE, range);
    }
    Ok(Reply::Raw(Box::new(response)))
}

/// Why a recording has no file.
async fn missing(state: &ApiState, sid: RecordingSid) -> Failure {
    match state.store.why_recording_is_gone(sid).await {
        Ok(Some(_)) => Failure::of(error::RECORDING_GONE),
        Ok(None) => Failure::not_found(),
        Err(error) => error.into(),
    }
}

/// The path of a recording as MP3.
async fn mp3(state: &ApiState, sid: RecordingSid) -> Result<PathBuf, Failure> {
    let Some(encoder) = &state.mp3 else {
        return Err(Failure::of(error::RECORDING_FORMAT).saying(
            "Recordings are stored as WAV. To fetch them as MP3, install `lame` or `ffmpeg` on the server, and restart it.",
        ));
    };
    match encoder.file(&state.recordings_dir, sid).await {
        Ok(path) => Ok(path),
        Err(Mp3Error::Missing) => Err(missing(state, sid).await),
        Err(Mp3Error::Busy) => Err(Failure::busy(StatusCode::TOO_MANY_REQUESTS)
            .saying("Too many recordings are being converted to MP3; try again later.")),
        Err(Mp3Error::Failed(why)) => {
            tracing::warn!(why, recording.sid = %sid, "a recording cannot be converted to MP3");
            let text = "The recording cannot be converted to MP3; the log of the server says why. Request it as WAV.";
            Err(Failure::of(error::RECORDING_FORMAT).saying(text))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// No range, or one that may be ignored.
    Whole,
    /// First and last byte.
    Part(u64, u64),
    /// Outside of the file.
    Outside,
}

fn range(header: &str, length: u64) -> Range {
    let Some((first, last)) = header
        .trim()
        .strip_prefix("bytes=")
        .filter(|set| !set.contains(','))
        .and_then(|set| set.split_once('-'))
    else {
        return Range::Whole;
    };
    let bounds = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, u64::MAX),
        (Err(_), Ok(0)) if first.trim().is_empty() => return Range::Outside,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => {
            (length.saturating_sub(suffix), u64::MAX)
        }
        _ => return Range::Whole,
    };
    match bounds {
        (first, _) if first >= length => Range::Outside,
        (first, last) => Range::Part(first, last.min(length - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_a_recording_and_a_format() {
        let sid = RecordingSid::from_bytes([7; 16]);
        let file = |format| Some(File { sid, format });
        for (format, found) in [
            (".wav", file(Format::Wav)),
            (".mp3", file(Format::Mp3)),
            (".mp4", file(Format::Mp4)),
            (".ogg", None),
            (".wav.mp3", None),
            ("", None),
        ] {
            assert_eq!(named(&format!("{sid}{format}")).ok(), found, "{format}");
        }
        assert!(named("../secret.wav").is_err());
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let table = [
            ("bytes=0-9", Range::Part(0, 9)),
            ("bytes=90-", Range::Part(90, 99)),
            ("bytes=-10", Range::Part(90, 99)),
            ("bytes=-1000", Range::Part(0, 99)),
            ("bytes=50-500", Range::Part(50, 99)),
            ("bytes=100-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=9-5", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes=a-b", Range::Whole),
        ];
        for (header, expected) in table {
            assert_eq!(range(header, 100), expected, "{header}");
        }
        assert_eq!(range("bytes=0-", 0), Range::Outside);
    }
}
