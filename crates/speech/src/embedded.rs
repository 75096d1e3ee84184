//! Speech from programs on this machine.
//!
//! **Invariant: concurrent equal requests share one synthesis and its result, and it continues
//! while any of them waits.** At most [`Limits::at_once`] programs run at a time.

use crate::cache::{Cache, Key};
use crate::engine::{Engine, EngineStatus, Finder};
use crate::{Manner, SpeakRequest, SpeechError, Synthesizer, Voice, language};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// Part of every cache key; raised when the same text would sound different.
const CACHE_VERSION: &str = "1";
/// Samples below this (−50 dBFS) at either end are silence.
const SILENCE: u16 = 104;
/// Silence kept in front, in samples: 20 ms.
const LEAD: usize = 160;
/// Silence kept at the end, in samples: 100 ms.
const TAIL: usize = 800;

/// Resource limits of speech synthesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, in characters.
    pub text_chars: usize,
    /// Longest run of a program, and longest wait for a free slot.
    pub timeout: Duration,
    /// Maximum programs running at the same time.
    pub at_once: usize,
    /// Size of the cache on disk.
    pub cache_bytes: u64,
}

impl Default for Limits {
    /// 4096 characters, 20 s, one program per core, 256 MiB.
    fn default() -> Self {
        Self {
            text_chars: 4096,
            timeout: Duration::from_secs(20),
            at_once: std::thread::available_parallelism().map_or(2, usize::from),
            cache_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The installed programs behind a cache. Clones share everything.
#[derive(Clone)]
pub struct EmbeddedSpeech {
    inner: Arc<Inner>,
}

type Outcome = Result<Arc<[i16]>, SpeechError>;
type Running = Shared<BoxFuture<'static, Outcome>>;

struct Inner {
    finder: Finder,
    limits: Limits,
    slots: Semaphore,
    cache: Cache,
    /// Texts being spoken; dead entries are removed when one is added.
    running: Mutex<HashMap<Key, WeakShared<BoxFuture<'static, Outcome>>>>,
}

/// How a text will be spoken.
struct Plan {
    engine: Engine,
    program: PathBuf,
    voice: String,
    manner: Manner,
}

impl EmbeddedSpeech {
    /// Opens the cache; finds the programs in `$PATH` when they are needed.
    ///
    /// # Errors
    /// If the cache folder can neither be created nor read.
    pub fn new(cache_folder: impl AsRef<Path>, limits: Limits) -> io::Result<Self> {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        Self::with_search_path(cache_folder, limits, search_path)
    }

    /// As [`Self::new`], with a search path other than `$PATH`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_search_path(
        cache_folder: impl AsRef<Path>,
        limits: Limits,
        search_path: OsString,
    ) -> io::Result<Self> {
        let inner = Inner {
            finder: Finder::new(search_path),
            slots: Semaphore::new(limits.at_once.max(1)),
            cache: Cache::open(cache_folder.as_ref(), limits.cache_bytes)?,
            limits,
            running: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The engines, with the path of each installed one.
    pub fn available(&self) -> Vec<EngineStatus> {
        let status = |engine| EngineStatus {
            engine,
            path: self.inner.finder.find(engine),
        };
        Engine::ALL.into_iter().map(status).collect()
    }

    /// Joins an equal request that is in progress, or starts one.
    fn join(&self, key: Key, plan: Plan, text: String) -> Running {
        let mut running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = running.get(&key).and_then(WeakShared::upgrade) {
            return same;
        }
        let inner = Arc::clone(&self.inner);
        let started = produce(inner, key.clone(), plan, text).boxed().shared();
        running.retain(|_, other| other.upgrade().is_some());
        running.extend(started.downgrade().map(|weak| (key, weak)));
        started
    }
}

#[async_trait::async_trait]
impl Synthesizer for EmbeddedSpeech {
    async fn speak(&self, request: SpeakRequest) -> Result<Arc<[i16]>, SpeechError> {
        let text = self.inner.readable(&request.text)?;
        if text.is_empty() {
            return Ok(Arc::default());
        }
        if let Some(note) = self.substitution(&request.language, request.voice) {
            warn!(language = %request.language, "{note}");
        }
        let plan = self.inner.plan(&request, &text)?;
        let (engine, voice) = (plan.engine.program(), &plan.voice);
        let Manner {
            pace,
            pitch,
            loudness_db,
        } = plan.manner;
        let key = if plan.manner == Manner::default() {
            Key::new(&[CACHE_VERSION, engine, voice, &text])
        } else {
            let manner = format!("{pace} {pitch} {loudness_db}");
            Key::new(&[CACHE_VERSION, engine, voice, &text, &manner])
        };
        self.join(key, plan, text).await
    }

    fn substitution(&self, language: &str, _voice: Voice) -> Option<String> {
        let found = language::find(language);
        if found.note.is_none() && found.language.american && self.flite_is_replaced() {
            return Some(format!(
                "`flite` is not installed; `espeak-ng` is used for {}",
                found.language.name
            ));
        }
        found.note
    }
}

impl EmbeddedSpeech {
    fn flite_is_replaced(&self) -> bool {
        let find = |engine| self.inner.finder.find(engine);
        find(Engine::Flite).is_none() && find(Engine::Espeak).is_some()
    }
}

impl Inner {
    /// The text as the engines may read it: without control characters, and without the double
    /// brackets that mark phonemes in espeak-ng.
    fn readable(&self, text: &str) -> Result<String, SpeechError> {
        let (chars, limit) = (text.chars().count(), self.limits.text_chars);
        if chars > limit {
            return Err(SpeechError::TextTooLong { chars, limit });
        }
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        Ok(words.join(" ").replace("[[", "[ [").replace("]]", "] ]"))
    }

    /// Flite reads American English in ASCII; everything else goes to espeak-ng, as does all text
    /// if flite is not installed.
    fn plan(&self, request: &SpeakRequest, text: &str) -> Result<Plan, SpeechError> {
        let code = &request.language;
        let language = language::find(code).language;
        let flite = if language.american {
            self.finder.find(Engine::Flite)
        } else {
            None
        };
        let espeak = self.finder.find(Engine::Espeak);
        let (engine, program) = match (flite, espeak) {
            (Some(flite), None) => (Engine::Flite, flite),
            (Some(flite), Some(_)) if for_flite(text).is_ascii() => (Engine::Flite, flite),
            (_, Some(espeak)) => (Engine::Espeak, espeak),
            (None, None) => return Err(missing(code, language)),
        };
        Ok(Plan {
            engine,
            program,
            voice: engine.voice(language, request.voice),
            manner: request.manner,
        })
    }
}

fn missing(code: &str, language: language::Language) -> SpeechError {
    let either = format!(
        "{}, or {}",
        Engine::Flite.install(),
        Engine::Espeak.install()
    );
    let install = if language.american {
        either
    } else {
        Engine::Espeak.install().to_owned()
    };
    SpeechError::EngineMissing {
        language: code.to_owned(),
        install,
    }
}

/// Replaces the usual typographic characters by ASCII, which is all that flite reads.
fn for_flite(text: &str) -> String {
    let ascii = |c: char| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201C}' | '\u{201D}' => '"',
        '\u{2013}' | '\u{2014}' => '-',
        '\u{2026}' => '.',
        other => other,
    };
    text.chars().map(ascii).collect()
}

/// Reads from the cache, or synthesises into it.
async fn produce(inner: Arc<Inner>, key: Key, plan: Plan, text: String) -> Outcome {
    let (cache, wanted) = (Arc::clone(&inner), key.clone());
    if let Some(samples) = blocking(plan.engine, move || cache.cache.get(&wanted)).await? {
        return Ok(samples);
    }
    let slot = tokio::time::timeout(inner.limits.timeout, inner.slots.acquire()).await;
    let _slot = slot
        .map_err(|_| SpeechError::Busy)?
        .map_err(|_| SpeechError::Busy)?;
    let out = inner
        .cache
        .temporary()
        .map_err(|error| plan.engine.failed(error.to_string()))?;
    let input = match plan.engine {
        Engine::Flite => for_flite(&text),
        Engine::Espeak => text.clone(),
    };
    debug!(
        engine = plan.engine.program(),
        chars = text.chars().count(),
        "speaking"
    );
    let limit = inner.limits.timeout;
    plan.engine
        .run(
            &plan.program,
            (&plan.voice, plan.manner),
            &input,
            out.path(),
            limit,
        )
        .await?;
    let (engine, store) = (plan.engine, Arc::clone(&inner));
    let loudness_db = plan.manner.loudness_db;
    blocking(engine, move || {
        let samples = louder(read(engine, out.path(), &text)?, loudness_db);
        store.cache.put(&key, &samples);
        Ok(samples)
    })
    .await?
}

async fn blocking<T: Send + 'static>(
    engine: Engine,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SpeechError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| engine.failed(error.to_string()))
}

