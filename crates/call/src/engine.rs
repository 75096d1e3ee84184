//! The handle to the call engine, and the state shared by all calls.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use call_proto::{RecordingAddress, Settings};
use media::{EndpointId, MediaPlane};
use model::census::Figures;
use model::egress::{AddressPolicy, Guard};
use model::profile::Rate;
use model::record::Notification;
use model::throttle::Throttle;
use model::{AccountSid, NotificationSid, OrganizationSid};
use sip::{IncomingCall, Sip};
use speech::{Recognizer, Synthesizer};
use store::{Change, RecordingLinks, Store, StoreError};
use tokio::sync::mpsc;
use tracing::warn;
use webhook::{Callbacks, CookieJar, Fetcher, MediaCache};

use crate::forwarding::Forwarding;
use crate::live::Live;
use crate::open_messages::OpenMessages;
use crate::prompts::Prompts;
use crate::queues::Queues;
use crate::records::Records;
use crate::refusals::Refusals;
use crate::rooms::Rooms;
use crate::siprec::RecordingServer;
use crate::strangers::{StrangerLimits, Strangers};

/// The operator's settings for calls.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Address of the server's own HTTP side, `http://host:port`: the base of relative addresses
    /// and of recordings' addresses.
    pub public_base: String,
    /// SIP domain of the first organization.
    pub domain: String,
    /// The first organization: its names count where none is named.
    pub organization: OrganizationSid,
    /// The platform's administrator: its applications may be on this machine.
    pub administrator: AccountSid,
    /// Which addresses calls and messages to SIP addresses may reach.
    pub sip_guard: Guard,
    /// Builds links to recordings.
    pub recording_links: RecordingLinks,
    /// Whether to send the word `null` for unknown caller data.
    pub null_strings: bool,
    /// Whether a dialled party that declines while being screened also ends the caller's leg.
    pub screening_releases_both: bool,
    /// Folder of recordings.
    pub recordings: PathBuf,
    /// Recording servers, by the names that documents give as `connectorName`.
    pub recorders: BTreeMap<String, RecordingServer>,
    /// Limits for unauthenticated callers.
    pub strangers: StrangerLimits,
    /// Maximum number of RTP endpoints; `None` if the system decides. When all are in use, inbound
    /// calls are refused.
    pub max_endpoints: Option<usize>,
    /// Maximum number of families; more calls are refused.
    pub max_calls: usize,
}

/// The services that calls use.
pub struct Parts {
    /// Records.
    pub store: Store,
    /// Signalling.
    pub sip: Sip,
    /// Audio.
    pub media: MediaPlane,
    /// Text to speech.
    pub speech: Arc<dyn Synthesizer>,
    /// Speech to text; `None`: not installed.
    pub recognizer: Option<Arc<dyn Recognizer>>,
    /// Requests to applications.
    pub fetcher: Fetcher,
    /// Sound files of applications.
    pub sounds: MediaCache,
    /// Delivery of callbacks.
    pub callbacks: Callbacks,
    /// Counts refused calls.
    pub refusals: Refusals,
}

/// Counters for the command line and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Number of live families.
    pub live: u64,
    /// Families since the start.
    pub started: u64,
    /// Inbound calls refused before anything ran.
    pub refused: u64,
    /// Commits of calls waiting because the disk cannot be written.
    pub records_waiting: u64,
}

pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) settings: Arc<Settings>,
    pub(crate) parts: Parts,
    pub(crate) live: Live,
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) messages: OpenMessages,
    pub(crate) forwarding: Forwarding,
    pub(crate) rooms: Rooms,
    pub(crate) queues: Queues,
    pub(crate) records: Arc<Records>,
    pub(crate) prompts: Prompts,
    /// Calls through trunks, of accounts that may have only so many.
    throttle: Mutex<Throttle>,
    next_endpoint: AtomicU64,
    pub(crate) started: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Shared {
    pub(crate) fn endpoint(&self) -> EndpointId {
        EndpointId(self.next_endpoint.fetch_add(1, Ordering::Relaxed))
    }

    /// What the addresses that an account wrote may be.
    pub(crate) fn policy(&self, author: AccountSid) -> AddressPolicy {
        AddressPolicy::of(author, self.config.administrator)
    }

    /// The same for an HTTP address, which may be a signed one of this server.
    pub(crate) fn policy_for(&self, author: AccountSid, url: &str) -> AddressPolicy {
        let own = &self.config.public_base;
        self.policy(author).for_address(url, own)
    }

    /// The SIP domain of an organization.
    pub(crate) async fn domain_of(&self, sid: OrganizationSid) -> Result<String, StoreError> {
        if sid == self.config.organization {
            return Ok(self.config.domain.clone());
        }
        let found = self.parts.store.organization(sid).await?;
        let domain = found.map(|found| found.domain_name.clone());
        Ok(domain.unwrap_or_else(|| self.config.domain.clone()))
    }

    /// Whether another call through a trunk is within the rate of an account; then it counts.
    pub(crate) fn is_within(&self, account: AccountSid, rate: Rate) -> bool {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.admit(account, rate, Instant::now())
    }

    /// Host part for From on legs to phones: the address of the SIP side.
    pub(crate) fn sip_host(&self) -> String {
        let address = self.parts.sip.local().udp;
        match address.ip() {
            ip if ip.is_unspecified() => self.config.domain.clone(),
            IpAddr::V4(_) | IpAddr::V6(_) => address.to_string(),
        }
    }
}

/// Addresses of recordings carry a signature: anyone who has one can fetch that recording.
fn recording_address(public_base: &str, links: RecordingLinks) -> RecordingAddress {
    let base = public_base.to_owned();
    RecordingAddress(Arc::new(move |dialect, account, recording| {
        let query = links.query(recording, crate::now());
        let path = dialect.api_base;
        format!("{base}{path}/Accounts/{account}/Recordings/{recording}.wav?{query}")
    }))
}

