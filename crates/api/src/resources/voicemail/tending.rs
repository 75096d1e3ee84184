//! What follows once a message is recorded: it is delivered, reported, transcribed, mailed, and deleted when its time is over.
//!
//! **Invariant: each of these is done once, whichever server does it, and also if one dies in between**: what is to be done is in the
//! row of the message, and a write that does it has no effect the second time.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use ::voicemail::{Event, State, Voicemail, VoicemailBox, mail, report};
use async_trait::async_trait;
use model::email::Senders;
use model::record::Callback;
use model::{EventSid, HttpMethod, Lane, RecordingSid, Timestamp, VoicemailBoxSid};
use store::{DiscardedKind, RecordingLinks, Store, StoreError};
use tracing::warn;

use crate::closing::file_of;
use crate::context::now;
use crate::media;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Writes down what was said in a recording.
#[async_trait]
pub trait Transcriber: Send + Sync {
    /// What was said; `None` if nothing was understood.
    ///
    /// - `file`: the recording
    /// - `language`: a tag such as `de-AT`
    async fn transcribe(&self, file: &Path, language: &str) -> Option<String>;
}

/// Gets what the outside must know at once.
#[async_trait]
pub trait VoicemailNews: Send + Sync {
    /// A callback is stored.
    fn deliver(&self, callback: Callback);
    /// The number of messages that wait has changed.
    async fn waiting_changed(&self, mailbox: &VoicemailBox);
}

/// Tends the messages of all boxes.
#[derive(Clone)]
pub struct VoicemailTender {
    /// The database.
    pub store: Store,
    /// Creates links to recordings.
    pub recording_links: RecordingLinks,
    /// Address of this server for clients, without a trailing slash.
    pub public_base: String,
    /// Whose name e-mails may be sent in; `None` if this server sends none.
    pub mail: Option<Senders>,
}

impl VoicemailTender {
    /// Delivers, mails and clears what is due.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn tend(&self, news: &dyn VoicemailNews) -> Result<(), StoreError> {
        let mut boxes = Boxes::default();
        for message in self.store.voicemails_to_deliver().await? {
            let Some(mailbox) = boxes.find(&self.store, message.mailbox).await? else {
                self.store.delete_voicemail(message.sid).await?;
                continue;
            };
            self.deliver(&mailbox, message, news).await?;
        }
        for message in self.store.voicemails_to_mail(now()).await? {
            let mailbox = boxes.find(&self.store, message.mailbox).await?;
            self.mail(mailbox.as_ref(), &message).await?;
        }
        for message in self.store.voicemails_to_delete().await? {
            delete(&self.store, &message, now()).await?;
            if let Some(mailbox) = boxes.find(&self.store, message.mailbox).await? {
                news.waiting_changed(&mailbox).await;
            }
        }
        for message in self.store.voicemails_to_clear().await? {
            discard(&self.store, message.recording, now()).await?;
            self.store.clear_voicemail(message.sid).await?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        mailbox: &VoicemailBox,
        message: Voicemail,
        news: &dyn VoicemailNews,
    ) -> Result<(), StoreError> {
        let message = message.delivered(&mailbox.settings, now());
        let callback = self.callback(mailbox, &message, Event::Left).await?;
        let store = &self.store;
        if store.deliver_voicemail(&message, callback.as_ref()).await? {
            if let Some(callback) = callback {
                news.deliver(callback);
            }
            news.waiting_changed(mailbox).await;
        }
        Ok(())
    }

    async fn callback(
        &self,
        mailbox: &VoicemailBox,
        message: &Voicemail,
        event: Event,
    ) -> Result<Option<Callback>, StoreError> {
        let settings = &mailbox.settings;
        if settings.callback_url.is_empty() {
            return Ok(None);
        }
        let now = now();
        let lane = Lane::from(message.account);
        Ok(Some(Callback {
            event: EventSid::new(now, rand::random()),
            account: message.account,
            author: settings.author.unwrap_or(message.account),
            lane,
            call: message.call,
            sequence: self.store.next_sequence(lane).await?,
            url: settings.callback_url.clone(),
            method: HttpMethod::Post,
            params: report(mailbox, message, event, &self.sound(message)),
            created: now,
        }))
    }

    /// The address of a message's recording; empty if it has none.
    fn sound(&self, message: &Voicemail) -> String {
        let links = &self.recording_links;
        let base = &self.public_base;
        let link = |sid| media::link_of(links, base, message.account, sid);
        message.recording.map(link).unwrap_or_default()
    }