/// The engine's output, at 8 kHz and trimmed.
fn read(engine: Engine, path: &Path, text: &str) -> Outcome {
    let bytes = std::fs::read(path).map_err(|error| engine.failed(error.to_string()))?;
    let prompt = audio::Prompt::decode(&bytes).map_err(|error| engine.failed(error.to_string()))?;
    let samples = trim(&prompt);
    if samples.is_empty() && text.chars().any(char::is_alphanumeric) {
        return Err(engine.failed("made no sound"));
    }
    Ok(samples.into())
}

/// The samples made louder or quieter.
fn louder(samples: Arc<[i16]>, db: i16) -> Arc<[i16]> {
    if db == 0 {
        return samples;
    }
    let factor = 10_f64.powf(f64::from(db) / 20.0);
    let scaled = samples
        .iter()
        .map(|sample| (f64::from(*sample) * factor) as i16);
    scaled.collect()
}

/// Trims the silence at both ends to a short rest.
fn trim(samples: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > SILENCE;
    let (Some(first), Some(last)) = (
        samples.iter().position(loud),
        samples.iter().rposition(loud),
    ) else {
        return &[];
    };
    &samples[first.saturating_sub(LEAD)..(last + 1 + TAIL).min(samples.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_trimmed() {
        let loud = [1000; 10];
        let with = |before: usize, after: usize| {
            [vec![50; before], loud.to_vec(), vec![-50; after]].concat()
        };
        let table = [(0, 0, 10), (100, 100, 210), (5000, 5000, LEAD + 10 + TAIL)];
        for (before, after, expected) in table {
            assert_eq!(
                trim(&with(before, after)).len(),
                expected,
                "{before} {after}"
            );
        }
        assert_eq!(trim(&[50; 100]), &[] as &[i16]);
    }

    #[test]
    fn flite_gets_ascii() {
        assert_eq!(
            for_flite("\u{201C}it\u{2019}s\u{201D} \u{2014} ok\u{2026}"),
            "\"it's\" - ok."
        );
        assert!(!for_flite("caf\u{e9}").is_ascii());
    }
}
