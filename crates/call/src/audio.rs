//! Fetches documents, sound files and speech for a call, outside of its task.

use std::sync::Arc;

use ::audio::PromptError;
use call_proto::{AudioFailure, FetchFailure, FetchRequest, Fetched};
use model::{AccountSid, EventSid, error};
use speech::{SpeakRequest, Voice};
use webhook::{BodyKind, CookieJar, FetchError, NoRoom, Problem, SoundOwner, Stamp};

use crate::engine::Shared;

/// Memory needed to decode the longest sound, in bytes.
const MAX_MEMORY: usize = ::audio::prompt::MAX_SECONDS * 8_000 * 4;

/// Requests a document from an application.
pub(crate) async fn document(
    shared: &Shared,
    request: FetchRequest,
    jar: CookieJar,
) -> Result<Fetched, FetchFailure> {
    let mut http = webhook::FetchRequest::new(request.method, request.url);
    http.params = request.params;
    http.jar = jar;
    http.policy = shared.policy(request.author);
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

/// Loads a sound file as 8 kHz samples.
pub(crate) async fn load(
    shared: &Shared,
    author: AccountSid,
    url: &str,
    jar: &CookieJar,
) -> Result<Arc<[i16]>, AudioFailure> {
    let policy = shared.policy(author);
    let failure = |text: String| AudioFailure {
        code: error::MEDIA_DOWNLOAD,
        text,
    };
    let customer = shared.parts.store.customer_of(author).await;
    let owner = SoundOwner {
        author,
        customer: customer.map_err(|error| failure(error.to_string()))?,
    };
    let sounds = &shared.parts.sounds;
    let sound = sounds.get(owner, url, jar, policy).await;
    let sound = sound.map_err(|error| failure(error.to_string()))?;
    if let Some(samples) = shared.prompts.get(sound.bytes()) {
        return Ok(samples);
    }
    let name = model::address::redacted(url);
    let no_room = |NoRoom| failure(format!("{name}: {}", Problem::NoRoom));
    let mut memory = sound.memory();
    let mut sound = sounds.with_memory(owner, sound).await.map_err(no_room)?;
    loop {
        let limit = if memory >= MAX_MEMORY {
            usize::MAX
        } else {
            memory.saturating_sub(sound.bytes().len())
        };
        // The memory stays reserved until the work is done, even if the call ends earlier.
        let file = sound.clone();
        let decoding = tokio::task::spawn_blocking(move || {
            let samples = ::audio::Prompt::decode_within(file.bytes(), limit);
            drop(file);
            samples
        });
        match decoding.await {
            Ok(Ok(samples)) => {
                shared.prompts.put(sound.bytes(), &samples);
                return Ok(samples);
            }
            // It is more compressed than most files.
            Ok(Err(PromptError::Memory)) if limit < usize::MAX => {
                memory = memory.saturating_mul(16).min(MAX_MEMORY);
                sound = sounds
                    .reserve(owner, sound, memory)
                    .await
                    .map_err(no_room)?;
            }
            Ok(Err(error)) => return Err(failure(format!("{name}: {error}"))),
            // A decoder that panics does so because of the file.
            Err(_) => {
                let text = format!("{name}: the sound file could not be decoded");
                return Err(failure(text));
            }
        }
    }
}

/// The voice that a document names.
pub(crate) fn voice(voice: rcml::Voice) -> Voice {
    match voice {
        rcml::Voice::Man => Voice::Man,
        rcml::Voice::Woman => Voice::Woman,
    }
}

/// Synthesises speech as 8 kHz samples.
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