/// Runs calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// What a server that is stopping waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Busy {
    /// Calls, or conferences.
    pub calls: bool,
    /// Text messages that are being sent by SIP, or whose document runs.
    pub texts: bool,
    /// Providers that were given text messages and have not answered yet.
    pub providers: bool,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.calls, "the calls in progress"),
            (self.texts, "text messages that are being sent"),
            (self.providers, "answers of providers to text messages"),
        ];
        let words = all.iter().filter(|(is_busy, _)| *is_busy);
        let words: Vec<&str> = words.map(|(_, words)| *words).collect();
        match words.split_last() {
            None => f.write_str("nothing"),
            Some((last, [])) => f.write_str(last),
            Some((last, first)) => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

impl Engine {
    /// Starts accepting the calls from `incoming`. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        config: EngineConfig,
        parts: Parts,
        mut incoming: mpsc::Receiver<IncomingCall>,
    ) -> Self {
        let settings = Arc::new(Settings {
            instance: parts.store.instance(),
            recording_address: recording_address(
                &config.public_base,
                config.recording_links.clone(),
            ),
            max_redirects: 100,
            null_strings: config.null_strings,
            screening_releases_both: config.screening_releases_both,
            recording_wait: Duration::from_secs(5),
            type_ahead: true,
        });
        let callbacks = parts.callbacks.clone();
        let records = Records::new(
            Arc::new(parts.store.clone()),
            Arc::new(move |callback| callbacks.deliver(callback)),
        );
        let strangers = Strangers::new(config.strangers);
        let (forwarding, waiting) = Forwarding::new();
        let shared = Arc::new(Shared {
            config,
            settings,
            parts,
            live: Live::default(),
            strangers,
            messages: OpenMessages::default(),
            forwarding,
            rooms: Rooms::default(),
            queues: Queues::default(),
            records,
            prompts: Prompts::default(),
            throttle: Mutex::default(),
            next_endpoint: AtomicU64::new(1),
            started: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let engine = Self {
            shared: Arc::clone(&shared),
        };
        Forwarding::start(waiting, &engine);
        if let Some(mut texts) = shared.parts.sip.texts() {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                while let Some(text) = texts.recv().await {
                    tokio::spawn(crate::texts::admit(Arc::clone(&shared), text));
                }
            });
        }
        tokio::spawn(async move {
            while let Some(call) = incoming.recv().await {
                tokio::spawn(crate::admission::admit(Arc::clone(&shared), call));
            }
        });
        engine
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            live: self.shared.live.families() as u64,
            started: self.shared.started.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            records_waiting: self.shared.records.waiting() as u64,
        }
    }

    /// What this server has handled since it started.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            registered: self.shared.parts.sip.registered() as u64,
            ..self.shared.records.census().figures(crate::now())
        }
    }

    /// The voice messages of a client have changed, and the change is committed: its phones at this server are notified. Other
    /// servers, and this one if the database fails now, notice it when they next count, within half a minute.
    ///
    /// - `account`: owner of the box
    /// - `client`: its login
    pub async fn messages_waiting(&self, account: AccountSid, client: &str) {
        let domain = async {
            let home = crate::resolve::home(&self.shared, account).await?;
            self.shared.domain_of(home).await
        };
        match domain.await {
            Ok(domain) => self.shared.parts.sip.waiting_changed(client, &domain),
            Err(error) => warn!(%error, "phones are notified of waiting messages later"),
        }
    }

    /// Whether the sound at an address of an account can be played now; if not, the account is notified.
    pub async fn can_play(&self, account: AccountSid, address: &str) -> bool {
        let jar = CookieJar::default();
        let loaded = crate::audio::load(&self.shared, account, address, &jar).await;
        let Err(failure) = loaded else {
            return true;
        };
        let now = crate::now();
        let sid = NotificationSid::new(now, rand::random());
        let notification = Notification {
            request_url: Some(address.to_owned()),
            ..Notification::of_account(sid, account, failure.code, failure.text, now)
        };
        let noted = Change::Notification(Box::new(notification));
        if let Err(error) = self.shared.parts.store.commit(vec![noted]).await {
            warn!(%error, "a sound that cannot be played could not be reported");
        }
        false
    }

    /// Refuses new calls from now on; existing ones continue.
    pub fn drain(&self) {
        self.shared.live.drain();
        self.shared.parts.sip.drain();
    }

    /// Becomes true once no new calls are accepted.
    #[must_use]
    pub fn draining(&self) -> Arc<AtomicBool> {
        self.shared.live.draining()
    }

    /// What [`Engine::idle`] waits for.
    #[must_use]
    pub fn busy(&self) -> Busy {
        let shared = &self.shared;
        Busy {
            calls: shared.live.families() > 0 || shared.rooms.tasks() > 0,
            texts: shared.messages.count() > 0,
            providers: shared.forwarding.is_busy(),
        }
    }

    /// Waits until no call and no message is left, and providers have answered for those that they were given. Messages that wait
    /// for a provider stay stored.
    pub async fn idle(&self) {
        while self.shared.live.families() > 0
            || self.shared.rooms.tasks() > 0
            || self.shared.messages.count() > 0
        {
            self.shared.live.changed().await;
        }
        if self.draining().load(Ordering::Acquire) {
            // Providers are given nothing more, so that they come to an end.
            self.shared.forwarding.shut_down();
        }
        while self.shared.forwarding.is_busy() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no fact is waiting for the disk.
    pub async fn recorded(&self) {
        while self.shared.records.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends every call and every message.
    pub fn shut_down(&self) {
        self.shared.messages.shut_down();
        self.shared.forwarding.shut_down();
        self.shared.rooms.shut_down();
        self.shared.live.shut_down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stopping_server_waits_for_is_named() {
        let table = [
            ([false; 3], "nothing"),
            ([true, false, false], "the calls in progress"),
            (
                [false, false, true],
                "answers of providers to text messages",
            ),
            (
                [true, true, true],
                "the calls in progress, text messages that are being sent and answers of providers to text messages",
            ),
        ];
        for ([calls, texts, providers], words) in table {
            let busy = Busy {
                calls,
                texts,
                providers,
            };
            assert_eq!(busy.to_string(), words);
        }
    }
}
