//! Passwords, digests and API tokens.
//!
//! **Invariant: no password is stored or cached in a recoverable form.**

use std::collections::HashMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use md5::Md5;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{Result, StoreError};

/// How long a verified password needs no new verification.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Maximum computations queued for the thread; further callers wait before they are queued.
const QUEUE: usize = 64;
/// Blocks of 1 KiB reserved for a computation, of which only those that are used take memory. Above 32 MiB, glibc
/// always gives a freed buffer back to the system; smaller ones it may keep, for each allocation anew.
const RESERVED: usize = 33 * 1024;
/// New passwords take turns before they are queued, so that however many are set at once, a login waits for one.
static NEW_PASSWORDS: Semaphore = Semaphore::const_new(1);
/// Hash of an unknown password, which is verified if there is no account, so that an answer
/// takes as long for a login that does not exist as for one that does.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// MD5(login:realm:password) in lower-case hex (RFC 2617 §3.2.2.2).
#[must_use]
pub fn ha1_md5(login: &str, realm: &str, password: &str) -> String {
    hex(&Md5::digest(format!("{login}:{realm}:{password}")))
}

/// SHA-256(login:realm:password) in lower-case hex (RFC 7616 §3.4.2).
#[must_use]
pub fn ha1_sha256(login: &str, realm: &str, password: &str) -> String {
    hex(&Sha256::digest(format!("{login}:{realm}:{password}")))
}

/// A new secret of 32 hexadecimal digits.
#[must_use]
pub fn random_token() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// Argon2id hash of a password in PHC form. Takes tens of milliseconds on another thread.
///
/// # Errors
/// [`StoreError::Passwords`] if the computation failed.
pub async fn hash_password(password: String) -> Result<String> {
    let _turn = NEW_PASSWORDS.acquire().await.map_err(|_| FAILED)?;
    let salt = SaltString::generate(&mut OsRng);
    let argon = Argon2::default();
    let params = argon.params().clone();
    let text = ParamsString::try_from(&params).expect("the default parameters can be written");
    let output = compute(password, salt.as_salt(), argon).await?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: text,
        salt: Some(salt.as_salt()),
        hash: Some(output.ok_or(FAILED)?),
    };
    Ok(hash.to_string())
}

/// Whether `hash` in PHC form was made from a password.
async fn matches(hash: &str, password: String) -> Result<bool> {
    let Ok(hash) = PasswordHash::new(hash) else {
        return Ok(false);
    };
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
        return Ok(false);
    };
    let algorithm = Algorithm::try_from(hash.algorithm).ok();
    let version = hash.version.unwrap_or(Version::V0x13.into());
    let version = Version::try_from(version).ok();
    let (Some(algorithm), Some(version), Ok(params)) =
        (algorithm, version, Params::try_from(&hash))
    else {
        return Ok(false);
    };
    let output = compute(password, salt, Argon2::new(algorithm, version, params)).await?;
    // Two outputs are compared in constant time.
    Ok(output == Some(expected))
}

/// One computation, which may use the buffer of all.
struct Job {
    work: Box<Work>,
    reply: oneshot::Sender<Option<Output>>,
}

type Work = dyn FnOnce(&mut Vec<Block>) -> Option<Output> + Send;

/// What went wrong is in the log.
const FAILED: StoreError = StoreError::Passwords("the computation failed");

/// The thread that computes hashes. **One computation at a time and always in the same buffer**, so that guesses cost
/// neither more than one core nor more than 19 MiB of memory, however many come. One that panics fails alone.
static HASHER: Hasher = Hasher(Mutex::new(None));

/// The queue of the thread, if it was started.
struct Hasher(Mutex<Option<mpsc::Sender<Job>>>);

