//! Decodes sound files: one that many calls play at a time is decoded once.
//!
//! **Invariant: samples belong to exactly these bytes**; a changed file has different bytes, and is
//! decoded again. A file has one decoding at a time, which continues if all calls that wait for it
//! end: a thread that decodes cannot be stopped, and memory is reserved for one. Samples are shared
//! while a call has them. Left to others: decoding, and memory for it.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

/// Maximum samples of all files that are kept although no call may have them: 16 MiB.
const MAX_KEPT: usize = 8 << 20;

/// What is wrong with a file that makes the decoder panic.
pub(crate) const UNDECODABLE: &str = "the sound file could not be decoded";

/// Samples of a file, or why there are none.
pub(crate) type Outcome = Result<Arc<[i16]>, String>;

/// Receives the outcome once there is one; none if decoding panics.
type Decoding = watch::Receiver<Option<Outcome>>;

/// Clones share the samples.
#[derive(Clone, Default)]
pub(crate) struct Prompts(Arc<Mutex<VecDeque<Prompt>>>);

/// A file; the most recently used is the last.
struct Prompt {
    bytes: Weak<Vec<u8>>,
    samples: Samples,
}

enum Samples {
    /// Being decoded, or kept.
    Kept(Decoding),
    /// Shared while a call has them. Their memory is freed when the next file is decoded.
    InUse(Weak<[i16]>),
}

