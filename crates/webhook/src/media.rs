//! Caches the sound files of applications.
//!
//! **Invariant: an account never gets the files of another**, even from the same address, and a
//! failure is not remembered. Concurrent requests for the same file share one download. Memory for
//! a file is reserved before it is read, and until it is decoded ([`Budget`]); files kept in memory
//! have a separate limit.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use model::{AccountSid, EventSid, HttpMethod, Timestamp};
use tokio::sync::OnceCell;
use url::Url;

use crate::budget::{Budget, NoRoom, Reserved};
use crate::callbacks::Keyring;
use crate::cookie::CookieJar;
use crate::error::{FetchError, Problem};
use crate::fetch::{BodyKind, FetchRequest, Fetched, Fetcher, memory_for};
use crate::freshness::Freshness;
use crate::media_files::{FileKey, MediaFiles};
use crate::media_memory::MediaMemory;
use crate::signature::Stamp;
use model::egress::AddressPolicy;

/// Limits of the cache.
#[derive(Clone, Copy, Debug)]
pub struct MediaLimits {
    /// Maximum bytes on disk.
    pub max_bytes: u64,
    /// How long a file is used without revalidation if its server does not specify that.
    pub default_age: Duration,
    /// Maximum bytes of memory for files being fetched and decoded.
    pub memory: u64,
    /// Most of them for one customer.
    pub memory_per_customer: u64,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024 * 1024,
            default_age: Duration::from_secs(60),
            memory: 256 * 1024 * 1024,
            memory_per_customer: 128 * 1024 * 1024,
        }
    }
}

/// The sound files of all accounts. Clones share them.
#[derive(Clone)]
pub struct MediaCache(Arc<Inner>);

/// Who a sound file is fetched for.
#[derive(Clone, Copy, Debug)]
pub struct SoundOwner {
    /// Wrote the address: requests are signed with its secrets, and accounts do not share files.
    pub author: AccountSid,
    /// Whose share of the memory is used: the author, or an account above it.
    pub customer: AccountSid,
}

/// The bytes of a sound file, with the memory that is reserved for them and for decoding them.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Not a slice, which a weak reference would keep in memory.
    bytes: Arc<Vec<u8>>,
    /// `None` if the cache keeps the file in memory.
    reserved: Option<Arc<Reserved>>,
}

impl Sound {
    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }
}

/// A sound file with memory to decode it, which stays reserved until this is dropped.
#[derive(Debug)]
pub struct Workspace {
    bytes: Arc<Vec<u8>>,
    reserved: Arc<Reserved>,
}

impl Workspace {
    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// Bytes of memory that decoding may take, besides the file; unlimited if the customer may not
    /// have more, since the file is then alone.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self.reserved.is_whole_share() {
            true => usize::MAX,
            false => self.reserved.bytes().saturating_sub(self.bytes.len()),
        }
    }

    /// Reserves twice as much. While it waits, it holds only what the file takes.
    ///
    /// # Errors
    /// [`NoRoom`] if it cannot be had in time.
    pub async fn enlarge(&self) -> Result<(), NoRoom> {
        let twice = self.reserved.bytes().saturating_mul(2);
        self.reserved.shrink(self.bytes.len());
        self.reserved.grow(twice, usize::MAX).await
    }
}

struct Inner {
    fetcher: Fetcher,
    keyring: Arc<dyn Keyring>,
    files: Arc<MediaFiles>,
    memory: MediaMemory,
    limits: MediaLimits,
    budget: Budget,
    running: Mutex<BTreeMap<Alike, Weak<Download>>>,
}

/// A download that several requests may wait for. If the one that runs it goes away, the next takes
/// over. Requests may share an answer if they have the same file, rights and cookies. With others
/// the server may give a different answer.
type Alike = (FileKey, AddressPolicy, Option<String>);

type Download = OnceCell<Result<Sound, FetchError>>;