impl Hasher {
    async fn compute(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Option<Output> + Send + 'static,
    ) -> Result<Option<Output>> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(work);
        let sent = self.queue()?.send(Job { work, reply }).await;
        sent.map_err(|_| FAILED)?;
        answer.await.map_err(|_| FAILED)
    }

    /// Starts the thread if it does not run.
    fn queue(&self) -> Result<mpsc::Sender<Job>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = queue.as_ref().filter(|jobs| !jobs.is_closed()) {
            return Ok(jobs.clone());
        }
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let started = std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || run(waiting));
        if let Err(error) = started {
            tracing::error!(%error, "the thread that checks passwords cannot be started");
            return Err(FAILED);
        }
        Ok(queue.insert(jobs).clone())
    }
}

fn run(mut waiting: mpsc::Receiver<Job>) {
    let mut memory = Vec::new();
    while let Some(Job { work, reply }) = waiting.blocking_recv() {
        if !reply.is_closed() {
            memory.reserve(RESERVED);
            match catch_unwind(AssertUnwindSafe(|| work(&mut memory))) {
                Ok(output) => drop(reply.send(output)),
                Err(_) => tracing::error!("the computation of a password hash panicked"),
            }
        }
        if waiting.is_empty() {
            memory = Vec::new();
        }
    }
}

/// `None` if these parameters cannot be used.
async fn compute(
    password: String,
    salt: Salt<'_>,
    argon: Argon2<'static>,
) -> Result<Option<Output>> {
    let mut bytes = [0; Salt::MAX_LENGTH];
    let Ok(salt) = salt.decode_b64(&mut bytes) else {
        return Ok(None);
    };
    let salt = salt.to_vec();
    HASHER
        .compute(move |memory| hashed(&argon, &password, &salt, memory))
        .await
}

fn hashed(argon: &Argon2, password: &str, salt: &[u8], memory: &mut Vec<Block>) -> Option<Output> {
    let params = argon.params();
    memory.resize(params.block_count(), Block::default());
    let mut bytes = [0; Output::MAX_LENGTH];
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let bytes = bytes.get_mut(..length)?;
    argon
        .hash_password_into_with_memory(password.as_bytes(), salt, bytes, memory)
        .ok()?;
    Output::new(bytes).ok()
}

/// Verifies passwords and remembers the result for a minute.
pub(crate) struct Verifier {
    salt: [u8; 16],
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self {
            salt: rand::random(),
            remembered: Mutex::new(HashMap::new()),
        }
    }

    /// Whether `password` was verified for `hash` in the last minute.
    pub(crate) fn remembers(&self, hash: &str, password: &str) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(|e| e.into_inner());
        remembered
            .get(&self.digest(&[hash, password]))
            .is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    /// Whether `password` is the one that `hash` was made from.
    pub(crate) async fn verify(&self, hash: &str, password: &str) -> Result<bool> {
        if self.remembers(hash, password) {
            return Ok(true);
        }
        let good = matches(hash, password.to_owned()).await?;
        if good {
            self.remember(self.digest(&[hash, password]));
        }
        Ok(good)
    }

    /// Takes as long as a password that is wrong.
    pub(crate) async fn refuse(&self, password: &str) -> Result<()> {
        matches(DUMMY, password.to_owned()).await.map(drop)
    }

    /// Compares two secrets in constant time.
    pub(crate) fn same(&self, one: &str, other: &str) -> bool {
        self.digest(&[one]) == self.digest(&[other])
    }

    fn digest(&self, parts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }

    fn remember(&self, key: [u8; 32]) {
        let mut remembered = self.remembered.lock().unwrap_or_else(|e| e.into_inner());
        remembered.retain(|_, since| since.elapsed() < REMEMBERED);
        remembered.insert(key, Instant::now());
    }
}