    /// Puts the e-mail about a message into the outbox.
    async fn mail(
        &self,
        mailbox: Option<&VoicemailBox>,
        message: &Voicemail,
    ) -> Result<(), StoreError> {
        let is_allowed = |mail: &model::email::Email| {
            self.mail
                .as_ref()
                .is_some_and(|senders| senders.allow(&mail.from))
        };
        let composed = mailbox
            .and_then(|mailbox| mail::compose(mailbox, message, &self.sound(message), now()))
            .filter(is_allowed);
        let Some(mail) = composed else {
            return self.store.voicemail_is_mailed(message.sid, None).await;
        };
        let sid = mail.sid;
        match self.store.insert_email(&mail).await {
            // It is there already: a server died before it said so.
            Ok(()) | Err(StoreError::Duplicate(_)) => {
                self.store.voicemail_is_mailed(message.sid, Some(sid)).await
            }
            Err(StoreError::AccountClosed) => {
                self.store.voicemail_is_mailed(message.sid, None).await
            }
            Err(error) => Err(error),
        }
    }

    /// Writes down what was said in messages whose boxes want that.
    ///
    /// - `folder`: where recordings are
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn transcribe(
        &self,
        folder: &Path,
        transcriber: &dyn Transcriber,
        news: &dyn VoicemailNews,
    ) -> Result<(), StoreError> {
        let mut boxes = Boxes::default();
        for mut message in self.store.voicemails_to_transcribe().await? {
            let mailbox = boxes.find(&self.store, message.mailbox).await?;
            let file = message.recording.map(|sid| file_of(folder, sid));
            let Some(file) = file else {
                self.note(None, &message, news).await?;
                continue;
            };
            let is_here = tokio::fs::try_exists(&file).await.unwrap_or(false);
            if !is_here && self.store.is_shared() {
                // It is on another server's disk, which transcribes it.
                continue;
            }
            let language = mailbox.as_ref().map(|mailbox| &mailbox.settings.language);
            let language = language.map_or("en", String::as_str);
            if is_here {
                message.transcript = transcriber.transcribe(&file, language).await;
            }
            self.note(mailbox.as_ref(), &message, news).await?;
        }
        Ok(())
    }

    async fn note(
        &self,
        mailbox: Option<&VoicemailBox>,
        message: &Voicemail,
        news: &dyn VoicemailNews,
    ) -> Result<(), StoreError> {
        let callback = match mailbox {
            Some(mailbox) => self.callback(mailbox, message, Event::Transcribed).await?,
            None => None,
        };
        let text = message.transcript.as_deref();
        let store = &self.store;
        let noted = store.transcribe_voicemail(message.sid, text, callback.as_ref(), now());
        if noted.await?
            && let Some(callback) = callback
        {
            news.deliver(callback);
        }
        Ok(())
    }

    /// Deletes messages that are older than their boxes keep them.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn forget(&self, news: &dyn VoicemailNews) -> Result<(), StoreError> {
        let mut last = None;
        loop {
            let page = self.store.all_voicemail_boxes(last).await?;
            let Some(newest) = page.last() else {
                return Ok(());
            };
            last = Some(newest.sid);
            for mailbox in page {
                let days = u32::try_from(mailbox.settings.retention_days).unwrap_or(0);
                if days == 0 {
                    continue;
                }
                let now = now();
                if delete_before(&self.store, &mailbox, now - DAY * days, now).await? {
                    news.waiting_changed(&mailbox).await;
                }
            }
        }
    }
}

/// Boxes that were read.
#[derive(Default)]
struct Boxes(HashMap<VoicemailBoxSid, Option<VoicemailBox>>);

impl Boxes {
    async fn find(
        &mut self,
        store: &Store,
        sid: VoicemailBoxSid,
    ) -> Result<Option<VoicemailBox>, StoreError> {
        if let Some(found) = self.0.get(&sid) {
            return Ok(found.clone());
        }
        let found = store.voicemail_box(sid).await?;
        self.0.insert(sid, found.clone());
        Ok(found)
    }
}

/// Deletes a message; its recording moves to the bin.
pub(super) async fn delete(
    store: &Store,
    message: &Voicemail,
    now: Timestamp,
) -> Result<(), StoreError> {
    discard(store, message.recording, now).await?;
    store.delete_voicemail(message.sid).await.map(drop)
}

/// Moves a recording to the bin, unless it is gone.
async fn discard(
    store: &Store,
    recording: Option<RecordingSid>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(recording) = recording else {
        return Ok(());
    };
    let sid = recording.to_string();
    let discarded = store.discard(DiscardedKind::Recording, &sid, now).await;
    discarded.map(drop)
}

async fn delete_before(
    store: &Store,
    mailbox: &VoicemailBox,
    before: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut any = false;
    loop {
        let page = store.voicemails_before(mailbox, before).await?;
        if page.is_empty() {
            return Ok(any);
        }
        for message in page {
            delete(store, &message, now).await?;
            any |= matches!(message.state, State::New | State::Heard);
        }
    }
}

/// Deletes a box with its messages, whose recordings move to the bin.
pub(super) async fn delete_box(
    store: &Store,
    mailbox: &VoicemailBox,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Err(error) = delete_before(store, mailbox, Timestamp(i64::MAX), now).await {
        warn!(%error, mailbox.sid = %mailbox.sid, "not all recordings of a deleted voicemail box are in the bin");
        return Err(error);
    }
    store.delete_voicemail_box(mailbox.sid).await
}