impl MediaCache {
    /// Opens the cache folder. Blocks; meant for the start of the process.
    ///
    /// - `keyring`: provides the secrets for signing requests.
    ///
    /// # Errors
    /// If the folder cannot be created or read.
    pub fn new(
        fetcher: Fetcher,
        keyring: Arc<dyn Keyring>,
        folder: PathBuf,
        limits: MediaLimits,
    ) -> io::Result<Self> {
        let files = Arc::new(MediaFiles::open(folder, limits.max_bytes)?);
        let running = Mutex::default();
        Ok(Self(Arc::new(Inner {
            fetcher,
            keyring,
            files,
            memory: MediaMemory::default(),
            budget: Budget::new(limits.memory, limits.memory_per_customer),
            limits,
            running,
        })))
    }

    /// The bytes at an absolute address.
    ///
    /// - `jar`: cookies of the call.
    ///
    /// # Errors
    /// [`FetchError`] if the file is unavailable. If the server cannot be reached or fails, an
    /// older copy is used if one exists and the server permits that.
    pub async fn get(
        &self,
        owner: SoundOwner,
        url: &str,
        jar: &CookieJar,
        policy: AddressPolicy,
    ) -> Result<Sound, FetchError> {
        let key = FileKey::new(&owner.author.to_string(), url);
        let parsed = Url::parse(url).ok();
        let cookies = parsed.and_then(|url| jar.header(&url, SystemTime::now()));
        let download = self.0.join((key.clone(), policy, cookies));
        let request = FetchRequest {
            jar: jar.clone(),
            policy,
            kind: BodyKind::Media,
            reserve: Some((self.0.budget.clone(), owner.customer)),
            ..FetchRequest::new(HttpMethod::Get, url)
        };
        download
            .get_or_init(|| self.0.obtain(owner, key, request))
            .await
            .clone()
    }

    /// A file with memory to decode it: its own, or newly reserved. Copies of a sound share it, so
    /// only one of them may be decoded.
    ///
    /// # Errors
    /// [`NoRoom`] if it cannot be had in time.
    pub async fn workspace(&self, owner: SoundOwner, sound: Sound) -> Result<Workspace, NoRoom> {
        let Sound { bytes, reserved } = sound;
        let reserved = match reserved {
            Some(reserved) => reserved,
            None => {
                let memory = memory_for(bytes.len());
                let new = self.0.budget.reserve(owner.customer, memory).await?;
                Arc::new(new)
            }
        };
        Ok(Workspace { bytes, reserved })
    }
}