/// Whether an imported token was made from a password: its MD5.
pub(crate) fn is_imported_password(token: &str, password: &str) -> bool {
    hex(&Md5::digest(password)).eq_ignore_ascii_case(token)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_the_examples_of_the_rfcs() {
        // RFC 2617 §3.5 and RFC 7616 §3.9.1.
        assert_eq!(
            ha1_md5("Mufasa", "testrealm@host.com", "Circle Of Life"),
            "939e7578ed9e3c518a452acee763bce9"
        );
        assert_eq!(
            ha1_sha256("Mufasa", "http-auth@example.org", "Circle of Life"),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }

    #[tokio::test]
    async fn verifies_and_remembers_success_only() {
        let verifier = Verifier::new();
        let hash = hash_password("RestComm12".to_owned()).await.unwrap();
        assert!(!verifier.verify(&hash, "RestComm13").await.unwrap());
        assert!(verifier.remembered.lock().unwrap().is_empty());
        assert!(verifier.verify(&hash, "RestComm12").await.unwrap());
        let start = Instant::now();
        assert!(verifier.verify(&hash, "RestComm12").await.unwrap());
        assert!(start.elapsed() < Duration::from_millis(5), "was remembered");
        assert!(!verifier.verify("no hash", "RestComm12").await.unwrap());
    }

    #[tokio::test]
    async fn hashes_of_the_usual_library_are_understood_and_the_reverse() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

        let salt = SaltString::generate(&mut OsRng);
        let small = Params::new(64, 1, 1, Some(24)).unwrap();
        for argon in [
            Argon2::default(),
            Argon2::new(Algorithm::Argon2i, Version::V0x10, small),
        ] {
            let hash = argon
                .hash_password(b"RestComm12", &salt)
                .unwrap()
                .to_string();
            let is = async |password: &str| matches(&hash, password.to_owned()).await.unwrap();
            assert!(is("RestComm12").await && !is("RestComm13").await, "{hash}");
        }
        let hash = hash_password("RestComm12".to_owned()).await.unwrap();
        let hash = PasswordHash::new(&hash).unwrap();
        let verified = Argon2::default().verify_password(b"RestComm12", &hash);
        assert!(verified.is_ok());
    }

    #[tokio::test]
    async fn a_panic_fails_one_computation_and_a_dead_thread_is_replaced() {
        let hasher = Hasher(Mutex::new(None));
        let output = Output::new(&[7; 16]).ok();
        let panicked = hasher.compute(|_| panic!("as a test")).await;
        assert!(matches!(panicked, Err(StoreError::Passwords(_))));
        assert_eq!(hasher.compute(move |_| output).await.unwrap(), output);
        let (dead, _) = mpsc::channel(1);
        let hasher = Hasher(Mutex::new(Some(dead)));
        assert_eq!(hasher.compute(move |_| output).await.unwrap(), output);
    }

    #[tokio::test]
    async fn a_login_that_does_not_exist_costs_the_same_computation() {
        let hash = hash_password("RestComm12".to_owned()).await.unwrap();
        let (dummy, usual) = (PasswordHash::new(DUMMY), PasswordHash::new(&hash));
        let (dummy, usual) = (dummy.unwrap(), usual.unwrap());
        assert_eq!(dummy.params, usual.params);
        assert_eq!(dummy.algorithm, usual.algorithm);
        let start = Instant::now();
        Verifier::new().refuse("RestComm12").await.unwrap();
        assert!(start.elapsed() > Duration::from_millis(1));
    }

    /// One after the other, as clients send them, with other work of the process in between.
    #[tokio::test]
    async fn computations_give_their_memory_back() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kib = line.unwrap().split_whitespace().next().unwrap();
            kib.parse::<u64>().unwrap()
        };
        let before = resident();
        hash_password("RestComm12".to_owned()).await.unwrap();
        // The thread frees its buffer just after it has answered.
        let freed = async |before: u64| {
            for _ in 0..100 {
                if resident() < before + 5_000 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("{} KiB now, {before} KiB before", resident());
        };
        freed(before).await;
        for _ in 0..20 {
            hash_password("RestComm12".to_owned()).await.unwrap();
        }
        freed(before).await;
    }

    #[test]
    fn imported_tokens_are_the_md5_of_the_password() {
        let token = "77f8c12cc7b8f8423e5c38b035249166";
        assert!(is_imported_password(token, "RestComm"));
        assert!(!is_imported_password(token, "Restcomm"));
    }
}