impl Prompts {
    /// The samples of a file. The first caller has it decoded, and the others wait for that.
    pub(crate) async fn get<F>(&self, bytes: &Arc<Vec<u8>>, decode: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut decoding = self.join(bytes, decode);
        let outcome = decoding.wait_for(Option::is_some).await;
        let outcome = outcome.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(UNDECODABLE.to_owned()))
    }

    fn join<F>(&self, bytes: &Arc<Vec<u8>>, decode: impl FnOnce() -> F) -> Decoding
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut known = self.known();
        if let Some(at) = known.iter().position(|prompt| prompt.is_of(bytes))
            && let Some(prompt) = known.remove(at)
            && let Some(decoding) = prompt.decoding()
        {
            known.push_back(prompt);
            return decoding;
        }
        known.retain(Prompt::is_useful);
        let decoding = self.start(decode());
        known.push_back(Prompt {
            bytes: Arc::downgrade(bytes),
            samples: Samples::Kept(decoding.clone()),
        });
        decoding
    }

    fn start(&self, work: impl Future<Output = Outcome> + Send + 'static) -> Decoding {
        let (done, decoding) = watch::channel(None);
        let prompts = self.clone();
        tokio::spawn(async move {
            let outcome = work.await;
            done.send_replace(Some(outcome));
            trim(&mut prompts.known());
        });
        decoding
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Prompt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the samples used last, and of the others those that a call has.
fn trim(known: &mut VecDeque<Prompt>) {
    let mut total = 0;
    for prompt in known.iter_mut().rev() {
        let Some(samples) = prompt.kept() else {
            continue;
        };
        if total + samples.len() <= MAX_KEPT {
            total += samples.len();
        } else {
            prompt.samples = Samples::InUse(Arc::downgrade(&samples));
        }
    }
}

impl Prompt {
    fn is_of(&self, bytes: &Arc<Vec<u8>>) -> bool {
        std::ptr::eq(self.bytes.as_ptr(), Arc::as_ptr(bytes))
    }

    /// Not if the file or its samples are gone, or if decoding has failed.
    fn is_useful(&self) -> bool {
        self.bytes.strong_count() > 0 && self.decoding().is_some()
    }

    fn decoding(&self) -> Option<Decoding> {
        match &self.samples {
            Samples::Kept(decoding) => {
                let has_failed = match &*decoding.borrow() {
                    Some(outcome) => outcome.is_err(),
                    None => decoding.has_changed().is_err(),
                };
                (!has_failed).then(|| decoding.clone())
            }
            Samples::InUse(samples) => {
                let samples = samples.upgrade()?;
                Some(watch::channel(Some(Ok(samples))).1)
            }
        }
    }

    /// The samples that this keeps.
    fn kept(&self) -> Option<Arc<[i16]>> {
        match &self.samples {
            Samples::Kept(decoding) => decoding.borrow().clone()?.ok(),
            Samples::InUse(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    /// A decoder that counts its runs.
    #[derive(Clone, Default)]
    struct Decoder(Arc<AtomicUsize>);

    impl Decoder {
        /// Takes a moment; fails if it is to make no samples, and panics without a number.
        async fn run(self, samples: Option<usize>) -> Outcome {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            match samples.expect("a decoder that panics") {
                0 => Err("broken".to_owned()),
                samples => Ok(vec![7; samples].into()),
            }
        }

        fn runs(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }

        /// The number of samples in the file.
        async fn get(
            &self,
            prompts: &Prompts,
            file: &Arc<Vec<u8>>,
            samples: usize,
        ) -> Result<Arc<[i16]>, String> {
            prompts.get(file, || self.clone().run(Some(samples))).await
        }
    }

    fn file() -> Arc<Vec<u8>> {
        Arc::new(vec![1])
    }

    #[tokio::test]
    async fn a_file_is_decoded_once_even_if_the_first_call_ends() {
        let (prompts, decoder, file) = (Prompts::default(), Decoder::default(), file());
        let first = decoder.get(&prompts, &file, 10).now_or_never();
        assert!(first.is_none(), "it ends before the decoding does");
        let others = join_all((0..50).map(|_| decoder.get(&prompts, &file, 10))).await;
        let shared = others[0].clone().unwrap();
        for samples in others {
            assert!(Arc::ptr_eq(&samples.unwrap(), &shared));
        }
        assert_eq!(decoder.runs(), 1);
        // The same text is not the same file.
        let other = Arc::new(file.to_vec());
        assert_eq!(decoder.get(&prompts, &other, 20).await.unwrap().len(), 20);
        drop(other);
        let third = Arc::new(file.to_vec());
        decoder.get(&prompts, &third, 30).await.unwrap();
        assert_eq!(decoder.get(&prompts, &file, 10).await.unwrap().len(), 10);
        assert_eq!(decoder.runs(), 3);
        assert_eq!(prompts.known().len(), 2, "one file is gone");
    }

    #[tokio::test]
    async fn a_failure_is_shared_but_not_remembered() {
        let (prompts, decoder, file) = (Prompts::default(), Decoder::default(), file());
        let (one, other) = tokio::join!(
            decoder.get(&prompts, &file, 0),
            decoder.get(&prompts, &file, 0)
        );
        assert_eq!((one.unwrap_err(), decoder.runs()), ("broken".to_owned(), 1));
        assert!(other.is_err());
        let panics = prompts.get(&file, || decoder.clone().run(None)).await;
        assert_eq!(
            (panics.unwrap_err().as_str(), decoder.runs()),
            (UNDECODABLE, 2)
        );
        assert!(decoder.get(&prompts, &file, 10).await.is_ok());
    }

    #[tokio::test]
    async fn samples_are_kept_if_they_are_few_and_shared_while_in_use() {
        let (prompts, decoder) = (Prompts::default(), Decoder::default());
        let (short, long, longer) = (file(), file(), file());
        decoder.get(&prompts, &short, 10).await.unwrap();
        decoder.get(&prompts, &long, MAX_KEPT - 10).await.unwrap();
        decoder.get(&prompts, &short, 10).await.unwrap();
        decoder.get(&prompts, &long, MAX_KEPT - 10).await.unwrap();
        assert_eq!(decoder.runs(), 2, "both are kept");
        let played = decoder.get(&prompts, &longer, MAX_KEPT + 1).await.unwrap();
        let again = decoder.get(&prompts, &longer, MAX_KEPT + 1).await.unwrap();
        assert!(Arc::ptr_eq(&played, &again));
        assert_eq!(decoder.runs(), 3);
        let gone = Arc::downgrade(&played);
        drop((played, again));
        assert!(gone.upgrade().is_none(), "no call has them");
        decoder.get(&prompts, &longer, 20).await.unwrap();
        assert_eq!(decoder.runs(), 4);
        // The one used least recently makes room.
        decoder.get(&prompts, &short, 10).await.unwrap();
        assert_eq!(decoder.runs(), 4);
        decoder.get(&prompts, &long, MAX_KEPT - 10).await.unwrap();
        assert_eq!(decoder.runs(), 5);
    }
}