impl Inner {
    /// The running download of a file, or a new one.
    fn join(&self, key: Alike) -> Arc<Download> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let current = running.get(&key).and_then(Weak::upgrade);
        // A finished one is kept alive only by requests still copying its result.
        if let Some(download) = current.filter(|download| !download.initialized()) {
            return download;
        }
        running.retain(|_, download| download.strong_count() > 0);
        let download = Arc::new(Download::new());
        running.insert(key, Arc::downgrade(&download));
        download
    }

    async fn obtain(
        &self,
        owner: SoundOwner,
        key: FileKey,
        mut request: FetchRequest,
    ) -> Result<Sound, FetchError> {
        let url = request.url.clone();
        let no_room = |NoRoom| FetchError::new(&url, Problem::NoRoom);
        let stored = self.read(owner, &key).await.map_err(no_room)?;
        // Only how fresh the copy is outlives this: whoever waits for memory to fetch must not hold that
        // of the copy, which is read again if it is needed after all.
        let stale = match stored {
            Some((sound, freshness)) if freshness.is_fresh(now_s(), self.limits.default_age) => {
                return Ok(sound);
            }
            Some((_, freshness)) => {
                request.headers = freshness.conditions();
                Some(freshness)
            }
            None => None,
        };
        let answer = match self.keyring.secrets(owner.author).await {
            Ok(secrets) => {
                let event = EventSid::new(Timestamp::from_unix(since_1970()), rand::random());
                request.stamp = Some(Stamp { event, secrets });
                self.fetcher.fetch(request).await
            }
            Err(error) => {
                let reason = error.to_string();
                Err(FetchError::new(&url, Problem::Unsigned { reason }))
            }
        };
        match (answer, stale) {
            (Ok(answer), Some(freshness)) if answer.status == 304 => {
                let again = self.read(owner, &key).await.map_err(no_room)?;
                let Some((sound, _)) = again else {
                    let status = answer.status;
                    return Err(FetchError::new(&url, Problem::Status { status }));
                };
                match freshness.renewed(&answer, now_s()) {
                    Some(freshness) => {
                        self.memory.put(&key, &sound.bytes, &freshness);
                        self.renew(key, freshness).await;
                    }
                    None => self.forget(key).await,
                }
                Ok(sound)
            }
            (Ok(answer), _) if answer.status == 200 => Ok(self.keep(key, answer).await),
            (Ok(answer), stale) => {
                let problem = Problem::Status {
                    status: answer.status,
                };
                let error = FetchError::new(&url, problem);
                self.fall_back(owner, &key, stale, error).await
            }
            (Err(error), stale) => self.fall_back(owner, &key, stale, error).await,
        }
    }

    /// An older copy, if the failure may be temporary and its server permits it.
    async fn fall_back(
        &self,
        owner: SoundOwner,
        key: &FileKey,
        stale: Option<Freshness>,
        error: FetchError,
    ) -> Result<Sound, FetchError> {
        if !stale.is_some_and(|freshness| error.is_temporary() && freshness.may_be_stale()) {
            return Err(error);
        }
        match self.read(owner, key).await {
            Ok(Some((sound, _))) => {
                tracing::warn!(
                    ?key,
                    code = error.code(),
                    "an old copy of a sound file is used"
                );
                Ok(sound)
            }
            Ok(None) | Err(NoRoom) => Err(error),
        }
    }

    async fn read(
        &self,
        owner: SoundOwner,
        key: &FileKey,
    ) -> Result<Option<(Sound, Freshness)>, NoRoom> {
        if let Some((bytes, freshness)) = self.memory.get(key) {
            self.files.note_use(key, &bytes);
            let reserved = None;
            return Ok(Some((Sound { bytes, reserved }, freshness)));
        }
        let Some(length) = self.files.length(key) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let reserved = self
            .budget
            .reserve(owner.customer, memory_for(length))
            .await?;
        let (files, wanted) = (Arc::clone(&self.files), key.clone());
        let read = tokio::task::spawn_blocking(move || files.read(&wanted)).await;
        let Some((bytes, freshness)) = read.ok().flatten() else {
            return Ok(None);
        };
        let bytes = Arc::new(bytes);
        self.memory.put(key, &bytes, &freshness);
        let reserved = Some(Arc::new(reserved));
        Ok(Some((Sound { bytes, reserved }, freshness)))
    }

    /// Stores a response if allowed. A full disk does not keep a call from playing it.
    async fn keep(&self, key: FileKey, answer: Fetched) -> Sound {
        let freshness = Freshness::of(&answer, now_s());
        let reserved = answer.reserved;
        let mut bytes = Vec::from(answer.body);
        bytes.shrink_to_fit();
        let bytes = Arc::new(bytes);
        let (files, stored) = (Arc::clone(&self.files), Arc::clone(&bytes));
        match &freshness {
            Some(freshness) => self.memory.put(&key, &bytes, freshness),
            None => self.memory.remove(&key),
        }
        let work = move || match freshness {
            Some(freshness) => files.write(&key, &stored, &freshness),
            None => {
                files.remove(&key);
                Ok(())
            }
        };
        report(tokio::task::spawn_blocking(work).await);
        Sound { bytes, reserved }
    }

    async fn forget(&self, key: FileKey) {
        self.memory.remove(&key);
        let files = Arc::clone(&self.files);
        let work = move || {
            files.remove(&key);
            Ok(())
        };
        report(tokio::task::spawn_blocking(work).await);
    }

    async fn renew(&self, key: FileKey, freshness: Freshness) {
        let files = Arc::clone(&self.files);
        let work = move || files.write_known(&key, &freshness);
        report(tokio::task::spawn_blocking(work).await);
    }
}

fn report(result: Result<io::Result<()>, tokio::task::JoinError>) {
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "cannot store a sound file"),
        Err(error) => tracing::warn!(%error, "storing a sound file was interrupted"),
    }
}

fn now_s() -> u64 {
    since_1970().as_secs()
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
