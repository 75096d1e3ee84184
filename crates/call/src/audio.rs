//! Documents, sound files and speech: what a call waits for beside its task.

use std::sync::Arc;

use call_proto::{AudioFailure, FetchFailure, FetchRequest, Fetched};
use model::{AccountSid, EventSid, error};
use speech::{SpeakRequest, Voice};
use webhook::{AddressPolicy, BodyKind, CookieJar, FetchError, Stamp};

use crate::engine::Shared;

/// Asks an application for a document.
pub(crate) async fn document(
    shared: &Shared,
    request: FetchRequest,
    jar: CookieJar,
) -> Result<Fetched, FetchFailure> {
    let mut http = webhook::FetchRequest::new(request.method, request.url);
    http.params = request.params;
    http.jar = jar;
    http.policy = AddressPolicy {
        private_ok: shared.private_ok(request.author),
    };
    http.stamp = Some(Stamp {
        event: EventSid::new(crate::now(), rand::random()),
        secrets: crate::outbox::secrets(&shared.parts.store, request.author).await,
    });
    http.kind = BodyKind::Document;
    let fetched = shared
        .parts
        .fetcher
        .fetch(http)
        .await
        .map_err(|error| fetch_failure(&error))?;
    Ok(Fetched {
        status: fetched.status,
        body: rcml::decode(&fetched.body, fetched.content_type.as_deref()),
        content_type: fetched.content_type,
        url: fetched.final_url,
    })
}

fn fetch_failure(error: &FetchError) -> FetchFailure {
    FetchFailure {
        code: error.code(),
        text: error.to_string(),
    }
}

/// Gets a sound file, as 8 kHz samples.
pub(crate) async fn load(
    shared: &Shared,
    author: AccountSid,
    url: &str,
    jar: &CookieJar,
) -> Result<Arc<[i16]>, AudioFailure> {
    let policy = AddressPolicy {
        private_ok: shared.private_ok(author),
    };
    let bytes = shared
        .parts
        .sounds
        .get(author, url, jar, policy)
        .await
        .map_err(|error| AudioFailure {
            code: error::MEDIA_DOWNLOAD,
            text: error.to_string(),
        })?;
    if let Some(samples) = shared.prompts.get(&bytes) {
        return Ok(samples);
    }
    let name = model::address::redacted(url);
    let file = Arc::clone(&bytes);
    let decoded = tokio::task::spawn_blocking(move || {
        ::audio::Prompt::decode(&file).map_err(|error| format!("{name}: {error}"))
    });
    match decoded.await {
        Ok(Ok(samples)) => {
            shared.prompts.put(&bytes, &samples);
            Ok(samples)
        }
        Ok(Err(text)) => Err(AudioFailure {
            code: error::MEDIA_DOWNLOAD,
            text,
        }),
        // A decoder that fails fails because of the file.
        Err(_) => Err(AudioFailure {
            code: error::MEDIA_DOWNLOAD,
            text: format!(
                "{}: the sound file could not be decoded",
                model::address::redacted(url)
            ),
        }),
    }
}

/// The voice that a document names.
pub(crate) fn voice(voice: rcml::Voice) -> Voice {
    match voice {
        rcml::Voice::Man => Voice::Man,
        rcml::Voice::Woman => Voice::Woman,
    }
}

/// Makes speech, as 8 kHz samples.
pub(crate) async fn speak(
    shared: &Shared,
    text: String,
    voice: Voice,
    language: String,
) -> Result<Arc<[i16]>, AudioFailure> {
    shared
        .parts
        .speech
        .speak(SpeakRequest {
            text,
            language,
            voice,
        })
        .await
        .map_err(|error| AudioFailure {
            code: error::SAY_FAILED,
            text: error.to_string(),
        })
}
