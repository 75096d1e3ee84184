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
use model::record::{Callback, Recording};
use model::{
    AccountSid, CallSid, EventSid, HttpMethod, Lane, RecordingSid, Timestamp, VoicemailBoxSid,
    VoicemailSid,
};
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
        let store = &self.store;
        let mut boxes = Boxes::default();
        for message in store.voicemails_to_deliver().await? {
            let sid = message.sid;
            noted(sid, self.deliver(&mut boxes, message, news).await)?;
        }
        for message in store.voicemails_to_mail(now()).await? {
            noted(message.sid, self.mail(&mut boxes, &message).await)?;
        }
        for message in store.voicemails_to_delete().await? {
            noted(message.sid, delete(store, &message, now()).await)?;
            if let Ok(Some(mailbox)) = boxes.find(store, message.mailbox).await {
                news.waiting_changed(&mailbox).await;
            }
        }
        for message in store.voicemails_to_clear().await? {
            noted(message.sid, clear(store, &message).await)?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        boxes: &mut Boxes,
        message: Voicemail,
        news: &dyn VoicemailNews,
    ) -> Result<(), StoreError> {
        let Some(mailbox) = boxes.find(&self.store, message.mailbox).await? else {
            return delete(&self.store, &message, now()).await;
        };
        let mailbox = &mailbox;
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
    async fn mail(&self, boxes: &mut Boxes, message: &Voicemail) -> Result<(), StoreError> {
        let mailbox = boxes.find(&self.store, message.mailbox).await?;
        let is_allowed = |mail: &model::email::Email| {
            self.mail
                .as_ref()
                .is_some_and(|senders| senders.allow(&mail.from))
        };
        let composed = mailbox
            .as_ref()
            .and_then(|mailbox| mail::compose(mailbox, message, &self.sound(message), now()))
            .filter(is_allowed);
        let Some(mut mail) = composed else {
            return self.store.voicemail_is_mailed(message.sid, None).await;
        };
        if let Some(sid) = message.recording {
            // That of a caller who belongs to another account is that account's: it is linked, not attached.
            let found = self.store.recording(sid).await?;
            let is_own = found.is_some_and(|recording| recording.account == message.account);
            mail.recordings.retain(|_| is_own);
        }
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
            let recording = match message.recording {
                Some(sid) => self.store.recording(sid).await?,
                None => None,
            };
            let of = (message.account, message.call);
            let own = recording.filter(|recording| belongs(recording, of));
            let file = own.map(|recording| file_of(folder, recording.sid));
            let is_here = match &file {
                Some(file) => tokio::fs::try_exists(file).await.unwrap_or(false),
                None => false,
            };
            let is_recent = now().since(message.created) < DAY;
            if !is_here && file.is_some() && self.store.is_shared() && is_recent {
                // It is on another server's disk, which transcribes it.
                continue;
            }
            let language = mailbox.as_ref().map(|mailbox| &mailbox.settings.language);
            let language = language.map_or("en", String::as_str);
            if let Some(file) = file.filter(|_| is_here) {
                message.transcript = transcriber.transcribe(&file, language).await;
            }
            let told = self.note(mailbox.as_ref(), &message, news).await;
            noted(message.sid, told)?;
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
                break;
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
        self.store.keep_unmailed_voicemails().await?;
        // Those that were left while their box was deleted.
        for message in self.store.stray_voicemails().await? {
            noted(message.sid, delete(&self.store, &message, now()).await)?;
        }
        Ok(())
    }
}

/// One message that cannot be dealt with must not hold up the others; a database that is not there holds up all.
fn noted(sid: VoicemailSid, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
    match outcome {
        Err(error @ (StoreError::Unavailable(_) | StoreError::Closed)) => Err(error),
        Err(error) => {
            warn!(%error, voicemail.sid = %sid, "a voicemail could not be dealt with; this is tried again");
            Ok(())
        }
        Ok(()) => Ok(()),
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
    discard(
        store,
        (message.account, message.call),
        message.recording,
        now,
    )
    .await?;
    store.delete_voicemail(message.sid).await.map(drop)
}

/// Whether a recording is one of the account, or of the call, that a message says.
fn belongs(recording: &Recording, (account, call): (AccountSid, Option<CallSid>)) -> bool {
    recording.account == account || (call.is_some() && recording.call == call)
}

/// The recording of a message that is not delivered goes.
async fn clear(store: &Store, message: &Voicemail) -> Result<(), StoreError> {
    discard(
        store,
        (message.account, message.call),
        message.recording,
        now(),
    )
    .await?;
    store.clear_voicemail(message.sid).await
}

/// Moves a recording of an account, or of a call to it, to the bin, unless it is gone.
pub(super) async fn discard(
    store: &Store,
    of: (AccountSid, Option<CallSid>),
    recording: Option<RecordingSid>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let found = match recording {
        Some(sid) => store.recording(sid).await?,
        None => None,
    };
    let Some(own) = found.filter(|recording| belongs(recording, of)) else {
        return Ok(());
    };
    let sid = own.sid.to_string();
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
    // First, so that no further message gets into it. What is left over if a server dies is found as strays are.
    store.delete_voicemail_box(mailbox.sid).await?;
    loop {
        let page = store.voicemails_of(mailbox).await?;
        if page.is_empty() {
            return Ok(());
        }
        for message in page {
            delete(store, &message, now).await?;
        }
    }
}
