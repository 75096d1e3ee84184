//! Outgoing e-mail: its outbox in the store, the recordings that are attached, and the server that carries it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::mail::{
    Attachment, AttachmentError, Carrier, Catcher, Claimed, Outbox, OutboxError, PlanConfig, Post,
    Recordings, Security, SmtpSettings,
};
use anyhow::{Context as _, Result};
use api::Mp3Encoder;
use async_trait::async_trait;
use model::email::{Email, Senders};
use model::news::{Limits, News};
use model::record::Notification;
use model::{EmailStatus, NotificationSid, RecordingSid, ServerSid, Timestamp};
use store::{ClaimedEmail, EmailClaim, Store, StoreError};
use tracing::warn;

use crate::config::{Config, MailSecurity};

/// How long an attempt counts as in progress; longer than any takes.
const LEASE: Duration = Duration::from_secs(600);
/// File name extension and media type of an attached recording.
const WAV: (&str, &str) = ("wav", "audio/wav");
const MP3: (&str, &str) = ("mp3", "audio/mpeg");
/// How often an account is notified of failed mails.
const NOTIFICATIONS: Limits = Limits {
    quiet: Duration::from_secs(60),
    of_account: 20,
    of_all: 1_000,
};

/// What carries the mails: the mail server, the catcher of a developer, or nothing.
///
/// # Errors
/// If the certificate cannot be read, or TLS cannot be set up.
pub(super) fn carrier(config: &Config) -> Result<Carrier> {
    let settings = &config.mail;
    let Some(server) = &settings.server else {
        return Ok(if config.server.dev {
            Carrier::Catcher(Arc::new(Catcher::new()))
        } else {
            Carrier::Missing
        });
    };
    let certificate = settings.ca.as_ref().map(|path| {
        let shown = path.display();
        std::fs::read(path).with_context(|| format!("cannot read `{shown}` (`mail.ca`)"))
    });
    let port = settings.port.map(std::num::NonZeroU16::get);
    let security = match (settings.security, port) {
        (Some(MailSecurity::Tls), _) | (None, Some(465)) => Security::Tls,
        (Some(MailSecurity::StartTls) | None, _) => Security::StartTls,
        (Some(MailSecurity::Opportunistic), _) => Security::Opportunistic,
        (Some(MailSecurity::Plain), _) => Security::Plain,
    };
    let usual = if security == Security::Tls { 465 } else { 587 };
    let credentials = settings.username.as_ref().zip(settings.password.as_ref());
    let smtp = SmtpSettings {
        host: server.as_str().to_owned(),
        port: port.unwrap_or(usual),
        security,
        credentials: credentials
            .map(|(user, password)| (user.as_str().to_owned(), password.expose().to_owned())),
        certificate: certificate.transpose()?,
        hello: config.server.domain.as_str().to_owned(),
        connections: settings.max_connections.get() as usize,
    };
    Ok(Carrier::smtp(smtp)?)
}

/// In whose name accounts may send.
pub(super) fn senders(config: &Config) -> Senders {
    let entries = config.mail.senders.iter();
    let entries: Vec<String> = entries.map(|entry| entry.as_str().to_owned()).collect();
    Senders::new(&entries)
}

/// The delivery of mails, not yet running. Mails that an earlier run of this server was sending are due again.
///
/// # Errors
/// As reported by the database.
pub(super) async fn post(
    config: &Config,
    store: &Store,
    server: ServerSid,
    (carrier, mp3): (Carrier, Option<Mp3Encoder>),
) -> Result<Post> {
    store.release_emails(server, now()).await?;
    let settings = &config.mail;
    let seconds = |seconds: std::num::NonZeroU32| Duration::from_secs(seconds.get().into());
    let plan = PlanConfig {
        first_wait: seconds(settings.first_wait_s),
        longest_wait: seconds(settings.longest_wait_s),
        max_age: seconds(settings.max_age_s),
        at_once: settings.max_connections.get() as usize,
    };
    let outbox = StoreOutbox {
        store: store.clone(),
        server,
        longest_wait: plan.longest_wait.max(plan.first_wait),
        notified: Mutex::new(News::new(NOTIFICATIONS)),
    };
    let recordings = Files {
        store: store.clone(),
        folder: super::files::recordings(&config.server.data),
        max_bytes: settings.max_attachment_bytes.get(),
        mp3: mp3.filter(|_| settings.mp3),
    };
    let bounces_to = settings.bounces_to.as_ref();
    let addresses = (
        config.server.domain.as_str().to_owned(),
        bounces_to.map(|address| address.as_str().to_owned()),
    );
    Ok(Post::new(
        carrier,
        Arc::new(outbox),
        Arc::new(recordings),
        senders(config),
        addresses,
        plan,
    ))
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(Timestamp(0), Timestamp::from_unix)
}

/// The outbox in the store.
struct StoreOutbox {
    store: Store,
    server: ServerSid,
    longest_wait: Duration,
    notified: Mutex<News>,
}

impl StoreOutbox {
    /// The notification of the account that a mail failed, if it is news.
    fn notification(&self, email: &Email, code: u16, reason: &str) -> Option<Notification> {
        let text = format!("the e-mail {} to {} failed: {reason}", email.sid, email.to);
        let mut news = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        let sid = NotificationSid::new(email.updated, rand::random());
        news.is_news(email.account, code, &text, Instant::now())
            .then(|| Notification {
                lane: email.lane(),
                call: email.call,
                ..Notification::of_account(sid, email.account, code, text, email.updated)
            })
    }
}

