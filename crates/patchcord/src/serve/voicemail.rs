//! Tends voicemail boxes while the server runs: what was recorded is delivered, mailed and written down.
//!
//! **Invariant: a slow recognizer delays no e-mail that does not wait for it**: transcripts are made in a loop of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::voicemail::VoicemailBox;
use api::{Transcriber, VoicemailNews, VoicemailTender};
use async_trait::async_trait;
use audio::Prompt;
use call::Engine;
use model::record::Callback;
use speech::{ListenRequest, Recognizer};
use store::StoreError;
use tokio::sync::{mpsc, watch};
use tracing::warn;
use webhook::Callbacks;

use super::caretaker::waits;

/// How often it looks for messages.
const ROUND: Duration = Duration::from_secs(1);
/// How many rounds pass before it looks for messages that are too old.
const ROUNDS_OF_OLD: u32 = 900;
/// Samples that are handed to the recognizer at once: a tenth of a second.
const BLOCK: usize = 800;

/// Tends the boxes.
pub(super) struct Tender {
    pub(super) tender: VoicemailTender,
    pub(super) engine: Engine,
    pub(super) callbacks: Callbacks,
    /// Folder of recordings.
    pub(super) recordings: PathBuf,
    /// Writes messages down, if the operator has configured one.
    pub(super) recognizer: Option<Arc<dyn Recognizer>>,
}

#[async_trait]
impl VoicemailNews for Tender {
    fn deliver(&self, callback: Callback) {
        self.callbacks.deliver(callback);
    }

    async fn waiting_changed(&self, mailbox: &VoicemailBox) {
        if let Some(client) = &mailbox.client {
            self.engine.messages_waiting(mailbox.account, client).await;
        }
    }
}

impl Tender {
    /// Runs until the server stops.
    pub(super) async fn tend(self, stopped: watch::Receiver<bool>) {
        tokio::join!(self.deliver(stopped.clone()), self.transcribe(stopped));
    }

    async fn deliver(&self, mut stopped: watch::Receiver<bool>) {
        let (mut rounds, mut fails) = (0_u32, false);
        while waits(&mut stopped, ROUND).await {
            let mut tended = self.tender.tend(self).await;
            if rounds.is_multiple_of(ROUNDS_OF_OLD) && tended.is_ok() {
                tended = self.tender.forget(self).await;
            }
            rounds = rounds.wrapping_add(1);
            fails = noted(&tended, fails);
        }
    }

    async fn transcribe(&self, mut stopped: watch::Receiver<bool>) {
        let writer = Writer(self.recognizer.clone());
        let mut fails = false;
        while waits(&mut stopped, ROUND).await {
            let written = self.tender.transcribe(&self.recordings, &writer, self);
            fails = noted(&written.await, fails);
        }
    }
}

/// Logs the first of several failures in a row; returns whether it was one.
fn noted(outcome: &Result<(), StoreError>, failed_before: bool) -> bool {
    if let Err(error) = outcome
        && !failed_before
    {
        warn!(%error, "voicemail could not be delivered; the server retries every second");
    }
    outcome.is_err()
}

/// Writes down what was said in a file.
struct Writer(Option<Arc<dyn Recognizer>>);

#[async_trait]
impl Transcriber for Writer {
    async fn transcribe(&self, file: &Path, language: &str) -> Option<String> {
        let recognizer = self.0.as_ref()?;
        let bytes = tokio::fs::read(file).await;
        let bytes = bytes
            .inspect_err(|error| warn!(%error, "a voicemail could not be read to be written down"))
            .ok()?;
        let decoded = tokio::task::spawn_blocking(move || Prompt::decode(&bytes)).await;
        let samples = decoded
            .ok()?
            .inspect_err(|error| warn!(%error, "a voicemail could not be decoded"))
            .ok()?;
        let (sender, audio) = mpsc::channel(4);
        let request = ListenRequest {
            language: language.to_owned(),
            hints: Vec::new(),
            // The whole message, with its pauses.
            end_silence: None,
        };
        let feed = async move {
            for block in samples.chunks(BLOCK) {
                if sender.send(block.to_vec()).await.is_err() {
                    break;
                }
            }
        };
        let listen = recognizer.listen(request, audio, Box::new(|_| {}));
        let (understood, ()) = tokio::join!(listen, feed);
        let understood = understood
            .inspect_err(|error| warn!(%error, "a voicemail was not understood"))
            .ok()?;
        let text = understood.text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}
