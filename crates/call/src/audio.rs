//! Fetches documents, sound files and speech for a call, outside of its task.

use std::sync::Arc;

use ::audio::{Prompt, PromptError};
use call_proto::{AudioFailure, FetchFailure, FetchRequest, Fetched};
use model::{AccountSid, EventSid, error};
use rcml::Spoken;
use speech::{Manner, SpeakRequest, Voice};
use webhook::{
    BodyKind, CookieJar, FetchError, MediaCache, NoRoom, Problem, Sound, SoundOwner, Stamp,
};

use crate::engine::Shared;
use crate::prompts;

/// Requests a document from an application.
pub(crate) async fn document(
    shared: &Shared,
    request: FetchRequest,
    jar: CookieJar,
) -> Result<Fetched, FetchFailure> {
    let policy = shared.policy_for(request.author, &request.url);
    let mut http = webhook::FetchRequest::new(request.method, request.url);
    http.params = request.params;
    http.jar = jar;
    http.policy = policy;
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
    let headers = fetched.headers.iter().filter_map(extra).collect();
    Ok(Fetched {
        status: fetched.status,
        body: rcml::decode(&fetched.body, fetched.content_type.as_deref()),
        content_type: fetched.content_type,
        url: fetched.final_url,
        headers,
    })
}

/// An `X-` header field, in the spelling that those of calls have.
fn extra((name, value): &(String, String)) -> Option<(String, String)> {
    let rest = name
        .get(..2)
        .filter(|start| start.eq_ignore_ascii_case("x-"))?;
    let rest = &name[rest.len()..];
    Some((format!("X-{rest}"), value.clone()))
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
    let policy = shared.policy_for(author, url);
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
    let bytes = Arc::clone(sound.bytes());
    let decode = || decoded(sounds.clone(), owner, sound);
    let samples = shared.prompts.get(&bytes, decode).await;
    samples.map_err(|reason| failure(format!("{}: {reason}", model::address::redacted(url))))
}

/// Decodes a sound file on a thread of its own, with as much memory reserved as that needs.
async fn decoded(sounds: MediaCache, owner: SoundOwner, sound: Sound) -> prompts::Outcome {
    let no_room = |NoRoom| Problem::NoRoom.to_string();
    let workspace = sounds.workspace(owner, sound).await.map_err(no_room)?;
    loop {
        let (bytes, memory) = (Arc::clone(workspace.bytes()), workspace.memory());
        let decoding = tokio::task::spawn_blocking(move || Prompt::decode_within(&bytes, memory));
        match decoding.await {
            // It is more compressed than most files.
            Ok(Err(PromptError::Memory)) => workspace.enlarge().await.map_err(no_room)?,
            Ok(samples) => return samples.map_err(|error| error.to_string()),
            // A decoder that panics does so because of the file.
            Err(_) => return Err(prompts::UNDECODABLE.to_owned()),
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
///
/// - `parts`: the text in pieces, if they are not all spoken in the same way.
pub(crate) async fn speak(
    shared: &Shared,
    text: String,
    parts: Vec<Spoken>,
    voice: Voice,
    language: String,
) -> Result<Arc<[i16]>, AudioFailure> {
    let say = async |text: String, manner: Manner| {
        let request = SpeakRequest {
            text,
            language: language.clone(),
            voice,
            manner,
        };
        let spoken = shared.parts.speech.speak(request).await;
        spoken.map_err(|error| AudioFailure {
            code: error::SAY_FAILED,
            text: error.to_string(),
        })
    };
    if parts.is_empty() {
        return say(text, Manner::default()).await;
    }
    let mut samples = Vec::new();
    for part in parts {
        match part {
            Spoken::Silence { ms } => {
                let count = ms as usize * (::audio::RATE / 1_000) as usize;
                samples.resize(samples.len() + count, 0);
            }
            Spoken::Words { text, manner } => {
                let manner = Manner {
                    pace: manner.pace,
                    pitch: manner.pitch,
                    loudness_db: manner.loudness_db,
                };
                samples.extend_from_slice(&say(text, manner).await?);
            }
        }
    }
    Ok(samples.into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use webhook::{
        AddressPolicy, FetchConfig, Fetcher, Keyring, KeyringError, MediaLimits, Secrets,
    };

    use super::*;

    /// Signs nothing.
    struct NoKeys;

    #[async_trait::async_trait]
    impl Keyring for NoKeys {
        async fn secrets(&self, _: AccountSid) -> Result<Option<Secrets>, KeyringError> {
            Ok(None)
        }
    }

    /// A WAV file whose samples take eight bytes each while they are decoded.
    fn slow_wav(frames: u32) -> Vec<u8> {
        let mut file = b"RIFF\xFF\xFF\xFF\x7FWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        for number in [4000_u32, 4000, 0x0008_0001] {
            file.extend(number.to_le_bytes());
        }
        file.extend(b"data");
        file.extend(frames.to_le_bytes());
        file.resize(file.len() + frames as usize, 0x80);
        file
    }

    /// Answers one request with this file; returns its address.
    async fn serve(file: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 8192];
            let _ = stream.read(&mut asked).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&file).await.unwrap();
        });
        format!("http://{address}/a.wav")
    }

    #[tokio::test]
    async fn a_file_gets_as_much_memory_as_decoding_needs() {
        const FRAMES: u32 = 300_000;
        let folder = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::new(FetchConfig {
            guard: model::egress::Guard {
                allow_private: true,
                ..Default::default()
            },
            ..FetchConfig::default()
        });
        let cache = |limits| {
            let folder = folder.path().to_owned();
            let fetcher = fetcher.as_ref().unwrap().clone();
            MediaCache::new(fetcher, Arc::new(NoKeys), folder, limits).unwrap()
        };
        let author = AccountSid::from_bytes([1; 16]);
        let owner = SoundOwner {
            author,
            customer: author,
        };
        // It needs 9 bytes for each of its own.
        let url = serve(slow_wav(FRAMES)).await;
        let policy = AddressPolicy { private_ok: true };
        for per_customer in [128, 2] {
            let limits = MediaLimits {
                memory_per_customer: per_customer * 1024 * 1024,
                ..MediaLimits::default()
            };
            let cache = cache(limits);
            let sound = cache.get(owner, &url, &CookieJar::default(), policy).await;
            let sound = sound.unwrap();
            let limit = 4 * sound.bytes().len();
            let first = Prompt::decode_within(sound.bytes(), limit);
            assert_eq!(first.err(), Some(PromptError::Memory));
            let samples = decoded(cache, owner, sound).await.unwrap();
            assert_eq!(samples.len(), 2 * FRAMES as usize, "{per_customer} MiB");
        }
    }
}