/// The stored form of a mail after an attempt.
fn after(
    mail: &Claimed,
    status: EmailStatus,
    why: Option<(u16, &str)>,
    now: Timestamp,
) -> ClaimedEmail {
    ClaimedEmail {
        email: Email {
            status,
            error_code: why.map(|(code, _)| code),
            reason: why.map(|(_, reason)| reason.to_owned()),
            updated: now,
            sent: (status == EmailStatus::Sent).then_some(now),
            ..mail.email.clone()
        },
        attempt: mail.attempt.into(),
    }
}

#[async_trait]
impl Outbox for StoreOutbox {
    async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, OutboxError> {
        let claim = EmailClaim {
            holder: self.server,
            lease: LEASE,
            longest_wait: self.longest_wait,
            limit,
        };
        let now = now();
        let mut claimed = Vec::new();
        for found in self.store.claim_emails(&claim, now).await.map_err(failed)? {
            // A mail whose account cannot be read is claimed again after the lease.
            let Ok(account) = self.store.account(found.email.account).await else {
                continue;
            };
            let age = now.0.saturating_sub(found.email.created.0);
            claimed.push(Claimed {
                age: Duration::from_micros(u64::try_from(age).unwrap_or(0)),
                attempt: u32::try_from(found.attempt).unwrap_or(u32::MAX),
                is_test: account.is_some_and(|account| account.is_test),
                email: found.email,
            });
        }
        Ok(claimed)
    }

    async fn sent(&self, mail: &Claimed) -> Result<(), OutboxError> {
        let ended = after(mail, EmailStatus::Sent, None, now());
        let first = self.store.end_email(&ended, None).await.map_err(failed)?;
        if !first {
            warn!(email.sid = %mail.email.sid, "an e-mail took so long that it may have been sent twice");
        }
        Ok(())
    }

    async fn retry(
        &self,
        mail: &Claimed,
        wait: Duration,
        why: (u16, &str),
    ) -> Result<(), OutboxError> {
        let now = now();
        let later = after(mail, EmailStatus::Queued, Some(why), now);
        let stored = self.store.retry_email(&later, now + wait).await;
        stored.map_err(failed)
    }

    async fn failed(&self, mail: &Claimed, (code, reason): (u16, &str)) -> Result<(), OutboxError> {
        let ended = after(mail, EmailStatus::Failed, Some((code, reason)), now());
        let notification = self.notification(&ended.email, code, reason);
        let stored = self.store.end_email(&ended, notification).await;
        stored.map(drop).map_err(failed)
    }
}

fn failed(error: StoreError) -> OutboxError {
    OutboxError(error.to_string())
}

/// The files of recordings.
struct Files {
    store: Store,
    folder: PathBuf,
    max_bytes: u64,
    /// Makes MP3 files, if they are attached.
    mp3: Option<Mp3Encoder>,
}

#[async_trait]
impl Recordings for Files {
    async fn attachment(
        &self,
        mail: &Email,
        recording: RecordingSid,
    ) -> Result<Attachment, AttachmentError> {
        let later = |reason: String| AttachmentError::Later(format!("{recording}: {reason}"));
        let never = |reason: String| AttachmentError::Never(format!("{recording}: {reason}"));
        let found = self.store.shown_recording(recording).await;
        let found = found.map_err(|error| later(error.to_string()))?;
        let found = found.filter(|found| found.recording.account == mail.account);
        let Some(found) = found else {
            return Err(never(
                "there is no such recording in the account".to_owned(),
            ));
        };
        match found.status {
            model::RecordingStatus::Completed => {}
            model::RecordingStatus::Failed => {
                return Err(never("the recording failed".to_owned()));
            }
            model::RecordingStatus::Absent => {
                return Err(never("the recording's file was removed".to_owned()));
            }
            model::RecordingStatus::InProgress
            | model::RecordingStatus::Paused
            | model::RecordingStatus::Stopped => {
                return Err(later("the recording is not complete yet".to_owned()));
            }
        }
        let wav = self.folder.join(format!("{recording}.wav"));
        let (path, (ending, kind)) = match &self.mp3 {
            None => (wav, WAV),
            Some(encoder) => match encoder.file(&self.folder, recording).await {
                Ok(mp3) => (mp3, MP3),
                Err(error) => {
                    warn!(%error, recording.sid = %recording, "a recording is attached as WAV");
                    (wav, WAV)
                }
            },
        };
        let meta = tokio::fs::metadata(&path).await;
        let meta = meta.map_err(|error| later(format!("its file cannot be read: {error}")))?;
        if meta.len() > self.max_bytes {
            return Err(never(too_large(meta.len(), self.max_bytes)));
        }
        let content = tokio::fs::read(&path).await;
        let content =
            content.map_err(|error| later(format!("its file cannot be read: {error}")))?;
        Ok(attachment(recording, ending, kind, content))
    }
}

fn too_large(size: u64, limit: u64) -> String {
    format!("it has {size} bytes; at most {limit} can be attached")
}

fn attachment(
    recording: RecordingSid,
    ending: &str,
    kind: &'static str,
    content: Vec<u8>,
) -> Attachment {
    Attachment {
        name: format!("{recording}.{ending}"),
        kind,
        content,
    }
}
